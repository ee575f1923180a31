// Package provider is an identity provider for tests: OpenID Connect with codes, PKCE, refresh tokens that rotate, and keys that
// change. It is stricter than most, so that what a client leaves out or does twice shows; and it does wrong on demand.
package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the provider knows its only client by.
const (
	Client = "postern"
	Secret = "a client's secret"
)

// Provider is a running provider. Its fields may be changed between requests, under Lock.
type Provider struct {
	sync.Mutex
	URL      string
	Redirect string // the only address that browsers are sent back to
	Now      func() time.Time

	Users map[string]map[string]any // claims by subject
	As    string                    // whose browser it is: the subject

	Down       bool
	NoRefresh  bool // no refresh tokens
	NoToken    bool // no ID token with a refresh
	InUserinfo bool // e-mail and groups are in the userinfo alone
	// Alter changes a token's header and claims before it is signed.
	Alter func(header, claims map[string]any)
	// Slow is called in the middle of a refresh.
	Slow func()

	Refreshes int // that succeeded
	Reused    int // refresh tokens that came a second time

	keys   []key
	codes  map[string]code
	tokens map[string]*family // by refresh token, used ones too
	access map[string]string  // subject by access token
}

type key struct {
	id      string
	private *ecdsa.PrivateKey
}

type code struct{ subject, nonce, challenge, redirect string }

// family is what came of one sign-in.
type family struct {
	subject string
	current string
	over    bool
}

// Start runs a provider until the test ends.
func Start(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{
		Now: time.Now, Users: map[string]map[string]any{}, codes: map[string]code{}, tokens: map[string]*family{}, access: map[string]string{},
	}
	p.Rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.about)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.userinfo)
	mux.HandleFunc("GET /keys", p.keySet)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.Lock()
		down := p.Down
		p.Unlock()
		if down {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Rotate signs with a new key from now on. The old ones are no longer published.
func (p *Provider) Rotate() {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	p.keys = append(p.keys, key{text(6), k})
}

// End ends everything that came of a subject's sign-ins, as when an account is disabled.
func (p *Provider) End(subject string) {
	p.Lock()
	defer p.Unlock()
	for _, f := range p.tokens {
		f.over = f.over || f.subject == subject
	}
}

func text(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // who hangs up has no use for it
}

func refuse(w http.ResponseWriter, why string) {
	answer(w, http.StatusBadRequest, map[string]string{"error": why})
}

func (p *Provider) about(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "userinfo_endpoint": p.URL + "/userinfo",
		"jwks_uri": p.URL + "/keys", "response_types_supported": []string{"code"}, "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic"}, "authorization_response_iss_parameter_supported": true,
	})
}

func (p *Provider) keySet(w http.ResponseWriter, _ *http.Request) {
	p.Lock()
	defer p.Unlock()
	k := p.keys[len(p.keys)-1]
	point, err := k.private.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	answer(w, http.StatusOK, map[string]any{"keys": []any{map[string]string{
		"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": k.id, "x": b64(point[1:33]), "y": b64(point[33:]),
	}}})
}

// authorize is the page where somebody signs in; whoever As says has done so already.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.Lock()
	defer p.Unlock()
	for name, want := range map[string]string{"client_id": Client, "redirect_uri": p.Redirect, "response_type": "code", "code_challenge_method": "S256"} {
		if q.Get(name) != want {
			http.Error(w, fmt.Sprintf("%s is %q, not %q", name, q.Get(name), want), http.StatusBadRequest)
			return
		}
	}
	if len(q.Get("state")) < 16 || len(q.Get("nonce")) < 16 || len(q.Get("code_challenge")) != 43 || !slices.Contains(strings.Fields(q.Get("scope")), "openid") {
		http.Error(w, "state, nonce, code_challenge or scope is missing or short", http.StatusBadRequest)
		return
	}
	to := url.Values{"state": {q.Get("state")}, "iss": {p.URL}}
	if p.Users[p.As] == nil {
		to.Set("error", "access_denied")
	} else {
		c := text(16)
		p.codes[c] = code{p.As, q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri")}
		to.Set("code", c)
	}
	http.Redirect(w, r, p.Redirect+"?"+to.Encode(), http.StatusFound)
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	if id, _ = url.QueryUnescape(id); !ok || id != Client {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	if secret, _ = url.QueryUnescape(secret); secret != Secret {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		p.byCode(w, r)
	case "refresh_token":
		p.byRefresh(w, r)
	default:
		refuse(w, "unsupported_grant_type")
	}
}

func (p *Provider) byCode(w http.ResponseWriter, r *http.Request) {
	p.Lock()
	defer p.Unlock()
	c, ok := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !ok || c.redirect != r.PostFormValue("redirect_uri") || base64.RawURLEncoding.EncodeToString(sum[:]) != c.challenge {
		refuse(w, "invalid_grant")
		return
	}
	out := p.give(&family{subject: c.subject})
	out["id_token"] = p.idToken(c.subject, c.nonce)
	answer(w, http.StatusOK, out)
}

// byRefresh takes a refresh token, once. One that comes again ends all that came of its sign-in.
func (p *Provider) byRefresh(w http.ResponseWriter, r *http.Request) {
	p.Lock()
	f := p.tokens[r.PostFormValue("refresh_token")]
	slow := p.Slow
	if f != nil && !f.over && f.current != r.PostFormValue("refresh_token") {
		p.Reused++
		f.over = true
	}
	if f == nil || f.over {
		p.Unlock()
		refuse(w, "invalid_grant")
		return
	}
	out := p.give(f)
	p.Unlock()
	if slow != nil {
		slow()
	}
	p.Lock()
	defer p.Unlock()
	p.Refreshes++
	if !p.NoToken {
		out["id_token"] = p.idToken(f.subject, "")
	}
	answer(w, http.StatusOK, out)
}

func (p *Provider) give(f *family) map[string]any {
	access := text(16)
	p.access[access] = f.subject
	out := map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": 60}
	if !p.NoRefresh {
		f.current = text(16)
		p.tokens[f.current] = f
		out["refresh_token"] = f.current
	}
	return out
}

func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.Lock()
	defer p.Unlock()
	subject, ok := p.access[token]
	if !ok {
		answer(w, http.StatusUnauthorized, map[string]string{"error": "invalid_token"})
		return
	}
	out := map[string]any{"sub": subject}
	if p.InUserinfo {
		maps.Copy(out, p.Users[subject])
	}
	answer(w, http.StatusOK, out)
}

// idToken is a token about somebody, signed with the newest key, unless Alter says otherwise.
func (p *Provider) idToken(subject, nonce string) string {
	now, k := p.Now(), p.keys[len(p.keys)-1]
	claims := map[string]any{"iss": p.URL, "sub": subject, "aud": Client, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if !p.InUserinfo {
		maps.Copy(claims, p.Users[subject])
	}
	header := map[string]any{"alg": "ES256", "kid": k.id, "typ": "JWT"}
	if p.Alter != nil {
		p.Alter(header, claims)
	}
	return p.sign(header, claims)
}

// LogoutToken is a token that says that a sign-in is over (OpenID Connect Back-Channel Logout 1.0), of a subject, of a session of theirs, or
// both; change, if there is one, makes another of it before it is signed.
func (p *Provider) LogoutToken(subject, session string, change func(header, claims map[string]any)) string {
	p.Lock()
	defer p.Unlock()
	now, k := p.Now(), p.keys[len(p.keys)-1]
	claims := map[string]any{
		"iss": p.URL, "aud": Client, "iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(), "jti": text(12),
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}
	if subject != "" {
		claims["sub"] = subject
	}
	if session != "" {
		claims["sid"] = session
	}
	header := map[string]any{"alg": "ES256", "kid": k.id, "typ": "logout+jwt"}
	if change != nil {
		change(header, claims)
	}
	return p.sign(header, claims)
}

func (p *Provider) sign(header, claims map[string]any) string {
	b64 := base64.RawURLEncoding.EncodeToString
	h, err1 := json.Marshal(header)
	c, err2 := json.Marshal(claims)
	if err1 != nil || err2 != nil {
		panic("a test's claims are no JSON")
	}
	text := b64(h) + "." + b64(c)
	switch header["alg"] {
	case "none":
		return text + "."
	case "HS256": // as if the secret, or the public key, were one for signing
		m := hmac.New(sha256.New, []byte(Secret))
		m.Write([]byte(text))
		return text + "." + b64(m.Sum(nil))
	}
	at := slices.IndexFunc(p.keys, func(k key) bool { return k.id == header["kid"] })
	sum := sha256.Sum256([]byte(text))
	x, y, err := ecdsa.Sign(rand.Reader, p.keys[max(at, 0)].private, sum[:])
	if err != nil {
		panic(err)
	}
	var signature [64]byte
	x.FillBytes(signature[:32])
	y.FillBytes(signature[32:])
	return text + "." + b64(signature[:])
}

// OldKey is the id of the first key, which is no longer published once there is another.
func (p *Provider) OldKey() string { return p.keys[0].id }

// Tokens are all refresh tokens that were ever given.
func (p *Provider) Tokens() []string {
	p.Lock()
	defer p.Unlock()
	return slices.Collect(maps.Keys(p.tokens))
}
