package discover

import (
	"time"

	"github.com/postern-sec/postern/internal/classify"
)

// Version is the version of the report's JSON form.
const Version = 1

// Report is the answer of one run over one store. Columns stand in the order of schema, table and number. Apart from names of
// the catalog and of the policy it holds counts and closed words only.
type Report struct {
	Version     int      `json:"version"`
	Store       string   `json:"store,omitempty"`
	Database    string   `json:"database"`
	From        From     `json:"from"`
	Seed        int64    `json:"seed"`
	Columns     []Record `json:"columns"`
	NotExamined []Gap    `json:"not_examined"`
	Summary     Summary  `json:"summary"`
	New         []Change `json:"new,omitempty"` // against the last report, when there was one
}

// Record is what is known of one column (classification.md §10).
type Record struct {
	Schema string `json:"schema"`
	Table  string `json:"table"`
	Column string `json:"column"`
	Type   string `json:"type"`
	OID    uint32 `json:"oid"`
	Num    int    `json:"attnum"`
	Kind   string `json:"kind"`
	classify.Finding
	Reason        Why           `json:"reason,omitempty"` // of the state not_examined
	Likelihood    string        `json:"likelihood,omitempty"`
	RowsEstimated float64       `json:"rows_estimated"`
	Label         string        `json:"suggested_label,omitempty"`
	Verdict       *VerdictState `json:"verdict,omitempty"`
	PathVerdicts  []PathVerdict `json:"path_verdicts,omitempty"` // about paths inside the column
	Readers       []string      `json:"readers,omitempty"`       // login roles, superusers aside

	readersKnown bool // Readers was asked for and answered
}

// Place is schema.table.column.
func (r *Record) Place() string { return r.Schema + "." + r.Table + "." + r.Column }

// Gap is something that was not examined, with what to run so that it can be.
type Gap struct {
	Schema  string   `json:"schema"`
	Table   string   `json:"table"`
	Columns []string `json:"columns,omitempty"` // empty: the whole table
	Why     Why      `json:"why"`
	Code    string   `json:"sqlstate,omitempty"`
	Grant   string   `json:"grant,omitempty"`
	Minor   bool     `json:"minor,omitempty"` // by choice or only less certain: not a reason for exit code 3
}

// Summary counts.
type Summary struct {
	Tables      int `json:"tables"`
	Columns     int `json:"columns"`
	Classified  int `json:"classified"`
	Confident   int `json:"confident"`
	Findings    int `json:"findings"`
	Disputed    int `json:"disputed"`
	NotExamined int `json:"not_examined"`
	Rows        int `json:"rows_examined"`
}

// Change is a classified column that the last report did not have, or had as another class.
type Change struct {
	Place string `json:"column"`

	Schema string `json:"-"`
	Table  string `json:"-"`
	Column string `json:"-"`

	Was   classify.Class `json:"was,omitempty"`
	Class classify.Class `json:"class"`
}

// Verdict is what a person said of a column, or of a pattern of columns such as *.audit.*.
type Verdict struct {
	Column string         // schema.table.column, or a pattern with *
	Class  classify.Class // empty: not sensitive
	Type   string         // of the column when the verdict was given; empty: not remembered
	By     string
	At     time.Time
	Reason string
}

// VerdictState says what became of a verdict.
type VerdictState struct {
	Class    classify.Class `json:"class"` // empty: not sensitive
	By       string         `json:"by,omitempty"`
	At       string         `json:"at,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	Disputed bool           `json:"disputed,omitempty"` // the evidence now says something else
	Review   bool           `json:"review,omitempty"`   // the column's type changed since
	Evidence classify.Class `json:"evidence,omitempty"` // what the evidence says, when disputed
}

// ExitCode is what a command should end with: 3 when something was not examined, 1 with failOnNew and something new, else 0.
func (r *Report) ExitCode(failOnNew bool) int {
	switch {
	case failOnNew && len(r.New) > 0:
		return 1
	case r.incomplete():
		return 3
	}
	return 0
}

func (r *Report) incomplete() bool {
	for _, g := range r.NotExamined {
		if !g.Minor {
			return true
		}
	}
	return false
}

// Sensitive lists the records with a class.
func (r *Report) Sensitive() []*Record {
	var out []*Record
	for i := range r.Columns {
		if r.Columns[i].Class != "" {
			out = append(out, &r.Columns[i])
		}
	}
	return out
}

// Has says whether a pattern of --include admits any column of the report.
func (r *Report) Has(pattern string) bool {
	for i := range r.Columns {
		if c := &r.Columns[i]; Matches(pattern, c.Schema, c.Table, c.Column) {
			return true
		}
	}
	return false
}

// Compare fills New with what is classified now and was not, or was otherwise, in the last report.
func (r *Report) Compare(last *Report) {
	was := map[string]classify.Class{}
	for i := range last.Columns {
		was[last.Columns[i].Place()] = last.Columns[i].Class
	}
	r.New = nil
	for _, rec := range r.Sensitive() {
		if w := was[rec.Place()]; w != rec.Class {
			r.New = append(r.New, Change{Place: rec.Place(), Schema: rec.Schema, Table: rec.Table, Column: rec.Column, Was: w, Class: rec.Class})
		}
	}
}
