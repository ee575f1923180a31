package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/postern-sec/postern/internal/slack"
)

var (
	_ slack.Copies = (*DB)(nil)
	_ slack.Calls  = (*DB)(nil)
)

// KeepCopy implements slack.Copies.
func (db *DB) KeepCopy(ctx context.Context, c slack.Copy) error {
	_, err := db.exec(ctx, `INSERT INTO slack_copy (id, channel, ts, kind, request, person, version, tries, due, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET channel = excluded.channel, ts = excluded.ts, version = excluded.version, tries = excluded.tries, due = excluded.due`,
		c.ID, c.Channel, c.TS, c.Kind, c.Request, c.To, c.Version, c.Tries, micro(c.Due), micro(c.At))
	if err != nil {
		return fmt.Errorf("keep a message's place: %w", explain(err))
	}
	return nil
}

// HasCopy implements slack.Copies.
func (db *DB) HasCopy(ctx context.Context, id string) (bool, error) {
	var n int
	err := db.queryRow(ctx, "SELECT count(*) FROM slack_copy WHERE id = ?", id).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for a message: %w", explain(err))
	}
	return n > 0, nil
}

// StaleCopies implements slack.Copies.
func (db *DB) StaleCopies(ctx context.Context, now time.Time, limit int) ([]slack.Copy, error) {
	rows, err := db.query(ctx, `SELECT c.id, c.channel, c.ts, c.kind, c.request, c.person, c.version, c.tries, c.due, c.at
FROM slack_copy c JOIN access_request r ON r.id = c.request
WHERE r.version > c.version AND c.ts <> '' AND c.due <= ? ORDER BY c.due, c.id LIMIT ?`, now.UnixMicro(), limit)
	if err != nil {
		return nil, fmt.Errorf("look for messages to edit: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	var out []slack.Copy
	for rows.Next() {
		var c slack.Copy
		var due, at int64
		if err := rows.Scan(&c.ID, &c.Channel, &c.TS, &c.Kind, &c.Request, &c.To, &c.Version, &c.Tries, &due, &at); err != nil {
			return nil, fmt.Errorf("look for messages to edit: %w", err)
		}
		c.Due, c.At = time.UnixMicro(due).UTC(), time.UnixMicro(at).UTC()
		out = append(out, c)
	}
	return out, rows.Err()
}

// TakeCall implements slack.Calls.
func (db *DB) TakeCall(ctx context.Context, c slack.Call) (bool, error) {
	done, err := db.exec(ctx, "INSERT INTO slack_call (id, doc, tries, due, done, at) VALUES (?, ?, 0, ?, 0, ?) ON CONFLICT (id) DO NOTHING",
		c.ID, c.Doc, micro(c.Due), micro(c.At))
	if err != nil {
		return false, fmt.Errorf("keep a call: %w", explain(err))
	}
	n, err := done.RowsAffected()
	return n == 1, err
}

// ClaimCall implements slack.Calls.
func (db *DB) ClaimCall(ctx context.Context, now, until time.Time) (slack.Call, bool, error) {
	var c slack.Call
	var at int64
	err := db.queryRow(ctx, `UPDATE slack_call SET due = ?, tries = tries + 1 WHERE id = (SELECT id FROM slack_call WHERE done = 0 AND due <= ? ORDER BY due LIMIT 1)
AND done = 0 AND due <= ? RETURNING id, doc, tries, at`, until.UnixMicro(), now.UnixMicro(), now.UnixMicro()).Scan(&c.ID, &c.Doc, &c.Tries, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return c, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("claim a call: %w", explain(err))
	}
	c.At, c.Due = time.UnixMicro(at).UTC(), until
	return c, true, nil
}

// EndCall implements slack.Calls. What it said is not kept.
func (db *DB) EndCall(ctx context.Context, id string) error {
	if _, err := db.exec(ctx, "UPDATE slack_call SET done = 1, doc = '' WHERE id = ?", id); err != nil {
		return fmt.Errorf("end a call: %w", explain(err))
	}
	return nil
}

// CallLater implements slack.Calls.
func (db *DB) CallLater(ctx context.Context, id string, due time.Time) error {
	if _, err := db.exec(ctx, "UPDATE slack_call SET due = ? WHERE id = ?", due.UnixMicro(), id); err != nil {
		return fmt.Errorf("put off a call: %w", explain(err))
	}
	return nil
}
