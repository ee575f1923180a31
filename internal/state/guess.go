package state

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/identity"
)

var _ identity.Ledger = (*DB)(nil)

// A login waits this long for what is known of guesses: where state does not answer, nobody is let in anyway. And so many keys are kept,
// however many names strangers try: the oldest that lock nobody out go first.
const (
	guessLimit  = 2 * time.Second
	keepGuesses = 1 << 16
	guessesLock = 20 // identity's: of these none is dropped for want of room
)

// Shared says whether several gateways may use this state.
func (db *DB) Shared() bool { return db.remote != nil }

// Tallies implements identity.Ledger.
func (db *DB) Tallies(ctx context.Context, keys []string, now time.Time) (map[string]identity.Tally, error) {
	ctx, cancel := context.WithTimeout(ctx, guessLimit)
	defer cancel()
	args := make([]any, 0, len(keys)+1)
	for _, k := range keys {
		args = append(args, k)
	}
	rows, err := db.query(ctx, "SELECT key, failures, last FROM guess WHERE key IN ("+marks(len(keys))+") AND due > ?", append(args, now.UnixMicro())...)
	if err != nil {
		return nil, fmt.Errorf("read failed logins: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	out := map[string]identity.Tally{}
	for rows.Next() {
		var key string
		var n int
		var last int64
		if err := rows.Scan(&key, &n, &last); err != nil {
			return nil, fmt.Errorf("read failed logins: %w", explain(err))
		}
		out[key] = identity.Tally{Failures: n, Last: time.UnixMicro(last).UTC()}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read failed logins: %w", explain(err))
	}
	return out, nil
}

// Count implements identity.Ledger. Keys are counted in their order, so that two gateways never wait for each other.
func (db *DB) Count(ctx context.Context, until map[string]time.Time, now time.Time) (map[string]int, error) {
	ctx, cancel := context.WithTimeout(ctx, guessLimit)
	defer cancel()
	var out map[string]int
	err := db.transact(ctx, func(tx handle) error {
		out = map[string]int{}
		for _, key := range slices.Sorted(maps.Keys(until)) {
			var n int
			err := tx.queryRow(ctx, `INSERT INTO guess (key, failures, last, due) VALUES (?, 1, ?, ?)
ON CONFLICT (key) DO UPDATE SET failures = CASE WHEN guess.due > excluded.last THEN guess.failures + 1 ELSE 1 END,
    last = excluded.last, due = excluded.due RETURNING failures`, key, now.UnixMicro(), until[key].UnixMicro()).Scan(&n)
			if err != nil {
				return err
			}
			out[key] = n
		}
		return nil
	}, true)
	if err != nil {
		return nil, fmt.Errorf("count a failed login: %w", err)
	}
	return out, nil
}

// Forgive implements identity.Ledger.
func (db *DB) Forgive(ctx context.Context, forget, known string, until, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, guessLimit)
	defer cancel()
	err := db.transact(ctx, func(tx handle) error {
		if forget != "" {
			if _, err := tx.exec(ctx, "DELETE FROM guess WHERE key = ?", forget); err != nil {
				return err
			}
		}
		if known == "" {
			return nil
		}
		_, err := tx.exec(ctx, `INSERT INTO guess (key, failures, last, due) VALUES (?, 0, ?, ?)
ON CONFLICT (key) DO UPDATE SET failures = 0, last = excluded.last, due = excluded.due`, known, now.UnixMicro(), until.UnixMicro())
		return err
	}, true)
	if err != nil {
		return fmt.Errorf("forgive failed logins: %w", err)
	}
	return nil
}

// tidyGuesses keeps a flood of names from filling state.
func (db *DB) tidyGuesses(ctx context.Context, keep int) error {
	_, err := db.exec(ctx, "DELETE FROM guess WHERE failures < ? AND last < (SELECT last FROM guess ORDER BY last DESC LIMIT 1 OFFSET ?)", guessesLock, keep-1)
	if err != nil {
		return fmt.Errorf("tidy state: %w", explain(err))
	}
	return nil
}
