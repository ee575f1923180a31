package notify_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/notify"
	"github.com/postern-sec/postern/internal/policy"
)

// Texts of a site's own replace ours, and may have helpers; whatever is wrong with them is said with its place and a remedy.
func TestTexts(t *testing.T) {
	t.Parallel()
	const good = "{{define \"request.new\"}}Hallo {{.Subject}}\n\n{{.Note}}{{end}}"
	for name, tt := range map[string]struct{ text, at, says, hint string }{
		"ours":                  {},
		"one":                   {text: good},
		"a helper":              {text: `{{define "foot"}}{{.}}{{end}}{{define "request.new"}}Hallo{{template "foot" .Link}}{{end}}`},
		"with":                  {text: "{{define \"grant.ended\"}}Vorbei\n{{with .Note}}{{.}} {{$.Grant}}{{end}}{{end}}"},
		"the part that all use": {text: `{{define "about"}}{{.Request}}{{end}}`},
		"no end":                {"{{define \"request.new\"}}\nHallo", "own.tmpl:2:1", "unexpected EOF", "{{end}}"},
		"no such function":      {"\n{{define \"request.new\"}}{{shout .Note}}{{end}}", "own.tmpl:2:1", `function "shout" not defined`, "text/template"},
		"no such field":         {"{{define \"request.new\"}}Hallo\n{{.Datasett}}{{end}}", "own.tmpl:2:3", `no field "Datasett"`, "did you mean .Dataset?"},
		"in a branch":           {"{{define \"request.new\"}}Hallo{{if eq .State \"odd\"}}\n  {{.Nothing}}{{end}}{{end}}", "own.tmpl:2:5", `no field "Nothing"`, "a message has ID, Kind"},
		"by the dollar":         {"{{define \"request.new\"}}Hallo{{with .Note}}{{$.Nothing}}{{end}}{{end}}", "own.tmpl:1:47", `no field "Nothing"`, ""},
		"no such notice":        {"\n\n{{define \"request.neu\"}}Hallo{{end}}", "own.tmpl:3:", `no notice "request.neu"`, `did you mean "request.new"?`},
		"nothing calls it":      {`{{define "footer"}}x{{end}}`, "own.tmpl:1:", `no notice "footer"`, "docs/guide/notices.md"},
		"calls what is not":     {"{{define \"request.new\"}}Hallo\n{{template \"foot\"}}{{end}}", "own.tmpl:2:", `template "foot" not defined`, ""},
		"no subject":            {"{{define \"request.new\"}}{{if .Note}}Hallo{{end}}{{end}}", "own.tmpl:1:", "has no subject", "a line of text"},
		"outside":               {"Hallo\n" + good, "own.tmpl:1:1", "never sent", "{{define"},
		"fails":                 {"{{define \"request.new\"}}Hallo {{index .Note 9}}{{end}}", "own.tmpl:1:3", "index", ""},
		"twice in a file":       {good + good, "own.tmpl:", "request.new", ""},
	} {
		_, err := notify.Texts(notify.Source{File: "own.tmpl", Text: tt.text})
		var all policy.Problems
		switch errors.As(err, &all); {
		case tt.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.says == "":
		case len(all) == 0:
			t.Errorf("%s: %v, want a problem", name, err)
		case !strings.HasPrefix(all[0].Pos.String(), tt.at) || !strings.Contains(all[0].Message, tt.says) || !strings.Contains(all[0].Hint, tt.hint):
			t.Errorf("%s: %s (%s), want %s … %s (%s)", name, all[0], all[0].Hint, tt.at, tt.says, tt.hint)
		}
	}
}

// A folder is read file by file; what is in none, twice or too large is refused.
func TestSources(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := notify.ReadSources(folder); err == nil || !strings.Contains(err.Error(), "holds no .tmpl file") {
		t.Errorf("an empty folder: %v", err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.tmpl", `{{define "request.new"}}Hallo{{template "foot"}}{{end}}`)
	write("b.tmpl", `{{define "foot"}} und weg{{end}}`)
	write("notes.txt", "{{")
	all, err := notify.ReadSources(folder)
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	own, err := notify.Texts(all...)
	if err != nil {
		t.Fatal(err)
	}
	if subject, _, err := notify.Compose(own, &notify.Message{Kind: "request.new"}); err != nil || subject != "Hallo und weg" {
		t.Errorf("%q, %v", subject, err)
	}
	write("c.tmpl", "\n"+`{{define "foot"}}again{{end}}`)
	all, err = notify.ReadSources(folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := notify.Texts(all...); err == nil || !strings.Contains(err.Error(), "c.tmpl:2:") || !strings.Contains(err.Error(), "b.tmpl too") {
		t.Errorf("twice: %v", err)
	}
	write("d.tmpl", strings.Repeat("x", 2<<20))
	if _, err := notify.ReadSources(folder); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("too large: %v", err)
	}
	if one, err := notify.ReadSources(filepath.Join(folder, "a.tmpl")); err != nil || len(one) != 1 {
		t.Errorf("a file: %v, %v", one, err)
	}
}
