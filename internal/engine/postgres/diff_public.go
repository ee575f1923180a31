package postgres

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// publicRights takes back what PUBLIC has and gives it to every role outside Postern instead (ENF-16, ENF-88): subjects are PUBLIC
// too, and every other role must keep what it had.
func (d *differ) publicRights() {
	d.publicRole()
	d.publicDatabase()
	for _, s := range d.snap.Schemas {
		if isOwnSchema(s.Name) {
			continue
		}
		d.takeBack(taken{
			id: "public-schema:" + s.Name, title: "take CREATE on schema " + s.Name + " back from PUBLIC", on: "SCHEMA " + quoteIdent(s.Name), owner: s.Owner,
			acl: s.ACL, only: []string{"CREATE"}, open: "subjects can create objects in schema " + s.Name + ", functions that leak among them",
		})
	}
	d.publicRelations()
	d.publicRoutines()
	for _, l := range d.snap.Languages {
		if l.Trusted {
			d.takeBack(taken{
				id: "public-language:" + l.Name, title: "take language " + l.Name + " back from PUBLIC", on: "LANGUAGE " + quoteIdent(l.Name), owner: l.Owner, acl: l.ACL,
				open: "subjects that come around the gateway can run DO blocks, and functions where they may create any", super: true,
			})
		}
	}
	for _, lo := range d.snap.LargeObjects {
		d.takeBack(taken{
			id: "public-large-objects", title: "take large objects back from PUBLIC", on: fmt.Sprintf("LARGE OBJECT %d", lo.OID), owner: lo.Owner, acl: lo.ACL,
			open: "subjects that come around the gateway can read these large objects",
		})
	}
	d.publicDefaults()
	d.otherDatabases()
}

// publicRole makes the role that holds what PUBLIC had, with every foreign role as a member.
func (d *differ) publicRole() {
	role := d.snap.Role(plan.PublicRole)
	e := d.change("public", phasePublic, "let a role hold what PUBLIC loses, so that roles outside Postern keep it", policy.Pos{})
	if role == nil {
		e.made = true
		e.because("subjects are PUBLIC too: what everybody may do is taken from PUBLIC, and given to every role there is")
		e.add("CREATE ROLE "+quoteIdent(plan.PublicRole)+" NOLOGIN", "DROP ROLE "+quoteIdent(plan.PublicRole))
		e.add("COMMENT ON ROLE "+quoteIdent(plan.PublicRole)+" IS "+quoteLiteral(d.marker(kindPublic, "")), "")
	}
	members := map[string]bool{}
	for _, m := range d.snap.Memberships {
		if m.Role == plan.PublicRole && m.Inherit {
			members[m.Member] = true
		}
	}
	var missing []string
	for _, name := range d.foreign() {
		if !members[name] && !d.stubborn(name) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return
	}
	if role != nil {
		e.because("roles outside Postern are not members yet: %s", strings.Join(missing, ", "))
	}
	sql := "GRANT " + quoteIdent(plan.PublicRole) + " TO " + quoteIdents(missing)
	if d.snap.Major() >= 16 {
		sql += " WITH INHERIT TRUE, SET FALSE"
	}
	e.add(sql, "REVOKE "+quoteIdent(plan.PublicRole)+" FROM "+quoteIdents(missing))
}

// stubborn says whether a role inherits nothing from its memberships, as NOINHERIT roles do before 16: it is granted things itself.
func (d *differ) stubborn(role string) bool {
	r := d.snap.Role(role)
	return d.snap.Major() < 16 && r != nil && !r.Inherit
}

// heirs are the grantees of what PUBLIC loses.
func (d *differ) heirs() []string {
	out := []string{plan.PublicRole}
	for _, name := range d.foreign() {
		if d.stubborn(name) {
			out = append(out, name)
		}
	}
	return out
}

// taken describes something of PUBLIC's that is taken back.
type taken struct {
	id, title string
	on        string // what follows ON
	owner     string
	acl       []catalog.Grant
	only      []string // these privileges; none: all
	column    string
	open      string // what stays open where only an operator can do it
	super     bool   // needs a superuser whatever the owner is
}

// takeBack revokes from PUBLIC and grants to its heirs, or says what an operator has to do.
func (d *differ) takeBack(t taken) {
	byGrantor := map[string][]string{}
	for _, g := range t.acl {
		if g.Grantee == "" && (len(t.only) == 0 || slices.Contains(t.only, g.Privilege)) {
			byGrantor[g.Grantor] = append(byGrantor[g.Grantor], g.Privilege)
		}
	}
	for _, grantor := range sortedKeys(byGrantor) {
		what := strings.Join(withColumn(byGrantor[grantor], t.column), ", ")
		give := fmt.Sprintf("GRANT %s ON %s TO %s", what, t.on, quoteIdents(d.heirs()))
		take := fmt.Sprintf("REVOKE %s ON %s FROM PUBLIC", what, t.on)
		switch {
		case grantor == t.owner && !t.super && d.can(t.owner):
			e := d.change(t.id, phasePublic, t.title, policy.Pos{})
			e.because("subjects would have it through PUBLIC; every role outside Postern keeps it through %s", plan.PublicRole)
			e.add(give, "")
			e.add(take, fmt.Sprintf("GRANT %s ON %s TO PUBLIC", what, t.on))
		case grantor == t.owner:
			d.step(t.id, t.title, t.open, false, give, take)
		default:
			// Only who gave can take: a superuser acts as the owner, so it has to become the giver first.
			d.step(t.id, t.title, t.open, false, "SET ROLE "+quoteIdent(grantor), give, take, "RESET ROLE")
		}
	}
}

func withColumn(privileges []string, column string) []string {
	if column == "" {
		return privileges
	}
	out := make([]string, len(privileges))
	for i, p := range privileges {
		out[i] = p + " (" + quoteIdent(column) + ")"
	}
	return out
}

func (d *differ) publicDatabase() {
	db := d.snap.Database
	d.takeBack(taken{
		id: "public-database", title: "take CREATE and TEMPORARY on the database back from PUBLIC", on: "DATABASE " + quoteIdent(db.Name), owner: db.Owner,
		acl: db.ACL, only: []string{"CREATE", "TEMPORARY"},
		open: "subjects that come around the gateway can make temporary functions, which leak what row policies hide",
	})
}

// publicRelations takes back rights on tables, views and sequences, partitions and children included.
func (d *differ) publicRelations() {
	for i := range d.snap.Relations {
		rel := &d.snap.Relations[i]
		if isOwnSchema(rel.Name.Schema) {
			continue
		}
		kind := "TABLE "
		if rel.Kind == 'S' {
			kind = "SEQUENCE "
		}
		t := taken{
			id: "public-tables:" + rel.Name.Schema, title: "take tables of schema " + rel.Name.Schema + " back from PUBLIC", on: kind + quoteName(rel.Name),
			owner: rel.Owner, acl: rel.ACL, open: "subjects that come around the gateway can use these tables as they are",
		}
		if rel.Extension != "" {
			t.id, t.title = "public-extension:"+rel.Extension, "take what extension "+rel.Extension+" offers back from PUBLIC"
		}
		d.takeBack(t)
		for _, col := range rel.Columns {
			t.acl, t.column = col.ACL, col.Name
			d.takeBack(t)
		}
	}
}

// publicRoutines takes back EXECUTE. Extensions whose types protected columns have keep theirs: comparing such columns calls them.
func (d *differ) publicRoutines() {
	needed := d.neededExtensions()
	for _, f := range d.snap.Functions {
		if isOwnSchema(f.Name.Schema) || needed[f.Extension] {
			continue
		}
		kind := "FUNCTION "
		if f.Kind == 'p' {
			kind = "PROCEDURE "
		}
		t := taken{
			id: "public-routines:" + f.Name.Schema, title: "take routines of schema " + f.Name.Schema + " back from PUBLIC",
			on: kind + quoteName(f.Name) + "(" + f.Arguments + ")", owner: f.Owner, acl: f.ACL,
			open: "subjects that come around the gateway can run these routines, SECURITY DEFINER ones with their owner's rights",
		}
		if f.Extension != "" {
			t.id, t.title = "public-extension:"+f.Extension, "take what extension "+f.Extension+" offers back from PUBLIC"
		}
		d.takeBack(t)
	}
}

// neededExtensions are those whose types columns of admitted tables have.
func (d *differ) neededExtensions() map[string]bool {
	needed := map[string]bool{}
	for _, n := range d.protected() {
		rel := d.snap.Relation(n)
		if rel == nil {
			continue
		}
		for _, col := range rel.Columns {
			for _, typ := range d.snap.Types {
				if typ.Extension != "" && (typ.OID == col.TypeOID || typ.Array == col.TypeOID) {
					needed[typ.Extension] = true
				}
			}
		}
	}
	return needed
}

// publicDefaults keeps what is created later from PUBLIC (ENF-17): EXECUTE is there by default and only goes without IN SCHEMA.
func (d *differ) publicDefaults() {
	for _, owner := range d.creators() {
		if !d.defaultRoutines(owner) {
			continue
		}
		sql := []string{
			fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s GRANT EXECUTE ON ROUTINES TO %s", quoteIdent(owner), quoteIdents(d.heirs())),
			fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s REVOKE EXECUTE ON ROUTINES FROM PUBLIC", quoteIdent(owner)),
		}
		d.defaults(owner, sql, fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s GRANT EXECUTE ON ROUTINES TO PUBLIC", quoteIdent(owner)))
	}
	kinds := map[byte]string{'r': "TABLES", 'S': "SEQUENCES", 'f': "ROUTINES"}
	for _, def := range d.snap.DefaultACLs {
		word := kinds[def.Kind]
		if word == "" || isOwnSchema(def.Schema) || def.Kind == 'f' && def.Schema == "" {
			continue
		}
		in := ""
		if def.Schema != "" {
			in = " IN SCHEMA " + quoteIdent(def.Schema)
		}
		for _, g := range def.ACL {
			if g.Grantee == "" {
				head := fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s%s ", quoteIdent(def.Role), in)
				d.defaults(def.Role, []string{
					head + fmt.Sprintf("GRANT %s ON %s TO %s", g.Privilege, word, quoteIdents(d.heirs())),
					head + fmt.Sprintf("REVOKE %s ON %s FROM PUBLIC", g.Privilege, word),
				}, head+fmt.Sprintf("GRANT %s ON %s TO PUBLIC", g.Privilege, word))
			}
		}
	}
}

// creators are the owners whose later objects matter: those of protected tables, and of routines that are there already.
func (d *differ) creators() []string {
	out := d.owners()
	for _, f := range d.snap.Functions {
		if f.Extension == "" && !isOwnSchema(f.Name.Schema) && d.can(f.Owner) && !slices.Contains(out, f.Owner) {
			out = append(out, f.Owner)
		}
	}
	slices.Sort(out)
	return out
}

// defaultRoutines says whether PUBLIC may execute what a role creates.
func (d *differ) defaultRoutines(owner string) bool {
	for _, def := range d.snap.DefaultACLs {
		if def.Role == owner && def.Schema == "" && def.Kind == 'f' {
			return slices.ContainsFunc(def.ACL, func(g catalog.Grant) bool { return g.Grantee == "" })
		}
	}
	return true
}

func (d *differ) defaults(owner string, sql []string, reverse string) {
	id, title := "public-defaults:"+owner, "keep what "+owner+" creates later from PUBLIC"
	if !d.can(owner) {
		d.step(id, title, "subjects that come around the gateway can use what "+owner+" creates later", false, sql...)
		return
	}
	e := d.change(id, phasePublic, title, policy.Pos{})
	e.because("new objects would be PUBLIC's, and so the subjects'")
	for i, s := range sql {
		r := ""
		if i == len(sql)-1 {
			r = reverse
		}
		e.add(s, r)
	}
}

// otherDatabases names the databases that identity roles could connect to because everybody can (ENF-09).
func (d *differ) otherDatabases() {
	if len(d.w.Identities) == 0 {
		return
	}
	for _, db := range d.snap.Databases {
		if slices.ContainsFunc(db.ACL, func(g catalog.Grant) bool { return g.Grantee == "" && g.Privilege == "CONNECT" }) {
			d.step("connect:"+db.Name, "keep identity roles out of database "+db.Name,
				"who knows an identity's password, which nobody is shown, could connect to database "+db.Name+" and do there what PUBLIC may", false,
				fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s", quoteIdent(db.Name), quoteIdents(d.heirs())),
				fmt.Sprintf("REVOKE CONNECT ON DATABASE %s FROM PUBLIC", quoteIdent(db.Name)))
		}
	}
}
