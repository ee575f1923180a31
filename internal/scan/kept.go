package scan

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Kept is what a JSON report says of one run, for those who follow a server over time.
type Kept struct {
	Taken    time.Time
	Score    Score
	Counts   map[string]int // open findings by severity
	Findings []KeptFinding
}

// KeptFinding is one finding with what its check says of itself.
type KeptFinding struct {
	ID, Pillar, Title     string
	Severity              Severity
	Object, Evidence, Fix string
	Waiver                *Waiver
}

// ReadKept reads a JSON report with everything that a person wants to see of it; ReadReport reads what a baseline needs.
func ReadKept(r io.Reader) (*Kept, error) {
	var in jsonReport
	if err := json.NewDecoder(r).Decode(&in); err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	if in.Tool != "postern" || in.Format != ReportFormat {
		return nil, fmt.Errorf("read the report: not a report of postern scan in format %d", ReportFormat)
	}
	out := &Kept{Taken: in.Taken, Score: in.Score, Counts: in.Counts}
	for _, res := range in.Results {
		for _, f := range res.Findings {
			out.Findings = append(out.Findings, KeptFinding{res.ID, res.Pillar, res.Title, f.Severity, f.Object, f.Evidence, f.Fix, f.Waiver})
		}
	}
	return out, nil
}
