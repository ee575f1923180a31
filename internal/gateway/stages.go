package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
)

// Admitted is a connection that may try to log in: its address is not shut out and there is room for it.
type Admitted struct {
	g        *Gateway
	l        *listener
	facts    Facts
	loggedIn func()
}

// admit is the first stage. A nil result means: close without a word (PRO-104).
func (g *Gateway) admit(conn net.Conn, l *listener) (a *Admitted, release func()) {
	facts := factsOf(conn, l)
	if r := g.config.Policies.Current().AdmitAddress(facts.Address, facts.Local); r != nil {
		g.config.Log.Info("connection turned away", "remote", facts.Remote, "listener", l.name, "reason", r.Code)
		return nil, nil
	}
	release, loggedIn := g.counts.connection(l.name, facts.Address, g.limits)
	if release == nil {
		g.config.Log.Warn("connection turned away", "remote", facts.Remote, "listener", l.name, "reason", CodeTooMany)
		return nil, nil
	}
	return &Admitted{g: g, l: l, facts: facts, loggedIn: loggedIn}, release
}

// Facts are what is known of the connection.
func (a *Admitted) Facts() Facts { return a.facts }

// Limits are the gateway's limits.
func (a *Admitted) Limits() Limits { return a.g.limits }

// Clock is the gateway's clock.
func (a *Admitted) Clock() Clock { return a.g.config.Clock }

// TLS returns what a handshake on this connection has to use, and the channel binding data that goes with it: the
// certificate is chosen once per connection, so that a reload cannot part the two (PRO-21). Without TLS it is nil.
func (a *Admitted) TLS() (config *tls.Config, binding []byte) { return a.l.serverTLS() }

// TLSRequired says whether the listener refuses plain connections.
func (a *Admitted) TLSRequired() bool { return a.l.config.TLS.Required }

// CancelNeedsTLS says whether a plain cancel request is ignored on this listener (PRO-44).
func (a *Admitted) CancelNeedsTLS() bool { return a.l.config.CancelTLS }

// Observes says whether anybody is observed on a store: what a start-up packet asks for can then not be judged before it is
// known who sent it.
func (a *Admitted) Observes(store string) bool { return a.g.config.Policies.Current().Observing(store) }

// Record writes an event about a connection that has no session, such as a cancel request or a broken protocol.
func (a *Admitted) Record(ctx context.Context, e audit.Event) (string, error) {
	e.Address, e.Listener = a.facts.Remote, a.facts.Listener
	return a.g.config.Audit.Record(ctx, e)
}

// PassOn asks the other gateways whether a cancel request is for a session of theirs. It says whether there are any to ask.
func (a *Admitted) PassOn(ctx context.Context, pid uint32, key []byte) (bool, error) {
	if a.g.config.Elsewhere == nil {
		return false, nil
	}
	return true, a.g.config.Elsewhere(ctx, pid, key)
}

// Claim is what a client says of itself, with names already cut to what the server compares.
type Claim struct {
	User        string
	Store       string
	Application string
	Transport   Transport

	cert *certified
}

// Claimed is a claim that waits for its proof.
type Claimed struct {
	a       *Admitted
	claim   Claim
	method  policy.Auth
	account *identity.Account
	locked  bool
}

// Claim is the second stage: it finds out how this user has to prove who they are. What it returns does not tell whether
// the user exists (PRO-20). It waits as long as the brake on guessing demands.
func (a *Admitted) Claim(ctx context.Context, c Claim) (*Claimed, error) {
	if a.TLSRequired() && c.Transport.State == nil && !a.facts.Local {
		return nil, a.refuse(ctx, c, &Refusal{
			Code: policy.CodeTLSRequired, Message: "this listener takes encrypted connections only",
			Hint: "connect with sslmode=require or stronger",
		})
	}
	p := a.g.config.Policies.Current()
	c.cert = a.look(c)
	subject, known := p.Subject(c.User)
	if !known {
		subject = policy.Subject{Name: c.User}
	}
	out := &Claimed{a: a, claim: c, method: policy.AuthSCRAM}
	if _, r := p.NetworkOf(a.login(anybody(p, c.User), c)); r != nil && r.Code == policy.CodeTLSRequired {
		// What the transport lacks is said before a password is asked for, to everybody alike.
		return nil, a.refuse(ctx, c, &Refusal{Code: r.Code, Message: r.Text, Hint: "connect with sslmode=require or stronger"})
	}
	l := a.login(subject, c)
	l.ClientCert = c.cert != nil // one that is no good is refused for what it is, and not for being none
	if rule, refusal := p.NetworkOf(l); refusal == nil {
		// Whoever the rules turn away still gets a SCRAM exchange: Decide says no once they have proved who they are, and
		// until then nobody learns which names exist.
		out.method = rule.Auth
	}
	if out.method == policy.AuthCertOrSCRAM {
		if out.method = policy.AuthSCRAM; c.cert != nil {
			out.method = policy.AuthCert
		}
	}
	if known {
		out.account = a.g.account(p, p.Users[c.User], c.Store)
	}
	now := a.g.config.Clock.Now()
	delay, locked, err := a.g.throttle.Wait(ctx, a.facts.Address, c.User, now)
	if err != nil {
		return nil, a.unknown(ctx, c, err)
	}
	out.locked = locked
	if err := a.g.sleep(ctx, delay); err != nil {
		return nil, err
	}
	return out, nil
}

// unknown refuses somebody of whom it cannot be said how often they guessed.
func (a *Admitted) unknown(ctx context.Context, c Claim, err error) error {
	a.g.config.Log.Error("failed logins cannot be looked up", "error", err)
	return a.refuse(ctx, c, &Refusal{
		Code: CodeState, Message: "who may come in is not known at the moment: the gateway's state cannot be used",
		Hint: "try again, and tell an administrator",
	})
}

// anybody is a subject that every network rule for a group is about.
func anybody(p *policy.Policy, name string) policy.Subject {
	return policy.Subject{Name: name, Groups: slices.Sorted(maps.Keys(p.Groups))}
}

// Method is how the user has to prove who they are.
func (c *Claimed) Method() policy.Auth { return c.method }

// Exchange begins a SCRAM conversation.
func (c *Claimed) Exchange() *identity.Exchange {
	account := c.account
	if c.locked {
		account = nil
	}
	return identity.NewExchange(identity.Claim{
		User: c.claim.User, Store: c.claim.Store, Account: account, Binding: c.claim.Transport.Binding, Now: c.a.g.config.Clock.Now(),
	}, c.a.g.mock, c.a.g.config.Random)
}

// FromTransport proves the user by the client certificate or by the peer's account, as the method says.
func (c *Claimed) FromTransport() (identity.Proof, error) {
	switch {
	case c.method == policy.AuthCert && c.claim.cert != nil:
		return c.claim.cert.proof, c.claim.cert.why
	case c.method == policy.AuthPeer && c.a.facts.Local:
		return identity.FromPeer(c.claim.User, c.a.facts.Account)
	}
	return identity.Proof{}, &identity.Failure{Reason: "the transport proves nothing"}
}

// Failed notes that the proof failed, and returns the refusal that the client gets: the same one whatever the cause.
func (c *Claimed) Failed(ctx context.Context, cause error) error {
	g := c.a.g
	reason := "malformed"
	var f *identity.Failure
	if errors.As(cause, &f) {
		reason = f.Reason
	}
	if c.method == policy.AuthCert {
		return c.refuseCertificate(ctx, reason)
	}
	code := CodeAuthentication
	locked, counted := g.throttle.Failed(ctx, c.a.facts.Address, c.claim.User, g.config.Clock.Now())
	if counted != nil {
		g.config.Log.Error("a failed login could not be counted where all gateways see it", "error", counted)
	}
	if locked || c.locked {
		code, reason = CodeLockedOut, "locked out: "+reason
	}
	r := &Refusal{Code: CodeAuthentication, Message: "password authentication failed for user \"" + c.claim.User + "\""}
	_, err := c.a.Record(ctx, audit.Event{
		Kind: audit.LoginRefused, Verdict: "refuse", Subject: c.claim.User, Store: c.claim.Store, App: c.claim.Application,
		TLS: c.claim.Transport.Version(), Reason: string(code), Message: reason,
	})
	if err != nil {
		g.config.Log.Error("a refused login could not be recorded", "error", err)
	}
	return r
}

// refuseCertificate is Failed for a certificate. Nothing was guessed at, so that it does not count as a guess: a client with an old
// certificate that tries again and again must not shut its user out.
func (c *Claimed) refuseCertificate(ctx context.Context, reason string) error {
	r := &Refusal{
		Code: CodeCertificate, Message: "certificate authentication failed for user \"" + c.claim.User + "\"",
		Hint: "postern login gets a new one; where a password is taken too, sslcertmode=disable asks for it",
	}
	var err error
	if r.Event, err = c.a.Record(ctx, audit.Event{
		Kind: audit.LoginRefused, Verdict: "refuse", Subject: c.claim.User, Store: c.claim.Store, App: c.claim.Application,
		TLS: c.claim.Transport.Version(), Reason: string(CodeCertificate), Message: reason,
	}); err != nil {
		c.a.g.config.Log.Error("a refused login could not be recorded", "error", err)
	}
	return r
}

// Identified is somebody who has proved who they are.
type Identified struct {
	a       *Admitted
	claim   Claim
	subject policy.Subject
	proof   identity.Proof
}

// Identify is the third stage: a proof makes a claim good. A proof of another name, or by another method than the one
// demanded, does not.
func (c *Claimed) Identify(ctx context.Context, proof identity.Proof) (*Identified, error) {
	fits := map[policy.Auth]bool{
		policy.AuthSCRAM: proof.Method() == identity.SCRAM || proof.Method() == identity.SCRAMPlus,
		policy.AuthCert:  proof.Method() == identity.Certificate,
		policy.AuthPeer:  proof.Method() == identity.Peer,
	}
	if proof.User() == "" || proof.User() != c.claim.User || !fits[c.method] {
		return nil, c.Failed(ctx, &identity.Failure{Reason: "proof of something else"})
	}
	subject, known := c.a.g.config.Policies.Current().Subject(c.claim.User)
	if !known {
		return nil, c.Failed(ctx, &identity.Failure{Reason: "unknown user"})
	}
	if secrets := c.a.g.config.Secrets; secrets != nil && secrets.Barred(c.claim.User) {
		return nil, c.Failed(ctx, &identity.Failure{Reason: "the account is disabled"})
	}
	if err := c.stillFree(ctx, proof); err != nil {
		return nil, err
	}
	if err := c.a.g.throttle.Succeeded(ctx, c.a.facts.Address, c.claim.User, c.a.g.config.Clock.Now()); err != nil {
		return nil, c.a.unknown(ctx, c.claim, err)
	}
	return &Identified{a: c.a, claim: c.claim, subject: subject, proof: proof}, nil
}

// stillFree asks the brake once more, now that a password was right: of guesses that began together all began before the first of them was
// counted, and the right one among more of them than lock must not come in.
func (c *Claimed) stillFree(ctx context.Context, proof identity.Proof) error {
	if m := proof.Method(); m != identity.SCRAM && m != identity.SCRAMPlus {
		return nil // nothing was guessed
	}
	g := c.a.g
	_, locked, err := g.throttle.Wait(ctx, c.a.facts.Address, c.claim.User, g.config.Clock.Now())
	if err != nil {
		return c.a.unknown(ctx, c.claim, err)
	}
	if locked {
		c.locked = true
		return c.Failed(ctx, &identity.Failure{Reason: "the right password, among too many guesses"})
	}
	return nil
}

// Subject is who it is.
func (i *Identified) Subject() policy.Subject { return i.subject }

// Enter is the fourth stage: the policy decides, the profile is chosen and its wall compared, and the session is known from
// here on: whatever ends it now finds it. The caller must call Close on the result, whatever happens.
func (i *Identified) Enter(ctx context.Context) (*Session, error) {
	g := i.a.g
	if g.config.Ready != nil {
		if why := g.config.Ready(); why != nil {
			return nil, i.a.refuse(ctx, i.claim, &Refusal{Code: why.Code, Message: why.Message, Hint: why.Hint})
		}
	}
	release, full := g.counts.session(i.subject.Name, i.claim.Store, g.limits)
	if release == nil {
		return nil, i.a.refuse(ctx, i.claim, &Refusal{Code: CodeTooMany, Message: "too many sessions for " + full})
	}
	s := &Session{
		g: g, a: i.a, id: g.newID(), claim: i.claim, proof: i.proof, started: g.config.Clock.Now(),
		release: sync.OnceFunc(release),
	}
	g.mu.Lock()
	draining := g.draining
	if !draining {
		// Registered before the decision: a policy that changes from here on decides again.
		g.registry.add(s)
	}
	g.mu.Unlock()
	if draining {
		s.release()
		return nil, i.a.refuse(ctx, i.claim, &Refusal{Code: CodeShutdown, Message: "the gateway is shutting down"})
	}
	if g.config.Secrets != nil && g.config.Secrets.Barred(i.claim.User) {
		// Once more, now that whoever disables an account finds the session: the proof may be older than that.
		s.drop()
		return nil, i.a.refuse(ctx, i.claim, &Refusal{Code: CodeRevoked, Message: "your account was disabled"})
	}
	if i.proof.Method() == identity.Certificate && g.over(i.claim.cert) {
		s.drop() // the same for whoever revokes a certificate
		return nil, i.a.refuse(ctx, i.claim, &Refusal{Code: CodeCertificate, Message: "your certificate was revoked", Hint: "postern login"})
	}
	if r := s.decide(); r != nil {
		s.drop()
		return nil, i.a.refuse(ctx, i.claim, r)
	}
	if g.limits.Session > 0 {
		s.setAge(g.limits.Session)
	}
	if until := i.proof.Until(); !until.IsZero() {
		s.setEnd(until)
	}
	return s, nil
}

// login is the question to the policy.
func (a *Admitted) login(s policy.Subject, c Claim) policy.Login {
	return policy.Login{
		Subject: s, Store: c.Store, Address: a.facts.Address, Local: a.facts.Local,
		TLS: c.Transport.State != nil, ClientCert: c.cert.verified(a.g.config.Policies.Current()), At: a.g.config.Clock.Now(),
	}
}

// refuse writes a refusal to the trail and gives it the event's id. A refusal stands even when it cannot be recorded.
func (a *Admitted) refuse(ctx context.Context, c Claim, r *Refusal) *Refusal {
	id, err := a.Record(ctx, audit.Event{
		Kind: audit.LoginRefused, Verdict: "refuse", Subject: c.User, Store: c.Store, App: c.Application, TLS: c.Transport.Version(),
		Reason: string(r.Code), Message: r.Message, Policy: a.g.config.Policies.Current().Digest,
	})
	if err != nil {
		a.g.config.Log.Error("a refused login could not be recorded", "error", err)
	}
	r.Event = id
	return r
}

// Refuse records a refusal of the engine's own, such as a start-up setting that is not allowed, and returns it.
func (a *Admitted) Refuse(ctx context.Context, c Claim, r *Refusal) *Refusal {
	return a.refuse(ctx, c, r)
}

// sleep waits, or until ctx ends.
func (g *Gateway) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	done := make(chan struct{})
	stop := g.config.Clock.AfterFunc(d, func() { close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		stop()
		return context.Cause(ctx)
	}
}

// account joins what the policy file and the credentials say of a user's secrets, or is nil if there is none. All of them are
// tried, whichever is meant, because the client says only afterwards which it has (PRO-24). Personal tokens are none where the store
// takes none.
func (g *Gateway) account(p *policy.Policy, u *policy.User, store string) *identity.Account {
	out := g.accounts.of(u)
	if g.config.Secrets == nil {
		return out
	}
	more := g.config.Secrets.Of(u.Name)
	if !p.TakesTokens(store) {
		more = slices.DeleteFunc(slices.Clone(more), func(c identity.Credential) bool { return c.Personal })
	}
	if len(more) == 0 {
		return out
	}
	whole := &identity.Account{}
	if out == nil {
		whole.Iterations, whole.Salt = g.mock.Salt(u.Name)
	} else {
		*whole = *out
	}
	whole.Credentials = append(slices.Clone(whole.Credentials), more...)
	return whole
}

// accounts keeps parsed verifiers by their text.
type accounts struct {
	mu sync.Mutex
	m  map[string]*identity.Account
}

const maxAccounts = 10_000

// of returns the account of a user, or nil if they have no verifier that can be read.
func (a *accounts) of(u *policy.User) *identity.Account {
	if u.SCRAM == "" {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if found, ok := a.m[u.SCRAM]; ok {
		return found
	}
	var account *identity.Account
	if v, err := identity.ParseVerifier(u.SCRAM); err == nil {
		account = identity.AccountOf(v)
	}
	if a.m == nil || len(a.m) >= maxAccounts {
		a.m = map[string]*identity.Account{}
	}
	a.m[u.SCRAM] = account
	return account
}
