package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"time"
)

const (
	knownFor   = 24 * forgetAfter // an address stays a user's own
	knownAgain = forgetAfter      // it is written down anew, at the next login, no more often than this
)

// Tally is how often attempts failed under one key, and when the last of them did, or was made good.
type Tally struct {
	Failures int
	Last     time.Time
}

// Ledger keeps tallies where several processes see the same ones. A key names an address, a user or both, and is a digest: the names
// that strangers try are not kept.
type Ledger interface {
	// Tallies finds those of the keys that are not forgotten by a time.
	Tallies(ctx context.Context, keys []string, now time.Time) (map[string]Tally, error)
	// Count adds one failure to each key, which is then kept until the time beside it, and returns how many there are now. Of attempts
	// made at once every one counts.
	Count(ctx context.Context, until map[string]time.Time, now time.Time) (map[string]int, error)
	// Forgive forgets one key, and sets another to no failures until a time. Either may be empty.
	Forgive(ctx context.Context, forget, known string, until, now time.Time) error
}

// SharedThrottle is the Brake of several processes: a guess at one of them counts at all. Successful logins write only what changes
// something: a failure that is forgiven, or an address that was not the user's within the hour. A failure that cannot be written down is
// counted in this process, so that state that can only be read does not let people guess for nothing.
type SharedThrottle struct {
	ledger Ledger
	scope  string
	local  *Throttle
}

// NewSharedThrottle makes a brake. Those of one scope share what they count.
func NewSharedThrottle(l Ledger, scope string) *SharedThrottle {
	return &SharedThrottle{ledger: l, scope: scope, local: NewThrottle()}
}

// sharedKeys are the digests of what an attempt may count against.
type sharedKeys struct{ addr, user, pair string }

func (s *SharedThrottle) keys(addr netip.Addr, user string) sharedKeys {
	key := func(kind, addr, user string) string {
		sum := sha256.Sum256([]byte(s.scope + "\x00" + kind + "\x00" + addr + "\x00" + user)) // the last alone may hold a zero
		return hex.EncodeToString(sum[:])
	}
	a := Network(addr).String()
	return sharedKeys{addr: key("address", a, ""), user: key("user", "", user), pair: key("pair", a, user)}
}

// look reads the tallies of an attempt, and says which of the keys stands for the user: see Throttle.keys.
func (s *SharedThrottle) look(ctx context.Context, addr netip.Addr, user string, now time.Time) (k sharedKeys, who string, found map[string]Tally, err error) {
	k = s.keys(addr, user)
	found, err = s.ledger.Tallies(ctx, []string{k.addr, k.user, k.pair}, now)
	who = k.user
	if _, known := found[k.pair]; known {
		who = k.pair
	}
	return k, who, found, err
}

// Wait implements Brake.
func (s *SharedThrottle) Wait(ctx context.Context, addr netip.Addr, user string, now time.Time) (delay time.Duration, locked bool, err error) {
	k, who, found, err := s.look(ctx, addr, user, now)
	if err != nil {
		return 0, false, err
	}
	delay, locked, _ = s.local.Wait(ctx, addr, user, now)
	for _, key := range []string{k.addr, who} {
		if key == k.addr && who == k.pair {
			continue // see Throttle.Wait
		}
		t := found[key]
		// Nobody waits longer than from now on: the clock of whoever counted may be ahead.
		wait := min(t.Last.Add(delayAfter(t.Failures)).Sub(now), delayAfter(t.Failures))
		if t.Failures >= lockAfter && wait > 0 {
			locked = true
		}
		delay = max(delay, wait)
	}
	return min(delay, maxDelay), locked, nil
}

// Failed implements Brake.
func (s *SharedThrottle) Failed(ctx context.Context, addr netip.Addr, user string, now time.Time) (lockedNow bool, err error) {
	ctx = context.WithoutCancel(ctx) // whoever hangs up right after a guess has made it
	k, who, _, err := s.look(ctx, addr, user, now)
	var failures map[string]int
	if err == nil {
		until := map[string]time.Time{k.addr: now.Add(forgetAfter), who: now.Add(forgetAfter)}
		if who == k.pair {
			until[who] = now.Add(knownFor)
		}
		failures, err = s.ledger.Count(ctx, until, now)
	}
	if err != nil {
		lockedNow, _ = s.local.Failed(ctx, addr, user, now)
		return lockedNow, err
	}
	return failures[k.addr] == lockAfter || failures[who] == lockAfter, nil
}

// Succeeded implements Brake.
func (s *SharedThrottle) Succeeded(ctx context.Context, addr netip.Addr, user string, now time.Time) error {
	k, _, found, err := s.look(ctx, addr, user, now)
	if err != nil {
		return err
	}
	_ = s.local.Succeeded(ctx, addr, user, now) // it never fails
	forget, known := "", ""
	if _, failed := found[k.addr]; failed {
		forget = k.addr
	}
	if pair, was := found[k.pair]; !was || pair.Failures > 0 || now.Sub(pair.Last) >= knownAgain {
		known = k.pair
	}
	if forget == "" && known == "" {
		return nil
	}
	return s.ledger.Forgive(ctx, forget, known, now.Add(knownFor), now)
}
