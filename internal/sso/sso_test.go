package sso_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/sso"
	"github.com/postern-sec/postern/internal/state"
	"github.com/postern-sec/postern/test/provider"
)

const redirect = "https://postern.example/sign-in/callback"

// place is a relying party over a real state file and a strict provider, with one clock for all.
type place struct {
	t    *testing.T
	idp  *provider.Provider
	db   *state.DB
	path string
	reg  *people.Registry
	r    *sso.RelyingParty

	during func(audit.Event) // is called before an event is kept
	fails  error             // what comes of keeping one

	mu     sync.Mutex
	now    time.Time
	events []audit.Event
	alarms []audit.Kind
	pol    *policy.Policy
}

func (p *place) Record(_ context.Context, e audit.Event) (string, error) {
	if p.during != nil {
		p.during(e)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails != nil {
		return "", p.fails
	}
	p.events = append(p.events, e)
	return "", nil
}

func (p *place) RecordSoon(audit.Event) error { return nil }

func (p *place) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *place) turn(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

func (p *place) policy() *policy.Policy {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pol
}

func (p *place) publish(known []policy.Person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pol = p.pol.WithPeople(known)
}

// count says how many events of a kind there are with a reason.
func (p *place) count(kind audit.Kind, reason string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, e := range p.events {
		if e.Kind == kind && e.Reason == reason {
			n++
		}
	}
	return n
}

func newPlace(t *testing.T, change func(*sso.Settings)) *place {
	t.Helper()
	p := &place{t: t, idp: provider.Start(t), path: filepath.Join(t.TempDir(), "s.db"), now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	p.pol = &policy.Policy{
		Users: map[string]*policy.User{
			"ana": {Name: "ana", Attributes: map[string]string{"email": "Ana@Example.com"}}, "robot": {Name: "robot", Owner: "ana"},
		},
		Groups: map[string]*policy.Group{"office": {Name: "office", Members: []string{"provider:g-office"}}, "all": {Name: "all", Members: []string{"group:office"}}},
	}
	p.idp.Now, p.idp.Redirect, p.idp.As = p.clock, redirect, "u1"
	p.idp.Users["u1"] = map[string]any{"email": "ana@example.com", "email_verified": true, "groups": []string{"g-office", "g-other"}}
	var err error
	if p.db, err = state.Open(t.Context(), p.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.db.Close() })
	mock, err := identity.NewMock([]byte("0123456789abcdef0123456789abcdef"), 1)
	if err != nil {
		t.Fatal(err)
	}
	p.reg, err = people.New(people.Config{
		Accounts: p.db, Sessions: p.db, Devices: p.db, Policy: p.policy, Audit: p, Throttle: identity.NewThrottle(), Mock: mock, Key: secret.New("root key"), Now: p.clock,
		Random: rand.Reader, Cost: people.Cost{Memory: 64, Passes: 1, Threads: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.r = p.party(change, "root key")
	return p
}

// party makes a relying party, as another instance over the same state would be.
func (p *place) party(change func(*sso.Settings), key string) *sso.RelyingParty {
	p.t.Helper()
	c := sso.Config{
		Settings: sso.Settings{
			Issuer: p.idp.URL, Client: provider.Client, Secret: secret.New(provider.Secret), Redirect: redirect, Scopes: []string{"openid", "email", "offline_access"},
			Name: "email", Create: true, Groups: "groups", Algorithms: []string{"ES256"}, Recheck: 5 * time.Minute, Limit: time.Hour,
		},
		Links: p.db, Logouts: p.db, People: p.reg, Policy: p.policy, Audit: p, Key: secret.New(key), Now: p.clock, Random: rand.Reader,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Publish: p.publish,
		Alarm: func(_ context.Context, kind audit.Kind, _ string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.alarms = append(p.alarms, kind)
		},
	}
	if change != nil {
		change(&c.Settings)
	}
	var err error
	if c.HTTP, err = sso.NewHTTPClient(""); err != nil {
		p.t.Fatal(err)
	}
	r, err := sso.New(c)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// visit is the browser's part: it follows the button and returns what the provider sends back.
func (p *place) visit(r *sso.RelyingParty) (carry string, answer url.Values) {
	p.t.Helper()
	where, carry, err := r.Begin(p.t.Context(), "/mine")
	if err != nil {
		p.t.Fatal(err)
	}
	return carry, p.browse(where)
}

func (p *place) browse(where string) url.Values {
	p.t.Helper()
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	q, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, where, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	a, err := browser.Do(q)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	if a.StatusCode != http.StatusFound {
		text, _ := io.ReadAll(a.Body)
		p.t.Fatalf("the provider: %s: %s", a.Status, text)
	}
	to, err := a.Location()
	if err != nil || !strings.HasPrefix(to.String(), redirect+"?") {
		p.t.Fatalf("sent to %v: %v", to, err)
	}
	return to.Query()
}

func (p *place) signIn(r *sso.RelyingParty) (*people.Entry, error) {
	p.t.Helper()
	carry, answer := p.visit(r)
	e, next, err := r.Finish(p.t.Context(), carry, answer, people.From{Remote: "192.0.2.1:5", Channel: "portal"})
	if err == nil && next != "/mine" {
		p.t.Errorf("sent on to %q", next)
	}
	return e, err
}

func (p *place) in(r *sso.RelyingParty) *people.Entry {
	p.t.Helper()
	e, err := p.signIn(r)
	if err != nil {
		p.t.Fatal(err)
	}
	return e
}

func (p *place) recheck(r *sso.RelyingParty) {
	p.t.Helper()
	if err := r.Recheck(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) groups(name string) []string {
	s, known := p.policy().Subject(name)
	if !known {
		return []string{"(unknown)"}
	}
	return s.Groups
}

func (p *place) wantGroups(name string, want ...string) {
	p.t.Helper()
	if got := p.groups(name); !slices.Equal(got, want) {
		p.t.Errorf("%s is in %q, want %q", name, got, want)
	}
}

func refusal(err error) string {
	var no *people.Refusal
	if errors.As(err, &no) {
		return no.Code
	}
	return ""
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	e := p.in(p.r)
	// The address is the one in the file, whatever its case; the group's group comes along.
	if e.Session.Subject != "ana" || e.Session.Stage != people.Full {
		t.Errorf("signed in as %q at %q", e.Session.Subject, e.Session.Stage)
	}
	p.wantGroups("ana", "all", "office")
	if _, err := p.reg.Who(t.Context(), e.Token, true); err != nil {
		t.Error(err)
	}
	// Somebody who is not in the file is a user too, by their address, and needs no group.
	p.idp.Users["u2"] = map[string]any{"email": "New@example.com", "email_verified": true, "groups": []string{}}
	p.idp.As = "u2"
	if e := p.in(p.r); e.Session.Subject != "new@example.com" {
		t.Errorf("signed in as %q", e.Session.Subject)
	}
	p.wantGroups("new@example.com")
	// It is the subject that counts: the address may change.
	p.idp.Users["u2"]["email"] = "married@example.com"
	if e := p.in(p.r); e.Session.Subject != "new@example.com" {
		t.Errorf("after the address changed: %q", e.Session.Subject)
	}
	// ... and whoever gets the old address is somebody else.
	p.idp.Users["u3"], p.idp.As = map[string]any{"email": "new@example.com", "email_verified": true, "groups": []string{"g-office"}}, "u3"
	if _, err := p.signIn(p.r); refusal(err) != people.CodeSignOn || p.count(audit.PortalLogin, "sso name") != 1 {
		t.Errorf("an address that was somebody else's: %v", err)
	}
	// An operator can say that it is theirs now.
	if err := p.db.Unlink(t.Context(), "new@example.com"); err != nil {
		t.Fatal(err)
	}
	if e := p.in(p.r); e.Session.Subject != "new@example.com" {
		t.Errorf("after unlinking: %q", e.Session.Subject)
	}
	p.wantGroups("new@example.com", "all", "office")
}

// TestTokensRefused: each fault is refused for its own reason, and the same sign-in without it succeeds.
func TestTokensRefused(t *testing.T) {
	t.Parallel()
	var p *place
	set := func(name string, v any) func(h, c map[string]any) {
		return func(_, c map[string]any) { c[name] = v }
	}
	drop := func(name string) func(h, c map[string]any) {
		return func(_, c map[string]any) { delete(c, name) }
	}
	at := func(name string, d time.Duration) func(h, c map[string]any) {
		return func(_, c map[string]any) { c[name] = p.clock().Add(d).Unix() }
	}
	alg := func(name string) func(h, c map[string]any) {
		return func(h, _ map[string]any) { h["alg"] = name }
	}
	old := ""
	for _, x := range []struct {
		name   string
		alter  func(h, c map[string]any)
		reason string // "": allowed
	}{
		{"nothing", nil, ""},
		{"algorithm none", alg("none"), "sso algorithm"},
		{"signed with the secret", alg("HS256"), "sso algorithm"},
		{"another key's signature", func(h, _ map[string]any) { h["kid"] = "unknown" }, "sso token"},
		{"a key that is no longer published", func(h, _ map[string]any) { h["kid"] = p.idp.OldKey() }, "sso token"},
		{"another issuer", set("iss", "https://login.example"), "sso issuer"},
		{"the issuer with a slash", func(_, c map[string]any) { c["iss"] = c["iss"].(string) + "/" }, "sso issuer"},
		{"another audience", set("aud", "wiki"), "sso audience"},
		{"several audiences without a party", set("aud", []string{provider.Client, "wiki"}), "sso audience"},
		{"several audiences, of another party", func(_, c map[string]any) { c["aud"], c["azp"] = []string{provider.Client, "wiki"}, "wiki" }, "sso audience"},
		{"several audiences, ours the party", func(_, c map[string]any) {
			c["aud"], c["azp"] = []string{"wiki", provider.Client}, provider.Client
		}, ""},
		{"no subject", set("sub", ""), "sso subject"},
		{"no nonce", drop("nonce"), "sso nonce"},
		{"another nonce", set("nonce", "0123456789abcdef0123456789abcdef"), "sso nonce"},
		{"the nonce of the sign-in before", func(_, c map[string]any) { old, c["nonce"] = c["nonce"].(string), old }, "sso nonce"},
		{"no end", drop("exp"), "sso token"},
		{"no beginning", drop("iat"), "sso token"},
		{"an end that is no time", set("exp", "soon"), "sso token"},
		{"expired for 61 s", at("exp", -61*time.Second), "sso expired"},
		{"expired for 59 s", at("exp", -59*time.Second), ""},
		{"from in 61 s", at("iat", 61*time.Second), "sso future"},
		{"from in 59 s", at("iat", 59*time.Second), ""},
		{"good from in 61 s on", at("nbf", 61*time.Second), "sso future"},
		{"good from in 59 s on", at("nbf", 59*time.Second), ""},
		{"an address that is not verified", set("email_verified", false), "sso email"},
		{"an address that nobody says is verified", drop("email_verified"), "sso email"},
		{"an address verified in words", set("email_verified", "true"), ""},
		{"a pointer to the groups", func(_, c map[string]any) {
			delete(c, "groups")
			c["_claim_names"] = map[string]string{"groups": "src1"}
			c["_claim_sources"] = map[string]any{"src1": map[string]string{"endpoint": "https://graph.example/u1/getMemberObjects"}}
		}, "sso groups"},
		{"too many groups to say", func(_, c map[string]any) { delete(c, "groups"); c["hasgroups"] = true }, "sso groups"},
		{"a service account's address", set("email", "robot"), "sso name"},
		{"a name with a line end", set("email", "a\nb"), "sso email"},
	} {
		t.Run(x.name, func(t *testing.T) {
			p = newPlace(t, nil)
			if strings.Contains(x.name, "no longer published") {
				p.in(p.r) // the key was known once
				p.idp.Rotate()
				p.turn(10 * time.Minute)
			}
			if strings.Contains(x.name, "before") {
				p.idp.Alter = func(_, c map[string]any) { old = c["nonce"].(string) }
				p.in(p.r)
			}
			p.idp.Alter = x.alter
			_, err := p.signIn(p.r)
			if x.reason == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if refusal(err) != people.CodeSignOn || p.count(audit.PortalLogin, x.reason) != 1 {
				t.Errorf("%v, %d events %q in %v", err, p.count(audit.PortalLogin, x.reason), x.reason, p.events)
			}
			p.idp.Alter = nil
			p.idp.Users["u1"]["email_verified"] = true
			if _, err := p.signIn(p.r); err != nil {
				t.Errorf("without the fault: %v", err)
			}
		})
	}
}

// TestAnswersBelongToOneBrowser: what comes back fits the sign-in that it was made for, once, and for ten minutes.
func TestAnswersBelongToOneBrowser(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	finish := func(carry string, answer url.Values) string {
		_, _, err := p.r.Finish(t.Context(), carry, answer, people.From{Channel: "portal"})
		if err == nil {
			return ""
		}
		return refusal(err)
	}
	carry, answer := p.visit(p.r)
	other, others := p.visit(p.r)
	for what, got := range map[string]string{
		"without the browser's part":   finish("", answer),
		"with another browser's part":  finish(other, answer),
		"with a part that was made up": finish("AAAA", answer),
		"with a damaged part":          finish(carry[:len(carry)/2]+other[len(other)/2:], answer),
		"with another state":           finish(carry, url.Values{"state": {"x"}, "code": answer["code"], "iss": answer["iss"]}),
		"of another issuer":            finish(carry, url.Values{"state": answer["state"], "code": answer["code"], "iss": {"https://login.example"}}),
		"of nobody":                    finish(carry, url.Values{"state": answer["state"], "code": answer["code"]}),
		"that says no":                 finish(carry, url.Values{"state": answer["state"], "error": {"access_denied"}, "iss": answer["iss"]}),
		"with the code of another":     finish(carry, url.Values{"state": answer["state"], "code": others["code"], "iss": answer["iss"]}),
	} {
		if got != people.CodeSignOn {
			t.Errorf("an answer %s: %q", what, got)
		}
	}
	if got := finish(carry, answer); got != "" {
		t.Errorf("the right answer: %q", got)
	}
	if got := finish(carry, answer); got != people.CodeSignOn {
		t.Errorf("the right answer again: %q", got)
	}
	late, lateAnswer := p.visit(p.r)
	p.turn(10 * time.Minute)
	if got := finish(late, lateAnswer); got != people.CodeSignOn {
		t.Errorf("ten minutes later: %q", got)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.in(p.r)
	p.idp.Rotate()
	if _, err := p.signIn(p.r); err != nil {
		t.Errorf("a token of a new key: %v", err)
	}
	// The old key is still known, and good, until the keys are looked at again.
	p.turn(10 * time.Minute)
	p.idp.Alter = func(h, _ map[string]any) { h["kid"] = p.idp.OldKey() }
	if _, err := p.signIn(p.r); refusal(err) != people.CodeSignOn {
		t.Errorf("a token of a key that was withdrawn ten minutes ago: %v", err)
	}
}

func TestProviderDownAtSignIn(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.idp.Down = true
	if _, _, err := p.r.Begin(t.Context(), ""); refusal(err) != people.CodeProvider {
		t.Errorf("the button: %v", err)
	}
	p.idp.Down = false
	p.turn(10 * time.Second)
	carry, answer := p.visit(p.r)
	p.idp.Down = true
	_, _, err := p.r.Finish(t.Context(), carry, answer, people.From{Channel: "portal"})
	if refusal(err) != people.CodeProvider || p.count(audit.PortalLogin, "sso provider") != 1 {
		t.Errorf("between button and answer: %v", err)
	}
	p.idp.Down = false
	if _, err := p.signIn(p.r); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestNobodyBecomesALocalAccount(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(s *sso.Settings) { s.Name = "preferred_username" })
	inv, err := p.reg.Create(t.Context(), "", "root", people.Admin, people.From{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.reg.Accept(t.Context(), inv.Code, secret.New("four plain words here"), people.From{Channel: "portal"}); err != nil {
		t.Fatal(err)
	}
	p.idp.Users["u1"]["preferred_username"] = "root"
	if _, err := p.signIn(p.r); refusal(err) != people.CodeSignOn {
		t.Errorf("as the local admin: %v", err)
	}
	p.idp.Users["u1"]["preferred_username"] = "robot"
	if _, err := p.signIn(p.r); refusal(err) != people.CodeSignOn {
		t.Errorf("as a service account: %v", err)
	}
	p.idp.Users["u1"]["preferred_username"] = "ana"
	if e, err := p.signIn(p.r); err != nil || e.Session.Subject != "ana" {
		t.Errorf("as a person of the file: %v", err)
	}
}

// TestNobodyBecomesAPersonOfTheFile: who has a password of their own here is nobody's to become either when the file has them, neither by
// the name nor by the address; until an operator takes the password away. A tie that was made before stays.
func TestNobodyBecomesAPersonOfTheFile(t *testing.T) {
	t.Parallel()
	for _, claim := range []string{"email", "preferred_username"} {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, func(s *sso.Settings) { s.Name = claim })
			ctx, from := t.Context(), people.From{Channel: "portal"}
			p.idp.Users["u1"]["preferred_username"] = "ana"
			accept := func(inv *people.Invitation, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := p.reg.Accept(ctx, inv.Code, secret.New("four plain words here"), from); err != nil {
					t.Fatal(err)
				}
			}
			accept(p.reg.Create(ctx, "", "ana", people.NoRole, from))
			if _, err := p.signIn(p.r); refusal(err) != people.CodeSignOn || p.count(audit.PortalLogin, "sso name") != 1 {
				t.Errorf("as ana, who has a password: %v", err)
			}
			if _, err := p.reg.Invite(ctx, "", "ana", true, from); err != nil {
				t.Fatal(err)
			}
			if e := p.in(p.r); e.Session.Subject != "ana" {
				t.Errorf("after a reset: %q", e.Session.Subject)
			}
			accept(p.reg.Invite(ctx, "", "ana", false, from))
			if e := p.in(p.r); e.Session.Subject != "ana" {
				t.Errorf("by the tie: %q", e.Session.Subject)
			}
		})
	}
}

// TestRolesWantASecondFactor: whoever has a role proves one here, unless the provider has seen it.
func TestRolesWantASecondFactor(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	if _, err := p.reg.Create(t.Context(), "", "ana", people.Auditor, people.From{}); err != nil {
		t.Fatal(err)
	}
	if e := p.in(p.r); e.Session.Stage != people.AtEnrol {
		t.Errorf("an auditor with a password alone is at %q", e.Session.Stage)
	}
	p.idp.Users["u1"]["amr"] = []string{"pwd", "otp"}
	p.idp.Users["u1"]["auth_time"] = p.clock().Add(-time.Minute).Unix()
	e := p.in(p.r)
	if e.Session.Stage != people.Full || !e.Session.Factor.Equal(p.clock().Add(-time.Minute)) {
		t.Errorf("with two factors at the provider: %q, proved %s", e.Session.Stage, e.Session.Factor)
	}
	p.idp.Users["u1"]["amr"] = []string{"otp"}
	if e := p.in(p.r); e.Session.Stage != people.AtEnrol {
		t.Errorf("with one factor at the provider: %q", e.Session.Stage)
	}
	if err := p.reg.Set(t.Context(), "", "ana", nil, new(true), people.From{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.signIn(p.r); refusal(err) != people.CodeLogin {
		t.Errorf("a disabled account: %v", err)
	}
}

func TestStrangersStayOutWithoutCreate(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(s *sso.Settings) { s.Create = false })
	if _, err := p.signIn(p.r); err != nil {
		t.Errorf("ana, who is in the file: %v", err)
	}
	p.idp.Users["u2"], p.idp.As = map[string]any{"email": "new@example.com", "email_verified": true, "groups": []string{}}, "u2"
	if _, err := p.signIn(p.r); refusal(err) != people.CodeSignOn || p.count(audit.PortalLogin, "sso unknown") != 1 {
		t.Errorf("somebody who is not: %v", err)
	}
	if _, known := p.policy().Subject("new@example.com"); known {
		t.Error("whoever was refused is a subject")
	}
}

func TestGroupsFromUserinfo(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.idp.InUserinfo, p.idp.NoToken = true, true
	p.in(p.r)
	p.wantGroups("ana", "all", "office")
	p.idp.Users["u1"]["groups"] = []string{"g-other"}
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	p.wantGroups("ana")
}

func TestMissingGroups(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	had := p.idp.Users["u1"]["groups"]
	delete(p.idp.Users["u1"], "groups")
	p.in(p.r) // ... denies what depends on groups, and nothing else
	p.wantGroups("ana")
	if p.count(audit.GroupsUnknown, "at sign-in") != 1 || !slices.Contains(p.alarms, audit.GroupsUnknown) {
		t.Errorf("events %v, alarms %v", p.events, p.alarms)
	}
	p.idp.Users["u1"]["groups"] = had
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	p.wantGroups("ana", "all", "office")
	// At a re-check that the claim is missing is no loss, until the limit.
	delete(p.idp.Users["u1"], "groups")
	for range 11 {
		p.turn(5 * time.Minute)
		p.recheck(p.r)
		p.wantGroups("ana", "all", "office")
	}
	if n := p.count(audit.GroupsUnknown, "at re-check"); n != 1 {
		t.Errorf("%d events in eleven re-checks", n)
	}
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	p.wantGroups("ana")
	// A definite list counts at once, also an empty one.
	p.idp.Users["u1"]["groups"] = had
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	p.wantGroups("ana", "all", "office")
	p.idp.Users["u1"]["groups"] = []string{}
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	p.wantGroups("ana")
}

// TestRecheckSaysWhatChanged: one event for each change, and none where nothing did.
func TestRecheckSaysWhatChanged(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.in(p.r)
	before := p.count(audit.GroupsChanged, "")
	p.recheck(p.r) // not due
	if p.idp.Refreshes != 0 {
		t.Error("asked before it was due")
	}
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	if p.idp.Refreshes != 1 || p.count(audit.GroupsChanged, "") != before {
		t.Errorf("%d refreshes, %d events", p.idp.Refreshes, p.count(audit.GroupsChanged, ""))
	}
	p.idp.Users["u1"]["groups"] = []string{"g-other", "g-third"}
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	last := p.events[len(p.events)-1]
	if last.Kind != audit.GroupsChanged || last.Detail["gained"] != "g-third" || last.Detail["lost"] != "g-office" {
		t.Errorf("%+v", last)
	}
}

func TestEndedAtTheProvider(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	e := p.in(p.r)
	hash := identity.HashToken("postern_program")
	if err := p.db.Issue(t.Context(), identity.Issued{ID: "t1", Kind: identity.Personal, Subject: "ana", Hash: hash, Created: p.clock(), Expires: p.clock().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	p.idp.End("u1")
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	if _, err := p.reg.Who(t.Context(), e.Token, true); refusal(err) != people.CodeSession {
		t.Errorf("the browser's session: %v", err)
	}
	if i, err := p.db.Bearer(t.Context(), hash, p.clock()); err != nil || i.Live(p.clock()) {
		t.Errorf("the token is alive: %v", err)
	}
	p.wantGroups("ana", "(unknown)") // so that her database sessions end
	if p.count(audit.SubjectEnded, "invalid_grant") != 1 {
		t.Error("it is not on the trail")
	}
	// Signing in again brings her back.
	p.in(p.r)
	p.wantGroups("ana", "all", "office")
}

// TestEndedWithARole: a role and a password here do not outlive somebody's end at the provider, in the file or not; they count again
// once they have signed in there, or an operator has let go of the tie. Whom the provider never knew is not its to end.
func TestEndedWithARole(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	ctx, from, password := t.Context(), people.From{Channel: "portal"}, secret.New("four plain words here")
	p.idp.Users["u2"] = map[string]any{"email": "new@example.com", "email_verified": true, "groups": []string{}, "amr": []string{"pwd", "otp"}}
	p.idp.As = "u2"
	p.in(p.r)
	for _, name := range []string{"new@example.com", "local"} {
		inv, err := p.reg.Create(ctx, "", name, people.Admin, from)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.reg.Accept(ctx, inv.Code, password, from); err != nil {
			t.Fatal(err)
		}
	}
	opens := func(when, name string, want bool) {
		t.Helper()
		_, err := p.reg.SignIn(ctx, name, password, from)
		if want && err != nil || !want && refusal(err) != people.CodeLogin {
			t.Errorf("%s, %s by password: %v", when, name, err)
		}
		if _, err := p.reg.Owner(ctx, name); want != (err == nil) {
			t.Errorf("%s, a token of %s: %v", when, name, err)
		}
	}
	opens("known", "new@example.com", true)
	p.idp.End("u2")
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	opens("ended", "new@example.com", false)
	opens("ended", "local", true)
	p.in(p.r) // the provider knows them again
	opens("back", "new@example.com", true)
	p.idp.End("u2")
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	opens("ended again", "new@example.com", false)
	if err := p.db.Unlink(ctx, "new@example.com"); err != nil {
		t.Fatal(err)
	}
	if err := p.r.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	opens("let go", "new@example.com", true)
}

func TestProviderDownAtRecheck(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	e := p.in(p.r)
	p.idp.Down = true
	for range 5 {
		p.turn(5 * time.Minute)
		p.recheck(p.r)
		p.wantGroups("ana", "all", "office")
		if _, err := p.reg.Who(t.Context(), e.Token, true); err != nil {
			t.Fatalf("an outage ended a session: %v", err)
		}
	}
	if p.count(audit.RecheckFailed, "provider") != 1 || !slices.Contains(p.alarms, audit.RecheckFailed) {
		t.Errorf("events %v, alarms %v", p.events, p.alarms)
	}
	p.turn(35 * time.Minute) // past the limit nobody vouches for her groups
	p.recheck(p.r)
	p.wantGroups("ana")
	if p.count(audit.SubjectEnded, "invalid_grant") != 0 {
		t.Error("an outage is taken for a deactivation")
	}
	p.idp.Down = false
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	p.wantGroups("ana", "all", "office")
}

// TestGroupsRunOutByThemselves: also where nobody could ask at all, such as after a long pause.
func TestGroupsRunOutByThemselves(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.in(p.r)
	p.turn(time.Hour)
	if err := p.r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.wantGroups("ana")
	p.recheck(p.r)
	p.wantGroups("ana", "all", "office")
}

func TestWithoutARefreshToken(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.idp.NoRefresh = true
	e := p.in(p.r)
	p.turn(5 * time.Minute)
	p.recheck(p.r)
	p.wantGroups("ana", "all", "office")
	p.turn(55 * time.Minute)
	p.recheck(p.r)
	p.wantGroups("ana", "(unknown)")
	if _, err := p.reg.Who(t.Context(), e.Token, false); refusal(err) != people.CodeSession {
		t.Errorf("her session: %v", err)
	}
}

// TestOneRefreshAtOnce: of many who ask about a person at once, in several instances, one does: the provider ends whose token comes
// twice.
func TestOneRefreshAtOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	e := p.in(p.r)
	var entered sync.WaitGroup
	entered.Add(1)
	var once sync.Once
	release := make(chan struct{})
	p.idp.Slow = func() {
		once.Do(entered.Done)
		<-release
	}
	p.turn(5 * time.Minute)
	parties := []*sso.RelyingParty{p.r, p.party(nil, "root key"), p.party(nil, "root key")}
	var all sync.WaitGroup
	for range 4 {
		for _, r := range parties {
			all.Go(func() {
				if err := r.Recheck(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
	entered.Wait()
	close(release)
	all.Wait()
	if p.idp.Refreshes != 1 || p.idp.Reused != 0 {
		t.Errorf("%d refreshes, %d tokens came twice", p.idp.Refreshes, p.idp.Reused)
	}
	if _, err := p.reg.Who(t.Context(), e.Token, true); err != nil {
		t.Error(err)
	}
	// The new token is the one that is kept: the next round works as well.
	p.turn(5 * time.Minute)
	p.recheck(parties[1])
	if p.idp.Refreshes != 2 || p.idp.Reused != 0 {
		t.Errorf("%d refreshes, %d tokens came twice", p.idp.Refreshes, p.idp.Reused)
	}
	p.wantGroups("ana", "all", "office")
}

// TestSignInDuringARecheck: what an older question finds does not undo a newer sign-in.
func TestSignInDuringARecheck(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.in(p.r)
	p.turn(5 * time.Minute)
	p.idp.Slow = func() {
		p.idp.Users["u1"]["groups"] = []string{"g-office"}
		p.in(p.party(nil, "root key"))
		p.idp.Users["u1"]["groups"] = []string{} // what the older question hears
	}
	p.recheck(p.r)
	p.wantGroups("ana", "all", "office")
}

func TestRefreshTokensAreSealed(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.in(p.r)
	all, err := p.db.Links(t.Context())
	if err != nil || len(all) != 1 || len(all[0].Refresh) == 0 {
		t.Fatalf("%d links: %v", len(all), err)
	}
	files, err := filepath.Glob(p.path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range p.idp.Tokens() {
			if strings.Contains(string(text), token) {
				t.Errorf("%s holds a refresh token in the clear", filepath.Base(f))
			}
		}
	}
	if len(p.idp.Tokens()) == 0 {
		t.Error("there was no refresh token to look for")
	}
	// Under another key of the installation it opens nothing, and whose it is has to sign in again.
	p.turn(5 * time.Minute)
	p.recheck(p.party(nil, "another root key"))
	p.wantGroups("ana", "(unknown)")
}

// TestAnotherProvider: who was known to one provider is nobody to the next.
func TestAnotherProvider(t *testing.T) {
	t.Parallel()
	p := newPlace(t, nil)
	p.in(p.r)
	other := provider.Start(t)
	if err := p.party(func(s *sso.Settings) { s.Issuer = other.URL }, "root key").Recheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.wantGroups("ana", "(unknown)")
}
