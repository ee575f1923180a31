package portal_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Tokens and passwords are bounded in number, also for whoever asks for many at once; the names of tokens in what they are.
func TestTokensAreBounded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ana, dora := p.signedIn("ana"), p.signedIn("dora")
	make := func(who, name string, scope string) (status int, code string) {
		return p.send(who, "POST /api/v1/credentials", fmt.Sprintf(`{"kind": "personal", "name": %q, "for": "1d", "scopes": [%q]}`, name, scope))
	}
	for _, name := range []string{strings.Repeat("x", 81), "a\nb", "a\u202eb", "a\x1b[2J"} {
		if status, code := make(ana, name, "read"); status != http.StatusBadRequest || code != "bad_call" {
			t.Errorf("a token called %q: %d %s", name, status, code)
		}
	}
	if status, code := make(ana, strings.Repeat("ä", 80), "read"); status != http.StatusOK {
		t.Errorf("a token of 80 characters: %d %s", status, code)
	}
	var made atomic.Int32
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			if status, code := make(ana, fmt.Sprintf("t%d", i), "gateway"); status == http.StatusOK {
				made.Add(1)
			} else if code != "too_many" {
				t.Errorf("%d %s", status, code)
			}
		})
	}
	all.Wait()
	if made.Load() != 12 {
		t.Errorf("%d passwords where a login tries 16, and there may be 12", made.Load())
	}
	for i := range 87 { // one and twelve there are
		if status, code := make(ana, fmt.Sprintf("r%d", i), "read"); status != http.StatusOK {
			t.Fatalf("token %d: %d %s", i+14, status, code)
		}
	}
	if status, code := make(ana, "one more", "read"); status != http.StatusForbidden || code != "too_many" {
		t.Errorf("token 101: %d %s", status, code)
	}
	if status, code := make(dora, "hers", "gateway"); status != http.StatusOK {
		t.Errorf("somebody else's: %d %s", status, code)
	}
}
