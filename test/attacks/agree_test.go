package attacks

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// explained is what `postern explain` says, as far as tests look at it.
type explained struct {
	Verdict, Reason, Message, Hint, Sent string
	Shadow                               *struct {
		Rules                 []string
		Verdict, Reason, Sent string
	}
}

func explain(t *testing.T, s *site.Site, user, sql string) explained {
	t.Helper()
	r := s.Run(t, "explain", "--as", user, "--format", "json", sql)
	var e explained
	if err := json.Unmarshal([]byte(r.Stdout), &e); err != nil {
		t.Fatalf("explain --as %s %s: exit %d: %v\n%s%s", user, sql, r.Code, err, r.Stdout, r.Stderr)
	}
	return e
}

// decision is what the trail says of a statement, as far as tests look at it.
type decision struct {
	Subject, Verdict, Reason, Statement string
	Touches                             []struct{ Rules []string }
	Shadow                              *struct {
		Rules           []string
		Verdict, Reason string
	}
}

// decisions are those of one user, in order.
func decisions(t *testing.T, s *site.Site, user string) []decision {
	t.Helper()
	var out []decision
	for line := range strings.Lines(s.Must(t, "audit", "search", "--kind", "statement.decision", "--subject", user, "--format", "json")) {
		var e decision
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		out = append(out, e)
	}
	return out
}

// replace is strings.Replace of something that has to be there.
func replace(t *testing.T, text, old, with string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("there is no %q in\n%s", old, text)
	}
	return strings.Replace(text, old, with, 1)
}

// TestENF95_ExplainBeforeApply: as long as the policy was changed and postern apply was not run, explain answers what the gateway does: the
// wall is not what the policy says. Afterwards both go by the new one.
func TestENF95_ExplainBeforeApply(t *testing.T) {
	majors := pgtest.Majors(t)
	s := site.NewShop(t, pgtest.Start(t, majors[len(majors)-1]))
	plain := site.Testdata(t, "postern.yaml")
	const sql = "SELECT count(*) FROM customers"
	if e := explain(t, s, "analyst", sql); e.Reason != "profile_pending" || e.Verdict != "refuse" {
		t.Errorf("before the first apply explain says %+v", e)
	}
	s.Apply(t)
	s.Serve(t)
	for _, c := range []struct {
		what, old, with, user, reason string
	}{
		{"a filter that lets more through", `shop.public.customers: "region = 'EU'"`, `shop.public.customers: "region IN ('EU', 'US')"`, "analyst", "wall_outdated"},
		{"a mask that shows more", "shop.public.customers.ssn: hidden", "shop.public.customers.ssn: keep", "analyst", "wall_outdated"},
		{"a rule to somebody who had none", "    to: [analyst]\n", "    to: [analyst, owner]\n", "owner", "profile_pending"},
		{"a rule to somebody who had another", "    to: [analyst]\n", "    to: [analyst, support]\n", "support", "wall_outdated"},
		{"another rule instead", "    to: [support]\n", "    to: [owner]\n", "owner", "profile_pending"},
	} {
		s.WritePolicy(t, replace(t, plain, c.old, c.with))
		s.Reload(t)
		var pgErr *pgconn.PgError
		waitFor(t, func() bool {
			conn, err := pgconn.Connect(context.Background(), s.DSN(c.user, "shop"))
			if err == nil {
				_ = conn.Close(context.Background())
			}
			return asPgError(err, &pgErr) && strings.Contains(pgErr.Hint, "postern apply")
		})
		if e := explain(t, s, c.user, sql); e.Verdict != "refuse" || e.Reason != c.reason || e.Message != pgErr.Message || e.Hint != pgErr.Hint || e.Sent != "" {
			t.Errorf("%s: the gateway says %s (%s), and explain %+v", c.what, pgErr.Message, pgErr.Hint, e)
		}
	}
	s.WritePolicy(t, replace(t, plain, `shop.public.customers: "region = 'EU'"`, `shop.public.customers: "region IN ('EU', 'US')"`))
	s.Apply(t)
	s.Reload(t)
	var conn *pgx.Conn
	waitFor(t, func() (ok bool) {
		var err error
		conn, err = pgx.Connect(context.Background(), s.DSN("analyst", "shop"))
		return err == nil
	})
	defer func() { _ = conn.Close(context.Background()) }()
	var n int
	if err := conn.QueryRow(context.Background(), sql).Scan(&n); err != nil || n <= 3 {
		t.Errorf("after apply the analyst sees %d customers: %v", n, err)
	}
	if e := explain(t, s, "analyst", sql); e.Verdict != "rewrite" || e.Sent == "" {
		t.Errorf("after apply explain says %+v", e)
	}
	testExplainAgrees(t, s)
}

// agreed are statements of every kind that the guard tells apart.
var agreed = []string{
	"SELECT id, name FROM customers",
	"SELECT ssn, (SELECT max(total) FROM orders) FROM public.customers c WHERE c.region = 'EU'",
	"TABLE payroll",
	"SELECT ctid FROM customers",
	"SELECT pg_sleep(0)",
	"SELECT id FROM customers FOR UPDATE",
	"UPDATE customers SET notes = 'x' WHERE false",
	"UPDATE customers SET ssn = 'x' WHERE false",
	"COPY customers (id, ssn) TO STDOUT",
	"COPY payroll TO STDOUT",
	"EXPLAIN SELECT 1",
	"SELECT relname FROM pg_class LIMIT 1",
	"SELECT 'customers'::regclass",
	"SHOW search_path",
	"SET ROLE app_owner",
	"SELECT 1; SELECT 2",
	"CREATE TEMPORARY TABLE kept (i int)",
	"DO $$ BEGIN END $$",
	"WITH customers AS (SELECT 1 AS id) SELECT * FROM customers",
	"SELECT * FROM products TABLESAMPLE SYSTEM (100)",
	"BEGIN TRANSACTION READ WRITE",
}

// testExplainAgrees: what explain says of a statement is what the trail says that the gateway decided, and a refusal has the same words.
func testExplainAgrees(t *testing.T, s *site.Site) {
	t.Helper()
	for _, user := range []string{"analyst", "support"} {
		before := len(decisions(t, s, user))
		messages := map[string]string{}
		for _, sql := range agreed {
			conn, err := pgconn.Connect(context.Background(), s.DSN(user, "shop"))
			if err != nil {
				t.Fatal(err)
			}
			var pgErr *pgconn.PgError
			if _, err := conn.Exec(context.Background(), sql).ReadAll(); asPgError(err, &pgErr) {
				messages[sql] = pgErr.Message
			}
			_ = conn.Close(context.Background())
		}
		found := decisions(t, s, user)[before:]
		if len(found) != len(agreed) {
			t.Fatalf("the trail has %d decisions on %d statements of %s", len(found), len(agreed), user)
		}
		for i, sql := range agreed {
			if e := explain(t, s, user, sql); e.Verdict != found[i].Verdict || e.Reason != found[i].Reason || e.Verdict == "refuse" && e.Message != messages[sql] {
				t.Errorf("%s for %s: the gateway decided %s %s %q, explain says %+v", sql, user, found[i].Verdict, found[i].Reason, messages[sql], e)
			}
		}
	}
}

// TestReplayRows: a filter is another one when its text is, whatever its rule is called, and what is said of it is said of nothing else.
func TestReplayRows(t *testing.T) {
	majors := pgtest.Majors(t)
	// The second of support's is refused by a limit, which is no word about the policy's rules.
	plain := replace(t, site.Testdata(t, "postern.yaml"), "    level: write\n", "    level: write\n    limits: {queries_per_minute: 1}\n")
	s := site.New(t, site.NewShopDatabase(t, pgtest.Start(t, majors[len(majors)-1])), plain)
	s.Apply(t)
	s.Serve(t)
	for user, statements := range map[string][]string{
		"analyst": {"SELECT count(*) FROM customers", "SELECT id FROM events", "SELECT id FROM products", "TABLE payroll"},
		"support": {"SELECT count(*) FROM customers", "SELECT count(*) FROM customers"},
	} {
		conn := connectObserved(t, s, user, nil)
		for i, sql := range statements {
			_, err := conn.Exec(context.Background(), sql, pgx.QueryExecModeSimpleProtocol)
			if (err != nil) != (sql == "TABLE payroll" || user == "support" && i == 1) {
				t.Fatalf("%s: %v", sql, err)
			}
		}
	}
	const (
		customers = "shop.public.customers: \"region = 'EU'\""
		events    = "      shop.public.events: \"region = 'EU'\"\n"
	)
	for _, c := range []struct {
		what   string
		policy string
		want   []string // lines, as "user direction what"
	}{
		{"the same", plain, nil},
		{"the same rule by another name", replace(t, plain, "  analyst-eu:\n", "  europeans:\n"), nil},
		{"another filter", replace(t, plain, customers, "shop.public.customers: \"region IN ('EU', 'US')\""), []string{"analyst differs rows of public.customers"}},
		{"no filter", replace(t, plain, events, ""), []string{"analyst gains every row of public.events"}},
		{"a filter where there was none", replace(t, plain, events, events+"      shop.public.products: \"id < 2\"\n"), []string{"analyst loses rows of public.products"}},
		{
			"one rule more", replace(t, plain, "    to: [analyst]\n", "    to: [analyst, support]\n"),
			[]string{
				"support differs public.customers.email as keep or partial_email instead of keep",
				"support differs public.customers.ssn as keep_last(1) or hidden instead of keep_last(1)", "support gains rows of public.customers",
			},
		},
		{"a rule that is over", replace(t, plain, "    level: read\n", "    level: read\n    until: 2020-01-01\n"), []string{"analyst loses every access to the store"}},
		{"groups only", replace(t, plain, "    level: read\n", "    level: read\n    limits: {min_group: 3}\n"), []string{
			"analyst loses groups of fewer than 3 rows of public.customers", "analyst loses select public.events (min_group)", "analyst loses select public.products (min_group)",
		}},
	} {
		in := s.Beside(t, strings.NewReplacer(" ", "-").Replace(c.what), c.policy)
		r := s.Run(t, "audit", "replay", "--policy", in.Config, "--format", "json")
		var report struct {
			Statements, Unreplayable int
			Changes                  []struct{ Subject, Direction, What string }
		}
		if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil {
			t.Fatalf("%s: exit %d %v\n%s%s", c.what, r.Code, err, r.Stdout, r.Stderr)
		}
		var got []string
		for _, change := range report.Changes {
			got = append(got, change.Subject+" "+change.Direction+" "+change.What)
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") || report.Statements != 5 || report.Unreplayable != 0 {
			t.Errorf("%s: %d replayed, %d not\ngot  %q\nwant %q", c.what, report.Statements, report.Unreplayable, got, c.want)
		}
	}
}
