package people

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/secret"
)

// Entry is how far somebody is: the token that goes with the next call, and what that call has to be. The token changes at every
// step, so that one planted before a sign-in is worth nothing after it.
type Entry struct {
	Token   secret.Text
	Session Session
	Role    Role
	// Recovery codes, shown once, right after a second factor was set up.
	Recovery []string
}

// SignIn proves a password. The answer is the same, and takes as long, for who does not exist, is disabled, locked out or wrong.
func (r *Registry) SignIn(ctx context.Context, user string, password secret.Text, from From) (*Entry, error) {
	user = typedName(user)
	if user == EmergencyName {
		return r.emergency(ctx, password, from)
	}
	leave, locked, err := r.enter(ctx, user, from)
	if err != nil {
		return nil, err
	}
	a, ok, err := r.proved(ctx, user, password, locked)
	leave()
	if err != nil {
		return nil, err
	}
	if !ok {
		reason := "authentication"
		lockedNow, err := r.c.Throttle.Failed(ctx, from.Addr, user, r.c.Now())
		if lockedNow {
			reason = "locked"
		}
		return nil, errors.Join(errLogin, err, r.record(ctx, from, audit.PortalLogin, user, "refuse", reason, nil))
	}
	if err := r.c.Throttle.Succeeded(ctx, from.Addr, user, r.c.Now()); err != nil {
		return nil, err
	}
	return r.begin(ctx, &a, r.stageAfterPassword(&a), from, "", time.Time{})
}

// longestName is how many bytes a name has at most: 63 characters.
const longestName = 63 * utf8.UTFMax

// typedName is a name that somebody types, as the brake and the trail keep it. What is longer than any name is nobody's, and is kept no longer
// than one: whoever may call without being known shall fill neither memory nor the trail with it.
func typedName(user string) string {
	if len(user) <= longestName {
		return user
	}
	return strings.ToValidUTF8(user[:longestName], "") + "…" // which no name has
}

// stageAfterPassword is what is left to prove once a password was right.
func (r *Registry) stageAfterPassword(a *Account) Stage {
	switch {
	case a.Factored():
		return AtFactor
	case r.needsFactor(a):
		return AtEnrol
	}
	return Full
}

// enter waits for its turn: as long as the brake says, and until few others hash. The brake is asked again inside, so that guesses
// made at once count one after another.
func (r *Registry) enter(ctx context.Context, user string, from From) (leave func(), locked bool, err error) {
	return r.enterBy(ctx, r.gate, r.c.Throttle, user, from)
}

func (r *Registry) enterBy(ctx context.Context, gate chan struct{}, brake identity.Brake, user string, from From) (leave func(), locked bool, err error) {
	for waited := false; ; waited = true {
		select {
		case gate <- struct{}{}:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		delay, locked, err := brake.Wait(ctx, from.Addr, user, r.c.Now())
		if err != nil {
			<-gate
			return nil, false, err
		}
		if delay <= 0 || locked && waited {
			return func() { <-gate }, locked, nil
		}
		<-gate
		wait := time.NewTimer(delay)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, false, ctx.Err()
		}
	}
}

// proved checks a password against the account, and against the policy file's verifier where the account has none of its own. Both
// are worked out for everybody: the time taken says neither who exists nor what kind of password they have.
func (r *Registry) proved(ctx context.Context, user string, password secret.Text, locked bool) (Account, bool, error) {
	a, err := r.c.Accounts.Account(ctx, user)
	none := errors.Is(err, ErrNone)
	if err != nil && !none {
		return Account{}, false, err
	}
	if none {
		a = Account{Name: user}
	}
	hash, own := a.Password, a.Password != ""
	if !own {
		hash = r.dummy
	}
	byHash, err := fits(password, hash)
	if err != nil {
		return a, false, err
	}
	pol := r.c.Policy()
	var verifier *identity.Account
	u := pol.Users[user]
	if u != nil && u.SCRAM != "" && u.Owner == "" {
		if v, err := identity.ParseVerifier(u.SCRAM); err == nil {
			verifier = identity.AccountOf(v)
		}
	}
	byVerifier, err := identity.CheckPassword(verifier, user, password, r.c.Mock)
	if err != nil {
		return a, false, err
	}
	ok := own && byHash || !own && byVerifier
	return a, ok && !locked && r.welcome(&a), nil
}

// welcome says whether an account may come in at all: a person of the policy, or somebody with a role; nobody who is disabled, here or in the
// directory, and nobody whom the provider has ended, whatever password or role they have here.
func (r *Registry) welcome(a *Account) bool {
	pol := r.c.Policy()
	u := pol.Users[a.Name]
	return a.Disabled.IsZero() && !pol.IsBarred(a.Name) && (u != nil && u.Owner == "" || u == nil && a.Role != NoRole && !pol.IsEnded(a.Name))
}

// needsFactor says whether an account must not be without a second factor: those with a role, and owners of datasets that sign in
// with a password, of an account or of the policy file, unless that says otherwise (ACC-60).
func (r *Registry) needsFactor(a *Account) bool {
	if a.Role != NoRole {
		return true
	}
	pol := r.c.Policy()
	s, known := pol.Subject(a.Name)
	u := pol.Users[a.Name]
	if !known || pol.OwnersWithoutFactor || a.Password == "" && u.SCRAM == "" {
		return false
	}
	for _, d := range pol.Datasets {
		if s.Is(d.Owners) {
			return true
		}
	}
	return false
}

// begin makes a session and ends the one that it follows from.
func (r *Registry) begin(ctx context.Context, a *Account, stage Stage, from From, instead string, factor time.Time) (*Entry, error) {
	return r.beginSigned(ctx, a, stage, from, instead, factor, time.Time{})
}

// beginSigned makes a session of somebody who signed in before, elsewhere.
func (r *Registry) beginSigned(ctx context.Context, a *Account, stage Stage, from From, instead string, factor, signed time.Time) (*Entry, error) {
	life := halfway
	if stage == Full {
		if life = AbsoluteEnd; a.Role == Admin {
			life = AdminEnd
		}
	}
	token, s, err := r.starting(a.Name, stage, from, life)
	if err != nil {
		return nil, err
	}
	s.Channel, s.Idle, s.Factor, s.Signed = from.Channel, from.Channel == "portal", factor, signed
	s.SignOn = from.signOn
	detail := map[string]string{"session": s.ID, "stage": string(stage)}
	if !factor.IsZero() {
		detail["factor"] = "proved"
	}
	if err := r.record(ctx, from, audit.PortalLogin, a.Name, "allow", "", detail); err != nil {
		return nil, err
	}
	if err := r.c.Sessions.BeginSession(ctx, s, instead); errors.Is(err, ErrNone) {
		return nil, errSession
	} else if err != nil {
		return nil, err
	}
	return &Entry{Token: token, Session: s, Role: a.Role}, nil
}

// starting is a session that begins now, and its token. It is nobody's yet: it has to be told and kept.
func (r *Registry) starting(name string, stage Stage, from From, life time.Duration) (secret.Text, Session, error) {
	token, hash, err := identity.NewToken(r.c.Random)
	if err != nil {
		return token, Session{}, err
	}
	id, err := r.draw(8)
	if err != nil {
		return token, Session{}, err
	}
	now := r.c.Now()
	return token, Session{
		ID: hex.EncodeToString(id), Hash: hash, Subject: name, Stage: stage, Address: from.Remote,
		Created: now, Seen: now, End: now.Add(life).Truncate(time.Second),
	}, nil
}

// Prove takes the second factor of a sign-in: a one-time password or a recovery code, each of which is good once.
func (r *Registry) Prove(ctx context.Context, token secret.Text, code string, from From) (*Entry, error) {
	s, err := r.at(ctx, token, AtFactor)
	if err == nil {
		err = s.elsewhere(from.Channel)
	}
	if err != nil {
		return nil, err
	}
	a, err := r.factor(ctx, &s, code, from)
	if err != nil {
		return nil, err
	}
	from.signOn = s.SignOn
	return r.begin(ctx, &a, Full, from, s.Hash, r.c.Now())
}

// StepUp proves the second factor again, for what wants a fresh one. The session goes on.
func (r *Registry) StepUp(ctx context.Context, token secret.Text, code string, from From) (*Session, error) {
	s, err := r.at(ctx, token, Full)
	if err != nil {
		return nil, err
	}
	if _, err := r.factor(ctx, &s, code, from); err != nil {
		return nil, err
	}
	s.Factor = r.c.Now()
	return &s, r.keep(ctx, s)
}

// at finds a session that stands at a stage.
func (r *Registry) at(ctx context.Context, token secret.Text, stage Stage) (Session, error) {
	s, _, err := r.live(ctx, token)
	if err != nil {
		return s, err
	}
	if s.Stage != stage {
		return s, &Refusal{CodeStage, "this is not the next step of the sign-in", ""}
	}
	return s, nil
}

// factor checks a second factor and uses it up. After some wrong ones the session ends, after more the factor is locked for a
// while: only whoever has the password gets this far, so that nobody is locked out by a stranger.
func (r *Registry) factor(ctx context.Context, s *Session, code string, from From) (Account, error) {
	code = plainCode(code)
	how, no := "", error(nil)
	a, err := r.change(ctx, s.Subject, func(a *Account, now time.Time) error {
		how, no = "", nil
		if !a.Factored() {
			return &Refusal{CodeFactor, "there is no second factor to prove", ""}
		}
		if now.Before(a.Locked) {
			return &Refusal{CodeLocked, "too many wrong codes: wait until " + a.Locked.UTC().Format("15:04Z"), ""}
		}
		at, right, err := r.codeStep(a, code, now)
		if err != nil {
			return err
		}
		spare := r.spare(a, code)
		switch {
		case right:
			how, a.Step, a.Wrong = "totp", at, 0
		case spare >= 0:
			how, a.Recovery, a.Wrong = "recovery", slices.Delete(slices.Clone(a.Recovery), spare, spare+1), 0
		default:
			no = &Refusal{CodeFactor, "the code does not fit, or was used already", "wait for the next one"}
			if a.Wrong++; a.Wrong >= lockAfter {
				a.Locked = now.Add(lockFor)
			}
		}
		return nil
	})
	if errors.Is(err, ErrNone) {
		err = &Refusal{CodeFactor, "there is no second factor to prove", ""}
	}
	if err != nil {
		return a, errors.Join(err, r.record(ctx, from, audit.FactorRefused, s.Subject, "refuse", "", map[string]string{"session": s.ID}))
	}
	if no != nil {
		return a, errors.Join(no, r.tried(ctx, s), r.record(ctx, from, audit.FactorRefused, s.Subject, "refuse", fmt.Sprintf("wrong %d", a.Wrong), map[string]string{"session": s.ID}))
	}
	detail := map[string]string{"session": s.ID, "factor": how}
	if how == "recovery" {
		detail["left"] = fmt.Sprint(len(a.Recovery))
	}
	return a, r.record(ctx, from, audit.FactorProved, s.Subject, "allow", "", detail)
}

// codeStep finds the time step whose one-time password a code is, where there is an authenticator app.
func (r *Registry) codeStep(a *Account, code string, now time.Time) (at int64, right bool, err error) {
	if len(a.Seed) == 0 {
		return 0, false, nil
	}
	seed, err := r.opened(a.Name, a.Seed)
	if err != nil {
		return 0, false, err
	}
	at, right = step(seed, code, now, a.Step)
	return at, right, nil
}

// tried counts a wrong code against a session.
func (r *Registry) tried(ctx context.Context, s *Session) error {
	if s.Tries++; s.Tries >= triesPerTurn {
		return r.c.Sessions.EndSessions(ctx, s.Subject, []string{s.ID})
	}
	return r.keep(ctx, *s)
}

// spare finds a recovery code, looking at all of them.
func (r *Registry) spare(a *Account, code string) int {
	want, found := r.recoveryHash(code), -1
	for i, h := range a.Recovery {
		if subtle.ConstantTimeCompare([]byte(h), []byte(want)) == 1 {
			found = i
		}
	}
	return found
}

func (r *Registry) recoveryHash(code string) string {
	return hex.EncodeToString(identity.MAC(r.code, code))
}

// Enrol begins to set up a second factor, in a sign-in that needs one or in a session that adds or replaces it.
func (r *Registry) Enrol(ctx context.Context, token secret.Text) (*Enrolment, error) {
	s, _, err := r.manages(ctx, token, false)
	if err != nil {
		return nil, err
	}
	seed, err := r.draw(seedBytes)
	if err != nil {
		return nil, err
	}
	s.Seed = r.sealed(s.Subject, seed)
	if err := r.keep(ctx, s); err != nil {
		return nil, err
	}
	out := enrolment(s.Subject, seed)
	return &out, nil
}

// Confirm ends the set-up with the first code, and shows the recovery codes. Every other session of the account ends.
func (r *Registry) Confirm(ctx context.Context, token secret.Text, code string, from From) (*Entry, error) {
	s, _, err := r.manages(ctx, token, false)
	if err != nil {
		return nil, err
	}
	if s.Stage != Full {
		if err := s.elsewhere(from.Channel); err != nil {
			return nil, err
		}
	}
	if len(s.Seed) == 0 {
		return nil, &Refusal{CodeStage, "there is no second factor being set up", ""}
	}
	seed, err := r.opened(s.Subject, s.Seed)
	if err != nil {
		return nil, err
	}
	at, right := step(seed, plainCode(code), r.c.Now(), 0)
	if !right {
		return nil, errors.Join(&Refusal{CodeFactor, "the code does not fit", "is the clock of the phone right"}, r.tried(ctx, &s))
	}
	codes, hashes, err := r.recoveryCodes()
	if err != nil {
		return nil, err
	}
	if err := r.record(ctx, from, audit.AccountFactor, s.Subject, "allow", "", map[string]string{"session": s.ID}); err != nil {
		return nil, err
	}
	a, err := r.ensured(ctx, s.Subject, func(a *Account, _ time.Time) error {
		if s.Stage == AtEnrol && a.Factored() {
			return errSession // another sign-in has set one up meanwhile
		}
		a.Seed, a.Step, a.Recovery, a.Wrong = s.Seed, at, hashes, 0
		return nil
	})
	if err != nil {
		return nil, err
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

// ensured changes an account, and makes one for a person of the policy file that has none yet.
func (r *Registry) ensured(ctx context.Context, name string, think func(a *Account, now time.Time) error) (Account, error) {
	a, err := r.change(ctx, name, think)
	if !errors.Is(err, ErrNone) {
		return a, err
	}
	if r.c.Policy().Users[name] == nil {
		return a, errSession
	}
	now := r.c.Now()
	a = Account{Name: name, Version: 1, Created: now}
	if err := think(&a, now); err != nil {
		return a, err
	}
	return a, r.c.Accounts.KeepAccount(ctx, a)
}

// NewRecovery replaces the recovery codes, after a fresh second factor.
func (r *Registry) NewRecovery(ctx context.Context, token secret.Text, from From) ([]string, error) {
	s, err := r.fresh(ctx, token)
	if err != nil {
		return nil, err
	}
	codes, hashes, err := r.recoveryCodes()
	if err != nil {
		return nil, err
	}
	if err := r.record(ctx, from, audit.AccountFactor, s.Subject, "allow", "recovery", nil); err != nil {
		return nil, err
	}
	_, err = r.change(ctx, s.Subject, func(a *Account, _ time.Time) error { a.Recovery = hashes; return nil })
	return codes, err
}

// fresh finds a full session whose second factor was proved a moment ago.
func (r *Registry) fresh(ctx context.Context, token secret.Text) (Session, error) {
	s, err := r.at(ctx, token, Full)
	if err != nil {
		return s, err
	}
	if s.Factor.IsZero() || r.c.Now().Sub(s.Factor) > FactorFresh {
		return s, &Refusal{CodeStage, "this wants a fresh second factor", "prove it again"}
	}
	return s, nil
}

// ChangePassword takes the old one and a new one. Every other session of the account ends.
func (r *Registry) ChangePassword(ctx context.Context, token secret.Text, old, next secret.Text, from From) error {
	s, err := r.at(ctx, token, Full)
	if err != nil {
		return err
	}
	leave, locked, err := r.enter(ctx, s.Subject, from)
	if err != nil {
		return err
	}
	defer leave()
	if _, ok, err := r.proved(ctx, s.Subject, old, locked); err != nil || !ok {
		_, counted := r.c.Throttle.Failed(ctx, from.Addr, s.Subject, r.c.Now())
		return errors.Join(errOr(err, &Refusal{CodePassword, "the old password does not fit", ""}), counted, r.record(ctx, from, audit.AccountPassword, s.Subject, "refuse", "authentication", nil))
	}
	if err := acceptable(s.Subject, next); err != nil {
		return err
	}
	hash, err := hashPassword(next, r.c.Cost, r.c.Random)
	if err != nil {
		return err
	}
	if err := r.record(ctx, from, audit.AccountPassword, s.Subject, "allow", "", nil); err != nil {
		return err
	}
	if _, err := r.ensured(ctx, s.Subject, func(a *Account, _ time.Time) error { a.Password = hash; return nil }); err != nil {
		return err
	}
	return r.endOthers(ctx, s)
}

func errOr(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (r *Registry) endOthers(ctx context.Context, s Session) error {
	all, err := r.c.Sessions.SessionsOf(ctx, s.Subject)
	if err != nil {
		return err
	}
	ids := []string{}
	for _, o := range all {
		if o.ID != s.ID {
			ids = append(ids, o.ID)
		}
	}
	return r.c.Sessions.EndSessions(ctx, s.Subject, ids)
}

// FormToken is what a page's forms carry besides the cookie: a site that can make a browser send the cookie cannot read it.
func FormToken(session secret.Text) secret.Text {
	sum := sha256.Sum256([]byte("postern form\x00" + session.Reveal()))
	return secret.New(hex.EncodeToString(sum[:]))
}
