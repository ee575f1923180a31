package scan_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// seed is a fault written from a check's title and remedy, without its code, and beside it a near miss that looks like the fault and is none.
// Every seed works in a schema or on roles of its own, so that seeds do not meet but where closure says so.
type seed struct {
	name        string
	from        int    // the first major that has it
	fault, near string // SQL, as superuser
	system      string // instead of SQL: name = 'value' of the fault, for the server's settings
	nearSystem  string
	hba         string // a line of pg_hba.conf, in front of the others
	nearHBA     string
	fires       []string // "ID part of the object": must be found with the fault, and must not with the near miss
	// oracle is a real statement as a role that has the fault's effect; it works with the fault and is refused with the near miss.
	as, oracle string
	login      string // the oracle of a rule: an address from which s_any gets in without a password, or does not
	// also are checks that the fault calls up besides, read one by one and found right: what else fires is a wrong verdict.
	also string
}

// seeds use the roles s_any (a login with nothing) and s_owner (NOLOGIN, owns tables), and the database's name as {db}.
func seeds() []seed {
	return []seed{
		{
			name: "create in public", fault: "GRANT CREATE ON SCHEMA public TO PUBLIC", near: "GRANT USAGE ON SCHEMA public TO PUBLIC", fires: []string{"PRV-001 schema"}, also: "FUN-009",
			as: "s_any", oracle: "CREATE TABLE public.s_probe()",
		},
		{
			name: "create in a schema", fault: "CREATE SCHEMA s_b AUTHORIZATION s_owner; GRANT CREATE, USAGE ON SCHEMA s_b TO PUBLIC",
			near: "CREATE SCHEMA s_b AUTHORIZATION s_owner; GRANT CREATE ON SCHEMA s_b TO s_owner; GRANT USAGE ON SCHEMA s_b TO PUBLIC", fires: []string{"PRV-002 s_b"},
			as: "s_any", oracle: "CREATE TABLE s_b.s_probe()",
		},
		{
			name: "a table for everybody", fault: "CREATE TABLE s_t1(a int); ALTER TABLE s_t1 OWNER TO s_owner; GRANT SELECT ON s_t1 TO PUBLIC",
			near: "CREATE TABLE s_t1(a int); ALTER TABLE s_t1 OWNER TO s_owner; GRANT SELECT ON s_t1 TO s_group", fires: []string{"PRV-005 s_t1"},
			as: "s_any", oracle: "SELECT count(*) FROM s_t1",
		},
		{
			name: "a column for everybody", fault: "CREATE TABLE s_t2(a int, b int); ALTER TABLE s_t2 OWNER TO s_owner; GRANT SELECT (b) ON s_t2 TO PUBLIC",
			near: "CREATE TABLE s_t2(a int, b int); ALTER TABLE s_t2 OWNER TO s_owner; GRANT SELECT (b) ON s_t2 TO s_group", fires: []string{"PRV-006 s_t2.b"},
			as: "s_any", oracle: "SELECT count(b) FROM s_t2",
		},
		{
			name: "a sequence for everybody", fault: "CREATE SEQUENCE s_s1; GRANT USAGE ON SEQUENCE s_s1 TO PUBLIC", near: "CREATE SEQUENCE s_s1; GRANT USAGE ON SEQUENCE s_s1 TO s_group",
			fires: []string{"PRV-007 s_s1"}, as: "s_any", oracle: "SELECT nextval('s_s1')",
		},
		{
			name: "tables to come for everybody", fault: "ALTER DEFAULT PRIVILEGES FOR ROLE s_owner IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",
			near: "ALTER DEFAULT PRIVILEGES FOR ROLE s_owner IN SCHEMA public GRANT SELECT ON TABLES TO s_group", fires: []string{"PRV-009 s_owner"},
		},
		{
			name: "a second superuser", fault: "CREATE ROLE s_boss LOGIN SUPERUSER", near: "CREATE ROLE s_boss LOGIN", fires: []string{"ROL-001 s_boss"}, also: "ROL-028 HBA-014",
			as: "s_boss", oracle: "SELECT count(*) FROM pg_authid",
		},
		{
			name: "a way to superuser", fault: "CREATE ROLE s_way LOGIN; GRANT postgres TO s_way", near: "CREATE ROLE s_way LOGIN; GRANT s_group TO s_way", fires: []string{"ROL-004 s_way"}, also: "FUN-009 ROL-027",
			as: "s_way", oracle: "SET ROLE postgres",
		},
		{
			name: "a way to superuser that is barred", from: 16, fault: "CREATE ROLE s_bar LOGIN; GRANT postgres TO s_bar WITH SET TRUE, INHERIT FALSE",
			near: "CREATE ROLE s_bar LOGIN; GRANT postgres TO s_bar WITH SET FALSE, INHERIT FALSE", fires: []string{"ROL-004 s_bar"}, also: "ROL-027", as: "s_bar", oracle: "SET ROLE postgres",
		},
		{
			name: "makes roles", fault: "CREATE ROLE s_maker LOGIN CREATEROLE", near: "CREATE ROLE s_maker NOLOGIN CREATEROLE", fires: []string{"ROL-005 s_maker"}, also: "ROL-014 ROL-021",
		},
		{
			name: "makes databases", fault: "CREATE ROLE s_dbs LOGIN CREATEDB", near: "CREATE ROLE s_dbs NOLOGIN CREATEDB", fires: []string{"ROL-006 s_dbs"}, also: "ROL-014 ROL-021",
		},
		{
			name: "passes row policies", fault: "CREATE ROLE s_pass LOGIN BYPASSRLS", near: "CREATE ROLE s_pass NOLOGIN BYPASSRLS", fires: []string{"ROL-008 s_pass"}, also: "ROL-014 ROL-021",
		},
		{
			name: "the server's files", fault: "CREATE ROLE s_files LOGIN; GRANT pg_read_server_files TO s_files",
			near: "CREATE ROLE s_files LOGIN; GRANT pg_read_all_settings TO s_files", fires: []string{"ROL-009 s_files"},
		},
		{
			name: "reads all data", from: 14, fault: "CREATE ROLE s_all LOGIN; CREATE ROLE s_mid; GRANT pg_read_all_data TO s_mid; GRANT s_mid TO s_all",
			near: "CREATE ROLE s_all LOGIN; CREATE ROLE s_mid; GRANT pg_read_all_data TO s_mid", fires: []string{"ROL-010 s_all"}, also: "PRV-019",
		},
		{
			name: "passes a role on", fault: "CREATE ROLE s_adm LOGIN; GRANT s_group TO s_adm WITH ADMIN OPTION", near: "CREATE ROLE s_adm LOGIN; GRANT s_group TO s_adm",
			fires: []string{"ROL-012 s_adm"}, as: "s_adm", oracle: "GRANT s_group TO s_target",
		},
		{
			name: "turns off its log", fault: "CREATE ROLE s_quiet LOGIN; ALTER ROLE s_quiet SET log_statement = 'none'",
			near: "CREATE ROLE s_quiet LOGIN; ALTER ROLE s_quiet SET log_statement = 'all'", fires: []string{"ROL-026 s_quiet"}, also: "LOG-018",
		},
		{
			name: "passes a right on", fault: "CREATE TABLE s_t3(a int); ALTER TABLE s_t3 OWNER TO s_owner; GRANT SELECT ON s_t3 TO s_any WITH GRANT OPTION",
			near: "CREATE TABLE s_t3(a int); ALTER TABLE s_t3 OWNER TO s_owner; GRANT SELECT ON s_t3 TO s_any", fires: []string{"PRV-011 s_t3"},
		},
		{
			name: "reads verifiers", fault: "GRANT SELECT ON pg_authid TO s_any", near: "GRANT SELECT ON pg_roles TO s_any", fires: []string{"PRV-019 pg_authid"}, also: "PRV-018",
			as: "s_any", oracle: "SELECT rolpassword FROM pg_authid",
		},
		{
			name: "reads files by a function", fault: "GRANT EXECUTE ON FUNCTION pg_read_file(text) TO s_any", near: "GRANT EXECUTE ON FUNCTION pg_size_pretty(bigint) TO s_any",
			fires: []string{"PRV-020 pg_read_file"}, also: "PRV-018", as: "s_any", oracle: "SELECT length(pg_read_file('PG_VERSION'))",
		},
		{
			name: "a materialized copy", fault: guardedTable("s_t4") + "CREATE MATERIALIZED VIEW s_m AS SELECT * FROM s_t4; GRANT SELECT ON s_m TO s_any",
			near: guardedTable("s_t4") + "CREATE MATERIALIZED VIEW s_m AS SELECT 1 AS one; GRANT SELECT ON s_m TO s_any", fires: []string{"PRV-026 s_m"},
		},
		{
			name: "policies that sleep", fault: guardedTable("s_t5") + "ALTER TABLE s_t5 DISABLE ROW LEVEL SECURITY", near: guardedTable("s_t5"), fires: []string{"RLS-001 s_t5"},
			as: "s_any", oracle: "SELECT 1/count(*) FROM s_t5",
		},
		{
			name: "security without a policy", fault: "CREATE TABLE s_t6(a int); ALTER TABLE s_t6 OWNER TO s_owner; ALTER TABLE s_t6 ENABLE ROW LEVEL SECURITY",
			near: guardedTable("s_t6"), fires: []string{"RLS-002 s_t6"},
		},
		{
			name: "a policy that lets write", fault: guardedTable("s_t7") + "CREATE POLICY w ON s_t7 FOR UPDATE USING (true)",
			near: guardedTable("s_t7") + "CREATE POLICY w ON s_t7 FOR SELECT USING (true)", fires: []string{"RLS-004 s_t7"},
		},
		{
			name: "a view past the policies", from: 15, fault: guardedTable("s_t8") + "CREATE VIEW s_v8 AS SELECT * FROM s_t8; GRANT SELECT ON s_v8 TO s_any",
			near: guardedTable("s_t8") + "CREATE VIEW s_v8 AS SELECT 1 AS a; GRANT SELECT ON s_v8 TO s_any", fires: []string{"RLS-010 s_v8"},
		},
		{
			name: "no search_path", fault: definerFunction("s_f1", ""), near: definerFunction("s_f1", "SET search_path = pg_catalog, pg_temp"), fires: []string{"FUN-001 s_f1"},
		},
		{
			name: "a definer for everybody", fault: definerFunction("s_f2", "SET search_path = pg_catalog, pg_temp") + "GRANT EXECUTE ON FUNCTION s_f2() TO PUBLIC",
			near: definerFunction("s_f2", "SET search_path = pg_catalog, pg_temp") + "GRANT EXECUTE ON FUNCTION s_f2() TO s_group", fires: []string{"FUN-002 s_f2"},
			as: "s_any", oracle: "SELECT s_f2()",
		},
		{
			name: "a secret in a comment", fault: "CREATE TABLE s_t9(a int); COMMENT ON TABLE s_t9 IS 'postgres://app:hunter2hunter2@db1/shop'",
			near: "CREATE TABLE s_t9(a int); COMMENT ON TABLE s_t9 IS 'see postgres://db1/shop'", fires: []string{"FUN-011 s_t9"},
		},
		{name: "weak verifiers to come", system: "password_encryption = 'md5'", nearSystem: "password_encryption = 'scram-sha-256'", fires: []string{"ROL-017 password_encryption"}},
		{name: "large objects for all", system: "lo_compat_privileges = 'on'", nearSystem: "lo_compat_privileges = 'false'", fires: []string{"PRV-008 lo_compat_privileges"}},
		{name: "no connections in the log", system: "log_connections = 'off'", nearSystem: "log_connections = 'yes'", fires: []string{"LOG-013 log_connections"}},
		{
			name: "trust from a network", hba: "host {db} s_any 10.1.0.0/16 trust", nearHBA: "host {db} s_any 10.1.0.0/16 reject", fires: []string{"HBA-001 10.1.0.0/16"}, also: "HBA-010",
		},
		{
			name: "trust from one address", hba: "host {db} s_any 127.0.0.9/32 trust", nearHBA: "host {db} s_any 127.0.0.9/32 scram-sha-256", fires: []string{"HBA-001 127.0.0.9"},
			also: "HBA-010", login: "127.0.0.9",
		},
		{
			name: "clear passwords", hba: "hostssl {db} s_any 10.2.0.0/24 password", nearHBA: "hostssl {db} s_any 10.2.0.0/24 scram-sha-256", fires: []string{"HBA-003 10.2.0.0/24"},
		},
		{
			name: "md5 from a network", hba: "hostssl {db} s_any 10.3.0.0/24 md5", nearHBA: "hostssl {db} s_any 10.3.0.0/24 scram-sha-256", fires: []string{"HBA-004 10.3.0.0/24"},
		},
	}
}

func guardedTable(name string) string {
	return fmt.Sprintf("CREATE TABLE %[1]s(a int); ALTER TABLE %[1]s ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON %[1]s FOR SELECT USING (a = 7); GRANT SELECT ON %[1]s TO s_any; INSERT INTO %[1]s VALUES (1);", name)
}

func definerFunction(name, option string) string {
	return fmt.Sprintf("CREATE FUNCTION %[1]s() RETURNS int LANGUAGE sql SECURITY DEFINER %[2]s AS 'SELECT 1'; ALTER FUNCTION %[1]s() OWNER TO s_owner; REVOKE EXECUTE ON FUNCTION %[1]s() FROM PUBLIC;", name, option)
}

// seedOfRun is where a property test begins. The sample that every change has to pass is the same each time, so that what fails can
// be repeated; a campaign names another seed in the variable.
func seedOfRun(t *testing.T, variable string) uint64 {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv(variable), 10, 64)
	if err != nil {
		seed = 1
	}
	t.Logf("%s=%d", variable, seed)
	return seed
}

// seededServers is how many random servers each run makes over all majors; POSTERN_SEEDED_SERVERS asks for more.
const seededServers = 20

// TestSeededFaults makes random servers with one to twelve faults, and near misses for the rest, and wants each fault found and no near
// miss. What a login or a query can prove, it proves: the oracle's statement works with the fault and is refused with the near miss.
func TestSeededFaults(t *testing.T) {
	total := seededServers
	if n, err := strconv.Atoi(os.Getenv("POSTERN_SEEDED_SERVERS")); err == nil {
		total = n
	}
	seedOf := seedOfRun(t, "POSTERN_SEED")
	majors := pgtest.Majors(t)
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		rnd := rand.New(rand.NewPCG(seedOf, uint64(c.Major))) //nolint:gosec // a test's choices
		var quiet calm
		seedServer(t, c, rnd, &quiet)
		made := 0
		for i := range total {
			if majors[i%len(majors)] == c.Major {
				seedServer(t, c, rnd, &quiet, someSeeds(rnd, c.Major)...)
				made++
			}
		}
		t.Logf("%d servers", made)
	})
}

// someSeeds names one to twelve seeds that a major has.
func someSeeds(rnd *rand.Rand, major int) []string {
	var names []string
	for _, s := range seeds() {
		if s.from <= major {
			names = append(names, s.name)
		}
	}
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:1+rnd.IntN(12)]
}

// seedServer makes one server with these faults, and near misses of the others, and judges it.
func seedServer(t *testing.T, c *pgtest.Cluster, rnd *rand.Rand, quiet *calm, faults ...string) {
	t.Helper()
	defer putBack(t, c)
	db := c.NewDatabase(t)
	db.Exec(t, "CREATE ROLE s_owner NOLOGIN; CREATE ROLE s_group NOLOGIN; CREATE ROLE s_any LOGIN; CREATE ROLE s_target NOLOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO PUBLIC")
	all := slices.DeleteFunc(seeds(), func(s seed) bool { return s.from > c.Major })
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var w world
	var put []seed
	for i := range all {
		s := &all[i]
		sql, system, hba := s.near, s.nearSystem, s.nearHBA
		if slices.Contains(faults, s.name) {
			put = append(put, *s)
			sql, system, hba = s.fault, s.system, s.hba
		}
		if sql != "" {
			db.Exec(t, sql)
		}
		if system != "" {
			w.system = append(w.system, system)
		}
		if hba != "" {
			w.hba = append(w.hba, strings.ReplaceAll(hba, "{db}", db.Name))
		}
	}
	w.configure(t, c)
	awaitAlone(t, db)
	r, err := scan.Run(gather(t, db, superuser, false), newEnv(t), scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].judge(t, db, r, slices.Contains(faults, all[i].name))
	}
	quiet.compare(t, db.Name, r, put)
	if t.Failed() {
		t.Fatalf("the faults were: %s", strings.Join(faults, ", "))
	}
}

// awaitAlone waits until no other session is connected: one that is still ending would be seen as a client, and which are depends on chance.
func awaitAlone(t *testing.T, db *pgtest.DB) {
	t.Helper()
	conn := db.Connect(t, pgtest.SuperUser)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var others int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()").Scan(&others); err != nil {
			t.Fatal(err)
		}
		if others == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d other sessions do not end", others)
		}
	}
	conn.PgConn().Frontend().Send(&pgproto3.Terminate{})
	if err := conn.PgConn().Frontend().Flush(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, conn.PgConn().Conn()) // until the server has ended it as well
}

// found compares the report with what was seeded.
func (s *seed) found(t *testing.T, r *scan.Report, fault bool) {
	t.Helper()
	for _, f := range s.fires {
		id, object, _ := strings.Cut(f, " ")
		res := r.Result(id)
		hit := res != nil && slices.ContainsFunc(res.Findings, func(f scan.Judged) bool { return strings.Contains(f.Object, object) })
		switch {
		case res == nil:
			t.Errorf("%s: there is no check %s", s.name, id)
		case fault && !hit:
			t.Errorf("%s: missed by %s: %s", s.name, id, describe(res))
		case !fault && hit:
			t.Errorf("%s: the near miss is found by %s: %s", s.name, id, describe(res))
		}
	}
}

// judge compares the report, and what really happens, with what was seeded.
func (s *seed) judge(t *testing.T, db *pgtest.DB, r *scan.Report, fault bool) {
	t.Helper()
	s.found(t, r, fault)
	if s.login != "" {
		if err := enter(t, db, "s_any", s.login); (err == nil) != fault {
			t.Errorf("%s: fault %v, and a login of s_any from %s: %v", s.name, fault, s.login, err)
		}
	}
	if s.oracle == "" {
		return
	}
	db.Exec(t, "SET password_encryption = 'scram-sha-256'; ALTER ROLE "+s.as+" PASSWORD '"+pgtest.PasswordOf(s.as)+"'")
	if err := db.Try(s.as, s.oracle); (err == nil) != fault {
		t.Errorf("%s: fault %v, and %q as %s: %v", s.name, fault, s.oracle, s.as, err)
	}
}

// enter logs in over TCP from an address, without a password.
func enter(t *testing.T, db *pgtest.DB, user, from string) error {
	t.Helper()
	config, err := pgx.ParseConfig(fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s sslmode=disable", db.Port, user, db.Name))
	if err != nil {
		t.Fatal(err)
	}
	config.Password = "" // whatever the environment holds
	config.DialFunc = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).DialContext
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		return err
	}
	return conn.Close(t.Context())
}

// calm is what the scan finds on a server that has every near miss and no fault, as "ID object".
type calm struct{ found map[string]bool }

// compare wants everything that was found beyond calm to be of a check that one of the faults accounts for. The first report is calm's.
func (q *calm) compare(t *testing.T, database string, r *scan.Report, faults []seed) {
	t.Helper()
	now := map[string]bool{}
	for i := range r.Results {
		for _, f := range r.Results[i].Findings {
			now[r.Results[i].Check.ID+" "+strings.ReplaceAll(f.Object, database, "{db}")] = true
		}
	}
	if q.found == nil {
		q.found = now
		return
	}
	for f := range now {
		id, object, _ := strings.Cut(f, " ")
		if q.found[f] || slices.ContainsFunc(faults, func(s seed) bool {
			return slices.Contains(strings.Fields(s.also), id) || slices.ContainsFunc(s.fires, func(f string) bool { return strings.HasPrefix(f, id+" ") })
		}) {
			continue
		}
		t.Errorf("%s is found at %q, and none of the faults accounts for it", id, object)
	}
}
