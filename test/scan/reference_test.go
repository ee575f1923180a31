package scan_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

var update = flag.Bool("update", false, "write generated files instead of comparing")

// TestReference holds the reference page to the code.
func TestReference(t *testing.T) {
	root, err := pgtest.Root()
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := scan.WriteReference(&want); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "docs", "reference", "checks.md")
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil { //nolint:gosec // a page of the documentation
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is out of date: go test ./test/scan -run Reference -update", path)
	}
}
