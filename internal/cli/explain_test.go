package cli

import (
	"slices"
	"testing"

	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/policy"
)

// TestWaysToAllow: a refusal names the rules that others hold and the request to make; what no policy can allow says so.
func TestWaysToAllow(t *testing.T) {
	t.Parallel()
	hr := &policy.Dataset{Name: "hr", Owners: []string{"group:people"}, Include: []policy.TablePattern{{Store: "shop"}}}
	read := &policy.Rule{Name: "hr-read", To: []string{"group:people"}, On: "hr", Level: policy.Read, Enabled: true}
	write := &policy.Rule{Name: "hr-write", To: []string{"cleo"}, On: "hr", Level: policy.Write, Enabled: true}
	off := &policy.Rule{Name: "hr-off", To: []string{"dan"}, On: "hr", Level: policy.Own}
	p := &policy.Policy{Datasets: map[string]*policy.Dataset{"hr": hr}, Rules: []*policy.Rule{read, write, off}}
	ana, cleo := policy.Subject{Name: "ana"}, policy.Subject{Name: "cleo", Groups: []string{"people"}}
	request := "postern request hr, answered by group:people"
	for name, c := range map[string]struct {
		who     policy.Subject
		refusal pgsql.Refusal
		want    []string
	}{
		"not admitted": {ana, pgsql.Refusal{Reason: pgsql.ReasonRelation, Dataset: "hr"}, []string{
			"rule hr-read (level read), which is to group:people", "rule hr-write (level write), which is to cleo", request,
		}},
		"held already": {cleo, pgsql.Refusal{Reason: pgsql.ReasonRelation, Dataset: "hr"}, []string{request}},
		"may not write": {ana, pgsql.Refusal{Reason: pgsql.ReasonAction, Dataset: "hr"}, []string{
			"rule hr-write (level write), which is to cleo", "a rule on dataset hr with level: write that names it under write", request,
		}},
		"in no dataset": {ana, pgsql.Refusal{Reason: pgsql.ReasonRelation, Object: "public.x"}, []string{"a dataset that holds public.x, and a rule on it"}},
		"a function":    {ana, pgsql.Refusal{Reason: pgsql.ReasonFunction}, []string{"nothing in the policy: it stands on no list of what is safe under masks and filters"}},
		"a function of the application": {ana, pgsql.Refusal{Reason: pgsql.ReasonFunction, Hint: pgsql.RuleCanAllow + "the function: allow: {functions: […]}."}, []string{
			"a rule that allows the function: allow: {functions: […]}",
		}},
		"a plan": {ana, pgsql.Refusal{Reason: pgsql.ReasonExplain, Hint: pgsql.RuleCanAllow + "its plain form: allow: {explain: plain}."}, []string{
			"a rule that allows its plain form: allow: {explain: plain}",
		}},
		"a block": {ana, pgsql.Refusal{Reason: pgsql.ReasonStatement}, []string{"nothing in the policy: run it with a login that is not Postern's"}},
		"a typo":  {ana, pgsql.Refusal{Reason: pgsql.ReasonSyntax}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := waysToAllow(p, c.who, &c.refusal); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
	t.Run("no rule on the store", func(t *testing.T) {
		t.Parallel()
		want := []string{"rule hr-read (level read), which is to group:people", "rule hr-write (level write), which is to cleo", request}
		if got := waysIn(p, "shop", ana, policy.CodeNoRule); !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if got := waysIn(p, "shop", ana, policy.CodeTLSRequired); got != nil {
			t.Errorf("no rule helps against plain text: %q", got)
		}
	})
}
