package gateway

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
)

// clock is a clock that the test moves.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[*timer]struct{}
}

type timer struct {
	at time.Time
	f  func()
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), timers: map[*timer]struct{}{}}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) AfterFunc(d time.Duration, f func()) func() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &timer{at: c.now.Add(d), f: f}
	c.timers[t] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, was := c.timers[t]
		delete(c.timers, t)
		return was
	}
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	var due []*timer
	for t := range c.timers {
		if !t.at.After(c.now) {
			due = append(due, t)
			delete(c.timers, t)
		}
	}
	c.mu.Unlock()
	for _, t := range due {
		t.f()
	}
}

// trail keeps events.
type trail struct {
	mu     sync.Mutex
	events []audit.Event
	broken atomic.Bool
}

func (r *trail) Record(_ context.Context, e audit.Event) (string, error) {
	if r.broken.Load() {
		return "", errors.New("disk full")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	e.ID = fmt.Sprintf("ev%d", len(r.events)+1)
	r.events = append(r.events, e)
	return e.ID, nil
}

func (r *trail) RecordSoon(e audit.Event) error {
	_, err := r.Record(context.Background(), e)
	return err
}

func (r *trail) count(k audit.Kind, reason string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, e := range r.events {
		if e.Kind == k && (reason == "" || e.Reason == reason) {
			n++
		}
	}
	return n
}

// lines is an engine whose protocol is lines of text: a client says "user store" and then hears what becomes of it.
type lines struct {
	proof    func(*Claimed) (identity.Proof, error)
	stubborn bool // sessions do not drain by themselves
}

type lineSession struct {
	mu       sync.Mutex
	conn     net.Conn
	stubborn bool
}

func (l *lineSession) say(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = io.WriteString(l.conn, s+"\n")
}

func (l *lineSession) End(e Ending) { l.say("end " + string(e.Code)); _ = l.conn.Close() }

func (l *lineSession) EndBusy(e Ending) { l.say("end-busy " + string(e.Code)) }

func (l *lineSession) Drain() {
	if !l.stubborn {
		l.say("drained")
		_ = l.conn.Close()
	}
}

func (l lines) Serve(ctx context.Context, conn net.Conn, a *Admitted) {
	defer conn.Close()
	in := bufio.NewScanner(conn)
	if !in.Scan() {
		return
	}
	if in.Text() == "panic" {
		panic("a statement that nobody may read")
	}
	s, err := l.login(ctx, conn, a, in.Text())
	if err != nil {
		var r *Refusal
		if errors.As(err, &r) {
			fmt.Fprintf(conn, "refused %s: %s\n", r.Code, r.Message)
		} else {
			fmt.Fprintf(conn, "error %v\n", err)
		}
		return
	}
	defer s.Close(audit.Event{})
	for in.Scan() {
		fmt.Fprintf(conn, "generation %d\n", s.Profile().Generation)
	}
}

func (l lines) login(ctx context.Context, conn net.Conn, a *Admitted, line string) (*Session, error) {
	name, store, _ := strings.Cut(line, " ")
	c, err := a.Claim(ctx, Claim{User: name, Store: store})
	if err != nil {
		return nil, err
	}
	proof, err := l.proof(c)
	if err != nil {
		return nil, c.Failed(ctx, err)
	}
	i, err := c.Identify(ctx, proof)
	if err != nil {
		return nil, err
	}
	s, err := i.Enter(ctx)
	if err != nil {
		return nil, err
	}
	ls := &lineSession{conn: conn, stubborn: l.stubborn}
	s.Attach(ls)
	if err := s.Accept(ctx); err != nil {
		s.Close(audit.Event{})
		return nil, err
	}
	ls.say("in " + s.Subject().Name)
	return s, nil
}

// place is a gateway for one test. The subject is whoever runs the test, proved by the socket.
type place struct {
	*Gateway
	t       *testing.T
	me      string
	clock   *clock
	trail   *trail
	policy  atomic.Pointer[policy.Policy]
	profile atomic.Pointer[Profile]
	why     atomic.Pointer[Unavailable]
	socket  string
}

func (p *place) Current() *policy.Policy { return p.policy.Load() }

func (p *place) Profile(Holder) (*Profile, error) {
	if u := p.why.Load(); u != nil {
		return nil, u
	}
	return p.profile.Load(), nil
}

func newPlace(t *testing.T, options ...func(*Config)) *place {
	t.Helper()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &place{t: t, me: me.Username, clock: newClock(), trail: &trail{}, socket: filepath.Join(dir, "s")}
	p.setPolicy(func(*policy.Policy) {})
	p.profile.Store(&Profile{Name: "wall", Generation: 1, Role: "role_1"})
	c := Config{
		Listeners: []Listener{{Engine: "lines", Socket: p.socket, Mode: 0o600}},
		Engines:   map[string]Engine{"lines": lines{proof: (*Claimed).FromTransport}}, Policies: p, Profiles: p, Audit: p.trail, Clock: p.clock,
		Random: rand.Reader, Log: slog.New(slog.DiscardHandler), Installation: make([]byte, 32),
	}
	for _, o := range options {
		o(&c)
	}
	if p.Gateway, err = New(c); err != nil {
		t.Fatal(err)
	}
	if err := p.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- p.Serve(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = p.Drain(ctx)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return p
}

// setPolicy puts a policy in force: me is an analyst with one rule, and edit may change it.
func (p *place) setPolicy(edit func(*policy.Policy)) {
	next := &policy.Policy{
		Stores:   map[string]*policy.Store{"shop": {Name: "shop"}},
		Groups:   map[string]*policy.Group{"analysts": {Name: "analysts", Members: []string{p.me}}},
		Users:    map[string]*policy.User{p.me: {Name: p.me}, "bob": {Name: "bob"}},
		Datasets: map[string]*policy.Dataset{"all": {Name: "all", Include: []policy.TablePattern{{Store: "shop"}}}},
		Rules:    []*policy.Rule{{Name: "r1", To: []string{"group:analysts"}, On: "all", Level: policy.Read, Enabled: true}},
		Network:  []*policy.NetworkRule{{Any: true, Local: true, Auth: policy.AuthPeer}},
		Digest:   "d",
	}
	edit(next)
	p.policy.Store(next)
}

// client is one connection.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Scanner
}

func (p *place) dial() *client {
	p.t.Helper()
	conn, err := net.Dial("unix", p.socket)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{t: p.t, conn: conn, in: bufio.NewScanner(conn)}
}

func (p *place) login(line string) (*client, string) {
	p.t.Helper()
	c := p.dial()
	return c, c.ask(line)
}

func (c *client) ask(line string) string {
	c.t.Helper()
	_, _ = io.WriteString(c.conn, line+"\n") // a closed connection shows at the next read
	return c.hear()
}

func (c *client) hear() string {
	if !c.in.Scan() {
		return "closed"
	}
	return c.in.Text()
}

func (p *place) in() *client {
	p.t.Helper()
	c, answer := p.login(p.me + " shop")
	if answer != "in "+p.me {
		p.t.Fatalf("login: %s", answer)
	}
	return c
}

// TestStages: who comes in, and what is said to whoever does not.
func TestStages(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.in()
	for _, c := range []struct{ line, want string }{
		{"bob shop", `refused authentication_failed: password authentication failed for user "bob"`},
		{"nobody shop", `refused authentication_failed: password authentication failed for user "nobody"`},
		{p.me + " attic", `refused unknown_store: there is no store "attic"`},
	} {
		if _, got := p.login(c.line); got != c.want {
			t.Errorf("%q: %s", c.line, got)
		}
	}
	if p.trail.count(audit.LoginAccepted, "") != 1 || p.trail.count(audit.LoginRefused, "") != 3 {
		t.Errorf("events: %+v", p.trail.events)
	}
}

// TestProofOfAnother: a proof of one name or by one method is no proof of another.
func TestProofOfAnother(t *testing.T) {
	t.Parallel()
	var forged identity.Proof
	p := newPlace(t, func(c *Config) {
		c.Engines = map[string]Engine{"lines": lines{proof: func(c *Claimed) (identity.Proof, error) {
			if forged.User() == "" {
				var err error
				forged, err = identity.FromPeer(c.claim.User, c.claim.User)
				return identity.Proof{}, err
			}
			return forged, nil
		}}}
	})
	_, empty := p.login(p.me + " shop")
	_, other := p.login("bob shop")
	if !strings.HasPrefix(empty, "refused authentication_failed") || !strings.HasPrefix(other, "refused authentication_failed") {
		t.Errorf("%s; %s", empty, other)
	}
	p.setPolicy(func(n *policy.Policy) { n.Network[0].Auth = policy.AuthSCRAM })
	if _, got := p.login(p.me + " shop"); !strings.HasPrefix(got, "refused authentication_failed") {
		t.Errorf("a peer proof passes for a password: %s", got)
	}
}

// TestReload is PRO-107 and ENF-46: what is allowed goes on under the new generation, what is not ends with the reason.
func TestReload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(*place)
		want   string
	}{
		{"allowed", func(p *place) { p.profile.Store(&Profile{Name: "wall", Generation: 2, Role: "role_1"}) }, "generation 2"},
		{"user gone", func(p *place) { p.setPolicy(func(n *policy.Policy) { delete(n.Users, p.me) }) }, "end revoked"},
		{"rule gone", func(p *place) { p.setPolicy(func(n *policy.Policy) { n.Rules = nil }) }, "end no_rule"},
		{"group gone", func(p *place) { p.setPolicy(func(n *policy.Policy) { n.Groups["analysts"].Members = nil }) }, "end no_rule"},
		{"network", func(p *place) { p.setPolicy(func(n *policy.Policy) { n.Network = nil }) }, "end network_unlisted"},
		{"store gone", func(p *place) { p.setPolicy(func(n *policy.Policy) { n.Stores = nil }) }, "end unknown_store"},
		{"wall outdated", func(p *place) { p.why.Store(&Unavailable{Code: CodeProfileOutdated, Message: "run postern apply"}) }, "end wall_outdated"},
		{"another role", func(p *place) { p.profile.Store(&Profile{Name: "wall", Generation: 2, Role: "role_2"}) }, "end identity_changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			s := p.in()
			c.change(p)
			if err := p.Reload(); err != nil {
				t.Fatal(err)
			}
			if got := s.ask("which"); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestEnds is ENF-91 at the gateway: a session is decided again when one of its rules ends, and ends with the last.
func TestEnds(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	start := p.clock.Now()
	p.setPolicy(func(n *policy.Policy) {
		for i, d := range []time.Duration{time.Hour, 2 * time.Hour} {
			r := *n.Rules[0]
			r.Name, r.Until = fmt.Sprintf("until%d", i), start.Add(d)
			n.Rules = append(n.Rules, &r)
		}
		n.Rules = n.Rules[1:]
	})
	s := p.in()
	p.clock.advance(time.Hour)
	// A statement that the ended rule let in would be ended; the session itself stays for the other rule.
	if got := s.hear(); got != "end-busy revoked" {
		t.Fatalf("at the first end: %s", got)
	}
	if got := s.ask("still"); got != "generation 1" {
		t.Fatalf("after the first end: %s", got)
	}
	p.clock.advance(59 * time.Minute)
	if got := s.ask("still"); got != "generation 1" {
		t.Fatalf("before the last end: %s", got)
	}
	p.clock.advance(time.Minute)
	if got := s.hear(); got != "end rule_ended" {
		t.Fatalf("after the last end: %s", got)
	}
	if _, got := p.login(p.me + " shop"); !strings.HasPrefix(got, "refused rule_ended") {
		t.Errorf("a new login: %s", got)
	}
}

// TestAuditFirst is PRO-30 and 112: nobody is let in whom the trail does not know.
func TestAuditFirst(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.trail.broken.Store(true)
	if _, got := p.login(p.me + " shop"); !strings.HasPrefix(got, "refused audit_unavailable") {
		t.Error(got)
	}
	if n := len(p.Sessions()); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

// TestLimits is PRO-103 and 104.
func TestLimits(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(c *Config) { c.Limits = Limits{PerUser: 2} })
	first := p.in()
	p.in()
	if _, got := p.login(p.me + " shop"); got != "refused too_many_connections: too many sessions for user "+p.me {
		t.Error(got)
	}
	_ = first.conn.Close()
	for deadline := time.Now().Add(10 * time.Second); len(p.Sessions()) > 1 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	p.in()

	full := newPlace(t, func(c *Config) { c.Limits = Limits{Handshakes: 1} })
	waiting := full.dial()
	if got := full.dial().hear(); got != "closed" {
		t.Errorf("a second handshake hears %q", got)
	}
	if got := waiting.ask(full.me + " shop"); got != "in "+full.me {
		t.Error(got)
	}
	full.in() // the first one has logged in, so there is room again
}

// TestPerAddress: one address cannot take every place.
func TestPerAddress(t *testing.T) {
	t.Parallel()
	var c counts
	c.init()
	l := Limits{PerListener: 10, Handshakes: 10, PerAddress: 1}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	release, _ := c.connection("l", a, l)
	if again, _ := c.connection("l", a, l); again != nil {
		t.Error("a second connection from the address")
	}
	if other, _ := c.connection("l", b, l); other == nil {
		t.Error("no connection from another address")
	}
	release()
	if again, _ := c.connection("l", a, l); again == nil {
		t.Error("the place is not given back")
	}
}

// TestPanic is PRO-106: it ends one connection.
func TestPanic(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	var mu sync.Mutex
	p := newPlace(t, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(b)
		}), nil))
	})
	s := p.in()
	if _, got := p.login("panic"); got != "closed" {
		t.Error(got)
	}
	if got := s.ask("alive"); got != "generation 1" {
		t.Errorf("another session: %s", got)
	}
	text := func() string {
		mu.Lock()
		defer mu.Unlock()
		return log.String()
	}
	for deadline := time.Now().Add(10 * time.Second); text() == "" && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if !strings.Contains(text(), "Serve") || strings.Contains(text(), "nobody may read") {
		t.Errorf("log: %s", text())
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestDrain is PRO-108 at the gateway.
func TestDrain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.in()
	if err := p.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.hear(); got != "drained" {
		t.Error(got)
	}
	if _, err := net.Dial("unix", p.socket); err == nil {
		t.Error("still listening")
	}
	if _, err := os.Stat(p.socket); err == nil {
		t.Error("the socket file is left behind")
	}
}

// TestDrainHasALimit: when time is up, sessions are ended with their reason and handshakes are cut.
func TestDrainHasALimit(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(c *Config) { c.Engines["lines"] = lines{proof: (*Claimed).FromTransport, stubborn: true} })
	s, shaking := p.in(), p.dial()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Drain(ctx); err == nil {
		t.Error("drained in time")
	}
	if got := s.hear(); got != "end shutting_down" {
		t.Errorf("the session hears %q", got)
	}
	if got := shaking.hear(); got != "closed" {
		t.Errorf("the handshake hears %q", got)
	}
}

// TestEndSession: by id, and everything that matches.
func TestEndSession(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	a, b := p.in(), p.in()
	list := p.Sessions()
	if len(list) != 2 || list[0].User != p.me || list[0].Role != "role_1" || !list[0].Accepted {
		t.Fatalf("%+v", list)
	}
	if !p.EndSession(list[0].ID, Ending{Code: CodeRevoked}) || p.EndSession("nobody", Ending{}) {
		t.Error("ended the wrong one")
	}
	if n := p.EndWhere(func(i Info) bool { return i.ID == list[1].ID }, Ending{Code: CodeRevoked}); n != 1 {
		t.Errorf("ended %d", n)
	}
	for _, c := range []*client{a, b} {
		if got := c.hear(); got != "end revoked" {
			t.Error(got)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); p.trail.count(audit.SessionEnd, "revoked") != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the ends are not in the trail")
		}
	}
}

// TestSessionAge is PRO-102: a session does not live for ever where it may not.
func TestSessionAge(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(c *Config) { c.Limits.Session = time.Hour })
	s := p.in()
	p.clock.advance(time.Hour)
	if got := s.hear(); got != "end session_timeout" {
		t.Error(got)
	}
}

// TestSocket is PRO-09: mode, stale sockets, occupied ones, and files that are none.
func TestSocket(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	info, err := os.Stat(p.socket)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&os.ModeSocket == 0 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
	again := &listener{config: Listener{Socket: p.socket}}
	if err := again.open(t.Context()); err == nil || !strings.Contains(err.Error(), "another process answers") {
		t.Errorf("an occupied socket: %v", err)
	}
	dir := filepath.Dir(p.socket)
	stale := filepath.Join(dir, "stale")
	ln, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = ln.Close()
	l := &listener{config: Listener{Socket: stale, Mode: 0o660}}
	if err := l.open(t.Context()); err != nil {
		t.Errorf("a stale socket: %v", err)
	}
	l.close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&listener{config: Listener{Socket: file}}).open(t.Context()); err == nil {
		t.Error("a file is replaced by a socket")
	}
	if err := (&listener{config: Listener{Socket: filepath.Join(dir, "g"), Group: "no such group"}}).open(t.Context()); err == nil {
		t.Error("a group that does not exist")
	}
}

func writeCert(t *testing.T, file, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCertificateReload is PRO-06 and 21: a new certificate comes with its own binding, a broken one leaves the old in use.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "cert.pem")
	writeCert(t, file, "first")
	p := newPlace(t, func(c *Config) {
		c.Listeners = append(c.Listeners, Listener{Engine: "lines", Address: "127.0.0.1:0", TLS: ListenerTLS{Cert: file, Key: file}})
	})
	l := p.listeners[1]
	config, binding := l.serverTLS()
	if config.MinVersion != tls.VersionTLS12 || !config.SessionTicketsDisabled || len(binding) != 32 {
		t.Errorf("version %x, tickets off %v, binding %x", config.MinVersion, config.SessionTicketsDisabled, binding)
	}
	writeCert(t, file, "second")
	if err := p.Reload(); err != nil {
		t.Fatal(err)
	}
	_, next := l.serverTLS()
	if string(next) == string(binding) {
		t.Error("the binding is the old certificate's")
	}
	if err := os.WriteFile(file, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.Reload(); err == nil {
		t.Error("a broken certificate is no error")
	}
	if _, still := l.serverTLS(); string(still) != string(next) {
		t.Error("the certificate in use is gone")
	}
}

// TestTLSDemand: what a connection lacks is said before a password is asked for, and tells nobody which names exist.
func TestTLSDemand(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(c *Config) {
		c.Listeners = append(c.Listeners, Listener{Engine: "lines", Address: "127.0.0.1:0"})
	})
	p.setPolicy(func(n *policy.Policy) {
		n.Network = []*policy.NetworkRule{
			{Any: true, To: []string{"group:analysts"}, Auth: policy.AuthSCRAM, TLS: policy.TLSRequire},
			{Any: true, Auth: policy.AuthReject},
		}
	})
	for _, name := range []string{p.me, "nobody"} {
		conn, err := net.Dial("tcp", p.Addrs()[1].String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := &client{t: t, conn: conn, in: bufio.NewScanner(conn)}
		if got := c.ask(name + " shop"); !strings.HasPrefix(got, "refused tls_required") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestRejectedAddress is PRO-10: where nobody is let in from, nothing is said.
func TestRejectedAddress(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.setPolicy(func(n *policy.Policy) {
		n.Network = []*policy.NetworkRule{{Any: true, Local: true, Auth: policy.AuthReject}}
	})
	if got := p.dial().hear(); got != "closed" {
		t.Error(got)
	}
}

// TestLockOut is PRO-31: after many failures even the right proof fails, with an event of its own.
func TestLockOut(t *testing.T) {
	t.Parallel()
	fail := atomic.Bool{}
	fail.Store(true)
	p := newPlace(t, func(c *Config) {
		c.Engines = map[string]Engine{"lines": lines{proof: func(c *Claimed) (identity.Proof, error) {
			if fail.Load() {
				return identity.Proof{}, &identity.Failure{Reason: "wrong password"}
			}
			return c.FromTransport()
		}}}
	})
	for i := range 20 {
		c := p.dial()
		_, _ = io.WriteString(c.conn, p.me+" shop\n")
		// The first ones are not made to wait. The clock stands still for them: a failure that was counted before it moved on would
		// have been forgiven by then, and the next attempt would not wait either.
		if i > 3 {
			for !p.throttled() {
				time.Sleep(time.Millisecond)
			}
			p.clock.advance(20 * time.Second)
		}
		if got := c.hear(); !strings.HasPrefix(got, "refused authentication_failed") {
			t.Fatal(got)
		}
	}
	if p.trail.count(audit.LoginRefused, string(CodeLockedOut)) != 1 {
		t.Errorf("events: %+v", p.trail.events)
	}
	fail.Store(false)
	c := p.dial()
	_, _ = io.WriteString(c.conn, p.me+" shop\n")
	for !p.throttled() {
		time.Sleep(time.Millisecond)
	}
	p.clock.advance(20 * time.Second)
	if got := c.hear(); got != "in "+p.me {
		t.Errorf("the socket proves who it is, locked out or not: %s", got)
	}
}

// brokenBrake is one whose counts cannot be read, or not be written.
type brokenBrake struct {
	identity.Brake
	read, write atomic.Bool
}

func (b *brokenBrake) Wait(ctx context.Context, addr netip.Addr, user string, now time.Time) (time.Duration, bool, error) {
	if b.read.Load() {
		return 0, false, errors.New("state is away")
	}
	return b.Brake.Wait(ctx, addr, user, now)
}

func (b *brokenBrake) Succeeded(ctx context.Context, addr netip.Addr, user string, now time.Time) error {
	if b.write.Load() {
		return errors.New("state is away")
	}
	return b.Brake.Succeeded(ctx, addr, user, now)
}

// Where it cannot be said how often somebody guessed, nobody is let in; when it can again, they are.
func TestBrakeWithoutState(t *testing.T) {
	t.Parallel()
	b := &brokenBrake{Brake: identity.NewThrottle()}
	p := newPlace(t, func(c *Config) { c.Brake = b })
	for _, away := range []*atomic.Bool{&b.read, &b.write} {
		away.Store(true)
		if got := p.dial().ask(p.me + " shop"); !strings.HasPrefix(got, "refused state_unavailable") {
			t.Error(got)
		}
		away.Store(false)
		if got := p.dial().ask(p.me + " shop"); got != "in "+p.me {
			t.Error(got)
		}
	}
	if n := p.trail.count(audit.LoginRefused, string(CodeState)); n != 2 {
		t.Errorf("%d refusals are in the trail: %+v", n, p.trail.events)
	}
}

// throttled says whether an attempt is being made to wait.
func (p *place) throttled() bool {
	p.clock.mu.Lock()
	defer p.clock.mu.Unlock()
	return len(p.clock.timers) > 0
}
