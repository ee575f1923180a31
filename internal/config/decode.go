package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/policy"
)

// field is what the tags of a document's field say.
type field struct {
	key, doc, def, name, inner string
	enum                       []string
	required, any, empty       bool
	index                      int
	typ                        reflect.Type
}

// fieldsOf reads the tags of a document type, in the order of the type.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, ok := f.Tag.Lookup("key")
		if !ok {
			continue
		}
		d := field{
			key: key, doc: f.Tag.Get("doc"), def: f.Tag.Get("default"), name: f.Tag.Get("name"), inner: f.Tag.Get("inner"),
			required: f.Tag.Get("required") != "", any: f.Tag.Get("scalar") != "", empty: f.Tag.Get("empty") != "",
			index: i, typ: f.Type,
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			d.enum = strings.Split(enum, "|")
		}
		out = append(out, d)
	}
	return out
}

// mapping is a policy.Map of any type.
type mapping interface {
	Append(key policy.Text) any
	Place(pos policy.Pos)
}

// decoder fills documents from nodes, strictly. What it refuses it reports and leaves empty, with the place set, so that
// the checks that follow do not report it again.
type decoder struct {
	problems *Problems
	known    map[reflect.Type][]field // what fieldsOf has found, to find it once
}

func (d decoder) fields(t reflect.Type) []field {
	fields, ok := d.known[t]
	if !ok {
		fields = fieldsOf(t)
		d.known[t] = fields
	}
	return fields
}

func (d decoder) report(kind policy.Kind, pos policy.Pos, hint, format string, args ...any) {
	*d.problems = append(*d.problems, Problem{Pos: pos, Kind: kind, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// value decodes a node into what target points to. owner is the place of the key that the value stands under.
func (d decoder) value(n *node, target any, f field, owner policy.Pos) {
	switch t := target.(type) {
	case *policy.Text:
		*t = d.text(n, f)
	case *policy.Flag:
		*t = d.flag(n, f)
	case *policy.FlagOrList:
		if n.kind == listNode {
			d.list(n, reflect.ValueOf(&t.List).Elem(), f)
		} else {
			t.Flag = d.flag(n, f)
		}
	case *policy.Later:
		t.Pos = owner
		d.report(policy.KindLater, owner, "", "key %q is not in this version of postern", f.key)
	case *laterList:
		t.Pos = owner
		if n.kind != listNode {
			d.wrongType(n, f, "a list")
		} else if len(n.list) > 0 {
			d.report(policy.KindLater, owner, "", "key %q is not in this version of postern", f.key)
		}
	case *sourceDoc:
		d.source(n, t, f, owner)
	case mapping:
		d.mapping(n, t, f)
	default:
		if v := reflect.ValueOf(target).Elem(); v.Kind() == reflect.Slice {
			d.list(n, v, f)
		} else {
			d.structure(n, v, f, owner)
		}
	}
}

func (d decoder) wrongType(n *node, f field, want string) {
	found, hint := n.kind.String(), ""
	if n.kind == scalarNode {
		found = tagName(n.tag)
		if n.tag == "!!null" {
			hint = "leave the key out"
		} else if want == "text" {
			hint = fmt.Sprintf("quote it: %q", n.text.Value)
		} else if want == "a list" && n.tag == "!!str" {
			hint = fmt.Sprintf("write [%s]", n.text.Value)
		}
	}
	d.report(policy.KindType, n.pos, hint, "%s: expected %s, found %s", f.key, want, found)
}

func (d decoder) text(n *node, f field) policy.Text {
	refused := policy.Text{Pos: n.pos}
	if n.kind != scalarNode || n.tag == "!!null" || n.tag == "!!binary" || n.tag != "!!str" && !f.any {
		d.wrongType(n, f, "text")
		return refused
	}
	if n.text.Value == "" && !f.empty {
		d.report(policy.KindValue, n.pos, "", "%s: the text is empty", f.key)
		return refused
	}
	if f.enum != nil && !slices.Contains(f.enum, n.text.Value) {
		hint := ""
		if near := policy.Nearest(n.text.Value, f.enum); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		d.report(policy.KindValue, n.pos, hint, "%s is %s, not %q", f.key, orList(f.enum), n.text.Value)
		return refused
	}
	return n.text
}

func orList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

func (d decoder) flag(n *node, f field) policy.Flag {
	out := policy.Flag{Set: true, Pos: n.pos}
	if n.kind != scalarNode || n.tag != "!!bool" {
		want := "true or false"
		if f.typ == reflect.TypeFor[policy.FlagOrList]() {
			want = "true, false or a list"
		}
		d.wrongType(n, f, want)
		return out
	}
	out.Value = strings.EqualFold(n.text.Value, "true")
	return out
}

func (d decoder) list(n *node, v reflect.Value, f field) {
	v.Set(reflect.MakeSlice(v.Type(), 0, len(n.list)))
	if n.kind != listNode {
		d.wrongType(n, f, "a list")
		// Not empty, so that the checks do not also call it so.
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		placeFirst(v, n.pos)
		return
	}
	for _, item := range n.list {
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
		d.value(item, v.Index(v.Len()-1).Addr().Interface(), f, item.pos)
	}
}

// placeFirst gives the one empty element of a refused list its place.
func placeFirst(v reflect.Value, pos policy.Pos) {
	if t, ok := v.Index(0).Addr().Interface().(*policy.Text); ok {
		t.Pos = pos
		return
	}
	v.SetZero()
}

func (d decoder) mapping(n *node, m mapping, f field) {
	m.Place(n.pos)
	if n.kind != mapNode {
		d.wrongType(n, f, "a mapping of "+f.name+" to values")
		return
	}
	for _, p := range n.pairs {
		if p.key.Value == "" {
			d.report(policy.KindValue, p.key.Pos, "", "%s: a name cannot be empty", f.key)
			continue
		}
		inner := field{key: p.key.Value, name: f.inner, any: f.any, empty: f.empty}
		d.value(p.value, m.Append(p.key), inner, p.key.Pos)
	}
}

func (d decoder) structure(n *node, v reflect.Value, f field, owner policy.Pos) {
	if pos := v.FieldByName("Pos"); pos.IsValid() {
		pos.Set(reflect.ValueOf(owner))
	}
	if n.kind != mapNode {
		d.wrongType(n, f, "a mapping")
		d.blank(n, v)
		return
	}
	fields := d.fields(v.Type())
	seen := map[string]bool{}
	for _, p := range n.pairs {
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == p.key.Value })
		if i < 0 {
			d.unknown(p.key, fields)
			continue
		}
		seen[p.key.Value] = true
		d.value(p.value, v.Field(fields[i].index).Addr().Interface(), fields[i], p.key.Pos)
	}
	for _, f := range fields {
		if f.required && !seen[f.key] {
			d.report(policy.KindMissing, owner, "", "missing key %q", f.key)
		}
	}
}

// blank gives the texts of a refused structure a place, so that they count as given.
func (d decoder) blank(n *node, v reflect.Value) {
	for _, f := range d.fields(v.Type()) {
		if !f.required {
			continue
		}
		switch t := v.Field(f.index).Addr().Interface().(type) {
		case *policy.Text:
			t.Pos = n.pos
		case *[]policy.Text:
			*t = []policy.Text{{Pos: n.pos}}
		}
	}
}

func (d decoder) unknown(key policy.Text, fields []field) {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	hint := "keys here are " + strings.Join(keys, ", ")
	if near := policy.Nearest(key.Value, keys); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	d.report(policy.KindUnknownKey, key.Pos, hint, "unknown key %q", key.Value)
}

const secretForms = "write {env: NAME}, {file: path} or {command: [program, argument]}"

// source decodes where a secret is. A secret itself is refused and not repeated.
func (d decoder) source(n *node, s *sourceDoc, f field, owner policy.Pos) {
	s.Pos = n.pos
	if n.kind != mapNode {
		d.report(policy.KindType, n.pos, secretForms, "%s: a secret does not belong into this file", f.key)
		return
	}
	d.structure(n, reflect.ValueOf(s).Elem(), f, owner)
	given := 0
	for _, p := range n.pairs {
		if p.key.Value == "env" || p.key.Value == "file" || p.key.Value == "command" {
			given++
		}
	}
	switch {
	case given != 1:
		d.report(policy.KindValue, n.pos, secretForms, "%s: a secret has exactly one place", f.key)
	case s.Command != nil && len(s.Command) == 0:
		d.report(policy.KindValue, n.pos, secretForms, "%s: command: the list is empty", f.key)
	}
}
