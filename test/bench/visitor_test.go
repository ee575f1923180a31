package bench

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/pgtest"
)

// joinPassword is what people choose who follow an invitation.
const joinPassword = "four plain words here"

// visitor is one person with a browser: a connection, cookies, and what to look at.
type visitor struct {
	o      *office
	name   string
	role   string   // of the account; "analyst" and "owner" have none
	asks   []string // the areas that somebody may ask for
	client *http.Client
	random *rand.Rand
	form   string // the token of the last page's forms
	last   string // the last page
}

// kind is a page that people open, and how often those do who may.
type kind struct {
	name   string
	weight map[string]int // by role; "*": everybody else
	path   func(v *visitor) string
	heads  string                      // what its heading begins with
	fields func(v *visitor) url.Values // not nil: it is a form that is sent
}

func fixed(path string) func(*visitor) string { return func(*visitor) string { return path } }

// oneOf is a path with one of some ends.
func oneOf(path string, ends ...string) func(*visitor) string {
	return func(v *visitor) string { return path + ends[v.random.IntN(len(ends))] }
}

func anyDataset(v *visitor) string { return "/datasets/" + area(v.random.IntN(v.o.areas)) }

// asking is the form for one of the areas that somebody may ask for.
func (v *visitor) asking() string { return "/ask/" + v.asks[v.random.IntN(len(v.asks))] + "-ask" }

func kinds() []kind {
	return []kind{
		{name: "catalogue", weight: map[string]int{"*": 20, "analyst": 30}, path: fixed("/catalogue"), heads: "Catalogue"},
		{name: "catalogue, searched", weight: map[string]int{"*": 5, "analyst": 15}, path: oneOf("/catalogue?q=", "email", "area1", "iban", "owner00"), heads: "Catalogue"},
		{name: "dataset", weight: map[string]int{"*": 15, "analyst": 30, "owner": 20}, path: anyDataset, heads: "area"},
		{name: "ask", weight: map[string]int{"analyst": 6}, path: (*visitor).asking, heads: "Ask for"},
		{name: "my access", weight: map[string]int{"*": 4, "analyst": 12}, path: fixed("/mine"), heads: "My access"},
		{name: "connect", weight: map[string]int{"*": 1, "analyst": 5}, path: fixed("/connect"), heads: "Connect"},
		{name: "account", weight: map[string]int{"*": 2}, path: fixed("/account"), heads: "Account and security"},
		{name: "to decide", weight: map[string]int{"owner": 25}, path: fixed("/inbox"), heads: "To decide"},
		{name: "grants", weight: map[string]int{"owner": 10, "auditor": 10, "admin": 5}, path: oneOf("/grants", "", "?all=1"), heads: "Grants"},
		{name: "trail", weight: map[string]int{"auditor": 25, "admin": 8}, path: oneOf("/trail", "", "?verdict=refuse", "?kind=request.*", "?subject=analyst001"), heads: "Trail"},
		{name: "session", weight: map[string]int{"auditor": 8}, path: (*visitor).session, heads: "One session"},
		{name: "policy", weight: map[string]int{"editor": 15, "reader": 10, "auditor": 5, "admin": 5}, path: oneOf("/policy", "", "?q=area03"), heads: "Policy"},
		{name: "posture", weight: map[string]int{"editor": 10, "reader": 15, "auditor": 5, "admin": 5}, path: oneOf("/posture", "", "?severity=high"), heads: "Posture"},
		{name: "discovery", weight: map[string]int{"editor": 15, "reader": 10, "auditor": 5, "admin": 5}, path: oneOf("/discovery", "", "?all=1"), heads: "Discovery"},
		{name: "explain", weight: map[string]int{"editor": 3, "reader": 3}, path: fixed("/explain"), heads: "Explain a query", fields: question},
		{name: "people", weight: map[string]int{"admin": 10}, path: fixed("/people"), heads: "People"},
		{name: "health", weight: map[string]int{"reader": 5, "admin": 5}, path: fixed("/health"), heads: "Health"},
	}
}

// question is a statement to explain, each a different text.
func question(v *visitor) url.Values {
	a := area(v.random.IntN(v.o.areas))
	return url.Values{
		"as": {fmt.Sprintf("analyst%03d", v.random.IntN(v.o.analysts))}, "store": {v.o.DB.Name},
		"sql": {fmt.Sprintf("SELECT name, email FROM %s.table00 WHERE id = '%d'", a, v.random.IntN(1000))},
	}
}

var timelines = regexp.MustCompile(`/trail/sessions/[^"]+`)

// session is one that the last page linked to, if it did.
func (v *visitor) session() string {
	if found := timelines.FindAllString(v.last, -1); len(found) > 0 {
		return found[v.random.IntN(len(found))]
	}
	return "/trail/sessions/none"
}

// weightFor is how often somebody opens a page of a kind.
func (k kind) weightFor(role string) int {
	if w, ok := k.weight[role]; ok {
		return w
	}
	return k.weight["*"]
}

func (o *office) newVisitor(t testing.TB, name, role string) *visitor {
	t.Helper()
	ca, err := os.ReadFile(o.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Fatal("the certificate of the gateway cannot be read")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxConnsPerHost: 1, IdleConnTimeout: time.Minute}
	t.Cleanup(transport.CloseIdleConnections)
	seed := uint64(len(name))
	for _, c := range name {
		seed = seed*31 + uint64(c)
	}
	return &visitor{o: o, name: name, role: role, client: &http.Client{Transport: transport, Jar: jar, Timeout: time.Minute}, random: rand.New(rand.NewPCG(seed, 1))}
}

var formToken = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// send makes one call as a browser would, and returns the page at the end of it.
func (v *visitor) send(ctx context.Context, path string, fields url.Values) (status int, text string, err error) {
	method, body := http.MethodGet, io.Reader(nil)
	if fields != nil {
		method, body = http.MethodPost, strings.NewReader(fields.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, v.o.portal+path, body)
	if err != nil {
		return 0, "", err
	}
	if fields != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", v.o.portal)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	answer, err := v.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, "", err
	}
	if m := formToken.FindSubmatch(all); m != nil {
		v.form = string(m[1])
	}
	return answer.StatusCode, string(all), nil
}

var heading = regexp.MustCompile(`<h1>([^<]*)`)

// page is send for a page that has to come, with the heading that it has to have and its reader's name.
func (v *visitor) page(ctx context.Context, path, head string, fields url.Values) error {
	status, text, err := v.send(ctx, path, fields)
	if err != nil {
		return err
	}
	v.last = text
	m := heading.FindStringSubmatch(text)
	switch {
	case status != http.StatusOK:
		return fmt.Errorf("%s: %s: %d", v.name, path, status)
	case m == nil || !strings.HasPrefix(m[1], head):
		return fmt.Errorf("%s: %s: the page is %q and not %q", v.name, path, m, head)
	case strings.Contains(text, `role="alert"`):
		return fmt.Errorf("%s: %s: the page complains", v.name, path)
	case !strings.Contains(text, ">"+v.name) && !strings.Contains(text, `class="outside"`):
		return fmt.Errorf("%s: %s: the page is not this reader's", v.name, path)
	case !strings.HasSuffix(strings.TrimSpace(text), "</html>"):
		return fmt.Errorf("%s: %s: the page is cut off", v.name, path)
	}
	return nil
}

// signIn goes in by name and password, and fetches what a browser then keeps.
func (v *visitor) signIn(ctx context.Context) error {
	if err := v.page(ctx, "/sign-in", "Sign in", nil); err != nil {
		return err
	}
	if err := v.page(ctx, "/sign-in", "Catalogue", url.Values{"user": {v.name}, "password": {pgtest.PasswordOf(sharedName)}}); err != nil {
		return err
	}
	return v.assets(ctx)
}

func (v *visitor) assets(ctx context.Context) error {
	for path, want := range map[string]string{"style.css": ":root", "portal.js": "use strict", "icon.svg": "<svg"} {
		status, text, err := v.send(ctx, "/assets/"+path, nil)
		if err != nil || status != http.StatusOK || !strings.Contains(text, want) {
			return errors.Join(err, fmt.Errorf("%s: %s: %d", v.name, path, status))
		}
	}
	return nil
}

var enrolKey = regexp.MustCompile(`<code class="key">([A-Z2-7]+)</code>`)

// join follows an invitation through the pages, to the end with a second factor.
func (v *visitor) join(ctx context.Context, code string) error {
	if err := v.page(ctx, "/join", "Welcome", nil); err != nil {
		return err
	}
	if err := v.page(ctx, "/join", "Set up a second factor", url.Values{"code": {code}, "password": {joinPassword}}); err != nil {
		return err
	}
	if err := v.page(ctx, "/sign-in/enrol", "Add Postern", url.Values{}); err != nil {
		return err
	}
	m := enrolKey.FindStringSubmatch(v.last)
	if m == nil {
		return fmt.Errorf("%s: no key is shown", v.name)
	}
	now, err := oneTime(m[1])
	if err != nil {
		return err
	}
	if err := v.page(ctx, "/sign-in/confirm", "Keep these", url.Values{"code": {now}}); err != nil {
		return err
	}
	return v.assets(ctx)
}

// oneTime is what an authenticator shows now.
func oneTime(seed string) (string, error) {
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(seed)
	if err != nil {
		return "", err
	}
	var m [8]byte
	binary.BigEndian.PutUint64(m[:], uint64(time.Now().Unix()/30))
	h := hmac.New(sha1.New, key)
	h.Write(m[:])
	sum := h.Sum(nil)
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[sum[19]&15:])&0x7fffffff)%1_000_000), nil
}

var oneTimeLink = regexp.MustCompile(`id="link">([^<]+)<`)

// visitors signs everybody in: root first, who invites those with a role.
func (o *office) visitors(t testing.TB) []*visitor {
	t.Helper()
	ctx := t.Context()
	code := regexp.MustCompile(`"code": ?"([^"]+)"`).FindStringSubmatch(o.Must(t, "user", "create", "root", "--admin", "--format", "json"))
	if code == nil {
		t.Fatal("postern user create --format json prints no code")
	}
	o.root = o.newVisitor(t, "root", "admin")
	if err := o.root.join(ctx, code[1]); err != nil {
		t.Fatal(err)
	}
	out := []*visitor{o.root}
	for role, n := range o.roles {
		for _, name := range names(role, n) {
			if role == "admin" && len(out) > 0 && name == "admin000" {
				continue // that is root
			}
			out = append(out, o.invited(ctx, t, name, role))
		}
	}
	var all []*visitor
	for i, name := range names("analyst", o.analysts) {
		v := o.newVisitor(t, name, "analyst")
		v.asks = o.askable(i)
		all = append(all, v)
	}
	for _, name := range names("owner", o.owners) {
		all = append(all, o.newVisitor(t, name, "owner"))
	}
	together(t, all, func(v *visitor) error { return v.signIn(ctx) })
	o.ask(ctx, t, all[:o.analysts])
	return append(out, all...)
}

func (o *office) invited(ctx context.Context, t testing.TB, name, role string) *visitor {
	t.Helper()
	if err := o.root.page(ctx, "/people", "People", nil); err != nil {
		t.Fatal(err)
	}
	if err := o.root.page(ctx, "/people", "People", url.Values{"csrf": {o.root.form}, "name": {name}, "role": {role}}); err != nil {
		t.Fatal(err)
	}
	m := oneTimeLink.FindStringSubmatch(o.root.last)
	if m == nil {
		t.Fatalf("no link for %s", name)
	}
	_, code, _ := strings.Cut(html.UnescapeString(m[1]), "#")
	v := o.newVisitor(t, name, role)
	if err := v.join(ctx, code); err != nil {
		t.Fatal(err)
	}
	return v
}

// ask leaves requests for the owners to decide, by the form.
func (o *office) ask(ctx context.Context, t testing.TB, analysts []*visitor) {
	t.Helper()
	for i := range o.waiting {
		v := analysts[i%len(analysts)]
		if i/len(analysts) >= len(v.asks) {
			t.Fatalf("%s may not ask for %d areas", v.name, i/len(analysts)+1)
		}
		path := "/ask/" + v.asks[i/len(analysts)] + "-ask"
		if err := v.page(ctx, path, "Ask for", nil); err != nil {
			t.Fatal(err)
		}
		key := regexp.MustCompile(`name="key" value="([^"]+)"`).FindStringSubmatch(v.last)
		if err := v.page(ctx, path, "My access", url.Values{"csrf": {v.form}, "key": {key[1]}, "for": {"1h"}, "note": {"Numbers for the quarterly report"}}); err != nil {
			t.Fatal(err)
		}
	}
}

// together does something for some at a time.
func together(t testing.TB, all []*visitor, do func(*visitor) error) {
	t.Helper()
	turns := make(chan *visitor)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for v := range turns {
				if err := do(v); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, v := range all {
		turns <- v
	}
	close(turns)
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// look opens a page of a kind and returns how long it took from the click to the last byte.
func (v *visitor) look(ctx context.Context, k kind) (time.Duration, error) {
	path, fields := k.path(v), url.Values(nil)
	if k.fields != nil {
		// The form stands on a page of its own, which is not what is measured.
		if err := v.page(ctx, path, k.heads, nil); err != nil {
			return 0, err
		}
		fields = k.fields(v)
		fields.Set("csrf", v.form)
	}
	began := time.Now()
	err := v.page(ctx, path, k.heads, fields)
	return time.Since(began), err
}

// choose is what somebody opens next.
func (v *visitor) choose(all []kind) kind {
	total := 0
	for _, k := range all {
		total += k.weightFor(v.role)
	}
	n := v.random.IntN(total)
	for _, k := range all {
		if n -= k.weightFor(v.role); n < 0 {
			return k
		}
	}
	return all[0]
}
