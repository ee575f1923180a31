package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/access"
)

var _ access.Store = (*DB)(nil)

// keepOutcomes is how long a retry finds its first outcome, keepNotices how long an untold notice waits for a
// transport, keepCopies how long a message in Slack can still be edited, and keepLogouts how long a sign-in may turn out to be over already.
const (
	keepOutcomes = 24 * time.Hour
	keepNotices  = 30 * 24 * time.Hour
	keepCopies   = 90 * 24 * time.Hour
	keepLogouts  = 25 * time.Hour // longer than a sign-in may take, and than a token of the provider holds that ends one
)

// where turns a filter into a condition. Times are microseconds; 0 is never.
func where(f access.Filter, grants bool) (string, []any) {
	conditions, args := []string{"1 = 1"}, []any{}
	add := func(condition string, more ...any) {
		conditions, args = append(conditions, condition), append(args, more...)
	}
	if f.IDs != nil {
		add("id IN ("+marks(len(f.IDs))+")", anys(f.IDs)...)
	}
	if f.Subject != "" {
		add("subject = ?", f.Subject)
	}
	if f.Rule != "" {
		add("rule = ?", f.Rule)
	}
	if f.Open {
		add("open = 1")
	}
	if !f.Due.IsZero() {
		add("due > 0 AND due <= ?", f.Due.UnixMicro())
	}
	if grants && f.Closing {
		add("closing = 1")
	}
	if grants && f.Datasets != nil {
		add("dataset IN ("+marks(len(f.Datasets))+")", anys(f.Datasets)...)
	}
	if grants && f.Over {
		add("open = 0")
	}
	if grants && f.Before != nil {
		at := micro(f.Before.Closed)
		add("closed <= ? AND (closed < ? OR id < ?)", at, at, f.Before.ID)
	}
	return strings.Join(conditions, " AND "), args
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// read collects the documents that a query finds.
func read[T any](ctx context.Context, db *DB, query string, args ...any) ([]T, error) {
	rows, err := db.query(ctx, query, args...)
	if err != nil {
		return nil, explain(err)
	}
	defer func() { _ = rows.Close() }()
	var out []T
	for rows.Next() {
		var doc string
		var v T
		if err := rows.Scan(&doc); err != nil {
			return nil, explain(err)
		}
		if err := json.Unmarshal([]byte(doc), &v); err != nil {
			return nil, fmt.Errorf("a record is damaged: %w", err)
		}
		out = append(out, v)
	}
	return out, explain(rows.Err())
}

// Requests implements access.Store. The oldest come first.
func (db *DB) Requests(ctx context.Context, f access.Filter) ([]access.Request, error) {
	if f.IDs != nil && len(f.IDs) == 0 {
		return nil, nil
	}
	condition, args := where(f, false)
	out, err := read[access.Request](ctx, db, "SELECT doc FROM access_request WHERE "+condition+" ORDER BY id", args...)
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	return out, nil
}

// Grants implements access.Store. They come in the order of their ids, unless the newest are asked for.
func (db *DB) Grants(ctx context.Context, f access.Filter) ([]access.Grant, error) {
	if f.IDs != nil && len(f.IDs) == 0 || f.Datasets != nil && len(f.Datasets) == 0 {
		return nil, nil
	}
	condition, args := where(f, true)
	order := "id"
	if f.Newest > 0 {
		order, args = "closed DESC, id DESC LIMIT ?", append(args, f.Newest)
	}
	out, err := read[access.Grant](ctx, db, "SELECT doc FROM access_grant WHERE "+condition+" ORDER BY "+order, args...)
	if err != nil {
		return nil, fmt.Errorf("read grants: %w", err)
	}
	return out, nil
}

// Delegations implements access.Store.
func (db *DB) Delegations(ctx context.Context, now time.Time) ([]access.Delegation, error) {
	out, err := read[access.Delegation](ctx, db, "SELECT doc FROM access_delegation WHERE due > ? ORDER BY id", now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("read delegations: %w", err)
	}
	return out, nil
}

// Reviews implements access.Store.
func (db *DB) Reviews(ctx context.Context) ([]access.Review, error) {
	out, err := read[access.Review](ctx, db, `SELECT doc FROM access_review r
WHERE number = (SELECT max(number) FROM access_review x WHERE x.dataset = r.dataset) ORDER BY dataset`)
	if err != nil {
		return nil, fmt.Errorf("read reviews: %w", err)
	}
	return out, nil
}

// Outcome implements access.Store.
func (db *DB) Outcome(ctx context.Context, key string) (string, error) {
	var out string
	err := db.queryRow(ctx, "SELECT outcome FROM access_outcome WHERE key = ?", key).Scan(&out)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("look for an earlier outcome: %w", explain(err))
	}
	return out, nil
}

// Commit implements access.Store.
func (db *DB) Commit(ctx context.Context, c access.Change) error {
	if len(c.Requests)+len(c.Grants)+len(c.Events)+len(c.Notices)+len(c.Delegations)+len(c.Recalled)+len(c.Reviews) == 0 {
		return nil
	}
	err := db.transact(ctx, func(tx handle) error {
		for i := range c.Requests {
			if err := putRequest(ctx, tx, &c.Requests[i]); err != nil {
				return err
			}
		}
		for i := range c.Grants {
			if err := putGrant(ctx, tx, &c.Grants[i]); err != nil {
				return err
			}
		}
		for i := range c.Reviews {
			if err := putReview(ctx, tx, &c.Reviews[i]); err != nil {
				return err
			}
		}
		return putRest(ctx, tx, c)
	}, c.Quiet)
	if err != nil {
		return fmt.Errorf("keep a change of access: %w", err)
	}
	return nil
}

// transact runs a change of what other instances look at. A unique key that is taken means that somebody else was faster. What the
// server called off because of another transaction is tried again.
func (db *DB) transact(ctx context.Context, change func(handle) error, quiet bool) error {
	for try := 1; ; try++ {
		err := db.transactOnce(ctx, change, quiet)
		if !calledOff(err) || try == serverAttempts {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try*try) * time.Millisecond):
		}
	}
}

func (db *DB) transactOnce(ctx context.Context, change func(handle) error, quiet bool) error {
	begun, err := db.pool.BeginTx(ctx, nil)
	if err != nil {
		return explain(err)
	}
	defer func() { _ = begun.Rollback() }() // after Commit this does nothing
	tx := handle{by: begun, dollar: db.dollar}
	if err := change(tx); err != nil {
		if takenInFile(err) || takenOnServer(err) {
			return access.ErrConflict
		}
		return explain(err)
	}
	if !quiet {
		if err := db.changed(ctx, tx); err != nil {
			return explain(err)
		}
	}
	return explain(begun.Commit())
}

// changed lets every gateway look again once the transaction is committed.
func (db *DB) changed(ctx context.Context, tx handle) error {
	if _, err := tx.exec(ctx, "UPDATE change_count SET value = value + 1"); err != nil || db.remote == nil {
		return err
	}
	_, err := tx.exec(ctx, "SELECT pg_catalog.pg_notify(?, '')", channelChange)
	return err
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func putRequest(ctx context.Context, tx handle, r *access.Request) error {
	doc, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if r.Version == 1 {
		_, err = tx.exec(ctx, "INSERT INTO access_request (id, version, subject, rule, open, due, doc) VALUES (?, 1, ?, ?, ?, ?, ?)",
			r.ID, r.Subject, r.Rule, flag(r.State == access.Pending), micro(r.Due()), string(doc))
		return err
	}
	return swap(tx.exec(ctx, "UPDATE access_request SET version = ?, open = ?, due = ?, doc = ? WHERE id = ? AND version = ?",
		r.Version, flag(r.State == access.Pending), micro(r.Due()), string(doc), r.ID, r.Version-1))
}

func putGrant(ctx context.Context, tx handle, g *access.Grant) error {
	doc, err := json.Marshal(g)
	if err != nil {
		return err
	}
	closing := g.Wall == access.WallRemoving
	if g.Version == 1 {
		_, err = tx.exec(ctx, "INSERT INTO access_grant (id, version, request, subject, rule, dataset, open, closing, due, closed, doc) VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			g.ID, g.Request, g.Subject, g.Rule, g.Dataset, flag(g.Live()), flag(closing), micro(g.Due()), closedAt(g), string(doc))
		return err
	}
	return swap(tx.exec(ctx, "UPDATE access_grant SET version = ?, dataset = ?, open = ?, closing = ?, due = ?, closed = ?, doc = ? WHERE id = ? AND version = ?",
		g.Version, g.Dataset, flag(g.Live()), flag(closing), micro(g.Due()), closedAt(g), string(doc), g.ID, g.Version-1))
}

// closedAt is when a grant came to its end, 0 while it lives.
func closedAt(g *access.Grant) int64 {
	if g.Live() {
		return 0
	}
	return micro(g.Closed)
}

// dateGrants notes of grants from before there was a column for it when they ended, and on what they are.
func (db *DB) dateGrants(ctx context.Context) error {
	for {
		some, err := read[access.Grant](ctx, db, "SELECT doc FROM access_grant WHERE closed = -1 ORDER BY id LIMIT 500")
		if err != nil || len(some) == 0 {
			return err
		}
		err = db.transact(ctx, func(tx handle) error {
			for i := range some {
				g := &some[i]
				if _, err := tx.exec(ctx, "UPDATE access_grant SET closed = ?, dataset = ? WHERE id = ? AND closed = -1", closedAt(g), g.Dataset, g.ID); err != nil {
					return err
				}
			}
			return nil
		}, true)
		if err != nil {
			return fmt.Errorf("note when grants ended: %w", err)
		}
	}
}

func putReview(ctx context.Context, tx handle, v *access.Review) error {
	doc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if v.Version == 1 {
		_, err = tx.exec(ctx, "INSERT INTO access_review (dataset, number, version, open, doc) VALUES (?, ?, 1, ?, ?)", v.Dataset, v.Number, flag(v.Open), string(doc))
		return err
	}
	return swap(tx.exec(ctx, "UPDATE access_review SET version = ?, open = ?, doc = ? WHERE dataset = ? AND number = ? AND version = ?",
		v.Version, flag(v.Open), string(doc), v.Dataset, v.Number, v.Version-1))
}

// swap is compare-and-swap: the row must have been at the version before.
func swap(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return access.ErrConflict
}

// told is a change's error in the words of who asked for it: conflict where no row was as it had to be, otherwise what was being done.
func told(err, conflict error, doing string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, access.ErrConflict):
		return conflict
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// putRest keeps what has no version: events, notices, delegations, their early ends and the outcome of a key.
func putRest(ctx context.Context, tx handle, c access.Change) error {
	for _, e := range c.Events {
		doc, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "INSERT INTO outbox_event (doc) VALUES (?)", string(doc)); err != nil {
			return err
		}
	}
	for _, n := range c.Notices {
		doc, err := json.Marshal(n)
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "INSERT INTO outbox_notice (at, urgent, doc) VALUES (?, ?, ?)", n.At.UnixMicro(), flag(n.Urgent()), string(doc)); err != nil {
			return err
		}
	}
	for _, d := range c.Delegations {
		doc, err := json.Marshal(d)
		if err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "INSERT INTO access_delegation (id, due, doc) VALUES (?, ?, ?)", d.ID, d.End.UnixMicro(), string(doc)); err != nil {
			return err
		}
	}
	for _, id := range c.Recalled {
		gone, err := tx.exec(ctx, "DELETE FROM access_delegation WHERE id = ?", id)
		if err != nil {
			return err
		}
		if n, err := gone.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, access.ErrConflict)
		}
	}
	if c.Key == "" {
		return nil
	}
	_, err := tx.exec(ctx, "INSERT INTO access_outcome (key, outcome, at) VALUES (?, ?, ?)", c.Key, c.Outcome, time.Now().UnixMicro())
	return err
}

// ChangeCount is a number that rises with every change of access, so that a process sees cheaply what another did.
func (db *DB) ChangeCount(ctx context.Context) (int64, error) {
	var n int64
	if err := db.queryRow(ctx, "SELECT value FROM change_count").Scan(&n); err != nil {
		return 0, fmt.Errorf("look for changes in state: %w", explain(err))
	}
	return n, nil
}

// Events returns the oldest events that wait for the trail.
func (db *DB) Events(ctx context.Context, limit int) ([]access.Event, error) {
	rows, err := db.query(ctx, "SELECT id, doc FROM outbox_event ORDER BY id LIMIT ?", limit)
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	var out []access.Event
	for rows.Next() {
		var id int64
		var doc string
		if err := rows.Scan(&id, &doc); err != nil {
			return nil, fmt.Errorf("read the outbox: %w", explain(err))
		}
		var e access.Event
		if err := json.Unmarshal([]byte(doc), &e); err != nil {
			return nil, fmt.Errorf("read the outbox: %w", err)
		}
		e.ID = id
		out = append(out, e)
	}
	return out, explain(rows.Err())
}

// Delivered takes events out of the outbox once the trail has them. Each is named: one with a lower number than the last may have
// come later, from another instance.
func (db *DB) Delivered(ctx context.Context, events []access.Event) error {
	if len(events) == 0 {
		return nil
	}
	ids := make([]any, len(events))
	for i := range events {
		ids[i] = events[i].ID
	}
	if _, err := db.exec(ctx, "DELETE FROM outbox_event WHERE id IN ("+marks(len(ids))+")", ids...); err != nil {
		return fmt.Errorf("clear the outbox: %w", explain(err))
	}
	return nil
}

// marks is a list of n parameters.
func marks(n int) string { return "?" + strings.Repeat(", ?", n-1) }

// Tidy forgets what nobody will ask for again, and notes what an earlier version left out.
func (db *DB) Tidy(ctx context.Context, now time.Time) error {
	for query, before := range map[string]time.Time{
		"DELETE FROM access_outcome WHERE at < ?":     now.Add(-keepOutcomes),
		"DELETE FROM outbox_notice WHERE at < ?":      now.Add(-keepNotices),
		"DELETE FROM access_delegation WHERE due < ?": now.Add(-keepNotices),
		"DELETE FROM person_session WHERE due < ?":    now,
		"DELETE FROM person_device WHERE due < ?":     now,
		"DELETE FROM person_challenge WHERE due < ?":  now,
		"DELETE FROM sso_logout WHERE at < ?":         now.Add(-keepLogouts),
		"DELETE FROM guess WHERE due < ?":             now,
		"DELETE FROM meter WHERE due < ?":             now,
		"DELETE FROM slack_call WHERE at < ?":         now.Add(-keepOutcomes),
		"DELETE FROM slack_copy WHERE at < ?":         now.Add(-keepCopies),
	} {
		if _, err := db.exec(ctx, query, before.UnixMicro()); err != nil {
			return fmt.Errorf("tidy state: %w", explain(err))
		}
	}
	if _, err := db.exec(ctx, "DELETE FROM notice_delivery WHERE notice NOT IN (SELECT id FROM outbox_notice)"); err != nil {
		return fmt.Errorf("tidy state: %w", explain(err))
	}
	if err := db.tidyGuesses(ctx, keepGuesses); err != nil {
		return err
	}
	return db.dateGrants(ctx) // a gateway of an earlier version may still write beside this one
}
