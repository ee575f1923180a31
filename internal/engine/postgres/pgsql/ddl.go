package pgsql

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// DDL of level own (docs/adr/0017). Its holder is a member of the role that owns the tables, and that role may own more than the rule
// names: every relation that such a statement reaches is resolved like any other and must be one the profile owns. What is let
// through changes a table in place, so that everything made belongs to the table's owner. Refused is what would belong to the
// login itself, hand out rights, run code of its author's as somebody else, reach another relation, or part a name that the policy
// speaks of from its data.

// indexMethods are the access methods that come with PostgreSQL.
var indexMethods = []string{"", "btree", "hash", "gist", "gin", "spgist", "brin"}

// serials are words for an integer with a sequence, which are no types.
var serials = []string{"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"}

// unstored are functions that the guard answers from what the session is, which no stored expression may hold on to.
var unstored = []string{"set_config", "current_setting", "current_schema", "current_schemas", "to_regclass", "to_regtype", "to_regnamespace", "to_regproc", "pg_typeof"}

// notStored refuses what would tie a stored expression to the session that wrote it, or to objects of Postern's, which apply could
// then not replace.
func (a *analysis) notStored(at int32, what string) {
	a.refuse(at, Refusal{
		Reason: ReasonConstruct, Object: what, Message: what + " is not available in an expression that the server keeps",
		Detail: "Others would run it, and it would hold on to objects that are the session's.",
	})
}

// ddl judges a statement of an owner. false: level own does not carry this kind, or nobody owns anything here.
func (a *analysis) ddl(n *pg.Node) (Statement, bool) {
	if !a.w.Own {
		return Statement{}, false
	}
	a.stored = true
	defer func() { a.stored = false }()
	switch x := n.GetNode().(type) {
	case *pg.Node_AlterTableStmt:
		if x.AlterTableStmt.Objtype != pg.ObjectType_OBJECT_TABLE {
			return Statement{}, false
		}
		a.alterTable(x.AlterTableStmt)
		return Statement{Tag: "ALTER TABLE"}, true
	case *pg.Node_IndexStmt:
		a.createIndex(x.IndexStmt)
		return Statement{Tag: "CREATE INDEX"}, true
	case *pg.Node_DropStmt:
		return a.dropOwned(x.DropStmt)
	case *pg.Node_TruncateStmt:
		a.truncate(x.TruncateStmt)
		return Statement{Tag: "TRUNCATE TABLE"}, true
	case *pg.Node_CommentStmt:
		return a.comment(x.CommentStmt)
	}
	return Statement{}, false
}

// owned resolves a table that a statement of an owner changes. nil: it is refused.
func (a *analysis) owned(rv *pg.RangeVar, action string) *item {
	if rv == nil {
		a.misplaced(&pg.RangeVar{})
		return nil
	}
	a.mark(rv)
	a.location = rv.Location
	r, ok := a.resolve(rv)
	if !ok {
		return nil
	}
	switch {
	case r.rel == nil || !r.rel.Own:
		ref := Refusal{
			Reason: ReasonAction, Object: r.name.String(), Message: fmt.Sprintf("must be owner of table %s", r.name),
			Detail: "None of your rules on it has level own.",
		}
		if r.rel != nil {
			ref.Dataset = r.rel.Dataset
		}
		a.refuse(rv.Location, ref)
		return nil
	case r.rel.Kind != 'r' && r.rel.Kind != 'p', r.rel.MinGroup > 0:
		a.noDDL(rv.Location, "changing "+kindWord(r.rel.Kind)+" "+r.name.String(), "Only tables are changed through the gateway.")
		return nil
	}
	it := &item{alias: rv.Relname, rel: r.rel, shape: relationShape(r.rel)}
	it.touch = a.touch(r, action)
	it.names = it.shape.columns
	if r.target != r.name || rv.Schemaname == "" || rv.Catalogname != "" {
		a.rewrote = true
	}
	rv.Catalogname, rv.Schemaname, rv.Relname = "", r.target.Schema, r.target.Name
	return it
}

// noDDL refuses a form that level own does not carry through the gateway.
func (a *analysis) noDDL(at int32, what, why string) {
	a.refuse(at, Refusal{
		SQLState: stateUnsupported, Reason: ReasonStatement, Object: what, Message: what + " is not available through the gateway",
		Detail: why, Hint: "Run it with the migration tool's own login.",
	})
}

// alterTable judges every command of an ALTER TABLE.
func (a *analysis) alterTable(s *pg.AlterTableStmt) {
	a.mark(s)
	it := a.owned(s.Relation, "alter")
	if it == nil {
		return
	}
	for _, n := range s.Cmds {
		if d := n.GetAlterTableCmd().GetDef().GetColumnDef(); d != nil && n.GetAlterTableCmd().Subtype == pg.AlterTableType_AT_AddColumn {
			it.shape.columns = append(slices.Clip(it.shape.columns), d.Colname) // another command of the statement may name it
		}
	}
	sc := &scope{items: []*item{it}}
	for _, n := range s.Cmds {
		c := n.GetAlterTableCmd()
		if c == nil {
			a.misplaced(s)
			return
		}
		a.alterCommand(c, it, sc)
	}
}

func (a *analysis) alterCommand(c *pg.AlterTableCmd, it *item, sc *scope) {
	a.mark(c)
	it.touch.column(c.Name)
	if c.Behavior == pg.DropBehavior_DROP_CASCADE {
		a.noDDL(-1, "CASCADE", "It would drop what others see the table through.")
		return
	}
	switch c.Subtype {
	case pg.AlterTableType_AT_AddColumn:
		if d := c.Def.GetColumnDef(); d != nil {
			a.newColumn(d, sc)
			return
		}
	case pg.AlterTableType_AT_AddConstraint:
		if x := c.Def.GetConstraint(); x != nil {
			a.ownConstraint(x, sc)
			return
		}
	case pg.AlterTableType_AT_AlterColumnType:
		if d := c.Def.GetColumnDef(); d != nil {
			a.mark(d)
			a.typeName(d.TypeName, false)
			if d.CollClause != nil {
				a.message(d.CollClause, sc)
			}
			a.node(d.RawDefault, sc)
			return
		}
	case pg.AlterTableType_AT_ColumnDefault:
		a.node(c.Def, sc)
		return
	case pg.AlterTableType_AT_AddIdentity:
		if x := c.Def.GetConstraint(); x != nil {
			a.ownConstraint(x, sc)
			return
		}
	case pg.AlterTableType_AT_DropColumn, pg.AlterTableType_AT_DropConstraint, pg.AlterTableType_AT_ValidateConstraint,
		pg.AlterTableType_AT_SetNotNull, pg.AlterTableType_AT_DropNotNull, pg.AlterTableType_AT_DropIdentity, pg.AlterTableType_AT_DropExpression:
		if c.Def == nil {
			return
		}
	case pg.AlterTableType_AT_SetStatistics:
		if c.Name != "" && (c.Def == nil || c.Def.GetInteger() != nil) {
			return
		}
	}
	word := strings.TrimPrefix(c.Subtype.String(), "AT_")
	a.noDDL(-1, "this form of ALTER TABLE ("+word+")",
		"Of ALTER TABLE, level own has columns, their types, defaults and NOT NULL, and constraints.")
}

// newColumn judges a column that is added.
func (a *analysis) newColumn(d *pg.ColumnDef, sc *scope) {
	if parts, _ := names(d.TypeName.GetNames()); len(parts) == 1 && slices.Contains(serials, parts[0]) {
		a.refuse(d.TypeName.Location, Refusal{
			Reason: ReasonType, Object: parts[0], Message: fmt.Sprintf("type %s is not available here", parts[0]),
			Hint: "Write integer GENERATED BY DEFAULT AS IDENTITY.",
		})
		return
	}
	a.mark(d)
	a.typeName(d.TypeName, false)
	if d.CollClause != nil {
		a.message(d.CollClause, sc)
	}
	if d.Identity != "" || d.Generated != "" || d.RawDefault != nil || len(d.Fdwoptions) > 0 || d.StorageName != "" || d.Compression != "" {
		a.misplaced(d)
	}
	for _, n := range d.Constraints {
		if c := n.GetConstraint(); c != nil {
			a.ownConstraint(c, sc)
		} else {
			a.misplaced(n)
		}
	}
}

// ownConstraint judges a constraint of a table that the profile owns. A foreign key may point to nothing but another of those: it
// tells which values are there.
func (a *analysis) ownConstraint(c *pg.Constraint, sc *scope) {
	a.mark(c)
	if c.Location > 0 {
		a.location = c.Location
	}
	switch c.Contype {
	case pg.ConstrType_CONSTR_NULL, pg.ConstrType_CONSTR_NOTNULL, pg.ConstrType_CONSTR_PRIMARY, pg.ConstrType_CONSTR_UNIQUE,
		pg.ConstrType_CONSTR_IDENTITY, pg.ConstrType_CONSTR_ATTR_DEFERRABLE, pg.ConstrType_CONSTR_ATTR_NOT_DEFERRABLE,
		pg.ConstrType_CONSTR_ATTR_DEFERRED, pg.ConstrType_CONSTR_ATTR_IMMEDIATE:
	case pg.ConstrType_CONSTR_DEFAULT, pg.ConstrType_CONSTR_CHECK, pg.ConstrType_CONSTR_GENERATED:
		a.node(c.RawExpr, sc)
	case pg.ConstrType_CONSTR_FOREIGN:
		a.owned(c.Pktable, "alter")
	default:
		a.noDDL(c.Location, "this kind of constraint", "Keys, foreign keys, CHECK, NOT NULL, defaults and identity are available.")
	}
	if c.Indexname != "" || c.Indexspace != "" || len(c.Options) > 0 {
		a.noDDL(c.Location, "a constraint with storage or sequence options", "Leave them out.")
	}
}

// createIndex judges CREATE INDEX. Its expressions are run by everybody who writes into the table.
func (a *analysis) createIndex(s *pg.IndexStmt) {
	a.mark(s)
	it := a.owned(s.Relation, "alter")
	if it == nil {
		return
	}
	if !slices.Contains(indexMethods, s.AccessMethod) || s.TableSpace != "" || len(s.Options) > 0 || len(s.ExcludeOpNames) > 0 {
		a.noDDL(-1, "an index with storage options or a method of its own", "Leave them out.")
		return
	}
	sc := &scope{items: []*item{it}}
	for _, list := range [][]*pg.Node{s.IndexParams, s.IndexIncludingParams} {
		for _, n := range list {
			e := n.GetIndexElem()
			if e == nil {
				a.misplaced(s)
				return
			}
			a.mark(e)
			it.touch.column(e.Name)
			a.node(e.Expr, sc)
			if len(e.Collation) > 0 {
				a.collation(e.Collation, s.Relation.Location)
			}
			// An operator class is made by superusers only.
			if len(e.Opclass) > 1 || len(e.Opclassopts) > 0 {
				a.noDDL(-1, "an operator class with a schema or options", "Write its name alone.")
			}
		}
	}
	a.node(s.WhereClause, sc)
}

// dropOwned judges DROP TABLE and DROP INDEX.
func (a *analysis) dropOwned(d *pg.DropStmt) (Statement, bool) {
	st := Statement{Tag: "DROP " + objectWord(d.RemoveType)}
	if d.RemoveType != pg.ObjectType_OBJECT_TABLE && d.RemoveType != pg.ObjectType_OBJECT_INDEX {
		return st, false
	}
	a.mark(d)
	if d.Behavior == pg.DropBehavior_DROP_CASCADE {
		a.noDDL(-1, "CASCADE", "It would drop what others see the table through.")
		return st, true
	}
	for _, n := range d.Objects {
		rv := rangeOf(n.GetList().GetItems())
		if rv == nil {
			a.misplaced(d)
			return st, true
		}
		if d.RemoveType == pg.ObjectType_OBJECT_INDEX {
			a.dropIndex(n, rv)
			continue
		}
		if a.owned(rv, "drop") == nil {
			return st, true
		}
		n.GetList().Items = nameNodes(rv.Schemaname, rv.Relname)
	}
	return st, true
}

// rangeOf is a name of one to three parts as a RangeVar, or nil.
func rangeOf(list []*pg.Node) *pg.RangeVar {
	parts, ok := names(list)
	if !ok || len(parts) == 0 || len(parts) > 3 {
		return nil
	}
	parts = append(make([]string, 3-len(parts)), parts...)
	return &pg.RangeVar{Catalogname: parts[0], Schemaname: parts[1], Relname: parts[2], Relpersistence: "p", Location: -1}
}

// dropIndex judges one index of DROP INDEX: it must be on a table that the profile owns.
func (a *analysis) dropIndex(n *pg.Node, rv *pg.RangeVar) {
	schemas := a.w.Schemas
	if rv.Schemaname != "" {
		schemas = []string{rv.Schemaname}
	}
	for _, schema := range schemas {
		for _, rel := range a.w.Relations {
			if rel.Name.Schema == schema && rel.Own && slices.Contains(rel.Indexes, rv.Relname) && rv.Catalogname == "" {
				a.touch(resolved{name: rel.Name, rel: rel}, "alter")
				n.GetList().Items = nameNodes(schema, rv.Relname)
				a.rewrote = true
				return
			}
		}
	}
	name := Name{rv.Schemaname, rv.Relname}
	a.refuse(-1, Refusal{
		SQLState: stateNoObject, Reason: ReasonRelationUnknown, Object: name.String(),
		Message: fmt.Sprintf("index %s does not exist, or is not on a table of yours", name),
	})
}

// truncate judges TRUNCATE.
func (a *analysis) truncate(t *pg.TruncateStmt) {
	a.mark(t)
	if t.Behavior == pg.DropBehavior_DROP_CASCADE {
		a.noDDL(-1, "CASCADE", "It would empty tables that the statement does not name.")
		return
	}
	for _, n := range t.Relations {
		if a.owned(n.GetRangeVar(), "truncate") == nil {
			return
		}
	}
}

// comment judges COMMENT ON TABLE and COLUMN.
func (a *analysis) comment(c *pg.CommentStmt) (Statement, bool) {
	st := Statement{Tag: "COMMENT"}
	parts, ok := names(c.Object.GetList().GetItems())
	column := ""
	switch {
	case !ok || len(parts) == 0:
		return st, false
	case c.Objtype == pg.ObjectType_OBJECT_COLUMN && len(parts) > 1:
		column, parts = parts[len(parts)-1], parts[:len(parts)-1]
	case c.Objtype != pg.ObjectType_OBJECT_TABLE:
		return st, false
	}
	a.mark(c)
	rv := rangeOf(nameNodes(parts...))
	if rv == nil {
		a.misplaced(c)
		return st, true
	}
	it := a.owned(rv, "alter")
	if it == nil {
		return st, true
	}
	items := []string{rv.Schemaname, rv.Relname}
	if column != "" {
		items = append(items, column)
		it.touch.column(column)
	}
	c.Object.GetList().Items = nameNodes(items...)
	return st, true
}
