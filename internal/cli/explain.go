package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgserve"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
)

func (a *app) explain() *cobra.Command {
	var as, store, format string
	cmd := &cobra.Command{
		Use:   "explain --as USER SQL",
		Short: "say why a statement is allowed, rewritten or refused for somebody",
		Long: `Decides a statement the way the gateway would, without running it, and prints the verdict, the
rules that lead to it with the masks and filters that they bring, what the server would be sent,
and for a refusal what would make the statement allowed, with the request to make. Where the wall is not
what the policy says, the answer is that postern apply has to be run, as the gateway's is.

Exit codes: 0 allowed or rewritten, 1 refused, 2 could not look.`,
		Example: `  postern explain --as ana 'SELECT email FROM customers'
  postern explain --as ana --format json 'TABLE payroll'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if as == "" {
				return &usageError{command: cmd.CommandPath(), err: errors.New("say for whom: --as USER")}
			}
			c, err := a.load()
			if err != nil {
				return err
			}
			// What the user holds by a grant counts as much as what the file gives.
			pol, err := daemon.PolicyNow(cmd.Context(), c, time.Now())
			if err != nil {
				return failed("", err)
			}
			e, err := a.explainSQL(cmd.Context(), c, pol, pgsql.NewGuard(-1), as, store, args[0])
			if err != nil {
				return err
			}
			if err := a.printExplanation(e, format); err != nil {
				return err
			}
			if e.Verdict == "refuse" {
				return silently(exitFindings)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&as, "as", "", "`user` whose statement it is")
	storeFlag(cmd, &store)
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

// explanation is the JSON form, which the portal shows too.
type explanation struct{ portal.Explanation }

type touched = portal.Touched

// explainSQL decides a statement by a policy, with the store's catalog as it is now.
func (a *app) explainSQL(ctx context.Context, c *config.Config, pol *policy.Policy, guard *pgsql.Guard, user, store, sql string) (*explanation, error) {
	s, err := pickStore(c, store)
	if err != nil {
		return nil, err
	}
	subject, known := pol.Subject(user)
	if !known {
		return nil, failed("postern policy check lists the users", fmt.Errorf("there is no user %q in the policy", user))
	}
	// Asked as if from this machine: what the network rules say of an address is not the statement's question.
	admission := pol.Decide(policy.Login{Subject: subject, Store: s.Name, Local: true, TLS: true, ClientCert: true, At: time.Now()})
	out := newExplanation(pol, subject, s.Name, admission)
	with := pol.WithShadows()
	shadows := shadowsInForce(pol, with, subject, s.Name)
	if admission.Refusal != nil && len(shadows) == 0 {
		return out, nil
	}
	account := s.Grantor
	if account.User == "" {
		account = s.Provisioner
	}
	session, err := openFor(ctx, c, s, account, pol)
	if err != nil {
		return nil, err
	}
	defer session.close()
	if len(shadows) > 0 {
		side, err := session.side(ctx, with)
		if err != nil {
			return nil, err
		}
		if world, _ := side.world(subject, time.Now()); world != nil {
			out.shadow(guard, world, shadows, sql)
		}
		if admission.Refusal != nil {
			return out, nil
		}
	}
	wanted, snap, err := session.server.Compile(ctx, session.request)
	if err != nil {
		return nil, explainPlan(err)
	}
	postgres.HoldLimits(wanted, snap) // as serve does
	id := wanted.Identity(user)
	if id == nil || id.Profile == nil {
		return nil, failed("", fmt.Errorf("user %q has no profile on store %s", user, s.Name))
	}
	out.Profile = id.Profile.Schema
	why, err := pgserve.Refused(wanted, snap, id, pol.Observes(subject, s.Name))
	if err != nil {
		return nil, failed("", err)
	}
	if why != nil {
		out.unavailable(why.Code, why.Message, why.Hint)
		return out, nil
	}
	world, err := postgres.SubjectWorld(wanted, id, snap)
	if err != nil {
		return nil, failed("", err)
	}
	out.verdict(guard, world.Without(admission.Ended()), pol, subject, sql)
	return out, nil
}

// shadowsInForce names the shadow rules of a subject that are not over; with is the policy with its shadow rules in force, nil if it has none.
func shadowsInForce(pol, with *policy.Policy, s policy.Subject, store string) []string {
	names := ruleNames(pol.Shadows(s, store))
	if len(names) == 0 {
		return nil
	}
	over := with.Over(s, store, time.Now())
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(over, name) })
}

// unavailable says that the gateway would not let the user in, and why.
func (e *explanation) unavailable(code policy.Code, message, hint string) {
	e.Reason, e.Message, e.Hint = string(code), message, hint
}

// explainStanding decides a statement with what the gateway of this process decides with at this moment. Where it would not let
// somebody in, the answer is what it would tell them.
func explainStanding(guard *pgsql.Guard, on *daemon.Standing, store, sql string) (*explanation, error) {
	out := newExplanation(on.Policy, on.Subject, store, on.Admission)
	if world, rules := pgserve.ShadowAt(on.Shadow, on.At); world != nil {
		out.shadow(guard, world, rules, sql)
	}
	switch {
	case on.Admission.Refusal != nil:
		return out, nil
	case on.Unavailable != nil:
		out.unavailable(on.Unavailable.Code, on.Unavailable.Message, on.Unavailable.Hint)
		return out, nil
	}
	world, err := pgserve.WorldOf(on.Profile)
	if err != nil {
		return nil, failed("", err)
	}
	out.Profile = on.Profile.Name
	out.verdict(guard, world, on.Policy, on.Subject, sql)
	return out, nil
}

// newExplanation is what a login comes to, before any statement.
func newExplanation(pol *policy.Policy, s policy.Subject, store string, a policy.Admission) *explanation {
	out := &explanation{portal.Explanation{User: s.Name, Store: store, Verdict: "refuse", Rules: ruleNames(a.Rules), NotEnforced: pol.Observes(s, store)}}
	if a.Refusal != nil {
		out.Reason, out.Message = string(a.Refusal.Code), a.Refusal.Text
		out.Allowed = waysIn(pol, store, s, a.Refusal.Code)
	}
	return out
}

func ruleNames(rules []*policy.Rule) []string {
	names := make([]string, 0, len(rules))
	for _, r := range rules {
		names = append(names, r.Name)
	}
	return names
}

// verdict decides the statement, and says what would allow it where it is refused.
func (e *explanation) verdict(guard *pgsql.Guard, world *pgsql.World, pol *policy.Policy, s policy.Subject, sql string) {
	if refusal := e.decide(guard, world, sql); refusal != nil {
		e.Allowed = waysToAllow(pol, s, refusal)
	}
}

// shadow decides the statement with the user's shadow rules in force.
func (e *explanation) shadow(guard *pgsql.Guard, world *pgsql.World, rules []string, sql string) {
	inner := explanation{portal.Explanation{Verdict: "refuse"}}
	inner.decide(guard, world, sql)
	e.Shadow = &portal.ShadowVerdict{Rules: rules, Verdict: inner.Verdict, Sent: inner.Sent, Touches: inner.Touches, Message: inner.Message, Reason: inner.Reason}
}

// decide fills in what becomes of a statement. It returns the refusal, if it is one.
func (e *explanation) decide(guard *pgsql.Guard, world *pgsql.World, sql string) *pgsql.Refusal {
	d := guard.Decide(world, sql, pgsql.Simple)
	for _, s := range d.Statements {
		for _, t := range s.Touches {
			e.touch(t, world)
		}
	}
	if r := d.Refusal; r != nil {
		e.SQLState, e.Reason, e.Message, e.Detail, e.Hint, e.Dataset = r.SQLState, r.Reason, r.Message, r.Detail, r.Hint, r.Dataset
		e.Position = r.Position
		return r
	}
	e.Verdict, e.Sent = "allow", d.Text
	if d.Verdict == pgsql.Rewrite {
		e.Verdict = "rewrite"
	}
	return nil
}

// touch notes a relation, with what the profile makes of it.
func (e *explanation) touch(t pgsql.Touch, world *pgsql.World) {
	out := touched{Relation: t.Relation.Schema + "." + t.Relation.Name, Action: t.Action, Columns: t.Columns, Rules: t.Rules}
	if rel := world.Relations[t.Relation]; rel != nil {
		out.Dataset, out.Filtered, out.Masks = rel.Dataset, rel.Filtered, map[string]string{}
		for _, c := range rel.Columns {
			if c.Mask != "" && (len(t.Columns) == 0 || slices.Contains(t.Columns, c.Name)) {
				out.Masks[c.Name] = c.Mask
			}
		}
	}
	same := func(o touched) bool {
		return o.Relation == out.Relation && o.Action == out.Action && slices.Equal(o.Columns, out.Columns)
	}
	if !slices.ContainsFunc(e.Touches, same) {
		e.Touches = append(e.Touches, out)
	}
}

// waysIn lists what would let somebody reach a store whose rules do not.
func waysIn(p *policy.Policy, store string, s policy.Subject, code policy.Code) []string {
	if code != policy.CodeNoRule && code != policy.CodeRuleEnded {
		return nil
	}
	var out []string
	for _, r := range p.Rules {
		if r.Enabled && p.Reaches(r, store) && !s.Is(r.To) {
			out = append(out, ruleWay(r))
		}
	}
	return append(out, requestWays(p, out, store)...)
}

// requestWays lists the datasets of a store that can be asked for.
func requestWays(p *policy.Policy, already []string, store string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(p.Datasets)) {
		if slices.ContainsFunc(p.Datasets[name].Include, func(t policy.TablePattern) bool { return t.Store == "" || t.Store == "*" || t.Store == store }) {
			out = append(out, requestWay(p, name))
		}
	}
	return slices.DeleteFunc(out, func(s string) bool { return slices.Contains(already, s) })
}

// ruleWay says whom a rule is to.
func ruleWay(r *policy.Rule) string {
	return fmt.Sprintf("rule %s (level %s), which is to %s", r.Name, r.Level, strings.Join(r.To, ", "))
}

// requestWay says how to ask for a dataset, and who answers for it.
func requestWay(p *policy.Policy, dataset string) string {
	out := pgsql.RequestCommand(dataset)
	if d := p.Datasets[dataset]; d != nil && len(d.Owners) > 0 {
		out += ", answered by " + strings.Join(d.Owners, ", ")
	}
	return out
}

// waysToAllow lists what would make a refused statement allowed: rules that others hold, the request, or what the policy or
// the statement would have to say instead.
func waysToAllow(p *policy.Policy, s policy.Subject, r *pgsql.Refusal) []string {
	var out []string
	if way, ok := strings.CutPrefix(r.Hint, pgsql.RuleCanAllow); ok {
		return []string{"a rule that allows " + strings.TrimSuffix(way, ".")}
	}
	switch r.Reason {
	case pgsql.ReasonRelation, pgsql.ReasonAction, pgsql.ReasonColumn:
		if r.Dataset == "" {
			return []string{"a dataset that holds " + r.Object + ", and a rule on it"}
		}
		for _, rule := range p.Rules {
			if rule.Enabled && rule.On == r.Dataset && !s.Is(rule.To) && (r.Reason == pgsql.ReasonRelation || rule.Level >= policy.Write) {
				out = append(out, ruleWay(rule))
			}
		}
		if r.Reason != pgsql.ReasonRelation {
			out = append(out, fmt.Sprintf("a rule on dataset %s with level: write that names it under write", r.Dataset))
		}
		return append(out, requestWay(p, r.Dataset))
	case pgsql.ReasonFunction, pgsql.ReasonOperator, pgsql.ReasonType, pgsql.ReasonCatalog, pgsql.ReasonSetting:
		return []string{"nothing in the policy: it stands on no list of what is safe under masks and filters"}
	case pgsql.ReasonStatement, pgsql.ReasonTemporary, pgsql.ReasonExplain, pgsql.ReasonCopy:
		return []string{"nothing in the policy: run it with a login that is not Postern's"}
	case pgsql.ReasonLock:
		return []string{"a rule that lets you update the table, or the statement without its lock"}
	case pgsql.ReasonMaskedValue:
		return []string{"a rule that shows the column as it is"}
	case pgsql.ReasonSystemColumn:
		return []string{"a rule that shows the whole table"}
	}
	if r.Hint != "" {
		out = append(out, r.Hint)
	}
	return out
}

func (a *app) printExplanation(e *explanation, format string) error {
	if format == "json" {
		return a.ui.json(e)
	}
	style := styleGreen
	if e.Verdict == "refuse" {
		style = styleRed
	}
	a.ui.printf("%s for %s on %s\n", a.ui.style(style, e.Verdict), e.User, e.Store)
	line := func(name, value string) {
		if value != "" {
			a.ui.printf("  %-8s %s\n", name, printable(value))
		}
	}
	if e.NotEnforced {
		line("but", "NOT ENFORCED: "+e.User+" is observed on "+e.Store+", so the statement is recorded and sent as it is")
	}
	line("rules", strings.Join(e.Rules, ", "))
	for _, t := range e.Touches {
		line("touches", t.String())
	}
	line("sent", e.Sent)
	line("what", e.Message)
	line("why", e.Detail)
	line("reason", e.Reason)
	line("hint", e.Hint)
	for i, way := range e.Allowed {
		name := "allowed"
		if i > 0 {
			name = "or"
		}
		line(name, way)
	}
	if s := e.Shadow; s != nil {
		line("shadow", s.Verdict+" with "+strings.Join(s.Rules, ", ")+" in force")
		for _, t := range s.Touches {
			line("", t.String())
		}
		line("", s.Message)
	}
	return nil
}
