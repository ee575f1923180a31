package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
)

// A refused statement stands in the form of who typed it, without its literals, and nobody else's does; what is sent is what who decides
// reads, also when that is nothing (ACC-38).
func TestRefusedStatementGoesAlong(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	refused := func(who, sql, verdict string) audit.Event {
		return audit.Event{Kind: audit.Decision, Subject: who, Store: "shop", Verdict: verdict, Statement: sql}
	}
	p.writeTrail(time.Now().Add(-time.Hour), refused("ana", "SELECT iban FROM payroll WHERE id = ?", "refuse"), refused("sam", "SELECT secret FROM payroll", "refuse"), refused("ana", "SELECT allowed FROM payroll", "allow"))
	ids := map[string]string{}
	for _, e := range as[portal.Trail](p, "auditor", "GET /api/v1/trail?kind="+string(audit.Decision), "").Events {
		ids[e.Statement] = e.ID
	}
	mine, others, allowed := ids["SELECT iban FROM payroll WHERE id = ?"], ids["SELECT secret FROM payroll"], ids["SELECT allowed FROM payroll"]
	if mine == "" || others == "" || allowed == "" {
		t.Fatalf("the trail: %v", ids)
	}
	if out := as[portal.AskForm](p, "ana", "GET /api/v1/askable/payroll-review?event="+mine, ""); out.Statement != "SELECT iban FROM payroll WHERE id = ?" {
		t.Errorf("the form has %q", out.Statement)
	}
	if _, text := p.call("ana", http.MethodGet, "/ask/payroll-review?event="+mine, nil, nil); !strings.Contains(text, ">SELECT iban FROM payroll WHERE id = ?</textarea>") || !strings.Contains(text, "It does not go to Slack or mail") {
		t.Errorf("the page shows\n%s", text)
	}
	for _, id := range []string{others, allowed, "0000000000000000"} {
		if out := as[portal.AskForm](p, "ana", "GET /api/v1/askable/payroll-review?event="+id, ""); out.Statement != "" {
			t.Errorf("the form has %q", out.Statement)
		}
		if status, text := p.answer(p.terminal("ana"), "POST /api/v1/requests", `{"what": "staff", "note": "why", "event": "`+id+`"}`); status != http.StatusForbidden || !strings.Contains(text, `"event"`) {
			t.Errorf("asked about %s: %d %s", id, status, text)
		}
	}
	ask := func(statement string) string {
		t.Helper()
		if answer, text := p.post("ana", "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {"the report"}, "event": {mine}, "statement": {statement}}); answer.StatusCode != http.StatusSeeOther {
			t.Fatalf("ana asks: %s\n%s", answer.Status, text)
		}
		_, inbox := p.call("dora", http.MethodGet, "/inbox", nil, nil)
		for _, r := range as[[]access.Request](p, "ana", "GET /api/v1/requests?open=1", "") {
			as[portal.Outcome](p, "ana", "POST /api/v1/requests/"+r.ID+"/withdraw", "{}")
		}
		return inbox
	}
	if text := ask("SELECT iban FROM payroll\r\nWHERE id = 4711 -- <b>"); !strings.Contains(text, "<pre class=\"sql\">SELECT iban FROM payroll\nWHERE id = 4711 -- &lt;b&gt;</pre>") {
		t.Errorf("who decides reads\n%s", text)
	}
	if text := ask(""); strings.Contains(text, "<pre") || !strings.Contains(text, mine) {
		t.Errorf("who decides reads of an emptied one\n%s", text)
	}
	if answer, text := p.post("ana", "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {"the report"}, "statement": {"SELECT \u202e1"}}); answer.StatusCode != http.StatusForbidden || !strings.Contains(text, `id="statement-bad"`) || !strings.Contains(text, ">the report</textarea>") {
		t.Errorf("of a turned one: %s\n%s", answer.Status, text)
	}
	out := as[portal.Outcome](p, "ana", "POST /api/v1/requests", `{"what": "staff", "note": "why", "event": "`+mine+`"}`)
	if s := out.Request.Statement; s == nil || s.Text != "SELECT iban FROM payroll WHERE id = ?" || !strings.HasSuffix(out.Request.Note, "(refused: event "+mine+")") {
		t.Errorf("asked about a refusal: %+v, %q", s, out.Request.Note)
	}
}

// What turns the direction of text is shown as what it is, so that no name seems to say something else, and goes back to the server in a
// form as it was. Letters that are read from right to left stay what they are.
func TestDirection(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const evil, shown = "\u0645\u0631 safe\u202egnihton\u2066x", "\u0645\u0631 " + `safe\u202egnihton\u2066x`
	p.columns = append(p.columns, portal.Column{Column: policy.Column{Table: p.columns[0].Table, Column: evil}, Type: "text"})
	_, text := p.call("dora", http.MethodGet, "/datasets/staff", nil, nil)
	if !strings.Contains(text, shown) || strings.Contains(text, ">"+evil) {
		t.Errorf("the page shows\n%s", text)
	}
	_, text = p.call("dora", http.MethodGet, "/catalogue?q="+url.QueryEscape(evil), nil, nil)
	if !strings.Contains(text, `value="`+evil+`"`) || strings.Contains(text, ">"+evil) {
		t.Errorf("the filter is not what was typed\n%s", text)
	}
	if _, plain := p.call("dora", http.MethodGet, "/catalogue", nil, nil); !strings.Contains(plain, "staff") {
		t.Errorf("a page without any shows\n%s", plain)
	}
}
