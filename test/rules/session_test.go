package rules_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// sessionRules are those of the pipeline, its cache and a session's state (section 7).
var sessionRules = []rule{
	{id: "ENF-45", do: func(t *testing.T, w *world) {
		ctx := context.Background()
		_, err := w.session(t, "ana").Prepare(ctx, "two", "SELECT 1; SELECT 2", nil)
		if got := code(err); got != "42601" {
			t.Errorf("two statements in a Parse: %v", err)
		}
		if _, err := w.session(t, "ana").Prepare(ctx, "one", "SELECT id FROM customers WHERE id = $1", nil); err != nil {
			t.Error(err)
		}
	}},
	{id: "ENF-46", tries: []try{
		{"ana", "SELECT current_setting('TimeZone') <> ''", "t"},
		{"ana", "SELECT current_setting('config_file') <> ''", "error 42501"},
		{"ana", "SELECT 'customers'::regclass IS NULL", "f"},
		{"ana", "SELECT 'app.payroll'::regclass IS NULL", "error 42501"},
		{"ana", "SELECT id FROM customers WHERE name = 'Ann'", "1"},
		{"ana", "SELECT id FROM customers WHERE name = 'Bob'", "2"},
		{"sam", "SELECT id FROM customers WHERE name = 'Ann'", "tag SELECT 0"},
	}},
	{id: "ENF-47", tries: all(
		each("ana", "error 42501", "SET search_path = public", "SET LOCAL search_path = app, public", "SET role = 'postgres'", "SET session_authorization = 'postgres'", "SET row_security = off",
			"SET standard_conforming_strings = off", "SET backslash_quote = on", "SET escape_string_warning = off", "SET client_encoding = 'SJIS'", "SET quote_all_identifiers = on",
			"SET session_replication_role = replica", "SET session_preload_libraries = 'x'", "SET local_preload_libraries = 'x'", "SET default_table_access_method = 'x'", "SET plan_cache_mode = force_generic_plan",
			"SELECT set_config('search_path', 'public', false)", "UPDATE pg_settings SET setting = 'app' WHERE name = 'search_path'", "ALTER DATABASE shop SET search_path = app", "ALTER ROLE ana SET search_path = app"),
		each("ana", "", "SET search_path = app", "SET standard_conforming_strings = on", "SET row_security = on", "SET client_encoding = 'UTF8'"),
		[]try{{"ana", "SHOW search_path", "app"}, {"ana", "SELECT set_config('bytea_output', 'hex', false)", "hex"}},
	)},
	{id: "ENF-48", tries: all(
		each("ana", "", "SET application_name = 'x'", "SET statement_timeout = '10s'", "SET lock_timeout = 1000", "SET idle_in_transaction_session_timeout = '1min'", "SET TimeZone = 'Europe/Paris'", "SET DateStyle = 'ISO, DMY'",
			"SET IntervalStyle = 'iso_8601'", "SET extra_float_digits = 3", "SET bytea_output = 'escape'", "SET client_min_messages = 'error'", "SET work_mem = '1MB'", "SET default_transaction_isolation = 'serializable'",
			"SET default_transaction_read_only = on", "SET TIME ZONE 'UTC'", "SET NAMES 'UTF8'", "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
		each("ana", "error 42501", "SET work_mem = '64GB'", "SET log_statement = 'none'", "SET enable_seqscan = off", "SET jit = on", "SET default_tablespace = 'x'", "SET temp_tablespaces = 'x'", "SET made.up = 1", "SET NAMES 'LATIN1'", "SHOW ALL", "SHOW config_file"),
	)},
	{id: "ENF-49", tries: []try{
		{"ana", "SET DateStyle = 'German'; RESET DateStyle; RESET ALL; SHOW search_path", "app"},
		{"ana", "DISCARD ALL", ""},
		{"ana", "SHOW search_path", "app"},
		{"ana", "SELECT id, ssn FROM customers ORDER BY id", "1|\n2|"},
		{"ana", "SHOW row_security", "on"},
	}},
	{id: "ENF-50", tries: all(
		each("ana", "error 42501", "ALTER ROLE ana SET work_mem = '1MB'", "ALTER ROLE ana PASSWORD 'x'", "ALTER USER CURRENT_USER RESET ALL", "ALTER ROLE ana IN DATABASE shop SET search_path = app"),
		[]try{{"server", "SELECT bool_and(rolvaliduntil IS NULL OR rolvaliduntil > now()) FROM pg_roles WHERE rolname = 'ana'", "t"}},
	)},
	{id: "ENF-51", tries: []try{
		{"ana", "SELECT upper('a'::varchar)", "A"},
		{"server", "SET search_path = pg_catalog, public; SELECT upper('a'::varchar)", "shadowed"},
		{"server", "CREATE FUNCTION public.weaker(text, int) RETURNS bool LANGUAGE sql AS 'SELECT true'; CREATE OPERATOR public.=~= (LEFTARG = text, RIGHTARG = int, FUNCTION = public.weaker)", ""},
		{"ana", "SELECT name =~= 1 FROM customers", "error 42883"},
		{"ana", "SELECT name OPERATOR(public.=~=) 1 FROM customers", "error 42501"},
		{"ana", "SELECT 1 OPERATOR(pg_catalog.+) 1", "2"},
		{"server", "DROP OPERATOR public.=~= (text, int); DROP FUNCTION public.weaker(text, int)", ""},
	}},
}

// catalogRules are those of functions and of the catalog (sections 8 and 9).
var catalogRules = []rule{
	{id: "ENF-52", tries: all(
		[]try{{"ana", "SELECT upper(name), length(name), date_trunc('day', timestamp '2026-01-02 03:04'), jsonb_build_object('a', 1) FROM customers WHERE id = 1", `ANN|3|2026-01-02 00:00:00|{"a": 1}`}},
		each("ana", "error 42501", "SELECT pg_read_file('x')", "SELECT pg_get_backend_memory_contexts()", "SELECT app.twice(1)", "SELECT public.upper('a'::varchar)"),
		each("ana", "error 42883", "SELECT made_up(1)"),
		[]try{{"tess", "SELECT app.twice(21)", "42"}, {"tess", "SELECT twice(21)", "42"}},
	)},
	{id: "ENF-53", tries: all(
		each("ana", "error 42501", "SELECT table_to_xml('app.customers', true, false, '')", "SELECT schema_to_xml('app', true, false, '')", "SELECT database_to_xml(true, false, '')",
			"SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery')", "SELECT ts_rewrite('a'::tsquery, 'a'::tsquery, 'b'::tsquery)"),
		[]try{{"ana", "SELECT to_tsquery('a & b')", "'b'"}},
	)},
	{id: "ENF-54", tries: all(
		each("ana", "error 42501", stayOut()...),
		// Of functions that the server does not have the gateway says so; with their extensions they are refused (test/attacks).
		each("ana", "error 42883", "SELECT dblink('x', 'y')", "SELECT crosstab('x')", "SELECT connectby('a', 'b', 'c', 'd', 1)", "SELECT xpath_table('a', 'b', 'c', 'd', 'e')", "SELECT pgrowlocks('app.customers')",
			"SELECT get_raw_page('app.customers', 0)", "SELECT pgstattuple('app.customers')"),
		// psql's own queries name these; they answer nothing.
		each("ana", "", "SELECT pg_table_size('app.customers')", "SELECT pg_get_viewdef('app.report')"),
		each("ana", "error 42501", "SELECT pg_get_functiondef('app.ssn_of'::regproc)"),
	)},
	{id: "ENF-55", tries: all(
		each("ana", "error 42703", "SELECT c.label FROM customers c", "SELECT (c).label FROM customers c"),
		each("ana", "error 42501", "SELECT label(c) FROM customers c", "SELECT * FROM ROWS FROM (app.twice(1))", "SELECT name::regclass FROM customers", "SELECT x::regproc FROM (VALUES ('upper')) v (x)",
			"SELECT * FROM LATERAL pg_ls_dir('.') d", "SELECT count(*) FILTER (WHERE pg_sleep(1) IS NULL) FROM customers", "SELECT format(VARIADIC ARRAY[pg_read_file('x')])"),
		[]try{
			{"ana", "SELECT EXTRACT(year FROM date '2026-11-01'), (date '2026-01-01', date '2026-02-01') OVERLAPS (date '2026-01-15', date '2026-03-01')", "2026|t"},
			{"ana", "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY id) FROM customers", "1"},
			{"ana", "SELECT a FROM XMLTABLE('/r/a' PASSING xml '<r><a>7</a></r>' COLUMNS a int PATH '.')", "7"},
		},
	)},
	{id: "ENF-56", tries: each("ana", "~ ^[0-9]+$", readable()...)},
	{id: "ENF-57", tries: []try{
		{"ana", "SELECT DISTINCT reltuples <= 0 AND relpages = 0 AND relallvisible = 0 FROM pg_class WHERE relname = 'customers'", "t"},
		{"ana", "SELECT count(*) FROM pg_proc WHERE prosrc ~ 'ssn'", "0"},
		{"ana", "SELECT count(*) FROM pg_views WHERE definition ~ 'ssn'", "0"},
		{"ana", "SELECT count(*) FROM pg_class WHERE relacl IS NOT NULL AND relname = 'customers'", "0"},
		{"server", "SELECT reltuples FROM pg_class WHERE oid = 'app.customers'::regclass", "4"},
	}},
	{id: "ENF-58", tries: each("ana", "error 42501", "TABLE pg_stats", "TABLE pg_stats_ext", "TABLE pg_statistic", "TABLE pg_stat_activity", "TABLE pg_stat_user_tables", "TABLE pg_authid", "TABLE pg_shadow", "TABLE pg_hba_file_rules", "TABLE pg_file_settings",
		"TABLE pg_user_mappings", "TABLE pg_subscription", "TABLE pg_largeobject", "TABLE pg_locks", "TABLE pg_prepared_xacts", "TABLE pg_replication_slots", "TABLE pg_stat_replication", "TABLE pg_config")},
}

// stayOut calls each of the names that no list may ever admit.
func stayOut() []string {
	calls := strings.FieldsFunc(`SELECT query_to_xml('SELECT 1', true, false, ''); SELECT query_to_xmlschema('SELECT 1', true, false, ''); SELECT query_to_xml_and_xmlschema('SELECT 1', true, false, '')
SELECT table_to_xmlschema('app.payroll', true, false, ''); SELECT schema_to_xmlschema('app', true, false, ''); SELECT database_to_xmlschema(true, false, ''); SELECT cursor_to_xml('c', 1, true, false, '')
SELECT ts_stat('SELECT 1')
SELECT lo_get(424242); SELECT lo_import('x'); SELECT lo_export(424242, 'x'); SELECT lo_open(424242, 1); SELECT loread(0, 1); SELECT lowrite(0, 'x'); SELECT lo_unlink(424242); SELECT lo_put(424242, 0, 'x')
SELECT pg_read_file('x'); SELECT pg_read_binary_file('x'); SELECT pg_ls_dir('.'); SELECT pg_ls_logdir(); SELECT pg_ls_waldir(); SELECT pg_stat_file('x'); SELECT pg_logical_emit_message(true, 'a', 'b')
SELECT pg_logical_slot_get_changes('s', NULL, NULL); SELECT pg_export_snapshot(); SELECT pg_sleep(0); SELECT pg_sleep_for('0'); SELECT pg_sleep_until(now()); SELECT pg_terminate_backend(1); SELECT pg_cancel_backend(1)
SELECT pg_stat_get_activity(NULL); SELECT pg_stat_get_live_tuples(1); SELECT pg_relation_size('app.customers'); SELECT pg_total_relation_size('app.customers'); SELECT pg_database_size('shop')
SELECT pg_advisory_lock(1); SELECT pg_try_advisory_lock(1); SELECT pg_advisory_unlock_all(); SELECT pg_notify('a', 'b'); SELECT set_config('work_mem', '1MB' || '', false); SELECT setseed(0.5); SELECT txid_current(); SELECT txid_current_snapshot()
SELECT pg_current_xact_id(); SELECT pg_reload_conf(); SELECT pg_rotate_logfile()
SELECT currval('app.numbers'); SELECT nextval('app.numbers'); SELECT setval('app.numbers', 1); SELECT lastval()`, func(r rune) bool { return r == ';' || r == '\n' })
	for i := range calls {
		calls[i] = strings.TrimSpace(calls[i])
	}
	return calls
}

// readable asks for a row of each catalog that may be read.
func readable() (out []string) {
	for _, name := range strings.Fields(`pg_type pg_class pg_attribute pg_attrdef pg_namespace pg_index pg_constraint pg_proc pg_enum pg_range pg_collation pg_description pg_inherits pg_am pg_opclass pg_operator
		pg_cast pg_database pg_roles pg_settings pg_tables pg_views pg_matviews pg_indexes pg_timezone_names
		information_schema.tables information_schema.columns information_schema.table_constraints information_schema.key_column_usage information_schema.schemata information_schema.views`) {
		out = append(out, "SELECT count(*) FROM (SELECT * FROM "+name+" LIMIT 3) s")
	}
	return out
}

func code(err error) string {
	if e := (*pgconn.PgError)(nil); asPgError(err, &e) {
		return e.Code
	}
	return ""
}
