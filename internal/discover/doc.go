// Package discover finds the columns of a database that hold sensitive data. It asks an engine for the catalog, for planner
// statistics and for bounded samples, lets classify judge them, and renders the answer: as a table, JSON, TSV, an inventory in
// Markdown or HTML, and as a patch to the policy file that a person reviews.
//
// Values pass through it on their way to classify.Measure and go no further: a Report has no field that could hold one. It
// opens no connection and writes no file; engines implement Feed.
package discover

import (
	"context"

	"github.com/postern-sec/postern/internal/classify"
)

// Feed is what an engine gives to discover. Its methods may be called from several goroutines at once.
type Feed interface {
	// Catalog reads what relations and columns exist and what the login may read. It reads no table.
	Catalog(ctx context.Context) (*Catalog, error)
	// Stats hands over the planner statistics of some tables, one column at a time. It reads no table.
	Stats(ctx context.Context, tables []*Table, each func(t *Table, column int, v classify.Values)) error
	// Sample reads a bounded sample of some columns of one table. The error is a *NotExamined when the server refused.
	Sample(ctx context.Context, ask Ask) ([]classify.Values, error)
	// Readers lists the login roles that can read each of the columns.
	Readers(ctx context.Context, columns []Place) (map[Place][]string, error)
}

// Place is a column by the numbers of the server.
type Place struct {
	OID uint32
	Num int
}

// Catalog is what a database contains, in the order of schema and name.
type Catalog struct {
	Database string
	User     string
	Tables   []Table
}

// Table is one relation.
type Table struct {
	OID          uint32
	Schema, Name string
	Comment      string
	Kind         byte    // pg_class.relkind: r p v m f
	Rows         float64 // the planner's estimate; negative: never analysed
	Pages        int64
	Usage        bool // USAGE on the schema
	RowSecurity  bool // row security applies to the login
	Stale        bool // statistics older than thirty days, or of another content than the table's
	Parent       classify.Target
	Columns      []Column
	ViewColumns  []classify.Target // what a view reads
	Origins      map[int]Place     // of a view, what each column shows unchanged, by number
	Mixed        bool              // foreign tables are among its partitions or children
	Local        []classify.Target // of a mixed table, the tables of this server
	Away         bool              // a view that leads to a foreign table, through other views too
}

// Column is one column with the facts that classify weighs.
type Column struct {
	classify.Column
	Num       int
	CanSelect bool
}

// Ask bounds one sample.
type Ask struct {
	Table   *Table
	Columns []int // indexes into Table.Columns
	Rows    int   // wanted rows
	Bytes   int   // of one value
	Total   int   // of all values together
	Seed    int64
	Local   bool // of a mixed table only what is on this server
	Sparse  bool // only rows where the one column has a value
}

// Why says why something was not examined.
type Why string

// The reasons.
const (
	WhyPrivilege   Why = "no privilege"
	WhyRowSecurity Why = "row security"
	WhyTimeout     Why = "timeout"
	WhyLocked      Why = "locked"
	WhyForeign     Why = "foreign table"
	WhyView        Why = "view"
	WhyNoStats     Why = "never analysed"
	WhyStale       Why = "stale statistics"
	WhyUnseen      Why = "statistics without values"
	WhyPartial     Why = "read in part"
	WhyError       Why = "server error"
	WhyInterrupted Why = "interrupted"
)

// NotExamined is a refusal of the server. It carries the SQLSTATE only: messages can quote data.
type NotExamined struct {
	Why  Why
	Code string // SQLSTATE
}

func (e *NotExamined) Error() string {
	if e.Code == "" {
		return string(e.Why)
	}
	return string(e.Why) + " (SQLSTATE " + e.Code + ")"
}
