package access_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
)

// Who asks and takes back, again and again, is told to wait before those who decide are told ever more; others are not, a retry of what was
// asked is not, and an hour later it is over.
func TestAskedTooOften(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	var last access.Request
	for i := range 100 {
		last = w.ask("ana", access.Ask{Rule: "any", Key: fmt.Sprint(i)}).Request
		if _, err := w.desk.Withdraw(ctx, w.as("ana"), last.ID); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Second)
	}
	_, err := w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: "any"})
	refused(t, access.CodeOften, err)
	// The first "no" is in the trail at once, and of a flood of them one event an hour, which says how many there were.
	turned := func(what string, want ...int) {
		t.Helper()
		events, err := w.db.Events(ctx, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		got := []int{}
		for _, e := range events {
			if e.Kind == "request.decision_refused" {
				if e.Reason != access.CodeOften || e.Actor != "ana" || e.Subject != "ana" || e.Rule != "any" && e.Rule != "" {
					t.Errorf("%s: %+v", what, e)
				}
				got = append(got, e.Count)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: events count %v, want %v", what, got, want)
		}
	}
	turned("the first", 1)
	for range 500 {
		_, err := w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: "no such\nrule"})
		refused(t, access.CodeOften, err)
	}
	turned("a flood", 1)
	if again, err := w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: "any", Key: "99"}); err != nil || again.Request.ID != last.ID {
		t.Errorf("a retry: %+v, %v", again, err)
	}
	if _, err := w.desk.Request(ctx, w.as("bob"), access.Ask{Rule: "any"}); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	w.now = w.now.Add(time.Hour - 100*time.Second)
	if _, err := w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: "any"}); err != nil {
		t.Errorf("an hour after the first: %v", err)
	}
	if err := w.desk.Tick(ctx); err != nil {
		t.Fatal(err)
	}
	turned("less than an hour after the first no", 1)
	w.now = w.now.Add(100 * time.Second)
	if err := w.desk.Tick(ctx); err != nil {
		t.Fatal(err)
	}
	turned("an hour after it", 1, 500)
	w.now = w.now.Add(time.Hour)
	if err := w.desk.Tick(ctx); err != nil {
		t.Fatal(err)
	}
	turned("after an hour of peace", 1, 500)
}
