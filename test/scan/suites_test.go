package scan_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// useRSA gives a server a certificate with an RSA key, so that suites which need one can be agreed on.
func useRSA(t *testing.T, c *pgtest.Cluster) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(c.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	uid := int(info.Sys().(*syscall.Stat_t).Uid)
	for name, block := range map[string]*pem.Block{"rsa.crt": {Type: "CERTIFICATE", Bytes: der}, "rsa.key": {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}} {
		path := filepath.Join(c.DataDir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, uid, -1); err != nil {
			t.Fatal(err)
		}
	}
	before := c.Query(t, "SELECT pg_conf_load_time()")
	c.Exec(t, "ALTER SYSTEM SET ssl_cert_file = 'rsa.crt'")
	c.Exec(t, "ALTER SYSTEM SET ssl_key_file = 'rsa.key'")
	c.Exec(t, "SELECT pg_reload_conf()")
	awaitReload(t, c, before)
}

// TestProbeSuites holds versions, suites, groups and the certificate to what sslscan says, on servers that take much and little; with
// POSTERN_TESTSSL to what testssl.sh says as well.
func TestProbeSuites(t *testing.T) {
	if _, err := exec.LookPath("sslscan"); err != nil {
		t.Fatal("sslscan is not installed: build/prepare test")
	}
	for _, c := range []struct {
		name, ciphers, min, prefer string
		major                      int
		expect                     string
	}{
		{
			name: "everything that this OpenSSL has", major: 15, ciphers: "ALL:eNULL:aNULL:@SECLEVEL=0", min: "TLSv1", prefer: "off",
			expect: "fail TLS-004 endpoint\nfail TLS-005 endpoint\nfail TLS-006 endpoint\nfail TLS-008 endpoint\npass TLS-010",
		},
		{name: "as installed", major: 18, expect: "fail TLS-004 endpoint\npass TLS-008 TLS-009 TLS-010 TLS-039"},
		{name: "strict", major: 15, ciphers: "ECDHE+AESGCM", min: "TLSv1.2", prefer: "on", expect: "pass TLS-004 TLS-005 TLS-006 TLS-008"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var options []pgtest.Option
			if c.ciphers != "" {
				options = append(options, pgtest.Setting("ssl_ciphers", c.ciphers), pgtest.Setting("ssl_min_protocol_version", c.min), pgtest.Setting("ssl_prefer_server_ciphers", c.prefer))
			}
			server := pgtest.Start(t, c.major, options...)
			useRSA(t, server)
			o := probe(t, server, true)
			if !o.Enumerated {
				t.Fatalf("the suites were not listed: %s", o.TLSError)
			}
			compareSslscan(t, server.Port, o)
			r, err := scan.Run(&catalog.Evidence{Outside: []*catalog.Outside{o}}, newEnv(t), scan.Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range lines(c.expect) {
				if complaint := disagree(r, line); complaint != "" {
					t.Errorf("%s: %s", line, complaint)
				}
			}
			if os.Getenv("POSTERN_TESTSSL") != "" {
				compareTestssl(t, server.Port, o)
			}
		})
	}
}

// TestProbePooler looks at a pooler in front of a server: what it says is its own, not the server's.
func TestProbePooler(t *testing.T) {
	c := pgtest.Start(t, 15)
	useRSA(t, c)
	pooler, err := exec.LookPath("pgbouncer")
	if err != nil {
		t.Fatal("pgbouncer is not installed: build/prepare test")
	}
	port, err := pgtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(c.SocketDir, "pgbouncer.ini")
	text := fmt.Sprintf("[databases]\n* = host=%s port=%d\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = %s/users\nclient_tls_sslmode = allow\nclient_tls_cert_file = %s\nclient_tls_key_file = %s\nclient_tls_protocols = tlsv1.2\n",
		c.SocketDir, c.Port, port, c.SocketDir, filepath.Join(c.DataDir, "rsa.crt"), filepath.Join(c.DataDir, "rsa.key"))
	for name, body := range map[string]string{conf: text, filepath.Join(c.SocketDir, "users"): "\"truster\" \"x\"\n"} {
		if err := os.WriteFile(name, []byte(body), 0o644); err != nil { //nolint:gosec // the pooler's account reads it
			t.Fatal(err)
		}
	}
	cmd := exec.Command(pooler, "-q", conf) // #nosec G204 -- Debian's
	if os.Geteuid() == 0 {
		info, err := os.Stat(c.DataDir)
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: st.Uid, Gid: st.Gid}, Pdeathsig: syscall.SIGKILL}
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }) // it was to be ended
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close() // it listens
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	o := probe(t, &pgtest.Cluster{Port: port, CA: c.CA}, true, "truster")
	if o.TLS != "S" || !slices.Equal(o.Versions, []string{"TLSv1.2"}) || !o.Enumerated || len(o.Suites) == 0 || len(o.Chain) != 1 {
		t.Errorf("%+v", o)
	}
	if p, s := offered(o, "truster"); p != "scram" || s != "scram" {
		t.Errorf("a pooler that ends TLS offers %s and %s, want SCRAM without binding", p, s)
	}
	r, err := scan.Run(&catalog.Evidence{Outside: []*catalog.Outside{o}}, newEnv(t), scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"fail TLS-003 endpoint", "fail TLS-037 endpoint", "pass TLS-001 TLS-002", "na TLS-039"} {
		if complaint := disagree(r, line); complaint != "" {
			t.Errorf("%s: %s", line, complaint)
		}
	}
}
