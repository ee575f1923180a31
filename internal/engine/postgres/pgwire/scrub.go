package pgwire

import (
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// wallName begins the names of Postern's own schemas and roles.
const wallName = "postern_"

// scrubbed writes an error of the store for the client. Where the profile masks or filters, it is built anew: severity,
// SQLSTATE and a message of ours; every other field can carry a value and is dropped (PRO-97, 98, ENF-59). Elsewhere only the
// position goes, because it counts in the text that we sent and not in the client's. redacted is the client's statement
// without its literals: names in it are the client's own words.
func scrubbed(dst []byte, r *pgproto3.ErrorResponse, masked bool, redacted string) []byte {
	out := *r
	out.Position = 0
	if masked {
		out = pgproto3.ErrorResponse{
			Severity: severityOf(r.Severity), SeverityUnlocalized: severityOf(r.SeverityUnlocalized), Code: stateText(r.Code),
			Message: keptText(r.Code, r.Message, redacted),
		}
		if out.Message == "" {
			out.Message = cannedText(out.Code)
		}
	}
	if (r.Code == "2BP01" || r.Code == "0A000") && strings.Contains(r.Detail, wallName) {
		// An owner's DDL met what others see the table through, whose names are nobody's business.
		out.Detail, out.Hint = "Others see it through objects of Postern's.", "run it with: postern suspend --store STORE -- COMMAND"
	}
	b, err := out.Encode(dst)
	if err != nil {
		return (&answer{state: "XX000", message: "the store's error cannot be shown"}).append(dst)
	}
	return b
}

// severityOf lets only words of the protocol through.
func severityOf(s string) string {
	switch s {
	case "ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", "DEBUG", "INFO", "LOG", "":
		return s
	}
	return severityError // localised
}

// stateText lets only what looks like an SQLSTATE through: RAISE can set any five letters and digits.
func stateText(s string) string {
	if len(s) != 5 {
		return "XX000"
	}
	if _, known := conditionTexts[s]; known {
		return s
	}
	if _, known := classTexts[s[:2]]; known {
		return s[:2] + "000"
	}
	return "P0001" // one that a function made up, and could have made of a value
}

// cannedText is our message for an SQLSTATE.
func cannedText(state string) string {
	if t, ok := conditionTexts[state]; ok {
		return t
	}
	if len(state) == 5 {
		if t, ok := classTexts[state[:2]]; ok {
			return t
		}
	}
	return "the server reports an error"
}

// cannedNotice is our text for a warning that may pass under masks: those about the client's own transaction (ENF-61). Any
// other is "".
func cannedNotice(state string) string {
	switch state {
	case "25001":
		return "there is already a transaction in progress"
	case "25P01":
		return "there is no transaction in progress"
	case "25P02":
		return cannedText(state)
	case "01000", "01P01":
		return "" // RAISE WARNING has 01000
	}
	if len(state) == 5 && state[:2] == "01" {
		return cannedText(state)
	}
	return ""
}

// errorForm is a message of PostgreSQL that holds nothing but names and types. What the groups catch must be words of the
// client's own statement; a message of another form is not shown.
type errorForm struct {
	state string
	form  *regexp.Regexp
}

// typeList matches what format_type prints for types: words, brackets, and qualified names.
const typeList = `[a-z0-9_ ,.\[\]"()]*`

// errorForms are the messages that may keep their text once their names are known to be the client's (ENF-59: syntax errors
// and unknown names). Anything else that a function could imitate by RAISE fails the check of its names.
var errorForms = []errorForm{
	{"42703", regexp.MustCompile(`^column "?([^" ]+)"? does not exist$`)},
	{"42703", regexp.MustCompile(`^column "?([^" ]+)"? of relation "([^" ]+)" does not exist$`)},
	{"42703", regexp.MustCompile(`^column "?([^" ]+)"? not found in data type ` + typeList + `$`)},
	{"42702", regexp.MustCompile(`^column reference "([^" ]+)" is ambiguous$`)},
	{"42P01", regexp.MustCompile(`^relation "([^" ]+)" does not exist$`)},
	{"42P01", regexp.MustCompile(`^missing FROM-clause entry for table "([^" ]+)"$`)},
	{"42P01", regexp.MustCompile(`^invalid reference to FROM-clause entry for table "([^" ]+)"$`)},
	{"42803", regexp.MustCompile(`^column "([^" ]+)" must appear in the GROUP BY clause or be used in an aggregate function$`)},
	{"42701", regexp.MustCompile(`^column "([^" ]+)" specified more than once$`)},
	{"42712", regexp.MustCompile(`^table name "([^" ]+)" specified more than once$`)},
	{"42P05", regexp.MustCompile(`^prepared statement "([^" ]+)" already exists$`)},
	{"42P03", regexp.MustCompile(`^cursor "([^" ]+)" already exists$`)},
	{"34000", regexp.MustCompile(`^(?:cursor|portal) "([^" ]+)" does not exist$`)},
	{"3B001", regexp.MustCompile(`^savepoint "([^" ]+)" does not exist$`)},
	{"42601", regexp.MustCompile(`^syntax error at end of input$`)},
}

// valueForms are the beginnings of messages about a value that name its type, and what is told of them. The types are PostgreSQL's own,
// spelled out, so that nothing else can stand there; the value, which follows, is never told.
var valueForms = []errorForm{
	{"22P02", regexp.MustCompile(`^(invalid input syntax for type (?:` + plainTypes + `))(?:: |$)`)},
	{"22007", regexp.MustCompile(`^(invalid input syntax for type (?:` + plainTypes + `))(?:: |$)`)},
	{"22003", regexp.MustCompile(`^((?:smallint|integer|bigint|interval) out of range)$`)},
	{"22003", regexp.MustCompile(`^value "[^"]*" is (out of range for type (?:` + plainTypes + `))$`)},
	{"22001", regexp.MustCompile(`^(value too long for type character(?: varying)?\([0-9]{1,8}\))$`)},
	{"22P03", regexp.MustCompile(`^(incorrect binary data format)`)},
}

// plainTypes are the types whose names a message may keep.
const plainTypes = `smallint|integer|bigint|numeric|real|double precision|boolean|date|interval|time(?: with time zone)?|timestamp(?: with time zone)?|` +
	`uuid|json|jsonb|bytea|money|inet|cidr|macaddr|macaddr8|bit|oid|point|line|lseg|box|path|polygon|circle|xml|tsquery|tsvector`

// keptText returns a message that may be shown as it is, or "".
func keptText(state, text, redacted string) string {
	for _, f := range valueForms {
		if m := f.form.FindStringSubmatch(text); f.state == state && m != nil {
			if strings.HasPrefix(m[1], "out of range for") {
				return "a value is " + m[1]
			}
			return m[1]
		}
	}
	if redacted == "" {
		return ""
	}
	for _, f := range errorForms {
		if f.state != state {
			continue
		}
		m := f.form.FindStringSubmatch(text)
		if m != nil && ownWords(m[1:], redacted) {
			return text
		}
	}
	return ""
}

// ownWords says whether every part of every name stands in the client's statement as a word.
func ownWords(names []string, redacted string) bool {
	for _, name := range names {
		for part := range strings.SplitSeq(name, ".") {
			if !hasWord(redacted, part) {
				return false
			}
		}
	}
	return true
}

func hasWord(text, word string) bool {
	if word == "" {
		return false
	}
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return false
		}
		i += at
		before := i == 0 || !wordByte(text[i-1])
		after := i+len(word) == len(text) || !wordByte(text[i+len(word)])
		if before && after {
			return true
		}
		at = i + 1
	}
}

func wordByte(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
}
