package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/postern-sec/postern/internal/policy"
)

// schemaID names the published schema; it is an identifier, nothing fetches it.
const schemaID = "https://github.com/postern-sec/postern/blob/main/docs/reference/postern.schema.json"

// Schema is the JSON Schema of the policy file, generated from the types that decode it. Keys of later versions are in it,
// described as such: an editor should know them, and Load says that this version does not.
func Schema() ([]byte, error) {
	s := object(reflect.TypeFor[document]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = schemaID
	s["title"] = "postern.yaml"
	s["$defs"] = map[string]any{"secret": secretSchema()}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the schema: %w", err)
	}
	return append(text, '\n'), nil
}

func object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range fieldsOf(t) {
		s := f.schema(f.typ)
		s["description"] = f.describe()
		if f.def != "" {
			s["description"] = f.describe() + " Default: " + f.def + "."
		}
		properties[f.key] = s
		if f.required {
			required = append(required, f.key)
		}
	}
	out := map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func secretSchema() map[string]any {
	s := object(reflect.TypeFor[sourceDoc]())
	s["minProperties"], s["maxProperties"] = 1, 1
	return s
}

// isLater says whether a type is that of keys which this version cannot act on.
func isLater(t reflect.Type) bool {
	return t == reflect.TypeFor[policy.Later]() || t == reflect.TypeFor[laterList]()
}

func (f field) describe() string {
	doc := strings.ToUpper(f.doc[:1]) + f.doc[1:]
	if isLater(f.typ) {
		doc = "Not in this version of postern: " + f.doc
	}
	return doc
}

// elem is the type of the values of a mapping or list.
func elem(t reflect.Type) (reflect.Type, bool) {
	if t.Kind() == reflect.Slice {
		return t.Elem(), false
	}
	if entries, ok := t.FieldByName("Entries"); ok {
		value, _ := entries.Type.Elem().FieldByName("Value")
		return value.Type, true
	}
	return nil, false
}

func (f field) schema(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[policy.Text]():
		return f.scalar()
	case reflect.TypeFor[policy.Flag]():
		return map[string]any{"type": "boolean"}
	case reflect.TypeFor[policy.FlagOrList]():
		list := map[string]any{"type": "array", "items": map[string]any{"type": "string"}, "uniqueItems": true}
		return map[string]any{"oneOf": []any{map[string]any{"type": "boolean"}, list}}
	case reflect.TypeFor[policy.Later](), reflect.TypeFor[laterList]():
		return map[string]any{}
	case reflect.TypeFor[sourceDoc]():
		return map[string]any{"$ref": "#/$defs/secret"}
	}
	switch inner, named := elem(t); {
	case inner == nil:
		return object(t)
	case named:
		return map[string]any{"type": "object", "additionalProperties": f.schema(inner), "propertyNames": map[string]any{"minLength": 1}}
	default:
		return map[string]any{"type": "array", "items": f.schema(inner)}
	}
}

func (f field) scalar() map[string]any {
	s := map[string]any{"type": "string"}
	if f.any {
		s["type"] = []string{"string", "number", "boolean"}
	}
	if !f.empty && f.enum == nil {
		s["minLength"] = 1
	}
	if f.enum != nil {
		var values []any
		for _, e := range f.enum {
			values = append(values, e)
			if f.any {
				values = append(values, json.Number(e))
			}
		}
		s["enum"] = values
		delete(s, "type")
	}
	return s
}

// Reference is the chapter about the policy file, in Markdown, generated from the types that decode it.
func Reference() []byte {
	var b strings.Builder
	b.WriteString("# The policy file\n\n" +
		"<!-- generated from the types that decode the file; run: go test ./internal/config -run Generated -update -->\n\n" +
		"`postern.yaml`, or a folder of `.yaml` files merged by key. Paths are relative to its folder. A key that is not\n" +
		"listed here is an error, and so is a name that nothing defines. The same types make the\n" +
		"[JSON Schema](postern.schema.json) for editors.\n\n" +
		"A secret is never in the file. Where the type says *secret*, write one of `{env: NAME}`, `{file: path}` and\n" +
		"`{command: [program, argument]}`.\n\n")
	r := reference{out: &b}
	r.table("", reflect.TypeFor[document]())
	for len(r.queue) > 0 {
		next := r.queue[0]
		r.queue = r.queue[1:]
		fmt.Fprintf(&b, "\n## `%s`\n\n%s\n\n", next.path, next.doc)
		r.table(next.path, next.typ)
	}
	r.masks()
	return []byte(b.String())
}

type section struct {
	path, doc string
	typ       reflect.Type
}

// reference writes a table per structure, outer ones first.
type reference struct {
	out   *strings.Builder
	queue []section
}

func (r *reference) table(path string, t reflect.Type) {
	r.out.WriteString("| key | type | default | meaning |\n|---|---|---|---|\n")
	for _, f := range fieldsOf(t) {
		inner := f.key
		if path != "" {
			inner = path + "." + f.key
		}
		typ, def := r.typeName(f, f.typ, inner), f.def
		switch {
		case f.required:
			def = "required"
		case def != "":
			def = "`" + def + "`"
			if strings.Contains(f.def, " ") && !strings.HasPrefix(f.def, "{") {
				def = f.def
			}
		}
		fmt.Fprintf(r.out, "| `%s` | %s | %s | %s |\n", f.key, cell(typ), cell(def), cell(f.describe()))
	}
}

func cell(s string) string { return strings.NewReplacer("|", `\|`, "*", `\*`).Replace(s) }

func (r *reference) typeName(f field, t reflect.Type, path string) string {
	switch t {
	case reflect.TypeFor[policy.Text]():
		switch {
		case f.enum != nil:
			return "`" + strings.Join(f.enum, "`, `") + "`"
		case f.key == "masks" && f.name == "":
			return "name"
		}
		return "text"
	case reflect.TypeFor[policy.Flag]():
		return "true or false"
	case reflect.TypeFor[policy.FlagOrList]():
		return "true, false or list of text"
	case reflect.TypeFor[policy.Later](), reflect.TypeFor[laterList]():
		return "—"
	case reflect.TypeFor[sourceDoc]():
		return "secret"
	}
	inner, named := elem(t)
	switch {
	case inner == nil:
		r.queue = append(r.queue, section{path, strings.ToUpper(f.doc[:1]) + f.doc[1:], t})
		return "mapping"
	case named:
		key := f.name
		f.name, f.key = f.inner, ""
		return "mapping of " + key + " to " + r.typeName(f, inner, path+".<"+key+">")
	default:
		f.key = ""
		return "list of " + r.typeName(f, inner, path+"[]")
	}
}

func (r *reference) masks() {
	r.out.WriteString("\n## Masks\n\nA mask is `name` or `name(arguments)`; text stands in double quotes. Masks are deterministic and keep the column's\n" +
		"exact type. Where several rules admit a row, the form higher up in this table is shown; between forms of one\n" +
		"strength, that of the rule that stands earlier in the file.\n\n| mask | strength | shows |\n|---|---|---|\n")
	for _, m := range policy.MaskReference() {
		fmt.Fprintf(r.out, "| `%s` | %s | %s |\n", m.Usage, m.Strength, cell(m.Doc))
	}
}
