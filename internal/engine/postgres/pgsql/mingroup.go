package pgsql

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A relation under min_group answers aggregates over at least so many admitted rows and nothing else. What can be known from the
// shape of a query is rewritten: HAVING drops the groups that are too small. Everything else is refused.
//
// The rules are strict because every value that is computed row by row tells about single rows: by its result, or by an error
// that comes only when a row is there. So what is evaluated on rows (WHERE, ON, GROUP BY, the arguments of aggregates) may
// compare columns with constants and do nothing that can fail, aggregates are those whose result is no single row's value, and
// a condition inside an aggregate (FILTER, DISTINCT, CASE) does not exist. What is computed from whole groups is free, behind
// the condition on their size. A relation is read at one place of a text only: two answers that differ by one row are a
// row's value; for the same reason the groups of a join may not overlap, and a join may not make one row weigh more than another in a
// sum, see mingroup_join.go. That two texts can do the same is the limit of the method; see docs/guide/limits.md.

// groupAggregates are the aggregates that mix every row of a group. min and max show one row's value.
var groupAggregates = []string{
	"count", "sum", "avg", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp",
}

// groupFunctions may be applied to aggregates and group keys.
var groupFunctions = []string{
	"round", "abs", "ceil", "ceiling", "floor", "trunc", "date_trunc", "date_part", "extract", "to_char", "lower", "upper", "concat",
}

// groupUnits are the parts of a date that every date and timestamp has.
var groupUnits = []string{"year", "quarter", "month", "week", "day"}

// groupNodes are the nodes that make something of whole groups. What is not among them is refused: JSON_ARRAYAGG is an aggregate and
// no function call.
var groupNodes = map[protoreflect.Name]bool{
	"Node": true, "List": true, "A_Const": true, "Integer": true, "Float": true, "Boolean": true, "String": true, "BitString": true,
	"ParamRef": true, "SQLValueFunction": true, "TypeCast": true, "TypeName": true, "CollateClause": true,
	"A_Expr": true, "BoolExpr": true, "NullTest": true, "BooleanTest": true,
	"CaseExpr": true, "CaseWhen": true, "CoalesceExpr": true, "MinMaxExpr": true,
	"A_ArrayExpr": true, "A_Indirection": true, "A_Indices": true, "RowExpr": true,
	"XmlExpr": true, "XmlSerialize": true, "ResTarget": true,
	"JsonObjectConstructor": true, "JsonArrayConstructor": true, "JsonKeyValue": true, "JsonValueExpr": true, "JsonFormat": true,
	"JsonOutput": true, "JsonReturning": true, "JsonIsPredicate": true, "JsonParseExpr": true, "JsonScalarExpr": true,
	"JsonSerializeExpr": true, "JsonFuncExpr": true, "JsonArgument": true, "JsonBehavior": true,
}

// rowComparisons cannot fail on values of one type.
var rowComparisons = []string{"=", "<>", "<", "<=", ">", ">="}

// smallGroups judges the level of a query that reads relations under min_group, and adds the condition on the size of groups.
// limited are these relations, each once for every place in FROM.
func (a *analysis) smallGroups(s *pg.SelectStmt, sc *scope, limited []*Relation) {
	if a.refusal != nil || len(limited) == 0 {
		return
	}
	g := &grouping{a: a, s: s, sc: sc}
	for _, rel := range limited {
		g.least = max(g.least, rel.MinGroup)
		if a.grouped[rel] {
			g.refuse(rel, "it is read at two places, whose answers could be compared", "Read it once, and keep the result on your side.")
			return
		}
		if a.grouped == nil {
			a.grouped = map[*Relation]bool{}
		}
		a.grouped[rel] = true
	}
	g.rel = limited[0]
	g.judge()
	if a.refusal == nil {
		g.condition()
	}
}

// ungrouped refuses relations under min_group that were reached in any other way than FROM of a query.
func (a *analysis) ungrouped() {
	if a.refusal == nil && len(a.limited) > 0 {
		(&grouping{a: a, least: a.limited[0].MinGroup}).refuse(a.limited[0], "this shows or changes single rows", "")
	}
}

// grouping is the judgement on one level.
type grouping struct {
	a     *analysis
	s     *pg.SelectStmt
	sc    *scope
	rel   *Relation
	least int64
	sums  []*pg.ColumnRef // arguments of aggregates
	keys  []*item         // whose columns rows are grouped by
	found bool            // an aggregate
}

func (g *grouping) refuse(rel *Relation, why, hint string) {
	if hint == "" {
		hint = "Use count, sum, avg, stddev or variance of columns, with GROUP BY on columns and WHERE that compares them with constants."
	}
	g.a.refuse(-1, Refusal{
		Reason: ReasonMinGroup, Object: rel.Name.String(), Dataset: rel.Dataset,
		Message: fmt.Sprintf("%s answers aggregates over %d rows or more only", rel.Name, rel.MinGroup),
		Detail:  fmt.Sprintf("The limit min_group of your rules on it (%s): %s.", rel.Rule, why), Hint: hint,
	})
}

func (g *grouping) judge() {
	s := g.s
	for _, n := range s.FromClause {
		g.from(n)
	}
	for _, it := range g.sc.items {
		if it.rel == nil {
			g.refuse(g.rel, "it stands beside something else than tables", "")
		}
	}
	if len(s.DistinctClause) > 0 || len(s.WindowClause) > 0 || len(s.LockingClause) > 0 || s.GroupDistinct {
		g.refuse(g.rel, "DISTINCT, windows and locks are not available", "")
	}
	if s.WhereClause != nil && !g.onRows(s.WhereClause) {
		g.refuse(g.rel, "WHERE may only compare columns with constants", "")
	}
	for _, n := range s.GroupClause {
		if !g.key(n) {
			g.refuse(g.rel, "GROUP BY may only name columns, and date_trunc or extract of them", "")
		}
	}
	for _, n := range s.TargetList {
		g.onGroups(n.GetResTarget().GetVal())
	}
	g.onGroups(s.HavingClause)
	for _, n := range s.SortClause {
		g.onGroups(n.GetSortBy().GetNode())
	}
	g.joined()
	if !g.found && len(s.GroupClause) == 0 {
		g.refuse(g.rel, "this shows single rows", "")
	}
}

// from judges what stands in FROM: tables and inner joins of them.
func (g *grouping) from(n *pg.Node) {
	switch x := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		if len(x.RangeVar.Alias.GetColnames()) == 0 {
			return
		}
	case *pg.Node_JoinExpr:
		j := x.JoinExpr
		if j.Jointype == pg.JoinType_JOIN_INNER && !j.IsNatural && len(j.UsingClause) == 0 && j.Alias == nil &&
			(j.Quals == nil || g.onRows(j.Quals)) {
			g.from(j.Larg)
			g.from(j.Rarg)
			return
		}
	}
	g.refuse(g.rel, "FROM may only join tables by JOIN … ON", "")
}

// column finds the local column that a reference means, nil when it is something else.
func (g *grouping) column(n *pg.ColumnRef) (*item, *Column) {
	parts, ok := names(n.GetFields())
	if !ok || len(parts) == 0 || len(parts) > 2 {
		return nil, nil
	}
	var found *item
	for _, it := range g.sc.items {
		if it.rel == nil || len(parts) == 2 && it.alias != parts[0] || !it.shape.has(parts[len(parts)-1]) {
			continue
		}
		if found != nil {
			return nil, nil
		}
		found = it
	}
	if found == nil {
		return nil, nil
	}
	i := slices.IndexFunc(found.rel.Columns, func(c Column) bool { return c.Name == parts[len(parts)-1] })
	if i < 0 {
		return nil, nil
	}
	return found, &found.rel.Columns[i]
}

// onRows says whether an expression may be evaluated on single rows: it cannot fail on one and not on another.
func (g *grouping) onRows(n *pg.Node) bool {
	all := func(list []*pg.Node) bool {
		return !slices.ContainsFunc(list, func(n *pg.Node) bool { return !g.onRows(n) })
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_AConst, *pg.Node_ParamRef, *pg.Node_SqlvalueFunction:
		return true
	case *pg.Node_ColumnRef:
		it, _ := g.column(x.ColumnRef)
		return it != nil
	case *pg.Node_TypeCast:
		return x.TypeCast.Arg.GetAConst() != nil
	case *pg.Node_BoolExpr:
		return all(x.BoolExpr.Args)
	case *pg.Node_NullTest:
		return g.onRows(x.NullTest.Arg)
	case *pg.Node_BooleanTest:
		return g.onRows(x.BooleanTest.Arg)
	case *pg.Node_List:
		return all(x.List.Items)
	case *pg.Node_AArrayExpr:
		return all(x.AArrayExpr.Elements)
	case *pg.Node_AExpr:
		return g.comparison(x.AExpr) && g.onRows(x.AExpr.Lexpr) && g.onRows(x.AExpr.Rexpr)
	}
	return false
}

func (g *grouping) comparison(x *pg.A_Expr) bool {
	if x.Lexpr == nil || x.Rexpr == nil {
		return false
	}
	switch x.Kind {
	case pg.A_Expr_Kind_AEXPR_BETWEEN, pg.A_Expr_Kind_AEXPR_NOT_BETWEEN:
		return true
	case pg.A_Expr_Kind_AEXPR_OP, pg.A_Expr_Kind_AEXPR_IN, pg.A_Expr_Kind_AEXPR_OP_ANY, pg.A_Expr_Kind_AEXPR_DISTINCT,
		pg.A_Expr_Kind_AEXPR_NOT_DISTINCT:
		parts, ok := names(x.Name)
		return ok && len(parts) == 1 && slices.Contains(rowComparisons, parts[0])
	}
	return false
}

// key says whether rows may be grouped by an expression: a column, a part of a date, or a target that is one, by its number or name.
func (g *grouping) key(n *pg.Node) bool {
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		if it, _ := g.column(x.ColumnRef); it != nil {
			g.keys = append(g.keys, it)
			return true
		}
		parts, ok := names(x.ColumnRef.Fields)
		return ok && len(parts) == 1 && g.target(func(i int, name string) bool { return name == parts[0] })
	case *pg.Node_AConst:
		at := x.AConst.GetIval()
		return at != nil && g.target(func(i int, _ string) bool { return i == int(at.Ival)-1 })
	case *pg.Node_FuncCall:
		return g.datePart(x.FuncCall)
	}
	return false
}

// target says whether the targets that match picks may be grouped by.
func (g *grouping) target(match func(i int, name string) bool) bool {
	found := false
	for i, n := range g.s.TargetList {
		rt := n.GetResTarget()
		if rt == nil || !match(i, targetName(rt)) {
			continue
		}
		found = true
		c, f := rt.Val.GetColumnRef(), rt.Val.GetFuncCall()
		it, _ := g.column(c)
		if (c == nil || it == nil) && (f == nil || !g.datePart(f)) {
			return false
		}
		if it != nil {
			g.keys = append(g.keys, it)
		}
	}
	return found
}

// datePart knows date_trunc('month', column) and extract(year from column) on dates and timestamps, which cannot fail.
func (g *grouping) datePart(f *pg.FuncCall) bool {
	name, ok := pgCatalogName(f)
	if !ok || !slices.Contains([]string{"date_trunc", "date_part", "extract"}, name) || !plainCall(f) || len(f.Args) != 2 {
		return false
	}
	unit, ok := textConst(f.Args[0])
	it, c := g.column(f.Args[1].GetColumnRef())
	if it != nil {
		g.keys = append(g.keys, it)
	}
	return ok && c != nil && slices.Contains(groupUnits, strings.ToLower(unit)) && (c.Type == "date" || strings.HasPrefix(c.Type, "timestamp"))
}

// pgCatalogName is the name of a function that is not qualified with another schema.
func pgCatalogName(f *pg.FuncCall) (string, bool) {
	parts, ok := names(f.GetFuncname())
	if !ok || len(parts) == 0 || len(parts) > 2 || len(parts) == 2 && parts[0] != "pg_catalog" {
		return "", false
	}
	return parts[len(parts)-1], true
}

// plainCall says whether a call has nothing but arguments.
func plainCall(f *pg.FuncCall) bool {
	return len(f.AggOrder) == 0 && f.AggFilter == nil && f.Over == nil && !f.AggWithinGroup && !f.AggDistinct && !f.FuncVariadic
}

// onGroups judges an expression over whole groups: aggregates, group keys, and what is made of them.
func (g *grouping) onGroups(n *pg.Node) {
	if n != nil {
		g.groups(n.ProtoReflect())
	}
}

func (g *grouping) groups(m protoreflect.Message) {
	switch x := m.Interface().(type) {
	case *pg.FuncCall:
		name, ok := pgCatalogName(x)
		switch {
		case !ok || !plainCall(x):
			g.refuse(g.rel, "FILTER, DISTINCT, ORDER BY and OVER pick single rows", "")
		case slices.Contains(groupAggregates, name):
			g.aggregate(x, name)
			return
		case !slices.Contains(groupFunctions, name):
			g.refuse(g.rel, fmt.Sprintf("function %s is not available", name), "")
		}
	case *pg.JsonArrayAgg, *pg.JsonObjectAgg:
		g.refuse(g.rel, "JSON_ARRAYAGG and JSON_OBJECTAGG show single rows", "")
	case *pg.SubLink, *pg.SelectStmt, *pg.GroupingFunc:
		g.refuse(g.rel, "subqueries beside aggregates are not available", "")
	case *pg.ColumnRef:
		if it, _ := g.column(x); it == nil && !g.output(x) {
			g.refuse(g.rel, "this shows single rows, or columns of another query", "")
		}
		return
	default:
		if name := m.Descriptor().Name(); !groupNodes[name] {
			g.refuse(g.rel, fmt.Sprintf("%s is not available beside aggregates", name), "")
		}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				g.groups(v.List().Get(i).Message())
			}
		default:
			g.groups(v.Message())
		}
		return g.a.refusal == nil
	})
}

// output says whether a name is one of the targets', as ORDER BY may use it.
func (g *grouping) output(c *pg.ColumnRef) bool {
	parts, ok := names(c.Fields)
	return ok && len(parts) == 1 && slices.ContainsFunc(g.s.TargetList, func(n *pg.Node) bool {
		return n.GetResTarget() != nil && targetName(n.GetResTarget()) == parts[0]
	})
}

func (g *grouping) aggregate(f *pg.FuncCall, name string) {
	g.found = true
	if f.AggStar && name == "count" && len(f.Args) == 0 {
		return
	}
	if len(f.Args) == 1 {
		if c := f.Args[0].GetColumnRef(); c != nil {
			if it, _ := g.column(c); it != nil {
				g.sums = append(g.sums, c)
				return
			}
		}
	}
	g.refuse(g.rel, "the arguments of aggregates may only be columns", "")
}

// condition puts the condition on the size of groups into HAVING, before the client's own.
func (g *grouping) condition() {
	var all []*pg.Node
	joined := len(g.sc.items) > 1
	for _, it := range g.sc.items {
		if it.rel.MinGroup == 0 {
			continue
		}
		key := g.keyOf(it)
		if joined && key == nil {
			g.refuse(it.rel, "its rows cannot be counted in a join, because it has no key of one column that you see", "")
			return
		}
		counted := &pg.FuncCall{Funcname: nameNodes("count"), AggStar: true, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL}
		if joined {
			counted = countOf(key, true)
		}
		all = append(all, g.enough(counted))
		for _, c := range g.sums {
			if of, _ := g.column(c); of != it {
				continue
			}
			value := &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: nameNodes(lastName(c.Fields))}}}
			value.GetColumnRef().Fields = append(nameNodes(it.alias), value.GetColumnRef().Fields...)
			if !joined {
				all = append(all, g.enough(countOf(value, false)))
				continue
			}
			// Rows of the relation that bring a value, whatever the join makes of them.
			test := &pg.NullTest{Arg: value, Nulltesttype: pg.NullTestType_IS_NOT_NULL}
			when := &pg.CaseWhen{Expr: &pg.Node{Node: &pg.Node_NullTest{NullTest: test}}, Result: key}
			pick := &pg.CaseExpr{Args: []*pg.Node{{Node: &pg.Node_CaseWhen{CaseWhen: when}}}}
			all = append(all, g.enough(countOf(&pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: pick}}, true)))
		}
	}
	enough := all[0]
	if len(all) > 1 {
		enough = &pg.Node{Node: &pg.Node_BoolExpr{BoolExpr: &pg.BoolExpr{Boolop: pg.BoolExprType_AND_EXPR, Args: all}}}
	}
	if g.s.HavingClause != nil {
		// CASE keeps the client's condition away from groups that are too small: it could fail on them.
		when := &pg.CaseWhen{Expr: enough, Result: g.s.HavingClause}
		no := &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Boolval{Boolval: &pg.Boolean{}}}}}
		enough = &pg.Node{Node: &pg.Node_CaseExpr{CaseExpr: &pg.CaseExpr{Args: []*pg.Node{{Node: &pg.Node_CaseWhen{CaseWhen: when}}}, Defresult: no}}}
	}
	g.s.HavingClause = enough
	g.a.rewrote = true
}

// keyOf is the column that tells the rows of a relation apart, nil when none is shown as it is.
func (g *grouping) keyOf(it *item) *pg.Node {
	if len(it.rel.Primary) != 1 {
		return nil
	}
	for _, c := range it.rel.Columns {
		if c.Name == it.rel.Primary[0] && c.Mask == "" {
			return pg.MakeColumnRefNode(nameNodes(it.alias, c.Name), 0)
		}
	}
	return nil
}

func lastName(fields []*pg.Node) string {
	parts, _ := names(fields)
	return parts[len(parts)-1]
}

func countOf(n *pg.Node, distinct bool) *pg.FuncCall {
	return &pg.FuncCall{
		Funcname: nameNodes("count"), Args: []*pg.Node{n}, AggDistinct: distinct, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL,
	}
}

// enough is count(…) >= least.
func (g *grouping) enough(count *pg.FuncCall) *pg.Node {
	least := &pg.Node{Node: &pg.Node_AConst{AConst: &pg.A_Const{Val: &pg.A_Const_Ival{Ival: &pg.Integer{Ival: int32(g.least)}}}}} //nolint:gosec // bounded by the policy
	return pg.MakeAExprNode(pg.A_Expr_Kind_AEXPR_OP, nameNodes(">="), &pg.Node{Node: &pg.Node_FuncCall{FuncCall: count}}, least, 0)
}
