package audit

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/postern-sec/postern/internal/secret"
)

// keyPrefix starts the text form of both halves of the key; the private one has privateInfix after it, so that nobody can
// take one for the other.
const (
	keyPrefix    = "ed25519:"
	privateInfix = "seed:"
	opaqueInfo   = "postern audit opaque statement v1"
)

// Key signs the trail. It is read from the file that `keys.audit` names and cannot be printed.
type Key struct {
	private ed25519.PrivateKey
	opaque  []byte
	id      string
}

// PublicKey checks what a Key has signed. Its text form, "ed25519:…", is what `postern audit key` prints.
type PublicKey struct {
	key ed25519.PublicKey
}

// GenerateKey makes the contents of a new key file: one line, to be written with mode 0600.
func GenerateKey(random io.Reader) (secret.Text, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return secret.Text{}, fmt.Errorf("read randomness for the audit key: %w", err)
	}
	return secret.New(keyPrefix + privateInfix + base64.RawStdEncoding.EncodeToString(seed) + "\n"), nil
}

// LoadKey reads the contents of a key file. Errors never repeat any of it.
func LoadKey(text secret.Text) (*Key, error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(text.Reveal()), keyPrefix+privateInfix)
	if !ok {
		return nil, fmt.Errorf("audit key: expected one line that starts with %q", keyPrefix+privateInfix)
	}
	seed, err := base64.RawStdEncoding.Strict().DecodeString(body)
	if err != nil || len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("audit key: expected %d bytes in base64", ed25519.SeedSize)
	}
	private := ed25519.NewKeyFromSeed(seed)
	opaque, err := hkdf.Key(sha256.New, seed, nil, opaqueInfo, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the key for opaque statements: %w", err)
	}
	k := &Key{private: private, opaque: opaque}
	k.id = k.Public().ID()
	return k, nil
}

// Public returns the half that verifies.
func (k *Key) Public() PublicKey {
	public, _ := k.private.Public().(ed25519.PublicKey)
	return PublicKey{key: public}
}

// Opaque stands for a statement that must not be written down: equal statements give equal values under the same key, and
// without the key nobody can try out guesses.
func (k *Key) Opaque(statement string) *Opaque {
	mac := hmac.New(sha256.New, k.opaque)
	mac.Write([]byte(statement))
	return &Opaque{Length: len(statement), HMAC: hex.EncodeToString(mac.Sum(nil))}
}

// String names the key without revealing it.
func (k *Key) String() string { return "audit key " + k.id }

// Format implements fmt.Formatter, so that no verb reveals the private half.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// LogValue implements slog.LogValuer without revealing.
func (k *Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText refuses: a private key has no place in a document.
func (k *Key) MarshalText() ([]byte, error) {
	return nil, errors.New("an audit key cannot be marshalled")
}

// ParsePublicKey reads the text form.
func ParsePublicKey(text string) (PublicKey, error) {
	body, ok := strings.CutPrefix(strings.TrimSpace(text), keyPrefix)
	if !ok || strings.HasPrefix(body, privateInfix) {
		return PublicKey{}, fmt.Errorf("public audit key: expected %q and a key in base64", keyPrefix)
	}
	raw, err := base64.RawStdEncoding.Strict().DecodeString(body)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return PublicKey{}, fmt.Errorf("public audit key: expected %d bytes in base64", ed25519.PublicKeySize)
	}
	return PublicKey{key: raw}, nil
}

// IsZero says whether there is no key.
func (p PublicKey) IsZero() bool { return len(p.key) == 0 }

// String is the text form that ParsePublicKey reads.
func (p PublicKey) String() string { return keyPrefix + base64.RawStdEncoding.EncodeToString(p.key) }

// ID is short and stands in every signed record: the first 8 bytes of the key's SHA-256, in hex.
func (p PublicKey) ID() string {
	sum := sha256.Sum256(p.key)
	return hex.EncodeToString(sum[:8])
}

// verify says whether sig (base64, as it stands in the record) signs body.
func (p PublicKey) verify(body, sig []byte) bool {
	raw := make([]byte, ed25519.SignatureSize)
	n, err := base64.RawStdEncoding.Strict().Decode(raw, sig)
	if err != nil || n != ed25519.SignatureSize || p.IsZero() {
		return false
	}
	return ed25519.Verify(p.key, signedBytes(body), raw)
}

// sign returns the signature of a record's bytes in base64.
func (k *Key) sign(body []byte) string {
	return base64.RawStdEncoding.EncodeToString(ed25519.Sign(k.private, signedBytes(body)))
}

// signedBytes puts a purpose in front of what is signed, so that a signature of the trail can never stand for anything else.
func signedBytes(body []byte) []byte {
	return append([]byte(signPurpose), body...)
}
