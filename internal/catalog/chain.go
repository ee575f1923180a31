package catalog

import (
	"cmp"
	"slices"
)

// When says what stands between a role and a right.
type When int

// The three answers, from the nearest to the farthest.
const (
	Now     When = iota // it has the right without doing anything
	BySet               // after SET ROLE
	ByGrant             // after granting something to itself, which it may
)

// String is the word for people and for JSON.
func (w When) String() string {
	return [...]string{"now", "after SET ROLE", "after granting itself"}[w]
}

// MarshalText writes now, set_role or self_grant.
func (w When) MarshalText() ([]byte, error) {
	return []byte([...]string{"now", "set_role", "self_grant"}[w]), nil
}

// Chain is one way by which a role comes to the rights of another, over memberships.
type Chain struct {
	Roles []string // both ends included
	When  When
	// Acts: the chain ends in SET ROLE to the last role, so that its attributes count too, which are never inherited.
	Acts bool
	// Grants lists the roles in the chain that are reached by granting oneself a membership.
	Grants []string
}

// edge is a membership, the rows of several grantors taken together.
type edge struct {
	to                  string
	inherit, set, admin bool
}

// maxChains bounds how many chains between two roles are listed; a graph can have exponentially many.
const maxChains = 16

// edgesOf takes the rows of several grantors together.
func edgesOf(memberships []Membership) map[string][]edge {
	out := map[string][]edge{}
	for _, m := range memberships {
		all := out[m.Member]
		i := slices.IndexFunc(all, func(l edge) bool { return l.to == m.Role })
		if i < 0 {
			out[m.Member] = append(all, edge{m.Role, m.Inherit, m.Set, m.Admin})
			continue
		}
		all[i].inherit, all[i].set, all[i].admin = all[i].inherit || m.Inherit, all[i].set || m.Set, all[i].admin || m.Admin
	}
	return out
}

// Chains lists the ways from one role to another, the nearest first: SET ROLE as far as every membership allows it, then inheritance,
// and from any role so reached what may be granted with ADMIN, after which it starts over. At most maxChains are looked for.
func (r *Rights) Chains(from, to string) []Chain {
	if from == to {
		return []Chain{{Roles: []string{from}, Acts: true}}
	}
	w := walk{rights: r, to: to, leads: r.leads(to)}
	if w.leads[from] {
		w.from(from, Chain{Roles: []string{from}, Acts: true})
	}
	slices.SortStableFunc(w.found, func(a, b Chain) int {
		return cmp.Or(int(a.When-b.When), len(a.Roles)-len(b.Roles), slices.Compare(a.Roles, b.Roles))
	})
	return w.found
}

// leads lists the roles that a role's membership graph comes from: its direct and indirect members, and itself.
func (r *Rights) leads(to string) map[string]bool { return closure(to, r.members) }

// walk looks for chains to one role.
type walk struct {
	rights *Rights
	to     string
	leads  map[string]bool
	found  []Chain
}

func (w *walk) from(at string, c Chain) {
	if at == w.to {
		w.add(c)
		return
	}
	for _, l := range w.rights.edges[at] {
		if len(w.found) >= maxChains || !w.leads[l.to] || slices.Contains(c.Roles, l.to) {
			continue
		}
		next := Chain{Roles: append(slices.Clone(c.Roles), l.to), When: c.When, Grants: c.Grants}
		plain := true
		switch {
		case l.inherit:
			next.Acts = c.Acts && l.set
		case l.set && c.Acts:
			next.Acts, next.When = true, max(c.When, BySet)
		default:
			plain = false
		}
		if plain {
			w.from(l.to, next)
		}
		if l.admin && !next.Acts && w.rights.mayGrant(c.Roles[0], l.to) {
			next.Acts, next.When, next.Grants = true, ByGrant, append(slices.Clone(c.Grants), l.to)
			w.from(l.to, next)
		}
	}
}

// add keeps a chain, of two over the same roles the nearer one.
func (w *walk) add(c Chain) {
	for i := range w.found {
		if slices.Equal(w.found[i].Roles, c.Roles) {
			if c.When < w.found[i].When || c.When == w.found[i].When && c.Acts {
				w.found[i] = c
			}
			return
		}
	}
	w.found = append(w.found, c)
}

// mayGrant: membership in a superuser is a superuser's to give, whoever has ADMIN.
func (r *Rights) mayGrant(who, role string) bool { return !r.Superuser(role) || r.Superuser(who) }

// Reach is the set of roles whose rights a role has now, can come to have by SET ROLE, or can come to have by granting itself memberships, and
// among them those that it can act as, so that their attributes count.
func (r *Rights) Reach(role string, when When) (have, acts map[string]bool) {
	switch when {
	case Now:
		return r.uses[role], map[string]bool{role: true}
	case BySet:
		return r.becomes[role], r.sets[role]
	}
	have, acts = map[string]bool{}, map[string]bool{}
	take := func(name string) {
		for x := range r.becomes[name] {
			have[x] = true
		}
		for x := range r.sets[name] {
			acts[x] = true
		}
	}
	take(role)
	for grown := true; grown; {
		grown = false
		for name := range have {
			for _, l := range r.edges[name] {
				if l.admin && !acts[l.to] && r.mayGrant(role, l.to) {
					take(l.to)
					grown = true
				}
			}
		}
		grown = r.everyRole(have, acts, take) || grown
	}
	return have, acts
}

// everyRole: before 16 whoever may act as a role with CREATEROLE grants itself every role that is no superuser.
func (r *Rights) everyRole(have, acts map[string]bool, take func(string)) bool {
	if r.major >= 16 {
		return false
	}
	grown := false
	for name := range acts {
		if !r.roles[name].CreateRole {
			continue
		}
		for other := range r.roles {
			if !have[other] && !r.Superuser(other) && other != databaseOwner {
				take(other)
				grown = true
			}
		}
		break
	}
	return grown
}

// Path is how a role comes to another without granting anything: the roles on the nearest way, both ends included, or nil.
func (r *Rights) Path(from, to string) []string {
	chains := r.Chains(from, to)
	if len(chains) == 0 || chains[0].When == ByGrant {
		return nil
	}
	return chains[0].Roles
}
