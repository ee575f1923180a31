package scan

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// Formats are the forms of a report.
var Formats = []string{"table", "json", "sarif", "junit", "markdown", "html"}

// Write writes the report in one of Formats other than table, which needs a terminal's width and colours (WriteTable).
func (r *Report) Write(w io.Writer, format string) error {
	switch format {
	case "json":
		return r.WriteJSON(w)
	case "sarif":
		return r.writeSARIF(w)
	case "junit":
		return r.writeJUnit(w)
	case "markdown":
		return r.writeMarkdown(w)
	case "html":
		return r.writeHTML(w)
	case "table":
		return r.WriteTable(w, Table{All: true})
	}
	return fmt.Errorf("there is no report format %q", format)
}

// Printable makes text from a server safe to show: control characters and those that reorder text become escapes.
func Printable(s string) string {
	bad := func(r rune) bool {
		return r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0xfeff
	}
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if bad(c) {
			_, _ = fmt.Fprintf(&b, "\\u%04x", c) // a Builder does not fail
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// subject says what was scanned, in one line.
func (r *Report) subject() string {
	s := r.Evidence.Server
	if s == nil {
		if len(r.Evidence.Outside) > 0 {
			return outsideSubject(r.Evidence.Outside)
		}
		return "nothing"
	}
	out := fmt.Sprintf("PostgreSQL %s at %s as %s", s.ServerVersion, s.Address, s.Access.User)
	if s.InRecovery {
		out += ", a standby"
	}
	if p := ProviderOf(r.Evidence); p != nil {
		out += ", " + p.Name + " (profile not confirmed on a live instance)"
	}
	return out
}

// outsideSubject names the endpoints with what they tell of their version.
func outsideSubject(endpoints []*catalog.Outside) string {
	var out []string
	for _, o := range endpoints {
		s := o.Endpoint + ", from outside"
		if v := o.Version.String(); v != "" {
			s += ": " + v
		} else if o.Version != nil {
			s += ": " + o.Version.Because
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

// each calls f for every finding, worst first, and the catalogue's order within a severity. Waived ones come last when all are wanted.
func (r *Report) each(all bool, f func(*Result, *Judged)) {
	for s := Critical; s >= Info; s-- {
		r.findings(func(res *Result, j *Judged) {
			if j.Severity == s && j.Waiver == nil {
				f(res, j)
			}
		})
	}
	if all {
		r.findings(func(res *Result, j *Judged) {
			if j.Waiver != nil {
				f(res, j)
			}
		})
	}
}

func (r *Report) findings(f func(*Result, *Judged)) {
	for i := range r.Results {
		for k := range r.Results[i].Findings {
			f(&r.Results[i], &r.Results[i].Findings[k])
		}
	}
}

// junit types, as CI systems read them.
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Name    string       `xml:"name,attr"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"timestamp,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Failure *junitMessage `xml:"failure,omitempty"`
	Error   *junitMessage `xml:"error,omitempty"`
	Skipped *junitMessage `xml:"skipped,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (r *Report) writeJUnit(w io.Writer) error {
	out := junitSuites{Name: "postern scan"}
	byPillar := map[string]*junitSuite{}
	for _, p := range pillars {
		byPillar[p] = &junitSuite{Name: p, Time: r.Evidence.Taken.UTC().Format("2006-01-02T15:04:05")}
	}
	for i := range r.Results {
		res := &r.Results[i]
		s := byPillar[res.Check.Pillar]
		c := junitCase{Class: "postern.scan." + res.Check.Pillar, Name: res.Check.ID + " " + res.Check.Title}
		s.Tests++
		switch {
		case res.State == Failed && res.Worst() != SeverityUnset:
			s.Failures++
			var lines []string
			for _, f := range res.Findings {
				lines = append(lines, Printable(fmt.Sprintf("%s: %s: %s", f.Severity, f.Object, f.Evidence)))
			}
			c.Failure = &junitMessage{Message: fmt.Sprintf("%d findings", len(res.Findings)), Text: strings.Join(lines, "\n")}
		case res.State == Failed:
			s.Skipped++
			c.Skipped = &junitMessage{Message: "waived"}
		case res.State == NotEvaluated && res.Broken:
			s.Errors++
			c.Error = &junitMessage{Message: Printable(res.Reason)}
		case res.State != Passed:
			s.Skipped++
			c.Skipped = &junitMessage{Message: Printable(string(res.State) + ": " + res.Reason)}
		}
		s.Cases = append(s.Cases, c)
	}
	for _, p := range pillars {
		out.Suites = append(out.Suites, *byPillar[p])
	}
	out.Suites = append(out.Suites, r.junitBenchmarks()...)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// pillars in the order of the catalogue.
var pillars = []string{"network", "transport", "database", "best-practice"}

// markdown makes text safe in a Markdown table.
func markdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "@", "&#64;").
		Replace(Printable(s))
}

func (r *Report) writeMarkdown(w io.Writer) error {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) } // a Builder does not fail
	line("# Posture of %s\n", markdown(r.subject()))
	line("**%s**. Advisory tables of %s.\n", r.Score(), r.Advisories.Format(time.DateOnly))
	open, waived := r.Counts()
	line("| critical | high | medium | low | info | waived |\n|---|---|---|---|---|---|")
	line("| %d | %d | %d | %d | %d | %d |\n", open[Critical], open[High], open[Medium], open[Low], open[Info], waived)
	line("## Findings\n\n| severity | check | object | evidence | fix |\n|---|---|---|---|---|")
	r.each(true, func(res *Result, f *Judged) {
		severity := f.Severity.String()
		if f.Waiver != nil {
			severity = "waived until " + f.Waiver.Expires
		}
		line("| %s | %s %s | %s | %s | %s |", markdown(severity), res.Check.ID, markdown(res.Check.Title), markdown(f.Object), markdown(f.Evidence), markdown(f.Fix))
	})
	line("\n## Not evaluated\n\n| check | why |\n|---|---|")
	for i := range r.Results {
		if res := &r.Results[i]; res.State == NotEvaluated {
			line("| %s %s | %s |", res.Check.ID, markdown(res.Check.Title), markdown(res.Reason))
		}
	}
	r.markdownBenchmarks(line)
	_, err := io.WriteString(w, b.String())
	return err
}
