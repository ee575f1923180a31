package sso_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/test/provider"
)

// fetch makes a browser go somewhere, with a form if there is one, and returns the page.
func (p *place) fetch(browser *http.Client, address string, form url.Values) (a *http.Response, page string) {
	p.t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	q, err := http.NewRequestWithContext(p.t.Context(), method, address, body)
	if err != nil {
		p.t.Fatal(err)
	}
	if form != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if a, err = browser.Do(q); err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return a, string(text)
}

// signedIn says whether a browser with a cookie is shown pages.
func (p *place) signedIn(cookie string) bool {
	p.t.Helper()
	q, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.portal.URL+"/mine", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	q.AddCookie(&http.Cookie{Name: "postern", Value: cookie}) //nolint:gosec // what a browser sends has no attributes
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		p.t.Fatal(err)
	}
	_ = a.Body.Close()
	return a.Request.URL.Path == "/mine" && a.StatusCode == http.StatusOK
}

// TestSignedOutAtTheProvider: whoever signs out there is out here, at the terminal and in the database that they let in from that browser, and
// not where they signed in otherwise. The provider is not ours.
func TestSignedOutAtTheProvider(t *testing.T) {
	t.Parallel()
	issuer := ""
	p := newPlace(t, func(redirect string) string {
		issuer = oidcProvider(t, redirect)
		return issuer
	})
	type seat struct {
		browser          *http.Client
		cookie, terminal string
		password         credential
		open             func() bool
	}
	sit := func() seat {
		t.Helper()
		s := seat{browser: p.browser()}
		where, page, token := p.signInWith(s.browser)
		if token == "" {
			t.Fatalf("the sign-in ends at %s:\n%s", where, page)
		}
		s.cookie, s.terminal = token, p.portal.LetIn(t, token)
		s.password = p.credential(s.terminal)
		conn := p.session(s.password)
		s.open = func() bool { n, err := rows(conn, "a"); return n == 2 && err == nil && !conn.IsClosed() }
		return s
	}
	one, two := sit(), sit()
	var program struct{ Secret string }
	p.call(one.terminal, http.MethodPost, "credentials", map[string]string{"kind": "personal", "name": "nightly", "for": "1h"}, &program)
	for what, s := range map[string]seat{"one": one, "two": two} {
		if !s.open() {
			t.Errorf("%s reads nothing", what)
		}
	}

	_, page := p.fetch(one.browser, issuer+"/session/end", nil)
	secret := regexp.MustCompile(`name="xsrf" value="([^"]+)"`).FindStringSubmatch(page)
	if secret == nil {
		t.Fatalf("the provider's page:\n%s", page)
	}
	p.fetch(one.browser, issuer+"/session/end/confirm", url.Values{"xsrf": {secret[1]}, "logout": {"yes"}})

	eventually(t, "the web session is over", func() bool { return !p.signedIn(one.cookie) })
	eventually(t, "the terminal is out", func() bool { return p.call(one.terminal, http.MethodGet, "me", nil, nil) == http.StatusUnauthorized })
	eventually(t, "the open database session is closed", func() bool { return !one.open() })
	if again, err := p.connect(one.password); err == nil {
		_ = again.Close(t.Context())
		t.Error("the password still opens the gateway")
	}
	for what, token := range map[string]string{"the other terminal": two.terminal, "the program": program.Secret} {
		if code := p.call(token, http.MethodGet, "me", nil, nil); code != http.StatusOK {
			t.Errorf("%s: %d", what, code)
		}
	}
	if !p.signedIn(two.cookie) {
		t.Error("the other browser is signed out")
	}
	if !two.open() {
		t.Error("the other database session is closed")
	}
	eventually(t, "a new sign-in", func() bool { _, _, token := p.signIn(); return token != "" }) // one of the same second is over too
	trail := p.Must(t, "audit", "search", "--kind", "portal.provider_logout", "--format", "json")
	if !strings.Contains(trail, `"verdict":"allow"`) {
		t.Errorf("the trail says %s", trail)
	}
}

// TestLogoutCalls is what a provider's call is answered with.
func TestLogoutCalls(t *testing.T) {
	t.Parallel()
	idp := provider.Start(t)
	idp.As = "u1"
	idp.Users["u1"] = map[string]any{"email": "cleo@example.com", "email_verified": true, "groups": []string{"g-staff"}, "sid": "s1"}
	p := newPlace(t, func(redirect string) string {
		idp.Redirect = redirect
		return idp.URL
	})
	token := p.in()
	at := p.portal.URL + "/sign-in/backchannel-logout"
	wants := func(what string, a *http.Response, page string, status int, says string) {
		t.Helper()
		if a.StatusCode != status || !strings.Contains(page, says) || says == "" && page != "" || a.Header.Get("Cache-Control") != "no-store" || len(a.Cookies()) != 0 {
			t.Errorf("%s: %s, %v, %q", what, a.Status, a.Header, page)
		}
		if says != "" && a.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: a %s", what, a.Header.Get("Content-Type"))
		}
	}
	send := func(what string, form url.Values, status int, says string) {
		t.Helper()
		a, page := p.fetch(http.DefaultClient, at, form)
		wants(what, a, page, status, says)
	}
	good := func() string { return idp.LogoutToken("u1", "s1", nil) }
	const bad = `"error":"invalid_request"`
	send("none", url.Values{"token": {good()}}, http.StatusBadRequest, bad)
	send("two", url.Values{"logout_token": {good(), good()}}, http.StatusBadRequest, bad)
	send("no token", url.Values{"logout_token": {"x"}}, http.StatusBadRequest, bad)
	send("a large form", url.Values{"logout_token": {good()}, "more": {strings.Repeat("x", 70<<10)}}, http.StatusBadRequest, bad)
	send("for another", url.Values{"logout_token": {idp.LogoutToken("u1", "s1", func(_, c map[string]any) { c["aud"] = "other" })}}, http.StatusBadRequest, bad)
	a, page := p.fetch(http.DefaultClient, at+"?"+url.Values{"logout_token": {good()}}.Encode(), url.Values{})
	wants("in the address", a, page, http.StatusBadRequest, bad)
	if a, _ := p.fetch(http.DefaultClient, at+"?"+url.Values{"logout_token": {good()}}.Encode(), nil); a.StatusCode == http.StatusOK && a.Request.URL.Path != "/sign-in" {
		t.Errorf("GET: %s at %s", a.Status, a.Request.URL)
	}
	if code := p.call(token, http.MethodGet, "me", nil, nil); code != http.StatusOK {
		t.Errorf("the session after all that: %d", code)
	}
	used := good()
	send("good", url.Values{"logout_token": {used}}, http.StatusOK, "")
	if code := p.call(token, http.MethodGet, "me", nil, nil); code != http.StatusUnauthorized {
		t.Errorf("the session: %d", code)
	}
	send("again", url.Values{"logout_token": {used}}, http.StatusBadRequest, bad)
	send("who is out already", url.Values{"logout_token": {good()}}, http.StatusOK, "")
	for end := time.Now().Add(patience); ; {
		a, _ := p.fetch(http.DefaultClient, at, url.Values{"logout_token": {"x"}})
		if a.StatusCode == http.StatusTooManyRequests && a.Header.Get("Retry-After") == "60" {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("bad tokens are taken without end: %s", a.Status)
		}
	}
	p.Stop(t)
	if trail := p.Must(t, "audit", "search", "--kind", "portal.provider_logout", "--format", "json"); !strings.Contains(trail, `"reason":"audience"`) ||
		!strings.Contains(trail, `"reason":"replay"`) || strings.Contains(trail, used) || strings.Contains(p.Log(), used) {
		t.Errorf("the trail says %s", trail)
	}
}
