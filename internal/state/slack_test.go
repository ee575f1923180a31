package state_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/slack"
)

// A call is taken once by whoever is first, worked on by one at a time, and over once it is; a message is stale until it shows the
// version that its request has.
func TestSlackIsKept(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		db, other := open(t, path), open(t, path)
		ctx := t.Context()
		var took atomic.Int32
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if first, err := other.TakeCall(ctx, slack.Call{ID: "c1", Doc: "{}", Due: noon, At: noon}); err != nil {
					t.Error(err)
				} else if first {
					took.Add(1)
				}
			})
		}
		all.Wait()
		if took.Load() != 1 {
			t.Errorf("taken %d times", took.Load())
		}
		claim := func(now time.Time, want bool, tries int) {
			t.Helper()
			c, found, err := db.ClaimCall(ctx, now, now.Add(time.Minute))
			if err != nil || found != want || found && (c.ID != "c1" || c.Doc != "{}" || c.Tries != tries || !c.At.Equal(noon)) {
				t.Fatalf("claimed %+v, %v, %v", c, found, err)
			}
		}
		claim(noon.Add(-time.Second), false, 0)
		claim(noon, true, 1)
		claim(noon.Add(59*time.Second), false, 0)
		claim(noon.Add(time.Minute), true, 2)
		if err := db.CallLater(ctx, "c1", noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		claim(noon.Add(59*time.Minute), false, 0)
		claim(noon.Add(time.Hour), true, 3)
		if err := db.EndCall(ctx, "c1"); err != nil {
			t.Fatal(err)
		}
		claim(noon.Add(24*time.Hour), false, 0)
		if first, err := db.TakeCall(ctx, slack.Call{ID: "c1", Doc: "{}", Due: noon, At: noon}); err != nil || first {
			t.Errorf("taken again: %v, %v", first, err)
		}

		r := asked("r1", "ana", "payroll")
		commit(t, db, access.Change{Requests: []access.Request{r}})
		m := slack.Copy{ID: "n1", Channel: "D1", TS: "1.2", Kind: "request.new", Request: "r1", To: "dora", Version: 1, At: noon}
		stale := func(want int) {
			t.Helper()
			found, err := other.StaleCopies(ctx, noon, 10)
			if err != nil || len(found) != want {
				t.Fatalf("stale: %+v, %v", found, err)
			}
		}
		if err := db.KeepCopy(ctx, m); err != nil {
			t.Fatal(err)
		}
		stale(0)
		r.Version, r.State = 2, access.Denied
		commit(t, db, access.Change{Requests: []access.Request{r}})
		stale(1)
		m.Due = noon.Add(time.Second)
		if err := db.KeepCopy(ctx, m); err != nil {
			t.Fatal(err)
		}
		stale(0)
		m.Due, m.Version = time.Time{}, 2
		if err := db.KeepCopy(ctx, m); err != nil {
			t.Fatal(err)
		}
		stale(0)
		for id, want := range map[string]bool{"n1": true, "n2": false} {
			if has, err := other.HasCopy(ctx, id); err != nil || has != want {
				t.Errorf("%s: %v, %v", id, has, err)
			}
		}
	})
}
