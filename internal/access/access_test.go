package access_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/state"
)

var start = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// world is a desk over a real store, with a clock that tests set.
type world struct {
	t     testing.TB
	path  string
	db    *state.DB
	desk  *access.Desk
	mu    sync.Mutex
	now   time.Time
	p     *policy.Policy
	ids   int
	close func()
}

func span(text string) policy.Span {
	s, err := policy.ParseSpan(text)
	if err != nil {
		panic(err)
	}
	return s
}

// rules of the test's policy: what each can be asked for by, and who approves.
func testPolicy() *policy.Policy {
	user := func(name string) *policy.User { return &policy.User{Name: name, Attributes: map[string]string{}} }
	p := &policy.Policy{
		Stores: map[string]*policy.Store{"shop": {Name: "shop"}}, Digest: "d",
		Users: map[string]*policy.User{}, Groups: map[string]*policy.Group{
			"askers": {Name: "askers", Members: []string{"ana", "bob", "etl", "dora"}}, "office": {Name: "office", Members: []string{"dora", "emil", "finn"}},
			"legal": {Name: "legal", Members: []string{"finn", "gina"}}, "oncall": {Name: "oncall", Members: []string{"bob"}},
		},
		Datasets: map[string]*policy.Dataset{"staff": {Name: "staff", Owners: []string{"group:office"}, Include: []policy.TablePattern{{Store: "shop"}}}},
		Purposes: []string{"audit"}, BreakGlass: &policy.BreakGlass{Groups: []string{"oncall"}, Max: span("1h")},
	}
	for _, name := range []string{"ana", "bob", "dora", "emil", "finn", "gina", "hugo"} {
		p.Users[name] = user(name)
	}
	p.Users["ana"].Attributes["manager"] = "hugo"
	p.Users["etl"] = &policy.User{Name: "etl", Owner: "dora"}
	add := func(name string, kind policy.RequestKind, steps ...policy.Step) *policy.Request {
		q := &policy.Request{Kind: kind, Max: span("30d"), Default: span("8h"), Expires: span("7d"), Note: policy.NoteNone, Approvers: steps}
		p.Rules = append(p.Rules, &policy.Rule{Name: name, To: []string{"group:askers"}, On: "staff", Level: policy.Read, Enabled: true, Request: q, Order: len(p.Rules)})
		return q
	}
	office := []string{"group:office"}
	add("any", policy.OnRequest, policy.Step{Names: office, Min: 1})
	add("two", policy.OnRequest, policy.Step{Names: office, Min: 2})
	add("each", policy.OnRequest, policy.Step{Names: []string{"group:office", "group:legal"}, Each: true})
	add("steps", policy.OnRequest, policy.Step{Names: []string{"manager"}, Min: 1, SkipAfter: 4 * time.Hour}, policy.Step{Names: office, Min: 1})
	add("self", policy.SelfService)
	add("unused", policy.SelfService).Unused = 10
	q := add("formal", policy.OnRequest, policy.Step{Names: office, Min: 1})
	q.Note, q.Purpose = policy.NoteBoth, true
	add("orphan", policy.OnRequest, policy.Step{Names: []string{"group:nobody"}, Min: 1})
	return p
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "state.db"), now: start, p: testPolicy()}
	w.restart()
	t.Cleanup(func() { w.close() })
	return w
}

// restart opens the store anew, with a desk that remembers nothing.
func (w *world) restart() {
	if w.close != nil {
		w.close()
	}
	db, err := state.Open(context.Background(), w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.db, w.close = db, func() { _ = db.Close() }
	w.desk = access.NewDesk(access.Config{
		Store: db, Policy: func() *policy.Policy { return w.p },
		Now:    func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
		NewID:  func() string { w.mu.Lock(); defer w.mu.Unlock(); w.ids++; return fmt.Sprintf("id%05d", w.ids) },
		Admins: func(context.Context) ([]string, error) { return []string{"dora", "root"}, nil },
		Redact: redacted,
	})
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	w.now = w.now.Add(d)
	w.mu.Unlock()
	if err := w.desk.Tick(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) as(name string) access.Actor {
	s, ok := w.p.Subject(name)
	if !ok {
		s = policy.Subject{Name: name}
	}
	return access.Actor{Subject: s, Channel: "cli"}
}

func (w *world) ask(who string, a access.Ask) *access.Outcome {
	w.t.Helper()
	out, err := w.desk.Request(context.Background(), w.as(who), a)
	if err != nil {
		w.t.Fatalf("%s asks for %s: %v", who, a.Rule, err)
	}
	return out
}

func (w *world) approve(who, id string) *access.Outcome {
	w.t.Helper()
	out, err := w.desk.Approve(context.Background(), w.as(who), id, "")
	if err != nil {
		w.t.Fatalf("%s approves: %v", who, err)
	}
	return out
}

func (w *world) grant(id string) access.Grant {
	w.t.Helper()
	found, err := w.db.Grants(context.Background(), access.Filter{IDs: []string{id}})
	if err != nil || len(found) != 1 {
		w.t.Fatalf("grant %s: %v, %v", id, found, err)
	}
	return found[0]
}

func (w *world) request(id string) access.Request {
	w.t.Helper()
	found, err := w.db.Requests(context.Background(), access.Filter{IDs: []string{id}})
	if err != nil || len(found) != 1 {
		w.t.Fatalf("request %s: %v, %v", id, found, err)
	}
	return found[0]
}

// refused wants a refusal with a code.
func refused(t testing.TB, code string, err error) {
	t.Helper()
	var no *access.Refusal
	if !errors.As(err, &no) || no.Code != code {
		t.Errorf("got %v, want a refusal %s", err, code)
	}
}

func TestRequestApproveEnd(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	r := w.ask("ana", access.Ask{Rule: "any", For: span("2h")}).Request
	if r.State != access.Pending {
		t.Fatalf("the request is %s", r.State)
	}
	_, err := w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: "any"})
	refused(t, access.CodeHeld, err)
	_, err = w.desk.Approve(ctx, w.as("hugo"), r.ID, "")
	refused(t, access.CodeNotApprover, err)
	out := w.approve("dora", r.ID)
	g := *out.Grant
	if g.State != access.Active || !g.End.Equal(start.Add(2*time.Hour)) || g.Wall != access.WallPending {
		t.Fatalf("the grant is %+v", g)
	}
	if again := w.approve("dora", r.ID); again.Grant == nil || again.Grant.ID != g.ID {
		t.Errorf("a second click found %+v", again)
	}
	w.pass(2*time.Hour - time.Second)
	if got := w.grant(g.ID); !got.Holds(w.desk.Now()) {
		t.Errorf("a second before its end it is %+v", got)
	}
	w.pass(time.Second)
	if got := w.grant(g.ID); got.State != access.Ended || got.Cause != access.ByTime || got.Wall != access.WallRemoving {
		t.Errorf("at its end it is %+v", got)
	}
	_, err = w.desk.Revoke(ctx, w.as("dora"), g.ID, "")
	refused(t, access.CodeFinal, err)
	w.ask("ana", access.Ask{Rule: "any"})
}

func TestNobodyApprovesTheirOwn(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	own := w.ask("dora", access.Ask{Rule: "any"}).Request
	_, err := w.desk.Approve(ctx, w.as("dora"), own.ID, "")
	refused(t, access.CodeSelf, err)
	// Nor through a service account that one answers for, nor through somebody who stands in.
	machine := w.ask("etl", access.Ask{Rule: "any"}).Request
	_, err = w.desk.Approve(ctx, w.as("dora"), machine.ID, "")
	refused(t, access.CodeSelf, err)
	if _, err := w.desk.Delegate(ctx, w.as("dora"), "hugo", start.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, err = w.desk.Approve(ctx, w.as("hugo"), own.ID, "")
	refused(t, access.CodeNotApprover, err)
	// What dora may decide on, hugo may for her, once.
	other := w.ask("ana", access.Ask{Rule: "two"}).Request
	w.approve("hugo", other.ID)
	_, err = w.desk.Approve(ctx, w.as("dora"), other.ID, "")
	refused(t, access.CodeTwice, err)
	if out := w.approve("emil", other.ID); out.Grant == nil {
		t.Error("two people in two names did not do")
	}
	w.pass(25 * time.Hour)
	_, err = w.desk.Approve(ctx, w.as("hugo"), w.ask("bob", access.Ask{Rule: "any"}).Request.ID, "")
	refused(t, access.CodeNotApprover, err)
}

func TestShapesOfApproval(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	// finn sits in both groups and fills one place; who came first does not matter.
	r := w.ask("ana", access.Ask{Rule: "each"}).Request
	if out := w.approve("finn", r.ID); out.Grant != nil {
		t.Fatal("one person filled two places")
	}
	if out := w.approve("dora", r.ID); out.Grant == nil {
		t.Fatal("finn for legal and dora for the office did not do")
	}
	r = w.ask("ana", access.Ask{Rule: "steps"}).Request
	_, err := w.desk.Approve(ctx, w.as("dora"), r.ID, "")
	refused(t, access.CodeNotApprover, err)
	w.pass(4 * time.Hour)
	got := w.request(r.ID)
	if got.Step != 1 || len(got.Decisions) != 1 || got.Decisions[0].Verdict != "skip" {
		t.Fatalf("the step was not skipped: %+v", got)
	}
	if out := w.approve("dora", r.ID); out.Grant == nil {
		t.Error("the last step did not do")
	}
	_, err = w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: "orphan"})
	refused(t, access.CodeNobody, err)
	// bob has no manager, so that nobody could decide on the first step.
	_, err = w.desk.Request(ctx, w.as("bob"), access.Ask{Rule: "steps"})
	refused(t, access.CodeNobody, err)
}

func TestApproversWhoLeave(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	r := w.ask("ana", access.Ask{Rule: "two"}).Request
	w.approve("emil", r.ID)
	w.p.Groups["office"].Members = []string{"dora", "finn"} // emil's decision stays
	_, err := w.desk.Approve(ctx, w.as("emil"), w.ask("bob", access.Ask{Rule: "two"}).Request.ID, "")
	refused(t, access.CodeNotApprover, err)
	if out := w.approve("dora", r.ID); out.Grant == nil {
		t.Error("the decision of somebody who lost the role did not stay")
	}
	w = newWorld(t)
	r = w.ask("ana", access.Ask{Rule: "two"}).Request
	w.approve("emil", r.ID)
	delete(w.p.Users, "emil") // who is deactivated before it is active does not count
	if out := w.approve("dora", r.ID); out.Grant != nil {
		t.Error("the decision of somebody who was deactivated counted")
	}
	if out := w.approve("finn", r.ID); out.Grant == nil {
		t.Error("two who are there did not do")
	}
	w = newWorld(t)
	r = w.ask("ana", access.Ask{Rule: "any", Start: start.Add(time.Hour)}).Request
	g := w.approve("emil", r.ID).Grant
	if g.State != access.Scheduled || !g.End.Equal(start.Add(9*time.Hour)) {
		t.Fatalf("a later start came to %+v", g)
	}
	delete(w.p.Users, "emil")
	w.pass(time.Hour)
	if got := w.grant(g.ID); got.State != access.Revoked || got.Cause != access.ByApprover {
		t.Errorf("the grant is %+v", got)
	}
}

// A request for which nobody is left who could approve it does not wait: the owners hear of it, and who asked can ask again. As long
// as somebody is left, or the step can be skipped, it waits.
func TestNobodyIsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two, steps := w.ask("ana", access.Ask{Rule: "any"}).Request, w.ask("ana", access.Ask{Rule: "two"}).Request, w.ask("ana", access.Ask{Rule: "steps"}).Request
	w.approve("emil", two.ID)
	for _, name := range []string{"hugo", "finn"} {
		delete(w.p.Users, name)
	}
	w.recheck()
	for _, id := range []string{one.ID, two.ID, steps.ID} {
		if got := w.request(id); got.State != access.Pending {
			t.Errorf("rule %s, and somebody is left: %s", got.Rule, got.State)
		}
	}
	delete(w.p.Users, "emil") // with him goes his decision: dora alone is not two
	w.recheck()
	if got := w.request(two.ID); got.State != access.Superseded {
		t.Errorf("two, and one is left: %s", got.State)
	}
	if got := w.request(one.ID); got.State != access.Pending {
		t.Errorf("any, and dora is left: %s", got.State)
	}
	delete(w.p.Users, "dora")
	w.recheck()
	for _, id := range []string{one.ID, steps.ID} {
		if got := w.request(id); got.State != access.Superseded {
			t.Errorf("rule %s, and nobody is left: %s", got.Rule, got.State)
		}
	}
}

func TestRequestsAreChecked(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	long := make([]rune, 1001)
	for i := range long {
		long[i] = 'ä'
	}
	tests := map[string]struct {
		who  string
		ask  access.Ask
		code string
	}{
		"a stranger":           {"hugo", access.Ask{Rule: "any"}, access.CodeNoRule},
		"no such rule":         {"ana", access.Ask{Rule: "none"}, access.CodeNoRule},
		"beyond the maximum":   {"ana", access.Ask{Rule: "any", For: span("31d")}, access.CodeTooLong},
		"for ever":             {"ana", access.Ask{Rule: "any", For: span("never")}, access.CodeTooLong},
		"a length and an end":  {"ana", access.Ask{Rule: "any", Until: start.Add(time.Hour), For: span("1h")}, access.CodeTime},
		"an end in the past":   {"ana", access.Ask{Rule: "any", Until: start.Add(-time.Hour)}, access.CodeTime},
		"a start in the past":  {"ana", access.Ask{Rule: "any", Start: start.Add(-time.Hour)}, access.CodeTime},
		"a start far away":     {"ana", access.Ask{Rule: "any", Start: start.Add(100 * 24 * time.Hour)}, access.CodeTime},
		"no note":              {"ana", access.Ask{Rule: "formal", Purpose: "audit"}, access.CodeNote},
		"a long note":          {"ana", access.Ask{Rule: "formal", Purpose: "audit", Note: string(long)}, access.CodeNote},
		"a bell in the note":   {"ana", access.Ask{Rule: "formal", Purpose: "audit", Note: "x\a"}, access.CodeNote},
		"a blank note":         {"ana", access.Ask{Rule: "formal", Purpose: "audit", Note: " \n\u200b\u00a0"}, access.CodeNote},
		"a terminal's command": {"ana", access.Ask{Rule: "formal", Purpose: "audit", Note: "x\u009b2J"}, access.CodeNote},
		"a line of its own":    {"ana", access.Ask{Rule: "formal", Purpose: "audit", Note: "x\u2028Approved by dora"}, access.CodeNote},
		"a turned direction":   {"ana", access.Ask{Rule: "formal", Purpose: "audit", Note: "x\u202eerofeb"}, access.CodeNote},
		"a fire, of no kind":   {"bob", access.Ask{Rule: "any", Break: true, Note: "  "}, access.CodeNote},
		"no purpose":           {"ana", access.Ask{Rule: "formal", Note: "why"}, access.CodePurpose},
		"a made-up purpose":    {"ana", access.Ask{Rule: "formal", Note: "why", Purpose: "fun"}, access.CodePurpose},
		"more than the rule":   {"ana", access.Ask{Rule: "any", Level: "write"}, access.CodeLevel},
		"not on call":          {"ana", access.Ask{Rule: "any", Break: true, Note: "fire"}, access.CodeBreakGlass},
		"a long statement":     {"ana", access.Ask{Rule: "any", Statement: "SELECT " + strings.Repeat("1", access.LongestStatement)}, access.CodeStatement},
		"a broken statement":   {"ana", access.Ask{Rule: "any", Statement: "SELECT \xff"}, access.CodeStatement},
		"a turned statement":   {"ana", access.Ask{Rule: "any", Statement: "SELECT \u202e1"}, access.CodeStatement},
		"no second factor":     {"bob", access.Ask{Rule: "any", Break: true, Note: "fire"}, access.CodeFactor},
	}
	for name, tt := range tests {
		_, err := w.desk.Request(ctx, w.as(tt.who), tt.ask)
		t.Run(name, func(t *testing.T) { refused(t, tt.code, err) })
	}
	if all, err := w.db.Requests(ctx, access.Filter{}); err != nil || len(all) != 0 {
		t.Errorf("something was kept: %v, %v", all, err)
	}
	r := w.ask("ana", access.Ask{Rule: "formal", Purpose: "audit", Note: "why"}).Request
	for _, note := range []string{"", " \n "} {
		_, err := w.desk.Approve(ctx, w.as("dora"), r.ID, note)
		refused(t, access.CodeNote, err)
	}
	// Other languages are written from the right, with marks, and in several lines.
	if out, err := w.desk.Approve(ctx, w.as("dora"), r.ID, "طلب\u200f.\n👩‍🔧 fine"); err != nil || out.Grant == nil {
		t.Errorf("with a note: %+v, %v", out, err)
	}
}

func TestSelfServiceExtensionAndDisuse(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	first := w.ask("ana", access.Ask{Rule: "self", For: span("10h"), Key: "k"})
	if again := w.ask("ana", access.Ask{Rule: "self", For: span("10h"), Key: "k"}); again.Request.ID != first.Request.ID || again.Grant.ID != first.Grant.ID {
		t.Errorf("the same key came to %+v", again)
	}
	_, err := w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: "self", For: span("10h"), Extends: first.Grant.ID})
	refused(t, access.CodeTime, err) // not before the last fifth
	w.pass(9 * time.Hour)
	out := w.ask("ana", access.Ask{Rule: "self", For: span("5h"), Extends: first.Grant.ID})
	if out.Grant.ID != first.Grant.ID || !out.Grant.End.Equal(start.Add(15*time.Hour)) {
		t.Errorf("extended to %+v", out.Grant)
	}
	idle := w.ask("bob", access.Ask{Rule: "unused", For: span("30d")}).Grant
	w.pass(7 * 24 * time.Hour)
	if got := w.grant(idle.ID); !got.Warned || got.State != access.Active {
		t.Errorf("three days ahead: %+v", got)
	}
	if err := w.desk.Used(ctx, map[string]map[string]time.Time{"bob": {"unused": w.desk.Now()}}); err != nil {
		t.Fatal(err)
	}
	w.pass(9 * 24 * time.Hour)
	if got := w.grant(idle.ID); got.State != access.Active {
		t.Errorf("used, and still %+v", got)
	}
	w.pass(24 * time.Hour)
	if got := w.grant(idle.ID); got.State != access.Revoked || got.Cause != access.ByDisuse {
		t.Errorf("ten days unused: %+v", got)
	}
}

func TestPolicyChanges(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	recheck := func() {
		t.Helper()
		if err := w.desk.Recheck(ctx); err != nil {
			t.Fatal(err)
		}
	}
	ana := w.ask("ana", access.Ask{Rule: "self"}).Grant
	bob := w.ask("bob", access.Ask{Rule: "self"}).Grant
	pending := w.ask("ana", access.Ask{Rule: "any", For: span("20d")}).Request
	w.p.Rule("self").Enabled = false
	recheck()
	if got := w.grant(ana.ID); got.State != access.Suspended || got.Parked != access.ByRule {
		t.Errorf("of a suspended rule: %+v", got)
	}
	_, err := w.desk.Resume(ctx, w.as("dora"), ana.ID, "")
	refused(t, access.CodeNoRule, err)
	w.p.Rule("self").Enabled = true
	recheck()
	if got := w.grant(ana.ID); got.State != access.Active || got.Wall != access.WallPending {
		t.Errorf("of a rule that goes on: %+v", got)
	}
	w.p.Groups["askers"].Members = []string{"ana"}
	w.p.Rule("any").Request.Max = span("1d")
	recheck()
	if got := w.grant(bob.ID); got.State != access.Revoked || got.Cause != access.ByGroupLost {
		t.Errorf("of somebody who left the group: %+v", got)
	}
	if got := w.request(pending.ID); got.State != access.Superseded {
		t.Errorf("a request that is too long now: %+v", got)
	}
	delete(w.p.Users, "ana")
	recheck()
	if got := w.grant(ana.ID); got.State != access.Revoked || got.Cause != access.ByDeactivated {
		t.Errorf("of somebody who is gone: %+v", got)
	}
}

// A request that waits is decided by who approves the rule as it was asked for, or not at all: with other approvers, or more of them, it is
// superseded, also where the last approval comes before anything else looked (ACC-21, ACC-22).
func TestApproversOfARuleChange(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(q *policy.Request){
		"other people":  func(q *policy.Request) { q.Approvers = []policy.Step{{Names: []string{"hugo"}, Min: 2}} },
		"more of them":  func(q *policy.Request) { q.Approvers = []policy.Step{{Names: []string{"group:office"}, Min: 3}} },
		"fewer of them": func(q *policy.Request) { q.Approvers = []policy.Step{{Names: []string{"group:office"}, Min: 1}} },
		"a step more": func(q *policy.Request) {
			q.Approvers = append(slices.Clone(q.Approvers), policy.Step{Names: []string{"hugo"}, Min: 1})
		},
		"one of each": func(q *policy.Request) {
			q.Approvers = []policy.Step{{Names: []string{"group:office"}, Min: 2, Each: true}}
		},
		"nothing at all": nil,
	} {
		w, ctx := newWorld(t), t.Context()
		acted, waits := w.ask("ana", access.Ask{Rule: "two"}).Request, w.ask("bob", access.Ask{Rule: "two"}).Request
		w.approve("emil", acted.ID)
		w.approve("emil", waits.ID)
		if change != nil {
			change(w.p.Rule("two").Request)
		}
		w.p.Groups["office"].Members = []string{"dora", "emil", "finn", "gina"} // who is in a group is looked at when somebody acts
		out, err := w.desk.Approve(ctx, w.as("gina"), acted.ID, "")
		w.must(err)
		w.must(w.desk.Recheck(ctx))
		got := w.request(waits.ID)
		if change == nil {
			if out.Grant == nil || got.State != access.Pending {
				t.Errorf("%s: %+v, and %s", name, out, got.State)
			}
			continue
		}
		if left := w.request(acted.ID); out.Grant != nil || left.State != access.Superseded || got.State != access.Superseded {
			t.Errorf("%s: granted %+v; they are %s and %s", name, out.Grant, left.State, got.State)
		}
		if n := w.count("grant.prepared"); n != 0 {
			t.Errorf("%s: %d grants", name, n)
		}
	}
}

func TestBreakGlassIsLoudAndReviewed(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	bob := w.as("bob")
	bob.Factor = start.Add(-time.Minute)
	out, err := w.desk.Request(ctx, bob, access.Ask{Rule: "two", Break: true, Note: "the site is down"})
	if err != nil || out.Grant == nil || !out.Grant.Breaking || !out.Grant.End.Equal(start.Add(time.Hour)) {
		t.Fatalf("%+v, %v", out, err)
	}
	if n := w.count("breakglass.started"); n != 1 {
		t.Errorf("%d events", n)
	}
	_, err = w.desk.Confirm(ctx, bob, out.Grant.ID, "")
	refused(t, access.CodeNotYours, err)
	w.pass(3 * 24 * time.Hour)
	if got := w.grant(out.Grant.ID); got.State != access.Ended {
		t.Errorf("it is %+v", got)
	}
	w.pass(time.Second)
	if n := w.count("breakglass.overdue"); n != 1 {
		t.Errorf("%d notes that nobody looked", n)
	}
	if g, err := w.desk.Confirm(ctx, w.as("dora"), out.Grant.ID, ""); err != nil || g.Reviewer != "dora" {
		t.Errorf("%+v, %v", g, err)
	}
	// A second factor of an hour ago is none.
	bob.Factor = w.desk.Now().Add(-time.Hour)
	_, err = w.desk.Request(ctx, bob, access.Ask{Rule: "two", Break: true, Note: "again"})
	refused(t, access.CodeFactor, err)
}

// count counts the events of a kind.
func (w *world) count(kind string) int {
	w.t.Helper()
	events, err := w.db.Events(context.Background(), 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for _, e := range events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func TestWhoMayEndAGrant(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	for who, code := range map[string]string{"ana": "", "dora": "", "gina": access.CodeNotYours, "bob": access.CodeNotYours} {
		g := w.ask("ana", access.Ask{Rule: "self"}).Grant
		_, err := w.desk.Revoke(ctx, w.as(who), g.ID, "")
		if code != "" {
			refused(t, code, err)
			_, err = w.desk.Revoke(ctx, w.as("ana"), g.ID, "")
		}
		if err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
	g := w.ask("ana", access.Ask{Rule: "self"}).Grant
	_, err := w.desk.Suspend(ctx, w.as("ana"), g.ID, "")
	refused(t, access.CodeNotYours, err)
	if got, err := w.desk.Suspend(ctx, w.as("dora"), g.ID, "the audit"); err != nil || got.Holds(w.desk.Now()) || got.Reason != "the audit" {
		t.Errorf("suspended: %+v, %v", got, err)
	}
	if got, err := w.desk.Resume(ctx, w.as("dora"), g.ID, "it is over"); err != nil || !got.Holds(w.desk.Now()) || got.Reason != "" {
		t.Errorf("resumed: %+v, %v", got, err)
	}
	if got, err := w.desk.Confirm(ctx, w.as("dora"), g.ID, "until spring"); err != nil || got.ReviewNote != "until spring" {
		t.Errorf("confirmed: %+v, %v", got, err)
	}
	events, err := w.db.Events(ctx, 1<<20)
	w.must(err)
	for kind, want := range map[string]string{"grant.suspended": "the audit", "grant.resumed": "it is over", "review.confirmed": "until spring"} {
		if !slices.ContainsFunc(events, func(e access.Event) bool { return e.Kind == kind && e.Grant == g.ID && e.Reason == want }) {
			t.Errorf("no %s with %q", kind, want)
		}
	}
	for name, act := range map[string]func(note string) error{
		"suspend": func(note string) error { _, err := w.desk.Suspend(ctx, w.as("dora"), g.ID, note); return err },
		"resume":  func(note string) error { _, err := w.desk.Resume(ctx, w.as("dora"), g.ID, note); return err },
		"confirm": func(note string) error { _, err := w.desk.Confirm(ctx, w.as("dora"), g.ID, note); return err },
	} {
		if name == "resume" {
			w.must(func() error { _, err := w.desk.Suspend(ctx, w.as("dora"), g.ID, ""); return err }())
		}
		refused(t, access.CodeNote, act(strings.Repeat("x", 1001)))
		w.must(act(strings.Repeat("x", 1000)))
		if name == "suspend" {
			w.must(func() error { _, err := w.desk.Resume(ctx, w.as("dora"), g.ID, ""); return err }())
		}
	}
}

// Whoever approved a grant may end it, and no more: pausing, resuming and reviewing are the owners' and an admin's, and none of them
// resumes or reviews what they, or a service account that they answer for, hold (ACC-19).
func TestWhoAnswersForAGrant(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	w.p.Rule("any").Request.Approvers = []policy.Step{{Names: []string{"hugo"}, Min: 1}}
	admin := func(name string) access.Actor { a := w.as(name); a.Admin = true; return a }
	mine := w.approve("hugo", w.ask("ana", access.Ask{Rule: "any"}).Request.ID).Grant
	program := w.approve("hugo", w.ask("etl", access.Ask{Rule: "any"}).Request.ID).Grant
	noes := w.count("request.decision_refused")
	for _, tt := range []struct {
		name    string
		who     access.Actor
		grant   string
		suspend string // the refusal, "" for none
		resume  string
		confirm string
	}{
		{"who approved it", w.as("hugo"), mine.ID, access.CodeNotYours, access.CodeNotYours, access.CodeNotYours},
		{"the holder", w.as("ana"), mine.ID, access.CodeNotYours, access.CodeNotYours, access.CodeNotYours},
		{"the holder, an admin", admin("ana"), mine.ID, "", access.CodeSelf, access.CodeSelf},
		{"an admin", admin("gina"), mine.ID, "", "", ""},
		{"an owner", w.as("emil"), mine.ID, "", "", ""},
		{"who answers for the program, an owner", w.as("dora"), program.ID, "", access.CodeSelf, access.CodeSelf},
		{"who answers for the program, an admin", admin("dora"), program.ID, "", access.CodeSelf, access.CodeSelf},
		{"another owner", w.as("emil"), program.ID, "", "", ""},
	} {
		check := func(what, code string, err error) {
			t.Helper()
			if code == "" && err != nil {
				t.Errorf("%s: %s: %v", tt.name, what, err)
			} else if code != "" {
				refused(t, code, err)
				noes++
			}
			if n := w.count("request.decision_refused"); n != noes {
				t.Errorf("%s: %s: %d refusals are recorded, %d were made", tt.name, what, n, noes)
			}
		}
		_, err := w.desk.Suspend(ctx, tt.who, tt.grant, "look")
		check("suspend", tt.suspend, err)
		if tt.suspend != "" {
			_, err = w.desk.Suspend(ctx, w.as("emil"), tt.grant, "look")
			w.must(err)
		}
		_, err = w.desk.Resume(ctx, tt.who, tt.grant, "")
		check("resume", tt.resume, err)
		if held := w.grant(tt.grant); (held.State == access.Active) != (tt.resume == "") {
			t.Errorf("%s: after resume it is %s", tt.name, held.State)
		}
		if tt.resume != "" {
			_, err = w.desk.Resume(ctx, w.as("emil"), tt.grant, "")
			w.must(err)
		}
		_, err = w.desk.Confirm(ctx, tt.who, tt.grant, "")
		check("confirm", tt.confirm, err)
	}
	if g, err := w.desk.Revoke(ctx, w.as("hugo"), mine.ID, "no longer"); err != nil || g.State != access.Revoked {
		t.Errorf("who approved it ends it: %+v, %v", g, err)
	}
}

// An extension ends no later than the rule's maximum from now, however it is asked for; who names no length gets what there is (ACC-13, ACC-16).
func TestExtensionsStayWithinTheMaximum(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{"self", "any"} {
		w, ctx := newWorld(t), t.Context()
		w.p.Rule(rule).Request.Max = span("10h")
		g := w.ask("ana", access.Ask{Rule: rule, For: span("10h")})
		if g.Grant == nil {
			g = w.approve("dora", g.Request.ID)
		}
		w.pass(8*time.Hour + 6*time.Minute) // until 10 h; as of now at most until 18 h 6 min
		_, err := w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: rule, For: span("10h"), Extends: g.Grant.ID})
		refused(t, access.CodeTooLong, err)
		_, err = w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: rule, Until: start.Add(18*time.Hour + 7*time.Minute), Extends: g.Grant.ID})
		refused(t, access.CodeTooLong, err)
		w.p.Rule(rule).Request.Default = span("10h")
		out := w.ask("ana", access.Ask{Rule: rule, Extends: g.Grant.ID})
		if out.Grant == nil {
			out = w.approve("dora", out.Request.ID)
		}
		if want := start.Add(18*time.Hour + 6*time.Minute); out.Grant == nil || !out.Grant.End.Equal(want) {
			t.Errorf("%s: extended to %+v, want %s", rule, out.Grant, want)
		}
		w.pass(9 * time.Hour)
		out = w.ask("ana", access.Ask{Rule: rule, For: span("2h"), Extends: g.Grant.ID})
		if out.Grant == nil {
			out = w.approve("dora", out.Request.ID)
		}
		if want := start.Add(20*time.Hour + 6*time.Minute); out.Grant == nil || !out.Grant.End.Equal(want) {
			t.Errorf("%s: a length that fits comes to %+v, want %s", rule, out.Grant, want)
		}
	}
}

// A grant that ends while it is paused is found among those on their way out, though its wall was gone: what was made under it is ended
// from there (ACC-32). One that goes on is not.
func TestEndsWhilePaused(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	closing := func() int {
		t.Helper()
		found, err := w.db.Grants(ctx, access.Filter{Closing: true})
		w.must(err)
		return len(found)
	}
	for name, end := range map[string]func(id string) error{
		"revoked": func(id string) error { _, err := w.desk.Revoke(ctx, w.as("dora"), id, ""); return err },
		"in time": func(string) error { w.pass(8 * time.Hour); return nil },
		"resumed": func(id string) error { _, err := w.desk.Resume(ctx, w.as("dora"), id, ""); return err },
	} {
		id := w.taken("8h")
		_, err := w.desk.Suspend(ctx, w.as("dora"), id, "look")
		w.must(err)
		w.built(true)
		if g := w.grant(id); g.Wall != access.WallGone || closing() != 0 {
			t.Errorf("%s: paused it is %s", name, g.Wall)
		}
		w.must(end(id))
		if n, want := closing(), map[bool]int{true: 1}[name != "resumed"]; n != want {
			t.Errorf("%s: %d are on their way out, want %d", name, n, want)
		}
		w.built(true)
		if g := w.grant(id); closing() != 0 || (g.Wall == access.WallGone) != (name != "resumed") {
			t.Errorf("%s: later it is %s", name, g.Wall)
		}
		if name == "resumed" {
			_, err := w.desk.Revoke(ctx, w.as("ana"), id, "")
			w.must(err)
			w.built(true)
		}
	}
}

// A manager is one person, whatever stands in the attribute.
func TestAManagerIsOnePerson(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	for _, nobody := range []string{"group:office", "group:askers", "owners", "stranger", ""} {
		w.p.Users["ana"].Attributes["manager"] = nobody
		_, err := w.desk.Request(ctx, w.as("ana"), access.Ask{Rule: "steps"})
		refused(t, access.CodeNobody, err)
	}
	w.p.Users["ana"].Attributes["manager"] = "hugo"
	id := w.pending("steps")
	w.p.Users["ana"].Attributes["manager"] = "group:office"
	_, err := w.desk.Approve(ctx, w.as("emil"), id, "")
	refused(t, access.CodeNotApprover, err)
	w.p.Users["ana"].Attributes["manager"] = "hugo"
	w.approve("hugo", id)
	if out := w.approve("emil", id); out.Grant == nil {
		t.Error("a manager and an owner did not do")
	}
}

// A reason is held to what a note is, whoever writes it.
func TestReasonsOfPausing(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	id := w.taken("8h")
	for _, reason := range []string{"a\x1b[2Jb", strings.Repeat("x", 1001)} {
		_, err := w.desk.Suspend(ctx, w.as("dora"), id, reason)
		refused(t, access.CodeNote, err)
	}
	if g := w.grant(id); g.State != access.Active {
		t.Errorf("it is %s", g.State)
	}
	if g, err := w.desk.Suspend(ctx, w.as("dora"), id, strings.Repeat("x", 1000)); err != nil || g.State != access.Suspended {
		t.Errorf("%+v, %v", g, err)
	}
}

// Many approvers at once: one request, one grant, whoever is first.
func TestApproversAtOnce(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t), t.Context()
	r := w.ask("ana", access.Ask{Rule: "two"}).Request
	var wg sync.WaitGroup
	var mu sync.Mutex
	grants := map[string]bool{}
	for _, who := range []string{"dora", "emil", "finn", "dora", "emil", "finn"} {
		wg.Go(func() {
			out, err := w.desk.Approve(ctx, w.as(who), r.ID, "")
			var no *access.Refusal
			if err != nil && !errors.As(err, &no) {
				t.Errorf("%s: %v", who, err)
			}
			if out != nil && out.Grant != nil {
				mu.Lock()
				grants[out.Grant.ID] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	all, err := w.db.Grants(ctx, access.Filter{})
	if err != nil || len(all) != 1 || len(grants) != 1 {
		t.Fatalf("%d grants, %d told, %v", len(all), len(grants), err)
	}
	got := w.request(r.ID)
	if n := len(got.Decisions); n != 2 || got.State != access.Approved || slices.ContainsFunc(got.Decisions, func(d access.Decision) bool { return d.By == "ana" }) {
		t.Errorf("the request is %+v", got)
	}
}

// A grant that the servers cannot be brought to show fails after a day, and asker, owners and admins are told; one that they show again in time
// does not.
func TestWhatIsNeverBuiltFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	out, err := w.desk.Request(t.Context(), w.as("ana"), access.Ask{Rule: "self", For: span("10d")})
	if err != nil {
		t.Fatal(err)
	}
	built := func(ok bool) access.Grant {
		t.Helper()
		why := ""
		if !ok {
			why = "no profile"
		}
		live, err := w.db.Grants(t.Context(), access.Filter{Open: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.desk.Built(t.Context(), live, func(*access.Grant) (bool, string) { return ok, why }, func(*access.Grant) bool { return true }); err != nil {
			t.Fatal(err)
		}
		found, err := w.db.Grants(t.Context(), access.Filter{IDs: []string{out.Grant.ID}})
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		return found[0]
	}
	built(false)
	w.pass(23 * time.Hour)
	if g := built(true); g.State != access.Active || g.Wall != access.WallReady {
		t.Fatalf("built in time: %+v", g)
	}
	built(false)
	w.pass(23 * time.Hour)
	if g := built(false); g.State != access.Active || g.Wall != access.WallPending {
		t.Fatalf("not a day yet: %+v", g)
	}
	w.pass(time.Hour)
	if g := built(false); g.State != access.Failed || g.Cause != access.ByFailure || g.Reason != "no profile" {
		t.Fatalf("after a day: %+v", g)
	}
	told := map[string]int{}
	got, err := w.db.ClaimNotices(t.Context(), "x", w.now, time.Minute, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range got {
		if d.Notice.Kind == "grant.failed" {
			told[d.Notice.To]++
		}
	}
	if told["ana"] != 1 || told["dora"] != 1 || told["root"] != 1 {
		t.Errorf("told: %v", told)
	}
	if g := built(false); g.Wall != access.WallGone {
		t.Errorf("what is left: %+v", g)
	}
}
