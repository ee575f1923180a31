// Package sqlgen writes random SQL that is meant to be valid: statements of every kind that an ordinary person may send,
// typed from the inside out over a schema that the caller describes, and attempts to reach what the caller calls hidden.
// The same seed and number always give the same statement, so that a finding is two numbers. It knows PostgreSQL and
// nothing of the product, and sends nothing.
package sqlgen

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Type is a type of the generator: one for each type of PostgreSQL that it can make values of.
type Type string

// The types.
const (
	Text      Type = "text"
	Int       Type = "int"
	Bigint    Type = "bigint"
	Numeric   Type = "numeric"
	Float     Type = "float8"
	Bool      Type = "bool"
	Date      Type = "date"
	Timestamp Type = "timestamp"
	Instant   Type = "timestamptz"
	Interval  Type = "interval"
	UUID      Type = "uuid"
	Bytea     Type = "bytea"
	JSONB     Type = "jsonb"
	JSON      Type = "json"
	Ints      Type = "int[]"
	Texts     Type = "text[]"
	Inet      Type = "inet"
	Range     Type = "int4range"
)

// Column is a column of a table. A column of a type that is none of the generator's is cast from: Cast is what turns it
// into a Type.
type Column struct {
	Name string
	Type Type
	Cast string // "%s::text" and the like, "" for a column that has the type
}

// Table is one that the subject may read.
type Table struct {
	Name    string // as it is written in FROM
	Columns []Column
	Key     string            // a unique column, "" when there is none
	Update  []string          // the columns that may be set
	Insert  map[string]string // the columns of an INSERT and what to put there; nil: no INSERT
	Delete  bool
}

// Schema is what there is.
type Schema struct {
	Tables    []Table
	Hidden    []string   // relations that must not be readable, as written in FROM
	Functions []Function // the server's own, for calls beyond the ordinary
	UserCalls []string   // calls of the application's functions that hold more rights than the subject
	Major     int
}

// Function is a row of pg_proc.
type Function struct {
	Name string
	Args []Type
}

// Options narrow what is written.
type Options struct {
	// Stable leaves out what gives another answer when it is asked again or over the same rows in another order, what fails on some
	// values, and all writes.
	Stable bool
	// TablesOwnNames gives the columns of tables no other names: behind the inline tier a whole row has them as its fields' names, and
	// that of a table does not.
	TablesOwnNames bool
	// Attempts is how many of 1000 statements try to reach what is hidden.
	Attempts int
}

// Unit is what is sent as one: the texts in order, each as a message of its own.
type Unit struct {
	Kind     string
	Texts    []string
	Volatile bool // the answer may differ from one time to the next
	Attempt  bool // a refusal is the expected answer
}

// String is the unit as a script.
func (u Unit) String() string { return strings.Join(u.Texts, ";\n") + ";" }

// Make writes statement number n of a seed.
func (s *Schema) Make(seed, n uint64, o Options) Unit {
	g := &gen{r: rand.New(rand.NewPCG(seed, n)), s: s, o: o}
	u := g.unit()
	u.Volatile = g.volatile
	return u
}

// Sweep calls every function that takes a text, once with a query and once with a relation's name in the place of each
// text: what reads by name or runs its argument shows itself.
func (s *Schema) Sweep() []Unit {
	var out []Unit
	for i, f := range s.Functions {
		h := s.Hidden[i%len(s.Hidden)]
		for _, text := range []string{"'SELECT * FROM " + h + "'", "'" + h + "'", "'SELECT * FROM " + s.Hidden[0] + "'"} {
			g := &gen{r: rand.New(rand.NewPCG(0, uint64(i))), s: s}
			var args []string
			for _, t := range f.Args {
				if t == Text {
					args = append(args, text)
				} else {
					args = append(args, g.literal(t))
				}
			}
			if call := fmt.Sprintf("SELECT %s(%s)", f.Name, strings.Join(args, ", ")); strings.Contains(call, text) {
				out = append(out, Unit{Kind: "attempt: sweep of functions", Texts: []string{call}, Volatile: true, Attempt: true})
			}
		}
	}
	return out
}

// gen writes one statement.
type gen struct {
	r        *rand.Rand
	s        *Schema
	o        Options
	volatile bool
	names    int
	selects  int // SELECTs around this place
}

func (g *gen) n(n int) int { return g.r.IntN(n) }

// chance is true in so many of 100 cases.
func (g *gen) chance(percent int) bool { return g.r.IntN(100) < percent }

func pick[T any](g *gen, list []T) T { return list[g.r.IntN(len(list))] }

// fresh is a name that the statement does not have yet.
func (g *gen) fresh(prefix string) string {
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}

// weighted is one of several ways to go on.
type weighted struct {
	weight int
	name   string
	make   func() []string
}

func (g *gen) choose(ways []weighted) weighted {
	total := 0
	for _, w := range ways {
		total += w.weight
	}
	at := g.n(total)
	for _, w := range ways {
		if at -= w.weight; at < 0 {
			return w
		}
	}
	return ways[0]
}

// unit chooses the kind of a statement.
func (g *gen) unit() Unit {
	if g.n(1000) < g.o.Attempts {
		w := g.choose(g.attempts())
		return Unit{Kind: "attempt: " + w.name, Texts: w.make(), Attempt: true}
	}
	ways := []weighted{
		{500, "select", func() []string { return []string{g.query(nil, 0).text} }},
		{60, "set operation", func() []string { return []string{g.setOperation(nil).text} }},
	}
	if !g.o.Stable {
		ways = append(ways, g.others()...)
	}
	w := g.choose(ways)
	return Unit{Kind: w.name, Texts: w.make()}
}
