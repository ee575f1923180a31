package policy

import "time"

// How long what people are given lives, where the file does not say, and at most.
const (
	defaultLife = 8 * time.Hour
	maxLife     = 7 * 24 * time.Hour
)

// LifeRule is how long credentials live of whom it is about.
type LifeRule struct {
	To   string // "group:NAME" or a user's name
	Life Span
}

// credentials reads how long what people are given lives, and whether certificates are among it.
func (b *builder) credentials() {
	e := b.doc.Credentials
	b.p.Certificates = b.doc.Certificates.Value
	b.p.NoTokens, b.p.OwnersWithoutFactor = b.doc.Tokens.No(), b.doc.NoFactor.Value
	b.p.Life = b.life(e.Life, "life")
	for _, l := range e.Lives.Entries {
		for _, who := range b.subjects("lives", []Text{l.Key}) {
			b.p.Lives = append(b.p.Lives, LifeRule{To: who, Life: b.life(l.Value, "lives")})
		}
	}
	if b.p.Certificates && !b.p.TakesCertificates(nil) && len(b.problems) == 0 {
		b.warn(b.doc.Certificates.Pos, "write auth: cert_or_scram", "no network rule takes client certificates, so nobody gets one")
	}
}

func (b *builder) life(t Text, key string) Span {
	s := b.span(t, key, Span{Time: defaultLife})
	if !s.Within(Span{Time: maxLife}, time.Time{}) {
		b.report(KindValue, t.Pos, "", "%s: credentials live for a week at most", key)
	}
	return s
}

// CredentialLife is how long temporary credentials and certificates of a subject live: the shortest of what is said of them, and
// what holds for everybody where nothing is.
func (p *Policy) CredentialLife(s Subject, now time.Time) Span {
	var out Span
	for _, l := range p.Lives {
		if s.Is([]string{l.To}) && (out.IsZero() || l.Life.Within(out, now)) {
			out = l.Life
		}
	}
	switch {
	case !out.IsZero():
		return out
	case p.Life.IsZero():
		return Span{Time: defaultLife}
	}
	return p.Life
}

// TakesTokens says whether personal access tokens open a store, or with "" anything.
func (p *Policy) TakesTokens(store string) bool {
	s := p.Stores[store]
	return !p.NoTokens && (s == nil || !s.NoTokens)
}

// TakesCertificates says whether there is a place from which the network rules take client certificates of a subject, or with nil of
// anybody.
func (p *Policy) TakesCertificates(s *Subject) bool {
	if !p.Certificates {
		return false
	}
	for _, r := range p.Network {
		switch {
		case s != nil && len(r.To) > 0 && !s.Is(r.To):
		case r.Auth == AuthCert || r.Auth == AuthCertOrSCRAM:
			return true
		case r.Any && (s != nil || len(r.To) == 0):
			return false // what follows is never asked
		}
	}
	return false
}
