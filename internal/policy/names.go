package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// String prints the table as the policy file writes it: store.schema.table.
func (t Table) String() string { return joinParts(t.Store, t.Schema, t.Name) }

// ParseTable reads what String prints; ok is false for anything else.
func ParseTable(s string) (t Table, ok bool) {
	parts, err := splitLocation(s)
	if err != nil || len(parts) != 3 {
		return Table{}, false
	}
	return Table{parts[0].text, parts[1].text, parts[2].text}, true
}

// String prints the column as the policy file writes it: store.schema.table.column.
func (c Column) String() string { return joinParts(c.Store, c.Schema, c.Name, c.Column) }

func joinParts(parts ...string) string {
	for i, p := range parts {
		parts[i] = quotePart(p)
	}
	return strings.Join(parts, ".")
}

// quotePart writes one part of a location. Parts are exact names: nothing is folded to lower case.
func quotePart(s string) string {
	if s != "" && !strings.ContainsAny(s, `."* `) {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// SplitName takes a dotted name apart the way the policy file writes one: a part in double quotes may hold dots and, doubled, quotes.
func SplitName(s string) ([]string, error) {
	parts, err := splitLocation(s)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = p.text
	}
	return out, nil
}

// maxName is the length in bytes at which PostgreSQL cuts identifiers (NAMEDATALEN - 1). Longer names would be compared after
// cutting, so two of them could be one.
const maxName = 63

// part is one piece of a dotted location.
type part struct {
	text   string
	quoted bool
}

// splitLocation takes a dotted location apart. A part in double quotes may hold dots, stars and, doubled, quotes.
func splitLocation(s string) ([]part, error) {
	var parts []part
	for rest := s; ; {
		var p part
		var err error
		if p, rest, err = nextPart(rest); err != nil {
			return nil, err
		}
		if len(p.text) > maxName {
			return nil, fmt.Errorf("%q is longer than the %d bytes of a PostgreSQL name", p.text, maxName)
		}
		parts = append(parts, p)
		if rest == "" {
			return parts, nil
		}
		if rest[0] != '.' {
			return nil, fmt.Errorf("expected a dot after the closing quote, found %q", rest)
		}
		if rest = rest[1:]; rest == "" {
			return nil, fmt.Errorf("a name is missing after the last dot")
		}
	}
}

func nextPart(s string) (p part, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s, '.')
		if end < 0 {
			end = len(s)
		}
		p.text, rest = s[:end], s[end:]
		switch {
		case p.text == "":
			return p, "", fmt.Errorf("a name is missing")
		case strings.ContainsAny(p.text, "\" \t\n"):
			return p, "", fmt.Errorf("%q needs double quotes around it", p.text)
		}
		return p, rest, checkText(p.text)
	}
	p.quoted = true
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '"' {
			b.WriteByte('"')
			i++
			continue
		}
		if p.text = b.String(); p.text == "" {
			return p, "", fmt.Errorf("a name cannot be empty")
		}
		return p, s[i+1:], checkText(p.text)
	}
	return p, "", fmt.Errorf("a closing double quote is missing")
}

// checkText refuses what no name may hold.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("a name must be UTF-8")
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			return fmt.Errorf("a name cannot hold control characters")
		}
	}
	return nil
}
