package scan_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// TestReadsOnly holds a whole scan to what the server itself says of it: one connection for each database, a read-only transaction in each,
// no write, no DDL, no temporary object.
func TestReadsOnly(t *testing.T) {
	for _, major := range pgtest.Majors(t) {
		t.Run(fmt.Sprintf("pg%d", major), func(t *testing.T) {
			c := pgtest.Start(t, major, pgtest.Setting("log_statement", "all"), pgtest.Setting("log_connections", "on"), pgtest.Setting("log_line_prefix", "[%a] "))
			db := c.NewDatabase(t)
			db.Exec(t, `CREATE TABLE t(id int); CREATE VIEW v AS SELECT 1/(id-id) AS boom FROM t; INSERT INTO t VALUES (1);
				CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''called''; END'`)
			prepareLevels(t, db)
			before := len(c.Log())
			for _, l := range []level{superuser, granted, monitor, plain} {
				scanWhole(t, db, l)
			}
			log := c.Log()[before:]
			databases := 3 // postgres, template1 and the test's own
			if n := len(regexp.MustCompile(`(?m)connection authorized: .*application_name=postern-scan`).FindAllString(log, -1)); n != 4*databases {
				t.Errorf("%d connections for four scans of %d databases", n, databases)
			}
			for _, l := range strings.Split(log, "\n") {
				text, ours := strings.CutPrefix(l, "[postern-scan] ")
				if !ours || !strings.Contains(text, "statement: ") && !strings.Contains(text, "execute ") {
					continue
				}
				_, sql, _ := strings.Cut(text, ": ")
				_, sql, _ = strings.Cut(sql, ": ")
				if !regexp.MustCompile(`(?i)^\s*(--|select|with|begin transaction isolation level repeatable read read only|begin|rollback|savepoint|release|set local)`).MatchString(sql) {
					t.Errorf("the scan ran %s", sql)
				}
			}
			if strings.Contains(log, "ERROR") {
				t.Errorf("the scan caused an error:\n%s", log[strings.Index(log, "ERROR"):][:400])
			}
			if !strings.Contains(log, "read only") {
				t.Error("no transaction was read-only")
			}
		})
	}
}

// scanWhole scans every database and returns the report.
func scanWhole(t *testing.T, db *pgtest.DB, as level) *scan.Report {
	t.Helper()
	target, err := postgres.ScanDSN(db.DSN(string(as)))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	e, err := target.Gather(context.Background(), postgres.Gather{Now: today})
	if err != nil {
		t.Fatal(err)
	}
	r, err := scan.Run(e, newEnv(t), scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %v, %s", as, time.Since(start).Round(time.Millisecond), r.Score())
	for _, res := range r.Results {
		if res.Broken {
			t.Errorf("as %s: %s could not look: %s", as, res.Check.ID, res.Reason)
		}
	}
	return r
}

// TestLevelsOnlyAdd: more rights never take a finding away, and what a level cannot see is said.
func TestLevelsOnlyAdd(t *testing.T) {
	c := pgtest.Default(t)
	t.Cleanup(func() { putBack(t, c) })
	db := c.NewDatabase(t)
	prepareLevels(t, db)
	db.Exec(t, "CREATE ROLE boss SUPERUSER LOGIN; CREATE TABLE t(id int); GRANT SELECT ON t TO PUBLIC")
	var less *scan.Report
	for _, l := range []level{plain, monitor, granted, superuser} {
		more := scanWhole(t, db, l)
		if less != nil {
			for i := range less.Results {
				was, is := less.Results[i], more.Results[i]
				if was.State == scan.Failed && is.State != scan.Failed && !aboutScanner(was.Check.ID) {
					t.Errorf("%s: %s before, as %s %s", was.Check.ID, describe(&was), l, describe(&is))
				}
			}
			if a, b := less.States()[scan.NotEvaluated], more.States()[scan.NotEvaluated]; b > a {
				t.Errorf("as %s %d checks are not evaluated, %d before", l, b, a)
			}
		}
		less = more
	}
}

// aboutScanner are checks whose answer depends on who asks: the scanner's own rights are no finding to itself.
func aboutScanner(id string) bool {
	return slices.Contains([]string{"LOG-037", "PRV-018", "META-001"}, id)
}

// TestHostileServer scans a server full of names that are meant to break something.
func TestHostileServer(t *testing.T) {
	c := pgtest.Default(t)
	t.Cleanup(func() { putBack(t, c) })
	db := c.NewDatabaseNamed(t, `shop;touch x;#"<b>`)
	for i, name := range []string{`<script>alert(1)</script>`, `a"b'c`, "x\ny", "esc\x1b[31m", `\copy`, "%s%n", `');DROP TABLE t;--`, strings.Repeat("ü", 31)} {
		q := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		db.Exec(t, fmt.Sprintf(`CREATE ROLE %s SUPERUSER LOGIN; CREATE SCHEMA %s; GRANT CREATE ON SCHEMA %s TO PUBLIC; CREATE TABLE %s.%s(%s int);
			GRANT SELECT ON %s.%s TO PUBLIC; CREATE FUNCTION %s.%s() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT %d'`, q, q, q, q, q, q, q, q, q, q, i))
	}
	r := scanWhole(t, db, superuser)
	if n := len(r.Result("ROL-001").Findings); n != 8 {
		t.Errorf("%d of 8 superusers found", n)
	}
	for _, format := range scan.Formats {
		var out strings.Builder
		if err := r.Write(&out, format); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		if strings.ContainsRune(out.String(), '\x1b') || format != "json" && strings.Contains(out.String(), "<script>alert") && format != "sarif" && format != "table" {
			t.Errorf("%s: a name got through unescaped", format)
		}
	}
	checkSARIF(t, r)
}

// TestLockedTable: what somebody else has locked costs one fact, not the scan.
func TestLockedTable(t *testing.T) {
	c := pgtest.Default(t)
	t.Cleanup(func() { putBack(t, c) })
	db := c.NewDatabase(t)
	db.Exec(t, "CREATE TABLE t(id int); CREATE VIEW v AS SELECT 'password=hunter2'::text FROM t; CREATE ROLE boss SUPERUSER LOGIN")
	conn := db.Connect(t, pgtest.SuperUser)
	if _, err := conn.Exec(context.Background(), "BEGIN; LOCK TABLE t, v IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	target, err := postgres.ScanDSN(db.DSN(pgtest.SuperUser))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	e, err := target.Gather(context.Background(), postgres.Gather{Databases: []string{db.Name}, Now: today})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the scan waited %v for a lock", took)
	}
	r, err := scan.Run(e, newEnv(t), scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if res := r.Result("ROL-001"); res.State != scan.Failed {
		t.Errorf("ROL-001 is %s", describe(res))
	}
	if res := r.Result("FUN-011"); res.State != scan.NotEvaluated || !res.Broken {
		t.Errorf("FUN-011 is %s", describe(res))
	}
	none, err := scan.Run(e, newEnv(t), scan.Options{Only: []string{"FUN-011"}})
	if err != nil || none.Exit() != 3 {
		t.Errorf("exit %d, %v; something that should have been looked at was not", none.Exit(), err)
	}
}
