package postgres

import (
	"testing"

	"github.com/postern-sec/postern/internal/plan"
)

// One rule is alone, several are together.
func TestNotBuilt(t *testing.T) {
	t.Parallel()
	a, b := &plan.Rule{Name: "a"}, &plan.Rule{Name: "b"}
	for want, rules := range map[string][]*plan.Rule{
		"nothing is built yet for the rule a":              {a},
		"nothing is built yet for the rules a, b together": {a, b},
	} {
		if got := notBuilt(&plan.Profile{Rules: rules}); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
