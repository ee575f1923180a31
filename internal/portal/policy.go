package portal

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
)

// Outlines keeps what each policy that was in force said.
type Outlines interface {
	// PolicyOutline returns access.ErrNotFound for one that was never in force here.
	PolicyOutline(ctx context.Context, digest string) ([]string, error)
	// PolicyDigests lists those that are kept.
	PolicyDigests(ctx context.Context) ([]string, error)
}

// mostChanges is how many changes of the policy are listed.
const mostChanges = 20

// PolicyKinds are the kinds of the events that put a policy in force, try to, or bring a server to it.
func PolicyKinds() []audit.Kind { return []audit.Kind{audit.ServeStart, audit.Reload, audit.ApplyDone} }

// OfPolicy says whether an event is one of those. What is brought to a server for a grant is no change of the policy.
func OfPolicy(e *audit.Event) bool {
	return e.Policy != "" && (e.Kind == audit.ServeStart || e.Kind == audit.Reload || e.Kind == audit.ApplyDone)
}

// Changes is what is remembered of them.
type Changes struct {
	Events []audit.Event // the oldest first
	Whole  bool          // the trail has no others, or none that are worth showing beside these
}

// PolicyChange is one line of what happened to the policy, as the trail has it.
type PolicyChange struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"` // serve.start, policy.reload or wall.apply
	Outcome string    `json:"outcome,omitempty"`
	By      string    `json:"by,omitempty"`      // who ran postern apply; of a file, whose it was on disk
	Policy  string    `json:"policy,omitempty"`  // the digest
	Before  string    `json:"before,omitempty"`  // the digest that was in force, where it was another
	Message string    `json:"message,omitempty"` // why it was refused, or what was applied
	Store   string    `json:"store,omitempty"`   // that was applied to
	Compare bool      `json:"comparable"`        // both are kept
}

// PolicyDiff is what two policies differ in, one fact a line.
type PolicyDiff struct {
	From string   `json:"from"`
	To   string   `json:"to"`
	Gone []string `json:"gone"`
	Come []string `json:"come"`
}

// DiffCall names two policies by their digests.
type DiffCall struct {
	From string `json:"from"` // the digest of the one before, whole
	To   string `json:"to"`   // the digest of the one after, whole
}

func (p *Portal) policyCalls() {
	route(p, Call{Pattern: "GET /api/v1/policy/changes", Scope: identity.ScopeInspect, who: policyReaders, Summary: "List which policies were in force, and what was applied, the latest first"},
		func(r *http.Request, _ *viewer, _ nothing) ([]PolicyChange, error) {
			out, _, err := p.policyChanges(r.Context())
			return notNil(out[:min(len(out), mostChanges)]), err
		})
	route(p, Call{Pattern: "GET /api/v1/policy/diff", Scope: identity.ScopeInspect, who: policyReaders, pages: []string{"GET /policy/changes"}, Summary: "Compare two policies that were in force"},
		func(r *http.Request, _ *viewer, in DiffCall) (*PolicyDiff, error) {
			return p.comparePolicies(r.Context(), in)
		})
	route(p, Call{Pattern: "POST /api/v1/policy/proposals", Scope: identity.ScopeInspect, who: editors, pages: []string{"POST /policy"}, Summary: "Write a change of a rule as a patch of the policy file, for review; nothing changes"}, p.proposeRule)
}

// policyChanges says what became of the policy, and whether that is all that the trail knows.
func (p *Portal) policyChanges(ctx context.Context) (out []PolicyChange, whole bool, err error) {
	if p.c.Changes == nil {
		return nil, true, nil
	}
	all := p.c.Changes()
	slices.SortStableFunc(all.Events, func(a, b audit.Event) int { return a.Time.Compare(b.Time) })
	kept := map[string]bool{}
	if p.c.Outlines != nil {
		digests, err := p.c.Outlines.PolicyDigests(ctx)
		if err != nil {
			return nil, false, err
		}
		for _, d := range digests {
			kept[d] = true
		}
	}
	before := ""
	for _, e := range all.Events {
		c := PolicyChange{At: e.Time, Kind: string(e.Kind), Outcome: e.Verdict, By: e.Subject, Policy: e.Policy, Message: e.Message, Store: e.Store}
		if c.By == "" {
			c.By = e.Detail["file_owner"]
		}
		if c.Message == "" {
			c.Message = e.Reason
		}
		if took := e.Kind != audit.ApplyDone && e.Verdict != "refuse"; took {
			if before != e.Policy {
				c.Before = before
			}
			before = e.Policy
		}
		c.Compare = kept[c.Policy] && kept[c.Before]
		out = append(out, c)
	}
	slices.Reverse(out)
	return out, all.Whole, nil
}

func (p *Portal) comparePolicies(ctx context.Context, in DiffCall) (*PolicyDiff, error) {
	if p.c.Outlines == nil {
		return nil, access.ErrNotFound
	}
	if in.From == "" || in.To == "" {
		return nil, badCall("name two policies by their digests: from and to")
	}
	before, err := p.c.Outlines.PolicyOutline(ctx, in.From)
	if err != nil {
		return nil, err
	}
	after, err := p.c.Outlines.PolicyOutline(ctx, in.To)
	if err != nil {
		return nil, err
	}
	gone, come := policy.CompareOutlines(before, after)
	return &PolicyDiff{From: in.From, To: in.To, Gone: notNil(gone), Come: notNil(come)}, nil
}

// differPage shows what changed from one policy to another.
func (p *Portal) differPage(r *http.Request, _ *viewer) (shown, error) {
	q := r.URL.Query()
	out, err := p.comparePolicies(r.Context(), DiffCall{From: q.Get("from"), To: q.Get("to")})
	if err != nil {
		return shown{}, err
	}
	return shown{"differ", "What changed", out}, nil
}

// since is when the policy in force was taken up; the changes are the latest first.
func since(changes []PolicyChange, digest string) (at time.Time) {
	for _, c := range changes {
		if c.Kind == string(audit.ApplyDone) || c.Outcome == "refuse" {
			continue
		}
		if c.Policy != digest {
			break
		}
		at = c.At
	}
	return at
}

func ruleState(rule *policy.Rule) string {
	switch {
	case rule.Shadow:
		return "shadow"
	case !rule.Enabled:
		return "off"
	case rule.Request != nil:
		return "on request"
	}
	return "active"
}

// RuleChange is what somebody wants of a rule. It comes to a patch of the policy file, and to nothing by itself.
type RuleChange struct {
	Rule   string   `json:"rule"`
	Add    []string `json:"add,omitempty"`    // who it should be for besides, as the file writes them: users, and group:NAME
	Remove []string `json:"remove,omitempty"` // who it should be for no longer
	State  string   `json:"state,omitempty"`  // on or off; empty: as it is
}

// proposeRule writes a change of a rule for review. Who may widen is decided where the file is kept, and never here.
func (p *Portal) proposeRule(r *http.Request, v *viewer, in RuleChange) (*Proposal, error) {
	engine, err := p.insight()
	if err != nil {
		return nil, err
	}
	if p.c.Policy().Rule(in.Rule) == nil {
		return nil, badCall("there is no such rule")
	}
	if len(in.Add)+len(in.Remove) == 0 && in.State == "" {
		return nil, badCall("say what should be different: who comes in, who goes, or whether the rule is on")
	}
	if err := p.record(r, audit.Event{
		Kind: audit.PolicyProposed, Subject: v.Subject.Name, Rules: []string{in.Rule}, Verdict: "allow",
		Detail: map[string]string{"add": strings.Join(in.Add, " "), "remove": strings.Join(in.Remove, " "), "state": in.State},
	}); err != nil {
		return nil, err
	}
	return engine.ProposeRule(r.Context(), in)
}

// sentRule is a change of a rule as it was typed, for the form that comes again.
type sentRule struct{ Rule, Add, Remove, State string }

func sentRuleIn(r *http.Request) sentRule {
	return sentRule{r.PostFormValue("rule"), r.PostFormValue("add"), r.PostFormValue("remove"), r.PostFormValue("state")}
}

func (p *Portal) proposeRulePage(r *http.Request, v *viewer) (shown, error) {
	names := func(field string) []string {
		return strings.Fields(strings.ReplaceAll(r.PostFormValue(field), ",", " "))
	}
	out, err := p.proposeRule(r, v, RuleChange{
		Rule: r.PostFormValue("rule"), Add: names("add"), Remove: names("remove"), State: r.PostFormValue("state"),
	})
	return shown{"proposal", "Change of the policy", out}, err
}
