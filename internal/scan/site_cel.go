package scan

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"

	"github.com/postern-sec/postern/internal/catalog"
)

// celCost bounds the work of one expression, so that no expression can hold up a scan.
const celCost = 5_000_000

// celProgram is a compiled expression.
type celProgram struct{ program cel.Program }

// compileCEL checks and compiles an expression over the variable snapshot.
func compileCEL(text string) (*celProgram, error) {
	env, err := cel.NewEnv(cel.Variable("snapshot", cel.DynType), ext.Strings(), ext.Lists())
	if err != nil {
		return nil, err
	}
	ast, issues := env.Compile(text)
	if err := issues.Err(); err != nil {
		return nil, err
	}
	p, err := env.Program(ast, cel.CostLimit(celCost))
	if err != nil {
		return nil, err
	}
	return &celProgram{p}, nil
}

// findings evaluates the expression: true is none, false is one, a list is one for each element: a text, or a map with object, evidence
// and fix.
func (p *celProgram) findings(e *catalog.Evidence) ([]Finding, error) {
	value, _, err := p.program.Eval(map[string]any{"snapshot": celValue(reflect.ValueOf(e))})
	if err != nil {
		return nil, err
	}
	if ok, is := value.Value().(bool); is {
		if ok {
			return nil, nil
		}
		return []Finding{{Object: "this server"}}, nil
	}
	native, err := value.ConvertToNative(reflect.TypeFor[[]any]())
	if err != nil {
		return nil, errors.New("the expression gives neither a list nor true or false")
	}
	var fs []Finding
	for _, x := range native.([]any) {
		f, err := celFinding(x)
		if err != nil {
			return nil, err
		}
		fs = append(fs, f)
	}
	return fs, nil
}

func celFinding(x any) (Finding, error) {
	if v, is := x.(interface{ Value() any }); is {
		x = v.Value()
	}
	if s, is := x.(string); is {
		return Finding{Object: s}, nil
	}
	m := map[string]string{}
	v := reflect.ValueOf(x)
	if v.Kind() != reflect.Map {
		return Finding{}, fmt.Errorf("an element of the list is neither text nor a map: %T", x)
	}
	for _, k := range v.MapKeys() {
		m[celText(k.Interface())] = celText(v.MapIndex(k).Interface())
	}
	if m["object"] == "" {
		return Finding{}, errors.New("a map in the list has no object")
	}
	return Finding{Object: m["object"], Evidence: m["evidence"], Fix: m["fix"]}, nil
}

func celText(x any) string {
	if v, is := x.(interface{ Value() any }); is {
		x = v.Value()
	}
	return fmt.Sprint(x)
}

// celValue is evidence as an expression sees it: every field under its Go name, lists never null, letters of the catalog as text.
func celValue(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return celValue(v.Elem())
	case reflect.Struct:
		if t, is := v.Interface().(time.Time); is {
			return t.UTC().Format(time.RFC3339)
		}
		out := map[string]any{}
		celFields(v, out)
		return out
	case reflect.Slice, reflect.Array:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = celValue(v.Index(i))
		}
		return out
	case reflect.Map:
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			out[fmt.Sprint(k.Interface())] = celValue(v.MapIndex(k))
		}
		return out
	case reflect.Uint8:
		if v.Uint() == 0 {
			return ""
		}
		return string(rune(v.Uint()))
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	case reflect.Uint, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return int64(v.Uint()) //nolint:gosec // OIDs and ports
	case reflect.Float32, reflect.Float64:
		return v.Float()
	}
	return v.String()
}

// celFields adds a struct's fields; those of embedded ones stand beside its own.
func celFields(v reflect.Value, out map[string]any) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case !f.IsExported():
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			celFields(v.Field(i), out)
		default:
			out[f.Name] = celValue(v.Field(i))
		}
	}
}
