// Package scan_test holds the scan against real servers. A world is a server set up in some way, looked at with some rights; what each check
// must say of it is written down line by line. Every check needs a world in which it fails and one in which it passes, and is shown to be
// blind when what it needs is missing; TestEveryCheckHasFixtures refuses a check without them.
package scan_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
	"github.com/postern-sec/postern/test/site"
)

func TestMain(m *testing.M) { site.Main(m) }

// today is the day on which all worlds are judged.
var today = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// level is with what rights a world is looked at.
type level string

const (
	superuser level = pgtest.SuperUser
	plain     level = "scan_login"   // a login and nothing else
	monitor   level = "scan_monitor" // pg_monitor
	granted   level = "scan_grants"  // pg_monitor and the granted views
)

// world is a server set up in some way and what the checks must say of it.
type world struct {
	name     string
	major    int             // 0: pgtest.DefaultMajor
	options  []pgtest.Option // a server of its own, for what needs a start; else the worlds of a major share one
	system   []string        // name = 'value', by ALTER SYSTEM and a reload
	hba      []string        // lines before those that every server of the tests has
	sql      string          // as superuser, in a database of the world's own, which is the one that is scanned
	as       level
	overTCP  bool
	env      func(*scan.Env)
	recorded string // "bad" or "good": starts from the recording's database of that name in place of a server of its own
	// derived, when set, says what edit does to the evidence that the real server gave, and why no server is set up so.
	derived string
	edit    func(*catalog.Evidence)
	// expect has one line for each statement: "fail ID [part of an object]", "pass ID…", "na ID…", "blind ID…" (not evaluated),
	// "spare ID part of an object" for a near miss that must not be among the findings, "is ID severity part of an object".
	expect string
}

func newEnv(t testing.TB) *scan.Env {
	t.Helper()
	a, err := scan.Bundled()
	if err != nil {
		t.Fatal(err)
	}
	return &scan.Env{Now: today, Advisories: a, Consents: map[scan.Consent]bool{}}
}

// prepareLevels makes the roles that worlds are looked at with.
func prepareLevels(t testing.TB, db *pgtest.DB) {
	t.Helper()
	for _, l := range []level{plain, monitor, granted} {
		db.Role(t, string(l))
	}
	db.Exec(t, "GRANT pg_monitor TO scan_monitor, scan_grants")
	views, functions := "pg_hba_file_rules, pg_file_settings, pg_config", "pg_hba_file_rules(), pg_show_all_file_settings(), pg_config()"
	if db.Major >= 15 {
		views, functions = views+", pg_ident_file_mappings", functions+", pg_ident_file_mappings()"
	}
	db.Exec(t, "GRANT SELECT ON "+views+" TO scan_grants; GRANT EXECUTE ON FUNCTION "+functions+" TO scan_grants")
}

// gather looks at one database of a server.
func gather(t testing.TB, db *pgtest.DB, as level, overTCP bool) *catalog.Evidence {
	t.Helper()
	dsn := db.DSN(string(as))
	if overTCP {
		dsn = db.TCP(string(as), db.Name, false)
	}
	target, err := postgres.ScanDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	e, err := target.Gather(ctx, postgres.Gather{Databases: []string{db.Name}, Now: today})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range e.Unseen {
		if u.Broken {
			t.Errorf("could not read %s in %q: %s", u.Fact, u.Database, u.Why)
		}
	}
	return e
}

// build sets a world up and gathers its evidence. What it changed on a shared server is put back when the test ends.
func (w *world) build(t *testing.T) *catalog.Evidence {
	t.Helper()
	if w.recorded != "" {
		e := recordings.take(t, w.recorded)
		if w.edit != nil {
			w.edit(e)
		}
		return e
	}
	if w.major == 0 {
		w.major = pgtest.DefaultMajor
	}
	if w.as == "" {
		w.as = superuser
	}
	var c *pgtest.Cluster
	if len(w.options) > 0 {
		c = pgtest.Start(t, w.major, w.options...)
	} else {
		c = pgtest.Shared(t, w.major)
		t.Cleanup(func() { putBack(t, c) })
	}
	db := c.NewDatabase(t)
	if w.as != superuser {
		prepareLevels(t, db)
	}
	if w.sql != "" {
		db.Exec(t, w.sql)
	}
	w.configure(t, c)
	e := gather(t, db, w.as, w.overTCP)
	if w.edit != nil {
		w.edit(e)
	}
	return e
}

// configure changes settings and rules and waits until the server has taken them.
func (w *world) configure(t *testing.T, c *pgtest.Cluster) {
	t.Helper()
	if len(w.system) == 0 && len(w.hba) == 0 {
		return
	}
	before := c.Query(t, "SELECT pg_conf_load_time()")
	for _, line := range w.system {
		c.Exec(t, "ALTER SYSTEM SET "+line)
	}
	if len(w.hba) > 0 {
		c.SetHBA(t, w.hba...)
	} else {
		c.Exec(t, "SELECT pg_reload_conf()")
	}
	awaitReload(t, c, before)
}

func awaitReload(t *testing.T, c *pgtest.Cluster, before string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); c.Query(t, "SELECT pg_conf_load_time()") == before; {
		if time.Now().After(end) {
			t.Fatal("the server did not reload its configuration")
		}
	}
}

// putBack removes what worlds leave on a shared server: databases, roles, tablespaces, settings and rules.
func putBack(t *testing.T, c *pgtest.Cluster) {
	t.Helper()
	for _, name := range lines(c.Query(t, "SELECT quote_ident(datname) FROM pg_database WHERE datname NOT IN ('postgres', 'template0', 'template1')")) {
		c.Exec(t, "DROP DATABASE "+name+" WITH (FORCE)")
	}
	before := c.Query(t, "SELECT pg_conf_load_time()")
	c.Exec(t, "ALTER SYSTEM RESET ALL")
	c.SetHBA(t)
	awaitReload(t, c, before)
	if roles := c.Query(t, "SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles WHERE oid >= 16384"); roles != "" {
		c.Exec(t, "DROP OWNED BY "+roles)
		c.Exec(t, "DROP ROLE "+roles)
	}
	c.Exec(t, "ALTER ROLE postgres RESET ALL; ALTER DATABASE postgres RESET ALL")
}

// check runs the scan over evidence and compares.
func (w *world) check(t *testing.T, e *catalog.Evidence) *scan.Report {
	t.Helper()
	env := newEnv(t)
	if w.env != nil {
		w.env(env)
	}
	r, err := scan.Run(e, env, scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines(w.expect) {
		if complaint := disagree(r, line); complaint != "" {
			t.Errorf("%s: %s", line, complaint)
		}
	}
	return r
}

func lines(text string) []string {
	var out []string
	for _, l := range strings.Split(text, "\n") {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			out = append(out, l)
		}
	}
	return out
}

// states are the words of expect.
var states = map[string]scan.State{"fail": scan.Failed, "pass": scan.Passed, "na": scan.NotApplicable, "blind": scan.NotEvaluated}

// disagree says how a report differs from a line of expect, "" when it does not.
func disagree(r *scan.Report, line string) string {
	verb, rest, _ := strings.Cut(line, " ")
	id, object, _ := strings.Cut(rest, " ")
	switch verb {
	case "fail", "is", "spare":
		res := r.Result(id)
		if res == nil {
			return "there is no such check"
		}
		severity := ""
		if verb == "is" {
			severity, object, _ = strings.Cut(object, " ")
		}
		hit := slices.IndexFunc(res.Findings, func(f scan.Judged) bool { return strings.Contains(f.Object, object) })
		switch {
		case verb == "spare" && hit >= 0:
			return "found " + describe(res)
		case verb == "spare":
			return ""
		case res.State != scan.Failed || hit < 0:
			return "is " + describe(res)
		case severity != "" && res.Findings[hit].Severity.String() != severity:
			return "is " + describe(res)
		}
		return ""
	}
	want, ok := states[verb]
	if !ok {
		return "no such word"
	}
	for _, id := range strings.Fields(rest) {
		res := r.Result(id)
		if res == nil {
			return "there is no check " + id
		}
		if res.State != want {
			return id + " is " + describe(res)
		}
	}
	return ""
}

func describe(r *scan.Result) string {
	out := string(r.State)
	if r.Reason != "" {
		out += " (" + r.Reason + ")"
	}
	for _, f := range r.Findings {
		out += fmt.Sprintf("\n    %s: %s: %s", f.Severity, f.Object, f.Evidence)
	}
	return out
}

// TestWorlds runs every world.
func TestWorlds(t *testing.T) {
	for _, w := range worlds() {
		t.Run(w.name, func(t *testing.T) { w.check(t, w.build(t)) })
	}
}
