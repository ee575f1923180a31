package people

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/secret"
)

// Device is a terminal that wants to be signed in by somebody who is signed in to a browser (RFC 8628). One that listens on the
// browser's own machine says where: what is sent there is proof that both are one machine (RFC 8252).
type Device struct {
	Hash      string        `json:"hash"` // of the terminal's secret
	Code      string        `json:"code"` // that a person types or compares
	Version   int           `json:"version"`
	Address   string        `json:"address,omitempty"`
	Created   time.Time     `json:"created"`
	End       time.Time     `json:"end"`
	Polled    time.Time     `json:"polled,omitzero"`
	Interval  time.Duration `json:"interval"`
	Port      int           `json:"port,omitempty"`      // on the browser's machine
	Challenge string        `json:"challenge,omitempty"` // of the verifier that goes with the answer
	Denied    bool          `json:"denied,omitempty"`
	Subject   string        `json:"subject,omitempty"` // who said yes
	Session   string        `json:"session,omitempty"` // in which they did: with it ends what it let in but has not begun yet
	Factor    time.Time     `json:"factor,omitzero"`   // of their session
	Signed    time.Time     `json:"signed,omitzero"`   // when it began
	SignOn    string        `json:"sign_on,omitempty"` // that their session came of
	Answer    string        `json:"answer,omitempty"`  // hash of what was sent to Port
}

// Devices keeps terminals that wait.
type Devices interface {
	// KeepDevice returns ErrConflict when somebody else was faster, or the code is taken.
	KeepDevice(ctx context.Context, d Device) error
	// DeviceByHash and DeviceByCode return ErrNone if there is none.
	DeviceByHash(ctx context.Context, hash string) (Device, error)
	DeviceByCode(ctx context.Context, code string) (Device, error)
	// DropDevice returns ErrNone if somebody else did.
	DropDevice(ctx context.Context, hash string) error
	// WaitingDevices lists where those that have not ended come from, an address for each.
	WaitingDevices(ctx context.Context, now time.Time) (addresses []string, err error)
}

// The codes of refusals to terminals, as RFC 8628 names them.
const (
	CodePending = "authorization_pending"
	CodeSlow    = "slow_down"
	CodeDenied  = "access_denied"
	CodeExpired = "expired_token"
	CodeDevice  = "bad_code"
)

const (
	deviceEnd     = 10 * time.Minute
	devicePoll    = 5 * time.Second
	deviceSlowest = time.Minute // between two questions: who asks more often is told so, and no more is kept of it
	deviceSlack   = time.Second // of a client's timer
	maxDevices    = 1000        // that wait: anybody may ask
	maxDevicesOf  = 20          // from one network: nobody takes all the places; a proxy on this machine may be anybody
	deviceLetters = "BCDFGHJKLMNPQRSTVWXZ"
)

var errExpired = &Refusal{CodeExpired, "this sign-in took too long, or was used already", "postern login"}

// StartDevice lets a terminal wait. The secret is the terminal's alone.
func (r *Registry) StartDevice(ctx context.Context, port int, challenge string, from From) (code secret.Text, d *Device, err error) {
	now := r.c.Now()
	waiting, err := r.c.Devices.WaitingDevices(ctx, now)
	switch {
	case err != nil:
		return code, nil, err
	case from.Addr.IsValid() && !from.Addr.IsLoopback() && fromNetwork(waiting, from.Addr) >= maxDevicesOf:
		return code, nil, &Refusal{
			"too_many", "too many terminals of your address wait to be signed in: at most 20 may at once", "let one in or turn it away in a browser, or try again in ten minutes",
		}
	case len(waiting) >= maxDevices:
		return code, nil, &Refusal{"too_many", "too many terminals wait to be signed in", "try again in a few minutes"}
	case port != 0 && (port < 1024 || port > 65535 || len(challenge) != base64.RawURLEncoding.EncodedLen(sha256.Size)):
		return code, nil, &Refusal{"bad_call", "port and challenge do not fit each other", ""}
	}
	token, hash, err := identity.NewToken(r.c.Random)
	if err != nil {
		return code, nil, err
	}
	letters, err := r.letters()
	if err != nil {
		return code, nil, err
	}
	d = &Device{
		Hash: hash, Code: letters, Version: 1, Address: from.Remote, Created: now, End: now.Add(deviceEnd).Truncate(time.Second), Interval: devicePoll,
		Port: port, Challenge: challenge,
	}
	return token, d, r.c.Devices.KeepDevice(ctx, *d)
}

// fromNetwork counts the addresses in somebody's network: whoever has an address of version 6 has all of its /64.
func fromNetwork(remotes []string, addr netip.Addr) (n int) {
	own := identity.Network(addr)
	for _, remote := range remotes {
		if a, err := netip.ParseAddrPort(remote); err == nil && identity.Network(a.Addr()) == own {
			n++
		}
	}
	return n
}

// letters draws a code that is read and typed without mistakes: eight of twenty consonants, 34 bits, for ten minutes.
func (r *Registry) letters() (string, error) {
	out := make([]byte, 0, 9)
	for len(out) < 9 {
		raw, err := r.draw(1)
		if err != nil {
			return "", err
		}
		if len(out) == 4 {
			out = append(out, '-')
		}
		if n := int(raw[0]); n < 256/len(deviceLetters)*len(deviceLetters) { // each letter is as likely
			out = append(out, deviceLetters[n%len(deviceLetters)])
		}
	}
	return string(out), nil
}

// typed is a code as somebody types it.
func typed(code string) string {
	letters := strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c
		}
		return -1
	}, strings.ToUpper(code))
	if len(letters) != 8 {
		return ""
	}
	return letters[:4] + "-" + letters[4:]
}

// WaitingDevice finds the terminal that a person sees the code of. Guesses wait longer and longer.
func (r *Registry) WaitingDevice(ctx context.Context, subject, code string, from From) (*Device, error) {
	here := "\x00device of " + subject
	leave, locked, err := r.enter(ctx, here, from)
	if err != nil {
		return nil, err
	}
	defer leave()
	d, err := r.c.Devices.DeviceByCode(ctx, typed(code))
	if err != nil && !errors.Is(err, ErrNone) {
		return nil, err
	}
	if err != nil || locked || !r.c.Now().Before(d.End) || d.Subject != "" || d.Denied {
		_, err := r.c.Throttle.Failed(ctx, from.Addr, here, r.c.Now())
		return nil, errors.Join(&Refusal{CodeDevice, "no terminal waits with this code", "compare it with the one in the terminal, or start again there: postern login"}, err)
	}
	return &d, nil
}

// DecideDevice lets the terminal in as the person of a session, or turns it away. The answer is for the address where the terminal
// listens, if it does.
func (r *Registry) DecideDevice(ctx context.Context, token secret.Text, code string, yes bool, from From) (d *Device, answer secret.Text, err error) {
	s, err := r.at(ctx, token, Full)
	if err != nil {
		return nil, answer, err
	}
	if d, err = r.WaitingDevice(ctx, s.Subject, code, from); err != nil {
		return nil, answer, err
	}
	verdict := "refuse"
	if d.Denied = !yes; yes {
		verdict = "allow"
		d.Subject, d.Session, d.Factor, d.Signed, d.SignOn = s.Subject, s.ID, s.Factor, s.signed(), s.SignOn
		if answer, d.Answer, err = identity.NewToken(r.c.Random); err != nil {
			return nil, answer, err
		}
	}
	if err := r.record(ctx, from, audit.DeviceDecided, s.Subject, verdict, "", map[string]string{"session": s.ID, "terminal": d.Address}); err != nil {
		return nil, answer, err
	}
	d.Version++
	err = r.c.Devices.KeepDevice(ctx, *d)
	if errors.Is(err, ErrConflict) {
		err = &Refusal{CodeDevice, "this terminal has just been decided about", ""}
	}
	return d, answer, err
}

// RedeemDevice is a terminal's question whether it is in. A terminal that listens brings what it was sent, and what goes with its
// challenge.
func (r *Registry) RedeemDevice(ctx context.Context, code, answer, verifier secret.Text, from From) (*Entry, error) {
	d, err := r.c.Devices.DeviceByHash(ctx, identity.HashToken(code.Reveal()))
	if errors.Is(err, ErrNone) {
		return nil, errExpired
	}
	if err != nil {
		return nil, err
	}
	now := r.c.Now()
	switch {
	case !now.Before(d.End):
		return nil, errExpired
	case d.Denied:
		return nil, &Refusal{CodeDenied, "the person at the browser said no", ""}
	case d.Subject == "":
		return nil, r.wait(ctx, d, now)
	}
	if err := r.c.Devices.DropDevice(ctx, d.Hash); errors.Is(err, ErrNone) {
		return nil, errExpired
	} else if err != nil {
		return nil, err
	}
	if d.Port != 0 && !(same(identity.HashToken(answer.Reveal()), d.Answer) && same(challengeOf(verifier), d.Challenge)) {
		no := &Refusal{CodeDenied, "this terminal is not on the machine of the browser that said yes", "postern login --device"}
		return nil, errors.Join(no, r.record(ctx, from, audit.PortalLogin, d.Subject, "refuse", "device", nil))
	}
	live, err := r.c.Sessions.SessionsOf(ctx, d.Subject)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(live, func(s Session) bool { return s.ID == d.Session && now.Before(s.End) }) {
		// They signed out since, or were signed out by a reset, a new password or an admin: nothing new begins by it.
		no := &Refusal{CodeExpired, "the browser that said yes is signed in no longer", "postern login"}
		return nil, errors.Join(no, r.record(ctx, from, audit.PortalLogin, d.Subject, "refuse", "device", nil))
	}
	return r.Enter(ctx, Vouched{Name: d.Subject, Method: "device", Strong: true, Factor: d.Factor, Signed: d.Signed, SignOn: d.SignOn}, from)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func challengeOf(verifier secret.Text) string {
	sum := sha256.Sum256([]byte(verifier.Reveal()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// wait tells a terminal to ask again, and one that asks too often to ask less.
func (r *Registry) wait(ctx context.Context, d Device, now time.Time) error {
	no := &Refusal{CodePending, "nobody has said yes yet", ""}
	if now.Sub(d.Polled) < d.Interval-deviceSlack {
		if d.Interval += devicePoll; d.Interval > deviceSlowest {
			return &Refusal{CodeSlow, "ask less often", ""} // who asks without end has nothing more written for it
		}
		no = &Refusal{CodeSlow, "ask less often", ""}
	}
	d.Polled = now
	d.Version++
	if err := r.c.Devices.KeepDevice(ctx, d); err != nil && !errors.Is(err, ErrConflict) { // a decision was faster: the next question hears it
		return err
	}
	return no
}
