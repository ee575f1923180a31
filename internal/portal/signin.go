package portal

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/secret"
)

// signInRoutes are the pages before somebody is in. The session's token changes at every step, so that one planted before is worth
// nothing after.
func (p *Portal) signInRoutes() {
	p.mux.HandleFunc("GET /sign-in", func(w http.ResponseWriter, r *http.Request) {
		data := p.atStep(w, r, "signin")
		data.Over = overTexts[r.URL.Query().Get("over")]
		p.render(w, r, http.StatusOK, nil, shown{"signin", "Sign in", data}, nil)
	})
	if p.c.SignOn != nil {
		p.mux.HandleFunc("GET /sign-in/sso", p.signOn)
		p.mux.HandleFunc("GET /sign-in/callback", p.signedOn)
		p.mux.HandleFunc("POST "+logoutPath, p.signedOff)
	}
	p.mux.HandleFunc("GET /join", func(w http.ResponseWriter, r *http.Request) {
		p.render(w, r, http.StatusOK, nil, shown{"join", "Welcome", signInData{}}, nil)
	})
	p.step("POST /sign-in", "signin", "Sign in", func(r *http.Request) (*people.Entry, error) {
		return p.c.People.SignIn(r.Context(), r.PostFormValue("user"), secret.New(r.PostFormValue("password")), fromPage(r))
	})
	p.step("POST /join", "join", "Welcome", func(r *http.Request) (*people.Entry, error) {
		return p.c.People.Accept(r.Context(), secret.New(r.PostFormValue("code")), secret.New(r.PostFormValue("password")), fromPage(r))
	})
	p.step("POST /sign-in/factor", "factor", "Second factor", func(r *http.Request) (*people.Entry, error) {
		return p.c.People.Prove(r.Context(), sessionCookie(r), r.PostFormValue("code"), fromPage(r))
	})
	p.step("POST /sign-in/confirm", "enrol", "Second factor", func(r *http.Request) (*people.Entry, error) {
		return p.c.People.Confirm(r.Context(), sessionCookie(r), r.PostFormValue("code"), fromPage(r))
	})
	p.passkeySteps()
	p.mux.HandleFunc("GET /sign-in/{step}", func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("step")
		if name != "factor" && name != "enrol" || sessionCookie(r).Reveal() == "" {
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
			return
		}
		p.render(w, r, http.StatusOK, nil, shown{name, "Second factor", p.atStep(w, r, name)}, nil)
	})
	p.mux.HandleFunc("POST /sign-in/enrol", p.enrolPage)
	p.mux.HandleFunc("POST /sign-out", func(w http.ResponseWriter, r *http.Request) {
		if p.origin.Check(r) == nil {
			if err := p.c.People.SignOut(r.Context(), sessionCookie(r), fromPage(r)); err != nil {
				p.c.Log.Debug("sign out", "error", err) // it was over already
			}
			setSession(w, r, "")
			if to := r.PostFormValue("for"); nextPages.MatchString(to) {
				setNext(w, r, url.QueryEscape(to), flowCookieAge)
			}
		}
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
	})
}

type signInData struct {
	User     string
	Over     string // why somebody who was signed in has to do so again
	Code     string // of an invitation, as it was sent; a password that does not do is no reason to look for the link again
	SignOn   string // the label of the button; "": there is none
	Passkey  *passkeyForm
	Enrol    *people.Enrolment
	Recovery []string
}

func fromPage(r *http.Request) people.From {
	f := from(r)
	f.Channel = "portal"
	return f
}

// step takes a sign-in one step on. No session exists yet that a form could be tied to: where the browser says that another site
// sent it, nothing happens.
func (p *Portal) step(pattern, again, title string, do func(r *http.Request) (*people.Entry, error)) {
	p.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if p.origin.Check(r) != nil {
			p.failPage(w, r, nil, pageRefusals["form_outdated"])
			return
		}
		e, err := do(r)
		if err != nil {
			problem, status := problemOf(err)
			if problem == nil {
				p.failPage(w, r, nil, err)
				return
			}
			p.render(w, r, status, nil, shown{again, title, p.atStep(w, r, again)}, problem)
			return
		}
		p.entered(w, r, e)
	})
}

// entered gives the browser its session and sends it on, as far as the sign-in is.
func (p *Portal) entered(w http.ResponseWriter, r *http.Request, e *people.Entry) {
	// The session that the cookie held so far is out of the reader's reach, and must not go on out of their sight.
	if err := p.c.People.Replace(r.Context(), sessionCookie(r), fromPage(r)); err != nil {
		p.c.Log.Error("the session before this sign-in goes on until its end", "error", err)
	}
	setSession(w, r, e.Token.Reveal())
	switch {
	case e.Session.Stage != people.Full:
		http.Redirect(w, r, "/sign-in/"+string(e.Session.Stage), http.StatusSeeOther)
	case len(e.Recovery) > 0:
		p.render(w, r, http.StatusOK, nil, shown{"enrol", "Recovery codes", signInData{Recovery: e.Recovery}}, nil)
	default:
		http.Redirect(w, r, next(w, r), http.StatusSeeOther)
	}
}

func (p *Portal) enrolPage(w http.ResponseWriter, r *http.Request) {
	if p.origin.Check(r) != nil {
		p.failPage(w, r, nil, pageRefusals["form_outdated"])
		return
	}
	e, err := p.c.People.Enrol(r.Context(), sessionCookie(r))
	if err != nil {
		p.failPage(w, r, nil, err)
		return
	}
	p.render(w, r, http.StatusOK, nil, shown{"enrol", "Second factor", signInData{Enrol: e}}, nil)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return strconv.Itoa(n) + " " + word + "s"
}
