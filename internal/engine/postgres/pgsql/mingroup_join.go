package pgsql

import (
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// joined judges what a join does to the rows of relations under min_group. Where a row can find several partners it is counted several
// times: groups by columns of the partners would overlap, and their difference be a single row; a row with a thousand partners would
// be all but alone in an average. So a condition between two tables is an equation of two of their columns, and a relation whose rows
// can repeat is not summed, nor grouped by what it does not determine.
func (g *grouping) joined() {
	if len(g.sc.items) < 2 || g.a.refusal != nil {
		return
	}
	conditions := conjuncts(g.s.WhereClause, nil)
	for _, n := range g.s.FromClause {
		conditions = onConditions(n, conditions)
	}
	partners := map[*item][]*item{}
	for _, n := range conditions {
		if !g.crosses(n) {
			continue
		}
		x := n.GetAExpr()
		left, a := g.column(x.GetLexpr().GetColumnRef())
		right, b := g.column(x.GetRexpr().GetColumnRef())
		op, _ := names(x.GetName())
		if left == nil || right == nil || x.Kind != pg.A_Expr_Kind_AEXPR_OP || len(op) != 1 || op[0] != "=" {
			g.refuse(g.rel, "a condition between two tables may only say that two columns are equal", "")
			return
		}
		if g.isKey(right, b) {
			partners[left] = append(partners[left], right)
		}
		if g.isKey(left, a) {
			partners[right] = append(partners[right], left)
		}
	}
	for _, it := range g.sc.items {
		if it.rel.Temp {
			g.refuse(g.rel, "it stands beside a table of your own making", "")
			return
		}
		if it.rel.MinGroup > 0 {
			g.repeated(it, determined(it, partners))
		}
	}
}

// repeated judges a relation of a join, of which single has the items that have one row at most for each of its own.
func (g *grouping) repeated(it *item, single []*item) {
	if len(single) == len(g.sc.items) {
		return
	}
	for _, c := range g.sums {
		if of, _ := g.column(c); of == it {
			g.refuse(it.rel, "the join can count a row of it several times", "Aggregate it before you join, or join it to others by their key.")
			return
		}
	}
	for _, key := range g.keys {
		if !slices.Contains(single, key) {
			g.refuse(it.rel, "the join can put a row of it into several groups", "Group by its own columns, or by those of tables that it is joined to by their key.")
			return
		}
	}
}

// determined lists the items that have one row at most for each row of an item, itself among them.
func determined(it *item, partners map[*item][]*item) []*item {
	out := []*item{it}
	for i := 0; i < len(out); i++ {
		for _, next := range partners[out[i]] {
			if !slices.Contains(out, next) {
				out = append(out, next)
			}
		}
	}
	return out
}

// isKey says whether a column alone tells the rows of an item apart.
func (g *grouping) isKey(it *item, c *Column) bool {
	return it != nil && c != nil && g.keyOf(it) != nil && it.rel.Primary[0] == c.Name
}

// crosses says whether an expression has columns of two items.
func (g *grouping) crosses(n *pg.Node) bool {
	var first *item
	crosses := false
	var visit func(m protoreflect.Message)
	visit = func(m protoreflect.Message) {
		if ref, ok := m.Interface().(*pg.ColumnRef); ok {
			it, _ := g.column(ref)
			crosses = crosses || first != nil && it != first
			first = it
			return
		}
		each(m, visit)
	}
	visit(n.ProtoReflect())
	return crosses
}

// conjuncts appends what must hold for an expression to hold.
func conjuncts(n *pg.Node, out []*pg.Node) []*pg.Node {
	if n == nil {
		return out
	}
	if b := n.GetBoolExpr(); b != nil && b.Boolop == pg.BoolExprType_AND_EXPR {
		for _, arg := range b.Args {
			out = conjuncts(arg, out)
		}
		return out
	}
	return append(out, n)
}

// onConditions appends the conditions of the joins in an item of FROM.
func onConditions(n *pg.Node, out []*pg.Node) []*pg.Node {
	j := n.GetJoinExpr()
	if j == nil {
		return out
	}
	out = conjuncts(j.Quals, onConditions(j.Larg, out))
	return onConditions(j.Rarg, out)
}
