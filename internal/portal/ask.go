package portal

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/policy"
)

// AskForm is what there is to fill in to ask for a rule.
type AskForm struct {
	Askable
	Deciders []string `json:"deciders,omitempty"` // one step after the other
	Purposes []string `json:"purposes,omitempty"` // one of which has to be named
	Asks     bool     `json:"note_required"`
	Factor   bool     `json:"factor_required"` // a fresh one
	Spans    []string `json:"durations"`       // that fit: round ones, and the rule's own
	// StartBy is the latest start, EndBy the latest end of what starts at once, and RuleEnds the end of the rule itself, if it has one.
	StartBy  time.Time `json:"start_by"`
	EndBy    time.Time `json:"end_by"`
	RuleEnds time.Time `json:"rule_ends,omitzero"`
	// Extension is what there is to ask for on top of the grant that was named.
	Extension *access.Extension `json:"extension,omitempty"`
	// Statement is the one of the refusal that was named, as the trail has it: without its literals.
	Statement string `json:"statement,omitempty"`
	// Outside says what of a statement is told in Slack, by mail and to the webhook.
	Outside policy.StatementText `json:"statement_text"`
}

// AskFormQuery says what is asked for.
type AskFormQuery struct {
	Extends string `json:"extends,omitempty"` // a grant of yours, which is to go on
	Event   string `json:"event,omitempty"`   // a refusal of yours
}

func (p *Portal) askForm(r *http.Request, v *viewer, in AskFormQuery) (AskForm, error) {
	pol, now := p.c.Policy(), p.c.Desk.Now()
	for _, rule := range pol.Askable(v.Subject, "") {
		if rule.Name != r.PathValue("rule") {
			continue
		}
		out := AskForm{
			Askable: askableOf(pol, rule), Asks: rule.Request.Note.Asks(), Factor: rule.Request.Factor.Asks(),
			Spans: spans(rule.Request, now, rule.Request.Max.From(now)), StartBy: now.Add(access.LatestStart), EndBy: rule.Request.Max.From(now), RuleEnds: rule.Until,
			Outside: pol.Datasets[rule.On].Statement,
		}
		if eventID.MatchString(in.Event) {
			if refused, err := p.refusal(r.Context(), v, in.Event, p.c.Look); err == nil { // the form is of use without it
				out.Statement = refused
			}
		}
		if in.Extends != "" {
			x, err := p.extension(r.Context(), v, rule.Name, in.Extends)
			if err != nil {
				return AskForm{}, err
			}
			out.Extension, out.EndBy, out.Spans = x, x.Until, spans(rule.Request, x.End, x.Until)
		}
		for _, s := range rule.Request.Approvers {
			out.Deciders = append(out.Deciders, strings.Join(plainNames(s.Names), ", "))
		}
		if rule.Request.Purpose || pol.Datasets[rule.On].Purpose {
			out.Purposes = pol.Purposes
		}
		return out, nil
	}
	return AskForm{}, access.ErrNotFound
}

// extension is what somebody may still ask for on top of a grant of theirs.
func (p *Portal) extension(ctx context.Context, v *viewer, rule, id string) (*access.Extension, error) {
	found, err := p.c.Access.Grants(ctx, access.Filter{IDs: []string{id}, Subject: v.Subject.Name, Rule: rule})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, access.ErrNotFound
	}
	return p.c.Desk.Extension(ctx, v.Actor, &found[0])
}

// extendable lists what may go on of what somebody holds: each of it the desk would take a request for.
func (p *Portal) extendable(ctx context.Context, v *viewer, live []access.Grant) ([]access.Extension, error) {
	out, now := []access.Extension{}, p.c.Desk.Now()
	for i := range live {
		if now.Before(live[i].Extendable()) {
			continue // most are, and the desk looks into the state for each that it is asked about
		}
		x, err := p.c.Desk.Extension(ctx, v.Actor, &live[i])
		var no *access.Refusal
		if err != nil && !errors.As(err, &no) {
			return nil, err
		}
		if err == nil {
			out = append(out, *x)
		}
	}
	return out, nil
}

// Extends says whether a grant may be asked to go on.
func (m Mine) Extends(grant string) bool {
	return slices.ContainsFunc(m.Extendable, func(x access.Extension) bool { return x.Grant == grant })
}

// eventID is what an event's id looks like.
var eventID = regexp.MustCompile(`^[0-9a-z]{10,20}$`)

// refusedEvent is the event whose hint led to a page (ACC-38), as far as it looks like one.
func refusedEvent(r *http.Request) string {
	if id := r.FormValue("event"); eventID.MatchString(id) {
		return id
	}
	return ""
}

// refusal is the statement of somebody's own refusal, without its literals; access.ErrNotFound for anything else, and for one that is not
// found in time.
func (p *Portal) refusal(ctx context.Context, v *viewer, id string, within time.Duration) (string, error) {
	look, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for f, err := range audit.Latest(look, p.c.Trail, audit.Query{ID: id, Subject: v.Subject.Name, Kind: audit.Decision, Verdict: "refuse"}) {
		var line *audit.LineError
		var cut *audit.UnfinishedError
		switch {
		case errors.As(err, &line), errors.As(err, &cut):
		case err != nil:
			return "", err
		case f.Record.ID == id:
			return f.Record.Statement, nil
		}
	}
	return "", access.ErrNotFound
}

// askAbout lets a request be about a refusal of who asks (ACC-38).
func (p *Portal) askAbout(ctx context.Context, v *viewer, event string, a *access.Ask) error {
	unknown := &access.Refusal{Code: access.CodeStatement, Text: "there is no refused statement of yours with the event id " + strconv.Quote(event), Hint: "the error's detail names it; one that was lost is found with postern audit search, at the gateway's machine", Field: "event"}
	if !eventID.MatchString(event) {
		return unknown
	}
	text, err := p.refusal(ctx, v, event, 20*p.c.Look) // who names one waits for it
	switch {
	case errors.Is(err, access.ErrNotFound):
		return unknown
	case err != nil:
		return err
	case a.Statement == "":
		a.Statement = text
	}
	a.Note = withEvent(a.Note, event)
	return nil
}

// withEvent names a refusal in a note. An id alone says nothing of why.
func withEvent(note, event string) string {
	if event != "" && note != "" {
		note += "\n(refused: event " + event + ")"
	}
	return note
}

type askData struct {
	AskForm
	Event   string // of the refusal that led here
	Written string
	Wanted  string // the statement
	Chosen  string // the purpose
	For     string
	Key     string // the same form sent twice is one request
	Break   string // for how long at most the viewer may take it in an emergency; "": they may not
	Fresh   bool   // the viewer's second factor is
	Back    string // where a fresh second factor leads back to
	Start   moment
	Until   moment
}

func (p *Portal) askPage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.askForm, func(_ AskFormQuery, out AskForm) shown {
		data := askData{AskForm: out, Event: refusedEvent(r), Written: r.PostFormValue("note"), Chosen: r.PostFormValue("purpose"), For: r.PostFormValue("for"), Key: p.newID(), Fresh: p.fresh(v)}
		pol := p.c.Policy()
		for _, rule := range pol.Askable(v.Subject, "") {
			if rule.Name == out.Rule {
				data.Break = breaks(pol, rule, v)
			}
		}
		if data.Wanted = out.Statement; r.PostForm.Has("statement") {
			data.Wanted = r.PostFormValue("statement") // also where its author has emptied it
		}
		if data.For == "" {
			data.For = out.Default
		}
		now := p.c.Desk.Now()
		data.Back = backTo(r)
		data.Start = momentField(r, "start", now, out.StartBy)
		data.Until = momentField(r, "until", now, time.Time{}) // the latest end hangs on the start
		if out.Extension != nil {
			data.Until = momentField(r, "until", out.Extension.End, out.EndBy)
		}
		return shown{"ask", "Ask for " + out.Dataset, data}
	})
}

// breaks says for how long at most somebody may take a rule in an emergency. The desk decides; this only shows the way.
func breaks(pol *policy.Policy, rule *policy.Rule, v *viewer) string {
	g := pol.BreakGlass
	if g == nil || rule.Request.Kind != policy.OnRequest || !slices.ContainsFunc(g.Groups, func(name string) bool { return slices.Contains(v.Subject.Groups, name) }) {
		return ""
	}
	return g.Max.String()
}

// spans are the durations that a form offers: the rule's own default and round ones, as far as they come to an end by a time.
func spans(q *policy.Request, from, by time.Time) []string {
	out := []string{}
	for _, text := range []string{q.Default.String(), "1h", "4h", "8h", "1d", "7d", "30d"} {
		s, err := policy.ParseSpan(text)
		if err == nil && !s.From(from).After(by) && !slices.Contains(out, s.String()) {
			out = append(out, s.String())
		}
	}
	return out
}

// askAct asks. An end counts before a length, which always stands there.
func (p *Portal) askAct(r *http.Request, v *viewer) (string, error) {
	call := AskCall{
		What: r.PathValue("rule"), Note: withEvent(note(r), refusedEvent(r)), Statement: strings.ReplaceAll(r.PostFormValue("statement"), "\r", ""), Extends: r.URL.Query().Get("extends"),
		Purpose: r.PostFormValue("purpose"), Key: r.PostFormValue("key"), Break: r.PostFormValue("break") != "",
	}
	var err error
	if call.Start, err = momentOf(r, "start"); err != nil {
		return "", err
	}
	if call.Until, err = momentOf(r, "until"); err != nil {
		return "", err
	}
	if call.Until.IsZero() {
		call.For = r.PostFormValue("for")
	}
	out, err := p.askFor(r, v, call)
	switch {
	case err != nil:
		return "", err
	case out.Grant != nil && call.Extends != "":
		return "/mine?done=extended", nil
	case out.Grant != nil:
		return "/mine?done=taken", nil
	}
	return "/mine?done=asked", nil
}
