package catalog

import (
	"net/netip"
	"time"
)

// Host is what the files and the operating system of the server's host say. It is there only when the data directory that was read is the
// server's own, which its system identifier proves. A part that was not looked at is nil; Missing says why a part could not be read.
type Host struct {
	ServerUID, ServerGID int
	ServerUser           string // "" when the account has no name
	Files                []File // that were looked at, sorted by role and path
	Process              *Process
	Unit                 *Unit // nil when the server is no unit of the service manager
	Account              *HostAccount
	Firewall             *Firewall
	Packages             *Packages
	Programs             []Program // PostgreSQL's programs and their versions
	Published            []string  // container ports that a proxy publishes on every address, such as 0.0.0.0:5432
	Interfaces           []netip.Prefix
	Facts                map[HostFact]string
	Hits                 []SecretHit       // profiles, service files, environments, command lines; histories and logs with consent
	Missing              map[string]string // part or path -> why it could not be read
	Logs                 *LogFacts         // nil without consent
	Backups              *BackupFacts      // nil when it could not be looked for
	Tunnel               *SSHServer        // nil without an SSH server's configuration
}

// HostFact names a single fact about the host. One that is absent was not seen.
type HostFact string

// The single facts.
const (
	FactFIPS            HostFact = "fips"             // on, off: the kernel's switch
	FactOpenSSL         HostFact = "openssl"          // version of the library's package
	FactStderr          HostFact = "stderr"           // where the server's error output goes: null, journal, pipe, file, terminal
	FactClock           HostFact = "clock"            // synchronised, free
	FactLogUsed         HostFact = "log_used"         // per cent of the log's file system
	FactLogVolume       HostFact = "log_volume"       // shared, own: against the data directory
	FactLogOldest       HostFact = "log_oldest"       // day of the oldest log file
	FactClusterMade     HostFact = "cluster_made"     // day of the data directory
	FactShipper         HostFact = "shipper"          // what carries logs off the host, none
	FactVolume          HostFact = "volume"           // encrypted, plain: the device under the data directory
	FactFileSystem      HostFact = "file_system"      // its type
	FactSwap            HostFact = "swap"             // none, encrypted, plain, memory
	FactCoreLimit       HostFact = "core_limit"       // of the server's process: 0, unlimited or a number
	FactCorePattern     HostFact = "core_pattern"     // of the kernel
	FactContainer       HostFact = "container"        // kind, none
	FactOtherMajors     HostFact = "other_majors"     // installed server programs of other majors
	FactUntrustedSource HostFact = "untrusted_source" // package source that is not verified, none
)

// File is a file, directory or symbolic link.
type File struct {
	Path, Role string // what it is for: data_directory, ssl_key_file, socket_directory …
	Mode       uint32 // permission bits with setuid, setgid and sticky
	Kind       string // file, dir, link, socket, other
	UID, GID   int
	Modified   time.Time
	// Writers are the accounts besides root that may replace it, by its own mode or that of a folder above it: "uid 1000", "group 1000", "everybody".
	Writers []string          `json:",omitempty"`
	Notes   map[string]string `json:",omitempty"` // what its contents say, such as key=encrypted; never a secret
}

// Process is the running server as the kernel sees it.
type Process struct {
	PID          int
	UID          int
	Exe          string
	Replaced     bool // the program on disk is no longer the one that runs
	Umask        string
	Capabilities string // effective ones, as hexadecimal digits
}

// Unit is the service manager's word about the server.
type Unit struct {
	Name       string
	Enabled    bool
	Properties map[string]string // of the files, drop-ins included
}

// HostAccount is the server's account.
type HostAccount struct {
	Shell    string
	Password string   // locked, none, set, "" unknown
	Sudo     []string // lines that let it, or others as it, do anything
	SudoSeen bool
}

// Firewall says who may reach the server's port through the host's packet filter.
type Firewall struct {
	Tool    string         // nftables, iptables, none
	Allowed []netip.Prefix // sources from which the port may be reached, smallest list
	Limits  bool           // new connections to the port are limited by source
	Unclear []string       // rules that could not be judged; they count as accepting
}

// Open reports whether any address may reach the port.
func (f *Firewall) Open() bool {
	for _, p := range f.Allowed {
		if p.Bits() == 0 {
			return true
		}
	}
	return false
}

// Packages says where the server's programs came from.
type Packages struct {
	Manager string            // dpkg
	Owner   string            // package that holds the server's program, "" for none
	Names   map[string]string // installed packages that bear on the server -> version
}

// Program is one of PostgreSQL's programs on disk.
type Program struct {
	Name, Path, Version string
	Client              bool
}

// LogFacts is what a bounded look at recent logs found. No value of a log is kept.
type LogFacts struct {
	Files     int
	From, To  time.Time // period that connection lines cover
	Hits      []SecretHit
	Cards     []SecretHit          // lines with a number that passes for a card's
	Rules     map[string]time.Time // "file:line" of pg_hba.conf -> last login by it
	Roles     map[string]time.Time // role -> last login
	Keys      []SecretHit          // statements that pass a key to pgcrypto
	Truncated bool                 // more was there than was read
}

// BackupFacts is what speaks for a backup.
type BackupFacts struct {
	Tools      []string // configured or running
	Last       time.Time
	Repository []Repository
}

// Repository is a place that backups are kept in.
type Repository struct {
	Path, Config string
	Cipher       string
	Readable     bool // by others than its owner and group
	Remote       bool
}

// SSHServer is what sshd's configuration says about forwarding to the server.
type SSHServer struct {
	Forwarding string // AllowTcpForwarding
	PermitOpen []string
	Gateway    string // GatewayPorts
}

// FilesOf lists the files of a role.
func (h *Host) FilesOf(role string) []File {
	var out []File
	for _, f := range h.Files {
		if f.Role == role {
			out = append(out, f)
		}
	}
	return out
}

// Span widens the period that was looked at.
func (f *LogFacts) Span(when time.Time) {
	if f.From.IsZero() || when.Before(f.From) {
		f.From = when
	}
	if when.After(f.To) {
		f.To = when
	}
}
