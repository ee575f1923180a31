package policy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Kind says what sort of mistake a problem is. The set is closed: tools may branch on it.
type Kind string

// The kinds of problem.
const (
	KindSyntax     Kind = "syntax"      // not well-formed YAML, SQL, mask or name
	KindUnknownKey Kind = "unknown-key" // a key that the format does not have
	KindType       Kind = "type"        // a list where text is expected, and the like
	KindDuplicate  Kind = "duplicate"   // the same thing said twice
	KindMissing    Kind = "missing"     // a required key is absent or empty
	KindDangling   Kind = "dangling"    // a name that nothing defines
	KindValue      Kind = "value"       // of the right type, but not a value that makes sense there
	KindConflict   Kind = "conflict"    // two parts that cannot both hold
	KindLimit      Kind = "limit"       // too large, too deep, too many
	KindLater      Kind = "not-in-this-version"
	KindAdvice     Kind = "advice" // only ever a warning
)

// Problem is one mistake in a policy file, with its place and, where there is one, a remedy.
type Problem struct {
	Pos     Pos    `json:"pos"`
	Kind    Kind   `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// String is "file:line:column: message", without the hint.
func (p Problem) String() string {
	if p.Pos.IsZero() {
		return p.Message
	}
	return p.Pos.String() + ": " + p.Message
}

// Problems is a list of mistakes, sorted by place. It is the error that loading a policy returns.
type Problems []Problem

// Error lists every problem, one line each and its hint below.
func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
		if p.Hint != "" {
			b.WriteString("\n  hint: ")
			b.WriteString(p.Hint)
		}
	}
	return b.String()
}

// NotInThisVersion says whether every problem is about something that a later version will have.
func (ps Problems) NotInThisVersion() bool {
	for _, p := range ps {
		if p.Kind != KindLater {
			return false
		}
	}
	return len(ps) > 0
}

// Sort orders problems by file, line, column and text, and drops exact repetitions.
func (ps Problems) Sort() Problems {
	slices.SortFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column), cmp.Compare(a.Message, b.Message), cmp.Compare(a.Hint, b.Hint))
	})
	return slices.Compact(ps)
}

// IsZero says whether the position is nowhere in a file.
func (p Pos) IsZero() bool { return p == Pos{} }

// String is "file:line:column".
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}
