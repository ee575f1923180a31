package discover

import (
	"fmt"
	"slices"
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
	Rows        int      `json:"rows"`                   // wanted of a table
	Sampled     []string `json:"sampled_from,omitempty"` // stores that are standbys, and the store itself where one could not be read
	Columns     []Record `json:"columns"`
	NotExamined []Gap    `json:"not_examined"`
	Summary     Summary  `json:"summary"`
	New         []Change `json:"new,omitempty"`                // against the last report, when there was one
	Failed      *Failure `json:"failed,omitempty"`             // the store was not examined at all
	Unmatched   []string `json:"unmatched_patterns,omitempty"` // of include and exclude, that no column of the store matches

	readers bool // were asked for
}

// Failure says why a store was not examined, and what to do.
type Failure struct {
	Reason string `json:"reason"`
	Next   string `json:"next"`
}

// FailedReport stands for a store that could not be examined among others that were.
func FailedReport(store, database string, from From, f Failure) *Report {
	return &Report{Version: Version, Store: store, Database: database, From: from, Columns: []Record{}, NotExamined: []Gap{}, Failed: &f}
}

// SampledOn says where samples were read: names of standbys, and "" for the server itself, which alone is not worth a word.
func (r *Report) SampledOn(servers []string) {
	r.Sampled = nil
	if !slices.ContainsFunc(servers, func(s string) bool { return s != "" }) {
		return
	}
	for _, s := range servers {
		if s == "" {
			s = r.Store
		}
		r.Sampled = append(r.Sampled, s)
	}
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
	Means         *Means        `json:"means,omitempty"`         // of an earlier run, which this record is from

	readersKnown bool // Readers was asked for and answered
}

// Gap is something that was not examined, with what to run so that it can be.
type Gap struct {
	Schema  string   `json:"schema"`
	Table   string   `json:"table"`
	Columns []string `json:"columns,omitempty"` // empty: the whole table
	Why     Why      `json:"why"`
	Code    string   `json:"sqlstate,omitempty"`
	Grant   string   `json:"grant,omitempty"` // the statement to run
	Next    string   `json:"next,omitempty"`  // what to do where no statement helps
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
	Via      string         `json:"via,omitempty"`      // the column that it is about, which this one shows
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
	if r.Failed != nil {
		return true
	}
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

// objection is a verdict that a person should look at again.
type objection struct{ Place, What string }

// objections lists the verdicts that the evidence disputes and those whose column has another type now. A column that was declared
// harmless has no class, and would not be seen otherwise.
func (r *Report) objections() []objection {
	var out []objection
	add := func(place string, v *VerdictState) {
		said := string(v.Class)
		if said == "" {
			said = "not sensitive"
		}
		if v.By != "" {
			said += " by " + printable(v.By)
		}
		switch {
		case v.Disputed:
			out = append(out, objection{place, fmt.Sprintf("the evidence says %s, the verdict %s", v.Evidence, said)})
		case v.Review:
			out = append(out, objection{place, "the type changed since the verdict " + said})
		}
	}
	for i := range r.Columns {
		rec := &r.Columns[i]
		if rec.Verdict != nil {
			add(rec.Place(), rec.Verdict)
		}
		for k := range rec.PathVerdicts {
			add(rec.Place()+rec.PathVerdicts[k].Path, &rec.PathVerdicts[k].VerdictState)
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
