package pgsql

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// shape makes a text that grows with n.
type shapeOfText struct {
	name string
	text func(n int) string
}

func chain(head, first, link, tail string) func(int) string {
	return func(n int) string { return head + first + strings.Repeat(link, n) + tail }
}

func nested(head, open, core, closing string) func(int) string {
	return func(n int) string { return head + strings.Repeat(open, n) + core + strings.Repeat(closing, n) }
}

// levels is ((1+1…)+1…)+1…: depth that no single level shows.
func levels(open string, width int) func(int) string {
	return func(n int) string {
		return "SELECT " + strings.Repeat(open, n) + "1" + strings.Repeat(strings.Repeat("+1", width)+")", n)
	}
}

// bombs are the shapes of ENF-79, and those that a scan which keeps less in mind would let through.
var bombs = []shapeOfText{
	{"plus", chain("SELECT ", "1", "+1", "")},
	{"plus with spaces", chain("SELECT ", "1", " + 1", "")},
	{"minus minus", chain("SELECT ", "1", "- -1", "")},
	{"unary minus", chain("SELECT ", "", "- ", "a")},
	{"unary at", chain("SELECT ", "", "@ ", "a")},
	{"plus minus in one run", chain("SELECT ", "a", "+-a", "")},
	{"concat", chain("SELECT ", "a", "||a", "")},
	{"arrow", chain("SELECT ", "a", "->a", "")},
	{"bar", chain("SELECT ", "a", "|a", "")},
	{"cast", chain("SELECT ", "a", "::int", "")},
	{"OPERATOR", chain("SELECT ", "a", " OPERATOR(pg_catalog.+) a", "")},
	{"COLLATE", chain("SELECT ", "a", ` COLLATE "C"`, "")},
	{"AT TIME ZONE", chain("SELECT ", "a", " AT TIME ZONE 'x'", "")},
	{"IS NULL", chain("SELECT ", "a", " IS NULL", "")},
	{"ISNULL", chain("SELECT ", "a", " ISNULL", "")},
	{"NOTNULL", chain("SELECT ", "a", " NOTNULL", "")},
	{"NOT", chain("SELECT ", "", "NOT ", "a")},
	{"JOIN", chain("SELECT 1 FROM a", "", " CROSS JOIN a", "")},
	{"JOIN with AND", chain("SELECT 1 FROM a", "", " JOIN a ON b AND c", "")},
	{"JOIN with USING", chain("SELECT 1 FROM a", "", " JOIN a USING (b, c)", "")},
	{"right-deep JOIN", func(n int) string {
		return "SELECT 1 FROM a" + strings.Repeat(" JOIN a", n) + strings.Repeat(" ON b", n)
	}},
	{"UNION ALL", chain("SELECT 1", "", " UNION ALL SELECT 1", "")},
	{"UNION of lists", chain("SELECT a,b", "", " UNION SELECT a,b", "")},
	{"UNION with labels", chain("SELECT 1", "", " UNION SELECT 1 AS and", "")},
	{"EXCEPT", chain("SELECT 1", "", " EXCEPT SELECT 1", "")},
	{"INTERSECT", chain("SELECT 1", "", " INTERSECT SELECT 1", "")},
	{"levels of 1900", levels("(", 1900)},
	{"levels of 150", levels("(", 150)},
	{"levels through calls", levels("f(", 150)},
	{"levels through a list", func(n int) string {
		return "SELECT " + strings.Repeat("f(1,", n) + "1" + strings.Repeat(strings.Repeat("+1", 150)+")", n)
	}},
	{"levels hidden by an END label", func(n int) string {
		return "SELECT " + strings.Repeat("f((SELECT a.end),", n) + "1" + strings.Repeat(strings.Repeat("+1", 150)+",2)", n)
	}},
	{"levels hidden by a bare END label", func(n int) string {
		return "SELECT " + strings.Repeat("f((SELECT 1 end),", n) + "1" + strings.Repeat(strings.Repeat("+1", 150)+",2)", n)
	}},
	{"levels hidden by a CASE label", func(n int) string {
		return "SELECT " + strings.Repeat("f((SELECT 1 case),", n) + "1" + strings.Repeat(strings.Repeat("+1", 150)+",2)", n)
	}},
	{"runs hidden by a column called and", chain("SELECT ", "1", "+1+1+1+a.and", "")},
	{"runs hidden by a string that goes on", chain("SELECT ", "1", "+E'a'\n'\\''", "")},
	{"parentheses", nested("SELECT ", "(", "1", ")")},
	{"CASE", nested("SELECT ", "CASE WHEN a THEN 1 ELSE ", "1", " END")},
	{"CASE with AND", nested("SELECT ", "CASE WHEN a AND b THEN 1 ELSE 1+", "1", " END")},
	{"ROW", nested("SELECT ", "ROW(1,", "1", ")")},
	{"ARRAY", nested("SELECT ", "ARRAY[", "1", "]")},
	{"sub-select", nested("", "SELECT (", "SELECT 1", ")")},
	{"sub-select in FROM", nested("", "SELECT * FROM (", "SELECT 1", ") a")},
	{"CTE", nested("", "WITH a AS (", "SELECT 1", ") SELECT 1")},
	{"calls", nested("SELECT ", "f(", "1", ")")},
	{"subscripts", nested("SELECT ", "a[", "1", "]")},
	{"comments", nested("SELECT 1 ", "/* ", "x", " */")},
	{"AND", chain("SELECT ", "a", " AND a", "")},
	{"OR", chain("SELECT ", "a", " OR a", "")},
	{"AND and OR", chain("SELECT ", "a", " OR a AND a", "")},
	{"IN list", chain("SELECT a IN (1", "", ",1", ")")},
	{"VALUES", chain("VALUES (1)", "", ",(1)", "")},
	{"INSERT VALUES", chain("INSERT INTO a VALUES (1)", "", ",(1)", "")},
	{"WHEN", chain("SELECT CASE ", "WHEN a THEN 1", " WHEN a THEN 1", " END")},
	{"dots", chain("SELECT a", "", ".a", "")},
	{"many subscripts", chain("SELECT a", "", "[1]", "")},
	{"statements", chain("select 1", "", ";select 1", "")},
	{"empty statements", chain("select 1", "", ";", "")},
	{"LIKE ESCAPE", chain("SELECT ", "a", " LIKE a", "")},
	{"BETWEEN", chain("SELECT ", "a", " BETWEEN b AND c", "")},
	{"IN", chain("SELECT ", "a", " IN (1)", "")},
}

// largest returns the largest n up to bound whose text passes the limits, found by halving.
func largest(s shapeOfText, bound int) int {
	low, high := 0, bound
	for low < high {
		mid := (low + high + 1) / 2
		if CheckLimits(s.text(mid)) == nil {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}

const bombEnv = "PGSQL_TEST_BOMBS"

// TestLimitsProtectTheParser gives the parser the largest accepted text of every shape, in a process of its own: a crash in
// C would end this one (ENF-79, ENF-80).
func TestLimitsProtectTheParser(t *testing.T) {
	if os.Getenv(bombEnv) != "" {
		g := NewGuard(-1)
		for _, s := range bombs {
			n := largest(s, 15000)
			text := s.text(n)
			fmt.Printf("shape %q n %d bytes %d\n", s.name, n, len(text))
			tree, err := pg.Parse(text)
			if err == nil {
				var out string
				if out, err = pg.Deparse(tree); err == nil {
					_, _ = pg.Parse(out)
				}
			}
			if len(text) < 50000 && g.Decide(shopWorld(), text, Simple) == nil {
				t.Fatal("no decision")
			}
		}
		fmt.Println("all shapes survived")
		return
	}
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestLimitsProtectTheParser$")
	cmd.Env = append(os.Environ(), bombEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "all shapes survived") {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Fatalf("%v\n%s", err, strings.Join(lines[:min(len(lines), 80)], "\n"))
	}
}

// TestLimitsRefuseBombs shows that 60 000 repetitions of every dangerous shape are refused, with the right code.
func TestLimitsRefuseBombs(t *testing.T) {
	harmless := map[string]bool{
		"AND": true, "OR": true, "AND and OR": true, "IN list": true, "VALUES": true, "dots": true,
		"many subscripts": true, "INSERT VALUES": true, "WHEN": true,
	}
	for _, s := range bombs {
		text := s.text(60000)
		err := CheckLimits(text)
		var limit *LimitError
		switch {
		case err == nil && !harmless[s.name]:
			t.Errorf("%s: 60 000 of them pass", s.name)
		case err != nil && !errors.As(err, &limit):
			t.Errorf("%s: %T", s.name, err)
		case err != nil && limit.SQLState != "54000" && limit.SQLState != "54001":
			t.Errorf("%s: SQLSTATE %s", s.name, limit.SQLState)
		}
	}
}

func TestCheckLimits(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	for _, c := range []struct {
		name, text, want string
	}{
		{"plain", "SELECT 1", ""},
		{"2000 operators", "SELECT 1" + many("+1", 2000), ""},
		{"2001 operators", "SELECT 1" + many("+1", 2001), "54001"},
		{"operators in a string", "SELECT '" + many("+", 3000) + "'", ""},
		{"operators in an escape string", `SELECT E'\'` + many("+1", 3000) + "'", ""},
		{"operators behind an escape string", `SELECT E'\\'` + many("+1", 3000), "54001"},
		{"a backslash ends a plain string", `SELECT '\'` + many("+1", 3000), "54001"},
		{"a U& string has no escapes", `SELECT U&'\'` + many("+1", 3000), "54001"},
		{"operators in a quoted name", `SELECT "` + many("+", 3000) + `"`, ""},
		{"operators in a dollar string", "SELECT $a$" + many("+1", 3000) + "$a$", ""},
		{"operators behind a dollar string", "SELECT $a$ $b$ $a$" + many("+1", 3000), "54001"},
		{"a dollar inside a name opens nothing", "SELECT a$a$" + many("+1", 3000), "54001"},
		{"a parameter opens nothing", "SELECT $1" + many("+$1", 3000), "54001"},
		{"operators in a comment", "SELECT 1 /* " + many("+1", 3000) + " */", ""},
		{"operators in a line comment", "SELECT 1 -- " + many("+1", 3000), ""},
		{"operators behind a line comment", "SELECT 1 -- x\n" + many("+1", 3000), "54001"},
		{"a carriage return ends a line comment", "SELECT 1 -- x\r" + many("+1", 3000), "54001"},
		{"a comment inside an operator", "SELECT 1" + many("+/**/1", 3000), "54001"},
		{"comments 32 deep", many("/*", 32) + many("*/", 32) + "SELECT 1", ""},
		{"comments 33 deep", many("/*", 33) + many("*/", 33) + "SELECT 1", "54001"},
		{"comments side by side", many("/* */", 2000) + "SELECT 1", ""},
		{"200 brackets", "SELECT " + many("(", 200) + "1" + many(")", 200), ""},
		{"201 brackets", "SELECT " + many("(", 201) + "1" + many(")", 201), "54001"},
		{"1000 statements", many("select 1;", 1000), ""},
		{"1001 statements", many("select 1;", 1001), "54000"},
		{"1001 statements, the last without a semicolon", many("select 1;", 1000) + "select 1", "54000"},
		{"1000 statements and a comment", many("select 1;", 1000) + " -- done", ""},
		{"256 kB", "SELECT '" + many("x", maxText-9) + "'", ""},
		{"more than 256 kB", "SELECT '" + many("x", maxText-8) + "'", "54000"},
		{"an INSERT may be longer", "INSERT INTO t VALUES ('" + many("x", maxText) + "')", ""},
		{"not without end", "INSERT INTO t VALUES ('" + many("x", maxInsertText) + "')", "54000"},
		{"NUL", "SELECT '\x00'", "22021"},
		{"invalid UTF-8", "SELECT '\xff'", "22021"},
		{"unterminated things", "SELECT 'a", ""},
		{"unterminated comment", "SELECT /* a", ""},
		{"unterminated dollar string", "SELECT $a$ b", ""},
		{"unmatched brackets", ")]) SELECT ((", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := CheckLimits(c.text)
			var limit *LimitError
			got := ""
			if errors.As(err, &limit) {
				got = limit.SQLState
			}
			if got != c.want {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
		})
	}
}

func TestLimitPositionIsInCharacters(t *testing.T) {
	var limit *LimitError
	if err := CheckLimits("SELECT 'ä'" + strings.Repeat("+1", 2001)); !errors.As(err, &limit) || limit.Position != 10+2*2000+1 {
		t.Errorf("position %+v, want %d", limit, 10+2*2000+1)
	}
}
