package discover

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/postern-sec/postern/internal/classify"
	"github.com/postern-sec/postern/internal/policy"
)

// valueAt is what stands at a path of mappings in a file, or nil.
func valueAt(text []byte, path ...string) *yaml.Node {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return nil
	}
	return valueIn(doc.Content[0], path...)
}

func valueIn(node *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		if node.Kind != yaml.MappingNode {
			return nil
		}
		if _, node = lookup(node, key); node == nil {
			return nil
		}
	}
	return node
}

// standing is the mask profile as the policy and the file have it: by pattern, the mask.
func standing(existing []byte, known *policy.Policy) map[string]string {
	out := map[string]string{}
	if n := valueAt(existing, "masks", patchProfile); n != nil && n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = n.Content[i+1].Value
		}
	}
	if known != nil && known.Masks[patchProfile] != nil {
		for _, e := range known.Masks[patchProfile].Entries {
			pattern := e.Pattern
			if c := e.Column; c != nil { // however the file writes the name
				pattern = (&Report{Store: c.Table.Store}).place(c.Table.Schema, c.Table.Name, c.Column)
			}
			out[pattern] = e.Mask.String()
		}
	}
	return out
}

// standingMask is the mask that a profile has for a class: its own, or that of the longest prefix. "*" is for what nobody thought of.
func standingMask(profile map[string]string, class classify.Class) string {
	if m, ok := profile[string(class)]; ok {
		return m
	}
	best := ""
	for pattern := range profile {
		if prefix, ok := strings.CutSuffix(pattern, ".*"); ok && strings.HasPrefix(string(class), prefix+".") && len(pattern) > len(best) {
			best = pattern
		}
	}
	return profile[best]
}

// fitted is the mask of a profile where a column's type takes it, else hidden. A person's own expression is theirs to fit.
func fitted(mask string, c *Record) string {
	m, err := policy.ParseMask(mask)
	if err != nil || usable(c.Mask) == mask {
		return mask
	}
	switch m.Name {
	case policy.Expression, policy.NullIf, policy.Noise, policy.Month:
		return mask
	}
	if classify.SuggestMask(classify.Mask(mask), c.Type, "") == classify.Mask(mask) {
		return mask
	}
	return "hidden"
}

// newTables lists the tables that no dataset names yet, as the file writes them.
func (rs Reports) newTables(existing []byte, known *policy.Policy) []string {
	var out, listed []string
	if seq := valueAt(existing, "datasets", patchDataset, "include"); seq != nil {
		for _, n := range seq.Content {
			listed = append(listed, n.Value)
		}
	}
	for _, r := range rs {
		for _, c := range r.served(known) {
			place := r.place(c.Schema, c.Table)
			if place == "" || (c.Kind != "r" && c.Kind != "p" && c.Kind != "m") || inDataset(known, r.Store, c.Schema, c.Table) || slices.Contains(listed, place) {
				continue
			}
			listed = append(listed, place)
			out = append(out, place)
		}
	}
	return out
}

// dataset says where new tables go: into the list that the file has, into a dataset that is made, or nowhere.
func dataset(existing []byte, known *policy.Policy) (list *yaml.Node, fresh bool) {
	if valueAt(existing, "datasets", patchDataset) == nil {
		return nil, known == nil || known.Datasets[patchDataset] == nil // else it stands in another file
	}
	list = valueAt(existing, "datasets", patchDataset, "include")
	if list == nil || list.Kind != yaml.SequenceNode || list.Anchor != "" {
		return nil, false
	}
	return list, false
}

// addTables puts tables that no dataset names into the dataset of discover, made where there is none.
func (rs Reports) addTables(text string, known *policy.Policy) (string, error) {
	tables := rs.newTables([]byte(text), known)
	list, fresh := dataset([]byte(text), known)
	for i := range tables {
		tables[i] = yamlText(tables[i])
	}
	switch {
	case len(tables) == 0:
		return text, nil
	case fresh:
		include := entry{key: "include", value: "[" + strings.Join(tables, ", ") + "]"}
		return insert(text, []string{"datasets"}, []entry{{key: patchDataset, note: "owners are missing", below: []entry{include}}})
	case list == nil:
		return text, nil // Notes tells
	case list.Style&yaml.FlowStyle != 0:
		return intoBrackets(text, list, strings.Join(tables, ", "))
	}
	pad := strings.Repeat(" ", list.Column-1) + "- "
	for i := range tables {
		tables[i] = pad + tables[i]
	}
	return splice(strings.Split(text, "\n"), lastLine(list), tables), nil
}

// Notes says what a patch cannot put right, for a person to do: tables that join no dataset, and a profile that shows what nobody examined.
func (rs Reports) Notes(existing []byte, known *policy.Policy) []string {
	var out []string
	if list, fresh := dataset(existing, known); list == nil && !fresh {
		for _, t := range rs.newTables(existing, known) {
			out = append(out, fmt.Sprintf("table %s joins no dataset: dataset %s is not in this file with a plain list include; add it there", t, patchDataset))
		}
	}
	if standing(existing, known)[policy.PatternUnlabelled] == policy.Keep && slices.ContainsFunc(rs, (*Report).incomplete) {
		out = append(out, fmt.Sprintf("something was not examined, and mask profile %s shows columns without a label: write unlabelled: hidden there until it is", patchProfile))
	}
	return out
}

var errNoBracket = errors.New("cannot find where the list ends")

func intoBrackets(text string, seq *yaml.Node, more string) (string, error) {
	start := offset(text, seq.Line, seq.Column)
	if start >= len(text) || text[start] != '[' {
		return "", errNoBracket
	}
	end := closing(text, start)
	if end < 0 {
		return "", errNoBracket
	}
	if len(seq.Content) == 0 {
		return text[:end] + more + text[end:], nil
	}
	last := seq.Content[len(seq.Content)-1]
	lines := strings.Split(text[offset(text, last.Line, last.Column):end], "\n")
	for i := range lines { // what stands behind the last name, without comments
		lines[i], _, _ = strings.Cut(lines[i], " #")
	}
	sep := ", "
	if strings.HasSuffix(strings.TrimSpace(strings.Join(lines, "\n")), ",") {
		sep = ""
	}
	return text[:end] + sep + more + text[end:], nil
}

// extending gives the classes that the profile lacks a mask each, the one that most of their columns want; see maskEntries.
func (rs Reports) extending(have map[string]string, known *policy.Policy) (out []entry, masks map[classify.Class]string) {
	byClass := map[classify.Class]map[string]int{}
	for _, r := range rs {
		for _, c := range r.served(known) {
			if byClass[c.Class] == nil {
				byClass[c.Class] = map[string]int{}
			}
			byClass[c.Class][usable(c.Mask)]++
		}
	}
	masks = map[classify.Class]string{}
	for _, c := range slices.Sorted(maps.Keys(byClass)) {
		if standingMask(have, c) != "" {
			continue
		}
		masks[c] = commonestMask(byClass[c])
		out = append(out, entry{key: string(c), value: scalar(masks[c])})
	}
	return out, masks
}
