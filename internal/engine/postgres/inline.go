package postgres

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// SubjectWorld is what the guard has to know of a subject on a store of either tier. The generation is the caller's to set.
func SubjectWorld(w *plan.Wanted, id *plan.Identity, snap *catalog.Snapshot) (*pgsql.World, error) {
	if w.Inline {
		return InlineWorld(w, id, snap)
	}
	return World(w, id.Profile, snap), nil
}

// InlineWorld is what the guard has to know of a subject on a store of the inline tier: its profile, read only, with the query that
// stands for each table (ENF-39 to 44). The generation is the caller's to set.
func InlineWorld(w *plan.Wanted, id *plan.Identity, snap *catalog.Snapshot) (*pgsql.World, error) {
	out := World(w, id.Profile, snap)
	out.Temp, out.Explain, out.Own, out.Masked = false, false, false, true
	// The path is pg_catalog alone, and no function but its own may be called (ENF-42).
	out.Places = map[string]bool{}
	out.Callable, out.Extension, out.Operators = map[pgsql.Name]byte{}, map[string]string{}, map[string]bool{}
	for i, x := range out.Allowances {
		out.Allowances[i] = pgsql.Allowance{Rule: x.Rule, Channels: x.Channels}
	}
	out.Inline = map[pgsql.Name]string{}
	who := pgsql.InlineIdentity{Role: id.Role, Attributes: id.Attributes, Holds: map[string]time.Time{}}
	for _, h := range id.Holds {
		who.Holds[h.Rule] = h.Until
	}
	for _, t := range id.Profile.Tables {
		rel := out.Relations[pgsql.Name(t.Base)]
		rel.Insert, rel.Update, rel.Delete, rel.Lock = false, false, false, false
		for i := range rel.Columns {
			rel.Columns[i].Insert, rel.Columns[i].Update = false, false
		}
		if t.Open {
			continue
		}
		sql, err := pgsql.InlineQuery(inlineSQL(id.Profile, t), who)
		if err != nil {
			return nil, fmt.Errorf("%s cannot be shown on the inline tier: %w", t.Base, err)
		}
		out.Inline[rel.Target] = sql
	}
	return out, nil
}

// inlineSQL is the view of a table with the row policies of its rules inside. Where rows are filtered, OFFSET keeps everything of the
// client's outside: without it the planner runs a cheap condition on hidden rows first (ENF-40). The planner still tries a condition on the
// values in a plain column's statistics, which are of all rows, and a client that measures how long it plans learns of them; so no column
// of a filtered table is a plain one.
func inlineSQL(p *plan.Profile, t *plan.Table) string {
	var rows, plain, columns []string
	for _, c := range t.Columns {
		name, shown := " AS "+quoteIdent(c.Name), c.SQL
		plain = append(plain, shown+name)
		if c.Raw {
			shown = "COALESCE(" + shown + ", " + shown + ")"
		}
		columns = append(columns, shown+name)
	}
	from := " FROM " + quoteName(t.Base)
	for _, r := range p.Rules {
		says := r.Table(t.Base)
		switch {
		case says == nil:
		case says.Filter == nil && !r.Ends:
			return "SELECT " + strings.Join(plain, ", ") + from
		default:
			rows = append(rows, "("+predicate(r, says.Filter)+")")
		}
	}
	return "SELECT " + strings.Join(columns, ", ") + from + " WHERE " + strings.Join(rows, " OR ") + " OFFSET 0"
}

// inlineGrants are the rights that the one login of an inline store needs and does not have: columns that are hidden from everybody are
// not among them (ENF-39).
func inlineGrants(w *plan.Wanted, snap *catalog.Snapshot, reader string) []string {
	need := map[catalog.Name]map[string]bool{}
	add := func(n catalog.Name, columns []string) {
		if need[n] == nil {
			need[n] = map[string]bool{}
		}
		for _, c := range columns {
			need[n][c] = true
		}
	}
	for _, r := range w.Rules {
		for _, t := range r.Tables {
			add(t.Base, t.Select)
			if t.Filter == nil {
				continue
			}
			for _, n := range t.Filter.Reads {
				add(n, t.Filter.ReadColumns[n])
			}
		}
	}
	var out []string
	schemas := map[string]bool{}
	for n, columns := range need {
		var list []string
		for c := range columns {
			if !mayRead(snap.Relation(n), c, reader) {
				list = append(list, quoteIdent(c))
			}
		}
		if slices.Sort(list); len(list) > 0 {
			out = append(out, "GRANT SELECT ("+strings.Join(list, ", ")+") ON TABLE "+quoteName(n)+" TO "+quoteIdent(reader))
		}
		if s := snap.Schema(n.Schema); s != nil && !schemas[n.Schema] && !granted(s.ACL, "USAGE", reader) {
			schemas[n.Schema] = true
			out = append(out, "GRANT USAGE ON SCHEMA "+quoteIdent(n.Schema)+" TO "+quoteIdent(reader))
		}
	}
	slices.Sort(out)
	return out
}

// mayRead says whether a role is granted SELECT on a column, itself or as PUBLIC.
func mayRead(rel *catalog.Relation, column, role string) bool {
	if rel == nil {
		return false
	}
	col := rel.Column(column)
	return granted(rel.ACL, "SELECT", role) || col != nil && granted(col.ACL, "SELECT", role)
}

func granted(acl []catalog.Grant, privilege, role string) bool {
	return slices.ContainsFunc(acl, func(g catalog.Grant) bool { return g.Privilege == privilege && (g.Grantee == role || g.Grantee == "") })
}

// inlinePlan is the plan of a store on which nothing is made: the rights that its reader lacks, for somebody to grant, and a word about
// those that it should not have.
func (d *differ) inlinePlan() *plan.Plan {
	reader := d.w.Grantor
	if r := d.snap.Role(reader); r != nil && (r.Superuser || r.CreateRole || r.CreateDB || r.Replication || r.BypassRLS) {
		d.warn(policy.Pos{}, "inline:reader", "give it LOGIN alone", "the reader %s may do more than read: whatever gets past the gateway has its rights", reader)
	}
	if missing := inlineGrants(d.w, d.snap, reader); len(missing) > 0 {
		d.step("inline:grants", "let "+reader+" read what the rules show", "statements about these tables fail", false, missing...)
	}
	return d.plan()
}
