package audit

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestEventsReference generates docs/reference/events.md from the types and their comments, and compares.
// go test ./internal/audit -run EventsReference -update writes it.
func TestEventsReference(t *testing.T) {
	t.Parallel()
	src := parseSources(t, "event.go", "record.go", "open.go")
	var b strings.Builder
	b.WriteString("# Events\n\n<!-- generated from internal/audit by `go test ./internal/audit -run EventsReference -update`; do not edit -->\n\n" +
		"Every line of the trail is one event as JSON, its fields in the order below; empty ones are left out.\n" +
		"How the lines are chained and signed, and how to verify them, is in [the guide](../guide/audit.md).\n\n## Kinds\n\n| kind | is written when |\n|---|---|\n")
	for _, c := range src.constants(t, "Kind") {
		fmt.Fprintf(&b, "| `%s` | %s |\n", c[0], c[1])
	}
	for _, part := range []struct{ title, intro, name string }{
		{"Fields of every event", "", "Event"},
		{"Fields of the chain", "", "Record"},
		{"`touches[]`", "", "Touch"},
		{"`opaque`", "What stands for a statement that could not be parsed.", "Opaque"},
		{"`seal`", "What the trail says about itself in the records that it signs.", "Seal"},
		{"`seal.torn[]`", "Bytes that a crash left and that were moved aside.", "Torn"},
	} {
		fmt.Fprintf(&b, "\n## %s\n\n", part.title)
		if part.intro != "" {
			b.WriteString(part.intro + "\n\n")
		}
		b.WriteString("| field | type | holds |\n|---|---|---|\n")
		for _, f := range src.fields(t, part.name) {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f[0], f[1], f[2])
		}
	}
	b.WriteString("\n## Reasons of a `trail.recovery`\n\n| reason | means |\n|---|---|\n")
	for _, c := range src.constants(t, "") {
		if strings.HasPrefix(c[2], "Reason") {
			fmt.Fprintf(&b, "| `%s` | %s |\n", c[0], c[1])
		}
	}
	path := filepath.Join("..", "..", "docs", "reference", "events.md")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != b.String() {
		t.Error("docs/reference/events.md is not what the types say: run go test ./internal/audit -run EventsReference -update")
	}
}

type sources []*ast.File

func parseSources(t *testing.T, names ...string) (s sources) {
	t.Helper()
	for _, name := range names {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, f)
	}
	return s
}

// constants returns value, comment and name of the string constants of a type ("" for untyped ones).
func (s sources) constants(t *testing.T, typ string) (out [][3]string) {
	t.Helper()
	s.specs(func(spec ast.Spec) {
		v, ok := spec.(*ast.ValueSpec)
		if !ok || len(v.Values) != 1 {
			return
		}
		lit, ok := v.Values[0].(*ast.BasicLit)
		name, _ := v.Type.(*ast.Ident)
		if !ok || lit.Kind != token.STRING || (name == nil) != (typ == "") || (name != nil && name.Name != typ) {
			return
		}
		comment := strings.TrimSpace(v.Comment.Text())
		if comment == "" && (typ != "" || strings.HasPrefix(v.Names[0].Name, "Reason")) {
			t.Errorf("%s has no comment", v.Names[0].Name)
		}
		out = append(out, [3]string{strings.Trim(lit.Value, `"`), comment, v.Names[0].Name})
	})
	return out
}

// fields returns JSON name, type and comment of the fields of a struct.
func (s sources) fields(t *testing.T, name string) (out [][3]string) {
	t.Helper()
	s.specs(func(spec ast.Spec) {
		typ, ok := spec.(*ast.TypeSpec)
		if !ok || typ.Name.Name != name {
			return
		}
		body, ok := typ.Type.(*ast.StructType)
		if !ok {
			return
		}
		for _, f := range body.Fields.List {
			if f.Tag == nil {
				continue // the embedded event
			}
			json, _, _ := strings.Cut(reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json"), ",")
			comment := strings.TrimSpace(f.Comment.Text())
			if comment == "" {
				t.Errorf("%s.%s has no comment", name, f.Names[0].Name)
			}
			out = append(out, [3]string{json, jsonType(f.Type), comment})
		}
	})
	if len(out) == 0 {
		t.Fatalf("no struct %s", name)
	}
	return out
}

func (s sources) specs(f func(ast.Spec)) {
	for _, file := range s {
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				for _, spec := range g.Specs {
					f(spec)
				}
			}
		}
	}
}

func jsonType(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.ArrayType:
		return "list of " + jsonType(e.Elt) + "s"
	case *ast.MapType:
		return "object of strings"
	case *ast.StarExpr:
		return "object"
	case *ast.SelectorExpr:
		return "time"
	case *ast.Ident:
		switch e.Name {
		case "string", "Kind":
			return "string"
		case "bool":
			return "true"
		case "int", "int64", "uint64":
			return "number"
		}
	}
	return "object"
}
