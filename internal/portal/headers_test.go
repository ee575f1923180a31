package portal_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/portal"
)

// Whatever the portal answers, and whoever answers beside it, says what a browser may do with it: pages, files, redirects, refusals, and what
// is not there.
func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	holds := func(what string, h http.Header) {
		t.Helper()
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "same-origin",
		} {
			if got := h.Values(name); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %q", what, name, got)
			}
		}
	}
	for _, at := range []struct {
		who, method, path string
		status            int
	}{
		{"ana", "GET", "/mine", 200},
		{"ana", "GET", "/trail", 403},
		{"ana", "POST", "/away", 403},
		{"ana", "GET", "/datasets/none", 404},
		{"", "GET", "/mine", 303},
		{"", "GET", "/none", 404},
		{"", "PUT", "/sign-in", 405},
		{"", "GET", "/assets/portal.js", 200},
		{"", "GET", "/assets/none.js", 404},
		{"", "GET", "/api/v1/me", 401},
		{"", "GET", "/api/v1/none", 404},
		{"", "PUT", "/api/v1/me", 405},
	} {
		answer, _ := p.call(at.who, at.method, at.path, nil, nil)
		if answer.StatusCode != at.status {
			t.Errorf("%s %s: %s, want %d", at.method, at.path, answer.Status, at.status)
		}
		holds(at.method+" "+at.path, answer.Header)
	}
	taken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not signed", http.StatusUnauthorized) })
	all := portal.Behind([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, portal.New(portal.Config{Desk: access.NewDesk(access.Config{Now: time.Now})}).Beside("/slack", taken))
	for path, status := range map[string]int{"/slack": http.StatusUnauthorized, "/slack/x": http.StatusNotFound, "/api/v1/openapi.json": http.StatusOK} {
		for from, want := range map[string]int{"10.0.0.1:1": http.StatusBadRequest, "192.0.2.1:1": status} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			r.RemoteAddr = from
			r.Header.Set("X-Forwarded-For", "nobody")
			w := httptest.NewRecorder()
			all.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s from %s: %d, want %d", path, from, w.Code, want)
			}
			holds(path+" from "+from, w.Header())
		}
	}
}
