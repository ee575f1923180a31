package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// plainSyntax accepts every filter but "bad" and finds attributes by the word subject.
type plainSyntax struct{}

func (plainSyntax) CheckFilter(sql string) (int, error) {
	if i := strings.Index(sql, "bad"); i >= 0 {
		return i, errors.New("bad")
	}
	return -1, nil
}
func (s plainSyntax) CheckMaskExpression(sql string) (int, error) { return s.CheckFilter(sql) }

func (plainSyntax) FilterAttributes(sql string) []string {
	var out []string
	for _, w := range strings.Fields(sql) {
		if name, ok := strings.CutPrefix(w, "subject."); ok {
			out = append(out, name)
		}
	}
	return out
}
func (plainSyntax) CheckVerifier(string) error { return nil }

// at makes a text with a place, so that it counts as given.
func at(s string) Text { return Text{Value: s, Pos: Pos{"x", 1, 1}} }

func texts(list ...string) []Text {
	out := []Text{}
	for _, s := range list {
		out = append(out, at(s))
	}
	return out
}

func entry[V any](m *Map[V], key string, v V) {
	m.Entries = append(m.Entries, Entry[V]{Key: at(key), Value: v})
}

// sample is a document with a little of everything.
func sample() *Document {
	d := &Document{Stores: []*Store{{Name: "shop", Engine: "postgres", Schemas: []string{"public", "sales"}}, {Name: "hr", Schemas: []string{"public"}}}}
	for _, name := range []string{"ana", "bob", "cyd"} {
		u := UserEntry{}
		if name != "cyd" {
			entry(&u.Attributes, "region", at("EU"))
		}
		entry(&d.Users, name, u)
	}
	entry(&d.Groups, "analysts", texts("ana", "group:juniors"))
	entry(&d.Groups, "juniors", texts("bob"))
	for column, class := range map[string]string{"email": "contact.email", "ssn": "id.us_ssn", "card": "fin.card"} {
		entry(&d.Labels, "shop.public.customers."+column, at(class))
	}
	m := Map[Text]{}
	for _, line := range [][2]string{
		{"contact.email", "partial_email"}, {"id.*", "hidden"}, {"*", `constant("x")`}, {"unlabelled", "keep"}, {"shop.public.customers.note", "hash"},
	} {
		entry(&m, line[0], at(line[1]))
	}
	entry(&d.Masks, "analytics", m)
	entry(&d.Masks, "strict", Map[Text]{})
	entry(&d.Datasets, "customers", DatasetEntry{Include: texts("shop.public.customers", "shop.public.orders")})
	entry(&d.Datasets, "rest", DatasetEntry{Include: texts("shop.public"), Exclude: texts("shop.public.secret")})
	eu := Map[Text]{}
	entry(&eu, "shop.public.customers", at("region = subject.region"))
	entry(&d.Rules, "eu", RuleEntry{To: texts("group:analysts"), On: at("customers"), Masks: at("analytics"), Rows: eu})
	entry(&d.Rules, "raw", RuleEntry{To: texts("ana"), On: at("customers"), Until: at("2030-01-01")})
	entry(&d.Rules, "strict", RuleEntry{To: texts("ana", "cyd"), On: at("customers"), Masks: at("strict")})
	entry(&d.Rules, "rest", RuleEntry{To: texts("ana"), On: at("rest"), Enabled: Flag{Set: true, Value: false}})
	return d
}

func build(t interface {
	Helper()
	Fatal(...any)
}, d *Document,
) *Policy {
	t.Helper()
	p, problems, _ := Build(d, plainSyntax{})
	if len(problems) > 0 {
		t.Fatal(problems.Error())
	}
	return p
}

func customers(column string) Column {
	return Column{Table{"shop", "public", "customers"}, column}
}

func TestSubjectsAndGroups(t *testing.T) {
	p := build(t, sample())
	ana, _ := p.Subject("ana")
	bob, _ := p.Subject("bob")
	if !slices.Equal(ana.Groups, []string{"analysts"}) || !slices.Equal(bob.Groups, []string{"analysts", "juniors"}) || bob.Attributes["region"] != "EU" {
		t.Errorf("ana %+v, bob %+v", ana, bob)
	}
	if _, ok := p.Subject("nobody"); ok {
		t.Error("nobody is somebody")
	}
	if all := p.Subjects(); len(all) != 3 || all[2].Name != "cyd" {
		t.Errorf("subjects are %+v", all)
	}
	ana.Attributes["region"] = "US"
	if again, _ := p.Subject("ana"); again.Attributes["region"] != "EU" {
		t.Error("a subject's attributes can be changed from outside")
	}
	// A name is not a group and a group not a name.
	if (Subject{Name: "group:x"}).Is([]string{"group:x"}) || (Subject{Name: "x"}).Is([]string{"group:x"}) || (Subject{Groups: []string{"x"}}).Is([]string{"x"}) {
		t.Error("names and groups are confused")
	}
}

func TestRulesOf(t *testing.T) {
	p := build(t, sample())
	for user, want := range map[string]string{"ana": "eu raw strict", "bob": "eu", "cyd": "strict"} {
		s, _ := p.Subject(user)
		if got := ruleNames(p.RulesOf(s, "shop")); got != want {
			t.Errorf("%s holds %q, not %q", user, got, want)
		}
		if got := p.RulesOf(s, "hr"); got != nil {
			t.Errorf("%s holds %v on hr", user, got)
		}
	}
	if p.Rule("raw") == nil || p.Rule("none") != nil {
		t.Error("Rule is wrong")
	}
}

func ruleNames(rules []*Rule) string {
	var out []string
	for _, r := range rules {
		out = append(out, r.Name)
	}
	return strings.Join(out, " ")
}

func TestDatasetOf(t *testing.T) {
	p := build(t, sample())
	for table, want := range map[string]string{
		"customers": "customers", "orders": "customers", "other": "rest", "secret": "",
	} {
		got := ""
		if d := p.DatasetOf(Table{"shop", "public", table}); d != nil {
			got = d.Name
		}
		if got != want {
			t.Errorf("%s is in %q, not %q", table, got, want)
		}
	}
	if p.DatasetOf(Table{"shop", "sales", "x"}) != nil || p.DatasetOf(Table{"hr", "public", "customers"}) != nil {
		t.Error("a table of another schema or store is in a dataset")
	}
	universe := []Table{{"shop", "public", "orders"}, {"shop", "public", "x"}, {"shop", "public", "customers"}}
	if got := p.TablesOf("customers", universe); len(got) != 2 || got[0].Name != "orders" {
		t.Errorf("tables are %v", got)
	}
}

func TestMaskOf(t *testing.T) {
	p := build(t, sample())
	eu, raw, strict := p.Rule("eu"), p.Rule("raw"), p.Rule("strict")
	for _, c := range []struct {
		rule          *Rule
		column, label string
		want          string
	}{
		{eu, "email", "contact.email", PartialEmail},
		{eu, "ssn", "id.us_ssn", Hidden},
		{eu, "x", "id.other.kind", Hidden},
		{eu, "x", "id", Constant}, // "id.*" is not about id itself
		{eu, "card", "fin.card", Constant},
		{eu, "name", "", Keep},
		{eu, "note", "", Hash},
		{eu, "note", "contact.email", Hash}, // the column by name is more specific than its label
		{raw, "ssn", "id.us_ssn", Keep},
		{strict, "name", "", Hidden},
		{strict, "ssn", "id.us_ssn", Hidden},
		{&Rule{Masks: "no such profile"}, "name", "", Hidden},
		{&Rule{Masks: "strict", Level: Own}, "name", "", Keep},
	} {
		if got := p.MaskOf(c.rule, customers(c.column), c.label); got.Name != c.want {
			t.Errorf("%s.%s (%s) is %s, not %s", c.rule.Name, c.column, c.label, got, c.want)
		}
	}
}

func TestOutside(t *testing.T) {
	p := build(t, sample())
	if !p.Outside(customers("name")).Equal(Mask{Name: Hidden}) {
		t.Error("block shows something")
	}
	p.Baseline.OutsideDatasets = OutsideRead
	if !p.Outside(customers("name")).IsRaw() || p.Outside(customers("ssn")).IsRaw() {
		t.Error("read hides the wrong columns")
	}
}

func TestBranches(t *testing.T) {
	p := build(t, sample())
	all := p.Rules
	form := func(b []Branch) string {
		var out []string
		for _, x := range b {
			out = append(out, x.Mask.Name+":"+strings.ReplaceAll(ruleNames(x.Rules), " ", "+"))
		}
		return strings.Join(out, " ")
	}
	for column, want := range map[string]string{
		"email": "keep:raw partial_email:eu hidden:strict",
		"ssn":   "keep:raw hidden:eu+strict",
		"name":  "keep:eu+raw hidden:strict",
	} {
		if got := form(p.Branches(all, customers(column))); got != want {
			t.Errorf("%s: %q, not %q", column, got, want)
		}
		backwards := slices.Clone(all)
		slices.Reverse(backwards)
		if got := form(p.Branches(backwards, customers(column))); got != want {
			t.Errorf("%s, rules backwards: %q, not %q", column, got, want)
		}
	}
	if got := p.Branches(all, Column{Table{"shop", "sales", "x"}, "y"}); got != nil {
		t.Errorf("a table of no dataset has branches %v", got)
	}
	if got := p.Branches(nil, customers("email")); len(got) != 0 {
		t.Errorf("no rule gives %v", got)
	}
}

func login(p *Policy, user string) Login {
	s, _ := p.Subject(user)
	return Login{Subject: s, Store: "shop", Address: netip.MustParseAddr("10.1.2.3"), TLS: true, At: time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func TestDecide(t *testing.T) {
	p := build(t, sample())
	a := p.Decide(login(p, "ana"))
	if a.Refusal != nil || ruleNames(a.Rules) != "eu raw strict" || ruleNames(a.Profile) != "eu raw strict" || a.Network == nil {
		t.Fatalf("ana: %+v", a)
	}
	end := time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC)
	if !a.Until.Equal(end) {
		t.Errorf("the next end is %s: a bare date ends at 24:00 UTC of that day", a.Until)
	}
	l := login(p, "ana")
	l.At = end.Add(-time.Nanosecond)
	if got := ruleNames(p.Decide(l).Rules); got != "eu raw strict" {
		t.Errorf("just before the end: %q", got)
	}
	l.At = end
	if b := p.Decide(l); ruleNames(b.Rules) != "eu strict" || ruleNames(b.Profile) != "eu raw strict" || !b.Until.IsZero() {
		t.Errorf("at the end: %+v", b)
	}
}

func TestDecideRefuses(t *testing.T) {
	p := build(t, sample())
	for _, c := range []struct {
		name   string
		code   Code
		change func(*Policy, *Login)
	}{
		{"store", CodeUnknownStore, func(_ *Policy, l *Login) { l.Store = "shopp" }},
		{"no rule on the store", CodeNoRule, func(_ *Policy, l *Login) { l.Store = "hr" }},
		{"nobody", CodeNoRule, func(_ *Policy, l *Login) { l.Subject = Subject{Name: "x"} }},
		{"disabled", CodeNoRule, func(p *Policy, _ *Login) { p.Rule("eu").Enabled = false }},
		{"ended", CodeRuleEnded, func(p *Policy, l *Login) { p.Rule("eu").Until = l.At }},
		{"attribute", CodeAttributeMissing, func(_ *Policy, l *Login) { delete(l.Subject.Attributes, "region") }},
		{"tls by network rule", CodeTLSRequired, func(_ *Policy, l *Login) { l.TLS = false }},
		{"tls by rule", CodeTLSRequired, func(p *Policy, l *Login) {
			l.TLS, l.Address = false, netip.MustParseAddr("127.0.0.1")
			p.Rule("eu").Require.TLS = true
		}},
		{"network", CodeNetworkRequired, func(p *Policy, _ *Login) {
			p.Rule("eu").Require.Network = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}
		}},
		{"socket not among the networks", CodeNetworkRequired, func(p *Policy, l *Login) {
			l.Local, l.Address = true, netip.Addr{}
			p.Rule("eu").Require.Network = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
		}},
		{"only sockets", CodeNetworkRequired, func(p *Policy, _ *Login) { p.Rule("eu").Require.Local = true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := build(t, sample())
			l := login(p, "bob")
			c.change(p, &l)
			a := p.Decide(l)
			if a.Refusal == nil || a.Refusal.Code != c.code || a.Refusal.Text == "" || a.Rules != nil || a.Profile != nil || a.Network != nil {
				t.Errorf("got %+v", a)
			}
		})
	}
	if a := p.Decide(login(p, "bob")); a.Refusal != nil {
		t.Errorf("unchanged, bob is refused: %v", a.Refusal)
	}
}

// A condition of one rule holds for the whole login: another rule does not widen it, ended or not.
func TestConditionsAreNeverWidened(t *testing.T) {
	p := build(t, sample())
	p.Rule("raw").Require.Network = []netip.Prefix{netip.MustParsePrefix("192.168.0.0/16")}
	l := login(p, "ana")
	for range 2 {
		if a := p.Decide(l); a.Refusal == nil || a.Refusal.Code != CodeNetworkRequired {
			t.Errorf("got %+v", a)
		}
		l.At = time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	p.Rule("raw").Enabled = false
	if a := p.Decide(l); a.Refusal != nil {
		t.Errorf("the condition of a suspended rule binds: %v", a.Refusal)
	}
}

func TestNetworkRules(t *testing.T) {
	pre := netip.MustParsePrefix
	p := &Policy{Network: []*NetworkRule{
		{From: []netip.Prefix{pre("10.0.0.0/8")}, To: []string{"group:analysts"}, Auth: AuthSCRAM, TLS: TLSRequire},
		{From: []netip.Prefix{pre("10.9.0.0/16")}, Auth: AuthReject},
		{From: []netip.Prefix{pre("10.0.0.0/8"), pre("2001:db8::/32")}, To: []string{"bob"}, Auth: AuthCert},
		{From: []netip.Prefix{pre("192.0.2.0/24")}, To: []string{"eve"}, Auth: AuthReject},
		{Local: true, Auth: AuthPeer, TLS: TLSRequire},
		{From: []netip.Prefix{pre("198.51.100.0/24")}, Auth: AuthSCRAM, TLS: TLSVerify},
	}}
	ana, bob, eve := Subject{Name: "ana", Groups: []string{"analysts"}}, Subject{Name: "bob"}, Subject{Name: "eve"}
	for _, c := range []struct {
		who        Subject
		addr       string // "" is a Unix socket
		tls, cert  bool
		first, all Code
		auth       Auth
	}{
		{ana, "10.1.1.1", true, false, "", "", AuthSCRAM},
		{ana, "::ffff:10.1.1.1", true, false, "", "", AuthSCRAM}, // the same address in IPv6 clothes
		{ana, "10.1.1.1", false, false, "", CodeTLSRequired, ""},
		{ana, "10.9.1.1", true, false, "", "", AuthSCRAM}, // the first match decides
		{bob, "10.9.1.1", true, true, "", CodeNetworkRejected, ""},
		{bob, "10.1.1.1", true, true, "", "", AuthCert},
		{bob, "10.1.1.1", true, false, "", CodeCertRequired, ""},
		{bob, "10.1.1.1", false, true, "", CodeCertRequired, ""},
		{bob, "2001:db8::1%eth0", true, true, "", "", AuthCert}, // a zone is no part of an address
		{eve, "10.1.1.1", true, true, "", CodeNetworkUnlisted, ""},
		{eve, "192.0.2.1", true, true, CodeNetworkUnlisted, CodeNetworkRejected, ""},
		{bob, "192.0.2.1", true, true, CodeNetworkUnlisted, CodeNetworkUnlisted, ""},
		{bob, "203.0.113.1", true, true, CodeNetworkUnlisted, CodeNetworkUnlisted, ""},
		{bob, "", false, false, "", "", AuthPeer},
		{bob, "198.51.100.7", false, false, "", CodeTLSRequired, ""},
		{bob, "198.51.100.7", true, false, "", CodeCertRequired, ""},
		{bob, "198.51.100.7", true, true, "", "", AuthSCRAM},
	} {
		t.Run(fmt.Sprint(c.who.Name, c.addr, c.tls, c.cert), func(t *testing.T) {
			l := Login{Subject: c.who, TLS: c.tls, ClientCert: c.cert, Local: c.addr == ""}
			if c.addr != "" {
				l.Address = netip.MustParseAddr(c.addr)
			}
			if got := codeOf(p.AdmitAddress(l.Address, l.Local)); got != c.first {
				t.Errorf("before TLS: %q, not %q", got, c.first)
			}
			rule, refusal := p.NetworkOf(l)
			if got := codeOf(refusal); got != c.all || (rule == nil) != (c.all != "") {
				t.Fatalf("%q, not %q", got, c.all)
			}
			if rule != nil && rule.Auth != c.auth {
				t.Errorf("%s, not %s", rule.Auth, c.auth)
			}
		})
	}
	if codeOf((&Policy{}).AdmitAddress(netip.MustParseAddr("10.0.0.1"), false)) != CodeNetworkUnlisted {
		t.Error("no rules admit")
	}
	reject := &Policy{Network: []*NetworkRule{{Any: true, Auth: AuthReject}}}
	if codeOf(reject.AdmitAddress(netip.Addr{}, true)) != CodeNetworkRejected {
		t.Error("all does not cover sockets")
	}
}

func codeOf(r *Refusal) Code {
	if r == nil {
		return ""
	}
	return r.Code
}

func TestNearest(t *testing.T) {
	names := []string{"analysts", "support", "eu", "x"}
	for word, want := range map[string]string{
		"analyst": "analysts", "anlaysts": "analysts", "Analysts": "analysts", "suport": "support", "sprt": "", "ue": "eu", "analysts": "",
		"y": "", "": "", "completely different": "", strings.Repeat("a", 1000): "",
	} {
		if got := Nearest(word, names); got != want {
			t.Errorf("Nearest(%q) is %q, not %q", word, got, want)
		}
	}
}

func TestLocationsArePrintedAsRead(t *testing.T) {
	c := Column{Table{"shop", "Odd.Name", `a "b"`}, "*"}
	parts, err := splitLocation(c.String())
	if err != nil || len(parts) != 4 || parts[1].text != "Odd.Name" || parts[2].text != `a "b"` || parts[3].text != "*" || !parts[3].quoted {
		t.Errorf("%s is read as %v, %v", c, parts, err)
	}
}

// The longest location decides; of equally long ones the exclude wins (ACC-01).
func TestLongestLocationDecides(t *testing.T) {
	pattern := func(store, schema, table string) TablePattern {
		return TablePattern{Store: store, Schema: schema, Table: table}
	}
	for _, c := range []struct {
		name             string
		include, exclude []TablePattern
		holds            bool
	}{
		{"nothing", nil, nil, false},
		{"store", []TablePattern{pattern("shop", "", "")}, nil, true},
		{"everything", []TablePattern{pattern("", "", "")}, nil, true},
		{"longer exclude", []TablePattern{pattern("shop", "", "")}, []TablePattern{pattern("shop", "public", "")}, false},
		{"longer include", []TablePattern{pattern("shop", "public", "t")}, []TablePattern{pattern("shop", "public", "")}, true},
		{"equal", []TablePattern{pattern("shop", "*", "t")}, []TablePattern{pattern("shop", "public", "")}, false},
		{"the longest of several", []TablePattern{pattern("shop", "", ""), pattern("shop", "public", "t")}, []TablePattern{pattern("shop", "public", "")}, true},
		{"another table", []TablePattern{pattern("shop", "public", "u")}, nil, false},
		{"another store", []TablePattern{pattern("hr", "*", "t")}, nil, false},
	} {
		d := &Dataset{Include: c.include, Exclude: c.exclude}
		if got := d.Holds(Table{"shop", "public", "t"}); got != c.holds {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestProblemsAreSortedAndPrinted(t *testing.T) {
	ps := Problems{
		{Pos: Pos{"b", 1, 1}, Message: "one"},
		{Pos: Pos{"a", 10, 1}, Message: "two"},
		{Pos: Pos{"a", 9, 2}, Message: "three", Hint: "do"},
		{Pos: Pos{"a", 9, 1}, Message: "four"},
		{Pos: Pos{"a", 9, 1}, Message: "four"},
		{Message: "nowhere"},
	}.Sort()
	want := "nowhere\na:9:1: four\na:9:2: three\n  hint: do\na:10:1: two\nb:1:1: one"
	if ps.Error() != want {
		t.Errorf("got\n%s", ps.Error())
	}
	if (Problems{}).NotInThisVersion() || !(Problems{{Kind: KindLater}}).NotInThisVersion() || (Problems{{Kind: KindLater}, {Kind: KindValue}}).NotInThisVersion() {
		t.Error("NotInThisVersion is wrong")
	}
}

// TestPeopleOfAProvider: the provider's groups count as members of the file's, at any depth, and only for who is in them; the file's own
// word comes first; who has ended is nobody; and what was laid over a policy before leaves nothing behind.
func TestPeopleOfAProvider(t *testing.T) {
	t.Parallel()
	file := &Policy{
		Users: map[string]*User{"ana": {Name: "ana", Attributes: map[string]string{"region": "EU"}}, "bob": {Name: "bob"}},
		Groups: map[string]*Group{
			"office": {Name: "office", Members: []string{"bob", "provider:g1"}}, "all": {Name: "all", Members: []string{"group:office"}},
			"other": {Name: "other", Members: []string{"provider:g2"}},
		},
	}
	in := func(p *Policy, name string) string {
		s, known := p.Subject(name)
		if !known {
			return "nobody"
		}
		return strings.Join(s.Groups, " ")
	}
	p := file.WithPeople([]Person{
		{Name: "ana", Groups: []string{"g1", "g3"}, Attributes: map[string]string{"region": "US", "email": "ana@ex.test"}},
		{Name: "cleo", Groups: []string{"g2"}, Attributes: map[string]string{"region": "US"}},
		{Name: "bob", Ended: true},
	})
	for name, want := range map[string]string{"ana": "all office", "bob": "nobody", "cleo": "other", "eve": "nobody", "provider:g1": "nobody", "g1": "nobody"} {
		if got := in(p, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	ana, _ := p.Subject("ana")
	cleo, _ := p.Subject("cleo")
	if ana.Attributes["region"] != "EU" || ana.Attributes["email"] != "ana@ex.test" || cleo.Attributes["region"] != "US" {
		t.Errorf("attributes: %v, %v", ana.Attributes, cleo.Attributes)
	}
	if got := strings.Join(p.Provided(), " "); got != "ana bob cleo" {
		t.Errorf("known to the provider: %s", got)
	}
	if len(p.Expected()) != 3 { // g1, g2, both
		t.Errorf("expected: %+v", p.Expected())
	}
	next := p.WithGrants(nil).WithPeople([]Person{{Name: "cleo"}})
	for name, want := range map[string]string{"ana": "", "bob": "all office", "cleo": ""} {
		if got := in(next, name); got != want {
			t.Errorf("afterwards %s: %q, want %q", name, got, want)
		}
	}
	if in(file, "cleo") != "nobody" || in(file, "bob") != "all office" || file.Users["ana"].Attributes["email"] != "" {
		t.Error("the file's policy was changed")
	}
	for n := range 10 { // of many groups not every choice is built
		file.Groups[string(rune('a'+n))] = &Group{Members: []string{"provider:" + string(rune('a'+n))}}
	}
	if got := len(file.Expected()); got != 13 {
		t.Errorf("%d expected for 12 groups, want each and all", got)
	}
}

// TestPeopleOfADirectory: the directory's groups count beside the provider's and are not the same ones, it makes nobody a user, and whom
// it has ended is nobody.
func TestPeopleOfADirectory(t *testing.T) {
	t.Parallel()
	file := &Policy{
		Users: map[string]*User{"ana": {Name: "ana"}, "bob": {Name: "bob"}},
		Groups: map[string]*Group{
			"office": {Name: "office", Members: []string{"ldap:g1"}}, "other": {Name: "other", Members: []string{"provider:g1"}},
		},
	}
	p := file.WithPeople([]Person{
		{Name: "ana", Directory: []string{"g1"}, OfFile: true},
		{Name: "bob", Ended: true, Barred: true, OfFile: true},
		{Name: "cleo", Directory: []string{"g1"}, OfFile: true},
		{Name: "dora", Directory: []string{"g1"}, Groups: []string{"g1"}},
	})
	for name, want := range map[string]string{"ana": "office", "bob": "nobody", "cleo": "nobody", "dora": "office other"} {
		got := "nobody"
		if s, known := p.Subject(name); known {
			got = strings.Join(s.Groups, " ")
		}
		if got != want || p.IsBarred(name) != (name == "bob") || p.IsEnded(name) != (name == "bob") {
			t.Errorf("%s: %q, want %q; barred %v, ended %v", name, got, want, p.IsBarred(name), p.IsEnded(name))
		}
	}
	if got := strings.Join(p.Provided(), " "); got != "ana bob dora" {
		t.Errorf("known from outside: %s", got)
	}
	if got := len(p.Expected()); got != 3 || strings.Join(p.DirectoryGroups(), " ") != "g1" || file.IsBarred("bob") {
		t.Errorf("%d expected, groups %v", got, p.DirectoryGroups())
	}
}
