package rules_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
)

// answerRules are those of errors, notices, counts and plans (sections 10 and 11).
var answerRules = []rule{
	{id: "ENF-59", do: rebuilt},
	{id: "ENF-60", do: noValues},
	{id: "ENF-61", do: noNotices},
	{id: "ENF-62", tries: []try{
		{"ana", "SELECT count(1 / (id - 4)) FROM customers", "2"},
		{"wall ana", "SELECT count(1 / (id - 4)) FROM customers", "2"},
		{"ana", "SELECT count(1 / (id - 1)) FROM customers", "error 22012"},
		{"ana", "SELECT count(*) FROM events WHERE payload::int > 0 AND false", "0"},
	}},
	{id: "ENF-63", tries: []try{
		{"sam", "UPDATE customers SET phone = phone", "tag UPDATE 2"},
		{"sam", "DELETE FROM notes WHERE id = 2", "tag DELETE 0"},
		{"sam", "UPDATE notes SET body = 'changed' WHERE author = 'uma'", "tag UPDATE 0"},
	}},
	{id: "ENF-64", tries: all(
		each("ana", "error 42501", "EXPLAIN SELECT * FROM customers", "EXPLAIN ANALYZE SELECT * FROM customers", "EXPLAIN (VERBOSE) SELECT 1", "EXPLAIN (FORMAT json) SELECT * FROM products"),
		each("tess", "error 42501", "EXPLAIN ANALYZE SELECT * FROM customers", "EXPLAIN (VERBOSE) SELECT * FROM customers", "EXPLAIN (BUFFERS, ANALYZE) SELECT 1", "EXPLAIN (COSTS) SELECT * FROM customers WHERE id = 4"),
	)},
	{id: "ENF-65", do: plainPlan},
}

// rebuilt: of an error only severity, SQLSTATE and the gateway's own words come through.
func rebuilt(t *testing.T, w *world) {
	ctx := context.Background()
	for _, sql := range []string{
		"SELECT name::int FROM customers", "SELECT 1 / (id - 2) FROM customers", "SELECT ('{' || name)::jsonb FROM customers", "SELECT name::date FROM customers", "INSERT INTO notes VALUES (1, 'sam', 'again', 1)",
		"INSERT INTO notes VALUES (77, 'sam', repeat('x', 50), 1)", "SELECT nosuch FROM customers",
	} {
		_, err := w.session(t, "sam").Exec(ctx, sql).ReadAll()
		e := (*pgconn.PgError)(nil)
		if !asPgError(err, &e) {
			t.Errorf("%s: %v, want an error of the server", sql, err)
			continue
		}
		if e.Detail+e.Hint+e.Where+e.InternalQuery+e.SchemaName+e.TableName+e.ColumnName+e.DataTypeName+e.ConstraintName+e.File+e.Routine != "" || e.Line != 0 || e.InternalPosition != 0 {
			t.Errorf("%s: more than its code and a message came: %+v", sql, e)
		}
		if strings.Contains(e.Message, "Bob") || strings.Contains(e.Message, "postern_shop") {
			t.Errorf("%s: %q", sql, e.Message)
		}
	}
}

// noValues: what the server's own message repeats, the client's does not.
func noValues(t *testing.T, w *world) {
	for _, x := range []struct{ sql, value string }{
		{"SELECT count(*) FROM customers WHERE name::int > 0", "Bob"},
		{"INSERT INTO notes VALUES (50, 'sam', '" + strings.Repeat("secretive ", 5) + "', 1)", "secretive"},
		{"SELECT ('{\"a\": ' || name || '}')::jsonb FROM customers", "Bob"},
		{"SELECT to_date(name, 'YYYY-MM-DD') FROM customers", "Bob"},
		{"INSERT INTO notes VALUES (51, 'secretive', 'x', 1)", "secretive"},
	} {
		behind, through := w.ask(t, "wall sam", x.sql), w.ask(t, "sam", x.sql)
		if !strings.HasPrefix(behind, "error") || !strings.HasPrefix(through, "error "+strings.Fields(behind)[1]) || strings.Contains(through, x.value) {
			t.Errorf("%s: the server says %q, the gateway %q", x.sql, behind, through)
		}
	}
}

// noNotices: a trigger of the application's tells its notices to nobody.
func noNotices(t *testing.T, w *world) {
	for _, at := range []struct {
		dsn   string
		heard bool
	}{{w.DSN("sam", "shop"), false}, {w.DB.DSN(pgtest.SuperUser), true}} {
		config, err := pgconn.ParseConfig(at.dsn)
		if err != nil {
			t.Fatal(err)
		}
		var heard []string
		config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { heard = append(heard, n.Message) }
		ctx := context.Background()
		conn, err := pgconn.ConnectConfig(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		table := "notes"
		if at.heard {
			table = "app.notes"
		}
		_, err = conn.Exec(ctx, "BEGIN; INSERT INTO "+table+" VALUES (60, 'sam', 'x', 1); ROLLBACK").ReadAll()
		_ = conn.Close(ctx)
		if err != nil || strings.Contains(strings.Join(heard, " "), "hidden") != at.heard {
			t.Errorf("%v: heard %q", err, heard)
		}
	}
}

// plainPlan: the shape, and nothing of conditions, costs, rows or the policy; and so for what stands in other statements.
func plainPlan(t *testing.T, w *world) {
	w.ask(t, "tess", "PREPARE p AS SELECT * FROM customers WHERE phone = 'x'")
	for _, sql := range []string{
		"EXPLAIN SELECT c.name FROM customers c JOIN orders o ON o.id = c.id WHERE c.id = 3 AND c.name LIKE 'A%'", "EXPLAIN (COSTS OFF) SELECT * FROM events WHERE payload = 'x'", "EXPLAIN EXECUTE p",
		"EXPLAIN CREATE TEMP TABLE planned AS SELECT name FROM customers WHERE phone = 'x'", "EXPLAIN CREATE TEMP TABLE planned AS EXECUTE p",
		"EXPLAIN DECLARE planned CURSOR FOR SELECT name FROM customers WHERE phone = 'x'",
	} {
		got := w.ask(t, "tess", sql)
		if !strings.Contains(got, "Scan") {
			t.Errorf("%s shows no plan: %q", sql, got)
		}
		for _, bad := range []string{"Filter", "Cond", "cost", "rows", "Output", "One-Time", "region", "postern", "assignments", "hidden", "events_"} {
			if strings.Contains(got, bad) {
				t.Errorf("%s shows %q:\n%s", sql, bad, got)
			}
		}
	}
}

func asPgError(err error, e **pgconn.PgError) bool { return errors.As(err, e) }
