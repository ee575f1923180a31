package state

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/postern-sec/postern/internal/directory"
	"github.com/postern-sec/postern/internal/people"
)

var _ directory.Store = (*DB)(nil)

// What the directory said is one document, because an answer counts as a whole or not at all. It stands among those whom the identity
// provider knows, under a key that is no hash and a name that nobody can have.
const (
	directoryKey  = "directory"
	directoryName = "directory:"
)

// Directory implements directory.Store.
func (db *DB) Directory(ctx context.Context) (directory.Known, error) {
	k, err := one[directory.Known](ctx, db, "what the directory said", "SELECT doc FROM sso_link WHERE key = ?", directoryKey)
	if errors.Is(err, people.ErrNone) {
		return directory.Known{}, nil
	}
	return k, err
}

// KeepDirectory implements directory.Store.
func (db *DB) KeepDirectory(ctx context.Context, k directory.Known, quiet bool) error {
	doc, err := json.Marshal(k)
	if err != nil {
		return err
	}
	err = db.transact(ctx, func(tx handle) error {
		if k.Version == 1 {
			_, err := tx.exec(ctx, "INSERT INTO sso_link (key, version, name, doc) VALUES (?, 1, ?, ?)", directoryKey, directoryName, string(doc))
			return err
		}
		return swap(tx.exec(ctx, "UPDATE sso_link SET version = ?, doc = ? WHERE key = ? AND version = ?", k.Version, string(doc), directoryKey, k.Version-1))
	}, quiet)
	return told(err, directory.ErrConflict, "keep what the directory said")
}
