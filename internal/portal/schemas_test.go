package portal_test

import (
	"encoding"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// schemas makes JSON Schemas of the types that go in and out, as encoding/json writes them, with the words of their comments.
type schemas struct {
	t    *testing.T
	made object                  // name -> schema
	of   map[string]reflect.Type // name -> type: no two types share one
	said map[string]*comments    // by package
}

// comments are what a package says of its types.
type comments struct {
	types  map[string]string
	fields map[string]string   // Type.Field
	values map[string][]string // the constants of a string type
}

// schema is the schema of a type. What comes in has no fields that are not known: the portal refuses them.
func (s *schemas) schema(t reflect.Type, in bool) any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{"type": "object"}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.schema(t.Elem(), in)
	case reflect.String:
		if values := s.sourceOf(t).values[t.Name()]; len(values) > 0 {
			return object{"type": "string", "enum": values}
		}
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": s.schema(t.Elem(), in)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.schema(t.Elem(), in)}
	case reflect.Struct:
		return s.structure(t, in)
	}
	s.t.Fatalf("%s has no place in JSON", t)
	return nil
}

// structure is a reference to the schema of a struct.
func (s *schemas) structure(t reflect.Type, in bool) any {
	if t.NumField() == 0 {
		return object{"type": "object"}
	}
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	if at := s.of[name]; at != nil && at != t {
		s.t.Fatalf("%s and %s would both be %s", at, t, name)
	}
	ref := object{"$ref": "#/components/schemas/" + name}
	if s.of[name] != nil {
		return ref
	}
	s.of[name] = t
	properties, required := object{}, []string{}
	for _, f := range s.fields(t) {
		of := s.schema(f.typ, in).(object) //nolint:forcetypeassert // schema makes no other
		if f.words != "" {
			of["description"] = f.words
		}
		properties[f.name] = of
		if !f.optional {
			required = append(required, f.name)
		}
	}
	made := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		made["required"] = required
	}
	if in {
		made["additionalProperties"] = false
	}
	if words := s.sourceOf(t).types[t.Name()]; words != "" {
		made["description"] = words
	}
	s.made[name] = made
	return ref
}

// field is what encoding/json makes of a field.
type field struct {
	name, words string
	typ         reflect.Type
	optional    bool
}

func (s *schemas) fields(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && tag == "":
			out = append(out, s.fields(f.Type)...)
		case tag == "-" || !f.IsExported():
		default:
			if tag == "" {
				tag = f.Name
			}
			out = append(out, field{tag, s.sourceOf(t).fields[t.Name()+"."+f.Name], f.Type, strings.Contains(options, "omit")})
		}
	}
	return out
}

// sourceOf reads the comments of the package that a type is of.
func (s *schemas) sourceOf(t reflect.Type) *comments {
	_, dir, ours := strings.Cut(t.PkgPath(), "/internal/")
	if s.said[dir] != nil {
		return s.said[dir]
	}
	c := &comments{types: map[string]string{}, fields: map[string]string{}, values: map[string][]string{}}
	s.said[dir] = c
	if !ours {
		return c
	}
	files, err := filepath.Glob("../" + dir + "/*.go")
	if err != nil || len(files) == 0 {
		s.t.Fatalf("%s: no source, %v", t, err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, d := range f.Decls {
			if d, ok := d.(*ast.GenDecl); ok {
				c.read(d)
			}
		}
	}
	return c
}

func (c *comments) read(d *ast.GenDecl) {
	for _, one := range d.Specs {
		switch one := one.(type) {
		case *ast.TypeSpec:
			c.types[one.Name.Name] = oneLine(one.Doc, d.Doc)
			if st, ok := one.Type.(*ast.StructType); ok {
				for _, f := range st.Fields.List {
					for _, name := range f.Names {
						c.fields[one.Name.Name+"."+name.Name] = oneLine(f.Doc, f.Comment)
					}
				}
			}
		case *ast.ValueSpec:
			of, ok := one.Type.(*ast.Ident)
			if !ok || d.Tok != token.CONST {
				continue
			}
			for _, v := range one.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil && !slices.Contains(c.values[of.Name], text) {
						c.values[of.Name] = append(c.values[of.Name], text)
					}
				}
			}
		}
	}
}

// oneLine joins comments to one line.
func oneLine(groups ...*ast.CommentGroup) string {
	var out []string
	for _, g := range groups {
		out = append(out, strings.Fields(g.Text())...)
	}
	return strings.Join(out, " ")
}
