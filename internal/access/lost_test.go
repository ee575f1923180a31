package access_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/state"
)

// overtaking is a store in which somebody is faster with one grant, once.
type overtaking struct {
	*state.DB
	grant   string
	commits int
}

func (o *overtaking) Commit(ctx context.Context, c access.Change) error {
	if id := o.grant; id != "" {
		o.grant = ""
		found, err := o.Grants(ctx, access.Filter{IDs: []string{id}})
		if err != nil {
			return err
		}
		found[0].Version++
		found[0].LastUse = found[0].Start
		if err := o.DB.Commit(ctx, access.Change{Grants: found, Quiet: true}); err != nil {
			return err
		}
	}
	o.commits++
	return o.DB.Commit(ctx, c)
}

// told are the notices of some kinds, whole.
func (w *world) told(kinds ...string) []access.Notice {
	w.t.Helper()
	found, err := w.db.ClaimNotices(w.t.Context(), "told", start.Add(-time.Hour), time.Minute, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	var out []access.Notice
	for _, d := range found {
		if slices.Contains(kinds, d.Kind) {
			out = append(out, d.Notice)
		}
	}
	return out
}

// TestLostInOneGo: who leaves a group loses all that came from it in one go, also where somebody else was faster with a part of it, and is
// told once, of all of it (ACC-59). Who loses one grant is told of that one, and who loses nothing keeps everything.
func TestLostInOneGo(t *testing.T) {
	t.Parallel()
	for _, raced := range []bool{false, true} {
		w := newWorld(t)
		var ids []string
		for _, rule := range []string{"self", "unused"} {
			ids = append(ids, w.ask("bob", access.Ask{Rule: rule}).Grant.ID)
		}
		ids = append(ids, w.approve("dora", w.ask("bob", access.Ask{Rule: "any"}).Request.ID).Grant.ID)
		one, stays := w.ask("etl", access.Ask{Rule: "self"}).Grant.ID, w.ask("ana", access.Ask{Rule: "self"}).Grant.ID
		w.p.Groups["askers"].Members = []string{"ana", "dora"}
		store := &overtaking{DB: w.db}
		if raced {
			store.grant = ids[1]
		}
		desk := access.NewDesk(access.Config{Store: store, Policy: func() *policy.Policy { return w.p }, Now: func() time.Time { return w.now }})
		if err := desk.Recheck(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, id := range append(slices.Clone(ids), one) {
			if g := w.grant(id); g.State != access.Revoked || g.Cause != access.ByGroupLost || !g.Closed.Equal(w.now) {
				t.Errorf("raced %v: %+v", raced, g)
			}
		}
		if g := w.grant(stays); g.State != access.Active {
			t.Errorf("of somebody who stayed: %+v", g)
		}
		if !raced && store.commits != 1 {
			t.Errorf("it took %d steps", store.commits)
		}
		if n := w.count("grant.revoked"); n != 4 {
			t.Errorf("the trail has %d of 4 ends", n)
		}
		told := w.told("grants.lost", "grant.revoked")
		if len(told) != 2 {
			t.Fatalf("raced %v: told %+v", raced, told)
		}
		for _, n := range told {
			got := strings.Fields(n.Grants)
			slices.Sort(got)
			all := n.To == "bob" && n.Kind == "grants.lost" && n.Grant == "" && slices.Equal(got, ids)
			single := n.To == "etl" && n.Kind == "grant.revoked" && n.Grant == one && n.Grants == ""
			if !all && !single || !strings.Contains(n.Reason, "no longer for this person") {
				t.Errorf("raced %v: %+v", raced, n)
			}
		}
		if err := desk.Recheck(t.Context()); err != nil || len(w.told("grants.lost", "grant.revoked")) != 0 {
			t.Errorf("somebody is told again: %v", err)
		}
	}
}

// TestGainedAtOnce: who comes into a group may ask by its rules at the next question (ACC-59).
func TestGainedAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := w.desk.Request(t.Context(), w.as("hugo"), access.Ask{Rule: "self"})
	refused(t, access.CodeNoRule, err)
	w.p.Groups["askers"].Members = append(w.p.Groups["askers"].Members, "hugo")
	if out := w.ask("hugo", access.Ask{Rule: "self"}); out.Grant == nil || out.Grant.State != access.Active {
		t.Errorf("%+v", out)
	}
}
