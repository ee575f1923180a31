package config

import (
	"fmt"
	"regexp"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/postern-sec/postern/internal/policy"
)

// Limits of a policy file. A file of a thousand users and as many rules has some 300 kB, six levels and 30,000 values.
const (
	maxFile  = 1 << 20 // bytes of one file
	maxFiles = 200     // in a folder
	maxTotal = 8 << 20 // bytes of all files of a folder
	maxDepth = 16      // levels of nesting
	maxNodes = 300_000 // values, those that aliases repeat included
)

// kind is the shape of a node.
type kind int

const (
	scalarNode kind = iota
	listNode
	mapNode
)

func (k kind) String() string {
	return [...]string{"a value", "a list", "a mapping"}[k]
}

// node is a value of a policy file with its place. Aliases are resolved, so it is a tree; in a map every key is text and
// stands once.
type node struct {
	kind  kind
	text  policy.Text // of a scalar
	tag   string      // of a scalar: !!str, !!int, …
	pos   policy.Pos
	list  []*node
	pairs []pair
}

type pair struct {
	key   policy.Text
	value *node
}

// parser turns one file into nodes.
type parser struct {
	file     string
	lines    []string
	left     *int // nodes that may still be made, for all files together
	problems *Problems
}

func (p *parser) report(kind policy.Kind, pos policy.Pos, hint, format string, args ...any) {
	*p.problems = append(*p.problems, Problem{Pos: pos, Kind: kind, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// parse returns the file's top mapping, or nil after reporting why there is none.
func (p *parser) parse(text []byte) *node {
	top := policy.Pos{File: p.file, Line: 1, Column: 1}
	p.lines = strings.Split(string(text), "\n")
	docs, err := readYAML(text)
	if err != nil {
		pos, message := p.yamlError(err)
		p.report(policy.KindSyntax, pos, "", "not valid YAML: %s", message)
		return nil
	}
	switch {
	case len(docs) == 0:
		p.report(policy.KindMissing, top, "'postern init' writes a commented one", "the file is empty")
		return nil
	case len(docs) > 1:
		p.report(policy.KindSyntax, p.pos(docs[1]), "put them into files of one folder", "a second YAML document in the file")
		return nil
	}
	n := p.convert(docs[0], 0)
	if n != nil && n.kind != mapNode {
		p.report(policy.KindType, n.pos, "", "expected a mapping of keys to values, found %s", n.kind)
		return nil
	}
	return n
}

// readYAML returns the root node of each document of a text. The parser is somebody else's and has been known to panic on
// odd input, which must not take the gateway down during a reload.
func readYAML(text []byte) (roots []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the YAML parser gave up: %v", r)
		}
	}()
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	for len(roots) < 2 {
		var doc yaml.Node
		if err := dec.Decode(&doc); err != nil {
			if err.Error() == "EOF" {
				return roots, nil
			}
			return nil, err
		}
		if len(doc.Content) == 1 {
			roots = append(roots, doc.Content[0])
		}
	}
	return roots, nil
}

// yamlMessage is the form of the parser's messages.
var yamlMessage = regexp.MustCompile(`^yaml: (?:line \d+: )?(.*)$`)

func (p *parser) yamlError(err error) (policy.Pos, string) {
	message, _, _ := strings.Cut(err.Error(), "\n")
	m := yamlMessage.FindStringSubmatch(message)
	if m == nil {
		return policy.Pos{File: p.file, Line: 1, Column: 1}, message
	}
	line := p.errorLine(m[1])
	column := len(p.lines[line-1]) - len(strings.TrimLeft(p.lines[line-1], " \t")) + 1
	return policy.Pos{File: p.file, Line: line, Column: column}, m[1]
}

// errorLine finds the line at which an error shows. The YAML parser names the line where the construct around it begins, which may be
// far above, and is one off for some errors; but it reads from top to bottom, so the first lines that yield the same error
// end with the one that causes it.
func (p *parser) errorLine(message string) int {
	return 1 + sort.Search(len(p.lines)-1, func(i int) bool {
		_, err := readYAML([]byte(strings.Join(p.lines[:i+1], "\n")))
		return err != nil && strings.HasSuffix(err.Error(), message)
	})
}

func (p *parser) pos(n *yaml.Node) policy.Pos {
	return policy.Pos{File: p.file, Line: n.Line, Column: n.Column}
}

// convert copies a YAML node, following aliases, within the limits. It returns nil for what was refused and reported.
func (p *parser) convert(n *yaml.Node, depth int) *node {
	if *p.left--; *p.left <= 0 {
		if *p.left == 0 {
			p.report(policy.KindLimit, p.pos(n), "", "more than %d values, counting those that aliases repeat", maxNodes)
		}
		return nil
	}
	if depth > maxDepth {
		p.report(policy.KindLimit, p.pos(n), "", "nested more than %d levels deep", maxDepth)
		return nil
	}
	out := &node{pos: p.pos(n), tag: n.ShortTag()}
	switch n.Kind {
	case yaml.AliasNode:
		return p.convert(n.Alias, depth+1)
	case yaml.SequenceNode:
		out.kind = listNode
		for _, c := range n.Content {
			if item := p.convert(c, depth+1); item != nil {
				out.list = append(out.list, item)
			}
		}
	case yaml.MappingNode:
		out.kind = mapNode
		p.convertPairs(n, out, depth)
	default:
		out.text = p.text(n)
	}
	if n.Style&yaml.TaggedStyle != 0 && n.Kind != yaml.ScalarNode && out.tag != "!!map" && out.tag != "!!seq" {
		p.report(policy.KindType, out.pos, "", "the tag %s has no meaning here", n.Tag)
	}
	return out
}

func (p *parser) convertPairs(n *yaml.Node, out *node, depth int) {
	first := make(map[string]policy.Pos, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode && k.Alias != nil {
			k = k.Alias
		}
		pos := p.pos(n.Content[i])
		switch {
		case k.Kind != yaml.ScalarNode:
			p.report(policy.KindType, pos, "", "a key must be text")
			continue
		case k.ShortTag() == "!!merge":
			p.report(policy.KindSyntax, pos, "write the keys out", "merge keys (<<) are not read")
			continue
		case k.ShortTag() != "!!str":
			p.report(policy.KindType, pos, fmt.Sprintf("quote it: %q", k.Value), "a key must be text, not %s", tagName(k.ShortTag()))
			continue
		}
		if other, twice := first[k.Value]; twice {
			p.report(policy.KindDuplicate, pos, "", "key %q is set twice: also at %s", k.Value, other)
			continue
		}
		first[k.Value] = pos
		key := p.text(k)
		key.Pos = pos
		if value := p.convert(v, depth+1); value != nil {
			out.pairs = append(out.pairs, pair{key, value})
		}
	}
}

// text copies a scalar and finds out whether it stands in the file as it is, so that places within it can be named.
func (p *parser) text(n *yaml.Node) policy.Text {
	t := policy.Text{Value: n.Value, Pos: p.pos(n)}
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) != 0 || n.Anchor != "" || n.Line < 1 || n.Line > len(p.lines) || n.Column > maxColumn {
		return t
	}
	at := t.Pos
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		at.Column++
	}
	line := p.lines[n.Line-1]
	for skip := at.Column - 1; skip > 0; skip-- {
		_, rest, ok := cutRune(line)
		if !ok {
			return t
		}
		line = rest
	}
	t.Linear, t.Content = strings.HasPrefix(line, n.Value), at
	return t
}

// maxColumn is how far into a line places within a text are named. It bounds the work on a file that is one long line.
const maxColumn = 500

func cutRune(s string) (r rune, rest string, ok bool) {
	for i, c := range s {
		if i > 0 {
			return r, s[i:], true
		}
		r = c
	}
	return r, "", s != ""
}

func tagName(tag string) string {
	switch tag {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a date"
	case "!!binary":
		return "binary data"
	case "!!str":
		return "text"
	}
	return tag
}
