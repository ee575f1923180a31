package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// heldRight is a privilege that a role of Postern's has, and who gave it.
type heldRight struct {
	right
	grantor, owner string
}

// held lists the privileges of Postern's roles in this database, those of owners on what they own left out.
func (d *differ) held() []heldRight {
	var out []heldRight
	add := func(kind, object, column, owner string, acl []catalog.Grant) {
		for _, g := range acl {
			if g.Grantee == "" || g.Grantee == owner || !d.watched(g.Grantee) {
				continue
			}
			out = append(out, heldRight{right{kind, object, column, g.Privilege, g.Grantee}, g.Grantor, owner})
		}
	}
	db := d.snap.Database
	add("database", quoteIdent(db.Name), "", db.Owner, db.ACL)
	for _, s := range d.snap.Schemas {
		add("schema", quoteIdent(s.Name), "", s.Owner, s.ACL)
	}
	for i := range d.snap.Relations {
		rel := &d.snap.Relations[i]
		kind := "table"
		if rel.Kind == 'S' {
			kind = "sequence"
		}
		add(kind, quoteName(rel.Name), "", rel.Owner, rel.ACL)
		for _, col := range rel.Columns {
			add(kind, quoteName(rel.Name), col.Name, rel.Owner, col.ACL)
		}
	}
	for _, f := range d.snap.Functions {
		kind := "function"
		if f.Kind == 'p' {
			kind = "procedure"
		}
		add(kind, quoteName(f.Name)+"("+f.Arguments+")", "", f.Owner, f.ACL)
	}
	for _, l := range d.snap.Languages {
		add("language", quoteIdent(l.Name), "", l.Owner, l.ACL)
	}
	for _, lo := range d.snap.LargeObjects {
		add("large object", fmt.Sprint(lo.OID), "", lo.Owner, lo.ACL)
	}
	return out
}

// watched says whether a role's privileges are compared: those of rules, profiles and identities of this store, and the grantor's.
func (d *differ) watched(role string) bool {
	if want, ok := d.wall.roles[role]; ok {
		return want.kind != kindPublic
	}
	if m, ok := d.ours[role]; ok {
		return m.Kind != kindPublic
	}
	return d.w.Grantor != "" && role == d.w.Grantor && d.w.Grantor != d.w.Provisioner
}

// rebuilt says whether an object stands in a profile's schema: views come and go with their privileges.
func (d *differ) rebuilt(r right) bool {
	if r.kind != "table" {
		return false
	}
	for _, p := range d.w.Profiles {
		if strings.HasPrefix(r.object, quoteIdent(p.Schema)+".") {
			return true
		}
	}
	for _, s := range d.snap.Schemas {
		if m, ok := parseMarker(s.Comment); ok && m.Kind == kindProfile && strings.HasPrefix(r.object, quoteIdent(s.Name)+".") {
			return true
		}
	}
	return false
}

// bundle is what one GRANT or REVOKE can say: privileges of one role on one object.
type bundle struct {
	change, kind, object, grantee, grantor, owner string
}

// rights compares privileges.
func (d *differ) rights() {
	if d.w.Grantor != "" && d.snap.Role(d.w.Grantor) == nil {
		d.warn(policy.Pos{}, "grantor", "run what postern init prints", "the grantor %q does not exist on the server yet", d.w.Grantor)
	}
	give, take := map[bundle][]right{}, map[bundle][]right{}
	have := map[right]bool{}
	for _, h := range d.held() {
		have[h.right] = true
		if d.wall.rights[h.right] != "" || d.rebuilt(h.right) || d.ownSchema(h.right) || h.grantee == d.w.Grantor {
			continue
		}
		take[bundle{"", h.kind, h.object, h.grantee, h.grantor, h.owner}] = append(take[bundle{"", h.kind, h.object, h.grantee, h.grantor, h.owner}], h.right)
	}
	for r, id := range d.wall.rights {
		if !have[r] && !d.rebuilt(r) && !d.everybodys(r) {
			k := bundle{change: id, kind: r.kind, object: r.object, grantee: r.grantee}
			give[k] = append(give[k], r)
		}
	}
	for _, k := range sortedBundles(give) {
		d.giveRights(k, give[k])
	}
	for _, k := range sortedBundles(take) {
		d.takeRights(k, take[k])
	}
}

// ownSchema says whether a privilege is the masker's CREATE, which profiles() looks after.
func (d *differ) ownSchema(r right) bool {
	return r.kind == "schema" && r.privilege == "CREATE" && d.wall.roles[r.grantee].kind == kindMasker
}

func sortedBundles(m map[bundle][]right) []bundle {
	keys := make([]bundle, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	text := func(b bundle) string {
		return strings.Join([]string{b.change, b.grantee, b.kind, b.object, b.grantor}, "\x00")
	}
	slices.SortFunc(keys, func(a, b bundle) int { return strings.Compare(text(a), text(b)) })
	return keys
}

// privileges writes what stands between GRANT and ON: columns in the table's order are not needed, a stable order is.
func privileges(rights []right) string {
	columns := map[string][]string{}
	for _, r := range rights {
		columns[r.privilege] = append(columns[r.privilege], r.column)
	}
	var out []string
	for _, p := range sortedKeys(columns) {
		cols := columns[p]
		slices.Sort(cols)
		if cols[0] == "" {
			out = append(out, p)
			cols = cols[1:]
		}
		if len(cols) > 0 {
			out = append(out, p+" ("+quoteIdents(cols)+")")
		}
	}
	return strings.Join(out, ", ")
}

func onWhat(kind, object string) string { return strings.ToUpper(kind) + " " + object }

// schemaOf finds the schema that a privilege is on, or nil.
func (d *differ) schemaOf(r right) *catalog.Schema {
	for i := range d.snap.Schemas {
		if r.kind == "schema" && quoteIdent(d.snap.Schemas[i].Name) == r.object {
			return &d.snap.Schemas[i]
		}
	}
	return nil
}

// everybodys says whether what the provisioner cannot give comes through PUBLIC: USAGE on a schema of another owner, as public is
// before 15, and CONNECT on a database of another owner.
func (d *differ) everybodys(r right) bool {
	everybody := func(acl []catalog.Grant, privilege string) bool {
		return slices.ContainsFunc(acl, func(g catalog.Grant) bool { return g.Grantee == "" && g.Privilege == privilege })
	}
	if r.kind == "database" {
		return r.privilege == "CONNECT" && !d.mayConnect() && everybody(d.snap.Database.ACL, "CONNECT")
	}
	s := d.schemaOf(r)
	return s != nil && r.privilege == "USAGE" && !d.can(s.Owner) && everybody(s.ACL, "USAGE")
}

// mayConnect says whether the provisioner can give CONNECT on the database.
func (d *differ) mayConnect() bool { return d.mayGive("CONNECT") }

// mayGive says whether the provisioner can give a privilege on the database.
func (d *differ) mayGive(privilege string) bool {
	return d.can(d.snap.Database.Owner) || grantable(d.snap, d.w.Provisioner, privilege)
}

// stranger finds the owner of a routine whom the provisioner cannot act as: an extension's belong to a superuser.
func (d *differ) stranger(k bundle) (owner string, is bool) {
	for _, f := range d.snap.Functions {
		if (k.kind == "function" || k.kind == "procedure") && quoteName(f.Name)+"("+f.Arguments+")" == k.object {
			return f.Owner, !d.can(f.Owner)
		}
	}
	return "", false
}

func (d *differ) giveRights(k bundle, rights []right) {
	if s := d.schemaOf(rights[0]); s != nil && !d.can(s.Owner) {
		d.step("schema:"+s.Name, "let profiles name what is in schema "+s.Name, "subjects cannot use types and open tables of the schema", false,
			fmt.Sprintf("GRANT %s ON %s TO %s", privileges(rights), onWhat(k.kind, k.object), quoteIdent(k.grantee)))
		return
	}
	e := d.changes[k.change]
	if e == nil {
		e = d.change(k.change, phaseIdentities, "give the grantor the rows of Postern's own tables", policy.Pos{})
		e.because("serve keeps who holds what, and until when")
		e.made = true
	}
	if temporary := func(r right) bool { return r.kind == "database" && r.privilege == "TEMPORARY" }; slices.ContainsFunc(rights, temporary) && !d.mayGive("TEMPORARY") {
		d.step("temporary:"+d.w.Database, "let subjects make temporary tables", "CREATE TEMPORARY TABLE fails for them", false,
			fmt.Sprintf("GRANT TEMPORARY ON %s TO %s", onWhat(k.kind, k.object), quoteIdent(k.grantee)))
		if rights = slices.DeleteFunc(rights, temporary); len(rights) == 0 {
			return
		}
	}
	what := privileges(rights)
	if k.kind == "database" && !d.mayConnect() {
		d.step("connect:"+d.w.Database, "let subjects connect to the database", "subjects cannot log in", false,
			fmt.Sprintf("GRANT %s ON %s TO %s", what, onWhat(k.kind, k.object), quoteIdent(k.grantee)))
		return
	}
	if owner, is := d.stranger(k); is {
		d.step("functions:"+owner, "let profiles call functions of "+owner, "calls of these functions fail", false,
			fmt.Sprintf("GRANT %s ON %s TO %s", what, onWhat(k.kind, k.object), quoteIdent(k.grantee)))
		return
	}
	if !e.made {
		e.drift("%s lacks %s on %s", k.grantee, what, k.object)
	}
	e.add(fmt.Sprintf("GRANT %s ON %s TO %s", what, onWhat(k.kind, k.object), quoteIdent(k.grantee)),
		fmt.Sprintf("REVOKE %s ON %s FROM %s", what, onWhat(k.kind, k.object), quoteIdent(k.grantee)))
}

func (d *differ) takeRights(k bundle, rights []right) {
	what := privileges(rights)
	give := fmt.Sprintf("GRANT %s ON %s TO %s", what, onWhat(k.kind, k.object), quoteIdent(k.grantee))
	sql := fmt.Sprintf("REVOKE %s ON %s FROM %s", what, onWhat(k.kind, k.object), quoteIdent(k.grantee))
	if k.grantor != k.owner || !d.can(k.owner) {
		id := "privilege:" + k.grantee + ":" + k.object
		if k.grantor == d.w.Provisioner {
			// Given with a grant option of the provisioner's own, such as CONNECT: it can take that back itself.
			d.changeOf(k.grantee).add(sql, give)
			return
		}
		d.step(id, fmt.Sprintf("take %s on %s back from %s", what, k.object, k.grantee), fmt.Sprintf("%s keeps it", k.grantee), false,
			"SET ROLE "+quoteIdent(k.grantor), sql, "RESET ROLE")
		d.warn(policy.Pos{}, id, "", "%s was given %s on %s by hand", k.grantee, what, k.object)
		if e := d.changeOf(k.grantee); !e.made {
			e.drift("%s was given %s on %s by hand", k.grantee, what, k.object)
		}
		return
	}
	e := d.changeOf(k.grantee)
	if want, ok := d.wall.roles[k.grantee]; ok && want.kind == kindAdopted && !d.isMarked(k.grantee) {
		e.Consent = plan.ConsentForeign
		e.because("adopting %s takes away %s on %s", k.grantee, what, k.object)
	} else if !e.made && e.phase < phaseDropPolicies {
		e.drift("%s was given %s on %s by hand", k.grantee, what, k.object)
	}
	e.add(sql, give)
}
