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
	"slices"
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
			words := strings.Fields(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(line, "…")) // a quoted value is one word
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
	if code != 0 { // a verb of a later version exits 2, whatever its flags
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

// inline finds commands in running text: `postern user hash`.
var inline = regexp.MustCompile("`(postern [^`]+)`")

// call is a command of postern: its verb, and the flags that it has been given.
type call struct {
	verb  string
	flags []string
}

// callOf takes a command line apart. Words up to the first that is no verb are the verb.
func callOf(t *testing.T, words []string) call {
	t.Helper()
	var c call
	for _, w := range words {
		if strings.HasPrefix(w, "-") || strings.ContainsAny(w, `"'./:<>|;`) || strings.Count(c.verb, " ") == 1 || w == strings.ToUpper(w) {
			break
		}
		next := strings.TrimSpace(c.verb + " " + w)
		help, code := run(append(strings.Fields(next), "--help")...)
		if code != 0 || !strings.Contains(help, "postern "+next) {
			break
		}
		c.verb = next
	}
	for _, w := range words {
		if flag, _, _ := strings.Cut(w, "="); strings.HasPrefix(flag, "--") {
			c.flags = append(c.flags, flag)
		}
		if w == "--" {
			break
		}
	}
	return c
}

// played lists what scripts and CI run: each verb, and every flag that it has been given there.
func played(t *testing.T) map[string]map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "test", "scripts", "testdata", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(root, "test", "scripts", "testdata", "*", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]bool{}
	add := func(c call) {
		if out[c.verb] == nil {
			out[c.verb] = map[string]bool{}
		}
		for _, f := range c.flags {
			out[c.verb][f] = true
		}
	}
	for _, name := range append(files, more...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "stdout") || strings.HasPrefix(line, "stderr") || strings.HasPrefix(line, "#") {
				continue
			}
			for _, rest := range strings.Split(line, "postern ")[1:] {
				rest, _, _ = strings.Cut(rest, ";")
				add(callOf(t, strings.Fields(rest)))
			}
		}
	}
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`make demo DEMOFLAGS=(--check)`).FindSubmatch(ci); m != nil {
		add(call{verb: "demo", flags: []string{string(m[1])}})
	}
	return out
}

// TestCommandsArePlayed wants each command that README.md or the guide shows to be run by a script in test/scripts, with every
// flag that is shown, or by CI.
func TestCommandsArePlayed(t *testing.T) {
	ran := played(t)
	seen := 0
	for name, text := range documents(t) {
		if name != "README.md" && !strings.HasPrefix(name, filepath.Join("docs", "guide")) {
			continue
		}
		lines := commands(text)
		for _, m := range inline.FindAllStringSubmatch(text, -1) {
			lines = append(lines, m[1])
		}
		for _, line := range lines {
			for _, one := range strings.Split(line, ";") {
				words := strings.Fields(one)
				if len(words) < 2 || filepath.Base(words[0]) != "postern" || words[1] == "help" {
					continue
				}
				c := callOf(t, words[1:])
				if c.verb == "audit" || c.verb == "user" || c.verb == "policy" {
					continue // these do nothing by themselves: words that only look like a command
				}
				seen++
				if ran[c.verb] == nil {
					t.Errorf("%s: %q: no script runs postern %s", name, line, c.verb)
					continue
				}
				for _, f := range c.flags {
					if f != "--" && !ran[c.verb][f] {
						t.Errorf("%s: %q: no script runs postern %s with %s", name, line, c.verb, f)
					}
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands found", seen)
	}
}

// TestCallsArePlayed wants each call with curl that the guide shows to be run by a script, as it is shown.
func TestCallsArePlayed(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "test", "scripts", "testdata", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]bool{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			ran[strings.TrimSpace(line)] = true
		}
	}
	seen := 0
	for name, text := range documents(t) {
		for _, line := range commands(text) {
			if !strings.Contains(line, "curl ") || !strings.HasPrefix(name, filepath.Join("docs", "guide")) {
				continue
			}
			seen++
			if !ran[line] {
				t.Errorf("%s: no script runs %q", name, line)
			}
		}
	}
	if seen < 5 {
		t.Errorf("only %d calls found", seen)
	}
}

// TestTutorialsArePlayed wants the commands of the tutorials, and the policy that one of them shows, to be those of a script: a reader who
// types them gets what the page says. What a script has from a variable, such as an address or an ID, is whatever the page has there.
func TestTutorialsArePlayed(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "test", "scripts", "testdata", "tutorial.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	bare := func(line string) []string {
		return strings.Fields(strings.NewReplacer(`"`, "", `'`, "", " --yes", "", "exec postern", "postern", " &gateway&", "").Replace(line))
	}
	var ran [][]string
	for line := range strings.Lines(string(text)) {
		if words := bare(regexp.MustCompile(`^exits \d `).ReplaceAllString(line, "")); len(words) > 0 && words[0] == "postern" {
			ran = append(ran, words)
		}
	}
	same := func(doc, script []string) bool {
		return len(doc) == len(script) && slices.EqualFunc(doc, script, func(d, s string) bool { return d == s || strings.Contains(s, "$") })
	}
	docs, seen := documents(t), 0
	for _, name := range []string{"tutorial-operator.md", "tutorial-analyst-owner.md"} {
		page := docs[filepath.Join("docs", "guide", name)]
		for _, line := range commands(page) {
			if !strings.HasPrefix(line, "postern ") {
				continue
			}
			seen++
			if !slices.ContainsFunc(ran, func(script []string) bool { return same(bare(line), script) }) {
				t.Errorf("%s: %q: no such line is in the script", name, line)
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d commands found", seen)
	}
	policy := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(docs[filepath.Join("docs", "guide", "tutorial-operator.md")])
	_, played, _ := strings.Cut(string(text), "-- policy --\n")
	if policy == nil || strings.ReplaceAll(played, `{scram: "VERIFIER"}`, "{}") != policy[1] {
		t.Error("tutorial-operator.md shows another policy than the script has")
	}
}

// TestPictures: every picture is on a page of the guide and is taken by a test of the portal, and all of them stay small.
func TestPictures(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs", "guide", "pictures", "*"))
	if err != nil || len(files) < 10 {
		t.Fatalf("%d pictures (%v)", len(files), err)
	}
	shown := map[string]bool{}
	for name, text := range documents(t) {
		for _, m := range regexp.MustCompile(`!\[([^\]]*)\]\(([^)]+)\)`).FindAllStringSubmatch(text, -1) {
			shown[filepath.Base(m[2])] = true
			if len(m[1]) < 10 {
				t.Errorf("%s: %s says in no words what it shows", name, m[2])
			}
		}
	}
	var tests strings.Builder
	sources, err := filepath.Glob(filepath.Join(root, "test", "browser", "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	const most = 1 << 20
	total := int64(0)
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
		name := filepath.Base(file)
		if !shown[name] {
			t.Errorf("%s is on no page", name)
		}
		delete(shown, name)
		if !strings.Contains(tests.String(), `guide(t, "`+strings.TrimSuffix(name, ".png")+`")`) {
			t.Errorf("%s is taken by no test: make pictures would not renew it", name)
		}
	}
	for name := range shown {
		t.Errorf("%s is shown and is not there", name)
	}
	if total > most {
		t.Errorf("the pictures take %d bytes, more than %d", total, most)
	}
}
