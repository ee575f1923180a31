package policy

import (
	"maps"
	"slices"
	"strings"
)

// Observes says whether the statements of a subject on a store are recorded and not enforced.
func (p *Policy) Observes(s Subject, store string) bool {
	at := p.Stores[store]
	return at != nil && (at.Observe.All || s.Is(at.Observe.To))
}

// Observing says whether anybody's statements on a store are not enforced.
func (p *Policy) Observing(store string) bool {
	at := p.Stores[store]
	return at != nil && (at.Observe.All || len(at.Observe.To) > 0)
}

// Shadows lists the shadow rules of a store that a subject would hold, in file order.
func (p *Policy) Shadows(s Subject, store string) []*Rule {
	var out []*Rule
	for _, r := range p.Rules {
		if r.Shadow && s.Is(r.To) && p.Reaches(r, store) {
			out = append(out, r)
		}
	}
	return out
}

// WithShadows is the policy as it would be with its shadow rules in force, or nil if it has none. What holds by request stays
// out: nobody has been granted it.
func (p *Policy) WithShadows() *Policy {
	return p.with(func(r *Rule) bool { return r.Shadow })
}

// WithShadow is the policy as it would be with one of its shadow rules in force, or nil if that is none.
func (p *Policy) WithShadow(name string) *Policy {
	return p.with(func(r *Rule) bool { return r.Shadow && r.Name == name })
}

// with is the policy with some of its shadow rules in force.
func (p *Policy) with(wanted func(*Rule) bool) *Policy {
	if !slices.ContainsFunc(p.Rules, wanted) {
		return nil
	}
	out := *p
	out.Rules = make([]*Rule, len(p.Rules))
	for i, r := range p.Rules {
		if wanted(r) {
			c := *r
			c.Enabled, c.Shadow, c.Request = true, false, nil
			r = &c
		}
		out.Rules[i] = r
	}
	out.Digest = out.digest()
	return &out
}

// observe checks the names of the observed, and says loudly what is not enforced.
func (b *builder) observe() {
	for _, name := range slices.Sorted(maps.Keys(b.p.Stores)) {
		s := b.p.Stores[name]
		b.subjects("observe of store "+name, s.Observe.Names)
		b.subjects("upstream of store "+name, s.Observe.Logins)
		what := "the statements of everybody"
		if !s.Observe.All {
			what = "the statements of " + strings.Join(s.Observe.To, ", ")
		}
		if s.Observe.All || len(s.Observe.To) > 0 {
			b.warn(s.Pos, "take observe out once the trail shows what would be refused",
				"NOT ENFORCED: on store %s %s are decided, recorded and sent as they are: no masks, no filters, no refusals", name, what)
		}
	}
	for _, r := range b.p.Rules {
		if r.Shadow {
			b.warn(r.Pos, "take shadow out to put it in force", "NOT ENFORCED: rule %s is a shadow: it grants nothing, and the trail says what it would have", r.Name)
		}
	}
}
