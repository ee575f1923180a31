// Package daemon is `postern serve`: it builds everything from the policy file in the order in which things need each other,
// follows the file while it runs, and lets go of it all in the reverse order. The new world is built whole before the old one
// is dropped; what cannot be built leaves the old one in force, and says so in the log and on the trail.
//
// It knows no engine: the command line hands in the list.
package daemon

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/directory"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/slack"
	"github.com/postern-sec/postern/internal/sso"
	"github.com/postern-sec/postern/internal/state"
)

// Engine is a kind of store.
type Engine interface {
	// Protocol speaks to the clients of every store of this kind.
	Protocol(o ProtocolOptions) (gateway.Engine, error)
	// Wall stands for one store. Nothing is asked of the server yet.
	Wall(ctx context.Context, store *config.Store, root secret.Text) (Wall, error)
	// Finder looks for sensitive data in one store; nil where serve has no login for it.
	Finder(ctx context.Context, store *config.Store) (Finder, error)
}

// Redactor is what a protocol's engine is that can write statements for people to read: without their literals and comments. "": it cannot. whole
// says that they lose nothing by it.
type Redactor interface {
	Redact(statement string) (text string, whole bool)
}

// ProtocolOptions is what Protocol needs.
type ProtocolOptions struct {
	Opaque  Opaque
	Config  *config.Config
	Now     func() time.Time
	Sighted func(Sighting) // with audit.classify_results; called from sessions
}

// Sighting is sensitive data in a column without a label, as results showed it.
type Sighting struct {
	Store, Column, Class string
	Tested               int
}

// Opaque makes what stands in the trail for a statement that could not be parsed; see audit.Key.
type Opaque = func(statement string) *audit.Opaque

// Wall is what the server of one store enforces, as serve sees it. Its methods may be called by one goroutine at a time.
type Wall interface {
	// Refresh compiles the policy against the server and compares; with provision: auto it applies what needs no consent.
	// The error says why nothing is known, and leaves what was known before.
	Refresh(ctx context.Context, p *policy.Policy) (View, Report, error)
	// Hand brings what grants decide to the server: rows, memberships and logins, no table of the application. With provision:
	// auto it goes on to Refresh where a profile is missing.
	Hand(ctx context.Context, p *policy.Policy) (View, Report, error)
	// Changed says, cheaply, whether the wall on the server is still what the last Refresh saw.
	Changed(ctx context.Context) (bool, error)
	// Close ends its connections.
	Close()
}

// View answers for a store's profiles from memory. It is immutable and safe for concurrent use.
type View interface {
	// Profile is gateway.Profiles for one store.
	Profile(h gateway.Holder) (*gateway.Profile, error)
	// Shadow is what the subject's shadow rules would make of their statements, also where they may not come in without; nil: they have none.
	Shadow(s policy.Subject) any
	// Columns are those of the store's tables and views, table by table.
	Columns() []Column
}

// Column is a column as the server has it.
type Column struct {
	policy.Column
	Type string
}

// Report is what a Refresh did and found, for the log and the trail.
type Report struct {
	Profiles int
	Applied  []string // titles of the changes that were applied
	Waiting  []string // titles of changes that wait for consent or for postern apply
	Outdated []string // profiles that are refused
	Warnings []string
	Handed   []string          // titles of what was done for grants
	Pending  map[string]string // users whose grants are not on the server yet, and why
	More     bool              // Hand has done a part, and has to be called again for the rest
}

// Options is what Run needs. Every field is required but Insight, Ready and Portal.
type Options struct {
	Path    string                               // of the policy file
	Load    func(string) (*config.Config, error) // reads it
	Engines map[string]Engine
	Log     *slog.Logger
	Clock   gateway.Clock
	Random  io.Reader
	Version string
	Reload  <-chan os.Signal // SIGHUP
	// Instance names this gateway among those that share state, and in its trail. Empty: the machine's name, or with a file the
	// installation's.
	Instance string
	// Insight makes what answers the portal's questions about statements, scans and discovery, of what is in force when they are asked;
	// nil: nobody does.
	Insight func(InForce, Stands) portal.Insight
	// Ready is called once, when connections are accepted.
	Ready func([]net.Addr)
	// Portal is called once before that, when the portal listens, if there is one.
	Portal func(net.Addr)
}

// InForce is what a running gateway goes by: the policy file as it was last taken up, whatever stands on disk by now, and the policy
// with what people hold by grants.
type InForce func() (*config.Config, *policy.Policy)

// Stands says what somebody's login would come to at this moment. It answers from memory and is safe for concurrent use.
type Stands func(user, store string) Standing

// How long things may take.
const (
	drainLimit   = 30 * time.Second // for sessions to come to an end by themselves
	refreshLimit = 2 * time.Minute  // one look at a store, an apply included
	pollEvery    = time.Second      // whether the wall is still what it was
	checkLimit   = 5 * time.Second
	askShare     = 20          // one part in so many of a server's time goes into answering that
	lookEvery    = time.Minute // a whole look, for what the markers do not tell
	lookPatience = time.Minute // how long what the last look found holds while none succeeds
	retryFirst   = time.Second // a store that cannot be reached, doubling
	retryMost    = 30 * time.Second
	settle       = 150 * time.Millisecond // an editor's several writes are one change
)

// daemon is one running serve.
type daemon struct {
	opts   Options
	config *config.Config
	taken  atomic.Pointer[config.Config] // config, for those who do not follow
	world  *world
	trail  recording
	gw     *gateway.Gateway
	grants *grants
	signs  *people.Registry  // nil: there is no portal
	sso    *sso.RelyingParty // nil: there is no single sign-on
	slack  *slack.App        // nil: there is no app in Slack
	met    met

	directory *directory.Client // nil: there is none
	log       *slog.Logger

	instance string
	standing standing
	changes  changes
	before   uint64 // the trail's last record before this start
	cancels  *cancels

	readers []Redactor // of statements, one for each kind of store that has a listener

	certificatesNext time.Time // when to look at them again
}

// SystemClock is the machine's clock.
type SystemClock = gateway.SystemClock

// Run serves until ctx ends, then drains. The error says why it could not start, or what was lost on the way out.
func Run(ctx context.Context, o Options) (err error) {
	c, err := o.Load(o.Path)
	if err != nil {
		return err
	}
	d := &daemon{opts: o, config: c, log: o.Log, world: newWorld(c.Policy)}
	d.taken.Store(c)
	for _, source := range c.Secrets() {
		if advice := source.Advice(); advice != "" {
			d.log.Warn("a secret is not kept to this account", "secret", advice, "remedy", "chmod 600")
		}
	}
	root, key, err := readKeys(ctx, c)
	if err != nil {
		return err
	}
	st, err := OpenState(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if d.instance, err = instanceName(ctx, c, st, o.Instance); err != nil {
		return err
	}
	if err := d.takeSeat(ctx, st); err != nil {
		return err
	}
	if d.cancels, err = newCancels(root, st); err != nil {
		return err
	}
	if err := d.readyTrail(key, st); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.trail.Close()) }()
	d.grants = newGrants(d, st)
	if err := d.openPeople(ctx, root); err != nil {
		return err
	}
	if err := d.grants.start(ctx); err != nil {
		return err
	}
	if d.gw, err = d.newGateway(root, key); err != nil {
		return err
	}
	stores, err := d.openWalls(ctx, root)
	if err != nil {
		return err
	}
	defer stores.close()
	find, err := newFinding(ctx, d)
	if err != nil {
		return err
	}
	defer find.close()
	return d.serve(ctx, stores, find, root)
}

func readKeys(ctx context.Context, c *config.Config) (secret.Text, *audit.Key, error) {
	root, err := c.Keys.Root.Read(ctx)
	if err != nil {
		return secret.Text{}, nil, fmt.Errorf("keys.root: %w", err)
	}
	text, err := c.Keys.Audit.Read(ctx)
	if err != nil {
		return secret.Text{}, nil, fmt.Errorf("keys.audit: %w", err)
	}
	key, err := audit.LoadKey(text)
	if err != nil {
		return secret.Text{}, nil, fmt.Errorf("keys.audit: %w", err)
	}
	return root, key, nil
}

func (d *daemon) readyTrail(key *audit.Key, st *state.DB) error {
	err := d.openTrail(audit.Config{
		Folder: d.config.Audit.Folder, Key: key, Instance: d.instance, Sync: d.config.Audit.Sync, State: st,
		Now: d.opts.Clock.Now, Random: d.opts.Random,
		Notify: func(err error) { d.log.Error("audit trail", "error", err) },
	})
	if err != nil {
		return fmt.Errorf("open the audit trail: %w", err)
	}
	for _, s := range d.trail.Recovered() {
		d.log.Warn("audit trail: " + s)
	}
	return nil
}

// mockInfo derives the secret behind the salts of users that do not exist (PRO-27): the same on every instance and after a
// restart, as the root key is.
const mockInfo = "postern scram mock v1"

// mockKey is the secret behind the salts of users that do not exist.
func mockKey(root secret.Text) ([]byte, error) {
	mock, err := hkdf.Key(sha256.New, []byte(root.Reveal()), nil, mockInfo, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive from keys.root: %w", err)
	}
	return mock, nil
}

func (d *daemon) newGateway(root secret.Text, key *audit.Key) (*gateway.Gateway, error) {
	mock, err := mockKey(root)
	if err != nil {
		return nil, err
	}
	protocols := map[string]gateway.Engine{}
	var listeners []gateway.Listener
	for _, l := range d.config.Gateway.Listeners {
		e := d.opts.Engines[l.Engine]
		if e == nil {
			return nil, fmt.Errorf("%s: there is no engine %q", l.Pos, l.Engine)
		}
		if protocols[l.Engine] == nil {
			if protocols[l.Engine], err = e.Protocol(ProtocolOptions{Opaque: key.Opaque, Config: d.config, Now: d.opts.Clock.Now, Sighted: d.sighted}); err != nil {
				return nil, fmt.Errorf("engine %s: %w", l.Engine, err)
			}
			if r, ok := protocols[l.Engine].(Redactor); ok {
				d.readers = append(d.readers, r)
			}
		}
		listeners = append(listeners, listenerOf(l))
	}
	return gateway.New(gateway.Config{
		Listeners: listeners, Engines: protocols, Policies: d.world, Profiles: d.world, Audit: usesRecorder{d.trail, d.grants}, Secrets: d.grants,
		Clock: d.opts.Clock, Random: d.opts.Random, Log: d.log, Installation: mock,
		Ready: d.standing.ready, Elsewhere: d.cancels.pass, Brake: brake(d.grants.st, "gateway"),
	})
}

// redact writes a statement that goes with a request without its literals, by the first of the engines that can read it.
func (d *daemon) redact(statement string) (text string, whole bool) {
	for _, r := range d.readers {
		if text, whole = r.Redact(statement); text != "" {
			return text, whole
		}
	}
	return "", false
}

func (d *daemon) openWalls(ctx context.Context, root secret.Text) (*stores, error) {
	s := &stores{d: d}
	for _, name := range sortedKeys(d.config.Stores) {
		store := d.config.Stores[name]
		e := d.opts.Engines[store.Engine]
		if e == nil {
			s.close()
			return nil, fmt.Errorf("%s: there is no engine %q", store.Pos, store.Engine)
		}
		w, err := e.Wall(ctx, store, root)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("store %s: %w", name, err)
		}
		s.all = append(s.all, &storeWall{name: name, config: store, wall: w})
	}
	return s, nil
}

// serve looks at every store, opens the doors, and follows the policy file until ctx ends.
func (d *daemon) serve(ctx context.Context, s *stores, find *finding, root secret.Text) error {
	if err := d.gw.Listen(ctx); err != nil {
		return err
	}
	defer d.gw.Close()
	if err := d.openSlack(ctx); err != nil {
		return err
	}
	closePortal, err := d.openPortal(ctx, root)
	if err != nil {
		return err
	}
	defer closePortal()
	defer d.startRecheck(ctx)()
	defer d.startDirectory(ctx)()
	stopNotices, err := d.startNotices(ctx)
	if err != nil {
		return err
	}
	defer stopNotices()
	d.tellCertificates()
	d.keepOutline(ctx)
	if _, err := d.trail.Record(ctx, audit.Event{
		Kind: audit.ServeStart, Policy: d.config.Policy.Digest, Detail: d.fileDetail(d.config, map[string]string{"version": d.opts.Version}),
	}); err != nil {
		return fmt.Errorf("record the start: %w", err)
	}
	s.refreshAll(ctx, d.grants.policy())
	d.grants.turn(ctx, s)
	files, err := watch(d.config, d.log)
	if err != nil {
		return err
	}
	defer files.close()
	go d.grants.st.Listen(ctx, state.Heard{Changed: d.grants.changed, Cancel: func(text string) { d.cancels.heard(ctx, d.gw, text) }})
	defer d.startMeters(ctx)()
	accepted := make(chan error, 1)
	go func() { accepted <- d.gw.Serve(ctx) }()
	if d.opts.Ready != nil {
		d.opts.Ready(d.gw.Addrs())
	}
	d.follow(ctx, s, find, files)
	return d.end(ctx, accepted)
}

// end drains: what is under way may finish, within a limit.
func (d *daemon) end(ctx context.Context, accepted <-chan error) error {
	d.log.Info("stopping: no new connections, sessions come to an end", "sessions", len(d.gw.Sessions()))
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	if err := d.gw.Drain(last); err != nil {
		d.log.Warn("sessions were ended before they came to an end", "error", err)
	}
	err := <-accepted
	if _, rerr := d.trail.Record(context.WithoutCancel(ctx), audit.Event{Kind: audit.ServeStop}); rerr != nil {
		err = errors.Join(err, fmt.Errorf("record the stop: %w", rerr))
	}
	return err
}
