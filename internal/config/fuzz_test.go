package config

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// FuzzParse feeds the decoder anything: it never panics, it says either yes or what is wrong and where, and it is
// never slow.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/good/*.yaml", "testdata/bad/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		start := time.Now()
		c, err := Parse("etc", []File{{"x.yaml", text}}, testSyntax{})
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%d bytes took %s", len(text), d)
		}
		if err == nil {
			if c == nil || c.Policy == nil || len(c.Policy.Digest) != 64 {
				t.Error("accepted without a policy")
			}
			return
		}
		var problems Problems
		if c != nil || !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("refused without problems: %v", err)
		}
		for _, p := range problems {
			if p.Message == "" || p.Kind == "" || p.Pos.File != "x.yaml" {
				t.Errorf("a problem without message, kind or place: %+v", p)
			}
		}
	})
}
