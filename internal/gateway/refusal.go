package gateway

import "github.com/postern-sec/postern/internal/policy"

// Codes of refusals and endings beyond those of policy. The set is closed; an engine maps them to its own error codes.
const (
	CodeAuthentication policy.Code = "authentication_failed"
	CodeCertificate    policy.Code = "certificate_refused"
	CodeLockedOut      policy.Code = "locked_out"
	CodeTooMany        policy.Code = "too_many_connections"
	CodeShutdown       policy.Code = "shutting_down"
	CodeAudit          policy.Code = "audit_unavailable"
	CodeUpstream       policy.Code = "store_unavailable"
	CodeState          policy.Code = "state_unavailable" // who holds what cannot be looked up (ACC-31)
	CodeProtocol       policy.Code = "protocol_violation"
	CodeSetting        policy.Code = "setting_not_allowed"
	CodeReplication    policy.Code = "replication_not_allowed"
	CodeIdle           policy.Code = "idle_timeout"
	CodeIdleTx         policy.Code = "idle_in_transaction_timeout"
	CodeSessionAge     policy.Code = "session_timeout"
	CodeStall          policy.Code = "client_stalled"
	CodeGone           policy.Code = "client_gone"
	CodeTripwire       policy.Code = "tripwire"
	CodeInternal       policy.Code = "internal_error"
	CodeRevoked        policy.Code = "revoked"

	CodeProfileOutdated  policy.Code = "wall_outdated"   // the wall is not what the policy says: run postern apply
	CodeProfilePending   policy.Code = "profile_pending" // no wall for this set of rules yet
	CodeProfileSuspended policy.Code = "store_suspended" // ENF-96
	CodeProfileChanged   policy.Code = "identity_changed"
)

// Refusal is why somebody does not come in. Message, Detail and Hint are for the client and hold no secret; Event is the id
// of the audit event that says more.
type Refusal struct {
	Code                  policy.Code
	Message, Detail, Hint string
	Event                 string
}

// Error implements error.
func (r *Refusal) Error() string { return r.Message }

// Ending is why a session ends.
type Ending struct {
	Code    policy.Code
	Message string
	Hint    string
}
