package pgsql

import (
	"cmp"
	"fmt"
	"slices"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// Tables that subjects make (ENF-74). The server looks for a name in pg_temp first, so a temporary table could stand in the way of an admitted
// one, and a function with a low cost could be made there by whoever comes around the gateway. What keeps them harmless: names of
// relations that exist are reserved; every name that is sent is qualified, a temporary one with pg_temp; and what can be put into one
// is what the session may read anyway, masked.
//
// The guard does not know which temporary tables a session has: a name that means nothing else is sent as pg_temp.name, and the
// server knows.

// TemporarySchema is what the server calls the schema of a session's own tables.
const TemporarySchema = "pg_temp"

// temporary is a temporary table of the session's own.
func (a *analysis) temporary(rv *pg.RangeVar) resolved {
	return a.ownTable(Name{TemporarySchema, rv.Relname})
}

// ownTable is a table that the subject made, of the session or in a place that a rule allows (create_in). A place holds nothing else, each
// table belongs to the login that made it, and the server says whose a name is.
func (a *analysis) ownTable(name Name) resolved {
	rule := "temporary"
	if name.Schema != TemporarySchema {
		rule = "create_in"
	}
	return resolved{name: name, target: name, rel: &Relation{
		Name: name, Target: name, Kind: 'r', Open: true, Temp: true, Rule: rule, Select: true, Insert: true, Update: true, Delete: true, Lock: true,
	}}
}

// newInPlace judges the name of a table that is to be made in a place. What stands there already the server knows.
func (a *analysis) newInPlace(rv *pg.RangeVar) bool {
	if rv == nil || rv.Catalogname != "" || !a.w.Places[rv.Schemaname] || rv.Relpersistence != "p" {
		return false
	}
	a.mark(rv)
	a.location = rv.Location
	a.touch(resolved{name: Name{rv.Schemaname, rv.Relname}}, "insert")
	return true
}

// newTemporary judges the name of a temporary table that is to be made, and qualifies it.
func (a *analysis) newTemporary(rv *pg.RangeVar) bool {
	if rv == nil {
		a.misplaced(&pg.RangeVar{})
		return false
	}
	a.mark(rv)
	a.location = rv.Location
	if rv.Relpersistence != "t" && rv.Schemaname != TemporarySchema || !a.w.Temp {
		return false
	}
	if rv.Catalogname != "" || rv.Schemaname != "" && rv.Schemaname != TemporarySchema {
		a.construct(rv.Location, "a temporary table has no schema", "Write its name alone.")
		return true
	}
	if _, verdict := CatalogRelation("pg_catalog", rv.Relname, a.w.Major); verdict != CatalogRefuse || a.reserved(rv.Relname) {
		a.refuse(rv.Location, Refusal{
			Reason: ReasonTemporary, Object: rv.Relname, Message: fmt.Sprintf("a temporary table cannot be called %s", quoteIdent(rv.Relname)),
			Detail: "There is a relation of that name, which it would hide.", Hint: "Give it another name.",
		})
		return true
	}
	rv.Schemaname, rv.Relpersistence = TemporarySchema, "t"
	a.rewrote = true
	a.touch(resolved{name: Name{TemporarySchema, rv.Relname}}, "insert")
	return true
}

// reserved tells whether an unqualified name means a relation already.
func (a *analysis) reserved(name string) bool {
	for _, schema := range a.w.Schemas {
		if _, hidden := a.w.Known[Name{schema, name}]; hidden || a.w.Relations[Name{schema, name}] != nil {
			return true
		}
	}
	return len(name) > 3 && name[:3] == "pg_"
}

// into judges the target of SELECT INTO and CREATE TABLE AS. false: it is no table that may be made.
func (a *analysis) into(c *pg.IntoClause) bool {
	if !a.newInPlace(c.Rel) && !a.newTemporary(c.Rel) {
		return false
	}
	a.mark(c)
	if c.AccessMethod != "" || c.TableSpaceName != "" || len(c.Options) > 0 || c.ViewQuery != nil {
		a.construct(-1, "storage options of a table are not available", "Leave them out.")
	}
	if _, ok := names(c.ColNames); !ok {
		a.misplaced(c)
	}
	return true
}

// createTableAs judges CREATE TABLE … AS a query or EXECUTE: temporary, or in a place.
func (a *analysis) createTableAs(n *pg.Node, c *pg.CreateTableAsStmt) Statement {
	a.mark(c)
	st := Statement{Tag: "CREATE TABLE AS"}
	if c.Objtype != pg.ObjectType_OBJECT_TABLE || c.Into == nil || !a.into(c.Into) {
		a.refusedStatement(n)
		return st
	}
	switch q := c.Query.GetNode().(type) {
	case *pg.Node_SelectStmt:
		before := a.rows
		a.selectStmt(q.SelectStmt, nil)
		a.noRows(before)
	case *pg.Node_ExecuteStmt:
		a.nodeList(q.ExecuteStmt.Params, nil)
		st.Effects = append(st.Effects, Effect{Kind: Execute, Name: q.ExecuteStmt.Name})
	default:
		a.misplaced(c)
	}
	return st
}

// noRows refuses a table from a query that reads whole rows as values: a column of that type would keep apply from replacing the view as
// long as the table is there.
func (a *analysis) noRows(before int) {
	if a.rows > before {
		a.construct(-1, "a table takes columns here, not whole rows", "Name the columns, or write to_jsonb(…) of the row in a query of its own.")
	}
}

// createTable judges CREATE TEMP TABLE with columns: types, defaults, checks and keys of its own, and LIKE an admitted relation.
func (a *analysis) createTable(n *pg.Node, c *pg.CreateStmt) Statement {
	a.mark(c)
	st := Statement{Tag: "CREATE TABLE"}
	if !a.newTemporary(c.Relation) {
		a.refusedStatement(n)
		return st
	}
	if len(c.InhRelations) > 0 || c.Partbound != nil || c.Partspec != nil || c.OfTypename != nil || c.Tablespacename != "" || c.AccessMethod != "" || len(c.Options) > 0 {
		a.construct(-1, "a temporary table has columns and constraints only", "Leave inheritance, partitions and storage out.")
		return st
	}
	a.stored = true // a column of a view's row type would keep apply from replacing the view
	defer func() { a.stored = false }()
	for _, e := range c.TableElts {
		switch x := e.GetNode().(type) {
		case *pg.Node_ColumnDef:
			a.columnDef(x.ColumnDef)
		case *pg.Node_Constraint:
			a.constraint(x.Constraint)
		case *pg.Node_TableLikeClause:
			like := x.TableLikeClause
			a.mark(like)
			if it := a.relationItem(like.Relation, &scope{}); it.rel == nil && a.refusal == nil {
				a.construct(-1, "LIKE takes an admitted relation", "")
			}
			if like.Relation != nil {
				like.Relation.Alias = nil // a name in FROM gets one, this must have none
			}
		default:
			a.misplaced(e)
		}
	}
	return st
}

func (a *analysis) columnDef(d *pg.ColumnDef) {
	a.mark(d)
	if isSerial(d.TypeName) {
		a.mark(d.TypeName) // the word has to stay alone: the server knows it by that
	} else {
		a.typeName(d.TypeName, false)
	}
	if d.CollClause != nil {
		a.message(d.CollClause, nil)
	}
	if d.Identity != "" || d.Generated != "" || d.RawDefault != nil || len(d.Fdwoptions) > 0 || d.StorageName != "" || d.Compression != "" {
		a.misplaced(d)
	}
	for _, n := range d.Constraints {
		if c := n.GetConstraint(); c != nil {
			a.constraint(c)
		} else {
			a.misplaced(n)
		}
	}
}

// isSerial tells whether a type is a word for an integer with a sequence, which becomes the temporary table's own.
func isSerial(t *pg.TypeName) bool {
	parts, ok := names(t.GetNames())
	return ok && len(parts) == 1 && slices.Contains(serials, parts[0]) && len(t.ArrayBounds)+len(t.Typmods) == 0 && !t.PctType && !t.Setof
}

// constraint judges a constraint of a temporary table. Its expressions see the table's own columns only.
func (a *analysis) constraint(c *pg.Constraint) {
	a.mark(c)
	a.location = c.Location
	switch c.Contype {
	case pg.ConstrType_CONSTR_NULL, pg.ConstrType_CONSTR_NOTNULL, pg.ConstrType_CONSTR_PRIMARY, pg.ConstrType_CONSTR_UNIQUE,
		pg.ConstrType_CONSTR_IDENTITY:
	case pg.ConstrType_CONSTR_DEFAULT, pg.ConstrType_CONSTR_CHECK, pg.ConstrType_CONSTR_GENERATED:
		a.node(c.RawExpr, nil)
	default:
		a.construct(c.Location, "this kind of constraint is not available on a temporary table", "Keys, CHECK, NOT NULL, defaults and identity are.")
	}
	if c.Indexname != "" || c.Indexspace != "" || len(c.Options) > 0 || len(c.Including) > 0 {
		a.misplaced(c)
	}
}

// indexTemporary judges CREATE INDEX of columns of a temporary table. false: the table is something else.
func (a *analysis) indexTemporary(s *pg.IndexStmt) bool {
	rv := s.Relation
	if rv == nil || !a.isMade(rv) || rv.Schemaname != "" && rv.Schemaname != TemporarySchema {
		return false
	}
	a.mark(s)
	a.mark(rv)
	a.location = rv.Location
	if !slices.Contains(indexMethods, s.AccessMethod) || s.TableSpace != "" || len(s.Options) > 0 || len(s.ExcludeOpNames) > 0 || s.WhereClause != nil || s.Concurrent {
		a.construct(-1, "an index of a temporary table has columns only", "Leave the rest out.")
		return true
	}
	for _, n := range append(slices.Clip(s.IndexParams), s.IndexIncludingParams...) {
		e := n.GetIndexElem()
		if e == nil || e.Expr != nil || len(e.Collation)+len(e.Opclass)+len(e.Opclassopts) > 0 {
			a.construct(-1, "an index of a temporary table has columns only", "Name the columns, without expressions, collations and operator classes.")
			return true
		}
		a.mark(e)
	}
	rv.Schemaname = TemporarySchema
	a.touch(a.ownTable(Name{TemporarySchema, rv.Relname}), "alter")
	a.rewrote = true
	return true
}

// dropTemporary judges DROP TABLE of tables that subjects made. false: one of the names is something else.
func (a *analysis) dropTemporary(d *pg.DropStmt) bool {
	if d.RemoveType != pg.ObjectType_OBJECT_TABLE || d.Concurrent {
		return false
	}
	for _, n := range d.Objects {
		rv := rangeOf(n.GetList().GetItems())
		if rv == nil || !a.isMade(rv) {
			return false
		}
	}
	for _, n := range d.Objects {
		rv := rangeOf(n.GetList().GetItems())
		schema := cmp.Or(rv.Schemaname, TemporarySchema)
		a.touch(a.ownTable(Name{schema, rv.Relname}), "drop")
		n.GetList().Items = nameNodes(schema, rv.Relname)
	}
	a.mark(d)
	d.Behavior = pg.DropBehavior_DROP_RESTRICT
	a.rewrote = true
	return true
}

// sample judges TABLESAMPLE. Of an open table the server takes the sample itself; of a view it is taken row by row from what the
// view shows, which is what BERNOULLI means and SYSTEM promises no more than. A repeatable one goes by the content of the row.
func (a *analysis) sample(n *pg.Node, s *pg.RangeTableSample, sc *scope) *item {
	a.mark(s)
	rv := s.Relation.GetRangeVar()
	method, ok := names(s.Method)
	if rv == nil || !ok || len(s.Args) != 1 {
		a.misplaced(s)
		return &item{}
	}
	name := method[len(method)-1]
	if len(method) > 1 && method[0] != "pg_catalog" || name != "bernoulli" && name != "system" {
		a.construct(s.Location, "this sampling method is not available", "Use BERNOULLI or SYSTEM.")
		return &item{}
	}
	if rv.Schemaname == "" && rv.Catalogname == "" && sc.cte(rv.Relname) != nil {
		a.construct(s.Location, "TABLESAMPLE takes a table, not a query", "")
		return &item{}
	}
	it := a.relationItem(rv, sc)
	if a.refusal == nil && it.rel == nil {
		a.construct(s.Location, "TABLESAMPLE is not available on the system catalog", "")
	}
	if a.refusal != nil {
		return it
	}
	around := sc.aside()
	a.node(s.Args[0], around)
	a.node(s.Repeatable, around)
	if it.rel.Open {
		s.Method = nameNodes("pg_catalog", name)
		return it
	}
	alias := rv.Alias
	rv.Alias = &pg.Alias{Aliasname: alias.Aliasname}
	query := &pg.SelectStmt{
		TargetList:  []*pg.Node{pg.MakeResTargetNodeWithVal(&pg.Node{Node: &pg.Node_ColumnRef{ColumnRef: &pg.ColumnRef{Fields: []*pg.Node{{Node: &pg.Node_AStar{AStar: &pg.A_Star{}}}}}}}, 0)},
		FromClause:  []*pg.Node{{Node: &pg.Node_RangeVar{RangeVar: rv}}},
		WhereClause: sampled(s, rv.Alias.Aliasname),
		LimitOption: pg.LimitOption_LIMIT_OPTION_DEFAULT, Op: pg.SetOperation_SETOP_NONE,
	}
	sub := &pg.RangeSubselect{Subquery: &pg.Node{Node: &pg.Node_SelectStmt{SelectStmt: query}}, Alias: alias}
	n.Node = &pg.Node_RangeSubselect{RangeSubselect: sub}
	a.markAll(n)
	it.touch.all()
	a.rewrote = true
	return it
}

// sampled is the condition that picks rows: random, or the place of the row's hash among all hashes.
func sampled(s *pg.RangeTableSample, alias string) *pg.Node {
	call := func(name string, args ...*pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_FuncCall{FuncCall: &pg.FuncCall{
			Funcname: nameNodes("pg_catalog", name), Args: args, Funcformat: pg.CoercionForm_COERCE_EXPLICIT_CALL,
		}}}
	}
	op := func(l *pg.Node, name string, r *pg.Node) *pg.Node {
		return &pg.Node{Node: &pg.Node_AExpr{AExpr: &pg.A_Expr{Kind: pg.A_Expr_Kind_AEXPR_OP, Name: nameNodes(name), Lexpr: l, Rexpr: r}}}
	}
	hundred := func() *pg.Node { return castTo(stringConst("100"), "float8") }
	picked := op(call("random"), "*", hundred())
	if s.Repeatable != nil {
		row := castTo(pg.MakeColumnRefNode(nameNodes(alias), 0), "text")
		hash := call("hashtextextended", row, castTo(call("hashfloat8", castTo(s.Repeatable, "float8")), "int8"))
		share := op(op(castTo(hash, "float8"), "/", castTo(stringConst("18446744073709551616"), "float8")), "+", castTo(stringConst("0.5"), "float8"))
		picked = op(share, "*", hundred())
	}
	return op(picked, "<", castTo(s.Args[0], "float8"))
}

// onlyTemporary tells whether all relations of a list are tables that subjects made, and qualifies them.
func (a *analysis) onlyTemporary(list []*pg.Node) bool {
	if slices.ContainsFunc(list, func(n *pg.Node) bool { return n.GetRangeVar() == nil || !a.isMade(n.GetRangeVar()) }) {
		return false
	}
	for _, n := range list {
		rv := n.GetRangeVar()
		a.mark(rv)
		rv.Schemaname = cmp.Or(rv.Schemaname, TemporarySchema)
		a.touch(a.ownTable(Name{rv.Schemaname, rv.Relname}), "truncate")
	}
	a.rewrote = true
	return true
}

// isMade tells whether a name can only be that of a table which a subject made.
func (a *analysis) isMade(rv *pg.RangeVar) bool {
	switch {
	case rv.Catalogname != "":
		return false
	case rv.Schemaname == "":
		return a.w.Temp && !a.reserved(rv.Relname)
	case rv.Schemaname == TemporarySchema:
		return a.w.Temp
	}
	_, known := a.w.Known[Name{rv.Schemaname, rv.Relname}]
	return a.w.Places[rv.Schemaname] && !known
}
