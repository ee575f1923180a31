package people

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/secret"
)

// ceremonyEnd is how long a browser may take: as long as half a sign-in lives.
const ceremonyEnd = halfway

// Challenges keeps which challenges were answered.
type Challenges interface {
	// SpendChallenge returns ErrConflict when it was answered before. It may be forgotten once it is due.
	SpendChallenge(ctx context.Context, hash string, due time.Time) error
}

// Ceremony is what a browser is given to ask a device for a passkey. It goes back with the device's answer.
type Ceremony struct {
	Options json.RawMessage `json:"options"` // for navigator.credentials
	Carry   string          `json:"ceremony"`
	End     time.Time       `json:"expires"`
}

// PasskeyAnswer is what a browser brings back.
type PasskeyAnswer struct {
	Carry    string
	Response []byte // the device's, in JSON as the standard has it
}

// What a ceremony is for. One is good for nothing else.
const (
	forSignIn = "sign in"
	forFactor = "factor"
	forAdding = "add"
)

// carried is a ceremony under way. It is sealed and travels with the page, so that who only looks at the sign-in page fills no table;
// that it was answered is kept.
type carried struct {
	For  string               `json:"for"`
	End  time.Time            `json:"end"`
	Data webauthn.SessionData `json:"data"`
}

// passkeySite makes the half of WebAuthn that is ours, for the address under which browsers reach the portal. A passkey belongs to a
// domain: without an address, or with one that has a number or a bare word for a host, there are none, and nil. Such a portal is
// otherwise fine.
func passkeySite(address string) *webauthn.WebAuthn {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	must := true
	wait := webauthn.TimeoutConfig{Timeout: ceremonyEnd, TimeoutUVD: ceremonyEnd}
	site, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "Postern", RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation, // which make of device it is tells us nothing that we act upon
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			RequireResidentKey: &must, ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
		Timeouts: webauthn.TimeoutsConfig{Login: wait, Registration: wait},
	})
	if err != nil || u.Hostname() == "" {
		return nil
	}
	return site
}

// decoyKey is a public key whose private half nobody has: an unknown passkey is checked against it, so that it takes as long as a
// known one.
func decoyKey(random io.Reader) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	point, err := key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return webauthncbor.Marshal(webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
		Curve:         int64(webauthncose.P256), XCoord: point[1:33], YCoord: point[33:],
	})
}

// errNoPasskeys is the answer where the portal has no name.
var errNoPasskeys = &Refusal{CodeNoPasskeys, "there are no passkeys here: the portal's address has no domain that they could belong to", "portal: {url: https://HOST.DOMAIN}"}

// begun seals a ceremony for whoever holds a secret: a session's token, or what a browser was given.
func (r *Registry) begun(what string, holder secret.Text, options any, data *webauthn.SessionData) (*Ceremony, error) {
	c := carried{For: what, End: r.c.Now().Add(ceremonyEnd).Truncate(time.Second), Data: *data}
	plain, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("keep a ceremony: %w", err)
	}
	text, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("write a ceremony: %w", err)
	}
	return &Ceremony{Options: text, Carry: encoded(r.carry.Seal(nil, nil, plain, holderOf(holder))), End: c.End}, nil
}

func holderOf(secret secret.Text) []byte {
	return []byte("passkey\x00" + identity.HashToken(secret.Reveal()))
}

// Why an answer was not taken, for the trail.
const (
	whyUnreadable = "unreadable"
	whyOther      = "challenge_other" // another browser's, session's or purpose's
	whyLate       = "challenge_expired"
	whyUsed       = "challenge_used"
	whyUnknown    = "passkey_unknown"
	whyOrigin     = "origin"
	whyUnverified = "not_verified" // the device did not ask who is there
	whyWrong      = "signature"
	whyCounter    = "counter"
	whySuspect    = "suspect"
)

// notTaken is an answer that proves nothing, and why. People are told less.
type notTaken struct{ why string }

// Error implements error.
func (n notTaken) Error() string { return "a passkey's answer was not taken: " + n.why }

// answered takes a ceremony back and uses it up, before anything of the answer is looked at: whoever sends it again comes too late,
// whatever became of it the first time.
func (r *Registry) answered(ctx context.Context, what string, holder secret.Text, carry string) (*carried, error) {
	sealed, err := decoded(carry)
	if err != nil {
		return nil, notTaken{whyOther}
	}
	plain, err := r.carry.Open(nil, nil, sealed, holderOf(holder))
	if err != nil {
		return nil, notTaken{whyOther}
	}
	var c carried
	if err := json.Unmarshal(plain, &c); err != nil {
		return nil, fmt.Errorf("read a ceremony: %w", err)
	}
	switch {
	case c.For != what:
		return nil, notTaken{whyOther}
	case !r.c.Now().Before(c.End):
		return nil, notTaken{whyLate}
	}
	err = r.c.Challenges.SpendChallenge(ctx, identity.HashToken(c.Data.Challenge), c.End)
	if errors.Is(err, ErrConflict) {
		return nil, notTaken{whyUsed}
	}
	return &c, err
}

// assertion checks a device's answer for somebody. The library says whether it is right; why it is not is worked out here.
func (r *Registry) assertion(c *carried, p *protocol.ParsedCredentialAssertionData, who holder) (*webauthn.Credential, error) {
	var cred *webauthn.Credential
	var err error
	if len(c.Data.UserID) == 0 {
		_, cred, err = r.site.ValidatePasskeyLogin(func(_, _ []byte) (webauthn.User, error) { return who, nil }, c.Data, p)
	} else {
		cred, err = r.site.ValidateLogin(who, c.Data, p)
	}
	client, flags := p.Response.CollectedClientData, p.Response.AuthenticatorData.Flags
	switch {
	case err == nil:
		return cred, nil
	case !protocol.IsOriginInHaystack(client.Origin, r.site.Config.RPOrigins):
		return nil, notTaken{whyOrigin}
	case client.Challenge != c.Data.Challenge:
		return nil, notTaken{whyOther}
	case !who.has(p.RawID):
		return nil, notTaken{whyUnknown}
	case !flags.HasUserVerified():
		return nil, notTaken{whyUnverified}
	}
	return nil, notTaken{whyWrong}
}

// holder is an account as WebAuthn sees it.
type holder struct{ *Account }

// WebAuthnID implements webauthn.User.
func (h holder) WebAuthnID() []byte { return h.Handle }

// WebAuthnName implements webauthn.User.
func (h holder) WebAuthnName() string { return h.Name }

// WebAuthnDisplayName implements webauthn.User.
func (h holder) WebAuthnDisplayName() string { return h.Name }

// WebAuthnCredentials implements webauthn.User.
func (h holder) WebAuthnCredentials() []webauthn.Credential {
	out := make([]webauthn.Credential, 0, len(h.Passkeys))
	for _, k := range h.Passkeys {
		c := webauthn.Credential{
			ID: k.ID, PublicKey: k.Key, Flags: webauthn.NewCredentialFlags(protocol.AuthenticatorFlags(k.Flags)),
			Authenticator: webauthn.Authenticator{SignCount: k.Count},
		}
		for _, t := range k.Transports {
			c.Transport = append(c.Transport, protocol.AuthenticatorTransport(t))
		}
		out = append(out, c)
	}
	return out
}

func (h holder) has(id []byte) bool {
	for _, k := range h.Passkeys {
		if bytes.Equal(k.ID, id) {
			return true
		}
	}
	return false
}
