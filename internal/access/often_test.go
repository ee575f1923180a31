package access_test

import (
	"fmt"
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
}
