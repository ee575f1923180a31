// Package sso signs people in through an identity provider that speaks OpenID Connect, and asks it every few minutes whether they
// are still known there and in which groups. Who somebody is hangs on the provider's issuer and subject; a name or an address can
// change hands. What the provider says becomes people of the policy; what they may do stays the policy's to say.
//
// It refuses to guess: a token that is not signed as the file allows, is for somebody else, from somewhere else or of another time
// opens nothing, and a provider that cannot be asked ends nobody at once and vouches for nobody for long. It keeps refresh tokens
// sealed, and no other token. It imports people for the sessions that it begins and ends, policy for whom it yields, audit because
// every event is in the trail first.
package sso

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// Settings are what the policy file says of the provider. Every field is required but Secret, Prompt and Attributes.
type Settings struct {
	Issuer, Client string
	Secret         secret.Text // zero: a public client
	Redirect       string      // where the provider sends browsers back to
	Scopes         []string
	Prompt         string // what the provider is to ask the person; "": what it does by itself
	Name           string // the claim that names somebody; "email" has to be verified
	Create         bool   // people who are not in the file are users too
	Groups         string // the claim
	Attributes     map[string]string
	Algorithms     []string
	Recheck, Limit time.Duration
}

// People is the register that signs in and ends sessions.
type People interface {
	Enter(ctx context.Context, v people.Vouched, from people.From) (*people.Entry, error)
	HasPassword(ctx context.Context, name string) (bool, error)
	EndEverything(ctx context.Context, subject, why string) error
	// EndSignedOn ends the sessions that came of sign-ons, a subject's or with "" anybody's; with nil all of the subject's.
	EndSignedOn(ctx context.Context, subject string, signOns []string, why string) error
}

// Links keeps who is known to the provider. It is safe for concurrent use, also by several processes.
type Links interface {
	// Link returns people.ErrNone if there is none.
	Link(ctx context.Context, key string) (Link, error)
	Links(ctx context.Context) ([]Link, error)
	// KeepLink returns people.ErrConflict when somebody else was faster, or has the name. What is quiet is no business of other
	// processes.
	KeepLink(ctx context.Context, l Link, quiet bool) error
	// EndCredentials revokes every token and temporary credential of a subject.
	EndCredentials(ctx context.Context, subject string, now time.Time) error
	// EndSignedOn revokes temporary credentials that came of sign-ons, as People.EndSignedOn ends sessions.
	EndSignedOn(ctx context.Context, subject string, signOns []string, now time.Time) error
}

// Config is what a RelyingParty needs. Every field is required.
type Config struct {
	Settings
	HTTP    *http.Client // that follows no redirect
	Links   Links
	Logouts Logouts
	People  People
	Policy  func() *policy.Policy
	Audit   audit.Recorder
	Key     secret.Text // of the installation: what is kept is sealed under keys derived from it
	Now     func() time.Time
	Random  io.Reader
	Log     *slog.Logger
	// Publish puts people in force before it returns.
	Publish func([]policy.Person)
	// Alarm tells the admins of something that they have to mend.
	Alarm func(ctx context.Context, kind audit.Kind, subject string)
}

// How long things last.
const (
	flowEnd  = 10 * time.Minute // from the button to the provider's answer
	maxSkew  = 60 * time.Second // between the provider's clock and ours (ACC-53)
	keysLife = 10 * time.Minute // a key that the provider withdrew signs nothing for longer
	metaLife = time.Hour
	pause    = 3 * time.Second // before a provider that was away is asked about itself again
	alarms   = time.Hour       // between two of a kind
	lease    = time.Minute     // of whoever asks about a person
	atOnce   = 4               // people who are asked about
)

// RelyingParty signs people in through one provider. It is safe for concurrent use.
type RelyingParty struct {
	c    Config
	flow cipher.AEAD // seals sign-ins under way
	kept cipher.AEAD // seals refresh tokens

	mu     sync.Mutex
	meta   *metadata
	broken error // why the provider could not be asked about itself, for a while
	until  time.Time
	told   map[audit.Kind]time.Time // when the admins were last told
}

// New makes a relying party. The provider is not asked yet: that it is away keeps nothing from starting.
func New(c Config) (*RelyingParty, error) {
	r := &RelyingParty{c: c, told: map[audit.Kind]time.Time{}}
	for info, to := range map[string]*cipher.AEAD{"postern sso flow v1": &r.flow, "postern sso refresh v1": &r.kept} {
		key, err := hkdf.Key(sha256.New, []byte(c.Key.Reveal()), nil, info, sha256.Size)
		if err != nil {
			return nil, fmt.Errorf("derive from keys.root: %w", err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("make a cipher: %w", err)
		}
		if *to, err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, fmt.Errorf("make a cipher: %w", err)
		}
	}
	return r, nil
}

// fault is why a sign-in or a re-check did not work: a stable word for the trail, and a text for the person.
type fault struct{ reason, text, hint string }

// Error implements error.
func (f *fault) Error() string { return f.text }

// refusal is what a person is told.
func (f *fault) refusal() *people.Refusal {
	code := people.CodeSignOn
	if f.reason == faultProvider {
		code = people.CodeProvider
	}
	return &people.Refusal{Code: code, Text: f.text, Hint: f.hint}
}

// The reasons of faults.
const (
	faultProvider  = "provider"  // away, or broken: nobody's fault who signs in
	faultFlow      = "flow"      // the answer belongs to no sign-in of this browser
	faultRefused   = "refused"   // the provider said no
	faultToken     = "token"     // not a token, or not signed as it has to be
	faultIssuer    = "issuer"    // somebody else's token
	faultAudience  = "audience"  // a token for somebody else
	faultExpired   = "expired"   // over
	faultFuture    = "future"    // from a time that has not come
	faultNonce     = "nonce"     // a token of another sign-in
	faultSubject   = "subject"   // a token about nobody, or somebody else
	faultPointer   = "groups"    // a pointer instead of the groups
	faultEmail     = "email"     // no verified address
	faultName      = "name"      // no name, or one that is taken
	faultUnknown   = "unknown"   // nobody of this site
	faultAlgorithm = "algorithm" // signed in a way that the file does not allow
	faultKind      = "kind"      // a token for something else
	faultReplay    = "replay"    // a logout token that came before
	faultOver      = "over"      // the provider has ended the sign-in meanwhile
)

// record writes an event before its effect.
func (r *RelyingParty) record(ctx context.Context, kind audit.Kind, subject, verdict, reason string, from people.From, detail map[string]string) error {
	if from.Channel != "" {
		if detail == nil {
			detail = map[string]string{}
		}
		detail["channel"], detail["method"] = from.Channel, "oidc"
	}
	_, err := r.c.Audit.Record(context.WithoutCancel(ctx), audit.Event{
		Kind: kind, Subject: subject, Verdict: verdict, Reason: reason, Address: from.Remote, Listener: "portal", Detail: detail,
	})
	if err != nil {
		return fmt.Errorf("record %s: %w", kind, err)
	}
	return nil
}

// alarm tells the admins, once in a while: an outage is one, however many people it is about.
func (r *RelyingParty) alarm(ctx context.Context, kind audit.Kind, subject string) {
	now := r.c.Now()
	r.mu.Lock()
	soon := now.Before(r.told[kind].Add(alarms))
	if !soon {
		r.told[kind] = now
	}
	r.mu.Unlock()
	if !soon {
		r.c.Alarm(ctx, kind, subject)
	}
}

// isConflict says that another instance, or a sign-in, was faster: what it found is newer.
func isConflict(err error) bool { return errors.Is(err, people.ErrConflict) }
