package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/policy"
)

// File is the text of one policy file.
type File struct {
	Name string // for messages
	Text []byte
}

// Lookup says which policy file a command means: the flag when given, else POSTERN_CONFIG, else postern.yaml in the
// current folder. getenv is os.Getenv.
func Lookup(flag string, getenv func(string) string) string {
	if flag != "" {
		return flag
	}
	if env := getenv("POSTERN_CONFIG"); env != "" {
		return env
	}
	return "postern.yaml"
}

// Load reads a policy file or a folder of them. The error is a Problems, with every mistake and its place, unless the file
// itself could not be read. syntax checks row filters, mask expressions and password verifiers.
func Load(path string, syntax policy.Syntax) (*Config, error) {
	names, folder, err := policyFiles(path)
	if err != nil {
		return nil, fmt.Errorf("read the policy: %w", err)
	}
	var files []File
	total := 0
	for _, name := range names {
		text, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the policy: %w", err)
		}
		if total += len(text); total > maxTotal {
			return nil, Problems{{Pos: policy.Pos{File: name}, Kind: policy.KindLimit, Message: fmt.Sprintf("more than %d MiB of policy files", maxTotal>>20)}}
		}
		files = append(files, File{Name: name, Text: text})
	}
	c, err := parse(folder, files, syntax, readDictionary)
	if c != nil {
		c.Path, c.Files = path, names
	}
	return c, err
}

// policyFiles lists the files that a path stands for, sorted, and the folder that paths in them are relative to.
func policyFiles(path string) (names []string, folder string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", err
	}
	if !info.IsDir() {
		return []string{path}, filepath.Dir(path), nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, "", err
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	slices.Sort(names)
	switch {
	case len(names) == 0:
		return nil, "", fmt.Errorf("folder %s holds no .yaml file", path)
	case len(names) > maxFiles:
		return nil, "", fmt.Errorf("folder %s holds %d policy files; at most %d are read", path, len(names), maxFiles)
	}
	return names, path, nil
}

// readFile reads a byte more than a policy file may have, so that Parse can tell.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // the operator names the policy file
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Parse is Load without the reading: it checks the texts of a policy whose paths are relative to folder. Nothing is opened.
func Parse(folder string, files []File, syntax policy.Syntax) (*Config, error) {
	return parse(folder, files, syntax, nil)
}

func parse(folder string, files []File, syntax policy.Syntax, read func(string) ([]byte, error)) (*Config, error) {
	if len(files) == 0 {
		return nil, errors.New("parse the policy: no file")
	}
	var problems Problems
	var tops []*node
	left := maxNodes
	for _, f := range files {
		if len(f.Text) > maxFile {
			problems = append(problems, Problem{
				Pos: policy.Pos{File: f.Name}, Kind: policy.KindLimit,
				Message: fmt.Sprintf("the file is larger than %d MiB", maxFile>>20), Hint: "split it into a folder of files",
			})
			continue
		}
		p := parser{file: f.Name, left: &left, problems: &problems}
		if top := p.parse(f.Text); top != nil {
			tops = append(tops, top)
		}
	}
	// What a file that could not be read, or not to its end, defines would only look missing.
	limited := func(p Problem) bool { return p.Kind == policy.KindLimit }
	if len(tops) < len(files) || slices.ContainsFunc(problems, limited) {
		return nil, problems.Sort()
	}
	var doc document
	decoder{problems: &problems, known: map[reflect.Type][]field{}}.value(merge(tops, &problems), &doc, field{}, tops[0].pos)
	c := build(&doc, folder, syntax, read, &problems)
	if len(problems) > 0 {
		return nil, problems.Sort()
	}
	c.Path = folder
	for _, f := range files {
		c.Files = append(c.Files, f.Name)
	}
	return c, nil
}

// Secrets lists every secret source of the file, for checks of where secrets are kept.
func (c *Config) Secrets() []Source {
	all := []Source{c.Keys.Root, c.Keys.Audit, c.Keys.State}
	for _, stores := range []map[string]*Store{c.Stores, c.Standbys} {
		for _, s := range stores {
			all = append(all, s.Provisioner.Password, s.Grantor.Password, s.Scanner.Password)
		}
	}
	if s := c.Slack; s != nil {
		all = append(all, s.Bot, s.App, s.Signing)
	}
	if o := c.Portal.OIDC; o != nil {
		all = append(all, o.Secret)
	}
	if l := c.LDAP; l != nil {
		all = append(all, l.Password)
	}
	all = slices.DeleteFunc(all, Source.IsZero)
	slices.SortFunc(all, func(a, b Source) int { return strings.Compare(a.Pos.String(), b.Pos.String()) })
	return all
}
