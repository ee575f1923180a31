package pgwire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/policy"
)

func request(code uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, code)
}

// startPacket is a whole start-up packet.
func startPacket(version uint32, words ...string) []byte {
	body := packet(version, words...)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

func dialRaw(t testing.TB, network, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func write(t testing.TB, conn net.Conn, b []byte) {
	t.Helper()
	if _, err := conn.Write(b); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func expect(t testing.TB, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

// closed reads to the end and returns what came.
func closed(t testing.TB, conn net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(conn)
	if isTimeout(err) {
		t.Fatal("the connection stays open")
	}
	return string(b)
}

func TestNegotiate(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	secure := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	direct := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: []string{alpn}}

	t.Run("PRO-02 GSS, then SSL", func(t *testing.T) {
		conn := dialRaw(t, "tcp", r.addr)
		write(t, conn, request(codeGSS))
		expect(t, conn, "N")
		write(t, conn, request(codeSSL))
		expect(t, conn, "S")
		c := tls.Client(conn, secure)
		r.login(t, c, map[string]string{"user": "ana", "database": "shop"}, anaPassword)
	})
	t.Run("PRO-02 SSL refused, then GSS, then plain", func(t *testing.T) {
		conn := dialRaw(t, "tcp", r.plain)
		write(t, conn, request(codeSSL))
		expect(t, conn, "N") // PRO-03
		write(t, conn, request(codeGSS))
		expect(t, conn, "N")
		r.login(t, conn, map[string]string{"user": "ana", "database": "shop"}, anaPassword)
	})
	t.Run("PRO-03 SSL on a socket", func(t *testing.T) {
		conn := dialRaw(t, "unix", filepath.Join(r.socket, ".s.PGSQL.5432"))
		write(t, conn, request(codeSSL))
		expect(t, conn, "N")
		r.login(t, conn, map[string]string{"user": "ana", "database": "shop"}, anaPassword)
	})
	t.Run("PRO-04 bytes before TLS", func(t *testing.T) {
		conn := dialRaw(t, "tcp", r.addr)
		write(t, conn, append(request(codeSSL), startPacket(version30, "user", "ana")...))
		if got := closed(t, conn); !strings.Contains(got, "08P01") || got[0] != 'E' {
			t.Errorf("got %q", got)
		}
		r.trail.find(t, "the alarm", func(e audit.Event) bool { return e.Kind == audit.Alarm })
	})
	t.Run("PRO-04 bytes after a GSS request", func(t *testing.T) {
		conn := dialRaw(t, "tcp", r.addr)
		write(t, conn, append(request(codeGSS), startPacket(version30, "user", "ana")...))
		if got := closed(t, conn); !strings.Contains(got, "08P01") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("PRO-05 direct TLS", func(t *testing.T) {
		conn := dialRaw(t, "tcp", r.addr)
		c := tls.Client(conn, direct)
		write(t, c, request(codeSSL))
		expect(t, c, "N")
		r.login(t, c, map[string]string{"user": "ana", "database": "shop"}, anaPassword)
	})
	t.Run("PRO-05 direct TLS without ALPN", func(t *testing.T) {
		conn := dialRaw(t, "tcp", r.addr)
		c := tls.Client(conn, secure)
		if err := c.Handshake(); err == nil {
			write(t, c, startPacket(version30, "user", "ana"))
			if got, _ := io.ReadAll(c); len(got) > 0 {
				t.Errorf("got %q", got)
			}
		}
	})
	t.Run("PRO-05 direct TLS where there is none", func(t *testing.T) {
		if err := tls.Client(dialRaw(t, "tcp", r.plain), direct).Handshake(); err == nil {
			t.Error("a handshake without a certificate")
		}
	})
	for name, first := range map[string][]byte{
		"PRO-05 garbage":               []byte("GET / HTTP/1.1\r\n\r\n"),
		"PRO-05 more garbage":          bytes.Repeat([]byte{0xff}, 100_000),
		"PRO-08 GSS twice":             append(request(codeGSS)[:0:0], 0, 0, 0, 9, 4, 210, 22, 48, 0),
		"PRO-08 length 7":              {0, 0, 0, 7, 0, 3, 0},
		"section 0: 10,005 bytes":      {0, 0, 0x27, 0x15, 0, 3, 0, 0},
		"PRO-101 length of a gigabyte": {0x3f, 0xff, 0xff, 0xff, 0, 3, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialRaw(t, "tcp", r.plain)
			_, _ = conn.Write(first) // it may be closed before all is written
			if got := closed(t, conn); got != "" {
				t.Errorf("got %q", got)
			}
		})
	}
	t.Run("PRO-08 a request twice", func(t *testing.T) {
		for _, code := range []uint32{codeSSL, codeGSS} {
			conn := dialRaw(t, "tcp", r.plain)
			write(t, conn, request(code))
			expect(t, conn, "N")
			write(t, conn, request(code))
			if got := closed(t, conn); got != "" {
				t.Errorf("%d: got %q", code, got)
			}
		}
	})
	t.Run("PRO-08 a probe", func(t *testing.T) {
		before := r.server.Probes()
		conn := dialRaw(t, "tcp", r.plain)
		_ = conn.Close()
		eventually(t, "the counter", func() bool { return r.server.Probes() > before })
		// Sessions of the subtests above may still be ending, so events are told apart by the client's address.
		if n := r.trail.from(conn.LocalAddr()); n != 0 {
			t.Errorf("%d events for a probe", n)
		}
		spoken := dialRaw(t, "tcp", r.plain)
		r.login(t, spoken, map[string]string{"user": "ana", "database": "shop"}, anaPassword)
		eventually(t, "an event for a client that logged in", func() bool { return r.trail.from(spoken.LocalAddr()) > 0 })
	})
	t.Run("section 0: 10,004 bytes", func(t *testing.T) {
		conn := dialRaw(t, "tcp", r.plain)
		p := startPacket(version30, "user", "ana", "application_name", strings.Repeat("x", 10_004-4-4-5-4-17-2))
		if len(p) != 10_004 {
			t.Fatalf("the packet has %d bytes", len(p))
		}
		write(t, conn, p)
		expect(t, conn, "R")
	})
}

func TestStartupAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	t.Run("PRO-12 NegotiateProtocolVersion", func(t *testing.T) {
		for _, c := range []struct {
			version uint32
			words   []string
			want    string
		}{
			{3<<16 | 1, nil, "v\x00\x00\x00\x0c\x00\x03\x00\x00\x00\x00\x00\x00R"},
			{3<<16 | 9999, nil, "v\x00\x00\x00\x0c\x00\x03\x00\x02\x00\x00\x00\x00R"},
			{version32, []string{"_pq_.grease", "1"}, "v\x00\x00\x00\x18\x00\x03\x00\x02\x00\x00\x00\x01_pq_.grease\x00R"},
			{version32, nil, "R"},
		} {
			conn := dialRaw(t, "tcp", r.plain)
			write(t, conn, startPacket(c.version, append([]string{"user", "ana", "database", "shop"}, c.words...)...))
			expect(t, conn, c.want)
		}
	})
	t.Run("PRO-11 version 2", func(t *testing.T) {
		conn := dialRaw(t, "tcp", r.plain)
		// Database, user, options, unused and terminal, in fields of fixed size.
		write(t, conn, append([]byte{0, 0, 1, 40, 0, 2, 0, 0}, fmt.Sprintf("%-64s%-32s%-192s", "shop", "ana", "")...))
		if got := closed(t, conn); got != "EFATAL:  unsupported frontend protocol 2.0: the gateway speaks 3.0 to 3.2\n\x00" {
			t.Errorf("got %q", got)
		}
		r.trail.find(t, "the refusal", func(e audit.Event) bool {
			return e.Kind == audit.LoginRefused && e.Address == conn.LocalAddr().String() && strings.Contains(e.Message, "protocol")
		})
	})
	for name, c := range map[string]struct {
		words []string
		code  string
	}{
		"PRO-11 version 4":        {nil, "0A000"},
		"PRO-13 twice":            {[]string{"user", "ana", "user", "bob"}, "08P01"},
		"PRO-14 no user":          {[]string{"database", "shop"}, "28000"},
		"PRO-15 bad option":       {[]string{"user", "ana", "options", "-x"}, "42601"},
		"PRO-16 role":             {[]string{"user", "ana", "role", "postgres"}, "42501"},
		"PRO-96 replication":      {[]string{"user", "ana", "replication", "true"}, "42501"},
		"PRO-96 logical decoding": {[]string{"user", "ana", "replication", "database"}, "42501"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialRaw(t, "tcp", r.plain)
			version := uint32(version30)
			if c.words == nil {
				version = 4 << 16
			}
			write(t, conn, startPacket(version, c.words...))
			if got := closed(t, conn); !strings.Contains(got, "SFATAL\x00") || !strings.Contains(got, "C"+c.code+"\x00") {
				t.Errorf("got %q", got)
			}
		})
	}
	t.Run("PRO-20 a plain connection where TLS is required", func(t *testing.T) {
		p := *r.Current()
		p.Network = []*policy.NetworkRule{{Any: true, Auth: policy.AuthSCRAM, TLS: policy.TLSRequire}}
		r.policy.Store(&p)
		conn := dialRaw(t, "tcp", r.plain)
		write(t, conn, startPacket(version30, "user", "ana"))
		if got := closed(t, conn); !strings.Contains(got, "C28000\x00") || !strings.Contains(got, "TLS") {
			t.Errorf("got %q", got)
		}
	})
}

// TestStartupPath is PRO-16 for search_path: the store's own path may be said, any other is refused by name, and what the server gets is
// the profile's (ENF-47).
func TestStartupPath(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	for path, ok := range map[string]bool{"public": true, `\"$user\",public`: true, "wall": false, "pg_temp": false, "public,wall": false, "": false} {
		out, err := r.psql(t, r.dsn(r.plain, "sslmode=disable options='-csearch_path="+path+"'"), "show search_path")
		if (err == nil) != ok || !ok && !strings.Contains(out, "search_path") {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
		if ok && strings.TrimSpace(out) != "public" {
			t.Errorf("%s: SHOW says %s", path, out)
		}
	}
}

// TestWrongPassword is PRO-26, 27 and 31: a wrong password, an unknown user and one without a rule for the store's group are
// told the same, until they have proved who they are.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	answer := func(user, password string) string {
		dsn := strings.Replace(r.dsn(r.plain, "sslmode=disable"), "user=ana", "user="+user, 1)
		out, err := r.psql(t, strings.Replace(dsn, anaPassword, password, 1), "select 1")
		if err == nil {
			t.Errorf("%s comes in with %q", user, password)
		}
		return strings.ReplaceAll(out[strings.Index(out, "FATAL"):], user, "USER")
	}
	wrong, unknown := answer("ana", "wrong"), answer("zoe", "wrong")
	if wrong != unknown || !strings.Contains(wrong, "password authentication failed") {
		t.Errorf("%s\n%s", wrong, unknown)
	}
	if got := answer("bob", anaPassword); !strings.Contains(got, "no rule lets") {
		t.Errorf("bob has proved who he is and may hear why: %s", got)
	}
	r.trail.find(t, "the reason", func(e audit.Event) bool {
		return e.Kind == audit.LoginRefused && e.Subject == "zoe" && e.Message == "unknown user"
	})
	// psql comes once without a password to see whether one is wanted; that is no failed login.
	before := len(r.trail.all())
	if _, err := r.psql(t, strings.Replace(r.dsn(r.plain, "sslmode=disable"), "password='"+anaPassword+"'", "", 1), "", "-w"); err == nil {
		t.Error("comes in without a password")
	}
	if n := len(r.trail.all()); n != before {
		t.Errorf("%d events", n-before)
	}
}

// TestEd25519 is PRO-21: with such a certificate PLUS is not offered, and psql's default works.
func TestEd25519(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ed.pem")
	writeCert(t, file, private, public, private)
	r := newRig(t, pgtest.Default(t), func(r *rig, c *gateway.Config, _ *Config) {
		c.Listeners[0].TLS.Cert, c.Listeners[0].TLS.Key = file, file
	})
	if out, err := r.psql(t, r.dsn(r.addr, "sslmode=require"), "select 1"); err != nil || out != "1" {
		t.Errorf("%s %v", out, err)
	}
	if out, err := r.psql(t, r.dsn(r.addr, "sslmode=require channel_binding=require"), "select 1"); err == nil || !strings.Contains(out, "channel binding") {
		t.Errorf("%s %v", out, err)
	}
	e := r.trail.find(t, "the login", func(e audit.Event) bool { return e.Kind == audit.LoginAccepted })
	if e.Method != "scram-sha-256" || !strings.HasPrefix(e.TLS, "TLS 1.") {
		t.Errorf("%+v", e)
	}
}

// TestVersion32 is PRO-36 and 41: a 3.2 client over a 3.0 leg to the store gets a key of 32 bytes, a 3.0 client one of four.
func TestVersion32(t *testing.T) {
	t.Parallel()
	for _, up := range []bool{false, true} {
		c := pgtest.Shared(t, 18)
		r := newRig(t, c, func(r *rig, _ *gateway.Config, _ *Config) { r.upstream.Version32 = up })
		for version, size := range map[uint32]int{version30: 4, version32: 32} {
			conn := dialRaw(t, "tcp", r.plain)
			p := &peer{conn: conn, frontend: pgproto3.NewFrontend(conn, conn), params: map[string]string{}}
			write(t, conn, startPacket(version, "user", "ana", "database", "shop"))
			authenticate(t, p, anaPassword)
			for {
				m := p.receive(t)
				if k, ok := m.(*pgproto3.BackendKeyData); ok && len(k.SecretKey) != size {
					t.Errorf("version %x over 3.2=%v: a key of %d bytes", version, up, len(k.SecretKey))
				}
				if _, ok := m.(*pgproto3.ReadyForQuery); ok {
					break
				}
			}
			p.send(t, &pgproto3.Query{String: "select 1 as a"})
			if got := strings.Join(p.until(t, 1), "; "); got != "RowDescription a:23:0; DataRow 1; CommandComplete SELECT 1; ReadyForQuery I" {
				t.Error(got)
			}
		}
	}
}
