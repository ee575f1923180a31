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

// PatchChosen returns the policy file with what a person decided about some of one report's columns; see Reports.PatchChosen.
func (r *Report) PatchChosen(existing []byte, known *policy.Policy, choices []Choice, by string, at time.Time) ([]byte, error) {
	return Reports{r}.PatchChosen(existing, known, map[string][]Choice{r.Store: choices}, by, at)
}

// PatchChosen returns the policy file with what a person decided about some of the reports' columns, by store: a verdict for each, and for
// what is sensitive a label, with the masks and the dataset that Patch adds for all the stores together. Whatever the file says already
// stays.
func (rs Reports) PatchChosen(existing []byte, known *policy.Policy, choices map[string][]Choice, by string, at time.Time) ([]byte, error) {
	var chosen Reports
	var verdicts []entry
	for _, r := range rs {
		of := *r
		of.Columns = nil
		for _, c := range choices[r.Store] {
			rec, err := r.chosen(c)
			if err != nil {
				return nil, err
			}
			verdicts = append(verdicts, entry{key: r.Store + "." + rec.Place(), below: []entry{
				{key: "class", value: yamlText(c.Class)},
				{key: "by", value: yamlText(by)},
				{key: "at", value: at.UTC().Format(time.DateOnly)},
				{key: "type", value: yamlText(rec.Type)},
			}})
			if c.Class != NotSensitive {
				of.Columns = append(of.Columns, *rec)
			}
		}
		chosen = append(chosen, &of)
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

// Standing says where the file has another word about a column than a person has now. It is left to them: nothing that stands is changed.
func (rs Reports) Standing(existing []byte, known *policy.Policy, choices map[string][]Choice) []string {
	var out []string
	for _, r := range rs {
		for _, c := range choices[r.Store] {
			key := r.Store + "." + dotted(c.Schema, c.Table, c.Column)
			if v := valueAt(existing, "verdicts", key, "class"); v != nil && v.Value != c.Class {
				out = append(out, fmt.Sprintf("the file has the verdict %s on %s: write %s there", v.Value, key, c.Class))
			}
			if known == nil {
				continue
			}
			l := known.Labels[policy.Column{Table: policy.Table{Store: r.Store, Schema: c.Schema, Name: c.Table}, Column: c.Column}]
			switch {
			case l == nil || l.Class == c.Class:
			case c.Class == NotSensitive:
				out = append(out, fmt.Sprintf("the file has the label %s on %s: take it away there", l.Class, key))
			default:
				out = append(out, fmt.Sprintf("the file has the label %s on %s: write %s there", l.Class, key, c.Class))
			}
		}
	}
	return out
}

// chosen is a column's record as a person sees it.
func (r *Report) chosen(c Choice) (*Record, error) {
	i := slices.IndexFunc(r.Columns, func(rec Record) bool { return rec.Schema == c.Schema && rec.Table == c.Table && rec.Column == c.Column })
	if i < 0 {
		return nil, fmt.Errorf("the report has no column %s", dotted(c.Schema, c.Table, c.Column))
	}
	rec := r.Columns[i]
	if r.place(rec.Schema, rec.Table, rec.Column) == "" {
		return nil, fmt.Errorf("column %d of table %s has a name that the policy file cannot hold", rec.Num, printable(rec.Table))
	}
	if class := classify.Class(c.Class); rec.Class != class {
		rec.Class, rec.Mask = class, "hidden" // what fits another class than the one found is not known
	}
	rec.Label = c.Class
	if rec.State == classify.StateNotExamined {
		rec.State = classify.StatePlain // a person has looked
	}
	rec.Confidence = 1
	return &rec, nil
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
