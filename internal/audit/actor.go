package audit

// Actor is what all events of one session say alike: the fields from Session to Listener, except Ref. It is encoded once, and not
// again for each statement. It does not change, and may be used by several goroutines.
type Actor struct {
	event   Event
	session []byte // encoded
	rest    []byte // encoded, from Subject on
}

// NewActor takes those fields out of e.
func NewActor(e Event) *Actor {
	e.actor = nil
	return &Actor{event: e, session: appendText(nil, `,"session":`, e.Session), rest: appendActor(nil, &e)}
}

// Mark makes e an event of the actor. What e says of the application stays if it says anything. It is the last that is done to
// these fields of e.
func (a *Actor) Mark(e *Event) {
	b, app := &a.event, e.App
	e.Session, e.Subject, e.Groups, e.Role, e.Store = b.Session, b.Subject, b.Groups, b.Role, b.Store
	e.Profile, e.Rules, e.Policy, e.Address, e.TLS = b.Profile, b.Rules, b.Policy, b.Address, b.TLS
	e.Method, e.App, e.Listener, e.NotEnforced = b.Method, b.App, b.Listener, b.NotEnforced
	e.actor = a
	if app != "" && app != b.App {
		e.App, e.actor = app, nil
	}
}
