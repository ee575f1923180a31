package sso_test

import (
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/sso"
)

// An address is verified by the document that it stands in: that the userinfo calls another one verified, or calls none, is no word about
// the token's. Where both are in one document, whichever, it counts.
func TestAddressAndWordAreOfOneDocument(t *testing.T) {
	t.Parallel()
	const hers, other = "ana@example.com", "mallory@example.com"
	for name, x := range map[string]struct {
		token, info map[string]any
		who         string // "": nobody comes in
	}{
		"another's word":       {map[string]any{"email": hers}, map[string]any{"email": other, "email_verified": true}, other},
		"a word about none":    {map[string]any{"email": hers}, map[string]any{"email_verified": true}, ""},
		"an address of theirs": {map[string]any{"email_verified": true}, map[string]any{"email": hers, "email_verified": false}, ""},
		"only an address":      {map[string]any{"email_verified": true}, map[string]any{"email": hers}, ""},
		"both in userinfo":     {nil, map[string]any{"email": hers, "email_verified": true}, "ana"},
		"both in the token":    {map[string]any{"email": hers, "email_verified": true}, map[string]any{"email": other, "email_verified": true}, "ana"},
		"the same in both":     {map[string]any{"email": hers}, map[string]any{"email": hers, "email_verified": true}, "ana"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, nil)
			p.idp.InUserinfo, p.idp.Users["u1"] = true, x.info
			p.idp.Alter = func(_, claims map[string]any) {
				for k, v := range x.token {
					claims[k] = v
				}
			}
			e, err := p.signIn(p.r)
			if x.who == "" {
				if refusal(err) != people.CodeSignOn || p.count(audit.PortalLogin, "sso email") != 1 {
					t.Errorf("%v, %v", e, err)
				}
				return
			}
			if err != nil || e.Session.Subject != x.who {
				t.Errorf("%v, %v; want %s", e, err, x.who)
			}
		})
	}
}

// What a provider takes back of somebody goes, also where nothing is left; what it does not speak of stays.
func TestAddressesAreTakenBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(s *sso.Settings) { s.Name, s.Attributes = "sub", map[string]string{"region": "office"} })
	has := func(name string) string {
		t.Helper()
		s, _ := p.policy().Subject("u1")
		return s.Attributes[name]
	}
	p.in(p.r)
	if has("email") != "ana@example.com" {
		t.Fatalf("the address is %q", has("email"))
	}
	again := func() {
		t.Helper()
		p.turn(5 * time.Minute)
		p.recheck(p.r)
	}
	p.idp.NoToken = true // ... and nothing in the userinfo: nothing is said
	again()
	if has("email") != "ana@example.com" {
		t.Errorf("silence took the address: %q", has("email"))
	}
	p.idp.NoToken = false
	p.idp.Users["u1"]["email_verified"] = false
	again()
	if has("email") != "" {
		t.Errorf("an address that is not verified any longer stays: %q", has("email"))
	}
	p.idp.Users["u1"]["email_verified"], p.idp.Users["u1"]["office"] = true, "EU"
	again()
	if has("email") != "ana@example.com" || has("region") != "EU" {
		t.Errorf("email %q, region %q", has("email"), has("region"))
	}
	delete(p.idp.Users["u1"], "email")
	p.idp.Users["u1"]["office"] = ""
	again()
	if has("email") != "" || has("region") != "" {
		t.Errorf("email %q, region %q", has("email"), has("region"))
	}
}
