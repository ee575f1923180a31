// Package access is how people come to hold a rule for a while: a request, its approvals, a grant, and the grant's end. It is a
// state machine over records: what is asked, who asks, the policy and the time come in, and out comes a Change that a Store
// carries out in one transaction, with its events and notices, or not at all.
//
// It does no I/O of its own, has no clock, and knows neither servers nor sessions: a Grant says what somebody may hold, and
// the wall and the gateway look at nothing else. It imports policy for rules and subjects.
package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/postern-sec/postern/internal/policy"
)

// State is where a request or a grant stands.
type State string

// The states of a request. All but Pending are final.
const (
	Pending    State = "pending"
	Approved   State = "approved"
	Denied     State = "denied"
	Withdrawn  State = "withdrawn"
	Expired    State = "expired"
	Superseded State = "superseded"
)

// The states of a grant. Scheduled, Active and Suspended are live; the others are final.
const (
	Scheduled State = "scheduled"
	Active    State = "active"
	Suspended State = "suspended"
	Ended     State = "ended"
	Revoked   State = "revoked"
	Failed    State = "failed"
)

// Wall says how far the servers are with a grant.
type Wall string

// The states of a grant's wall. People are told "active" at WallReady.
const (
	WallPending  Wall = "pending"
	WallReady    Wall = "ready"
	WallRemoving Wall = "removing"
	WallGone     Wall = "gone"
)

// Cause says why a grant ended.
type Cause string

// The causes.
const (
	ByTime        Cause = "time"
	ByDisuse      Cause = "unused"
	ByPerson      Cause = "person"
	ByGroupLost   Cause = "group_lost"
	ByDeactivated Cause = "deactivated"
	ByRule        Cause = "rule"
	ByFailure     Cause = "failure"
	ByReview      Cause = "review"   // nobody answered for it in time
	ByApprover    Cause = "approver" // one who decided was deactivated before the start
)

// Request is what a person asks for. It is never changed but for its decisions and its state.
type Request struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	State   State  `json:"state"`

	Subject  string      `json:"subject"`
	Rule     string      `json:"rule"`
	Dataset  string      `json:"dataset"`
	Level    string      `json:"level"`
	For      policy.Span `json:"for"`
	Until    time.Time   `json:"until,omitzero"` // an absolute end, instead of For
	Start    time.Time   `json:"start,omitzero"` // zero: as soon as it is approved
	Purpose  string      `json:"purpose,omitempty"`
	Note     string      `json:"note,omitempty"`
	Extends  string      `json:"extends,omitempty"` // a grant
	Created  time.Time   `json:"created"`
	Expires  time.Time   `json:"expires"`
	Channel  string      `json:"channel,omitempty"`
	Breaking bool        `json:"break_glass,omitempty"`
	// Statement is what its author wants to run, if they said so. It is never changed in place.
	Statement *Statement `json:"statement,omitempty"`

	Steps     []policy.Step `json:"steps,omitempty"` // as the rule had them when it was asked for
	Step      int           `json:"step"`
	StepSince time.Time     `json:"step_since"`
	Decisions []Decision    `json:"decisions,omitempty"`
	Reminded  bool          `json:"reminded,omitempty"` // whoever has to decide was told a second time
	Closed    time.Time     `json:"closed,omitzero"`
	Grant     string        `json:"grant,omitempty"`
}

// Decision is what one person said of a request, or that a step was skipped.
type Decision struct {
	By      string    `json:"by,omitempty"`
	For     string    `json:"for,omitempty"`    // in whose name: By, or whom By stood in for
	Groups  []string  `json:"groups,omitempty"` // of For, at that moment: a decision stays when its maker loses the role
	Step    int       `json:"step"`
	Verdict string    `json:"verdict"` // approve, deny or skip
	Note    string    `json:"note,omitempty"`
	Channel string    `json:"channel,omitempty"`
	At      time.Time `json:"at"`
}

// Grant is what a person holds until a time.
type Grant struct {
	ID      string `json:"id"`
	Version int    `json:"version"`
	State   State  `json:"state"`
	Wall    Wall   `json:"wall"`
	Why     string `json:"why,omitempty"` // the wall is pending
	// Waiting is since when it is, zero if it is not.
	Waiting time.Time `json:"waiting,omitzero"`

	Subject  string    `json:"subject"`
	Rule     string    `json:"rule"`
	Dataset  string    `json:"dataset"`
	Request  string    `json:"request"` // the one that made it
	Start    time.Time `json:"start"`
	End      time.Time `json:"end"`               // policy.Never() for none
	Extended time.Time `json:"extended,omitzero"` // when it was last given a later end
	Told     int       `json:"told,omitempty"`    // how many of the notices ahead of this end are done with
	Cause    Cause     `json:"cause,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Closed   time.Time `json:"closed,omitzero"`
	LastUse  time.Time `json:"last_use,omitzero"`
	Unused   int       `json:"unused,omitempty"` // days
	Warned   bool      `json:"warned,omitempty"` // of the coming end for disuse
	Breaking bool      `json:"break_glass,omitempty"`
	Parked   Cause     `json:"parked,omitempty"` // why it is suspended: person or rule

	ReviewDue time.Time `json:"review_due,omitzero"`
	Overdue   bool      `json:"overdue,omitempty"`
	Reviewed  time.Time `json:"reviewed,omitzero"`
	Reviewer  string    `json:"reviewer,omitempty"`
	// ReviewNote is what the reviewer wrote.
	ReviewNote string `json:"review_note,omitempty"`
}

// Live says whether a grant has not come to its end.
func (g *Grant) Live() bool {
	return g.State == Scheduled || g.State == Active || g.State == Suspended
}

// Holds says whether a grant lets its subject hold its rule at a time.
func (g *Grant) Holds(now time.Time) bool {
	return g.State == Active && !now.Before(g.Start) && now.Before(g.End)
}

// Delegation lets one person decide in another's place while they are away.
type Delegation struct {
	ID   string    `json:"id"`
	From string    `json:"from"`
	To   string    `json:"to"`
	End  time.Time `json:"end"`
}

// Event is one transition, for the trail.
type Event struct {
	ID      int64     `json:"-"` // place in the outbox
	Kind    string    `json:"kind"`
	At      time.Time `json:"at"`
	Actor   string    `json:"actor,omitempty"` // empty: Postern itself
	Channel string    `json:"channel,omitempty"`
	Address string    `json:"address,omitempty"`
	Subject string    `json:"subject"`
	Dataset string    `json:"dataset,omitempty"`
	Rule    string    `json:"rule,omitempty"`
	Request string    `json:"request,omitempty"`
	Grant   string    `json:"grant,omitempty"`
	From    State     `json:"from,omitempty"`
	To      State     `json:"to,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	Policy  string    `json:"policy,omitempty"`
	// Statement is the one that was sent with a request, without its literals.
	Statement string `json:"statement,omitempty"`
	// Count is how often it was, of what is told of once for several times.
	Count int `json:"count,omitempty"`
}

// Notice is something that a person should be told.
type Notice struct {
	Kind    string    `json:"kind"`
	To      string    `json:"to"`
	Request string    `json:"request,omitempty"`
	Grant   string    `json:"grant,omitempty"`
	At      time.Time `json:"at"`
	Until   time.Time `json:"until,omitzero"` // the end that it is about
	// Grants are the ids of several that it is about, with spaces between them.
	Grants string `json:"grants,omitempty"`
	// What it is about where no request or grant says so.
	Dataset string `json:"dataset,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// Channel, where it is set, is a channel in Slack that the notice is posted to, and it is to nobody.
	Channel string `json:"channel,omitempty"`
}

// Delivery is a notice on its way by one transport.
type Delivery struct {
	ID    int64 // place in the outbox
	Tries int   // before this one
	Notice
}

// Change is one transition, whole: a Store carries all of it out, or nothing. A record with Version 1 is new; any other must
// stand at the version before.
type Change struct {
	Requests    []Request
	Grants      []Grant
	Events      []Event
	Notices     []Notice
	Delegations []Delegation
	Reviews     []Review
	Recalled    []string // delegations that are over; one that is so already is a conflict
	// Key, when set, makes a retry find the first outcome: Outcome is the request or grant that came of it.
	Key, Outcome string

	known map[string][]string // see owners
	// Quiet: nobody has to do anything about it, so that no other instance needs to look.
	Quiet bool
}

// Filter picks records. The zero Filter picks all.
type Filter struct {
	IDs     []string
	Subject string
	Rule    string
	Open    bool      // pending requests, live grants
	Due     time.Time // those on which time has something to do by then
	Closing bool      // grants that are over and whose wall is not gone

	Datasets []string // grants on one of these; nil: on any
	Over     bool     // grants that have come to their end
	// Newest, unless it is 0, makes it at most so many grants, those that ended last, the last one first; and Before those alone that
	// come behind a grant in that order.
	Newest int
	Before *Place
}

// Place is where a grant stands among those that have ended, in the order of their ends.
type Place struct {
	Closed time.Time
	ID     string
}

// Errors of a Store and of the Desk, for errors.Is.
var (
	ErrConflict = errors.New("somebody else was faster")
	ErrNotFound = errors.New("there is no such request or grant")
)

// Store keeps the records. It is safe for concurrent use, also by several processes.
type Store interface {
	Requests(ctx context.Context, f Filter) ([]Request, error)
	Grants(ctx context.Context, f Filter) ([]Grant, error)
	// Delegations returns those that have not ended.
	Delegations(ctx context.Context, now time.Time) ([]Delegation, error)
	// Reviews returns the last review of every dataset that ever had one.
	Reviews(ctx context.Context) ([]Review, error)
	// Outcome finds what came of an idempotency key.
	Outcome(ctx context.Context, key string) (string, error)
	// Commit carries out a change. ErrConflict says that a record, or its place, was taken meanwhile; nothing was changed.
	Commit(ctx context.Context, c Change) error
}

// Actor is who does something, and what is known of how they came.
type Actor struct {
	Subject policy.Subject
	Channel string // cli, portal, slack, api
	Address string
	Admin   bool
	Factor  time.Time // when a second factor was last proved
}

// proved says whether somebody proved a second factor a moment ago.
func (a *Actor) proved(now time.Time) bool {
	return !a.Factor.IsZero() && now.Sub(a.Factor) <= factorFresh
}

// HintFactor is how to prove a second factor again.
const HintFactor = "prove your second factor again: postern login --factor with a code, postern login --device with a passkey, or Account in the portal"

// ChannelSlack is the channel of a click or a form in Slack.
const ChannelSlack = "slack"

// Refusal is a "no" to a person, with its reason. Code is stable.
type Refusal struct {
	Code string
	Text string
	Hint string
	// Field is which part of what was asked is at fault, by its name in a call; "": none, or no single one.
	Field string
}

// at names the part at fault.
func (r *Refusal) at(field string) *Refusal {
	r.Field = field
	return r
}

// Error makes a refusal an error.
func (r *Refusal) Error() string { return r.Text }

// The codes of refusals.
const (
	CodeNoRule      = "no_rule"       // there is no such rule for this person
	CodeHeld        = "already_held"  // it is held or asked for already
	CodeTooLong     = "too_long"      // beyond the rule's maximum
	CodeNote        = "note_required" // or too long
	CodeStatement   = "statement"     // too long, or no text
	CodePurpose     = "purpose_required"
	CodeNobody      = "no_approver"   // nobody could approve
	CodeSelf        = "self_approval" // of one's own request
	CodeNotApprover = "not_approver"
	CodeTwice       = "decided_already" // this person has decided
	CodeFinal       = "final"           // the request or grant is over
	CodeNotYours    = "not_yours"
	CodeFactor      = "second_factor_required"
	CodeTime        = "bad_time"
	CodeBreakGlass  = "no_break_glass"
	CodeLevel       = "level"
	CodeChannel     = "channel" // not this way
	CodeOften       = "too_often"
)

// HintNoRule is what there is to do where nothing can be asked for (ADR 0021).
const HintNoRule = "postern grants --askable lists what you can ask for; what is not among it wants a dataset and a rule in the policy file first: ask whoever looks after that"

func refuse(code, hint, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Text: fmt.Sprintf(format, args...), Hint: hint}
}

// Held turns grants into what a policy takes: what each subject holds at a time.
func Held(grants []Grant, now time.Time) map[string][]policy.Held {
	out := map[string][]policy.Held{}
	for i := range grants {
		if g := &grants[i]; g.Holds(now) {
			out[g.Subject] = append(out[g.Subject], policy.Held{Rule: g.Rule, Until: g.End})
		}
	}
	return out
}

// maxNote is the length of a note in characters (ACC-24).
const maxNote = 1000

// checkNote refuses control characters and lengths that no surface shows whole.
func checkNote(note string) error {
	if n := len([]rune(note)); n > maxNote {
		return refuse(CodeNote, "", "a note has at most %d characters; this one has %d", maxNote, n).at("note")
	}
	if strings.ContainsFunc(note, unfit) {
		return refuse(CodeNote, "write it as plain text", "a note cannot hold control characters, nor such as turn the direction of what follows").at("note")
	}
	return nil
}

// blank says whether a note says nothing: who wants one wants to be told why.
func blank(note string) bool {
	return !strings.ContainsFunc(note, func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) })
}

// unfit is what makes a text look like another on some surface: control characters, of which terminals take those of C1 for commands too,
// line breaks that not everybody sees as such, and overrides of direction.
func unfit(r rune) bool {
	switch {
	case r == '\n':
		return false
	case unicode.IsControl(r), r == '\u2028', r == '\u2029', Turns(r):
		return true
	}
	return false
}
