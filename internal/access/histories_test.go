package access_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/state"
)

// histories is how many are played unless -rapid.checks says otherwise.
const histories = "20"

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", histories); err != nil {
		panic(err)
	}
	flag.Parse() // what the command line says stands above
	pgtest.Main(m)
}

// TestHistories plays random histories: people ask, several approvers answer at once, clicks are repeated, the process restarts, the
// clock jumps both ways. After each step the whole store is looked at.
func TestHistories(t *testing.T) {
	t.Parallel()
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		playHistories(t, func() string { return t.TempDir() + "/state.db" })
	})
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		template := pgtest.Default(t).Template(t, "state", func(db *pgtest.DB) {
			st, err := state.Open(t.Context(), db.URL(pgtest.SuperUser))
			if err != nil {
				t.Fatal(err)
			}
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
		})
		playHistories(t, func() string { return template.Clone(t, "").URL(pgtest.SuperUser) })
	})
}

func playHistories(t *testing.T, place func() string) {
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{t: t, path: place(), now: start, p: testPolicy()}
		w.restart()
		defer func() { w.close() }()
		h := &history{w: w, requests: map[string]access.Request{}, grants: map[string]access.Grant{}}
		rt.Repeat(map[string]func(*rapid.T){
			"ask":     h.ask,
			"answer":  h.answer,
			"end":     h.end,
			"time":    h.time,
			"restart": func(*rapid.T) { w.restart() },
			"policy":  h.policy,
			"confirm": h.confirms,
			"review":  h.reviewsChange,
			"":        h.check,
		})
	})
}

type history struct {
	w        *world
	requests map[string]access.Request // as last seen
	grants   map[string]access.Grant
	swept    bool // the scheduler has run, and the clock stands still since
}

var (
	people   = []string{"ana", "bob", "dora", "emil", "finn", "gina", "hugo", "etl"}
	askables = []string{"any", "two", "each", "steps", "self", "unused"}
)

// harmless is an error that is an answer.
func harmless(rt *rapid.T, err error) {
	var no *access.Refusal
	if err != nil && !errors.As(err, &no) && !errors.Is(err, access.ErrNotFound) && !errors.Is(err, access.ErrConflict) {
		rt.Fatalf("not an answer: %v", err)
	}
}

func (h *history) ask(rt *rapid.T) {
	a := access.Ask{
		Rule: rapid.SampledFrom(askables).Draw(rt, "rule"),
		For:  policy.Span{Time: time.Duration(rapid.IntRange(1, 72).Draw(rt, "hours")) * time.Hour},
		Key:  rapid.SampledFrom([]string{"", "", "k1", "k2"}).Draw(rt, "key"),
	}
	if rapid.IntRange(0, 3).Draw(rt, "later") == 0 {
		a.Start = h.w.now.Add(time.Duration(rapid.IntRange(0, 48).Draw(rt, "start")) * time.Hour)
	}
	who := rapid.SampledFrom([]string{"ana", "bob", "dora", "etl"}).Draw(rt, "who")
	if g, ok := h.pickGrant(rt); ok && rapid.IntRange(0, 2).Draw(rt, "extend") == 0 {
		a.Extends, a.Rule, who = g.ID, g.Rule, g.Subject
	}
	var wg sync.WaitGroup
	for range rapid.IntRange(1, 2).Draw(rt, "at once") {
		wg.Go(func() {
			_, err := h.w.desk.Request(context.Background(), h.w.as(who), a)
			harmless(rt, err)
		})
	}
	wg.Wait()
}

func (h *history) pickGrant(rt *rapid.T) (access.Grant, bool) {
	return pick(rt, h.grants, "grant")
}

func pick[V any](rt *rapid.T, m map[string]V, what string) (V, bool) {
	var ids []string
	for i := range 10_000 {
		id := fmt.Sprintf("id%05d", i)
		if _, ok := m[id]; ok {
			ids = append(ids, id)
		}
		if len(ids) == len(m) {
			break
		}
	}
	if len(ids) == 0 {
		var none V
		return none, false
	}
	return m[rapid.SampledFrom(ids).Draw(rt, what)], true
}

func (h *history) answer(rt *rapid.T) {
	r, ok := pick(rt, h.requests, "request")
	if !ok {
		return
	}
	var wg sync.WaitGroup
	for i := range rapid.IntRange(1, 3).Draw(rt, "approvers") {
		who := rapid.SampledFrom(people).Draw(rt, fmt.Sprint("approver", i))
		no := rapid.IntRange(0, 7).Draw(rt, "denies") == 0
		wg.Go(func() {
			var err error
			switch {
			case no && who == r.Subject:
				_, err = h.w.desk.Withdraw(context.Background(), h.w.as(who), r.ID)
			case no:
				_, err = h.w.desk.Deny(context.Background(), h.w.as(who), r.ID, "")
			default:
				_, err = h.w.desk.Approve(context.Background(), h.w.as(who), r.ID, "")
			}
			harmless(rt, err)
		})
	}
	wg.Wait()
}

func (h *history) end(rt *rapid.T) {
	g, ok := h.pickGrant(rt)
	if !ok {
		return
	}
	who := h.w.as(rapid.SampledFrom(people).Draw(rt, "who"))
	var err error
	switch rapid.IntRange(0, 2).Draw(rt, "how") {
	case 0:
		_, err = h.w.desk.Revoke(context.Background(), who, g.ID, "")
	case 1:
		_, err = h.w.desk.Suspend(context.Background(), who, g.ID, "")
	default:
		_, err = h.w.desk.Resume(context.Background(), who, g.ID, "")
	}
	harmless(rt, err)
}

func (h *history) time(rt *rapid.T) {
	h.swept = false
	h.w.mu.Lock()
	h.w.now = h.w.now.Add(time.Duration(rapid.IntRange(-10, 60).Draw(rt, "hours")) * time.Hour)
	h.w.mu.Unlock()
	var wg sync.WaitGroup
	for range 2 { // two schedulers do no harm
		wg.Go(func() {
			if err := h.w.desk.Tick(context.Background()); err != nil {
				rt.Fatalf("tick: %v", err)
			}
		})
	}
	wg.Wait()
	h.swept = true
}

func (h *history) policy(rt *rapid.T) {
	r := h.w.p.Rule(rapid.SampledFrom(askables).Draw(rt, "rule"))
	r.Enabled = !r.Enabled
	if err := h.w.desk.Recheck(context.Background()); err != nil {
		rt.Fatalf("recheck: %v", err)
	}
}

// check is what must hold after every step.
func (h *history) check(rt *rapid.T) {
	ctx := context.Background()
	requests, err := h.w.db.Requests(ctx, access.Filter{})
	if err != nil {
		rt.Fatal(err)
	}
	grants, err := h.w.db.Grants(ctx, access.Filter{})
	if err != nil {
		rt.Fatal(err)
	}
	events, err := h.w.db.Events(ctx, 1<<20)
	if err != nil {
		rt.Fatal(err)
	}
	told := map[string]int{} // kind and record -> events
	for _, e := range events {
		told[e.Kind+" "+e.Request]++
		told[e.Kind+" of "+e.Grant]++
	}
	h.checkReviews(rt, events, grants)
	byID := map[string]access.Request{}
	for _, r := range requests {
		old, seen := h.requests[r.ID]
		if seen && old.State != access.Pending && (old.State != r.State || old.Version != r.Version) {
			rt.Fatalf("request %s was %s, and is %s", r.ID, old.State, r.State)
		}
		byID[r.ID], h.requests[r.ID] = r, r
		yes := 0
		for _, d := range r.Decisions {
			if d.Verdict == "approve" {
				yes++
			}
		}
		if n := told["request.approved "+r.ID]; n != yes {
			rt.Fatalf("request %s has %d approvals and %d events of one", r.ID, yes, n)
		}
	}
	live, made := map[string]string{}, map[string]string{}
	now := h.w.desk.Now()
	for _, g := range grants {
		h.checkGrant(rt, g, byID, now)
		if n := told["grant.prepared of "+g.ID]; n != 1 {
			rt.Fatalf("grant %s was made %d times", g.ID, n)
		}
		over := told["grant.ended of "+g.ID] + told["grant.revoked of "+g.ID]
		if g.Live() && over != 0 || !g.Live() && over != 1 {
			rt.Fatalf("grant %s is %s and ended %d times", g.ID, g.State, over)
		}
		if h.swept && g.Live() && !now.Before(g.End) {
			rt.Fatalf("grant %s is %s at %s and ended at %s", g.ID, g.State, now, g.End)
		}
		if g.Live() {
			if other := live[g.Subject+g.Rule]; other != "" {
				rt.Fatalf("%s holds %s twice: %s and %s", g.Subject, g.Rule, other, g.ID)
			}
			live[g.Subject+g.Rule] = g.ID
		}
		if other := made[g.Request]; other != "" {
			rt.Fatalf("request %s made %s and %s", g.Request, other, g.ID)
		}
		made[g.Request] = g.ID
		h.grants[g.ID] = g
	}
	h.swept = false // what is asked next may have ended already, until the scheduler runs again
}

func (h *history) checkGrant(rt *rapid.T, g access.Grant, requests map[string]access.Request, now time.Time) {
	if old, seen := h.grants[g.ID]; seen && !old.Live() && (g.Live() || g.State != old.State || !g.End.Equal(old.End)) {
		rt.Fatalf("grant %s was %s until %s, and is %s until %s", g.ID, old.State, old.End, g.State, g.End)
	}
	made, ok := requests[g.Request]
	if !ok || made.State != access.Approved || made.Subject != g.Subject || made.Rule != g.Rule {
		rt.Fatalf("grant %s was made by %+v", g.ID, made)
	}
	for _, r := range requests {
		if r.Grant == g.ID {
			approvals(rt, r)
		}
	}
}

// approvals counts, in another way than the code under test, what a request that was granted had to have.
func approvals(rt *rapid.T, r access.Request) {
	office, legal := map[string]bool{}, map[string]bool{}
	all := map[string]bool{}
	for _, d := range r.Decisions {
		if d.Verdict != "approve" {
			continue
		}
		if d.By == r.Subject || all[d.By] || r.Subject == "etl" && d.By == "dora" || d.By == "etl" {
			rt.Fatalf("request %s of %s was approved by %s", r.ID, r.Subject, d.By)
		}
		all[d.By] = true
		office[d.By] = d.By == "dora" || d.By == "emil" || d.By == "finn"
		legal[d.By] = d.By == "finn" || d.By == "gina"
	}
	n, both := 0, 0
	for who := range all {
		if office[who] {
			n++
		}
		if legal[who] {
			both++
		}
	}
	enough := map[string]bool{
		"any": n >= 1, "two": n >= 2, "each": n >= 1 && both >= 1 && len(all) >= 2, "steps": n >= 1, "self": true, "unused": true,
	}
	if !enough[r.Rule] {
		rt.Fatalf("request %s for %s was granted with %+v", r.ID, r.Rule, r.Decisions)
	}
}
