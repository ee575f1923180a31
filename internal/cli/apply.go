package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/plan"
)

func (a *app) apply() *cobra.Command {
	var (
		store, format string
		yes           bool
		accept        []string
	)
	cmd := &cobra.Command{
		Use:   "apply [PLAN]",
		Short: "bring the server to what the policy wants, in one transaction",
		Long: `Shows the plan, asks, and carries it out in one transaction: when a step fails, or another
session holds a table for too long, nothing is changed. Afterwards the server is looked at
again and must be as wanted. With a file that postern plan --out wrote, exactly that plan is
applied, or none.

--yes is the answer to "apply?". A change that lets somebody see more than before, or touches
the way of a role outside Postern, needs --accept with its ID besides.`,
		Example: `  postern apply
  postern apply --yes
  postern apply plan.json --yes --accept profile:postern_shop_analysts_1a2b3c4d`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			digest := ""
			if len(args) == 1 {
				p, err := loadPlan(args[0])
				if err != nil {
					return failed("postern plan --out FILE writes one", err)
				}
				if store != "" && store != p.Store {
					return failed("", fmt.Errorf("the plan is for store %s, not %s", p.Store, store))
				}
				store, digest = p.Store, p.Digest
			}
			s, err := a.openStore(cmd.Context(), store)
			if err != nil {
				return err
			}
			defer s.close()
			return a.applyStore(cmd.Context(), s, digest, yes, accept, format)
		},
	}
	storeFlag(cmd, &store)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "apply without asking")
	cmd.Flags().StringArrayVar(&accept, "accept", nil, "consent to the change with this `ID`; repeat for several")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) applyStore(ctx context.Context, s *storeSession, digest string, yes bool, accept []string, format string) error {
	r, err := s.plan(ctx)
	if err != nil {
		return err
	}
	if digest != "" && r.Plan.Digest != digest {
		return failed("run postern plan again", &postgres.ChangedError{Want: digest, Have: r.Plan.Digest})
	}
	if err := knownIDs(r.Plan, accept); err != nil {
		return err
	}
	if format == "text" || !yes {
		if err := a.printPlan(r.Plan, "text"); err != nil {
			return err
		}
	}
	if r.Plan.Empty() {
		return a.applied(r.Plan, format)
	}
	if !yes {
		ok, err := a.ui.confirm(fmt.Sprintf("apply %s to store %s?", count(len(r.Plan.Changes), "change"), s.store.Name), "--yes")
		if err != nil {
			return err
		}
		if !ok {
			return &exitError{code: exitFindings, err: errors.New("not applied")}
		}
	}
	done, err := s.server.Apply(ctx, s.request, postgres.Consent{Digest: r.Plan.Digest, Accepted: accept})
	if err != nil {
		return explainApply(err)
	}
	what := fmt.Sprintf("%s, plan %.12s", count(len(done.Plan.Changes), "change"), r.Plan.Digest)
	if err := daemon.NoteApply(ctx, s.config, machineAccount(), s.store.Name, what, time.Now()); err != nil {
		a.ui.warn("applied, and not noted for the trail: %v", err)
	}
	return a.applied(done.Plan, format)
}

// machineAccount is who runs this program, as the machine knows them.
func machineAccount() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// applied reports what was done.
func (a *app) applied(p *plan.Plan, format string) error {
	if format == "json" {
		return a.ui.json(p)
	}
	if !p.Empty() {
		a.ui.printf("%s: applied %s; the server is as the policy wants\n", p.Store, count(len(p.Changes), "change"))
	}
	return nil
}

// knownIDs refuses a consent to something that is not in the plan: it was meant for something.
func knownIDs(p *plan.Plan, accept []string) error {
	for _, id := range accept {
		found := false
		for _, c := range p.Changes {
			found = found || c.ID == id
		}
		if !found && !p.Empty() {
			return failed("postern plan lists the IDs", fmt.Errorf("--accept %s: the plan has no such change", id))
		}
	}
	return nil
}

func explainApply(err error) error {
	var (
		consent  *postgres.ConsentError
		operator *postgres.OperatorError
		changed  *postgres.ChangedError
	)
	switch {
	case errors.As(err, &consent):
		return &exitError{code: exitFindings, err: err, hint: "postern plan shows what each of them changes"}
	case errors.As(err, &operator):
		return failed("run these as superuser, then postern apply again", err)
	case errors.As(err, &changed):
		return failed("run postern plan again", err)
	}
	return explainPlan(err)
}
