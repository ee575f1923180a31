package pgsql

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// resolved is what a name in FROM, or the target of a write, turned out to be.
type resolved struct {
	name    Name // the application's own name
	target  Name // what is sent
	rel     *Relation
	catalog bool
}

// resolve finds what a RangeVar means under the logical search path, after PostgreSQL's rules: pg_catalog comes first,
// then the schemas in order, and the first that has the name ends the search even if it is not admitted.
func (a *analysis) resolve(rv *pg.RangeVar) (resolved, bool) {
	if rv.Catalogname != "" && rv.Catalogname != a.w.Database && rv.Catalogname != a.w.Store {
		a.refuse(rv.Location, Refusal{
			SQLState: stateUnsupported, Reason: ReasonRelationUnknown, Object: rv.Catalogname,
			Message: "cross-database references are not implemented: " + quoteIdent(rv.Catalogname),
		})
		return resolved{}, false
	}
	if rv.Schemaname == TemporarySchema && a.w.Temp {
		return a.temporary(rv), true
	}
	if rv.Relpersistence != "" && rv.Relpersistence != "p" {
		a.construct(rv.Location, "a temporary or unlogged target is not available here", "")
		return resolved{}, false
	}
	switch rv.Schemaname {
	case "":
		return a.resolvePath(rv)
	case "pg_catalog", "information_schema":
		return a.resolveCatalog(rv, rv.Schemaname)
	}
	name := Name{rv.Schemaname, rv.Relname}
	if rel := a.w.Relations[name]; rel != nil {
		return resolved{name: name, target: rel.Target, rel: rel}, true
	}
	if hidden, ok := a.w.Known[name]; ok {
		a.notAdmitted(rv, name, hidden)
		return resolved{}, false
	}
	if a.w.Places[rv.Schemaname] {
		return a.ownTable(name), true
	}
	a.unknownRelation(rv)
	return resolved{}, false
}

func (a *analysis) resolvePath(rv *pg.RangeVar) (resolved, bool) {
	if target, verdict := CatalogRelation("pg_catalog", rv.Relname, a.w.Major); verdict != CatalogRefuse {
		return resolved{name: Name{"pg_catalog", rv.Relname}, target: target, catalog: true}, true
	}
	for _, schema := range a.w.Schemas {
		name := Name{schema, rv.Relname}
		if rel := a.w.Relations[name]; rel != nil {
			return resolved{name: name, target: rel.Target, rel: rel}, true
		}
		if hidden, ok := a.w.Known[name]; ok {
			a.notAdmitted(rv, name, hidden)
			return resolved{}, false
		}
	}
	if strings.HasPrefix(rv.Relname, "pg_") {
		return a.resolveCatalog(rv, "pg_catalog")
	}
	if a.w.Temp && rv.Catalogname == "" {
		return a.temporary(rv), true
	}
	a.unknownRelation(rv)
	return resolved{}, false
}

func (a *analysis) resolveCatalog(rv *pg.RangeVar, schema string) (resolved, bool) {
	target, verdict := CatalogRelation(schema, rv.Relname, a.w.Major)
	if verdict == CatalogRefuse {
		name := Name{schema, rv.Relname}
		a.refuse(rv.Location, Refusal{
			Reason: ReasonCatalog, Object: name.String(),
			Message: fmt.Sprintf("permission denied for system catalog %s", name),
			Detail:  "Postern shows the catalog of the admitted relations; this one is not among the readable catalogs.",
			Hint:    "Read pg_class, pg_attribute, pg_constraint or information_schema instead.",
		})
		return resolved{}, false
	}
	return resolved{name: Name{schema, rv.Relname}, target: target, catalog: true}, true
}

func (a *analysis) notAdmitted(rv *pg.RangeVar, name Name, hidden Hidden) {
	r := Refusal{
		Reason: ReasonRelation, Object: name.String(), Dataset: hidden.Dataset,
		Message: fmt.Sprintf("permission denied for %s %s", kindWord(hidden.Kind), name),
		Detail:  "No rule that you hold admits it.",
	}
	if len(hidden.Ended) > 0 {
		r.Detail = "What you held of it has ended: " + strings.Join(hidden.Ended, ", ") + "."
	}
	if hidden.Dataset != "" {
		r.Hint = fmt.Sprintf("Ask for the dataset %s: %s.", quoteIdent(hidden.Dataset), RequestCommand(hidden.Dataset))
	} else {
		r.Hint = "No dataset holds it; ask the owner of the policy."
	}
	a.refuse(rv.Location, r)
}

func (a *analysis) unknownRelation(rv *pg.RangeVar) {
	name := Name{rv.Schemaname, rv.Relname}
	dotted := rv.Relname
	if rv.Schemaname != "" {
		dotted = rv.Schemaname + "." + rv.Relname
	}
	a.refuse(rv.Location, Refusal{
		SQLState: stateNoTable, Reason: ReasonRelationUnknown, Object: name.String(),
		Message: fmt.Sprintf("relation %q does not exist", dotted),
	})
}

func kindWord(kind byte) string {
	switch kind {
	case 'v':
		return "view"
	case 'm':
		return "materialized view"
	case 'S':
		return "sequence"
	case 'f':
		return "foreign table"
	}
	return "table"
}

// relationItem judges a relation in FROM: a CTE, an admitted relation or a view of the catalog.
func (a *analysis) relationItem(rv *pg.RangeVar, sc *scope) *item {
	a.mark(rv)
	a.location = rv.Location
	alias, columns := aliasOf(rv.Alias)
	if alias == "" {
		alias = rv.Relname
	}
	if rv.Schemaname == "" && rv.Catalogname == "" {
		if c := sc.cte(rv.Relname); c != nil {
			return &item{alias: alias, shape: c.shape.renamed(columns)}
		}
	}
	r, ok := a.resolve(rv)
	if !ok {
		return &item{alias: alias}
	}
	if r.rel != nil && !r.rel.Select {
		a.noAction(rv, r, "read", "SELECT")
		return &item{alias: alias}
	}
	it := a.retarget(rv, r, "select", alias, columns)
	if r.rel != nil {
		it.locks = []*Relation{r.rel}
	}
	return it
}

// retarget puts the target in the place of the name, keeping the alias or adding the bare name as one.
func (a *analysis) retarget(rv *pg.RangeVar, r resolved, action, alias string, columns []string) *item {
	it := &item{alias: alias, rel: r.rel, catalog: r.catalog}
	if rv.Alias == nil {
		it.name = r.name
		rv.Alias = &pg.Alias{Aliasname: rv.Relname}
	}
	if r.target != r.name {
		a.rewrote = true
	}
	rv.Catalogname, rv.Schemaname, rv.Relname = "", r.target.Schema, r.target.Name
	if r.rel != nil {
		if r.rel.MinGroup > 0 {
			a.limited = append(a.limited, r.rel)
		}
		it.shape = relationShape(r.rel)
	} else {
		// The columns of catalogs differ from release to release. Their row types reach no user's function.
		it.of = r.name
	}
	it.shape = it.shape.renamed(columns)
	it.names = it.shape.columns
	it.touch = a.touch(r, action)
	return it
}

// touch notes that the current statement uses a relation.
func (a *analysis) touch(r resolved, action string) *touching {
	for _, t := range a.touches {
		if t.name == r.name && t.action == action {
			return t
		}
	}
	t := &touching{rel: r.rel, name: r.name, action: action}
	a.touches = append(a.touches, t)
	return t
}

func relationShape(rel *Relation) shape {
	if rel.Temp {
		return shape{}
	}
	out := shape{columns: make([]string, len(rel.Columns)), known: true}
	for i, c := range rel.Columns {
		out.columns[i] = c.Name
		if c.Mask != "" {
			out.masked = append(padded(out.masked, i), true)
		}
	}
	return out
}

func aliasOf(al *pg.Alias) (name string, columns []string) {
	if al == nil {
		return "", nil
	}
	columns, _ = names(al.Colnames)
	return al.Aliasname, columns
}

// noAction refuses an action on an admitted relation.
func (a *analysis) noAction(rv *pg.RangeVar, r resolved, verb, privilege string) {
	ref := Refusal{
		Reason: ReasonAction, Object: r.name.String(),
		Message: fmt.Sprintf("permission denied to %s %s", verb, r.name),
	}
	if r.rel != nil {
		ref.Dataset = r.rel.Dataset
		ref.Detail = fmt.Sprintf("Your rules on it (%s) do not include %s.", r.rel.Rule, privilege)
		if r.rel.Dataset != "" {
			ref.Hint = fmt.Sprintf("Ask for a rule on the dataset %s that includes it: %s.", quoteIdent(r.rel.Dataset), RequestCommand(r.rel.Dataset))
		}
	}
	a.refuse(rv.Location, ref)
}
