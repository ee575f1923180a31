package people

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/audit"
)

// Vouched is what somebody else proved of a person: an identity provider, or a session of theirs on another machine.
type Vouched struct {
	Name   string
	Method string    // how, for the trail: oidc, device
	Strong bool      // with more than one factor
	Factor time.Time // when the second one was proved, if that was said
	SignOn string    // which session at the identity provider this comes of
	Signed time.Time // when the session of theirs had begun; zero: they have just signed in
}

// Enter signs in whom somebody else vouches for. Whoever has a second factor here, or must have one, proves it here too, unless the
// other has seen one.
func (r *Registry) Enter(ctx context.Context, v Vouched, from From) (*Entry, error) {
	a, err := r.c.Accounts.Account(ctx, v.Name)
	if errors.Is(err, ErrNone) {
		a, err = Account{Name: v.Name}, nil
	}
	if err != nil {
		return nil, err
	}
	from.Method, from.signOn = v.Method, v.SignOn
	if !r.welcome(&a) {
		no := &Refusal{CodeLogin, "you may not sign in here", "your account may have been disabled: ask an admin"}
		return nil, errors.Join(no, r.record(ctx, from, audit.PortalLogin, v.Name, "refuse", "deactivated", nil))
	}
	stage := Full
	if !v.Strong {
		stage = r.stageAfterPassword(&a)
	}
	return r.beginSigned(ctx, &a, stage, from, "", v.Factor, v.Signed)
}

// HasPassword says whether a name is that of an account with a password of its own here.
func (r *Registry) HasPassword(ctx context.Context, name string) (bool, error) {
	a, err := r.c.Accounts.Account(ctx, name)
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	return a.Password != "", err
}

// ValidName says whether somebody may be called that.
func ValidName(name string) bool { return names.MatchString(name) }

// EndEverything ends all sessions of somebody, for a reason.
func (r *Registry) EndEverything(ctx context.Context, subject, why string) error {
	all, err := r.c.Sessions.SessionsOf(ctx, subject)
	if err != nil {
		return err
	}
	return r.end(ctx, From{}, "", subject, why, all...)
}

// EndSignedOn ends the sessions that came of sign-ons at the identity provider, a subject's or with "" anybody's. With nil it ends all of the
// subject's.
func (r *Registry) EndSignedOn(ctx context.Context, subject string, signOns []string, why string) error {
	if subject == "" && signOns == nil {
		return errors.New("end sessions: nobody's and all of them")
	}
	all, err := r.c.Sessions.SessionsOf(ctx, subject)
	if err != nil {
		return err
	}
	for i := range all {
		if s := &all[i]; signOns == nil || slices.Contains(signOns, s.SignOn) {
			if err := r.end(ctx, From{}, "", s.Subject, why, *s); err != nil {
				return err
			}
		}
	}
	return nil
}
