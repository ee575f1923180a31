package access_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/policy"
)

const day = 24 * time.Hour

// review is the last review of the dataset.
func (w *world) review() access.Review {
	w.t.Helper()
	found, err := w.db.Reviews(context.Background())
	if err != nil || len(found) != 1 {
		w.t.Fatalf("reviews: %v, %v", found, err)
	}
	return found[0]
}

// reviewed is a world in which the dataset is reviewed, and ana and bob hold something.
func reviewed(t *testing.T, revoke bool) (w *world, ana, bob string) {
	t.Helper()
	w = newWorld(t)
	ana = w.ask("ana", access.Ask{Rule: "self", For: span("30d")}).Grant.ID
	bob = w.ask("bob", access.Ask{Rule: "self", For: span("30d")}).Grant.ID
	w.p.Datasets["staff"].Review = &policy.Review{Every: span("20d"), Due: span("4d"), Revoke: revoke}
	w.pass(time.Minute)
	return w, ana, bob
}

// A review asks about what is held when it begins; it is over when each is confirmed, dropped or has ended, and the next one comes in time.
func TestReview(t *testing.T) {
	t.Parallel()
	w, ana, bob := reviewed(t, false)
	v := w.review()
	if !v.Open || v.Number != 1 || !slices.Equal(v.Grants, []string{ana, bob}) || !v.Due.Equal(v.Opened.Add(4*day)) {
		t.Errorf("the first review: %+v", v)
	}
	later := w.ask("dora", access.Ask{Rule: "self", For: span("30d")}).Grant.ID
	w.wants("at the beginning", w.notices("review.opened"), []string{"review.opened dora", "review.opened emil", "review.opened finn"})
	_, err := w.desk.Confirm(t.Context(), w.as("ana"), ana, "")
	refused(t, access.CodeNotYours, err)
	if _, err := w.desk.Confirm(t.Context(), w.as("emil"), ana, ""); err != nil {
		t.Fatal(err)
	}
	w.pass(day)
	if n := w.count("review.reminder"); n != 0 {
		t.Errorf("%d reminders before half of the time", n)
	}
	w.pass(day)
	w.pass(time.Minute)
	w.wants("at half of it, once", w.notices("review.reminder"), []string{"review.reminder dora", "review.reminder emil", "review.reminder finn"})
	if _, err := w.desk.Revoke(t.Context(), w.as("emil"), bob, "not needed"); err != nil {
		t.Fatal(err)
	}
	_, err = w.desk.Confirm(t.Context(), w.as("emil"), bob, "") // it is over
	refused(t, access.CodeFinal, err)
	w.pass(time.Minute)
	if v = w.review(); v.Open || v.Overdue || w.count("review.closed") != 1 || w.count("review.revoked") != 1 || w.count("review.overdue") != 0 {
		t.Errorf("after the last answer: %+v", v)
	}
	w.pass(17 * day)
	if v = w.review(); v.Number != 1 {
		t.Errorf("the second review is early: %+v", v)
	}
	w.pass(day + time.Hour)
	if v = w.review(); v.Number != 2 || !v.Open || !slices.Equal(v.Grants, []string{ana, later}) {
		t.Errorf("the second review: %+v", v)
	}
	w.p.Datasets["staff"].Review = nil
	w.pass(time.Minute)
	if v = w.review(); v.Open || w.count("review.closed") != 2 {
		t.Errorf("the dataset is not reviewed any longer: %+v", v)
	}
}

// What nobody answered for in time is kept and listed, or ends, as the dataset says; what was confirmed stays in both.
func TestReviewOverdue(t *testing.T) {
	t.Parallel()
	for name, revoke := range map[string]bool{"keep": false, "revoke": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, ana, bob := reviewed(t, revoke)
			if _, err := w.desk.Confirm(t.Context(), w.as("dora"), ana, ""); err != nil {
				t.Fatal(err)
			}
			w.pass(4*day - 2*time.Minute)
			if g := w.grant(bob); !g.Live() || w.count("review.overdue") != 0 {
				t.Errorf("before the time is over: %+v", g)
			}
			w.pass(2 * time.Minute)
			w.restart()
			w.pass(time.Minute)
			told := []string{"review.overdue dora", "review.overdue emil", "review.overdue finn", "review.overdue root"}
			w.wants("owners and admins, once", w.notices("review.overdue"), told)
			if g := w.grant(ana); !g.Live() {
				t.Errorf("what was confirmed: %+v", g)
			}
			v, g := w.review(), w.grant(bob)
			left := v.Unanswered([]access.Grant{w.grant(ana), g})
			if !v.Overdue || v.Open == revoke || g.Live() == revoke || revoke && g.Cause != access.ByReview || !revoke && (len(left) != 1 || left[0].ID != bob) {
				t.Errorf("review %+v, grant %+v, unanswered %v", v, g, left)
			}
			if n := w.count("review.overdue"); n != 1 {
				t.Errorf("%d events say that it is overdue", n)
			}
			if revoke {
				return
			}
			if _, err := w.desk.Confirm(t.Context(), w.as("dora"), bob, ""); err != nil {
				t.Fatal(err)
			}
			w.pass(time.Minute)
			if v = w.review(); v.Open {
				t.Errorf("answered late: %+v", v)
			}
		})
	}
}

// A dataset on which nobody holds anything is reviewed at once; one without owners is the admins'.
func TestReviewOfNothingAndNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.p.Datasets["staff"].Review = &policy.Review{Every: span("20d"), Due: span("4d")}
	w.pass(time.Minute)
	if v := w.review(); v.Open || v.Number != 1 || w.count("review.opened") != 1 || w.count("review.closed") != 1 || len(w.notices("review.opened")) != 0 {
		t.Errorf("of nothing: %+v", v)
	}
	w.ask("ana", access.Ask{Rule: "self", For: span("30d")})
	w.p.Datasets["staff"].Owners = nil
	w.pass(20 * day)
	if v := w.review(); !v.Open || v.Number != 2 {
		t.Errorf("the second: %+v", v)
	}
	w.wants("without owners", w.notices("review.opened"), []string{"review.opened dora", "review.opened root"})
}

// confirms has several people answer for a grant at once.
func (h *history) confirms(rt *rapid.T) {
	g, ok := h.pickGrant(rt)
	if !ok {
		return
	}
	for _, who := range []string{"dora", rapid.SampledFrom(people).Draw(rt, "who")} {
		_, err := h.w.desk.Confirm(context.Background(), h.w.as(who), g.ID, "")
		harmless(rt, err)
	}
}

// reviewsChange turns the reviews of the dataset on, off, or over to the other consequence.
func (h *history) reviewsChange(rt *rapid.T) {
	set := h.w.p.Datasets["staff"]
	set.Review = rapid.SampledFrom([]*policy.Review{
		nil, {Every: span("10d"), Due: span("3d")}, {Every: span("10d"), Due: span("3d"), Revoke: true}, {Every: span("5d"), Due: span("1d"), Revoke: true},
	}).Draw(rt, "review")
}

// checkReviews is what must hold of reviews after every step.
func (h *history) checkReviews(rt *rapid.T, events []access.Event, grants []access.Grant) {
	found, err := h.w.db.Reviews(context.Background())
	if err != nil {
		rt.Fatal(err)
	}
	said := map[string]int{} // kind and review
	for _, e := range events {
		if name, _, ok := strings.Cut(strings.TrimPrefix(e.Reason, "review "), ":"); ok && strings.HasPrefix(e.Kind, "review.") {
			said[e.Kind+" "+name]++
		}
	}
	for _, v := range found {
		for n := 1; n <= v.Number; n++ {
			name := fmt.Sprintf("%s %d", v.Dataset, n)
			closed := 1
			if n == v.Number && v.Open {
				closed = 0
			}
			if said["review.opened "+name] != 1 || said["review.closed "+name] != closed || said["review.overdue "+name] > 1 {
				rt.Fatalf("review %s of %d: %v", name, v.Number, said)
			}
		}
		if v.Closed.IsZero() != v.Open {
			rt.Fatalf("review %+v", v)
		}
		for i := range grants {
			g := &grants[i]
			if g.Cause != access.ByReview || g.Closed.Before(v.Opened) {
				continue
			}
			if !slices.Contains(v.Grants, g.ID) || g.Closed.Before(v.Due) || !g.Breaking && !g.Reviewed.Before(v.Opened) {
				rt.Fatalf("review %+v ended grant %+v", v, *g)
			}
		}
	}
}
