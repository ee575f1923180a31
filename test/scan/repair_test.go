package scan_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// badServer is what a careless hand leaves: each line a fault that --fix repairs.
const badServer = `
	CREATE ROLE app LOGIN; CREATE ROLE app_data NOLOGIN; CREATE ROLE "we""ird
name" LOGIN;
	GRANT CREATE ON SCHEMA public TO PUBLIC;
	CREATE SCHEMA sales AUTHORIZATION app_data; GRANT CREATE ON SCHEMA sales TO PUBLIC;
	CREATE TABLE sales.t(id int, b int); ALTER TABLE sales.t OWNER TO app_data;
	GRANT SELECT, INSERT ON sales.t TO PUBLIC; GRANT UPDATE (b) ON sales.t TO PUBLIC; GRANT SELECT ON sales.t TO "we""ird
name" WITH GRANT OPTION;
	CREATE SEQUENCE sales.s; GRANT USAGE ON SEQUENCE sales.s TO PUBLIC;
	ALTER DEFAULT PRIVILEGES FOR ROLE app_data IN SCHEMA sales GRANT SELECT ON TABLES TO PUBLIC;
	CREATE FUNCTION sales.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; ALTER FUNCTION sales.f() OWNER TO app_data;
	CREATE TABLE sales.guarded(id int); ALTER TABLE sales.guarded OWNER TO app_data; CREATE POLICY p ON sales.guarded USING (id > 0);
	GRANT EXECUTE ON FUNCTION pg_read_file(text) TO app;
	ALTER ROLE app SET log_statement = 'none'; ALTER ROLE app SET row_security = off; ALTER ROLE app CREATEDB REPLICATION BYPASSRLS`

var badSettings = []string{
	"password_encryption = 'md5'", "log_connections = 'off'", "log_disconnections = 'off'", "lo_compat_privileges = 'on'", "log_statement = 'none'",
	"ssl_min_protocol_version = 'TLSv1'",
}

// repaired must be among the checks for which --fix has something on that server.
var repaired = []string{"PRV-001", "PRV-002", "PRV-003", "PRV-005", "PRV-006", "PRV-007", "PRV-008", "PRV-009", "PRV-011", "PRV-020", "RLS-001", "FUN-001", "LOG-013", "HBA-003"}

// TestFixesRepair runs what scan --fix prints on a real bad server: each finding has gone then, and is back when the reverse was run.
func TestFixesRepair(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		defer putBack(t, c)
		db := c.NewDatabase(t)
		db.Exec(t, badServer)
		w := world{system: badSettings, hba: []string{"host " + db.Name + " app 127.0.0.1/32 md5", "host " + db.Name + " app 10.0.0.0/24 password"}}
		w.configure(t, c)
		before := judgeAll(t, db)
		fixes, manual := scan.Repairs(before)
		var ids []string
		for i := range fixes {
			ids = append(ids, fixes[i].IDs...)
		}
		for _, id := range repaired {
			if !slices.Contains(ids, id) {
				t.Errorf("%s is not repaired: %s %v", id, describe(before.Result(id)), why(manual, id))
			}
		}
		fixes = slices.DeleteFunc(fixes, func(r scan.Repair) bool { return !ownTo(&r, db) })
		run(t, db, fixes, false)
		after := judgeAll(t, db)
		for i := range fixes {
			for _, id := range fixes[i].IDs {
				if has(after, id, fixes[i].Object) {
					t.Errorf("%s %s is still there after %q %v", id, fixes[i].Object, fixes[i].SQL, fixes[i].Edits)
				}
			}
		}
		slices.Reverse(fixes)
		run(t, db, fixes, true)
		back := judgeAll(t, db)
		for i := range fixes {
			if id := fixes[i].IDs[0]; !has(back, id, fixes[i].Object) {
				t.Errorf("%s %s is not back after the reverse %q", id, fixes[i].Object, fixes[i].Reverse)
			}
		}
	})
}

func why(manual []scan.Manual, id string) []string {
	var out []string
	for _, m := range manual {
		if m.ID == id {
			out = append(out, m.Object+": "+m.Why+": "+m.Fix)
		}
	}
	return out
}

// ownTo leaves out what would change the test's own way in, and what takes a restart of a server that others share.
func ownTo(r *scan.Repair, db *pgtest.DB) bool {
	for _, e := range r.Edits {
		if e.Line == 0 || !strings.Contains(e.Old, db.Name) {
			return false
		}
	}
	return !strings.Contains(r.Risk, "restarted") && !strings.Contains(r.Object, "database postgres")
}

func judgeAll(t *testing.T, db *pgtest.DB) *scan.Report {
	t.Helper()
	r, err := scan.Run(gather(t, db, superuser, false), newEnv(t), scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func has(r *scan.Report, id, object string) bool {
	return slices.ContainsFunc(r.Result(id).Findings, func(f scan.Judged) bool { return f.Object == object })
}

// run carries out repairs, or takes them back, the way the printed script says.
func run(t *testing.T, db *pgtest.DB, fixes []scan.Repair, back bool) {
	t.Helper()
	before := db.Cluster.Query(t, "SELECT pg_conf_load_time()")
	for i := range fixes {
		for _, e := range fixes[i].Edits {
			if back {
				e.Old, e.New = e.New, e.Old
			}
			editLine(t, e)
		}
		sql := fixes[i].SQL
		if back {
			sql = fixes[i].Reverse
		}
		for _, s := range sql {
			db.Exec(t, scan.SafeSQL(s))
		}
	}
	db.Exec(t, "SELECT pg_reload_conf()")
	awaitReload(t, db.Cluster, before)
}

func editLine(t *testing.T, e scan.Edit) {
	t.Helper()
	text, err := os.ReadFile(e.File)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(e.File)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Split(string(text), "\n")
	if got := strings.Join(strings.Fields(all[e.Line-1]), " "); got != e.Old {
		t.Fatalf("line %d of %s is %q, not %q", e.Line, e.File, got, e.Old)
	}
	all[e.Line-1] = e.New
	if err := os.WriteFile(e.File, []byte(strings.Join(all, "\n")), info.Mode()); err != nil {
		t.Fatal(err)
	}
}

// TestFixesLeaveChoices: what needs a choice, is waived, or was seen from outside alone is never in the script.
func TestFixesLeaveChoices(t *testing.T) {
	c := pgtest.Default(t)
	defer putBack(t, c)
	db := c.NewDatabase(t)
	db.Exec(t, "CREATE ROLE boss SUPERUSER LOGIN; CREATE TABLE t(id int); GRANT SELECT ON t TO PUBLIC")
	e := gather(t, db, superuser, false)
	env := newEnv(t)
	object := fmt.Sprintf("table %s.public.t", db.Name)
	env.Waivers = []scan.Waiver{{ID: "PRV-005", Object: object, Reason: "r", Owner: "o", Expires: "2027-01-01"}}
	r, err := scan.Run(e, env, scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fixes, manual := scan.Repairs(r)
	for i := range fixes {
		if strings.Contains(strings.Join(fixes[i].SQL, " "), "boss") || slices.Contains(fixes[i].IDs, "PRV-005") {
			t.Errorf("%v %q is in the script", fixes[i].IDs, fixes[i].SQL)
		}
		if len(fixes[i].Reverse) == 0 || fixes[i].Reason == "" || fixes[i].Risk == "" {
			t.Errorf("%v %q has no reverse, reason or risk", fixes[i].IDs, fixes[i].SQL)
		}
	}
	if len(why(manual, "ROL-001")) == 0 {
		t.Error("the superuser is not left to a person")
	}
	r.Evidence = &catalog.Evidence{Format: catalog.EvidenceFormat}
	if fixes, _ := scan.Repairs(r); len(fixes) > 0 {
		t.Errorf("%d repairs without a login", len(fixes))
	}
}
