package discover

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
)

// Reports are the reports of one run over several stores, in the order in which they were asked for. One report alone is
// written as if there were no others.
type Reports []*Report

// ExitCode is what a command should end with: 2 when no store could be examined, 1 with failOnNew and something new anywhere, else 3
// when something was not examined, else 0.
func (rs Reports) ExitCode(failOnNew bool) int {
	if !slices.ContainsFunc(rs, func(r *Report) bool { return r.Failed == nil }) {
		return 2
	}
	code := 0
	for _, r := range rs {
		switch c := r.ExitCode(failOnNew); c {
		case 1:
			return 1
		case 3:
			code = 3
		}
	}
	return code
}

// WriteTable writes each report, under its store's name when there are several.
func (rs Reports) WriteTable(w io.Writer) error {
	for i, r := range rs {
		if len(rs) > 1 {
			gap := "\n"
			if i == 0 {
				gap = ""
			}
			if _, err := fmt.Fprintf(w, "%sstore %s\n", gap, printable(r.Store)); err != nil {
				return err
			}
		}
		if err := r.WriteTable(w); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON writes one document: the report, or all of them under "stores".
func (rs Reports) WriteJSON(w io.Writer) error {
	if len(rs) == 1 {
		return rs[0].WriteJSON(w)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		Version int       `json:"version"`
		Stores  []*Report `json:"stores"`
	}{Version, rs})
}

// WriteTSV writes the lines of one report: they have no field for a store.
func (rs Reports) WriteTSV(w io.Writer, all bool) error {
	if len(rs) != 1 {
		return errors.New("a line of TSV has no place for the store: name one store")
	}
	return rs[0].WriteTSV(w, all)
}

// WriteMarkdown writes one inventory after the other.
func (rs Reports) WriteMarkdown(w io.Writer) error {
	for _, r := range rs {
		if err := r.WriteMarkdown(w); err != nil {
			return err
		}
	}
	return nil
}

// WriteHTML writes the inventory as one self-contained page: no script, no outside resource.
func (rs Reports) WriteHTML(w io.Writer) error {
	t, err := template.New("inventory").Funcs(template.FuncMap{
		"tags": tagNames, "percent": func(f float64) string { return fmt.Sprintf("%.0f %%", f*100) }, "place": func(g Gap) string { return printable(g.place()) },
		"anchor": anchor, "clean": printable,
	}).Parse(inventoryPage)
	if err != nil {
		return err
	}
	page := struct {
		Title  string
		Stores []*inventory
	}{}
	var names []string
	for i, r := range rs {
		inv := r.inventory()
		inv.Number = i + 1
		page.Stores = append(page.Stores, inv)
		names = append(names, inv.Title)
	}
	page.Title = strings.Join(names, ", ")
	return t.Execute(w, page)
}

// WriteExplain shows the arithmetic of one column; it may be in any of the stores.
func (rs Reports) WriteExplain(w io.Writer, column string, top int) error {
	var err error
	found := false
	for _, r := range rs {
		if e := r.WriteExplain(w, column, top); e != nil {
			err = e
			continue
		}
		found = true
	}
	if found {
		return nil
	}
	return err
}

// anchor makes a fragment of a store's number and a section.
func anchor(number int, section string) string {
	return fmt.Sprintf("%s-%d", section, number)
}
