package portal

import (
	"net/http"
	"time"

	"github.com/postern-sec/postern/internal/identity"
)

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
	// Looking: changes from before these may be in the trail, and are still looked for.
	Looking bool `json:"still_looking,omitempty"`
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
	changes, whole, err := p.policyChanges(r.Context())
	out.Changes, out.Since, out.Looking = notNil(changes[:min(len(changes), mostChanges)]), since(changes, pol.Digest), !whole
	return out, err
}

func (p *Portal) policyPage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.rules, func(q PolicyQuery, out PolicyShown) shown {
		return shown{"policy", "Policy", struct {
			PolicyQuery
			PolicyShown
			May  bool     // propose changes
			Sent sentRule // a change that does not do
		}{q, out, editors(v), sentRuleIn(r)}}
	})
}

// HealthQuery chooses stores.
type HealthQuery struct {
	Filter string `json:"q,omitempty"` // words of a store, or of why it is not in use
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

func (p *Portal) health(_ *http.Request, _ *viewer, q HealthQuery) (Health, error) {
	out := Health{Stores: []StoreHealth{}, Version: p.c.Version, Gateway: p.c.Gateway, Columns: len(p.c.Columns())}
	seen := p.c.Health()
	for _, name := range sortedNames(p.c.Policy().Stores) {
		why, known := seen[name]
		if !known {
			why = "not looked at yet"
		}
		if hit(q.Filter, name+" "+why) {
			out.Stores = append(out.Stores, StoreHealth{name, why})
		}
	}
	return out, nil
}

func (p *Portal) healthPage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.health, func(q HealthQuery, out Health) shown {
		return shown{"health", "Health", struct {
			HealthQuery
			Health
		}{q, out}}
	})
}
