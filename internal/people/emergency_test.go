package people_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"strings"
	"sync"
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

// Accounts and sessions that cannot be read, as they are in an emergency.
type (
	accounts     = people.Accounts // a field must not be called what a method is
	awayAccounts struct{ accounts }
	awaySessions struct{ people.Sessions }
)

var errAway = errors.New("state is away")

func (awayAccounts) Account(context.Context, string) (people.Account, error) {
	return people.Account{}, errAway
}

func (awaySessions) SessionOf(context.Context, string) (people.Session, error) {
	return people.Session{}, errAway
}

// TestEmergencyAdmin: off means off, on means through the socket alone, without accounts; guesses wait; each use is an alarm.
func TestEmergencyAdmin(t *testing.T) {
	t.Parallel()
	hash, err := people.HashEmergency(secret.New(good), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	mock := must[*identity.Mock](t)(identity.NewMock([]byte("the secret of an installation"), 1))
	told := 0
	with := func(hash string) *people.Registry {
		return must[*people.Registry](t)(people.New(people.Config{
			Accounts: awayAccounts{}, Sessions: awaySessions{}, Devices: p.db, Policy: func() *policy.Policy { return p.pol }, Audit: p.trail, Throttle: identity.NewThrottle(), Mock: mock,
			Key: secret.New("root"), Now: time.Now, Random: rand.Reader, Cost: people.Cost{Memory: cheap, Passes: 1, Threads: 1}, Emergency: hash,
			Alarm: func(_ context.Context, kind audit.Kind, _ string) {
				if kind == audit.EmergencyLogin {
					told++
				}
			},
		}))
	}
	from := people.From{Remote: "local:uid=0,pid=1", Channel: "cli"}
	elsewhere := people.From{Addr: netip.MustParseAddr("127.0.0.1"), Remote: "127.0.0.1:9", Channel: "cli"}
	here := people.WithEmergency(t.Context())
	no := func(what, reason string, r *people.Registry, ctx context.Context, password string, from people.From) {
		t.Helper()
		_, err := r.SignIn(ctx, people.EmergencyName, secret.New(password), from)
		refused(t, err, people.CodeLogin)
		if e := p.trail.last(); e.Kind != audit.EmergencyRefused || e.Reason != reason {
			t.Errorf("%s: the trail says %+v", what, e)
		}
	}
	no("off", "off", with(""), here, good, from)
	on := with(hash)
	no("from elsewhere", "address", on, t.Context(), good, elsewhere)
	no("a wrong password", "authentication", on, here, other, from)
	if told != 0 {
		t.Errorf("%d alarms for what did not happen", told)
	}
	e := must[*people.Entry](t)(on.SignIn(here, people.EmergencyName, secret.New(good), from))
	if last := p.trail.last(); last.Kind != audit.EmergencyLogin || last.Address != from.Remote || told != 1 {
		t.Errorf("the trail says %+v, %d alarms", last, told)
	}
	if e.Role != people.Admin || time.Until(e.Session.End) > people.EmergencyEnd {
		t.Errorf("%+v", e)
	}
	who := must[*people.Person](t)(on.Who(here, e.Token, true))
	if who.Role != people.Admin || len(who.Subject.Groups) > 0 || who.Subject.Name != people.EmergencyName {
		t.Errorf("%+v", who)
	}
	for name, f := range map[string]func() (*people.Person, error){
		"elsewhere": func() (*people.Person, error) { return on.Who(t.Context(), e.Token, true) },
		"another process": func() (*people.Person, error) {
			return with(hash).Who(here, e.Token, true)
		},
		"another token": func() (*people.Person, error) { return on.Who(here, secret.New("postern_x"), true) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: its session is good", name)
		}
	}
	if err := on.SignOut(here, e.Token, from); err != nil {
		t.Fatal(err)
	}
	if _, err := on.Who(here, e.Token, true); err == nil || p.trail.last().Kind != audit.EmergencyEnded {
		t.Errorf("after signing out: %v, %+v", err, p.trail.last())
	}
	if _, err := p.r.Create(t.Context(), "", people.EmergencyName, people.Admin, from); err == nil {
		t.Error("somebody else is called that")
	}
	for _, bad := range []string{"$argon2id$", good, strings.Replace(hash, "m=", "m=9", 1) + "x"} {
		if err := people.CheckEmergency(bad); err == nil {
			t.Errorf("%q is a hash", bad)
		}
	}
	if _, err := people.HashEmergency(secret.New("short"), rand.Reader); err == nil {
		t.Error("a short password")
	}
}

// Guesses at the emergency admin wait longer and longer and then lock, and a session ends by itself.
func TestEmergencyAdminIsThrottledAndEnds(t *testing.T) {
	hash, err := people.HashEmergency(secret.New(good), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	mock := must[*identity.Mock](t)(identity.NewMock([]byte("the secret of an installation"), 1))
	synctest.Test(t, func(t *testing.T) {
		r := must[*people.Registry](t)(people.New(people.Config{
			Accounts: awayAccounts{}, Sessions: awaySessions{}, Devices: p.db, Policy: func() *policy.Policy { return p.pol }, Audit: p.trail, Throttle: identity.NewThrottle(), Mock: mock,
			Key: secret.New("root"), Now: time.Now, Random: rand.Reader, Cost: people.Cost{Memory: cheap, Passes: 1, Threads: 1}, Emergency: hash,
			Alarm: func(context.Context, audit.Kind, string) {},
		}))
		ctx, from := people.WithEmergency(context.Background()), people.From{Remote: "local:uid=0", Channel: "cli"}
		e := must[*people.Entry](t)(r.SignIn(ctx, people.EmergencyName, secret.New(good), from))
		time.Sleep(people.EmergencyEnd)
		if _, err := r.Who(ctx, e.Token, true); err == nil {
			t.Error("a session outlives its end")
		}
		began := time.Now()
		for range 20 {
			_, err := r.SignIn(ctx, people.EmergencyName, secret.New(other), from)
			refused(t, err, people.CodeLogin)
		}
		if spent := time.Since(began); spent < 2*time.Minute {
			t.Errorf("twenty guesses took %s", spent)
		}
		_, err := r.SignIn(ctx, people.EmergencyName, secret.New(good), from)
		refused(t, err, people.CodeLogin)
		if e := p.trail.last(); e.Reason != "locked" {
			t.Errorf("the trail says %+v", e)
		}
	})
}

// stuckBrake is a brake that lets whoever asks it wait in the place where they hash, as a crowd of strangers would.
type stuckBrake struct {
	identity.Brake
	in   chan struct{}
	free chan struct{}
}

func (b stuckBrake) Wait(ctx context.Context, a netip.Addr, user string, now time.Time) (time.Duration, bool, error) {
	b.in <- struct{}{}
	<-b.free
	return b.Brake.Wait(ctx, a, user, now)
}

// TestEmergencyAdminQueuesBehindNobody: while strangers fill every place to hash, the socket still opens; the same name from elsewhere waits
// with them.
func TestEmergencyAdminQueuesBehindNobody(t *testing.T) {
	hash, err := people.HashEmergency(secret.New(good), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	mock := must[*identity.Mock](t)(identity.NewMock([]byte("the secret of an installation"), 1))
	synctest.Test(t, func(t *testing.T) {
		brake := stuckBrake{identity.NewThrottle(), make(chan struct{}, 10), make(chan struct{})}
		r := must[*people.Registry](t)(people.New(people.Config{
			Accounts: awayAccounts{}, Sessions: awaySessions{}, Devices: p.db, Policy: func() *policy.Policy { return p.pol }, Audit: p.trail, Throttle: brake, Mock: mock,
			Key: secret.New("root"), Now: time.Now, Random: rand.Reader, Cost: people.Cost{Memory: cheap, Passes: 1, Threads: 1}, Emergency: hash,
			Alarm: func(context.Context, audit.Kind, string) {},
		}))
		elsewhere := people.From{Addr: netip.MustParseAddr("198.51.100.7"), Remote: "198.51.100.7:9", Channel: "cli"}
		var strangers sync.WaitGroup
		for range 2 {
			strangers.Go(func() { _, _ = r.SignIn(context.Background(), "nobody", secret.New(other), elsewhere) })
		}
		synctest.Wait()
		if len(brake.in) != 2 {
			t.Fatalf("%d strangers are in", len(brake.in))
		}
		soon, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := r.SignIn(soon, people.EmergencyName, secret.New(good), elsewhere); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("from elsewhere: %v", err)
		}
		here, stop := context.WithTimeout(people.WithEmergency(context.Background()), time.Minute)
		defer stop()
		must[*people.Entry](t)(r.SignIn(here, people.EmergencyName, secret.New(good), people.From{Remote: "local:uid=0", Channel: "cli"}))
		close(brake.free)
		strangers.Wait()
	})
}

// Where failed logins are counted in state, and state is away, the socket still opens: its guesses are counted in memory, and what strangers
// try under the name elsewhere does not lock it.
func TestEmergencyAdminWithoutState(t *testing.T) {
	hash, err := people.HashEmergency(secret.New(good), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	mock := must[*identity.Mock](t)(identity.NewMock([]byte("the secret of an installation"), 1))
	synctest.Test(t, func(t *testing.T) {
		st := must[*state.DB](t)(state.Open(context.Background(), p.path))
		r := must[*people.Registry](t)(people.New(people.Config{
			Accounts: awayAccounts{}, Sessions: awaySessions{}, Devices: p.db, Policy: func() *policy.Policy { return p.pol }, Audit: p.trail,
			Throttle: identity.NewSharedThrottle(st, "portal"), Mock: mock, Key: secret.New("root"), Now: time.Now, Random: rand.Reader,
			Cost: people.Cost{Memory: cheap, Passes: 1, Threads: 1}, Emergency: hash, Alarm: func(context.Context, audit.Kind, string) {},
		}))
		ctx, from := people.WithEmergency(context.Background()), people.From{Remote: "local:uid=0", Channel: "cli"}
		elsewhere := people.From{Addr: netip.MustParseAddr("198.51.100.7"), Remote: "198.51.100.7:9", Channel: "cli"}
		for range 25 {
			_, err := r.SignIn(context.Background(), people.EmergencyName, secret.New(other), elsewhere)
			refused(t, err, people.CodeLogin)
		}
		must[*people.Entry](t)(r.SignIn(ctx, people.EmergencyName, secret.New(good), from))
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := r.SignIn(context.Background(), people.EmergencyName, secret.New(good), elsewhere); err == nil {
			t.Error("somebody comes in from elsewhere")
		}
		must[*people.Entry](t)(r.SignIn(ctx, people.EmergencyName, secret.New(good), from))
		for range 20 {
			_, err := r.SignIn(ctx, people.EmergencyName, secret.New(other), from)
			refused(t, err, people.CodeLogin)
		}
		_, err := r.SignIn(ctx, people.EmergencyName, secret.New(good), from)
		refused(t, err, people.CodeLogin)
	})
}
