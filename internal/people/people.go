// Package people is the local sign-in: accounts with a password, a second factor and recovery codes, the links that invite
// people, and the sessions that come of it. The JSON interface and the pages call the same methods, so that neither can skip a step:
// a password yields a session that opens nothing until the factor is proved.
//
// It decides who somebody is and never what they may: rights are the policy's. It keeps no secret in the clear: passwords are
// argon2id hashes, tokens, links and recovery codes are hashes, and the seeds of one-time passwords are sealed under a key of the
// installation. It imports identity for tokens and the brake on guessing, and audit, because every event is in the trail first.
package people

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// Role is what an account may do at the portal besides what the policy gives its subject.
type Role string

// The roles. An owner, an approver and a consumer are what the policy says, and need none.
const (
	NoRole  Role = ""
	Admin   Role = "admin"   // people, settings, revocation of any grant
	Editor  Role = "editor"  // drafts of the policy
	Reader  Role = "reader"  // reads policy, posture and settings
	Auditor Role = "auditor" // reads trail, grants and findings
)

// Account is what is kept of somebody who signs in here. Its name is a subject of the policy, or an admin who is in none.
type Account struct {
	Name     string    `json:"name"`
	Version  int       `json:"version"` // 1 is new; any other must stand at the one before
	Role     Role      `json:"role,omitempty"`
	Created  time.Time `json:"created"`
	Disabled time.Time `json:"disabled,omitzero"`
	Enabled  time.Time `json:"enabled,omitzero"` // again, the last time that it was disabled before
	Reset    time.Time `json:"reset,omitzero"`   // what began before it is over

	// Password is an argon2id hash. Empty: none was chosen yet, or the policy file's verifier proves the password.
	Password string `json:"password,omitempty"`
	// Seed of the one-time passwords, sealed. Step is the last one that was used; none before it works again.
	Seed     []byte    `json:"seed,omitempty"`
	Step     int64     `json:"step,omitempty"`
	Recovery []string  `json:"recovery,omitempty"` // keyed hashes of those that were not used
	Wrong    int       `json:"wrong,omitempty"`    // second factors in a row
	Locked   time.Time `json:"locked,omitzero"`    // the second factor, until then

	Passkeys []Passkey `json:"passkeys,omitempty"`
	Handle   []byte    `json:"handle,omitempty"` // what their devices know somebody by

	Invite    string    `json:"invite,omitempty"` // hash of the link's secret
	InviteEnd time.Time `json:"invite_end,omitzero"`
}

// Factored says whether an account has a second factor.
func (a *Account) Factored() bool { return len(a.Seed) > 0 || len(a.Passkeys) > 0 }

// Stage says what a session is good for.
type Stage string

// The stages.
const (
	AtFactor Stage = "factor" // the password was right; the second factor is missing
	AtEnrol  Stage = "enrol"  // the password was right; a second factor has to be set up first
	Full     Stage = "full"
)

// Session is one sign-in, kept under the hash of its token.
type Session struct {
	ID      string    `json:"id"`
	Hash    string    `json:"hash"`
	Subject string    `json:"subject"`
	Stage   Stage     `json:"stage"`
	Channel string    `json:"channel"` // portal or cli
	Address string    `json:"address,omitempty"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
	End     time.Time `json:"end"` // at the latest
	Idle    bool      `json:"idle,omitempty"`
	Factor  time.Time `json:"factor,omitzero"`   // when a second factor was last proved
	Signed  time.Time `json:"signed,omitzero"`   // when the session that let this one in had begun
	SignOn  string    `json:"sign_on,omitempty"` // which session at the identity provider it came of, as that knows it
	Seed    []byte    `json:"seed,omitempty"`    // of a factor that is being set up, sealed
	Tries   int       `json:"tries,omitempty"`   // wrong second factors
}

// signed is when somebody last proved who they are for a session.
func (s *Session) signed() time.Time {
	if s.Signed.IsZero() {
		return s.Created
	}
	return s.Signed
}

// Accounts keeps accounts. It is safe for concurrent use, also by several processes.
type Accounts interface {
	// Account returns ErrNone if there is none.
	Account(ctx context.Context, name string) (Account, error)
	Accounts(ctx context.Context) ([]Account, error)
	// Invited finds the account of a link's hash, or ErrNone.
	Invited(ctx context.Context, hash string) (Account, error)
	// PasskeyAccount finds the account of a passkey, by PasskeyHash, or ErrNone.
	PasskeyAccount(ctx context.Context, hash string) (Account, error)
	// KeepAccount returns ErrConflict when somebody else was faster, or one of the passkeys is another account's.
	KeepAccount(ctx context.Context, a Account) error
	// EndAccount keeps an account as KeepAccount does, and ends in the same transaction every session, token, temporary credential and
	// certificate of its, and what it handed on to somebody who stands in.
	EndAccount(ctx context.Context, a Account, now time.Time) error
	// Credentials lists what a subject holds, or everybody with "", and has neither ended nor been revoked.
	Credentials(ctx context.Context, subject string, now time.Time) ([]identity.Issued, error)
}

// Sessions keeps sessions, as Accounts does.
type Sessions interface {
	// BeginSession adds a session. With instead the one with that hash ends in the same transaction; ErrNone if it has already.
	BeginSession(ctx context.Context, s Session, instead string) error
	// KeepSession changes a session. One that was ended meanwhile stays ended: ErrNone.
	KeepSession(ctx context.Context, s Session) error
	// SessionOf returns ErrNone if there is none.
	SessionOf(ctx context.Context, hash string) (Session, error)
	// SessionsOf lists a subject's, or with "" everybody's.
	SessionsOf(ctx context.Context, subject string) ([]Session, error)
	// EndSessions ends those of a subject with these ids, or with nil all of them.
	EndSessions(ctx context.Context, subject string, ids []string) error
}

// Errors of the stores.
var (
	ErrNone     = errors.New("there is no such account or session")
	ErrConflict = errors.New("somebody else was faster")
)

// Refusal is a "no" to a person. Code is stable.
type Refusal struct{ Code, Text, Hint string }

// Error implements error.
func (r *Refusal) Error() string { return r.Text }

// The codes of refusals. Whoever failed to sign in learns no more than CodeLogin.
const (
	CodeLogin    = "login_failed"
	CodeSession  = "not_logged_in"
	CodeFactor   = "second_factor_wrong"
	CodeLocked   = "second_factor_locked"
	CodeStage    = "second_factor_required"
	CodePassword = "bad_password"
	CodeInvite   = "invitation_over"
	CodeName     = "bad_name"
	CodeExists   = "exists"
	CodeNotAdmin = "not_admin"
	CodeSignOn   = "sign_on_failed"
	CodeProvider = "provider_unreachable"

	CodeNoPasskeys  = "no_passkeys"
	CodePasskey     = "passkey_refused"
	CodePasskeyLate = "passkey_expired"
	CodeLastFactor  = "last_second_factor"
)

var (
	errLogin   = &Refusal{CodeLogin, "user and password do not fit", ""}
	errSession = &Refusal{CodeSession, "you are not logged in, or no longer", "postern login"}
	errInvite  = &Refusal{CodeInvite, "this invitation was used, replaced, or is over", "ask for a new one: postern user invite NAME"}
)

// How long things last.
const (
	IdleEnd     = 15 * time.Minute // of a browser's session
	AbsoluteEnd = 12 * time.Hour
	AdminEnd    = 2 * time.Hour
	InviteEnd   = 72 * time.Hour
	FactorFresh = 5 * time.Minute // what a step-up is good for

	halfway       = 10 * time.Minute // between password and second factor
	seenEvery     = 30 * time.Second
	triesPerTurn  = 5
	lockAfter     = 10 // wrong second factors in a row, over all sessions
	lockFor       = 15 * time.Minute
	attempts      = 8 // of a change that others outrun
	hashingAtOnce = 2 // argon2id takes 64 MiB each
)

// Config is what a Registry needs. Every field is required but Cost, URL, Challenges without it, Emergency, and Alarm, which goes with it.
type Config struct {
	Accounts Accounts
	Sessions Sessions
	Devices  Devices
	Policy   func() *policy.Policy
	Audit    audit.Recorder
	Throttle identity.Brake
	Mock     *identity.Mock
	Key      secret.Text // of the installation: what is kept is sealed and hashed under keys derived from it
	Now      func() time.Time
	Random   io.Reader
	Cost     Cost   // of a password's hash; zero: DefaultCost
	URL      string // under which browsers reach the portal: the name in it is what passkeys belong to; "": there are none

	Challenges Challenges
	// Emergency is the hash of the emergency admin's password; "": there is none. Alarm tells the admins when one signs in.
	Emergency string
	Alarm     func(ctx context.Context, kind audit.Kind, subject string)
}

// Registry signs people in. It is safe for concurrent use.
type Registry struct {
	c     Config
	seal  cipher.AEAD
	code  []byte             // key of recovery codes' hashes
	dummy string             // a hash that no password fits
	site  *webauthn.WebAuthn // nil: there are no passkeys
	carry cipher.AEAD        // seals ceremonies
	decoy []byte             // a public key that no passkey fits
	gate  chan struct{}
	// machine is the brake of the emergency admin's socket, which works without state, and own its place to hash, beside strangers'.
	machine identity.Brake
	own     chan struct{}
	// alarms are the sessions of the emergency admin, by the hashes of their tokens.
	alarms sync.Map
}

// From is where somebody comes from.
type From struct {
	Addr    netip.Addr // for the brake on guessing
	Remote  string     // for the trail
	Channel string     // portal or cli
	Method  string     // how, where it is not by password

	signOn string // of the identity provider, of the session that begins
}

// New makes a registry.
func New(c Config) (*Registry, error) {
	if c.Emergency != "" {
		if err := CheckEmergency(c.Emergency); err != nil {
			return nil, fmt.Errorf("identity.emergency_admin: %w", err)
		}
	}
	if c.Cost == (Cost{}) {
		c.Cost = DefaultCost()
	}
	r := &Registry{c: c, gate: make(chan struct{}, hashingAtOnce), machine: identity.NewThrottle(), own: make(chan struct{}, 1)}
	key, err := hkdf.Key(sha256.New, []byte(c.Key.Reveal()), nil, "postern people seal v1", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive from keys.root: %w", err)
	}
	if r.seal, err = newSeal(key); err != nil {
		return nil, err
	}
	if r.code, err = hkdf.Key(sha256.New, []byte(c.Key.Reveal()), nil, "postern people recovery v1", sha256.Size); err != nil {
		return nil, fmt.Errorf("derive from keys.root: %w", err)
	}
	if err := r.forPasskeys(); err != nil {
		return nil, err
	}
	nobody, err := r.draw(24)
	if err != nil {
		return nil, err
	}
	r.dummy, err = hashPassword(secret.New(string(nobody)), c.Cost, c.Random)
	return r, err
}

// forPasskeys makes what they need.
func (r *Registry) forPasskeys() (err error) {
	r.site = passkeySite(r.c.URL)
	key, err := hkdf.Key(sha256.New, []byte(r.c.Key.Reveal()), nil, "postern people passkeys v1", sha256.Size)
	if err != nil {
		return fmt.Errorf("derive from keys.root: %w", err)
	}
	if r.carry, err = newSeal(key); err != nil {
		return err
	}
	r.decoy, err = decoyKey(r.c.Random)
	return err
}

func (r *Registry) draw(n int) ([]byte, error) {
	raw := make([]byte, n)
	if _, err := io.ReadFull(r.c.Random, raw); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	return raw, nil
}

// record writes an event before its effect.
func (r *Registry) record(ctx context.Context, from From, kind audit.Kind, actor, verdict, reason string, detail map[string]string) error {
	if from.Channel != "" {
		if detail == nil {
			detail = map[string]string{}
		}
		detail["channel"] = from.Channel
	}
	if from.Method != "" {
		if detail == nil {
			detail = map[string]string{}
		}
		detail["method"] = from.Method
	}
	_, err := r.c.Audit.Record(context.WithoutCancel(ctx), audit.Event{
		Kind: kind, Subject: actor, Verdict: verdict, Reason: reason, Address: from.Remote, Listener: "portal", Detail: detail,
	})
	if err != nil {
		return fmt.Errorf("record %s: %w", kind, err)
	}
	return nil
}

// keep changes a session that may have ended meanwhile.
func (r *Registry) keep(ctx context.Context, s Session) error {
	if err := r.c.Sessions.KeepSession(ctx, s); !errors.Is(err, ErrNone) {
		return err
	}
	return errSession
}

// change reads an account, lets think change it, and keeps it, again while others are faster.
func (r *Registry) change(ctx context.Context, name string, think func(a *Account, now time.Time) error) (Account, error) {
	return r.changeBy(ctx, name, r.c.Accounts.KeepAccount, think)
}

func (r *Registry) changeBy(ctx context.Context, name string, keep func(context.Context, Account) error, think func(a *Account, now time.Time) error) (Account, error) {
	for try := 0; ; try++ {
		a, err := r.c.Accounts.Account(ctx, name)
		if err != nil {
			return Account{}, err
		}
		if err := think(&a, r.c.Now()); err != nil {
			return a, err
		}
		a.Version++
		err = keep(ctx, a)
		if err == nil || !errors.Is(err, ErrConflict) || try == attempts-1 {
			return a, err
		}
	}
}
