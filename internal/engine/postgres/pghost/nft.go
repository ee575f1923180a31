package pghost

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func atoi(s string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	return n, err == nil
}

// nftChain, nftSet and nftRule are the objects of `nft -j list ruleset` that are read.
type nftChain struct {
	Family, Table, Name, Type, Hook, Policy string
	Prio                                    int
}

type nftSet struct {
	Family, Table, Name string
	Elem                []json.RawMessage
}

type nftRule struct {
	Family, Table, Chain string
	Expr                 []map[string]json.RawMessage
}

// readNFT reads the listing.
func (r *ruleset) readNFT(text []byte) error {
	var doc struct {
		Nftables []struct {
			Chain *nftChain
			Rule  *nftRule
			Set   *nftSet
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return fmt.Errorf("read the listing of nft: %w", err)
	}
	sets := map[string][]json.RawMessage{}
	prio := map[string]int{}
	for _, o := range doc.Nftables {
		switch {
		case o.Set != nil:
			sets[o.Set.Family+" "+o.Set.Table+" "+o.Set.Name] = o.Set.Elem
		case o.Chain != nil:
			c := o.Chain
			key := c.Family + " " + c.Table + " " + c.Name
			hooked := c.Type == "filter" && (c.Hook == "input" || c.Hook == "prerouting")
			r.chains[key] = &fwChain{name: key, hooked: hooked, four: c.Family != "ip6", six: c.Family != "ip", policy: c.Policy}
			if hooked && slices.Contains([]string{"inet", "ip", "ip6"}, c.Family) {
				r.order = append(r.order, key)
				prio[key] = c.Prio
				if c.Hook == "prerouting" {
					prio[key] -= 10000
				}
			}
		}
	}
	slices.SortStableFunc(r.order, func(a, b string) int { return prio[a] - prio[b] })
	for _, o := range doc.Nftables {
		if o.Rule == nil {
			continue
		}
		base := o.Rule.Family + " " + o.Rule.Table + " "
		if c := r.chains[base+o.Rule.Chain]; c != nil {
			c.rules = append(c.rules, r.nftRules(o.Rule, base, sets)...)
		}
	}
	return nil
}

// nftRules brings a rule into our form. A verdict map becomes one rule for each of its entries.
func (r *ruleset) nftRules(n *nftRule, base string, sets map[string][]json.RawMessage) []fwRule {
	rule := fwRule{text: base + n.Chain}
	for _, e := range n.Expr {
		for kind, body := range e {
			switch kind {
			case "match":
				rule.tests = append(rule.tests, r.nftMatch(body, base, sets))
			case "accept", "drop", "return":
				rule.verdict = kind
			case "reject":
				rule.verdict = "drop"
			case "jump", "goto":
				var to struct{ Target string }
				if json.Unmarshal(body, &to) != nil {
					rule.tests = append(rule.tests, always(perhaps))
				}
				rule.verdict, rule.target = kind, base+to.Target
			case "vmap":
				return r.nftMap(body, rule, base, sets)
			case "limit", "meter", "ct count":
				r.limits = true
				rule.tests = append(rule.tests, always(perhaps))
			case "xt":
				r.foreign = true
				rule.tests = append(rule.tests, always(perhaps))
			case "counter", "log", "comment", "mangle", "notrack":
			default:
				rule.tests = append(rule.tests, always(perhaps))
			}
		}
	}
	return []fwRule{rule}
}

func (r *ruleset) nftMap(body json.RawMessage, rule fwRule, base string, sets map[string][]json.RawMessage) []fwRule {
	var m struct {
		Key  json.RawMessage
		Data struct {
			Set [][]json.RawMessage
		}
	}
	if json.Unmarshal(body, &m) != nil {
		rule.tests = append(rule.tests, always(perhaps))
		rule.verdict = "drop"
		return []fwRule{rule}
	}
	var out []fwRule
	for _, entry := range m.Data.Set {
		if len(entry) != 2 {
			continue
		}
		match, _ := json.Marshal(map[string]any{"op": "==", "left": m.Key, "right": entry[0]}) // of values that were JSON
		var verdict map[string]json.RawMessage
		if json.Unmarshal(entry[1], &verdict) != nil {
			continue
		}
		one := &nftRule{Expr: []map[string]json.RawMessage{{"match": match}, verdict}}
		for _, x := range r.nftRules(one, base, sets) {
			x.tests, x.text = append(slices.Clone(rule.tests), x.tests...), rule.text
			out = append(out, x)
		}
	}
	return out
}

// nftMatch is a condition: what is compared, and with what.
func (r *ruleset) nftMatch(body json.RawMessage, base string, sets map[string][]json.RawMessage) test {
	var m struct {
		Op    string
		Left  map[string]json.RawMessage
		Right json.RawMessage
	}
	if json.Unmarshal(body, &m) != nil || m.Op != "==" && m.Op != "!=" && m.Op != "in" && m.Op != "" {
		return always(perhaps)
	}
	negated := m.Op == "!="
	values := nftValues(m.Right, base, sets, 0)
	what := ""
	for kind, body := range m.Left {
		var f struct{ Protocol, Field, Key string }
		if json.Unmarshal(body, &f) != nil {
			return always(perhaps)
		}
		what = strings.Join(strings.Fields(kind+" "+f.Protocol+" "+f.Field+f.Key), " ")
	}
	switch what {
	case "payload ip saddr", "payload ip6 saddr":
		from, ok := nftPrefixes(values)
		if !ok {
			return always(perhaps)
		}
		return r.source(from, negated)
	case "payload tcp dport", "payload th dport":
		return always(flip(r.nftPorts(values), negated))
	case "meta l4proto", "payload ip protocol", "payload ip6 nexthdr":
		return always(flip(among(values, "tcp", "6"), negated))
	case "ct state":
		return always(flip(among(values, "new"), negated))
	case "meta iifname", "meta iif":
		// What comes from elsewhere does not come over loopback; which of the other interfaces it is, nobody knows.
		return always(flip(interfaceFits(values), negated))
	case "meta nfproto":
		return func(p packet) answer {
			return flip(among(values, map[bool]string{true: "ipv4", false: "ipv6"}[p.src.Is4()]), negated)
		}
	}
	if strings.HasPrefix(what, "payload udp") || strings.HasPrefix(what, "payload icmp") {
		return always(no)
	}
	return always(perhaps)
}

func flip(a answer, negated bool) answer {
	if !negated || a == perhaps {
		return a
	}
	return yes - a
}

func among(values []any, words ...string) answer {
	for _, v := range values {
		if slices.Contains(words, fmt.Sprint(v)) {
			return yes
		}
	}
	return no
}

func interfaceFits(values []any) answer {
	if len(values) == 1 && fmt.Sprint(values[0]) == "lo" {
		return no
	}
	return perhaps
}

// nftRange is {"range": [a, b]}.
type nftRange struct{ low, high any }

// nftValues lists what stands on the right of a condition, sets looked up.
func nftValues(body json.RawMessage, base string, sets map[string][]json.RawMessage, depth int) []any {
	var word string
	var number json.Number
	var list []json.RawMessage
	var object map[string]json.RawMessage
	switch {
	case depth > 4:
		return []any{nil}
	case json.Unmarshal(body, &word) == nil:
		if name, ok := strings.CutPrefix(word, "@"); ok {
			var out []any
			for _, e := range sets[base+name] {
				out = append(out, nftValues(e, base, sets, depth+1)...)
			}
			return out
		}
		return []any{word}
	case json.Unmarshal(body, &number) == nil:
		return []any{number.String()}
	case json.Unmarshal(body, &list) == nil:
		var out []any
		for _, e := range list {
			out = append(out, nftValues(e, base, sets, depth+1)...)
		}
		return out
	case json.Unmarshal(body, &object) != nil:
		return []any{nil}
	}
	return nftObject(object, base, sets, depth)
}

func nftObject(object map[string]json.RawMessage, base string, sets map[string][]json.RawMessage, depth int) []any {
	if body, ok := object["set"]; ok {
		return nftValues(body, base, sets, depth+1)
	}
	if body, ok := object["elem"]; ok {
		var e struct{ Val json.RawMessage }
		if json.Unmarshal(body, &e) == nil {
			return nftValues(e.Val, base, sets, depth+1)
		}
	}
	if body, ok := object["prefix"]; ok {
		var p struct {
			Addr string
			Len  int
		}
		if json.Unmarshal(body, &p) == nil {
			return []any{fmt.Sprintf("%s/%d", p.Addr, p.Len)}
		}
	}
	if body, ok := object["range"]; ok {
		if v := nftValues(body, base, sets, depth+1); len(v) == 2 {
			return []any{nftRange{v[0], v[1]}}
		}
	}
	return []any{nil}
}

func nftPrefixes(values []any) ([]netip.Prefix, bool) {
	var out []netip.Prefix
	for _, v := range values {
		if r, ok := v.(nftRange); ok {
			low, err1 := netip.ParseAddr(fmt.Sprint(r.low))
			high, err2 := netip.ParseAddr(fmt.Sprint(r.high))
			if err1 != nil || err2 != nil {
				return nil, false
			}
			out = append(out, between(low, high)...)
			continue
		}
		p, ok := parsePrefix(fmt.Sprint(v))
		if !ok {
			return nil, false
		}
		out = append(out, p)
	}
	return out, true
}

func (r *ruleset) nftPorts(values []any) answer {
	best := no
	for _, v := range values {
		expr := fmt.Sprint(v)
		if x, ok := v.(nftRange); ok {
			expr = fmt.Sprintf("%v:%v", x.low, x.high)
		}
		if expr == "postgresql" {
			expr = "5432"
		}
		best = max(best, portFits(expr, r.port))
	}
	return best
}
