package discover

import "github.com/postern-sec/postern/internal/classify"

// Change is a classified column that the last report did not have, or had as another class.
type Change struct {
	Place string `json:"column"`

	Schema string `json:"-"`
	Table  string `json:"-"`
	Column string `json:"-"`

	Was    classify.Class `json:"was,omitempty"`
	Class  classify.Class `json:"class"`
	Before Before         `json:"before,omitempty"`
}

// Before says that a column may have held what it holds now before: nobody had looked, or not as well.
type Before string

// How a column had been looked at.
const (
	BeforeNot     Before = "not examined"
	BeforeStats   Before = "statistics only"
	BeforeSmaller Before = "a smaller sample"
)

// Means are how a run looked at what it examined.
type Means struct {
	From From `json:"from"`
	Rows int  `json:"rows"` // wanted of a table
}

// means are those of one record, which may be of an earlier run.
func (r *Report) means(rec *Record) Means {
	m := Means{r.From, r.Rows}
	if rec.Means != nil {
		m = *rec.Means
	}
	if m.Rows == 0 {
		m.Rows = DefaultRows // of a report that does not say
	}
	return m
}

// weaker says how much less the report knows of a column than the other one of the same column; empty: not less.
func (r *Report) weaker(rec *Record, other *Report, same *Record) Before {
	a, b := r.means(rec), other.means(same)
	unseen := func(rec *Record) bool { return rec.State == classify.StateNotExamined }
	switch {
	case unseen(same):
		return ""
	case unseen(rec):
		return BeforeNot
	case b.From == FromStats:
		return ""
	case a.From == FromStats:
		return BeforeStats
	case a.Rows < b.Rows:
		return BeforeSmaller
	}
	return ""
}

// byPlace are the report's records by their names.
func (r *Report) byPlace() map[string]*Record {
	out := map[string]*Record{}
	for i := range r.Columns {
		out[r.Columns[i].Place()] = &r.Columns[i]
	}
	return out
}

// Compare fills New with what is classified now and was not, or was otherwise, in the last report. What the last one knew better stands:
// less evidence for another class is no change.
func (r *Report) Compare(last *Report) {
	was := last.byPlace()
	r.New = nil
	for _, rec := range r.Sensitive() {
		change := Change{Place: rec.Place(), Schema: rec.Schema, Table: rec.Table, Column: rec.Column, Class: rec.Class}
		if old := was[change.Place]; old != nil {
			less := r.weaker(rec, last, old)
			if old.Class == rec.Class || less == BeforeNot || less != "" && old.Class != "" {
				continue
			}
			change.Was, change.Before = old.Class, last.weaker(old, r, rec)
		}
		r.New = append(r.New, change)
	}
}

// Measure is what the next run is compared with: this report, and where the last one had looked better at a column, its record. So a run
// by weaker means, or one that was refused a table, does not make the next one find everything anew.
func (r *Report) Measure(last *Report) *Report {
	was := last.byPlace()
	out := *r
	out.Columns = append([]Record{}, r.Columns...)
	for i := range out.Columns {
		rec := &out.Columns[i]
		old := was[rec.Place()]
		if old == nil || old.OID != rec.OID || old.Type != rec.Type || rec.Verdict != nil || r.weaker(rec, last, old) == "" {
			continue
		}
		m := last.means(old)
		*rec = *old
		rec.Means = &m
	}
	out.count()
	return &out
}
