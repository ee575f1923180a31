package postgres

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
)

// RelationTable is the table that tells the views of schema postern_catalog which relations a profile admits (ENF-92). apply
// keeps one row per profile and admitted relation; nobody but the provisioner writes it, and no identity role can read it:
// the views read it with their owner's rights.
//
//   - profile_role: the role that identity roles are members of;
//   - base: the application's relation;
//   - view: what the profile reads: the view in its schema, or the base itself where it is open (ENF-93);
//   - plain: an unqualified name reaches it, as pg_table_is_visible would say.
const RelationTable = `CREATE TABLE IF NOT EXISTS postern.relation (
	profile_role name NOT NULL,
	base oid NOT NULL,
	view oid NOT NULL,
	plain boolean NOT NULL,
	PRIMARY KEY (profile_role, base)
)`

// KeyTable holds the padded HMAC keys of pseudonym masks (ENF-31): one row, readable by maskers only. See PseudonymKeys.
const KeyTable = `CREATE TABLE IF NOT EXISTS postern.key (
	id smallint PRIMARY KEY CHECK (id = 1),
	ipad bytea NOT NULL CHECK (length(ipad) = 64),
	opad bytea NOT NULL CHECK (length(opad) = 64)
)`

// catalogFiles holds what schema postern_catalog is made of: one file per view that shows rows, the helpers they use, the
// functions, and the columns of every catalog relation on each major, recorded from the servers.
//
//go:embed pgcatalog
var catalogFiles embed.FS

// catalogFirst are the views that others, and the functions, are written over; in the order in which they are made.
var catalogFirst = []string{
	"pg_class", "pg_attribute", "pg_attrdef", "pg_index", "pg_constraint", "pg_inherits", "pg_namespace", "pg_type",
	"pg_proc", "pg_description", "pg_roles", "pg_settings", "pg_database", "pg_tablespace",
}

// CatalogDDL returns the statements that make schema postern_catalog with its views and functions, owned by owner, on a
// server of that major version; each runs as the provisioner, in order, in one transaction. They drop the schema that is there: whoever
// runs them has made sure that it is Postern's. RelationTable must exist. Everything in it may be used by everyone: for a role
// without a profile the views show system objects only.
func CatalogDDL(major int, owner string) []string {
	columns := catalogColumns(major)
	schema := quoteIdent(pgsql.CatalogSchema)
	ddl := []string{"DROP SCHEMA IF EXISTS " + schema + " CASCADE", "CREATE SCHEMA " + schema + " AUTHORIZATION " + quoteIdent(owner)}
	ddl = append(ddl, sqlStatements(catalogFile("helpers.sql"), major)...)
	shown, empty := pgsql.CatalogRelations(major)
	var first, later []string
	for _, n := range shown {
		view := catalogView(catalog.Name(n), columns)
		if n.Schema == "pg_catalog" && slices.Contains(catalogFirst, n.Name) {
			first = append(first, view)
		} else {
			later = append(later, view)
		}
	}
	position := func(view string) int {
		return slices.IndexFunc(catalogFirst, func(name string) bool { return strings.HasPrefix(view, "CREATE VIEW "+schema+"."+quoteIdent(name)+" ") })
	}
	slices.SortFunc(first, func(a, b string) int { return position(a) - position(b) })
	ddl = append(ddl, first...)
	ddl = append(ddl, sqlStatements(catalogFile("functions.sql"), major)...)
	ddl = append(ddl, later...)
	for _, n := range empty {
		ddl = append(ddl, catalogEmptyView(catalog.Name(n), columns))
	}
	return append(ddl, "GRANT USAGE ON SCHEMA "+schema+" TO PUBLIC", "GRANT SELECT ON ALL TABLES IN SCHEMA "+schema+" TO PUBLIC",
		"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA "+schema+" TO PUBLIC")
}

// CatalogDigest is a hash of what CatalogDDL makes: it belongs in the schema's marker comment, so that plan sees when an installed
// catalog is another version's.
func CatalogDigest(major int) string {
	sum := sha256.Sum256([]byte(strings.Join(CatalogDDL(major, ""), ";\n")))
	return hex.EncodeToString(sum[:])
}

// CatalogTarget is the view that stands for a catalog relation.
func CatalogTarget(n catalog.Name) catalog.Name {
	if n.Schema == "pg_catalog" {
		return catalog.Name{Schema: pgsql.CatalogSchema, Name: n.Name}
	}
	return catalog.Name{Schema: pgsql.CatalogSchema, Name: n.Schema + "." + n.Name}
}

func catalogFile(name string) string {
	text, err := catalogFiles.ReadFile("pgcatalog/" + name)
	if err != nil {
		return "" // cannot be: TestCatalogFiles reads each
	}
	return string(text)
}

// sqlStatements splits a file of this folder at empty lines. A statement may begin with "-- since N", and with "-- each WORD WORD" to be
// there once for each word, in the place of {kind}.
func sqlStatements(text string, major int) []string {
	var out []string
	for _, part := range strings.Split(text, "\n\n") {
		var lines []string
		since, kinds := 0, []string{""}
		for _, line := range strings.Split(part, "\n") {
			if v, ok := strings.CutPrefix(line, "-- since "); ok {
				since, _ = strconv.Atoi(v)
			}
			if v, ok := strings.CutPrefix(line, "-- each "); ok {
				kinds = strings.Fields(v)
			}
			if !strings.HasPrefix(line, "--") {
				lines = append(lines, line)
			}
		}
		if sql := strings.TrimSuffix(strings.TrimSpace(strings.Join(lines, "\n")), ";"); sql != "" && major >= since {
			for _, kind := range kinds {
				out = append(out, strings.ReplaceAll(sql, "{kind}", kind))
			}
		}
	}
	return out
}

// catalogColumn is a column of a catalog relation on one major.
type catalogColumn struct{ name, typ string }

// catalogColumns reads the recorded columns. A major that is newer than those known is taken for the newest.
func catalogColumns(major int) map[catalog.Name][]catalogColumn {
	out := map[catalog.Name][]catalogColumn{}
	for _, line := range strings.Split(catalogFile(fmt.Sprintf("columns_%d.tsv", min(max(major, 13), 18))), "\n") {
		relation, list, ok := strings.Cut(line, "\t")
		schema, name, _ := strings.Cut(relation, ".")
		if !ok {
			continue
		}
		for _, item := range strings.Split(list, ", ") {
			column, typ, _ := strings.Cut(item, " ")
			out[catalog.Name{Schema: schema, Name: name}] = append(out[catalog.Name{Schema: schema, Name: name}], catalogColumn{column, typ})
		}
	}
	return out
}

// viewType is the type of a view's column: a view may not have a column of a pseudo-type, and none that would turn any OID beside it
// into the name of a function.
func viewType(typ string) string {
	switch typ {
	case "anyarray":
		return "text[]"
	case "regproc", "regtype":
		return "oid"
	}
	return typ
}

// catalogView writes a view from its file: lines "-- column = expression" say what stands for a column, "-- others = NULL"
// what stands for the rest, and the FROM clause calls the relation x. The views of information_schema are answered once per
// statement: tools join them with each other, the planner takes each for one row, and would answer one again for every row of another.
func catalogView(n catalog.Name, columns map[catalog.Name][]catalogColumn) string {
	instead := map[string]string{}
	var from []string
	for _, line := range strings.Split(catalogFile("views/"+n.Schema+"."+n.Name+".sql"), "\n") {
		comment, isComment := strings.CutPrefix(line, "-- ")
		if !isComment {
			from = append(from, line)
			continue
		}
		if name, expr, ok := strings.Cut(comment, " = "); ok && !strings.Contains(name, " ") {
			instead[name] = expr
		}
	}
	items := make([]string, 0, len(columns[n]))
	for _, c := range columns[n] {
		expr, ok := instead[c.name]
		if !ok {
			expr, ok = instead["others"]
		}
		if !ok && viewType(c.typ) != c.typ {
			expr, ok = "x."+quoteIdent(c.name), true
		}
		if ok {
			items = append(items, "("+expr+")::"+viewType(c.typ)+" AS "+quoteIdent(c.name))
		} else {
			items = append(items, "x."+quoteIdent(c.name))
		}
	}
	body := strings.TrimSpace(strings.Join(from, "\n"))
	if n.Schema == "information_schema" {
		body = "FROM (WITH once AS MATERIALIZED (SELECT " + strings.Join(items, ", ") + "\n" + body + ") SELECT * FROM once) x"
		items = []string{"x.*"}
	}
	return createView(n, items, body)
}

func catalogEmptyView(n catalog.Name, columns map[catalog.Name][]catalogColumn) string {
	items := make([]string, 0, len(columns[n]))
	for _, c := range columns[n] {
		items = append(items, "NULL::"+viewType(c.typ)+" AS "+quoteIdent(c.name))
	}
	return createView(n, items, "WHERE false")
}

func createView(n catalog.Name, items []string, from string) string {
	t := CatalogTarget(n)
	return "CREATE VIEW " + quoteIdent(t.Schema) + "." + quoteIdent(t.Name) + " WITH (security_barrier) AS\nSELECT " +
		strings.Join(items, ", ") + "\n" + from
}
