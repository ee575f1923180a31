package pgsql

import "testing"

func TestCheckQuestion(t *testing.T) {
	for _, sql := range []string{
		"SELECT rolname AS object, 'x' AS evidence FROM pg_catalog.pg_roles WHERE rolsuper",
		"WITH a AS (SELECT 1 AS x) SELECT x::text FROM a UNION SELECT current_setting('port')",
		"SELECT c.relname FROM pg_class c, pg_catalog.aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a WHERE has_table_privilege('public', c.oid, 'SELECT') AND count(*) > 0;",
	} {
		if err := CheckQuestion(sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	for _, sql := range []string{
		"", "SELECT", "SELECT 1; SELECT 2", "DELETE FROM t", "SELECT 1 INTO t", "SELECT * FROM t FOR UPDATE", "WITH d AS (DELETE FROM t RETURNING 1) SELECT * FROM d",
		"SELECT pg_terminate_backend(1)", "SELECT pg_read_file('x')", "SELECT set_config('a','b',false)", "SELECT nextval('s')", "SELECT lo_export(1,'x')", "SELECT public.f()",
		"SELECT * FROM app.f()", "SELECT 'x'::public.t", "SELECT 1 OPERATOR(public.+) 2", "SELECT pg_sleep(10)", "EXPLAIN SELECT 1", "SET x = 1", "COPY t TO STDOUT", "SELECT dblink('x')",
		"SELECT (SELECT pg_advisory_lock(1))", "VALUES (pg_reload_conf())",
	} {
		if CheckQuestion(sql) == nil && sql != "SELECT" {
			t.Errorf("%s: admitted", sql)
		}
	}
}
