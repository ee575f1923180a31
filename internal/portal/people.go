package portal

import (
	"net/http"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/secret"
)

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
	Recovery int       `json:"recovery_codes_left"`
	Invited  time.Time `json:"invitation_ends,omitzero"`
	Disabled time.Time `json:"disabled,omitzero"`
}

// peopleRoutes are the calls of sign-in, of one's own account, and of those who look after accounts.
func (p *Portal) peopleRoutes() {
	p.open("POST /api/v1/login", func(r *http.Request, _ secret.Text) (any, error) {
		call, err := decode[LoginCall](r)
		if err != nil {
			return nil, err
		}
		return entry(p.c.People.SignIn(r.Context(), call.User, secret.New(call.Password), from(r)))
	})
	p.open("POST /api/v1/login/accept", func(r *http.Request, _ secret.Text) (any, error) {
		call, err := decode[AcceptCall](r)
		if err != nil {
			return nil, err
		}
		return entry(p.c.People.Accept(r.Context(), secret.New(call.Code), secret.New(call.Password), from(r)))
	})
	p.open("POST /api/v1/login/factor", func(r *http.Request, token secret.Text) (any, error) {
		call, err := decode[CodeCall](r)
		if err != nil {
			return nil, err
		}
		return entry(p.c.People.Prove(r.Context(), token, call.Code, from(r)))
	})
	p.open("POST /api/v1/login/enrol", func(r *http.Request, token secret.Text) (any, error) {
		return p.c.People.Enrol(r.Context(), token)
	})
	p.open("POST /api/v1/login/confirm", func(r *http.Request, token secret.Text) (any, error) {
		call, err := decode[CodeCall](r)
		if err != nil {
			return nil, err
		}
		return entry(p.c.People.Confirm(r.Context(), token, call.Code, from(r)))
	})
	p.route("POST /api/v1/factor", peopleOnly, p.stepUp)
	p.route("POST /api/v1/recovery", peopleOnly, p.newRecovery)
	p.route("POST /api/v1/password", peopleOnly, p.changePassword)
	p.route("GET /api/v1/sessions", peopleOnly, p.sessions)
	p.route("DELETE /api/v1/sessions", peopleOnly, p.endSessions)
	p.route("DELETE /api/v1/sessions/{id}", peopleOnly, p.endSessions)
	p.admin("GET /api/v1/users", p.users)
	p.admin("POST /api/v1/users", p.createUser)
	p.admin("POST /api/v1/users/{name}", p.setUser)
	p.admin("POST /api/v1/users/{name}/invite", p.inviteUser)
	p.admin("DELETE /api/v1/users/{name}/sessions", p.endUser)
}

// open adds a call that a session's half or nothing is enough for.
func (p *Portal) open(pattern string, h func(r *http.Request, token secret.Text) (any, error)) {
	p.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		out, err := h(r, bearer(r))
		if err != nil {
			p.fail(w, r, err)
			return
		}
		p.send(w, http.StatusOK, out)
	})
}

// admin adds a call for those with the role alone.
func (p *Portal) admin(pattern string, h handler) {
	p.route(pattern, peopleOnly, func(r *http.Request, who caller) (any, error) {
		if !who.Admin {
			return nil, &access.Refusal{Code: people.CodeNotAdmin, Text: "this is for admins"}
		}
		return h(r, who)
	})
}

func bearer(r *http.Request) secret.Text {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return secret.New(token)
}

func from(r *http.Request) people.From {
	return people.From{Addr: addressOf(r), Remote: r.RemoteAddr, Channel: "cli"}
}

func entry(e *people.Entry, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	out := &LoginAnswer{Token: e.Token.Reveal(), User: e.Session.Subject, Role: string(e.Role), Expires: e.Session.End, Recovery: e.Recovery}
	if e.Session.Stage != people.Full {
		out.Next = string(e.Session.Stage)
	}
	return out, nil
}

func (p *Portal) stepUp(r *http.Request, _ caller) (any, error) {
	call, err := decode[CodeCall](r)
	if err != nil {
		return nil, err
	}
	s, err := p.c.People.StepUp(r.Context(), bearer(r), call.Code, from(r))
	if err != nil {
		return nil, err
	}
	return shownSession(*s, s.ID), nil
}

func (p *Portal) newRecovery(r *http.Request, _ caller) (any, error) {
	codes, err := p.c.People.NewRecovery(r.Context(), bearer(r), from(r))
	return struct {
		Recovery []string `json:"recovery"`
	}{codes}, err
}

func (p *Portal) changePassword(r *http.Request, _ caller) (any, error) {
	call, err := decode[PasswordCall](r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, p.c.People.ChangePassword(r.Context(), bearer(r), secret.New(call.Old), secret.New(call.New), from(r))
}

func shownSession(s people.Session, this string) ShownSession {
	return ShownSession{s.ID, s.Channel, s.Address, s.Created, s.Seen, s.End, s.Factor, s.ID == this}
}

func (p *Portal) sessions(r *http.Request, who caller) (any, error) {
	live, err := p.c.People.Sessions(r.Context(), who.Subject.Name)
	if err != nil {
		return nil, err
	}
	out := []ShownSession{}
	for _, s := range live {
		out = append(out, shownSession(s, who.token.ID))
	}
	return out, nil
}

// endSessions ends one of the caller's sessions, or all of them.
func (p *Portal) endSessions(r *http.Request, who caller) (any, error) {
	name := who.Subject.Name
	return struct{}{}, p.c.People.EndSessions(r.Context(), name, name, r.PathValue("id"), from(r))
}

// UserShown leaves out of an account what proves it.
func UserShown(a *people.Account) ShownUser {
	return ShownUser{a.Name, string(a.Role), a.Created, a.Factored(), len(a.Recovery), a.InviteEnd, a.Disabled}
}

func (p *Portal) users(r *http.Request, _ caller) (any, error) {
	all, err := p.c.People.List(r.Context())
	if err != nil {
		return nil, err
	}
	out := []ShownUser{}
	for i := range all {
		out = append(out, UserShown(&all[i]))
	}
	return out, nil
}

func (p *Portal) createUser(r *http.Request, who caller) (any, error) {
	call, err := decode[UserCall](r)
	if err != nil {
		return nil, err
	}
	role := people.NoRole
	if call.Role != nil {
		role = people.Role(*call.Role)
	}
	return invitation(p.c.People.Create(r.Context(), who.Subject.Name, call.Name, role, from(r)))
}

func (p *Portal) inviteUser(r *http.Request, who caller) (any, error) {
	call, err := decode[UserCall](r)
	if err != nil {
		return nil, err
	}
	return invitation(p.c.People.Invite(r.Context(), who.Subject.Name, r.PathValue("name"), call.Reset, from(r)))
}

func invitation(i *people.Invitation, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return Invitation{i.Name, i.Code.Reveal(), i.End}, nil
}

func (p *Portal) setUser(r *http.Request, who caller) (any, error) {
	call, err := decode[UserCall](r)
	if err != nil {
		return nil, err
	}
	return struct{}{}, p.c.People.Set(r.Context(), who.Subject.Name, r.PathValue("name"), (*people.Role)(call.Role), call.Disabled, from(r))
}

func (p *Portal) endUser(r *http.Request, who caller) (any, error) {
	return struct{}{}, p.c.People.EndSessions(r.Context(), who.Subject.Name, r.PathValue("name"), "", from(r))
}
