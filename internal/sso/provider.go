package sso

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	answerLimit = 1 << 20 // bytes of one answer
	askLimit    = 10 * time.Second
)

// errAway says that the provider answered with an error of its own.
var errAway = errors.New("the provider is out of order")

// NewHTTPClient makes a client for a provider: TLS 1.2 at least, answers of bounded size and time, no redirect followed. ca is a file
// with the certificates to trust, "" for the system's.
func NewHTTPClient(ca string) (*http.Client, error) {
	t := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, Proxy: http.ProxyFromEnvironment}
	if ca != "" {
		pem, err := os.ReadFile(ca) //nolint:gosec // the policy file names it
		if err != nil {
			return nil, fmt.Errorf("read the certificates to trust: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", ca)
		}
	}
	return &http.Client{
		Transport: bounded{t}, Timeout: askLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("the provider sends elsewhere, which is not followed")
		},
	}, nil
}

// bounded cuts answers off, and makes an error of those that say that the provider is out of order.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(q *http.Request) (*http.Response, error) {
	a, err := b.RoundTripper.RoundTrip(q)
	if err != nil {
		return nil, err
	}
	if a.StatusCode >= http.StatusInternalServerError || a.StatusCode == http.StatusTooManyRequests {
		_ = a.Body.Close()
		return nil, fmt.Errorf("%w: %s", errAway, a.Status)
	}
	a.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(a.Body, answerLimit), a.Body}
	return a, nil
}

// isAway says whether the provider could not be asked, as opposed to an answer that is wrong.
func isAway(err error) bool {
	var u *url.Error
	return errors.As(err, &u) || errors.Is(err, errAway)
}

// metadata is what the provider says of itself.
type metadata struct {
	at       time.Time
	provider *oidc.Provider
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
	names    bool // it says in its answers who it is (RFC 9207)
}

// about asks the provider about itself, at most every hour.
func (r *RelyingParty) about(ctx context.Context) (*metadata, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.c.Now()
	if r.meta != nil && now.Sub(r.meta.at) < metaLife && !now.Before(r.meta.at) {
		return r.meta, nil
	}
	if r.meta == nil && now.Before(r.until) {
		return nil, r.broken
	}
	p, err := oidc.NewProvider(oidc.ClientContext(ctx, r.c.HTTP), r.c.Issuer)
	if err != nil {
		if r.meta != nil {
			return r.meta, nil // what it said before does until it can be asked
		}
		r.broken, r.until = err, now.Add(pause)
		return nil, err
	}
	var more struct {
		Keys    string   `json:"jwks_uri"`
		Methods []string `json:"token_endpoint_auth_methods_supported"`
		Names   bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := p.Claims(&more); err != nil {
		return nil, fmt.Errorf("read what the provider says of itself: %w", err)
	}
	at := p.Endpoint()
	at.AuthStyle = oauth2.AuthStyleInHeader
	if r.c.Secret.Reveal() == "" || len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		at.AuthStyle = oauth2.AuthStyleInParams
	}
	for _, u := range []string{at.AuthURL, at.TokenURL, more.Keys} {
		if err := sameTransport(r.c.Issuer, u); err != nil {
			return nil, err
		}
	}
	m := &metadata{at: now, provider: p, names: more.Names}
	m.oauth = oauth2.Config{ClientID: r.c.Client, ClientSecret: r.c.Secret.Reveal(), Endpoint: at, RedirectURL: r.c.Redirect, Scopes: r.c.Scopes}
	// Issuer, audience and times are checked in claims.go: exactly, and with our bound on clocks that differ.
	m.verifier = oidc.NewVerifier(r.c.Issuer, &keys{r: r, url: more.Keys}, &oidc.Config{
		SupportedSigningAlgs: r.c.Algorithms, SkipClientIDCheck: true, SkipExpiryCheck: true, SkipIssuerCheck: true,
	})
	r.meta = m
	return m, nil
}

// sameTransport refuses an address in the clear of a provider that is reached over TLS.
func sameTransport(issuer, address string) error {
	i, err1 := url.Parse(issuer)
	a, err2 := url.Parse(address)
	if err1 != nil || err2 != nil || a.Host == "" || i.Scheme == "https" && a.Scheme != "https" {
		return fmt.Errorf("the provider names %q, which is no address to send secrets to", address)
	}
	return nil
}

// keys are the provider's. They are fetched when a token names one that is not known, and anew after a while, so that a key that
// was withdrawn signs nothing for longer.
type keys struct {
	r   *RelyingParty
	url string
	mu  sync.Mutex
	at  time.Time
	set *oidc.RemoteKeySet
}

var _ oidc.KeySet = (*keys)(nil)

// VerifySignature implements oidc.KeySet.
func (k *keys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	k.mu.Lock()
	if now := k.r.c.Now(); k.set == nil || now.Sub(k.at) >= keysLife || now.Before(k.at) {
		// The set outlives the call that made it: its client has limits of its own.
		k.set, k.at = oidc.NewRemoteKeySet(oidc.ClientContext(context.Background(), k.r.c.HTTP), k.url), now
	}
	set := k.set
	k.mu.Unlock()
	return set.VerifySignature(ctx, token)
}
