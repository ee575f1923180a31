package browser_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// oversight plays what those do who look after a site: invite and disable somebody, ask what would become of a statement, and decide
// about a column, which changes nothing until somebody applies the patch.
func (p *place) oversight(t *testing.T, root *tab) {
	root.open(t, "/people")
	root.fill(t, "#name", "nora")
	root.do(t, chromedp.SetValue(chromedp.CSS("#role"), "reader"))
	root.press(t, `form[action="/people"] button.primary`)
	link := ask(t, root, chromedp.Text(chromedp.CSS("#link")))
	if !strings.HasPrefix(link, strings.Replace(p.portal.URL, "127.0.0.1", "localhost", 1)+"/join#") { // as portal.url says, wherever root is
		t.Fatalf("the link is for %s", strings.Split(link, "#")[0])
	}
	root.open(t, "/people?q=nora")
	if strings.Contains(root.text(t), link) {
		t.Error("the link is shown a second time")
	}
	root.do(t, chromedp.Click(chromedp.CSS("summary")))
	root.press(t, `form[action="/people/nora/disable"] button`)
	if text := root.text(t); !strings.Contains(text, "Enable undoes it") {
		t.Errorf("nora is disabled, and root reads\n%s", text)
	}
	root.open(t, "/people?q=disabled")
	root.do(t, chromedp.Click(chromedp.CSS("summary")))
	root.press(t, `form[action="/people/nora/enable"] button`)
	root.open(t, "/people")
	root.guide(t, "people")
	p.scored(t, root)
	p.explained(t, root)
	p.decided(t, root)
	root.open(t, "/trail?subject=ana")
	if text := root.text(t); !strings.Contains(text, "SELECT employee FROM payroll") {
		t.Errorf("what ana asked the store is not in the trail:\n%s", text)
	}
	root.guide(t, "trail")
}

// scored keeps two scans and reads their score.
func (p *place) scored(t *testing.T, b *tab) {
	for range 2 {
		if r := p.Run(t, "scan", "--store", "shop", "--keep"); r.Code == 2 {
			t.Fatalf("scan: %s", r.Stderr)
		}
	}
	b.open(t, "/posture")
	if text := b.text(t); !strings.Contains(text, "of 100") || !strings.Contains(text, "before,") {
		t.Errorf("of two scans the page says\n%s", text)
	}
	b.guide(t, "posture")
}

func (p *place) explained(t *testing.T, b *tab) {
	for sql, want := range map[string][]string{
		"SELECT email FROM customers": {"Allowed, rewritten", "analysts-eu", "email as partial_email"},
		"SELECT * FROM payroll":       {"Refused", "postern request staff"},
	} {
		b.open(t, "/explain?as=ana&store=shop")
		b.fill(t, "#sql", sql)
		b.press(t, "form.panel button.primary")
		if strings.Contains(sql, "email") {
			b.guide(t, "explain")
		}
		text := b.text(t)
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("explain %s lacks %q:\n%s", sql, w, text)
			}
		}
	}
	if out := p.Must(t, "audit", "search", "--kind", "portal.explained", "--format", "json"); strings.Count(out, `"for":"ana"`) != 2 || strings.Contains(out, "payroll") {
		t.Errorf("of two questions about ana the trail says\n%s", out)
	}
}

func (p *place) decided(t *testing.T, b *tab) {
	p.eventually("serve has looked at the store", func() bool {
		b.open(t, "/discovery")
		return strings.Contains(b.text(t), "newsletter.reach")
	})
	b.guide(t, "discovery")
	b.do(t,
		chromedp.SetValue(chromedp.CSS(`select[name="c:shop.public.newsletter.reach"]`), "contact.email"),
		chromedp.SetValue(chromedp.CSS(`select[name="c:shop.public.customers.region"]`), "none"),
		chromedp.SetValue(chromedp.CSS(`select[name="c:shop.public.payroll.employee"]`), "none"))
	before, err := os.ReadFile(p.Config)
	if err != nil {
		t.Fatal(err)
	}
	b.press(t, "form button.primary")
	b.guide(t, "change")
	diff := ask(t, b, chromedp.TextContent(chromedp.CSS("#diff")))
	if strings.Contains(diff, "SCRAM") || strings.Contains(diff, "secret") {
		t.Errorf("the change shows what stands beside it:\n%s", diff)
	}
	if now, err := os.ReadFile(p.Config); err != nil || string(now) != string(before) {
		t.Fatalf("the portal has written the policy file (%v)", err)
	}
	if err := os.WriteFile(filepath.Join(p.Dir, "change.diff"), []byte(diff), 0o600); err != nil {
		t.Fatal(err)
	}
	patch := exec.Command("patch", "postern.yaml", "change.diff")
	patch.Dir = p.Dir
	if out, err := patch.CombinedOutput(); err != nil {
		t.Fatalf("patch: %v\n%s\n%s", err, out, diff)
	}
	p.Must(t, "policy", "check")
	p.eventually("serve follows the file", func() bool {
		b.open(t, "/discovery")
		return strings.Contains(b.text(t), "Nothing waits")
	})
	b.open(t, "/discovery?all=1&q=reach")
	if text := b.text(t); !strings.Contains(text, "contact.email by root") {
		t.Errorf("root's word is not kept:\n%s", text)
	}
	p.eventually("the label is in force", func() bool {
		b.open(t, "/datasets/mailing")
		return strings.Contains(b.text(t), "contact.email")
	})
}
