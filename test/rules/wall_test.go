package rules_test

import (
	"strings"
	"testing"
)

const (
	profiles = `pg_namespace n WHERE n.nspname LIKE 'postern\_shop\_%'`
	views    = `pg_class v JOIN pg_namespace n ON n.oid = v.relnamespace AND n.nspname LIKE 'postern\_shop\_%' AND v.relkind = 'v'`
	maskers  = `pg_roles m WHERE m.rolname LIKE 'postern\_shop\_%\_mask'`
)

// wallRules are those of what is built on the server (sections 1 to 4.1).
var wallRules = []rule{
	{id: "ENF-01", tries: []try{
		{"server", "SELECT count(*) FROM (SELECT id, phone FROM app.customers WHERE app.in_region(region)) c WHERE phone::int > 0", "error 22P02 hidden phone"},
		{"ana", "SELECT count(*) FROM customers WHERE phone::int > 0", "2"},
		{"wall ana", "SELECT count(*) FROM customers WHERE phone::int > 0", "2"},
	}},
	{id: "ENF-02", tries: all([]try{
		{"ana", "SELECT id FROM customers ORDER BY id", "1\n2"},
		{"ana", "SELECT id FROM app.customers ORDER BY id", "1\n2"},
	}, each("wall ana", "error 42501", "SELECT id FROM app.customers", "SELECT * FROM app.events", "SELECT 1 FROM app.orders"))},
	{id: "ENF-03", do: func(t *testing.T, w *world) {
		for _, x := range w.Plan(t).Warnings {
			if strings.Contains(x.Text, "gateway only") || strings.Contains(x.Text, "gateway alone") {
				t.Errorf("a walled store is called one that the gateway alone guards: %s", x.Text)
			}
		}
	}},
	{id: "ENF-04", tries: all(
		each("ana", "error 42501", "LOCK TABLE customers", "DO 'BEGIN END'", "SELECT app.ssn_of(1)", "TABLE app.payroll", "SELECT pg_sleep(0)", "CREATE TABLE t (i int)"),
		each("ana", "error 42601", "FROBNICATE", "SELECT FROM WHERE", "SELECT 'open"),
		[]try{{"ana", "SELECT 1", "1"}},
	)},
	{id: "ENF-05", tries: []try{
		{"ana", `SELECT /* hidden comment */ "id" FROM Customers WHERE id=1 -- and another`, "1"},
		{"server", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ana' AND query ~ 'FROM postern_shop_[^ ]+[.]customers' AND query !~ 'hidden|another'", "1"},
	}},
	{id: "ENF-06", tries: []try{
		{"wall ana", "SET enable_seqscan = off; EXPLAIN (COSTS OFF) SELECT * FROM customers WHERE id = 2", "~ Index Cond: \\(id = 2\\)"},
		{"server", "SELECT bool_and(proleakproof) FROM pg_proc WHERE oid IN ('int4eq(int4,int4)'::regprocedure, 'texteq(text,text)'::regprocedure, 'uuid_eq(uuid,uuid)'::regprocedure)", "t"},
		{"server", "SELECT bool_or(proleakproof) FROM pg_proc WHERE oid IN ('numeric_eq(numeric,numeric)'::regprocedure, 'textlike(text,text)'::regprocedure, 'jsonb_eq(jsonb,jsonb)'::regprocedure)", "f"},
	}},
	{id: "ENF-07", tries: []try{
		{"server", "SET enable_seqscan = off; EXPLAIN (COSTS OFF) SELECT * FROM app.customers WHERE ssn = '111-1'", "~ Index Cond: \\(ssn ="},
		{"wall ana", "SET enable_seqscan = off; SELECT id FROM customers WHERE ssn = '111-1' OR email = 'ann@x.test'", "tag SELECT 0"},
		{"wall sam", "SET enable_seqscan = off; SELECT id FROM customers WHERE ssn = '***2'", "2"},
		{"wall sam", "EXPLAIN (COSTS OFF) SELECT id FROM customers WHERE ssn = '222-2'", "~ Filter: .*ssn"},
	}},
	{id: "ENF-08", tries: []try{
		{"server", `SELECT count(*) > 0 AND bool_and(qual ~ 'ANY \(ARRAY\( SELECT') FROM pg_policies WHERE tablename = 'customers' AND policyname ~ '_b(_|$)' AND qual ~ 'assignments'`, "t"},
		{"server", "SELECT count(*) FROM pg_policies WHERE qual ~* 'EXISTS'", "0"},
	}},
	{id: "ENF-09", tries: []try{
		{"server", "SELECT bool_and(n.nspname ~ '^postern_shop_[a-z0-9_]+_[0-9a-f]{8}$' AND length(n.nspname) <= 58) FROM " + profiles, "t"},
		{"server", "SELECT count(*) FROM " + maskers + " AND (m.rolcanlogin OR m.rolsuper OR m.rolbypassrls OR m.rolcreaterole)", "0"},
		{"server", "SELECT count(*) FROM pg_auth_members a JOIN " + strings.Replace(maskers, " WHERE ", " ON m.oid = a.roleid AND ", 1) + " AND a.member NOT IN (SELECT oid FROM pg_roles WHERE rolname = 'postern_admin')", "0"},
		{"server", `SELECT r.rolname, count(*) FROM pg_roles r JOIN pg_auth_members a ON a.member = r.oid JOIN pg_roles g ON g.oid = a.roleid AND g.rolname LIKE '%\_prof'
			WHERE r.rolname IN ('ana', 'sam', 'uma', 'tess') GROUP BY 1 ORDER BY 1`, "ana|1\nsam|1\ntess|1\numa|1"},
		{"server", "SELECT count(*) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole AND r.rolname IN ('ana', 'sam', 'uma', 'tess'), unnest(s.setconfig) c WHERE c LIKE 'search_path=%' AND s.setdatabase <> 0", "4"},
		{"server", "SELECT count(*) FROM " + profiles + " AND obj_description(n.oid, 'pg_namespace') IS NULL", "0"},
	}},
	{id: "ENF-10", tries: []try{
		{"server", `SELECT count(*) > 0 AND bool_and(roles::text LIKE '%\_rule\_%') FROM pg_policies WHERE schemaname = 'app' AND policyname LIKE 'postern%' AND roles::text LIKE '%postern\_shop%'`, "t"},
		{"server", `SELECT count(*) FROM pg_roles r WHERE r.rolname LIKE 'postern\_shop\_rule\_%' AND (r.rolcanlogin OR NOT r.rolinherit)`, "0"},
	}},
	{id: "ENF-11", tries: []try{
		{"server", "SELECT count(*) FROM " + views + " WHERE array_to_string(v.reloptions, ',') ~ 'security_barrier=(true|on)'", "0"},
		{"server", "SELECT count(*) FROM " + views + " WHERE pg_get_viewdef(v.oid) ~ ' WHERE .*region[^;]*;$' AND pg_get_viewdef(v.oid) !~ 'CASE'", "0"},
		{"server", "SELECT relrowsecurity FROM pg_class WHERE oid = 'app.customers'::regclass", "t"},
	}},
	{id: "ENF-12", tries: []try{
		{"server", "SELECT bool_or(has_table_privilege(m.oid, 'app.customers', 'TRUNCATE, REFERENCES, TRIGGER, DELETE')) FROM " + maskers, "f"},
		{"server", "SELECT bool_or(has_schema_privilege(m.oid, n.oid, 'CREATE')) FROM pg_roles m, " + profiles + ` AND m.rolname LIKE 'postern\_shop\_%\_mask'`, "f"},
		{"server", "SELECT bool_or(has_table_privilege(m.oid, 'app.payroll', 'SELECT') OR has_any_column_privilege(m.oid, 'app.payroll', 'SELECT')) FROM " + maskers, "f"},
		{"server", "SELECT bool_or(has_column_privilege(m.oid, 'app.customers', 'phone', 'UPDATE')), bool_or(has_column_privilege(m.oid, 'app.customers', 'email', 'UPDATE')) FROM " + maskers, "t|f"},
	}},
	{id: "ENF-13", tries: []try{
		{"server", "SELECT count(*) FROM " + views + ` JOIN pg_rewrite w ON w.ev_class = v.oid JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_proc'::regclass
			JOIN pg_proc p ON p.oid = d.refobjid AND p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'postern'::regnamespace)`, "0"},
		{"wall ana", "SELECT count(email), count(buyer) FROM customers, orders", "8|6"},
	}},
	{id: "ENF-14", tries: []try{
		{"server", `SELECT count(*) > 20, count(*) FILTER (WHERE (a.attname, a.atttypid, a.atttypmod, a.attcollation) IS DISTINCT FROM (b.attname, b.atttypid, b.atttypmod, b.attcollation)) FROM ` + views +
			` JOIN pg_class t ON t.relname = v.relname AND t.relnamespace = 'app'::regnamespace JOIN pg_attribute b ON b.attrelid = t.oid AND b.attnum > 0
			LEFT JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum = b.attnum`, "t|0"},
		{"ana", "SELECT q, w FROM customers AS c (q, w) WHERE q = 1", "1|Ann"},
	}},
	{id: "ENF-15", tries: []try{
		{"server", "SELECT count(*) > 0 AND bool_and(pg_relation_is_updatable(v.oid, false) & 4 = 4) FROM " + views + " WHERE v.relname IN ('customers', 'notes')", "t"},
	}},
	{id: "ENF-16", tries: all([]try{
		{"server", "SELECT count(*) FROM pg_database d, aclexplode(d.datacl) x WHERE d.datname = current_database() AND x.grantee = 0 AND x.privilege_type IN ('CREATE', 'TEMPORARY')", "0"},
		{"server", "SELECT count(*) FROM pg_namespace s, aclexplode(s.nspacl) x WHERE s.nspname IN ('app', 'public') AND x.grantee = 0 AND x.privilege_type = 'CREATE'", "0"},
		{"server", "SELECT count(*) FROM pg_proc p WHERE p.pronamespace = 'app'::regnamespace AND (p.proacl IS NULL OR EXISTS (SELECT FROM aclexplode(p.proacl) x WHERE x.grantee = 0))", "0"},
		{"server", "SELECT count(*) FROM pg_language l, aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) x WHERE l.lanpltrusted AND x.grantee = 0", "0"},
		{"server", "SELECT count(*) FROM pg_largeobject_metadata l, aclexplode(l.lomacl) x WHERE x.grantee = 0", "0"},
	}, each("wall ana", "error 42501", "CREATE TEMP TABLE x (i int)", "CREATE TABLE app.x (i int)", "CREATE TABLE public.x (i int)", "DO 'BEGIN END'", "SELECT lo_get(424242)", "SELECT app.twice(1)",
		"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"))},
	{id: "ENF-17", tries: []try{
		{"server", "SELECT count(*) FROM pg_default_acl d WHERE d.defaclrole = 'app_owner'::regrole AND d.defaclobjtype = 'f' AND d.defaclnamespace = 0", "1"},
		{"server", "SET ROLE app_owner; CREATE FUNCTION app.later() RETURNS int LANGUAGE sql AS 'SELECT 1'; RESET ROLE", ""},
		{"wall ana", "SELECT app.later()", "error 42501"},
		{"server", "DROP FUNCTION app.later()", ""},
	}},
	{id: "ENF-18", tries: all(
		[]try{{"ana", "TABLE events", "1|EU|visible"}, {"wall ana", "TABLE events", "1|EU|visible"}},
		each("ana", "error 42501", "TABLE app.events_us", "TABLE app.events_eu", "SELECT 1 FROM events_us"),
		each("wall ana", "error 42501", "TABLE app.events_us", "TABLE app.events_eu", "TABLE app.events"),
	)},
	{id: "ENF-19", tries: []try{
		{"ana", "SELECT id, email, email_domain FROM customers ORDER BY id", "1|a***|\n2|b***|"},
		{"sam", "SELECT id, email, email_domain FROM customers ORDER BY id", "2|bob@y.test|y.test\n3|cyd@z.test|z.test"},
	}},
	{id: "ENF-20", tries: []try{
		{"ana", "SELECT 'gold'::app.tier, '1234'::app.pin4", "gold|1234"},
		{"wall ana", "SELECT 'gold'::app.tier", "gold"},
		{"server", `SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_class c WHERE c.relnamespace = 'app'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p', 'S')
			AND (has_table_privilege('ana', c.oid, 'SELECT') OR has_any_column_privilege('ana', c.oid, 'SELECT'))`, "products"},
	}},
	{id: "ENF-21", tries: all(
		each("ana", "error 42501", "TABLE app.report", "TABLE app.stored", "SELECT ssn FROM report", "SELECT app.ssn_of(1)", "SELECT app.label(c) FROM customers c"),
		each("wall ana", "error 42501", "TABLE app.report", "TABLE app.stored", "SELECT app.ssn_of(1)"),
	)},
	{id: "ENF-22", do: func(t *testing.T, w *world) {
		for _, x := range w.Plan(t).Warnings {
			if strings.Contains(x.Text, "trigger stamp on app.notes") {
				return
			}
		}
		t.Error("plan does not warn of a trigger that sees raw rows")
	}},
	{id: "ENF-23", elsewhere: "TestRefusals"},
	{id: "ENF-24", tries: []try{
		{"wall ana", "SET row_security = off; SELECT count(*) FROM customers", "error 42501"},
		{"server", "ALTER TABLE app.customers DROP COLUMN phone", "error 2BP01"},
		{"server", "ALTER TABLE app.customers ALTER COLUMN phone TYPE varchar(9)", "error 0A000"},
	}},
	{id: "ENF-25", tries: all([]try{
		{"ana", "SELECT current_user, session_user", "ana|ana"},
		{"server", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ana'", "1"},
	}, each("ana", "error 42501", "SET ROLE postgres", "SET SESSION AUTHORIZATION postgres", "SELECT set_config('role', 'postgres', false)"))},
	{id: "ENF-26", tries: []try{
		{"server", "SELECT count(DISTINCT rolname) FROM pg_roles WHERE rolname IN ('ana', 'sam', 'uma', 'tess', 'olga') AND rolcanlogin AND NOT rolsuper", "5"},
		{"sam", "SELECT id, author FROM notes", "1|sam"},
		{"uma", "SELECT id, author FROM notes", "2|uma"},
	}},
	{id: "ENF-27", tries: each("ana", "error 42501", "SELECT * FROM pg_stats", "SELECT * FROM pg_stat_activity", "UPDATE pg_settings SET setting = 'x'", "SELECT set_config('TimeZone', 'UTC' || '', false)",
		"SELECT pg_notify('a', 'b')", "SELECT lo_create(0)", "SELECT query_to_xml('SELECT 1', true, false, '')", "SELECT pg_sleep(0)", "SELECT pg_terminate_backend(1)", "SELECT pg_cancel_backend(1)")},
}
