package portal_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
)

// rolesOf says for every call that is not for everybody whom it is for. It is written down here a second time.
var rolesOf = map[string]string{
	"GET /api/v1/users":                    "admin",
	"POST /api/v1/users":                   "admin",
	"POST /api/v1/users/{name}":            "admin",
	"POST /api/v1/users/{name}/invite":     "admin",
	"DELETE /api/v1/users/{name}/sessions": "admin",
	"GET /api/v1/grants/overseen":          "owner admin auditor",
	"GET /api/v1/trail":                    "admin auditor",
	"GET /api/v1/trail/sessions/{id}":      "admin auditor",
	"GET /api/v1/trail/views":              "admin auditor",
	"POST /api/v1/trail/views":             "admin auditor",
	"POST /api/v1/trail/views/{id}":        "admin auditor",
	"DELETE /api/v1/trail/views/{id}":      "admin auditor",
	"GET /api/v1/policy":                   "admin editor reader auditor",
	"GET /api/v1/policy/changes":           "admin editor reader auditor",
	"GET /api/v1/policy/diff":              "admin editor reader auditor",
	"POST /api/v1/policy/proposals":        "admin editor",
	"POST /api/v1/explain":                 "admin editor reader auditor",
	"GET /api/v1/posture":                  "admin editor reader auditor",
	"GET /api/v1/discovery":                "admin editor reader auditor",
	"POST /api/v1/discovery/proposal":      "admin editor",
	"GET /api/v1/health":                   "admin reader",
	"GET /api/v1/settings":                 "admin",
}

// TestEveryCallAsEveryRole: each call is for whom the table says, in the document and when it is made; a token with every scope of somebody
// with the role opens what no session has to, and a role does not count with one that lacks inspect.
func TestEveryCallAsEveryRole(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	roleOf := map[string]string{"ana": "none", "sam": "none", "dora": "owner", "admin": "admin", "editor": "editor", "reader": "reader", "auditor": "auditor"}
	seen := 0
	for _, c := range p.server.Config.Handler.(*portal.Portal).Calls() {
		want, bounded := rolesOf[c.Pattern]
		if told := strings.Join(c.Roles(), " "); bounded && told != want || !bounded && told != "none owner admin editor reader auditor" {
			t.Errorf("%s is for %s, says the document", c.Pattern, told)
		}
		if !bounded {
			continue
		}
		seen++
		for who, role := range roleOf {
			may := slices.Contains(strings.Fields(want), role)
			status, code := p.api(p.terminal(who), c.Pattern)
			if (code != "not_for_you") != may || !may && status != http.StatusForbidden {
				t.Errorf("%s as %s: %d %s", c.Pattern, who, status, code)
			}
			if c.Scope == "" {
				continue // no token opens it: TestEveryCallWithEveryScope
			}
			if _, code := p.api(p.tokenOf(who, identity.Scopes()...), c.Pattern); (code != "not_for_you") != may {
				t.Errorf("%s with a token of %s: %s", c.Pattern, who, code)
			}
			if _, code := p.api(p.tokenOf(who, identity.ScopeRead), c.Pattern); code != "scope_missing" && code != "not_for_you" && role != "owner" {
				t.Errorf("%s with a token of %s that reads alone: %q", c.Pattern, who, code)
			}
		}
	}
	if seen != len(rolesOf) {
		t.Errorf("%d of the %d calls of the table are there", seen, len(rolesOf))
	}
	if !p.trail.has(audit.PortalRefused, "sam") {
		t.Error("refusals are not in the trail")
	}
}

// as makes a call as somebody and reads its answer.
func as[T any](p *place, who, pattern, body string) (out T) {
	p.t.Helper()
	status, text := p.answer(p.terminal(who), pattern, body)
	if status != http.StatusOK {
		p.t.Fatalf("%s as %s: %d %s", pattern, who, status, text)
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		p.t.Fatal(err)
	}
	return out
}

// TestPagesAndCallsAgree plays a request to its end by calls alone, and looks at each step through both: what is done by one is seen by the
// other, and no call shows what the page does not.
func TestPagesAndCallsAgree(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	form := as[portal.AskForm](p, "ana", "GET /api/v1/askable/{rule}", "")
	if form.Dataset != "staff" || !form.Asks || !slices.Contains(form.Spans, "1h") || !slices.Equal(form.Deciders, []string{"dora"}) {
		t.Errorf("the form: %+v", form)
	}
	for who, sees := range map[string]bool{"ana": true, "dora": true, "sam": false, "auditor": true} {
		found := as[portal.Catalogue](p, who, "GET /api/v1/catalogue?q=staff", "")
		of := as[portal.Dataset](p, who, "GET /api/v1/datasets/staff", "")
		if len(found.Cards) != 1 || found.Cards[0].Open != sees || (len(found.Cards[0].Labels) > 0) != sees || (len(of.Tables) > 0) != sees || of.Answers != (who != "ana" && who != "sam") {
			t.Errorf("%s sees %+v, %+v", who, found, of)
		}
	}
	if _, code := p.api(p.tokenOf("auditor", identity.ScopeRead), "GET /api/v1/datasets/staff?as=ana"); code != "" {
		t.Errorf("a dataset with a token that reads: %s", code)
	}
	// A view as somebody else is for those who read the policy: to all others it is their own.
	if seen := as[portal.Dataset](p, "sam", "GET /api/v1/datasets/staff?as=ana", ""); seen.MayAs || seen.As != "" || len(seen.Tables) > 0 {
		t.Errorf("sam sees a dataset as ana: %+v", seen)
	}
	if seen := as[portal.Dataset](p, "auditor", "GET /api/v1/datasets/staff?as=ana", ""); seen.As != "ana" || seen.Tables[0].Columns[0].Then.Kind != "raw" || seen.Tables[0].Columns[0].Now.Kind != "none" {
		t.Errorf("an auditor sees a dataset as ana: %+v", seen)
	}
	asked := as[access.Outcome](p, "ana", "POST /api/v1/requests", `{"what": "staff", "for": "1h", "note": "report of April"}`)
	waits := as[[]portal.ToDecide](p, "dora", "GET /api/v1/inbox", "")
	if _, page := p.call("dora", http.MethodGet, "/inbox", nil, nil); len(waits) != 1 || waits[0].ID != asked.Request.ID || !slices.Equal(waits[0].Labels, []string{"fin.iban"}) || !strings.Contains(page, "report of April") {
		t.Fatalf("to decide: %+v", waits)
	}
	if mine := as[portal.Mine](p, "ana", "GET /api/v1/mine", ""); len(mine.Requests) != 1 || len(mine.Live) != 0 {
		t.Errorf("ana's: %+v", mine)
	}
	if none := as[[]portal.ToDecide](p, "sam", "GET /api/v1/inbox", ""); len(none) != 0 {
		t.Errorf("sam decides %+v", none)
	}
	if answer, _ := p.post("dora", "/requests/"+asked.Request.ID+"/approve", url.Values{}); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("dora approves: %s", answer.Status)
	}
	for who, may := range map[string]bool{"dora": true, "auditor": false, "admin": true} {
		held := as[portal.Overseen](p, who, "GET /api/v1/grants/overseen?q=payroll", "").Grants
		if len(held) != 1 || held[0].Subject != "ana" || held[0].MayEnd != may {
			t.Errorf("%s oversees %+v", who, held)
		}
	}
	// The owner's token sees them; an auditor's that lacks inspect does not count as an auditor's.
	if status, _ := p.api(p.tokenOf("dora", identity.ScopeRead), "GET /api/v1/grants/overseen"); status != http.StatusOK {
		t.Errorf("an owner's token: %d", status)
	}
	mine := as[portal.Mine](p, "ana", "GET /api/v1/mine", "")
	if len(mine.Live) != 1 || len(mine.Requests) != 0 {
		t.Fatalf("ana's, approved: %+v", mine)
	}
	if status, code := p.api(p.terminal("auditor"), "POST /api/v1/grants/"+mine.Live[0].ID+"/revoke"); status != http.StatusForbidden {
		t.Errorf("an auditor ends a grant: %d %s", status, code)
	}
	as[access.Grant](p, "dora", "POST /api/v1/grants/"+mine.Live[0].ID+"/revoke", `{"note": "done"}`)
	if _, page := p.call("ana", http.MethodGet, "/mine", nil, nil); !strings.Contains(page, "revoked") {
		t.Error("ana's page does not say that it ended")
	}
	if at := as[portal.Connection](p, "ana", "GET /api/v1/connection", ""); at.Port != "6432" || at.User != "ana" || at.Stores == nil {
		t.Errorf("connection: %+v", at)
	}
}

// TestOversightByCalls: what overseers look at, and what the trail says of it.
func TestOversightByCalls(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, query := range []string{"", "?subject=ana&since=2026-01-01&until=2026-12-31&verdict=refuse", "?kind=request.*"} {
		as[portal.Trail](p, "auditor", "GET /api/v1/trail"+query, "")
	}
	as[portal.Trail](p, "admin", "GET /api/v1/trail/sessions/none", "")
	if !p.trail.has(audit.TrailRead, "auditor") || !p.trail.has(audit.TrailRead, "admin") {
		t.Error("who read the trail is not in it")
	}
	for query, why := range map[string]string{"since=yesterday": "YYYY-MM-DD", "sbject=ana": "sbject", "before=last": "number"} {
		status, text := p.answer(p.terminal("auditor"), "GET /api/v1/trail?"+query, "")
		if status != http.StatusBadRequest || !strings.Contains(text, why) {
			t.Errorf("%s: %d %s", query, status, text)
		}
	}
	rules := as[portal.PolicyShown](p, "reader", "GET /api/v1/policy?q=payroll", "")
	if len(rules.Rules) != 1 || rules.Rules[0].State != "on request" || len(as[portal.PolicyShown](p, "reader", "GET /api/v1/policy?q=nothing", "").Rules) != 0 {
		t.Errorf("rules: %+v", rules)
	}
	if h := as[portal.Health](p, "reader", "GET /api/v1/health", ""); fmt.Sprint(h.Stores) != "[{shop }]" || h.Columns != 2 {
		t.Errorf("health: %+v", h)
	}
	if all, some := as[[]portal.ShownUser](p, "admin", "GET /api/v1/users", ""), as[[]portal.ShownUser](p, "admin", "GET /api/v1/users?q=audit", ""); len(all) != 4 || len(some) != 1 {
		t.Errorf("%d accounts, of which %d audit", len(all), len(some))
	}
	as[portal.Posture](p, "auditor", "GET /api/v1/posture", "")
	as[portal.DiscoveryShown](p, "auditor", "GET /api/v1/discovery?all=true", "")
	p.trail.mu.Lock()
	p.trail.broken = fmt.Errorf("the disk is full")
	p.trail.mu.Unlock()
	if status, _ := p.answer(p.terminal("auditor"), "GET /api/v1/trail", ""); status != http.StatusInternalServerError {
		t.Errorf("the trail is read though nobody can write down by whom: %d", status)
	}
}

// TestTerminalByCalls lets a terminal in, and turns one away, without a browser.
func TestTerminalByCalls(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for _, yes := range []bool{true, false} {
		var waits portal.DeviceAnswer
		if _, text := p.answer("", "POST /api/v1/login/device", "{}"); json.Unmarshal([]byte(text), &waits) != nil {
			t.Fatal(text)
		}
		if seen := as[portal.DeviceShown](p, "ana", "GET /api/v1/device?code="+waits.UserCode, ""); seen.Code != waits.UserCode {
			t.Errorf("waits: %+v", seen)
		}
		as[portal.DeviceDecided](p, "ana", "POST /api/v1/device", fmt.Sprintf(`{"code": %q, "yes": %v}`, waits.UserCode, yes))
		status, text := p.answer("", "POST /api/v1/login/token", fmt.Sprintf(`{"device_code": %q}`, waits.DeviceCode))
		if (status == http.StatusOK) != yes || strings.Contains(text, `"user":"ana"`) != yes {
			t.Errorf("let in: %v; %d", yes, status)
		}
	}
}

// TestMaskLeaves: whoever asks for a dataset, or decides, reads beside each mask what it leaves of the value (ENF-30), in plan's words; of
// what is raw or hidden there is nothing to say.
func TestMaskLeaves(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	mask := policy.Mask{Name: policy.KeepLast, Args: []string{"4"}}
	p.pol.Masks = map[string]*policy.MaskProfile{"m": {Name: "m", Entries: []policy.MaskEntry{{Pattern: "fin.iban", Mask: mask}, {Pattern: "unlabelled", Mask: policy.Mask{Name: policy.Keep}}}}}
	p.pol.Rules[0].Masks = "m"
	columns := as[portal.Dataset](p, "ana", "GET /api/v1/datasets/staff", "").Tables[0].Columns
	if got := columns[0].Then; got.Kind != "masked" || got.Text != "only the last 4" || got.Leaves != mask.Leaves() || columns[0].Now.Leaves != "" || columns[1].Then.Leaves != "" || columns[1].Then.Kind != "raw" {
		t.Errorf("%+v", columns)
	}
	if _, page := p.call("ana", http.MethodGet, "/datasets/staff", nil, nil); !strings.Contains(page, mask.Leaves()) {
		t.Errorf("the page does not say what the mask leaves:\n%s", page)
	}
}
