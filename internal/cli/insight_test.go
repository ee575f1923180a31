package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A diff is applied by the program that everybody has for it, and shows nothing but what changes.
func TestBareDiff(t *testing.T) {
	t.Parallel()
	const before = "version: 1\nusers:\n  ana: {scram: \"SCRAM-SHA-256$4096:x\"}\nlabels:\n  a.b.c.d: one\nmasks: {m: {one: keep}}\n"
	for name, after := range map[string]string{
		"a line":       strings.Replace(before, "masks:", "  a.b.c.e: two\nmasks:", 1),
		"a longer one": strings.Replace(before, "{one: keep}", "{one: keep, two: hidden}", 1),
		"both and end": strings.Replace(strings.Replace(before, "masks:", "  a.b.c.e: two\n  a.b.c.f: two\nmasks:", 1), "keep}", "keep, two: hidden}", 1) + "verdicts:\n  x: {}\n",
		"the first":    "# a head\n" + before,
		"nothing":      before,
	} {
		diff, err := bareDiff("p.yaml", before, after)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if strings.Contains(diff, "SCRAM") || (diff == "") != (before == after) {
			t.Errorf("%s:\n%s", name, diff)
		}
		if diff == "" {
			continue
		}
		dir := t.TempDir()
		for file, text := range map[string]string{"p.yaml": before, "change.diff": diff} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		patch := exec.Command("patch", "p.yaml", "change.diff")
		patch.Dir = dir
		if out, err := patch.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s\n%s", name, err, out, diff)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "p.yaml")); err != nil || string(got) != after {
			t.Errorf("%s: patched it is\n%s\nand not\n%s", name, got, after)
		}
	}
	if diff, err := bareDiff("p.yaml", before, strings.Replace(before, "x\"}", "x\", attributes: {}}", 1)); err == nil {
		t.Errorf("a line with a verifier is shown:\n%s", diff)
	}
}
