package sqlgen

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// others are the kinds of statements beside SELECT, with their weights.
func (g *gen) others() []weighted {
	return []weighted{
		{45, "copy", g.copyOut},
		{35, "cursor", g.cursor},
		{35, "prepare", g.prepare},
		{40, "update", g.write(g.update, func(t Table) bool { return len(t.Update) > 0 })},
		{25, "insert", g.write(g.insert, func(t Table) bool { return t.Insert != nil })},
		{20, "delete", g.write(g.remove, func(t Table) bool { return t.Delete })},
		{10, "with write", g.write(g.withWrite, func(t Table) bool { return len(t.Update) > 0 })},
		{20, "setting", g.setting},
		{40, "catalog", g.catalog},
		{15, "transaction", g.transaction},
		{15, "table", g.table},
		{25, "call", g.call},
		{15, "several", func() []string { return []string{g.query(nil, 1).text + "; " + g.query(nil, 0).text} }},
	}
}

// write is a kind that needs a table to write: without one it is an ordinary query.
func (g *gen) write(text func() string, fits func(t Table) bool) func() []string {
	return func() []string {
		if len(g.targets(fits)) == 0 {
			return []string{g.query(nil, 1).text}
		}
		return undone(text())
	}
}

// undone wraps a write so that nothing of it stays.
func undone(text string) []string { return []string{"BEGIN", text, "ROLLBACK"} }

func (g *gen) copyOut() []string {
	if g.chance(30) {
		return []string{"COPY " + pick(g, g.s.Tables).Name + " TO STDOUT"}
	}
	options := pick(g, []string{"", " WITH (FORMAT csv)", " WITH (FORMAT csv, HEADER, DELIMITER ';')", " WITH (FORMAT text, NULL 'nil')", " WITH (FORMAT binary)", " CSV"})
	return []string{"COPY (" + g.query(nil, 1).text + ") TO STDOUT" + options}
}

func (g *gen) cursor() []string {
	hold := pick(g, []string{"", "SCROLL ", "NO SCROLL ", "BINARY "})
	name := g.fresh("cur")
	fetch := pick(g, []string{"FETCH ALL FROM ", "FETCH 2 FROM ", "FETCH FORWARD 3 FROM ", "FETCH NEXT FROM "})
	out := []string{"BEGIN", "DECLARE " + name + " " + hold + "CURSOR FOR " + g.query(nil, 1).text, fetch + name}
	if g.chance(30) {
		out = append(out, "MOVE 1 FROM "+name, fetch+name)
	}
	return append(out, "CLOSE "+name, "ROLLBACK")
}

func (g *gen) prepare() []string {
	name := g.fresh("prep")
	it, from := g.tableItem()
	sc := &scope{items: []item{it, {alias: "$", cols: nil}}}
	sc.items = sc.items[:1]
	params := pick(g, []string{"(text, int)", "(text, int4)"})
	list := g.expr(Text, sc, 2) + " AS a, $1 || " + g.expr(Text, sc, 1) + " AS b, " + g.expr(g.shownType(sc, allTypes()), sc, 2) + " AS c"
	text := fmt.Sprintf("PREPARE %s%s AS SELECT %s FROM %s WHERE %s OR %s = $2", name, params, list, from, g.expr(Bool, sc, 1), g.expr(Int, sc, 1))
	return []string{"DEALLOCATE ALL", text, fmt.Sprintf("EXECUTE %s(%s, %s)", name, g.constant("word"), g.constant("small")), "DEALLOCATE " + name}
}

// targets are the tables that pass a test.
func (g *gen) targets(fits func(t Table) bool) []Table {
	var out []Table
	for _, t := range g.s.Tables {
		if fits(t) {
			out = append(out, t)
		}
	}
	return out
}

// itemOf is a table as a scope sees it.
func itemOf(t Table, alias string) item {
	it := item{alias: alias}
	for _, c := range t.Columns {
		it.cols = append(it.cols, column{c.Name, c.Type, c.Cast})
	}
	return it
}

// newValue is something to store in a column: a constant most of the time, as masked values may not be stored.
func (g *gen) newValue(t Table, name string, sc *scope) string {
	for _, c := range t.Columns {
		if c.Name == name && c.Cast == "" {
			if g.chance(75) {
				return g.literal(c.Type)
			}
			return "left((" + g.expr(Text, sc, 1) + ")::text, 20)::" + string(c.Type)
		}
	}
	return "NULL"
}

func (g *gen) returning(sc *scope) string {
	if g.chance(35) {
		return ""
	}
	if g.chance(20) {
		return " RETURNING *"
	}
	return " RETURNING " + g.expr(g.shownType(sc, allTypes()), sc, 2) + " AS r1, " + g.expr(Text, sc, 2) + " AS r2"
}

func (g *gen) update() string {
	t := pick(g, g.targets(func(t Table) bool { return len(t.Update) > 0 }))
	alias := g.fresh("u")
	sc := &scope{items: []item{itemOf(t, alias)}}
	name := pick(g, t.Update)
	text := "UPDATE " + t.Name + " AS " + alias + " SET " + name + " = " + g.newValue(t, name, sc)
	if g.chance(20) {
		it, from := g.tableItem()
		sc.items = append(sc.items, it)
		text += " FROM " + from
	}
	if g.chance(85) {
		text += " WHERE " + g.expr(Bool, sc, 2)
	}
	return text + g.returning(sc)
}

func (g *gen) remove() string {
	t := pick(g, g.targets(func(t Table) bool { return t.Delete }))
	alias := g.fresh("d")
	sc := &scope{items: []item{itemOf(t, alias)}}
	text := "DELETE FROM " + t.Name + " AS " + alias
	if g.chance(20) {
		it, from := g.tableItem()
		sc.items = append(sc.items, it)
		text += " USING " + from
	}
	return text + " WHERE " + g.expr(Bool, sc, 2) + g.returning(sc)
}

func (g *gen) insert() string {
	g.volatile = true // the sequence goes on
	t := pick(g, g.targets(func(t Table) bool { return t.Insert != nil }))
	names := slices.Sorted(maps.Keys(t.Insert))
	var values []string
	for _, n := range names {
		values = append(values, t.Insert[n])
	}
	text := "INSERT INTO " + t.Name + " AS i1 (" + strings.Join(names, ", ") + ") "
	if g.chance(25) {
		it, from := g.tableItem()
		_ = it
		text += "SELECT " + strings.Join(values, ", ") + " FROM " + from + " LIMIT 2"
	} else {
		text += "VALUES (" + strings.Join(values, ", ") + ")"
	}
	if g.chance(15) {
		text += " ON CONFLICT DO NOTHING"
	}
	return text + g.returning(&scope{items: []item{itemOf(t, "i1")}})
}

// merge is an attempt: views take it from PostgreSQL 17 on only.
func (g *gen) merge() []string {
	if len(g.targets(func(t Table) bool { return len(t.Update) > 0 })) == 0 {
		return g.hiddenRelation()
	}
	t := pick(g, g.targets(func(t Table) bool { return len(t.Update) > 0 }))
	alias := g.fresh("m")
	it, from := g.tableItem()
	both := &scope{items: []item{itemOf(t, alias), it}}
	name := pick(g, t.Update)
	return undone(fmt.Sprintf("MERGE INTO %s AS %s USING %s ON %s WHEN MATCHED AND %s THEN UPDATE SET %s = %s WHEN NOT MATCHED THEN DO NOTHING",
		t.Name, alias, from, g.expr(Bool, both, 1), g.expr(Bool, both, 1), name, g.newValue(t, name, both)))
}

func (g *gen) withWrite() string {
	write := g.update()
	if !strings.Contains(write, " RETURNING ") || strings.HasSuffix(write, "*") {
		return write
	}
	return "WITH w AS (" + write + ") SELECT * FROM w"
}

func (g *gen) explain() []string {
	g.volatile = true // costs and times
	options := pick(g, []string{"", "", "(COSTS OFF) ", "ANALYZE ", "(ANALYZE, VERBOSE, BUFFERS) ", "VERBOSE ", "(FORMAT json) "})
	return []string{"EXPLAIN " + options + g.query(nil, 0).text}
}

func (g *gen) setting() []string {
	return []string{pick(g, []string{
		"SET extra_float_digits = 0", "SHOW search_path", "SHOW TimeZone", "SET LOCAL work_mem = '4MB'", "RESET extra_float_digits", "SHOW server_version",
		"SELECT current_setting('TimeZone')", "SET application_name = 'hunt'", "SHOW transaction_isolation", "SET bytea_output = 'escape'",
		"RESET bytea_output", "SET client_min_messages = 'warning'", "SET IntervalStyle = 'iso_8601'", "RESET IntervalStyle", "SHOW DateStyle",
	})}
}

// catalog asks what tools ask.
func (g *gen) catalog() []string {
	g.volatile = true // OIDs
	c := pick(g, []string{
		"SELECT n.nspname, c.relname, c.relkind, c.reltuples, c.relpages FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE %s",
		"SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attnum > 0 AND %s",
		"SELECT * FROM information_schema.columns c JOIN pg_class ON relname = c.table_name WHERE %s",
		"SELECT table_schema, table_name, table_type FROM information_schema.tables t, LATERAL (SELECT t.table_name AS relname) c WHERE %s",
		"SELECT p.proname, p.prosrc, p.prosecdef FROM pg_proc p JOIN pg_namespace c ON c.oid = p.pronamespace, LATERAL (SELECT p.proname AS relname) x WHERE nspname <> 'pg_catalog' AND %s",
		"SELECT conname, pg_get_constraintdef(k.oid) FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE %s",
		"SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE %s",
		"SELECT schemaname, tablename AS relname, tableowner FROM pg_tables, LATERAL (SELECT tablename AS relname) c WHERE %s",
		"SELECT viewname, definition FROM pg_views, LATERAL (SELECT viewname AS relname) c WHERE schemaname <> 'pg_catalog' AND %s",
		"SELECT obj_description(c.oid, 'pg_class'), c.oid::regclass, relname FROM pg_class c WHERE %s",
		"SELECT rolname, rolsuper FROM pg_roles, LATERAL (SELECT rolname AS relname) c WHERE %s",
		"SELECT name, setting FROM pg_settings, LATERAL (SELECT name AS relname) c WHERE %s",
		"SELECT e.enumlabel, t.typname FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid, LATERAL (SELECT typname AS relname) c WHERE %s",
		"SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid WHERE %s",
	})
	cond := pick(g, []string{"relname LIKE 'p%'", "relname = 'people'", "relname ~ 'e'", "length(relname) > 3", "relname NOT LIKE 'pg%'", "relname IN ('people', 'orders')"})
	return []string{fmt.Sprintf(c, cond)}
}

func (g *gen) transaction() []string {
	q := g.query(nil, 0).text
	return pick(g, [][]string{
		{"BEGIN ISOLATION LEVEL REPEATABLE READ", q, "COMMIT"},
		{"START TRANSACTION READ ONLY", q, "ROLLBACK"},
		{"BEGIN", "SAVEPOINT a", q, "ROLLBACK TO a", "RELEASE a", "COMMIT"},
	})
}

func (g *gen) table() []string {
	t := pick(g, g.s.Tables)
	return []string{pick(g, []string{"TABLE " + t.Name, "SELECT * FROM " + t.Name, "SELECT t FROM " + t.Name + " t", "SELECT (t).* FROM " + t.Name + " t", "SELECT t.*::text FROM " + t.Name + " t", "SELECT * FROM " + t.Name + " a NATURAL JOIN " + t.Name + " b", "SELECT count(t) FROM " + t.Name + " t"})}
}

// call calls a function of the server with arguments of its types, whatever it is.
func (g *gen) call() []string {
	g.volatile = true
	if len(g.s.Functions) == 0 {
		return g.table()
	}
	return []string{g.callOf(pick(g, g.s.Functions))}
}

func (g *gen) callOf(f Function) string {
	it, from := g.tableItem()
	sc := &scope{items: []item{it}}
	var args []string
	for _, t := range f.Args {
		args = append(args, g.expr(t, sc, 1))
	}
	return fmt.Sprintf("SELECT %s(%s) FROM %s LIMIT 10", f.Name, strings.Join(args, ", "), from)
}
