// Package gateway is the path between a client and a store without any dialect: listeners, limits, who may come in from where,
// the registry of live sessions, and their end. An engine brings the wire protocol and calls the stages in their only
// possible order, because each takes what the one before returned: Admit -> Claim -> Identify -> Enter -> Accept.
//
// It imports policy for the decision, identity for the proof and audit for the trail. It refuses to let a session live that
// the trail does not know, and knows no SQL and no message of any protocol.
package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// Policies says which policy is in force.
type Policies interface {
	// Current returns the policy in force. It is never nil, and safe for concurrent use.
	Current() *policy.Policy
}

// Profiles knows what rules were compiled to.
type Profiles interface {
	// Profile returns what a subject's set of rules is on a store at this moment, with the wall's digest already compared
	// (ENF-95). It answers from memory and is safe for concurrent use. An *Unavailable says why there is none; the error's
	// text goes to the client.
	Profile(h Holder) (*Profile, error)
}

// Holder is who asks for a profile: a subject, a store, and the names of the rules that they hold there, in file order.
type Holder struct {
	Subject policy.Subject
	Store   string
	Rules   []string
	Ended   []string // those of Rules that admit nothing any more
	// Observed: what is decided is not enforced, and the profile has to be that of the subject's own login on the server (PRO-118).
	Observed bool
}

// Profile is one compiled set of rules, as one subject uses it. It is immutable.
type Profile struct {
	Name       string // the profile's schema on the server
	Generation uint64 // two profiles with the same one decide the same
	Role       string // the subject's identity role
	Password   secret.Text
	Engine     any // what the engine needs beyond that; for postgres a *pgwire.Profile
	// Limits bound what the subject may read: by rule, and the store's own under "".
	Limits map[string]policy.Limits
	// Observed says the same as the Holder's.
	Observed bool
	// Shadow is what the engine decides with beside the profile, for the trail only: the subject's rules with the shadow rules added; for
	// postgres a *pgwire.Shadow.
	Shadow any
}

// Unavailable is why a subject has no usable profile. Code is one of the CodeProfile constants.
type Unavailable struct {
	Code    policy.Code
	Message string
	Hint    string
}

// Error implements error.
func (u *Unavailable) Error() string { return u.Message }

// Secrets knows the live secrets of subjects beside the one in the policy file: temporary credentials and tokens (PRO-24).
type Secrets interface {
	// Of lists a subject's credentials, made under the salt and iteration count of Salt. It answers from memory and is safe for
	// concurrent use.
	Of(subject string) []identity.Credential
	// Barred says whether a subject's account was disabled, so that none of their secrets lets them in, nor anything else. It answers
	// from memory and is safe for concurrent use.
	Barred(subject string) bool
	// Issuers knows the client certificates that were issued here. It answers from memory and is safe for concurrent use; it may be nil.
	Issuers() *identity.Issuers
}

// Engine speaks one wire protocol.
type Engine interface {
	// Serve talks to a client from the first byte to the last and closes conn. It returns when the session is over.
	Serve(ctx context.Context, conn net.Conn, a *Admitted)
}

// Clock is where times come from.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once d has passed, in a goroutine of its own; stop prevents that.
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now implements Clock.
func (SystemClock) Now() time.Time { return time.Now() }

// AfterFunc implements Clock.
func (SystemClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// Limits bound what clients can make the gateway hold (PRO-102, 103). A zero value means the default.
type Limits struct {
	PerListener int // connections
	PerAddress  int
	PerUser     int // sessions
	PerStore    int
	Handshakes  int // connections that have not logged in yet, per listener

	TLS     time.Duration // for the handshake
	Login   time.Duration // from the first byte to the answer that lets the client in
	Dial    time.Duration // to log in to the store, part of Login
	Idle    time.Duration // 0: no limit
	IdleTx  time.Duration // idle in transaction; 0: no limit
	Session time.Duration // a whole session; 0: no limit
	Stall   time.Duration // a client that does not take what is written to it
}

// DefaultLimits are used where a limit is zero.
func DefaultLimits() Limits {
	return Limits{
		PerListener: 4000, PerAddress: 1000, PerUser: 500, PerStore: 2000, Handshakes: 512,
		TLS: 5 * time.Second, Login: 30 * time.Second, Dial: 10 * time.Second, Stall: 15 * time.Minute,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	ints := []struct{ have, def *int }{
		{&l.PerListener, &d.PerListener},
		{&l.PerAddress, &d.PerAddress},
		{&l.PerUser, &d.PerUser},
		{&l.PerStore, &d.PerStore},
		{&l.Handshakes, &d.Handshakes},
	}
	for _, p := range ints {
		if *p.have == 0 {
			*p.have = *p.def
		}
	}
	times := []struct{ have, def *time.Duration }{{&l.TLS, &d.TLS}, {&l.Login, &d.Login}, {&l.Dial, &d.Dial}, {&l.Stall, &d.Stall}}
	for _, p := range times {
		if *p.have == 0 {
			*p.have = *p.def
		}
	}
	return l
}

// Config is what a gateway is made of. Every field without a comment saying otherwise is required.
type Config struct {
	Listeners []Listener
	Engines   map[string]Engine // by the listeners' Engine
	Policies  Policies
	Profiles  Profiles
	Secrets   Secrets // may be nil
	Audit     audit.Recorder
	Clock     Clock
	Random    io.Reader
	Log       *slog.Logger
	// Installation is this installation's secret, 16 bytes at least: unknown users are told apart from it by nobody (PRO-27).
	Installation []byte
	Iterations   int    // of SCRAM, for unknown users; 0: identity.DefaultIterations
	Limits       Limits // may be zero
	// Ready says why nobody new can be let in at the moment, or nil. Sessions that are open go on (ACC-31). It may be nil.
	Ready func() *Unavailable
	// Elsewhere asks the other gateways whether a cancel request is for a session of theirs. It may be nil.
	Elsewhere func(ctx context.Context, pid uint32, key []byte) error
	// Brake slows down guessing. Nil: a brake of this gateway's own.
	Brake identity.Brake
}

// Canceller is an engine whose sessions can be cancelled from another gateway.
type Canceller interface {
	// CancelFor cancels what runs in the session of a server's process whose key fits, if there is one here.
	CancelFor(ctx context.Context, pid uint32, fits func(key []byte) bool)
}

// Cancel carries out a cancel request that another gateway passed on.
func (g *Gateway) Cancel(ctx context.Context, pid uint32, fits func(key []byte) bool) {
	for _, e := range g.config.Engines {
		if c, ok := e.(Canceller); ok {
			c.CancelFor(ctx, pid, fits)
		}
	}
}

// Gateway accepts connections and knows every session. It is safe for concurrent use.
type Gateway struct {
	config   Config
	limits   Limits
	mock     *identity.Mock
	throttle identity.Brake
	counts   counts
	accounts accounts
	meters   meters
	registry registry

	mu        sync.Mutex
	listeners []*listener
	draining  bool
	wg        sync.WaitGroup // connections
}

// New checks a configuration and makes a gateway that does not listen yet.
func New(c Config) (*Gateway, error) {
	if c.Policies == nil || c.Profiles == nil || c.Audit == nil || c.Clock == nil || c.Random == nil || c.Log == nil {
		return nil, errors.New("gateway: a part is missing")
	}
	mock, err := identity.NewMock(c.Installation, c.Iterations)
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	g := &Gateway{config: c, limits: c.Limits.withDefaults(), mock: mock, throttle: c.Brake}
	if g.throttle == nil {
		g.throttle = identity.NewThrottle()
	}
	g.counts.init()
	g.registry.init()
	for i := range c.Listeners {
		l, err := newListener(c.Listeners[i], c.Engines, c.Policies.Current().Certificates)
		if err != nil {
			return nil, err
		}
		g.listeners = append(g.listeners, l)
	}
	return g, nil
}

// Listen opens every listener, so that an address that cannot be used is known before anything is served. Without an error
// Serve must follow, or Close.
func (g *Gateway) Listen(ctx context.Context) error {
	for _, l := range g.listeners {
		if err := l.open(ctx); err != nil {
			g.Close()
			return err
		}
	}
	return nil
}

// Addrs lists where the gateway listens, in the order of the configuration.
func (g *Gateway) Addrs() []net.Addr {
	var out []net.Addr
	for _, l := range g.listeners {
		if l.net != nil {
			out = append(out, l.net.Addr())
		}
	}
	return out
}

// Serve accepts connections until ctx ends or Drain or Close is called, and returns when nothing is accepted any more.
// Sessions may still live then: Drain waits for them.
func (g *Gateway) Serve(ctx context.Context) error {
	stop := context.AfterFunc(ctx, g.Close)
	defer stop()
	var accepting sync.WaitGroup
	for _, l := range g.listeners {
		if l.net == nil {
			return errors.New("gateway: Serve before Listen")
		}
		accepting.Go(func() { g.accept(context.WithoutCancel(ctx), l) })
	}
	accepting.Wait()
	return nil
}

// Close stops accepting. Sessions go on.
func (g *Gateway) Close() {
	g.mu.Lock()
	g.draining = true
	g.mu.Unlock()
	for _, l := range g.listeners {
		l.close()
	}
}

// Drain stops accepting, lets every session come to a point where nothing is under way and ends it there. When ctx ends
// first, what is left is ended at once. It returns when no connection is left.
func (g *Gateway) Drain(ctx context.Context) error {
	g.Close()
	for _, s := range g.registry.all() {
		s.drain()
	}
	done := make(chan struct{})
	go func() {
		g.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, s := range g.registry.all() {
		s.End(Ending{Code: CodeShutdown, Message: "the gateway is shutting down"})
	}
	for _, l := range g.listeners {
		l.closeHandshakes()
	}
	<-done
	return context.Cause(ctx)
}

// Reload takes up what changed outside: certificates are read again, and every session is decided again under the policy
// and the profiles of this moment. What is still allowed goes on, with its prepared statements decided anew; what is not is
// ended with the reason. Certificates that cannot be read leave the old ones in use and are the error.
func (g *Gateway) Reload() error {
	var errs []error
	issued := g.config.Policies.Current().Certificates
	for _, l := range g.listeners {
		if err := l.loadCertificate(issued); err != nil {
			errs = append(errs, err)
		}
	}
	for _, s := range g.registry.all() {
		s.decideAgain()
	}
	return errors.Join(errs...)
}

// Sessions lists the live sessions, oldest first.
func (g *Gateway) Sessions() []Info {
	all := g.registry.all()
	out := make([]Info, 0, len(all))
	for _, s := range all {
		out = append(out, s.info())
	}
	return out
}

// EndSession ends a session by its id and says whether there was one.
func (g *Gateway) EndSession(id string, e Ending) bool {
	s := g.registry.find(id)
	if s == nil {
		return false
	}
	s.End(e)
	return true
}

// EndWhere ends every session that match picks, and returns how many.
func (g *Gateway) EndWhere(match func(Info) bool, e Ending) int {
	n := 0
	for _, s := range g.registry.all() {
		if match(s.info()) {
			s.End(e)
			n++
		}
	}
	return n
}

// Limits are the limits in force.
func (g *Gateway) Limits() Limits { return g.limits }

// Facts are what is known of a connection before anybody has said a word.
type Facts struct {
	Address  netip.Addr // not valid for a Unix socket
	Remote   string     // for people
	Local    bool       // a Unix socket
	Account  string     // owner of the process at the other end of a Unix socket, "" if unknown
	Listener string
}

// Transport is what became of a connection's encryption.
type Transport struct {
	State *tls.ConnectionState // nil: plain
	// Binding is the channel binding data of the certificate that we served.
	Binding []byte
}

// Version is "TLS 1.3" or the like, "" for a plain connection.
func (t Transport) Version() string {
	if t.State == nil {
		return ""
	}
	return tls.VersionName(t.State.Version)
}
