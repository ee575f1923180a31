// Package policy is the centre of Postern: the language in which a site says who may see which rows and columns, and the
// pure functions that answer questions about it. It has no clock, does no I/O and knows no SQL: times are passed in, row
// filters and mask expressions are kept as text and checked through the Syntax interface that an engine implements.
//
// Words are those of GLOSSARY.md: store, subject, label, dataset, rule, mask, profile, tier.
package policy

import (
	"net/netip"
	"time"
)

// Pos is a place in the policy file. Line and Column count from 1; the zero Pos means "nowhere in a file".
type Pos struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"` // in runes
}

// Table names a table of a store the way the policy file does: store.schema.table.
type Table struct{ Store, Schema, Name string }

// Column names a column of a table: store.schema.table.column.
type Column struct {
	Table
	Column string
}

// Level is what a rule lets a subject do. Levels are ordered: Read < Write < Own.
type Level int

// The levels of design.md §4.
const (
	Read Level = iota + 1
	Write
	Own
)

// String is the level's word in the policy file.
func (l Level) String() string {
	switch l {
	case Read:
		return "read"
	case Write:
		return "write"
	case Own:
		return "own"
	}
	return "none"
}

// Outside says what happens to tables that no dataset contains.
type Outside string

// The values of baseline.outside_datasets.
const (
	OutsideBlock Outside = "block"
	OutsideRead  Outside = "read" // visible, with every labelled column hidden
)

// Policy is a whole, validated policy. It is immutable once built; every map is keyed by the name used in the file.
type Policy struct {
	Stores   map[string]*Store
	Groups   map[string]*Group
	Users    map[string]*User
	Labels   map[Column]*Label
	Masks    map[string]*MaskProfile
	Datasets map[string]*Dataset
	Rules    []*Rule // in file order: ties between masks go to the earlier rule (ENF-36)
	Baseline Baseline
	Network  []*NetworkRule // first match decides, like pg_hba.conf

	Purposes   []string
	BreakGlass *BreakGlass // nil: there is none

	// Certificates says whether people get client certificates when they log in, and the gateway takes them.
	Certificates bool
	// NoTokens says that personal access tokens open nothing, at any store or the portal.
	NoTokens bool
	// OwnersWithoutFactor says that owners of datasets may sign in with a password alone.
	OwnersWithoutFactor bool
	Life                Span // of temporary credentials and certificates
	Lives               []LifeRule

	// Digest is the SHA-256, in hex, of the policy's meaning: two files that differ in comments or key order have the same one.
	Digest string

	grants   map[string]map[string]time.Time // subject -> rule -> end; see WithGrants
	file     map[string]*User                // Users as the file has them, once WithPeople was called
	people   map[string]Person               // see WithPeople
	memberOf map[string][]string             // member, as a group writes it -> groups that name it; nil: not indexed
}

// Store is what the policy language needs to know of a store; how to reach it is config's business.
type Store struct {
	Name     string
	Engine   string
	Database string   // the database's name on the server; clients use Name
	Schemas  []string // the first keeps plain names in a profile's schema
	Limits   Limits   // of everybody who reads from it
	// Extensions are those whose reviewed functions subjects may call.
	Extensions []string
	Observe    Observe
	NoTokens   bool // personal access tokens do not open it
	Inline     bool // nothing of Postern is on the server: the gateway alone masks and filters
	Pos        Pos
}

// Observe says whose statements on a store are decided and recorded, and not enforced (PRO-118).
type Observe struct {
	All bool     // everybody's
	To  []string // "group:NAME" or a user's name
	// Upstream names the subjects who have a login of their own there, sorted: nobody else can be observed.
	Upstream []string
	// Names and Logins are To and Upstream as written.
	Names, Logins []Text
}

// Group is a named set of users.
type Group struct {
	Name    string
	Members []string
	Pos     Pos
}

// User is a subject that the file itself defines.
type User struct {
	Name       string
	SCRAM      string // a SCRAM-SHA-256 verifier; never a password
	Attributes map[string]string
	Role       string // identity role to use when the user's own name is not wanted on the server; empty: chosen by the engine
	Adopt      bool   // take over an existing role of that name (ENF-90)
	NoSlack    bool   // they are not told in Slack
	Owner      string // the person who answers for a service account; empty: the user is a person (ACC-11)
	Pos        Pos
}

// Label says what a column holds.
type Label struct {
	Column Column
	Class  string // such as contact.email
	Pos    Pos
}

// MaskProfile maps columns, by label pattern or by name, to masks.
type MaskProfile struct {
	Name    string
	Entries []MaskEntry // in file order
	Pos     Pos
}

// MaskEntry is one line of a mask profile. Pattern is a label pattern ("id.*", "*"), the word "unlabelled", or a full
// column name store.schema.table.column.
type MaskEntry struct {
	Pattern string
	Column  *Column // set when Pattern is a column's name
	Mask    Mask
	Pos     Pos
}

// Mask is a parsed mask: a name of the fixed set in masks.go and its arguments, already checked for number and kind.
type Mask struct {
	Name string
	Args []string // text arguments without their quotes; numbers in decimal
	Pos  Pos
}

// Dataset is a named set of tables with owners. Include and exclude are patterns over store.schema.table; the longest match wins.
type Dataset struct {
	Name    string
	Owners  []string // "group:NAME" or a user's name
	Include []TablePattern
	Exclude []TablePattern
	// Approvers decide on requests for rules that name none of their own; empty: the owners do.
	Approvers []Step
	Purpose   bool // a request has to name one of Policy.Purposes
	Slack     SlackUse
	Channel   string // in Slack, where requests are posted; "": nowhere
	Statement StatementText
	Review    *Review // nil: it is not reviewed
	Pos       Pos
}

// TablePattern is a location: a store, store.schema or store.schema.table; "*" stands for any one name, and missing parts for all.
type TablePattern struct {
	Store, Schema, Table string // empty: everything below
	Pos                  Pos
}

// Rule lets subjects reach a dataset.
type Rule struct {
	Name    string
	To      []string // "group:NAME", a user's name
	On      string   // dataset
	Level   Level
	Rows    map[Table]Filter
	Masks   string // mask profile; empty: every column as "keep"
	Write   map[Table]WriteRule
	Until   time.Time // zero: no end. A bare date ends at 24:00 UTC of that day (ENF-91)
	Require Require
	Limits  Limits
	Request *Request // nil: held by membership
	Allow   Allow
	Enabled bool
	// Shadow: the rule grants nothing; the trail says what its holders' statements would have come to with it. Enabled is false.
	Shadow bool
	Order  int // place in Policy.Rules, from 0
	Pos    Pos
}

// Allow is what a rule allows beside reading and writing.
type Allow struct {
	Explain   bool    // EXPLAIN in its plain form (ENF-65)
	Temporary bool    // temporary tables (ENF-74)
	CreateIn  []Place // where results may be kept
	Channels  []string
	Functions []Routine
}

// Place is a schema of Postern's making in which holders of a rule keep tables.
type Place struct {
	Store, Schema string
	Pos           Pos
}

// Routine is a function or procedure of an application, with all its overloads.
type Routine struct {
	Table // store, schema and name
	Pos   Pos
}

// Filter is a row filter: a boolean SQL expression that may use subject.NAME for the subject's attributes.
type Filter struct {
	SQL        string
	Attributes []string // names used as subject.NAME, sorted, "name" left out: every subject has one
	Pos        Pos
}

// WriteRule says which columns and operations a write rule allows on one table (ENF-94).
type WriteRule struct {
	Update     []string // columns
	Insert     bool     // every unmasked column
	InsertOnly []string // or just these; implies Insert
	Delete     bool
	Pos        Pos
}

// Require holds conditions that restrict and are never widened by another rule.
type Require struct {
	Network []netip.Prefix // with Local: the only places to come from; both empty: anywhere
	Local   bool           // Unix sockets are among the allowed places
	TLS     bool           // a Unix socket counts as protected: it does not leave the machine
	Pos     Pos
}

// Baseline says what applies outside of datasets.
type Baseline struct {
	OutsideDatasets Outside
	Pos             Pos
}

// NetworkRule is one line of gateway.network.
//
// From and To say whom the line is about; Auth and TLS are what it then demands. A connection that matches and does not
// meet the demand is refused: it does not fall through to a later line.
type NetworkRule struct {
	From  []netip.Prefix
	Any   bool     // "all": every address and every Unix socket
	Local bool     // "local": Unix sockets
	To    []string // "group:NAME" or a user's name; empty: everybody
	Auth  Auth
	TLS   TLSDemand
	Pos   Pos
}

// Auth is how a client has to prove who it is.
type Auth string

// The ways to prove who one is.
const (
	AuthSCRAM  Auth = "scram"
	AuthCert   Auth = "cert"
	AuthPeer   Auth = "peer"
	AuthReject Auth = "reject"
	// AuthCertOrSCRAM is AuthCert for a client that shows a certificate, and AuthSCRAM for any other.
	AuthCertOrSCRAM Auth = "cert_or_scram"
)

// TLSDemand is what a network rule asks of the transport.
type TLSDemand string

// The demands of a network rule. A Unix socket meets TLSRequire: it does not leave the machine.
const (
	TLSAny     TLSDemand = ""
	TLSRequire TLSDemand = "require"
	TLSVerify  TLSDemand = "verify" // TLS with a client certificate that was verified, whatever auth says
)

// Subject is who acts.
type Subject struct {
	Name       string
	Groups     []string
	Attributes map[string]string
}

// Syntax is what policy asks of a store's engine while validating: whether text is well formed, without a server.
type Syntax interface {
	// CheckFilter parses a row filter. The error's text says what is wrong; offset is the byte offset in the text, or -1.
	CheckFilter(sql string) (offset int, err error)
	// FilterAttributes lists the names that a row filter uses as subject.NAME, each once, in any order. It is only called
	// with text that CheckFilter accepts.
	FilterAttributes(sql string) []string
	// CheckMaskExpression parses the text of an expression("…") mask, in which the word value stands for the column.
	CheckMaskExpression(sql string) (offset int, err error)
	// CheckVerifier checks a stored password verifier.
	CheckVerifier(verifier string) error
}
