package state

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/people"
)

// Views implements portal.Views. They are sorted by name.
func (db *DB) Views(ctx context.Context, subject string) ([]people.View, error) {
	rows, err := db.query(ctx, "SELECT id, name, query, at FROM saved_view WHERE subject = ? ORDER BY name, id", subject)
	if err != nil {
		return nil, fmt.Errorf("read views: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	var out []people.View
	for rows.Next() {
		v := people.View{Subject: subject}
		var at int64
		if err := rows.Scan(&v.ID, &v.Name, &v.Query, &at); err != nil {
			return nil, fmt.Errorf("read views: %w", explain(err))
		}
		v.At = time.UnixMicro(at).UTC()
		out = append(out, v)
	}
	return out, explain(rows.Err())
}

// KeepView implements portal.Views.
func (db *DB) KeepView(ctx context.Context, v people.View) error {
	return db.view(ctx, func(tx handle) error {
		_, err := tx.exec(ctx, "INSERT INTO saved_view (id, subject, name, query, at) VALUES (?, ?, ?, ?, ?)", v.ID, v.Subject, v.Name, v.Query, micro(v.At))
		return err
	})
}

// RenameView implements portal.Views.
func (db *DB) RenameView(ctx context.Context, subject, id, name string) error {
	return db.view(ctx, func(tx handle) error {
		done, err := tx.exec(ctx, "UPDATE saved_view SET name = ? WHERE id = ? AND subject = ?", name, id, subject)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return access.ErrNotFound
	})
}

// DropView implements portal.Views.
func (db *DB) DropView(ctx context.Context, subject, id string) error {
	return db.view(ctx, func(tx handle) error {
		done, err := tx.exec(ctx, "DELETE FROM saved_view WHERE id = ? AND subject = ?", id, subject)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return access.ErrNotFound
	})
}

func (db *DB) view(ctx context.Context, change func(handle) error) error {
	err := db.transact(ctx, change, true)
	if err == nil || errors.Is(err, access.ErrNotFound) {
		return err
	}
	return fmt.Errorf("keep a view: %w", err)
}
