package scan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// privilegeChecks are the checks of area PRV. ACLs come with their built-in defaults spelled out.
func privilegeChecks() []Check {
	facts := func(f ...catalog.Fact) []catalog.Fact {
		return append(f, catalog.FactRoles, catalog.FactMemberships)
	}
	return []Check{
		{ID: "PRV-001", Why: "Anybody who can connect may plant a function that others call by mistake.", Reads: facts(catalog.FactSchemas), Eval: publicCreates(func(name string) bool { return name == "public" })},
		{ID: "PRV-002", Why: "Anybody who can connect may plant objects among the application's own.", Reads: facts(catalog.FactSchemas), Eval: publicCreates(func(name string) bool { return name != "public" })},
		{ID: "PRV-003", Why: "Every role that has a password may enter, also those made for another database.", Reads: facts(catalog.FactDatabases), Eval: publicOnDatabases("CONNECT")},
		{ID: "PRV-004", Why: "Temporary tables fill the disk and shadow names.", Reads: facts(catalog.FactDatabases), Eval: publicOnDatabases("TEMPORARY")},
		{ID: "PRV-005", Why: "Every role of the cluster has the right, also those made tomorrow.", Reads: facts(catalog.FactRelations), Eval: publicOnTables},
		{ID: "PRV-006", Why: "Column rights are easily overlooked, and these are everybody's.", Reads: facts(catalog.FactColumns, catalog.FactRelations), Eval: publicOnColumns},
		{ID: "PRV-007", Why: "Everybody may move a counter or read a stored document.", Reads: facts(catalog.FactRelations, catalog.FactLargeObjects), Eval: publicOnOthers},
		wrongSetting("PRV-008", "Every large object is everybody's.", "lo_compat_privileges", isOn, "off"),
		{ID: "PRV-009", Why: "What is created tomorrow is everybody's without anybody saying so.", Reads: facts(catalog.FactDefaultACLs), Eval: publicDefaults},
		{ID: "PRV-010", Why: "Every new function may be called by everybody until somebody remembers to revoke it.", Reads: facts(catalog.FactDefaultACLs, catalog.FactFunctions), Eval: executeByDefault},
		{ID: "PRV-011", Why: "Whoever may pass a right on decides who has it.", Reads: facts(catalog.FactRelations, catalog.FactColumns, catalog.FactSchemas, catalog.FactFunctions), Eval: grantOption},
		{ID: "PRV-012", Why: "These rights empty a table, plant code on it or probe it, and no application reads with them.", Reads: facts(catalog.FactRelations), Eval: uncommonRights},
		{ID: "PRV-014", Why: "The column was found to be sensitive, and the role reads it raw.", Reads: facts(catalog.FactRelations, catalog.FactColumns), Eval: readsLabelled},
		{ID: "PRV-015", Why: "Code that runs with the owner's rights runs as superuser, and only a superuser can look after it.", Reads: facts(catalog.FactRelations, catalog.FactFunctions), Eval: ownedBySuperuser},
		{ID: "PRV-017", Why: "Rights given to people one by one stay when people move on.", Reads: facts(catalog.FactRelations), Eval: directGrants},
		{ID: "PRV-018", Why: "The system's own objects are not as the server made them.", Reads: facts(catalog.FactSystemGrants), Eval: systemChanged},
		{ID: "PRV-019", Why: "Verifiers can be guessed at leisure; statistics hold values of every column.", Reads: facts(catalog.FactSystemGrants, catalog.FactRoles), Eval: secretsReadable},
		{ID: "PRV-020", Why: "These functions read and write the server's files, or connect as somebody else.", Reads: facts(catalog.FactSystemGrants, catalog.FactFunctions), Eval: dangerousFunctions},
		{ID: "PRV-021", Why: "Everybody may reach the other server that the definition names.", Reads: facts(catalog.FactForeignServers), Eval: serverOpen},
		{ID: "PRV-022", Why: "Everybody is the same account on the other side, or its password lies in the catalog.", Reads: facts(catalog.FactUserMappings), Eval: mappingOpen},
		{ID: "PRV-023", Why: "The connection runs with the server's own credentials, whoever asks.", Reads: facts(catalog.FactUserMappings), Eval: passwordNotRequired},
		{ID: "PRV-024", Why: "Everybody may fill the disk; data inside the data directory's own tree is lost with an upgrade.", Reads: facts(catalog.FactTablespaces), Eval: tablespaceOpen},
		{ID: "PRV-025", Why: "Whatever stands in a template is copied into every new database.", Reads: facts(catalog.FactDatabases, catalog.FactRelations, catalog.FactFunctions), Eval: templatesChanged},
		{ID: "PRV-026", Why: "The copy holds the rows of whoever refreshed it, and no policy guards it.", Reads: facts(catalog.FactRelations, catalog.FactViews), Eval: materialised},
		{ID: "PRV-027", Why: "A foreign table has no row policies.", Reads: facts(catalog.FactRelations), Eval: foreignTablesOpen},
	}
}

// inDB names an object of a database, for findings.
func inDB(d *catalog.DatabaseEvidence, kind, name string) string {
	return kind + " " + d.Database.Name + "." + name
}

// onDB puts the database before a statement that must run in it.
func onDB(d *catalog.DatabaseEvidence, sql string) string {
	return `\c ` + quoteIdent(d.Database.Name) + " " + sql
}

// qualified is a name in SQL.
func qualified(n catalog.Name) string { return quoteIdent(n.Schema) + "." + quoteIdent(n.Name) }

// public lists what PUBLIC has in an ACL.
func public(acl []catalog.Grant, among ...string) []string {
	var out []string
	for _, g := range acl {
		if g.Grantee == "" && (len(among) == 0 || slices.Contains(among, g.Privilege)) {
			out = append(out, g.Privilege)
		}
	}
	slices.Sort(out)
	return out
}

func publicCreates(match func(string) bool) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		for _, d := range e.Databases {
			for _, s := range d.Schemas {
				if match(s.Name) && len(public(s.ACL, "CREATE")) > 0 {
					fs = append(fs, Finding{
						Object: inDB(d, "schema", s.Name), Evidence: "PUBLIC has CREATE", Fix: onDB(d, "REVOKE CREATE ON SCHEMA "+quoteIdent(s.Name)+" FROM PUBLIC;"),
					})
				}
			}
		}
		return found(fs)
	}
}

func publicOnDatabases(privilege string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		for _, d := range e.Server.Databases {
			if d.AllowConn && !d.Template && len(public(d.ACL, privilege)) > 0 {
				fs = append(fs, Finding{
					Object: "database " + d.Name, Evidence: "PUBLIC has " + privilege, Fix: "REVOKE " + privilege + " ON DATABASE " + quoteIdent(d.Name) + " FROM PUBLIC;",
				})
			}
		}
		return found(fs)
	}
}

// isTable reports whether a relation holds or shows rows.
func isTable(r *catalog.Relation) bool { return strings.IndexByte("rpvmf", r.Kind) >= 0 }

func publicOnTables(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for i := range d.Relations {
			r := &d.Relations[i]
			if rights := public(r.ACL); isTable(r) && r.Extension == "" && len(rights) > 0 && !catalogView(d, r, rights) {
				fs = append(fs, Finding{
					Object: inDB(d, "table", r.Name.String()), Evidence: "PUBLIC has " + strings.Join(rights, ", "),
					Fix: onDB(d, "REVOKE ALL ON "+qualified(r.Name)+" FROM PUBLIC;"),
				})
			}
		}
	}
	return found(fs)
}

func publicOnColumns(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for i := range d.Relations {
			r := &d.Relations[i]
			for j := range r.Columns {
				c := &r.Columns[j]
				rights := public(c.ACL)
				if len(rights) == 0 || r.Extension != "" {
					continue
				}
				fs = append(fs, Finding{
					Object: inDB(d, "column", r.Name.String()+"."+c.Name), Evidence: "PUBLIC has " + strings.Join(rights, ", "),
					Fix: onDB(d, fmt.Sprintf("REVOKE ALL (%s) ON %s FROM PUBLIC;", quoteIdent(c.Name), qualified(r.Name))),
				})
			}
		}
	}
	return found(fs)
}

// publicOnOthers looks at sequences and large objects. Types are left out: USAGE on a type is everybody's by PostgreSQL's own default and
// gives nothing but the right to name it.
func publicOnOthers(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for i := range d.Relations {
			r := &d.Relations[i]
			if rights := public(r.ACL); r.Kind == 'S' && r.Extension == "" && len(rights) > 0 {
				fs = append(fs, Finding{
					Object: inDB(d, "sequence", r.Name.String()), Evidence: "PUBLIC has " + strings.Join(rights, ", "),
					Fix: onDB(d, "REVOKE ALL ON SEQUENCE "+qualified(r.Name)+" FROM PUBLIC;"),
				})
			}
		}
		for _, l := range d.LargeObjects {
			if rights := public(l.ACL); len(rights) > 0 {
				fs = append(fs, Finding{
					Object: inDB(d, "large object", fmt.Sprint(l.OID)), Evidence: "PUBLIC has " + strings.Join(rights, ", "),
					Fix: onDB(d, fmt.Sprintf("REVOKE ALL ON LARGE OBJECT %d FROM PUBLIC;", l.OID)),
				})
			}
		}
	}
	return found(fs)
}

// defaultKinds are the words of pg_default_acl.defaclobjtype.
var defaultKinds = map[byte]string{'r': "TABLES", 'S': "SEQUENCES", 'f': "FUNCTIONS", 'T': "TYPES", 'n': "SCHEMAS", 'L': "LARGE OBJECTS"}

func publicDefaults(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for _, a := range d.DefaultACLs {
			rights := public(a.ACL)
			// An entry for all schemas spells the built-in defaults out; EXECUTE and USAGE are then nobody's doing.
			builtIn := a.Schema == "" && (a.Kind == 'f' || a.Kind == 'T')
			if len(rights) == 0 || builtIn {
				continue
			}
			where := ""
			if a.Schema != "" {
				where = " IN SCHEMA " + quoteIdent(a.Schema)
			}
			fs = append(fs, Finding{
				Object:   inDB(d, "default privileges of "+a.Role, strings.TrimPrefix(a.Schema+" ", " ")+strings.ToLower(defaultKinds[a.Kind])),
				Evidence: "PUBLIC gets " + strings.Join(rights, ", "),
				Fix:      onDB(d, fmt.Sprintf("ALTER DEFAULT PRIVILEGES FOR ROLE %s%s REVOKE ALL ON %s FROM PUBLIC;", quoteIdent(a.Role), where, defaultKinds[a.Kind])),
			})
		}
	}
	return found(fs)
}

func executeByDefault(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		owners := map[string]bool{d.Database.Owner: true}
		for i := range d.Functions {
			if d.Functions[i].Extension == "" {
				owners[d.Functions[i].Owner] = true
			}
		}
		for owner := range owners {
			revoked := slices.ContainsFunc(d.DefaultACLs, func(a catalog.DefaultACL) bool {
				return a.Role == owner && a.Schema == "" && a.Kind == 'f' && len(public(a.ACL, "EXECUTE")) == 0
			})
			if !revoked {
				fs = append(fs, Finding{
					Object: inDB(d, "default privileges of "+owner, "functions"), Evidence: "PUBLIC gets EXECUTE on every function that " + owner + " makes",
					Fix: onDB(d, "ALTER DEFAULT PRIVILEGES FOR ROLE "+quoteIdent(owner)+" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;"),
				})
			}
		}
	}
	return found(fs)
}

// granted is one right in a database, with what it is on.
type granted struct {
	db           *catalog.DatabaseEvidence
	object, on   string // for people, in SQL
	owner        string
	grant        catalog.Grant
	relationKind byte
	schema       string
}

// grants lists all rights on user objects of all databases, extensions' left out.
func grants(e *catalog.Evidence) []granted {
	var out []granted
	for _, d := range e.Databases {
		for _, s := range d.Schemas {
			for _, g := range s.ACL {
				out = append(out, granted{d, inDB(d, "schema", s.Name), "SCHEMA " + quoteIdent(s.Name), s.Owner, g, 0, s.Name})
			}
		}
		for i := range d.Relations {
			r := &d.Relations[i]
			if r.Extension != "" {
				continue
			}
			on := qualified(r.Name)
			if r.Kind == 'S' {
				on = "SEQUENCE " + on
			}
			for _, g := range r.ACL {
				out = append(out, granted{d, inDB(d, "table", r.Name.String()), on, r.Owner, g, r.Kind, r.Name.Schema})
			}
			for j := range r.Columns {
				c := &r.Columns[j]
				for _, g := range c.ACL {
					g.Privilege += " (" + quoteIdent(c.Name) + ")"
					out = append(out, granted{d, inDB(d, "column", r.Name.String()+"."+c.Name), on, r.Owner, g, r.Kind, r.Name.Schema})
				}
			}
		}
		for i := range d.Functions {
			f := &d.Functions[i]
			if f.Extension != "" {
				continue
			}
			for _, g := range f.ACL {
				out = append(out, granted{d, inDB(d, "function", f.Signature()), "FUNCTION " + qualified(f.Name) + "(" + f.Arguments + ")", f.Owner, g, 0, f.Name.Schema})
			}
		}
	}
	return out
}

// ordinaryNames is ordinary as a set.
func ordinaryNames(e *catalog.Evidence) map[string]bool {
	out := map[string]bool{}
	for _, r := range ordinary(e) {
		out[r.Name] = true
	}
	return out
}

func grantOption(e *catalog.Evidence, _ *Env) Verdict {
	people := ordinaryNames(e)
	var fs []Finding
	for _, g := range grants(e) {
		if g.grant.Grantable && g.grant.Grantee != g.owner && people[g.grant.Grantee] {
			fs = append(fs, Finding{
				Object: g.object + ", " + grantee(g.grant.Grantee), Evidence: g.grant.Privilege + " WITH GRANT OPTION",
				Fix: onDB(g.db, fmt.Sprintf("REVOKE GRANT OPTION FOR %s ON %s FROM %s;", g.grant.Privilege, g.on, quoteIdent(g.grant.Grantee))),
			})
		}
	}
	return found(fs)
}

func uncommonRights(e *catalog.Evidence, _ *Env) Verdict {
	people := ordinaryNames(e)
	var fs []Finding
	for _, g := range grants(e) {
		if g.relationKind == 0 || g.grant.Grantee == g.owner || !people[g.grant.Grantee] {
			continue
		}
		if slices.Contains([]string{"TRUNCATE", "TRIGGER", "REFERENCES", "MAINTAIN"}, g.grant.Privilege) {
			fs = append(fs, Finding{
				Object: g.object + ", " + grantee(g.grant.Grantee), Evidence: g.grant.Privilege,
				Fix: onDB(g.db, fmt.Sprintf("REVOKE %s ON %s FROM %s;", g.grant.Privilege, g.on, quoteIdent(g.grant.Grantee))),
			})
		}
	}
	return found(fs)
}

func readsLabelled(e *catalog.Evidence, _ *Env) Verdict {
	if len(e.Labels) == 0 {
		return notEvaluated("needs labels: postern discover has not run")
	}
	var fs []Finding
	for _, d := range e.Databases {
		rights := catalog.NewRights(e.Server.Major(), e.Server.Roles, e.Server.Memberships, &d.Database)
		for i := range d.Relations {
			rel := &d.Relations[i]
			for j := range rel.Columns {
				label := e.Labels[d.Database.Name+"."+rel.Name.String()+"."+rel.Columns[j].Name]
				schema := d.Schema(rel.Name.Schema)
				if label == "" || schema == nil {
					continue
				}
				for _, r := range ordinary(e) {
					if !rights.Uses(r.Name, rel.Owner) && rights.Schema(r.Name, schema, "USAGE") && rights.Column(r.Name, rel, &rel.Columns[j], "SELECT") {
						fs = append(fs, Finding{
							Object: inDB(d, "column", rel.Name.String()+"."+rel.Columns[j].Name) + ", role " + r.Name, Evidence: "labelled " + label + ", and the role reads it raw",
							Fix: "put a mask on the label in postern.yaml, then postern plan",
						})
					}
				}
			}
		}
	}
	return found(fs)
}

func superuserName(e *catalog.Evidence, name string) bool {
	r := e.Server.Role(name)
	return r != nil && r.Superuser
}

func ownedBySuperuser(e *catalog.Evidence, _ *Env) Verdict {
	type key struct{ database, schema, owner string }
	count, example := map[key]int{}, map[key]string{}
	note := func(d *catalog.DatabaseEvidence, n catalog.Name, owner, extension string) {
		if extension == "" && superuserName(e, owner) {
			k := key{d.Database.Name, n.Schema, owner}
			count[k]++
			example[k] = n.String()
		}
	}
	for _, d := range e.Databases {
		for i := range d.Relations {
			note(d, d.Relations[i].Name, d.Relations[i].Owner, d.Relations[i].Extension)
		}
		for i := range d.Functions {
			note(d, d.Functions[i].Name, d.Functions[i].Owner, d.Functions[i].Extension)
		}
	}
	var fs []Finding
	for k, n := range count {
		fs = append(fs, Finding{
			Object: "schema " + k.database + "." + k.schema + ", owner " + k.owner, Evidence: fmt.Sprintf("%d objects, such as %s", n, example[k]),
			Fix: fmt.Sprintf("CREATE ROLE %s NOLOGIN; then ALTER … OWNER TO it, object by object", quoteIdent(k.schema+"_owner")),
		})
	}
	return found(fs)
}

func directGrants(e *catalog.Evidence, _ *Env) Verdict {
	people := ordinaryNames(e)
	count, example := map[string]int{}, map[string]string{}
	for _, g := range grants(e) {
		if g.grant.Grantee != g.owner && people[g.grant.Grantee] && ownSchema(g.db, g.schema) == nil {
			count[g.grant.Grantee]++
			example[g.grant.Grantee] = g.grant.Privilege + " on " + g.object
		}
	}
	var fs []Finding
	for role, n := range count {
		fs = append(fs, Finding{
			Object: "role " + role, Evidence: fmt.Sprintf("%d rights of its own, such as %s", n, example[role]), Fix: "grant them to a role without LOGIN, and that role to " + quoteIdent(role),
		})
	}
	return found(fs)
}

// scannerViews are what a DBA grants to the scanner's role.
var scannerViews = []string{"pg_hba_file_rules", "pg_ident_file_mappings", "pg_file_settings", "pg_config", "pg_show_all_file_settings"}

// ours reports whether a right is one of those that the scanner's role is given on purpose.
func ours(e *catalog.Evidence, g catalog.SystemGrant) bool {
	_, name, _ := strings.Cut(g.Object, ".")
	name, _, _ = strings.Cut(name, "(")
	return g.Grantee == e.Server.Access.User && slices.Contains(scannerViews, name)
}

// systemSQL is the REVOKE of a right on a system object.
func systemSQL(d *catalog.DatabaseEvidence, g catalog.SystemGrant) string {
	kind := map[string]string{"function": "FUNCTION ", "schema": "SCHEMA "}[g.Kind]
	if g.Kind == "column" {
		i := strings.LastIndex(g.Object, ".")
		return onDB(d, fmt.Sprintf("REVOKE %s (%s) ON %s FROM %s;", g.Privilege, g.Object[i+1:], g.Object[:i], granteeSQL(g.Grantee)))
	}
	return onDB(d, fmt.Sprintf("REVOKE %s ON %s%s FROM %s;", g.Privilege, kind, g.Object, granteeSQL(g.Grantee)))
}

func systemChanged(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for _, g := range d.SystemGrants {
			if !ours(e, g) {
				fs = append(fs, Finding{
					Object: inDB(d, g.Kind, g.Object) + ", " + grantee(g.Grantee), Evidence: g.Privilege + " was granted after initdb", Fix: systemSQL(d, g),
				})
			}
		}
	}
	return found(fs)
}

// secretCatalogs hold verifiers, passwords of others, and values of every column.
var secretCatalogs = []string{"pg_catalog.pg_authid", "pg_catalog.pg_shadow", "pg_catalog.pg_statistic", "pg_catalog.pg_statistic_ext_data", "pg_catalog.pg_user_mapping"}

func secretsReadable(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for _, g := range d.SystemGrants {
			table := g.Object
			if g.Kind == "column" {
				table = g.Object[:strings.LastIndex(g.Object, ".")]
				if !slices.Contains([]string{"rolpassword", "passwd", "umoptions"}, g.Object[len(table)+1:]) && !strings.HasPrefix(table, "pg_catalog.pg_stat") {
					continue
				}
			}
			if slices.Contains(secretCatalogs, table) && g.Privilege == "SELECT" && !superuserName(e, g.Grantee) {
				fs = append(fs, Finding{Object: inDB(d, g.Kind, g.Object) + ", " + grantee(g.Grantee), Evidence: "SELECT", Fix: systemSQL(d, g)})
			}
		}
	}
	// pg_read_all_data reads system catalogs like any other table.
	rights := rightsOf(e)
	for _, r := range ordinary(e) {
		if path := rights.Path(r.Name, "pg_read_all_data"); path != nil {
			fs = append(fs, Finding{
				Object: "role " + r.Name + " in pg_read_all_data", Evidence: "reads pg_authid and pg_statistic: " + strings.Join(path, " > "), Fix: revokeFirst(path),
			})
		}
	}
	return found(fs)
}

// dangerous are functions that reach the server's files or connect without a password.
var dangerous = []string{
	"pg_read_file", "pg_read_binary_file", "pg_ls_dir", "pg_stat_file", "lo_import", "lo_export", "dblink_connect_u", "pg_file_write", "pg_file_read",
	"pg_file_rename", "pg_file_unlink", "pg_file_sync", "pg_read_file_old", "pg_logdir_ls", "pg_read_file_all",
}

func dangerousFunctions(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for _, g := range d.SystemGrants {
			_, name, _ := strings.Cut(g.Object, ".")
			name, _, _ = strings.Cut(name, "(")
			if g.Kind == "function" && slices.Contains(dangerous, name) && !superuserName(e, g.Grantee) {
				fs = append(fs, Finding{Object: inDB(d, "function", g.Object) + ", " + grantee(g.Grantee), Evidence: "EXECUTE was granted", Fix: systemSQL(d, g)})
			}
		}
		for i := range d.Functions {
			f := &d.Functions[i]
			if !slices.Contains(dangerous, f.Name.Name) || f.Extension == "" {
				continue
			}
			for _, g := range f.ACL {
				if g.Grantee != f.Owner && !superuserName(e, g.Grantee) {
					fs = append(fs, Finding{
						Object: inDB(d, "function", f.Signature()) + ", " + grantee(g.Grantee), Evidence: "EXECUTE was granted",
						Fix: onDB(d, "REVOKE EXECUTE ON FUNCTION "+qualified(f.Name)+"("+f.Arguments+") FROM "+granteeSQL(g.Grantee)+";"),
					})
				}
			}
		}
	}
	return found(fs)
}

func serverOpen(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for _, s := range d.ForeignServers {
			if len(public(s.ACL, "USAGE")) > 0 {
				fs = append(fs, Finding{
					Object: inDB(d, "foreign server", s.Name), Evidence: "PUBLIC has USAGE", Fix: onDB(d, "REVOKE USAGE ON FOREIGN SERVER "+quoteIdent(s.Name)+" FROM PUBLIC;"),
				})
			}
		}
	}
	return found(fs)
}

// option finds name=value in a list.
func option(options []string, name string) (string, bool) {
	for _, o := range options {
		if v, ok := strings.CutPrefix(o, name+"="); ok {
			return v, true
		}
	}
	return "", false
}

func mappingName(d *catalog.DatabaseEvidence, m *catalog.UserMapping) string {
	return inDB(d, "user mapping", m.Server) + " for " + strings.TrimPrefix(grantee(m.User), "role ")
}

func mappingOpen(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	unread := 0
	for _, d := range e.Databases {
		for i := range d.UserMappings {
			m := &d.UserMappings[i]
			_, stored := option(m.Options, "password")
			switch {
			case m.User == "":
				fs = append(fs, Finding{Object: mappingName(d, m), Evidence: "is everybody's", Fix: onDB(d, "DROP USER MAPPING FOR PUBLIC SERVER "+quoteIdent(m.Server)+"; -- and make one for each role")})
			case stored:
				fs = append(fs, Finding{Object: mappingName(d, m), Evidence: "holds a password", Fix: onDB(d, fmt.Sprintf("ALTER USER MAPPING FOR %s SERVER %s OPTIONS (DROP password); -- with a password file or a certificate instead", quoteIdent(m.User), quoteIdent(m.Server)))})
			case !m.Readable && !e.Server.Access.Superuser:
				unread++
			}
		}
	}
	if len(fs) == 0 && unread > 0 {
		return notEvaluated(fmt.Sprintf("the options of %d user mappings may not be read by this login", unread))
	}
	return found(fs)
}

func passwordNotRequired(e *catalog.Evidence, _ *Env) Verdict {
	if !e.Server.Access.Superuser {
		return notEvaluated("the options of user mappings are for superusers")
	}
	var fs []Finding
	for _, d := range e.Databases {
		for i := range d.UserMappings {
			m := &d.UserMappings[i]
			if v, ok := option(m.Options, "password_required"); ok && !on(v) {
				fs = append(fs, Finding{
					Object: mappingName(d, m), Evidence: "password_required=" + v,
					Fix: onDB(d, fmt.Sprintf("ALTER USER MAPPING FOR %s SERVER %s OPTIONS (DROP password_required);", granteeSQL(m.User), quoteIdent(m.Server))),
				})
			}
		}
	}
	return found(fs)
}

func tablespaceOpen(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	data := e.Server.Setting("data_directory")
	unknown := 0
	for _, t := range e.Server.Tablespaces {
		if len(public(t.ACL, "CREATE")) > 0 {
			fs = append(fs, Finding{Object: "tablespace " + t.Name, Evidence: "PUBLIC has CREATE", Fix: "REVOKE CREATE ON TABLESPACE " + quoteIdent(t.Name) + " FROM PUBLIC;"})
		}
		switch {
		case t.Location == "":
		case data == nil:
			unknown++
		case strings.HasPrefix(t.Location+"/", strings.TrimSuffix(data.Value, "/")+"/"):
			fs = append(fs, Finding{Object: "tablespace " + t.Name, Evidence: t.Location + " is inside the data directory", Fix: "move it to a directory of its own"})
		}
	}
	if len(fs) == 0 && unknown > 0 {
		return notEvaluated("where the data directory is may not be read by this login")
	}
	return found(fs)
}

func templatesChanged(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	unseen := ""
	for _, d := range e.Server.Databases {
		switch {
		case d.Name == "template0" && d.AllowConn:
			fs = append(fs, Finding{Object: "database template0", Evidence: "accepts connections", Fix: "ALTER DATABASE template0 WITH ALLOW_CONNECTIONS false;"})
		case d.Name == "template1" && d.AllowConn:
			i := slices.IndexFunc(e.Databases, func(x *catalog.DatabaseEvidence) bool { return x.Database.Name == d.Name })
			if i < 0 {
				unseen = d.Name
				continue
			}
			if n := len(e.Databases[i].Relations) + len(e.Databases[i].Functions); n > 0 {
				fs = append(fs, Finding{Object: "database template1", Evidence: fmt.Sprintf("holds %d tables, views, sequences and functions", n), Fix: "drop what does not belong into every new database"})
			}
		}
	}
	if len(fs) == 0 && unseen != "" {
		return notEvaluated("database " + unseen + " was not entered")
	}
	return found(fs)
}

// guarded lists the tables with row policies that a view reads, directly or through other views.
func guarded(d *catalog.DatabaseEvidence, v *catalog.Relation, seen map[catalog.Name]bool) []*catalog.Relation {
	var out []*catalog.Relation
	for _, n := range v.DependsOn {
		r := d.Relation(n)
		if r == nil || seen[n] {
			continue
		}
		seen[n] = true
		if r.RowSecurity {
			out = append(out, r)
		}
		out = append(out, guarded(d, r, seen)...)
	}
	return out
}

func materialised(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for i := range d.Relations {
			v := &d.Relations[i]
			if v.Kind != 'm' || !sharedWithOthers(v) {
				continue
			}
			if tables := guarded(d, v, map[catalog.Name]bool{}); len(tables) > 0 {
				fs = append(fs, Finding{
					Object: inDB(d, "materialized view", v.Name.String()), Evidence: "holds rows of " + tables[0].Name.String() + ", which has row level security, and others may read it",
					Fix: onDB(d, "REVOKE ALL ON "+qualified(v.Name)+" FROM "+othersOf(v)+"; -- or make it a view with security_invoker"),
				})
			}
		}
	}
	return found(fs)
}

// sharedWithOthers reports whether somebody else than the owner has a right.
func sharedWithOthers(r *catalog.Relation) bool {
	if slices.ContainsFunc(r.ACL, func(g catalog.Grant) bool { return g.Grantee != r.Owner }) {
		return true
	}
	return slices.ContainsFunc(r.Columns, func(c catalog.Column) bool {
		return slices.ContainsFunc(c.ACL, func(g catalog.Grant) bool { return g.Grantee != r.Owner })
	})
}

func othersOf(r *catalog.Relation) string {
	var out []string
	for _, g := range r.ACL {
		if name := granteeSQL(g.Grantee); g.Grantee != r.Owner && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", ")
}

// broad reports whether a grantee is PUBLIC or a role that at least three ordinary roles have, and half of them.
func broad(e *catalog.Evidence, rights *catalog.Rights, name string) bool {
	if name == "" {
		return true
	}
	people, in := ordinary(e), 0
	for _, r := range people {
		if r.Name != name && rights.Uses(r.Name, name) {
			in++
		}
	}
	return in >= 3 && in*2 >= len(people)
}

func foreignTablesOpen(e *catalog.Evidence, _ *Env) Verdict {
	rights := rightsOf(e)
	var fs []Finding
	for _, d := range e.Databases {
		for i := range d.Relations {
			r := &d.Relations[i]
			if r.Kind != 'f' {
				continue
			}
			for _, g := range r.ACL {
				if g.Privilege == "SELECT" && g.Grantee != r.Owner && broad(e, rights, g.Grantee) {
					fs = append(fs, Finding{
						Object: inDB(d, "foreign table", r.Name.String()) + ", " + grantee(g.Grantee), Evidence: "SELECT, and no policy can guard it",
						Fix: onDB(d, "REVOKE SELECT ON "+qualified(r.Name)+" FROM "+granteeSQL(g.Grantee)+";"),
					})
				}
			}
		}
	}
	return found(fs)
}
