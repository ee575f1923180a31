package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

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
	salt := derive(rootKey, "identity salt", serverID, role, generation)[:16]
	salted, err := pbkdf2.Key(sha256.New, IdentityPassword(rootKey, serverID, role, generation).Reveal(), salt, scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive the verifier of %s: %w", role, err)
	}
	stored := sha256.Sum256(hmacSHA256(salted, []byte("Client Key")))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations, b64(salt), b64(stored[:]), b64(hmacSHA256(salted, []byte("Server Key")))), nil
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
