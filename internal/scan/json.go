package scan

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// ReportFormat is the version of the JSON report's form.
const ReportFormat = 1

// jsonReport is the JSON form of a report.
type jsonReport struct {
	Format     int              `json:"format"`
	Tool       string           `json:"tool"`
	Taken      time.Time        `json:"taken"`
	Server     *jsonServer      `json:"server,omitempty"`
	Endpoints  []jsonEndpoint   `json:"endpoints,omitempty"`
	Advisories string           `json:"advisories"`
	Score      Score            `json:"score"`
	Counts     map[string]int   `json:"findings"`
	Waived     int              `json:"waived"`
	States     map[State]int    `json:"states"`
	Exit       int              `json:"exit"`
	Missing    int              `json:"checks_not_in_this_version"`
	Results    []jsonResult     `json:"results"`
	Unseen     []catalog.Unseen `json:"unseen,omitempty"`
	Unlocks    []Unlocks        `json:"unlocks,omitempty"`
	Gone       []string         `json:"gone,omitempty"`
	LostSight  []string         `json:"lost_sight,omitempty"`
	Warnings   []string         `json:"warnings,omitempty"`
	Compliance []benchmark      `json:"compliance,omitempty"`
}

type jsonServer struct {
	Address  string `json:"address"`
	Version  string `json:"version"`
	Role     string `json:"role"`
	Standby  bool   `json:"standby"`
	Provider string `json:"provider,omitempty"`
}

// jsonEndpoint is what --outside asked, with the version that its refusals tell.
type jsonEndpoint struct {
	Endpoint  string `json:"endpoint"`
	Version   string `json:"version,omitempty"`
	Certainty string `json:"certainty,omitempty"`
	Because   string `json:"because,omitempty"`
}

type jsonResult struct {
	ID         string        `json:"id"`
	Pillar     string        `json:"pillar"`
	Title      string        `json:"title"`
	Severity   Severity      `json:"severity"`
	State      State         `json:"state"`
	Reason     string        `json:"reason,omitempty"`
	Broken     bool          `json:"incomplete,omitempty"`
	Unlock     string        `json:"unlock,omitempty"`
	Needs      string        `json:"needs"`
	Versions   string        `json:"versions"`
	References []string      `json:"references,omitempty"`
	Findings   []jsonFinding `json:"findings,omitempty"`
}

type jsonFinding struct {
	Object   string   `json:"object"`
	Severity Severity `json:"severity"`
	Moved    string   `json:"severity_because,omitempty"`
	Evidence string   `json:"evidence"`
	Place    string   `json:"place,omitempty"`
	Fix      string   `json:"fix,omitempty"`
	Waiver   *Waiver  `json:"waiver,omitempty"`
	Change   string   `json:"change,omitempty"`
}

// WriteJSON writes the report as JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	open, waived := r.Counts()
	out := jsonReport{
		Format: ReportFormat, Tool: "postern", Taken: r.Evidence.Taken, Advisories: r.Advisories.Format(time.DateOnly), Score: r.Score(),
		Counts: map[string]int{}, Waived: waived, Missing: r.Missing, States: r.States(), Exit: r.Exit(), Unseen: r.Evidence.Unseen, Unlocks: r.Unlocks(), Gone: r.Gone,
		LostSight: r.LostSight, Warnings: r.Warnings, Compliance: r.askedBenchmarks(),
	}
	for s := Critical; s >= Info; s-- {
		out.Counts[s.String()] = open[s]
	}
	if s := r.Evidence.Server; s != nil {
		out.Server = &jsonServer{Address: s.Address, Version: s.ServerVersion, Role: s.Access.User, Standby: s.InRecovery}
		if p := ProviderOf(r.Evidence); p != nil {
			out.Server.Provider = p.Name + " (profile not confirmed on a live instance)"
		}
	}
	for _, o := range r.Evidence.Outside {
		e := jsonEndpoint{Endpoint: o.Endpoint, Version: o.Version.String()}
		if o.Version != nil {
			e.Certainty, e.Because = o.Version.Certainty, o.Version.Because
		}
		out.Endpoints = append(out.Endpoints, e)
	}
	for i := range r.Results {
		out.Results = append(out.Results, jsonOf(&r.Results[i]))
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(out)
}

func jsonOf(res *Result) jsonResult {
	c := res.Check
	j := jsonResult{
		ID: c.ID, Pillar: c.Pillar, Title: c.Title, Severity: c.Severity, State: res.State, Reason: res.Reason, Broken: res.Broken, Unlock: res.Unlock,
		Needs: c.Need.String(), Versions: c.Versions,
	}
	for _, ref := range c.References {
		j.References = append(j.References, ref.String())
	}
	for _, f := range res.Findings {
		j.Findings = append(j.Findings, jsonFinding{
			Object: f.Object, Severity: f.Severity, Moved: f.Moved, Evidence: f.Evidence, Place: f.Place, Fix: f.Fix, Waiver: f.Waiver, Change: f.Change,
		})
	}
	return j
}

// ReadReport reads a JSON report, as --baseline gives it: states, findings and their severities.
func ReadReport(r io.Reader) (*Report, error) {
	var in jsonReport
	if err := json.NewDecoder(r).Decode(&in); err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	if in.Tool != "postern" || in.Format != ReportFormat {
		return nil, fmt.Errorf("read the report: not a report of postern scan in format %d", ReportFormat)
	}
	out := &Report{}
	for _, j := range in.Results {
		res := Result{Check: &Check{ID: j.ID}, State: j.State}
		for _, f := range j.Findings {
			res.Findings = append(res.Findings, Judged{Finding: Finding{Object: f.Object, Severity: f.Severity}})
		}
		out.Results = append(out.Results, res)
	}
	return out, nil
}

// WriteSnapshot saves evidence, so that a scan can be repeated elsewhere. It holds no secret: they were taken out when it was gathered.
func WriteSnapshot(w io.Writer, e *catalog.Evidence) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	return enc.Encode(e)
}

// ReadSnapshot reads what WriteSnapshot wrote.
func ReadSnapshot(r io.Reader) (*catalog.Evidence, error) {
	var e catalog.Evidence
	if err := json.NewDecoder(r).Decode(&e); err != nil {
		return nil, fmt.Errorf("read the snapshot: %w", err)
	}
	if e.Format != catalog.EvidenceFormat {
		return nil, fmt.Errorf("read the snapshot: its format is %d, this version reads %d", e.Format, catalog.EvidenceFormat)
	}
	return &e, nil
}
