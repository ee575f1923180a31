// Package identity answers "who is this?". It holds the server side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the rules for
// certificates and for peers on a Unix socket, and the brake on guessing. What it yields is a Proof, which nothing outside
// this package can make: the gateway's next stage takes a Proof and nothing else.
//
// It refuses to keep passwords: it only knows verifiers. It does no I/O; clocks and randomness are passed in.
package identity

import (
	"crypto/x509"
	"errors"
	"time"
)

// Method says how somebody proved who they are.
type Method string

// The methods.
const (
	SCRAM       Method = "scram-sha-256"
	SCRAMPlus   Method = "scram-sha-256-plus"
	Certificate Method = "certificate"
	Peer        Method = "peer"
)

// Proof says that a name was proved. The zero Proof proves nothing.
type Proof struct {
	user       string
	method     Method
	credential string
	until      time.Time
}

// User is the name that was proved, "" for the zero Proof.
func (p Proof) User() string { return p.user }

// Method is how it was proved.
func (p Proof) Method() Method { return p.method }

// Credential is the id of the credential that was used, if the method has several.
func (p Proof) Credential() string { return p.credential }

// Until is when what proved it ends, or the zero time. Nobody stays in for longer.
func (p Proof) Until() time.Time { return p.until }

// ErrNotYou is the only thing a client may learn of a failed proof.
var ErrNotYou = errors.New("authentication failed")

// Failure is why a proof failed, for the trail. It is an ErrNotYou.
type Failure struct{ Reason string }

// Error implements error.
func (f *Failure) Error() string { return "authentication failed: " + f.Reason }

// Is makes a Failure an ErrNotYou.
func (f *Failure) Is(target error) bool { return target == ErrNotYou }

// FromCertificate proves user by a verified client certificate: its common name is the user's name (PRO-29). chains are the
// verified chains of the TLS handshake, which has checked purpose, time and signatures.
func FromCertificate(user string, chains [][]*x509.Certificate) (Proof, error) {
	if len(chains) == 0 || len(chains[0]) == 0 {
		return Proof{}, &Failure{Reason: "no verified client certificate"}
	}
	if name := chains[0][0].Subject.CommonName; name == "" || name != user {
		return Proof{}, &Failure{Reason: "the certificate names somebody else"}
	}
	return Proof{user: user, method: Certificate}, nil
}

// FromPeer proves user by the operating system's word: account is the name of the process's owner on a Unix socket.
func FromPeer(user, account string) (Proof, error) {
	if account == "" || account != user {
		return Proof{}, &Failure{Reason: "the peer's account is another"}
	}
	return Proof{user: user, method: Peer}, nil
}
