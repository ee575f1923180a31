package portal_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/postern-sec/postern/internal/audit"
)

// TestSignInAnew: who signs in again in a browser has one session there, and keeps that of another browser.
func TestSignInAnew(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.signIn("ana")
	elsewhere := p.cookies["ana"]
	p.signIn("ana")
	before := p.cookies["ana"]
	answer, text := p.call("ana", http.MethodPost, "/sign-in", url.Values{"user": {"ana"}, "password": {"wrong " + password}}, nil)
	if answer.StatusCode != http.StatusUnauthorized || p.trail.has(audit.PortalSessionEnd, "ana") {
		t.Fatalf("a sign-in that fails: %s\n%s", answer.Status, text)
	}
	answer, text = p.call("ana", http.MethodPost, "/sign-in", url.Values{"user": {"ana"}, "password": {password}}, nil)
	if answer.StatusCode != http.StatusSeeOther || len(answer.Cookies()) == 0 {
		t.Fatalf("%s\n%s", answer.Status, text)
	}
	for what, at := range map[string]struct {
		cookie *http.Cookie
		status int
	}{"before": {before, http.StatusSeeOther}, "now": {answer.Cookies()[0], http.StatusOK}, "elsewhere": {elsewhere, http.StatusOK}} {
		p.cookies["ana"] = at.cookie
		if answer, _ := p.call("ana", http.MethodGet, "/mine", nil, nil); answer.StatusCode != at.status {
			t.Errorf("with the session of %s: %s", what, answer.Status)
		}
	}
	if !p.trail.has(audit.PortalSessionEnd, "ana") {
		t.Error("that a session was replaced is not in the trail")
	}
}
