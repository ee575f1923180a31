package site

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var (
	formToken = regexp.MustCompile(`name="csrf" value="([^"]+)"`)
	shownKey  = regexp.MustCompile(`class="key">([^<]+)<`)
)

// Page opens a page of the portal with a browser's cookie, or sends a form to it, and returns the cookie that the browser has then. A page
// that does not come as it should ends the test.
func (p Portal) Page(t testing.TB, cookie, path string, form url.Values) (page, after string) {
	t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(t.Context(), method, p.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: "postern", Value: cookie}) //nolint:gosec // what a browser sends has no attributes
	}
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusSeeOther || form == nil && answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s\n%s", method, path, answer.Status, text)
	}
	for _, c := range answer.Cookies() {
		if c.Name == "postern" {
			cookie = c.Value
		}
	}
	return string(text), cookie
}

// SignIn signs somebody in to a browser by their password alone, and returns its cookie.
func (p Portal) SignIn(t testing.TB, user, password string) (cookie string) {
	t.Helper()
	_, cookie = p.Page(t, "", "/sign-in", url.Values{"user": {user}, "password": {password}})
	p.Page(t, cookie, "/catalogue", nil)
	return cookie
}

// Join follows an invitation in a browser to its end, with a second factor whose codes oneTime works out, and returns the browser's cookie
// and the factor's seed.
func (p Portal) Join(t testing.TB, code, password string, oneTime func(seed string) string) (cookie, seed string) {
	t.Helper()
	_, cookie = p.Page(t, "", "/join", url.Values{"code": {code}, "password": {password}})
	page, cookie := p.Page(t, cookie, "/sign-in/enrol", url.Values{})
	key := shownKey.FindStringSubmatch(page)
	if key == nil {
		t.Fatalf("there is no key on the page:\n%s", page)
	}
	_, cookie = p.Page(t, cookie, "/sign-in/confirm", url.Values{"code": {oneTime(key[1])}})
	p.Page(t, cookie, "/catalogue", nil)
	return cookie, key[1]
}

// LetIn signs a terminal in from a browser, and returns its token.
func (p Portal) LetIn(t testing.TB, cookie string) (token string) {
	t.Helper()
	var d struct {
		Device string `json:"device_code"`
		Code   string `json:"user_code"`
	}
	if code, said := p.Try(t, "", http.MethodPost, "login/device", struct{}{}, &d); code != http.StatusOK {
		t.Fatalf("a terminal: %d %s", code, said)
	}
	page, _ := p.Page(t, cookie, "/device?code="+d.Code, nil)
	form := formToken.FindStringSubmatch(page)
	if form == nil {
		t.Fatalf("there is no form on the page:\n%s", page)
	}
	p.Page(t, cookie, "/device", url.Values{"csrf": {form[1]}, "code": {d.Code}, "decision": {"yes"}})
	var in struct{ Token string }
	if code, said := p.Try(t, "", http.MethodPost, "login/token", map[string]string{"device_code": d.Device}, &in); code != http.StatusOK || in.Token == "" {
		t.Fatalf("a terminal that was let in: %d %s", code, said)
	}
	return in.Token
}
