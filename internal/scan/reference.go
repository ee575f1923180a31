package scan

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// absentBecause says in one sentence why this version does not have a check of the catalogue. Those that are not listed are absent for the
// reason of their kind.
var absentBecause = map[string]string{
	"ROL-015": "Testing verifiers against a list of passwords (--try-passwords) is not built yet.",
	"ROL-018": "Which roles are people must be declared, and this version reads no declaration.",
	"TLS-004": "What an OpenSSL expression admits is decided by handshakes, and the list of suites needs the outside probe's own ClientHello.",
	"TLS-005": "What an OpenSSL expression admits is decided by handshakes, and the list of suites needs the outside probe's own ClientHello.",
	"TLS-038": "Whether GSSAPI encryption is wanted must be declared, and this version reads no declaration.",
	"TLS-042": "The server does not tell which OpenSSL it runs with; that needs the host.",
	"DAT-006": "Compares rights over labelled and other tables; waits for labels from discover.",
	"DAT-007": "Waits for labels from discover.",
	"DAT-009": "Reading other sessions' statements for keys needs care with what is kept; it comes with --sample-data.",
	"REP-007": "Comparing a standby with its primary comes with --fleet.",
	"REP-008": "Comparing a standby with its primary comes with --fleet.",
	"REP-009": "Waits for labels from discover.",
	"REP-013": "How administrators come in must be declared, and this version reads no declaration.",
	"LOG-027": "Waits for labels from discover.",
	"RLS-017": "Waits for labels from discover.",
	"EXT-011": "Needs a sample of encrypted values, which comes with --sample-data.",
}

// Absent says why a check of the catalogue is not in this version.
func Absent(id string, m *Meta) string {
	if why := absentBecause[id]; why != "" {
		return why
	}
	switch {
	case m.Need.involves("O"):
		return "Needs the operating system of the server's host, which this version does not look at."
	case m.Need.involves("F"):
		return "Needs files of the server's host, which this version does not look at."
	case m.Need.involves("P"):
		return "Needs more of the outside probe than this version asks: suites and groups one by one, or several endpoints compared."
	case slices.Contains(m.Inputs, "policy"):
		return "Compares the server with what the site declares, and this version reads no declaration."
	case slices.Contains(m.Inputs, "optin"):
		return "Needs a sample of stored values, which comes with --sample-data."
	case slices.Contains(m.Inputs, "labels"):
		return "Waits for labels from discover."
	}
	return ""
}

// WriteReference writes the reference page of the checks, as Markdown.
func WriteReference(w io.Writer) error {
	checks, err := Checks()
	if err != nil {
		return err
	}
	meta, order, err := Catalogue()
	if err != nil {
		return err
	}
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) } // a Builder does not fail
	line("# The checks of postern scan\n")
	line("<!-- generated from the code; run: go test ./test/scan -run Reference -update -->\n")
	line("%d of the %d checks of the catalogue are in this version; [the others](#not-in-this-version) are listed at the end with the reason.", len(checks), len(order))
	line("`postern scan explain ID` prints an entry. What a check needs: `P` the outside probe, `L` any login, `M` pg_monitor, `G` the granted")
	line("views, `S` superuser or the verifier function, `F` files of the host, `O` its operating system, `N` nothing; `+` is and, `/` is or.\n")
	line("A reference says that a check bears on a requirement, not that passing fulfils it. Numbers belong to the version of the benchmark they")
	line("stand with.\n")
	for _, area := range []string{"NET", "HBA", "TLS", "ROL", "PRV", "RLS", "FUN", "EXT", "LOG", "PAT", "SEC", "DAT", "REP", "META"} {
		line("## %s\n", area)
		for i := range checks {
			if c := &checks[i]; strings.HasPrefix(c.ID, area+"-") {
				entry(line, c)
			}
		}
	}
	line("## Not in this version\n\n| check | severity | title | why |\n|---|---|---|---|")
	for _, id := range order {
		if !slices.ContainsFunc(checks, func(c Check) bool { return c.ID == id }) {
			m := meta[id]
			line("| %s | %s | %s | %s |", id, m.Severity, markdown(m.Title), Absent(id, &m))
		}
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func entry(line func(string, ...any), c *Check) {
	line("### %s %s\n", c.ID, markdown(c.Title))
	line("%s %s, %s%s. %s\n", strings.ToUpper(c.Severity.String()[:1])+c.Severity.String()[1:], "severity", "pillar "+c.Pillar, prefixed("; ", c.SeverityRule), c.Why)
	line("- looks at: %s", markdown(c.Method))
	line("- needs: `%s`%s; versions: %s", c.Need, prefixed(", and ", string(c.Consent)), markdown(c.Versions))
	line("- remedy: %s%s", markdown(c.Remedy), map[string]string{"y": "", "p": " (after a choice)", "n": " (not from here)"}[c.Autofix])
	by := map[string][]string{}
	var names []string
	for _, r := range c.References {
		name := r.Benchmark + " " + r.Version
		if by[name] == nil {
			names = append(names, name)
		}
		by[name] = append(by[name], r.Number)
	}
	for _, n := range names {
		line("- %s: %s", n, strings.Join(by[n], ", "))
	}
	line("")
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
