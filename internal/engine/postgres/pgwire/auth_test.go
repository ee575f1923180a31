package pgwire

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/secret"
)

// authenticate is a client's side of SCRAM, by the code that logs in to stores.
func authenticate(t testing.TB, p *peer, password string) {
	t.Helper()
	m, ok := p.receive(t).(*pgproto3.AuthenticationSASL)
	if !ok {
		t.Fatalf("instead of a SASL request: %#v", m)
	}
	c := &scramClient{mechanism: m.AuthMechanisms[len(m.AuthMechanisms)-1], gs2: "n,,"}
	first, err := c.first(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p.send(t, &pgproto3.SASLInitialResponse{AuthMechanism: c.mechanism, Data: first})
	next, ok := p.receive(t).(*pgproto3.AuthenticationSASLContinue)
	if !ok {
		t.Fatal("no server-first-message")
	}
	s := &Server{}
	s.derived.m = map[derivedKey]derivedEntry{}
	final, err := c.final(s, string(next.Data), secret.New(password))
	if err != nil {
		t.Fatal(err)
	}
	p.send(t, &pgproto3.SASLResponse{Data: final})
	last, ok := p.receive(t).(*pgproto3.AuthenticationSASLFinal)
	if !ok || !c.verified(string(bytes.Clone(last.Data))) {
		t.Fatalf("the server did not prove itself: %#v", last)
	}
	if _, ok := p.receive(t).(*pgproto3.AuthenticationOk); !ok {
		t.Fatal("no AuthenticationOk")
	}
}
