package scan_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/pgtest"
)

// TestWaysAgreeWithServers makes random roles, memberships, tables, views, partitions, functions and row policies, and holds the ways that
// who-can lists against what happens: what has_table_privilege says at once and after SET ROLE, what is left when a role has really granted
// itself all that it may, and what a query really answers through a view, a parent, a function and a policy.
func TestWaysAgreeWithServers(t *testing.T) {
	graphs := roleGraphs
	if n, err := strconv.Atoi(os.Getenv("POSTERN_ROLE_GRAPHS")); err == nil {
		graphs = n
	}
	seed := seedOfRun(t, "POSTERN_RIGHTS_SEED")
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		rnd := rand.New(rand.NewPCG(seed, uint64(c.Major))) //nolint:gosec // a test's choices
		for range graphs {
			compareWays(t, c, rnd)
		}
	})
}

// randomDetours adds what a right can be reached over.
func randomDetours(rnd *rand.Rand, major int) string {
	var b strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+";\n", args...) }
	roles := []string{"q0", "q1", "q2", "q3", "q4", "q5", "q6"}
	anyone := append([]string{"PUBLIC"}, roles...)
	if rnd.IntN(2) == 0 {
		say("ALTER ROLE %s CREATEROLE", pick(rnd, roles...))
	}
	if major < 16 {
		say("DO $$ BEGIN GRANT q5 TO q1 WITH ADMIN OPTION; EXCEPTION WHEN OTHERS THEN NULL; END $$")
		say("DO $$ BEGIN GRANT q6 TO q2 WITH ADMIN OPTION; EXCEPTION WHEN OTHERS THEN NULL; END $$")
	}
	for i, from := range []string{"s1.t1", "s2.t2", "s1.v0", "s2.v1"} {
		view := fmt.Sprintf("s%d.v%d", i%2+1, i)
		with := ""
		if major >= 15 && rnd.IntN(3) == 0 {
			with = " WITH (security_invoker = true)"
		}
		say("CREATE VIEW %s%s AS SELECT 1 AS one FROM %s", view, with, from)
		say("ALTER VIEW %s OWNER TO %s", view, pick(rnd, roles...))
		say("GRANT SELECT ON %s TO %s", view, pick(rnd, anyone...))
	}
	say("CREATE TABLE s1.whole(a int) PARTITION BY RANGE (a); CREATE TABLE s2.part PARTITION OF s1.whole DEFAULT; INSERT INTO s1.whole VALUES (1)")
	say("ALTER TABLE s1.whole OWNER TO %s; ALTER TABLE s2.part OWNER TO %s; GRANT SELECT ON s1.whole TO %s", pick(rnd, roles...), pick(rnd, roles...), pick(rnd, anyone...))
	for i, tab := range []string{"s1.t1", "s2.t1"} {
		f := fmt.Sprintf("s%d.reader%d", 2-i, i)
		say("CREATE FUNCTION %s() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*)::int FROM %s'", f, tab)
		say("ALTER FUNCTION %s() OWNER TO %s", f, pick(rnd, roles...))
		if rnd.IntN(2) == 0 {
			say("REVOKE EXECUTE ON FUNCTION %s() FROM PUBLIC; GRANT EXECUTE ON FUNCTION %s() TO %s", f, f, pick(rnd, roles...))
		}
	}
	say("CREATE TABLE s1.guarded(a int); INSERT INTO s1.guarded VALUES (1); ALTER TABLE s1.guarded OWNER TO %s; ALTER TABLE s1.guarded ENABLE ROW LEVEL SECURITY", pick(rnd, roles...))
	if rnd.IntN(2) == 0 {
		say("ALTER TABLE s1.guarded FORCE ROW LEVEL SECURITY")
	}
	if rnd.IntN(3) == 0 {
		say("ALTER ROLE %s BYPASSRLS", pick(rnd, roles...))
	}
	say("GRANT SELECT ON s1.guarded TO %s, %s", pick(rnd, anyone...), pick(rnd, anyone...))
	say("CREATE POLICY p ON s1.guarded FOR %s TO %s USING (true)", pick(rnd, "ALL", "SELECT", "UPDATE"), pick(rnd, anyone...))
	say("CREATE POLICY narrow ON s1.guarded AS RESTRICTIVE TO %s USING (true)", pick(rnd, roles...))
	return b.String()
}

// ourWays is what who-can says of every role, for one relation and privilege.
type ourWays map[string][]catalog.Way

func waysOf(x *catalog.Reacher, d *catalog.DatabaseEvidence, table, column, privilege string) ourWays {
	out := ourWays{}
	for _, h := range x.WhoCan(d.Relation(nameOf(table)), column, []string{privilege}) {
		out[h.Role] = h.Ways
	}
	return out
}

// direct reports whether a role has the privilege itself, at most after when.
func (o ourWays) direct(role string, when catalog.When) bool {
	return slices.ContainsFunc(o[role], func(w catalog.Way) bool {
		at, closed := w.When, w.Kind == catalog.WayRegrant && len(w.Lacks) > 0
		w.When = catalog.Now
		return at <= when && !closed && w.Open() && w.Kind != catalog.WayCreateRole
	})
}

// everything reports whether a role can grant itself whatever it likes, by CREATEROLE before 16.
func (o ourWays) everything(role string) bool {
	return slices.ContainsFunc(o[role], func(w catalog.Way) bool { return w.Kind == catalog.WayCreateRole })
}

// through reports whether a role comes to rows at once, over what is named ("" for the table itself).
func (o ourWays) through(role, over string) bool {
	return slices.ContainsFunc(o[role], func(w catalog.Way) bool {
		return w.When == catalog.Now && len(w.Lacks) == 0 && (w.Through == over && w.Kind != catalog.WayServer && w.Kind != catalog.WayReplication || w.Kind == catalog.WaySuperuser)
	})
}

func compareWays(t *testing.T, c *pgtest.Cluster, rnd *rand.Rand) {
	t.Helper()
	defer putBack(t, c)
	db := c.NewDatabase(t)
	sql := randomGraph(rnd, c.Major) + randomDetours(rnd, c.Major)
	db.Exec(t, sql)
	e := gather(t, db, superuser, false)
	d := e.Databases[0]
	i := slices.IndexFunc(e.Server.Databases, func(f catalog.DatabaseFacts) bool { return f.Name == db.Name })
	x := catalog.NewReacher(e.Server, d, &e.Server.Databases[i].Database)
	conn := db.Connect(t, pgtest.SuperUser)
	complain := func(what, role string, ours, theirs bool) {
		if ours != theirs {
			t.Errorf("%s, %s: who-can says %v, the server %v", what, role, ours, theirs)
		}
	}
	roles := []string{"q0", "q1", "q2", "q3", "q4", "q5", "q6"}
	for _, table := range []string{"s1.t1", "s2.t2"} {
		for _, p := range []string{"SELECT", "DELETE"} {
			o := waysOf(x, d, table, "", p)
			for _, r := range roles {
				what := p + " on " + table
				complain(what+" now", r, o.direct(r, catalog.Now), yes(t, conn, "SELECT has_table_privilege($1, $2, $3)", r, table, p))
				mode := "SET"
				if c.Major < 16 {
					mode = "MEMBER"
				}
				complain(what+" after SET ROLE", r, o.direct(r, catalog.BySet),
					yes(t, conn, "SELECT bool_or(has_table_privilege(o.oid, $2::text, $3)) FROM pg_roles o WHERE pg_has_role($1::text, o.oid, $4)", r, table, p, mode))
				before := t.Failed()
				if !o.everything(r) {
					complain(what+" after granting itself", r, o.direct(r, catalog.ByGrant), afterGranting(t, conn, r, table, p, mode))
				}
				if t.Failed() && !before {
					t.Logf("%+v", o[r])
				}
			}
		}
		o := waysOf(x, d, table, "b", "SELECT")
		for _, r := range roles {
			ours := o.direct(r, catalog.Now) || slices.ContainsFunc(o[r], func(w catalog.Way) bool {
				return w.When == catalog.Now && w.Through == "" && slices.Contains(w.Columns, "b")
			})
			complain("SELECT (b) on "+table, r, ours, yes(t, conn, "SELECT has_column_privilege($1, $2, 'b', 'SELECT')", r, table))
		}
	}
	compareDetours(t, conn, x, d, roles, complain)
	if t.Failed() {
		t.Fatalf("after\n%s", sql)
	}
}

// compareDetours asks the real question as each role.
func compareDetours(t *testing.T, conn *pgx.Conn, x *catalog.Reacher, d *catalog.DatabaseEvidence, roles []string, complain func(what, role string, ours, theirs bool)) {
	t.Helper()
	detours := []struct{ table, over, sql string }{
		{"s1.t1", "s1.v0", "SELECT true FROM (SELECT count(*) FROM s1.v0) x"},
		{"s2.t2", "s2.v1", "SELECT true FROM (SELECT count(*) FROM s2.v1) x"},
		{"s1.t1", "s1.v2", "SELECT true FROM (SELECT count(*) FROM s1.v2) x"},
		{"s2.t2", "s2.v3", "SELECT true FROM (SELECT count(*) FROM s2.v3) x"},
		{"s2.part", "s1.whole", "SELECT count(*) = 1 FROM s1.whole"},
		{"s1.t1", "s2.reader0()", "SELECT s2.reader0() >= 0"},
		{"s2.t1", "s1.reader1()", "SELECT s1.reader1() >= 0"},
		{"s1.guarded", "", "SELECT count(*) = 1 FROM s1.guarded"},
	}
	for _, q := range detours {
		if v := d.Relation(nameOf(q.over)); v != nil && v.Kind == 'v' && (v.Invoker() || len(v.DependsOn) > 0 && d.Relation(v.DependsOn[0]).Invoker()) {
			continue // no way of its own: who asks needs the right on the table
		}
		o := waysOf(x, d, q.table, "", "SELECT")
		for _, r := range roles {
			if x.Rights().Superuser(r) {
				continue
			}
			before := t.Failed()
			complain(q.sql, r, o.through(r, q.over), asRole(t, conn, r, q.sql))
			if t.Failed() && !before {
				t.Logf("%+v", o[r])
			}
		}
	}
}

func yes(t *testing.T, conn *pgx.Conn, sql string, args ...any) bool {
	t.Helper()
	var out bool
	if err := conn.QueryRow(context.Background(), sql, args...).Scan(&out); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// asRole asks as a role; what is refused is no.
func asRole(t *testing.T, conn *pgx.Conn, role, sql string) bool {
	t.Helper()
	ctx := context.Background()
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, "SET LOCAL SESSION AUTHORIZATION "+role); err != nil {
		t.Fatal(err)
	}
	var out bool
	// Parsed anew each time: a prepared statement is not asked for rights on schemas again.
	if err := tx.QueryRow(ctx, sql, pgx.QueryExecModeSimpleProtocol).Scan(&out); err != nil {
		if !strings.Contains(err.Error(), "42501") {
			t.Fatalf("as %s: %s: %v", role, sql, err)
		}
		return false
	}
	return out
}

// afterGranting lets a role really grant itself, from every role that it can become, whatever it may, until nothing more comes of it, and then
// asks whether it has the privilege.
func afterGranting(t *testing.T, conn *pgx.Conn, role, table, privilege, mode string) bool {
	t.Helper()
	ctx := context.Background()
	tx, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, fmt.Sprintf(`DO $$
		DECLARE o name; x name; before int := -1; after int := 0;
		BEGIN
			SET LOCAL SESSION AUTHORIZATION %[1]s;
			WHILE after > before LOOP
				before := after;
				FOR o IN SELECT rolname FROM pg_roles WHERE pg_has_role('%[1]s', oid, '%[2]s') LOOP
					EXECUTE format('SET LOCAL ROLE %%I', o);
					FOR x IN SELECT rolname FROM pg_roles WHERE rolname <> '%[1]s' AND NOT pg_has_role('%[1]s', oid, '%[2]s') LOOP
						BEGIN
							EXECUTE format('GRANT %%I TO %[1]s', x);
						EXCEPTION WHEN OTHERS THEN NULL;
						END;
					END LOOP;
					BEGIN
						GRANT %[4]s ON %[3]s TO %[1]s;
					EXCEPTION WHEN OTHERS THEN NULL;
					END;
				END LOOP;
				RESET ROLE;
				SELECT count(*) INTO after FROM pg_roles WHERE pg_has_role('%[1]s', oid, '%[2]s');
			END LOOP;
		END $$`, role, mode, table, privilege)); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "RESET SESSION AUTHORIZATION"); err != nil {
		t.Fatal(err)
	}
	var out bool
	if err := tx.QueryRow(ctx, "SELECT bool_or(has_table_privilege(o.oid, $2::text, $3)) FROM pg_roles o WHERE pg_has_role($1::text, o.oid, $4)", role, table, privilege, mode).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}
