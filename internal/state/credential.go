package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/postern-sec/postern/internal/identity"
)

// ErrNoCredential says that there is no such token or credential.
var ErrNoCredential = errors.New("there is no such credential")

// Issue keeps a new credential.
func (db *DB) Issue(ctx context.Context, i identity.Issued) error {
	doc, err := json.Marshal(i)
	if err != nil {
		return err
	}
	var hash any
	if i.Hash != "" {
		hash = i.Hash
	}
	err = db.transact(ctx, func(tx handle) error {
		_, err := tx.exec(ctx, "INSERT INTO credential (id, subject, kind, hash, expires, revoked, used, doc) VALUES (?, ?, ?, ?, ?, 0, 0, ?)",
			i.ID, i.Subject, string(i.Kind), hash, i.Expires.UnixMicro(), string(doc))
		return err
	}, false)
	if err != nil {
		return fmt.Errorf("keep a credential: %w", err)
	}
	return nil
}

// Bearer finds the token of a hash, live or not, and notes that it was used.
func (db *DB) Bearer(ctx context.Context, hash string, now time.Time) (identity.Issued, error) {
	found, err := read[identity.Issued](ctx, db, "SELECT doc FROM credential WHERE hash = ?", hash)
	switch {
	case err != nil:
		return identity.Issued{}, fmt.Errorf("look for a token: %w", err)
	case len(found) == 0:
		return identity.Issued{}, ErrNoCredential
	}
	// Once a minute is often enough to know when a token was last used.
	_, err = db.exec(ctx, "UPDATE credential SET used = ? WHERE hash = ? AND used < ?", now.UnixMicro(), hash, now.Add(-time.Minute).UnixMicro())
	if err != nil {
		return identity.Issued{}, fmt.Errorf("note the use of a token: %w", explain(err))
	}
	return found[0], nil
}

// Credentials lists what a subject holds, or everybody if subject is "", and has neither ended nor been revoked.
func (db *DB) Credentials(ctx context.Context, subject string, now time.Time) ([]identity.Issued, error) {
	out, err := read[identity.Issued](ctx, db, "SELECT doc FROM credential WHERE revoked = 0 AND expires > ? AND (subject = ? OR ? = '') ORDER BY id",
		now.UnixMicro(), subject, subject)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	return out, nil
}

// RevokeCredential ends a credential of a subject.
func (db *DB) RevokeCredential(ctx context.Context, subject, id string, now time.Time) error {
	err := db.transact(ctx, func(tx handle) error {
		var doc string
		err := tx.queryRow(ctx, "SELECT doc FROM credential WHERE id = ? AND subject = ? AND revoked = 0", id, subject).Scan(&doc)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoCredential
		}
		if err != nil {
			return err
		}
		var i identity.Issued
		if err := json.Unmarshal([]byte(doc), &i); err != nil {
			return err
		}
		i.Revoked = now
		text, err := json.Marshal(i)
		if err != nil {
			return err
		}
		_, err = tx.exec(ctx, "UPDATE credential SET revoked = ?, doc = ? WHERE id = ? AND revoked = 0", now.UnixMicro(), string(text), id)
		return err
	}, false)
	if err != nil {
		return fmt.Errorf("revoke a credential: %w", err)
	}
	return nil
}
