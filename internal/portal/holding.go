package portal

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/access"
)

// waiting is what waits for somebody's decision.
func (p *Portal) waiting(ctx context.Context, v *viewer) ([]access.Request, error) {
	open, err := p.c.Access.Requests(ctx, access.Filter{Open: true})
	if err != nil {
		return nil, err
	}
	return p.c.Desk.Inbox(ctx, v.Actor, open)
}

// toDecide is a request with what helps to decide it.
type toDecide struct {
	access.Request
	Has    []string // what the person holds on the dataset already
	Labels []string
	Must   bool // the decider has to write one
}

func (p *Portal) inboxPage(r *http.Request, v *viewer) (shown, error) {
	found, err := p.waiting(r.Context(), v)
	if err != nil {
		return shown{}, err
	}
	pol, columns := p.c.Policy(), p.c.Columns()
	var out []toDecide
	for _, q := range found {
		t := toDecide{Request: q}
		if rule := pol.Rule(q.Rule); rule != nil && rule.Request != nil {
			t.Must = rule.Request.Note.Answers()
		}
		if s, known := pol.Subject(q.Subject); known {
			for _, rule := range pol.Rules {
				if rule.On == q.Dataset && rule.Enabled && pol.Holds(s, rule) {
					t.Has = append(t.Has, rule.Name)
				}
			}
		}
		for _, c := range columns {
			d := pol.DatasetOf(c.Table)
			if l := pol.LabelOf(c.Column); l != "" && d != nil && d.Name == q.Dataset && !slices.Contains(t.Labels, l) {
				t.Labels = append(t.Labels, l)
			}
		}
		out = append(out, t)
	}
	return shown{"inbox", "To decide", out}, nil
}

func (p *Portal) decideAct(r *http.Request, v *viewer) (string, error) {
	what := r.PathValue("what")
	if what != "approve" && what != "deny" {
		return "", access.ErrNotFound
	}
	if _, err := p.decideOn(r, v, r.PathValue("id"), what, note(r)); err != nil {
		return "", err
	}
	return "/inbox?done=" + what, nil
}

func note(r *http.Request) string {
	return strings.TrimSpace(strings.ReplaceAll(r.PostFormValue("note"), "\r", ""))
}

type mineData struct {
	Live, Past []access.Grant
	Requests   []access.Request
	Closed     []access.Request
	Standing   []string // rules held by membership
}

func (p *Portal) minePage(r *http.Request, v *viewer) (shown, error) {
	var out mineData
	grants, err := p.c.Access.Grants(r.Context(), access.Filter{Subject: v.Subject.Name})
	if err != nil {
		return shown{}, err
	}
	for _, g := range grants {
		if g.Live() {
			out.Live = append(out.Live, g)
		} else {
			out.Past = append(out.Past, g)
		}
	}
	asked, err := p.c.Access.Requests(r.Context(), access.Filter{Subject: v.Subject.Name})
	if err != nil {
		return shown{}, err
	}
	for _, q := range asked {
		switch {
		case q.State == access.Pending:
			out.Requests = append(out.Requests, q)
		case q.Grant == "":
			out.Closed = append(out.Closed, q)
		}
	}
	slices.SortFunc(out.Past, func(a, b access.Grant) int { return b.Start.Compare(a.Start) })
	slices.SortFunc(out.Closed, func(a, b access.Request) int { return b.Created.Compare(a.Created) })
	out.Past, out.Closed = out.Past[:min(len(out.Past), 20)], out.Closed[:min(len(out.Closed), 20)]
	pol := p.c.Policy()
	for _, rule := range pol.Rules {
		if rule.Enabled && rule.Request == nil && pol.Holds(v.Subject, rule) {
			out.Standing = append(out.Standing, rule.On)
		}
	}
	slices.Sort(out.Standing)
	out.Standing = slices.Compact(out.Standing)
	return shown{"mine", "My access", out}, nil
}

// mineAct takes back a request, or gives back a grant. Whose it is the desk checks.
func (p *Portal) mineAct(r *http.Request, v *viewer) (string, error) {
	var err error
	what := r.PathValue("what")
	switch what {
	case "withdraw":
		_, err = p.decideOn(r, v, r.PathValue("id"), what, "")
	case "revoke":
		_, err = p.changeGrant(r, v, r.PathValue("id"), what, "given back")
	default:
		err = access.ErrNotFound
	}
	return "/mine?done=" + what, err
}

type grantsData struct {
	Filter string
	All    bool
	Due    bool // only those that somebody has to look at
	Grants []access.Grant
	Mine   map[string]bool // which the reader may end
}

func (p *Portal) grantsPage(r *http.Request, v *viewer) (shown, error) {
	q := r.URL.Query()
	out := grantsData{Filter: strings.TrimSpace(q.Get("q")), All: q.Get("all") != "", Due: q.Get("due") != "", Mine: map[string]bool{}}
	var err error
	if trailReaders(v) {
		out.Grants, err = p.c.Access.Grants(r.Context(), access.Filter{Open: !out.All})
	} else {
		out.Grants, err = p.grantsOf(r, v, access.Filter{Open: !out.All}, true)
	}
	if err != nil {
		return shown{}, err
	}
	slices.SortStableFunc(out.Grants, access.ReviewOrder)
	pol := p.c.Policy()
	out.Grants = slices.DeleteFunc(out.Grants, func(g access.Grant) bool {
		return out.Due && (g.ReviewDue.IsZero() || !g.Live()) || !hit(out.Filter, g.Subject+" "+g.Dataset+" "+g.Rule+" "+string(g.State))
	})
	for _, g := range out.Grants {
		d := pol.Datasets[g.Dataset]
		out.Mine[g.ID] = g.Subject != v.Subject.Name && (v.Admin || d != nil && v.Subject.Is(d.Owners))
	}
	return shown{"grants", "Grants", out}, nil
}

func (p *Portal) grantAct(r *http.Request, v *viewer) (string, error) {
	what := r.PathValue("what")
	if _, err := p.changeGrant(r, v, r.PathValue("id"), what, note(r)); err != nil {
		return "", err
	}
	return "/grants?done=" + what, nil
}

type connectData struct {
	Host, Port string
	Stores     []string
	Store      string
	Live       []Shown
	New        *IssueAnswer
}

func (p *Portal) connectPage(r *http.Request, v *viewer) (shown, error) {
	out := connectData{Store: r.URL.Query().Get("store")}
	pol := p.c.Policy()
	for _, name := range sortedNames(pol.Stores) {
		if len(pol.RulesOf(v.Subject, name)) > 0 {
			out.Stores = append(out.Stores, name)
		}
	}
	if !slices.Contains(out.Stores, out.Store) && len(out.Stores) > 0 {
		out.Store = out.Stores[0]
	}
	out.Host, out.Port = p.gatewayFor(r)
	found, err := p.c.Credentials.Credentials(r.Context(), v.Subject.Name, p.c.Desk.Now())
	if err != nil {
		return shown{}, err
	}
	for _, i := range found {
		out.Live = append(out.Live, shownCredential(&i))
	}
	return shown{"connect", "Connect", out}, nil
}

// gatewayFor is where clients connect. A gateway that listens on every address is reached where the portal is.
func (p *Portal) gatewayFor(r *http.Request) (host, port string) {
	host, port, err := net.SplitHostPort(p.c.Gateway)
	if err != nil {
		return p.c.Gateway, ""
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		if here, _, err := net.SplitHostPort(r.Host); err == nil {
			host = here
		}
	}
	return host, port
}

// issuePage makes a temporary password and shows it, once.
func (p *Portal) issuePage(r *http.Request, v *viewer) (shown, error) {
	answer, err := p.issueFor(r, v, IssueCall{Kind: "temporary", Store: r.PostFormValue("store")})
	if err != nil {
		return shown{}, err
	}
	out, err := p.connectPage(r, v)
	if err != nil {
		return shown{}, err
	}
	data := out.data.(connectData) //nolint:forcetypeassert // connectPage's own
	data.New, data.Store = answer, answer.Store
	out.data = data
	return out, nil
}

func (p *Portal) revokeAct(r *http.Request, v *viewer) (string, error) {
	_, err := p.revoke(r, v, nothing{})
	return "/connect?done=credential", err
}

func (p *Portal) accountPage(r *http.Request, v *viewer) (shown, error) {
	found, err := p.sessions(r, v, nothing{})
	return shown{"account", "Your account", found}, err
}

func (p *Portal) endSessionAct(r *http.Request, v *viewer) (string, error) {
	_, err := p.endSessions(r, v, nothing{})
	return "/account?done=session", err
}
