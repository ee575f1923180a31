package scan

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// ReportSchema is the JSON Schema of the JSON report, made from the types that are written, so that it cannot say anything else.
func ReportSchema() ([]byte, error) {
	return schemaOf(reflect.TypeFor[jsonReport](), "The report of postern scan --format json", "Format 1. Fields may be added without a new format; none changes its meaning.")
}

// SnapshotSchema is the JSON Schema of what --snapshot saves and a site's own checks are written over.
func SnapshotSchema() ([]byte, error) {
	return schemaOf(reflect.TypeFor[catalog.Evidence](), "The snapshot of postern scan --snapshot", "Format 1. Letters of the catalog, such as a relation's Kind, are numbers here and text in CEL.")
}

func schemaOf(t reflect.Type, title, description string) ([]byte, error) {
	s := schemaWriter{defs: map[string]any{}}
	root := s.object(t)
	root["$schema"], root["title"], root["description"] = "https://json-schema.org/draft/2020-12/schema", title, description
	if len(s.defs) > 0 {
		root["$defs"] = s.defs
	}
	text, err := json.MarshalIndent(root, "", "  ")
	return append(text, '\n'), err
}

// schemaWriter describes types; named structs stand once, under $defs.
type schemaWriter struct{ defs map[string]any }

var textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()

func (s *schemaWriter) of(t reflect.Type) map[string]any {
	switch t {
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Severity]():
		return map[string]any{"enum": severityNames[1:]}
	case reflect.TypeFor[State]():
		return map[string]any{"enum": []State{Passed, Failed, NotEvaluated, NotApplicable}}
	}
	if t.Implements(textMarshaler) {
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return map[string]any{"anyOf": []any{s.of(t.Elem()), map[string]any{"type": "null"}}}
	case reflect.Slice, reflect.Array:
		return map[string]any{"type": []string{"array", "null"}, "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": []string{"object", "null"}, "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		name := strings.ToLower(t.Name()[:1]) + t.Name()[1:]
		if _, known := s.defs[name]; !known {
			s.defs[name] = nil // a type may hold itself
			s.defs[name] = s.object(t)
		}
		return map[string]any{"$ref": "#/$defs/" + name}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return map[string]any{"type": "integer"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	}
	return map[string]any{"type": "string"}
}

func (s *schemaWriter) object(t reflect.Type) map[string]any {
	properties, required := map[string]any{}, []string{}
	s.fields(t, properties, &required)
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func (s *schemaWriter) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || tag == "-":
			continue
		case f.Anonymous && tag == "":
			s.fields(f.Type, properties, required)
			continue
		case tag == "":
			tag = f.Name
		}
		properties[tag] = s.of(f.Type)
		if !strings.Contains(options, "omitempty") {
			*required = append(*required, tag)
		}
	}
}
