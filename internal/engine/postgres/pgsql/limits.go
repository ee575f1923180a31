package pgsql

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// The limits of ENF-80. They are upper bounds of what the parser was measured to survive (ENF-79): beyond them it may
// overrun the C stack, which ends the process and which recover does not see.
const (
	maxText       = 256 << 10 // bytes of a text
	maxInsertText = 1 << 20   // bytes of a text that begins with INSERT: long VALUES lists are flat
	maxComments   = 32        // nesting of /* */: the scanner is quadratic in it
	maxBrackets   = 200       // nesting of ( [ and CASE
	maxDepth      = 2000      // upper bound of the expression tree's depth
	maxStatements = 1000      // statements of one text
)

// LimitError is a text that is not given to the parser.
type LimitError struct {
	SQLState string // 54000, 54001, or 22021 for bytes that are no UTF-8
	Limit    string // what was exceeded, for people
	Max      int
	Position int // 1-based character position, 0 when it is about the whole text
}

// Error implements error.
func (e *LimitError) Error() string {
	if e.Max == 0 {
		return e.Limit
	}
	return fmt.Sprintf("%s exceeds the limit of %d", e.Limit, e.Max)
}

// CheckLimits looks at a text in one pass, after PostgreSQL's lexical rules with standard_conforming_strings on, and
// returns a *LimitError when the parser must not see it. It only rejects: it never decides what a statement means
// (ENF-81).
func CheckLimits(text string) error {
	limit := maxText
	if startsWithWord(text, "insert") {
		limit = maxInsertText
	}
	if len(text) > limit {
		return &LimitError{SQLState: "54000", Limit: "length of the statement in bytes", Max: limit}
	}
	if i := strings.IndexByte(text, 0); i >= 0 || !utf8.ValidString(text) {
		return &LimitError{SQLState: "22021", Limit: "the statement is not valid UTF-8 text"}
	}
	s := scanner{text: text, frames: make([]frame, 1, 16)}
	return s.run()
}

func startsWithWord(text, word string) bool {
	text = strings.TrimLeft(text, " \t\r\n\f\v")
	return len(text) >= len(word) && strings.EqualFold(text[:len(word)], word)
}

// frame is one open bracket or CASE. The depth of what stands inside is at most max(max, run) + chain.
type frame struct {
	open  byte // ( [ or C for CASE; 0 for the outermost
	run   int  // links since the last separator
	max   int  // the longest run so far
	chain int  // JOIN and set operations: separators such as ON a AND b or SELECT a, b do not end them
}

func (f *frame) depth() int { return max(f.max, f.run) + f.chain }

type scanner struct {
	text       string
	pos        int
	frames     []frame
	statements int
	afterDot   bool // the token before this one was a dot: a keyword is a name then
	open       bool // something stands behind the last semicolon
}

func (s *scanner) top() *frame { return &s.frames[len(s.frames)-1] }

func (s *scanner) run() error {
	for s.pos < len(s.text) {
		dot := s.afterDot
		c := s.text[s.pos]
		if isSpace(c) {
			s.pos++
			continue
		}
		if s.comment() {
			if err := s.skipComment(); err != nil {
				return err
			}
			continue
		}
		s.afterDot, s.open = false, true
		var err error
		switch {
		case c == '\'':
			s.str(false)
		case c == '"':
			s.pos++
			s.until('"')
		case c == '$':
			s.dollar()
		case isIdentStart(c):
			err = s.word(dot)
		case c >= '0' && c <= '9':
			s.number()
		case c == '.':
			s.afterDot = true
			s.pos++
		case c == '(' || c == '[':
			s.pos++
			err = s.push(c)
		case c == ')' || c == ']':
			s.pos++
			err = s.pop(c)
		case c == ',':
			s.pos++
			s.separate()
		case c == ';':
			s.pos++
			err = s.endStatement()
		case c == ':':
			err = s.colon()
		case isOperator(c):
			err = s.operator()
		default:
			s.pos++
		}
		if err != nil {
			return err
		}
	}
	if s.open {
		return s.countStatement()
	}
	return nil
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func isIdentStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func isIdentPart(c byte) bool { return isIdentStart(c) || c >= '0' && c <= '9' || c == '$' }

func isOperator(c byte) bool { return strings.IndexByte("~!@#^&|`?+-*/%<>=", c) >= 0 }

func (s *scanner) at(i int) byte {
	if i < len(s.text) {
		return s.text[i]
	}
	return 0
}

// comment tells whether a comment starts here.
func (s *scanner) comment() bool { return startsComment(s.text, s.pos) }

func startsComment(text string, i int) bool {
	if i+1 >= len(text) {
		return false
	}
	return text[i] == '-' && text[i+1] == '-' || text[i] == '/' && text[i+1] == '*'
}

func (s *scanner) skipComment() error {
	if s.text[s.pos] == '-' {
		for s.pos < len(s.text) && s.text[s.pos] != '\n' && s.text[s.pos] != '\r' {
			s.pos++
		}
		return nil
	}
	start, depth := s.pos, 0
	for s.pos < len(s.text) {
		switch {
		case s.text[s.pos] == '/' && s.at(s.pos+1) == '*':
			depth++
			s.pos += 2
			if depth > maxComments {
				return s.tooComplex("nesting of comments", maxComments, start)
			}
		case s.text[s.pos] == '*' && s.at(s.pos+1) == '/':
			depth--
			s.pos += 2
			if depth == 0 {
				return nil
			}
		default:
			s.pos++
		}
	}
	return nil
}

// str skips a string that starts at the quote. A literal goes on behind white space that holds a newline, in the same
// mode: E'a' <newline> 'b\” is one token.
func (s *scanner) str(escapes bool) {
	s.pos++
	for {
		if escapes {
			s.untilEscaped()
		} else {
			s.until('\'')
		}
		next := continuation(s.text, s.pos)
		if next < 0 {
			return
		}
		s.pos = next
	}
}

// until skips past the closing quote; a doubled quote stands for itself.
func (s *scanner) until(quote byte) {
	for s.pos < len(s.text) {
		if s.text[s.pos] != quote {
			s.pos++
			continue
		}
		if s.at(s.pos+1) != quote {
			s.pos++
			return
		}
		s.pos += 2
	}
}

func (s *scanner) untilEscaped() {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == '\\':
			s.pos = min(s.pos+2, len(s.text))
		case c != '\'':
			s.pos++
		case s.at(s.pos+1) == '\'':
			s.pos += 2
		default:
			s.pos++
			return
		}
	}
}

// continuation returns the place behind a quote that continues a string, or -1.
func continuation(text string, i int) int {
	newline := false
	for i < len(text) {
		switch c := text[i]; {
		case c == '\n' || c == '\r':
			newline = true
			i++
		case isSpace(c):
			i++
		case c == '-' && i+1 < len(text) && text[i+1] == '-':
			for i < len(text) && text[i] != '\n' && text[i] != '\r' {
				i++
			}
		case c == '\'' && newline:
			return i + 1
		default:
			return -1
		}
	}
	return -1
}

// dollar skips $1, or $tag$ … $tag$.
func (s *scanner) dollar() {
	i := s.pos + 1
	if c := s.at(i); c >= '0' && c <= '9' {
		for c := s.at(i); c >= '0' && c <= '9'; c = s.at(i) {
			i++
		}
		s.pos = i
		return
	}
	if isIdentStart(s.at(i)) {
		for isIdentPart(s.at(i)) && s.at(i) != '$' {
			i++
		}
	}
	if s.at(i) != '$' {
		s.pos++
		return
	}
	tag := s.text[s.pos : i+1]
	end := strings.Index(s.text[i+1:], tag)
	if end < 0 {
		s.pos = len(s.text)
		return
	}
	s.pos = i + 1 + end + len(tag)
}

func (s *scanner) number() {
	for c := s.at(s.pos); c >= '0' && c <= '9' || c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'; c = s.at(s.pos) {
		s.pos++
	}
	if s.at(s.pos) == '.' && s.at(s.pos+1) != '.' { // 1.5; the slice 1..2 is no number
		s.pos++
		for c := s.at(s.pos); c >= '0' && c <= '9' || c == '_'; c = s.at(s.pos) {
			s.pos++
		}
	}
}

// word skips an identifier or keyword, or the string or quoted name that a prefix introduces.
func (s *scanner) word(afterDot bool) error {
	start := s.pos
	for isIdentPart(s.at(s.pos)) {
		s.pos++
	}
	w := s.text[start:s.pos]
	if len(w) == 1 {
		switch next := s.at(s.pos); {
		case next == '\'' && (w == "e" || w == "E"):
			s.str(true)
			return nil
		case next == '&' && (w == "u" || w == "U") && (s.at(s.pos+1) == '\'' || s.at(s.pos+1) == '"'):
			s.pos++ // the quote is read next, without escapes: a backslash does not hide it
			return nil
		}
	}
	var upper [9]byte // as long as INTERSECT, the longest keyword that matters
	if afterDot || len(w) > len(upper) {
		return nil
	}
	for i := range len(w) {
		upper[i] = w[i]
		if w[i] >= 'a' && w[i] <= 'z' {
			upper[i] -= 'a' - 'A'
		}
	}
	return s.keyword(upper[:len(w)])
}

func (s *scanner) keyword(w []byte) error {
	switch string(w) {
	case "COLLATE", "AT", "IS", "ISNULL", "NOTNULL", "NOT", "LIKE", "ILIKE", "SIMILAR", "BETWEEN", "IN", "OVERLAPS", "OPERATOR":
		return s.link(1)
	case "JOIN", "UNION", "INTERSECT", "EXCEPT":
		s.top().chain++
		return s.link(0)
	case "AND", "OR", "WHEN", "THEN", "ELSE":
		s.separate()
	case "CASE":
		return s.push('C')
	case "END":
		// END is also a label and a statement: it closes nothing but a CASE.
		if s.top().open == 'C' {
			return s.fold()
		}
	}
	return nil
}

// link lengthens the path by n.
func (s *scanner) link(n int) error {
	f := s.top()
	f.run += n
	if f.depth() > maxDepth {
		return s.tooComplex("depth of an expression", maxDepth, s.pos-1)
	}
	return nil
}

func (s *scanner) separate() {
	f := s.top()
	f.max, f.run = max(f.max, f.run), 0
}

func (s *scanner) push(open byte) error {
	if len(s.frames) > maxBrackets {
		return s.tooComplex("nesting of brackets and CASE", maxBrackets, s.pos-1)
	}
	s.frames = append(s.frames, frame{open: open})
	return nil
}

// pop closes the nearest bracket of its kind. A CASE that is still open inside was a label: it is folded in.
func (s *scanner) pop(closing byte) error {
	want := byte('(')
	if closing == ']' {
		want = '['
	}
	for len(s.frames) > 1 {
		open := s.top().open
		if err := s.fold(); err != nil {
			return err
		}
		if open == want {
			return nil
		}
	}
	return s.link(1)
}

// fold closes the top frame and adds its depth to the path of the one around it.
func (s *scanner) fold() error {
	d := s.top().depth()
	s.frames = s.frames[:len(s.frames)-1]
	return s.link(d + 1)
}

// countStatement counts one that ends here.
func (s *scanner) countStatement() error {
	s.statements++
	if s.statements > maxStatements {
		return &LimitError{SQLState: "54000", Limit: "number of statements", Max: maxStatements, Position: s.position(s.pos - 1)}
	}
	return nil
}

func (s *scanner) endStatement() error {
	if err := s.countStatement(); err != nil {
		return err
	}
	s.open = false
	if len(s.frames) == 1 {
		s.frames[0] = frame{}
	} else {
		s.separate()
	}
	return nil
}

// colon reads :: as an operator, and := and : as nothing.
func (s *scanner) colon() error {
	s.pos++
	if s.at(s.pos) == ':' {
		s.pos++
		return s.link(1)
	}
	return nil
}

// operator reads a run of operator characters as the scanner of PostgreSQL splits it: a comment ends it, and trailing
// + and - are tokens of their own unless the run holds a character that SQL operators do not use.
func (s *scanner) operator() error {
	start := s.pos
	special := false
	for s.pos < len(s.text) && isOperator(s.text[s.pos]) && !startsComment(s.text, s.pos) {
		special = special || strings.IndexByte("~!@#%^&|`?", s.text[s.pos]) >= 0
		s.pos++
	}
	tokens, end := 1, s.pos
	for !special && end-start > 1 && (s.text[end-1] == '+' || s.text[end-1] == '-') {
		tokens++
		end--
	}
	return s.link(tokens)
}

func (s *scanner) tooComplex(what string, limit, at int) error {
	return &LimitError{SQLState: "54001", Limit: what, Max: limit, Position: s.position(at)}
}

func (s *scanner) position(at int) int { return utf8.RuneCountInString(s.text[:max(at, 0)]) + 1 }
