// Package access_test asks for access, grants it, ends it, and looks at the server from outside: what a grant locks, what is left
// when the gateway is killed, and which secrets open what. The portal is called as any program would call it.
package access_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/demo/workspace"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

func TestMain(m *testing.M) { site.Main(m) }

// patience is how long something may take. It is far more than it does take.
const patience = 60 * time.Second

const schema = `
CREATE TABLE base (id int PRIMARY KEY, note text); ALTER TABLE base OWNER TO app_owner;
CREATE TABLE a (id int PRIMARY KEY, note text);    ALTER TABLE a OWNER TO app_owner;
CREATE TABLE b (id int PRIMARY KEY, note text);    ALTER TABLE b OWNER TO app_owner;
CREATE TABLE c (id int PRIMARY KEY, note text);    ALTER TABLE c OWNER TO app_owner;
INSERT INTO base SELECT n, 'x' FROM generate_series(1, 10) n;
INSERT INTO a SELECT n, 'x' FROM generate_series(1, 10) n;
INSERT INTO b SELECT n, 'x' FROM generate_series(1, 10) n;
INSERT INTO c SELECT n, 'x' FROM generate_series(1, 10) n;
`

const policyText = `version: 1
stores:
  shop:
    engine: postgres
    address: {{server}}
    database: shop
    tls: {mode: disable}
    provisioner: {{provisioner}}
    grantor: {{grantor}}
    provision: manual
gateway:
  listeners: [{engine: postgres, address: "{{listen}}", tls: {cert: server.crt, key: secrets/server.key}}]
portal: {address: "127.0.0.1:PORT"}
identity: {owners_without_factor: true}
notices: {webhook: {url: "HOOK", secret: {file: secrets/root.key}}}
slack: {bot_token: {file: secrets/slack-bot}, signing_secret: {file: secrets/slack-signing}, domains: [example.com], api: "SLACK"}
groups: {office: [bob], oncall: [eve]}
users:
  ana: {scram: "{{scram ana}}", attributes: {email: ana@example.com}}
  bob: {scram: "{{scram bob}}", attributes: {email: bob@example.com}}
  eve: {scram: "{{scram eve}}"}
datasets:
  base: {owners: ["group:office"], include: [shop.public.base]}
  a: {owners: ["group:office"], include: [shop.public.a]}
  b: {owners: ["group:office"], include: [shop.public.b]}
  c: {owners: ["group:office"], include: [shop.public.c], slack: decide, slack_channel: C0OFFICE}
rules:
  base: {to: [ana], on: base}
  take-a: {to: [ana, eve], on: a, request: {kind: self_service, max: 1h}}
  take-b: {to: [ana], on: b, request: {kind: self_service, max: 1h}}
  ask-c: {to: [ana, eve], on: c, request: {kind: on_request, max: 1h, approvers: {any: [owners]}}}
break_glass: {groups: [oncall], max: 30m}
audit: {folder: audit, sync: 100ms}
`

// place is an installation with a portal.
type place struct {
	*site.Site
	t      testing.TB
	db     *pgtest.DB
	portal site.Portal
	tokens map[string]string
	told   sync.Map // "kind to" of what the webhook was sent
	slack  *workspace.Workspace
}

func newPlace(t *testing.T) *place {
	t.Helper()
	cluster := pgtest.Start(t, pgtest.DefaultMajor)
	cluster.Role(t, "app_owner", "NOLOGIN")
	db := cluster.NewDatabaseNamed(t, "shop")
	db.Exec(t, schema)
	p := &place{t: t, db: db, portal: site.NewPortal(t), tokens: map[string]string{}}
	var err error
	if p.slack, err = workspace.New(workspace.User{ID: "Uana", Email: "ana@example.com"}, workspace.User{ID: "Ubob", Email: "bob@example.com"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.slack.Close)
	p.slack.Invite("C0OFFICE")
	p.Site = site.New(t, db, p.policy(p.portal.Port))
	for name, text := range map[string]string{"slack-bot": p.slack.Bot, "slack-signing": p.slack.Signing} {
		if err := os.WriteFile(filepath.Join(p.Dir, "secrets", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.ApplyConsenting(t)
	return p
}

// policy is the policy of a gateway whose portal is at a port, and which tells this place of everything.
func (p *place) policy(port int) string {
	t := p.t
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Kind, To string }
		if json.NewDecoder(r.Body).Decode(&m) == nil && r.Header.Get("Postern-Signature") != "" {
			p.told.Store(m.Kind+" "+m.To, true)
		}
	}))
	t.Cleanup(hook.Close)
	return strings.NewReplacer("PORT", fmt.Sprint(port), "HOOK", hook.URL, "SLACK", p.slack.API()).Replace(policyText)
}

// serve starts the daemon and logs everybody in.
func (p *place) serve() {
	p.t.Helper()
	p.Serve(p.t)
	p.portal.Wait(p.t)
	for _, who := range []string{"ana", "bob", "eve"} {
		p.signIn(who)
	}
}

// signIn signs somebody in by the policy file's password.
func (p *place) signIn(who string) {
	p.t.Helper()
	var out struct{ Token string }
	if code := p.try("", http.MethodPost, "login", map[string]string{"user": who, "password": pgtest.PasswordOf(who)}, &out); code != http.StatusOK {
		p.t.Fatalf("%s logs in: %d", who, code)
	}
	p.tokens[who] = out.Token
}

// try makes a call as somebody and returns its status.
func (p *place) try(who, method, path string, body, out any) int {
	p.t.Helper()
	code, _ := p.portal.Try(p.t, p.tokens[who], method, path, body, out)
	return code
}

// call makes a call that has to succeed.
func (p *place) call(who, method, path string, body, out any) {
	p.t.Helper()
	if code, said := p.portal.Try(p.t, p.tokens[who], method, path, body, out); code != http.StatusOK {
		p.t.Fatalf("%s: %s %s: %d\n%s\n%s", who, method, path, code, said, p.Log())
	}
}

type outcome struct {
	Request struct{ ID, State string }
	Grant   *struct {
		ID, State, Wall, Why string
		End                  time.Time
	}
}

// take takes or asks for a rule, and has it approved if need be.
func (p *place) take(who, rule string, more map[string]any) outcome {
	p.t.Helper()
	ask := map[string]any{"what": rule}
	for k, v := range more {
		ask[k] = v
	}
	var out outcome
	p.call(who, http.MethodPost, "requests", ask, &out)
	if out.Grant == nil {
		p.call("bob", http.MethodPost, "requests/"+out.Request.ID+"/approve", struct{}{}, &out)
	}
	if out.Grant == nil || out.Grant.State != "active" || out.Grant.Wall != "ready" {
		p.t.Fatalf("%s: %+v\n%s", rule, out.Grant, p.Log())
	}
	return out
}

// query asks at the gateway.
func (p *place) query(dsn, sql string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	var n int
	return n, conn.QueryRow(ctx, sql).Scan(&n)
}

func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// A grant, its extension to another rule and a revocation go through while a transaction holds EXCLUSIVE on every table of the
// application, which only ACCESS SHARE passes; and pg_locks, read all the while, shows nothing more.
func TestGrantsLockNoTable(t *testing.T) {
	p := newPlace(t)
	p.serve()
	ctx := context.Background()
	app := p.db.Connect(t, pgtest.SuperUser)
	tx, err := app.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "LOCK TABLE base, a, b, c IN EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var watching sync.WaitGroup
	seen := map[string]bool{}
	watch, reader := p.db.Connect(t, pgtest.SuperUser), p.db.Connect(t, pgtest.SuperUser)
	watching.Go(func() {
		for !stop.Load() {
			rows, err := watch.Query(ctx, `SELECT l.relation::regclass || ' ' || l.mode FROM pg_locks l JOIN pg_stat_activity s USING (pid)
WHERE s.usename LIKE 'postern%' AND l.relation IN ('base'::regclass, 'a'::regclass, 'b'::regclass, 'c'::regclass) AND l.mode <> 'AccessShareLock'`)
			if err != nil {
				t.Error(err)
				return
			}
			found, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Error(err)
				return
			}
			for _, f := range found {
				seen[f] = true
			}
		}
	})
	reads := 0
	watching.Go(func() { // the application goes on reading, and is never queued behind a grant
		for !stop.Load() {
			if _, err := reader.Exec(ctx, "SET lock_timeout = '10s'; SELECT count(*) FROM a, b"); err != nil {
				t.Error(err)
				return
			}
			reads++
		}
	})
	defer func() { // also when something fails, before the connections go
		stop.Store(true)
		watching.Wait()
	}()
	first := p.take("ana", "take-a", nil)
	second := p.take("ana", "ask-c", nil)
	for sql, want := range map[string]int{"SELECT count(*) FROM a": 10, "SELECT count(*) FROM c": 10, "SELECT count(*) FROM base": 10} {
		if n, err := p.query(p.DSN("ana", "shop"), sql); err != nil || n != want {
			t.Errorf("%s: %d, %v", sql, n, err)
		}
	}
	if _, err := p.query(p.DSN("ana", "shop"), "SELECT count(*) FROM b"); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("what was not granted: %v", err)
	}
	p.call("ana", http.MethodPost, "grants/"+first.Grant.ID+"/revoke", struct{}{}, nil)
	p.call("bob", http.MethodPost, "grants/"+second.Grant.ID+"/revoke", struct{}{}, nil)
	if _, err := p.query(p.DSN("ana", "shop"), "SELECT count(*) FROM a"); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("what was revoked: %v", err)
	}
	if left := p.db.Query(t, "SELECT count(*) FROM postern.holds WHERE role = 'ana'"); left != "0" {
		t.Errorf("%s rows are left", left)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	writes := p.underWriters(t, &watching, &stop)
	stop.Store(true)
	watching.Wait()
	if len(seen) > 0 || reads == 0 || writes.Load() == 0 {
		t.Errorf("locks on tables of the application: %v; %d reads, %d writes", seen, reads, writes.Load())
	}
}

// underWriters grants and revokes while the application writes, and one of its transactions that wrote stays open all the while: nobody
// is queued behind it for that.
func (p *place) underWriters(t *testing.T, watching *sync.WaitGroup, stop *atomic.Bool) *atomic.Int64 {
	ctx := context.Background()
	tx, err := p.db.Connect(t, pgtest.SuperUser).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(ctx, "UPDATE a SET note = 'long' WHERE id = 1; UPDATE c SET note = 'long' WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	var writes atomic.Int64
	for n := range 2 {
		writer := p.db.Connect(t, pgtest.SuperUser)
		watching.Go(func() {
			for !stop.Load() {
				_, err := writer.Exec(ctx, fmt.Sprintf("SET lock_timeout = '10s'; UPDATE a SET note = 'w' WHERE id = %d; INSERT INTO c VALUES (%d, 'w'); DELETE FROM c WHERE id = %d", n+2, n+100, n+100))
				if err != nil {
					t.Error(err)
					return
				}
				writes.Add(1)
			}
		})
	}
	for range 2 {
		taken := p.take("ana", "take-a", nil)
		asked := p.take("ana", "ask-c", nil)
		before := writes.Load()
		eventually(t, "the application writes on", func() bool { return writes.Load() > before+10 })
		p.call("ana", http.MethodPost, "grants/"+taken.Grant.ID+"/revoke", struct{}{}, nil)
		p.call("bob", http.MethodPost, "grants/"+asked.Grant.ID+"/revoke", struct{}{}, nil)
	}
	if err := tx.Rollback(ctx); err != nil {
		t.Fatal(err)
	}
	return &writes
}

// Several grants of one person with different ends; the only instance is killed. The server itself stops showing each one's rows at
// its end, and not before; the next instance clears up.
func TestEndsWithoutAGateway(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.serve()
	ends := map[string]time.Time{}
	for i, rule := range []string{"take-a", "take-b", "ask-c"} {
		end := time.Now().Add(35*time.Second + time.Duration(i)*2*time.Second).UTC().Truncate(time.Second)
		ends[rule[len(rule)-1:]] = p.take("ana", rule, map[string]any{"until": end}).Grant.End
	}
	profile := p.db.Query(t, `SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE m.member = 'ana'::regrole`)
	profile = strings.TrimSuffix(profile, "_prof")
	if err := syscall.Kill(p.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	conn := p.db.Connect(t, pgtest.SuperUser)
	if _, err := conn.Exec(context.Background(), "SET ROLE ana"); err != nil {
		t.Fatal(err)
	}
	before, after := map[string]int{}, map[string]int{}
	eventually(t, "every grant has ended on the server", func() bool {
		for table, end := range ends {
			var n int
			var over bool
			sql := fmt.Sprintf("SELECT statement_timestamp() >= $1, (SELECT count(*) FROM %q.%s)", profile, table)
			if err := conn.QueryRow(context.Background(), sql, end).Scan(&over, &n); err != nil {
				t.Fatal(err)
			}
			switch {
			case over && n != 0:
				t.Fatalf("table %s shows %d rows after %s", table, n, end)
			case !over && n != 10:
				t.Fatalf("table %s shows %d rows before %s", table, n, end)
			case over:
				after[table]++
			default:
				before[table]++
			}
		}
		return len(after) == len(ends)
	})
	if len(before) != len(ends) {
		t.Errorf("only %v were seen before their ends: the machine was too slow to tell", before)
	}
	var base int
	if err := conn.QueryRow(context.Background(), fmt.Sprintf("SELECT count(*) FROM %q.base", profile)).Scan(&base); err != nil && !strings.Contains(err.Error(), "42P01") {
		t.Errorf("what does not end: %d, %v", base, err)
	}
	p.serve()
	eventually(t, "the next instance has cleared up", func() bool {
		return p.db.Query(t, "SELECT count(*) FROM postern.holds WHERE role = 'ana'") == "0"
	})
	eventually(t, "the ends are recorded", func() bool {
		var all []struct{ State, Wall string }
		p.call("ana", http.MethodGet, "grants?all=1", nil, &all)
		over := 0
		for _, g := range all {
			if g.State == "ended" && g.Wall == "gone" {
				over++
			}
		}
		return over == 3
	})
	if n, err := p.query(p.DSN("ana", "shop"), "SELECT count(*) FROM base"); err != nil || n != 10 {
		t.Errorf("what ana holds by membership: %d, %v", n, err)
	}
}

// Several secrets of one person are live at once; each opens what it is for, until it is revoked.
func TestSecrets(t *testing.T) {
	p := newPlace(t)
	p.serve()
	type made struct{ ID, Secret string }
	var temporary, personal made
	p.call("ana", http.MethodPost, "credentials", map[string]string{"kind": "temporary", "store": "shop"}, &temporary)
	p.call("ana", http.MethodPost, "credentials", map[string]string{"kind": "personal", "name": "nightly", "for": "1d"}, &personal)
	with := func(secret string) string {
		return strings.Replace(p.DSN("ana", "shop"), "password="+pgtest.PasswordOf("ana"), "password="+secret, 1)
	}
	for name, secret := range map[string]string{"her own": pgtest.PasswordOf("ana"), "temporary": temporary.Secret, "personal": personal.Secret} {
		if n, err := p.query(with(secret), "SELECT count(*) FROM base"); err != nil || n != 10 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	for name, dsn := range map[string]string{
		"a guess": with("guess"), "somebody else's": strings.Replace(with(temporary.Secret), "user=ana", "user=bob", 1),
	} {
		if _, err := p.query(dsn, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "28P01") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A token makes no further secrets, and one person cannot end another's.
	p.tokens["nightly"] = personal.Secret
	if code := p.try("nightly", http.MethodGet, "me", nil, nil); code != http.StatusOK {
		t.Errorf("a personal token at the portal: %d", code)
	}
	if code := p.try("nightly", http.MethodPost, "credentials", map[string]string{"kind": "temporary"}, nil); code != http.StatusForbidden {
		t.Errorf("a token made a credential: %d", code)
	}
	if code := p.try("bob", http.MethodDelete, "credentials/"+temporary.ID, nil, nil); code != http.StatusForbidden {
		t.Errorf("bob ended ana's credential: %d", code)
	}
	// Whoever holds nothing gets no credential.
	if code := p.try("eve", http.MethodPost, "credentials", map[string]string{"kind": "temporary"}, nil); code != http.StatusForbidden {
		t.Errorf("eve got a credential: %d", code)
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, with(temporary.Secret))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	p.call("ana", http.MethodDelete, "credentials/"+temporary.ID, nil, nil)
	if _, err := p.query(with(temporary.Secret), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("a revoked credential, as soon as the call is answered: %v", err)
	}
	eventually(t, "the session of a revoked credential is closed", func() bool {
		_, err := conn.Exec(ctx, "SELECT count(*) FROM base")
		return err != nil
	})
	// Unknown users and wrong passwords are answered alike, and a token that is none opens nothing.
	for _, who := range []string{"ana", "nobody"} {
		if code := p.try("", http.MethodPost, "login", map[string]string{"user": who, "password": "wrong"}, nil); code != http.StatusUnauthorized {
			t.Errorf("%s with a wrong password: %d", who, code)
		}
	}
	p.tokens["thief"] = "postern_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	if code := p.try("thief", http.MethodGet, "me", nil, nil); code != http.StatusUnauthorized {
		t.Errorf("a made-up token: %d", code)
	}
	t.Run("People", p.people)
}

// Personal access tokens are switched off at a store, and then for the whole site, while other secrets go on. When one was last used at
// the gateway is known by then.
func TestTokensSwitchedOff(t *testing.T) {
	p := newPlace(t)
	p.serve()
	var token struct{ ID, Secret string }
	p.call("ana", http.MethodPost, "credentials", map[string]any{"kind": "personal", "name": "nightly", "for": "1d"}, &token)
	p.tokens["nightly"] = token.Secret
	dsn := strings.Replace(p.DSN("ana", "shop"), "password="+pgtest.PasswordOf("ana"), "password="+token.Secret, 1)
	text, err := os.ReadFile(p.Config)
	if err != nil {
		t.Fatal(err)
	}
	inside, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inside.Close(context.Background()) }()
	makes := func(store string) int {
		return p.try("ana", http.MethodPost, "credentials", map[string]string{"kind": "personal", "name": "more", "for": "1d", "store": store}, nil)
	}
	change := func(old, next string) {
		p.WritePolicy(t, strings.Replace(string(text), old, next, 1))
		p.Reload(t)
	}
	change("    provision: manual\n", "    provision: manual\n    personal_tokens: false\n")
	closed(t, "the session of a token where the store takes none", inside)
	if _, err := p.query(dsn, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("a token where the store takes none: %v", err)
	}
	if n, err := p.query(p.DSN("ana", "shop"), "SELECT count(*) FROM base"); err != nil || n != 10 {
		t.Errorf("her own password there: %d, %v", n, err)
	}
	var list []struct {
		ID   string
		Used time.Time `json:"last_used"`
	}
	p.call("ana", http.MethodGet, "credentials", nil, &list)
	if len(list) != 1 || list[0].ID != token.ID || time.Since(list[0].Used) > time.Hour {
		t.Errorf("nobody says that the token was used at the gateway: %+v", list)
	}
	if code := p.try("nightly", http.MethodGet, "me", nil, nil); code != http.StatusOK {
		t.Errorf("the token at the portal: %d", code)
	}
	if shop, all := makes("shop"), makes(""); shop != http.StatusForbidden || all != http.StatusOK {
		t.Errorf("a token for the store: %d, for others: %d", shop, all)
	}
	change("owners_without_factor: true", "owners_without_factor: true, personal_tokens: false")
	eventually(t, "the token opens nothing at the portal", func() bool { return p.try("nightly", http.MethodGet, "me", nil, nil) == http.StatusForbidden })
	if code := makes(""); code != http.StatusForbidden {
		t.Errorf("another token there: %d", code)
	}
	if _, err := p.query(dsn, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("the token at the gateway of a site without: %v", err)
	}
	change("", "")
	eventually(t, "the token, switched on again, opens what it did", func() bool {
		n, err := p.query(dsn, "SELECT count(*) FROM base")
		return err == nil && n == 10
	})
}
