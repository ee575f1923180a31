package discover

import (
	"context"
	"fmt"

	"github.com/postern-sec/postern/internal/classify"
)

// Trial says how a classifier of the site's own fared: on its examples when it was loaded, and on a column.
type Trial struct {
	Class    classify.Class `json:"class"`
	Match    int            `json:"examples_accepted"`
	Reject   int            `json:"examples_refused"`
	Column   string         `json:"column,omitempty"`
	Tested   int            `json:"values_tested,omitempty"`
	Accepted int            `json:"values_accepted,omitempty"`
}

// Try compiles the classifiers, which runs their examples, and runs the value rules of those of a class (empty: all) over a bounded
// sample of one column (empty: none). It counts, and keeps no value.
func Try(ctx context.Context, feed Feed, customs []classify.Custom, class, column string) ([]Trial, error) {
	c, err := classify.New(customs...)
	if err != nil {
		return nil, err
	}
	var texts []string
	if column != "" {
		if texts, err = sampleColumn(ctx, feed, column); err != nil {
			return nil, err
		}
	}
	var out []Trial
	for _, s := range customs {
		name := s.Class
		if s.Extend != "" {
			name = s.Extend
		}
		if s.Off || class != "" && string(name) != class {
			continue
		}
		t := Trial{Class: name, Match: len(s.Examples.Match), Reject: len(s.Examples.Reject), Column: column}
		t.Tested, t.Accepted = c.Try(name, texts)
		out = append(out, t)
	}
	if len(out) == 0 && class != "" {
		return nil, fmt.Errorf("classifiers has none for %q", class)
	}
	return out, nil
}

// sampleColumn samples one column, named schema.table.column.
func sampleColumn(ctx context.Context, feed Feed, column string) ([]string, error) {
	cat, err := feed.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	for i := range cat.Tables {
		t := &cat.Tables[i]
		for k := range t.Columns {
			if !isPlace(column, t.Schema, t.Name, t.Columns[k].Name) {
				continue
			}
			v, err := feed.Sample(ctx, Ask{Table: t, Columns: []int{k}, Rows: DefaultRows, Bytes: valueBytes, Total: totalBytes, Seed: 1})
			if err != nil {
				return nil, fmt.Errorf("sample %s: %w", column, err)
			}
			return v[0].Texts, nil
		}
	}
	return nil, fmt.Errorf("there is no column %q, or this login may not see it: write schema.table.column", column)
}
