package portal

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// severities from the worst down, as scan names them.
var severities = []string{"critical", "high", "medium", "low", "info"}

// PostureQuery chooses a store and findings.
type PostureQuery struct {
	Store    string `json:"store,omitempty"`    // none, or one without a report: the first that has one
	Severity string `json:"severity,omitempty"` // critical, high, medium, low or info
	Pillar   string `json:"pillar,omitempty"`   // the area that a check belongs to
	Filter   string `json:"q,omitempty"`        // words of a finding
}

// Posture is what the scans say of a store.
type Posture struct {
	Store   string         `json:"store,omitempty"`
	Stores  []string       `json:"stores"`           // of which reports were kept
	Latest  *ScanRun       `json:"latest,omitempty"` // with the findings that were asked for; none: no report was kept
	Before  *ScanRun       `json:"before,omitempty"` // without findings
	Areas   map[string]int `json:"open_by_pillar"`   // open findings of the latest
	History []ScanPoint    `json:"history"`          // the oldest first
}

// ScanPoint is a point of the score over time.
type ScanPoint struct {
	Taken  time.Time `json:"taken"`
	Points int       `json:"points"`
	Word   string    `json:"word"` // empty: nothing was evaluated, and there is no score
}

type postureData struct {
	Posture
	Filter, Severity, Pillar string
	Chart                    *lineChart
	Bars                     []bar
	Pillars                  []bar
	Open                     []openCheck
	Waived                   []ScanFinding
}

// openCheck is a check with the findings that are open, its first one before the others.
type openCheck struct {
	ScanFinding
	All []ScanFinding
}

// bar is one row of a bar chart: a name, a number, and how long the bar is, of 100.
type bar struct {
	Name   string
	Count  int
	Length int
}

// barRow is a bar with the filter that it leads to.
type barRow struct {
	bar
	Key, Store string
}

func rowOf(b bar, key, store string) barRow { return barRow{b, key, store} }

// lineChart is the score over time, in the units of its picture.
type lineChart struct {
	Line   string
	Dots   []dot
	Points int
}

type dot struct {
	X, Y  int
	Title string
}

// The picture of the score: 600 wide, 100 points high, with room for the dots.
const (
	chartWidth = 600
	chartSide  = 8
	mostRuns   = 60
)

func (p *Portal) posture(r *http.Request, _ *viewer, q PostureQuery) (Posture, error) {
	out := Posture{Store: q.Store, Stores: []string{}, Areas: map[string]int{}, History: []ScanPoint{}}
	if p.c.Insight == nil {
		return out, nil
	}
	all, err := p.c.Insight.Scans(r.Context())
	if err != nil {
		return out, err
	}
	for _, run := range all {
		if !slices.Contains(out.Stores, run.Store) {
			out.Stores = append(out.Stores, run.Store)
		}
	}
	slices.Sort(out.Stores)
	if !slices.Contains(out.Stores, out.Store) && len(out.Stores) > 0 {
		out.Store = out.Stores[0]
	}
	runs := slices.DeleteFunc(slices.Clone(all), func(run ScanRun) bool { return run.Store != out.Store })
	if len(runs) == 0 {
		return out, nil
	}
	runs = runs[max(0, len(runs)-mostRuns):]
	for _, run := range runs {
		out.History = append(out.History, ScanPoint{run.Taken, run.Points, run.Word})
	}
	if len(runs) > 1 {
		before := runs[len(runs)-2]
		before.Findings = nil
		out.Before = &before
	}
	latest := runs[len(runs)-1]
	for _, f := range latest.Findings {
		if f.Waiver == "" {
			out.Areas[f.Pillar]++
		}
	}
	latest.Findings = slices.DeleteFunc(slices.Clone(latest.Findings), func(f ScanFinding) bool {
		return q.Severity != "" && f.Severity != q.Severity || q.Pillar != "" && f.Pillar != q.Pillar || !hit(q.Filter, f.ID+" "+f.Title+" "+f.Object+" "+f.Evidence)
	})
	out.Latest = &latest
	return out, nil
}

func (p *Portal) posturePage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.posture, func(q PostureQuery, out Posture) shown {
		data := &postureData{Posture: out, Filter: q.Filter, Severity: q.Severity, Pillar: q.Pillar}
		if out.Latest != nil {
			data.Chart = chartOf(out.History)
			data.sort()
		}
		return shown{"posture", "Posture", data}
	})
}

// sort divides the findings into open and waived, and makes bars of the counts.
func (d *postureData) sort() {
	for _, f := range d.Latest.Findings {
		if f.Waiver != "" {
			d.Waived = append(d.Waived, f)
		} else {
			d.add(f)
		}
	}
	for _, s := range severities {
		d.Bars = append(d.Bars, bar{Name: s, Count: d.Latest.Counts[s]})
	}
	for _, name := range sortedNames(d.Areas) {
		d.Pillars = append(d.Pillars, bar{Name: name, Count: d.Areas[name]})
	}
	stretch(d.Bars)
	stretch(d.Pillars)
	slices.SortStableFunc(d.Open, func(a, b openCheck) int {
		return slices.Index(severities, a.Severity) - slices.Index(severities, b.Severity)
	})
}

// add puts a finding to the others of its check and severity.
func (d *postureData) add(f ScanFinding) {
	for i := range d.Open {
		if d.Open[i].ID == f.ID && d.Open[i].Severity == f.Severity {
			d.Open[i].All = append(d.Open[i].All, f)
			return
		}
	}
	d.Open = append(d.Open, openCheck{f, []ScanFinding{f}})
}

// stretch makes the longest bar 100 long.
func stretch(bars []bar) {
	most := 1
	for _, b := range bars {
		most = max(most, b.Count)
	}
	for i := range bars {
		bars[i].Length = bars[i].Count * 100 / most
	}
}

func chartOf(runs []ScanPoint) *lineChart {
	out := &lineChart{Points: len(runs)}
	var line []string
	for i, run := range runs {
		if run.Word == "" {
			continue // nothing was evaluated: no score, and no dot
		}
		x := chartSide
		if len(runs) > 1 {
			x += i * (chartWidth - 2*chartSide) / (len(runs) - 1)
		}
		y := chartSide + 100 - run.Points
		line = append(line, fmt.Sprintf("%d,%d", x, y))
		out.Dots = append(out.Dots, dot{x, y, fmt.Sprintf("%s: %d, %s", run.Taken.UTC().Format("2 Jan 2006"), run.Points, run.Word)})
	}
	out.Line = strings.Join(line, " ")
	return out
}
