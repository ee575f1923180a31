package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/secret"
)

// office is an authority and what it has signed.
type office struct {
	t    *testing.T
	a    *Authority
	now  time.Time
	live []Issued
}

const here = "0123456789abcdef"

func newOffice(t *testing.T) *office {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	a, err := NewAuthority(here, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &office{t: t, a: a, now: now}
}

func csr(t *testing.T, template x509.CertificateRequest) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// issue makes a certificate for an hour and keeps it as live.
func (o *office) issue(subject, store string) (*x509.Certificate, *Issued) {
	o.t.Helper()
	i := Issued{Kind: ClientCertificate, Subject: subject, Store: store, Created: o.now, Expires: o.now.Add(time.Hour)}
	text, err := o.a.Certify(csr(o.t, x509.CertificateRequest{Subject: pkix.Name{CommonName: "root"}, DNSNames: []string{"x"}}), here, &i, rand.Reader)
	if err != nil {
		o.t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		o.t.Fatal(err)
	}
	o.live = append(o.live, i)
	return leaf, &i
}

func (o *office) issuers(at time.Time) *Issuers {
	o.t.Helper()
	out, err := NewIssuers(here, []KeptAuthority{o.a.Kept(1)}, o.live, at)
	if err != nil {
		o.t.Fatal(err)
	}
	return out
}

// signed signs a certificate of any kind with the authority's own key, as somebody who has stolen it would, and keeps it as live.
func (o *office) signed(edit func(c *x509.Certificate)) *x509.Certificate {
	o.t.Helper()
	leaf, i := o.issue("ana", "")
	c := *leaf
	edit(&c)
	der, err := x509.CreateCertificate(rand.Reader, &c, o.a.cert, leaf.PublicKey, o.a.key)
	if err != nil {
		o.t.Fatal(err)
	}
	out, err := x509.ParseCertificate(der)
	if err != nil {
		o.t.Fatal(err)
	}
	kept := *i
	kept.Fingerprint = fingerprint(der)
	o.live = append(o.live, kept) // takes the place of the first
	return out
}

// TestIssuers is PRO-29 for our own certificates: what proves somebody, and everything that does not.
func TestIssuers(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	leaf, kept := o.issue("ana", "")
	only, _ := o.issue("ana", "shop")
	odd, _ := o.issue("ana/../bob å@x", "")
	p, ours, err := o.issuers(o.now).Prove("ana", "shop", []*x509.Certificate{leaf}, o.now)
	if err != nil || !ours || p.User() != "ana" || p.Method() != Certificate || p.Credential() != kept.ID || !p.Until().Equal(o.now.Add(time.Hour)) {
		t.Fatalf("%+v %v %v", p, ours, err)
	}
	if _, _, err := o.issuers(o.now).Prove("ana/../bob å@x", "shop", []*x509.Certificate{odd}, o.now); err != nil {
		t.Errorf("an odd name: %v", err)
	}
	if _, _, err := o.issuers(o.now).Prove("ana", "shop", []*x509.Certificate{only}, o.now); err != nil {
		t.Errorf("its only store: %v", err)
	}
	server := o.signed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	both := o.signed(func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) })
	any := o.signed(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })
	none := o.signed(func(c *x509.Certificate) { c.ExtKeyUsage = nil })
	below := o.signed(func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign })
	renamed := o.signed(func(c *x509.Certificate) { c.Subject.CommonName = "bob" })
	elsewhere := o.signed(func(c *x509.Certificate) { c.URIs[0].Host = "ffffffffffffffff" })
	copied, _ := o.issue("ana", "")
	o.live[len(o.live)-1].Fingerprint = fingerprint(leaf.Raw) // the same number, another certificate
	unknown, _ := o.issue("ana", "")
	o.live = o.live[:len(o.live)-1]
	revoked, _ := o.issue("ana", "")
	o.live[len(o.live)-1].Revoked = o.now
	other, _ := newOffice(t).issue("ana", "")
	for name, x := range map[string]struct {
		user, store string
		shown       *x509.Certificate
		at          time.Time
		why         string
		ours        bool
	}{
		"another user":     {"bob", "shop", leaf, o.now, "names somebody else", true},
		"another case":     {"Ana", "shop", leaf, o.now, "names somebody else", true},
		"nobody":           {"", "shop", leaf, o.now, "names somebody else", true},
		"another store":    {"ana", "other", only, o.now, "another store", true},
		"server":           {"ana", "shop", server, o.now, "not one for clients", true},
		"server too":       {"ana", "shop", both, o.now, "not one for clients", true},
		"anything":         {"ana", "shop", any, o.now, "not one for clients", true},
		"nothing said":     {"ana", "shop", none, o.now, "not one for clients", true},
		"authority":        {"ana", "shop", below, o.now, "not one for clients", true},
		"renamed":          {"bob", "shop", renamed, o.now, "names somebody else", true},
		"elsewhere":        {"ana", "shop", elsewhere, o.now, "names somebody else", true},
		"not kept":         {"ana", "shop", unknown, o.now, "revoked", true},
		"a copied number":  {"ana", "shop", copied, o.now, "revoked", true},
		"revoked":          {"ana", "shop", revoked, o.now, "revoked", true},
		"at its end":       {"ana", "shop", leaf, o.now.Add(time.Hour), "has ended", true},
		"after it":         {"ana", "shop", leaf, o.now.Add(2 * time.Hour), "has ended", true},
		"before its start": {"ana", "shop", leaf, o.now.Add(-2 * time.Minute), "not valid yet", true},
		"another's":        {"ana", "shop", other, o.now, "signed by somebody else", false},
		"the authority":    {o.a.cert.Subject.CommonName, "shop", o.a.cert, o.now, "", false},
		"of an old one":    {"ana", "shop", leaf, o.now.Add(2 * AuthorityLife), "signed by somebody else", false},
	} {
		p, ours, err := o.issuers(x.at).Prove(x.user, x.store, []*x509.Certificate{x.shown}, x.at)
		if err == nil || !errors.Is(err, ErrNotYou) || p != (Proof{}) || !strings.Contains(err.Error(), x.why) || ours != x.ours && x.why != "" {
			t.Errorf("%s: %+v, %v, %v", name, p, ours, err)
		}
	}
	for name, i := range map[string]*Issuers{"no issuers": nil, "no authority": {}} {
		if _, ours, err := i.Prove("ana", "shop", []*x509.Certificate{leaf}, o.now); err == nil || ours || i.Live(kept.ID) {
			t.Errorf("%s: %v %v", name, ours, err)
		}
	}
	if _, _, err := o.issuers(o.now).Prove("ana", "shop", nil, o.now); err == nil {
		t.Error("no certificate proves ana")
	}
	distrusted := o.a.Kept(1)
	distrusted.Ended = o.now
	i, err := NewIssuers(here, []KeptAuthority{distrusted}, o.live, o.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, ours, err := i.Prove("ana", "shop", []*x509.Certificate{leaf}, o.now); err == nil || ours {
		t.Errorf("an authority that nobody trusts: %v, %v", ours, err)
	}
}

// TestCertify: of a request nothing counts but its key, and that whoever sent it has that.
func TestCertify(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	leaf, kept := o.issue("ana", "shop")
	if leaf.Subject.String() != "CN=ana" || len(leaf.DNSNames) > 0 || len(leaf.URIs) != 2 || leaf.URIs[1].Path != "/store/shop" || leaf.IsCA {
		t.Errorf("%s %v %v", leaf.Subject, leaf.DNSNames, leaf.URIs)
	}
	if next, _ := o.issue("ana", "shop"); len(kept.ID) != 32 || next.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
		t.Errorf("numbers %s, %s", leaf.SerialNumber, next.SerialNumber)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	large, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, p384)
	if err != nil {
		t.Fatal(err)
	}
	good, _ := pem.Decode(csr(t, x509.CertificateRequest{}))
	for at := range good.Bytes {
		bad := bytes.Clone(good.Bytes)
		bad[at] ^= 1
		i := Issued{Kind: ClientCertificate, Subject: "ana", Created: o.now, Expires: o.now.Add(time.Hour)}
		if _, err := o.a.Certify(bad, here, &i, rand.Reader); !errors.Is(err, ErrRequest) || i.ID != "" {
			t.Errorf("byte %d of a request changed: %v", at, err)
		}
	}
	for name, text := range map[string][]byte{
		"P-384": large, "nothing": nil, "cut": good.Bytes[:len(good.Bytes)-1], "more": append(bytes.Clone(good.Bytes), 0),
		"a certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good.Bytes}),
	} {
		if _, err := o.a.Certify(text, here, &Issued{Subject: "ana"}, rand.Reader); !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := o.a.Certify(good.Bytes, here, &Issued{Subject: "ana", Expires: o.now}, bytes.NewReader(nil)); err == nil {
		t.Error("a certificate without randomness")
	}
}

// TestAuthorityIsKept: what was kept opens with its own key and no other, and the next one takes over in time.
func TestAuthorityIsKept(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	k := o.a.Kept(1)
	key, err := o.a.Key()
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenAuthority(k, key)
	if err != nil || again.Kept(1).ID != k.ID {
		t.Fatal(err)
	}
	other, err := newOffice(t).a.Key()
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]secret.Text{"another key": other, "no key": {}, "noise": secret.New("x")} {
		if _, err := OpenAuthority(k, key); err == nil || strings.Contains(err.Error(), key.Reveal()) && !key.IsEmpty() && name != "noise" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, x := range []struct {
		after          time.Duration
		signs, trusted bool
	}{{0, true, true}, {AuthorityLife - AuthorityRenew - time.Hour, true, true}, {AuthorityLife - AuthorityRenew, false, true}, {AuthorityLife, false, false}} {
		if at := o.now.Add(x.after); k.Signs(at) != x.signs || k.Trusted(at) != x.trusted {
			t.Errorf("after %s: signs %v, trusted %v", x.after, k.Signs(at), k.Trusted(at))
		}
	}
}
