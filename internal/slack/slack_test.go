package slack_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/demo/workspace"
	"github.com/postern-sec/postern/internal/notify"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/slack"
	"github.com/postern-sec/postern/internal/state"
)

type trail struct {
	mu     sync.Mutex
	events []audit.Event
}

func (l *trail) Record(_ context.Context, e audit.Event) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	return "", nil
}

func (l *trail) RecordSoon(audit.Event) error { return nil }

func (l *trail) strangers() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, e := range l.events {
		if e.Kind == audit.RequestRefused && e.Reason == "not_recognised" {
			out = append(out, e.Detail["slack_user"]+": "+e.Message)
		}
	}
	return out
}

// site is an app before a small Slack, with a desk over a real state file.
type site struct {
	t       *testing.T
	ws      *workspace.Workspace
	db      *state.DB
	desk    *access.Desk
	app     *slack.App
	courier *notify.Courier
	trail   *trail
	p       atomic.Pointer[policy.Policy]
	ahead   atomic.Int64
	ids     atomic.Int64
	off     sync.Map // disabled accounts
	tokens  atomic.Pointer[slack.Tokens]
}

func span(text string) policy.Span {
	s, err := policy.ParseSpan(text)
	if err != nil {
		panic(err)
	}
	return s
}

func testPolicy(use policy.SlackUse) *policy.Policy {
	p := &policy.Policy{
		Stores: map[string]*policy.Store{"shop": {Name: "shop"}}, Digest: "d", Users: map[string]*policy.User{},
		Groups: map[string]*policy.Group{"askers": {Name: "askers", Members: []string{"ana", "dora"}}, "office": {Name: "office", Members: []string{"dora", "emil"}}},
		Datasets: map[string]*policy.Dataset{
			"staff":  {Name: "staff", Owners: []string{"group:office"}, Slack: use, Include: []policy.TablePattern{{Store: "shop"}}},
			"hidden": {Name: "hidden", Owners: []string{"group:office"}, Slack: policy.SlackOff, Include: []policy.TablePattern{{Store: "shop", Schema: "h"}}},
		},
		Purposes: []string{"audit"},
	}
	for _, name := range []string{"ana", "dora", "emil", "finn"} {
		p.Users[name] = &policy.User{Name: name, Attributes: map[string]string{"email": name + "@example.com"}}
	}
	office := []policy.Step{{Names: []string{"group:office"}, Min: 1}}
	for _, r := range []struct {
		name, on string
		min      int
		note     policy.Demand
	}{{"payroll", "staff", 1, policy.NoteNone}, {"two", "staff", 2, policy.NoteNone}, {"formal", "staff", 1, policy.NoteApprover}, {"secretly", "hidden", 1, policy.NoteNone}} {
		steps := slices.Clone(office)
		steps[0].Min = r.min
		p.Rules = append(p.Rules, &policy.Rule{
			Name: r.name, To: []string{"group:askers"}, On: r.on, Level: policy.Read, Enabled: true, Order: len(p.Rules),
			Request: &policy.Request{Kind: policy.OnRequest, Max: span("30d"), Default: span("8h"), Expires: span("7d"), Note: r.note, Approvers: steps},
		})
	}
	return p
}

func newSite(t *testing.T, use policy.SlackUse) *site {
	t.Helper()
	s := &site{t: t, trail: &trail{}}
	s.p.Store(testPolicy(use))
	var users []workspace.User
	for _, name := range []string{"ana", "dora", "emil", "finn"} {
		users = append(users, workspace.User{ID: "U" + name, Email: name + "@example.com", Name: name})
	}
	var err error
	if s.ws, err = workspace.New(users...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.ws.Close)
	s.ws.Invite("C0STAFF")
	s.has(s.ws.Bot, s.ws.App, s.ws.Signing)
	if s.db, err = state.Open(t.Context(), filepath.Join(t.TempDir(), "s.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	s.desk = access.NewDesk(access.Config{
		Store: s.db, Policy: s.p.Load, Now: s.now, NewID: func() string { return fmt.Sprintf("id%05d", s.ids.Add(1)) },
		Redact: redacted,
	})
	texts, err := notify.Texts()
	if err != nil {
		t.Fatal(err)
	}
	s.app = slack.New(slack.Config{
		Tokens: func(context.Context) (slack.Tokens, error) { return *s.tokens.Load(), nil },
		API:    s.ws.API(), Domains: []string{"example.com"}, Copies: s.db, Calls: s.db, Desk: s.desk, Access: s.db, Policy: s.p.Load,
		Active: func(_ context.Context, name string) (bool, error) { _, off := s.off.Load(name); return !off, nil },
		Texts:  texts, Audit: s.trail, Log: slog.New(slog.DiscardHandler), Now: s.now, Link: "https://postern.example",
	})
	s.courier = notify.New(notify.Config{
		Outbox: s.db, Access: s.db, Policy: s.p.Load, Transports: []notify.Transport{s.app}, Audit: s.trail, Log: slog.New(slog.DiscardHandler), Now: s.now,
		Link: "https://postern.example",
	})
	t.Cleanup(func() {
		for _, wrong := range s.ws.Broken() {
			t.Errorf("Slack would not take this: %s", wrong)
		}
	})
	return s
}

// has gives the app its secrets.
func (s *site) has(bot, app, signing string) {
	s.tokens.Store(&slack.Tokens{Bot: secret.New(bot), App: secret.New(app), Signing: secret.New(signing)})
}

func (s *site) now() time.Time { return time.Now().Add(time.Duration(s.ahead.Load())) }

// run lets the app answer until the test ends, with its sockets open.
func (s *site) run() *site {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.app.Run(ctx) }()
	s.t.Cleanup(func() { cancel(); <-done })
	s.until("two sockets", func() bool { return s.ws.Sockets() == 2 })
	return s
}

func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func (s *site) turn() {
	s.t.Helper()
	if err := s.courier.Turn(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) as(name string) access.Actor {
	who, _ := s.p.Load().Subject(name)
	return access.Actor{Subject: who, Channel: "cli"}
}

// asks lets ana ask, and everybody be told.
func (s *site) asks(rule, note string) access.Request {
	s.t.Helper()
	out, err := s.desk.Request(s.t.Context(), s.as("ana"), access.Ask{Rule: rule, Note: note})
	if err != nil {
		s.t.Fatal(err)
	}
	s.turn()
	return out.Request
}

func (s *site) request(id string) access.Request {
	s.t.Helper()
	found, err := s.db.Requests(s.t.Context(), access.Filter{IDs: []string{id}})
	if err != nil || len(found) != 1 {
		s.t.Fatal(found, err)
	}
	return found[0]
}

// first is the first message that somebody has, and a button of it.
func (s *site) first(user, action string) (workspace.Message, workspace.Part) {
	s.t.Helper()
	all := s.ws.Messages(user)
	if len(all) == 0 {
		s.t.Fatalf("%s has no message", user)
	}
	b, ok := all[0].Button(action)
	if !ok && action != "" {
		s.t.Fatalf("no button %s in\n%s", action, all[0].Says())
	}
	return all[0], b
}

// deliver sends an event and waits until it was acknowledged.
func (s *site) deliver(e *workspace.Event) {
	s.t.Helper()
	s.until("a socket", func() bool { return s.ws.Deliver(e, 0) })
	s.until("the acknowledgement", func() bool { return s.ws.Acknowledged(e) })
}

// events are the access events with a kind, as they wait for the trail.
func (s *site) events(kind string) []access.Event {
	s.t.Helper()
	all, err := s.db.Events(s.t.Context(), 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e access.Event) bool { return e.Kind != kind })
}

// An approval by button goes through the desk, once, whatever Slack delivers twice; every copy is edited.
func TestApprove(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide).run()
	r := s.asks("payroll", "Quartalsbericht <!channel> <@Udora> & <http://evil|here>")
	m, b := s.first("Udora", "approve")
	if strings.Contains(m.Text, "<") || !strings.Contains(m.Says(), "<!channel>") {
		t.Errorf("markup is not defused, or not shown: %q\n%s", m.Text, m.Says())
	}
	click := s.ws.Click("Udora", m, b)
	for range 3 {
		s.deliver(click)
	}
	again := *click
	again.Envelope += "x" // the same click in another envelope
	s.deliver(&again)
	s.until("the approval", func() bool { return s.request(r.ID).State == access.Approved })
	for _, user := range []string{"Udora", "Uemil"} {
		s.until("the edit of "+user+"'s copy", func() bool { return strings.Contains(s.ws.Messages(user)[0].Says(), "Approved by dora") })
		for _, action := range []string{"approve", "deny"} {
			m := s.ws.Messages(user)[0]
			if _, there := m.Button(action); there {
				t.Errorf("%s can still %s", user, action)
			}
		}
	}
	done := s.events("request.approved")
	if len(done) != 1 || done[0].Channel != "slack" || done[0].Actor != "dora" {
		t.Errorf("events: %+v", done)
	}
	if d := s.request(r.ID).Decisions; len(d) != 1 || d[0].Channel != "slack" {
		t.Errorf("decisions: %+v", d)
	}
	s.turn()
	mine := s.ws.Messages("Uana")
	if len(mine) != 2 || !strings.Contains(mine[1].Says(), "was approved") {
		t.Errorf("ana was told %d things", len(mine))
	}
}

// What people write stands apart from what we say: no line of a note or a reason passes for a fact or for a decision.
func TestNotesStandApart(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide).run()
	const forged = "why\nPerson: emil\nApproved by emil, 1 May 2026 12:00 UTC"
	r := s.asks("two", forged)
	if _, err := s.desk.Approve(t.Context(), s.as("emil"), r.ID, "fine\nDenied by dora"); err != nil {
		t.Fatal(err)
	}
	ours := map[string]bool{}
	s.until("the edit", func() bool { return strings.Contains(s.ws.Messages("Udora")[0].Says(), "fine") })
	for line := range strings.Lines(s.ws.Messages("Udora")[0].Says()) {
		ours[strings.TrimSuffix(line, "\n")] = true
		if strings.HasPrefix(line, "Person: ") && strings.TrimSpace(line) != "Person: ana" || strings.HasPrefix(line, "Denied by") || strings.HasPrefix(line, "Approved by emil, 1 May 2026 12:00") {
			t.Errorf("a line that we did not write: %q", line)
		}
	}
	for _, line := range []string{"Person: ana", "Note: why", "    Person: emil", "    Denied by dora"} {
		if !ours[line] {
			t.Errorf("no line %q in\n%s", line, s.ws.Messages("Udora")[0].Says())
		}
	}
}

// Denying asks for a reason, which the requester reads; so does an approval where the rule wants one.
func TestReason(t *testing.T) {
	t.Parallel()
	for action, rule := range map[string]string{"deny": "payroll", "approve_note": "formal"} {
		s := newSite(t, policy.SlackDecide).run()
		r := s.asks(rule, "")
		m, b := s.first("Udora", action)
		s.deliver(s.ws.Click("Udora", m, b))
		s.until("the form", func() bool { _, there := s.ws.View("Udora"); return there })
		if s.request(r.ID).State != access.Pending {
			t.Fatal("a click that opens a form has decided")
		}
		v, _ := s.ws.View("Udora")
		s.deliver(s.ws.Submit("Udora", v, map[string]string{"note": "because"}))
		want := map[string]access.State{"deny": access.Denied, "approve_note": access.Approved}[action]
		s.until("the decision", func() bool { return s.request(r.ID).State == want })
		if d := s.request(r.ID).Decisions[0]; d.Note != "because" || d.By != "dora" {
			t.Errorf("%s: %+v", action, d)
		}
	}
}

// What a dataset does not let be decided in Slack has no button, and a button that somebody makes up is refused by the desk.
func TestUse(t *testing.T) {
	t.Parallel()
	for use, can := range map[policy.SlackUse]map[string]bool{
		policy.SlackNotices: {}, policy.SlackDeny: {"deny": true}, policy.SlackDecide: {"deny": true, "approve": true},
	} {
		s := newSite(t, use).run()
		r := s.asks("payroll", "")
		m, _ := s.first("Udora", "open")
		for _, action := range []string{"approve", "deny"} {
			if _, there := m.Button(action); there != can[action] {
				t.Errorf("%s: button %s: %v", use, action, there)
			}
		}
		made := workspace.Part{ActionID: "approve", Value: r.ID + ":1"}
		s.deliver(s.ws.Click("Udora", m, made))
		if can["approve"] {
			s.until("the approval", func() bool { return s.request(r.ID).State == access.Approved })
			continue
		}
		s.until("the refusal", func() bool { return len(s.events("request.decision_refused")) == 1 })
		if e := s.events("request.decision_refused")[0]; e.Reason != access.CodeChannel || s.request(r.ID).State != access.Pending {
			t.Errorf("%s: %+v", use, e)
		}
	}
}

// No button approves what wants a second factor, which a click does not have: the message says where it is decided. A rule that wants
// one of who asks alone is approved as any other.
func TestFactor(t *testing.T) {
	t.Parallel()
	const hint = "wants a fresh second factor: decide in the portal"
	for factor, can := range map[policy.Demand]bool{policy.NoteApprover: false, policy.NoteBoth: false, policy.NoteRequester: true, policy.NoteNone: true} {
		s := newSite(t, policy.SlackDecide)
		s.p.Load().Rule("payroll").Request.Factor = factor
		ana := s.as("ana")
		ana.Factor = s.now()
		if _, err := s.desk.Request(t.Context(), ana, access.Ask{Rule: "payroll"}); err != nil {
			t.Fatal(err)
		}
		s.turn()
		m, _ := s.first("Udora", "deny")
		if _, there := m.Button("approve"); there != can || strings.Contains(m.Says(), hint) == can {
			t.Errorf("%s: button to approve: %v\n%s", factor, there, m.Says())
		}
	}
}

// Who is not who they would have to be changes nothing, and the trail says why; the same click by the same person, made right, works.
func TestWho(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		user workspace.User
		why  string
	}{
		"unconfirmed":       {workspace.User{ID: "Udora", Email: "dora@example.com", Unconfirmed: true}, "the address is not confirmed"},
		"foreign domain":    {workspace.User{ID: "Udora", Email: "dora@example.org"}, "the address is of no allowed domain"},
		"unknown":           {workspace.User{ID: "Udora", Email: "eve@example.com", Name: "dora"}, "nobody has this address"},
		"a bot":             {workspace.User{ID: "Udora", Email: "dora@example.com", Bot: true}, "not a person, or no longer"},
		"deactivated":       {workspace.User{ID: "Udora", Email: "dora@example.com", Deleted: true}, "not a person, or no longer"},
		"a guest":           {workspace.User{ID: "Udora", Email: "dora@example.com", Guest: true}, "a guest"},
		"another workspace": {workspace.User{ID: "Udora", Team: "T0666", Email: "dora@example.com", Far: true}, "another workspace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, policy.SlackDecide).run()
			r := s.asks("payroll", "")
			m, b := s.first("Udora", "approve")
			s.ws.Change(c.user)
			s.deliver(s.ws.Click("Udora", m, b))
			s.until("the record", func() bool { return slices.Contains(s.trail.strangers(), "Udora: "+c.why) })
			if got := s.request(r.ID); got.State != access.Pending || len(got.Decisions) != 0 {
				t.Fatalf("decided: %+v", got)
			}
			s.ws.Change(workspace.User{ID: "Udora", Email: "dora@example.com"})
			s.deliver(s.ws.Click("Udora", m, b))
			s.until("the approval", func() bool { return s.request(r.ID).State == access.Approved })
		})
	}
}

// A disabled account, an address that two users have, one's own request, and somebody who is no approver.
func TestMayNot(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide).run()
	r := s.asks("payroll", "")
	m, b := s.first("Udora", "approve")
	s.off.Store("dora", true)
	s.deliver(s.ws.Click("Udora", m, b))
	s.until("the record", func() bool { return slices.Contains(s.trail.strangers(), "Udora: the account is disabled") })
	s.off.Delete("dora")
	twice := testPolicy(policy.SlackDecide)
	twice.Users["zoe"] = &policy.User{Name: "zoe", Attributes: map[string]string{"email": "DORA@example.com"}}
	s.p.Store(twice)
	s.deliver(s.ws.Click("Udora", m, b))
	s.until("the record", func() bool { return slices.Contains(s.trail.strangers(), "Udora: several have this address") })
	s.p.Store(testPolicy(policy.SlackDecide))
	for user, code := range map[string]string{"Uana": access.CodeSelf, "Ufinn": access.CodeNotApprover} {
		s.deliver(s.ws.Click(user, m, b))
		s.until(user+" is told", func() bool {
			all := s.events("request.decision_refused")
			return slices.ContainsFunc(all, func(e access.Event) bool { return e.Reason == code && e.Channel == "slack" })
		})
	}
	s.until("finn reads why", func() bool {
		all := s.ws.Messages("Ufinn")
		return len(all) == 1 && strings.Contains(all[0].Says(), "not among those who decide")
	})
	if s.request(r.ID).State != access.Pending {
		t.Fatal("decided")
	}
	s.deliver(s.ws.Click("Udora", m, b))
	s.until("the approval", func() bool { return s.request(r.ID).State == access.Approved })
}

// A decision made elsewhere edits every copy; a click on what a message showed before is refused, on what it shows now is not.
func TestEdited(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide).run()
	r := s.asks("two", "")
	old, b := s.first("Uemil", "approve")
	if _, err := s.desk.Approve(t.Context(), s.as("dora"), r.ID, ""); err != nil {
		t.Fatal(err)
	}
	s.deliver(s.ws.Click("Uemil", old, b))
	s.until("emil reads that it has moved on", func() bool {
		return slices.ContainsFunc(s.ws.Messages("Uemil"), func(m workspace.Message) bool { return strings.Contains(m.Says(), "has moved on") })
	})
	if got := s.request(r.ID); len(got.Decisions) != 1 {
		t.Fatalf("decided on an old message: %+v", got.Decisions)
	}
	s.until("progress in emil's copy", func() bool { return strings.Contains(s.ws.Messages("Uemil")[0].Says(), "Approved by dora") })
	s.until("no button in dora's", func() bool { m := s.ws.Messages("Udora")[0]; _, there := m.Button("approve"); return !there })
	m, b := s.first("Uemil", "approve")
	s.deliver(s.ws.Click("Uemil", m, b))
	s.until("the approval", func() bool { return s.request(r.ID).State == access.Approved })
}

// Asking by slash command: the form opens at once, holds what may be asked for in Slack, and sending it twice asks once.
func TestAsk(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackNotices).run()
	s.deliver(s.ws.Command("Uana"))
	var v workspace.View
	s.until("the filled form", func() bool { v, _ = s.ws.View("Uana"); return v.Callback == "ask" })
	var offered []string
	for _, o := range v.Blocks[0].Element.Options {
		offered = append(offered, o.Value)
	}
	if !slices.Equal(offered, []string{"payroll", "two", "formal"}) {
		t.Errorf("offered: %q", offered)
	}
	send := s.ws.Submit("Uana", v, map[string]string{"rule": "payroll", "for": "2h", "purpose": "audit", "note": "report"})
	s.deliver(send)
	s.deliver(send)
	open := func() []access.Request {
		all, err := s.db.Requests(t.Context(), access.Filter{Subject: "ana"})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	s.until("the request", func() bool { return len(open()) == 1 })
	if r := open()[0]; r.Rule != "payroll" || r.For != span("2h") || r.Purpose != "audit" || r.Note != "report" || r.Channel != "slack" {
		t.Errorf("asked: %+v", r)
	}
	// What the form does not hold is refused when it is made up.
	s.deliver(s.ws.Submit("Uana", v, map[string]string{"rule": "secretly", "note": "x"}))
	s.until("the refusal", func() bool {
		return slices.ContainsFunc(s.ws.Messages("Uana"), func(m workspace.Message) bool { return strings.Contains(m.Says(), "is not asked for in Slack") })
	})
	if len(open()) != 1 {
		t.Errorf("%d requests", len(open()))
	}
	s.ws.Change(workspace.User{ID: "Uana", Email: "ana@example.com", Unconfirmed: true})
	s.deliver(s.ws.Command("Uana"))
	s.until("the window that says no", func() bool {
		v, _ := s.ws.View("Uana")
		return v.Callback == "" && strings.Contains(v.Blocks[0].Text.Text, "not recognised")
	})
}

// While Slack is away, busy or without answer, notices and edits wait, and each arrives once.
func TestDowntime(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide)
	s.ws.Fail(workspace.Fault{Status: 503, Times: 1000})
	r := s.asks("payroll", "")
	s.ahead.Add(int64(time.Minute))
	s.turn()
	if len(s.ws.Messages("Udora")) != 0 {
		t.Fatal("delivered while away")
	}
	s.ws.Recover()
	s.ws.Fail(workspace.Fault{Method: "chat.postMessage", Status: 429, Retry: 90, Times: 1})
	s.ahead.Add(int64(10 * time.Minute))
	s.turn()
	before := s.ws.Calls("chat.postMessage")
	s.ahead.Add(int64(80 * time.Second))
	s.turn()
	if got := s.ws.Calls("chat.postMessage"); got != before {
		t.Errorf("%d calls before the time that Slack named", got-before)
	}
	for range 3 {
		s.ahead.Add(int64(20 * time.Second))
		s.turn()
	}
	for user, want := range map[string]int{"Udora": 1, "Uemil": 1, "Uana": 1} {
		if got := len(s.ws.Messages(user)); got != want {
			t.Errorf("%s has %d messages", user, got)
		}
	}
	// The decision comes while edits fail: emil's copy is gone for good, dora's is edited when Slack is back.
	s.ws.Forget("Uemil")
	s.ws.Fail(workspace.Fault{Method: "chat.update", Status: 500, Times: 2})
	if _, err := s.desk.Deny(t.Context(), s.as("emil"), r.ID, "no"); err != nil {
		t.Fatal(err)
	}
	s.run()
	s.until("dora's edit", func() bool {
		s.ahead.Add(int64(time.Second))
		return strings.Contains(s.ws.Messages("Udora")[0].Says(), "Denied by emil")
	})
	s.until("nothing left to edit", func() bool {
		s.ahead.Add(int64(time.Second))
		stale, err := s.db.StaleCopies(t.Context(), s.now().Add(time.Hour), 10)
		return err == nil && len(stale) == 0
	})
	if m := s.ws.Messages("Udora")[0]; m.Edits != 1 {
		t.Errorf("%d edits", m.Edits)
	}
}

// A notice whose message was delivered late shows what has become of the request, and no button.
func TestLate(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide)
	s.ws.Fail(workspace.Fault{Status: 503, Times: 1000})
	r := s.asks("payroll", "")
	if _, err := s.desk.Approve(t.Context(), s.as("emil"), r.ID, ""); err != nil {
		t.Fatal(err)
	}
	s.ws.Recover()
	s.ahead.Add(int64(time.Minute))
	s.turn()
	m, _ := s.first("Udora", "")
	if _, there := m.Button("approve"); there || !strings.Contains(m.Says(), "Approved by emil") {
		t.Errorf("late: %s", m.Says())
	}
}

// Clicks are acknowledged while Slack's own interface is away, and done when it is back; sockets that are hung up on come back.
func TestDisconnects(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide).run()
	r := s.asks("payroll", "")
	m, b := s.first("Udora", "approve")
	s.ws.Fail(workspace.Fault{Method: "users.info", Status: 503, Times: 2})
	s.deliver(s.ws.Click("Udora", m, b))
	s.until("the approval", func() bool { s.ahead.Add(int64(time.Second)); return s.request(r.ID).State == access.Approved })
	opened := s.ws.Calls("apps.connections.open")
	s.ws.Refresh()
	s.until("new addresses", func() bool { return s.ws.Calls("apps.connections.open") >= opened+2 && s.ws.Sockets() == 2 })
	s.ws.Hang()
	s.until("new addresses", func() bool { return s.ws.Calls("apps.connections.open") >= opened+4 && s.ws.Sockets() == 2 })
	s.deliver(s.ws.Command("Uana"))
	s.until("a form over the new socket", func() bool { v, _ := s.ws.View("Uana"); return v.Callback == "ask" })
}

// Over HTTP only what Slack signed, now, gets in, and once.
func TestSigned(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide).run()
	r := s.asks("payroll", "")
	m, b := s.first("Udora", "approve")
	server := httptest.NewServer(s.app)
	t.Cleanup(server.Close)
	post := func(change func(*http.Request), at time.Time, e *workspace.Event) int {
		t.Helper()
		call, err := s.ws.Request(server.URL, e, at)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(call)
		}
		answer, err := http.DefaultClient.Do(call.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	click := s.ws.Click("Udora", m, b)
	forged := func(r *http.Request) { r.Header.Set("X-Slack-Signature", "v0="+strings.Repeat("0", 64)) }
	bare := func(r *http.Request) { r.Header.Del("X-Slack-Signature") }
	moved := func(r *http.Request) { r.Header.Set("X-Slack-Request-Timestamp", fmt.Sprint(time.Now().Unix()-1)) }
	now := time.Now()
	for name, got := range map[string]int{
		"forged": post(forged, now, click), "unsigned": post(bare, now, click), "another time": post(moved, now, click),
		"six minutes old": post(nil, now.Add(-6*time.Minute), click), "six minutes early": post(nil, now.Add(6*time.Minute), click),
	} {
		if got != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, got)
		}
	}
	if s.request(r.ID).State != access.Pending {
		t.Fatal("decided by a forger")
	}
	for range 3 { // the first is Slack's, the others somebody's who saw it
		if got := post(nil, now.Add(-4*time.Minute), click); got != http.StatusOK {
			t.Errorf("signed: %d", got)
		}
	}
	s.until("the approval", func() bool { return s.request(r.ID).State == access.Approved })
	s.deliver(click) // the same once more by the other way
	if n := len(s.events("request.approved")); n != 1 {
		t.Errorf("%d approvals", n)
	}
	command := s.ws.Command("Uana")
	if got := post(nil, now, command); got != http.StatusOK {
		t.Errorf("command: %d", got)
	}
	s.until("the form", func() bool { v, _ := s.ws.View("Uana"); return v.Callback == "ask" })
}

// The switches: a person who wants no messages, a dataset that is none of Slack's, an address that is nobody's there.
func TestOff(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide)
	p := testPolicy(policy.SlackDecide)
	p.Users["emil"].NoSlack = true
	s.p.Store(p)
	s.asks("payroll", "")
	if n := len(s.ws.Messages("Uemil")); n != 0 {
		t.Errorf("emil has %d messages", n)
	}
	if n := len(s.ws.Messages("Udora")); n != 1 {
		t.Errorf("dora has %d messages", n)
	}
	s.asks("secretly", "")
	if n := len(s.ws.Messages("Udora")); n != 1 {
		t.Errorf("dora has %d messages, one about a dataset that is off", n)
	}
	s.ws.Change(workspace.User{ID: "Udora", Email: "dora@example.com", Unconfirmed: true})
	s.asks("two", "")
	if n := len(s.ws.Messages("Udora")); n != 1 {
		t.Errorf("dora has %d messages, one at an address that she has not confirmed", n)
	}
}

// The longest texts that people can write fit Slack's limits.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide).run()
	p := testPolicy(policy.SlackDecide)
	for i := range 130 {
		rule := *p.Rules[0]
		rule.Name = fmt.Sprintf("%s-%03d", strings.Repeat("r", 200-i), i)
		p.Rules = append(p.Rules, &rule)
	}
	s.p.Store(p)
	s.asks("payroll", strings.Repeat("ü<&", 333))
	s.first("Udora", "approve")
	s.deliver(s.ws.Command("Uana"))
	form := func(more bool) {
		t.Helper()
		s.until("the form", func() bool {
			v, _ := s.ws.View("Uana")
			if v.Callback != "ask" {
				return false
			}
			end := v.Blocks[len(v.Blocks)-1].Text
			return more && end != nil && strings.Contains(end.Text, "the portal has all of it") || !more && end == nil
		})
	}
	form(true)
	s.p.Store(testPolicy(policy.SlackDecide))
	s.deliver(s.ws.Command("Uana"))
	form(false)
}
