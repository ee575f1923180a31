package postgres

import (
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/plan"
)

// World is what the guard needs to know of a profile. Generation is left to the caller, who knows what came before.
func World(w *plan.Wanted, p *plan.Profile, snap *catalog.Snapshot) *pgsql.World {
	out := &pgsql.World{
		Store: w.Store, Database: w.Database, Profile: p.Schema, Major: snap.Major(), Schemas: w.Schemas,
		Relations: map[pgsql.Name]*pgsql.Relation{}, Known: map[pgsql.Name]pgsql.Hidden{}, Types: map[pgsql.Name]pgsql.Name{},
		Own: len(p.Owners) > 0, Extension: map[string]string{}, Routines: map[string]bool{},
	}
	for _, t := range p.Tables {
		rel := relationOf(t)
		out.Relations[pgsql.Name(t.Base)] = rel
		out.Masked = out.Masked || !t.Open
	}
	for _, h := range w.Hidden {
		out.Known[pgsql.Name(h.Name)] = pgsql.Hidden{Kind: h.Kind, Dataset: h.Dataset}
	}
	// What other profiles of the store admit exists for this one too.
	for _, other := range w.Profiles {
		for _, t := range other.Tables {
			if out.Relations[pgsql.Name(t.Base)] == nil {
				out.Known[pgsql.Name(t.Base)] = pgsql.Hidden{Kind: t.Kind, Dataset: t.Dataset}
			}
		}
	}
	onPath := map[string]bool{}
	for _, s := range p.SearchPath {
		onPath[s] = true
	}
	for _, t := range snap.Types {
		out.Types[pgsql.Name(t.Name)] = pgsql.Name(t.Name)
	}
	for _, e := range snap.Extensions {
		if onPath[e.Schema] {
			out.Extension[e.Name] = e.Schema
		}
	}
	for _, f := range snap.Functions {
		out.Routines[f.Name.Name] = true
	}
	return out
}

func relationOf(t *plan.Table) *pgsql.Relation {
	rel := &pgsql.Relation{
		Name: pgsql.Name(t.Base), Target: pgsql.Name(t.View), Kind: t.Kind, Open: t.Open, Rule: strings.Join(t.Rules, ","),
		Dataset: t.Dataset, Unique: map[string][]string{}, Select: true, Delete: t.Delete,
	}
	types := map[string]string{}
	if t.Source != nil {
		for _, c := range t.Source.Columns {
			types[c.Name] = c.Type
		}
		for _, k := range t.Source.Keys {
			if k.Primary {
				rel.Primary = k.Columns
			}
			if k.Constraint && !k.Partial {
				rel.Unique[k.Name] = k.Columns
			}
		}
	}
	for _, c := range t.Columns {
		rel.Columns = append(rel.Columns, pgsql.Column{
			Name: c.Name, Type: types[c.Name], Label: c.Label, Mask: maskOf(c), Insert: c.Insert, Update: c.Update,
		})
		rel.Insert = rel.Insert || c.Insert
		rel.Update = rel.Update || c.Update
	}
	// Row locks need UPDATE on some column; only rows of the UPDATE policy come back (ENF-67).
	rel.Lock = rel.Update || t.Own
	return rel
}

// maskOf names the masks that a column has in some row, least masked first; "" when it is raw in every row.
func maskOf(c plan.Column) string {
	if c.Raw {
		return ""
	}
	var names []string
	for _, b := range c.Branches {
		names = append(names, b.Form.Mask.String())
	}
	if len(names) == 0 {
		return "hidden"
	}
	return strings.Join(names, " or ")
}
