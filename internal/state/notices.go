package state

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/postern-sec/postern/internal/access"
)

// staleNotices is the age from which nobody is told any more, such as when a transport is added to a site that has run for long.
const staleNotices = 24 * time.Hour

// ClaimNotices implements notify.Outbox.
func (db *DB) ClaimNotices(ctx context.Context, transport string, now time.Time, lease time.Duration, limit int) ([]access.Delivery, error) {
	var out []access.Delivery
	err := db.transact(ctx, func(tx handle) error {
		out = nil
		if db.remote != nil {
			// One claim at a time: of two that look at once, both would see what neither has taken.
			if _, err := tx.exec(ctx, "SELECT pg_catalog.pg_advisory_xact_lock(?, ?)", lockNotices, nameHash(transport)); err != nil {
				return err
			}
		}
		rows, err := tx.query(ctx, `SELECT n.id, n.doc, COALESCE(d.tries, 0) FROM outbox_notice n
LEFT JOIN notice_delivery d ON d.notice = n.id AND d.transport = ?
WHERE n.at > ? AND (d.notice IS NULL OR d.done = 0 AND d.due <= ?) ORDER BY n.urgent DESC, n.id LIMIT ?`, transport, now.Add(-staleNotices).UnixMicro(), now.UnixMicro(), limit)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var d access.Delivery
			var doc string
			if err := rows.Scan(&d.ID, &doc, &d.Tries); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(doc), &d.Notice); err != nil {
				return fmt.Errorf("a record is damaged: %w", err)
			}
			out = append(out, d)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for _, d := range out {
			// The lease is a failure that comes true if the process dies.
			_, err := tx.exec(ctx, `INSERT INTO notice_delivery (notice, transport, tries, due, done, error) VALUES (?, ?, 1, ?, 0, '')
ON CONFLICT (notice, transport) DO UPDATE SET tries = notice_delivery.tries + 1, due = excluded.due`, d.ID, transport, now.Add(lease).UnixMicro())
			if err != nil {
				return err
			}
		}
		return nil
	}, true)
	if err != nil {
		return nil, fmt.Errorf("claim notices: %w", err)
	}
	return out, nil
}

// NoticeDone implements notify.Outbox.
func (db *DB) NoticeDone(ctx context.Context, transport string, id int64, why string, more ...access.Notice) error {
	err := db.transact(ctx, func(tx handle) error {
		if _, err := tx.exec(ctx, "UPDATE notice_delivery SET done = 1, error = ? WHERE notice = ? AND transport = ?", why, id, transport); err != nil {
			return err
		}
		return putRest(ctx, tx, access.Change{Notices: more})
	}, true)
	if err != nil {
		return fmt.Errorf("note a delivery: %w", err)
	}
	return nil
}

// NoticeLater implements notify.Outbox.
func (db *DB) NoticeLater(ctx context.Context, transport string, id int64, due time.Time, why string) error {
	_, err := db.exec(ctx, "UPDATE notice_delivery SET due = ?, error = ? WHERE notice = ? AND transport = ?", due.UnixMicro(), why, id, transport)
	if err != nil {
		return fmt.Errorf("note a delivery: %w", explain(err))
	}
	return nil
}
