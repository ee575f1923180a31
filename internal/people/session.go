package people

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// Person is who a session belongs to, as the policy of this moment knows them.
type Person struct {
	Subject policy.Subject
	Role    Role
	Session Session

	Factored bool // has a second factor
}

// Who finds out whose session a token is. With active the call counts as the person's doing; polling does not keep a session
// alive (ACC-61).
func (r *Registry) Who(ctx context.Context, token secret.Text, active bool) (*Person, error) {
	return r.who(ctx, token, active, "")
}

// WhoIn is Who for what somebody does through a channel, in which their session has to have begun: a terminal's token opens no pages, where it
// would outlive the idle end of a browser, and a browser's cookie makes no calls. Else ErrElsewhere. Active is as with Who.
func (r *Registry) WhoIn(ctx context.Context, token secret.Text, channel string, active bool) (*Person, error) {
	return r.who(ctx, token, active, channel)
}

// ErrElsewhere says that a session is good, and not for this.
var ErrElsewhere = errors.New("this session began elsewhere")

// BeganIn refuses a session, or a sign-in under way, that began in another channel. What is none at all is left for who uses it to refuse.
func (r *Registry) BeganIn(ctx context.Context, token secret.Text, channel string) error {
	if !strings.HasPrefix(token.Reveal(), identity.TokenPrefix) {
		return nil
	}
	s, err := r.c.Sessions.SessionOf(ctx, identity.HashToken(token.Reveal()))
	if errors.Is(err, ErrNone) {
		return nil
	}
	if err != nil {
		return err
	}
	return s.elsewhere(channel)
}

// elsewhere refuses a session that began in another channel than the one that it is used in.
func (s *Session) elsewhere(channel string) error {
	if s.Channel == channel {
		return nil
	}
	no := &Refusal{CodeSession, "a browser's session is for pages alone", "postern login; or make a token for the program: postern token create NAME"}
	if channel == "portal" {
		no = &Refusal{CodeSession, "a terminal's session opens no pages", "sign in with the browser"}
	}
	return errors.Join(no, ErrElsewhere)
}

func (r *Registry) who(ctx context.Context, token secret.Text, active bool, channel string) (*Person, error) {
	if s, ok := r.emergencySession(ctx, token); ok {
		return whoEmergency(s), nil
	}
	s, a, err := r.live(ctx, token)
	if err != nil {
		return nil, err
	}
	if s.Stage != Full {
		return nil, errSession
	}
	if channel != "" {
		if err := s.elsewhere(channel); err != nil {
			return &Person{Subject: r.subject(s.Subject), Session: s}, err
		}
	}
	if now := r.c.Now(); active && now.Sub(s.Seen) >= seenEvery {
		s.Seen = now
		if err := r.keep(ctx, s); err != nil {
			return nil, err
		}
	}
	return &Person{Subject: r.subject(s.Subject), Role: a.Role, Session: s, Factored: a.Factored()}, nil
}

// Owner is whom a token for programs belongs to. That of somebody who may no longer come in opens nothing.
func (r *Registry) Owner(ctx context.Context, name string) (*Person, error) {
	a, err := r.c.Accounts.Account(ctx, name)
	if errors.Is(err, ErrNone) {
		a, err = Account{Name: name}, nil
	}
	if err != nil {
		return nil, err
	}
	if !r.welcome(&a) {
		return nil, errSession
	}
	return &Person{Subject: r.subject(name), Role: a.Role, Factored: a.Factored()}, nil
}

// subject is somebody as the policy knows them. An admin may be no subject of any store.
func (r *Registry) subject(name string) policy.Subject {
	s, known := r.c.Policy().Subject(name)
	if !known {
		return policy.Subject{Name: name}
	}
	return s
}

// live finds a session that has not ended, of somebody who may still come in. Why one has ended is in the trail, once.
func (r *Registry) live(ctx context.Context, token secret.Text) (Session, Account, error) {
	if !strings.HasPrefix(token.Reveal(), identity.TokenPrefix) {
		return Session{}, Account{}, errSession
	}
	s, err := r.c.Sessions.SessionOf(ctx, identity.HashToken(token.Reveal()))
	if errors.Is(err, ErrNone) {
		return s, Account{}, errSession
	}
	if err != nil {
		return s, Account{}, err
	}
	a, err := r.c.Accounts.Account(ctx, s.Subject)
	if errors.Is(err, ErrNone) {
		a, err = Account{Name: s.Subject}, nil
	}
	if err != nil {
		return s, a, err
	}
	if why := r.over(&s, &a, r.c.Now()); why != "" {
		return s, a, errors.Join(errSession, r.end(ctx, From{Channel: s.Channel}, s.Subject, s.Subject, why, s))
	}
	return s, a, nil
}

// over says why a session has ended, or "".
func (r *Registry) over(s *Session, a *Account, now time.Time) string {
	switch {
	case !now.Before(s.End):
		return "absolute"
	case s.Idle && now.Sub(s.Seen) >= IdleEnd:
		return "idle"
	case !r.welcome(a):
		return "deactivated"
	}
	return ""
}

// end records why sessions end, and ends them.
func (r *Registry) end(ctx context.Context, from From, by, subject, why string, which ...Session) error {
	ids := []string{}
	for _, s := range which {
		ids = append(ids, s.ID)
		if err := r.record(ctx, from, audit.PortalSessionEnd, by, "", why, map[string]string{"session": s.ID, "for": subject}); err != nil {
			return err
		}
	}
	return r.c.Sessions.EndSessions(ctx, subject, ids)
}

// SignOut ends a session, at whatever stage it is.
func (r *Registry) SignOut(ctx context.Context, token secret.Text, from From) error {
	if s, ok := r.emergencySession(ctx, token); ok {
		return r.endEmergency(ctx, s, from)
	}
	s, _, err := r.live(ctx, token)
	if err != nil {
		return err
	}
	return r.end(ctx, from, s.Subject, s.Subject, "logout", s)
}

// Replace ends the session that a browser had when somebody signed in with it anew. That there is none any more is no error.
func (r *Registry) Replace(ctx context.Context, token secret.Text, from From) error {
	s, _, err := r.live(ctx, token)
	if errors.Is(err, errSession) {
		return nil
	}
	if err != nil || s.Stage != Full || s.Channel != from.Channel {
		return err
	}
	return r.end(ctx, from, s.Subject, s.Subject, "replaced", s)
}

// Sessions lists a person's live sessions, the newest first.
func (r *Registry) Sessions(ctx context.Context, subject string) ([]Session, error) {
	all, err := r.c.Sessions.SessionsOf(ctx, subject)
	if err != nil {
		return nil, err
	}
	a, err := r.c.Accounts.Account(ctx, subject)
	if errors.Is(err, ErrNone) {
		a, err = Account{Name: subject}, nil
	}
	if err != nil {
		return nil, err
	}
	now := r.c.Now()
	all = slices.DeleteFunc(all, func(s Session) bool { return s.Stage != Full || r.over(&s, &a, now) != "" })
	slices.SortFunc(all, func(a, b Session) int { return b.Created.Compare(a.Created) })
	return all, nil
}

// EndSessions ends sessions of a subject: one by its id, or with "" all of them.
func (r *Registry) EndSessions(ctx context.Context, by, subject, id string, from From) error {
	all, err := r.c.Sessions.SessionsOf(ctx, subject)
	if err != nil {
		return err
	}
	if id != "" {
		all = slices.DeleteFunc(all, func(s Session) bool { return s.ID != id })
		if len(all) == 0 {
			return &Refusal{"not_found", "there is no session " + id, ""}
		}
	}
	return r.end(ctx, from, by, subject, "revoked", all...)
}
