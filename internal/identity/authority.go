package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/secret"
)

// How long an authority lives, when the next one takes its place, and how far clocks may differ. Between the two numbers lies more
// than any certificate lives, so that none outlives what signed it.
const (
	AuthorityLife  = 365 * 24 * time.Hour
	AuthorityRenew = 30 * 24 * time.Hour
	clockSlack     = time.Minute
	serialBytes    = 16
)

// KeptAuthority is an authority as state keeps it: the certificate, and the key sealed.
type KeptAuthority struct {
	ID          string    `json:"id"`
	Generation  int       `json:"generation"` // the newest signs
	Certificate []byte    `json:"certificate"`
	Key         []byte    `json:"key"` // sealed
	Created     time.Time `json:"created"`
	Expires     time.Time `json:"expires"`
	Ended       time.Time `json:"ended,omitzero"` // nothing that it signed is good from then on
}

// Trusted says whether what an authority signed counts at a time.
func (k *KeptAuthority) Trusted(now time.Time) bool {
	return k.Ended.IsZero() && now.Before(k.Expires)
}

// Signs says whether it is still young enough to sign.
func (k *KeptAuthority) Signs(now time.Time) bool {
	return k.Trusted(now) && k.Expires.Sub(now) > AuthorityRenew
}

// Authority signs client certificates.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes one for an installation. What it signs is good for clients alone, and for no further authority.
func NewAuthority(installation string, now time.Time, random io.Reader) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the key of an authority: %w", err)
	}
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	now = now.UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Postern client certificates of " + installation},
		NotBefore: now.Add(-clockSlack), NotAfter: now.Add(AuthorityLife),
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the certificate of an authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{cert, key}, err
}

// OpenAuthority takes up one that was kept, with its key as Key gave it.
func OpenAuthority(k KeptAuthority, key secret.Text) (*Authority, error) {
	cert, err := x509.ParseCertificate(k.Certificate)
	if err != nil {
		return nil, fmt.Errorf("authority %s: %w", k.ID, err)
	}
	private, err := x509.ParsePKCS8PrivateKey([]byte(key.Reveal()))
	if err != nil {
		return nil, fmt.Errorf("authority %s: its key cannot be read", k.ID)
	}
	signer, ok := private.(*ecdsa.PrivateKey)
	if !ok || !signer.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("authority %s: its key is another's", k.ID)
	}
	return &Authority{cert, signer}, nil
}

// Kept is the authority without its key.
func (a *Authority) Kept(generation int) KeptAuthority {
	return KeptAuthority{
		ID: serialText(a.cert.SerialNumber), Generation: generation, Certificate: a.cert.Raw,
		Created: a.cert.NotBefore.Add(clockSlack), Expires: a.cert.NotAfter,
	}
}

// Key is the key, to be sealed.
func (a *Authority) Key() (secret.Text, error) {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	return secret.New(string(der)), err
}

// ErrRequest is why a certificate request is not signed.
var ErrRequest = errors.New("this is no certificate request of an ECDSA key on P-256, signed with that key")

// Certify signs the key of a request for the holder of i, whose Subject, Store, Created and Expires are set; it gives i its ID and
// fingerprint. Nothing of the request counts but its key, and that whoever sent it has that key: names and uses that it asks for
// are left out. The request is PEM or DER, and so is nothing of the answer but PEM.
func (a *Authority) Certify(request []byte, installation string, i *Issued, random io.Reader) (certificate []byte, err error) {
	key, err := keyOf(request)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: i.Subject}, URIs: holderOf(installation, i),
		NotBefore: i.Created.Add(-clockSlack), NotAfter: i.Expires, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	i.ID, i.Fingerprint = serialText(serial), fingerprint(der)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// keyOf reads the key of a request and checks that whoever made the request has it.
func keyOf(request []byte) (crypto.PublicKey, error) {
	der := request
	if block, rest := pem.Decode(request); block != nil {
		if block.Type != "CERTIFICATE REQUEST" || len(bytes.TrimSpace(rest)) > 0 {
			return nil, ErrRequest
		}
		der = block.Bytes
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, ErrRequest
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() || csr.CheckSignature() != nil {
		return nil, ErrRequest
	}
	return key, nil
}

// holderOf says in URIs whose certificate it is, and which store it is for if it is for one alone.
func holderOf(installation string, i *Issued) []*url.URL {
	out := []*url.URL{{Scheme: "postern", Host: installation, Path: "/person/" + i.Subject}}
	if i.Store != "" {
		out = append(out, &url.URL{Scheme: "postern", Host: installation, Path: "/store/" + i.Store})
	}
	return out
}

func newSerial(random io.Reader) (*big.Int, error) {
	raw := make([]byte, serialBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	raw[0] = raw[0]&0x7f | 0x40 // positive, and as long as any other
	return new(big.Int).SetBytes(raw), nil
}

func serialText(n *big.Int) string { return hex.EncodeToString(n.Bytes()) }

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// Issuers knows which authorities are trusted and which of the certificates that they signed are live. It is immutable.
type Issuers struct {
	installation string
	roots        []*x509.Certificate
	live         map[string]Issued // by id
}

// NewIssuers takes up the authorities that are trusted at a time, and the live certificates.
func NewIssuers(installation string, kept []KeptAuthority, live []Issued, now time.Time) (*Issuers, error) {
	out := &Issuers{installation: installation, live: map[string]Issued{}}
	for i := range kept {
		if !kept[i].Trusted(now) {
			continue
		}
		cert, err := x509.ParseCertificate(kept[i].Certificate)
		if err != nil {
			return nil, fmt.Errorf("authority %s: %w", kept[i].ID, err)
		}
		out.roots = append(out.roots, cert)
	}
	for i := range live {
		if live[i].Kind == ClientCertificate {
			out.live[live[i].ID] = live[i]
		}
	}
	return out, nil
}

// Live says whether a certificate is one that counts, by its id.
func (i *Issuers) Live(id string) bool {
	if i == nil {
		return false
	}
	_, ok := i.live[id]
	return ok
}

// Prove proves a user by the certificate that a client showed, on whose key the handshake has insisted: signed by an authority of this
// installation for clients and nothing else, within its time, kept as live, this user's, and for this store. ours is whether one of
// our authorities signed it, whatever became of it then.
func (i *Issuers) Prove(user, store string, shown []*x509.Certificate, now time.Time) (proof Proof, ours bool, err error) {
	root := i.signer(shown)
	if root == nil {
		return Proof{}, false, &Failure{Reason: "the certificate was signed by somebody else"}
	}
	leaf := shown[0]
	kept, live := i.live[serialText(leaf.SerialNumber)]
	reason := ""
	switch {
	case leaf.IsCA || len(leaf.UnknownExtKeyUsage) > 0 || !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}):
		reason = "the certificate is not one for clients"
	case now.Before(leaf.NotBefore):
		reason = "the certificate is not valid yet"
	case !now.Before(leaf.NotAfter):
		reason = "the certificate has ended"
	case !live || kept.Fingerprint != fingerprint(leaf.Raw) || !kept.Live(now):
		reason = "the certificate was revoked, or the login that it came from is over"
	case kept.Subject != user || leaf.Subject.CommonName != user || !sameURIs(leaf.URIs, holderOf(i.installation, &kept)):
		reason = "the certificate names somebody else"
	case kept.Store != "" && kept.Store != store:
		reason = "the certificate is for another store"
	}
	if reason == "" {
		pool := x509.NewCertPool()
		pool.AddCert(root)
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			reason = "the certificate cannot be verified"
		}
	}
	if reason != "" {
		return Proof{}, true, &Failure{Reason: reason}
	}
	return Proof{user: user, method: Certificate, credential: kept.ID, until: leaf.NotAfter}, true, nil
}

// signer is the authority of ours that signed what a client showed, or nil.
func (i *Issuers) signer(shown []*x509.Certificate) *x509.Certificate {
	if i == nil || len(shown) == 0 {
		return nil
	}
	for _, root := range i.roots {
		if shown[0].CheckSignatureFrom(root) == nil {
			return root
		}
	}
	return nil
}

func sameURIs(a, b []*url.URL) bool {
	return slices.EqualFunc(a, b, func(x, y *url.URL) bool { return x.String() == y.String() })
}
