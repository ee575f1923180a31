package scan_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// tlsSetup is how a server does TLS: without faults, what seeds change.
type tlsSetup struct {
	ciphers  []string
	min, max string
	prefer   string
	leaf     x509.Certificate
	bits     int
	self     bool // signed by itself
	between  bool // signed by an authority between, which is sent only when sent is set
	sent     bool
}

// day is what certificates are counted in.
const day = 24 * time.Hour

func soundTLS() *tlsSetup {
	return &tlsSetup{
		ciphers: []string{"ECDHE+AESGCM", "@SECLEVEL=0"}, min: "TLSv1.2", prefer: "on", bits: 2048, sent: true,
		leaf: x509.Certificate{
			SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(90 * day),
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		},
	}
}

// tlsSeed is a fault of a server's TLS and its near miss. holds is the oracle: a real handshake by this machine's own TLS that shows whether
// the fault is there.
type tlsSeed struct {
	seed
	slot        string // seeds of one slot change the same thing: one of them at a time
	fault, near func(*tlsSetup)
	holds       func(*handshakes) bool
}

func tlsSeeds() []tlsSeed {
	suite := func(name string) func(*tlsSetup) { return func(s *tlsSetup) { s.ciphers = append(s.ciphers, name) } }
	takes := func(id uint16) func(*handshakes) bool {
		return func(h *handshakes) bool {
			return h.try(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{id}, InsecureSkipVerify: true}) == nil //nolint:gosec // the suite is what is asked about
		}
	}
	life := func(from, to time.Duration) func(*tlsSetup) {
		return func(s *tlsSetup) { s.leaf.NotBefore, s.leaf.NotAfter = time.Now().Add(from), time.Now().Add(to) }
	}
	return []tlsSeed{
		{
			seed: seed{name: "old versions", fires: []string{"TLS-002 "}, also: "TLS-006"}, slot: "versions",
			fault: func(s *tlsSetup) { s.min, s.ciphers = "TLSv1.1", append(s.ciphers, "ECDHE-RSA-AES256-SHA") }, near: func(s *tlsSetup) { s.min = "TLSv1.2" },
			holds: func(h *handshakes) bool {
				return h.try(&tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11, InsecureSkipVerify: true}) == nil //nolint:gosec // the version is what is asked about
			},
		},
		{
			seed: seed{name: "no TLS 1.3", fires: []string{"TLS-003 "}}, slot: "newest",
			fault: func(s *tlsSetup) { s.max = "TLSv1.2" }, near: func(s *tlsSetup) { s.max = "TLSv1.3" },
			holds: func(h *handshakes) bool {
				return h.try(&tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}) != nil //nolint:gosec // the version is what is asked about
			},
		},
		{
			seed: seed{name: "no forward secrecy", fires: []string{"TLS-004 endpoint"}}, slot: "secrecy",
			fault: suite("AES128-GCM-SHA256"), near: suite("ECDHE-RSA-CHACHA20-POLY1305"), holds: takes(tls.TLS_RSA_WITH_AES_128_GCM_SHA256),
		},
		{
			seed: seed{name: "CBC with SHA-1", fires: []string{"TLS-006 endpoint"}}, slot: "mode",
			fault: suite("ECDHE-RSA-AES128-SHA"), near: suite("ECDHE-RSA-AES128-GCM-SHA256"), holds: takes(tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA),
		},
		{seed: seed{name: "no encryption", fires: []string{"TLS-005 endpoint"}}, slot: "null", fault: suite("ECDHE-RSA-NULL-SHA"), near: suite("ECDHE-ECDSA-AES128-GCM-SHA256")},
		{
			seed: seed{name: "the client's order", fires: []string{"TLS-008 "}}, slot: "order",
			fault: func(s *tlsSetup) { s.prefer = "off" }, near: func(s *tlsSetup) { s.prefer = "yes" },
		},
		{
			seed: seed{name: "expired", fires: []string{"TLS-011 endpoint"}, also: "TLS-014"}, slot: "time", fault: life(-60*day, -time.Hour), near: life(-time.Hour, 45*day),
			holds: func(h *handshakes) bool { return !h.verifies(time.Now()) && h.verifies(time.Now().Add(-2*time.Hour)) },
		},
		{
			seed: seed{name: "not valid yet", fires: []string{"TLS-011 endpoint"}, also: "TLS-014"}, slot: "time", fault: life(day, 90*day), near: life(-time.Minute, 90*day),
			holds: func(h *handshakes) bool { return !h.verifies(time.Now()) && h.verifies(time.Now().Add(2*day)) },
		},
		{
			seed: seed{name: "about to expire", fires: []string{"TLS-012 endpoint"}}, slot: "time", fault: life(-60*day, 29*day), near: life(-60*day, 32*day),
			holds: func(h *handshakes) bool { return h.verifies(time.Now()) && !h.verifies(time.Now().Add(30*day)) },
		},
		{
			seed: seed{name: "long life", fires: []string{"TLS-013 endpoint"}}, slot: "time", fault: life(-100*day, 300*day), near: life(-100*day, 297*day),
			holds: func(h *handshakes) bool { c := h.leaf(); return c != nil && c.NotAfter.Sub(c.NotBefore) > 398*day },
		},
		{
			seed: seed{name: "signed by itself", fires: []string{"TLS-014 endpoint"}}, slot: "signer", fault: func(s *tlsSetup) { s.self = true }, near: func(*tlsSetup) {},
			holds: func(h *handshakes) bool { c := h.leaf(); return c != nil && c.CheckSignatureFrom(h.root) != nil },
		},
		{
			seed: seed{name: "a chain that is cut", fires: []string{"TLS-018 endpoint", "TLS-014 endpoint"}}, slot: "signer", fault: func(s *tlsSetup) { s.between, s.sent = true, false },
			near: func(s *tlsSetup) { s.between = true }, holds: func(h *handshakes) bool { return len(h.chain()) == 1 },
		},
		{
			seed: seed{name: "another's name", fires: []string{"TLS-015 endpoint"}}, slot: "name",
			fault: func(s *tlsSetup) { s.leaf.DNSNames, s.leaf.IPAddresses = []string{"db.example.com"}, nil }, near: func(s *tlsSetup) { s.leaf.DNSNames = append(s.leaf.DNSNames, "db.example.com") },
			holds: func(h *handshakes) bool { c := h.leaf(); return c != nil && c.VerifyHostname("127.0.0.1") != nil },
		},
		{
			seed: seed{name: "a common name alone", fires: []string{"TLS-016 endpoint", "TLS-015 endpoint"}}, slot: "name",
			fault: func(s *tlsSetup) { s.leaf.DNSNames, s.leaf.IPAddresses = nil, nil }, near: func(s *tlsSetup) { s.leaf.Subject.CommonName = "" },
			holds: func(h *handshakes) bool { c := h.leaf(); return c != nil && len(c.DNSNames)+len(c.IPAddresses) == 0 },
		},
		{
			seed: seed{name: "a short key", fires: []string{"TLS-017 endpoint"}}, slot: "key", fault: func(s *tlsSetup) { s.bits = 1024 }, near: func(s *tlsSetup) { s.bits = 2048 },
			holds: func(h *handshakes) bool { c := h.leaf(); return c != nil && c.PublicKey.(*rsa.PublicKey).Size() < 256 },
		},
	}
}

// authorities are the root that clients trust and one between; keys of servers are made once, since that takes long.
type authorities struct {
	root, between       *x509.Certificate
	rootKey, betweenKey crypto.Signer
	keys                map[int]*rsa.PrivateKey
}

var tlsAuthorities = sync.OnceValues(func() (*authorities, error) {
	a := &authorities{keys: map[int]*rsa.PrivateKey{}}
	for _, bits := range []int{1024, 2048} {
		key, err := rsa.GenerateKey(cryptorand.Reader, bits)
		if err != nil {
			return nil, err
		}
		a.keys[bits] = key
	}
	sign := func(name string, parent *x509.Certificate, parentKey crypto.Signer) (*x509.Certificate, crypto.Signer, error) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
		if err != nil {
			return nil, nil, err
		}
		c := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-1000 * day), NotAfter: time.Now().Add(1000 * day),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
		if parent == nil {
			parent, parentKey = c, key
		}
		der, err := x509.CreateCertificate(cryptorand.Reader, c, parent, &key.PublicKey, parentKey)
		if err != nil {
			return nil, nil, err
		}
		c, err = x509.ParseCertificate(der)
		return c, key, err
	}
	var err error
	if a.root, a.rootKey, err = sign("seeds root", nil, nil); err == nil {
		a.between, a.betweenKey, err = sign("seeds between", a.root, a.rootKey)
	}
	return a, err
})

// install makes a server do TLS as the setup says.
func (s *tlsSetup) install(t *testing.T, c *pgtest.Cluster) *authorities {
	t.Helper()
	a, err := tlsAuthorities()
	if err != nil {
		t.Fatal(err)
	}
	key := a.keys[s.bits]
	parent, parentKey := a.root, a.rootKey
	switch {
	case s.self:
		parent, parentKey = &s.leaf, key
	case s.between:
		parent, parentKey = a.between, a.betweenKey
	}
	der, err := x509.CreateCertificate(cryptorand.Reader, &s.leaf, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if s.between && s.sent {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.between.Raw})...)
	}
	info, err := os.Stat(c.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"seed.crt": chain, "seed.key": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})} {
		path := filepath.Join(c.DataDir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, int(info.Sys().(*syscall.Stat_t).Uid), -1); err != nil {
			t.Fatal(err)
		}
	}
	w := world{system: []string{
		"ssl_cert_file = 'seed.crt'", "ssl_key_file = 'seed.key'", "ssl_ciphers = '" + strings.Join(s.ciphers, ":") + "'",
		"ssl_min_protocol_version = '" + s.min + "'", "ssl_max_protocol_version = '" + s.max + "'", "ssl_prefer_server_ciphers = " + s.prefer,
	}}
	w.configure(t, c)
	return a
}

// handshakes are made with a server by this machine's own TLS.
type handshakes struct {
	t    *testing.T
	port int
	root *x509.Certificate
}

// try makes one handshake.
func (h *handshakes) try(config *tls.Config) error {
	_, err := h.state(config)
	return err
}

func (h *handshakes) state(config *tls.Config) (tls.ConnectionState, error) {
	h.t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(h.port)))
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		h.t.Fatal(err)
	}
	answer := make([]byte, 1)
	if _, err := conn.Read(answer); err != nil || answer[0] != 'S' {
		h.t.Fatalf("SSLRequest: %q, %v", answer, err)
	}
	client := tls.Client(conn, config)
	if err := client.HandshakeContext(h.t.Context()); err != nil {
		return tls.ConnectionState{}, err
	}
	return client.ConnectionState(), nil
}

func (h *handshakes) chain() []*x509.Certificate {
	s, err := h.state(&tls.Config{InsecureSkipVerify: true}) //nolint:gosec // what it shows is what is asked about
	if err != nil {
		h.t.Error(err)
	}
	return s.PeerCertificates
}

func (h *handshakes) leaf() *x509.Certificate {
	if c := h.chain(); len(c) > 0 {
		return c[0]
	}
	return nil
}

// verifies reports whether the times of the server's certificate are right at a time. Names and issuers have seeds of their own.
func (h *handshakes) verifies(at time.Time) bool {
	c := h.leaf()
	if c == nil {
		return false
	}
	own := x509.NewCertPool()
	own.AddCert(c)
	_, err := c.Verify(x509.VerifyOptions{Roots: own, CurrentTime: at})
	return err == nil
}

// seedTLS makes one server with these faults, and near misses of the others, and judges it. It reports what it found beyond.
func seedTLS(t *testing.T, c *pgtest.Cluster, rnd *rand.Rand, quiet *calm, faults []string) {
	t.Helper()
	all := tlsSeeds()
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	setup, byslot := soundTLS(), map[string]*tlsSeed{}
	for i := range all {
		if s := &all[i]; byslot[s.slot] == nil || slices.Contains(faults, s.name) {
			byslot[s.slot] = s
		}
	}
	var put []seed
	accounted := map[string]bool{}
	for _, slot := range slices.Sorted(maps.Keys(byslot)) {
		s := byslot[slot]
		if slices.Contains(faults, s.name) {
			s.fault(setup)
			put = append(put, s.seed)
			for _, f := range s.fires {
				accounted[f] = true
			}
		} else {
			s.near(setup)
		}
	}
	for _, x := range put {
		for _, id := range strings.Fields(x.also) {
			accounted[id+" endpoint"], accounted[id+" "] = true, true
		}
	}
	a := setup.install(t, c)
	db := &pgtest.DB{Cluster: c, Name: "postgres"}
	awaitAlone(t, db)
	roots := x509.NewCertPool()
	roots.AddCert(a.root)
	o, err := postgres.Probe(t.Context(), postgres.ProbeOptions{
		Endpoint: net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)), Random: "q7zx-nobody", Now: time.Now(), Timeout: 20 * time.Second, Roots: roots,
	})
	if err != nil {
		t.Fatal(err)
	}
	awaitAlone(t, db)
	e := gather(t, db, superuser, false)
	e.Outside = []*catalog.Outside{o}
	env := newEnv(t)
	env.Now = time.Now()
	r, err := scan.Run(e, env, scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &handshakes{t: t, port: c.Port, root: a.root}
	for i := range all {
		s := &all[i]
		fault := slices.Contains(faults, s.name)
		if fault || !slices.ContainsFunc(s.fires, func(f string) bool { return accounted[f] }) {
			s.found(t, r, fault)
		}
		if s.holds != nil && s.holds(h) != fault && byslot[s.slot] == s {
			t.Errorf("%s: fault %v, and a real handshake says otherwise", s.name, fault)
		}
	}
	quiet.compare(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)), r, put)
	if t.Failed() {
		t.Fatalf("the faults were: %s", strings.Join(faults, ", "))
	}
}

// tlsServers is how many random servers a run makes; POSTERN_SEEDED_SERVERS asks for more.
const tlsServers = 2

// TestSeededTLS makes random servers with faults of TLS; a real handshake says what is there.
func TestSeededTLS(t *testing.T) {
	t.Parallel()
	total := tlsServers
	if n, err := strconv.Atoi(os.Getenv("POSTERN_SEEDED_SERVERS")); err == nil {
		total = n / 5
	}
	majors := pgtest.Majors(t)
	slices.Reverse(majors) // where a few are made, not on the majors that have those of TestSeededHost
	seedOf := seedOfRun(t, "POSTERN_SEED")
	var names []string
	for _, s := range tlsSeeds() {
		names = append(names, s.name)
	}
	for k, major := range majors {
		if k >= total {
			break
		}
		t.Run(fmt.Sprintf("pg%d", major), func(t *testing.T) {
			c := pgtest.Start(t, major)
			rnd := rand.New(rand.NewPCG(seedOf, uint64(major))) //nolint:gosec // a test's choices
			var quiet calm
			seedTLS(t, c, rnd, &quiet, nil)
			for i := k; i < total; i += len(majors) {
				rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
				seedTLS(t, c, rnd, &quiet, oneOfEachSlot(names[:1+rnd.IntN(8)]))
			}
		})
	}
}

// oneOfEachSlot leaves out faults that change what an earlier one changes.
func oneOfEachSlot(names []string) []string {
	slot, seen := map[string]string{}, map[string]bool{}
	for _, s := range tlsSeeds() {
		slot[s.name] = s.slot
	}
	var out []string
	for _, n := range names {
		if !seen[slot[n]] {
			seen[slot[n]] = true
			out = append(out, n)
		}
	}
	return out
}
