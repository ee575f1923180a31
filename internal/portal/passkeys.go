package portal

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/postern-sec/postern/internal/people"
)

// PasskeyCall brings back what a device answered to a ceremony.
type PasskeyCall struct {
	Ceremony string          `json:"ceremony"`
	Answer   json.RawMessage `json:"answer"`         // of navigator.credentials, with its bytes in base64url
	Name     string          `json:"name,omitempty"` // of a new passkey
}

// PasskeyAnswer begins a sign-in by passkey. The token goes with the call that ends it, and opens nothing.
type PasskeyAnswer struct {
	people.Ceremony
	Token string `json:"token"`
}

// ShownPasskey is a passkey as its owner sees it.
type ShownPasskey struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	Used    time.Time `json:"used,omitzero"`
	Suspect time.Time `json:"suspect,omitzero"` // there may be a copy: it opens nothing since then
}

func (c PasskeyCall) answer() people.PasskeyAnswer {
	return people.PasskeyAnswer{Carry: c.Ceremony, Response: c.Answer}
}

// passkeyCalls are those of passkeys. Each comes twice: what a device is to be asked, and its answer.
func (p *Portal) passkeyCalls() {
	route(p, Call{Pattern: "POST /api/v1/login/passkey", Scope: openToAll, Summary: "Begin to sign in by passkey"}, p.passkeyToSignIn)
	route(p, Call{Pattern: "POST /api/v1/login/passkey/finish", Scope: signingIn, Summary: "End a sign-in by passkey"}, func(r *http.Request, v *viewer, call PasskeyCall) (*LoginAnswer, error) {
		return entry(p.c.People.SignInByPasskey(r.Context(), v.session, call.answer(), from(r)))
	})
	route(p, Call{Pattern: "POST /api/v1/login/factor/passkey", Scope: signingIn, Summary: "Begin to prove the second factor by passkey"}, p.passkeyToProve)
	route(p, Call{Pattern: "POST /api/v1/login/factor/passkey/finish", Scope: signingIn, Summary: "Prove the second factor by passkey"}, func(r *http.Request, v *viewer, call PasskeyCall) (*LoginAnswer, error) {
		return entry(p.c.People.ProveByPasskey(r.Context(), v.session, call.answer(), from(r)))
	})
	route(p, Call{Pattern: "POST /api/v1/login/enrol/passkey", Scope: signingIn, Summary: "Begin to set up a passkey as second factor"}, p.passkeyToAdd)
	route(p, Call{Pattern: "POST /api/v1/login/enrol/passkey/finish", Scope: signingIn, Summary: "End the set-up of a second factor with a passkey"}, p.addPasskey)
	route(p, Call{Pattern: "POST /api/v1/factor/passkey", pages: []string{"GET /account/prove"}, Summary: "Begin to prove the second factor again, by passkey"}, p.passkeyToProve)
	route(p, Call{Pattern: "POST /api/v1/factor/passkey/finish", pages: []string{"POST /account/prove/passkey"}, Summary: "Prove the second factor again by passkey"}, func(r *http.Request, v *viewer, call PasskeyCall) (ShownSession, error) {
		s, err := p.c.People.StepUpByPasskey(r.Context(), v.session, call.answer(), from(r))
		if err != nil {
			return ShownSession{}, err
		}
		return shownSession(*s, s.ID), nil
	})
	route(p, Call{Pattern: "GET /api/v1/passkeys", Summary: "List your passkeys"}, p.passkeys)
	route(p, Call{Pattern: "POST /api/v1/passkeys", Summary: "Begin to add a passkey"}, p.passkeyToAdd)
	route(p, Call{Pattern: "POST /api/v1/passkeys/finish", pages: []string{"POST /account/passkeys"}, Summary: "Add a passkey"}, p.addPasskey)
	route(p, Call{Pattern: "DELETE /api/v1/passkeys/{id}", pages: []string{"POST /account/passkeys/{id}/remove"}, Summary: "Remove a passkey"}, func(r *http.Request, v *viewer, _ nothing) (nothing, error) {
		return nothing{}, p.c.People.RemovePasskey(r.Context(), v.session, r.PathValue("id"), from(r))
	})
}

func (p *Portal) passkeyToSignIn(*http.Request, *viewer, nothing) (PasskeyAnswer, error) {
	browser, err := p.c.People.NewBrowser()
	if err != nil {
		return PasskeyAnswer{}, err
	}
	c, err := p.c.People.PasskeyToSignIn(browser)
	if err != nil {
		return PasskeyAnswer{}, err
	}
	return PasskeyAnswer{*c, browser.Reveal()}, nil
}

func (p *Portal) passkeyToProve(r *http.Request, v *viewer, _ nothing) (*people.Ceremony, error) {
	return p.c.People.PasskeyToProve(r.Context(), v.session)
}

func (p *Portal) passkeyToAdd(r *http.Request, v *viewer, _ nothing) (*people.Ceremony, error) {
	return p.c.People.PasskeyToAdd(r.Context(), v.session)
}

func (p *Portal) addPasskey(r *http.Request, v *viewer, call PasskeyCall) (*LoginAnswer, error) {
	return entry(p.c.People.AddPasskey(r.Context(), v.session, call.Name, call.answer(), from(r)))
}

func (p *Portal) passkeys(r *http.Request, v *viewer, _ nothing) ([]ShownPasskey, error) {
	all, err := p.c.People.Passkeys(r.Context(), v.Subject.Name)
	if err != nil {
		return nil, err
	}
	out := []ShownPasskey{}
	for i := range all {
		k := &all[i]
		out = append(out, ShownPasskey{k.Handle(), k.Name, k.Created, k.Used, k.Suspect})
	}
	return out, nil
}
