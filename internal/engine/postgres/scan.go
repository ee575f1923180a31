package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/catalog"
)

// Gather is how evidence for a scan is collected.
type Gather struct {
	Databases []string // "" for every database that the login may enter
	// QuestionTimeout bounds each question; 0 is 5 s. LockTimeout bounds waiting for a lock; 0 is 200 ms.
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
	// Progress is called with the name of each database that is entered; nil for nobody.
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

// connect opens a session.
func (t *ScanTarget) connect(ctx context.Context, database string) (*pgx.Conn, error) {
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
	conn, err := t.connect(ctx, "")
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
	for _, name := range t.others(e, g.Databases, first) {
		t.enter(ctx, e, name, &g)
	}
	t.host(ctx, e, &g)
	slices.SortFunc(e.Databases, func(a, b *catalog.DatabaseEvidence) int { return cmp.Compare(a.Database.Name, b.Database.Name) })
	return e, nil
}

// closeScan ends a connection, also when the scan was interrupted.
func closeScan(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = conn.Close(ctx) // read only: nothing to lose
}

// others lists the databases to enter besides the first one.
func (t *ScanTarget) others(e *catalog.Evidence, wanted []string, first string) []string {
	var out []string
	for i := range e.Server.Databases {
		d := &e.Server.Databases[i]
		switch {
		case d.Name == first || len(wanted) > 0 && !slices.Contains(wanted, d.Name):
		case !d.AllowConn:
		case !d.Connect:
			e.Unseen = append(e.Unseen, catalog.Unseen{Fact: catalog.FactRelations, Database: d.Name, Why: "the login may not connect to it"})
		default:
			out = append(out, d.Name)
		}
	}
	return out
}

// enter reads one more database. One that cannot be entered is noted and does not end the scan.
func (t *ScanTarget) enter(ctx context.Context, e *catalog.Evidence, name string, g *Gather) {
	if g.Progress != nil {
		g.Progress(name)
	}
	conn, err := t.connect(ctx, name)
	if err != nil {
		e.Unseen = append(e.Unseen, catalog.Unseen{
			Fact: catalog.FactRelations, Database: name, Why: "could not connect: " + err.Error(), Broken: !turnedAway(err),
		})
		return
	}
	defer closeScan(ctx, conn)
	s := &scanSession{conn: conn, evidence: e, gather: g}
	if err := s.inTransaction(ctx, func() error { s.database(ctx); s.own(ctx, false); return nil }); err != nil {
		e.Unseen = append(e.Unseen, catalog.Unseen{Fact: catalog.FactRelations, Database: name, Why: err.Error(), Broken: true})
	}
}

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
}

// inTransaction runs f in a repeatable-read, read-only transaction.
func (s *scanSession) inTransaction(ctx context.Context, f func() error) error {
	tx, err := s.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("begin a read-only transaction: %w", err)
	}
	s.tx = tx
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // read only: nothing to lose
	if _, err := s.conn.PgConn().Exec(ctx, s.pins()).ReadAll(); err != nil {
		return fmt.Errorf("pin the session's settings: %w", connectError(err))
	}
	return f()
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
	if s.askAll(ctx, major, questions) == nil {
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
	defer func() { _ = sub.Rollback(ctx) }() // the savepoint is not needed any more
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
	sub, err := s.tx.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Rollback(ctx) }() // nothing to keep
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
