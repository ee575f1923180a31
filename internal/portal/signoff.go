package portal

import (
	"errors"
	"mime"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
)

// logoutPath is where the identity provider says that somebody's sign-in is over (OpenID Connect Back-Channel Logout 1.0). No browser comes
// here and no cookie counts: the token in the form is all the proof that there is.
const logoutPath = "/sign-in/backchannel-logout"

// What tokens that do not do cost us at most: a signature to check, perhaps a look at the provider's keys, and an event in the trail. A provider
// that is in order sends none.
const (
	badLogouts   = 20  // from one network in a minute
	allLogouts   = 200 // from all of them
	logoutWindow = time.Minute
)

// attempts counts what went wrong in this minute, by networks. Its zero value has counted nothing. It is safe for concurrent use.
type attempts struct {
	mu    sync.Mutex
	since time.Time
	by    map[netip.Addr]int
	all   int
}

// left says whether a network has attempts left. Of those that have failed none yet in this minute, each has.
func (a *attempts) left(addr netip.Addr, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.since) >= logoutWindow || now.Before(a.since) {
		a.since, a.by, a.all = now, map[netip.Addr]int{}, 0
	}
	n := a.by[identity.Network(addr)]
	return n < badLogouts && (n == 0 || a.all < allLogouts)
}

func (a *attempts) failed(addr netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.by[identity.Network(addr)]++
	a.all++
}

// logoutError is the answer to a token that does not do, as the specification has it.
type logoutError struct {
	Error       string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// signedOff takes a logout token. The answer comes when what it is about has ended in state, and does not wait for gateways to take that up:
// providers wait for a few seconds at most.
func (p *Portal) signedOff(w http.ResponseWriter, r *http.Request) {
	f, now := fromPage(r), p.c.Desk.Now()
	if !p.logouts.left(f.Addr, now) {
		w.Header().Set("Retry-After", strconv.Itoa(int(logoutWindow/time.Second)))
		p.send(w, http.StatusTooManyRequests, logoutError{"temporarily_unavailable", "too many logout tokens from this address did not do: try again in a minute"})
		return
	}
	token, err := logoutToken(r)
	if err == nil {
		err = p.c.SignOn.Logout(r.Context(), token, f)
	}
	var no *people.Refusal
	switch {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case errors.As(err, &no):
		p.logouts.failed(f.Addr)
		p.tellRest(r, err, no)
		what := "invalid_request"
		if no.Code == people.CodeProvider {
			what = "temporarily_unavailable"
		}
		p.send(w, http.StatusBadRequest, logoutError{what, no.Text})
	default:
		p.c.Log.Error("portal", "call", "back-channel logout", "error", err)
		p.send(w, http.StatusBadRequest, logoutError{"server_error", "that could not be done at the moment; the log says why"})
	}
}

// logoutToken is the only token of a form. What stands in the address is in logs of proxies, and is not taken.
func logoutToken(r *http.Request) (string, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || r.ParseForm() != nil {
		return "", &people.Refusal{Code: codeBadCall, Text: "a logout token comes in a form, in the body of a POST, which is of at most 64 kB"}
	}
	if got := r.PostForm["logout_token"]; len(got) == 1 && got[0] != "" {
		return got[0], nil
	}
	return "", &people.Refusal{Code: codeBadCall, Text: "there has to be one logout_token"}
}
