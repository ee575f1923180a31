package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/engine/postgres"
)

func (a *app) suspend() *cobra.Command {
	var (
		store  string
		accept []string
	)
	cmd := &cobra.Command{
		Use:   "suspend [-- COMMAND [ARG…]]",
		Short: "take the profile views away, so that tables can be migrated",
		Long: `Drops the profile views of a store, because PostgreSQL refuses to drop or alter a column that
a view shows. Row policies and roles stay, and subjects are refused meanwhile. With a command,
runs it and resumes afterwards; without one, postern resume does that.

The command's exit code is postern's own when it is not 0. The views are rebuilt either way.`,
		Example: `  postern suspend -- flyway migrate
  postern suspend --store shop; psql -f migration.sql; postern resume --store shop`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && cmd.ArgsLenAtDash() != 0 {
				return &usageError{command: cmd.CommandPath(), err: errors.New("the command stands behind --")}
			}
			s, err := a.openStore(cmd.Context(), store)
			if err != nil {
				return err
			}
			defer s.close()
			if err := s.server.Suspend(cmd.Context(), s.request); err != nil {
				return explainPlan(err)
			}
			if len(args) == 0 {
				a.ui.printf("%s: suspended; postern resume --store %s rebuilds the views\n", s.store.Name, s.store.Name)
				return nil
			}
			code, runErr := a.runCommand(cmd.Context(), args)
			// The views come back even when the command failed or Ctrl-C ended it.
			if err := a.resumeStore(context.WithoutCancel(cmd.Context()), s, accept); err != nil {
				return errors.Join(runErr, err)
			}
			switch {
			case runErr != nil:
				return runErr
			case code != 0:
				return &exitError{code: code, err: fmt.Errorf("%s ended with exit code %d; the views are back", printable(args[0]), code)}
			}
			return nil
		},
	}
	storeFlag(cmd, &store)
	cmd.Flags().StringArrayVar(&accept, "accept", nil, "consent to the change with this `ID` when resuming")
	return cmd
}

// runCommand runs a migration with the terminal as its own.
func (a *app) runCommand(ctx context.Context, args []string) (int, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // the person's own command
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = a.env.Stdin, a.env.Stdout, a.env.Stderr, os.Environ()
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode(), nil
	}
	return exitFailed, failed("", fmt.Errorf("run %s: %w", printable(args[0]), err))
}

func (a *app) resume() *cobra.Command {
	var (
		store  string
		accept []string
	)
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "rebuild the profile views after postern suspend",
		Long: `Rebuilds the views from what the tables are now, in one transaction. Where a changed column
would let somebody see more than before, consent by name is needed as with postern apply.`,
		Example: `  postern resume
  postern resume --store shop --accept profile:postern_shop_analysts_1a2b3c4d`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.openStore(cmd.Context(), store)
			if err != nil {
				return err
			}
			defer s.close()
			return a.resumeStore(cmd.Context(), s, accept)
		},
	}
	storeFlag(cmd, &store)
	cmd.Flags().StringArrayVar(&accept, "accept", nil, "consent to the change with this `ID`")
	return cmd
}

func (a *app) resumeStore(ctx context.Context, s *storeSession, accept []string) error {
	r, err := s.server.PlanResume(ctx, s.request)
	if err != nil {
		return explainPlan(err)
	}
	done, err := s.server.Resume(ctx, s.request, postgres.Consent{Digest: r.Plan.Digest, Accepted: accept})
	if err != nil {
		return explainApply(err)
	}
	a.ui.printf("%s: resumed, %s\n", s.store.Name, count(len(done.Plan.Changes), "change"))
	return nil
}
