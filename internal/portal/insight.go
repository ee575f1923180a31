package portal

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
)

// Insight is what the engine, and the reports of its runs, know. The command line answers it.
type Insight interface {
	// Explain decides a statement as somebody's, without running it.
	Explain(ctx context.Context, user, store, sql string) (*Explanation, error)
	// Scans are the reports that were kept, oldest first.
	Scans(ctx context.Context) ([]ScanRun, error)
	// Discovered is the latest report on each store.
	Discovered(ctx context.Context) ([]Discovery, error)
	// Propose is the change of the policy file that follows from what somebody decided about columns. Nothing is written.
	Propose(ctx context.Context, by string, choices []Choice) (*Proposal, error)
	// ProposeRule is the change of the policy file that a rule has to say something else. Nothing is written.
	ProposeRule(ctx context.Context, change RuleChange) (*Proposal, error)
}

// Explanation is a statement's verdict, and why.
type Explanation struct {
	User     string    `json:"user"`
	Store    string    `json:"store"`
	Verdict  string    `json:"verdict"` // allow rewrite refuse
	Rules    []string  `json:"rules"`
	Profile  string    `json:"profile,omitempty"`
	Sent     string    `json:"sent,omitempty"`
	Touches  []Touched `json:"touches,omitempty"`
	SQLState string    `json:"sqlstate,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Message  string    `json:"message,omitempty"`
	Detail   string    `json:"detail,omitempty"`
	Hint     string    `json:"hint,omitempty"`
	Position int       `json:"position,omitempty"` // of the first character at fault, from 1
	Dataset  string    `json:"dataset,omitempty"`
	// Allowed is what would make a refused statement allowed, one way per line.
	Allowed []string `json:"allowed_by,omitempty"`
	// NotEnforced: the gateway would send the statement as it is, whatever the verdict (mode: observe).
	NotEnforced bool `json:"not_enforced,omitempty"`
	// Shadow is the verdict with the user's shadow rules in force.
	Shadow *ShadowVerdict `json:"shadow,omitempty"`
}

// ShadowVerdict is what would be decided with shadow rules in force.
type ShadowVerdict struct {
	Rules   []string  `json:"rules"` // that were added
	Verdict string    `json:"verdict"`
	Sent    string    `json:"sent,omitempty"`
	Touches []Touched `json:"touches,omitempty"`
	Message string    `json:"message,omitempty"`
	Reason  string    `json:"reason,omitempty"`
}

// Touched is a relation that a statement reads or writes, and why that is as it is.
type Touched struct {
	Relation string            `json:"relation"`
	Action   string            `json:"action"`
	Columns  []string          `json:"columns,omitempty"` // that are named; none: whole rows
	Rules    []string          `json:"rules,omitempty"`   // that admit the relation
	Dataset  string            `json:"dataset,omitempty"`
	Filtered bool              `json:"filtered,omitempty"` // no rule shows every row
	Masks    map[string]string `json:"masks,omitempty"`    // column -> how it is shown, for those that are not raw
}

// String is a touched relation on one line.
func (t Touched) String() string {
	text := t.Action + " " + t.Relation
	if len(t.Columns) > 0 {
		text += " (" + strings.Join(t.Columns, ", ") + ")"
	}
	if len(t.Rules) > 0 {
		text += " by " + strings.Join(t.Rules, ", ")
	}
	if t.Filtered {
		text += ", rows filtered"
	}
	for _, c := range slices.Sorted(maps.Keys(t.Masks)) {
		text += ", " + c + " as " + t.Masks[c]
	}
	return text
}

// ScanRun is a kept report of postern scan.
type ScanRun struct {
	Store       string         `json:"store"`
	Taken       time.Time      `json:"taken"`
	Points      int            `json:"points"`
	Word        string         `json:"word"` // empty: nothing was evaluated
	Unevaluated int            `json:"unevaluated_percent"`
	Counts      map[string]int `json:"findings_by_severity"`
	Findings    []ScanFinding  `json:"findings,omitempty"`
}

// ScanFinding is one finding of a scan.
type ScanFinding struct {
	ID       string `json:"id"`
	Pillar   string `json:"pillar"`
	Title    string `json:"title"`
	Severity string `json:"severity"`
	Object   string `json:"object"`
	Evidence string `json:"evidence,omitempty"`
	Fix      string `json:"fix,omitempty"`
	Waiver   string `json:"waiver,omitempty"`       // its reason; empty: it is open
	Until    string `json:"waiver_until,omitempty"` // the waiver's last day
	Owner    string `json:"waiver_owner,omitempty"`
}

// Discovery is what a run found in a store.
type Discovery struct {
	Store   string       `json:"store"`
	Taken   time.Time    `json:"taken"`
	Columns []Discovered `json:"columns"`
	Gaps    int          `json:"not_examined"`
}

// Discovered is a column that holds something, or about which somebody has decided.
type Discovered struct {
	Column     string  `json:"column"` // store.schema.table.column
	Type       string  `json:"type"`
	Class      string  `json:"class"`
	Confidence float64 `json:"confidence"`
	Because    string  `json:"because,omitempty"`
	Label      string  `json:"label,omitempty"`   // that the policy has
	Verdict    string  `json:"verdict,omitempty"` // class or "none", that a person gave
	By         string  `json:"verdict_by,omitempty"`
	Disputed   bool    `json:"disputed,omitempty"` // what is found now says something else
}

// Open says whether somebody should look at a column: neither label nor verdict speaks of it, or the data disputes them.
func (d Discovered) Open() bool { return d.Disputed || d.Label == "" && d.Verdict == "" }

// Choice is what somebody decides about a column.
type Choice struct {
	Column string `json:"column"` // store.schema.table.column
	Class  string `json:"class"`  // or "none": not sensitive
}

// Proposal is a change of the policy file, to review and to apply by hand: the portal never writes the file.
type Proposal struct {
	File    string   `json:"file"`
	Diff    string   `json:"diff"` // empty: the file says it all
	Left    []string `json:"left,omitempty"`
	Explain string   `json:"explain,omitempty"`
	Facts   []string `json:"facts,omitempty"`  // what the policy would say instead, one fact a line
	Widens  bool     `json:"widens,omitempty"` // somebody could see more
}

// Refuse is what an Insight says to a person who asked for something that cannot be.
func Refuse(text, hint string) error {
	return &access.Refusal{Code: codeBadCall, Text: text, Hint: hint}
}

var errNoInsight = &access.Refusal{Code: "not_here", Text: "This Postern cannot look at that.", Hint: "It was started without the engine's reports."}

func (p *Portal) insight() (Insight, error) {
	if p.c.Insight == nil {
		return nil, errNoInsight
	}
	return p.c.Insight, nil
}

// insightCalls are those of the engine and of the reports of its runs.
func (p *Portal) insightCalls() {
	route(p, Call{
		Pattern: "POST /api/v1/explain", Scope: identity.ScopeInspect, who: policyReaders, pages: []string{"GET /explain", "POST /explain"},
		Summary: "Decide a statement as somebody's, without running it",
	}, p.explainFor)
	route(p, Call{
		Pattern: "GET /api/v1/posture", Scope: identity.ScopeInspect, who: policyReaders, pages: []string{"GET /posture"},
		Summary: "How exposed a store's server is: score, findings, what is accepted for a time",
	}, p.posture)
	route(p, Call{
		Pattern: "GET /api/v1/discovery", Scope: identity.ScopeInspect, who: policyReaders, pages: []string{"GET /discovery"},
		Summary: "Columns that hold sensitive data, by what was seen of them",
	}, p.discovery)
	route(p, Call{
		Pattern: "POST /api/v1/discovery/proposal", Scope: identity.ScopeInspect, who: editors, pages: []string{"POST /discovery"},
		Summary: "The change of the policy file that follows from what you say of columns; nothing is written",
	}, p.proposed)
}

type explainData struct {
	As, Store, SQL string
	Stores         []string
	Out            *Explanation
}

func (p *Portal) explainPage(r *http.Request, _ *viewer) (shown, error) {
	q := r.URL.Query()
	out := explainData{As: q.Get("as"), Store: q.Get("store"), Stores: sortedNames(p.c.Policy().Stores)}
	if r.Method == http.MethodPost {
		out.As, out.Store, out.SQL = strings.TrimSpace(r.PostFormValue("as")), r.PostFormValue("store"), r.PostFormValue("sql")
	}
	return shown{"explain", "Explain", out}, nil
}

// explainedPage shows a verdict. A statement may hold data, so that it comes by a form and not in the address.
func (p *Portal) explainedPage(r *http.Request, v *viewer) (shown, error) {
	page, err := p.explainPage(r, v)
	if err != nil {
		return shown{}, err
	}
	data := page.data.(explainData) //nolint:forcetypeassert // explainPage's own
	if data.Out, err = p.explainFor(r, v, ExplainCall{data.As, data.Store, data.SQL}); err != nil {
		return shown{}, err
	}
	page.data = data
	return page, nil
}

// ExplainCall asks what would become of a statement.
type ExplainCall struct {
	User  string `json:"user"`
	Store string `json:"store"`
	SQL   string `json:"sql"`
}

func (p *Portal) explainFor(r *http.Request, v *viewer, call ExplainCall) (*Explanation, error) {
	engine, err := p.insight()
	if err != nil {
		return nil, err
	}
	pol := p.c.Policy()
	if _, known := pol.Subject(call.User); !known {
		return nil, &access.Refusal{Code: codeBadCall, Text: fmt.Sprintf("There is no %q in the policy.", call.User), Hint: "Write the name as the policy file has it."}
	}
	if pol.Stores[call.Store] == nil {
		return nil, &access.Refusal{Code: codeBadCall, Text: fmt.Sprintf("There is no store %q.", call.Store)}
	}
	if strings.TrimSpace(call.SQL) == "" {
		return nil, &access.Refusal{Code: codeBadCall, Text: "Write a statement."}
	}
	if err := p.record(r, audit.Event{Kind: audit.PortalExplained, Subject: v.Subject.Name, Store: call.Store, Verdict: "allow", Detail: map[string]string{"for": call.User}}); err != nil {
		return nil, err
	}
	out, err := engine.Explain(r.Context(), call.User, call.Store, call.SQL)
	if err != nil {
		return nil, err
	}
	out.Rules = notNil(out.Rules)
	return out, nil
}

// DiscoveryQuery chooses columns.
type DiscoveryQuery struct {
	Filter string `json:"q,omitempty"`     // words of a column, a class, a label or a verdict
	Store  string `json:"store,omitempty"` // none: all
	All    bool   `json:"all,omitempty"`   // those too about which the policy says something
}

// DiscoveryShown is what was found.
type DiscoveryShown struct {
	Stores  []Discovery `json:"stores"`
	Classes []string    `json:"classes"`    // that were found, for corrections
	May     bool        `json:"may_decide"` // whoever looks
	Open    int         `json:"open"`       // columns that wait for a person's word
}

func (p *Portal) discovery(r *http.Request, v *viewer, q DiscoveryQuery) (DiscoveryShown, error) {
	out := DiscoveryShown{Stores: []Discovery{}, Classes: []string{}, May: editors(v)}
	if p.c.Insight == nil {
		return out, nil
	}
	found, err := p.c.Insight.Discovered(r.Context())
	if err != nil {
		return out, err
	}
	classes := map[string]bool{}
	for _, d := range found {
		if q.Store != "" && d.Store != q.Store {
			continue
		}
		keep := []Discovered{}
		for _, c := range d.Columns {
			if c.Class != "" {
				classes[c.Class] = true
			}
			if c.Open() {
				out.Open++
			}
			if (q.All || c.Open()) && hit(q.Filter, c.Column+" "+c.Class+" "+c.Label+" "+c.Verdict) {
				keep = append(keep, c)
			}
		}
		d.Columns = keep
		out.Stores = append(out.Stores, d)
	}
	out.Classes = append(out.Classes, sortedNames(classes)...)
	return out, nil
}

func (p *Portal) discoveryPage(r *http.Request, v *viewer) (shown, error) {
	return look(r, v, p.discovery, func(q DiscoveryQuery, out DiscoveryShown) shown {
		return shown{"discovery", "Discovery", struct {
			DiscoveryQuery
			DiscoveryShown
		}{q, out}}
	})
}

// proposePage shows what the policy file would have to say for the decisions of a form.
func (p *Portal) proposePage(r *http.Request, v *viewer) (shown, error) {
	if err := r.ParseForm(); err != nil {
		return shown{}, &access.Refusal{Code: codeBadCall, Text: "The form cannot be read."}
	}
	var choices []Choice
	for name, values := range r.PostForm {
		column, ok := strings.CutPrefix(name, "c:")
		if ok && len(values) > 0 && values[0] != "" {
			choices = append(choices, Choice{column, values[0]})
		}
	}
	slices.SortFunc(choices, func(a, b Choice) int { return strings.Compare(a.Column, b.Column) })
	out, err := p.proposed(r, v, ProposalCall{choices})
	return shown{"proposal", "Change of the policy", out}, err
}

// mostSaid is how many of the columns that a proposal is about stand in its event; their number does too.
const mostSaid = 20

// ProposalCall is what somebody says of columns.
type ProposalCall struct {
	Choices []Choice `json:"choices"`
}

func (p *Portal) proposed(r *http.Request, v *viewer, call ProposalCall) (*Proposal, error) {
	engine, err := p.insight()
	if err != nil {
		return nil, err
	}
	if len(call.Choices) == 0 {
		return nil, &access.Refusal{Code: codeBadCall, Text: "Decide about at least one column.", Hint: "Choose what it holds, or that it holds nothing sensitive."}
	}
	var said []string
	for _, c := range call.Choices[:min(len(call.Choices), mostSaid)] {
		said = append(said, c.Column+"="+c.Class)
	}
	if err := p.record(r, audit.Event{
		Kind: audit.PolicyProposed, Subject: v.Subject.Name, Verdict: "allow",
		Detail: map[string]string{"columns": strings.Join(said, " "), "count": strconv.Itoa(len(call.Choices))},
	}); err != nil {
		return nil, err
	}
	return engine.Propose(r.Context(), v.Subject.Name, call.Choices)
}
