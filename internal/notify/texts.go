package notify

import (
	"bytes"
	_ "embed" // the texts
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

//go:embed mail.tmpl
var mailTexts string

// Source is a file with texts of a site's own.
type Source struct {
	File string
	Text string
}

// Bounds of a site's own texts.
const (
	maxTexts    = 100
	maxTextSize = 1 << 20
	textEnding  = ".tmpl"
)

// ReadSources reads a file with texts, or all that end in .tmpl in a folder.
func ReadSources(path string) ([]Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	names := []string{path}
	if info.IsDir() {
		if names, err = filepath.Glob(filepath.Join(filepath.Clean(path), "*"+textEnding)); err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("folder %s holds no %s file", path, textEnding)
		}
	}
	if len(names) > maxTexts {
		return nil, fmt.Errorf("folder %s holds more than %d files", path, maxTexts)
	}
	var out []Source
	for _, name := range names {
		text, err := readText(name)
		if err != nil {
			return nil, err
		}
		out = append(out, Source{name, text})
	}
	return out, nil
}

func readText(name string) (string, error) {
	f, err := os.Open(name) //nolint:gosec // the policy file names it
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxTextSize+1))
	if err == nil && len(text) > maxTextSize {
		err = fmt.Errorf("%s is larger than %d MiB", name, maxTextSize>>20)
	}
	return string(text), err
}

// Texts are the templates of messages: subject on the first line, then an empty one, then the text. One is called by the kind of notice,
// or "default"; sources define some anew, and may have helpers of their own. The error is a policy.Problems: a mistake shows when the
// policy is checked and at start, not when somebody should be told.
func Texts(sources ...Source) (*template.Template, error) {
	t, err := blank("").Parse(mailTexts)
	if err != nil {
		return nil, fmt.Errorf("read our own texts: %w", err)
	}
	c := textCheck{t: t, ours: map[string]bool{}, found: map[string]place{}}
	for _, own := range t.Templates() {
		c.ours[own.Name()] = own.Name() != ""
	}
	for _, s := range sources {
		c.read(s)
	}
	c.names()
	if len(c.problems) == 0 {
		c.play()
	}
	if len(c.problems) > 0 {
		return nil, c.problems.Sort()
	}
	return t, nil
}

func blank(name string) *template.Template {
	return template.New(name).Option("missingkey=error").Funcs(template.FuncMap{
		"when":   func(at time.Time) string { return at.UTC().Format("2 January 2006 15:04 UTC") },
		"within": Within,
	})
}

// Within sets what a person wrote apart from what Postern says: its further lines are indented, so that none of them passes for one of ours.
func Within(text string) string { return strings.ReplaceAll(text, "\n", "\n    ") }

// place is where a template of a site stands.
type place struct {
	tree *parse.Tree
	text string
}

func (p place) pos(at parse.Pos) policy.Pos {
	before := p.text[:min(int(at), len(p.text))]
	return policy.Pos{File: p.tree.ParseName, Line: 1 + strings.Count(before, "\n"), Column: len(before) - strings.LastIndex(before, "\n")}
}

// textCheck reads a site's texts and collects what is wrong with them.
type textCheck struct {
	t        *template.Template
	ours     map[string]bool
	found    map[string]place
	problems policy.Problems
}

func (c *textCheck) report(at policy.Pos, kind policy.Kind, hint, format string, args ...any) {
	c.problems = append(c.problems, policy.Problem{Pos: at, Kind: kind, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// read takes up the templates of one file.
func (c *textCheck) read(s Source) {
	t, err := blank(s.File).Parse(s.Text)
	if err != nil {
		c.failed(s.File, err, "it is Go's text/template: every {{ has a }}, and every define, if, range and with an {{end}}")
		return
	}
	for _, own := range t.Templates() {
		if own.Name() == s.File || own.Tree == nil {
			continue
		}
		here := place{own.Tree, s.Text}
		at := here.pos(own.Root.Position())
		if before, twice := c.found[own.Name()]; twice {
			c.report(at, policy.KindDuplicate, "leave out one of them", "template %q is defined in %s too", own.Name(), before.tree.ParseName)
			continue
		}
		c.found[own.Name()] = here
		if _, err := c.t.AddParseTree(own.Name(), own.Tree); err != nil {
			c.failed(s.File, err, "")
		}
	}
	if t.Tree == nil {
		return
	}
	for _, n := range t.Root.Nodes {
		if text, ok := n.(*parse.TextNode); !ok || strings.TrimSpace(string(text.Text)) != "" {
			c.report(place{t.Tree, s.Text}.pos(n.Position()), policy.KindValue, `put it between {{define "request.new"}} and {{end}}`, "this stands in no template, and is never sent")
			return
		}
	}
}

// textError is how text/template says where something is wrong. Columns, where there are any, count from 0.
var textError = regexp.MustCompile(`^template: (.+?):(\d+)(?::(\d+))?: (?:executing "[^"]*" )?(?:at )?((?s).*)$`)

func (c *textCheck) failed(file string, err error, hint string) {
	at, message := policy.Pos{File: file}, strings.TrimPrefix(err.Error(), composing)
	if m := textError.FindStringSubmatch(message); m != nil {
		at.File, message = m[1], m[4]
		at.Line, _ = strconv.Atoi(m[2])
		column, _ := strconv.Atoi(m[3])
		at.Column = column + 1
	}
	c.report(at, policy.KindSyntax, hint, "%s", message)
}

// names refuses what nothing calls: a kind of notice that there is not, and is no helper of another template either. It looks for fields
// that a message does not have too, also where no message comes by.
func (c *textCheck) names() {
	called := map[string]bool{}
	for _, p := range c.found {
		c.walk(p, p.tree.Root, false, called)
	}
	for name, p := range c.found {
		if c.ours[name] || called[name] {
			continue
		}
		hint := "docs/guide/notices.md lists them"
		if near := policy.Nearest(name, sorted(c.ours)); near != "" {
			hint = fmt.Sprintf("did you mean %q? ", near) + hint
		}
		c.report(p.pos(p.tree.Root.Position()), policy.KindDangling, hint, "there is no notice %q, and no template that calls it", name)
	}
}

func sorted(names map[string]bool) []string {
	var out []string
	for name, is := range names {
		if is {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// walk looks at all nodes of a template. other: the dot is no message there.
func (c *textCheck) walk(p place, n parse.Node, other bool, called map[string]bool) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, x := range n.Nodes {
				c.walk(p, x, other, called)
			}
		}
	case *parse.ActionNode:
		c.walk(p, n.Pipe, other, called)
	case *parse.IfNode:
		c.branch(p, &n.BranchNode, other, other, called)
	case *parse.WithNode:
		c.branch(p, &n.BranchNode, other, true, called)
	case *parse.RangeNode:
		c.branch(p, &n.BranchNode, other, true, called)
	case *parse.TemplateNode:
		called[n.Name] = true
		if n.Pipe != nil {
			c.walk(p, n.Pipe, other, called)
		}
	case *parse.PipeNode:
		for _, command := range n.Cmds {
			for _, arg := range command.Args {
				c.walk(p, arg, other, called)
			}
		}
	case *parse.FieldNode:
		// A helper may be called with anything.
		if helper := !c.ours[p.tree.Name]; !other && !helper {
			c.field(p, n.Position(), n.Ident[0])
		}
	case *parse.VariableNode:
		if helper := !c.ours[p.tree.Name]; n.Ident[0] == "$" && len(n.Ident) > 1 && !helper {
			c.field(p, n.Position(), n.Ident[1])
		}
	}
}

func (c *textCheck) branch(p place, b *parse.BranchNode, before, inside bool, called map[string]bool) {
	c.walk(p, b.Pipe, before, called)
	c.walk(p, b.List, inside, called)
	c.walk(p, b.ElseList, before, called)
}

func (c *textCheck) field(p place, at parse.Pos, name string) {
	m := reflect.TypeFor[Message]()
	var all []string
	for i := range m.NumField() {
		all = append(all, m.Field(i).Name)
	}
	if slices.Contains(all, name) {
		return
	}
	hint := "a message has " + strings.Join(all, ", ")
	if near := policy.Nearest(name, all); near != "" {
		hint = "did you mean ." + near + "? " + hint
	}
	c.report(p.pos(at), policy.KindDangling, hint, "a message has no field %q", name)
}

// play writes every text, of a message that says all and of one that says as little as there can be.
func (c *textCheck) play() {
	at := time.Unix(0, 0)
	for _, name := range sorted(c.ours) {
		for _, m := range []Message{{Kind: name, At: at}, {
			ID: "1", Kind: name, At: at, To: "to", Email: "to@example.com", Subject: "subject", Dataset: "dataset", Rule: "rule", Request: "request",
			Grant: "grant", Grants: []Lost{{"grant", "dataset", "rule"}}, State: "active", Until: at, Note: "note", Reason: "reason", Urgent: true, Statement: "SELECT ?", Withheld: true, Link: "https://example.com",
		}} {
			subject, _, err := Compose(c.t, &m)
			p, own := c.found[name]
			if err != nil {
				c.failed(name, err, "")
			} else if own && name != "about" && strings.TrimSpace(subject) == "" {
				c.report(p.pos(p.tree.Root.Position()), policy.KindMissing, "begin the template with a line of text", "template %q has no subject: its first line is empty", name)
			}
		}
	}
}

const composing = "write a message: "

// Compose writes a message by a template: its subject, and its text.
func Compose(t *template.Template, m *Message) (subject, body string, err error) {
	name := m.Kind
	if t.Lookup(name) == nil {
		name = "default"
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, name, m); err != nil {
		return "", "", fmt.Errorf(composing+"%w", err)
	}
	subject, body, _ = strings.Cut(strings.TrimLeft(b.String(), "\n"), "\n")
	return subject, strings.TrimSpace(body) + "\n", nil
}
