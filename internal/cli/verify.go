package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/engine/postgres"
)

func (a *app) verify() *cobra.Command {
	var (
		store, format string
		opts          postgres.VerifyOptions
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "prove that the wall on the server is what the policy says",
		Long: `Compares every object of Postern's on the server with what apply would make, and logs in as a
temporary probe of each profile: what the probe sees is compared, row by row, with the policy's
filters evaluated on the tables themselves and with masks computed apart from the server.
Tables with more rows than --rows are compared up to that many, by key, and the report says so.

Exit codes: 0 proved, 1 something is not as the policy says, 2 could not look, 3 not all could
be examined.`,
		Example: `  postern verify
  postern verify --store shop --rows 1000 --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.openStore(cmd.Context(), store)
			if err != nil {
				return err
			}
			defer s.close()
			if a.ui.terminal && format == "text" {
				a.ui.note("comparing what each profile sees with what the policy says …")
			}
			v, err := s.server.Verify(cmd.Context(), s.request, opts)
			if err != nil {
				return explainPlan(err)
			}
			if format == "json" {
				err = a.ui.json(v)
			} else {
				a.printVerification(s.store.Name, v)
			}
			switch {
			case err != nil:
				return err
			case len(v.Findings) > 0:
				return silently(exitFindings)
			case len(v.Incomplete) > 0:
				return silently(exitIncomplete)
			}
			return nil
		},
	}
	storeFlag(cmd, &store)
	cmd.Flags().IntVar(&opts.Rows, "rows", 100_000, "compare at most so many `rows` of a table for each subject")
	cmd.Flags().IntVar(&opts.Subjects, "subjects", 3, "`subjects` with different attributes to try for each profile")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) printVerification(store string, v *postgres.Verification) {
	rows, sampled := 0, 0
	for _, c := range v.Compared {
		rows += c.Rows
		if c.Sampled {
			sampled++
		}
	}
	for _, f := range v.Findings {
		where := f.Object
		if f.Profile != "" {
			where += " (" + f.Profile + ")"
		}
		a.ui.printf("%s %s: %s\n", a.ui.style(styleRed, f.Kind), printable(where), printable(f.Message))
	}
	for _, text := range v.Incomplete {
		a.ui.printf("%s %s\n", a.ui.style(styleYellow, "not examined"), printable(text))
	}
	verdict, style := "proved", styleGreen
	switch {
	case len(v.Findings) > 0:
		verdict, style = count(len(v.Findings), "finding"), styleRed
	case len(v.Incomplete) > 0:
		verdict, style = "not all could be examined", styleYellow
	}
	sample := ""
	if sampled > 0 {
		sample = ", " + strconv.Itoa(sampled) + " of them by sample"
	}
	a.ui.printf("%s: %s: %s, %d rows compared%s\n", store, a.ui.style(style, verdict), count(len(v.Compared), "comparison"), rows, sample)
}
