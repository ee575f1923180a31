package classify

import (
	"fmt"
	"testing"
)

// A table and its partitions hold the same, and as surely, whichever of them showed it.
func TestPartitionsAreOneTable(t *testing.T) {
	t.Parallel()
	c := newClassifier(t)
	column := func(via string, texts []string) MeasuredColumn {
		col := Column{Name: "opaque", Type: "text"}
		if via != "" {
			col.Via = Target{"public", via, "opaque"}
		}
		var p *Profile
		if texts != nil {
			p = c.Measure(&col, Values{Texts: texts, Rows: len(texts), Distinct: float64(len(texts))})
		}
		return MeasuredColumn{Column: col, Profile: p}
	}
	var mails, numbers []string
	for i := range 60 {
		mails, numbers = append(mails, fmt.Sprintf("p%d@haus.de", i)), append(numbers, fmt.Sprintf("x%d", i*7919))
	}
	table := func(name string, kind byte, col MeasuredColumn) Table {
		return Table{Schema: "public", Name: name, Kind: kind, Rows: 60, Columns: []MeasuredColumn{col}}
	}
	for name, tables := range map[string][]Table{
		"a leaf shows it": {
			table("log", 'p', column("", nil)), table("log_2026", 'p', column("log", nil)),
			table("log_2026_1", 'r', column("log_2026", mails)), table("log_2026_2", 'r', column("log_2026", nil)),
		},
		"its parent's sample misses it": {table("log", 'p', column("", numbers)), table("log_1", 'r', column("log", mails)), table("log_2", 'r', column("log", numbers))},
		"the parent shows it":           {table("log", 'p', column("", mails)), table("log_1", 'r', column("log", nil)), table("log_2", 'r', column("log", mails))},
	} {
		found := c.Judge(tables, Options{})
		for i := range tables {
			f := found[i][0]
			if f.Class != "contact.email" || f.Confidence != found[0][0].Confidence {
				t.Errorf("%s: %s is %q, %.3f, where the table is %.3f", name, tables[i].Name, f.Class, f.Confidence, found[0][0].Confidence)
			}
		}
	}
	// A view may show less than its table: what it holds says nothing of that.
	view := table("seen", 'v', column("log", mails))
	if found := c.Judge([]Table{table("log", 'r', column("", numbers)), view}, Options{}); found[0][0].Class != "" {
		t.Errorf("a view makes its table %q", found[0][0].Class)
	}
}
