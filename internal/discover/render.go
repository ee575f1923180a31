package discover

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/postern-sec/postern/internal/classify"
)

// WriteJSON writes the whole report as one document, in a stable order.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// MarshalJSON writes class null where there is none.
func (r Record) MarshalJSON() ([]byte, error) {
	type plain Record
	raw, err := json.Marshal(plain(r))
	if err != nil || r.Class != "" {
		return raw, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	fields["class"] = json.RawMessage("null")
	return json.Marshal(fields)
}

// WriteTSV writes one line per classified column, for shells: no header, five fields, three decimals. all adds the columns
// without a class, as none.
func (r *Report) WriteTSV(w io.Writer, all bool) error {
	var b strings.Builder
	for i := range r.Columns {
		c := &r.Columns[i]
		class := string(c.Class)
		if class == "" {
			if !all {
				continue
			}
			class = "none"
		}
		fmt.Fprintf(&b, "%s\t%s\t%s\t%s\t%.3f\n", tsvEscape(c.Schema), tsvEscape(c.Table), tsvEscape(c.Column), tsvEscape(class), c.Confidence)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func tsvEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`).Replace(s)
}

// printable makes an identifier safe for a terminal and a page: what controls either, turns the direction of text or cannot be seen is
// replaced.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if controls(r) {
			return '�'
		}
		return r
	}, s)
}

// controls says whether a character does something instead of being seen. The two joiners belong to the spelling of some languages.
func controls(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != 0x200c && r != 0x200d || r == 0x2028 || r == 0x2029
}

// WriteTable writes what a person reads first: classified columns with the reason that weighs most, findings, and what was not
// examined with what to run.
func (r *Report) WriteTable(w io.Writer) error {
	if f := r.Failed; f != nil {
		_, err := fmt.Fprintf(w, "not examined: %s\n  next: %s\n", printable(f.Reason), printable(f.Next))
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	found := r.Sensitive()
	if len(found) > 0 {
		fmt.Fprintln(tw, "COLUMN\tTYPE\tCLASS\tCONFIDENCE\t"+r.readersCell("CAN BE READ BY")+"WHY")
	}
	for _, c := range found {
		class := string(c.Class)
		if c.State != classify.StatePlain && c.State != classify.StateEmpty {
			class += " (" + c.State.String() + ")"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%.2f\t%s%s\n", printable(c.Place()), printable(c.Type), class, c.Confidence, r.readersCell(c.ReadersText()), c.why())
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	r.tableTail(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// readersCell is a cell of the column that is there when readers were asked for.
func (r *Report) readersCell(text string) string {
	if !r.readers {
		return ""
	}
	return printable(text) + "\t"
}

func (r *Report) tableTail(b *strings.Builder) {
	if n := r.Summary.Findings; n > 0 {
		b.WriteString("\nfindings\n")
		for _, c := range r.Sensitive() {
			if c.Severity >= classify.SeverityMedium {
				fmt.Fprintf(b, "  %-8s %s: %s\n", c.Severity, printable(c.Place()), c.Note)
			}
		}
	}
	if said := r.objections(); len(said) > 0 {
		b.WriteString("\nverdicts to look at again\n")
		for _, o := range said {
			fmt.Fprintf(b, "  %s: %s\n", printable(o.Place), o.What)
		}
	}
	if len(r.New) > 0 {
		b.WriteString("\nnew since the last report\n")
		for _, n := range r.New {
			fmt.Fprintf(b, "  %s %s", printable(n.Place), n.Class)
			if n.Was != "" {
				fmt.Fprintf(b, " (was %s)", n.Was)
			}
			if n.Before != "" {
				fmt.Fprintf(b, " (before: %s)", n.Before)
			}
			b.WriteString("\n")
		}
	}
	if len(r.NotExamined) > 0 {
		b.WriteString("\nnot examined\n")
		for _, g := range r.NotExamined {
			fmt.Fprintf(b, "  %s: %s", printable(g.place()), g.Why)
			if g.Code != "" {
				fmt.Fprintf(b, " (SQLSTATE %s)", g.Code)
			}
			b.WriteString("\n")
			if g.Grant != "" {
				fmt.Fprintf(b, "    run: %s\n", printable(g.Grant))
			} else {
				fmt.Fprintf(b, "    next: %s\n", g.Next)
			}
		}
	}
	s := r.Summary
	fmt.Fprintf(b, "\n%d of %d columns in %d tables hold sensitive data (%d confident, %d likely)", s.Classified, s.Columns, s.Tables, s.Confident, s.Classified-s.Confident)
	if s.NotExamined > 0 {
		fmt.Fprintf(b, "; %d columns were not examined", s.NotExamined)
	}
	if s.Disputed > 0 {
		fmt.Fprintf(b, "; %d verdicts are disputed", s.Disputed)
	}
	b.WriteString("\n")
	if len(r.Sampled) > 0 {
		fmt.Fprintf(b, "samples were read on %s\n", printable(strings.Join(r.Sampled, ", ")))
	}
}

func (g *Gap) place() string {
	p := dotted(g.Schema, g.Table)
	if len(g.Columns) > 0 {
		p += " (" + strings.Join(g.Columns, ", ") + ")"
	}
	return p
}

// todo is the statement to run, or what else to do.
func (g *Gap) todo() string {
	if g.Grant != "" {
		return g.Grant
	}
	return g.Next
}

// why names the evidence that weighs most, with its counts.
func (r *Record) why() string {
	terms := append([]classify.Evidence(nil), r.Evidence...)
	sort.SliceStable(terms, func(i, j int) bool { return terms[i].Weight > terms[j].Weight })
	var out []string
	for _, e := range terms {
		if len(out) == 2 || e.Weight <= 0 && e.Source != classify.SourceVerdict {
			break
		}
		s := e.What.String()
		if e.Tested > 0 {
			s += fmt.Sprintf(" (%d of %d)", e.Matched, e.Tested)
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// WriteExplain shows the arithmetic of one column: each class that was weighed, with its terms.
func (r *Report) WriteExplain(w io.Writer, column string, top int) error {
	var b strings.Builder
	n := 0
	for i := range r.Columns {
		c := &r.Columns[i]
		if store, rest, _ := strings.Cut(column, "."); !c.is(column) && (store != r.Store || !c.is(rest)) {
			continue
		}
		n++
		explain(&b, c.Place()+" "+c.Type, &c.Finding, top)
		for k := range c.Paths {
			p := &c.Paths[k]
			explain(&b, c.Place()+" "+PathText(p.Path), &p.Finding, 2)
		}
	}
	if n == 0 {
		return fmt.Errorf("no column %q was looked at: write schema.table.column as the report does, names with a dot in double quotes, and see what include and exclude leave out", column)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func explain(b *strings.Builder, title string, f *classify.Finding, top int) {
	class := string(f.Class)
	if class == "" {
		class = "nothing sensitive"
	}
	fmt.Fprintf(b, "%s: %s, confidence %.3f, state %s\n", printable(title), class, f.Confidence, f.State)
	fmt.Fprintf(b, "  %d rows examined, %d distinct values tested\n", f.Rows, f.Tested)
	for _, s := range shownSums(f.Sums, top) {
		fmt.Fprintf(b, "  %-28s sum %7.2f  confidence %.3f", s.Class, s.Total, s.Confidence)
		if s.Vetoed {
			b.WriteString("  excluded: check digits fail as often as by chance")
		}
		b.WriteString("\n")
		for _, e := range s.Terms {
			fmt.Fprintf(b, "    %+7.2f  %-8s %s", e.Weight, e.Source, e.What)
			if e.Tested > 0 {
				fmt.Fprintf(b, ", %d of %d", e.Matched, e.Tested)
			}
			if !e.Shape.IsZero() {
				fmt.Fprintf(b, ", shape %s", e.Shape)
			}
			if e.Via != "" {
				fmt.Fprintf(b, ", via %s", printable(string(e.Via)))
			}
			b.WriteString("\n")
		}
	}
	if len(f.Sums) > 0 {
		b.WriteString("  against nothing sensitive, which stands at 0\n")
	}
	for _, i := range f.Inside {
		fmt.Fprintf(b, "  inside the text: %s in %d of %d\n", i.Class, i.Matched, i.Tested)
	}
}

// shownSums are the classes to explain: first what the name says and check digits exclude, as whoever asks wonders about just that, then
// the likeliest. Exclusions that no name asks about are of dozens of numbers that nobody thought of.
func shownSums(sums []classify.Sum, top int) []classify.Sum {
	var first, rest []classify.Sum
	for _, s := range sums {
		switch {
		case s.Vetoed && s.Named:
			first = append(first, s)
		case !s.Vetoed && len(rest) < top:
			rest = append(rest, s)
		}
	}
	return append(first, rest...)
}
