package portal

import (
	"net/http"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/identity"
)

// awayCalls are those of standing in for who is away.
func (p *Portal) awayCalls() {
	route(p, Call{
		Pattern: "GET /api/v1/delegations", Scope: identity.ScopeRead, pages: []string{"GET /away"},
		Summary: "Who decides in your place, and in whose place you do",
	}, p.away)
	route(p, Call{
		Pattern: "POST /api/v1/delegations", Scope: peopleOnly, pages: []string{"POST /away"},
		Summary: "Let somebody stand in for you, as one who decides",
	}, p.delegate)
	route(p, Call{
		Pattern: "DELETE /api/v1/delegations/{id}", Scope: peopleOnly, pages: []string{"POST /away/{id}/end"},
		Summary: "End a delegation of yours, or one that lets you stand in, before its time",
	}, p.recall)
}

func (p *Portal) awayPages() {
	p.get("/away", p.awayPage)
	p.post("/away", p.awayAct, p.awayPage)
	p.post("/away/{id}/end", func(r *http.Request, v *viewer) (string, error) {
		_, err := p.recall(r, v, nothing{})
		return "/away?done=back", err
	}, p.awayPage)
}

// DelegateCall lets somebody stand in.
type DelegateCall struct {
	To    string    `json:"to"`
	Until time.Time `json:"until"`
}

func (p *Portal) delegate(r *http.Request, who *viewer, call DelegateCall) (*access.Delegation, error) {
	return p.c.Desk.Delegate(r.Context(), who.Actor, call.To, call.Until)
}

func (p *Portal) recall(r *http.Request, who *viewer, _ nothing) (*access.Delegation, error) {
	return p.c.Desk.Recall(r.Context(), who.Actor, r.PathValue("id"))
}

// Away is who decides in whose place, as far as somebody is concerned.
type Away struct {
	Mine []access.Delegation `json:"mine"`   // others decide for them
	For  []access.Delegation `json:"for"`    // they decide for others
	By   time.Time           `json:"end_by"` // the latest end of a new one
}

func (p *Portal) away(r *http.Request, v *viewer, _ nothing) (Away, error) {
	all, err := p.c.Desk.Away(r.Context(), v.Actor)
	out := Away{Mine: []access.Delegation{}, For: []access.Delegation{}, By: p.c.Desk.Now().Add(access.LongestAway)}
	for _, d := range all {
		if d.From == v.Subject.Name {
			out.Mine = append(out.Mine, d)
		} else {
			out.For = append(out.For, d)
		}
	}
	return out, err
}

type awayData struct {
	Away
	To    string // that was typed
	Until moment
}

func (p *Portal) awayPage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.away, func(_ nothing, out Away) shown {
		until := momentField(r, "until", p.c.Desk.Now(), out.By)
		until.Required = true
		return shown{"away", "While you are away", awayData{out, r.PostFormValue("to"), until}}
	})
}

func (p *Portal) awayAct(r *http.Request, v *viewer) (string, error) {
	until, err := momentOf(r, "until")
	if err != nil {
		return "", err
	}
	_, err = p.delegate(r, v, DelegateCall{To: strings.TrimSpace(r.PostFormValue("to")), Until: until})
	return "/away?done=away", err
}
