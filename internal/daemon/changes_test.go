package daemon

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/audit"
)

// openForChanges opens a trail in a folder as a start does.
func openForChanges(t *testing.T, d *daemon, folder string, key *audit.Key) {
	t.Helper()
	if err := d.openTrail(audit.Config{Folder: folder, Key: key, Instance: "gw1", Sync: time.Minute}); err != nil {
		t.Fatal(err)
	}
}

// TestChangesAreRemembered: what is recorded about the policy is known at the next question, and after a start what was before stands in
// front of what was since, in order and no more of it than is kept.
func TestChangesAreRemembered(t *testing.T) {
	t.Parallel()
	text, err := audit.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := audit.LoadKey(text)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	put := func(d *daemon, e audit.Event) {
		t.Helper()
		if _, err := d.trail.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	first := &daemon{opts: Options{Clock: SystemClock{}}}
	openForChanges(t, first, folder, key)
	for i := range 12 {
		put(first, audit.Event{Kind: audit.Reload, Verdict: "allow", Policy: fmt.Sprintf("digest%d", i)})
		if got := first.changes.now().Events; len(got) != i+1 || got[i].Policy != fmt.Sprintf("digest%d", i) || got[i].Time.IsZero() {
			t.Fatalf("after change %d: %+v", i, got)
		}
		put(first, audit.Event{Kind: audit.Decision, Subject: "ana", Verdict: "allow", Policy: "digest"})
		put(first, audit.Event{Kind: audit.ApplyDone, Store: "shop"}) // for a grant: no change of the policy
	}
	if err := first.trail.Close(); err != nil {
		t.Fatal(err)
	}

	second := &daemon{opts: Options{Clock: SystemClock{}}}
	openForChanges(t, second, folder, key)
	defer func() { _ = second.trail.Close() }()
	put(second, audit.Event{Kind: audit.ServeStart, Policy: "digest11"})
	if now := second.changes.now(); now.Whole || len(now.Events) != 1 {
		t.Errorf("before anybody looked: %+v", now)
	}
	if err := second.changes.remember(t.Context(), folder, second.before); err != nil {
		t.Fatal(err)
	}
	put(second, audit.Event{Kind: audit.Reload, Verdict: "refuse", Policy: "digest11", Message: "a line is wrong"})
	now := second.changes.now()
	if !now.Whole || len(now.Events) != 14 {
		t.Fatalf("%v, %d: %+v", now.Whole, len(now.Events), now.Events)
	}
	for i, e := range now.Events {
		if want := fmt.Sprintf("digest%d", min(i, 11)); e.Policy != want || e.Time.IsZero() {
			t.Errorf("place %d: %+v, want %s", i, e, want)
		}
	}
	if now.Events[12].Kind != audit.ServeStart || now.Events[13].Message == "" {
		t.Errorf("the end: %+v", now.Events[12:])
	}
	for range 2 * mostChanges {
		second.changes.note(audit.Event{Kind: audit.Reload, Policy: "newer"}, time.Now())
	}
	if got := second.changes.now().Events; len(got) != mostChanges || got[0].Policy != "newer" {
		t.Errorf("%d are kept", len(got))
	}
	if err := second.changes.remember(t.Context(), folder+"/none", 5); err == nil {
		t.Error("a trail that is not there was read")
	}
}
