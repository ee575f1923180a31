package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// wall is the wanted state in PostgreSQL's terms: roles, memberships, privileges, row policies. Views and rows of Postern's own
// tables are read off the profiles and identities themselves.
type wall struct {
	roles    map[string]wallRole
	edges    map[edge]string          // membership -> ID of the change it belongs to
	rights   map[right]string         // privilege -> ID of the change it belongs to
	policies map[policyKey]wallPolicy // Postern's own row policies
	rls      map[catalog.Name]bool    // tables on which row security has to be on
	order    []policyKey
}

// wallRole is a role of Postern's.
type wallRole struct {
	kind   string
	change string // ID of the change that makes it
	cause  policy.Pos
}

// edge is a membership: member gets the rights of role.
type edge struct{ role, member string }

// right is one privilege of one role on one object.
type right struct {
	kind      string // table, sequence, schema, database, function
	object    string // SQL name
	column    string // of a table, "" for the whole
	privilege string
	grantee   string
}

type policyKey struct {
	table catalog.Name
	name  string
}

// wallPolicy is a row policy of Postern's.
type wallPolicy struct {
	kind    string
	command string
	roles   []string
	using   string
	check   string
	rule    *plan.Rule
	says    *plan.RuleTable
	cause   policy.Pos
}

// sql is the statement that creates the policy.
func (p wallPolicy) sql(k policyKey) string {
	var b strings.Builder
	b.WriteString("CREATE POLICY " + quoteIdent(k.name) + " ON " + quoteName(k.table) + " AS PERMISSIVE FOR " + p.command + " TO " + quoteIdents(p.roles))
	if p.using != "" {
		b.WriteString(" USING (" + p.using + ")")
	}
	if p.check != "" {
		b.WriteString(" WITH CHECK (" + p.check + ")")
	}
	return b.String()
}

// shortHash is the first half of a SHA-256, in hex: for telling apart, not for proving.
func shortHash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// IDs of changes. They are stable: people write them after --accept.
func ruleChange(r *plan.Rule) string         { return "rule:" + r.Name }
func profileChange(p *plan.Profile) string   { return "profile:" + p.Schema }
func identityChange(i *plan.Identity) string { return "identity:" + i.User }
func tableChange(n catalog.Name) string      { return "table:" + n.String() }

// newWall works out the wanted state in PostgreSQL's terms.
func newWall(w *plan.Wanted, snap *catalog.Snapshot) *wall {
	b := &wall{
		roles: map[string]wallRole{}, edges: map[edge]string{}, rights: map[right]string{}, policies: map[policyKey]wallPolicy{}, rls: map[catalog.Name]bool{},
	}
	b.roles[plan.PublicRole] = wallRole{kind: kindPublic, change: "public"}
	for _, r := range w.Rules {
		b.addRule(w, snap, r)
	}
	for _, p := range w.Profiles {
		b.addProfile(w, snap, p)
	}
	for _, i := range w.Identities {
		kind := kindIdentity
		if i.Adopt {
			kind = kindAdopted
		}
		b.roles[i.Role] = wallRole{kind: kind, change: identityChange(i), cause: i.Pos}
		b.edges[edge{i.Profile.Role, i.Role}] = identityChange(i)
	}
	b.addGrantor(w, snap)
	for _, r := range w.Rules {
		for _, t := range r.Tables {
			b.addPolicies(w, r, t)
		}
	}
	for k := range b.policies {
		b.order = append(b.order, k)
	}
	slices.SortFunc(b.order, func(x, y policyKey) int {
		if c := x.table.Compare(y.table); c != 0 {
			return c
		}
		return strings.Compare(x.name, y.name)
	})
	return b
}

// grant wants privileges of a role on an object.
func (b *wall) grant(change, grantee, kind, object string, privileges ...string) {
	for _, p := range privileges {
		b.rights[right{kind, object, "", p, grantee}] = change
	}
}

// grantColumns wants a privilege on columns.
func (b *wall) grantColumns(change, grantee, table, privilege string, columns []string) {
	for _, c := range columns {
		b.rights[right{"table", table, c, privilege, grantee}] = change
	}
}

// addRule wants a rule's roles and their rights on the base (ENF-10, ENF-12).
func (b *wall) addRule(w *plan.Wanted, snap *catalog.Snapshot, r *plan.Rule) {
	if r.Level == policy.Own {
		return // membership in the owner is all there is (ENF-94)
	}
	id := ruleChange(r)
	b.roles[r.Role] = wallRole{kind: kindRule, change: id, cause: r.Pos}
	if r.OpenRole != "" {
		b.roles[r.OpenRole] = wallRole{kind: kindOpen, change: id, cause: r.Pos}
	}
	for _, t := range r.Tables {
		base := quoteName(t.Base)
		b.grantColumns(id, r.Role, base, "SELECT", t.Select)
		b.addWrites(id, r.Role, base, t)
		if t.Filter != nil || r.Ends {
			b.rls[t.Base] = true
		}
		if rel := snap.Relation(t.Base); rel != nil && rel.RowSecurity && !enabledByPostern(snap, t.Base) {
			b.rls[t.Base] = true // the application's own; the rule needs a policy to see anything
		}
		b.addReads(id, r, t)
		if t.Whole && r.OpenRole != "" {
			b.addOpen(id, snap, r, t)
		}
	}
	if r.Ends {
		b.grant(id, r.Role, "table", `"postern"."holds"`, "SELECT")
		b.grant(id, r.Role, "schema", `"postern"`, "USAGE")
	}
}

// addWrites wants the write rights of a rule on a base table.
func (b *wall) addWrites(id, role, base string, t *plan.RuleTable) {
	b.grantColumns(id, role, base, "UPDATE", t.Update)
	b.grantColumns(id, role, base, "INSERT", t.Insert)
	if t.Delete {
		b.grant(id, role, "table", base, "DELETE")
	}
}

// addReads wants what the filter and masks of a rule read beside the table itself: they run with the masker's rights (ENF-13).
func (b *wall) addReads(id string, r *plan.Rule, t *plan.RuleTable) {
	postern := func(table string) {
		b.grant(id, r.Role, "table", `"postern".`+quoteIdent(table), "SELECT")
		b.grant(id, r.Role, "schema", `"postern"`, "USAGE")
	}
	for _, f := range t.Forms {
		if f.Keys {
			postern("key")
		}
	}
	if t.Filter == nil {
		return
	}
	if len(t.Filter.Attributes) > 0 {
		postern("attribute")
	}
	for _, read := range t.Filter.Reads {
		if cols := t.Filter.ReadColumns[read]; len(cols) > 0 {
			b.grantColumns(id, r.Role, quoteName(read), "SELECT", cols)
		} else {
			b.grant(id, r.Role, "table", quoteName(read), "SELECT")
		}
	}
}

// addOpen wants a rule's rights on a table that it shows whole (ENF-93).
func (b *wall) addOpen(id string, snap *catalog.Snapshot, r *plan.Rule, t *plan.RuleTable) {
	base := quoteName(t.Base)
	b.grant(id, r.OpenRole, "schema", quoteIdent(t.Base.Schema), "USAGE")
	if t.Future {
		b.grant(id, r.OpenRole, "table", base, "SELECT")
	} else {
		b.grantColumns(id, r.OpenRole, base, "SELECT", t.Select)
	}
	b.addWrites(id, r.OpenRole, base, t)
	if rel := snap.Relation(t.Base); rel != nil && len(t.Insert) > 0 {
		for _, col := range rel.Columns {
			if col.Sequence.Name != "" && col.Identity == 0 {
				b.grant(id, r.OpenRole, "sequence", quoteName(col.Sequence), "USAGE")
			}
		}
	}
}

// addProfile wants a profile's roles, memberships and rights on its views.
func (b *wall) addProfile(w *plan.Wanted, snap *catalog.Snapshot, p *plan.Profile) {
	id := profileChange(p)
	b.roles[p.Masker] = wallRole{kind: kindMasker, change: id}
	b.roles[p.Role] = wallRole{kind: kindProfile, change: id}
	for _, r := range p.Rules {
		if r.Level == policy.Own {
			continue
		}
		b.edges[edge{r.Role, p.Masker}] = id
		if r.OpenRole != "" {
			b.edges[edge{r.OpenRole, p.Role}] = id
		}
	}
	for _, owner := range p.Owners {
		b.edges[edge{owner, p.Role}] = id
	}
	b.grant(id, p.Role, "database", quoteIdent(snap.Database.Name), "CONNECT")
	b.addAllowed(id, snap, p)
	b.grant(id, p.Role, "schema", quoteIdent(p.Schema), "USAGE")
	for _, s := range p.SearchPath[1:] {
		b.grant(id, p.Role, "schema", quoteIdent(s), "USAGE")
	}
	for _, t := range p.Tables {
		if t.Own {
			continue
		}
		b.addTypes(id, w, snap, p, t)
		for _, s := range t.Sequences {
			b.grant(id, p.Role, "sequence", quoteName(s), "USAGE")
			b.grant(id, p.Role, "schema", quoteIdent(s.Schema), "USAGE")
		}
		if t.Open {
			continue
		}
		view := quoteName(t.View)
		b.grant(id, p.Role, "table", view, "SELECT")
		for _, c := range t.Columns {
			if c.Update {
				b.grantColumns(id, p.Role, view, "UPDATE", []string{c.Name})
			}
			if c.Insert {
				b.grantColumns(id, p.Role, view, "INSERT", []string{c.Name})
			}
		}
		if t.Delete {
			b.grant(id, p.Role, "table", view, "DELETE")
		}
	}
}

// addAllowed wants what a profile's rules allow beside reading and writing.
func (b *wall) addAllowed(id string, snap *catalog.Snapshot, p *plan.Profile) {
	if p.Allow.Temporary {
		b.grant(id, p.Role, "database", quoteIdent(snap.Database.Name), "TEMPORARY")
	}
	for _, place := range p.Allow.Places {
		b.grant(id, p.Role, "schema", quoteIdent(place), "USAGE", "CREATE")
	}
	for _, f := range p.Allow.Functions {
		kind := "function"
		if f.Kind == 'p' {
			kind = "procedure"
		}
		b.grant(id, p.Role, kind, quoteName(f.Name)+"("+f.Arguments+")", "EXECUTE")
		b.grant(id, p.Role, "schema", quoteIdent(f.Name.Schema), "USAGE")
	}
}

// addTypes wants USAGE on the schemas of the application's own types, so that clients can name them (ENF-20).
func (b *wall) addTypes(id string, w *plan.Wanted, snap *catalog.Snapshot, p *plan.Profile, t *plan.Table) {
	for _, col := range t.Source.Columns {
		for _, typ := range snap.Types {
			if (typ.OID == col.TypeOID || typ.Array == col.TypeOID) && slices.Contains(w.Schemas, typ.Name.Schema) {
				b.grant(id, p.Role, "schema", quoteIdent(typ.Name.Schema), "USAGE")
			}
		}
	}
}

// addGrantor wants what serve needs: rows of Postern's own tables, nothing of the application's.
func (b *wall) addGrantor(w *plan.Wanted, snap *catalog.Snapshot) {
	if w.Grantor == "" || snap.Role(w.Grantor) == nil || w.Grantor == w.Provisioner {
		return
	}
	const id = "grantor"
	b.grant(id, w.Grantor, "schema", `"postern"`, "USAGE")
	for _, t := range []string{"installation", "relation", "object"} {
		b.grant(id, w.Grantor, "table", `"postern".`+quoteIdent(t), "SELECT")
	}
	for _, t := range []string{"attribute", "holds"} {
		b.grant(id, w.Grantor, "table", `"postern".`+quoteIdent(t), "SELECT", "INSERT", "UPDATE", "DELETE")
	}
}

// addPolicies wants the row policies of a rule on a table, where the table has row security (ENF-33).
func (b *wall) addPolicies(w *plan.Wanted, r *plan.Rule, t *plan.RuleTable) {
	if !b.rls[t.Base] || r.Level == policy.Own {
		return
	}
	roles := []string{r.Role}
	if t.Whole && r.OpenRole != "" {
		roles = append(roles, r.OpenRole)
	}
	slices.Sort(roles)
	rows := predicate(r, t.Filter)
	add := func(command, suffix, using, check string) {
		b.policies[policyKey{t.Base, policyName(r.Role, suffix)}] = wallPolicy{
			kind: kindPolicy, command: command, roles: roles, using: using, check: check, rule: r, says: t, cause: t.Pos,
		}
	}
	add("SELECT", "_r", rows, "")
	if len(t.Update) > 0 {
		add("UPDATE", "_w", rows, rows)
	}
	if len(t.Insert) > 0 {
		add("INSERT", "_a", "", rows)
	}
	if t.Delete {
		add("DELETE", "_d", rows, "")
	}
}

// policyName is the rule's role with a letter for the command, at most 63 bytes.
func policyName(role, suffix string) string {
	if len(role)+len(suffix) > 63 {
		return role[:63-9-len(suffix)] + "_" + shortHash(role)[:8] + suffix
	}
	return role + suffix
}

// enabledByPostern says whether it was Postern that switched row security on.
func enabledByPostern(snap *catalog.Snapshot, n catalog.Name) bool {
	return recorded(snap, "rls", quoteName(n)) != nil
}

// recorded finds a row of postern.object, or nil.
func recorded(snap *catalog.Snapshot, kind, identity string) *catalog.Recorded {
	if snap.Wall == nil {
		return nil
	}
	for i := range snap.Wall.Objects {
		if o := &snap.Wall.Objects[i]; o.Kind == kind && o.Identity == identity {
			return o
		}
	}
	return nil
}

// canActAs says whether a role has the rights of another: it is that role, or an inheriting member of it.
func canActAs(snap *catalog.Snapshot, role, target string) bool {
	if role == target {
		return true
	}
	if r := snap.Role(role); r != nil && r.Superuser {
		return true
	}
	seen := map[string]bool{role: true}
	queue := []string{role}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, m := range snap.Memberships {
			if m.Member == at && m.Inherit && !seen[m.Role] {
				if m.Role == target {
					return true
				}
				seen[m.Role] = true
				queue = append(queue, m.Role)
			}
		}
	}
	// From 14 on, whoever acts as the owner of the database is a member of pg_database_owner.
	return target == "pg_database_owner" && target != snap.Database.Owner && canActAs(snap, role, snap.Database.Owner)
}

// grantable says whether a role may grant a privilege on the database.
func grantable(snap *catalog.Snapshot, role, privilege string) bool {
	for _, g := range snap.Database.ACL {
		if g.Grantee == role && g.Privilege == privilege && g.Grantable {
			return true
		}
	}
	return false
}

// predefined are the roles of the server itself that may reach a table's rows, and so need a way through row security (ENF-88).
func predefined(snap *catalog.Snapshot) []string {
	var out []string
	for _, name := range []string{"pg_read_all_data", "pg_write_all_data"} {
		if snap.Role(name) != nil {
			out = append(out, name)
		}
	}
	return out
}

func isSystemRole(name string) bool { return strings.HasPrefix(name, "pg_") }
