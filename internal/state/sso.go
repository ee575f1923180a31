package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/sso"
)

var (
	_ sso.Links   = (*DB)(nil)
	_ sso.Logouts = (*DB)(nil)
)

// Link implements sso.Links.
func (db *DB) Link(ctx context.Context, key string) (sso.Link, error) {
	return one[sso.Link](ctx, db, "who is known to the identity provider", "SELECT doc FROM sso_link WHERE key = ?", key)
}

// Links implements sso.Links. They come by name.
func (db *DB) Links(ctx context.Context) ([]sso.Link, error) {
	out, err := read[sso.Link](ctx, db, "SELECT doc FROM sso_link WHERE key <> ? ORDER BY name", directoryKey)
	if err != nil {
		return nil, fmt.Errorf("read who is known to the identity provider: %w", err)
	}
	return out, nil
}

// KeepLink implements sso.Links.
func (db *DB) KeepLink(ctx context.Context, l sso.Link, quiet bool) error {
	doc, err := json.Marshal(l)
	if err != nil {
		return err
	}
	err = db.transact(ctx, func(tx handle) error {
		if l.Version == 1 {
			_, err := tx.exec(ctx, "INSERT INTO sso_link (key, version, name, doc) VALUES (?, 1, ?, ?)", l.Key, l.Name, string(doc))
			return err
		}
		return swap(tx.exec(ctx, "UPDATE sso_link SET version = ?, name = ?, doc = ? WHERE key = ? AND version = ?",
			l.Version, l.Name, string(doc), l.Key, l.Version-1))
	}, quiet)
	return told(err, people.ErrConflict, "keep who is known to the identity provider")
}

// Unlink forgets who at the identity provider a name is: whoever comes first with it is, from then on. people.ErrNone if nobody is.
func (db *DB) Unlink(ctx context.Context, name string) error {
	err := db.transact(ctx, func(tx handle) error {
		return swap(tx.exec(ctx, "DELETE FROM sso_link WHERE name = ?", name))
	}, false)
	return told(err, people.ErrNone, "forget who is known to the identity provider")
}

// EndCredentials implements sso.Links.
func (db *DB) EndCredentials(ctx context.Context, subject string, now time.Time) error {
	live, err := db.Credentials(ctx, subject, now)
	if err != nil {
		return err
	}
	for _, i := range live {
		if err := db.RevokeCredential(ctx, subject, i.ID, now); err != nil && !errors.Is(err, ErrNoCredential) {
			return err
		}
	}
	return nil
}

// EndSignedOn implements sso.Links. Tokens for programs go on: they are made to be used when their owner is signed in nowhere.
func (db *DB) EndSignedOn(ctx context.Context, subject string, signOns []string, now time.Time) error {
	live, err := db.Credentials(ctx, subject, now)
	if err != nil {
		return err
	}
	for _, i := range live {
		if i.Kind == identity.Personal || signOns != nil && !slices.Contains(signOns, i.SignOn) {
			continue
		}
		if err := db.RevokeCredential(ctx, i.Subject, i.ID, now); err != nil && !errors.Is(err, ErrNoCredential) {
			return err
		}
	}
	return nil
}

// KeepLogout implements sso.Logouts.
func (db *DB) KeepLogout(ctx context.Context, key string, at time.Time) error {
	_, err := db.exec(ctx, `INSERT INTO sso_logout (key, at) VALUES (?, ?)
ON CONFLICT (key) DO UPDATE SET at = excluded.at WHERE sso_logout.at < excluded.at`, key, at.UnixMicro())
	if err != nil {
		return fmt.Errorf("keep what the identity provider ended: %w", explain(err))
	}
	return nil
}

// LastLogout implements sso.Logouts.
func (db *DB) LastLogout(ctx context.Context, key string) (at time.Time, err error) {
	rows, err := db.query(ctx, "SELECT at FROM sso_logout WHERE key = ?", key)
	if err != nil {
		return at, fmt.Errorf("read what the identity provider ended: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var micros int64
		if err := rows.Scan(&micros); err != nil {
			return at, fmt.Errorf("read what the identity provider ended: %w", explain(err))
		}
		at = time.UnixMicro(micros).UTC()
	}
	return at, explain(rows.Err())
}
