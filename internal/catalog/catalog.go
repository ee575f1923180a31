// Package catalog says what a server is: its roles, memberships, schemas, tables, grants, policies, functions and settings,
// as plain values read in one snapshot. It knows no SQL and no connection; engines fill it in, plan and scan read it.
package catalog

import "cmp"

// OID identifies an object within one server (roles) or one database (the rest).
type OID uint32

// Name is a schema-qualified name, unquoted.
type Name struct{ Schema, Name string }

// Snapshot is one consistent look at a database and at the cluster's roles.
type Snapshot struct {
	ServerVersionNum int    // such as 150018
	ServerID         string // pg_control_system().system_identifier, empty when not readable
	Database         Database
	CurrentUser      string
	Roles            []Role       // sorted by name
	Memberships      []Membership // sorted by role, member, grantor
	Schemas          []Schema
	Relations        []Relation
	Functions        []Function
	Types            []Type
	Operators        []Operator
	Languages        []Language
	Extensions       []Extension
	LargeObjects     []LargeObject
	DefaultACLs      []DefaultACL
	Databases        []Database // the other databases of the cluster that accept connections
	HBA              []HBALine  // nil when the login may not read pg_hba_file_rules
	Wall             *Wall      // what Postern has recorded in this database; nil before the first apply
}

// Major is the server's major version, such as 15.
func (s *Snapshot) Major() int { return s.ServerVersionNum / 10000 }

// Database is the database that was inspected.
type Database struct {
	OID   OID
	Name  string
	Owner string
	ACL   []Grant // the effective list: built-in defaults are spelled out when the stored ACL is NULL
}

// Role is a row of pg_roles.
type Role struct {
	OID                                             OID
	Name                                            string
	Superuser, Inherit, CreateRole, CreateDB, Login bool
	Replication, BypassRLS                          bool
	ValidUntil                                      string // ISO 8601, "infinity" or empty
	ConnLimit                                       int
	Comment                                         string
	Config                                          []RoleSetting
}

// RoleSetting is one ALTER ROLE … [IN DATABASE …] SET.
type RoleSetting struct{ Database, Name, Value string }

// Membership is a row of pg_auth_members. Before 16, Inherit mirrors the member's INHERIT attribute and Set is true.
type Membership struct {
	Role, Member, Grantor string
	Admin, Inherit, Set   bool
}

// Grant is one privilege of an ACL. Grantee "" is PUBLIC.
type Grant struct {
	Grantee, Grantor, Privilege string
	Grantable                   bool
}

// Schema is a row of pg_namespace.
type Schema struct {
	OID         OID
	Name, Owner string
	ACL         []Grant
	Comment     string
}

// Relation is a table, view, materialized view, foreign table, sequence or partitioned table.
type Relation struct {
	OID              OID
	Name             Name
	Kind             byte // pg_class.relkind: r p v m f S
	Owner            string
	ACL              []Grant
	Comment          string
	RowSecurity      bool
	ForceRowSecurity bool
	IsPartition      bool
	Parents          []Name // pg_inherits
	Options          []string
	Columns          []Column // attnum order, dropped ones left out
	Keys             []Key
	Indexes          []string `json:",omitempty"` // their names, sorted; read for the wall only
	ForeignKeys      []ForeignKey
	Policies         []RowPolicy
	Triggers         []Trigger
	Rules            []string // names of rewrite rules other than _RETURN
	ViewDefinition   string   // pg_get_viewdef for v and m
	DependsOn        []Name   // relations that a view reads
	Extension        string   // the extension it belongs to, or ""
}

// Column is a row of pg_attribute.
type Column struct {
	Table     Name `json:"-"` // the relation it is of
	Num       int
	Name      string
	TypeOID   OID
	TypMod    int
	Type      string // format_type(atttypid, atttypmod), schema-qualified where not in pg_catalog
	BaseType  string // for a domain: the type below it, else ""
	TypeKind  byte   // pg_type.typtype: b c d e p r m
	Collation Name   // empty: the type's default
	NotNull   bool   // of the column or of its domain
	// DomainNotNull: the column's type is a domain that refuses NULL itself, so that a view cannot show NULL either.
	DomainNotNull bool
	Default       string   // pg_get_expr, for generated columns the expression
	Generated     byte     // 's', 'v' or 0
	DependsOn     []string // columns of the table that a generated column is computed from, sorted
	Identity      byte     // 'a', 'd' or 0
	Sequence      Name     // owned serial or identity sequence
	ACL           []Grant
	Comment       string
}

// Key is a primary key, unique constraint or unique index over plain columns.
type Key struct {
	Name       string
	Primary    bool
	Constraint bool // false for a unique index without a constraint
	Columns    []string
	Partial    bool
}

// ForeignKey is a foreign key.
type ForeignKey struct {
	Name       string
	Columns    []string
	References Name
	RefColumns []string
}

// RowPolicy is a row of pg_policy. Roles "" is PUBLIC.
type RowPolicy struct {
	Name       string
	Permissive bool
	Command    string // ALL SELECT INSERT UPDATE DELETE
	Roles      []string
	Using      string
	Check      string
	Comment    string
}

// Trigger is a user trigger on a table.
type Trigger struct {
	Name            string
	Function        Name
	SecurityDefiner bool
	Events          []string
}

// Function is a routine outside pg_catalog and information_schema.
type Function struct {
	OID             OID
	Name            Name
	Arguments       string // pg_get_function_identity_arguments
	Kind            byte   // f p a w
	Owner           string
	SecurityDefiner bool
	Language        string
	Extension       string // the extension it belongs to, or ""
	ACL             []Grant
}

// Type is an enum, domain, composite or range type outside pg_catalog.
type Type struct {
	OID       OID
	Array     OID // of the type's array type
	Name      Name
	Kind      byte
	Owner     string
	Labels    []string // of an enum
	Extension string
}

// Operator is an operator outside pg_catalog.
type Operator struct {
	Name      Name
	Extension string
}

// Language is a row of pg_language.
type Language struct {
	Name, Owner string
	Trusted     bool
	ACL         []Grant
}

// Extension is an installed extension.
type Extension struct{ Name, Version, Schema, Owner string }

// LargeObject is a row of pg_largeobject_metadata.
type LargeObject struct {
	OID   OID
	Owner string
	ACL   []Grant
}

// DefaultACL is a row of pg_default_acl.
type DefaultACL struct {
	Role, Schema string
	Kind         byte
	ACL          []Grant
}

// HBALine is a row of pg_hba_file_rules.
type HBALine struct {
	Line      int
	Type      string // local host hostssl hostnossl …
	Databases []string
	Users     []string
	Address   string
	Method    string
}

// Wall is what Postern itself has recorded in a database: the rows of its own tables.
type Wall struct {
	Installation string
	Store        string
	Generation   int
	Suspended    bool
	KeyDigest    string // SHA-256 of the pseudonym keys, "" when there are none
	Attributes   []Attribute
	Holds        []Hold
	Relations    []Admitted
	Objects      []Recorded
}

// Attribute is a row of postern.attribute.
type Attribute struct{ Role, Key, Value string }

// Hold is a row of postern.holds. Until is RFC 3339 in UTC.
type Hold struct{ Role, Rule, Until string }

// Admitted is a row of postern.relation.
type Admitted struct {
	Profile    string // the profile role
	Base, View OID
	Plain      bool
}

// Recorded is a row of postern.object: an object's definition as the server rendered it when Postern made it, and as the server
// renders it now ("" when it is gone).
type Recorded struct {
	Kind, Identity string
	Then, Now      string
}

// Relation returns the relation of that name, or nil.
func (s *Snapshot) Relation(n Name) *Relation {
	for i := range s.Relations {
		if s.Relations[i].Name == n {
			return &s.Relations[i]
		}
	}
	return nil
}

// Role returns the role of that name, or nil.
func (s *Snapshot) Role(name string) *Role {
	for i := range s.Roles {
		if s.Roles[i].Name == name {
			return &s.Roles[i]
		}
	}
	return nil
}

// Schema returns the schema of that name, or nil.
func (s *Snapshot) Schema(name string) *Schema {
	for i := range s.Schemas {
		if s.Schemas[i].Name == name {
			return &s.Schemas[i]
		}
	}
	return nil
}

// Column returns the column of that name, or nil.
func (r *Relation) Column(name string) *Column {
	for i := range r.Columns {
		if r.Columns[i].Name == name {
			return &r.Columns[i]
		}
	}
	return nil
}

// String is schema.name, unquoted, for people.
func (n Name) String() string { return n.Schema + "." + n.Name }

// Compare orders names by schema, then name.
func (n Name) Compare(o Name) int {
	return cmp.Or(cmp.Compare(n.Schema, o.Schema), cmp.Compare(n.Name, o.Name))
}
