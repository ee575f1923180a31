package state

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Use is how much of an allowance is used up, and until when that counts. The key is a digest, of what is the gateway's to say.
type Use struct {
	Key   string
	Used  int64
	Until time.Time
}

// keepUses bounds what is read of others: as many as a gateway keeps of its own.
const keepUses = 100_000

// ShareUse notes what a run of a gateway has used, and returns what all other runs have, by key, as far as it counts now. A run that is
// over is another one too: a restart gives nobody a new allowance.
func (db *DB) ShareUse(ctx context.Context, run string, mine []Use, now time.Time) (map[string]Use, error) {
	if len(mine) > 0 {
		mine = slices.SortedFunc(slices.Values(mine), func(a, b Use) int { return cmp.Compare(a.Key, b.Key) })
		err := db.transact(ctx, func(tx handle) error {
			for _, u := range mine {
				_, err := tx.exec(ctx, `INSERT INTO meter (key, run, used, due) VALUES (?, ?, ?, ?)
ON CONFLICT (key, run) DO UPDATE SET used = excluded.used, due = excluded.due`, u.Key, run, u.Used, u.Until.UnixMicro())
				if err != nil {
					return err
				}
			}
			return nil
		}, true)
		if err != nil {
			return nil, fmt.Errorf("share what is used of limits: %w", err)
		}
	}
	rows, err := db.query(ctx, "SELECT key, CAST(sum(used) AS BIGINT), max(due) FROM meter WHERE run <> ? AND due > ? AND used > 0 GROUP BY key LIMIT ?",
		run, now.UnixMicro(), keepUses)
	if err != nil {
		return nil, fmt.Errorf("read what is used of limits: %w", explain(err))
	}
	defer func() { _ = rows.Close() }()
	out := map[string]Use{}
	for rows.Next() {
		var u Use
		var due int64
		if err := rows.Scan(&u.Key, &u.Used, &due); err != nil {
			return nil, fmt.Errorf("read what is used of limits: %w", explain(err))
		}
		u.Until = time.UnixMicro(due).UTC()
		out[u.Key] = u
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read what is used of limits: %w", explain(err))
	}
	return out, nil
}
