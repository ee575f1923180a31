package rules_test

import (
	"strings"
)

// parserRules are those of the parser and of what stands before it (section 14).
var parserRules = []rule{
	{id: "ENF-77", elsewhere: "TestModules"},
	{id: "ENF-78", elsewhere: "TestCalls"},
	{id: "ENF-79", tries: []try{
		{"ana", "SELECT 1" + strings.Repeat("+1", 24000), "error 54001"},
		{"ana", "SELECT 1" + strings.Repeat("::int", 60000/8), "error 54001"},
		{"ana", "SELECT 'a'" + strings.Repeat("||'a'", 20000), "error 54001"},
		{"ana", "SELECT " + strings.Repeat("(", 20000) + "1" + strings.Repeat(")", 20000), "error 54001"},
		{"ana", strings.Repeat("/*", 5000) + strings.Repeat("*/", 5000) + "SELECT 1", "error 54"},
		{"ana", "SELECT 1" + strings.Repeat(" UNION ALL SELECT 1", 9000), "error 54001"},
		{"ana", "SELECT 1", "1"},
	}},
	{id: "ENF-80", tries: []try{
		{"ana", "SELECT 1" + strings.Repeat("+1", 1000), "1001"},
		{"ana", "SELECT 1" + strings.Repeat("+1", 2100), "error 54001"},
		{"ana", "SELECT " + strings.Repeat("(", 150) + "1" + strings.Repeat(")", 150), "1"},
		{"ana", "SELECT " + strings.Repeat("(", 250) + "1" + strings.Repeat(")", 250), "error 54001"},
		{"ana", strings.Repeat("/*", 20) + strings.Repeat("*/", 20) + "SELECT 1", "1"},
		{"ana", "SELECT length('" + strings.Repeat("x", 200000) + "')", "200000"},
		{"ana", "SELECT length('" + strings.Repeat("x", 300000) + "')", "error 54"},
		{"ana", "SELECT 1 IN (1" + strings.Repeat(",1", 20000) + ")", "t"},
		{"ana", "SELECT true" + strings.Repeat(" AND true", 5000), "t"},
	}},
	{id: "ENF-81", tries: []try{
		{"ana", "SELECT length('" + strings.Repeat("(+[", 5000) + "')", "15000"},
		{"ana", "SELECT length($$" + strings.Repeat("((", 5000) + "$$)", "10000"},
		{"ana", "SELECT 1 -- " + strings.Repeat("(+", 5000), "1"},
		{"ana", `SELECT 1 AS "` + strings.Repeat("(", 60) + `"`, "1"},
	}},
	{id: "ENF-82", elsewhere: "TestWorkerCrashes"},
	{id: "ENF-83", elsewhere: "TestEveryField"},
	{id: "ENF-84", tries: []try{
		{"ana", "SELECT 'a'::enum8('a')", "error 42"},
		{"ana", "SELECT 1.50::numeric(4,1), '1 day'::interval day, 'x'::char(3) || '|'", "1.5|1 day|x|"},
	}},
	{id: "ENF-85", tries: []try{
		{"ana", `SELECT id FROM U&"\0063ustomers" WHERE id = 1`, "1"},
		{"server", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ana' AND query ~ '[.]customers' AND query !~ '0063'", "1"},
		{"ana", `SELECT id FROM U&"!0063ustomers" UESCAPE '!' WHERE name = $tag$Ann$tag$`, "1"},
		{"ana", `SELECT salary FROM U&"\0070ayroll"`, "error 42501"},
		{"ana", `SELECT E'\x41', U&'\0042', 'it''s'`, "A|B|it's"},
		{"ana", "TABLE CUSTOMERS ORDER BY ID LIMIT 0", "tag SELECT 0"},
	}},
	{id: "ENF-86", tries: []try{
		{"sam", "UPDATE notes SET body = 'x' WHERE id = 1 RETURNING WITH (OLD AS o) o.body", "error 0A000 PostgreSQL 18"},
		{"olga", "ALTER TABLE scratch ADD COLUMN v int GENERATED ALWAYS AS (id) VIRTUAL", "error 0A000 PostgreSQL 18"},
	}},
	{id: "ENF-87", elsewhere: "TestAllowed"},
}
