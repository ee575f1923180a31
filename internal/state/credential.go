package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/people"
)

// ErrNoCredential says that there is no such token or credential.
var ErrNoCredential = errors.New("there is no such credential")

// Issue keeps a new credential. One that came from a login is not kept if that has ended meanwhile: people.ErrNone.
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
		if i.Login != "" {
			// The row is held until the end, so that whoever ends the session waits, and then finds the credential.
			if err := swap(tx.exec(ctx, "UPDATE person_session SET due = due WHERE id = ? AND subject = ?", i.Login, i.Subject)); err != nil {
				return err
			}
		}
		_, err := tx.exec(ctx, "INSERT INTO credential (id, subject, kind, hash, expires, revoked, used, login, doc) VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?)",
			i.ID, i.Subject, string(i.Kind), hash, i.Expires.UnixMicro(), i.Login, string(doc))
		return err
	}, false)
	if i.Login != "" && errors.Is(err, access.ErrConflict) {
		return people.ErrNone
	}
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

// UsedCredentials notes when credentials were last used, of which a gateway knows some by their ids.
func (db *DB) UsedCredentials(ctx context.Context, at map[string]time.Time) error {
	for id, when := range at {
		if _, err := db.exec(ctx, "UPDATE credential SET used = ? WHERE id = ? AND used < ?", when.UnixMicro(), id, when.UnixMicro()); err != nil {
			return fmt.Errorf("note the use of a credential: %w", explain(err))
		}
	}
	return nil
}

// LastUses says when the credentials of a subject were last used, those that ever were, by their ids.
func (db *DB) LastUses(ctx context.Context, subject string) (map[string]time.Time, error) {
	rows, err := db.query(ctx, "SELECT id, used FROM credential WHERE subject = ? AND used > 0", subject)
	if err != nil {
		return nil, fmt.Errorf("read when credentials were used: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	out := map[string]time.Time{}
	for rows.Next() {
		var id string
		var used int64
		if err := rows.Scan(&id, &used); err != nil {
			return nil, fmt.Errorf("read when credentials were used: %w", explain(err))
		}
		out[id] = time.UnixMicro(used).UTC()
	}
	return out, explain(rows.Err())
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
		n, err := revoke(ctx, tx, now, "id = ? AND subject = ?", id, subject)
		if err == nil && n == 0 {
			err = ErrNoCredential
		}
		return err
	}, false)
	if err != nil {
		return fmt.Errorf("revoke a credential: %w", err)
	}
	return nil
}

// revoke ends the live credentials that a condition picks, and says how many there were.
func revoke(ctx context.Context, tx handle, now time.Time, which string, args ...any) (int, error) {
	rows, err := tx.query(ctx, "SELECT doc FROM credential WHERE revoked = 0 AND "+which, args...)
	if err != nil {
		return 0, err
	}
	var found []identity.Issued
	for rows.Next() {
		var doc string
		var i identity.Issued
		if err := rows.Scan(&doc); err != nil {
			return 0, errors.Join(err, rows.Close())
		}
		if err := json.Unmarshal([]byte(doc), &i); err != nil {
			return 0, errors.Join(err, rows.Close())
		}
		found = append(found, i)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	for _, i := range found {
		i.Revoked = now
		text, err := json.Marshal(i)
		if err != nil {
			return 0, err
		}
		if _, err := tx.exec(ctx, "UPDATE credential SET revoked = ?, doc = ? WHERE id = ? AND revoked = 0", now.UnixMicro(), string(text), i.ID); err != nil {
			return 0, err
		}
	}
	return len(found), nil
}

// Authorities lists what signs client certificates, or did, the newest first.
func (db *DB) Authorities(ctx context.Context) ([]identity.KeptAuthority, error) {
	out, err := read[identity.KeptAuthority](ctx, db, "SELECT doc FROM authority ORDER BY generation DESC")
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	return out, nil
}

// KeepAuthority adds an authority. Whoever comes second with a generation gets access.ErrConflict.
func (db *DB) KeepAuthority(ctx context.Context, k identity.KeptAuthority) error {
	doc, err := json.Marshal(k)
	if err != nil {
		return err
	}
	err = db.transact(ctx, func(tx handle) error {
		_, err := tx.exec(ctx, "INSERT INTO authority (id, generation, doc) VALUES (?, ?, ?)", k.ID, k.Generation, string(doc))
		return err
	}, false)
	if err != nil {
		return fmt.Errorf("keep an authority: %w", err)
	}
	return nil
}

// EndAuthority takes away all trust in an authority.
func (db *DB) EndAuthority(ctx context.Context, k identity.KeptAuthority) error {
	doc, err := json.Marshal(k)
	if err != nil {
		return err
	}
	err = db.transact(ctx, func(tx handle) error {
		return swap(tx.exec(ctx, "UPDATE authority SET doc = ? WHERE id = ?", string(doc), k.ID))
	}, false)
	if err != nil {
		return fmt.Errorf("end an authority: %w", err)
	}
	return nil
}
