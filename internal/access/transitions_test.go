package access_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/policy"
)

// step is one line of the table of states: what was, what happened, what is, and whom it was told.
type step struct {
	name  string
	play  func(w *world) (request, grant string) // brings it about, and says which of them it is about
	state access.State                           // of the grant if there is one, else of the request
	event string
	told  string // the kind of notice
	whom  []string
}

// pending is a request that waits, of ana by a rule.
func (w *world) pending(rule string) string { return w.ask("ana", access.Ask{Rule: rule}).Request.ID }

// taken is a grant of ana's by self-service.
func (w *world) taken(long string) string {
	return w.ask("ana", access.Ask{Rule: "self", For: span(long)}).Grant.ID
}

// scheduled is a grant of ana's that begins in an hour, approved by emil.
func (w *world) scheduled() string {
	return w.approve("emil", w.ask("ana", access.Ask{Rule: "any", Start: start.Add(time.Hour)}).Request.ID).Grant.ID
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) recheck() { w.t.Helper(); w.must(w.desk.Recheck(context.Background())) }

// built says of every grant that servers show it, or that they cannot.
func (w *world) built(ok bool) {
	w.t.Helper()
	live, err := w.db.Grants(context.Background(), access.Filter{Open: true})
	w.must(err)
	why := map[bool]string{false: "the server is away"}[ok]
	w.must(w.desk.Built(context.Background(), live, func(*access.Grant) (bool, string) { return ok, why }, func(*access.Grant) bool { return true }))
}

var office = []string{"dora", "emil", "finn"} // owners, and approvers of most

// ofRequests are the lines of the table that are about a request.
func ofRequests(ctx context.Context) []step {
	return []step{
		{"submit", func(w *world) (string, string) { return w.pending("any"), "" }, access.Pending, "request.submitted", "request.new", office},
		{"submit: receipt", func(w *world) (string, string) { return w.pending("any"), "" }, access.Pending, "request.submitted", "request.sent", []string{"ana"}},
		{"take", func(w *world) (string, string) { id := w.taken("8h"); w.built(true); return "", id }, access.Active, "grant.active", "grant.active", append([]string{"ana"}, office...)},
		{"approve, not the last", func(w *world) (string, string) { id := w.pending("steps"); w.approve("hugo", id); return id, "" }, access.Pending, "request.approved", "request.new", append([]string{"hugo"}, office...)},
		{"approve, the last", func(w *world) (string, string) { return "", w.approve("dora", w.pending("any")).Grant.ID }, access.Active, "request.approved", "request.approved", []string{"ana"}},
		{"approve, the last, for later", func(w *world) (string, string) { return "", w.scheduled() }, access.Scheduled, "request.approved", "request.approved", []string{"ana"}},
		{"deny", func(w *world) (string, string) {
			id := w.pending("any")
			_, err := w.desk.Deny(ctx, w.as("dora"), id, "no")
			w.must(err)
			return id, ""
		}, access.Denied, "request.denied", "request.denied", append([]string{"ana"}, office...)},
		{"withdraw", func(w *world) (string, string) {
			id := w.pending("any")
			_, err := w.desk.Withdraw(ctx, w.as("ana"), id)
			w.must(err)
			return id, ""
		}, access.Withdrawn, "request.withdrawn", "", nil},
		{"time out", func(w *world) (string, string) { id := w.pending("any"); w.pass(7 * 24 * time.Hour); return id, "" }, access.Expired, "request.expired", "request.expired", append([]string{"ana"}, office...)},
		{"the rule changed", func(w *world) (string, string) {
			id := w.pending("any")
			w.p.Rule("any").Request.Max = span("1h")
			w.recheck()
			return id, ""
		}, access.Superseded, "request.superseded", "request.superseded", []string{"ana"}},
	}
}

// ofGrants are the lines that are about a grant.
func ofGrants(ctx context.Context) []step {
	return []step{
		{"start", func(w *world) (string, string) { id := w.scheduled(); w.pass(time.Hour); return "", id }, access.Active, "grant.started", "", nil},
		{"provisioning failed", func(w *world) (string, string) {
			id := w.taken("10d")
			w.built(false)
			w.pass(24 * time.Hour)
			w.built(false)
			return "", id
		}, access.Failed, "grant.failed", "grant.failed", append([]string{"ana", "root"}, office...)},
		{"end", func(w *world) (string, string) { id := w.taken("8h"); w.pass(8 * time.Hour); return "", id }, access.Ended, "grant.ended", "grant.ended", []string{"ana"}},
		{"unused", func(w *world) (string, string) {
			id := w.ask("ana", access.Ask{Rule: "unused", For: span("30d")}).Grant.ID
			w.pass(10 * 24 * time.Hour)
			return "", id
		}, access.Revoked, "grant.revoked", "grant.revoked", append([]string{"ana"}, office...)},
		{"revoke", func(w *world) (string, string) {
			id := w.taken("8h")
			_, err := w.desk.Revoke(ctx, w.as("dora"), id, "enough")
			w.must(err)
			return "", id
		}, access.Revoked, "grant.revoked", "grant.revoked", []string{"ana"}},
		{"revoke before the start", func(w *world) (string, string) {
			id := w.scheduled()
			_, err := w.desk.Revoke(ctx, w.as("dora"), id, "enough")
			w.must(err)
			w.pass(2 * time.Hour)
			return "", id
		}, access.Revoked, "grant.revoked", "grant.revoked", []string{"ana"}},
		{"deactivated before the start", func(w *world) (string, string) {
			id := w.scheduled()
			delete(w.p.Users, "ana")
			w.pass(2 * time.Hour)
			return "", id
		}, access.Revoked, "grant.revoked", "grant.revoked", []string{"ana"}},
		{"suspend the grant", func(w *world) (string, string) {
			id := w.taken("8h")
			_, err := w.desk.Suspend(ctx, w.as("dora"), id, "look")
			w.must(err)
			return "", id
		}, access.Suspended, "grant.suspended", "grant.suspended", []string{"ana"}},
		{"suspend the rule", func(w *world) (string, string) {
			id := w.taken("8h")
			w.p.Rule("self").Enabled = false
			w.recheck()
			return "", id
		}, access.Suspended, "grant.suspended", "grant.suspended", []string{"ana"}},
		{"resume", func(w *world) (string, string) {
			id := w.taken("8h")
			_, err := w.desk.Suspend(ctx, w.as("dora"), id, "look")
			w.must(err)
			_, err = w.desk.Resume(ctx, w.as("dora"), id, "")
			w.must(err)
			return "", id
		}, access.Active, "grant.resumed", "grant.resumed", []string{"ana"}},
		{"suspended until after its end", func(w *world) (string, string) {
			id := w.taken("8h")
			_, err := w.desk.Suspend(ctx, w.as("dora"), id, "look")
			w.must(err)
			w.pass(8 * time.Hour)
			_, err = w.desk.Resume(ctx, w.as("dora"), id, "")
			refused(w.t, access.CodeFinal, err)
			return "", id
		}, access.Ended, "grant.ended", "grant.ended", []string{"ana"}},
		{"lost the group", func(w *world) (string, string) {
			id := w.taken("8h")
			w.p.Groups["askers"].Members = []string{"bob"}
			w.recheck()
			return "", id
		}, access.Revoked, "grant.revoked", "grant.revoked", []string{"ana"}},
		{"lost the group while suspended", func(w *world) (string, string) {
			id := w.taken("8h")
			_, err := w.desk.Suspend(ctx, w.as("dora"), id, "look")
			w.must(err)
			w.p.Groups["askers"].Members = []string{"bob"}
			w.recheck()
			return "", id
		}, access.Revoked, "grant.revoked", "grant.revoked", []string{"ana"}},
		{"extend", func(w *world) (string, string) {
			g := w.approve("dora", w.pending("any")).Grant
			w.pass(7 * time.Hour)
			r := w.ask("ana", access.Ask{Rule: "any", Extends: g.ID}).Request
			if got := w.grant(g.ID); r.State != access.Pending || !got.End.Equal(g.End) {
				w.t.Errorf("extended without approval: %+v", got)
			}
			if out := w.approve("emil", r.ID); out.Grant.ID != g.ID || !out.Grant.End.Equal(g.End.Add(8*time.Hour)) || out.Grant.State != access.Active {
				w.t.Errorf("extended to %+v", out.Grant)
			}
			return "", g.ID
		}, access.Active, "grant.extended", "request.approved", []string{"ana", "ana"}},
	}
}

// Every line of the table of states is played: the state it comes to, its event, and whom it is told.
func TestTransitions(t *testing.T) {
	t.Parallel()
	for _, s := range append(ofRequests(t.Context()), ofGrants(t.Context())...) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			request, grant := s.play(w)
			state := access.State("")
			if grant != "" {
				state = w.grant(grant).State
			} else {
				state = w.request(request).State
			}
			if state != s.state {
				t.Errorf("it is %s, want %s", state, s.state)
			}
			if n := w.count(s.event); n == 0 {
				t.Errorf("there is no event %s", s.event)
			}
			if s.told == "" {
				return
			}
			var whom []string
			got, err := w.db.ClaimNotices(t.Context(), "x", w.desk.Now(), time.Minute, 100)
			w.must(err)
			for _, d := range got {
				if d.Kind == s.told {
					whom = append(whom, d.To)
				}
			}
			want := slices.Sorted(slices.Values(s.whom))
			if slices.Sort(whom); s.told == "request.new" && s.name == "approve, not the last" {
				whom = slices.Compact(whom)
			}
			if !slices.Equal(whom, want) {
				t.Errorf("%s told %q, want %q", s.told, whom, want)
			}
		})
	}
}

// Final states are final: nothing that anybody does, and no time, changes them (ACC-27).
func TestFinalIsFinal(t *testing.T) {
	t.Parallel()
	for _, s := range append(ofRequests(t.Context()), ofGrants(t.Context())...) {
		if slices.Contains([]access.State{access.Pending, access.Active, access.Scheduled, access.Suspended}, s.state) {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			w, ctx := newWorld(t), t.Context()
			request, grant := s.play(w)
			for _, who := range []string{"ana", "dora", "emil"} {
				if request != "" {
					_, err := w.desk.Approve(ctx, w.as(who), request, "yes")
					_, err2 := w.desk.Withdraw(ctx, w.as(who), request)
					if err == nil || err2 == nil && s.state != access.Withdrawn {
						t.Errorf("%s: approve %v, withdraw %v", who, err, err2)
					}
					continue
				}
				_, err := w.desk.Resume(ctx, w.as(who), grant, "")
				_, err2 := w.desk.Suspend(ctx, w.as(who), grant, "")
				if err == nil || err2 == nil {
					t.Errorf("%s: resume %v, suspend %v", who, err, err2)
				}
			}
			w.mu.Lock()
			w.now = w.now.Add(-30 * 24 * time.Hour) // a clock that jumps back revives nothing (ACC-15)
			w.mu.Unlock()
			w.restart()
			w.recheck()
			w.pass(0)
			w.pass(400 * 24 * time.Hour)
			if request != "" && w.request(request).State != s.state || grant != "" && w.grant(grant).State != s.state {
				t.Error("it is something else now")
			}
			if grant != "" {
				g := w.grant(grant)
				if g.Holds(start) || g.Holds(w.desk.Now()) {
					t.Errorf("it is held: %+v", g)
				}
			}
		})
	}
}

// A second factor of a moment ago is demanded of whom the rule says, by whichever way they come; to say no it takes none (ACC-21).
func TestFactorDemanded(t *testing.T) {
	t.Parallel()
	for demand, of := range map[policy.Demand][2]bool{policy.NoteNone: {}, policy.NoteRequester: {true, false}, policy.NoteApprover: {false, true}, policy.NoteBoth: {true, true}} {
		w, ctx := newWorld(t), t.Context()
		w.p.Rule("any").Request.Factor = demand
		with := func(name string, age time.Duration) access.Actor {
			who := w.as(name)
			who.Factor = w.now.Add(-age)
			return who
		}
		for _, who := range []access.Actor{w.as("ana"), with("ana", 6*time.Minute)} {
			if _, err := w.desk.Request(ctx, who, access.Ask{Rule: "any"}); of[0] {
				refused(t, access.CodeFactor, err)
			} else if _, err2 := w.desk.Withdraw(ctx, who, w.open()); err != nil || err2 != nil {
				t.Errorf("%s: %v, %v", demand, err, err2)
			}
		}
		out, err := w.desk.Request(ctx, with("ana", time.Minute), access.Ask{Rule: "any"})
		w.must(err)
		if of[1] {
			for _, who := range []access.Actor{w.as("dora"), with("dora", 6*time.Minute)} {
				_, err := w.desk.Approve(ctx, who, out.Request.ID, "")
				refused(t, access.CodeFactor, err)
			}
		} else if _, err := w.desk.Approve(ctx, w.as("dora"), out.Request.ID, ""); err != nil {
			t.Errorf("%s: %v", demand, err)
		}
		if out, err := w.desk.Approve(ctx, with("dora", time.Minute), out.Request.ID, ""); err != nil || out.Grant == nil {
			t.Errorf("%s: with a factor: %+v, %v", demand, out, err)
		}
		next, err := w.desk.Request(ctx, with("bob", time.Minute), access.Ask{Rule: "any"})
		w.must(err)
		if out, err := w.desk.Deny(ctx, w.as("dora"), next.Request.ID, ""); err != nil || out.Request.State != access.Denied {
			t.Errorf("%s: no without a factor: %+v, %v", demand, out, err)
		}
	}
}

// Letting somebody stand in takes what deciding takes: a fresh factor of whoever decides by a rule that wants one, at whatever step and
// in whatever way, and of nobody else. Both are told.
func TestFactorOfWhoIsAway(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		rule, who string
		demand    policy.Demand
		wants     bool
	}{
		"by group":           {"any", "dora", policy.NoteApprover, true},
		"by the second step": {"steps", "emil", policy.NoteBoth, true},
		"as manager":         {"steps", "hugo", policy.NoteApprover, true},
		"of who asks alone":  {"any", "dora", policy.NoteRequester, false},
		"none":               {"any", "dora", policy.NoteNone, false},
		"decides on others":  {"any", "gina", policy.NoteApprover, false},
		"as owner":           {"owned", "finn", policy.NoteApprover, true},
		"no owner":           {"owned", "gina", policy.NoteApprover, false},
	} {
		w, ctx := newWorld(t), t.Context()
		if tt.rule == "owned" {
			w.p.Rule("orphan").Request.Approvers[0].Names = []string{policy.ApproverOwners}
			tt.rule = "orphan"
		}
		w.p.Rule(tt.rule).Request.Factor = tt.demand
		who, until := w.as(tt.who), start.Add(time.Hour)
		_, err := w.desk.Delegate(ctx, who, "bob", until)
		if !tt.wants {
			if err != nil || w.count("approver.delegated") != 1 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		refused(t, access.CodeFactor, err)
		who.Factor = w.now.Add(-6 * time.Minute)
		_, err = w.desk.Delegate(ctx, who, "bob", until)
		refused(t, access.CodeFactor, err)
		if left, err := w.db.Delegations(ctx, w.now); err != nil || len(left) != 0 || w.count("request.decision_refused") != 2 {
			t.Errorf("%s: refused, and there is %v, %v", name, left, err)
		}
		who.Factor = w.now.Add(-time.Minute)
		if _, err = w.desk.Delegate(ctx, who, "bob", until); err != nil || w.count("approver.delegated") != 1 {
			t.Errorf("%s: with a factor: %v", name, err)
		}
		w.wants(name, w.notices("approver.delegated"), []string{"approver.delegated bob", "approver.delegated " + tt.who})
	}
}

// open is the only request that waits.
func (w *world) open() string {
	w.t.Helper()
	found, err := w.db.Requests(context.Background(), access.Filter{Open: true})
	if err != nil || len(found) != 1 {
		w.t.Fatalf("%v, %v", found, err)
	}
	return found[0].ID
}

// Who never decides: a service account, whatever group it is in; a manager for themselves; somebody on their own emergency (ACC-11, 19).
func TestWhoNeverDecides(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	w.p.Groups["office"].Members = append(w.p.Groups["office"].Members, "etl")
	id := w.pending("any")
	_, err := w.desk.Approve(ctx, w.as("etl"), id, "")
	refused(t, access.CodeNotApprover, err)
	_, err = w.desk.Delegate(ctx, w.as("dora"), "etl", start.Add(time.Hour))
	refused(t, access.CodeNotApprover, err)
	if out := w.approve("dora", id); out.Grant == nil {
		t.Error("a person of the same group does not do")
	}
	notices, err := w.db.ClaimNotices(ctx, "x", w.desk.Now(), time.Minute, 100)
	w.must(err)
	for _, n := range notices {
		if n.To == "etl" {
			t.Errorf("a program is told: %+v", n)
		}
	}
	w.p.Users["ana"].Attributes["manager"] = "ana"
	_, err = w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: "steps"})
	refused(t, access.CodeNobody, err)
	w.p.Groups["oncall"].Members = []string{"dora"} // who owns the dataset as well
	dora := w.as("dora")
	dora.Factor = w.now
	out, err := w.desk.Request(ctx, dora, access.Ask{Rule: "two", Break: true, Note: "fire"})
	w.must(err)
	_, err = w.desk.Confirm(ctx, dora, out.Grant.ID, "")
	if err == nil {
		t.Error("dora reviews herself")
	}
	if g, err := w.desk.Confirm(ctx, w.as("emil"), out.Grant.ID, ""); err != nil || g.Reviewer != "emil" {
		t.Errorf("emil: %+v, %v", g, err)
	}
}

// Of an approval given in somebody's place both have to be there when the grant begins (ACC-22).
func TestDeputiesOfWhoLeft(t *testing.T) {
	t.Parallel()
	for _, gone := range []string{"", "emil", "hugo"} {
		w := newWorld(t)
		_, err := w.desk.Delegate(t.Context(), w.as("emil"), "hugo", start.Add(24*time.Hour))
		w.must(err)
		g := w.approve("hugo", w.ask("ana", access.Ask{Rule: "any", Start: start.Add(time.Hour)}).Request.ID).Grant
		delete(w.p.Users, gone)
		w.pass(time.Hour)
		want := map[bool]access.State{true: access.Active, false: access.Revoked}[gone == ""]
		if got := w.grant(g.ID); got.State != want {
			t.Errorf("without %q it is %s, want %s", gone, got.State, want)
		}
	}
}
