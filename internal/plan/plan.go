// Package plan turns a policy into the wanted state of one store, and holds the ordered, guarded list of changes that leads
// there. It is a model: what profiles exist, which tables they show, which form each column takes in which rows, who logs in as
// whom. How that is built on a server is an engine's business; plan asks it through the Engine interface and never imports one.
//
// It has no clock and does no I/O: the policy and a catalog.Snapshot go in, a Wanted or a Plan comes out, and the same input gives
// the same bytes. Rule numbers such as ENF-34 refer to docs/reference/enforcement.md.
package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/postern-sec/postern/internal/policy"
)

// Plan is what has to be done to bring a store to its wanted state, in order.
type Plan struct {
	Store        string         `json:"store"`
	Database     string         `json:"database"`
	Installation string         `json:"installation"`
	Changes      []Change       `json:"changes"`
	Operator     []OperatorStep `json:"operator_steps"`
	Warnings     []Warning      `json:"warnings"`
	// Digest covers the changes: apply refuses to run a plan whose digest is no longer the one that was shown. Operator steps are
	// left out, so that taking one does not make a saved plan void.
	Digest string `json:"digest"`
}

// Empty says whether there is nothing for apply to do. Operator steps may still be open.
func (p *Plan) Empty() bool { return len(p.Changes) == 0 }

// Consent says what a change needs beyond a general yes.
type Consent string

// The kinds of consent.
const (
	// ConsentNone: --yes, or a yes to the whole plan, is enough.
	ConsentNone Consent = ""
	// ConsentWidening: an existing profile would show more rows, more columns or a weaker mask. Needs --accept with the change's ID.
	ConsentWidening Consent = "widening"
	// ConsentForeign: the way of a role outside Postern changes. Needs --accept with the change's ID.
	ConsentForeign Consent = "foreign"
)

// Change is one step: everything that must happen together for one reason.
type Change struct {
	ID      string     `json:"id"` // stable: the same object and kind have the same ID in the next plan
	Title   string     `json:"title"`
	SQL     []string   `json:"sql"`
	Reverse []string   `json:"reverse"`
	Edits   []FileEdit `json:"edits,omitempty"` // of the server's configuration files, before SQL
	Reason  string     `json:"reason"`
	Risk    string     `json:"risk,omitempty"`
	Drift   bool       `json:"drift,omitempty"` // somebody changed by hand what Postern had made
	Widens  bool       `json:"widens,omitempty"`
	Consent Consent    `json:"consent,omitempty"`
	Locks   []string   `json:"locks,omitempty"` // application tables that are locked ACCESS EXCLUSIVE
	Cause   policy.Pos `json:"cause"`
	Leaves  []string   `json:"leaves,omitempty"` // what the masks of a new or changed profile leave of the values, column by column

	// Waits are the relations whose users a change may have to wait for, beside Locks: a profile's own views.
	Waits []string `json:"-"`

	// Secrets are values that SQL names as {{secret:KEY}} and that only apply fills in; they are never printed.
	Secrets map[string]string `json:"-"`
}

// FileEdit is the change of one line of a configuration file. Old and New are the line as the server reads it.
type FileEdit struct {
	File string `json:"file"`
	Line int    `json:"line"` // 0: a new line at the end
	Old  string `json:"old,omitempty"`
	New  string `json:"new"`
}

// OperatorStep is what only a superuser, or another owner, can do. Postern works without it, minus what StaysOpen says.
type OperatorStep struct {
	ID        string   `json:"id"`
	Title     string   `json:"title"`
	SQL       []string `json:"sql"`
	StaysOpen string   `json:"stays_open"`
	// Required steps stop apply: without them the plan cannot be carried out at all.
	Required bool `json:"required,omitempty"`
}

// Warning is what somebody should know before saying yes.
type Warning struct {
	ID   string     `json:"id"`
	Text string     `json:"text"`
	Hint string     `json:"hint,omitempty"`
	Pos  policy.Pos `json:"pos"`
}

// Seal computes the digest. It is called once, when a plan is complete.
func (p *Plan) Seal() {
	h := sha256.New()
	enc := json.NewEncoder(h)
	type step struct {
		ID    string
		SQL   []string
		Edits []FileEdit `json:",omitempty"`
	}
	_ = enc.Encode([]string{p.Store, p.Database, p.Installation}) // writing to a hash does not fail
	for _, c := range p.Changes {
		_ = enc.Encode(step{c.ID, c.SQL, c.Edits})
	}
	p.Digest = hex.EncodeToString(h.Sum(nil))
}

// Unaccepted lists the changes that need consent by name and are not in accepted, in order.
func (p *Plan) Unaccepted(accepted []string) []Change {
	have := map[string]bool{}
	for _, id := range accepted {
		have[id] = true
	}
	var open []Change
	for _, c := range p.Changes {
		if c.Consent != ConsentNone && !have[c.ID] {
			open = append(open, c)
		}
	}
	return open
}

// Widening lists the changes after which somebody sees more than before, in order.
func (p *Plan) Widening() []Change {
	var all []Change
	for _, c := range p.Changes {
		if c.Widens {
			all = append(all, c)
		}
	}
	return all
}
