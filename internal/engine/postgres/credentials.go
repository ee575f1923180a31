package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"sync"

	"github.com/postern-sec/postern/internal/secret"
)

// scramIterations is what PostgreSQL itself uses. Identity passwords have 256 bits of their own: more rounds would add nothing.
const scramIterations = 4096

// IdentityPassword is the password of an identity role: HMAC-SHA-256 of the server, the role and a generation under the root key
// (ENF-97). Nobody is shown it and nothing stores it; a new generation replaces them all. serverID is Snapshot.ServerID.
func IdentityPassword(rootKey secret.Text, serverID, role string, generation int) secret.Text {
	sum := derive(rootKey, "identity password", serverID, role, generation)
	return secret.New(base64.RawURLEncoding.EncodeToString(sum))
}

// IdentityVerifier is the SCRAM-SHA-256 verifier of that password, as PostgreSQL stores it. Its salt is derived like the password, so
// that the same role always has the same verifier and a second plan finds nothing to do.
func IdentityVerifier(rootKey secret.Text, serverID, role string, generation int) (string, error) {
	whole := derive(rootKey, "identity salt", serverID, role, generation)
	// Every comparison with a server asks for everybody's: thousands of times thousands of rounds, for the same answers.
	if known, ok := verifiers.get(string(whole)); ok {
		return known, nil
	}
	salt := whole[:16]
	salted, err := pbkdf2.Key(sha256.New, IdentityPassword(rootKey, serverID, role, generation).Reveal(), salt, scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive the verifier of %s: %w", role, err)
	}
	stored := sha256.Sum256(hmacSHA256(salted, []byte("Client Key")))
	b64 := base64.StdEncoding.EncodeToString
	verifier := fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, b64(salt), b64(stored[:]), b64(hmacSHA256(salted, []byte("Server Key"))))
	verifiers.put(string(whole), verifier)
	return verifier, nil
}

// verifiersMost bounds what is remembered: some twenty megabytes.
const verifiersMost = 1 << 16

// verifiers remembers the verifiers that were worked out, under what their salts are cut from: the root key is in it. They prove
// nothing that the root key, which is in memory all the while, does not make.
var verifiers = &verifierCache{of: map[string]string{}}

type verifierCache struct {
	mu sync.Mutex
	of map[string]string
}

func (c *verifierCache) get(key string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.of[key]
	return v, ok
}

func (c *verifierCache) put(key, verifier string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.of) >= verifiersMost {
		clear(c.of)
	}
	c.of[key] = verifier
}

// derive is one value of the root key; parts are told apart by a byte that no name holds.
func derive(rootKey secret.Text, purpose, serverID, role string, generation int) []byte {
	return hmacSHA256([]byte(rootKey.Reveal()), []byte(fmt.Sprintf("postern %s\x00%s\x00%s\x00%d", purpose, serverID, role, generation)))
}

func hmacSHA256(key, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return mac.Sum(nil)
}
