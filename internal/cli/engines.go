package cli

import (
	"log/slog"
	"os"

	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/engine/postgres/pgserve"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
)

// engines lists the kinds of store by the name they have in the policy file.
func engines(log *slog.Logger) map[string]daemon.Engine {
	return map[string]daemon.Engine{"postgres": pgserve.Engine{Log: log, Worker: workerCommand()}}
}

// workerVerb is what this binary calls itself with, to parse statements in a process of its own.
const workerVerb = "parser-worker"

// workerCommand starts this binary again; nil when it does not know where it is.
func workerCommand() []string {
	exe, err := os.Executable()
	if err != nil {
		return nil
	}
	return []string{exe, os.Args[0], workerVerb}
}

// parserWorker is the life of such a process. It is no command: people have no use for it, and it needs none of what commands
// are given.
func parserWorker(env Env) int {
	if err := pgsql.ParserWorker(env.Stdin, env.Stdout); err != nil {
		return exitFailed
	}
	return 0
}
