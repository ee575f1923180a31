// Package attacks runs the attack corpus (README.md) against an endpoint that speaks PostgreSQL's protocol: the
// gateway, the bare wall, or a server with plain grants. It is a client of the wire and knows nothing of the product.
package attacks

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Outcome is what became of an attempt.
type Outcome string

// The outcomes, from best to worst where a refusal is wanted.
const (
	Denied Outcome = "denied"
	NoRaw  Outcome = "no_raw"
	Leaked Outcome = "leaked"
)

// Entry is one attempt or one ordinary query.
type Entry struct {
	ID        string            `yaml:"id"`
	Class     string            `yaml:"class"`
	Role      string            `yaml:"role"`
	Via       string            `yaml:"via"`
	SQL       string            `yaml:"sql"`
	Detect    string            `yaml:"detect"`
	Forbid    string            `yaml:"forbid"`
	Neighbour string            `yaml:"neighbour"`
	Params    []string          `yaml:"params"`
	Script    [][]any           `yaml:"script"`
	Startup   map[string]string `yaml:"startup"`
	Residual  bool              `yaml:"residual"`
	Since     int               `yaml:"since"` // the first major that has what the entry is about
	Note      string            `yaml:"note"`
	Measured  map[string]string `yaml:"measured"`
	RawExpect yaml.Node         `yaml:"expect"`

	Expect Outcome `yaml:"-"` // of an attack
	Answer Answer  `yaml:"-"` // of an ordinary query
	detect *regexp.Regexp
	forbid *regexp.Regexp // nil: nothing but detect counts
}

// Answer is the right answer to an ordinary query: one of the three is set.
type Answer struct {
	Rows  [][]string `yaml:"rows"`
	Copy  []string   `yaml:"copy"`
	Count *int       `yaml:"count"`
}

// Corpus is a file of attempts and one of ordinary queries.
type Corpus struct {
	Attacks []*Entry
	Benign  []*Entry
}

// On returns the part of the corpus that a major can be asked.
func (c *Corpus) On(major int) *Corpus {
	newer := func(e *Entry) bool { return e.Since > major }
	return &Corpus{
		Attacks: slices.DeleteFunc(slices.Clone(c.Attacks), newer), Benign: slices.DeleteFunc(slices.Clone(c.Benign), newer),
	}
}

// Load reads the given corpus of a folder: attacks.yaml and benign.yaml.
func Load(dir string) (*Corpus, error) { return load(dir, "attacks.yaml", "benign.yaml") }

// LoadFound reads what was found later: found.yaml and found_benign.yaml. What may not be seen is the same.
func LoadFound(dir string) (*Corpus, error) {
	return load(dir, "attacks.yaml", "found.yaml", "found_benign.yaml")
}

// load reads files, of which a later one replaces the lists of an earlier one. Unknown fields are errors: a misspelt "detect" would
// otherwise make an attack that nothing can find.
func load(dir string, names ...string) (*Corpus, error) {
	var file struct {
		Version int               `yaml:"version"`
		Forbid  map[string]string `yaml:"forbid"`
		Attacks []*Entry          `yaml:"attacks"`
		Benign  []*Entry          `yaml:"benign"`
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		if name == "found.yaml" {
			file.Attacks = nil
		}
		d := yaml.NewDecoder(bytes.NewReader(text))
		d.KnownFields(true)
		if err := d.Decode(&file); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, e := range file.Attacks {
		if err := e.prepareAttack(file.Forbid[e.Role]); err != nil {
			return nil, fmt.Errorf("%s: %w", e.ID, err)
		}
	}
	for _, e := range file.Benign {
		if err := e.RawExpect.Decode(&e.Answer); err != nil {
			return nil, fmt.Errorf("%s: %w", e.ID, err)
		}
		if e.Answer.Rows == nil && e.Answer.Copy == nil && e.Answer.Count == nil {
			return nil, fmt.Errorf("%s: no expected answer", e.ID)
		}
	}
	return &Corpus{Attacks: file.Attacks, Benign: file.Benign}, nil
}

func (e *Entry) prepareAttack(forbid string) error {
	var word string
	if err := e.RawExpect.Decode(&word); err != nil {
		return err
	}
	if e.Expect = Outcome(word); e.Expect != Denied && e.Expect != NoRaw {
		return fmt.Errorf("expect %q", word)
	}
	if e.Forbid != "" && e.Forbid != "none" {
		return fmt.Errorf("forbid %q", e.Forbid)
	}
	if forbid == "" {
		return fmt.Errorf("no forbid expression for role %q", e.Role)
	}
	var err error
	if e.Forbid == "" {
		if e.forbid, err = regexp.Compile("(?m)" + forbid); err != nil {
			return err
		}
	}
	if e.Detect != "" {
		e.detect, err = regexp.Compile("(?m)" + e.Detect)
	}
	return err
}

// leak returns what of the text must not be there, or nothing.
func (e *Entry) leak(text string) string {
	for _, re := range []*regexp.Regexp{e.forbid, e.detect} {
		if re != nil {
			if at := re.FindStringIndex(text); at != nil {
				return text[at[0]:at[1]]
			}
		}
	}
	return ""
}
