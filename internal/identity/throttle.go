package identity

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// The brake's numbers. After the first failures each further attempt waits twice as long, up to the limit; an hour of peace
// forgets everything.
const (
	freeFailures = 3
	firstDelay   = 250 * time.Millisecond
	maxDelay     = 15 * time.Second
	lockAfter    = 20
	lockFor      = 5 * time.Minute
	forgetAfter  = time.Hour
	maxTracked   = 1 << 16
)

// Brake slows down guessing, per address and per user (PRO-31). A user at an address from which they have logged in is not made to wait for
// what others try under their name, or from that address. Of IPv6 a /64 is one address. It is safe for concurrent use. An error says that it is not known who guessed what: nobody is
// let in then.
type Brake interface {
	// Wait says how long an attempt has to wait before it is looked at, and whether it is locked out altogether.
	Wait(ctx context.Context, addr netip.Addr, user string, now time.Time) (delay time.Duration, locked bool, err error)
	// Failed notes a failed attempt and says whether it is the one that locks.
	Failed(ctx context.Context, addr netip.Addr, user string, now time.Time) (lockedNow bool, err error)
	// Succeeded notes a login: the address and the pair are forgiven.
	Succeeded(ctx context.Context, addr netip.Addr, user string, now time.Time) error
}

var (
	_ Brake = (*Throttle)(nil)
	_ Brake = (*SharedThrottle)(nil)
)

// Throttle is the Brake of one process, in memory. Its methods never fail.
type Throttle struct {
	mu      sync.Mutex
	entries map[throttleKey]*throttleEntry
}

type throttleKey struct {
	addr netip.Addr // of an address, or of the pair's address
	user string
	pair bool
}

type throttleEntry struct {
	failures int
	next     time.Time // no attempt before
	last     time.Time
}

// NewThrottle makes an empty brake.
func NewThrottle() *Throttle { return &Throttle{entries: map[throttleKey]*throttleEntry{}} }

// Wait implements Brake.
func (t *Throttle) Wait(_ context.Context, addr netip.Addr, user string, now time.Time) (delay time.Duration, locked bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := t.keys(addr, user, now)
	for _, k := range keys {
		e := t.entries[k]
		if e == nil || k != keys[1] && keys[1].pair {
			continue // one whom the address is known of does not wait for strangers there: everybody may be behind one proxy
		}
		wait := e.next.Sub(now)
		if e.failures >= lockAfter && wait > 0 {
			locked = true
		}
		delay = max(delay, wait)
	}
	return min(delay, maxDelay), locked, nil
}

// Failed implements Brake.
func (t *Throttle) Failed(_ context.Context, addr netip.Addr, user string, now time.Time) (lockedNow bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.keys(addr, user, now) {
		e := t.entries[k]
		if e == nil {
			if len(t.entries) >= maxTracked {
				t.prune(now)
			}
			e = &throttleEntry{}
			t.entries[k] = e
		}
		e.failures++
		e.last = now
		e.next = now.Add(delayAfter(e.failures))
		lockedNow = lockedNow || e.failures == lockAfter
	}
	return lockedNow, nil
}

// delayAfter is how long after the last of so many failures no attempt is looked at.
func delayAfter(failures int) time.Duration {
	switch {
	case failures >= lockAfter:
		return lockFor
	case failures > freeFailures:
		return min(firstDelay<<min(failures-freeFailures-1, 10), maxDelay)
	}
	return 0
}

// Succeeded implements Brake.
func (t *Throttle) Succeeded(_ context.Context, addr netip.Addr, user string, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	addr = Network(addr)
	delete(t.entries, throttleKey{addr: addr})
	if len(t.entries) >= maxTracked {
		t.prune(now)
	}
	t.entries[throttleKey{addr: addr, user: user, pair: true}] = &throttleEntry{last: now}
	return nil
}

// Network is what counts as one address where attempts are counted: of IPv6 whoever has one has a whole /64.
func Network(addr netip.Addr) netip.Addr {
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// keys are what an attempt counts against: the address always, and the user unless this address is known to be theirs, in
// which case the pair stands for the user.
func (t *Throttle) keys(addr netip.Addr, user string, now time.Time) [2]throttleKey {
	addr = Network(addr)
	pair := throttleKey{addr: addr, user: user, pair: true}
	t.expire(pair, 24*forgetAfter, now)
	t.expire(throttleKey{addr: addr}, forgetAfter, now)
	t.expire(throttleKey{user: user}, forgetAfter, now)
	if t.entries[pair] != nil {
		return [2]throttleKey{{addr: addr}, pair}
	}
	return [2]throttleKey{{addr: addr}, {user: user}}
}

func (t *Throttle) expire(k throttleKey, after time.Duration, now time.Time) {
	if e := t.entries[k]; e != nil && now.Sub(e.last) > after {
		delete(t.entries, k)
	}
}

// prune makes room: what is forgotten anyway first, then, under a flood of names, entries in no particular order.
func (t *Throttle) prune(now time.Time) {
	for k := range t.entries {
		t.expire(k, forgetAfter, now)
	}
	for k, e := range t.entries {
		if len(t.entries) < maxTracked*3/4 {
			return
		}
		if e.failures < lockAfter {
			delete(t.entries, k)
		}
	}
	for k := range t.entries {
		if len(t.entries) < maxTracked*3/4 {
			return
		}
		delete(t.entries, k)
	}
}
