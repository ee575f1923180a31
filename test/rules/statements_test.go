package rules_test

import (
	"strings"
	"testing"
)

// statementRules are those of kinds of statements and of what stands in them (section 12).
var statementRules = []rule{
	{id: "ENF-66", tries: all(
		each("ana", "1", "SELECT id FROM customers WHERE id = 1", "VALUES (1)", "WITH c AS (SELECT min(id) AS id FROM customers) SELECT id FROM c", "SELECT count(*) FROM (TABLE events) e"),
		each("ana", "error 42501", denied()...),
		each("ana", "error 42501", "SELECT * INTO copied FROM customers", "CREATE TABLE copied AS SELECT * FROM customers", "CREATE TEMP TABLE copied AS SELECT * FROM customers"),
		[]try{
			{"tess", "CREATE TEMP TABLE copied AS SELECT id, ssn FROM customers; SELECT * FROM copied ORDER BY 1; DROP TABLE copied", "tag SELECT 2\n1|\n2|"},
			{"sam", "INSERT INTO notes SELECT id + 100, 'sam', ssn, id FROM customers ORDER BY id RETURNING body", "***2\n***3"},
			{"sam", "INSERT INTO notes VALUES (2, 'sam', 'x', 1) ON CONFLICT DO NOTHING", "tag INSERT 0 0"},
			{"sam", "INSERT INTO notes VALUES (102, 'sam', 'x', 1) ON CONFLICT (id) DO UPDATE SET body = excluded.body RETURNING body", "x"},
			{"sam", "WITH gone AS (DELETE FROM notes WHERE id > 100 RETURNING id) SELECT count(*) FROM gone", "2"},
			{"sam", "INSERT INTO notes VALUES (7, 'uma', 'x', 1)", "error 42501"},
			{"ana", "INSERT INTO customers (id, name) VALUES (9, 'x')", "error 42501"},
			{"ana", "DELETE FROM customers", "error 42501"},
			{"sam", "MERGE INTO notes n USING customers c ON n.about = c.id WHEN MATCHED THEN UPDATE SET body = 'x'", "error 0A000 PostgreSQL 15"},
			{"sam", "BEGIN; DECLARE c CURSOR FOR SELECT id FROM notes; FETCH 1 FROM c; UPDATE notes SET body = 'x' WHERE CURRENT OF c", "error 42501"},
			{"sam", "ROLLBACK", ""},
			{"ana", "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT id, ssn FROM customers ORDER BY id; FETCH 1 FROM c; MOVE 1 IN c; COMMIT; CLOSE c", "1|\ntag MOVE 1"},
			{"ana", "PREPARE p (int) AS SELECT name FROM customers WHERE id = $1; EXECUTE p (1); DEALLOCATE p", "Ann"},
			{"ana", "EXECUTE nobodys (1)", "error 26000"},
			{"ana", "BEGIN; SAVEPOINT s; ROLLBACK TO s; RELEASE s; COMMIT; START TRANSACTION; ROLLBACK; SELECT 1", "1"},
			{"ana", "BEGIN; PREPARE TRANSACTION 'x'", "error 42501"},
			{"ana", "ROLLBACK", ""},
			{"tess", "CALL app.nothing()", ""},
			{"ana", "CALL app.nothing()", "error 42501"},
			{"tess", "LISTEN news; NOTIFY news, 'x'; UNLISTEN news", ""},
			{"ana", "LISTEN news", "error 42501"},
			{"tess", "NOTIFY other", "error 42501"},
			{"ana", "SET CONSTRAINTS ALL IMMEDIATE", ""},
			{"ana", "DISCARD PLANS", ""},
			// Into a place that a rule allows: what is kept is what was shown, and is its maker's alone.
			{"tess", "CREATE TABLE workbench.kept AS SELECT id, ssn, email FROM customers", "tag SELECT 2"},
			{"tess", "SELECT * FROM workbench.kept ORDER BY id", "1||a***\n2||b***"},
			{"sam", "SELECT id, ssn INTO workbench.mine FROM customers; SELECT * FROM workbench.mine ORDER BY id; UPDATE workbench.mine SET ssn = 'x'; TRUNCATE workbench.mine; DROP TABLE workbench.mine", "tag SELECT 2\n2|***2\n3|***3\ntag UPDATE 2"},
			{"sam", "TABLE workbench.kept", "error 42501"},
			{"sam", "INSERT INTO workbench.kept VALUES (1)", "error 42501"},
			{"sam", "DROP TABLE workbench.kept", "error 42501"},
			{"sam", "CREATE TABLE workbench.kept AS SELECT 1 AS a", "error 42P07"},
			{"wall sam", "TABLE workbench.kept", "error 42501"},
			{"wall ana", "TABLE workbench.kept", "error 42501"},
			{"wall ana", "CREATE TABLE workbench.x (i int)", "error 42501"},
			{"ana", "TABLE workbench.kept", "error 42P01"},
			{"ana", "CREATE TABLE workbench.x AS SELECT 1 AS a", "error 42501"},
			{"tess", "CREATE TABLE workbench.x AS SELECT c FROM customers c", "error 42501"},
			{"tess", "CREATE TABLE workbench.x AS SELECT * FROM payroll", "error 42501"},
			{"tess", "CREATE TABLE app.x AS SELECT 1 AS a", "error 42501 workbench"},
			{"tess", "CREATE VIEW workbench.x AS SELECT 1", "error 42501"},
			{"server", "SELECT pg_get_userbyid(relowner), relacl IS NULL FROM pg_class WHERE oid = 'workbench.kept'::regclass", "tess|t"},
			{"server", "SELECT count(*) FROM pg_namespace n, aclexplode(n.nspacl) x WHERE nspname = 'workbench' AND x.grantee = 0", "0"},
		},
	), do: func(t *testing.T, w *world) {
		if p := w.Plan(t); len(p.Changes) > 0 {
			t.Errorf("with a table in a place there is something to change: %+v", p.Changes)
		}
		w.try(t, try{"tess", "DROP TABLE workbench.kept", ""})
	}},
	{id: "ENF-67", tries: all(
		each("ana", "error 42501", places("(SELECT count(*) FROM app.payroll)")...),
		each("ana", "~ .", places("(SELECT count(*) FROM customers)")...),
		[]try{
			{"ana", "WITH customers AS (SELECT * FROM customers) SELECT id, ssn FROM customers ORDER BY id", "1|\n2|"},
			{"ana", "WITH payroll AS (SELECT 1 AS salary) SELECT salary FROM payroll", "1"},
			{"ana", "WITH payroll AS (SELECT 1 AS salary) SELECT salary FROM app.payroll", "error 42501"},
			{"ana", "WITH payroll AS (SELECT * FROM payroll) SELECT * FROM payroll", "error 42501"},
			{"ana", "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT max(n) FROM r", "3"},
			{"ana", "SELECT c.id, l.n FROM customers c, LATERAL (SELECT c.id * 2 AS n) l ORDER BY 1", "1|2\n2|4"},
			{"ana", "SELECT id FROM customers JOIN orders USING (id) ORDER BY 1", "1\n2"},
			{"ana", "SELECT count(*) FROM customers NATURAL JOIN orders", "2"},
			{"ana", "SELECT c FROM events c", "(1,EU,visible)"},
			{"ana", "SELECT (c).ssn, c.* = c.* FROM customers c WHERE id = 1", "|t"},
			{"ana", "SELECT row_to_json(c)->>'ssn' FROM customers c WHERE id = 1", ""},
			{"ana", "SELECT app.customers.id, customers.name FROM app.customers ORDER BY 1", "1|Ann\n2|Bob"},
			{"ana", "SELECT ctid FROM customers", "error 42501"},
			{"ana", "SELECT c.tableoid, c.xmin FROM customers c", "error 42501"},
			{"ana", "SELECT count(*) FROM customers TABLESAMPLE BERNOULLI (100)", "2"},
			{"ana", "SELECT count(*) FROM ONLY customers", "2"},
			{"ana", "SELECT id FROM customers FOR UPDATE", "error 42501"},
			{"sam", "SELECT id FROM customers ORDER BY id FOR UPDATE", "2\n3"},
			{"uma", "SELECT id FROM customers ORDER BY id FOR UPDATE", "2\n3"},
			{"sam", "UPDATE notes SET body = 'x' WHERE id = 1 RETURNING old.body", "error 42P01"},
		},
	)},
	{id: "ENF-68", tries: []try{
		{"ana", "SELECT 1; TABLE app.payroll", "error 42501"},
		{"sam", "INSERT INTO notes VALUES (20, 'sam', 'x', 1); SELECT 1/0", "error 22012"},
		{"sam", "SELECT count(*) FROM notes WHERE id = 20", "0"},
		{"ana", "PREPARE q AS SELECT 5; EXECUTE q; SELECT 6", "5\n6"},
		{"ana", "SELECT 1" + strings.Repeat(";SELECT 1", 1000), "error 54"},
		{"ana", strings.Repeat(";", 50) + "SELECT 8", "8"},
	}},
}

// denied is a statement of each kind that is refused to whoever owns nothing.
func denied() []string {
	var out []string
	for line := range strings.Lines(`COPY customers TO PROGRAM 'cat'
COPY customers TO '/tmp/x'
COPY products FROM PROGRAM 'cat'
DO $$ BEGIN END $$
LOAD 'x'
LOCK TABLE customers IN SHARE MODE
TRUNCATE notes
VACUUM
ANALYZE customers
CLUSTER
REINDEX TABLE customers
CHECKPOINT
REFRESH MATERIALIZED VIEW app.stored
CREATE TABLE x (i int)
CREATE FOREIGN TABLE x (i int) SERVER s
CREATE VIEW x AS SELECT 1
CREATE INDEX ON customers (id)
CREATE SCHEMA x
CREATE SEQUENCE x
ALTER SEQUENCE app.numbers RESTART
CREATE RULE x AS ON SELECT TO customers DO INSTEAD SELECT 1
CREATE TRIGGER x BEFORE INSERT ON notes FOR EACH ROW EXECUTE FUNCTION app.tell()
CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION app.tell()
ALTER EVENT TRIGGER x DISABLE
CREATE STATISTICS x ON id, name FROM customers
ALTER STATISTICS x SET STATISTICS 1
CREATE FUNCTION x() RETURNS int LANGUAGE sql AS 'SELECT 1'
ALTER FUNCTION app.twice(int) COST 1
CREATE LANGUAGE x
CREATE CAST (text AS int) WITH INOUT
CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION x(internal))
CREATE CONVERSION x FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1
CREATE AGGREGATE x (int) (SFUNC = int4pl, STYPE = int)
CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)
CREATE OPERATOR CLASS x FOR TYPE int USING btree AS OPERATOR 1 <
CREATE OPERATOR FAMILY x USING btree
ALTER OPERATOR FAMILY x USING btree ADD OPERATOR 1 < (int, int)
ALTER OPERATOR = (int, int) SET (RESTRICT = eqsel)
CREATE DOMAIN x AS int
ALTER DOMAIN app.pin4 DROP NOT NULL
CREATE TYPE x AS (i int)
CREATE TYPE x AS ENUM ('a')
ALTER TYPE app.tier ADD VALUE 'iron'
CREATE TYPE x AS RANGE (SUBTYPE = int)
CREATE TYPE x
CREATE COLLATION x (LOCALE = 'C')
ALTER COLLATION "C" REFRESH VERSION
CREATE TEXT SEARCH DICTIONARY x (TEMPLATE = simple)
ALTER TEXT SEARCH DICTIONARY simple (STOPWORDS = 'x')
ALTER TEXT SEARCH CONFIGURATION english DROP MAPPING FOR word
CREATE ACCESS METHOD x TYPE INDEX HANDLER bthandler
ALTER TABLE customers DISABLE ROW LEVEL SECURITY
ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE x
ALTER TABLE customers OWNER TO ana
ALTER TABLE customers SET SCHEMA public
ALTER FUNCTION app.twice(int) DEPENDS ON EXTENSION x
ALTER TABLE customers RENAME TO x
DROP TABLE customers
COMMENT ON TABLE customers IS 'x'
SECURITY LABEL ON TABLE customers IS 'x'
GRANT SELECT ON customers TO PUBLIC
GRANT app_owner TO ana
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC
CREATE POLICY x ON customers
ALTER POLICY x ON customers USING (true)
CREATE ROLE x
ALTER ROLE ana SUPERUSER
ALTER ROLE ALL SET work_mem = '1MB'
DROP ROLE sam
DROP OWNED BY ana
REASSIGN OWNED BY app_owner TO ana
CREATE DATABASE x
ALTER DATABASE shop CONNECTION LIMIT 1
ALTER DATABASE shop SET work_mem = '1MB'
ALTER DATABASE shop REFRESH COLLATION VERSION
DROP DATABASE postgres
CREATE TABLESPACE x LOCATION '/tmp'
DROP TABLESPACE x
ALTER TABLESPACE pg_default SET (seq_page_cost = 1)
ALTER SYSTEM SET work_mem = '1MB'
CREATE EXTENSION pgcrypto
ALTER EXTENSION plpgsql UPDATE
ALTER EXTENSION plpgsql ADD TABLE customers
CREATE FOREIGN DATA WRAPPER x
ALTER FOREIGN DATA WRAPPER x NO HANDLER
CREATE SERVER x FOREIGN DATA WRAPPER y
ALTER SERVER x OPTIONS (a 'b')
CREATE USER MAPPING FOR ana SERVER x
ALTER USER MAPPING FOR ana SERVER x OPTIONS (a 'b')
DROP USER MAPPING FOR ana SERVER x
IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z
CREATE PUBLICATION x FOR ALL TABLES
ALTER PUBLICATION x SET (publish = 'insert')
CREATE SUBSCRIPTION x CONNECTION 'y' PUBLICATION z
ALTER SUBSCRIPTION x DISABLE
DROP SUBSCRIPTION x
ALTER TABLE customers REPLICA IDENTITY FULL
COMMIT PREPARED 'x'
ROLLBACK PREPARED 'x'
`) {
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

// places puts an expression wherever a sublink can stand.
func places(e string) []string {
	var out []string
	for line := range strings.Lines(`SELECT {e}
SELECT id FROM customers ORDER BY {e}, id LIMIT 1
SELECT 1 FROM customers LIMIT {e}
SELECT 1 FROM customers LIMIT 1 OFFSET {e} * 0
SELECT region FROM customers GROUP BY region HAVING {e} > 0
SELECT region FROM customers GROUP BY region, {e}
SELECT count(*) FILTER (WHERE {e} > 0) FROM customers
SELECT 1 FROM customers a JOIN customers b ON {e} > 0 LIMIT 1
SELECT sum(id) OVER (PARTITION BY {e}) FROM customers LIMIT 1
SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN {e} PRECEDING AND CURRENT ROW) FROM customers LIMIT 1
VALUES ({e})
SELECT (ARRAY[1, 2, 3, 4, 5])[{e}]
SELECT CASE WHEN {e} > 0 THEN 1 ELSE 2 END
SELECT coalesce(NULL, {e})
SELECT 1 WHERE 1 IN (SELECT 1 WHERE {e} > 0)
SELECT * FROM generate_series(1, {e}) LIMIT 1
SELECT * FROM ROWS FROM (generate_series(1, {e})) LIMIT 1
SELECT DISTINCT ON ({e}) id FROM customers
SELECT 1 UNION ALL SELECT {e}
SELECT * FROM (SELECT {e}) s
SELECT l.x FROM customers, LATERAL (SELECT {e} AS x) l LIMIT 1
WITH x AS (SELECT {e} AS n) SELECT n FROM x
SELECT string_agg(name, ',' ORDER BY {e}) FROM customers
SELECT count(*) FROM customers TABLESAMPLE BERNOULLI ({e} + 50)
SELECT xmlelement(name a, {e})
SELECT ROW({e}, 1)
SELECT {e} BETWEEN 0 AND 10
SELECT EXTRACT(day FROM date '2026-01-01' + {e}::int)
SELECT ARRAY[{e}]
SELECT EXISTS {e}
`) {
		out = append(out, strings.ReplaceAll(strings.TrimSpace(line), "{e}", e))
	}
	return out
}
