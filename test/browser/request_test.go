package browser_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
)

// TestPlayed plays what the portal is for, with the mouse: ana asks, dora approves, ana queries, dora ends it, and the session that
// ana still has is closed.
func TestPlayed(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	browser := newBrowser(t)
	// A page asks by itself when somebody comes back to it, and every 20 seconds.
	look := chromedp.Evaluate[chromedp.Void](`document.dispatchEvent(new Event("visibilitychange"))`)
	ana, dora := p.newTab(t, browser, ""), p.newTab(t, browser, "")
	ana.signIn(t, "ana")
	dora.signIn(t, "dora")
	if err := p.query("ana", "SELECT employee FROM payroll"); err == nil {
		t.Error("ana reads the payroll before she has asked")
	}
	ana.guide(t, "catalogue")
	ana.press(t, `h2 a[href="/datasets/staff"]`)
	ana.guide(t, "dataset")
	ana.press(t, `a[href="/ask/payroll-review"]`)
	ana.fill(t, "#note", "Quarterly report")
	ana.guide(t, "ask")
	ana.press(t, "form.panel button.primary")
	if text := ana.text(t); !strings.Contains(text, "on its way") || !strings.Contains(text, "Quarterly report") {
		t.Fatalf("ana has asked, and reads\n%s", text)
	}
	ana.guide(t, "waiting")
	dora.press(t, `nav a[href="/inbox"]`)
	if text := dora.text(t); !strings.Contains(text, "ana asks for staff") {
		t.Fatalf("dora reads\n%s", text)
	}
	dora.guide(t, "inbox")
	ana.do(t, look)
	asked := chromedp.Evaluate[bool](`performance.getEntriesByType("resource").some((e) => e.name.endsWith("/mine") && e.responseEnd > 0)`)
	for end := time.Now().Add(patience); !ask(t, ana, asked); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("ana's page does not ask whether it has changed")
		}
	}
	if text := ana.text(t); strings.Contains(text, "Show it") {
		t.Errorf("before the decision ana reads\n%s", text)
	}
	dora.press(t, `button[data-key="a"]`)
	ana.do(t, look, chromedp.WaitVisible(chromedp.CSS("[data-follow] a")))
	if text := ana.text(t); !strings.Contains(text, "Your access has changed") || !strings.Contains(text, "waiting for a decision") {
		t.Errorf("after the decision ana reads\n%s", text)
	}
	ana.press(t, "[data-follow] a")
	if text := ana.text(t); strings.Contains(text, "waiting for a decision") || !strings.Contains(text, "active") {
		t.Errorf("ana has followed the notice, and reads\n%s", text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	session, err := pgx.Connect(ctx, p.DSN("ana", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = session.Close(ctx) }()
	if _, err := session.Exec(ctx, "SELECT employee FROM payroll"); err != nil {
		t.Fatalf("approved, ana asks: %v", err)
	}
	ana.open(t, "/connect")
	ana.guide(t, "connect")
	dora.press(t, `nav a[href="/grants"]`)
	dora.do(t, chromedp.Click(chromedp.CSS("article summary")))
	dora.guide(t, "grants")
	dora.do(t, chromedp.Evaluate[chromedp.Void]("window.confirm = () => true")) // the question is asked in a window of the browser's own
	dora.press(t, "button.danger")
	if text := dora.text(t); !strings.Contains(text, "Open sessions are closed") {
		t.Fatalf("dora has ended it, and reads\n%s", text)
	}
	_, err = session.Exec(ctx, "SELECT employee FROM payroll")
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "42501" && refused.Code != "57P01" {
		t.Errorf("after the end ana's session gets %v", err)
	}
	ana.open(t, "/mine")
	if text := ana.text(t); !strings.Contains(text, "revoked") {
		t.Errorf("ana reads\n%s", text)
	}
	ana.guide(t, "ended")
	root := p.newTab(t, browser, "root")
	p.oversight(t, root)
	for who, b := range map[string]*tab{"ana": ana, "dora": dora, "root": root} {
		for _, wrong := range b.complaints() {
			t.Errorf("%s: %s", who, wrong)
		}
	}
}

func (b *tab) signIn(t *testing.T, who string) {
	t.Helper()
	b.open(t, "/")
	b.fill(t, "#user", who)
	b.fill(t, "#password", pgtest.PasswordOf(who))
	if who == "ana" {
		b.guide(t, "sign-in")
	}
	b.press(t, "form button.primary")
	if text := b.text(t); !strings.Contains(text, "Catalogue") {
		t.Fatalf("%s signs in, and reads\n%s", who, text)
	}
}

func (b *tab) fill(t *testing.T, selector, text string) {
	t.Helper()
	b.do(t, chromedp.SendKeys(chromedp.CSS(selector), text))
}
