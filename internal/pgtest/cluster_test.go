package pgtest

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
)

// TestBootOnATakenAddress wants a server whose port is taken on one of its two addresses to move to another port:
// PostgreSQL itself starts on what is left.
func TestBootOnATakenAddress(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	c := Start(t, DefaultMajor, Setting("listen_addresses", "127.0.0.1,::1"))
	c.halt()
	c.Port = taken
	if err := c.launch(); !errors.Is(err, errNotBound) {
		t.Fatalf("start on a port that is taken on ::1: %v, want %v", err, errNotBound)
	}
	c.halt()
	asked := 0
	if err := c.boot(func() (int, error) {
		if asked++; asked == 1 {
			return taken, nil
		}
		return FreePort()
	}); err != nil {
		t.Fatal(err)
	}
	if asked < 2 || c.Port == taken {
		t.Errorf("the server stayed on port %d after %d tries", c.Port, asked)
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", net.JoinHostPort(host, strconv.Itoa(c.Port)))
		if err != nil {
			t.Errorf("nobody listens on %s: %v", host, err)
			continue
		}
		_ = conn.Close() // it was only to be reached
	}
}
