package scan

import (
	_ "embed" // the tables
	"fmt"
	"slices"
	"strconv"
	"strings"
)

//go:embed data/checks.tsv
var checksTable string

//go:embed data/postgres-cves.tsv
var cvesTable string

//go:embed data/postgres-releases.tsv
var releasesTable string

// Meta is a row of data/checks.tsv.
type Meta struct {
	Pillar       string
	Title        string
	Severity     Severity
	Need         Need
	Method       string
	Versions     string
	Remedy       string
	Autofix      string // y, p, n
	Settings     []string
	Inputs       []string
	SeverityRule string
	MinMajor     int
	MaxMajor     int // 0 for no bound
	References   []Reference
}

// Reference is a requirement of a benchmark that a check bears on. It never says that a passing check fulfils it.
type Reference struct{ Benchmark, Version, Number string }

// String is "CIS PostgreSQL 17 v1.1.0 5.2".
func (r Reference) String() string { return r.Benchmark + " " + r.Version + " " + r.Number }

// Need is a capability expression: all of the groups, in each group any of the letters.
type Need [][]byte

// parseNeed reads "M+F" and "L/P".
func parseNeed(expr string) Need {
	var n Need
	for _, group := range strings.Split(expr, "+") {
		n = append(n, []byte(strings.ReplaceAll(group, "/", "")))
	}
	return n
}

// String is the expression as it stands in the table.
func (n Need) String() string {
	var groups []string
	for _, g := range n {
		groups = append(groups, strings.Join(strings.Split(string(g), ""), "/"))
	}
	return strings.Join(groups, "+")
}

// table splits a tab-separated table into rows by column name.
func table(text string) ([]map[string]string, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	header := strings.Split(lines[0], "\t")
	var rows []map[string]string
	for i, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != len(header) {
			return nil, fmt.Errorf("line %d: %d cells, expected %d", i+2, len(cells), len(header))
		}
		row := map[string]string{}
		for j, name := range header {
			row[name] = cells[j]
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func list(cell string) []string {
	if cell == "" {
		return nil
	}
	return strings.Split(cell, ",")
}

// Catalogue returns the rows of data/checks.tsv by ID, and the IDs in the table's order.
func Catalogue() (map[string]Meta, []string, error) {
	rows, err := table(checksTable)
	if err != nil {
		return nil, nil, fmt.Errorf("read data/checks.tsv: %w", err)
	}
	out := map[string]Meta{}
	var order []string
	for _, row := range rows {
		m, err := metaOf(row)
		if err != nil {
			return nil, nil, fmt.Errorf("read data/checks.tsv: %s: %w", row["id"], err)
		}
		out[row["id"]] = m
		order = append(order, row["id"])
	}
	return out, order, nil
}

func metaOf(row map[string]string) (Meta, error) {
	severity, err := ParseSeverity(row["severity"])
	if err != nil {
		return Meta{}, err
	}
	expr, method, ok := strings.Cut(row["method"], ": ")
	if !ok {
		return Meta{}, fmt.Errorf("method %q names no capability", row["method"])
	}
	m := Meta{
		Pillar: row["pillar"], Title: row["title"], Severity: severity, Need: parseNeed(expr), Method: method, Versions: row["versions"],
		Remedy: row["remediation"], Autofix: row["autofix"], Settings: list(row["settings"]), Inputs: list(row["inputs"]),
		SeverityRule: row["severity_rule"],
	}
	for cell, into := range map[string]*int{"min_major": &m.MinMajor, "max_major": &m.MaxMajor} {
		if row[cell] == "" {
			continue
		}
		// 9.5 and the like are before every server this version talks to.
		if *into, err = strconv.Atoi(strings.Split(row[cell], ".")[0]); err != nil {
			return Meta{}, fmt.Errorf("%s %q: %w", cell, row[cell], err)
		}
	}
	for _, n := range list(row["cis_pg17_v1.1.0"]) {
		m.References = append(m.References, Reference{"CIS PostgreSQL", "17 v1.1.0", n}, Reference{"CIS PostgreSQL", "18 v1.0.0", n})
	}
	for _, n := range list(row["stig_cd16"]) {
		m.References = append(m.References, Reference{"STIG Crunchy Data Postgres", "16", n})
	}
	for _, n := range list(row["pci_dss_4"]) {
		m.References = append(m.References, Reference{"PCI DSS", "4", n})
	}
	slices.SortStableFunc(m.References, func(a, b Reference) int { return strings.Compare(a.Benchmark+a.Version, b.Benchmark+b.Version) })
	return m, nil
}
