package portal_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
)

// views makes a call of the interface about views with a bearer token, and reads what comes of it.
func (p *place) views(token, method, path, body string, out any) (status int, code string) {
	p.t.Helper()
	q, err := http.NewRequestWithContext(p.t.Context(), method, p.server.URL+"/api/v1/trail/views"+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	var problem struct{ Code string }
	_ = json.Unmarshal(text, &problem) // a list is none
	if out != nil && a.StatusCode == http.StatusOK {
		if err := json.Unmarshal(text, out); err != nil {
			p.t.Fatalf("%v: %s", err, text)
		}
	}
	return a.StatusCode, problem.Code
}

// A search is kept, opened, renamed and deleted by whose it is, on the page and by the interface; to everybody else it does not exist.
func TestViews(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	answer, text := p.post("auditor", "/trail/views", url.Values{"name": {"<b>Refused</b> at night"}, "query": {"verdict=refuse&store=shop&text="}})
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/trail?store=shop&verdict=refuse&done=view" {
		t.Fatalf("kept: %s to %s\n%s", answer.Status, answer.Header.Get("Location"), text)
	}
	_, text = p.call("auditor", http.MethodGet, "/trail", nil, nil)
	link := regexp.MustCompile(`href="(/trail/views/([0-9a-f]+))">([^<]+)<`).FindStringSubmatch(text)
	if link == nil || link[3] != "&lt;b&gt;Refused&lt;/b&gt; at night" {
		t.Fatalf("the page has\n%s", text)
	}
	if answer, _ := p.call("auditor", http.MethodGet, link[1], nil, nil); answer.Header.Get("Location") != "/trail?store=shop&verdict=refuse" {
		t.Errorf("it opens %s", answer.Header.Get("Location"))
	}
	// Whose it is not: another role that may read the trail as well.
	for path, form := range map[string]url.Values{link[1] + "/rename": {"name": {"Mine"}}, link[1] + "/delete": {}} {
		if answer, _ := p.post("admin", path, form); answer.StatusCode != http.StatusNotFound {
			t.Errorf("admin: %s: %s", path, answer.Status)
		}
	}
	if answer, _ := p.call("admin", http.MethodGet, link[1], nil, nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("admin opens it: %s", answer.Status)
	}
	if _, text := p.call("admin", http.MethodGet, "/trail", nil, nil); strings.Contains(text, link[2]) {
		t.Error("admin sees it")
	}
	if answer, text := p.post("auditor", "/trail/views", url.Values{"name": {"<b>Refused</b> at night"}, "query": {"kind=login.refused"}}); answer.StatusCode != http.StatusForbidden ||
		!strings.Contains(text, "You have a view of that name") || !strings.Contains(text, `value="login.refused"`) {
		t.Errorf("the name twice: %s, or what was searched for is lost", answer.Status)
	}
	if answer, _ := p.post("auditor", link[1]+"/rename", url.Values{"name": {"Nights"}}); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("renamed: %s", answer.Status)
	}
	var all []people.View
	mine := p.terminal("auditor")
	if status, _ := p.views(mine, http.MethodGet, "", "", &all); status != http.StatusOK || len(all) != 1 || all[0].Name != "Nights" || all[0].Query != "store=shop&verdict=refuse" {
		t.Errorf("%d %+v", status, all)
	}
	if answer, _ := p.post("auditor", link[1]+"/delete", url.Values{}); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("deleted: %s", answer.Status)
	}
	if status, _ := p.views(mine, http.MethodGet, "", "", &all); status != http.StatusOK || len(all) != 0 {
		t.Errorf("%d %+v", status, all)
	}
	if !p.trail.has(audit.TrailView, "auditor") {
		t.Error("the trail does not know")
	}
}

// The interface keeps views as the page does, for people alone; a program's token may look at its owner's.
func TestViewCalls(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	mine := p.terminal("admin")
	var v people.View
	if status, _ := p.views(mine, http.MethodPost, "", `{"name": "Refused", "query": "verdict=refuse"}`, &v); status != http.StatusOK || v.ID == "" {
		t.Fatalf("%d %+v", status, v)
	}
	long := strings.Repeat("n", 81)
	for body, want := range map[string]int{
		`{"name": "Refused", "query": "kind=alarm"}`:                       http.StatusForbidden,  // taken
		`{"name": " ", "query": ""}`:                                       http.StatusBadRequest, // no name
		`{"name": "` + long + `", "query": ""}`:                            http.StatusBadRequest,
		`{"name": "a\nb", "query": ""}`:                                    http.StatusBadRequest,
		`{"name": "x", "query": "next=//evil.example"}`:                    http.StatusBadRequest, // no key of a search
		`{"name": "x", "query": "done=disable"}`:                           http.StatusBadRequest,
		`{"name": "x", "query": "%zz"}`:                                    http.StatusBadRequest,
		`{"name": "x", "query": "text=` + strings.Repeat("a", 2000) + `"}`: http.StatusBadRequest,
	} {
		if status, code := p.views(mine, http.MethodPost, "", body, nil); status != want {
			t.Errorf("%.60s: %d %s, want %d", body, status, code, want)
		}
	}
	other := p.terminal("auditor")
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		if status, _ := p.views(other, method, "/"+v.ID, `{"name": "Mine"}`, nil); status != http.StatusNotFound {
			t.Errorf("the auditor: %s: %d", method, status)
		}
	}
	for _, who := range []string{"editor", "reader", "ana"} {
		if status, code := p.views(p.terminal(who), http.MethodGet, "", "", nil); status != http.StatusForbidden || code != "not_for_you" {
			t.Errorf("%s: %d %s", who, status, code)
		}
	}
	token := p.tokenOf("admin", identity.ScopeInspect)
	var all []people.View
	if status, _ := p.views(token, http.MethodGet, "", "", &all); status != http.StatusOK || len(all) != 1 {
		t.Errorf("a program looks: %d %+v", status, all)
	}
	if status, code := p.views(token, http.MethodDelete, "/"+v.ID, "", nil); status != http.StatusForbidden || code != "scope_missing" {
		t.Errorf("a program deletes: %d %s", status, code)
	}
	if status, _ := p.views(mine, http.MethodPost, "/"+v.ID, `{"name": "Nights"}`, nil); status != http.StatusOK {
		t.Errorf("renamed: %d", status)
	}
	for i := range 49 {
		if status, _ := p.views(mine, http.MethodPost, "", fmt.Sprintf(`{"name": "v%d", "query": ""}`, i), nil); status != http.StatusOK {
			t.Fatalf("view %d: %d", i, status)
		}
	}
	if status, code := p.views(mine, http.MethodPost, "", `{"name": "one more", "query": ""}`, nil); status != http.StatusForbidden || code != "too_many" {
		t.Errorf("one more: %d %s", status, code)
	}
	if status, _ := p.views(mine, http.MethodDelete, "/"+v.ID, "", nil); status != http.StatusOK {
		t.Errorf("deleted: %d", status)
	}
	if status, _ := p.views(mine, http.MethodDelete, "/"+v.ID, "", nil); status != http.StatusNotFound {
		t.Errorf("deleted twice: %d", status)
	}
}
