package config

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSourcesAreRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"plain": "s3cret", "line": "s3cret\n", "crlf": "s3cret\r\n", "spaces": " s3cret \n\n", "empty": "", "newline": "\n",
		"long": strings.Repeat("x", maxSecret), "longer": strings.Repeat("x", maxSecret+1), "huge": strings.Repeat("x", 3*maxSecret),
	})
	t.Setenv("POSTERN_TEST_SECRET", "s3cret")
	t.Setenv("POSTERN_TEST_EMPTY", "")
	file := func(name string) Source { return Source{File: filepath.Join(dir, name)} }
	command := func(args ...string) Source { return Source{Command: args, Dir: dir} }
	for _, c := range []struct {
		name, want, fails string
		source            Source
	}{
		{"environment", "s3cret", "", Source{Env: "POSTERN_TEST_SECRET"}},
		{"environment unset", "", "not set", Source{Env: "POSTERN_TEST_UNSET"}},
		{"environment empty", "", "empty", Source{Env: "POSTERN_TEST_EMPTY"}},
		{"file", "s3cret", "", file("plain")},
		{"file with line end", "s3cret", "", file("line")},
		{"file with CR LF", "s3cret", "", file("crlf")},
		{"only one line end goes", " s3cret \n", "", file("spaces")},
		{"empty file", "", "empty", file("empty")},
		{"file of one line end", "", "empty", file("newline")},
		{"no file", "", "no such file", file("none")},
		{"folder", "", "is a directory", Source{File: dir}},
		{"longest", strings.Repeat("x", maxSecret), "", file("long")},
		{"too long", "", "longer than", file("longer")},
		{"far too long", "", "longer than", file("huge")},
		{"command", "s3cret", "", command("cat", "line")},
		{"command without shell", "$HOME; a", "", command("echo", "$HOME; a")},
		{"command fails", "", "exit status 1", command("false")},
		{"no such command", "", "not found", command("postern-has-no-such-program")},
		{"command without output", "", "empty", command("true")},
		{"command with much output", "", "longer than", command("cat", "huge")},
		{"no source", "", "names none", Source{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.source.Read(context.Background())
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("got %v, want an error with %q", err, c.fails)
				}
				if strings.Contains(err.Error(), strings.Repeat("x", 10)) || !got.IsEmpty() {
					t.Errorf("the secret is in the error, or beside it: %v", err)
				}
				return
			}
			if err != nil || got.Reveal() != c.want {
				t.Errorf("got %q, %v", got.Reveal(), err)
			}
		})
	}
}

func TestSourceCommandEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := (Source{Command: []string{"sleep", "60"}}).Read(ctx); err == nil {
		t.Error("no error")
	}
	if time.Since(start) > 20*time.Second {
		t.Error("the command was waited for")
	}
}

func TestSourceAdvice(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"own": "x", "group": "x", "world": "x"})
	for name, mode := range map[string]os.FileMode{"own": 0o600, "group": 0o640, "world": 0o604} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		advice := Source{File: filepath.Join(dir, name)}.Advice()
		if (advice == "") != (name == "own") || name != "own" && !strings.Contains(advice, fmt.Sprintf("%04o", mode)) {
			t.Errorf("%s: %q", name, advice)
		}
	}
	for _, s := range []Source{{}, {Env: "A"}, {File: filepath.Join(dir, "none")}, {File: dir}, {Command: []string{"x"}}} {
		if a := s.Advice(); a != "" {
			t.Errorf("%s: %q", s, a)
		}
	}
}

func TestSecretsAreListedAndNotRead(t *testing.T) {
	c, err := parseFile(t, "testdata/good/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range c.Secrets() {
		got = append(got, s.String())
	}
	want := "environment variable SHOP_GRANTOR, file etc/secrets/root.key, file etc/secrets/shop, file etc/secrets/shop_scanner, command vault"
	for _, w := range strings.Split(want, ", ") {
		if !strings.Contains(strings.Join(got, ", "), w) {
			t.Errorf("%s is missing in %q", w, got)
		}
	}
	if len(got) != 5 {
		t.Errorf("got %q", got)
	}
}

func TestRelativeProgramIsFoundFromTheFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tell"), []byte("#!/bin/sh\necho s3cret\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	c, err := Parse(dir, []File{{"x.yaml", []byte(minimal + "keys: {root: {command: [./tell]}}\n")}}, testSyntax{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Keys.Root.Read(context.Background()); err != nil || got.Reveal() != "s3cret" {
		t.Errorf("got %v", err)
	}
}
