package pgsql

import (
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Reason is a stable code for why a statement is refused. The list is closed: it stands in the trail and in clients' errors.
type Reason = string

// The reasons.
const (
	ReasonSyntax           Reason = "syntax_error"            // not a statement of this grammar
	ReasonLimit            Reason = "limit_exceeded"          // larger or deeper than the parser is given
	ReasonMultiple         Reason = "multiple_statements"     // more than one statement where the protocol allows one
	ReasonStatement        Reason = "statement_not_allowed"   // a kind of statement that no policy of this version allows
	ReasonConstruct        Reason = "construct_not_allowed"   // a part of a statement that the guard refuses or does not know
	ReasonRelationUnknown  Reason = "relation_unknown"        // no such relation
	ReasonRelation         Reason = "relation_not_admitted"   // the relation exists, no rule of the subject admits it
	ReasonCatalog          Reason = "catalog_not_allowed"     // a system catalog that is not readable
	ReasonAction           Reason = "action_not_admitted"     // the relation is admitted, not for this action
	ReasonColumn           Reason = "column_not_writable"     // the column may not be inserted or updated
	ReasonMaskedValue      Reason = "masked_value"            // a masked value would be stored over a real one
	ReasonColumnUnknown    Reason = "column_unknown"          // no such column, or no such table in scope
	ReasonInline           Reason = "inline_tier"             // needs something on the server, which the inline tier does not have
	ReasonSystemColumn     Reason = "system_column"           // ctid, xmin and so on of a protected relation
	ReasonAmbiguous        Reason = "ambiguous_reference"     // a qualified reference that cannot be kept apart after the rewrite
	ReasonFunction         Reason = "function_not_allowed"    // not on the list of functions
	ReasonFunctionArgument Reason = "argument_not_constant"   // a function or cast whose argument must be a plain constant
	ReasonOperator         Reason = "operator_not_allowed"    // an operator outside pg_catalog and the profile's extensions
	ReasonType             Reason = "type_not_allowed"        // a type outside pg_catalog and the policy
	ReasonSetting          Reason = "setting_not_allowed"     // a setting that may not be changed or read
	ReasonSettingValue     Reason = "setting_value"           // a setting that may not have this value
	ReasonCopy             Reason = "copy_not_allowed"        // COPY FROM, files and programs
	ReasonExplain          Reason = "explain_not_allowed"     // EXPLAIN tells about hidden rows
	ReasonTemporary        Reason = "temporary_not_allowed"   // temporary tables
	ReasonLock             Reason = "lock_not_allowed"        // row locks without the right to update
	ReasonMinGroup         Reason = "min_group"               // the relation answers aggregates over enough rows only
	ReasonRoundTrip        Reason = "statement_not_canonical" // the rewritten text does not mean what was judged
	ReasonParser           Reason = "parser_failed"           // the parser's process did not survive the statement
	ReasonInternal         Reason = "internal_error"          // a defect of the guard: refused, never sent
)

// Reasons lists every reason code there is, in the order of the documentation.
func Reasons() []Reason {
	return []Reason{
		ReasonSyntax, ReasonLimit, ReasonMultiple, ReasonStatement, ReasonConstruct,
		ReasonRelationUnknown, ReasonRelation, ReasonCatalog, ReasonAction, ReasonColumn,
		ReasonMaskedValue, ReasonInline, ReasonColumnUnknown, ReasonSystemColumn, ReasonAmbiguous, ReasonFunction,
		ReasonFunctionArgument, ReasonOperator, ReasonType, ReasonSetting, ReasonSettingValue,
		ReasonCopy, ReasonExplain, ReasonTemporary, ReasonLock, ReasonMinGroup, ReasonRoundTrip,
		ReasonParser, ReasonInternal,
	}
}

// The SQLSTATEs of refusals (PRO-99).
const (
	statePrivilege   = "42501"
	stateUnsupported = "0A000"
	stateSyntax      = "42601"
	stateNoTable     = "42P01"
	stateNoColumn    = "42703"
	stateNoFunction  = "42883"
	stateNoObject    = "42704"
	stateAmbiguous   = "42712"
	stateInternal    = "XX000"
)

// RequestCommand is what somebody types to ask for a dataset.
func RequestCommand(dataset string) string { return "postern request " + dataset }

// speaks says whether a refusal repeats a literal of the client's statement, as that of 'x'::regclass names x.
func (r *Refusal) speaks(from reader, text string) bool {
	tree, err := from.parse(text) // anew: the judgement has changed its own
	if err != nil {
		return true
	}
	said := r.Message + "\n" + r.Detail + "\n" + r.Object
	found := false
	literals(tree.ProtoReflect(), func(s string) { found = found || hasWords(said, s) })
	return found
}

// literals calls f with the text of every literal of a tree.
func literals(m protoreflect.Message, f func(string)) {
	switch x := m.Interface().(type) {
	case *pg.A_Const:
		f(x.GetSval().GetSval())
		f(x.GetFval().GetFval())
		f(x.GetBsval().GetBsval())
		return
	case *pg.DefElem:
		f(x.Arg.GetString_().GetSval())
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				literals(v.List().Get(i).Message(), f)
			}
		default:
			literals(v.Message(), f)
		}
		return true
	})
}

// hasWords says whether text holds words, not as a part of longer ones. A name in it may have been folded or cut apart at
// its dots.
func hasWords(text, words string) bool {
	text = strings.ToLower(text)
	for part := range strings.FieldsFuncSeq(strings.ToLower(words), func(r rune) bool { return r == '.' || r == '"' || r == '(' || r == ')' || r == ',' }) {
		part = strings.TrimSpace(part)
		for at := 0; part != ""; {
			i := strings.Index(text[at:], part)
			if i < 0 {
				break
			}
			from, to := at+i, at+i+len(part)
			if (from == 0 || !isIdentPart(text[from-1])) && (to == len(text) || !isIdentPart(text[to])) {
				return true
			}
			at = to
		}
	}
	return false
}

// characterPosition turns a byte offset of text into the 1-based character position of the protocol.
func characterPosition(text string, offset int32) int {
	if offset < 0 || int(offset) > len(text) {
		return 0
	}
	return utf8.RuneCountInString(text[:offset]) + 1
}

// RuleCanAllow begins the hint of a refusal that a rule's allow would lift.
const RuleCanAllow = "A rule can allow "
