package portal_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
	"github.com/postern-sec/postern/internal/secret"
)

// does sends a form and looks at what comes of it: where it leads to, or what the page says.
func (p *place) does(who, path string, form url.Values, want ...string) string {
	p.t.Helper()
	answer, text := p.post(who, path, form)
	got := text
	if answer.StatusCode == http.StatusSeeOther {
		got = answer.Header.Get("Location")
	}
	for _, w := range want {
		if !strings.Contains(got, w) {
			p.t.Errorf("%s posts %v to %s: %s, without %q\n%s", who, form, path, answer.Status, w, got)
		}
	}
	return got
}

// A start and an end are what a person means in their own zone: an instant where scripts ran, UTC where none did. What is wrong stands at
// its field, with what was typed.
func TestAskForDates(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	now := time.Now().UTC().Truncate(time.Minute)
	day := func(d time.Duration) string { return now.Add(d).Format("2006-01-02T15:04") }
	ask := func(start, until string, want ...string) string {
		return p.does("ana", "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {"why"}, "start": {start}, "until": {until}}, want...)
	}
	bad := func(field string) string { return `id="` + field + `-bad">` }
	ask(day(-time.Hour), "", "The start lies in the past.", "Choose a later start", bad("start"), `value="`+day(-time.Hour)+`"`, "<details class=\"dates\" open>")
	ask(day(91*24*time.Hour), "", "at most 90 days", `Choose a start until <time datetime="`, bad("start"))
	ask("", day(3*time.Hour), "is held for 1h at most", `Ask for an end until <time datetime="`, bad("until"))
	ask(day(2*time.Hour), day(time.Hour), "That ends before it starts.", bad("until"))
	ask(`"><b>`, "", "is not a day and a time", bad("start"), "&#34;&gt;&lt;b&gt;")
	if text := ask("", "tomorrow", bad("until")); strings.Contains(text, bad("start")) {
		t.Error("the start is said to be wrong too")
	}
	if _, text := p.call("ana", http.MethodGet, "/ask/payroll-review", nil, nil); !strings.Contains(text, "At most 1 hour, from when it starts") || strings.Contains(text, "-bad") {
		t.Errorf("the form:\n%s", text)
	}
	start := now.Add(48 * time.Hour)
	ask(start.In(time.FixedZone("", 7200)).Format(time.RFC3339), day(48*time.Hour+30*time.Minute), "/mine?done=asked")
	found, err := p.db.Requests(t.Context(), access.Filter{Subject: "ana"})
	if err != nil || len(found) != 1 || !found[0].Start.Equal(start) || !found[0].Until.Equal(start.Add(30*time.Minute)) || !found[0].For.IsZero() {
		t.Errorf("asked: %+v, %v", found, err)
	}
}

// A grant shows a way to go on where the desk would take the request, and only there; the form is the rule's, and says the grant's end.
func TestExtendFromTheBrowser(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	now := time.Now().UTC().Truncate(time.Second)
	hold := func(id string, began time.Duration) {
		g := access.Grant{
			ID: id, Version: 1, State: access.Active, Wall: access.WallReady, Subject: "ana", Rule: "payroll-review", Dataset: "staff", Request: "r" + id,
			Start: now.Add(-began), End: now.Add(time.Hour - began),
		}
		if err := p.db.Commit(t.Context(), access.Change{Grants: []access.Grant{g}}); err != nil {
			t.Fatal(err)
		}
	}
	const link = `href="/ask/payroll-review?extends=`
	extend := func(id string, form url.Values, want ...string) {
		t.Helper()
		form.Set("note", "why")
		p.does("ana", "/ask/payroll-review?extends="+id, form, want...)
	}
	hold("early", 10*time.Minute)
	if _, text := p.call("ana", http.MethodGet, "/mine", nil, nil); strings.Contains(text, link) {
		t.Error("what has just begun can be extended, says the page")
	}
	extend("early", url.Values{"for": {"1h"}}, "can be extended from")
	p.does("ana", "/mine/early/revoke", url.Values{"q": {"early &c"}}, "/mine?done=revoke&q=early+%26c")
	hold("late", 55*time.Minute)
	if _, text := p.call("ana", http.MethodGet, "/mine", nil, nil); !strings.Contains(text, link+`late"`) {
		t.Errorf("the page shows no way:\n%s", text)
	}
	answer, text := p.call("ana", http.MethodGet, "/ask/payroll-review?extends=late", nil, nil)
	if answer.StatusCode != http.StatusOK || !strings.Contains(text, "Keep staff for longer") || !strings.Contains(text, now.Add(5*time.Minute).Format(time.RFC3339)) || strings.Contains(text, `id="start"`) {
		t.Errorf("the form: %s\n%s", answer.Status, text)
	}
	if answer, _ := p.call("sam", http.MethodGet, "/ask/payroll-review?extends=late", nil, nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("sam extends what ana holds: %s", answer.Status)
	}
	extend("late", url.Values{"for": {"1h"}}, "is held for 1h from now at most", `id="for-bad"`)
	extend("late", url.Values{"for": {""}}, "/mine?done=asked")
	if _, text := p.call("ana", http.MethodGet, "/mine", nil, nil); strings.Contains(text, link) {
		t.Error("asked for, and can be asked for once more, says the page")
	}
	found, err := p.db.Requests(t.Context(), access.Filter{Subject: "ana", Open: true})
	if err != nil || len(found) != 1 || found[0].Extends != "late" {
		t.Errorf("%+v, %v", found, err)
	}
}

// A token is made, shown once, listed with what it opens, and ended.
func TestTokensFromTheBrowser(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.does("ana", "/tokens", url.Values{"name": {"report"}, "for": {"7d"}}, "opens nothing is none", `value="report"`, `id="scope-bad"`)
	p.does("ana", "/tokens", url.Values{"name": {"report"}, "for": {"2y"}, "scope": {"read"}}, "longer than", `id="for" name="for" aria-invalid="true"`)
	p.does("ana", "/tokens", url.Values{"name": {""}, "for": {"7d"}, "scope": {"read"}}, "A personal token has a name.")
	text := p.does("ana", "/tokens", url.Values{"name": {"report"}, "for": {"7d"}, "scope": {"read", "request"}}, "shown this once")
	made := regexp.MustCompile(`id="secret">(postern_[^<]+)<`).FindStringSubmatch(text)
	if made == nil {
		t.Fatalf("no token:\n%s", text)
	}
	if status, _ := p.api(made[1], "GET /api/v1/me"); status != http.StatusOK {
		t.Errorf("the token reads: %d", status)
	}
	if _, code := p.api(made[1], "GET /api/v1/trail"); code != "scope_missing" {
		t.Errorf("the token inspects: %q", code)
	}
	_, text = p.call("ana", http.MethodGet, "/tokens", nil, nil)
	at := regexp.MustCompile(`action="(/credentials/[^"]+/revoke)"`).FindStringSubmatch(text)
	if !strings.Contains(text, "last used <time") {
		t.Errorf("the page does not say when the token was used:\n%s", text)
	}
	if at == nil || strings.Contains(text, made[1]) || !strings.Contains(text, "<strong>report</strong>") || !strings.Contains(text, `<span class="label">request</span>`) {
		t.Fatalf("the page shows\n%s", text)
	}
	if _, text := p.call("sam", http.MethodGet, "/tokens", nil, nil); strings.Contains(text, "/credentials/") {
		t.Error("sam sees ana's token")
	}
	p.does("sam", at[1], url.Values{}, "no live credential")
	p.does("ana", at[1], url.Values{}, "/tokens?done=credential")
	if status, _ := p.api(made[1], "GET /api/v1/me"); status != http.StatusUnauthorized || !p.trail.has(audit.CredentialRevoked, "ana") {
		t.Errorf("the token goes on: %d; or the trail says nothing", status)
	}
}

// Where tokens are switched off the page says so instead of offering one, what there is can still be ended, and a store that takes none is
// not offered for one.
func TestTokensPageWhereTheyAreOff(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.pol.Rules = append(p.pol.Rules, &policy.Rule{Name: "own", To: []string{"dora"}, On: "staff", Level: policy.Read, Enabled: true})
	const form, off, gateway = `<h2>Make a token</h2>`, "Tokens for programs are switched off here", `value="gateway" checked`
	call := url.Values{"name": {"report"}, "for": {"7d"}, "scope": {"read"}}
	p.does("dora", "/tokens", call, "shown this once")
	look := func() string {
		_, text := p.call("dora", http.MethodGet, "/tokens", nil, nil)
		return text
	}
	if text := look(); !strings.Contains(text, form) || !strings.Contains(text, gateway) || strings.Contains(text, off) || !strings.Contains(text, "not used yet") {
		t.Errorf("switched on, the page shows\n%s", text)
	}
	p.pol.Stores["shop"].NoTokens = true
	if text := look(); !strings.Contains(text, form) || strings.Contains(text, gateway) {
		t.Errorf("where no store takes one, the page shows\n%s", text)
	}
	p.pol.NoTokens = true
	if text := look(); strings.Contains(text, form) || !strings.Contains(text, off) || !strings.Contains(text, "/revoke") {
		t.Errorf("switched off, the page shows\n%s", text)
	}
	p.does("dora", "/tokens", call, "are switched off here")
}

// Somebody stands in, both see it, and either ends it.
func TestAwayFromTheBrowser(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	until := time.Now().UTC().Add(72 * time.Hour).Truncate(time.Minute)
	typed := until.Format("2006-01-02T15:04")
	p.does("dora", "/away", url.Values{"to": {"nobody"}, "until": {typed}}, "cannot stand in", `value="nobody"`, `value="`+typed+`"`)
	p.does("dora", "/away", url.Values{"to": {"sam"}, "until": {until.AddDate(1, 0, 0).Format(time.RFC3339)}}, "at most 60 days", "Choose an end after now")
	p.does("dora", "/away", url.Values{"to": {"sam"}}, "Say until when somebody stands in for you")
	for _, ends := range []string{"dora", "sam"} {
		p.does("dora", "/away", url.Values{"to": {"sam"}, "until": {until.Format(time.RFC3339)}}, "/away?done=away")
		for who, want := range map[string]string{"dora": "sam decides for you", "sam": "<strong>dora</strong>"} {
			if _, text := p.call(who, http.MethodGet, "/away", nil, nil); !strings.Contains(text, want) || !strings.Contains(text, until.Format(time.RFC3339)) {
				t.Errorf("%s is shown\n%s", who, text)
			}
		}
		_, text := p.call(ends, http.MethodGet, "/away", nil, nil)
		at := regexp.MustCompile(`action="(/away/[^"]+/end)"`).FindStringSubmatch(text)
		if at == nil {
			t.Fatalf("%s has no way to end it:\n%s", ends, text)
		}
		p.does("ana", at[1], url.Values{}, "There is no delegation")
		p.does(ends, at[1], url.Values{}, "/away?done=back")
		if left, err := p.db.Delegations(t.Context(), time.Now()); err != nil || len(left) != 0 {
			t.Errorf("ended by %s, and there is %v, %v", ends, left, err)
		}
	}
	p.pol.Rules[0].Request.Factor = policy.NoteBoth
	p.does("dora", "/away", url.Values{"to": {"sam"}, "until": {typed}}, "second factor", `href="/account/prove?for=`)
}

// The account: a new password ends the other sessions, recovery codes want a fresh factor and are shown once, and who has no role sets up
// an app as others do.
func TestAccountAndSecurity(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	other := p.signedIn("ana")
	p.does("ana", "/account/password", url.Values{"old": {"wrong"}, "new": {"five plain words stand here"}}, "The old password does not fit.", "<details open>")
	p.does("ana", "/account/password", url.Values{"old": {password}, "new": {"short"}}, "at least 12 characters")
	if status, _ := p.api(other, "GET /api/v1/me"); status != http.StatusOK {
		t.Fatalf("refused, and another session ended: %d", status)
	}
	p.does("ana", "/account/password", url.Values{"old": {password}, "new": {"five plain words stand here"}}, "/account?done=password")
	if status, _ := p.api(other, "GET /api/v1/me"); status != http.StatusUnauthorized {
		t.Errorf("with the new password another session goes on: %d", status)
	}
	if _, err := p.people.SignIn(t.Context(), "ana", secret.New("five plain words stand here"), people.From{Addr: netip.MustParseAddr("192.0.2.2"), Channel: "cli"}); err != nil {
		t.Errorf("the new password: %v", err)
	}
	p.pol.Users["sam"].SCRAM = "" // signs in elsewhere
	if _, text := p.call("sam", http.MethodGet, "/account", nil, nil); !strings.Contains(text, "You have none here") || strings.Contains(text, "/account/password") {
		t.Errorf("sam has no password here, and is shown\n%s", text)
	}
	_, text := p.call("ana", http.MethodGet, "/account", nil, nil)
	if !strings.Contains(text, `href="/sign-in/enrol"`) || strings.Contains(text, "/account/recovery") {
		t.Errorf("ana has no factor, and is shown\n%s", text)
	}
	p.does("ana", "/account/recovery", url.Values{}, "fresh second factor")
	p.setsUp("ana")
	var is portal.Account
	if err := (program{t, p}).call(p.terminal("ana"), http.MethodGet, "account", nil, &is); err != nil || !is.Password || !is.App || !is.Fresh || is.Recovery != 10 {
		t.Errorf("the call says %+v, %v", is, err)
	}
	text = p.does("ana", "/account/recovery", url.Values{}, "Your new recovery codes")
	codes := regexp.MustCompile(`<li><code>([a-z2-7-]+)</code>`).FindAllStringSubmatch(text, -1)
	if len(codes) != 10 {
		t.Fatalf("%d codes:\n%s", len(codes), text)
	}
	if _, text := p.call("ana", http.MethodGet, "/account", nil, nil); strings.Contains(text, codes[0][1]) || !strings.Contains(text, "10 left") {
		t.Errorf("afterwards the page shows\n%s", text)
	}
	if answer, _ := p.post("ana", "/account/prove", url.Values{"code": {codes[0][1]}}); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("a new code proves: %s", answer.Status)
	}
}

// Settings are shown to admins as they are in force, in the call and on the page.
func TestSettingsShown(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	_, text := p.call("admin", http.MethodGet, "/health/settings", nil, nil)
	for _, want := range []string{"version test", "<h2>Gateway</h2>", "a change takes a restart", "<dt>parser</dt><dd>embedded</dd>", "postern.yaml:7:1"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	var got portal.Settings
	if err := (program{t, p}).call(p.tokenOf("admin", identity.ScopeInspect), http.MethodGet, "settings", nil, &got); err != nil || got.Version != "test" || len(got.Groups) != 1 || !slices.Equal(got.Groups[0].Settings, []portal.Setting{{Key: "parser", Value: "embedded"}}) {
		t.Errorf("the call says %+v, %v", got, err)
	}
}
