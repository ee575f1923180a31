package portal_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
)

// writeTrail puts events into the trail that pages read, a minute after one another from a day on.
func (p *place) writeTrail(day time.Time, events ...audit.Event) {
	p.t.Helper()
	if p.key == nil {
		text, err := audit.GenerateKey(rand.Reader)
		if err != nil {
			p.t.Fatal(err)
		}
		if p.key, err = audit.LoadKey(text); err != nil {
			p.t.Fatal(err)
		}
	}
	var now atomic.Pointer[time.Time]
	now.Store(&day)
	out, err := audit.Open(audit.Config{
		Folder: p.folder, Key: p.key, Instance: "gw1", Sync: time.Minute, RotateAge: 1000 * time.Hour, Now: func() time.Time { return *now.Load() },
	})
	if err != nil {
		p.t.Fatal(err)
	}
	for i, e := range events {
		at := day.Add(time.Duration(i+1) * time.Minute)
		now.Store(&at)
		if _, err := out.Record(p.t.Context(), e); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// statements are n statements of ana's, in a session with a beginning and an end.
func statements(n int) []audit.Event {
	one := audit.Event{Subject: "ana", Session: "s1", Store: "shop", Verdict: "allow"}
	out := []audit.Event{one}
	out[0].Kind = audit.LoginAccepted
	for i := range n {
		one.Kind, one.Statement = audit.Decision, fmt.Sprintf("SELECT %d", i)
		out = append(out, one)
	}
	one.Kind, one.Statement = audit.SessionEnd, ""
	return append(out, one)
}

var (
	statement = regexp.MustCompile(`SELECT (\d+)<`)
	onward    = regexp.MustCompile(`href="(/[^"]*before=[^"]*)"`)
)

// TestTrailPageByPage: a page of a long trail shows the newest, and leads to those before until there are none, by links that others can
// follow; the call does the same. What is kept under a name is the search, and not a place in it.
func TestTrailPageByPage(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	const n = 450
	p.writeTrail(time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC), statements(n)...)
	next, want, steps := "/trail?kind=statement.*&subject=ana", n-1, 0
	for ; next != "" && steps < 10; steps++ {
		answer, text := p.call("auditor", http.MethodGet, next, nil, nil)
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s", next, answer.Status)
		}
		for _, m := range statement.FindAllStringSubmatch(text, -1) {
			if m[1] != fmt.Sprint(want) {
				t.Fatalf("%s: %s stands where %d should", next, m[1], want)
			}
			want--
		}
		if !strings.Contains(text, `name="query" value="kind=statement.%2A&amp;subject=ana"`) {
			t.Errorf("%s: what would be kept is not the search", next)
		}
		next = ""
		for _, m := range onward.FindAllStringSubmatch(text, -1) {
			if to := strings.ReplaceAll(m[1], "&amp;", "&"); strings.Contains(text, `<a class="button" href="`+m[1]) {
				next = to
			}
		}
		if next != "" && !strings.Contains(next, "subject=ana") {
			t.Fatalf("%s forgets what was searched for", next)
		}
	}
	if want != -1 || steps != 3 {
		t.Errorf("the pages end %d statements early, after %d", want+1, steps)
	}
	var seen []string
	for before := uint64(0); ; {
		query := "?kind=statement.*"
		if before > 0 {
			query += fmt.Sprintf("&before=%d", before)
		}
		out := as[portal.Trail](p, "auditor", "GET /api/v1/trail"+query, "")
		for _, e := range out.Events {
			seen = append(seen, e.Statement)
		}
		if out.Full != (out.Earlier > 0) {
			t.Errorf("before %d: more is %v, earlier %d", before, out.Full, out.Earlier)
		}
		if before = out.Earlier; before == 0 {
			break
		}
	}
	if len(seen) != n || seen[0] != fmt.Sprintf("SELECT %d", n-1) || seen[n-1] != "SELECT 0" {
		t.Errorf("the call finds %d statements", len(seen))
	}
	if _, text := p.call("auditor", http.MethodGet, "/trail?subject=nobody", nil, nil); !strings.Contains(text, "No such events") || strings.Contains(text, "before=") {
		t.Errorf("what was looked through to its end leads further:\n%s", text)
	}
}

// TestTrailInTime: a search whose time is up says so, on the page and in the call, how far it came, and goes on from there until it has
// looked at everything.
func TestTrailInTime(t *testing.T) {
	t.Parallel()
	p := newPlace(t, func(c *portal.Config) { c.Look = time.Nanosecond })
	p.writeTrail(time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC), append(statements(20), audit.Event{Kind: audit.Alarm})...)
	_, text := p.call("auditor", http.MethodGet, "/trail?text=SELECT+3", nil, nil)
	if !strings.Contains(text, "None so far") || !strings.Contains(text, "6 May 2026") || !strings.Contains(text, "Look further") || strings.Contains(text, "No such events") {
		t.Errorf("%s", text)
	}
	var found []string
	steps, last := 0, uint64(1<<62)
	for query := "text=SELECT+3"; query != ""; steps++ {
		out := as[portal.Trail](p, "auditor", "GET /api/v1/trail?"+query, "")
		for _, e := range out.Events {
			found = append(found, e.Statement)
		}
		if out.Full == (out.Earlier == 0) || out.Full == out.Back.IsZero() || out.Earlier >= last {
			t.Fatalf("more %v, earlier %d, back to %v", out.Full, out.Earlier, out.Back)
		}
		if query, last = "", out.Earlier; out.Earlier > 0 {
			query = fmt.Sprintf("text=SELECT+3&before=%d", out.Earlier)
		} else {
			break
		}
	}
	if !slices.Equal(found, []string{"SELECT 3"}) || steps < 5 {
		t.Errorf("%v after %d steps", found, steps)
	}
	one := as[portal.SessionTrail](p, "auditor", "GET /api/v1/trail/sessions/s1?around=12", "")
	if one.Earlier == 0 || one.Back.IsZero() || one.Later == 0 || one.On.IsZero() {
		t.Errorf("a session that was not looked at whole: %+v", one)
	}
	if _, text := p.call("auditor", http.MethodGet, "/trail/sessions/s1?around=12", nil, nil); !strings.Contains(text, "Looked back to") || !strings.Contains(text, "Looked on to") {
		t.Errorf("%s", text)
	}
}

// TestOneDay: the first and the last day of a search may be the same one.
func TestOneDay(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.writeTrail(time.Date(2026, 5, 6, 22, 0, 0, 0, time.UTC), statements(1500)...)
	for query, want := range map[string]int{"since=2026-05-06&until=2026-05-06": 119, "since=2026-05-07&until=2026-05-07": 200, "since=2026-05-08": 0, "until=2026-05-05": 0} {
		out := as[portal.Trail](p, "auditor", "GET /api/v1/trail?"+query, "")
		if len(out.Events) != want || len(out.Events) > 0 && out.Events[0].Time.Format(time.DateOnly) != query[6:16] {
			t.Errorf("%s: %d events, want %d", query, len(out.Events), want)
		}
	}
}

// TestSessionFromAnywhere: a session is shown from its first event to its last, whichever of its events one comes from, and of one that is
// longer than a page what is left is said.
func TestSessionFromAnywhere(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	other := audit.Event{Kind: audit.Decision, Subject: "bob", Session: "s2", Verdict: "allow", Statement: "SELECT 7777"}
	p.writeTrail(time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC), slices.Concat([]audit.Event{other}, statements(20), []audit.Event{other})...)
	at := as[portal.Trail](p, "auditor", "GET /api/v1/trail?subject=ana", "").Events
	if len(at) != 22 {
		t.Fatalf("%d events", len(at))
	}
	for _, query := range []string{"", fmt.Sprintf("?around=%d", at[0].Seq), fmt.Sprintf("?around=%d", at[9].Seq), fmt.Sprintf("?around=%d", at[21].Seq)} {
		got := as[portal.SessionTrail](p, "auditor", "GET /api/v1/trail/sessions/s1"+query, "")
		if len(got.Events) != 22 || got.Events[0].Kind != audit.LoginAccepted || got.Events[21].Kind != audit.SessionEnd || got.Earlier != 0 || got.Later != 0 {
			t.Errorf("%q: %d events, earlier %d, later %d", query, len(got.Events), got.Earlier, got.Later)
		}
		_, text := p.call("auditor", http.MethodGet, "/trail/sessions/s1"+query, nil, nil)
		if strings.Index(text, "SELECT 0<") > strings.Index(text, "SELECT 1<") || !strings.Contains(text, "SELECT 19<") || strings.Contains(text, "7777") || strings.Contains(text, "Look further") {
			t.Errorf("%q:\n%s", query, text)
		}
	}
	if _, text := p.call("auditor", http.MethodGet, "/trail?subject=ana", nil, nil); !strings.Contains(text, fmt.Sprintf(`/trail/sessions/s1?around=%d`, at[9].Seq)) {
		t.Error("the trail does not lead to the place of a session")
	}

	long := newPlace(t)
	long.writeTrail(time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC), statements(2500)...)
	all := map[string]bool{}
	first := as[portal.SessionTrail](long, "auditor", "GET /api/v1/trail/sessions/s1?around=1300", "")
	note := func(events []audit.Record) {
		for _, e := range events {
			all[fmt.Sprint(e.Seq)] = true
		}
	}
	note(first.Events)
	for before := first.Earlier; before > 0; {
		out := as[portal.SessionTrail](long, "auditor", fmt.Sprintf("GET /api/v1/trail/sessions/s1?before=%d", before), "")
		note(out.Events)
		before = out.Earlier
	}
	for after := first.Later; after > 0; {
		out := as[portal.SessionTrail](long, "auditor", fmt.Sprintf("GET /api/v1/trail/sessions/s1?after=%d", after), "")
		note(out.Events)
		after = out.Later
	}
	if first.Earlier == 0 || first.Later == 0 || len(all) != 2502 {
		t.Errorf("%d of 2502 events; earlier %d, later %d", len(all), first.Earlier, first.Later)
	}
	if _, text := long.call("auditor", http.MethodGet, "/trail/sessions/s1?around=1300", nil, nil); strings.Count(text, "Look further") != 2 {
		t.Error("a page of a long session does not say that there is more on both sides")
	}
}

// putGrant keeps a grant on dataset staff; one with a minute ended then.
func (p *place) putGrant(id, dataset string, minute int) {
	p.t.Helper()
	g := access.Grant{
		ID: id, Version: 1, State: access.Active, Wall: access.WallReady, Subject: "u" + id, Rule: "payroll-review", Dataset: dataset, Request: "r" + id,
		Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour),
	}
	if minute > 0 {
		g.State, g.Wall, g.Closed = access.Ended, access.WallGone, time.Date(2026, 5, 6, 0, minute, 0, 0, time.UTC)
	}
	if err := p.db.Commit(p.t.Context(), access.Change{Grants: []access.Grant{g}}); err != nil {
		p.t.Fatal(err)
	}
}

// TestManyGrants: all that live are shown, of those that ended the last two hundred, with a way to those before; a filter looks through all,
// and an owner is shown those on their own datasets alone, however many others there are.
func TestManyGrants(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	for i := range 3 {
		p.putGrant(fmt.Sprintf("l%03d", i), "staff", 0)
	}
	const n = 450
	for i := 1; i <= n; i++ {
		p.putGrant(fmt.Sprintf("g%03d", (i*7)%1000), "staff", i)
		if i%2 == 0 {
			p.putGrant(fmt.Sprintf("x%03d", i), "elsewhere", i)
		}
	}
	for who, want := range map[string]int{"auditor": 3 + n + n/2, "dora": 3 + n} {
		seen := map[string]bool{}
		var last time.Time
		before, steps := "", 0
		for ; ; steps++ {
			out := as[portal.Overseen](p, who, "GET /api/v1/grants/overseen?all=true&before="+url.QueryEscape(before), "")
			live := 0
			for _, g := range out.Grants {
				switch {
				case seen[g.ID]:
					t.Fatalf("%s: %s comes twice", who, g.ID)
				case g.Live():
					live++
				case !last.IsZero() && g.Closed.After(last):
					t.Fatalf("%s: %s stands behind one that ended before", who, g.ID)
				default:
					last = g.Closed
				}
				seen[g.ID] = true
			}
			if (live > 0) != (before == "") || len(out.Grants)-live > 200 {
				t.Errorf("%s, before %q: %d live of %d", who, before, live, len(out.Grants))
			}
			if before = out.Earlier; before == "" {
				break
			}
		}
		if len(seen) != want || steps != (want-4)/200 {
			t.Errorf("%s sees %d grants in %d steps, want %d", who, len(seen), steps+1, want)
		}
	}
	for path, tt := range map[string]struct {
		has, lacks string
		more       bool
	}{
		"/grants":              {"ul000", "ug007", false},
		"/grants?all=1":        {"ul000", "ug007", true},
		"/grants?all=1&q=g007": {"ug007", "ug014", false},
	} {
		for _, who := range []string{"auditor", "dora"} {
			_, text := p.call(who, http.MethodGet, path, nil, nil)
			if !strings.Contains(text, tt.has) || strings.Contains(text, tt.lacks) || strings.Contains(text, "Earlier grants") != tt.more {
				t.Errorf("%s as %s: has %s: %v, lacks %s: %v, leads to earlier ones: %v", path, who, tt.has, strings.Contains(text, tt.has),
					tt.lacks, !strings.Contains(text, tt.lacks), strings.Contains(text, "Earlier grants"))
			}
		}
	}
	for _, before := range []string{"x", "12", "12-", "-a"} {
		if status, _ := p.answer(p.terminal("auditor"), "GET /api/v1/grants/overseen?all=true&before="+before, ""); status != http.StatusBadRequest {
			t.Errorf("before=%s: %d", before, status)
		}
	}
}

// TestLayoutFollows: columns, labels and datasets that changed are seen at the next look, and nobody is shown what another may see.
func TestLayoutFollows(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	labels := func(who string) []string {
		return as[portal.Dataset](p, who, "GET /api/v1/datasets/staff", "").Labels
	}
	if got := labels("ana"); !slices.Equal(got, []string{"fin.iban"}) {
		t.Fatalf("%v", got)
	}
	if got := as[portal.Dataset](p, "sam", "GET /api/v1/datasets/staff", ""); len(got.Labels)+len(got.Tables)+got.Count != 0 {
		t.Errorf("sam, who may not ask, sees %+v", got)
	}
	table := p.columns[0].Table
	phone := policy.Column{Table: table, Column: "phone"}
	p.columns = append(slices.Clone(p.columns), portal.Column{Column: phone, Type: "text"})
	if got := as[portal.Dataset](p, "ana", "GET /api/v1/datasets/staff", ""); len(got.Tables) != 1 || len(got.Tables[0].Columns) != 3 {
		t.Errorf("a column that came is not seen: %+v", got.Tables)
	}
	next := samplePolicy(t)
	next.Labels[phone] = &policy.Label{Column: phone, Class: "contact.phone"}
	p.pol = next
	if got := labels("ana"); !slices.Equal(got, []string{"contact.phone", "fin.iban"}) {
		t.Errorf("a label that came is not seen: %v", got)
	}
	next = samplePolicy(t)
	next.Datasets["staff"].Include[0].Table = "another"
	p.pol = next
	if got := as[portal.Dataset](p, "ana", "GET /api/v1/datasets/staff", ""); len(got.Labels)+len(got.Tables)+got.Count != 0 {
		t.Errorf("a dataset without tables shows %+v", got)
	}
}

// TestUndecidedFollows: what waits is counted anew at the next page, whoever changed it, and by everybody for themselves.
func TestUndecidedFollows(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	counted := func(who string) bool {
		_, text := p.call(who, http.MethodGet, "/catalogue", nil, nil)
		return strings.Contains(text, `<span class="count">1<`)
	}
	if counted("dora") || counted("sam") {
		t.Fatal("something waits before anybody asked")
	}
	asked := as[access.Outcome](p, "ana", "POST /api/v1/requests", `{"what": "staff", "for": "1h", "note": "report of April"}`)
	if !counted("dora") || counted("sam") || counted("ana") {
		t.Errorf("a request waits for dora: %v, sam: %v, ana: %v", counted("dora"), counted("sam"), counted("ana"))
	}
	as[access.Outcome](p, "ana", "POST /api/v1/requests/"+asked.Request.ID+"/withdraw", "{}")
	if counted("dora") || len(as[[]portal.ToDecide](p, "dora", "GET /api/v1/inbox", "")) != 0 {
		t.Error("what was withdrawn still waits")
	}
}

// TestPolicyChangesAreShown: what is remembered of the policy is on its page and in its call, in order, and it is said when the trail is
// still looked through for more.
func TestPolicyChangesAreShown(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	at := func(minute int) time.Time { return time.Date(2026, 5, 6, 0, minute, 0, 0, time.UTC) }
	for _, digest := range []string{"one", "two"} {
		if err := p.db.KeepPolicy(t.Context(), digest, at(0), []string{"rule all: to = " + digest}); err != nil {
			t.Fatal(err)
		}
	}
	p.pol.Digest = "two"
	p.changes = portal.Changes{Events: []audit.Event{
		{Kind: audit.ServeStart, Time: at(1), Policy: "one"},
		{Kind: audit.Reload, Time: at(2), Policy: "two", Verdict: "allow", Detail: map[string]string{"file_owner": "os:dora"}},
	}}
	out := as[portal.PolicyShown](p, "reader", "GET /api/v1/policy", "")
	if len(out.Changes) != 2 || !out.Changes[0].Compare || out.Changes[0].Before != "one" || out.Changes[0].By != "os:dora" || !out.Since.Equal(at(2)) || !out.Looking {
		t.Errorf("%+v", out)
	}
	_, text := p.call("reader", http.MethodGet, "/policy", nil, nil)
	if !strings.Contains(text, "/policy/changes?from=one&amp;to=two") || !strings.Contains(text, "still looked for") {
		t.Errorf("%s", text)
	}
	p.changes.Events, p.changes.Whole = append(p.changes.Events, audit.Event{Kind: audit.Reload, Time: at(3), Policy: "two", Verdict: "refuse", Message: "line 7 is wrong"}), true
	if _, text := p.call("reader", http.MethodGet, "/policy", nil, nil); !strings.Contains(text, "line 7 is wrong") || strings.Contains(text, "still looked for") {
		t.Errorf("the next look does not know of the next change:\n%s", text)
	}
	if got := as[[]portal.PolicyChange](p, "reader", "GET /api/v1/policy/changes", ""); len(got) != 3 || got[0].Message == "" {
		t.Errorf("%+v", got)
	}
}
