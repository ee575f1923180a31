package pgsql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// maxSeries bounds generate_series with constant arguments: the result costs the server, not the client.
const maxSeries = 10_000_000

// expandArray is the one function of information_schema that drivers call: it unnests an array with its subscripts.
const expandArray = "_pg_expandarray"

// funcCall judges a call by the function's name. n is the node around it, which a stand-in may replace.
func (a *analysis) funcCall(n *pg.Node, f *pg.FuncCall, sc *scope) {
	a.mark(f)
	a.location = f.Location
	parts, ok := names(f.Funcname)
	if !ok || len(parts) == 0 {
		a.misplaced(f)
		return
	}
	name := parts[len(parts)-1]
	if len(parts) == 2 && parts[0] == "information_schema" && name == expandArray {
		a.callParts(f, name, sc)
		return
	}
	if target, ok := a.callable(parts); ok && a.w.Callable[target] != 'p' && !a.stored {
		a.callRoutine(f, target, sc)
		return
	}
	if len(parts) > 2 || len(parts) == 2 && parts[0] != "pg_catalog" {
		a.noFunction(f.Location, strings.Join(parts, "."))
		return
	}
	if a.stored && (slices.Contains(unstored, name) || slices.Contains(regFunctions, name)) {
		a.notStored(f.Location, name+"()")
		return
	}
	if a.special(n, f, name, sc) {
		if slices.Contains(regFunctions, name) {
			a.plainReg(n, name)
		}
		return
	}
	if target, ok := CatalogFunction(name, a.w.Major); ok && name != expandArray {
		if a.stored {
			a.notStored(f.Location, name+"()")
			return
		}
		f.Funcname = nameNodes(target.Schema, target.Name)
		f.Funcformat = pg.CoercionForm_COERCE_EXPLICIT_CALL
		a.rewrote = true
	} else if !a.functions.allowed(name, a.w.Major) && !spelledOut(f, name, a.w.Major) {
		a.noFunction(f.Location, name)
		return
	} else {
		f.Funcname = nameNodes("pg_catalog", name)
	}
	a.callParts(f, name, sc)
	if name == "pg_typeof" {
		a.plainReg(n, name)
	}
}

// firstExtract is the first release with a function called extract. Before, EXTRACT(YEAR FROM x) is the grammar's spelling of
// date_part, and that is how it is sent.
const firstExtract = 14

// spelledOut tells whether a call is EXTRACT(… FROM …) to a server whose grammar makes date_part of it.
func spelledOut(f *pg.FuncCall, name string, major int) bool {
	return name == "extract" && major < firstExtract && f.Funcformat == pg.CoercionForm_COERCE_SQL_SYNTAX && len(f.Args) == 2
}

// callable finds the routine outside pg_catalog that a name means: one that a rule or an extension's set lets be called. A name that
// pg_catalog has means pg_catalog's.
func (a *analysis) callable(parts []string) (Name, bool) {
	switch len(parts) {
	case 1:
		if a.functions.known(parts[0]) {
			return Name{}, false
		}
		for _, schema := range a.typePath() {
			if _, ok := a.w.Callable[Name{schema, parts[0]}]; ok {
				return Name{schema, parts[0]}, true
			}
		}
	case 2:
		_, ok := a.w.Callable[Name{parts[0], parts[1]}]
		return Name{parts[0], parts[1]}, ok
	}
	return Name{}, false
}

// callRoutine judges a call of an admitted routine: its arguments. What it does with them is the judgement of whoever admitted it.
func (a *analysis) callRoutine(f *pg.FuncCall, target Name, sc *scope) {
	f.Funcname = nameNodes(target.Schema, target.Name)
	f.Funcformat = pg.CoercionForm_COERCE_EXPLICIT_CALL
	a.rewrote = true
	for _, arg := range f.Args {
		a.wantReg(arg, regText) // a routine may take names of objects, and they are names then
	}
	a.nodeList(f.Args, sc)
	a.nodeList(f.AggOrder, sc)
	a.node(f.AggFilter, sc)
	if f.Over != nil {
		a.parts(f.Over, sc)
	}
}

// callParts judges the arguments and clauses of a call.
func (a *analysis) callParts(f *pg.FuncCall, name string, sc *scope) {
	if sc != nil && f.Over == nil && a.functions.aggregate(name) {
		defer func(was bool) { sc.collect = was }(sc.collect)
		sc.collect = false
	}
	a.wantArguments(f, name)
	a.namedArgument(f, name)
	a.nodeList(f.Args, sc)
	if name == "xmlexists" && f.Funcformat == pg.CoercionForm_COERCE_SQL_SYNTAX && len(f.Args) == 2 {
		f.Args[1] = passing(f.Args[1])
	}
	a.nodeList(f.AggOrder, sc)
	a.node(f.AggFilter, sc)
	if f.Over != nil {
		a.parts(f.Over, sc)
	}
}

func (a *analysis) noFunction(at int32, name string) {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last == name && !a.functions.known(name) && a.w.Routines != nil && !a.w.Routines[name] {
		a.refuse(at, Refusal{
			SQLState: stateNoFunction, Reason: ReasonFunction, Object: name,
			Message: fmt.Sprintf("function %s does not exist", quoteIdent(name)),
		})
		return
	}
	r := Refusal{
		Reason: ReasonFunction, Object: name,
		Message: fmt.Sprintf("permission denied for function %s", name),
		Detail:  fmt.Sprintf("Functions are an allow-list; this one is not on it for PostgreSQL %d.", a.w.Major),
		Hint:    "Write the query without it, or ask the owner of the policy.",
	}
	if a.w.Inline == nil && a.w.Routines[last] && !a.functions.known(last) {
		r.Detail, r.Hint = "The guard cannot see what a function of the application reads.", RuleCanAllow+"the function: allow: {functions: […]}."
	}
	a.refuse(at, r)
}

// special judges the functions whose verdict depends on a constant argument; true means that it has.
func (a *analysis) special(n *pg.Node, f *pg.FuncCall, name string, sc *scope) bool {
	switch name {
	case "set_config":
		a.setConfig(n, f)
	case "current_setting":
		a.currentSetting(n, f, sc)
	case "current_schema":
		if len(f.Args) > 0 {
			return false
		}
		a.replace(n, castTo(stringConst(a.firstSchema()), "name"))
	case "current_schemas":
		a.currentSchemas(n, f)
	case "to_regclass":
		a.toRegclass(n, f, sc)
	case "to_regtype", "to_regnamespace", "to_regproc":
		a.toRegObject(f, "reg"+strings.TrimPrefix(name, "to_reg"), name)
	case "nextval", "currval":
		a.sequence(f, name)
	case "generate_series":
		a.series(f)
		return a.refusal != nil
	default:
		return false
	}
	return true
}

// replace puts another expression in the place of a call. What is put there is judged by construction.
func (a *analysis) replace(n *pg.Node, with *pg.Node) {
	n.Node = with.Node
	a.markAll(with)
	a.rewrote = true
}

func (a *analysis) firstSchema() string {
	if len(a.w.Schemas) == 0 {
		return ""
	}
	return a.w.Schemas[0]
}

func (a *analysis) currentSchemas(n *pg.Node, f *pg.FuncCall) {
	implicit, ok := boolConst(argument(f, 0))
	if !ok || len(f.Args) != 1 {
		a.notConstant(f.Location, "current_schemas")
		return
	}
	var elements []*pg.Node
	if implicit && !slices.Contains(a.w.Schemas, "pg_catalog") {
		elements = append(elements, stringConst("pg_catalog"))
	}
	for _, s := range a.w.Schemas {
		elements = append(elements, stringConst(s))
	}
	array := &pg.Node{Node: &pg.Node_AArrayExpr{AArrayExpr: &pg.A_ArrayExpr{Elements: elements}}}
	cast := castTo(array, "name")
	cast.GetTypeCast().TypeName.ArrayBounds = []*pg.Node{pg.MakeIntNode(-1)}
	a.replace(n, cast)
}

func (a *analysis) notConstant(at int32, what string) {
	a.refuse(at, Refusal{
		Reason: ReasonFunctionArgument, Object: what,
		Message: fmt.Sprintf("%s is available with plain constants only", what),
		Detail:  "Its argument names an object or a setting, so it must be known before the statement runs.",
	})
}

// sequence judges nextval and currval: of an admitted sequence that the profile may use.
func (a *analysis) sequence(f *pg.FuncCall, name string) {
	text, ok := textConst(argument(f, 0))
	if !ok || len(f.Args) != 1 {
		a.notConstant(f.Location, name)
		return
	}
	rel := a.relationByText(text)
	if rel == nil || rel.Kind != 'S' || !rel.Insert && !rel.Update {
		a.refuse(f.Location, Refusal{
			Reason: ReasonAction, Object: name,
			Message: fmt.Sprintf("permission denied for the sequence in %s", name),
			Detail:  "Sequences of tables that you may insert into or update are available.",
			Hint:    "Leave the column out of the INSERT; its default is filled in.",
		})
		return
	}
	f.Funcname = nameNodes("pg_catalog", name)
	f.Args[0] = stringConst(rel.Target.String())
	a.rewrote = true
}

// relationByText finds the admitted relation that a text such as public."Orders" names.
func (a *analysis) relationByText(text string) *Relation {
	parts, ok := splitIdentifier(text)
	if !ok {
		return nil
	}
	switch len(parts) {
	case 1:
		for _, schema := range a.w.Schemas {
			name := Name{schema, parts[0]}
			if rel := a.w.Relations[name]; rel != nil {
				return rel
			}
			if _, known := a.w.Known[name]; known {
				return nil
			}
		}
	case 2:
		return a.w.Relations[Name{parts[0], parts[1]}]
	}
	return nil
}

// series refuses a generate_series over constants that would not end soon.
func (a *analysis) series(f *pg.FuncCall) {
	if len(f.Args) < 2 {
		return
	}
	start, ok1 := intConst(f.Args[0])
	stop, ok2 := intConst(f.Args[1])
	step := int64(1)
	if len(f.Args) == 3 {
		if s, ok := intConst(f.Args[2]); ok && s != 0 {
			step = s
		}
	}
	if ok1 && ok2 && (float64(stop)-float64(start))/float64(step) > maxSeries {
		a.refuse(f.Location, Refusal{
			SQLState: "54000", Reason: ReasonLimit, Object: "generate_series",
			Message: fmt.Sprintf("generate_series is limited to %d rows", maxSeries),
		})
	}
}

// functionShape is the shape of a function's result in FROM or behind a dot.
func (a *analysis) functionShape(n *pg.Node) shape {
	f := n.GetFuncCall()
	if f == nil {
		return shape{}
	}
	parts, ok := names(f.Funcname)
	if !ok || len(parts) == 0 {
		return shape{}
	}
	if last := parts[len(parts)-1]; last == expandArray {
		return shapeOf("x", "n")
	}
	return a.functions.result(parts[len(parts)-1])
}

// valueFunction judges CURRENT_USER and the like. CURRENT_SCHEMA answers the first schema of the logical path.
func (a *analysis) valueFunction(n *pg.Node, f *pg.SQLValueFunction) {
	a.mark(f)
	if f.Op == pg.SQLValueFunctionOp_SVFOP_CURRENT_SCHEMA {
		a.replace(n, castTo(stringConst(a.firstSchema()), "name"))
	}
}

func valueFunctionName(op pg.SQLValueFunctionOp) string {
	name := strings.ToLower(strings.TrimPrefix(op.String(), "SVFOP_"))
	return strings.TrimSuffix(name, "_n")
}

// operator judges an operator's name: pg_catalog's, and those that the extensions of the profile bring.
func (a *analysis) operator(list []*pg.Node, kind pg.A_Expr_Kind, at int32) {
	parts, ok := names(list)
	if !ok || len(parts) == 0 || len(parts) > 2 {
		a.refuse(at, Refusal{Reason: ReasonOperator, Message: "the operator is not understood"})
		return
	}
	switch kind {
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_BETWEEN_SYM:
		a.implied("BETWEEN", at, ">=", "<=")
		return
	case pg.A_Expr_Kind_AEXPR_NOT_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN_SYM:
		a.implied("NOT BETWEEN", at, "<", ">")
		return
	}
	op := parts[len(parts)-1]
	if len(parts) == 1 && !a.w.Operators[op] || len(parts) == 2 && parts[0] == "pg_catalog" {
		return
	}
	if len(parts) == 2 && !a.w.Operators[op] {
		for _, schema := range a.w.Extension {
			if schema == parts[0] {
				return
			}
		}
	}
	a.refuse(at, Refusal{
		Reason: ReasonOperator, Object: strings.Join(parts, "."),
		Message: fmt.Sprintf("permission denied for operator %s", strings.Join(parts, ".")),
		Detail:  "Operators of pg_catalog and of the profile's extensions are available; an application's own are functions.",
	})
}

// implied judges operators that a construct uses without naming them: the server finds them on its path, as it does those that are
// written (ENF-51).
func (a *analysis) implied(construct string, at int32, operators ...string) {
	for _, op := range operators {
		if a.w.Operators[op] {
			a.refuse(at, Refusal{
				Reason: ReasonOperator, Object: op, Message: fmt.Sprintf("permission denied for operator %s, which %s uses", op, construct),
				Detail: "The application has an operator of that name, which is a function of its own.",
				Hint:   fmt.Sprintf("Write OPERATOR(pg_catalog.%s) instead of %s.", op, construct),
			})
		}
	}
}

// collation judges COLLATE: collations of pg_catalog only.
func (a *analysis) collation(list []*pg.Node, at int32) {
	parts, ok := names(list)
	if ok && (len(parts) == 1 || len(parts) == 2 && parts[0] == "pg_catalog") {
		return
	}
	a.refuse(at, Refusal{
		Reason: ReasonType, Object: strings.Join(parts, "."),
		Message: "permission denied for collation " + strings.Join(parts, "."), Hint: "Collations of pg_catalog are available.",
	})
}

// --- constants ---

func argument(f *pg.FuncCall, i int) *pg.Node {
	if i >= len(f.Args) {
		return nil
	}
	return f.Args[i]
}

// textConst reads a string constant, with or without a cast to a text type.
func textConst(n *pg.Node) (string, bool) {
	if cast := n.GetTypeCast(); cast != nil {
		parts, _ := names(cast.GetTypeName().GetNames())
		if len(parts) == 0 || !slices.Contains([]string{"text", "varchar", "name", "bpchar", "cstring"}, parts[len(parts)-1]) ||
			len(cast.TypeName.ArrayBounds) > 0 {
			return "", false
		}
		n = cast.Arg
	}
	s := n.GetAConst().GetSval()
	if s == nil {
		return "", false
	}
	return s.Sval, true
}

func intConst(n *pg.Node) (int64, bool) {
	c := n.GetAConst()
	switch {
	case c.GetIval() != nil:
		return int64(c.GetIval().Ival), true
	case c.GetFval() != nil:
		i, err := strconv.ParseInt(c.GetFval().Fval, 10, 64)
		return i, err == nil
	}
	return 0, false
}

func boolConst(n *pg.Node) (bool, bool) {
	if cast := n.GetTypeCast(); cast != nil {
		parts, _ := names(cast.GetTypeName().GetNames())
		if s := cast.Arg.GetAConst().GetSval(); s != nil && len(parts) > 0 && parts[len(parts)-1] == "bool" {
			switch s.Sval {
			case "t", "true":
				return true, true
			case "f", "false":
				return false, true
			}
		}
		n = cast.Arg
	}
	b := n.GetAConst().GetBoolval()
	if b == nil {
		return false, false
	}
	return b.Boolval, true
}

func stringConst(s string) *pg.Node { return pg.MakeAConstStrNode(s, -1) }

// castTo writes n::pg_catalog.type.
func castTo(n *pg.Node, typ string) *pg.Node {
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{
		Arg:      n,
		TypeName: &pg.TypeName{Names: nameNodes("pg_catalog", typ), Typemod: -1},
	}}}
}

// splitIdentifier splits a dotted name as the server does for regclass: unquoted parts are folded to lower case.
func splitIdentifier(text string) (parts []string, ok bool) {
	rest := strings.Trim(text, " \t\r\n\f")
	for {
		var part string
		if strings.HasPrefix(rest, `"`) {
			end := 1
			for end < len(rest) && (rest[end] != '"' || end+1 < len(rest) && rest[end+1] == '"') {
				if rest[end] == '"' {
					end++
				}
				end++
			}
			if end >= len(rest) {
				return nil, false
			}
			part, rest = strings.ReplaceAll(rest[1:end], `""`, `"`), rest[end+1:]
		} else {
			end := 0
			for end < len(rest) && isIdentPart(rest[end]) {
				end++
			}
			if end == 0 || !isIdentStart(rest[0]) {
				return nil, false
			}
			part, rest = strings.ToLower(rest[:end]), rest[end:]
		}
		parts = append(parts, part)
		if rest == "" {
			return parts, true
		}
		if rest[0] != '.' {
			return nil, false
		}
		rest = rest[1:]
	}
}
