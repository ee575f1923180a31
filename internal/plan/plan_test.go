package plan

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/secret"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ got, want string }{
		{ProfileName("shop", []string{"analysts-eu"}), "postern_shop_analysts_eu_" + hash8("analysts-eu")},
		{ProfileName("shop", []string{"b", "a"}), "postern_shop_a_b_" + hash8("a\nb")},
		{RuleRoleName("shop", "analysts-eu"), "postern_shop_rule_analysts_eu"},
		{OpenRoleName("shop", "analysts-eu"), "postern_shop_open_analysts_eu"},
		{RuleRoleName("shop", "a_b"), "postern_shop_rule_a_b_" + hash8("a_b")},
		{ViewName(catalog.Name{Schema: "public", Name: "orders"}, "public"), "orders"},
		{ViewName(catalog.Name{Schema: "sales", Name: "orders"}, "public"), "sales.orders"},
	} {
		if x.got != x.want {
			t.Errorf("got %s, want %s", x.got, x.want)
		}
	}
	if RuleRoleName("shop", "a-b") == RuleRoleName("shop", "a_b") || RuleRoleName("shop", "ä") == RuleRoleName("shop", "ö") {
		t.Error("two rules have one role")
	}
}

// TestNameProperties: at most 63 bytes with every suffix, in the alphabet that needs no quotes, the same for the same set in any
// order, another for another set.
func TestNameProperties(t *testing.T) {
	t.Parallel()
	plain := regexp.MustCompile(`^[a-z0-9_]+$`)
	rapid.Check(t, func(t *rapid.T) {
		store := rapid.StringN(1, 80, 200).Draw(t, "store")
		rules := rapid.SliceOfNDistinct(rapid.StringN(1, 40, 120), 1, 6, rapid.ID[string]).Draw(t, "rules")
		name := ProfileName(store, rules)
		if len(name)+len("_mask") > maxName || !plain.MatchString(name) {
			t.Fatalf("profile name %q", name)
		}
		turned := slices.Clone(rules)
		slices.Reverse(turned)
		if other := ProfileName(store, turned); other != name {
			t.Fatalf("the order of rules changes %q to %q", name, other)
		}
		for _, r := range []string{RuleRoleName(store, rules[0]), OpenRoleName(store, rules[0])} {
			if len(r) > maxName || !plain.MatchString(r) {
				t.Fatalf("rule role %q", r)
			}
		}
		view := ViewName(catalog.Name{Schema: store, Name: rules[0]}, "")
		if len(view) > maxName || utf8.ValidString(store+rules[0]) && !utf8.ValidString(view) {
			t.Fatalf("view name %q", view)
		}
	})
}

func TestInstallationID(t *testing.T) {
	t.Parallel()
	a, b := InstallationID(secret.New("one key")), InstallationID(secret.New("another key"))
	if a == b || len(a) != 16 || a != InstallationID(secret.New("one key")) {
		t.Errorf("installations %q and %q", a, b)
	}
	if strings.Contains(a, "key") {
		t.Error("the installation tells the key")
	}
}

func TestSealAndConsent(t *testing.T) {
	t.Parallel()
	p := &Plan{Store: "shop", Changes: []Change{
		{ID: "a", SQL: []string{"x"}},
		{ID: "b", SQL: []string{"y"}, Widens: true, Consent: ConsentWidening},
		{ID: "c", SQL: []string{"z"}, Consent: ConsentForeign},
	}}
	p.Seal()
	first := p.Digest
	p.Changes[0].Reason = "words do not count"
	if p.Seal(); p.Digest != first {
		t.Error("the digest changes with words")
	}
	p.Changes[0].SQL[0] = "other"
	if p.Seal(); p.Digest == first {
		t.Error("the digest does not change with SQL")
	}
	open := p.Unaccepted([]string{"b"})
	if len(open) != 1 || open[0].ID != "c" || len(p.Widening()) != 1 || p.Empty() {
		t.Errorf("open %v, widening %v", open, p.Widening())
	}
}
