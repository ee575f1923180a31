package pgsql

import (
	"errors"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// everyExpression has one of each kind of expression, everyPlace one of each place that takes one, in parentheses.
var (
	everyExpression = []string{
		"a", "t.a", "1", "-1", "'x'", "1.5", "NULL", "true", "$1", "a + 1", "-a", "a OR b", "a AND b", "NOT a", "a = 1",
		"a::int", "CAST(a AS numeric(10,2))", "int '1'", "a IS NULL", "a IS TRUE", "a IN (1, 2)", "a IN (SELECT 1)",
		"a LIKE 'x'", "a ILIKE 'x' ESCAPE '!'", "a SIMILAR TO 'x'", "a BETWEEN 1 AND 2", "a IS DISTINCT FROM b",
		"NULLIF(a, b)", "COALESCE(a, b)", "GREATEST(a, b)", "CASE WHEN a THEN 1 ELSE 2 END", "CASE a WHEN 1 THEN 2 END",
		"ARRAY[1, 2]", "ARRAY(SELECT 1)", "ROW(1, 2)", "(1, 2)", "(SELECT 1)", "EXISTS (SELECT 1)", "f(a)", "f(VARIADIC a)",
		"count(*)", "count(*) FILTER (WHERE a)", "sum(a) OVER (ORDER BY b)", `a COLLATE "C"`, "a AT TIME ZONE 'UTC'",
		"extract(year FROM a)", "substring(a FROM 1 FOR 2)", "position(a IN b)", "trim(both 'x' from a)",
		"overlay(a placing b from 1)", "current_date", "current_timestamp(3)", "current_user", "interval '1 day'",
		"interval '1' day", "a[1]", "a[1:2]", "(f(a)).b", "(a).b", "(t).*", "xmlelement(name x, a)", "xmlforest(a)",
		"xmlserialize(content a as text)", "xmlparse(content a)", "xmlpi(name x)", "xmlconcat(a, b)", "JSON_OBJECT('a': 1)",
		"JSON_ARRAY(1, 2)", "JSON_VALUE(a, '$')", "JSON_QUERY(a, '$')", "JSON_EXISTS(a, '$')", "JSON(a)", "JSON_SCALAR(a)",
		"JSON_SERIALIZE(a)", "a IS JSON", "a IS DOCUMENT", "a IS NORMALIZED", "normalize(a)", "grouping(a)", "a = ANY (b)",
		"a < ALL (SELECT 1)", "a -> 'b'", "a ->> 'b' || c", "a OPERATOR(pg_catalog.+) b", "@ a", "~ a", "|/ a",
		"(a, b) OVERLAPS (c, d)", "percentile_cont(0.5) WITHIN GROUP (ORDER BY a)", "string_agg(a, ',' ORDER BY b)",
		"JSON_ARRAYAGG(a)", "JSON_OBJECTAGG(a : b)", "merge_action()", "B'101'", "E'a\\nb'", "a ISNULL", "a NOT IN (1)",
		"a NOT LIKE 'x'", "a NOT BETWEEN 1 AND 2", "a AT LOCAL", "unnest(a)", "a !~~ 'x'", "- 1 :: int", "treat(a AS int)",
		"collation for (a)", "f(b => a)", "f(DISTINCT a)",
	}
	everyPlace = []string{
		"SELECT (%s)[1]", "SELECT (%s)[1:2]", "SELECT (%s).f", "SELECT (%s).*", "SELECT (%s)::text", "SELECT (%s) IS NULL",
		"SELECT -(%s)", "SELECT (%s) + 1", "SELECT 1 + (%s)", "SELECT (%s) * 2", "SELECT 2 - (%s)", `SELECT (%s) COLLATE "C"`,
		"SELECT (%s) AT TIME ZONE 'x'", "SELECT x AT TIME ZONE (%s)", "SELECT (%s) IN (1)", "SELECT 1 IN ((%s), 2)",
		"SELECT (%s) LIKE 'x'", "SELECT x LIKE (%s)", "SELECT x LIKE (%s) ESCAPE (%s)", "SELECT NOT (%s)",
		"SELECT (%s) BETWEEN 1 AND 2", "SELECT 1 BETWEEN (%s) AND (%s)", "SELECT (%s) IS DISTINCT FROM (%s)",
		"SELECT f(x => (%s))", "SELECT f(VARIADIC (%s))", "SELECT ARRAY[(%s)]", "SELECT (%s) = ANY (ARRAY[1])",
		"SELECT 1 = ANY ((%s))", "SELECT CASE (%s) WHEN (%s) THEN (%s) ELSE (%s) END", "SELECT ROW((%s))",
		"SELECT ((%s), (%s)) = (1, 2)", "SELECT 1 LIMIT (%s)", "SELECT 1 OFFSET (%s)",
		"SELECT 1 FETCH FIRST (%s) ROWS WITH TIES", "SELECT extract(year FROM (%s))",
		"SELECT substring((%s) FROM (%s) FOR (%s))", "SELECT position((%s) IN (%s))",
		"SELECT overlay((%s) placing (%s) from (%s))", "SELECT trim(both (%s) from (%s))",
		"SELECT xmlelement(name x, xmlattributes((%s) as y), (%s))", "SELECT f(x) FILTER (WHERE (%s))",
		"SELECT f(x) OVER (PARTITION BY (%s) ORDER BY (%s) ROWS BETWEEN (%s) PRECEDING AND CURRENT ROW)", "VALUES ((%s))",
		"SELECT (%s) IS JSON", "SELECT (%s) IS DOCUMENT", "SELECT (%s) IS NORMALIZED", "SELECT 1 GROUP BY (%s)",
		"SELECT 1 GROUP BY ROLLUP ((%s))", "SELECT 1 ORDER BY (%s) DESC", "SELECT DISTINCT ON ((%s)) 1",
		"UPDATE t SET a = (%s) WHERE (%s) RETURNING (%s)", "UPDATE t SET (a, b) = ((%s), (%s))", "SELECT a.b[(%s)]",
		"SELECT a[(%s):(%s)]", "SELECT (%s) IS TRUE", "SELECT (%s) AND (%s)", "SELECT (%s) OR x", "SELECT (%s) = x",
		"SELECT x < (%s)", "SELECT (%s) || (%s)", "SELECT 1 FROM t JOIN u ON (%s)", "SELECT 1 FROM f((%s)) AS g",
		"SELECT 1 FROM LATERAL (SELECT (%s)) x", "SELECT 1 HAVING (%s)", "SELECT f(a ORDER BY (%s))",
		"SELECT f(a) WITHIN GROUP (ORDER BY (%s))", "SELECT JSON_OBJECT((%s) : (%s))", "SELECT JSON_ARRAY((%s))",
		"SELECT JSON_VALUE((%s), '$' PASSING (%s) AS x DEFAULT (%s) ON EMPTY)",
		"SELECT x.* FROM JSON_TABLE((%s), '$' PASSING (%s) AS y COLUMNS (a int PATH '$' DEFAULT (%s) ON EMPTY)) x",
		"SELECT x.* FROM XMLTABLE((%s) PASSING (%s) COLUMNS a int PATH (%s) DEFAULT (%s)) x",
		"SELECT xmlserialize(content (%s) as text)", "SELECT xmlparse(content (%s))", "SELECT NULLIF((%s), (%s))",
		"SELECT COALESCE((%s), 1)", "SELECT (%s) OPERATOR(pg_catalog.+) (%s)", "SELECT @ (%s)", "SELECT (%s) ~ (%s)",
		"EXECUTE p((%s))", "SELECT normalize((%s))", "SELECT 1 FROM t TABLESAMPLE system ((%s)) REPEATABLE ((%s))",
		"SELECT collation for ((%s))", "SELECT ((%s), (%s)) OVERLAPS ((%s), (%s))", "SELECT ((%s))[1].f",
		"SELECT (((%s)).f)[1]", "INSERT INTO t VALUES ((%s)) ON CONFLICT (a) DO UPDATE SET b = (%s) WHERE (%s)",
		"SELECT (%s) AT LOCAL", "SELECT x NOT IN ((%s))", "SELECT 1 WHERE ((%s)) SIMILAR TO 'x'", "SELECT (%s) % 2, 2 ^ (%s)",
		"SELECT row((%s)).*", "COPY (SELECT (%s)) TO STDOUT", "SELECT json_scalar((%s)), json_serialize((%s)), json((%s))",
		`SELECT (%s) x, (%s) AS "select"`,
	}
)

// TestENF84_Parentheses: whatever expression stands in parentheses wherever one may, the statement can be written so that it reads back
// as the same.
func TestENF84_Parentheses(t *testing.T) {
	tried, written := 0, 0
	for _, place := range everyPlace {
		for _, e := range everyExpression {
			sql := strings.ReplaceAll(place, "(%s)", "("+e+")")
			tree, err := pg.Parse(sql)
			if err != nil {
				continue // not every place takes every expression
			}
			tried++
			plain, err := pg.Deparse(tree)
			if err != nil {
				t.Fatal(sql, err)
			}
			out, refusal := canonical(inProcess{}, tree)
			if refusal != nil {
				if !strings.Contains(place, "XMLTABLE") || e != "-1" { // the one that is left: a negative constant
					t.Errorf("%s is refused: %s", sql, refusal.Message)
				}
				continue
			}
			if strings.Contains(out, "postern_parens") {
				t.Errorf("%s: the stand-in is left in %s", sql, out)
			}
			if out != plain {
				written++
			}
		}
	}
	if tried < 9000 || written < 400 {
		t.Errorf("%d statements, of which %d needed parentheses: the lists have shrunk", tried, written)
	}
}

func TestParenthesesAgainstTricks(t *testing.T) {
	for _, sql := range []string{
		"SELECT (CASE WHEN a THEN b END)[1], 'postern_parens('",
		"SELECT (CASE WHEN a THEN b END)[1], postern_parens(1), postern_parens_(2), 'postern_parens_('",
		`SELECT (a OR b) IS NULL AS "postern_parens("`,
	} {
		tree, err := pg.Parse(sql)
		if err != nil {
			t.Fatal(err)
		}
		out, refusal := canonical(inProcess{}, tree)
		if refusal != nil {
			t.Errorf("%s: %s", sql, refusal.Message)
			continue
		}
		if err := readsAs(inProcess{}, out, tree); err != nil {
			t.Errorf("%s became %s: %v", sql, out, err)
		}
		if strings.Count(out, "postern_parens") != strings.Count(sql, "postern_parens") {
			t.Errorf("%s became %s", sql, out)
		}
	}
	deep, err := pg.Parse("SELECT (ARRAY(SELECT 1))[1]" + strings.Repeat(" + (1 + 1)", maxParens+1))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := faithful(inProcess{}, deep); !errors.Is(err, errUnfaithful) {
		t.Errorf("more parentheses than the parser should be given: %.60s, %v", out, err)
	}
}

// TestFilterParentheses: what a policy says in parentheses it says on the server.
func TestFilterParentheses(t *testing.T) {
	node, err := parseExpression("(a OR b) IS NULL AND (a = 1) IN (true) AND (ARRAY(SELECT 1))[1] = 1")
	if err != nil {
		t.Fatal(err)
	}
	text, err := deparseExpression(node)
	if err != nil || !strings.Contains(text, "((a OR b)) IS NULL") && !strings.Contains(text, "(a OR b) IS NULL") {
		t.Errorf("%q, %v", text, err)
	}
}
