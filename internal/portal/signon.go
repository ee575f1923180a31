package portal

import (
	"net/http"
	"net/url"
)

// flowCookie carries a sign-in through the provider while it is under way. It is sealed, good for one answer and ten minutes, and
// goes along when the provider sends the browser back.
const (
	flowCookie      = "postern-sso"
	flowCookieAge   = 600
	longestCallback = 8 << 10
)

func flowCookieName(r *http.Request) string {
	if secureHost(r) {
		return "__Host-" + flowCookie
	}
	return flowCookie
}

func setFlow(w http.ResponseWriter, r *http.Request, carry string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: flowCookieName(r), Value: carry, Path: "/", MaxAge: age, HttpOnly: true, Secure: secureHost(r), SameSite: http.SameSiteLaxMode,
	})
}

// signOn sends the browser to the provider.
func (p *Portal) signOn(w http.ResponseWriter, r *http.Request) {
	where, carry, err := p.c.SignOn.Begin(r.Context(), "")
	if err != nil {
		p.failSignOn(w, r, err)
		return
	}
	setFlow(w, r, carry, flowCookieAge)
	http.Redirect(w, r, where, http.StatusSeeOther)
}

// signedOn takes the provider's answer. Whatever comes of it, the browser's part of the sign-in is used up.
func (p *Portal) signedOn(w http.ResponseWriter, r *http.Request) {
	carry := ""
	if c, err := r.Cookie(flowCookieName(r)); err == nil {
		carry = c.Value
	}
	setFlow(w, r, "", -1)
	answer := url.Values{}
	if len(r.URL.RawQuery) <= longestCallback {
		answer = r.URL.Query()
	}
	e, _, err := p.c.SignOn.Finish(r.Context(), carry, answer, fromPage(r))
	if err != nil {
		p.failSignOn(w, r, err)
		return
	}
	p.entered(w, r, e)
}

// failSignOn shows the sign-in page again, with what was wrong.
func (p *Portal) failSignOn(w http.ResponseWriter, r *http.Request, err error) {
	problem, status := problemOf(err)
	if problem == nil {
		p.failPage(w, r, nil, err)
		return
	}
	p.render(w, r, status, nil, shown{"signin", "Sign in", p.atStep(w, r, "signin")}, problem)
}
