package postgres

import (
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// World is what the guard has to know of a profile. The generation is the caller's to set.
func World(w *plan.Wanted, p *plan.Profile, snap *catalog.Snapshot) *pgsql.World {
	out := &pgsql.World{
		Store: w.Store, Database: w.Database, Profile: p.Schema, Major: snap.Major(), Schemas: slices.Clone(w.Schemas),
		Relations: map[pgsql.Name]*pgsql.Relation{}, Known: map[pgsql.Name]pgsql.Hidden{}, Types: map[pgsql.Name]pgsql.Name{}, TypeOIDs: map[uint32]struct{}{},
		Own: len(p.Owners) > 0, Extension: map[string]string{}, Routines: map[string]bool{}, Operators: map[string]bool{},
		Channels: map[string]bool{}, Places: map[string]bool{}, Callable: map[pgsql.Name]byte{},
	}
	for _, t := range p.Tables {
		rel := worldRelation(p, t)
		out.Relations[rel.Name] = rel
		out.Masked = out.Masked || !t.Open
		for _, col := range t.Source.Columns {
			worldTypes(out, w, snap, col)
		}
	}
	for i := range snap.Relations {
		rel := &snap.Relations[i]
		name := pgsql.Name(rel.Name)
		if out.Relations[name] == nil && slices.Contains(w.Schemas, rel.Name.Schema) && rel.Kind != 'S' {
			out.Known[name] = pgsql.Hidden{Kind: rel.Kind}
		}
		if slices.Contains(p.Allow.Places, rel.Name.Schema) && rel.Kind != 'r' {
			out.Known[name] = pgsql.Hidden{Kind: rel.Kind} // made around the gateway: what a view runs nobody has judged
		}
	}
	for _, h := range w.Hidden {
		if name := pgsql.Name(h.Name); out.Relations[name] == nil {
			out.Known[name] = pgsql.Hidden{Kind: h.Kind, Dataset: h.Dataset}
		}
	}
	for _, r := range w.Rules {
		for _, t := range r.Tables {
			if name := pgsql.Name(t.Base); out.Relations[name] == nil {
				out.Known[name] = pgsql.Hidden{Kind: out.Known[name].Kind, Dataset: t.Dataset}
			}
		}
	}
	for _, f := range snap.Functions {
		out.Routines[f.Name.Name] = true
	}
	worldAllow(out, p, snap)
	for _, op := range snap.Operators {
		if slices.Contains(p.SearchPath, op.Name.Schema) && (op.Extension == "" || out.Extension[op.Extension] == "") {
			out.Operators[op.Name.Name] = true
		}
	}
	return out
}

// worldAllow is what the rules allow beside reading and writing, each for as long as it lasts, and what the store's extensions bring to
// everybody: their reviewed functions, operators and types.
func worldAllow(out *pgsql.World, p *plan.Profile, snap *catalog.Snapshot) {
	for _, r := range p.Rules {
		out.Allow(allowance(r.Name, r.Allow, false))
	}
	out.Allow(allowance("", p.Allow, true))
	if out.Explain {
		out.Parts = worldParts(out, snap)
	}
	for _, f := range p.Allow.Functions {
		if f.Extension == "" {
			continue
		}
		out.Extension[f.Extension] = f.Name.Schema
		for _, typ := range snap.Types {
			if typ.Extension == f.Extension {
				addType(out, typ)
			}
		}
	}
}

// allowance is what one rule allows, or of a profile what its store's extensions bring.
func allowance(rule string, a plan.Allow, extensions bool) pgsql.Allowance {
	out := pgsql.Allowance{Rule: rule, Callable: map[pgsql.Name]byte{}}
	if !extensions {
		out.Temp, out.Explain, out.Channels, out.Places = a.Temporary, a.Explain, a.Channels, a.Places
	}
	for _, f := range a.Functions {
		if extensions == (f.Extension != "") {
			out.Callable[pgsql.Name(f.Name)] = f.Kind
		}
	}
	return out
}

// worldParts finds the partitions and children of the admitted relations, at any depth. One that has two such parents is left out.
func worldParts(out *pgsql.World, snap *catalog.Snapshot) map[string]string {
	parents := map[catalog.Name][]catalog.Name{}
	for _, rel := range snap.Relations {
		parents[rel.Name] = rel.Parents
	}
	parts := map[string]string{}
	for child, of := range parents {
		for at := child; len(of) == 1; of = parents[at] {
			if at = of[0]; out.Relations[pgsql.Name(at)] != nil {
				parts[child.Name] = at.Name
				break
			}
		}
	}
	return parts
}

// worldRelation is a table of a profile as the guard sees it.
func worldRelation(p *plan.Profile, t *plan.Table) *pgsql.Relation {
	rel := &pgsql.Relation{
		Name: pgsql.Name(t.Base), Target: pgsql.Name(t.View), Kind: t.Kind, Open: t.Open, Own: t.Own, Rule: strings.Join(t.Rules, ","), Dataset: t.Dataset,
		Filtered: t.Filtered, Unique: map[string][]string{}, Select: true, Delete: t.Delete, MinGroup: t.MinGroup,
	}
	for i, c := range t.Columns {
		col := pgsql.Column{Name: c.Name, Type: t.Source.Columns[i].Type, Label: c.Label, Insert: c.Insert, Update: c.Update}
		if !c.Raw {
			col.Mask = MaskNames(c.Branches)
		}
		rel.Insert, rel.Update = rel.Insert || c.Insert, rel.Update || c.Update
		rel.Columns = append(rel.Columns, col)
	}
	rel.Lock = rel.Update || rel.Delete
	if t.Own {
		rel.Indexes = t.Source.Indexes
		for _, r := range p.Rules {
			if r.Level == policy.Own && slices.Contains(t.Rules, r.Name) {
				rel.OwnRules = append(rel.OwnRules, r.Name)
			}
		}
	}
	for _, k := range t.Source.Keys {
		if k.Partial || !k.Constraint {
			continue
		}
		rel.Unique[k.Name] = k.Columns
		if k.Primary {
			rel.Primary = k.Columns
		}
	}
	return rel
}

// MaskNames names the forms in which a column is shown, least masked first.
func MaskNames(branches []plan.Branch) string {
	var names []string
	for _, b := range branches {
		names = append(names, b.Form.Mask.String())
	}
	return strings.Join(names, " or ")
}

// addType lets a type be named, and declared as a parameter's.
func addType(out *pgsql.World, typ catalog.Type) {
	out.Types[pgsql.Name(typ.Name)] = pgsql.Name(typ.Name)
	out.TypeOIDs[uint32(typ.OID)] = struct{}{}
	if typ.Array != 0 {
		out.TypeOIDs[uint32(typ.Array)] = struct{}{}
	}
}

// worldTypes lets clients name the types of the columns they see, and use the operators of the extensions these come from.
func worldTypes(out *pgsql.World, w *plan.Wanted, snap *catalog.Snapshot, col catalog.Column) {
	for _, typ := range snap.Types {
		if typ.OID != col.TypeOID && typ.Array != col.TypeOID {
			continue
		}
		if typ.Extension == "" {
			if slices.Contains(w.Schemas, typ.Name.Schema) {
				addType(out, typ)
			}
			continue
		}
		addType(out, typ)
		for _, e := range snap.Extensions {
			if e.Name == typ.Extension {
				out.Extension[e.Name] = e.Schema
			}
		}
	}
}
