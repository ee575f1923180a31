package catalog

import (
	"net/netip"
	"slices"
	"strings"
)

// OtherName stands for a role or database that exists neither on the server nor in the rules.
const OtherName = "\x00other"

// Reach says what a rule decides: what is left for it after the rules before it took theirs.
type Reach struct {
	Rule        *HBARule
	Index       int
	Empty       bool // nothing is left: the rule is shadowed
	Void        bool // it matches nothing at all, order aside
	Local       bool // Unix sockets
	Loopback    bool
	Remote      bool // an address that is not loopback's, or one that nobody knows
	Wide        bool // the whole address space of a family
	Plain, TLS  bool // TCP without and with TLS
	Replication bool
	Users       []string // who is decided by it, sorted; OtherName for names that nobody has
	Databases   []string // sorted, "" for replication
	TakenBy     []int    // rules before it that took what it would have matched, sorted
}

// Network reports whether anything that comes over TCP is decided by the rule.
func (r *Reach) Network() bool { return r.Loopback || r.Remote }

// atom is a set of addresses that no rule tells apart.
type atom struct {
	from  netip.Addr // its first address; invalid for an address that nobody knows
	kind  AddressKind
	name  string
	local bool
}

// link is a kind of connection.
type link struct{ local, tls, gss bool }

// reacher works out Reach for a list of rules.
type reacher struct {
	rules     []HBARule
	c         *HBAContext
	atoms     []atom
	links     []link
	addresses [][]bool // by rule and atom
	out       []Reach
	users     []map[string]bool
	databases []map[string]bool
	taken     []map[int]bool
	left, raw []int
}

// ReachHBA evaluates the rules over the product of connection types, databases, roles and addresses. tls says whether the server has TLS.
func ReachHBA(rules []HBARule, c *HBAContext, databases []string, tls bool) []Reach {
	r := &reacher{rules: rules, c: c, out: make([]Reach, len(rules)), left: make([]int, len(rules)), raw: make([]int, len(rules))}
	r.links = []link{{local: true}, {}}
	if tls {
		r.links = append(r.links, link{tls: true})
	}
	if slices.ContainsFunc(rules, func(x HBARule) bool { return strings.Contains(x.Type, "gss") }) {
		r.links = append(r.links, link{gss: true})
	}
	for range rules {
		r.users, r.databases = append(r.users, map[string]bool{}), append(r.databases, map[string]bool{})
		r.taken = append(r.taken, map[int]bool{})
	}
	r.makeAtoms()
	users, dbs := r.names(databases)
	userClasses, dbClasses := r.userClasses(users, dbs), r.databaseClasses(dbs, users)
	for _, us := range userClasses {
		for _, ds := range dbClasses {
			for _, l := range r.links {
				r.cell(us, ds, l)
			}
		}
	}
	return r.finish()
}

// names are the roles and databases of the server and those that rules name.
func (r *reacher) names(databases []string) (users, dbs []string) {
	u, d := map[string]bool{OtherName: true}, map[string]bool{OtherName: true, "": true}
	for _, role := range r.c.Roles {
		if role.Login {
			u[role.Name] = true
		}
	}
	for _, name := range databases {
		d[name] = true
	}
	for i := range r.rules {
		for _, w := range r.rules[i].Users {
			if w.Quoted || !slices.Contains([]string{"all"}, w.Text) && !strings.HasPrefix(w.Text, "+") && !strings.HasPrefix(w.Text, "/") {
				u[w.Text] = true
			}
		}
		for _, w := range r.rules[i].Databases {
			special := slices.Contains([]string{"all", "sameuser", "samerole", "samegroup", "replication"}, w.Text)
			if w.Quoted || !special && !strings.HasPrefix(w.Text, "/") {
				d[w.Text] = true
			}
		}
	}
	return keysOf(u), keysOf(d)
}

func keysOf(m map[string]bool) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// userClasses groups roles that no rule tells apart.
func (r *reacher) userClasses(users, dbs []string) [][]string {
	var alike []string // databases that sameuser and samerole compare with roles
	if r.relational() {
		for _, d := range dbs {
			if slices.Contains(users, d) || r.c.hasRole(d) {
				alike = append(alike, d)
			}
		}
	}
	return classes(users, func(u string) string {
		sig := make([]byte, 0, len(r.rules)+2*len(alike))
		for i := range r.rules {
			sig = append(sig, bit(r.c.MatchesUser(&r.rules[i], u)))
		}
		for _, d := range alike {
			sig = append(sig, bit(u == d), bit(r.c.IsMember(u, d)))
		}
		return string(sig)
	})
}

// databaseClasses groups databases that no rule tells apart. One with a role's name stands for itself when a rule compares the two.
func (r *reacher) databaseClasses(dbs, users []string) [][]string {
	relational := r.relational()
	return classes(dbs, func(d string) string {
		sig := make([]byte, 0, len(r.rules))
		for i := range r.rules {
			sig = append(sig, bit(r.c.MatchesDatabase(&r.rules[i], d, OtherName, d == "")))
		}
		if relational && (slices.Contains(users, d) || r.c.hasRole(d)) || d == "" {
			sig = append(sig, d...)
			sig = append(sig, '!')
		}
		return string(sig)
	})
}

func (r *reacher) relational() bool {
	for i := range r.rules {
		for _, w := range r.rules[i].Databases {
			if !w.Quoted && slices.Contains([]string{"sameuser", "samerole", "samegroup"}, w.Text) {
				return true
			}
		}
	}
	return false
}

func bit(b bool) byte {
	if b {
		return '1'
	}
	return '0'
}

func classes(names []string, sig func(string) string) [][]string {
	place := map[string]int{}
	var out [][]string
	for _, n := range names {
		s := sig(n)
		i, ok := place[s]
		if !ok {
			i = len(out)
			place[s] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], n)
	}
	return out
}

// makeAtoms cuts the address space at every boundary that a rule has, and notes which rule takes which piece.
func (r *reacher) makeAtoms() {
	cuts := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	add := func(p netip.Prefix) {
		cuts = append(cuts, p.Addr())
		if next := lastOf(p).Next(); next.IsValid() && next.BitLen() == p.Addr().BitLen() {
			cuts = append(cuts, next)
		}
	}
	add(netip.MustParsePrefix("127.0.0.0/8"))
	add(netip.MustParsePrefix("::1/128"))
	var unknown []atom
	for i := range r.rules {
		switch kind, p := r.rules[i].AddressKind(); kind {
		case AddressRange:
			add(p)
		case AddressName, AddressSameHost, AddressSameNet:
			a := atom{kind: kind, name: r.rules[i].Address}
			if !slices.Contains(unknown, a) {
				unknown = append(unknown, a)
			}
		}
	}
	slices.SortFunc(cuts, netip.Addr.Compare)
	for _, c := range slices.Compact(cuts) {
		r.atoms = append(r.atoms, atom{from: c, local: c.IsLoopback()})
	}
	r.atoms = append(r.atoms, unknown...)
	for i := range r.rules {
		hit := make([]bool, len(r.atoms))
		for j, a := range r.atoms {
			hit[j] = r.takes(&r.rules[i], a)
		}
		r.addresses = append(r.addresses, hit)
	}
}

// lastOf is the last address of a range.
func lastOf(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	for i := p.Bits(); i < len(raw)*8; i++ {
		raw[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(raw) // 4 or 16 bytes
	return a
}

// takes reports whether a rule is sure to match a piece of the address space.
func (r *reacher) takes(rule *HBARule, a atom) bool {
	kind, _ := rule.AddressKind()
	if a.from.IsValid() {
		return kind != AddressNone && r.c.matchesAddress(rule, Attempt{Address: a.from}) == Yes
	}
	return kind == AddressAll || kind == a.kind && rule.Address == a.name || kind == AddressSameNet && a.kind == AddressSameHost
}

// cell finds what decides for one class of roles, one of databases and one kind of connection, address by address.
func (r *reacher) cell(us, ds []string, l link) {
	var candidates []int
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.Broken() || rule.Dead() || !rule.AdmitsType(l.local, l.tls, l.gss) {
			continue
		}
		if r.c.MatchesUser(rule, us[0]) && r.c.MatchesDatabase(rule, ds[0], us[0], ds[0] == "") {
			candidates = append(candidates, i)
		}
	}
	if l.local {
		r.decide(candidates, us, ds, l, -1)
		return
	}
	for j := range r.atoms {
		var here []int
		for _, i := range candidates {
			if r.addresses[i][j] {
				here = append(here, i)
			}
		}
		r.decide(here, us, ds, l, j)
	}
}

// decide gives a cell to the first of the rules that match it.
func (r *reacher) decide(matching []int, us, ds []string, l link, at int) {
	for n, i := range matching {
		r.raw[i]++
		if n > 0 {
			r.taken[i][matching[0]] = true
			continue
		}
		r.left[i]++
		o := &r.out[i]
		o.Local = o.Local || l.local
		if !l.local {
			o.Loopback = o.Loopback || r.atoms[at].local
			o.Remote = o.Remote || !r.atoms[at].local
			o.Plain, o.TLS = o.Plain || !l.tls, o.TLS || l.tls
		}
		for _, u := range us {
			r.users[i][u] = true
		}
		for _, d := range ds {
			r.databases[i][d] = true
			o.Replication = o.Replication || d == ""
		}
	}
}

func (r *reacher) finish() []Reach {
	for i := range r.out {
		o := &r.out[i]
		o.Rule, o.Index = &r.rules[i], i
		o.Empty, o.Void = r.left[i] == 0, r.raw[i] == 0
		o.Users, o.Databases = keysOf(r.users[i]), keysOf(r.databases[i])
		for t := range r.taken[i] {
			o.TakenBy = append(o.TakenBy, t)
		}
		slices.Sort(o.TakenBy)
		kind, p := o.Rule.AddressKind()
		o.Wide = !o.Empty && o.Network() && (kind == AddressAll || kind == AddressRange && p.Bits() == 0)
	}
	return r.out
}
