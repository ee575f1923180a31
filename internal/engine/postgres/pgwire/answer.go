package pgwire

import (
	"errors"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
)

// Severities of ErrorResponse.
const (
	severityError = "ERROR"
	severityFatal = "FATAL"
)

// answer is an error that we make (PRO-99): M says what, D which rule and the event, H what to do. It holds no value, no
// SQL text and nobody else's name.
type answer struct {
	fatal               bool
	state               string
	message, rule, hint string
	event               string
	reason              string // of the event, where a name is refused for something else than that nothing has it
	ask                 string // the dataset that the hint tells to ask for
	position            int
	stale               string // a prepared statement to be taken off the server
	isStale             bool
}

// why is the reason of the event of a refused name.
func (a *answer) why() string {
	if a.reason != "" {
		return a.reason
	}
	return "unknown_name"
}

// append writes the answer as an ErrorResponse.
func (a *answer) append(dst []byte) []byte {
	e := pgproto3.ErrorResponse{
		Severity: severityError, Code: a.state, Message: a.message, Hint: a.hint, Detail: a.rule,
		Position: int32(a.position), //nolint:gosec // positions are within a text of bounded size
	}
	if a.fatal {
		e.Severity = severityFatal
	}
	e.SeverityUnlocalized = e.Severity
	if a.event != "" {
		if e.Detail != "" {
			e.Detail += " "
		}
		e.Detail += "Event " + a.event + "."
	}
	out, err := e.Encode(dst)
	if err != nil {
		// A text that cannot be encoded, one with a NUL: the code alone still says it.
		e = pgproto3.ErrorResponse{Severity: e.Severity, SeverityUnlocalized: e.Severity, Code: a.state, Message: "refused"}
		if out, err = e.Encode(dst); err != nil {
			return dst
		}
	}
	return out
}

// refusalAnswer turns the guard's refusal into an answer.
func refusalAnswer(r *pgsql.Refusal) *answer {
	if r == nil {
		return &answer{state: "42501", message: "the statement is refused", hint: "ask the owner of the data"}
	}
	a := &answer{state: r.SQLState, message: r.Message, rule: r.Detail, hint: r.Hint, position: r.Position}
	if a.state == "" {
		a.state = "42501"
	}
	if r.Dataset != "" && strings.Contains(r.Hint, pgsql.RequestCommand(r.Dataset)) {
		a.ask = r.Dataset
	}
	return a
}

// offer adds to the hint of whoever can ask for something where they can in a browser (ACC-38). The event's id lets the portal say what it
// was about.
func (a *answer) offer(portal string) {
	if a.ask != "" && portal != "" {
		a.hint += " In a browser: " + portal + "/datasets/" + url.PathEscape(a.ask) + "?event=" + url.QueryEscape(a.event)
	}
}

// endingAnswer turns the end of a session into its last word.
func endingAnswer(e gateway.Ending) *answer {
	a := &answer{fatal: true, state: stateOf(e.Code), message: e.Message, hint: e.Hint}
	if e.Code == gateway.CodeShutdown {
		a.message = "terminating connection due to administrator command"
	}
	return a
}

// stateOf maps the closed set of codes to SQLSTATEs.
func stateOf(c policy.Code) string {
	switch c {
	case gateway.CodeAuthentication:
		return "28P01"
	case gateway.CodeTooMany:
		return "53300"
	case gateway.CodeProtocol, gateway.CodeTripwire:
		return "08P01"
	case gateway.CodeSetting:
		return "42501"
	case gateway.CodeReplication:
		return "42501"
	case gateway.CodeAudit:
		return "58030"
	case gateway.CodeUpstream:
		return "08006"
	case gateway.CodeInternal:
		return "XX000"
	case gateway.CodeIdle:
		return "57P05"
	case gateway.CodeIdleTx:
		return "25P03"
	case gateway.CodeShutdown, gateway.CodeRevoked, gateway.CodeSessionAge, gateway.CodeGone, gateway.CodeStall:
		return "57P01"
	case gateway.CodeProfileSuspended, gateway.CodeState:
		return "57P03"
	case gateway.CodeRowsPerQuery:
		return "54000"
	case gateway.CodeRowsPerHour, gateway.CodeQueriesPerMinute:
		return "53400"
	}
	return "28000" // every way of not being let in
}

// loginAnswer turns whatever went wrong during login into what the client is told.
func loginAnswer(err error) *answer {
	var (
		refusal  *gateway.Refusal
		setting  *errSetting
		options  *errOptions
		upstream *serverError
	)
	fatal := func(state, message, hint string) *answer {
		return &answer{fatal: true, state: state, message: message, hint: hint}
	}
	switch {
	case errors.As(err, &refusal):
		a := fatal(stateOf(refusal.Code), refusal.Message, refusal.Hint)
		a.rule, a.event = refusal.Detail, refusal.Event
		return a
	case errors.As(err, &setting):
		return fatal("42501", setting.Error(), "remove it from the connection string; the gateway keeps this setting")
	case errors.As(err, &options):
		return fatal("42601", options.Error(), "")
	case errors.As(err, &upstream):
		return fatal(upstream.code(), "the store does not let the session begin: "+cannedText(upstream.code()), "")
	case errors.Is(err, errVersion):
		return fatal("0A000", "unsupported frontend protocol: the server supports 3.0 to 3.2", "")
	case errors.Is(err, errNoUser):
		return fatal("28000", errNoUser.Error(), "")
	case errors.Is(err, errReplication):
		return fatal("42501", errReplication.Error(), "replication carries every row unmasked")
	case errors.Is(err, errLayout), errors.Is(err, errDuplicate), errors.Is(err, errTooSoon), errors.Is(err, errFraming),
		errors.Is(err, errBadIdent), errors.Is(err, identity.ErrMalformed):
		return fatal("08P01", err.Error(), "")
	}
	return fatal("08006", "the store cannot be reached", "")
}
