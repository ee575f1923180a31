package identity

import "slices"

// Scope is something that a personal token opens. What its owner may not do, a token may not either.
type Scope string

// The scopes. What none of them names, such as passwords, sessions, further credentials and accounts, is for people alone.
const (
	ScopeGateway Scope = "gateway" // databases, as the password of its owner
	ScopeRead    Scope = "read"    // looking at requests, grants and one's own things
	ScopeRequest Scope = "request" // asking for access, and taking that back
	ScopeDecide  Scope = "decide"  // deciding on requests, and about grants
	ScopeInspect Scope = "inspect" // looking at what the owner's role opens: trail, posture, discovery, policy, health
)

// Scopes lists them all.
func Scopes() []Scope {
	return []Scope{ScopeGateway, ScopeRead, ScopeRequest, ScopeDecide, ScopeInspect}
}

// DefaultScopes are those of a token that was made without any.
func DefaultScopes() []Scope { return []Scope{ScopeGateway, ScopeRead} }

// May says whether a token opens something. Sessions are not bounded: they are people.
func (i *Issued) May(s Scope) bool {
	switch {
	case i.Kind == Session:
		return true
	case i.Kind != Personal || s == "":
		return false
	case i.Scopes == nil:
		return slices.Contains(DefaultScopes(), s) // from before there were scopes
	}
	return slices.Contains(i.Scopes, s)
}
