package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgserve"
)

func (a *app) discoverTest() *cobra.Command {
	var store, column, format string
	cmd := &cobra.Command{
		Use:   "test [CLASS]",
		Short: "try the policy's own classifiers on their examples and on a column",
		Long: `Runs the examples of the classifiers in the policy file, and with --column their value rules over a
bounded sample of one column. It says how many values were accepted, and shows none.

Exit codes: 0 every example is as it should be, 2 an example is not, or could not look.`,
		Example: `  postern discover test
  postern discover test acme.loyalty_id --column public.customers.loyalty_no`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			class := ""
			if len(args) == 1 {
				class = args[0]
			}
			return a.tryClassifiers(cmd.Context(), class, store, column, format)
		},
	}
	storeFlag(cmd, &store)
	formatFlag(cmd, &format, "table", "json")
	cmd.Flags().StringVar(&column, "column", "", "also try a sample of this `column`: schema.table.column")
	return cmd
}

func (a *app) tryClassifiers(ctx context.Context, class, store, column, format string) error {
	c, err := a.load() // a classifier that fails its examples is refused here, with its line
	if err != nil {
		return err
	}
	if len(c.Discover.Classifiers) == 0 {
		return failed("add the key classifiers", errors.New("the policy has no classifier of its own"))
	}
	var feed *postgres.Feed
	if column != "" {
		s, err := pickStore(c, store)
		if err != nil {
			return err
		}
		login, err := pgserve.Login(ctx, s, scannerOf(s))
		if err != nil {
			return failed("", err)
		}
		standbys, err := pgserve.Standbys(ctx, c, s, scannerOf(s))
		if err != nil {
			return failed("", err)
		}
		feed = postgres.NewFeed(login, 1)
		defer feed.Close(context.WithoutCancel(ctx))
		feed.Prefer(ctx, standbys, func(text string) { a.ui.note("store %s: %s", s.Name, printable(text)) })
	}
	trials, err := discover.Try(ctx, feed, c.Discover.Classifiers, class, column)
	if err != nil {
		return failed("", err)
	}
	if format == "json" {
		return a.ui.json(trials)
	}
	tw := tabwriter.NewWriter(a.ui.out, 0, 4, 2, ' ', 0)
	for _, t := range trials {
		fmt.Fprintf(tw, "%s\t%s as they should be", t.Class, count(t.Match+t.Reject, "example"))
		if column != "" {
			fmt.Fprintf(tw, "\t%d of %d values of %s accepted", t.Accepted, t.Tested, t.Column)
		}
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}
