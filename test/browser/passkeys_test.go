package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"github.com/postern-sec/postern/internal/pgtest"
)

const (
	passkeyButton = "form[data-passkey] button"
	passkeyName   = "#passkey-name"
)

// named is a tab at the name of the portal, where its passkeys are at home.
func (p *place) named(t *testing.T, browser context.Context) *tab {
	t.Helper()
	b := p.newTab(t, browser, "")
	b.origin = strings.Replace(p.portal.URL, "127.0.0.1", "localhost", 1)
	b.do(t, send(webauthn.Enable, webauthn.EnableParams{}))
	return b
}

// addKey is webauthn.AddCredential without what that always says: a device without keys of a trust group takes no word about them.
var addKey = cdp.Command[addKeyParams, cdp.Empty]{Method: webauthn.CommandAddCredential}

type addKeyParams struct {
	Device webauthn.AuthenticatorID `json:"authenticatorId"`
	Key    key                      `json:"credential"`
}

type key struct {
	ID       []byte  `json:"credentialId"`
	Resident bool    `json:"isResidentCredential"`
	Site     string  `json:"rpId"`
	Private  []byte  `json:"privateKey"`
	Handle   []byte  `json:"userHandle"`
	Count    float64 `json:"signCount"`
	Eligible bool    `json:"backupEligibility"`
	BackedUp bool    `json:"backupState"`
}

// device plugs an authenticator into a tab, with the keys of another.
func (b *tab) device(t *testing.T, keys ...*webauthn.Credential) webauthn.AuthenticatorID {
	t.Helper()
	return ask(t, b, func(ctx context.Context, at *chromedp.Target) (webauthn.AuthenticatorID, error) {
		yes := &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Ctap2version: webauthn.Ctap2versionCtap21, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
		}
		made, err := cdp.Call(ctx, at, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: yes})
		for _, k := range keys {
			if err == nil {
				_, err = cdp.Call(ctx, at, addKey, addKeyParams{made.AuthenticatorID, key{
					k.CredentialID, true, k.RpID, k.PrivateKey, k.UserHandle, k.SignCount, k.BackupEligibility, k.BackupState,
				}})
			}
		}
		return made.AuthenticatorID, err
	})
}

// keys is what a thief of a device reads out of it.
func (b *tab) keys(t *testing.T, id webauthn.AuthenticatorID) []*webauthn.Credential {
	t.Helper()
	return ask(t, b, func(ctx context.Context, at *chromedp.Target) ([]*webauthn.Credential, error) {
		found, err := cdp.Call(ctx, at, webauthn.GetCredentials, webauthn.GetCredentialsParams{AuthenticatorID: id})
		return found.Credentials, err
	})
}

func (b *tab) unplug(t *testing.T, id webauthn.AuthenticatorID) {
	t.Helper()
	b.do(t, send(webauthn.RemoveVirtualAuthenticator, webauthn.RemoveVirtualAuthenticatorParams{AuthenticatorID: id}))
}

func (b *tab) reads(t *testing.T, when string, want ...string) {
	t.Helper()
	text := b.text(t)
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Fatalf("%s, the page lacks %q:\n%s", when, w, text)
		}
	}
}

func (b *tab) signOut(t *testing.T) {
	t.Helper()
	b.press(t, `form[action="/sign-out"] button`)
}

// TestPasskeys plays a life of passkeys with a device of Chromium's: from the invitation to the last sign-in, what a copy and a page
// elsewhere come to, and the emergency that wants one.
func TestPasskeys(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	browser, source := newBrowser(t), axeSource(t)
	b := p.named(t, browser)
	device := b.device(t)
	p.joins(t, b, source)
	p.comesIn(t, b)
	p.copied(t, b, device)
	b.unplug(t, device)
	p.removed(t, b)
	p.emergency(t, browser)
	p.elsewhere(t, browser)
	for _, wrong := range b.complaints() {
		t.Error(wrong)
	}
}

// joins: nora follows her invitation, and a passkey is her second factor.
func (p *place) joins(t *testing.T, b *tab, source string) {
	var link struct{ Code string }
	p.call("root", http.MethodPost, "users", map[string]string{"name": "nora", "role": "auditor"}, &link)
	b.open(t, "/join#"+link.Code)
	b.fill(t, "#password", newPassword)
	b.press(t, "form button.primary")
	b.reads(t, "invited", "Set up a second factor", "authenticator app")
	b.view(t, "/sign-in/enrol", "nora", source, os.Getenv("POSTERN_SCREENSHOTS"))
	b.fill(t, passkeyName, "blue key")
	b.press(t, passkeyButton)
	b.reads(t, "with a passkey", "Keep these recovery codes")
	if codes := ask(t, b, chromedp.Evaluate[int](`document.querySelectorAll(".codes code").length`)); codes != 10 {
		t.Errorf("%d recovery codes", codes)
	}
	b.open(t, "/account")
	b.reads(t, "signed in", "nora", "blue key", "not used yet")
	b.view(t, "/account", "nora", source, os.Getenv("POSTERN_SCREENSHOTS"))
	b.view(t, "/account/prove", "nora", source, os.Getenv("POSTERN_SCREENSHOTS"))
	b.press(t, passkeyButton)
	b.reads(t, "proved again", "good for five minutes", "last used")
	b.press(t, `form[action="/account/passkeys/`+p.passkeyOf(t, b, 0)+`/remove"] button`)
	b.reads(t, "her only factor removed", "last second factor")
	b.signOut(t)
}

// passkeyOf is the handle of the passkey in a line of the account's page.
func (p *place) passkeyOf(t *testing.T, b *tab, n int) string {
	t.Helper()
	b.fine = true
	b.do(t, chromedp.Evaluate[chromedp.Void]("window.confirm = () => true"))
	action := ask(t, b, chromedp.Evaluate[string](fmt.Sprintf(`document.querySelectorAll("form[action$='/remove']")[%d].getAttribute("action")`, n)))
	return strings.Split(action, "/")[3]
}

// comesIn: without name and password, and as a second factor after them.
func (p *place) comesIn(t *testing.T, b *tab) {
	b.open(t, "/sign-in")
	b.press(t, passkeyButton)
	b.reads(t, "by passkey", "Catalogue")
	b.open(t, "/trail")
	b.signOut(t)
	b.open(t, "/sign-in")
	b.fill(t, "#user", "nora")
	b.fill(t, "#password", newPassword)
	b.press(t, "form button.primary")
	b.reads(t, "after the password", "One more step")
	b.press(t, passkeyButton)
	b.reads(t, "by passkey after the password", "Catalogue")
	b.signOut(t)
	if out := p.Must(t, "audit", "search", "--kind", "portal.login", "--subject", "nora", "--format", "json"); !strings.Contains(out, `"method":"passkey"`) {
		t.Errorf("the trail says\n%s", out)
	}
}

// copied: somebody has read nora's device out. It is used twice since; the copy comes after, and neither opens anything.
func (p *place) copied(t *testing.T, b *tab, device webauthn.AuthenticatorID) {
	stolen := b.keys(t, device)
	if len(stolen) != 1 || stolen[0].SignCount < 1 {
		t.Fatalf("the device has %+v", stolen)
	}
	for range 2 {
		b.open(t, "/sign-in")
		b.press(t, passkeyButton)
		b.reads(t, "before the copy", "Catalogue")
		b.signOut(t)
	}
	thief := p.named(t, b.ctx)
	thief.fine = true
	thief.device(t, stolen...)
	for _, who := range []*tab{thief, b} {
		who.fine = true
		who.open(t, "/sign-in")
		who.press(t, passkeyButton)
		who.reads(t, "after the copy", "opens nothing here")
	}
	out := p.Must(t, "audit", "search", "--kind", "passkey.suspect", "--format", "json")
	if strings.Count(out, `"subject":"nora"`) != 1 || !strings.Contains(out, `"reason":"counter"`) {
		t.Errorf("the trail says\n%s", out)
	}
}

// removed: nora comes in with another key, and removes the copied one, which then is nobody's.
func (p *place) removed(t *testing.T, b *tab) {
	var link struct{ Code string }
	p.call("root", http.MethodPost, "users", map[string]string{"name": "olga", "role": "reader"}, &link)
	b.open(t, "/join#"+link.Code)
	b.fill(t, "#password", newPassword)
	b.press(t, "form button.primary")
	first := b.device(t)
	b.fill(t, passkeyName, "first")
	b.press(t, passkeyButton)
	b.open(t, "/account")
	kept := b.keys(t, first)
	b.unplug(t, first)
	second := b.device(t)
	b.fill(t, passkeyName, "second")
	b.press(t, `form[data-passkey="create"] button`)
	b.reads(t, "a second one", "The passkey is added", "first", "second")
	b.press(t, `form[action="/account/passkeys/`+p.passkeyOf(t, b, 0)+`/remove"] button`)
	b.reads(t, "the first removed", "The passkey is removed", "second")
	b.signOut(t)
	b.unplug(t, second)
	again := b.device(t, kept...)
	b.open(t, "/sign-in")
	b.press(t, passkeyButton)
	b.reads(t, "with the removed one", "opens nothing here")
	b.unplug(t, again)
}

// emergency: sam may break glass, but not without a second factor; a passkey is one.
func (p *place) emergency(t *testing.T, browser context.Context) {
	b := p.named(t, browser)
	b.device(t)
	b.open(t, "/sign-in")
	b.fill(t, "#user", "sam")
	b.fill(t, "#password", pgtest.PasswordOf("sam"))
	b.press(t, "form button.primary")
	b.open(t, "/ask/payroll-review")
	b.do(t, chromedp.Click(chromedp.CSS(".emergency summary")))
	b.reads(t, "without a second factor", "In an emergency", "Prove that it is you")
	if err := p.query("sam", "SELECT employee FROM payroll"); err == nil {
		t.Fatal("sam reads the payroll")
	}
	b.open(t, "/account")
	b.fill(t, passkeyName, "sam's key")
	b.press(t, passkeyButton)
	b.reads(t, "with a passkey", "Keep these recovery codes")
	b.open(t, "/ask/payroll-review")
	b.do(t, chromedp.Evaluate[chromedp.Void]("window.confirm = () => true"), chromedp.Click(chromedp.CSS(".emergency summary")))
	b.fill(t, "#break-note", "Incident 815")
	b.press(t, "button.danger")
	b.reads(t, "in the emergency", "You have access now")
	if err := p.query("sam", "SELECT employee FROM payroll"); err != nil {
		t.Errorf("sam has broken the glass, and gets %v", err)
	}
	if out := p.Must(t, "audit", "search", "--kind", "breakglass.started", "--format", "json"); !strings.Contains(out, "sam") {
		t.Errorf("the trail says\n%s", out)
	}
	for _, wrong := range b.complaints() {
		t.Errorf("sam: %s", wrong)
	}
}

// elsewhere: the portal under a number instead of its name, and a page on another port of the same host, which the browser lets use
// the portal's passkeys. What it signs there is worth nothing here.
func (p *place) elsewhere(t *testing.T, browser context.Context) {
	b := p.newTab(t, browser, "")
	b.open(t, "/sign-in")
	b.do(t, chromedp.Click(chromedp.CSS(passkeyButton)))
	p.eventually("the page says what is wrong", func() bool { return strings.Contains(b.text(t), "Passkeys belong to the portal's own address") })

	b = p.named(t, browser)
	b.device(t)
	b.open(t, "/sign-in")
	b.fill(t, "#user", "ana")
	b.fill(t, "#password", pgtest.PasswordOf("ana"))
	b.press(t, "form button.primary")
	b.open(t, "/account")
	b.fill(t, passkeyName, "ana's key")
	b.press(t, passkeyButton)
	b.reads(t, "with a passkey", "Keep these recovery codes")
	lure := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><link rel="icon" href="data:,"><main>You have won</main>`)
	}))
	t.Cleanup(lure.Close)
	for origin, want := range map[string]string{strings.Replace(lure.URL, "127.0.0.1", "localhost", 1): "login_failed", b.origin: ""} {
		var c struct {
			Options         json.RawMessage
			Ceremony, Token string
		}
		p.call("", http.MethodPost, "login/passkey", struct{}{}, &c)
		b.origin = origin
		b.open(t, "/sign-in")
		answer := ask(t, b, chromedp.Evaluate[string](fmt.Sprintf(sign, c.Options), chromedp.EvalAwaitPromise))
		if got := p.finish(t, c.Token, fmt.Sprintf(`{"ceremony": %q, "answer": %s}`, c.Ceremony, answer)); got != want {
			t.Errorf("signed at %s: %q, want %q", origin, got, want)
		}
	}
	if out := p.Must(t, "audit", "search", "--kind", "portal.login", "--verdict", "refuse", "--format", "json"); !strings.Contains(out, `"reason":"origin"`) {
		t.Errorf("the trail says\n%s", out)
	}
}

// sign asks for a passkey from whatever page is open.
const sign = `(async (o) => {
  const b64 = (b) => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
  o.challenge = Uint8Array.from(atob(o.challenge.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const k = await navigator.credentials.get({publicKey: o});
  const r = {};
  for (const part of ["clientDataJSON", "authenticatorData", "signature", "userHandle"]) r[part] = b64(k.response[part]);
  return JSON.stringify({id: k.id, rawId: b64(k.rawId), type: k.type, response: r});
})(%s)`

// finish sends what was signed, and returns the code of the refusal.
func (p *place) finish(t *testing.T, token, body string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.portal.URL+"/api/v1/login/passkey/finish", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var out struct{ Code, User string }
	if err := json.NewDecoder(answer.Body).Decode(&out); err != nil || out.Code == "" && out.User != "ana" {
		t.Fatalf("%s, %v", answer.Status, err)
	}
	return out.Code
}
