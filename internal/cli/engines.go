package cli

import (
	"log/slog"

	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/engine/postgres/pgserve"
)

// engines lists the kinds of store by the name they have in the policy file.
func engines(log *slog.Logger) map[string]daemon.Engine {
	return map[string]daemon.Engine{"postgres": pgserve.Engine{Log: log}}
}
