package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
)

func (a *app) policy() *cobra.Command {
	return group("policy", "check the policy file, and hold it to its own tests", a.policyCheck(), a.policyTest())
}

func (a *app) policyCheck() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "check [FILE]",
		Short: "read the policy file strictly and list every mistake with its place",
		Long: `Reads the policy file, or a folder of them, and lists every mistake at once as
file:line:column. Works offline: no store is asked and no secret is read. Templates of notices
are tried with a message that says all and one that says little. Whether a mask fits
a column's type is checked by postern plan, which asks the server, of shadow
rules too.`,
		Example: `  postern policy check
  postern policy check policies/ --format json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := config.Lookup(a.config, a.env.Getenv)
			if len(args) == 1 {
				path = args[0]
			}
			return a.checkPolicy(path, format)
		},
	}
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// policyReport is the JSON form of a check.
type policyReport struct {
	File     string          `json:"file"`
	OK       bool            `json:"ok"`
	Problems config.Problems `json:"problems"`
	Warnings config.Problems `json:"warnings"`
	Stores   []string        `json:"stores"`
	Datasets []string        `json:"datasets"`
	Rules    []string        `json:"rules"`
	Users    int             `json:"users"`
	Tiers    []policyTier    `json:"tiers"`
	Digest   string          `json:"digest,omitempty"`
}

// policyTier says who enforces the policy on the tables of a dataset.
type policyTier struct {
	Tables  string `json:"tables"` // a location of a dataset
	Dataset string `json:"dataset"`
	Tier    string `json:"tier"`
	Means   string `json:"means"`
}

// What the tiers mean, on one line.
const (
	walledMeans = "enforced by the server itself and by the gateway"
	inlineMeans = "masked and filtered by the gateway only; read only; no catalog; no index on filtered tables; nothing behind a gap in the gateway"
)

// tiers lists every location of every dataset with its tier, store by store.
func tiers(c *config.Config) []policyTier {
	var out []policyTier
	for _, name := range slices.Sorted(maps.Keys(c.Policy.Datasets)) {
		for _, at := range c.Policy.Datasets[name].Include {
			for _, store := range slices.Sorted(maps.Keys(c.Stores)) {
				if at.Store != "" && at.Store != "*" && at.Store != store {
					continue
				}
				here := at
				here.Store = store
				tier := policyTier{Tables: here.String(), Dataset: name, Tier: "walled", Means: walledMeans}
				if c.Stores[store].Inline {
					tier.Tier, tier.Means = "inline", inlineMeans
				}
				out = append(out, tier)
			}
		}
	}
	return out
}

func (a *app) checkPolicy(path, format string) error {
	c, err := config.Load(path, pgsql.Syntax{})
	var problems config.Problems
	if err != nil && !errors.As(err, &problems) {
		return policyUnreadable(path, err)
	}
	if c != nil && err == nil {
		if problems = daemon.CheckTexts(c); len(problems) > 0 {
			err = problems
		}
	}
	r := policyReport{File: path, OK: err == nil, Problems: problems}
	if c != nil {
		r.Warnings, r.Digest, r.Users = c.Warnings, c.Policy.Digest, len(c.Policy.Users)
		r.Stores = slices.Sorted(maps.Keys(c.Stores))
		r.Tiers = tiers(c)
		r.Datasets = slices.Sorted(maps.Keys(c.Policy.Datasets))
		for _, rule := range c.Policy.Rules {
			r.Rules = append(r.Rules, rule.Name)
		}
	}
	if format == "json" {
		if err := a.ui.json(r); err != nil {
			return err
		}
		if !r.OK {
			return silently(exitFailed)
		}
		return nil
	}
	for _, w := range r.Warnings {
		a.ui.warn("%s", w)
	}
	if err != nil {
		return problemsError(problems)
	}
	for _, t := range r.Tiers {
		a.ui.printf("%-40s %-7s %s\n", printable(t.Tables), t.Tier, t.Means)
	}
	a.ui.printf("%s: ok: %s, %s, %s, %s\n", path, count(len(r.Stores), "store"), count(len(r.Datasets), "dataset"),
		count(len(r.Rules), "rule"), count(r.Users, "user"))
	return nil
}

// load reads the policy file for the other commands.
func (a *app) load() (*config.Config, error) {
	path := config.Lookup(a.config, a.env.Getenv)
	c, err := config.Load(path, pgsql.Syntax{})
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		return nil, problemsError(problems)
	case err != nil:
		return nil, policyUnreadable(path, err)
	}
	for _, w := range c.Warnings {
		a.ui.warn("%s", w)
	}
	return c, nil
}

func policyUnreadable(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return failed("postern init writes one, --config names another", fmt.Errorf("there is no policy file %s", path))
	}
	return failed("", fmt.Errorf("read the policy: %w", err))
}

// problemsError is the exit with every mistake, one line each; hints stand behind their line.
func problemsError(ps config.Problems) error {
	var errs []error
	for _, p := range ps {
		text := p.String()
		if p.Hint != "" {
			text += "; " + p.Hint
		}
		errs = append(errs, errors.New(text))
	}
	return failed("", errors.Join(errs...))
}

// store picks the store that --store names, or the only one.
func pickStore(c *config.Config, name string) (*config.Store, error) {
	names := slices.Sorted(maps.Keys(c.Stores))
	if name != "" {
		if s := c.Stores[name]; s != nil {
			return s, nil
		}
		if s := c.Standbys[name]; s != nil {
			return nil, failed("name its primary: discover reads samples on a standby by itself, and only postern scan looks at one alone", fmt.Errorf("store %q is a standby of %s", name, s.StandbyOf))
		}
		return nil, failed("", fmt.Errorf("there is no store %q in the policy: it has %v", name, names))
	}
	if len(names) != 1 {
		return nil, failed("add --store NAME", fmt.Errorf("the policy has %s: %v", count(len(names), "store"), names))
	}
	return c.Stores[names[0]], nil
}

func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// formatFlag adds --format with a closed set of values, the first of which is the default.
func formatFlag(cmd *cobra.Command, value *string, allowed ...string) {
	choiceFlag(cmd, "format", "output `format`", value, allowed...)
}

// choiceFlag adds a flag with a closed set of values, the first of which is the default; usage says what they are of.
func choiceFlag(cmd *cobra.Command, name, usage string, value *string, allowed ...string) {
	*value = allowed[0]
	cmd.Flags().Var(&choice{value: value, allowed: allowed}, name, usage+": "+join(allowed))
	_ = cmd.RegisterFlagCompletionFunc(name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return allowed, cobra.ShellCompDirectiveNoFileComp
	})
}

// choice is a flag with a closed set of values.
type choice struct {
	value   *string
	allowed []string
	kind    string // what the help calls a value; "": format
}

// String implements pflag.Value.
func (c *choice) String() string { return *c.value }

// Type names a value in the help.
func (c *choice) Type() string {
	if c.kind != "" {
		return c.kind
	}
	return "format"
}

// Set implements pflag.Value.
func (c *choice) Set(s string) error {
	if !slices.Contains(c.allowed, s) {
		return fmt.Errorf("expected %s", join(c.allowed))
	}
	*c.value = s
	return nil
}

func join(words []string) string {
	out := ""
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			out += " or "
		default:
			out += ", "
		}
		out += w
	}
	return out
}
