package access_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
)

// at is the same terminal before another gateway.
func (x *terminal) at(g *place) *terminal { return &terminal{g, x.t, x.who, x.login} }

// opens says that the certificate lets its holder in at a gateway: at once where it was asked for, elsewhere when the news has come, which
// is within a second on a machine that is not busy.
func (x *terminal) opens(what string, g *place) {
	x.t.Helper()
	query := func() error {
		n, err := g.query(x.at(g).dsn(x.who), "SELECT count(*) FROM base")
		if err == nil && n != 10 {
			x.t.Errorf("%s at %s: %d rows", what, g.Name, n)
		}
		return err
	}
	if g == x.p {
		if err := query(); err != nil {
			x.t.Errorf("%s at %s: %v", what, g.Name, err)
		}
		return
	}
	eventually(x.t, what+" opens "+g.Name, func() bool {
		if query() == nil {
			return true
		}
		time.Sleep(200 * time.Millisecond) // whoever fails too often has to wait
		return false
	})
}

// shutOut waits until a gateway refuses the certificate, and says how long that took.
func (x *terminal) shutOut(what string, g *place) time.Duration {
	x.t.Helper()
	began := time.Now()
	eventually(x.t, what+" is refused at "+g.Name, func() bool {
		_, err := g.query(x.at(g).dsn(x.who), "SELECT 1")
		return err != nil && strings.Contains(err.Error(), "28000")
	})
	return time.Since(began)
}

// Gateways on one state are one authority: what one signs opens the others, what is revoked at one is refused at all within a second,
// with the sessions that came in by it, and a rotation at one is everybody's.
func TestSeveralAuthorities(t *testing.T) {
	c := newCrowdWith(t, withCertificates, "gw1", "gw2")
	one, two := c.gateways[0], c.gateways[1]

	x := one.terminal(t, "ana")
	y := two.terminal(t, "ana")
	for _, g := range c.gateways {
		x.opens("a certificate of gw1", g)
		y.opens("a certificate of gw2", g)
	}
	if a, b := leafOf(t, x.file(".crt")), leafOf(t, y.file(".crt")); string(a.AuthorityKeyId) != string(b.AuthorityKeyId) {
		t.Error("each gateway has an authority of its own")
	}

	// Revoked at the second, which did not issue it.
	conn := x.open()
	far := x.at(two).open()
	if out, err := y.at(two).postern("token", "revoke", fmt.Sprintf("%x", leafOf(t, x.file(".crt")).SerialNumber)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, g := range c.gateways {
		if took := x.shutOut("a certificate that was revoked at gw2", g); took > time.Second {
			t.Errorf("%s knows after %s", g.Name, took)
		}
	}
	closed(t, "the session at gw1 of a certificate that was revoked at gw2", conn)
	closed(t, "the session at gw2 of a certificate that was revoked there", far)
	y.opens("another one of the same person", one)

	// A new authority at the first: the second signs with it, and both take what the old one signed.
	one.Must(t, "certs", "rotate")
	var z *terminal
	eventually(t, "gw2 signs with the new authority", func() bool {
		z = two.terminal(t, "ana")
		return string(leafOf(t, z.file(".crt")).AuthorityKeyId) != string(leafOf(t, y.file(".crt")).AuthorityKeyId)
	})
	for _, g := range c.gateways {
		y.opens("a certificate of the old authority", g)
		z.opens("one of the new authority", g)
	}
	two.Must(t, "certs", "rotate", "--distrust")
	for _, g := range c.gateways {
		y.shutOut("a certificate of an authority that is not trusted any more", g)
		z.shutOut("another one", g)
	}
	var w *terminal
	eventually(t, "gw1 signs with the newest authority", func() bool {
		w = one.terminal(t, "ana")
		_, err := one.query(w.dsn("ana"), "SELECT 1")
		return err == nil
	})
	for _, g := range c.gateways {
		w.opens("one of the newest authority", g)
	}
	if out, err := w.at(two).postern("logout"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// Whoever guesses at one gateway waits at the next; whoever then gets in is forgiven at both.
func TestSeveralGatewaysCountGuesses(t *testing.T) {
	c := newCrowd(t, "gw1", "gw2")
	one, two := c.gateways[0], c.gateways[1]
	in := func(g *place, password string) (time.Duration, error) {
		began := time.Now()
		config, err := pgx.ParseConfig(g.DSN("ana", "shop"))
		if err != nil {
			t.Fatal(err)
		}
		if password != "" {
			config.Password = password
		}
		conn, err := pgx.ConnectConfig(t.Context(), config)
		if err == nil {
			_ = conn.Close(context.Background())
		}
		return time.Since(began), err
	}
	for _, g := range c.gateways {
		if _, err := in(g, ""); err != nil {
			t.Fatalf("%s: %v", g.Name, err)
		}
	}
	for i := range 8 { // the last of them waits two seconds, and the next attempt four
		if _, err := in(c.gateways[i%2], pgtest.PasswordOf("eve")); err == nil || !strings.Contains(err.Error(), "28P01") {
			t.Fatalf("guess %d: %v", i+1, err)
		}
	}
	if took, err := in(two, ""); err != nil || took < 2*time.Second {
		t.Errorf("after eight guesses at two gateways the right password is looked at after %s, %v", took, err)
	}
	if _, err := in(one, pgtest.PasswordOf("eve")); err == nil {
		t.Fatal("a wrong password opens")
	}
	if took, err := in(one, ""); err != nil || took > 4*time.Second { // not forgiven it would be the tenth, after eight seconds
		t.Errorf("whoever has got in at gw2, and mistypes once at gw1, waits %s, %v", took, err)
	}
}

// A temporary credential ends with the grant that it was made under: it lives no longer, and when the grant is revoked it is over for
// good, unless its owner holds something else.
func TestCredentialsEndWithTheirGrant(t *testing.T) {
	p := newPlace(t)
	p.serve()
	type made struct {
		ID, Secret string
		Expires    time.Time
	}
	mint := func(who string) (c made) {
		p.call(who, http.MethodPost, "credentials", map[string]string{"kind": "temporary", "store": "shop"}, &c)
		return c
	}
	opens := func(who string, c made, sql string) error {
		_, err := p.query(strings.Replace(p.DSN(who, "shop"), "password="+pgtest.PasswordOf(who), "password="+c.Secret, 1), sql)
		return err
	}
	live := func(who string) (n int) {
		var all []struct{ ID, Kind string }
		p.call(who, http.MethodGet, "credentials", nil, &all)
		for _, c := range all {
			if c.Kind == "temporary" {
				n++
			}
		}
		return n
	}
	end := time.Now().Add(10 * time.Minute).UTC().Truncate(time.Second)
	until := map[string]any{"until": end}
	eve, ana := p.take("eve", "take-a", until), p.take("ana", "take-a", until)
	hers, other := mint("eve"), mint("ana")
	if !hers.Expires.Equal(end) || time.Until(other.Expires) < time.Hour { // ana holds more than the grant
		t.Errorf("eve's ends at %s, ana's at %s; the grants at %s", hers.Expires, other.Expires, end)
	}
	for who, c := range map[string]made{"eve": hers, "ana": other} {
		if err := opens(who, c, "SELECT count(*) FROM a"); err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
	// Suspended is not over: what was made goes on with the grant.
	p.call("bob", http.MethodPost, "grants/"+eve.Grant.ID+"/suspend", struct{}{}, nil)
	if err := opens("eve", hers, "SELECT count(*) FROM a"); err == nil {
		t.Error("a suspended grant lets eve in")
	}
	p.call("bob", http.MethodPost, "grants/"+eve.Grant.ID+"/resume", struct{}{}, nil)
	eventually(t, "eve's credential goes on", func() bool { return opens("eve", hers, "SELECT count(*) FROM a") == nil })

	for who, g := range map[string]outcome{"eve": eve, "ana": ana} {
		p.call(who, http.MethodPost, "grants/"+g.Grant.ID+"/revoke", struct{}{}, nil)
	}
	eventually(t, "eve's credential is over", func() bool { return live("eve") == 0 })
	if n := live("ana"); n != 1 {
		t.Errorf("ana, who holds something else, has %d", n)
	}
	if err := opens("ana", other, "SELECT count(*) FROM base"); err != nil {
		t.Errorf("ana: %v", err)
	}
	next := p.take("eve", "take-a", nil)
	if err := opens("eve", hers, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("with the next grant the old credential is good again: %v", err)
	}
	again := mint("eve")
	if err := opens("eve", again, "SELECT count(*) FROM a"); err != nil || live("eve") != 1 {
		t.Errorf("a new one: %v", err)
	}
	// What was paused until its wall was gone, and ended only then, ends them too.
	p.call("bob", http.MethodPost, "grants/"+next.Grant.ID+"/suspend", struct{}{}, nil)
	eventually(t, "the wall of the paused grant is gone", func() bool {
		var held []struct{ ID, State, Wall string }
		p.call("eve", http.MethodGet, "grants", nil, &held)
		return len(held) == 1 && held[0].ID == next.Grant.ID && held[0].State == "suspended" && held[0].Wall == "gone"
	})
	if n := live("eve"); n != 1 {
		t.Errorf("paused, eve has %d", n)
	}
	p.call("bob", http.MethodPost, "grants/"+next.Grant.ID+"/revoke", struct{}{}, nil)
	eventually(t, "eve's credential of the paused grant is over", func() bool { return live("eve") == 0 })
	p.take("eve", "take-a", nil)
	if err := opens("eve", again, "SELECT 1"); err == nil || !strings.Contains(err.Error(), "28P01") {
		t.Errorf("paused and revoked, with the next grant the old credential is good again: %v", err)
	}
	last := mint("eve")
	if err := opens("eve", last, "SELECT count(*) FROM a"); err != nil || live("eve") != 1 {
		t.Errorf("a new one: %v", err)
	}
	p.Stop(t)
	if found := p.Must(t, "audit", "search", "--kind", "credential.revoked", "--format", "json"); !strings.Contains(found, hers.ID) || !strings.Contains(found, again.ID) ||
		strings.Contains(found, other.ID) || strings.Contains(found, last.ID) {
		t.Errorf("the trail says\n%s", found)
	}
}

// What somebody has read at one gateway counts at every other, and after a restart.
func TestSeveralGatewaysCountRows(t *testing.T) {
	limited := strings.NewReplacer("base: {to: [ana], on: base}", "base: {to: [ana], on: base, limits: {rows_per_hour: 25}}")
	c := newCrowdWith(t, limited, "gw1", "gw2")
	read := func(g *place, sql string) (n int, code string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), g.DSN("ana", "shop"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		rows, err := conn.Query(t.Context(), sql)
		for err == nil && rows.Next() {
			n++
		}
		if err == nil {
			err = rows.Err()
		}
		var e *pgconn.PgError
		if errors.As(err, &e) {
			return n, e.Code
		}
		if err != nil {
			t.Fatal(err)
		}
		return n, ""
	}
	one, two := c.gateways[0], c.gateways[1]
	const nothing = "SELECT * FROM base WHERE false" // which uses up nothing, and does not begin where nothing is left
	if _, code := read(two, nothing); code != "" {
		t.Fatalf("at gw2 before anything is read: %s", code)
	}
	total := 0
	for range 3 {
		n, code := read(one, "SELECT * FROM base")
		if total += n; (code == "53400") != (total == 25) {
			t.Fatalf("at gw1 after %d rows: %q", total, code)
		}
	}
	eventually(t, "gw2 knows what was read at gw1", func() bool {
		n, code := read(two, nothing)
		return n == 0 && code == "53400"
	})
	if n, code := read(two, "SELECT * FROM base"); n != 0 || code != "53400" {
		t.Errorf("at gw2: %d rows, %q", n, code)
	}
	one.Stop(t)
	one.serve()
	if n, code := read(one, "SELECT * FROM base"); n != 0 || code != "53400" {
		t.Errorf("at gw1 after a restart: %d rows, %q", n, code)
	}
}
