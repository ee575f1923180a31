package pgsql

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// goldenCase is one case of a file under testdata/guard: a line "== rule: title [options]", the statement, "----", and what
// the guard answers. Options: major=17, extended, touches, redacted, effects, own, owns=TABLE, temp, explain,
// channel=NAME, place=SCHEMA, call, ops=NAME of an
// operator of the application's.
type goldenCase struct {
	title, options, input, output string
}

func readFile(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func readGolden(t *testing.T, file string) (head string, cases []goldenCase) {
	t.Helper()
	blocks := strings.Split("\n"+readFile(t, file), "\n== ")
	head = strings.TrimSpace(blocks[0])
	for _, b := range blocks[1:] {
		line, rest, _ := strings.Cut(b, "\n")
		c := goldenCase{title: line}
		if i := strings.LastIndexByte(line, '['); i >= 0 && strings.HasSuffix(line, "]") {
			c.title, c.options = strings.TrimSpace(line[:i]), line[i+1:len(line)-1]
		}
		c.input, c.output, _ = strings.Cut(rest, "\n----\n")
		c.input = strings.TrimRight(c.input, "\n")
		c.output = strings.TrimRight(c.output, "\n")
		cases = append(cases, c)
	}
	return head, cases
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/guard/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	g := NewGuard(0)
	total := 0
	for _, file := range files {
		head, cases := readGolden(t, file)
		total += len(cases)
		var b strings.Builder
		b.WriteString(head + "\n")
		for _, c := range cases {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+c.title, func(t *testing.T) {
				got := goldenAnswer(t, g, c)
				if got != c.output && !*update {
					t.Errorf("%s\n got %s\nwant %s", c.input, got, c.output)
				}
				options := ""
				if c.options != "" {
					options = " [" + c.options + "]"
				}
				fmt.Fprintf(&b, "\n== %s%s\n%s\n----\n%s\n", c.title, options, c.input, got)
			})
		}
		if *update {
			if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if total < 300 {
		t.Errorf("%d golden cases, want 300 at least", total)
	}
}

func goldenAnswer(t *testing.T, g *Guard, c goldenCase) string {
	t.Helper()
	w, mode := shopWorld(), Simple
	show := map[string]bool{}
	for _, o := range strings.Fields(c.options) {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "major":
			w.Major, _ = strconv.Atoi(value)
		case "extended":
			mode = Extended
		case "own":
			w.Own = true
		case "owns":
			w.Own = true
			for _, rel := range w.Relations {
				if rel.Name.Name == value {
					rel.Open, rel.Own, rel.Target, rel.Indexes = true, true, rel.Name, []string{"by_sku"}
				}
			}
		case "group":
			major, own := w.Major, w.Own
			w = groupWorld()
			w.Major, w.Own = major, own
		case "place":
			w.Places = map[string]bool{value: true}
			w.Known[Name{value, "trap"}] = Hidden{Kind: 'v'}
		case "temp":
			w.Temp = true
		case "explain":
			w.Explain = true
		case "channel":
			w.Channels = map[string]bool{value: true}
		case "call":
			w.Callable = map[Name]byte{{"public", "order_total"}: 'f', {"public", "close_order"}: 'p', {"ext", "similarity"}: 'f'}
		case "ops":
			w.Operators[value] = true
		default:
			show[key] = true
		}
	}
	d := g.Decide(w, c.input, mode)
	var b strings.Builder
	switch d.Verdict {
	case Allow:
		b.WriteString("allow " + d.Text)
	case Rewrite:
		b.WriteString("rewrite " + d.Text)
	case Empty:
		b.WriteString("empty")
	default:
		r := d.Refusal
		fmt.Fprintf(&b, "refuse %s %s: %s", r.SQLState, r.Reason, r.Message)
		for _, field := range []struct{ name, value string }{{"detail", r.Detail}, {"hint", r.Hint}, {"object", r.Object}, {"dataset", r.Dataset}} {
			if show["full"] && field.value != "" {
				fmt.Fprintf(&b, "\n%s: %s", field.name, field.value)
			}
		}
		if show["full"] {
			fmt.Fprintf(&b, "\nposition: %d", r.Position)
		}
	}
	for _, st := range d.Statements {
		if show["touches"] {
			fmt.Fprintf(&b, "\n%s", st.Tag)
			for _, touch := range st.Touches {
				fmt.Fprintf(&b, "\n  %s %s %v labels %v masked %v", touch.Action, touch.Relation, touch.Columns, touch.Labels, touch.Masked)
			}
		}
		if show["effects"] {
			for _, e := range st.Effects {
				fmt.Fprintf(&b, "\n%s: effect %d %q hold %v prepared %v", st.Tag, e.Kind, e.Name, e.Hold, e.Prepared != nil)
			}
		}
	}
	if show["redacted"] {
		b.WriteString("\nredacted: " + d.Redacted)
	}
	return b.String()
}
