package policy

import (
	"fmt"
	"strconv"
	"strings"
)

// LimitsEntry is the limits of a rule or a store as written.
type LimitsEntry struct {
	RowsPerQuery     Text `key:"rows_per_query" scalar:"any" default:"no limit" doc:"rows that one query may return. The query that would return more ends with an error."`
	RowsPerHour      Text `key:"rows_per_hour" scalar:"any" default:"no limit" doc:"rows that one person may read in an hour, over all of their sessions."`
	QueriesPerMinute Text `key:"queries_per_minute" scalar:"any" default:"no limit" doc:"statements that one person may run in a minute, over all of their sessions. Only those that touch tables count."`
	MinGroup         Text `key:"min_group" scalar:"any" default:"no limit" doc:"the tables answer aggregates over at least so many rows, and nothing else: smaller groups are left out, and what shows single rows is refused. Only with level read."`
	Pos              Pos
}

// Limits bound how much somebody may read. Zero means no limit. They restrict: where several apply, each of them holds.
type Limits struct {
	RowsPerQuery     int64
	RowsPerHour      int64
	QueriesPerMinute int64
	MinGroup         int64
}

// IsZero says whether nothing is limited.
func (l Limits) IsZero() bool { return l == Limits{} }

// Metered says whether rows or statements have to be counted.
func (l Limits) Metered() bool {
	return l.RowsPerQuery > 0 || l.RowsPerHour > 0 || l.QueriesPerMinute > 0
}

// String lists the limits for people, in the order of the reference.
func (l Limits) String() string {
	var out []string
	for _, p := range l.numbers() {
		if p.value > 0 {
			out = append(out, fmt.Sprintf("%s: %d", p.name, p.value))
		}
	}
	return strings.Join(out, ", ")
}

// number is one of the limits.
type number struct {
	name  string
	value int64
}

func (l Limits) numbers() [4]number {
	return [4]number{
		{"rows_per_query", l.RowsPerQuery},
		{"rows_per_hour", l.RowsPerHour},
		{"queries_per_minute", l.QueriesPerMinute},
		{"min_group", l.MinGroup},
	}
}

// Loosened says what these limits let through that the ones before did not, in the order of the reference.
func (l Limits) Loosened(before Limits) []string {
	var out []string
	is := l.numbers()
	for i, was := range before.numbers() {
		now := is[i]
		switch {
		case was.value == 0 || now.value == was.value:
		case now.value == 0:
			out = append(out, fmt.Sprintf("%s is no longer limited, was %d", was.name, was.value))
		case (now.value < was.value) == (now.name == "min_group"): // of min_group the smaller number is the looser
			out = append(out, fmt.Sprintf("%s is %d, was %d", now.name, now.value, was.value))
		}
	}
	return out
}

// Stricter takes of each limit the one that lets less through.
func (l Limits) Stricter(o Limits) Limits {
	least := func(a, b int64) int64 {
		if a == 0 || b > 0 && b < a {
			return b
		}
		return a
	}
	return Limits{
		RowsPerQuery: least(l.RowsPerQuery, o.RowsPerQuery), RowsPerHour: least(l.RowsPerHour, o.RowsPerHour),
		QueriesPerMinute: least(l.QueriesPerMinute, o.QueriesPerMinute), MinGroup: max(l.MinGroup, o.MinGroup),
	}
}

// maxLimit is the highest number that a limit may be: anything above is a mistake, not a limit.
const (
	maxLimit = 1_000_000_000_000
	maxGroup = 1_000_000
)

// ReadLimits checks limits as written; report takes every mistake.
func ReadLimits(e LimitsEntry, report func(kind Kind, pos Pos, hint, message string)) Limits {
	var out Limits
	for _, p := range []struct {
		name  string
		text  Text
		least int64
		most  int64
		to    *int64
	}{
		{"rows_per_query", e.RowsPerQuery, 1, maxLimit, &out.RowsPerQuery},
		{"rows_per_hour", e.RowsPerHour, 1, maxLimit, &out.RowsPerHour},
		{"queries_per_minute", e.QueriesPerMinute, 1, maxLimit, &out.QueriesPerMinute},
		{"min_group", e.MinGroup, 2, maxGroup, &out.MinGroup},
	} {
		if p.text.Value == "" {
			continue
		}
		n, err := strconv.ParseInt(p.text.Value, 10, 64)
		if err != nil || n < p.least || n > p.most || strconv.FormatInt(n, 10) != p.text.Value {
			report(KindValue, p.text.Pos, "leave the key out for no limit",
				fmt.Sprintf("limits: %s is a whole number from %d to %d, not %q", p.name, p.least, p.most, clip(p.text.Value)))
			continue
		}
		*p.to = n
	}
	if out.IsZero() && !e.Pos.IsZero() && e.RowsPerQuery.Value+e.RowsPerHour.Value+e.QueriesPerMinute.Value+e.MinGroup.Value == "" {
		report(KindValue, e.Pos, "leave the key out", "limits: nothing is limited")
	}
	return out
}

// limits reads a rule's limits.
func (b *builder) limits(r *Rule, e LimitsEntry) Limits {
	out := ReadLimits(e, func(kind Kind, pos Pos, hint, message string) {
		b.report(kind, pos, hint, "rule %s: %s", r.Name, message)
	})
	if out.MinGroup > 0 && r.Level != Read {
		b.report(KindConflict, e.MinGroup.Pos, "give a second rule with level read", "rule %s: min_group needs level read: who writes rows sees which ones", r.Name)
	}
	return out
}
