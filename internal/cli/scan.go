package cli

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgserve"
	"github.com/postern-sec/postern/internal/scan"
)

// scanFlags are the flags of postern scan.
type scanFlags struct {
	store, format, failOn, baseline, waivers, snapshot, fromSnapshot, require string
	outputs, checks, skip, databases                                          []string
	outside, probeUsers, probeDatabases                                       []string
	checksDir                                                                 string
	own                                                                       []scan.Own
	ca, expect, compliance                                                    string
	advisories                                                                []string
	jobs                                                                      int
	sampleData, readLogs, tryPasswords, intrusive                             bool
	verbose, fix, fleet, trustChecks, keep                                    bool
}

func (a *app) scan() *cobra.Command {
	var f scanFlags
	cmd := &cobra.Command{
		Use:   "scan [DSN]",
		Short: "check how exposed a server is, and say what to type",
		Long: `Looks at a PostgreSQL server with whatever rights the login has, changes nothing, and says
what is wrong, worst first, each with the line to type. What could not be looked at is listed
with what would unlock it, and never counts as passed.

DSN is a connection string as psql takes it. Without one, --store names a store of the policy.

Exit codes: 0 nothing at or above --fail-on, 1 findings at or above it, 2 could not look or
wrong use, 3 something that should have been looked at was not, or the server died meanwhile.`,
		Example: `  postern scan "host=db1 dbname=shop user=postern_scanner"
  postern scan --store shop -v
  postern scan --fleet --output html=reports/{store}.html
  postern scan "$DSN" --output sarif=scan.sarif --output html=scan.html
  postern scan "$DSN" --snapshot db1.json; postern scan --from-snapshot db1.json
  postern scan --outside db1.example.com:5432
  postern scan explain HBA-014`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runScan(cmd, args, &f) },
	}
	fl := cmd.Flags()
	storeFlag(cmd, &f.store)
	formatFlag(cmd, &f.format, scan.Formats...)
	fl.StringArrayVar(&f.outputs, "output", nil, "also write `FORMAT=FILE`; may be given several times")
	fl.StringVar(&f.failOn, "fail-on", "high", "exit 1 for findings of this `severity` and above, or none")
	fl.StringVar(&f.baseline, "baseline", "", "compare with an earlier JSON report in `file`")
	fl.StringVar(&f.waivers, "waivers", "", "YAML `file` of findings that are accepted for a time")
	fl.StringVar(&f.snapshot, "snapshot", "", "save what was seen to `file`, without secrets")
	fl.StringVar(&f.fromSnapshot, "from-snapshot", "", "judge what was saved in `file`; no server is asked")
	fl.StringSliceVar(&f.checks, "checks", nil, "only these `IDs` or areas, such as HBA or ROL-005")
	fl.StringSliceVar(&f.skip, "skip", nil, "leave these `IDs` or areas out")
	fl.StringSliceVar(&f.databases, "databases", nil, "only these `databases` (default: every one that lets the login in)")
	fl.IntVar(&f.jobs, "jobs", postgres.DatabasesAtOnce, "`databases` of a server to look at at once, each over one connection")
	fl.StringSliceVar(&f.outside, "outside", nil, "look at `HOST:PORT` from here, as a stranger")
	fl.StringSliceVar(&f.probeUsers, "probe-user", nil, "with --outside: `role` to try, without a password; one that nobody has is always tried")
	fl.StringSliceVar(&f.probeDatabases, "probe-database", nil, "with --probe-user: `database` to name (default: the role's name)")
	fl.StringVar(&f.ca, "ca", "", "with --outside: `file` of authorities that clients trust (default: the system's)")
	fl.StringVar(&f.require, "require", "", "exit 3 when this `capability` is missing: login, monitor, grants, superuser, host or all")
	fl.StringVar(&f.expect, "expect", "", "YAML `file` of what the site declares: roles, extensions, tables, see docs/guide/scan.md")
	fl.StringArrayVar(&f.advisories, "advisories", nil, "`file` with a newer table of vulnerabilities or releases, or a folder with both (default: the bundled ones); may be given twice")
	fl.Var(&choice{value: &f.compliance, allowed: scan.Benchmarks, kind: "benchmark"}, "compliance", "add the table of a `benchmark`: "+join(scan.Benchmarks))
	fl.BoolVar(&f.sampleData, "sample-data", false, "agree that some rows of tables are read; of a value only its shape is kept")
	fl.BoolVar(&f.readLogs, "read-logs", false, "agree that recent logs and histories on the server's host are read; only positions are kept")
	fl.BoolVar(&f.tryPasswords, "try-passwords", false, "agree that common passwords are tried against verifiers that the login may read; nobody is logged in")
	fl.BoolVar(&f.intrusive, "intrusive", false, "with --outside: agree that bytes are sent behind SSLRequest, as in an attack on CVE-2021-23214")
	fl.StringVar(&f.checksDir, "checks-dir", "", "`folder` of your own checks in YAML; see docs/guide/scan.md")
	fl.BoolVar(&f.trustChecks, "trust-checks", false, "let a superuser ask the questions of --checks-dir too")
	fl.BoolVar(&f.fleet, "fleet", false, "scan every store of the policy, standbys too, many at once; in names of files {store} stands for the store")
	fl.BoolVar(&f.keep, "keep", false, "keep the report below the policy's folder, where the portal shows how a store fares over time")
	fl.BoolVar(&f.fix, "fix", false, "print the SQL and the edits of files that repair what needs no choice, with reason, risk and reverse; runs nothing")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "show every finding and everything that was not looked at")
	cmd.AddCommand(a.scanChecks(), a.scanExplain(), a.scanRole())
	return cmd
}

// requirements are the words of --require and the capabilities they stand for.
var requirements = map[string]string{"": "", "login": "L", "monitor": "LM", "grants": "LMG", "superuser": "LMGS", "host": "FO", "all": "PLMGSFO"}

func (f *scanFlags) options() (scan.Options, error) {
	if f.jobs < 1 {
		return scan.Options{}, fmt.Errorf("--jobs is a number of databases from 1, not %d", f.jobs)
	}
	o := scan.Options{Only: f.checks, Skip: f.skip, Never: f.failOn == "none"}
	if !o.Never {
		s, err := scan.ParseSeverity(f.failOn)
		if err != nil {
			return o, fmt.Errorf("--fail-on: %w, or none", err)
		}
		o.FailOn = s
	}
	letters, ok := requirements[f.require]
	if !ok {
		return o, fmt.Errorf("--require %s: expected login, monitor, grants, superuser, host or all", printable(f.require))
	}
	o.Require, o.Compliance = []byte(letters), f.compliance
	return o, nil
}

// outputsUse refuses an --output that could not be written, before a server is asked.
func (f *scanFlags) outputsUse() error {
	for _, o := range f.outputs {
		if format, _, ok := strings.Cut(o, "="); !ok || !slices.Contains(scan.Formats, format) {
			return failed("such as --output sarif=scan.sarif", fmt.Errorf("--output %s: expected FORMAT=FILE, with FORMAT %s", printable(o), join(scan.Formats)))
		}
	}
	return nil
}

func (a *app) runScan(cmd *cobra.Command, args []string, f *scanFlags) error {
	if err := f.outputsUse(); err != nil {
		return err
	}
	if f.fix && f.format != "table" && f.format != "json" {
		return failed("--output writes reports beside it", fmt.Errorf("--fix prints a script, or JSON with --format json, and no %s", f.format))
	}
	options, err := f.options()
	if err != nil {
		return failed("see postern scan --help", err)
	}
	if f.own, err = ownChecks(f.checksDir); err != nil {
		return err
	}
	options.Own = f.own
	if f.keep && !f.fleet && (f.store == "" || len(args) > 0) {
		return failed("postern scan --store NAME --keep", errors.New("--keep is about a store of the policy"))
	}
	env, err := a.scanEnv(f)
	if err != nil {
		return err
	}
	if f.fleet {
		return a.runFleet(cmd.Context(), args, f, env, options)
	}
	evidence, err := a.evidence(cmd.Context(), args, f, env.Now)
	if err != nil {
		return err
	}
	if f.snapshot != "" {
		if err := writeFile(f.snapshot, func(w *os.File) error { return scan.WriteSnapshot(w, evidence) }); err != nil {
			return failed("", fmt.Errorf("write the snapshot: %w", err))
		}
	}
	consented(env, evidence)
	r, err := scan.Run(evidence, env, options)
	if err != nil {
		return failed("postern scan checks lists them", err)
	}
	if f.keep {
		c, err := a.load()
		if err != nil {
			return err
		}
		if c.Stores[f.store] == nil && c.Standbys[f.store] == nil {
			return failed("postern policy check names the stores", fmt.Errorf("there is no store %q", f.store))
		}
		if err := keepScan(c, f.store, evidence.Taken, r); err != nil {
			return failed("", err)
		}
	}
	return a.printScan(r, f)
}

// consented takes over the consents that a saved snapshot was gathered with: what was looked at then is judged now.
func consented(env *scan.Env, e *catalog.Evidence) {
	for c, given := range map[scan.Consent]bool{
		scan.SampleData: e.Sampled, scan.TryPasswords: e.Server != nil && e.Server.Tried, scan.ReadLogs: e.Host != nil && e.Host.Logs != nil,
	} {
		env.Consents[c] = env.Consents[c] || given
	}
}

// scanEnv reads what a scan is judged with.
func (a *app) scanEnv(f *scanFlags) (*scan.Env, error) {
	advisories, err := f.tables()
	if err != nil {
		return nil, failed("--advisories takes a table in the form of postgres-cves.tsv or postgres-releases.tsv, or a folder with both; see docs/guide/scan.md", err)
	}
	env := &scan.Env{Now: time.Now(), Advisories: advisories, Consents: map[scan.Consent]bool{
		scan.ProbeUser: len(f.probeUsers) > 0, scan.SampleData: f.sampleData, scan.ReadLogs: f.readLogs, scan.TryPasswords: f.tryPasswords,
		scan.Intrusive: f.intrusive,
	}}
	if f.expect != "" {
		text, err := os.ReadFile(f.expect)
		if err != nil {
			return nil, failed("", fmt.Errorf("read what is expected: %w", err))
		}
		if env.Expect, err = scan.ReadExpect(text); err != nil {
			return nil, failed("docs/guide/scan.md lists the keys", err)
		}
	}
	if f.waivers != "" {
		text, err := os.ReadFile(f.waivers)
		if err != nil {
			return nil, failed("", fmt.Errorf("read the waivers: %w", err))
		}
		if env.Waivers, err = scan.ReadWaivers(text); err != nil {
			return nil, failed("", err)
		}
	}
	if f.baseline != "" {
		file, err := os.Open(f.baseline)
		if err != nil {
			return nil, failed("", fmt.Errorf("read the baseline: %w", err))
		}
		defer func() { _ = file.Close() }()
		if env.Baseline, err = scan.ReadReport(file); err != nil {
			return nil, failed("--baseline takes what --format json wrote", err)
		}
	}
	return env, nil
}

// evidence gathers, or reads what was saved.
func (a *app) evidence(ctx context.Context, args []string, f *scanFlags, now time.Time) (*catalog.Evidence, error) {
	if f.fromSnapshot != "" {
		file, err := os.Open(f.fromSnapshot)
		if err != nil {
			return nil, failed("", err)
		}
		defer func() { _ = file.Close() }()
		e, err := scan.ReadSnapshot(file)
		if err != nil {
			return nil, failed("--from-snapshot takes what --snapshot wrote", err)
		}
		return e, nil
	}
	probed, err := f.probe(ctx, now)
	if err != nil {
		return nil, failed("such as --outside db1.example.com:5432", err)
	}
	if len(args) == 0 && f.store == "" && len(probed) > 0 {
		return &catalog.Evidence{Format: catalog.EvidenceFormat, Taken: now.UTC(), Outside: probed}, nil
	}
	target, err := a.scanTarget(ctx, args, f.store)
	if err != nil {
		return nil, err
	}
	gather := f.gather(now)
	if a.ui.terminal {
		gather.Progress = func(database string) { _, _ = fmt.Fprintf(a.ui.err, "\r\x1b[Klooking at %s", printable(database)) }
	}
	e, err := target.Gather(ctx, gather)
	if a.ui.terminal {
		_, _ = fmt.Fprint(a.ui.err, "\r\x1b[K")
	}
	if err != nil {
		return nil, failed("any login will do: postern scan role prints the SQL for one that sees more", err)
	}
	e.Outside = probed
	if len(args) == 0 {
		if e.Labels, err = a.storeLabels(f.store); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// gather is how evidence is collected with these flags.
func (f *scanFlags) gather(now time.Time) postgres.Gather {
	return postgres.Gather{
		Databases: f.databases, Jobs: f.jobs, Now: now, HostRoot: "/", ReadLogs: f.readLogs, SampleData: f.sampleData, TryPasswords: f.tryPasswords,
		Own: f.questions(), TrustOwn: f.trustChecks,
	}
}

// storeLabels are the labels that the policy gives to columns of a store, by database.schema.table.column.
func (a *app) storeLabels(store string) (map[string]string, error) {
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	if s := c.Standbys[store]; s != nil {
		store = s.StandbyOf
	}
	s, err := pickStore(c, store)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for column, l := range c.Policy.Labels {
		if column.Store == s.Name {
			out[s.Database+"."+column.Schema+"."+column.Name+"."+column.Column] = l.Class
		}
	}
	return out, nil
}

// tables are the advisory tables to judge by: those of --advisories, and the bundled one for what it does not bring.
func (f *scanFlags) tables() (*scan.Advisories, error) {
	var texts []string
	for _, name := range f.advisories {
		names := []string{name}
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			names = []string{filepath.Join(name, "postgres-cves.tsv"), filepath.Join(name, "postgres-releases.tsv")}
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("read the advisories: %w", err)
			}
			texts = append(texts, string(b))
		}
	}
	return scan.NewerAdvisories(texts...)
}

// probe looks at each endpoint from outside.
func (f *scanFlags) probe(ctx context.Context, now time.Time) ([]*catalog.Outside, error) {
	var roots *x509.CertPool
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, fmt.Errorf("read the authorities: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the authorities: %s holds no certificate", f.ca)
		}
	}
	var out []*catalog.Outside
	for _, endpoint := range f.outside {
		o, err := postgres.Probe(ctx, postgres.ProbeOptions{
			Endpoint: endpoint, Users: f.probeUsers, Databases: f.probeDatabases, Random: "postern_" + strings.ToLower(rand.Text()), Roots: roots, Now: now,
			Intrusive: f.intrusive,
		})
		if err != nil {
			return nil, err
		}
		if !o.Reachable {
			return nil, fmt.Errorf("probe %s: %s", endpoint, o.TLSError)
		}
		out = append(out, o)
	}
	return out, nil
}

// scanTarget is the server that a connection string or a store names.
func (a *app) scanTarget(ctx context.Context, args []string, store string) (*postgres.ScanTarget, error) {
	if len(args) == 1 {
		if store != "" {
			return nil, failed("", errors.New("give a connection string or --store, not both"))
		}
		t, err := postgres.ScanDSN(args[0])
		if err != nil {
			return nil, failed(`such as "host=db1 dbname=shop user=postern_scanner"`, err)
		}
		return t, nil
	}
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	s := c.Standbys[store]
	if s == nil {
		if s, err = pickStore(c, store); err != nil {
			return nil, err
		}
	}
	return storeTarget(ctx, s)
}

// storeTarget is the server of a store, with the provisioner's login.
func storeTarget(ctx context.Context, s *config.Store) (*postgres.ScanTarget, error) {
	login, err := pgserve.Login(ctx, s, scannerOf(s))
	if err != nil {
		return nil, failed("", err)
	}
	t, err := postgres.ScanConfig(login)
	if err != nil {
		return nil, failed("", err)
	}
	return t, nil
}

// printScan writes the report to stdout and to the files that --output names.
func (a *app) printScan(r *scan.Report, f *scanFlags) error {
	for _, w := range r.Warnings {
		a.ui.warn("%s", printable(w))
	}
	if err := f.writeOutputs(r); err != nil {
		return err
	}
	var err error
	if f.fix {
		err = a.printFixes(r, f)
	} else if f.format == "table" {
		err = r.WriteTable(a.ui.out, scan.Table{All: f.verbose, Colour: a.ui.colour})
	} else {
		err = r.Write(a.ui.out, f.format)
	}
	if err != nil {
		return failed("", fmt.Errorf("write the report: %w", err))
	}
	if code := r.Exit(); code != exitOK {
		return silently(code)
	}
	return nil
}

// writeOutputs writes the files that --output names.
func (f *scanFlags) writeOutputs(r *scan.Report) error {
	for _, o := range f.outputs {
		format, path, _ := strings.Cut(o, "=")
		if err := writeFile(path, func(w *os.File) error { return r.Write(w, format) }); err != nil {
			return failed("", fmt.Errorf("write the report: %w", err))
		}
	}
	return nil
}

// writeFile creates a file that only its owner reads, and fails when any of it was not written.
func writeFile(path string, write func(*os.File) error) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

func (a *app) scanChecks() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "checks", Short: "list the checks of this version, or test your own", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			checks, err := scan.Checks()
			if err != nil {
				return failed("", err)
			}
			if format == "json" {
				return a.ui.json(checkRows(checks))
			}
			var rows [][]string
			for _, c := range checks {
				rows = append(rows, []string{c.ID, c.Severity.String(), c.Need.String(), c.Title})
			}
			a.ui.table([]string{"id", "severity", "needs", "title"}, rows)
			return nil
		},
	}
	formatFlag(cmd, &format, "text", "json")
	cmd.AddCommand(a.scanChecksTest())
	return cmd
}

// checkRow is a check in JSON.
type checkRow struct {
	ID       string `json:"id"`
	Pillar   string `json:"pillar"`
	Severity string `json:"severity"`
	Needs    string `json:"needs"`
	Title    string `json:"title"`
}

func checkRows(checks []scan.Check) []checkRow {
	var rows []checkRow
	for _, c := range checks {
		rows = append(rows, checkRow{c.ID, c.Pillar, c.Severity.String(), c.Need.String(), c.Title})
	}
	return rows
}

func (a *app) scanExplain() *cobra.Command {
	return &cobra.Command{
		Use: "explain ID", Short: "say what a check looks at, why, and what it bears on", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			checks, err := scan.Checks()
			if err != nil {
				return failed("", err)
			}
			i := slices.IndexFunc(checks, func(c scan.Check) bool { return c.ID == strings.ToUpper(args[0]) })
			if i < 0 {
				return failed("postern scan checks lists them", fmt.Errorf("there is no check %s in this version", printable(args[0])))
			}
			c := checks[i]
			a.ui.printf("%s %s\n\n%s\n\nseverity   %s %s\nlooks at   %s\nneeds      %s\nversions   %s\nremedy     %s\n", a.ui.style(styleBold, c.ID), c.Title, c.Why,
				c.Severity, c.SeverityRule, c.Method, c.Need, c.Versions, c.Remedy)
			for _, r := range c.References {
				a.ui.printf("bears on   %s\n", r)
			}
			return nil
		},
	}
}

func (a *app) scanRole() *cobra.Command {
	return &cobra.Command{
		Use: "role", Short: "print the SQL that makes a role for scanning", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			a.ui.printf("%s", postgres.ScannerSQL())
			return nil
		},
	}
}
