package state_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-sec/postern/internal/state"
)

// What every run has used is known to all others for as long as it counts, and to none as its own; a run that is over counts too.
func TestUsesAreShared(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		one, two := open(t, path), open(t, path)
		share := func(db *state.DB, run string, now time.Time, mine ...state.Use) map[string]state.Use {
			t.Helper()
			out, err := db.ShareUse(t.Context(), run, mine, now)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		hour, later := noon.Add(time.Hour), noon.Add(90*time.Minute)
		if got := share(one, "a", noon, state.Use{Key: "rows", Used: 40, Until: hour}, state.Use{Key: "queries", Used: 2, Until: noon.Add(time.Minute)}); len(got) != 0 {
			t.Errorf("a's own use comes back: %v", got)
		}
		want := map[string]state.Use{"rows": {Key: "rows", Used: 40, Until: hour}, "queries": {Key: "queries", Used: 2, Until: noon.Add(time.Minute)}}
		if diff := cmp.Diff(want, share(two, "b", noon)); diff != "" {
			t.Errorf("b (-want +got):\n%s", diff)
		}
		share(two, "b", noon, state.Use{Key: "rows", Used: 7, Until: later})
		share(one, "a", noon, state.Use{Key: "rows", Used: 30, Until: hour}) // some were given back
		want = map[string]state.Use{"rows": {Key: "rows", Used: 37, Until: later}}
		if diff := cmp.Diff(want, share(one, "a, started again", noon.Add(time.Minute))); diff != "" {
			t.Errorf("after a start (-want +got):\n%s", diff)
		}
		want = map[string]state.Use{"rows": {Key: "rows", Used: 7, Until: later}}
		if diff := cmp.Diff(want, share(one, "c", hour)); diff != "" {
			t.Errorf("an hour later (-want +got):\n%s", diff)
		}
		if err := one.Tidy(t.Context(), hour.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		wrote, err := one.Backup(t.Context(), io.Discard)
		if err != nil || wrote.Rows["meter"] != 1 {
			t.Errorf("%d rows are left, %v", wrote.Rows["meter"], err)
		}
	})
}

// Gateways that share at once neither wait for each other for ever nor lose anything.
func TestUsesAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		hour := noon.Add(time.Hour)
		done := make(chan error)
		const runs, keys = 3, 20
		for run := range runs {
			db := open(t, path)
			go func() {
				var mine []state.Use
				for key := range keys {
					mine = append(mine, state.Use{Key: fmt.Sprint((key * (7 + 2*run)) % keys), Used: 1, Until: hour})
				}
				for n := range int64(5) {
					for i := range mine {
						mine[i].Used = n + 1
					}
					if _, err := db.ShareUse(t.Context(), fmt.Sprint(run), mine, noon); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range runs {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		all, err := open(t, path).ShareUse(t.Context(), "another", nil, noon)
		if err != nil || len(all) != keys {
			t.Fatalf("%d keys, %v", len(all), err)
		}
		for key, u := range all {
			if u.Used != 5*runs {
				t.Errorf("%s: %d used", key, u.Used)
			}
		}
	})
}
