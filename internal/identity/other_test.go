package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net/netip"
	"testing"
	"time"
)

func certificate(t *testing.T, key crypto.Signer, algorithm x509.SignatureAlgorithm) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ana"}, SignatureAlgorithm: algorithm,
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// TestBindingOf is PRO-21: the certificate's own hash, and nothing for Ed25519.
func TestBindingOf(t *testing.T) {
	t.Parallel()
	rsaKey, err1 := rsa.GenerateKey(rand.Reader, 2048)
	p256, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err3 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, err4 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	sum256 := func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	sum384 := func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }
	sum512 := func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }
	for _, c := range []struct {
		name string
		key  crypto.Signer
		alg  x509.SignatureAlgorithm
		want func([]byte) []byte
	}{
		{"RSA SHA-256", rsaKey, x509.SHA256WithRSA, sum256},
		{"RSA SHA-512", rsaKey, x509.SHA512WithRSA, sum512},
		{"RSA-PSS SHA-384", rsaKey, x509.SHA384WithRSAPSS, sum384},
		{"ECDSA P-256", p256, x509.ECDSAWithSHA256, sum256},
		{"ECDSA P-384", p384, x509.ECDSAWithSHA384, sum384},
		{"Ed25519", ed, x509.PureEd25519, nil},
	} {
		leaf := certificate(t, c.key, c.alg)
		var want []byte
		if c.want != nil {
			want = c.want(leaf.Raw)
		}
		if got := BindingOf(leaf); string(got) != string(want) {
			t.Errorf("%s: %x, not %x", c.name, got, want)
		}
	}
	if BindingOf(nil) != nil {
		t.Error("no certificate has a binding")
	}
}

// TestFromTransport is PRO-29: the certificate or the account must name the user.
func TestFromTransport(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := certificate(t, key, x509.ECDSAWithSHA256)
	if p, err := FromCertificate("ana", [][]*x509.Certificate{{leaf}}); err != nil || p.User() != "ana" || p.Method() != Certificate {
		t.Errorf("%v, %v", p, err)
	}
	for name, chains := range map[string][][]*x509.Certificate{"bob": {{leaf}}, "ana": nil, "": {{leaf}}} {
		if p, err := FromCertificate(name, chains); err == nil || p != (Proof{}) {
			t.Errorf("certificate proves %q", name)
		}
	}
	if p, err := FromPeer("ana", "ana"); err != nil || p.Method() != Peer {
		t.Errorf("%v, %v", p, err)
	}
	for _, account := range []string{"", "bob"} {
		if _, err := FromPeer("ana", account); !errors.Is(err, ErrNotYou) {
			t.Errorf("account %q proves ana", account)
		}
	}
	if _, err := FromPeer("", ""); err == nil {
		t.Error("nobody proves nobody")
	}
}

// TestThrottle is PRO-31.
func TestThrottle(t *testing.T) {
	t.Parallel()
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	th := NewThrottle()
	for i := range freeFailures {
		if d, _, _ := th.Wait(t.Context(), a, "ana", now); d != 0 {
			t.Fatalf("attempt %d waits %s", i, d)
		}
		th.Failed(t.Context(), a, "ana", now)
	}
	last := time.Duration(0)
	for range 5 {
		th.Failed(t.Context(), a, "ana", now)
		d, locked, _ := th.Wait(t.Context(), a, "ana", now)
		if d <= last || locked {
			t.Fatalf("waits %s after %s, locked %v", d, last, locked)
		}
		last = d
	}
	if d, _, _ := th.Wait(t.Context(), b, "ana", now); d == 0 {
		t.Error("another address may go on guessing for the same user")
	}
	if d, _, _ := th.Wait(t.Context(), a, "bob", now); d == 0 {
		t.Error("the same address may go on guessing for another user")
	}
	if d, _, _ := th.Wait(t.Context(), b, "bob", now); d != 0 {
		t.Error("a stranger waits")
	}
	locked := false
	for range lockAfter {
		now, _ := th.Failed(t.Context(), a, "ana", now)
		locked = locked || now
	}
	if _, still, _ := th.Wait(t.Context(), a, "ana", now); !locked || !still {
		t.Error("nobody is locked out")
	}
	if d, still, _ := th.Wait(t.Context(), a, "ana", now.Add(2*time.Hour)); d != 0 || still {
		t.Error("nothing is forgotten")
	}
}

// TestThrottleSparesKnownAddress: what strangers try under somebody's name does not keep them out of their own place.
func TestThrottleSparesKnownAddress(t *testing.T) {
	t.Parallel()
	home, away := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("203.0.113.9")
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	th := NewThrottle()
	th.Succeeded(t.Context(), home, "ana", now)
	for range 2 * lockAfter {
		th.Failed(t.Context(), away, "ana", now)
	}
	if d, locked, _ := th.Wait(t.Context(), home, "ana", now); d != 0 || locked {
		t.Errorf("ana waits %s at home, locked %v", d, locked)
	}
	if _, locked, _ := th.Wait(t.Context(), away, "ana", now); !locked {
		t.Error("the stranger is not locked out")
	}
}

// Behind one proxy everybody has one address: what a stranger tries there keeps nobody out who has come in from there before, and whoever
// has not waits. And an IPv6 network is one address.
func TestThrottleBehindAProxy(t *testing.T) {
	t.Parallel()
	th, now := NewThrottle(), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	proxy := netip.MustParseAddr("192.0.2.1")
	_ = th.Succeeded(t.Context(), proxy, "ana", now)
	for range lockAfter {
		_, _ = th.Failed(t.Context(), proxy, "bob", now)
	}
	if d, locked, _ := th.Wait(t.Context(), proxy, "ana", now); d != 0 || locked {
		t.Errorf("ana waits %s for what is tried under another name, locked: %t", d, locked)
	}
	if _, locked, _ := th.Wait(t.Context(), proxy, "carl", now); !locked {
		t.Error("whoever never came in from there may go on guessing")
	}
	for range lockAfter {
		_, _ = th.Failed(t.Context(), proxy, "ana", now)
	}
	if _, locked, _ := th.Wait(t.Context(), proxy, "ana", now); !locked {
		t.Error("guesses at ana from where she comes from do not lock")
	}
	one, other := netip.MustParseAddr("2001:db8:1:2::1"), netip.MustParseAddr("2001:db8:1:2:ffff::9")
	for range lockAfter {
		_, _ = th.Failed(t.Context(), one, "dora", now)
	}
	if _, locked, _ := th.Wait(t.Context(), other, "emil", now); !locked {
		t.Error("another address of the same network is not the same to the brake")
	}
	if _, locked, _ := th.Wait(t.Context(), netip.MustParseAddr("2001:db8:1:3::1"), "emil", now); locked {
		t.Error("another network is locked too")
	}
}

// TestThrottleIsBounded: a flood of names costs no more than so much memory.
func TestThrottleIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	th := NewThrottle()
	for i := range 3 * maxTracked {
		th.Failed(t.Context(), netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "u", now)
	}
	if len(th.entries) > maxTracked+1 {
		t.Errorf("%d entries", len(th.entries))
	}
}
