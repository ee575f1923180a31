package abuse_test

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/test/site"
)

// bomb is a statement made to break a parser.
type bomb struct {
	name, sql string
	want      string // SQLSTATEs that may be the answer, separated by spaces; "ok" for an answer
}

func nested(open, middle, shut string, n int) string {
	return strings.Repeat(open, n) + middle + strings.Repeat(shut, n)
}

// bombs are the shapes of which a parser of this grammar is known to crash, to take minutes, or to take memory without end.
func bombs() []bomb {
	const tooMuch = "54000 54001 54023"
	chain := func(first, more string, n int) string { return "SELECT " + first + strings.Repeat(more, n) }
	level := func(levels, terms int) string {
		return "SELECT " + nested("(", "1", strings.Repeat("+1", terms)+")", levels)
	}
	all := []bomb{
		{"a hundred megabytes", "SELECT '" + strings.Repeat("x", 100<<20) + "'", tooMuch},
		{"a megabyte", "SELECT '" + strings.Repeat("x", 1<<20) + "'", tooMuch},
		{"a list of a million", "SELECT 1 WHERE 1 IN (" + strings.Repeat("1,", 1_000_000) + "1)", tooMuch},
		{"levels of 1900", level(20, 1900), tooMuch},
		{"levels of 150", level(190, 150), tooMuch},
		{"arguments of arguments", "SELECT " + nested("abs(", "1", strings.Repeat("+1", 150)+")", 190), tooMuch},
		{"statements", strings.Repeat("select 1;", 20_000), tooMuch},
		{"comments in comments", "SELECT 1 " + nested("/*", "", "*/", 20_000), tooMuch + " 42601"},
		{"open comments", "SELECT 1 " + strings.Repeat("/*", 60_000), tooMuch + " 42601"},
		{"open brackets", "SELECT " + strings.Repeat("(", 60_000), tooMuch + " 42601"},
		{"open quote", "SELECT '" + strings.Repeat("'", 60_000), tooMuch + " 42601"},
		{"open dollar quote", "SELECT $a$" + strings.Repeat("$", 60_000), tooMuch + " 42601"},
		{"sub-selects", "SELECT " + nested("(SELECT ", "1", ")", 20_000), tooMuch},
		{"cases", "SELECT " + nested("CASE WHEN true THEN ", "1", " END", 8_000), tooMuch},
		{"with", "SELECT 1 FROM " + nested("(SELECT * FROM ", "customers", ") x", 10_000), tooMuch},
		{"arrays", "SELECT " + nested("ARRAY[", "1", "]", 25_000), tooMuch},
		{"NOT", "SELECT " + strings.Repeat("NOT ", 50_000) + "true", tooMuch},
		{"minus", "SELECT " + strings.Repeat("- ", 50_000) + "1", tooMuch},
		{"unicode escapes", `SELECT U&'` + strings.Repeat(`\0041`, 40_000) + `'`, tooMuch + " ok 42501"},
		{"not UTF-8", "SELECT '\xff\xfe'", "22021"},
		{"syntax error", "SELECT FROM WHERE 'CANARY'", "42601"},
		{"parameters", "SELECT $65536", "42601 42P02 54000 08P01 42501"},
	}
	for op, more := range map[string]string{
		"+": "+1", "||": "||'a'", "->": "->'a'", "::": "::int", "|": "|1", "OPERATOR": " OPERATOR(pg_catalog.+) 1", "COLLATE": ` COLLATE "C"`,
		"AT TIME ZONE": " AT TIME ZONE 'UTC'", "IS NULL": " IS NULL",
	} {
		for _, n := range []int{5_000, 24_000} {
			all = append(all, bomb{fmt.Sprintf("%d of %s", n, op), chain("1", more, n), tooMuch})
		}
	}
	for op, more := range map[string]string{"UNION ALL": " UNION ALL SELECT 1", "EXCEPT": " EXCEPT SELECT 1", "JOIN": " JOIN customers ON true"} {
		all = append(all, bomb{"12000 of " + op, chain("1 FROM customers", more, 12_000), tooMuch})
	}
	slices.SortFunc(all, func(a, b bomb) int { return strings.Compare(a.name, b.name) })
	return all
}

// memory is what the gateway may have had at most, in MB: the binary itself, its caches, and a few messages of the largest size
// that it takes.
const memory = 400

// Each of them is refused with an error that says why, within seconds, in little memory; the session goes on, or was ended with
// that error, and the gateway answers others as before. Both protocols carry them.
func tryStatements(t *testing.T, s *site.Site) {
	s.Serve(t)
	answers(t, s)
	pid := s.Pid()
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeDescribeExec} {
		t.Run(mode.String(), func(t *testing.T) { tryBombs(t, s, mode) })
	}
	answers(t, s)
	if s.Pid() != pid {
		t.Error("another process answers")
	}
	if mb := peak(t, pid); mb > memory {
		t.Errorf("the gateway has had %d MB", mb)
	} else {
		t.Logf("peak %d MB", mb)
	}
	quiet(t, s)
	r := s.Run(t, "audit", "export", "--verdict", "refuse")
	if r.Code != 0 || strings.Contains(r.Stdout, "CANARY") || strings.Contains(r.Stdout, "xxxxxxxx") {
		t.Errorf("exit %d, or the text of what could not be parsed is on the trail:\n%.1000s", r.Code, r.Stdout)
	}
	if !regexp.MustCompile(`"reason":"too_long".*"bytes":"10485\d+"`).MatchString(r.Stdout) {
		t.Error("the hundred megabytes are not on the trail")
	}
}

func tryBombs(t *testing.T, s *site.Site, mode pgx.QueryExecMode) {
	t.Helper()
	conn := connect(t, s)
	for _, b := range bombs() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		start := time.Now()
		_, err := conn.Exec(ctx, b.sql, mode)
		cancel()
		got := code(err)
		if err == nil {
			got = "ok"
		}
		if !slices.Contains(strings.Fields(b.want), got) {
			t.Errorf("%s: %.300s, want %s", b.name, got, b.want)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s: took %v", b.name, d)
		}
		if conn.IsClosed() {
			conn = connect(t, s)
		}
	}
}
