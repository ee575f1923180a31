package abuse_test

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/test/site"
)

func startup(version uint32, rest string) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(8+len(rest)))
	return append(binary.BigEndian.AppendUint32(out, version), rest...)
}

const (
	version3  = 3 << 16
	sslCode   = 80877103
	gssCode   = 80877104
	cancel    = 80877102
	anaWasHit = "user\x00analyst\x00database\x00shop\x00"
)

// garbage is what else may come to the port.
func garbage() map[string][]byte {
	random := make([]byte, 1<<20)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(random) // it never fails
	all := map[string][]byte{
		"nothing": nil, "one byte": {0}, "http": []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "ssh": []byte("SSH-2.0-OpenSSH_9.2\r\n"),
		"tls at once": []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), "a megabyte of randomness": random,
		"length 0": {0, 0, 0, 0}, "length 7": {0, 0, 0, 7, 0, 3, 0}, "length of 2 GB": {0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0},
		"negative length": {0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0}, "half of a start": startup(version3, anaWasHit)[:20],
		"no end":        startup(version3, "user\x00analyst"),
		"no user":       startup(version3, "database\x00shop\x00\x00"),
		"long start":    startup(version3, anaWasHit+"x\x00"+strings.Repeat("x", 100_000)+"\x00\x00"),
		"version 2":     startup(2<<16, anaWasHit+"\x00"),
		"version 4":     startup(4<<16, anaWasHit+"\x00"),
		"in clear":      startup(version3, anaWasHit+"\x00"),
		"cancel nobody": startup(cancel, "\x00\x00\x00\x01\x00\x00\x00\x02"),
		"odd cancel":    startup(cancel, "x"),
		"ssl, garbage":  append(startup(sslCode, ""), random[:4096]...),
		"ssl twice":     append(startup(sslCode, ""), startup(sslCode, "")...),
		"ssl, in clear": append(startup(sslCode, ""), startup(version3, anaWasHit+"\x00")...),
		"gss forever":   bytes.Repeat(startup(gssCode, ""), 1000),
	}
	for i := range 50 {
		all[fmt.Sprintf("random %d", i)] = random[i*1000 : i*1000+r2(i)]
	}
	return all
}

func r2(i int) int { return 1 + i*37%900 }

// Whatever comes, the connection is closed, at once or when the time for logging in is over; nobody else notices.
func tryGarbage(t *testing.T, s *site.Site) {
	s.Serve(t)
	answers(t, s)
	pid := s.Pid()
	address := fmt.Sprintf("127.0.0.1:%d", s.Port)
	for name, bytes := range garbage() {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, _ = conn.Write(bytes) // it may be closed already
		_ = conn.(*net.TCPConn).CloseWrite()
		answer, err := io.ReadAll(io.LimitReader(conn, 1<<20))
		if e, ok := err.(net.Error); ok && e.Timeout() { //nolint:errorlint // from the connection itself
			t.Errorf("%s: the connection stays open", name)
		}
		if len(answer) > 2000 {
			t.Errorf("%s: answered with %d bytes", name, len(answer))
		}
		_ = conn.Close()
	}
	answers(t, s)
	t.Run("in TLS", func(t *testing.T) { garbageInTLS(t, address) })
	t.Run("held open", func(t *testing.T) { holdOpen(t, s.Port, func() { answers(t, s) }) })
	answers(t, s)
	if s.Pid() != pid {
		t.Error("another process answers")
	}
	if mb := peak(t, pid); mb > memory {
		t.Errorf("the gateway has had %d MB", mb)
	}
	quiet(t, s)
}

// garbageInTLS sends the same within TLS, where clients log in.
func garbageInTLS(t *testing.T, address string) {
	t.Helper()
	for name, bytes := range garbage() {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = conn.SetDeadline(time.Now().Add(patience))
		yes := make([]byte, 1)
		if _, err := conn.Write(startup(sslCode, "")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, yes); err != nil || yes[0] != 'S' {
			t.Fatalf("%s: SSLRequest is answered with %q, %v", name, yes, err)
		}
		c := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // #nosec G402 -- garbage goes to anybody
		if err := c.Handshake(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, _ = c.Write(bytes)
		_ = c.CloseWrite()
		answer, err := io.ReadAll(io.LimitReader(c, 1<<20))
		if e, ok := err.(net.Error); ok && e.Timeout() { //nolint:errorlint // from the connection itself
			t.Errorf("%s: the connection stays open", name)
		}
		if len(answer) > 2000 || strings.Contains(string(answer), "panic") {
			t.Errorf("%s: answered with %.200q", name, answer)
		}
		_ = conn.Close()
	}
}

// holdOpen keeps three hundred connections that say nothing: others still get in.
func holdOpen(t *testing.T, port int, answers func()) {
	t.Helper()
	var held []net.Conn
	defer func() {
		for _, c := range held {
			_ = c.Close()
		}
	}()
	for range 300 {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	answers()
}
