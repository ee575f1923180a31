// Package docs_test holds the documents to what exists: links lead somewhere, targets are in the Makefile, verbs and flags
// are the command's, and the test command that README names is what CI runs.
package docs_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/cli"
)

const root = "../.."

// documents returns the text of each Markdown file by its path from the root.
func documents(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "node_modules" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if !d.IsDir() && filepath.Ext(name) == ".md" {
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, name)
			out[rel] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 10 {
		t.Fatalf("only %d documents found: this test looks in the wrong place", len(out))
	}
	return out
}

var (
	link  = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	fence = regexp.MustCompile("(?ms)^```(sh|console)\n(.*?)^```")
)

func TestLinks(t *testing.T) {
	for name, text := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: the link to %s leads nowhere", name, m[1])
			}
		}
	}
}

// commands returns the command lines of a document's fenced blocks: all lines of sh blocks, "$ " lines of console ones.
func commands(text string) []string {
	var out []string
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(m[2]) {
			line = strings.TrimSpace(line)
			if m[1] == "console" {
				var ok bool
				if line, ok = strings.CutPrefix(line, "$ "); !ok {
					continue
				}
			}
			line, _, _ = strings.Cut(line, " #")
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				out = append(out, line)
			}
		}
	}
	return out
}

// TestCommands checks each command line that a document asks a person to type.
func TestCommands(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for name, text := range documents(t) {
		for _, line := range commands(text) {
			words := strings.Fields(line)
			for len(words) > 1 && regexp.MustCompile(`^[A-Z_]+=`).MatchString(words[0]) {
				words = words[1:]
			}
			switch filepath.Base(words[0]) {
			case "make":
				for _, target := range words[1:] {
					if !strings.Contains(target, "=") && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(target)+`:`).Match(makefile) {
						t.Errorf("%s: %q: no such target", name, line)
					}
				}
			case "postern":
				checkPostern(t, name, line, words[1:])
			}
			seen++
		}
	}
	if seen < 10 {
		t.Errorf("only %d command lines found", seen)
	}
}

// checkPostern asks the command's help for the verb and its flags.
func checkPostern(t *testing.T, name, line string, words []string) {
	t.Helper()
	var path []string
	for _, w := range words {
		if strings.HasPrefix(w, "-") || strings.ContainsAny(w, `"'./:`) || len(path) == 2 {
			break
		}
		path = append(path, w)
	}
	help, code := run(append(path, "--help")...)
	if code != 0 || strings.Contains(help, "not in this version") {
		t.Errorf("%s: %q: no such verb (exit %d)", name, line, code)
		return
	}
	for _, w := range words {
		if w == "--" {
			break
		}
		if flag, _, _ := strings.Cut(w, "="); strings.HasPrefix(flag, "--") && !strings.Contains(help, flag) {
			t.Errorf("%s: %q: no flag %s", name, line, flag)
		}
	}
}

func run(args ...string) (string, int) {
	var out bytes.Buffer
	code := cli.Main(context.Background(), cli.Env{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out, Getenv: func(string) string { return "" }, Version: "test",
	})
	return out.String(), code
}

// TestTwoCommands: README promises that two commands are enough, and CI runs the one that tests.
func TestTwoCommands(t *testing.T) {
	docs := documents(t)
	for _, want := range []string{"make demo", "make test"} {
		found := false
		for _, line := range commands(docs["README.md"]) {
			found = found || line == want
		}
		if !found {
			t.Errorf("README.md does not tell to type %q", want)
		}
	}
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^step "tests" make test$`).Match(ci) {
		t.Error(".ci/run does not run README's test command")
	}
}
