package portal_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/portal"
	"github.com/postern-sec/postern/test/passkey"
)

// ceremony is what a program is told of one.
type ceremony struct {
	Options  json.RawMessage
	Ceremony string
	Token    string
}

// program is somebody's, that speaks to the interface.
type program struct {
	t *testing.T
	p *place
}

func (x program) call(token, method, path string, body, out any) error {
	x.t.Helper()
	c, err := portal.NewClient(portal.Login{Server: x.p.server.URL, Token: token})
	if err != nil {
		x.t.Fatal(err)
	}
	return c.Call(x.t.Context(), method, path, body, out)
}

// do begins a ceremony, lets a device answer and sends the answer.
func (x program) do(token, path, name string, ask func([]byte) ([]byte, error), out any) error {
	x.t.Helper()
	var c ceremony
	if err := x.call(token, http.MethodPost, path, nil, &c); err != nil {
		return err
	}
	answer, err := ask(c.Options)
	if err != nil {
		x.t.Fatal(err)
	}
	if c.Token != "" {
		token = c.Token
	}
	return x.call(token, http.MethodPost, path+"/finish", portal.PasskeyCall{Ceremony: c.Ceremony, Answer: answer, Name: name}, out)
}

// The calls of passkeys, from the invitation to the last one's end.
func TestPasskeysByTheInterface(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	x, d := program{t, p}, &passkey.Device{Origin: portalURL, Counts: true}
	var in portal.LoginAnswer
	into := func() *portal.LoginAnswer { in.Next, in.Recovery = "", nil; return &in } // what an answer leaves out
	fine := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refused := func(err error, code string) {
		t.Helper()
		var no *portal.ErrRefused
		if !errors.As(err, &no) || no.Problem.Code != code {
			t.Fatalf("got %v, want %s", err, code)
		}
	}
	inv, err := p.people.Create(t.Context(), "", "nora", people.Auditor, people.From{Channel: "portal"})
	fine(err)
	fine(x.call("", http.MethodPost, "login/accept", portal.AcceptCall{Code: inv.Code.Reveal(), Password: password}, into()))
	fine(x.do(in.Token, "login/enrol/passkey", "phone", d.Create, into()))
	if len(in.Recovery) != 10 || in.Next != "" || in.User != "nora" {
		t.Fatalf("with the first passkey nora gets %+v", in)
	}
	fine(x.do("", "login/passkey", "", d.Get, into()))
	if in.User != "nora" || in.Role != "auditor" || in.Next != "" {
		t.Fatalf("by passkey nora is %+v", in)
	}
	fine(x.call("", http.MethodPost, "login", portal.LoginCall{User: "nora", Password: password}, into()))
	if in.Next != "factor" {
		t.Fatalf("after the password nora is %+v", in)
	}
	fine(x.do(in.Token, "login/factor/passkey", "", d.Get, into()))
	fine(x.do(in.Token, "factor/passkey", "", d.Get, new(json.RawMessage)))
	spare := &passkey.Device{Origin: portalURL}
	fine(x.do(in.Token, "passkeys", "spare", spare.Create, new(json.RawMessage)))
	var list []portal.ShownPasskey
	fine(x.call(in.Token, http.MethodGet, "passkeys", nil, &list))
	if len(list) != 2 || list[0].Name != "phone" || list[0].Used.IsZero() || !list[1].Used.IsZero() {
		t.Fatalf("nora has %+v", list)
	}
	fine(x.call(in.Token, http.MethodDelete, "passkeys/"+list[0].ID, nil, new(json.RawMessage)))
	refused(x.do("", "login/passkey", "", d.Get, nil), people.CodeLogin)
	refused(x.call(in.Token, http.MethodDelete, "passkeys/"+list[1].ID, nil, nil), people.CodeLastFactor)
	refused(x.call(in.Token, http.MethodDelete, "passkeys/"+list[0].ID, nil, nil), "not_found")
	refused(x.call("", http.MethodPost, "login/passkey/finish", portal.PasskeyCall{Ceremony: "x"}, nil), people.CodePasskeyLate)
	refused(x.call("", http.MethodPost, "login/factor/passkey", nil, nil), people.CodeSession)
	refused(x.call("", http.MethodPost, "login/enrol/passkey", nil, nil), people.CodeSession)
	if !p.trail.has(audit.PasskeyAdded, "nora") || !p.trail.has(audit.PasskeyRemoved, "nora") || !p.trail.has(audit.PasskeyRefused, "nora") {
		t.Error("passkeys are not in the trail")
	}
}
