package pgsql

import (
	"slices"
	"strings"

	pgquery "github.com/pganalyze/pg_query_go/v6"
)

// filterScope is the FROM list of one subquery.
type filterScope struct {
	relations []filterRelation
	inner     int // references resolved here
	outer     int // references that go past this scope
}

// filterRelation is one entry of a FROM list. Columns is nil when they are not known.
type filterRelation struct {
	alias   string
	base    Name // zero for a subquery
	columns map[string]string
	only    *pgquery.SelectStmt // what stands for the table, when only some of its rows may be seen
}

// filterRef is where a reference leads.
type filterRef struct {
	scope    int // index in scopes, -1 for the filtered table
	relation *filterRelation
	alias    string
	name     string
	typ      string
}

// columnRef resolves a reference and qualifies it with its table's name or alias.
func (c *filterCompiler) columnRef(ref *pgquery.ColumnRef) (*pgquery.Node, error) {
	names, err := refNames(ref)
	if err != nil {
		return nil, err
	}
	if c.values != nil {
		if form := c.values[names[0]]; form != nil && len(names) == 1 {
			c.valueUsed = true
			return form, nil
		}
		return nil, filterError(ref.Location, c.foreign, strings.Join(names, "."))
	}
	if key, ok := c.subjectKey(pgquery.MakeColumnRefNode(ref.Fields, ref.Location)); ok {
		return c.scalarAttribute(key, nil), nil
	}
	found, err := c.lookup(names, ref.Location)
	if err != nil {
		return nil, err
	}
	c.used(found)
	out := []*pgquery.Node{pgquery.MakeStrNode(found.name)}
	if found.alias != "" {
		out = []*pgquery.Node{pgquery.MakeStrNode(found.alias), pgquery.MakeStrNode(found.name)}
	}
	return pgquery.MakeColumnRefNode(out, ref.Location), nil
}

// used records a resolved reference.
func (c *filterCompiler) used(found filterRef) {
	for i := found.scope + 1; i < len(c.scopes); i++ {
		c.scopes[i].outer++
	}
	if found.scope < 0 {
		c.columns[found.name] = true
		return
	}
	c.scopes[found.scope].inner++
	r := found.relation
	if r == nil {
		return
	}
	if r.base != (Name{}) {
		c.reads[r.base][found.name] = true
	}
	if r.only != nil {
		addTarget(r.only, r.base.Name, found.name)
	}
}

// lookup resolves a reference by SQL's rules: the innermost query that knows the name.
func (c *filterCompiler) lookup(names []string, location int32) (filterRef, error) {
	switch len(names) {
	case 1:
		return c.lookupBare(names[0], location)
	case 2:
		return c.lookupQualified(Name{Name: names[0]}, names[1], location)
	case 3:
		return c.lookupQualified(Name{names[0], names[1]}, names[2], location)
	}
	return filterRef{}, filterError(location, "%s has too many parts: write table.column", strings.Join(names, "."))
}

func (c *filterCompiler) lookupBare(name string, location int32) (filterRef, error) {
	for i := len(c.scopes) - 1; i >= 0; i-- {
		var hits []filterRef
		unknown := false
		for j := range c.scopes[i].relations {
			r := &c.scopes[i].relations[j]
			if r.columns == nil {
				unknown = true
			}
			if typ, ok := r.columns[name]; ok {
				hits = append(hits, filterRef{scope: i, relation: r, alias: r.alias, name: name, typ: typ})
			}
			if r.alias == name {
				return filterRef{}, filterError(location, "whole rows are not allowed in a filter: name the columns of %s", name)
			}
		}
		switch {
		case len(hits) > 1:
			return filterRef{}, filterError(location, "column %s is ambiguous: write table.column", name)
		case len(hits) == 1:
			return hits[0], nil
		case unknown && c.strict:
			return filterRef{}, filterError(location, "it cannot be told where column %s comes from: write table.column", name)
		case unknown:
			return filterRef{scope: i, name: name}, nil
		}
	}
	typ, ok := c.tableColumn(name)
	if !ok {
		if name == c.table.Name.Name && name != "" {
			return filterRef{}, filterError(location, "whole rows are not allowed in a filter: name the columns of %s", name)
		}
		return filterRef{}, filterError(location, "column %s does not exist in %s.%s", name, c.table.Name.Schema, c.table.Name.Name)
	}
	return c.tableRef(name, typ, location)
}

func (c *filterCompiler) lookupQualified(table Name, name string, location int32) (filterRef, error) {
	for i := len(c.scopes) - 1; i >= 0; i-- {
		for j := range c.scopes[i].relations {
			r := &c.scopes[i].relations[j]
			if table.Schema == "" && r.alias != table.Name || table.Schema != "" && (r.base != table || r.alias != table.Name) {
				continue
			}
			typ, ok := r.columns[name]
			if !ok && (c.strict && r.columns != nil) {
				return filterRef{}, filterError(location, "column %s does not exist in %s", name, r.alias)
			}
			return filterRef{scope: i, relation: r, alias: r.alias, name: name, typ: typ}, nil
		}
	}
	if !c.strict {
		return filterRef{scope: -1, alias: table.Name, name: name}, nil
	}
	if table.Name != c.table.Name.Name || table.Schema != "" && table.Schema != c.table.Name.Schema {
		return filterRef{}, filterError(location, "there is no table %s here: the filter is about %s.%s", strings.TrimPrefix(table.Schema+"."+table.Name, "."),
			c.table.Name.Schema, c.table.Name.Name)
	}
	typ, ok := c.tableColumn(name)
	if !ok {
		return filterRef{}, filterError(location, "column %s does not exist in %s.%s", name, c.table.Name.Schema, c.table.Name.Name)
	}
	return c.tableRef(name, typ, location)
}

// tableColumn looks a column of the filtered table up. Where no catalog is known, every name is one.
func (c *filterCompiler) tableColumn(name string) (typ string, ok bool) {
	for _, col := range c.table.Columns {
		if col.Name == name {
			return col.Type, true
		}
	}
	return "", !c.strict
}

// tableRef is a reference to the filtered table from where the walk stands: its name must not be hidden by an alias.
func (c *filterCompiler) tableRef(name, typ string, location int32) (filterRef, error) {
	for _, s := range c.scopes {
		for _, r := range s.relations {
			if r.alias == c.table.Name.Name {
				return filterRef{}, filterError(location, "%s is the filtered table's own name: give the other table of that name an alias", r.alias)
			}
		}
	}
	return filterRef{scope: -1, alias: c.table.Name.Name, name: name, typ: typ}, nil
}

// from checks a FROM item, qualifies its tables and adds them to the innermost scope.
func (c *filterCompiler) from(n *pgquery.Node) error {
	switch x := n.Node.(type) {
	case *pgquery.Node_RangeVar:
		return c.rangeVar(n, x.RangeVar)
	case *pgquery.Node_JoinExpr:
		return c.join(x.JoinExpr)
	case *pgquery.Node_RangeSubselect:
		return c.rangeSubselect(x.RangeSubselect)
	}
	return filterError(filterLocation(n), "%s is not allowed in a filter's FROM", filterNodeName(n))
}

func (c *filterCompiler) join(j *pgquery.JoinExpr) error {
	if j.IsNatural || len(j.UsingClause) > 0 || j.JoinUsingAlias != nil || j.Alias != nil {
		return filterError(-1, "NATURAL, USING and an alias of a join are not allowed in a filter: write ON")
	}
	if err := c.from(j.Larg); err != nil {
		return err
	}
	if err := c.from(j.Rarg); err != nil {
		return err
	}
	return c.one(&j.Quals)
}

func (c *filterCompiler) rangeSubselect(r *pgquery.RangeSubselect) error {
	if r.Lateral || r.Alias == nil || len(r.Alias.Colnames) > 0 {
		return filterError(-1, "a subquery in a filter's FROM needs a plain alias and may not be LATERAL")
	}
	sel := r.Subquery.GetSelectStmt()
	if sel == nil {
		return filterError(-1, "only SELECT is allowed in a filter")
	}
	// It cannot see its siblings, only the queries around this one.
	here := c.scopes[len(c.scopes)-1]
	saved := here.relations
	here.relations = nil
	err := c.selectStmt(sel, filterPlace{})
	here.relations = saved
	if err != nil {
		return err
	}
	columns := map[string]string{}
	for _, t := range sel.TargetList {
		name := t.GetResTarget().GetName()
		if ref := t.GetResTarget().GetVal().GetColumnRef(); name == "" && ref != nil {
			name = filterString(ref.Fields[len(ref.Fields)-1])
		}
		if name == "" {
			return filterError(filterLocation(t), "name this column of %s with AS", r.Alias.Aliasname)
		}
		columns[name] = ""
	}
	return c.addRelation(filterRelation{alias: r.Alias.Aliasname, columns: columns}, -1)
}

// rangeVar qualifies a table, and puts a subquery in its place when only some of its rows may be seen.
func (c *filterCompiler) rangeVar(n *pgquery.Node, r *pgquery.RangeVar) error {
	if r.Catalogname != "" {
		return filterError(r.Location, "a table is named by schema and name: leave %s out", r.Catalogname)
	}
	if r.Alias != nil && len(r.Alias.Colnames) > 0 {
		return filterError(r.Location, "column aliases are not allowed in a filter's FROM")
	}
	alias := r.Relname
	if r.Alias != nil {
		alias = r.Alias.Aliasname
	}
	name := Name{r.Schemaname, r.Relname}
	if name.Schema == "" && c.strict {
		for _, s := range c.opts.Schemas {
			if _, ok := c.opts.Tables[Name{s, name.Name}]; ok {
				name.Schema = s
				break
			}
		}
	}
	if s := name.Schema; s == "pg_catalog" || s == "information_schema" || s == "postern" || strings.HasPrefix(s, "postern_") || strings.HasPrefix(s, "pg_") {
		return filterError(r.Location, "table %s.%s is not allowed in a filter: only the application's tables are", s, name.Name)
	}
	if !c.strict {
		return c.addRelation(filterRelation{alias: alias}, r.Location)
	}
	table, ok := c.opts.Tables[name]
	if !ok {
		return filterError(r.Location, "table %s does not exist in the store's schemas", strings.TrimPrefix(name.Schema+"."+name.Name, "."))
	}
	if name == c.table.Name {
		return filterError(r.Location, "a filter cannot read the table it filters: PostgreSQL refuses such a policy as infinite recursion")
	}
	r.Schemaname = name.Schema
	rel := filterRelation{alias: alias, base: name, columns: map[string]string{}}
	for _, col := range table.Columns {
		rel.columns[col.Name] = col.Type
	}
	if c.reads[name] == nil {
		c.reads[name] = map[string]bool{}
	}
	if text, ok := c.opts.Rows[name]; ok {
		only, err := c.onlyRows(table, text, r)
		if err != nil {
			return err
		}
		rel.only = only
		n.Node = &pgquery.Node_RangeSubselect{RangeSubselect: &pgquery.RangeSubselect{
			Subquery: &pgquery.Node{Node: &pgquery.Node_SelectStmt{SelectStmt: only}}, Alias: &pgquery.Alias{Aliasname: alias},
		}}
	}
	return c.addRelation(rel, r.Location)
}

// onlyRows is SELECT … FROM table WHERE the rule's own filter of that table. Its columns are added as they are used.
func (c *filterCompiler) onlyRows(table FilterTable, text string, r *pgquery.RangeVar) (*pgquery.SelectStmt, error) {
	if slices.Contains(c.reading, table.Name) {
		return nil, filterError(r.Location, "the row filters of this rule read each other's tables in a circle, by way of %s.%s", table.Name.Schema, table.Name.Name)
	}
	node, err := parseExpression(text)
	if err != nil {
		return nil, filterError(r.Location, "the row filter of %s.%s, which this one reads: %v", table.Name.Schema, table.Name.Name, err)
	}
	inner := &filterCompiler{
		table: table, opts: c.opts, strict: c.strict, reading: append(slices.Clone(c.reading), c.table.Name, table.Name),
		reads: c.reads, columns: c.reads[table.Name], attrs: c.attrs, guards: c.guards,
	}
	condition, err := inner.expr(node, filterPlace{positive: true})
	if err != nil {
		return nil, filterError(r.Location, "the row filter of %s.%s, which this one reads: %v", table.Name.Schema, table.Name.Name, err)
	}
	c.current = c.current || inner.current
	from := &pgquery.RangeVar{Schemaname: table.Name.Schema, Relname: table.Name.Name, Inh: r.Inh, Relpersistence: "p"}
	return &pgquery.SelectStmt{
		FromClause:  []*pgquery.Node{{Node: &pgquery.Node_RangeVar{RangeVar: from}}},
		WhereClause: condition,
		LimitOption: pgquery.LimitOption_LIMIT_OPTION_DEFAULT, Op: pgquery.SetOperation_SETOP_NONE,
	}, nil
}

// addTarget adds a column to what a subquery selects, once.
func addTarget(sel *pgquery.SelectStmt, table, column string) {
	for _, t := range sel.TargetList {
		ref := t.GetResTarget().GetVal().GetColumnRef()
		if filterString(ref.Fields[len(ref.Fields)-1]) == column {
			return
		}
	}
	ref := pgquery.MakeColumnRefNode([]*pgquery.Node{pgquery.MakeStrNode(table), pgquery.MakeStrNode(column)}, 0)
	sel.TargetList = append(sel.TargetList, pgquery.MakeResTargetNodeWithVal(ref, 0))
}

func (c *filterCompiler) addRelation(r filterRelation, location int32) error {
	here := c.scopes[len(c.scopes)-1]
	if r.alias == "subject" {
		return filterError(location, "subject stands for who asks: give this table another alias")
	}
	for _, other := range here.relations {
		if other.alias == r.alias {
			return filterError(location, "table name %s is used twice: give one an alias", r.alias)
		}
	}
	here.relations = append(here.relations, r)
	return nil
}
