package sqlgen

import (
	"fmt"
	"slices"
	"strings"
)

// relation is a query with the columns it gives.
type relation struct {
	text string
	cols []column
}

// maxSelects bounds the SELECTs of a statement.
const maxSelects = 5

// tableItem is a table in FROM.
func (g *gen) tableItem() (item, string) {
	t := pick(g, g.s.Tables)
	it := item{alias: g.fresh("t")}
	for _, c := range t.Columns {
		fit := c.Cast
		it.cols = append(it.cols, column{c.Name, c.Type, fit})
	}
	switch {
	case g.chance(8) && !g.o.TablesOwnNames:
		// With names of its own for the first columns.
		n := 1 + g.n(min(3, len(it.cols)))
		var names []string
		for i := range n {
			it.cols[i].sql = g.fresh("n")
			names = append(names, it.cols[i].sql)
		}
		return it, fmt.Sprintf("%s AS %s(%s)", t.Name, it.alias, strings.Join(names, ", "))
	case g.chance(8):
		return it, "ONLY " + t.Name + " " + it.alias
	}
	return it, t.Name + " " + it.alias
}

// fromItem is anything in FROM. around is what LATERAL sees.
func (g *gen) fromItem(around *scope, ctes []item, depth int) (item, string) {
	switch {
	case len(ctes) > 0 && g.chance(45):
		c := pick(g, ctes)
		it := item{alias: g.fresh("w"), cols: c.cols}
		return it, c.alias + " AS " + it.alias
	case depth > 0 && g.selects < maxSelects && g.chance(25):
		lateral, outer := "", (*scope)(nil)
		if g.chance(40) {
			lateral, outer = "LATERAL ", around
		}
		q := g.query(outer, depth-1)
		it := item{alias: g.fresh("s"), cols: q.cols}
		return it, lateral + "(" + q.text + ") AS " + it.alias
	case g.chance(18):
		return g.functionItem(around)
	}
	return g.tableItem()
}

// functionItem is a function or VALUES in FROM.
func (g *gen) functionItem(around *scope) (item, string) {
	alias := g.fresh("f")
	one := func(text string, t Type) (item, string) {
		return item{alias, []column{{"c", t, ""}}}, g.expand(text, around, 1) + " AS " + alias + "(c)"
	}
	ways := []func() (item, string){
		func() (item, string) { return one("generate_series(1, {pos})", Int) },
		func() (item, string) { return one("unnest({text[]})", Text) },
		func() (item, string) { return one("unnest({int[]})", Int) },
		func() (item, string) { return one("regexp_split_to_table({text}, '')", Text) },
		func() (item, string) { return one("jsonb_array_elements_text(to_jsonb(ARRAY[{text}, {text}]))", Text) },
		func() (item, string) { return one("jsonb_object_keys(to_jsonb({whole}))", Text) },
		func() (item, string) { return one("regexp_matches({text}, {re}, 'g')", Texts) },
		func() (item, string) { return one("jsonb_path_query({jsonb}, {path})", JSONB) },
		func() (item, string) { return one("LATERAL (VALUES ({text}), ({text}))", Text) },
		func() (item, string) {
			it := item{alias, []column{{"key", Text, ""}, {"value", Text, ""}}}
			return it, g.expand("jsonb_each_text(to_jsonb({whole})) AS "+alias, around, 1)
		},
		func() (item, string) {
			it := item{alias, []column{{"a", Text, ""}, {"b", Int, ""}}}
			return it, g.expand("LATERAL (VALUES ({text}, {int}), ({text}, {small})) AS "+alias+"(a, b)", around, 1)
		},
		func() (item, string) {
			it := item{alias, []column{{"a", Text, ""}, {"b", Int, ""}, {"o", Bigint, ""}}}
			return it, g.expand("ROWS FROM (unnest({text[]}), generate_series(1, {pos})) WITH ORDINALITY AS "+alias+"(a, b, o)", around, 1)
		},
		func() (item, string) {
			it := item{alias, []column{{"a", Text, ""}, {"b", Int, ""}}}
			return it, g.expand("unnest({text[]}, {int[]}) AS "+alias+"(a, b)", around, 1)
		},
		func() (item, string) {
			it := item{alias, []column{{"name", Text, ""}, {"ssn", Text, ""}}}
			return it, g.expand("jsonb_to_record(to_jsonb({whole})) AS "+alias+"(name text, ssn text)", around, 1)
		},
		func() (item, string) {
			it := item{alias, []column{{"a", Text, ""}}}
			return it, g.expand("XMLTABLE('/r/a' PASSING xmlelement(name r, xmlelement(name a, {text})) COLUMNS a text PATH '.') AS "+alias, around, 1)
		},
	}
	return pick(g, ways)()
}

// from writes a FROM list and adds to the scope.
func (g *gen) from(sc *scope, ctes []item, depth int) string {
	it, text := g.fromItem(sc, ctes, depth)
	sc.items = append(sc.items, it)
	joins := pick(g, []int{0, 0, 0, 1, 1, 2})
	for range joins {
		left := &scope{items: slices.Clone(sc.items), outer: sc.outer, full: true}
		it, right := g.fromItem(left, ctes, depth)
		both := &scope{items: append(slices.Clone(sc.items), it), outer: sc.outer, full: true}
		switch n := g.n(20); {
		case n < 3:
			text += ", " + right
		case n < 4:
			text += " CROSS JOIN " + right
		case n < 6 && g.usable(sc, it) != "":
			text += " " + pick(g, []string{"JOIN ", "LEFT JOIN "}) + right + " USING (" + g.usable(sc, it) + ")"
		case strings.Contains(right, "LATERAL") || strings.Contains(right, " AS f"):
			text += " " + pick(g, []string{"JOIN ", "LEFT JOIN "}) + right + " ON " + g.expr(Bool, both, 1)
		default:
			kind := pick(g, []string{"JOIN ", "JOIN ", "LEFT JOIN ", "RIGHT JOIN "})
			t := pick(g, []Type{Int, Int, Text})
			a, b := g.reference(t, left), g.reference(t, &scope{items: []item{it}, full: true})
			if a == "" || b == "" {
				text += " " + kind + right + " ON " + g.expr(Bool, both, 1)
				break
			}
			text += fmt.Sprintf(" %s%s ON %s = %s", kind, right, a, b)
		}
		sc.items = both.items
	}
	return text
}

// usable is a column name that both sides of a join have once, with the same type.
func (g *gen) usable(sc *scope, it item) string {
	for _, c := range it.cols {
		if c.fit != "" || (&scope{items: []item{it}}).count(c.sql) != 1 || sc.count(c.sql) != 1 {
			continue
		}
		for _, l := range sc.items {
			for _, lc := range l.cols {
				if lc.sql == c.sql && lc.typ == c.typ {
					return c.sql
				}
			}
		}
	}
	return ""
}

// query writes a SELECT. outer is what it may refer to around it.
func (g *gen) query(outer *scope, depth int) relation {
	g.selects++
	if depth == 0 && outer == nil && g.selects == 1 {
		depth = pick(g, []int{0, 1, 1, 2})
	}
	with, ctes := "", []item(nil)
	if g.chance(15) && g.selects < 3 {
		with, ctes = g.with(depth)
	}
	sc := &scope{outer: outer}
	from := g.from(sc, ctes, depth)
	where := ""
	if g.chance(55) {
		where = " WHERE " + g.expr(Bool, sc, 2)
	}
	var out relation
	if g.chance(25) {
		out = g.grouped(sc, from+where)
	} else {
		out = g.plain(sc, from+where)
	}
	out.text = with + out.text
	return out
}

// with writes WITH and returns its names.
func (g *gen) with(depth int) (string, []item) {
	var parts []string
	var ctes []item
	recursive := ""
	for range 1 + g.n(2) {
		name := g.fresh("cte")
		if g.chance(12) {
			recursive = "RECURSIVE "
			it, from := g.tableItem()
			sc := &scope{items: []item{it}}
			parts = append(parts, fmt.Sprintf("%s(k, v) AS (SELECT 1, %s FROM %s UNION ALL SELECT k + 1, v || 'x' FROM %s WHERE k < 3)", name, g.expr(Text, sc, 1), from, name))
			ctes = append(ctes, item{name, []column{{"k", Int, ""}, {"v", Text, ""}}})
			continue
		}
		q := g.query(nil, min(depth, 1))
		materialized := pick(g, []string{"", "", "MATERIALIZED ", "NOT MATERIALIZED "})
		parts = append(parts, name+" AS "+materialized+"("+q.text+")")
		ctes = append(ctes, item{name, q.cols})
	}
	return "WITH " + recursive + strings.Join(parts, ", ") + " ", ctes
}

// plain writes a SELECT without groups.
func (g *gen) plain(sc *scope, from string) relation {
	var out relation
	var list []string
	for range 1 + g.n(4) {
		t := g.shownType(sc, allTypes())
		e := g.expr(t, sc, 2)
		if g.chance(8) {
			e, t = g.window(sc)
		}
		name := g.fresh("c")
		list = append(list, e+" AS "+name)
		out.cols = append(out.cols, column{name, t, ""})
	}
	if g.chance(12) && len(sc.items) > 0 {
		list = append(list, pick(g, sc.items).alias+pick(g, []string{".*", "", ""}))
	}
	distinct := ""
	if g.chance(8) && !strings.Contains(strings.Join(list, ","), "json") && !strings.Contains(strings.Join(list, ","), "xml") && comparableAll(out.cols) && len(list) == len(out.cols) {
		distinct = "DISTINCT "
	}
	text := "SELECT " + distinct + strings.Join(list, ", ") + " FROM " + from
	if distinct == "" {
		text += g.order(sc, out)
	}
	return relation{text, out.cols}
}

func comparableAll(cols []column) bool {
	for _, c := range cols {
		if !slices.Contains(comparable(), c.typ) {
			return false
		}
	}
	return true
}

// order writes ORDER BY, LIMIT and what goes with them.
func (g *gen) order(sc *scope, out relation) string {
	text := ""
	if by := g.reference(g.shownType(sc, comparable()), sc); by != "" && g.chance(35) {
		if g.chance(30) {
			by = g.expand("coalesce({text}, 'z')", sc, 1)
		}
		text += " ORDER BY " + by + pick(g, []string{"", " DESC", " NULLS FIRST"})
		if g.chance(40) && slices.Contains(comparable(), out.cols[0].typ) {
			text += ", 1"
		}
	}
	if g.o.Stable {
		return text // which rows a LIMIT leaves depends on how the server goes about it
	}
	switch {
	case g.chance(30):
		text += fmt.Sprintf(" LIMIT %d", 1+g.n(20))
		if g.chance(20) {
			text += fmt.Sprintf(" OFFSET %d", g.n(5))
		}
	case g.chance(3) && strings.Contains(text, "ORDER BY"):
		text += " FETCH FIRST 3 ROWS WITH TIES"
	case g.chance(2):
		text += " FOR SHARE"
	}
	return text
}

// window is a window function.
func (g *gen) window(sc *scope) (string, Type) {
	over := g.expand("OVER (PARTITION BY {int} ORDER BY {text})", sc, 1)
	stable := []struct {
		call string
		t    Type
	}{{"rank() ", Bigint}, {"dense_rank() ", Bigint}, {"count(*) ", Bigint}, {"max({text}) ", Text}, {"sum({int}) ", Bigint}, {"count({any}) FILTER (WHERE {bool}) ", Bigint}, {"percent_rank() ", Float}, {"min({date}) ", Date}}
	if g.o.Stable || g.chance(50) {
		w := pick(g, stable)
		return g.expand(w.call, sc, 1) + over, w.t
	}
	w := pick(g, []struct {
		call string
		t    Type
	}{{"row_number() ", Bigint}, {"lag({text}) ", Text}, {"lead({int}, 1, 0) ", Int}, {"first_value({text}) ", Text}, {"last_value({text}) ", Text}, {"ntile(3) ", Int}, {"nth_value({text}, 2) ", Text}, {"array_agg({text}) ", Texts}})
	if g.chance(20) {
		over = g.expand("OVER (ORDER BY {int} ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)", sc, 1)
	}
	return g.expand(w.call, sc, 1) + over, w.t
}

// aggregate is one, over rows of the scope. The first list's do not depend on the order of rows that an ORDER BY leaves open.
func (g *gen) aggregate(sc *scope) (string, Type) {
	list := []struct {
		call string
		t    Type
	}{
		{"count(*)", Bigint},
		{"count({any})", Bigint},
		{"count(DISTINCT {text})", Bigint},
		{"max({text})", Text},
		{"min({text})", Text},
		{"max({int})", Int},
		{"sum({int})", Bigint},
		{"sum({numeric})", Numeric},
		{"round(avg({int}), 3)", Numeric},
		{"max({date})", Date},
		{"min({timestamptz})", Instant},
		{"bool_and({bool})", Bool},
		{"bool_or({bool})", Bool},
		{"every({bool})", Bool},
		{"bit_or({int})", Int},
		{"string_agg(DISTINCT {text}, ',')", Text},
		{"percentile_disc(0.5) WITHIN GROUP (ORDER BY {int})", Int},
		{"mode() WITHIN GROUP (ORDER BY {text})", Text},
		{"count({any}) FILTER (WHERE {bool})", Bigint},
		{"max({inet}::text)", Text},
		{"sum({interval})", Interval},
		{"rank({small}) WITHIN GROUP (ORDER BY {int})", Bigint},
		{"round(stddev({int}), 2)", Numeric},
		{"max({text[]})", Texts},
		{"count(*) FILTER (WHERE {text} LIKE {like})", Bigint},
	}
	if !g.o.Stable && g.chance(35) {
		list = []struct {
			call string
			t    Type
		}{
			{"string_agg({text}, ',' ORDER BY {text})", Text},
			{"array_agg({text})", Texts},
			{"string_agg({text}, '-')", Text},
			{"jsonb_agg({whole})", JSONB},
			{"json_agg({any})", JSON},
			{"jsonb_object_agg(coalesce({text}, 'k'), {any})", JSONB},
			{"array_agg({int} ORDER BY {text} DESC)", Ints},
			{"avg({float8})", Float},
			{"corr({float8}, {float8})", Float},
			{"regr_slope({float8}, {int})", Float},
			{"string_agg({bytea}, '\\x00')", Bytea},
			{"xmlagg(xmlelement(name a, {text}))::text", Text},
			{"var_pop({numeric})", Numeric},
		}
	}
	a := pick(g, list)
	return g.expand(a.call, sc, 1), a.t
}

// grouped writes a SELECT with groups, or with aggregates alone.
func (g *gen) grouped(sc *scope, from string) relation {
	var out relation
	var list, keys []string
	add := func(e string, t Type) {
		name := g.fresh("c")
		list = append(list, e+" AS "+name)
		out.cols = append(out.cols, column{name, t, ""})
	}
	for range g.n(3) {
		t := g.shownType(sc, comparable())
		if e := g.reference(t, sc); e != "" && !slices.Contains(keys, e) {
			keys = append(keys, e)
			add(e, t)
		}
	}
	for range 1 + g.n(2) {
		add(g.aggregate(sc))
	}
	text := "SELECT " + strings.Join(list, ", ") + " FROM " + from
	if len(keys) > 0 {
		by := strings.Join(keys, ", ")
		switch g.n(10) {
		case 0:
			by = "ROLLUP (" + by + ")"
		case 1:
			by = "CUBE (" + by + ")"
		case 2:
			by = "GROUPING SETS ((" + by + "), ())"
		}
		text += " GROUP BY " + by
	}
	if g.chance(25) {
		text += " HAVING " + g.expand(pick(g, []string{"count(*) > {small}", "max({text}) IS NOT NULL", "count({any}) < 5", "min({int}) <> {small}"}), sc, 1)
	}
	if len(keys) > 0 && g.chance(30) && !g.o.Stable {
		text += " ORDER BY 1 LIMIT 20"
	}
	return relation{text, out.cols}
}

// setOperation combines queries over the same types.
func (g *gen) setOperation(outer *scope) relation {
	n := 1 + g.n(3)
	types := make([]Type, n)
	for i := range types {
		types[i] = pick(g, comparable())
	}
	var text string
	var cols []column
	for arm := range 2 + g.n(2) {
		it, from := g.tableItem()
		sc := &scope{items: []item{it}, outer: outer}
		var list []string
		for i, t := range types {
			e := "(" + g.expr(t, sc, 1) + ")::" + string(t)
			if arm == 0 {
				name := g.fresh("c")
				e += " AS " + name
				cols = append(cols, column{name, types[i], ""})
			}
			list = append(list, e)
		}
		if arm > 0 {
			text += pick(g, []string{" UNION ", " UNION ALL ", " INTERSECT ", " EXCEPT ", " UNION ALL "})
		}
		text += "SELECT " + strings.Join(list, ", ") + " FROM " + from
		if g.chance(40) {
			text += " WHERE " + g.expr(Bool, sc, 1)
		}
	}
	if g.chance(30) {
		text += " ORDER BY 1"
	}
	return relation{text, cols}
}
