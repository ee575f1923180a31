package portal

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/postern-sec/postern/internal/access"
)

// readable writes every character of a page that turns the direction of what is read (UAX #9) as what it is, as the command line does: a name
// or a note that somebody else wrote shall say what it seems to say. What stands inside a tag is not shown, and stays, so that a form sends it back as it
// was. The page is one that html/template wrote, where neither < nor > can stand for itself in an attribute.
func readable(page []byte) []byte {
	if !bytes.Contains(page, []byte("\u202a")[:2]) && !bytes.Contains(page, []byte("\u2066")[:2]) {
		return page
	}
	out, inside := make([]byte, 0, len(page)), false
	for len(page) > 0 {
		r, n := utf8.DecodeRune(page)
		switch {
		case r == '<':
			inside = true
		case r == '>':
			inside = false
		case !inside && access.Turns(r):
			out, page = fmt.Appendf(out, `\u%04x`, r), page[n:]
			continue
		}
		out, page = append(out, page[:n]...), page[n:]
	}
	return out
}
