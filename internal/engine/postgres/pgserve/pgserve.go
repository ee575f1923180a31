// Package pgserve is PostgreSQL as `postern serve` sees it: it opens a store, compiles the policy against it, applies what
// may be applied, and answers which profile a subject has, from memory. It joins the engine's parts (the wall, the guard,
// the wire) for the daemon and holds no rule of its own.
package pgserve

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/engine/postgres/pgwire"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// guardCache bounds the memory that the guard keeps decided statements in.
const guardCache = 64 << 20

// Engine opens PostgreSQL stores.
type Engine struct {
	Log *slog.Logger
	// Worker starts a process that runs pgsql.ParserWorker: path, what it is called, arguments.
	Worker []string
}

var _ daemon.Engine = Engine{}

// Protocol implements daemon.Engine.
func (e Engine) Protocol(o daemon.ProtocolOptions) (gateway.Engine, error) {
	guard := pgsql.NewGuard(guardCache)
	if o.Config.Gateway.Parser == config.ParserIsolated {
		// The workers live as long as this process: they end with their standard input.
		p, err := pgsql.NewIsolated(pgsql.IsolatedConfig{
			Command: e.Worker, Workers: max(2, runtime.GOMAXPROCS(0)),
			Notify: func(cause error) { e.Log.Error("a parser process ended and is started again", "error", cause) },
		})
		if err != nil {
			return nil, err
		}
		guard.Isolate(p)
	}
	c := pgwire.Config{Guard: guard, Random: rand.Reader, Log: e.Log, Opaque: o.Opaque, Portal: strings.TrimSuffix(o.Config.Portal.URL, "/")}
	if o.Config.Audit.ClassifyResults > 0 {
		w, err := newWatcher(o)
		if err != nil {
			return nil, err
		}
		c.Watcher = w
	}
	s, err := pgwire.NewServer(c)
	return protocol{s, guard}, err
}

// protocol is the server of all PostgreSQL stores, with the guard behind it.
type protocol struct {
	*pgwire.Server
	guard *pgsql.Guard
}

var _ daemon.Redactor = protocol{}

// Redact implements daemon.Redactor.
func (p protocol) Redact(statement string) (text string, whole bool) {
	return p.guard.Redact(statement)
}

// Wall implements daemon.Engine.
func (e Engine) Wall(ctx context.Context, s *config.Store, root secret.Text) (daemon.Wall, error) {
	account := s.Grantor
	if s.Provision == config.ProvisionAuto {
		account = s.Provisioner
	}
	login, err := Login(ctx, s, account)
	if err != nil {
		return nil, err
	}
	up, err := upstream(s)
	if err != nil {
		return nil, err
	}
	numbers := &atomic.Uint64{}
	w := &wall{
		store: s, root: root, login: login, upstream: up, observed: map[string]secret.Text{}, numbers: numbers, lapses: &lapses{numbers: numbers},
	}
	for user, account := range s.Upstream {
		if account.Password.IsZero() {
			w.observed[user] = secret.Text{}
		} else if w.observed[user], err = account.Password.Read(ctx); err != nil {
			return nil, fmt.Errorf("password of %s, the login of %s on store %s: %w", account.User, user, s.Name, err)
		}
	}
	if s.Provision != config.ProvisionAuto {
		return w, nil
	}
	w.poll = login
	if s.Grantor.User != "" {
		// What is asked every second is asked by the weaker login.
		if w.poll, err = Login(ctx, s, s.Grantor); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Login says how to reach a store as one of Postern's accounts.
func Login(ctx context.Context, s *config.Store, a config.Account) (postgres.Config, error) {
	if a.User == "" {
		return postgres.Config{}, fmt.Errorf("%s: store %s names no account for this: add provisioner or grantor", s.Pos, s.Name)
	}
	c := postgres.Config{
		Host: s.Address.Host, Port: s.Address.Port, Database: s.Database, User: a.User,
		TLS: postgres.TLSMode(s.TLS.Mode), CAFile: s.TLS.CA, CertFile: s.TLS.Cert, KeyFile: s.TLS.Key,
	}
	if s.Address.Socket != "" {
		c.Host = s.Address.Socket
	}
	if a.Password.IsZero() {
		return c, nil
	}
	var err error
	if c.Password, err = a.Password.Read(ctx); err != nil {
		return postgres.Config{}, fmt.Errorf("password of %s: %w", a.User, err)
	}
	return c, nil
}

func upstream(s *config.Store) (*pgwire.Upstream, error) {
	port := strconv.Itoa(int(s.Address.Port))
	if s.Address.Socket != "" {
		return &pgwire.Upstream{
			Network: "unix", Address: filepath.Join(s.Address.Socket, ".s.PGSQL."+port), Database: s.Database, TLS: pgwire.TLSDisable,
		}, nil
	}
	u := &pgwire.Upstream{
		Network: "tcp", Address: net.JoinHostPort(s.Address.Host, port), Database: s.Database, TLS: pgwire.TLSMode(s.TLS.Mode),
	}
	if u.TLS == pgwire.TLSDisable {
		return u, nil
	}
	var err error
	u.TLSConfig, err = pgwire.NewTLSConfig(u.TLS, s.Address.Host, s.TLS.CA, s.TLS.Cert, s.TLS.Key)
	return u, err
}

// wall is one store.
type wall struct {
	store    *config.Store
	root     secret.Text
	login    postgres.Config // compiles, and applies with provision: auto
	poll     postgres.Config // asks whether something changed
	upstream *pgwire.Upstream
	observed map[string]secret.Text    // passwords of the observed, by user
	shadows  map[string]*pgwire.Shadow // by user

	conn    *postgres.Server // for polling
	marks   string           // of the wall, as the last look found it
	numbers *atomic.Uint64   // the last generation
	lapses  *lapses
	seen    *view
}

// Request is what the plan of a store is made from.
func Request(s *config.Store, p *policy.Policy, root secret.Text) postgres.Request {
	return postgres.Request{
		Policy: p, Store: s.Name, Engine: postgres.Engine{}, RootKey: root, Provisioner: s.Provisioner.User, Grantor: s.Grantor.User,
	}
}

// Refresh implements daemon.Wall.
func (w *wall) Refresh(ctx context.Context, p *policy.Policy) (daemon.View, daemon.Report, error) {
	return w.refresh(ctx, p, true)
}

func (w *wall) refresh(ctx context.Context, p *policy.Policy, patient bool) (daemon.View, daemon.Report, error) {
	srv, err := postgres.Open(ctx, w.login)
	if err != nil {
		return nil, daemon.Report{}, err
	}
	defer func() { _ = srv.Close(context.WithoutCancel(ctx)) }()
	request := Request(w.store, p, w.root)
	marks, err := srv.Marks(ctx)
	if err != nil {
		return nil, daemon.Report{}, err
	}
	found, report, err := w.compile(ctx, srv, request, patient)
	if err != nil {
		return nil, daemon.Report{}, err
	}
	if len(report.Applied)+len(report.Handed) > 0 {
		if marks, err = srv.Marks(ctx); err != nil {
			return nil, daemon.Report{}, err
		}
	}
	w.marks = marks
	held := postgres.HoldLimits(found.Wanted, found.Snapshot)
	warnings, err := w.shadowed(ctx, srv, request)
	if err != nil {
		return nil, daemon.Report{}, err
	}
	warnings = append(held, warnings...)
	v, err := w.view(found)
	if err != nil {
		return nil, daemon.Report{}, err
	}
	report.Profiles = len(found.Wanted.Profiles)
	report.Outdated = v.outdated
	for _, x := range found.Wanted.Warnings {
		report.Warnings = append(report.Warnings, x.Text)
	}
	report.Warnings = append(report.Warnings, warnings...)
	return v, report, nil
}

// compile says what the policy wants of the server. With provision: auto what needs no consent by name is applied; the login
// of provision: manual has no right to try or to compare more than the markers. patient says that what an apply or a verify keeps
// from being brought may wait for the next look.
func (w *wall) compile(ctx context.Context, srv *postgres.Server, request postgres.Request, patient bool) (*postgres.Result, daemon.Report, error) {
	if w.store.Inline || w.store.Provision != config.ProvisionAuto && !asks(request.Policy) {
		return w.compileOnly(ctx, srv, request)
	}
	var report daemon.Report
	if asks(request.Policy) {
		// Grants are the business of serve in either mode, and wait for nobody's consent to anything else.
		handed, err := srv.Hand(ctx, request)
		if patient && errors.Is(err, postgres.ErrBusy) {
			// An apply or a verify is no reason to refuse a store: who waits for a grant waits, and everybody else goes on.
			return w.compileOnly(ctx, srv, request, "grants: not brought: "+err.Error())
		}
		if err != nil {
			return nil, daemon.Report{}, planError(err)
		}
		report.Handed, report.Pending = handed.Done, handed.Waiting
		if w.store.Provision != config.ProvisionAuto {
			return &postgres.Result{Wanted: handed.Wanted, Snapshot: handed.Snapshot}, report, nil
		}
	}
	found, err := srv.Plan(ctx, request)
	if err != nil {
		return nil, daemon.Report{}, planError(err)
	}
	switch {
	case found.Plan.Empty():
	case len(found.Plan.Unaccepted(nil)) > 0:
		for _, c := range found.Plan.Changes {
			report.Waiting = append(report.Waiting, c.Title)
		}
	default:
		titles := make([]string, 0, len(found.Plan.Changes))
		for _, c := range found.Plan.Changes {
			titles = append(titles, c.Title)
		}
		done, err := srv.Apply(ctx, request, postgres.Consent{Digest: found.Plan.Digest})
		if errors.Is(err, postgres.ErrBusy) {
			report.Waiting = []string{err.Error()} // what it does may be all there is to change, a probe above all
			return found, report, nil
		}
		if err != nil {
			// Nothing was changed. Profiles that the changes are about have another digest than the policy wants and are refused;
			// the others go on. The next look tries again.
			report.Waiting = append(titles, "not applied: "+err.Error())
			return found, report, nil
		}
		found, report.Applied, report.Pending = done, titles, nil
	}
	return found, report, nil
}

// compileOnly says what the policy wants and changes nothing. waiting is what should have been changed and was not.
func (w *wall) compileOnly(ctx context.Context, srv *postgres.Server, request postgres.Request, waiting ...string) (*postgres.Result, daemon.Report, error) {
	wanted, snap, err := srv.Compile(ctx, request)
	if err != nil {
		return nil, daemon.Report{}, planError(err)
	}
	return &postgres.Result{Wanted: wanted, Snapshot: snap}, daemon.Report{Waiting: waiting}, nil
}

// asks says whether a policy has rules that are held by grants.
func asks(p *policy.Policy) bool {
	return slices.ContainsFunc(p.Rules, func(r *policy.Rule) bool { return r.Request != nil })
}

// Hand implements daemon.Wall.
func (w *wall) Hand(ctx context.Context, p *policy.Policy) (daemon.View, daemon.Report, error) {
	if w.store.Inline {
		return w.Refresh(ctx, p) // nobody is told on the server
	}
	srv, err := postgres.Open(ctx, w.login)
	if err != nil {
		return nil, daemon.Report{}, err
	}
	defer func() { _ = srv.Close(context.WithoutCancel(ctx)) }()
	before, err := srv.Marks(ctx)
	if err != nil {
		return nil, daemon.Report{}, err
	}
	handed, err := srv.Hand(ctx, Request(w.store, p, w.root))
	if err != nil {
		return nil, daemon.Report{}, planError(err)
	}
	if w.store.Provision == config.ProvisionAuto && (len(handed.Waiting) > 0 || handed.Snapshot.Wall == nil) {
		return w.refresh(ctx, p, false)
	}
	if before == w.marks {
		// Nothing else changed: what was done here is no reason to look again.
		if w.marks, err = srv.Marks(ctx); err != nil {
			return nil, daemon.Report{}, err
		}
	}
	// Who was granted something holds it in the shadow too. What is wrong with a shadow rule was said at the last look.
	if _, err := w.shadowed(ctx, srv, Request(w.store, p, w.root)); err != nil {
		return nil, daemon.Report{}, err
	}
	postgres.HoldLimits(handed.Wanted, handed.Snapshot)
	v, err := w.view(&postgres.Result{Wanted: handed.Wanted, Snapshot: handed.Snapshot})
	if err != nil {
		return nil, daemon.Report{}, err
	}
	maps.Copy(handed.Waiting, handed.Later)
	return v, daemon.Report{
		Profiles: len(handed.Wanted.Profiles), Outdated: v.outdated, Handed: handed.Done, Pending: handed.Waiting, More: handed.More,
	}, nil
}

// planError keeps every mistake of the policy, one line each, out of a log line's way: the first is enough there.
func planError(err error) error {
	var ps policy.Problems
	if errors.As(err, &ps) && len(ps) > 1 {
		return fmt.Errorf("%s (and %d more: postern plan lists them)", ps[0], len(ps)-1)
	}
	return err
}

// Changed implements daemon.Wall.
func (w *wall) Changed(ctx context.Context) (bool, error) {
	if w.conn == nil {
		login := w.login
		if w.poll.User != "" {
			login = w.poll
		}
		var err error
		if w.conn, err = postgres.Open(ctx, login); err != nil {
			return false, err
		}
	}
	marks, err := w.conn.Marks(ctx)
	if err != nil {
		w.Close()
		return false, err
	}
	return marks != w.marks, nil
}

// Close implements daemon.Wall.
func (w *wall) Close() {
	if w.conn != nil {
		_ = w.conn.Close(context.Background())
		w.conn = nil
	}
}

// view answers for the profiles of one store. It is immutable.
type view struct {
	store     string
	profiles  map[string]*pgwire.Profile // by schema; nil: the wall is another policy's
	passwords map[string]gateway.Profile // by user
	broken    map[string]bool            // by user: the login is not what was applied
	outdated  []string
	columns   []daemon.Column // of the application's tables
	suspended bool
	lapses    *lapses
	inline    map[string]inlined // by user; nil: the store has a wall
	login     gateway.Profile    // as whom everybody of an inline store logs in
	others                       // who is observed, and what is decided beside the profiles
}

// view builds the answers. A profile that decides as it did before keeps its generation, so that prepared statements live on. One
// whose wall is another policy's, or was changed by hand, is refused (ENF-95).
func (w *wall) view(found *postgres.Result) (*view, error) {
	if w.store.Inline {
		return w.inlineView(found)
	}
	v := &view{store: w.store.Name, lapses: w.lapses, profiles: map[string]*pgwire.Profile{}, passwords: map[string]gateway.Profile{}, broken: map[string]bool{}}
	stands, err := lookAt(found.Wanted, found.Snapshot)
	if err != nil {
		return nil, err
	}
	v.suspended = stands.suspended
	v.columns = columnsOf(w.store.Name, found.Snapshot)
	protected := protectedTables(found.Wanted)
	for _, p := range found.Wanted.Profiles {
		if w.store.Observe.All {
			continue // nothing of the wall is used
		}
		if differs, why := stands.differs(p); differs {
			v.profiles[p.Schema] = nil
			v.outdated = append(v.outdated, p.Schema+why)
			continue
		}
		next := &pgwire.Profile{
			World: postgres.World(found.Wanted, p, found.Snapshot), SearchPath: searchPath(p.SearchPath),
			Protected: protected[p.Schema], Watched: watchedColumns(w.store.Name, p, found.Snapshot), Upstream: w.upstream,
		}
		v.profiles[p.Schema] = w.keep(p.Schema, next)
	}
	for _, i := range found.Wanted.Identities {
		if !stands.hasLogin(i) {
			continue
		}
		v.passwords[i.User] = gateway.Profile{
			Limits: found.Wanted.Limits, Role: i.Role, Password: postgres.IdentityPassword(w.root, found.Wanted.ServerID, i.Role, found.Wanted.Generation),
		}
	}
	for _, user := range slices.Sorted(maps.Keys(stands.broken.Subjects)) {
		v.broken[user] = true
		v.outdated = append(v.outdated, "login of "+user+": "+strings.Join(stands.broken.Subjects[user], "; "))
	}
	w.addOthers(v, found)
	w.seen = v
	return v, nil
}

// keep returns the profile in force when the next one is equal to it, else the next one with a new generation.
func (w *wall) keep(schema string, next *pgwire.Profile) *pgwire.Profile {
	var old *pgwire.Profile
	if w.seen != nil {
		old = w.seen.profiles[schema]
	}
	return w.keepOr(old, next)
}

func (w *wall) keepOr(old, next *pgwire.Profile) *pgwire.Profile {
	if old != nil {
		next.World.Generation = old.World.Generation
		if reflect.DeepEqual(old, next) {
			return old
		}
	}
	next.World.Generation = w.numbers.Add(1)
	return next
}

// protectedTables lists, for each profile, the base tables that none of its results may name (ENF-69): all of the store's
// but those that it shows whole.
func protectedTables(w *plan.Wanted) map[string]map[uint32]struct{} {
	all := map[uint32]struct{}{}
	for _, p := range w.Profiles {
		for _, t := range p.Tables {
			all[uint32(t.BaseOID)] = struct{}{}
		}
	}
	out := map[string]map[uint32]struct{}{}
	for _, p := range w.Profiles {
		mine := map[uint32]struct{}{}
		for oid := range all {
			mine[oid] = struct{}{}
		}
		for _, t := range p.Tables {
			if t.Open {
				delete(mine, uint32(t.BaseOID))
			}
		}
		out[p.Schema] = mine
	}
	return out
}

// searchPath writes schemas as SET search_path would take them.
func searchPath(schemas []string) string {
	quoted := make([]string, len(schemas))
	for i, s := range schemas {
		quoted[i] = `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return strings.Join(quoted, ", ")
}

// columnsOf lists what people may read of a store's shape: tables and views, not what is PostgreSQL's or Postern's own.
func columnsOf(store string, s *catalog.Snapshot) []daemon.Column {
	var out []daemon.Column
	for i := range s.Relations {
		r := &s.Relations[i]
		if !strings.ContainsRune("rpvmf", rune(r.Kind)) || r.IsPartition || r.Extension != "" || strings.HasPrefix(r.Name.Schema, "postern") {
			continue
		}
		for _, c := range r.Columns {
			out = append(out, daemon.Column{Column: policy.Column{Table: policy.Table{Store: store, Schema: r.Name.Schema, Name: r.Name.Name}, Column: c.Name}, Type: c.Type})
		}
	}
	return out
}

// WorldOf is what the guard decides with under a profile that a View answered.
func WorldOf(p *gateway.Profile) (*pgsql.World, error) {
	if engine, ok := p.Engine.(*pgwire.Profile); ok {
		return engine.World, nil
	}
	return nil, fmt.Errorf("profile %s is another engine's", p.Name)
}

// Columns implements daemon.View.
func (v *view) Columns() []daemon.Column { return v.columns }

// Profile implements daemon.View.
func (v *view) Profile(h gateway.Holder) (*gateway.Profile, error) {
	if h.Observed {
		return v.observe(h)
	}
	if v.inline != nil {
		return v.inlineProfile(h)
	}
	if v.suspended {
		return nil, suspended(v.store)
	}
	schema := plan.ProfileName(v.store, slices.Clone(h.Rules))
	id, known := v.passwords[h.Subject.Name]
	p, compiled := v.profiles[schema]
	switch {
	case !compiled || !known:
		return nil, notBuilt(v.store)
	case p == nil, v.broken[h.Subject.Name]:
		return nil, outdated(v.store)
	}
	p = v.lapses.profile(p, h.Ended)
	id.Name, id.Generation, id.Engine = schema, p.World.Generation, p
	v.addShadow(&id, h.Subject)
	return &id, nil
}
