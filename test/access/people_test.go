package access_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/demo/workspace"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// oneTime is what an authenticator shows at a time (RFC 6238), worked out without the code under test.
func oneTime(t *testing.T, seed string, at time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(seed)
	if err != nil {
		t.Fatal(err)
	}
	var m [8]byte
	binary.BigEndian.PutUint64(m[:], uint64(at.Unix()/30))
	h := hmac.New(sha1.New, key)
	h.Write(m[:])
	sum := h.Sum(nil)
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff)%1_000_000)
}

// answer is a step of a sign-in.
type answer struct {
	Token, User, Role, Next string
	Recovery                []string
}

// people signs an admin in from the link that an operator makes, and somebody else on a terminal.
func (p *place) people(t *testing.T) {
	var link struct{ Name, Link, Code string }
	if err := json.Unmarshal([]byte(p.Must(t, "user", "create", "root", "--admin", "--format", "json")), &link); err != nil {
		t.Fatal(err)
	}
	if link.Link != p.portal.URL+"/join#"+link.Code {
		t.Errorf("the link is %s", strings.Replace(link.Link, link.Code, "…", 1))
	}
	var in answer
	var done answer
	accept := map[string]string{"code": link.Code, "password": "four plain words here"}
	p.call("", http.MethodPost, "login/accept", accept, &in)
	if in.Next != "enrol" || p.try("", http.MethodPost, "login/accept", accept, nil) != http.StatusUnauthorized {
		t.Errorf("after the link: %q; or the link works twice", in.Next)
	}
	p.tokens["root"] = in.Token
	if code := p.try("root", http.MethodGet, "users", nil, nil); code != http.StatusUnauthorized {
		t.Errorf("half a sign-in opens the list of users: %d", code)
	}
	var seed struct{ Secret string }
	p.call("root", http.MethodPost, "login/enrol", nil, &seed)
	p.call("root", http.MethodPost, "login/confirm", map[string]string{"code": oneTime(t, seed.Secret, time.Now())}, &done)
	in = done
	if in.Next != "" || in.Role != "admin" || len(in.Recovery) != 10 {
		t.Fatalf("after the second factor: %q %q, %d codes", in.Next, in.Role, len(in.Recovery))
	}
	p.tokens["root"] = in.Token
	var users []struct {
		Name   string
		Factor bool `json:"second_factor"`
	}
	p.call("root", http.MethodGet, "users", nil, &users)
	if len(users) != 1 || users[0].Name != "root" || !users[0].Factor {
		t.Errorf("users: %+v", users)
	}
	for method, path := range map[string]string{http.MethodGet: "users", http.MethodPost: "users/ana", http.MethodDelete: "users/bob/sessions"} {
		if code := p.try("ana", method, path, struct{}{}, nil); code != http.StatusForbidden {
			t.Errorf("ana, who is no admin: %s %s: %d", method, path, code)
		}
	}
	// A code that was used, and one of a program's token, prove nothing again.
	if code := p.try("root", http.MethodPost, "factor", map[string]string{"code": oneTime(t, seed.Secret, time.Now().Add(-30*time.Second))}, nil); code != http.StatusUnauthorized {
		t.Errorf("an old code: %d", code)
	}
	p.call("root", http.MethodPost, "factor", map[string]string{"code": in.Recovery[0]}, nil)
	if code := p.try("root", http.MethodPost, "factor", map[string]string{"code": in.Recovery[0]}, nil); code != http.StatusUnauthorized {
		t.Errorf("a recovery code twice: %d", code)
	}
	p.onTerminal(t)
	p.breakGlass(t)
	p.inSlack(t)
	p.inForce(t)
	// An admin ends somebody else's sessions, and their account.
	inside, err := pgx.Connect(t.Context(), p.DSN("eve", "shop"))
	if err != nil {
		t.Fatalf("eve, before she is disabled: %v", err)
	}
	defer func() { _ = inside.Close(context.Background()) }()
	p.call("root", http.MethodPost, "users/eve", map[string]any{"disabled": true}, nil)
	eventually(t, "eve's session is closed", func() bool {
		_, err := inside.Exec(t.Context(), "SELECT 1")
		return err != nil
	})
	if _, err := p.query(p.DSN("eve", "shop"), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("eve, disabled, at the gateway: %v", err)
	}
	if code := p.try("eve", http.MethodGet, "me", nil, nil); code != http.StatusUnauthorized {
		t.Errorf("eve, disabled: %d", code)
	}
	if out := p.Must(t, "user", "list"); !strings.Contains(out, "eve") || !strings.Contains(out, "disabled since") {
		t.Errorf("user list:\n%s", out)
	}
	p.call("root", http.MethodDelete, "sessions", nil, nil)
	if code := p.try("root", http.MethodGet, "me", nil, nil); code != http.StatusUnauthorized {
		t.Errorf("root, all of whose sessions ended: %d", code)
	}
	p.Stop(t)
	out := p.Must(t, "audit", "search", "--format", "json")
	for _, want := range []string{"account.created", "account.accepted", "account.factor", "account.disabled", "factor.proved", "factor.refused", "portal.session_ended", "breakglass.started", "breakglass.reviewed"} {
		if !strings.Contains(out, `"kind":"`+want+`"`) {
			t.Errorf("the trail has no %s", want)
		}
	}
}

// TestDisabled plays what becomes of somebody whose account is disabled or reset: all that is open of theirs ends and nobody waits for
// their decision, while what others have goes on; and whoever is enabled again has what rules give them.
func TestDisabled(t *testing.T) {
	p := newPlace(t)
	p.serve()
	for _, who := range []string{"ana", "bob", "eve"} {
		p.Must(t, "user", "create", who)
	}
	type made struct{ ID, Secret string }
	hers := map[string]map[string]made{}
	secrets := func(who string) {
		p.take(who, "take-a", nil)
		hers[who] = map[string]made{}
		for kind, more := range map[string]map[string]string{"temporary": {"store": "shop"}, "personal": {"name": "nightly", "for": "1d"}} {
			var m made
			more["kind"] = kind
			p.call(who, http.MethodPost, "credentials", more, &m)
			hers[who][kind] = m
			p.tokens[who+" "+kind] = m.Secret
		}
	}
	with := func(who, kind string) string {
		return strings.Replace(p.DSN(who, "shop"), "password="+pgtest.PasswordOf(who), "password="+hers[who][kind].Secret, 1)
	}
	inside := func(dsn string) *pgx.Conn {
		conn, err := pgx.Connect(t.Context(), dsn)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		return conn
	}
	goesOn := func(what, who string, conn *pgx.Conn) {
		t.Helper()
		for kind := range hers[who] {
			if n, err := p.query(with(who, kind), "SELECT count(*) FROM a"); err != nil || n != 10 {
				t.Errorf("%s: %s's %s credential: %d, %v", what, who, kind, n, err)
			}
		}
		if code := p.try(who, http.MethodGet, "me", nil, nil); code != http.StatusOK {
			t.Errorf("%s: %s at the portal: %d", what, who, code)
		}
		if _, err := conn.Exec(t.Context(), "SELECT count(*) FROM a"); err != nil {
			t.Errorf("%s: %s's session: %v", what, who, err)
		}
	}
	over := func(what, who string, conn *pgx.Conn) {
		t.Helper()
		closed(t, who+"'s session", conn)
		for kind := range hers[who] {
			if _, err := p.query(with(who, kind), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "28P01") {
				t.Errorf("%s: %s's %s credential: %v", what, who, kind, err)
			}
		}
		for _, token := range []string{who, who + " personal"} {
			if code := p.try(token, http.MethodGet, "me", nil, nil); code != http.StatusUnauthorized {
				t.Errorf("%s: %s at the portal: %d", what, token, code)
			}
		}
	}
	secrets("ana")
	secrets("eve")
	ana, eve := inside(with("ana", "temporary")), inside(with("eve", "personal"))
	goesOn("before", "ana", ana)
	goesOn("before", "eve", eve)
	p.Must(t, "user", "set", "eve", "--disable")
	over("disabled", "eve", eve)
	goesOn("eve is disabled", "ana", ana)

	// What the policy file's password opens is looked at besides: a reset ends the sessions that began before it, and no others.
	own := inside(p.DSN("ana", "shop"))
	p.Must(t, "user", "invite", "ana", "--reset")
	over("reset", "ana", ana)
	closed(t, "ana's session by the policy file's password", own)
	own = inside(p.DSN("ana", "shop"))
	p.signIn("ana")

	var asked outcome
	p.call("ana", http.MethodPost, "requests", map[string]any{"what": "ask-c"}, &asked)
	p.Must(t, "user", "set", "bob", "--disable") // the only one who approves it
	eventually(t, "the request waits for nobody", func() bool {
		var all []struct{ ID, State string }
		p.call("ana", http.MethodGet, "requests", nil, &all)
		return slices.ContainsFunc(all, func(r struct{ ID, State string }) bool { return r.ID == asked.Request.ID && r.State == "superseded" })
	})
	if code := p.try("ana", http.MethodPost, "requests", map[string]any{"what": "ask-c"}, nil); code != http.StatusForbidden {
		t.Errorf("ana asks for what nobody could approve: %d", code)
	}
	p.Must(t, "user", "set", "bob", "--enable")
	eventually(t, "bob approves again", func() bool {
		return p.try("ana", http.MethodPost, "requests", map[string]any{"what": "ask-c"}, nil) == http.StatusOK
	})

	const holds = "SELECT count(*) FROM pg_auth_members WHERE member = 'ana'::regrole"
	if p.db.Query(t, holds) == "0" {
		t.Fatal("ana is in no profile before she is disabled")
	}
	p.Must(t, "user", "set", "ana", "--disable")
	closed(t, "ana's other session", own)
	eventually(t, "the server shows ana nothing", func() bool { return p.db.Query(t, holds) == "0" })
	p.Must(t, "user", "set", "ana", "--enable")
	eventually(t, "ana has again what a rule gives her", func() bool {
		n, err := p.query(p.DSN("ana", "shop"), "SELECT count(*) FROM base")
		return err == nil && n == 10
	})
	if _, err := p.query(p.DSN("ana", "shop"), "SELECT count(*) FROM a"); err == nil {
		t.Error("a grant came back with the account")
	}
	p.Stop(t)
	out := p.Must(t, "audit", "search", "--format", "json")
	for _, who := range []string{"eve", "ana"} {
		for kind, m := range hers[who] {
			if !strings.Contains(out, m.ID) {
				t.Errorf("the trail does not say that %s's %s credential has ended", who, kind)
			}
		}
	}
}

// breakGlass lets eve, who is on call and has proved a second factor a moment ago, in without approval, and nobody else; somebody
// else has to look at it.
func (p *place) breakGlass(t *testing.T) {
	ask := map[string]any{"what": "ask-c", "break_glass": true, "note": "the report of incident 815 is stuck"}
	if code := p.try("ana", http.MethodPost, "requests", ask, nil); code != http.StatusForbidden {
		t.Errorf("ana, who is not on call: %d", code)
	}
	if code := p.try("eve", http.MethodPost, "requests", map[string]any{"what": "ask-c", "break_glass": true}, nil); code != http.StatusForbidden {
		t.Errorf("without a reason: %d", code)
	}
	var out outcome
	p.call("eve", http.MethodPost, "requests", ask, &out)
	if out.Grant == nil || out.Grant.State != "active" || time.Until(out.Grant.End) > 30*time.Minute {
		t.Fatalf("eve breaks glass: %+v", out)
	}
	if n, err := p.query(p.DSN("eve", "shop"), "SELECT count(*) FROM c"); err != nil || n != 10 {
		t.Errorf("eve queries: %d, %v", n, err)
	}
	if code := p.try("eve", http.MethodPost, "grants/"+out.Grant.ID+"/confirm", struct{}{}, nil); code != http.StatusForbidden {
		t.Errorf("eve reviews herself: %d", code)
	}
	eventually(t, "bob, whose approval was skipped, is told", func() bool {
		_, told := p.told.Load("breakglass.started bob")
		return told
	})
	eventually(t, "bob is told in Slack too, and whoever reads the channel, without the reason", func() bool {
		alarm := func(m workspace.Message) bool { return strings.HasPrefix(m.Text, "BREAK-GLASS: eve took access to c") }
		mine, posts := p.slack.Messages("Ubob"), p.slack.Posts("C0OFFICE")
		i, j := slices.IndexFunc(mine, alarm), slices.IndexFunc(posts, alarm)
		return i >= 0 && strings.Contains(mine[i].Says(), "incident 815") && j >= 0 && !strings.Contains(posts[j].Says(), "incident 815")
	})
	p.call("bob", http.MethodPost, "grants/"+out.Grant.ID+"/confirm", struct{}{}, nil)
}

// inForce changes the policy file under a running serve: what the portal says is what was taken up, and who made it so, not what stands on
// disk.
func (p *place) inForce(t *testing.T) {
	type change struct{ Kind, Outcome, By, Policy, Before, Message string }
	var changes []change
	latest := func(what string, ok func(c change) bool) change {
		t.Helper()
		eventually(t, what, func() bool {
			p.call("root", http.MethodGet, "policy/changes", nil, &changes)
			return len(changes) > 0 && ok(changes[0])
		})
		return changes[0]
	}
	before := latest("serve took the policy up", func(c change) bool { return c.Kind == "serve.start" && c.Policy != "" })
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.Dir, "postern.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	explained := func(verdict, reason string) {
		t.Helper()
		// What is taken up is in the trail before it is in force.
		eventually(t, "explain says of bob's statement: "+verdict+" "+reason, func() bool {
			out := p.explain("bob", "SELECT count(*) FROM base")
			return out.Verdict == verdict && out.Reason == reason
		})
	}
	explained("refuse", "no_rule")
	p.asTheGateway(t)
	// Widened on disk, in a file that cannot be taken up: nothing of it counts.
	wider := strings.Replace(string(text), "base: {to: [ana], on: base}", "base: {to: [ana, bob], on: base}", 1)
	write(wider + "\nnonsense: true\n")
	refused := latest("the file is refused", func(c change) bool { return c.Outcome == "refuse" })
	if refused.Policy != before.Policy || refused.Before != "" || !strings.Contains(refused.Message, "nonsense") || refused.By != "os:"+me.Username {
		t.Errorf("%+v behind %+v", refused, before)
	}
	explained("refuse", "no_rule")
	write(wider)
	taken := latest("the file is taken up", func(c change) bool { return c.Outcome == "allow" && c.Policy != before.Policy })
	if taken.Before != before.Policy || taken.By != "os:"+me.Username {
		t.Errorf("%+v behind %+v", taken, before)
	}
	// bob has no login on the server before somebody applies it, and is told so at the gateway and by explain.
	explained("refuse", "profile_pending")
	p.asTheGateway(t)
	p.proposes(t, wider)
	var diff struct{ Gone, Come []string }
	p.call("root", http.MethodGet, "policy/diff?from="+taken.Before+"&to="+taken.Policy, nil, &diff)
	if !slices.Equal(diff.Gone, []string{"rule base: to = ana"}) || !slices.Equal(diff.Come, []string{"rule base: to = ana, bob"}) {
		t.Errorf("it differs in %+v", diff)
	}
	if code := p.try("ana", http.MethodGet, "policy/diff?from="+taken.Before+"&to="+taken.Policy, nil, nil); code != http.StatusForbidden {
		t.Errorf("ana, who has no role, compares policies: %d", code)
	}
	p.ApplyConsenting(t)
	explained("allow", "")
	p.asTheGateway(t)
	latest("who applied it is said", func(c change) bool {
		return c.Kind == "wall.apply" && c.By == "os:"+me.Username && strings.Contains(c.Message, "store shop: ") && c.Policy == taken.Policy
	})
	write(string(text))
	latest("the policy of before is back", func(c change) bool { return c.Kind == "policy.reload" && c.Policy == before.Policy })
	p.ApplyConsenting(t)
}

// explanation is what explain says of a statement.
type explanation struct {
	Verdict, Reason, Profile, Message, Detail, SQLState string
	Rules                                               []string
}

// explain asks the portal what would become of somebody's statement.
func (p *place) explain(who, sql string) explanation {
	p.t.Helper()
	var out explanation
	p.call("root", http.MethodPost, "explain", map[string]string{"user": who, "store": "shop", "sql": sql}, &out)
	return out
}

// asTheGateway tries statements of everybody at the gateway, where explain has to have said before what becomes of them there.
func (p *place) asTheGateway(t *testing.T) {
	t.Helper()
	for _, who := range []string{"ana", "bob", "eve"} {
		for _, sql := range []string{
			"SELECT count(*) FROM base", "SELECT count(*) FROM c", "SELECT note FROM nowhere", "DELETE FROM base", "SELECT pg_sleep(0)", "SELECT 1", "SELEC",
		} {
			said := p.explain(who, sql)
			_, err := p.query(p.DSN(who, "shop")+" default_query_exec_mode=simple_protocol", sql)
			var no *pgconn.PgError
			if refused := errors.As(err, &no); refused != (said.Verdict == "refuse") {
				t.Errorf("%s: %s: explain says %+v, and the gateway %v", who, sql, said, err)
			} else if refused {
				if no.Message != said.Message || said.SQLState != "" && (no.Code != said.SQLState || !strings.HasPrefix(no.Detail, said.Detail)) {
					t.Errorf("%s: %s: explain says %+v, and the gateway %+v", who, sql, said, no)
				}
				continue
			}
			var found struct {
				Events []struct {
					Verdict, Profile string
					Rules            []string
				}
			}
			p.call("root", http.MethodGet, "trail?kind=statement.decision&subject="+who, nil, &found)
			if len(found.Events) == 0 {
				t.Fatalf("%s: %s: the trail has no decision", who, sql)
			}
			if done := found.Events[0]; done.Verdict != said.Verdict || done.Profile != said.Profile || !slices.Equal(done.Rules, said.Rules) {
				t.Errorf("%s: %s: explain says %+v, and the trail %+v", who, sql, said, done)
			}
		}
	}
}

// proposes lets root write changes of a rule: they come to patches, of which nothing acts before somebody applies them to the file.
func (p *place) proposes(t *testing.T, file string) {
	var out struct {
		File, Diff string
		Facts      []string
		Widens     bool
	}
	p.call("root", http.MethodPost, "policy/proposals", map[string]any{"rule": "base", "add": []string{"eve"}, "remove": []string{"bob"}}, &out)
	if !out.Widens || !slices.Equal(out.Facts, []string{"- rule base: to = ana, bob", "+ rule base: to = ana, eve"}) {
		t.Fatalf("proposed: %+v", out)
	}
	if code := p.try("ana", http.MethodPost, "policy/proposals", map[string]any{"rule": "base", "add": []string{"ana"}}, nil); code != http.StatusForbidden {
		t.Errorf("ana, who is no editor, proposes: %d", code)
	}
	now, err := os.ReadFile(filepath.Join(p.Dir, "postern.yaml"))
	if err != nil || string(now) != file {
		t.Errorf("the portal wrote the file: %v", err)
	}
	if _, err := p.query(p.DSN("eve", "shop"), "SELECT count(*) FROM base"); err == nil {
		t.Error("eve was let in by a proposal")
	}
	var narrow struct{ Widens bool }
	p.call("root", http.MethodPost, "policy/proposals", map[string]any{"rule": "base", "state": "off"}, &narrow)
	if narrow.Widens {
		t.Error("switching a rule off is said to widen")
	}
	// The patch applies to the file by the program that everybody has for it, and what comes of it loads.
	dir := t.TempDir()
	for name, text := range map[string]string{"postern.yaml": file, "change.diff": out.Diff} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	patch := exec.CommandContext(t.Context(), "patch", "postern.yaml", "change.diff")
	patch.Dir = dir
	if text, err := patch.CombinedOutput(); err != nil {
		t.Fatalf("patch: %v\n%s\n%s", err, text, out.Diff)
	}
	p.Must(t, "policy", "check", filepath.Join(dir, "postern.yaml"))
	for rule, add := range map[string]string{"base": "nobody-here", "no-such-rule": "ana"} {
		if code := p.try("root", http.MethodPost, "policy/proposals", map[string]any{"rule": rule, "add": []string{add}}, nil); code != http.StatusBadRequest {
			t.Errorf("%s for %s: %d", rule, add, code)
		}
	}
}

// inSlack lets bob decide on ana's request by a button: Slack calls the portal that runs. Who only says to be Slack gets nowhere.
func (p *place) inSlack(t *testing.T) {
	var asked outcome
	p.call("ana", http.MethodPost, "requests", map[string]any{"what": "ask-c", "note": "for the report"}, &asked)
	var m workspace.Message
	var button workspace.Part
	eventually(t, "bob has a message with a button", func() bool {
		all := p.slack.Messages("Ubob")
		i := slices.IndexFunc(all, func(m workspace.Message) bool { _, there := m.Button("approve"); return there })
		if i >= 0 {
			m = all[i]
			button, _ = m.Button("approve")
		}
		return i >= 0
	})
	post := func(change func(*http.Request)) int {
		t.Helper()
		r, err := p.slack.Request(p.portal.URL+"/slack", p.slack.Click("Ubob", m, button), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		answer, err := http.DefaultClient.Do(r.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	for _, header := range []string{"X-Slack-Signature", "X-Slack-Request-Timestamp"} {
		if code := post(func(r *http.Request) { r.Header.Del(header) }); code != http.StatusUnauthorized {
			t.Errorf("without %s: %d", header, code)
		}
	}
	if code := post(func(r *http.Request) { r.Header.Set("X-Slack-Signature", "v0="+strings.Repeat("0", 64)) }); code != http.StatusUnauthorized {
		t.Errorf("with a made-up signature: %d", code)
	}
	if code := post(func(*http.Request) {}); code != http.StatusOK {
		t.Fatalf("signed: %d", code)
	}
	eventually(t, "ana can query", func() bool {
		n, err := p.query(p.DSN("ana", "shop"), "SELECT count(*) FROM c")
		return err == nil && n == 10
	})
	eventually(t, "the channel reads who approved, and not why it was asked for", func() bool {
		return slices.ContainsFunc(p.slack.Posts("C0OFFICE"), func(m workspace.Message) bool {
			return strings.Contains(m.Says(), "Approved by bob") && !strings.Contains(m.Says(), "for the report")
		})
	})
	var held []struct{ ID, Rule string }
	p.call("ana", http.MethodGet, "grants", nil, &held)
	for _, g := range held {
		if g.Rule == "ask-c" {
			p.call("bob", http.MethodPost, "grants/"+g.ID+"/revoke", struct{}{}, nil)
		}
	}
}

// onTerminal plays `postern user accept` and `postern login` with a second factor, line by line as somebody would type it.
func (p *place) onTerminal(t *testing.T) {
	link := strings.TrimSpace(p.Must(t, "user", "create", "eve"))
	login := filepath.Join(t.TempDir(), "login.json")
	seed := ""
	app := func(seen string) string {
		if key, ok := strings.CutPrefix(seen, "key "); ok {
			seed = key
			return oneTime(t, seed, time.Now())
		}
		return ""
	}
	// eve owns nothing and needs no second factor; as an auditor she does.
	p.Must(t, "user", "set", "eve", "--role", "auditor")
	out := p.typed(t, login, []string{link, "quite another password"}, app, "user", "accept", "--server", p.portal.URL)
	if strings.Count(out, "recovery ") < 10 {
		t.Fatalf("eve accepts:\n%s", out)
	}
	recovery := out[strings.Index(out, "recovery ")+len("recovery "):]
	recovery, _, _ = strings.Cut(recovery, "\n")
	out = p.typed(t, login, []string{"quite another password", recovery}, nil, "login", "--server", p.portal.URL, "--user", "eve")
	if !strings.Contains(out, "logged in as eve") {
		t.Fatalf("eve logs in:\n%s", out)
	}
	text, err := os.ReadFile(login)
	if err != nil {
		t.Fatal(err)
	}
	var kept struct{ Token string }
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	p.tokens["eve"] = kept.Token
	p.call("eve", http.MethodGet, "me", nil, nil)
}

// typed runs a command and types lines, then what is answered to lines that it prints.
func (p *place) typed(t *testing.T, login string, lines []string, answer func(string) string, args ...string) string {
	t.Helper()
	folder := t.TempDir()
	env := site.Command(t, folder)
	cmd := exec.CommandContext(t.Context(), filepath.Join(folder, "postern"), args...)
	cmd.Dir, cmd.Env = p.Dir, append(os.Environ(), env, "POSTERN_LOGIN="+login)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errors strings.Builder
	cmd.Stderr = &errors
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		_, _ = io.WriteString(in, l+"\n")
	}
	var all strings.Builder
	for scan := bufio.NewScanner(out); scan.Scan(); {
		all.WriteString(scan.Text() + "\n")
		if answer != nil {
			if more := answer(scan.Text()); more != "" {
				_, _ = io.WriteString(in, more+"\n")
			}
		}
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("postern %s: %v\n%s%s", strings.Join(args, " "), err, all.String(), errors.String())
	}
	return all.String() + errors.String()
}
