package pgwire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/policy"
)

// office issues certificates, and is what the gateway knows of them.
type office struct {
	a       *identity.Authority
	live    []identity.Issued
	issuers atomic.Pointer[identity.Issuers]
}

func (o *office) Of(string) []identity.Credential { return nil }

func (o *office) Barred(string) bool { return false }

func (o *office) Issuers() *identity.Issuers { return o.issuers.Load() }

func newOffice(t *testing.T) *office {
	t.Helper()
	a, err := identity.NewAuthority("0123456789abcdef", time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &office{a: a}
}

func (o *office) take(t *testing.T) {
	t.Helper()
	next, err := identity.NewIssuers("0123456789abcdef", []identity.KeptAuthority{o.a.Kept(1)}, o.live, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	o.issuers.Store(next)
}

// issue makes a certificate for ana that lives until end, and returns what to add to a connection string.
func (o *office) issue(t *testing.T, end time.Time) (id, words string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, err1 := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	private, err2 := x509.MarshalPKCS8PrivateKey(key)
	i := identity.Issued{Kind: identity.ClientCertificate, Subject: "ana", Created: time.Now().Add(-time.Hour), Expires: end}
	text, err3 := o.a.Certify(request, "0123456789abcdef", &i, rand.Reader)
	file := filepath.Join(t.TempDir(), "ana")
	err4 := os.WriteFile(file+".crt", text, 0o600)
	err5 := os.WriteFile(file+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	o.live = append(o.live, i)
	o.take(t)
	return i.ID, fmt.Sprintf("sslmode=require sslcert=%s.crt sslkey=%s.key", file, file)
}

// TestIssuedCertificate: our own certificate lets its person in without a password, until its end, and who shows none is asked for one.
func TestIssuedCertificate(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := newRig(t, pgtest.Default(t), func(r *rig, g *gateway.Config, _ *Config) {
		p := *r.Current()
		p.Certificates = true
		p.Network = []*policy.NetworkRule{{Any: true, Auth: policy.AuthCertOrSCRAM}}
		r.policy.Store(&p)
		g.Secrets = o
	})
	host, port, _ := net.SplitHostPort(r.addr)
	with := func(words string) string {
		return fmt.Sprintf("host=%s port=%s dbname=shop user=ana ", host, port) + words
	}
	_, good := o.issue(t, time.Now().Add(time.Hour))
	if out, err := r.psql(t, with(good), "select 1"); err != nil || out != "1" {
		t.Errorf("%v %s", err, out)
	}
	e := r.trail.find(t, "the login", func(e audit.Event) bool { return e.Kind == audit.LoginAccepted })
	if e.Method != "certificate" || e.Detail["credential"] == "" {
		t.Errorf("%+v", e)
	}
	if out, err := r.psql(t, r.dsn(r.addr, "sslmode=require"), "select 1"); err != nil || out != "1" {
		t.Errorf("with a password: %v %s", err, out)
	}

	refused := func(what, dsn, why string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), dsn)
		if err == nil {
			_ = conn.Close(t.Context())
		}
		if codeOf(err) != "28000" || !strings.Contains(fmt.Sprint(err), "certificate") {
			t.Errorf("%s: %v", what, err)
		}
		r.trail.find(t, what, func(e audit.Event) bool {
			return e.Kind == audit.LoginRefused && e.Reason == string(gateway.CodeCertificate) && strings.Contains(e.Message, why)
		})
	}
	_, over := o.issue(t, time.Now().Add(-time.Minute))
	refused("one that has ended", with(over), "has ended")
	// The password is right, and does not count: what was shown is what is held against them.
	refused("one that has ended, and a password", r.dsn(r.addr, over), "has ended")
	for range 25 { // an old certificate is no guess, and shuts nobody out
		if _, err := pgx.Connect(t.Context(), with(over)); err == nil {
			t.Fatal("let in")
		}
	}
	if out, err := r.psql(t, r.dsn(r.addr, "sslmode=require"), "select 1"); err != nil || out != "1" {
		t.Errorf("with a password, after many old certificates: %v %s", err, out)
	}
	if out, err := r.psql(t, fmt.Sprintf("host=%s port=%s dbname=shop user=ana sslmode=require sslcert=%s sslkey=%s", host, port, r.cert, r.cert), "select 1"); err == nil {
		t.Errorf("the gateway's own certificate: %s", out)
	}
	_, other := newOffice(t).issue(t, time.Now().Add(time.Hour))
	refused("one of another authority", with(other), "signed by somebody else")

	t.Run("its end", func(t *testing.T) {
		end := time.Now().Add(2 * time.Second).Truncate(time.Second).Add(time.Second)
		_, short := o.issue(t, end)
		conn, err := pgx.Connect(t.Context(), with(short))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		// A statement is under way when the time comes.
		_, err = conn.Exec(t.Context(), "select count(*) from customers a, customers b, customers c, customers d, customers e, customers f, customers g, customers h, customers i, customers j, customers k, customers l, customers m")
		if codeOf(err) != "57P01" || time.Now().Before(end) {
			t.Errorf("at its end: %v, %s before", err, time.Until(end))
		}
		refused("after its end", with(short), "has ended")
	})
	t.Run("revoked", func(t *testing.T) {
		id, words := o.issue(t, time.Now().Add(time.Hour))
		if out, err := r.psql(t, with(words), "select 1"); err != nil || out != "1" {
			t.Fatalf("%v %s", err, out)
		}
		for i := range o.live {
			if o.live[i].ID == id {
				o.live[i].Revoked = time.Now()
			}
		}
		o.take(t)
		refused("revoked", with(words), "was revoked")
	})
	t.Run("demanded", func(t *testing.T) {
		p := *r.Current()
		p.Network = []*policy.NetworkRule{{Any: true, Auth: policy.AuthCert}}
		r.policy.Store(&p)
		if out, err := r.psql(t, with(good), "select 1"); err != nil || out != "1" {
			t.Errorf("%v %s", err, out)
		}
		if out, err := r.psql(t, r.dsn(r.addr, "sslmode=require"), "select 1"); err == nil || !strings.Contains(out, "require a client certificate") {
			t.Errorf("a password alone: %v %s", err, out)
		}
		p.Network = []*policy.NetworkRule{{Any: true, Auth: policy.AuthSCRAM, TLS: policy.TLSVerify}}
		r.policy.Store(&p)
		if out, err := r.psql(t, r.dsn(r.addr, good), "select 1"); err != nil || out != "1" {
			t.Errorf("a certificate and a password: %v %s", err, out)
		}
		for name, dsn := range map[string]string{"a certificate alone": with(good), "a password alone": r.dsn(r.addr, "sslmode=require"), "an old certificate and a password": r.dsn(r.addr, over)} {
			if out, err := r.psql(t, dsn, "select 1"); err == nil {
				t.Errorf("%s: %s", name, out)
			}
		}
	})
	t.Run("not wanted", func(t *testing.T) {
		p := *r.Current()
		p.Certificates, p.Network = false, []*policy.NetworkRule{{Any: true, Auth: policy.AuthCertOrSCRAM}}
		r.policy.Store(&p)
		refused("identity.certificates is off", with(good), "signed by somebody else")
		if err := r.gw.Reload(); err != nil {
			t.Fatal(err)
		}
		if out, err := r.psql(t, r.dsn(r.addr, good), "select 1"); err != nil || out != "1" {
			t.Errorf("nobody asks for a certificate any more: %v %s", err, out)
		}
	})
}
