package scan

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// hostile are names that a server may hold.
var hostile = []string{
	`<script>alert(1)</script>`, "shop;touch x;#", "a|b|c", "\x1b[31mred\x1b[0m", "line\nbreak", "x' OR '1'='1", `"quoted"`, "]]>", "--><b>", "=1+1", "\u202egnp.exe", "[l](http://x)",
	"https://evil.example/x.js", "`code`",
}

// hostileReport is a report in which every text that a server gives is hostile.
func hostileReport() *Report {
	r := &Report{
		Evidence: &catalog.Evidence{Taken: time.Unix(0, 0), Server: &catalog.Server{ServerVersion: hostile[0], Address: hostile[3], VersionNum: 150018, Access: catalog.Access{User: hostile[0]}}},
		FailOn:   High,
	}
	for i, name := range hostile {
		c := &Check{ID: "ROL-001", Meta: Meta{Pillar: "database", Severity: High, Title: "a title"}}
		j := Judged{Finding: Finding{Object: "role " + name, Evidence: name, Place: name, Fix: "ALTER ROLE " + quoteIdent(name), Severity: High}}
		if i == 0 {
			j.Waiver = &Waiver{Reason: name, Owner: name, Expires: "2027-01-01"}
		}
		r.Results = append(r.Results, Result{Check: c, State: Failed, Findings: []Judged{j}}, Result{Check: c, State: NotEvaluated, Reason: name, Unlock: name})
	}
	return r
}

func write(t *testing.T, format string) string {
	t.Helper()
	var b bytes.Buffer
	if err := hostileReport().Write(&b, format); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestHostileHTML: incumbents' reports let <script> through and load fonts from elsewhere.
func TestHostileHTML(t *testing.T) {
	page := write(t, "html")
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("%d script elements, expected our own", n)
	}
	if strings.Contains(page, "<b>") || strings.ContainsRune(page, '\x1b') {
		t.Error("a name got through unescaped")
	}
	// Nothing is fetched: no source, link or style from anywhere.
	if m := regexp.MustCompile(`(?i)(src|href|action)\s*=|url\(|@import|<link|<iframe|<img`).FindString(page); m != "" {
		t.Errorf("the page has %q", m)
	}
	if !strings.Contains(page, sourceHash(reportScript)) || !strings.Contains(page, reportScript) {
		t.Error("the content policy names another script than the one that is there")
	}
	if !strings.Contains(page, "default-src 'none'") {
		t.Error("the content policy is missing")
	}
}

func TestHostileText(t *testing.T) {
	for _, format := range []string{"table", "markdown"} {
		text := write(t, format)
		if strings.ContainsRune(text, '\x1b') || strings.ContainsRune(text, '\u202e') {
			t.Errorf("%s: a terminal escape got through", format)
		}
	}
	for _, l := range strings.Split(write(t, "markdown"), "\n") {
		if strings.HasPrefix(l, "| high") && len(regexp.MustCompile(`(^|[^\\])\|`).FindAllString(l, -1)) != 6 {
			t.Errorf("a name made cells of its own: %s", l)
		}
		if strings.Contains(l, "<script") || regexp.MustCompile(`[^\\]\]\(`).MatchString(l) {
			t.Errorf("markup got through: %s", l)
		}
	}
}

func TestMachineFormats(t *testing.T) {
	var sarif struct {
		Version string
		Runs    []struct {
			Results []struct {
				Locations           []any
				PartialFingerprints map[string]string
				Suppressions        []any
			}
		}
	}
	if err := json.Unmarshal([]byte(write(t, "sarif")), &sarif); err != nil {
		t.Fatal(err)
	}
	if sarif.Version != "2.1.0" || len(sarif.Runs[0].Results) != len(hostile) || len(sarif.Runs[0].Results[0].Suppressions) != 1 {
		t.Errorf("SARIF has version %s and %d results", sarif.Version, len(sarif.Runs[0].Results))
	}
	for _, r := range sarif.Runs[0].Results {
		if len(r.Locations) != 1 || r.PartialFingerprints["postern/v1"] == "" {
			t.Error("a result has no place or no fingerprint")
		}
	}
	d := xml.NewDecoder(strings.NewReader(write(t, "junit")))
	for {
		if _, err := d.Token(); err != nil {
			if err != io.EOF {
				t.Errorf("JUnit: %v", err)
			}
			break
		}
	}
	back, err := ReadReport(strings.NewReader(write(t, "json")))
	if err != nil || len(back.Results) != 2*len(hostile) || back.Results[0].Findings[0].Object != "role "+hostile[0] {
		t.Errorf("the JSON report does not read back: %v", err)
	}
}

// TestSnapshotReadsBack: what is saved is what was judged.
func TestSnapshotReadsBack(t *testing.T) {
	e := hostileReport().Evidence
	e.Format = catalog.EvidenceFormat
	var b bytes.Buffer
	if err := WriteSnapshot(&b, e); err != nil {
		t.Fatal(err)
	}
	back, err := ReadSnapshot(&b)
	if err != nil || back.Server.ServerVersion != hostile[0] {
		t.Errorf("%v", err)
	}
	if _, err := ReadSnapshot(strings.NewReader(`{"Format": 99}`)); err == nil {
		t.Error("a snapshot of another format was taken")
	}
}
