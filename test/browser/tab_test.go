package browser_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/postern-sec/postern/internal/pgtest"
)

// newBrowser starts Chromium with a profile of its own.
func newBrowser(t testing.TB) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "google-chrome"} {
		if at, err := exec.LookPath(name); err == nil && path == "" {
			path = at
		}
	}
	if path == "" {
		t.Fatal("there is no chromium: run build/prepare test")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-gpu", true), chromedp.Flag("lang", "en-GB"))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses root in a sandbox; it sees nothing but our own pages
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start chromium: %v", err)
	}
	return ctx
}

// tab is one person's window, with cookies of its own.
type tab struct {
	ctx    context.Context
	origin string

	mu    sync.Mutex
	wrong []string // what the browser complained about
	fine  bool     // an answer of 4xx is what the test wants to see
}

func (p *place) newTab(t testing.TB, browser context.Context, who string) *tab {
	t.Helper()
	b := &tab{origin: p.portal.URL}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.hear))
	t.Cleanup(cancel)
	b.ctx = ctx
	// The first run starts the tab, which lives as long as that run's context.
	err := chromedp.Do(ctx, send(network.Enable, network.EnableParams{}), send(log.Enable, cdp.Empty{}),
		send(emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "Europe/Berlin"}))
	if err != nil {
		t.Fatal(err)
	}
	if who != "" {
		yes := true
		b.do(t, send(network.SetCookie, network.SetCookieParams{Name: "postern", Value: p.cookie[who], URL: p.portal.URL, HTTPOnly: &yes}))
	}
	return b
}

// send is a command of the browser's protocol whose answer does not matter.
func send[P, R any](c cdp.Command[P, R], p P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, p)
		return err
	})
}

// hear notes everything that a page should not do.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	note := func(format string, args ...any) { b.wrong = append(b.wrong, fmt.Sprintf(format, args...)) }
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		note("a script failed: %s", e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			note("console: %s", e.Type)
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError && (!b.fine || e.Entry.Source != log.EntrySourceNetwork) {
			note("%s: %s", e.Entry.Source, e.Entry.Text)
		}
	case *network.EventRequestWillBeSent:
		// The icon of a date field is a data: address of the browser's own.
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme+"://"+u.Host != b.origin && u.Scheme != "data" {
			note("asks elsewhere: %s", e.Request.URL)
		}
	case *network.EventLoadingFailed:
		if !e.Canceled {
			note("not loaded: %s %s", e.Type, e.ErrorText)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 && !b.fine {
			note("%s: %d", e.Response.URL, e.Response.Status)
		}
	}
}

// complaints hands over what was noted, once.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.wrong
	b.wrong = nil
	return out
}

func (b *tab) do(t testing.TB, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ask(t, b, chromedp.Steps(steps...))
}

// ask does something in a tab that has an answer.
func ask[T any](t testing.TB, b *tab, a chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	out, err := chromedp.Run(ctx, a)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *tab) open(t testing.TB, path string) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.origin+path), chromedp.WaitReady(chromedp.CSS("main")))
}

// press clicks and waits for the page that comes of it.
func (b *tab) press(t testing.TB, selector string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector))); err != nil {
		t.Fatalf("press %s: %v", selector, err)
	}
}

// text is what a person reads on the page.
func (b *tab) text(t testing.TB) string {
	t.Helper()
	return ask(t, b, chromedp.Text(chromedp.CSS("main")))
}

// look is one way to look at a page.
type look struct {
	width, height int64
	theme         string
	coloursOnly   bool
}

var looks = []look{{1280, 900, "light", false}, {1280, 900, "dark", true}, {390, 844, "light", false}, {390, 844, "dark", true}}

func (l look) String() string { return fmt.Sprintf("%d-%s", l.width, l.theme) }

func (b *tab) as(t testing.TB, l look) {
	t.Helper()
	b.do(t,
		send(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: l.theme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}}),
		send(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: l.width, Height: l.height, DeviceScaleFactor: 1, Mobile: l.width < 600}))
}

// tooWide names what sticks out of the screen on the right.
const tooWide = `(() => {
  const most = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= most) return "";
  const out = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > most + 1 && !e.closest(".scroll"));
  return "wider than the screen: " + (out.length ? out[out.length - 1].outerHTML.slice(0, 200) : document.documentElement.scrollWidth);
})()`

// axe runs axe-core and returns what is serious or worse. Colours are all that the second look at a width can change.
const axe = `axe.run(document, {resultTypes: ["violations"], RULES}).then((r) => r.violations
  .filter((v) => v.impact === "serious" || v.impact === "critical")
  .map((v) => v.id + ": " + v.help + ": " + v.nodes.map((n) => n.html.slice(0, 160)).slice(0, 3).join(" | ")))`

func axeSource(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(pgtest.CacheDir(), "axe-*.js"))
	if err != nil || len(found) != 1 {
		t.Fatalf("axe-core is not there, or twice: run test/browser/fetch (%v, %v)", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// examine looks at the page that is open in one way.
func (b *tab) examine(t testing.TB, l look) []string {
	t.Helper()
	b.as(t, l)
	wide := ask(t, b, chromedp.Evaluate[string](tooWide))
	rules := ""
	if l.coloursOnly {
		rules = `runOnly: ["color-contrast", "link-in-text-block"]`
	}
	found := ask(t, b, chromedp.Evaluate[[]string](strings.Replace(axe, "RULES", rules, 1), chromedp.EvalAwaitPromise))
	if wide != "" {
		found = append(found, wide)
	}
	return append(found, b.complaints()...)
}

// picture writes what is on the page, top to bottom, into a folder.
func (b *tab) picture(t testing.TB, folder, name string, format page.CaptureScreenshotFormat) {
	t.Helper()
	height := ask(t, b, chromedp.Evaluate[float64](`Math.min(document.documentElement.scrollHeight, 2400)`))
	width := ask(t, b, chromedp.Evaluate[float64](`innerWidth`))
	quality, yes := int64(80), true
	image := ask(t, b, func(ctx context.Context, at *chromedp.Target) ([]byte, error) {
		out, err := cdp.Call(ctx, at, page.CaptureScreenshot, page.CaptureScreenshotParams{
			Format: format, Quality: &quality, CaptureBeyondViewport: &yes, Clip: &page.Viewport{Width: width, Height: height, Scale: 1},
		})
		return out.Data, err
	})
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, strings.Trim(strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(name), "-")+"."+string(format))
	if err := os.WriteFile(file, image, 0o644); err != nil {
		t.Fatal(err)
	}
}
