package abuse_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// TestAllowed does what a rule can allow beside reading and writing, as somebody whom a rule allows it and as somebody whom none does:
// EXPLAIN in its plain form (ENF-65), temporary tables (ENF-74), channels (ENF-76), routines and extensions' functions (ENF-52).
func TestAllowed(t *testing.T) {
	db := site.NewShopDatabase(t, pgtest.Start(t, pgtest.DefaultMajor))
	db.Exec(t, `CREATE EXTENSION pg_trgm SCHEMA public; SET ROLE app_owner;
		CREATE FUNCTION double_it(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
		CREATE FUNCTION not_listed(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
		CREATE FUNCTION owners_rights() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM public.payroll';
		CREATE PROCEDURE do_nothing(int) LANGUAGE sql AS 'SELECT 1'`)
	policy := strings.Replace(site.Testdata(t, "postern.yaml"), "allow: {temporary: true}",
		"allow: {explain: plain, temporary: true, channels: [orders_changed], functions: [shop.public.double_it, shop.public.do_nothing, shop.public.owners_rights]}", 1)
	policy = strings.Replace(policy, "schemas: [public]", "schemas: [public]\n    extensions: [pg_trgm]", 1)
	s := site.New(t, db, policy)
	if r := s.Run(t, "plan"); !strings.Contains(r.Stdout+r.Stderr, "call public.owners_rights(), which runs with the rights of app_owner") {
		t.Errorf("plan does not warn of a routine with its owner's rights:\n%.3000s", r.Stderr)
	}
	s.Apply(t)
	s.Serve(t)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	analyst, support := connect(t, s), as(t, s, "support")
	ask := func(conn *pgx.Conn, sql string) string {
		results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
		if err != nil {
			return "error " + code(err)
		}
		var lines []string
		for _, r := range results {
			for _, row := range r.Rows {
				var cells []string
				for _, cell := range row {
					cells = append(cells, string(cell))
				}
				lines = append(lines, strings.Join(cells, "|"))
			}
		}
		return strings.Join(lines, "\n")
	}
	for _, x := range []struct{ sql, want string }{
		{"CREATE TEMP TABLE kept AS SELECT id, ssn, email FROM customers", ""},
		{"SELECT count(*), count(ssn) FROM kept", "3|0"},
		{"INSERT INTO kept (id, ssn) VALUES (99, 'mine') RETURNING ssn", "mine"},
		{"SELECT k.ssn FROM kept k JOIN customers c ON c.id = k.id WHERE k.id = 1", ""},
		{"UPDATE kept SET ssn = 'x' WHERE id = 99; DELETE FROM kept WHERE id = 1; TRUNCATE kept; DROP TABLE kept", ""},
		{"CREATE TEMP TABLE customers (id int)", "error 42501"},
		{"CREATE TABLE lasting (id int)", "error 42501"},
		{"CREATE TEMP VIEW v AS SELECT 1", "error 42501"},
		{"SELECT double_it(21)", "42"},
		{"CALL do_nothing(1)", ""},
		{"SELECT not_listed(1)", "error 42501"},
		{"SELECT name FROM customers WHERE similarity(name, 'Anna Visible') > 0.9", "Anna Visible"},
		{"SELECT count(*) FROM customers TABLESAMPLE BERNOULLI (100)", "3"},
		{"SELECT count(*) FROM customers TABLESAMPLE SYSTEM (100) REPEATABLE (7)", "3"},
		{"SELECT count(*) FROM customers TABLESAMPLE BERNOULLI (0)", "0"},
		{"EXPLAIN ANALYZE SELECT 1 FROM customers", "error 42501"},
		{"LISTEN secrets", "error 42501"},
	} {
		if got := ask(analyst, x.sql); got != x.want {
			t.Errorf("analyst: %s\n%q, want %q", x.sql, got, x.want)
		}
		if got := ask(support, x.sql); strings.Contains(x.sql, "TEMP") || strings.Contains(x.sql, "double_it") || strings.Contains(x.sql, "CALL") || strings.Contains(x.sql, "EXPLAIN") {
			if got != "error 42501" {
				t.Errorf("support, whom no rule allows it: %s\n%q", x.sql, got)
			}
		}
	}
	plans(ctx, t, analyst, ask)
	copied(ctx, t, analyst)
	notified(ctx, t, analyst, s)
}

// plans: the shape is there, by both protocols, and nothing of what is hidden.
func plans(ctx context.Context, t *testing.T, conn *pgx.Conn, ask func(*pgx.Conn, string) string) {
	t.Helper()
	const sql = "EXPLAIN SELECT c.name, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 3 ORDER BY o.id"
	simple := ask(conn, sql)
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || strings.Join(lines, "\n") != simple {
		t.Errorf("by the extended protocol %v\n%s\nby the simple one\n%s", err, strings.Join(lines, "\n"), simple)
	}
	for _, want := range []string{"on customers", "on orders"} {
		if !strings.Contains(simple, want) {
			t.Errorf("the plan does not show %q:\n%s", want, simple)
		}
	}
	for _, bad := range []string{"Filter", "Cond", "EU", "region", "cost", "rows", "assignments", "InitPlan", "Key", "customers_1"} {
		if strings.Contains(simple, bad) {
			t.Errorf("the plan shows %q:\n%s", bad, simple)
		}
	}
	own := ask(conn, "EXPLAIN SELECT id, (SELECT max(o.id) FROM orders o WHERE o.customer_id = c.id) FROM customers c")
	if !strings.Contains(own, "Aggregate") || !strings.Contains(own, "on orders") {
		t.Errorf("a subquery of the client's own is not shown:\n%s", own)
	}
	if got := ask(conn, "SELECT count(*) FROM customers"); got != "3" {
		t.Errorf("the session is out of step after a plan: %q", got)
	}
}

// copied: COPY FROM goes where INSERT does in one table that the session owns.
func copied(ctx context.Context, t *testing.T, conn *pgx.Conn) {
	t.Helper()
	if _, err := conn.Exec(ctx, "CREATE TEMP TABLE loaded (a int, b text)"); err != nil {
		t.Fatal(err)
	}
	tag, err := conn.PgConn().CopyFrom(ctx, strings.NewReader("1,x\n2,y\n"), "COPY loaded (a, b) FROM STDIN WITH (FORMAT csv)")
	if err != nil || tag.RowsAffected() != 2 {
		t.Errorf("%v %v", tag, err)
	}
	if _, err := conn.PgConn().CopyFrom(ctx, strings.NewReader("9,x\n"), "COPY customers (id, name) FROM STDIN WITH (FORMAT csv)"); code(err) != "0A000" {
		t.Errorf("COPY into a view: %v", err)
	}
}

// notified: what one session sends on an open channel, another hears.
func notified(ctx context.Context, t *testing.T, conn *pgx.Conn, s *site.Site) {
	t.Helper()
	if _, err := conn.Exec(ctx, "LISTEN orders_changed"); err != nil {
		t.Fatal(err)
	}
	if _, err := connect(t, s).Exec(ctx, "NOTIFY orders_changed, 'order 7'"); err != nil {
		t.Fatal(err)
	}
	n, err := conn.WaitForNotification(ctx)
	if err != nil || n.Channel != "orders_changed" || n.Payload != "order 7" {
		t.Errorf("%+v %v", n, err)
	}
}

func as(t *testing.T, s *site.Site, user string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), s.DSN(user, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}
