package portal_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/portal"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/test/contract"
)

// scopeOf says for every call which scope opens it; "" is for people alone, "*" for any token, "-" for whoever calls, and "+" for those who
// are in the midst of a sign-in. It is written down here a second time, so that a new call,
// or one that moves, is a decision.
var scopeOf = map[string]identity.Scope{
	"GET /api/v1/login":          "-",
	"POST /api/v1/login":         "-",
	"POST /api/v1/login/accept":  "-",
	"POST /api/v1/login/device":  "-",
	"POST /api/v1/login/token":   "-",
	"POST /api/v1/login/factor":  "+",
	"POST /api/v1/login/enrol":   "+",
	"POST /api/v1/login/confirm": "+",

	"POST /api/v1/login/passkey":               "-",
	"POST /api/v1/login/passkey/finish":        "+",
	"POST /api/v1/login/factor/passkey":        "+",
	"POST /api/v1/login/factor/passkey/finish": "+",
	"POST /api/v1/login/enrol/passkey":         "+",
	"POST /api/v1/login/enrol/passkey/finish":  "+",

	"POST /api/v1/logout":                  "*",
	"GET /api/v1/me":                       "read",
	"GET /api/v1/catalogue":                "read",
	"GET /api/v1/datasets/{name}":          "read",
	"GET /api/v1/askable/{rule}":           "read",
	"GET /api/v1/inbox":                    "read",
	"GET /api/v1/mine":                     "read",
	"GET /api/v1/grants/overseen":          "read",
	"GET /api/v1/connection":               "read",
	"GET /api/v1/posture":                  "inspect",
	"GET /api/v1/discovery":                "inspect",
	"POST /api/v1/discovery/proposal":      "inspect",
	"GET /api/v1/trail":                    "inspect",
	"GET /api/v1/trail/sessions/{id}":      "inspect",
	"GET /api/v1/policy":                   "inspect",
	"GET /api/v1/health":                   "inspect",
	"GET /api/v1/device":                   "",
	"POST /api/v1/device":                  "",
	"GET /api/v1/requests":                 "read",
	"GET /api/v1/grants":                   "read",
	"GET /api/v1/reviews":                  "read",
	"GET /api/v1/credentials":              "read",
	"POST /api/v1/requests":                "request",
	"POST /api/v1/requests/{id}/withdraw":  "request",
	"POST /api/v1/requests/{id}/approve":   "decide",
	"POST /api/v1/requests/{id}/deny":      "decide",
	"POST /api/v1/grants/{id}/revoke":      "decide",
	"POST /api/v1/grants/{id}/suspend":     "decide",
	"POST /api/v1/grants/{id}/resume":      "decide",
	"POST /api/v1/grants/{id}/confirm":     "decide",
	"GET /api/v1/delegations":              "read",
	"POST /api/v1/delegations":             "",
	"DELETE /api/v1/delegations/{id}":      "",
	"GET /api/v1/account":                  "",
	"GET /api/v1/settings":                 "inspect",
	"POST /api/v1/credentials":             "",
	"POST /api/v1/certificates":            "",
	"DELETE /api/v1/credentials/{id}":      "",
	"GET /api/v1/openapi.json":             "-",
	"POST /api/v1/explain":                 "inspect",
	"GET /api/v1/policy/changes":           "inspect",
	"GET /api/v1/policy/diff":              "inspect",
	"POST /api/v1/policy/proposals":        "inspect",
	"GET /api/v1/trail/views":              "inspect",
	"POST /api/v1/trail/views":             "",
	"POST /api/v1/trail/views/{id}":        "",
	"DELETE /api/v1/trail/views/{id}":      "",
	"POST /api/v1/factor":                  "",
	"POST /api/v1/factor/passkey":          "",
	"POST /api/v1/factor/passkey/finish":   "",
	"GET /api/v1/passkeys":                 "",
	"POST /api/v1/passkeys":                "",
	"POST /api/v1/passkeys/finish":         "",
	"DELETE /api/v1/passkeys/{id}":         "",
	"POST /api/v1/recovery":                "",
	"POST /api/v1/password":                "",
	"GET /api/v1/sessions":                 "",
	"DELETE /api/v1/sessions":              "",
	"DELETE /api/v1/sessions/{id}":         "",
	"GET /api/v1/users":                    "",
	"POST /api/v1/users":                   "",
	"POST /api/v1/users/{name}":            "",
	"POST /api/v1/users/{name}/invite":     "",
	"DELETE /api/v1/users/{name}/sessions": "",
}

// api makes a call with a bearer token.
func (p *place) api(token, pattern string) (status int, code string) {
	p.t.Helper()
	return p.send(token, pattern, "{}")
}

func (p *place) send(token, pattern, body string) (status int, code string) {
	p.t.Helper()
	status, text := p.answer(token, pattern, body)
	var problem portal.Problem
	_ = json.Unmarshal([]byte(text), &problem) // a list is none
	return status, problem.Code
}

// answer makes a call, and holds what goes out and what comes back to the document that the portal serves.
func (p *place) answer(token, pattern, body string) (status int, text string) {
	p.t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	path = strings.NewReplacer("{id}", "x1", "{rule}", "payroll-review", "{name}", "nobody").Replace(path)
	q, err := http.NewRequestWithContext(p.t.Context(), method, p.server.URL+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	got, err := io.ReadAll(a.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	err = p.contract.Answer(method, path, a.StatusCode, got)
	if errors.Is(err, contract.ErrUnknown) && (a.StatusCode == http.StatusNotFound || a.StatusCode == http.StatusMethodNotAllowed) {
		err = nil
	}
	if wrong := p.contract.Sent(method, path, []byte(body)); a.StatusCode == http.StatusOK && body != "{}" {
		err = errors.Join(err, wrong)
	}
	if err != nil {
		p.t.Errorf("%s: %v", pattern, err)
	}
	return a.StatusCode, string(got)
}

// signedIn is the token of a new session.
func (p *place) signedIn(who string) string {
	p.t.Helper()
	e, err := p.people.SignIn(p.t.Context(), who, secret.New(password), people.From{Addr: netip.MustParseAddr("192.0.2.1"), Channel: "cli"})
	if err != nil {
		p.t.Fatal(err)
	}
	return e.Token.Reveal()
}

// token makes a personal token for ana.
func (p *place) token(scopes ...identity.Scope) string { return p.tokenOf("ana", scopes...) }

func (p *place) tokenOf(who string, scopes ...identity.Scope) string {
	p.t.Helper()
	token, hash, err := identity.NewToken(rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	i := identity.Issued{
		ID: strings.ToLower(rand.Text()[:12]), Kind: identity.Personal, Subject: who, Name: "test", Hash: hash, Scopes: scopes, Created: time.Now(), Expires: time.Now().Add(time.Hour),
	}
	if err := p.db.Issue(p.t.Context(), i); err != nil {
		p.t.Fatal(err)
	}
	return token.Reveal()
}

// TestEveryCallWithEveryScope: a token opens what its scope says and nothing else, and a session opens all of it.
func TestEveryCallWithEveryScope(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	calls := p.server.Config.Handler.(*portal.Portal).Calls()
	for _, c := range calls {
		if want, known := scopeOf[c.Pattern]; !known || want != c.Scope {
			t.Errorf("%s needs scope %q; the table says %q, %v", c.Pattern, c.Scope, want, known)
		}
	}
	if len(calls) != len(scopeOf) {
		t.Errorf("%d calls, %d in the table", len(calls), len(scopeOf))
	}
	sets := [][]identity.Scope{nil, {}, identity.Scopes()}
	for _, s := range identity.Scopes() {
		sets = append(sets, []identity.Scope{s})
	}
	for _, c := range calls {
		if c.Scope == "-" || c.Scope == "+" {
			continue
		}
		for _, set := range sets {
			opens := set
			if len(set) == 0 {
				opens = identity.DefaultScopes() // one from before there were scopes; the state keeps none and an empty list alike
			}
			status, code := p.api(p.token(set...), c.Pattern)
			want := c.Scope == "*" || c.Scope != "" && slices.Contains(opens, c.Scope)
			if got := code != "scope_missing"; got != want || !want && status != http.StatusForbidden {
				t.Errorf("%s with %q: %d %s", c.Pattern, set, status, code)
			}
		}
		session := p.signedIn("ana")
		if status, code := p.api(session, c.Pattern); code == "scope_missing" || status == http.StatusUnauthorized && !strings.Contains(c.Pattern, "factor") {
			t.Errorf("%s with a session: %d %s", c.Pattern, status, code)
		}
	}
	if !p.trail.has(audit.PortalRefused, "ana") {
		t.Error("refusals are not in the trail")
	}
	for _, bad := range []string{"", "postern_", "postern_nothing", "x"} {
		if status, _ := p.api(bad, "GET /api/v1/me"); status != http.StatusUnauthorized {
			t.Errorf("token %q: %d", bad, status)
		}
	}
}

// TestTokensOfRoles: a token carries its owner's role where its scope says so, and nothing once the owner may no longer come in.
func TestTokensOfRoles(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	inspects, reads := p.tokenOf("auditor", identity.ScopeInspect), p.tokenOf("auditor", identity.ScopeRead)
	if _, code := p.api(inspects, "POST /api/v1/explain"); code != "not_here" {
		t.Errorf("an auditor's token that inspects gets to the engine, which is not there: %s", code)
	}
	if status, code := p.api(p.token(identity.ScopeInspect), "POST /api/v1/explain"); status != http.StatusForbidden || code != "not_for_you" {
		t.Errorf("the token of somebody without a role: %d %s", status, code)
	}
	if status, _ := p.api(reads, "GET /api/v1/me"); status != http.StatusOK {
		t.Errorf("an auditor's token that reads: %d", status)
	}
	yes := true
	if err := p.people.Set(t.Context(), "admin", "auditor", nil, &yes, people.From{Channel: "portal"}); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{inspects, reads} {
		if status, _ := p.api(token, "GET /api/v1/me"); status != http.StatusUnauthorized {
			t.Errorf("a token of somebody who was disabled: %d", status)
		}
	}
	if _, code := p.api(p.signedIn("ana"), "GET /api/v1/users"); code != "not_for_you" || !p.trail.has(audit.PortalRefused, "ana") {
		t.Errorf("ana, who is no admin, lists the accounts: %q; or that is not in the trail", code)
	}
}

// TestCallsThatAreNot: an unknown call, a wrong method and what cannot be read are answered in JSON too.
func TestCallsThatAreNot(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	session := p.signedIn("ana")
	for pattern, want := range map[string]string{
		"GET /api/v1/nothing": "404 not_found", "DELETE /api/v1/me": "405 bad_method", "GET /api/v1/requests?opne=1": "400 bad_call",
		"GET /api/v1/requests?open=perhaps": "400 bad_call", "GET /api/v1/requests?open=1&open=0": "400 bad_call", "GET /api/v1/requests?open=true": "200 ",
	} {
		if status, code := p.api(session, pattern); fmt.Sprintf("%d %s", status, code) != want {
			t.Errorf("%s: %d %s, want %s", pattern, status, code, want)
		}
	}
	for body, want := range map[string]string{`{"what":"x"} {}`: "bad_call", `{"whta":"x"}`: "bad_call", ``: "bad_call", `{"what":"x"}`: access.CodeNoRule} {
		if _, code := p.send(session, "POST /api/v1/requests", body); code != want {
			t.Errorf("%q: %s", body, code)
		}
	}
}

// TestTokensAreMadeWithScopes: shown once, listed with what they open, refused with a scope that there is not, and no password of the
// gateway without that scope.
func TestTokensAreMadeWithScopes(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	session := p.signedIn("ana")
	c, err := portal.NewClient(portal.Login{Server: p.server.URL, Token: session})
	if err != nil {
		t.Fatal(err)
	}
	make := func(scopes ...string) (out portal.IssueAnswer, err error) {
		err = c.Call(t.Context(), http.MethodPost, "credentials", portal.IssueCall{Kind: "personal", Name: "bot", For: "1h", Scopes: scopes}, &out)
		return out, err
	}
	for _, x := range []struct {
		asked, opens []string
		password     bool
	}{
		{nil, []string{"gateway", "read"}, true},
		{[]string{"decide", "read", "read"}, []string{"read", "decide"}, false},
		{[]string{"gateway"}, []string{"gateway"}, true},
	} {
		made, err := make(x.asked...)
		if err != nil || !slices.Equal(made.Scopes, x.opens) {
			t.Fatalf("asked for %q: %q, %v", x.asked, made.Scopes, err)
		}
		kept, err := p.db.Bearer(t.Context(), identity.HashToken(made.Secret), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, is := kept.Credential(); is != x.password {
			t.Errorf("%q: a password of the gateway: %v", x.asked, is)
		}
		var list []portal.Shown
		if err := c.Call(t.Context(), http.MethodGet, "credentials", nil, &list); err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(list, func(s portal.Shown) bool { return s.ID == made.ID })
		if at < 0 || !slices.Equal(list[at].Scopes, x.opens) {
			t.Errorf("listed as %+v", list)
		}
	}
	for _, scopes := range [][]string{{"admin"}, {"read", "*"}, {""}} {
		if _, err := make(scopes...); err == nil {
			t.Errorf("made with %q", scopes)
		}
	}
}
