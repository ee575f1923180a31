package policy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// anyRule draws a rule of the dataset d, with conditions that logins sometimes meet.
func anyRule(t *rapid.T, i int) *Rule {
	r := &Rule{
		Name: fmt.Sprintf("r%d", i), Order: i, On: "d", Level: Read,
		To:      rapid.SliceOfN(rapid.SampledFrom([]string{"ana", "bob", "group:g", "group:h"}), 1, 3).Draw(t, "to"),
		Masks:   rapid.SampledFrom([]string{"", "m", "n"}).Draw(t, "masks"),
		Enabled: rapid.IntRange(0, 9).Draw(t, "enabled") > 0,
		Require: anyRequire(t),
	}
	if rapid.Bool().Draw(t, "ends") {
		r.Until = epoch.Add(time.Duration(rapid.IntRange(-3, 3).Draw(t, "until")) * time.Hour)
	}
	if rapid.IntRange(0, 3).Draw(t, "filtered") == 0 {
		r.Rows = map[Table]Filter{{"s", "p", "t"}: {SQL: "x", Attributes: []string{rapid.SampledFrom([]string{"region", "team"}).Draw(t, "attribute")}}}
	}
	return r
}

func anyRequire(t *rapid.T) Require {
	r := Require{TLS: rapid.IntRange(0, 3).Draw(t, "tls") == 0}
	if rapid.IntRange(0, 3).Draw(t, "network") == 0 {
		r.Network = []netip.Prefix{netip.MustParsePrefix(rapid.SampledFrom([]string{"10.0.0.0/8", "10.1.0.0/16", "::/0"}).Draw(t, "prefix"))}
		r.Local = rapid.Bool().Draw(t, "local")
	}
	return r
}

func anyMaskProfile(t *rapid.T, name string) *MaskProfile {
	m := &MaskProfile{Name: name}
	for _, pattern := range []string{"a.b", "a.b.c", "a.*", "a.b.*", "*", "unlabelled", "s.p.t.c"} {
		if !rapid.Bool().Draw(t, pattern) {
			continue
		}
		e := MaskEntry{Pattern: pattern, Mask: anyMask().Draw(t, "mask")}
		if pattern == "s.p.t.c" {
			e.Column = &Column{Table{"s", "p", "t"}, "c"}
		}
		m.Entries = append(m.Entries, e)
	}
	return m
}

func anyPolicy(t *rapid.T) *Policy {
	p := &Policy{
		Stores:   map[string]*Store{"s": {Name: "s"}},
		Groups:   map[string]*Group{"g": {Name: "g", Members: []string{"ana", "group:h"}}, "h": {Name: "h", Members: []string{"bob"}}},
		Users:    map[string]*User{"ana": {Name: "ana", Attributes: map[string]string{"region": "EU"}}, "bob": {Name: "bob", Attributes: map[string]string{"region": "EU", "team": ""}}},
		Labels:   map[Column]*Label{},
		Masks:    map[string]*MaskProfile{"m": anyMaskProfile(t, "m"), "n": anyMaskProfile(t, "n")},
		Datasets: map[string]*Dataset{"d": {Name: "d", Include: []TablePattern{{Store: "s"}}}},
		Network:  []*NetworkRule{{Any: true, Auth: AuthSCRAM}},
	}
	if label := rapid.SampledFrom([]string{"", "a.b", "a.b.c", "a.x", "z"}).Draw(t, "label"); label != "" {
		p.Labels[theColumn] = &Label{Column: theColumn, Class: label}
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "rules") {
		p.Rules = append(p.Rules, anyRule(t, i))
	}
	return p
}

var theColumn = Column{Table{"s", "p", "t"}, "c"}

func anyLogin(t *rapid.T, p *Policy) Login {
	s, _ := p.Subject(rapid.SampledFrom([]string{"ana", "bob"}).Draw(t, "who"))
	l := Login{Subject: s, Store: "s", TLS: rapid.Bool().Draw(t, "overTLS"), Local: rapid.Bool().Draw(t, "overSocket")}
	l.At = epoch.Add(time.Duration(rapid.IntRange(-4, 4).Draw(t, "hour")) * time.Hour)
	if !l.Local {
		l.Address = netip.MustParseAddr(rapid.SampledFrom([]string{"10.1.1.1", "10.2.1.1", "192.0.2.1", "::1"}).Draw(t, "address"))
	}
	return l
}

// deny makes one thing stricter.
func deny(t *rapid.T, p *Policy, l *Login) string {
	kinds := []string{"time passes", "a network rule rejects", "a network rule wants TLS"}
	if len(p.Rules) > 0 {
		kinds = append(kinds, "require TLS", "require network", "narrow network", "end", "attribute")
	}
	kind := rapid.SampledFrom(kinds).Draw(t, "denial")
	var r *Rule
	if len(p.Rules) > 0 {
		r = rapid.SampledFrom(p.Rules).Draw(t, "rule")
	}
	switch kind {
	case "time passes":
		l.At = l.At.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "passed")) * time.Hour)
	case "a network rule rejects":
		p.Network = append([]*NetworkRule{{Any: true, To: []string{"ana"}, Auth: AuthReject}}, p.Network...)
	case "a network rule wants TLS":
		p.Network[0].TLS = TLSRequire
	case "require TLS":
		r.Require.TLS = true
	case "require network":
		if len(r.Require.Network) == 0 && !r.Require.Local {
			r.Require.Network = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}
	case "narrow network":
		if r.Require.Local {
			if len(r.Require.Network) > 0 {
				r.Require.Local = false
			}
		} else if len(r.Require.Network) > 0 {
			// Narrower is within: a prefix of the other family would be another network, and let in whom the first kept out.
			inner := map[bool]string{true: "10.1.1.0/30", false: "::/127"}[r.Require.Network[0].Addr().Is4()]
			r.Require.Network = []netip.Prefix{netip.MustParsePrefix(inner)}
		}
	case "end":
		if end := epoch.Add(-2 * time.Hour); r.Until.IsZero() || end.Before(r.Until) {
			r.Until = end
		}
	case "attribute":
		delete(l.Subject.Attributes, "region")
	}
	return kind
}

func TestDenialsNeverGiveMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		l := anyLogin(t, p)
		before := p.Decide(l)
		var kinds []string
		for range rapid.IntRange(1, 3).Draw(t, "denials") {
			kinds = append(kinds, deny(t, p, &l))
		}
		after := p.Decide(l)
		if before.Refusal != nil && after.Refusal == nil {
			t.Fatalf("%v let in whom %s kept out", kinds, before.Refusal.Code)
		}
		for _, r := range after.Rules {
			if !slices.Contains(before.Rules, r) {
				t.Fatalf("%v gave rule %s", kinds, r.Name)
			}
		}
	})
}

// An admission is what it says: rules held and running, and something to hold.
func TestAdmissionsAreConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		l := anyLogin(t, p)
		a := p.Decide(l)
		if a.Refusal != nil {
			if a.Rules != nil || a.Profile != nil || a.Refusal.Code == "" || a.Refusal.Text == "" {
				t.Fatalf("a refusal with something in it: %+v", a)
			}
			return
		}
		if len(a.Rules) == 0 || a.Network == nil || !slices.Equal(a.Profile, p.RulesOf(l.Subject, l.Store)) {
			t.Fatalf("an admission without something: %+v", a)
		}
		for _, r := range a.Rules {
			if !r.Enabled || !l.Subject.Is(r.To) || !r.Until.IsZero() && !l.At.Before(r.Until) || !slices.Contains(a.Profile, r) {
				t.Fatalf("rule %s is not held", r.Name)
			}
			if !r.Until.IsZero() && r.Until.Before(a.Until) {
				t.Fatalf("rule %s ends before %s", r.Name, a.Until)
			}
		}
		if !a.Until.IsZero() {
			l.At = a.Until.Add(-time.Nanosecond)
			if !slices.Equal(p.Decide(l).Rules, a.Rules) {
				t.Fatal("something ends before Until")
			}
			l.At = a.Until
			if slices.Equal(p.Decide(l).Rules, a.Rules) {
				t.Fatal("nothing ends at Until")
			}
		}
	})
}

// A column is raw only where a rule shows it raw, the order is that of strength, and every rule is in exactly one branch.
func TestUnionOfRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPolicy(t)
		label := p.LabelOf(theColumn)
		branches := p.Branches(p.Rules, theColumn)
		seen := map[*Rule]bool{}
		for i, b := range branches {
			if i > 0 && b.Mask.Strength() < branches[i-1].Mask.Strength() {
				t.Fatalf("%s stands behind %s", b.Mask, branches[i-1].Mask)
			}
			for j := range branches[:i] {
				if branches[j].Mask.Equal(b.Mask) {
					t.Fatalf("%s stands twice", b.Mask)
				}
			}
			for _, r := range b.Rules {
				if seen[r] || !p.MaskOf(r, theColumn, label).Equal(b.Mask) {
					t.Fatalf("rule %s is in the wrong branch", r.Name)
				}
				seen[r] = true
			}
		}
		if len(seen) != len(p.Rules) {
			t.Fatalf("%d of %d rules have a branch", len(seen), len(p.Rules))
		}
		// Whatever rules admit a row, the first branch with one of them is the least masked form that they show.
		var admit []*Rule
		for _, r := range p.Rules {
			if rapid.Bool().Draw(t, "admits") {
				admit = append(admit, r)
			}
		}
		for _, b := range branches {
			if !slices.ContainsFunc(b.Rules, func(r *Rule) bool { return slices.Contains(admit, r) }) {
				continue
			}
			raw := false
			for _, r := range admit {
				m := p.MaskOf(r, theColumn, label)
				raw = raw || m.IsRaw()
				if m.Strength() < b.Mask.Strength() {
					t.Fatalf("the row shows %s although rule %s shows %s", b.Mask, r.Name, m)
				}
			}
			if b.Mask.IsRaw() != raw {
				t.Fatal("raw without a rule that shows it raw")
			}
			break
		}
		shuffled := rapid.Permutation(p.Rules).Draw(t, "order")
		if got := p.Branches(shuffled, theColumn); fmt.Sprint(got) != fmt.Sprint(branches) {
			t.Fatal("the order in which rules are given matters")
		}
	})
}

func TestMostSpecificMaskDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyMaskProfile(t, "m")
		column := Column{Table{"s", "p", "t"}, rapid.SampledFrom([]string{"c", "d"}).Draw(t, "column")}
		label := rapid.SampledFrom([]string{"", "a.b", "a.b.c", "a.x", "a", "z"}).Draw(t, "label")
		want := m.maskOf(column, label)
		other := &MaskProfile{Entries: rapid.Permutation(m.Entries).Draw(t, "order")}
		if got := other.maskOf(column, label); !got.Equal(want) {
			t.Fatalf("%s, reordered %s", want, got)
		}
		if got := (&MaskProfile{}).maskOf(column, label); got.Name != Hidden {
			t.Fatalf("an empty profile shows %s", got)
		}
	})
}

func anyPattern(t *rapid.T) string {
	part := func(names ...string) string { return rapid.SampledFrom(append(names, "*")).Draw(t, "part") }
	parts := []string{part("shop", "hr"), part("public"), part("a", "b")}
	return strings.Join(parts[:rapid.IntRange(1, 3).Draw(t, "parts")], ".")
}

func distinctPatterns(t *rapid.T, atLeast int) []Text {
	seen, out := map[string]bool{}, []Text{}
	for range rapid.IntRange(atLeast, 3).Draw(t, "patterns") {
		p := anyPattern(t)
		key := strings.TrimRight(p, ".*")
		if !seen[key] {
			out = append(out, at(p))
		}
		seen[key] = true
	}
	return out
}

// What validation accepts leaves no table in two datasets by equally long locations; what it refuses as an overlap has such
// a table (ACC-01).
func TestOverlapsAreFoundExactly(t *testing.T) {
	var universe []Table
	for _, s := range []string{"shop", "hr", "elsewhere"} {
		for _, n := range []string{"public", "other"} {
			for _, r := range []string{"a", "b", "c"} {
				universe = append(universe, Table{s, n, r})
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := &Document{Stores: []*Store{{Name: "shop", Schemas: []string{"public"}}, {Name: "hr", Schemas: []string{"public"}}}}
		for _, name := range []string{"d", "e", "f"} {
			entry(&d.Datasets, name, DatasetEntry{Include: distinctPatterns(t, 1), Exclude: distinctPatterns(t, 0)})
		}
		b := &builder{doc: d, syntax: plainSyntax{}, p: &Policy{Stores: map[string]*Store{}, Datasets: map[string]*Dataset{}}}
		for _, s := range d.Stores {
			b.p.Stores[s.Name] = s
		}
		b.datasets()
		refused := slices.ContainsFunc(b.problems, func(p Problem) bool { return strings.Contains(p.Message, "is also in dataset") })
		clash := ""
		for _, table := range universe {
			lengths := map[int]string{}
			for _, name := range slices.Sorted(maps.Keys(b.p.Datasets)) {
				m := b.p.Datasets[name].match(table)
				if other, twice := lengths[m]; twice && m >= 0 {
					clash = fmt.Sprintf("%s is in %s and %s", table, other, name)
				}
				lengths[m] = name
			}
		}
		if refused != (clash != "") {
			t.Fatalf("refused %t, and %q: %v", refused, clash, b.problems)
		}
	})
}

func TestDigestDoesNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := sample()
		want := build(t, d).Digest
		d.Groups.Entries = rapid.Permutation(d.Groups.Entries).Draw(t, "groups")
		d.Users.Entries = rapid.Permutation(d.Users.Entries).Draw(t, "users")
		d.Labels.Entries = rapid.Permutation(d.Labels.Entries).Draw(t, "labels")
		d.Masks.Entries = rapid.Permutation(d.Masks.Entries).Draw(t, "masks")
		d.Datasets.Entries = rapid.Permutation(d.Datasets.Entries).Draw(t, "datasets")
		if build(t, d).Digest != want {
			t.Fatal("the digest depends on the order of names")
		}
		rules := d.Rules.Entries
		d.Rules.Entries = rapid.Permutation(rules).Draw(t, "rules")
		same := slices.EqualFunc(rules, d.Rules.Entries, func(a, b Entry[RuleEntry]) bool { return a.Key.Value == b.Key.Value })
		if (build(t, d).Digest == want) != same {
			t.Fatal("the order of rules decides ties, and the digest does not show it")
		}
	})
}
