package browser_test

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// TestOwnThings plays what people do for themselves: ask for a maintenance window, with a mistake on the way, let somebody decide while
// they are away, make a token and end it.
func TestOwnThings(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	browser, source := newBrowser(t), axeSource(t)
	folder := os.Getenv("POSTERN_SCREENSHOTS")
	ana, dora := p.newTab(t, browser, "ana"), p.newTab(t, browser, "dora")
	p.window(t, ana, source, folder)
	p.holiday(t, dora, source, folder)
	p.program(t, ana, source, folder)
	for who, b := range map[string]*tab{"ana": ana, "dora": dora} {
		for _, wrong := range b.complaints() {
			t.Errorf("%s: %s", who, wrong)
		}
	}
}

// types puts a day and a time into a field, so many hours from now, and returns the instant that they are where the browser is.
func (b *tab) types(t *testing.T, field string, hours int) time.Time {
	t.Helper()
	day := time.Now().Add(time.Duration(hours) * time.Hour).Format("2006-01-02T15:04")
	text := ask(t, b, chromedp.Evaluate[string](`(() => { const f = document.querySelector("`+field+`"); f.removeAttribute("min"); f.removeAttribute("max"); f.value = "`+day+`"; return new Date(f.value).toISOString(); })()`))
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	if at.Format("2006-01-02T15:04") == day {
		t.Fatalf("%s is UTC where the browser is: the test shows nothing", day)
	}
	return at
}

// window: ana asks for a start that has passed, reads at the field what is wrong, and finds there what she typed.
func (p *place) window(t *testing.T, b *tab, source, folder string) {
	b.open(t, "/ask/payroll-review")
	b.do(t, chromedp.Click(chromedp.CSS(".dates summary")))
	b.fill(t, "#note", "Maintenance window")
	b.types(t, "#start", -48)
	b.fine = true
	b.press(t, "form.panel button.primary")
	b.reads(t, "a start that has passed", "The start lies in the past.", "Choose a later start", "your zone, Europe/Berlin")
	at := ask(t, b, chromedp.Evaluate[string](`document.activeElement.id + " " + document.activeElement.getAttribute("aria-invalid")`))
	if at != "start true" {
		t.Errorf("the focus is at %q", at)
	}
	b.look(t, "ana-ask-again", source, folder)
	start := b.types(t, "#start", 24)
	until := b.types(t, "#until", 28)
	b.press(t, "form.panel button.primary")
	b.reads(t, "asked", "on its way", "Maintenance window")
	var found []struct{ Start, Until time.Time }
	p.call("ana", http.MethodGet, "requests?open=1", nil, &found)
	if len(found) != 1 || !found[0].Start.Equal(start) || !found[0].Until.Equal(until) {
		t.Errorf("typed %s to %s, asked for %+v", start, until, found)
	}
}

// holiday: dora lets sam decide, and sees until when in her own zone; back, she ends it.
func (p *place) holiday(t *testing.T, b *tab, source, folder string) {
	b.open(t, "/inbox")
	b.press(t, `a[href="/away"]`)
	b.fill(t, "#to", "sam")
	until := b.types(t, "#until", 24*14)
	b.press(t, "form.panel button.primary")
	b.reads(t, "gone", "They decide in your place", "sam decides for you")
	var away struct{ Mine []struct{ End time.Time } }
	p.call("dora", http.MethodGet, "delegations", nil, &away)
	if len(away.Mine) != 1 || !away.Mine[0].End.Equal(until) {
		t.Errorf("typed %s, and it is %+v", until, away)
	}
	b.look(t, "dora-away-gone", source, folder)
	b.press(t, `form[action$="/end"] button`)
	b.reads(t, "back", "That is over", "Let somebody decide for you")
}

// program: ana makes a token, which is shown once and works, and ends it.
func (p *place) program(t *testing.T, b *tab, source, folder string) {
	b.open(t, "/tokens")
	b.fill(t, "#name", "Nightly report")
	b.do(t, chromedp.Click(chromedp.CSS(`input[value="read"]`)))
	b.press(t, "form.panel button.primary")
	b.reads(t, "made", "Your token Nightly report", "shown this once")
	b.look(t, "ana-tokens-made", source, folder)
	p.tokens["program"] = ask(t, b, chromedp.Text(chromedp.CSS("#secret")))
	var me struct{ User string }
	if p.call("program", http.MethodGet, "me", nil, &me); me.User != "ana" {
		t.Errorf("the token is %q's", me.User)
	}
	b.do(t, chromedp.Evaluate[chromedp.Void]("window.confirm = () => true"))
	b.press(t, `form[action^="/credentials/"] button`)
	b.reads(t, "ended", "It no longer works")
}

// look examines the page that is open, as it stands, in every way.
func (b *tab) look(t *testing.T, name, source, folder string) {
	t.Helper()
	b.do(t, chromedp.Evaluate[chromedp.Void](source))
	for _, l := range looks {
		for _, wrong := range b.examine(t, l) {
			t.Errorf("%s, %s: %s", name, l, wrong)
		}
		if folder != "" {
			b.picture(t, folder, name+"-"+l.String(), page.CaptureScreenshotFormatPng)
		}
	}
}
