package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgserve"
)

// discoverFlags are the flags of discover.
type discoverFlags struct {
	stores                       []string
	from, format, write, explain string
	include, exclude             []string
	diff, failOnNew, readers     bool
	views, foreign, all, restart bool
	jobs, rows                   int
	load                         float64
}

func (a *app) discover() *cobra.Command {
	var f discoverFlags
	cmd := &cobra.Command{
		Use:   "discover [DSN]",
		Short: "find the columns that hold sensitive data",
		Long: `Looks at names, types, comments and keys, at the planner's statistics, and where those do not
suffice at bounded samples, in read-only transactions, and says which columns hold what, with the
evidence. No value of the data is printed, logged or kept: shapes and counts only.

Without a DSN the stores of the policy are examined, each as its scanner or provisioner. --write adds labels,
suggested masks and a dataset to the policy file, keeping its comments and order; nothing is applied.
A run that was broken off goes on where it stood; --restart begins anew.

Exit codes: 0 the run is complete, 1 with --fail-on-new something is new, 2 could not look,
3 something was not examined (it is listed, with the GRANT to run).`,
		Example: `  postern discover postgres://auditor@db1/shop
  postern discover --store shop --write postern.yaml
  postern discover --explain public.customers.email
  postern discover --diff --fail-on-new --format json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runDiscover(cmd.Context(), &f, args) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.stores, "store", nil, "`store` of the policy; repeat for several (default: all)")
	choiceFlag(cmd, "from", "where the evidence comes from, its `source`", &f.from, string(discover.FromAuto), string(discover.FromStats), string(discover.FromSample))
	formatFlag(cmd, &f.format, "table", "json", "tsv", "markdown", "html")
	flags.StringArrayVar(&f.include, "include", nil, "examine only what matches this `pattern` of schema.table.column; repeat for several")
	flags.StringArrayVar(&f.exclude, "exclude", nil, "leave out what matches this `pattern`; repeat for several")
	flags.StringVar(&f.write, "write", "", "write the policy file with labels, masks and a dataset added to `file`")
	flags.StringVar(&f.explain, "explain", "", "show the arithmetic of one `column`: schema.table.column")
	flags.BoolVar(&f.diff, "diff", false, "say what is new since the last run on this store")
	flags.BoolVar(&f.failOnNew, "fail-on-new", false, "exit 1 when something is new; implies --diff")
	flags.BoolVar(&f.readers, "readers", false, "list who can read each classified column")
	flags.BoolVar(&f.views, "views", false, "read views too, not only the tables below them")
	flags.BoolVar(&f.foreign, "foreign", false, "read foreign tables too: the load falls on another server")
	flags.BoolVar(&f.all, "all", false, "with --format tsv: list columns without a class, as none")
	flags.BoolVar(&f.restart, "restart", false, "forget what a broken run had done")
	flags.IntVar(&f.jobs, "jobs", 1, "`tables` to sample at once")
	flags.IntVar(&f.rows, "rows", discover.DefaultRows, "`rows` to sample of a table")
	flags.Float64Var(&f.load, "load", discover.DefaultLoad, "`share` of the time that each job keeps the server busy, up to 1")
	cmd.AddCommand(a.discoverTest())
	return cmd
}

// check refuses what means nothing: somebody who wrote --load 50 for half of the time would load the server fully.
func (f *discoverFlags) check() error {
	f.include, f.exclude = splitPatterns(f.include), splitPatterns(f.exclude)
	for _, p := range slices.Concat(f.include, f.exclude) {
		if err := discover.CheckPattern(p); err != nil {
			return failed("a pattern is schema, schema.table or schema.table.column, with * within a name; names with a dot stand in double quotes", err)
		}
	}
	switch {
	case f.readers && f.format == "tsv":
		return failed("use --format json", errors.New("--readers: a line of TSV has no place for them"))
	case f.jobs < 1:
		return failed("", fmt.Errorf("--jobs is a number of tables from 1, not %d", f.jobs))
	case f.rows < 1:
		return failed("", fmt.Errorf("--rows is a number of rows from 1, not %d", f.rows))
	case !(f.load > 0 && f.load <= 1):
		return failed("", fmt.Errorf("--load is a share above 0 and up to 1, not %g", f.load))
	}
	return nil
}

// splitPatterns divides patterns at commas, but not within double quotes.
func splitPatterns(flags []string) []string {
	var out []string
	for _, f := range flags {
		from, quoted := 0, false
		for i := range len(f) {
			switch {
			case f[i] == '"':
				quoted = !quoted
			case f[i] == ',' && !quoted:
				out, from = append(out, f[from:i]), i+1
			}
		}
		out = append(out, f[from:])
	}
	return out
}

// unmatched refuses a pattern of --include that nothing matches, as a misspelt name would pass for a clean table, and warns of one of
// --exclude: what was to be left out was read. A pattern for one store need not match in another.
func (a *app) unmatched(f *discoverFlags, reports discover.Reports) error {
	looked := slices.DeleteFunc(slices.Clone(reports), func(r *discover.Report) bool { return r.Failed != nil })
	nowhere := func(p string) bool {
		return !slices.ContainsFunc(looked, func(r *discover.Report) bool { return !slices.Contains(r.Unmatched, p) })
	}
	for _, p := range f.include {
		if len(looked) == len(reports) && !slices.ContainsFunc(looked, func(r *discover.Report) bool { return r.Has(p) }) {
			return failed("a pattern is schema, schema.table or schema.table.column, with * within a name", fmt.Errorf("--include %s matches no column that was looked at", p))
		}
	}
	for _, r := range looked {
		r.Unmatched = slices.DeleteFunc(r.Unmatched, func(p string) bool { return !nowhere(p) })
	}
	if len(looked) > 0 {
		for _, p := range looked[0].Unmatched {
			a.ui.warn("the pattern %s matches no column: is it misspelt?", printable(p))
		}
	}
	return nil
}

// discoverTarget is one database to look at.
type discoverTarget struct {
	store string // empty for a DSN
	err   error  // why there is no login for it
	login postgres.Config
	reads []postgres.Standby // where samples are read rather
	last  string             // file of the last report; empty for a DSN
	done  string             // file of what a broken run has seen; empty when there is no place for it
}

func (a *app) runDiscover(ctx context.Context, f *discoverFlags, args []string) error {
	if err := f.check(); err != nil {
		return err
	}
	targets, c, err := a.discoverTargets(ctx, f, args)
	if err != nil {
		return err
	}
	if f.write != "" { // before the work, which may take long
		if _, _, err := patchBase(c, f.write); err != nil {
			return err
		}
	}
	reports, err := a.discoverAll(ctx, f, c, targets)
	if err != nil {
		return err
	}
	if err := a.unmatched(f, reports); err != nil {
		return err
	}
	if err := a.finishDiscover(f, c, reports, targets); err != nil {
		return err
	}
	if code := reports.ExitCode(f.failOnNew); code != exitOK {
		return silently(code)
	}
	return nil
}

// discoverAll examines the targets. A store that cannot be examined is said and stands among the others, which are no worse for it; so do
// those that a run which is broken off did not come to.
func (a *app) discoverAll(ctx context.Context, f *discoverFlags, c *config.Config, targets []discoverTarget) (discover.Reports, error) {
	var reports discover.Reports
	var broken error
	for _, t := range targets {
		var report *discover.Report
		err := broken
		if err == nil {
			report, err = a.discoverOne(ctx, f, c, t)
		}
		if report != nil { // of a run that was broken off: what was found so far
			reports = append(reports, report)
		}
		switch {
		case err == nil:
			continue
		case ctx.Err() != nil:
			broken = err
		case len(targets) == 1:
			return nil, failed(nextAfter(ctx, err), err)
		}
		if len(targets) == 1 || report != nil {
			continue
		}
		next := nextAfter(ctx, err)
		if broken == nil {
			a.ui.report(failed(next, fmt.Errorf("store %s was not examined: %w", t.store, err)))
		}
		reports = append(reports, discover.FailedReport(t.store, t.login.Database, discover.From(f.from), discover.Failure{Reason: err.Error(), Next: next}))
	}
	if broken == nil {
		return reports, nil
	}
	if slices.ContainsFunc(reports, func(r *discover.Report) bool { return r.Failed == nil }) { // shown, and not kept as a complete run
		broken = errors.Join(broken, a.printDiscover(f, reports))
	}
	return nil, failed(nextAfter(ctx, broken), broken)
}

// lookAgain is the next step after a server that did not answer as it should.
const lookAgain = "see that the server runs and that the login may connect, then run discover again: tables that are done are not read anew"

// nextAfter is what to do about an error: its own hint, or to look again.
func nextAfter(ctx context.Context, err error) string {
	var e *exitError
	switch {
	case errors.As(err, &e) && e.hint != "":
		return e.hint
	case ctx.Err() != nil:
		return "run discover again: it goes on where it stood"
	}
	return lookAgain
}

// discoverOne examines one database. A report beside an error is of a run that was broken off.
func (a *app) discoverOne(ctx context.Context, f *discoverFlags, c *config.Config, t discoverTarget) (*discover.Report, error) {
	if t.err != nil {
		return nil, t.err
	}
	opts := discover.Options{
		Store: t.store, From: discover.From(f.from), Include: f.include, Exclude: f.exclude, Jobs: f.jobs, Load: f.load, Rows: f.rows, Views: f.views, Foreign: f.foreign,
		Readers: f.readers || f.format == "html" || f.format == "markdown", Progress: a.discoverProgress(t.store),
	}
	var err error
	if t.store != "" {
		opts.Countries, opts.Customs, opts.Verdicts = c.Discover.Countries, c.Discover.Classifiers, pgserve.Verdicts(c)
		if f.diff || f.failOnNew {
			if opts.Last, err = readReport(t.last); err != nil {
				return nil, err
			}
		}
	}
	if t.done != "" {
		progress, err := openProgress(t.done, f.restart)
		if err != nil {
			return nil, err
		}
		if n := progress.tables(); n > 0 {
			a.ui.note("going on with a run that was broken off: %s of %s are done already", count(n, "table"), t.title())
		}
		defer progress.close()
		opts.Checkpoint = progress
	}
	feed := postgres.NewFeed(t.login, max(f.jobs, 1))
	defer feed.Close(context.WithoutCancel(ctx))
	feed.Prefer(ctx, t.reads, func(text string) {
		a.ui.progressDone()
		a.ui.note("store %s: %s", t.store, printable(text))
	})
	report, err := discover.Run(ctx, feed, opts)
	a.ui.progressDone()
	if report != nil {
		report.SampledOn(feed.Sources())
	}
	if err == nil && t.done != "" {
		if err = os.Remove(t.done); errors.Is(err, fs.ErrNotExist) { // another run of the same was done before
			err = nil
		}
	}
	return report, err
}

// title names a target to a person.
func (t *discoverTarget) title() string {
	if t.store != "" {
		return t.store
	}
	return t.login.Address()
}

// scannerOf is the login that reads tables: the store's scanner, or its provisioner.
func scannerOf(s *config.Store) config.Account {
	if s.Scanner.User != "" {
		return s.Scanner
	}
	return s.Provisioner
}

// discoverTargets are the DSN, or stores of the policy, each as its scanner or provisioner.
func (a *app) discoverTargets(ctx context.Context, f *discoverFlags, args []string) ([]discoverTarget, *config.Config, error) {
	if len(args) == 1 {
		switch {
		case len(f.stores) > 0:
			return nil, nil, failed("", errors.New("a DSN and --store: name one of them"))
		case f.diff || f.failOnNew || f.write != "":
			return nil, nil, failed("use --store, with the store in the policy", errors.New("--diff, --fail-on-new and --write need a store of the policy"))
		}
		login, err := postgres.ParseDSN(args[0], a.env.Getenv)
		if err != nil {
			return nil, nil, failed("", err)
		}
		return []discoverTarget{{login: login, done: dsnProgress(a.env.Getenv, &login)}}, nil, nil
	}
	c, err := a.load()
	if err != nil {
		return nil, nil, err
	}
	names := f.stores
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(c.Stores))
	}
	if f.format == "tsv" && len(names) > 1 {
		return nil, nil, failed("add --store NAME", errors.New("a line of TSV has no place for the store"))
	}
	var out []discoverTarget
	for _, name := range names {
		s, err := pickStore(c, name)
		if err != nil {
			return nil, nil, err
		}
		login, err := pgserve.Login(ctx, s, scannerOf(s))
		if err != nil {
			out = append(out, discoverTarget{store: s.Name, login: postgres.Config{Database: s.Database}, err: err})
			continue
		}
		standbys, err := pgserve.Standbys(ctx, c, s, scannerOf(s))
		if err != nil {
			return nil, nil, failed("", err)
		}
		last := filepath.Join(c.Folder, "discovered", s.Name+".json")
		out = append(out, discoverTarget{store: s.Name, login: login, reads: standbys, last: last, done: last + ".progress"})
	}
	return out, c, nil
}

// finishDiscover prints the reports, and writes what was asked for.
func (a *app) finishDiscover(f *discoverFlags, c *config.Config, reports discover.Reports, targets []discoverTarget) error {
	if err := a.printDiscover(f, reports); err != nil {
		return failed("", err)
	}
	if f.whole() {
		for _, r := range reports {
			for _, t := range targets {
				if t.last == "" || t.store != r.Store || r.Failed != nil {
					continue
				}
				if err := keepReport(t.last, r); err != nil {
					return failed("", err)
				}
			}
		}
	}
	if f.write == "" || reports.ExitCode(false) == exitFailed {
		return nil
	}
	return a.writePatch(f.write, c, reports)
}

// whole says whether a run sees all of a store: the report of one that does not is no measure for the next.
func (f *discoverFlags) whole() bool { return len(f.include) == 0 && len(f.exclude) == 0 }

func (a *app) printDiscover(f *discoverFlags, reports discover.Reports) error {
	if f.explain != "" {
		return reports.WriteExplain(a.ui.out, f.explain, explainTop)
	}
	switch f.format {
	case "json":
		return reports.WriteJSON(a.ui.out)
	case "tsv":
		return reports.WriteTSV(a.ui.out, f.all)
	case "markdown":
		return reports.WriteMarkdown(a.ui.out)
	case "html":
		return reports.WriteHTML(a.ui.out)
	}
	return reports.WriteTable(a.ui.out)
}

// explainTop is how many classes --explain shows.
const explainTop = 5

// discoverProgress shows one line on a terminal, and nothing elsewhere.
func (a *app) discoverProgress(store string) func(discover.Progress) {
	if !a.ui.terminal {
		return nil
	}
	if store != "" {
		store += ", "
	}
	return func(p discover.Progress) {
		left := ""
		if p.Remaining > 0 {
			left = ", about " + p.Remaining.Round(1e9).String() + " left"
		}
		a.ui.progress("%s%s: %d of %d tables%s  %s", store, p.Stage, p.Done, p.Total, left, p.Table)
	}
}
