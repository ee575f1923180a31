package scan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// declaredChecks are the checks that hold a server against what its site declares, all areas together.
func declaredChecks() []Check {
	rights := []catalog.Fact{catalog.FactRoles, catalog.FactMemberships, catalog.FactRelations, catalog.FactSchemas, catalog.FactColumns}
	roles := []catalog.Fact{catalog.FactRoles, catalog.FactMemberships}
	hba := append([]catalog.Fact{catalog.FactHBA}, roles...)
	lists := func(of func(*Expect) []string) func(*Env) bool {
		return func(env *Env) bool { return env.Expect != nil && of(env.Expect) != nil }
	}
	return []Check{
		{ID: "HBA-023", Why: "The role is meant to come with a certificate, and may come without one.", Reads: hba, Given: lists(func(x *Expect) []string { return x.CertRoles }), Eval: certificateNotAsked},
		{ID: "TLS-038", Why: "The site wants these connections encrypted by Kerberos, and they may come without.", Reads: hba, Given: func(env *Env) bool { return env.Expect != nil }, Eval: gssNotAsked},
		{ID: "ROL-018", Why: "A person who left keeps his login until somebody remembers.", Reads: roles, Given: lists(func(x *Expect) []string { return x.HumanRoles }), Eval: noExpiry},
		{ID: "PRV-013", Why: "What is called read-only can write.", Reads: rights, Given: lists(func(x *Expect) []string { return x.ReadOnly }), Eval: readOnlyWrites},
		{ID: "PRV-016", Why: "Somebody gave a right that nobody wrote down.", Reads: rights, Given: lists(func(x *Expect) []string { return x.Holders }), Eval: undeclaredHolders},
		{ID: "RLS-008", Why: "Permissive policies add up: one that is too wide opens the table for every tenant.", Reads: append(slices.Clone(rights), catalog.FactPolicies), Given: lists(func(x *Expect) []string { return x.TenantTables }), Eval: onlyPermissive},
		{ID: "RLS-011", Why: "A cheap function in a query's WHERE sees the rows before the view's own filter takes them out.", Reads: append(slices.Clone(rights), catalog.FactViews), Given: lists(func(x *Expect) []string { return x.GuardViews }), Eval: noBarrier},
		{ID: "RLS-012", Why: "The mask is worn by those who ask for it.", Reads: append(slices.Clone(rights), catalog.FactViews), Given: lists(func(x *Expect) []string { return x.MaskingViews }), Eval: baseReadable},
		{ID: "SEC-027", Why: "A view that an attacker made is run by the dump, with the dump's rights.", Reads: []catalog.Fact{catalog.FactOverrides}, Given: lists(func(x *Expect) []string { return x.DumpRoles }), Eval: dumpUnrestricted},
		{ID: "SEC-031", Why: "The server runs it, and nobody knows it.", Given: lists(func(x *Expect) []string { return x.Commands }), Eval: unexpectedCommands},
		{ID: "REP-006", Why: "Who takes the backup job's login takes the server.", Reads: roles, Given: lists(func(x *Expect) []string { return x.BackupRoles }), Eval: backupSuperuser},
		{ID: "REP-007", Why: "The copy holds the same data, and its door is wider.", Reads: hba, Given: func(env *Env) bool { return env.Primary != nil }, Eval: weakerStandby},
		{ID: "REP-008", Why: "The copy lets in whom the original keeps out.", Reads: hba, Given: func(env *Env) bool { return env.Primary != nil }, Eval: standbyReaders},
		{ID: "REP-013", Why: "An administrator who comes over the network can be anybody who has the password.", Reads: append(slices.Clone(hba), catalog.FactActivity), Eval: remoteAdministrators},
	}
}

func certificateNotAsked(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	all := reach(e)
	for i := range all {
		c := &all[i]
		mode, _ := c.Rule.Option("clientcert")
		if c.Empty || !accepts(c.Rule) || !c.Network() || c.Rule.Method == "cert" || mode == "verify-full" {
			continue
		}
		for _, name := range env.Expect.CertRoles {
			if slices.Contains(c.Users, name) {
				fs = append(fs, Finding{Object: rulePlace(c.Rule) + ", role " + name, Evidence: "lets it in by " + c.Rule.Method + " without a certificate of its own", Place: rulePlace(c.Rule), Fix: "add clientcert=verify-full to the rule, or use the method cert"})
			}
		}
	}
	return hbaFound(e, fs)
}

func gssNotAsked(e *catalog.Evidence, env *Env) Verdict {
	if !env.Expect.GSS {
		return notApplicable("the site does not ask for it")
	}
	return eachRule(func(c *catalog.Reach) bool { return c.Remote && c.Rule.Type != "hostgssenc" }, "hostgssenc")(e, env)
}

func noExpiry(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	for _, name := range env.Expect.HumanRoles {
		if r := e.Server.Role(name); r != nil && r.Login && (r.ValidUntil == "" || r.ValidUntil == "infinity") {
			fs = append(fs, Finding{Object: "role " + name, Evidence: "is a person's and never ends", Fix: "ALTER ROLE " + quoteIdent(name) + " VALID UNTIL '…';"})
		}
	}
	return found(fs)
}

func readOnlyWrites(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	for _, c := range cases(e) {
		for _, name := range env.Expect.ReadOnly {
			if e.Server.Role(name) == nil {
				continue
			}
			for i := range c.d.Relations {
				r := &c.d.Relations[i]
				for _, p := range []string{"INSERT", "UPDATE", "DELETE", "TRUNCATE"} {
					if isTable(r) && c.rights.Table(name, r, p) {
						fs = append(fs, Finding{Object: inDB(c.d, "table", r.Name.String()) + ", role " + name, Evidence: "may " + p, Fix: onDB(c.d, "REVOKE "+p+" ON "+qualified(r.Name)+" FROM "+quoteIdent(name)+"; -- or from the role it inherits from")})
						break
					}
				}
			}
		}
	}
	return found(fs)
}

func undeclaredHolders(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	for _, g := range grants(e) {
		who := g.grant.Grantee
		if who == "" || who == g.owner || catalog.Predefined(who) || marked(e, who) || slices.Contains(env.Expect.Holders, who) || superuserName(e, who) {
			continue
		}
		fs = append(fs, Finding{Object: g.object + ", role " + who, Evidence: "holds " + g.grant.Privilege + " and is not declared", Fix: onDB(g.db, "REVOKE "+g.grant.Privilege+" ON "+g.on+" FROM "+quoteIdent(who)+"; -- or declare the role")})
	}
	return found(fs)
}

// declared looks up schema.name in every database; it calls each with what is there.
func declared(e *catalog.Evidence, names []string, each func(c *tableCase, r *catalog.Relation)) {
	for _, c := range cases(e) {
		for i := range c.d.Relations {
			if r := &c.d.Relations[i]; slices.Contains(names, r.Name.String()) {
				each(c, r)
			}
		}
	}
}

func onlyPermissive(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	declared(e, env.Expect.TenantTables, func(c *tableCase, r *catalog.Relation) {
		restrictive := slices.ContainsFunc(r.Policies, func(p catalog.RowPolicy) bool { return !p.Permissive })
		if r.RowSecurity && len(r.Policies) > 0 && !restrictive {
			fs = append(fs, Finding{
				Object: inDB(c.d, "table", r.Name.String()), Evidence: fmt.Sprintf("%d policies, all of them permissive", len(r.Policies)),
				Fix: onDB(c.d, "CREATE POLICY tenant ON "+qualified(r.Name)+" AS RESTRICTIVE USING (…);"),
			})
		}
	})
	return found(fs)
}

func noBarrier(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	declared(e, env.Expect.GuardViews, func(c *tableCase, r *catalog.Relation) {
		if v, _ := option(r.Options, "security_barrier"); r.Kind == 'v' && !on(v) {
			fs = append(fs, Finding{Object: inDB(c.d, "view", r.Name.String()), Evidence: "filters rows without security_barrier", Fix: onDB(c.d, "ALTER VIEW "+qualified(r.Name)+" SET (security_barrier = true);")})
		}
	})
	return found(fs)
}

func baseReadable(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	declared(e, env.Expect.MaskingViews, func(c *tableCase, v *catalog.Relation) {
		for _, base := range v.DependsOn {
			t := c.d.Relation(base)
			if t == nil || t.Kind == 'v' {
				continue
			}
			schema := c.d.Schema(base.Schema)
			for _, r := range ordinary(e) {
				reads := schema != nil && c.rights.Schema(r.Name, schema, "USAGE") && c.rights.Table(r.Name, t, "SELECT")
				if reads && c.rights.Table(r.Name, v, "SELECT") && !c.rights.Uses(r.Name, t.Owner) {
					fs = append(fs, Finding{Object: inDB(c.d, "table", base.String()) + ", role " + r.Name, Evidence: "reads it past the view " + v.Name.String(), Fix: onDB(c.d, "REVOKE SELECT ON "+qualified(base)+" FROM "+quoteIdent(r.Name)+"; -- or from the role it inherits from")})
				}
			}
		}
	})
	return found(fs)
}

func dumpUnrestricted(e *catalog.Evidence, env *Env) Verdict {
	const name = "restrict_nonsystem_relation_kind"
	if !seen(e, name) {
		return notApplicable("this server does not have the setting " + name)
	}
	restricts := func(v string) bool { return strings.Contains(v, "view") && strings.Contains(v, "foreign-table") }
	var fs []Finding
	for _, role := range env.Expect.DumpRoles {
		v := value(e, name)
		for _, o := range e.Server.Overrides {
			if o.Name == name && o.Role == role && o.Database == "" {
				v = o.Value
			}
		}
		if e.Server.Role(role) != nil && !restricts(v) {
			fs = append(fs, Finding{Object: "role " + role, Evidence: name + " is " + orNone(v), Fix: "ALTER ROLE " + quoteIdent(role) + " SET " + name + " = 'view, foreign-table';"})
		}
	}
	return found(fs)
}

func unexpectedCommands(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	for _, name := range []string{"archive_library", "archive_cleanup_command", "recovery_end_command"} {
		if v := e.Server.Value(name); v != "" && !slices.Contains(env.Expect.Commands, v) {
			fs = append(fs, badSetting(e, name, ""))
		}
	}
	return found(fs)
}

func backupSuperuser(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	for _, name := range env.Expect.BackupRoles {
		if superuserName(e, name) {
			fs = append(fs, Finding{Object: "role " + name, Evidence: "makes backups and is a superuser", Fix: "ALTER ROLE " + quoteIdent(name) + " NOSUPERUSER REPLICATION; GRANT pg_read_all_data TO " + quoteIdent(name) + ";"})
		}
	}
	return found(fs)
}

// admitted says which rule of a server lets a role into a database from an address, with TLS; nil for none.
func admitted(e *catalog.Evidence, c *catalog.HBAContext, a catalog.Attempt) *catalog.HBARule {
	if v := catalog.DecideHBA(e.Server.HBA, a, c); v.Admits() {
		return v.Rule
	}
	return nil
}

// strength orders methods: what a higher one asks for is harder to have.
func strength(method string) int {
	return slices.Index([]string{"trust", "ident", "password", "ldap", "pam", "radius", "bsd", "md5", "scram-sha-256", "peer", "sspi", "gss", "oauth", "cert"}, method)
}

// attempts are logins that the rules of two servers are compared by: an address inside each range that either names.
func attempts(servers ...*catalog.Evidence) []catalog.Attempt {
	var out []catalog.Attempt
	for _, e := range servers {
		for i := range e.Server.HBA {
			r := &e.Server.HBA[i]
			kind, p := r.AddressKind()
			if r.Broken() || kind != catalog.AddressRange && kind != catalog.AddressAll {
				continue
			}
			if kind == catalog.AddressAll {
				p = netip.MustParsePrefix("192.0.2.1/32") // an address of no network, as documents use it
			}
			for _, tls := range []bool{true, false} {
				same := func(a catalog.Attempt) bool { return a.Address == p.Addr() && a.TLS == tls }
				if !slices.ContainsFunc(out, same) {
					out = append(out, catalog.Attempt{Address: p.Addr(), TLS: tls})
				}
			}
		}
	}
	return out
}

func weakerStandby(e *catalog.Evidence, env *Env) Verdict {
	p := env.Primary
	if p.Server == nil || p.Missing(catalog.FactHBA, "") != nil {
		return notEvaluated("the primary's rules were not seen")
	}
	var fs []Finding
	for name, better := range map[string]func(string) bool{"ssl": isOn, "log_connections": isOn, "fsync": isOn, "password_encryption": oneOf("scram-sha-256")} {
		if a, b := p.Server.Value(name), e.Server.Value(name); a != b && better(a) && !better(b) {
			fs = append(fs, badSetting(e, name, a))
		}
	}
	for _, l := range compareRules(e, p) {
		if l.here != nil && l.there != nil && strength(l.here.Method) < strength(l.there.Method) {
			fs = append(fs, Finding{Object: rulePlace(l.here) + ", role " + l.attempt.User, Evidence: "asks for " + l.here.Method + ", the primary for " + l.there.Method, Place: rulePlace(l.here), Fix: "give the standby the primary's rules"})
		}
	}
	return found(onePerObject(fs))
}

func standbyReaders(e *catalog.Evidence, env *Env) Verdict {
	p := env.Primary
	if p.Server == nil || p.Missing(catalog.FactHBA, "") != nil {
		return notEvaluated("the primary's rules were not seen")
	}
	var fs []Finding
	for _, l := range compareRules(e, p) {
		if l.here != nil && l.there == nil {
			fs = append(fs, Finding{Object: rulePlace(l.here) + ", role " + l.attempt.User, Evidence: "is let in here from " + l.attempt.Address.String() + ", and by the primary not", Place: rulePlace(l.here), Fix: "give the standby the primary's rules"})
		}
	}
	return found(onePerObject(fs))
}

// compared is one login, and the rules that let it in on a standby and its primary.
type compared struct {
	attempt     catalog.Attempt
	here, there *catalog.HBARule
}

func compareRules(e, p *catalog.Evidence) []compared {
	here, there := hbaContext(e), hbaContext(p)
	var out []compared
	for _, a := range attempts(e, p) {
		for _, r := range e.Server.Roles {
			if !r.Login {
				continue
			}
			for _, d := range e.Server.Databases {
				if a.User, a.Database = r.Name, d.Name; d.AllowConn {
					out = append(out, compared{a, admitted(e, here, a), admitted(p, there, a)})
				}
			}
		}
	}
	return out
}

// onePerObject leaves out findings on an object that has one already.
func onePerObject(fs []Finding) []Finding {
	seen := map[string]bool{}
	return slices.DeleteFunc(fs, func(f Finding) bool {
		again := seen[f.Object]
		seen[f.Object] = true
		return again
	})
}

func remoteAdministrators(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	for i := range e.Server.Activity {
		a := &e.Server.Activity[i]
		if r := e.Server.Role(a.User); r != nil && (r.Superuser || administrator(e, r)) && remote(a) && a.Backend == "client backend" {
			fs = append(fs, Finding{Object: "role " + a.User + " from " + a.Address, Evidence: "an administrator is connected over the network at this moment", Fix: "let administrators come through an SSH tunnel or a gateway, and admit them by the socket alone"})
		}
	}
	if len(fs) > 0 {
		return found(onePerObject(fs))
	}
	for _, r := range e.Server.Roles {
		if !r.Superuser || !r.Login {
			continue
		}
		if f, yes := reachable(e, &r, "administrator"); yes && f.Severity == SeverityUnset {
			return notEvaluated("the rules let " + r.Name + " come over the network, and no such session was seen at this moment")
		}
	}
	return found(nil)
}

// marked reports whether a role is one that Postern made, by the marker that stands as its comment.
func marked(e *catalog.Evidence, role string) bool {
	r := e.Server.Role(role)
	return r != nil && strings.HasPrefix(r.Comment, "postern/1 ")
}
