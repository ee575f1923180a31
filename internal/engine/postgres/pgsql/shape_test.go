package pgsql

import (
	"fmt"
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

func FuzzShapes(f *testing.F) {
	for _, c := range shapeTexts {
		f.Add(fillText(c.text, 1), 2)
	}
	w := shopWorld()
	g, fresh := NewGuard(1<<20), NewGuard(-1)
	f.Fuzz(func(t *testing.T, text string, n int) {
		if len(text) > 500 {
			return
		}
		agreeWithScanner(t, text)
		for i := range 3 {
			sameDecision(t, g, fresh, w, varied(text, (n%1000)*i), Simple)
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
