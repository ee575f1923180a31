// Package scan judges the posture of a PostgreSQL server. It is given what was gathered (catalog.Evidence), the advisory tables and the
// clock, and answers with findings; it opens no connection, reads no file and asks nobody anything, so the same evidence always gives the
// same report. Each check is a pure function, listed by hand in checks.go; its title, severity and references stand in data/checks.tsv.
//
// A check that could not look says so (not evaluated) and never passes. Verdicts, score and exit code all come from one list of results.
package scan

import (
	"fmt"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// State is what a check came to.
type State string

// The four states. The empty state is none of them, so that a result nobody set is noticed.
const (
	Passed        State = "pass"
	Failed        State = "fail"
	NotEvaluated  State = "not_evaluated"
	NotApplicable State = "not_applicable"
)

// Severity is how bad a finding is.
type Severity int

// The severities, from none (the check's own) to the worst.
const (
	SeverityUnset Severity = iota
	Info
	Low
	Medium
	High
	Critical
)

// stepDown stands for one step below the check's severity; the runner puts it right.
const stepDown Severity = -1

var severityNames = [...]string{"", "info", "low", "medium", "high", "critical"}

func (s Severity) String() string { return severityNames[s] }

// MarshalText writes the severity's word.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the severity's word.
func (s *Severity) UnmarshalText(text []byte) error {
	v, err := ParseSeverity(string(text))
	*s = v
	return err
}

// ParseSeverity reads a severity's word.
func ParseSeverity(word string) (Severity, error) {
	for i, name := range severityNames {
		if name == word && i > 0 {
			return Severity(i), nil
		}
	}
	return SeverityUnset, fmt.Errorf("%q is not a severity: info, low, medium, high or critical", word)
}

// lower is one step down, never below info.
func (s Severity) lower() Severity { return max(s-1, Info) }

// Finding is one fault on one object.
type Finding struct {
	Object   string   // what has the fault: "setting ssl", "role app", "pg_hba.conf line 7"
	Evidence string   // what was seen
	Place    string   // file:line where there is one
	Severity Severity // unset: the check's
	Moved    string   // why the severity is not the check's
	Fix      string   // what to type
}

// Verdict is what a check returns. Its zero value is no verdict and is reported as a fault of the check.
type Verdict struct {
	state    State
	reason   string
	lacks    catalog.Fact // of the cluster, without which there is no verdict, where the check does not demand it beforehand
	findings []Finding
}

// found is a verdict from findings: none is a pass.
func found(fs []Finding) Verdict {
	if len(fs) == 0 {
		return Verdict{state: Passed}
	}
	return Verdict{state: Failed, findings: fs}
}

// failWhen is found for a check of one object.
func failWhen(bad bool, f Finding) Verdict {
	if !bad {
		return found(nil)
	}
	return found([]Finding{f})
}

func notApplicable(reason string) Verdict { return Verdict{state: NotApplicable, reason: reason} }

func notEvaluated(reason string) Verdict { return Verdict{state: NotEvaluated, reason: reason} }

// Check is one check: what stands in the catalogue, and how it is evaluated.
type Check struct {
	Meta
	ID    string
	Why   string         // why it matters, in our own words
	Reads []catalog.Fact // facts that must have been seen
	// Consent is the flag without which the check does not look, "" for none.
	Consent Consent
	// Given says whether an input of the catalogue that the check needs is there; nil when it manages without.
	Given func(*Env) bool
	Eval  func(*catalog.Evidence, *Env) Verdict
}

// Consent is a flag by which the operator agrees to something that a scan does not do by itself.
type Consent string

// The consent flags.
const (
	SampleData   Consent = "--sample-data"
	ReadLogs     Consent = "--read-logs"
	TryPasswords Consent = "--try-passwords"
	ProbeUser    Consent = "--probe-user"
	Intrusive    Consent = "--intrusive"
)

// Env is what a scan is judged with besides evidence.
type Env struct {
	Now        time.Time
	Advisories *Advisories
	Consents   map[Consent]bool
	Waivers    []Waiver
	Baseline   *Report             // nil without one
	Fleet      []*catalog.Evidence // other servers of the same scan
	Primary    *catalog.Evidence   // of which the server is a standby
	Expect     *Expect             // what the site declares; nil when it declares nothing
}

// Expect is what a site declares about its servers. A part that is absent is not declared, and the checks that need it are not evaluated.
type Expect struct {
	Extensions   []string `yaml:"extensions"`    // allowed besides plpgsql
	Libraries    []string `yaml:"libraries"`     // allowed in the preload lists
	Commands     []string `yaml:"commands"`      // allowed as archive library, clean-up and recovery end command
	ReadOnly     []string `yaml:"read_only"`     // roles that must not write
	Holders      []string `yaml:"holders"`       // roles that may hold rights on tables; everybody else's are drift
	HumanRoles   []string `yaml:"human_roles"`   // roles of people
	DumpRoles    []string `yaml:"dump_roles"`    // roles that pg_dump logs in as
	BackupRoles  []string `yaml:"backup_roles"`  // roles that backups are made with
	CertRoles    []string `yaml:"cert_roles"`    // roles that come with a client certificate
	TenantTables []string `yaml:"tenant_tables"` // schema.table that hold several tenants' rows
	GuardViews   []string `yaml:"guard_views"`   // schema.view that filter rows for security
	MaskingViews []string `yaml:"masking_views"` // schema.view that hide columns
	GSS          bool     `yaml:"gss"`           // connections are to be encrypted by GSSAPI
	FIPS         bool     `yaml:"fips"`
	Environment  string   `yaml:"environment"`   // production, staging, development, test
	LogDays      int      `yaml:"log_days"`      // how long logs are kept
	MaxPrefixV4  int      `yaml:"max_prefix_v4"` // the widest range that a rule may have; 0: 16
	MaxPrefixV6  int      `yaml:"max_prefix_v6"` // 0: 48
}

// Result is one check's outcome.
type Result struct {
	Check    *Check
	State    State
	Reason   string // why not evaluated or not applicable
	Broken   bool   // not evaluated although the capability was there
	Unlock   string // the capability or consent that would let it look
	Findings []Judged
}

// Judged is a finding with its final severity and its waiver.
type Judged struct {
	Finding
	Waiver *Waiver
	Change string // against the baseline: new, known, worse, regressed; "" without one
}

// Waiver takes a finding out of the exit code for a time.
type Waiver struct {
	ID      string `yaml:"id" json:"id"`
	Object  string `yaml:"object" json:"object"`
	Reason  string `yaml:"reason" json:"reason"`
	Owner   string `yaml:"owner" json:"owner"`
	Expires string `yaml:"expires" json:"expires"` // a day, 2006-01-02; the waiver holds until it ends
}
