package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
	"github.com/postern-sec/postern/internal/scan"
)

// A diff is applied by the program that everybody has for it, and shows nothing but what changes.
func TestBareDiff(t *testing.T) {
	t.Parallel()
	const before = "version: 1\nusers:\n  ana: {scram: \"SCRAM-SHA-256$4096:x\"}\nlabels:\n  a.b.c.d: one\nmasks: {m: {one: keep}}\n"
	for name, after := range map[string]string{
		"a line":       strings.Replace(before, "masks:", "  a.b.c.e: two\nmasks:", 1),
		"a longer one": strings.Replace(before, "{one: keep}", "{one: keep, two: hidden}", 1),
		"both and end": strings.Replace(strings.Replace(before, "masks:", "  a.b.c.e: two\n  a.b.c.f: two\nmasks:", 1), "keep}", "keep, two: hidden}", 1) + "verdicts:\n  x: {}\n",
		"the first":    "# a head\n" + before,
		"nothing":      before,
	} {
		diff, err := bareDiff("p.yaml", before, after)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if strings.Contains(diff, "SCRAM") || (diff == "") != (before == after) {
			t.Errorf("%s:\n%s", name, diff)
		}
		if diff == "" {
			continue
		}
		dir := t.TempDir()
		for file, text := range map[string]string{"p.yaml": before, "change.diff": diff} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		patch := exec.Command("patch", "p.yaml", "change.diff")
		patch.Dir = dir
		if out, err := patch.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s\n%s", name, err, out, diff)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "p.yaml")); err != nil || string(got) != after {
			t.Errorf("%s: patched it is\n%s\nand not\n%s", name, got, after)
		}
	}
	if diff, err := bareDiff("p.yaml", before, strings.Replace(before, "x\"}", "x\", attributes: {}}", 1)); err == nil {
		t.Errorf("a line with a verifier is shown:\n%s", diff)
	}
}

// A report is read once, and again when its file is another; what the policy says of a column counts from the next look on.
func TestReportsAreReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := &config.Config{
		Folder: dir, State: config.State{Folder: filepath.Join(dir, "state")}, Policy: &policy.Policy{}, Stores: map[string]*config.Store{"shop": {Name: "shop"}},
	}
	var told strings.Builder
	in := &insight{a: &app{ui: &ui{err: &told}}, now: func() (*config.Config, *policy.Policy) { return c, c.Policy }}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	columns := func() []portal.Discovered {
		t.Helper()
		out, err := in.Discovered(t.Context())
		if err != nil || len(out) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		return out[0].Columns
	}
	report := `{"columns": [{"schema": "public", "table": "payroll", "column": "iban", "class": "fin.iban", "confidence": 0.9}]}`
	write("discovered/shop.json", report)
	if got := columns(); len(got) != 1 || got[0].Class != "fin.iban" || got[0].Verdict != "" {
		t.Fatalf("%+v", got)
	}
	before := in.found[filepath.Join(dir, "discovered/shop.json")].report
	columns()
	if in.found[filepath.Join(dir, "discovered/shop.json")].report != before {
		t.Error("a report that stayed was read again")
	}
	c = &config.Config{Folder: dir, State: c.State, Policy: c.Policy, Stores: c.Stores}
	c.Discover.Verdicts = []config.Verdict{{Column: "shop.public.payroll.iban", By: "dora"}}
	if got := columns(); got[0].Verdict != discover.NotSensitive || got[0].By != "dora" {
		t.Errorf("a verdict that came is not seen: %+v", got)
	}
	write("discovered/shop.json", strings.Replace(report, "fin.iban", "fin.account_number", 1))
	if got := columns(); got[0].Class != "fin.account_number" {
		t.Errorf("a report that came is not seen: %+v", got)
	}

	points := func() int {
		t.Helper()
		out, err := in.Scans(t.Context())
		if err != nil || len(out) != 1 {
			t.Fatalf("%+v, %v", out, err)
		}
		return out[0].Points
	}
	run := `{"tool": "postern", "format": ` + fmt.Sprint(scan.ReportFormat) + `, "score": {"word": "fair", "points": %d}, "results": []}`
	write("scanned/shop/20261128T120000Z.json", fmt.Sprintf(run, 70))
	if got := points(); got != 70 {
		t.Errorf("%d points", got)
	}
	write("scanned/shop/20261128T120000Z.json", fmt.Sprintf(run, 100))
	if got := points(); got != 100 {
		t.Errorf("%d points of a report that came", got)
	}
	write("scanned/shop/20261128T110000Z.json", `{"tool": "postern", "sco`)
	for range 2 {
		if got := points(); got != 100 {
			t.Errorf("%d points beside a damaged report", got)
		}
	}
	at := time.Date(2026, 11, 28, 12, 0, 0, 1000, time.UTC)
	for i := range 2 { // within a second
		if err := keepScan(c, "shop", at.Add(time.Duration(i)*time.Millisecond), &scan.Report{Evidence: &catalog.Evidence{}}); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := filepath.Glob(filepath.Join(dir, "scanned/shop/*.json")); err != nil || len(kept) != 4 {
		t.Errorf("%v, %v", kept, err)
	}
	if said := told.String(); strings.Count(said, "is left out") != 1 || !strings.Contains(said, "20261128T110000Z.json") {
		t.Errorf("of the damaged one it says %q", said)
	}
}

// What is decided about several stores is one change, which the file loads with; what the file says otherwise is left to whoever decides.
func TestProposalOfSeveralStores(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const head = "version: 1\nstores:\n  crm: {engine: postgres, address: \"127.0.0.1:5432\"}\n  shop: {engine: postgres, address: \"127.0.0.1:5433\"}\n"
	column := func(table, name, typ string) string {
		mask := map[string]string{"text": "partial_email", "jsonb": "hidden"}[typ]
		return fmt.Sprintf(`{"schema": "public", "table": %q, "column": %q, "type": %q, "kind": "r", "class": "contact.email", "confidence": 1, "suggested_mask": %q, "suggested_label": "contact.email"}`, table, name, typ, mask)
	}
	write("discovered/crm.json", `{"columns": [`+column("people", "mail", "jsonb")+`,`+column("a.b", "mail", "text")+`]}`)
	write("discovered/shop.json", `{"columns": [`+column("people", "mail", "text")+`]}`)
	in := &insight{path: filepath.Join(dir, "postern.yaml")}
	choices := []portal.Choice{{Column: "crm.public.people.mail", Class: "contact.email"}, {Column: `crm.public."a.b".mail`, Class: "contact.email"}, {Column: "shop.public.people.mail", Class: "contact.email"}}
	for name, c := range map[string]struct {
		more string
		left int
	}{
		"nothing yet": {"", 0},
		"a verdict":   {"verdicts:\n  shop.public.people.mail: {class: none, by: eve}\n", 1},
	} {
		write("postern.yaml", head+c.more)
		out, err := in.Propose(t.Context(), "root", choices)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(out.Left) != c.left {
			t.Errorf("%s: left %q", name, out.Left)
		}
		write("change.diff", out.Diff)
		patch := exec.Command("patch", "postern.yaml", "change.diff")
		patch.Dir = dir
		if text, err := patch.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s\n%s", name, err, text, out.Diff)
		}
		now, err := in.load()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out.Diff)
		}
		if len(now.Policy.Labels) != 3 || len(now.Policy.Datasets["discovered"].Include) != 3 || len(now.Discover.Verdicts) != 3 {
			t.Errorf("%s:\n%s", name, out.Diff)
		}
		if !strings.Contains(out.Diff, "crm.public.people.mail: hidden") {
			t.Errorf("%s: a type that the mask does not fit has none of its own:\n%s", name, out.Diff)
		}
	}
	// What would not load beside the other files of a folder is refused.
	write("policy/discovered/shop.json", `{"columns": [`+column("people", "mail", "text")+`]}`)
	write("policy/a.yaml", head+"masks: {discovered: {\"*\": hidden}}\n")
	write("policy/b.yaml", "version: 1\nlabels: {crm.public.people.mail: contact.email}\n")
	in = &insight{path: filepath.Join(dir, "policy")}
	if out, err := in.Propose(t.Context(), "root", choices[2:]); err == nil || !strings.Contains(err.Error(), "would not load") {
		t.Errorf("proposed (%v): %+v", err, out)
	}
}
