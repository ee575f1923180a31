package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write golden and generated files instead of comparing")

// golden compares with a file, or writes it under -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil { //nolint:gosec // published documentation
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of date (run with -update and read the difference); got:\n%s", path, got)
	}
}

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	schema, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "../../docs/reference/postern.schema.json", schema)
	golden(t, "../../docs/reference/policy.md", Reference())
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(schemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(schemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asJSON turns a policy file into what a JSON Schema judges. Dates are text in JSON.
func asJSON(t *testing.T, file string) any {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	out, err := json.Marshal(undate(v))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func undate(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = undate(x)
		}
	case []any:
		for i, x := range v {
			v[i] = undate(x)
		}
	case time.Time:
		return v.Format(time.DateOnly)
	}
	return v
}

func TestSchemaAcceptsGoodFiles(t *testing.T) {
	schema := compileSchema(t)
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range append(files, "testdata/design.yaml") {
		if err := schema.Validate(asJSON(t, file)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// The schema cannot follow names, but shapes it must judge as Load does.
func TestSchemaRefusesWrongShapes(t *testing.T) {
	schema := compileSchema(t)
	for _, name := range []string{"unknown_keys", "types", "missing", "enums", "secrets", "flag_or_list"} {
		if err := schema.Validate(asJSON(t, "testdata/bad/"+name+".yaml")); err == nil {
			t.Errorf("testdata/bad/%s.yaml passes the schema", name)
		}
	}
}
