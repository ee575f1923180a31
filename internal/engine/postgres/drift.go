package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// Broken is what the server has under markers that say otherwise (ENF-95): changed by hand, or an attribute or end of a login that
// was not applied yet. Reasons by profile schema, and by subject where it is about one login only. The gateway refuses them until somebody has looked: plan names the same, and apply puts it right.
type Broken struct {
	Profiles map[string][]string
	Subjects map[string][]string
}

// FindBroken compares what the server really has (definitions of views and policies, owners, privileges, memberships, attributes and
// settings of roles) with what apply made. It needs a snapshot and no right beside; a store that was never set up, or is suspended,
// has nothing that could be broken.
func FindBroken(w *plan.Wanted, snap *catalog.Snapshot) (Broken, error) {
	b := Broken{Profiles: map[string][]string{}, Subjects: map[string][]string{}}
	if snap.Wall == nil || snap.Wall.Suspended {
		return b, nil
	}
	d := compare(w, withoutProbes(snap)) // the gateway goes on while verify looks
	if err := d.run(); err != nil {
		return b, err
	}
	for _, id := range sortedKeys(d.changes) {
		if e := d.changes[id]; e.Drift || e.stale {
			b.add(w, id, strings.Join(e.reasons, "; "))
		}
	}
	for _, n := range d.protected() {
		for _, reason := range d.opened[n] {
			b.add(w, tableChange(n), reason)
		}
	}
	return b, nil
}

// add notes a reason for all that a change is about.
func (b Broken) add(w *plan.Wanted, id, reason string) {
	kind, name, _ := strings.Cut(id, ":")
	if kind == "identity" {
		b.Subjects[name] = append(b.Subjects[name], reason)
		return
	}
	for _, p := range w.Profiles {
		if concerns(p, kind, name) {
			b.Profiles[p.Schema] = append(b.Profiles[p.Schema], reason)
		}
	}
}

// concerns says whether a profile rests on what a change is about.
func concerns(p *plan.Profile, kind, name string) bool {
	switch kind {
	case "profile":
		return p.Schema == name
	case "rule":
		return slices.ContainsFunc(p.Rules, func(r *plan.Rule) bool { return r.Name == name })
	case "table":
		return slices.ContainsFunc(p.Tables, func(t *plan.Table) bool { return t.Base.String() == name })
	case "policy":
		return slices.ContainsFunc(p.Rules, func(r *plan.Rule) bool {
			return slices.ContainsFunc(r.Tables, func(t *plan.RuleTable) bool { return policyChange(t.Base, r.Name) == "policy:"+name })
		})
	case "catalog", "public": // what every profile rests on
		return true
	}
	return false
}

func policyChange(table catalog.Name, rule string) string {
	return fmt.Sprintf("policy:%s:%s", table, rule)
}

// owned names what belongs to roles that own nothing but their views: an owner is not bound by row security, and gives itself any right.
func (d *differ) owned() {
	own := map[string]bool{} // logins of level own make tables, which are theirs
	for _, i := range d.w.Identities {
		own[i.Role] = len(i.Profile.Owners) > 0
	}
	found := func(owner, what string) {
		want, ours := d.wall.roles[owner]
		if !ours || want.kind == kindPublic || own[owner] {
			return
		}
		d.warn(policy.Pos{}, "owner:"+what, "give it back to the role that owned it", "%s belongs to %s, a role of Postern's, by hand", what, owner)
		if e := d.changes[want.change]; e != nil && (want.kind != kindAdopted || d.isMarked(owner)) {
			e.drift("%s was given to %s by hand", what, owner)
		}
	}
	for i := range d.snap.Relations {
		if rel := &d.snap.Relations[i]; !isOwnSchema(rel.Name.Schema) && !d.isPlace(rel.Name.Schema) {
			found(rel.Owner, "relation "+rel.Name.String())
		}
	}
	for _, s := range d.snap.Schemas {
		if !isOwnSchema(s.Name) {
			found(s.Owner, "schema "+s.Name)
		}
	}
	for _, f := range d.snap.Functions {
		if !isOwnSchema(f.Name.Schema) {
			found(f.Owner, "function "+f.Name.String())
		}
	}
	found(d.snap.Database.Owner, "database "+d.snap.Database.Name)
}
