package people_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

var none secret.Text

// waits starts a terminal that waits.
func (p *place) waits(port int, challenge string) (secret.Text, *people.Device) {
	p.t.Helper()
	code, d, err := p.r.StartDevice(p.t.Context(), port, challenge, people.From{Remote: "198.51.100.7:9", Channel: "cli"})
	if err != nil {
		p.t.Fatal(err)
	}
	return code, d
}

func (p *place) redeem(code, answer, verifier secret.Text) (*people.Entry, error) {
	return p.r.RedeemDevice(p.t.Context(), code, answer, verifier, people.From{Remote: "198.51.100.7:9", Channel: "cli"})
}

func TestTerminalSignsIn(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	browser := must[*people.Entry](t)(p.r.SignIn(t.Context(), "bob", secret.New("scram password"), p.from()))
	code, d := p.waits(0, "")
	if len(d.Code) != 9 || strings.Trim(d.Code, "BCDFGHJKLMNPQRSTVWXZ-") != "" {
		t.Errorf("the code is %q", d.Code)
	}
	_, err := p.redeem(code, none, none)
	refused(t, err, people.CodePending)
	_, err = p.redeem(code, none, none) // at once
	refused(t, err, people.CodeSlow)
	p.turn(5 * time.Second)
	_, err = p.redeem(code, none, none) // every five seconds is too often now
	refused(t, err, people.CodeSlow)
	p.turn(15 * time.Second)
	_, err = p.redeem(code, none, none)
	refused(t, err, people.CodePending)
	// What the person is shown is where it comes from; how they write the code does not matter.
	shown := must[*people.Device](t)(p.r.WaitingDevice(t.Context(), "bob", " "+strings.ToLower(strings.ReplaceAll(d.Code, "-", ""))+" ", p.from()))
	if shown.Address != "198.51.100.7:9" {
		t.Errorf("shown as %q", shown.Address)
	}
	if _, _, err := p.r.DecideDevice(t.Context(), browser.Token, d.Code, true, p.from()); err != nil {
		t.Fatal(err)
	}
	if e := p.trail.last(); e.Kind != audit.DeviceDecided || e.Subject != "bob" || e.Detail["terminal"] != "198.51.100.7:9" {
		t.Errorf("the trail says %+v", e)
	}
	in := must[*people.Entry](t)(p.redeem(code, none, none))
	if in.Session.Subject != "bob" || in.Session.Channel != "cli" || in.Session.Stage != people.Full {
		t.Errorf("signed in: %+v", in.Session)
	}
	must[*people.Person](t)(p.r.Who(t.Context(), in.Token, true))
	_, err = p.redeem(code, none, none)
	refused(t, err, people.CodeExpired)
	_, _, err = p.r.DecideDevice(t.Context(), browser.Token, d.Code, true, p.from())
	refused(t, err, people.CodeDevice)
}

func TestTerminalIsTurnedAway(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	browser := must[*people.Entry](t)(p.r.SignIn(t.Context(), "bob", secret.New("scram password"), p.from()))
	code, d := p.waits(0, "")
	if _, _, err := p.r.DecideDevice(t.Context(), browser.Token, d.Code, false, p.from()); err != nil {
		t.Fatal(err)
	}
	_, err := p.redeem(code, none, none)
	refused(t, err, people.CodeDenied)
	_, _, err = p.r.DecideDevice(t.Context(), browser.Token, d.Code, true, p.from()) // no is no
	refused(t, err, people.CodeDevice)
	// Ten minutes, and not a second longer.
	code, d = p.waits(0, "")
	p.turn(10 * time.Minute)
	_, _, err = p.r.DecideDevice(t.Context(), browser.Token, d.Code, true, p.from())
	refused(t, err, people.CodeDevice)
	_, err = p.redeem(code, none, none)
	refused(t, err, people.CodeExpired)
	_, err = p.redeem(secret.New(d.Code), none, none) // what the person sees opens nothing
	refused(t, err, people.CodeExpired)
	// Whoever is only half in lets nobody in.
	half := must[*people.Entry](t)(p.r.Accept(t.Context(), must[*people.Invitation](t)(p.r.Create(t.Context(), "", "root", people.Admin, p.from())).Code, secret.New(good), p.from()))
	_, d = p.waits(0, "")
	_, _, err = p.r.DecideDevice(t.Context(), half.Token, d.Code, true, p.from())
	refused(t, err, people.CodeStage)
}

// TestTerminalOnAnotherMachine: whoever lures somebody into saying yes to a terminal that claims to be on the browser's machine does
// not get what the browser brings there.
func TestTerminalOnAnotherMachine(t *testing.T) {
	t.Parallel()
	verifier := secret.New("0123456789abcdefghijklmnopqrstuvwxyz0123456789")
	sum := sha256.Sum256([]byte(verifier.Reveal()))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	for name, x := range map[string]struct {
		answer   func(right secret.Text) secret.Text
		verifier secret.Text
		want     string
	}{
		"without the answer":     {func(secret.Text) secret.Text { return none }, verifier, people.CodeDenied},
		"with another answer":    {func(secret.Text) secret.Text { return secret.New(identity.TokenPrefix + "x") }, verifier, people.CodeDenied},
		"without the verifier":   {func(right secret.Text) secret.Text { return right }, none, people.CodeDenied},
		"with another verifier":  {func(right secret.Text) secret.Text { return right }, secret.New("x"), people.CodeDenied},
		"with all that it takes": {func(right secret.Text) secret.Text { return right }, verifier, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			browser := must[*people.Entry](t)(p.r.SignIn(t.Context(), "bob", secret.New("scram password"), p.from()))
			code, d := p.waits(40000, challenge)
			_, right, err := p.r.DecideDevice(t.Context(), browser.Token, d.Code, true, p.from())
			if err != nil {
				t.Fatal(err)
			}
			in, err := p.redeem(code, x.answer(right), x.verifier)
			if x.want != "" {
				refused(t, err, x.want)
				_, err = p.redeem(code, right, verifier) // one try is all there is
				refused(t, err, people.CodeExpired)
				return
			}
			if err != nil || in.Session.Subject != "bob" {
				t.Errorf("%v", err)
			}
		})
	}
	p := newPlace(t)
	for _, port := range []int{22, 70000, 40000} {
		_, _, err := p.r.StartDevice(t.Context(), port, "", people.From{})
		refused(t, err, "bad_call")
	}
}

func TestTerminalsAreBounded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for range 1000 {
		p.waits(0, "")
	}
	_, _, err := p.r.StartDevice(t.Context(), 0, "", people.From{})
	refused(t, err, "too_many")
	p.turn(10 * time.Minute)
	p.waits(0, "")
}

// TestTerminalsOfOneAddress: one network has a bound of its own, below the whole's; others come in beside it, and so does it once its
// terminals are done. Behind a proxy on this machine may be anybody.
func TestTerminalsOfOneAddress(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	start := func(addr string) error {
		from := people.From{Addr: netip.MustParseAddr(addr), Remote: netip.AddrPortFrom(netip.MustParseAddr(addr), 9).String(), Channel: "cli"}
		_, _, err := p.r.StartDevice(t.Context(), 0, "", from)
		return err
	}
	for _, x := range []struct{ full, next, other string }{
		{"198.51.100.7", "198.51.100.7", "198.51.100.8"}, {"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"},
	} {
		for range 20 {
			if err := start(x.full); err != nil {
				t.Fatal(err)
			}
		}
		err := start(x.next)
		refused(t, err, "too_many")
		if !strings.Contains(err.Error(), "of your address") {
			t.Errorf("it says %q", err)
		}
		if err := start(x.other); err != nil {
			t.Errorf("from %s: %v", x.other, err)
		}
	}
	for range 21 {
		if err := start("127.0.0.1"); err != nil {
			t.Fatal(err)
		}
	}
	p.turn(10 * time.Minute)
	if err := start("198.51.100.7"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestTerminalSignInEnds: whoever was let in is out with the person.
func TestTerminalSignInEnds(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	browser := must[*people.Entry](t)(p.r.SignIn(t.Context(), "bob", secret.New("scram password"), p.from()))
	code, d := p.waits(0, "")
	if _, _, err := p.r.DecideDevice(t.Context(), browser.Token, d.Code, true, p.from()); err != nil {
		t.Fatal(err)
	}
	users := p.pol.Users
	p.pol.Users = map[string]*policy.User{}
	_, err := p.redeem(code, none, none)
	refused(t, err, people.CodeLogin)
	p.pol.Users = users
}

// TestYesEndsWithItsSession: whoever is let in while the session that said yes is there is refused once that has ended, also by a reset
// of who lost what proves them, or when they are disabled and enabled again.
func TestYesEndsWithItsSession(t *testing.T) {
	t.Parallel()
	yes := false
	for name, end := range map[string]func(p *place, browser *people.Entry) error{
		"nothing": nil,
		"reset": func(p *place, _ *people.Entry) error {
			_, err := p.r.Invite(p.t.Context(), "root", "bob", true, p.from())
			return err
		},
		"disabled for a while": func(p *place, _ *people.Entry) error {
			no := true
			return errors.Join(p.r.Set(p.t.Context(), "root", "bob", nil, &no, p.from()), p.r.Set(p.t.Context(), "root", "bob", nil, &yes, p.from()))
		},
		"a new password": func(p *place, _ *people.Entry) error {
			other := must[*people.Entry](p.t)(p.r.SignIn(p.t.Context(), "bob", secret.New("scram password"), p.from()))
			return p.r.ChangePassword(p.t.Context(), other.Token, secret.New("scram password"), secret.New("five plain words stand here"), p.from())
		},
		"signed out": func(p *place, browser *people.Entry) error {
			return p.r.SignOut(p.t.Context(), browser.Token, p.from())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			must[*people.Invitation](t)(p.r.Create(t.Context(), "root", "bob", people.NoRole, p.from()))
			browser := must[*people.Entry](t)(p.r.SignIn(t.Context(), "bob", secret.New("scram password"), p.from()))
			code, d := p.waits(0, "")
			if _, _, err := p.r.DecideDevice(t.Context(), browser.Token, d.Code, true, p.from()); err != nil {
				t.Fatal(err)
			}
			if end == nil {
				must[*people.Entry](t)(p.redeem(code, none, none))
				return
			}
			if err := end(p, browser); err != nil {
				t.Fatal(err)
			}
			_, err := p.redeem(code, none, none)
			refused(t, err, people.CodeExpired)
			if e := p.trail.last(); e.Kind != audit.PortalLogin || e.Verdict != "refuse" || e.Subject != "bob" {
				t.Errorf("the trail says %+v", e)
			}
		})
	}
}

// TestTerminalMakesNoSessionYoung: an old session that lets a terminal in gives it no fresh sign-in, with which a first second factor
// could be set up; a young one does.
func TestTerminalMakesNoSessionYoung(t *testing.T) {
	t.Parallel()
	p, ctx := newPlace(t), t.Context()
	browser := must[*people.Entry](t)(p.r.SignIn(ctx, "bob", secret.New("scram password"), p.from()))
	through := func() *people.Entry {
		t.Helper()
		code, d := p.waits(0, "")
		if _, _, err := p.r.DecideDevice(ctx, browser.Token, d.Code, true, p.from()); err != nil {
			t.Fatal(err)
		}
		return must[*people.Entry](t)(p.redeem(code, none, none))
	}
	young := through()
	must[*people.Enrolment](t)(p.r.Enrol(ctx, young.Token))
	p.turn(people.FactorFresh + time.Second)
	browser = through() // also over several
	_, err := p.r.Enrol(ctx, through().Token)
	refused(t, err, people.CodeStage)
}

// A terminal that asks without end makes no more writes than it takes to slow it down, and hears the answer like any other once it asks as
// seldom as it has to.
func TestTerminalThatAsksWithoutEnd(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	browser := must[*people.Entry](t)(p.r.SignIn(t.Context(), "bob", secret.New("scram password"), p.from()))
	code, d := p.waits(0, "")
	version := func() int {
		return must[people.Device](t)(p.db.DeviceByCode(t.Context(), d.Code)).Version
	}
	_, err := p.redeem(code, none, none)
	refused(t, err, people.CodePending)
	for range 200 {
		_, err := p.redeem(code, none, none)
		refused(t, err, people.CodeSlow)
	}
	if n := version(); n > 15 {
		t.Errorf("two hundred questions were written down %d times", n)
	}
	p.turn(time.Minute)
	_, err = p.redeem(code, none, none)
	refused(t, err, people.CodePending)
	if _, _, err := p.r.DecideDevice(t.Context(), browser.Token, d.Code, true, p.from()); err != nil {
		t.Fatal(err)
	}
	if in, err := p.redeem(code, none, none); err != nil || in.Session.Subject != "bob" {
		t.Errorf("let in: %+v, %v", in, err)
	}
}
