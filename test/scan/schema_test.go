package scan_test

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// TestSchemas: the published schemas are those of the code, and a real report and a real snapshot are valid under them.
func TestSchemas(t *testing.T) {
	c := pgtest.Default(t)
	defer putBack(t, c)
	db := c.NewDatabase(t)
	db.Exec(t, "CREATE TABLE t(id int); GRANT SELECT ON t TO PUBLIC; CREATE ROLE boss SUPERUSER LOGIN")
	r := scanWhole(t, db, superuser)
	var report, snapshot bytes.Buffer
	if err := r.Write(&report, "json"); err != nil {
		t.Fatal(err)
	}
	if err := scan.WriteSnapshot(&snapshot, r.Evidence); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		file  string
		make  func() ([]byte, error)
		valid []byte
	}{
		{"scan-report.schema.json", scan.ReportSchema, report.Bytes()},
		{"scan-snapshot.schema.json", scan.SnapshotSchema, snapshot.Bytes()},
	} {
		text, err := x.make()
		if err != nil {
			t.Fatal(err)
		}
		path := "../../docs/reference/" + x.file
		if *update {
			if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // a public file
				t.Fatal(err)
			}
		}
		if there, err := os.ReadFile(path); err != nil || !bytes.Equal(there, text) {
			t.Errorf("%s is not what the code says (%v); go test ./test/scan -run Schemas -update writes it", path, err)
		}
		schema := compile(t, x.file, text)
		if err := schema.Validate(decode(t, x.valid)); err != nil {
			t.Errorf("%s: %v", x.file, err)
		}
		if err := schema.Validate(decode(t, []byte(`{"format": 1, "surprise": true}`))); err == nil {
			t.Errorf("%s admits anything", x.file)
		}
	}
}

func compile(t *testing.T, name string, text []byte) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource(name, decode(t, text)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func decode(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}
