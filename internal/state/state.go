// Package state keeps what must outlive a process and is neither policy nor trail: which installation this is, how far each
// trail had come, and the generations of what is derived from keys. It is one SQLite file, readable by its owner only.
//
// It holds no secret and no policy, and it never reaches into a store. It imports audit for the type that it keeps.
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
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite" // also registers the driver that sql.Open names below
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/postern-sec/postern/internal/audit"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

const (
	busyTimeout = 5 * time.Second
	busyPause   = 10 * time.Millisecond
	scheme      = "sqlite:"
)

// Errors of Open, for errors.Is. Their wrapping says which file and what to do.
var (
	ErrCorrupt = errors.New("the state file is damaged")
	ErrNewer   = errors.New("the state file was written by a newer version of Postern")
	ErrMissing = errors.New("there is no state file")
)

// DB is an open state file. It is safe for concurrent use, also by several processes.
type DB struct {
	sql  *sql.DB
	path string
}

var _ audit.HeadStore = (*DB)(nil)

// Installation says which installation of Postern a state file belongs to.
type Installation struct {
	ID      string // 16 characters; also the trail's instance unless one is configured
	Created time.Time
}

// Open opens the file at path ("postern.db" or "sqlite:postern.db"), makes it with mode 0600 when it is missing, and brings
// it to this version's schema.
func Open(ctx context.Context, path string) (*DB, error) {
	path, err := filePath(path)
	if err != nil {
		return nil, err
	}
	if err := prepareFile(path); err != nil {
		return nil, fmt.Errorf("open state %s: %w", path, err)
	}
	db, err := connect(path, "rwc")
	if err != nil {
		return nil, err
	}
	if err := db.begin(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open state %s: %w", path, explain(err)), db.sql.Close())
	}
	return db, nil
}

// OpenExisting opens a state file as Open does, but returns ErrMissing instead of making one.
func OpenExisting(ctx context.Context, path string) (*DB, error) {
	file, err := filePath(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open state %s: %w", file, ErrMissing)
	}
	return Open(ctx, path)
}

func filePath(path string) (string, error) {
	path = strings.TrimPrefix(path, scheme)
	switch {
	case path == "":
		return "", errors.New("open state: no file given")
	case strings.Contains(path, "://"):
		return "", fmt.Errorf("open state: %q is not in this version: use sqlite:FILE", path[:strings.Index(path, "://")])
	}
	return path, nil
}

// prepareFile makes sure that nobody but the owner can read the file; SQLite gives its side files the same mode.
func prepareFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = f.Chmod(0o600)
	}
	return errors.Join(err, f.Close())
}

func connect(path, mode string) (*DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", path, err)
	}
	u := url.URL{Scheme: "file", Path: absolute}
	u.RawQuery = url.Values{
		"mode":    {mode},
		"_txlock": {"immediate"},
		"_pragma": {
			fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)",
			"foreign_keys(ON)", "trusted_schema(OFF)",
		},
	}.Encode()
	pool, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", path, err)
	}
	pool.SetMaxOpenConns(4)
	return &DB{sql: pool, path: path}, nil
}

// begin checks the file, migrates it and gives it an identity.
func (db *DB) begin(ctx context.Context) error {
	var result string
	err := db.sql.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result)
	// Several that open a new file at once all turn on its write-ahead log, and SQLite lets nobody wait for that.
	for until := time.Now().Add(busyTimeout); isBusy(err) && time.Now().Before(until); {
		time.Sleep(busyPause)
		err = db.sql.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result)
	}
	if err != nil {
		return fmt.Errorf("check the file: %w", err)
	}
	if result != "ok" {
		return fmt.Errorf("%w: %s", ErrCorrupt, result)
	}
	if err := db.migrate(ctx); err != nil {
		return err
	}
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return fmt.Errorf("read randomness for the installation's id: %w", err)
	}
	_, err = db.sql.ExecContext(ctx, "INSERT INTO installation (one, id, created) VALUES (1, ?, ?) ON CONFLICT DO NOTHING",
		hex.EncodeToString(id), formatTime(time.Now()))
	if err != nil {
		return fmt.Errorf("name the installation: %w", err)
	}
	return nil
}

func (db *DB) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.sql, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
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
		// Another process may be migrating at the same moment: as long as it gets on, what it has done is no failure of ours.
		now, _, err := provider.GetVersions(ctx)
		switch {
		case err == nil && now == target:
			return nil
		case err != nil || now <= current:
			return fmt.Errorf("bring the schema from %d to %d: %w", current, target, upErr)
		}
		current = now
	}
}

// isBusy says that somebody else has the file at the moment.
func isBusy(err error) bool {
	var s *sqlite.Error
	return errors.As(err, &s) && s.Code()&0xff == sqlite3.SQLITE_BUSY
}

// explain names the damage that SQLite reports by number.
func explain(err error) error {
	if err == nil {
		return nil
	}
	var s *sqlite.Error
	if errors.As(err, &s) {
		switch s.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%w: put a backup in its place, or move it away to begin anew: %w", ErrCorrupt, err)
		}
	}
	return err
}

// Close releases the file.
func (db *DB) Close() error {
	if err := db.sql.Close(); err != nil {
		return fmt.Errorf("close state: %w", err)
	}
	return nil
}

// Installation returns the identity that Open gave the file when it was made.
func (db *DB) Installation(ctx context.Context) (Installation, error) {
	var i Installation
	var created string
	err := db.sql.QueryRowContext(ctx, "SELECT id, created FROM installation").Scan(&i.ID, &created)
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
	_, err := db.sql.ExecContext(ctx, `INSERT INTO trail_head (instance, count, head, time, checkpoint, updated)
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
	err := db.sql.QueryRowContext(ctx, "SELECT count, head, time, checkpoint FROM trail_head WHERE instance = ?", instance).
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
	err := db.sql.QueryRowContext(ctx, "SELECT value FROM generation WHERE name = ?", name).Scan(&n)
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
	err := db.sql.QueryRowContext(ctx, `INSERT INTO generation (name, value, updated) VALUES (?, 2, ?)
ON CONFLICT (name) DO UPDATE SET value = value + 1, updated = excluded.updated RETURNING value`,
		name, formatTime(time.Now())).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("advance generation of %s: %w", name, explain(err))
	}
	return n, nil
}

// Backup writes a consistent copy to a new file with mode 0600. It does not replace an existing one.
func (db *DB) Backup(ctx context.Context, to string) error {
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("back up state: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("back up state: %w", err)
	}
	// VACUUM INTO accepts an empty file.
	if _, err := db.sql.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return errors.Join(fmt.Errorf("back up state: %w", explain(err)), os.Remove(to))
	}
	return nil
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
