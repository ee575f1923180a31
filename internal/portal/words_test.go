package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
)

// A refusal reads as a sentence on a page, and what there is to do is something on the page, not a command; the terminal's stays its own.
func TestRefusalsInWords(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	no, text := p.call("", http.MethodPost, "/join", url.Values{"code": {"gone"}, "password": {password}}, nil)
	if no.StatusCode != http.StatusUnauthorized || !strings.Contains(text, "<strong>This invitation was used, replaced, or is over.</strong></p><p>Ask an admin for a new link.") {
		t.Errorf("%s\n%s", no.Status, text)
	}
	if status, text := p.answer("", "POST /api/v1/login/accept", `{"code": "gone", "password": "`+password+`"}`); status != http.StatusUnauthorized || !strings.Contains(text, "postern user invite NAME") || !strings.Contains(text, people.CodeInvite) {
		t.Errorf("%d %s", status, text)
	}
	p.does("ana", "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {""}}, "Rule payroll-review wants a note that says why.", "Write a few words")
}

// Who says yes where two have to is told that somebody else has to as well; who says the last one, that it can be ended.
func TestApprovedOrNotYet(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.pol.Rules[0].Request.Approvers = []policy.Step{{Names: []string{"dora", "sam"}, Min: 2}}
	p.does("ana", "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {"why"}}, "/mine?done=asked")
	found, err := p.db.Requests(t.Context(), access.Filter{Subject: "ana", Open: true})
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	id := found[0].ID
	p.does("dora", "/requests/"+id+"/approve", url.Values{}, "/inbox?done=further")
	p.does("sam", "/requests/"+id+"/approve", url.Values{}, "/inbox?done=approve")
}

// What somebody paused is called so, and is found by that word and by the policy's.
func TestPausedIsFound(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.putGrant("g1", "staff", 0)
	p.does("dora", "/grants/g1/suspend", url.Values{}, "/grants?done=suspend")
	for _, word := range []string{"paused", "suspended"} {
		if _, text := p.call("dora", http.MethodGet, "/grants?q="+word, nil, nil); !strings.Contains(text, `">paused</span>`) {
			t.Errorf("by %q:\n%s", word, text)
		}
	}
	if _, text := p.call("dora", http.MethodGet, "/grants?q=active", nil, nil); strings.Contains(text, "ug1") {
		t.Error("a paused grant is found as an active one")
	}
}

// What is wrong with a form stands at its field.
func TestWrongIsAtItsField(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.does("ana", "/tokens", url.Values{"name": {" "}, "for": {"7d"}, "scope": {"read"}}, "A personal token has a name.", `id="name-bad"`)
	p.does("ana", "/tokens", url.Values{"name": {"x"}, "for": {"2y"}, "scope": {"read"}}, `id="for-bad"`)
	p.does("dora", "/away", url.Values{"to": {"nobody"}, "until": {time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}}, `id="to-bad">&#34;nobody&#34; cannot stand in for you.`)
	p.does("dora", "/away", url.Values{"to": {"sam"}, "until": {""}}, `id="until-bad"`)
	p.does("ana", "/account/password", url.Values{"old": {"wrong"}, "new": {"five plain words stand here"}}, `id="password-bad">The old password does not fit.`, "<details open>")
}

// A page that has nothing but a problem says it once, as its heading; any other says it above what it shows.
func TestProblemIsSaidOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for path, want := range map[string]string{"/nothing": "<h1>There is no such page.</h1>", "/people": "<h1>This page is not for your role.</h1>"} {
		if _, text := p.call("ana", http.MethodGet, path, nil, nil); !strings.Contains(text, want) || strings.Contains(text, `class="problem"`) || strings.Count(text, "<h1>") != 1 {
			t.Errorf("%s:\n%s", path, text)
		}
	}
	p.does("ana", "/tokens", url.Values{"name": {" "}, "for": {"7d"}, "scope": {"read"}}, `class="problem"`, "<h1>Tokens and passwords</h1>")
}
