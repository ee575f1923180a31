package portal

import (
	"net/http"

	"github.com/postern-sec/postern/internal/people"
)

// securityCalls are those of one's own account as a whole.
func (p *Portal) securityCalls() {
	route(p, Call{Pattern: "GET /api/v1/account", pages: []string{"GET /account"}, Summary: "Your account: role, and by what you prove who you are"}, p.account)
}

func (p *Portal) securityPages() {
	p.get("/account", p.accountPage)
	p.post("/account/sessions/{id}/end", func(r *http.Request, v *viewer) (string, error) {
		_, err := p.endSessions(r, v, nothing{})
		return "/account?done=session", err
	}, p.accountPage)
	p.post("/account/password", func(r *http.Request, v *viewer) (string, error) {
		_, err := p.changePassword(r, v, PasswordCall{Old: r.PostFormValue("old"), New: r.PostFormValue("new")})
		return "/account?done=password", err
	}, p.accountPage)
	p.secretPage("/account/recovery", p.recoveryPage, p.accountPage)
}

// Account is somebody's own account, without what proves it.
type Account struct {
	User     string `json:"user"`
	Role     string `json:"role,omitempty"`
	Password bool   `json:"password"` // there is one here that can be changed; else people sign in elsewhere
	App      bool   `json:"authenticator_app"`
	Passkeys int    `json:"passkeys"`
	Recovery int    `json:"recovery_codes_left"`
	Fresh    bool   `json:"second_factor_fresh"` // proved in the last five minutes
}

// Factored says whether there is a second factor.
func (a Account) Factored() bool { return a.App || a.Passkeys > 0 }

func (p *Portal) account(r *http.Request, v *viewer, _ nothing) (Account, error) {
	has, err := p.c.People.Security(r.Context(), v.Subject.Name)
	if err != nil {
		return Account{}, err
	}
	keys, err := p.passkeys(r, v, nothing{})
	return Account{v.Subject.Name, v.Role(), has.Password, has.App, len(keys), has.Recovery, p.fresh(v)}, err
}

type accountData struct {
	Account
	Sessions    []ShownSession
	HasPasskeys bool
	Keys        []ShownPasskey
	May         bool         // change second factors now
	Add         *passkeyForm // nil: there can be none, or something has to be done before
	Codes       []string     // recovery codes, shown this once
}

func (p *Portal) accountPage(r *http.Request, v *viewer) (shown, error) {
	is, err := p.account(r, v, nothing{})
	if err != nil {
		return shown{}, err
	}
	live, err := p.sessions(r, v, nothing{})
	if err != nil {
		return shown{}, err
	}
	out := accountData{Account: is, Sessions: live, HasPasskeys: p.c.People.HasPasskeys()}
	if out.Keys, err = p.passkeys(r, v, nothing{}); err != nil {
		return shown{}, err
	}
	if err := p.c.People.MayManage(r.Context(), v.session); err != nil {
		if problem, _ := problemOf(err); problem == nil {
			return shown{}, err
		}
		return shown{"account", "Account and security", out}, nil
	}
	out.May = true
	if c, err := p.c.People.PasskeyToAdd(r.Context(), v.session); err == nil {
		out.Add = formOf("create", "/account/passkeys", "Add a passkey", c)
		out.Add.CSRF, out.Add.Primary = people.FormToken(v.session).Reveal(), false
	}
	return shown{"account", "Account and security", out}, nil
}

// recoveryPage makes new recovery codes and shows them, once.
func (p *Portal) recoveryPage(r *http.Request, v *viewer) (shown, error) {
	made, err := p.newRecovery(r, v, nothing{})
	if err != nil {
		return shown{}, err
	}
	out, err := p.accountPage(r, v)
	if err != nil {
		return shown{}, err
	}
	data := out.data.(accountData) //nolint:forcetypeassert // accountPage's own
	data.Codes = made.Recovery
	out.data = data
	return out, nil
}
