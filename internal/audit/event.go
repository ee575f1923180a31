// Package audit is the trail: who did what, when, from where, to which data, and what was decided, as events in append-only
// files whose records are hash-chained and whose heads are signed. An event that cannot be written refuses what it describes.
package audit

import (
	"context"
	"time"
)

// Kind is what an event is about. The set is closed; docs/reference/events.md is generated from it.
type Kind string

// The kinds of event.
const (
	ServeStart    Kind = "serve.start"
	ServeStop     Kind = "serve.stop"
	Reload        Kind = "policy.reload"
	ApplyDone     Kind = "wall.apply"
	ProfileDenied Kind = "wall.outdated"
	LoginAccepted Kind = "login.accepted"
	LoginRefused  Kind = "login.refused"
	SessionEnd    Kind = "session.end"
	Decision      Kind = "statement.decision"
	Completion    Kind = "statement.completion"
	CancelRequest Kind = "session.cancel"
	Alarm         Kind = "alarm"            // tripwire, changed pin, protocol violation by the server
	Header        Kind = "trail.header"     // written by the trail: opens a file
	Checkpoint    Kind = "trail.checkpoint" // written by the trail: signs everything before it
	Recovery      Kind = "trail.recovery"   // written by the trail: says what a crash, a full disk or somebody did to it
)

// Event is one record of the trail. Seq, Time, Instance and the chain are filled in by the trail. No field may hold a
// password, a literal of a statement, a parameter value, or row data.
type Event struct {
	Seq      uint64    `json:"seq"`
	Time     time.Time `json:"time"`
	Instance string    `json:"instance"`
	Kind     Kind      `json:"kind"`

	ID      string `json:"id,omitempty"`      // of this event; errors shown to the client name it
	Session string `json:"session,omitempty"` // joins all events of a session
	Ref     string `json:"ref,omitempty"`     // for a completion: the decision's ID

	Subject  string   `json:"subject,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	Role     string   `json:"role,omitempty"` // identity role
	Store    string   `json:"store,omitempty"`
	Profile  string   `json:"profile,omitempty"`
	Rules    []string `json:"rules,omitempty"`
	Policy   string   `json:"policy,omitempty"` // digest of the policy in force
	Address  string   `json:"address,omitempty"`
	TLS      string   `json:"tls,omitempty"`    // "TLS 1.3", "" when plain
	Method   string   `json:"method,omitempty"` // how the subject proved who they are
	App      string   `json:"application,omitempty"`
	Listener string   `json:"listener,omitempty"`

	Verdict   string  `json:"verdict,omitempty"` // allow rewrite refuse
	Reason    string  `json:"reason,omitempty"`  // stable reason code
	Message   string  `json:"message,omitempty"`
	Statement string  `json:"statement,omitempty"` // literals replaced
	Opaque    *Opaque `json:"opaque,omitempty"`    // instead of Statement when it could not be parsed
	Command   string  `json:"command,omitempty"`
	Touches   []Touch `json:"touches,omitempty"`

	Rows       int64             `json:"rows,omitempty"`
	Bytes      int64             `json:"bytes,omitempty"` // sent to the client for this statement
	DurationUS int64             `json:"duration_us,omitempty"`
	SQLState   string            `json:"sqlstate,omitempty"`
	Detail     map[string]string `json:"detail,omitempty"`
}

// Opaque stands for a statement that could not be parsed: its length and a keyed hash, so that equal ones can be found.
type Opaque struct {
	Length int    `json:"length"`
	HMAC   string `json:"hmac"`
}

// Touch is one relation that a statement read or wrote.
type Touch struct {
	Relation string   `json:"relation"` // store.schema.table
	Action   string   `json:"action"`
	Columns  []string `json:"columns,omitempty"`
	Labels   []string `json:"labels,omitempty"`
	Masked   bool     `json:"masked,omitempty"`
}

// Recorder is what the rest of Postern writes events through.
type Recorder interface {
	// Record returns once e is durable as audit.sync demands. On error the thing that e describes must not happen.
	// It returns the event's ID.
	Record(ctx context.Context, e Event) (id string, err error)
	// RecordSoon queues e, a completion, behind everything recorded before; it is written with the next Record or within
	// 50 ms. Once the trail is broken it returns the error, and so does every later call.
	RecordSoon(e Event) error
}
