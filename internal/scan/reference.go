package scan

import (
	"fmt"
	"io"
	"strings"
)

// WriteReference writes the reference page of the checks, as Markdown.
func WriteReference(w io.Writer) error {
	checks, err := Checks()
	if err != nil {
		return err
	}
	_, order, err := Catalogue()
	if err != nil {
		return err
	}
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) } // a Builder does not fail
	line("# The checks of postern scan\n")
	line("<!-- generated from the code; run: go test ./test/scan -run Reference -update -->\n")
	line("%d of the %d checks of the catalogue are in this version.", len(checks), len(order))
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
