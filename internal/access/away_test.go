package access_test

import (
	"slices"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
)

// Whoever is back decides alone again: who stood in is refused at once. Either of the two ends it, nobody else, and both are told.
func TestRecalled(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"emil", "hugo"} {
		w, ctx := newWorld(t), t.Context()
		d, err := w.desk.Delegate(ctx, w.as("emil"), "hugo", start.Add(24*time.Hour))
		w.must(err)
		other, err := w.desk.Delegate(ctx, w.as("finn"), "hugo", start.Add(time.Hour))
		w.must(err)
		for who, want := range map[string]int{"emil": 1, "hugo": 2, "finn": 1, "bob": 0} {
			if got, err := w.desk.Away(ctx, w.as(who)); err != nil || len(got) != want || want == 2 && got[0] != *other {
				t.Errorf("%s is shown %v, %v", who, got, err)
			}
		}
		for _, who := range []string{"finn", "bob"} {
			_, err = w.desk.Recall(ctx, w.as(who), d.ID)
			refused(t, access.CodeNotYours, err)
		}
		w.approve("hugo", w.pending("any"))
		out, err := w.desk.Recall(ctx, w.as(by), d.ID)
		if err != nil || out.ID != d.ID || out.End.After(w.now) || w.count("approver.recalled") != 1 {
			t.Fatalf("%s ends it: %+v, %v", by, out, err)
		}
		w.wants(by, w.notices("approver.recalled"), []string{"approver.recalled hugo", "approver.recalled emil"})
		_, err = w.desk.Recall(ctx, w.as(by), d.ID)
		refused(t, access.CodeNotYours, err)
		_, err = w.desk.Recall(ctx, w.as("finn"), other.ID)
		w.must(err)
		left, err := w.desk.Request(ctx, w.as("bob"), access.Ask{Rule: "any"})
		w.must(err)
		_, err = w.desk.Approve(ctx, w.as("hugo"), left.Request.ID, "")
		refused(t, access.CodeNotApprover, err)
		w.approve("emil", left.Request.ID)
	}
}

// Who is named again stands in until the time that was said last, and once: other people and other directions are untouched.
func TestNamedAgainStandsInOnce(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	w.must(second(w.desk.Delegate(ctx, w.as("emil"), "finn", w.now.Add(time.Hour))))
	w.must(second(w.desk.Delegate(ctx, w.as("hugo"), "emil", w.now.Add(time.Hour))))
	for _, span := range []time.Duration{time.Hour, 48 * time.Hour, 2 * time.Hour} {
		w.must(second(w.desk.Delegate(ctx, w.as("emil"), "hugo", w.now.Add(span))))
	}
	all, err := w.desk.Away(ctx, w.as("emil"))
	w.must(err)
	said := []string{}
	for _, x := range all {
		said = append(said, x.From+" "+x.To+" "+x.End.Sub(w.now.Truncate(time.Second)).String())
	}
	slices.Sort(said)
	if want := []string{"emil finn 1h0m0s", "emil hugo 2h0m0s", "hugo emil 1h0m0s"}; !slices.Equal(said, want) {
		t.Errorf("%v, want %v", said, want)
	}
}

func second[T any](_ T, err error) error { return err }

// What is said to be possible on top of a grant is what Request does, and what is not is refused there with the same words.
func TestExtensionSaysWhatRequestDoes(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	g := w.approve("dora", w.ask("ana", access.Ask{Rule: "any", For: span("10h")}).Request.ID).Grant
	same := func(what string, may bool) *access.Extension {
		t.Helper()
		x, said := w.desk.Extension(ctx, w.as("ana"), g)
		out, err := w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: "any", Extends: g.ID})
		if (said == nil) != may || (err == nil) != may || err != nil && err.Error() != said.Error() {
			t.Fatalf("%s: said %v, done %v", what, said, err)
		}
		if err == nil {
			_, err = w.desk.Withdraw(ctx, w.as("ana"), out.Request.ID)
			w.must(err)
		}
		return x
	}
	same("too early", false)
	w.now = g.Extendable()
	x := same("in the last fifth", true)
	if want := w.now.Add(30 * 24 * time.Hour); x.Grant != g.ID || !x.End.Equal(g.End) || !x.Until.Equal(want) {
		t.Errorf("%+v, want until %s", x, want)
	}
	if _, err := w.desk.Extension(ctx, w.as("bob"), g); err == nil {
		t.Error("bob could extend what ana holds")
	}
	w.p.Rule("any").Enabled = false
	same("the rule is off", false)
	w.p.Rule("any").Enabled = true
	asked, err := w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: "any", Extends: g.ID})
	w.must(err)
	same("asked already", false)
	_, err = w.desk.Withdraw(ctx, w.as("ana"), asked.Request.ID)
	w.must(err)
	_, err = w.desk.Suspend(ctx, w.as("dora"), g.ID, "")
	w.must(err)
	same("suspended", false)
}
