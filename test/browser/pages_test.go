package browser_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// pages are those of the portal, and who may open each.
var pages = []struct{ path, who string }{
	{"/catalogue", "*"},
	{"/datasets/sales", "*"},
	{"/ask/payroll-review", "ana sam"},
	{"/mine", "*"},
	{"/connect", "*"},
	{"/account", "*"},
	{"/tokens", "*"},
	{"/away", "*"},
	{"/account/prove", "*"},
	{"/inbox", "*"},
	{"/grants?all=1", "dora sam root audrey"},
	{"/trail", "root audrey"},
	{"/policy", "root edith rita audrey"},
	{"/explain", "root edith rita audrey"},
	{"/posture", "root edith rita audrey"},
	{"/discovery?all=1", "root edith rita audrey"},
	{"/people", "root"},
	{"/health", "root rita"},
	{"/health/settings", "root"},
}

// TestEveryPage opens every page as everybody. With POSTERN_SCREENSHOTS, a folder, it leaves pictures there.
func TestEveryPage(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.used()
	browser, source := newBrowser(t), axeSource(t)
	folder := os.Getenv("POSTERN_SCREENSHOTS")
	t.Run("people", func(t *testing.T) {
		for _, who := range everybody {
			t.Run(who, func(t *testing.T) {
				t.Parallel()
				p.walk(t, p.newTab(t, browser, who), who, source, folder)
			})
		}
	})
	p.outside(t, p.newTab(t, browser, ""), source, folder)
}

// walk opens every page that somebody may open, and one that not everybody may.
func (p *place) walk(t *testing.T, b *tab, who, source, folder string) {
	for _, at := range pages {
		if at.who == "*" || slices.Contains(strings.Fields(at.who), who) {
			b.view(t, at.path, who, source, folder)
		}
	}
	if !slices.Contains([]string{"root", "audrey"}, who) {
		b.fine = true
		b.open(t, "/trail")
		if !strings.Contains(b.text(t), "not for your role") {
			t.Errorf("%s opens the trail", who)
		}
	}
}

// view opens a page and looks at it in every way.
func (b *tab) view(t *testing.T, path, who, source, folder string) {
	b.open(t, path)
	b.do(t, chromedp.Evaluate[chromedp.Void](source))
	for _, l := range looks {
		for _, wrong := range b.examine(t, l) {
			t.Errorf("%s as %s, %s: %s", path, who, l, wrong)
		}
		if folder != "" {
			b.picture(t, folder, who+path+"-"+l.String(), page.CaptureScreenshotFormatPng)
		}
	}
}

// outside looks at the pages that are there before somebody is in.
func (p *place) outside(t *testing.T, b *tab, source, folder string) {
	for _, path := range []string{"/sign-in", "/join"} {
		b.view(t, path, "nobody", source, folder)
	}
}
