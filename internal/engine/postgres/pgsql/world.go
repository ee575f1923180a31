// Package pgsql is the guard: it takes one statement text of a subject, finds out with PostgreSQL's own grammar what it
// touches, and returns either text that is safe to send or a refusal that says why. It is the only user of the parser.
//
// The rules are those of the enforcement document (ENF-nn); tests are named after them.
package pgsql

import (
	"maps"
	"slices"
	"strings"
)

// Name is a schema-qualified name, unquoted.
type Name struct{ Schema, Name string }

// World is everything the guard knows about one profile on one store. It is immutable once built and safe for concurrent use.
type World struct {
	Store      string
	Database   string // the database's name on the server; three-part names may use it or Store
	Profile    string // the profile's schema on the server
	Generation uint64 // changes with every policy or catalog change that could change a decision
	Major      int    // server major version

	Schemas   []string            // the logical search path: the store's application schemas, the first holds plain names
	Relations map[Name]*Relation  // admitted relations by the application's own name
	Known     map[Name]Hidden     // relations that exist and are not admitted, so that a refusal can say which dataset to ask for
	Types     map[Name]Name       // application types that may be named -> where they are
	TypeOIDs  map[uint32]struct{} // of these and of their arrays, as a client declares parameters
	Masked    bool                // the profile masks or filters something: errors and notices are rebuilt
	Own       bool                // some of the relations are the profile's own: DDL on these
	Temp      bool                // temporary tables are granted
	Explain   bool                // EXPLAIN in its plain form is allowed
	Parts     map[string]string   // partitions and children by bare name -> the admitted relation through which they are read
	Channels  map[string]bool     // for LISTEN and NOTIFY
	Places    map[string]bool     // schemas in which tables may be kept
	Callable  map[Name]byte       // routines outside pg_catalog that may be called, with their pg_proc.prokind
	Extension map[string]string   // extension -> schema, for those whose types protected columns use

	// Allowances are what Temp, Explain, Channels and Callable come from, rule by rule, so that what a rule allows ends with it.
	Allowances []Allowance

	// Inline holds, on the inline tier, the query that stands for each target; the server has no view of that name. nil: walled.
	Inline map[Name]string

	// Routines names the routines outside pg_catalog, so that x.f of an unknown row type can be told from a call of f.
	// nil means that they are not known: such references are refused.
	Routines map[string]bool
	// Operators names the operators outside pg_catalog that belong to no extension of Extension but can be reached on
	// the upstream search_path; an operator of that name is refused (ENF-51).
	Operators map[string]bool
	// Timeouts are the highest values in milliseconds of settings such as statement_timeout; one that is not named may
	// have any value (ENF-48).
	Timeouts map[string]int64
}

// Relation is an admitted relation.
type Relation struct {
	Name     Name     // the application's own name
	Target   Name     // what is sent instead: the profile's view, or the base itself when open
	Kind     byte     // pg_class.relkind of the base: r p v m f S
	Open     bool     // shown whole (ENF-93)
	Own      bool     // through membership in its owner (ENF-94)
	Temp     bool     // a table that the subject made, temporary or in a place, whose columns are not known (ENF-74)
	Rule     string   // rules that admit it, comma separated, for reasons
	OwnRules []string // those of level own: when all of them are over, nothing shows it otherwise until somebody applies
	Dataset  string
	Filtered bool                // no rule shows every row
	Columns  []Column            // attnum order
	Primary  []string            // columns of the primary key, empty if none
	Unique   map[string][]string // unique constraint -> columns, primary key included
	Indexes  []string            // of a table that the profile owns

	// MinGroup is how many rows an aggregate over the relation needs; 0: single rows are shown.
	MinGroup int64

	Select, Insert, Delete, Update, Lock bool
}

// Column is a column as the profile shows it.
type Column struct {
	Name   string
	Type   string
	Label  string
	Mask   string // "" when raw in every row
	Insert bool
	Update bool
}

// Hidden describes a relation that exists and is not admitted.
type Hidden struct {
	Kind    byte
	Dataset string   // "" when no dataset holds it
	Ended   []string // rules of the profile that admitted it and are over
}

// Made says whether a relation, as store.schema.table, is one that subjects made.
func (w *World) Made(relation string) bool {
	if strings.Contains(relation, "."+TemporarySchema+".") {
		return true
	}
	for place := range w.Places {
		if strings.Contains(relation, "."+quoteIdent(place)+".") {
			return true
		}
	}
	return false
}

// Allowance is what one rule allows beside reading and writing; Rule is "" for what the store allows everybody.
type Allowance struct {
	Rule          string
	Temp, Explain bool
	Channels      []string
	Places        []string
	Callable      map[Name]byte
}

// Allow adds an allowance to what the world allows.
func (w *World) Allow(x Allowance) {
	w.Allowances = append(w.Allowances, x)
	w.allow(x)
}

func (w *World) allow(x Allowance) {
	w.Temp, w.Explain = w.Temp || x.Temp, w.Explain || x.Explain
	for _, c := range x.Channels {
		w.Channels[c] = true
	}
	for _, place := range x.Places {
		w.Places[place] = true
	}
	maps.Copy(w.Callable, x.Callable)
}

// Without is the world of somebody for whom some rules of the profile are over: what only these admit or allow is refused, and the
// refusal says so of relations. On the server such a relation is still there and shows no row (ENF-91), which looks like an empty
// table; a function may still be called there. The generation is the caller's to set.
func (w *World) Without(ended []string) *World {
	if len(ended) == 0 {
		return w
	}
	out := *w
	out.Relations, out.Known, out.Parts = maps.Clone(w.Relations), maps.Clone(w.Known), maps.Clone(w.Parts)
	for name, rel := range w.Relations {
		rules := strings.Split(rel.Rule, ",")
		if rel.Own {
			rules = rel.OwnRules // the others' view of it is not built: the name leads to the table itself
		}
		if slices.ContainsFunc(rules, func(r string) bool { return !slices.Contains(ended, r) }) {
			continue
		}
		delete(out.Relations, name)
		out.Known[name] = Hidden{Kind: rel.Kind, Dataset: rel.Dataset, Ended: rules}
		maps.DeleteFunc(out.Parts, func(_, of string) bool { return of == name.Name })
	}
	out.Temp, out.Explain, out.Channels, out.Places, out.Callable = false, false, map[string]bool{}, map[string]bool{}, map[Name]byte{}
	for _, x := range w.Allowances {
		if !slices.Contains(ended, x.Rule) {
			out.allow(x)
		}
	}
	return &out
}
