package people

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// EmergencyName is what the emergency admin is called. Nobody else may be.
const EmergencyName = "emergency-admin"

// EmergencyEnd is how long a sign-in of the emergency admin lasts.
const EmergencyEnd = 30 * time.Minute

// The emergency admin is for the hour in which nobody else gets in: the identity provider is away, or nobody is left who has a
// second factor. It is off unless the policy file holds a hash, asks neither the provider nor the accounts in state, and is there for
// who comes through a socket of this machine alone: what comes by TCP may come from anywhere, through a proxy on the same machine
// too (ADR 0019). Its sessions are this process's, so that none outlives it.

// emergencyKey marks the context of a call that came through the socket.
type emergencyKey struct{}

// WithEmergency marks calls that came through the emergency admin's socket.
func WithEmergency(ctx context.Context) context.Context {
	return context.WithValue(ctx, emergencyKey{}, true)
}

// ByEmergency says whether a call came through the emergency admin's socket.
func ByEmergency(ctx context.Context) bool { return ctx.Value(emergencyKey{}) != nil }

// HashEmergency makes the hash that the policy file holds.
func HashEmergency(password secret.Text, random io.Reader) (string, error) {
	if err := acceptable(EmergencyName, password); err != nil {
		return "", err
	}
	return hashPassword(password, DefaultCost(), random)
}

// CheckEmergency says whether a text is such a hash.
func CheckEmergency(hash string) error {
	_, _, _, err := parseHash(hash)
	return err
}

// emergency signs in the emergency admin. Whoever comes another way, or to a site that has none, hears what anybody hears who gives a
// wrong password, after as much work.
func (r *Registry) emergency(ctx context.Context, password secret.Text, from From) (*Entry, error) {
	gate, brake := r.gate, r.c.Throttle
	if ByEmergency(ctx) {
		gate, brake = r.own, r.machine // state may be away, and what strangers try elsewhere keeps nobody out at the machine
	}
	leave, locked, err := r.enterBy(ctx, gate, brake, EmergencyName, from)
	if err != nil {
		return nil, err
	}
	hash, why := r.c.Emergency, "authentication"
	switch {
	case hash == "":
		hash, why = r.dummy, "off"
	case !ByEmergency(ctx):
		hash, why = r.dummy, "address"
	}
	ok, err := fits(password, hash)
	leave()
	if err != nil {
		return nil, err
	}
	if !ok || why != "authentication" || locked {
		lockedNow, counted := brake.Failed(ctx, from.Addr, EmergencyName, r.c.Now())
		if lockedNow || locked {
			why = "locked"
		}
		return nil, errors.Join(errLogin, counted, r.record(ctx, from, audit.EmergencyRefused, EmergencyName, "refuse", why, nil))
	}
	if err := brake.Succeeded(ctx, from.Addr, EmergencyName, r.c.Now()); err != nil {
		return nil, err
	}
	token, s, err := r.starting(EmergencyName, Full, from, EmergencyEnd)
	if err != nil {
		return nil, err
	}
	s.Channel = "emergency"
	if err := r.record(ctx, from, audit.EmergencyLogin, EmergencyName, "allow", "", map[string]string{"session": s.ID, "until": s.End.Format(time.RFC3339)}); err != nil {
		return nil, err
	}
	r.alarms.Store(s.Hash, s)
	r.c.Alarm(context.WithoutCancel(ctx), audit.EmergencyLogin, EmergencyName)
	return &Entry{Token: token, Session: s, Role: Admin}, nil
}

// emergencySession finds a live session of the emergency admin, which only calls through the socket have.
func (r *Registry) emergencySession(ctx context.Context, token secret.Text) (*Session, bool) {
	if !ByEmergency(ctx) {
		return nil, false
	}
	found, ok := r.alarms.Load(identity.HashToken(token.Reveal()))
	if !ok {
		return nil, false
	}
	s := found.(Session) //nolint:forcetypeassert // nothing else is kept there
	if !r.c.Now().Before(s.End) {
		r.alarms.Delete(s.Hash)
		return nil, false
	}
	return &s, true
}

// whoEmergency is the emergency admin: an admin of the portal, and no subject of any store, whatever the policy says.
func whoEmergency(s *Session) *Person {
	return &Person{Subject: policy.Subject{Name: EmergencyName}, Role: Admin, Session: *s}
}

// endEmergency ends a session of the emergency admin.
func (r *Registry) endEmergency(ctx context.Context, s *Session, from From) error {
	if err := r.record(ctx, from, audit.EmergencyEnded, EmergencyName, "", "logout", map[string]string{"session": s.ID}); err != nil {
		return err
	}
	r.alarms.Delete(s.Hash)
	return nil
}
