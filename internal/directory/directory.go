// Package directory asks an LDAP directory in which groups the people of the policy are, and whether they are still in it. It signs
// nobody in: people come by password or from the identity provider, and the directory only says what holds for them.
//
// It refuses to guess. An answer counts as a whole or not at all: one that was cut short, that points elsewhere, that came over a
// connection nobody vouches for, or that would make too many people vanish at once leaves everything as it was, for as long as the
// file says; then what the directory gave is over. It imports policy for whom it yields, secret for the password, audit because every event
// is in the trail first.
package directory

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// Settings are what the policy file says of the directory. Every field is required but GroupBase, Active and Roots.
type Settings struct {
	Address  string // host:port
	Host     string // whom its certificate has to be of
	Implicit bool   // TLS from the first byte; else by StartTLS
	Plain    bool   // no TLS, on this machine alone
	Roots    *x509.CertPool
	Source   string // what the directory is called: what another one said does not count

	BindDN        string
	UserBase      string
	UserFilter    string
	UserAttribute string
	ByEmail       bool   // an entry is whose address it has; else whose name
	Active        string // the filter of those who are not disabled; "": everybody, and on Active Directory those it has not disabled
	Groups        map[string]string
	GroupBase     string // where groups inside groups are; "": members of the named groups themselves
	GroupFilter   string
	Members       string // the attribute of a group that lists its members; "": that of people that lists their groups counts
	PageSize      int
	MaxEntries    int
	MaxLoss       float64
	Interval      time.Duration
	Limit         time.Duration
}

// Register ends what somebody has open.
type Register interface {
	EndEverything(ctx context.Context, subject, why string) error
}

// Store keeps what the directory said. It is safe for concurrent use, also by several processes.
type Store interface {
	// Directory returns a Known of version 0 if there is none.
	Directory(ctx context.Context) (Known, error)
	// KeepDirectory returns ErrConflict when somebody else was faster. What is quiet is no business of other processes.
	KeepDirectory(ctx context.Context, k Known, quiet bool) error
	// EndCredentials revokes every token and temporary credential of a subject.
	EndCredentials(ctx context.Context, subject string, now time.Time) error
}

// ErrConflict says that another instance was faster.
var ErrConflict = errors.New("somebody else was faster")

// Candidate is somebody who may be in the directory.
type Candidate struct{ Name, Email string }

// Config is what a Client needs. Every field is required.
type Config struct {
	Settings
	Password   func(context.Context) (secret.Text, error) // of BindDN; read for every connection
	Store      Store
	Register   Register
	Candidates func() []Candidate
	Audit      audit.Recorder
	Now        func() time.Time
	Log        *slog.Logger
	// Publish puts in force what is known, before it returns.
	Publish func(Known)
	// Alarm tells the admins of something that they have to mend.
	Alarm func(ctx context.Context, kind audit.Kind, subject string)
}

// Bounds of a look at the directory.
const (
	lookLimit   = 2 * time.Minute  // all of it
	askLimit    = 30 * time.Second // one question
	dialLimit   = 10 * time.Second
	answerLimit = 64 << 20 // bytes of all answers
	maxNesting  = 10       // groups in groups, as in the policy file
	batch       = 200      // people in one question
	again       = 30 * time.Second
	haste       = 5 * time.Second // between two looks because of somebody new
)

// Client asks one directory. Its methods may be called by one goroutine at a time, but Wake and Refresh by any.
type Client struct {
	c     Config
	wake  chan struct{}
	known atomic.Pointer[Known]

	next time.Time // when to look again
	last time.Time // when the last look was
}

// New makes a client. The directory is not asked yet: that it is away keeps nothing from starting.
func New(c Config) *Client { return &Client{c: c, wake: make(chan struct{}, 1)} }

// Roots reads a file with the certificates to trust; "" for the system's.
func Roots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path) //nolint:gosec // the policy file names it
	if err != nil {
		return nil, fmt.Errorf("read the certificates to trust: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, nil
}

// Candidates are the people of a policy and of the identity provider: whom the directory may have something to say about. What the
// file says of somebody's address comes first. Services are nobody's in a directory of people.
func Candidates(p *policy.Policy, provider []policy.Person) []Candidate {
	var out []Candidate
	at := map[string]int{}
	for _, name := range p.FileUsers() {
		if u := p.FileUser(name); u.Owner == "" {
			at[name] = len(out)
			out = append(out, Candidate{Name: name, Email: u.Attributes["email"]})
		}
	}
	for _, person := range provider {
		i, known := at[person.Name]
		switch {
		case known && out[i].Email == "":
			out[i].Email = person.Attributes["email"]
		case !known && p.FileUser(person.Name) == nil:
			out = append(out, Candidate{Name: person.Name, Email: person.Attributes["email"]})
		}
	}
	return out
}

// The reasons of failures: stable words for the trail.
const (
	failAway    = "away"        // cannot be reached, or stopped answering
	failTLS     = "tls"         // nobody vouches for its certificate, or it has no TLS
	failBind    = "credentials" // it does not take the password
	failDenied  = "denied"      // the account may not read
	failLimit   = "limit"       // an answer was cut short
	failRefer   = "referral"    // part of the answer is elsewhere
	failMissing = "missing"     // a base or a group is not there
	failPartial = "partial"     // it did not say all
	failNesting = "nesting"     // groups too deep in groups
	failLoss    = "loss"        // too many people would vanish at once
	failOther   = "answer"      // it cannot be understood, or refused for another reason
	failSecret  = "password"    // the password could not be read here
)

// Failure is why a look at the directory does not count.
type Failure struct {
	Reason string
	Text   string
	Hint   string
	cause  error
}

// Error implements error.
func (f *Failure) Error() string {
	if f.cause != nil {
		return f.Text + ": " + f.cause.Error()
	}
	return f.Text
}

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.cause }
