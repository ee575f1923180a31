package portal

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
)

// InboxQuery chooses among what waits for whoever looks.
type InboxQuery struct {
	Filter string `json:"q,omitempty"` // words of a person, a dataset, a rule, a purpose or the reason
}

// ToDecide is a request with what helps to decide it.
type ToDecide struct {
	access.Request
	Has    []string `json:"has,omitempty"`    // rules that the person holds on the dataset already
	Labels []string `json:"labels,omitempty"` // of the dataset's columns
	Must   bool     `json:"note_required"`    // of whoever decides
	Factor bool     `json:"factor_required"`  // a fresh one, of whoever approves
	// Before is what came of earlier requests; none: more people ask than are looked at for one answer.
	Before *AskedBefore `json:"before,omitempty"`
}

// AskedBefore is what is known of a person and a dataset when they ask for it.
type AskedBefore struct {
	LastUse time.Time `json:"last_use,omitzero"` // of the dataset, under a grant of theirs; none: never
	Others  []string  `json:"others,omitempty"`  // who else holds the same rule by request, some of them
	More    int       `json:"more_others"`       // how many others there are beside these
	Decided []Decided `json:"decided,omitempty"` // what they asked for on it before, the latest first
}

// Decided is an earlier request with what became of it.
type Decided struct {
	Rule  string       `json:"rule"`
	State access.State `json:"state"`
	At    time.Time    `json:"at"`
	By    []string     `json:"by,omitempty"`
	Word  string       `json:"word,omitempty"` // of whoever decided last
}

// What an answer looks at and shows of those who ask: each of them costs the state two questions.
const (
	mostAskers  = 50
	mostOthers  = 5
	mostDecided = 3
)

func (p *Portal) inbox(r *http.Request, v *viewer, in InboxQuery) ([]ToDecide, error) {
	found, err := p.waiting(r.Context(), v)
	if err != nil {
		return nil, err
	}
	found = slices.SortedStableFunc(slices.Values(found), func(a, b access.Request) int { return a.Expires.Compare(b.Expires) }) // the most urgent first
	pol := p.c.Policy()
	all := p.layout(pol)
	out := []ToDecide{}
	for _, q := range found {
		if !hit(in.Filter, q.Subject+" "+q.Dataset+" "+q.Rule+" "+q.Purpose+" "+q.Note) {
			continue
		}
		t := ToDecide{Request: q}
		if rule := pol.Rule(q.Rule); rule != nil && rule.Request != nil {
			t.Must, t.Factor = rule.Request.Note.Answers(), rule.Request.Factor.Answers()
		}
		if s, known := pol.Subject(q.Subject); known {
			for _, rule := range pol.Rules {
				if rule.On == q.Dataset && rule.Enabled && pol.Holds(s, rule) {
					t.Has = append(t.Has, rule.Name)
				}
			}
		}
		if d := pol.Datasets[q.Dataset]; d != nil {
			t.Labels = all.in(d).labels
		}
		out = append(out, t)
	}
	return out, p.before(r.Context(), out)
}

// before adds what was there before: one question about all datasets, and two for each of the first people.
func (p *Portal) before(ctx context.Context, list []ToDecide) error {
	var on, who []string
	for _, t := range list {
		if !slices.Contains(who, t.Subject) && len(who) < mostAskers {
			who = append(who, t.Subject)
		}
		if slices.Contains(who, t.Subject) && !slices.Contains(on, t.Dataset) {
			on = append(on, t.Dataset)
		}
	}
	if len(who) == 0 {
		return nil
	}
	live, err := p.c.Access.Grants(ctx, access.Filter{Open: true, Datasets: on})
	if err != nil {
		return err
	}
	for _, name := range who {
		past, err := p.c.Access.Grants(ctx, access.Filter{Subject: name, Over: true, Datasets: on, Newest: mostPast})
		if err != nil {
			return err
		}
		asked, err := p.c.Access.Requests(ctx, access.Filter{Subject: name})
		if err != nil {
			return err
		}
		for i := range list {
			if t := &list[i]; t.Subject == name {
				t.Before = beforeOf(&t.Request, slices.Concat(live, past), asked)
			}
		}
	}
	return nil
}

// beforeOf picks from grants and requests what is of use for one request.
func beforeOf(q *access.Request, grants []access.Grant, asked []access.Request) *AskedBefore {
	out := &AskedBefore{}
	for _, g := range grants {
		switch {
		case g.Dataset != q.Dataset:
		case g.Subject == q.Subject:
			if g.LastUse.After(out.LastUse) {
				out.LastUse = g.LastUse
			}
		case g.Live() && g.Rule == q.Rule && !slices.Contains(out.Others, g.Subject):
			out.Others = append(out.Others, g.Subject)
		}
	}
	slices.Sort(out.Others)
	if n := len(out.Others); n > mostOthers {
		out.Others, out.More = out.Others[:mostOthers], n-mostOthers
	}
	for _, old := range asked {
		if old.Dataset == q.Dataset && old.State != access.Pending {
			out.Decided = append(out.Decided, decidedOf(&old))
		}
	}
	slices.SortStableFunc(out.Decided, func(a, b Decided) int { return b.At.Compare(a.At) })
	out.Decided = out.Decided[:min(len(out.Decided), mostDecided)]
	return out
}

func decidedOf(q *access.Request) Decided {
	out := Decided{Rule: q.Rule, State: q.State, At: q.Closed}
	for _, d := range q.Decisions {
		if d.By != "" && !slices.Contains(out.By, d.By) {
			out.By = append(out.By, d.By)
		}
		out.Word = d.Note
		if d.At.After(out.At) {
			out.At = d.At
		}
	}
	if out.At.IsZero() {
		out.At = q.Created
	}
	return out
}

type inboxData struct {
	InboxQuery
	noted
	Requests []ToDecide
	Fresh    bool // the viewer's second factor is
}

// noted is a word that was sent about one thing of many, for its field when the page comes again.
type noted struct{ id, note string }

func notedIn(r *http.Request) noted {
	if r.Method == http.MethodGet {
		return noted{}
	}
	return noted{r.PathValue("id"), r.PostFormValue("note")}
}

// Again says whether the word was about this one.
func (n noted) Again(id string) bool { return n.id == id }

// Note is the word that was sent about one.
func (n noted) Note(id string) string {
	if n.Again(id) {
		return n.note
	}
	return ""
}

func (p *Portal) inboxPage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.inbox, func(q InboxQuery, out []ToDecide) shown {
		return shown{"inbox", "To decide", inboxData{q, notedIn(r), out, p.fresh(v)}}
	})
}

func (p *Portal) decideAct(r *http.Request, v *viewer) (string, error) {
	what := r.PathValue("what")
	if what != "approve" && what != "deny" {
		return "", access.ErrNotFound
	}
	out, err := p.decideOn(r, v, r.PathValue("id"), what, note(r))
	if err != nil {
		return "", err
	}
	if what == "approve" && out.Grant == nil {
		what = "further"
	}
	return listed(r, "/inbox", what), nil
}

func note(r *http.Request) string {
	return strings.TrimSpace(strings.ReplaceAll(r.PostFormValue("note"), "\r", ""))
}
