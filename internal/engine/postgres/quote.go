package postgres

import "strings"

// quoteIdent quotes a name, always: what needs no quotes today may be a keyword of the next major.
func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// quoteLiteral quotes a text. standard_conforming_strings is pinned on; a backslash is still written as an escape string, so that
// the SQL means the same where somebody runs it by hand.
func quoteLiteral(s string) string {
	q := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return " E" + strings.ReplaceAll(q, `\`, `\\`)
	}
	return q
}

func quoteIdents(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quoteIdent(n)
	}
	return strings.Join(out, ", ")
}

// isOwnSchema says whether a schema's name is one of Postern's.
func isOwnSchema(name string) bool { return name == "postern" || strings.HasPrefix(name, "postern_") }
