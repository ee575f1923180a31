package portal

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/people"
)

// hintsHere are what there is to do on a page about a refusal whose own hint is a command. A refusal is worded once, for the terminal too.
var hintsHere = map[string]string{
	people.CodeSession:  "Sign in again.",
	people.CodeExpired:  "Sign in again.",
	people.CodeInvite:   "Ask an admin for a new link.",
	people.CodeExists:   "Find it in the list: New link makes another one.",
	access.CodeFactor:   "Then do this again.",
	access.CodeNote:     "Write a few words, and send it again.",
	access.CodePurpose:  "Choose one, and send it again.",
	access.CodeHeld:     "You find it under My access.",
	access.CodeNoRule:   "The catalogue shows what you can ask for. What is not among it wants a rule in the policy file first: ask whoever looks after that.",
	access.CodeNotYours: "Reload the page: it lists yours.",
	"too_many":          "End one that you no longer need, under Tokens and passwords.",
	"not_found":         "Reload the page: it lists what there is.",
	"not_for_you":       "Make somebody an account under People.",
	codeBadCall:         "Fill in what is missing, and send it again.",
}

// typed is a hint that says what to type in a terminal.
var typed = regexp.MustCompile(`(^|[ :])postern [a-z]|--[a-z]`)

// onPage is a problem as a page says it: in sentences, with something to press where a terminal would have something to type.
func onPage(p Problem) *Problem {
	command := typed.MatchString(p.Hint)
	if here, ok := hintsHere[p.Code]; ok && command {
		p.Hint, command = here, false
	}
	p.Error = stopped(begun(p.Error))
	if p.Hint = begun(p.Hint); !command {
		p.Hint = stopped(p.Hint) // a full stop behind a command would be typed with it
	}
	return &p
}

// word is how a sentence may begin that is no name of anything.
var word = regexp.MustCompile(`^[a-z]+[ ,:]`)

// begun and stopped write what is said within a line as a sentence that stands by itself.
func begun(text string) string {
	if !word.MatchString(text) || strings.HasPrefix(text, "postern ") {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func stopped(text string) string {
	if last, _ := utf8.DecodeLastRuneInString(text); text != "" && (unicode.IsLetter(last) || unicode.IsDigit(last) || strings.ContainsRune(`"”)`, last)) {
		return text + "."
	}
	return text
}

// stateWord is a state as pages call it: by what was pressed for it. A filter finds it by either word.
func stateWord(s access.State) string {
	if s == access.Suspended {
		return "paused"
	}
	return string(s)
}
