package portal

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// severities from the worst down, as scan names them.
var severities = []string{"critical", "high", "medium", "low", "info"}

type postureData struct {
	Filter, Severity, Pillar string
	Store                    string
	Stores                   []string
	Latest                   *ScanRun
	Before                   *ScanRun
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

func (p *Portal) posturePage(r *http.Request, _ *viewer) (shown, error) {
	q := r.URL.Query()
	out := postureData{Filter: strings.TrimSpace(q.Get("q")), Severity: q.Get("severity"), Pillar: q.Get("pillar"), Store: q.Get("store")}
	page := shown{"posture", "Posture", &out}
	if p.c.Insight == nil {
		return page, nil
	}
	all, err := p.c.Insight.Scans(r.Context())
	if err != nil {
		return shown{}, err
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
		return page, nil
	}
	runs = runs[max(0, len(runs)-mostRuns):]
	out.Latest, out.Chart = &runs[len(runs)-1], chartOf(runs)
	if len(runs) > 1 {
		out.Before = &runs[len(runs)-2]
	}
	out.sort()
	return page, nil
}

// sort divides the latest findings into open and waived, filters them, and counts.
func (d *postureData) sort() {
	pillars := map[string]int{}
	for _, f := range d.Latest.Findings {
		if f.Waiver == "" {
			pillars[f.Pillar]++
		}
		if d.Severity != "" && f.Severity != d.Severity || d.Pillar != "" && f.Pillar != d.Pillar || !hit(d.Filter, f.ID+" "+f.Title+" "+f.Object+" "+f.Evidence) {
			continue
		}
		if f.Waiver != "" {
			d.Waived = append(d.Waived, f)
		} else {
			d.add(f)
		}
	}
	for _, s := range severities {
		d.Bars = append(d.Bars, bar{Name: s, Count: d.Latest.Counts[s]})
	}
	for _, name := range sortedNames(pillars) {
		d.Pillars = append(d.Pillars, bar{Name: name, Count: pillars[name]})
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

func chartOf(runs []ScanRun) *lineChart {
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
