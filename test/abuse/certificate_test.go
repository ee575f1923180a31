package abuse_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/test/site"
)

// replaceCertificate puts one with other dates in place of the site's.
func replaceCertificate(t *testing.T, s *site.Site, from, to time.Time) {
	t.Helper()
	key, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(from.Unix()), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: from, NotAfter: to, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err2 := x509.CreateCertificate(rand.Reader, leaf, leaf, &key.PublicKey, key)
	private, err3 := x509.MarshalPKCS8PrivateKey(key)
	write := func(name, kind string, der []byte) error {
		return os.WriteFile(filepath.Join(s.Dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	}
	if err := errors.Join(err1, err2, err3, write("server.crt", "CERTIFICATE", der), write("secrets/server.key", "PRIVATE KEY", private)); err != nil {
		t.Fatal(err)
	}
}

// A certificate that has ended: the log says so when it is read, clients that check it say why they do not go on, and a new one
// is taken up without a restart.
func tryCertificates(t *testing.T, s *site.Site) {
	now := time.Now()
	replaceCertificate(t, s, now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	s.Serve(t)
	eventually(t, "the log names the certificate", func() bool {
		return strings.Contains(s.Log(), "level=ERROR") && strings.Contains(s.Log(), "server.crt") && strings.Contains(s.Log(), "ended_on")
	})
	_, err := tryConnect(s)
	if err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("the client is told: %v", err)
	}
	replaceCertificate(t, s, now.Add(-time.Hour), now.Add(24*time.Hour))
	s.Reload(t)
	eventually(t, "the new certificate is served", func() bool {
		conn, err := tryConnect(s)
		if err == nil {
			_ = conn.Close(context.Background())
		}
		return err == nil
	})
	eventually(t, "the log names the day on which the new one ends", func() bool {
		return strings.Contains(s.Log(), "level=WARN") && strings.Contains(s.Log(), "ends_on")
	})

	// One that cannot be read leaves the old one in use.
	if err := os.WriteFile(filepath.Join(s.Dir, "server.crt.new"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(s.CA)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(s.Dir, "server.crt.new"), s.CA); err != nil {
		t.Fatal(err)
	}
	s.Reload(t)
	eventually(t, "the log says that the old one stays", func() bool {
		return strings.Contains(s.Log(), "certificates were not read again; the old ones stay in use")
	})
	if err := os.WriteFile(s.CA, good, 0o600); err != nil { // for the client
		t.Fatal(err)
	}
	answers(t, s)
}
