package pghost

import (
	"net/netip"
	"slices"
	"strings"
)

// readSave reads what iptables-save or ip6tables-save printed, its filter table.
func (r *ruleset) readSave(text string, six bool) {
	family := map[bool]string{false: "iptables ", true: "ip6tables "}[six]
	table := ""
	for _, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case table != "filter":
		case strings.HasPrefix(line, ":"):
			f := strings.Fields(line[1:])
			if len(f) < 2 {
				continue
			}
			c := &fwChain{name: family + f[0], hooked: f[0] == "INPUT", four: !six, six: six, policy: map[bool]string{true: "drop", false: "accept"}[f[1] == "DROP"]}
			r.chains[c.name] = c
			if c.hooked {
				r.order = append(r.order, c.name)
			}
		case strings.HasPrefix(line, "-A "):
			words := saveWords(line)
			if c := r.chains[family+words[1]]; c != nil {
				c.rules = append(c.rules, r.saveRule(words[2:], family, line))
			}
		}
	}
}

// saveWords splits a line at blanks outside quotes.
func saveWords(line string) []string {
	var out []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

// saveRule brings the words of a rule into our form.
func (r *ruleset) saveRule(words []string, family, text string) fwRule {
	rule := fwRule{text: text}
	negated := false
	for i := 0; i < len(words); i++ {
		word, value := words[i], ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		takes := true
		switch word {
		case "!":
			negated = true
			continue
		case "-s", "--source":
			rule.tests = append(rule.tests, r.saveSource(value, negated))
		case "--src-range":
			low, high, _ := strings.Cut(value, "-")
			rule.tests = append(rule.tests, r.saveRange(low, high, negated))
		case "-p", "--protocol":
			rule.tests = append(rule.tests, always(flip(sure(slices.Contains([]string{"tcp", "6", "all"}, value)), negated)))
		case "--dport", "--dports":
			rule.tests = append(rule.tests, always(flip(portFits(strings.ReplaceAll(value, "postgresql", "5432"), r.port), negated)))
		case "-i", "--in-interface":
			rule.tests = append(rule.tests, always(flip(interfaceFits([]any{value}), negated)))
		case "--ctstate", "--state":
			rule.tests = append(rule.tests, always(flip(sure(slices.Contains(strings.Split(value, ","), "NEW")), negated)))
		case "-m", "--match":
			r.saveModule(value, &rule)
		case "-j", "-g", "--jump", "--goto":
			saveTarget(&rule, word, value, family)
		case "--comment", "--reject-with", "--log-prefix", "--log-level", "--ctdir":
		default:
			takes = !strings.HasPrefix(value, "-") && value != "!"
			rule.tests = append(rule.tests, always(perhaps))
		}
		if negated = false; takes {
			i++
		}
	}
	return rule
}

// saveModule notes what a match module means by its name alone.
func (r *ruleset) saveModule(name string, rule *fwRule) {
	switch name {
	case "tcp", "udp", "multiport", "conntrack", "state", "comment", "iprange":
	case "limit", "hashlimit", "connlimit", "recent":
		r.limits = true
		rule.tests = append(rule.tests, always(perhaps))
	default:
		rule.tests = append(rule.tests, always(perhaps))
	}
}

func saveTarget(rule *fwRule, word, target, family string) {
	switch target {
	case "ACCEPT":
		rule.verdict = "accept"
	case "DROP", "REJECT":
		rule.verdict = "drop"
	case "RETURN":
		rule.verdict = "return"
	case "LOG", "NFLOG", "MARK", "CONNMARK":
		rule.verdict = ""
	default:
		rule.verdict, rule.target = "jump", family+target
		if word == "-g" || word == "--goto" {
			rule.verdict = "goto"
		}
	}
}

func (r *ruleset) saveSource(value string, negated bool) test {
	var from []netip.Prefix
	for _, v := range strings.Split(value, ",") {
		p, ok := parsePrefix(v)
		if !ok {
			return always(perhaps)
		}
		from = append(from, p)
	}
	return r.source(from, negated)
}

func (r *ruleset) saveRange(low, high string, negated bool) test {
	a, err1 := netip.ParseAddr(low)
	b, err2 := netip.ParseAddr(high)
	if err1 != nil || err2 != nil {
		return always(perhaps)
	}
	return r.source(between(a, b), negated)
}
