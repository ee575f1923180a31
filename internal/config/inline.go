package config

import "github.com/postern-sec/postern/internal/policy"

// inline reads a store's tier.
func (b *builder) inline(s *Store, d storeDoc) {
	s.Inline = d.Tier.Value == "inline"
	s.Reader = b.account(d.Reader)
	switch {
	case !s.Inline && !d.Reader.Pos.IsZero():
		b.report(policy.KindConflict, d.Reader.Pos, "write tier: inline", "store %s: reader is the login of tier: inline", s.Name)
	case !s.Inline:
	case s.Reader.User == "":
		b.report(policy.KindMissing, d.Tier.Pos, "add reader: {user: …, password: …}", "store %s: tier: inline needs the login that statements run as", s.Name)
	case s.Observe.All || len(s.Observe.To) > 0:
		b.report(policy.KindConflict, d.Tier.Pos, "", "store %s: tier: inline has nothing to observe with: every session has one login", s.Name)
	case d.Provision.Value == string(ProvisionAuto):
		b.report(policy.KindConflict, d.Tier.Pos, "leave provision out", "store %s: tier: inline applies nothing, and provision: auto would", s.Name)
	}
	if s.Inline {
		s.Grantor, s.Provisioner = s.Reader, s.Reader // there is nothing to do but to read the catalog
	}
}
