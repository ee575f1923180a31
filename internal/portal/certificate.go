package portal

import (
	"errors"
	"net/http"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
)

// maxCertificates is how many live ones somebody may have: a machine each, and what was logged in to again.
const maxCertificates = 32

// CertifyCall asks for a client certificate.
type CertifyCall struct {
	Request string `json:"request"`         // PEM, signed with the key that it is for
	Store   string `json:"store,omitempty"` // the only one that it is to open
}

// CertifyAnswer is a client certificate.
type CertifyAnswer struct {
	Shown
	User        string `json:"user"`
	Certificate string `json:"certificate"` // PEM
	Gateway     string `json:"gateway,omitempty"`
}

// certifies says whether there are certificates for somebody: the policy file wants them, and a rule of the network takes theirs.
func (p *Portal) certifies(who *viewer) bool {
	pol := p.c.Policy()
	_, known := pol.Subject(who.Subject.Name)
	return p.c.Certifier != nil && known && pol.TakesCertificates(&who.Subject)
}

// certify signs a key of the caller's. The certificate lives as long as their temporary credentials do, ends with the session at the
// latest, and says who they are as the session does: what the request asks for does not count.
func (p *Portal) certify(r *http.Request, who *viewer, call CertifyCall) (*CertifyAnswer, error) {
	now, pol := p.c.Desk.Now(), p.c.Policy()
	switch {
	case !p.certifies(who):
		return nil, &access.Refusal{Code: "no_certificates", Text: "there are no client certificates for you here", Hint: "postern connect makes a password"}
	case call.Store != "" && pol.Stores[call.Store] == nil:
		return nil, &access.Refusal{Code: codeBadCall, Text: "there is no store " + call.Store}
	}
	if err := p.roomForCertificate(r, who, now); err != nil {
		return nil, err
	}
	i := identity.Issued{
		Kind: identity.ClientCertificate, Subject: who.Subject.Name, Store: call.Store, Login: who.token.ID,
		Created: now, Expires: pol.CredentialLife(who.Subject, now).From(now).Truncate(time.Second),
	}
	if end := who.token.Expires; end.Before(i.Expires) {
		i.Expires = end
	}
	text, err := p.c.Certifier.Certify(r.Context(), []byte(call.Request), &i)
	if errors.Is(err, identity.ErrRequest) {
		return nil, &access.Refusal{Code: codeBadCall, Text: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	if err := p.record(r, audit.Event{Kind: audit.CredentialMade, Subject: i.Subject, Store: i.Store, Verdict: "allow", Detail: map[string]string{
		"credential": i.ID, "kind": string(i.Kind), "until": i.Expires.Format(time.RFC3339), "session": i.Login, "authority": i.Authority,
	}}); err != nil {
		return nil, err
	}
	if err := p.c.Credentials.Issue(r.Context(), i); errors.Is(err, people.ErrNone) {
		return nil, errToken // the session ended meanwhile
	} else if err != nil {
		return nil, err
	}
	p.settle(r.Context())
	return &CertifyAnswer{Shown: shownCredential(&i), User: i.Subject, Certificate: string(text), Gateway: p.c.Gateway}, nil
}

func (p *Portal) roomForCertificate(r *http.Request, who *viewer, now time.Time) error {
	have, err := p.c.Credentials.Credentials(r.Context(), who.Subject.Name, now)
	if err != nil {
		return err
	}
	n := 0
	for _, i := range have {
		if i.Kind == identity.ClientCertificate {
			n++
		}
	}
	if n >= maxCertificates {
		return &access.Refusal{Code: "too_many", Text: "you have as many live certificates as there can be", Hint: "postern token list shows them, postern token revoke ID ends one"}
	}
	return nil
}
