package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite" // also registers the driver that sql.Open names below
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	busyTimeout = 5 * time.Second
	scheme      = "sqlite:"
)

func openFile(p Place) (*DB, error) {
	path, err := filePath(p.Path)
	if err != nil {
		return nil, err
	}
	if err := prepareFile(path); err != nil {
		return nil, fmt.Errorf("open state %s: %w", path, err)
	}
	return connectFile(path, "rwc")
}

func fileExists(path string) error {
	file, err := filePath(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("open state %s: %w", file, ErrMissing)
	}
	return nil
}

func filePath(path string) (string, error) {
	path = strings.TrimPrefix(path, scheme)
	switch {
	case path == "":
		return "", errors.New("open state: no file given")
	case strings.Contains(path, "://"):
		return "", fmt.Errorf("open state: there is no %q: use sqlite:FILE or postgres://USER@HOST/DATABASE", path[:strings.Index(path, "://")])
	}
	return path, nil
}

// prepareFile makes sure that nobody but the owner can read the file; SQLite gives its side files the same mode. A file that is there
// is not opened: closing it again would end the locks that another connection of this process holds on it (fcntl(2)).
func prepareFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return os.Chmod(path, 0o600)
	}
	return nil
}

func connectFile(path, mode string) (*DB, error) {
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
	return &DB{handle: handle{by: pool}, pool: pool, name: path}, nil
}

// checkFile looks for damage before anything is believed. It is the first to use the file: of several who open a new one at once, one
// makes it a log-writing file, under a lock that SQLite does not wait for.
func (db *DB) checkFile(ctx context.Context) error {
	var result string
	until := time.Now().Add(busyTimeout)
	for {
		err := db.queryRow(ctx, "PRAGMA quick_check(1)").Scan(&result)
		if err == nil {
			break
		}
		if !busy(err) || time.Now().After(until) {
			return fmt.Errorf("check the file: %w", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	if result != "ok" {
		return fmt.Errorf("%w: %s", ErrCorrupt, result)
	}
	return nil
}

// explainFile names the damage that SQLite reports by number.
func explainFile(err error) error {
	var s *sqlite.Error
	if errors.As(err, &s) {
		switch s.Code() & 0xff {
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			return fmt.Errorf("%w: put a backup in its place, or move it away to begin anew: %w", ErrCorrupt, err)
		}
	}
	return err
}

// busy says whether another process holds a lock.
func busy(err error) bool {
	var s *sqlite.Error
	return errors.As(err, &s) && s.Code()&0xff == sqlite3.SQLITE_BUSY
}

// takenInFile says whether a unique key was violated.
func takenInFile(err error) bool {
	var s *sqlite.Error
	return errors.As(err, &s) && (s.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || s.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}
