package pgsql

import (
	"slices"
	"strings"
)

// shape is what is known of the column names of something in FROM. They matter because x.f and (x).f call a function when
// x has no column f (ENF-55).
type shape struct {
	columns []string
	known   bool
	masked  []bool // which columns show something masked, parallel to columns; what it is too short for is not
}

func shapeOf(columns ...string) shape { return shape{columns: columns, known: true} }

func (s shape) has(column string) bool { return slices.Contains(s.columns, column) }

// shows says whether a column of that name shows something masked.
func (s shape) shows(column string) bool {
	for i, c := range s.columns {
		if c == column && i < len(s.masked) && s.masked[i] {
			return true
		}
	}
	return false
}

// hiding is the shape with every column masked.
func (s shape) hiding() shape {
	s.masked = slices.Repeat([]bool{true}, len(s.columns))
	return s
}

// over is the shape of a set operation: the columns of s, which show what other's show as well.
func (s shape) over(other shape) shape {
	if len(other.masked) == 0 {
		return s
	}
	masked := padded(s.masked, max(len(s.masked), len(other.masked)))
	for i, m := range other.masked {
		masked[i] = masked[i] || m
	}
	s.masked = masked
	return s
}

// renamed is the shape behind an alias with a column list: the names given replace the first ones.
func (s shape) renamed(names []string) shape {
	if len(names) == 0 {
		return s
	}
	columns := slices.Clone(names)
	if len(s.columns) > len(names) {
		columns = append(columns, s.columns[len(names):]...)
	}
	return shape{columns: columns, known: s.known, masked: s.masked}
}

// and is the shape of two things joined.
func (s shape) and(other shape) shape {
	out := shape{columns: append(slices.Clip(s.columns), other.columns...), known: s.known && other.known, masked: s.masked}
	if len(other.masked) > 0 {
		out.masked = append(padded(s.masked, len(s.columns)), other.masked...)
	}
	return out
}

// padded is a copy of masked that is n long.
func padded(masked []bool, n int) []bool {
	out := make([]bool, n)
	copy(out, masked)
	return out
}

// item is one name in a FROM list.
type item struct {
	alias   string // the name that columns are qualified with, "" when there is none
	shape   shape
	rel     *Relation // an admitted relation
	name    Name      // its own name, for three-part references, when no alias was written
	catalog bool      // a view of the catalog
	of      Name      // the catalog relation that it stands for
	touch   *touching
	reads   *resolved   // for the target of a write: what is noted once a column is read
	locks   []*Relation // what FOR UPDATE of the item would lock
	names   []string    // for a relation: its columns as this query names them, parallel to rel.Columns
	// ungrouped are the columns used where GROUP BY must cover them (ENF-93); whole means all.
	ungrouped []string
	whole     bool
}

// scope is one level of a query: the items of its FROM list and the CTEs in sight.
type scope struct {
	outer *scope
	items []*item
	ctes  *cte
	// collect says that references are being read where only grouped columns may stand.
	collect bool
}

// cte is one WITH query in sight; the chain goes from the innermost outwards.
type cte struct {
	name  string
	shape shape
	next  *cte
}

// aside is the level of a query in FROM that is not LATERAL: it sees what sc's own query sees from outside.
func (sc *scope) aside() *scope { return &scope{outer: sc.outer, ctes: sc.ctes} }

func (sc *scope) cte(name string) *cte {
	for c := sc.ctes; c != nil; c = c.next {
		if c.name == name {
			return c
		}
	}
	return nil
}

// find returns the item that a qualified reference means, and its level.
func (sc *scope) find(alias string) (*item, *scope) {
	for level := sc; level != nil; level = level.outer {
		for _, it := range level.items {
			if it.alias == alias && alias != "" {
				return it, level
			}
		}
	}
	return nil, nil
}

// findQualified returns the item that schema.table means: a relation of that name without an alias of its own. hidden says
// that its bare name means something else here.
func (sc *scope) findQualified(name Name) (found *item, level *scope, hidden bool) {
	for level := sc; level != nil; level = level.outer {
		for _, it := range level.items {
			if it.name == name {
				if other, _ := sc.find(it.alias); other != it {
					return it, level, true
				}
				return it, level, false
			}
		}
	}
	return nil, nil, false
}

// touching gathers what a statement does with one relation.
type touching struct {
	rel     *Relation
	name    Name
	action  string
	columns map[string]bool
	whole   bool
}

func (t *touching) column(name string) {
	if t == nil || t.rel == nil {
		return
	}
	if t.columns == nil {
		t.columns = map[string]bool{}
	}
	t.columns[name] = true
}

// all notes that whole rows are used.
func (t *touching) all() {
	if t != nil {
		t.whole = true
	}
}

// result is the touch as the decision tells it.
func (t *touching) result() Touch {
	out := Touch{Relation: t.name, Action: t.action}
	if t.rel == nil {
		return out
	}
	if t.rel.Rule != "" {
		out.Rules = strings.Split(t.rel.Rule, ",")
	}
	labels := map[string]bool{}
	for _, c := range t.rel.Columns {
		if !t.whole && !t.columns[c.Name] {
			continue
		}
		if !t.whole {
			out.Columns = append(out.Columns, c.Name)
		}
		if c.Label != "" {
			labels[c.Label] = true
		}
		out.Masked = out.Masked || c.Mask != ""
	}
	slices.Sort(out.Columns)
	for l := range labels {
		out.Labels = append(out.Labels, l)
	}
	slices.Sort(out.Labels)
	return out
}
