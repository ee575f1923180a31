// Package config reads the policy file: postern.yaml, or a folder of files merged by key. It yields the policy itself and
// the facts that the policy language does not need: how a store is reached, where the gateway listens, where keys, state
// and the trail are. Decoding is strict, every mistake is reported at once with its place, and nothing is read but the
// files themselves: secrets are named in them and fetched only by Source.Read.
//
// It imports policy for the language and secret for what it must not show; YAML is its own business.
package config

import (
	"net/netip"
	"os"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// Problem and Problems are the mistakes of a policy file; Load's error is a Problems whenever the file could be read.
type (
	Problem  = policy.Problem
	Problems = policy.Problems
)

// Config is a whole, validated policy file. It is immutable once loaded. Every path in it is absolute or, where the
// file was named by a relative path, relative to the working directory: it can be opened as it stands.
type Config struct {
	Path   string   // as given to Load
	Files  []string // every file that was read, sorted; a watcher looks at these and at Folder
	Folder string   // what paths in the file are relative to
	Policy *policy.Policy
	State  State
	Keys   Keys
	Stores map[string]*Store
	// Standbys are the stores with standby_of: scan looks at them, discover reads samples there, and no policy is compiled for them.
	Standbys map[string]*Store
	Gateway  Gateway
	Audit    Audit
	Discover Discover
	Portal   Portal
	Notices  Notices
	Slack    *Slack // nil: there is none
	LDAP     *LDAP  // nil: there is none
	// Emergency is the admin for when nobody else gets in; zero: there is none.
	Emergency Emergency
	Tests     []Expectation // in file order
	Warnings  Problems      // what is allowed and probably not meant
}

// State says where Postern remembers.
type State struct {
	SQLite   string // path of the database file, or ""
	Postgres string // URL of a database that several gateways share, or ""; it holds no password
	Folder   string // where what concerns this machine alone is kept: next to the file, or next to the policy
	Pos      policy.Pos
}

// Emergency is the emergency admin: where they come in, and the hash of their password.
type Emergency struct{ Socket, Password string }

// Keys are Postern's own secrets.
type Keys struct {
	Root  Source // identity passwords and pseudonyms derive from it
	Audit Source // signs the trail's checkpoints
	State Source // the password of State.Postgres; may be unset
}

// Store is a database and how to reach it.
type Store struct {
	Name        string
	Engine      string // postgres
	Address     Address
	Database    string
	Schemas     []string
	Extensions  []string // whose reviewed functions subjects may use
	TLS         StoreTLS
	Provisioner Account
	Grantor     Account
	Scanner     Account // may be empty
	Provision   Provision
	Limits      policy.Limits // of everybody who reads from it
	Observe     policy.Observe
	Inline      bool               // tier: inline
	Reader      Account            // that statements run as, with Inline
	Upstream    map[string]Account // of observed users
	StandbyOf   string             // a store's name, or ""
	Pos         policy.Pos
}

// Account is a login of Postern on a store. An empty User means that the file names none.
type Account struct {
	User     string
	Password Source // may be unset: certificate or peer authentication
	Pos      policy.Pos
}

// Provision says who may change the access part of the wall.
type Provision string

// The values of a store's provision.
const (
	ProvisionManual Provision = "manual"
	ProvisionAuto   Provision = "auto"
)

// Address is a TCP endpoint or the folder of a Unix socket.
type Address struct {
	Host   string // empty for a socket
	Socket string // folder of the socket, empty for TCP
	Port   uint16
}

// TLSMode is how the gateway protects its connection to a store; the names are libpq's.
type TLSMode string

// The modes. There is no prefer and no allow: they send everything in clear when the other side says no.
const (
	TLSDisable    TLSMode = "disable"
	TLSEncrypt    TLSMode = "require" // encrypted, the server's certificate is not checked
	TLSVerifyCA   TLSMode = "verify-ca"
	TLSVerifyFull TLSMode = "verify-full"
)

// StoreTLS is the transport to a store.
type StoreTLS struct {
	Mode TLSMode
	CA   string // path; empty: the system's certificates
	Cert string // path of the client certificate, or empty
	Key  string // path of its key
}

// Gateway is where clients come in. The network rules are in Policy.Network.
type Gateway struct {
	Listeners []*Listener
	Parser    Parser
}

// Parser says where the parser runs, which is PostgreSQL's own, in C.
type Parser string

// The places of the parser.
const (
	ParserEmbedded Parser = "embedded" // in the gateway's process
	ParserIsolated Parser = "isolated" // in processes of its own
)

// Listener is one address or socket.
type Listener struct {
	Engine  string
	Address string      // host:port, empty for a socket
	Socket  string      // folder of the socket
	Port    uint16      // of the socket's name, .s.PGSQL.PORT
	Mode    os.FileMode // of the socket
	Group   string      // that owns the socket; empty: the process's
	TLS     ListenerTLS
	Proxies []netip.Prefix // who may say for whom they connect
	Pos     policy.Pos
}

// ListenerTLS is the transport that a listener offers. Without Cert there is none.
type ListenerTLS struct {
	Required   bool // plain connections are refused, cancel requests aside
	Cert, Key  string
	MinVersion uint16 // a crypto/tls version
	ClientCA   string // path; empty: clients are not asked for a certificate
}

// Notices says how people are told. A transport without an address is none.
type Notices struct {
	Link    string
	Webhook struct {
		URL    string
		Secret Source
	}
	Mail struct {
		Server, From, TLS, User, Templates string
		Password                           Source
		TemplatesPos                       policy.Pos
	}
	Pos policy.Pos
}

// Slack is an app in Slack. A source that is not written is absent: its Pos is zero.
type Slack struct {
	Bot, App, Signing Source
	Domains           []string
	API               string // ends in a slash
	Pos               policy.Pos
}

// Portal is where requests and approvals are answered. Without an address there is none.
type Portal struct {
	Address   string         // host:port
	Cert, Key string         // paths; empty: plain, on a loopback address only
	URL       string         // under which browsers reach it; empty: not said
	Proxies   []netip.Prefix // who may say for whom they ask
	OIDC      *OIDC          // nil: there is no single sign-on
	Pos       policy.Pos
}

// OIDC is the identity provider.
type OIDC struct {
	Issuer, Client string
	Secret         Source
	CA             string // path; empty: the system's certificates
	Label          string
	Scopes         []string
	Prompt         string // or ""
	Name           string // the claim
	Create         bool
	Groups         string            // the claim
	Attributes     map[string]string // attribute -> claim
	Algorithms     []string
	Recheck, Limit time.Duration
	Pos            policy.Pos
}

// LDAP is the directory.
type LDAP struct {
	URL             string // without what follows the port
	Address         string // host:port
	Host            string
	Implicit, Plain bool   // TLS from the first byte; none at all
	CA              string // path; empty: the system's certificates
	BindDN          string
	Password        Source
	UserBase        string
	UserFilter      string
	ByEmail         bool
	UserAttribute   string
	Active          string            // a filter, or ""
	Groups          map[string]string // name -> DN
	GroupBase       string            // or ""
	GroupFilter     string
	Members         string // the attribute; empty: memberOf
	PageSize        int
	MaxEntries      int
	MaxLoss         float64
	Interval, Limit time.Duration
	Pos             policy.Pos
}

// Audit is where the trail goes.
type Audit struct {
	Folder string
	// Sync is how long a record may stay unsynced; 0 means that every record is synced before its effect.
	Sync time.Duration
	// ClassifyResults is the share of statements whose results are looked at for sensitive data; 0: none.
	ClassifyResults float64
}

// Loopback says whether the address cannot be reached from another machine.
func (a Address) Loopback() bool {
	if a.Socket != "" || a.Host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(a.Host)
	return err == nil && ip.IsLoopback()
}
