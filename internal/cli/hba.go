package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres"
)

// hbaFlags are the flags of postern hba.
type hbaFlags struct {
	file, user, database, from, format string
	tls, gss, replication              bool
	major                              int
}

func (a *app) hba() *cobra.Command {
	var f hbaFlags
	cmd := &cobra.Command{
		Use:   "hba [DSN | --file FILE] --user USER --database DB --from ADDRESS|local",
		Short: "say which pg_hba.conf line decides a connection, and how",
		Long: `Evaluates pg_hba.conf the way the server does: the first line that matches decides. The rules
come from a server, which needs the right to read pg_hba_file_rules, or from a file; of a file
memberships of roles are unknown, so a line with +group matches nobody but the role itself.

Exit codes: 0 admitted to authentication, 1 refused, 2 could not look, 3 it depends on
something that was not looked at, such as a host name.`,
		Example: `  postern hba "$DSN" --user app --database shop --from 10.0.0.7 --tls
  postern hba --file /etc/postgresql/15/main/pg_hba.conf --user app --database shop --from local`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runHBA(cmd.Context(), args, &f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.file, "file", "", "read this `file` and what it includes; no server is asked")
	fl.StringVar(&f.user, "user", "", "`role` that connects")
	fl.StringVar(&f.database, "database", "", "`database` that it names")
	fl.StringVar(&f.from, "from", "", "client's `address`, or local for the Unix socket")
	fl.BoolVar(&f.tls, "tls", false, "the connection uses TLS")
	fl.BoolVar(&f.gss, "gss", false, "the connection uses GSSAPI encryption")
	fl.BoolVar(&f.replication, "replication", false, "a physical replication connection; --database is not needed")
	fl.IntVar(&f.major, "major", 18, "with --file: `version` of the server that reads it")
	formatFlag(cmd, &f.format, "text", "json")
	return cmd
}

// attempt reads the flags.
func (f *hbaFlags) attempt() (catalog.Attempt, error) {
	t := catalog.Attempt{User: f.user, Database: f.database, TLS: f.tls, GSS: f.gss, Replication: f.replication}
	switch {
	case f.user == "":
		return t, errors.New("--user is missing")
	case f.database == "" && !f.replication:
		return t, errors.New("--database is missing")
	case f.from == "":
		return t, errors.New("--from is missing: an address, or local")
	case f.from == "local":
		t.Local = true
		return t, nil
	}
	addr, err := netip.ParseAddr(f.from)
	if err != nil {
		return t, fmt.Errorf("--from %s is no address, and not local", printable(f.from))
	}
	t.Address = addr.Unmap()
	return t, nil
}

// hbaAnswer is the JSON form.
type hbaAnswer struct {
	Admitted bool     `json:"admitted"`
	Certain  bool     `json:"certain"`
	Method   string   `json:"method,omitempty"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Rule     string   `json:"rule,omitempty"`
	Perhaps  []string `json:"perhaps_before,omitempty"`
	Broken   []string `json:"errors,omitempty"`
}

func (a *app) runHBA(ctx context.Context, args []string, f *hbaFlags) error {
	attempt, err := f.attempt()
	if err != nil {
		return failed("see postern hba --help", err)
	}
	rules, c, err := a.hbaRules(ctx, args, f)
	if err != nil {
		return err
	}
	v := catalog.DecideHBA(rules, attempt, c)
	out := hbaAnswer{Admitted: v.Admits(), Certain: len(v.Perhaps) == 0}
	if v.Rule != nil {
		out.Method, out.File, out.Line, out.Rule = v.Rule.Method, v.Rule.File, v.Rule.Line, v.Rule.String()
	}
	for _, r := range v.Perhaps {
		out.Perhaps = append(out.Perhaps, fmt.Sprintf("%s:%d: %s", hbaFile(r.File), r.Line, r))
	}
	for i := range rules {
		if rules[i].Broken() {
			out.Broken = append(out.Broken, fmt.Sprintf("%s:%d: %s", hbaFile(rules[i].File), rules[i].Line, rules[i].Error))
		}
	}
	if f.format == "json" {
		err = a.ui.json(out)
	} else {
		a.printHBA(out)
	}
	switch {
	case err != nil:
		return err
	case !out.Certain || len(out.Broken) > 0:
		return silently(exitIncomplete)
	case !out.Admitted:
		return silently(exitFindings)
	}
	return nil
}

func hbaFile(name string) string {
	if name == "" {
		return "pg_hba.conf"
	}
	return name
}

func (a *app) printHBA(out hbaAnswer) {
	for _, b := range out.Broken {
		a.ui.warn("%s", printable(b))
	}
	if len(out.Broken) > 0 {
		a.ui.warn("a server refuses a file with such lines and keeps the rules it had")
	}
	for _, p := range out.Perhaps {
		a.ui.printf("perhaps    %s\n", printable(p))
	}
	switch {
	case out.Rule == "":
		a.ui.printf("refused    no line matches\n")
	case !out.Admitted:
		a.ui.printf("refused    %s:%d: %s\n", printable(hbaFile(out.File)), out.Line, printable(out.Rule))
	default:
		a.ui.printf("%s  %s:%d: %s\n", a.ui.style(styleBold, fmt.Sprintf("%-9s", out.Method)), printable(hbaFile(out.File)), out.Line, printable(out.Rule))
	}
}

// hbaRules reads the rules and what they are judged with.
func (a *app) hbaRules(ctx context.Context, args []string, f *hbaFlags) ([]catalog.HBARule, *catalog.HBAContext, error) {
	if f.file != "" {
		if len(args) > 0 {
			return nil, nil, failed("", errors.New("give a connection string or --file, not both"))
		}
		rules, err := catalog.ParseHBA(diskFiles{}, filepath.ToSlash(f.file), f.major)
		if err != nil {
			return nil, nil, failed("", err)
		}
		role := catalog.Role{Name: f.user, Login: true}
		return rules, catalog.NewHBAContext(f.major, []catalog.Role{role}, nil), nil
	}
	target, err := a.scanTarget(ctx, args, "")
	if err != nil {
		return nil, nil, err
	}
	// A list of databases that names none of the server's keeps the look to the one that the login names.
	e, err := target.Gather(ctx, postgres.Gather{Databases: []string{""}, Now: time.Now()})
	if err != nil {
		return nil, nil, failed("", err)
	}
	if u := e.Missing(catalog.FactHBA, ""); u != nil {
		return nil, nil, failed("postern scan role prints the grants, or give the file with --file", fmt.Errorf("read pg_hba.conf: %s", u.Why))
	}
	s := e.Server
	if !slices.ContainsFunc(s.Roles, func(r catalog.Role) bool { return r.Name == f.user }) {
		a.ui.warn("the server has no role %s", printable(f.user))
	}
	return s.HBA, catalog.NewHBAContext(s.Major(), s.Roles, s.Memberships), nil
}

// diskFiles reads rules from the disk.
type diskFiles struct{}

// Read returns a file's contents.
func (diskFiles) Read(name string) ([]byte, error) { return os.ReadFile(filepath.FromSlash(name)) } //nolint:gosec // named by the person, and by the file

// List returns the names in a folder, sorted.
func (diskFiles) List(name string) ([]string, error) {
	entries, err := os.ReadDir(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}
