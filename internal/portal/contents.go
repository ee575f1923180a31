package portal

import (
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/postern-sec/postern/internal/policy"
)

// contents are the columns of a dataset, as the servers have them, and what the policy says they hold.
type contents struct {
	columns []Column
	labels  []string // sorted, each once
	tables  int
}

// layout says which columns each dataset has. Working it out compares every table with every dataset, so that it is done once for a policy
// file and what was seen of the servers, and not for each page. It is nobody's view: what of it somebody may know is decided by whoever
// asks, each time.
type layout struct {
	datasets map[string]*policy.Dataset // the policy's own: a policy with other grants or people shares them
	labels   map[policy.Column]*policy.Label
	columns  []Column
	of       map[string]*contents
}

// layouts keeps the last one.
type layouts struct{ last atomic.Pointer[layout] }

func (k *layouts) get(pol *policy.Policy, columns []Column) *layout {
	if l := k.last.Load(); l != nil && l.is(pol, columns) {
		return l
	}
	l := &layout{datasets: pol.Datasets, labels: pol.Labels, columns: columns, of: map[string]*contents{}}
	seen := map[policy.Table]*contents{}
	for _, c := range columns {
		in, known := seen[c.Table]
		if !known {
			if d := pol.DatasetOf(c.Table); d != nil {
				if l.of[d.Name] == nil {
					l.of[d.Name] = &contents{}
				}
				in = l.of[d.Name]
				in.tables++
			}
			seen[c.Table] = in
		}
		if in == nil {
			continue
		}
		in.columns = append(in.columns, c)
		if label := pol.LabelOf(c.Column); label != "" && !slices.Contains(in.labels, label) {
			in.labels = append(in.labels, label)
		}
	}
	for _, in := range l.of {
		slices.Sort(in.labels)
	}
	k.last.Store(l)
	return l
}

// is says whether a layout is that of a policy and a list of columns. Both are never changed, but made anew.
func (l *layout) is(pol *policy.Policy, columns []Column) bool {
	return len(l.columns) == len(columns) && (len(columns) == 0 || &l.columns[0] == &columns[0]) && sameMap(l.datasets, pol.Datasets) && sameMap(l.labels, pol.Labels)
}

// sameMap says whether two maps are one and the same in memory.
func sameMap[K comparable, V any](a, b map[K]V) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// in is what a dataset holds; an empty one holds nothing.
func (l *layout) in(d *policy.Dataset) *contents {
	if c := l.of[d.Name]; c != nil {
		return c
	}
	return &contents{}
}

// layout is that of a policy and what was seen of the servers last.
func (p *Portal) layout(pol *policy.Policy) *layout { return p.layouts.get(pol, p.c.Columns()) }
