package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// browser is somebody at the portal's pages: it keeps cookies and sends forms as they stand on a page.
type browser struct {
	http *http.Client
	home string
}

var (
	hidden   = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)
	toDecide = regexp.MustCompile(`action="(/requests/[^/"]+/approve)"`)
	toEnd    = regexp.MustCompile(`action="(/grants/[^/"]+/revoke)"`)
)

// pageLimit bounds what is read of a page.
const pageLimit = 4 << 20

// browse signs somebody in.
func (s *site) browse(ctx context.Context, who string) (*browser, error) {
	pem, err := os.ReadFile(filepath.Join(s.folder, "tls", "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the demo's certificate: %w", err)
	}
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(pem)
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
	b := &browser{&http.Client{Jar: jar, Timeout: time.Minute, Transport: transport}, "https://" + s.portal.String()}
	text, err := b.do(ctx, http.MethodPost, "/sign-in", url.Values{"user": {who}, "password": {s.passwords[who].Reveal()}})
	if err == nil && !strings.Contains(text, `action="/sign-out"`) {
		err = errors.New("the portal asks for more than a password")
	}
	if err != nil {
		return nil, fmt.Errorf("%s signs in: %w", who, err)
	}
	return b, nil
}

// do makes a call and returns the page that comes of it.
func (b *browser) do(ctx context.Context, method, path string, form url.Values) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, b.home+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := b.http.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, pageLimit))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", method, path, answer.Status)
	}
	return string(text), err
}

// send opens a page, and sends its form with what is hidden in it.
func (b *browser) send(ctx context.Context, page string, form url.Values) error {
	return b.sendTo(ctx, page, page, form)
}

func (b *browser) sendTo(ctx context.Context, page, action string, form url.Values) error {
	text, err := b.do(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	for _, f := range hidden.FindAllStringSubmatch(text, -1) {
		form.Set(f[1], f[2])
	}
	_, err = b.do(ctx, http.MethodPost, action, form)
	return err
}

// press finds the first form of a page that goes where pattern says, and sends it.
func (b *browser) press(ctx context.Context, page string, pattern *regexp.Regexp, form url.Values) error {
	text, err := b.do(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	at := pattern.FindStringSubmatch(text)
	if at == nil {
		return fmt.Errorf("nothing on %s can be done", page)
	}
	return b.sendTo(ctx, page, at[1], form)
}

func (t *stage) pages(ctx context.Context) error {
	const sql = "SELECT count(employee) FROM payroll"
	ana, err := t.browse(ctx, "ana")
	if err != nil {
		return err
	}
	dora, err := t.browse(ctx, "dora")
	if err != nil {
		return err
	}
	if _, err := ana.do(ctx, http.MethodGet, "/trail", nil); err == nil {
		return errors.New("ana may read the trail")
	}
	t.print("   ana asks at /ask/payroll-review\n")
	if err := ana.send(ctx, "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {"quarterly report"}}); err != nil {
		return err
	}
	if err := ana.press(ctx, "/inbox", toDecide, url.Values{}); err == nil {
		return errors.New("ana decides about her own request")
	}
	t.print("   dora approves at /inbox\n")
	if err := dora.press(ctx, "/inbox", toDecide, url.Values{}); err != nil {
		return err
	}
	n, err := t.one(ctx, "ana", sql)
	if err != nil {
		return err
	}
	t.print("   ana=> %s   -- %s\n   dora ends it at /grants\n", sql, n)
	if err := dora.press(ctx, "/grants?q=ana", toEnd, url.Values{"note": {"done"}}); err != nil {
		return err
	}
	return t.refuses(ctx, "ana", sql, "42501", "postern request staff")
}
