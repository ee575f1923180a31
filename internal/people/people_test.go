package people_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/state"
)

// trail keeps what was recorded, and can be broken.
type trail struct {
	mu     sync.Mutex
	events []audit.Event
	broken error
}

func (l *trail) Record(_ context.Context, e audit.Event) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.events = append(l.events, e)
	}
	return "", l.broken
}

func (l *trail) RecordSoon(audit.Event) error { return nil }

func (l *trail) last() audit.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events[len(l.events)-1]
}

const (
	good  = "four plain words here"
	other = "quite another password"
	cheap = 64 // KiB
)

// place is a registry over a real state file, with a clock that is turned by hand.
type place struct {
	t     *testing.T
	r     *people.Registry
	db    *state.DB
	path  string
	trail *trail
	pol   *policy.Policy
	url   string
	sent  atomic.Int32

	mu  sync.Mutex
	now time.Time
}

func (p *place) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *place) turn(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = p.now.Add(d)
}

func newPlace(t *testing.T) *place {
	t.Helper()
	scram, err := identity.HashPassword(secret.New("scram password"), 1, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, path: filepath.Join(t.TempDir(), "s.db"), trail: &trail{}, url: site, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	p.pol = &policy.Policy{
		Users: map[string]*policy.User{
			"ana": {Name: "ana"}, "dora": {Name: "dora"}, "bob": {Name: "bob", SCRAM: scram}, "export": {Name: "export", Owner: "ana", SCRAM: scram},
		},
		Datasets: map[string]*policy.Dataset{"staff": {Name: "staff", Owners: []string{"dora"}}},
	}
	if p.db, err = state.Open(t.Context(), p.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.db.Close() })
	p.r = p.registryAt(p.clock)
	return p
}

func (p *place) from() people.From {
	return people.From{Addr: netip.MustParseAddr("192.0.2.1"), Remote: "192.0.2.1:5", Channel: "portal"}
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func refused(t *testing.T, err error, code string) {
	t.Helper()
	var no *people.Refusal
	if !errors.As(err, &no) || no.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// code is what an authenticator shows, worked out without the code under test.
func (p *place) code(seed string, at time.Duration) string {
	key := must[[]byte](p.t)(base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(seed))
	var m [8]byte
	binary.BigEndian.PutUint64(m[:], uint64(p.clock().Add(at).Unix()/30))
	h := hmac.New(sha1.New, key)
	h.Write(m[:])
	sum := h.Sum(nil)
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff)%1_000_000)
}

// member makes an account with a password.
func (p *place) member(name string, role people.Role) *people.Entry {
	p.t.Helper()
	inv := must[*people.Invitation](p.t)(p.r.Create(p.t.Context(), "", name, role, p.from()))
	return must[*people.Entry](p.t)(p.r.Accept(p.t.Context(), inv.Code, secret.New(good), p.from()))
}

// factored makes an account with a second factor and returns its seed.
func (p *place) factored(name string, role people.Role) (seed string, e *people.Entry) {
	p.t.Helper()
	e = p.member(name, role)
	set := must[*people.Enrolment](p.t)(p.r.Enrol(p.t.Context(), e.Token))
	return set.Secret, must[*people.Entry](p.t)(p.r.Confirm(p.t.Context(), e.Token, p.code(set.Secret, 0), p.from()))
}

func (p *place) opens(token secret.Text) error {
	_, err := p.r.Who(p.t.Context(), token, true)
	return err
}

// From an invitation over a password and a second factor to a session: each step has a token of its own, none can be skipped, and a
// link and a code are good once.
func TestSignInStepByStep(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	inv := must[*people.Invitation](t)(p.r.Create(ctx, "", "dora", people.NoRole, p.from()))
	_, err := p.r.SignIn(ctx, "dora", secret.New(good), p.from())
	refused(t, err, people.CodeLogin)
	_, err = p.r.Accept(ctx, inv.Code, secret.New("short"), p.from())
	refused(t, err, people.CodePassword)
	first := must[*people.Entry](t)(p.r.Accept(ctx, inv.Code, secret.New(good), p.from()))
	if first.Session.Stage != people.AtEnrol {
		t.Fatalf("an owner without a second factor is at %s", first.Session.Stage)
	}
	_, err = p.r.Accept(ctx, inv.Code, secret.New(other), p.from())
	refused(t, err, people.CodeInvite)
	refused(t, p.opens(first.Token), people.CodeSession)
	set := must[*people.Enrolment](t)(p.r.Enrol(ctx, first.Token))
	if !strings.HasPrefix(set.URI, "otpauth://totp/Postern:dora?issuer=Postern&secret="+set.Secret) {
		t.Errorf("the link for authenticators is %s", set.URI)
	}
	_, err = p.r.Confirm(ctx, first.Token, "000000", p.from())
	refused(t, err, people.CodeFactor)
	in := must[*people.Entry](t)(p.r.Confirm(ctx, first.Token, p.code(set.Secret, 0), p.from()))
	if len(in.Recovery) != 10 || p.opens(in.Token) != nil {
		t.Fatalf("%d recovery codes, %v", len(in.Recovery), p.opens(in.Token))
	}
	refused(t, p.opens(first.Token), people.CodeSession) // the half of the sign-in is over

	half := must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	if half.Session.Stage != people.AtFactor {
		t.Fatalf("with a second factor the password leads to %s", half.Session.Stage)
	}
	refused(t, p.opens(half.Token), people.CodeSession)
	_, err = p.r.Enrol(ctx, half.Token) // a thief of the password sets up no factor of their own
	refused(t, err, people.CodeStage)
	_, err = p.r.Prove(ctx, half.Token, p.code(set.Secret, 0), p.from())
	refused(t, err, people.CodeFactor) // the code that confirmed is used up
	p.turn(30 * time.Second)
	full := must[*people.Entry](t)(p.r.Prove(ctx, half.Token, p.code(set.Secret, 0), p.from()))
	if full.Token.Equal(half.Token) || p.opens(full.Token) != nil {
		t.Fatalf("after the second factor: %v", p.opens(full.Token))
	}
	_, err = p.r.Prove(ctx, half.Token, p.code(set.Secret, 30*time.Second), p.from())
	refused(t, err, people.CodeSession)

	// A recovery code stands in for the app, once.
	half = must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	must[*people.Entry](t)(p.r.Prove(ctx, half.Token, strings.ToUpper(in.Recovery[3]), p.from()))
	if e := p.trail.events[len(p.trail.events)-2]; e.Kind != audit.FactorProved || e.Detail["factor"] != "recovery" || e.Detail["left"] != "9" {
		t.Errorf("the trail says %+v", e)
	}
	half = must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	_, err = p.r.Prove(ctx, half.Token, in.Recovery[3], p.from())
	refused(t, err, people.CodeFactor)
}

// Nothing of what signs somebody in stands in the state file or in the trail.
func TestSecretsAreNotKept(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	seed, e := p.factored("dora", people.NoRole)
	inv := must[*people.Invitation](t)(p.r.Create(ctx, "", "ana", people.NoRole, p.from()))
	secrets := append([]string{good, seed, e.Token.Reveal(), inv.Code.Reveal()}, e.Recovery...)
	raw := must[[]byte](t)(base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(seed))
	secrets = append(secrets, string(raw))
	text := fmt.Sprintf("%+v", p.trail.events)
	for _, name := range []string{p.path, p.path + "-wal"} {
		b, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		text += string(b)
	}
	for i, s := range secrets {
		if strings.Contains(text, s) || strings.Contains(text, strings.ReplaceAll(s, "-", "")) {
			t.Errorf("secret %d is kept", i)
		}
	}
	if !bytes.Contains([]byte(text), []byte("$argon2id$")) {
		t.Error("the file that was looked into holds no account")
	}
}

// Somebody who does not exist, has no password, is disabled, a service account, or is wrong: one answer, and the same work.
func TestNobodyLearnsWhoExists(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	p.member("ana", people.NoRole)
	p.member("root", people.Admin)
	yes := true
	if err := p.r.Set(ctx, "", "root", nil, &yes, p.from()); err != nil {
		t.Fatal(err)
	}
	texts := map[string]bool{}
	for user, password := range map[string]string{"ana": other, "bob": other, "nobody": good, "dora": good, "root": good, "export": "scram password", "": "", "ana\x00": good} {
		_, err := p.r.SignIn(ctx, user, secret.New(password), p.from())
		refused(t, err, people.CodeLogin)
		texts[err.Error()] = true
		if e := p.trail.last(); e.Kind != audit.PortalLogin || e.Verdict != "refuse" || e.Reason != "authentication" || e.Subject != user {
			t.Errorf("%q: the trail says %+v", user, e)
		}
		p.turn(2 * time.Hour) // the brake forgets
	}
	if len(texts) != 1 {
		t.Errorf("the answers differ: %v", texts)
	}
	if e := must[*people.Entry](t)(p.r.SignIn(ctx, "ana", secret.New(good), p.from())); e.Session.Stage != people.Full {
		t.Errorf("ana is at %s", e.Session.Stage)
	}
	if e := must[*people.Entry](t)(p.r.SignIn(ctx, "bob", secret.New("scram password"), p.from())); e.Session.Stage != people.Full {
		t.Errorf("bob, by the policy file's verifier, is at %s", e.Session.Stage)
	}
}

// A name that is longer than any is refused like another, and neither the trail nor the brake keeps more of it than of a name: nobody has
// to be known to send one. The longest that there can be signs in.
func TestNamesAreNoLongerThanNames(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	longest := strings.Repeat("\U00020000", 63)
	p.pol.Users[longest] = &policy.User{Name: longest}
	p.member(longest, people.NoRole)
	must[*people.Entry](t)(p.r.SignIn(ctx, longest, secret.New(good), p.from()))
	for _, name := range []string{longest + "x", longest + strings.Repeat("y", 60_000), strings.Repeat("\xff", 60_000)} {
		_, err := p.r.SignIn(ctx, name, secret.New(good), p.from())
		refused(t, err, people.CodeLogin)
		e := p.trail.last()
		if e.Kind != audit.PortalLogin || e.Reason != "authentication" || len(e.Subject) > len(longest)+len("…") || p.pol.Users[e.Subject] != nil {
			t.Errorf("a name of %d bytes: the trail has %d bytes, %q", len(name), len(e.Subject), e.Reason)
		}
		p.turn(2 * time.Hour) // the brake forgets
	}
}

// Guesses wait longer and longer, and are locked out for a while; an address from which somebody has signed in is spared what
// strangers do under that name.
func TestGuessing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.member("ana", people.NoRole)
		ctx, home, began := t.Context(), p.from(), time.Now()
		p.mu.Lock()
		p.now = began
		p.mu.Unlock()
		p.r = p.registryAt(time.Now)
		must[*people.Entry](t)(p.r.SignIn(ctx, "ana", secret.New(good), home))
		away := people.From{Addr: netip.MustParseAddr("198.51.100.7"), Channel: "portal"}
		for range 20 {
			_, err := p.r.SignIn(ctx, "ana", secret.New(other), away)
			refused(t, err, people.CodeLogin)
		}
		if spent := time.Since(began); spent < 2*time.Minute {
			t.Errorf("twenty guesses took %s", spent)
		}
		if e := p.trail.last(); e.Reason != "locked" {
			t.Errorf("the trail says %+v", e)
		}
		_, err := p.r.SignIn(ctx, "ana", secret.New(good), away)
		refused(t, err, people.CodeLogin) // locked: the right one is no better
		must[*people.Entry](t)(p.r.SignIn(ctx, "ana", secret.New(good), home))
		time.Sleep(2 * time.Hour)
		must[*people.Entry](t)(p.r.SignIn(ctx, "ana", secret.New(good), away))
	})
}

// Two gateways on one state are one to whoever guesses: what fails at one counts at the other, and locks there.
func TestGuessingAtSeveral(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t)
		p.member("ana", people.NoRole)
		ctx, home, began := t.Context(), p.from(), time.Now()
		second, err := state.Open(ctx, p.path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = second.Close() })
		both := []*people.Registry{
			p.registryWith(time.Now, identity.NewSharedThrottle(p.db, "portal")), p.registryWith(time.Now, identity.NewSharedThrottle(second, "portal")),
		}
		must[*people.Entry](t)(both[0].SignIn(ctx, "ana", secret.New(good), home))
		away := people.From{Addr: netip.MustParseAddr("198.51.100.7"), Channel: "portal"}
		for i := range 20 {
			_, err := both[i%2].SignIn(ctx, "ana", secret.New(other), away)
			refused(t, err, people.CodeLogin)
		}
		if spent := time.Since(began); spent < 2*time.Minute { // as at one alone
			t.Errorf("twenty guesses took %s", spent)
		}
		for _, r := range both {
			_, err := r.SignIn(ctx, "ana", secret.New(good), away)
			refused(t, err, people.CodeLogin) // locked: the right one is no better
			must[*people.Entry](t)(r.SignIn(ctx, "ana", secret.New(good), home))
		}
		time.Sleep(2 * time.Hour)
		must[*people.Entry](t)(both[1].SignIn(ctx, "ana", secret.New(good), away))
		if err := second.Close(); err != nil { // what is counted there cannot be read any more
			t.Fatal(err)
		}
		if _, err := both[1].SignIn(ctx, "ana", secret.New(good), home); err == nil {
			t.Error("nobody knows who guessed, and somebody is let in")
		}
		must[*people.Entry](t)(both[0].SignIn(ctx, "ana", secret.New(good), home))
	})
}

func (p *place) registryAt(now func() time.Time) *people.Registry {
	return p.registryWith(now, identity.NewThrottle())
}

func (p *place) registryWith(now func() time.Time, brake identity.Brake) *people.Registry {
	mock, err := identity.NewMock([]byte("the secret of an installation"), 1)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := people.New(people.Config{
		Accounts: p.db, Sessions: p.db, Devices: p.db, Policy: func() *policy.Policy { return p.pol }, Audit: p.trail, Throttle: brake, Mock: mock,
		Key: secret.New("root"), Now: now, Random: rand.Reader, Cost: people.Cost{Memory: cheap, Passes: 1, Threads: 1},
		URL: p.url, Challenges: p.db,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// Wrong second factors end the half of a sign-in, and lock the factor for a while, whoever types them.
func TestGuessingTheSecondFactor(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	seed, _ := p.factored("dora", people.NoRole)
	p.turn(time.Minute)
	for range 2 {
		half := must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
		for range 5 {
			_, err := p.r.Prove(ctx, half.Token, "123", p.from())
			refused(t, err, people.CodeFactor)
			if e := p.trail.last(); e.Kind != audit.FactorRefused {
				t.Errorf("the trail says %+v", e)
			}
		}
		_, err := p.r.Prove(ctx, half.Token, p.code(seed, 0), p.from())
		refused(t, err, people.CodeSession)
	}
	half := must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	_, err := p.r.Prove(ctx, half.Token, p.code(seed, 0), p.from())
	refused(t, err, people.CodeLocked)
	p.turn(15 * time.Minute)
	half = must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	must[*people.Entry](t)(p.r.Prove(ctx, half.Token, p.code(seed, 0), p.from()))
}

// Ten programs send one code at once: it opens one of them.
func TestOneCodeAtOnce(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	seed, _ := p.factored("dora", people.NoRole)
	p.turn(time.Minute)
	var halves []*people.Entry
	for range 4 {
		halves = append(halves, must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from())))
	}
	code := p.code(seed, 0)
	opened := make(chan bool, len(halves))
	var wg sync.WaitGroup
	for _, h := range halves {
		wg.Go(func() {
			_, err := p.r.Prove(ctx, h.Token, code, p.from())
			opened <- err == nil
		})
	}
	wg.Wait()
	close(opened)
	n := 0
	for ok := range opened {
		if ok {
			n++
		}
	}
	if n != 1 {
		t.Errorf("one code opened %d sessions", n)
	}
}

// Sessions end: when nobody uses them, in any case, when somebody says so, and with the account. Each end is in the trail.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	in := func() *people.Entry {
		return must[*people.Entry](t)(p.r.SignIn(ctx, "ana", secret.New(good), p.from()))
	}
	p.member("ana", people.NoRole)
	a := in()
	for range 50 { // somebody who works stays in until the absolute end
		p.turn(14 * time.Minute)
		if err := p.opens(a.Token); err != nil {
			t.Fatal(err)
		}
	}
	p.turn(14 * time.Minute)
	p.turn(14 * time.Minute)
	refused(t, p.opens(a.Token), people.CodeSession)
	a = in()
	for range 2 { // looking without doing keeps nothing alive
		p.turn(7 * time.Minute)
		must[*people.Person](t)(p.r.Who(ctx, a.Token, false))
	}
	p.turn(time.Minute)
	refused(t, p.opens(a.Token), people.CodeSession)
	if e := p.trail.last(); e.Kind != audit.PortalSessionEnd || e.Reason != "idle" {
		t.Errorf("the trail says %+v", e)
	}
	n := len(p.trail.events)
	refused(t, p.opens(a.Token), people.CodeSession)
	if len(p.trail.events) != n {
		t.Error("an end was recorded twice")
	}

	a, b, c := in(), in(), in()
	if err := p.r.SignOut(ctx, a.Token, p.from()); err != nil {
		t.Fatal(err)
	}
	refused(t, p.opens(a.Token), people.CodeSession)
	if all := must[[]people.Session](t)(p.r.Sessions(ctx, "ana")); len(all) != 2 {
		t.Errorf("ana has %d sessions", len(all))
	}
	refused(t, p.r.EndSessions(ctx, "ana", "ana", "nosuch", p.from()), "not_found")
	if err := p.r.EndSessions(ctx, "ana", "ana", b.Session.ID, p.from()); err != nil || p.opens(c.Token) != nil {
		t.Fatal(err, p.opens(c.Token))
	}
	refused(t, p.opens(b.Token), people.CodeSession)
	b = in()
	if err := p.r.EndSessions(ctx, "ana", "ana", "", p.from()); err != nil {
		t.Fatal(err)
	}
	refused(t, p.opens(b.Token), people.CodeSession)
	refused(t, p.opens(c.Token), people.CodeSession)

	a = in()
	delete(p.pol.Users, "ana") // left the policy
	refused(t, p.opens(a.Token), people.CodeSession)
	if e := p.trail.last(); e.Reason != "deactivated" {
		t.Errorf("the trail says %+v", e)
	}
}

// An admin's session is short, a disabled account has none, and nobody raises or disables themselves.
func TestRoles(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	_, e := p.factored("root", people.Admin)
	if life := e.Session.End.Sub(e.Session.Created); life != people.AdminEnd {
		t.Errorf("an admin's session lasts %s", life)
	}
	who := must[*people.Person](t)(p.r.Who(ctx, e.Token, true))
	if who.Role != people.Admin || len(who.Subject.Groups) != 0 {
		t.Errorf("root is %+v", who)
	}
	yes, no, auditor := true, false, people.Auditor
	refused(t, p.r.Set(ctx, "root", "root", &auditor, nil, p.from()), people.CodeNotAdmin)
	refused(t, p.r.Set(ctx, "root", "root", nil, &yes, p.from()), people.CodeNotAdmin)
	if err := p.r.Set(ctx, "", "root", nil, &yes, p.from()); err != nil {
		t.Fatal(err)
	}
	refused(t, p.opens(e.Token), people.CodeSession)
	if err := p.r.Set(ctx, "", "root", &auditor, &no, p.from()); err != nil {
		t.Fatal(err)
	}
	half := must[*people.Entry](t)(p.r.SignIn(ctx, "root", secret.New(good), p.from()))
	if half.Role != people.Auditor || half.Session.Stage != people.AtFactor {
		t.Errorf("root is now %+v", half)
	}
	for name, code := range map[string]string{"export": people.CodeName, "stranger": people.CodeName, "a/b": people.CodeName, "root": people.CodeExists} {
		role := people.NoRole
		if name == "root" {
			role = people.Admin
		}
		_, err := p.r.Create(ctx, "", name, role, p.from())
		refused(t, err, code)
	}
	list := must[[]people.Account](t)(p.r.List(ctx))
	if !slices.EqualFunc(list, []string{"root"}, func(a people.Account, n string) bool { return a.Name == n }) {
		t.Errorf("accounts: %+v", list)
	}
}

// Whom the directory has ended comes in by no password of their own either, whatever their role; before and after they do.
func TestEndedByTheDirectory(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	_, e := p.factored("ana", people.Admin)
	file := p.pol
	p.pol = file.WithPeople([]policy.Person{{Name: "ana", Ended: true, Barred: true, OfFile: true}})
	refused(t, p.opens(e.Token), people.CodeSession)
	_, err := p.r.SignIn(ctx, "ana", secret.New(good), p.from())
	refused(t, err, people.CodeLogin)
	_, err = p.r.Enter(ctx, people.Vouched{Name: "ana", Method: "oidc", Strong: true}, p.from())
	refused(t, err, people.CodeLogin)
	p.pol = file
	if half := must[*people.Entry](t)(p.r.SignIn(ctx, "ana", secret.New(good), p.from())); half.Session.Stage != people.AtFactor {
		t.Errorf("afterwards: %+v", half)
	}
}

// An owner of a dataset who signs in by the policy file's password sets up a second factor at the next sign-in, and proves it from then
// on; nobody else has to, and the file can say that owners do not either.
func TestOwnersNeedAFactor(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	in := func(who string) *people.Entry {
		t.Helper()
		return must[*people.Entry](t)(p.r.SignIn(ctx, who, secret.New("scram password"), p.from()))
	}
	if e := in("bob"); e.Session.Stage != people.Full {
		t.Errorf("bob owns nothing, and is at %s", e.Session.Stage)
	}
	p.pol.Datasets["staff"].Owners = []string{"dora", "bob"}
	p.pol.OwnersWithoutFactor = true
	if e := in("bob"); e.Session.Stage != people.Full {
		t.Errorf("where the file asks for none, bob is at %s", e.Session.Stage)
	}
	p.pol.OwnersWithoutFactor = false
	half := in("bob")
	if half.Session.Stage != people.AtEnrol {
		t.Fatalf("bob owns a dataset, and is at %s", half.Session.Stage)
	}
	refused(t, p.opens(half.Token), people.CodeSession)
	set := must[*people.Enrolment](t)(p.r.Enrol(ctx, half.Token))
	whole := must[*people.Entry](t)(p.r.Confirm(ctx, half.Token, p.code(set.Secret, 0), p.from()))
	if err := p.opens(whole.Token); err != nil || len(whole.Recovery) == 0 {
		t.Errorf("after that: %v, %d recovery codes", err, len(whole.Recovery))
	}
	if e := in("bob"); e.Session.Stage != people.AtFactor {
		t.Errorf("the next time bob is at %s", e.Session.Stage)
	}
}

// Whoever is disabled is treated as somebody who has ended outside, whether they are known there or not; who is enabled again is listed,
// and nobody else is.
func TestJoin(t *testing.T) {
	t.Parallel()
	known := []policy.Person{{Name: "ana", Groups: []string{"office"}}, {Name: "cleo"}}
	day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	got := people.Join(known, []people.Account{
		{Name: "ana", Disabled: day}, {Name: "bob", Disabled: day}, {Name: "dora", Enabled: day}, {Name: "eve"}, {Name: "finn", Disabled: day, Enabled: day},
	})
	want := []policy.Person{
		{Name: "ana", Groups: []string{"office"}, Ended: true, Barred: true},
		{Name: "cleo"},
		{Name: "bob", Ended: true, Barred: true, OfFile: true},
		{Name: "dora", OfFile: true},
		{Name: "finn", Ended: true, Barred: true, OfFile: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if known[0].Ended {
		t.Error("what the provider said was changed")
	}
}

// A new link replaces the old one, ends in time, and with reset is the way back in for who lost everything.
func TestInvitations(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	first := must[*people.Invitation](t)(p.r.Create(ctx, "", "ana", people.NoRole, p.from()))
	second := must[*people.Invitation](t)(p.r.Invite(ctx, "", "ana", false, p.from()))
	_, err := p.r.Accept(ctx, first.Code, secret.New(good), p.from())
	refused(t, err, people.CodeInvite)
	p.turn(people.InviteEnd)
	_, err = p.r.Accept(ctx, second.Code, secret.New(good), p.from())
	refused(t, err, people.CodeInvite)
	_, err = p.r.Invite(ctx, "", "nobody", false, p.from())
	refused(t, err, "not_found")

	_, e := p.factored("dora", people.NoRole)
	inv := must[*people.Invitation](t)(p.r.Invite(ctx, "", "dora", true, p.from()))
	refused(t, p.opens(e.Token), people.CodeSession)
	_, err = p.r.SignIn(ctx, "dora", secret.New(good), p.from())
	refused(t, err, people.CodeLogin)
	again := must[*people.Entry](t)(p.r.Accept(ctx, inv.Code, secret.New(other), p.from()))
	if again.Session.Stage != people.AtEnrol {
		t.Errorf("after a reset dora is at %s", again.Session.Stage)
	}
}

// What weighs more wants the second factor again; a new password ends the sessions elsewhere.
func TestStepUpAndChanges(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	seed, e := p.factored("dora", people.NoRole)
	p.turn(10 * time.Minute)
	_, err := p.r.NewRecovery(ctx, e.Token, p.from())
	refused(t, err, people.CodeStage)
	_, err = p.r.Enrol(ctx, e.Token)
	refused(t, err, people.CodeStage)
	s := must[*people.Session](t)(p.r.StepUp(ctx, e.Token, p.code(seed, 0), p.from()))
	if !s.Factor.Equal(p.clock()) || s.ID != e.Session.ID {
		t.Errorf("after the step up: %+v", s)
	}
	codes := must[[]string](t)(p.r.NewRecovery(ctx, e.Token, p.from()))
	if len(codes) != 10 || slices.Contains(e.Recovery, codes[0]) {
		t.Errorf("new codes %d", len(codes))
	}
	must[*people.Enrolment](t)(p.r.Enrol(ctx, e.Token))
	half := must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	refused(t, p.r.ChangePassword(ctx, e.Token, secret.New(other), secret.New(other), p.from()), people.CodePassword)
	if err := p.r.ChangePassword(ctx, e.Token, secret.New(good), secret.New(other), p.from()); err != nil {
		t.Fatal(err)
	}
	_, err = p.r.Prove(ctx, half.Token, codes[0], p.from())
	refused(t, err, people.CodeSession)
	if err := p.opens(e.Token); err != nil {
		t.Fatal(err)
	}
	must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(other), p.from()))
}

// TestFirstFactorWantsAFreshSignIn: a session that is old is not good for a first authenticator app, neither to begin with nor to end,
// whoever has it; a sign-in of the moment is, and so is one that has to set one up.
func TestFirstFactorWantsAFreshSignIn(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	old := p.member("ana", people.NoRole)
	begun := must[*people.Enrolment](t)(p.r.Enrol(ctx, old.Token))
	p.turn(people.FactorFresh + time.Second)
	_, err := p.r.Enrol(ctx, old.Token)
	refused(t, err, people.CodeStage)
	_, err = p.r.Confirm(ctx, old.Token, p.code(begun.Secret, 0), p.from())
	refused(t, err, people.CodeStage)
	if a := must[people.Account](t)(p.db.Account(ctx, "ana")); a.Factored() || p.opens(old.Token) != nil {
		t.Errorf("afterwards: factor %v, the session %v", a.Factored(), p.opens(old.Token))
	}
	fresh := must[*people.Entry](t)(p.r.SignIn(ctx, "ana", secret.New(good), p.from()))
	p.turn(people.FactorFresh)
	set := must[*people.Enrolment](t)(p.r.Enrol(ctx, fresh.Token))
	must[*people.Entry](t)(p.r.Confirm(ctx, fresh.Token, p.code(set.Secret, 0), p.from()))

	half := p.member("root", people.Admin) // who must have one takes the time that the sign-in has
	p.turn(people.FactorFresh + time.Minute)
	set = must[*people.Enrolment](t)(p.r.Enrol(ctx, half.Token))
	must[*people.Entry](t)(p.r.Confirm(ctx, half.Token, p.code(set.Secret, 0), p.from()))
}

// What the trail does not have does not happen.
func TestNoTrailNoSignIn(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	p.member("ana", people.NoRole)
	p.trail.broken = errors.New("the disk is full")
	if e, err := p.r.SignIn(ctx, "ana", secret.New(good), p.from()); err == nil {
		t.Errorf("signed in: %+v", e)
	}
	if _, err := p.r.Create(ctx, "", "dora", people.NoRole, p.from()); err == nil {
		t.Error("an account was made")
	}
	p.trail.broken = nil
	if _, err := p.db.Account(ctx, "dora"); !errors.Is(err, people.ErrNone) {
		t.Errorf("dora: %v", err)
	}
	if all := must[[]people.Session](t)(p.r.Sessions(ctx, "ana")); len(all) != 1 {
		t.Errorf("ana has %d sessions", len(all))
	}
}
