package scan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// functionChecks are the checks of area FUN.
func functionChecks() []Check {
	functions := []catalog.Fact{catalog.FactFunctions, catalog.FactRoutines, catalog.FactRoles, catalog.FactMemberships, catalog.FactSchemas}
	return []Check{
		{ID: "FUN-001", Why: "The caller chooses what the function's names mean, and it runs with its owner's rights.", Reads: functions, Eval: eachDefiner(noSearchPath)},
		{ID: "FUN-002", Why: "Everybody may run it with its owner's rights.", Reads: functions, Eval: eachDefiner(definerPublic)},
		{ID: "FUN-003", Why: "A fault in it gives the caller everything.", Reads: functions, Eval: eachDefiner(definerSuperuser)},
		{ID: "FUN-004", Why: "The path is fixed, and somebody else may put objects on it.", Reads: functions, Eval: eachDefiner(pathWritable)},
		{ID: "FUN-005", Why: "A value of the caller's becomes part of a statement that runs with the owner's rights.", Reads: functions, Eval: eachDefiner(dynamicSQL)},
		{ID: "FUN-006", Why: "Code in such a language does whatever the server's account can do.", Reads: []catalog.Fact{catalog.FactLanguages}, Eval: untrustedLanguages},
		{ID: "FUN-007", Why: "The server refuses this grant, so somebody edited the catalog.", Reads: []catalog.Fact{catalog.FactLanguages, catalog.FactRoles}, Eval: untrustedOpened},
		{ID: "FUN-008", Why: "Whoever owns the function decides what runs when a superuser touches the table.", Reads: []catalog.Fact{catalog.FactTriggers, catalog.FactFunctions, catalog.FactRelations, catalog.FactEventTriggers, catalog.FactRoles, catalog.FactMemberships}, Eval: foreignTriggers},
		{ID: "FUN-009", Why: "Names without a schema find somebody else's objects first.", Reads: []catalog.Fact{catalog.FactOverrides, catalog.FactSchemas, catalog.FactRoles, catalog.FactMemberships}, Eval: pathOfOthers},
		{ID: "FUN-010", Why: "Every login can read the text of every function.", Reads: functions, Eval: functionSecrets},
		{ID: "FUN-011", Why: "Every login can read comments, defaults and view texts.", Reads: []catalog.Fact{catalog.FactTexts}, Eval: textSecrets},
	}
}

// definer is a SECURITY DEFINER function and where it is.
type definer struct {
	e      *catalog.Evidence
	d      *catalog.DatabaseEvidence
	f      *catalog.Function
	r      *catalog.Routine
	rights *catalog.Rights
}

// path returns the function's own search_path, and whether it has one.
func (x *definer) path() ([]string, bool) {
	v, ok := option(x.r.Config, "search_path")
	return items(v), ok
}

func (x *definer) alter(what string) string {
	return onDB(x.d, "ALTER FUNCTION "+qualified(x.f.Name)+"("+x.f.Arguments+") "+what+";")
}

// verifierFunction is the function that a DBA installs for the scanner. It is known by its exact settings and is no finding.
func verifierFunction(f *catalog.Function) bool {
	return f.Name == catalog.Name{Schema: "postern", Name: "verifier_kinds"} && f.Arguments == "" && f.SecurityDefiner && f.Language == "sql"
}

// eachDefiner makes a check of SECURITY DEFINER functions, extensions' own and the scanner's left out.
func eachDefiner(bad func(*definer) (what, fix string)) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		for _, c := range cases(e) {
			for i := range c.d.Routines {
				f := c.d.Function(c.d.Routines[i].OID)
				if f == nil || !f.SecurityDefiner || f.Extension != "" || verifierFunction(f) {
					continue
				}
				if what, fix := bad(&definer{e, c.d, f, &c.d.Routines[i], c.rights}); what != "" {
					fs = append(fs, Finding{Object: inDB(c.d, "function", f.Signature()), Evidence: what, Fix: fix})
				}
			}
		}
		return found(fs)
	}
}

func noSearchPath(x *definer) (what, fix string) {
	if _, ok := x.path(); ok {
		return "", ""
	}
	return "SECURITY DEFINER without a search_path of its own", x.alter("SET search_path = pg_catalog, " + quoteIdent(x.f.Name.Schema) + ", pg_temp")
}

func definerPublic(x *definer) (what, fix string) {
	if len(public(x.f.ACL, "EXECUTE")) == 0 || x.r.Result == "trigger" || x.r.Result == "event_trigger" {
		return "", "" // a trigger function is not called but fired
	}
	return "SECURITY DEFINER as " + x.f.Owner + ", and PUBLIC has EXECUTE",
		onDB(x.d, "REVOKE EXECUTE ON FUNCTION "+qualified(x.f.Name)+"("+x.f.Arguments+") FROM PUBLIC;")
}

func definerSuperuser(x *definer) (what, fix string) {
	if !superuserName(x.e, x.f.Owner) {
		return "", ""
	}
	return "runs as superuser " + x.f.Owner, x.alter("OWNER TO …")
}

// writableBy names an ordinary role, or PUBLIC, that may create objects in a schema and is not the function's owner.
func writableBy(e *catalog.Evidence, d *catalog.DatabaseEvidence, rights *catalog.Rights, schema, except string) string {
	s := d.Schema(schema)
	if s == nil {
		return ""
	}
	if len(public(s.ACL, "CREATE")) > 0 {
		return "PUBLIC"
	}
	for _, r := range ordinary(e) {
		if r.Name != except && !rights.CanBecome(r.Name, except) && rights.Schema(r.Name, s, "CREATE") && !profileOwner(rights, s, r.Name) {
			return "role " + r.Name
		}
	}
	return ""
}

func pathWritable(x *definer) (what, fix string) {
	path, ok := x.path()
	if !ok {
		return "", ""
	}
	fix = x.alter("SET search_path = pg_catalog, …, pg_temp")
	for i, s := range path {
		if s == "pg_temp" && i < len(path)-1 {
			return "pg_temp stands before other schemas of its search_path", fix
		}
		if by := writableBy(x.e, x.d, x.rights, s, x.f.Owner); by != "" {
			return "its search_path names schema " + s + ", in which " + by + " may create", fix
		}
	}
	if !slices.Contains(path, "pg_temp") && len(path) > 0 {
		return "pg_temp is not named, so it is searched first for tables", fix
	}
	return "", ""
}

func dynamicSQL(x *definer) (what, fix string) {
	if !x.r.Body.DynamicSQL {
		return "", ""
	}
	return "puts a statement together with || and runs it", "use format() with %I and %L, or EXECUTE … USING"
}

func untrustedLanguages(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for _, l := range d.Languages {
			if !l.Trusted && l.Name != "internal" && l.Name != "c" {
				fs = append(fs, Finding{Object: inDB(d, "language", l.Name), Evidence: "untrusted", Fix: onDB(d, "DROP EXTENSION "+quoteIdent(l.Name)+";")})
			}
		}
	}
	return found(fs)
}

// untrustedByNature are the languages that are never trusted.
var untrustedByNature = []string{"c", "internal", "plpython3u", "plpythonu", "plpython2u", "plperlu", "pltclu"}

func untrustedOpened(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for _, l := range d.Languages {
			if !slices.Contains(untrustedByNature, l.Name) {
				continue
			}
			if l.Trusted {
				fs = append(fs, Finding{Object: inDB(d, "language", l.Name), Evidence: "is marked as trusted", Fix: "restore lanpltrusted, and find out who changed the catalog"})
			}
			for _, g := range l.ACL {
				// The built-in default lists PUBLIC; the server minds it for trusted languages alone.
				if g.Grantee != "" && g.Grantee != l.Owner && !superuserName(e, g.Grantee) {
					fs = append(fs, Finding{Object: inDB(d, "language", l.Name) + ", " + grantee(g.Grantee), Evidence: g.Privilege, Fix: "restore lanacl, and find out who changed the catalog"})
				}
			}
		}
	}
	return found(fs)
}

func foreignTriggers(e *catalog.Evidence, _ *Env) Verdict {
	people := ordinaryNames(e)
	var fs []Finding
	for _, d := range e.Databases {
		owner := map[catalog.Name]string{}
		for i := range d.Functions {
			owner[d.Functions[i].Name] = d.Functions[i].Owner
		}
		for i := range d.Relations {
			r := &d.Relations[i]
			for _, t := range r.Triggers {
				if by := owner[t.Function]; superuserName(e, r.Owner) && lowPrivilege(e, people, by) {
					fs = append(fs, Finding{
						Object: inDB(d, "trigger "+t.Name+" on", r.Name.String()), Evidence: fmt.Sprintf("the table is %s's, the function %s is %s's", r.Owner, t.Function, by),
						Fix: onDB(d, "ALTER FUNCTION "+qualified(t.Function)+"() OWNER TO "+quoteIdent(r.Owner)+";"),
					})
				}
			}
		}
		for _, t := range d.EventTriggers {
			if lowPrivilege(e, people, t.FunctionOwner) {
				fs = append(fs, Finding{
					Object: inDB(d, "event trigger", t.Name), Evidence: fmt.Sprintf("the function %s is %s's", t.Function, t.FunctionOwner),
					Fix: onDB(d, "ALTER FUNCTION "+qualified(t.Function)+"() OWNER TO "+quoteIdent(t.Owner)+";"),
				})
			}
		}
	}
	return found(fs)
}

// lowPrivilege reports whether a role is no superuser and somebody ordinary has its rights.
func lowPrivilege(e *catalog.Evidence, people map[string]bool, role string) bool {
	r := e.Server.Role(role)
	return r != nil && !r.Superuser && (people[role] || !r.Login) && !administrator(e, r)
}

func pathOfOthers(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	check := func(d *catalog.DatabaseEvidence, rights *catalog.Rights, object, path, role, fix string) {
		for _, s := range items(path) {
			if s == "$user" || s == role || strings.HasPrefix(s, "pg_") {
				continue
			}
			if by := writableBy(e, d, rights, s, role); by != "" {
				fs = append(fs, Finding{Object: object, Evidence: fmt.Sprintf("search_path = %s; %s may create in schema %s", path, by, s), Fix: fix})
				return
			}
		}
	}
	for _, c := range cases(e) {
		overridden := false
		for _, o := range e.Server.Overrides {
			if o.Name == "search_path" && (o.Database == "" || o.Database == c.d.Database.Name) {
				overridden = overridden || o.Role == ""
				check(c.d, c.rights, bearer(o)+" in "+c.d.Database.Name+", setting search_path", o.Value, o.Role, reset(o))
			}
		}
		if !overridden {
			check(c.d, c.rights, inDB(c.d, "search_path of database", "")+"default", value(e, "search_path"), "",
				"ALTER DATABASE "+quoteIdent(c.d.Database.Name)+" SET search_path = …; -- without schemas in which others may create")
		}
	}
	return found(fs)
}

func functionSecrets(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for i := range d.Routines {
			for _, h := range d.Routines[i].Body.Secrets {
				fs = append(fs, Finding{
					Object: strings.Replace(h.Object, "function ", "function "+d.Database.Name+".", 1), Place: fmt.Sprintf("line %d of its body", h.Line), Evidence: h.Kind,
					Fix: "take the secret out of the function, and change it",
				})
			}
		}
	}
	return found(fs)
}

func textSecrets(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for _, h := range d.Secrets {
			fs = append(fs, Finding{Object: "database " + d.Database.Name + ", " + h.Object, Evidence: h.Kind, Fix: "take the secret out, and change it"})
		}
	}
	return found(fs)
}
