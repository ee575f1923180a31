package gateway

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-sec/postern/internal/identity"
)

// Listener is one address or socket. Exactly one of Address and Socket is set.
type Listener struct {
	Engine  string
	Address string // host:port
	Socket  string // path of the socket itself
	Mode    os.FileMode
	Group   string
	TLS     ListenerTLS
	// CancelTLS ignores cancel requests that come in clear (PRO-44).
	CancelTLS bool
	// Proxies are load balancers that say for whom they connect, by the PROXY protocol, and have to. Not for a socket.
	Proxies []netip.Prefix
}

// ListenerTLS is the transport that a listener offers. Without Cert there is none. A Unix socket has none.
type ListenerTLS struct {
	Cert, Key  string // PEM files
	Required   bool   // plain connections are refused, cancel requests aside
	MinVersion uint16 // a crypto/tls version; 0: TLS 1.2
	ClientCA   string // PEM file; without it client certificates are not asked for
}

// listener is an open Listener.
type listener struct {
	config Listener
	name   string
	engine Engine
	net    net.Listener
	cert   atomic.Pointer[served]

	mu      sync.Mutex
	shaking map[net.Conn]struct{} // connections that have not logged in
	headers chan struct{}         // places of those whose load balancer has not said yet for whom it connects
}

// served is a certificate with all that goes with it.
type served struct {
	config      *tls.Config
	binding     []byte
	authorities *x509.CertPool // client_ca, or nil
}

func newListener(c Listener, engines map[string]Engine, issued bool) (*listener, error) {
	l := &listener{config: c, name: c.Address, engine: engines[c.Engine], shaking: map[net.Conn]struct{}{}, headers: make(chan struct{}, proxiesAtOnce)}
	if l.engine == nil {
		return nil, fmt.Errorf("gateway: no engine %q", c.Engine)
	}
	if c.Socket != "" {
		l.name = c.Socket
	}
	if (c.Address == "") == (c.Socket == "") {
		return nil, errors.New("gateway: a listener has either an address or a socket")
	}
	return l, l.loadCertificate(issued)
}

// loadCertificate reads certificate, key and client authority. Sessions keep what they have. With issued, clients are also asked for
// certificates that were issued here.
func (l *listener) loadCertificate(issued bool) error {
	t := l.config.TLS
	if t.Cert == "" || l.config.Socket != "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return fmt.Errorf("listener %s: certificate: %w", l.name, err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return fmt.Errorf("listener %s: certificate %s: %w", l.name, t.Cert, err)
	}
	c := &tls.Config{
		Certificates:           []tls.Certificate{pair},
		MinVersion:             max(t.MinVersion, tls.VersionTLS12),
		SessionTicketsDisabled: true, // a resumed handshake would skip the check of a client certificate (PRO-06)
	}
	var authorities *x509.CertPool
	if t.ClientCA != "" {
		pem, err := os.ReadFile(t.ClientCA)
		if err != nil {
			return fmt.Errorf("listener %s: client authority: %w", l.name, err)
		}
		authorities = x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(pem) {
			return fmt.Errorf("listener %s: %s holds no certificate", l.name, t.ClientCA)
		}
	}
	if issued || authorities != nil {
		// What is shown is looked at when it is known who is meant: a certificate that is no good is then refused with an event and
		// in words, and one that nobody asked for keeps nobody from giving a password.
		c.ClientAuth = tls.RequestClientCert
	}
	if !issued {
		c.ClientCAs = authorities // says which to show; our own authorities come and go, and a client has one of theirs at most
	}
	l.cert.Store(&served{config: c, binding: identity.BindingOf(leaf), authorities: authorities})
	return nil
}

func (l *listener) serverTLS() (*tls.Config, []byte) {
	s := l.cert.Load()
	if s == nil {
		return nil, nil
	}
	return s.config, s.binding
}

// open begins to listen.
func (l *listener) open(ctx context.Context) error {
	var lc net.ListenConfig
	if l.config.Socket == "" {
		n, err := lc.Listen(ctx, "tcp", l.config.Address)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", l.config.Address, err)
		}
		l.net = n
		return nil
	}
	if err := removeStale(ctx, l.config.Socket); err != nil {
		return err
	}
	n, err := l.openSocket(ctx, &lc)
	if err != nil {
		return err
	}
	l.net = n
	return nil
}

// openSocket makes the socket under a private name with its final rights, then gives it its own name: nobody can connect
// between the two.
func (l *listener) openSocket(ctx context.Context, lc *net.ListenConfig) (net.Listener, error) {
	path := l.config.Socket
	private, err := os.MkdirTemp(filepath.Dir(path), ".postern-")
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	defer func() { _ = os.RemoveAll(private) }() // empty by then
	hidden := filepath.Join(private, "s")
	n, err := lc.Listen(ctx, "unix", hidden)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	n.(*net.UnixListener).SetUnlinkOnClose(false) // it would remove the private name; close removes the real one
	if err := errors.Join(l.dress(hidden), os.Rename(hidden, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), n.Close())
	}
	return n, nil
}

// dress gives a socket its group and mode.
func (l *listener) dress(path string) error {
	if l.config.Group != "" {
		g, err := user.LookupGroup(l.config.Group)
		if err != nil {
			return err
		}
		gid, err := strconv.Atoi(g.Gid)
		if err != nil {
			return err
		}
		if err := os.Chown(path, -1, gid); err != nil {
			return err
		}
	}
	mode := l.config.Mode
	if mode == 0 {
		mode = 0o700
	}
	return os.Chmod(path, mode)
}

// removeStale removes a socket on which nobody answers. Anything else in its place is left alone (PRO-09).
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("listen on %s: the file is not a socket", path)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var d net.Dialer
	if conn, err := d.DialContext(ctx, "unix", path); err == nil {
		return errors.Join(fmt.Errorf("listen on %s: another process answers there", path), conn.Close())
	}
	return os.Remove(path)
}

func (l *listener) close() {
	if l.net == nil {
		return
	}
	if l.net.Close() == nil && l.config.Socket != "" {
		_ = os.Remove(l.config.Socket) // gone already is as good
	}
}

// closeHandshakes closes the connections that have not logged in. Sessions end in a better way.
func (l *listener) closeHandshakes() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for conn := range l.shaking {
		_ = conn.Close() // its engine sees the error
	}
}

// shakes notes whether a connection has still to log in.
func (l *listener) shakes(conn net.Conn, yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if yes {
		l.shaking[conn] = struct{}{}
	} else {
		delete(l.shaking, conn)
	}
}

// accept serves one listener until it is closed.
func (g *Gateway) accept(ctx context.Context, l *listener) {
	for {
		conn, err := l.net.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, most likely: what is there goes on, and room comes back when sessions end.
			g.config.Log.Error("accept", "listener", l.name, "error", err)
			if g.sleep(ctx, 100*time.Millisecond) != nil {
				return
			}
			continue
		}
		if tcp, ok := l.fromProxy(conn); ok {
			g.wg.Go(func() { g.behindProxy(ctx, tcp, l) })
			continue
		}
		a, release := g.admit(conn, l)
		if a == nil {
			_ = conn.Close() // before start-up there is no word to say (PRO-104)
			continue
		}
		g.wg.Go(func() {
			defer release()
			g.serve(ctx, conn, a)
		})
	}
}

// serve runs the engine. A panic ends this connection and nothing else (PRO-106); its text may hold anything and is not
// logged, only where it happened is.
func (g *Gateway) serve(ctx context.Context, conn net.Conn, a *Admitted) {
	a.l.shakes(conn, true)
	counted := a.loggedIn
	a.loggedIn = func() {
		counted()
		a.l.shakes(conn, false)
	}
	defer func() {
		a.l.shakes(conn, false)
		_ = conn.Close() // twice does no harm
		if r := recover(); r != nil {
			g.config.Log.Error("a session panicked and was ended", "remote", a.facts.Remote, "stack", PanicSite())
		}
	}()
	a.l.engine.Serve(ctx, conn, a)
}

// PeerOf says for the trail who is at the other end of a socket.
func PeerOf(conn *net.UnixConn) string {
	_, remote := peerOf(conn)
	return remote
}

// factsOf looks at a connection.
func factsOf(conn net.Conn, l *listener) Facts {
	f := Facts{Listener: l.name}
	if u, ok := conn.(*net.UnixConn); ok {
		f.Local = true
		f.Account, f.Remote = peerOf(u)
		return f
	}
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		f.Address = ap.Addr().Unmap().WithZone("")
	}
	f.Remote = conn.RemoteAddr().String()
	return f
}
