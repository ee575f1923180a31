package daemon

import (
	"context"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/policy"
)

// written is a trail that takes everything.
type written struct{ audit.Recorder }

func (written) Record(context.Context, audit.Event) (string, error) { return "id", nil }

// A grant is used by a statement that was let through and touches its dataset; not by a login, a refusal, or one on something else (ACC-17).
func TestWhatUsesAGrant(t *testing.T) {
	t.Parallel()
	p := &policy.Policy{
		Stores: map[string]*policy.Store{"shop": {Name: "shop"}},
		Datasets: map[string]*policy.Dataset{
			"staff": {Name: "staff", Include: []policy.TablePattern{{Store: "shop", Schema: "public", Table: "payroll"}}},
			"goods": {Name: "goods", Include: []policy.TablePattern{{Store: "shop", Schema: "public", Table: "prices"}}},
		},
		Rules: []*policy.Rule{
			{Name: "asked", On: "staff", Enabled: true, Request: &policy.Request{Kind: policy.OnRequest}},
			{Name: "direct", On: "goods", Enabled: true},
		},
	}
	p = p.WithGrants(map[string][]policy.Held{"ana": {{Rule: "asked", Until: policy.Never()}}})
	touches := func(table string) []audit.Touch { return []audit.Touch{{Relation: "shop.public." + table}} }
	for name, tt := range map[string]struct {
		event audit.Event
		used  bool
	}{
		"a statement":             {audit.Event{Kind: audit.Decision, Verdict: "allow", Subject: "ana", Rules: []string{"asked"}, Touches: touches("payroll")}, true},
		"one that is rewritten":   {audit.Event{Kind: audit.Decision, Verdict: "rewrite", Subject: "ana", Rules: []string{"direct", "asked"}, Touches: touches("payroll")}, true},
		"one that is refused":     {audit.Event{Kind: audit.Decision, Verdict: "refuse", Subject: "ana", Rules: []string{"asked"}, Touches: touches("payroll")}, false},
		"one on something else":   {audit.Event{Kind: audit.Decision, Verdict: "allow", Subject: "ana", Rules: []string{"direct", "asked"}, Touches: touches("prices")}, false},
		"one on nothing":          {audit.Event{Kind: audit.Decision, Verdict: "allow", Subject: "ana", Rules: []string{"asked"}}, false},
		"a login":                 {audit.Event{Kind: audit.LoginAccepted, Verdict: "allow", Subject: "ana", Rules: []string{"asked"}, Touches: touches("payroll")}, false},
		"who holds it otherwise":  {audit.Event{Kind: audit.Decision, Verdict: "allow", Subject: "bob", Rules: []string{"asked"}, Touches: touches("payroll")}, false},
		"by membership, directly": {audit.Event{Kind: audit.Decision, Verdict: "allow", Subject: "ana", Rules: []string{"direct"}, Touches: touches("payroll")}, false},
	} {
		d := &daemon{world: &world{}, opts: Options{Clock: gateway.SystemClock{}}}
		d.world.current.Store(&inForce{policy: p})
		g := &grants{d: d}
		g.uses.take() // as serve begins
		before := time.Now()
		if _, err := (usesRecorder{written{}, g}).Record(t.Context(), tt.event); err != nil {
			t.Fatal(err)
		}
		at := g.uses.take()[tt.event.Subject]["asked"]
		if used := !at.IsZero(); used != tt.used || used && at.Before(before) {
			t.Errorf("%s: used at %s, want %v", name, at, tt.used)
		}
	}
}
