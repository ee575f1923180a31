package people

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/secret"
)

// Passkey is a key pair whose private half stays in a device of its owner's (WebAuthn). Whoever uses one has proved two factors: the
// device, and to the device who they are.
type Passkey struct {
	ID         []byte    `json:"id"` // that the device gave it
	Name       string    `json:"name"`
	Key        []byte    `json:"key"` // the public half, in COSE's form
	Count      uint32    `json:"count,omitempty"`
	Flags      byte      `json:"flags"`
	Transports []string  `json:"transports,omitempty"`
	Created    time.Time `json:"created"`
	Used       time.Time `json:"used,omitzero"`
	Suspect    time.Time `json:"suspect,omitzero"` // its counter went back: there may be a copy. It opens nothing from then on
}

// Handle is what people call a passkey by where its name is not enough.
func (k *Passkey) Handle() string { return PasskeyHash(k.ID)[:16] }

// PasskeyHash is under what a passkey is found.
func PasskeyHash(id []byte) string {
	sum := sha256.Sum256(id)
	return hex.EncodeToString(sum[:])
}

const (
	handleBytes    = 32 // of the name that devices keep for somebody: random, so that it says nothing
	maxPasskeys    = 20
	maxPasskeyName = 60
)

var (
	errPasskey = &Refusal{CodeLogin, "this passkey opens nothing here", "use another, or your password"}
	errLate    = &Refusal{CodePasskeyLate, "that took too long, or was sent twice", "try again"}
)

func encoded(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decoded(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }

// HasPasskeys says whether there can be any.
func (r *Registry) HasPasskeys() bool { return r.site != nil }

// PasskeyToSignIn begins a sign-in by passkey for whoever holds browser, a secret of the caller's making. It names nobody: the device
// knows who it is.
func (r *Registry) PasskeyToSignIn(browser secret.Text) (*Ceremony, error) {
	if r.site == nil {
		return nil, errNoPasskeys
	}
	options, data, err := r.site.BeginDiscoverableLogin()
	if err != nil {
		return nil, err
	}
	return r.begun(forSignIn, browser, options.Response, data)
}

// SignInByPasskey ends it. The answer is the same, and takes as long, for a passkey that is unknown, removed, of a disabled account,
// or not right. The brake is that of passwords; a name is not held up, as no guess at a name's password makes its passkey weaker, and
// nobody should be kept out by strangers.
func (r *Registry) SignInByPasskey(ctx context.Context, browser secret.Text, answer PasskeyAnswer, from From) (*Entry, error) {
	if r.site == nil {
		return nil, errNoPasskeys
	}
	from.Method = "passkey"
	here := "\x00passkey from " + from.Addr.String()
	leave, locked, err := r.enter(ctx, here, from)
	if err != nil {
		return nil, err
	}
	a, err := r.byPasskey(ctx, browser, answer, locked, from)
	leave()
	var no notTaken
	if errors.As(err, &no) {
		_, counted := r.c.Throttle.Failed(ctx, from.Addr, here, r.c.Now())
		return nil, errors.Join(told(no), counted, r.record(ctx, from, audit.PortalLogin, a.Name, "refuse", no.why, nil))
	}
	if err != nil {
		return nil, err
	}
	if err := r.c.Throttle.Succeeded(ctx, from.Addr, a.Name, r.c.Now()); err != nil {
		return nil, err
	}
	return r.begin(ctx, &a, Full, from, "", r.c.Now())
}

// told is what a person learns of why an answer was not taken: whether trying again helps.
func told(no notTaken) *Refusal {
	if no.why == whyLate || no.why == whyUsed || no.why == whyOther {
		return errLate
	}
	return errPasskey
}

// byPasskey finds whose passkey it is and checks the answer, with a decoy where it is nobody's.
func (r *Registry) byPasskey(ctx context.Context, browser secret.Text, answer PasskeyAnswer, locked bool, from From) (Account, error) {
	c, err := r.answered(ctx, forSignIn, browser, answer.Carry)
	if err != nil {
		return Account{}, err
	}
	p, err := protocol.ParseCredentialRequestResponseBytes(answer.Response)
	if err != nil {
		return Account{}, notTaken{whyUnreadable}
	}
	found, err := r.c.Accounts.PasskeyAccount(ctx, PasskeyHash(p.RawID))
	if err != nil && !errors.Is(err, ErrNone) {
		return Account{}, err
	}
	a, err := r.used(ctx, found.Name, c, p, from, func(a *Account) string {
		switch {
		case locked:
			return "locked"
		case !r.welcome(a) || !r.local(a):
			return "deactivated"
		}
		return ""
	})
	if !errors.Is(err, ErrNone) {
		return a, err
	}
	decoy := Account{Handle: p.Response.UserHandle, Passkeys: []Passkey{{ID: p.RawID, Key: r.decoy, Flags: byte(p.Response.AuthenticatorData.Flags)}}}
	_, err = r.assertion(c, p, holder{&decoy})
	if no := (notTaken{}); errors.As(err, &no) && no.why != whyWrong {
		return Account{}, err
	}
	return Account{}, notTaken{whyUnknown}
}

// local says whether somebody signs in here at all, and not through an identity provider: whom that turns away shall not come in by
// another door. Their passkeys are second factors.
func (r *Registry) local(a *Account) bool {
	u := r.c.Policy().Users[a.Name]
	return a.Password != "" || u != nil && u.SCRAM != ""
}

// used checks an answer against an account and keeps what follows: the new counter, or that it went back. Others may use the same
// passkey at the same moment; each is checked against what the one before left.
func (r *Registry) used(
	ctx context.Context, name string, c *carried, p *protocol.ParsedCredentialAssertionData, from From, may func(a *Account) string,
) (Account, error) {
	copied := ""
	a, err := r.change(ctx, name, func(a *Account, now time.Time) error {
		copied = ""
		cred, err := r.assertion(c, p, holder{a})
		if err != nil {
			return err
		}
		if why := may(a); why != "" {
			return notTaken{why}
		}
		k := &a.Passkeys[slices.IndexFunc(a.Passkeys, func(k Passkey) bool { return bytes.Equal(k.ID, p.RawID) })]
		switch {
		case !k.Suspect.IsZero():
			return notTaken{whySuspect}
		case cred.Authenticator.CloneWarning:
			k.Suspect, copied = now, k.Handle()
			return nil
		}
		k.Count, k.Flags, k.Used = cred.Authenticator.SignCount, byte(cred.Flags.ProtocolValue()), now
		return nil
	})
	if err != nil || copied == "" {
		return a, err
	}
	return a, errors.Join(notTaken{whyCounter}, r.record(ctx, from, audit.PasskeySuspect, a.Name, "refuse", whyCounter, map[string]string{"passkey": copied}))
}

// PasskeyToProve begins the proof of a second factor by passkey: of a sign-in's, or a fresh one.
func (r *Registry) PasskeyToProve(ctx context.Context, token secret.Text) (*Ceremony, error) {
	s, a, err := r.live(ctx, token)
	switch {
	case err != nil:
		return nil, err
	case r.site == nil:
		return nil, errNoPasskeys
	case s.Stage == AtEnrol || len(a.Passkeys) == 0:
		return nil, &Refusal{CodeFactor, "there is no passkey to prove", ""}
	}
	options, data, err := r.site.BeginLogin(holder{&a})
	if err != nil {
		return nil, err
	}
	return r.begun(forFactor, token, options.Response, data)
}

// ProveByPasskey is Prove with a passkey.
func (r *Registry) ProveByPasskey(ctx context.Context, token secret.Text, answer PasskeyAnswer, from From) (*Entry, error) {
	s, err := r.at(ctx, token, AtFactor)
	if err == nil {
		err = s.elsewhere(from.Channel)
	}
	if err != nil {
		return nil, err
	}
	a, err := r.factorByPasskey(ctx, &s, token, answer, from)
	if err != nil {
		return nil, err
	}
	from.signOn = s.SignOn
	return r.begin(ctx, &a, Full, from, s.Hash, r.c.Now())
}

// StepUpByPasskey is StepUp with a passkey.
func (r *Registry) StepUpByPasskey(ctx context.Context, token secret.Text, answer PasskeyAnswer, from From) (*Session, error) {
	s, err := r.at(ctx, token, Full)
	if err != nil {
		return nil, err
	}
	if _, err := r.factorByPasskey(ctx, &s, token, answer, from); err != nil {
		return nil, err
	}
	s.Factor = r.c.Now()
	return &s, r.keep(ctx, s)
}

// factorByPasskey checks a passkey as a second factor. It is not locked by wrong codes: nobody guesses one, and whoever has the
// password shall not keep its owner out.
func (r *Registry) factorByPasskey(ctx context.Context, s *Session, token secret.Text, answer PasskeyAnswer, from From) (Account, error) {
	a, err := r.factorUsed(ctx, s, token, answer, from)
	var no notTaken
	if errors.As(err, &no) {
		said := told(no)
		if said == errPasskey {
			said = &Refusal{CodeFactor, "this passkey is not one of yours, or no longer", "use another, or a code"}
		}
		return a, errors.Join(said, r.tried(ctx, s), r.record(ctx, from, audit.FactorRefused, s.Subject, "refuse", no.why, map[string]string{"session": s.ID, "factor": "passkey"}))
	}
	if err != nil {
		return a, err
	}
	return a, r.record(ctx, from, audit.FactorProved, s.Subject, "allow", "", map[string]string{"session": s.ID, "factor": "passkey"})
}

func (r *Registry) factorUsed(ctx context.Context, s *Session, token secret.Text, answer PasskeyAnswer, from From) (Account, error) {
	if r.site == nil {
		return Account{}, errNoPasskeys
	}
	c, err := r.answered(ctx, forFactor, token, answer.Carry)
	if err != nil {
		return Account{}, err
	}
	p, err := protocol.ParseCredentialRequestResponseBytes(answer.Response)
	if err != nil {
		return Account{}, notTaken{whyUnreadable}
	}
	a, err := r.used(ctx, s.Subject, c, p, from, func(*Account) string { return "" })
	if errors.Is(err, ErrNone) {
		err = notTaken{whyUnknown}
	}
	return a, err
}

// PasskeyToAdd begins to add a passkey, in a sign-in that still needs a second factor or in a session that has just proved who it is.
func (r *Registry) PasskeyToAdd(ctx context.Context, token secret.Text) (*Ceremony, error) {
	_, a, err := r.manages(ctx, token, true)
	if err != nil {
		return nil, err
	}
	if len(a.Handle) == 0 { // it is kept with the first passkey
		if a.Handle, err = r.draw(handleBytes); err != nil {
			return nil, err
		}
	}
	known := webauthn.Credentials(holder{&a}.WebAuthnCredentials()).CredentialDescriptors()
	options, data, err := r.site.BeginRegistration(holder{&a}, webauthn.WithExclusions(known))
	if err != nil {
		return nil, err
	}
	return r.begun(forAdding, token, options.Response, data)
}

// MayManage says why somebody may not add or remove passkeys now, or make others what they were not, if so.
func (r *Registry) MayManage(ctx context.Context, token secret.Text) error {
	_, _, err := r.manages(ctx, token, false)
	return err
}

// manages finds a session that may set up, add or remove second factors now: whoever finds an open browser, or a token that is hours
// old, shall not make themselves a key to it. A passkey needs a site to belong to.
func (r *Registry) manages(ctx context.Context, token secret.Text, passkey bool) (Session, Account, error) {
	s, a, err := r.live(ctx, token)
	switch {
	case err != nil:
		return s, a, err
	case r.site == nil && passkey:
		return s, a, errNoPasskeys
	case s.Stage == AtFactor:
		return s, a, &Refusal{CodeStage, "prove your second factor first", ""}
	case s.Stage == AtEnrol:
		return s, a, nil
	case a.Factored() && r.c.Now().Sub(s.Factor) > FactorFresh:
		return s, a, &Refusal{CodeStage, "this wants a fresh second factor", "prove it again"}
	case !a.Factored() && r.c.Now().Sub(s.signed()) > FactorFresh:
		return s, a, &Refusal{CodeStage, "this wants a fresh sign-in", "sign out and in again"}
	}
	return s, a, nil
}

// AddPasskey keeps a new passkey under a name. The first second factor of an account comes with recovery codes, shown once, and ends
// its other sessions, as Confirm does.
func (r *Registry) AddPasskey(ctx context.Context, token secret.Text, name string, answer PasskeyAnswer, from From) (*Entry, error) {
	s, a, err := r.manages(ctx, token, true)
	if err != nil {
		return nil, err
	}
	if name = strings.TrimSpace(name); !passkeyName(name) {
		return nil, &Refusal{CodeName, "a passkey's name has 1 to 60 characters", "such as the device: blue key, phone"}
	}
	k, handle, err := r.attested(ctx, &a, token, answer)
	var no notTaken
	if errors.As(err, &no) {
		said := told(no)
		if said == errPasskey {
			said = &Refusal{CodePasskey, "the device's answer was not taken", "try again, or use another device"}
		}
		return nil, errors.Join(said, r.tried(ctx, &s), r.record(ctx, from, audit.PasskeyRefused, s.Subject, "refuse", no.why, map[string]string{"session": s.ID}))
	}
	if err != nil {
		return nil, err
	}
	k.Name = name
	if err := r.record(ctx, from, audit.PasskeyAdded, s.Subject, "allow", "", map[string]string{"session": s.ID, "passkey": k.Handle(), "name": name}); err != nil {
		return nil, err
	}
	return r.keepPasskey(ctx, s, token, k, handle, from)
}

func passkeyName(name string) bool {
	odd := func(c rune) bool { return !unicode.IsPrint(c) }
	return name != "" && utf8.RuneCountInString(name) <= maxPasskeyName && utf8.ValidString(name) && !strings.ContainsFunc(name, odd)
}

// attested checks what a device says of a new passkey, and that nobody has it already.
func (r *Registry) attested(ctx context.Context, a *Account, token secret.Text, answer PasskeyAnswer) (k *Passkey, handle []byte, err error) {
	c, err := r.answered(ctx, forAdding, token, answer.Carry)
	if err != nil {
		return nil, nil, err
	}
	p, err := protocol.ParseCredentialCreationResponseBytes(answer.Response)
	if err != nil {
		return nil, nil, notTaken{whyUnreadable}
	}
	who := *a
	if len(who.Handle) == 0 {
		who.Handle = c.Data.UserID
	}
	cred, err := r.site.CreateCredential(holder{&who}, c.Data, p)
	if err != nil {
		client := p.Response.CollectedClientData
		switch {
		case !protocol.IsOriginInHaystack(client.Origin, r.site.Config.RPOrigins):
			return nil, nil, notTaken{whyOrigin}
		case !p.Response.AttestationObject.AuthData.Flags.HasUserVerified():
			return nil, nil, notTaken{whyUnverified}
		}
		return nil, nil, notTaken{whyWrong}
	}
	if _, err := r.c.Accounts.PasskeyAccount(ctx, PasskeyHash(cred.ID)); !errors.Is(err, ErrNone) {
		return nil, nil, errOr(err, notTaken{"passkey_known"})
	}
	k = &Passkey{ID: cred.ID, Key: cred.PublicKey, Count: cred.Authenticator.SignCount, Flags: byte(cred.Flags.ProtocolValue()), Created: r.c.Now()}
	for _, t := range cred.Transport {
		k.Transports = append(k.Transports, string(t))
	}
	return k, who.Handle, nil
}

func (r *Registry) keepPasskey(ctx context.Context, s Session, token secret.Text, k *Passkey, handle []byte, from From) (*Entry, error) {
	codes, hashes, err := r.recoveryCodes()
	if err != nil {
		return nil, err
	}
	first := false
	a, err := r.ensured(ctx, s.Subject, func(a *Account, _ time.Time) error {
		switch {
		case s.Stage == AtEnrol && a.Factored():
			return errSession // another sign-in has set one up meanwhile
		case len(a.Handle) > 0 && !bytes.Equal(a.Handle, handle):
			return errLate
		case len(a.Passkeys) >= maxPasskeys:
			return &Refusal{"too_many", "you have as many passkeys as there can be", "remove one that you no longer use"}
		}
		if first = !a.Factored(); first {
			a.Recovery, a.Wrong = hashes, 0
		}
		a.Handle, a.Passkeys = handle, append(a.Passkeys, *k)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !first {
		return &Entry{Token: token, Session: s, Role: a.Role}, nil
	}
	if err := r.c.Sessions.EndSessions(ctx, s.Subject, nil); err != nil {
		return nil, err
	}
	from.Channel, from.signOn = s.Channel, s.SignOn
	e, err := r.begin(ctx, &a, Full, from, "", r.c.Now())
	if err != nil {
		return nil, err
	}
	e.Recovery = codes
	return e, nil
}

// RemovePasskey forgets a passkey, and ends the account's other sessions: one of them may have been opened with it.
func (r *Registry) RemovePasskey(ctx context.Context, token secret.Text, handle string, from From) error {
	s, a, err := r.manages(ctx, token, false)
	if err != nil {
		return err
	}
	without := func(a *Account, _ time.Time) error { return r.without(a, handle) }
	if err := without(&a, r.c.Now()); err != nil {
		return errors.Join(err, r.record(ctx, from, audit.PasskeyRefused, s.Subject, "refuse", refusalCode(err), map[string]string{"session": s.ID, "passkey": handle}))
	}
	if err := r.record(ctx, from, audit.PasskeyRemoved, s.Subject, "allow", "", map[string]string{"session": s.ID, "passkey": handle}); err != nil {
		return err
	}
	if _, err := r.change(ctx, s.Subject, without); err != nil {
		return err
	}
	return r.endOthers(ctx, s)
}

// without takes a passkey out of an account. The last second factor of somebody who must have one stays (ACC-60).
func (r *Registry) without(a *Account, handle string) error {
	i := slices.IndexFunc(a.Passkeys, func(k Passkey) bool { return k.Handle() == handle })
	if i < 0 {
		return &Refusal{"not_found", "you have no passkey " + handle, ""}
	}
	a.Passkeys = slices.Delete(slices.Clone(a.Passkeys), i, i+1)
	if a.Factored() {
		return nil
	}
	if r.needsFactor(a) {
		return &Refusal{CodeLastFactor, "this is your last second factor, and you decide for others", "add another passkey or an authenticator app first"}
	}
	a.Recovery, a.Wrong, a.Locked = nil, 0, time.Time{} // they stood in for it
	return nil
}

func refusalCode(err error) string {
	var no *Refusal
	if errors.As(err, &no) {
		return no.Code
	}
	return ""
}

// Passkeys lists somebody's, the oldest first.
func (r *Registry) Passkeys(ctx context.Context, subject string) ([]Passkey, error) {
	a, err := r.c.Accounts.Account(ctx, subject)
	if errors.Is(err, ErrNone) {
		return nil, nil
	}
	return a.Passkeys, err
}

// NewBrowser draws the secret that a sign-in by passkey is tied to before there is a session.
func (r *Registry) NewBrowser() (secret.Text, error) {
	token, _, err := identity.NewToken(r.c.Random)
	return token, err
}
