package scan

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Table says how the terminal report looks.
type Table struct {
	All    bool // every finding and all that was not evaluated; else the worst, on one screen
	Colour bool
}

// screenful is how many findings the short report shows.
const screenful = 12

// style wraps text in an SGR code.
func (t Table) style(code, s string) string {
	if !t.Colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// severityStyle are the SGR codes: red, red, yellow; the word itself always stands there.
var severityStyle = map[Severity]string{Critical: "1;31", High: "31", Medium: "33", Low: "2", Info: "2"}

// WriteTable writes the report for a person at a terminal: one screen, or everything with All.
func (r *Report) WriteTable(w io.Writer, t Table) error {
	var b strings.Builder
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) } // a Builder does not fail
	line("%s", t.style("1", Printable(r.subject())))
	line("%s", t.scoreLine(r))
	line("")
	shown, hidden := 0, 0
	last := map[string]bool{} // checks that the short report has shown
	r.each(t.All, func(res *Result, f *Judged) {
		if !t.All && (last[res.Check.ID] || shown == screenful) {
			if !last[res.Check.ID] {
				hidden++
				last[res.Check.ID] = true
			}
			return
		}
		shown++
		last[res.Check.ID] = true
		t.finding(line, res, f)
	})
	if shown == 0 {
		line("no findings")
	}
	if hidden > 0 {
		line("%s", t.style("2", fmt.Sprintf("and %d more checks failed: -v shows every finding", hidden)))
	}
	line("")
	t.unseen(r, line)
	for _, gone := range r.Gone {
		line("fixed    %s", Printable(gone))
	}
	for _, id := range r.LostSight {
		line("lost     %s was evaluated in the baseline and is not now", id)
	}
	t.benchmarks(r, line)
	_, err := io.WriteString(w, b.String())
	return err
}

// finding shows one finding; the short report says how many more its check has.
func (t Table) finding(line func(string, ...any), res *Result, f *Judged) {
	severity, after := f.Severity.String(), ""
	if f.Waiver != nil {
		severity = "waived"
	}
	if f.Change != "" && f.Change != ChangeKnown {
		after = " (" + f.Change + ")"
	}
	if n := len(res.Findings); !t.All && n > 1 {
		after += t.style("2", fmt.Sprintf(" and %d more", n-1))
	}
	line("%s %s  %s%s", t.style(severityStyle[f.Severity], fmt.Sprintf("%-8s", severity)), res.Check.ID, t.style("1", Printable(f.Object)), after)
	line("         %s", Printable(f.Evidence))
	if f.Fix != "" {
		line("         %s %s", t.style("2", "fix:"), Printable(f.Fix))
	}
}

// scoreLine is the score with the counts.
func (t Table) scoreLine(r *Report) string {
	open, waived := r.Counts()
	var counts []string
	for s := Critical; s >= Info; s-- {
		if open[s] > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", open[s], s))
		}
	}
	if waived > 0 {
		counts = append(counts, fmt.Sprintf("%d waived", waived))
	}
	if len(counts) == 0 {
		counts = []string{"no findings"}
	}
	return r.Score().String() + " · " + strings.Join(counts, ", ")
}

// unseen says what was not looked at, and what would change that.
func (t Table) unseen(r *Report, line func(string, ...any)) {
	states := r.States()
	line("%d checks: %d passed, %d failed, %d not evaluated, %d not applicable; advisory tables of %s",
		len(r.Results), states[Passed], states[Failed], states[NotEvaluated], states[NotApplicable], r.Advisories.Format(time.DateOnly))
	if r.Missing > 0 {
		line("%d more of the catalogue are not in this version", r.Missing)
	}
	for i, u := range r.Unlocks() {
		if i == 3 && !t.All {
			break
		}
		line("%s %s", t.style("2", fmt.Sprintf("%2d more with:", u.Checks)), Printable(u.How))
	}
	if r.Evidence.Lost != "" {
		line("%s %s", t.style("31", "incomplete:"), Printable(r.Evidence.Lost))
	}
	t.notSeen(r, line)
	if !t.All {
		return
	}
	line("")
	for i := range r.Results {
		if res := &r.Results[i]; res.State == NotEvaluated {
			line("%-8s %s  %s", "unknown", res.Check.ID, Printable(res.Reason))
		}
	}
}

// notSeen lists the facts that are missing, those with one cause on one line.
func (t Table) notSeen(r *Report, line func(string, ...any)) {
	unseen := r.Evidence.Unseen
	for i := 0; i < len(unseen); {
		u, facts := &unseen[i], []string{}
		for ; i < len(unseen) && unseen[i].Database == u.Database && unseen[i].Why == u.Why; i++ {
			facts = append(facts, string(unseen[i].Fact))
		}
		if u.Database != "" || u.Broken {
			line("%s %s%s: %s", t.style("33", "not seen:"), strings.Join(facts, ", "), inDatabase(u.Database), Printable(u.Why))
		}
	}
}

func inDatabase(name string) string {
	if name == "" {
		return ""
	}
	return " in database " + Printable(name)
}
