// Package sso_test signs people in through identity providers, as their browsers would, and looks at what follows: what they see
// through the gateway, and what ends when the provider lets go of them. One provider is ours, strict and obedient; the other is
// oidc-provider, which many run.
package sso_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/provider"
	"github.com/postern-sec/postern/test/site"
)

func TestMain(m *testing.M) { site.Main(m) }

// patience is how long something may take. It is far more than it does take.
const patience = 60 * time.Second

const schema = `
CREATE TABLE a (id int PRIMARY KEY, note text); ALTER TABLE a OWNER TO app_owner;
CREATE TABLE b (id int PRIMARY KEY, note text); ALTER TABLE b OWNER TO app_owner;
INSERT INTO a VALUES (1, 'x'), (2, 'y');
INSERT INTO b VALUES (1, 'x'), (2, 'y'), (3, 'z');
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
portal:
  address: "127.0.0.1:PORT"
  url: "http://127.0.0.1:PORT"
  oidc:
    issuer: "ISSUER"
    client_id: postern
    client_secret: {file: secrets/oidc}
    scopes: [openid, email, groups, offline_access]
    prompt: consent
    recheck: 1s
    recheck_limit: 1h
identity: {owners_without_factor: true}
groups:
  staff: ["provider:g-staff"]
  more: ["provider:g-more"]
users: {ana: {scram: "{{scram ana}}"}}
datasets:
  a: {owners: [ana], include: [shop.public.a]}
  b: {owners: [ana], include: [shop.public.b]}
rules:
  read-a: {to: ["group:staff"], on: a}
  take-b: {to: ["group:more"], on: b, request: {kind: self_service, max: 1h}}
audit: {folder: audit, sync: 100ms}
`

// place is an installation whose people come from an identity provider.
type place struct {
	*site.Site
	t      *testing.T
	db     *pgtest.DB
	portal site.Portal
}

// newPlace applies a policy of which nobody is a user yet, and serves it.
func newPlace(t *testing.T, start func(redirect string) (issuer string)) *place {
	t.Helper()
	cluster := pgtest.Start(t, pgtest.DefaultMajor)
	cluster.Role(t, "app_owner", "NOLOGIN")
	db := cluster.NewDatabaseNamed(t, "shop")
	db.Exec(t, schema)
	p := &place{t: t, db: db, portal: site.NewPortal(t)}
	issuer := start(p.portal.URL + "/sign-in/callback")
	p.Site = site.New(t, db, strings.NewReplacer("PORT", fmt.Sprint(p.portal.Port), "ISSUER", issuer).Replace(policyText))
	if err := os.WriteFile(filepath.Join(p.Dir, "secrets", "oidc"), []byte(provider.Secret), 0o600); err != nil {
		t.Fatal(err)
	}
	p.ApplyConsenting(t)
	p.start()
	return p
}

func (p *place) start() {
	p.t.Helper()
	p.Serve(p.t)
	p.portal.Wait(p.t)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// signIn presses the button in a new browser, and returns the page where it ends and the session's token, if there is one.
func (p *place) signIn() (where, page, token string) {
	p.t.Helper()
	return p.signInWith(p.browser())
}

// browser is a new one, that follows where it is sent.
func (p *place) browser() *http.Client {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	return &http.Client{Jar: jar, Timeout: patience}
}

func (p *place) signInWith(browser *http.Client) (where, page, token string) {
	p.t.Helper()
	q, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.portal.URL+"/sign-in/sso", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	a, err := browser.Do(q)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	here, err := url.Parse(p.portal.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, c := range browser.Jar.Cookies(here) {
		if c.Name == "postern" {
			token = c.Value
		}
		if c.Name == "postern-sso" && c.Value != "" {
			p.t.Error("the browser's part of the sign-in is still there")
		}
	}
	return a.Request.URL.String(), string(text), token
}

// in signs in and wants it to work, and returns the token of a terminal that was let in from there.
func (p *place) in() (token string) {
	p.t.Helper()
	where, page, token := p.signIn()
	if where != p.portal.URL+"/catalogue" || token == "" {
		p.t.Fatalf("the sign-in ends at %s:\n%s", where, page)
	}
	return p.portal.LetIn(p.t, token)
}

// call makes a call of the JSON interface and returns its status.
func (p *place) call(token, method, path string, body, out any) int {
	p.t.Helper()
	code, _ := p.portal.Try(p.t, token, method, path, body, out)
	return code
}

type credential struct{ User, Secret string }

func (p *place) credential(token string) (c credential) {
	p.t.Helper()
	if code := p.call(token, http.MethodPost, "credentials", map[string]string{"kind": "temporary", "store": "shop"}, &c); code != http.StatusOK {
		p.t.Fatalf("a temporary password: %d", code)
	}
	return c
}

func (p *place) connect(c credential) (*pgx.Conn, error) {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(c.User, c.Secret), Host: fmt.Sprintf("127.0.0.1:%d", p.Port), Path: "/shop", RawQuery: "sslmode=require"}
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	return pgx.Connect(ctx, u.String())
}

// session is an open connection to the gateway, closed with the test.
func (p *place) session(c credential) *pgx.Conn {
	p.t.Helper()
	conn, err := p.connect(c)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func rows(conn *pgx.Conn, table string) (n int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = conn.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n)
	return n, err
}

// TestPeopleOfTheProvider: nobody in the file, a wall that was applied before anybody came, and the whole life of a person: in, granted,
// in other groups, out, in again.
func TestPeopleOfTheProvider(t *testing.T) {
	t.Parallel()
	idp := provider.Start(t)
	idp.As = "u1"
	says := func(groups ...string) {
		idp.Lock()
		defer idp.Unlock()
		idp.Users["u1"] = map[string]any{"email": "cleo@example.com", "email_verified": true, "groups": append([]string{}, groups...)}
	}
	says("g-staff", "g-more")
	p := newPlace(t, func(redirect string) string {
		idp.Redirect = redirect
		return idp.URL
	})
	token := p.in()
	var me struct {
		User   string
		Groups []string
	}
	if p.call(token, http.MethodGet, "me", nil, &me); me.User != "cleo@example.com" || strings.Join(me.Groups, " ") != "more staff" {
		t.Errorf("signed in as %q in %q", me.User, me.Groups)
	}
	// Membership counts at the next decision: a password, a connection, rows, and no apply in between.
	password := p.credential(token)
	conn := p.session(password)
	if n, err := rows(conn, "a"); n != 2 || err != nil {
		t.Errorf("a: %d rows, %v", n, err)
	}
	if n, err := rows(conn, "b"); err == nil {
		t.Errorf("b, which nobody granted: %d rows", n)
	}
	if code := p.call(token, http.MethodPost, "requests", map[string]string{"what": "take-b"}, nil); code != http.StatusOK {
		t.Fatalf("taking b: %d", code)
	}
	conn = p.session(password)
	if n, err := rows(conn, "b"); n != 3 || err != nil {
		t.Errorf("b: %d rows, %v", n, err)
	}
	if out := p.Must(t, "plan"); !strings.Contains(out, "shop: nothing to apply") {
		t.Errorf("what serve handed out is a drift to plan:\n%s", out)
	}
	// A group less: what hung on it ends, the rest stays.
	says("g-staff")
	eventually(t, "b is over", func() bool {
		conn, err := p.connect(password)
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close(context.Background()) }()
		_, err = rows(conn, "b")
		return err != nil
	})
	eventually(t, "a goes on", func() bool {
		conn, err := p.connect(password)
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close(context.Background()) }()
		n, err := rows(conn, "a")
		return n == 2 && err == nil
	})
	var grants []struct{ State, Cause string }
	p.call(token, http.MethodGet, "grants?all=1", nil, &grants)
	if len(grants) != 1 || grants[0].State != "revoked" || grants[0].Cause != "group_lost" {
		t.Errorf("the grant: %+v", grants)
	}
	// No group: the wall itself lets go of her, by a rule that has no end of its own.
	says()
	eventually(t, "the server has taken its membership away", func() bool { return p.memberships() == 0 })
	// In a group again, without signing in.
	says("g-staff")
	eventually(t, "a is back", func() bool {
		conn, err := p.connect(password)
		if err != nil {
			return false
		}
		defer func() { _ = conn.Close(context.Background()) }()
		n, err := rows(conn, "a")
		return n == 2 && err == nil
	})
	p.restart(idp, token)
	p.gone(idp, token, password)
}

// memberships counts the profiles that the person's role has on the server.
func (p *place) memberships() (n int) {
	p.t.Helper()
	conn := p.db.Connect(p.t, "postgres")
	if err := conn.QueryRow(p.t.Context(), `SELECT count(*) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles p ON p.oid = m.roleid
WHERE r.rolname = 'cleo@example.com' AND p.rolname LIKE 'postern%'`).Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// restart shows that people outlive a restart, also while the provider is away.
func (p *place) restart(idp *provider.Provider, token string) {
	p.t.Helper()
	p.Stop(p.t)
	idp.Lock()
	idp.Down = true
	idp.Unlock()
	p.start()
	if code := p.call(token, http.MethodGet, "me", nil, nil); code != http.StatusOK {
		p.t.Errorf("after a restart, with the provider down: %d", code)
	}
	if where, page, token := p.signIn(); token != "" || !strings.Contains(page, "cannot be reached") {
		p.t.Errorf("a sign-in with the provider down ends at %s:\n%s", where, page)
	}
	idp.Lock()
	idp.Down = false
	idp.Unlock()
}

// gone disables the person at the provider: web session, token, password and open database session end.
func (p *place) gone(idp *provider.Provider, token string, password credential) {
	p.t.Helper()
	conn := p.session(password)
	if n, err := rows(conn, "a"); n != 2 || err != nil {
		p.t.Errorf("before the end: %d rows, %v", n, err)
	}
	var made struct{ Secret string }
	p.call(token, http.MethodPost, "credentials", map[string]string{"kind": "personal", "name": "nightly", "for": "1h"}, &made)
	if code := p.call(made.Secret, http.MethodGet, "me", nil, nil); code != http.StatusOK {
		p.t.Errorf("the program's token: %d", code)
	}
	idp.End("u1")
	eventually(p.t, "the web session is over", func() bool { return p.call(token, http.MethodGet, "me", nil, nil) == http.StatusUnauthorized })
	eventually(p.t, "the program's token is over", func() bool { return p.call(made.Secret, http.MethodGet, "me", nil, nil) == http.StatusUnauthorized })
	eventually(p.t, "the open database session is closed", func() bool { _, err := rows(conn, "a"); return err != nil && conn.IsClosed() })
	if again, err := p.connect(password); err == nil {
		_ = again.Close(context.Background())
		p.t.Error("the password still opens the gateway")
	}
	eventually(p.t, "the server has taken its membership away", func() bool { return p.memberships() == 0 })
	// She comes back by signing in, and what she had does not.
	fresh := p.in()
	if code := p.call(made.Secret, http.MethodGet, "me", nil, nil); code != http.StatusUnauthorized {
		p.t.Errorf("the old token after the new sign-in: %d", code)
	}
	if n, err := rows(p.session(p.credential(fresh)), "a"); n != 2 || err != nil {
		p.t.Errorf("after the new sign-in: %d rows, %v", n, err)
	}
	out := p.Must(p.t, "user", "unlink", "cleo@example.com")
	if out != "" {
		p.t.Errorf("unlink says %q", out)
	}
	eventually(p.t, "who is unlinked is nobody", func() bool { return p.call(fresh, http.MethodGet, "me", nil, nil) == http.StatusUnauthorized })
	eventually(p.t, "that is in the trail", func() bool {
		return strings.Contains(p.Must(p.t, "audit", "search", "--kind", "account.unlinked", "--format", "json"), "cleo@example.com")
	})
	p.Stop(p.t)
	trail := p.Must(p.t, "audit", "search", "--format", "json")
	for _, want := range []string{"groups.changed", "recheck.failed", "subject.deactivated"} {
		if !strings.Contains(trail, `"kind":"`+want+`"`) {
			p.t.Errorf("the trail has no %s", want)
		}
	}
	for _, token := range append(idp.Tokens(), provider.Secret) {
		if strings.Contains(trail, token) || strings.Contains(p.Log(), token) {
			p.t.Error("a secret is in the trail or the log")
		}
	}
}

// TestOIDCProvider does the same in short with a provider that is not ours.
func TestOIDCProvider(t *testing.T) {
	t.Parallel()
	issuer := ""
	p := newPlace(t, func(redirect string) string {
		issuer = oidcProvider(t, redirect)
		return issuer
	})
	control := func(query string) {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/control?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		_ = a.Body.Close()
	}
	token := p.in()
	password := p.credential(token)
	conn := p.session(password)
	if n, err := rows(conn, "a"); n != 2 || err != nil {
		t.Errorf("a: %d rows, %v", n, err)
	}
	control("groups=g-staff,g-more")
	eventually(t, "a group gained at a re-check", func() bool {
		return p.call(token, http.MethodPost, "requests", map[string]string{"what": "take-b"}, nil) == http.StatusOK
	})
	control("groups=g-staff")
	eventually(t, "a group lost at a re-check", func() bool {
		var grants []struct{ State, Cause string }
		p.call(token, http.MethodGet, "grants?all=1", nil, &grants)
		return len(grants) == 1 && grants[0].Cause == "group_lost"
	})
	control("end=1")
	eventually(t, "the web session is over", func() bool { return p.call(token, http.MethodGet, "me", nil, nil) == http.StatusUnauthorized })
	// The gateway takes up what ended with its next look at state, within a second; TestPeopleOfTheProvider waits for that by its open session.
	eventually(t, "the password opens the gateway no more", func() bool {
		again, err := p.connect(password)
		if err == nil {
			_ = again.Close(context.Background())
		}
		return err != nil
	})
	if again, err := p.connect(password); err == nil {
		_ = again.Close(context.Background())
		t.Error("the password opens the gateway again")
	}
}

// oidcProvider runs test/sso/op.mjs and returns its address.
func oidcProvider(t *testing.T, redirect string) string {
	t.Helper()
	text, err := os.ReadFile("package.json")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `"oidc-provider": "`)
	version, _, _ := strings.Cut(rest, `"`)
	modules := filepath.Join(pgtest.CacheDir(), "node-oidc-provider-"+version, "node_modules")
	if _, err := os.Stat(modules); err != nil {
		t.Fatalf("oidc-provider %s is not installed in %s: run build/prepare test", version, modules)
	}
	cmd := exec.CommandContext(t.Context(), "node", "op.mjs", modules, redirect)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Wait() // the test's context has ended it
		if t.Failed() {
			t.Logf("the provider says:\n%s", stderr.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("oidc-provider did not start: %v\n%s", err, stderr.String())
	}
	return strings.TrimSpace(line)
}
