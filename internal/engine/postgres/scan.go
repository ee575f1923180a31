package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/postern-sec/postern/internal/catalog"
)

// Gather is how evidence for a scan is collected.
type Gather struct {
	Databases []string // "" for every database that the login may enter
	Jobs      int      // databases looked at once, each over one connection; 0 is DatabasesAtOnce
	// QuestionTimeout bounds each question, on the server, and twice as long here, for a server that has gone silent; 0 is 5 s. LockTimeout
	// bounds waiting for a lock; 0 is 200 ms.
	QuestionTimeout, LockTimeout time.Duration
	Now                          time.Time
	// Own are the questions of the site's own checks. A superuser asks them only with TrustOwn.
	Own      []catalog.OwnQuestion
	TrustOwn bool
	// HostRoot is "/" to look at this machine too, when the server runs on it; "" does not look. Tests give the folder of a made-up machine.
	HostRoot string
	// SampleData and TryPasswords are the consents to look at stored values, and to try passwords against verifiers, here and not by logging in.
	SampleData, TryPasswords bool
	ReadLogs                 bool // consent to read logs and histories on the machine
	// Progress is called with the name of each database that is entered, never twice at once; nil for nobody.
	Progress func(database string)
}

// ScanTarget is a server to scan and how to log in.
type ScanTarget struct{ config *pgx.ConnConfig }

// ScanDSN reads a connection string the way libpq does, with its environment and password file.
func ScanDSN(dsn string) (*ScanTarget, error) {
	pc, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("read the connection string: %w", err)
	}
	pc.Database = cmp.Or(pc.Database, pc.User) // as the server does; a database without a name would be taken for another one
	return &ScanTarget{config: pc}, nil
}

// ScanConfig is the target that a store's configuration names.
func ScanConfig(cfg Config) (*ScanTarget, error) {
	if cfg.Port == 0 {
		cfg.Port = 5432
	}
	pc, err := cfg.connConfig()
	if err != nil {
		return nil, err
	}
	return &ScanTarget{config: pc}, nil
}

// Address is where the server is, for messages.
func (t *ScanTarget) Address() string {
	c := Config{Host: t.config.Host, Port: t.config.Port, Database: t.config.Database}
	return c.Address()
}

// patience is how long a server may take over one question before it counts as silent: its own limit ends the question earlier.
func (g *Gather) patience() time.Duration { return 2 * orDefault(g.QuestionTimeout, 5*time.Second) }

// connect opens a session. An answer that does not come in time is asked to stop first, which costs that answer; a server that does not do
// that either costs the session.
func (t *ScanTarget) connect(ctx context.Context, database string, g *Gather) (*pgx.Conn, error) {
	pc := t.config.Copy()
	if database != "" {
		pc.Database = database
	}
	pc.DefaultQueryExecMode = pgx.QueryExecModeExec
	if pc.ConnectTimeout == 0 {
		pc.ConnectTimeout = 10 * time.Second
	}
	// Nothing else is set at login: it would hide what the server's own settings are. The rest is pinned inside the transaction.
	pc.RuntimeParams = map[string]string{"application_name": "postern-scan", "client_encoding": "UTF8"}
	pc.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: g.patience() / 2}
	}
	conn, err := pgx.ConnectConfig(ctx, pc)
	if err != nil {
		return nil, connectError(err)
	}
	return conn, nil
}

// question of a scan: what it is about, which file asks it, and where the answer goes.
type scanQuestion struct {
	fact         catalog.Fact
	folder, file string
	args         []any
	into         any
}

// Gather reads what a scan needs: one connection for each database, in it one read-only transaction. What cannot be read is noted; an error
// is returned only when there was no login at all.
func (t *ScanTarget) Gather(ctx context.Context, g Gather) (*catalog.Evidence, error) {
	e := &catalog.Evidence{Format: catalog.EvidenceFormat, Taken: g.Now.UTC()}
	conn, err := t.connect(ctx, "", &g)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", t.Address(), err)
	}
	s := &scanSession{conn: conn, evidence: e, gather: &g}
	first := conn.Config().Database
	if g.Progress != nil {
		g.Progress(first)
	}
	err = s.inTransaction(ctx, func() error {
		if err := s.server(ctx, t.Address()); err != nil {
			return err
		}
		s.tryPasswords(ctx, e.Server, time.Now)
		s.database(ctx)
		s.own(ctx, true)
		return nil
	})
	closeScan(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("scan %s: %w", t.Address(), err)
	}
	t.enterAll(ctx, e, t.others(e, g.Databases, first), s.silent, &g)
	t.host(ctx, e, &g)
	slices.SortFunc(e.Databases, func(a, b *catalog.DatabaseEvidence) int { return cmp.Compare(a.Database.Name, b.Database.Name) })
	return e, nil
}

// closeScan ends a connection, also when the scan was interrupted, and waits until the server has ended it too: a login that may have few
// connections could not enter the next database sooner.
func closeScan(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if pc := conn.PgConn(); !pc.IsClosed() {
		end, _ := ctx.Deadline() // it has one
		if pc.Conn().SetDeadline(end) == nil {
			_, _ = pc.Conn().Write([]byte{'X', 0, 0, 0, 4}) // Terminate; one that fails ends the wait at once
			_, _ = io.Copy(io.Discard, pc.Conn())           // until the server's end, or for as long as it may take
		}
	}
	_ = conn.Close(ctx) // read only: nothing to lose
}

// answered reports whether the server itself spoke, if only to turn the login away.
func answered(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code != cannotConnectNow
}

// cannotConnectNow is what a server says that starts, stops or recovers from a crash.
const cannotConnectNow = "57P03"

// turnedAway reports whether the server turned the login away, which is a right that is missing and no failure.
func turnedAway(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code[:2] == "28" || pg.Code == "42501")
}

// scanSession is one connection of a scan.
type scanSession struct {
	conn     *pgx.Conn
	evidence *catalog.Evidence
	gather   *Gather
	tx       pgx.Tx
	lost     string // why the session is over, "" while it is not
	silent   string // the same, when the server did not even say that it is over
}

// within bounds what is asked of the server. An open session always ends in time, whatever the other side does.
func (s *scanSession) within(ctx context.Context, f func(context.Context) error) error {
	if s.lost != "" {
		return errors.New(s.lost)
	}
	bounded, cancel := context.WithTimeout(ctx, s.gather.patience())
	defer cancel()
	err := f(bounded)
	if err == nil || !s.conn.IsClosed() {
		return err
	}
	why := whyUnseen(connectError(err))
	if why == "conn closed" { // pgx noticed before it was asked
		why = "the connection broke"
	}
	s.lost = "the session ended during the scan: " + why
	if errors.Is(bounded.Err(), context.DeadlineExceeded) {
		s.silent = "the server went silent during the scan"
		s.lost = fmt.Sprintf("%s, for %v", s.silent, s.gather.patience())
	}
	s.evidence.Lost = s.lost
	return errors.New(s.lost)
}

// inTransaction runs f in a repeatable-read, read-only transaction.
func (s *scanSession) inTransaction(ctx context.Context, f func() error) error {
	err := s.within(ctx, func(ctx context.Context) (err error) {
		if s.tx, err = s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}); err != nil {
			return fmt.Errorf("begin a read-only transaction: %w", err)
		}
		if _, err := s.conn.PgConn().Exec(ctx, s.pins()).ReadAll(); err != nil {
			return fmt.Errorf("pin the session's settings: %w", connectError(err))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return f() // the transaction ends with the session: it is read only, and there is nothing to lose
}

// undo goes back to before a savepoint, also when the time for what was asked since is over. There is nothing to keep.
func (s *scanSession) undo(ctx context.Context, sub pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.gather.patience())
	defer cancel()
	_ = sub.Rollback(ctx) // one that fails makes the next question fail, which is noted
}

// pins are the settings that change how text is read, what names mean and how long things may take, for this transaction alone. After
// SET LOCAL pg_settings.reset_val still shows what the server would use.
func (s *scanSession) pins() string {
	return strings.Join([]string{
		"SET LOCAL search_path = pg_catalog, pg_temp", "SET LOCAL row_security = on", "SET LOCAL standard_conforming_strings = on",
		"SET LOCAL quote_all_identifiers = off", "SET LOCAL DateStyle = 'ISO, MDY'", "SET LOCAL TimeZone = 'UTC'", "SET LOCAL IntervalStyle = 'postgres'",
		"SET LOCAL bytea_output = 'hex'", "SET LOCAL extra_float_digits = 1", "SET LOCAL client_min_messages = error",
		"SET LOCAL statement_timeout = " + milliseconds(orDefault(s.gather.QuestionTimeout, 5*time.Second)),
		"SET LOCAL lock_timeout = " + milliseconds(orDefault(s.gather.LockTimeout, 200*time.Millisecond)),
		"SET LOCAL idle_in_transaction_session_timeout = 60000",
	}, "; ")
}

// ask sends the questions in one batch. When one fails, they are asked again one by one, each behind a savepoint, so that one failure costs
// one fact.
func (s *scanSession) ask(ctx context.Context, database string, questions []scanQuestion) {
	major := serverMajor(s.conn)
	if s.within(ctx, func(ctx context.Context) error { return s.askAll(ctx, major, questions) }) == nil {
		return
	}
	for i := range questions {
		q := &questions[i]
		if err := s.askOne(ctx, major, q); err != nil {
			s.evidence.Unseen = append(s.evidence.Unseen, catalog.Unseen{
				Fact: q.fact, Database: database, Why: whyUnseen(err), Broken: !turnedAway(err),
			})
		}
	}
}

// whyUnseen is the server's own words, without what pgx puts around them.
func whyUnseen(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Message
	}
	return err.Error()
}

func (s *scanSession) askAll(ctx context.Context, major int, questions []scanQuestion) error {
	sub, err := s.tx.Begin(ctx) // a savepoint
	if err != nil {
		return err
	}
	defer s.undo(ctx, sub)
	batch := &pgx.Batch{}
	for _, q := range questions {
		batch.Queue(question(q.folder, q.file, major), q.args...)
	}
	results := sub.SendBatch(ctx, batch)
	var answers [][]byte
	for range questions {
		var text []byte
		if err := results.QueryRow().Scan(&text); err != nil {
			_ = results.Close() // the error is known
			return err
		}
		answers = append(answers, text)
	}
	if err := results.Close(); err != nil {
		return err
	}
	for i, q := range questions {
		if err := json.Unmarshal(answers[i], q.into); err != nil {
			return fmt.Errorf("read %s: %w", q.fact, err)
		}
	}
	return nil
}

func (s *scanSession) askOne(ctx context.Context, major int, q *scanQuestion) error {
	return s.within(ctx, func(ctx context.Context) error { return s.askAlone(ctx, major, q) })
}

func (s *scanSession) askAlone(ctx context.Context, major int, q *scanQuestion) error {
	sub, err := s.tx.Begin(ctx)
	if err != nil {
		return err
	}
	defer s.undo(ctx, sub)
	var text []byte
	if err := sub.QueryRow(ctx, question(q.folder, q.file, major), q.args...).Scan(&text); err != nil {
		return err
	}
	if err := json.Unmarshal(text, q.into); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// ScannerSQL is what a DBA runs to make a role that sees most of what a scan asks for. Postern never runs it.
func ScannerSQL() string { return question("scanner", "role", 18) }
