package access_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/pgtest"
)

// at is the same terminal before another gateway.
func (x *terminal) at(g *place) *terminal { return &terminal{g, x.t, x.who, x.login} }

// opens says that the certificate lets its holder in at a gateway.
func (x *terminal) opens(what string, g *place) {
	x.t.Helper()
	if n, err := g.query(x.at(g).dsn(x.who), "SELECT count(*) FROM base"); err != nil || n != 10 {
		x.t.Errorf("%s at %s: %d, %v", what, g.Name, n, err)
	}
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
	for _, g := range c.gateways { // at once: whoever issued it has not just told the others
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
