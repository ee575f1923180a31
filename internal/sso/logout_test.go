package sso_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/secret"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// says makes u1's sign-ins of a session at the provider from now on.
func (p *place) says(sid string) {
	p.idp.Lock()
	defer p.idp.Unlock()
	delete(p.idp.Users["u1"], "sid")
	if sid != "" {
		p.idp.Users["u1"]["sid"] = sid
	}
}

func (p *place) live(e *people.Entry) bool {
	p.t.Helper()
	_, err := p.reg.Who(p.t.Context(), e.Token, false)
	if err != nil && refusal(err) != people.CodeSession {
		p.t.Fatal(err)
	}
	return err == nil
}

func (p *place) wantLive(what string, e *people.Entry, want bool) {
	p.t.Helper()
	if got := p.live(e); got != want {
		p.t.Errorf("%s: live is %v, want %v", what, got, want)
	}
}

func (p *place) logout(token string) error {
	p.t.Helper()
	return p.r.Logout(p.t.Context(), token, people.From{Remote: "192.0.2.9:5", Channel: "portal"})
}

func (p *place) loggedOut(token string) {
	p.t.Helper()
	if err := p.logout(token); err != nil {
		p.t.Fatal(err)
	}
}

// terminal is a session that somebody at a browser let in.
func (p *place) terminal(e *people.Entry) *people.Entry {
	p.t.Helper()
	ctx, from := p.t.Context(), people.From{Remote: "192.0.2.1:5", Channel: "cli"}
	code, d, err := p.reg.StartDevice(ctx, 0, "", from)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, _, err := p.reg.DecideDevice(ctx, e.Token, d.Code, true, from); err != nil {
		p.t.Fatal(err)
	}
	out, err := p.reg.RedeemDevice(ctx, code, secret.Text{}, secret.Text{}, from)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

func (p *place) issue(id string, kind identity.IssuedKind, signOn string) {
	p.t.Helper()
	now := p.clock()
	if err := p.db.Issue(p.t.Context(), identity.Issued{ID: id, Kind: kind, Subject: "ana", SignOn: signOn, Created: now, Expires: now.Add(time.Hour)}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) credentials() string {
	p.t.Helper()
	all, err := p.db.Credentials(p.t.Context(), "ana", p.clock())
	if err != nil {
		p.t.Fatal(err)
	}
	ids := []string{}
	for i := range all {
		ids = append(ids, all[i].ID)
	}
	return strings.Join(ids, " ")
}

// TestLogout: of a session at the provider ends what came of it, here and at terminals, and nothing else; without one all of the person's.
// Nobody is a stranger for it: they sign in again.
func TestLogout(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	in := func(sid string) *people.Entry {
		p.says(sid)
		p.turn(time.Second) // what the provider says before a logout is over with it
		return p.in(p.r)
	}
	one, two, unnamed := in("s1"), in("s2"), in("")
	shell, other := p.terminal(one), p.terminal(two)
	p.issue("c1", identity.Temporary, one.Session.SignOn)
	p.issue("c2", identity.Temporary, two.Session.SignOn)
	p.issue("c3", identity.Personal, "")
	if one.Session.SignOn == "" || one.Session.SignOn == two.Session.SignOn || strings.Contains(one.Session.SignOn, "s1") {
		t.Errorf("the sessions came of %q and %q", one.Session.SignOn, two.Session.SignOn)
	}

	p.loggedOut(p.idp.LogoutToken("", "s1", nil))
	p.wantLive("her browser", one, false)
	p.wantLive("her terminal", shell, false)
	p.wantLive("another browser", two, true)
	p.wantLive("another terminal", other, true)
	p.wantLive("a browser of no named session", unnamed, true)
	if got := p.credentials(); got != "c2 c3" {
		t.Errorf("live are %q", got)
	}
	if n := p.count(audit.ProviderLogout, ""); n != 1 {
		t.Errorf("%d events", n)
	}
	if n := p.count(audit.PortalSessionEnd, "provider_logout"); n != 2 {
		t.Errorf("%d sessions ended in the trail", n)
	}
	p.wantGroups("ana", "all", "office") // she is known there

	// With a subject it may also be one that the provider did not name. Of another subject it is not hers.
	p.idp.Users["u2"] = map[string]any{"email": "bob@example.com", "email_verified": true, "groups": []string{}}
	p.idp.As = "u2"
	p.in(p.r)
	p.idp.As = "u1"
	p.loggedOut(p.idp.LogoutToken("u2", "s2", nil))
	p.loggedOut(p.idp.LogoutToken("nobody", "s2", nil))
	p.loggedOut(p.idp.LogoutToken("nobody", "", nil))
	p.wantLive("hers, for all that others end", two, true)
	p.wantLive("hers of no named session, for all that others end", unnamed, true)
	p.loggedOut(p.idp.LogoutToken("u1", "s3", nil))
	p.wantLive("a browser of no named session", unnamed, false)
	p.wantLive("another browser", two, true)

	p.loggedOut(p.idp.LogoutToken("u1", "", nil))
	p.wantLive("another browser", two, false)
	p.wantLive("another terminal", other, false)
	if got := p.credentials(); got != "c3" {
		t.Errorf("live are %q", got)
	}
	p.loggedOut(p.idp.LogoutToken("u1", "s2", nil)) // out already
	p.wantLive("who signs in again", in("s2"), true)
}

// TestLogoutTokens: a token that is not wholly what it has to be ends nothing, says why, and is in the trail; the same one without the
// fault ends the session.
func TestLogoutTokens(t *testing.T) {
	t.Parallel()
	type values = map[string]any
	set := func(name string, v any) func(h, c values) { return func(_, c values) { c[name] = v } }
	without := func(name string) func(h, c values) { return func(_, c values) { delete(c, name) } }
	head := func(name string, v any) func(h, c values) { return func(h, _ values) { h[name] = v } }
	for _, row := range []struct {
		name, reason string
		change       func(h, c values)
	}{
		{"good", "", nil},
		{"good, of no type", "", func(h, _ values) { delete(h, "typ") }},
		{"good, of the usual type", "", head("typ", "JWT")},
		{"good, for two", "", func(_, c values) { c["aud"], c["azp"] = []string{"other", "postern"}, "postern" }},
		{"good, by a clock that is behind", "", func(_, c values) { c["iat"], c["exp"] = noonAt(-170), noonAt(-50) }},
		{"not signed", "algorithm", head("alg", "none")},
		{"signed with the secret", "algorithm", head("alg", "HS256")},
		{"of a type of its own", "kind", head("typ", "at+jwt")},
		{"by a key that nobody knows", "token", head("kid", "nobody's")},
		{"with a header that has to be understood", "token", func(h, _ values) { h["crit"], h["x"] = []string{"x"}, 1 }},
		{"of another issuer", "issuer", set("iss", "https://elsewhere.example")},
		{"of no issuer", "issuer", without("iss")},
		{"for another", "audience", set("aud", "other")},
		{"for nobody", "audience", without("aud")},
		{"for another of two", "audience", func(_, c values) { c["aud"], c["azp"] = []string{"other", "postern"}, "other" }},
		{"over", "expired", func(_, c values) { c["iat"], c["exp"] = noonAt(-300), noonAt(-60) }},
		{"for ever", "future", set("exp", noonAt(25*3600))},
		{"without an end", "token", without("exp")},
		{"from the future", "future", set("iat", noonAt(61))},
		{"of no time", "token", without("iat")},
		{"without a jti", "token", without("jti")},
		{"with a jti that is none", "token", set("jti", 7)},
		{"with a long jti", "token", set("jti", strings.Repeat("x", 257))},
		{"without events", "kind", without("events")},
		{"of another event", "kind", set("events", values{"http://schemas.example/event/other": values{}})},
		{"of an event that is none", "kind", set("events", values{logoutEvent: true})},
		{"of an event that is nothing", "kind", set("events", values{logoutEvent: nil})},
		{"of events in a list", "kind", set("events", []string{logoutEvent})},
		{"with a nonce", "kind", set("nonce", "n")},
		{"with an empty nonce", "kind", set("nonce", nil)},
		{"about nobody", "subject", func(_, c values) { delete(c, "sub"); delete(c, "sid") }},
		{"about an empty session", "subject", set("sid", "")},
		{"about a session that is none", "subject", set("sid", 7)},
		{"about an empty subject", "subject", set("sub", "")},
		{"about a long session", "subject", set("sid", strings.Repeat("x", 257))},
		{"too long", "token", set("more", strings.Repeat("x", 16<<10))},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, nil)
			p.says("s1")
			e := p.in(p.r)
			p.turn(time.Minute)
			now := p.clock()
			token := p.idp.LogoutToken("u1", "s1", func(h, c map[string]any) {
				if row.change != nil {
					row.change(h, c)
				}
				for _, name := range []string{"iat", "exp"} {
					if at, ok := c[name].(noonAt); ok {
						c[name] = now.Add(time.Duration(at) * time.Second).Unix()
					}
				}
			})
			err := p.logout(token)
			if row.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				p.wantLive("her session", e, false)
				if again := p.logout(token); refusal(again) != people.CodeSignOn || p.count(audit.ProviderLogout, "replay") != 1 {
					t.Errorf("the same again: %v", again)
				}
				return
			}
			if refusal(err) != people.CodeSignOn || p.count(audit.ProviderLogout, row.reason) != 1 {
				t.Errorf("refused with %v; events: %v", err, p.events)
			}
			p.wantLive("her session", e, true)
			p.loggedOut(p.idp.LogoutToken("u1", "s1", nil))
			p.wantLive("her session, by the good one", e, false)
		})
	}
}

// noonAt is seconds from the moment of a test.
type noonAt int

// TestLogoutMistaken: what the provider signed for something else, or by a key that it has withdrawn, is no logout token, and neither is
// anything while its keys cannot be asked for.
func TestLogoutMistaken(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.says("s1")
	var said map[string]any
	p.idp.Alter = func(_, c map[string]any) { said = maps.Clone(c) }
	e := p.in(p.r)
	p.idp.Alter = nil
	idToken := p.idp.LogoutToken("", "", func(h, c map[string]any) {
		h["typ"] = "JWT"
		clear(c)
		maps.Copy(c, said)
	})
	for what, token := range map[string]string{"an ID token": idToken, "no token": "x", "nothing": "", "half a token": "a.b.c"} {
		if err := p.logout(token); refusal(err) != people.CodeSignOn {
			t.Errorf("%s: %v", what, err)
		}
	}
	p.idp.Lock()
	p.idp.Rotate()
	old := p.idp.OldKey()
	p.idp.Unlock()
	p.turn(11 * time.Minute)
	withdrawn := p.idp.LogoutToken("u1", "s1", func(h, _ map[string]any) { h["kid"] = old })
	if err := p.logout(withdrawn); refusal(err) != people.CodeSignOn {
		t.Errorf("by a withdrawn key: %v", err)
	}
	fresh := p.party(nil, "root key")
	p.idp.Lock()
	p.idp.Down = true
	p.idp.Unlock()
	token := p.idp.LogoutToken("u1", "s1", nil)
	if err := fresh.Logout(t.Context(), token, people.From{}); refusal(err) != people.CodeProvider {
		t.Errorf("while the provider is down: %v", err)
	}
	p.wantLive("her session", e, true)
	p.idp.Lock()
	p.idp.Down = false
	p.idp.Unlock()
	p.turn(time.Minute)
	p.loggedOut(p.idp.LogoutToken("u1", "s1", nil))
	p.wantLive("her session", e, false)
}

// TestLogoutDuringSignIn: what the provider ends while the browser is on its way back does not begin.
func TestLogoutDuringSignIn(t *testing.T) {
	t.Parallel()
	for name, sid := range map[string]string{"of a session": "s1", "of one that is not named": "", "of all": "*"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, nil)
			p.says(strings.Trim(sid, "*"))
			p.in(p.r) // she has been here before
			over := p.idp.LogoutToken("u1", map[string]string{"s1": "s1", "": "s9", "*": ""}[sid], nil)
			// The word comes when her session is about to be kept.
			p.during = func(e audit.Event) {
				if e.Kind == audit.PortalLogin && e.Verdict == "allow" {
					p.loggedOut(over)
				}
			}
			carry, answer := p.visit(p.r)
			_, _, err := p.r.Finish(t.Context(), carry, answer, people.From{Remote: "192.0.2.1:5", Channel: "portal"})
			if refusal(err) != people.CodeSignOn || p.count(audit.PortalLogin, "sso over") != 1 {
				t.Errorf("signed in: %v", err)
			}
			all, err := p.db.SessionsOf(t.Context(), "ana")
			if len(all) != 0 || err != nil {
				t.Errorf("left: %v, %v", all, err)
			}
			p.during = nil
			p.turn(time.Second)
			p.wantLive("a sign-in after it", p.in(p.r), true)
		})
	}
}

// What could not be done to its end is done when the provider sends the token again, and then the token is used.
func TestLogoutSentAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.says("s1")
	e := p.in(p.r)
	p.turn(time.Minute)
	token := p.idp.LogoutToken("u1", "s1", nil)
	p.fails = errors.New("the disk is full")
	if err := p.logout(token); !errors.Is(err, p.fails) {
		t.Fatalf("without a trail: %v", err)
	}
	p.wantLive("her session", e, true)
	p.fails = nil
	if err := p.logout(token); err != nil {
		t.Fatal(err)
	}
	p.wantLive("her session", e, false)
	if err := p.logout(token); refusal(err) != people.CodeSignOn || p.count(audit.ProviderLogout, "replay") != 1 {
		t.Errorf("a third time: %v", err)
	}
}
