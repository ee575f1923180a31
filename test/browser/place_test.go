// Package browser_test looks at the portal with a real Chromium: every page as every role, on a phone and on a desk, in the light and
// in the dark. What a person would stumble over fails here: an error of a script, something that is not loaded, a page wider than the
// screen, what a screen reader cannot read.
package browser_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

func TestMain(m *testing.M) { site.Main(m) }

// patience is how long something may take. It is far more than it does take.
const patience = 60 * time.Second

// newPassword is what people choose who follow an invitation.
const newPassword = "four plain words here"

// everybody of the sample site: an analyst, a support agent who owns a dataset, the data office, and one person a role.
var everybody = []string{"ana", "sam", "dora", "root", "edith", "rita", "audrey"}

// place is an installation with a portal that people have used.
type place struct {
	*site.Site
	t      testing.TB
	portal site.Portal
	tokens map[string]string // of terminals
	cookie map[string]string // of browsers
	seeds  map[string]string
}

func newPlace(t testing.TB) *place {
	t.Helper()
	db := pgtest.Start(t, pgtest.DefaultMajor).NewDatabaseNamed(t, "shop")
	db.Exec(t, sample(t, "shop.sql"))
	p := &place{t: t, portal: site.NewPortal(t), tokens: map[string]string{}, cookie: map[string]string{}, seeds: map[string]string{}}
	p.Site = site.New(t, db, strings.ReplaceAll(sample(t, "postern.yaml"), "PORT", fmt.Sprint(p.portal.Port)))
	p.Apply(t)
	p.Serve(t)
	p.portal.Wait(t)
	for _, who := range []string{"ana", "sam", "dora"} {
		p.cookie[who] = p.portal.SignIn(t, who, pgtest.PasswordOf(who))
		p.tokens[who] = p.portal.LetIn(t, p.cookie[who])
	}
	var link struct{ Code string }
	if err := json.Unmarshal([]byte(p.Must(t, "user", "create", "root", "--admin", "--format", "json")), &link); err != nil {
		t.Fatal(err)
	}
	p.accept("root", link.Code)
	for who, role := range map[string]string{"edith": "editor", "rita": "reader", "audrey": "auditor"} {
		p.call("root", http.MethodPost, "users", map[string]string{"name": who, "role": role}, &link)
		p.accept(who, link.Code)
	}
	return p
}

func sample(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (p *place) eventually(what string, done func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("within %v it does not come true: %s", patience, what)
		}
	}
}

// accept follows an invitation to its end, with a second factor.
func (p *place) accept(who, code string) {
	p.t.Helper()
	p.cookie[who], p.seeds[who] = p.portal.Join(p.t, code, newPassword, func(seed string) string { return oneTime(p.t, seed) })
	p.tokens[who] = p.portal.LetIn(p.t, p.cookie[who])
}

// oneTime is what an authenticator shows now, worked out without the code under test.
func oneTime(t testing.TB, seed string) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(seed)
	if err != nil {
		t.Fatal(err)
	}
	var m [8]byte
	binary.BigEndian.PutUint64(m[:], uint64(time.Now().Unix()/30))
	h := hmac.New(sha1.New, key)
	h.Write(m[:])
	sum := h.Sum(nil)
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff)%1_000_000)
}

// call makes a call of the JSON API that has to succeed.
func (p *place) call(who, method, path string, body, out any) {
	p.t.Helper()
	if code, said := p.portal.Try(p.t, p.tokens[who], method, path, body, out); code != http.StatusOK {
		p.t.Fatalf("%s: %s %s: %d\n%s\n%s", who, method, path, code, said, p.Log())
	}
}

// query asks at the gateway as one of the people, and returns the error.
func (p *place) query(who, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.DSN(who, "shop"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

// used lets a working day pass: queries, a refusal, access that was taken, refused, ended, and a request that waits.
func (p *place) used() {
	p.t.Helper()
	type outcome struct {
		Request struct{ ID string }
		Grant   *struct{ ID string }
	}
	ask := func(who, what, note string) (out outcome) {
		p.call(who, http.MethodPost, "requests", map[string]any{"what": what, "note": note}, &out)
		return out
	}
	for _, sql := range []string{"SELECT name, email FROM customers LIMIT 5", "SELECT region, count(*) FROM customers GROUP BY region"} {
		if err := p.query("ana", sql); err != nil {
			p.t.Fatal(err)
		}
	}
	if err := p.query("ana", "SELECT * FROM payroll"); err == nil {
		p.t.Fatal("ana reads the payroll")
	}
	ended := ask("ana", "mailing", "")
	p.call("ana", http.MethodPost, "grants/"+ended.Grant.ID+"/revoke", map[string]string{"note": "done"}, nil)
	refused := ask("sam", "staff", "curious")
	p.call("dora", http.MethodPost, "requests/"+refused.Request.ID+"/deny", map[string]string{"note": "Ask HR instead, please."}, nil)
	approved := ask("sam", "staff", "A customer asks about a refund to her account")
	p.call("dora", http.MethodPost, "requests/"+approved.Request.ID+"/approve", struct{}{}, nil)
	ask("ana", "mailing", "")
	for range 2 {
		if r := p.Run(p.t, "scan", "--store", "shop", "--keep"); r.Code != 1 && r.Code != 0 && r.Code != 3 {
			p.t.Fatalf("scan: exit %d\n%s", r.Code, r.Stderr)
		}
	}
	ask("ana", "staff", "Quarterly report: salaries by team")
}
