package identity

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/secret"
)

// Sizes and counts of SCRAM-SHA-256 as PostgreSQL uses it (src/include/common/scram-common.h).
const (
	// DefaultIterations is PostgreSQL's and ours.
	DefaultIterations = 4096
	// MaxIterations bounds the work that a verifier or a server can ask of a client (PRO-34).
	MaxIterations = 100_000

	saltLength = 16
	maxSalt    = 1024
	keyLength  = sha256.Size
	scheme     = "SCRAM-SHA-256"
)

// Keys are what a password becomes under one salt and iteration count.
type Keys struct{ ClientKey, StoredKey, ServerKey [keyLength]byte }

// DeriveKeys runs PBKDF2. It costs about a millisecond per 4096 iterations.
func DeriveKeys(password secret.Text, salt []byte, iterations int) (Keys, error) {
	salted, err := pbkdf2.Key(sha256.New, saslPrep(password.Reveal()), salt, iterations, keyLength)
	if err != nil {
		return Keys{}, fmt.Errorf("derive keys: %w", err)
	}
	var k Keys
	copy(k.ClientKey[:], MAC(salted, "Client Key"))
	k.StoredKey = sha256.Sum256(k.ClientKey[:])
	copy(k.ServerKey[:], MAC(salted, "Server Key"))
	return k, nil
}

// MAC is HMAC-SHA-256.
func MAC(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = io.WriteString(h, text) // a hash never fails
	return h.Sum(nil)
}

// Verifier is what a server keeps instead of a password.
type Verifier struct {
	Iterations int
	Salt       []byte
	StoredKey  [keyLength]byte
	ServerKey  [keyLength]byte
}

// String is the verifier in PostgreSQL's own form.
func (v *Verifier) String() string {
	b64 := base64.StdEncoding.EncodeToString
	return scheme + "$" + strconv.Itoa(v.Iterations) + ":" + b64(v.Salt) + "$" + b64(v.StoredKey[:]) + ":" + b64(v.ServerKey[:])
}

// HashPassword makes the verifier of a password with a fresh salt, as `postern user hash` prints it.
func HashPassword(password secret.Text, iterations int, random io.Reader) (string, error) {
	if password.IsEmpty() {
		return "", errors.New("an empty password is no password")
	}
	if iterations < 1 || iterations > MaxIterations {
		return "", fmt.Errorf("iteration count %d is not between 1 and %d", iterations, MaxIterations)
	}
	salt := make([]byte, saltLength)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	k, err := DeriveKeys(password, salt, iterations)
	if err != nil {
		return "", err
	}
	v := Verifier{Iterations: iterations, Salt: salt, StoredKey: k.StoredKey, ServerKey: k.ServerKey}
	return v.String(), nil
}

// ParseVerifier reads "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>". The error never quotes the text.
func ParseVerifier(text string) (*Verifier, error) {
	rest, ok := strings.CutPrefix(text, scheme+"$")
	if !ok {
		return nil, errors.New("a verifier starts with SCRAM-SHA-256$")
	}
	params, keys, ok := strings.Cut(rest, "$")
	count, salt, ok2 := strings.Cut(params, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 {
		return nil, errors.New("a verifier has the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
	}
	v := &Verifier{}
	var err error
	if v.Iterations, err = strconv.Atoi(count); err != nil || v.Iterations < 1 || v.Iterations > MaxIterations || count != strconv.Itoa(v.Iterations) {
		return nil, fmt.Errorf("the verifier's iteration count is not a number between 1 and %d", MaxIterations)
	}
	if v.Salt, err = base64.StdEncoding.Strict().DecodeString(salt); err != nil || len(v.Salt) == 0 || len(v.Salt) > maxSalt {
		return nil, errors.New("the verifier's salt is not base64")
	}
	if err := decodeKey(&v.StoredKey, stored); err != nil {
		return nil, errors.New("the verifier's StoredKey is not 32 bytes of base64")
	}
	if err := decodeKey(&v.ServerKey, server); err != nil {
		return nil, errors.New("the verifier's ServerKey is not 32 bytes of base64")
	}
	return v, nil
}

func decodeKey(dst *[keyLength]byte, text string) error {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return err
	}
	if len(b) != keyLength {
		return errors.New("wrong length")
	}
	copy(dst[:], b)
	return nil
}

func equal(a, b []byte) bool { return hmac.Equal(a, b) }
