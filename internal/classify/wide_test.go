package classify

import (
	"fmt"
	"testing"
)

// wide is a table of n columns, none of which a list knows.
func wide(c *Classifier, n int) []Table {
	tab := Table{Schema: "public", Name: "wide", Rows: 1000}
	for i := range n {
		col := Column{Name: fmt.Sprintf("attribute_value_%d", i), Type: "text"}
		tab.Columns = append(tab.Columns, MeasuredColumn{col, c.Measure(&col, Values{Texts: []string{"blue", "green"}, Rows: 1000})})
	}
	return []Table{tab}
}

// What is allocated is counted, not timed: reading a name allocates, and a table of 1,500 columns in which every column reads all names
// allocates for two million of them.
func TestWideTablesTakeTimeByTheirColumns(t *testing.T) {
	c := newClassifier(t)
	one, four := wide(c, 375), wide(c, 1500)
	count := func(tabs []Table) float64 { return testing.AllocsPerRun(1, func() { c.Judge(tabs, Options{}) }) }
	a, b := count(one), count(four)
	if a < 375 {
		t.Fatalf("only %.0f allocations are counted", a)
	}
	if b > 4.5*a {
		t.Errorf("375 columns allocate %.0f times, four times as many %.0f times", a, b)
	}
}

func TestASaltStandsInAnotherColumn(t *testing.T) {
	c := newClassifier(t)
	digests := series(30, func(i int) string { return fmt.Sprintf("%032x", i*7919+0x5bd1e995) })
	for what, tc := range map[string]struct {
		beside string
		want   Note
	}{"a salt": {"password_salt", NotePasswordWeak}, "no salt": {"colour", NotePasswordUnsalted}} {
		if f := judgeTable(c, "users", field{"password_md5", "text", digests}, field{tc.beside, "text", []string{"xy"}})["password_md5"]; f.Note != tc.want {
			t.Errorf("%s beside digests: %q", what, f.Note)
		}
	}
	if f := judgeTable(c, "users", field{"salted_password_salt", "text", digests})["salted_password_salt"]; f.Note == NotePasswordWeak {
		t.Error("a column is its own salt")
	}
}

func BenchmarkWideTable(b *testing.B) {
	c := newClassifier(b)
	tabs := wide(c, 1500)
	for b.Loop() {
		c.Judge(tabs, Options{})
	}
}
