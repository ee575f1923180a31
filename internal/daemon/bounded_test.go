package daemon

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// incoming is a listener to which connections come from wherever a test says.
type incoming struct {
	net.Listener
	from chan string
}

func (l *incoming) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	at, err := net.ResolveTCPAddr("tcp", <-l.from)
	return &placed{conn, at}, err
}

type placed struct {
	net.Conn
	at net.Addr
}

func (c *placed) RemoteAddr() net.Addr { return c.at }

// The portal holds so many connections of all and of one network, hangs up on others, and takes the next when one has ended, once for each.
// Behind a trusted proxy and on this machine may be anybody.
func TestPortalHoldsSoMany(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in := &incoming{l, make(chan string, 1)}
	b := newBounded(in, 6, 2, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::7/128")}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = b.Close() })
	held := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := b.Accept()
			if err != nil {
				return
			}
			held <- conn
		}
	}()
	// comes says whether somebody who comes is held, and how it is for them.
	comes := func(from string) net.Conn {
		t.Helper()
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		in.from <- from
		gone := make(chan error, 1)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			gone <- err
		}()
		select {
		case c := <-held:
			t.Cleanup(func() { _ = c.Close() })
			return c
		case err := <-gone:
			var reset *net.OpError
			if !errors.Is(err, io.EOF) && !errors.As(err, &reset) {
				t.Fatal(err)
			}
			return nil
		case <-time.After(30 * time.Second):
			t.Fatal("neither held nor gone")
			return nil
		}
	}
	var first net.Conn
	for _, step := range []struct {
		from string
		held bool
	}{
		{"192.0.2.1:1", true},
		{"192.0.2.1:2", true},
		{"192.0.2.1:3", false},
		{"[2001:db8:9::1]:1", true},
		{"[2001:db8:9::2]:1", true},
		{"[2001:db8:9::3]:1", false}, // one /64
		{"10.1.1.1:1", true},
		{"[2001:db8:1::7]:1", true}, // six
		{"10.1.1.1:3", false},
		{"127.0.0.1:1", false},
		{"192.0.2.2:1", false},
	} {
		c := comes(step.from)
		if (c != nil) != step.held {
			t.Errorf("from %s: held %v", step.from, c != nil)
		}
		if first == nil {
			first = c
		}
	}
	for range 2 { // what is closed twice makes room once
		if err := first.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
	if comes("10.1.1.1:4") == nil || comes("127.0.0.1:2") != nil {
		t.Error("one that is closed makes room for one")
	}
}

// Headers are read as far as a call of the portal has any, and not a megabyte of each of the connections that are held.
func TestPortalReadsSoMuch(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := portalServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }), slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(l) }()
	for size, want := range map[int]int{32 << 10: http.StatusNoContent, 96 << 10: http.StatusRequestHeaderFieldsTooLarge} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Cookie", strings.Repeat("x", size))
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("headers of %d bytes: %s", size, answer.Status)
		}
	}
	if server.ReadHeaderTimeout == 0 || server.ReadTimeout == 0 || server.WriteTimeout == 0 || server.IdleTimeout == 0 {
		t.Errorf("it waits for ever: %+v", server)
	}
}

// Proxies and this machine are bound by the number of all alone.
func TestPortalHoldsManyOfAProxy(t *testing.T) {
	t.Parallel()
	b := newBounded(nil, 100, 2, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, slog.New(slog.DiscardHandler))
	for _, from := range []string{"10.1.1.1:1", "127.0.0.1:1", "[::1]:1", "[::ffff:10.1.1.1]:1"} {
		at, err := net.ResolveTCPAddr("tcp", from)
		if err != nil {
			t.Fatal(err)
		}
		if network := b.networkOf(&placed{nil, at}); network.IsValid() {
			t.Errorf("%s counts as %s", from, network)
		}
	}
	for range 100 {
		if !b.take(netip.Addr{}) {
			t.Fatal("a connection of a proxy is turned away before all are held")
		}
	}
	if b.take(netip.Addr{}) {
		t.Error("one too many is held")
	}
}
