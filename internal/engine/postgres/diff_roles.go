package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// makeRole creates a NOLOGIN role of Postern's if it is not there.
func (d *differ) makeRole(e *entry, name, kind, digest string) {
	role := d.snap.Role(name)
	if role == nil {
		e.add("CREATE ROLE "+quoteIdent(name)+" NOLOGIN", "DROP ROLE "+quoteIdent(name))
		e.add("COMMENT ON ROLE "+quoteIdent(name)+" IS "+quoteLiteral(d.marker(kind, digest)), "")
		return
	}
	if m, _ := parseMarker(role.Comment); m.Digest != digest {
		e.add("COMMENT ON ROLE "+quoteIdent(name)+" IS "+quoteLiteral(d.marker(kind, digest)),
			"COMMENT ON ROLE "+quoteIdent(name)+" IS "+quoteLiteral(role.Comment))
	}
	if role.Login || role.Superuser || role.CreateRole || role.CreateDB || role.BypassRLS || role.Replication || !role.Inherit {
		e.drift("role %s was given attributes by hand", name)
		d.setAttributes(e, role, false)
		if role.Superuser || role.BypassRLS || role.Replication {
			d.step("attributes:"+name, "take SUPERUSER, BYPASSRLS and REPLICATION from "+name, "row policies do not bind the role", false,
				"ALTER ROLE "+quoteIdent(name)+" NOSUPERUSER NOBYPASSRLS NOREPLICATION")
		}
	}
	for _, s := range role.Config {
		e.drift("role %s was given a setting by hand: %s", name, s.Name)
		e.add(resetSetting(name, s), fmt.Sprintf("ALTER ROLE %s%s SET %s = %s", quoteIdent(name), inDatabase(s), quoteIdent(s.Name), quoteLiteral(s.Value)))
	}
}

// setAttributes says only what differs: from 16 on a role may name CREATEDB only if it has it.
func (d *differ) setAttributes(e *entry, role *catalog.Role, login bool) {
	var out []string
	if role.Login != login {
		out = append(out, map[bool]string{true: "LOGIN", false: "NOLOGIN"}[login])
	}
	if !role.Inherit {
		out = append(out, "INHERIT")
	}
	if role.CreateRole {
		out = append(out, "NOCREATEROLE")
	}
	if len(out) > 0 {
		e.add("ALTER ROLE "+quoteIdent(role.Name)+" "+strings.Join(out, " "), "")
	}
	if !role.CreateDB {
		return
	}
	sql := "ALTER ROLE " + quoteIdent(role.Name) + " NOCREATEDB"
	if me := d.snap.Role(d.w.Provisioner); d.snap.Major() >= 16 && me != nil && !me.CreateDB && !me.Superuser {
		d.step("createdb:"+role.Name, "take CREATEDB from "+role.Name, role.Name+" can create databases", false, sql)
		return
	}
	e.add(sql, "")
}

func inDatabase(s catalog.RoleSetting) string {
	if s.Database == "" {
		return ""
	}
	return " IN DATABASE " + quoteIdent(s.Database)
}

func resetSetting(role string, s catalog.RoleSetting) string {
	return fmt.Sprintf("ALTER ROLE %s%s RESET %s", quoteIdent(role), inDatabase(s), quoteIdent(s.Name))
}

// ruleRecord is what postern.object remembers of a rule, so that the next plan can tell whether it widens.
type ruleRecord struct {
	Ends    bool
	Filters map[string]string // table -> filter, "" for all rows
}

// ruleDigest covers everything of a rule that stands on the server.
func ruleDigest(r *plan.Rule) string {
	parts := []string{r.Name, fmt.Sprint(r.Level, r.Ends)}
	for _, t := range r.Tables {
		filter := ""
		if t.Filter != nil {
			filter = t.Filter.SQL
		}
		forms := make([]string, len(t.Forms))
		for i, f := range t.Forms {
			forms[i] = f.SQL
		}
		parts = append(parts, fmt.Sprintf("%q %q %q %q %q %q %t %t", t.Base, filter, forms, t.Select, t.Update, t.Insert, t.Delete, t.Whole))
	}
	return shortHash(parts...)[:16]
}

// rules makes the roles of rules. What they may do comes with rights().
func (d *differ) rules() {
	for _, r := range d.w.Rules {
		if r.Level == policy.Own {
			continue
		}
		e := d.change(ruleChange(r), phaseRules, "make rule "+r.Name, r.Pos)
		role := d.snap.Role(r.Role)
		if role == nil {
			e.made = true
			e.because("rule %s is new on this store", r.Name)
		} else {
			e.Title = "change rule " + r.Name
			if m, _ := parseMarker(role.Comment); m.Digest != ruleDigest(r) {
				e.made = true
				e.because("rule %s has changed", r.Name)
			}
		}
		d.makeRole(e, r.Role, kindRule, ruleDigest(r))
		if r.OpenRole != "" {
			d.makeRole(e, r.OpenRole, kindOpen, "")
		}
		d.ruleRecord(e, r)
	}
}

// ruleRecord writes down a rule's filters, and compares them with those written down before.
func (d *differ) ruleRecord(e *entry, r *plan.Rule) {
	now := ruleRecord{Ends: r.Ends, Filters: map[string]string{}}
	for _, t := range r.Tables {
		filter := ""
		if t.Filter != nil {
			filter = t.Filter.SQL
		}
		now.Filters[t.Base.String()] = filter
	}
	text, _ := json.Marshal(now) // strings and booleans only
	before := recorded(d.snap, "rule", r.Name)
	if before != nil && before.Then == string(text) {
		return
	}
	if before != nil {
		d.compareRule(e, r, before.Then, now)
		e.add(note("rule", r.Name, string(text)), note("rule", r.Name, before.Then))
		return
	}
	e.add(note("rule", r.Name, string(text)), forget("rule", r.Name))
}

// compareRule says whether a rule may now show rows that it did not show before.
func (d *differ) compareRule(e *entry, r *plan.Rule, before string, now ruleRecord) {
	var old ruleRecord
	if err := json.Unmarshal([]byte(before), &old); err != nil {
		e.widens("what rule %s showed before cannot be read", r.Name)
		return
	}
	if old.Ends && !now.Ends {
		e.widens("rule %s no longer ends", r.Name)
	}
	for _, table := range sortedKeys(now.Filters) {
		was, had := old.Filters[table]
		switch is := now.Filters[table]; {
		case !had:
			e.widens("rule %s reaches %s", r.Name, table)
		case was == is || was == "":
		case is == "":
			e.widens("rule %s shows all rows of %s, which it filtered before", r.Name, table)
		default:
			e.widens("rule %s chooses the rows of %s by another filter", r.Name, table)
		}
	}
}

// edges compares memberships that involve a role of Postern's.
func (d *differ) edges() {
	have := map[edge]bool{}
	for _, m := range d.snap.Memberships {
		d.edgeFound(m, have)
	}
	var missing []edge
	for e := range d.wall.edges {
		if !have[e] {
			missing = append(missing, e)
		}
	}
	slices.SortFunc(missing, func(a, b edge) int { return strings.Compare(a.role+"\x00"+a.member, b.role+"\x00"+b.member) })
	for _, want := range missing {
		d.edgeMissing(want)
	}
	d.grantorAdmin()
}

func (d *differ) edgeMissing(want edge) {
	c := d.changes[d.wall.edges[want]]
	if c == nil {
		return // cannot be: every edge belongs to a profile or an identity, which has made its change
	}
	sql := grantMembership(d.snap.Major(), want.role, want.member, d.setsRole(want))
	if kind := d.wall.roles[want.member].kind; d.snap.Major() >= 16 && (kind == kindIdentity || kind == kindAdopted) && d.forGrantor() {
		// Only who gave a membership can take it: what serve has to end is given in its name.
		sql += " GRANTED BY " + quoteIdent(d.w.Grantor)
	}
	if _, ours := d.wall.roles[want.role]; !ours && d.snap.Major() >= 16 && !d.hasAdmin(want.role) {
		d.step("own:"+want.role, "let a profile of level own be a member of "+want.role, "the profile has no rights on these tables", false, sql)
		return
	}
	if d.snap.Role(want.role) != nil && d.snap.Role(want.member) != nil && !c.made {
		c.drift("%s is no longer a member of %s", want.member, want.role)
	}
	c.add(sql, "REVOKE "+quoteIdent(want.role)+" FROM "+quoteIdent(want.member))
}

// forGrantor says whether the provisioner may give in the grantor's name.
func (d *differ) forGrantor() bool {
	return d.w.Grantor != "" && d.w.Grantor != d.w.Provisioner && d.snap.CurrentUser == d.w.Provisioner && d.snap.Role(d.w.Grantor) != nil && d.can(d.w.Grantor)
}

// setsRole says whether a member needs SET ROLE: only to create objects as an owner does (ENF-94).
func (d *differ) setsRole(e edge) bool {
	for _, p := range d.w.Profiles {
		if len(p.Owners) > 0 && (e.member == p.Role || e.role == p.Role) {
			return true
		}
	}
	return false
}

// edgeFound judges an existing membership: wanted, none of Postern's business, or to be revoked.
func (d *differ) edgeFound(m catalog.Membership, have map[edge]bool) {
	roleMarker, roleOurs := d.ours[m.Role]
	_, memberOurs := d.ours[m.Member]
	if want, ok := d.wall.roles[m.Member]; ok && d.snap.Role(m.Member) != nil {
		memberOurs = memberOurs || want.kind == kindAdopted
	}
	if want, ok := d.wall.roles[m.Role]; ok {
		roleOurs = roleOurs || want.kind == kindAdopted
	}
	key := edge{m.Role, m.Member}
	switch {
	case !roleOurs && !memberOurs, m.Role == plan.PublicRole && !memberOurs:
		return
	case d.wall.edges[key] != "" && m.Inherit && !m.Admin:
		have[key] = true
		return
	case d.snap.Major() >= 16 && m.Member == d.w.Provisioner && m.Admin && !m.Inherit && !m.Set:
		return // the creator's own row, which cannot be revoked (ENF-09)
	case d.snap.Major() >= 16 && d.w.Grantor != "" && m.Member == d.w.Grantor && m.Admin && !m.Inherit && !m.Set &&
		(roleMarker.Kind == kindProfile || roleMarker.Kind == kindIdentity || roleMarker.Kind == kindAdopted):
		return
	case roleMarker.Kind == kindProfile && d.otherStore(m.Role):
		return
	}
	d.revokeEdge(m)
}

// otherStore says whether a role belongs to another store of this installation.
func (d *differ) otherStore(role string) bool {
	r := d.snap.Role(role)
	if r == nil {
		return false
	}
	m, ok := parseMarker(r.Comment)
	return ok && m.Installation == d.w.Installation && m.Store != d.w.Store && !m.clusterWide()
}

// revokeEdge takes back a membership that nobody asked for.
func (d *differ) revokeEdge(m catalog.Membership) {
	_, wanted := d.wall.roles[m.Member]
	if d.otherStore(m.Role) || d.goes(m.Member) || d.goes(m.Role) && !wanted {
		return // a role that goes takes its memberships along
	}
	c := d.changeOf(m.Member)
	if _, ours := d.wall.roles[m.Member]; !ours {
		c = d.changeOf(m.Role)
	}
	sql := "REVOKE " + quoteIdent(m.Role) + " FROM " + quoteIdent(m.Member)
	if d.snap.Major() >= 16 {
		sql += " GRANTED BY " + quoteIdent(m.Grantor)
		if !d.can(m.Grantor) {
			d.step("membership:"+m.Role+":"+m.Member, fmt.Sprintf("take membership of %s in %s back, which %s granted", m.Member, m.Role, m.Grantor),
				fmt.Sprintf("%s has what %s has", m.Member, m.Role), false, sql)
			d.warn(policy.Pos{}, "membership:"+m.Role+":"+m.Member, "", "%s was made a member of %s by hand", m.Member, m.Role)
			if !c.made {
				c.drift("%s was made a member of %s by hand", m.Member, m.Role)
			}
			return
		}
	}
	want, member := d.wall.roles[m.Member]
	switch {
	case member && want.kind == kindAdopted && !d.isMarked(m.Member):
		c.Consent = plan.ConsentForeign
		c.because("adopting %s takes away its membership in %s", m.Member, m.Role)
	case d.isMarked(m.Role) && d.ours[m.Role].Kind == kindProfile && d.isMarked(m.Member) && (member || len(d.keeps(m.Member)) > 0):
		c.because("%s leaves profile %s", m.Member, strings.TrimSuffix(m.Role, "_prof"))
	default:
		c.drift("%s was made a member of %s by hand", m.Member, m.Role)
	}
	c.add(sql, grantMembership(d.snap.Major(), m.Role, m.Member, m.Set))
}

func (d *differ) isMarked(role string) bool {
	_, ok := d.ours[role]
	return ok
}

// goes says whether a role of Postern's will be dropped.
func (d *differ) goes(role string) bool {
	m, ours := d.ours[role]
	if _, wanted := d.wall.roles[role]; !ours || wanted || m.Kind == kindAdopted {
		return false
	}
	return m.Kind != kindIdentity || !d.elsewhere(role) && len(d.keeps(role)) == 0
}

// elsewhere says whether an identity role is in a profile of another store.
func (d *differ) elsewhere(role string) bool {
	return slices.ContainsFunc(d.snap.Memberships, func(m catalog.Membership) bool { return m.Member == role && d.otherStore(m.Role) })
}

// changeOf is the change that a role of Postern's belongs to: of its rule, profile or identity, or of its removal.
func (d *differ) changeOf(role string) *entry {
	if want, ok := d.wall.roles[role]; ok {
		if e := d.changes[want.change]; e != nil {
			return e
		}
	}
	m := d.ours[role]
	name := role
	at := phaseDropRules
	switch m.Kind {
	case kindMasker, kindProfile:
		name, at = strings.TrimSuffix(strings.TrimSuffix(role, "_mask"), "_prof"), phaseDropProfiles
	case kindIdentity, kindAdopted:
		at = phaseDropIdentities
	}
	return d.change("drop:"+name, at, "remove "+name, policy.Pos{})
}

// grantorAdmin lets the grantor administer profiles and identities on 16 and later, where CREATEROLE alone does not.
func (d *differ) grantorAdmin() {
	if d.snap.Major() < 16 || d.w.Grantor == "" || d.w.Grantor == d.w.Provisioner || d.snap.Role(d.w.Grantor) == nil {
		return
	}
	have := map[string]bool{}
	for _, m := range d.snap.Memberships {
		if m.Member == d.w.Grantor && m.Admin {
			have[m.Role] = true
		}
	}
	for _, name := range sortedKeys(d.wall.roles) {
		want := d.wall.roles[name]
		if want.kind != kindProfile && want.kind != kindIdentity && want.kind != kindAdopted || have[name] {
			continue
		}
		e := d.changes[want.change]
		if d.snap.Role(name) != nil {
			e.because("the grantor may not administer %s yet", name)
		}
		e.add(fmt.Sprintf("GRANT %s TO %s WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", quoteIdent(name), quoteIdent(d.w.Grantor)),
			fmt.Sprintf("REVOKE %s FROM %s", quoteIdent(name), quoteIdent(d.w.Grantor)))
	}
}
