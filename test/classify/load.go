package classify

import (
	"fmt"
	"strings"
)

// SQL gives the statements that make the set's tables and fill them, with the planner's statistics. Values are written as
// literals: the set is generated, and nobody's data.
func SQL(tables []Table) []string {
	var out []string
	schemas := map[string]bool{}
	for _, t := range tables {
		if !schemas[t.Schema] {
			schemas[t.Schema] = true
			out = append(out, "CREATE SCHEMA "+ident(t.Schema))
		}
		name := ident(t.Schema) + "." + ident(t.Name)
		var defs, cols []string
		for i, c := range t.Columns {
			def := ident(c.Name) + " " + c.Type
			if i == 0 && strings.HasSuffix(strings.ToLower(c.Name), "id") && c.Class == "" && (c.Type == "uuid" || strings.Contains(c.Type, "int") || strings.HasSuffix(c.Type, "serial")) && unique(c) {
				def += " PRIMARY KEY"
			}
			defs = append(defs, def)
			cols = append(cols, ident(c.Name))
		}
		out = append(out, "CREATE TABLE "+name+" ("+strings.Join(defs, ", ")+")")
		var rows []string
		for r := range t.Rows {
			vals := make([]string, len(t.Columns))
			for i, c := range t.Columns {
				vals[i] = "NULL"
				if v := c.Values[r]; v != nil {
					vals[i] = "'" + strings.ReplaceAll(*v, "'", "''") + "'"
				}
			}
			rows = append(rows, "("+strings.Join(vals, ",")+")")
		}
		out = append(out, fmt.Sprintf("INSERT INTO %s (%s) VALUES %s", name, strings.Join(cols, ","), strings.Join(rows, ",\n")))
	}
	return append(out, "ANALYZE")
}

func unique(c Column) bool {
	seen := map[string]bool{}
	for _, v := range c.Values {
		if v == nil || seen[*v] {
			return false
		}
		seen[*v] = true
	}
	return true
}

func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
