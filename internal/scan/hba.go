package scan

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// hbaChecks are the checks of area HBA. A rule is judged by what reaches it, not by how it looks.
func hbaChecks() []Check {
	hba := []catalog.Fact{catalog.FactHBA, catalog.FactRoles, catalog.FactMemberships, catalog.FactDatabases}
	ident := []catalog.Fact{catalog.FactIdent, catalog.FactHBA, catalog.FactRoles, catalog.FactMemberships, catalog.FactDatabases}
	return []Check{
		{ID: "HBA-001", Why: "Whoever reaches the port is whom he says he is.", Eval: methodOverNetwork("trust", "ok")},
		{ID: "HBA-002", Why: "Every account of the machine may become every role.", Reads: hba, Eval: trustOnSocket},
		{ID: "HBA-003", Why: "The password itself travels, and the server sees it.", Eval: methodOverNetwork("password", "cleartext")},
		{ID: "HBA-004", Why: "An md5 verifier is as good as the password to whoever steals it, and the method is on its way out.", Eval: methodOverNetwork("md5", "md5")},
		{ID: "HBA-005", Why: "The client's own machine is asked who its user is.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			return r.Rule.Method == "ident" && r.Network()
		}, "a method that proves something: scram-sha-256 or cert")},
		{ID: "HBA-006", Why: "Any address may try.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			return accepts(r.Rule) && r.Wide && r.Remote
		}, "the networks that clients come from")},
		{ID: "HBA-007", Why: "A range wider than any site of one's own lets strangers try.", Reads: hba, Eval: rangeTooWide},
		{ID: "HBA-009", Why: "The rule is as safe as the name service, and every connection waits for it.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			kind, _ := r.Rule.AddressKind()
			return kind == catalog.AddressName && accepts(r.Rule)
		}, "an address or a network")},
		{ID: "HBA-010", Why: "A client that does not ask for TLS is let in without.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			return r.Rule.Type == "host" && accepts(r.Rule) && r.Remote && r.Plain
		}, "hostssl in the place of host")},
		{ID: "HBA-011", Why: "The rule is about connections without TLS, and accepts them.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			return r.Rule.Type == "hostnossl" && accepts(r.Rule) && r.Network()
		}, "hostssl, or method reject")},
		{ID: "HBA-012", Why: "The rules look like protection and never match, since the server has no TLS.", Reads: hba, Eval: deadRules},
		{ID: "HBA-013", Why: "Every role may enter every database from the network.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			return accepts(r.Rule) && r.Remote && hasWord(r.Rule.Users, "all") && hasWord(r.Rule.Databases, "all")
		}, "the roles and databases that belong together")},
		{ID: "HBA-014", Why: "A stolen or guessed superuser password gives the whole server, from afar.", Reads: hba, Eval: powerfulReachable(func(r *catalog.Role) string {
			if r.Superuser {
				return "superuser"
			}
			return ""
		})},
		{ID: "HBA-015", Why: "These attributes are most of the way to superuser.", Reads: hba, Eval: attributesReachable},
		{ID: "HBA-016", Why: "Whoever replicates has a copy of everything.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			return accepts(r.Rule) && r.Network() && r.Replication && (hasWord(r.Rule.Users, "all") || r.Wide)
		}, "the replication role and the standby's address")},
		{ID: "HBA-017", Why: "The whole contents of the server travel in clear.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			return accepts(r.Rule) && r.Network() && r.Replication && r.Plain
		}, "hostssl in the place of host")},
		{ID: "HBA-018", Why: "Somebody believes that this line does something.", Reads: hba, Eval: shadowed},
		{ID: "HBA-019", Why: "What the line refuses was already let in above it.", Reads: hba, Eval: shadowedReject},
		{ID: "HBA-020", Why: "The file does not say what happens to the rest; a line added at its end may open more than was meant.", Reads: hba, Eval: noFinalReject},
		{ID: "HBA-021", Why: "The server keeps the rules it had before, and nobody sees which.", Reads: hba, Eval: brokenLines},
		{ID: "HBA-022", Why: "What the file says and what the server does are two things until a reload.", Eval: fileNewer},
		{ID: "HBA-024", Why: "Any certificate of the authority will do, whoever's it is.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			v, ok := r.Rule.Option("clientcert")
			return ok && accepts(r.Rule) && (v == "verify-ca" || v == "1") && r.Rule.Method != "cert"
		}, "clientcert=verify-full")},
		{ID: "HBA-025", Why: "The password goes to the directory in clear, or the directory's own password stands in the file.", Reads: hba, Eval: ldapOpen},
		{ID: "HBA-026", Why: "RADIUS hides a password behind a shared secret and an old hash, over UDP.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			return r.Rule.Method == "radius"
		}, "another method")},
		{ID: "HBA-027", Why: "These methods need the password itself, and nothing hides it on the way.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			return (r.Rule.Method == "pam" || r.Rule.Method == "bsd") && r.Network() && r.Plain
		}, "hostssl in the place of host")},
		{ID: "HBA-028", Why: "A user of the same name in any realm that is trusted gets in.", Reads: hba, Eval: eachRule(func(r *catalog.Reach) bool {
			realm, _ := r.Rule.Option("include_realm")
			_, pinned := r.Rule.Option("krb_realm")
			return (r.Rule.Method == "gss" || r.Rule.Method == "sspi") && realm == "0" && !pinned
		}, "include_realm=1, or krb_realm=REALM")},
		{ID: "HBA-029", Why: "A rule whose map does not exist lets nobody in, or waits for whoever defines it.", Reads: ident, Eval: mapMissing},
		{ID: "HBA-030", Why: "An outer account becomes superuser without a secret of the database.", Reads: ident, Eval: identSuperuser},
		{ID: "HBA-031", Why: "Every outer account fits the line.", Reads: ident, Eval: identCatchAll},
		{ID: "HBA-032", Why: "A token of another issuer, or checked by another module, may be taken.", Reads: hba, Eval: oauthOpen},
		{ID: "HBA-033", Why: "A stranger sees what would be asked of a role he can guess.", Consent: ProbeUser, Eval: offeredToNamed},
		{ID: "HBA-034", Why: "The server talks about logins before anything is encrypted.", Eval: plaintextOffered},
		{
			ID: "HBA-036", Why: "Whoever may enter an ordinary database stands before the sensitive one too.", Reads: hba, Eval: sensitiveShared,
		},
	}
}

// accepts reports whether a rule lets anybody go on to prove who he is.
func accepts(r *catalog.HBARule) bool { return r.Method != "reject" && r.Method != "" }

func hasWord(ws []catalog.HBAWord, word string) bool {
	return slices.ContainsFunc(ws, func(w catalog.HBAWord) bool { return !w.Quoted && w.Text == word })
}

// hbaContext is what rules are judged with.
func hbaContext(e *catalog.Evidence) *catalog.HBAContext {
	return catalog.NewHBAContext(e.Server.Major(), e.Server.Roles, e.Server.Memberships)
}

// reach evaluates the rules of the server.
func reach(e *catalog.Evidence) []catalog.Reach {
	var dbs []string
	for _, d := range e.Server.Databases {
		if d.AllowConn {
			dbs = append(dbs, d.Name)
		}
	}
	return catalog.ReachHBA(e.Server.HBA, hbaContext(e), dbs, on(e.Server.Value("ssl")))
}

// rulePlace is where a rule stands.
func rulePlace(r *catalog.HBARule) string {
	file := r.File
	if file == "" {
		file = "pg_hba.conf"
	}
	return fmt.Sprintf("%s:%d", file, r.Line)
}

// ruleFinding is a finding about a rule, one step milder when only loopback reaches it.
func ruleFinding(c *catalog.Reach, instead string) Finding {
	f := Finding{
		Object: "rule " + c.Rule.String(), Place: rulePlace(c.Rule), Evidence: "line " + rulePlace(c.Rule) + " decides for " + whom(c),
		Fix: "edit " + rulePlace(c.Rule) + ": " + instead + "; then SELECT pg_reload_conf();",
	}
	if c.Network() && !c.Remote {
		f.Severity, f.Moved = stepDown, "only loopback can reach it"
	}
	return f
}

// whom says for whom a rule decides, in a few words.
func whom(c *catalog.Reach) string {
	users := c.Users
	if slices.Contains(users, catalog.OtherName) {
		return "any role"
	}
	if len(users) > 3 {
		return fmt.Sprintf("%s and %d more roles", strings.Join(users[:3], ", "), len(users)-3)
	}
	return "role " + strings.Join(users, ", ")
}

// hbaFound is found, but never a pass while the file has errors: the rules in force are then older ones that nobody can see.
func hbaFound(e *catalog.Evidence, fs []Finding) Verdict {
	if len(fs) == 0 && slices.ContainsFunc(e.Server.HBA, func(r catalog.HBARule) bool { return r.Broken() }) {
		return notEvaluated("pg_hba.conf has errors, so the rules in force are older ones that cannot be seen")
	}
	return found(fs)
}

// eachRule makes a check of every rule for which something is left to decide.
func eachRule(bad func(*catalog.Reach) bool, instead string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		all := reach(e)
		for i := range all {
			if c := &all[i]; !c.Empty && bad(c) {
				fs = append(fs, ruleFinding(c, instead))
			}
		}
		return hbaFound(e, fs)
	}
}

// methodOverNetwork looks at rules and, without them, at what the outside probe was offered.
func methodOverNetwork(method, offer string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		rules := e.Server != nil && e.Missing(catalog.FactHBA, "") == nil
		if rules {
			all := reach(e)
			for i := range all {
				if c := &all[i]; !c.Empty && c.Network() && c.Rule.Method == method {
					fs = append(fs, ruleFinding(c, "scram-sha-256 in the place of "+method))
				}
			}
		}
		asked := 0
		for _, o := range e.Outside {
			for _, x := range o.Offers {
				asked++
				if x.Method == offer {
					fs = append(fs, offerFinding(o, x))
				}
			}
		}
		if !rules && asked == 0 {
			v := notEvaluated("needs the rules of pg_hba.conf, or an answer to the outside probe")
			v.lacks = catalog.FactHBA
			return v
		}
		if rules {
			return hbaFound(e, fs)
		}
		if len(fs) == 0 {
			return notEvaluated("the names that the probe tried were not offered this; the rules for others were not seen")
		}
		return found(fs)
	}
}

func offerFinding(o *catalog.Outside, x catalog.Offer) Finding {
	who, how := "a role that does not exist", "in plaintext"
	if !x.Random {
		who = "role " + x.User
	}
	if x.TLS {
		how = "inside TLS"
	}
	f := Finding{Object: "endpoint " + o.Endpoint + " " + how, Evidence: "answered " + x.Method + " to " + who, Fix: "change the rule that decides in pg_hba.conf"}
	if o.Loopback {
		f.Severity, f.Moved = stepDown, "the probe ran over loopback"
	}
	return f
}

func trustOnSocket(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	all := reach(e)
	for i := range all {
		if c := &all[i]; !c.Empty && c.Local && c.Rule.Method == "trust" && c.Rule.Type == "local" {
			fs = append(fs, ruleFinding(c, "peer or scram-sha-256 in the place of trust"))
		}
	}
	return hbaFound(e, fs)
}

func rangeTooWide(e *catalog.Evidence, env *Env) Verdict {
	v4, v6 := 16, 48
	if env.Expect != nil && env.Expect.MaxPrefixV4 > 0 {
		v4 = env.Expect.MaxPrefixV4
	}
	if env.Expect != nil && env.Expect.MaxPrefixV6 > 0 {
		v6 = env.Expect.MaxPrefixV6
	}
	return eachRule(func(r *catalog.Reach) bool {
		kind, p := r.Rule.AddressKind()
		if kind != catalog.AddressRange || !accepts(r.Rule) || !r.Remote || p.Bits() == 0 {
			return false // the whole address space is HBA-006
		}
		return p.Addr().Is4() && p.Bits() < v4 || p.Addr().Is6() && p.Bits() < v6
	}, "a narrower network")(e, env)
}

func deadRules(e *catalog.Evidence, _ *Env) Verdict {
	if on(e.Server.Value("ssl")) {
		return found(nil)
	}
	var fs []Finding
	for i := range e.Server.HBA {
		r := &e.Server.HBA[i]
		if r.Type == "hostssl" && accepts(r) && !r.Broken() {
			fs = append(fs, Finding{
				Object: "rule " + r.String(), Place: rulePlace(r), Evidence: "ssl is off, so the rule never matches", Fix: alter(e, "ssl", "on"),
			})
		}
	}
	return found(fs)
}

// powerfulReachable looks for roles with an attribute that get in over TCP.
func powerfulReachable(attribute func(*catalog.Role) string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		p := ProviderOf(e)
		var fs []Finding
		for i := range e.Server.Roles {
			role := &e.Server.Roles[i]
			what := attribute(role)
			if what == "" || !role.Login || p != nil && slices.Contains(p.Platform, role.Name) {
				continue
			}
			if f, ok := reachable(e, role, what); ok {
				fs = append(fs, f)
			}
		}
		return hbaFound(e, fs)
	}
}

func attributesReachable(e *catalog.Evidence, env *Env) Verdict {
	v := powerfulReachable(func(r *catalog.Role) string {
		var has []string
		for name, yes := range map[string]bool{"BYPASSRLS": r.BypassRLS, "REPLICATION": r.Replication, "CREATEROLE": r.CreateRole} {
			if yes && !r.Superuser {
				has = append(has, name)
			}
		}
		slices.Sort(has)
		return strings.Join(has, ", ")
	})(e, env)
	// From the network only: loopback is no finding here.
	v.findings = slices.DeleteFunc(v.findings, func(f Finding) bool { return f.Moved != "" })
	if v.state == Failed {
		return hbaFound(e, v.findings)
	}
	return v
}

// reachable finds the first rule by which a role gets in over TCP, a remote one before a loopback one.
func reachable(e *catalog.Evidence, role *catalog.Role, what string) (Finding, bool) {
	all := reach(e)
	var by *catalog.Reach
	for i := range all {
		c := &all[i]
		if c.Empty || !accepts(c.Rule) || !c.Network() || !slices.Contains(c.Users, role.Name) {
			continue
		}
		if what == "REPLICATION" && slices.Equal(c.Databases, []string{""}) {
			continue // a rule for replication alone is what the attribute is for; HBA-016 and HBA-017 judge it
		}
		if by == nil || c.Remote && !by.Remote {
			by = c
		}
	}
	if by == nil {
		return Finding{}, false
	}
	f := Finding{
		Object: "role " + role.Name, Place: rulePlace(by.Rule), Evidence: fmt.Sprintf("%s, let in by %s (%s)", what, rulePlace(by.Rule), by.Rule),
		Fix: fmt.Sprintf("put before %s: host all %s all reject; then SELECT pg_reload_conf();", rulePlace(by.Rule), quoteHBA(role.Name)),
	}
	if !by.Remote {
		f.Severity, f.Moved = stepDown, "only loopback can reach it"
	}
	return f, true
}

// quoteHBA writes a name for pg_hba.conf, so that it means nothing but itself.
func quoteHBA(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func shadowed(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	all := reach(e)
	for i := range all {
		c := &all[i]
		if !c.Empty || c.Void || c.Rule.Broken() || c.Rule.Dead() {
			continue
		}
		fs = append(fs, Finding{
			Object: "rule " + c.Rule.String(), Place: rulePlace(c.Rule), Evidence: "everything it would match is decided by " + takers(all, c),
			Fix: "move it up or take it out: " + rulePlace(c.Rule),
		})
	}
	return hbaFound(e, fs)
}

func takers(all []catalog.Reach, c *catalog.Reach) string {
	var out []string
	for _, t := range c.TakenBy {
		out = append(out, rulePlace(all[t].Rule))
	}
	return strings.Join(out, ", ")
}

func shadowedReject(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	all := reach(e)
	for i := range all {
		c := &all[i]
		if !c.Empty || c.Void || c.Rule.Method != "reject" {
			continue
		}
		for _, t := range c.TakenBy {
			if accepts(all[t].Rule) {
				fs = append(fs, Finding{
					Object: "rule " + c.Rule.String(), Place: rulePlace(c.Rule),
					Evidence: "what it refuses is accepted before by " + takers(all, c), Fix: "move " + rulePlace(c.Rule) + " above " + rulePlace(all[t].Rule),
				})
				break
			}
		}
	}
	return hbaFound(e, fs)
}

func noFinalReject(e *catalog.Evidence, _ *Env) Verdict {
	c := hbaContext(e)
	var fs []Finding
	for _, a := range []struct {
		name, line string
		attempt    catalog.Attempt
	}{
		{"local connections", "local all all reject", catalog.Attempt{Local: true}},
		{"TCP connections", "host all all all reject", catalog.Attempt{Address: netip.MustParseAddr("198.51.100.77")}},
	} {
		a.attempt.User, a.attempt.Database = catalog.OtherName, catalog.OtherName
		v := catalog.DecideHBA(e.Server.HBA, a.attempt, c)
		if v.Rule == nil || accepts(v.Rule) {
			fs = append(fs, Finding{
				Object: a.name, Evidence: "no last line refuses what no other line is about", Fix: "append to pg_hba.conf: " + a.line,
			})
		}
	}
	return hbaFound(e, fs)
}

func brokenLines(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for i := range e.Server.HBA {
		if r := &e.Server.HBA[i]; r.Broken() {
			fs = append(fs, Finding{Object: "line " + rulePlace(r), Place: rulePlace(r), Evidence: r.Error, Fix: "correct the line, then SELECT pg_reload_conf();"})
		}
	}
	return found(fs)
}

func fileNewer(e *catalog.Evidence, _ *Env) Verdict {
	f := e.Server.HBAFile
	if f == nil {
		return notEvaluated("the time of the file's last change was not seen")
	}
	return failWhen(f.Modified.After(e.Server.ConfigLoaded), Finding{
		Object: "file " + f.Path, Place: f.Path, Fix: "SELECT pg_reload_conf();",
		Evidence: fmt.Sprintf("changed %s, the server last loaded its configuration %s", f.Modified.UTC().Format("2006-01-02 15:04:05"),
			e.Server.ConfigLoaded.UTC().Format("2006-01-02 15:04:05")),
	})
}

func ldapOpen(e *catalog.Evidence, env *Env) Verdict {
	return eachRule(func(r *catalog.Reach) bool {
		if r.Rule.Method != "ldap" {
			return false
		}
		tls, _ := r.Rule.Option("ldaptls")
		scheme, _ := r.Rule.Option("ldapscheme")
		url, _ := r.Rule.Option("ldapurl")
		_, password := r.Rule.Option("ldapbindpasswd")
		return password || tls != "1" && scheme != "ldaps" && !strings.HasPrefix(url, "ldaps:")
	}, "ldaptls=1 or ldapscheme=ldaps, and no ldapbindpasswd")(e, env)
}

func mapMissing(e *catalog.Evidence, _ *Env) Verdict {
	defined := map[string]bool{}
	for _, i := range e.Server.Ident {
		if i.Error == "" {
			defined[i.Map] = true
		}
	}
	var fs []Finding
	for i := range e.Server.HBA {
		r := &e.Server.HBA[i]
		if name, ok := r.Option("map"); ok && !defined[name] {
			fs = append(fs, Finding{
				Object: "rule " + r.String(), Place: rulePlace(r), Evidence: "pg_ident.conf defines no map " + name,
				Fix: "define map " + name + " in pg_ident.conf, then SELECT pg_reload_conf();",
			})
		}
	}
	return found(fs)
}

func identPlace(r *catalog.IdentRule) string {
	file := r.File
	if file == "" {
		file = "pg_ident.conf"
	}
	return fmt.Sprintf("%s:%d", file, r.Line)
}

func identSuperuser(e *catalog.Evidence, _ *Env) Verdict {
	c := hbaContext(e)
	var fs []Finding
	for i := range e.Server.Ident {
		r := &e.Server.Ident[i]
		if r.Error != "" {
			continue
		}
		for _, role := range e.Server.Roles {
			if role.Superuser && role.Login && catalog.IdentGives(r, role.Name, c) {
				fs = append(fs, Finding{
					Object: fmt.Sprintf("map %s: %s to %s", r.Map, r.System, r.Role.Text), Place: identPlace(r),
					Evidence: "gives superuser " + role.Name, Fix: "take out " + identPlace(r) + ", then SELECT pg_reload_conf();",
				})
				break
			}
		}
	}
	return found(fs)
}

// strangers are names that a line which is about somebody does not match.
var strangers = []string{"q7zx-nobody", "q7zx@nowhere.invalid", "CN=q7zx,O=nowhere"}

func identCatchAll(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for i := range e.Server.Ident {
		r := &e.Server.Ident[i]
		if r.Error != "" || !strings.HasPrefix(r.System, "/") || strings.Contains(r.Role.Text, `\1`) {
			continue
		}
		re, err := regexp.Compile(r.System[1:])
		if err != nil || slices.ContainsFunc(strangers, func(s string) bool { return !re.MatchString(s) }) {
			continue
		}
		fs = append(fs, Finding{
			Object: fmt.Sprintf("map %s: %s to %s", r.Map, r.System, r.Role.Text), Place: identPlace(r), Evidence: "the pattern fits every name",
			Fix: "write a pattern with ^ and $ that fits only whom you mean, in " + identPlace(r),
		})
	}
	return found(fs)
}

func oauthOpen(e *catalog.Evidence, env *Env) Verdict {
	libraries := items(value(e, "oauth_validator_libraries"))
	return eachRule(func(r *catalog.Reach) bool {
		if r.Rule.Method != "oauth" {
			return false
		}
		_, issuer := r.Rule.Option("issuer")
		_, scope := r.Rule.Option("scope")
		_, validator := r.Rule.Option("validator")
		return !issuer || !scope || len(libraries) > 1 && !validator || len(libraries) == 0
	}, "issuer, scope and validator options, and one library in oauth_validator_libraries")(e, env)
}

func offeredToNamed(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	named := 0
	for _, o := range e.Outside {
		for _, x := range o.Offers {
			if x.Random {
				continue
			}
			named++
			if slices.Contains([]string{"ok", "cleartext", "md5"}, x.Method) {
				f := offerFinding(o, x)
				f.Object = "role " + x.User + " at " + f.Object
				fs = append(fs, f)
			}
		}
	}
	if named == 0 {
		return notEvaluated("no role was named with --probe-user")
	}
	return found(fs)
}

func plaintextOffered(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	asked := 0
	for _, o := range e.Outside {
		if o.Loopback {
			continue
		}
		for _, x := range o.Offers {
			if x.TLS || x.Method == "" {
				continue
			}
			asked++
			if x.Method != "error" {
				fs = append(fs, offerFinding(o, x))
				break
			}
		}
	}
	if asked == 0 {
		return notEvaluated("no remote endpoint answered a login attempt without TLS")
	}
	return found(fs)
}

func sensitiveShared(e *catalog.Evidence, _ *Env) Verdict {
	if len(e.Labels) == 0 {
		return notEvaluated("needs labels: postern discover has not run")
	}
	sensitive := map[string]bool{}
	for column := range e.Labels {
		db, _, _ := strings.Cut(column, ".")
		sensitive[db] = true
	}
	var fs []Finding
	all := reach(e)
	for i := range all {
		c := &all[i]
		if c.Empty || !accepts(c.Rule) {
			continue
		}
		labelled, other := "", ""
		for _, d := range c.Databases {
			if sensitive[d] {
				labelled = d
			} else if d != "" {
				other = d
			}
		}
		if labelled != "" && other != "" {
			fs = append(fs, Finding{
				Object: "rule " + c.Rule.String(), Place: rulePlace(c.Rule), Evidence: "lets into " + labelled + ", which holds labelled columns, and into others",
				Fix: "write rules of its own for database " + labelled,
			})
		}
	}
	return hbaFound(e, fs)
}
