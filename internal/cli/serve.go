package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/portal"
)

func (a *app) serve() *cobra.Command {
	var logFormat, logLevel, instance string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "guard connections: the gateway",
		Long: `Listens where gateway.listeners of the policy say, lets in whom the policy lets in, and writes
every decision to the trail before it takes effect. Follows the policy file: a change, or
SIGHUP, is taken up without dropping sessions that are still allowed. SIGINT or SIGTERM drain.

A store with provision: auto gets the access part of its wall from here; with manual (the
default), profiles whose wall is not what the policy says are refused until postern apply.

With state: postgres://… any number of these share requests, grants and sign-ins behind one
address. Each needs a name of its own, which is the machine's unless --instance says another.`,
		Example: `  postern serve
  postern serve --instance gw-2
  postern serve --config /etc/postern --log-format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := newLog(a.env.Stderr, logFormat, logLevel)
			if err != nil {
				return err
			}
			c, err := a.load() // mistakes are printed before anything is opened
			if err != nil {
				return err
			}
			hup := make(chan os.Signal, 1)
			signal.Notify(hup, syscall.SIGHUP)
			defer signal.Stop(hup)
			return a.runDaemon(cmd.Context(), c.Path, log, hup, listening{instance: instance, ready: func(addrs []net.Addr) {
				for _, l := range addrs {
					log.Info("listening", "address", l.String())
				}
			}})
		},
	}
	choiceFlag(cmd, "log-format", "`format` of the log", &logFormat, "text", "json")
	cmd.Flags().StringVar(&instance, "instance", "", "`name` of this gateway among those that share state, and in its trail")
	cmd.Flags().StringVar(&logLevel, "log-level", "info", "least severe `level` to log: debug, info, warn or error")
	return cmd
}

func newLog(w io.Writer, format, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, &usageError{command: "postern serve", err: fmt.Errorf("--log-level %q: expected debug, info, warn or error", level)}
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return slog.New(slog.NewTextHandler(w, opts)), nil
}

// listening is what runs serve under, and who is told where it listens.
type listening struct {
	instance string // of the gateway, or ""
	ready    func([]net.Addr)
	portal   func(net.Addr) // before ready
}

// runDaemon runs serve until ctx ends.
func (a *app) runDaemon(ctx context.Context, path string, log *slog.Logger, reload <-chan os.Signal, on listening) error {
	err := daemon.Run(ctx, daemon.Options{
		Path:    path,
		Load:    func(p string) (*config.Config, error) { return config.Load(p, pgsql.Syntax{}) },
		Engines: engines(log), Log: log, Clock: daemon.SystemClock{}, Random: rand.Reader, Version: a.env.Version,
		Insight: func(now daemon.InForce, as daemon.Stands) portal.Insight {
			return &insight{a: a, path: path, now: now, as: as, read: make(chan struct{}, 1)}
		},
		Reload: reload, Instance: on.instance, Ready: on.ready, Portal: on.portal,
	})
	if err != nil {
		return failed("", err)
	}
	return nil
}
