package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// RuleEdit is a change to one rule of a policy file.
type RuleEdit struct {
	Rule        string
	Add, Remove []string // of its 'to', as the file writes names
	Enabled     *bool
}

// plainName is a name that YAML takes without quotes, wherever it stands.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// HasRule says whether a policy file has a rule.
func HasRule(text []byte, rule string) bool {
	_, err := ruleNode(text, rule)
	return err == nil
}

// EditRule changes a rule in the text of a policy file and nothing besides: comments, order and layout stay. What stands in a form that it
// does not know, such as an alias or a list over several lines in brackets, is an error: that is a person's to change.
func EditRule(text []byte, e RuleEdit) ([]byte, error) {
	out := string(text)
	if e.Enabled != nil {
		rule, err := ruleNode([]byte(out), e.Rule)
		if err != nil {
			return nil, err
		}
		if out, err = setEnabled(out, rule, *e.Enabled); err != nil {
			return nil, err
		}
	}
	if len(e.Add)+len(e.Remove) > 0 {
		rule, err := ruleNode([]byte(out), e.Rule)
		if err != nil {
			return nil, err
		}
		if out, err = setTo(out, rule, e); err != nil {
			return nil, err
		}
	}
	return []byte(out), nil
}

func ruleNode(text []byte, rule string) (*yaml.Node, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("read the policy file: %w", err)
	}
	if len(root.Content) != 1 {
		return nil, fmt.Errorf("the file has no rule %q", rule)
	}
	found := valueOf(valueOf(root.Content[0], "rules"), rule)
	if found == nil {
		return nil, fmt.Errorf("the file has no rule %q", rule)
	}
	if found.Kind != yaml.MappingNode || found.Anchor != "" {
		return nil, fmt.Errorf("rule %q is not written out where it stands", rule)
	}
	return found, nil
}

func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// offset is where a node begins in the text. Its column counts characters.
func offset(text string, n *yaml.Node) int {
	at := 0
	for range n.Line - 1 {
		at += strings.IndexByte(text[at:], '\n') + 1
	}
	for range n.Column - 1 {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}

func setEnabled(text string, rule *yaml.Node, enabled bool) (string, error) {
	value := strconv.FormatBool(enabled)
	if has := valueOf(rule, "enabled"); has != nil {
		at := offset(text, has)
		if has.Kind != yaml.ScalarNode || has.Style != 0 || !strings.HasPrefix(text[at:], has.Value) {
			return "", fmt.Errorf("line %d: the value of enabled is written in a way that this does not change", has.Line)
		}
		return text[:at] + value + text[at+len(has.Value):], nil
	}
	at := offset(text, rule)
	if rule.Style&yaml.FlowStyle != 0 {
		return text[:at+1] + "enabled: " + value + ", " + text[at+1:], nil
	}
	begin := strings.LastIndexByte(text[:at], '\n') + 1
	return text[:begin] + text[begin:at] + "enabled: " + value + "\n" + text[begin:], nil
}

func setTo(text string, rule *yaml.Node, e RuleEdit) (string, error) {
	to := valueOf(rule, "to")
	if to == nil || to.Kind != yaml.SequenceNode || slices.ContainsFunc(to.Content, func(n *yaml.Node) bool { return n.Kind != yaml.ScalarNode }) {
		return "", fmt.Errorf("rule %q has no list of who it is for, written out where it stands", e.Rule)
	}
	for _, name := range e.Remove {
		if !slices.ContainsFunc(to.Content, func(n *yaml.Node) bool { return n.Value == name }) {
			return "", fmt.Errorf("rule %q is not for %s", e.Rule, name)
		}
	}
	for _, name := range e.Add {
		if slices.ContainsFunc(to.Content, func(n *yaml.Node) bool { return n.Value == name }) {
			return "", fmt.Errorf("rule %q is for %s already", e.Rule, name)
		}
	}
	if to.Style&yaml.FlowStyle != 0 {
		return setFlow(text, to, e)
	}
	return setBlock(text, to, e)
}

// setFlow writes a list in brackets anew.
func setFlow(text string, to *yaml.Node, e RuleEdit) (string, error) {
	begin := offset(text, to)
	line := text[begin:]
	if end := strings.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	end := closing(line)
	if end < 0 {
		return "", fmt.Errorf("line %d: the list goes over several lines", to.Line)
	}
	var names []string
	for _, n := range to.Content {
		if !slices.Contains(e.Remove, n.Value) {
			names = append(names, quoted(n.Value))
		}
	}
	for _, name := range e.Add {
		names = append(names, quoted(name))
	}
	return text[:begin] + "[" + strings.Join(names, ", ") + "]" + text[begin+end+1:], nil
}

// closing finds the bracket that ends a list which begins a line; -1: it does not end there.
func closing(line string) int {
	var quote byte
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote == '"' && c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' && i > 0 && line[i-1] == ' ':
			return -1
		case c == ']':
			return i
		}
	}
	return -1
}

// setBlock adds and takes out lines of a list with dashes.
func setBlock(text string, to *yaml.Node, e RuleEdit) (string, error) {
	lines := strings.SplitAfter(text, "\n")
	last := to.Content[len(to.Content)-1]
	head := lines[last.Line-1]
	dash := strings.IndexByte(head, '-')
	if dash < 0 || strings.TrimSpace(head[:dash]) != "" || !strings.HasSuffix(head, "\n") {
		return "", fmt.Errorf("line %d: an entry of the list is written in a way that this does not change", last.Line)
	}
	var out strings.Builder
	for i, l := range lines {
		gone := slices.ContainsFunc(to.Content, func(n *yaml.Node) bool { return n.Line == i+1 && slices.Contains(e.Remove, n.Value) })
		if gone && strings.TrimSpace(strings.SplitN(l, "-", 2)[0]) != "" {
			return "", fmt.Errorf("line %d: an entry of the list is written in a way that this does not change", i+1)
		}
		if !gone {
			out.WriteString(l)
		}
		if i == last.Line-1 {
			for _, name := range e.Add {
				out.WriteString(head[:dash] + "- " + quoted(name) + "\n")
			}
		}
	}
	return out.String(), nil
}

func quoted(name string) string {
	if plainName.MatchString(name) {
		switch strings.ToLower(name) {
		case "null", "true", "false", "yes", "no", "on", "off", "y", "n": // words that YAML takes for something else
		default:
			return name
		}
	}
	return strconv.Quote(name)
}
