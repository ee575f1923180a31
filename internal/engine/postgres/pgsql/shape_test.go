package pgsql

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pg "github.com/pganalyze/pg_query_go/v6"
)

// shapeTexts are statements with %s and %d for constants, and whether a template is to be made of them.
var shapeTexts = []struct {
	text     string
	template bool
}{
	{"SELECT name FROM customers WHERE id = %d", true},
	{"SELECT name, email FROM customers WHERE id = %d AND region = '%s' LIMIT %d", true},
	{"SELECT * FROM customers WHERE id IN (%d, %d, 7)", true},
	{"SELECT * FROM customers WHERE id BETWEEN %d AND %d ORDER BY 1", true},
	{"UPDATE products SET sku = '%s' WHERE id = %d", true},
	{"INSERT INTO products (id, sku, price) VALUES (%d, '%s', 1.5)", true},
	{"SELECT count(*) FROM customers WHERE region = '%s' GROUP BY region HAVING count(*) > 1", true},
	{"SELECT lower('%s') FROM customers", false},
	{"SELECT '%s'::regclass", false},
	{"SELECT name FROM customers ORDER BY %d", false},
	{"SELECT name FROM customers -- note\nWHERE id = %d", false},
	{"SELECT name FROM customers WHERE notes = E'%s'", false},
	{"SELECT name FROM customers WHERE id = %d; SELECT 1", false},
	{"SELECT set_config('%s', '%s', false)", false},
	{"SELECT id + 1 FROM customers GROUP BY id + %d", false},
}

func fillText(format string, n int) string {
	words := []string{"EU", "it''s", "a b", "", "select", "ünï", "1", "x'||'y"}
	var out strings.Builder
	for i, arg := 0, n; i < len(format); i++ {
		switch {
		case strings.HasPrefix(format[i:], "%d"):
			fmt.Fprint(&out, (arg*7919)%1_000_000_000)
			arg, i = arg+13, i+1
		case strings.HasPrefix(format[i:], "%s"):
			out.WriteString(words[arg%(len(words)-1)])
			arg, i = arg+1, i+1
		default:
			out.WriteByte(format[i])
		}
	}
	return out.String()
}

// sameDecision holds a decision that may come from a template against one that cannot.
func sameDecision(t *testing.T, g, fresh *Guard, w *World, text string, mode Mode) {
	t.Helper()
	got, want := g.Decide(w, text, mode), fresh.Decide(w, text, mode)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q: decided otherwise from a template (-judged +template):\n%s", text, diff)
	}
}

func TestShapesDecideAsTheJudgementDoes(t *testing.T) {
	w := shopWorld()
	fresh := NewGuard(-1)
	for _, c := range shapeTexts {
		g := NewGuard(1 << 20)
		for n := range 12 {
			sameDecision(t, g, fresh, w, fillText(c.text, n), Simple)
			sameDecision(t, g, fresh, w, fillText(c.text, n), Extended)
		}
		made := 0
		for _, e := range g.shapes.kept {
			made += len(e.variants)
		}
		if (made > 0) != c.template {
			t.Errorf("%q: %d templates were made", c.text, made)
		}
	}
}

func TestShapesOfTheGoldenTexts(t *testing.T) {
	w := shopWorld()
	files, err := filepath.Glob("testdata/guard/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden texts: %v", err)
	}
	g, fresh, filled := NewGuard(8<<20), NewGuard(-1), 0
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(b), "\n\n") {
			text, _, ok := strings.Cut(block, "\n----")
			if _, below, titled := strings.Cut(text, "\n"); ok && titled && strings.HasPrefix(text, "==") {
				text = below
			} else {
				continue
			}
			for n := range 4 {
				sameDecision(t, g, fresh, w, varied(text, n), Simple)
			}
			filled++
		}
	}
	if filled < 100 {
		t.Fatalf("only %d golden texts", filled)
	}
}

// varied changes the plain constants of a text.
func varied(text string, n int) string {
	var scan shapeScan
	if !scan.run(text) {
		return text
	}
	var b strings.Builder
	at := 0
	for i, c := range scan.constants {
		b.WriteString(text[at:c.from])
		switch {
		case n == 0:
			b.WriteString(text[c.from:c.to])
		case c.text:
			fmt.Fprintf(&b, "'w%d''%d'", n, i)
		default:
			fmt.Fprint(&b, n*31+i)
		}
		at = c.to
	}
	return b.String() + text[at:]
}

// TestShapeScanAgreesWithTheServersScanner holds every constant that the scan finds against PostgreSQL's own scanner.
func TestShapeScanAgreesWithTheServersScanner(t *testing.T) {
	for _, c := range shapeTexts {
		for n := range 3 {
			agreeWithScanner(t, fillText(c.text, n))
		}
	}
	for _, text := range []string{"SELECT $1, 12, a1, 1.5, 1e9, 0x1F, 007, 'a' 'b'", "SELECT \"a'1\", '\"2', 3", "SELECT a.1, 9999999999, 1_000", "SELECT 'a'\n'b'"} {
		agreeWithScanner(t, text)
	}
}

func agreeWithScanner(t *testing.T, text string) {
	t.Helper()
	var scan shapeScan
	if !scan.run(text) {
		return
	}
	result, err := pg.Scan(text)
	if err != nil {
		return // nothing of it is ever kept: it does not parse
	}
	kinds := map[int32]pg.Token{}
	ends := map[int32]int32{}
	for _, tok := range result.Tokens {
		kinds[tok.Start], ends[tok.Start] = tok.Token, tok.End
	}
	for _, c := range scan.constants {
		want := pg.Token_ICONST
		if c.text {
			want = pg.Token_SCONST
		}
		if kinds[int32(c.from)] != want || ends[int32(c.from)] != int32(c.to) {
			t.Errorf("%q: %q is taken for a constant, which PostgreSQL's scanner does not", text, text[c.from:c.to])
		}
	}
}

func TestShapesAreBoundedAndForgotten(t *testing.T) {
	w := shopWorld()
	g := NewGuard(64 << 10)
	for i := range 2000 {
		text := fmt.Sprintf("SELECT name AS c%d FROM customers WHERE id = ", i)
		g.Decide(w, text+"1", Simple)
		g.Decide(w, text+"2", Simple)
		if g.shapes.bytes > g.shapes.limit {
			t.Fatalf("%d bytes of shapes with a limit of %d", g.shapes.bytes, g.shapes.limit)
		}
	}
	g.Forget(w)
	if len(g.shapes.kept) != 0 || g.shapes.bytes != 0 {
		t.Errorf("%d shapes of a forgotten world are left", len(g.shapes.kept))
	}
}

// related writes a statement whose constants come from a pool that is small enough for some to be equal, and has the values
// that rules look at: numbers of columns, names of relations, settings and units.
func related(r *rand.Rand) string {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	constant := func() string {
		return pick("0", "1", "2", "5", "7", "''", "'EU'", "'customers'", "'public.payroll'", "'search_path'", "'month'", "'it''s'", "1.5", "null")
	}
	column := func() string { return pick("id", "region", "balance", "email", "name") }
	var expr func(depth int) string
	expr = func(depth int) string {
		if depth == 0 {
			return pick(column(), constant())
		}
		switch r.IntN(9) {
		case 0:
			return "(" + expr(depth-1) + pick(" = ", " + ", " || ", " < ") + expr(depth-1) + ")"
		case 1:
			return column() + " in (" + constant() + ", " + constant() + ", " + expr(depth-1) + ")"
		case 2:
			return column() + " between " + constant() + " and " + constant()
		case 3:
			return "case when " + expr(depth-1) + " is null then " + constant() + " else " + expr(depth-1) + " end"
		case 4:
			return pick("lower", "date_trunc", "current_setting", "to_regclass", "count", "sum", "coalesce", "round") + "(" + constant() + pick("", ", "+expr(depth-1)) + ")"
		case 5:
			return constant() + pick("::text", "::int", "::regclass", "::date")
		case 6:
			return "(select " + expr(depth-1) + " from orders where total > " + constant() + " limit " + constant() + ")"
		case 7:
			return pick("sum", "count", "avg") + "(" + column() + ")" + pick("", "", " filter (where id = "+constant()+")")
		}
		return expr(0)
	}
	out := "select " + expr(2) + ", " + expr(1) + " from customers where " + expr(2)
	switch r.IntN(5) {
	case 0:
		out += " group by " + pick("1", "2", column(), expr(1)) + " having " + expr(1)
	case 1:
		out += " order by " + pick("1", "2", expr(1)) + " limit " + constant() + " offset " + constant()
	case 2:
		out = "insert into products (id, sku) values (" + constant() + ", " + expr(1) + "), (" + constant() + ", " + constant() + ")"
	case 3:
		out = "update products set sku = " + expr(1) + ", price = " + constant() + " where id = " + expr(1)
	}
	return out
}

// TestRelatedConstantsDecideAlike: whatever constants stand where, equal to each other or not, the answer of a guard that has
// learned from others is the one of a guard that has not, with and without min_group.
func TestRelatedConstantsDecideAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	filled := 0
	for _, w := range []*World{shopWorld(), groupWorld()} {
		g, fresh := NewGuard(1<<20), NewGuard(-1)
		for range 120 {
			text := related(r)
			for range 5 { // the same shape again and again, with other constants of the same pool
				sameDecision(t, g, fresh, w, text, Simple)
				text = reshuffled(r, text)
			}
		}
		for _, e := range g.shapes.kept {
			filled += len(e.variants)
		}
	}
	if filled < 50 {
		t.Errorf("only %d templates were made: this compares nothing", filled)
	}
}

// TestEmptyConstants: the parser's library passes an empty text on as no text at all, and its deparser dies of that in places.
// Every golden text is judged with its quoted constants emptied, and so are the statements that hold text elsewhere. A crash
// ends the test's process.
func TestEmptyConstants(t *testing.T) {
	g := NewGuard(-1)
	texts := []string{
		"prepare transaction ''", "commit prepared ''", "rollback prepared ''", "set transaction snapshot ''", "copy customers to ''",
		"copy customers to program ''", "copy customers from ''", "copy customers to stdout (format '')", "copy customers to stdout (header '')",
		"copy customers to stdout (delimiter '', null '', quote '', escape '', encoding '')", "copy customers (id) from stdin where name = ''",
		"set search_path = ''", "set application_name to ''", "set time zone ''", "set names ''", "notify c, ''", "load ''", "comment on table customers is ''",
		"do ''", "do language plpgsql ''", "create function f() returns int language sql as ''", "security label for x on table t is ''",
		"create role x password ''", "alter role x set y = ''", "alter system set x = ''", "create database d template = ''", "create extension x version ''",
		"create subscription s connection '' publication p", "create server s type '' version '' foreign data wrapper w options (a '')",
		"create collation c (locale = '')", "create type e as enum ('')", "alter type e add value ''", "alter type e rename value '' to ''",
		"explain (format '') select 1", "explain select ''", "declare c cursor for select ''", "prepare p as select ''", "execute p('')",
		"create table t as select ''", "select ''::text, b'', x'', e'', u&'', n'', interval '', date ''", "select * from xmltable('' passing '' columns a text path '')",
		"select xmlelement(name a, ''), xmlpi(name b, ''), xmlparse(content ''), xmlserialize(content '' as text)",
		"select * from json_table('', '' columns (a text path '' default '' on empty))", "select extract('' from now())", "select '' like '' escape ''",
		"select overlay('' placing '' from 1), trim('' from ''), position('' in ''), '' at time zone '', '' collate \"C\", '' similar to ''",
		"refresh materialized view v", "lock table t", "reindex table t", "create tablespace x location ''", "import foreign schema s from server x into y options (a '')",
	}
	for _, text := range goldenInputs(t) {
		var scan shapeScan
		if !scan.run(text) || len(scan.constants) == 0 {
			continue
		}
		var b strings.Builder
		at := 0
		for _, c := range scan.constants {
			b.WriteString(text[at:c.from])
			if c.text {
				b.WriteString("''")
			} else {
				b.WriteString(text[c.from:c.to])
			}
			at = c.to
		}
		texts = append(texts, b.String()+text[at:])
	}
	w := shopWorld()
	for _, text := range texts {
		if d := g.Decide(w, text, Simple); d.Verdict != Refuse && d.Text == "" {
			t.Errorf("%s: nothing is sent", text)
		}
	}
}

// reshuffled gives every plain constant of a text another value of the pool, often one that stands elsewhere in it.
func reshuffled(r *rand.Rand, text string) string {
	var scan shapeScan
	if !scan.run(text) || len(scan.constants) == 0 {
		return text
	}
	numbers, words := []string{"0", "1", "2", "5", "7"}, []string{"''", "'EU'", "'customers'", "'public.payroll'", "'search_path'", "'month'", "'it''s'"}
	var b strings.Builder
	at := 0
	for _, c := range scan.constants {
		b.WriteString(text[at:c.from])
		if c.text {
			b.WriteString(words[r.IntN(len(words))])
		} else {
			b.WriteString(numbers[r.IntN(len(numbers))])
		}
		at = c.to
	}
	return b.String() + text[at:]
}

func FuzzShapes(f *testing.F) {
	for _, c := range shapeTexts {
		f.Add(fillText(c.text, 1), 2)
	}
	for i, text := range goldenInputs(f) {
		f.Add(text, i)
	}
	for i := range uint64(40) {
		f.Add(related(rand.New(rand.NewPCG(i, i))), int(i))
	}
	worlds := []*World{shopWorld(), groupWorld()}
	guards, fresh := []*Guard{NewGuard(1 << 20), NewGuard(1 << 20)}, NewGuard(-1)
	f.Fuzz(func(t *testing.T, text string, n int) {
		if len(text) > 500 {
			return
		}
		agreeWithScanner(t, text)
		r := rand.New(rand.NewPCG(uint64(n), 3)) //nolint:gosec // any number will do
		i := n & 1
		for range 2 {
			sameDecision(t, guards[i], fresh, worlds[i], varied(text, n%1000), Mode(i))
			sameDecision(t, guards[i], fresh, worlds[i], reshuffled(r, text), Mode(i))
		}
	})
}

func BenchmarkDecideShape(b *testing.B) {
	w := shopWorld()
	g := NewGuard(0)
	texts := make([]string, 4096)
	for i := range texts {
		texts[i] = fmt.Sprintf("SELECT name, email FROM customers WHERE id = %d", i)
	}
	g.Decide(w, texts[0], Simple)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if d := g.Decide(w, texts[i%len(texts)], Simple); d.Refusal != nil {
			b.Fatal(d.Refusal.Message)
		}
	}
}
