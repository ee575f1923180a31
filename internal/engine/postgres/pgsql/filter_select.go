package pgsql

import (
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"
)

// sublink checks a subquery of a filter, and writes memberships in the array form (ENF-08).
func (c *filterCompiler) sublink(n *pgquery.Node, s *pgquery.SubLink, at filterPlace) (*pgquery.Node, error) {
	if c.values != nil {
		return nil, filterError(s.Location, "subqueries are not allowed in a mask expression")
	}
	sel := s.Subselect.GetSelectStmt()
	if sel == nil {
		return nil, filterError(s.Location, "only SELECT is allowed in a filter")
	}
	switch s.SubLinkType {
	case pgquery.SubLinkType_EXISTS_SUBLINK:
		return c.exists(n, sel, at)
	case pgquery.SubLinkType_ANY_SUBLINK:
		return c.in(n, s, sel, at)
	case pgquery.SubLinkType_ALL_SUBLINK, pgquery.SubLinkType_EXPR_SUBLINK, pgquery.SubLinkType_ARRAY_SUBLINK:
		if err := c.one(&s.Testexpr); err != nil {
			return nil, err
		}
		return n, c.selectStmt(sel, filterPlace{})
	}
	return nil, filterError(s.Location, "this kind of subquery is not allowed in a filter")
}

// in compiles x IN (SELECT …): when the subquery does not depend on the row it becomes x = ANY (ARRAY(SELECT …)), which
// means the same, NULLs included.
func (c *filterCompiler) in(n *pgquery.Node, s *pgquery.SubLink, sel *pgquery.SelectStmt, at filterPlace) (*pgquery.Node, error) {
	isArray := c.isArrayColumn(s.Testexpr)
	_, row := s.Testexpr.GetNode().(*pgquery.Node_RowExpr)
	if err := c.one(&s.Testexpr); err != nil {
		return nil, err
	}
	scope, err := c.selectScoped(sel, at)
	if err != nil {
		return nil, err
	}
	equal := len(s.OperName) == 0 || len(s.OperName) == 1 && filterString(s.OperName[0]) == "="
	if !equal || row || isArray || scope.outer > 0 || len(sel.TargetList) != 1 {
		return n, nil
	}
	return anyOfArray(s.Testexpr, sel), nil
}

// anyOfArray is x = ANY (ARRAY(sel)).
func anyOfArray(x *pgquery.Node, sel *pgquery.SelectStmt) *pgquery.Node {
	query := &pgquery.Node{Node: &pgquery.Node_SelectStmt{SelectStmt: sel}}
	return pgquery.MakeAExprNode(pgquery.A_Expr_Kind_AEXPR_OP_ANY, []*pgquery.Node{pgquery.MakeStrNode("=")}, x,
		subLink(pgquery.SubLinkType_ARRAY_SUBLINK, query), 0)
}

// isArrayColumn reports whether n is a column that is an array, or one of unknown type: ARRAY(SELECT …) of those is not
// the list of what was selected.
func (c *filterCompiler) isArrayColumn(n *pgquery.Node) bool {
	ref := n.GetColumnRef()
	if ref == nil {
		return false
	}
	names, err := refNames(ref)
	if err != nil {
		return false
	}
	found, err := c.lookup(names, ref.Location)
	return err == nil && (strings.HasSuffix(found.typ, "[]") || strings.HasSuffix(found.typ, "vector"))
}

// exists compiles EXISTS (SELECT …). Where NULL and false are one, and the subquery depends on the row by one equality
// only, it becomes a membership in the array form.
func (c *filterCompiler) exists(n *pgquery.Node, sel *pgquery.SelectStmt, at filterPlace) (*pgquery.Node, error) {
	for _, t := range sel.TargetList { // what is selected does not matter, but a star would need every column's grant
		if ref := t.GetResTarget().GetVal().GetColumnRef(); ref != nil && ref.Fields[len(ref.Fields)-1].GetAStar() != nil {
			t.GetResTarget().Val = pgquery.MakeAConstIntNode(1, 0)
		}
	}
	if !at.positive || !simpleSelect(sel) || len(sel.FromClause) == 0 || sel.WhereClause == nil || !plainTargets(sel) {
		if !simpleSelect(sel) {
			at = filterPlace{}
		}
		_, err := c.selectScoped(sel, at)
		return n, err
	}
	scope := c.push()
	defer c.pop()
	for _, f := range sel.FromClause {
		if err := c.from(f); err != nil {
			return nil, err
		}
	}
	correlatedFrom := scope.outer > 0
	conjuncts := []*pgquery.Node{sel.WhereClause}
	if b := sel.WhereClause.GetBoolExpr(); b != nil && b.Boolop == pgquery.BoolExprType_AND_EXPR {
		conjuncts = b.Args
	}
	var rest, all []*pgquery.Node
	var outer, inner *pgquery.Node
	depends := 0
	for _, conjunct := range conjuncts {
		before := scope.outer
		out, l, r, err := c.conjunct(conjunct, scope, at)
		if err != nil {
			return nil, err
		}
		all = append(all, out)
		if scope.outer == before {
			rest = append(rest, out)
			continue
		}
		depends++
		outer, inner = l, r
	}
	if depends != 1 || outer == nil || correlatedFrom {
		sel.WhereClause = conjunction(all)
		// Targets of an EXISTS are not evaluated; plainTargets left constants and columns.
		sel.TargetList = []*pgquery.Node{pgquery.MakeResTargetNodeWithVal(pgquery.MakeAConstIntNode(1, 0), 0)}
		return n, nil
	}
	sel.TargetList = []*pgquery.Node{pgquery.MakeResTargetNodeWithVal(inner, 0)}
	sel.WhereClause = conjunction(rest)
	return anyOfArray(outer, sel), nil
}

// conjunct compiles one part of an EXISTS's WHERE. When it is an equality between an expression of outer rows only and one
// of inner rows only, these are returned too.
func (c *filterCompiler) conjunct(n *pgquery.Node, scope *filterScope, at filterPlace) (out, outer, inner *pgquery.Node, err error) {
	e := n.GetAExpr()
	plain := e != nil && e.Kind == pgquery.A_Expr_Kind_AEXPR_OP && len(e.Name) == 1 && filterString(e.Name[0]) == "=" && e.Lexpr != nil
	if plain {
		_, _, l := c.subjectOperand(e.Lexpr)
		_, _, r := c.subjectOperand(e.Rexpr)
		plain = !l && !r && !c.isArrayColumn(e.Lexpr) && !c.isArrayColumn(e.Rexpr)
	}
	if !plain {
		out, err = c.expr(n, filterPlace{positive: at.positive, required: at.required})
		return out, nil, nil, err
	}
	side := func(n **pgquery.Node) (usesOuter, usesInner bool, err error) {
		o, i := scope.outer, scope.inner
		err = c.one(n)
		return scope.outer > o, scope.inner > i, err
	}
	lo, li, err := side(&e.Lexpr)
	if err != nil {
		return nil, nil, nil, err
	}
	ro, ri, err := side(&e.Rexpr)
	if err != nil {
		return nil, nil, nil, err
	}
	switch {
	case lo && !li && ri && !ro:
		return n, e.Lexpr, e.Rexpr, nil
	case ro && !ri && li && !lo:
		return n, e.Rexpr, e.Lexpr, nil
	}
	return n, nil, nil, nil
}

func conjunction(nodes []*pgquery.Node) *pgquery.Node {
	switch len(nodes) {
	case 0:
		return nil
	case 1:
		return nodes[0]
	}
	return pgquery.MakeBoolExprNode(pgquery.BoolExprType_AND_EXPR, nodes, 0)
}

// plainTargets reports whether an EXISTS selects constants and columns only: an aggregate makes it true for no rows.
func plainTargets(sel *pgquery.SelectStmt) bool {
	for _, t := range sel.TargetList {
		v := t.GetResTarget().GetVal()
		if v.GetAConst() == nil && v.GetColumnRef() == nil {
			return false
		}
	}
	return true
}

// simpleSelect reports whether a query's rows are its FROM's rows that pass its WHERE.
func simpleSelect(sel *pgquery.SelectStmt) bool {
	return sel.Op == pgquery.SetOperation_SETOP_NONE && len(sel.GroupClause) == 0 && sel.HavingClause == nil &&
		len(sel.DistinctClause) == 0 && sel.LimitCount == nil && len(sel.SortClause) == 0
}

func (c *filterCompiler) push() *filterScope {
	s := &filterScope{}
	c.scopes = append(c.scopes, s)
	return s
}

func (c *filterCompiler) pop() { c.scopes = c.scopes[:len(c.scopes)-1] }

func (c *filterCompiler) selectStmt(sel *pgquery.SelectStmt, at filterPlace) error {
	_, err := c.selectScoped(sel, at)
	return err
}

// selectScoped checks one SELECT and returns its scope, whose outer count tells whether it depends on the rows around it.
func (c *filterCompiler) selectScoped(sel *pgquery.SelectStmt, at filterPlace) (*filterScope, error) {
	if sel.IntoClause != nil || sel.WithClause != nil || len(sel.WindowClause) > 0 || len(sel.LockingClause) > 0 ||
		len(sel.ValuesLists) > 0 || sel.LimitOffset != nil || sel.LimitOption > pgquery.LimitOption_LIMIT_OPTION_COUNT {
		return nil, filterError(-1, "a subquery of a filter may not use WITH, VALUES, INTO, WINDOW, OFFSET or FOR UPDATE")
	}
	scope := c.push()
	defer c.pop()
	if sel.Op != pgquery.SetOperation_SETOP_NONE {
		for _, arm := range []*pgquery.SelectStmt{sel.Larg, sel.Rarg} {
			if err := c.selectStmt(arm, filterPlace{}); err != nil {
				return nil, err
			}
		}
		if len(sel.SortClause) > 0 || sel.LimitCount != nil {
			return nil, filterError(-1, "ORDER BY and LIMIT of a UNION are not allowed in a filter")
		}
		return scope, nil
	}
	for _, f := range sel.FromClause {
		if err := c.from(f); err != nil {
			return nil, err
		}
	}
	if !simpleSelect(sel) || !plainTargets(sel) {
		at = filterPlace{}
	}
	var err error
	if sel.WhereClause, err = c.expr(sel.WhereClause, at); err != nil {
		return nil, err
	}
	for _, t := range sel.TargetList {
		res := t.GetResTarget()
		if res == nil || len(res.Indirection) > 0 {
			return nil, filterError(filterLocation(t), "this target is not allowed in a filter's subquery")
		}
		if err := c.one(&res.Val); err != nil {
			return nil, err
		}
	}
	return scope, c.tail(sel)
}

// tail checks what follows a WHERE.
func (c *filterCompiler) tail(sel *pgquery.SelectStmt) error {
	for i, g := range sel.GroupClause {
		if g.GetGroupingSet() != nil {
			return filterError(filterLocation(g), "GROUPING SETS, CUBE and ROLLUP are not allowed in a filter")
		}
		if err := c.one(&sel.GroupClause[i]); err != nil {
			return err
		}
	}
	for i, d := range sel.DistinctClause {
		if d.GetNode() == nil { // plain DISTINCT is a list of one empty node
			continue
		}
		if err := c.one(&sel.DistinctClause[i]); err != nil {
			return err
		}
	}
	if err := c.one(&sel.HavingClause); err != nil {
		return err
	}
	if err := c.sortBy(sel.SortClause); err != nil {
		return err
	}
	if sel.LimitCount != nil && sel.LimitCount.GetAConst() == nil {
		return filterError(filterLocation(sel.LimitCount), "LIMIT takes a number in a filter")
	}
	return nil
}
