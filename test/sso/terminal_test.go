package sso_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/postern-sec/postern/test/provider"
	"github.com/postern-sec/postern/test/site"
)

// terminal is somebody's terminal: a folder of its own, and a login file.
type terminal struct {
	p       *place
	program string
	env     []string
	login   string
}

func (p *place) terminal() *terminal {
	p.t.Helper()
	dir := p.t.TempDir()
	out := &terminal{p: p, program: filepath.Join(dir, "postern"), login: filepath.Join(dir, "login.json")}
	out.env = append(os.Environ(), site.Command(p.t, dir), "POSTERN_LOGIN="+out.login, "NO_COLOR=1", "BROWSER=", "DISPLAY=", "WAYLAND_DISPLAY=", "SSH_CONNECTION=")
	return out
}

// typed is what a running command has shown so far.
type typed struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *typed) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *typed) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs a command; the result waits for it and returns its exit code.
func (c *terminal) start(shown *typed, args ...string) (wait func() int) {
	c.p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	cmd := exec.CommandContext(ctx, c.program, args...) //nolint:gosec // the test binary
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, shown, shown
	if err := cmd.Start(); err != nil {
		c.p.t.Fatal(err)
	}
	return func() int {
		defer cancel()
		_ = cmd.Wait() // its exit code says it
		return cmd.ProcessState.ExitCode()
	}
}

func (c *terminal) run(args ...string) (code int, shown string) {
	c.p.t.Helper()
	var b typed
	code = c.start(&b, args...)()
	return code, b.String()
}

// browser opens an address as somebody who may have to sign in first, and returns the page where that ends.
func browser(t *testing.T, client *http.Client, address string, form url.Values) (page string, at *url.URL) {
	t.Helper()
	method, body := http.MethodGet, io.Reader(http.NoBody)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	q, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a, err := client.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Body.Close() }()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), a.Request.URL
}

var (
	csrf = regexp.MustCompile(`name="csrf" value="([0-9a-f]+)"`)
	code = regexp.MustCompile(`name="code" value="([A-Z]{4}-[A-Z]{4})"`)
	back = regexp.MustCompile(`url=(http://127\.0\.0\.1:\d+/\?code=postern_\w+)`)
)

// sayYes opens the page of a terminal in a new browser, signs in on the way, and decides.
func (p *place) sayYes(address, decision string) (page string, client *http.Client) {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	client = &http.Client{Jar: jar, Timeout: patience}
	if _, at := browser(p.t, client, address, nil); at.Path != "/sign-in" {
		p.t.Errorf("nobody is signed in, and the page is %s", at)
	}
	page, at := browser(p.t, client, p.portal.URL+"/sign-in/sso", nil)
	if at.Path != "/device" {
		p.t.Fatalf("after the sign-in the page is %s", at)
	}
	token, number := csrf.FindStringSubmatch(page), code.FindStringSubmatch(page)
	if token == nil || number == nil || !strings.Contains(page, "<strong>127.0.0.1</strong>") {
		p.t.Fatalf("the page does not ask:\n%s", page)
	}
	if page, _ := browser(p.t, client, p.portal.URL+"/device", url.Values{"code": {number[1]}, "decision": {"yes"}}); !strings.Contains(page, "so that nothing was done") {
		p.t.Errorf("without the form's token:\n%s", page)
	}
	page, _ = browser(p.t, client, p.portal.URL+"/device", url.Values{"csrf": {token[1]}, "code": {number[1]}, "decision": {decision}})
	return page, client
}

// TestLoginAtABrowser plays postern login by a code, postern login with a browser of the same machine, and postern logout.
func TestLoginAtABrowser(t *testing.T) {
	t.Parallel()
	idp := provider.Start(t)
	idp.As, idp.Users["u1"] = "u1", map[string]any{"email": "cleo@example.com", "email_verified": true, "groups": []string{"g-staff"}}
	p := newPlace(t, func(redirect string) string {
		idp.Redirect = redirect
		return idp.URL
	})
	c := p.terminal()
	p.byCode(c)
	p.byCall(c)
	// A copy of the token is worth nothing after the logout.
	copied, err := os.ReadFile(c.login)
	if err != nil {
		t.Fatal(err)
	}
	if code, shown := c.run("logout"); code != 0 || !strings.Contains(shown, "logged out") {
		t.Errorf("logout: exit %d\n%s", code, shown)
	}
	if code, shown := c.run("grants"); code != 2 || !strings.Contains(shown, "not logged in") {
		t.Errorf("after the logout: exit %d\n%s", code, shown)
	}
	if err := os.WriteFile(c.login, copied, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, shown := c.run("grants"); code != 2 || !strings.Contains(shown, "not logged in") {
		t.Errorf("with a copy of the token: exit %d\n%s", code, shown)
	}
	if code, shown := c.run("logout"); code != 0 {
		t.Errorf("logout of what is over: exit %d\n%s", code, shown)
	}
}

// byCode signs a terminal in by a code that somebody types at another machine's browser.
func (p *place) byCode(c *terminal) {
	p.t.Helper()
	var shown typed
	wait := c.start(&shown, "login", "--server", p.portal.URL, "--device")
	open := regexp.MustCompile(`open (\S+) in a browser and type the code (\S+)`)
	eventually(p.t, "the terminal shows a code", func() bool { return open.MatchString(shown.String()) })
	m := open.FindStringSubmatch(shown.String())
	if m[1] != p.portal.URL+"/device" {
		p.t.Errorf("to be opened: %s", m[1])
	}
	if page, _ := p.sayYes(m[1]+"?code="+m[2], "yes"); !strings.Contains(page, "The terminal is signed in") || back.MatchString(page) {
		p.t.Errorf("after yes:\n%s", page)
	}
	if code := wait(); code != 0 || !strings.Contains(shown.String(), "logged in as cleo@example.com") {
		p.t.Errorf("exit %d\n%s", code, shown.String())
	}
	if code, out := c.run("run", "--store", "shop", "psql", "-XAtc", "SELECT count(*) FROM a"); code != 0 || out != "2\n" {
		p.t.Errorf("psql: exit %d\n%s", code, out)
	}
	var turned typed
	wait = c.start(&turned, "login", "--device")
	eventually(p.t, "the terminal shows a code", func() bool { return open.MatchString(turned.String()) })
	m = open.FindStringSubmatch(turned.String())
	if page, _ := p.sayYes(m[1]+"?code="+m[2], "no"); !strings.Contains(page, "turned away") {
		p.t.Errorf("after no:\n%s", page)
	}
	if code := wait(); code != 1 || !strings.Contains(turned.String(), "said no") {
		p.t.Errorf("exit %d\n%s", code, turned.String())
	}
}

// byCall signs a terminal in by the browser that it opens. The browser is a program that writes down the address.
func (p *place) byCall(c *terminal) {
	p.t.Helper()
	dir := p.t.TempDir()
	opened := filepath.Join(dir, "opened")
	program := filepath.Join(dir, "browser")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf %s \"$1\" > "+opened+".new && mv "+opened+".new "+opened+"\n"), 0o700); err != nil { //nolint:gosec // it is run
		p.t.Fatal(err)
	}
	with := *c
	with.env = append(append([]string{}, c.env...), "BROWSER="+program)
	var shown typed
	wait := with.start(&shown, "login")
	eventually(p.t, "the browser is opened", func() bool { _, err := os.Stat(opened); return err == nil })
	address, err := os.ReadFile(opened) //nolint:gosec // our own file
	if err != nil {
		p.t.Fatal(err)
	}
	page, client := p.sayYes(string(address), "yes")
	m := back.FindStringSubmatch(page)
	if m == nil {
		p.t.Fatalf("the page does not lead back to the terminal:\n%s", page)
	}
	if page, _ := browser(p.t, client, m[1], nil); !strings.Contains(page, "go on in the terminal") {
		p.t.Errorf("the terminal answers the browser:\n%s", page)
	}
	if code := wait(); code != 0 || !strings.Contains(shown.String(), "logged in as cleo@example.com") {
		p.t.Errorf("exit %d\n%s", code, shown.String())
	}
	if code, shown := c.run("grants"); code != 0 {
		p.t.Errorf("grants: exit %d\n%s", code, shown)
	}
}
