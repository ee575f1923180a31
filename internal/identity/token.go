package identity

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/postern-sec/postern/internal/secret"
)

// TokenPrefix begins every bearer token, so that scanners of source code and logs know one when they see it.
const TokenPrefix = "postern_"

// tokenBytes of randomness make a token: more than anybody can guess, so that a plain hash is enough to keep.
const tokenBytes = 30

// NewToken draws a bearer token and the hash under which it is kept.
func NewToken(random io.Reader) (token secret.Text, hash string, err error) {
	raw := make([]byte, tokenBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return secret.Text{}, "", fmt.Errorf("read randomness: %w", err)
	}
	text := TokenPrefix + strings.ToLower(base32.StdEncoding.EncodeToString(raw))
	return secret.New(text), HashToken(text), nil
}

// HashToken is what is kept of a bearer token. Looking one up by its hash tells nobody by timing how much of it was right.
func HashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// CheckPassword says whether a password fits an account's credentials, in the same time whichever fits, and whether there is an
// account or not: without one the mock's stands in.
func CheckPassword(account *Account, user string, password secret.Text, mock *Mock) (bool, error) {
	real := account != nil
	if !real {
		account = mock.account(user)
	}
	k, err := DeriveKeys(password, account.Salt, account.Iterations)
	if err != nil {
		return false, err
	}
	fits := false
	for i := range account.Credentials {
		c := &account.Credentials[i]
		fits = equal(k.StoredKey[:], c.StoredKey[:]) || fits
	}
	return fits && real, nil
}
