package policy

import "strings"

// Length is how much of a location a pattern spells out: the number of its parts that are names. The longest match wins.
func (t TablePattern) Length() int {
	n := 0
	for _, part := range []string{t.Store, t.Schema, t.Table} {
		if part != "" && part != "*" {
			n++
		}
	}
	return n
}

// Matches says whether the pattern covers a table.
func (t TablePattern) Matches(table Table) bool {
	return covers(t.Store, table.Store) && covers(t.Schema, table.Schema) && covers(t.Table, table.Name)
}

func covers(part, name string) bool { return part == "" || part == "*" || part == name }

// String prints the pattern as the policy file writes it.
func (t TablePattern) String() string {
	parts := []string{star(t.Store), star(t.Schema), star(t.Table)}
	for len(parts) > 1 && parts[len(parts)-1] == "*" {
		parts = parts[:len(parts)-1]
	}
	for i, p := range parts {
		if p != "*" {
			parts[i] = quotePart(p)
		}
	}
	return strings.Join(parts, ".")
}

func star(part string) string {
	if part == "" {
		return "*"
	}
	return part
}

// match returns the length of the longest include that covers the table, or -1 when the dataset does not hold it.
// A longer exclude wins, and so does an equally long one.
func (d *Dataset) match(t Table) int {
	in := longest(d.Include, t)
	if in < 0 || longest(d.Exclude, t) >= in {
		return -1
	}
	return in
}

func longest(patterns []TablePattern, t Table) int {
	best := -1
	for _, p := range patterns {
		if p.Matches(t) {
			best = max(best, p.Length())
		}
	}
	return best
}

// Holds says whether the dataset's own patterns hold a table. Another dataset may name it by a longer pattern: DatasetOf
// has the last word.
func (d *Dataset) Holds(t Table) bool { return d.match(t) >= 0 }

// DatasetOf returns the dataset that a table belongs to, or nil. Of several that name it, the one with the longest pattern
// has it; validation has made sure that there is one (ACC-01).
func (p *Policy) DatasetOf(t Table) *Dataset {
	var found *Dataset
	best := -1
	for _, d := range p.Datasets {
		if m := d.match(t); m > best || m == best && m >= 0 && d.Name < found.Name {
			best, found = m, d
		}
	}
	return found
}

// TablesOf returns those tables of universe that belong to a dataset, in the order of universe.
func (p *Policy) TablesOf(dataset string, universe []Table) []Table {
	var out []Table
	for _, t := range universe {
		if d := p.DatasetOf(t); d != nil && d.Name == dataset {
			out = append(out, t)
		}
	}
	return out
}
