package state_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/state"
)

var home, away = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("203.0.113.9")

// braked asks a brake, which has to answer.
func braked(t *testing.T, b identity.Brake, addr netip.Addr, user string, now time.Time) (time.Duration, bool) {
	t.Helper()
	d, locked, err := b.Wait(t.Context(), addr, user, now)
	if err != nil {
		t.Fatal(err)
	}
	return d, locked
}

func fails(t *testing.T, b identity.Brake, addr netip.Addr, user string, now time.Time) bool {
	t.Helper()
	locked, err := b.Failed(t.Context(), addr, user, now)
	if err != nil {
		t.Fatal(err)
	}
	return locked
}

func succeeds(t *testing.T, b identity.Brake, addr netip.Addr, user string, now time.Time) {
	t.Helper()
	if err := b.Succeeded(t.Context(), addr, user, now); err != nil {
		t.Fatal(err)
	}
}

// What fails at one gateway counts at every other: together they give no more guesses than one, and forget and spare as one does.
func TestGuessesAreShared(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		one, two := identity.NewSharedThrottle(open(t, path), "gateway"), identity.NewSharedThrottle(open(t, path), "gateway")
		both := []identity.Brake{one, two}
		alone := identity.NewThrottle() // what a single process does is the measure
		for i := range 25 {
			now := noon.Add(time.Duration(i) * time.Second)
			if got, want := fails(t, both[i%2], away, "ana", now), fails(t, alone, away, "ana", now); got != want {
				t.Errorf("failure %d: locks %v, want %v", i+1, got, want)
			}
			for _, b := range both {
				d, locked := braked(t, b, away, "ana", now)
				if want, wanted := braked(t, alone, away, "ana", now); d != want || locked != wanted {
					t.Errorf("after %d failures: %s %v, want %s %v", i+1, d, locked, want, wanted)
				}
			}
		}
		last := noon.Add(24 * time.Second)
		if d, _ := braked(t, two, away, "bob", last); d == 0 {
			t.Error("the address goes on with another user")
		}
		if d, _ := braked(t, two, home, "ana", last); d == 0 {
			t.Error("another address goes on with the user")
		}
		if d, locked := braked(t, two, home, "bob", last); d != 0 || locked {
			t.Errorf("a stranger waits %s", d)
		}
		if d, locked := braked(t, identity.NewSharedThrottle(open(t, path), "portal"), away, "ana", last); d != 0 || locked {
			t.Errorf("another door waits %s", d)
		}
		if d, locked := braked(t, two, away, "ana", last.Add(2*time.Hour)); d != 0 || locked {
			t.Errorf("nothing is forgotten: %s", d)
		}
		if fails(t, one, away, "ana", last.Add(2*time.Hour)) {
			t.Error("what is forgotten is counted on")
		}
		if d, _ := braked(t, two, away, "ana", last.Add(2*time.Hour)); d != 0 {
			t.Errorf("the first failure after that waits %s", d)
		}
	})
}

// Where somebody logs in at one gateway is theirs at the other: strangers do not keep them out, and what they mistyped is forgiven.
func TestSharedGuessesSpareKnownAddresses(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		one, two := identity.NewSharedThrottle(open(t, path), "gateway"), identity.NewSharedThrottle(open(t, path), "gateway")
		for range 8 {
			fails(t, two, home, "ana", noon)
		}
		if d, _ := braked(t, one, home, "ana", noon); d == 0 {
			t.Error("nobody waits")
		}
		succeeds(t, one, home, "ana", noon)
		if d, _ := braked(t, two, home, "ana", noon); d != 0 {
			t.Errorf("ana has logged in, and waits %s", d)
		}
		for range 25 {
			fails(t, two, away, "ana", noon)
		}
		if d, locked := braked(t, two, home, "ana", noon); d != 0 || locked {
			t.Errorf("ana waits %s at home for what strangers do, locked %v", d, locked)
		}
		if _, locked := braked(t, one, away, "ana", noon); !locked {
			t.Error("the stranger is not locked out")
		}
		for range 25 {
			fails(t, one, home, "ana", noon)
		}
		if _, locked := braked(t, two, home, "ana", noon); !locked {
			t.Error("at home everything may be tried")
		}
		later := noon.Add(23 * time.Hour)
		if d, _ := braked(t, two, home, "ana", later); d != 0 {
			t.Errorf("a day later ana waits %s", d)
		}
		succeeds(t, two, home, "ana", later)
		for range 25 {
			fails(t, one, away, "ana", later)
		}
		if d, _ := braked(t, one, home, "ana", later); d != 0 {
			t.Errorf("the address is not hers any more: %s", d)
		}
	})
}

// Of guesses made at once, at several gateways, none is lost; and exactly one of them locks.
func TestGuessesAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		var dbs []*state.DB
		for range 3 {
			dbs = append(dbs, open(t, path))
		}
		var all sync.WaitGroup
		locks := make(chan bool, 30)
		for i := range 30 {
			b := identity.NewSharedThrottle(dbs[i%3], "gateway")
			all.Go(func() {
				locked, err := b.Failed(t.Context(), away, "ana", noon)
				if err != nil {
					t.Error(err)
				}
				locks <- locked
			})
		}
		all.Wait()
		close(locks)
		n := 0
		for locked := range locks {
			if locked {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d of them lock", n)
		}
		if _, locked := braked(t, identity.NewSharedThrottle(dbs[0], "gateway"), away, "ana", noon); !locked {
			t.Error("thirty guesses lock nobody out")
		}
	})
}

// A login that goes well writes nothing, but where it changes something: the first from an address, one after failures, one an hour later.
func TestLoginsWriteLittle(t *testing.T) {
	t.Parallel()
	db := pgtest.Default(t).NewDatabase(t)
	b := identity.NewSharedThrottle(open(t, db.URL(pgtest.SuperUser)), "gateway")
	raw, err := sql.Open("pgx", db.URL(pgtest.SuperUser))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	rows := func() string { // a row that is written anew has another place
		var out string
		if err := raw.QueryRowContext(t.Context(), "SELECT coalesce(string_agg(xmin::text || ctid::text, ' ' ORDER BY key), '') FROM guess").Scan(&out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, step := range []struct {
		what   string
		at     time.Duration
		before func()
		writes bool
	}{
		{"the first", 0, nil, true},
		{"another", time.Minute, nil, false},
		{"one after a failure", 2 * time.Minute, func() { fails(t, b, home, "ana", noon.Add(2*time.Minute)) }, true},
		{"one after that", 3 * time.Minute, nil, false},
		{"one an hour later", 2 * time.Hour, nil, true},
	} {
		if step.before != nil {
			step.before()
		}
		before := rows()
		succeeds(t, b, home, "ana", noon.Add(step.at))
		if wrote := rows() != before; wrote != step.writes {
			t.Errorf("%s: wrote %v, want %v", step.what, wrote, step.writes)
		}
	}
}

// State that cannot be read lets nobody be looked at. Where it can only be read, guesses count in the process; one whose client hung up
// counts as well.
func TestGuessesWithoutState(t *testing.T) {
	t.Parallel()
	db := pgtest.Default(t).NewDatabase(t)
	st := open(t, db.URL(pgtest.SuperUser))
	b := identity.NewSharedThrottle(st, "gateway")
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	if _, err := b.Failed(gone, away, "ana", noon); err != nil {
		t.Errorf("a client that hung up: %v", err)
	}
	var n int
	if tallies, err := st.Tallies(t.Context(), keysOf(t, db.URL(pgtest.SuperUser)), noon); err != nil || len(tallies) != 2 {
		t.Errorf("%v, %v", tallies, err)
	}
	db.Cluster.Exec(t, fmt.Sprintf("ALTER DATABASE %q SET default_transaction_read_only = on", db.Name))
	db.Cluster.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+db.Name+"' AND pid <> pg_backend_pid()")
	eventually(t, "the connections are new ones", func() bool {
		_, err := b.Failed(t.Context(), away, "ana", noon)
		n++
		return err != nil && strings.Contains(err.Error(), "read-only")
	})
	for n < 30 {
		if _, err := b.Failed(t.Context(), away, "ana", noon); err == nil {
			t.Fatal("a failure is written to what can only be read")
		}
		n++
	}
	if _, locked := braked(t, b, away, "ana", noon); !locked {
		t.Error("thirty guesses lock nobody out")
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Wait(t.Context(), home, "bob", noon); err == nil {
		t.Error("nobody knows, and it says that nobody waits")
	}
	if err := b.Succeeded(t.Context(), home, "bob", noon); err == nil {
		t.Error("a login is noted nowhere")
	}
}

// keysOf lists what is counted. It holds no name and no address.
func keysOf(t *testing.T, url string) []string {
	t.Helper()
	raw, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	rows, err := raw.QueryContext(t.Context(), "SELECT key FROM guess")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			t.Fatal(err)
		}
		if len(key) != 64 || strings.Contains(key, "ana") || strings.Contains(key, "203.0.113.9") {
			t.Errorf("a key is %q", key)
		}
		out = append(out, key)
	}
	if rows.Err() != nil || len(out) == 0 {
		t.Fatal(out, rows.Err())
	}
	return out
}

// Time and a limit keep the table small; who is locked out stays so.
func TestGuessesAreBounded(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db := open(t, path)
		b := identity.NewSharedThrottle(db, "gateway")
		for range 25 {
			fails(t, b, away, "ana", noon)
		}
		for i := range 20 {
			fails(t, b, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), fmt.Sprintf("u%d", i), noon.Add(time.Second+time.Duration(i)*time.Millisecond))
		}
		count := func() (n int) {
			wrote, err := db.Backup(t.Context(), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			return wrote.Rows["guess"]
		}
		if n := count(); n != 42 {
			t.Fatalf("%d rows", n)
		}
		if err := state.TidyGuesses(t.Context(), db, 10); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 12 {
			t.Errorf("%d rows are left, of which ten are the latest and two lock", n)
		}
		if _, locked := braked(t, b, away, "ana", noon.Add(2*time.Second)); !locked {
			t.Error("a flood of names lets out who was locked")
		}
		if err := db.Tidy(t.Context(), noon.Add(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if n := count(); n != 0 {
			t.Errorf("%d rows are left two hours later", n)
		}
	})
}
