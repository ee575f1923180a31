package postgres

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// identities makes the login roles of subjects (ENF-09, ENF-97).
func (d *differ) identities() error {
	for _, i := range d.w.Identities {
		e := d.change(identityChange(i), phaseIdentities, "let "+i.User+" in as "+i.Role, i.Pos)
		verifier, err := IdentityVerifier(d.w.RootKey, d.w.ServerID, i.Role, d.w.Generation)
		if err != nil {
			return err
		}
		digest := shortHash(verifier)[:16]
		if d.snap.Role(i.Role) == nil {
			d.createIdentity(e, i, verifier, digest)
		} else {
			d.alterIdentity(e, i, verifier, digest)
		}
		d.searchPath(e, i)
		d.moved(e, i)
	}
	return nil
}

// validUntil is the clause for the end of a role's password.
func validUntil(t time.Time) string {
	if t.IsZero() {
		return "VALID UNTIL 'infinity'"
	}
	return "VALID UNTIL " + quoteLiteral(t.UTC().Format(time.RFC3339))
}

func (d *differ) createIdentity(e *entry, i *plan.Identity, verifier, digest string) {
	e.made, e.Widens = true, true
	e.because("%s holds %s", i.User, rulesOf(i.Profile))
	e.Secrets = map[string]string{"verifier": verifier}
	e.add("CREATE ROLE "+quoteIdent(i.Role)+" LOGIN PASSWORD '{{secret:verifier}}' "+validUntil(i.ValidUntil), "DROP ROLE "+quoteIdent(i.Role))
	e.add("COMMENT ON ROLE "+quoteIdent(i.Role)+" IS "+quoteLiteral(d.marker(kindIdentity, digest)), "")
}

// alterIdentity brings an existing login role to what it should be.
func (d *differ) alterIdentity(e *entry, i *plan.Identity, verifier, digest string) {
	role := d.snap.Role(i.Role)
	m, marked := parseMarker(role.Comment)
	name := quoteIdent(i.Role)
	e.Title = "change the login of " + i.User
	if !marked {
		e.made, e.Widens = true, true
		e.because("%s holds %s, and takes over role %s", i.User, rulesOf(i.Profile), i.Role)
		m.Kind = kindAdopted
	}
	if m.Digest != digest {
		if marked {
			e.because("the password of %s is of another generation or key", i.Role)
		}
		e.Secrets = map[string]string{"verifier": verifier}
		e.add("ALTER ROLE "+name+" PASSWORD '{{secret:verifier}}'", "")
		reverse := "NULL"
		if role.Comment != "" {
			reverse = quoteLiteral(role.Comment)
		}
		e.add("COMMENT ON ROLE "+name+" IS "+quoteLiteral(d.marker(m.Kind, digest)), "COMMENT ON ROLE "+name+" IS "+reverse)
	}
	if !role.Login || !role.Inherit || role.CreateRole || role.CreateDB {
		if marked {
			e.drift("attributes of role %s were changed by hand", i.Role)
		}
		d.setAttributes(e, role, true)
	}
	if marked && (role.Superuser || role.BypassRLS || role.Replication) {
		e.drift("role %s was made superuser, or may bypass row security or replicate", i.Role)
		d.step("attributes:"+i.Role, "take SUPERUSER, BYPASSRLS and REPLICATION from "+i.Role, "the wall does not bind the role", false,
			"ALTER ROLE "+name+" NOSUPERUSER NOBYPASSRLS NOREPLICATION")
	}
	if role.ConnLimit != -1 && marked {
		e.drift("the connection limit of role %s was changed by hand", i.Role)
		e.add("ALTER ROLE "+name+" CONNECTION LIMIT -1", "")
	}
	d.until(e, i, role, marked)
}

// until keeps VALID UNTIL at the latest end of the subject's rules.
func (d *differ) until(e *entry, i *plan.Identity, role *catalog.Role, marked bool) {
	want := "infinity"
	if !i.ValidUntil.IsZero() {
		want = i.ValidUntil.UTC().Format(time.RFC3339)
	}
	have := role.ValidUntil
	if have == "" {
		have = "infinity"
	}
	if have == want {
		return
	}
	if marked {
		e.because("the login of %s ends %s, not %s", i.Role, want, have)
	}
	e.add("ALTER ROLE "+quoteIdent(i.Role)+" "+validUntil(i.ValidUntil), "ALTER ROLE "+quoteIdent(i.Role)+" VALID UNTIL "+quoteLiteral(have))
}

// searchPath pins the search path in this database, and removes every other setting that applies there: a role may set its own (ENF-50).
func (d *differ) searchPath(e *entry, i *plan.Identity) {
	name := quoteIdent(i.Role)
	found := false
	if role := d.snap.Role(i.Role); role != nil {
		for _, s := range role.Config {
			switch {
			case s.Database == d.w.Database && s.Name == "search_path" && slices.Equal(splitPath(s.Value), i.Profile.SearchPath):
				found = true
			case s.Database == d.w.Database && s.Name == "search_path":
				if !e.made && !d.leavesProfile(i) {
					e.drift("search_path of role %s was changed by hand", i.Role)
				}
			case s.Database == d.w.Database || s.Database == "":
				if d.isMarked(i.Role) {
					e.drift("role %s was given the setting %s by hand", i.Role, s.Name)
				}
				e.add(resetSetting(i.Role, s), fmt.Sprintf("ALTER ROLE %s%s SET %s = %s", name, inDatabase(s), quoteIdent(s.Name), quoteLiteral(s.Value)))
			}
		}
		if !found && !e.made && !d.leavesProfile(i) {
			e.drift("search_path of role %s was changed by hand", i.Role)
		}
	}
	if !found {
		in := " IN DATABASE " + quoteIdent(d.w.Database)
		e.add("ALTER ROLE "+name+in+" SET search_path = "+quoteIdents(i.Profile.SearchPath), "ALTER ROLE "+name+in+" RESET search_path")
	}
}

// leavesProfile says whether an identity is a member of another profile than its own, or of its own with another search path because
// the profile has changed.
func (d *differ) leavesProfile(i *plan.Identity) bool {
	if e := d.changes[profileChange(i.Profile)]; e != nil && e.made {
		return true
	}
	return len(d.oldProfiles(i)) > 0
}

// oldProfiles lists the profile schemas of this store that an identity is in and should not be.
func (d *differ) oldProfiles(i *plan.Identity) []string {
	var out []string
	for _, m := range d.snap.Memberships {
		if m.Member == i.Role && m.Role != i.Profile.Role && d.ours[m.Role].Kind == kindProfile && d.ours[m.Role].Store == d.w.Store {
			out = append(out, strings.TrimSuffix(m.Role, "_prof"))
		}
	}
	return out
}

// splitPath reads a search_path as the server stores it.
func splitPath(value string) []string {
	var out []string
	for value != "" {
		value = strings.TrimLeft(value, " ,")
		if rest, quoted := strings.CutPrefix(value, `"`); quoted {
			var b strings.Builder
			for rest != "" {
				if strings.HasPrefix(rest, `""`) {
					b.WriteByte('"')
					rest = rest[2:]
					continue
				}
				if rest[0] == '"' {
					rest = rest[1:]
					break
				}
				b.WriteByte(rest[0])
				rest = rest[1:]
			}
			out, value = append(out, b.String()), rest
			continue
		}
		word, rest, _ := strings.Cut(value, ",")
		if word = strings.TrimSpace(word); word != "" {
			out = append(out, word)
		}
		value = rest
	}
	return out
}

// moved says whether an identity gets rules that it did not hold.
func (d *differ) moved(e *entry, i *plan.Identity) {
	for _, old := range d.oldProfiles(i) {
		var was summary
		rec := recorded(d.snap, "profile", old)
		if rec == nil || json.Unmarshal([]byte(rec.Then), &was) != nil {
			e.widens("%s moves from profile %s, which is not recorded", i.User, old)
			continue
		}
		e.because("%s holds other rules: %s", i.User, rulesOf(i.Profile))
		for _, r := range i.Profile.Rules {
			switch {
			case slices.Contains(was.Rules, r.Name):
			case r.Requested:
				e.because("%s was granted rule %s", i.User, r.Name) // the approvers have consented
			default:
				e.widens("%s gets rule %s", i.User, r.Name)
			}
		}
	}
}

// rows compares the rows of postern.attribute and postern.holds (ENF-90, ENF-91).
func (d *differ) rows() {
	attributes, holds := map[string]map[catalog.Attribute]bool{}, map[string]map[string]string{} // by role
	if d.snap.Wall != nil {
		for _, a := range d.snap.Wall.Attributes {
			if attributes[a.Role] == nil {
				attributes[a.Role] = map[catalog.Attribute]bool{}
			}
			attributes[a.Role][a] = true
		}
		for _, h := range d.snap.Wall.Holds {
			if holds[h.Role] == nil {
				holds[h.Role] = map[string]string{}
			}
			holds[h.Role][h.Rule] = h.Until
		}
	}
	for _, i := range d.w.Identities {
		e := d.changes[identityChange(i)]
		d.attributes(e, i, attributes[i.Role])
		d.holds(e, i, holds[i.Role])
		delete(attributes, i.Role)
		delete(holds, i.Role)
	}
	// What is left are rows of roles that are no identities of this store any longer.
	for _, role := range sortedKeys(attributes) {
		for _, a := range sortedAttributes(attributes[role]) {
			d.changeOf(role).add(fmt.Sprintf("DELETE FROM postern.attribute WHERE role = %s AND key = %s AND value = %s", quoteLiteral(role), quoteLiteral(a.Key), quoteLiteral(a.Value)), "")
		}
	}
	for _, role := range sortedKeys(holds) {
		for _, rule := range sortedKeys(holds[role]) {
			d.changeOf(role).add(fmt.Sprintf("DELETE FROM postern.holds WHERE role = %s AND rule = %s", quoteLiteral(role), quoteLiteral(rule)), "")
		}
	}
}

func sortedAttributes(m map[catalog.Attribute]bool) []catalog.Attribute {
	out := make([]catalog.Attribute, 0, len(m))
	for a := range m {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b catalog.Attribute) int {
		return strings.Compare(a.Role+"\x00"+a.Key+"\x00"+a.Value, b.Role+"\x00"+b.Key+"\x00"+b.Value)
	})
	return out
}

func (d *differ) attributes(e *entry, i *plan.Identity, have map[catalog.Attribute]bool) {
	want := map[catalog.Attribute]bool{}
	for k, v := range i.Attributes {
		want[catalog.Attribute{Role: i.Role, Key: k, Value: v}] = true
	}
	for _, a := range sortedAttributes(have) {
		if !want[a] {
			e.because("attribute %s of %s has changed", a.Key, i.User)
			e.stale = !e.made
			e.add(fmt.Sprintf("DELETE FROM postern.attribute WHERE role = %s AND key = %s AND value = %s", quoteLiteral(a.Role), quoteLiteral(a.Key), quoteLiteral(a.Value)),
				insertAttribute(a))
		}
	}
	for _, a := range sortedAttributes(want) {
		if have[a] {
			continue
		}
		if !e.made && d.snap.Role(i.Role) != nil {
			e.widens("attribute %s of %s is another, which chooses other rows", a.Key, i.User)
			e.stale = true
		}
		e.add(insertAttribute(a), fmt.Sprintf("DELETE FROM postern.attribute WHERE role = %s AND key = %s", quoteLiteral(a.Role), quoteLiteral(a.Key)))
	}
}

func insertAttribute(a catalog.Attribute) string {
	return fmt.Sprintf("INSERT INTO postern.attribute (role, key, value) VALUES (%s, %s, %s)", quoteLiteral(a.Role), quoteLiteral(a.Key), quoteLiteral(a.Value))
}

// holdUntil is the end of a hold as the server keeps it, in whole seconds.
func holdUntil(h plan.Hold) string { return h.Until.UTC().Format(time.RFC3339) }

func (d *differ) holds(e *entry, i *plan.Identity, have map[string]string) {
	want := map[string]string{}
	granted := map[string]bool{}
	for _, h := range i.Holds {
		want[h.Rule], granted[h.Rule] = holdUntil(h), h.Granted
	}
	for _, rule := range sortedKeys(have) {
		if want[rule] == "" {
			e.because("%s has no end of rule %s any longer", i.User, rule)
			e.add(fmt.Sprintf("DELETE FROM postern.holds WHERE role = %s AND rule = %s", quoteLiteral(i.Role), quoteLiteral(rule)), "")
		}
	}
	for _, rule := range sortedKeys(want) {
		old, had := have[rule]
		if old == want[rule] {
			continue
		}
		e.stale = !e.made
		if had {
			if want[rule] > old && !granted[rule] {
				e.widens("%s holds rule %s until %s, was %s", i.User, rule, want[rule], old)
			} else {
				e.because("%s holds rule %s until %s, was %s", i.User, rule, want[rule], old)
			}
		} else if d.isMarked(i.Role) {
			e.because("%s holds rule %s until %s", i.User, rule, want[rule])
		}
		e.add(fmt.Sprintf("INSERT INTO postern.holds (role, rule, until) VALUES (%s, %s, %s) ON CONFLICT (role, rule) DO UPDATE SET until = excluded.until",
			quoteLiteral(i.Role), quoteLiteral(rule), quoteLiteral(want[rule])),
			fmt.Sprintf("DELETE FROM postern.holds WHERE role = %s AND rule = %s", quoteLiteral(i.Role), quoteLiteral(rule)))
	}
}

// drops removes what is marked as this store's and no longer wanted.
func (d *differ) drops() {
	for _, s := range d.snap.Schemas {
		m, ok := parseMarker(s.Comment)
		if !ok || m.Kind != kindProfile || !m.isOurs(d.w) || d.w.Profile(s.Name) != nil {
			continue
		}
		e := d.change("drop:"+s.Name, phaseDropProfiles, "remove profile "+s.Name, policy.Pos{})
		e.because("nobody holds these rules together any longer")
		for _, sql := range d.dropViews(s.Name) {
			e.add(sql, "")
		}
		e.add("DELETE FROM postern.relation WHERE profile_role = "+quoteLiteral(s.Name+"_prof"), "")
		e.add("DROP SCHEMA "+quoteIdent(s.Name), "CREATE SCHEMA "+quoteIdent(s.Name))
		e.add(forget("profile", s.Name), "")
	}
	for _, name := range sortedKeys(d.ours) {
		if _, wanted := d.wall.roles[name]; wanted {
			continue
		}
		d.dropRole(name, d.ours[name])
	}
	d.forgetRules()
}

func (d *differ) dropRole(name string, m marker) {
	switch m.Kind {
	case kindIdentity, kindAdopted:
		d.dropIdentity(name, m)
		return
	case kindPublic:
		return
	}
	e := d.changeOf(name)
	if m.Kind == kindRule || m.Kind == kindOpen {
		e.because("nobody holds the rule any longer, or it is gone")
	}
	e.add("DROP ROLE "+quoteIdent(name), "CREATE ROLE "+quoteIdent(name)+" NOLOGIN")
}

// dropIdentity removes a login role from this store: for good, unless another store uses it or it was there before Postern.
func (d *differ) dropIdentity(name string, m marker) {
	here, elsewhere := false, d.elsewhere(name)
	for _, mem := range d.snap.Memberships {
		here = here || mem.Member == name && d.ours[mem.Role].Kind == kindProfile
	}
	role := d.snap.Role(name)
	for _, s := range role.Config {
		here = here || s.Database == d.w.Database
	}
	if !here {
		if !elsewhere && m.Kind == kindIdentity && d.changes["drop:"+name] != nil {
			here = true
		}
		if !here {
			return
		}
	}
	e := d.changeOf(name)
	e.because("%s holds no rule on this store any longer", name)
	for _, s := range role.Config {
		if s.Database == d.w.Database {
			e.add(resetSetting(name, s), fmt.Sprintf("ALTER ROLE %s%s SET %s = %s", quoteIdent(name), inDatabase(s), quoteIdent(s.Name), quoteLiteral(s.Value)))
		}
	}
	switch {
	case elsewhere:
	case m.Kind == kindAdopted:
		// It stays, without rights and login, and keeps its marker: giving PUBLIC's rights back to it is not Postern's to decide.
		e.add("ALTER ROLE "+quoteIdent(name)+" NOLOGIN", "ALTER ROLE "+quoteIdent(name)+" LOGIN")
	case len(d.keeps(name)) > 0:
		// What somebody made is not thrown away because they left: the role stays as its owner, without rights and login.
		d.warn(policy.Pos{}, "keeps:"+name, "drop these tables, or give them to somebody, and then the role", "%s holds no rule any longer and has made: %s", name, strings.Join(d.keeps(name), ", "))
		e.add("ALTER ROLE "+quoteIdent(name)+" NOLOGIN", "ALTER ROLE "+quoteIdent(name)+" LOGIN")
	default:
		e.add("DROP ROLE "+quoteIdent(name), "")
	}
}

// forgetRules drops the records of rules that are gone.
func (d *differ) forgetRules() {
	if d.snap.Wall == nil {
		return
	}
	for _, o := range d.snap.Wall.Objects {
		if o.Kind != "rule" && (o.Kind != limitsRecord || o.Identity == "") || d.w.Rule(o.Identity) != nil {
			continue
		}
		e := d.change("forget:"+o.Identity, phaseDropRules, "forget rule "+o.Identity, policy.Pos{})
		e.because("the rule is gone")
		e.add(forget(o.Kind, o.Identity), note(o.Kind, o.Identity, o.Then))
	}
}
