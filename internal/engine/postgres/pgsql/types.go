package pgsql

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// regTypes name objects: their input functions resolve names, and print them in errors (ENF-55).
var regTypes = []string{
	"regclass", "regtype", "regproc", "regprocedure", "regoper", "regoperator", "regrole", "regnamespace",
	"regconfig", "regdictionary", "regcollation",
}

// What a client may declare a parameter as without meaning a type: unknown, which the server settles, and void, by which drivers mark
// what a call gives back.
const (
	unknownOID = 705
	voidOID    = 2278
)

// RefusedParameter names a declared type of a parameter, by its OID, that a statement could not name either, and says what to declare
// instead; "" when it may be declared. Its input function would look up whatever object a value names, or show by its errors how the
// row of a hidden table is made.
func (w *World) RefusedParameter(oid uint32) (name, hint string) {
	if oid == 0 || oid == unknownOID || oid == voidOID {
		return "", ""
	}
	if _, ok := w.TypeOIDs[oid]; ok {
		return "", ""
	}
	table := builtinFunctions()
	switch name, ok := table.oids[oid]; {
	case !ok || !table.hasType(name, w.Major):
		return fmt.Sprintf("the type with OID %d", oid), "Leave the type open, or declare the parameter as text."
	case slices.Contains(regTypes, name):
		return "type " + name, "Declare the parameter as text or oid."
	}
	return "", ""
}

// typeName judges a type and qualifies it. reg says that a reg* type is judged by the caller.
func (a *analysis) typeName(t *pg.TypeName, reg bool) {
	if t == nil || a.refusal != nil {
		return
	}
	a.mark(t)
	if t.Location > 0 {
		a.location = t.Location
	}
	parts, ok := names(t.Names)
	if !ok || len(parts) == 0 || t.PctType || t.Setof {
		a.noType(t, strings.Join(parts, "."))
		return
	}
	for _, m := range t.Typmods {
		a.typmod(m)
	}
	for _, b := range t.ArrayBounds {
		if b.GetInteger() == nil {
			a.misplaced(b)
		}
	}
	name := parts[len(parts)-1]
	base := strings.TrimPrefix(name, "_")
	if slices.Contains(regTypes, base) && !reg {
		a.notConstant(t.Location, "a cast to "+name)
		return
	}
	target, ok := a.findType(parts)
	if !ok {
		a.noType(t, strings.Join(parts, "."))
		return
	}
	// char without a length means bpchar(1) when it is qualified, so that one name stays as it was written.
	if target.Schema == "pg_catalog" && len(parts) == 1 && name == "bpchar" {
		return
	}
	t.Names = nameNodes(target.Schema, target.Name)
}

// typmod judges one type modifier: a constant, or a word.
func (a *analysis) typmod(n *pg.Node) {
	switch n.GetNode().(type) {
	case *pg.Node_AConst:
	case *pg.Node_ColumnRef: // geometry(Point): a word, which the server never reads as a column
		a.mark(n.GetColumnRef())
	default:
		a.misplaced(n)
	}
}

// findType finds what a type name means: pg_catalog's, the policy's, or the row type of an admitted relation.
func (a *analysis) findType(parts []string) (Name, bool) {
	switch len(parts) {
	case 1:
		if a.functions.hasType(parts[0], a.w.Major) {
			return Name{"pg_catalog", parts[0]}, true
		}
		for _, schema := range a.typePath() {
			if target, ok := a.typeIn(schema, parts[0]); ok {
				return target, true
			}
		}
		return Name{}, false
	case 3:
		if parts[0] != a.w.Database && parts[0] != a.w.Store {
			return Name{}, false
		}
		parts = parts[1:]
	}
	if len(parts) != 2 {
		return Name{}, false
	}
	if parts[0] == "pg_catalog" {
		return Name{"pg_catalog", parts[1]}, a.functions.hasType(parts[1], a.w.Major)
	}
	return a.typeIn(parts[0], parts[1])
}

// typePath is where unqualified types are looked up: the logical path, then the extensions' schemas, in a fixed order.
func (a *analysis) typePath() []string {
	path := slices.Clone(a.w.Schemas)
	var more []string
	for _, schema := range a.w.Extension {
		if !slices.Contains(path, schema) && !slices.Contains(more, schema) {
			more = append(more, schema)
		}
	}
	slices.Sort(more)
	return append(path, more...)
}

func (a *analysis) typeIn(schema, name string) (Name, bool) {
	if target, ok := a.w.Types[Name{schema, name}]; ok {
		return target, true
	}
	// The array type of t may be written _t.
	if target, ok := a.w.Types[Name{schema, strings.TrimPrefix(name, "_")}]; ok && strings.HasPrefix(name, "_") {
		return Name{target.Schema, "_" + target.Name}, true
	}
	if rel := a.w.Relations[Name{schema, name}]; rel != nil && rel.Select && rel.Kind != 'S' && !a.stored {
		a.rows++
		if rel.Target != rel.Name {
			a.rewrote = true
		}
		return rel.Target, true
	}
	return Name{}, false
}

func (a *analysis) noType(t *pg.TypeName, name string) {
	a.refuse(t.Location, Refusal{
		Reason: ReasonType, Object: name,
		Message: fmt.Sprintf("permission denied for type %s", name),
		Detail:  "Types of pg_catalog and those that admitted columns use are available.",
	})
}

// typeCast judges a cast. A cast to a reg* type resolves a name, which is done here instead.
func (a *analysis) typeCast(n *pg.Node, cast *pg.TypeCast, sc *scope) {
	a.mark(cast)
	if cast.Location > 0 {
		a.location = cast.Location
	}
	parts, _ := names(cast.GetTypeName().GetNames())
	if len(parts) > 0 && slices.Contains(regTypes, parts[len(parts)-1]) && (len(parts) == 1 || len(parts) == 2 && parts[0] == "pg_catalog") {
		if a.stored {
			a.notStored(cast.Location, "a cast to "+parts[len(parts)-1])
			return
		}
		a.regCast(n, cast, parts[len(parts)-1], sc)
		a.plainReg(n, parts[len(parts)-1])
		return
	}
	if len(cast.TypeName.GetArrayBounds()) == 0 {
		a.wantReg(cast.Arg, regBare)
	}
	a.node(cast.Arg, sc)
	a.typeName(cast.TypeName, false)
	if c := cast.Arg.GetAConst().GetSval(); c != nil && (c.Sval == "t" || c.Sval == "f") && len(parts) > 0 && parts[len(parts)-1] == "bool" &&
		len(cast.TypeName.GetArrayBounds()) == 0 && a.refusal == nil {
		// The deparser writes 't'::bool as true, which is another tree: make it that one.
		value := &pg.A_Const_Boolval{Boolval: &pg.Boolean{Boolval: c.Sval == "t"}}
		n.Node = &pg.Node_AConst{AConst: &pg.A_Const{Val: value, Location: -1}}
	}
}

// regCast judges x::regclass and its kin: a constant that names something in sight, or an OID column of the catalog.
func (a *analysis) regCast(n *pg.Node, cast *pg.TypeCast, typ string, sc *scope) {
	a.typeName(cast.TypeName, true)
	if len(cast.TypeName.GetArrayBounds()) > 0 {
		a.notConstant(cast.Location, "a cast to "+typ)
		return
	}
	if text, ok := textConst(cast.Arg); ok {
		if typ == "regclass" && isNumber(text) {
			a.relationByOID(n, text)
			return
		}
		target, ok := a.regConstant(typ, text, cast.Location)
		if !ok {
			return
		}
		cast.Arg = stringConst(target)
		if standIn, ok := CatalogFunction("to_regclass", a.w.Major); ok && typ == "regclass" && !strings.HasPrefix(target, "pg_catalog.") {
			// The base's schema need not be open to the session; the stand-in answers without it.
			call := &pg.FuncCall{
				Funcname: nameNodes(standIn.Schema, standIn.Name), Args: []*pg.Node{stringConst(target)},
				Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL,
			}
			a.replace(n, &pg.Node{Node: &pg.Node_FuncCall{FuncCall: call}})
		}
		return
	}
	if oid, ok := intConst(cast.Arg); ok {
		if typ == "regclass" {
			a.relationByOID(n, strconv.FormatInt(oid, 10))
		}
		return
	}
	if a.catalogColumn(cast.Arg, sc) {
		a.node(cast.Arg, sc)
		return
	}
	if standIn, ok := CatalogFunction("to_"+typ, a.w.Major); ok && isNameText(cast.Arg) {
		// SQLAlchemy looks for the sequence of each column so, TypeORM for comments and types. The stand-in knows admitted objects only and fails on no name.
		a.node(cast.Arg, sc)
		call := &pg.FuncCall{
			Funcname: nameNodes(standIn.Schema, standIn.Name), Args: []*pg.Node{{Node: cast.Arg.Node}},
			Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL,
		}
		a.replace(n, &pg.Node{Node: &pg.Node_FuncCall{FuncCall: call}})
		return
	}
	a.notConstant(cast.Location, "a cast to "+typ)
}

// isNameText tells whether an expression makes the text of a name, and not an OID: pieces put together, or a call of a function whose
// result is such a text.
func isNameText(n *pg.Node) bool {
	if e := n.GetAExpr(); e != nil {
		op, _ := names(e.Name)
		return e.Kind == pg.A_Expr_Kind_AEXPR_OP && len(op) == 1 && op[0] == "||" && e.Lexpr != nil
	}
	parts, ok := names(n.GetFuncCall().GetFuncname())
	return ok && len(parts) > 0 && (len(parts) == 1 || len(parts) == 2 && parts[0] == "pg_catalog") &&
		slices.Contains([]string{"pg_get_serial_sequence", "quote_ident", "format", "concat", "concat_ws"}, parts[len(parts)-1])
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// relationByOID turns 16385::regclass into a look at the catalog that the subject sees: the cast would name any relation.
func (a *analysis) relationByOID(n *pg.Node, oid string) {
	target, verdict := CatalogRelation("pg_catalog", "pg_class", a.w.Major)
	if verdict != CatalogRetarget {
		a.notConstant(-1, "a cast to regclass")
		return
	}
	column := func(name string) *pg.Node { return pg.MakeColumnRefNode(nameNodes("c", name), 0) }
	equal := &pg.Node{Node: &pg.Node_AExpr{AExpr: &pg.A_Expr{
		Kind: pg.A_Expr_Kind_AEXPR_OP, Name: nameNodes("="),
		Lexpr: column("oid"), Rexpr: castTo(stringConst(oid), "oid"),
	}}}
	query := &pg.SelectStmt{
		TargetList: []*pg.Node{pg.MakeResTargetNodeWithVal(castTo(column("oid"), "regclass"), 0)},
		FromClause: []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: &pg.RangeVar{
			Schemaname: target.Schema, Relname: target.Name, Inh: true,
			Relpersistence: "p", Alias: &pg.Alias{Aliasname: "c"},
		}}}},
		WhereClause: equal, LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
	}
	link := &pg.SubLink{
		SubLinkType: pg.SubLinkType_EXPR_SUBLINK,
		Subselect:   &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: query}},
	}
	a.replace(n, &pg.Node{Node: &pg.Node_SubLink{SubLink: link}})
}

// catalogColumn tells whether an expression is a column of a catalog view, where OIDs are those of admitted objects.
func (a *analysis) catalogColumn(n *pg.Node, sc *scope) bool {
	if cast := n.GetTypeCast(); cast != nil { // c.oid::regclass::oid::regclass
		parts, _ := names(cast.GetTypeName().GetNames())
		if len(parts) > 0 && (slices.Contains(regTypes, parts[len(parts)-1]) || parts[len(parts)-1] == "oid") {
			return a.catalogColumn(cast.Arg, sc)
		}
		return false
	}
	parts, ok := names(n.GetColumnRef().GetFields())
	if !ok || sc == nil {
		return false
	}
	switch len(parts) {
	case 1:
		for level := sc; level != nil; level = level.outer {
			if len(level.items) == 0 {
				continue
			}
			found := false
			for _, it := range level.items {
				if it.shape.known && !it.shape.has(parts[0]) {
					continue // such as pg_partition_ancestors('16400') beside pg_constraint, in psql's \d
				}
				if !it.catalogOIDs() {
					return false
				}
				found = true
			}
			return found
		}
	case 2:
		it, _ := sc.find(parts[0])
		return it != nil && it.catalogOIDs()
	}
	return false
}

// catalogOIDs tells whether an item is a catalog whose columns hold OIDs, and no text that a client can choose.
func (it *item) catalogOIDs() bool {
	return it.catalog && it.of.Schema == "pg_catalog" && it.of.Name != "pg_settings"
}

// regConstant judges the text of a constant cast to a reg* type, and returns it with the object's full name.
func (a *analysis) regConstant(typ, text string, at int32) (string, bool) {
	if text == "-" || isNumber(text) {
		return text, true
	}
	if typ == "regprocedure" {
		if target, ok := a.regprocedureConstant(text); ok {
			return target, true
		}
	}
	parts, ok := splitIdentifier(text)
	if !ok && typ != "regtype" {
		a.notConstant(at, "a cast to "+typ)
		return "", false
	}
	switch typ {
	case "regclass":
		return a.regclassConstant(parts, text, at)
	case "regtype":
		if ok {
			if target, found := a.findType(parts); found {
				return target.String(), true
			}
		}
		if word := strings.ToLower(strings.TrimSpace(text)); a.functions.typeAlias(word) {
			return word, true
		}
	case "regnamespace":
		if len(parts) == 1 && (slices.Contains(a.w.Schemas, parts[0]) || parts[0] == "pg_catalog" || parts[0] == "information_schema") {
			return text, true
		}
	case "regproc":
		last := parts[len(parts)-1]
		if a.functions.known(last) && (len(parts) == 1 || len(parts) == 2 && parts[0] == "pg_catalog") {
			return Name{"pg_catalog", last}.String(), true
		}
	case "regconfig", "regdictionary", "regcollation":
		if len(parts) == 1 || len(parts) == 2 && parts[0] == "pg_catalog" {
			return Name{"pg_catalog", parts[len(parts)-1]}.String(), true
		}
	}
	a.refuse(at, Refusal{
		Reason: ReasonType, Object: typ,
		Message: fmt.Sprintf("this constant is not available as %s", typ),
		Detail:  "It names nothing that your rules admit.",
	})
	return "", false
}

// regprocedureConstant finds the function of pg_catalog that a text such as array_in(cstring,oid,integer) names, over types of plain
// names: ActiveRecord asks so which types are arrays.
func (a *analysis) regprocedureConstant(text string) (string, bool) {
	name, arguments, ok := strings.Cut(strings.TrimSuffix(text, ")"), "(")
	name = strings.TrimPrefix(name, "pg_catalog.")
	if !ok || !strings.HasSuffix(text, ")") || !a.functions.known(name) {
		return "", false
	}
	for _, word := range strings.Split(arguments, ",") {
		word = strings.TrimSpace(word)
		if word != "cstring" && word != "internal" && !a.functions.typeAlias(word) && !a.functions.hasType(word, a.w.Major) {
			return "", false
		}
	}
	return "pg_catalog." + name + "(" + arguments + ")", true
}

// regclassConstant finds the relation that a constant names: the base's own name is what the catalog views speak of.
func (a *analysis) regclassConstant(parts []string, text string, at int32) (string, bool) {
	rv := &pg.RangeVar{Relname: parts[len(parts)-1], Location: at}
	switch len(parts) {
	case 1:
	case 2:
		rv.Schemaname = parts[0]
	case 3:
		rv.Catalogname, rv.Schemaname = parts[0], parts[1]
	default:
		a.notConstant(at, "a cast to regclass")
		return "", false
	}
	r, ok := a.resolve(rv)
	if !ok {
		return "", false
	}
	return r.name.String(), true
}

// toRegclass judges to_regclass('name'): NULL for what is not there, without an error.
func (a *analysis) toRegclass(n *pg.Node, f *pg.FuncCall, sc *scope) {
	text, ok := textConst(argument(f, 0))
	if standIn, has := CatalogFunction("to_regclass", a.w.Major); !ok && has && len(f.Args) == 1 && argument(f, 0) != nil {
		a.node(f.Args[0], sc) // the stand-in knows admitted relations only
		f.Funcname = nameNodes(standIn.Schema, standIn.Name)
		f.Funcformat = pg.CoercionForm_COERCE_EXPLICIT_CALL
		a.rewrote = true
		return
	}
	if !ok || len(f.Args) != 1 {
		a.notConstant(f.Location, "to_regclass")
		return
	}
	parts, ok := splitIdentifier(text)
	if !ok || len(parts) > 2 {
		a.notConstant(f.Location, "to_regclass")
		return
	}
	var full string
	if rel := a.relationByText(text); rel != nil {
		full = rel.Name.String()
	} else if schema, name := "pg_catalog", parts[len(parts)-1]; len(parts) == 1 || parts[0] == schema {
		if _, verdict := CatalogRelation(schema, name, a.w.Major); verdict != CatalogRefuse {
			full = Name{schema, name}.String()
		}
	}
	if full == "" {
		null := castTo(&pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Isnull: true}}}, "regclass")
		a.replace(n, null)
		return
	}
	f.Args[0] = stringConst(full)
	f.Funcname = nameNodes("pg_catalog", "to_regclass")
	if target, ok := CatalogFunction("to_regclass", a.w.Major); ok {
		f.Funcname = nameNodes(target.Schema, target.Name)
	}
	a.rewrote = true
}

func (a *analysis) toRegObject(f *pg.FuncCall, typ, name string) {
	text, ok := textConst(argument(f, 0))
	if !ok || len(f.Args) != 1 {
		a.notConstant(f.Location, name)
		return
	}
	if target, ok := a.regConstant(typ, text, f.Location); ok {
		f.Args[0] = stringConst(target)
		f.Funcname = nameNodes("pg_catalog", name)
	}
}
