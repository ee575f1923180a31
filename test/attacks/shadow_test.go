package attacks

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// lastOf runs a statement of somebody and returns what the trail says of it.
func lastOf(t *testing.T, s *site.Site, user, sql string) decision {
	t.Helper()
	before := len(decisions(t, s, user))
	conn := connectObserved(t, s, user, nil)
	_, _ = conn.Exec(context.Background(), sql, pgx.QueryExecModeSimpleProtocol) // the trail says what became of it
	_ = conn.Close(context.Background())
	all := decisions(t, s, user)
	if len(all) != before+1 {
		t.Fatalf("the trail says %d times what became of %s of %s", len(all)-before, sql, user)
	}
	return all[before]
}

// shadowing is the corpus' policy with more rules and one more dataset.
func shadowing(t *testing.T, policy, rules string) string {
	t.Helper()
	policy = replace(t, policy, "\nrules:\n", "  pay:\n    owners: [owner]\n    include: [shop.public.payroll]\n\nrules:\n")
	return replace(t, policy, "\nbaseline:", "\n"+rules+"\nbaseline:")
}

const endedRules = `  pay-once:
    to: [support, analyst]
    on: pay
    level: read
    until: 2020-01-01
  wide-once:
    to: [support]
    on: records
    level: read
    shadow: true
    until: 2020-01-01
  wide:
    to: [support]
    on: records
    level: read
    shadow: true
`

// TestPRO118_EndsHold: what a rule admitted that is over would be refused now, for the observed as for everybody, and a shadow rule that is
// over is in no shadow, nor is a rule beside it.
func TestPRO118_EndsHold(t *testing.T) {
	t.Setenv("REPORTING_PASSWORD", pgtest.PasswordOf("reporting"))
	majors := pgtest.Majors(t)
	c := pgtest.Start(t, majors[len(majors)-1])
	db := site.NewShopDatabase(t, c)
	c.Role(t, "reporting", "LOGIN")
	db.Exec(t, "GRANT USAGE ON SCHEMA public TO reporting; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reporting")
	policy := shadowing(t, observing(t, false), endedRules) + `
tests:
  payroll is over: {as: support, sql: TABLE payroll, verdict: refuse, reason: relation_not_admitted}
  payroll was open: {as: support, at: "2019-06-01T10:00:00Z", sql: TABLE payroll, verdict: allow}
`
	s := site.New(t, db, policy)
	s.Apply(t)
	s.Must(t, "policy", "test")
	s.Serve(t)
	if e := lastOf(t, s, "analyst", "TABLE payroll"); e.Verdict != "refuse" || e.Reason != "relation_not_admitted" {
		t.Errorf("what the observed analyst held once would be decided %+v", e)
	}
	if e := lastOf(t, s, "analyst", "SELECT id FROM customers"); e.Verdict != "rewrite" {
		t.Errorf("what the observed analyst holds would be decided %+v", e)
	}
	for sql, want := range map[string]string{"TABLE payroll": "refuse", "SELECT id FROM customers": "rewrite", "SELECT id FROM patients": "allow"} {
		e := lastOf(t, s, "support", sql)
		if e.Shadow == nil || e.Shadow.Verdict != want || slices.Contains(e.Shadow.Rules, "wide-once") || !slices.Contains(e.Shadow.Rules, "wide") {
			t.Errorf("%s of support: the shadow is %+v, want %s", sql, e.Shadow, want)
		}
		x := explain(t, s, "support", sql)
		if x.Shadow == nil || x.Shadow.Verdict != e.Shadow.Verdict || x.Shadow.Reason != e.Shadow.Reason || !slices.Equal(x.Shadow.Rules, e.Shadow.Rules) || x.Verdict != e.Verdict {
			t.Errorf("%s of support: explain says %+v with the shadow %+v, the trail %+v with %+v", sql, x, x.Shadow, e, e.Shadow)
		}
	}
	if x := explain(t, s, "analyst", "TABLE payroll"); x.Verdict != "refuse" {
		t.Errorf("explain says of what the observed analyst held once %+v", x)
	}

	// A shadow rule with a mistake is in nobody's way: the others see what they saw, and the log says that nothing is tried.
	conn := connectObserved(t, s, "support", nil)
	var before, after string
	const seen = "SELECT string_agg(c::text, ' ' ORDER BY id) FROM customers c"
	if err := conn.QueryRow(context.Background(), seen).Scan(&before); err != nil || before == "" {
		t.Fatalf("support sees %q: %v", before, err)
	}
	broken := replace(t, policy, "\ndatasets:", "  misfit:\n    shop.public.customers.name: year\n    unlabelled: keep\n\ndatasets:")
	s.WritePolicy(t, replace(t, broken, "  wide:\n    to: [support]\n", "  wide:\n    masks: misfit\n    to: [support]\n"))
	s.Reload(t)
	waitFor(t, func() bool { return strings.Contains(s.Log(), "the shadow rules are not tried") })
	again := connectObserved(t, s, "support", nil)
	if err := again.QueryRow(context.Background(), seen).Scan(&after); err != nil || after != before {
		t.Errorf("with a shadow rule that does not compile support sees %q instead of %q: %v", after, before, err)
	}
	if e := lastOf(t, s, "support", "TABLE payroll"); e.Verdict != "refuse" || e.Shadow != nil {
		t.Errorf("with a shadow rule that does not compile the trail says %+v", e)
	}
}

// TestENF42_ShadowInline: what shadow rules would allow is decided as the store's tier does, and on the inline tier explain agrees with the
// gateway as it does on the walled one.
func TestENF42_ShadowInline(t *testing.T) {
	t.Setenv("READER_PASSWORD", pgtest.PasswordOf("postern_reader"))
	majors := pgtest.Majors(t)
	c := pgtest.Start(t, majors[len(majors)-1])
	db := site.NewShopDatabase(t, c)
	c.Role(t, "postern_reader", "LOGIN")
	s := site.New(t, db, shadowing(t, inlinePolicy(t), "  wide:\n    to: [support]\n    on: records\n    level: read\n    masks: support\n    shadow: true\n"))
	for _, step := range s.Plan(t).Operator {
		db.Exec(t, strings.Join(step.SQL, ";\n"))
	}
	s.Serve(t)
	for _, c := range []struct{ sql, verdict string }{
		{"SELECT relname FROM pg_class", "refuse"},
		{"SELECT NULL::customers", "refuse"},
		{"SELECT 'customers'::regclass", "refuse"},
		{"UPDATE customers SET phone = 'x' WHERE false", "refuse"},
		{"SELECT id FROM customers", "rewrite"},
	} {
		e := lastOf(t, s, "support", c.sql)
		if e.Shadow == nil || e.Shadow.Verdict != c.verdict || e.Verdict != c.verdict {
			t.Errorf("%s of support is decided %+v, in the shadow %+v, want %s", c.sql, e, e.Shadow, c.verdict)
		}
		x := explain(t, s, "support", c.sql)
		if x.Shadow == nil || x.Shadow.Verdict != c.verdict || x.Verdict != e.Verdict || strings.Contains(x.Shadow.Sent+x.Sent, "postern_") || c.verdict == "rewrite" && !strings.Contains(x.Shadow.Sent, "public.customers") {
			t.Errorf("%s of support: explain says %+v, in the shadow %+v", c.sql, x, x.Shadow)
		}
	}
	testExplainAgrees(t, s)
}
