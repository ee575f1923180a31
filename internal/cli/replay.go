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
	"github.com/postern-sec/postern/internal/daemon"
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
against the stores' tables of this moment and with the grants that are held now, and prints what
would change for whom: statements that would be allowed or refused, columns that would be shown
otherwise, rows that would be filtered otherwise, groups that would be left out. Rules that have
ended admit nothing in either. Nothing is run.

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
	refused bool // the last time
	times   int
}

// limits are the reasons for which a statement is refused that the policy admits: because of others before it.
var limits = []string{"rows_per_query", "rows_per_hour", "queries_per_minute"}

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
	// What people hold by grants they hold under the other policy too, as far as it has the rules.
	with := *c
	with.Policy = other.Policy
	then, err := daemon.PolicyNow(ctx, &with, time.Now())
	if err != nil {
		return failed("", err)
	}
	if err := r.stores(ctx, c, then, statements); err != nil {
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
		out[key].refused = found.Record.Verdict == "refuse" && !slices.Contains(limits, found.Record.Reason)
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
	store  string
	wanted *plan.Wanted            // nil: the policy does not have the store
	worlds map[string]*pgsql.World // by user
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
	now, err := session.side(ctx, session.request.Policy)
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
	out := &side{policy: p, store: s.store.Name, worlds: map[string]*pgsql.World{}}
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
	profiles := map[string]*pgsql.World{} // of the walled tier: what the constants of nobody are in
	for _, id := range slices.Concat(wanted.Identities, wanted.Observed) {
		world := profiles[id.Profile.Schema]
		if world == nil {
			if world, err = postgres.SubjectWorld(wanted, id, snap); err != nil {
				return nil, failed("", err)
			}
			if !wanted.Inline {
				profiles[id.Profile.Schema] = world
			}
		}
		out.worlds[id.User] = world
	}
	return out, nil
}

// decide decides a statement of somebody at this moment; nil: they are not let in at all.
func (s *side) decide(g *pgsql.Guard, user, sql string) (*pgsql.Decision, *plan.Identity) {
	subject, known := s.policy.Subject(user)
	if !known {
		return nil, nil
	}
	world, id := s.world(subject, time.Now())
	if world == nil {
		return nil, nil
	}
	return g.Decide(world, sql, pgsql.Simple), id
}

// world is what somebody's statements are decided with at a time; nil: they are not let in at all.
func (s *side) world(subject policy.Subject, at time.Time) (*pgsql.World, *plan.Identity) {
	if s.wanted == nil {
		return nil, nil
	}
	id, world := s.wanted.Identity(subject.Name), s.worlds[subject.Name]
	if id == nil || world == nil {
		return nil, nil
	}
	over := s.policy.Over(subject, s.store, at)
	if len(over) == 0 {
		return world, id
	}
	if len(over) == len(s.policy.RulesOf(subject, s.store)) {
		return nil, nil
	}
	key := subject.Name + "\x00" + strings.Join(over, "\x00")
	if s.worlds[key] == nil {
		s.worlds[key] = world.Without(over)
	}
	return s.worlds[key], id
}

// compare decides a statement under both policies.
func (r *replayer) compare(k replayed, was *recorded, now, then *side) {
	sql, err := pgsql.Replayable(k.statement)
	if err != nil {
		r.report.cannot(err.Error(), was.times)
		return
	}
	before, as := now.decide(r.guard, k.subject, sql)
	if allowed(before) == was.refused {
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
			compareTable(now.of(as, t.Relation), then.of(next, t.Relation), t, note)
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

// shown is what a policy shows somebody of a table that a statement touches.
type shown struct {
	on    *side
	as    *plan.Identity
	table *plan.Table
}

// of is what somebody is shown of a table on this side; nil: it is not in their profile.
func (s *side) of(id *plan.Identity, name pgsql.Name) *shown {
	for _, t := range id.Profile.Tables {
		if pgsql.Name(t.Base) == name {
			return &shown{s, id, t}
		}
	}
	return nil
}

// rows are the conditions by which the rules in force show rows of the table, sorted: a row is shown where one of them holds. whole says
// that a rule shows every row. What a condition says of somebody's attributes is another one where these are others.
func (s *shown) rows() (conditions []string, whole bool) {
	subject, _ := s.on.policy.Subject(s.as.User)
	over := s.on.policy.Over(subject, s.on.store, time.Now())
	for _, r := range s.as.Profile.Rules {
		says := r.Table(s.table.Base)
		switch {
		case says == nil || slices.Contains(over, r.Name):
			continue
		case says.Filter == nil:
			return nil, true
		}
		row := says.Filter.SQL
		for _, attribute := range says.Filter.Attributes {
			row += fmt.Sprintf("\x00%s=%q", attribute, s.as.Attributes[attribute])
		}
		conditions = append(conditions, row)
	}
	slices.Sort(conditions)
	return slices.Compact(conditions), false
}

// compareTable says how the columns and rows of a table change that a statement reads under both policies.
func compareTable(was, will *shown, t pgsql.Touch, note func(direction, what string)) {
	if was == nil || will == nil {
		return
	}
	before, after := was.table, will.table
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
		case forms(c, before.Columns[i]):
			// One rule more takes nothing away: a row that was shown before is shown as before.
		case a > b:
			direction = "gains"
		case a < b:
			direction = "loses"
		}
		note(direction, fmt.Sprintf("%s.%s as %s instead of %s", t.Relation, quoteColumn(c.Name), will, was))
	}
	compareRows(was, will, t.Relation.String(), note)
	switch {
	case after.MinGroup > before.MinGroup:
		note("loses", fmt.Sprintf("%s %s", groups(after.MinGroup), t.Relation))
	case after.MinGroup < before.MinGroup:
		note("gains", fmt.Sprintf("%s %s", groups(before.MinGroup), t.Relation))
	}
}

// groups names what min_group leaves out.
func groups(n int64) string { return fmt.Sprintf("groups of fewer than %d rows of", n) }

// compareRows says how the rows of a table change. Rules show what one of them shows: more conditions show more, and of other conditions
// nobody can say without the data.
func compareRows(was, will *shown, table string, note func(direction, what string)) {
	has, all := was.rows()
	gets, every := will.rows()
	added, gone := without(gets, has), without(has, gets)
	switch {
	case all && every || !all && !every && len(added)+len(gone) == 0:
	case every:
		note("gains", "every row of "+table)
	case all, len(added) == 0:
		note("loses", "rows of "+table)
	case len(gone) == 0:
		note("gains", "rows of "+table)
	default:
		note("differs", "rows of "+table)
	}
}

// without lists what is in a and not in b.
func without(a, b []string) (out []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
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

// forms says whether a column is shown in every form of another.
func forms(c, other plan.Column) bool {
	return !slices.ContainsFunc(other.Branches, func(o plan.Branch) bool {
		return !slices.ContainsFunc(c.Branches, func(b plan.Branch) bool { return b.Form.Mask.String() == o.Form.Mask.String() })
	})
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
