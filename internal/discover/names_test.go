package discover

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern               string
		schema, table, column string
		want                  bool
	}{
		{"public", "public", "t", "c", true},
		{"t", "public", "t", "c", true},
		{"public.t*", "public", "table", "c", true},
		{"public.*.mail", "public", "t", "mail", true},
		{"public.*.mail", "public", "t", "mails", false},
		{`"a.b"."c"`, "a.b", "c", "d", true},
		{`"a.b"."c"`, "a", "b", "c", false},
		{`"a.b"`, "public", "a.b", "c", true},
		{`a.b`, "public", "a.b", "c", false},
		{`public."a.b".c`, "public", "a.b", "c", true},
		{`public."a.b".*`, "public", "a.b", "c/d", true},
		{`public."*".c`, "public", "t", "c", false},
		{`public."*".c`, "public", "*", "c", true},
		{`public."he said ""no""".c`, "public", `he said "no"`, "c", true},
		{`public.t.with.dots`, "public", "t", "with.dots", true},
		{`public."t`, "public", `"t`, "c", false},
	} {
		if got := Matches(c.pattern, c.schema, c.table, c.column); got != c.want {
			t.Errorf("%s admits %q.%q.%q: %t", c.pattern, c.schema, c.table, c.column, got)
		}
	}
	for _, p := range []string{`"a`, `"a"b`, "[", `a."b".c.d`} {
		if CheckPattern(p) == nil {
			t.Errorf("pattern %s is accepted", p)
		}
	}
}

// A place that is printed can be picked as it is printed, and a verdict about it is found, however it writes the names.
func TestNamesWithDots(t *testing.T) {
	t.Parallel()
	shelf := func() *shelf {
		s := &shelf{values: map[string][]string{"public.a.b.c.d": mails(20), "public.a.b": mails(20)}}
		s.cat.Tables = []Table{table(1, "a.b", "c.d text"), table(2, "a", "b text")}
		return s
	}
	rep := mustRun(t, shelf(), Options{From: FromSample, Include: []string{`public."a.b"`}})
	if len(rep.Columns) != 1 || rep.Columns[0].Place() != `public."a.b"."c.d"` {
		t.Fatalf("columns %+v", rep.Columns)
	}
	for _, place := range []string{rep.Columns[0].Place(), `"public"."a.b"."c.d"`} {
		var out bytes.Buffer
		if err := rep.WriteExplain(&out, place, 3); err != nil || !strings.Contains(out.String(), "contact.email") {
			t.Errorf("%s: %v\n%s", place, err, out.String())
		}
		again := mustRun(t, shelf(), Options{Store: "s", From: FromSample, Verdicts: []Verdict{{Column: "s." + place, Class: "person.username", By: "ana"}}})
		if c := record(t, again, `public."a.b"."c.d"`).Class; c != "person.username" {
			t.Errorf("the verdict on %s is not found: %q", place, c)
		}
	}
	if c, p, ok := CutPath(`s."a$.b"."c"$.mail`); c != `s."a$.b"."c"` || p != "$.mail" || !ok {
		t.Errorf("cut into %q and %q", c, p)
	}
}

func TestPatternsWithoutAMatchAreSaid(t *testing.T) {
	t.Parallel()
	rep := mustRun(t, someShelf(), Options{Include: []string{"public"}, Exclude: []string{"public.custmers", "public.orders", "public.custmers"}})
	if !slices.Equal(rep.Unmatched, []string{"public.custmers"}) {
		t.Errorf("unmatched: %q", rep.Unmatched)
	}
	var out bytes.Buffer
	if err := rep.WriteJSON(&out); err != nil || !strings.Contains(out.String(), `"unmatched_patterns": [`) {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// Whatever was not examined, the report says what to do about it.
func TestEveryGapHasANextStep(t *testing.T) {
	t.Parallel()
	s := someShelf()
	for i, why := range []Why{WhyTimeout, WhyLocked, WhyError, WhyPrivilege} {
		tab := table(uint32(100+i), "refused"+strings.ReplaceAll(string(why), " ", ""), "x text")
		s.cat.Tables = append(s.cat.Tables, tab)
		s.refuse["public."+tab.Name] = &NotExamined{Why: why}
	}
	view, far, both, secured := table(120, "seen", "x text"), table(121, "far", "x text"), table(122, "farview", "x text"), table(123, "secured", "x text")
	view.Kind, far.Kind, both.Kind, both.Away, secured.RowSecurity = 'v', 'f', 'v', true, true
	s.cat.Tables = append(s.cat.Tables, view, far, both, secured)
	gaps := mustRun(t, s, Options{From: FromSample}).NotExamined
	s = someShelf()
	s.cat.Tables[0].Rows, s.cat.Tables[1].Stale = -1, true
	gaps = append(gaps, mustRun(t, s, Options{From: FromStats}).NotExamined...)
	seen := map[Why]bool{}
	for _, g := range gaps {
		seen[g.Why] = true
		if g.todo() == "" || (g.Grant == "") == (g.Next == "") {
			t.Errorf("%s: %s has no next step, or two: %+v", g.Table, g.Why, g)
		}
		if want := map[string]string{"farview": "--views --foreign", "seen": "with --views", "far": "with --foreign"}[g.Table]; !strings.Contains(g.Next, want) {
			t.Errorf("%s: %q", g.Table, g.Next)
		}
	}
	for _, why := range []Why{WhyTimeout, WhyLocked, WhyError, WhyPrivilege, WhyView, WhyForeign, WhyRowSecurity, WhyNoStats, WhyStale} {
		if !seen[why] {
			t.Errorf("no gap for %s", why)
		}
	}
	for _, why := range []Why{WhyInterrupted, WhyUnseen} {
		if nextSteps[why] == "" {
			t.Errorf("%s has no next step", why)
		}
	}
}

// What a name holds cannot steer a terminal or a page, and the statement to run still says just that name.
func TestNamesSteerNothing(t *testing.T) {
	t.Parallel()
	const evil = "a\x1b[2J\u202eb\u200f<i>\\\"\u009b\n#c"
	s := &shelf{values: map[string][]string{"public." + evil + ".mail": mails(20)}}
	s.cat = Catalog{Database: "d" + evil, User: "u" + evil, Tables: []Table{table(1, evil, "mail text"), table(2, "closed"+evil, "mail text")}}
	s.cat.Tables[0].Comment = evil
	s.cat.Tables[1].Columns[0].CanSelect = false
	rep := mustRun(t, s, Options{From: FromSample, Readers: true, Last: &Report{}})
	for i := range rep.Columns {
		rep.Columns[i].Readers = []string{evil}
	}
	forms := map[string]func(*bytes.Buffer) error{
		"table": func(b *bytes.Buffer) error { return rep.WriteTable(b) }, "markdown": func(b *bytes.Buffer) error { return rep.WriteMarkdown(b) },
		"html": func(b *bytes.Buffer) error { return rep.WriteHTML(b) }, "explain": func(b *bytes.Buffer) error { return rep.WriteExplain(b, rep.Columns[1].Place(), 3) },
	}
	for name, write := range forms {
		var out bytes.Buffer
		if err := write(&out); err != nil {
			t.Fatal(err)
		}
		for _, r := range out.String() {
			if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("%s: %U gets out:\n%s", name, r, out.String())
				break
			}
		}
		if strings.Contains(out.String(), "\n#c") || name != "table" && name != "explain" && strings.Contains(out.String(), "<i>") {
			t.Errorf("%s: a name is markup:\n%s", name, out.String())
		}
	}
	grant := rep.NotExamined[0].Grant
	if want := `U&"closeda\+00001b[2J\+00202eb\+00200f<i>\\""\+00009b\+00000a#c"`; !strings.Contains(grant, want) {
		t.Errorf("%s lacks %s", grant, want)
	}
	if got := quote(`a\b`); got != `"a\b"` {
		t.Errorf("quoted as %s", got)
	}
}

func TestReadersStandInTheTable(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{true, false} {
		var out bytes.Buffer
		if err := mustRun(t, someShelf(), Options{From: FromSample, Readers: asked}).WriteTable(&out); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "CAN BE READ BY") && strings.Contains(out.String(), "ana, app"); got != asked {
			t.Errorf("readers asked for: %t\n%s", asked, out.String())
		}
	}
}

// What Place joins can be taken apart again, and nothing that somebody types stalls or fells the program.
func FuzzNames(f *testing.F) {
	f.Add("public", `a."b`, "c.d", `public."a.b".*`)
	f.Add("", `"`, "", `"`)
	f.Fuzz(func(t *testing.T, schema, table, column, pattern string) {
		place := dotted(schema, table, column)
		if parts, err := SplitPlace(place); err != nil || !slices.Equal(parts, []string{schema, table, column}) {
			t.Fatalf("%q is taken apart into %q: %v", place, parts, err)
		}
		if !Matches(place, schema, table, column) && !strings.ContainsAny(place, `*?[\`) {
			t.Fatalf("%q does not match itself", place)
		}
		if CheckPattern(pattern) != nil && Matches(pattern, schema, table, column) {
			t.Fatalf("%q is refused and matches", pattern)
		}
		if column, _, ok := CutPath(pattern); !strings.HasPrefix(pattern, column) || !ok && column != pattern {
			t.Fatalf("%q is cut to %q", pattern, column)
		}
	})
}
