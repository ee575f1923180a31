package identity

import (
	"fmt"
	"io"
	"time"

	"github.com/postern-sec/postern/internal/secret"
)

// IssuedKind says what an issued credential opens.
type IssuedKind string

// The kinds of issued credential.
const (
	Session   IssuedKind = "session"   // the portal and the command line, after a login
	Personal  IssuedKind = "personal"  // the same, and the gateway, for programs of one person: named, scoped, with an end
	Temporary IssuedKind = "temporary" // the gateway alone
	// ClientCertificate opens the gateway, together with a key that never left its holder's machine.
	ClientCertificate IssuedKind = "certificate"
)

// Issued is a secret that Postern made and keeps only what proves it of.
type Issued struct {
	ID      string     `json:"id"`
	Kind    IssuedKind `json:"kind"`
	Subject string     `json:"subject"`
	Name    string     `json:"name,omitempty"`
	Store   string     `json:"store,omitempty"` // the only one it is good for
	Scopes  []Scope    `json:"scopes,omitempty"`
	Hash    string     `json:"hash,omitempty"` // of a bearer token
	// StoredKey and ServerKey prove it over SCRAM.
	StoredKey []byte `json:"stored_key,omitempty"`
	ServerKey []byte `json:"server_key,omitempty"`
	// Fingerprint is the SHA-256 of a certificate, Authority who signed it, and Login the session that it came from and ends with.
	Fingerprint string `json:"fingerprint,omitempty"`
	Authority   string `json:"authority,omitempty"`
	Login       string `json:"login,omitempty"`
	// SignOn is the session at the identity provider that a temporary credential came of, and ends with when the provider says so.
	SignOn string `json:"sign_on,omitempty"`

	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Revoked time.Time `json:"revoked,omitzero"`
	Factor  time.Time `json:"factor,omitzero"` // when a second factor was proved with it
	Admin   bool      `json:"admin,omitempty"` // made by an operator at the machine
}

// Live says whether it opens anything at a time.
func (i *Issued) Live(now time.Time) bool { return i.Revoked.IsZero() && now.Before(i.Expires) }

// Credential is what SCRAM needs of it; ok is false for one that is no password.
func (i *Issued) Credential() (c Credential, ok bool) {
	if len(i.StoredKey) != keyLength || len(i.ServerKey) != keyLength {
		return Credential{}, false
	}
	c = Credential{ID: i.ID, Store: i.Store, Expires: i.Expires, Revoked: !i.Revoked.IsZero(), Personal: i.Kind == Personal}
	copy(c.StoredKey[:], i.StoredKey)
	copy(c.ServerKey[:], i.ServerKey)
	return c, true
}

// NewPassword draws a password and makes it provable under an account's salt and iteration count.
func (i *Issued) NewPassword(iterations int, salt []byte, random io.Reader) (secret.Text, error) {
	raw := make([]byte, 18)
	if _, err := io.ReadFull(random, raw); err != nil {
		return secret.Text{}, fmt.Errorf("read randomness: %w", err)
	}
	password := secret.New(passwordText(raw))
	return password, i.SetPassword(password, iterations, salt)
}

// SetPassword makes a password, such as a token, provable over SCRAM.
func (i *Issued) SetPassword(password secret.Text, iterations int, salt []byte) error {
	k, err := DeriveKeys(password, salt, iterations)
	if err != nil {
		return err
	}
	i.StoredKey, i.ServerKey = k.StoredKey[:], k.ServerKey[:]
	return nil
}

// passwordText writes bytes in letters and digits that are told apart when read aloud, in groups.
func passwordText(raw []byte) string {
	const alphabet = "abcdefghjkmnpqrstuvwxyz23456789x" // 32 of them; one doubles, which costs nothing that matters
	out := make([]byte, 0, len(raw)+len(raw)/6)
	for i, b := range raw {
		if i > 0 && i%6 == 0 {
			out = append(out, '-')
		}
		out = append(out, alphabet[b&31])
	}
	return string(out)
}
