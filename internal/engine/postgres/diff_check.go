package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// check finds what stops a plan: names that are taken, markers of others, rights that the provisioner does not have.
func (d *differ) check() {
	if wall := d.snap.Wall; wall != nil {
		switch {
		case wall.Installation != d.w.Installation:
			d.problem(policy.Pos{}, "use the root key that this database was set up with", "database %s belongs to another installation of Postern (%s, this one is %s)",
				d.w.Database, wall.Installation, d.w.Installation)
		case wall.Store != d.w.Store:
			d.problem(policy.Pos{}, "", "database %s is already store %q of this installation: one database is one store", d.w.Database, wall.Store)
		}
	}
	d.checkSchemas()
	d.checkRoles()
	d.checkRights()
	for _, n := range d.protected() {
		d.checkForeignPolicies(n)
	}
}

// protected lists the tables that rules admit, sorted.
func (d *differ) protected() []catalog.Name {
	var out []catalog.Name
	for _, r := range d.w.Rules {
		for _, t := range r.Tables {
			if !slices.Contains(out, t.Base) {
				out = append(out, t.Base)
			}
		}
	}
	slices.SortFunc(out, catalog.Name.Compare)
	return out
}

// checkSchemas refuses schemas that bear Postern's names and not its marker.
func (d *differ) checkSchemas() {
	names := []string{"postern", "postern_catalog"}
	for _, p := range d.w.Profiles {
		names = append(names, p.Schema)
	}
	for _, name := range names {
		s := d.snap.Schema(name)
		if s == nil {
			continue
		}
		if m, ok := parseMarker(s.Comment); !ok {
			d.problem(policy.Pos{}, "rename or drop it, if nobody needs it", "schema %s exists and is not marked as Postern's", name)
		} else if !m.isOurs(d.w) {
			d.problem(policy.Pos{}, "", "schema %s belongs to installation %s, store %s", name, m.Installation, m.Store)
		} else if name == "postern" && d.snap.Wall == nil {
			d.problem(policy.Pos{}, "", "schema postern is Postern's, and %s may not read its tables: its owner is %s", d.snap.CurrentUser, s.Owner)
		}
	}
}

// checkRoles refuses role names that are taken (ENF-90).
func (d *differ) checkRoles() {
	for _, name := range sortedKeys(d.wall.roles) {
		want := d.wall.roles[name]
		role := d.snap.Role(name)
		if role == nil {
			continue
		}
		m, marked := parseMarker(role.Comment)
		switch {
		case marked && !m.isOurs(d.w):
			d.problem(want.cause, "", "role %q belongs to installation %s, store %s", name, m.Installation, m.Store)
		case marked && (want.kind == kindIdentity || want.kind == kindAdopted) != (m.Kind == kindIdentity || m.Kind == kindAdopted):
			d.problem(want.cause, "give the user role: another_name", "role %q is Postern's own, a %s", name, m.Kind)
		case !marked && want.kind == kindIdentity:
			d.problem(want.cause, "say adopt: true to take the role over (what it may do is taken away), or role: another_name for a login of its own",
				"role %q exists on the server and is not Postern's", name)
		case !marked && want.kind == kindAdopted:
			d.checkAdoptable(role, want)
		case !marked:
			d.problem(want.cause, "rename or drop it, if nobody needs it", "role %q exists and is not marked as Postern's", name)
		}
	}
}

// checkAdoptable refuses to take over a role that no identity may be.
func (d *differ) checkAdoptable(role *catalog.Role, want wallRole) {
	if role.Superuser || role.Replication || role.BypassRLS {
		d.problem(want.cause, "use role: another_name", "role %q cannot be adopted: it is superuser, or may replicate or bypass row security", role.Name)
	}
	for _, rel := range d.snap.Relations {
		if rel.Owner == role.Name {
			d.problem(want.cause, "use role: another_name", "role %q cannot be adopted: it owns %s", role.Name, rel.Name)
			break
		}
	}
	if d.snap.Major() >= 16 && !d.hasAdmin(role.Name) {
		d.step("admin:"+role.Name, "let the provisioner administer the role that is adopted", "nothing: without it the role cannot be adopted", true,
			fmt.Sprintf("GRANT %s TO %s WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", quoteIdent(role.Name), quoteIdent(d.w.Provisioner)))
	}
}

// hasAdmin says whether the provisioner may grant a role, on 16 and later.
func (d *differ) hasAdmin(role string) bool {
	for _, m := range d.snap.Memberships {
		if m.Role == role && m.Admin && d.can(m.Member) {
			return true
		}
	}
	r := d.snap.Role(d.w.Provisioner)
	return r != nil && r.Superuser
}

// checkRights names what the provisioner lacks. The lines are those that init prints.
func (d *differ) checkRights() {
	me := d.snap.Role(d.w.Provisioner)
	if me == nil {
		d.problem(policy.Pos{}, "run what postern init prints", "the provisioner %q does not exist on the server", d.w.Provisioner)
		return
	}
	if !me.CreateRole && !me.Superuser {
		d.step("createrole", "let the provisioner make roles", "everything: no profile can be made", true, fmt.Sprintf("ALTER ROLE %s CREATEROLE", quoteIdent(me.Name)))
	}
	if !me.Inherit {
		d.step("inherit", "let the provisioner use its memberships", "everything", true, fmt.Sprintf("ALTER ROLE %s INHERIT", quoteIdent(me.Name)))
	}
	create := d.can(d.snap.Database.Owner)
	for _, g := range d.snap.Database.ACL {
		create = create || g.Privilege == "CREATE" && g.Grantee != "" && d.can(g.Grantee)
	}
	if !create {
		d.step("create", "let the provisioner make schemas", "everything: no profile can be made", true,
			fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", quoteIdent(d.w.Database), quoteIdent(me.Name)))
	}
	for _, owner := range d.owners() {
		if !d.can(owner) {
			d.step("owner:"+owner, "make the provisioner a member of the owner of protected tables", "everything on the tables of "+owner, true,
				grantMembership(d.snap.Major(), owner, me.Name, true))
		}
	}
}

// owners lists the owners of the tables that rules admit and that filters read.
func (d *differ) owners() []string {
	var out []string
	add := func(n catalog.Name) {
		if rel := d.snap.Relation(n); rel != nil && !slices.Contains(out, rel.Owner) {
			out = append(out, rel.Owner)
		}
	}
	for _, r := range d.w.Rules {
		for _, t := range r.Tables {
			add(t.Base)
			if t.Filter != nil {
				for _, read := range t.Filter.Reads {
					add(read)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// grantMembership makes somebody an inheriting member of a role; set allows SET ROLE, which only 16 can tell apart.
func grantMembership(major int, role, member string, set bool) string {
	sql := "GRANT " + quoteIdent(role) + " TO " + quoteIdent(member)
	if major >= 16 {
		sql += " WITH INHERIT TRUE, SET " + strings.ToUpper(fmt.Sprint(set))
	}
	return sql
}

// checkForeignPolicies refuses policies of the application's that reach subjects (ENF-89): a permissive one opens the wall, and one
// that sleeps until row security is switched on would change the way of others.
func (d *differ) checkForeignPolicies(n catalog.Name) {
	rel := d.snap.Relation(n)
	if rel == nil {
		return
	}
	dormant := !rel.RowSecurity
	for _, p := range rel.Policies {
		if m, ok := parseMarker(p.Comment); ok && m.isOurs(d.w) {
			continue
		}
		if !d.wall.rls[n] {
			continue
		}
		reaches := slices.Contains(p.Roles, "") || slices.ContainsFunc(p.Roles, func(r string) bool { _, ours := d.wall.roles[r]; return ours })
		switch {
		case p.Permissive && reaches:
			d.opened[n] = append(d.opened[n], fmt.Sprintf("policy %q on %s is for everybody", p.Name, n))
			d.problem(d.causeOf(n), "run: "+d.retarget(rel, p),
				"policy %q on %s is for everybody: its rows would be visible through every profile (ENF-89)", p.Name, n)
		case !p.Permissive && dormant:
			d.problem(d.causeOf(n), fmt.Sprintf("drop the policy, or enable row security yourself: ALTER TABLE %s ENABLE ROW LEVEL SECURITY", quoteName(n)),
				"policy %q on %s sleeps, and would restrict the application once row security is on", p.Name, n)
		case !p.Permissive && reaches:
			d.warn(d.causeOf(n), "restrictive:"+n.String()+":"+p.Name, "", "policy %q of the application restricts %s for subjects too", p.Name, n)
		}
	}
}

// retarget is the change that ENF-89 offers: the policy for the roles that hold grants, instead of everybody.
func (d *differ) retarget(rel *catalog.Relation, p catalog.RowPolicy) string {
	var roles []string
	for _, r := range d.grantees(rel) {
		if r == "" {
			r = plan.PublicRole
		}
		roles = append(roles, r)
	}
	if len(roles) == 0 {
		roles = []string{rel.Owner}
	}
	return "ALTER POLICY " + quoteIdent(p.Name) + " ON " + quoteName(rel.Name) + " TO " + quoteIdents(roles)
}

// grantees lists the roles outside Postern that hold a privilege on a table or its columns, the owner left out; "" is PUBLIC, and
// the role that inherits from PUBLIC stands for everybody outside.
func (d *differ) grantees(rel *catalog.Relation) []string {
	seen := map[string]bool{}
	add := func(acl []catalog.Grant) {
		for _, g := range acl {
			if g.Grantee == "" || g.Grantee == plan.PublicRole || g.Grantee != rel.Owner && !d.isOurs(g.Grantee) {
				seen[g.Grantee] = true
			}
		}
	}
	add(rel.ACL)
	for _, col := range rel.Columns {
		add(col.ACL)
	}
	return sortedKeys(seen)
}

// causeOf is where the policy file speaks of a table.
func (d *differ) causeOf(n catalog.Name) policy.Pos {
	for _, r := range d.w.Rules {
		if t := r.Table(n); t != nil {
			return t.Pos
		}
	}
	return policy.Pos{}
}
