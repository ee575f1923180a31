package daemon

import (
	"context"
	"errors"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/state"
)

func isMissing(err error) bool { return errors.Is(err, state.ErrMissing) }

// OpenHeads opens what state knows of the trail, for those who verify it: how far it must reach, and which instance writes it.
// Without a state file heads is nil, and nothing is made. closeHeads must be called.
func OpenHeads(ctx context.Context, c *config.Config) (heads audit.HeadStore, instance string, closeHeads func(), err error) {
	nothing := func() {}
	st, err := state.OpenExisting(ctx, c.State.SQLite)
	if isMissing(err) {
		return nil, "", nothing, nil
	}
	if err != nil {
		return nil, "", nothing, err
	}
	here, err := st.Installation(ctx)
	if err != nil {
		return nil, "", nothing, errors.Join(err, st.Close())
	}
	return st, here.ID, func() { _ = st.Close() }, nil
}
