package pgsql

import (
	pgquery "github.com/pganalyze/pg_query_go/v6"
)

// This file compiles subject.NAME (ENF-90). The attribute's values are rows of postern.attribute for the calling role;
// current_user is the calling role in a policy and in a view alike. The array form reads them once per statement.

// subjectKey returns the key of a subject.NAME reference.
func (c *filterCompiler) subjectKey(n *pgquery.Node) (string, bool) {
	ref := n.GetColumnRef()
	if ref == nil || c.values != nil || len(ref.Fields) != 2 || filterString(ref.Fields[0]) != "subject" {
		return "", false
	}
	key := filterString(ref.Fields[1])
	return key, key != ""
}

// subjectOperand returns the key of subject.NAME or subject.NAME::type, and the type asked for.
func (c *filterCompiler) subjectOperand(n *pgquery.Node) (key string, as *pgquery.TypeName, ok bool) {
	if cast := n.GetTypeCast(); cast != nil {
		if key, ok = c.subjectKey(cast.Arg); ok {
			return key, cast.TypeName, true
		}
		return "", nil, false
	}
	key, ok = c.subjectKey(n)
	return key, nil, ok
}

// commuted maps a comparison operator to the one with its sides exchanged.
func commuted(op string) (string, bool) {
	pairs := map[string]string{"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
	other, ok := pairs[op]
	return other, ok
}

// compareSubject compiles "expression operator subject.NAME" to the array form. done is false when e is something else; the
// attribute then becomes a scalar subquery where it stands.
func (c *filterCompiler) compareSubject(e *pgquery.A_Expr, at filterPlace) (out *pgquery.Node, done bool, err error) {
	op := filterString(e.Name[len(e.Name)-1])
	swapped, comparison := commuted(op)
	left, right := e.Lexpr, e.Rexpr
	switch e.Kind {
	case pgquery.A_Expr_Kind_AEXPR_OP:
	case pgquery.A_Expr_Kind_AEXPR_IN: // x IN (subject.k)
		items := right.GetList().GetItems()
		if len(items) != 1 {
			return nil, false, nil
		}
		right = items[0]
	default:
		return nil, false, nil
	}
	if !comparison || left == nil || right == nil {
		return nil, false, nil
	}
	key, as, ok := c.subjectOperand(right)
	if !ok {
		if key, as, ok = c.subjectOperand(left); !ok {
			return nil, false, nil
		}
		left, right, op = right, left, swapped
	}
	if _, _, both := c.subjectOperand(left); both {
		return nil, false, nil // subject.a = subject.b
	}
	if as != nil {
		if err := c.typeName(as); err != nil {
			return nil, true, err
		}
	} else if as, err = c.comparedType(left); err != nil {
		return nil, true, err
	}
	if left, err = c.expr(left, filterPlace{}); err != nil {
		return nil, true, err
	}
	if !at.required || op == "<>" {
		c.guards[key] = true // <> ALL of nothing, and NOT of nothing, would be true
	}
	kind := pgquery.A_Expr_Kind_AEXPR_OP_ANY
	if op == "<>" {
		kind = pgquery.A_Expr_Kind_AEXPR_OP_ALL
	}
	values := pgquery.MakeAExprNode(kind, []*pgquery.Node{pgquery.MakeStrNode(op)}, left, c.attributeArray(key, as), e.Location)
	return values, true, nil
}

// comparedType is the type to cast an attribute to when it is compared with n: the column's without its modifier, since a
// cast to varchar(3) would cut the value and match too much.
func (c *filterCompiler) comparedType(n *pgquery.Node) (*pgquery.TypeName, error) {
	text := &pgquery.TypeName{Names: []*pgquery.Node{pgquery.MakeStrNode("pg_catalog"), pgquery.MakeStrNode("text")}, Typemod: -1}
	if cast := n.GetTypeCast(); cast != nil {
		return withoutModifier(cast.TypeName, text), nil
	}
	typ := ""
	if ref := n.GetColumnRef(); ref != nil {
		if names, err := refNames(ref); err == nil {
			if found, err := c.lookup(names, ref.Location); err == nil {
				typ = found.typ
			}
		}
	}
	if typ == "" {
		return text, nil
	}
	node, err := parseExpression("NULL::" + typ)
	if err != nil || node.GetTypeCast() == nil {
		return nil, filterError(filterLocation(n), "cannot compare a subject's attribute with a column of type %s: cast the column", typ)
	}
	return withoutModifier(node.GetTypeCast().TypeName, text), nil
}

// withoutModifier returns t without its type modifier, qualified; character types become text.
func withoutModifier(t, text *pgquery.TypeName) *pgquery.TypeName {
	name := filterString(t.Names[len(t.Names)-1])
	schema := "pg_catalog"
	if len(t.Names) > 1 {
		schema = filterString(t.Names[len(t.Names)-2])
	}
	if schema == "pg_catalog" {
		switch name {
		case "varchar", "bpchar", "char", "name", "text":
			if len(t.ArrayBounds) == 0 {
				return text
			}
		case "bit":
			name = "varbit"
		}
		if len(t.Names) == 1 && !filterTypes[name] {
			return &pgquery.TypeName{Names: t.Names, Typemod: -1, ArrayBounds: t.ArrayBounds}
		}
	}
	return &pgquery.TypeName{
		Names: []*pgquery.Node{pgquery.MakeStrNode(schema), pgquery.MakeStrNode(name)}, Typemod: -1, ArrayBounds: t.ArrayBounds,
	}
}

// attributeSelect is SELECT value::T FROM postern.attribute WHERE role = current_user AND key = 'k'.
func (c *filterCompiler) attributeSelect(key string, as *pgquery.TypeName) *pgquery.Node {
	c.attrs[key] = true
	value := pgquery.MakeColumnRefNode([]*pgquery.Node{pgquery.MakeStrNode("attribute"), pgquery.MakeStrNode("value")}, 0)
	if as != nil {
		value = &pgquery.Node{Node: &pgquery.Node_TypeCast{TypeCast: &pgquery.TypeCast{Arg: value, TypeName: as}}}
	}
	return attributeQuery(key, value)
}

func attributeQuery(key string, target *pgquery.Node) *pgquery.Node {
	column := func(name string) *pgquery.Node {
		return pgquery.MakeColumnRefNode([]*pgquery.Node{pgquery.MakeStrNode("attribute"), pgquery.MakeStrNode(name)}, 0)
	}
	user := &pgquery.Node{Node: &pgquery.Node_SqlvalueFunction{SqlvalueFunction: &pgquery.SQLValueFunction{
		Op: pgquery.SQLValueFunctionOp_SVFOP_CURRENT_USER, Typmod: -1,
	}}}
	equal := func(l, r *pgquery.Node) *pgquery.Node {
		return pgquery.MakeAExprNode(pgquery.A_Expr_Kind_AEXPR_OP, []*pgquery.Node{pgquery.MakeStrNode("=")}, l, r, 0)
	}
	from := &pgquery.Node{Node: &pgquery.Node_RangeVar{RangeVar: &pgquery.RangeVar{
		Schemaname: "postern", Relname: "attribute", Inh: true, Relpersistence: "p",
	}}}
	return &pgquery.Node{Node: &pgquery.Node_SelectStmt{SelectStmt: &pgquery.SelectStmt{
		TargetList: []*pgquery.Node{pgquery.MakeResTargetNodeWithVal(target, 0)},
		FromClause: []*pgquery.Node{from},
		WhereClause: andNode(equal(column("role"), user), equal(column("key"),
			pgquery.MakeAConstStrNode(key, 0))),
		LimitOption: pgquery.LimitOption_LIMIT_OPTION_DEFAULT, Op: pgquery.SetOperation_SETOP_NONE,
	}}}
}

func (c *filterCompiler) attributeArray(key string, as *pgquery.TypeName) *pgquery.Node {
	return subLink(pgquery.SubLinkType_ARRAY_SUBLINK, c.attributeSelect(key, as))
}

// scalarAttribute is the attribute's one value; several are an error of the server's, and none is NULL.
func (c *filterCompiler) scalarAttribute(key string, as *pgquery.TypeName) *pgquery.Node {
	c.guards[key] = true
	return subLink(pgquery.SubLinkType_EXPR_SUBLINK, c.attributeSelect(key, as))
}

func attributeExists(key string) *pgquery.Node {
	return subLink(pgquery.SubLinkType_EXISTS_SUBLINK, attributeQuery(key, pgquery.MakeAConstIntNode(1, 0)))
}

func subLink(kind pgquery.SubLinkType, query *pgquery.Node) *pgquery.Node {
	return &pgquery.Node{Node: &pgquery.Node_SubLink{SubLink: &pgquery.SubLink{SubLinkType: kind, Subselect: query}}}
}

// andNode is a AND b, flat as the parser makes it.
func andNode(a, b *pgquery.Node) *pgquery.Node {
	args := []*pgquery.Node{a, b}
	if x := a.GetBoolExpr(); x != nil && x.Boolop == pgquery.BoolExprType_AND_EXPR {
		args = append(append([]*pgquery.Node{}, x.Args...), b)
	}
	return pgquery.MakeBoolExprNode(pgquery.BoolExprType_AND_EXPR, args, 0)
}

// refNames returns the names of a column reference; a star is refused.
func refNames(ref *pgquery.ColumnRef) ([]string, error) {
	names := make([]string, len(ref.Fields))
	for i, f := range ref.Fields {
		if f.GetString_() == nil {
			return nil, filterError(ref.Location, "whole rows are not allowed in a filter: name the columns")
		}
		names[i] = filterString(f)
	}
	return names, nil
}
