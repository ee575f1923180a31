package policy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Login is what is known of a connection once its subject is known.
type Login struct {
	Subject    Subject
	Store      string
	Address    netip.Addr // of the client; not valid for a Unix socket
	Local      bool       // came over a Unix socket
	TLS        bool
	ClientCert bool // TLS with a client certificate that was verified
	At         time.Time
}

// Code says why a login is refused. The set is closed; texts may change, codes do not.
type Code string

// The reasons for refusing a login.
const (
	CodeUnknownStore     Code = "unknown_store"
	CodeNetworkRejected  Code = "network_rejected"     // a network rule says reject
	CodeNetworkUnlisted  Code = "network_unlisted"     // no network rule matches
	CodeTLSRequired      Code = "tls_required"         // by a network rule or by a rule's require
	CodeCertRequired     Code = "certificate_required" // by a network rule
	CodeNoRule           Code = "no_rule"
	CodeRuleEnded        Code = "rule_ended"
	CodeNetworkRequired  Code = "network_required" // by a rule's require
	CodeAttributeMissing Code = "attribute_missing"
)

// Refusal is a "no" with its reason: Text is for people, complete and free of data.
type Refusal struct {
	Code Code
	Text string
}

// Error makes a refusal an error.
func (r *Refusal) Error() string { return r.Text }

// Admission is the answer to a login. When Refusal is not nil nothing else is set.
type Admission struct {
	Refusal *Refusal
	// Profile is the set of rules that names the profile on the server: what the subject holds on the store, ended or not,
	// because ends are data at the wall (ENF-91). It is what RulesOf returns.
	Profile []*Rule
	// Rules is the part of Profile that has not ended at Login.At. It is never empty.
	Rules []*Rule
	// Until is the next time at which one of Rules ends; zero: none does.
	Until time.Time
	// Network is the network rule that let the connection in.
	Network *NetworkRule
}

// Ended names the rules of Profile that are over.
func (a *Admission) Ended() (names []string) {
	for _, r := range a.Profile {
		if !slices.Contains(a.Rules, r) {
			names = append(names, r.Name)
		}
	}
	return names
}

// over says whether a rule that a subject holds admits nothing at a time any more.
func (p *Policy) over(s Subject, r *Rule, at time.Time) bool {
	until := p.Until(s, r)
	return !until.IsZero() && !at.Before(until)
}

// Over names the rules that a subject holds on a store and that admit nothing at a time any more, whatever else is asked of a login.
func (p *Policy) Over(s Subject, store string, at time.Time) (names []string) {
	for _, r := range p.RulesOf(s, store) {
		if p.over(s, r, at) {
			names = append(names, r.Name)
		}
	}
	return names
}

// Branch is one form in which a column may be shown and the rules that show it so.
type Branch struct {
	Mask  Mask
	Rules []*Rule // in file order
}

// Decide answers a login whose subject has proved who they are. It is asked again when the policy or the hour changes.
//
// The network rules are judged whole. Then come the rules that the subject holds on the store: those that have ended admit nothing,
// and the conditions (require) of all of them must be met, because conditions restrict and are never widened by another
// rule. Those of an ended rule still bind, so that the passing of time never gives more. A subject without an attribute
// that a row filter of theirs needs is refused: an absent attribute is not an empty one (ENF-90).
func (p *Policy) Decide(l Login) Admission {
	if p.Stores[l.Store] == nil {
		return refuse(CodeUnknownStore, "there is no store %q", l.Store)
	}
	network, refusal := p.NetworkOf(l)
	if refusal != nil {
		return Admission{Refusal: refusal}
	}
	a := Admission{Profile: p.RulesOf(l.Subject, l.Store), Network: network}
	if len(a.Profile) == 0 {
		return refuse(CodeNoRule, "no rule lets %s reach store %s", l.Subject.Name, l.Store)
	}
	for _, r := range a.Profile {
		if refusal := r.unmet(l); refusal != nil {
			return Admission{Refusal: refusal}
		}
		if p.over(l.Subject, r, l.At) {
			continue
		}
		a.Rules = append(a.Rules, r)
		if until := p.Until(l.Subject, r); !until.IsZero() && (a.Until.IsZero() || until.Before(a.Until)) {
			a.Until = until
		}
	}
	if len(a.Rules) == 0 {
		last := slices.MaxFunc(a.Profile, func(x, y *Rule) int { return p.Until(l.Subject, x).Compare(p.Until(l.Subject, y)) })
		return refuse(CodeRuleEnded, "rule %s ended on %s", last.Name, p.Until(l.Subject, last).UTC().Format(time.RFC3339))
	}
	return a
}

// unmet returns the first condition of a rule that a login does not meet, or nil.
func (r *Rule) unmet(l Login) *Refusal {
	if r.Require.TLS && !l.TLS && !l.Local {
		return &Refusal{CodeTLSRequired, fmt.Sprintf("rule %s requires TLS", r.Name)}
	}
	if len(r.Require.Network) > 0 || r.Require.Local {
		if l.Local && !r.Require.Local || !l.Local && !containsAddr(r.Require.Network, l.Address) {
			return &Refusal{CodeNetworkRequired, fmt.Sprintf("rule %s cannot be used from %s", r.Name, from(l.Address, l.Local))}
		}
	}
	for _, t := range slices.SortedFunc(maps.Keys(r.Rows), compareTables) {
		for _, name := range r.Rows[t].Attributes {
			if _, ok := l.Subject.Attributes[name]; !ok {
				return &Refusal{CodeAttributeMissing, fmt.Sprintf("rule %s needs the attribute %q, which %s does not have", r.Name, name, l.Subject.Name)}
			}
		}
	}
	return nil
}

func compareTables(a, b Table) int {
	return cmp.Or(cmp.Compare(a.Store, b.Store), cmp.Compare(a.Schema, b.Schema), cmp.Compare(a.Name, b.Name))
}

func refuse(code Code, format string, args ...any) Admission {
	return Admission{Refusal: &Refusal{code, fmt.Sprintf(format, args...)}}
}
