package scan

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/postern-sec/postern/internal/catalog"
)

// Own is a check that a site wrote itself: one SELECT whose rows are findings, or a CEL expression over the snapshot.
type Own struct {
	ID         string       `yaml:"id"`
	Title      string       `yaml:"title"`
	Pillar     string       `yaml:"pillar"`
	Severity   string       `yaml:"severity"`
	Why        string       `yaml:"why"`
	Remedy     string       `yaml:"remedy"`
	References []string     `yaml:"references"`
	MinMajor   int          `yaml:"min_major"`
	MaxMajor   int          `yaml:"max_major"`
	SQL        string       `yaml:"sql"`
	Each       bool         `yaml:"each_database"` // ask in every database, else in the first one only
	Rows       int          `yaml:"rows"`          // at most so many are kept; 0: 100
	CEL        string       `yaml:"cel"`
	Snapshot   int          `yaml:"snapshot"` // with cel: the format of the snapshot that it is written for
	Fixtures   []OwnFixture `yaml:"fixtures"`

	program *celProgram
}

// OwnFixture is one test of an own check: what the question would answer, or a part of a snapshot, and what must come of it.
type OwnFixture struct {
	Name     string              `yaml:"name"`
	Rows     []map[string]string `yaml:"rows"`
	Evidence map[string]any      `yaml:"evidence"`
	Expect   string              `yaml:"expect"` // pass, fail
	Objects  []string            `yaml:"objects"`
}

// ownRows is how many rows of a question are kept when its check does not say.
const (
	ownRows    = 100
	maxOwnRows = 10_000
)

var ownID = regexp.MustCompile(`^[A-Z][A-Z0-9]{1,15}-[0-9]{3}$`)

// ReadOwn reads a YAML file of own checks, strictly. question says what is wrong with a SELECT.
func ReadOwn(file string, text []byte, question func(sql string) error) ([]Own, error) {
	var out []Own
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	known, _, err := Catalogue()
	if err != nil {
		return nil, err
	}
	for i := range out {
		c := &out[i]
		if _, taken := known[c.ID]; taken {
			return nil, fmt.Errorf("read %s: check %d: %s is one of postern's own", file, i+1, c.ID)
		}
		if err := c.prepare(question); err != nil {
			return nil, fmt.Errorf("read %s: check %d (%s): %w", file, i+1, c.ID, err)
		}
	}
	return out, nil
}

// prepare checks the fields and compiles the expression.
func (c *Own) prepare(question func(string) error) error {
	if !ownID.MatchString(c.ID) {
		return fmt.Errorf("id %q: expected letters, a dash and three digits, such as SITE-001", c.ID)
	}
	for name, v := range map[string]string{"title": c.Title, "why": c.Why, "remedy": c.Remedy} {
		if strings.TrimSpace(v) == "" {
			return fmt.Errorf("%s is missing", name)
		}
	}
	if !slices.Contains([]string{"network", "transport", "database", "best-practice"}, c.Pillar) {
		return fmt.Errorf("pillar %q: expected network, transport, database or best-practice", c.Pillar)
	}
	if _, err := ParseSeverity(c.Severity); err != nil {
		return err
	}
	switch {
	case (c.SQL == "") == (c.CEL == ""):
		return errors.New("give sql or cel, and one of them only")
	case c.SQL != "":
		if c.Rows < 0 || c.Rows > maxOwnRows {
			return fmt.Errorf("rows: from 1 to %d", maxOwnRows)
		}
		if c.Rows == 0 {
			c.Rows = ownRows
		}
		if err := question(c.SQL); err != nil {
			return fmt.Errorf("sql: %w", err)
		}
	default:
		if c.Snapshot != catalog.EvidenceFormat {
			return fmt.Errorf("snapshot: %d: this version's snapshots have format %d", c.Snapshot, catalog.EvidenceFormat)
		}
		var err error
		if c.program, err = compileCEL(c.CEL); err != nil {
			return fmt.Errorf("cel: %w", err)
		}
	}
	return c.checkFixtures()
}

// checkFixtures wants one that fails and one that passes: a check that cannot fail is no check.
func (c *Own) checkFixtures() error {
	for _, want := range []string{"fail", "pass"} {
		if !slices.ContainsFunc(c.Fixtures, func(f OwnFixture) bool { return f.Expect == want }) {
			return fmt.Errorf("fixtures: none has expect: %s", want)
		}
	}
	for _, f := range c.Fixtures {
		if f.Expect != "fail" && f.Expect != "pass" {
			return fmt.Errorf("fixture %q: expect: fail or pass", f.Name)
		}
		if c.SQL != "" && f.Evidence != nil || c.CEL != "" && f.Rows != nil {
			return fmt.Errorf("fixture %q: rows are for sql, evidence is for cel", f.Name)
		}
	}
	return nil
}

// fact is the name under which the question's answer is missed.
func (c *Own) fact() catalog.Fact { return catalog.Fact("own:" + c.ID) }

// Question is what has to be asked of the server, or nil for a check of the snapshot.
func (c *Own) Question() *catalog.OwnQuestion {
	if c.SQL == "" {
		return nil
	}
	return &catalog.OwnQuestion{ID: c.ID, Fact: c.fact(), SQL: c.SQL, Each: c.Each, Rows: c.Rows}
}

// check is the own check as one among the others.
func (c *Own) check() (Check, error) {
	severity, err := ParseSeverity(c.Severity)
	if err != nil {
		return Check{}, err
	}
	out := Check{ID: c.ID, Why: c.Why, Eval: func(e *catalog.Evidence, _ *Env) Verdict { return c.verdict(e) }}
	out.Meta = Meta{
		Pillar: c.Pillar, Title: c.Title, Severity: severity, Need: parseNeed("L"), Method: "a check of this site", Versions: "all", Remedy: c.Remedy, Autofix: "n",
		MinMajor: c.MinMajor, MaxMajor: c.MaxMajor,
	}
	for _, r := range c.References {
		out.References = append(out.References, Reference{Benchmark: r})
	}
	if c.SQL != "" {
		out.Reads = []catalog.Fact{c.fact()}
	}
	return out, nil
}

// verdict is what the answers, or the expression, come to.
func (c *Own) verdict(e *catalog.Evidence) Verdict {
	if c.CEL != "" {
		fs, err := c.program.findings(e)
		if err != nil {
			return notEvaluated("the expression could not be evaluated: " + err.Error())
		}
		return found(c.complete(fs))
	}
	var fs []Finding
	asked := false
	for _, a := range e.Own {
		if a.ID != c.ID {
			continue
		}
		asked = true
		where := ""
		if c.Each {
			where = "database " + a.Database + ": "
		}
		fs = append(fs, c.rows(where, a.Rows)...)
		if a.More {
			fs = append(fs, Finding{Object: where + "more rows", Evidence: fmt.Sprintf("only the first %d are kept", c.Rows)})
		}
	}
	if !asked {
		for _, u := range e.Unseen {
			if u.Fact == c.fact() {
				return notEvaluated(u.Why)
			}
		}
		return notEvaluated("the question was not asked when the server was looked at")
	}
	return found(c.complete(fs))
}

// rows turns an answer into findings: the columns object, evidence, fix and severity, or all columns when there is no object.
func (c *Own) rows(where string, rows []map[string]string) []Finding {
	var fs []Finding
	for _, r := range rows {
		f := Finding{Object: r["object"], Evidence: r["evidence"], Fix: r["fix"]}
		if s, err := ParseSeverity(r["severity"]); err == nil {
			f.Severity = s
		}
		if f.Object == "" {
			var parts []string
			for _, k := range sortedKeys(r) {
				parts = append(parts, k+" "+r[k])
			}
			f.Object = strings.Join(parts, ", ")
		}
		f.Object = where + f.Object
		fs = append(fs, f)
	}
	return fs
}

func sortedKeys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// complete fills in what a finding leaves to its check.
func (c *Own) complete(fs []Finding) []Finding {
	for i := range fs {
		if fs[i].Fix == "" {
			fs[i].Fix = c.Remedy
		}
		if fs[i].Evidence == "" {
			fs[i].Evidence = c.Title
		}
	}
	return fs
}

// TestOwn runs the fixtures of an own check and returns what is wrong, nothing when all is well.
func TestOwn(c *Own) []string {
	var out []string
	for _, f := range c.Fixtures {
		e := &catalog.Evidence{Format: catalog.EvidenceFormat, Own: []catalog.OwnAnswer{{ID: c.ID, Database: "fixture", Rows: f.Rows}}}
		if c.CEL != "" {
			text, err := json.Marshal(f.Evidence)
			if err == nil {
				d := json.NewDecoder(bytes.NewReader(text))
				d.DisallowUnknownFields()
				err = d.Decode(e)
			}
			if err != nil {
				out = append(out, fmt.Sprintf("%s, fixture %q: its evidence is no part of a snapshot: %v", c.ID, f.Name, err))
				continue
			}
		}
		v := c.verdict(e)
		if string(v.state) != f.Expect {
			out = append(out, fmt.Sprintf("%s, fixture %q: %s %s, expected %s", c.ID, f.Name, v.state, v.reason, f.Expect))
			continue
		}
		for _, want := range f.Objects {
			if !slices.ContainsFunc(v.findings, func(x Finding) bool { return strings.HasSuffix(x.Object, want) }) {
				out = append(out, fmt.Sprintf("%s, fixture %q: no finding on %q", c.ID, f.Name, want))
			}
		}
	}
	return out
}
