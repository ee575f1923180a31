package gateway

import (
	"crypto/x509"

	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
)

// certified is what became of the certificate that a client showed. The handshake has made sure that the client has its key, and of
// nothing else: what is wrong with a certificate is then an event with a reason, and not a handshake that broke. nil: none was shown.
type certified struct {
	issued bool           // one of this installation's authorities signed it
	chains bool           // the listener's client_ca did, and it is good for clients now, whoever it names
	id     string         // of an issued one that proves the user
	proof  identity.Proof // of the user who was claimed
	why    error          // there is no proof
}

// look holds what a client showed against this installation's own authorities and against those of the listener. What one of ours
// signed is never looked at in the other way, which knows nothing of revocation.
func (a *Admitted) look(c Claim) *certified {
	if c.Transport.State == nil || len(c.Transport.State.PeerCertificates) == 0 {
		return nil
	}
	shown, now := c.Transport.State.PeerCertificates, a.g.config.Clock.Now()
	out := &certified{}
	out.proof, out.issued, out.why = a.g.issuers().Prove(c.User, c.Store, shown, now)
	if out.issued {
		out.id = out.proof.Credential()
		return out
	}
	s := a.l.cert.Load()
	if s == nil || s.authorities == nil {
		return out
	}
	between := x509.NewCertPool()
	for _, cert := range shown[1:] {
		between.AddCert(cert)
	}
	chains, err := shown[0].Verify(x509.VerifyOptions{
		Roots: s.authorities, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		out.why = &identity.Failure{Reason: "the certificate cannot be verified: " + err.Error()}
		return out
	}
	out.chains = true
	out.proof, out.why = identity.FromCertificate(c.User, chains)
	return out
}

// verified says whether a certificate meets tls: verify of a network rule.
func (c *certified) verified(p *policy.Policy) bool {
	return c != nil && (c.chains || c.issued && c.why == nil && p.Certificates)
}

// issuers knows the certificates of this installation, if the policy in force wants them.
func (g *Gateway) issuers() *identity.Issuers {
	if g.config.Secrets == nil || !g.config.Policies.Current().Certificates {
		return nil
	}
	return g.config.Secrets.Issuers()
}

// over says whether the certificate that a session came in with is no longer good: it was revoked, or none is any more.
func (g *Gateway) over(c *certified) bool {
	return c != nil && c.id != "" && !g.issuers().Live(c.id)
}
