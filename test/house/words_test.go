package house_test

import (
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// unwanted are words that must not be in any file. Each is written split, so that this file has none of them.
var unwanted = []struct{ pattern, why string }{
	{`/wo` + `rk/`, "a path of one machine"},
	{`/ro` + `ot/`, "a path of one machine"},
	{`proxy\.gol` + `ang\.org|registry\.npm` + `js\.org|deb\.deb` + `ian\.org`, "the host of a package registry"},
	{`\bTO` + `DO\b|\bFIX` + `ME\b`, "something left for later: do it, or file it"},
	{`-----BEGIN [A-Z ]*PRIV` + `ATE KEY-----\s+[A-Za-z0-9+/]{40}`, "a private key"},
}

// TestUnwantedWords reads every text file.
func TestUnwantedWords(t *testing.T) {
	for _, name := range textFiles(t) {
		if path.Base(name) == "LICENSE" {
			continue
		}
		text := read(t, name)
		if !utf8.ValidString(text) {
			continue
		}
		for _, u := range unwanted {
			if m := regexp.MustCompile(u.pattern).FindStringIndex(text); m != nil {
				t.Errorf("%s:%d: %q: %s", name, 1+strings.Count(text[:m[0]], "\n"), text[m[0]:m[1]], u.why)
			}
		}
	}
}

// TestLicence wants the whole text of the licence that README names.
func TestLicence(t *testing.T) {
	text := read(t, "LICENSE")
	for _, want := range []string{"Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"} {
		if !strings.Contains(text, want) {
			t.Errorf("LICENSE lacks %q", want)
		}
	}
	if !strings.Contains(read(t, "README.md"), "Apache License 2.0") {
		t.Error("README.md does not name the licence")
	}
}

// TestOneModule: one go.mod.
func TestOneModule(t *testing.T) {
	for _, name := range textFiles(t) {
		if path.Base(name) == "go.mod" && name != "go.mod" {
			t.Errorf("%s: a second module", name)
		}
	}
}
