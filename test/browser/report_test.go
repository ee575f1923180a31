package browser_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// choose sets filters of the report and tells how many checks a person sees, what the page says of it, and whether each of them is meant.
const choose = `((choice) => {
  for (const [id, v] of Object.entries(choice)) {
    const e = document.getElementById(id);
    e.value = v;
    if (e.value !== v) return id + " has no " + v;
    e.dispatchEvent(new Event(id === "words" ? "input" : "change"));
  }
  const seen = [...document.querySelectorAll("details.check")].filter((d) => d.checkVisibility());
  const empty = [...document.querySelectorAll("section.pillar")].filter((s) => s.checkVisibility() && !s.querySelector("details.check:not([hidden])"));
  return [document.getElementById("shown").value, seen.length, empty.length,
    [...new Set(seen.map((d) => d.dataset.severity))].sort().join(""), [...new Set(seen.map((d) => d.closest("section").dataset.pillar))].join()].join(" ");
})(CHOICE)`

// TestReport opens the report of a scan from its file: it asks for nothing else, its filters work, and it is readable at both widths in
// both themes.
func TestReport(t *testing.T) {
	t.Parallel()
	db := pgtest.Default(t).NewDatabase(t)
	db.Exec(t, `CREATE TABLE "<img src=x onerror=alert(1)>"(a int); GRANT ALL ON "<img src=x onerror=alert(1)>" TO PUBLIC`)
	file := filepath.Join(t.TempDir(), "report.html")
	s := site.New(t, db, "version: 1\n")
	if r := s.Run(t, "scan", db.DSN(pgtest.SuperUser), "--databases", db.Name, "--output", "html="+file); r.Code != 1 {
		t.Fatalf("exit %d: %s", r.Code, r.Stderr)
	}
	b := (&place{portal: site.Portal{URL: "file://"}}).newTab(t, newBrowser(t), "")
	b.do(t, chromedp.Navigate("file://"+file), chromedp.WaitReady(chromedp.CSS("details.check")))
	ask(t, b, chromedp.Evaluate[any](axeSource(t)+"; null"))
	for _, l := range looks {
		for _, complaint := range b.examine(t, l) {
			t.Errorf("%s: %s", l, complaint)
		}
		if folder := os.Getenv("POSTERN_SCREENSHOTS"); folder != "" {
			b.picture(t, folder, "report-"+l.String(), page.CaptureScreenshotFormatPng)
		}
	}
	try := func(choice string) (shown, all int, rest string) {
		t.Helper()
		got := ask(t, b, chromedp.Evaluate[string](strings.Replace(choose, "CHOICE", choice, 1)))
		var seen, empty int
		if n, _ := fmt.Sscanf(got, "%d of %d checks %d %d", &shown, &all, &seen, &empty); n != 4 || seen != shown || empty != 0 {
			t.Fatalf("%s: the page says %q", choice, got)
		}
		fields := strings.SplitN(got, " ", 7)
		return shown, all, strings.Join(fields[6:], " ")
	}
	every, all, _ := try(`{}`)
	if every != all || all < 300 {
		t.Errorf("without a filter %d of %d checks are shown", every, all)
	}
	high, _, rest := try(`{severity: "4", state: "fail"}`)
	if severities, _, _ := strings.Cut(rest, " "); high == 0 || high == all || strings.Trim(severities, "45") != "" {
		t.Errorf("high and worse: %d checks of %s", high, rest)
	}
	both, _, rest := try(`{pillar: "database"}`)
	if both == 0 || both >= high || !strings.HasSuffix(rest, " database") {
		t.Errorf("of one pillar: %d checks of %s", both, rest)
	}
	if hit, _, _ := try(`{words: "onerror=alert"}`); hit == 0 || hit > both {
		t.Errorf("by a word: %d checks", hit)
	}
	if none, _, _ := try(`{words: "no such word"}`); none != 0 {
		t.Errorf("by a word that is not there: %d checks", none)
	}
	if again, _, _ := try(`{words: "", pillar: "", severity: "", state: ""}`); again != all {
		t.Errorf("without filters again: %d of %d checks", again, all)
	}
}
