package identity

import (
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

// Throttle slows down guessing, per address and per user (PRO-31). An address from which a user has logged in is not made
// to wait for what others try under that user's name. It is safe for concurrent use.
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

// Wait says how long an attempt has to wait before it is looked at, and whether it is locked out altogether.
func (t *Throttle) Wait(addr netip.Addr, user string, now time.Time) (delay time.Duration, locked bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.keys(addr, user, now) {
		e := t.entries[k]
		if e == nil {
			continue
		}
		wait := e.next.Sub(now)
		if e.failures >= lockAfter && wait > 0 {
			locked = true
		}
		delay = max(delay, wait)
	}
	return min(delay, maxDelay), locked
}

// Failed notes a failed attempt and says whether it is the one that locks.
func (t *Throttle) Failed(addr netip.Addr, user string, now time.Time) (lockedNow bool) {
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
		switch {
		case e.failures >= lockAfter:
			lockedNow = lockedNow || e.failures == lockAfter
			e.next = now.Add(lockFor)
		case e.failures > freeFailures:
			e.next = now.Add(min(firstDelay<<min(e.failures-freeFailures-1, 10), maxDelay))
		}
	}
	return lockedNow
}

// Succeeded notes a login: the address and the pair are forgiven.
func (t *Throttle) Succeeded(addr netip.Addr, user string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.entries, throttleKey{addr: addr})
	if len(t.entries) >= maxTracked {
		t.prune(now)
	}
	t.entries[throttleKey{addr: addr, user: user, pair: true}] = &throttleEntry{last: now}
}

// keys are what an attempt counts against: the address always, and the user unless this address is known to be theirs, in
// which case the pair stands for the user.
func (t *Throttle) keys(addr netip.Addr, user string, now time.Time) [2]throttleKey {
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
