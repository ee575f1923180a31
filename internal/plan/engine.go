package plan

import (
	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// Engine is what plan asks of a store's engine. It is pure: everything it needs to know of the server is in the snapshot.
type Engine interface {
	// Filter compiles a row filter of a table. rows are the same rule's filters of other tables: what its subqueries may see of
	// them (ENF-33). currentUser admits current_user (ENF-90).
	Filter(snap *catalog.Snapshot, schemas []string, table *catalog.Relation, text string, rows map[catalog.Name]string, currentUser bool) (*Filter, error)
	// Mask compiles a mask of a column to an expression of exactly the column's type.
	Mask(mask policy.Mask, col catalog.Column) (Form, error)
	// Derived recomputes a generated column from the masked forms of its inputs (ENF-19).
	Derived(col catalog.Column, inputs map[string]Form) (Form, error)
	// Case writes the union of several forms of a column (ENF-35): branches in order, the column's strongest form at the end.
	Case(col catalog.Column, branches []Guarded) (string, error)
	// Diff compares the wanted state with the server and returns what is to be done.
	Diff(w *Wanted, snap *catalog.Snapshot) (*Plan, error)
}

// Guarded is a form with the condition of the rules that show it so. When is empty for a form that needs none.
type Guarded struct {
	When []RulePredicate
	Form Form
}

// RulePredicate says which rows a rule admits: its filter (nil: all), as long as it has not ended.
type RulePredicate struct {
	Rule   *Rule
	Filter *Filter
}

// Input is what a wanted state is compiled from.
type Input struct {
	Policy      *policy.Policy
	Store       string
	Snapshot    *catalog.Snapshot
	Engine      Engine
	Extensions  map[string][]string // the reviewed functions of extensions, by extension
	RootKey     secret.Text
	Generation  int    // 0: what the server has, else 1
	Provisioner string // "" : the snapshot's current user
	Grantor     string
}
