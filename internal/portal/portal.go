// Package portal is where people ask, decide and look: an HTTP interface in JSON over the access desk, for the command line, and
// the ground on which screens stand. Every call but the login carries a bearer token; what the token's owner may do is the
// desk's to say, here it is only carried there.
//
// It keeps no state of its own, decides nothing, and never shows a secret twice.
package portal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// Credentials keeps tokens and temporary credentials.
type Credentials interface {
	Issue(ctx context.Context, i identity.Issued) error
	Bearer(ctx context.Context, hash string, now time.Time) (identity.Issued, error)
	Credentials(ctx context.Context, subject string, now time.Time) ([]identity.Issued, error)
	RevokeCredential(ctx context.Context, subject, id string, now time.Time) error
}

// Config is what a portal needs. Every field is required but Gateway.
type Config struct {
	Desk        *access.Desk
	Access      access.Store
	Credentials Credentials
	Policy      func() *policy.Policy
	Audit       audit.Recorder
	Throttle    *identity.Throttle
	Mock        *identity.Mock
	Random      io.Reader
	Log         *slog.Logger
	// Settled waits until what was decided has reached the servers, or ctx ends.
	Settled func(ctx context.Context)
	// Gateway says where clients connect, for connection settings.
	Gateway string
}

// How long things live, and how large they may be.
const (
	sessionLife   = 12 * time.Hour
	temporaryLife = 8 * time.Hour
	maxTokenLife  = 366 * 24 * time.Hour
	maxBody       = 64 << 10
	settleWait    = 15 * time.Second
	maxIssued     = 12 // live passwords of one subject, below what one login tries (PRO-25)
)

// Portal answers. It is safe for concurrent use.
type Portal struct {
	c   Config
	mux *http.ServeMux
}

// New makes a portal.
func New(c Config) *Portal {
	p := &Portal{c: c, mux: http.NewServeMux()}
	p.mux.HandleFunc("POST /api/v1/login", p.login)
	p.route("POST /api/v1/logout", p.logout)
	p.route("GET /api/v1/me", p.me)
	p.route("POST /api/v1/requests", p.ask)
	p.route("GET /api/v1/requests", p.requests)
	p.route("POST /api/v1/requests/{id}/approve", p.decide)
	p.route("POST /api/v1/requests/{id}/deny", p.decide)
	p.route("POST /api/v1/requests/{id}/withdraw", p.decide)
	p.route("GET /api/v1/grants", p.grants)
	p.route("POST /api/v1/grants/{id}/{what}", p.grant)
	p.route("POST /api/v1/delegations", p.delegate)
	p.route("GET /api/v1/credentials", p.credentials)
	p.route("POST /api/v1/credentials", p.issue)
	p.route("DELETE /api/v1/credentials/{id}", p.revoke)
	return p
}

// ServeHTTP implements http.Handler.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	p.mux.ServeHTTP(w, r)
}

// Problem is the answer to a call that failed.
type Problem struct {
	Code  string `json:"code"`
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}

// caller is who calls, as the token says.
type caller struct {
	access.Actor
	token identity.Issued
}

// handler answers a call of somebody who is known. What it returns is sent as JSON.
type handler func(r *http.Request, who caller) (any, error)

// route adds a call that needs a token.
func (p *Portal) route(pattern string, h handler) {
	p.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		who, err := p.caller(r)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		out, err := h(r, who)
		if err != nil {
			p.fail(w, r, err)
			return
		}
		p.send(w, http.StatusOK, out)
	})
}

func (p *Portal) send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.c.Log.Debug("an answer was not taken", "error", err)
	}
}

var (
	errToken = &access.Refusal{Code: "not_logged_in", Text: "you are not logged in, or no longer", Hint: "postern login"}
	errLogin = &access.Refusal{Code: "login_failed", Text: "user and password do not fit"}
)

// fail answers with what a person may know. The rest is for the log.
func (p *Portal) fail(w http.ResponseWriter, r *http.Request, err error) {
	var no *access.Refusal
	switch {
	case errors.Is(err, errToken), errors.Is(err, errLogin):
		_ = errors.As(err, &no)
		p.send(w, http.StatusUnauthorized, Problem{no.Code, no.Text, no.Hint})
	case errors.As(err, &no):
		p.send(w, http.StatusForbidden, Problem{no.Code, no.Text, no.Hint})
	case errors.Is(err, access.ErrNotFound):
		p.send(w, http.StatusNotFound, Problem{Code: "not_found", Error: err.Error()})
	case errors.Is(err, access.ErrConflict):
		p.send(w, http.StatusConflict, Problem{Code: "conflict", Error: "somebody else was faster: look at it again"})
	default:
		p.c.Log.Error("portal", "call", r.Method+" "+r.URL.Path, "error", err)
		p.send(w, http.StatusInternalServerError, Problem{Code: "internal", Error: "that could not be done at the moment; the log says why"})
	}
}

// caller finds out who calls. A token of somebody who is no longer in the policy opens nothing.
func (p *Portal) caller(r *http.Request) (caller, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !strings.HasPrefix(token, identity.TokenPrefix) {
		return caller{}, errToken
	}
	now := p.c.Desk.Now()
	found, err := p.c.Credentials.Bearer(r.Context(), identity.HashToken(token), now)
	if err != nil || !found.Live(now) {
		return caller{}, errToken // a state that cannot be read lets nobody in either
	}
	s, known := p.c.Policy().Subject(found.Subject)
	if !known {
		return caller{}, errToken
	}
	channel := "api"
	if found.Kind == identity.Session {
		channel = "cli"
	}
	return caller{access.Actor{Subject: s, Channel: channel, Address: r.RemoteAddr, Factor: found.Factor}, found}, nil
}

// decode reads a call's body, strictly.
func decode[T any](r *http.Request) (T, error) {
	var v T
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, &access.Refusal{Code: "bad_call", Text: "the call's body cannot be read: " + firstLine(err.Error())}
	}
	return v, nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// LoginCall is a login with a password.
type LoginCall struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// LoginAnswer is a token for what follows.
type LoginAnswer struct {
	Token   string    `json:"token"`
	User    string    `json:"user"`
	Expires time.Time `json:"expires"`
}

// login proves somebody by password. It takes as long for those who do not exist, and answers them alike (PRO-27).
func (p *Portal) login(w http.ResponseWriter, r *http.Request) {
	call, err := decode[LoginCall](r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	address := addressOf(r)
	now := p.c.Desk.Now()
	delay, locked := p.c.Throttle.Wait(address, call.User, now)
	if delay > 0 {
		wait := time.NewTimer(delay)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-r.Context().Done():
			return
		}
	}
	s, ok, err := p.proved(call, locked)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	if !ok {
		p.c.Throttle.Failed(address, call.User, p.c.Desk.Now())
		if err := p.record(r, audit.Event{Kind: audit.PortalLogin, Subject: call.User, Verdict: "refuse", Reason: "authentication"}); err != nil {
			p.fail(w, r, err)
			return
		}
		p.fail(w, r, errLogin)
		return
	}
	p.c.Throttle.Succeeded(address, call.User, p.c.Desk.Now())
	answer, err := p.begin(r, s)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	p.send(w, http.StatusOK, answer)
}

// proved checks a password. Somebody who is locked out is asked for nothing that could be right.
func (p *Portal) proved(call LoginCall, locked bool) (policy.Subject, bool, error) {
	pol := p.c.Policy()
	s, known := pol.Subject(call.User)
	var account *identity.Account
	if u := pol.Users[call.User]; known && u.SCRAM != "" && u.Owner == "" && !locked {
		if v, err := identity.ParseVerifier(u.SCRAM); err == nil {
			account = identity.AccountOf(v)
		}
	}
	ok, err := identity.CheckPassword(account, call.User, secret.New(call.Password), p.c.Mock)
	return s, ok && known, err
}

// begin makes the token of a login. It is in the trail before it is in anybody's hands.
func (p *Portal) begin(r *http.Request, s policy.Subject) (*LoginAnswer, error) {
	token, hash, err := identity.NewToken(p.c.Random)
	if err != nil {
		return nil, err
	}
	now := p.c.Desk.Now()
	i := identity.Issued{ID: p.newID(), Kind: identity.Session, Subject: s.Name, Hash: hash, Created: now, Expires: now.Add(sessionLife).Truncate(time.Second)}
	if err := p.record(r, audit.Event{Kind: audit.PortalLogin, Subject: s.Name, Groups: s.Groups, Verdict: "allow", Detail: map[string]string{"credential": i.ID}}); err != nil {
		return nil, err
	}
	if err := p.c.Credentials.Issue(r.Context(), i); err != nil {
		return nil, err
	}
	return &LoginAnswer{Token: token.Reveal(), User: s.Name, Expires: i.Expires}, nil
}

func (p *Portal) record(r *http.Request, e audit.Event) error {
	e.Address, e.Listener = r.RemoteAddr, "portal"
	if _, err := p.c.Audit.Record(context.WithoutCancel(r.Context()), e); err != nil {
		p.c.Log.Error("an event could not be recorded", "kind", string(e.Kind), "error", err)
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

func (p *Portal) logout(r *http.Request, who caller) (any, error) {
	if err := p.c.Credentials.RevokeCredential(r.Context(), who.Subject.Name, who.token.ID, p.c.Desk.Now()); err != nil {
		return nil, err
	}
	return struct{}{}, p.record(r, audit.Event{Kind: audit.CredentialRevoked, Subject: who.Subject.Name, Detail: map[string]string{"credential": who.token.ID}})
}

// addressOf is where a call comes from, for the brake on guessing.
func addressOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

func (p *Portal) newID() string {
	var raw [8]byte
	if _, err := io.ReadFull(p.c.Random, raw[:]); err != nil {
		p.c.Log.Error("no randomness", "error", err)
	}
	return fmt.Sprintf("%x", raw)
}
