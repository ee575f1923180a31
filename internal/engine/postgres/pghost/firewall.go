package pghost

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// answer is what a condition of a rule says of a packet.
type answer int

const (
	no      answer = iota
	perhaps        // the condition is one that this version does not understand, or one that chance decides
	yes
)

// packet is the first packet of a connection to the server's port from somewhere else.
type packet struct{ src netip.Addr }

// test is one condition.
type test func(packet) answer

// fwRule is a rule of a packet filter, whichever tool wrote it.
type fwRule struct {
	tests   []test
	verdict string // accept, drop, jump, goto, return, "" for a rule that only counts
	target  string
	text    string
}

// fwChain is a list of rules; hooked ones see packets first.
type fwChain struct {
	name   string
	hooked bool
	four   bool // sees IPv4
	six    bool // sees IPv6
	policy string
	rules  []fwRule
}

// ruleset is what both tools' listings are brought into.
type ruleset struct {
	port    int
	chains  map[string]*fwChain
	order   []string       // hooked chains, by priority
	sources []netip.Prefix // that any rule names
	limits  bool
	unclear []string
	foreign bool // written by the other tool, and not to be understood in this listing
}

// firewall asks the packet filter for its rules and evaluates them for the server's port.
func (l *looker) firewall(ctx context.Context) {
	if l.Run == nil {
		l.out.Missing["firewall"] = "no program may be started to list its rules"
		return
	}
	var why error
	rules := &ruleset{port: l.srv.Port, chains: map[string]*fwChain{}}
	tool := "none"
	if nft := l.program("nft"); nft != "" {
		text, err := l.Run(ctx, nft, "-j", "list", "ruleset")
		if err == nil {
			err = rules.readNFT(text)
		}
		if why = err; err == nil && len(rules.order) > 0 {
			tool = "nftables"
		}
	}
	if tool == "none" || rules.foreign {
		old := &ruleset{port: l.srv.Port, chains: map[string]*fwChain{}}
		for name, six := range map[string]bool{"iptables-save": false, "ip6tables-save": true} {
			program := l.program(name)
			if program == "" {
				continue
			}
			text, err := l.Run(ctx, program)
			if why = err; err == nil {
				old.readSave(string(text), six)
			}
		}
		if len(old.order) > 0 {
			rules, tool = old, "iptables"
		}
	}
	if tool == "none" && why != nil {
		l.out.Missing["firewall"] = "its rules cannot be listed: " + why.Error()
		return
	}
	if tool == "none" && l.program("nft") == "" && l.program("iptables-save") == "" {
		l.out.Missing["firewall"] = "neither nft nor iptables-save is installed, so the rules do not show"
		return
	}
	f := &catalog.Firewall{Tool: tool, Allowed: rules.allowed(), Limits: rules.limits, Unclear: rules.unclear}
	l.out.Firewall = f
}

// program is the fixed place of one of the three listings, "" when it is not installed.
func (l *looker) program(name string) string {
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/bin/"} {
		if info, err := os.Stat(l.at(dir + name)); err == nil && info.Mode().IsRegular() {
			return dir + name
		}
	}
	return ""
}

// allowed lists the sources from which a new connection reaches the port, as the fewest prefixes.
func (r *ruleset) allowed() []netip.Prefix {
	var out []netip.Prefix
	for _, whole := range []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")} {
		out = append(out, r.within(whole)...)
	}
	return out
}

// within splits a prefix until no rule tells its addresses apart, and joins halves that are both allowed.
func (r *ruleset) within(p netip.Prefix) []netip.Prefix {
	inside := slices.ContainsFunc(r.sources, func(s netip.Prefix) bool { return s.Bits() > p.Bits() && p.Overlaps(s) })
	if !inside {
		if r.accepts(packet{p.Addr()}) {
			return []netip.Prefix{p}
		}
		return nil
	}
	low, high := halves(p)
	a, b := r.within(low), r.within(high)
	if len(a) == 1 && len(b) == 1 && a[0] == low && b[0] == high {
		return []netip.Prefix{p}
	}
	return append(a, b...)
}

func halves(p netip.Prefix) (low, high netip.Prefix) {
	bits := p.Bits() + 1
	bytes := p.Addr().AsSlice()
	bytes[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	other, _ := netip.AddrFromSlice(bytes) // it has the length of an address
	return netip.PrefixFrom(p.Addr(), bits), netip.PrefixFrom(other, bits)
}

// accepts sends a packet through every hooked chain: one that drops it is enough.
func (r *ruleset) accepts(p packet) bool {
	for _, name := range r.order {
		c := r.chains[name]
		if p.src.Is4() && !c.four || p.src.Is6() && !c.six {
			continue
		}
		verdict := r.walk(c, p, 0)
		if verdict == "" {
			verdict = c.policy
		}
		if verdict == "drop" {
			return false
		}
	}
	return true
}

// walk is the verdict of a chain, "" when it comes to none. What is not certain counts for the packet: a condition that is not understood
// makes an accepting rule accept and a dropping one not drop.
func (r *ruleset) walk(c *fwChain, p packet, depth int) string {
	if c == nil || depth > 16 {
		return ""
	}
	for _, rule := range c.rules {
		fits := yes
		for _, t := range rule.tests {
			fits = min(fits, t(p))
		}
		switch a := fits; {
		case a == no || rule.verdict == "":
		case rule.verdict == "jump" || rule.verdict == "goto":
			verdict := r.walk(r.chains[rule.target], p, depth+1)
			if verdict == "drop" && a == perhaps {
				r.note(rule.text)
				continue
			}
			if verdict != "" || rule.verdict == "goto" && a == yes {
				return verdict
			}
		case a == perhaps:
			r.note(rule.text)
			if rule.verdict == "accept" {
				return "accept"
			}
		case rule.verdict == "return":
			return ""
		default:
			return rule.verdict
		}
	}
	return ""
}

func (r *ruleset) note(text string) {
	if !slices.Contains(r.unclear, text) && len(r.unclear) < 20 {
		r.unclear = append(r.unclear, text)
	}
}

// source is the condition that a packet comes from one of some prefixes.
func (r *ruleset) source(from []netip.Prefix, negated bool) test {
	r.sources = append(r.sources, from...)
	return func(p packet) answer {
		in := slices.ContainsFunc(from, func(f netip.Prefix) bool { return f.Contains(p.src) })
		return sure(in != negated)
	}
}

func sure(b bool) answer {
	if b {
		return yes
	}
	return no
}

func always(a answer) test { return func(packet) answer { return a } }

// parsePrefix reads an address or a prefix.
func parsePrefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

// between lists the prefixes that make up a range of addresses.
func between(first, last netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for first.IsValid() && first.BitLen() == last.BitLen() && !last.Less(first) {
		bits := first.BitLen()
		for bits > 0 {
			wider := netip.PrefixFrom(first, bits-1).Masked()
			if wider.Addr() != first || last.Less(endOf(wider)) {
				break
			}
			bits--
		}
		p := netip.PrefixFrom(first, bits)
		out = append(out, p)
		first = endOf(p).Next()
	}
	return out
}

func endOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b) // it has the length of an address
	return a
}

// portFits reads 5432, 5000:6000 and lists of them.
func portFits(expr string, port int) answer {
	for _, part := range strings.Split(expr, ",") {
		low, high, isRange := strings.Cut(part, ":")
		if !isRange {
			high = low
		}
		a, ok1 := atoi(low)
		b, ok2 := atoi(high)
		if !ok1 || !ok2 {
			return perhaps
		}
		if a <= port && port <= b {
			return yes
		}
	}
	return no
}
