package slack_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/demo/workspace"
	"github.com/postern-sec/postern/internal/policy"
)

// inChannel is the site's policy with a channel for the dataset, and somebody who may break glass.
func (s *site) inChannel(id string) *policy.Policy {
	p := testPolicy(policy.SlackDecide)
	p.Datasets["staff"].Channel = id
	p.Groups["oncall"] = &policy.Group{Name: "oncall", Members: []string{"ana"}}
	p.BreakGlass = &policy.BreakGlass{Groups: []string{"oncall"}, Max: span("1h")}
	s.p.Store(p)
	return p
}

// kinds counts what the trail has of a kind.
func (l *trail) kinds(kind audit.Kind) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, e := range l.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// A channel reads who asks and what became of it, and nothing that people wrote; there is no button to decide with.
func TestChannel(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide)
	s.inChannel("C0STAFF")
	s.run()
	r := s.asks("payroll", "the salary of emil")
	posts := s.ws.Posts("C0STAFF")
	if len(posts) != 1 || posts[0].Text != "ana asks for staff" || strings.Contains(posts[0].Says(), "salary") {
		t.Fatalf("posted: %+v", posts)
	}
	for action, want := range map[string]bool{"approve": false, "deny": false, "open": true} {
		if _, there := posts[0].Button(action); there != want {
			t.Errorf("a button %s: %v", action, there)
		}
	}
	if _, err := s.desk.Deny(t.Context(), s.as("dora"), r.ID, "not the salaries"); err != nil {
		t.Fatal(err)
	}
	s.until("the edit", func() bool { return strings.Contains(s.ws.Posts("C0STAFF")[0].Says(), "Denied by dora") })
	m := s.ws.Posts("C0STAFF")[0]
	if strings.Contains(m.Says(), "salar") || m.Text != "ana asked for staff: denied" {
		t.Errorf("edited to %q\n%s", m.Text, m.Says())
	}
	s.until("the edits in the trail", func() bool { return s.trail.kinds(audit.NoticeEdited) >= 2 })
}

// Nothing is posted where no channel is named, where the dataset is none of Slack's, or where the channel was taken out meanwhile. One
// that the app was not invited to is a dead delivery, and costs nobody theirs.
func TestNoChannel(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide)
	s.asks("payroll", "")
	s.inChannel("C0STAFF").Datasets["staff"].Slack = policy.SlackOff
	s.asks("two", "")
	s.inChannel("C0STAFF")
	if _, err := s.desk.Request(t.Context(), s.as("ana"), access.Ask{Rule: "formal"}); err != nil {
		t.Fatal(err)
	}
	s.inChannel("C0OTHER")
	s.turn()
	if n := len(s.ws.Posts("C0STAFF")) + len(s.ws.Posts("C0OTHER")); n != 0 {
		t.Errorf("%d posts", n)
	}
	before := len(s.ws.Messages("Udora"))
	if _, err := s.desk.Request(t.Context(), s.as("dora"), access.Ask{Rule: "payroll"}); err != nil {
		t.Fatal(err)
	}
	s.turn()
	if s.trail.kinds(audit.NoticeDead) != 1 || len(s.ws.Messages("Udora")) != before+1 || len(s.ws.Posts("C0OTHER")) != 0 {
		t.Errorf("%d dead, dora has %d messages more", s.trail.kinds(audit.NoticeDead), len(s.ws.Messages("Udora"))-before)
	}
}

// The alarm reaches everybody who was skipped, and the channel, once, also when it is told again.
func TestBreakGlassAlarm(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide)
	s.inChannel("C0STAFF")
	ana := s.as("ana")
	ana.Factor = s.now()
	if _, err := s.desk.Request(t.Context(), ana, access.Ask{Rule: "payroll", Break: true, Note: "incident 815"}); err != nil {
		t.Fatal(err)
	}
	s.turn()
	s.ahead.Add(int64(time.Hour / 2))
	s.turn()
	for where, note := range map[string]bool{"DUdora": true, "DUemil": true, "C0STAFF": false} {
		posts := s.ws.Posts(where)
		if len(posts) != 1 || !strings.HasPrefix(posts[0].Text, "BREAK-GLASS: ana took access to staff") || strings.Contains(posts[0].Says(), "incident 815") != note {
			t.Errorf("%s: %+v", where, posts)
		}
	}
	if posts := s.ws.Posts("DUfinn"); len(posts) != 0 {
		t.Errorf("finn, whom it does not concern: %+v", posts)
	}
	if slices.ContainsFunc(s.ws.Posts("DUana"), func(m workspace.Message) bool { return strings.HasPrefix(m.Text, "BREAK-GLASS") }) {
		t.Error("ana is told of her own emergency")
	}
}

// New secrets are taken up within a minute, without a restart: what goes out, and what comes in. The old ones are worth nothing.
func TestRotation(t *testing.T) {
	t.Parallel()
	s := newSite(t, policy.SlackDecide).run()
	server := httptest.NewServer(s.app)
	t.Cleanup(server.Close)
	r := s.asks("payroll", "")
	m, b := s.first("Udora", "approve")
	old, err := s.ws.Request(server.URL, s.ws.Click("Udora", m, b), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.has(s.ws.Rotate())
	s.asks("two", "")
	if n := len(s.ws.Messages("Uemil")); n != 1 {
		t.Errorf("emil was told by a token that is worth nothing: %d messages", n)
	}
	s.ahead.Add(int64(time.Minute))
	s.turn()
	if n := len(s.ws.Messages("Uemil")); n != 2 {
		t.Errorf("emil has %d messages, after the new token was read", n)
	}
	call := func(r *http.Request) int {
		t.Helper()
		answer, err := http.DefaultClient.Do(r.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	if code := call(old); code != http.StatusUnauthorized {
		t.Errorf("signed with the secret of before: %d", code)
	}
	now, err := s.ws.Request(server.URL, s.ws.Click("Udora", m, b), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if code := call(now); code != http.StatusOK {
		t.Errorf("signed with the secret of now: %d", code)
	}
	s.until("the approval", func() bool { return s.request(r.ID).State == access.Approved })
	// A socket that ends is opened again with the new token.
	opened := s.ws.Calls("apps.connections.open")
	s.ws.Hang()
	s.until("sockets by the new token", func() bool { return s.ws.Calls("apps.connections.open") >= opened+2 && s.ws.Sockets() == 2 })
}
