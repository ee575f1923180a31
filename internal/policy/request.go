package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// RequestKind says who acts before a rule is held.
type RequestKind string

// The kinds of rule that are held by a grant. A rule without a request is direct: membership is enough.
const (
	SelfService RequestKind = "self_service" // the person takes it
	OnRequest   RequestKind = "on_request"   // approvers decide
)

// Request makes a rule one that is held by a grant until a time, and not by membership: To then says who may ask.
type Request struct {
	Kind      RequestKind
	Max       Span
	Default   Span
	Approvers []Step // in order; empty for self-service
	Note      Demand
	Factor    Demand // of a second factor, proved a moment ago
	Purpose   bool   // one of Policy.Purposes has to be named
	Unused    int    // days without use after which a grant is revoked; 0: never
	Expires   Span   // how long a request waits for a decision
	Pos       Pos
}

// Demand says of whom something is demanded: a note, a second factor.
type Demand string

// The values of a request's note and factor.
const (
	NoteNone      Demand = "none"
	NoteRequester Demand = "requester"
	NoteApprover  Demand = "approver"
	NoteBoth      Demand = "both"
)

// Asks says whether it is demanded of the requester.
func (n Demand) Asks() bool { return n == NoteRequester || n == NoteBoth }

// Answers says whether it is demanded of the approver.
func (n Demand) Answers() bool { return n == NoteApprover || n == NoteBoth }

// SlackUse says what Slack is good for with a dataset. Empty is SlackNotices.
type SlackUse string

// The values of a dataset's slack, each with what the ones before it allow.
const (
	SlackOff     SlackUse = "off"
	SlackNotices SlackUse = "notices" // people are told, and may ask
	SlackDeny    SlackUse = "deny"    // approvers may deny
	SlackDecide  SlackUse = "decide"  // approvers may approve
)

// Denies says whether a request may be denied in Slack.
func (u SlackUse) Denies() bool { return u == SlackDeny || u == SlackDecide }

// Approves says whether a request may be approved in Slack.
func (u SlackUse) Approves() bool { return u == SlackDecide }

// StatementText says what of the statement that goes with a request is told outside of Postern: in Slack, by mail, to a webhook. Empty is
// StatementOmit.
type StatementText string

// The values of a dataset's statement_text.
const (
	StatementOmit StatementText = "omit" // nothing
	StatementAuto StatementText = "auto" // the statement without its literals, if it could be read
	StatementFull StatementText = "full" // in Slack as it was sent, for as long as the request waits; else as auto
)

// Step is one round of approvals.
type Step struct {
	Names     []string // users, "group:NAME", "owners" or "manager"
	Each      bool     // one person for each of the names; else Min people of any
	Min       int
	SkipAfter time.Duration // 0: the step is never skipped
}

// The words that stand among approvers for people who depend on the request.
const (
	ApproverOwners  = "owners"  // of the dataset
	ApproverManager = "manager" // whom the requester's attribute "manager" names
)

// BreakGlass lets groups take rules on request without approval, for a short time, in an emergency.
type BreakGlass struct {
	Groups []string
	Max    Span
	Pos    Pos
}

// Review is how often the owners of a dataset say what people still need of what they hold by grants (ACC-40).
type Review struct {
	Every  Span // from the beginning of one to that of the next
	Due    Span // for the answers
	Revoke bool // what nobody answered for ends; else it is kept, and listed
	Pos    Pos
}

// Span is a length of time. Months are calendar months in UTC. The zero Span is unset.
type Span struct {
	Months int
	Time   time.Duration
	Never  bool // no end
}

// Never is the end of what never ends: later than any time that a server or a file can name in four digits of a year.
func Never() time.Time { return time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC) }

// IsZero says whether nothing was given.
func (s Span) IsZero() bool { return s == Span{} }

// From is the end of a span that begins at a time. Where the month has no such day, its last one is meant.
func (s Span) From(start time.Time) time.Time {
	if s.Never {
		return Never()
	}
	start = start.UTC()
	if s.Months != 0 {
		y, m, d := start.Date()
		first := time.Date(y, m, 1, start.Hour(), start.Minute(), start.Second(), start.Nanosecond(), time.UTC).AddDate(0, s.Months, 0)
		last := first.AddDate(0, 1, -1).Day()
		start = first.AddDate(0, 0, min(d, last)-1)
	}
	return start.Add(s.Time)
}

// Within says whether a span that begins at start ends no later than another does.
func (s Span) Within(limit Span, start time.Time) bool {
	return !s.From(start).After(limit.From(start))
}

// spanUnits are the units of a span, longest first. Minutes are "m", months "mo".
var spanUnits = []struct {
	unit   string
	months int
	time   time.Duration
}{
	{"y", 12, 0}, {"mo", 1, 0}, {"w", 0, 7 * 24 * time.Hour}, {"d", 0, 24 * time.Hour}, {"h", 0, time.Hour}, {"m", 0, time.Minute},
}

// maxSpan keeps every sum far from overflow and every end before Never.
const maxSpan = 1000 // of any one unit; minutes, hours and days may be more

// ParseSpan reads a number and a unit, such as 30m, 8h, 30d, 2w, 6mo, 1y, or the word never.
func ParseSpan(text string) (Span, error) {
	if text == "never" {
		return Span{Never: true}, nil
	}
	digits := strings.TrimLeft(text, "0123456789")
	n, err := strconv.Atoi(strings.TrimSuffix(text, digits))
	if err == nil && n > 0 {
		for _, u := range spanUnits {
			if digits != u.unit {
				continue
			}
			if n > maxSpan && (u.months > 0 || u.time > 24*time.Hour) || n > 1_000_000 {
				return Span{}, fmt.Errorf("%q is longer than anybody will need it", text)
			}
			return Span{Months: n * u.months, Time: time.Duration(n) * u.time}, nil
		}
	}
	return Span{}, fmt.Errorf("%q is not a duration: write a number and m, h, d, w, mo or y, such as 8h", clip(text))
}

// String writes a span as ParseSpan reads it.
func (s Span) String() string {
	switch {
	case s.Never:
		return "never"
	case s.IsZero():
		return ""
	case s.Months != 0 && s.Months%12 == 0 && s.Time == 0:
		return strconv.Itoa(s.Months/12) + "y"
	case s.Months != 0 && s.Time == 0:
		return strconv.Itoa(s.Months) + "mo"
	}
	for _, u := range spanUnits {
		if u.time > 0 && s.Time%u.time == 0 {
			return strconv.FormatInt(int64(s.Time/u.time), 10) + u.unit
		}
	}
	return s.Time.String()
}

// Held is a rule that a subject holds by a grant.
type Held struct {
	Rule  string
	Until time.Time // never zero; Never() for no end
}

// WithGrants is the policy with what subjects hold by grants, by the subject's name. The receiver stays as it is; the digest,
// which is of the file, too.
func (p *Policy) WithGrants(grants map[string][]Held) *Policy {
	out := *p
	out.grants = map[string]map[string]time.Time{}
	for subject, list := range grants {
		held := map[string]time.Time{}
		for _, h := range list {
			if h.Until.After(held[h.Rule]) {
				held[h.Rule] = h.Until
			}
		}
		out.grants[subject] = held
	}
	return &out
}

// Ends says whether a rule can end, so that the wall asks until when somebody holds it.
func (r *Rule) Ends() bool { return !r.Until.IsZero() || r.Request != nil }

// Holds says whether a subject holds a rule, ended or not: by membership, or by a grant where the rule is held by one.
func (p *Policy) Holds(s Subject, r *Rule) bool {
	if !r.Enabled || !s.Is(r.To) {
		return false
	}
	if r.Request == nil {
		return true
	}
	_, held := p.grants[s.Name][r.Name]
	return held
}

// Until is when a subject's hold of a rule ends: the rule's end or the grant's, whichever comes first. Zero: never.
func (p *Policy) Until(s Subject, r *Rule) time.Time {
	until := r.Until
	if r.Request != nil {
		if g := p.grants[s.Name][r.Name]; until.IsZero() || g.Before(until) {
			until = g
		}
	}
	return until
}

// Askable lists the enabled rules that a subject may ask for, in file order. With a store, only those that reach into it.
func (p *Policy) Askable(s Subject, store string) []*Rule {
	var out []*Rule
	for _, r := range p.Rules {
		if r.Enabled && r.Request != nil && s.Is(r.To) && (store == "" || p.Reaches(r, store)) {
			out = append(out, r)
		}
	}
	return out
}

// Granted says whether a subject holds something by a grant.
func (p *Policy) Granted(subject string) bool { return len(p.grants[subject]) > 0 }

// StoresOf lists the stores that a rule reaches, sorted.
func (p *Policy) StoresOf(r *Rule) []string {
	var out []string
	for name := range p.Stores {
		if p.Reaches(r, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
