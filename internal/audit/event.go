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
	ServeStart    Kind = "serve.start"          // the gateway began to serve
	ServeStop     Kind = "serve.stop"           // the gateway ended in order
	Reload        Kind = "policy.reload"        // a changed policy file was taken up, or refused and why
	ApplyDone     Kind = "wall.apply"           // the wall in a store was changed
	ProfileDenied Kind = "wall.outdated"        // a profile was refused because its wall differs from the policy
	DiscoverRun   Kind = "discover.run"         // serve looked for sensitive data in a store
	DiscoverNew   Kind = "discover.new"         // a column holds sensitive data, has no label, and was not reported before
	ResultFound   Kind = "discover.result"      // a result's column held sensitive data, and its column has no label
	LoginAccepted Kind = "login.accepted"       // somebody proved who they are and may come in
	LoginRefused  Kind = "login.refused"        // somebody was not let in, and why
	SessionEnd    Kind = "session.end"          // a session ended, and why
	Decision      Kind = "statement.decision"   // a statement was allowed, rewritten or refused; written before anything is sent
	Completion    Kind = "statement.completion" // an allowed statement came to its end
	CancelRequest Kind = "session.cancel"       // somebody asked to cancel a running statement
	Alarm         Kind = "alarm"                // tripwire, changed pin, protocol violation by the server
	Header        Kind = "trail.header"         // written by the trail: opens a file
	Checkpoint    Kind = "trail.checkpoint"     // written by the trail: signs everything before it
	Recovery      Kind = "trail.recovery"       // written by the trail: says what a crash, a full disk or somebody did to it
)

// The kinds of event about access.
const (
	RequestSubmitted  Kind = "request.submitted"        // somebody asked for a rule
	RequestApproved   Kind = "request.approved"         // somebody approved a request
	RequestDenied     Kind = "request.denied"           // somebody denied a request, which ended it
	RequestWithdrawn  Kind = "request.withdrawn"        // the requester took a request back
	RequestExpired    Kind = "request.expired"          // a request was not decided in time
	RequestSuperseded Kind = "request.superseded"       // a request no longer fits the policy
	RequestSkipped    Kind = "request.step_skipped"     // a step of a request was skipped because nobody decided in time
	RequestRefused    Kind = "request.decision_refused" // a request, a decision or a revocation was refused, and why
	GrantPrepared     Kind = "grant.prepared"           // a grant was made; the servers do not have it yet
	GrantStarted      Kind = "grant.started"            // the start of a scheduled grant has come
	GrantActive       Kind = "grant.active"             // the servers have a grant
	GrantExtended     Kind = "grant.extended"           // a grant has a new end
	GrantEnded        Kind = "grant.ended"              // a grant came to its end
	GrantRevoked      Kind = "grant.revoked"            // a grant was ended before its time, and why
	GrantFailed       Kind = "grant.failed"             // a grant could not be provisioned
	GrantSuspended    Kind = "grant.suspended"          // a grant was suspended
	GrantResumed      Kind = "grant.resumed"            // a suspended grant goes on
	WallReverted      Kind = "wall.reverted"            // nothing of a grant that is over is left on the servers
	BreakGlassStart   Kind = "breakglass.started"       // somebody took a rule in an emergency, without approval
	BreakGlassReview  Kind = "breakglass.reviewed"      // somebody else looked at it
	BreakGlassLate    Kind = "breakglass.overdue"       // nobody looked at it in time
	ReviewOpened      Kind = "review.opened"            // owners of a dataset are asked what is still needed of what people hold there
	ReviewOverdue     Kind = "review.overdue"           // they did not answer for everything in time
	ReviewRevoked     Kind = "review.revoked"           // a grant was ended in a review, or because nobody answered for it
	ReviewClosed      Kind = "review.closed"            // a review is over, and why
	ReviewConfirmed   Kind = "review.confirmed"         // somebody confirmed in a review that a grant is needed
	Delegated         Kind = "approver.delegated"       // an approver let somebody stand in for them
	Recalled          Kind = "approver.recalled"        // somebody stands in for an approver no longer, before its time
	CredentialMade    Kind = "credential.made"          // a token, a temporary credential or a client certificate was made
	CredentialRevoked Kind = "credential.revoked"       // a token, a temporary credential or a client certificate was revoked
	AuthorityMade     Kind = "authority.made"           // what signs client certificates was made, first or in place of another
	AuthorityEnded    Kind = "authority.ended"          // nothing that an authority signed is good any more
	PortalLogin       Kind = "portal.login"             // somebody proved who they are to the portal, or failed to
	PortalSessionEnd  Kind = "portal.session_ended"     // a session of the portal or the command line ended, and why
	PortalRefused     Kind = "portal.refused"           // somebody tried a page of the portal, or an action on it, that is not for them
	PortalExplained   Kind = "portal.explained"         // somebody asked on the portal what would become of somebody's statement
	PolicyProposed    Kind = "policy.proposed"          // somebody had the portal write a change of a rule, or of labels, for review; nothing changed
	TrailRead         Kind = "trail.read"               // somebody searched the trail on the portal
	TrailView         Kind = "trail.view"               // somebody kept a search of the trail under a name, renamed one, or dropped it
	FactorProved      Kind = "factor.proved"            // somebody proved a second factor
	FactorRefused     Kind = "factor.refused"           // a second factor was wrong, used already, or locked
	AccountCreated    Kind = "account.created"          // a local account was made
	AccountInvited    Kind = "account.invited"          // a one-time link to an account was made
	AccountAccepted   Kind = "account.accepted"         // a one-time link was followed, or refused
	AccountPassword   Kind = "account.password"         // somebody changed their password, or failed to
	AccountFactor     Kind = "account.factor"           // somebody set up a second factor, or new recovery codes
	PasskeyAdded      Kind = "passkey.added"            // somebody added a passkey to their account
	PasskeyRemoved    Kind = "passkey.removed"          // somebody removed a passkey
	PasskeyRefused    Kind = "passkey.refused"          // a new passkey was not taken, or one that somebody would remove stays, and why
	PasskeySuspect    Kind = "passkey.suspect"          // a passkey's counter went back, so that there may be a copy: it opens nothing any more
	AccountRole       Kind = "account.role"             // an account was given another role
	AccountDisabled   Kind = "account.disabled"         // an account was disabled, and all that was open of it ended
	AccountEnabled    Kind = "account.enabled"          // a disabled account was enabled
	DeviceDecided     Kind = "portal.terminal"          // somebody at a browser let a terminal in as themselves, or turned it away
	AccountUnlinked   Kind = "account.unlinked"         // a name is no longer tied to anybody at the identity provider
	GroupsChanged     Kind = "groups.changed"           // the groups of somebody at the identity provider, or in the directory, are others than before
	GroupsUnknown     Kind = "groups.unknown"           // the identity provider, or the directory, did not say in which groups somebody is
	ProviderLogout    Kind = "portal.provider_logout"   // the identity provider said that a sign-in of somebody is over, or a token that says so does not do
	RecheckFailed     Kind = "recheck.failed"           // the identity provider could not be asked about somebody
	SubjectEnded      Kind = "subject.deactivated"      // the identity provider or the directory no longer knows somebody: sessions, tokens and database sessions end
	SubjectBack       Kind = "subject.restored"         // the directory knows somebody again whom it had lost or disabled
	DirectoryFailed   Kind = "directory.failed"         // the directory could not be asked, or its answer does not count, and why
	DirectoryBack     Kind = "directory.answers"        // the directory's answers count again
	EmergencyLogin    Kind = "emergency.login"          // the emergency admin signed in: an alarm, each time
	EmergencyRefused  Kind = "emergency.refused"        // somebody failed to sign in as the emergency admin, and why
	EmergencyEnded    Kind = "emergency.ended"          // the emergency admin signed out
	NoticeSent        Kind = "notice.sent"              // a transport took a notice to somebody
	NoticeEdited      Kind = "notice.edited"            // a message was changed to what its request has come to
	NoticeDead        Kind = "notice.dead"              // a notice could not be delivered, and why
)

// Event is one record of the trail. Seq, Time, Instance and the chain are filled in by the trail. No field may hold a
// password, a literal of a statement, a parameter value, or row data.
type Event struct {
	Seq      uint64    `json:"seq"`      // number in the trail, from 1, without a gap
	Time     time.Time `json:"time"`     // UTC, microseconds
	Instance string    `json:"instance"` // of Postern that wrote it
	Kind     Kind      `json:"kind"`     // what it is about

	ID      string `json:"id,omitempty"`      // of this event; errors shown to the client name it
	Session string `json:"session,omitempty"` // joins all events of a session
	Ref     string `json:"ref,omitempty"`     // for a completion: the decision's ID

	Subject     string   `json:"subject,omitempty"`      // who acted
	Groups      []string `json:"groups,omitempty"`       // the subject's groups at that moment
	Role        string   `json:"role,omitempty"`         // identity role
	Store       string   `json:"store,omitempty"`        // where
	Profile     string   `json:"profile,omitempty"`      // the compiled set of rules that the session works under
	Rules       []string `json:"rules,omitempty"`        // the rules in that set
	Policy      string   `json:"policy,omitempty"`       // digest of the policy in force
	Address     string   `json:"address,omitempty"`      // of the client
	TLS         string   `json:"tls,omitempty"`          // "TLS 1.3", "" when plain
	Method      string   `json:"method,omitempty"`       // how the subject proved who they are
	App         string   `json:"application,omitempty"`  // what the client calls itself
	Listener    string   `json:"listener,omitempty"`     // through which the client came
	NotEnforced bool     `json:"not_enforced,omitempty"` // verdicts say what would have happened; everything was sent as it came

	Verdict   string  `json:"verdict,omitempty"`   // allow, rewrite or refuse
	Reason    string  `json:"reason,omitempty"`    // stable reason code
	Message   string  `json:"message,omitempty"`   // the reason in words
	Statement string  `json:"statement,omitempty"` // literals replaced
	Opaque    *Opaque `json:"opaque,omitempty"`    // instead of the statement when it could not be parsed
	Command   string  `json:"command,omitempty"`   // the kind of statement
	Touches   []Touch `json:"touches,omitempty"`   // what the statement read or wrote

	Shadow *Shadow `json:"shadow,omitempty"` // what would have been decided with the subject's shadow rules in force

	Rows       int64             `json:"rows,omitempty"`        // returned or changed
	Bytes      int64             `json:"bytes,omitempty"`       // sent to the client for this statement
	DurationUS int64             `json:"duration_us,omitempty"` // microseconds from the decision to the end
	SQLState   string            `json:"sqlstate,omitempty"`    // error code, when the statement failed
	Detail     map[string]string `json:"detail,omitempty"`      // what only this kind of event has to say

	actor *Actor // the fields from Session to Listener, except Ref, are this one's
}

// Shadow is a decision that was not put in force.
type Shadow struct {
	Rules   []string `json:"rules"`             // the shadow rules that were added
	Verdict string   `json:"verdict"`           // allow, rewrite or refuse
	Reason  string   `json:"reason,omitempty"`  // stable reason code
	Touches []Touch  `json:"touches,omitempty"` // what the statement would have read or written
}

// Opaque stands for a statement that could not be parsed: its length and a keyed hash, so that equal ones can be found.
type Opaque struct {
	Length int    `json:"length"` // in bytes
	HMAC   string `json:"hmac"`   // HMAC-SHA-256 under a key derived from the audit key
}

// Touch is one relation that a statement read or wrote.
type Touch struct {
	Relation string   `json:"relation"`          // store.schema.table
	Action   string   `json:"action"`            // what was done to it
	Columns  []string `json:"columns,omitempty"` // those that were named
	Labels   []string `json:"labels,omitempty"`  // what these columns hold
	Rules    []string `json:"rules,omitempty"`   // that admit the relation
	Masked   bool     `json:"masked,omitempty"`  // at least one of them was shown masked
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
