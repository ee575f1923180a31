package portal_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/portal"
)

// TestDatasetSaysHowItIsUsed: to those who answer for a dataset it is said who used it of late, how often, and what was refused, by what it
// holds; what was written since the last look counts too, and what is too long ago does not.
func TestDatasetSaysHowItIsUsed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	one := func(who, verdict, table string) audit.Event {
		e := audit.Event{Kind: audit.Decision, Subject: who, Store: "shop", Verdict: verdict}
		if verdict == "refuse" {
			e.Detail = map[string]string{"dataset": table}
		} else {
			e.Touches = []audit.Touch{{Relation: "shop.public." + table, Action: "select"}}
		}
		return e
	}
	now := time.Now().UTC()
	p.writeTrail(now.AddDate(0, 0, -20), one("ana", "allow", "payroll"))
	p.writeTrail(now.Add(-25*time.Hour), one("ana", "allow", "payroll"), one("ana", "rewrite", "payroll"), one("sam", "allow", "payroll"), one("sam", "refuse", "staff"), one("ana", "allow", "nowhere"))
	used := func(who string) *portal.Usage {
		t.Helper()
		var out portal.Dataset
		p.into(who, "/api/v1/datasets/staff", &out)
		return out.Used
	}
	is := func(people, statements, refused int) func() bool {
		return func() bool {
			u := used("dora")
			return u != nil && u.From.IsZero() && u.People == people && u.Statements == statements && u.Refused == refused
		}
	}
	p.eventually("the use of the last days is counted", is(2, 3, 1))
	u := used("dora")
	if len(u.Days) != 14 || u.Days[13].Day != now.Format(time.DateOnly) || !slices.Equal(u.Busiest, []portal.User{{Name: "ana", Statements: 2}, {Name: "sam", Statements: 1}}) ||
		u.LastUse.Before(now.Add(-26*time.Hour)) {
		t.Errorf("%+v", u)
	}
	p.writeTrail(now.Add(-time.Hour), one("dora", "allow", "payroll"), one("dora", "refuse", "staff"))
	p.eventually("what was done since is counted too, and nothing twice", is(3, 4, 2))
	if used("ana") != nil {
		t.Error("whoever answers for nothing is told who used it")
	}
	_, text := p.call("auditor", http.MethodGet, "/datasets/staff", nil, nil)
	if !strings.Contains(text, "4 let through, 2 refused") || strings.Count(text, `class="refused"`) < 1 || strings.Count(text, `class="day"`) != 14 {
		t.Errorf("the page shows\n%s", text)
	}
}

// TestInboxSaysWhatWasBefore: whoever decides learns when the person used the dataset last, who else holds the same, and what became of what
// they asked for before.
func TestInboxSaysWhatWasBefore(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	ask := func() {
		t.Helper()
		if answer, text := p.post("ana", "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {"the report"}}); answer.StatusCode != http.StatusSeeOther {
			t.Fatalf("ana asks: %s\n%s", answer.Status, text)
		}
	}
	waits := func() portal.ToDecide {
		t.Helper()
		var out []portal.ToDecide
		p.into("dora", "/api/v1/inbox", &out)
		if len(out) != 1 || out[0].Before == nil {
			t.Fatalf("%+v", out)
		}
		return out[0]
	}
	ask()
	first := waits()
	if b := first.Before; !b.LastUse.IsZero() || len(b.Others)+len(b.Decided) > 0 {
		t.Errorf("of somebody who never asked: %+v", b)
	}
	if answer, _ := p.post("dora", "/requests/"+first.ID+"/deny", url.Values{"note": {"not this week"}}); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("dora refuses: %s", answer.Status)
	}
	used := time.Now().Add(-50 * time.Hour).UTC().Truncate(time.Second)
	var grants []access.Grant
	for i, who := range []string{"ana", "u1", "u2", "u3", "u4", "u5", "u6"} {
		grants = append(grants, access.Grant{
			ID: "g" + who, Version: 1, State: access.Active, Wall: access.WallReady, Subject: who, Rule: "payroll-review", Dataset: "staff", Request: "r" + who,
			Start: used, End: time.Now().Add(time.Hour), LastUse: used.Add(time.Duration(i) * time.Hour),
		})
	}
	grants[0].State, grants[0].Wall, grants[0].Closed = access.Ended, access.WallGone, used.Add(time.Hour)
	if err := p.db.Commit(t.Context(), access.Change{Grants: grants}); err != nil {
		t.Fatal(err)
	}
	ask()
	b := waits().Before
	if !b.LastUse.Equal(used) || !slices.Equal(b.Others, []string{"u1", "u2", "u3", "u4", "u5"}) || b.More != 1 {
		t.Errorf("%+v", b)
	}
	if len(b.Decided) != 1 || b.Decided[0].State != access.Denied || !slices.Equal(b.Decided[0].By, []string{"dora"}) || b.Decided[0].Word != "not this week" {
		t.Errorf("%+v", b.Decided)
	}
	_, text := p.call("dora", http.MethodGet, "/inbox", nil, nil)
	for _, want := range []string{"u1, u2, u3, u4, u5 and 1 more", "denied, ", "by dora", "“not this week”"} {
		if !strings.Contains(text, want) {
			t.Errorf("the inbox lacks %q:\n%s", want, text)
		}
	}
}

// TestEveryListIsFiltered: what somebody has to decide, what is theirs, and the stores are filtered by what the address says.
func TestEveryListIsFiltered(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	if answer, text := p.post("ana", "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {"the report"}}); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("ana asks: %s\n%s", answer.Status, text)
	}
	for _, tt := range []struct{ who, path, hit, row string }{
		{"dora", "/inbox", "ana staff report", "ana asks for"},
		{"ana", "/mine", "staff pending", "waiting for a decision"},
		{"admin", "/health", "shop", `class="chip good"`},
	} {
		if _, text := p.call(tt.who, http.MethodGet, tt.path+"?q="+url.QueryEscape(tt.hit), nil, nil); !strings.Contains(text, tt.row) || !strings.Contains(text, `value="`+tt.hit+`"`) {
			t.Errorf("%s of %q lacks what it is looked for:\n%s", tt.path, tt.hit, text)
		}
		if _, text := p.call(tt.who, http.MethodGet, tt.path+"?q=elephant", nil, nil); strings.Contains(text, tt.row) || !strings.Contains(text, "matches “elephant”") {
			t.Errorf("%s of something else:\n%s", tt.path, text)
		}
	}
}

// TestStrictTransport: a browser that came over TLS is told to go on so, also where TLS ended at a proxy under the portal's address; one that
// reads from this machine, or came by another way, is not.
func TestStrictTransport(t *testing.T) {
	t.Parallel()
	behind := newPlace(t, func(c *portal.Config) { c.URL = "https://postern.example" })
	plain := newPlace(t)
	for _, tt := range []struct {
		name, url string
		at        *place
		want      bool
	}{
		{"over TLS", "https://postern.example/sign-in", plain, true},
		{"a call over TLS", "https://postern.example/api/v1/openapi.json", plain, true},
		{"behind a proxy", "http://postern.example/sign-in", behind, true},
		{"behind a proxy, under another name", "http://other.example/sign-in", behind, false},
		{"in plain", "http://postern.example/sign-in", plain, false},
		{"on this machine", "https://localhost:8443/sign-in", plain, false},
		{"on this machine, by number", "https://127.0.0.1:8443/sign-in", behind, false},
	} {
		w := httptest.NewRecorder()
		tt.at.server.Config.Handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.url, nil))
		if got := w.Header().Get("Strict-Transport-Security"); (got == "max-age=31536000") != tt.want {
			t.Errorf("%s: %q", tt.name, got)
		}
	}
}

// proposer proposes the same change whatever it is asked.
type proposer struct{ portal.Insight }

func (proposer) Propose(context.Context, string, []portal.Choice) (*portal.Proposal, error) {
	return &portal.Proposal{File: "postern.yaml", Diff: "+ labels"}, nil
}

func (proposer) Discovered(context.Context) ([]portal.Discovery, error) { return nil, nil }

// TestProposalIsInTheTrail: that somebody had a change of labels written is recorded, with the columns; a call that says of none what it is
// is refused and no proposal.
func TestProposalIsInTheTrail(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(c *portal.Config) { c.Insight = proposer{} })
	if answer, _ := p.post("editor", "/discovery", url.Values{}); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("without a column: %s", answer.Status)
	}
	if n := len(p.recorded(audit.PolicyProposed)); n != 0 {
		t.Errorf("%d proposals of nothing are in the trail", n)
	}
	if answer, text := p.post("editor", "/discovery", url.Values{"c:shop.public.payroll.iban": {"fin.iban"}, "c:shop.public.payroll.id": {"none"}}); answer.StatusCode != http.StatusOK || !strings.Contains(text, "labels") {
		t.Fatalf("%s\n%s", answer.Status, text)
	}
	found := p.recorded(audit.PolicyProposed)
	if len(found) != 1 || found[0].Subject != "editor" || found[0].Detail["columns"] != "shop.public.payroll.iban=fin.iban shop.public.payroll.id=none" || found[0].Detail["count"] != "2" {
		t.Errorf("%+v", found)
	}
}

// TestTrailFoldsRareFields: what is rarely searched for is folded away, unless the address says something of it.
func TestTrailFoldsRareFields(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for query, open := range map[string]bool{"": false, "?subject=ana": false, "?table=payroll": false, "?store=shop": true, "?since=2026-05-06": true, "?label=fin.*": true} {
		_, text := p.call("auditor", http.MethodGet, "/trail"+query, nil, nil)
		if got := strings.Contains(text, `<details class="more" open>`); got != open {
			t.Errorf("%q: the fields are open: %v", query, got)
		}
		if !strings.Contains(text, `name="until"`) {
			t.Errorf("%q: a field is gone", query)
		}
	}
}

// into reads a call's answer as somebody's session gets it.
func (p *place) into(who, path string, out any) {
	p.t.Helper()
	answer, text := p.call("", http.MethodGet, path, nil, map[string]string{"Authorization": "Bearer " + p.terminal(who)})
	if err := json.Unmarshal([]byte(text), out); err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %s, %v\n%s", who, path, answer.Status, err, text)
	}
}

// recorded lists the events of a kind.
func (p *place) recorded(kind audit.Kind) (out []audit.Event) {
	p.trail.mu.Lock()
	defer p.trail.mu.Unlock()
	for _, e := range p.trail.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

func (p *place) eventually(what string, ok func() bool) {
	p.t.Helper()
	for until := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			p.t.Fatalf("in a minute it did not come to: %s", what)
		}
	}
}
