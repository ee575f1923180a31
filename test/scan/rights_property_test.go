package scan_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/pgtest"
)

// roleGraphs is how many random role graphs each major gets; POSTERN_ROLE_GRAPHS asks for more.
const roleGraphs = 3

// TestRightsAgreeWithServers makes random roles, memberships and grants, and wants the effective rights that catalog.Rights computes to be
// those that has_table_privilege and its kin report.
func TestRightsAgreeWithServers(t *testing.T) {
	graphs := roleGraphs
	if n, err := strconv.Atoi(os.Getenv("POSTERN_ROLE_GRAPHS")); err == nil {
		graphs = n
	}
	seed := seedOfRun(t, "POSTERN_RIGHTS_SEED")
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		rnd := rand.New(rand.NewPCG(seed, uint64(c.Major))) //nolint:gosec // a test's choices
		for range graphs {
			compareRights(t, c, rnd)
		}
	})
}

// randomGraph is SQL that makes roles, memberships, tables and grants.
func randomGraph(rnd *rand.Rand, major int) string {
	var b strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+";\n", args...) }
	roles := []string{"q0", "q1", "q2", "q3", "q4", "q5", "q6"}
	for i, r := range roles {
		say("CREATE ROLE %s %s %s", r, pick(rnd, "LOGIN", "NOLOGIN"), pick(rnd, "INHERIT", "INHERIT", "NOINHERIT"))
		if i == 6 && rnd.IntN(2) == 0 {
			say("ALTER ROLE %s SUPERUSER", r)
		}
	}
	for i := range roles {
		for j := i + 1; j < len(roles); j++ { // no cycles: the server refuses them
			if rnd.IntN(3) > 0 {
				continue
			}
			with := ""
			if major >= 16 {
				with = fmt.Sprintf(" WITH INHERIT %s, SET %s, ADMIN %s", pick(rnd, "TRUE", "FALSE"), pick(rnd, "TRUE", "FALSE"), pick(rnd, "TRUE", "FALSE"))
			}
			say("GRANT %s TO %s%s", roles[j], roles[i], with)
		}
	}
	predefined := []string{"pg_monitor", "pg_read_server_files"}
	if major >= 14 {
		predefined = append(predefined, "pg_read_all_data", "pg_write_all_data")
	}
	if major >= 17 {
		predefined = append(predefined, "pg_maintain")
	}
	say("GRANT %s TO %s", pick(rnd, predefined...), pick(rnd, roles...))
	privileges := []string{"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "ALL"}
	for _, s := range []string{"s1", "s2"} {
		say("CREATE SCHEMA %s AUTHORIZATION %s", s, pick(rnd, roles...))
		for range 2 {
			say("GRANT %s ON SCHEMA %s TO %s", pick(rnd, "USAGE", "CREATE", "ALL"), s, pick(rnd, append([]string{"PUBLIC"}, roles...)...))
		}
		for _, name := range []string{"t1", "t2"} {
			tab := s + "." + name
			say("CREATE TABLE %s(a int, b int)", tab)
			say("ALTER TABLE %s OWNER TO %s", tab, pick(rnd, append([]string{"postgres"}, roles...)...))
			for range rnd.IntN(4) {
				say("GRANT %s ON %s TO %s", pick(rnd, privileges...), tab, pick(rnd, append([]string{"PUBLIC"}, roles...)...))
			}
			if rnd.IntN(2) == 0 {
				say("GRANT %s (b) ON %s TO %s", pick(rnd, "SELECT", "UPDATE", "INSERT"), tab, pick(rnd, append([]string{"PUBLIC"}, roles...)...))
			}
			if rnd.IntN(3) == 0 {
				say("REVOKE %s ON %s FROM %s", pick(rnd, privileges...), tab, pick(rnd, roles...))
			}
		}
		say("CREATE FUNCTION %s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", s)
		if rnd.IntN(2) == 0 {
			say("REVOKE EXECUTE ON FUNCTION %s.f() FROM PUBLIC", s)
			say("GRANT EXECUTE ON FUNCTION %s.f() TO %s", s, pick(rnd, roles...))
		}
	}
	say("DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I OWNER TO %s', current_database()); END $$", pick(rnd, roles...))
	return b.String()
}

func compareRights(t *testing.T, c *pgtest.Cluster, rnd *rand.Rand) {
	t.Helper()
	defer putBack(t, c)
	db := c.NewDatabase(t)
	sql := randomGraph(rnd, c.Major)
	db.Exec(t, sql)
	e := gather(t, db, superuser, false)
	d := e.Databases[0]
	rights := catalog.NewRights(c.Major, e.Server.Roles, e.Server.Memberships, &e.Server.Databases[0].Database)
	for i := range e.Server.Databases {
		if e.Server.Databases[i].Name == db.Name {
			rights = catalog.NewRights(c.Major, e.Server.Roles, e.Server.Memberships, &e.Server.Databases[i].Database)
		}
	}
	privileges := "SELECT INSERT UPDATE DELETE TRUNCATE REFERENCES TRIGGER"
	if c.Major >= 17 {
		privileges += " MAINTAIN"
	}
	wrong := 0
	compare := func(line string, ours bool) {
		words := strings.Split(line, "|")
		if (words[len(words)-1] == "t") != ours {
			wrong++
			t.Errorf("the server says %s, the model %v", line, ours)
		}
	}
	roles := "(SELECT rolname FROM pg_roles WHERE rolname ~ '^q[0-9]$')"
	for _, l := range lines(db.Query(t, "SELECT r, n, p, has_table_privilege(r, n, p) FROM unnest(ARRAY"+roles+") r, unnest(ARRAY['s1.t1','s1.t2','s2.t1','s2.t2']) n, unnest(string_to_array('"+privileges+"', ' ')) p")) {
		w := strings.Split(l, "|")
		compare(l, rights.Table(w[0], d.Relation(nameOf(w[1])), w[2]))
	}
	for _, l := range lines(db.Query(t, "SELECT r, n, p, has_column_privilege(r, n, 'b', p) FROM unnest(ARRAY"+roles+") r, unnest(ARRAY['s1.t1','s1.t2','s2.t1','s2.t2']) n, unnest(ARRAY['SELECT','INSERT','UPDATE','REFERENCES']) p")) {
		w := strings.Split(l, "|")
		rel := d.Relation(nameOf(w[1]))
		compare(l, rights.Column(w[0], rel, rel.Column("b"), w[2]))
	}
	for _, l := range lines(db.Query(t, "SELECT r, n, p, has_schema_privilege(r, n, p) FROM unnest(ARRAY"+roles+") r, unnest(ARRAY['s1','s2','public']) n, unnest(ARRAY['USAGE','CREATE']) p")) {
		w := strings.Split(l, "|")
		compare(l, rights.Schema(w[0], d.Schema(w[1]), w[2]))
	}
	for _, l := range lines(db.Query(t, "SELECT r, n, has_function_privilege(r, n || '.f()', 'EXECUTE') FROM unnest(ARRAY"+roles+") r, unnest(ARRAY['s1','s2']) n")) {
		w := strings.Split(l, "|")
		for i := range d.Functions {
			if d.Functions[i].Name == (catalog.Name{Schema: w[1], Name: "f"}) {
				compare(l, rights.Routine(w[0], &d.Functions[i]))
			}
		}
	}
	for _, l := range lines(db.Query(t, "SELECT r, o, 'USAGE', pg_has_role(r, o, 'USAGE') FROM unnest(ARRAY"+roles+") r, unnest(ARRAY"+roles+" || ARRAY['pg_monitor','pg_read_all_stats']::name[]) o")) {
		w := strings.Split(l, "|")
		compare(l, rights.Uses(w[0], w[1]))
	}
	if c.Major >= 16 {
		for _, l := range lines(db.Query(t, "SELECT r, o, 'SET', pg_has_role(r, o, 'SET') FROM unnest(ARRAY"+roles+") r, unnest(ARRAY"+roles+") o")) {
			w := strings.Split(l, "|")
			compare(l, rights.CanSet(w[0], w[1]))
		}
	}
	if wrong > 0 {
		t.Fatalf("%d differences after\n%s", wrong, sql)
	}
}

func nameOf(s string) catalog.Name {
	schema, name, _ := strings.Cut(s, ".")
	return catalog.Name{Schema: schema, Name: name}
}
