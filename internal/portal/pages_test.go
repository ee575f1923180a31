package portal_test

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/state"
	"github.com/postern-sec/postern/test/contract"
)

const (
	password  = "four plain words here"
	portalURL = "https://postern.example"
)

// trail keeps what was recorded, and can be broken.
type trail struct {
	mu     sync.Mutex
	events []audit.Event
	broken error
}

func (l *trail) Record(_ context.Context, e audit.Event) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.events = append(l.events, e)
	}
	return "", l.broken
}

func (l *trail) RecordSoon(audit.Event) error { return nil }

func (l *trail) has(kind audit.Kind, subject string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Kind == kind && e.Subject == subject {
			return true
		}
	}
	return false
}

// place is a portal over a real state file, with a browser for everybody.
type place struct {
	t       *testing.T
	server  *httptest.Server
	trail   *trail
	people  *people.Registry
	db      *state.DB
	folder  string     // of a trail that pages read; empty until somebody writes one
	key     *audit.Key // of that trail; nil until then
	changes portal.Changes
	pol     *policy.Policy // in force
	columns []portal.Column
	cookies map[string]*http.Cookie // of browsers, by whose they are

	mu        sync.Mutex
	terminals map[string]string // tokens, by the cookies of the browsers that let them in
	// contract is the document that the portal serves.
	contract *contract.Document
}

func samplePolicy(t *testing.T) *policy.Policy {
	t.Helper()
	scram, err := identity.HashPassword(secret.New(password), 1, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	hour, err := policy.ParseSpan("1h")
	if err != nil {
		t.Fatal(err)
	}
	column := policy.Column{Table: policy.Table{Store: "shop", Schema: "public", Name: "payroll"}, Column: "iban"}
	pattern := []policy.TablePattern{{Store: "shop", Schema: "public", Table: "payroll"}}
	p := &policy.Policy{
		Stores: map[string]*policy.Store{"shop": {Name: "shop"}}, OwnersWithoutFactor: true,
		Users:  map[string]*policy.User{"ana": {Name: "ana", SCRAM: scram}, "dora": {Name: "dora", SCRAM: scram}, "sam": {Name: "sam", SCRAM: scram}},
		Labels: map[policy.Column]*policy.Label{column: {Column: column, Class: "fin.iban"}},
		Datasets: map[string]*policy.Dataset{
			"staff": {Name: "staff", Owners: []string{"dora"}, Include: pattern, Statement: policy.StatementOmit},
		},
	}
	p.Rules = []*policy.Rule{{
		Name: "payroll-review", To: []string{"ana"}, On: "staff", Level: policy.Read, Enabled: true,
		Request: &policy.Request{
			Kind: policy.OnRequest, Max: hour, Default: hour, Expires: hour, Note: policy.NoteRequester,
			Approvers: []policy.Step{{Names: []string{"dora"}, Min: 1}},
		},
	}}
	return p
}

func newPlace(t *testing.T, but ...func(*portal.Config)) *place {
	t.Helper()
	p := &place{t: t, trail: &trail{}, folder: t.TempDir(), pol: samplePolicy(t), cookies: map[string]*http.Cookie{}, terminals: map[string]string{}}
	current := func() *policy.Policy { return p.pol }
	var err error
	if p.db, err = state.Open(t.Context(), filepath.Join(t.TempDir(), "s.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.db.Close() })
	mock, err := identity.NewMock([]byte("the secret of an installation"), 1)
	if err != nil {
		t.Fatal(err)
	}
	p.people, err = people.New(people.Config{
		Accounts: p.db, Sessions: p.db, Devices: p.db, Policy: current, Audit: p.trail, Throttle: identity.NewThrottle(), Mock: mock,
		Key: secret.New("root"), Now: time.Now, Random: rand.Reader, Cost: people.Cost{Memory: 64, Passes: 1, Threads: 1},
		URL: portalURL, Challenges: p.db,
	})
	if err != nil {
		t.Fatal(err)
	}
	desk := access.NewDesk(access.Config{Store: p.db, Policy: current, Now: time.Now, NewID: func() string { return strings.ToLower(rand.Text()[:12]) }})
	table := policy.Table{Store: "shop", Schema: "public", Name: "payroll"}
	p.columns = []portal.Column{{Column: policy.Column{Table: table, Column: "iban"}, Type: "text"}, {Column: policy.Column{Table: table, Column: "id"}, Type: "integer"}}
	config := portal.Config{
		Desk: desk, Access: p.db, Credentials: p.db, Policy: current, Audit: p.trail, People: p.people, Mock: mock, Random: rand.Reader,
		Views: p.db, Outlines: p.db, Log: slog.New(slog.DiscardHandler), Gateway: "127.0.0.1:6432", Trail: p.folder, Version: "test",
		Look:    time.Minute, // how far a search comes is for the tests of that, and not for the machine to say
		Columns: func() []portal.Column { return p.columns }, Changes: func() portal.Changes { return p.changes },
		Health: func() map[string]string { return map[string]string{"shop": ""} },
		Settings: func() []portal.SettingGroup {
			return []portal.SettingGroup{{Name: "Gateway", Where: "postern.yaml:7:1", Restart: true, Settings: []portal.Setting{{Key: "parser", Value: "embedded"}}}}
		},
	}
	for _, change := range but {
		change(&config)
	}
	p.server = httptest.NewServer(portal.New(config))
	t.Cleanup(p.server.Close)
	answer, text := p.call("", http.MethodGet, "/api/v1/openapi.json", nil, nil)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the document: %s", answer.Status)
	}
	if p.contract, err = contract.Read([]byte(text)); err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"ana", "dora", "sam"} {
		p.signIn(who)
	}
	for _, role := range []people.Role{people.Admin, people.Editor, people.Reader, people.Auditor} {
		p.cookies[string(role)] = &http.Cookie{Name: "postern", Value: p.account(string(role), role).Reveal()}
	}
	return p
}

func (p *place) account(name string, role people.Role) secret.Text {
	p.t.Helper()
	ctx, from := p.t.Context(), people.From{Addr: netip.MustParseAddr("192.0.2.1"), Channel: "portal"}
	inv, err := p.people.Create(ctx, "", name, role, from)
	if err != nil {
		p.t.Fatal(err)
	}
	e, err := p.people.Accept(ctx, inv.Code, secret.New(password), from)
	if err != nil {
		p.t.Fatal(err)
	}
	set, err := p.people.Enrol(ctx, e.Token)
	if err != nil {
		p.t.Fatal(err)
	}
	if e, err = p.people.Confirm(ctx, e.Token, oneTime(p.t, set.Secret), from); err != nil {
		p.t.Fatal(err)
	}
	return e.Token
}

// terminal is the token of a terminal that somebody let in from their browser.
func (p *place) terminal(who string) string {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	cookie := p.cookies[who].Value
	if p.terminals[cookie] != "" {
		return p.terminals[cookie]
	}
	ctx, from := p.t.Context(), people.From{Addr: netip.MustParseAddr("192.0.2.1"), Channel: "cli"}
	code, d, err := p.people.StartDevice(ctx, 0, "", from)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, _, err := p.people.DecideDevice(ctx, secret.New(cookie), d.Code, true, from); err != nil {
		p.t.Fatal(err)
	}
	e, err := p.people.RedeemDevice(ctx, code, secret.Text{}, secret.Text{}, from)
	if err != nil {
		p.t.Fatal(err)
	}
	p.terminals[cookie] = e.Token.Reveal()
	return p.terminals[cookie]
}

// oneTime is what an authenticator shows now, worked out without the code under test.
func oneTime(t *testing.T, seed string) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(seed)
	if err != nil {
		t.Fatal(err)
	}
	var m [8]byte
	binary.BigEndian.PutUint64(m[:], uint64(time.Now().Unix()/30))
	h := hmac.New(sha1.New, key)
	h.Write(m[:])
	sum := h.Sum(nil)
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff)%1_000_000)
}

// call makes a call as somebody's browser would, and follows no redirect.
func (p *place) call(who, method, path string, form url.Values, head map[string]string) (*http.Response, string) {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for k, v := range head {
		r.Header.Set(k, v)
	}
	if c := p.cookies[who]; c != nil {
		r.AddCookie(c)
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer, string(text)
}

func (p *place) signIn(who string) {
	p.t.Helper()
	answer, text := p.call("", http.MethodPost, "/sign-in", url.Values{"user": {who}, "password": {password}}, nil)
	if answer.StatusCode != http.StatusSeeOther || len(answer.Cookies()) != 1 {
		p.t.Fatalf("%s signs in: %s\n%s", who, answer.Status, text)
	}
	p.cookies[who] = answer.Cookies()[0]
}

// csrf is what the forms of somebody's pages carry. Every page that has forms of its own does for all.
func (p *place) csrf(who string) string {
	return people.FormToken(secret.New(p.cookies[who].Value)).Reveal()
}

func (p *place) post(who, path string, form url.Values) (*http.Response, string) {
	p.t.Helper()
	form.Set("csrf", p.csrf(who))
	return p.call(who, http.MethodPost, path, form, nil)
}

// routeName is what a form for a name is sent with.
var routeName = map[string]string{"/trail/views": "Refused today", "/trail/views/x/rename": "Refused"}

// Every page and every action as every role, against a table that is written down here and nowhere else.
func TestEveryRouteAsEveryRole(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if _, err := p.people.Create(t.Context(), "", "gone", people.Reader, people.From{Channel: "portal"}); err != nil {
		t.Fatal(err)
	}
	all := []string{"ana", "dora", "sam", "admin", "editor", "reader", "auditor"}
	for _, route := range []struct{ method, path, who string }{
		{"GET", "/catalogue", "*"},
		{"GET", "/datasets/staff", "*"},
		{"GET", "/inbox", "*"},
		{"GET", "/mine", "*"},
		{"GET", "/connect", "*"},
		{"GET", "/account", "*"},
		{"GET", "/tokens", "*"},
		{"POST", "/tokens", ""}, // without anything that it is for
		{"GET", "/away", "*"},
		{"POST", "/away", ""}, // without anybody
		{"POST", "/away/x/end", ""},
		{"POST", "/account/password", ""}, // without the old one
		{"GET", "/health/settings", "admin"},
		{"GET", "/account/prove", "*"},
		{"POST", "/account/prove", ""}, // with a code that is wrong, or none
		{"POST", "/account/prove/passkey", ""},
		{"POST", "/account/passkeys", ""}, // without what a device answers
		{"POST", "/account/passkeys/x/remove", ""},
		{"GET", "/ask/payroll-review", "ana"},
		{"GET", "/ask/payroll-review?extends=x", ""}, // nobody holds it
		{"GET", "/grants", "dora admin auditor"},
		{"GET", "/trail", "admin auditor"},
		{"GET", "/trail/sessions/x", "admin auditor"},
		{"GET", "/trail/views/x", ""}, // nobody has one of that name
		{"POST", "/trail/views", "admin auditor"},
		{"POST", "/trail/views/x/rename", ""},
		{"POST", "/trail/views/x/delete", ""},
		{"GET", "/policy/changes?from=x&to=y", ""}, // neither was ever in force
		{"GET", "/policy/changes", ""},
		{"GET", "/policy", "admin editor reader auditor"},
		{"GET", "/explain", "admin editor reader auditor"},
		{"GET", "/posture", "admin editor reader auditor"},
		{"GET", "/discovery", "admin editor reader auditor"},
		{"GET", "/people", "admin"},
		{"GET", "/health", "admin reader"},
		{"POST", "/explain", ""}, // there is no engine here
		{"POST", "/discovery", ""},
		{"POST", "/policy", ""},
		{"POST", "/people", ""},          // without a name
		{"POST", "/people/x/invite", ""}, // there is nobody of that name
		{"POST", "/people/x/role", ""},
		{"POST", "/people/x/enable", ""},
		{"POST", "/people/gone/end", "admin"},
		{"POST", "/ask/payroll-review", "ana"},
		{"POST", "/requests/x/approve", ""}, // there is none: nobody gets past the desk
		{"POST", "/requests/x/deny", ""},
		{"POST", "/requests/x/withdraw", ""}, // no such action of an approver
		{"POST", "/mine/x/revoke", ""},
		{"POST", "/mine/x/withdraw", ""},
		{"POST", "/mine/x/confirm", ""},
		{"POST", "/connect", ""}, // nobody holds anything
		{"POST", "/credentials/x/revoke", ""},
		{"POST", "/grants/x/revoke", ""},
		{"POST", "/grants/x/suspend", ""},
		{"POST", "/grants/x/resume", ""},
		{"POST", "/grants/x/confirm", ""},
	} {
		for _, who := range all {
			may := route.who == "*" || strings.Contains(" "+route.who+" ", " "+who+" ")
			var answer *http.Response
			if route.method == "POST" {
				answer, _ = p.post(who, route.path, url.Values{"note": {"because"}, "name": {routeName[route.path]}, "query": {"verdict=refuse"}})
			} else {
				answer, _ = p.call(who, route.method, route.path, nil, nil)
			}
			if did := answer.StatusCode < 400; did != may || answer.StatusCode >= 500 {
				t.Errorf("%s %s as %s: %s", route.method, route.path, who, answer.Status)
			}
		}
		answer, _ := p.call("", route.method, route.path, url.Values{}, nil)
		if want := map[string]string{"GET": "/sign-in", "POST": "/sign-in?over=unsent"}[route.method]; answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != want {
			t.Errorf("%s %s without a session: %s to %s", route.method, route.path, answer.Status, answer.Header.Get("Location"))
		}
	}
	if answer, _ := p.call("ana", http.MethodHead, "/mine", nil, nil); answer.StatusCode != http.StatusOK {
		t.Errorf("HEAD is no way to look: %s", answer.Status)
	}
	if answer, _ := p.call("ana", http.MethodHead, "/trail", nil, nil); answer.StatusCode != http.StatusForbidden {
		t.Errorf("HEAD looks where GET may not: %s", answer.Status)
	}
	if answer, _ := p.post("editor", "/people/gone/end", url.Values{}); answer.StatusCode != http.StatusForbidden {
		t.Errorf("an editor signs somebody out: %s", answer.Status)
	}
	if !p.trail.has(audit.PortalRefused, "ana") || !p.trail.has(audit.TrailRead, "auditor") || p.trail.has(audit.PortalRefused, "admin") {
		t.Error("what was refused, or who read the trail, is not in the trail")
	}
}

// A refused statement's hint leads to its dataset, from there to the form, and its event goes with the request; what is no event's id does
// not (ACC-38).
func TestRefusedStatementAsks(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const event = "d20e13e4sq9ggmrk"
	_, text := p.call("ana", http.MethodGet, "/datasets/staff?event="+event, nil, nil)
	if !strings.Contains(text, "A statement of yours was refused") || !strings.Contains(text, `href="/ask/payroll-review?event=`+event+`"`) {
		t.Fatalf("the dataset shows\n%s", text)
	}
	_, text = p.call("ana", http.MethodGet, "/ask/payroll-review?event="+event, nil, nil)
	if !strings.Contains(text, `name="event" value="`+event+`"`) {
		t.Fatalf("the form shows\n%s", text)
	}
	for _, odd := range []string{"", "%3Cb%3E", "D20E13E4SQ9GGMRK", strings.Repeat("a", 40)} {
		for _, page := range []string{"/datasets/staff?event=", "/ask/payroll-review?event="} {
			if _, text := p.call("ana", http.MethodGet, page+odd, nil, nil); strings.Contains(text, "of yours was refused") || strings.Contains(text, `name="event"`) {
				t.Errorf("%s%s is taken for an event", page, odd)
			}
		}
	}
	if answer, text := p.post("ana", "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {"the report"}, "event": {event}}); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("ana asks: %s\n%s", answer.Status, text)
	}
	if _, text := p.call("dora", http.MethodGet, "/inbox", nil, nil); !strings.Contains(text, "the report\n(refused: event "+event+")") {
		t.Errorf("who decides does not hear of the event:\n%s", text)
	}
}

// A request, its decision and its end, each by who may and refused to who may not.
func TestAskDecideEnd(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if answer, text := p.post("ana", "/ask/payroll-review", url.Values{"for": {"2h"}, "note": {"<b>report</b>"}}); answer.StatusCode != http.StatusForbidden || !strings.Contains(text, "&lt;b&gt;report") {
		t.Errorf("longer than the rule's longest: %s; or what was typed is lost", answer.Status)
	}
	if answer, text := p.post("ana", "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {"<b>report</b>"}}); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("ana asks: %s\n%s", answer.Status, text)
	}
	_, text := p.call("dora", http.MethodGet, "/inbox", nil, nil)
	if !strings.Contains(text, "&lt;b&gt;report&lt;/b&gt;") || strings.Contains(text, "<b>report") || !strings.Contains(text, "fin.iban") || !strings.Contains(text, "read, for 1 hour") {
		t.Fatalf("the inbox shows\n%s", text)
	}
	at := regexp.MustCompile(`action="(/requests/[^"]+/approve)"`).FindStringSubmatch(text)
	if at == nil {
		t.Fatal("nothing to approve")
	}
	for _, who := range []string{"ana", "sam", "admin", "auditor"} {
		if answer, _ := p.post(who, at[1], url.Values{}); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s approves: %s", who, answer.Status)
		}
	}
	if answer, text := p.post("dora", at[1], url.Values{}); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("dora approves: %s\n%s", answer.Status, text)
	}
	_, text = p.call("dora", http.MethodGet, "/grants", nil, nil)
	end := regexp.MustCompile(`action="(/grants/[^"]+/revoke)"`).FindStringSubmatch(text)
	if end == nil {
		t.Fatalf("no grant to end:\n%s", text)
	}
	if _, text := p.call("auditor", http.MethodGet, "/grants", nil, nil); !strings.Contains(text, "payroll-review") || strings.Contains(text, end[1]) {
		t.Error("an auditor sees no grants, or may end one")
	}
	p.reviewed(strings.Split(end[1], "/")[2])
	if answer, _ := p.post("auditor", end[1], url.Values{}); answer.StatusCode != http.StatusForbidden {
		t.Errorf("an auditor ends a grant: %s", answer.Status)
	}
	if answer, _ := p.post("dora", end[1], url.Values{"note": {"done"}}); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("dora ends it: %s", answer.Status)
	}
	if _, text := p.call("ana", http.MethodGet, "/mine", nil, nil); !strings.Contains(text, "revoked") {
		t.Error("ana does not learn that it ended")
	}
}

// Whoever cannot see or ask for a dataset learns its name and owners, and nothing of its columns.
func TestColumnsAreForThoseWhoMayKnow(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for who, sees := range map[string]bool{"ana": true, "dora": true, "sam": false, "auditor": true} {
		for _, path := range []string{"/catalogue", "/datasets/staff"} {
			if _, text := p.call(who, http.MethodGet, path, nil, nil); strings.Contains(text, "iban") != sees || !strings.Contains(text, "staff") {
				t.Errorf("%s as %s: names of columns or labels: %v", path, who, !sees)
			}
		}
	}
}

// Another site can make a browser send the cookie. It cannot make it send the form's token, and says where it comes from.
func TestForgedForms(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	form := func(csrf string) url.Values { return url.Values{"for": {"1h"}, "note": {"x"}, "csrf": {csrf}} }
	for _, forged := range []struct {
		csrf string
		head map[string]string
	}{
		{"", nil},
		{p.csrf("dora"), nil},
		{p.csrf("ana"), map[string]string{"Sec-Fetch-Site": "cross-site"}},
		{p.csrf("ana"), map[string]string{"Origin": "https://elsewhere.example"}},
	} {
		if answer, _ := p.call("ana", http.MethodPost, "/ask/payroll-review", form(forged.csrf), forged.head); answer.StatusCode != http.StatusForbidden {
			t.Errorf("a form with %v: %s", forged.head, answer.Status)
		}
	}
	answer, _ := p.call("", http.MethodPost, "/sign-in", url.Values{"user": {"ana"}, "password": {password}}, map[string]string{"Sec-Fetch-Site": "cross-site"})
	if answer.StatusCode != http.StatusForbidden || len(answer.Cookies()) != 0 {
		t.Errorf("another site signs somebody in: %s", answer.Status)
	}
	if answer, _ := p.call("ana", http.MethodPost, "/ask/payroll-review", form(p.csrf("ana")), map[string]string{"Sec-Fetch-Site": "same-origin"}); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("the page's own form: %s", answer.Status)
	}
}

// What a browser is told: a session's cookie that no script reads and no other site sends, a new one at each sign-in, and pages that
// load nothing from elsewhere.
func TestBrowserDefences(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	c := p.cookies["ana"]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
		t.Errorf("the cookie is %+v", c)
	}
	planted := c.Value
	p.signIn("ana") // the planted cookie is sent along by nobody and is worth nothing to the new session
	if p.cookies["ana"].Value == planted {
		t.Error("a sign-in keeps the session's id")
	}
	r := httptest.NewRequest(http.MethodPost, "https://postern.example/sign-in", strings.NewReader(url.Values{"user": {"ana"}, "password": {password}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	p.server.Config.Handler.ServeHTTP(w, r)
	if got := w.Result().Cookies(); len(got) != 1 || !got[0].Secure || got[0].Name != "__Host-postern" { //nolint:bodyclose // a recorder's
		t.Errorf("over TLS the cookie is %v", got)
	}
	for _, path := range []string{"/sign-in", "/join", "/catalogue", "/datasets/staff", "/connect", "/mine", "/inbox"} {
		answer, text := p.call("ana", http.MethodGet, path, nil, nil)
		policy := answer.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: %s", path, policy)
		}
		if regexp.MustCompile(`<style|\sstyle=|\son[a-z]+=|(src|href)="(https?:)?//|<script>`).MatchString(text) {
			t.Errorf("%s has something inline or from elsewhere", path)
		}
		for _, id := range regexp.MustCompile(`<(?:input|select|textarea)[^>]* id="([^"]+)"`).FindAllStringSubmatch(text, -1) {
			if !strings.Contains(text, `for="`+id[1]+`"`) {
				t.Errorf("%s: field %s has no label", path, id[1])
			}
		}
	}
	for who, sees := range map[string]bool{"auditor": true, "sam": false} {
		if _, text := p.call(who, http.MethodGet, "/datasets/staff?as=ana", nil, nil); strings.Contains(text, "ana would see") != sees {
			t.Errorf("%s sees a dataset as ana: %v", who, !sees)
		}
	}
	if answer, _ := p.call("auditor", http.MethodGet, "/datasets/staff?as=nobody", nil, nil); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("a dataset as nobody: %s", answer.Status)
	}
	if answer, _ := p.call("", http.MethodGet, "/assets/layout.html", nil, nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("a template can be read: %s", answer.Status)
	}
	if answer, _ := p.call("", http.MethodGet, "/assets/style.css", nil, nil); answer.StatusCode != http.StatusOK {
		t.Errorf("the style sheet: %s", answer.Status)
	}
	if answer, _ := p.call("ana", http.MethodPost, "/sign-out", nil, nil); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("sign out: %s", answer.Status)
	}
	if answer, _ := p.call("ana", http.MethodGet, "/mine", nil, nil); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("after the sign-out the cookie still opens pages: %s", answer.Status)
	}
}

// reviewed opens a review that asks about a grant, and looks for it on the page, before dora answers and after.
func (p *place) reviewed(grant string) {
	p.t.Helper()
	began := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	v := access.Review{Dataset: "staff", Number: 1, Version: 1, Open: true, Opened: began, Due: began.AddDate(0, 0, 4), Grants: []string{grant, "over"}}
	over := access.Grant{
		ID: "over", Version: 1, State: access.Ended, Wall: access.WallGone, Subject: "sam", Rule: "staff", Dataset: "staff", Request: "over",
		Start: began.Add(-time.Hour), End: began.Add(time.Minute), Closed: began.Add(time.Minute),
	}
	if err := p.db.Commit(p.t.Context(), access.Change{Reviews: []access.Review{v}, Grants: []access.Grant{over}}); err != nil {
		p.t.Fatal(err)
	}
	answers := func(want ...string) {
		p.t.Helper()
		var found []portal.Review
		status, text := p.answer(p.terminal("dora"), "GET /api/v1/reviews", "")
		if err := json.Unmarshal([]byte(text), &found); err != nil || status != http.StatusOK || len(found) != 1 {
			p.t.Fatalf("%d %v %s", status, err, text)
		}
		var got []string
		for _, a := range found[0].Answers {
			got = append(got, strings.TrimSpace(a.Grant+" "+a.Answer+" "+a.By))
			if a.At.Before(began) || a.At.After(time.Now()) {
				p.t.Errorf("answered at %s", a.At)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || len(found[0].Unanswered) != 2-len(want) || found[0].Due != v.Due {
			p.t.Errorf("answers %q, want %q; unanswered %q, due %s", got, want, found[0].Unanswered, found[0].Due)
		}
	}
	answers("over ended")
	if _, text := p.call("dora", http.MethodGet, "/grants?due=1", nil, nil); !strings.Contains(text, "1 of 2 unanswered") || !strings.Contains(text, "/grants/"+grant+"/confirm") ||
		!strings.Contains(text, `name="due" value="1">`) {
		p.t.Errorf("the page for dora:\n%s", text)
	}
	// The answer leads back to the list of what is for review.
	answer, _ := p.post("dora", "/grants/"+grant+"/confirm", url.Values{"due": {"1"}})
	if to := answer.Header.Get("Location"); answer.StatusCode != http.StatusSeeOther || to != "/grants?done=confirm&due=1" {
		p.t.Errorf("dora confirms: %s, %s", answer.Status, to)
	}
	answers("over ended", grant+" confirmed dora")
	if _, text := p.call("dora", http.MethodGet, "/grants?due=1", nil, nil); !strings.Contains(text, "0 of 2 unanswered") || strings.Contains(text, grant) {
		p.t.Errorf("the page for dora, afterwards:\n%s", text)
	}
}
