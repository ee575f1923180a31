package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/postern-sec/postern/internal/access"
)

// KeepPolicy keeps what a policy says, under its digest, for those who compare it with another. One that is there stays as it is.
func (db *DB) KeepPolicy(ctx context.Context, digest string, at time.Time, outline []string) error {
	doc, err := json.Marshal(outline)
	if err == nil {
		_, err = db.exec(ctx, "INSERT INTO policy_version (digest, at, doc) VALUES (?, ?, ?) ON CONFLICT (digest) DO NOTHING", digest, micro(at), string(doc))
	}
	if err != nil {
		return fmt.Errorf("keep what the policy says: %w", explain(err))
	}
	return nil
}

// PolicyOutline implements portal.Outlines.
func (db *DB) PolicyOutline(ctx context.Context, digest string) ([]string, error) {
	var doc string
	err := db.queryRow(ctx, "SELECT doc FROM policy_version WHERE digest = ?", digest).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("policy %.12s: %w", digest, access.ErrNotFound)
	}
	var out []string
	if err == nil {
		err = json.Unmarshal([]byte(doc), &out)
	}
	if err != nil {
		return nil, fmt.Errorf("read what a policy said: %w", explain(err))
	}
	return out, nil
}

// PolicyDigests implements portal.Outlines.
func (db *DB) PolicyDigests(ctx context.Context) ([]string, error) {
	rows, err := db.query(ctx, "SELECT digest FROM policy_version ORDER BY at, digest")
	if err != nil {
		return nil, fmt.Errorf("list what policies are kept: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var digest string
		if err := rows.Scan(&digest); err != nil {
			return nil, fmt.Errorf("list what policies are kept: %w", explain(err))
		}
		out = append(out, digest)
	}
	return out, explain(rows.Err())
}
