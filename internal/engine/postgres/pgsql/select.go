package pgsql

import (
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// maxTargets and maxJoined are how many columns the server takes in a target list and in a join that has a name.
const (
	maxTargets = 1664
	maxJoined  = 32767
)

// selectStmt judges a query at any level and returns the shape of its result. outer is the level around it, nil at the top.
func (a *analysis) selectStmt(s *pg.SelectStmt, outer *scope) shape {
	if s == nil || a.refusal != nil {
		return shape{}
	}
	a.mark(s)
	sc := &scope{outer: outer}
	if outer != nil {
		sc.ctes = outer.ctes
	}
	return a.selectIn(s, sc)
}

// selectIn judges a query whose level is open already.
func (a *analysis) selectIn(s *pg.SelectStmt, sc *scope) shape {
	a.with(s.WithClause, sc)
	if s.IntoClause != nil && (s != a.top || !a.into(s.IntoClause)) {
		a.refuse(-1, Refusal{
			Reason: ReasonStatement, Object: "SELECT INTO", Message: "SELECT INTO is not available",
			Hint: "Run the query without INTO and keep the result on your side.",
		})
		return shape{}
	}
	if s.Op != pg.SetOperation_SETOP_NONE {
		out := a.selectStmt(s.Larg, sc)
		out = out.over(a.selectStmt(s.Rarg, sc))
		a.tail(s, sc)
		return out
	}
	if len(s.ValuesLists) > 0 {
		return a.values(s, sc)
	}
	around := a.limited
	a.limited = nil
	a.from(s.FromClause, sc)
	limited := a.limited
	a.limited = around
	a.smallGroups(s, sc, limited)
	a.node(s.WhereClause, sc)
	sc.collect = len(s.GroupClause) > 0
	out := a.targets(s.TargetList, sc, true)
	a.node(s.HavingClause, sc)
	a.nodeList(s.DistinctClause, sc)
	a.nodeList(s.WindowClause, sc)
	a.tail(s, sc)
	sc.collect = false
	a.nodeList(s.GroupClause, sc)
	a.completeGrouping(s, sc)
	return out
}

// tail judges what may follow any query: ORDER BY, LIMIT and row locks.
func (a *analysis) tail(s *pg.SelectStmt, sc *scope) {
	a.nodeList(s.SortClause, sc)
	a.node(s.LimitCount, sc)
	a.node(s.LimitOffset, sc)
	for _, n := range s.LockingClause {
		a.locking(n.GetLockingClause(), sc)
	}
}

func (a *analysis) values(s *pg.SelectStmt, sc *scope) shape {
	width := 0
	for _, row := range s.ValuesLists {
		items := row.GetList().GetItems()
		width = len(items)
		for _, n := range items {
			a.wantReg(n, regOID)
		}
		a.nodeList(items, sc)
	}
	a.tail(s, sc)
	columns := make([]string, width)
	for i := range columns {
		columns[i] = fmt.Sprintf("column%d", i+1)
	}
	return shapeOf(columns...)
}

// with brings CTEs into sight. A plain one is seen by those after it and by the body; RECURSIVE makes all of them seen by
// all.
func (a *analysis) with(w *pg.WithClause, sc *scope) {
	if w == nil {
		return
	}
	a.mark(w)
	own := make([]*cte, len(w.Ctes))
	for i, n := range w.Ctes {
		c := n.GetCommonTableExpr()
		if c == nil {
			a.misplaced(n)
			return
		}
		own[i] = &cte{name: c.Ctename}
		if w.Recursive {
			columns, _ := names(c.Aliascolnames)
			own[i].shape = firstArm(c.Ctequery).renamed(columns)
			own[i].next, sc.ctes = sc.ctes, own[i]
		}
	}
	for i, n := range w.Ctes {
		c := n.GetCommonTableExpr()
		a.mark(c)
		out := a.cteQuery(c.Ctequery, sc)
		columns, _ := names(c.Aliascolnames)
		out = out.renamed(columns)
		if c.SearchClause != nil {
			out.columns = append(slices.Clip(out.columns), c.SearchClause.SearchSeqColumn)
		}
		if cy := c.CycleClause; cy != nil {
			a.node(cy.CycleMarkValue, sc)
			a.node(cy.CycleMarkDefault, sc)
			out.columns = append(slices.Clip(out.columns), cy.CycleMarkColumn, cy.CyclePathColumn)
		}
		own[i].shape = out
		if !w.Recursive {
			own[i].next, sc.ctes = sc.ctes, own[i]
		}
	}
}

// firstArm is what can be said of a recursive query's columns before it is judged: the names of its first arm.
func firstArm(n *pg.Node) shape {
	s := n.GetSelectStmt()
	for s != nil && s.Op != pg.SetOperation_SETOP_NONE {
		s = s.Larg
	}
	if s == nil || len(s.ValuesLists) > 0 {
		return shape{}
	}
	out := shape{known: true}
	for _, t := range s.TargetList {
		rt := t.GetResTarget()
		if isStar(rt.GetVal()) {
			return shape{}
		}
		out.columns = append(out.columns, targetName(rt))
	}
	return out
}

func (a *analysis) cteQuery(n *pg.Node, sc *scope) shape {
	if s := n.GetSelectStmt(); s != nil {
		return a.selectStmt(s, sc)
	}
	return a.write(n, sc)
}

// targets judges a target list and returns the shape of the result. named keeps the client's column names where a rewrite
// inside would change them.
func (a *analysis) targets(list []*pg.Node, sc *scope, named bool) shape {
	out := shape{known: true}
	for _, n := range list {
		rt := n.GetResTarget()
		if rt == nil {
			a.misplaced(n)
			return shape{}
		}
		a.mark(rt)
		if a.tooWide(out, maxTargets, "target lists can have at most %d entries") {
			return shape{}
		}
		if isStar(rt.Val) {
			out = out.and(a.starShape(rt.Val, sc))
			a.node(rt.Val, sc)
			continue
		}
		name, before := targetName(rt), a.masks
		a.node(rt.Val, sc)
		if sc.outer == nil {
			a.namedFunction(rt, sc)
		}
		out.columns = append(out.columns, name)
		if a.masks > before {
			out.masked = append(padded(out.masked, len(out.columns)-1), true)
		}
		if named && rt.Name == "" && targetName(rt) != name {
			rt.Name = name
		}
	}
	if a.tooWide(out, maxTargets, "target lists can have at most %d entries") {
		return shape{}
	}
	return out
}

// tooWide refuses more columns than the server takes in one place. Without it a chain of CTEs that each show the one before
// twice doubles what the guard keeps at every step.
func (a *analysis) tooWide(s shape, most int, message string) bool {
	if len(s.columns) <= most {
		return false
	}
	a.refuse(-1, Refusal{SQLState: "54011", Reason: ReasonLimit, Message: fmt.Sprintf(message, most)})
	return true
}

// starShape is what * or t.* stands for.
func (a *analysis) starShape(n *pg.Node, sc *scope) shape {
	fields := n.GetColumnRef().GetFields()
	if n.GetColumnRef() == nil {
		return shape{}
	}
	if len(fields) == 1 {
		out := shape{known: true}
		for _, it := range sc.items {
			out = out.and(it.shape)
			if len(out.columns) > maxTargets {
				break // targets refuses it
			}
		}
		return out
	}
	parts, ok := names(fields[:len(fields)-1])
	if !ok {
		return shape{}
	}
	if it, _ := sc.find(parts[len(parts)-1]); it != nil {
		return it.shape
	}
	return shape{}
}

func isStar(n *pg.Node) bool {
	if fields := n.GetColumnRef().GetFields(); len(fields) > 0 {
		return fields[len(fields)-1].GetAStar() != nil
	}
	if ind := n.GetAIndirection().GetIndirection(); len(ind) > 0 {
		return ind[len(ind)-1].GetAStar() != nil
	}
	return false
}

// from judges a FROM list.
func (a *analysis) from(list []*pg.Node, sc *scope) {
	for _, n := range list {
		items := a.fromItem(n, sc)
		a.distinctNames(items, sc)
		sc.items = append(slices.Clip(sc.items), items...)
	}
}

// distinctNames refuses a name that stands twice in FROM. public.orders and sales.orders can stand side by side in the
// client's text, but their views would need the same alias.
func (a *analysis) distinctNames(items []*item, sc *scope) {
	for i, it := range items {
		if it.alias == "" {
			continue
		}
		same := func(other *item) bool { return other.alias == it.alias }
		if slices.ContainsFunc(sc.items, same) || slices.ContainsFunc(items[:i], same) {
			a.refuse(-1, Refusal{
				SQLState: stateAmbiguous, Reason: ReasonAmbiguous, Object: it.alias,
				Message: fmt.Sprintf("table name %q specified more than once", it.alias),
				Hint:    "Give the tables aliases and qualify columns with them.",
			})
		}
	}
}

// fromItem judges one item of FROM. sc holds the items to its left, which LATERAL items see.
func (a *analysis) fromItem(n *pg.Node, sc *scope) []*item {
	if a.refusal != nil {
		return nil
	}
	before := a.masks
	switch x := n.GetNode().(type) {
	case *pg.Node_RangeVar:
		return []*item{a.relationItem(x.RangeVar, sc)}
	case *pg.Node_RangeSubselect:
		return []*item{a.subselectItem(x.RangeSubselect, sc)}
	case *pg.Node_JoinExpr:
		return a.join(x.JoinExpr, sc)
	case *pg.Node_RangeFunction:
		if view := settingsView(x.RangeFunction); view != nil {
			n.Node = &pg.Node_RangeVar{RangeVar: view}
			a.rewrote = true
			return []*item{a.relationItem(view, sc)}
		}
		return []*item{a.made(a.functionItem(x.RangeFunction, sc), before)}
	case *pg.Node_RangeTableFunc:
		return []*item{a.made(a.xmlTable(x.RangeTableFunc, sc), before)}
	case *pg.Node_JsonTable:
		return []*item{a.made(a.jsonTable(x.JsonTable, sc), before)}
	case *pg.Node_RangeTableSample:
		return []*item{a.sample(n, x.RangeTableSample, sc)}
	default:
		a.misplaced(n)
	}
	return nil
}

// settingsView returns pg_settings for a plain pg_show_all_settings() in FROM, which is the same rows: pgAdmin asks the
// function when it connects, and only the view has a stand-in.
func settingsView(r *pg.RangeFunction) *pg.RangeVar {
	if len(r.Functions) != 1 || len(r.Coldeflist) > 0 || r.Ordinality || r.Lateral {
		return nil
	}
	pair := r.Functions[0].GetList().GetItems()
	if len(pair) != 2 || len(pair[1].GetList().GetItems()) > 0 {
		return nil
	}
	f := pair[0].GetFuncCall()
	parts, ok := names(f.GetFuncname())
	if !ok || len(parts) == 0 || parts[len(parts)-1] != "pg_show_all_settings" || len(parts) > 1 && parts[0] != "pg_catalog" || len(f.Args) > 0 {
		return nil
	}
	alias := r.Alias
	if alias == nil {
		alias = &pg.Alias{Aliasname: "pg_show_all_settings"}
	}
	return &pg.RangeVar{Schemaname: "pg_catalog", Relname: "pg_settings", Inh: true, Relpersistence: "p", Alias: alias}
}

// made marks what a function in FROM makes of masked columns as masked.
func (a *analysis) made(it *item, before int) *item {
	if a.masks > before {
		it.shape = it.shape.hiding()
	}
	return it
}

func (a *analysis) subselectItem(r *pg.RangeSubselect, sc *scope) *item {
	a.mark(r)
	around := sc
	if !r.Lateral {
		around = sc.aside()
	}
	before := len(a.touches)
	out := a.selectStmt(r.Subquery.GetSelectStmt(), around)
	alias, columns := aliasOf(r.Alias)
	it := &item{alias: alias, shape: out.renamed(columns)}
	for _, t := range a.touches[min(before, len(a.touches)):] {
		if t.rel != nil {
			it.locks = append(it.locks, t.rel)
		}
	}
	return it
}

func (a *analysis) join(j *pg.JoinExpr, sc *scope) []*item {
	a.mark(j)
	left := a.fromItem(j.Larg, sc)
	right := a.fromItem(j.Rarg, &scope{outer: sc.outer, ctes: sc.ctes, items: append(slices.Clip(sc.items), left...)})
	items := append(slices.Clip(left), right...)
	using, _ := names(j.UsingClause)
	if len(using) > 0 || j.IsNatural {
		a.implied("USING", a.location, "=")
	}
	for _, column := range using {
		for _, it := range items {
			a.used(it, column)
		}
	}
	if j.IsNatural {
		for _, it := range items {
			it.touch.all()
		}
	}
	if j.JoinUsingAlias != nil {
		items = append(items, &item{alias: j.JoinUsingAlias.Aliasname, shape: shapeOf(using...)})
	}
	a.node(j.Quals, &scope{outer: sc.outer, ctes: sc.ctes, items: items})
	if j.Alias == nil {
		return items
	}
	alias, columns := aliasOf(j.Alias)
	merged := shapeOf(using...)
	var locks []*Relation
	for _, it := range items {
		merged = merged.and(it.shape)
		if a.tooWide(merged, maxJoined, "joins can have at most %d columns") {
			return nil
		}
		locks = append(locks, it.locks...)
		it.touch.all()
	}
	if j.IsNatural || len(using) > 0 {
		// The merged columns come first and once; with an alias list their places matter, so they are counted.
		merged = mergedShape(using, j.IsNatural, left, right)
	}
	return []*item{{alias: alias, shape: merged.renamed(columns), locks: locks}}
}

// mergedShape lists the columns of a join as PostgreSQL does: the merged ones, then the others of the left and right side.
func mergedShape(using []string, natural bool, left, right []*item) shape {
	l, r := shape{known: true}, shape{known: true}
	for _, it := range left {
		l = l.and(it.shape)
	}
	for _, it := range right {
		r = r.and(it.shape)
	}
	if natural {
		for _, c := range l.columns {
			if r.has(c) && !slices.Contains(using, c) {
				using = append(using, c)
			}
		}
	}
	out := shape{columns: slices.Clone(using), known: l.known && r.known}
	for _, c := range using {
		out.masked = append(out.masked, l.shows(c) || r.shows(c))
	}
	for _, c := range append(slices.Clip(l.columns), r.columns...) {
		if !slices.Contains(using, c) {
			out.columns = append(out.columns, c)
			out.masked = append(out.masked, l.shows(c) || r.shows(c))
		}
	}
	return out
}

func (a *analysis) functionItem(r *pg.RangeFunction, sc *scope) *item {
	a.mark(r)
	if len(r.Functions) == 0 {
		a.misplaced(r)
		return &item{}
	}
	expandUnnest(r)
	var out shape
	first := ""
	for i, n := range r.Functions {
		pair := n.GetList().GetItems()
		if len(pair) != 2 {
			a.misplaced(n)
			return &item{}
		}
		name := figureName(pair[0])
		if isReg(pair[0]) {
			a.construct(-1, name+" is not available in FROM", "Write it in the list of what is selected.")
			return &item{}
		}
		columns := a.columnDefs(pair[1].GetList().GetItems(), sc)
		one := shapeOf(columns...)
		if len(columns) == 0 {
			one = a.functionShape(pair[0])
		}
		a.node(pair[0], sc)
		if i == 0 {
			out, first = one, name
		} else {
			out = out.and(one)
		}
	}
	if columns := a.columnDefs(r.Coldeflist, sc); len(columns) > 0 {
		out = shapeOf(columns...)
	}
	alias, columns := aliasOf(r.Alias)
	scalar := len(r.Functions) == 1 && len(out.columns) == 1 && out.columns[0] == first
	if alias != "" && scalar {
		out = shapeOf(alias) // a scalar function's column takes the alias as its name
	}
	if r.Ordinality {
		out = out.and(shapeOf("ordinality"))
	}
	if alias == "" {
		alias = first
		if rewritten := r.Functions[0].GetList().GetItems()[0]; len(r.Functions) == 1 && figureName(rewritten) != first {
			r.Alias = &pg.Alias{Aliasname: first} // a stand-in of another name must not rename the item
		}
	}
	return &item{alias: alias, shape: out.renamed(columns)}
}

// expandUnnest writes unnest(a, b) in FROM as ROWS FROM (unnest(a), unnest(b)), which is what the server makes of it, but
// only as long as the name is not qualified.
func expandUnnest(r *pg.RangeFunction) {
	var out []*pg.Node
	for _, n := range r.Functions {
		pair := n.GetList().GetItems()
		var f *pg.FuncCall
		if len(pair) == 2 && len(pair[1].GetList().GetItems()) == 0 {
			f = pair[0].GetFuncCall()
		}
		parts, _ := names(f.GetFuncname())
		if len(parts) != 1 || parts[0] != "unnest" || len(f.Args) < 2 || f.FuncVariadic || len(f.AggOrder) > 0 || f.AggFilter != nil ||
			f.Over != nil || f.AggDistinct || f.AggStar {
			out = append(out, n)
			continue
		}
		for _, arg := range f.Args {
			call := &pg.FuncCall{Funcname: nameNodes("unnest"), Args: []*pg.Node{arg}, Funcformat: f.Funcformat, Location: f.Location}
			items := []*pg.Node{{Node: &pg.Node_FuncCall{FuncCall: call}}, {}}
			out = append(out, &pg.Node{Node: &pg.Node_List{List: &pg.List{Items: items}}})
		}
		r.IsRowsfrom = true
	}
	r.Functions = out
}

// columnDefs judges a column definition list and returns the names.
func (a *analysis) columnDefs(list []*pg.Node, sc *scope) []string {
	var out []string
	for _, n := range list {
		def := n.GetColumnDef()
		if def == nil {
			a.misplaced(n)
			return nil
		}
		a.typeName(def.TypeName, false)
		if def.CollClause != nil {
			a.message(def.CollClause, sc)
		}
		out = append(out, def.Colname)
	}
	return out
}

func (a *analysis) xmlTable(r *pg.RangeTableFunc, sc *scope) *item {
	a.mark(r)
	a.node(r.Docexpr, sc)
	r.Docexpr = passing(r.Docexpr)
	a.node(r.Rowexpr, sc)
	a.nodeList(r.Namespaces, sc)
	out := shape{known: true}
	for _, n := range r.Columns {
		c := n.GetRangeTableFuncCol()
		if c == nil {
			a.misplaced(n)
			return &item{}
		}
		a.parts(c, sc)
		out.columns = append(out.columns, c.Colname)
	}
	alias, columns := aliasOf(r.Alias)
	if alias == "" {
		alias = "xmltable"
	}
	return &item{alias: alias, shape: out.renamed(columns)}
}

// passing makes an argument of PASSING one that needs no parentheses: the deparser forgets them there.
func passing(n *pg.Node) *pg.Node {
	switch n.GetNode().(type) {
	case *pg.Node_TypeCast, *pg.Node_AExpr, *pg.Node_BoolExpr, *pg.Node_CollateClause, *pg.Node_NullTest, *pg.Node_BooleanTest:
		return &pg.Node{Node: &pg.Node_CoalesceExpr{CoalesceExpr: &pg.CoalesceExpr{Args: []*pg.Node{n}}}}
	}
	return n
}

func (a *analysis) jsonTable(j *pg.JsonTable, sc *scope) *item {
	a.mark(j)
	a.message(j.ContextItem, sc)
	a.nodeList(j.Passing, sc)
	if j.Pathspec != nil {
		a.parts(j.Pathspec, sc)
	}
	if j.OnError != nil {
		a.parts(j.OnError, sc)
	}
	out := a.jsonColumns(j.Columns, sc)
	alias, columns := aliasOf(j.Alias)
	if alias == "" {
		alias = "json_table"
	}
	return &item{alias: alias, shape: out.renamed(columns)}
}

func (a *analysis) jsonColumns(list []*pg.Node, sc *scope) shape {
	out := shape{known: true}
	for _, n := range list {
		c := n.GetJsonTableColumn()
		if c == nil {
			a.misplaced(n)
			return shape{}
		}
		if c.TypeName != nil {
			a.typeName(c.TypeName, false)
		}
		if c.Pathspec != nil {
			a.parts(c.Pathspec, sc)
		}
		for _, b := range []*pg.JsonBehavior{c.OnEmpty, c.OnError} {
			if b != nil {
				a.parts(b, sc)
			}
		}
		if len(c.Columns) > 0 {
			out = out.and(a.jsonColumns(c.Columns, sc))
			continue
		}
		out.columns = append(out.columns, c.Name)
	}
	return out
}

// locking judges FOR UPDATE and its kin: every relation it reaches must be lockable.
func (a *analysis) locking(l *pg.LockingClause, sc *scope) {
	if l == nil {
		return
	}
	a.mark(l)
	reached := sc.items
	if len(l.LockedRels) > 0 {
		reached = nil
		for _, n := range l.LockedRels {
			rv := n.GetRangeVar()
			if rv == nil || rv.Schemaname != "" || rv.Catalogname != "" {
				a.construct(-1, "FOR UPDATE OF takes the names used in FROM, unqualified", "")
				return
			}
			a.mark(rv)
			for _, it := range sc.items {
				if it.alias == rv.Relname {
					reached = append(reached, it)
				}
			}
		}
	}
	for _, it := range reached {
		if it.catalog {
			a.refuse(-1, Refusal{Reason: ReasonLock, Message: "rows of the system catalog cannot be locked"})
		}
		for _, rel := range it.locks {
			if !rel.Lock {
				a.refuse(-1, Refusal{
					Reason: ReasonLock, Object: rel.Name.String(), Dataset: rel.Dataset,
					Message: fmt.Sprintf("permission denied to lock rows of %s", rel.Name),
					Detail:  "Row locks need the right to update; your rules on it do not include UPDATE.",
					Hint:    "Read without FOR UPDATE or FOR SHARE.",
				})
			}
			a.touch(resolved{name: rel.Name, rel: rel}, "lock")
		}
	}
}

// completeGrouping adds the columns that depend on a grouped primary key to GROUP BY: the server knows the dependency for
// the table, not for the view (ENF-93).
func (a *analysis) completeGrouping(s *pg.SelectStmt, sc *scope) {
	if len(s.GroupClause) == 0 || a.refusal != nil {
		return
	}
	for _, it := range sc.items {
		if it.rel == nil || it.rel.Open || len(it.rel.Primary) == 0 || len(it.ungrouped) == 0 && !it.whole {
			continue
		}
		grouped, plain := a.groupedColumns(s, sc, it)
		if !plain || !coversKey(it, grouped) {
			continue
		}
		wanted := it.ungrouped
		if it.whole {
			wanted = it.names
		}
		for _, column := range wanted {
			if grouped[column] {
				continue
			}
			grouped[column] = true
			ref := &pg.ColumnRef{Fields: nameNodes(it.alias, column)}
			a.mark(ref)
			s.GroupClause = append(s.GroupClause, &pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: ref}})
			a.rewrote = true
		}
	}
}

// groupedColumns returns the columns of an item that stand in GROUP BY, by the query's names. plain is false when there are
// grouping sets, for which the dependency does not hold.
func (a *analysis) groupedColumns(s *pg.SelectStmt, sc *scope, it *item) (grouped map[string]bool, plain bool) {
	grouped = map[string]bool{}
	for _, n := range s.GroupClause {
		if n.GetGroupingSet() != nil {
			return nil, false
		}
		if c := n.GetAConst(); c != nil && c.GetIval() != nil {
			if i := int(c.GetIval().GetIval()); i >= 1 && i <= len(s.TargetList) {
				n = s.TargetList[i-1].GetResTarget().GetVal()
			}
		}
		parts, ok := names(n.GetColumnRef().GetFields())
		if !ok || len(parts) == 0 {
			continue
		}
		column := parts[len(parts)-1]
		if len(parts) == 1 {
			if found, _ := sc.column(column); found != it {
				continue
			}
		} else if found, _ := sc.find(parts[len(parts)-2]); found != it {
			continue
		}
		grouped[column] = true
	}
	return grouped, true
}

func coversKey(it *item, grouped map[string]bool) bool {
	for _, key := range it.rel.Primary {
		i := slices.IndexFunc(it.rel.Columns, func(c Column) bool { return c.Name == key })
		if i < 0 || i >= len(it.names) || !grouped[it.names[i]] {
			return false
		}
	}
	return true
}
