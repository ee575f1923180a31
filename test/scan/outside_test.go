package scan_test

import (
	"context"
	"crypto/x509"
	"net"
	"os"
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
