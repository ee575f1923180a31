package cli

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
)

func (a *app) policyTest() *cobra.Command {
	var format, only string
	cmd := &cobra.Command{
		Use:   "test [FILE]",
		Short: "hold the policy to the tests that it brings along",
		Long: `Decides every statement and login under tests: in the policy file, the way the gateway would, and
says where the policy does something else than the test says. Statements are decided with the
catalog of their store as it is now, and never run; what people hold by grants does not count.
Run it before a change of the policy is merged.

Exit codes: 0 all as the tests say, 1 some are not, 2 could not look, or there are no tests.`,
		Example: `  postern policy test
  postern policy test policies/ --only 'payroll*' --format json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.config = args[0]
			}
			c, err := a.load()
			if err != nil {
				return err
			}
			report, err := a.testPolicy(cmd.Context(), c, only)
			if err != nil {
				return err
			}
			return a.printTests(report, format)
		},
	}
	cmd.Flags().StringVar(&only, "only", "", "run the tests whose names match this `pattern`, with * for anything")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// testReport is the JSON form.
type testReport struct {
	Tests  []testResult `json:"tests"`
	Failed int          `json:"failed"`
}

type testResult struct {
	Name    string   `json:"name"`
	Place   string   `json:"place"` // file:line:column
	OK      bool     `json:"ok"`
	Verdict string   `json:"verdict"` // allow, rewrite or refuse
	Reason  string   `json:"reason,omitempty"`
	Message string   `json:"message,omitempty"` // of a refusal
	Wrong   []string `json:"wrong,omitempty"`   // what is not as the test says
}

func (a *app) testPolicy(ctx context.Context, c *config.Config, only string) (*testReport, error) {
	if _, err := path.Match(only, ""); err != nil {
		return nil, &usageError{command: "postern policy test", err: fmt.Errorf("--only %q is no pattern", only)}
	}
	t := &tester{config: c, guard: pgsql.NewGuard(-1), stores: map[string]*storeSession{}, sides: map[string]*side{}}
	defer t.close()
	report := &testReport{Tests: []testResult{}}
	for _, e := range c.Tests {
		if match, _ := path.Match(only, e.Name); only != "" && !match {
			continue
		}
		r, err := t.run(ctx, e)
		if err != nil {
			return nil, err
		}
		if !r.OK {
			report.Failed++
		}
		report.Tests = append(report.Tests, *r)
	}
	switch {
	case len(c.Tests) == 0:
		return nil, failed("add some, such as tests: {payroll stays closed: {as: ana, sql: TABLE payroll, verdict: refuse}}", fmt.Errorf("the policy brings no tests"))
	case len(report.Tests) == 0:
		return nil, failed("", fmt.Errorf("no test has a name like %q", only))
	}
	return report, nil
}

// tester decides tests. A store is asked for its catalog once, and a policy compiled once for each set of rules that tests hold.
type tester struct {
	config *config.Config
	guard  *pgsql.Guard
	stores map[string]*storeSession
	sides  map[string]*side
}

func (t *tester) close() {
	for _, s := range t.stores {
		s.close()
	}
}

// run decides one test and compares.
func (t *tester) run(ctx context.Context, e config.Expectation) (*testResult, error) {
	pol := t.config.Policy
	if len(e.Holds) > 0 {
		var held []policy.Held
		for _, rule := range e.Holds {
			held = append(held, policy.Held{Rule: rule, Until: policy.Never()})
		}
		pol = pol.WithGrants(map[string][]policy.Held{e.User: held})
	}
	subject, _ := pol.Subject(e.User)
	at := e.At
	if at.IsZero() {
		at = time.Now()
	}
	got := decided{Explanation: portal.Explanation{Verdict: "allow"}}
	admission := pol.Decide(policy.Login{
		Subject: subject, Store: e.Store, Address: e.Address, Local: !e.Address.IsValid(), TLS: e.TLS, ClientCert: e.TLS && e.Certificate, At: at,
	})
	switch {
	case admission.Refusal != nil:
		got.Verdict, got.Reason, got.Message = "refuse", string(admission.Refusal.Code), admission.Refusal.Text
	case e.SQL != "":
		with, err := t.side(ctx, pol, e)
		if err != nil {
			return nil, err
		}
		world, id := with.world(subject, at)
		if world == nil {
			return nil, failed("", fmt.Errorf("user %q has no profile on store %s", e.User, e.Store))
		}
		inner := explanation{portal.Explanation{Verdict: "refuse"}}
		inner.decide(t.guard, world, e.SQL)
		got = decided{inner.Explanation, id.Profile}
	}
	r := &testResult{Name: e.Name, Place: e.Pos.String(), Verdict: got.Verdict, Reason: got.Reason, Message: got.Message, Wrong: got.differences(e)}
	r.OK = len(r.Wrong) == 0
	return r, nil
}

// side is the policy of a test on its store.
func (t *tester) side(ctx context.Context, pol *policy.Policy, e config.Expectation) (*side, error) {
	session := t.stores[e.Store]
	if session == nil {
		s := t.config.Stores[e.Store]
		account := s.Grantor
		if account.User == "" {
			account = s.Provisioner
		}
		var err error
		if session, err = openFor(ctx, t.config, s, account, t.config.Policy); err != nil {
			return nil, err
		}
		t.stores[e.Store] = session
	}
	key := strings.Join([]string{e.Store, e.User, strings.Join(e.Holds, "\x00")}, "\x01")
	if len(e.Holds) == 0 {
		key = e.Store
	}
	if t.sides[key] == nil {
		with, err := session.side(ctx, pol)
		if err != nil {
			return nil, err
		}
		t.sides[key] = with
	}
	return t.sides[key], nil
}

// decided is what became of a test's statement or login.
type decided struct {
	portal.Explanation
	profile *plan.Profile // nil: it was about the login
}

// differences lists what is not as a test says.
func (d *decided) differences(e config.Expectation) []string {
	allowed := d.Verdict != "refuse"
	switch {
	case allowed && !e.Allow:
		return []string{"it is allowed"}
	case !allowed && e.Allow:
		return []string{fmt.Sprintf("it is refused: %s (%s)", d.Message, d.Reason)}
	case !allowed && e.Reason != "" && e.Reason != d.Reason:
		return []string{fmt.Sprintf("it is refused for another reason: %s, not %s", d.Reason, e.Reason)}
	}
	var out []string
	for _, claim := range e.Masked {
		out = append(out, d.columnClaim(claim.Value, true)...)
	}
	for _, claim := range e.Raw {
		out = append(out, d.columnClaim(claim.Value, false)...)
	}
	for _, claim := range e.Filtered {
		out = append(out, d.tableClaim(claim.Value, true)...)
	}
	for _, claim := range e.Whole {
		out = append(out, d.tableClaim(claim.Value, false)...)
	}
	return out
}

// columnClaim holds the columns that a statement reads to what a test says of one.
func (d *decided) columnClaim(claim string, masked bool) []string {
	dot := strings.LastIndexByte(claim, '.')
	table, column := claim[:dot], claim[dot+1:]
	read := false
	for _, t := range d.Touches {
		if !names(table, t.Relation) || len(t.Columns) > 0 && !slices.Contains(t.Columns, column) {
			continue
		}
		switch known, raw := d.shows(t.Relation, column); {
		case !known:
			return []string{"there is no column " + claim}
		case masked && raw:
			return []string{claim + " is shown as it is"}
		case !masked && !raw:
			return []string{fmt.Sprintf("%s is masked: %s", claim, t.Masks[column])}
		}
		read = true
	}
	if !read {
		return []string{"the statement does not read " + claim}
	}
	return nil
}

// shows says whether the profile has a column, and shows it as it is.
func (d *decided) shows(relation, column string) (known, raw bool) {
	for _, t := range d.profile.Tables {
		if t.Base.Schema+"."+t.Base.Name != relation {
			continue
		}
		for _, c := range t.Columns {
			if c.Name == column {
				return true, c.Raw
			}
		}
	}
	return false, false
}

// tableClaim holds the tables that a statement reads to what a test says of one.
func (d *decided) tableClaim(claim string, filtered bool) []string {
	read := false
	for _, t := range d.Touches {
		if !names(claim, t.Relation) {
			continue
		}
		switch {
		case filtered && !t.Filtered:
			return []string{"every row of " + claim + " is shown"}
		case !filtered && t.Filtered:
			return []string{"not every row of " + claim + " is shown"}
		}
		read = true
	}
	if !read {
		return []string{"the statement does not read " + claim}
	}
	return nil
}

// names says whether a table's name, with or without its schema, is that of a relation.
func names(table, relation string) bool {
	return table == relation || strings.HasSuffix(relation, "."+table)
}

func (a *app) printTests(r *testReport, format string) error {
	if format == "json" {
		if err := a.ui.json(r); err != nil {
			return err
		}
	} else {
		for _, t := range r.Tests {
			for _, w := range t.Wrong {
				a.ui.printf("%s: %s: %s\n", t.Place, printable(t.Name), printable(w))
			}
		}
		a.ui.printf("%s: %d as they say, %d not\n", count(len(r.Tests), "test"), len(r.Tests)-r.Failed, r.Failed)
	}
	if r.Failed > 0 {
		return silently(exitFindings)
	}
	return nil
}
