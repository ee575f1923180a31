package sso

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
)

// byEmail is the name claim that has to be verified.
const byEmail = "email"

// flow is a sign-in under way. The browser carries it, sealed, and gives it back with the provider's answer: an answer that was made
// for another browser finds nothing to fit.
type flow struct {
	State, Nonce, Verifier, Next string
	End                          time.Time
}

var flowData = []byte("flow")

// Begin starts a sign-in: where to send the browser, and what it has to bring back. next is where it wants to go afterwards.
func (r *RelyingParty) Begin(ctx context.Context, next string) (where, carry string, err error) {
	m, err := r.about(ctx)
	if err != nil {
		return "", "", r.away(err)
	}
	f := flow{Verifier: oauth2.GenerateVerifier(), Next: next, End: r.c.Now().Add(flowEnd)}
	for _, s := range []*string{&f.State, &f.Nonce} {
		raw := make([]byte, 24)
		if _, err := io.ReadFull(r.c.Random, raw); err != nil {
			return "", "", fmt.Errorf("read randomness: %w", err)
		}
		*s = base64.RawURLEncoding.EncodeToString(raw)
	}
	text, err := json.Marshal(f)
	if err != nil {
		return "", "", err
	}
	more := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	if r.c.Prompt != "" {
		more = append(more, oauth2.SetAuthURLParam("prompt", r.c.Prompt))
	}
	where = m.oauth.AuthCodeURL(f.State, more...)
	return where, base64.RawURLEncoding.EncodeToString(r.flow.Seal(nil, nil, text, flowData)), nil
}

// away is what a person is told when the provider cannot be asked; the cause is for the log.
func (r *RelyingParty) away(err error) error {
	r.c.Log.Error("the identity provider cannot be asked", "issuer", r.c.Issuer, "error", err)
	return (&fault{faultProvider, "the identity provider cannot be reached at the moment", "try again in a moment; a local account can sign in with its password"}).refusal()
}

// Finish takes the provider's answer and signs in whoever it is about.
func (r *RelyingParty) Finish(ctx context.Context, carry string, answer url.Values, from people.From) (e *people.Entry, next string, err error) {
	link, vouched, c, next, err := r.finish(ctx, carry, answer)
	if err == nil {
		vouched.Name = link.Name
		if e, err = r.entered(ctx, vouched, c, from); err == nil {
			return e, next, nil
		}
	}
	var no *fault
	if !errors.As(err, &no) {
		if !isAway(err) {
			return nil, "", err
		}
		r.c.Log.Error("the identity provider cannot be asked", "issuer", r.c.Issuer, "error", err)
		no = &fault{faultProvider, "the identity provider cannot be reached at the moment", "try again in a moment; a local account can sign in with its password"}
	}
	name := ""
	if link != nil {
		name = link.Name
	}
	return nil, "", errors.Join(no.refusal(), r.record(ctx, audit.PortalLogin, name, "refuse", "sso "+no.reason, from, nil))
}

func (r *RelyingParty) finish(ctx context.Context, carry string, answer url.Values) (*Link, people.Vouched, *claims, string, error) {
	v := people.Vouched{Method: "oidc"}
	f, err := r.opened(carry, answer)
	if err != nil {
		return nil, v, nil, "", err
	}
	m, err := r.about(ctx)
	if err != nil {
		return nil, v, nil, "", err
	}
	if iss, said := answer["iss"]; said && iss[0] != r.c.Issuer || !said && m.names {
		return nil, v, nil, "", &fault{faultIssuer, "the answer is not from the configured identity provider", ""}
	}
	tokens, c, err := r.exchange(ctx, m, f, answer.Get("code"))
	if err != nil {
		return nil, v, nil, "", err
	}
	v.Strong, v.Factor = c.strong(r.c.Now())
	v.SignOn = signOnOf(c.Issuer, c.text("sid"))
	link, err := r.link(ctx, c, tokens.RefreshToken)
	return link, v, c, f.Next, err
}

// opened finds the sign-in that an answer belongs to.
func (r *RelyingParty) opened(carry string, answer url.Values) (*flow, error) {
	lost := &fault{faultFlow, "this answer belongs to no sign-in of this browser, or came too late", "sign in again"}
	sealed, err := base64.RawURLEncoding.DecodeString(carry)
	if err != nil {
		return nil, lost
	}
	plain, err := r.flow.Open(nil, nil, sealed, flowData)
	if err != nil {
		return nil, lost
	}
	var f flow
	if json.Unmarshal(plain, &f) != nil || !r.c.Now().Before(f.End) || subtle.ConstantTimeCompare([]byte(f.State), []byte(answer.Get("state"))) != 1 {
		return nil, lost
	}
	if said := answer.Get("error"); said != "" {
		r.c.Log.Warn("the identity provider refused a sign-in", "error", said, "description", answer.Get("error_description"))
		return nil, &fault{faultRefused, "the identity provider did not let you in", "sign in again, or ask who looks after it"}
	}
	return &f, nil
}

// exchange turns a code into tokens and checks what they say.
func (r *RelyingParty) exchange(ctx context.Context, m *metadata, f *flow, code string) (*oauth2.Token, *claims, error) {
	ctx = oidc.ClientContext(ctx, r.c.HTTP)
	tokens, err := m.oauth.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	var no *oauth2.RetrieveError
	switch {
	case errors.As(err, &no) && no.ErrorCode == "invalid_grant":
		return nil, nil, &fault{faultRefused, "the identity provider's code was used already, or is over", "sign in again"}
	case err != nil && isAway(err):
		return nil, nil, err
	case err != nil:
		return nil, nil, fmt.Errorf("exchange the code of a sign-in: %w: %w", errAway, err) // a mistake of the set-up
	}
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" {
		return nil, nil, &fault{faultToken, "the identity provider gave no token that says who you are", "portal.oidc.scopes has to hold openid"}
	}
	c, err := r.verified(ctx, m, raw)
	if err != nil {
		return nil, nil, err
	}
	if subtle.ConstantTimeCompare([]byte(c.Nonce), []byte(f.Nonce)) != 1 {
		return nil, nil, &fault{faultNonce, "the identity provider's token is of another sign-in", "sign in again"}
	}
	return tokens, c, r.complete(ctx, m, c, oauth2.StaticTokenSource(tokens))
}

// link ties whom a token is about to a name here, and keeps what was said of them.
func (r *RelyingParty) link(ctx context.Context, c *claims, refresh string) (*Link, error) {
	if r.pointer(c) {
		return nil, &fault{faultPointer, "you are in so many groups that the identity provider leaves them out of its token", "an admin of the provider can limit the claim to the groups that are assigned to Postern"}
	}
	for try := 0; ; try++ {
		l, before, err := r.tied(ctx, c)
		if err != nil {
			return nil, err
		}
		r.sealRefresh(l, refresh)
		l.Version++
		if err := r.tell(ctx, l, before); err != nil {
			return l, err
		}
		err = r.c.Links.KeepLink(ctx, *l, false)
		if isConflict(err) && try < 4 {
			continue // a re-check, or another sign-in of theirs
		}
		if isConflict(err) {
			err = taken(l.Name)
		}
		if err != nil {
			return l, err
		}
		return l, r.Refresh(ctx)
	}
}

// tied is the link of whom a token is about, as it will be.
func (r *RelyingParty) tied(ctx context.Context, c *claims) (l *Link, before []string, err error) {
	now, key := r.c.Now(), keyOf(c.Issuer, c.Subject)
	found, err := r.c.Links.Link(ctx, key)
	switch {
	case errors.Is(err, people.ErrNone):
		found = Link{Key: key, Issuer: c.Issuer, Subject: c.Subject}
		if found.Name, err = r.nameOf(ctx, c); err != nil {
			return nil, nil, err
		}
	case err != nil:
		return nil, nil, err
	case found.Ended.IsZero():
		before = found.Groups
	}
	if r.c.Policy().FileUser(found.Name) == nil && !r.c.Create {
		return &found, nil, &fault{faultUnknown, "nobody of this site is called " + found.Name, "an admin can add you to the policy file's users"}
	}
	groups, known := r.groups(c)
	found.Groups, found.Attributes = groups, r.attributes(c)
	found.Confirmed, found.Grouped, found.Due = now, now, now.Add(r.c.Recheck)
	found.Failing, found.Unknown, found.Ended, found.Lease = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	if !known {
		found.Unknown = now // at a sign-in that is nothing to go on with (ACC-54)
	}
	return &found, before, nil
}

// tell records what a sign-in changes about somebody's groups.
func (r *RelyingParty) tell(ctx context.Context, l *Link, before []string) error {
	if !l.Unknown.IsZero() && len(r.c.Policy().ProviderGroups()) > 0 {
		if err := r.unknown(ctx, l, "at sign-in"); err != nil {
			return err
		}
	}
	return r.changed(ctx, l.Name, before, l.Groups)
}

// changed records that somebody's groups are others than before.
func (r *RelyingParty) changed(ctx context.Context, name string, before, after []string) error {
	gained, lost := changes(before, after)
	if len(gained)+len(lost) == 0 {
		return nil
	}
	return r.record(ctx, audit.GroupsChanged, name, "", "", people.From{}, map[string]string{"gained": strings.Join(gained, " "), "lost": strings.Join(lost, " ")})
}

// unknown records that the provider does not say in which groups somebody is, and tells the admins.
func (r *RelyingParty) unknown(ctx context.Context, l *Link, why string) error {
	r.c.Log.Warn("the identity provider does not say in which groups somebody is", "user", l.Name, "claim", r.c.Groups, "when", why)
	if err := r.record(ctx, audit.GroupsUnknown, l.Name, "", why, people.From{}, nil); err != nil {
		return err
	}
	r.alarm(ctx, audit.GroupsUnknown, l.Name)
	return nil
}

// local is about an account here whose password is its owner's proof: an operator alone can give it to whom the provider vouches for.
func local(name string) error {
	return &fault{faultName, "a local account with a password of its own is called " + name + " here", "sign in with its password; or an admin at the machine gives it up to the identity provider: postern user invite --reset " + name}
}

func taken(name string) error {
	return &fault{faultName, "somebody else at the identity provider is called " + name + " here", "an admin at the machine can undo that: postern user unlink " + name}
}

// nameOf is what somebody who comes for the first time is called here.
func (r *RelyingParty) nameOf(ctx context.Context, c *claims) (string, error) {
	pol := r.c.Policy()
	name := c.text(r.c.Name)
	if r.c.Name == byEmail {
		if name = c.verifiedEmail(); name == "" {
			return "", &fault{faultEmail, "the identity provider has not verified your e-mail address", "verify it there and sign in again; or portal.oidc.name names another claim"}
		}
		found, err := ownerOf(pol, name)
		if err != nil {
			return "", err
		}
		if found != "" {
			return found, r.free(ctx, found)
		}
	}
	if !people.ValidName(name) {
		return "", &fault{faultName, "the identity provider does not say what you are called, or with characters that no name here has", "portal.oidc.name says which claim it is read from"}
	}
	if u := pol.FileUser(name); u != nil && u.Owner != "" {
		return "", &fault{faultName, name + " is a service account: nobody signs in as one", ""}
	}
	return name, r.free(ctx, name)
}

// free refuses a name that has a password here, such as the first admin's, whom nobody becomes by being called so elsewhere, or by having
// an address that the file says is theirs.
func (r *RelyingParty) free(ctx context.Context, name string) error {
	has, err := r.c.People.HasPassword(ctx, name)
	if err == nil && has {
		err = local(name)
	}
	return err
}

// ownerOf finds the person of the file whose address this is.
func ownerOf(pol *policy.Policy, email string) (string, error) {
	found := ""
	for _, name := range pol.FileUsers() {
		u := pol.FileUser(name)
		if u.Owner != "" || !strings.EqualFold(u.Attributes["email"], email) {
			continue
		}
		if found != "" {
			return "", &fault{faultName, "two users of the policy file have this e-mail address", "the attribute email has to be one person's"}
		}
		found = name
	}
	return found, nil
}
