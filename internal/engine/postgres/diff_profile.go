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

// profiles makes what each profile is on the server: roles, schema, views. A profile is rebuilt as a whole: its views are cheap,
// and a half-changed profile is nobody's policy.
func (d *differ) profiles() error {
	for _, p := range d.w.Profiles {
		if err := d.profile(p); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) profile(p *plan.Profile) error {
	e := d.change(profileChange(p), phaseProfiles, "make profile "+p.Schema, causeOfProfile(p))
	schema := d.snap.Schema(p.Schema)
	d.makeRole(e, p.Masker, kindMasker, "")
	d.makeRole(e, p.Role, kindProfile, "")
	rebuild := false
	now, err := summarise(p)
	if err != nil {
		return err
	}
	if schema == nil {
		e.made, e.Widens, rebuild = true, true, true
		e.because("somebody holds %s", rulesOf(p))
		e.add("CREATE SCHEMA "+quoteIdent(p.Schema), "DROP SCHEMA "+quoteIdent(p.Schema)+" CASCADE")
	} else {
		e.Title = "change profile " + p.Schema
		m, _ := parseMarker(schema.Comment)
		rebuild = m.Digest != p.Digest
		if rebuild {
			e.made = true
			if m.Digest == suspendedDigest {
				e.because("the store was suspended")
			} else {
				e.because("what %s shows has changed", rulesOf(p))
			}
			d.compareProfile(e, p, now)
		} else if drift := d.profileDrift(p, schema); len(drift) > 0 {
			rebuild = true
			for _, reason := range drift {
				e.drift("%s", reason)
			}
		}
	}
	if rebuild {
		e.Leaves = leavesOf(p)
		d.rebuild(e, p, schema)
		e.add(note("profile", p.Schema, now), "")
		e.add("COMMENT ON SCHEMA "+quoteIdent(p.Schema)+" IS "+quoteLiteral(d.marker(kindProfile, p.Digest)), "")
	}
	return nil
}

// leavesOf says what the masks of a profile leave of the values (ENF-30). What is shown whole or not at all needs no word.
func leavesOf(p *plan.Profile) []string {
	var out []string
	for _, t := range p.Tables {
		for _, c := range t.Columns {
			for _, b := range c.Branches {
				if m := b.Form.Mask; !b.Form.Raw() && !b.Form.Derived && m.Name != policy.Hidden {
					out = append(out, fmt.Sprintf("%s.%s as %s: %s", t.Base, c.Name, m, m.Leaves()))
				}
			}
		}
	}
	return out
}

func causeOfProfile(p *plan.Profile) policy.Pos {
	if len(p.Rules) > 0 {
		return p.Rules[0].Pos
	}
	return policy.Pos{}
}

func rulesOf(p *plan.Profile) string {
	var names []string
	for _, r := range p.Rules {
		names = append(names, r.Name)
	}
	if len(names) == 1 {
		return "rule " + names[0]
	}
	return "rules " + strings.Join(names, ", ")
}

// profileDrift names what somebody changed by hand in a profile whose policy has not changed.
func (d *differ) profileDrift(p *plan.Profile, schema *catalog.Schema) []string {
	var out []string
	if schema.Owner != d.w.Provisioner && !d.can(schema.Owner) {
		out = append(out, fmt.Sprintf("schema %s belongs to %s", p.Schema, schema.Owner))
	}
	for _, g := range schema.ACL {
		if g.Grantee == p.Masker && g.Privilege == "CREATE" {
			out = append(out, fmt.Sprintf("%s may create objects in schema %s", p.Masker, p.Schema))
		}
		if g.Grantee != p.Masker && g.Grantee != p.Role && g.Grantee != schema.Owner {
			who := g.Grantee
			if who == "" {
				who = "PUBLIC"
			}
			out = append(out, fmt.Sprintf("%s was given %s on schema %s by hand", who, g.Privilege, p.Schema))
		}
	}
	wanted := map[catalog.Name]bool{}
	rows := map[catalog.Admitted]bool{}
	for _, t := range p.Tables {
		view := t.BaseOID
		if !t.Open {
			wanted[t.View] = true
			out = append(out, d.viewDrift(p, t)...)
			if v := d.snap.Relation(t.View); v != nil {
				view = v.OID
			}
		}
		rows[catalog.Admitted{Profile: p.Role, Base: t.BaseOID, View: view, Plain: t.Plain}] = true
	}
	for i := range d.snap.Relations {
		rel := &d.snap.Relations[i]
		if rel.Name.Schema == p.Schema && !wanted[rel.Name] {
			out = append(out, fmt.Sprintf("%s is not part of the profile", rel.Name))
		}
	}
	if d.snap.Wall != nil {
		for _, r := range d.snap.Wall.Relations {
			if r.Profile == p.Role && !rows[r] {
				out = append(out, fmt.Sprintf("postern.relation of profile %s was changed by hand", p.Schema))
			}
			delete(rows, r)
		}
		if len(rows) > 0 {
			out = append(out, fmt.Sprintf("postern.relation of profile %s lacks rows", p.Schema))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// viewDrift names what differs in one view (ENF-14, ENF-32).
func (d *differ) viewDrift(p *plan.Profile, t *plan.Table) []string {
	v := d.snap.Relation(t.View)
	if v == nil {
		return []string{fmt.Sprintf("view %s is gone", t.View)}
	}
	var out []string
	if v.Kind != 'v' {
		return []string{fmt.Sprintf("%s is not a view", t.View)}
	}
	if v.Owner != p.Masker {
		out = append(out, fmt.Sprintf("the owner of view %s was changed by hand to %s", t.View, v.Owner))
	}
	rec := recorded(d.snap, "view", quoteName(t.View))
	if rec == nil || rec.Then != rec.Now {
		out = append(out, fmt.Sprintf("the definition of view %s was changed by hand", t.View))
	}
	if len(v.Rules) > 0 || len(v.Triggers) > 0 {
		out = append(out, fmt.Sprintf("view %s was given rules or triggers by hand", t.View))
	}
	if !sameShape(v, t.Source) {
		out = append(out, fmt.Sprintf("view %s has not the columns of %s", t.View, t.Base))
	}
	wanted := map[right]bool{}
	for r := range d.wall.rights {
		if r.object == quoteName(t.View) {
			wanted[r] = true
		}
	}
	acl := func(grants []catalog.Grant, column string) {
		for _, g := range grants {
			r := right{"table", quoteName(t.View), column, g.Privilege, g.Grantee}
			if g.Grantee == v.Owner {
				continue
			}
			if !wanted[r] {
				out = append(out, fmt.Sprintf("%s was given %s on view %s by hand", orPublic(g.Grantee), g.Privilege, t.View))
			}
			delete(wanted, r)
		}
	}
	acl(v.ACL, "")
	for _, col := range v.Columns {
		acl(col.ACL, col.Name)
	}
	for r := range wanted {
		out = append(out, fmt.Sprintf("%s lacks %s on view %s", r.grantee, r.privilege, t.View))
	}
	return out
}

func orPublic(role string) string {
	if role == "" {
		return "PUBLIC"
	}
	return role
}

// sameShape says whether a view has exactly the columns of its table, with type, typmod and collation (ENF-14).
func sameShape(v, base *catalog.Relation) bool {
	return slices.EqualFunc(v.Columns, base.Columns, func(a, b catalog.Column) bool {
		return a.Name == b.Name && a.TypeOID == b.TypeOID && a.TypMod == b.TypMod && a.Collation == b.Collation
	})
}

// rebuild drops the profile's views and makes them again. The provisioner is a member of the masker only in between.
func (d *differ) rebuild(e *entry, p *plan.Profile, schema *catalog.Schema) {
	major := d.snap.Major()
	for i := range d.snap.Relations {
		if rel := &d.snap.Relations[i]; rel.Name.Schema == p.Schema {
			e.Waits = append(e.Waits, rel.Name.String())
		}
	}
	e.add(grantMembership(major, p.Masker, d.w.Provisioner, true), "")
	for _, sql := range d.dropViews(p.Schema) {
		e.add(sql, "")
	}
	e.add("GRANT USAGE, CREATE ON SCHEMA "+quoteIdent(p.Schema)+" TO "+quoteIdent(p.Masker), "")
	if schema != nil {
		for _, g := range schema.ACL {
			if g.Grantee != p.Masker && g.Grantee != p.Role && g.Grantee != schema.Owner {
				e.add(fmt.Sprintf("REVOKE %s ON SCHEMA %s FROM %s", g.Privilege, quoteIdent(p.Schema), publicOr(g.Grantee)), "")
			}
		}
	}
	e.add("DELETE FROM postern.relation WHERE profile_role = "+quoteLiteral(p.Role), "")
	for _, t := range p.Tables {
		if !t.Open {
			d.makeView(e, p, t)
		}
		e.add(fmt.Sprintf("INSERT INTO postern.relation (profile_role, base, view, plain) VALUES (%s, %s::regclass, %s::regclass, %t)",
			quoteLiteral(p.Role), quoteLiteral(quoteName(t.Base)), quoteLiteral(quoteName(t.View)), t.Plain), "")
	}
	e.add("REVOKE ALL ON SCHEMA "+quoteIdent(p.Schema)+" FROM "+quoteIdent(p.Masker), "")
	revoke := "REVOKE " + quoteIdent(p.Masker) + " FROM " + quoteIdent(d.w.Provisioner)
	e.add(revoke, "")
}

func publicOr(role string) string {
	if role == "" {
		return "PUBLIC"
	}
	return quoteIdent(role)
}

// dropViews drops the marked views of a profile's schema. Anything else in it is not Postern's and stays (ENF-09).
func (d *differ) dropViews(schema string) []string {
	var out []string
	for i := range d.snap.Relations {
		rel := &d.snap.Relations[i]
		if rel.Name.Schema != schema {
			continue
		}
		if m, ok := parseMarker(rel.Comment); rel.Kind == 'v' && ok && m.isOurs(d.w) {
			out = append(out, "DROP VIEW "+quoteName(rel.Name))
			continue
		}
		d.step("unmarked:"+rel.Name.String(), "remove "+rel.Name.String()+", which Postern did not make", "it stands in a schema that subjects use", false,
			"DROP "+dropWord(rel.Kind)+" "+quoteName(rel.Name))
	}
	out = append(out, fmt.Sprintf("DELETE FROM postern.object WHERE kind = 'view' AND identity LIKE %s", quoteLiteral(likePrefix(quoteIdent(schema)+".")+"%")))
	return out
}

// likePrefix escapes a text for LIKE.
func likePrefix(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

func dropWord(kind byte) string {
	switch kind {
	case 'v':
		return "VIEW"
	case 'm':
		return "MATERIALIZED VIEW"
	case 'S':
		return "SEQUENCE"
	case 'f':
		return "FOREIGN TABLE"
	}
	return "TABLE"
}

// makeView makes one masking view: all columns in attnum order, from one table, owned by the masker (ENF-11, 14, 15).
func (d *differ) makeView(e *entry, p *plan.Profile, t *plan.Table) {
	var cols []string
	for _, c := range t.Columns {
		col := c.SQL
		if col != quoteIdent(c.Name) {
			col += " AS " + quoteIdent(c.Name)
		}
		cols = append(cols, col)
	}
	view := quoteName(t.View)
	e.add("CREATE VIEW "+view+" AS SELECT "+strings.Join(cols, ",\n  ")+"\nFROM "+quoteName(t.Base), "")
	e.add("COMMENT ON VIEW "+view+" IS "+quoteLiteral(d.marker(kindView, "")), "")
	var rights []right
	for r := range d.wall.rights {
		if r.object == view && r.grantee == p.Role {
			rights = append(rights, r)
		}
	}
	e.add("GRANT "+privileges(rights)+" ON TABLE "+view+" TO "+quoteIdent(p.Role), "")
	e.add("ALTER VIEW "+view+" OWNER TO "+quoteIdent(p.Masker), "")
	e.add(record("view", view, t.View, ""), "")
}

// summary is what postern.object remembers of a profile, so that the next plan can tell whether it widens.
type summary struct {
	Rules   []string
	Tables  map[string]tableSummary
	Allowed []string `json:",omitempty"` // beside reading and writing
}

type tableSummary struct {
	Rules          []string
	Filtered       bool
	Columns        map[string][]formSummary
	Update, Insert []string `json:",omitempty"`
	Delete         bool     `json:",omitempty"`
}

type formSummary struct {
	Rank      int
	Mask, SQL string
}

// summarise writes a profile's summary.
func summarise(p *plan.Profile) (string, error) {
	s := summary{Tables: map[string]tableSummary{}, Allowed: allowedWords(p.Allow)}
	for _, r := range p.Rules {
		s.Rules = append(s.Rules, r.Name)
	}
	for _, t := range p.Tables {
		ts := tableSummary{Rules: t.Rules, Filtered: t.Filtered, Columns: map[string][]formSummary{}, Delete: t.Delete}
		for _, c := range t.Columns {
			for _, b := range c.Branches {
				ts.Columns[c.Name] = append(ts.Columns[c.Name], formSummary{b.Form.Rank, b.Form.Mask.String(), b.Form.SQL})
			}
			if c.Update {
				ts.Update = append(ts.Update, c.Name)
			}
			if c.Insert {
				ts.Insert = append(ts.Insert, c.Name)
			}
		}
		s.Tables[t.Base.String()] = ts
	}
	text, err := json.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("summarise profile %s: %w", p.Schema, err)
	}
	return string(text), nil
}

// compareProfile says what an existing profile would show more than before.
func (d *differ) compareProfile(e *entry, p *plan.Profile, text string) {
	rec := recorded(d.snap, "profile", p.Schema)
	var old, now summary
	if rec == nil || json.Unmarshal([]byte(rec.Then), &old) != nil || json.Unmarshal([]byte(text), &now) != nil {
		e.widens("what the profile showed before is not recorded")
		return
	}
	for _, table := range sortedKeys(now.Tables) {
		was, had := old.Tables[table]
		if !had {
			e.widens("%s becomes visible", table)
			continue
		}
		compareTable(e, table, was, now.Tables[table])
	}
	for _, what := range now.Allowed {
		if !slices.Contains(old.Allowed, what) {
			e.widens("%s is allowed", what)
		}
	}
}

// allowedWords says what is allowed beside reading and writing. The functions of extensions only compute, and show nothing more.
func allowedWords(a plan.Allow) []string {
	var out []string
	if a.Explain {
		out = append(out, "EXPLAIN")
	}
	if a.Temporary {
		out = append(out, "CREATE TEMPORARY TABLE")
	}
	for _, c := range a.Channels {
		out = append(out, "channel "+c)
	}
	for _, p := range a.Places {
		out = append(out, "CREATE TABLE AS in schema "+p)
	}
	for _, f := range a.Functions {
		if f.Extension == "" {
			out = append(out, fmt.Sprintf("calling %s(%s)", f.Name, f.Arguments))
		}
	}
	return out
}

// compareTable says what a profile shows more of one table.
func compareTable(e *entry, table string, was, is tableSummary) {
	if was.Filtered && !is.Filtered {
		e.widens("all rows of %s become visible", table)
	}
	for _, r := range is.Rules {
		if !slices.Contains(was.Rules, r) {
			e.widens("rule %s shows rows of %s too", r, table)
		}
	}
	for _, col := range sortedKeys(is.Columns) {
		before := was.Columns[col]
		for _, f := range is.Columns[col] {
			if moreVisible(f, before) {
				e.widens("column %s.%s is shown as %s, was %s", table, col, f.Mask, masksOf(before))
			}
		}
	}
	for _, what := range []struct {
		verb    string
		was, is []string
	}{{"updated", was.Update, is.Update}, {"inserted", was.Insert, is.Insert}} {
		for _, col := range what.is {
			if !slices.Contains(what.was, col) {
				e.widens("column %s.%s can be %s", table, col, what.verb)
			}
		}
	}
	if is.Delete && !was.Delete {
		e.widens("rows of %s can be deleted", table)
	}
}

// moreVisible says whether a form shows something that none of the earlier forms did: it is another expression, and not of a kind that
// is stronger than every one of them (ENF-36).
func moreVisible(f formSummary, before []formSummary) bool {
	const null = 5
	if f.Rank >= null {
		return false
	}
	strongest := -1
	for _, b := range before {
		if b.SQL == f.SQL || b.Rank == 0 {
			return false
		}
		strongest = max(strongest, b.Rank)
	}
	return len(before) == 0 || f.Rank <= strongest
}

func masksOf(forms []formSummary) string {
	if len(forms) == 0 {
		return "not there"
	}
	var out []string
	for _, f := range forms {
		out = append(out, f.Mask)
	}
	return strings.Join(out, " or ")
}
