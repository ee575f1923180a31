package scan

import (
	"crypto/sha256"
	_ "embed" // the report's page
	"encoding/base64"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
)

//go:embed report.html.tmpl
var reportPage string

//go:embed report.css
var reportStyle string

//go:embed report.js
var reportScript string

// htmlPage is what the template shows.
type htmlPage struct {
	Subject, Score, Word, Taken, Advisories string
	Policy                                  template.HTMLAttr
	Style                                   template.CSS
	Script                                  template.JS
	Counts                                  []htmlCount
	Severities                              []Severity // to filter by, worst first
	Pillars                                 []htmlPillar
	Unlocks                                 []Unlocks
	Compliance                              []benchmark
	States                                  map[State]int
	Total                                   int
}

type htmlCount struct {
	Severity string
	Count    int
}

type htmlPillar struct {
	Name    string
	Results []*Result
}

// writeHTML writes one self-contained page: complete without script, no request to anywhere, everything from the server escaped by the
// template engine, and a content policy that allows this one script and style by their hashes.
func (r *Report) writeHTML(w io.Writer) error {
	t, err := template.New("report").Funcs(template.FuncMap{"printable": Printable, "severity": Severity.String}).Parse(reportPage)
	if err != nil {
		return err
	}
	open, waived := r.Counts()
	p := htmlPage{
		Subject: Printable(r.subject()), Score: r.Score().String(), Word: r.Score().Word, Taken: r.Evidence.Taken.UTC().Format("2006-01-02 15:04 UTC"),
		Advisories: r.Advisories.Format(time.DateOnly), Unlocks: r.Unlocks(), States: r.States(), Total: len(r.Results),
		Style: template.CSS(reportStyle), Script: template.JS(reportScript), Compliance: r.compliance(r.Benchmark), // #nosec G203 -- our own files
	}
	p.Policy = template.HTMLAttr(`content="default-src 'none'; style-src '` + sourceHash(reportStyle) + `'; script-src '` + sourceHash(reportScript) + `'; base-uri 'none'; form-action 'none'"`) // #nosec G203 -- two hashes
	for s := Critical; s >= Info; s-- {
		p.Severities = append(p.Severities, s)
		p.Counts = append(p.Counts, htmlCount{s.String(), open[s]})
	}
	p.Counts = append(p.Counts, htmlCount{"waived", waived})
	for _, name := range pillars {
		pillar := htmlPillar{Name: name}
		for i := range r.Results {
			if r.Results[i].Check.Pillar == name {
				pillar.Results = append(pillar.Results, &r.Results[i])
			}
		}
		slices.SortStableFunc(pillar.Results, func(a, b *Result) int { return rank(b) - rank(a) })
		p.Pillars = append(p.Pillars, pillar)
	}
	return t.Execute(w, p)
}

// rank orders results for people: failures by severity, then what was not evaluated, then the rest.
func rank(r *Result) int {
	switch r.State {
	case Failed:
		return 10 + int(r.Severity())
	case NotEvaluated:
		return 2
	case Passed:
		return 1
	}
	return 0
}

func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// compareNumbers orders 3.1.2 before 3.1.10.
func compareNumbers(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		if d := len(x[i]) - len(y[i]); d != 0 {
			return d
		}
		if d := strings.Compare(x[i], y[i]); d != 0 {
			return d
		}
	}
	return len(x) - len(y)
}
