package pgsql

import (
	"fmt"
	"slices"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

var systemColumns = []string{"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}

// column returns the item and level that an unqualified name means, as far as the shapes tell.
func (sc *scope) column(name string) (*item, *scope) {
	for level := sc; level != nil; level = level.outer {
		for _, it := range level.items {
			if it.shape.has(name) {
				return it, level
			}
		}
	}
	return nil, nil
}

// columnRef judges a reference to a column, a row or everything.
func (a *analysis) columnRef(ref *pg.ColumnRef, sc *scope) {
	a.mark(ref)
	a.location = ref.Location
	fields := ref.Fields
	star := len(fields) > 0 && fields[len(fields)-1].GetAStar() != nil
	if star {
		fields = fields[:len(fields)-1]
	}
	parts, ok := names(fields)
	if !ok || len(parts) == 0 && !star {
		a.misplaced(ref)
		return
	}
	if sc == nil {
		sc = &scope{}
	}
	switch {
	case len(parts) == 0:
		for _, it := range sc.items {
			a.usedWhole(it, sc)
		}
	case len(parts) == 1 && !star:
		a.plainColumn(ref, parts[0], sc)
	case len(parts) == 1, len(parts) == 2 && !star:
		it, level := sc.find(parts[0])
		a.qualifiedColumn(ref, it, level, parts, star)
	default:
		a.longReference(ref, parts, star, sc)
	}
}

// plainColumn judges a name on its own: a column, a whole row or a name of the result.
func (a *analysis) plainColumn(ref *pg.ColumnRef, name string, sc *scope) {
	if it, level := sc.column(name); it != nil {
		a.usedAt(it, name, level)
		return
	}
	if slices.Contains(systemColumns, name) {
		for level := sc; level != nil; level = level.outer {
			for _, it := range level.items {
				if it.rel != nil {
					a.systemColumn(ref, name, it)
					return
				}
			}
		}
	}
	if it, level := sc.find(name); it != nil {
		a.rows++
		a.usedWhole(it, level)
		return
	}
	a.beforeAndAfter(ref, name, sc)
}

// firstOldAndNew is the first release that shows in RETURNING what a row was and is, by the names old and new.
const firstOldAndNew = 18

// beforeAndAfter refuses old and new as whole rows in RETURNING, where nothing else has the name: old.column is refused as an unknown
// table's, and its row would be read without being judged.
func (a *analysis) beforeAndAfter(ref *pg.ColumnRef, name string, sc *scope) {
	if !a.answering || a.w.Major < firstOldAndNew || name != "old" && name != "new" ||
		slices.ContainsFunc(sc.items, func(it *item) bool { return !it.shape.known }) {
		return
	}
	a.refuse(ref.Location, Refusal{
		SQLState: stateNoColumn, Reason: ReasonColumnUnknown, Object: name, Message: fmt.Sprintf("column %q does not exist", name),
		Detail: "The gateway reads the grammar of PostgreSQL 17, which does not know what a row was before a statement.",
		Hint:   "Read the row before you write it.",
	})
}

func (a *analysis) systemColumn(ref *pg.ColumnRef, name string, it *item) {
	detail := "The table is shown through a view, which has no system columns."
	if it.rel.Open {
		detail = "Of a table that is shown whole, its own columns are granted and no system columns."
	}
	a.refuse(ref.Location, Refusal{
		Reason: ReasonSystemColumn, Object: name, Dataset: it.rel.Dataset,
		Message: fmt.Sprintf("system column %q of %s is not available", name, it.rel.Name),
		Detail:  detail,
		Hint:    "Use the primary key instead.",
	})
}

// qualifiedColumn judges alias.column and alias.*.
func (a *analysis) qualifiedColumn(ref *pg.ColumnRef, it *item, level *scope, parts []string, star bool) {
	alias := parts[len(parts)-1]
	if !star {
		alias = parts[len(parts)-2]
	}
	if it == nil {
		a.refuse(ref.Location, Refusal{
			SQLState: stateNoTable, Reason: ReasonColumnUnknown, Object: alias,
			Message: fmt.Sprintf("missing FROM-clause entry for table %q", alias),
		})
		return
	}
	if star {
		a.usedWhole(it, level)
		return
	}
	a.attribute(ref.Location, it, level, parts[len(parts)-1])
}

// attribute judges x.name, which is a call of name when x has no such column (ENF-55).
func (a *analysis) attribute(at int32, it *item, level *scope, name string) {
	if it.shape.has(name) {
		a.usedAt(it, name, level)
		return
	}
	if it.rel != nil && slices.Contains(systemColumns, name) {
		a.systemColumn(&pg.ColumnRef{Location: at}, name, it)
		return
	}
	if it.catalog && !it.shape.known {
		return
	}
	if it.rel != nil && it.rel.Temp && (!a.functions.known(name) || a.functions.allowed(name, a.w.Major)) {
		return // a column, or a function that may be called anyhow
	}
	if it.shape.known {
		a.refuse(at, Refusal{
			SQLState: stateNoColumn, Reason: ReasonColumnUnknown, Object: name,
			Message: fmt.Sprintf("column %s.%s does not exist", quoteIdent(it.alias), quoteIdent(name)),
			Detail:  "Functions are not called in attribute notation.",
		})
		return
	}
	a.unknownAttribute(at, name)
}

// unknownAttribute judges an attribute of a row whose columns the guard does not know: it must not be the name of a
// function.
func (a *analysis) unknownAttribute(at int32, name string) {
	if !a.functions.known(name) && a.w.Routines != nil && !a.w.Routines[name] {
		return
	}
	a.refuse(at, Refusal{
		Reason: ReasonFunction, Object: name,
		Message: fmt.Sprintf("%q may be a call of a function in attribute notation", name),
		Hint:    "Give the columns names of your own with an alias list, AS t(a, b).",
	})
}

// longReference rewrites schema.table.column to alias.column: the server would look for the application's table, which is
// not what the query reads any more.
func (a *analysis) longReference(ref *pg.ColumnRef, parts []string, star bool, sc *scope) {
	rel := parts
	if !star {
		rel = parts[:len(parts)-1]
	}
	if len(rel) == 3 {
		if rel[0] != a.w.Database && rel[0] != a.w.Store {
			a.refuse(ref.Location, Refusal{
				SQLState: stateUnsupported, Reason: ReasonRelationUnknown, Object: rel[0],
				Message: "cross-database references are not implemented: " + quoteIdent(rel[0]),
			})
			return
		}
		rel = rel[1:]
	}
	if len(rel) != 2 {
		a.refuse(ref.Location, Refusal{
			SQLState: stateSyntax, Reason: ReasonColumnUnknown,
			Message: "improper qualified name (too many dotted names)",
		})
		return
	}
	it, level, hidden := sc.findQualified(Name{rel[0], rel[1]})
	if it == nil {
		a.refuse(ref.Location, Refusal{
			SQLState: stateNoTable, Reason: ReasonColumnUnknown, Object: strings.Join(rel, "."),
			Message: fmt.Sprintf("invalid reference to FROM-clause entry for table %q", rel[1]),
		})
		return
	}
	if hidden || sameAlias(level, it) {
		a.refuse(ref.Location, Refusal{
			SQLState: stateAmbiguous, Reason: ReasonAmbiguous, Object: rel[1],
			Message: fmt.Sprintf("table name %q is used more than once", rel[1]),
			Hint:    "Give the tables aliases and qualify columns with them.",
		})
		return
	}
	ref.Fields = append(nameNodes(it.alias), ref.Fields[len(parts)-boolInt(!star):]...)
	if star {
		a.usedWhole(it, level)
		return
	}
	a.attribute(ref.Location, it, level, parts[len(parts)-1])
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func sameAlias(level *scope, it *item) bool {
	for _, other := range level.items {
		if other != it && other.alias == it.alias {
			return true
		}
	}
	return false
}

// used notes that a column of an item is read.
func (a *analysis) used(it *item, name string) {
	if it.rel == nil {
		if it.shape.shows(name) {
			a.maskRead(quoteIdent(it.alias), name, "")
		}
		return
	}
	a.reading(it)
	if i := slices.Index(it.names, name); i >= 0 && i < len(it.rel.Columns) {
		it.touch.column(it.rel.Columns[i].Name)
		a.keepMasksOut(it.rel, it.rel.Columns[i:i+1])
	}
}

func (a *analysis) usedAt(it *item, name string, level *scope) {
	a.used(it, name)
	if level != nil && level.collect && !slices.Contains(it.ungrouped, name) {
		it.ungrouped = append(it.ungrouped, name)
	}
}

// reading notes the first read of a relation that is written.
func (a *analysis) reading(it *item) {
	if it.touch == nil && it.reads != nil {
		it.touch = a.touch(*it.reads, "select")
		if !it.rel.Select {
			a.noAction(&pg.RangeVar{Location: a.location}, *it.reads, "read", "SELECT")
		}
	}
}

// keepMasksOut notes that columns are read which may be masked.
func (a *analysis) keepMasksOut(rel *Relation, columns []Column) {
	for _, c := range columns {
		if c.Mask != "" {
			a.maskRead(rel.Name.String(), c.Name, rel.Dataset)
			return
		}
	}
}

// maskRead notes that a masked column is read, and refuses SET notes = ssn: it would store what the mask shows over a real
// value. Nothing leaks that way, but the data is lost.
func (a *analysis) maskRead(table, column, dataset string) {
	a.masks++
	if a.setting && !a.own {
		a.refuse(-1, Refusal{
			Reason: ReasonMaskedValue, Object: table + "." + quoteIdent(column), Dataset: dataset,
			Message: fmt.Sprintf("column %s of %s is shown masked and cannot be stored in another", quoteIdent(column), table),
			Detail:  "The mask would be written, not the value.",
		})
	}
}

func (a *analysis) usedWhole(it *item, level *scope) {
	a.reading(it)
	if it.rel != nil {
		a.keepMasksOut(it.rel, it.rel.Columns)
	} else if i := slices.Index(it.shape.masked, true); i >= 0 && i < len(it.shape.columns) {
		a.maskRead(quoteIdent(it.alias), it.shape.columns[i], "")
	}
	it.touch.all()
	if level != nil && level.collect {
		it.whole = true
	}
}

// indirection judges (x).f, (x).*, (x)[1].
func (a *analysis) indirection(ind *pg.A_Indirection, sc *scope) {
	a.mark(ind)
	a.node(ind.Arg, sc)
	for i, n := range ind.Indirection {
		switch x := n.GetNode().(type) {
		case *pg.Node_AIndices:
			a.node(x.AIndices.Lidx, sc)
			a.node(x.AIndices.Uidx, sc)
		case *pg.Node_AStar:
		case *pg.Node_String_:
			a.field(ind, i, x.String_.Sval, sc)
		default:
			a.misplaced(n)
		}
	}
}

// field judges one .name of an indirection.
func (a *analysis) field(ind *pg.A_Indirection, i int, name string, sc *scope) {
	if i == 0 && sc != nil {
		if parts, ok := names(ind.Arg.GetColumnRef().GetFields()); ok && len(parts) == 1 {
			if column, _ := sc.column(parts[0]); column == nil {
				if it, level := sc.find(parts[0]); it != nil {
					a.attribute(a.location, it, level, name)
					return
				}
			}
		}
		if s, ok := a.rowShape(ind.Arg); ok && s.has(name) {
			return
		}
	}
	a.unknownAttribute(a.location, name)
}

// rowShape is the shape of an expression of a row type whose columns the guard knows.
func (a *analysis) rowShape(n *pg.Node) (shape, bool) {
	if call := n.GetFuncCall(); call != nil {
		s := a.functionShape(n)
		return s, s.known
	}
	if cast := n.GetTypeCast(); cast != nil {
		parts, _ := names(cast.GetTypeName().GetNames())
		if len(parts) == 2 {
			for _, rel := range a.w.Relations {
				if rel.Target == (Name{parts[0], parts[1]}) {
					return relationShape(rel), true
				}
			}
		}
	}
	return shape{}, false
}

// targetName is the name that a result column gets.
func targetName(rt *pg.ResTarget) string {
	if rt.GetName() != "" {
		return rt.Name
	}
	if n := figureName(rt.GetVal()); n != "" {
		return n
	}
	return "?column?"
}

// figureName is PostgreSQL's FigureColname: the name of an expression's column, "" when it has none.
func figureName(n *pg.Node) string {
	name, _ := figure(n)
	return name
}

// figure returns a name and how good it is: 2 is certain, 1 is a type's name that something better replaces.
func figure(n *pg.Node) (string, int) {
	switch x := n.GetNode().(type) {
	case *pg.Node_ColumnRef:
		return lastString(x.ColumnRef.Fields)
	case *pg.Node_AIndirection:
		if name, s := lastString(x.AIndirection.Indirection); s > 0 {
			return name, s
		}
		return figure(x.AIndirection.Arg)
	case *pg.Node_FuncCall:
		return lastString(x.FuncCall.Funcname)
	case *pg.Node_AExpr:
		if x.AExpr.Kind == pg.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif", 2
		}
	case *pg.Node_TypeCast:
		if name, s := figure(x.TypeCast.Arg); s > 1 {
			return name, s
		}
		if name, s := lastString(x.TypeCast.GetTypeName().GetNames()); s > 0 {
			return name, 1
		}
	case *pg.Node_CollateClause:
		return figure(x.CollateClause.Arg)
	case *pg.Node_GroupingFunc:
		return "grouping", 2
	case *pg.Node_MergeSupportFunc:
		return "merge_action", 2
	case *pg.Node_SubLink:
		return figureSubLink(x.SubLink)
	case *pg.Node_CaseExpr:
		if name, s := figure(x.CaseExpr.Defresult); s > 1 {
			return name, s
		}
		return "case", 1
	case *pg.Node_AArrayExpr:
		return "array", 2
	case *pg.Node_RowExpr:
		return "row", 2
	case *pg.Node_CoalesceExpr:
		return "coalesce", 2
	case *pg.Node_MinMaxExpr:
		if x.MinMaxExpr.Op == pg.MinMaxOp_IS_LEAST {
			return "least", 2
		}
		return "greatest", 2
	case *pg.Node_SqlvalueFunction:
		return valueFunctionName(x.SqlvalueFunction.Op), 2
	case *pg.Node_XmlExpr:
		return xmlName(x.XmlExpr.Op)
	case *pg.Node_XmlSerialize:
		return "xmlserialize", 2
	}
	return figureJSON(n)
}

func figureJSON(n *pg.Node) (string, int) {
	switch x := n.GetNode().(type) {
	case *pg.Node_JsonParseExpr:
		return "json", 2
	case *pg.Node_JsonScalarExpr:
		return "json_scalar", 2
	case *pg.Node_JsonSerializeExpr:
		return "json_serialize", 2
	case *pg.Node_JsonObjectConstructor:
		return "json_object", 2
	case *pg.Node_JsonArrayConstructor, *pg.Node_JsonArrayQueryConstructor:
		return "json_array", 2
	case *pg.Node_JsonObjectAgg:
		return "json_objectagg", 2
	case *pg.Node_JsonArrayAgg:
		return "json_arrayagg", 2
	case *pg.Node_JsonFuncExpr:
		switch x.JsonFuncExpr.Op {
		case pg.JsonExprOp_JSON_EXISTS_OP:
			return "json_exists", 2
		case pg.JsonExprOp_JSON_QUERY_OP:
			return "json_query", 2
		case pg.JsonExprOp_JSON_VALUE_OP:
			return "json_value", 2
		}
	}
	return "", 0
}

func figureSubLink(s *pg.SubLink) (string, int) {
	switch s.SubLinkType {
	case pg.SubLinkType_EXISTS_SUBLINK:
		return "exists", 2
	case pg.SubLinkType_ARRAY_SUBLINK:
		return "array", 2
	case pg.SubLinkType_EXPR_SUBLINK:
		q := s.Subselect.GetSelectStmt()
		for q != nil && q.Op != pg.SetOperation_SETOP_NONE {
			q = q.Larg
		}
		if list := q.GetTargetList(); len(list) > 0 {
			rt := list[0].GetResTarget()
			if rt.GetName() != "" {
				return rt.Name, 2
			}
			return figure(rt.GetVal())
		}
	}
	return "", 0
}

// lastString returns the last name of a list, which may end in * or subscripts.
func lastString(list []*pg.Node) (string, int) {
	for i := len(list) - 1; i >= 0; i-- {
		if s := list[i].GetString_(); s != nil {
			return s.Sval, 2
		}
	}
	return "", 0
}

func xmlName(op pg.XmlExprOp) (string, int) {
	switch op {
	case pg.XmlExprOp_IS_XMLCONCAT:
		return "xmlconcat", 2
	case pg.XmlExprOp_IS_XMLELEMENT:
		return "xmlelement", 2
	case pg.XmlExprOp_IS_XMLFOREST:
		return "xmlforest", 2
	case pg.XmlExprOp_IS_XMLPARSE:
		return "xmlparse", 2
	case pg.XmlExprOp_IS_XMLPI:
		return "xmlpi", 2
	case pg.XmlExprOp_IS_XMLROOT:
		return "xmlroot", 2
	}
	return "", 0
}
