package sso

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/people"
)

// Bounds of what a logout token may say (OpenID Connect Back-Channel Logout 1.0).
const (
	logoutEvent     = "http://schemas.openid.net/event/backchannel-logout"
	maxLogoutToken  = 16 << 10
	maxLogoutID     = 256            // bytes of jti and sid
	maxLogoutLife   = 24 * time.Hour // for so long at most it has to be remembered that a token was used
	endedByProvider = "provider_logout"
)

// Logouts remembers what the provider has ended. It is safe for concurrent use, also by several processes.
type Logouts interface {
	// KeepLogout notes that what a key stands for was ended at a time; LastLogout says when it last was, zero if never. It may be
	// forgotten a day and an hour after that time.
	KeepLogout(ctx context.Context, key string, at time.Time) error
	LastLogout(ctx context.Context, key string) (time.Time, error)
}

// unnamedSignOn stands for a session of the provider that it does not name in its tokens.
const unnamedSignOn = "-"

// signOnOf is the key of a session at the provider, as ours are kept with it.
func signOnOf(issuer, sid string) string {
	if sid == "" {
		return unnamedSignOn
	}
	return keyOf(issuer, "sid\x00"+sid)
}

// unnamedOf is the key of what somebody has signed in to without a name for the provider's session.
func unnamedOf(c *claims) string { return keyOf(c.Issuer, "unnamed\x00"+c.Subject) }

// usedOf is the key of a logout token that has done its work.
func usedOf(c *claims) string { return keyOf(c.Issuer, "jti\x00"+c.text("jti")) }

// Logout takes a logout token of the provider, and ends what it is about: sessions of browsers and terminals, and with them the temporary
// passwords and certificates that came of them, by which open database sessions end too. A token that names no session of the provider
// is about all of its subject's. Whoever was signed out already is no error. A *people.Refusal says what is wrong with the token.
func (r *RelyingParty) Logout(ctx context.Context, token string, from people.From) error {
	c, err := r.logoutToken(ctx, token)
	if err == nil {
		err = r.endSignOn(ctx, c, from)
	}
	if err == nil {
		// Only now is the token used: the provider may send one again whose work could not be done to its end.
		err = r.c.Logouts.KeepLogout(ctx, usedOf(c), r.c.Now())
	}
	var no *fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &no):
		return errors.Join(no.refusal(), r.record(ctx, audit.ProviderLogout, "", "refuse", no.reason, from, nil))
	case isAway(err):
		return errors.Join(r.away(err), r.record(ctx, audit.ProviderLogout, "", "refuse", faultProvider, from, nil))
	}
	return err
}

// logoutToken checks a logout token: all that is checked of other tokens, and that it is nothing else. It is good once.
func (r *RelyingParty) logoutToken(ctx context.Context, token string) (*claims, error) {
	if len(token) > maxLogoutToken {
		return nil, &fault{faultToken, "the logout token is too long", ""}
	}
	m, err := r.about(ctx)
	if err != nil {
		return nil, err
	}
	c, err := r.signed(ctx, m, token)
	if err != nil {
		return nil, err
	}
	if err := r.checkLogout(token, c); err != nil {
		return nil, err
	}
	used, err := r.c.Logouts.LastLogout(ctx, usedOf(c))
	if err == nil && !used.IsZero() {
		return nil, &fault{faultReplay, "the logout token was used already", ""}
	}
	return c, err
}

// checkLogout holds a token against what makes one of logout: an ID token, which lies around elsewhere, ends nothing.
func (r *RelyingParty) checkLogout(token string, c *claims) error {
	if typ := strings.ToLower(headerOf(token).Type); typ != "" && typ != "jwt" && strings.TrimPrefix(typ, "application/") != "logout+jwt" {
		return &fault{faultKind, "the token is not one of logout", ""}
	}
	var events map[string]json.RawMessage
	var event map[string]json.RawMessage
	if json.Unmarshal(c.all["events"], &events) != nil || json.Unmarshal(events[logoutEvent], &event) != nil || event == nil || c.has("nonce") {
		return &fault{faultKind, "the token is not one of logout", ""}
	}
	if err := r.check(c); err != nil {
		return err
	}
	if c.Expires.time().After(r.c.Now().Add(maxLogoutLife)) {
		return &fault{faultFuture, "the logout token holds for longer than a day", ""}
	}
	jti, sid := c.text("jti"), c.text("sid")
	switch {
	case jti == "" || len(jti) > maxLogoutID:
		return &fault{faultToken, "the logout token has no jti, so that nobody can tell whether it was used already", ""}
	case c.has("sid") && (sid == "" || len(sid) > maxLogoutID), c.has("sub") && c.Subject == "", c.Subject == "" && sid == "":
		return &fault{faultSubject, "the logout token does not say who or what is over", "it has to hold sub, sid or both"}
	}
	return nil
}

// endSignOn ends what a logout token is about. That it is over is kept first, for a sign-in that is under way.
func (r *RelyingParty) endSignOn(ctx context.Context, c *claims, from people.From) error {
	now, sid, subject := r.c.Now(), c.text("sid"), ""
	key := signOnOf(c.Issuer, sid)
	if sid == "" {
		key = keyOf(c.Issuer, c.Subject)
	}
	over := []string{key}
	if sid != "" && c.Subject != "" {
		over = append(over, unnamedOf(c))
	}
	for _, key := range over {
		if err := r.c.Logouts.KeepLogout(ctx, key, c.Issued.time()); err != nil {
			return err
		}
	}
	if c.Subject != "" {
		l, err := r.c.Links.Link(ctx, keyOf(c.Issuer, c.Subject))
		if errors.Is(err, people.ErrNone) {
			return nil // who never came is signed in nowhere
		}
		if err != nil {
			return err
		}
		subject = l.Name
	}
	var which []string // nil: all of the subject's
	if sid != "" {
		if which = []string{key}; subject != "" {
			which = append(which, unnamedSignOn) // it may be any of those that the provider gave no name
		}
	}
	if err := r.record(ctx, audit.ProviderLogout, subject, "allow", "", from, nil); err != nil {
		return err
	}
	// What opens data goes first, as in end; and again after the sessions, for what was made by one of them meanwhile.
	if err := r.c.Links.EndSignedOn(ctx, subject, which, now); err != nil {
		return err
	}
	if err := r.c.People.EndSignedOn(ctx, subject, which, endedByProvider); err != nil {
		return err
	}
	return r.c.Links.EndSignedOn(ctx, subject, which, now)
}

// overtaken refuses a sign-in that the provider has ended since it gave the token for it.
func (r *RelyingParty) overtaken(ctx context.Context, c *claims) error {
	named := unnamedOf(c)
	if sid := c.text("sid"); sid != "" {
		named = signOnOf(c.Issuer, sid)
	}
	for _, key := range []string{keyOf(c.Issuer, c.Subject), named} {
		at, err := r.c.Logouts.LastLogout(ctx, key)
		if err != nil {
			return err
		}
		if !at.IsZero() && !c.Issued.time().After(at) {
			return &fault{faultOver, "the identity provider has signed you out meanwhile", "sign in again"}
		}
	}
	return nil
}

// entered begins the session of somebody for whom the provider vouches, and ends it at once where the provider was faster: whoever ends
// sessions finds it, or leaves word of it before it begins.
func (r *RelyingParty) entered(ctx context.Context, v people.Vouched, c *claims, from people.From) (*people.Entry, error) {
	if err := r.overtaken(ctx, c); err != nil {
		return nil, err
	}
	e, err := r.c.People.Enter(ctx, v, from)
	if err != nil {
		return nil, err
	}
	if err := r.overtaken(ctx, c); err != nil {
		return nil, errors.Join(err, r.c.People.EndSignedOn(ctx, v.Name, []string{v.SignOn}, endedByProvider))
	}
	return e, nil
}
