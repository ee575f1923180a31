package scan

import (
	"fmt"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// Report is everything a run came to. All that is printed, the score and the exit code are computed from Results.
type Report struct {
	Evidence   *catalog.Evidence
	Advisories time.Time // the day of the advisory tables
	Results    []Result
	Missing    int      // checks of the catalogue that this version does not have
	Warnings   []string // about waivers and the baseline
	Gone       []string // findings of the baseline that are fixed: "ID object"
	LostSight  []string // checks that the baseline had evaluated and this run has not
	FailOn     Severity
	Never      bool
	Benchmark  string // one of Benchmarks whose table is wanted; "" for none
	demanded   bool   // a capability that --require names was missing
}

// The score's weights (start values) and caps.
var weights = map[Severity]int{Critical: 10, High: 6, Medium: 3, Low: 1, Info: 0}

const (
	capCritical = 49
	capHigh     = 79
)

// Score is the part of the evaluated weight that passed, with a word before it and the share that was not evaluated beside it.
type Score struct {
	Word        string `json:"word"`
	Points      int    `json:"points"`
	Unevaluated int    `json:"unevaluated_percent"` // of the checks that apply
	Evaluated   int    `json:"evaluated"`
	Applicable  int    `json:"applicable"`
}

// Score computes the score. Without an evaluated check there is none, and Word is "".
func (r *Report) Score() Score {
	var s Score
	passed, total := 0, 0
	worst := SeverityUnset
	for i := range r.Results {
		res := &r.Results[i]
		switch res.State {
		case NotApplicable:
			continue
		case NotEvaluated:
			s.Applicable++
			continue
		}
		s.Applicable++
		s.Evaluated++
		w := weights[res.Severity()]
		total += w
		open := res.Worst()
		if open == SeverityUnset {
			passed += w
		}
		worst = max(worst, open)
	}
	if s.Evaluated == 0 {
		return s
	}
	s.Points = 100
	if total > 0 {
		s.Points = passed * 100 / total
	}
	if worst >= Critical {
		s.Points = min(s.Points, capCritical)
	} else if worst == High {
		s.Points = min(s.Points, capHigh)
	}
	s.Unevaluated = (s.Applicable - s.Evaluated) * 100 / s.Applicable
	switch {
	case s.Points < 50:
		s.Word = "exposed"
	case s.Points < 70:
		s.Word = "weak"
	case s.Points < 90:
		s.Word = "fair"
	default:
		s.Word = "good"
	}
	return s
}

// String is "fair, 72 of 100, 19 % not evaluated".
func (s Score) String() string {
	if s.Word == "" {
		return "no score: nothing was evaluated"
	}
	return fmt.Sprintf("%s, %d of 100, %d %% not evaluated", s.Word, s.Points, s.Unevaluated)
}

// Severity is what a result weighs: its worst finding, or the check's own severity.
func (r *Result) Severity() Severity {
	worst := SeverityUnset
	for i := range r.Findings {
		worst = max(worst, r.Findings[i].Severity)
	}
	if worst == SeverityUnset {
		return r.Check.Severity
	}
	return worst
}

// Worst is the worst finding that no waiver covers, unset for none.
func (r *Result) Worst() Severity {
	worst := SeverityUnset
	for i := range r.Findings {
		if r.Findings[i].Waiver == nil {
			worst = max(worst, r.Findings[i].Severity)
		}
	}
	return worst
}

// Counts says how many findings there are of each severity, waived ones apart.
func (r *Report) Counts() (open map[Severity]int, waived int) {
	open = map[Severity]int{}
	for i := range r.Results {
		for _, f := range r.Results[i].Findings {
			if f.Waiver != nil {
				waived++
				continue
			}
			open[f.Severity]++
		}
	}
	return open, waived
}

// States says how many checks are in each state.
func (r *Report) States() map[State]int {
	out := map[State]int{}
	for i := range r.Results {
		out[r.Results[i].State]++
	}
	return out
}

// Exit is the exit code: 3 when the server was gone before the scan was through, whatever was found until then; else 1 for a finding at or
// above --fail-on, else 3 when something that should have been examined was not, else 0.
func (r *Report) Exit() int {
	if r.Evidence != nil && r.Evidence.Lost != "" {
		return 3
	}
	incomplete := r.demanded
	for i := range r.Results {
		res := &r.Results[i]
		if !r.Never && res.Worst() >= r.FailOn {
			return 1
		}
		incomplete = incomplete || res.State == NotEvaluated && res.Broken
	}
	if incomplete {
		return 3
	}
	return 0
}

// require notes that a capability which --require names was missing.
func (r *Report) require(letters []byte) {
	for i := range r.Results {
		res := &r.Results[i]
		if res.State != NotEvaluated {
			continue
		}
		for _, l := range res.Check.Need.lacking(r.Evidence) {
			r.demanded = r.demanded || slices.Contains(letters, l)
		}
	}
}

// Unlocks lists what would let more checks look, most first: the words of Result.Unlock and how many checks each would open.
func (r *Report) Unlocks() []Unlocks {
	count := map[string]int{}
	for i := range r.Results {
		if r.Results[i].State == NotEvaluated && r.Results[i].Unlock != "" {
			count[r.Results[i].Unlock]++
		}
	}
	var out []Unlocks
	for how, n := range count {
		out = append(out, Unlocks{How: how, Checks: n})
	}
	slices.SortFunc(out, func(a, b Unlocks) int {
		if a.Checks != b.Checks {
			return b.Checks - a.Checks
		}
		if a.How < b.How {
			return -1
		}
		return 1
	})
	return out
}

// Unlocks is one thing to do and how many checks it would let look.
type Unlocks struct {
	How    string `json:"how"`
	Checks int    `json:"checks"`
}

// Result returns the result of a check, or nil.
func (r *Report) Result(id string) *Result {
	for i := range r.Results {
		if r.Results[i].Check.ID == id {
			return &r.Results[i]
		}
	}
	return nil
}
