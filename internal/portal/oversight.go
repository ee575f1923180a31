package portal

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
)

// mostShown bounds what a search of the trail brings to a page.
const mostShown = 200

// view is a search of the trail under a name.
type view struct{ Name, Query string }

// views are what people look for first. Any other view is a link that one keeps.
var views = []view{
	{"Refused", "verdict=refuse"},
	{"Requests and decisions", "kind=request.*"},
	{"Grants", "kind=grant.*"},
	{"Emergency access", "kind=breakglass.*"},
	{"Sign-ins that failed", "kind=login.refused"},
	{"Changes of the policy", "kind=policy.reload"},
	{"Accounts", "kind=account.*"},
	{"Who read the trail", "kind=trail.read"},
}

// TrailQuery searches the trail.
type TrailQuery struct {
	Subject string `json:"subject,omitempty"` // who acted
	Store   string `json:"store,omitempty"`   // where
	Kind    string `json:"kind,omitempty"`    // "request.*" means all that begin so
	Verdict string `json:"verdict,omitempty"` // allow, rewrite or refuse
	Table   string `json:"table,omitempty"`   // touched or refused: store.schema.table, or its end
	Label   string `json:"label,omitempty"`   // touched; "contact.*" means all that begin so
	Text    string `json:"text,omitempty"`    // somewhere in the event
	Since   string `json:"since,omitempty"`   // a day, YYYY-MM-DD in UTC
	Until   string `json:"until,omitempty"`   // the last day
}

// Trail is what a search found.
type Trail struct {
	Events []audit.Record `json:"events"`           // the latest first; of one session, in order
	Full   bool           `json:"more"`             // there may be more, before these
	Broken int            `json:"unreadable_lines"` // postern audit verify says more
}

// oversightCalls are those of who looks after the whole.
func (p *Portal) oversightCalls() {
	route(p, Call{
		Pattern: "GET /api/v1/trail", Scope: identity.ScopeInspect, who: trailReaders, pages: []string{"GET /trail"},
		Summary: "Search the trail; that you did is in it too",
	}, p.trail)
	route(p, Call{
		Pattern: "GET /api/v1/trail/sessions/{id}", Scope: identity.ScopeInspect, who: trailReaders, pages: []string{"GET /trail/sessions/{id}"},
		Summary: "One session, from its first event to its last",
	}, p.timeline)
	route(p, Call{
		Pattern: "GET /api/v1/policy", Scope: identity.ScopeInspect, who: policyReaders, pages: []string{"GET /policy"},
		Summary: "The rules in force, and the latest changes of the policy file",
	}, p.rules)
	route(p, Call{
		Pattern: "GET /api/v1/health", Scope: identity.ScopeInspect, who: operators, pages: []string{"GET /health"},
		Summary: "Which stores are in use, and what this installation is",
	}, p.health)
}

// trail is a search; looking is in the trail too.
func (p *Portal) trail(r *http.Request, v *viewer, in TrailQuery) (out Trail, err error) {
	q := audit.Query{
		Subject: in.Subject, Store: in.Store, Kind: audit.Kind(in.Kind), Verdict: in.Verdict, Relation: in.Table, Label: in.Label, Text: in.Text,
		Limit: mostShown, Last: true,
	}
	for text, to := range map[string]*time.Time{in.Since: &q.Since, in.Until: &q.Until} {
		if text == "" {
			continue
		}
		if *to, err = time.Parse(time.DateOnly, text); err != nil {
			return out, badCall(fmt.Sprintf("%q is no day: write YYYY-MM-DD", text))
		}
	}
	if !q.Until.IsZero() {
		q.Until = q.Until.AddDate(0, 0, 1) // the day itself is meant too
	}
	out, err = p.readTrail(r, v, q, filled(in).Encode())
	slices.Reverse(out.Events)
	return out, err
}

// timeline is one session.
func (p *Portal) timeline(r *http.Request, v *viewer, _ nothing) (Trail, error) {
	id := r.PathValue("id")
	return p.readTrail(r, v, audit.Query{Session: id, Limit: 5 * mostShown, Last: true}, "session="+id)
}

func (p *Portal) readTrail(r *http.Request, v *viewer, q audit.Query, what string) (Trail, error) {
	out := Trail{Events: []audit.Record{}}
	if err := p.record(r, audit.Event{Kind: audit.TrailRead, Subject: v.Subject.Name, Verdict: "allow", Detail: map[string]string{"query": what}}); err != nil {
		return out, err
	}
	for f, err := range audit.Search(r.Context(), p.c.Trail, q) {
		if err != nil {
			var line *audit.LineError
			if !errors.As(err, &line) {
				return out, err
			}
			out.Broken++
			continue
		}
		out.Events = append(out.Events, f.Record)
	}
	out.Full = len(out.Events) == q.Limit
	return out, nil
}

type trailData struct {
	Trail
	Views []view
	Mine  []people.View
	Kept  string // what a view of this search keeps
	Name  string // that was typed for one
	Query url.Values
	Link  string
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
	in := filled(q)
	return shown{"trail", "Trail", trailData{out, views, mine, in.Encode(), r.PostFormValue("name"), in, "/trail?" + in.Encode()}}, err
}

func (p *Portal) timelinePage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.timeline, func(_ nothing, out Trail) shown { return shown{"timeline", "One session", out} })
}

// PolicyQuery chooses rules.
type PolicyQuery struct {
	Filter string `json:"q,omitempty"` // words of a rule, a dataset, a state, a person or a group
}

// PolicyShown is what is in force.
type PolicyShown struct {
	Digest   string         `json:"digest"`         // of the policy file
	Since    time.Time      `json:"since,omitzero"` // when it was taken up; none: earlier than the trail here says
	Datasets int            `json:"datasets"`
	Rules    []RuleShown    `json:"rules"`
	Changes  []PolicyChange `json:"changes"` // what was taken up, refused and applied, the latest first
}

// RuleShown is a rule of the policy file.
type RuleShown struct {
	Name  string   `json:"name"`
	Who   []string `json:"who"`
	On    string   `json:"dataset"`
	Level string   `json:"level"`
	Masks string   `json:"masks,omitempty"` // the profile; none: as it is
	Rows  bool     `json:"some_rows"`
	State string   `json:"state"` // active, on request, shadow or off
}

func (p *Portal) rules(r *http.Request, _ *viewer, q PolicyQuery) (PolicyShown, error) {
	pol := p.c.Policy()
	out := PolicyShown{Digest: pol.Digest, Datasets: len(pol.Datasets), Rules: []RuleShown{}}
	for _, rule := range pol.Rules {
		s := RuleShown{rule.Name, plainNames(rule.To), rule.On, rule.Level.String(), rule.Masks, len(rule.Rows) > 0, ruleState(rule)}
		if hit(q.Filter, s.Name+" "+s.On+" "+s.State, s.Who) {
			out.Rules = append(out.Rules, s)
		}
	}
	changes, err := p.policyChanges(r.Context())
	out.Changes, out.Since = notNil(changes), since(changes, pol.Digest)
	return out, err
}

func (p *Portal) policyPage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.rules, func(q PolicyQuery, out PolicyShown) shown {
		return shown{"policy", "Policy", struct {
			PolicyQuery
			PolicyShown
			May bool // propose changes
		}{q, out, editors(v)}}
	})
}

// Health is how this installation is.
type Health struct {
	Stores  []StoreHealth `json:"stores"`
	Version string        `json:"version"`
	Gateway string        `json:"gateway"`
	Columns int           `json:"columns_seen"`
}

// StoreHealth says whether a store is in use.
type StoreHealth struct {
	Name string `json:"name"`
	Why  string `json:"why,omitempty"` // it is not
}

func (p *Portal) health(*http.Request, *viewer, nothing) (Health, error) {
	out := Health{Stores: []StoreHealth{}, Version: p.c.Version, Gateway: p.c.Gateway, Columns: len(p.c.Columns())}
	seen := p.c.Health()
	for _, name := range sortedNames(p.c.Policy().Stores) {
		why, known := seen[name]
		if !known {
			why = "not looked at yet"
		}
		out.Stores = append(out.Stores, StoreHealth{name, why})
	}
	return out, nil
}

func (p *Portal) healthPage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.health, func(_ nothing, out Health) shown { return shown{"health", "Health", out} })
}
