package postgres

import (
	"slices"

	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// places makes the schemas in which rules let tables be made. One that is there and is not Postern's is refused: what others keep in it
// would be within reach of whoever they gave rights, past the policy.
func (d *differ) places() {
	for _, r := range d.w.Rules {
		for _, name := range r.Allow.Places {
			switch s := d.snap.Schema(name); {
			case s == nil:
				if d.changes["place:"+name] != nil {
					continue
				}
				e := d.change("place:"+name, phaseInstall, "make schema "+name+", in which subjects keep tables", r.Pos)
				e.made, e.Widens = true, true
				e.because("rule %s lets its holders make tables in it", r.Name)
				e.add("CREATE SCHEMA "+quoteIdent(name), "DROP SCHEMA "+quoteIdent(name))
				e.add("COMMENT ON SCHEMA "+quoteIdent(name)+" IS "+quoteLiteral(d.marker(kindPlace, "")), "")
			case !d.isPlace(name):
				d.problem(r.Pos, "name a schema that is not there: Postern makes it", "rule %s: schema %s exists, and is not a place that Postern made", r.Name, name)
			}
		}
	}
	for _, s := range d.snap.Schemas {
		if d.isPlace(s.Name) && !slices.ContainsFunc(d.w.Rules, func(r *plan.Rule) bool { return slices.Contains(r.Allow.Places, s.Name) }) {
			d.warn(policy.Pos{}, "place:"+s.Name, "drop it when nobody needs its tables any more", "no rule lets tables be made in schema %s any longer; it stays, out of reach", s.Name)
		}
	}
}

// isPlace says whether a schema is one that this store made for tables of subjects.
func (d *differ) isPlace(name string) bool {
	s := d.snap.Schema(name)
	if s == nil {
		return false
	}
	m, ok := parseMarker(s.Comment)
	return ok && m.Kind == kindPlace && m.isOurs(d.w)
}

// keeps lists what a role has made in places.
func (d *differ) keeps(role string) (names []string) {
	for i := range d.snap.Relations {
		if rel := &d.snap.Relations[i]; rel.Owner == role && d.isPlace(rel.Name.Schema) {
			names = append(names, rel.Name.String())
		}
	}
	return names
}
