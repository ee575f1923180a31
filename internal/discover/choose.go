package discover

import (
	"fmt"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/postern-sec/postern/internal/classify"
	"github.com/postern-sec/postern/internal/policy"
)

// NotSensitive is the class of a verdict that a column holds nothing sensitive.
const NotSensitive = "none"

// Choice is what a person makes of a column.
type Choice struct {
	Schema, Table, Column string
	Class                 string // or NotSensitive
}

// PatchChosen returns the policy file with what a person decided about some of the report's columns: a verdict for each, and for what is
// sensitive a label, with the masks and the dataset that Patch adds. Whatever the file says already stays.
func (r *Report) PatchChosen(existing []byte, known *policy.Policy, choices []Choice, by string, at time.Time) ([]byte, error) {
	chosen := *r
	chosen.Columns = nil
	var verdicts []entry
	for _, c := range choices {
		i := slices.IndexFunc(r.Columns, func(rec Record) bool { return rec.Schema == c.Schema && rec.Table == c.Table && rec.Column == c.Column })
		if i < 0 {
			return nil, fmt.Errorf("the report has no column %s.%s.%s", c.Schema, c.Table, c.Column)
		}
		rec := r.Columns[i]
		if r.place(rec.Schema, rec.Table, rec.Column) == "" {
			return nil, fmt.Errorf("column %d of table %s has a name that the policy file cannot hold", rec.Num, rec.Table)
		}
		verdicts = append(verdicts, entry{key: r.Store + "." + rec.Place(), below: []entry{
			{key: "class", value: yamlText(c.Class)},
			{key: "by", value: yamlText(by)},
			{key: "at", value: at.UTC().Format(time.DateOnly)},
			{key: "type", value: yamlText(rec.Type)},
		}})
		if c.Class == NotSensitive {
			continue
		}
		if class := classify.Class(c.Class); rec.Class != class {
			rec.Class, rec.Mask = class, "hidden" // what fits another class than the one found is not known
		}
		rec.Label = c.Class
		if rec.State == classify.StateNotExamined {
			rec.State = classify.StatePlain // a person has looked
		}
		rec.Confidence = 1
		chosen.Columns = append(chosen.Columns, rec)
	}
	text, err := chosen.Patch(existing, known)
	if err != nil {
		return nil, err
	}
	out, err := change(text, func(text string) (string, error) { return insert(text, []string{"verdicts"}, verdicts) })
	if err != nil {
		return nil, fmt.Errorf("patch verdicts: %w", err)
	}
	return out, extends(existing, out)
}

// KnownClass says whether a person may give a class to a column: one of the taxonomy, or NotSensitive.
func KnownClass(class string) bool {
	known := func(k classify.ClassInfo) bool { return string(k.Class) == class }
	return class == NotSensitive || slices.ContainsFunc(classify.Taxonomy(), known)
}

// HasKey says whether a policy file has a key at its top.
func HasKey(text []byte, key string) bool {
	var keys map[string]yaml.Node
	if yaml.Unmarshal(text, &keys) != nil {
		return false
	}
	_, ok := keys[key]
	return ok
}
