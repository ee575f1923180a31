package portal

import (
	"bytes"
	"context"
	"crypto/subtle"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

//go:embed web
var webFiles embed.FS

// contentPolicy lets a page load its own style sheet and script, send its own forms, ask here whether it changed, and nothing else.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// followHeader marks what a page asks by itself, to say when something on it has changed: that keeps no session alive (ACC-61).
const followHeader = "Postern-Follow"

// viewer is who looks at a page, or makes a call, as their session or token says.
type viewer struct {
	access.Actor
	role    people.Role
	owns    bool // a dataset
	session secret.Text
	token   identity.Issued

	factored bool // has a second factor
}

// right says who may open a page or do what it offers. What the desk decides by itself, such as who approves, is everybody's here.
type right func(v *viewer) bool

func everybody(*viewer) bool { return true }

func overseers(v *viewer) bool {
	return v.owns || v.role == people.Admin || v.role == people.Auditor
}

func trailReaders(v *viewer) bool { return v.role == people.Admin || v.role == people.Auditor }

func policyReaders(v *viewer) bool { return v.role != people.NoRole }

func operators(v *viewer) bool { return v.role == people.Admin || v.role == people.Reader }

// page is what every template gets.
type page struct {
	Title, Active string
	Who           *viewer
	Nav           []navItem
	CSRF          string
	Done          string
	Problem       *Problem
	Back          string // where a fresh second factor leads back to; "": the account
	Now           time.Time
	Alone         bool // the problem is all that there is to show
	Data          any
}

// Bad says whether the problem is with a field.
func (p page) Bad(field string) bool { return p.Problem != nil && p.Problem.Field == field }

type navItem struct {
	Path, Name string
	Count      int
}

// shown is what a page's work came to: which template, with what.
type shown struct {
	name, title string
	data        any
}

type (
	// show with an error is a "no"; where it comes with a page nevertheless, that is shown beside it.
	show func(r *http.Request, v *viewer) (shown, error)
	act  func(r *http.Request, v *viewer) (to string, err error)
)

// pageRoutes adds the pages. The call on which one stands says who may; nothing else decides it.
func (p *Portal) pageRoutes() {
	p.templates = parsePages()
	p.origin = http.NewCrossOriginProtection()
	p.signInRoutes()
	p.mux.HandleFunc("/", p.unknownPage)
	p.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/catalogue", http.StatusSeeOther) })
	p.get("/catalogue", p.cataloguePage)
	p.get("/datasets/{name}", p.datasetPage)
	p.get("/ask/{rule}", p.askPage)
	p.post("/ask/{rule}", p.askAct, p.askPage)
	p.get("/inbox", p.inboxPage)
	p.post("/requests/{id}/{what}", p.decideAct, p.inboxPage)
	p.get("/mine", p.minePage)
	p.post("/mine/{id}/{what}", p.mineAct, p.minePage)
	p.get("/connect", p.connectPage)
	p.secretPage("/connect", p.issuePage, p.connectPage)
	p.tokenPages()
	p.awayPages()
	p.securityPages()
	p.get("/health/settings", p.settingsPage)
	p.passkeyPages()
	p.get(devicePath, p.devicePage)
	p.secretPage(devicePath, p.decideDevicePage, p.devicePage)
	p.get("/grants", p.grantsPage)
	p.post("/grants/{id}/{what}", p.grantAct, p.grantsPage)
	p.get("/trail", p.trailPage)
	p.get("/trail/sessions/{id}", p.timelinePage)
	p.viewRoutes()
	p.get("/policy", p.policyPage)
	p.secretPage("/policy", p.proposeRulePage, p.policyPage)
	p.get("/policy/changes", p.differPage)
	p.get("/explain", p.explainPage)
	p.secretPage("/explain", p.explainedPage, p.explainPage)
	p.get("/posture", p.posturePage)
	p.get("/discovery", p.discoveryPage)
	p.secretPage("/discovery", p.proposePage, p.discoveryPage)
	p.get("/people", p.peoplePage)
	p.secretPage("/people", p.invitePage, p.peoplePage)
	p.secretPage("/people/{name}/invite", p.invitePage, p.peoplePage)
	p.post("/people/{name}/{what}", p.personAct, p.peoplePage)
	p.get("/health", p.healthPage)
	assets, err := fs.Sub(webFiles, "web")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	files := http.StripPrefix("/assets/", http.FileServerFS(assets))
	p.mux.HandleFunc("GET /assets/{file}", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.PathValue("file"), ".html") {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "max-age=300")
		files.ServeHTTP(w, r)
	})
}

// get adds a page.
func (p *Portal) get(path string, do show) {
	p.guarded("GET "+path, func(w http.ResponseWriter, r *http.Request, v *viewer) {
		out, err := do(r, v)
		switch problem, status := problemOf(err); {
		case err == nil:
			p.render(w, r, http.StatusOK, v, out, nil)
		case problem != nil && out.name != "": // what was asked for does not do, and can be asked for anew
			p.render(w, r, status, v, out, problem)
		default:
			p.failPage(w, r, v, err)
		}
	}, nil)
}

// post adds what a form does. After it the reader is sent on; after a "no" the page comes again and says why.
func (p *Portal) post(path string, do act, again show) {
	p.guarded("POST "+path, func(w http.ResponseWriter, r *http.Request, v *viewer) {
		to, err := do(r, v)
		if err != nil {
			p.again(w, r, v, err, again)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	}, again)
}

// secretPage adds a form whose answer is shown once and never kept.
func (p *Portal) secretPage(path string, do, again show) {
	p.guarded("POST "+path, func(w http.ResponseWriter, r *http.Request, v *viewer) {
		out, err := do(r, v)
		if err != nil {
			p.again(w, r, v, err, again)
			return
		}
		p.render(w, r, http.StatusOK, v, out, nil)
	}, again)
}

// guarded is the one way to a page: who is it, may they, and for what changes something, did they mean it. A "no" is in the trail. A form
// from a page of theirs that became too old comes again with what they typed, where there is a page for it.
func (p *Portal) guarded(pattern string, do func(w http.ResponseWriter, r *http.Request, v *viewer), again show) {
	who := p.stands[pattern]
	if who == nil {
		panic(pattern + " stands on no call") // a mistake that every start would show
	}
	p.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		v, err := p.viewer(r)
		if err != nil {
			p.toSignIn(w, r)
			return
		}
		reason := ""
		switch {
		case !who(v):
			reason = "not_for_you"
		case !reads(r) && !p.meantIt(r, v):
			reason = "form_outdated"
		}
		if reason == "" {
			do(w, r, v)
			return
		}
		if err := p.record(r, audit.Event{
			Kind: audit.PortalRefused, Subject: v.Subject.Name, Verdict: "refuse", Reason: reason, Detail: map[string]string{"page": pattern},
		}); err != nil {
			p.failPage(w, r, v, err)
			return
		}
		if reason == "form_outdated" && again != nil && p.origin.Check(r) == nil {
			p.again(w, r, v, pageRefusals["form_old"], again)
			return
		}
		p.failPage(w, r, v, pageRefusals[reason])
	})
}

var pageRefusals = map[string]*access.Refusal{
	"not_for_you":   {Code: "not_for_you", Text: "This page is not for your role.", Hint: "An admin can give you a role, such as auditor."},
	"form_outdated": {Code: "form_outdated", Text: "This form did not come from a page of yours, or that page was too old.", Hint: "Go back, reload the page and try again."},
	"form_old":      {Code: "form_outdated", Text: "That page was too old, so that nothing was done.", Hint: "This is the page as it is now: look at it, and send the form again."},
}

// reads says whether a request only looks: HEAD asks for the headers of what GET would bring.
func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// meantIt checks that a form was sent from a page of this session.
func (p *Portal) meantIt(r *http.Request, v *viewer) bool {
	want := people.FormToken(v.session).Reveal()
	return p.origin.Check(r) == nil && subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(want)) == 1
}

// viewer finds out whose browser it is. Only a browser's session opens pages: a token for programs, or a terminal's, opens nothing in a cookie.
func (p *Portal) viewer(r *http.Request) (*viewer, error) {
	token := sessionCookie(r)
	if token.Reveal() == "" {
		return nil, errToken
	}
	person, err := p.c.People.WhoIn(r.Context(), token, "portal", r.Header.Get(followHeader) == "")
	if errors.Is(err, people.ErrElsewhere) {
		return nil, p.elsewhere(r, person, err)
	}
	if err != nil {
		return nil, err
	}
	return p.viewerOf(r, person, token, "portal"), nil
}

// viewerOf is who a session belongs to.
func (p *Portal) viewerOf(r *http.Request, person *people.Person, token secret.Text, channel string) *viewer {
	s := person.Session
	return &viewer{
		Actor: access.Actor{Subject: person.Subject, Channel: channel, Address: r.RemoteAddr, Admin: person.Role == people.Admin, Factor: s.Factor},
		role:  person.Role, owns: p.owns(person.Subject), session: token, factored: person.Factored,
		token: identity.Issued{ID: s.ID, Kind: identity.Session, Subject: s.Subject, Created: s.Created, Expires: s.End, Factor: s.Factor, SignOn: s.SignOn},
	}
}

// owns says whether somebody answers for a dataset.
func (p *Portal) owns(s policy.Subject) bool {
	for _, d := range p.c.Policy().Datasets {
		if s.Is(d.Owners) {
			return true
		}
	}
	return false
}

// Name and Role are for templates.
func (v *viewer) Name() string { return v.Subject.Name }

// Role is the account's role, or what the policy makes of its subject.
func (v *viewer) Role() string {
	switch {
	case v.role != people.NoRole:
		return string(v.role)
	case v.owns:
		return "owner"
	}
	return ""
}

const (
	secureCookie = "__Host-postern"
	plainCookie  = "postern"
)

// secureHost says whether a browser takes and keeps Secure cookies from here: over TLS, also one that ended before us. Plain HTTP is
// for this machine alone.
func secureHost(r *http.Request) bool { return r.TLS != nil || elsewhere(r.Host) }

// elsewhere says whether a host is another machine than the reader's own, as the address in the browser names it.
func elsewhere(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host != "localhost" && (err != nil || !a.IsLoopback())
}

func cookieName(r *http.Request) string {
	if secureHost(r) {
		return secureCookie
	}
	return plainCookie
}

func sessionCookie(r *http.Request) secret.Text {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return secret.Text{}
	}
	return secret.New(c.Value)
}

// setSession puts a session into the browser. It ends with the browser, and earlier on the server.
func setSession(w http.ResponseWriter, r *http.Request, token string) {
	c := &http.Cookie{Name: cookieName(r), Value: token, Path: "/", HttpOnly: true, Secure: secureHost(r), SameSite: http.SameSiteLaxMode}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// again shows a form's page with what was wrong.
func (p *Portal) again(w http.ResponseWriter, r *http.Request, v *viewer, why error, page show) {
	problem, status := problemOf(why)
	if problem == nil {
		p.failPage(w, r, v, why)
		return
	}
	out, err := page(r, v)
	if err != nil {
		p.failPage(w, r, v, why)
		return
	}
	p.render(w, r, status, v, out, problem)
}

// problemOf is what a person may know of an error; nil: nothing.
func problemOf(err error) (*Problem, int) {
	var no *access.Refusal
	var who *people.Refusal
	switch {
	case errors.As(err, &who):
		return onPage(Problem{Code: who.Code, Error: who.Text, Hint: who.Hint}), statusOf(who)
	case errors.As(err, &no):
		return onPage(refusedBy(no)), refusalStatus(no)
	case errors.Is(err, access.ErrNotFound):
		return &Problem{Code: "not_found", Error: "There is nothing here.", Hint: "It may have been withdrawn or renamed."}, http.StatusNotFound
	case errors.Is(err, access.ErrConflict):
		return &Problem{Code: "conflict", Error: "Somebody else was faster: look at it again."}, http.StatusConflict
	}
	return nil, 0
}

func (p *Portal) failPage(w http.ResponseWriter, r *http.Request, v *viewer, err error) {
	problem, status := problemOf(err)
	if problem == nil {
		p.c.Log.Error("portal", "page", r.Method+" "+r.URL.Path, "error", err)
		problem, status = &Problem{Code: "internal", Error: "That could not be done at the moment.", Hint: "Try again in a moment. If it stays so, tell an admin: the log of Postern says why."}, http.StatusInternalServerError
	}
	p.render(w, r, status, v, shown{"problem", "Not possible", nil}, problem)
}

func (p *Portal) render(w http.ResponseWriter, r *http.Request, status int, v *viewer, what shown, problem *Problem) {
	out := page{Title: what.title, Active: r.URL.Path, Who: v, Problem: problem, Now: p.c.Desk.Now(), Data: what.data, Done: doneTexts[r.URL.Query().Get("done")], Back: backTo(r), Alone: what.name == "problem"}
	if v != nil {
		out.CSRF, out.Nav = people.FormToken(v.session).Reveal(), p.nav(r.Context(), v)
	}
	var body bytes.Buffer
	if err := p.templates[what.name].ExecuteTemplate(&body, "layout.html", out); err != nil {
		p.c.Log.Error("portal", "page", what.name, "error", err)
		http.Error(w, "That could not be shown at the moment; the log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if _, err := w.Write(readable(body.Bytes())); err != nil {
		p.c.Log.Debug("a page was not taken", "error", err)
	}
}

// doneTexts are the only things that a link can make a page say.
var doneTexts = map[string]string{
	"asked": "Your request is on its way to the people who decide.", "taken": "You have access now.",
	"approve": "Approved. It can be ended at any time, under Grants.", "further": "Your yes counts. Somebody else has to say yes too.", "deny": "Refused. The person has been told why.", "withdraw": "Your request is withdrawn.",
	"revoke": "Ended. Open sessions are closed.", "suspend": "Paused. Resume it whenever you like.", "resume": "It goes on.",
	"confirm": "Confirmed: it is still needed.", "credential": "It no longer works.", "session": "That session is over.",
	"passkey": "The passkey is added.", "removed": "The passkey is removed. Your other sessions are over.", "proved": "Thank you: good for five minutes.",
	"role": "The role is changed; it counts from the next sign-in.", "disable": "Disabled, and signed out everywhere. Enable undoes it.",
	"view": "Kept. You find it under Your views.", "renamed": "Renamed.", "dropped": "Deleted.",
	"enable": "Enabled again.", "end": "Signed out everywhere.",
	"extended": "Your access goes on.", "away": "They decide in your place until then. Both of you have been told.", "back": "That is over. Both of you have been told.",
	"password": "Your password is changed. Your other sessions are over.",
}

func (p *Portal) nav(ctx context.Context, v *viewer) []navItem {
	waiting, err := p.waiting(ctx, v)
	if err != nil {
		p.c.Log.Error("portal", "page", "inbox", "error", err)
	}
	out := []navItem{{"/catalogue", "Catalogue", 0}, {"/mine", "My access", 0}, {"/inbox", "To decide", len(waiting)}}
	for _, more := range []struct {
		navItem
		who right
	}{
		{navItem{"/grants", "Grants", 0}, overseers},
		{navItem{"/trail", "Trail", 0}, trailReaders},
		{navItem{"/posture", "Posture", 0}, policyReaders},
		{navItem{"/discovery", "Discovery", 0}, policyReaders},
		{navItem{"/policy", "Policy", 0}, policyReaders},
		{navItem{"/people", "People", 0}, admins},
		{navItem{"/health", "Health", 0}, operators},
	} {
		if more.who(v) {
			out = append(out, more.navItem)
		}
	}
	return out
}

func parsePages() map[string]*template.Template {
	helpers := template.FuncMap{
		"left": left, "day": dayWords, "span": spanWords, "iso": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"utc":  func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
		"join": strings.Join, "percent": func(share float64) int { return int(share*100 + 0.5) }, "row": rowOf, "untilOf": untilOf, "told": told, "state": stateWord, "field": withFault, "host": hostOf, "begins": strings.HasPrefix, "never": func(t time.Time) bool { return t.IsZero() || t.Year() > 9000 },
	}
	layout := template.Must(template.New("").Funcs(helpers).ParseFS(webFiles, "web/layout.html"))
	out := map[string]*template.Template{}
	names, err := fs.Glob(webFiles, "web/*.html")
	if err != nil {
		panic(err) // a constant pattern
	}
	for _, name := range names {
		short := strings.TrimSuffix(strings.TrimPrefix(name, "web/"), ".html")
		if short != "layout" {
			out[short] = template.Must(template.Must(layout.Clone()).ParseFS(webFiles, name))
		}
	}
	return out
}

// untilOf is the time in a reason that says until when something is; zero: it says something else.
func untilOf(reason string) time.Time {
	text, _ := strings.CutPrefix(reason, "until ")
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || text == reason {
		return time.Time{}
	}
	return at
}

// hostOf is an address without its port, which says nothing to people.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// left says in words how long it is until a time.
func left(now, end time.Time) string {
	d := end.Sub(now)
	switch {
	case d <= 0:
		return "over"
	case d < time.Minute:
		return "less than a minute"
	case d < 2*time.Hour:
		return plural(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour")
	}
	return plural(int(d.Hours()/24), "day")
}

// spanWords writes a duration such as 8h in words. One of several parts stays as it is.
func spanWords(text string) string {
	for _, unit := range []struct{ short, word string }{{"mo", "month"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"}, {"w", "week"}, {"y", "year"}} {
		if number, ok := strings.CutSuffix(text, unit.short); ok {
			if n, err := strconv.Atoi(number); err == nil {
				return plural(n, unit.word)
			}
		}
	}
	return text
}
