package catalog

import (
	"fmt"
	"strconv"
	"time"
)

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
	Enumerated bool         // suites and groups were asked for one by one
	DHBits     int          // of the DH group, 0 when none was seen
	Stuffing   string       // what was sent in the clear behind SSLRequest was "answered" or "refused"; "" not tried
	Version    *Fingerprint // what the endpoint's refusals tell of its version; nil when it gave none
}

// Fingerprint is a version that nobody stated: the branches and minor releases that fit what was seen.
type Fingerprint struct {
	From, To           int    // branches; From 0 and To 0 are open ends
	MinorFrom, MinorTo int    // of the one branch; MinorTo -1 is an open end
	Certainty          string // certain, likely (lines of the sources, which a distribution can move), none
	Because            string
}

// String is the version for a reader, such as "PostgreSQL 15 (likely), 15.9 to 15.17 by line numbers"; "" when nothing is known.
func (f *Fingerprint) String() string {
	if f == nil || f.Certainty == "none" {
		return ""
	}
	var branches, minors string
	switch {
	case f.From == f.To:
		branches = strconv.Itoa(f.From)
		minors = f.minors()
	case f.From == 0:
		branches = strconv.Itoa(f.To) + " or older"
	case f.To == 0:
		branches = strconv.Itoa(f.From) + " or newer"
	default:
		branches = fmt.Sprintf("%d to %d", f.From, f.To)
	}
	return "PostgreSQL " + branches + " (" + f.Certainty + ")" + minors
}

// minors is the range of minor releases of the one branch.
func (f *Fingerprint) minors() string {
	switch {
	case f.MinorTo < 0 && f.MinorFrom == 0:
		return ""
	case f.MinorTo < 0:
		return fmt.Sprintf(", %d.%d or newer by line numbers", f.From, f.MinorFrom)
	case f.MinorTo == f.MinorFrom:
		return fmt.Sprintf(", %d.%d by line numbers", f.From, f.MinorFrom)
	}
	return fmt.Sprintf(", %d.%d to %d.%d by line numbers", f.From, f.MinorFrom, f.From, f.MinorTo)
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
