package plan

import (
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// Wanted is the wanted state of one store, compiled from the policy and one snapshot of the server.
type Wanted struct {
	Store        string
	Database     string
	Installation string // see InstallationID
	Schemas      []string
	Provisioner  string // role that applies
	Grantor      string // role that serve uses, or ""
	Generation   int    // of identity passwords (ENF-97)
	ServerID     string
	RootKey      secret.Text // what identity passwords and pseudonym keys derive from

	// Inline: nothing of this is made on the server; the gateway alone shows the profiles (ENF-39).
	Inline bool

	Rules      []*Rule // rules in force on this store, in file order; the baseline's last
	Profiles   []*Profile
	Identities []*Identity
	// Observed are subjects whose statements are decided and not enforced: they log in as a role of the server's own, and have no
	// identity role (PRO-118).
	Observed []*Identity
	Hidden   []Hidden // relations of the store's schemas that no rule of this store admits
	Warnings []Warning
	// Limits bound what a subject reads: by rule, and the store's own under "". The wall knows nothing of them.
	Limits map[string]policy.Limits
}

// Rule is a policy rule on this store.
type Rule struct {
	Name string
	Role string // holds the rule's row policies and base grants; maskers are members
	// OpenRole holds the same for the tables that the rule shows whole: profile roles are members of it (ENF-93). "" if there are none.
	OpenRole string
	Level    policy.Level
	Ends     bool // may end: its policies look at postern.holds (ENF-91)
	// Requested: held by a grant, so that who holds it is not the file's to say. It is built before anybody does.
	Requested bool
	Until     time.Time
	Baseline  bool // not a rule of the file: baseline.outside_datasets
	Tables    []*RuleTable
	Allow     Allow
	Owners    []string // level own: the roles that own its tables
	Pos       policy.Pos
}

// Allow is what a rule or profile allows beside reading and writing.
type Allow struct {
	Explain   bool
	Temporary bool
	Channels  []string
	Functions []Routine
	Places    []string `json:",omitempty"` // schemas of Postern's making in which tables may be kept
}

// Routine is one function or procedure that may be called.
type Routine struct {
	Name      catalog.Name
	Arguments string
	Kind      byte // pg_proc.prokind
	Extension string
}

// RuleTable is what a rule says of one table.
type RuleTable struct {
	Base    catalog.Name
	Dataset string
	Filter  *Filter // nil: all rows
	Forms   []Form  // one per column, attnum order
	Whole   bool    // every row, every column raw, no end: "open"
	Future  bool    // of a Whole table: columns that come later are shown too
	Select  []string
	Update  []string // columns
	Insert  []string // columns; empty: no INSERT
	Delete  bool
	Pos     policy.Pos // of the row filter or the rule
}

// Filter is a row filter as the engine compiled it.
type Filter struct {
	Text        string // the policy's own text
	SQL         string
	Reads       []catalog.Name // application relations its subqueries read
	ReadColumns map[catalog.Name][]string
	Attributes  []string // subject attributes it depends on
	Columns     []string // columns of the table itself
	CurrentUser bool
}

// Form is one way of showing a column: a mask, compiled.
type Form struct {
	Mask policy.Mask
	SQL  string // for a raw column its quoted name
	Rank int    // ENF-36: 0 raw … 5 NULL
	Keys bool   // reads postern.key
	// Derived: the column is generated and recomputed from masked inputs (ENF-19); Mask is for display only.
	Derived bool
	Uses    []string // columns of the table it reads
}

// Raw says whether the column is shown as it is.
func (f Form) Raw() bool { return f.Rank == 0 }

// Profile is one set of rules that some subject holds on the store, as one compiled unit (ENF-38).
type Profile struct {
	Schema     string // on the server, and the profile's name everywhere
	Masker     string // owns the views
	Role       string // identity roles are members of it
	Rules      []*Rule
	Tables     []*Table // sorted by base name
	SearchPath []string
	Owners     []string // roles whose tables the profile owns (level own)
	Ends       bool     // one of its rules can end
	Allow      Allow    // of all its rules, and the functions of the store's extensions
	Digest     string   // of everything the profile was compiled from (ENF-95)
}

// Table is a table as a profile shows it.
type Table struct {
	Base    catalog.Name
	BaseOID catalog.OID
	Kind    byte
	View    catalog.Name // what the profile reads: its view, or the base itself when Open
	Plain   bool         // an unqualified name reaches it
	Open    bool         // shown whole, on the base (ENF-93)
	Own     bool         // through membership in the owner
	Dataset string
	Rules   []string // names of the rules that admit it, in file order
	Columns []Column // attnum order
	Delete  bool
	// Sequences the profile role needs for defaults of inserted rows (ENF-12).
	Sequences []catalog.Name
	Filtered  bool  // no rule shows all rows
	MinGroup  int64 // rows that an aggregate needs, by the strictest of the rules and the store; 0: single rows are shown
	Source    *catalog.Relation
}

// Column is a column of a profile's table.
type Column struct {
	Name     string
	Label    string
	SQL      string   // the expression of the view
	Raw      bool     // written plain: raw in every row (ENF-37)
	Branches []Branch // one: the same form in all rules; several: a CASE (ENF-35)
	Insert   bool
	Update   bool
}

// Branch is one form of a column and the rules that show it so, in file order.
type Branch struct {
	Form  Form
	Rules []string
}

// Identity is a subject's login role on the store.
type Identity struct {
	User       string
	Role       string
	Profile    *Profile
	Adopt      bool
	Attributes map[string]string // "name" included
	Holds      []Hold
	ValidUntil time.Time // zero: some rule never ends
	Pos        policy.Pos
}

// Hold is the end of one rule for one identity.
type Hold struct {
	Rule    string
	Until   time.Time
	Granted bool // by a grant, not by the file
}

// Hidden is a relation that exists and that no rule admits.
type Hidden struct {
	Name    catalog.Name
	Kind    byte
	Dataset string
}

// Profile returns the profile of that set of rules, or nil.
func (w *Wanted) Profile(schema string) *Profile {
	for _, p := range w.Profiles {
		if p.Schema == schema {
			return p
		}
	}
	return nil
}

// Identity returns the identity of a subject, observed or not, or nil.
func (w *Wanted) Identity(user string) *Identity {
	for _, list := range [][]*Identity{w.Identities, w.Observed} {
		for _, i := range list {
			if i.User == user {
				return i
			}
		}
	}
	return nil
}

// Rule returns the rule of that name, or nil.
func (w *Wanted) Rule(name string) *Rule {
	for _, r := range w.Rules {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// SpreadLimits tells the tables of every profile what Limits say of groups. It is called when these were changed.
func (w *Wanted) SpreadLimits() {
	for _, p := range w.Profiles {
		for _, t := range p.Tables {
			t.MinGroup = w.minGroup(t)
		}
	}
}

// minGroup is the strictest of the rules that admit a table and of the store.
func (w *Wanted) minGroup(t *Table) int64 {
	most := w.Limits[""].MinGroup
	for _, rule := range t.Rules {
		most = max(most, w.Limits[rule].MinGroup)
	}
	return most
}

// Table returns what the rule says of a table, or nil.
func (r *Rule) Table(name catalog.Name) *RuleTable {
	for _, t := range r.Tables {
		if t.Base == name {
			return t
		}
	}
	return nil
}

// Table returns the profile's table for an application name, or nil.
func (p *Profile) Table(base catalog.Name) *Table {
	for _, t := range p.Tables {
		if t.Base == base {
			return t
		}
	}
	return nil
}
