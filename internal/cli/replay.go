package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

func (a *app) auditReplay() *cobra.Command {
	var (
		f              trailFlags
		file, format   string
		subject, store string
		since, until   string
	)
	cmd := &cobra.Command{
		Use:   "replay --policy FILE",
		Short: "decide recorded statements again under another policy: who would gain or lose what",
		Long: `Takes the statements of the trail, decides each under the policy in force and under another one,
against the stores' tables of this moment, and prints what would change for whom: statements that
would be allowed or refused, columns that would be shown otherwise, rows that would be filtered
otherwise. Nothing is run.

The trail holds no literals. A statement whose verdict under the policy in force is not the recorded
one, because a literal decided it or because the policy has changed since, cannot be replayed; nor
can one that could not be parsed. Their number is printed.

Statements of observed users were sent whatever was decided. They are compared by that decision,
so a policy can be tried on what they run before it is enforced. Of the other policy, rules that are
shadows grant nothing, as in serve; what they would have allowed stands in the trail as "shadow".

Exit codes: 0 nothing changes, 1 somebody gains or loses something, 2 could not look, 3 nothing
changes in what could be replayed, and something could not.`,
		Example: `  postern audit replay --policy new.yaml --since 720h
  postern audit replay --policy new.yaml --subject ana --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return &usageError{command: cmd.CommandPath(), err: errors.New("say which policy: --policy FILE")}
			}
			q := audit.Query{Kind: audit.Decision, Subject: subject, Store: store}
			now := time.Now()
			var err error
			if q.Since, err = parseTime(since, now); err != nil {
				return failed("", fmt.Errorf("--since: %w", err))
			}
			if q.Until, err = parseTime(until, now); err != nil {
				return failed("", fmt.Errorf("--until: %w", err))
			}
			return a.replay(cmd.Context(), &f, file, q, format)
		},
	}
	f.add(cmd, false)
	flags := cmd.Flags()
	flags.StringVar(&file, "policy", "", "the other policy `file` or folder")
	flags.StringVar(&subject, "subject", "", "only what this `user` ran")
	flags.StringVar(&store, "store", "", "only on this store")
	flags.StringVar(&since, "since", "", "from this `time` on: 2026-11-22, 2026-11-22T10:00:00Z or 24h")
	flags.StringVar(&until, "until", "", "before this `time`")
	formatFlag(cmd, &format, "table", "json")
	return cmd
}

// replayed is a recorded statement of one subject, however often it was run.
type replayed struct{ subject, store, statement string }

type recorded struct {
	verdict string // the last one
	times   int
}

// replayReport is the JSON form.
type replayReport struct {
	Statements   int            `json:"statements"`   // different ones that were decided again
	Events       int            `json:"events"`       // that these stand for
	Unreplayable int            `json:"unreplayable"` // events that could not be decided again
	Why          map[string]int `json:"unreplayable_because,omitempty"`
	Changes      []replayChange `json:"changes"`
}

// replayChange is what changes for somebody.
type replayChange struct {
	Subject   string `json:"subject"`
	Store     string `json:"store"`
	Direction string `json:"direction"` // gains, loses, or differs where neither can be said
	What      string `json:"what"`
	Events    int    `json:"events"`              // how often it would have mattered
	Statement string `json:"statement,omitempty"` // one of them, without its literals
}

func (a *app) replay(ctx context.Context, f *trailFlags, file string, q audit.Query, format string) error {
	folder, c, err := a.trail(f)
	if err != nil {
		return err
	}
	if c == nil {
		if c, err = a.load(); err != nil {
			return err
		}
	}
	other, err := config.Load(file, pgsql.Syntax{})
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		return problemsError(problems)
	case err != nil:
		return policyUnreadable(file, err)
	}
	report := &replayReport{Why: map[string]int{}, Changes: []replayChange{}}
	statements, err := readStatements(ctx, folder, q, report)
	if err != nil {
		return err
	}
	r := &replayer{report: report, guard: pgsql.NewGuard(-1), changes: map[replayChange]*replayChange{}}
	if err := r.stores(ctx, c, other.Policy, statements); err != nil {
		return err
	}
	report.Changes = r.sorted()
	if err := a.printReplay(report, format); err != nil {
		return err
	}
	switch {
	case len(report.Changes) > 0:
		return silently(exitFindings)
	case report.Unreplayable > 0:
		return silently(exitIncomplete)
	}
	return nil
}

// readStatements gathers the different statements of the trail.
func readStatements(ctx context.Context, folder string, q audit.Query, report *replayReport) (map[replayed]*recorded, error) {
	out := map[replayed]*recorded{}
	for found, err := range audit.Search(ctx, folder, q) {
		var line *audit.LineError
		switch {
		case errors.As(err, &line):
			report.cannot("the line is damaged", 1)
			continue
		case err != nil:
			return nil, failed("", err)
		case found.Record.Opaque != nil:
			report.cannot("it could not be parsed", 1)
			continue
		case found.Record.Statement == "":
			continue // a refusal of something that is no statement
		}
		key := replayed{found.Record.Subject, found.Record.Store, found.Record.Statement}
		if out[key] == nil {
			out[key] = &recorded{}
		}
		out[key].times++
		out[key].verdict = found.Record.Verdict
	}
	return out, nil
}

func (r *replayReport) cannot(why string, events int) {
	r.Unreplayable += events
	r.Why[why] += events
}

// replayer decides statements under two policies.
type replayer struct {
	report  *replayReport
	guard   *pgsql.Guard
	changes map[replayChange]*replayChange // by all but the number and the example
}

// side is one policy on one store.
type side struct {
	policy *policy.Policy
	wanted *plan.Wanted // nil: the policy does not have the store
	worlds map[string]*pgsql.World
	make   func(*plan.Identity) *pgsql.World
}

func (r *replayer) stores(ctx context.Context, c *config.Config, other *policy.Policy, statements map[replayed]*recorded) error {
	keys := slices.SortedFunc(maps.Keys(statements), func(a, b replayed) int {
		return cmp.Or(cmp.Compare(a.store, b.store), cmp.Compare(a.subject, b.subject), cmp.Compare(a.statement, b.statement))
	})
	for len(keys) > 0 {
		n := slices.IndexFunc(keys, func(k replayed) bool { return k.store != keys[0].store })
		if n < 0 {
			n = len(keys)
		}
		if err := r.store(ctx, c, other, keys[:n], statements); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// store replays the statements of one store.
func (r *replayer) store(ctx context.Context, c *config.Config, other *policy.Policy, keys []replayed, statements map[replayed]*recorded) error {
	s := c.Stores[keys[0].store]
	if s == nil {
		for _, k := range keys {
			r.report.cannot("the policy in force does not have the store", statements[k].times)
		}
		return nil
	}
	account := s.Grantor
	if account.User == "" {
		account = s.Provisioner
	}
	session, err := openAs(ctx, c, s, account)
	if err != nil {
		return err
	}
	defer session.close()
	now, err := session.side(ctx, c.Policy)
	if err != nil {
		return err
	}
	then, err := session.side(ctx, other)
	if err != nil {
		return fmt.Errorf("the other policy: %w", err)
	}
	for _, k := range keys {
		r.compare(k, statements[k], now, then)
	}
	return nil
}

// side compiles a policy against the store.
func (s *storeSession) side(ctx context.Context, p *policy.Policy) (*side, error) {
	out := &side{policy: p, worlds: map[string]*pgsql.World{}}
	if p.Stores[s.store.Name] == nil {
		return out, nil
	}
	request := s.request
	request.Policy = p
	wanted, snap, err := s.server.Compile(ctx, request)
	if err != nil {
		return nil, explainPlan(err)
	}
	out.wanted = wanted
	for _, id := range wanted.Identities {
		if _, err := worldOf(wanted, id, snap); err != nil {
			return nil, failed("", err)
		}
	}
	out.make = func(id *plan.Identity) *pgsql.World {
		w, err := worldOf(wanted, id, snap)
		if err != nil {
			return &pgsql.World{} // cannot be: it was made above
		}
		return w
	}
	return out, nil
}

// decide decides a statement of somebody; nil: they are not let in at all.
func (s *side) decide(g *pgsql.Guard, user, sql string) (*pgsql.Decision, *plan.Profile) {
	world, profile := s.world(user)
	if world == nil {
		return nil, nil
	}
	return g.Decide(world, sql, pgsql.Simple), profile
}

// world is what somebody's statements are decided with; nil: they are not let in at all.
func (s *side) world(user string) (*pgsql.World, *plan.Profile) {
	if s.wanted == nil {
		return nil, nil
	}
	id := s.wanted.Identity(user)
	if id == nil || id.Profile == nil {
		return nil, nil
	}
	key := id.Profile.Schema
	if s.wanted.Inline {
		key = user // whose constants are in it
	}
	if s.worlds[key] == nil {
		s.worlds[key] = s.make(id)
	}
	return s.worlds[key], id.Profile
}

// compare decides a statement under both policies.
func (r *replayer) compare(k replayed, was *recorded, now, then *side) {
	sql, err := pgsql.Replayable(k.statement)
	if err != nil {
		r.report.cannot(err.Error(), was.times)
		return
	}
	before, profile := now.decide(r.guard, k.subject, sql)
	if allowed(before) != (was.verdict != "refuse") {
		r.report.cannot("the policy in force decides it otherwise without its literals", was.times)
		return
	}
	r.report.Statements++
	r.report.Events += was.times
	after, next := then.decide(r.guard, k.subject, sql)
	note := func(direction, what string) {
		key := replayChange{Subject: k.subject, Store: k.store, Direction: direction, What: what}
		if r.changes[key] == nil {
			c := key
			c.Statement = k.statement
			r.changes[key] = &c
		}
		r.changes[key].Events += was.times
	}
	switch {
	case allowed(before) && after == nil:
		note("loses", "every access to the store")
	case before == nil && allowed(after):
		note("gains", "access to the store")
	case allowed(before) && !allowed(after):
		note("loses", statementWhat(before, after))
	case !allowed(before) && allowed(after):
		note("gains", statementWhat(after, before))
	case allowed(before):
		for _, t := range touchedOnce(before) {
			compareTable(table(profile, t.Relation), table(next, t.Relation), t, note)
		}
	}
}

func allowed(d *pgsql.Decision) bool { return d != nil && d.Verdict != pgsql.Refuse }

// statementWhat says what an allowed decision reaches that a refused one does not.
func statementWhat(yes, no *pgsql.Decision) string {
	var out []string
	for _, t := range touchedOnce(yes) {
		out = append(out, t.Action+" "+t.Relation.String())
	}
	what := strings.Join(out, ", ")
	if what == "" {
		what = "a statement"
	}
	if no != nil && no.Refusal != nil {
		what += " (" + no.Refusal.Reason + ")"
	}
	return what
}

// touchedOnce lists what a decision touches, without the catalog.
func touchedOnce(d *pgsql.Decision) []pgsql.Touch {
	var out []pgsql.Touch
	for _, s := range d.Statements {
		for _, t := range s.Touches {
			if len(t.Rules) > 0 {
				out = append(out, t)
			}
		}
	}
	return out
}

func table(p *plan.Profile, name pgsql.Name) *plan.Table {
	for _, t := range p.Tables {
		if pgsql.Name(t.Base) == name {
			return t
		}
	}
	return nil
}

// compareTable says how the columns and rows of a table change that a statement reads under both policies.
func compareTable(before, after *plan.Table, t pgsql.Touch, note func(direction, what string)) {
	if before == nil || after == nil {
		return
	}
	for _, c := range after.Columns {
		i := slices.IndexFunc(before.Columns, func(b plan.Column) bool { return b.Name == c.Name })
		if i < 0 || len(t.Columns) > 0 && !slices.Contains(t.Columns, c.Name) {
			continue
		}
		was, will := postgres.MaskNames(before.Columns[i].Branches), postgres.MaskNames(c.Branches)
		if was == will {
			continue
		}
		direction := "differs"
		switch a, b := strongest(before.Columns[i]), strongest(c); {
		case a > b:
			direction = "gains"
		case a < b:
			direction = "loses"
		}
		note(direction, fmt.Sprintf("%s.%s as %s instead of %s", t.Relation, quoteColumn(c.Name), will, was))
	}
	switch {
	case before.Filtered && !after.Filtered:
		note("gains", "every row of "+t.Relation.String())
	case !before.Filtered && after.Filtered:
		note("loses", "rows of "+t.Relation.String())
	case before.Filtered && !slices.Equal(before.Rules, after.Rules):
		note("differs", "rows of "+t.Relation.String())
	}
}

func quoteColumn(name string) string { return pgsql.Name{Name: name}.String() }

// strongest is how far a column is masked where it is masked most: 0 is raw.
func strongest(c plan.Column) int {
	rank := 0
	for _, b := range c.Branches {
		rank = max(rank, b.Form.Rank)
	}
	return rank
}

func (r *replayer) sorted() []replayChange {
	out := make([]replayChange, 0, len(r.changes))
	for _, c := range r.changes {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b replayChange) int {
		return cmp.Or(cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Store, b.Store), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.What, b.What))
	})
	return out
}

func (a *app) printReplay(r *replayReport, format string) error {
	if format == "json" {
		return a.ui.json(r)
	}
	for _, c := range r.Changes {
		a.ui.printf("%-16s %-8s %-7s %6d  %s\n", printable(c.Subject), printable(c.Store), c.Direction, c.Events, printable(c.What))
	}
	if len(r.Changes) == 0 {
		a.ui.printf("nobody gains or loses anything\n")
	}
	a.ui.note("%s of %s decided again", count(r.Statements, "statement"), count(r.Events, "event"))
	for _, why := range slices.Sorted(maps.Keys(r.Why)) {
		a.ui.note("%s not replayed: %s", count(r.Why[why], "event"), why)
	}
	return nil
}
