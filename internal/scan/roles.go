package scan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// roleChecks are the checks of area ROL.
func roleChecks() []Check {
	roles := []catalog.Fact{catalog.FactRoles, catalog.FactMemberships}
	settings := []catalog.Fact{catalog.FactOverrides}
	return []Check{
		{ID: "ROL-001", Why: "Nothing in the server stops a superuser; each more is one more password that opens everything.", Reads: roles, Eval: manySuperusers},
		{ID: "ROL-002", Why: "A hole in the application is then a hole in the whole server, and in the machine.", Reads: []catalog.Fact{catalog.FactRoles, catalog.FactActivity}, Eval: superuserApplication},
		{ID: "ROL-003", Why: "The one role that cannot be limited can be guessed.", Reads: []catalog.Fact{catalog.FactVerifiers, catalog.FactHBA, catalog.FactRoles, catalog.FactMemberships}, Eval: bootstrapPassword},
		{ID: "ROL-004", Why: "A member who may become a superuser is one.", Reads: roles, Eval: becomesSuperuser},
		{ID: "ROL-005", Why: "Whoever makes roles gives himself what they may; before 16 that is nearly everything.", Reads: roles, Eval: createRole},
		{ID: "ROL-006", Why: "An application does not make databases; whoever has taken it over does.", Reads: roles, Eval: attribute("CREATEDB", func(r *catalog.Role) bool {
			return r.CreateDB && !r.CreateRole
		}, "NOCREATEDB")},
		{ID: "ROL-007", Why: "REPLICATION reads every byte of every database.", Reads: []catalog.Fact{catalog.FactRoles, catalog.FactOwned}, Eval: replicationHeld},
		{ID: "ROL-008", Why: "For this role there are no row policies.", Reads: roles, Eval: attribute("BYPASSRLS", func(r *catalog.Role) bool { return r.BypassRLS }, "NOBYPASSRLS")},
		{ID: "ROL-009", Why: "These roles read, write or run as the server's own account, which is superuser by another way.", Reads: roles, Eval: members(
			"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files")},
		{ID: "ROL-010", Why: "Whatever is created tomorrow is readable too.", Reads: roles, Eval: members("pg_read_all_data", "pg_write_all_data")},
		{ID: "ROL-011", Why: "These roles stop others' work or reach what is not theirs.", Reads: roles, Eval: members(
			"pg_signal_backend", "pg_checkpoint", "pg_maintain", "pg_create_subscription", "pg_use_reserved_connections", "pg_signal_autovacuum_worker")},
		{ID: "ROL-012", Why: "Whoever may grant a role decides who is in it, past any review.", Reads: roles, Eval: adminOption},
		{ID: "ROL-013", Why: "A stolen md5 verifier logs in as it is.", Reads: []catalog.Fact{catalog.FactVerifiers}, Eval: md5Verifiers},
		{ID: "ROL-014", Why: "A role that can never log in this way is forgotten, or waits for a password that nobody chose.", Reads: []catalog.Fact{catalog.FactVerifiers, catalog.FactHBA, catalog.FactRoles, catalog.FactMemberships}, Eval: noPassword},
		{ID: "ROL-016", Why: "Fewer rounds make a stolen verifier cheaper to guess.", Reads: []catalog.Fact{catalog.FactVerifiers}, Eval: fewIterations},
		wrongSettingReading("ROL-017", "New passwords are kept in a form that is as good as the password.", "password_encryption", func(v string) bool { return strings.ToLower(v) != "scram-sha-256" }, "scram-sha-256", settings),
		{ID: "ROL-019", Why: "What an expired role owns or may do waits for whoever renews it.", Reads: []catalog.Fact{catalog.FactRoles, catalog.FactOwned}, Eval: expiredHolds},
		{ID: "ROL-021", Why: "One role can use up every connection.", Reads: roles, Eval: attribute("no connection limit", func(r *catalog.Role) bool {
			return r.ConnLimit < 0
		}, "CONNECTION LIMIT 50")},
		{ID: "ROL-022", Why: "What a shared account did, nobody did.", Reads: []catalog.Fact{catalog.FactActivity}, Eval: sharedAccount},
		{ID: "ROL-023", Why: "Names like these are tried first.", Reads: roles, Eval: knownNames},
		{ID: "ROL-024", Why: "Any password will do, the role's own name included.", Eval: noPasswordModule},
		{ID: "ROL-025", Why: "Passwords can be tried as fast as the network carries them.", Eval: noBruteForceDelay},
		{ID: "ROL-026", Why: "For this role or database the server's own settings do not hold.", Reads: settings, Eval: weakOverrides},
		{ID: "ROL-027", Why: "A role that is both a person and a group gives everybody in it that person's rights.", Reads: roles, Eval: loginGroups},
		{ID: "ROL-028", Why: "Several people become superuser by logging in as one, and the log does not say who.", Reads: roles, Eval: noSetUser},
		{ID: "ROL-029", Why: "An owner passes every policy and may drop what is his.", Reads: []catalog.Fact{catalog.FactRoles, catalog.FactRelations}, Eval: ownerLogsIn},
		wrongSetting("ROL-030", "Names of roles mean different people in different databases.", "db_user_namespace", isOn, "off"),
		{ID: "ROL-031", Why: "With this setting triggers and foreign keys do not fire, and row protections built on them are gone.", Reads: []catalog.Fact{catalog.FactParameters, catalog.FactRoles, catalog.FactMemberships}, Eval: replicationRoleGranted},
		{ID: "ROL-032", Why: "Whoever may ALTER SYSTEM a setting may name the program that runs.", Reads: []catalog.Fact{catalog.FactParameters, catalog.FactRoles, catalog.FactMemberships}, Eval: alterSystemGranted},
	}
}

// wrongSettingReading is wrongSetting for a check that also reads facts.
func wrongSettingReading(id, why, name string, bad func(string) bool, to string, reads []catalog.Fact) Check {
	c := wrongSetting(id, why, name, bad, to)
	c.Reads = reads
	return c
}

// bootstrapOID is the OID of the role that initdb makes.
const bootstrapOID = 10

// administrator reports whether a role is an administrator by its place: the bootstrap superuser, the provider's own, and on a managed
// service the customer's.
func administrator(e *catalog.Evidence, r *catalog.Role) bool {
	if r.OID == bootstrapOID || catalog.Predefined(r.Name) {
		return true
	}
	p := ProviderOf(e)
	return p != nil && (slices.Contains(p.Platform, r.Name) || r.Name == p.Admin || rightsOf(e).MemberOf(r.Name, p.Admin))
}

// rightsOf answers for what is cluster-wide.
func rightsOf(e *catalog.Evidence) *catalog.Rights {
	return catalog.NewRights(e.Server.Major(), e.Server.Roles, e.Server.Memberships, nil)
}

// ordinary lists the roles that can log in and are neither superusers nor administrators.
func ordinary(e *catalog.Evidence) []*catalog.Role {
	var out []*catalog.Role
	for i := range e.Server.Roles {
		if r := &e.Server.Roles[i]; r.Login && !r.Superuser && !administrator(e, r) {
			out = append(out, r)
		}
	}
	return out
}

func manySuperusers(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for i := range e.Server.Roles {
		r := &e.Server.Roles[i]
		if !r.Superuser || administrator(e, r) {
			continue
		}
		fs = append(fs, Finding{
			Object: "role " + r.Name, Evidence: "superuser besides the one that initdb made",
			Fix: fmt.Sprintf("ALTER ROLE %s NOSUPERUSER; -- and grant it the predefined roles that it needs", quoteIdent(r.Name)),
		})
	}
	return found(fs)
}

// adminTools are clients that an administrator uses by hand.
var adminTools = []string{"psql", "pgadmin", "dbeaver", "datagrip", "pg_dump", "pg_basebackup", "pg_receivewal", "postern", "walreceiver"}

func superuserApplication(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, a := range e.Server.Activity {
		r := e.Server.Role(a.User)
		if r == nil || !r.Superuser || a.Local || a.Backend != "client backend" {
			continue
		}
		tool := strings.ToLower(a.Application)
		if a.Application != "" && slices.ContainsFunc(adminTools, func(t string) bool { return strings.HasPrefix(tool, t) }) {
			continue
		}
		f := Finding{
			Object: "role " + a.User, Evidence: fmt.Sprintf("superuser, connected from %s by %q", a.Address, a.Application),
			Fix: fmt.Sprintf("give the application a role of its own; ALTER ROLE %s NOSUPERUSER;", quoteIdent(a.User)),
		}
		if !slices.ContainsFunc(fs, func(x Finding) bool { return x.Object == f.Object }) {
			fs = append(fs, f)
		}
	}
	return found(fs)
}

func verifierOf(e *catalog.Evidence, role string) *catalog.Verifier {
	for i := range e.Server.Verifiers {
		if e.Server.Verifiers[i].Role == role {
			return &e.Server.Verifiers[i]
		}
	}
	return nil
}

// passwordMethods are the methods that ask for the password that the server keeps.
var passwordMethods = []string{"password", "md5", "scram-sha-256"}

// askedForPassword finds a rule by which a role is asked for a password.
func askedForPassword(e *catalog.Evidence, role string) *catalog.HBARule {
	all := reach(e)
	for i := range all {
		c := &all[i]
		if !c.Empty && slices.Contains(passwordMethods, c.Rule.Method) && slices.Contains(c.Users, role) {
			return c.Rule
		}
	}
	return nil
}

func bootstrapPassword(e *catalog.Evidence, _ *Env) Verdict {
	for i := range e.Server.Roles {
		r := &e.Server.Roles[i]
		if r.OID != bootstrapOID || !r.Login {
			continue
		}
		v := verifierOf(e, r.Name)
		rule := askedForPassword(e, r.Name)
		if v == nil || v.Kind == "none" || rule == nil {
			return hbaFound(e, nil)
		}
		return found([]Finding{{
			Object: "role " + r.Name, Place: rulePlace(rule), Evidence: "has a password, and " + rulePlace(rule) + " asks for it",
			Fix: fmt.Sprintf("ALTER ROLE %s PASSWORD NULL; -- after making sure that peer lets it in on the socket", quoteIdent(r.Name)),
		}})
	}
	return found(nil)
}

func becomesSuperuser(e *catalog.Evidence, _ *Env) Verdict {
	rights := rightsOf(e)
	var fs []Finding
	for _, r := range ordinary(e) {
		for i := range e.Server.Roles {
			s := &e.Server.Roles[i]
			if s.Superuser && reachesBySet(e, rights, r.Name, s.Name) {
				path := rights.Path(r.Name, s.Name)
				fs = append(fs, Finding{
					Object: "role " + r.Name, Evidence: "can become superuser " + s.Name + ": " + strings.Join(path, " > "),
					Fix: revokeFirst(path),
				})
				break
			}
		}
	}
	return found(fs)
}

// reachesBySet: superuser is an attribute, so it is not inherited; the last step must be SET ROLE, from the role itself or one that it can
// become by SET ROLE.
func reachesBySet(e *catalog.Evidence, rights *catalog.Rights, role, super string) bool {
	if e.Server.Major() < 16 {
		return rights.MemberOf(role, super)
	}
	return rights.CanSet(role, super)
}

func revokeFirst(path []string) string {
	if len(path) < 2 {
		return ""
	}
	return fmt.Sprintf("REVOKE %s FROM %s;", quoteIdent(path[len(path)-1]), quoteIdent(path[len(path)-2]))
}

func createRole(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, r := range ordinary(e) {
		if !r.CreateRole {
			continue
		}
		f := Finding{Object: "role " + r.Name, Evidence: "CREATEROLE", Fix: fmt.Sprintf("ALTER ROLE %s NOCREATEROLE;", quoteIdent(r.Name))}
		if e.Server.Major() < 16 {
			f.Severity, f.Moved = Critical, "before 16 it changes every role but superusers"
		}
		fs = append(fs, f)
	}
	return found(fs)
}

// attribute makes a check of ordinary login roles.
func attribute(what string, has func(*catalog.Role) bool, without string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		for _, r := range ordinary(e) {
			if has(r) {
				fs = append(fs, Finding{Object: "role " + r.Name, Evidence: what, Fix: fmt.Sprintf("ALTER ROLE %s %s;", quoteIdent(r.Name), without)})
			}
		}
		return found(fs)
	}
}

// owns is what a role owns and is granted, from pg_shdepend.
func owns(e *catalog.Evidence, role string) catalog.RoleOwns {
	for _, o := range e.Server.Owned {
		if o.Role == role {
			return o
		}
	}
	return catalog.RoleOwns{Role: role}
}

func replicationHeld(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, r := range ordinary(e) {
		o := owns(e, r.Name)
		if !r.Replication || !r.CreateRole && !r.CreateDB && o.Owns == 0 && o.Granted == 0 {
			continue // a role for replication and nothing else
		}
		fs = append(fs, Finding{
			Object: "role " + r.Name, Evidence: fmt.Sprintf("REPLICATION, and it owns %d objects and is granted %d", o.Owns, o.Granted),
			Fix: fmt.Sprintf("ALTER ROLE %s NOREPLICATION; -- and make a role for replication alone", quoteIdent(r.Name)),
		})
	}
	return found(fs)
}

// members makes a check of who is in predefined roles, by any path.
func members(of ...string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		rights := rightsOf(e)
		var fs []Finding
		for _, r := range ordinary(e) {
			for _, role := range of {
				if !rights.MemberOf(r.Name, role) {
					continue
				}
				path := rights.Path(r.Name, role)
				if path == nil {
					continue // a membership that neither inherits nor may SET ROLE gives nothing
				}
				fs = append(fs, Finding{Object: "role " + r.Name + " in " + role, Evidence: strings.Join(path, " > "), Fix: revokeFirst(path)})
			}
		}
		return found(fs)
	}
}

func adminOption(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, m := range e.Server.Memberships {
		r := e.Server.Role(m.Member)
		// From 16 a role with CREATEROLE has ADMIN on every role it made; ROL-005 speaks about it.
		if !m.Admin || r == nil || !r.Login || r.Superuser || r.CreateRole || administrator(e, r) {
			continue
		}
		fs = append(fs, Finding{
			Object: "role " + m.Member + " on " + m.Role, Evidence: "may grant " + m.Role + " to anybody",
			Fix: fmt.Sprintf("REVOKE ADMIN OPTION FOR %s FROM %s;", quoteIdent(m.Role), quoteIdent(m.Member)),
		})
	}
	return found(fs)
}

func md5Verifiers(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, v := range e.Server.Verifiers {
		if v.Kind == "md5" {
			fs = append(fs, Finding{
				Object: "role " + v.Role, Evidence: "the password is kept as md5",
				Fix: fmt.Sprintf("SET password_encryption = 'scram-sha-256'; then \\password %s in psql", quoteIdent(v.Role)),
			})
		}
	}
	return found(fs)
}

func noPassword(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	all := reach(e)
	for _, v := range e.Server.Verifiers {
		if v.Kind != "none" {
			continue
		}
		var asks *catalog.HBARule
		otherwise := false // another rule lets it in without a password
		for i := range all {
			c := &all[i]
			switch {
			case c.Empty || !accepts(c.Rule) || !slices.Contains(c.Users, v.Role):
			case slices.Contains(passwordMethods, c.Rule.Method):
				asks = c.Rule
			default:
				otherwise = true
			}
		}
		if asks != nil && !otherwise {
			fs = append(fs, Finding{
				Object: "role " + v.Role, Place: rulePlace(asks), Evidence: "has no password, and " + rulePlace(asks) + " asks for one",
				Fix: fmt.Sprintf("\\password %s in psql, or ALTER ROLE %s NOLOGIN;", quoteIdent(v.Role), quoteIdent(v.Role)),
			})
		}
	}
	return hbaFound(e, fs)
}

// leastIterations is PostgreSQL's default, from RFC 7677.
const leastIterations = 4096

func fewIterations(e *catalog.Evidence, _ *Env) Verdict {
	wanted := number(value(e, "scram_iterations"))
	var fs []Finding
	if wanted < leastIterations {
		fs = append(fs, badSetting(e, "scram_iterations", "4096"))
	}
	fs = append(fs, badOverrides(e, "scram_iterations", func(v string) bool { return number(v) < leastIterations })...)
	for _, v := range e.Server.Verifiers {
		if v.Kind == "scram" && int64(v.Iterations) < max(wanted, leastIterations) {
			fs = append(fs, Finding{
				Object: "role " + v.Role, Evidence: fmt.Sprintf("%d iterations", v.Iterations), Fix: fmt.Sprintf("\\password %s in psql", quoteIdent(v.Role)),
			})
		}
	}
	return found(fs)
}

func expiredHolds(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	for i := range e.Server.Roles {
		r := &e.Server.Roles[i]
		until, err := time.Parse(time.RFC3339, r.ValidUntil)
		if err != nil || until.After(env.Now) {
			continue
		}
		if o := owns(e, r.Name); o.Owns > 0 || o.Granted > 0 {
			fs = append(fs, Finding{
				Object: "role " + r.Name, Evidence: fmt.Sprintf("valid until %s, owns %d objects and is granted %d", r.ValidUntil, o.Owns, o.Granted),
				Fix: fmt.Sprintf("REASSIGN OWNED BY %s TO …; DROP OWNED BY %s; DROP ROLE %s;", quoteIdent(r.Name), quoteIdent(r.Name), quoteIdent(r.Name)),
			})
		}
	}
	return found(fs)
}

// One account from this many addresses, or this many kinds of program, is shared.
const sharedFrom = 4

func sharedAccount(e *catalog.Evidence, _ *Env) Verdict {
	from := map[string]map[string]bool{}
	clients := 0
	for _, a := range e.Server.Activity {
		if a.Backend != "client backend" || a.Address == "" {
			continue
		}
		clients++
		if from[a.User] == nil {
			from[a.User] = map[string]bool{}
		}
		from[a.User][a.Address] = true
	}
	if clients == 0 {
		return notEvaluated("no session over TCP is connected to judge by")
	}
	var fs []Finding
	for user, addresses := range from {
		if len(addresses) >= sharedFrom {
			fs = append(fs, Finding{
				Object: "role " + user, Evidence: fmt.Sprintf("connected from %d addresses at this moment", len(addresses)), Fix: "give each person and program a role of its own",
			})
		}
	}
	return found(fs)
}

// triedFirst are names that guessers try.
var triedFirst = []string{
	"test", "demo", "admin", "administrator", "guest", "repl", "user", "root", "dbuser", "pguser", "tester", "temp", "tmp", "sa", "oracle", "backup",
}

func knownNames(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for i := range e.Server.Roles {
		r := &e.Server.Roles[i]
		if r.Login && r.OID != bootstrapOID && slices.Contains(triedFirst, strings.ToLower(r.Name)) {
			fs = append(fs, Finding{Object: "role " + r.Name, Evidence: "can log in", Fix: fmt.Sprintf("ALTER ROLE %s NOLOGIN; -- or rename it", quoteIdent(r.Name))})
		}
	}
	return found(fs)
}

// preloaded reports whether one of the libraries is loaded at start or with each session.
func preloaded(e *catalog.Evidence, names ...string) bool {
	for _, s := range []string{"shared_preload_libraries", "session_preload_libraries", "local_preload_libraries"} {
		for _, lib := range items(e.Server.Value(s)) {
			lib = strings.TrimSuffix(lib[strings.LastIndex(lib, "/")+1:], ".so")
			if slices.Contains(names, lib) {
				return true
			}
		}
	}
	return false
}

func noPasswordModule(e *catalog.Evidence, _ *Env) Verdict {
	return failWhen(!preloaded(e, "passwordcheck", "passwordcheck_extra", "credcheck", "passwordpolicy", "passwordpolicies"), Finding{
		Object: "setting shared_preload_libraries", Evidence: show(e, "shared_preload_libraries") + "; a module that refuses weak passwords is not among them",
		Fix: addLibrary(e, "passwordcheck"),
	})
}

// addLibrary is the line that adds a library to those loaded at start.
func addLibrary(e *catalog.Evidence, name string) string {
	return alter(e, "shared_preload_libraries", strings.Join(append(items(e.Server.Value("shared_preload_libraries")), name), ", "))
}

func noBruteForceDelay(e *catalog.Evidence, _ *Env) Verdict {
	delay := preloaded(e, "auth_delay") && number(e.Server.Value("auth_delay.milliseconds")) > 0
	lock := preloaded(e, "credcheck") && number(e.Server.Value("credcheck.max_auth_failure")) > 0
	return failWhen(!delay && !lock, Finding{
		Object: "setting shared_preload_libraries", Evidence: show(e, "shared_preload_libraries") + ", " + show(e, "auth_delay.milliseconds"),
		Fix: addLibrary(e, "auth_delay") + " ALTER SYSTEM SET auth_delay.milliseconds = '500';",
	})
}

// weakening are values that take a protection away from a role or a database.
func weakening(name, v string) bool {
	switch name {
	case "row_security", "log_connections", "log_disconnections", "log_replication_commands":
		return !on(v) && (name == "row_security" || v == "" || slices.Contains([]string{"off", "false", "no", "0"}, strings.ToLower(v)))
	case "session_replication_role":
		return strings.ToLower(v) != "origin"
	case "log_statement":
		return strings.ToLower(v) == "none"
	case "log_min_messages", "log_min_error_statement":
		return slices.Contains([]string{"log", "fatal", "panic"}, strings.ToLower(v))
	case "check_function_bodies", "default_transaction_read_only":
		return false
	case "zero_damaged_pages", "ignore_checksum_failure", "lo_compat_privileges":
		return on(v)
	}
	return false
}

func weakOverrides(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, o := range e.Server.Overrides {
		if weakening(o.Name, o.Value) {
			fs = append(fs, Finding{Object: bearer(o) + ", setting " + o.Name, Evidence: o.Name + " = " + quoteLiteral(o.Value), Fix: reset(o)})
		}
	}
	return found(fs)
}

func loginGroups(e *catalog.Evidence, _ *Env) Verdict {
	members := map[string][]string{}
	for _, m := range e.Server.Memberships {
		r, member := e.Server.Role(m.Role), e.Server.Role(m.Member)
		if r == nil || member == nil || !r.Login || !m.Inherit && !m.Set || slices.Contains(members[m.Role], m.Member) {
			continue
		}
		members[m.Role] = append(members[m.Role], m.Member)
	}
	var fs []Finding
	for role, in := range members {
		slices.Sort(in)
		fs = append(fs, Finding{
			Object: "role " + role, Evidence: "can log in, and has members " + strings.Join(in, ", "),
			Fix: fmt.Sprintf("ALTER ROLE %s NOLOGIN; -- or make a group of its own for its members", quoteIdent(role)),
		})
	}
	return found(fs)
}

func noSetUser(e *catalog.Evidence, _ *Env) Verdict {
	admins := 0
	for i := range e.Server.Roles {
		if r := &e.Server.Roles[i]; r.Superuser && r.Login {
			admins++
		}
	}
	return failWhen(admins > 1 && !preloaded(e, "set_user"), Finding{
		Object: "setting shared_preload_libraries", Evidence: fmt.Sprintf("%d superusers can log in, and set_user is not loaded", admins), Fix: addLibrary(e, "set_user"),
	})
}

func ownerLogsIn(e *catalog.Evidence, _ *Env) Verdict {
	tables := map[string]int{}
	example := map[string]string{}
	for _, d := range e.Databases {
		for i := range d.Relations {
			rel := &d.Relations[i]
			if strings.ContainsRune("rpvmf", rune(rel.Kind)) && rel.Extension == "" {
				tables[rel.Owner]++
				example[rel.Owner] = d.Database.Name + "." + rel.Name.String()
			}
		}
	}
	var fs []Finding
	for _, r := range ordinary(e) {
		if n := tables[r.Name]; n > 0 {
			fs = append(fs, Finding{
				Object: "role " + r.Name, Evidence: fmt.Sprintf("can log in and owns %d tables and views, such as %s", n, example[r.Name]),
				Fix: fmt.Sprintf("CREATE ROLE %s NOLOGIN; REASSIGN OWNED BY %s TO %s;", quoteIdent(r.Name+"_owner"), quoteIdent(r.Name), quoteIdent(r.Name+"_owner")),
			})
		}
	}
	return found(fs)
}

// parameterHolders lists who was granted a right on a setting, superusers apart.
func parameterHolders(e *catalog.Evidence, match func(parameter string) bool, privilege string) []Finding {
	var fs []Finding
	for _, p := range e.Server.Parameters {
		if !match(p.Parameter) {
			continue
		}
		for _, g := range p.ACL {
			r := e.Server.Role(g.Grantee)
			if g.Privilege != privilege || r != nil && (r.Superuser || administrator(e, r)) {
				continue
			}
			fs = append(fs, Finding{
				Object: "setting " + p.Parameter + ", " + grantee(g.Grantee), Evidence: privilege + " granted by " + g.Grantor,
				Fix: fmt.Sprintf("REVOKE %s ON PARAMETER %s FROM %s;", privilege, p.Parameter, granteeSQL(g.Grantee)),
			})
		}
	}
	return fs
}

// grantee is a grantee for people.
func grantee(name string) string {
	if name == "" {
		return "PUBLIC"
	}
	return "role " + name
}

// granteeSQL is a grantee in a statement.
func granteeSQL(name string) string {
	if name == "" {
		return "PUBLIC"
	}
	return quoteIdent(name)
}

func replicationRoleGranted(e *catalog.Evidence, _ *Env) Verdict {
	return found(parameterHolders(e, func(p string) bool { return p == "session_replication_role" }, "SET"))
}

func alterSystemGranted(e *catalog.Evidence, _ *Env) Verdict {
	return found(parameterHolders(e, func(string) bool { return true }, "ALTER SYSTEM"))
}
