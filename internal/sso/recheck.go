package sso

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/people"
)

// Recheck asks the provider about everybody who is due (ACC-57), and puts in force what it said. The error is of our own state; what
// is wrong with the provider is in the log and on the trail.
func (r *RelyingParty) Recheck(ctx context.Context) error {
	all, err := r.c.Links.Links(ctx)
	if err != nil {
		return err
	}
	now := r.c.Now()
	var work sync.WaitGroup
	var mu sync.Mutex
	var wrong []error
	var down atomic.Bool // whoever comes after is not waited for
	slots := make(chan struct{}, atOnce)
	for _, l := range all {
		if !l.Ended.IsZero() || l.Issuer != r.c.Issuer || now.Before(l.Due) || now.Before(l.Lease) {
			continue
		}
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			if err := r.recheck(ctx, l, &down); err != nil && !isConflict(err) {
				mu.Lock()
				defer mu.Unlock()
				wrong = append(wrong, fmt.Errorf("re-check %s: %w", l.Name, err))
			}
		})
	}
	work.Wait()
	if len(all) > 0 {
		wrong = append(wrong, r.Refresh(ctx)) // also because groups that nobody confirmed run out by themselves
	}
	return errors.Join(wrong...)
}

// recheck asks about one person. The link is leased first, by compare-and-swap: a refresh token that is used twice at once looks like
// a stolen one to the provider, which then ends all that came of it.
func (r *RelyingParty) recheck(ctx context.Context, l Link, down *atomic.Bool) error {
	l.Lease = r.c.Now().Add(lease)
	if err := r.keep(ctx, &l, true); err != nil {
		return err
	}
	if len(l.Refresh) == 0 {
		return r.unconfirmed(ctx, &l)
	}
	token, err := r.openRefresh(&l)
	if err != nil {
		return r.end(ctx, &l, "sealed under another keys.root")
	}
	if down.Load() {
		return r.failed(ctx, &l, errAway)
	}
	m, err := r.about(ctx)
	if err != nil {
		down.CompareAndSwap(false, isAway(err))
		return r.failed(ctx, &l, err)
	}
	asking := oidc.ClientContext(ctx, r.c.HTTP)
	tokens, err := m.oauth.TokenSource(asking, &oauth2.Token{RefreshToken: token.Reveal()}).Token()
	var no *oauth2.RetrieveError
	if errors.As(err, &no) && no.ErrorCode == "invalid_grant" {
		return r.end(ctx, &l, "invalid_grant")
	}
	if err != nil {
		down.CompareAndSwap(false, isAway(err))
		return r.failed(ctx, &l, err)
	}
	r.sealRefresh(&l, tokens.RefreshToken) // whatever follows, the one before is used up
	c, err := r.said(asking, m, &l, tokens)
	var f *fault
	if errors.As(err, &f) && f.reason == faultSubject {
		return r.end(ctx, &l, "the provider answers about somebody else")
	}
	if err != nil {
		return r.failed(ctx, &l, err)
	}
	return r.confirmed(ctx, &l, c)
}

// said is what the answer to a refresh says of somebody: a token if the provider sends one, else its userinfo.
func (r *RelyingParty) said(ctx context.Context, m *metadata, l *Link, tokens *oauth2.Token) (*claims, error) {
	c := &claims{Issuer: l.Issuer, Subject: l.Subject}
	if raw, _ := tokens.Extra("id_token").(string); raw != "" {
		var err error
		if c, err = r.verified(ctx, m, raw); err != nil {
			return nil, err
		}
	}
	if c.Subject != l.Subject {
		return nil, &fault{faultSubject, "the token is about somebody else", ""}
	}
	if c.all == nil {
		c.all = rawClaims{}
	}
	return c, r.complete(ctx, m, c, oauth2.StaticTokenSource(tokens))
}

// confirmed takes up what the provider says now. That it does not say the groups is no loss of groups, for a while (ACC-54).
func (r *RelyingParty) confirmed(ctx context.Context, l *Link, c *claims) error {
	now, before := r.c.Now(), l.Groups
	groups, known := r.groups(c)
	wasUnknown := !l.Unknown.IsZero()
	l.Confirmed, l.Due, l.Failing, l.Lease = now, now.Add(r.c.Recheck), time.Time{}, time.Time{}
	if r.describes(c) {
		l.Attributes = r.attributes(c)
	}
	switch {
	case known:
		l.Groups, l.Grouped, l.Unknown = groups, now, time.Time{}
	case !now.Before(l.Grouped.Add(r.c.Limit)):
		l.Groups = nil
	}
	if !known && !wasUnknown {
		l.Unknown = now
		if len(r.c.Policy().ProviderGroups()) > 0 {
			if err := r.unknown(ctx, l, "at re-check"); err != nil {
				return err
			}
		}
	}
	if err := r.changed(ctx, l.Name, before, l.Groups); err != nil {
		return err
	}
	gained, lost := changes(before, l.Groups)
	return r.keep(ctx, l, len(gained)+len(lost) == 0)
}

// failed notes that the provider could not be asked, which is nobody's loss at once (ACC-55). Groups that it has not confirmed for too
// long no longer count.
func (r *RelyingParty) failed(ctx context.Context, l *Link, cause error) error {
	now, before := r.c.Now(), l.Groups
	l.Due, l.Lease = now.Add(min(r.c.Recheck, lease)), time.Time{}
	if l.Failing.IsZero() {
		l.Failing = now
		r.c.Log.Error("the identity provider cannot be asked about somebody", "user", l.Name, "error", cause)
		if err := r.record(ctx, audit.RecheckFailed, l.Name, "", reasonOf(cause), people.From{}, nil); err != nil {
			return err
		}
		r.alarm(ctx, audit.RecheckFailed, l.Name)
	}
	if now.Before(l.Grouped.Add(r.c.Limit)) || len(before) == 0 {
		return r.keep(ctx, l, true)
	}
	l.Groups = nil
	if err := r.changed(ctx, l.Name, before, nil); err != nil {
		return err
	}
	return r.keep(ctx, l, false)
}

// reasonOf is a stable word for the trail; what was wrong in detail is in the log.
func reasonOf(err error) string {
	var f *fault
	if errors.As(err, &f) {
		return f.reason
	}
	return faultProvider
}

// unconfirmed is about somebody for whom the provider gave no refresh token: it vouched for them once, which is good for the limit.
func (r *RelyingParty) unconfirmed(ctx context.Context, l *Link) error {
	until := l.Confirmed.Add(r.c.Limit)
	if r.c.Now().Before(until) {
		l.Due, l.Lease = until, time.Time{}
		return r.keep(ctx, l, true)
	}
	return r.end(ctx, l, "no refresh token")
}

// end ends everything of somebody whom the provider no longer knows: sessions of browsers and terminals, tokens, and by what is put in
// force, database sessions. It is written down last, so that a crash on the way only means that it is done again.
func (r *RelyingParty) end(ctx context.Context, l *Link, why string) error {
	now := r.c.Now()
	if err := r.record(ctx, audit.SubjectEnded, l.Name, "", why, people.From{}, nil); err != nil {
		return err
	}
	// What opens data goes first: whoever sees that their session of the portal is over must not find a door that is still open.
	if err := r.c.Links.EndCredentials(ctx, l.Name, now); err != nil {
		return err
	}
	if err := r.c.People.EndEverything(ctx, l.Name, "deactivated"); err != nil {
		return err
	}
	l.Ended, l.Lease, l.Refresh = now, time.Time{}, nil
	return r.keep(ctx, l, false)
}

func (r *RelyingParty) keep(ctx context.Context, l *Link, quiet bool) error {
	l.Version++
	return r.c.Links.KeepLink(ctx, *l, quiet)
}
