package discover

import (
	_ "embed"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/postern-sec/postern/internal/classify"
)

//go:embed inventory.html
var inventoryPage string

// inventory is the report by class and by place.
type inventory struct {
	*Report
	Title   string
	Number  int // among the stores of the page
	Classes []classRow
	Places  []placeRow
	Secrets []*Record
	Again   []objection
}

type classRow struct {
	Class   classify.Class
	Tags    []classify.Tag
	Columns []*Record
}

type placeRow struct {
	Table   string
	Columns []*Record
}

func (r *Report) inventory() *inventory {
	inv := &inventory{Report: r, Title: r.Database, Again: r.objections()}
	if r.Store != "" {
		inv.Title = r.Store
	}
	byClass := map[classify.Class]*classRow{}
	for _, c := range r.Sensitive() {
		row := byClass[c.Class]
		if row == nil {
			row = &classRow{Class: c.Class, Tags: c.Tags}
			byClass[c.Class] = row
		}
		row.Columns = append(row.Columns, c)
		table := dotted(c.Schema, c.Table)
		if n := len(inv.Places); n == 0 || inv.Places[n-1].Table != table {
			inv.Places = append(inv.Places, placeRow{Table: table})
		}
		p := &inv.Places[len(inv.Places)-1]
		p.Columns = append(p.Columns, c)
		if c.Severity >= classify.SeverityMedium {
			inv.Secrets = append(inv.Secrets, c)
		}
	}
	for _, row := range byClass {
		inv.Classes = append(inv.Classes, *row)
	}
	sort.Slice(inv.Classes, func(i, j int) bool { return inv.Classes[i].Class < inv.Classes[j].Class })
	sort.SliceStable(inv.Secrets, func(i, j int) bool { return inv.Secrets[i].Severity > inv.Secrets[j].Severity })
	return inv
}

// ReadersText lists who can read a column, shortened.
func (r *Record) ReadersText() string {
	const most = 8
	switch {
	case len(r.Readers) == 0 && r.readersKnown:
		return "superusers only"
	case len(r.Readers) == 0:
		return "not known"
	}
	s := strings.Join(r.Readers[:min(most, len(r.Readers))], ", ")
	if n := len(r.Readers) - most; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

// WriteHTML writes the inventory of this one store.
func (r *Report) WriteHTML(w io.Writer) error { return Reports{r}.WriteHTML(w) }

func tagNames(tags []classify.Tag) []string {
	out := make([]string, len(tags))
	for i, t := range tags {
		out[i] = string(t)
	}
	return out
}

func joinTags(tags []classify.Tag) string {
	return strings.Join(tagNames(tags), ", ")
}

// markdownCell escapes what would end a cell or start markup.
func markdownCell(s string) string {
	return strings.NewReplacer("|", `\|`, "`", "'", "<", "&lt;", ">", "&gt;", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "\\", `\\`).Replace(printable(s))
}

// WriteMarkdown writes the inventory for a repository or a ticket.
func (r *Report) WriteMarkdown(w io.Writer) error {
	inv := r.inventory()
	var b strings.Builder
	if f := r.Failed; f != nil {
		fmt.Fprintf(&b, "# Sensitive data in %s\n\nNot examined: %s. Next: %s.\n", markdownCell(inv.Title), markdownCell(f.Reason), markdownCell(f.Next))
		_, err := io.WriteString(w, b.String())
		return err
	}
	fmt.Fprintf(&b, "# Sensitive data in %s\n\n%d of %d columns in %d tables hold sensitive data.\n", markdownCell(inv.Title), r.Summary.Classified, r.Summary.Columns, r.Summary.Tables)
	if len(inv.Secrets) > 0 {
		b.WriteString("\n## Findings\n\n| severity | column | finding |\n|---|---|---|\n")
		for _, c := range inv.Secrets {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", c.Severity, markdownCell(c.Place()), c.Note)
		}
	}
	if len(inv.Again) > 0 {
		b.WriteString("\n## Verdicts to look at again\n\n| place | why |\n|---|---|\n")
		for _, o := range inv.Again {
			fmt.Fprintf(&b, "| %s | %s |\n", markdownCell(o.Place), markdownCell(o.What))
		}
	}
	b.WriteString("\n## By class\n\n| class | tags | columns |\n|---|---|---|\n")
	for _, c := range inv.Classes {
		names := make([]string, len(c.Columns))
		for i, col := range c.Columns {
			names[i] = markdownCell(col.Place())
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", markdownCell(string(c.Class)), joinTags(c.Tags), strings.Join(names, ", "))
	}
	b.WriteString("\n## By place\n")
	for _, p := range inv.Places {
		fmt.Fprintf(&b, "\n### %s\n\n| column | type | class | confidence | state | can be read by |\n|---|---|---|---|---|---|\n", markdownCell(p.Table))
		for _, c := range p.Columns {
			fmt.Fprintf(&b, "| %s | %s | %s | %.2f | %s | %s |\n", markdownCell(c.Column), markdownCell(c.Type), markdownCell(string(c.Class)), c.Confidence, c.State, markdownCell(c.ReadersText()))
		}
	}
	if len(r.NotExamined) > 0 {
		b.WriteString("\n## Not examined\n\n| place | why | what to do |\n|---|---|---|\n")
		for _, g := range r.NotExamined {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", markdownCell(g.place()), g.Why, markdownCell(g.todo()))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
