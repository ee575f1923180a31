package notify_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/demo/workspace"
	"github.com/postern-sec/postern/internal/notify"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/slack"
	"github.com/postern-sec/postern/internal/state"
)

// town is a site with all three ways to people: a mail server, a receiver of webhooks and a small Slack, before a desk on a real state
// file. Everybody has an address but emil; olga wants nothing in Slack; nothing concerns finn.
type town struct {
	t       *testing.T
	db      *state.DB
	desk    *access.Desk
	courier *notify.Courier
	p       *policy.Policy
	now     time.Time
	ids     int
	box     *mailbox
	ws      *workspace.Workspace
	texts   *notify.Mail

	mu    sync.Mutex
	hooks []notify.Message
}

var everybody = []string{"ana", "dora", "emil", "olga", "hugo", "root", "finn"}

// circles are the words of the guide.
var circles = map[string][]string{
	"approvers": {"dora", "emil"}, "requester": {"ana"}, "owners": {"olga"}, "admins": {"root"}, "deputy": {"hugo"}, "who is away": {"dora"}, "channel": {room},
}

// room is the dataset's channel.
const room = "C0STAFF"

func townPolicy(use policy.SlackUse) *policy.Policy {
	p := &policy.Policy{
		Stores: map[string]*policy.Store{"shop": {Name: "shop"}}, Digest: "d", Users: map[string]*policy.User{},
		Groups: map[string]*policy.Group{"office": {Name: "office", Members: []string{"dora", "emil"}}, "oncall": {Name: "oncall", Members: []string{"ana"}}},
		Datasets: map[string]*policy.Dataset{
			"staff": {Name: "staff", Owners: []string{"olga"}, Slack: use, Channel: room, Include: []policy.TablePattern{{Store: "shop"}}},
		},
		BreakGlass: &policy.BreakGlass{Groups: []string{"oncall"}, Max: spanOf("1h")},
	}
	for _, name := range everybody {
		p.Users[name] = &policy.User{Name: name, Attributes: map[string]string{"email": name + "@example.com"}}
	}
	delete(p.Users["emil"].Attributes, "email")
	p.Users["olga"].NoSlack = true
	add := func(name string, kind policy.RequestKind, approvers ...string) *policy.Request {
		q := &policy.Request{Kind: kind, Max: spanOf("60d"), Default: spanOf("8h"), Expires: spanOf("7d"), Note: policy.NoteNone}
		if len(approvers) > 0 {
			q.Approvers = []policy.Step{{Names: approvers, Min: 1}}
		}
		p.Rules = append(p.Rules, &policy.Rule{Name: name, To: []string{"ana"}, On: "staff", Level: policy.Read, Enabled: true, Request: q, Order: len(p.Rules)})
		return q
	}
	add("ask", policy.OnRequest, "group:office")
	add("orphan", policy.OnRequest, "group:nobody")
	add("self", policy.SelfService)
	add("unused", policy.SelfService).Unused = 10
	return p
}

func spanOf(text string) policy.Span {
	s, err := policy.ParseSpan(text)
	if err != nil {
		panic(err)
	}
	return s
}

func newTown(t *testing.T, use policy.SlackUse) *town {
	t.Helper()
	w := &town{t: t, p: townPolicy(use), now: time.Now().Truncate(time.Second)}
	var err error
	if w.db, err = state.Open(t.Context(), filepath.Join(t.TempDir(), "s.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.db.Close() })
	now := func() time.Time { return w.now }
	admins := func(context.Context) ([]string, error) { return []string{"root"}, nil }
	w.desk = access.NewDesk(access.Config{
		Store: w.db, Policy: func() *policy.Policy { return w.p }, Now: now, NewID: func() string { w.ids++; return fmt.Sprintf("id%05d", w.ids) }, Admins: admins,
	})
	server, client := certificate(t)
	w.box, w.texts = &mailbox{tls: server}, texts(t)
	w.texts.Server, w.texts.Roots = listen(t, w.box), client
	receiver := httptest.NewServer(http.HandlerFunc(w.hook))
	t.Cleanup(receiver.Close)
	webhook := &notify.Webhook{URL: receiver.URL, Secret: secret.New("shared"), Now: now}
	w.courier = notify.New(notify.Config{
		Outbox: w.db, Access: w.db, Policy: func() *policy.Policy { return w.p }, Transports: []notify.Transport{w.texts, webhook, w.slack(now)}, Audit: &trail{},
		Log: slog.New(slog.DiscardHandler), Now: now, Link: "https://postern.example", Admins: admins,
	})
	return w
}

func (w *town) slack(now func() time.Time) *slack.App {
	var users []workspace.User
	for _, name := range everybody {
		users = append(users, workspace.User{ID: "U" + name, Email: name + "@example.com", Name: name})
	}
	var err error
	if w.ws, err = workspace.New(users...); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.ws.Close)
	w.ws.Invite(room)
	return slack.New(slack.Config{
		Tokens: func(context.Context) (slack.Tokens, error) { return slack.Tokens{Bot: secret.New(w.ws.Bot)}, nil },
		API:    w.ws.API(), Domains: []string{"example.com"}, Copies: w.db, Calls: w.db, Desk: w.desk, Access: w.db, Policy: func() *policy.Policy { return w.p },
		Active: func(context.Context, string) (bool, error) { return true, nil }, Texts: w.texts.Texts, Audit: &trail{}, Log: slog.New(slog.DiscardHandler), Now: now,
	})
}

func (w *town) hook(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var m notify.Message
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		w.t.Error(err)
	}
	w.hooks = append(w.hooks, m)
	rw.WriteHeader(http.StatusNoContent)
}

// turn delivers what there is.
func (w *town) turn() {
	w.t.Helper()
	if err := w.courier.Turn(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) pass(d time.Duration) {
	w.t.Helper()
	w.now = w.now.Add(d)
	if err := w.desk.Tick(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.turn()
}

func (w *town) as(name string) access.Actor {
	s, _ := w.p.Subject(name)
	return access.Actor{Subject: s, Channel: "cli", Factor: w.now}
}

func (w *town) ask(a access.Ask) *access.Outcome {
	w.t.Helper()
	out, err := w.desk.Request(w.t.Context(), w.as("ana"), a)
	w.must(err)
	return out
}

func (w *town) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	w.turn()
}

func (w *town) built(ok bool) {
	w.t.Helper()
	live, err := w.db.Grants(w.t.Context(), access.Filter{Open: true})
	w.must(err)
	w.must(w.desk.Built(w.t.Context(), live, func(*access.Grant) (bool, string) { return ok, "why not" }, func(*access.Grant) bool { return true }))
}

// told lists who was told of a kind, by each way, sorted; somebody who was told twice is there twice.
func (w *town) told(kind string) map[string][]string {
	out := map[string][]string{}
	titles := map[string]bool{"ana asks for staff": kind == "request.posted"}
	for i := range w.hooks {
		if m := &w.hooks[i]; m.Kind == kind {
			out["webhook"] = append(out["webhook"], m.To)
			title, _, err := notify.Compose(w.texts.Texts, m)
			if err != nil {
				w.t.Fatal(err)
			}
			titles[title] = true
		}
	}
	for _, raw := range w.box.mails {
		m, err := mail.ReadMessage(strings.NewReader(raw))
		if err != nil {
			w.t.Fatal(err)
		}
		if to, _ := mail.ParseAddress(m.Header.Get("To")); m.Header.Get("Postern-Kind") == kind {
			out["mail"] = append(out["mail"], strings.TrimSuffix(to.Address, "@example.com"))
		}
	}
	for _, name := range everybody {
		for _, m := range w.ws.Messages("U" + name) {
			if titles[m.Text] {
				out["slack"] = append(out["slack"], name)
			}
		}
	}
	for _, m := range w.ws.Posts(room) {
		if titles[m.Text] {
			out["slack"] = append(out["slack"], room)
		}
	}
	for way := range out {
		slices.Sort(out[way])
	}
	return out
}

// plays makes each notice of the guide happen, by its kind and what stands beside it there.
var plays = map[string]func(w *town){
	"request.new":        func(w *town) { w.ask(access.Ask{Rule: "ask"}) },
	"request.posted":     func(w *town) { w.ask(access.Ask{Rule: "ask"}) },
	"request.reminder":   func(w *town) { w.ask(access.Ask{Rule: "ask"}); w.pass(84 * time.Hour) },
	"request.sent":       func(w *town) { w.ask(access.Ask{Rule: "ask"}) },
	"request.approved":   func(w *town) { w.approved() },
	"request.denied":     func(w *town) { w.decides(w.desk.Deny) },
	"request.expired":    func(w *town) { w.ask(access.Ask{Rule: "ask"}); w.pass(7 * 24 * time.Hour) },
	"request.superseded": func(w *town) { w.ask(access.Ask{Rule: "ask"}); w.off("ask") },
	"request.nobody": func(w *town) {
		if _, err := w.desk.Request(w.t.Context(), w.as("ana"), access.Ask{Rule: "orphan"}); err == nil {
			w.t.Fatal("granted by nobody")
		}
		w.turn()
	},
	"grant.active":      func(w *town) { w.ask(access.Ask{Rule: "self"}); w.built(true) },
	"grant.ends_in_24h": func(w *town) { w.ask(access.Ask{Rule: "self", For: spanOf("3d")}); w.pass(48 * time.Hour) },
	"grant.ends_in_1h":  func(w *town) { w.ask(access.Ask{Rule: "self"}); w.pass(7 * time.Hour) },
	"grant.ended":       func(w *town) { w.ask(access.Ask{Rule: "self"}); w.pass(8 * time.Hour) },
	"grant.revoked somebody ended it": func(w *town) {
		_, err := w.desk.Revoke(w.t.Context(), w.as("olga"), w.ask(access.Ask{Rule: "self"}).Grant.ID, "enough")
		w.must(err)
	},
	"grant.revoked nobody used it": func(w *town) {
		w.ask(access.Ask{Rule: "unused", For: spanOf("30d")})
		w.pass(10 * 24 * time.Hour)
	},
	"grants.lost": func(w *town) {
		w.ask(access.Ask{Rule: "self"})
		w.ask(access.Ask{Rule: "unused"})
		w.p.Rule("self").To, w.p.Rule("unused").To = []string{"group:oncall"}, []string{"group:oncall"}
		w.p.Groups["oncall"].Members = nil
		w.must(w.desk.Recheck(w.t.Context()))
	},
	"grant.failed": func(w *town) {
		w.ask(access.Ask{Rule: "self", For: spanOf("30d")})
		w.built(false)
		w.pass(24 * time.Hour)
		w.built(false)
	},
	"grant.suspended": func(w *town) { w.ask(access.Ask{Rule: "self"}); w.off("self") },
	"grant.resumed": func(w *town) {
		g := w.ask(access.Ask{Rule: "self"}).Grant
		_, err := w.desk.Suspend(w.t.Context(), w.as("olga"), g.ID, "")
		w.must(err)
		_, err = w.desk.Resume(w.t.Context(), w.as("olga"), g.ID, "")
		w.must(err)
	},
	"grant.unused":       func(w *town) { w.ask(access.Ask{Rule: "unused", For: spanOf("30d")}); w.pass(7 * 24 * time.Hour) },
	"breakglass.started": func(w *town) { w.ask(access.Ask{Rule: "ask", Break: true, Note: "fire"}) },
	"breakglass.overdue": func(w *town) {
		w.ask(access.Ask{Rule: "ask", Break: true, Note: "fire"})
		w.pass(time.Hour)
		w.pass(71 * time.Hour)
	},
	"review.opened":   func(w *town) { w.reviews(0) },
	"review.reminder": func(w *town) { w.reviews(2 * 24 * time.Hour) },
	"review.overdue":  func(w *town) { w.reviews(4 * 24 * time.Hour) },
	"approver.delegated": func(w *town) {
		_, err := w.desk.Delegate(w.t.Context(), w.as("dora"), "hugo", w.now.Add(time.Hour))
		w.must(err)
	},
	"approver.recalled": func(w *town) {
		d, err := w.desk.Delegate(w.t.Context(), w.as("dora"), "hugo", w.now.Add(time.Hour))
		w.must(err)
		_, err = w.desk.Recall(w.t.Context(), w.as("dora"), d.ID)
		w.must(err)
	},
	// Who hears of these is for internal/people, internal/sso and internal/directory to say; by which way is said here.
	"emergency.login":  func(w *town) { w.alarm("emergency.login") },
	"groups.unknown":   func(w *town) { w.alarm("groups.unknown") },
	"recheck.failed":   func(w *town) { w.alarm("recheck.failed") },
	"directory.failed": func(w *town) { w.alarm("directory.failed") },
	"notice.dead": func(w *town) {
		w.p.Users["dora"].Attributes["email"], w.p.Users["dora"].NoSlack = "gone@example.com", true
		w.ask(access.Ask{Rule: "ask"})
		w.turn()
	},
}

func (w *town) decides(how func(context.Context, access.Actor, string, string) (*access.Outcome, error)) {
	_, err := how(w.t.Context(), w.as("dora"), w.ask(access.Ask{Rule: "ask"}).Request.ID, "because")
	w.must(err)
}

// reviews lets a review of the dataset begin, and time pass.
func (w *town) reviews(after time.Duration) {
	w.ask(access.Ask{Rule: "self", For: spanOf("30d")})
	w.p.Datasets["staff"].Review = &policy.Review{Every: spanOf("90d"), Due: spanOf("4d")}
	w.pass(0)
	w.pass(after)
}

func (w *town) approved() { w.decides(w.desk.Approve) }

func (w *town) off(rule string) {
	w.p.Rule(rule).Enabled = false
	w.must(w.desk.Recheck(w.t.Context()))
}

func (w *town) alarm(kind string) {
	w.must(w.db.Commit(w.t.Context(), access.Change{Notices: []access.Notice{{Kind: kind, To: "root", At: w.now}}}))
}

// route is a row of the guide.
type route struct{ kind, when, who string }

var routeRow = regexp.MustCompile("^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]+) \\|$")

func guideRoutes(t *testing.T) []route {
	t.Helper()
	file, err := os.Open("../../docs/guide/notices.md")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var out []route
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if m := routeRow.FindStringSubmatch(lines.Text()); m != nil {
			out = append(out, route{m[1], strings.TrimSpace(m[2]), strings.TrimSpace(m[3])})
		}
	}
	return out
}

// Every row of the guide's table is played: whoever it names is told, once, by each way that reaches them, and nobody else is.
func TestRoutes(t *testing.T) {
	t.Parallel()
	played := map[string]bool{}
	for _, r := range guideRoutes(t) {
		key := r.kind
		if plays[key] == nil {
			key += " " + r.when
		}
		play := plays[key]
		if play == nil {
			t.Errorf("nothing plays %q", key)
			continue
		}
		played[key] = true
		var who []string
		for _, circle := range strings.Split(r.who, ", ") {
			if circles[circle] == nil {
				t.Errorf("%s: %q is nobody", r.kind, circle)
			}
			who = append(who, circles[circle]...)
		}
		slices.Sort(who)
		uses := []policy.SlackUse{policy.SlackNotices}
		if slices.Contains([]string{"request.new", "request.posted", "grant.active", "grants.lost", "breakglass.started", "groups.unknown"}, r.kind) {
			uses = append(uses, policy.SlackOff)
		}
		for _, use := range uses {
			t.Run(key+" "+string(use), func(t *testing.T) {
				t.Parallel()
				w := newTown(t, use)
				play(w)
				want := map[string][]string{}
				for _, name := range who {
					if name != room {
						want["webhook"] = append(want["webhook"], name)
					}
					if name != room && name != "emil" && (r.kind != notify.Dead || name != "dora") {
						want["mail"] = append(want["mail"], name)
					}
					if name != "emil" && name != "olga" && (use != policy.SlackOff || r.kind == "groups.unknown") {
						want["slack"] = append(want["slack"], name)
					}
				}
				if got := w.told(r.kind); !maps.EqualFunc(got, want, slices.Equal) {
					t.Errorf("told %v, want %v", got, want)
				}
				if w.texts.Texts.Lookup(r.kind) == nil {
					t.Error("there is no text for it")
				}
			})
		}
	}
	for key := range plays {
		if !played[key] {
			t.Errorf("the guide has no row for %q", key)
		}
	}
}

// What is no longer so when it could be delivered is told by no way; what still is, is.
func TestOvertakenIsDropped(t *testing.T) {
	t.Parallel()
	for _, revoked := range []bool{true, false} {
		w := newTown(t, policy.SlackNotices)
		g := w.ask(access.Ask{Rule: "self"}).Grant
		w.now = w.now.Add(7 * time.Hour)
		if err := w.desk.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if revoked {
			if _, err := w.desk.Revoke(t.Context(), w.as("olga"), g.ID, ""); err != nil {
				t.Fatal(err)
			}
		}
		w.turn()
		if got := w.told("grant.ends_in_1h"); len(got) == 0 != revoked {
			t.Errorf("revoked %v: told %v", revoked, got)
		}
	}
}

// Of a way that does not deliver, admins hear once an hour, and never of what tells them.
func TestDeadIsToldOnceAnHour(t *testing.T) {
	t.Parallel()
	w := newTown(t, policy.SlackOff)
	for _, name := range []string{"ana", "dora", "olga", "root"} {
		w.p.Users[name].Attributes["email"] = "gone@example.com"
	}
	w.ask(access.Ask{Rule: "self"})
	w.built(true) // ana and olga are told, in vain
	for range 3 {
		w.turn()
	}
	if got := w.told(notify.Dead)["webhook"]; !slices.Equal(got, []string{"root"}) {
		t.Errorf("told %q", got)
	}
	w.pass(8 * time.Hour) // ana is told of the end, in vain
	w.turn()
	w.turn()
	got := w.told(notify.Dead)["webhook"]
	last := w.hooks[len(w.hooks)-1]
	if !slices.Equal(got, []string{"root", "root"}) || !strings.Contains(last.Reason, "grant.ended by mail to ana: 550") || last.Grant == "" {
		t.Errorf("told %q, last %+v", got, last)
	}
}

// What a webhook's address says stays out of errors: its path is often a secret.
func TestWebhookAddressIsKept(t *testing.T) {
	t.Parallel()
	w := &notify.Webhook{URL: "http://127.0.0.1:1/services/T000/hush", Secret: secret.New("s"), Now: time.Now}
	if err := w.Send(t.Context(), &notify.Message{ID: "x"}); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("the error is %v", err)
	}
}
