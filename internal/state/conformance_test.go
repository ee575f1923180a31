package state_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/state"
)

// everywhere runs a test on a file and on a server: nobody can tell which keeps state.
func everywhere(t *testing.T, f func(t *testing.T, path string)) {
	t.Helper()
	t.Parallel()
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		f(t, filepath.Join(t.TempDir(), "postern.db"))
	})
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		f(t, pgtest.Default(t).NewDatabase(t).URL(pgtest.SuperUser))
	})
}

var noon = time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)

func asked(id, subject, rule string) access.Request {
	return access.Request{ID: id, Version: 1, State: access.Pending, Subject: subject, Rule: rule, Created: noon, Expires: noon.Add(time.Hour)}
}

func held(id, subject, rule string) access.Grant {
	return access.Grant{ID: id, Version: 1, State: access.Active, Wall: access.WallPending, Subject: subject, Rule: rule, Request: "r" + id, Start: noon, End: noon.Add(time.Hour)}
}

func commit(t *testing.T, db *state.DB, c access.Change) {
	t.Helper()
	if err := db.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

func TestAccessIsKept(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		before, err := other.ChangeCount(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		commit(t, db, access.Change{
			Requests: []access.Request{asked("a", "ana", "x"), asked("b", "bob", "x")}, Grants: []access.Grant{held("g", "ana", "y")},
			Delegations: []access.Delegation{{ID: "d", End: noon.Add(time.Hour)}}, Key: "k\x01", Outcome: "a",
		})
		if after, err := other.ChangeCount(t.Context()); err != nil || after <= before {
			t.Errorf("the count of changes went from %d to %d, %v", before, after, err)
		}
		for name, tt := range map[string]struct {
			f    access.Filter
			want []string
		}{
			"all": {access.Filter{}, []string{"a", "b"}}, "one": {access.Filter{IDs: []string{"b", "nobody"}}, []string{"b"}},
			"none": {access.Filter{IDs: []string{}}, nil}, "a person's": {access.Filter{Subject: "ana"}, []string{"a"}},
			"open": {access.Filter{Open: true, Rule: "x"}, []string{"a", "b"}}, "not due": {access.Filter{Due: noon}, nil},
			"due": {access.Filter{Due: noon.Add(time.Hour)}, []string{"a", "b"}},
		} {
			got, err := other.Requests(t.Context(), tt.f)
			var ids []string
			for _, r := range got {
				ids = append(ids, r.ID)
			}
			if err != nil || !slices.Equal(ids, tt.want) {
				t.Errorf("%s: %v, %v", name, ids, err)
			}
		}
		if got, err := other.Grants(t.Context(), access.Filter{Open: true}); err != nil || !reflect.DeepEqual(got, []access.Grant{held("g", "ana", "y")}) {
			t.Errorf("grants %+v, %v", got, err)
		}
		if id, err := other.Outcome(t.Context(), "k\x01"); err != nil || id != "a" {
			t.Errorf("outcome %q, %v", id, err)
		}
		if away, err := other.Delegations(t.Context(), noon); err != nil || len(away) != 1 {
			t.Errorf("delegations %v, %v", away, err)
		}
		if away, err := other.Delegations(t.Context(), noon.Add(2*time.Hour)); err != nil || len(away) != 0 {
			t.Errorf("delegations that are over: %v, %v", away, err)
		}
		commit(t, db, access.Change{Recalled: []string{"d"}})
		if away, err := other.Delegations(t.Context(), noon); err != nil || len(away) != 0 {
			t.Errorf("recalled, and there is %v, %v", away, err)
		}
		if err := db.Commit(t.Context(), access.Change{Recalled: []string{"d"}}); !errors.Is(err, access.ErrConflict) {
			t.Errorf("recalled twice: %v", err)
		}
	})
}

// The grants that ended last are found a page at a time, in the order of their ends whatever their ids, and of some datasets alone.
func TestNewestGrants(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		put := func(id, dataset string, minute int) {
			g := held(id, "u"+id, "x")
			g.Dataset = dataset
			commit(t, db, access.Change{Grants: []access.Grant{g}})
			if minute > 0 {
				g.Version, g.State, g.Closed = 2, access.Ended, noon.Add(time.Duration(minute)*time.Minute)
				commit(t, db, access.Change{Grants: []access.Grant{g}})
			}
		}
		put("e", "staff", 1)
		put("live", "staff", 0)
		put("a", "staff", 2)
		put("c", "sales", 2)
		put("b", "staff", 3)
		at := func(id string, minute int) *access.Place {
			return &access.Place{Closed: noon.Add(time.Duration(minute) * time.Minute), ID: id}
		}
		for name, tt := range map[string]struct {
			f    access.Filter
			want []string
		}{
			"all": {access.Filter{Over: true, Newest: 9}, []string{"b", "c", "a", "e"}}, "some": {access.Filter{Over: true, Newest: 2}, []string{"b", "c"}},
			"the next": {access.Filter{Over: true, Newest: 2, Before: at("c", 2)}, []string{"a", "e"}}, "none are left": {access.Filter{Over: true, Newest: 2, Before: at("e", 1)}, nil},
			"of a dataset": {access.Filter{Over: true, Newest: 9, Datasets: []string{"staff"}}, []string{"b", "a", "e"}},
			"of two":       {access.Filter{Over: true, Newest: 3, Datasets: []string{"staff", "sales"}}, []string{"b", "c", "a"}},
			"of none":      {access.Filter{Over: true, Newest: 9, Datasets: []string{}}, nil},
			"live ones":    {access.Filter{Open: true, Datasets: []string{"staff"}}, []string{"live"}}, "live ones of another": {access.Filter{Open: true, Datasets: []string{"sales"}}, nil},
			"of a person": {access.Filter{Over: true, Newest: 9, Subject: "ua"}, []string{"a"}},
		} {
			got, err := other.Grants(t.Context(), tt.f)
			var ids []string
			for _, g := range got {
				ids = append(ids, g.ID)
			}
			if err != nil || !slices.Equal(ids, tt.want) {
				t.Errorf("%s: %v, %v; want %v", name, ids, err, tt.want)
			}
		}
	})
}

// Of several who change the same row at once, from several processes, one wins and the others are told.
func TestOneOfManyWins(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		dbs := []*state.DB{open(t, path), open(t, path), open(t, path)}
		commit(t, dbs[0], access.Change{Requests: []access.Request{asked("a", "ana", "x")}})
		var won, lost atomic.Int32
		race := func(change func(i int) access.Change) {
			t.Helper()
			won.Store(0)
			lost.Store(0)
			var wg sync.WaitGroup
			for i := range 12 {
				wg.Go(func() {
					switch err := dbs[i%3].Commit(context.Background(), change(i)); {
					case err == nil:
						won.Add(1)
					case errors.Is(err, access.ErrConflict):
						lost.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 || lost.Load() != 11 {
				t.Errorf("%d won, %d lost", won.Load(), lost.Load())
			}
		}
		race(func(i int) access.Change {
			r := asked("a", "ana", "x")
			r.Version, r.State = 2, access.Approved
			return access.Change{Requests: []access.Request{r}, Grants: []access.Grant{held(fmt.Sprintf("g%d", i), "ana", "x")}}
		})
		race(func(i int) access.Change {
			return access.Change{Requests: []access.Request{asked(fmt.Sprintf("n%d", i), "bob", "x")}}
		})
		race(func(i int) access.Change {
			return access.Change{Requests: []access.Request{asked(fmt.Sprintf("m%d", i), fmt.Sprint("p", i), "x")}, Key: "same", Outcome: "m"}
		})
		if got, err := dbs[1].Grants(t.Context(), access.Filter{}); err != nil || len(got) != 1 {
			t.Errorf("%d grants, %v", len(got), err)
		}
	})
}

// Two who change the same rows in opposite order do not fail for it.
func TestOppositeOrders(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		dbs := []*state.DB{open(t, path), open(t, path)}
		commit(t, dbs[0], access.Change{Grants: []access.Grant{held("a", "ana", "x"), held("b", "bob", "x")}})
		for version := 2; version < 20; version++ {
			var wg sync.WaitGroup
			var won atomic.Int32
			for i := range 2 {
				wg.Go(func() {
					a, b := held("a", "ana", "x"), held("b", "bob", "x")
					a.Version, b.Version = version, version
					list := []access.Grant{a, b}
					if i == 1 {
						slices.Reverse(list)
					}
					switch err := dbs[i].Commit(context.Background(), access.Change{Grants: list}); {
					case err == nil:
						won.Add(1)
					case !errors.Is(err, access.ErrConflict):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 {
				t.Fatalf("version %d: %d won", version, won.Load())
			}
		}
	})
}

// What was delivered is gone, what came meanwhile is not, and no number is used twice.
func TestOutbox(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		add := func(kind string) {
			t.Helper()
			commit(t, db, access.Change{Events: []access.Event{{Kind: kind, At: noon}}})
		}
		add("one")
		add("two")
		add("three")
		got, err := other.Events(t.Context(), 2)
		if err != nil || len(got) != 2 || got[0].Kind != "one" || got[1].Kind != "two" {
			t.Fatalf("%+v, %v", got, err)
		}
		// The second was taken; the first, with the lower number, has only now been committed by somebody slow.
		if err := other.Delivered(t.Context(), got[1:]); err != nil {
			t.Fatal(err)
		}
		rest, err := other.Events(t.Context(), 10)
		if err != nil || len(rest) != 2 || rest[0].Kind != "one" || rest[1].Kind != "three" {
			t.Fatalf("%+v, %v", rest, err)
		}
		if err := errors.Join(other.Delivered(t.Context(), rest), other.Delivered(t.Context(), nil)); err != nil {
			t.Fatal(err)
		}
		add("four")
		if again, err := other.Events(t.Context(), 10); err != nil || len(again) != 1 || again[0].ID <= rest[1].ID {
			t.Errorf("after an empty outbox: %+v behind %d, %v", again, rest[1].ID, err)
		}
	})
}

// An alarm comes before whatever was put into the outbox earlier, by each way.
func TestAlarmsComeFirst(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db := open(t, path)
		var c access.Change
		for i := range 200 {
			c.Notices = append(c.Notices, access.Notice{Kind: "request.new", To: fmt.Sprint("p", i), At: noon})
		}
		c.Notices = append(c.Notices, access.Notice{Kind: "breakglass.started", To: "olga", At: noon}, access.Notice{Kind: "emergency.login", To: "root", At: noon})
		commit(t, db, c)
		for _, way := range []string{"mail", "slack"} {
			got, err := db.ClaimNotices(t.Context(), way, noon, time.Minute, 3)
			if err != nil || len(got) != 3 || got[0].To != "olga" || got[1].To != "root" || got[2].To != "p0" {
				t.Errorf("%s: %+v, %v", way, got, err)
			}
		}
	})
}

// Several who look for notices at once never get the same one, and a notice of old does not lend its number to a new one.
func TestNoticesAreClaimedOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		dbs := []*state.DB{open(t, path), open(t, path), open(t, path)}
		var c access.Change
		for i := range 60 {
			c.Notices = append(c.Notices, access.Notice{Kind: fmt.Sprint(i), To: "ana", At: noon})
		}
		commit(t, dbs[0], c)
		var mu sync.Mutex
		seen := map[int64]int{}
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				for {
					got, err := dbs[i%3].ClaimNotices(context.Background(), "mail", noon, time.Minute, 7)
					if err != nil {
						t.Error(err)
						return
					}
					if len(got) == 0 {
						return
					}
					mu.Lock()
					for _, d := range got {
						seen[d.ID]++
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		last := int64(0)
		for id, n := range seen {
			if last = max(last, id); n != 1 {
				t.Errorf("notice %d was claimed %d times", id, n)
			}
		}
		if len(seen) != 60 {
			t.Fatalf("%d notices were claimed", len(seen))
		}
		// A lease that ran out is claimed again, one that is done is not.
		if err := dbs[0].NoticeDone(t.Context(), "mail", last, ""); err != nil {
			t.Fatal(err)
		}
		if got, err := dbs[1].ClaimNotices(t.Context(), "mail", noon.Add(2*time.Minute), time.Minute, 100); err != nil || len(got) != 59 || got[0].Tries != 1 {
			t.Errorf("%d again, %v", len(got), err)
		}
		if err := dbs[2].Tidy(t.Context(), noon.Add(60*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		later := noon.Add(60 * 24 * time.Hour)
		commit(t, dbs[0], access.Change{Notices: []access.Notice{{Kind: "new", To: "ana", At: later}}})
		if got, err := dbs[1].ClaimNotices(t.Context(), "mail", later, time.Minute, 100); err != nil || len(got) != 1 || got[0].ID <= last || got[0].Tries != 0 {
			t.Errorf("the new one: %+v behind %d, %v", got, last, err)
		}
	})
}

func TestPeopleAreKept(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		a := people.Account{Name: "ana", Version: 1, Invite: "hash"}
		if err := db.KeepAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if err := other.KeepAccount(t.Context(), a); !errors.Is(err, people.ErrConflict) {
			t.Errorf("twice: %v", err)
		}
		if got, err := other.Invited(t.Context(), "hash"); err != nil || got.Name != "ana" {
			t.Errorf("invited %+v, %v", got, err)
		}
		a.Version, a.Invite = 2, ""
		if err := other.KeepAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Invited(t.Context(), "hash"); !errors.Is(err, people.ErrNone) {
			t.Errorf("an invitation that was used: %v", err)
		}
		half := people.Session{Hash: "h1", ID: "s1", Subject: "ana", End: noon.Add(time.Hour)}
		whole := people.Session{Hash: "h2", ID: "s2", Subject: "ana", End: noon.Add(time.Hour)}
		if err := errors.Join(db.BeginSession(t.Context(), half, ""), db.BeginSession(t.Context(), whole, "h1")); err != nil {
			t.Fatal(err)
		}
		whole.Hash, whole.ID = "h3", "s3"
		if err := other.BeginSession(t.Context(), whole, "h1"); !errors.Is(err, people.ErrNone) {
			t.Errorf("the same half twice: %v", err)
		}
		if all, err := other.SessionsOf(t.Context(), ""); err != nil || len(all) != 1 || all[0].ID != "s2" {
			t.Errorf("%+v, %v", all, err)
		}
		if err := other.EndSessions(t.Context(), "ana", []string{"s1", "s2"}); err != nil {
			t.Fatal(err)
		}
		if _, err := db.SessionOf(t.Context(), "h2"); !errors.Is(err, people.ErrNone) {
			t.Errorf("an ended session: %v", err)
		}
	})
}

// An account is found by its passkeys and no others, none is two people's, and a challenge is answered once, at whichever instance.
func TestPasskeysAreKept(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		key := func(id string) people.Passkey { return people.Passkey{ID: []byte(id), Name: id} }
		finds := func(id, want string) {
			t.Helper()
			got, err := other.PasskeyAccount(t.Context(), people.PasskeyHash([]byte(id)))
			if got.Name != want || want == "" && !errors.Is(err, people.ErrNone) || want != "" && err != nil {
				t.Errorf("%s: %q, %v", id, got.Name, err)
			}
		}
		ana := people.Account{Name: "ana", Version: 1, Passkeys: []people.Passkey{key("a"), key("b")}}
		bob := people.Account{Name: "bob", Version: 1, Passkeys: []people.Passkey{key("b")}}
		if err := db.KeepAccount(t.Context(), ana); err != nil {
			t.Fatal(err)
		}
		if err := other.KeepAccount(t.Context(), bob); !errors.Is(err, people.ErrConflict) {
			t.Errorf("ana's passkey becomes bob's: %v", err)
		}
		if _, err := db.Account(t.Context(), "bob"); !errors.Is(err, people.ErrNone) {
			t.Errorf("half of an account is kept: %v", err)
		}
		finds("a", "ana")
		finds("b", "ana")
		ana.Version, ana.Passkeys = 2, []people.Passkey{key("a"), key("c")}
		if err := errors.Join(other.KeepAccount(t.Context(), ana), db.KeepAccount(t.Context(), bob)); err != nil {
			t.Fatal(err)
		}
		finds("a", "ana")
		finds("b", "bob")
		finds("c", "ana")
		ana.Version, ana.Passkeys = 3, []people.Passkey{key("b")}
		if err := db.KeepAccount(t.Context(), ana); !errors.Is(err, people.ErrConflict) {
			t.Errorf("bob's passkey becomes ana's: %v", err)
		}
		finds("a", "ana")
		ana.Passkeys = nil
		if err := db.KeepAccount(t.Context(), ana); err != nil {
			t.Fatal(err)
		}
		finds("a", "")
		finds("c", "")
		finds("b", "bob")

		if err := db.SpendChallenge(t.Context(), "one", noon); err != nil {
			t.Fatal(err)
		}
		if err := other.SpendChallenge(t.Context(), "one", noon.Add(time.Hour)); !errors.Is(err, people.ErrConflict) {
			t.Errorf("answered twice: %v", err)
		}
		if err := errors.Join(other.SpendChallenge(t.Context(), "two", noon.Add(time.Hour)), db.Tidy(t.Context(), noon.Add(time.Minute))); err != nil {
			t.Fatal(err)
		}
		if err := other.SpendChallenge(t.Context(), "two", noon); !errors.Is(err, people.ErrConflict) {
			t.Errorf("forgotten before its time: %v", err)
		}
		if err := other.SpendChallenge(t.Context(), "one", noon); err != nil {
			t.Errorf("kept for ever: %v", err)
		}
	})
}

// Names come from whoever knocks: one that no text can be is nobody's, and no failure.
func TestNobodysName(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db := open(t, path)
		if err := db.KeepAccount(t.Context(), people.Account{Name: "ana", Version: 1}); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]error{"ana\x00": people.ErrNone, "ana\xff": people.ErrNone, "\xed\xa0\x80": people.ErrNone, "ana": nil} {
			if _, err := db.Account(t.Context(), name); !errors.Is(err, want) {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}

func TestCredentialsAreKept(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		i := identity.Issued{ID: "c1", Subject: "ana", Kind: "token", Hash: "h", Expires: noon.Add(time.Hour)}
		if err := db.Issue(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		if got, err := other.Bearer(t.Context(), "h", noon); err != nil || got.ID != "c1" {
			t.Errorf("%+v, %v", got, err)
		}
		if err := other.RevokeCredential(t.Context(), "bob", "c1", noon); !errors.Is(err, state.ErrNoCredential) {
			t.Errorf("another's: %v", err)
		}
		if err := other.RevokeCredential(t.Context(), "ana", "c1", noon); err != nil {
			t.Fatal(err)
		}
		if live, err := db.Credentials(t.Context(), "", noon); err != nil || len(live) != 0 {
			t.Errorf("%+v, %v", live, err)
		}
	})
}

// What is open of an account that is disabled or reset ends with that, or not at all, and of nobody else.
func TestAccountsEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		for _, who := range []string{"ana", "bob"} {
			i := identity.Issued{ID: "token of " + who, Subject: who, Kind: identity.Personal, Hash: "token of " + who, Expires: noon.Add(time.Hour)}
			s := people.Session{Hash: "session of " + who, ID: "session of " + who, Subject: who, End: noon.Add(time.Hour)}
			if err := errors.Join(db.KeepAccount(t.Context(), people.Account{Name: who, Version: 1}), db.Issue(t.Context(), i), db.BeginSession(t.Context(), s, "")); err != nil {
				t.Fatal(err)
			}
		}
		open := func(who string) (sessions, credentials int) {
			t.Helper()
			s, err := other.SessionsOf(t.Context(), who)
			if err != nil {
				t.Fatal(err)
			}
			c, err := other.Credentials(t.Context(), who, noon)
			if err != nil {
				t.Fatal(err)
			}
			return len(s), len(c)
		}
		if err := db.EndAccount(t.Context(), people.Account{Name: "ana", Version: 3, Disabled: noon}, noon); !errors.Is(err, people.ErrConflict) {
			t.Errorf("of a version that is none: %v", err)
		}
		if s, c := open("ana"); s != 1 || c != 1 {
			t.Errorf("after a change that did not come about: %d sessions, %d credentials", s, c)
		}
		before, err := other.ChangeCount(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := db.EndAccount(t.Context(), people.Account{Name: "ana", Version: 2, Disabled: noon}, noon); err != nil {
			t.Fatal(err)
		}
		if s, c := open("ana"); s != 0 || c != 0 {
			t.Errorf("ana: %d sessions, %d credentials", s, c)
		}
		if s, c := open("bob"); s != 1 || c != 1 {
			t.Errorf("bob: %d sessions, %d credentials", s, c)
		}
		if got, err := other.Account(t.Context(), "ana"); err != nil || !got.Disabled.Equal(noon) {
			t.Errorf("%+v, %v", got, err)
		}
		if now, err := other.ChangeCount(t.Context()); err != nil || now == before {
			t.Errorf("no gateway looks again: %d, %v", now, err)
		}
	})
}

// What somebody handed on before a reset ends with it, and what was handed to them only when they are disabled; all of it is said.
func TestDelegationsEndWithTheirAccount(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db := open(t, path)
		if err := db.KeepAccount(t.Context(), people.Account{Name: "ana", Version: 1}); err != nil {
			t.Fatal(err)
		}
		end := noon.Add(time.Hour)
		commit(t, db, access.Change{Delegations: []access.Delegation{
			{ID: "1", From: "ana", To: "bob", End: end}, {ID: "2", From: "bob", To: "ana", End: end}, {ID: "3", From: "bob", To: "eve", End: end},
		}})
		ends := func(a people.Account, want ...string) {
			t.Helper()
			if err := db.EndAccount(t.Context(), a, noon); err != nil {
				t.Fatal(err)
			}
			left, err := db.Delegations(t.Context(), noon)
			if err != nil {
				t.Fatal(err)
			}
			ids := []string{}
			for _, d := range left {
				ids = append(ids, d.ID)
			}
			said, err := db.Events(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(ids, want) || len(said) != 3-len(want) || said[len(said)-1].Kind != "approver.recalled" {
				t.Errorf("left: %v, want %v; said: %+v", ids, want, said)
			}
		}
		ends(people.Account{Name: "ana", Version: 2, Reset: noon}, "2", "3")
		ends(people.Account{Name: "ana", Version: 3, Disabled: noon}, "3")
	})
}

// What came from a login ends with it, wherever and however that ends, and is not kept once it has.
func TestCertificatesEndWithTheirLogin(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		begin := func(id, instead string) {
			t.Helper()
			if err := db.BeginSession(t.Context(), people.Session{ID: id, Hash: "hash of " + id, Subject: "ana", End: noon.Add(time.Hour)}, instead); err != nil {
				t.Fatal(err)
			}
		}
		issue := func(id, login string) error {
			return other.Issue(t.Context(), identity.Issued{ID: id, Subject: "ana", Kind: identity.ClientCertificate, Login: login, Fingerprint: "f", Expires: noon.Add(time.Hour)})
		}
		live := func(want ...string) {
			t.Helper()
			found, err := other.Credentials(t.Context(), "ana", noon)
			var ids []string
			for _, i := range found {
				ids = append(ids, i.ID)
			}
			if err != nil || !slices.Equal(ids, want) {
				t.Errorf("live are %q and not %q, %v", ids, want, err)
			}
		}
		count := func() int64 {
			t.Helper()
			n, err := other.ChangeCount(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		for _, id := range []string{"a", "b", "c", "d"} {
			begin(id, "")
			if err := issue("of "+id, id); err != nil {
				t.Fatal(err)
			}
		}
		live("of a", "of b", "of c", "of d")
		before := count()
		if err := db.EndSessions(t.Context(), "ana", []string{"a"}); err != nil {
			t.Fatal(err)
		}
		live("of b", "of c", "of d")
		if count() == before {
			t.Error("no gateway hears of it")
		}
		if err := db.EndSessions(t.Context(), "bob", []string{"b"}); err != nil { // not his
			t.Fatal(err)
		}
		begin("e", "hash of b")
		live("of c", "of d")
		if err := db.RevokeCredential(t.Context(), "ana", "of c", noon); err != nil {
			t.Fatal(err)
		}
		live("of d")
		if err := issue("late", "a"); !errors.Is(err, people.ErrNone) {
			t.Errorf("for a login that is over: %v", err)
		}
		if err := db.EndSessions(t.Context(), "ana", nil); err != nil {
			t.Fatal(err)
		}
		live()
		before = count()
		if err := db.EndSessions(t.Context(), "ana", nil); err != nil || count() != before {
			t.Errorf("nothing ended, and every gateway looks again: %v", err)
		}
		// Somebody gets certificates while the login ends: none is left, whoever is first.
		for round := range 10 {
			id := fmt.Sprint("race ", round)
			begin(id, "")
			var wg sync.WaitGroup
			for i := range 4 {
				wg.Go(func() {
					if err := issue(fmt.Sprint(id, i), id); err != nil && !errors.Is(err, people.ErrNone) {
						t.Error(err)
					}
				})
			}
			wg.Go(func() {
				if err := db.EndSessions(context.Background(), "ana", []string{id}); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			live()
		}
	})
}

// Of several gateways that make an authority at once one wins.
func TestAuthoritiesAreKept(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		dbs := []*state.DB{open(t, path), open(t, path), open(t, path)}
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				k := identity.KeptAuthority{ID: fmt.Sprint("k", i), Generation: 1, Certificate: []byte("c"), Key: []byte("sealed"), Expires: noon.Add(time.Hour)}
				switch err := dbs[i%3].KeepAuthority(context.Background(), k); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, access.ErrConflict):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d won", won.Load())
		}
		if err := dbs[0].KeepAuthority(t.Context(), identity.KeptAuthority{ID: "next", Generation: 2, Expires: noon.Add(2 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		all, err := dbs[1].Authorities(t.Context())
		if err != nil || len(all) != 2 || all[0].ID != "next" || string(all[1].Key) != "sealed" {
			t.Fatalf("%+v, %v", all, err)
		}
		all[1].Ended = noon
		if err := dbs[1].EndAuthority(t.Context(), all[1]); err != nil {
			t.Fatal(err)
		}
		if again, err := dbs[2].Authorities(t.Context()); err != nil || !reflect.DeepEqual(again, all) {
			t.Errorf("%+v, %v", again, err)
		}
	})
}

// State moves whole from any place to any other, and what is there already is not lost by mistake.
func TestBackupAndRestore(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db := open(t, path)
		commit(t, db, access.Change{
			Requests: []access.Request{asked("a", `an"a`, "x\n")}, Grants: []access.Grant{held("g", "ana", "y")},
			Events: []access.Event{{Kind: "one", At: noon}}, Notices: []access.Notice{{Kind: "n", To: "ana", At: noon}},
		})
		if err := errors.Join(db.SaveHead(t.Context(), head(5)), db.KeepAccount(t.Context(), people.Account{Name: "zoë", Version: 1}),
			db.KeepAuthority(t.Context(), identity.KeptAuthority{ID: "k", Generation: 1, Key: []byte{0, 255}})); err != nil {
			t.Fatal(err)
		}
		id, err := db.Installation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		wrote, err := db.Backup(t.Context(), &text)
		if err != nil || wrote.Rows["access_request"] != 1 || wrote.Rows["outbox_event"] != 1 {
			t.Fatalf("%+v, %v", wrote, err)
		}
		everywhere := map[string]string{"file": filepath.Join(t.TempDir(), "copy.db"), "server": pgtest.Default(t).NewDatabase(t).URL(pgtest.SuperUser)}
		for name, to := range everywhere {
			copied := open(t, to)
			read, err := copied.Restore(t.Context(), bytes.NewReader(text.Bytes()), false)
			if err != nil || !reflect.DeepEqual(read.Rows, presentOf(wrote.Rows)) {
				t.Fatalf("%s: %+v, %v", name, read, err)
			}
			if got, err := copied.Requests(t.Context(), access.Filter{}); err != nil || len(got) != 1 || got[0].Subject != `an"a` {
				t.Errorf("%s: requests %+v, %v", name, got, err)
			}
			if got, found, err := copied.LoadHead(t.Context(), "gw1"); err != nil || !found || got != head(5) {
				t.Errorf("%s: head %+v, %v", name, got, err)
			}
			if got, err := copied.Installation(t.Context()); err != nil || got != id {
				t.Errorf("%s: installation %+v, %v", name, got, err)
			}
			commit(t, copied, access.Change{Events: []access.Event{{Kind: "two", At: noon}}})
			if got, err := copied.Events(t.Context(), 9); err != nil || len(got) != 2 || got[1].Kind != "two" {
				t.Errorf("%s: events %+v, %v", name, got, err)
			}
			if _, err := copied.Restore(t.Context(), bytes.NewReader(text.Bytes()), false); !errors.Is(err, state.ErrNotEmpty) {
				t.Errorf("%s: over something: %v", name, err)
			}
			if got, err := copied.Events(t.Context(), 9); err != nil || len(got) != 2 {
				t.Errorf("%s: a refused restore changed something: %+v, %v", name, got, err)
			}
			if _, err := copied.Restore(t.Context(), bytes.NewReader(text.Bytes()), true); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if got, err := copied.Events(t.Context(), 9); err != nil || len(got) != 1 {
				t.Errorf("%s: events after replacing: %+v, %v", name, got, err)
			}
		}
	})
}

// presentOf leaves out tables without rows.
func presentOf(rows map[string]int) map[string]int {
	out := map[string]int{}
	for table, n := range rows {
		if n > 0 {
			out[table] = n
		}
	}
	return out
}

func TestRestoreRefuses(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db := open(t, path)
		commit(t, db, access.Change{Requests: []access.Request{asked("a", "ana", "x"), asked("b", "bob", "x")}})
		var out bytes.Buffer
		if _, err := db.Backup(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		good := out.String()
		schema := regexp.MustCompile(`"schema":\d+`)
		for name, tt := range map[string]struct {
			text string
			want error
		}{
			"nothing": {"", state.ErrBadBackup}, "something else": {"hello\n", state.ErrBadBackup},
			"cut short": {good[:len(good)/2], state.ErrBadBackup}, "a line less": {strings.Replace(good, good[strings.Index(good, "\n[\"b\""):], "\n", 1), state.ErrBadBackup},
			"changed": {strings.ReplaceAll(good, "bob", "eve"), state.ErrBadBackup}, "longer": {good + "[1]\n", state.ErrBadBackup},
			"newer":             {resigned(schema.ReplaceAllString(good, `"schema":999`)), state.ErrNewer},
			"a table of nobody": {resigned(strings.Replace(good, `"table":"person"`, `"table":"pg_class"`, 1)), state.ErrBadBackup},
		} {
			_, err := db.Restore(t.Context(), strings.NewReader(tt.text), true)
			if !errors.Is(err, tt.want) {
				t.Errorf("%s: %v", name, err)
			}
			if got, err := db.Requests(t.Context(), access.Filter{}); err != nil || len(got) != 2 {
				t.Errorf("%s: it left %d requests, %v", name, len(got), err)
			}
		}
		// The same text with an honest digest is taken, and so is one of the schema before.
		for _, text := range []string{resigned(good), resigned(schema.ReplaceAllString(good, `"schema":6`))} {
			if _, err := db.Restore(t.Context(), strings.NewReader(text), true); err != nil {
				t.Error(err)
			}
			if got, err := db.Requests(t.Context(), access.Filter{}); err != nil || len(got) != 2 {
				t.Errorf("%d requests, %v", len(got), err)
			}
		}
	})
}

// resigned gives a changed backup the end that fits it.
func resigned(text string) string {
	body := text[:strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n")+1]
	return body + fmt.Sprintf("{\"rows\":%d,\"sha256\":\"%x\"}\n", strings.Count(body, "\n["), sha256.Sum256([]byte(body)))
}

// Of a dataset's reviews the last one is found; each number is begun once, and only one is open.
func TestReviewsAreKept(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		first := access.Review{Dataset: "staff", Number: 1, Version: 1, Open: true, Opened: noon, Due: noon.Add(time.Hour), Grants: []string{"g"}}
		commit(t, db, access.Change{Reviews: []access.Review{first, {Dataset: "shop", Number: 1, Version: 1, Opened: noon, Closed: noon}}})
		refused := func(what string, v access.Review) {
			t.Helper()
			if err := other.Commit(t.Context(), access.Change{Reviews: []access.Review{v}}); !errors.Is(err, access.ErrConflict) {
				t.Errorf("%s: %v", what, err)
			}
		}
		refused("begun twice", first)
		second := first
		second.Number = 2
		refused("two are open", second)
		closed := first
		closed.Version, closed.Open, closed.Closed = 2, false, noon
		commit(t, other, access.Change{Reviews: []access.Review{closed}})
		refused("closed twice", closed)
		commit(t, db, access.Change{Reviews: []access.Review{second}})
		found, err := other.Reviews(t.Context())
		if err != nil || len(found) != 2 || found[0].Dataset != "shop" || !reflect.DeepEqual(found[1], second) {
			t.Errorf("reviews %+v, %v", found, err)
		}
	})
}
