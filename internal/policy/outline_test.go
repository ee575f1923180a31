package policy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

func outlined() *policy.Policy {
	hour, _ := policy.ParseSpan("1h")
	table := policy.Table{Store: "shop", Schema: "public", Name: "payroll"}
	column := policy.Column{Table: table, Column: "iban"}
	return &policy.Policy{
		Stores:   map[string]*policy.Store{"shop": {Name: "shop", Engine: "postgres"}},
		Groups:   map[string]*policy.Group{"office": {Name: "office", Members: []string{"dora", "bob"}}},
		Users:    map[string]*policy.User{"ana": {Name: "ana", SCRAM: "SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5", Attributes: map[string]string{"region": "north"}}},
		Labels:   map[policy.Column]*policy.Label{column: {Column: column, Class: "fin.iban"}},
		Datasets: map[string]*policy.Dataset{"staff": {Name: "staff", Owners: []string{"group:office"}, Include: []policy.TablePattern{{Store: "shop"}}}},
		Rules: []*policy.Rule{
			{Name: "all", To: []string{"ana"}, On: "staff", Enabled: true, Level: policy.Read, Rows: map[policy.Table]policy.Filter{table: {SQL: "region = subject.region"}}},
			{Name: "ask", To: []string{"ana"}, On: "staff", Enabled: true, Level: policy.Read, Request: &policy.Request{Kind: policy.OnRequest, Max: hour, Default: hour, Expires: hour, Approvers: []policy.Step{{Names: []string{"dora"}, Min: 1}}}},
		},
	}
}

// Each change is told in words where there are some, and by a fingerprint where there are none; what is the same is not told.
func TestOutline(t *testing.T) {
	t.Parallel()
	before := outlined().Outline()
	for name, tt := range map[string]struct {
		change     func(p *policy.Policy)
		gone, come string
	}{
		"nothing":       {func(p *policy.Policy) { slices.Reverse(p.Groups["office"].Members) }, "", ""},
		"a member":      {func(p *policy.Policy) { p.Groups["office"].Members = []string{"dora"} }, "group office: members = bob, dora", "group office: members = dora"},
		"who holds":     {func(p *policy.Policy) { p.Rules[0].To = append(p.Rules[0].To, "bob") }, "rule all: to = ana", "rule all: to = ana, bob"},
		"rows":          {func(p *policy.Policy) { p.Rules[0].Rows = nil }, "rule all: rows of shop.public.payroll = region = subject.region", ""},
		"off":           {func(p *policy.Policy) { p.Rules[1].Enabled = false }, "", "rule ask: off = yes"},
		"an approver":   {func(p *policy.Policy) { p.Rules[1].Request.Approvers[0].Names = []string{"bob"} }, "rule ask: approvers = 1 of dora", "rule ask: approvers = 1 of bob"},
		"a label":       {func(p *policy.Policy) { p.Labels = nil }, "label shop.public.payroll.iban: class = fin.iban", ""},
		"an attribute":  {func(p *policy.Policy) { p.Users["ana"].Attributes["region"] = "south" }, "user ana: attribute region = north", "user ana: attribute region = south"},
		"the order":     {func(p *policy.Policy) { slices.Reverse(p.Rules) }, "policy: order of rules = all, ask", "policy: order of rules = ask, all"},
		"a later end":   {func(p *policy.Policy) { p.Rules[0].Until = time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC) }, "", "rule all: until = 2027-01-02T00:00:00Z"},
		"two lines":     {func(p *policy.Policy) { p.Rules[0].Masks = "a\nrule x: to = eve" }, "", "rule all: masks = a rule x: to = eve"},
		"a store's own": {func(p *policy.Policy) { p.Stores["shop"].Inline = true }, "", "store shop: inline = yes"},
	} {
		p := outlined()
		tt.change(p)
		gone, come := policy.CompareOutlines(before, p.Outline())
		if strings.Join(gone, "\n") != tt.gone || strings.Join(come, "\n") != tt.come {
			t.Errorf("%s:\n- %s\n+ %s", name, strings.Join(gone, "\n- "), strings.Join(come, "\n+ "))
		}
	}
}

// What proves a password is not in an outline, and that it changed is.
func TestOutlineKeepsVerifiers(t *testing.T) {
	t.Parallel()
	p := outlined()
	before := p.Outline()
	if text := strings.Join(before, "\n"); strings.Contains(text, "SCRAM") || strings.Contains(text, "c2FsdA") || strings.Contains(text, "a2V5") {
		t.Fatalf("the outline is\n%s", text)
	}
	p.Users["ana"].SCRAM = "SCRAM-SHA-256$4096:c2FsdB==$a2V5:a2V5"
	gone, come := policy.CompareOutlines(before, p.Outline())
	if len(gone) != 1 || len(come) != 1 || !strings.HasPrefix(come[0], "user ana: password = a verifier, ") {
		t.Errorf("- %q\n+ %q", gone, come)
	}
}
