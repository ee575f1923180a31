package portal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
)

// apiRoot is where the interface for programs begins.
const apiRoot = "/api/v1/"

// What a call asks of a token, besides the scopes.
const (
	peopleOnly identity.Scope = ""  // sessions alone
	anyToken   identity.Scope = "*" // whatever it opens
	signingIn  identity.Scope = "+" // the token of a sign-in that is under way, which opens nothing else
	openToAll  identity.Scope = "-" // none
)

// Call is one call of the interface. Only route adds one, so that a call that says neither who may make it nor what goes in and out does
// not exist; the OpenAPI document is made of these.
type Call struct {
	Pattern string         // method and path
	Summary string         // what it does, on one line
	Scope   identity.Scope // that a token needs; or one of the four above
	In      reflect.Type   // what comes in the query of a GET, or in the body of another
	Out     reflect.Type
	who     right
	pages   []string // that stand on it: whom they are for is the call's to say
}

// nothing comes in, or goes out.
type nothing struct{}

// Calls lists them, in the order in which they were added.
func (p *Portal) Calls() []Call { return slices.Clone(p.calls) }

// Statuses lists what a call may answer besides 200. It follows from what a call is, and real answers are held against it.
func (c *Call) Statuses() []int {
	method, path, _ := strings.Cut(c.Pattern, " ")
	out := []int{http.StatusForbidden, http.StatusInternalServerError}
	if c.In != reflect.TypeFor[nothing]() {
		out = append(out, http.StatusBadRequest)
	}
	if c.Scope != openToAll || method == http.MethodPost {
		out = append(out, http.StatusUnauthorized)
	}
	if strings.Contains(path, "{") {
		out = append(out, http.StatusNotFound)
	}
	if method != http.MethodGet {
		out = append(out, http.StatusConflict)
	}
	slices.Sort(out)
	return out
}

// Roles lists which of the roles, and of owners and everybody else ("none"), may make a call. Whoever decides by the thing itself, such
// as who approves a request, is not in it.
func (c *Call) Roles() []string {
	var out []string
	for _, as := range []struct {
		name string
		v    viewer
	}{
		{"none", viewer{}},
		{"owner", viewer{owns: true}},
		{string(people.Admin), viewer{role: people.Admin}},
		{string(people.Editor), viewer{role: people.Editor}},
		{string(people.Reader), viewer{role: people.Reader}},
		{string(people.Auditor), viewer{role: people.Auditor}},
	} {
		if c.who(&as.v) {
			out = append(out, as.name)
		}
	}
	return out
}

// route adds a call. It is the one way to what the interface does: who calls, what their token opens, whether it is for them, what came in.
func route[In, Out any](p *Portal, c Call, do func(r *http.Request, v *viewer, in In) (Out, error)) {
	c.In, c.Out = reflect.TypeFor[In](), reflect.TypeFor[Out]()
	if c.who == nil {
		c.who = everybody
	}
	p.calls = append(p.calls, c)
	for _, pattern := range c.pages {
		p.stands[pattern] = c.who
	}
	p.mux.HandleFunc(c.Pattern, func(w http.ResponseWriter, r *http.Request) {
		v, err := p.admit(r, &c)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		in, err := input[In](r)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		out, err := do(r, v, in)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		p.send(w, http.StatusOK, out)
	})
}

// admit finds out who calls and whether they may. This is the one place where scopes are looked at.
func (p *Portal) admit(r *http.Request, c *Call) (*viewer, error) {
	if c.Scope == openToAll || c.Scope == signingIn {
		v := &viewer{session: bearer(r)} // what a token of a sign-in is good for, people say
		if c.Scope == signingIn {
			return v, p.c.People.BeganIn(r.Context(), v.session, "cli")
		}
		return v, nil
	}
	v, err := p.caller(r)
	if err != nil {
		return nil, err
	}
	if c.Scope != anyToken && !v.token.May(c.Scope) {
		no := &access.Refusal{Code: "scope_missing", Text: "this token does not open that", Hint: "postern token create NAME --scope " + string(c.Scope)}
		if c.Scope == peopleOnly {
			no.Text, no.Hint = "no token opens that", "postern login"
		}
		return nil, p.turnAway(r, v, c.Pattern, no)
	}
	if !c.who(v) {
		return nil, p.turnAway(r, v, c.Pattern, &access.Refusal{Code: "not_for_you", Text: "this is not for your role", Hint: "an admin can give you a role, such as auditor"})
	}
	return v, nil
}

// turnAway is a "no" to somebody who is known, and puts it into the trail.
func (p *Portal) turnAway(r *http.Request, v *viewer, pattern string, no *access.Refusal) error {
	return errors.Join(no, p.record(r, audit.Event{
		Kind: audit.PortalRefused, Subject: v.Subject.Name, Verdict: "refuse", Reason: no.Code,
		Detail: map[string]string{"page": pattern, "credential": v.token.ID},
	}))
}

// methods are those with which a path leads somewhere but to the pattern that takes what is left.
func (p *Portal) methods(r *http.Request, rest string) (out []string) {
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		as := r.Clone(r.Context())
		as.Method = m
		if _, pattern := p.mux.Handler(as); pattern != rest {
			out = append(out, m)
		}
	}
	return out
}

// unknownCall answers what no call stands for. Programs are told so in JSON too, and which methods there are.
func (p *Portal) unknownCall(w http.ResponseWriter, r *http.Request) {
	if methods := p.methods(r, apiRoot); len(methods) > 0 {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		p.send(w, http.StatusMethodNotAllowed, Problem{Code: "bad_method", Error: "this call is made with " + strings.Join(methods, " or ")})
		return
	}
	p.send(w, http.StatusNotFound, Problem{Code: "not_found", Error: "there is no such call", Hint: "GET " + apiRoot + "openapi.json lists the calls"})
}

// input reads what a call was sent: the query of a GET, the body of another.
func input[In any](r *http.Request) (in In, err error) {
	switch t := reflect.TypeFor[In](); {
	case t == reflect.TypeFor[nothing]():
		return in, nil
	case reads(r):
		return query[In](r.URL.Query(), true)
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return in, badCall("the call's body cannot be read: " + firstLine(err.Error()))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return in, badCall("the call's body goes on after its end")
	}
	return in, nil
}

// look makes a page of what a call answers.
func look[In, Out any](r *http.Request, v *viewer, do func(r *http.Request, v *viewer, in In) (Out, error), page func(in In, out Out) shown) (shown, error) {
	in, err := query[In](r.URL.Query(), false)
	if err != nil {
		return shown{}, err
	}
	out, err := do(r, v, in)
	if err != nil {
		return shown{}, err
	}
	return page(in, out), nil
}

// query reads the parameters of an address into a struct, by the names that its fields have in JSON. A strict one takes no others: one
// that is misspelt would widen what is looked for.
func query[In any](values url.Values, strict bool) (in In, err error) {
	fields := reflect.ValueOf(&in).Elem()
	for _, name := range sortedNames(values) {
		f := reflect.Value{}
		for i := range fields.NumField() {
			if tag, _, _ := strings.Cut(fields.Type().Field(i).Tag.Get("json"), ","); tag == name {
				f = fields.Field(i)
			}
		}
		switch text := strings.TrimSpace(values.Get(name)); {
		case !f.IsValid() && strict:
			return in, badCall(fmt.Sprintf("there is no parameter %q", name))
		case !f.IsValid():
		case len(values[name]) > 1:
			return in, badCall(fmt.Sprintf("parameter %q stands there more than once", name))
		case f.Kind() == reflect.Bool:
			yes, err := strconv.ParseBool(text)
			if err != nil && text != "" {
				return in, badCall(fmt.Sprintf("parameter %q is true or false", name))
			}
			f.SetBool(yes)
		case f.Kind() == reflect.Uint64:
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil && text != "" {
				return in, badCall(fmt.Sprintf("parameter %q is a number", name))
			}
			f.SetUint(n)
		default:
			f.SetString(text)
		}
	}
	return in, nil
}

// filled writes what query reads, without what is empty.
func filled[In any](in In) url.Values {
	out := url.Values{}
	fields := reflect.ValueOf(in)
	for i := range fields.NumField() {
		if text := fmt.Sprint(fields.Field(i)); !fields.Field(i).IsZero() {
			tag, _, _ := strings.Cut(fields.Type().Field(i).Tag.Get("json"), ",")
			out.Set(tag, text)
		}
	}
	return out
}

func badCall(text string) error { return &access.Refusal{Code: codeBadCall, Text: text} }

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
