package postgres

import (
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/policy"
)

// TestHoldLimits: what was agreed to holds until apply takes the looser limits, and stricter ones hold at once. TestWidening has the
// consent that the plan asks for.
func TestHoldLimits(t *testing.T) {
	w := newShop(t, pgtest.Start(t, pgtest.DefaultMajor))
	limits := func(of string) []string { return []string{"level: read", "level: read\n    limits: " + of} }
	// held is what serve puts in force of a file that was not applied, and whether it says so.
	held := func(edits []string) (policy.Limits, int64, string) {
		t.Helper()
		w.change(t, edits...)
		r := w.plan(t)
		waiting := HoldLimits(r.Wanted, r.Snapshot)
		groups := r.Wanted.Identity("ana").Profile.Tables[0].MinGroup
		if again := HoldLimits(r.Wanted, r.Snapshot); len(again) > 0 {
			t.Errorf("held limits are held once more: %q", again)
		}
		return r.Wanted.Limits["eu"], groups, strings.Join(waiting, "\n")
	}
	if is, groups, waiting := held(limits("{rows_per_query: 10, min_group: 5}")); is.RowsPerQuery != 10 || groups != 5 || waiting != "" {
		t.Errorf("before anything was agreed: %s, groups of %d, %q", is, groups, waiting)
	}
	w.apply(t)
	for _, x := range []struct {
		name, limits string
		want         policy.Limits
		waiting      string // "": the file is in force
	}{
		{"as agreed", "{rows_per_query: 10, min_group: 5}", policy.Limits{RowsPerQuery: 10, MinGroup: 5}, ""},
		{"stricter", "{rows_per_query: 9, rows_per_hour: 90, min_group: 6}", policy.Limits{RowsPerQuery: 9, RowsPerHour: 90, MinGroup: 6}, ""},
		{"looser", "{rows_per_query: 11, min_group: 4}", policy.Limits{RowsPerQuery: 10, MinGroup: 5}, "rule eu: rows_per_query is 11, was 10, min_group is 4, was 5: not in force before postern apply"},
		{"some of both", "{queries_per_minute: 3, min_group: 7}", policy.Limits{RowsPerQuery: 10, QueriesPerMinute: 3, MinGroup: 7}, "rows_per_query is no longer limited, was 10"},
		{"none", "", policy.Limits{RowsPerQuery: 10, MinGroup: 5}, "min_group is no longer limited, was 5"},
	} {
		var edits []string
		if x.limits != "" {
			edits = limits(x.limits)
		}
		is, groups, waiting := held(edits)
		if is != x.want || groups != x.want.MinGroup || (x.waiting == "") != (waiting == "") || !strings.Contains(waiting, x.waiting) {
			t.Errorf("%s: %s, groups of %d, %q; want %s, %q", x.name, is, groups, waiting, x.want, x.waiting)
		}
	}
	w.apply(t) // which consents to none
	if is, groups, waiting := held(nil); !is.IsZero() || groups != 0 || waiting != "" {
		t.Errorf("after the consent: %s, groups of %d, %q", is, groups, waiting)
	}
}

// TestStoreLimits: the limits of a store are agreed to like those of a rule.
func TestStoreLimits(t *testing.T) {
	w := newShop(t, pgtest.Start(t, pgtest.DefaultMajor))
	w.req.Policy.Stores["shop"].Limits = policy.Limits{RowsPerHour: 100}
	w.apply(t)
	w.req.Policy.Stores["shop"].Limits = policy.Limits{RowsPerHour: 200}
	r := w.plan(t)
	if open := r.Plan.Unaccepted(nil); len(open) != 1 || open[0].ID != "limits" || !strings.Contains(open[0].Reason, "store shop: rows_per_hour is 200, was 100") {
		t.Errorf("consent wanted for %v", open)
	}
	if waiting := HoldLimits(r.Wanted, r.Snapshot); len(waiting) != 1 || r.Wanted.Limits[""].RowsPerHour != 100 {
		t.Errorf("%q, %s", waiting, r.Wanted.Limits[""])
	}
	w.req.Policy.Stores["shop"].Limits = policy.Limits{RowsPerHour: 50}
	if r = w.plan(t); len(r.Plan.Unaccepted(nil)) > 0 || r.Plan.Empty() {
		t.Errorf("stricter limits: %v", r.Plan.Changes)
	}
}
