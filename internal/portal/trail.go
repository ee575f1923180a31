package portal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/people"
)

// What a search of the trail brings to a page, and how long it looks: what is rare in a long trail would let its reader wait, and whoever
// works at the gateway. Whoever wants more goes on from where it ended.
const (
	mostShown = 200
	lookFor   = 50 * time.Millisecond
)

// view is a search of the trail under a name.
type view struct{ Name, Query string }

// failedSignIns are the kinds of event that say so: at the gateway, at the portal with a password, a passkey or the provider, of a second
// factor, and of the emergency admin.
const failedSignIns = "login.refused,portal.login,factor.refused,emergency.refused"

// views are what people look for first. Any other view is a link that one keeps.
var views = []view{
	{"Refused", "verdict=refuse"},
	{"Requests and decisions", "kind=request.*"},
	{"Grants", "kind=grant.*"},
	{"Emergency access", "kind=breakglass.*"},
	{"Sign-ins that failed", "kind=" + failedSignIns + "&verdict=refuse"},
	{"Changes of the policy", "kind=policy.reload"},
	{"Accounts", "kind=account.*"},
	{"Who read the trail", "kind=trail.read"},
}

// TrailQuery searches the trail, from its end or from a place in it.
type TrailQuery struct {
	Subject string `json:"subject,omitempty"` // who acted
	Store   string `json:"store,omitempty"`   // where
	Kind    string `json:"kind,omitempty"`    // "request.*" means all that begin so; several, with commas between, are written out
	Verdict string `json:"verdict,omitempty"` // allow, rewrite or refuse
	Table   string `json:"table,omitempty"`   // touched or refused: store.schema.table, or its end
	Label   string `json:"label,omitempty"`   // touched; "contact.*" means all that begin so
	Text    string `json:"text,omitempty"`    // somewhere in the event
	Since   string `json:"since,omitempty"`   // a day, YYYY-MM-DD in UTC
	Until   string `json:"until,omitempty"`   // the last day
	// Before goes on where an earlier search ended: only events before the one of this number are looked at. It is the answer's earlier.
	Before uint64 `json:"before,omitempty"`
}

// Trail is what a search found in the time that it has, a twentieth of a second.
type Trail struct {
	Events []audit.Record `json:"events"`           // the latest first; of one session, in order
	Full   bool           `json:"more"`             // there may be more, before these
	Broken int            `json:"unreadable_lines"` // postern audit verify says more
	// Earlier is what goes on from here, as before; none: everything was looked at.
	Earlier uint64 `json:"earlier,omitempty"`
	// Back is set when the time was up: events from before it were not looked at yet.
	Back time.Time `json:"looked_back_to,omitzero"`
}

// SessionQuery says where in the trail to look for a session: its events may lie anywhere.
type SessionQuery struct {
	// Around is the number of one of its events: what lies around that one is looked at, and not the end of the trail.
	Around uint64 `json:"around,omitempty"`
	// Before goes on where an answer ended: it is the answer's earlier.
	Before uint64 `json:"before,omitempty"`
	// After goes on in the other direction: it is the answer's later.
	After uint64 `json:"after,omitempty"`
}

// SessionTrail is one session, as far as its events were found in the time that there is.
type SessionTrail struct {
	Trail
	// Later is what goes on from here, as after; none: the session's end was found, or the trail's.
	Later uint64 `json:"later,omitempty"`
	// On is set when the time was up: events from after it were not looked at yet.
	On time.Time `json:"looked_on_to,omitzero"`
}

// trail is a search; looking is in the trail too.
func (p *Portal) trail(r *http.Request, v *viewer, in TrailQuery) (Trail, error) {
	q := audit.Query{
		Subject: in.Subject, Store: in.Store, Kind: audit.Kind(in.Kind), Verdict: in.Verdict, Relation: in.Table, Label: in.Label, Text: in.Text,
		Limit: mostShown,
	}
	if kinds := strings.Split(in.Kind, ","); len(kinds) > 1 {
		q.Kind = ""
		for _, k := range kinds {
			q.Kinds = append(q.Kinds, audit.Kind(strings.TrimSpace(k)))
		}
	}
	for to, text := range map[*time.Time]string{&q.Since: in.Since, &q.Until: in.Until} {
		if text == "" {
			continue
		}
		var err error
		if *to, err = time.Parse(time.DateOnly, text); err != nil {
			return Trail{}, badCall(fmt.Sprintf("%q is no day: write YYYY-MM-DD", text))
		}
	}
	if !q.Until.IsZero() {
		q.Until = q.Until.AddDate(0, 0, 1) // the day itself is meant too
	}
	if err := p.recordRead(r, v, filled(in).Encode()); err != nil {
		return Trail{}, err
	}
	return p.lookBack(r.Context(), q, in.Before, "")
}

// recordRead puts into the trail that somebody looks at it, before they do.
func (p *Portal) recordRead(r *http.Request, v *viewer, what string) error {
	return p.record(r, audit.Event{Kind: audit.TrailRead, Subject: v.Subject.Name, Verdict: "allow", Detail: map[string]string{"query": what}})
}

// lookBack finds the newest events, before the one of a number unless that is 0, and says where to go on. An event of the kind last ends
// it: there is none before.
func (p *Portal) lookBack(ctx context.Context, q audit.Query, before uint64, last audit.Kind) (Trail, error) {
	out := Trail{Events: []audit.Record{}}
	if before == 1 {
		return out, nil
	}
	if before > 1 {
		q.To = before - 1
	}
	look, cancel := context.WithTimeout(ctx, p.c.Look)
	defer cancel()
	for f, err := range audit.Latest(look, p.c.Trail, q) {
		var line *audit.LineError
		var cut *audit.UnfinishedError
		switch {
		case errors.As(err, &line):
			out.Broken++
		case errors.As(err, &cut) && ctx.Err() == nil:
			out.Earlier, out.Back = cut.Seq, cut.Time
		case err != nil:
			return out, err
		default:
			out.Events = append(out.Events, f.Record)
			if last != "" && f.Record.Kind == last {
				return out, nil
			}
		}
	}
	if len(out.Events) == q.Limit {
		out.Earlier = out.Events[q.Limit-1].Seq
	}
	if out.Earlier == 1 {
		out.Earlier, out.Back = 0, time.Time{} // that was the trail's first
	}
	out.Full = out.Earlier > 0
	return out, nil
}

// timeline is one session. It is followed from one of its events to where it began and ended, or looked for from the trail's end.
func (p *Portal) timeline(r *http.Request, v *viewer, in SessionQuery) (SessionTrail, error) {
	out := SessionTrail{Trail: Trail{Events: []audit.Record{}}}
	id := r.PathValue("id")
	what := filled(in)
	what.Set("session", id)
	if err := p.recordRead(r, v, what.Encode()); err != nil {
		return out, err
	}
	q := audit.Query{Session: id, Limit: 5 * mostShown}
	if in.After == 0 {
		before := in.Before
		if in.Around > 0 {
			before = in.Around + 1
		}
		var err error
		if out.Trail, err = p.lookBack(r.Context(), q, before, audit.LoginAccepted); err != nil {
			return out, err
		}
		slices.Reverse(out.Events)
	}
	if from := max(in.Around, in.After); from > 0 && !ended(out.Events) {
		q.From = from + 1
		return out, p.lookOn(r.Context(), q, &out)
	}
	return out, nil
}

// ended says whether a session's end is among its events.
func ended(events []audit.Record) bool {
	return slices.ContainsFunc(events, func(e audit.Record) bool { return e.Kind == audit.SessionEnd })
}

// lookOn adds the events of a session from a number on, up to its end.
func (p *Portal) lookOn(ctx context.Context, q audit.Query, out *SessionTrail) error {
	look, cancel := context.WithTimeout(ctx, p.c.Look)
	defer cancel()
	n := 0
	for f, err := range audit.Search(look, p.c.Trail, q) {
		var line *audit.LineError
		var cut *audit.UnfinishedError
		switch {
		case errors.As(err, &line):
			out.Broken++
		case errors.As(err, &cut) && ctx.Err() == nil:
			out.Later, out.On = cut.Seq, cut.Time
		case err != nil:
			return err
		default:
			out.Events = append(out.Events, f.Record)
			if n++; f.Record.Kind == audit.SessionEnd {
				return nil
			}
			if n == q.Limit {
				out.Later = f.Record.Seq
			}
		}
	}
	return nil
}

type trailData struct {
	Trail
	Views   []view
	View    string // which of them this is; "": none
	Mine    []people.View
	Kept    string // what a view of this search keeps
	Name    string // that was typed for one
	Query   url.Values
	Link    string
	More    int    // fields that are set among those that are rarely used
	Further string // leads to the events before these; "": there are none
	Newest  string // leads back to the end of the trail; "": this is it
}

// trailPage shows a search by what its address says, so that a view is kept and sent as a link.
func (p *Portal) trailPage(r *http.Request, v *viewer) (shown, error) {
	values := r.URL.Query()
	if r.Method == http.MethodPost { // a view was not kept: its search is shown again
		if typed, err := url.ParseQuery(r.PostFormValue("query")); err == nil {
			values = typed
		}
	}
	q, err := query[TrailQuery](values, false)
	if err != nil {
		return shown{}, err
	}
	mine, err := p.viewsOf(r, v)
	if err != nil {
		return shown{}, err
	}
	out, err := p.trail(r, v, q)
	if err != nil {
		return shown{}, err
	}
	data := trailData{Trail: out, Views: views, Mine: mine, Name: r.PostFormValue("name"), Link: "/trail?" + filled(q).Encode()}
	for _, rare := range []string{q.Store, q.Label, q.Since, q.Until} {
		if rare != "" {
			data.More++
		}
	}
	before := q.Before
	q.Before = 0
	data.Query = filled(q)
	data.Kept = data.Query.Encode() // a view is kept of what is looked for, and not of a place in it
	for _, one := range views {
		if values, err := url.ParseQuery(one.Query); err == nil && values.Encode() == data.Kept {
			data.View = one.Query
		}
	}
	if before > 0 {
		data.Newest = "/trail?" + data.Kept
	}
	if q.Before = out.Earlier; q.Before > 0 {
		data.Further = "/trail?" + filled(q).Encode()
	}
	return shown{"trail", "Trail", data}, nil
}

type timelineData struct {
	SessionTrail
	Sooner, Further string // lead to what was not looked at; "": there is nothing
}

func (p *Portal) timelinePage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.timeline, func(_ SessionQuery, out SessionTrail) shown {
		data := timelineData{SessionTrail: out}
		here := "/trail/sessions/" + url.PathEscape(r.PathValue("id"))
		if out.Earlier > 0 {
			data.Sooner = here + "?before=" + strconv.FormatUint(out.Earlier, 10)
		}
		if out.Later > 0 {
			data.Further = here + "?after=" + strconv.FormatUint(out.Later, 10)
		}
		return shown{"timeline", "One session", data}
	})
}
