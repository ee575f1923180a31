package abuse_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/postern-sec/postern/test/site"
)

// door stands between the gateway and its store, and can be made to behave badly towards new connections.
type door struct {
	listener net.Listener
	target   string

	mu   sync.Mutex
	mode func(client net.Conn) // nil: let through
	open []net.Conn
}

func newDoor(t *testing.T, target string) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{listener: l, target: target}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { d.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		d.set(nil)
		wg.Wait()
	})
	return d
}

// set changes how new connections are met, and ends those there are.
func (d *door) set(mode func(net.Conn)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mode = mode
	for _, c := range d.open {
		_ = c.Close()
	}
	d.open = nil
}

func (d *door) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	d.mu.Lock()
	mode := d.mode
	d.open = append(d.open, client)
	d.mu.Unlock()
	if mode != nil {
		mode(client)
		return
	}
	server, err := net.Dial("tcp", d.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(server, client) // ends with either connection
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// after passes so many bytes of the server's on and then hangs up.
func (d *door) after(n int64) func(net.Conn) {
	return func(client net.Conn) {
		server, err := net.Dial("tcp", d.target)
		if err != nil {
			return
		}
		defer func() { _ = server.Close() }()
		go func() { _, _ = io.Copy(server, client) }()
		_, _ = io.CopyN(client, server, n)
	}
}

func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		buf := make([]byte, 8)
		_, _ = io.ReadFull(c, buf) // SSLRequest
		_, _ = io.WriteString(c, text)
	}
}

// A store that hangs up or talks nonsense while the gateway logs in: the client gets a FATAL that says so without naming hosts,
// and when the store is well again, so is the gateway.
func tryStore(t *testing.T, s *site.Site) {
	d := newDoor(t, fmt.Sprintf("127.0.0.1:%d", s.DB.Port))
	policy := site.Testdata(t, "postern.yaml")
	s.WritePolicy(t, strings.ReplaceAll(policy, "{{server}}", d.listener.Addr().String()))
	t.Cleanup(func() { s.WritePolicy(t, policy) }) // the door closes with this test
	s.Serve(t)
	answers(t, s)
	pid := s.Pid()
	modes := map[string]func(net.Conn){
		"at once": func(net.Conn) {}, "after the request for TLS": says(""), "no TLS": says("N"), "TLS, then nothing": says("S"),
		"nonsense": says("HTTP/1.1 400 Bad Request\r\n\r\n"), "an error in clear": says("E\x00\x00\x00\x0bMboom\x00\x00"),
		"in the handshake": d.after(200), "in the login": d.after(1200),
	}
	for name, mode := range modes {
		d.set(mode)
		_, err := tryConnect(s)
		if err == nil || !strings.Contains(err.Error(), "FATAL") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, leak := range []string{"127.0.0.1:" + fmt.Sprint(s.DB.Port), d.listener.Addr().String(), "boom", "postern_grantor"} {
			if strings.Contains(err.Error(), leak) {
				t.Errorf("%s: the client is told %q: %v", name, leak, err)
			}
		}
	}
	d.set(nil)
	eventually(t, "the gateway serves the store again", func() bool {
		conn, err := tryConnect(s)
		if err == nil {
			_ = conn.Close(context.Background())
		}
		return err == nil
	})
	answers(t, s)
	if s.Pid() != pid || strings.Contains(s.Log(), "panic") {
		t.Errorf("the gateway has panicked:\n%s", s.Log())
	}
	if n := strings.Count(s.Log(), `level=ERROR msg="log in to the store" role=analyst error=`); n < len(modes) {
		t.Errorf("the log tells of %d of %d:\n%s", n, len(modes), s.Log())
	}
}
