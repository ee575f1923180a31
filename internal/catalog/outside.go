package catalog

import "time"

// Outside is what an endpoint answers to somebody without a login.
type Outside struct {
	Endpoint   string // host:port as dialled
	Host       string // the name dialled
	Addresses  []string
	From       string // the prober's own address
	Loopback   bool   // the endpoint is this machine
	Reachable  bool
	TLS        string // S, N, E (an error), "" not asked
	TLSError   string
	Versions   []string // TLS versions accepted, such as TLSv1.2
	Tried      []string // TLS versions tried
	Suites     []Suite  // suites accepted
	Groups     []string
	Server     string // "server", "client", "" unknown: whose order of suites decides
	Chain      []Certificate
	ChainError string // why the chain does not verify against the roots given, "" when it does
	NameError  string // why the certificate does not fit the name dialled
	Direct     string // direct TLS: "refused", "alpn" (only with the right protocol), "any"
	GSS        string // G, N, E
	Offers     []Offer
	DHBits     int // of the DH group, 0 when none was seen
	Stuffing   string
}

// Suite is a cipher suite that a server accepted.
type Suite struct {
	Name    string
	ID      uint16
	Version string
}

// Certificate is what a certificate says.
type Certificate struct {
	Subject, Issuer     string
	CommonName          string
	Names               []string
	NotBefore, NotAfter time.Time
	KeyKind             string // RSA, ECDSA, Ed25519
	KeyBits             int
	Signature           string // such as SHA256-RSA
	SPKI                string // SHA-256 of the public key
	SelfSigned, CA      bool
}

// Offer is the first answer to one StartupMessage.
type Offer struct {
	User, Database string
	Random         bool // a name made up by the prober
	TLS            bool
	Method         string // ok, cleartext, md5, scram, scram-plus, gss, sspi, oauth, error
	Code           string // SQLSTATE of an error
	Text           string // its message, with the prober's address
}

// Host is what the files and the operating system of the server's host say. A part that was not looked at is nil.
type Host struct {
	ServerUID, ServerGID int
	ServerUser           string
	Files                []File // that were looked at
	Processes            *Processes
	Unit                 *Unit
	Firewall             *Firewall
	Facts                map[string]string // single facts by name, such as "core_pattern"
	Hits                 []SecretHit
	Unreadable           []string // paths that could not be read
}

// File is a file, directory or symbolic link.
type File struct {
	Path     string
	Role     string // what it is for: data_directory, ssl_key_file, socket …
	Exists   bool
	Mode     uint32 // permission bits with setuid, setgid and sticky
	Kind     string // file, dir, link, socket
	UID, GID int
	Size     int64
	Modified time.Time
	Note     string // what its contents say, such as "encrypted"
}

// Processes is what the process table says.
type Processes struct {
	ServerPID int
	ServerUID int
	ServerExe string
	Hits      []SecretHit // environments and command lines that hold a password
	CoreLimit string
	Umask     string
}

// Unit is the service manager's word.
type Unit struct {
	Name       string
	Enabled    bool
	Properties map[string]string
}

// Firewall is the host's packet filter.
type Firewall struct {
	Tool    string // nftables, iptables, none
	Policy  string // accept, drop
	Allowed []string
	Filters bool // it filters the server's port
}
