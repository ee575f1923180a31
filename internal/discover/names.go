package discover

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// named is one name of a dotted pattern. A quoted one, as PostgreSQL writes it, stands for itself.
type named struct {
	text   string
	quoted bool
}

var errOpenQuote = errors.New("a double quote is not closed")

// dottedNames divides a pattern at its dots. A name in double quotes may hold dots and, doubled, quotes.
func dottedNames(s string) ([]named, error) {
	var out []named
	for {
		var n named
		if strings.HasPrefix(s, `"`) {
			n.quoted = true
			text, rest, err := quotedName(s)
			if err != nil {
				return nil, err
			}
			if n.text, s = text, rest; s != "" && s[0] != '.' {
				return nil, fmt.Errorf("a dot is missing before %q", s)
			}
		} else {
			at := strings.IndexByte(s, '.')
			if at < 0 {
				at = len(s)
			}
			n.text, s = s[:at], s[at:]
		}
		if out = append(out, n); s == "" {
			return out, nil
		}
		s = s[1:]
	}
}

// quotedName takes the quoted name that a text begins with, and what follows it.
func quotedName(s string) (text, rest string, err error) {
	for rest = s[1:]; ; {
		at := strings.IndexByte(rest, '"')
		if at < 0 {
			return "", "", errOpenQuote
		}
		text, rest = text+rest[:at], rest[at+1:]
		if !strings.HasPrefix(rest, `"`) {
			return text, rest, nil
		}
		text, rest = text+`"`, rest[1:]
	}
}

// matches compares a name of a pattern with one of the catalog: * stands for any text within it. A slash is nothing special in SQL.
func (n named) matches(name string) bool {
	if n.quoted {
		return n.text == name
	}
	plain := strings.NewReplacer("/", "\x00")
	ok, err := path.Match(plain.Replace(n.text), plain.Replace(name))
	return ok && err == nil
}

// patternNames are the names of a pattern, three at most: what has more dots without quotes is the name of a column that has dots.
func patternNames(pattern string) ([]named, error) {
	parts, err := dottedNames(pattern)
	if err != nil {
		return nil, err
	}
	if len(parts) > 3 {
		if slices.ContainsFunc(parts, func(n named) bool { return n.quoted }) {
			return nil, errors.New("more than schema, table and column")
		}
		parts = append(parts[:2:2], named{text: strings.SplitN(pattern, ".", 3)[2]})
	}
	for _, n := range parts {
		if _, err := path.Match(n.text, ""); err != nil && !n.quoted {
			return nil, err
		}
	}
	return parts, nil
}

// Matches reports whether a pattern over schema, schema.table or schema.table.column admits a column. * stands for any text
// within one name; a name in double quotes stands for itself, whatever it holds.
func Matches(pattern, schema, table, column string) bool {
	parts, err := patternNames(pattern)
	if err != nil {
		return false
	}
	if n := parts[0]; len(parts) == 1 && (n.quoted || !strings.ContainsAny(n.text, "*?")) {
		return n.text == schema || n.text == table
	}
	names := []string{schema, table, column}
	for i, n := range parts {
		if !n.matches(names[i]) {
			return false
		}
	}
	return true
}

// CheckPattern says what is wrong with a pattern of --include or --exclude.
func CheckPattern(pattern string) error {
	if _, err := patternNames(pattern); err != nil {
		return fmt.Errorf("pattern %q: %w", pattern, err)
	}
	return nil
}

// dotted joins names; one with a dot or a quote in it stands in double quotes, so that the whole can be taken apart again.
func dotted(names ...string) string {
	out := make([]string, len(names))
	for i, n := range names {
		if out[i] = n; n == "" || strings.ContainsAny(n, `."`) {
			out[i] = `"` + strings.ReplaceAll(n, `"`, `""`) + `"`
		}
	}
	return strings.Join(out, ".")
}

// SplitPlace takes apart what Place joins, with or without a store before it.
func SplitPlace(place string) ([]string, error) {
	parts, err := dottedNames(place)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(parts))
	for i, n := range parts {
		out[i] = n.text
	}
	return out, nil
}

// isPlace says whether a text names a column: quoted, or as its names stand.
func isPlace(text, schema, table, column string) bool {
	if text == schema+"."+table+"."+column {
		return true
	}
	parts, err := SplitPlace(text)
	return err == nil && slices.Equal(parts, []string{schema, table, column})
}

// Place is schema.table.column, as dotted writes it.
func (r *Record) Place() string { return dotted(r.Schema, r.Table, r.Column) }

// is says whether a text names the record's column.
func (r *Record) is(text string) bool { return isPlace(text, r.Schema, r.Table, r.Column) }
