package scan_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// sarifSchema is the schema that OASIS publishes with SARIF 2.1.0; test/scan/fetch brings it.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(pgtest.CacheDir(), "sarif-2.1.0.json"))
	if err != nil {
		t.Fatalf("the schema of SARIF is not there: run test/scan/fetch (%v)", err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// checkSARIF holds a report, with one finding waived and one known from before, to the schema.
func checkSARIF(t *testing.T, r *scan.Report) {
	t.Helper()
	schema := sarifSchema(t)
	marked := 0
	for i := range r.Results {
		for j := range r.Results[i].Findings {
			f := &r.Results[i].Findings[j]
			switch marked {
			case 0:
				f.Waiver = &scan.Waiver{ID: r.Results[i].Check.ID, Object: f.Object, Reason: "a test", Owner: "ana", Expires: "2099-01-01"}
			case 1:
				f.Change = scan.ChangeKnown
			}
			marked++
		}
	}
	var out strings.Builder
	if err := r.Write(&out, "sarif"); err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil || marked < 2 {
		t.Errorf("the SARIF report with %d findings is not valid against the schema: %v", marked, err)
	}
	// The schema is one that says no.
	run := doc.(map[string]any)["runs"].([]any)[0].(map[string]any)
	run["results"].([]any)[0].(map[string]any)["level"] = "dreadful"
	if schema.Validate(doc) == nil {
		t.Error("a level that SARIF does not have was accepted")
	}
}
