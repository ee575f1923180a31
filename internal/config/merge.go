package config

import "github.com/postern-sec/postern/internal/policy"

// merge joins the top mappings of several files by key: what stands under one top key in several files is joined by the
// keys below it. Anything else that is set twice is an error with both places, version aside, which every file may carry.
func merge(tops []*node, problems *Problems) *node {
	d := decoder{problems: problems}
	out := &node{kind: mapNode, pos: tops[0].pos}
	index := map[string]int{}
	for _, top := range tops {
		for _, p := range top.pairs {
			i, twice := index[p.key.Value]
			if !twice {
				index[p.key.Value] = len(out.pairs)
				out.pairs = append(out.pairs, p)
				continue
			}
			have := &out.pairs[i]
			switch {
			case have.value.kind == mapNode && p.value.kind == mapNode:
				have.value = d.join(have.value, p.value)
			case p.key.Value == "version" && have.value.text.Value == p.value.text.Value:
			default:
				d.twice(p.key, have.key)
			}
		}
	}
	return out
}

// join returns a mapping with the entries of both, without touching either: an alias may have made them shared.
func (d decoder) join(a, b *node) *node {
	out := &node{kind: mapNode, pos: a.pos, pairs: append([]pair(nil), a.pairs...)}
	first := make(map[string]policy.Text, len(a.pairs))
	for _, p := range a.pairs {
		first[p.key.Value] = p.key
	}
	for _, p := range b.pairs {
		if key, twice := first[p.key.Value]; twice {
			d.twice(p.key, key)
			continue
		}
		out.pairs = append(out.pairs, p)
	}
	return out
}

func (d decoder) twice(key, first policy.Text) {
	d.report(policy.KindDuplicate, key.Pos, "", "key %q is set twice: also at %s", key.Value, first.Pos)
}
