package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// lockKey is the advisory lock that keeps two applies apart; the second half is the database's own by nature of advisory locks.
const lockKey = 0x506f737465726e

// lockRetries is how often apply starts over when another session holds a table, and firstWait how long it waits the first time.
const (
	lockRetries = 4
	firstWait   = 500 * time.Millisecond
)

// ChangedError says that the server, or the policy, is no longer what the plan was made from.
type ChangedError struct{ Want, Have string }

// Error implements error.
func (e *ChangedError) Error() string {
	return "the plan is out of date: the server or the policy has changed since; plan again"
}

// ConsentError lists changes that need consent by name and did not get it.
type ConsentError struct{ Changes []plan.Change }

// Error names each change.
func (e *ConsentError) Error() string {
	var ids []string
	for _, c := range e.Changes {
		ids = append(ids, c.ID)
	}
	return "these changes need consent by name (--accept ID): " + strings.Join(ids, ", ")
}

// OperatorError lists steps that only an operator can do and without which apply cannot.
type OperatorError struct{ Steps []plan.OperatorStep }

// Error names each step with its SQL.
func (e *OperatorError) Error() string {
	var lines []string
	for _, s := range e.Steps {
		lines = append(lines, s.Title+": "+strings.Join(s.SQL, "; "))
	}
	return "a superuser has to run first: " + strings.Join(lines, "; ")
}

// LockedError says that another session held a table for longer than apply waits.
type LockedError struct {
	Tables   []string
	Blockers []string // sessions, for people
}

// Error names the sessions.
func (e *LockedError) Error() string {
	by := "another session"
	if len(e.Blockers) > 0 {
		by = strings.Join(e.Blockers, ", ")
	}
	if len(e.Tables) == 0 {
		return fmt.Sprintf("something is locked by %s: nothing was changed; try again later", by)
	}
	return fmt.Sprintf("%s is locked by %s: nothing was changed; end that session or try again later", strings.Join(e.Tables, ", "), by)
}

// ChangeError says which change failed. Nothing was changed: apply is one transaction.
type ChangeError struct {
	Change plan.Change
	SQL    string
	Err    error
}

// Error names the change and the server's words.
func (e *ChangeError) Error() string {
	return fmt.Sprintf("change %s (%s): %v", e.Change.ID, firstLine(e.SQL), e.Err)
}

// Unwrap is the server's error.
func (e *ChangeError) Unwrap() error { return e.Err }

func firstLine(s string) string {
	line, _, more := strings.Cut(s, "\n")
	if more {
		line += " …"
	}
	return line
}

// Plan inspects the server, compiles the policy and says what is to be done. Masks and filters are tried on the server; what does not
// fit is a policy.Problems with the file's lines. Nothing is changed.
func (s *Server) Plan(ctx context.Context, req Request) (*Result, error) {
	snap, err := s.Inspect(ctx, schemasOf(req))
	if err != nil {
		return nil, err
	}
	r, err := s.work(req, snap)
	if err != nil {
		return nil, err
	}
	required := slices.ContainsFunc(r.Plan.Operator, func(step plan.OperatorStep) bool { return step.Required })
	able := !required && !r.Wanted.Inline && snap.CurrentUser == r.Wanted.Provisioner
	if able { // nothing can be tried without the provisioner's rights
		if err := s.tryOut(ctx, r); err != nil {
			return nil, err
		}
	}
	return r, s.tryShadows(ctx, req, r, able)
}

func schemasOf(req Request) []string {
	if st := req.Policy.Stores[req.Store]; st != nil {
		return st.Schemas
	}
	return nil
}

// work compiles and compares, without touching the server.
func (s *Server) work(req Request, snap *catalog.Snapshot) (*Result, error) {
	req.Snapshot, req.Engine, req.Extensions = snap, Engine{}, pgsql.ExtensionFunctions()
	w, err := plan.Compile(req)
	if err != nil {
		return nil, err
	}
	p, err := Engine{}.Diff(w, snap)
	if err != nil {
		return nil, err
	}
	return &Result{Snapshot: snap, Wanted: w, Plan: p}, nil
}

// Compile inspects the server and compiles the policy for it without comparing: what serve needs.
func (s *Server) Compile(ctx context.Context, req Request) (*plan.Wanted, *catalog.Snapshot, error) {
	snap, err := s.Inspect(ctx, schemasOf(req))
	if err != nil {
		return nil, nil, err
	}
	req.Snapshot, req.Engine, req.Extensions = snap, Engine{}, pgsql.ExtensionFunctions()
	w, err := plan.Compile(req)
	return w, snap, err
}

// Apply carries out a plan: it inspects again, and goes on only if the plan is still the one that was agreed to. Everything
// happens in one transaction, at whose end a fresh look at the server must find nothing left to do. The result is what was done.
func (s *Server) Apply(ctx context.Context, req Request, consent Consent) (*Result, error) {
	return s.retry(ctx, func() (*Result, error) { return s.applyOnce(ctx, req, consent, "") })
}

// retry starts a transaction over when another session held a table, with longer and longer pauses (ENF-10).
func (s *Server) retry(ctx context.Context, once func() (*Result, error)) (*Result, error) {
	wait := firstWait
	for try := 0; ; try++ {
		r, err := once()
		var locked *LockedError
		if err == nil || !errors.As(err, &locked) || try == lockRetries-1 {
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(err, ctx.Err())
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// applyOnce is one attempt. first is a statement to run before the server is looked at, or "".
func (s *Server) applyOnce(ctx context.Context, req Request, consent Consent, first string) (*Result, error) {
	tx, err := s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return nil, fmt.Errorf("apply: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after Commit this does nothing
	if err := s.prepare(ctx, tx); err != nil {
		return nil, err
	}
	if first != "" {
		if _, err := tx.Exec(ctx, first); err != nil {
			return nil, fmt.Errorf("apply: %s: %w", first, err)
		}
	}
	snap, err := s.inspect(ctx, tx, schemasOf(req))
	if err != nil {
		return nil, err
	}
	if snap.Wall != nil && snap.Wall.Suspended {
		return nil, &SuspendedError{Store: req.Store}
	}
	r, err := s.work(req, snap)
	if err != nil {
		return nil, err
	}
	if err := agreed(r.Plan, consent); err != nil {
		return nil, err
	}
	if err := s.run(ctx, tx, r.Plan.Changes); err != nil {
		return nil, err
	}
	if err := s.settled(ctx, tx, req, r.Plan); err != nil {
		return nil, err
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, fmt.Errorf("apply: commit: %w", err)
	}
	after, err := s.Inspect(ctx, schemasOf(req))
	if err != nil {
		return nil, fmt.Errorf("applied, but the server cannot be looked at: %w", err)
	}
	left, err := s.work(req, after)
	if err != nil {
		return nil, fmt.Errorf("applied, but the server is not as wanted: %w", err)
	}
	if !left.Plan.Empty() {
		return nil, fmt.Errorf("applied, but somebody changed the server meanwhile: %s", leftOver(left.Plan))
	}
	r.Snapshot, r.Wanted = left.Snapshot, left.Wanted
	return r, nil
}

// ErrBusy says that an apply or a verify keeps others away for now. Nothing was changed.
var ErrBusy = errors.New("apply: another apply or a verify is under way on this database")

// prepare takes the advisory lock and sets what only this transaction needs.
func (s *Server) prepare(ctx context.Context, tx pgx.Tx) error {
	var got bool
	if err := tx.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_xact_lock($1)", int64(lockKey)).Scan(&got); err != nil {
		return fmt.Errorf("apply: take the advisory lock: %w", err)
	}
	if !got {
		return ErrBusy
	}
	if serverMajor(s.conn) >= 16 {
		// The creator's own row has ADMIN and nothing else: no membership by default.
		if _, err := tx.Exec(ctx, "SET LOCAL createrole_self_grant = ''"); err != nil {
			return fmt.Errorf("apply: %w", err)
		}
	}
	return nil
}

// agreed checks a plan against what the person saw and said yes to.
func agreed(p *plan.Plan, consent Consent) error {
	if p.Digest != consent.Digest {
		return &ChangedError{Want: consent.Digest, Have: p.Digest}
	}
	if open := p.Unaccepted(consent.Accepted); len(open) > 0 {
		return &ConsentError{Changes: open}
	}
	var required []plan.OperatorStep
	for _, step := range p.Operator {
		if step.Required {
			required = append(required, step)
		}
	}
	if len(required) > 0 {
		return &OperatorError{Steps: required}
	}
	return nil
}

// run executes changes within a transaction.
func (s *Server) run(ctx context.Context, tx pgx.Tx, changes []plan.Change) error {
	if len(changes) == 0 {
		return nil
	}
	if err := s.execute(ctx, tx, changes); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, question("apply", "record", serverMajor(s.conn))); err != nil {
		return fmt.Errorf("apply: record what the server made of it: %w", err)
	}
	return nil
}

// executeBatch is how many statements are on their way to the server at once: thousands one by one would be mostly waiting.
const executeBatch = 500

// execute sends the statements of changes, many at once, and looks at what the server says to each. A warning is a failure: GRANT
// and REVOKE only warn when they did nothing.
func (s *Server) execute(ctx context.Context, tx pgx.Tx, changes []plan.Change) error {
	type statement struct {
		of  *plan.Change
		sql string
	}
	var all []statement
	for i := range changes {
		for _, sql := range changes[i].SQL {
			all = append(all, statement{&changes[i], sql})
		}
	}
	for some := range slices.Chunk(all, executeBatch) {
		batch := &pgx.Batch{}
		for _, x := range some {
			batch.Queue(withSecrets(x.sql, x.of.Secrets))
		}
		s.notice.take()
		results := tx.SendBatch(ctx, batch)
		for _, x := range some {
			_, err := results.Exec()
			warned := s.notice.take()
			switch {
			case err != nil:
				_ = results.Close() // it says the same
				return s.changeFailed(ctx, *x.of, x.sql, err)
			case len(warned) > 0:
				_ = results.Close() // whatever it says, nothing is committed
				return &ChangeError{Change: *x.of, SQL: x.sql, Err: errors.New("the server warned: " + strings.Join(warned, "; "))}
			}
		}
		if err := results.Close(); err != nil {
			return fmt.Errorf("apply: %w", err)
		}
	}
	return nil
}

// withSecrets fills in what plans do not show.
func withSecrets(sql string, secrets map[string]string) string {
	for key, value := range secrets {
		sql = strings.ReplaceAll(sql, "{{secret:"+key+"}}", value)
	}
	return sql
}

// settled looks at the server within the transaction: a REVOKE that did nothing, a view that came out otherwise, a role that was
// changed meanwhile, all show here, and nothing is committed (ENF-16).
func (s *Server) settled(ctx context.Context, tx pgx.Tx, req Request, done *plan.Plan) error {
	snap, err := s.inspect(ctx, tx, schemasOf(req))
	if err != nil {
		return err
	}
	left, err := s.work(req, snap)
	if err != nil {
		return fmt.Errorf("apply: after the changes the server is not as wanted, nothing was changed: %w", err)
	}
	if left.Plan.Empty() {
		return nil
	}
	for _, c := range left.Plan.Changes {
		if i := slices.IndexFunc(done.Changes, func(d plan.Change) bool { return d.ID == c.ID }); i >= 0 {
			return &ChangeError{Change: c, SQL: c.SQL[0], Err: fmt.Errorf("the server took the change and is still not as wanted: %s", c.Reason)}
		}
	}
	return fmt.Errorf("apply: something is left to do after the changes, nothing was changed: %s", leftOver(left.Plan))
}

func leftOver(p *plan.Plan) string {
	var out []string
	for _, c := range p.Changes {
		out = append(out, c.ID+" ("+c.Reason+")")
	}
	return strings.Join(out, ", ")
}

// changeFailed explains a failure. When a lock was not to be had it asks, on a connection of its own, who holds it.
func (s *Server) changeFailed(ctx context.Context, c plan.Change, sql string, err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "55P03" {
		return &ChangeError{Change: c, SQL: sql, Err: err}
	}
	tables := append(slices.Clone(c.Locks), c.Waits...)
	locked := &LockedError{Tables: tables}
	other, err := Open(ctx, s.cfg)
	if err != nil {
		return locked
	}
	defer func() { _ = other.Close(ctx) }()
	rows, err := other.conn.Query(ctx, question("apply", "blockers", serverMajor(s.conn)), tables, s.conn.PgConn().PID())
	if err != nil {
		return locked
	}
	blockers, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err == nil {
		locked.Blockers = blockers
	}
	return locked
}

// tryOut runs masks and filters on the server (ENF-29).
func (s *Server) tryOut(ctx context.Context, r *Result) error {
	var problems policy.Problems
	uses := maskUses(r)
	found, err := CheckMasks(ctx, s.conn, uses)
	if err != nil {
		return fmt.Errorf("try the masks: %w", err)
	}
	for _, f := range found {
		problems = append(problems, policy.Problem{
			Pos: f.Use.Mask.Pos, Kind: policy.KindValue, Message: fmt.Sprintf("column %s.%s: %s", f.Use.Table, f.Use.Column.Name, f.Message),
		})
	}
	more, err := s.tryFilters(ctx, r)
	if err != nil {
		return err
	}
	if problems = append(problems, more...); len(problems) > 0 {
		return problems.Sort()
	}
	return nil
}

// maskUses lists every mask that a rule puts on a column, once.
func maskUses(r *Result) []MaskUse {
	var uses []MaskUse
	seen := map[string]bool{}
	for _, rule := range r.Wanted.Rules {
		for _, t := range rule.Tables {
			rel := r.Snapshot.Relation(t.Base)
			for i, f := range t.Forms {
				key := t.Base.String() + "\x00" + rel.Columns[i].Name + "\x00" + f.SQL
				if f.Raw() || f.Derived || seen[key] {
					continue
				}
				seen[key] = true
				uses = append(uses, MaskUse{Table: t.Base, Column: rel.Columns[i], Mask: f.Mask, SQL: f.SQL})
			}
		}
	}
	return uses
}

// tryFilters has the server parse and type every filter. Before the first apply Postern's own tables, which filters read, are made
// for the trial and rolled back.
func (s *Server) tryFilters(ctx context.Context, r *Result) (policy.Problems, error) {
	tx, err := s.conn.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("try the filters: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	if r.Snapshot.Schema("postern") == nil {
		for _, sql := range append([]string{"CREATE SCHEMA postern"}, ownTables()...) {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return nil, nil // the plan names what the provisioner lacks
			}
		}
	}
	var problems policy.Problems
	for _, rule := range r.Wanted.Rules {
		for _, t := range rule.Tables {
			if t.Filter == nil {
				continue
			}
			why, err := CheckFilter(ctx, tx, FilterUse{Table: t.Base, SQL: t.Filter.SQL})
			if err != nil {
				return nil, fmt.Errorf("try the row filter of %s: %w", t.Base, err)
			}
			if why != "" {
				problems = append(problems, policy.Problem{
					Pos: t.Pos, Kind: policy.KindValue, Message: fmt.Sprintf("row filter of %s in rule %s: %s", t.Base, rule.Name, why),
				})
			}
		}
	}
	return problems, nil
}
