package postgres

import (
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
)

// TestShadowWarnings: a shadow rule that could not be put in force is a warning of the plan, which names it, the place and the cause, and
// stops nobody; one that could is none.
func TestShadowWarnings(t *testing.T) {
	w := newShop(t, pgtest.Start(t, pgtest.DefaultMajor))
	shadow := func(name, more string) []string {
		return []string{"rules:\n", "rules:\n  " + name + ":\n    to: [sam]\n    on: d\n    level: read\n    shadow: true\n" + more}
	}
	said := func(r *Result) string {
		var out []string
		for _, x := range r.Plan.Warnings {
			if strings.HasPrefix(x.ID, "shadow-fails:") {
				if x.Pos.IsZero() {
					t.Errorf("%s has no place", x.ID)
				}
				out = append(out, x.Text)
			}
		}
		return strings.Join(out, "\n")
	}
	for _, x := range []struct{ name, more, want string }{
		{"sound", `    rows: {shop.public.customers: "region = 'EU'"}` + "\n", ""},
		{"typed", `    rows: {shop.public.customers: "region = 5"}` + "\n", "shadow rule typed could not be put in force: row filter of public.customers in rule typed: "},
		{"unknown", `    rows: {shop.public.customers: "nowhere = 1"}` + "\n", "shadow rule unknown could not be put in force: "},
		{"masked", "    masks: wrong\n", "shadow rule masked could not be put in force: column public.customers.region: "},
	} {
		edits := append(shadow(x.name, x.more), "masks:\n", "masks:\n  wrong: {shop.public.customers.region: 'expression(\"value + 1\")', unlabelled: keep}\n")
		w.change(t, edits...)
		before := w.plan(t)
		got := said(before)
		if x.want == "" && got != "" || !strings.Contains(got, x.want) {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
		w.apply(t)
	}
	w.change(t)
	if got := said(w.plan(t)); got != "" {
		t.Errorf("without a shadow rule: %q", got)
	}
}
