package sqlgen

import (
	"fmt"
	"strings"
)

// column is something that an expression may name.
type column struct {
	sql string // without its item's name
	typ Type
	fit string // "%s::text" for a column of a type that is not the generator's
}

// item is one thing in FROM.
type item struct {
	alias string
	cols  []column
}

// scope is what an expression sees.
type scope struct {
	items []item
	outer *scope
	full  bool // columns are written with their item's name
}

// reference is a column of the type, as an expression writes it; "" when there is none.
func (g *gen) reference(t Type, sc *scope) string {
	for inside := false; sc != nil; sc, inside = sc.outer, true {
		if sc.outer != nil && g.chance(20) {
			continue
		}
		var found []string
		for _, it := range sc.items {
			for _, c := range it.cols {
				if c.typ != t {
					continue
				}
				ref := it.alias + "." + c.sql
				if !inside && !sc.full && g.chance(30) && sc.count(c.sql) == 1 {
					ref = c.sql
				}
				if c.fit != "" {
					ref = fmt.Sprintf(c.fit, ref)
				}
				found = append(found, ref)
			}
		}
		if len(found) > 0 {
			return pick(g, found)
		}
	}
	return ""
}

// count says how many items have a column or a name like this.
func (sc *scope) count(name string) int {
	n := 0
	for _, it := range sc.items {
		if it.alias == name {
			n++
		}
		for _, c := range it.cols {
			if c.sql == name {
				n++
			}
		}
	}
	return n
}

// allTypes are the types of expressions that stand alone.
func allTypes() []Type {
	return []Type{Text, Text, Text, Int, Int, Bigint, Numeric, Float, Bool, Date, Timestamp, Instant, Interval, UUID, Bytea, JSONB, JSON, Ints, Texts, Inet, Range}
}

// comparable are the types that can be sorted, grouped and made distinct.
func comparable() []Type {
	return []Type{Text, Text, Text, Int, Int, Bigint, Numeric, Bool, Date, Timestamp, Instant, UUID, Bytea, JSONB, Ints, Texts, Inet, Range}
}

// shownType chooses a type, those of columns in scope more often.
func (g *gen) shownType(sc *scope, from []Type) Type {
	if len(sc.items) > 0 && g.chance(60) {
		it := pick(g, sc.items)
		if len(it.cols) > 0 {
			t := pick(g, it.cols).typ
			for _, f := range from {
				if f == t {
					return t
				}
			}
		}
	}
	return pick(g, from)
}

// expr writes an expression.
func (g *gen) expr(t Type, sc *scope, depth int) string {
	if depth <= 0 || g.chance(40) {
		return g.leaf(t, sc)
	}
	list := ordinary()[t]
	if !g.o.Stable {
		switch {
		case g.chance(2) && len(failing()[t]) > 0:
			list = failing()[t]
		case g.chance(1) && len(changing()[t]) > 0:
			list, g.volatile = changing()[t], true
		}
	}
	if len(list) == 0 {
		return g.leaf(t, sc)
	}
	return g.expand(pick(g, list), sc, depth-1)
}

func (g *gen) leaf(t Type, sc *scope) string {
	if g.chance(85) {
		if ref := g.reference(t, sc); ref != "" {
			return ref
		}
	}
	return g.literal(t)
}

// expand fills a template in. What stands after "(SELECT" sees the item that {from:…} brings.
func (g *gen) expand(template string, sc *scope, depth int) string {
	var b strings.Builder
	inner := sc
	for template != "" {
		open := strings.IndexByte(template, '{')
		if at := strings.Index(template, "(SELECT"); inner == sc && at >= 0 && (open < 0 || at < open) && strings.Contains(template[at:], "{from:") {
			it, text := g.tableItem()
			inner = &scope{items: []item{it}, outer: sc}
			if !g.chance(70) {
				inner.outer = nil
			}
			if g.chance(60) {
				text += " WHERE " + g.expr(Bool, inner, min(depth, 1))
			}
			from := strings.Index(template, "{from:")
			end := from + strings.IndexByte(template[from:], '}') + 1
			b.WriteString(template[:at])
			b.WriteString(g.expand(template[at:from], inner, min(depth, 1)))
			b.WriteString(text)
			template = template[end:]
			inner = sc
			continue
		}
		close := 0
		if open >= 0 {
			close = strings.IndexByte(template[open:], '}')
		}
		if open < 0 || close < 0 {
			b.WriteString(template)
			break
		}
		b.WriteString(template[:open])
		word := template[open+1 : open+close]
		if filled, ok := g.fill(word, sc, depth); ok {
			b.WriteString(filled)
		} else {
			b.WriteString(template[open : open+close+1])
		}
		template = template[open+close+1:]
	}
	return b.String()
}

// fill is one placeholder; ok is false for a word that is none, such as an array constant.
func (g *gen) fill(word string, sc *scope, depth int) (text string, ok bool) {
	switch word {
	case "any":
		return g.expr(g.shownType(sc, allTypes()), sc, depth), true
	case "whole":
		if len(sc.items) > 0 {
			return pick(g, sc.items).alias, true
		}
		return "row(1, 'a')", true
	}
	if c := g.constant(word); c != "" {
		return c, true
	}
	if _, known := ordinary()[Type(word)]; known {
		return g.expr(Type(word), sc, depth), true
	}
	return "", false
}

// constant is a constant for a placeholder that wants one.
func (g *gen) constant(word string) string {
	switch word {
	case "small":
		return fmt.Sprint(g.n(10))
	case "pos":
		return fmt.Sprint(1 + g.n(9))
	case "word":
		return pick(g, []string{"'a'", "'-'", "' '", "'EU'", "'visible'", "'1'", "'red'", "'@'", "''", "'Person 1'", "'name'", "E'x\\ny'", "'ä€'", "$$d$$"})
	case "re":
		return pick(g, []string{"'[a-z]+'", "'(.)(.)'", "'^.'", "'[0-9]+'", "'-'", "'.$'", "''", "'(?i)e'", "'\\s+'"})
	case "like":
		return pick(g, []string{"'%a%'", "'_e%'", "'P%'", "'%1'", "'%-%'", "'%'", "''"})
	case "field":
		return pick(g, []string{"year", "month", "day", "hour", "dow"})
	case "unit":
		return pick(g, []string{"'year'", "'month'", "'day'", "'hour'", "'week'"})
	case "fmt":
		return pick(g, []string{"'YYYY-MM-DD'", "'FMDay'", "'HH24:MI'", "'Q'", "'J'", "'DDD'"})
	case "key":
		return pick(g, []string{"'name'", "'email'", "'ssn'", "'k'", "'tags'", "'memo'", "'n'", "'color'", "'doc'"})
	case "path":
		paths := []string{"'$.name'", "'$.tags[*]'", "'$.** ? (@ == 1)'", "'$.n'", "'$.color'", "'$.keyvalue()'"}
		if g.o.Stable {
			paths = paths[:5] // the last fails on what is no object
		}
		return pick(g, paths)
	}
	return ""
}

// literal is a constant of a type.
func (g *gen) literal(t Type) string {
	switch t {
	case Text:
		return g.constant("word")
	case Int:
		return pick(g, []string{"0", "1", "2", "3", "7", "42", "-1", "100"})
	case Bigint:
		return pick(g, []string{"1::bigint", "int8 '10'", "4294967296"})
	case Numeric:
		return pick(g, []string{"1.5", "10.50", "0.0", "numeric '21'", "1e3"})
	case Float:
		return pick(g, []string{"1.5::float8", "float8 '0'", "2e2::float8"})
	case Bool:
		return pick(g, []string{"true", "false", "NULL::bool"})
	case Date:
		return pick(g, []string{"date '2024-03-05'", "'1981-01-01'::date", "NULL::date"})
	case Timestamp:
		return pick(g, []string{"timestamp '2024-02-01 10:00'", "'2024-01-02'::timestamp"})
	case Instant:
		return pick(g, []string{"timestamptz '2024-01-03 10:00+00'", "'2024-01-02 00:00+00'::timestamptz"})
	case Interval:
		return pick(g, []string{"interval '1 day'", "interval '2 hours'"})
	case UUID:
		return "'00000000-0000-0000-0000-000000000002'::uuid"
	case Bytea:
		return pick(g, []string{"'\\x41'::bytea", "''::bytea"})
	case JSONB:
		return pick(g, []string{`'{"k": 1, "tags": ["red"]}'::jsonb`, "'[1, 2]'::jsonb", "'{}'::jsonb"})
	case JSON:
		return `'{"a": [1, null]}'::json`
	case Ints:
		return pick(g, []string{"ARRAY[1, 2, 3]", "'{}'::int[]"})
	case Texts:
		return pick(g, []string{"ARRAY['red', 'a']", "'{a,b}'::text[]"})
	case Inet:
		return "'10.0.0.1'::inet"
	case Range:
		return pick(g, []string{"int4range(1, 5)", "'[2,9)'::int4range"})
	}
	return "NULL"
}
