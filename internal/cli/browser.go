package cli

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/portal"
)

// byBrowser says whether somebody signs in at a browser: because they said so or did so before, or because they named nobody and the
// portal has single sign-on.
func (a *app) byBrowser(ctx context.Context, c *portal.Client, l portal.Login, named, device bool) (bool, error) {
	if device || l.Method == portal.MethodBrowser && !named {
		return true, nil
	}
	if l.User != "" {
		return false, nil
	}
	ways, err := c.Ways(ctx)
	return ways.SignOn != "", explainCall(err)
}

// loginAtBrowser lets somebody say yes at a browser: at this machine's, which then calls back (RFC 8252), or with a code at any
// (RFC 8628).
func (a *app) loginAtBrowser(ctx context.Context, c *portal.Client, device bool, finish func(*portal.LoginAnswer) error) error {
	open := a.opener()
	var answer *portal.LoginAnswer
	var err error
	if device || open == nil {
		answer, err = a.waitForCode(ctx, c)
	} else {
		answer, err = a.waitForCall(ctx, c, open)
	}
	if err != nil {
		return err
	}
	return finish(answer)
}

// opener opens an address in a browser of this machine; nil: there is none. Somebody who came by SSH sits at another.
func (a *app) opener() func(address string) error {
	words := []string{"xdg-open"}
	switch {
	case a.env.Getenv("BROWSER") != "":
		words = []string{a.env.Getenv("BROWSER")}
	case a.env.Getenv("SSH_CONNECTION") != "":
		return nil
	case runtime.GOOS == "darwin":
		words = []string{"open"}
	case runtime.GOOS == "windows":
		words = []string{"rundll32", "url.dll,FileProtocolHandler"}
	case a.env.Getenv("DISPLAY") == "" && a.env.Getenv("WAYLAND_DISPLAY") == "":
		return nil
	}
	path, err := exec.LookPath(words[0])
	if err != nil {
		return nil
	}
	return func(address string) error {
		cmd := exec.Command(path, append(words[1:], address)...) //nolint:gosec,noctx // the user's own browser, which outlives us
		if err := cmd.Start(); err != nil {
			return err
		}
		go func() { _ = cmd.Wait() }()
		return nil
	}
}

// waitForCode shows a code and asks until somebody has said yes or no.
func (a *app) waitForCode(ctx context.Context, c *portal.Client) (*portal.LoginAnswer, error) {
	d, err := c.Wait(ctx, portal.DeviceCall{})
	if err != nil {
		return nil, explainCall(err)
	}
	a.ui.note("open %s in a browser and type the code %s", printable(d.Address), printable(d.UserCode))
	every := time.Duration(max(d.Interval, 1)) * time.Second
	for {
		select {
		case <-ctx.Done():
			return nil, failed("", ctx.Err())
		case <-time.After(every):
		}
		answer, err := c.Redeem(ctx, portal.TokenCall{DeviceCode: d.DeviceCode})
		var no *portal.ErrRefused
		if errors.As(err, &no) {
			if still, slower := no.Waits(); still {
				if slower {
					every += 5 * time.Second
				}
				continue
			}
		}
		return answer, explainCall(err)
	}
}

// waitForCall listens on this machine for the browser, which brings what proves that it is on this machine too.
func (a *app) waitForCall(ctx context.Context, c *portal.Client, open func(string) error) (*portal.LoginAnswer, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, failed("postern login --device", fmt.Errorf("listen for the browser: %w", err))
	}
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	d, err := c.Wait(ctx, portal.DeviceCall{Port: l.Addr().(*net.TCPAddr).Port, Challenge: base64.RawURLEncoding.EncodeToString(sum[:])}) //nolint:forcetypeassert // of a TCP listener
	if err != nil {
		return nil, errors.Join(explainCall(err), l.Close())
	}
	codes := make(chan string, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := r.URL.Query().Get("code")
		if r.Method != http.MethodGet || code == "" {
			http.NotFound(w, r)
			return
		}
		select {
		case codes <- code:
		default: // one is enough
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprintln(w, "Signed in. You may close this page and go on in the terminal.")
	})}
	go func() { _ = server.Serve(l) }()
	defer func() { _ = server.Shutdown(context.WithoutCancel(ctx)) }() // the browser gets its answer
	a.ui.note("opening %s in your browser; it should show the code %s", printable(d.Complete), printable(d.UserCode))
	if err := open(d.Complete); err != nil {
		return nil, failed("postern login --device", fmt.Errorf("open a browser: %w", err))
	}
	select {
	case code := <-codes:
		answer, err := c.Redeem(ctx, portal.TokenCall{DeviceCode: d.DeviceCode, Code: code, Verifier: verifier})
		return answer, explainCall(err)
	case <-time.After(time.Duration(d.Expires) * time.Second):
		return nil, failed("postern login", errors.New("nobody said yes in the browser in time"))
	case <-ctx.Done():
		return nil, failed("", ctx.Err())
	}
}

func (a *app) logout() *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "end this login, here and at the portal",
		Long: `Ends the session at the portal, so that a copy of its token opens nothing either, and forgets the
token. A client certificate of this login is not taken any more, sessions that came in with it are
closed, and its files are deleted. Server, user and certificates stay remembered. A portal that cannot
be reached is said so, and the token is forgotten here all the same: the session then ends by itself.`,
		Example: `  postern logout`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := portal.LoadLogin(a.loginFile())
			if errors.Is(err, fs.ErrNotExist) || err == nil && l.Token == "" {
				a.ui.note("you are not logged in")
				return nil
			}
			if err != nil {
				return failed("", err)
			}
			c, err := portal.NewClient(l)
			if err != nil {
				return failed("", err)
			}
			var none struct{}
			ended := c.Call(cmd.Context(), http.MethodPost, "logout", nil, &none)
			var no *portal.ErrRefused
			if errors.As(ended, &no) && no.Status == http.StatusUnauthorized {
				ended = nil // it was over already
			}
			l.Token, l.Expires = "", time.Time{}
			if err := a.certificateFiles().remove(); err != nil {
				return failed("", fmt.Errorf("remove the client certificate: %w", err))
			}
			if err := l.Save(a.loginFile()); err != nil {
				return failed("rm "+a.loginFile(), err)
			}
			if ended != nil {
				return failed("", fmt.Errorf("the token is forgotten here, and may live on at the portal: %w", ended))
			}
			a.ui.note("logged out")
			return nil
		},
	}
}
