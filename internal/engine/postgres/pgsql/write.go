package pgsql

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// write judges INSERT, UPDATE, DELETE and MERGE, at the top or in a CTE, and returns the shape of RETURNING.
func (a *analysis) write(n *pg.Node, outer *scope) shape {
	sc := &scope{outer: outer}
	if outer != nil {
		sc.ctes = outer.ctes
	}
	switch x := n.GetNode().(type) {
	case *pg.Node_InsertStmt:
		return a.insert(x.InsertStmt, sc)
	case *pg.Node_UpdateStmt:
		return a.update(x.UpdateStmt, sc)
	case *pg.Node_DeleteStmt:
		return a.delete(x.DeleteStmt, sc)
	case *pg.Node_MergeStmt:
		return a.merge(x.MergeStmt, sc)
	}
	a.refusedStatement(n)
	return shape{}
}

func writeTag(n *pg.Node) string {
	switch n.GetNode().(type) {
	case *pg.Node_InsertStmt:
		return "INSERT"
	case *pg.Node_UpdateStmt:
		return "UPDATE"
	case *pg.Node_DeleteStmt:
		return "DELETE"
	}
	return "MERGE"
}

// target judges the relation that a statement writes. A CTE of that name is not meant.
func (a *analysis) target(rv *pg.RangeVar) (*item, resolved, bool) {
	if rv == nil {
		a.misplaced(&pg.RangeVar{})
		return nil, resolved{}, false
	}
	a.mark(rv)
	a.location = rv.Location
	r, ok := a.resolve(rv)
	if !ok {
		return nil, r, false
	}
	if r.rel == nil {
		a.refuse(rv.Location, Refusal{
			Reason: ReasonCatalog, Object: r.name.String(),
			Message: fmt.Sprintf("permission denied to change system catalog %s", r.name),
		})
		return nil, r, false
	}
	alias, columns := aliasOf(rv.Alias)
	if alias == "" {
		alias = rv.Relname
	}
	it := &item{alias: alias, rel: r.rel, shape: relationShape(r.rel).renamed(columns), reads: &r}
	it.names = it.shape.columns
	if rv.Alias == nil {
		it.name = r.name
		if r.target.Name != alias {
			rv.Alias = &pg.Alias{Aliasname: alias}
		}
	}
	if r.target != r.name {
		a.rewrote = true
	}
	rv.Catalogname, rv.Schemaname, rv.Relname = "", r.target.Schema, r.target.Name
	return it, r, true
}

// may refuses an action that the relation is not admitted for.
func (a *analysis) may(ok bool, rv *pg.RangeVar, r resolved, verb, privilege string) {
	if !ok {
		a.noAction(rv, r, verb, privilege)
	}
}

func (a *analysis) insert(s *pg.InsertStmt, sc *scope) shape {
	a.mark(s)
	a.with(s.WithClause, sc)
	it, r, ok := a.target(s.Relation)
	if !ok {
		return shape{}
	}
	a.may(r.rel.Insert, s.Relation, r, "insert into", "INSERT")
	t := a.touch(r, "insert")
	source := a.selectStmt(s.SelectStmt.GetSelectStmt(), sc)
	if len(s.Cols) == 0 && s.SelectStmt != nil {
		width := len(r.rel.Columns)
		if source.known {
			width = min(width, len(source.columns))
		}
		for _, c := range r.rel.Columns[:width] {
			a.insertColumn(r.rel, c.Name, t)
		}
	}
	for _, n := range s.Cols {
		a.assigned(n, sc, func(column string) { a.insertColumn(r.rel, column, t) })
	}
	a.onConflict(s.OnConflictClause, s.Relation, it, r, sc)
	return a.returning(s.ReturningList, s.Relation, it, r, sc)
}

// assigned judges one column of an INSERT list or of SET.
func (a *analysis) assigned(n *pg.Node, sc *scope, column func(string)) {
	rt := n.GetResTarget()
	if rt == nil {
		a.misplaced(n)
		return
	}
	a.mark(rt)
	a.location = rt.Location
	column(rt.Name)
	for _, ind := range rt.Indirection {
		if x := ind.GetAIndices(); x != nil {
			a.node(x.Lidx, sc)
			a.node(x.Uidx, sc)
		} else if ind.GetString_() == nil {
			a.misplaced(ind)
		}
	}
	if m := rt.Val.GetMultiAssignRef(); m != nil {
		a.node(m.Source, sc)
		return
	}
	a.node(rt.Val, sc)
}

// set judges a list of assignments to existing rows.
func (a *analysis) set(list []*pg.Node, sc *scope, rel *Relation, t *touching) {
	a.setting, a.own = true, rel.Temp
	for _, n := range list {
		a.assigned(n, sc, func(column string) { a.updateColumn(rel, column, t) })
	}
	a.setting, a.own = false, false
}

func (a *analysis) insertColumn(rel *Relation, column string, t *touching) {
	a.writeColumn(rel, column, t, "insert", func(c Column) bool { return c.Insert })
}

func (a *analysis) updateColumn(rel *Relation, column string, t *touching) {
	a.writeColumn(rel, column, t, "update", func(c Column) bool { return c.Update })
}

func (a *analysis) writeColumn(rel *Relation, column string, t *touching, verb string, may func(Column) bool) {
	t.column(column)
	if rel.Temp {
		return
	}
	i := slices.IndexFunc(rel.Columns, func(c Column) bool { return c.Name == column })
	if i < 0 {
		a.refuse(-1, Refusal{
			SQLState: stateNoColumn, Reason: ReasonColumnUnknown, Object: column,
			Message: fmt.Sprintf("column %q of relation %q does not exist", column, rel.Name.Name),
		})
		return
	}
	if may(rel.Columns[i]) {
		return
	}
	r := Refusal{
		Reason: ReasonColumn, Object: rel.Name.String() + "." + quoteIdent(column), Dataset: rel.Dataset,
		Message: fmt.Sprintf("permission denied to %s column %s of %s", verb, quoteIdent(column), rel.Name),
		Detail:  fmt.Sprintf("Your rules on it (%s) do not let you write this column.", rel.Rule),
	}
	if rel.Columns[i].Mask != "" {
		r.Detail = "A column that is shown masked is never writable."
	} else if rel.Dataset != "" {
		r.Hint = fmt.Sprintf("Ask for a rule on the dataset %s that includes it: %s.", quoteIdent(rel.Dataset), RequestCommand(rel.Dataset))
	}
	a.refuse(-1, r)
}

// returning judges RETURNING, which reads.
func (a *analysis) returning(list []*pg.Node, rv *pg.RangeVar, it *item, r resolved, sc *scope) shape {
	if len(list) == 0 || a.refusal != nil {
		return shape{known: true}
	}
	a.may(r.rel.Select, rv, r, "read", "SELECT")
	level := &scope{outer: sc.outer, ctes: sc.ctes, items: append([]*item{it}, sc.items...)}
	if slices.Contains(sc.items, it) {
		level.items = sc.items
	}
	defer func(was bool) { a.answering = was }(a.answering)
	a.answering = true
	return a.targets(list, level, true)
}

// onConflict judges ON CONFLICT. A constraint's name becomes its columns: a view has no constraints (ENF-93).
func (a *analysis) onConflict(c *pg.OnConflictClause, rv *pg.RangeVar, it *item, r resolved, sc *scope) {
	if c == nil || a.refusal != nil {
		return
	}
	level := &scope{outer: sc.outer, ctes: sc.ctes, items: []*item{it}}
	if c.Infer != nil {
		a.mark(c.Infer)
		a.inferConstraint(c.Infer, r)
		for _, n := range c.Infer.IndexElems {
			e := n.GetIndexElem()
			if e == nil {
				a.misplaced(n)
				return
			}
			a.mark(e)
			if len(e.Opclass) > 0 {
				a.misplaced(e)
			}
			if e.Name != "" && it.shape.known && !it.shape.has(e.Name) {
				a.refuse(c.Infer.Location, Refusal{
					SQLState: stateNoColumn, Reason: ReasonColumnUnknown, Object: e.Name,
					Message: fmt.Sprintf("column %q does not exist", e.Name),
				})
			}
			a.node(e.Expr, level)
			if len(e.Collation) > 0 {
				a.collation(e.Collation, c.Infer.Location)
			}
		}
		a.node(c.Infer.WhereClause, level)
	}
	if c.Action != pg.OnConflictAction_ONCONFLICT_UPDATE {
		return
	}
	a.may(r.rel.Update, rv, r, "update", "UPDATE")
	excluded := &item{alias: "excluded", rel: it.rel, shape: relationShape(it.rel), reads: it.reads}
	excluded.names = excluded.shape.columns
	level = &scope{outer: sc.outer, ctes: sc.ctes, items: []*item{it, excluded}}
	t := a.touch(r, "update")
	a.sameKey(c, r.rel)
	a.set(c.TargetList, level, r.rel, t)
	a.node(c.WhereClause, level)
}

// sameKey takes out of DO UPDATE what sets a column to what it is already: mappers write SET id = EXCLUDED.id of the very columns that
// the rows agree in. Only where the column may not be updated, and something is left to set.
func (a *analysis) sameKey(c *pg.OnConflictClause, rel *Relation) {
	keys := map[string]bool{}
	for _, n := range c.Infer.GetIndexElems() {
		if e := n.GetIndexElem(); e != nil && e.Name != "" {
			keys[e.Name] = true
		}
	}
	left := slices.DeleteFunc(slices.Clone(c.TargetList), func(n *pg.Node) bool {
		rt := n.GetResTarget()
		value, ok := names(rt.GetVal().GetColumnRef().GetFields())
		return ok && len(value) == 2 && value[0] == "excluded" && value[1] == rt.Name && keys[rt.Name] && len(rt.Indirection) == 0 &&
			slices.ContainsFunc(rel.Columns, func(col Column) bool { return col.Name == rt.Name && !col.Update })
	})
	if len(left) > 0 && len(left) < len(c.TargetList) {
		c.TargetList, a.rewrote = left, true
	}
}

// inferConstraint replaces ON CONSTRAINT by the constraint's columns where the target is a view.
func (a *analysis) inferConstraint(infer *pg.InferClause, r resolved) {
	if infer.Conname == "" {
		return
	}
	columns, ok := r.rel.Unique[infer.Conname]
	if !ok {
		a.refuse(infer.Location, Refusal{
			SQLState: stateNoObject, Reason: ReasonConstruct, Object: infer.Conname,
			Message: fmt.Sprintf("constraint %q for table %q does not exist", infer.Conname, r.name.Name),
			Hint:    "Name the columns: ON CONFLICT (column).",
		})
		return
	}
	if r.rel.Open {
		return
	}
	infer.Conname = ""
	for _, column := range columns {
		e := &pg.IndexElem{Name: column, Ordering: pg.SortByDir_SORTBY_DEFAULT, NullsOrdering: pg.SortByNulls_SORTBY_NULLS_DEFAULT}
		infer.IndexElems = append(infer.IndexElems, &pg.Node{Node: &pg.Node_IndexElem{IndexElem: e}})
	}
	a.rewrote = true
}

func (a *analysis) update(s *pg.UpdateStmt, sc *scope) shape {
	a.mark(s)
	a.with(s.WithClause, sc)
	it, r, ok := a.target(s.Relation)
	if !ok {
		return shape{}
	}
	a.may(r.rel.Update, s.Relation, r, "update", "UPDATE")
	t := a.touch(r, "update")
	a.from(s.FromClause, sc)
	sc.items = append([]*item{it}, sc.items...)
	a.set(s.TargetList, sc, r.rel, t)
	a.node(s.WhereClause, sc)
	return a.returning(s.ReturningList, s.Relation, it, r, sc)
}

func (a *analysis) delete(s *pg.DeleteStmt, sc *scope) shape {
	a.mark(s)
	a.with(s.WithClause, sc)
	it, r, ok := a.target(s.Relation)
	if !ok {
		return shape{}
	}
	a.may(r.rel.Delete, s.Relation, r, "delete from", "DELETE")
	a.touch(r, "delete")
	a.from(s.UsingClause, sc)
	sc.items = append([]*item{it}, sc.items...)
	a.node(s.WhereClause, sc)
	return a.returning(s.ReturningList, s.Relation, it, r, sc)
}

// firstMergeIntoView is the first release whose MERGE takes a view.
const firstMergeIntoView = 17

func (a *analysis) merge(s *pg.MergeStmt, sc *scope) shape {
	a.mark(s)
	a.with(s.WithClause, sc)
	it, r, ok := a.target(s.Relation)
	if !ok {
		return shape{}
	}
	if !r.rel.Open && a.w.Major < firstMergeIntoView {
		a.refuse(s.Relation.Location, Refusal{
			SQLState: stateUnsupported, Reason: ReasonStatement, Object: "MERGE",
			Message: fmt.Sprintf("MERGE into %s is not available on PostgreSQL %d", r.name, a.w.Major),
			Detail:  "It is shown through a view, and views can be merged into from PostgreSQL 17 on.",
			Hint:    "Use UPDATE and INSERT … ON CONFLICT.",
		})
		return shape{}
	}
	sc.items = a.fromItem(s.SourceRelation, sc)
	sc.items = append([]*item{it}, sc.items...)
	a.node(s.JoinCondition, sc)
	for _, n := range s.MergeWhenClauses {
		w := n.GetMergeWhenClause()
		if w == nil {
			a.misplaced(n)
			return shape{}
		}
		a.mergeWhen(w, s.Relation, r, sc)
	}
	return a.returning(s.ReturningList, s.Relation, it, r, sc)
}

func (a *analysis) mergeWhen(w *pg.MergeWhenClause, rv *pg.RangeVar, r resolved, sc *scope) {
	a.node(w.Condition, sc)
	switch w.CommandType {
	case pg.CmdType_CMD_INSERT:
		a.may(r.rel.Insert, rv, r, "insert into", "INSERT")
		t := a.touch(r, "insert")
		for _, n := range w.TargetList {
			a.assigned(n, sc, func(column string) { a.insertColumn(r.rel, column, t) })
		}
		if len(w.TargetList) == 0 {
			for _, c := range r.rel.Columns[:min(len(w.Values), len(r.rel.Columns))] {
				a.insertColumn(r.rel, c.Name, t)
			}
		}
		a.nodeList(w.Values, sc)
	case pg.CmdType_CMD_UPDATE:
		a.may(r.rel.Update, rv, r, "update", "UPDATE")
		t := a.touch(r, "update")
		a.set(w.TargetList, sc, r.rel, t)
	case pg.CmdType_CMD_DELETE:
		a.may(r.rel.Delete, rv, r, "delete from", "DELETE")
		a.touch(r, "delete")
	case pg.CmdType_CMD_NOTHING:
	default:
		a.misplaced(w)
	}
}
