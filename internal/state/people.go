package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/people"
)

var (
	_ people.Accounts = (*DB)(nil)
	_ people.Sessions = (*DB)(nil)

	_ people.Challenges = (*DB)(nil)
)

// one reads the only document that a query finds.
func one[T any](ctx context.Context, db *DB, what, query string, args ...any) (T, error) {
	found, err := read[T](ctx, db, query, args...)
	var none T
	switch {
	case err != nil:
		return none, fmt.Errorf("read %s: %w", what, err)
	case len(found) == 0:
		return none, people.ErrNone
	}
	return found[0], nil
}

// Account implements people.Accounts.
func (db *DB) Account(ctx context.Context, name string) (people.Account, error) {
	return one[people.Account](ctx, db, "an account", "SELECT doc FROM person WHERE name = ?", name)
}

// Invited implements people.Accounts.
func (db *DB) Invited(ctx context.Context, hash string) (people.Account, error) {
	return one[people.Account](ctx, db, "an invitation", "SELECT doc FROM person WHERE invite = ?", hash)
}

// PasskeyAccount implements people.Accounts.
func (db *DB) PasskeyAccount(ctx context.Context, hash string) (people.Account, error) {
	return one[people.Account](ctx, db, "a passkey", "SELECT p.doc FROM person p JOIN person_passkey k ON k.person = p.name WHERE k.hash = ?", hash)
}

// Accounts implements people.Accounts. They come by name.
func (db *DB) Accounts(ctx context.Context) ([]people.Account, error) {
	out, err := read[people.Account](ctx, db, "SELECT doc FROM person ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("read accounts: %w", err)
	}
	return out, nil
}

// KeepAccount implements people.Accounts.
func (db *DB) KeepAccount(ctx context.Context, a people.Account) error {
	known := a.Disabled.IsZero() && a.Enabled.IsZero() // of who was disabled once, every gateway has to know how they stand
	return db.keepAccount(ctx, a, known, func(handle) error { return nil })
}

// EndAccount implements people.Accounts.
func (db *DB) EndAccount(ctx context.Context, a people.Account, now time.Time) error {
	return db.keepAccount(ctx, a, false, func(tx handle) error {
		if _, err := db.end(ctx, tx, "subject = ?", a.Name); err != nil {
			return err
		}
		if _, err := revoke(ctx, tx, now, "subject = ?", a.Name); err != nil {
			return err
		}
		return lapse(ctx, tx, &a, now)
	})
}

// lapse ends the delegations that an account leaves behind.
func lapse(ctx context.Context, tx handle, a *people.Account, now time.Time) error {
	rows, err := tx.query(ctx, "SELECT doc FROM access_delegation WHERE due > ? ORDER BY id", now.UnixMicro())
	if err != nil {
		return err
	}
	var all []access.Delegation
	for rows.Next() {
		var doc string
		var d access.Delegation
		err := rows.Scan(&doc)
		if err == nil {
			err = json.Unmarshal([]byte(doc), &d)
		}
		if err != nil {
			return errors.Join(err, rows.Close())
		}
		all = append(all, d)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	return putRest(ctx, tx, access.Lapse(all, a.Name, !a.Disabled.IsZero(), now))
}

func (db *DB) keepAccount(ctx context.Context, a people.Account, quiet bool, with func(tx handle) error) error {
	doc, err := json.Marshal(a)
	if err != nil {
		return err
	}
	var invite any
	if a.Invite != "" {
		invite = a.Invite
	}
	err = db.transact(ctx, func(tx handle) error {
		if a.Version == 1 {
			if _, err := tx.exec(ctx, "INSERT INTO person (name, version, invite, doc) VALUES (?, 1, ?, ?)", a.Name, invite, string(doc)); err != nil {
				return err
			}
		} else if err := swap(tx.exec(ctx, "UPDATE person SET version = ?, invite = ?, doc = ? WHERE name = ? AND version = ?",
			a.Version, invite, string(doc), a.Name, a.Version-1)); err != nil {
			return err
		}
		if err := keepPasskeys(ctx, tx, &a); err != nil {
			return err
		}
		return with(tx)
	}, quiet)
	return told(err, people.ErrConflict, "keep an account")
}

// keepPasskeys lets an account be found by its passkeys and no others. One that is somebody else's is a conflict.
func keepPasskeys(ctx context.Context, tx handle, a *people.Account) error {
	query, args := "DELETE FROM person_passkey WHERE person = ?", []any{a.Name}
	if n := len(a.Passkeys); n > 0 {
		query += " AND hash NOT IN (" + marks(n) + ")"
	}
	for i := range a.Passkeys {
		args = append(args, people.PasskeyHash(a.Passkeys[i].ID))
	}
	if _, err := tx.exec(ctx, query, args...); err != nil {
		return err
	}
	for _, hash := range args[1:] {
		if err := swap(tx.exec(ctx, `INSERT INTO person_passkey (hash, person) VALUES (?, ?)
ON CONFLICT (hash) DO UPDATE SET person = excluded.person WHERE person_passkey.person = excluded.person`, hash, a.Name)); err != nil {
			return err
		}
	}
	return nil
}

// SpendChallenge implements people.Challenges.
func (db *DB) SpendChallenge(ctx context.Context, hash string, due time.Time) error {
	err := swap(db.exec(ctx, "INSERT INTO person_challenge (hash, due) VALUES (?, ?) ON CONFLICT DO NOTHING", hash, due.UnixMicro()))
	return told(explain(err), people.ErrConflict, "keep an answered challenge")
}

// BeginSession implements people.Sessions.
func (db *DB) BeginSession(ctx context.Context, s people.Session, instead string) error {
	return db.session(ctx, s, func(tx handle, doc string) error {
		if instead != "" {
			// Who comes second with the same half of a sign-in finds it used.
			n, err := db.end(ctx, tx, "hash = ?", instead)
			if err != nil {
				return err
			}
			if n == 0 {
				return access.ErrConflict
			}
		}
		_, err := tx.exec(ctx, "INSERT INTO person_session (hash, id, subject, due, doc) VALUES (?, ?, ?, ?, ?)", s.Hash, s.ID, s.Subject, s.End.UnixMicro(), doc)
		return err
	})
}

// KeepSession implements people.Sessions.
func (db *DB) KeepSession(ctx context.Context, s people.Session) error {
	return db.session(ctx, s, func(tx handle, doc string) error {
		return swap(tx.exec(ctx, "UPDATE person_session SET due = ?, doc = ? WHERE hash = ?", s.End.UnixMicro(), doc, s.Hash))
	})
}

func (db *DB) session(ctx context.Context, s people.Session, change func(tx handle, doc string) error) error {
	doc, err := json.Marshal(s)
	if err != nil {
		return err
	}
	err = db.transact(ctx, func(tx handle) error { return change(tx, string(doc)) }, true)
	return told(err, people.ErrNone, "keep a session")
}

// SessionOf implements people.Sessions.
func (db *DB) SessionOf(ctx context.Context, hash string) (people.Session, error) {
	return one[people.Session](ctx, db, "a session", "SELECT doc FROM person_session WHERE hash = ?", hash)
}

// SessionsOf implements people.Sessions.
func (db *DB) SessionsOf(ctx context.Context, subject string) ([]people.Session, error) {
	out, err := read[people.Session](ctx, db, "SELECT doc FROM person_session WHERE subject = ? OR ? = '' ORDER BY id", subject, subject)
	if err != nil {
		return nil, fmt.Errorf("read sessions: %w", err)
	}
	return out, nil
}

// EndSessions implements people.Sessions. What came from a session that ends, such as a certificate, ends with it, at every gateway.
func (db *DB) EndSessions(ctx context.Context, subject string, ids []string) error {
	if ids != nil && len(ids) == 0 {
		return nil
	}
	which, args := "subject = ?", []any{subject}
	if ids != nil {
		which += " AND id IN (" + marks(len(ids)) + ")"
		for _, id := range ids {
			args = append(args, id)
		}
	}
	err := db.transact(ctx, func(tx handle) error {
		_, err := db.end(ctx, tx, which, args...)
		return err
	}, true)
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	return nil
}

// end ends the sessions that a condition picks, with what came from them, and says how many there were.
func (db *DB) end(ctx context.Context, tx handle, which string, args ...any) (int, error) {
	rows, err := tx.query(ctx, "DELETE FROM person_session WHERE "+which+" RETURNING id", args...)
	if err != nil {
		return 0, err
	}
	var ended []any
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return 0, errors.Join(err, rows.Close())
		}
		ended = append(ended, id)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(ended) == 0 {
		return 0, err
	}
	n, err := revoke(ctx, tx, time.Now(), "login IN ("+marks(len(ended))+")", ended...)
	if err == nil && n > 0 {
		err = db.changed(ctx, tx)
	}
	return len(ended), err
}
