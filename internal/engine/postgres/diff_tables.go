package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
)

// tables switches row security on where rules need it, and keeps the way of foreign roles in the same transaction (ENF-88).
func (d *differ) tables() {
	var names []catalog.Name
	for n := range d.wall.rls {
		names = append(names, n)
	}
	slices.SortFunc(names, catalog.Name.Compare)
	for _, n := range names {
		rel := d.snap.Relation(n)
		if rel == nil {
			continue
		}
		if !rel.RowSecurity {
			d.enable(rel)
		}
		if !rel.RowSecurity || enabledByPostern(d.snap, n) {
			d.passThrough(rel)
		}
	}
	d.disable()
}

// enable switches row security on.
func (d *differ) enable(rel *catalog.Relation) {
	e := d.change(tableChange(rel.Name), phaseTables, "filter the rows of "+rel.Name.String(), d.causeOf(rel.Name))
	e.Locks = []string{rel.Name.String()}
	if enabledByPostern(d.snap, rel.Name) {
		e.drift("row security of %s was switched off by hand", rel.Name)
	} else {
		e.because("a rule shows only some rows of %s, or ends", rel.Name)
		e.Risk = d.riskOf(rel)
	}
	e.add("ALTER TABLE "+quoteName(rel.Name)+" ENABLE ROW LEVEL SECURITY", "ALTER TABLE "+quoteName(rel.Name)+" DISABLE ROW LEVEL SECURITY")
	e.add(note("rls", quoteName(rel.Name), "enabled"), forget("rls", quoteName(rel.Name)))
	if dumpers := d.dumpers(rel); len(dumpers) > 0 && !enabledByPostern(d.snap, rel.Name) {
		e.Consent = plan.ConsentForeign
		var lines []string
		for _, r := range dumpers {
			lines = append(lines, "ALTER ROLE "+quoteIdent(r)+" BYPASSRLS")
		}
		e.because("pg_dump by %s stops with an error until a superuser runs: %s", strings.Join(dumpers, ", "), strings.Join(lines, "; "))
	}
}

// riskOf says what row security changes for others although their policy lets everything through.
func (d *differ) riskOf(rel *catalog.Relation) string {
	var copiers []string
	for _, r := range d.passRoles(rel) {
		if r != plan.PublicRole && !isSystemRole(r) && hasPrivilege(rel, r, "INSERT") {
			copiers = append(copiers, r)
		}
	}
	if len(copiers) == 0 {
		return ""
	}
	return fmt.Sprintf("COPY %s FROM is not possible under row security for roles that do not own the table: %s; INSERT is", rel.Name, strings.Join(copiers, ", "))
}

func hasPrivilege(rel *catalog.Relation, role, privilege string) bool {
	return slices.ContainsFunc(rel.ACL, func(g catalog.Grant) bool { return g.Grantee == role && g.Privilege == privilege })
}

// dumpers lists the logins that can read every table through pg_read_all_data and do not bypass row security: whoever dumps is
// among them, and pg_dump stops where row security applies.
func (d *differ) dumpers(rel *catalog.Relation) []string {
	var out []string
	if d.snap.Role("pg_read_all_data") == nil {
		return nil
	}
	for _, name := range d.foreign() {
		r := d.snap.Role(name)
		if r.Login && !r.BypassRLS && name != rel.Owner && canActAs(d.snap, name, "pg_read_all_data") && !canActAs(d.snap, name, rel.Owner) {
			out = append(out, name)
		}
	}
	return out
}

// passRoles lists the roles whose way through a table must stay as it was.
func (d *differ) passRoles(rel *catalog.Relation) []string {
	roles := predefined(d.snap)
	for _, g := range d.grantees(rel) {
		if g == "" {
			roles = append(roles, d.heirs()...)
			continue
		}
		if r := d.snap.Role(g); r != nil && !r.Superuser {
			roles = append(roles, g)
		}
	}
	if rel.ForceRowSecurity {
		roles = append(roles, rel.Owner)
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

// passThrough keeps the way of foreign roles: one policy that lets them do what their privileges allow.
func (d *differ) passThrough(rel *catalog.Relation) {
	roles := d.passRoles(rel)
	if len(roles) == 0 {
		return
	}
	key := policyKey{rel.Name, policyName("postern_"+d.w.Store+"_foreign", "")}
	want := wallPolicy{kind: kindPass, command: "ALL", roles: roles, using: "true", check: "true", cause: d.causeOf(rel.Name)}
	d.wall.policies[key] = want
	e := d.change(tableChange(rel.Name), phaseTables, "keep the way of other roles to "+rel.Name.String(), want.cause)
	d.policy(e, key, want, "roles outside Postern keep their rights: "+strings.Join(roles, ", "))
}

// disable switches row security off again where Postern switched it on and no rule needs it any longer.
func (d *differ) disable() {
	if d.snap.Wall == nil {
		return
	}
	for _, o := range d.snap.Wall.Objects {
		if o.Kind != "rls" {
			continue
		}
		for i := range d.snap.Relations {
			rel := &d.snap.Relations[i]
			if quoteName(rel.Name) != o.Identity || d.wall.rls[rel.Name] {
				continue
			}
			e := d.change(tableChange(rel.Name), phaseTables, "stop filtering the rows of "+rel.Name.String(), d.causeOf(rel.Name))
			e.Locks = []string{rel.Name.String()}
			e.because("no rule filters %s any longer", rel.Name)
			if d.foreignPolicies(rel) {
				d.warn(e.Cause, "rls:"+rel.Name.String(), "", "row security of %s stays on: the application has policies of its own by now", rel.Name)
			} else {
				e.add("ALTER TABLE "+quoteName(rel.Name)+" DISABLE ROW LEVEL SECURITY", "ALTER TABLE "+quoteName(rel.Name)+" ENABLE ROW LEVEL SECURITY")
			}
			e.add(forget("rls", o.Identity), note("rls", o.Identity, "enabled"))
		}
	}
}

func (d *differ) foreignPolicies(rel *catalog.Relation) bool {
	return slices.ContainsFunc(rel.Policies, func(p catalog.RowPolicy) bool {
		m, ok := parseMarker(p.Comment)
		return !ok || !m.isOurs(d.w)
	})
}

// policies makes the row policies of rules, and removes those that no rule wants.
func (d *differ) policies() {
	for _, k := range d.wall.order {
		want := d.wall.policies[k]
		e := d.change(policyChange(k.table, want.rule.Name), phasePolicies, fmt.Sprintf("let rule %s choose rows of %s", want.rule.Name, k.table), want.cause)
		d.policy(e, k, want, "rule "+want.rule.Name)
	}
	for i := range d.snap.Relations {
		rel := &d.snap.Relations[i]
		for _, p := range rel.Policies {
			m, ok := parseMarker(p.Comment)
			if !ok || !m.isOurs(d.w) {
				continue
			}
			key := policyKey{rel.Name, p.Name}
			if _, wanted := d.wall.policies[key]; wanted {
				continue
			}
			e := d.change("drop-policy:"+rel.Name.String()+":"+p.Name, phaseDropPolicies, "remove policy "+p.Name+" of "+rel.Name.String(), d.causeOf(rel.Name))
			e.Locks = []string{rel.Name.String()}
			e.because("no rule wants it any longer")
			e.add("DROP POLICY "+quoteIdent(p.Name)+" ON "+quoteName(rel.Name), existingPolicy(rel.Name, p))
			e.add(forget("policy", policyIdentity(key)), "")
		}
	}
}

// policyIdentity is how postern.object names a policy.
func policyIdentity(k policyKey) string { return quoteName(k.table) + " " + quoteIdent(k.name) }

// existingPolicy writes a policy as the snapshot has it.
func existingPolicy(table catalog.Name, p catalog.RowPolicy) string {
	return wallPolicy{command: p.Command, roles: p.Roles, using: p.Using, check: p.Check}.sql(policyKey{table, p.Name})
}

// policy makes one row policy what it should be.
func (d *differ) policy(e *entry, k policyKey, want wallPolicy, reason string) {
	sql := want.sql(k)
	digest := shortHash(sql)[:16]
	drop := "DROP POLICY " + quoteIdent(k.name) + " ON " + quoteName(k.table)
	var have *catalog.RowPolicy
	if rel := d.snap.Relation(k.table); rel != nil {
		for i := range rel.Policies {
			if rel.Policies[i].Name == k.name {
				have = &rel.Policies[i]
			}
		}
	}
	reverse := drop
	if have != nil {
		m, ok := parseMarker(have.Comment)
		rec := recorded(d.snap, "policy", policyIdentity(k))
		switch {
		case !ok || !m.isOurs(d.w):
			d.problem(want.cause, "rename or drop it, if nobody needs it", "policy %q on %s exists and is not marked as Postern's", k.name, k.table)
			return
		case m.Digest == digest && rec != nil && rec.Then == rec.Now && rec.Now != "":
			return
		case m.Digest == digest:
			e.drift("policy %s on %s was changed by hand", k.name, k.table)
		default:
			e.because("%s has changed", reason)
		}
		e.SQL = append(e.SQL, drop)
		reverse = existingPolicy(k.table, *have)
	} else if recorded(d.snap, "policy", policyIdentity(k)) != nil {
		e.drift("policy %s on %s was dropped by hand", k.name, k.table)
	} else {
		e.because("%s", reason)
	}
	e.Locks = []string{k.table.String()}
	e.add(sql, reverse)
	e.add("COMMENT ON POLICY "+quoteIdent(k.name)+" ON "+quoteName(k.table)+" IS "+quoteLiteral(d.marker(want.kind, digest)), "")
	e.add(record("policy", policyIdentity(k), k.table, k.name), "")
}
