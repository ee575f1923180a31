package pgsql

import (
	"fmt"
	"regexp"
)

// grammarMajor is the PostgreSQL release whose grammar the parser reads (ENF-77).
const grammarMajor = 17

// newerForms are what later releases added to the grammar. They are only looked for in a text that the parser could not read: they
// explain a refusal and never decide one.
var newerForms = []struct {
	major int
	name  string
	form  *regexp.Regexp
}{
	{18, "RETURNING WITH (OLD AS …, NEW AS …)", regexp.MustCompile(`(?i)\breturning\s+with\s*\(`)},
	{18, "GENERATED ALWAYS AS (…) VIRTUAL", regexp.MustCompile(`(?i)\bgenerated\s+always\s+as\s*\((?s:.*)\)\s*(?:virtual\b|[,)]|$)`)},
	{18, "WITHOUT OVERLAPS", regexp.MustCompile(`(?i)\bwithout\s+overlaps\b`)},
	{18, "FOREIGN KEY (…, PERIOD …)", regexp.MustCompile(`(?i)\b(?:foreign\s+key|references)\b(?s:[^)]*)\bperiod\s+[a-z_"]`)},
	{18, "NOT ENFORCED", regexp.MustCompile(`(?i)\b(?:not\s+)?enforced\b`)},
	{18, "NOT NULL … as a named table constraint", regexp.MustCompile(`(?i)\b(?:add\s+(?:constraint\s+\S+\s+)?|constraint\s+\S+\s+)not\s+null\s+[a-z_"]`)},
	{18, "ALTER CONSTRAINT … INHERIT", regexp.MustCompile(`(?i)\balter\s+constraint\s+\S+\s+(?:no\s+)?inherit\b`)},
	{18, "VACUUM and ANALYZE of ONLY", regexp.MustCompile(`(?i)\b(?:vacuum|analyze|analyse)\b(?s:[^;]*)\bonly\b`)},
	{18, "ALTER DEFAULT PRIVILEGES … ON LARGE OBJECTS", regexp.MustCompile(`(?i)\bon\s+large\s+objects\b`)},
}

// newerGrammar says of a text that the parser could not read whether it is one of a later release.
func newerGrammar(text string, r *Refusal) *Refusal {
	if r.Reason != ReasonSyntax {
		return r
	}
	for _, f := range newerForms {
		if f.form.MatchString(text) {
			r.SQLState = stateUnsupported
			r.Message = fmt.Sprintf("%s is of PostgreSQL %d, and the gateway reads the grammar of PostgreSQL %d", f.name, f.major, grammarMajor)
			r.Detail = "What the gateway cannot read it does not pass on, whatever the server could do with it."
			r.Hint = "Write the statement without it."
			return r
		}
	}
	return r
}
