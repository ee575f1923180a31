package daemon

import (
	"context"
	"errors"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/state"
)

func isMissing(err error) bool { return errors.Is(err, state.ErrMissing) }

// StateNotEmpty says whether a restore was refused because it would have replaced something.
func StateNotEmpty(err error) bool { return errors.Is(err, state.ErrNotEmpty) }

// OpenHeads opens what state knows of the trail, for those who verify it: how far it must reach, and which instance writes it.
// Without a state file heads is nil, and nothing is made. The instance is the one that serve would be here. closeHeads must be called.
func OpenHeads(ctx context.Context, c *config.Config) (heads audit.HeadStore, instance string, closeHeads func(), err error) {
	nothing := func() {}
	st, err := openExisting(ctx, c)
	if isMissing(err) {
		return nil, "", nothing, nil
	}
	if err != nil {
		return nil, "", nothing, err
	}
	here, err := instanceName(ctx, c, st, "")
	if err != nil {
		return nil, "", nothing, errors.Join(err, st.Close())
	}
	return st, here, func() { _ = st.Close() }, nil
}
