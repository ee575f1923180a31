package state

import "context"

// TidyGuesses is tidyGuesses with another limit.
func TidyGuesses(ctx context.Context, db *DB, keep int) error { return db.tidyGuesses(ctx, keep) }
