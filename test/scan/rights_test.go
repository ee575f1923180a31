package scan_test

import (
	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/scan"
)

func rightsWorlds() []world {
	return []world{
		{
			name: "roles and rights as installed",
			expect: `
				pass ROL-001 ROL-002 ROL-004 ROL-005 ROL-006 ROL-007 ROL-008 ROL-009 ROL-010 ROL-011 ROL-012 ROL-013 ROL-014 ROL-017 ROL-019 ROL-021
				pass ROL-023 ROL-026 ROL-027 ROL-028 ROL-029 ROL-031 ROL-032 ROL-003
				fail ROL-024 setting shared_preload_libraries
				fail ROL-025 setting shared_preload_libraries
				blind ROL-022
				na ROL-016
				pass PRV-001 PRV-002 PRV-005 PRV-006 PRV-007 PRV-008 PRV-009 PRV-011 PRV-012 PRV-015 PRV-017 PRV-018 PRV-019 PRV-020 PRV-021 PRV-022
				pass PRV-023 PRV-024 PRV-026 PRV-027
				fail PRV-003
				fail PRV-004
				fail PRV-010
				blind PRV-014 PRV-025
				pass RLS-001 RLS-002 RLS-003 RLS-004 RLS-005 RLS-006 RLS-007 RLS-009 RLS-010 RLS-013 RLS-014 RLS-015
				pass FUN-001 FUN-002 FUN-003 FUN-004 FUN-005 FUN-006 FUN-007 FUN-008 FUN-009 FUN-010 FUN-011`,
		},
		{
			name: "roles with too much",
			sql: `
				CREATE ROLE boss SUPERUSER LOGIN; CREATE ROLE maker LOGIN CREATEROLE CREATEDB REPLICATION; CREATE ROLE creator LOGIN CREATEDB; CREATE ROLE passer LOGIN BYPASSRLS;
				CREATE ROLE rep LOGIN REPLICATION CONNECTION LIMIT 3; CREATE ROLE quiet NOLOGIN BYPASSRLS CREATEROLE;
				CREATE ROLE middle NOLOGIN; CREATE ROLE climber LOGIN CONNECTION LIMIT 3; GRANT boss TO middle; GRANT middle TO climber;
				CREATE ROLE files NOLOGIN; GRANT pg_read_server_files TO files; GRANT files TO climber;
				CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader; CREATE ROLE killer LOGIN; GRANT pg_signal_backend TO killer;
				CREATE ROLE team NOLOGIN; CREATE ROLE lead LOGIN; GRANT team TO lead WITH ADMIN OPTION; CREATE ROLE member LOGIN; GRANT team TO member;
				CREATE ROLE twofold LOGIN; GRANT twofold TO member;
				CREATE ROLE guest LOGIN; CREATE ROLE gone LOGIN VALID UNTIL '2020-01-01'; CREATE TABLE t(); GRANT SELECT ON t TO gone; CREATE ROLE idle LOGIN VALID UNTIL '2020-01-01';
				CREATE ROLE app LOGIN; CREATE TABLE appt(id int); ALTER TABLE appt OWNER TO app;
				CREATE ROLE old LOGIN; SET password_encryption = 'md5'; ALTER ROLE old PASSWORD 'x'; RESET password_encryption; ALTER ROLE old SET password_encryption = 'md5';
				ALTER ROLE app SET session_replication_role = 'replica'; ALTER ROLE member SET row_security = off; ALTER ROLE member SET work_mem = '8MB';
				GRANT SET ON PARAMETER session_replication_role TO app; GRANT ALTER SYSTEM ON PARAMETER archive_command TO app; GRANT SET ON PARAMETER work_mem TO app`,
			expect: `
				fail ROL-001 role boss
				is ROL-004 high role climber
				spare ROL-004 role member
				is ROL-005 critical role maker
				spare ROL-005 role quiet
				fail ROL-006 role creator
				fail ROL-007 role maker
				spare ROL-007 role rep
				fail ROL-008 role passer
				spare ROL-008 role quiet
				fail ROL-009 role climber in pg_read_server_files
				fail ROL-010 role reader in pg_read_all_data
				fail ROL-011 role killer in pg_signal_backend
				fail ROL-012 role lead on team
				spare ROL-012 role member
				fail ROL-013 role old
				fail ROL-014 role app
				spare ROL-014 role old
				fail ROL-017 role old, setting password_encryption
				fail ROL-019 role gone
				spare ROL-019 role idle
				fail ROL-021 role app
				spare ROL-021 role rep
				fail ROL-023 role guest
				fail ROL-026 role app, setting session_replication_role
				spare ROL-026 work_mem
				fail ROL-027 role twofold
				spare ROL-027 role team
				fail ROL-028
				fail ROL-029 role app
				fail ROL-031 setting session_replication_role, role app
				fail ROL-032 setting archive_command, role app
				fail RLS-015 role member, setting row_security
				fail PRV-019 role reader in pg_read_all_data`,
		},
		{
			name: "membership that may not be used", major: 16,
			sql: `CREATE ROLE boss SUPERUSER LOGIN; CREATE ROLE bound LOGIN; GRANT boss TO bound WITH SET FALSE, INHERIT TRUE;
				CREATE ROLE looker LOGIN; GRANT pg_read_all_data TO looker WITH SET FALSE, INHERIT FALSE; CREATE ROLE maker LOGIN CREATEROLE;
				CREATE ROLE weak LOGIN PASSWORD 'x'; ALTER ROLE weak SET scram_iterations = 1000`,
			expect: `
				spare ROL-004 role bound
				spare ROL-010 role looker
				is ROL-005 high role maker
				fail ROL-016 role weak, setting scram_iterations`,
		},
		{
			name: "verifiers as they should be", major: 16, sql: "CREATE ROLE strong LOGIN PASSWORD 'x'; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC", expect: "pass ROL-016 ROL-013 PRV-010",
		},
		{
			name: "an old setting", major: 13, derived: "db_user_namespace cannot be used with the test's own logins; the setting is edited",
			edit: func(e *catalog.Evidence) { setting(e, "db_user_namespace", "on") }, expect: "fail ROL-030 setting db_user_namespace\nfail PRV-001",
		},
		{
			name: "an old setting that is off", major: 13, expect: "pass ROL-030\nfail PRV-001 public\npass NET-001\nna ROL-031 HBA-029 NET-015",
		},
		{
			name: "many clients", derived: "sessions are edited in",
			edit: func(e *catalog.Evidence) {
				e.Server.Activity = nil
				for _, a := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"} {
					e.Server.Activity = append(e.Server.Activity,
						catalog.Activity{User: "app", Address: a, Backend: "client backend", TLS: true, TLSVersion: "TLSv1.1", Bits: 256},
						catalog.Activity{User: "one", Address: "10.0.0.9", Backend: "client backend", TLS: true, TLSVersion: "TLSv1.3", Bits: 256})
				}
				e.Server.Activity = append(e.Server.Activity,
					catalog.Activity{User: "postgres", Address: "10.0.0.8", Backend: "client backend", Application: "shop"},
					catalog.Activity{User: "postgres", Address: "127.0.0.1", Backend: "client backend", Application: "psql"})
			},
			expect: `
				fail ROL-022 role app
				spare ROL-022 role one
				fail ROL-002 role postgres
				fail TLS-030 role postgres from 10.0.0.8
				spare TLS-030 role one
				fail TLS-031 role app from 10.0.0.1
				is TLS-032 critical role postgres from 10.0.0.8
				is TLS-032 high role postgres from 127.0.0.1`,
		},
		{
			name: "few clients, all by TLS", derived: "a session is edited in",
			edit: func(e *catalog.Evidence) {
				e.Server.Activity = []catalog.Activity{{User: "app", Address: "10.0.0.1", Backend: "client backend", TLS: true, TLSVersion: "TLSv1.3", Cipher: "TLS_AES_256_GCM_SHA384", Bits: 256}}
			},
			expect: "pass ROL-022 ROL-002 TLS-030 TLS-031 TLS-032",
		},
		{
			name: "password module and delay", derived: "the libraries are edited into the settings",
			edit: func(e *catalog.Evidence) {
				setting(e, "shared_preload_libraries", "$libdir/passwordcheck, auth_delay, pgaudit")
				add(e, "auth_delay.milliseconds", "500")
				add(e, "pgaudit.log", "all, -misc")
				add(e, "pgaudit.log_client", "off")
				add(e, "pgaudit.log_parameter", "off")
				add(e, "pgaudit.log_relation", "on")
				add(e, "pgaudit.log_catalog", "on")
			},
			expect: "pass ROL-024 ROL-025 LOG-024 LOG-025 LOG-026 LOG-018",
		},
		{
			name: "the bootstrap superuser with a password", sql: "ALTER ROLE postgres PASSWORD 'x'", as: superuser, hba: []string{"hostssl all postgres 10.0.0.0/24 scram-sha-256"},
			expect: "fail ROL-003 role postgres",
		},
		{
			name: "rights of everybody",
			sql: `
				GRANT CREATE ON SCHEMA public TO PUBLIC; CREATE SCHEMA open; GRANT CREATE ON SCHEMA open TO PUBLIC; CREATE SCHEMA shut;
				CREATE ROLE own NOLOGIN; CREATE ROLE ann LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE crew NOLOGIN; GRANT crew TO ann;
				CREATE TABLE shut.a(id int, secret text); GRANT SELECT ON shut.a TO PUBLIC; CREATE TABLE shut.b(id int, name text); GRANT SELECT (name) ON shut.b TO PUBLIC;
				CREATE TABLE shut.c(id int); GRANT SELECT ON shut.c TO crew; GRANT SELECT ON shut.c TO ann WITH GRANT OPTION; GRANT TRUNCATE ON shut.c TO bob;
				ALTER TABLE shut.b OWNER TO own;
				CREATE SEQUENCE shut.s; GRANT USAGE ON SEQUENCE shut.s TO PUBLIC; SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO PUBLIC;
				ALTER DEFAULT PRIVILEGES FOR ROLE own REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
				ALTER DEFAULT PRIVILEGES FOR ROLE ann GRANT EXECUTE ON FUNCTIONS TO bob;
				GRANT SELECT ON pg_authid TO ann; GRANT EXECUTE ON FUNCTION pg_read_file(text) TO bob; GRANT SELECT ON pg_config TO crew;
				CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'db2'); GRANT USAGE ON FOREIGN SERVER far TO PUBLIC;
				CREATE USER MAPPING FOR PUBLIC SERVER far; CREATE USER MAPPING FOR ann SERVER far OPTIONS (user 'x', password_required 'false');
				CREATE FOREIGN TABLE shut.f(id int) SERVER far; GRANT SELECT ON shut.f TO PUBLIC; CREATE FOREIGN TABLE shut.g(id int) SERVER far; GRANT SELECT ON shut.g TO ann;
				CREATE SERVER near FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'db3', sslmode 'verify-full');
				ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC`,
			expect: `
				fail PRV-001 public
				fail PRV-002 open
				spare PRV-002 shut
				fail PRV-003
				fail PRV-004
				fail PRV-005 shut.a
				spare PRV-005 shut.c
				fail PRV-006 shut.b.name
				fail PRV-007 sequence
				fail PRV-007 large object
				fail PRV-009 tables
				spare PRV-009 functions
				fail PRV-010 default privileges of postgres
				spare PRV-010 default privileges of own
				fail PRV-011 shut.c, role ann
				fail PRV-012 shut.c, role bob
				fail PRV-015 owner postgres
				spare PRV-015 owner own
				fail PRV-017 role ann
				fail PRV-018 pg_config
				is PRV-019 critical pg_authid, role ann
				is PRV-020 critical pg_read_file
				fail PRV-021 far
				spare PRV-021 near
				fail PRV-022 user mapping
				fail PRV-023 far for ann
				fail PRV-027 shut.f
				spare PRV-027 shut.g
				fail TLS-036 far
				spare TLS-036 near
				fail FUN-009
				fail REP-011 postgres_fdw
				pass EXT-001`,
		},
		{
			name: "labelled columns", sql: "CREATE ROLE ann LOGIN; CREATE ROLE own NOLOGIN; CREATE TABLE people(id int, email text); ALTER TABLE people OWNER TO own; GRANT SELECT ON people TO ann; CREATE TABLE other(id int, email text); ALTER TABLE other OWNER TO own",
			derived: "labels are edited in, as discover would give them",
			edit: func(e *catalog.Evidence) {
				db := e.Databases[0].Database.Name
				e.Labels = map[string]string{db + ".public.people.email": "contact.email", db + ".public.other.email": "contact.email"}
			},
			expect: "fail PRV-014 people.email, role ann\nspare PRV-014 other.email\nfail HBA-036",
		},
		{
			name: "labelled columns that nobody reads", sql: "CREATE TABLE people(id int, email text)", derived: "labels and rules are edited in",
			edit: func(e *catalog.Evidence) {
				db := e.Databases[0].Database.Name
				e.Labels = map[string]string{db + ".public.people.email": "contact.email"}
				e.Server.HBA = []catalog.HBARule{
					{Line: 1, Type: "local", Databases: []catalog.HBAWord{{Text: db}}, Users: []catalog.HBAWord{{Text: "all"}}, Method: "peer"},
					{Line: 2, Type: "local", Databases: []catalog.HBAWord{{Text: "postgres"}}, Users: []catalog.HBAWord{{Text: "all"}}, Method: "peer"},
				}
			},
			expect: "pass PRV-014 HBA-036",
		},
		{
			name: "tight rights", sql: `REVOKE ALL ON DATABASE postgres FROM PUBLIC; DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()); END $$;
				ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC`,
			derived: "database template1 is edited in as entered and empty, and the other databases are taken out",
			edit: func(e *catalog.Evidence) {
				e.Databases = append(e.Databases, &catalog.DatabaseEvidence{Snapshot: catalog.Snapshot{Database: catalog.Database{Name: "template1"}}})
			},
			expect: "pass PRV-003 PRV-004 PRV-025",
		},
		{
			name: "template1 with a table, a tablespace in the wrong place", derived: "a shared template and the disk are left alone; both are edited in",
			edit: func(e *catalog.Evidence) {
				e.Databases = append(e.Databases, &catalog.DatabaseEvidence{Snapshot: catalog.Snapshot{
					Database: catalog.Database{Name: "template1"}, Relations: []catalog.Relation{{Name: catalog.Name{Schema: "public", Name: "left"}, Kind: 'r'}},
				}})
				e.Server.Tablespaces = append(e.Server.Tablespaces,
					catalog.Tablespace{Name: "open", Location: "/srv/open", ACL: []catalog.Grant{{Privilege: "CREATE"}}},
					catalog.Tablespace{Name: "inside", Location: e.Server.Value("data_directory") + "/ts"}, catalog.Tablespace{Name: "fine", Location: e.Server.Value("data_directory") + "2"})
				setting(e, "lo_compat_privileges", "on")
			},
			expect: "fail PRV-025 template1\nfail PRV-024 open\nfail PRV-024 inside\nspare PRV-024 fine\nfail PRV-008 setting lo_compat_privileges",
		},
		{
			name: "row security with holes",
			sql: `
				CREATE ROLE app LOGIN; CREATE ROLE own NOLOGIN; CREATE ROLE ann LOGIN; GRANT CREATE ON SCHEMA public TO app;
				CREATE FUNCTION public.who() RETURNS text LANGUAGE sql VOLATILE AS 'SELECT current_user::text';
				CREATE TABLE off(id int, who text); CREATE POLICY p ON off USING (true);
				CREATE TABLE none(id int); ALTER TABLE none ENABLE ROW LEVEL SECURITY;
				CREATE TABLE mine(id int); ALTER TABLE mine OWNER TO app; ALTER TABLE mine ENABLE ROW LEVEL SECURITY; CREATE POLICY r ON mine FOR SELECT USING (true);
				CREATE TABLE forced(id int); ALTER TABLE forced OWNER TO app; ALTER TABLE forced ENABLE ROW LEVEL SECURITY; ALTER TABLE forced FORCE ROW LEVEL SECURITY;
				CREATE POLICY restrictive ON forced AS RESTRICTIVE USING (true);
				CREATE TABLE t(id int, tenant int, who text, amount int); ALTER TABLE t ENABLE ROW LEVEL SECURITY;
				CREATE POLICY all_true ON t FOR UPDATE USING (true); CREATE POLICY ins ON t FOR INSERT WITH CHECK (true); CREATE POLICY good ON t FOR UPDATE USING (who = current_user);
				CREATE POLICY weaker ON t FOR UPDATE USING (who = current_user AND tenant = 1) WITH CHECK (tenant = 1);
				CREATE POLICY same ON t USING (tenant = 1 AND who = 'x') WITH CHECK (who = 'x' AND tenant = 1 AND amount > 0);
				CREATE POLICY stricter ON t USING (tenant = 1 OR tenant = 2) WITH CHECK (tenant = 1);
				CREATE POLICY guc ON t FOR SELECT USING (who = current_setting('app.user')); CREATE POLICY plainguc ON t FOR SELECT USING (who = current_setting('application_name'));
				CREATE POLICY fn ON t FOR SELECT USING (who = public.who());
				CREATE TABLE tenants(id int, tenant_id int); CREATE TABLE tenants_ok(id int, tenant_id int); ALTER TABLE tenants_ok ENABLE ROW LEVEL SECURITY; CREATE POLICY x ON tenants_ok USING (tenant_id = 1);
				CREATE VIEW v AS SELECT * FROM t; CREATE VIEW vi WITH (security_invoker) AS SELECT * FROM t; CREATE VIEW vo AS SELECT * FROM t; ALTER VIEW vo OWNER TO own;
				CREATE VIEW vv AS SELECT * FROM off;
				CREATE MATERIALIZED VIEW mv AS SELECT * FROM v; GRANT SELECT ON mv TO ann; CREATE MATERIALIZED VIEW mv_own AS SELECT * FROM t;
				CREATE TABLE parent(id int) PARTITION BY LIST (id); ALTER TABLE parent ENABLE ROW LEVEL SECURITY; CREATE POLICY y ON parent USING (id = 1);
				CREATE TABLE child1 PARTITION OF parent FOR VALUES IN (1); GRANT SELECT ON child1 TO ann; CREATE TABLE child2 PARTITION OF parent FOR VALUES IN (2);
				CREATE PUBLICATION pub FOR TABLE t; CREATE PUBLICATION pubf FOR TABLE t WHERE (id = 1)`,
			expect: `
				fail RLS-001 off
				fail RLS-002 none
				spare RLS-002 mine
				fail RLS-003 mine
				spare RLS-003 forced
				fail RLS-004 policy all_true on
				fail RLS-004 policy ins on
				spare RLS-004 policy good on
				spare RLS-004 policy r on
				spare RLS-004 policy restrictive on
				fail RLS-005 policy weaker on
				spare RLS-005 policy same on
				spare RLS-005 policy stricter on
				spare RLS-005 policy good on
				fail RLS-006 policy guc on
				spare RLS-006 policy plainguc on
				fail RLS-007 policy fn on
				spare RLS-007 policy guc on
				fail RLS-009 tenants
				spare RLS-009 tenants_ok
				fail RLS-010 .public.v
				spare RLS-010 .public.vi
				spare RLS-010 .public.vo
				spare RLS-010 .public.vv
				fail RLS-013 child1
				spare RLS-013 child2
				fail RLS-014 publication
				spare RLS-014 pubf
				fail PRV-026 mv
				spare PRV-026 mv_own`,
		},
		{
			name: "functions with other people's rights",
			sql: `
				CREATE ROLE app LOGIN; CREATE ROLE own NOLOGIN; CREATE SCHEMA safe; CREATE SCHEMA open; GRANT CREATE ON SCHEMA open TO app; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
				CREATE FUNCTION safe.nopath() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION safe.nopath() TO PUBLIC;
				CREATE FUNCTION safe.fine() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT 1'; ALTER FUNCTION safe.fine() OWNER TO own;
				CREATE FUNCTION safe.invoker() RETURNS int LANGUAGE sql AS 'SELECT 1'; GRANT EXECUTE ON FUNCTION safe.invoker() TO PUBLIC;
				CREATE FUNCTION safe.badpath() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = open, pg_temp AS 'SELECT 1';
				CREATE FUNCTION safe.tempfirst() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_temp, pg_catalog AS 'SELECT 1';
				CREATE FUNCTION safe.dyn(t text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN EXECUTE 'DELETE FROM x WHERE a = ' || t; END $$;
				CREATE FUNCTION safe.dynok(t text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN EXECUTE 'DELETE FROM ' || quote_ident(t) || ' WHERE a = $1' USING t; END $$;
				CREATE FUNCTION safe.secret() RETURNS text LANGUAGE sql AS $$ SELECT 'host=db2 password=hunter2' $$;
				CREATE FUNCTION safe.nosecret(password text) RETURNS boolean LANGUAGE sql AS $$ SELECT password = '' $$;
				CREATE TABLE safe.t(id int); COMMENT ON TABLE safe.t IS 'use postgres://app:hunter2@db1/shop'; COMMENT ON SCHEMA safe IS 'passwords are kept elsewhere';
				CREATE FUNCTION safe.trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; ALTER FUNCTION safe.trg() OWNER TO app; CREATE TRIGGER trg BEFORE INSERT ON safe.t FOR EACH ROW EXECUTE FUNCTION safe.trg();
				CREATE FUNCTION safe.trg2() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER trg2 BEFORE INSERT ON safe.t FOR EACH ROW EXECUTE FUNCTION safe.trg2();
				DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = open, safe', current_database()); END $$;
				CREATE FUNCTION safe.enc(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN pgp_sym_encrypt(t, 'k3y-in-clear', 'ignore-cipher-failure=1'); END $$;
				CREATE TABLE safe.keys(id int, encryption_key text);
				CREATE EXTENSION dblink; CREATE EXTENSION pg_trgm SCHEMA safe; CREATE EXTENSION pgcrypto SCHEMA safe VERSION '1.3'; CREATE EXTENSION hstore SCHEMA safe VERSION '1.7'`,
			expect: `
				fail FUN-001 safe.nopath
				spare FUN-001 safe.fine
				spare FUN-001 safe.invoker
				fail FUN-002 safe.nopath
				spare FUN-002 safe.invoker
				spare FUN-002 safe.fine
				fail FUN-003 safe.nopath
				spare FUN-003 safe.fine
				fail FUN-004 safe.badpath
				fail FUN-004 safe.tempfirst
				spare FUN-004 safe.fine
				fail FUN-005 safe.dyn(
				spare FUN-005 safe.dynok
				fail FUN-008 trigger trg on
				spare FUN-008 trigger trg2 on
				fail FUN-009 search_path
				fail FUN-010 safe.secret
				spare FUN-010 safe.nosecret
				fail FUN-011 comment on
				fail DAT-008 function
				fail DAT-008 encryption_key
				fail EXT-012 safe.enc
				fail EXT-003 dblink
				spare EXT-003 pg_trgm
				fail EXT-004 pgcrypto
				fail EXT-005 dblink
				spare EXT-005 pg_trgm`,
		},
		{
			name: "an untrusted language, opened", derived: "the test servers have none; the rows are edited in",
			edit: func(e *catalog.Evidence) {
				d := e.Databases[0]
				d.Languages = append(d.Languages, catalog.Language{Name: "plperlu", Owner: "postgres", ACL: []catalog.Grant{{Grantee: "app", Privilege: "USAGE"}}})
				e.Server.Roles = append(e.Server.Roles, catalog.Role{Name: "app", Login: true})
				d.EventTriggers = []catalog.EventTrigger{{Name: "et", Owner: "app", FunctionOwner: "app"}}
				d.Extensions = append(d.Extensions, catalog.Extension{Name: "mine", Version: "1", Owner: "app"}, catalog.Extension{Name: "pg_stat_statements", Version: "1.0", Owner: "postgres"})
				d.Relations = append(d.Relations, catalog.Relation{Name: catalog.Name{Schema: "public", Name: "pg_stat_statements"}, Extension: "pg_stat_statements", Kind: 'v', Owner: "postgres", ACL: []catalog.Grant{{Grantee: "app", Privilege: "SELECT"}}})
				setting(e, "shared_preload_libraries", "evil")
				add(e, "output_plugin_libraries", "pgoutput, mine")
				add(e, "composite_type_mismatch", "warn")
			},
			env:    func(env *scan.Env) { env.Expect = &scan.Expect{Extensions: []string{}, Libraries: []string{}} },
			expect: "fail FUN-006 plperlu\nfail FUN-007 plperlu, role app\nfail FUN-008 event trigger\nfail EXT-014 et\nfail EXT-005 mine\nfail EXT-013 role app\nfail EXT-001 pg_stat_statements\nfail EXT-002 mine\nfail EXT-006 library evil\nfail EXT-009\nfail EXT-010",
		},
		{
			name: "extensions as they should be", derived: "new settings are edited in, as servers of this month have them; extensions are set",
			edit: func(e *catalog.Evidence) {
				e.Server.VersionNum = 150020
				add(e, "output_plugin_libraries", "pgoutput")
				add(e, "composite_type_mismatch", "error")
				e.Databases[0].Extensions = append(e.Databases[0].Extensions, catalog.Extension{Name: "pg_stat_statements", Schema: "mon", Version: "1.10", Owner: "postgres"})
			},
			env: func(env *scan.Env) {
				env.Expect = &scan.Expect{Extensions: []string{"pg_stat_statements"}, Libraries: []string{}}
			},
			expect: "pass EXT-001 EXT-002 EXT-003 EXT-004 EXT-005 EXT-006 EXT-009 EXT-010 EXT-012 EXT-013 EXT-014 DAT-008 REP-011",
		},
	}
}

// add puts a setting into recorded evidence that the server does not have.
func add(e *catalog.Evidence, name, value string) {
	i := 0
	for i < len(e.Server.Settings) && e.Server.Settings[i].Name < name {
		i++
	}
	e.Server.Settings = append(e.Server.Settings[:i], append([]catalog.Setting{{Name: name, Value: value}}, e.Server.Settings[i:]...)...)
}
