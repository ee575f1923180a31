package config

import (
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/policy"
)

// observe reads who is observed on a store, and as whom they log in there (PRO-118).
func (b *builder) observe(s *Store, d storeDoc) {
	s.Observe.All = d.Mode.Value == "observe"
	for _, t := range d.Observe {
		s.Observe.To = append(s.Observe.To, t.Value)
		s.Observe.Names = append(s.Observe.Names, t)
	}
	if s.Observe.All && d.Provision.Value == string(ProvisionAuto) {
		b.report(policy.KindConflict, d.Mode.Pos, "write provision: manual", "store %s: mode: observe changes nothing on the server, and provision: auto would", s.Name)
	}
	if len(d.Upstream.Entries) > 0 {
		s.Upstream = map[string]Account{}
	}
	for _, e := range d.Upstream.Entries {
		s.Upstream[e.Key.Value] = b.account(e.Value)
		s.Observe.Upstream = append(s.Observe.Upstream, e.Key.Value)
		s.Observe.Logins = append(s.Observe.Logins, e.Key)
		if strings.HasPrefix(e.Key.Value, "group:") {
			b.report(policy.KindValue, e.Key.Pos, "name one user per line", "store %s: upstream: %q is a group: everybody in it would be one person to the server", s.Name, e.Key.Value)
		}
	}
	slices.Sort(s.Observe.Upstream)
	if len(d.Upstream.Entries) > 0 && !s.Observe.All && len(s.Observe.To) == 0 {
		b.report(policy.KindConflict, d.Upstream.Pos, "add observe: [user]", "store %s: upstream holds logins, and nobody is observed", s.Name)
	}
	for _, t := range d.Observe {
		if _, ok := s.Upstream[t.Value]; !ok && !strings.HasPrefix(t.Value, "group:") {
			b.report(policy.KindMissing, t.Pos, "add upstream: {"+t.Value+": {user: …, password: …}}", "store %s: %s is observed and has no login on the server", s.Name, t.Value)
		}
	}
	if s.Observe.All && len(s.Upstream) == 0 {
		b.report(policy.KindMissing, d.Mode.Pos, "add upstream: {USER: {user: …, password: …}}", "store %s: mode: observe needs the logins of those who are to be observed", s.Name)
	}
}
