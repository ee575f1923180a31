package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/policy"
)

// cookieOf is a cookie that an answer sets.
func cookieOf(answer *http.Response, name string) string {
	for _, c := range answer.Cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// comesBack signs somebody in who has a cookie that says where they were, and returns where that leads.
func (p *place) comesBack(who, next string) string {
	p.t.Helper()
	answer, text := p.call("", http.MethodPost, "/sign-in", url.Values{"user": {who}, "password": {password}}, map[string]string{"Cookie": "postern-next=" + next})
	if answer.StatusCode != http.StatusSeeOther {
		p.t.Fatalf("%s signs in: %s\n%s", who, answer.Status, text)
	}
	return answer.Header.Get("Location")
}

// TestBackAfterSignIn: whoever follows a link and has to sign in first comes to what the link is for, and nowhere that is no page here.
func TestBackAfterSignIn(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for path, want := range map[string]string{
		"/grants?all=1&q=staff":                  "/grants?all=1&q=staff",
		"/datasets/staff?event=abcdef":           "/datasets/staff?event=abcdef",
		"/device?code=ABCD-EFGH":                 "/device?code=ABCD-EFGH",
		"/policy?q=a%20b%22%3C":                  "/policy?q=a%20b%22%3C",
		"/policy?q=" + strings.Repeat("x", 1001): "/catalogue",
	} {
		answer, _ := p.call("", http.MethodGet, path, nil, nil)
		if to := answer.Header.Get("Location"); to != "/sign-in" {
			t.Errorf("%s leads to %s", path, to)
		}
		if got := p.comesBack("ana", cookieOf(answer, "postern-next")); got != want {
			t.Errorf("after %s ana comes to %s, not %s", path, got, want)
		}
	}
	for _, planted := range []string{"//evil.example/", "/\\evil.example", "https://evil.example/", "/sign-in/enrol", "mine", "/mine\r\nX: y", ""} {
		if got := p.comesBack("ana", url.QueryEscape(planted)); got != "/catalogue" {
			t.Errorf("a cookie that says %q leads to %q", planted, got)
		}
	}
}

// TestSessionEnds: whose session ended is told so, and whose form was sent after it that nothing was done; both come back to the page.
func TestSessionEnds(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.cookies["over"] = &http.Cookie{Name: "postern", Value: "gone"}
	for _, c := range []struct{ method, path, to, says, back string }{
		{http.MethodGet, "/mine", "/sign-in?over=1", "Your session is over.", "/mine"},
		{http.MethodPost, "/ask/payroll-review?extends=g1", "/sign-in?over=unsent", "nothing was done", "/ask/payroll-review?extends=g1"},
		{http.MethodPost, "/requests/r1/approve", "/sign-in?over=unsent", "nothing was done", "/inbox"},
		{http.MethodPost, "/credentials/c1/revoke", "/sign-in?over=unsent", "nothing was done", "/tokens"},
		{http.MethodPost, "/trail/views/v1/delete", "/sign-in?over=unsent", "nothing was done", "/trail"},
	} {
		answer, _ := p.call("over", c.method, c.path, url.Values{"note": {"why"}}, nil)
		if got := answer.Header.Get("Location"); got != c.to {
			t.Errorf("%s %s leads to %q", c.method, c.path, got)
			continue
		}
		if _, text := p.call("", http.MethodGet, c.to, nil, nil); !strings.Contains(text, c.says) {
			t.Errorf("%s lacks %q", c.to, c.says)
		}
		if got := p.comesBack("ana", cookieOf(answer, "postern-next")); got != c.back {
			t.Errorf("after %s %s ana comes to %s", c.method, c.path, got)
		}
	}
	if found, err := p.db.Requests(t.Context(), access.Filter{}); err != nil || len(found) != 0 {
		t.Errorf("without a session somebody asked for %v (%v)", found, err)
	}
	answer, _ := p.call("over", http.MethodPost, "/ask/payroll-review", url.Values{}, map[string]string{"Sec-Fetch-Site": "cross-site"})
	if to := answer.Header.Get("Location"); to != "/sign-in" || cookieOf(answer, "postern-next") != "" {
		t.Errorf("a form of another site leads to %q, and is gone back to", to)
	}
	if _, text := p.call("", http.MethodGet, "/sign-in?over=anything", nil, nil); strings.Contains(text, "over") && strings.Contains(text, "anything") {
		t.Error("a link makes the sign-in page say something")
	}
}

// TestOldForm: a form from a page that became too old is not carried out, and comes again with what was typed; one of another site is
// refused, and nothing of it is shown.
func TestOldForm(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	form := url.Values{"for": {"1h"}, "note": {"the words of ana"}, "csrf": {"old"}}
	answer, text := p.call("ana", http.MethodPost, "/ask/payroll-review", form, nil)
	for _, want := range []string{"nothing was done", "the words of ana</textarea>", `name="csrf" value="` + p.csrf("ana") + `"`} {
		if answer.StatusCode != http.StatusForbidden || !strings.Contains(text, want) {
			t.Errorf("an old form: %s, without %q", answer.Status, want)
		}
	}
	answer, text = p.call("ana", http.MethodPost, "/ask/payroll-review", form, map[string]string{"Sec-Fetch-Site": "cross-site"})
	if answer.StatusCode != http.StatusForbidden || strings.Contains(text, "the words of ana") {
		t.Errorf("a form of another site: %s\n%s", answer.Status, text)
	}
	if found, err := p.db.Requests(t.Context(), access.Filter{}); err != nil || len(found) != 0 {
		t.Fatalf("ana has asked: %v (%v)", found, err)
	}
	p.does("ana", "/ask/payroll-review", form, "done=asked")
	found, err := p.db.Requests(t.Context(), access.Filter{})
	if err != nil || len(found) != 1 {
		t.Fatalf("ana has not asked: %v (%v)", found, err)
	}
	_, text = p.call("dora", http.MethodPost, "/requests/"+found[0].ID+"/deny", url.Values{"note": {"the words of dora"}, "csrf": {"old"}}, nil)
	if !strings.Contains(text, `value="the words of dora" autofocus`) {
		t.Errorf("the words of dora are lost:\n%s", text)
	}
	p.does("editor", "/policy", url.Values{"rule": {"payroll-review"}, "state": {""}, "add": {" "}}, "This Postern cannot look at that", `<details class="panel" open>`, "<option selected>payroll-review")
	p.does("admin", "/people", url.Values{"name": {"a name with blanks"}, "role": {"reader"}}, `value="a name with blanks"`, "<option selected>reader")
}

// TestNoSuchPage: an address that leads nowhere has a page that leads on, for people inside and outside; calls keep their own answer.
func TestNoSuchPage(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for who, on := range map[string]string{"ana": `href="/catalogue">To the catalogue`, "": `href="/sign-in">To the sign-in`} {
		for _, path := range []string{"/nothing", "/requests/x/approve", "/catalogue/x"} {
			answer, text := p.call(who, http.MethodGet, path, nil, nil)
			if answer.StatusCode != http.StatusNotFound || !strings.Contains(text, "There is no such page.") || !strings.Contains(text, on) {
				t.Errorf("%s as %q: %s\n%s", path, who, answer.Status, text)
			}
		}
	}
	if answer, text := p.call("ana", http.MethodGet, "/api/v1/nothing", nil, nil); answer.StatusCode != http.StatusNotFound || strings.Contains(text, "<html") {
		t.Errorf("an unknown call: %s\n%s", answer.Status, text)
	}
}

// TestTypedAgain: where a code or a password does not do, what else was typed is still there.
func TestTypedAgain(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	answer, text := p.call("ana", http.MethodGet, "/device?code=ABCD-EFGH", nil, nil)
	for _, want := range []string{`value="ABCD-EFGH"`, "No terminal waits with this code"} {
		if answer.StatusCode < 400 || !strings.Contains(text, want) {
			t.Errorf("a code that no terminal shows: %s, without %q\n%s", answer.Status, want, text)
		}
	}
	_, text = p.call("", http.MethodPost, "/join", url.Values{"code": {"the-code"}, "password": {"short"}}, nil)
	if !strings.Contains(text, `value="the-code"`) || strings.Contains(text, "short\"") {
		t.Errorf("a password that does not do:\n%s", text)
	}
}

// TestOrder: what waits for a decision stands there by when it runs out, what somebody asked for the latest first, and what they hold by
// when it ends, whatever their ids are.
func TestOrder(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	now := time.Now()
	var all access.Change
	for i, id := range []string{"c", "a", "d", "b"} {
		at := now.Add(time.Duration(i) * time.Minute)
		all.Requests = append(all.Requests, access.Request{
			ID: "r" + id, Version: 1, State: access.Pending, Subject: "ana", Rule: "rule-" + id, Dataset: "staff", Created: at, Expires: at.Add(time.Hour),
			Steps: []policy.Step{{Names: []string{"dora"}, Min: 1}},
		})
		all.Grants = append(all.Grants, access.Grant{
			ID: "g" + id, Version: 1, State: access.Active, Wall: access.WallReady, Subject: "ana", Rule: "rule-" + id, Dataset: "staff", Request: "r" + id,
			Start: now, End: at.Add(time.Hour),
		})
	}
	if err := p.db.Commit(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	var inbox []struct{ ID string }
	p.into("dora", "/api/v1/inbox", &inbox)
	var mine struct{ Waiting, Live []struct{ ID string } }
	p.into("ana", "/api/v1/mine", &mine)
	var seen struct{ Grants []struct{ ID string } }
	p.into("dora", "/api/v1/grants/overseen", &seen)
	for what, c := range map[string]struct {
		got  []struct{ ID string }
		want string
	}{"inbox": {inbox, "rc ra rd rb"}, "asked": {mine.Waiting, "rb rd ra rc"}, "held": {mine.Live, "gc ga gd gb"}, "grants": {seen.Grants, "gc ga gd gb"}} {
		var ids []string
		for _, x := range c.got {
			ids = append(ids, x.ID)
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
}
