package portal

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/secret"
)

// EmergencyName is what the emergency admin is called.
const EmergencyName = people.EmergencyName

// LoginCall is a login with a password.
type LoginCall struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// LoginAnswer is a token for what follows. With Next the sign-in is not over: the token is good for that step alone.
type LoginAnswer struct {
	Token    string    `json:"token"`
	User     string    `json:"user"`
	Role     string    `json:"role,omitempty"`
	Next     string    `json:"next,omitempty"` // factor or enrol
	Expires  time.Time `json:"expires"`
	Recovery []string  `json:"recovery,omitempty"` // shown once
}

// CodeCall carries a one-time password or a recovery code.
type CodeCall struct {
	Code string `json:"code"`
}

// AcceptCall follows an invitation.
type AcceptCall struct {
	Code     string `json:"code"`
	Password string `json:"password"`
}

// PasswordCall changes a password.
type PasswordCall struct {
	Old string `json:"old"`
	New string `json:"new"`
}

// UserCall makes or changes an account.
type UserCall struct {
	Name     string  `json:"name,omitempty"`
	Role     *string `json:"role,omitempty"`
	Disabled *bool   `json:"disabled,omitempty"`
	Reset    bool    `json:"reset,omitempty"` // with an invitation: forget password and second factor
}

// Invitation is a one-time link's secret, shown once.
type Invitation struct {
	Name string    `json:"name"`
	Code string    `json:"code"`
	End  time.Time `json:"end"`
}

// ShownSession is a session without its token.
type ShownSession struct {
	ID      string    `json:"id"`
	Channel string    `json:"channel"`
	Address string    `json:"address,omitempty"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
	Expires time.Time `json:"expires"`
	Factor  time.Time `json:"factor,omitzero"`
	This    bool      `json:"this,omitempty"`
}

// ShownUser is an account without what proves it.
type ShownUser struct {
	Name     string    `json:"name"`
	Role     string    `json:"role,omitempty"`
	Created  time.Time `json:"created"`
	Factor   bool      `json:"second_factor"`
	Passkeys int       `json:"passkeys"`
	Recovery int       `json:"recovery_codes_left"`
	Invited  time.Time `json:"invitation_ends,omitzero"`
	Disabled time.Time `json:"disabled,omitzero"`
}

// signInCalls take a sign-in from its first step to its last.
func (p *Portal) signInCalls() {
	route(p, Call{Pattern: "POST /api/v1/login", Scope: openToAll, Summary: "Sign in with a password"}, func(r *http.Request, _ *viewer, call LoginCall) (*LoginAnswer, error) {
		return entry(p.c.People.SignIn(r.Context(), call.User, secret.New(call.Password), from(r)))
	})
	route(p, Call{Pattern: "POST /api/v1/login/accept", Scope: openToAll, Summary: "Follow an invitation"}, func(r *http.Request, _ *viewer, call AcceptCall) (*LoginAnswer, error) {
		return entry(p.c.People.Accept(r.Context(), secret.New(call.Code), secret.New(call.Password), from(r)))
	})
	route(p, Call{Pattern: "POST /api/v1/login/factor", Scope: signingIn, Summary: "Prove the second factor"}, func(r *http.Request, v *viewer, call CodeCall) (*LoginAnswer, error) {
		return entry(p.c.People.Prove(r.Context(), v.session, call.Code, from(r)))
	})
	route(p, Call{Pattern: "POST /api/v1/login/enrol", Scope: signingIn, Summary: "Begin to set up a second factor"}, func(r *http.Request, v *viewer, _ nothing) (*people.Enrolment, error) {
		return p.c.People.Enrol(r.Context(), v.session)
	})
	route(p, Call{Pattern: "POST /api/v1/login/confirm", Scope: signingIn, Summary: "End the set-up of a second factor with its first code"}, func(r *http.Request, v *viewer, call CodeCall) (*LoginAnswer, error) {
		return entry(p.c.People.Confirm(r.Context(), v.session, call.Code, from(r)))
	})
	route(p, Call{Pattern: "POST /api/v1/logout", Scope: anyToken, Summary: "End the session of the call, or revoke its token"}, p.logout)
}

// peopleCalls are those of one's own account, and of those who look after accounts.
func (p *Portal) peopleCalls() {
	route(p, Call{Pattern: "POST /api/v1/factor", pages: []string{"POST /account/prove"}, Summary: "Prove the second factor again, for steps that want it fresh"}, p.stepUp)
	route(p, Call{Pattern: "POST /api/v1/recovery", pages: []string{"POST /account/recovery"}, Summary: "Make new recovery codes; the old ones end"}, p.newRecovery)
	route(p, Call{Pattern: "POST /api/v1/password", pages: []string{"POST /account/password"}, Summary: "Change your password"}, p.changePassword)
	route(p, Call{Pattern: "GET /api/v1/sessions", Summary: "Where you are signed in"}, p.sessions)
	route(p, Call{Pattern: "DELETE /api/v1/sessions", Summary: "Sign out everywhere"}, p.endSessions)
	route(p, Call{Pattern: "DELETE /api/v1/sessions/{id}", pages: []string{"POST /account/sessions/{id}/end"}, Summary: "End one of your sessions"}, p.endSessions)
	route(p, Call{Pattern: "GET /api/v1/users", pages: []string{"GET /people"}, Summary: "List the accounts", who: admins}, p.users)
	route(p, Call{Pattern: "POST /api/v1/users", pages: []string{"POST /people"}, Summary: "Make an account and an invitation to it", who: admins}, p.createUser)
	route(p, Call{Pattern: "POST /api/v1/users/{name}", pages: []string{"POST /people/{name}/{what}"}, Summary: "Change an account's role, disable or enable it", who: admins}, p.setUser)
	route(p, Call{Pattern: "POST /api/v1/users/{name}/invite", pages: []string{"POST /people/{name}/invite"}, Summary: "Make a new invitation to an account", who: admins}, p.inviteUser)
	route(p, Call{Pattern: "DELETE /api/v1/users/{name}/sessions", Summary: "Sign somebody out everywhere", who: admins}, p.endUser)
}

func bearer(r *http.Request) secret.Text {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return secret.New(token)
}

func from(r *http.Request) people.From {
	return people.From{Addr: addressOf(r), Remote: r.RemoteAddr, Channel: "cli"}
}

// fromOf is where somebody who is known comes from.
func fromOf(r *http.Request, v *viewer) people.From {
	f := from(r)
	f.Channel = v.Channel
	return f
}

func entry(e *people.Entry, err error) (*LoginAnswer, error) {
	if err != nil {
		return nil, err
	}
	out := &LoginAnswer{Token: e.Token.Reveal(), User: e.Session.Subject, Role: string(e.Role), Expires: e.Session.End, Recovery: e.Recovery}
	if e.Session.Stage != people.Full {
		out.Next = string(e.Session.Stage)
	}
	return out, nil
}

func (p *Portal) stepUp(r *http.Request, v *viewer, call CodeCall) (ShownSession, error) {
	s, err := p.c.People.StepUp(r.Context(), v.session, call.Code, fromOf(r, v))
	if err != nil {
		return ShownSession{}, err
	}
	return shownSession(*s, s.ID), nil
}

// RecoveryAnswer shows recovery codes, once.
type RecoveryAnswer struct {
	Recovery []string `json:"recovery"`
}

func (p *Portal) newRecovery(r *http.Request, v *viewer, _ nothing) (RecoveryAnswer, error) {
	codes, err := p.c.People.NewRecovery(r.Context(), v.session, fromOf(r, v))
	return RecoveryAnswer{codes}, err
}

func (p *Portal) changePassword(r *http.Request, v *viewer, call PasswordCall) (nothing, error) {
	return nothing{}, p.c.People.ChangePassword(r.Context(), v.session, secret.New(call.Old), secret.New(call.New), fromOf(r, v))
}

func shownSession(s people.Session, this string) ShownSession {
	return ShownSession{s.ID, s.Channel, s.Address, s.Created, s.Seen, s.End, s.Factor, s.ID == this}
}

func (p *Portal) sessions(r *http.Request, v *viewer, _ nothing) ([]ShownSession, error) {
	live, err := p.c.People.Sessions(r.Context(), v.Subject.Name)
	if err != nil {
		return nil, err
	}
	out := []ShownSession{}
	for _, s := range live {
		out = append(out, shownSession(s, v.token.ID))
	}
	slices.SortStableFunc(out, func(a, b ShownSession) int { return b.Seen.Compare(a.Seen) }) // the latest first
	return out, nil
}

// endSessions ends one of the caller's sessions, or all of them.
func (p *Portal) endSessions(r *http.Request, v *viewer, _ nothing) (nothing, error) {
	name := v.Subject.Name
	return nothing{}, p.c.People.EndSessions(r.Context(), name, name, r.PathValue("id"), fromOf(r, v))
}

// UserShown leaves out of an account what proves it.
func UserShown(a *people.Account) ShownUser {
	return ShownUser{a.Name, string(a.Role), a.Created, a.Factored(), len(a.Passkeys), len(a.Recovery), a.InviteEnd, a.Disabled}
}

// UsersQuery chooses accounts.
type UsersQuery struct {
	Filter string `json:"q,omitempty"` // words of a name, a role or a state
}

func (p *Portal) users(r *http.Request, _ *viewer, q UsersQuery) ([]ShownUser, error) {
	all, err := p.c.People.List(r.Context())
	if err != nil {
		return nil, err
	}
	out, now := []ShownUser{}, p.c.Desk.Now()
	for i := range all {
		if u := UserShown(&all[i]); hit(q.Filter, u.Name+" "+u.Role+" "+u.State(now)) {
			out = append(out, u)
		}
	}
	return out, nil
}

// lately says why somebody may not make now what outlasts their session, such as an account or a role of somebody else: whoever finds an
// admin's open browser, or a terminal's token that is hours old, shall not make themselves an admin by it. What takes away needs no
// proof. The emergency admin has none to give, and is at the machine.
func (p *Portal) lately(r *http.Request, v *viewer) error {
	if v.Subject.Name == people.EmergencyName {
		return nil
	}
	err := p.c.People.MayManage(r.Context(), v.session)
	var no *people.Refusal
	if !errors.As(err, &no) {
		return err
	}
	hint := no.Hint
	if v.factored {
		hint = access.HintFactor
	}
	return p.turnAway(r, v, r.Pattern, &access.Refusal{Code: no.Code, Text: no.Text, Hint: hint})
}

func (p *Portal) createUser(r *http.Request, v *viewer, call UserCall) (Invitation, error) {
	if err := p.lately(r, v); err != nil {
		return Invitation{}, err
	}
	role := people.NoRole
	if call.Role != nil {
		role = people.Role(*call.Role)
	}
	return invitation(p.c.People.Create(r.Context(), v.Subject.Name, call.Name, role, fromOf(r, v)))
}

func (p *Portal) inviteUser(r *http.Request, v *viewer, call UserCall) (Invitation, error) {
	if err := p.lately(r, v); err != nil {
		return Invitation{}, err
	}
	return invitation(p.c.People.Invite(r.Context(), v.Subject.Name, r.PathValue("name"), call.Reset, fromOf(r, v)))
}

func invitation(i *people.Invitation, err error) (Invitation, error) {
	if err != nil {
		return Invitation{}, err
	}
	return Invitation{i.Name, i.Code.Reveal(), i.End}, nil
}

func (p *Portal) setUser(r *http.Request, v *viewer, call UserCall) (nothing, error) {
	if call.Role != nil || call.Disabled != nil && !*call.Disabled {
		if err := p.lately(r, v); err != nil {
			return nothing{}, err
		}
	}
	return nothing{}, p.c.People.Set(r.Context(), v.Subject.Name, r.PathValue("name"), (*people.Role)(call.Role), call.Disabled, fromOf(r, v))
}

func (p *Portal) endUser(r *http.Request, v *viewer, _ nothing) (nothing, error) {
	return nothing{}, p.c.People.EndSessions(r.Context(), v.Subject.Name, r.PathValue("name"), "", fromOf(r, v))
}
