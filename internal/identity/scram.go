package identity

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The SASL mechanisms.
const (
	MechanismPlain = "SCRAM-SHA-256"
	MechanismPlus  = "SCRAM-SHA-256-PLUS"
)

const (
	bindingType = "tls-server-end-point"
	nonceBytes  = 18
	maxNonce    = 256
	// maxLive bounds the credentials of one subject (PRO-25).
	maxLive = 16
)

// ErrMalformed is a SCRAM message that no client sends by mistake. The exchange is over.
var ErrMalformed = errors.New("malformed SCRAM message")

// Credential is one live secret of a subject. All of a subject's credentials share salt and iteration count, because those
// go to the client before it has proved anything (PRO-24).
type Credential struct {
	ID        string
	StoredKey [keyLength]byte
	ServerKey [keyLength]byte
	Store     string    // the only store it is good for; "": all
	NotBefore time.Time // zero: always
	Expires   time.Time // zero: never
	Revoked   bool
	Personal  bool // a personal access token, which a store may not take
}

// Account is what SCRAM needs to know of a subject.
type Account struct {
	Iterations  int
	Salt        []byte
	Credentials []Credential
}

// PolicyCredential is the id of the credential that stands in the policy file.
const PolicyCredential = "policy"

// AccountOf makes the account of a subject with one verifier and no end.
func AccountOf(v *Verifier) *Account {
	return &Account{Iterations: v.Iterations, Salt: v.Salt, Credentials: []Credential{{
		ID: PolicyCredential, StoredKey: v.StoredKey, ServerKey: v.ServerKey,
	}}}
}

// Mock stands in for subjects that do not exist: same salt length, same default count, the same on every instance and after
// a restart, and no password that fits (PRO-27).
type Mock struct {
	key        []byte
	iterations int
}

// NewMock derives mock accounts from an installation secret.
func NewMock(installation []byte, iterations int) (*Mock, error) {
	if len(installation) < 16 {
		return nil, errors.New("the installation secret is shorter than 16 bytes")
	}
	if iterations == 0 {
		iterations = DefaultIterations
	}
	return &Mock{key: MAC(installation, "postern mock authentication"), iterations: iterations}, nil
}

// Salt is the salt and the iteration count of a user who has no verifier in the policy file: those that the mock shows, so that
// nobody can tell who has a temporary credential.
func (m *Mock) Salt(user string) (iterations int, salt []byte) {
	return m.iterations, MAC(m.key, "salt "+user)[:saltLength]
}

func (m *Mock) account(user string) *Account {
	a := &Account{Iterations: m.iterations, Salt: MAC(m.key, "salt "+user)[:saltLength]}
	var c Credential
	copy(c.StoredKey[:], MAC(m.key, "stored "+user))
	copy(c.ServerKey[:], MAC(m.key, "server "+user))
	a.Credentials = []Credential{c}
	return a
}

// Claim is what an exchange is about.
type Claim struct {
	User    string
	Store   string
	Account *Account // nil: nobody of that name, the exchange is mocked
	// Binding is the tls-server-end-point data of our own certificate. With it PLUS is offered (PRO-21).
	Binding []byte
	Now     time.Time
}

// Exchange is one SCRAM conversation, seen from the server. It is not safe for concurrent use.
type Exchange struct {
	claim   Claim
	account *Account
	mocked  bool
	random  io.Reader

	plus        bool
	gs2         string // header with its two commas
	clientFirst string // bare
	serverFirst string
	nonce       string
	state       int
}

const (
	expectFirst = iota
	expectFinal
	over
)

// NewExchange begins a conversation.
func NewExchange(c Claim, mock *Mock, random io.Reader) *Exchange {
	x := &Exchange{claim: c, account: c.Account, random: random}
	if c.Account == nil || len(c.Account.Credentials) == 0 {
		x.account, x.mocked = mock.account(c.User), true
	}
	return x
}

// Mechanisms lists what is offered, the preferred one first.
func (x *Exchange) Mechanisms() []string {
	if len(x.claim.Binding) > 0 {
		return []string{MechanismPlus, MechanismPlain}
	}
	return []string{MechanismPlain}
}

// First takes the client's first message and returns the server's.
func (x *Exchange) First(mechanism string, message []byte) ([]byte, error) {
	if x.state != expectFirst {
		return nil, ErrMalformed
	}
	x.state = over
	switch {
	case mechanism == MechanismPlain:
	case mechanism == MechanismPlus && len(x.claim.Binding) > 0:
		x.plus = true
	default:
		return nil, fmt.Errorf("%w: mechanism was not offered", ErrMalformed)
	}
	first, err := parseClientFirst(string(message))
	if err != nil {
		return nil, err
	}
	if err := x.checkBindingFlag(first.flag); err != nil {
		return nil, err
	}
	raw := make([]byte, nonceBytes)
	if _, err := io.ReadFull(x.random, raw); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	x.gs2, x.clientFirst = first.gs2, first.bare
	x.nonce = first.nonce + base64.StdEncoding.EncodeToString(raw)
	x.serverFirst = "r=" + x.nonce + ",s=" + base64.StdEncoding.EncodeToString(x.account.Salt) +
		",i=" + strconv.Itoa(x.account.Iterations)
	x.state = expectFinal
	return []byte(x.serverFirst), nil
}

// checkBindingFlag is PRO-22.
func (x *Exchange) checkBindingFlag(flag string) error {
	switch {
	case flag == "n":
		if x.plus {
			return fmt.Errorf("%w: PLUS without channel binding", ErrMalformed)
		}
	case flag == "y":
		if x.plus || len(x.claim.Binding) > 0 {
			// The client believes that we offered no PLUS: somebody on the way took it out.
			return fmt.Errorf("%w: channel binding was offered and removed on the way", ErrMalformed)
		}
	case flag == "p="+bindingType:
		if !x.plus {
			return fmt.Errorf("%w: channel binding without PLUS", ErrMalformed)
		}
	default:
		return fmt.Errorf("%w: unknown channel binding", ErrMalformed)
	}
	return nil
}

// Final takes the client's proof. With a nil error the returned message makes the client sure of us, and the Proof is good.
// Any other outcome than a malformed message is a Failure, whatever the cause.
func (x *Exchange) Final(message []byte) ([]byte, Proof, error) {
	if x.state != expectFinal {
		return nil, Proof{}, ErrMalformed
	}
	x.state = over
	final, err := parseClientFinal(string(message))
	if err != nil {
		return nil, Proof{}, err
	}
	if subtle.ConstantTimeCompare([]byte(final.nonce), []byte(x.nonce)) != 1 {
		return nil, Proof{}, fmt.Errorf("%w: nonce does not match", ErrMalformed)
	}
	want := []byte(x.gs2)
	if x.plus {
		want = append(want, x.claim.Binding...)
	}
	if !bytes.Equal(final.binding, want) {
		return nil, Proof{}, &Failure{Reason: "channel binding does not match"}
	}
	return x.verify(final, x.clientFirst+","+x.serverFirst+","+final.withoutProof)
}

// verify compares the proof with every credential, in the same time whichever fits (PRO-24), and only then asks whether the
// one that fits may be used (PRO-26).
func (x *Exchange) verify(final clientFinal, authMessage string) ([]byte, Proof, error) {
	match := -1
	for i := range x.account.Credentials {
		if i == maxLive {
			break
		}
		c := &x.account.Credentials[i]
		clientKey := MAC(c.StoredKey[:], authMessage)
		subtle.XORBytes(clientKey, clientKey, final.proof[:])
		hash := sha256.Sum256(clientKey)
		hit := subtle.ConstantTimeCompare(hash[:], c.StoredKey[:])
		match = subtle.ConstantTimeSelect(hit, i, match)
	}
	if x.mocked {
		return nil, Proof{}, &Failure{Reason: "unknown user"}
	}
	if match < 0 {
		return nil, Proof{}, &Failure{Reason: "wrong password"}
	}
	c := &x.account.Credentials[match]
	switch {
	case c.Revoked:
		return nil, Proof{}, &Failure{Reason: "revoked credential " + c.ID}
	case !c.Expires.IsZero() && !x.claim.Now.Before(c.Expires):
		return nil, Proof{}, &Failure{Reason: "expired credential " + c.ID}
	case x.claim.Now.Before(c.NotBefore):
		return nil, Proof{}, &Failure{Reason: "credential " + c.ID + " is not valid yet"}
	case c.Store != "" && c.Store != x.claim.Store:
		return nil, Proof{}, &Failure{Reason: "credential " + c.ID + " is for another store"}
	}
	h := hmac.New(sha256.New, c.ServerKey[:])
	_, _ = io.WriteString(h, authMessage) // a hash never fails
	method := SCRAM
	if x.plus {
		method = SCRAMPlus
	}
	out := "v=" + base64.StdEncoding.EncodeToString(h.Sum(nil))
	return []byte(out), Proof{user: x.claim.User, method: method, credential: c.ID, until: c.Expires}, nil
}

type clientFirst struct{ flag, gs2, bare, nonce string }

// parseClientFirst reads "flag,[authzid],n=name,r=nonce[,extensions]" (RFC 5802 section 7). The name is ignored: psql sends
// it empty and the startup packet's user counts.
func parseClientFirst(s string) (clientFirst, error) {
	var f clientFirst
	var authzid, name, rest string
	var ok [4]bool
	f.flag, rest, ok[0] = strings.Cut(s, ",")
	authzid, f.bare, ok[1] = strings.Cut(rest, ",")
	name, rest, ok[2] = strings.Cut(f.bare, ",")
	nonce, extensions, more := strings.Cut(rest, ",")
	f.nonce, ok[3] = strings.CutPrefix(nonce, "r=")
	switch {
	case !ok[0] || !ok[1] || !ok[2] || !ok[3]:
		return f, fmt.Errorf("%w: client-first-message", ErrMalformed)
	case authzid != "":
		return f, fmt.Errorf("%w: an authorization identity is not supported", ErrMalformed)
	case strings.HasPrefix(name, "m="):
		return f, fmt.Errorf("%w: a mandatory extension is not supported", ErrMalformed)
	case !strings.HasPrefix(name, "n="):
		return f, fmt.Errorf("%w: client-first-message has no name", ErrMalformed)
	case !printable(f.nonce) || len(f.nonce) > maxNonce:
		return f, fmt.Errorf("%w: nonce", ErrMalformed)
	case more && !attributes(extensions):
		return f, fmt.Errorf("%w: extension", ErrMalformed)
	}
	f.gs2 = f.flag + ",,"
	return f, nil
}

type clientFinal struct {
	binding      []byte
	nonce        string
	proof        [keyLength]byte
	withoutProof string
}

// parseClientFinal reads "c=binding,r=nonce[,extensions],p=proof"; nothing may follow the proof (PRO-23).
func parseClientFinal(s string) (clientFinal, error) {
	var f clientFinal
	at := strings.LastIndex(s, ",p=")
	if at < 0 {
		return f, fmt.Errorf("%w: client-final-message has no proof", ErrMalformed)
	}
	f.withoutProof = s[:at]
	if decodeKey(&f.proof, s[at+len(",p="):]) != nil {
		return f, fmt.Errorf("%w: proof", ErrMalformed)
	}
	channel, rest, ok := strings.Cut(f.withoutProof, ",")
	channel, ok2 := strings.CutPrefix(channel, "c=")
	nonce, extensions, more := strings.Cut(rest, ",")
	nonce, ok3 := strings.CutPrefix(nonce, "r=")
	if !ok || !ok2 || !ok3 || !printable(nonce) || (more && !attributes(extensions)) {
		return f, fmt.Errorf("%w: client-final-message", ErrMalformed)
	}
	var err error
	if f.binding, err = base64.StdEncoding.Strict().DecodeString(channel); err != nil {
		return f, fmt.Errorf("%w: channel binding", ErrMalformed)
	}
	f.nonce = nonce
	return f, nil
}

// printable is RFC 5802's "printable": any printable ASCII character but the comma.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == ',' {
			return false
		}
	}
	return s != ""
}

// attributes says whether s is a list of optional attributes, which are ignored. A mandatory one is not among them.
func attributes(s string) bool {
	for part := range strings.SplitSeq(s, ",") {
		if len(part) < 3 || part[1] != '=' || part[0] == 'm' || part[0] == 'p' || !letter(part[0]) {
			return false
		}
	}
	return true
}

func letter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }
