package scan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// suiteChecks are the checks of what the outside probe enumerates.
func suiteChecks() []Check {
	return []Check{
		{ID: "TLS-004", Why: "Who has the server's key one day can read what was recorded years before.", Eval: suitesBad(noForwardSecrecy, "no forward secrecy", expressionNoFS)},
		{ID: "TLS-005", Why: "These suites are broken, or never hid anything.", Eval: suitesBad(brokenSuite, "broken", expressionBroken)},
		{ID: "TLS-006", Why: "Nothing is known to break them here, and nothing needs them.", Eval: suitesBad(cbcSHA1, "CBC with SHA-1", nil)},
		{ID: "TLS-018", Why: "Clients that do not know the step between refuse the certificate.", Eval: chainIncomplete},
		{ID: "TLS-020", Why: "Whoever takes one of the hosts can be the other.", Eval: sharedKeys},
		{ID: "TLS-039", Why: "A server that takes any protocol lets traffic of another one be turned against it.", Eval: anyProtocol},
	}
}

var (
	forwardSecret = regexp.MustCompile(`^TLS_(?:EC)?DHE_|^TLS_(?:AES|CHACHA20)_`)
	brokenName    = regexp.MustCompile(`3DES|RC4|NULL|EXPORT|anon|MD5|_DES|RC2|IDEA|SEED`)
)

func noForwardSecrecy(s catalog.Suite) bool {
	return !forwardSecret.MatchString(s.Name) && !strings.Contains(s.Name, "_anon_")
}
func brokenSuite(s catalog.Suite) bool { return brokenName.MatchString(s.Name) }
func cbcSHA1(s catalog.Suite) bool     { return strings.HasSuffix(s.Name, "_CBC_SHA") }

const goodCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20"

// opinion is what an OpenSSL expression says by itself: some are certain whatever library reads them.
type opinion int

const (
	unsure opinion = iota
	admits
	excludes
)

// suitesBad makes a check of enumerated suites; without an enumeration the setting is read as far as that is certain.
func suitesBad(bad func(catalog.Suite) bool, what string, read func(positive, negative []string) opinion) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		if tlsOffHere(e) {
			return notApplicable(noTLS)
		}
		var fs []Finding
		listed := false
		for _, o := range asked(e) {
			listed = listed || o.Enumerated
			var names []string
			for _, s := range o.Suites {
				if bad(s) && !slices.Contains(names, s.Name) {
					names = append(names, s.Name)
				}
			}
			if len(names) > 0 {
				fs = append(fs, Finding{Object: endpoint(o), Evidence: what + ": accepts " + strings.Join(names, ", "), Fix: "ALTER SYSTEM SET ssl_ciphers = '" + goodCiphers + "'; SELECT pg_reload_conf();"})
			}
		}
		if listed || len(fs) > 0 {
			return found(fs)
		}
		if read == nil || e.Server == nil || !seen(e, "ssl_ciphers") {
			return notEvaluated("the suites that the endpoint accepts were not listed")
		}
		var positive, negative []string
		for _, w := range strings.FieldsFunc(value(e, "ssl_ciphers"), func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
			switch {
			case strings.HasPrefix(w, "!") || strings.HasPrefix(w, "-"):
				negative = append(negative, w[1:])
			case !strings.HasPrefix(w, "+") && !strings.HasPrefix(w, "@"):
				positive = append(positive, w)
			}
		}
		f := badSetting(e, "ssl_ciphers", goodCiphers)
		switch read(positive, negative) {
		case admits:
			return found([]Finding{f})
		case excludes:
			return found(nil)
		}
		return notEvaluated("what " + quoteLiteral(value(e, "ssl_ciphers")) + " admits is for the server's OpenSSL to say: add --outside")
	}
}

// narrow are words that choose nothing but suites with forward secrecy and without known faults.
var narrow = regexp.MustCompile(`^(?:(?:k?E?EC?DHE?|EECDH|ECDHE|DHE|EDH)\+(?:AESGCM|CHACHA20|AESCCM|aRSA\+AESGCM|aECDSA\+AESGCM|ECDSA\+AESGCM)|(?:ECDHE|DHE)-(?:RSA|ECDSA)-(?:AES(?:128|256)-GCM-SHA(?:256|384)|CHACHA20-POLY1305(?:-SHA256)?))$`)

func allNarrow(positive []string) bool {
	return len(positive) > 0 && !slices.ContainsFunc(positive, func(w string) bool { return !narrow.MatchString(w) })
}

func expressionNoFS(positive, negative []string) opinion {
	if allNarrow(positive) {
		return excludes
	}
	noRSA := slices.ContainsFunc(negative, func(w string) bool { return w == "kRSA" || w == "RSA" })
	for _, w := range positive {
		// These classes have AES with RSA key exchange in every version of the library.
		if slices.Contains([]string{"HIGH", "ALL", "DEFAULT", "AES", "AESGCM", "kRSA", "RSA"}, w) && !noRSA || strings.HasPrefix(w, "AES128-") || strings.HasPrefix(w, "AES256-") {
			return admits
		}
	}
	return unsure
}

func expressionBroken(positive, negative []string) opinion {
	if allNarrow(positive) {
		return excludes
	}
	for _, w := range positive {
		if slices.Contains([]string{"aNULL", "eNULL", "NULL", "COMPLEMENTOFALL", "COMPLEMENTOFDEFAULT", "ADH", "AECDH"}, w) && !slices.Contains(negative, w) {
			return admits
		}
	}
	return unsure
}

func chainIncomplete(e *catalog.Evidence, _ *Env) Verdict {
	all := withChain(e)
	if len(all) == 0 {
		return notEvaluated(noCertificate)
	}
	var fs []Finding
	unsure := ""
	for _, o := range all {
		if !strings.Contains(o.ChainError, "unknown authority") {
			continue
		}
		last := &o.Chain[len(o.Chain)-1]
		switch {
		case last.SelfSigned:
			// The chain is whole; that nobody knows its root is TLS-014.
		case len(o.Chain) > 1:
			unsure = endpoint(o)
		default:
			fs = append(fs, Finding{Object: endpoint(o), Evidence: "sends the certificate alone, and its issuer " + last.Issuer + " is no authority that was given", Fix: "append the certificates between to ssl_cert_file, then SELECT pg_reload_conf();"})
		}
	}
	if len(fs) == 0 && unsure != "" {
		return notEvaluated(unsure + " shows a chain whose end is not known here; give its root with --ca")
	}
	return found(fs)
}

func sharedKeys(e *catalog.Evidence, env *Env) Verdict {
	first := map[string]*catalog.Outside{}
	var fs []Finding
	n := 0
	hosts := []*catalog.Evidence{e}
	for _, other := range env.Fleet {
		if other != e {
			hosts = append(hosts, other)
		}
	}
	for _, h := range hosts {
		for _, o := range withChain(h) {
			n++
			key := o.Chain[0].SPKI
			was := first[key]
			if was == nil {
				first[key] = o
				continue
			}
			if !slices.Equal(was.Addresses, o.Addresses) || was.Endpoint != o.Endpoint && was.Host == o.Host {
				fs = append(fs, Finding{Object: endpoint(o), Evidence: "has the same key as " + endpoint(was), Fix: "make a key of its own for each server"})
			}
		}
	}
	if n < 2 {
		return notEvaluated("one endpoint has nobody to be compared with")
	}
	return found(fs)
}

func anyProtocol(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	tried := false
	for _, o := range asked(e) {
		if o.Direct == "" || o.Direct == "refused" {
			continue
		}
		tried = true
		if o.Direct == "any" {
			fs = append(fs, Finding{Object: endpoint(o), Evidence: "speaks direct TLS without the protocol postgresql being agreed on", Fix: "update the server, or what stands before it"})
		}
	}
	if !tried {
		if len(asked(e)) == 0 {
			return notEvaluated("no endpoint answered")
		}
		return notApplicable("no endpoint speaks direct TLS")
	}
	return found(fs)
}

// groupsOutside judges the groups that an endpoint accepts.
func groupsOutside(e *catalog.Evidence) (fs []Finding, listed bool) {
	for _, o := range asked(e) {
		if len(o.Groups) == 0 {
			continue
		}
		listed = true
		modern := slices.ContainsFunc(o.Groups, func(g string) bool { return strings.Contains(g, "X25519") })
		weak := slices.IndexFunc(o.Groups, func(g string) bool { return weakGroup.MatchString(g) })
		switch {
		case weak >= 0:
			fs = append(fs, Finding{Object: endpoint(o), Evidence: "accepts " + o.Groups[weak] + ", which is weak", Fix: "set ssl_ecdh_curve or ssl_groups to X25519"})
		case !modern:
			fs = append(fs, Finding{Object: endpoint(o), Evidence: fmt.Sprintf("accepts %s, and neither X25519 nor a hybrid group", strings.Join(o.Groups, ", ")), Fix: "set ssl_ecdh_curve or ssl_groups to X25519"})
		}
	}
	return fs, listed
}
