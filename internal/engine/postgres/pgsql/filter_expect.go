package pgsql

import (
	"fmt"
	"slices"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// This file writes what a filter or mask expression should mean, so that verify can compare the wall with it. It shares the
// parser with the compiler and nothing else: no array form, no membership rewriting, no guards. Attributes become literals.

// Expectation says for whom and over what a filter is to be evaluated.
type Expectation struct {
	Schemas    []string
	Tables     map[Name]bool
	Types      map[Name]bool
	Attributes map[string]string
	User       string // what current_user is
	// Restrict says which rows of a table the filter's subqueries may see: the wall shows it other tables through their row
	// security. ok is false when all of them.
	Restrict func(Name) (condition string, ok bool, err error)
}

// ExpectFilter returns SQL for a filter's text, to be evaluated by a role that row security does not restrict, with the filtered table in
// FROM under its own name and a search_path of pg_catalog. missing lists attributes the subject does not have: with any, no row passes.
func ExpectFilter(text string, e Expectation) (sql string, missing []string, err error) {
	node, err := parseExpression(text)
	if err != nil {
		return "", nil, err
	}
	w := &expectWalk{Expectation: e}
	holder := &pgquery.ResTarget{Val: node}
	w.message(holder.ProtoReflect())
	if w.err != nil {
		return "", nil, w.err
	}
	sql, err = expectText(holder.Val)
	return sql, w.missing, err
}

// ExpectExpression returns SQL for the text of an expression mask over a column.
func ExpectExpression(text, column string) (string, error) {
	node, err := parseExpression(text)
	if err != nil {
		return "", err
	}
	w := &expectWalk{value: column}
	holder := &pgquery.ResTarget{Val: node}
	w.message(holder.ProtoReflect())
	if w.err != nil {
		return "", w.err
	}
	return expectText(holder.Val)
}

func expectText(node *pgquery.Node) (string, error) {
	tree, err := pgquery.Parse("SELECT 1")
	if err != nil {
		return "", fmt.Errorf("write the expression back: %w", err)
	}
	tree.Stmts[0].Stmt.GetSelectStmt().TargetList[0].GetResTarget().Val = node
	text, err := faithful(limited{}, tree)
	if err != nil {
		return "", fmt.Errorf("write the expression back: %w", err)
	}
	return strings.TrimPrefix(text, "SELECT "), nil
}

type expectWalk struct {
	Expectation
	value   string
	missing []string
	err     error
}

// message replaces what stands for something else in every node below m.
func (w *expectWalk) message(m protoreflect.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if fd.Kind() != protoreflect.MessageKind {
			return true
		}
		if !fd.IsList() {
			if n, ok := v.Message().Interface().(*pgquery.Node); ok {
				m.Set(fd, protoreflect.ValueOfMessage(w.node(n).ProtoReflect()))
			} else {
				w.leaf(v.Message())
				w.message(v.Message())
			}
			return w.err == nil
		}
		list := v.List()
		for i := range list.Len() {
			if n, ok := list.Get(i).Message().Interface().(*pgquery.Node); ok {
				list.Set(i, protoreflect.ValueOfMessage(w.node(n).ProtoReflect()))
			} else {
				w.message(list.Get(i).Message())
			}
		}
		return w.err == nil
	})
}

// node returns what stands for n.
func (w *expectWalk) node(n *pgquery.Node) *pgquery.Node {
	switch x := n.Node.(type) {
	case *pgquery.Node_ColumnRef:
		return w.column(n, x.ColumnRef)
	case *pgquery.Node_SqlvalueFunction:
		switch x.SqlvalueFunction.Op {
		case pgquery.SQLValueFunctionOp_SVFOP_CURRENT_USER, pgquery.SQLValueFunctionOp_SVFOP_USER, pgquery.SQLValueFunctionOp_SVFOP_CURRENT_ROLE:
			return pgquery.MakeAConstStrNode(w.User, 0)
		}
	case *pgquery.Node_RangeVar:
		return w.table(n, x.RangeVar)
	}
	w.message(n.ProtoReflect())
	return n
}

// leaf qualifies the names of types and functions.
func (w *expectWalk) leaf(m protoreflect.Message) {
	switch x := m.Interface().(type) {
	case *pgquery.TypeName:
		if len(x.Names) == 1 && !filterTypes[filterString(x.Names[0])] {
			for _, s := range w.Schemas {
				if w.Types[Name{s, filterString(x.Names[0])}] {
					x.Names = []*pgquery.Node{pgquery.MakeStrNode(s), x.Names[0]}
					return
				}
			}
		}
	case *pgquery.FuncCall:
		if len(x.Funcname) == 1 {
			x.Funcname = []*pgquery.Node{pgquery.MakeStrNode("pg_catalog"), x.Funcname[0]}
		}
	}
}

func (w *expectWalk) column(n *pgquery.Node, ref *pgquery.ColumnRef) *pgquery.Node {
	fields := ref.Fields
	switch {
	case w.value != "" && len(fields) == 1 && filterString(fields[0]) == "value":
		return pgquery.MakeColumnRefNode([]*pgquery.Node{pgquery.MakeStrNode(w.value)}, 0)
	case w.value == "" && len(fields) == 2 && filterString(fields[0]) == "subject":
		key := filterString(fields[1])
		value, ok := w.Attributes[key]
		if !ok && !slices.Contains(w.missing, key) {
			w.missing = append(w.missing, key)
		}
		return pgquery.MakeAConstStrNode(value, 0)
	case len(fields) == 3:
		return pgquery.MakeColumnRefNode(fields[1:], 0)
	}
	return n
}

// table qualifies a table of a subquery, and shows only what its row security would.
func (w *expectWalk) table(n *pgquery.Node, r *pgquery.RangeVar) *pgquery.Node {
	if r.Schemaname == "" {
		for _, s := range w.Schemas {
			if w.Tables[Name{s, r.Relname}] {
				r.Schemaname = s
				break
			}
		}
	}
	if w.Restrict == nil {
		return n
	}
	condition, ok, err := w.Restrict(Name{r.Schemaname, r.Relname})
	if err != nil || !ok {
		w.err = err
		return n
	}
	tree, err := pgquery.Parse("SELECT * FROM t WHERE " + condition)
	if err != nil {
		w.err = err
		return n
	}
	alias := r.Alias
	if alias == nil {
		alias = &pgquery.Alias{Aliasname: r.Relname}
	}
	r.Alias = nil
	sel := tree.Stmts[0].Stmt
	sel.GetSelectStmt().FromClause = []*pgquery.Node{n}
	return &pgquery.Node{Node: &pgquery.Node_RangeSubselect{RangeSubselect: &pgquery.RangeSubselect{Subquery: sel, Alias: alias}}}
}
