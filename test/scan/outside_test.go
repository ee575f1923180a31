package scan_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

func probe(t *testing.T, c *pgtest.Cluster, ca bool, users ...string) *catalog.Outside {
	t.Helper()
	o := postgres.ProbeOptions{
		Endpoint: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)), Users: users, Databases: []string{"postgres"}, Random: "q7zx-nobody", Now: time.Now(), Timeout: 20 * time.Second,
		Roots: x509.NewCertPool(),
	}
	if ca {
		pem, err := os.ReadFile(c.CA)
		if err != nil || !o.Roots.AppendCertsFromPEM(pem) {
			t.Fatal("read the authority's certificate", err)
		}
	}
	out, err := postgres.Probe(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// offered is what a role was asked for, with and without TLS.
func offered(o *catalog.Outside, user string) (plain, tls string) {
	for _, x := range o.Offers {
		switch {
		case x.User == user && x.TLS:
			tls = x.Method
		case x.User == user:
			plain = x.Method
		}
	}
	return plain, tls
}

// TestProbe asks real servers, whose rules and settings say what the answers must be.
func TestProbe(t *testing.T) {
	for _, major := range []int{13, 18} {
		t.Run("pg"+strconv.Itoa(major), func(t *testing.T) {
			c := pgtest.Start(t, major, pgtest.Setting("ssl_min_protocol_version", "TLSv1.2"), pgtest.HBA(
				"host all truster all trust", "hostssl all clear all password", "hostnossl all clear all reject", "host all hashed all scram-sha-256", "hostssl all tlsonly all scram-sha-256", "host all +nobody all md5",
				"host all q7zx-nobody all reject"))
			for _, name := range []string{"truster", "clear", "hashed", "tlsonly"} {
				c.Role(t, name)
			}
			o := probe(t, c, true, "truster", "clear", "hashed", "unknown", "tlsonly")
			if !o.Reachable || o.TLS != "S" || !o.Loopback || len(o.Chain) == 0 {
				t.Fatalf("%+v", o)
			}
			if got := o.Versions; len(got) != 2 || got[0] != "TLSv1.2" || got[1] != "TLSv1.3" {
				t.Errorf("versions %v", got)
			}
			if o.ChainError != "" || o.NameError != "" {
				t.Errorf("chain %q, name %q", o.ChainError, o.NameError)
			}
			if want := map[bool]string{true: "alpn", false: "refused"}[major >= 17]; o.Direct != want {
				t.Errorf("direct TLS: %s, want %s", o.Direct, want)
			}
			plus := "scram-plus"
			for user, want := range map[string][2]string{"truster": {"ok", "ok"}, "clear": {"error", "cleartext"}, "hashed": {"scram", plus}, "q7zx-nobody": {"error", "error"}} {
				if p, s := offered(o, user); p != want[0] || s != want[1] {
					t.Errorf("%s was offered %s and %s, want %v", user, p, s, want)
				}
			}
			if before := c.Log(); len(before) == 0 {
				t.Error("the server logged nothing")
			}
			e := &catalog.Evidence{Outside: []*catalog.Outside{o}}
			env := newEnv(t)
			env.Now = time.Now()
			env.Consents[scan.ProbeUser] = true
			r, err := scan.Run(e, env, scan.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range []string{"fail HBA-033 role truster", "spare HBA-033 role hashed", "is HBA-001 high endpoint", "pass TLS-001", "pass TLS-002", "pass TLS-003", "pass TLS-015", "pass TLS-014", "pass TLS-037", "blind ROL-001", "blind HBA-034"} {
				if complaint := disagree(r, line); complaint != "" {
					t.Errorf("%s: %s", line, complaint)
				}
			}
			if untrusted := probe(t, c, false); untrusted.ChainError == "" {
				t.Error("a chain without a root was trusted")
			}
		})
	}
}

// TestProbeOldTLS: a server that accepts what it should not, and one without TLS.
func TestProbeOldTLS(t *testing.T) {
	c := pgtest.Start(t, 13, pgtest.Setting("ssl_min_protocol_version", "TLSv1"), pgtest.Setting("ssl_max_protocol_version", "TLSv1.2"))
	if got := probe(t, c, true).Versions; len(got) != 3 || got[0] != "TLSv1" {
		t.Errorf("versions %v", got)
	}
	off := pgtest.Start(t, 15, pgtest.Setting("ssl", "off"))
	o := probe(t, off, true)
	r, err := scan.Run(&catalog.Evidence{Outside: []*catalog.Outside{o}}, newEnv(t), scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if complaint := disagree(r, "fail TLS-001 endpoint"); o.TLS != "N" || complaint != "" {
		t.Errorf("TLS %q: %s", o.TLS, complaint)
	}
	nobody, err := pgtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	gone, err := postgres.Probe(context.Background(), postgres.ProbeOptions{Endpoint: net.JoinHostPort("127.0.0.1", strconv.Itoa(nobody)), Random: "x", Now: today})
	if err != nil || gone.Reachable {
		t.Errorf("%+v, %v", gone, err)
	}
}

// TestProbeVersion: what a server's refusals tell of its version is true of each branch.
func TestProbeVersion(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		v := probe(t, c, true).Version
		if v == nil || v.From > c.Major || v.To != 0 && v.To < c.Major {
			t.Fatalf("%+v", v)
		}
		if want := map[bool]string{true: "certain", false: "likely"}[c.Major == 17]; v.Certainty != want {
			t.Errorf("certainty %s, want %s", v.Certainty, want)
		}
		if v.From != c.Major || v.To != c.Major {
			t.Errorf("branches %d to %d", v.From, v.To)
		}
		minor, err := strconv.Atoi(c.Query(t, "SELECT current_setting('server_version_num')::int % 10000"))
		if err != nil || v.From == v.To && (minor < v.MinorFrom || v.MinorTo >= 0 && minor > v.MinorTo) {
			t.Errorf("%s, and the server is %d.%d (%v)", v, c.Major, minor, err)
		}
	})
}

// TestProbeIntrusive: bytes in the clear behind SSLRequest are dropped by servers that are mended, and found where an endpoint takes
// them for what came inside TLS.
func TestProbeIntrusive(t *testing.T) {
	c := pgtest.Default(t)
	env := newEnv(t)
	env.Consents[scan.Intrusive] = true
	for _, test := range []struct{ name, address, want, line string }{
		{"mended", net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)), "refused", "pass TLS-040"},
		{"not mended", stuffed(t), "answered", "fail TLS-040 endpoint"},
	} {
		o, err := postgres.Probe(context.Background(), postgres.ProbeOptions{
			Endpoint: test.address, Random: "q7zx-nobody", Now: time.Now(), Timeout: 20 * time.Second, Intrusive: true,
		})
		if err != nil || o.Stuffing != test.want {
			t.Errorf("%s: %q, %v", test.name, o.Stuffing, err)
		}
		r, err := scan.Run(&catalog.Evidence{Outside: []*catalog.Outside{o}}, env, scan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if complaint := disagree(r, test.line); complaint != "" {
			t.Errorf("%s: %s", test.name, complaint)
		}
	}
	if quiet := probe(t, c, true); quiet.Stuffing != "" {
		t.Errorf("without consent: %q", quiet.Stuffing)
	}
}

// stuffed serves as a server before 13.5 did: what its buffer held before TLS is read after it.
func stuffed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	dir := t.TempDir()
	if err := pgtest.WriteCertificates(dir); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buffer := make([]byte, 8192)
				n, err := conn.Read(buffer)
				if err != nil || n < 8 || binary.BigEndian.Uint32(buffer[4:]) != 80877103 {
					return // not an SSLRequest
				}
				if _, err := conn.Write([]byte("S")); err != nil {
					return
				}
				secured := tls.Server(conn, config)
				if secured.Handshake() != nil {
					return
				}
				if n == 8 { // nothing was left in the buffer
					if n, err = secured.Read(buffer); err != nil || n == 0 {
						return
					}
				}
				_, _ = secured.Write([]byte("R\x00\x00\x00\x17\x00\x00\x00\x0aSCRAM-SHA-256\x00\x00"))
			}()
		}
	}()
	return l.Addr().String()
}
