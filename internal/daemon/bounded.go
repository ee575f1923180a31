package daemon

import (
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/identity"
)

// How many connections the portal holds at once, and of one network. Its files are counted with the gateway's by the system: whoever opens
// connections to the portal, which takes no password, shall not keep people from their data.
const (
	portalMost   = 2000
	portalMostOf = 1000 // as many as the gateway takes from one address
	fullEvery    = time.Minute
)

// bounded is a listener that holds so many connections at once, and hangs up on those beyond. It is safe for concurrent use.
type bounded struct {
	net.Listener
	log        *slog.Logger
	most, each int
	shared     []netip.Prefix // networks behind which anybody may be: the proxies that are trusted

	mu   sync.Mutex
	all  int
	of   map[netip.Addr]int
	told time.Time
}

func newBounded(l net.Listener, most, each int, shared []netip.Prefix, log *slog.Logger) *bounded {
	return &bounded{Listener: l, log: log, most: most, each: each, shared: shared, of: map[netip.Addr]int{}}
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := b.networkOf(conn)
		if b.take(from) {
			return &counted{Conn: conn, end: sync.OnceFunc(func() { b.leave(from) })}, nil
		}
		_ = conn.Close()
	}
}

// networkOf is what counts as one address; the zero one where anybody may be behind it.
func (b *bounded) networkOf(conn net.Conn) netip.Addr {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	addr := at.Addr().Unmap().WithZone("")
	if err != nil || addr.IsLoopback() || slices.ContainsFunc(b.shared, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return netip.Addr{}
	}
	return identity.Network(addr)
}

func (b *bounded) take(from netip.Addr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= b.most || from.IsValid() && b.of[from] >= b.each {
		if now := time.Now(); now.Sub(b.told) >= fullEvery {
			b.told = now
			b.log.Warn("the portal hangs up: it holds as many connections as it may", "from", from.String(), "connections", b.all, "of_these", b.of[from])
		}
		return false
	}
	b.all++
	b.of[from]++
	return true
}

func (b *bounded) leave(from netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.of[from]--; b.of[from] == 0 {
		delete(b.of, from)
	}
}

// counted is a connection that makes room when it is closed.
type counted struct {
	net.Conn
	end func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	defer c.end()
	return c.Conn.Close()
}
