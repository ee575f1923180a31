package discover

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/postern-sec/postern/internal/classify"
	"github.com/postern-sec/postern/internal/policy"
)

// Names that a patch adds to the policy file.
const (
	patchProfile = "discovered"
	patchDataset = "discovered"
)

// Patch returns the policy file with what was found in one store: see Reports.Patch.
func (r *Report) Patch(existing []byte, known *policy.Policy) ([]byte, error) {
	return Reports{r}.Patch(existing, known)
}

// Patch returns the policy file with labels for what was found, a mask profile that fits them and a dataset of the tables that no
// dataset names yet. Comments, order and everything else stay as they are: text is inserted, nothing is written anew. existing may
// be empty; known is the policy that the file loads as, or nil. Labels that the file has are left alone. The stores share the profile
// and the dataset, so that all of them are looked at before either is written.
func (rs Reports) Patch(existing []byte, known *policy.Policy) ([]byte, error) {
	var labels []entry
	for _, r := range rs {
		if r.Store == "" {
			return nil, errors.New("a patch needs the name of the store: run discover with --store")
		}
		labels = append(labels, r.labelEntries(known)...)
	}
	out, err := change(existing, func(text string) (string, error) { return rs.patch(text, existing, labels, known) })
	if err != nil {
		return nil, err
	}
	if err := extends(existing, out); err != nil {
		return nil, err
	}
	return out, nil
}

func (rs Reports) patch(text string, existing []byte, labels []entry, known *policy.Policy) (_ string, err error) {
	for _, step := range []struct {
		path    []string
		entries []entry
	}{
		{[]string{"labels"}, labels},
		{[]string{"masks", patchProfile}, rs.maskEntries(existing, known)},
	} {
		if len(step.entries) == 0 {
			continue
		}
		if text, err = insert(text, step.path, step.entries); err != nil {
			return "", fmt.Errorf("patch %s: %w", strings.Join(step.path, "."), err)
		}
	}
	if text, err = rs.addTables(text, known); err != nil {
		return "", fmt.Errorf("patch datasets: %w", err)
	}
	return text, nil
}

// documentEnd is a line that ends a YAML document: what stands behind it is no part of the policy.
var documentEnd = regexp.MustCompile(`(?m)^\.\.\.([ \t\r].*)?$`)

// change changes the text of a file that goes on to its end, and keeps the ends of its lines.
func change(existing []byte, by func(string) (string, error)) ([]byte, error) {
	text := string(existing)
	if at := documentEnd.FindStringIndex(text); at != nil {
		return nil, fmt.Errorf("line %d ends the YAML document with \"...\", and what is added would stand behind it: remove that line", 1+strings.Count(text[:at[0]], "\n"))
	}
	crlf := strings.Contains(text, "\n") && strings.Count(text, "\n") == strings.Count(text, "\r\n")
	if crlf {
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	text, err := by(text)
	if crlf {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return []byte(text), err
}

// entry is one key with a scalar or a mapping below it.
type entry struct {
	key   string
	value string // already YAML
	below []entry
	note  string // comment behind it
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$-]*$`)

// place is a location in the policy language: a name that is not plain stands in double quotes there. It is empty when a name has
// control characters, which the language refuses.
func (r *Report) place(parts ...string) string {
	out := r.Store
	for _, p := range parts {
		if strings.ContainsFunc(p, unicode.IsControl) {
			return ""
		}
		if !plainName.MatchString(p) {
			p = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
		}
		out += "." + p
	}
	return out
}

var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$.-]*$`)

// yamlText writes a text so that YAML reads it as just that text.
func yamlText(s string) string {
	if plainKey.MatchString(s) {
		return s
	}
	quoted, err := json.Marshal(s) // YAML reads JSON's strings
	if err != nil {
		return strconv.Quote(s) // cannot be: a string always has a JSON form
	}
	return string(quoted)
}

// served lists what was found in schemas that the policy's store serves: the policy refuses to speak of any other.
func (r *Report) served(known *policy.Policy) []*Record {
	var out []*Record
	for _, c := range r.Sensitive() {
		if serves(known, r.Store, c.Schema) {
			out = append(out, c)
		}
	}
	return out
}

func serves(known *policy.Policy, store, schema string) bool {
	return known == nil || known.Stores[store] == nil || slices.Contains(known.Stores[store].Schemas, schema)
}

// Unwritable counts the sensitive columns that a patch leaves out, because their names have control characters.
func (r *Report) Unwritable() int {
	n := 0
	for _, c := range r.Sensitive() {
		if r.place(c.Schema, c.Table, c.Column) == "" {
			n++
		}
	}
	return n
}

// Unserved names the schemas with sensitive columns that a patch leaves out, because the store of the policy does not serve them.
func (r *Report) Unserved(known *policy.Policy) []string {
	var out []string
	for _, c := range r.Sensitive() {
		if !serves(known, r.Store, c.Schema) && !slices.Contains(out, c.Schema) {
			out = append(out, c.Schema)
		}
	}
	return out
}

func (r *Report) labelEntries(known *policy.Policy) []entry {
	var out []entry
	for _, c := range r.served(known) {
		place := r.place(c.Schema, c.Table, c.Column)
		if place == "" || c.State == classify.StateNotExamined {
			continue
		}
		if known != nil && known.Labels[policy.Column{Table: policy.Table{Store: r.Store, Schema: c.Schema, Name: c.Table}, Column: c.Column}] != nil {
			continue
		}
		note := fmt.Sprintf("%.2f", c.Confidence)
		if c.Confidence < 0.8 {
			note += ", please check"
		}
		out = append(out, entry{key: place, value: c.Label, note: note})
	}
	return out
}

// maskEntries gives each class one mask; columns whose type wants another are named. A mask that stands in the profile is kept, and
// columns are measured by it.
func (rs Reports) maskEntries(existing []byte, known *policy.Policy) []entry {
	have := standing(existing, known)
	out, masks := rs.extending(have, known)
	for _, r := range rs {
		for _, c := range r.served(known) {
			mask, wants := masks[c.Class], usable(c.Mask)
			if mask == "" {
				mask = standingMask(have, c.Class)
				wants = fitted(mask, c)
			}
			place := r.place(c.Schema, c.Table, c.Column)
			if _, named := have[place]; wants != mask && place != "" && !named {
				out = append(out, entry{key: place, value: scalar(wants)})
			}
		}
	}
	if _, any := have[policy.PatternAny]; len(out) > 0 && !any {
		out = append(out, entry{key: policy.PatternAny, value: "hidden"})
		rest := "keep"
		if slices.ContainsFunc(rs, (*Report).incomplete) {
			rest = "hidden" // what was not examined is not shown
		}
		out = append(out, entry{key: policy.PatternUnlabelled, value: rest})
	}
	return out
}

func commonestMask(counts map[string]int) string {
	best := ""
	for m, n := range counts {
		if best == "" || n > counts[best] || n == counts[best] && m < best {
			best = m
		}
	}
	return best
}

// usable is the mask if this version of the policy language has it, else hidden.
func usable(m classify.Mask) string {
	s := string(m)
	if s == "constant" {
		s = `constant("***")`
	}
	if _, err := policy.ParseMask(s); err != nil {
		return "hidden"
	}
	return s
}

// scalar quotes a mask where YAML needs it.
func scalar(s string) string {
	if strings.ContainsAny(s, `",:#{}[]&*!|>'%@`) {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	return s
}

func inDataset(known *policy.Policy, store, schema, table string) bool {
	if known == nil {
		return false
	}
	fits := func(p, s string) bool { return p == "" || p == "*" || p == s }
	for _, d := range known.Datasets {
		for _, p := range d.Include {
			if fits(p.Store, store) && fits(p.Schema, schema) && fits(p.Table, table) {
				return true
			}
		}
	}
	return false
}

// insert adds entries to the mapping at path, making what is missing of it.
func insert(text string, path []string, entries []entry) (string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return "", fmt.Errorf("the file does not parse: %w", err)
	}
	if len(doc.Content) == 0 {
		return appendBlock(text, wrap(path, entries)), nil
	}
	node := doc.Content[0]
	if node.Kind != yaml.MappingNode {
		return "", errors.New("the file is not a mapping")
	}
	for i, key := range path {
		keyNode, child := lookup(node, key)
		switch {
		case child == nil && i == 0:
			return appendBlock(text, wrap(path, entries)), nil
		case child == nil:
			return into(text, node, wrap(path[i:], entries))
		case child.Kind == yaml.ScalarNode && child.Tag == "!!null":
			return afterKey(text, keyNode, child, wrap(path[i+1:], entries))
		case child.Kind != yaml.MappingNode:
			return "", fmt.Errorf("%s is not a mapping", key)
		}
		node = child
	}
	return into(text, node, entries)
}

// wrap nests entries under the keys of path.
func wrap(path []string, entries []entry) []entry {
	for i := len(path) - 1; i >= 0; i-- {
		entries = []entry{{key: path[i], below: entries}}
	}
	return entries
}

func lookup(m *yaml.Node, key string) (k, v *yaml.Node) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i], m.Content[i+1]
		}
	}
	return nil, nil
}

func appendBlock(text string, entries []entry) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + strings.Join(block(entries, 0), "\n") + "\n"
}

// block renders entries as lines of a block mapping.
func block(entries []entry, indent int) []string {
	var out []string
	pad := strings.Repeat(" ", indent)
	for _, e := range entries {
		line := pad + yamlText(e.key) + ":"
		if e.below == nil {
			line += " " + e.value
		}
		if e.note != "" {
			line += "  # " + e.note
		}
		out = append(out, line)
		out = append(out, block(e.below, indent+2)...)
	}
	return out
}

// flow renders entries for the inside of braces.
func flow(entries []entry) string {
	parts := make([]string, len(entries))
	for i, e := range entries {
		v := e.value
		if e.below != nil {
			v = "{" + flow(e.below) + "}"
		}
		parts[i] = yamlText(e.key) + ": " + v
	}
	return strings.Join(parts, ", ")
}

// into adds entries to an existing mapping, in its own style.
func into(text string, m *yaml.Node, entries []entry) (string, error) {
	entries = missing(m, entries)
	if len(entries) == 0 {
		return text, nil
	}
	if m.Style&yaml.FlowStyle != 0 {
		return intoFlow(text, m, entries)
	}
	lines := strings.Split(text, "\n")
	last := lastLine(m)
	indent := m.Content[0].Column - 1
	at := last // index of the line after the last node
	for at < len(lines) {
		l := lines[at]
		if strings.TrimSpace(l) == "" || len(l)-len(strings.TrimLeft(l, " ")) <= indent {
			break
		}
		at++
	}
	return splice(lines, at, block(entries, indent)), nil
}

// missing leaves out what the mapping has: the file's own word stands.
func missing(m *yaml.Node, entries []entry) []entry {
	var out []entry
	for _, e := range entries {
		if k, _ := lookup(m, e.key); k == nil {
			out = append(out, e)
		}
	}
	return out
}

func splice(lines []string, at int, more []string) string {
	out := append([]string(nil), lines[:at]...)
	out = append(out, more...)
	return strings.Join(append(out, lines[at:]...), "\n")
}

func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, c := range n.Content {
		last = max(last, lastLine(c))
	}
	return last
}

func intoFlow(text string, m *yaml.Node, entries []entry) (string, error) {
	start := offset(text, m.Line, m.Column)
	if start >= len(text) || text[start] != '{' {
		return "", errors.New("cannot find the mapping's brace")
	}
	end := closing(text, start)
	if end < 0 {
		return "", errors.New("cannot find the mapping's end")
	}
	body := strings.TrimRight(text[start+1:end], " \t\n")
	sep := ", "
	if strings.TrimSpace(body) == "" || strings.HasSuffix(body, ",") {
		sep = ""
	}
	return text[:start+1] + body + sep + flow(entries) + text[end:], nil
}

// offset turns a line and a column in runes into bytes.
func offset(text string, line, column int) int {
	at := 0
	for range line - 1 {
		n := strings.IndexByte(text[at:], '\n')
		if n < 0 {
			return len(text)
		}
		at += n + 1
	}
	for range column - 1 {
		_, size := firstRune(text[at:])
		at += size
	}
	return at
}

func firstRune(s string) (rune, int) {
	for i, r := range s {
		if i > 0 {
			return 0, i
		}
		_ = r
	}
	return 0, len(s)
}

// closing finds the brace that closes the one at start, over strings, comments and nested braces.
func closing(text string, start int) int {
	depth := 0
	for i := start; i < len(text); i++ {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i
			}
		case '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '\'':
			if i > 0 && !strings.ContainsRune(" ,[{:\n\t", rune(text[i-1])) {
				continue // an apostrophe inside a plain scalar
			}
			for i++; i < len(text); i++ {
				if text[i] == '\'' {
					if i+1 < len(text) && text[i+1] == '\'' {
						i++
						continue
					}
					break
				}
			}
		case '#':
			if i > 0 && (text[i-1] == ' ' || text[i-1] == '\n' || text[i-1] == '\t') {
				for i < len(text) && text[i] != '\n' {
					i++
				}
			}
		}
	}
	return -1
}

// afterKey fills a key that has no value yet.
func afterKey(text string, key, null *yaml.Node, entries []entry) (string, error) {
	lines := strings.Split(text, "\n")
	i := key.Line - 1
	if null.Value != "" && null.Line == key.Line { // labels: null, or ~
		at := offset(lines[i], 1, null.Column)
		lines[i] = strings.TrimRight(lines[i][:at], " ") + lines[i][at+len(null.Value):]
	}
	return splice(lines, key.Line, block(entries, key.Column+1)), nil
}

// extends makes sure that the new text still says everything that the old one said, in the same order.
func extends(old, patched []byte) error {
	var a, b yaml.Node
	if err := yaml.Unmarshal(old, &a); err != nil {
		return fmt.Errorf("the file does not parse: %w", err)
	}
	if err := yaml.Unmarshal(patched, &b); err != nil {
		return fmt.Errorf("the patched file does not parse: %w", err)
	}
	var whole any // finds keys that stand twice
	if err := yaml.Unmarshal(patched, &whole); err != nil {
		return fmt.Errorf("the patched file does not parse: %w", err)
	}
	if len(a.Content) == 0 {
		return nil
	}
	var list *yaml.Node // the one list that may grow
	if len(b.Content) > 0 {
		list = valueIn(b.Content[0], "datasets", patchDataset, "include")
	}
	if len(b.Content) == 0 || !within(a.Content[0], b.Content[0], list) {
		return errors.New("the patch would change what the file says")
	}
	return nil
}

func within(a, b, list *yaml.Node) bool {
	if a.Kind == yaml.ScalarNode && a.Tag == "!!null" {
		return true
	}
	if a.Kind != b.Kind {
		return false
	}
	switch a.Kind {
	case yaml.ScalarNode:
		return a.Value == b.Value && a.Tag == b.Tag
	case yaml.MappingNode:
		for i := 0; i+1 < len(a.Content); i += 2 {
			if _, v := lookup(b, a.Content[i].Value); v == nil || !within(a.Content[i+1], v, list) {
				return false
			}
		}
		return true
	case yaml.SequenceNode:
		if len(a.Content) > len(b.Content) || len(a.Content) < len(b.Content) && b != list {
			return false
		}
		for i := range a.Content {
			if !within(a.Content[i], b.Content[i], list) {
				return false
			}
		}
		return true
	}
	return a.Value == b.Value
}
