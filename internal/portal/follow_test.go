package portal_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/identity"
)

// TestFollowedPageKeepsNobodyIn: what a page asks by itself is no doing of its reader (ACC-61), whom a click keeps in.
func TestFollowedPageKeepsNobodyIn(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	cookie := identity.HashToken(p.cookies["admin"].Value)
	seen := func() time.Time {
		s, err := p.db.SessionOf(t.Context(), cookie)
		if err != nil {
			t.Fatal(err)
		}
		return s.Seen
	}
	s, err := p.db.SessionOf(t.Context(), cookie)
	if err != nil {
		t.Fatal(err)
	}
	s.Seen = time.Now().Add(-10 * time.Minute).UTC().Truncate(time.Second)
	if err := p.db.KeepSession(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for _, header := range []map[string]string{{"Postern-Follow": "1"}, nil} {
		if answer, _ := p.call("admin", http.MethodGet, "/inbox", nil, header); answer.StatusCode != http.StatusOK {
			t.Fatal(answer.Status)
		}
		if kept := seen().After(s.Seen); kept != (header == nil) {
			t.Errorf("with %v the session is kept: %t", header, kept)
		}
	}
	s.Seen = time.Now().Add(-16 * time.Minute)
	if err := p.db.KeepSession(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	answer, _ := p.call("admin", http.MethodGet, "/inbox", nil, map[string]string{"Postern-Follow": "1"})
	if answer.StatusCode != http.StatusSeeOther {
		t.Errorf("after the idle end a page asks, and is answered with %s", answer.Status)
	}
}
