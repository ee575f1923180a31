package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// VerifyOptions bounds what Verify looks at.
type VerifyOptions struct {
	Rows     int // rows compared of a table for one subject; 0: 100 000
	Subjects int // subjects with different attributes tried per profile; 0: 3
}

// The kinds of findings of Verify.
const (
	FindDrift   = "drift"   // an object of Postern's is not as apply made it
	FindPending = "pending" // the policy says something that was not applied
	FindRows    = "rows"    // a profile or rule shows other rows than the policy says
	FindMask    = "mask"    // the right rows, other values
	FindReach   = "reach"   // a subject reaches something past its views
)

// VerifyFinding is one way in which the wall is not what the policy says. It never holds a value of a table.
type VerifyFinding struct {
	Kind    string `json:"kind"`
	Object  string `json:"object"`            // the change's ID, or the application's table
	Profile string `json:"profile,omitempty"` // the profile, or "rule NAME" when the rule was tried alone
	Message string `json:"message"`
}

// VerifyCompared is one comparison that was made.
type VerifyCompared struct {
	Profile string `json:"profile"`
	Table   string `json:"table"`
	Subject string `json:"subject"`
	Rows    int    `json:"rows"`    // that the subject should see
	Sampled bool   `json:"sampled"` // only the first Rows by key
}

// Verification is what Verify found.
type Verification struct {
	Findings   []VerifyFinding  `json:"findings"`
	Compared   []VerifyCompared `json:"compared"`
	Incomplete []string         `json:"incomplete"` // what should have been looked at and could not be
}

// Verify proves that the wall is what the policy says, in two ways. It compares every object of Postern's with what apply would make. And it
// logs in as a probe, a temporary member of each profile, and compares what the probe sees with what it should see: rows are
// chosen by the policy's own text evaluated on the base, masks are computed in Go, in one snapshot of the database. Each rule is also
// tried alone, on the base, and so is each profile with the rules that end, ended. The probe role is dropped afterwards. s is the
// provisioner's connection.
func (s *Server) Verify(ctx context.Context, req Request, opts VerifyOptions) (v *Verification, err error) {
	if opts.Rows <= 0 {
		opts.Rows = 100_000
	}
	if opts.Subjects <= 0 {
		opts.Subjects = 3
	}
	unlock, err := s.lockApply(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, err := s.Plan(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	if r.Snapshot.CurrentUser != r.Wanted.Provisioner {
		return nil, fmt.Errorf("verify: log in as the provisioner %s, not as %s", r.Wanted.Provisioner, r.Snapshot.CurrentUser)
	}
	if r.Snapshot.Wall != nil && r.Snapshot.Wall.Suspended {
		return nil, &SuspendedError{Store: req.Store}
	}
	v = &Verification{}
	v.addDrift(r.Plan)
	if r.Snapshot.Wall == nil {
		return v, nil // nothing was ever applied, and the findings say so
	}
	run := &verifyRun{server: s, result: r, opts: opts, out: v, rls: newWall(r.Wanted, r.Snapshot).rls}
	if err := run.all(ctx); err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	slices.SortStableFunc(v.Findings, func(a, b VerifyFinding) int {
		return strings.Compare(a.Kind+"\x00"+a.Object+"\x00"+a.Profile, b.Kind+"\x00"+b.Object+"\x00"+b.Profile)
	})
	return v, nil
}

// lockApply keeps apply away while a probe exists.
func (s *Server) lockApply(ctx context.Context) (unlock func(), err error) {
	var got bool
	if err := s.conn.QueryRow(ctx, "SELECT pg_catalog.pg_try_advisory_lock($1)", int64(lockKey)).Scan(&got); err != nil {
		return nil, fmt.Errorf("verify: take the advisory lock: %w", err)
	}
	if !got {
		return nil, errors.New("verify: an apply or another verify is under way on this database")
	}
	return func() {
		_, _ = s.conn.Exec(context.WithoutCancel(ctx), "SELECT pg_catalog.pg_advisory_unlock($1)", int64(lockKey)) // the session's end does it too
	}, nil
}

// addDrift turns what apply would do into findings.
func (v *Verification) addDrift(p *plan.Plan) {
	for _, c := range p.Changes {
		kind := FindPending
		if c.Drift {
			kind = FindDrift
		}
		v.Findings = append(v.Findings, VerifyFinding{Kind: kind, Object: c.ID, Message: c.Title + ": " + c.Reason})
	}
	for _, o := range p.Operator {
		if o.Required {
			v.Incomplete = append(v.Incomplete, "an operator's step is missing: "+o.Title)
		}
	}
}

// verifySubject is who the probe stands for.
type verifySubject struct {
	name       string
	attributes map[string]string
}

// verifyRun is one Verify under way.
type verifyRun struct {
	server *Server
	result *Result
	opts   VerifyOptions
	out    *Verification
	rls    map[catalog.Name]bool
	probe  *probe
}

func (r *verifyRun) incomplete(format string, args ...any) {
	r.out.Incomplete = append(r.out.Incomplete, fmt.Sprintf(format, args...))
}

func (r *verifyRun) found(kind, object, profile, format string, args ...any) {
	r.out.Findings = append(r.out.Findings, VerifyFinding{Kind: kind, Object: object, Profile: profile, Message: fmt.Sprintf(format, args...)})
}

// all tries every profile, and every rule alone.
func (r *verifyRun) all(ctx context.Context) (err error) {
	if r.probe, err = newProbe(ctx, r.server, r.result.Wanted.Schemas); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.probe.drop(context.WithoutCancel(ctx))) }()
	for _, p := range r.result.Wanted.Profiles {
		if r.result.Snapshot.Schema(p.Schema) == nil || r.result.Snapshot.Role(p.Role) == nil {
			r.incomplete("profile %s is not on the server yet", p.Schema)
			continue
		}
		if err := r.profile(ctx, p); err != nil {
			return fmt.Errorf("profile %s: %w", p.Schema, err)
		}
	}
	return nil
}

// profile tries one profile as several subjects.
func (r *verifyRun) profile(ctx context.Context, p *plan.Profile) error {
	if err := r.probe.join(ctx, p.Role); err != nil {
		return err
	}
	defer func() { _ = r.probe.leave(context.WithoutCancel(ctx)) }() // drop reports what stays behind
	every := func(*plan.Rule) bool { return true }
	subjects := r.subjects(p)
	for _, subject := range subjects {
		if err := r.compare(ctx, p, subject, every, ""); err != nil {
			return err
		}
	}
	if p.Ends {
		endless := func(rule *plan.Rule) bool { return !rule.Ends }
		if err := r.compare(ctx, p, subjects[0], endless, ", after the ends of its rules"); err != nil {
			return err
		}
	}
	return r.rulesAlone(ctx, p, subjects[0])
}

// subjects picks those who hold a profile and differ in what its filters look at; for a profile that nobody holds, somebody made up.
func (r *verifyRun) subjects(p *plan.Profile) []verifySubject {
	var keys []string
	for _, rule := range p.Rules {
		for _, t := range rule.Tables {
			if t.Filter != nil {
				keys = append(keys, t.Filter.Attributes...)
			}
		}
	}
	var out []verifySubject
	seen := map[string]bool{}
	for _, i := range r.result.Wanted.Identities {
		if i.Profile.Schema != p.Schema {
			continue
		}
		var parts []string
		for _, k := range keys {
			parts = append(parts, i.Attributes[k])
		}
		if key := strings.Join(parts, "\x00"); !seen[key] && len(out) < r.opts.Subjects {
			seen[key] = true
			out = append(out, verifySubject{name: i.User, attributes: i.Attributes})
		}
	}
	if len(out) == 0 {
		out = append(out, verifySubject{name: "nobody", attributes: map[string]string{"name": "nobody"}})
	}
	return out
}

// compare compares all tables of a profile for one subject, in one snapshot of the database.
func (r *verifyRun) compare(ctx context.Context, p *plan.Profile, subject verifySubject, active func(*plan.Rule) bool, when string) error {
	if err := r.probe.become(ctx, subject, p.Rules, active); err != nil {
		return err
	}
	pair, err := r.probe.snapshot(ctx)
	if errors.Is(err, errProbeLogin) {
		r.incomplete("profile %s: the probe cannot log in: %v", p.Schema, err)
		return nil
	}
	if err != nil {
		return err
	}
	defer pair.close(context.WithoutCancel(ctx))
	if when == "" {
		if err := r.reach(ctx, pair, p); err != nil {
			return err
		}
	}
	for _, t := range p.Tables {
		if t.Own {
			continue // membership in the owner is all there is (ENF-94)
		}
		c := comparison{run: r, pair: pair, profile: p.Schema, table: t.Base, target: t.View, source: t.Source, subject: subject, when: when}
		for _, rule := range p.Rules {
			if rt := rule.Table(t.Base); rt != nil && rule.Level != policy.Own {
				c.rules = append(c.rules, comparedRule{rule: rule, says: rt, active: active(rule)})
			}
		}
		if err := c.carryOut(ctx); err != nil {
			return fmt.Errorf("table %s: %w", t.Base, err)
		}
	}
	return nil
}

// rulesAlone tries each rule by itself: the probe becomes a member of the rule's role and reads the base, under the row policies
// that are for that role.
func (r *verifyRun) rulesAlone(ctx context.Context, p *plan.Profile, subject verifySubject) error {
	for _, rule := range p.Rules {
		if rule.Level == policy.Own || r.probe.tried[rule.Name] || r.result.Snapshot.Role(rule.Role) == nil {
			continue
		}
		r.probe.tried[rule.Name] = true
		if err := r.probe.become(ctx, subject, p.Rules, func(*plan.Rule) bool { return true }); err != nil {
			return err
		}
		pair, err := r.probe.snapshotAs(ctx, rule.Role, p.Role)
		if errors.Is(err, errProbeLogin) {
			r.incomplete("rule %s: the probe cannot log in: %v", rule.Name, err)
			continue
		}
		if err == nil {
			err = r.ruleAlone(ctx, pair, rule, subject)
			pair.close(context.WithoutCancel(ctx))
		}
		if err := errors.Join(err, r.probe.join(ctx, p.Role)); err != nil {
			return fmt.Errorf("rule %s: %w", rule.Name, err)
		}
	}
	return nil
}

// ruleAlone compares the rows of each table of a rule.
func (r *verifyRun) ruleAlone(ctx context.Context, pair *snapshotPair, rule *plan.Rule, subject verifySubject) error {
	for _, t := range rule.Tables {
		rel := r.result.Snapshot.Relation(t.Base)
		if rel == nil || len(t.Select) == 0 {
			continue
		}
		c := comparison{
			run: r, pair: pair, profile: "rule " + rule.Name, table: t.Base, target: t.Base, source: rel, subject: subject,
			rules: []comparedRule{{rule: rule, says: t, active: true}}, raw: t.Select,
		}
		if err := c.carryOut(ctx); err != nil {
			return fmt.Errorf("table %s: %w", t.Base, err)
		}
	}
	return nil
}

// reach asks what the probe could do past its views.
func (r *verifyRun) reach(ctx context.Context, pair *snapshotPair, p *plan.Profile) error {
	ask := func(sql string, args ...any) (yes bool, err error) {
		err = pair.probe.QueryRow(ctx, sql, args...).Scan(&yes)
		return yes, err
	}
	for _, t := range p.Tables {
		if t.Own || t.Open {
			continue
		}
		for _, privilege := range []string{"SELECT", "INSERT", "UPDATE", "REFERENCES"} {
			yes, err := ask("SELECT coalesce(pg_catalog.has_any_column_privilege($1::oid, $2::text), false)", uint32(t.BaseOID), privilege)
			if err != nil {
				return err
			}
			if yes {
				r.found(FindReach, t.Base.String(), p.Schema, "the profile has %s on the table itself, past its view", privilege)
			}
		}
	}
	for _, rule := range p.Rules {
		if rule.Level == policy.Own || r.result.Snapshot.Role(rule.Role) == nil {
			continue
		}
		yes, err := ask("SELECT pg_catalog.pg_has_role($1::name, 'MEMBER')", rule.Role)
		if err != nil {
			return err
		}
		if yes {
			r.found(FindReach, rule.Role, p.Schema, "the profile is a member of the rule's role")
		}
	}
	yes, err := ask("SELECT pg_catalog.pg_has_role($1::name, 'MEMBER')", p.Masker)
	if err == nil && yes {
		r.found(FindReach, p.Masker, p.Schema, "the profile is a member of its masker")
	}
	return err
}
