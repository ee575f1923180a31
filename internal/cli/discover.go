package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgserve"
)

// discoverFlags are the flags of discover.
type discoverFlags struct {
	store, from, format, write, explain string
	include, exclude                    []string
	diff, failOnNew, readers            bool
	jobs, rows                          int
	load                                float64
}

func (a *app) discover() *cobra.Command {
	var f discoverFlags
	cmd := &cobra.Command{
		Use:   "discover [DSN]",
		Short: "find the columns that hold sensitive data",
		Long: `Looks at names, types, comments and keys, at the planner's statistics, and where those do not
suffice at bounded samples, in read-only transactions, and says which columns hold what, with the
evidence. No value of the data is printed, logged or kept: shapes and counts only.

Without a DSN the store of the policy is examined, as its provisioner. --write adds labels, suggested
masks and a dataset to the policy file, keeping its comments and order; nothing is applied.

Exit codes: 0 the run is complete, 1 with --fail-on-new something is new, 2 could not look,
3 something was not examined (it is listed, with the GRANT to run).`,
		Example: `  postern discover postgres://auditor@db1/shop
  postern discover --store shop --write postern.yaml
  postern discover --explain public.customers.email
  postern discover --diff --fail-on-new --format tsv`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runDiscover(cmd.Context(), &f, args) },
	}
	flags := cmd.Flags()
	storeFlag(cmd, &f.store)
	choiceFlag(cmd, "from", &f.from, string(discover.FromAuto), string(discover.FromStats), string(discover.FromSample))
	formatFlag(cmd, &f.format, "table", "json", "tsv", "markdown", "html")
	flags.StringSliceVar(&f.include, "include", nil, "examine only what matches this `pattern` of schema.table.column; repeat for several")
	flags.StringSliceVar(&f.exclude, "exclude", nil, "leave out what matches this `pattern`; repeat for several")
	flags.StringVar(&f.write, "write", "", "write the policy file with labels, masks and a dataset added to `file`")
	flags.StringVar(&f.explain, "explain", "", "show the arithmetic of one `column`: schema.table.column")
	flags.BoolVar(&f.diff, "diff", false, "say what is new since the last run on this store")
	flags.BoolVar(&f.failOnNew, "fail-on-new", false, "exit 1 when something is new; implies --diff")
	flags.BoolVar(&f.readers, "readers", false, "list who can read each classified column")
	flags.IntVar(&f.jobs, "jobs", 1, "`tables` to sample at once")
	flags.IntVar(&f.rows, "rows", 0, "`rows` to sample of a table (default 2000)")
	flags.Float64Var(&f.load, "load", 0, "`share` of the time to keep the server busy, up to 1 (default 0.8)")
	return cmd
}

func (a *app) runDiscover(ctx context.Context, f *discoverFlags, args []string) error {
	login, c, store, err := a.discoverTarget(ctx, f, args)
	if err != nil {
		return err
	}
	opts := discover.Options{
		From: discover.From(f.from), Include: f.include, Exclude: f.exclude, Jobs: f.jobs, Load: f.load, Rows: f.rows,
		Readers: f.readers || f.format == "html" || f.format == "markdown", Progress: a.discoverProgress(),
	}
	var last string
	if store != nil {
		opts.Store = store.Name
		last = filepath.Join(c.Folder, "discovered", store.Name+".json")
	}
	if f.diff || f.failOnNew {
		if opts.Last, err = readReport(last); err != nil {
			return err
		}
	}
	feed := postgres.NewFeed(login, max(f.jobs, 1))
	defer feed.Close(context.WithoutCancel(ctx))
	report, err := discover.Run(ctx, feed, opts)
	a.ui.progressDone()
	if err != nil {
		if report != nil { // broken off: what was found so far is shown, and not kept as a complete run
			err = errors.Join(err, a.printDiscover(f, report))
		}
		return failed("", err)
	}
	if err := a.finishDiscover(f, c, report, last); err != nil {
		return err
	}
	if code := report.ExitCode(f.failOnNew); code != exitOK {
		return silently(code)
	}
	return nil
}

// discoverTarget is the DSN, or a store of the policy as its provisioner.
func (a *app) discoverTarget(ctx context.Context, f *discoverFlags, args []string) (postgres.Config, *config.Config, *config.Store, error) {
	none := postgres.Config{}
	if len(args) == 1 {
		switch {
		case f.store != "":
			return none, nil, nil, failed("", errors.New("a DSN and --store: name one of them"))
		case f.diff || f.failOnNew || f.write != "":
			return none, nil, nil, failed("use --store, with the store in the policy", errors.New("--diff, --fail-on-new and --write need a store of the policy"))
		}
		login, err := postgres.ParseDSN(args[0], a.env.Getenv)
		if err != nil {
			return none, nil, nil, failed("", err)
		}
		return login, nil, nil, nil
	}
	c, err := a.load()
	if err != nil {
		return none, nil, nil, err
	}
	s, err := pickStore(c, f.store)
	if err != nil {
		return none, nil, nil, err
	}
	login, err := pgserve.Login(ctx, s, s.Provisioner)
	if err != nil {
		return none, nil, nil, failed("", err)
	}
	return login, c, s, nil
}

// finishDiscover prints the report, and writes what was asked for.
func (a *app) finishDiscover(f *discoverFlags, c *config.Config, report *discover.Report, last string) error {
	if err := a.printDiscover(f, report); err != nil {
		return failed("", err)
	}
	if last != "" {
		if err := writeReport(last, report); err != nil {
			return failed("", err)
		}
	}
	if f.write == "" {
		return nil
	}
	var existing []byte
	if len(c.Files) == 1 {
		var err error
		if existing, err = os.ReadFile(c.Files[0]); err != nil {
			return failed("", fmt.Errorf("read the policy: %w", err))
		}
	}
	patched, err := report.Patch(existing, c.Policy)
	if err != nil {
		return failed("", err)
	}
	if err := os.WriteFile(f.write, patched, 0o600); err != nil {
		return failed("", fmt.Errorf("write the patch: %w", err))
	}
	a.ui.note("wrote %s: review it, then postern policy check and postern plan", f.write)
	return nil
}

func (a *app) printDiscover(f *discoverFlags, report *discover.Report) error {
	if f.explain != "" {
		return report.WriteExplain(a.ui.out, f.explain, explainTop)
	}
	switch f.format {
	case "json":
		return report.WriteJSON(a.ui.out)
	case "tsv":
		return report.WriteTSV(a.ui.out, false)
	case "markdown":
		return report.WriteMarkdown(a.ui.out)
	case "html":
		return report.WriteHTML(a.ui.out)
	}
	return report.WriteTable(a.ui.out)
}

// explainTop is how many classes --explain shows.
const explainTop = 5

// readReport reads what the last run left; a first run is compared with nothing.
func readReport(path string) (*discover.Report, error) {
	text, err := os.ReadFile(path) //nolint:gosec // below the policy's folder
	if errors.Is(err, fs.ErrNotExist) {
		return &discover.Report{}, nil
	}
	var r discover.Report
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return nil, failed("remove the file to begin anew", fmt.Errorf("read the last report %s: %w", path, err))
	}
	return &r, nil
}

func writeReport(path string, r *discover.Report) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	var b strings.Builder
	if err := r.WriteJSON(&b); err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	return nil
}

// discoverProgress shows one line on a terminal, and nothing elsewhere.
func (a *app) discoverProgress() func(discover.Progress) {
	if !a.ui.terminal {
		return nil
	}
	return func(p discover.Progress) {
		left := ""
		if p.Remaining > 0 {
			left = ", about " + p.Remaining.Round(1e9).String() + " left"
		}
		a.ui.progress("%s: %d of %d tables%s  %s", p.Stage, p.Done, p.Total, left, p.Table)
	}
}
