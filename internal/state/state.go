// Package state keeps what must outlive a process and is neither policy nor trail: which installation this is, how far each
// trail had come, requests, grants, people and what proves their secrets. It is one SQLite file, readable by its owner only,
// or a PostgreSQL database that several gateways share; everything else in Postern cannot tell which (ADR 0018).
//
// It holds no policy and no secret in clear, and it never reaches into a store. It imports the packages whose records it keeps.
package state

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/secret"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Errors of Open and of everything that reads or writes, for errors.Is. Their wrapping says which file or server, and what to do.
var (
	ErrCorrupt     = errors.New("the state file is damaged")
	ErrNewer       = errors.New("state was written by a newer version of Postern")
	ErrMissing     = errors.New("there is no state file")
	ErrUnreachable = errors.New("the server that keeps state cannot be reached")
)

// How long, and how often, another process that brings the schema up may seem to do nothing.
const (
	migrateWait  = 20 * time.Millisecond
	migrateWaits = 50
)

// Place says where state is kept.
type Place struct {
	// Path is a file, "postern.db" or "sqlite:postern.db", or the URL of a database, "postgres://user@host/database".
	Path string
	// Password is the database user's; a URL never holds one.
	Password secret.Text
}

// Server says whether a database server keeps state, so that several gateways can share it.
func (p Place) Server() bool {
	return strings.HasPrefix(p.Path, "postgres://") || strings.HasPrefix(p.Path, "postgresql://")
}

// DB is open state. It is safe for concurrent use, also by several processes.
type DB struct {
	handle
	pool   *sql.DB
	name   string          // the file, or where the database is, for errors
	remote *pgx.ConnConfig // nil: a file

	mu   sync.Mutex
	seat *sql.Conn // holds what only one process may hold at a time
	lead bool
}

// handle runs statements, in a transaction or not. They are written with ? for parameters, as SQLite has them.
type handle struct {
	by     runner
	dollar bool // the server wants $1
}

// runner is what *sql.DB, *sql.Tx and *sql.Conn have in common.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (h handle) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return h.by.ExecContext(ctx, h.words(query), h.values(args)...)
}

func (h handle) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return h.by.QueryContext(ctx, h.words(query), h.values(args)...)
}

func (h handle) queryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return h.by.QueryRowContext(ctx, h.words(query), h.values(args)...)
}

// values makes texts that a server can take: one that holds what no text of it can is looked for in vain, and is no error.
func (h handle) values(args []any) []any {
	if !h.dollar {
		return args
	}
	for i, v := range args {
		if text, ok := v.(string); ok && (strings.IndexByte(text, 0) >= 0 || !utf8.ValidString(text)) {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
		}
	}
	return args
}

// words numbers the parameters for a server that wants it. None of our statements has a question mark elsewhere.
func (h handle) words(query string) string {
	if !h.dollar {
		return query
	}
	var b strings.Builder
	n := 0
	for _, r := range query {
		if r != '?' {
			b.WriteRune(r)
			continue
		}
		n++
		fmt.Fprintf(&b, "$%d", n)
	}
	return b.String()
}

var _ audit.HeadStore = (*DB)(nil)

// Installation says which installation of Postern a state file belongs to.
type Installation struct {
	ID      string // 16 characters; also the trail's instance unless one is configured
	Created time.Time
}

// Open opens state at a path (see Place), and brings it to this version's schema. A file that is missing is made with mode 0600.
func Open(ctx context.Context, path string) (*DB, error) { return OpenAt(ctx, Place{Path: path}) }

// OpenAt is Open for a place that may need a password.
func OpenAt(ctx context.Context, p Place) (*DB, error) {
	connect := openFile
	if p.Server() {
		connect = openServer
	}
	db, err := connect(p)
	if err != nil {
		return nil, err
	}
	if err := db.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open state %s: %w", db.name, explain(err)), db.Close())
	}
	return db, nil
}

// OpenExisting opens state as OpenAt does, but returns ErrMissing instead of making a file.
func OpenExisting(ctx context.Context, p Place) (*DB, error) {
	if !p.Server() {
		if err := fileExists(p.Path); err != nil {
			return nil, err
		}
	}
	return OpenAt(ctx, p)
}

// begin checks what is there, migrates it and gives it an identity.
func (db *DB) begin(ctx context.Context) error {
	if db.remote == nil {
		if err := db.checkFile(ctx); err != nil {
			return err
		}
	}
	if err := db.migrate(ctx); err != nil {
		return err
	}
	if err := db.dateGrants(ctx); err != nil {
		return err
	}
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return fmt.Errorf("read randomness for the installation's id: %w", err)
	}
	_, err := db.exec(ctx, "INSERT INTO installation (one, id, created) VALUES (1, ?, ?) ON CONFLICT DO NOTHING",
		hex.EncodeToString(id), formatTime(time.Now()))
	if err != nil {
		return fmt.Errorf("name the installation: %w", err)
	}
	return nil
}

// migrations are the steps from no schema to this version's.
func (db *DB) migrations() (*goose.Provider, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	dialect, options := goose.DialectSQLite3, []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if db.remote != nil {
		dialect, files = goose.DialectPostgres, translated{files}
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60)) // seconds, tries
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, db.pool, files, options...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

func (db *DB) migrate(ctx context.Context) error {
	provider, err := db.migrations()
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	switch {
	case current == target:
		return nil
	case current > target:
		return fmt.Errorf("%w: its schema is %d, this version knows %d: use the newer postern", ErrNewer, current, target)
	}
	for {
		_, upErr := provider.Up(ctx)
		if upErr == nil {
			return nil
		}
		// Another process may be at it at the same moment, and be a step ahead: as long as it gets on there is nothing wrong.
		before := current
		for range migrateWaits {
			if current, target, err = provider.GetVersions(ctx); err == nil && current != before {
				break
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(migrateWait):
			}
		}
		switch {
		case current == target:
			return nil
		case current == before:
			return fmt.Errorf("bring the schema from %d to %d: %w", current, target, upErr)
		}
	}
}

// explain gives errors of the database a meaning.
func explain(err error) error {
	if err == nil {
		return nil
	}
	return explainServer(explainFile(err))
}

// Close lets go of it all.
func (db *DB) Close() error {
	db.rise()
	if err := db.pool.Close(); err != nil {
		return fmt.Errorf("close state: %w", err)
	}
	return nil
}

// Installation returns the identity that state was given when it was made.
func (db *DB) Installation(ctx context.Context) (Installation, error) {
	var i Installation
	var created string
	err := db.queryRow(ctx, "SELECT id, created FROM installation").Scan(&i.ID, &created)
	if err == nil {
		i.Created, err = time.Parse(time.RFC3339Nano, created)
	}
	if err != nil {
		return Installation{}, fmt.Errorf("read the installation from state: %w", explain(err))
	}
	return i, nil
}

// SaveHead implements audit.HeadStore.
func (db *DB) SaveHead(ctx context.Context, h audit.Head) error {
	_, err := db.exec(ctx, `INSERT INTO trail_head (instance, count, head, time, checkpoint, updated)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (instance) DO UPDATE SET count = excluded.count, head = excluded.head, time = excluded.time,
    checkpoint = excluded.checkpoint, updated = excluded.updated
WHERE excluded.count > trail_head.count`,
		h.Instance, int64(h.Seq), h.Hash, formatTime(h.Time), int64(h.Checkpoint), formatTime(time.Now()))
	if err != nil {
		return fmt.Errorf("save head: %w", explain(err))
	}
	return nil
}

// LoadHead implements audit.HeadStore.
func (db *DB) LoadHead(ctx context.Context, instance string) (audit.Head, bool, error) {
	h := audit.Head{Instance: instance}
	var at string
	err := db.queryRow(ctx, "SELECT count, head, time, checkpoint FROM trail_head WHERE instance = ?", instance).
		Scan(&h.Seq, &h.Hash, &at, &h.Checkpoint)
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Head{}, false, nil
	}
	if err == nil {
		h.Time, err = time.Parse(time.RFC3339Nano, at)
	}
	if err != nil {
		return audit.Head{}, false, fmt.Errorf("load head: %w", explain(err))
	}
	return h, true, nil
}

// IdentityPasswords names the generation of the identity roles' passwords.
const IdentityPasswords = "identity_passwords"

// Generation returns the current generation of something, 1 before the first Advance.
func (db *DB) Generation(ctx context.Context, name string) (uint64, error) {
	var n uint64
	err := db.queryRow(ctx, "SELECT value FROM generation WHERE name = ?", name).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read generation of %s: %w", name, explain(err))
	}
	return n, nil
}

// Advance begins a new generation and returns it. Two callers never get the same one.
func (db *DB) Advance(ctx context.Context, name string) (uint64, error) {
	var n uint64
	err := db.queryRow(ctx, `INSERT INTO generation (name, value, updated) VALUES (?, 2, ?)
ON CONFLICT (name) DO UPDATE SET value = generation.value + 1, updated = excluded.updated RETURNING value`,
		name, formatTime(time.Now())).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("advance generation of %s: %w", name, explain(err))
	}
	return n, nil
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Info is what there is to say of state as a whole.
type Info struct {
	Place     string // the file, or user, database and host
	Shared    bool   // several gateways may use it
	Schema    int64
	Instances []audit.Head // how far the trail of each instance had come
	Installation
}

// Info looks at state as a whole.
func (db *DB) Info(ctx context.Context) (*Info, error) {
	here, err := db.Installation(ctx)
	if err != nil {
		return nil, err
	}
	out := &Info{Place: db.name, Shared: db.remote != nil, Installation: here}
	if out.Schema, err = schemaOf(ctx, db.handle); err != nil {
		return nil, fmt.Errorf("read the schema's version: %w", explain(err))
	}
	names, err := db.instances(ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		h, found, err := db.LoadHead(ctx, name)
		if err != nil {
			return nil, err
		}
		if found {
			out.Instances = append(out.Instances, h)
		}
	}
	return out, nil
}

func (db *DB) instances(ctx context.Context) ([]string, error) {
	rows, err := db.query(ctx, "SELECT instance FROM trail_head ORDER BY instance")
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("list instances: %w", explain(err))
		}
		out = append(out, name)
	}
	return out, explain(rows.Err())
}
