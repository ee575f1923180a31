package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/audit"
)

// TestSessionsInTheirPlace: the token of a terminal, which has no idle end, is no cookie, and a browser's cookie makes no calls; each works
// where it is for, and what was tried elsewhere is in the trail and keeps nobody's session alive.
func TestSessionsInTheirPlace(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	terminal, browser := p.terminal("admin"), p.cookies["admin"].Value
	if answer, text := p.call("admin", http.MethodGet, "/people", nil, nil); answer.StatusCode != http.StatusOK {
		t.Errorf("the browser's page: %s\n%s", answer.Status, text)
	}
	if status, code := p.api(terminal, "GET /api/v1/users"); status != http.StatusOK {
		t.Errorf("the terminal's call: %d %s", status, code)
	}
	refusedBefore := p.trail.has(audit.PortalRefused, "admin")
	answer, _ := p.call("", http.MethodGet, "/people", nil, map[string]string{"Cookie": "postern=" + terminal})
	if to := answer.Header.Get("Location"); answer.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/sign-in") {
		t.Errorf("a page with the terminal's token: %s, %s", answer.Status, to)
	}
	if refusedBefore || !p.trail.has(audit.PortalRefused, "admin") {
		t.Error("what was tried elsewhere is not in the trail")
	}
	if status, code := p.api(browser, "GET /api/v1/users"); status != http.StatusUnauthorized || code != "not_logged_in" {
		t.Errorf("a call with the browser's cookie: %d %s", status, code)
	}
	for _, call := range []string{"POST /api/v1/login/enrol", "POST /api/v1/login/enrol/passkey"} {
		if status, code := p.api(browser, call); status != http.StatusUnauthorized {
			t.Errorf("%s with the browser's cookie: %d %s", call, status, code)
		}
	}
	if status, text := p.answer(terminal, "POST /api/v1/login/enrol", ""); status != http.StatusOK {
		t.Errorf("a new app at the terminal: %d %s", status, text)
	}
	// Half a sign-in does not change its place either.
	status, text := p.answer("", "POST /api/v1/login", `{"user": "admin", "password": "`+password+`"}`)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	_, rest, _ := strings.Cut(text, `"token":"`)
	half, _, _ := strings.Cut(rest, `"`)
	answer, page := p.call("", http.MethodPost, "/sign-in/factor", url.Values{"code": {p.spare("admin")}}, map[string]string{"Cookie": "postern=" + half})
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("half a terminal's sign-in ended in a browser: %s\n%s", answer.Status, page)
	}
	if status, text = p.answer(half, "POST /api/v1/login/factor", `{"code": "`+p.spare("admin")+`"}`); status != http.StatusOK {
		t.Errorf("half a terminal's sign-in at the terminal: %d %s", status, text)
	}
}
