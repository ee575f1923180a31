package portal

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/policy"
)

// waiting is what waits for somebody's decision.
func (p *Portal) waiting(ctx context.Context, v *viewer) ([]access.Request, error) {
	open, err := p.undecided.get(ctx, p.c.Access)
	if err != nil {
		return nil, err
	}
	return p.c.Desk.Inbox(ctx, v.Actor, open)
}

// counter is a store that knows cheaply whether anything has changed.
type counter interface {
	ChangeCount(ctx context.Context) (int64, error)
}

// undecided keeps the requests that wait, which every page counts, until something changes. Whose decision each of them waits for is not
// kept: that is worked out for whoever asks, each time.
type undecided struct {
	mu    sync.Mutex
	known bool
	at    int64
	list  []access.Request // never changed
}

func (u *undecided) get(ctx context.Context, from access.Store) ([]access.Request, error) {
	c, ok := from.(counter)
	if !ok {
		return from.Requests(ctx, access.Filter{Open: true})
	}
	// The count comes first: what changes between the two is read now and once more by the next.
	at, err := c.ChangeCount(ctx)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	list, fresh := u.list, u.known && u.at == at
	u.mu.Unlock()
	if fresh {
		return list, nil
	}
	if list, err = from.Requests(ctx, access.Filter{Open: true}); err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.known || at >= u.at {
		u.list, u.at, u.known = list, at, true
	}
	return list, nil
}

// MineQuery chooses among what somebody holds, held and asked for.
type MineQuery struct {
	Filter string `json:"q,omitempty"` // words of a dataset, a rule, a state or a reason
}

// Mine is what somebody holds, held and asked for.
type Mine struct {
	Live     []access.Grant   `json:"live"`
	Past     []access.Grant   `json:"past"` // those that ended last
	Requests []access.Request `json:"waiting"`
	Closed   []access.Request `json:"closed"`   // the latest that gave nothing
	Standing []string         `json:"standing"` // datasets held by membership, without asking
	// Extendable are the grants that could be asked to go on now, and until when at most.
	Extendable []access.Extension `json:"extendable"`
}

// mostPast is how much of what is over somebody is shown of their own.
const mostPast = 20

func (p *Portal) mine(r *http.Request, v *viewer, in MineQuery) (Mine, error) {
	out := Mine{Requests: []access.Request{}, Closed: []access.Request{}, Standing: []string{}}
	live, err := p.c.Access.Grants(r.Context(), access.Filter{Subject: v.Subject.Name, Open: true})
	if err != nil {
		return Mine{}, err
	}
	past, err := p.c.Access.Grants(r.Context(), access.Filter{Subject: v.Subject.Name, Over: true, Newest: mostPast})
	if err != nil {
		return Mine{}, err
	}
	unwanted := func(g access.Grant) bool {
		return !hit(in.Filter, g.Dataset+" "+g.Rule+" "+string(g.State)+" "+stateWord(g.State)+" "+g.Reason)
	}
	slices.SortStableFunc(live, endsFirst)
	out.Live, out.Past = notNil(slices.DeleteFunc(live, unwanted)), notNil(slices.DeleteFunc(past, unwanted))
	if out.Extendable, err = p.extendable(r.Context(), v, out.Live); err != nil {
		return Mine{}, err
	}
	asked, err := p.c.Access.Requests(r.Context(), access.Filter{Subject: v.Subject.Name})
	if err != nil {
		return Mine{}, err
	}
	for _, q := range asked {
		switch {
		case !hit(in.Filter, q.Dataset+" "+q.Rule+" "+string(q.State)+" "+q.Note):
		case q.State == access.Pending:
			out.Requests = append(out.Requests, q)
		case q.Grant == "":
			out.Closed = append(out.Closed, q)
		}
	}
	latest := func(a, b access.Request) int { return b.Created.Compare(a.Created) }
	slices.SortStableFunc(out.Requests, latest)
	slices.SortStableFunc(out.Closed, latest)
	out.Closed = out.Closed[:min(len(out.Closed), mostPast)]
	pol := p.c.Policy()
	for _, rule := range pol.Rules {
		if rule.Enabled && rule.Request == nil && pol.Holds(v.Subject, rule) && hit(in.Filter, rule.On+" "+rule.Name) {
			out.Standing = append(out.Standing, rule.On)
		}
	}
	slices.Sort(out.Standing)
	out.Standing = slices.Compact(out.Standing)
	return out, nil
}

// endsFirst puts first what ends first.
func endsFirst(a, b access.Grant) int { return a.End.Compare(b.End) }

func (p *Portal) minePage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.mine, func(q MineQuery, out Mine) shown {
		return shown{"mine", "My access", struct {
			MineQuery
			Mine
		}{q, out}}
	})
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
	return listed(r, "/mine", what), err
}

// OverseenQuery chooses grants of others.
type OverseenQuery struct {
	Filter string `json:"q,omitempty"`   // words of a person, a dataset, a rule or a state
	All    bool   `json:"all,omitempty"` // those too that are over
	Due    bool   `json:"due,omitempty"` // only those that somebody has to look at
	// Before goes on where an answer ended, with those alone that were over before: it is the answer's earlier.
	Before string `json:"before,omitempty"`
}

// Overseen are grants of others: all that live, the most urgent first, and behind them those that ended last, the last one first.
type Overseen struct {
	Grants []OverseenGrant `json:"grants"`
	// Earlier is what goes on with those that ended before, as before; none: there are none.
	Earlier string `json:"earlier,omitempty"`
}

// OverseenGrant is a grant with what whoever looks may do about it.
type OverseenGrant struct {
	access.Grant
	MayEnd     bool `json:"may_end"`
	MaySuspend bool `json:"may_suspend,omitempty"`
	MayResume  bool `json:"may_resume,omitempty"`
	MayConfirm bool `json:"may_confirm,omitempty"`
	// ReviewBy is until when somebody should answer for it in the dataset's review; zero: nobody has to.
	ReviewBy time.Time `json:"review_by,omitzero"`
}

// mostEnded is how many grants that are over a page and a call show at once, and lookEnded how many are looked at in one go for those
// that a filter wants.
const (
	mostEnded = 200
	lookEnded = 1000
)

// overseen lists grants: to owners those on their datasets, to those who read the trail all of them.
func (p *Portal) overseen(r *http.Request, v *viewer, q OverseenQuery) (Overseen, error) {
	reviews, err := p.reviewsOf(r, v, trailReaders(v))
	if err != nil {
		return Overseen{}, err
	}
	return p.overseenWith(r.Context(), v, q, reviews)
}

func (p *Portal) overseenWith(ctx context.Context, v *viewer, q OverseenQuery, reviews []Review) (Overseen, error) {
	asked := map[string]time.Time{}
	for i := range reviews {
		for _, id := range reviews[i].Unanswered {
			asked[id] = reviews[i].Due
		}
	}
	pol := p.c.Policy()
	var on []string // nil: on anything
	if !trailReaders(v) {
		on = answersFor(pol, v.Subject)
	}
	out := Overseen{Grants: []OverseenGrant{}}
	wanted := func(g access.Grant) bool {
		return hit(q.Filter, g.Subject+" "+g.Dataset+" "+g.Rule+" "+string(g.State)+" "+stateWord(g.State))
	}
	add := func(g access.Grant) {
		may := access.ActsOn(pol, v.Actor, &g, p.c.Desk.Now())
		out.Grants = append(out.Grants, OverseenGrant{g, may.Revoke, may.Suspend, may.Resume, may.Confirm, asked[g.ID]})
	}
	if q.Before == "" {
		live, err := p.c.Access.Grants(ctx, access.Filter{Open: true, Datasets: on})
		if err != nil {
			return out, err
		}
		slices.SortStableFunc(live, func(a, b access.Grant) int { return cmp.Or(access.ReviewOrder(a, b), endsFirst(a, b)) })
		for _, g := range live {
			if wanted(g) && (!q.Due || !g.ReviewDue.IsZero() || !asked[g.ID].IsZero()) {
				add(g)
			}
		}
	}
	if q.Due || !q.All {
		return out, nil
	}
	ended, earlier, err := p.ended(ctx, access.Filter{Datasets: on}, q, wanted)
	out.Earlier = earlier
	for _, g := range ended {
		add(g)
	}
	return out, err
}

// answersFor lists the datasets that somebody answers for.
func answersFor(pol *policy.Policy, s policy.Subject) []string {
	out := []string{}
	for _, name := range sortedNames(pol.Datasets) {
		if s.Is(pol.Datasets[name].Owners) {
			out = append(out, name)
		}
	}
	return out
}

// ended finds the grants that ended last and are wanted, and what goes on from there; "": there are no others.
func (p *Portal) ended(ctx context.Context, f access.Filter, q OverseenQuery, wanted func(access.Grant) bool) (found []access.Grant, earlier string, err error) {
	if f.Before, err = placeOf(q.Before); err != nil {
		return nil, "", err
	}
	f.Over, f.Newest = true, mostEnded+1 // one more, to see whether there is one
	if q.Filter != "" {
		f.Newest = lookEnded
	}
	for {
		some, err := p.c.Access.Grants(ctx, f)
		if err != nil {
			return nil, "", err
		}
		for _, g := range some {
			f.Before = &access.Place{Closed: g.Closed, ID: g.ID}
			switch {
			case !wanted(g):
			case len(found) == mostEnded:
				last := found[mostEnded-1]
				return found, placeText(access.Place{Closed: last.Closed, ID: last.ID}), nil
			default:
				found = append(found, g)
			}
		}
		if len(some) < f.Newest {
			return found, "", nil
		}
	}
}

// placeText writes where a grant stands among those that ended, and placeOf reads it; "" is the beginning.
func placeText(at access.Place) string {
	return strconv.FormatInt(at.Closed.UnixMicro(), 10) + "-" + at.ID
}

func placeOf(text string) (*access.Place, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // the beginning is no place
	}
	micro, id, ok := strings.Cut(text, "-")
	at, err := strconv.ParseInt(micro, 10, 64)
	if !ok || err != nil || id == "" {
		return nil, badCall("before is what an answer calls earlier")
	}
	return &access.Place{Closed: time.UnixMicro(at), ID: id}, nil
}

type grantsData struct {
	OverseenQuery
	Overseen
	noted
	Reviews []Review
	Further string // leads to grants that ended before these; "": there are none
}

func (p *Portal) grantsPage(r *http.Request, v *viewer) (shown, error) {
	reviews, err := p.reviewsOf(r, v, trailReaders(v))
	if err != nil {
		return shown{}, err
	}
	do := func(r *http.Request, v *viewer, q OverseenQuery) (Overseen, error) {
		return p.overseenWith(r.Context(), v, q, reviews)
	}
	return look(r, v, do, func(q OverseenQuery, out Overseen) shown {
		data := grantsData{OverseenQuery: q, Overseen: out, noted: notedIn(r), Reviews: reviews}
		if out.Earlier != "" {
			q.Before = out.Earlier
			data.Further = "/grants?" + filled(q).Encode()
		}
		return shown{"grants", "Grants", data}
	})
}

func (p *Portal) grantAct(r *http.Request, v *viewer) (string, error) {
	what := r.PathValue("what")
	if _, err := p.changeGrant(r, v, r.PathValue("id"), what, note(r)); err != nil {
		return "", err
	}
	return listed(r, "/grants", what), nil
}

// ConnectionQuery chooses a store.
type ConnectionQuery struct {
	Store string `json:"store,omitempty"` // none, or one that you hold nothing on: the first that you hold something on
}

// Connection is what a client needs besides a password.
type Connection struct {
	Host   string   `json:"host"`
	Port   string   `json:"port"`
	User   string   `json:"user"`
	Store  string   `json:"store,omitempty"` // the database to name; none: you hold nothing yet
	Stores []string `json:"stores"`          // that you hold something on
}

func (p *Portal) connection(r *http.Request, v *viewer, q ConnectionQuery) (Connection, error) {
	out := Connection{Store: q.Store, Stores: []string{}, User: v.Subject.Name}
	pol := p.c.Policy()
	for _, name := range sortedNames(pol.Stores) {
		if len(pol.RulesOf(v.Subject, name)) > 0 {
			out.Stores = append(out.Stores, name)
		}
	}
	if !slices.Contains(out.Stores, out.Store) {
		if out.Store = ""; len(out.Stores) > 0 {
			out.Store = out.Stores[0]
		}
	}
	out.Host, out.Port = p.gatewayFor(r)
	return out, nil
}

type connectData struct {
	Connection
	Live []Shown
	New  *IssueAnswer
	Life string // of a temporary password, at most
}

func (p *Portal) connectPage(r *http.Request, v *viewer) (shown, error) {
	live, err := p.credentials(r, v, nothing{})
	if err != nil {
		return shown{}, err
	}
	return look(r, v, p.connection, func(_ ConnectionQuery, out Connection) shown {
		return shown{"connect", "Connect", connectData{Connection: out, Live: live, Life: p.c.Policy().CredentialLife(v.Subject, p.c.Desk.Now()).String()}}
	})
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
