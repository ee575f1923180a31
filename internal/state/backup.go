package state

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A backup is JSON lines, the same from a file and from a server, so that state can move from the one to the other: a line that
// says what it is, then for each table a line with its columns and a line for each row, and at last the number of rows and the
// digest of all lines before.

const (
	backupForm    = 1
	maxBackupLine = 64 << 20
)

// Errors of Restore, for errors.Is.
var (
	ErrNotEmpty  = errors.New("there is something in state already")
	ErrBadBackup = errors.New("this is no whole backup of Postern's state")
)

// tables are what a backup holds. Of those that number their rows the sequence follows.
var tables = []string{
	"installation", "trail_head", "generation", "access_request", "access_grant", "access_delegation", "access_review", "access_outcome", "outbox_event",
	"outbox_notice", "notice_delivery", "authority", "credential", "person", "person_session", "person_device", "sso_link", "saved_view", "policy_version", "slack_copy",
	"person_passkey", "person_challenge", "guess", "meter", "sso_logout",
	"slack_call", "change_count",
}

var numbered = []string{"outbox_event", "outbox_notice"}

type backupHead struct {
	Postern      string    `json:"postern"` // "state"
	Form         int       `json:"form"`
	Schema       int64     `json:"schema"`
	Installation string    `json:"installation"`
	Made         time.Time `json:"made"`
}

type backupTable struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

type backupEnd struct {
	Rows   *int   `json:"rows"`
	SHA256 string `json:"sha256"`
}

// Backed is what a backup holds.
type Backed struct {
	Installation string         `json:"installation"`
	Schema       int64          `json:"schema"`
	Made         time.Time      `json:"made"`
	Rows         map[string]int `json:"rows"` // by table
}

// Backup writes all of state as of one moment. Nobody is kept from working meanwhile.
func (db *DB) Backup(ctx context.Context, to io.Writer) (*Backed, error) {
	out, err := db.backup(ctx, to)
	if err != nil {
		return nil, fmt.Errorf("back up state: %w", explain(err))
	}
	return out, nil
}

func (db *DB) backup(ctx context.Context, to io.Writer) (*Backed, error) {
	options := &sql.TxOptions{}
	if db.remote != nil {
		options = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	tx, err := db.pool.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing was changed
	h := handle{by: tx, dollar: db.dollar}
	head := backupHead{Postern: "state", Form: backupForm, Made: time.Now().UTC().Truncate(time.Second)}
	if err := h.queryRow(ctx, "SELECT id FROM installation").Scan(&head.Installation); err != nil {
		return nil, err
	}
	if head.Schema, err = schemaOf(ctx, h); err != nil {
		return nil, err
	}
	w := &backupWriter{to: to, digest: sha256.New()}
	out := &Backed{Installation: head.Installation, Schema: head.Schema, Made: head.Made, Rows: map[string]int{}}
	if err := w.line(head); err != nil {
		return nil, err
	}
	all := 0
	for _, table := range tables {
		n, err := w.table(ctx, h, table)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", table, err)
		}
		out.Rows[table] = n
		all += n
	}
	return out, w.line(backupEnd{Rows: &all, SHA256: hex.EncodeToString(w.digest.Sum(nil))})
}

// schemaOf is the number of the last migration.
func schemaOf(ctx context.Context, h handle) (int64, error) {
	var n int64
	err := h.queryRow(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&n)
	return n, err
}

type backupWriter struct {
	to     io.Writer
	digest hash.Hash
}

func (w *backupWriter) line(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	text = append(text, '\n')
	w.digest.Write(text)
	_, err = w.to.Write(text)
	return err
}

func (w *backupWriter) table(ctx context.Context, h handle, name string) (int, error) {
	rows, err := h.query(ctx, "SELECT * FROM "+name+" ORDER BY 1")
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		return 0, err
	}
	if err := w.line(backupTable{name, columns}); err != nil {
		return 0, err
	}
	n := 0
	values, targets := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return 0, err
		}
		if err := w.line(values); err != nil {
			return 0, err
		}
		n++
	}
	return n, rows.Err()
}

// Restore puts a backup in the place of what is there: nothing of it if the backup is not whole. Where more is there than a new
// state has, it is ErrNotEmpty, unless replace says to forget that.
func (db *DB) Restore(ctx context.Context, from io.ReadSeeker, replace bool) (*Backed, error) {
	out, err := db.restore(ctx, from, replace)
	if err != nil {
		return nil, fmt.Errorf("restore state: %w", explain(err))
	}
	return out, nil
}

func (db *DB) restore(ctx context.Context, from io.ReadSeeker, replace bool) (*Backed, error) {
	head, err := wholeBackup(from)
	if err != nil {
		return nil, err
	}
	ours, err := schemaOf(ctx, db.handle)
	switch {
	case err != nil:
		return nil, err
	case head.Schema > ours:
		return nil, fmt.Errorf("%w: its schema is %d, this version knows %d", ErrNewer, head.Schema, ours)
	case head.Schema < ours:
		text, err := modernised(ctx, from, head.Schema)
		if err != nil {
			return nil, err
		}
		from = bytes.NewReader(text)
	}
	out := &Backed{Installation: head.Installation, Schema: head.Schema, Made: head.Made, Rows: map[string]int{}}
	err = db.transact(ctx, func(tx handle) error {
		clear(out.Rows)
		count, err := emptied(ctx, tx, replace)
		if err != nil {
			return err
		}
		if err := load(ctx, tx, from, out.Rows); err != nil {
			return err
		}
		// Whoever runs already takes it up.
		if _, err := tx.exec(ctx, "UPDATE change_count SET value = value + ?", count); err != nil {
			return err
		}
		return db.follow(ctx, tx)
	}, false)
	return out, err
}

// emptied forgets what is there, and returns the count of changes until then.
func emptied(ctx context.Context, tx handle, replace bool) (int64, error) {
	var count int64
	if err := tx.queryRow(ctx, "SELECT value FROM change_count").Scan(&count); err != nil {
		return 0, err
	}
	for _, table := range slices.Backward(tables) {
		result, err := tx.exec(ctx, "DELETE FROM "+table)
		if err != nil {
			return 0, err
		}
		n, err := result.RowsAffected()
		if err != nil {
			return 0, err
		}
		if n > 0 && !replace && table != "installation" && table != "change_count" {
			return 0, fmt.Errorf("%w, in %s", ErrNotEmpty, table)
		}
	}
	return count, nil
}

// follow lets the numbers of rows go on behind those that were restored. SQLite sees to that by itself.
func (db *DB) follow(ctx context.Context, tx handle) error {
	if db.remote == nil {
		return nil
	}
	for _, table := range numbered {
		_, err := tx.exec(ctx, "SELECT pg_catalog.setval(pg_catalog.pg_get_serial_sequence('"+table+"', 'id'), greatest(1, (SELECT max(id) FROM "+table+")))")
		if err != nil {
			return err
		}
	}
	return nil
}

// lines calls f with each line of a backup.
func lines(from io.ReadSeeker, f func(n int, line []byte) error) error {
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return err
	}
	s := bufio.NewScanner(from)
	s.Buffer(nil, maxBackupLine)
	n := 0
	for s.Scan() {
		n++
		if err := f(n, s.Bytes()); err != nil {
			return err
		}
	}
	return s.Err()
}

// wholeBackup reads a backup to its end and says what it is.
func wholeBackup(from io.ReadSeeker) (*backupHead, error) {
	var head backupHead
	var end backupEnd
	digest := sha256.New()
	rows := 0
	err := lines(from, func(n int, line []byte) error {
		switch {
		case n == 1:
			if err := json.Unmarshal(line, &head); err != nil || head.Postern != "state" || head.Form != backupForm {
				return fmt.Errorf("%w: the first line does not say so", ErrBadBackup)
			}
		case end.Rows != nil:
			return fmt.Errorf("%w: line %d follows the last", ErrBadBackup, n)
		case bytes.HasPrefix(line, []byte(`{"rows"`)):
			if err := json.Unmarshal(line, &end); err != nil {
				return fmt.Errorf("%w: line %d cannot be read", ErrBadBackup, n)
			}
			return nil
		case bytes.HasPrefix(line, []byte("[")):
			rows++
		}
		digest.Write(line)
		digest.Write([]byte{'\n'})
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case end.Rows == nil:
		return nil, fmt.Errorf("%w: its end is missing", ErrBadBackup)
	case *end.Rows != rows || end.SHA256 != hex.EncodeToString(digest.Sum(nil)):
		return nil, fmt.Errorf("%w: it was changed after it was written", ErrBadBackup)
	}
	return &head, nil
}

// load inserts every row of a backup.
func load(ctx context.Context, tx handle, from io.ReadSeeker, counts map[string]int) error {
	insert, table := "", ""
	return lines(from, func(n int, line []byte) error {
		switch {
		case n == 1 || bytes.HasPrefix(line, []byte(`{"rows"`)):
			return nil
		case bytes.HasPrefix(line, []byte("{")):
			var t backupTable
			if err := json.Unmarshal(line, &t); err != nil {
				return fmt.Errorf("%w: line %d: %w", ErrBadBackup, n, err)
			}
			if !slices.Contains(tables, t.Table) || len(t.Columns) == 0 || slices.ContainsFunc(t.Columns, func(c string) bool { return strings.Trim(c, "abcdefghijklmnopqrstuvwxyz_") != "" }) {
				return fmt.Errorf("%w: line %d names no table of ours", ErrBadBackup, n)
			}
			table = t.Table
			insert = "INSERT INTO " + table + " (" + strings.Join(t.Columns, ", ") + ") VALUES (" + marks(len(t.Columns)) + ")"
			return nil
		}
		values, err := rowOf(line)
		if err != nil || insert == "" {
			return fmt.Errorf("%w: line %d cannot be read", ErrBadBackup, n)
		}
		if _, err := tx.exec(ctx, insert, values...); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		counts[table]++
		return nil
	})
}

// rowOf reads a row: texts, whole numbers and nulls.
func rowOf(line []byte) ([]any, error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var values []any
	if err := d.Decode(&values); err != nil {
		return nil, err
	}
	for i, v := range values {
		switch x := v.(type) {
		case nil, string:
		case json.Number:
			n, err := x.Int64()
			if err != nil {
				return nil, err
			}
			values[i] = n
		default:
			return nil, errors.New("a value that no column holds")
		}
	}
	return values, nil
}

// modernised brings a backup of an earlier schema to this version's, by way of a file of that schema.
func modernised(ctx context.Context, from io.ReadSeeker, schema int64) (text []byte, err error) {
	folder, err := os.MkdirTemp("", "postern-restore-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	db, err := openFile(Place{Path: filepath.Join(folder, "old.db")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := db.migrations()
	if err != nil {
		return nil, err
	}
	if _, err := provider.UpTo(ctx, schema); err != nil {
		return nil, fmt.Errorf("%w: there never was a schema %d: %w", ErrBadBackup, schema, err)
	}
	err = db.transact(ctx, func(tx handle) error {
		if schema >= 2 { // which began to count changes
			if _, err := tx.exec(ctx, "DELETE FROM change_count"); err != nil {
				return err
			}
		}
		return load(ctx, tx, from, map[string]int{})
	}, true)
	if err != nil {
		return nil, err
	}
	if _, err := provider.Up(ctx); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, err = db.backup(ctx, &out)
	return out.Bytes(), err
}
