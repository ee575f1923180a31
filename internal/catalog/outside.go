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
	Enumerated bool // suites and groups were asked for one by one
	DHBits     int  // of the DH group, 0 when none was seen
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
