package portal

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/secret"
)

// passkeyForm asks a device for a passkey. Where scripts do not run it stays hidden, and the other ways remain.
type passkeyForm struct {
	Kind    string // get or create
	Action  string // where the answer goes
	Options string // for navigator.credentials
	Carry   string
	CSRF    string
	For     string // where to go afterwards
	Label   string
	Primary bool
}

func formOf(kind, action, label string, c *people.Ceremony) *passkeyForm {
	return &passkeyForm{Kind: kind, Action: action, Label: label, Options: string(c.Options), Carry: c.Carry, Primary: true}
}

// passkeySteps are those of a sign-in.
func (p *Portal) passkeySteps() {
	p.step("POST /sign-in/passkey", "signin", "Sign in", func(r *http.Request) (*people.Entry, error) {
		return p.c.People.SignInByPasskey(r.Context(), browserCookie(r), passkeyAnswer(r), fromPage(r))
	})
	p.step("POST /sign-in/factor/passkey", "factor", "Second factor", func(r *http.Request) (*people.Entry, error) {
		return p.c.People.ProveByPasskey(r.Context(), sessionCookie(r), passkeyAnswer(r), fromPage(r))
	})
	p.step("POST /sign-in/enrol/passkey", "enrol", "Second factor", func(r *http.Request) (*people.Entry, error) {
		return p.c.People.AddPasskey(r.Context(), sessionCookie(r), r.PostFormValue("name"), passkeyAnswer(r), fromPage(r))
	})
}

func passkeyAnswer(r *http.Request) people.PasskeyAnswer {
	return people.PasskeyAnswer{Carry: r.PostFormValue("ceremony"), Response: []byte(r.PostFormValue("answer"))}
}

// atStep is what the page of a step shows. A device that cannot be asked, for whatever reason, is no reason to refuse the other ways.
func (p *Portal) atStep(w http.ResponseWriter, r *http.Request, step string) signInData {
	out := signInData{User: r.PostFormValue("user"), Code: r.PostFormValue("code"), SignOn: p.c.SignOnLabel}
	if !p.c.People.HasPasskeys() {
		return out
	}
	var c *people.Ceremony
	var err error
	switch step {
	case "signin":
		if c, err = p.c.People.PasskeyToSignIn(p.browser(w, r)); err == nil {
			out.Passkey = formOf("get", "/sign-in/passkey", "Sign in with a passkey", c)
			out.Passkey.Primary = false
		}
	case "factor":
		if c, err = p.c.People.PasskeyToProve(r.Context(), sessionCookie(r)); err == nil {
			out.Passkey = formOf("get", "/sign-in/factor/passkey", "Use a passkey", c)
		}
	case "enrol":
		if c, err = p.c.People.PasskeyToAdd(r.Context(), sessionCookie(r)); err == nil {
			out.Passkey = formOf("create", "/sign-in/enrol/passkey", "Add a passkey", c)
		}
	}
	if err != nil {
		p.c.Log.Debug("no passkey is asked for", "step", step, "error", err)
	}
	return out
}

// The browser cookie holds what a sign-in by passkey is tied to before there is a session. It proves nothing by itself.
const browserName = "postern-browser"

func browserCookieName(r *http.Request) string {
	if secureHost(r) {
		return "__Host-" + browserName
	}
	return browserName
}

func browserCookie(r *http.Request) secret.Text {
	c, err := r.Cookie(browserCookieName(r))
	if err != nil {
		return secret.Text{}
	}
	return secret.New(c.Value)
}

// browser is the cookie's secret; who has none gets one.
func (p *Portal) browser(w http.ResponseWriter, r *http.Request) secret.Text {
	if have := browserCookie(r); have.Reveal() != "" {
		return have
	}
	drawn, err := p.c.People.NewBrowser()
	if err != nil {
		p.c.Log.Error("portal", "page", "/sign-in", "error", err)
		return secret.Text{}
	}
	http.SetCookie(w, &http.Cookie{
		Name: browserCookieName(r), Value: drawn.Reveal(), Path: "/", HttpOnly: true, Secure: secureHost(r), SameSite: http.SameSiteLaxMode,
	})
	return drawn
}

// passkeyPages are those of somebody who is signed in.
func (p *Portal) passkeyPages() {
	p.guarded("POST /account/passkeys", p.addPasskeyPage, nil)
	p.post("/account/passkeys/{id}/remove", p.removePasskeyAct, p.accountPage)
	p.get("/account/prove", p.provePage)
	p.post("/account/prove", func(r *http.Request, v *viewer) (string, error) {
		_, err := p.c.People.StepUp(r.Context(), v.session, r.PostFormValue("code"), fromPage(r))
		return afterProof(r), err
	}, p.provePage)
	p.post("/account/prove/passkey", func(r *http.Request, v *viewer) (string, error) {
		_, err := p.c.People.StepUpByPasskey(r.Context(), v.session, passkeyAnswer(r), fromPage(r))
		return afterProof(r), err
	}, p.provePage)
}

// addPasskeyPage adds a passkey. The first second factor comes with recovery codes, and with a session of its own.
func (p *Portal) addPasskeyPage(w http.ResponseWriter, r *http.Request, v *viewer) {
	e, err := p.c.People.AddPasskey(r.Context(), v.session, r.PostFormValue("name"), passkeyAnswer(r), fromPage(r))
	switch {
	case err != nil:
		p.again(w, r, v, err, p.accountPage)
	case len(e.Recovery) > 0:
		p.entered(w, r, e)
	default:
		http.Redirect(w, r, "/account?done=passkey", http.StatusSeeOther)
	}
}

func (p *Portal) removePasskeyAct(r *http.Request, v *viewer) (string, error) {
	return "/account?done=removed", p.c.People.RemovePasskey(r.Context(), v.session, r.PathValue("id"), fromPage(r))
}

type proveData struct {
	Factored bool
	Passkey  *passkeyForm
	For      string
}

// provePage asks for a fresh second factor.
func (p *Portal) provePage(r *http.Request, v *viewer) (shown, error) {
	out := proveData{Factored: v.factored, For: r.FormValue("for")}
	if c, err := p.c.People.PasskeyToProve(r.Context(), v.session); err == nil {
		out.Passkey = formOf("get", "/account/prove/passkey", "Use a passkey", c)
		out.Passkey.CSRF, out.Passkey.For = people.FormToken(v.session).Reveal(), out.For
	}
	return shown{"prove", "Is it still you?", out}, nil
}

// proofPages are where a fresh second factor leads, besides the account: nowhere that a link could make up.
var proofPages = regexp.MustCompile(`^/(ask/[\pL\pN_.-]+(\?extends=[0-9a-zA-Z]+)?|inbox|away|people|tokens)$`)

// backTo is the page of proofPages to which somebody comes back who has to prove a second factor first. A decision is made in the inbox, and
// all about an account on the page of people.
func backTo(r *http.Request) string {
	to := r.URL.Path
	if id := r.URL.Query().Get("extends"); id != "" {
		to += "?extends=" + id
	}
	if strings.HasPrefix(to, "/requests/") {
		to = "/inbox"
	}
	if strings.HasPrefix(to, "/people/") {
		to = "/people"
	}
	if proofPages.MatchString(to) {
		return to
	}
	return ""
}

func afterProof(r *http.Request) string {
	if to := r.FormValue("for"); strings.Contains(to, "?") && proofPages.MatchString(to) {
		return to + "&done=proved"
	} else if proofPages.MatchString(to) {
		return to + "?done=proved"
	}
	return "/account?done=proved"
}

// fresh says whether somebody's second factor is.
func (p *Portal) fresh(v *viewer) bool {
	return !v.Factor.IsZero() && p.c.Desk.Now().Sub(v.Factor) <= people.FactorFresh
}
