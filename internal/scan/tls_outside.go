package scan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// outsideChecks are the checks of what an endpoint shows to a stranger.
func outsideChecks() []Check {
	return []Check{
		{ID: "TLS-011", Why: "Clients that check refuse it, and those that do not are open to anybody.", Eval: eachLeaf(func(c *catalog.Certificate, _ *catalog.Outside, now time.Time) string {
			switch {
			case now.After(c.NotAfter):
				return "expired on " + c.NotAfter.Format(time.DateOnly)
			case now.Before(c.NotBefore):
				return "is valid from " + c.NotBefore.Format(time.DateOnly)
			}
			return ""
		}, "renew the certificate")},
		{ID: "TLS-012", Why: "The day after, clients that check cannot connect.", Eval: eachLeaf(func(c *catalog.Certificate, _ *catalog.Outside, now time.Time) string {
			if left := c.NotAfter.Sub(now); left >= 0 && left <= 30*24*time.Hour {
				return "expires on " + c.NotAfter.Format(time.DateOnly)
			}
			return ""
		}, "renew the certificate")},
		{ID: "TLS-013", Why: "A certificate that lives for years outlives those who know where its key is.", Eval: eachLeaf(func(c *catalog.Certificate, _ *catalog.Outside, _ time.Time) string {
			if days := int(c.NotAfter.Sub(c.NotBefore).Hours() / 24); days > 398 {
				return fmt.Sprintf("is valid for %d days", days)
			}
			return ""
		}, "issue certificates for a year at most")},
		{ID: "TLS-014", Why: "A client cannot tell the server from somebody on the way.", Eval: eachLeaf(func(_ *catalog.Certificate, o *catalog.Outside, _ time.Time) string {
			if o.ChainError != "" {
				return "is not trusted: " + o.ChainError
			}
			return ""
		}, "use a certificate of an authority that clients know, or give it with --ca")},
		{ID: "TLS-015", Why: "A client that checks the name refuses it.", Eval: eachLeaf(func(_ *catalog.Certificate, o *catalog.Outside, _ time.Time) string { return o.NameError }, "issue a certificate with the name that clients use")},
		{ID: "TLS-016", Why: "Newer clients look at alternative names alone.", Eval: eachLeaf(func(c *catalog.Certificate, _ *catalog.Outside, _ time.Time) string {
			if len(c.Names) == 0 {
				return "has no alternative name"
			}
			return ""
		}, "issue a certificate with subjectAltName")},
		{ID: "TLS-017", Why: "The key or the signature can be forged.", Eval: weakKeys},
		{ID: "TLS-037", Why: "Without channel binding a password exchange can be passed on by somebody on the way.", Eval: noBinding},
		{ID: "NET-003", Why: "Everybody who can route to it may try.", Eval: reachableOutside},
		{ID: "NET-010", Why: "It is no fault by itself, and it is the first port that scanners try.", Eval: defaultPort},
	}
}

// withChain lists the endpoints that showed a certificate.
func withChain(e *catalog.Evidence) []*catalog.Outside {
	return slices.DeleteFunc(asked(e), func(o *catalog.Outside) bool { return len(o.Chain) == 0 })
}

const noCertificate = "no endpoint showed a certificate"

// eachLeaf makes a check of servers' certificates.
func eachLeaf(bad func(*catalog.Certificate, *catalog.Outside, time.Time) string, fix string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, env *Env) Verdict {
		all := withChain(e)
		if len(all) == 0 {
			return notEvaluated(noCertificate)
		}
		var fs []Finding
		for _, o := range all {
			if what := bad(&o.Chain[0], o, env.Now); what != "" {
				fs = append(fs, Finding{Object: endpoint(o), Evidence: "certificate " + o.Chain[0].Subject + " " + what, Fix: fix})
			}
		}
		return found(fs)
	}
}

func weakKeys(e *catalog.Evidence, _ *Env) Verdict {
	all := withChain(e)
	if len(all) == 0 {
		return notEvaluated(noCertificate)
	}
	var fs []Finding
	for _, o := range all {
		for i := range o.Chain {
			c := &o.Chain[i]
			short := c.KeyKind == "RSA" && c.KeyBits < 2048 || c.KeyKind == "ECDSA" && c.KeyBits < 224
			old := (strings.Contains(c.Signature, "SHA1") || strings.Contains(c.Signature, "MD5")) && !(c.SelfSigned && i > 0)
			if short || old {
				fs = append(fs, Finding{Object: endpoint(o) + ", certificate " + c.Subject, Evidence: fmt.Sprintf("%s %d bits, signed %s", c.KeyKind, c.KeyBits, c.Signature), Fix: "issue it anew with RSA 2048 or ECDSA P-256 and SHA-256"})
			}
		}
	}
	return found(fs)
}

func noBinding(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	scram := false
	for _, o := range asked(e) {
		for _, x := range o.Offers {
			if !x.TLS || x.Method != "scram" && x.Method != "scram-plus" {
				continue
			}
			scram = true
			if x.Method == "scram" {
				fs = append(fs, Finding{Object: endpoint(o), Evidence: "offers SCRAM without channel binding inside TLS", Fix: "end TLS in the server itself, with an RSA or ECDSA certificate"})
				break
			}
		}
	}
	if !scram {
		return notEvaluated("no endpoint offered SCRAM inside TLS")
	}
	return found(fs)
}

func reachableOutside(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, o := range asked(e) {
		if o.Loopback || o.TLS == "" {
			continue
		}
		fs = append(fs, Finding{Object: endpoint(o), Evidence: "answers, seen from " + orNone(o.From), Fix: "let only the clients' networks in at the firewall, and list addresses in listen_addresses"})
	}
	return found(fs)
}

func defaultPort(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, o := range asked(e) {
		if !o.Loopback && strings.HasSuffix(o.Endpoint, ":5432") {
			fs = append(fs, Finding{Object: endpoint(o), Evidence: "answers on the default port", Fix: "nothing needs to be done about the port; see NET-003"})
		}
	}
	return found(fs)
}
