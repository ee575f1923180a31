package postgres

import (
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/discover"
)

// viewOrigins reads from the tree of a view's query which column of another relation each of its columns shows unchanged. The server
// notes that itself for every entry of a target list, through joins and subqueries: PostgreSQL's resorigtbl and resorigcol. Entries of
// queries within lie deeper and are passed over. The text escapes braces in names with a backslash.
func viewOrigins(tree string) map[int]discover.Place {
	out := map[int]discover.Place{}
	depth, targets := 0, false
	var entry struct{ num, table, column int }
	for i := 0; i < len(tree); i++ {
		switch c := tree[i]; {
		case c == '\\':
			i++
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 1 && targets {
				if entry.table > 0 && entry.column > 0 {
					out[entry.num] = discover.Place{OID: uint32(entry.table), Num: entry.column} //nolint:gosec // an OID is 32 bits wide
				}
				entry.num, entry.table, entry.column = 0, 0, 0
			}
		case c != ':':
		case depth == 1:
			targets = strings.HasPrefix(tree[i:], ":targetList ")
		case depth == 2 && targets:
			for field, into := range map[string]*int{":resno ": &entry.num, ":resorigtbl ": &entry.table, ":resorigcol ": &entry.column} {
				if rest, ok := strings.CutPrefix(tree[i:], field); ok {
					*into = leadingNumber(rest)
				}
			}
		}
	}
	return out
}

func leadingNumber(s string) int {
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(s)
	}
	n, err := strconv.ParseUint(s[:end], 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}
