package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// SARIF 2.1.0, the parts that code scanning reads.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Results     []sarifResult     `json:"results"`
		Invocations []sarifInvocation `json:"invocations"`
		Properties  map[string]any    `json:"properties,omitempty"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string         `json:"id"`
		Short      sarifText      `json:"shortDescription"`
		Full       sarifText      `json:"fullDescription"`
		Help       sarifText      `json:"help"`
		Default    sarifLevel     `json:"defaultConfiguration"`
		Properties map[string]any `json:"properties,omitempty"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
		Baseline     string             `json:"baselineState,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
	sarifInvocation struct {
		Successful bool                `json:"executionSuccessful"`
		Notes      []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level      string     `json:"level"`
		Message    sarifText  `json:"message"`
		Descriptor sarifRefID `json:"associatedRule"`
	}
	sarifRefID struct {
		ID string `json:"id"`
	}
)

var sarifLevels = map[Severity]string{Critical: "error", High: "error", Medium: "warning", Low: "note", Info: "note"}

// filePlace is file:line.
var filePlace = regexp.MustCompile(`^(.*[^0-9]):(\d+)$`)

// sarifPlace gives every result a file and a line: the real one, or a pseudo path that stays the same from scan to scan.
func sarifPlace(f *Judged) sarifPhysical {
	if m := filePlace.FindStringSubmatch(f.Place); m != nil {
		if n, err := strconv.Atoi(m[2]); err == nil && n > 0 {
			return sarifPhysical{sarifArtifact{uriPath(m[1])}, sarifRegion{n}}
		}
	}
	kind, _, _ := strings.Cut(f.Object, " ")
	return sarifPhysical{sarifArtifact{"postgresql/" + uriPath(kind)}, sarifRegion{1}}
}

// uriPath keeps a path to characters that a URI has unescaped.
func uriPath(p string) string {
	var b strings.Builder
	for _, c := range []byte(strings.TrimPrefix(p, "/")) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteString("%" + strings.ToUpper(hex.EncodeToString([]byte{c})))
	}
	return b.String()
}

func (r *Report) writeSARIF(w io.Writer) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "postern", InformationURI: "https://github.com/postern-sec/postern"}}, Results: []sarifResult{}}
	note := sarifInvocation{Successful: true}
	for i := range r.Results {
		res := &r.Results[i]
		c := res.Check
		rule := sarifRule{
			ID: c.ID, Short: sarifText{c.Title}, Full: sarifText{c.Why}, Help: sarifText{c.Remedy}, Default: sarifLevel{sarifLevels[c.Severity]},
			Properties: map[string]any{"tags": []string{"security", c.Pillar}, "security-severity": map[Severity]string{Critical: "9.5", High: "8.0", Medium: "5.5", Low: "3.0", Info: "0.0"}[c.Severity]},
		}
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
		if res.State == NotEvaluated {
			note.Successful = note.Successful && !res.Broken
			note.Notes = append(note.Notes, sarifNotification{Level: "note", Message: sarifText{Printable("not evaluated: " + res.Reason)}, Descriptor: sarifRefID{c.ID}})
		}
		for j := range res.Findings {
			run.Results = append(run.Results, sarifOf(c.ID, i, &res.Findings[j]))
		}
	}
	run.Invocations = []sarifInvocation{note}
	if asked := r.askedBenchmarks(); asked != nil {
		run.Properties = map[string]any{"compliance": asked}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}})
}

func sarifOf(id string, index int, f *Judged) sarifResult {
	sum := sha256.Sum256([]byte(id + "\x00" + f.Object))
	out := sarifResult{
		RuleID: id, RuleIndex: index, Level: sarifLevels[f.Severity], Message: sarifText{Printable(f.Object + ": " + f.Evidence)},
		Locations:    []sarifLocation{{sarifPlace(f), []sarifLogical{{Printable(f.Object)}}}},
		Fingerprints: map[string]string{"postern/v1": hex.EncodeToString(sum[:])},
	}
	if f.Waiver != nil {
		out.Suppressions = []sarifSuppression{{"external", Printable(f.Waiver.Reason + " (" + f.Waiver.Owner + ", until " + f.Waiver.Expires + ")")}}
	}
	out.Baseline = map[string]string{ChangeNew: "new", ChangeKnown: "unchanged", ChangeWorse: "updated", ChangeRegressed: "new"}[f.Change]
	return out
}
