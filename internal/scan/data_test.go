package scan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// rows reads a table and fails the test when it is malformed.
func rows(t *testing.T, text string) []map[string]string {
	t.Helper()
	out, err := table(text)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range out {
		for name, cell := range r {
			if cell != strings.TrimSpace(cell) {
				t.Errorf("row %d, %s: blanks around %q", i+2, name, cell)
			}
		}
	}
	return out
}

func unique(t *testing.T, rs []map[string]string, column string) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range rs {
		if seen[r[column]] {
			t.Errorf("%s %q stands twice", column, r[column])
		}
		seen[r[column]] = true
	}
}

func TestChecksTable(t *testing.T) {
	rs := rows(t, checksTable)
	unique(t, rs, "id")
	unique(t, rs, "title")
	id := regexp.MustCompile(`^(NET|HBA|TLS|ROL|PRV|RLS|FUN|EXT|LOG|PAT|SEC|DAT|REP|META)-\d{3}$`)
	method := regexp.MustCompile(`^[PLMGSFON]([+/][PLMGSFON])*: `)
	inputs := []string{"policy", "labels", "fleet", "standby", "environment", "optin", "waivers", "baseline"}
	for _, r := range rs {
		if !id.MatchString(r["id"]) || !method.MatchString(r["method"]) || !slices.Contains(pillars, r["pillar"]) || !slices.Contains([]string{"y", "p", "n"}, r["autofix"]) {
			t.Errorf("%s: a cell is outside its closed set", r["id"])
		}
		for _, in := range list(r["inputs"]) {
			if !slices.Contains(inputs, in) {
				t.Errorf("%s: input %q", r["id"], in)
			}
		}
		for _, s := range list(r["stig_cd16"]) {
			if !strings.HasPrefix(s, "SV-") {
				t.Errorf("%s: STIG %q", r["id"], s)
			}
		}
	}
	if _, order, err := Catalogue(); err != nil || len(order) != len(rs) {
		t.Errorf("the catalogue has %d checks of %d: %v", len(order), len(rs), err)
	}
}

func TestReleasesTable(t *testing.T) {
	newest := map[string]string{}
	last := map[string][2]string{}
	for _, r := range rows(t, releasesTable) {
		if r["kind"] != "minor" {
			continue
		}
		major, minor, err := splitVersion(r["version"])
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprint(major)
		if before, ok := last[key]; ok {
			_, was, _ := splitVersion(before[0])
			gap := minor - was
			if gap != 1 && !(r["version"] == "18.6" && was == 4) || r["date"] < before[1] {
				t.Errorf("%s of %s after %s of %s", r["version"], r["date"], before[0], before[1])
			}
		}
		last[key] = [2]string{r["version"], r["date"]}
		newest[key] = r["version"]
	}
	asOf, _ := time.Parse(time.DateOnly, dataDay) // a constant
	for _, r := range rows(t, releasesTable) {
		if r["kind"] != "major" {
			continue
		}
		if n := newest[r["major"]]; n != "" && n != r["latest_known"] {
			t.Errorf("major %s: latest_known %s, newest row %s", r["major"], r["latest_known"], n)
		}
		if eol, err := time.Parse(time.DateOnly, r["eol"]); err == nil && !asOf.Before(eol) != (r["status"] == "eol") {
			t.Errorf("major %s: status %s, eol %s", r["major"], r["status"], r["eol"])
		}
	}
}

func TestCVEsTable(t *testing.T) {
	a, err := Bundled()
	if err != nil {
		t.Fatal(err)
	}
	rs := rows(t, cvesTable)
	unique(t, rs, "cve")
	minors := map[string]string{}
	for _, m := range a.Minors {
		minors[fmt.Sprintf("%d.%d", m.Major, m.Minor)] = m.Date.Format(time.DateOnly)
	}
	for _, r := range rs {
		if !regexp.MustCompile(`^CVE-\d{4}-\d{4,}$`).MatchString(r["cve"]) {
			t.Errorf("%q is no CVE", r["cve"])
		}
		majors, fixed := list(r["affected_majors"]), list(r["fixed_in"])
		if len(majors) != len(fixed) {
			t.Errorf("%s: %d majors, %d versions", r["cve"], len(majors), len(fixed))
			continue
		}
		before := 0
		for i, v := range fixed {
			major, minor, err := splitVersion(v)
			if err != nil || fmt.Sprint(major) != strings.ReplaceAll(majors[i], "9.", "90") || inTime(major) <= before {
				t.Errorf("%s: %s beside %s", r["cve"], v, majors[i])
			}
			before = inTime(major)
			if m := a.Major(major); m == nil || minor > m.Latest {
				t.Errorf("%s: %s is above the newest known", r["cve"], v)
			}
			if r["published"] >= "2023-11-09" && minors[v] != r["published"] {
				t.Errorf("%s: %s was released on %q, not %s", r["cve"], v, minors[v], r["published"])
			}
		}
		if (r["cvss"] == "") != (r["cvss_source"] == "") {
			t.Errorf("%s: a score and its source go together", r["cve"])
		}
	}
}

// inTime orders majors as they were released: 906 is 9.6.
func inTime(major int) int {
	if major > 100 {
		return major / 100
	}
	return major
}

// TestVersionsAreNumbers: 15.20 is newer than 15.9, which decimals deny.
func TestVersionsAreNumbers(t *testing.T) {
	a, err := Bundled()
	if err != nil {
		t.Fatal(err)
	}
	old, _ := a.Open(15, 9, "server")
	current, _ := a.Open(15, 20, "server")
	if len(old) == 0 || len(current) != 0 {
		t.Errorf("15.9 has %d open, 15.20 has %d", len(old), len(current))
	}
	for version, want := range map[[2]int]int{{15, 18}: 66, {15, 19}: 42, {18, 4}: 28, {17, 10}: 25} {
		if open, _ := a.Open(version[0], version[1], "server", "client", "contrib", "pl"); len(open) != want {
			t.Errorf("%d.%d: %d open by upstream number, the page of the data says %d", version[0], version[1], len(open), want)
		}
	}
}

// TestEveryRowIsAccountedFor: each check of the catalogue is in this version, once.
func TestEveryRowIsAccountedFor(t *testing.T) {
	checks, err := Checks()
	if err != nil {
		t.Fatal(err)
	}
	_, order, err := Catalogue()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for _, c := range checks {
		ids[c.ID]++
	}
	for _, id := range order {
		if ids[id] != 1 {
			t.Errorf("%s is listed %d times", id, ids[id])
		}
	}
}

// TestCheckWithoutVerdict: a check that forgets to come to one is not taken for passed.
func TestCheckWithoutVerdict(t *testing.T) {
	c := &Check{ID: "X-001", Meta: Meta{Need: parseNeed("N")}, Eval: nothingSaid}
	if r := judge(c, noEvidence, &Env{}); r.State != NotEvaluated || !r.Broken {
		t.Errorf("is %s", r.State)
	}
}
