package portal

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/secret"
)

// What the command line shows of requests and grants, by the names that it knows.
type (
	Outcome = access.Outcome
	Request = access.Request
	Grant   = access.Grant
	// Delegation lets somebody decide in another's place.
	Delegation = access.Delegation
)

// LongestStatement is how many bytes a statement that goes with a request may have.
const LongestStatement = access.LongestStatement

// Login is where somebody is logged in, as it is kept in a file that only they can read.
type Login struct {
	Server  string    `json:"server"`
	CA      string    `json:"ca,omitempty"` // file with the certificates to trust
	User    string    `json:"user,omitempty"`
	Method  string    `json:"method,omitempty"` // MethodBrowser, or "" for a password
	Token   string    `json:"token,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

// MethodBrowser is the method of somebody who signed in at a browser, and will again.
const MethodBrowser = "browser"

// Save writes a login with mode 0600, whole or not at all.
func (l Login) Save(path string) error {
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	if err := WriteOwn(path, append(text, '\n')); err != nil {
		return fmt.Errorf("keep the login: %w", err)
	}
	return nil
}

// WriteOwn writes a file that only its owner can read, whole or not at all.
func WriteOwn(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".login-*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// LoadLogin reads what Save wrote. A file that others can read is refused: the token in it is theirs already.
func LoadLogin(path string) (Login, error) {
	var l Login
	info, err := os.Stat(path)
	if err != nil {
		return l, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return l, fmt.Errorf("%s can be read by others: remove it and log in again", path)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the user's own file
	if err != nil {
		return l, err
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("%s is damaged: remove it and log in again", path)
	}
	return l, nil
}

// Client calls a portal.
type Client struct {
	login Login
	base  string // where calls go
	http  *http.Client
}

// ErrRefused is a "no" of the portal to the person, as opposed to something that went wrong.
type ErrRefused struct {
	Status  int
	Problem Problem
}

// Error implements error.
func (e *ErrRefused) Error() string { return e.Problem.Error }

// Denied says whether the person may not, as opposed to not being logged in or there being no such thing.
func (e *ErrRefused) Denied() bool { return e.Status == http.StatusForbidden }

// NewClient makes a client. Passwords and tokens go over TLS, or to this machine.
func NewClient(l Login) (*Client, error) {
	if path, ok := strings.CutPrefix(l.Server, "unix:"); ok {
		t := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}}
		return &Client{login: l, base: "http://localhost", http: &http.Client{Transport: t, Timeout: time.Minute}}, nil
	}
	u, err := url.Parse(l.Server)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%q is not the address of a portal: write https://HOST:PORT", l.Server)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("%s is plain HTTP to another machine: passwords and tokens would be read on the way", l.Server)
	}
	t := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, Proxy: http.ProxyFromEnvironment}
	if l.CA != "" {
		pem, err := os.ReadFile(l.CA)
		if err != nil {
			return nil, fmt.Errorf("read the certificates to trust: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", l.CA)
		}
	}
	refuse := func(*http.Request, []*http.Request) error {
		return errors.New("the portal sends elsewhere, which is not followed")
	}
	return &Client{login: l, base: l.Server, http: &http.Client{Transport: t, Timeout: time.Minute, CheckRedirect: refuse}}, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Path joins the parts of a call's path. What somebody typed as an id stays one part, whatever stands in it.
func Path(parts ...string) string {
	for i, s := range parts {
		parts[i] = url.PathEscape(s)
	}
	return strings.Join(parts, "/")
}

// Call makes a call and reads its answer into out.
func (c *Client) Call(ctx context.Context, method, path string, body, out any) error {
	var send io.Reader
	if method != http.MethodGet {
		if body == nil {
			body = struct{}{}
		}
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+"/api/v1/"+path, send)
	if err != nil {
		return fmt.Errorf("call the portal: %w", err)
	}
	if c.login.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.login.Token)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("call the portal at %s: %w", c.login.Server, err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("read the portal's answer: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		no := &ErrRefused{Status: answer.StatusCode}
		if json.Unmarshal(text, &no.Problem) != nil || no.Problem.Error == "" {
			return fmt.Errorf("%s answered %s: is it a portal of Postern", c.login.Server, answer.Status)
		}
		return no
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("read the portal's answer: %w", err)
	}
	return nil
}

// LogIn proves a user by password. The answer says what is left to do, if anything: Prove, or Enrol and Confirm.
func (c *Client) LogIn(ctx context.Context, user string, password secret.Text) (*LoginAnswer, error) {
	c.login.Token, c.login.Method = "", ""
	return c.step(ctx, "login", LoginCall{User: user, Password: password.Reveal()})
}

// Accept follows an invitation, as LogIn does.
func (c *Client) Accept(ctx context.Context, code, password secret.Text) (*LoginAnswer, error) {
	c.login.Token = ""
	return c.step(ctx, "login/accept", AcceptCall{Code: code.Reveal(), Password: password.Reveal()})
}

// Prove sends a second factor.
func (c *Client) Prove(ctx context.Context, code string) (*LoginAnswer, error) {
	return c.step(ctx, "login/factor", CodeCall{Code: code})
}

// Confirm ends the set-up of a second factor.
func (c *Client) Confirm(ctx context.Context, code string) (*LoginAnswer, error) {
	return c.step(ctx, "login/confirm", CodeCall{Code: code})
}

// step makes a call of a sign-in, and goes on with the token that comes of it.
func (c *Client) step(ctx context.Context, path string, call any) (*LoginAnswer, error) {
	var answer LoginAnswer
	if err := c.Call(ctx, http.MethodPost, path, call, &answer); err != nil {
		return nil, err
	}
	c.login.User, c.login.Token, c.login.Expires = answer.User, answer.Token, answer.Expires
	return &answer, nil
}

// Ways asks how people sign in there.
func (c *Client) Ways(ctx context.Context) (Ways, error) {
	var out Ways
	return out, c.Call(ctx, http.MethodGet, "login", nil, &out)
}

// Wait begins to wait for somebody at a browser. The addresses are the portal's under the name that it is called by here, where it says
// none itself.
func (c *Client) Wait(ctx context.Context, call DeviceCall) (*DeviceAnswer, error) {
	c.login.Token = ""
	var out DeviceAnswer
	if err := c.Call(ctx, http.MethodPost, "login/device", call, &out); err != nil {
		return nil, err
	}
	if strings.HasPrefix(out.Address, "/") {
		out.Address, out.Complete = c.login.Server+out.Address, c.login.Server+out.Complete
	}
	return &out, nil
}

// Redeem asks whether somebody at a browser has said yes.
func (c *Client) Redeem(ctx context.Context, call TokenCall) (*LoginAnswer, error) {
	c.login.Method = MethodBrowser
	return c.step(ctx, "login/token", call)
}

// Waits says whether a refusal means that nobody has decided yet, and whether to ask less often.
func (e *ErrRefused) Waits() (still, slower bool) {
	slower = e.Problem.Code == people.CodeSlow
	return slower || e.Problem.Code == people.CodePending, slower
}

// Login is what to keep of the last step.
func (c *Client) Login() Login { return c.login }

// GatewayOf is the host and port at which clients connect. A gateway that listens on every address is reached where the portal is.
func (c *Client) GatewayOf(address string) (host, port string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, "5432"
	}
	if a, err := netip.ParseAddr(host); err == nil && a.IsUnspecified() {
		if u, err := url.Parse(c.login.Server); err == nil {
			host = u.Hostname()
		}
	}
	return host, port
}
