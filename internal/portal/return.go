package portal

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// nextCookie remembers which page somebody came to who had to sign in first.
const nextCookie = "postern-next"

// nextPages are what is gone back to: pages here, none of which does anything by being looked at, and never those of the sign-in.
var nextPages = regexp.MustCompile(`^/[a-z]+([/?][-A-Za-z0-9_.~%!$&'()*+,;=:@/?]{0,1000})?$`)

// formPages are where forms stand whose own address begins with something else than their page's.
var formPages = map[string]string{"requests": "/inbox", "credentials": "/tokens"}

// pageOf is the page that somebody looks at who sends a request.
func pageOf(r *http.Request) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead || first == "ask":
		return r.URL.RequestURI()
	case formPages[first] != "":
		return formPages[first]
	}
	return "/" + first
}

// overTexts say on the sign-in page why it is there.
var overTexts = map[string]string{
	"1":      "Your session is over. Sign in, and you are back where you were.",
	"unsent": "Your session was over, so that nothing was done. Sign in, and send it again.",
}

// toSignIn leads somebody to the sign-in who is not signed in, or no longer, and afterwards back. What a form sent is not done.
func (p *Portal) toSignIn(w http.ResponseWriter, r *http.Request) {
	why := ""
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		if p.origin.Check(r) != nil {
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
			return
		}
		why = "?over=unsent"
	case sessionCookie(r).Reveal() != "":
		why = "?over=1"
	}
	if to := pageOf(r); nextPages.MatchString(to) {
		setNext(w, r, url.QueryEscape(to), flowCookieAge)
	}
	http.Redirect(w, r, "/sign-in"+why, http.StatusSeeOther)
}

func setNext(w http.ResponseWriter, r *http.Request, value string, age int) {
	http.SetCookie(w, &http.Cookie{Name: nextCookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: secureHost(r), SameSite: http.SameSiteLaxMode})
}

// next is where to go after a sign-in.
func next(w http.ResponseWriter, r *http.Request) string {
	c, err := r.Cookie(nextCookie)
	if err != nil {
		return "/catalogue"
	}
	setNext(w, r, "", -1)
	to, err := url.QueryUnescape(c.Value)
	if err != nil || !nextPages.MatchString(to) {
		return "/catalogue"
	}
	return to
}

// listed leads back to a list after something was done about one of it, filtered as it was.
func listed(r *http.Request, page, done string) string {
	to := page + "?done=" + done
	for _, name := range []string{"q", "due", "all"} {
		if v := r.PostFormValue(name); v != "" {
			to += "&" + name + "=" + url.QueryEscape(v)
		}
	}
	return to
}

// unknownPage is for addresses that lead nowhere. A browser that comes to a form's own is told so too: there is nothing to see.
func (p *Portal) unknownPage(w http.ResponseWriter, r *http.Request) {
	if methods := p.methods(r, "/"); len(methods) > 0 && !reads(r) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	v, err := p.viewer(r)
	if err != nil {
		v = nil // who is not signed in learns as much
	}
	problem := &Problem{Code: "not_found", Error: "There is no such page.", Hint: "The address may be old, or mistyped."}
	p.render(w, r, http.StatusNotFound, v, shown{"problem", "No such page", nil}, problem)
}
