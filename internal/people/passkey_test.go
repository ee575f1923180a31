package people_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/test/passkey"
)

const site = "https://postern.example:8443"

func device() *passkey.Device { return &passkey.Device{Origin: site, Counts: true} }

// answer lets a device answer a ceremony.
func answer(t *testing.T, c *people.Ceremony, ask func([]byte) ([]byte, error)) people.PasskeyAnswer {
	t.Helper()
	return people.PasskeyAnswer{Carry: c.Carry, Response: must[[]byte](t)(ask(c.Options))}
}

// add registers a passkey in a session, or in a sign-in that needs a factor.
func (p *place) add(token secret.Text, d *passkey.Device, name string) *people.Entry {
	p.t.Helper()
	c := must[*people.Ceremony](p.t)(p.r.PasskeyToAdd(p.t.Context(), token))
	return must[*people.Entry](p.t)(p.r.AddPasskey(p.t.Context(), token, name, answer(p.t, c, d.Create), p.from()))
}

var browser = secret.New("a browser")

// byPasskey signs in with nothing else.
func (p *place) byPasskey(d *passkey.Device) (*people.Entry, error) {
	p.t.Helper()
	c := must[*people.Ceremony](p.t)(p.r.PasskeyToSignIn(browser))
	return p.send(answer(p.t, c, d.Get))
}

// send ends a sign-in by passkey, each from an address of its own: none waits for another's failure.
func (p *place) send(a people.PasskeyAnswer) (*people.Entry, error) {
	n := p.sent.Add(1)
	from := people.From{Addr: netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}), Channel: "portal"}
	return p.r.SignInByPasskey(p.t.Context(), browser, a, from)
}

func (p *place) trailSays(t *testing.T, kind audit.Kind, subject, verdict, reason string) {
	t.Helper()
	p.trail.mu.Lock()
	defer p.trail.mu.Unlock()
	for _, e := range p.trail.events {
		if e.Kind == kind && e.Subject == subject && e.Verdict == verdict && e.Reason == reason {
			return
		}
	}
	t.Errorf("the trail has no %s of %q with %s %q", kind, subject, verdict, reason)
}

// A passkey instead of an app, from the invitation on: it is the second factor after a password, a sign-in of its own, and the fresh
// proof that weighty steps want. Recovery codes stand in for it.
func TestPasskeys(t *testing.T) {
	t.Parallel()
	p, ctx, d := newPlace(t), t.Context(), device()
	half := p.member("dora", people.NoRole)
	if half.Session.Stage != people.AtEnrol {
		t.Fatalf("dora is at %s", half.Session.Stage)
	}
	in := p.add(half.Token, d, " blue key ")
	if len(in.Recovery) != 10 || in.Session.Stage != people.Full || p.opens(in.Token) != nil {
		t.Fatalf("after the first passkey: %+v", in.Session)
	}
	refused(t, p.opens(half.Token), people.CodeSession)
	p.trailSays(t, audit.PasskeyAdded, "dora", "allow", "")

	p.turn(time.Minute)
	e := must[*people.Entry](t)(p.byPasskey(d))
	if e.Session.Stage != people.Full || e.Session.Subject != "dora" || !e.Session.Factor.Equal(p.clock()) {
		t.Errorf("by passkey: %+v", e.Session)
	}
	if ev := p.trail.last(); ev.Kind != audit.PortalLogin || ev.Subject != "dora" || ev.Verdict != "allow" || ev.Detail["method"] != "passkey" {
		t.Errorf("the trail says %+v", ev)
	}
	half = must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	if half.Session.Stage != people.AtFactor {
		t.Fatalf("with a passkey the password leads to %s", half.Session.Stage)
	}
	c := must[*people.Ceremony](t)(p.r.PasskeyToProve(ctx, half.Token))
	full := must[*people.Entry](t)(p.r.ProveByPasskey(ctx, half.Token, answer(t, c, d.Get), p.from()))
	refused(t, p.opens(half.Token), people.CodeSession)
	if ev := p.trail.events[len(p.trail.events)-2]; ev.Kind != audit.FactorProved || ev.Detail["factor"] != "passkey" {
		t.Errorf("the trail says %+v", ev)
	}
	p.turn(10 * time.Minute)
	_, err := p.r.NewRecovery(ctx, full.Token, p.from())
	refused(t, err, people.CodeStage)
	c = must[*people.Ceremony](t)(p.r.PasskeyToProve(ctx, full.Token))
	must[*people.Session](t)(p.r.StepUpByPasskey(ctx, full.Token, answer(t, c, d.Get), p.from()))
	must[[]string](t)(p.r.NewRecovery(ctx, full.Token, p.from()))

	half = must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	_, err = p.r.Prove(ctx, half.Token, "123456", p.from()) // there is no app
	refused(t, err, people.CodeFactor)
	_, err = p.r.Prove(ctx, half.Token, in.Recovery[0], p.from()) // replaced
	refused(t, err, people.CodeFactor)
	codes := must[[]string](t)(p.r.NewRecovery(ctx, full.Token, p.from()))
	must[*people.Entry](t)(p.r.Prove(ctx, half.Token, codes[0], p.from()))

	keys := must[[]people.Passkey](t)(p.r.Passkeys(ctx, "dora"))
	if len(keys) != 1 || keys[0].Name != "blue key" || !keys[0].Used.Equal(p.clock()) || !keys[0].Suspect.IsZero() {
		t.Errorf("dora has %+v", keys)
	}
}

// One answer for a passkey that is unknown, removed, of a disabled account, of somebody who signs in elsewhere, or badly signed.
func TestPasskeysTellNothing(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	devices := map[string]*passkey.Device{"passkey_unknown": device(), "deactivated": device(), "signature": device(), "not_verified": device(), "elsewhere": device()}
	p.pol.Users["ella"] = &policy.User{Name: "ella"} // known through a provider alone
	ella := must[*people.Entry](t)(p.r.Enter(ctx, people.Vouched{Name: "ella", Method: "oidc"}, p.from()))
	p.add(ella.Token, devices["elsewhere"], "key")
	for name, d := range map[string]*passkey.Device{"root": devices["deactivated"], "dora": devices["signature"], "edith": devices["not_verified"]} {
		role := people.Admin
		if name == "dora" {
			role = people.NoRole
		}
		p.add(p.member(name, role).Token, d, "key")
		must[*people.Entry](t)(p.byPasskey(d))
	}
	yes := true
	if err := p.r.Set(ctx, "", "root", nil, &yes, p.from()); err != nil {
		t.Fatal(err)
	}
	stranger := devices["passkey_unknown"]
	must[[]byte](t)(stranger.Create([]byte(`{"rp": {"id": "postern.example"}, "user": {"id": "AAAA"}}`)))
	forged := devices["signature"].Keys[0]
	forged.ID, stranger.Keys[0].ID = stranger.Keys[0].ID, forged.ID // a key of one's own under somebody's id
	devices["signature"], devices["passkey_unknown"] = stranger, devices["signature"]
	stranger.Keys[0].Handle = forged.Handle
	devices["not_verified"].Careless = true
	texts := map[string]bool{}
	for why, d := range devices {
		_, err := p.byPasskey(d)
		refused(t, err, people.CodeLogin)
		texts[err.Error()] = true
		ev := p.trail.last()
		if why == "elsewhere" {
			why = "deactivated"
		}
		if ev.Kind != audit.PortalLogin || ev.Verdict != "refuse" || ev.Reason != why {
			t.Errorf("%s: the trail says %+v", why, ev)
		}
	}
	if len(texts) != 1 {
		t.Errorf("the answers differ: %v", texts)
	}
	devices["not_verified"].Careless = false
	must[*people.Entry](t)(p.byPasskey(devices["not_verified"]))
}

// A challenge is good for one answer, for its time, for its browser or session, and for what it was made for.
func TestChallenges(t *testing.T) {
	t.Parallel()
	p, ctx, d := newPlace(t), t.Context(), device()
	p.add(p.member("dora", people.NoRole).Token, d, "key")
	late := func(err error, why string) {
		t.Helper()
		refused(t, err, people.CodePasskeyLate)
		if ev := p.trail.last(); ev.Verdict != "refuse" || ev.Reason != why {
			t.Errorf("the trail says %+v, want %s", ev, why)
		}
	}
	begin := func() *people.Ceremony { t.Helper(); return must[*people.Ceremony](t)(p.r.PasskeyToSignIn(browser)) }
	c := begin()
	a := answer(t, c, d.Get)
	must[*people.Entry](t)(p.send(a))
	_, err := p.send(a)
	late(err, "challenge_used")
	_, err = p.send(answer(t, c, d.Get)) // a new signature of the same challenge
	late(err, "challenge_used")

	c = begin() // a wrong answer uses it up as well
	_, err = p.send(people.PasskeyAnswer{Carry: c.Carry, Response: []byte("{}")})
	refused(t, err, people.CodeLogin)
	_, err = p.send(answer(t, c, d.Get))
	late(err, "challenge_used")

	a = answer(t, begin(), d.Get)
	_, err = p.r.SignInByPasskey(ctx, secret.New("another browser"), a, p.from())
	late(err, "challenge_other")
	p.turn(10 * time.Minute)
	_, err = p.send(a)
	late(err, "challenge_expired")
	a = answer(t, begin(), d.Get)
	p.turn(10*time.Minute - time.Second)
	must[*people.Entry](t)(p.send(a))

	// An answer to one challenge under the wrapping of another.
	a = answer(t, begin(), d.Get)
	a.Carry = begin().Carry
	_, err = p.send(a)
	late(err, "challenge_other")
	forged := "x" // the first letter is random: it shall be another
	if a.Carry[0] == 'x' {
		forged = "y"
	}
	a.Carry = forged + a.Carry[1:]
	_, err = p.send(a)
	late(err, "challenge_other")

	// What was made for a step of one session is good for no other, and for no other step.
	e := must[*people.Entry](t)(p.byPasskey(d))
	second := must[*people.Entry](t)(p.byPasskey(d))
	a = answer(t, must[*people.Ceremony](t)(p.r.PasskeyToProve(ctx, e.Token)), d.Get)
	_, err = p.r.StepUpByPasskey(ctx, second.Token, a, p.from())
	late(err, "challenge_other")
	_, err = p.r.SignInByPasskey(ctx, e.Token, a, p.from())
	late(err, "challenge_other")
	must[*people.Session](t)(p.r.StepUpByPasskey(ctx, e.Token, a, p.from()))
	_, err = p.r.StepUpByPasskey(ctx, e.Token, a, p.from())
	late(err, "challenge_used")
}

// Ten programs send one answer at once: it opens one session.
func TestOneAnswerAtOnce(t *testing.T) {
	t.Parallel()
	p, d := newPlace(t), device()
	p.add(p.member("dora", people.NoRole).Token, d, "key")
	a := answer(t, must[*people.Ceremony](t)(p.r.PasskeyToSignIn(browser)), d.Get)
	opened := make(chan bool, 10)
	var wg sync.WaitGroup
	for range cap(opened) {
		wg.Go(func() {
			_, err := p.send(a)
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
		t.Errorf("one answer opened %d sessions", n)
	}
}

// A page of another site, another port of the same host or the plain form of it: what a passkey says there is worth nothing here.
func TestPasskeysOfOtherPages(t *testing.T) {
	t.Parallel()
	p, ctx, d := newPlace(t), t.Context(), device()
	p.add(p.member("dora", people.NoRole).Token, d, "key")
	for _, origin := range []string{"https://postern.example", "http://postern.example:8443", "https://postern.example.evil.example:8443", "https://evil.example", ""} {
		d.Origin = origin
		_, err := p.byPasskey(d)
		refused(t, err, people.CodeLogin)
		if ev := p.trail.last(); ev.Reason != "origin" {
			t.Errorf("%q: the trail says %+v", origin, ev)
		}
		e := must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
		c := must[*people.Ceremony](t)(p.r.PasskeyToProve(ctx, e.Token))
		_, err = p.r.ProveByPasskey(ctx, e.Token, answer(t, c, d.Get), p.from())
		refused(t, err, people.CodeFactor)
		d.Origin = site
		c = must[*people.Ceremony](t)(p.r.PasskeyToProve(ctx, e.Token))
		e = must[*people.Entry](t)(p.r.ProveByPasskey(ctx, e.Token, answer(t, c, d.Get), p.from()))
		more := device()
		more.Origin = origin
		c = must[*people.Ceremony](t)(p.r.PasskeyToAdd(ctx, e.Token))
		_, err = p.r.AddPasskey(ctx, e.Token, "key", answer(t, c, more.Create), p.from())
		refused(t, err, people.CodePasskey)
		p.trailSays(t, audit.PasskeyRefused, "dora", "refuse", "origin")
	}
	foreign := device() // the right page, and a passkey that was made for another name
	must[[]byte](t)(foreign.Create([]byte(`{"rp": {"id": "example"}, "user": {"id": "AAAA"}}`)))
	foreign.Keys[0].ID, foreign.Keys[0].Handle = d.Keys[0].ID, d.Keys[0].Handle
	c := must[*people.Ceremony](t)(p.r.PasskeyToSignIn(browser))
	_, err := p.send(answer(t, c, foreign.Force))
	refused(t, err, people.CodeLogin)
	must[*people.Entry](t)(p.byPasskey(d))
}

// Somebody else's passkey proves nothing in my session, and is not mine to add.
func TestPasskeysOfOthers(t *testing.T) {
	t.Parallel()
	p, ctx, doras, roots := newPlace(t), t.Context(), device(), device()
	p.add(p.member("dora", people.NoRole).Token, doras, "key")
	p.add(p.member("root", people.Admin).Token, roots, "key")
	half := must[*people.Entry](t)(p.r.SignIn(ctx, "root", secret.New(good), p.from()))
	for range 2 {
		c := must[*people.Ceremony](t)(p.r.PasskeyToProve(ctx, half.Token))
		_, err := p.r.ProveByPasskey(ctx, half.Token, answer(t, c, doras.Force), p.from())
		refused(t, err, people.CodeFactor)
		p.trailSays(t, audit.FactorRefused, "root", "refuse", "passkey_unknown")
		doras.Keys[0].Handle = roots.Keys[0].Handle // dora's passkey says that it is root's
	}
	c := must[*people.Ceremony](t)(p.r.PasskeyToSignIn(browser))
	_, err := p.send(answer(t, c, doras.Force))
	refused(t, err, people.CodeLogin)
	c = must[*people.Ceremony](t)(p.r.PasskeyToProve(ctx, half.Token))
	full := must[*people.Entry](t)(p.r.ProveByPasskey(ctx, half.Token, answer(t, c, roots.Force), p.from()))

	c = must[*people.Ceremony](t)(p.r.PasskeyToAdd(ctx, full.Token))
	thief := &passkey.Device{Origin: site, NextID: doras.Keys[0].ID}
	_, err = p.r.AddPasskey(ctx, full.Token, "key", answer(t, c, thief.Create), p.from())
	refused(t, err, people.CodePasskey)
	p.trailSays(t, audit.PasskeyRefused, "root", "refuse", "passkey_known")
}

// A counter that goes back means that there may be two of a passkey: neither opens anything from then on, and the trail says so.
func TestCopiedPasskey(t *testing.T) {
	t.Parallel()
	p, ctx, d := newPlace(t), t.Context(), device()
	e := p.add(p.member("dora", people.NoRole).Token, d, "key")
	p.add(e.Token, &passkey.Device{Origin: site}, "spare without a counter")
	thief := &passkey.Device{Origin: site, Counts: true, Keys: []*passkey.Key{d.Keys[0].Copy()}}
	must[*people.Entry](t)(p.byPasskey(d))
	must[*people.Entry](t)(p.byPasskey(d))
	_, err := p.byPasskey(thief)
	refused(t, err, people.CodeLogin)
	p.trailSays(t, audit.PasskeySuspect, "dora", "refuse", "counter")
	p.trailSays(t, audit.PortalLogin, "dora", "refuse", "counter")
	_, err = p.byPasskey(d) // nobody can tell which is the copy
	refused(t, err, people.CodeLogin)
	if ev := p.trail.last(); ev.Reason != "suspect" {
		t.Errorf("the trail says %+v", ev)
	}
	keys := must[[]people.Passkey](t)(p.r.Passkeys(ctx, "dora"))
	if !keys[0].Suspect.Equal(p.clock()) || !keys[1].Suspect.IsZero() {
		t.Errorf("dora has %+v", keys)
	}
	half := must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	c := must[*people.Ceremony](t)(p.r.PasskeyToProve(ctx, half.Token))
	_, err = p.r.ProveByPasskey(ctx, half.Token, answer(t, c, d.Get), p.from())
	refused(t, err, people.CodeFactor)
	full := must[*people.Entry](t)(p.r.Prove(ctx, half.Token, e.Recovery[0], p.from())) // not locked out
	if err := p.r.RemovePasskey(ctx, full.Token, keys[0].Handle(), p.from()); err != nil {
		t.Error(err)
	}
}

// One without a counter says 0 for ever, and is no copy.
func TestPasskeyWithoutACounter(t *testing.T) {
	t.Parallel()
	p, d := newPlace(t), &passkey.Device{Origin: site}
	p.add(p.member("dora", people.NoRole).Token, d, "key")
	for range 3 {
		must[*people.Entry](t)(p.byPasskey(d))
	}
}

// Adding and removing want a fresh proof; the last second factor of who must have one stays; what is removed opens nothing, and the
// sessions that it may have opened end.
func TestManagingPasskeys(t *testing.T) {
	t.Parallel()
	p, ctx, first, second := newPlace(t), t.Context(), device(), device()
	e := p.add(p.member("dora", people.NoRole).Token, first, "phone")
	p.turn(10 * time.Minute)
	_, err := p.r.PasskeyToAdd(ctx, e.Token)
	refused(t, err, people.CodeStage)
	handle := must[[]people.Passkey](t)(p.r.Passkeys(ctx, "dora"))[0].Handle()
	refused(t, p.r.RemovePasskey(ctx, e.Token, handle, p.from()), people.CodeStage)
	half := must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	_, err = p.r.PasskeyToAdd(ctx, half.Token) // a thief of the password adds none of their own
	refused(t, err, people.CodeStage)

	e = must[*people.Entry](t)(p.byPasskey(first))
	refused(t, p.r.RemovePasskey(ctx, e.Token, handle, p.from()), people.CodeLastFactor)
	p.trailSays(t, audit.PasskeyRefused, "dora", "refuse", people.CodeLastFactor)
	refused(t, p.r.RemovePasskey(ctx, e.Token, "nosuch", p.from()), "not_found")
	for _, name := range []string{"", "  ", "two\nlines", strings.Repeat("x", 61), "\u202eback"} {
		_, err = p.r.AddPasskey(ctx, e.Token, name, people.PasskeyAnswer{}, p.from())
		refused(t, err, people.CodeName)
	}
	c := must[*people.Ceremony](t)(p.r.PasskeyToAdd(ctx, e.Token))
	if _, err := first.Create(c.Options); err == nil {
		t.Error("a device is asked for a second passkey of the same person")
	}
	if got := p.add(e.Token, second, "key"); len(got.Recovery) != 0 || !got.Token.Equal(e.Token) {
		t.Errorf("a further passkey came with %+v", got)
	}
	elsewhere := must[*people.Entry](t)(p.byPasskey(first))
	if err := p.r.RemovePasskey(ctx, e.Token, handle, p.from()); err != nil {
		t.Fatal(err)
	}
	p.trailSays(t, audit.PasskeyRemoved, "dora", "allow", "")
	refused(t, p.opens(elsewhere.Token), people.CodeSession)
	if err := p.opens(e.Token); err != nil {
		t.Error(err)
	}
	_, err = p.byPasskey(first)
	refused(t, err, people.CodeLogin)
	if ev := p.trail.last(); ev.Reason != "passkey_unknown" {
		t.Errorf("the trail says %+v", ev)
	}
	must[*people.Entry](t)(p.byPasskey(second))

	// With an app beside it, the last passkey may go; recovery codes stay for the app.
	set := must[*people.Enrolment](t)(p.r.Enrol(ctx, e.Token))
	e = must[*people.Entry](t)(p.r.Confirm(ctx, e.Token, p.code(set.Secret, 0), p.from()))
	handle = must[[]people.Passkey](t)(p.r.Passkeys(ctx, "dora"))[0].Handle()
	if err := p.r.RemovePasskey(ctx, e.Token, handle, p.from()); err != nil {
		t.Fatal(err)
	}
	half = must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	_, err = p.r.PasskeyToProve(ctx, half.Token)
	refused(t, err, people.CodeFactor)
	must[*people.Entry](t)(p.r.Prove(ctx, half.Token, e.Recovery[0], p.from()))
}

// Who need not have a second factor may add a passkey right after a sign-in, and be without one again.
func TestPasskeyOfAnybody(t *testing.T) {
	t.Parallel()
	p, ctx, d := newPlace(t), t.Context(), device()
	e := must[*people.Entry](t)(p.r.SignIn(ctx, "bob", secret.New("scram password"), p.from()))
	p.turn(6 * time.Minute)
	_, err := p.r.PasskeyToAdd(ctx, e.Token) // an open browser that was left behind
	refused(t, err, people.CodeStage)
	e = must[*people.Entry](t)(p.r.SignIn(ctx, "bob", secret.New("scram password"), p.from()))
	e = p.add(e.Token, d, "key")
	if len(e.Recovery) != 10 {
		t.Errorf("%d recovery codes", len(e.Recovery))
	}
	must[*people.Entry](t)(p.byPasskey(d))
	handle := must[[]people.Passkey](t)(p.r.Passkeys(ctx, "bob"))[0].Handle()
	if err := p.r.RemovePasskey(ctx, e.Token, handle, p.from()); err != nil {
		t.Fatal(err)
	}
	e = must[*people.Entry](t)(p.r.SignIn(ctx, "bob", secret.New("scram password"), p.from()))
	if e.Session.Stage != people.Full {
		t.Errorf("without a second factor bob is at %s", e.Session.Stage)
	}
	d = device()
	p.add(e.Token, d, "another")
	if _, err := p.r.Create(ctx, "", "bob", people.NoRole, p.from()); err == nil {
		t.Error("bob has an account, and gets another")
	}
	must[*people.Invitation](t)(p.r.Invite(ctx, "", "bob", true, p.from())) // the way back in forgets passkeys too
	_, err = p.byPasskey(d)
	refused(t, err, people.CodeLogin)
}

// The brake on guessing is one for passwords and passkeys: an address that has failed with one waits with the other.
func TestOneBrakeForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, ctx, began := newPlace(t), t.Context(), time.Now()
		p.mu.Lock()
		p.now = began
		p.mu.Unlock()
		p.r = p.registryAt(time.Now)
		d := device()
		p.add(p.member("dora", people.NoRole).Token, d, "key")
		away := people.From{Addr: netip.MustParseAddr("198.51.100.7"), Channel: "portal"}
		for range 10 {
			_, err := p.r.SignIn(ctx, "dora", secret.New(other), away)
			refused(t, err, people.CodeLogin)
			c := must[*people.Ceremony](t)(p.r.PasskeyToSignIn(browser))
			_, err = p.r.SignInByPasskey(ctx, browser, people.PasskeyAnswer{Carry: c.Carry}, away)
			refused(t, err, people.CodeLogin)
		}
		if spent := time.Since(began); spent < 2*time.Minute {
			t.Errorf("twenty guesses took %s", spent)
		}
		c := must[*people.Ceremony](t)(p.r.PasskeyToSignIn(browser))
		_, err := p.r.SignInByPasskey(ctx, browser, answer(t, c, d.Get), away)
		refused(t, err, people.CodeLogin) // locked: the right one is no better
		if ev := p.trail.last(); ev.Reason != "locked" {
			t.Errorf("the trail says %+v", ev)
		}
		_, err = p.r.SignIn(ctx, "dora", secret.New(good), away)
		refused(t, err, people.CodeLogin)
		must[*people.Entry](t)(p.byPasskey(d)) // at home nobody waits for what strangers do
		time.Sleep(2 * time.Hour)
		c = must[*people.Ceremony](t)(p.r.PasskeyToSignIn(browser))
		must[*people.Entry](t)(p.r.SignInByPasskey(ctx, browser, answer(t, c, d.Get), away))
	})
}

// Wrong answers end the half of a sign-in; wrong codes lock codes, and not the passkey that nobody guesses.
func TestGuessingBesideAPasskey(t *testing.T) {
	t.Parallel()
	p, ctx, d := newPlace(t), t.Context(), device()
	p.add(p.member("dora", people.NoRole).Token, d, "key")
	half := must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	for range 5 {
		c := must[*people.Ceremony](t)(p.r.PasskeyToProve(ctx, half.Token))
		_, err := p.r.ProveByPasskey(ctx, half.Token, people.PasskeyAnswer{Carry: c.Carry, Response: []byte("{}")}, p.from())
		refused(t, err, people.CodeFactor)
	}
	_, err := p.r.PasskeyToProve(ctx, half.Token)
	refused(t, err, people.CodeSession)
	for range 2 {
		half = must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
		for range 5 {
			_, err = p.r.Prove(ctx, half.Token, "123", p.from())
			refused(t, err, people.CodeFactor)
		}
	}
	half = must[*people.Entry](t)(p.r.SignIn(ctx, "dora", secret.New(good), p.from()))
	_, err = p.r.Prove(ctx, half.Token, "123", p.from())
	refused(t, err, people.CodeLocked)
	c := must[*people.Ceremony](t)(p.r.PasskeyToProve(ctx, half.Token))
	must[*people.Entry](t)(p.r.ProveByPasskey(ctx, half.Token, answer(t, c, d.Get), p.from()))
}

// What the trail does not have does not happen, and where the portal has no name there are no passkeys.
func TestNoTrailNoPasskey(t *testing.T) {
	t.Parallel()
	p, ctx, d := newPlace(t), t.Context(), device()
	e := p.add(p.member("dora", people.NoRole).Token, d, "key")
	p.trail.broken = errors.New("the disk is full")
	if _, err := p.byPasskey(d); err == nil {
		t.Error("signed in")
	}
	c := must[*people.Ceremony](t)(p.r.PasskeyToAdd(ctx, e.Token))
	if _, err := p.r.AddPasskey(ctx, e.Token, "more", answer(t, c, device().Create), p.from()); err == nil {
		t.Error("added")
	}
	handle := must[[]people.Passkey](t)(p.r.Passkeys(ctx, "dora"))[0].Handle()
	if err := p.r.RemovePasskey(ctx, e.Token, handle, p.from()); err == nil {
		t.Error("removed")
	}
	p.trail.broken = nil
	if keys := must[[]people.Passkey](t)(p.r.Passkeys(ctx, "dora")); len(keys) != 1 {
		t.Errorf("dora has %+v", keys)
	}
	for _, address := range []string{"", "https://192.0.2.1", "http://127.0.0.1:8080", "https://[::1]", "https://postern", "postern.example", "https://%zz"} {
		p.url = address
		p.r = p.registryAt(p.clock)
		_, err := p.r.PasskeyToSignIn(browser)
		refused(t, err, people.CodeNoPasskeys)
		_, err = p.send(people.PasskeyAnswer{})
		refused(t, err, people.CodeNoPasskeys)
		_, err = p.r.PasskeyToAdd(ctx, e.Token)
		refused(t, err, people.CodeNoPasskeys)
		_, err = p.r.StepUpByPasskey(ctx, e.Token, people.PasskeyAnswer{}, p.from())
		refused(t, err, people.CodeNoPasskeys)
	}
}

// Neither a challenge nor who somebody is to their devices can be told from what is sent, and no answer opens anything twice: what is
// kept of an account proves nobody.
func TestPasskeysAreNoSecrets(t *testing.T) {
	t.Parallel()
	p, d := newPlace(t), device()
	e := p.add(p.member("dora", people.NoRole).Token, d, "key")
	c := must[*people.Ceremony](t)(p.r.PasskeyToSignIn(browser))
	if text := string(c.Options); strings.Contains(text, "allowCredentials") || !strings.Contains(text, `"userVerification":"required"`) || !strings.Contains(text, `"rpId":"postern.example"`) {
		t.Errorf("a sign-in asks for %s", text)
	}
	if strings.Contains(c.Carry, "challenge") || strings.Contains(fmt.Sprintf("%+v", p.trail.events), e.Token.Reveal()) {
		t.Error("what is sealed can be read")
	}
	handles := [][]byte{d.Keys[0].Handle}
	other := device()
	p.add(p.member("root", people.Admin).Token, other, "key")
	if handles = append(handles, other.Keys[0].Handle); slices.Equal(handles[0], handles[1]) || len(handles[0]) != 32 || strings.Contains(string(handles[0]), "dora") {
		t.Errorf("devices know people by %x", handles)
	}
}
