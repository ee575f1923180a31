package scan

import (
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

var noEvidence = &catalog.Evidence{}

func nothingSaid(*catalog.Evidence, *Env) Verdict { return Verdict{} }

func result(s Severity, state State, waiver *Waiver) Result {
	r := Result{Check: &Check{ID: "X", Meta: Meta{Severity: s}}, State: state}
	if state == Failed {
		r.Findings = []Judged{{Finding: Finding{Object: "o", Severity: s}, Waiver: waiver}}
	}
	return r
}

func TestScore(t *testing.T) {
	many := func(first Result) []Result {
		out := []Result{first}
		for range 99 {
			out = append(out, result(High, Passed, nil))
		}
		return out
	}
	for name, c := range map[string]struct {
		results []Result
		want    string
		exit    int
	}{
		"nothing evaluated":   {[]Result{result(High, NotEvaluated, nil)}, "no score: nothing was evaluated", 0},
		"all well":            {[]Result{result(High, Passed, nil), result(Low, NotApplicable, nil)}, "good, 100 of 100, 0 % not evaluated", 0},
		"a critical finding":  {many(result(Critical, Failed, nil)), "exposed, 49 of 100, 0 % not evaluated", 1},
		"a high finding":      {many(result(High, Failed, nil)), "fair, 79 of 100, 0 % not evaluated", 1},
		"a waived one":        {many(result(Critical, Failed, &Waiver{})), "good, 100 of 100, 0 % not evaluated", 0},
		"a medium finding":    {many(result(Medium, Failed, nil)), "good, 99 of 100, 0 % not evaluated", 0},
		"a quarter not seen":  {[]Result{result(High, Passed, nil), result(High, Passed, nil), result(High, Passed, nil), result(High, NotEvaluated, nil)}, "good, 100 of 100, 25 % not evaluated", 0},
		"information is free": {[]Result{result(Info, Failed, nil), result(High, Passed, nil)}, "good, 100 of 100, 0 % not evaluated", 0},
	} {
		r := &Report{Results: c.results, Evidence: noEvidence, FailOn: High}
		if got := r.Score().String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if got := r.Exit(); got != c.exit {
			t.Errorf("%s: exit %d, want %d", name, got, c.exit)
		}
	}
	broken := result(High, NotEvaluated, nil)
	broken.Broken = true
	if r := (&Report{Results: []Result{broken}, FailOn: High}); r.Exit() != 3 {
		t.Errorf("a check that could not look although it had the right: exit %d, want 3", r.Exit())
	}
	if r := (&Report{Results: []Result{result(Critical, Failed, nil)}, Evidence: &catalog.Evidence{Lost: "gone"}, FailOn: High}); r.Exit() != 3 {
		t.Errorf("a server that was gone before the scan was through: exit %d, want 3", r.Exit())
	}
	if r := (&Report{Results: []Result{result(Critical, Failed, nil)}, FailOn: High, Never: true}); r.Exit() != 0 {
		t.Errorf("--fail-on none: exit %d", r.Exit())
	}
}

func TestWaivers(t *testing.T) {
	w := Waiver{ID: "HBA-001", Object: "pattern:rule host * trust", Reason: "r", Owner: "o", Expires: "2026-11-22"}
	if err := CheckWaivers([]Waiver{w}); err != nil {
		t.Error(err)
	}
	if !w.covers("HBA-001", "rule host all all 10.0.0.0/8 trust") || w.covers("HBA-002", "rule host all all 10.0.0.0/8 trust") || w.covers("HBA-001", "rule local all all trust") {
		t.Error("the pattern covers something else than it says")
	}
	literal := Waiver{ID: "ROL-001", Object: "role a*"}
	if literal.covers("ROL-001", "role ab") || !literal.covers("ROL-001", "role a*") {
		t.Error("an object is a pattern only when it says so")
	}
	if w.expired(time.Date(2026, 11, 22, 23, 59, 0, 0, time.UTC)) || !w.expired(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)) {
		t.Error("a waiver holds through its day and no longer")
	}
	for _, bad := range []Waiver{{ID: "X"}, {ID: "X", Object: "o", Reason: "r", Owner: "w", Expires: "soon"}} {
		if CheckWaivers([]Waiver{bad}) == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
	for text, ok := range map[string]bool{"": true, "- {id: X, object: o, reason: r, owner: w, expires: 2027-01-01}": true, "- {id: X, objekt: o}": false} {
		if _, err := ReadWaivers([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
