package pgsql

import (
	"fmt"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"
)

// filterPlace says where in a filter an expression stands.
type filterPlace struct {
	// positive: the expression's being NULL instead of false changes nothing, so EXISTS may become = ANY (ARRAY(…)).
	positive bool
	// required: no row passes unless the expression is true, so an absent attribute needs no guard of its own.
	required bool
}

// filterError makes the error for a node at a location of the statement that filterPrefix begins.
func filterError(location int32, format string, args ...any) error {
	return &SyntaxError{Offset: max(-1, int(location)-len(filterPrefix)), Message: fmt.Sprintf(format, args...)}
}

// expr checks an expression and returns what stands for it. The list of node types is an allow-list: what it does not name
// is refused.
func (c *filterCompiler) expr(n *pgquery.Node, at filterPlace) (*pgquery.Node, error) {
	if n == nil {
		return nil, nil
	}
	switch x := n.Node.(type) {
	case *pgquery.Node_AConst:
		return n, nil
	case *pgquery.Node_ColumnRef:
		return c.columnRef(x.ColumnRef)
	case *pgquery.Node_AExpr:
		return c.operator(n, x.AExpr, at)
	case *pgquery.Node_BoolExpr:
		return n, c.boolean(x.BoolExpr, at)
	case *pgquery.Node_SubLink:
		return c.sublink(n, x.SubLink, at)
	case *pgquery.Node_FuncCall:
		return n, c.call(x.FuncCall)
	case *pgquery.Node_TypeCast:
		return c.cast(n, x.TypeCast)
	case *pgquery.Node_SqlvalueFunction:
		return n, c.sqlValue(x.SqlvalueFunction)
	case *pgquery.Node_CollateClause:
		return n, c.collate(x.CollateClause)
	case *pgquery.Node_AIndirection:
		return n, c.subscript(x.AIndirection)
	case *pgquery.Node_CaseExpr:
		return n, c.caseExpr(x.CaseExpr)
	}
	return n, c.children(n)
}

// children handles the nodes that only hold expressions.
func (c *filterCompiler) children(n *pgquery.Node) error {
	switch x := n.Node.(type) {
	case *pgquery.Node_NullTest:
		return c.one(&x.NullTest.Arg)
	case *pgquery.Node_BooleanTest:
		return c.one(&x.BooleanTest.Arg)
	case *pgquery.Node_CoalesceExpr:
		return c.all(x.CoalesceExpr.Args)
	case *pgquery.Node_MinMaxExpr:
		return c.all(x.MinMaxExpr.Args)
	case *pgquery.Node_AArrayExpr:
		return c.all(x.AArrayExpr.Elements)
	case *pgquery.Node_RowExpr:
		return c.all(x.RowExpr.Args)
	case *pgquery.Node_List:
		return c.all(x.List.Items)
	}
	return filterError(filterLocation(n), "%s is not allowed in a filter or mask expression", filterNodeName(n))
}

func (c *filterCompiler) one(n **pgquery.Node) error {
	out, err := c.expr(*n, filterPlace{})
	if err == nil {
		*n = out
	}
	return err
}

func (c *filterCompiler) all(nodes []*pgquery.Node) error {
	for i := range nodes {
		if err := c.one(&nodes[i]); err != nil {
			return err
		}
	}
	return nil
}

// boolean handles AND, OR and NOT.
func (c *filterCompiler) boolean(b *pgquery.BoolExpr, at filterPlace) error {
	switch b.Boolop {
	case pgquery.BoolExprType_AND_EXPR:
	case pgquery.BoolExprType_OR_EXPR:
		at.required = false
	default:
		at = filterPlace{}
	}
	for i := range b.Args {
		out, err := c.expr(b.Args[i], at)
		if err != nil {
			return err
		}
		b.Args[i] = out
	}
	return nil
}

// operator handles every A_Expr: operators, LIKE, IN lists, BETWEEN, ANY and ALL.
func (c *filterCompiler) operator(n *pgquery.Node, e *pgquery.A_Expr, at filterPlace) (*pgquery.Node, error) {
	switch len(e.Name) {
	case 1:
	case 2:
		if s := filterString(e.Name[0]); s != "pg_catalog" {
			return nil, filterError(e.Location, "operator %s.%s is not allowed: only operators of pg_catalog may be named by schema", s, filterString(e.Name[1]))
		}
	default:
		return nil, filterError(e.Location, "unknown operator")
	}
	if out, done, err := c.compareSubject(e, at); done || err != nil {
		return out, err
	}
	if err := c.one(&e.Lexpr); err != nil {
		return nil, err
	}
	return n, c.one(&e.Rexpr)
}

// caseExpr handles CASE.
func (c *filterCompiler) caseExpr(e *pgquery.CaseExpr) error {
	if err := c.one(&e.Arg); err != nil {
		return err
	}
	for _, w := range e.Args {
		when := w.GetCaseWhen()
		if when == nil {
			return filterError(e.Location, "this CASE is not allowed in a filter or mask expression")
		}
		if err := c.one(&when.Expr); err != nil {
			return err
		}
		if err := c.one(&when.Result); err != nil {
			return err
		}
	}
	return c.one(&e.Defresult)
}

// call admits functions of the allow-list, and qualifies their names (ENF-13, ENF-51).
func (c *filterCompiler) call(f *pgquery.FuncCall) error {
	name := filterString(f.Funcname[len(f.Funcname)-1])
	if len(f.Funcname) > 2 || (len(f.Funcname) == 2 && filterString(f.Funcname[0]) != "pg_catalog") {
		return filterError(f.Location, "function %s is not allowed: a filter or mask may call functions of pg_catalog only", filterDotted(f.Funcname))
	}
	aggregate := filterAggregates[name]
	if !filterFunctions[name] && !aggregate {
		return filterError(f.Location, "function %s is not allowed in a filter or mask expression", name)
	}
	if aggregate && len(c.scopes) == 0 {
		return filterError(f.Location, "aggregate %s is allowed inside a subquery only", name)
	}
	if f.Over != nil || f.AggWithinGroup || (!aggregate && (f.AggStar || f.AggDistinct || f.AggFilter != nil || len(f.AggOrder) > 0)) {
		return filterError(f.Location, "this form of %s is not allowed in a filter or mask expression", name)
	}
	if f.Funcformat != pgquery.CoercionForm_COERCE_SQL_SYNTAX {
		f.Funcname = []*pgquery.Node{pgquery.MakeStrNode("pg_catalog"), pgquery.MakeStrNode(name)}
	}
	if err := c.all(f.Args); err != nil {
		return err
	}
	if err := c.sortBy(f.AggOrder); err != nil {
		return err
	}
	return c.one(&f.AggFilter)
}

func (c *filterCompiler) sortBy(items []*pgquery.Node) error {
	for _, item := range items {
		s := item.GetSortBy()
		if s == nil || len(s.UseOp) > 0 {
			return filterError(filterLocation(item), "this ORDER BY is not allowed in a filter")
		}
		if err := c.one(&s.Node); err != nil {
			return err
		}
	}
	return nil
}

// cast admits casts to plain types, and qualifies the type's name.
func (c *filterCompiler) cast(n *pgquery.Node, t *pgquery.TypeCast) (*pgquery.Node, error) {
	if err := c.typeName(t.TypeName); err != nil {
		return nil, err
	}
	if key, ok := c.subjectKey(t.Arg); ok {
		return c.scalarAttribute(key, t.TypeName), nil
	}
	return n, c.one(&t.Arg)
}

// typeName admits types of pg_catalog's allow-list, and application types that are known.
func (c *filterCompiler) typeName(t *pgquery.TypeName) error {
	if t.Setof || t.PctType || len(t.Names) > 2 || len(t.Names) == 0 {
		return filterError(t.Location, "this type is not allowed in a filter or mask expression")
	}
	name := filterString(t.Names[len(t.Names)-1])
	schema := ""
	if len(t.Names) == 2 {
		schema = filterString(t.Names[0])
	}
	if schema == "" {
		for _, s := range append([]string{"pg_catalog"}, c.opts.Schemas...) {
			if s == "pg_catalog" && filterTypes[name] || c.opts.Types[Name{s, name}] {
				schema = s
				break
			}
		}
		if schema == "" && !c.strict && c.values == nil && !strings.HasPrefix(name, "reg") {
			return nil // without a catalog an application's type cannot be told from a mistake
		}
	}
	if (schema == "pg_catalog" && !filterTypes[name]) || (schema != "pg_catalog" && !c.opts.Types[Name{schema, name}] && c.strict) || schema == "" {
		return filterError(t.Location, "type %s is not known, or not allowed in a filter or mask expression", filterDotted(t.Names))
	}
	t.Names = []*pgquery.Node{pgquery.MakeStrNode(schema), pgquery.MakeStrNode(name)}
	for _, m := range t.Typmods {
		if m.GetAConst() == nil {
			return filterError(t.Location, "this type modifier is not allowed in a filter or mask expression")
		}
	}
	return nil
}

// sqlValue admits the keywords that stand for a time, and current_user where it is the subject's name.
func (c *filterCompiler) sqlValue(f *pgquery.SQLValueFunction) error {
	switch f.Op {
	case pgquery.SQLValueFunctionOp_SVFOP_CURRENT_DATE, pgquery.SQLValueFunctionOp_SVFOP_CURRENT_TIME,
		pgquery.SQLValueFunctionOp_SVFOP_CURRENT_TIME_N, pgquery.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP,
		pgquery.SQLValueFunctionOp_SVFOP_CURRENT_TIMESTAMP_N, pgquery.SQLValueFunctionOp_SVFOP_LOCALTIME,
		pgquery.SQLValueFunctionOp_SVFOP_LOCALTIME_N, pgquery.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP,
		pgquery.SQLValueFunctionOp_SVFOP_LOCALTIMESTAMP_N:
		return nil
	case pgquery.SQLValueFunctionOp_SVFOP_CURRENT_USER, pgquery.SQLValueFunctionOp_SVFOP_USER, pgquery.SQLValueFunctionOp_SVFOP_CURRENT_ROLE:
		if c.values != nil {
			return filterError(f.Location, "current_user is not allowed in a mask expression")
		}
		if !c.opts.CurrentUser {
			return filterError(f.Location, "current_user is the identity role, which need not be the subject's name: write subject.name")
		}
		c.current = true
		f.Op = pgquery.SQLValueFunctionOp_SVFOP_CURRENT_USER
		return nil
	}
	return filterError(f.Location, "session_user, current_schema and current_catalog are not allowed in a filter: write subject.name")
}

// collate admits pg_catalog's collations.
func (c *filterCompiler) collate(x *pgquery.CollateClause) error {
	name := filterString(x.Collname[len(x.Collname)-1])
	if len(x.Collname) > 2 || (len(x.Collname) == 2 && filterString(x.Collname[0]) != "pg_catalog") {
		return filterError(x.Location, "collation %s is not allowed: only those of pg_catalog are", filterDotted(x.Collname))
	}
	x.Collname = []*pgquery.Node{pgquery.MakeStrNode("pg_catalog"), pgquery.MakeStrNode(name)}
	return c.one(&x.Arg)
}

// subscript admits a[1] and a[1:2]; (a).b can be a function call in disguise (ENF-55).
func (c *filterCompiler) subscript(x *pgquery.A_Indirection) error {
	if err := c.one(&x.Arg); err != nil {
		return err
	}
	for _, i := range x.Indirection {
		ix := i.GetAIndices()
		if ix == nil {
			return filterError(filterLocation(x.Arg), "fields of a composite value are not allowed in a filter or mask expression")
		}
		if err := c.one(&ix.Lidx); err != nil {
			return err
		}
		if err := c.one(&ix.Uidx); err != nil {
			return err
		}
	}
	return nil
}

func filterString(n *pgquery.Node) string { return n.GetString_().GetSval() }

func filterDotted(names []*pgquery.Node) string {
	parts := make([]string, len(names))
	for i, n := range names {
		parts[i] = filterString(n)
	}
	return strings.Join(parts, ".")
}

// filterNodeName names a node's type for a person, such as "WindowDef".
func filterNodeName(n *pgquery.Node) string {
	return strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", n.Node), "*pg_query.Node_"), "_")
}

// filterLocation finds a node's location, -1 when it has none.
func filterLocation(n *pgquery.Node) int32 {
	if n == nil || n.Node == nil {
		return -1
	}
	m := n.ProtoReflect()
	fd := m.WhichOneof(m.Descriptor().Oneofs().Get(0))
	if fd == nil {
		return -1
	}
	inner := m.Get(fd).Message()
	if loc := inner.Descriptor().Fields().ByName("location"); loc != nil {
		return int32(inner.Get(loc).Int())
	}
	return -1
}
