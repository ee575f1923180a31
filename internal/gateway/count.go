package gateway

import (
	"net/netip"
	"sync"
)

// counts holds how many connections and sessions there are of each kind (PRO-103).
type counts struct {
	mu        sync.Mutex
	listeners map[string]int
	shaking   map[string]int // listener -> connections that have not logged in
	addresses map[netip.Addr]int
	users     map[string]int
	stores    map[string]int
}

func (c *counts) init() {
	c.listeners, c.shaking = map[string]int{}, map[string]int{}
	c.addresses, c.users, c.stores = map[netip.Addr]int{}, map[string]int{}, map[string]int{}
}

// connection counts an accepted connection. Without room it returns nil.
func (c *counts) connection(listener string, addr netip.Addr, l Limits) (release, loggedIn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listeners[listener] >= l.PerListener || c.shaking[listener] >= l.Handshakes {
		return nil, nil
	}
	if addr.IsValid() && c.addresses[addr] >= l.PerAddress {
		return nil, nil
	}
	c.listeners[listener]++
	c.shaking[listener]++
	c.addresses[addr]++
	var once sync.Once
	loggedIn = func() { once.Do(func() { c.drop(func() { less(c.shaking, listener) }) }) }
	return func() {
		loggedIn()
		c.drop(func() {
			less(c.listeners, listener)
			less(c.addresses, addr)
		})
	}, loggedIn
}

// session counts a session. Without room it returns nil and says whose limit it was.
func (c *counts) session(user, store string, l Limits) (release func(), full string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users[user] >= l.PerUser {
		return nil, "user " + user
	}
	if c.stores[store] >= l.PerStore {
		return nil, "store " + store
	}
	c.users[user]++
	c.stores[store]++
	return func() {
		c.drop(func() {
			less(c.users, user)
			less(c.stores, store)
		})
	}, ""
}

func (c *counts) drop(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func less[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}
