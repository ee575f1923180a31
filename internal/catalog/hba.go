package catalog

import (
	"net/netip"
	"regexp"
	"strings"
)

// HBARule is one rule of pg_hba.conf, from the server's view or from the file.
type HBARule struct {
	File      string // "" before 16 in the view
	Line      int
	Type      string // local host hostssl hostnossl hostgssenc hostnogssenc; "" when the line has an error
	Databases []HBAWord
	Users     []HBAWord
	Address   string // an address, all, samehost, samenet, a host name, or ".suffix"
	Netmask   string // "" for what is not an address
	Method    string
	Options   []string // name=value, redacted
	Error     string
}

// HBAWord is one word of a list. Quoting takes a word's special meaning away; the server's view does not tell, there Quoted is false.
type HBAWord struct {
	Text   string
	Quoted bool
}

// IdentRule is one line of pg_ident.conf.
type IdentRule struct {
	File   string
	Line   int
	Map    string
	System string
	Role   HBAWord
	Error  string
}

// Attempt is one connection that somebody tries to make.
type Attempt struct {
	Local       bool
	Address     netip.Addr
	Names       []string // host names that the client's address resolves to and back; nil when nobody looked
	TLS, GSS    bool
	User        string
	Database    string
	Replication bool // physical replication
}

// HBAContext is what the rules are judged with.
type HBAContext struct {
	Major       int
	Roles       []Role
	Memberships []Membership
	Interfaces  []netip.Prefix // of the server; nil when nobody looked

	exists map[string]bool            // the roles' names
	above  map[string]map[string]bool // what each role is a member of, by any path
}

// NewHBAContext prepares memberships, so that a rule with +group is judged in constant time.
func NewHBAContext(major int, roles []Role, memberships []Membership) *HBAContext {
	c := &HBAContext{Major: major, Roles: roles, Memberships: memberships, exists: map[string]bool{}, above: map[string]map[string]bool{}}
	direct := map[string][]string{}
	for _, m := range memberships {
		direct[m.Member] = append(direct[m.Member], m.Role)
	}
	for _, r := range roles {
		c.exists[r.Name] = true
		seen := map[string]bool{r.Name: true}
		for todo := []string{r.Name}; len(todo) > 0; todo = todo[1:] {
			for _, up := range direct[todo[0]] {
				if !seen[up] {
					seen[up] = true
					todo = append(todo, up)
				}
			}
		}
		c.above[r.Name] = seen
	}
	return c
}

// Answer is whether a rule matches.
type Answer int

// The answers. Perhaps: it depends on something that was not looked at (a host name, the server's own addresses).
const (
	No Answer = iota
	Yes
	Perhaps
)

func answer(yes bool) Answer {
	if yes {
		return Yes
	}
	return No
}

func (a Answer) and(b Answer) Answer {
	if a == No || b == No {
		return No
	}
	return max(a, b)
}

// Verdict is what a list of rules says about an attempt.
type Verdict struct {
	Rule    *HBARule   // the rule that decides; nil when none matches
	Perhaps []*HBARule // rules before it that may match instead
}

// Admits reports whether the attempt gets as far as proving who it is.
func (v Verdict) Admits() bool { return v.Rule != nil && v.Rule.Method != "reject" }

// DecideHBA finds the first rule that matches. Rules with an error that makes the server skip them are skipped; the caller says whether the
// file as a whole is in force.
func DecideHBA(rules []HBARule, a Attempt, c *HBAContext) Verdict {
	var v Verdict
	for i := range rules {
		r := &rules[i]
		if r.Broken() {
			continue
		}
		switch c.matches(r, a) {
		case Yes:
			v.Rule = r
			return v
		case Perhaps:
			v.Perhaps = append(v.Perhaps, r)
		}
	}
	return v
}

// sslNotice is how the error of a hostssl line on a server without TLS begins. Such a line is loaded and never matches.
const sslNotice = "hostssl record cannot match"

// gssNotice is the same for GSSAPI encryption.
const gssNotice = "hostgssenc record cannot match"

// Broken reports whether the line has an error that keeps the server from loading the whole file.
func (r *HBARule) Broken() bool { return r.Error != "" && !r.Dead() }

// Dead reports whether the line can never match since the server has no TLS (or no GSSAPI).
func (r *HBARule) Dead() bool {
	return strings.HasPrefix(r.Error, sslNotice) || strings.HasPrefix(r.Error, gssNotice)
}

// matches is hba.c's check_hba for one line.
func (c *HBAContext) matches(r *HBARule, a Attempt) Answer {
	if r.Dead() || !r.AdmitsType(a.Local, a.TLS, a.GSS) {
		return No
	}
	out := Yes
	if !a.Local {
		if out = c.matchesAddress(r, a); out == No {
			return No
		}
	}
	return out.and(answer(c.MatchesDatabase(r, a.Database, a.User, a.Replication))).and(answer(c.MatchesUser(r, a.User)))
}

// AdmitsType reports whether the line is about this kind of connection.
func (r *HBARule) AdmitsType(local, tls, gss bool) bool {
	switch r.Type {
	case "local":
		return local
	case "host":
		return !local
	case "hostssl":
		return !local && tls
	case "hostnossl":
		return !local && !tls
	case "hostgssenc":
		return !local && gss
	case "hostnogssenc":
		return !local && !gss
	}
	return false
}

// MatchesDatabase is check_db.
func (c *HBAContext) MatchesDatabase(r *HBARule, database, user string, replication bool) bool {
	for _, w := range r.Databases {
		if replication {
			if !w.Quoted && w.Text == "replication" {
				return true
			}
			continue
		}
		switch {
		case !w.Quoted && w.Text == "all":
			return true
		case !w.Quoted && w.Text == "sameuser":
			if database == user {
				return true
			}
		case !w.Quoted && (w.Text == "samegroup" || w.Text == "samerole"):
			if c.IsMember(user, database) {
				return true
			}
		case !w.Quoted && w.Text == "replication":
		case c.nameMatches(w, database):
			return true
		}
	}
	return false
}

// MatchesUser is check_role.
func (c *HBAContext) MatchesUser(r *HBARule, user string) bool {
	for _, w := range r.Users {
		switch {
		case !w.Quoted && strings.HasPrefix(w.Text, "+"):
			if c.IsMember(user, w.Text[1:]) {
				return true
			}
		case !w.Quoted && w.Text == "all":
			return true
		case c.nameMatches(w, user):
			return true
		}
	}
	return false
}

// nameMatches compares a word with a name: from 16 a word that begins with a slash is a regular expression, quoted or not.
func (c *HBAContext) nameMatches(w HBAWord, name string) bool {
	if c.Major >= 16 && strings.HasPrefix(w.Text, "/") {
		re, err := regexp.Compile(w.Text[1:])
		return err == nil && re.MatchString(name)
	}
	return w.Text == name
}

// IsMember reports whether a role is another or a direct or indirect member of it, inherited or not. Being superuser does not count.
func (c *HBAContext) IsMember(role, of string) bool { return c.exists[of] && c.above[role][of] }

func (c *HBAContext) hasRole(name string) bool { return c.exists[name] }

// matchesAddress is the address part of check_hba.
func (c *HBAContext) matchesAddress(r *HBARule, a Attempt) Answer {
	switch kind, prefix := r.AddressKind(); kind {
	case AddressAll:
		return Yes
	case AddressRange:
		return answer(prefix.Contains(a.Address.Unmap()) && r.maskMatches(a.Address.Unmap()))
	case AddressSameHost, AddressSameNet:
		if c.Interfaces == nil {
			if a.Address.IsLoopback() {
				return Yes // every server has its loopback addresses
			}
			return Perhaps
		}
		for _, p := range c.Interfaces {
			if p.Addr() == a.Address || kind == AddressSameNet && p.Masked().Contains(a.Address) {
				return Yes
			}
		}
		return No
	case AddressName:
		if a.Names == nil {
			return Perhaps
		}
		for _, n := range a.Names {
			if strings.EqualFold(n, r.Address) || strings.HasPrefix(r.Address, ".") && len(n) > len(r.Address) &&
				strings.EqualFold(n[len(n)-len(r.Address):], r.Address) {
				return Yes
			}
		}
		return No
	}
	return No
}

// AddressKind says what the address field of a rule is.
type AddressKind int

// The kinds of address field.
const (
	AddressNone AddressKind = iota // a local line
	AddressAll
	AddressRange
	AddressSameHost
	AddressSameNet
	AddressName
)

// AddressKind reads the address field. The range is set for AddressRange alone.
func (r *HBARule) AddressKind() (AddressKind, netip.Prefix) {
	switch {
	case r.Type == "local" || r.Address == "":
		return AddressNone, netip.Prefix{}
	case r.Address == "all":
		return AddressAll, netip.Prefix{}
	case r.Address == "samehost":
		return AddressSameHost, netip.Prefix{}
	case r.Address == "samenet":
		return AddressSameNet, netip.Prefix{}
	}
	addr, err := netip.ParseAddr(r.Address)
	if err != nil {
		return AddressName, netip.Prefix{}
	}
	bits := addr.BitLen()
	if r.Netmask != "" {
		mask, err := netip.ParseAddr(r.Netmask)
		if err != nil || mask.BitLen() != addr.BitLen() {
			return AddressName, netip.Prefix{}
		}
		bits = leadingOnes(mask)
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return AddressName, netip.Prefix{}
	}
	return AddressRange, p
}

func leadingOnes(mask netip.Addr) int {
	bits := 0
	for _, b := range mask.AsSlice() {
		for ; b&0x80 != 0; b <<= 1 {
			bits++
		}
		if bits%8 != 0 || b != 0 {
			break
		}
	}
	return bits
}

// maskMatches compares bit by bit, since a mask may have holes.
func (r *HBARule) maskMatches(a netip.Addr) bool {
	mask, err := netip.ParseAddr(r.Netmask)
	if err != nil {
		return true // no mask: the range is the address itself
	}
	base := netip.MustParseAddr(r.Address).AsSlice()
	got, m := a.AsSlice(), mask.AsSlice()
	for i := range m {
		if len(got) != len(m) || got[i]&m[i] != base[i]&m[i] {
			return false
		}
	}
	return true
}

// Option returns the value of an option and whether it is given.
func (r *HBARule) Option(name string) (string, bool) {
	for _, o := range r.Options {
		if k, v, ok := strings.Cut(o, "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

// String is the rule as a line, for people.
func (r *HBARule) String() string {
	parts := []string{r.Type, joinWords(r.Databases), joinWords(r.Users)}
	if r.Type != "local" {
		_, p := r.AddressKind()
		if p.IsValid() {
			parts = append(parts, p.String())
		} else {
			parts = append(parts, r.Address)
		}
	}
	parts = append(parts, r.Method)
	return strings.Join(append(parts, r.Options...), " ")
}

func joinWords(ws []HBAWord) string {
	var out []string
	for _, w := range ws {
		if w.Quoted || strings.ContainsAny(w.Text, " ,\"#\t") {
			out = append(out, `"`+strings.ReplaceAll(w.Text, `"`, `""`)+`"`)
			continue
		}
		out = append(out, w.Text)
	}
	return strings.Join(out, ",")
}

// MapIdent finds the line of a map by which an outer name may become a role: hba.c's check_usermap.
func MapIdent(rules []IdentRule, name, system, role string, c *HBAContext) *IdentRule {
	for i := range rules {
		r := &rules[i]
		if r.Error != "" || r.Map != name {
			continue
		}
		want := r.Role.Text
		if strings.HasPrefix(r.System, "/") {
			re, err := regexp.Compile(r.System[1:])
			if err != nil {
				continue
			}
			m := re.FindStringSubmatch(system)
			if m == nil {
				continue
			}
			if len(m) > 1 {
				want = strings.Replace(want, `\1`, m[1], 1)
			}
		} else if r.System != system {
			continue
		}
		if c.mapsTo(HBAWord{Text: want, Quoted: r.Role.Quoted}, role) {
			return r
		}
	}
	return nil
}

// IdentGives reports whether a line can make anybody this role.
func IdentGives(r *IdentRule, role string, c *HBAContext) bool {
	if strings.Contains(r.Role.Text, `\1`) {
		return false // whoever is called so becomes the role, which the outer names decide
	}
	return c.mapsTo(r.Role, role)
}

// mapsTo is the role side of a map: from 16 it knows all, +group and regular expressions.
func (c *HBAContext) mapsTo(w HBAWord, role string) bool {
	if c.Major >= 16 && !w.Quoted {
		if w.Text == "all" {
			return true
		}
		if strings.HasPrefix(w.Text, "+") {
			return c.IsMember(role, w.Text[1:])
		}
	}
	return c.nameMatches(w, role)
}
