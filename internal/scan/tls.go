package scan

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// tlsChecks are the checks of area TLS that need a login. Those of the outside probe are in tls_outside.go.
func tlsChecks() []Check {
	hba := []catalog.Fact{catalog.FactHBA}
	activity := []catalog.Fact{catalog.FactActivity, catalog.FactRoles}
	return append([]Check{
		{ID: "TLS-001", Why: "Everything that passes, passwords of some methods among it, can be read on the way.", Eval: tlsOff},
		{ID: "TLS-002", Why: "Versions before 1.2 can be broken by who is on the way.", Eval: oldTLS},
		{ID: "TLS-003", Why: "TLS 1.3 hides more and has no weak choices.", Eval: noTLS13},
		{ID: "TLS-007", Why: "The suites of TLS 1.3 are good as they come.", Eval: tls13Suites},
		{ID: "TLS-008", Why: "The client's preference decides, and clients are old.", Eval: clientOrder},
		{ID: "TLS-009", Why: "A weak group undoes a strong cipher.", Eval: groups},
		{ID: "TLS-019", Why: "The certificate was made when the package was installed and says nothing about this server.", Eval: snakeOil},
		{ID: "TLS-024", Why: "A reload keeps the old certificate without saying so.", Eval: passphraseReload},
		{ID: "TLS-025", Why: "No client certificate can be checked, so the rules let nobody in, or fall to the next.", Reads: hba, Eval: certWithout("ssl_ca_file", "TLS-025")},
		{ID: "TLS-027", Why: "A certificate that was stolen stays good until it expires.", Reads: hba, Eval: certWithout("ssl_crl_file", "TLS-027")},
		{ID: "TLS-030", Why: "These sessions can be read on the way.", Reads: activity, Eval: plainSessions},
		{ID: "TLS-031", Why: "These sessions use what can be broken.", Reads: activity, Eval: weakSessions},
		{ID: "TLS-032", Why: "The most powerful sessions are the ones that anybody on the way can read.", Reads: activity, Eval: powerfulPlain},
		{ID: "TLS-033", Why: "The standby does not check whom it copies from.", Eval: conninfoMode},
		{ID: "TLS-034", Why: "Compression lets secrets be guessed from lengths.", Eval: conninfoCompression},
		{ID: "TLS-035", Why: "The subscriber does not check whom it copies from.", Reads: []catalog.Fact{catalog.FactSubscriptions, catalog.FactConninfo}, Eval: subscriptionMode},
		{ID: "TLS-036", Why: "The server sends its credentials to whoever answers.", Reads: []catalog.Fact{catalog.FactForeignServers}, Eval: foreignMode},
		{ID: "TLS-040", Why: "Somebody on the way can put statements before the client's own.", Eval: stuffing},
	}, append(outsideChecks(), suiteChecks()...)...)
}

// asked returns the endpoints that answered the probe.
func asked(e *catalog.Evidence) []*catalog.Outside {
	var out []*catalog.Outside
	for _, o := range e.Outside {
		if o.Reachable {
			out = append(out, o)
		}
	}
	return out
}

func endpoint(o *catalog.Outside) string { return "endpoint " + o.Endpoint }

func tlsOff(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, o := range asked(e) {
		if o.TLS == "N" {
			fs = append(fs, Finding{Object: endpoint(o), Evidence: "answers N to SSLRequest", Fix: "ALTER SYSTEM SET ssl = 'on'; -- with ssl_cert_file and ssl_key_file"})
		}
	}
	if e.Server == nil {
		if len(asked(e)) == 0 {
			return notEvaluated("no endpoint answered")
		}
		return found(fs)
	}
	if isOff(value(e, "ssl")) {
		f := badSetting(e, "ssl", "on")
		if v := e.Server.Setting("listen_addresses"); v != nil && loopbackOnly(v.Value) {
			f.Severity, f.Moved = stepDown, "only loopback can reach it"
		}
		fs = append(fs, f)
	}
	return found(fs)
}

// loopbackOnly reports whether the server listens on loopback or not at all.
func loopbackOnly(listen string) bool {
	for _, a := range items(listen) {
		addr, err := netip.ParseAddr(a)
		if a != "localhost" && (err != nil || !addr.IsLoopback()) {
			return false
		}
	}
	return true
}

func tlsOffHere(e *catalog.Evidence) bool {
	return e.Server != nil && isOff(e.Server.Value("ssl")) && len(asked(e)) == 0
}

const noTLS = "TLS is off, which is TLS-001"

var oldVersions = []string{"SSLv3", "TLSv1", "TLSv1.1"}

func oldTLS(e *catalog.Evidence, _ *Env) Verdict {
	if tlsOffHere(e) {
		return notApplicable(noTLS)
	}
	var fs []Finding
	tried := false
	for _, o := range asked(e) {
		for _, v := range oldVersions {
			tried = tried || slices.Contains(o.Tried, v)
			if slices.Contains(o.Versions, v) {
				fs = append(fs, Finding{Object: endpoint(o), Evidence: "accepts " + v, Fix: "ALTER SYSTEM SET ssl_min_protocol_version = 'TLSv1.2'; SELECT pg_reload_conf();"})
			}
		}
	}
	if e.Server != nil && seen(e, "ssl_min_protocol_version") {
		v := value(e, "ssl_min_protocol_version")
		if v == "" || slices.Contains(oldVersions, v) {
			fs = append(fs, badSetting(e, "ssl_min_protocol_version", "TLSv1.2"))
		}
		return found(fs)
	}
	if !tried && len(fs) == 0 {
		return notEvaluated("old versions were not tried")
	}
	return found(fs)
}

func noTLS13(e *catalog.Evidence, _ *Env) Verdict {
	if tlsOffHere(e) {
		return notApplicable(noTLS)
	}
	var fs []Finding
	tried := false
	for _, o := range asked(e) {
		if !slices.Contains(o.Tried, "TLSv1.3") {
			continue
		}
		tried = true
		if !slices.Contains(o.Versions, "TLSv1.3") {
			fs = append(fs, Finding{Object: endpoint(o), Evidence: "refuses TLSv1.3", Fix: "ALTER SYSTEM RESET ssl_max_protocol_version; SELECT pg_reload_conf();"})
		}
	}
	if e.Server != nil && seen(e, "ssl_max_protocol_version") {
		if v := value(e, "ssl_max_protocol_version"); v != "" && v != "TLSv1.3" {
			fs = append(fs, badSetting(e, "ssl_max_protocol_version", ""))
		}
		return found(fs)
	}
	if !tried {
		return notEvaluated("TLS 1.3 was not tried")
	}
	return found(fs)
}

var goodTLS13 = []string{"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"}

func tls13Suites(e *catalog.Evidence, _ *Env) Verdict {
	if e.Server == nil || !seen(e, "ssl_tls13_ciphers") {
		return notEvaluated("setting ssl_tls13_ciphers was not seen")
	}
	suites := strings.FieldsFunc(value(e, "ssl_tls13_ciphers"), func(r rune) bool { return r == ':' || r == ',' || r == ' ' })
	bad := slices.ContainsFunc(suites, func(s string) bool { return !slices.Contains(goodTLS13, s) })
	return failWhen(bad, badSetting(e, "ssl_tls13_ciphers", ""))
}

func clientOrder(e *catalog.Evidence, _ *Env) Verdict {
	if tlsOffHere(e) {
		return notApplicable(noTLS)
	}
	if e.Server != nil {
		return failWhen(isOff(value(e, "ssl_prefer_server_ciphers")), badSetting(e, "ssl_prefer_server_ciphers", "on"))
	}
	var fs []Finding
	known := false
	for _, o := range asked(e) {
		known = known || o.Server != ""
		if o.Server == "client" {
			fs = append(fs, Finding{Object: endpoint(o), Evidence: "takes the client's first suite", Fix: "ALTER SYSTEM SET ssl_prefer_server_ciphers = 'on'; SELECT pg_reload_conf();"})
		}
	}
	if !known {
		return notEvaluated("whose order of suites decides was not seen")
	}
	return found(fs)
}

// weakGroup are curves below 112 bits of security, by their names in OpenSSL.
var weakGroup = regexp.MustCompile(`(?i)^(secp1(12|28|60|92)|prime(192|239)|sect1|sect2[0-2]|wtls|secp2(00|20)|brainpoolP(160|192)|c2)`)

func groups(e *catalog.Evidence, _ *Env) Verdict {
	if tlsOffHere(e) {
		return notApplicable(noTLS)
	}
	if fs, listed := groupsOutside(e); e.Server == nil || len(fs) > 0 {
		if !listed {
			return notEvaluated("the groups that the endpoint accepts were not enumerated")
		}
		return found(fs)
	}
	name := "ssl_groups"
	if !seen(e, name) {
		name = "ssl_ecdh_curve"
	}
	if !seen(e, name) {
		return notEvaluated("setting " + name + " was not seen")
	}
	modern, weak := false, ""
	for _, g := range strings.FieldsFunc(value(e, name), func(r rune) bool { return r == ':' || r == ',' }) {
		g = strings.TrimLeft(g, "*?")
		if weakGroup.MatchString(g) {
			weak = g
		}
		modern = modern || strings.Contains(strings.ToUpper(g), "X25519") || strings.Contains(strings.ToUpper(g), "MLKEM")
	}
	f := badSetting(e, name, "X25519:prime256v1")
	if e.Server.Major() < 18 {
		f = badSetting(e, name, "X25519")
	}
	switch {
	case weak != "":
		f.Evidence += "; " + weak + " is weak"
	case !modern:
		f.Evidence += "; neither X25519 nor a hybrid group is offered"
	}
	return failWhen(weak != "" || !modern, f)
}

func snakeOil(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, o := range asked(e) {
		if len(o.Chain) > 0 && o.Chain[0].SelfSigned && !strings.Contains(o.Chain[0].CommonName, ".") && len(o.Chain[0].Names) <= 1 && o.Chain[0].CommonName != "" &&
			o.Chain[0].NotAfter.Sub(o.Chain[0].NotBefore).Hours() > 24*3649 {
			fs = append(fs, Finding{Object: endpoint(o), Evidence: "certificate " + o.Chain[0].Subject + ", issued by itself for ten years", Fix: "use a certificate of your own authority"})
		}
	}
	if e.Server != nil && on(e.Server.Value("ssl")) && strings.Contains(value(e, "ssl_cert_file"), "ssl-cert-snakeoil") {
		fs = append(fs, badSetting(e, "ssl_cert_file", "server.crt"))
	}
	return found(fs)
}

func passphraseReload(e *catalog.Evidence, _ *Env) Verdict {
	if value(e, "ssl_passphrase_command") == "" {
		return notApplicable("there is no passphrase command")
	}
	return failWhen(isOff(value(e, "ssl_passphrase_command_supports_reload")), badSetting(e, "ssl_passphrase_command_supports_reload", "on"))
}

// certWithout looks for rules that check client certificates while a setting they need is empty.
func certWithout(setting, id string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var rule *catalog.HBARule
		for i := range e.Server.HBA {
			r := &e.Server.HBA[i]
			v, given := r.Option("clientcert")
			if !r.Broken() && (r.Method == "cert" || given && v != "no-verify" && v != "0") {
				rule = r
				break
			}
		}
		if rule == nil {
			return notApplicable("no rule asks for a client certificate")
		}
		empty := value(e, setting) == ""
		if id == "TLS-027" {
			empty = empty && e.Server.Value("ssl_crl_dir") == ""
		}
		f := badSetting(e, setting, map[string]string{"ssl_ca_file": "root.crt", "ssl_crl_file": "root.crl"}[setting])
		f.Evidence += ", while " + rulePlace(rule) + " checks client certificates"
		return failWhen(empty, f)
	}
}

// remote reports whether a session came from another machine.
func remote(a *catalog.Activity) bool {
	addr, err := netip.ParseAddr(a.Address)
	return err == nil && !addr.IsLoopback()
}

func plainSessions(e *catalog.Evidence, _ *Env) Verdict {
	count := map[string]int{}
	for i := range e.Server.Activity {
		a := &e.Server.Activity[i]
		if remote(a) && !a.TLS && !a.GSSEncrypted {
			count["role "+a.User+" from "+a.Address]++
		}
	}
	var fs []Finding
	for object, n := range count {
		fs = append(fs, Finding{Object: object, Evidence: fmt.Sprintf("%d sessions without TLS at this moment", n), Fix: "make the client use sslmode=verify-full, and the rule hostssl"})
	}
	return found(fs)
}

var weakCipher = regexp.MustCompile(`(?i)RC4|3DES|DES-CBC|NULL|EXP|MD5|ADH|AECDH|IDEA|SEED|RC2`)

func weakSessions(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for i := range e.Server.Activity {
		a := &e.Server.Activity[i]
		if !a.TLS || !slices.Contains(oldVersions, a.TLSVersion) && !weakCipher.MatchString(a.Cipher) && a.Bits >= 128 {
			continue
		}
		fs = append(fs, Finding{Object: "role " + a.User + " from " + a.Address, Evidence: fmt.Sprintf("%s, %s, %d bits", a.TLSVersion, a.Cipher, a.Bits), Fix: "update the client"})
	}
	return found(fs)
}

func powerfulPlain(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for i := range e.Server.Activity {
		a := &e.Server.Activity[i]
		powerful := superuserName(e, a.User) || a.Backend == "walsender"
		if a.Address == "" || a.TLS || a.GSSEncrypted || !powerful {
			continue
		}
		f := Finding{Object: "role " + a.User + " from " + a.Address, Evidence: a.Backend + " without TLS", Fix: "use sslmode=verify-full, and hostssl in the rule"}
		if !remote(a) {
			f.Severity, f.Moved = stepDown, "over loopback"
		}
		fs = append(fs, f)
	}
	return found(fs)
}

// conninfo reads a parameter of a connection string in either form.
func conninfo(s, name string) string {
	if strings.Contains(s, "://") {
		_, query, _ := strings.Cut(s, "?")
		for _, p := range strings.Split(query, "&") {
			if v, ok := strings.CutPrefix(p, name+"="); ok {
				return v
			}
		}
		return ""
	}
	m := regexp.MustCompile(`(?:^|\s)` + regexp.QuoteMeta(name) + `\s*=\s*('(?:[^'\\]|\\.)*'|[^\s']+)`).FindStringSubmatch(s)
	if m == nil {
		return ""
	}
	return strings.Trim(m[1], "'")
}

// local reports whether a connection string goes to a Unix socket.
func local(s string) bool {
	host := conninfo(s, "host")
	return strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@")
}

func conninfoMode(e *catalog.Evidence, _ *Env) Verdict {
	v := value(e, "primary_conninfo")
	if v == "" {
		return notApplicable("the server has no primary_conninfo")
	}
	f := Finding{
		Object: "setting primary_conninfo", Evidence: "sslmode is " + orNone(conninfo(v, "sslmode")), Place: place(e, "primary_conninfo"),
		Fix: "set sslmode=verify-full and sslrootcert in primary_conninfo",
	}
	if conninfo(v, "sslmode") == "verify-ca" {
		f.Severity, f.Moved = stepDown, "the authority is checked, the name is not"
	}
	return failWhen(conninfo(v, "sslmode") != "verify-full" && !local(v), f)
}

func orNone(v string) string {
	if v == "" {
		return "not set"
	}
	return v
}

func conninfoCompression(e *catalog.Evidence, _ *Env) Verdict {
	v := value(e, "primary_conninfo")
	if v == "" {
		return notApplicable("the server has no primary_conninfo")
	}
	return failWhen(conninfo(v, "sslcompression") == "1", Finding{
		Object: "setting primary_conninfo", Evidence: "sslcompression=1", Place: place(e, "primary_conninfo"), Fix: "take sslcompression out of primary_conninfo",
	})
}

func subscriptionMode(e *catalog.Evidence, _ *Env) Verdict {
	if len(e.Server.Subscriptions) == 0 {
		return notApplicable("there is no subscription")
	}
	var fs []Finding
	for _, s := range e.Server.Subscriptions {
		if s.Conninfo != nil && conninfo(*s.Conninfo, "sslmode") != "verify-full" && !local(*s.Conninfo) {
			fs = append(fs, Finding{
				Object: "subscription " + s.Database + "." + s.Name, Evidence: "sslmode is " + orNone(conninfo(*s.Conninfo, "sslmode")),
				Fix: "ALTER SUBSCRIPTION " + quoteIdent(s.Name) + " CONNECTION '… sslmode=verify-full sslrootcert=…';",
			})
		}
	}
	return found(fs)
}

func foreignMode(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	any := false
	for _, d := range e.Databases {
		for _, s := range d.ForeignServers {
			if s.Wrapper != "postgres_fdw" && s.Wrapper != "dblink_fdw" {
				continue
			}
			any = true
			mode, _ := option(s.Options, "sslmode")
			host, _ := option(s.Options, "host")
			if mode != "verify-full" && !strings.HasPrefix(host, "/") {
				fs = append(fs, Finding{
					Object: inDB(d, "foreign server", s.Name), Evidence: "sslmode is " + orNone(mode),
					Fix: onDB(d, "ALTER SERVER "+quoteIdent(s.Name)+" OPTIONS (SET sslmode 'verify-full');"),
				})
			}
		}
	}
	if !any {
		return notApplicable("no foreign server is reached by libpq")
	}
	return found(fs)
}

func stuffing(e *catalog.Evidence, env *Env) Verdict {
	for _, o := range asked(e) {
		if o.Stuffing == "answered" {
			return found([]Finding{{Object: endpoint(o), Evidence: "answers what came unencrypted after SSLRequest", Fix: "update the server"}})
		}
	}
	if tried := asked(e); len(tried) > 0 && !slices.ContainsFunc(tried, func(o *catalog.Outside) bool { return o.Stuffing == "" }) {
		return found(nil)
	}
	if e.Server == nil {
		return notEvaluated("needs the server's version, or the probe of --intrusive")
	}
	for _, c := range env.Advisories.CVEs {
		if fixed, ok := c.Fixed[e.Server.Major()]; c.ID == "CVE-2021-23214" && ok {
			f := cveFinding(e, env, c)
			f.Severity, f.Moved = SeverityUnset, ""
			return failWhen(e.Server.Minor() < fixed, f)
		}
	}
	return notEvaluated("the tables do not say whether this branch was affected")
}
