package access_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/state"
)

// notices lists what waits to be told, of the kinds with one of the names, as "kind to" in the order of their becoming. Each is there
// once in the list for each time that it would be told.
func (w *world) notices(kinds ...string) []string {
	w.t.Helper()
	w.ids++
	found, err := w.db.ClaimNotices(context.Background(), fmt.Sprint("look", w.ids), start.Add(-time.Hour), time.Minute, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	out := []string{}
	for _, d := range found {
		if slices.Contains(kinds, d.Kind) {
			out = append(out, d.Kind+" "+d.To)
		}
	}
	return out
}

// ticks lets several gateways look at once, each on a connection of its own, and twice.
func (w *world) ticks(d time.Duration) {
	w.t.Helper()
	w.pass(d)
	w.restart()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			db, err := state.Open(context.Background(), w.path)
			if err != nil {
				w.t.Error(err)
				return
			}
			defer func() { _ = db.Close() }()
			desk := access.NewDesk(access.Config{
				Store: db, Policy: func() *policy.Policy { return w.p }, Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
			})
			for range 2 {
				if err := desk.Tick(context.Background()); err != nil {
					w.t.Error(err)
				}
				if err := desk.Recheck(context.Background()); err != nil {
					w.t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func (w *world) wants(what string, got, want []string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Errorf("%s: told %q, want %q", what, got, want)
	}
}

const (
	reminder = "request.reminder"
	endsDay  = "grant.ends_in_24h"
	endsHour = "grant.ends_in_1h"
)

// At half of a request's time those who have not decided are told again, once, and whoever stands in for one of them.
func TestReminder(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	r := w.ask("ana", access.Ask{Rule: "two"}).Request
	w.approve("dora", r.ID)
	if _, err := w.desk.Delegate(ctx, w.as("emil"), "hugo", start.Add(20*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.ticks(84*time.Hour - time.Second)
	w.wants("before half of the time", w.notices(reminder), []string{})
	w.ticks(time.Second)
	want := []string{reminder + " emil", reminder + " finn", reminder + " hugo"}
	w.wants("at half of the time", w.notices(reminder), want)
	w.ticks(time.Hour)
	w.wants("later", w.notices(reminder), want)
	if out := w.approve("finn", r.ID); out.Grant == nil {
		t.Error("a reminded approver could not decide")
	}
	// What is decided, withdrawn or over is waited for by nobody.
	for _, end := range []func(id string) error{
		func(id string) error { _, err := w.desk.Deny(ctx, w.as("dora"), id, ""); return err },
		func(id string) error { _, err := w.desk.Withdraw(ctx, w.as("bob"), id); return err },
		func(string) error { w.pass(8 * 24 * time.Hour); return nil },
	} {
		if err := end(w.ask("bob", access.Ask{Rule: "any"}).Request.ID); err != nil {
			t.Fatal(err)
		}
		w.ticks(5 * 24 * time.Hour)
	}
	w.wants("of what is over", w.notices(reminder), want)
}

// Whoever hears of a step for the first time in the second half is not told twice in a row.
func TestReminderOfALaterStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.p.Rule("steps").Request.Approvers[0].SkipAfter = 90 * time.Hour
	w.ask("ana", access.Ask{Rule: "steps"})
	w.ticks(84 * time.Hour)
	w.wants("at half", w.notices(reminder), []string{reminder + " hugo"})
	w.ticks(6 * time.Hour)
	w.ticks(time.Hour)
	w.wants("after the skip", w.notices(reminder), []string{reminder + " hugo"})
	w.wants("new", w.notices("request.new"), []string{"request.new hugo", "request.new dora", "request.new emil", "request.new finn"})
}

// A holder is told a day and an hour ahead, once each; what is too short for it is not, nor what ended or was paused before.
func TestAheadOfTheEnd(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	all := func() []string { return w.notices(endsDay, endsHour) }
	w.ask("ana", access.Ask{Rule: "self", For: span("3d")})
	w.ask("bob", access.Ask{Rule: "self", For: span("1d")})
	w.ask("dora", access.Ask{Rule: "self", For: span("1h")})
	gone := w.ask("etl", access.Ask{Rule: "self", For: span("3d")}).Grant
	w.ticks(23*time.Hour - time.Second)
	w.wants("before anything", all(), []string{})
	w.ticks(time.Second)
	w.wants("an hour ahead of the day", all(), []string{endsHour + " bob"})
	if _, err := w.desk.Revoke(ctx, w.as("dora"), gone.ID, ""); err != nil {
		t.Fatal(err)
	}
	w.ticks(25 * time.Hour)
	w.wants("a day ahead", all(), []string{endsHour + " bob", endsDay + " ana"})
	w.ticks(23 * time.Hour)
	want := []string{endsHour + " bob", endsDay + " ana", endsHour + " ana"}
	w.wants("an hour ahead", all(), want)
	w.ticks(24 * time.Hour)
	w.wants("after the end", all(), want)
	// Nobody looked for a while: the last one is the one that counts.
	late := w.ask("ana", access.Ask{Rule: "self", For: span("3d")}).Grant
	w.ticks(72*time.Hour - 10*time.Minute)
	want = append(want, endsHour+" ana")
	w.wants("late", all(), want)
	w.ticks(5 * time.Minute)
	w.wants("later", all(), want)
	if got := w.grant(late.ID); got.State != access.Active {
		t.Errorf("it is %+v", got)
	}
}

// What was given a later end is told ahead of that one, and not of the one before.
func TestAheadOfALaterEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := func() []string { return w.notices(endsDay, endsHour) }
	g := w.ask("ana", access.Ask{Rule: "self", For: span("10d")}).Grant // until 240 h
	w.ticks(215 * time.Hour)
	w.ask("ana", access.Ask{Rule: "self", For: span("2d"), Extends: g.ID}) // until 288 h
	w.ticks(2 * time.Hour)
	w.wants("at 217 h, for the old end", all(), []string{})
	w.ticks(23 * time.Hour)
	w.wants("at 240 h", all(), []string{})
	w.ticks(24 * time.Hour)
	w.wants("at 264 h", all(), []string{endsDay + " ana"})
	w.ticks(22 * time.Hour) // 286 h: two hours ahead, five more
	w.ask("ana", access.Ask{Rule: "self", For: span("5h"), Extends: g.ID})
	w.ticks(time.Hour) // 287 h
	w.wants("an hour ahead of the end before, and less than a day ahead of the new one", all(), []string{endsDay + " ana"})
	w.ticks(5 * time.Hour) // 292 h
	w.wants("an hour ahead of the new one", all(), []string{endsDay + " ana", endsHour + " ana"})
}

// A notice that was not delivered in time is not told when it is no longer so, and is when it is.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	now := start
	r := access.Request{State: access.Pending, Expires: now.Add(time.Hour), Decisions: []access.Decision{{By: "dora", For: "emil"}}}
	g := access.Grant{State: access.Active, Start: now.Add(-time.Hour), End: now.Add(time.Hour)}
	decided, withdrawn, ended, longer, paused := r, r, g, g, g
	decided.State, withdrawn.State, ended.State, paused.State = access.Denied, access.Withdrawn, access.Revoked, access.Suspended
	longer.End = now.Add(2 * time.Hour)
	for name, tt := range map[string]struct {
		n    access.Notice
		r    *access.Request
		g    *access.Grant
		want bool
	}{
		"it waits":             {access.Notice{Kind: reminder, To: "finn"}, &r, nil, false},
		"they decided":         {access.Notice{Kind: reminder, To: "dora"}, &r, nil, true},
		"somebody did for":     {access.Notice{Kind: reminder, To: "emil"}, &r, nil, true},
		"it is decided":        {access.Notice{Kind: reminder, To: "finn"}, &decided, nil, true},
		"it is gone":           {access.Notice{Kind: reminder, To: "finn"}, nil, nil, true},
		"it ends":              {access.Notice{Kind: endsHour, Until: g.End}, nil, &g, false},
		"it ended":             {access.Notice{Kind: endsHour, Until: g.End}, nil, &ended, true},
		"it is paused":         {access.Notice{Kind: endsDay, Until: g.End}, nil, &paused, true},
		"it ends later":        {access.Notice{Kind: endsDay, Until: g.End}, nil, &longer, true},
		"it was taken back":    {access.Notice{Kind: "request.new", To: "dora"}, &withdrawn, nil, true},
		"by who is told so":    {access.Notice{Kind: "request.sent", To: "ana"}, &withdrawn, nil, true},
		"a decision stays one": {access.Notice{Kind: "request.new", To: "dora"}, &decided, nil, false},
	} {
		if got := tt.n.Overtaken(tt.r, tt.g, now); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
