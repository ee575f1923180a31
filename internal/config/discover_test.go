package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A site's own list is read with the file, and its examples are tried on it.
func TestDictionaryIsReadWithTheFile(t *testing.T) {
	dir := t.TempDir()
	policy := `version: 1
stores:
  shop: {engine: postgres, address: db1.internal:5432, database: shop}
classifiers:
  - {class: acme.branch, dictionary: branches.txt, examples: {match: [Nordhafen], reject: [Elsewhere]}}
`
	path := filepath.Join(dir, "postern.yaml")
	if err := os.WriteFile(path, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, testSyntax{}); err == nil || !strings.Contains(err.Error(), "postern.yaml:5:") || !strings.Contains(err.Error(), "dictionary: ") {
		t.Errorf("without the list: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "branches.txt"), []byte("Nordhafen\n\nSüdtor\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path, testSyntax{})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Discover.Classifiers[0].Dictionary; len(got) != 2 {
		t.Errorf("dictionary %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "branches.txt"), []byte("Südtor\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, testSyntax{}); err == nil || !strings.Contains(err.Error(), "example 1 of match is not accepted") {
		t.Errorf("with another list: %v", err)
	}
}
