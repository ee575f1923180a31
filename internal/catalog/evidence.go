package catalog

import (
	"slices"
	"strings"
	"time"
)

// EvidenceFormat is the version of the form of Evidence, raised when a field changes its meaning.
const EvidenceFormat = 1

// Hidden stands where a secret stood. Whoever gathers evidence replaces secrets by it before anything is kept.
const Hidden = "[hidden]"

// Evidence is everything a scan has gathered: what a login saw, what a stranger saw from outside, what the host's files say. A part
// that was not looked at is nil; a part that was looked at and could not be seen has an entry in Unseen.
type Evidence struct {
	Format    int
	Taken     time.Time
	Server    *Server             // nil without a login
	Databases []*DatabaseEvidence // one for each database that was entered, sorted by name
	Outside   []*Outside          // one for each endpoint that was probed
	Host      *Host               // nil unless the scan ran on the server's host
	Own       []OwnAnswer         `json:",omitempty"` // to the questions of the site's own checks
	Unseen    []Unseen            // what could not be read, and why
	Lost      string              `json:",omitempty"` // why the server was gone before everything was asked; "" when it was not
	Sampled   bool                // values were sampled, with consent
	Labels    map[string]string   `json:",omitempty"` // database.schema.table.column -> label, when discovery has run
}

// Fact names one thing that is asked of a server, a host or an endpoint. It is the name of the question's file.
type Fact string

// The facts of a cluster.
const (
	FactSettings      Fact = "settings"
	FactOverrides     Fact = "overrides"
	FactRoles         Fact = "roles"
	FactMemberships   Fact = "memberships"
	FactDatabases     Fact = "databases"
	FactHBA           Fact = "hba"
	FactIdent         Fact = "ident"
	FactFileSettings  Fact = "filesettings"
	FactActivity      Fact = "activity"
	FactVerifiers     Fact = "verifiers"
	FactArchiver      Fact = "archiver"
	FactSlots         Fact = "slots"
	FactChecksums     Fact = "checksums"
	FactParameters    Fact = "parameters"
	FactTablespaces   Fact = "tablespaces"
	FactSubscriptions Fact = "subscriptions"
	FactConninfo      Fact = "conninfo"
	FactAvailable     Fact = "available"
	FactHBAFile       Fact = "hbafile"
	FactOwned         Fact = "owned"
	FactHost          Fact = "host"
	FactSamples       Fact = "samples"
)

// The facts of one database.
const (
	FactSchemas        Fact = "schemas"
	FactRelations      Fact = "relations"
	FactColumns        Fact = "columns"
	FactPolicies       Fact = "policies"
	FactTriggers       Fact = "triggers"
	FactViews          Fact = "views"
	FactFunctions      Fact = "functions"
	FactRoutines       Fact = "routines"
	FactTypes          Fact = "typeacls"
	FactLanguages      Fact = "languages"
	FactExtensions     Fact = "extensions"
	FactLargeObjects   Fact = "largeobjects"
	FactDefaultACLs    Fact = "defaultacls"
	FactSystemGrants   Fact = "systemgrants"
	FactForeignServers Fact = "foreignservers"
	FactUserMappings   Fact = "usermappings"
	FactMappingOptions Fact = "mappingoptions"
	FactPublications   Fact = "publications"
	FactEventTriggers  Fact = "eventtriggers"
	FactTexts          Fact = "texts"
	FactSecLabels      Fact = "seclabels"
	FactStatsExt       Fact = "statsext"
	FactStatements     Fact = "statements"
	FactKeys           Fact = "keys"
	FactForeignKeys    Fact = "foreignkeys"
)

// OwnQuestion is a question that a site's own check asks of a server.
type OwnQuestion struct {
	ID   string
	Fact Fact // under which a missing answer is noted
	SQL  string
	Each bool // in every database, else in the first one only
	Rows int  // at most so many are kept
}

// OwnAnswer holds the rows that answer one, each column as text. Credentials in them are hidden like everywhere.
type OwnAnswer struct {
	ID, Database string
	Rows         []map[string]string
	More         bool // there were more rows
}

// Unseen is a fact that was wanted and could not be read.
type Unseen struct {
	Fact     Fact
	Database string // "" for a fact of the cluster
	Why      string
	// Broken: the right was there and the look failed all the same (timeout, error, server gone). A scan with such a fact is incomplete;
	// one whose login may not look is not.
	Broken bool
}

// Server is what one login saw of a cluster.
type Server struct {
	Address       string // as dialled
	Version       string // version()
	VersionNum    int
	ServerVersion string // server_version, with the distribution's suffix
	SystemID      string
	Started       time.Time
	ConfigLoaded  time.Time
	Now           time.Time
	InRecovery    bool
	OverTCP       bool // this session came over TCP
	Access        Access
	Settings      []Setting // sorted by name; a setting that the login may not see is missing
	Overrides     []Override
	Roles         []Role
	Memberships   []Membership
	Databases     []DatabaseFacts
	HBA           []HBARule
	HBAFile       *FileTime // the modification time of pg_hba.conf
	Ident         []IdentRule
	FileSettings  []FileSetting
	Activity      []Activity
	Verifiers     []Verifier
	Archiver      Archiver
	Slots         []Slot
	Checksums     []ChecksumFailures
	Parameters    []ParameterGrant
	Tablespaces   []Tablespace
	Subscriptions []Subscription
	Available     []AvailableExtension
	Owned         []RoleOwns
	Tried         bool // passwords were tried against the verifiers
}

// Major is the server's major version.
func (s *Server) Major() int { return s.VersionNum / 10000 }

// Minor is the second part of the version, such as 18 of 15.18.
func (s *Server) Minor() int { return s.VersionNum % 10000 }

// Access says what the login is and may read.
type Access struct {
	User         string
	Superuser    bool
	Monitor      bool // may use the rights of pg_monitor
	ReadSettings bool // sees every row of pg_settings
	ReadStats    bool // sees other sessions
	HBA          bool
	Ident        bool
	FileSettings bool
	Verifiers    bool // pg_authid, or the definer function postern_scan.verifier_kinds
	Definer      bool // the definer function is there and may be called
	StatFile     bool
}

// Setting is a row of pg_settings. A value that may hold a secret is redacted.
type Setting struct {
	Name, Value, Unit, Type, Context, Source, Boot, Reset, File string
	Line                                                        int
	Pending                                                     bool
}

// Override is one ALTER ROLE or ALTER DATABASE … SET. An empty Role is every role, an empty Database every database.
type Override struct{ Role, Database, Name, Value string }

// DatabaseFacts is a row of pg_database.
type DatabaseFacts struct {
	Database
	AllowConn, Template bool
	ConnLimit           int
	Connect             bool // the login may connect
}

// FileTime is a file of the server and when it was changed.
type FileTime struct {
	Path     string
	Modified time.Time
}

// FileSetting is a row of pg_file_settings; the value is left out.
type FileSetting struct {
	File    string
	Line    int
	Name    string
	Applied bool
	Error   string
}

// Activity is another session, as far as it may be seen.
type Activity struct {
	PID                                           int
	User, Database, Application, Address, Backend string
	Local                                         bool // over a Unix socket
	TLS                                           bool
	TLSVersion, Cipher                            string
	Bits                                          int
	GSSEncrypted                                  bool
	CallsCipher                                   bool // its last statement passes a key to pgcrypto
}

// Verifier says how a role's password is kept, never the verifier.
type Verifier struct {
	Role, Kind string // scram, md5, none, other
	Iterations int
	Weak       string // with consent: "the role's own name" or "a common password"; never the password
}

// Archiver is pg_stat_archiver.
type Archiver struct {
	Archived, Failed         int64
	LastArchived, LastFailed time.Time
}

// Slot is a replication slot.
type Slot struct {
	Name, Type, Database string
	Active               bool
	Status               string // wal_status
	RetainedBytes        int64
}

// ChecksumFailures is a database with its count.
type ChecksumFailures struct {
	Database string
	Failures int64
}

// ParameterGrant is a row of pg_parameter_acl.
type ParameterGrant struct {
	Parameter string
	ACL       []Grant
}

// Tablespace is a row of pg_tablespace.
type Tablespace struct {
	Name, Owner, Location string
	ACL                   []Grant
}

// Subscription is a row of pg_subscription. Conninfo is nil when it may not be read.
type Subscription struct {
	Name, Owner, Database string
	Enabled, RunAsOwner   bool
	Conninfo              *string
}

// AvailableExtension is a row of pg_available_extensions.
type AvailableExtension struct{ Name, Default string }

// RoleOwns counts what a role owns or is granted, from pg_shdepend.
type RoleOwns struct {
	Role          string
	Owns, Granted int
}

// DatabaseEvidence is what one login saw inside a database.
type DatabaseEvidence struct {
	Snapshot
	Routines       []Routine
	TypeACLs       []TypeACL
	SystemGrants   []SystemGrant
	ForeignServers []ForeignServer
	UserMappings   []UserMapping
	Publications   []Publication
	EventTriggers  []EventTrigger
	Secrets        []SecretHit // texts in which a credential stands
	SecLabels      []SecLabel
	OldStatsExt    bool // pg_stats_ext is defined as before the fix of CVE-2024-4317
	KeyStatements  int  // statements in pg_stat_statements that pass a key to pgcrypto
	StatementsOpen bool // PUBLIC or a non-monitor may read other roles' statements
	Samples        []ColumnSample
}

// Routine is what a function's row says beyond Function; Function holds the rest under the same OID.
type Routine struct {
	OID        OID
	Config     []string // proconfig
	Volatility byte
	Leakproof  bool
	Result     string
	Body       BodyFacts
}

// BodyFacts is what is kept of a function's body.
type BodyFacts struct {
	DynamicSQL    bool // EXECUTE of a string put together with ||
	CipherFailure bool // names the option ignore-cipher-failure
	Secrets       []SecretHit
	Keys          bool // a literal key is passed to pgcrypto
	Executes      bool // runs statements that it puts together
	// Names lists the relations of the database that the body of a SECURITY DEFINER function names.
	Names []Name `json:",omitempty"`
	// Bound lists those that the server itself bound when the function was made (BEGIN ATOMIC), so that no right on their schema is asked.
	Bound []Name `json:",omitempty"`
}

// SecretHit says where a credential stands, and of what kind it is. Never the credential.
type SecretHit struct {
	Object string // what holds the text, such as "comment on table public.t"
	Kind   string // password, uri, aws key …
	Line   int
}

// TypeACL is the ACL of a user's type when it is not the built-in default.
type TypeACL struct {
	Name  Name
	Owner string
	ACL   []Grant
}

// SystemGrant is a right on an object of the system's schemas that initdb or the extension did not give.
type SystemGrant struct {
	Kind   string // table, function, schema, column, language, type
	Object string
	Grant
}

// ForeignServer is a row of pg_foreign_server; options are redacted.
type ForeignServer struct {
	Name, Wrapper, Owner string
	Options              []string
	ACL                  []Grant
}

// UserMapping is a row of pg_user_mappings; options are redacted, nil when they may not be read.
type UserMapping struct {
	Server, User string // "" is PUBLIC
	Options      []string
	Readable     bool
}

// Publication is a row of pg_publication with its tables.
type Publication struct {
	Name, Owner string
	AllTables   bool
	Tables      []PublishedTable
}

// PublishedTable is one table of a publication.
type PublishedTable struct {
	Name    Name
	Filter  bool // a WHERE clause
	Columns []string
}

// EventTrigger is a row of pg_event_trigger.
type EventTrigger struct {
	Name, Owner, Event, FunctionOwner string
	Function                          Name
	Enabled                           bool
}

// SecLabel is a row of pg_seclabels on a column.
type SecLabel struct{ Provider, Object, Label string }

// ColumnSample says what a bounded sample of a column looked like: counts, never values.
type ColumnSample struct {
	Table                                      Name
	Column                                     string
	Rows, Clear, MD5, SHA1, SHA2, Strong, Card int
	Track, Short, Readable                     int
	Bytes                                      bool // of type bytea
}

// Setting returns the setting of that name, or nil when the login did not see it.
func (s *Server) Setting(name string) *Setting {
	i, ok := slices.BinarySearchFunc(s.Settings, name, func(a Setting, n string) int { return strings.Compare(a.Name, n) })
	if !ok {
		return nil
	}
	return &s.Settings[i]
}

// Value is the setting's value, "" when the login did not see it.
func (s *Server) Value(name string) string {
	if v := s.Setting(name); v != nil {
		return v.Value
	}
	return ""
}

// Role returns the role of that name, or nil.
func (s *Server) Role(name string) *Role {
	for i := range s.Roles {
		if s.Roles[i].Name == name {
			return &s.Roles[i]
		}
	}
	return nil
}

// Missing returns why a fact could not be seen, or nil when it was.
func (e *Evidence) Missing(f Fact, database string) *Unseen {
	for i := range e.Unseen {
		if e.Unseen[i].Fact == f && e.Unseen[i].Database == database {
			return &e.Unseen[i]
		}
	}
	return nil
}

// Function returns the function of that OID, or nil.
func (d *DatabaseEvidence) Function(oid OID) *Function {
	for i := range d.Functions {
		if d.Functions[i].OID == oid {
			return &d.Functions[i]
		}
	}
	return nil
}
