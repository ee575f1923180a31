package access

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-sec/postern/internal/policy"
)

// LongestStatement is how many bytes a statement that goes with a request may have: people read it.
const LongestStatement = 16 << 10

// Statement is what somebody wants to run once they have what they ask for. It informs who decides; it bounds nothing.
type Statement struct {
	// Text is as its author wrote it. It is kept for as long as the request waits, and only its author and who decides read it (ACC-38).
	Text string `json:"text,omitempty"`
	// Redacted is without its literals and comments; "": no parser could read it.
	Redacted string `json:"redacted,omitempty"`
	// Whole says that the redacted form leaves nothing out that a reader could miss.
	Whole bool `json:"whole,omitempty"`
}

// Outside is what a place outside of Postern may show of a request's statement, and whether that is all there is: where it is not, nobody
// can approve there (ACC-37). What such a place shows can be taken back or it cannot, as a message that was mailed; then a full text is
// not for it, since that is shown only for as long as the request waits (ACC-48).
func (r *Request) Outside(use policy.StatementText, takenBack bool) (text string, whole bool) {
	s := r.Statement
	switch {
	case s == nil:
		return "", true
	case use == policy.StatementFull && takenBack && r.State == Pending && s.Text != "":
		return s.Text, true
	case use == policy.StatementFull, use == policy.StatementAuto:
		return s.Redacted, s.Whole && s.Redacted != ""
	}
	return "", false
}

// Turns says whether a character changes the order in which text is shown: Unicode's embeddings, overrides and isolates (UAX #9).
func Turns(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// close brings a request to its end. The statement's text was for who decides.
func (r *Request) close(to State, now time.Time) {
	r.State, r.Closed = to, now
	if r.Statement != nil {
		r.Statement = &Statement{Redacted: r.Statement.Redacted, Whole: r.Statement.Whole}
	}
}

// statement takes up the text that somebody sends with a request.
func (d *Desk) statement(text string) (*Statement, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return nil, nil //nolint:nilnil // most requests have none
	case len(text) > LongestStatement:
		return nil, refuse(CodeStatement, "leave out what does not help to decide", "a statement of %d bytes is too long: %d at most", len(text), LongestStatement).at("statement")
	case !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return nil, refuse(CodeStatement, "send it as UTF-8", "the statement is no text").at("statement")
	case strings.IndexFunc(text, Turns) >= 0:
		// Who decides has to read what it says, and not what it looks like.
		return nil, refuse(CodeStatement, `write them as escapes, such as U&'\202E'`, "the statement has characters that turn the direction of what is read").at("statement")
	}
	out := &Statement{Text: text}
	out.Redacted, out.Whole = d.c.Redact(text)
	return out, nil
}
