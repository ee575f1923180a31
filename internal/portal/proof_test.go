package portal_test

import (
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

const proveFor = `href="/account/prove?for=`

// Where a rule wants a fresh second factor, the forms say so beforehand and the refusal leads there: to one who has none, to where one
// is set up, and with one the same click is taken.
func TestFactorFromTheBrowser(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.pol.Rules[0].Request.Factor = policy.NoteBoth
	ask := func() (*http.Response, string) {
		return p.post("ana", "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {"the report"}})
	}
	if _, text := p.call("ana", http.MethodGet, "/ask/payroll-review", nil, nil); proofs(text, "/ask/payroll-review") != 1 {
		t.Errorf("the form does not say that a factor is wanted:\n%s", text)
	}
	answer, text := ask()
	if answer.StatusCode != http.StatusForbidden || proofs(text, "/ask/payroll-review") != 2 {
		t.Fatalf("without a factor: %s\n%s", answer.Status, text)
	}
	p.setsUp("ana")
	if _, text := p.call("ana", http.MethodGet, "/ask/payroll-review", nil, nil); strings.Contains(text, proveFor) {
		t.Error("a fresh factor is wanted once more")
	}
	if answer, text := ask(); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("with a factor: %s\n%s", answer.Status, text)
	}
	_, text = p.call("dora", http.MethodGet, "/inbox", nil, nil)
	at := regexp.MustCompile(`action="(/requests/[^"]+/approve)"`).FindStringSubmatch(text)
	if at == nil || proofs(text, "/inbox") != 1 {
		t.Fatalf("the inbox does not say that a factor is wanted:\n%s", text)
	}
	if answer, text := p.post("dora", at[1], url.Values{}); answer.StatusCode != http.StatusForbidden || proofs(text, "/inbox") != 2 {
		t.Fatalf("dora approves without a factor: %s\n%s", answer.Status, text)
	}
	p.setsUp("dora")
	if _, text := p.call("dora", http.MethodGet, "/inbox", nil, nil); strings.Contains(text, proveFor) {
		t.Error("a fresh factor is wanted once more of who approves")
	}
	if answer, text := p.post("dora", at[1], url.Values{}); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("dora approves with a factor: %s\n%s", answer.Status, text)
	}
	if _, text := p.call("dora", http.MethodGet, "/account", nil, nil); !strings.Contains(text, `href="/account/prove"`) {
		t.Error("the account does not lead to the proof")
	}
}

// The page says how long a password lives here, and not how long one does elsewhere.
func TestLifeOfAPassword(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.pol.Rules[0].Request = nil // held without asking
	for life, want := range map[policy.Span]string{{}: "for 8 hours at most", {Time: 30 * time.Minute}: "for 30 minutes at most"} {
		p.pol.Life = life
		if _, text := p.call("ana", http.MethodGet, "/connect", nil, nil); !strings.Contains(text, "Make a password "+want) {
			t.Errorf("with %s:\n%s", life, text)
		}
	}
}

// Who holds a grant that is not on the server yet is told which and why, and not that they hold nothing.
func TestCredentialOfAWaitingGrant(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ask := func() string {
		_, text := p.post("ana", "/connect", url.Values{"store": {"shop"}})
		return text
	}
	if text := ask(); !strings.Contains(text, "You hold no rule") {
		t.Fatalf("without a grant:\n%s", text)
	}
	now := time.Now()
	g := access.Grant{ID: "g1", Version: 1, State: access.Active, Wall: access.WallPending, Why: "nothing is built yet", Subject: "ana", Rule: "payroll-review", Dataset: "staff", Request: "r1", Start: now, End: now.Add(time.Hour)}
	if err := p.db.Commit(t.Context(), access.Change{Grants: []access.Grant{g}}); err != nil {
		t.Fatal(err)
	}
	if text := ask(); !strings.Contains(text, "Grant g1 of rule payroll-review is not on the server yet: nothing is built yet") {
		t.Errorf("with a grant that waits:\n%s", text)
	}
	p.pol = p.pol.WithGrants(access.Held([]access.Grant{g}, now))
	if text := ask(); !strings.Contains(text, "Your temporary password") {
		t.Errorf("with a grant that is there:\n%s", text)
	}
}

// proofs counts the links to a proof that leads back to a page.
func proofs(text, to string) int {
	return strings.Count(strings.ReplaceAll(text, "%2f", "/"), proveFor+to+`"`)
}

// A proof leads back to where it was wanted, and nowhere that a link could make up.
func TestProofLeadsBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for to, want := range map[string]string{
		"/inbox": "/inbox?done=proved", "/ask/payroll-review": "/ask/payroll-review?done=proved", "/away": "/away?done=proved",
		"/people": "/people?done=proved", "/tokens": "/tokens?done=proved",
		"/ask/payroll-review?extends=abc1": "/ask/payroll-review?extends=abc1&done=proved", "/ask/payroll-review?extends=a&to=b": "/account?done=proved",
		"":                     "/account?done=proved",
		"//evil.example/inbox": "/account?done=proved", "/inbox/../people": "/account?done=proved", "/inbox?x": "/account?done=proved", "https://evil.example/": "/account?done=proved",
	} {
		answer, text := p.post("admin", "/account/prove", url.Values{"code": {p.spare("admin")}, "for": {to}})
		if got := answer.Header.Get("Location"); answer.StatusCode != http.StatusSeeOther || got != want {
			t.Errorf("from %q to %q, %s\n%s", to, got, answer.Status, text)
		}
	}
}

// Whoever finds an admin's open browser, or an admin's token that is hours old, makes nobody an admin, and takes nobody's account: that wants
// a fresh second factor. What takes away does not.
func TestAccountsWantAFreshFactor(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, name := range []string{"pat", "quin"} {
		if _, err := p.people.Create(t.Context(), "", name, people.Reader, people.From{Channel: "portal"}); err != nil {
			t.Fatal(err)
		}
	}
	token := p.terminal("admin")
	p.ages("admin", 6*time.Minute)
	widens := []struct{ page, call, body string }{
		{"/people", "POST /api/v1/users", `{"name": "mallory", "role": "admin"}`},
		{"/people/pat/role", "POST /api/v1/users/pat", `{"role": "admin"}`},
		{"/people/pat/invite", "POST /api/v1/users/pat/invite", `{"reset": true}`},
		{"/people/quin/enable", "POST /api/v1/users/quin", `{"disabled": false}`},
	}
	form := url.Values{"name": {"mallory"}, "role": {"admin"}, "reset": {"1"}}
	for _, narrows := range []string{"/people/quin/disable", "/people/quin/end"} {
		if answer, text := p.post("admin", narrows, url.Values{}); answer.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %s\n%s", narrows, answer.Status, text)
		}
	}
	before, err := p.people.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range widens {
		if answer, text := p.post("admin", w.page, form); answer.StatusCode != http.StatusForbidden || proofs(text, "/people") != 1 {
			t.Errorf("%s with an old factor: %s\n%s", w.page, answer.Status, text)
		}
		if status, code := p.send(token, w.call, w.body); status != http.StatusForbidden || code != people.CodeStage {
			t.Errorf("%s with an old factor: %d %s", w.call, status, code)
		}
	}
	if after, err := p.people.List(t.Context()); err != nil || !reflect.DeepEqual(before, after) || !p.trail.has(audit.PortalRefused, "admin") {
		t.Errorf("%v; accounts were\n%+v, and are\n%+v", err, before, after)
	}
	p.ages("admin", -6*time.Minute)
	for _, w := range widens {
		if answer, text := p.post("admin", w.page, form); answer.StatusCode >= 400 {
			t.Errorf("%s with a fresh factor: %s\n%s", w.page, answer.Status, text)
		}
	}
}

// A token outlasts the session at which it was made by months: who has a second factor proves it for one. Who has none is asked for none, and a
// password of hours wants none.
func TestTokensWantAFreshFactor(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	form := url.Values{"name": {"bot"}, "for": {"30d"}, "scope": {"read"}}
	token := p.terminal("admin")
	const call, body = "POST /api/v1/credentials", `{"kind": "personal", "name": "bot", "for": "30d", "scopes": ["read"]}`
	if status, code := p.send(token, call, body); status != http.StatusOK {
		t.Errorf("with a fresh factor: %d %s", status, code)
	}
	p.ages("admin", 6*time.Minute)
	if answer, text := p.post("admin", "/tokens", form); answer.StatusCode != http.StatusForbidden || proofs(text, "/tokens") != 1 {
		t.Errorf("with an old factor: %s\n%s", answer.Status, text)
	}
	if status, code := p.send(token, call, body); status != http.StatusForbidden || code != people.CodeStage {
		t.Errorf("with an old factor: %d %s", status, code)
	}
	if status, code := p.send(token, call, `{"kind": "temporary"}`); code != access.CodeNoRule {
		t.Errorf("a password: %d %s", status, code)
	}
	p.ages("ana", 10*time.Hour)
	if status, code := p.send(p.terminal("ana"), call, body); status != http.StatusOK {
		t.Errorf("without a factor: %d %s", status, code)
	}
}

// ages moves somebody's sessions, of browser and terminal, back in time.
func (p *place) ages(who string, by time.Duration) {
	p.t.Helper()
	for _, token := range []string{p.cookies[who].Value, p.terminal(who)} {
		s, err := p.db.SessionOf(p.t.Context(), identity.HashToken(token))
		if err != nil {
			p.t.Fatal(err)
		}
		s.Created = s.Created.Add(-by)
		if !s.Factor.IsZero() {
			s.Factor = s.Factor.Add(-by)
		}
		if err := p.db.KeepSession(p.t.Context(), s); err != nil {
			p.t.Fatal(err)
		}
	}
}

// spare is a new recovery code.
func (p *place) spare(who string) string {
	p.t.Helper()
	codes, err := p.people.NewRecovery(p.t.Context(), secret.New(p.cookies[who].Value), people.From{Channel: "portal"})
	if err != nil || len(codes) == 0 {
		p.t.Fatalf("%d codes, %v", len(codes), err)
	}
	return codes[0]
}

// setsUp follows the links of somebody without a second factor to the end.
func (p *place) setsUp(who string) {
	p.t.Helper()
	for _, page := range []string{"/account", "/account/prove?for=/inbox"} {
		if _, text := p.call(who, http.MethodGet, page, nil, nil); !strings.Contains(text, `href="/sign-in/enrol"`) {
			p.t.Fatalf("%s does not lead to a second factor:\n%s", page, text)
		}
	}
	if _, text := p.call(who, http.MethodGet, "/sign-in/enrol", nil, nil); !strings.Contains(text, `action="/sign-in/enrol"`) {
		p.t.Fatalf("there is no way to a key:\n%s", text)
	}
	_, text := p.call(who, http.MethodPost, "/sign-in/enrol", nil, nil)
	key := regexp.MustCompile(`class="key">([A-Z2-7]+)<`).FindStringSubmatch(text)
	if key == nil {
		p.t.Fatalf("there is no key:\n%s", text)
	}
	answer, text := p.call(who, http.MethodPost, "/sign-in/confirm", url.Values{"code": {oneTime(p.t, key[1])}}, nil)
	if answer.StatusCode != http.StatusOK || len(answer.Cookies()) == 0 {
		p.t.Fatalf("%s sets up a second factor: %s\n%s", who, answer.Status, text)
	}
	p.cookies[who] = answer.Cookies()[0]
}
