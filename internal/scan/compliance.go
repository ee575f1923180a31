package scan

import (
	"fmt"
	"slices"
	"strings"
)

// Benchmarks are the words of --compliance, and the benchmarks that they stand for.
var Benchmarks = []string{"cis", "stig", "pci"}

// benchmarkHead starts the name of a benchmark of the catalogue.
func benchmarkHead(word string) string {
	return map[string]string{"cis": "CIS ", "stig": "STIG ", "pci": "PCI "}[word]
}

// benchmark is one version of a benchmark, with what the scan came to for each requirement that a check bears on.
type benchmark struct {
	Name string        `json:"name"`
	Rows []requirement `json:"requirements"`
}

// requirement is one number of a benchmark. Its state is never "fulfilled": a check bears on a requirement, it is not the requirement.
type requirement struct {
	Number string   `json:"number"`
	State  string   `json:"state"` // failed, incomplete, no findings, not applicable
	Checks []string `json:"checks"`
	Failed []string `json:"failed,omitempty"`
	Unseen []string `json:"not_evaluated,omitempty"`
}

// add counts a check's result for the requirement.
func (q *requirement) add(res *Result) {
	q.Checks = append(q.Checks, res.Check.ID)
	switch res.State {
	case Failed:
		q.Failed = append(q.Failed, res.Check.ID)
	case NotEvaluated:
		q.Unseen = append(q.Unseen, res.Check.ID)
	case Passed:
		q.State = "no findings"
	}
}

// settle says what the requirement comes to: failed if a check failed, else incomplete if one was not evaluated.
func (q *requirement) settle() {
	switch {
	case len(q.Failed) > 0:
		q.State = "failed"
	case len(q.Unseen) > 0:
		q.State = "incomplete"
	case q.State == "":
		q.State = "not applicable"
	}
}

// compliance lists the benchmarks that a word of Benchmarks stands for, or all of them for "".
func (r *Report) compliance(word string) []benchmark {
	index := map[string]map[string]*requirement{}
	for i := range r.Results {
		res := &r.Results[i]
		for _, ref := range res.Check.References {
			name := ref.Benchmark + " " + ref.Version
			if !strings.HasPrefix(name, benchmarkHead(word)) {
				continue
			}
			if index[name] == nil {
				index[name] = map[string]*requirement{}
			}
			q := index[name][ref.Number]
			if q == nil {
				q = &requirement{Number: ref.Number}
				index[name][ref.Number] = q
			}
			q.add(res)
		}
	}
	var out []benchmark
	for name, rows := range index {
		b := benchmark{Name: name}
		for _, q := range rows {
			q.settle()
			b.Rows = append(b.Rows, *q)
		}
		slices.SortFunc(b.Rows, func(x, y requirement) int { return compareNumbers(x.Number, y.Number) })
		out = append(out, b)
	}
	slices.SortFunc(out, func(x, y benchmark) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// asked is compliance for a report of which a benchmark was asked; nil when none was.
func (r *Report) askedBenchmarks() []benchmark {
	if r.Benchmark == "" {
		return nil
	}
	return r.compliance(r.Benchmark)
}

const bearsOn = "A check bears on a requirement; that it passes does not fulfil one. Requirements without a check are not listed."

func (t Table) benchmarks(r *Report, line func(string, ...any)) {
	for _, b := range r.askedBenchmarks() {
		line("")
		line("%s", t.style("1", b.Name))
		for _, q := range b.Rows {
			line("%-14s %-14s %s", q.Number, q.State, strings.Join(q.Checks, " "))
		}
		line("%s", t.style("2", bearsOn))
	}
}

func (r *Report) markdownBenchmarks(line func(string, ...any)) {
	for _, b := range r.askedBenchmarks() {
		line("\n## %s\n\n%s\n\n| number | state | checks |\n|---|---|---|", markdown(b.Name), bearsOn)
		for _, q := range b.Rows {
			line("| %s | %s | %s |", q.Number, q.State, strings.Join(q.Checks, ", "))
		}
	}
}

// junitBenchmarks has a suite for each benchmark, a case for each requirement.
func (r *Report) junitBenchmarks() []junitSuite {
	var out []junitSuite
	for _, b := range r.askedBenchmarks() {
		s := junitSuite{Name: b.Name, Time: r.Evidence.Taken.UTC().Format("2006-01-02T15:04:05")}
		for _, q := range b.Rows {
			c := junitCase{Class: "postern.compliance", Name: b.Name + " " + q.Number}
			s.Tests++
			switch q.State {
			case "failed":
				s.Failures++
				c.Failure = &junitMessage{Message: fmt.Sprintf("%d checks failed", len(q.Failed)), Text: strings.Join(q.Failed, "\n")}
			case "incomplete", "not applicable":
				s.Skipped++
				c.Skipped = &junitMessage{Message: strings.TrimSpace(q.State + " " + strings.Join(q.Unseen, " "))}
			}
			s.Cases = append(s.Cases, c)
		}
		out = append(out, s)
	}
	return out
}
