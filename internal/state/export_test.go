package state

import "context"

// ToPostgres writes a migration as a server takes it.
func ToPostgres(text string) string { return toPostgres.Replace(text) }

// TidyGuesses is tidyGuesses with another limit.
func TidyGuesses(ctx context.Context, db *DB, keep int) error { return db.tidyGuesses(ctx, keep) }
