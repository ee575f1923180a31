package scan

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Advisories are the tables of vulnerabilities and releases. They are bundled and dated; no network is used.
type Advisories struct {
	CVEs   []CVE
	Majors []Major
	Minors []Minor
}

// CVE is one vulnerability of PostgreSQL.
type CVE struct {
	ID         string
	Published  time.Time
	Component  string
	Fixed      map[int]int // major -> first fixed minor
	Score      float64     // 0 when none is known
	Title      string
	Scope      []string // server client contrib pl
	Extensions []string
	Tags       []string
	Unverified []int // majors for which the row is not confirmed
}

// Major is a major release.
type Major struct {
	Number   int
	EOL      time.Time // zero when unknown
	Latest   int       // newest known minor
	Verified bool      // Latest was confirmed to be the newest
}

// Minor is a minor release.
type Minor struct {
	Major, Minor int
	Date         time.Time
}

// Bundled returns the tables that this version was built with.
func Bundled() (*Advisories, error) { return ParseAdvisories(cvesTable, releasesTable) }

// NewerAdvisories reads tables that replace bundled ones. Each says by its first column which it is: cve for vulnerabilities, kind
// for releases. The bundled one stands where none is given.
func NewerAdvisories(texts ...string) (*Advisories, error) {
	cves, releases := cvesTable, releasesTable
	var seen [2]bool
	for _, text := range texts {
		first, _, _ := strings.Cut(text, "\n")
		column, _, _ := strings.Cut(strings.TrimRight(first, "\r"), "\t")
		var at int
		switch column {
		case "cve":
			cves = text
		case "kind":
			releases, at = text, 1
		default:
			return nil, fmt.Errorf("read the advisories: line 1: the first column is %q, expected cve for vulnerabilities or kind for releases", column)
		}
		if seen[at] {
			return nil, fmt.Errorf("read the advisories: two tables begin with the column %q", column)
		}
		seen[at] = true
	}
	return ParseAdvisories(cves, releases)
}

// ParseAdvisories reads the two tables.
func ParseAdvisories(cves, releases string) (*Advisories, error) {
	var a Advisories
	rows, err := table(cves)
	if err != nil {
		return nil, fmt.Errorf("read the table of vulnerabilities: %w", err)
	}
	for _, row := range rows {
		c, err := cveOf(row)
		if err != nil {
			return nil, fmt.Errorf("read the table of vulnerabilities: %s: %w", row["cve"], err)
		}
		a.CVEs = append(a.CVEs, c)
	}
	if rows, err = table(releases); err != nil {
		return nil, fmt.Errorf("read the table of releases: %w", err)
	}
	for _, row := range rows {
		if err := a.addRelease(row); err != nil {
			return nil, fmt.Errorf("read the table of releases: %s: %w", row["version"], err)
		}
	}
	return &a, nil
}

func cveOf(row map[string]string) (CVE, error) {
	c := CVE{
		ID: row["cve"], Component: row["component"], Title: row["title"], Scope: list(row["scope"]), Extensions: list(row["extension"]),
		Tags: list(row["tags"]), Fixed: map[int]int{},
	}
	var err error
	if c.Published, err = time.Parse(time.DateOnly, row["published"]); err != nil {
		return c, err
	}
	if row["cvss"] != "" {
		if c.Score, err = strconv.ParseFloat(row["cvss"], 64); err != nil {
			return c, err
		}
	}
	for _, v := range list(row["fixed_in"]) {
		major, minor, err := splitVersion(v)
		if err != nil {
			return c, err
		}
		c.Fixed[major] = minor
	}
	for _, v := range list(row["unverified_majors"]) {
		major, err := strconv.Atoi(v)
		if err != nil {
			return c, err
		}
		c.Unverified = append(c.Unverified, major)
	}
	return c, nil
}

// splitVersion reads 15.20 as two whole numbers; before 10 the major had two parts, and 9.6.24 is 906 and 24.
func splitVersion(v string) (major, minor int, err error) {
	parts := strings.Split(v, ".")
	nums := make([]int, len(parts))
	for i, p := range parts {
		if nums[i], err = strconv.Atoi(p); err != nil {
			return 0, 0, fmt.Errorf("version %q: %w", v, err)
		}
	}
	switch {
	case len(nums) == 2 && nums[0] >= 10:
		return nums[0], nums[1], nil
	case len(nums) == 3 && nums[0] < 10:
		return nums[0]*100 + nums[1], nums[2], nil
	}
	return 0, 0, fmt.Errorf("version %q is not major.minor", v)
}

func (a *Advisories) addRelease(row map[string]string) error {
	if row["kind"] == "minor" {
		major, minor, err := splitVersion(row["version"])
		if err != nil {
			return err
		}
		day, err := time.Parse(time.DateOnly, row["date"])
		a.Minors = append(a.Minors, Minor{Major: major, Minor: minor, Date: day})
		return err
	}
	m := Major{Verified: row["latest_verified"] == "yes"}
	number := row["major"]
	if strings.HasPrefix(number, "9.") {
		number = strings.Replace(number, ".", "0", 1)
	}
	var err error
	if m.Number, err = strconv.Atoi(number); err != nil {
		return err
	}
	if row["eol"] != "" {
		if m.EOL, err = time.Parse(time.DateOnly, row["eol"]); err != nil {
			return err
		}
	}
	if row["latest_known"] != "" {
		if _, m.Latest, err = splitVersion(row["latest_known"]); err != nil {
			return err
		}
	}
	a.Majors = append(a.Majors, m)
	return nil
}

// dataDay is the day on which the bundled tables were made.
const dataDay = "2026-11-22"

// AsOf is the day of the data: the newest of the tables' own day, their newest release and their newest publication.
func (a *Advisories) AsOf() time.Time {
	newest, _ := time.Parse(time.DateOnly, dataDay) // a constant
	for _, c := range a.CVEs {
		if c.Published.After(newest) {
			newest = c.Published
		}
	}
	for _, m := range a.Minors {
		if m.Date.After(newest) {
			newest = m.Date
		}
	}
	return newest
}

// Major returns what is known of a major, or nil.
func (a *Advisories) Major(number int) *Major {
	for i := range a.Majors {
		if a.Majors[i].Number == number {
			return &a.Majors[i]
		}
	}
	return nil
}

// Open lists the vulnerabilities of a scope that a version has, worst first, and how many are unknown for its branch.
func (a *Advisories) Open(major, minor int, scope ...string) (open []CVE, unknown int) {
	for _, c := range a.CVEs {
		if !slices.ContainsFunc(scope, func(s string) bool { return slices.Contains(c.Scope, s) }) {
			continue
		}
		fixed, affected := c.Fixed[major]
		switch {
		case affected && minor < fixed:
			open = append(open, c)
		case !affected && slices.Contains(c.Unverified, major):
			unknown++
		}
	}
	slices.SortStableFunc(open, func(x, y CVE) int { return cmp.Or(cmp.Compare(y.weight(), x.weight()), cmp.Compare(x.ID, y.ID)) })
	return open, unknown
}

// weight puts a CVE without a score where a high one stands.
func (c *CVE) weight() float64 {
	if c.Score == 0 {
		return 7
	}
	return c.Score
}

// severityOf is the severity of the worst of some CVEs; one without a score counts as high.
func severityOf(cves []CVE) Severity {
	worst := Low
	for i := range cves {
		switch w := cves[i].weight(); {
		case w >= 9:
			worst = max(worst, Critical)
		case w >= 7:
			worst = max(worst, High)
		case w >= 4:
			worst = max(worst, Medium)
		}
	}
	return worst
}
