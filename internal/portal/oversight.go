package portal

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
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

type trailData struct {
	Views  []view
	Mine   []people.View
	Kept   string // what a view of this search keeps
	Name   string // that was typed for one
	Query  url.Values
	Events []audit.Record
	Full   bool // there may be more
	Broken int  // lines that could not be read
	Link   string
}

// trailPage searches the trail by what its address says, so that a view is kept and sent as a link. Looking is in the trail too.
func (p *Portal) trailPage(r *http.Request, v *viewer) (shown, error) {
	in := r.URL.Query()
	q := audit.Query{
		Subject: in.Get("subject"), Store: in.Get("store"), Kind: audit.Kind(in.Get("kind")), Verdict: in.Get("verdict"),
		Relation: in.Get("table"), Label: in.Get("label"), Text: in.Get("text"), Limit: mostShown, Last: true,
	}
	for name, to := range map[string]*time.Time{"since": &q.Since, "until": &q.Until} {
		if day, err := time.Parse(time.DateOnly, in.Get(name)); err == nil {
			*to = day
		}
	}
	if !q.Until.IsZero() {
		q.Until = q.Until.AddDate(0, 0, 1) // the day itself is meant too
	}
	if r.Method == http.MethodPost { // a view was not kept: its search is shown again
		if typed, err := url.ParseQuery(r.PostFormValue("query")); err == nil {
			in = typed
		}
	}
	for name, values := range in {
		if !slices.Contains(trailKeys, name) || len(values) == 0 || values[0] == "" {
			in.Del(name)
		}
	}
	mine, err := p.viewsOf(r, v)
	if err != nil {
		return shown{}, err
	}
	out, err := p.readTrail(r, v, q, in.Encode())
	out.Mine, out.Kept, out.Name = mine, in.Encode(), r.PostFormValue("name")
	out.Query, out.Link, out.Views = in, "/trail?"+in.Encode(), views
	slices.Reverse(out.Events)
	return shown{"trail", "Trail", out}, err
}

// timelinePage shows one session from its first event to its last.
func (p *Portal) timelinePage(r *http.Request, v *viewer) (shown, error) {
	id := r.PathValue("id")
	out, err := p.readTrail(r, v, audit.Query{Session: id, Limit: 5 * mostShown, Last: true}, "session="+id)
	out.Link = "/trail/sessions/" + id
	return shown{"timeline", "One session", out}, err
}

func (p *Portal) readTrail(r *http.Request, v *viewer, q audit.Query, what string) (out trailData, err error) {
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

type policyData struct {
	Digest   string
	Rules    []ruleShown
	Filter   string
	Groups   map[string]*policy.Group
	Datasets int
	Changes  []audit.Record
}

type ruleShown struct {
	*policy.Rule
	Who   []string
	Level string
	State string
}

func (p *Portal) policyPage(r *http.Request, _ *viewer) (shown, error) {
	pol := p.c.Policy()
	out := policyData{Digest: pol.Digest, Datasets: len(pol.Datasets), Groups: pol.Groups, Filter: strings.TrimSpace(r.URL.Query().Get("q"))}
	for _, rule := range pol.Rules {
		s := ruleShown{rule, plainNames(rule.To), rule.Level.String(), "active"}
		switch {
		case rule.Shadow:
			s.State = "shadow"
		case !rule.Enabled:
			s.State = "off"
		case rule.Request != nil:
			s.State = "on request"
		}
		if hit(out.Filter, rule.Name+" "+rule.On+" "+s.State, s.Who) {
			out.Rules = append(out.Rules, s)
		}
	}
	for f, err := range audit.Search(r.Context(), p.c.Trail, audit.Query{Kind: audit.Reload, Limit: 10, Last: true}) {
		if err == nil {
			out.Changes = append(out.Changes, f.Record)
		}
	}
	slices.Reverse(out.Changes)
	return shown{"policy", "Policy", out}, nil
}

type healthData struct {
	Stores  []storeHealth
	Version string
	Gateway string
	Columns int
}

type storeHealth struct{ Name, Why string }

func (p *Portal) healthPage(*http.Request, *viewer) (shown, error) {
	out := healthData{Version: p.c.Version, Gateway: p.c.Gateway, Columns: len(p.c.Columns())}
	seen := p.c.Health()
	for _, name := range sortedNames(p.c.Policy().Stores) {
		why, known := seen[name]
		if !known {
			why = "not looked at yet"
		}
		out.Stores = append(out.Stores, storeHealth{name, why})
	}
	return shown{"health", "Health", out}, nil
}
