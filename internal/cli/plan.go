package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgserve"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// storeSession is a connection to one store as its provisioner, and what plans of it are made from.
type storeSession struct {
	config  *config.Config
	store   *config.Store
	server  *postgres.Server
	request postgres.Request
}

// openStore connects to the store that --store names, or the only one, as its provisioner.
func (a *app) openStore(ctx context.Context, name string) (*storeSession, error) {
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	s, err := pickStore(c, name)
	if err != nil {
		return nil, err
	}
	return openAs(ctx, c, s, s.Provisioner)
}

func openAs(ctx context.Context, c *config.Config, s *config.Store, account config.Account) (*storeSession, error) {
	// What people hold by grants is wanted too: without it, a plan would take it from them.
	now, err := daemon.PolicyNow(ctx, c, time.Now())
	if err != nil {
		return nil, failed("", err)
	}
	return openFor(ctx, c, s, account, now)
}

// openFor opens a store with the wall that a policy wants there.
func openFor(ctx context.Context, c *config.Config, s *config.Store, account config.Account, now *policy.Policy) (*storeSession, error) {
	root, err := c.Keys.Root.Read(ctx)
	if err != nil {
		return nil, failed("postern init makes the keys", fmt.Errorf("keys.root: %w", err))
	}
	login, err := pgserve.Login(ctx, s, account)
	if err != nil {
		return nil, failed("", err)
	}
	server, err := postgres.Open(ctx, login)
	if err != nil {
		return nil, failed(openHint(s.Name, err), err)
	}
	return &storeSession{config: c, store: s, server: server, request: pgserve.Request(s, now, root)}, nil
}

// openHint says what to do when a store does not let Postern in: what is missing on a server that answered, else where it was looked for.
func openHint(store string, err error) string {
	var network *net.OpError
	if errors.As(err, &network) {
		return "is the server running, and is stores." + store + ".address the one it listens on?"
	}
	return "postern init prints the SQL that makes Postern's logins"
}

func (s *storeSession) close() { _ = s.server.Close(context.Background()) }

// plan compares, and prints mistakes of the policy the way policy check does.
func (s *storeSession) plan(ctx context.Context) (*postgres.Result, error) {
	r, err := s.server.Plan(ctx, s.request)
	return r, explainPlan(err)
}

func explainPlan(err error) error {
	var problems policy.Problems
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problems):
		return problemsError(problems)
	}
	return failed("", err)
}

func (a *app) plan() *cobra.Command {
	var store, out, format string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "show what apply would change on the server, and why",
		Long: `Compiles the policy, compares it with the server, and shows every change with its reason, its
risk and the lines of the policy that cause it. Masks and filters are tried on the server's
own types. Nothing is changed.

Exit codes: 0 nothing to do, 1 there is something to do, 2 could not look.`,
		Example: `  postern plan
  postern plan --format sql > review.sql
  postern plan --out plan.json; postern apply plan.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.openStore(cmd.Context(), store)
			if err != nil {
				return err
			}
			defer s.close()
			r, err := s.plan(cmd.Context())
			if err != nil {
				return err
			}
			if out != "" {
				if err := savePlan(out, r.Plan); err != nil {
					return failed("", err)
				}
			}
			if err := a.printPlan(r.Plan, format); err != nil {
				return err
			}
			if !r.Plan.Empty() {
				return silently(exitFindings)
			}
			return nil
		},
	}
	storeFlag(cmd, &store)
	cmd.Flags().StringVar(&out, "out", "", "also write the plan to `file`, for postern apply FILE")
	formatFlag(cmd, &format, "text", "json", "sql")
	return cmd
}

func storeFlag(cmd *cobra.Command, store *string) {
	cmd.Flags().StringVar(store, "store", "", "`store` of the policy (default: the only one)")
}

func savePlan(path string, p *plan.Plan) error {
	var text bytes.Buffer
	if err := (&ui{out: &text}).json(p); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	return nil
}

// loadPlan reads what --out wrote, for its store and digest: apply makes the plan anew and compares.
func loadPlan(path string) (*plan.Plan, error) {
	text, err := os.ReadFile(path) //nolint:gosec // named by the person
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	var p plan.Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("%s is no plan: %w", path, err)
	}
	if p.Store == "" || p.Digest == "" {
		return nil, fmt.Errorf("%s is no plan: it names no store or digest", path)
	}
	return &p, nil
}

func (a *app) printPlan(p *plan.Plan, format string) error {
	switch format {
	case "json":
		return a.ui.json(p)
	case "sql":
		a.printPlanSQL(p)
		return nil
	}
	for _, w := range p.Warnings {
		text := w.Text
		if w.Hint != "" {
			text += "; " + w.Hint
		}
		if !w.Pos.IsZero() {
			text = w.Pos.String() + ": " + text
		}
		a.ui.warn("%s", printable(text))
	}
	for _, c := range p.Changes {
		a.printChange(c)
	}
	for _, o := range p.Operator {
		a.printStep(o)
	}
	switch {
	case p.Empty() && len(p.Operator) == 0:
		a.ui.printf("%s: nothing to do\n", p.Store)
	case p.Empty():
		a.ui.printf("%s: nothing to apply, %s left to a superuser\n", p.Store, count(len(p.Operator), "step"))
	default:
		a.ui.printf("%s: %s to apply, %d widening, %d need consent by name, %s left to a superuser\n",
			p.Store, count(len(p.Changes), "change"), len(p.Widening()), len(p.Unaccepted(nil)), count(len(p.Operator), "step"))
	}
	return nil
}

func (a *app) printChange(c plan.Change) {
	sign, style := "~", styleBold
	switch {
	case c.Drift:
		sign, style = "!", styleYellow
	case c.Widens:
		sign, style = "+", styleYellow
	}
	a.ui.printf("%s %s  %s\n", a.ui.style(style, sign), a.ui.style(styleBold, printable(c.Title)), a.ui.style(styleDim, c.ID))
	if c.Reason != "" {
		a.ui.printf("    why: %s\n", printable(c.Reason))
	}
	if !c.Cause.IsZero() {
		a.ui.printf("    policy: %s\n", c.Cause)
	}
	for _, text := range c.Leaves {
		a.ui.printf("    leaves: %s\n", printable(text))
	}
	if c.Risk != "" {
		a.ui.printf("    risk: %s\n", printable(c.Risk))
	}
	if c.Consent != plan.ConsentNone {
		a.ui.printf("    %s\n", a.ui.style(styleYellow, "needs consent: --accept "+c.ID))
	}
	for _, t := range c.Locks {
		a.ui.printf("    locks: %s\n", printable(t))
	}
	a.printSQL(c.SQL)
}

func (a *app) printSQL(all []string) {
	for i, sql := range all {
		if i == shownStatements && len(all) > shownStatements+1 {
			a.ui.printf("    %s\n", a.ui.style(styleDim, fmt.Sprintf("… and %d more statements: --format sql shows all", len(all)-i)))
			break
		}
		a.ui.printf("    %s\n", a.ui.style(styleDim, printable(shorten(oneLine(sql))+";")))
	}
}

// What the text of a plan shows of the SQL: a person reads it, --format sql has it all.
const (
	shownStatements = 8
	shownLength     = 300
)

func shorten(sql string) string {
	if r := []rune(sql); len(r) > shownLength {
		return string(r[:shownLength]) + " …"
	}
	return sql
}

func (a *app) printStep(o plan.OperatorStep) {
	word := "left to a superuser"
	if o.Required {
		word = "needed first, by a superuser"
	}
	a.ui.printf("%s %s: %s  %s\n", a.ui.style(styleYellow, "*"), word, a.ui.style(styleBold, printable(o.Title)), a.ui.style(styleDim, o.ID))
	if o.StaysOpen != "" {
		a.ui.printf("    without it: %s\n", printable(o.StaysOpen))
	}
	a.printSQL(o.SQL)
}

func oneLine(sql string) string { return strings.Join(strings.Fields(sql), " ") }

// printPlanSQL prints a plan as a script to read. Secrets stay placeholders, so it is not a script to run.
func (a *app) printPlanSQL(p *plan.Plan) {
	a.ui.printf("-- plan of store %s, database %s, digest %s\n", p.Store, p.Database, p.Digest)
	for _, c := range p.Changes {
		a.ui.printf("\n-- %s: %s\n-- why: %s\n", c.ID, printable(c.Title), printable(c.Reason))
		for _, sql := range c.SQL {
			a.ui.printf("%s;\n", sql)
		}
		if len(c.Reverse) > 0 {
			a.ui.printf("-- reverse:\n")
			for _, sql := range c.Reverse {
				a.ui.printf("--   %s;\n", strings.ReplaceAll(sql, "\n", "\n--   "))
			}
		}
	}
	for _, o := range p.Operator {
		a.ui.printf("\n-- by a superuser: %s\n", printable(o.Title))
		for _, sql := range o.SQL {
			a.ui.printf("%s;\n", sql)
		}
	}
}
