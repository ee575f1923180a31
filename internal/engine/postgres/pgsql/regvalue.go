package pgsql

import (
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// A value of type regclass and its kin turns any OID that stands beside it into a name: CASE, COALESCE, ARRAY, VALUES and set
// operations give all their parts one type. So no such value leaves the place where it is made: it is written as an oid where it
// is compared or handed to a function of the catalog, and as text anywhere else.
const (
	regBare = "" // an explicit cast around it makes another type of it
	regOID  = "oid"
	regText = "text"
)

// regFunctions return a reg* value.
var regFunctions = []string{"to_regclass", "to_regtype", "to_regnamespace", "to_regproc", "pg_typeof"}

// wantReg notes what the place of an expression makes of a reg* value: of its own, of a list's or of a subquery's.
func (a *analysis) wantReg(n *pg.Node, as string) {
	var parts []*pg.Node
	switch x := n.GetNode().(type) {
	case *pg.Node_TypeCast, *pg.Node_FuncCall:
		a.regs[n] = as
	case *pg.Node_List:
		parts = x.List.Items
	case *pg.Node_RowExpr:
		parts = x.RowExpr.Args
	case *pg.Node_AArrayExpr:
		parts = x.AArrayExpr.Elements
	case *pg.Node_SubLink:
		if as == regOID {
			a.wantRegs(x.SubLink.Subselect.GetSelectStmt())
		}
	}
	if as == regOID {
		for _, part := range parts {
			a.wantReg(part, as)
		}
	}
}

// wantRegs says that a subquery's results are compared.
func (a *analysis) wantRegs(s *pg.SelectStmt) {
	for ; s != nil; s = s.Larg {
		for _, n := range s.TargetList {
			a.wantReg(n.GetResTarget().GetVal(), regOID)
		}
		a.wantRegs(s.Rarg)
	}
}

// wantOperands says what becomes of the operands of an operator. Beside a string a reg* value is text: the server would look
// the string up as a name.
func (a *analysis) wantOperands(x *pg.A_Expr) {
	op, _ := names(x.Name)
	if len(op) == 0 || !slices.Contains([]string{"=", "<>", "!=", "<", ">", "<=", ">="}, op[len(op)-1]) || hasString(x.Lexpr) || hasString(x.Rexpr) {
		return
	}
	a.wantReg(x.Lexpr, regOID)
	a.wantReg(x.Rexpr, regOID)
}

// wantCase says the same of CASE x WHEN y, which compares x with each y.
func (a *analysis) wantCase(x *pg.CaseExpr) {
	compared := []*pg.Node{x.Arg}
	for _, w := range x.Args {
		compared = append(compared, w.GetCaseWhen().GetExpr())
	}
	if slices.ContainsFunc(compared, hasString) {
		return
	}
	for _, n := range compared {
		a.wantReg(n, regOID)
	}
}

func hasString(n *pg.Node) bool {
	return n.GetAConst().GetSval() != nil || slices.ContainsFunc(n.GetList().GetItems(), hasString)
}

// isReg tells whether an expression is a cast to a reg* type or a function that returns one.
func isReg(n *pg.Node) bool {
	list, in := n.GetFuncCall().GetFuncname(), regFunctions
	if cast := n.GetTypeCast(); cast != nil {
		list, in = cast.GetTypeName().GetNames(), regTypes
	}
	parts, _ := names(list)
	return len(parts) > 0 && slices.Contains(in, parts[len(parts)-1])
}

// wantArguments says what becomes of the arguments of a call.
func (a *analysis) wantArguments(f *pg.FuncCall, name string) {
	if _, standIn := CatalogFunction(name, a.w.Major); !standIn && !strings.HasPrefix(name, "pg_") {
		return
	}
	for _, arg := range f.Args {
		a.wantReg(arg, regOID)
	}
}

// searchFunctions take a text search configuration or dictionary first, relationFunctions a relation. The server reads a bare string there
// as a name, as it would in a cast.
var (
	searchFunctions = []string{
		"json_to_tsvector", "jsonb_to_tsvector", "phraseto_tsquery", "plainto_tsquery", "to_tsquery", "to_tsvector", "ts_headline", "ts_lexize",
		"websearch_to_tsquery",
	}
	relationFunctions = []string{"pg_partition_ancestors", "pg_relation_is_publishable", "pg_table_size"}
)

// namedArgument judges a bare string, or a parameter, whose place makes the name of an object of it: its error would tell which schemas
// there are.
func (a *analysis) namedArgument(f *pg.FuncCall, name string) {
	first := argument(f, 0)
	text := first.GetAConst().GetSval()
	switch {
	case slices.Contains(relationFunctions, name) && text != nil && !isNumber(text.Sval):
		// to_regclass is judged like any other: it finds admitted relations, and none of another name.
		f.Args[0] = &pg.Node{Node: &pg.Node_FuncCall{FuncCall: &pg.FuncCall{
			Funcname: nameNodes("to_regclass"), Args: []*pg.Node{first}, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL, Location: f.Location,
		}}}
		a.wantReg(f.Args[0], regOID)
	case !slices.Contains(searchFunctions, name) || len(f.Args) < 2:
	case text != nil:
		if parts, ok := splitIdentifier(text.Sval); ok && len(parts) > 1 && parts[0] != "pg_catalog" {
			a.refuse(f.Location, Refusal{
				Reason: ReasonFunctionArgument, Object: name, Message: "permission denied for " + text.Sval + " in " + name,
				Detail: "Text search configurations and dictionaries of pg_catalog are available.", Hint: "Name it without a schema.",
			})
		}
	case first.GetParamRef() != nil && (name != "ts_headline" || len(f.Args) > 3):
		a.notConstant(f.Location, "the configuration in "+name)
	default:
		a.wantReg(first, regBare)
	}
}

// plainReg makes a reg* value that was just judged a plain one.
func (a *analysis) plainReg(n *pg.Node, typ string) {
	if a.refusal != nil || typ == "regcollation" {
		return
	}
	as, said := a.regs[n]
	if !said {
		as = regText
	}
	if as != regBare {
		a.replace(n, castTo(&pg.Node{Node: n.Node}, as))
	}
}

// regprocColumns are the columns of the catalog that are of type regproc in the server. The stand-ins show them as OIDs, for the reason
// at the head of this file; where a query shows one, it is written as the name that the server would have printed.
const regprocColumns = `aggfnoid aggtransfn aggfinalfn aggcombinefn aggserialfn aggdeserialfn aggmtransfn aggminvtransfn aggmfinalfn
	amhandler amproc conproc oprcode oprrest oprjoin prosupport prsstart prstoken prsend prsheadline prslextype rngcanonical rngsubdiff
	tmplinit tmpllexize typinput typoutput typreceive typsend typmodin typmodout typanalyze typsubscript`

// namedFunction writes a result column that is one of regprocColumns as text.
func (a *analysis) namedFunction(rt *pg.ResTarget, sc *scope) {
	parts, ok := names(rt.Val.GetColumnRef().GetFields())
	if !ok || len(parts) == 0 || a.refusal != nil || !slices.Contains(strings.Fields(regprocColumns), parts[len(parts)-1]) {
		return
	}
	for _, it := range sc.items {
		if it.catalog && it.of.Schema == "pg_catalog" && !it.shape.known && (len(parts) == 1 || it.alias == parts[len(parts)-2]) {
			a.replace(rt.Val, castTo(castTo(&pg.Node{Node: rt.Val.Node}, "regproc"), "text"))
			return
		}
	}
}
