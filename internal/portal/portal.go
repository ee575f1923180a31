// Package portal is where people ask, decide and look: an HTTP interface in JSON over the access desk, for the command line, and
// the ground on which screens stand. Every call but the login carries a bearer token; what the token's owner may do is the
// desk's to say, here it is only carried there.
//
// It keeps no state of its own, decides nothing, and never shows a secret twice.
package portal

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
)

// Credentials keeps tokens and temporary credentials.
type Credentials interface {
	Issue(ctx context.Context, i identity.Issued) error
	Bearer(ctx context.Context, hash string, now time.Time) (identity.Issued, error)
	Credentials(ctx context.Context, subject string, now time.Time) ([]identity.Issued, error)
	// LastUses says when those of a subject were last used that ever were, by their ids.
	LastUses(ctx context.Context, subject string) (map[string]time.Time, error)
	RevokeCredential(ctx context.Context, subject, id string, now time.Time) error
}

// Certifier signs client certificates.
type Certifier interface {
	// Certify signs the key of a request for the holder of i, which gets its ID. An identity.ErrRequest says that it is none.
	Certify(ctx context.Context, request []byte, i *identity.Issued) (certificate []byte, err error)
}

// Config is what a portal needs. Every field is required but Gateway, Look, Changes, Insight, Views, Outlines, Settings, SignOn
// and Certifier.
type Config struct {
	Desk        *access.Desk
	Access      access.Store
	Credentials Credentials
	Certifier   Certifier
	Policy      func() *policy.Policy
	Audit       audit.Recorder
	People      *people.Registry
	Mock        *identity.Mock
	Random      io.Reader
	Log         *slog.Logger
	// Settled waits until what was decided has reached the servers, or ctx ends.
	Settled func(ctx context.Context)
	// Gateway says where clients connect, for connection settings.
	Gateway string
	// Columns lists the columns of every store, as last seen, in a list that nobody changes: what was seen anew is another list. Health
	// says of each store why it cannot be used, "" where it can.
	Columns func() []Column
	Health  func() map[string]string
	Trail   string // folder of the audit trail
	Version string
	// Look is how long a page or a call may look through the trail; 0: a twentieth of a second.
	Look time.Duration
	// Changes is what the trail says of the policy; nil: nobody remembers it.
	Changes func() Changes
	// Insight knows what the engine and the reports of its runs say; nil: those pages say that they cannot.
	Insight Insight
	// Views keeps searches of the trail; nil: none are kept.
	Views Views
	// Outlines keeps what policies said; nil: none can be compared.
	Outlines Outlines
	// Settings says by what this installation goes, for admins; nil: nobody can say.
	Settings func() []SettingGroup
	// SignOn signs people in through an identity provider, under a button with a label; nil: there is none.
	SignOn      SignOn
	SignOnLabel string
	URL         string // under which browsers reach the portal; "": not said
}

// SignOn signs people in through an identity provider.
type SignOn interface {
	// Begin says where to send the browser, and what it has to bring back; next is where it wants to go afterwards.
	Begin(ctx context.Context, next string) (where, carry string, err error)
	// Finish takes what the browser brought back, and the provider's answer.
	Finish(ctx context.Context, carry string, answer url.Values, from people.From) (e *people.Entry, next string, err error)
	// Logout takes a token in which the provider says that somebody's sign-in is over. A *people.Refusal says what is wrong with it.
	Logout(ctx context.Context, token string, from people.From) error
}

// Column is a column as its server has it.
type Column struct {
	policy.Column
	Type string
}

// How long things live, and how large they may be.
const (
	maxTokenLife = 366 * 24 * time.Hour
	maxBody      = 64 << 10
	settleWait   = 15 * time.Second
	maxIssued    = 12 // live passwords of one subject, below what one login tries (PRO-25)
	maxTokens    = 100
	maxTokenName = 80 // characters
)

// document describes the interface, in OpenAPI 3.1. A test makes it from the calls that there are, and fails when it is not theirs.
// Whoever reaches the portal may read what it can do; which of it they may do is theirs to find out.
//
//go:embed openapi.json
var document []byte

// Portal answers. It is safe for concurrent use.
type Portal struct {
	c         Config
	mux       *http.ServeMux
	calls     []Call
	stands    map[string]right // by a page's pattern
	templates map[string]*template.Template
	layouts   layouts
	undecided undecided
	usages    usages
	logouts   attempts // of providers, and of who passes for one
	origin    *http.CrossOriginProtection
	issuing   sync.Mutex
}

// New makes a portal.
func New(c Config) *Portal {
	if c.Look == 0 {
		c.Look = lookFor
	}
	p := &Portal{c: c, mux: http.NewServeMux(), stands: map[string]right{}}
	p.signInCalls()
	p.peopleCalls()
	p.securityCalls()
	p.deviceCalls()
	p.catalogueCalls()
	p.passkeyCalls()
	p.accessCalls()
	p.awayCalls()
	p.credentialCalls()
	p.insightCalls()
	p.viewCalls()
	p.oversightCalls()
	p.settingsCalls()
	p.policyCalls()
	route(p, Call{Pattern: "GET /api/v1/openapi.json", Scope: openToAll, Summary: "This document"}, func(*http.Request, *viewer, nothing) (json.RawMessage, error) {
		return document, nil
	})
	p.mux.HandleFunc(apiRoot, p.unknownCall)
	p.pageRoutes()
	return p
}

// ServeHTTP implements http.Handler.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.guard(w, r)
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	p.mux.ServeHTTP(w, r)
}

// guard says what a browser may do with an answer, whatever that is: nothing but what pages need, and keep none of it.
func (p *Portal) guard(w http.ResponseWriter, r *http.Request) {
	guard(w.Header())
	if p.overTLS(r) {
		w.Header().Set("Strict-Transport-Security", strictTransport)
	}
}

func guard(h http.Header) {
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
}

// Beside serves another handler under a path, with the headers of the portal's own answers.
func (p *Portal) Beside(path string, other http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		p.guard(w, r)
		other.ServeHTTP(w, r)
	})
	mux.Handle("/", p)
	return mux
}

// strictTransport has a browser come over TLS alone for a year. Other hosts of the domain are not ours to speak for.
const strictTransport = "max-age=31536000"

// overTLS says whether a browser came over TLS: to us, or to a proxy under the address that portal.url says, before which TLS ended. A name
// that stands for the reader's own machine is left out: what else listens there need not speak TLS.
func (p *Portal) overTLS(r *http.Request) bool {
	if !elsewhere(r.Host) {
		return false
	}
	host, ended := strings.CutPrefix(p.c.URL, "https://")
	host, _, _ = strings.Cut(host, "/")
	return r.TLS != nil || ended && strings.EqualFold(host, r.Host)
}

// Problem is the answer to a call that failed.
type Problem struct {
	Code  string `json:"code"`
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
	// Field is which part of what was sent is at fault, by its name in the call, where it is a single one.
	Field string `json:"field,omitempty"`
}

func refusedBy(no *access.Refusal) Problem { return Problem{no.Code, no.Text, no.Hint, no.Field} }

func (p *Portal) send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.c.Log.Debug("an answer was not taken", "error", err)
	}
}

// codeBadCall is the code of what cannot be read as it was sent.
const codeBadCall = "bad_call"

var errNoTokens = &access.Refusal{Code: "tokens_off", Text: "personal access tokens are switched off here", Hint: "postern login, or postern run"}

var errToken = &access.Refusal{Code: "not_logged_in", Text: "you are not logged in, or no longer", Hint: "postern login"}

// fail answers with what a person may know. The rest is for the log.
func (p *Portal) fail(w http.ResponseWriter, r *http.Request, err error) {
	var no *access.Refusal
	var who *people.Refusal
	switch {
	case errors.Is(err, errToken):
		p.send(w, http.StatusUnauthorized, refusedBy(errToken))
	case errors.As(err, &who):
		p.tellRest(r, err, who)
		p.send(w, statusOf(who), Problem{Code: who.Code, Error: who.Text, Hint: who.Hint})
	case errors.As(err, &no):
		p.tellRest(r, err, no)
		p.send(w, refusalStatus(no), refusedBy(no))
	case errors.Is(err, access.ErrNotFound):
		p.send(w, http.StatusNotFound, Problem{Code: "not_found", Error: err.Error()})
	case errors.Is(err, access.ErrConflict):
		p.send(w, http.StatusConflict, Problem{Code: "conflict", Error: "somebody else was faster: look at it again"})
	default:
		p.c.Log.Error("portal", "call", r.Method+" "+r.URL.Path, "error", err)
		p.send(w, http.StatusInternalServerError, Problem{Code: "internal", Error: "that could not be done at the moment; the log says why"})
	}
}

// refusalStatus is 400 for what was asked wrongly and 403 for a "no".
func refusalStatus(no *access.Refusal) int {
	if no.Code == codeBadCall {
		return http.StatusBadRequest
	}
	return http.StatusForbidden
}

// statusOf is 401 for who is not signed in, or not far enough, and 403 for a "no".
func statusOf(no *people.Refusal) int {
	switch no.Code {
	case people.CodeLogin, people.CodeSession, people.CodeFactor, people.CodeLocked, people.CodeInvite, people.CodeSignOn, people.CodePasskeyLate:
		return http.StatusUnauthorized
	case people.CodePending, people.CodeSlow, people.CodeExpired, codeBadCall:
		return http.StatusBadRequest
	case people.CodeProvider:
		return http.StatusServiceUnavailable
	case "not_found":
		return http.StatusNotFound
	}
	return http.StatusForbidden
}

// tellRest logs what went wrong beside a refusal, such as an event that could not be recorded.
func (p *Portal) tellRest(r *http.Request, err, no error) {
	if err.Error() != no.Error() {
		p.c.Log.Error("portal", "call", r.Method+" "+r.URL.Path, "error", err)
	}
}

// caller finds out who calls: the owner of a session, or of a token for programs. A token of somebody who may no longer come in opens
// nothing, and a role counts with a token only where its scope says so.
func (p *Portal) caller(r *http.Request) (*viewer, error) {
	token := bearer(r)
	if !strings.HasPrefix(token.Reveal(), identity.TokenPrefix) {
		return nil, errToken
	}
	person, err := p.c.People.WhoIn(r.Context(), token, "cli", true)
	if err == nil {
		return p.viewerOf(r, person, token, person.Session.Channel), nil
	}
	if errors.Is(err, people.ErrElsewhere) {
		return nil, p.elsewhere(r, person, err)
	}
	now := p.c.Desk.Now()
	found, err := p.c.Credentials.Bearer(r.Context(), identity.HashToken(token.Reveal()), now)
	if err != nil || !found.Live(now) {
		return nil, errToken // a state that cannot be read lets nobody in either
	}
	if found.Kind == identity.Personal && !p.c.Policy().TakesTokens("") {
		return nil, errNoTokens
	}
	owner, err := p.c.People.Owner(r.Context(), found.Subject)
	if err != nil {
		return nil, errToken
	}
	v := &viewer{session: token, token: found, owns: p.owns(owner.Subject)}
	if found.May(identity.ScopeInspect) {
		v.role = owner.Role
	}
	v.Actor = access.Actor{Subject: owner.Subject, Channel: "api", Address: r.RemoteAddr, Factor: found.Factor}
	if found.Kind == identity.Session {
		v.Channel = "cli"
	}
	return v, nil
}

// elsewhere puts into the trail that a session was used where it is not for: its token may be in other hands.
func (p *Portal) elsewhere(r *http.Request, person *people.Person, no error) error {
	return errors.Join(no, p.record(r, audit.Event{
		Kind: audit.PortalRefused, Subject: person.Subject.Name, Verdict: "refuse", Reason: "elsewhere", Detail: map[string]string{"session": person.Session.ID},
	}))
}

func (p *Portal) record(r *http.Request, e audit.Event) error {
	e.Address, e.Listener = r.RemoteAddr, "portal"
	if _, err := p.c.Audit.Record(context.WithoutCancel(r.Context()), e); err != nil {
		p.c.Log.Error("an event could not be recorded", "kind", string(e.Kind), "error", err)
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// logout ends the session of the call; a token from before sessions were kept ends as a credential.
func (p *Portal) logout(r *http.Request, who *viewer, _ nothing) (nothing, error) {
	err := p.c.People.SignOut(r.Context(), who.session, from(r))
	var no *people.Refusal
	if !errors.As(err, &no) {
		return nothing{}, err
	}
	if err := p.record(r, audit.Event{Kind: audit.CredentialRevoked, Subject: who.Subject.Name, Detail: map[string]string{"credential": who.token.ID}}); err != nil {
		return nothing{}, err
	}
	return nothing{}, p.c.Credentials.RevokeCredential(r.Context(), who.Subject.Name, who.token.ID, p.c.Desk.Now())
}

// addressOf is where a call comes from, for the brake on guessing and the list of proxies. A zone is of this machine alone.
func addressOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}

func (p *Portal) newID() string {
	var raw [8]byte
	if _, err := io.ReadFull(p.c.Random, raw[:]); err != nil {
		p.c.Log.Error("no randomness", "error", err)
	}
	return fmt.Sprintf("%x", raw)
}
