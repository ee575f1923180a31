package notify_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/notify"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/state"
)

// way is a way to people that takes its time.
type way struct {
	name string
	took time.Duration
	mu   sync.Mutex
	sent map[string]int
	last time.Time
}

func (w *way) Name() string { return w.name }

func (w *way) Send(ctx context.Context, m *notify.Message) error {
	select {
	case <-time.After(w.took):
	case <-ctx.Done():
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent[m.ID]++
	w.last = time.Now()
	return nil
}

// A way that takes its time holds up no other, and of two instances neither takes up what the other has just sent: each notice is sent once
// by each way.
func TestSlowWays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, err := state.Open(t.Context(), filepath.Join(t.TempDir(), "s.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		const notices = 12
		var c access.Change
		for i := range notices {
			c.Notices = append(c.Notices, access.Notice{Kind: "approver.recalled", To: fmt.Sprint("p", i), At: time.Now()})
		}
		if err := db.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		slow, quick := &way{name: "mail", took: 29 * time.Second, sent: map[string]int{}}, &way{name: "webhook", sent: map[string]int{}}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 2 {
			courier := notify.New(notify.Config{
				Outbox: db, Access: db, Policy: func() *policy.Policy { return &policy.Policy{} }, Transports: []notify.Transport{slow, quick}, Audit: &trail{},
				Log: slog.New(slog.DiscardHandler), Now: time.Now,
			})
			all.Go(func() { courier.Run(ctx) })
		}
		time.Sleep(15 * time.Minute)
		cancel()
		all.Wait()
		for _, w := range []*way{slow, quick} {
			for id, n := range w.sent {
				if n != 1 {
					t.Errorf("%s: notice %s was sent %d times", w.name, id, n)
				}
			}
			if len(w.sent) != notices {
				t.Errorf("%s: %d of %d notices were sent", w.name, len(w.sent), notices)
			}
		}
		if waited := quick.last.Sub(began); waited > 10*time.Second {
			t.Errorf("the quick way waited %s for the slow one", waited)
		}
	})
}
