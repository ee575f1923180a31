package classify

import (
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write generated files")

func TestReferenceIsCurrent(t *testing.T) {
	const name = "../../docs/reference/classes.md"
	want := newClassifier(t).Reference()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil { //nolint:gosec // a document
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s is not what the code says: run go test ./internal/classify -run Reference -update", name)
	}
}
