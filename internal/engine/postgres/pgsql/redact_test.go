package pgsql

import (
	"strings"
	"testing"
)

// canary stands in every literal and comment of canaries.
const canary = "zqcanaryqz"

// canaries are texts with a value in every place that one can stand in.
func canaries(value string) []string {
	inside := canary + value + canary
	quoted := "'" + strings.ReplaceAll(inside, "'", "''") + "'"
	return []string{
		"SELECT name FROM payroll WHERE iban = " + quoted,
		"SELECT name FROM payroll WHERE iban LIKE ANY (ARRAY[" + quoted + "]) OR iban IN (" + quoted + ", 'x')",
		"UPDATE payroll SET iban = " + quoted + " WHERE id = " + quoted + "::int",
		"INSERT INTO payroll (iban) VALUES (" + quoted + ") ON CONFLICT (iban) DO UPDATE SET iban = " + quoted,
		"SELECT interval " + quoted + ", " + quoted + "::date, CAST(" + quoted + " AS text) LIMIT 1",
		"SELECT 1 /* " + strings.NewReplacer("/*", "", "*/", "").Replace(inside) + " */ FROM payroll",
		"SELECT 1 -- " + strings.NewReplacer("\n", "", "\r", "").Replace(inside) + "\nFROM payroll",
		"EXECUTE p(" + quoted + ")",
		"COPY payroll TO " + quoted,
		"COPY payroll TO STDOUT (FORMAT csv, NULL " + quoted + ")",
		"SELECT set_config('a.b', " + quoted + ", false)",
		"SET application_name = " + quoted,
		"PREPARE p AS SELECT " + quoted,
		"PREPARE TRANSACTION " + quoted,
		"CREATE USER u PASSWORD " + quoted,
		"ALTER SYSTEM SET a.b = " + quoted,
		"DO " + quoted,
		"SELECT json_value('{}', " + quoted + ")",
		"SELECT * FROM xmltable(" + quoted + " PASSING '<a/>' COLUMNS a text PATH " + quoted + " DEFAULT " + quoted + ")",
		"NOTIFY c, " + quoted,
		"COMMENT ON TABLE payroll IS " + quoted,
		"SECURITY LABEL ON TABLE payroll IS " + quoted,
		"CREATE SUBSCRIPTION s CONNECTION " + quoted + " PUBLICATION p",
		"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS " + quoted,
		"EXPLAIN SELECT " + quoted, "DECLARE c CURSOR FOR SELECT " + quoted,
		"SELECT 1; SELECT " + quoted,
		quoted, inside + " no SQL",
	}
}

// Of a text for people no value is left, wherever it stood, and of what cannot be read nothing at all.
func TestRedactLeavesNoLiteral(t *testing.T) {
	t.Parallel()
	g, read := NewGuard(-1), 0
	for _, text := range canaries("4711") {
		out, whole := g.Redact(text)
		if whole {
			t.Errorf("%s is all of %s", out, text)
		}
		if strings.Contains(out, canary) {
			t.Errorf("%s becomes %s", text, out)
		}
		if out != "" {
			read++
		}
	}
	if want := len(canaries("")) - 2; read != want {
		t.Errorf("%d texts could be read, want %d", read, want)
	}
	for text, want := range map[string]string{
		"select  name from payroll -- x": "SELECT name FROM payroll", "SELECT 1 FROM payroll WHERE id > 41": "SELECT ? FROM payroll WHERE id > ?",
		"": "", "SELECT": "SELECT", "please": "", "SELECT (((((": "", strings.Repeat("(", 100_000): "", "SELECT '\x00'": "",
	} {
		if got, _ := g.Redact(text); got != want {
			t.Errorf("%.40q becomes %q, want %q", text, got, want)
		}
	}
}

// What is said to be whole says all: who approves by it misses nothing.
func TestRedactSaysWhetherItIsWhole(t *testing.T) {
	t.Parallel()
	g := NewGuard(-1)
	for text, want := range map[string]bool{
		"select name from payroll": true, "SELECT name FROM payroll; SELECT id FROM payroll": true, "SELECT a ?| b FROM payroll": true, "SELECT a->b - -c FROM payroll": true,
		"SELECT 1 FROM payroll": false, "SELECT substring(name FROM 2.5) FROM payroll": false, "SELECT name FROM payroll -- now": false, "SELECT name /* x */ FROM payroll": false,
		"GRANT ALL ON payroll TO PUBLIC": false, "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'": false, "DROP TABLE payroll, staff CASCADE": false,
		"DO 'BEGIN END'": false, "please": false, "": false,
	} {
		if out, whole := g.Redact(text); whole != want {
			t.Errorf("%q as %q is whole: %v", text, out, whole)
		}
	}
}

// FuzzRedact tries values of all kinds in every place.
func FuzzRedact(f *testing.F) {
	for _, seed := range []string{"4111111111111111", "o'brien", `back\slash`, "x-- y", "/* z */", "?", "ä€", "'", "''", "\n", "$$", `E'\x41'`, `"`} {
		f.Add(seed)
	}
	g := NewGuard(-1)
	f.Fuzz(func(t *testing.T, value string) {
		for _, text := range canaries(value) {
			if out, whole := g.Redact(text); strings.Contains(out, canary) || whole {
				t.Errorf("%q becomes %q, whole: %v", text, out, whole)
			}
		}
	})
}
