package state

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/postern-sec/postern/internal/people"
)

var _ people.Devices = (*DB)(nil)

// KeepDevice implements people.Devices.
func (db *DB) KeepDevice(ctx context.Context, d people.Device) error {
	doc, err := json.Marshal(d)
	if err != nil {
		return err
	}
	err = db.transact(ctx, func(tx handle) error {
		if d.Version == 1 {
			_, err := tx.exec(ctx, "INSERT INTO person_device (hash, code, version, due, doc) VALUES (?, ?, 1, ?, ?)", d.Hash, d.Code, d.End.UnixMicro(), string(doc))
			return err
		}
		return swap(tx.exec(ctx, "UPDATE person_device SET version = ?, doc = ? WHERE hash = ? AND version = ?", d.Version, string(doc), d.Hash, d.Version-1))
	}, true)
	return told(err, people.ErrConflict, "keep a terminal that waits")
}

// DeviceByHash implements people.Devices.
func (db *DB) DeviceByHash(ctx context.Context, hash string) (people.Device, error) {
	return one[people.Device](ctx, db, "a terminal that waits", "SELECT doc FROM person_device WHERE hash = ?", hash)
}

// DeviceByCode implements people.Devices.
func (db *DB) DeviceByCode(ctx context.Context, code string) (people.Device, error) {
	return one[people.Device](ctx, db, "a terminal that waits", "SELECT doc FROM person_device WHERE code = ?", code)
}

// DropDevice implements people.Devices.
func (db *DB) DropDevice(ctx context.Context, hash string) error {
	err := db.transact(ctx, func(tx handle) error {
		return swap(tx.exec(ctx, "DELETE FROM person_device WHERE hash = ?", hash))
	}, true)
	return told(err, people.ErrNone, "forget a terminal that waited")
}

// WaitingDevices implements people.Devices.
func (db *DB) WaitingDevices(ctx context.Context, now time.Time) ([]string, error) {
	all, err := read[people.Device](ctx, db, "SELECT doc FROM person_device WHERE due > ?", now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("count terminals that wait: %w", err)
	}
	out := make([]string, 0, len(all))
	for i := range all {
		out = append(out, all[i].Address)
	}
	return out, nil
}
