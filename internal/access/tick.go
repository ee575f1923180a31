package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// Tick lets time do its work: requests expire, steps are skipped, grants start and end. It may run on several instances at
// once: each row is claimed by its version (ACC-28).
func (d *Desk) Tick(ctx context.Context) error {
	now := d.now()
	return errors.Join(d.sweep(ctx, Filter{Due: now}, now), d.reviewing(ctx, now), d.tellTurned(ctx, now))
}

// Recheck holds every open request and live grant against the policy of this moment. It is run at start and whenever the
// policy or the people change.
func (d *Desk) Recheck(ctx context.Context) error {
	return d.sweep(ctx, Filter{Open: true}, d.now())
}

// sweep works through what a filter finds.
func (d *Desk) sweep(ctx context.Context, f Filter, now time.Time) error {
	requests, err := d.c.Store.Requests(ctx, f)
	if err != nil {
		return err
	}
	grants, err := d.c.Store.Grants(ctx, f)
	if err != nil {
		return err
	}
	around, err := d.circle(ctx, now)
	if err != nil {
		return err
	}
	var steps []func(*Change) error
	for i := range requests {
		steps = append(steps, func(c *Change) error {
			r := requests[i]
			return d.tickRequest(ctx, c, around, &r, now)
		})
	}
	losing := map[string][]Grant{}
	for _, g := range grants {
		if g.Live() && now.Before(g.End) && lost(around.p, &g) != "" {
			if losing[g.Subject] = append(losing[g.Subject], g); len(losing[g.Subject]) == 1 {
				steps = append(steps, func(c *Change) error { return d.lose(ctx, c, around.p, losing, g.Subject, now) })
			}
			continue
		}
		steps = append(steps, func(c *Change) error { return d.tickGrant(ctx, c, around.p, &g, now) })
	}
	changed, err := d.carry(ctx, steps)
	if changed {
		d.c.Changed()
	}
	return err
}

// carry works through steps in batches. A batch that somebody else was faster with is worked through again, one by one, and what is
// still taken then is left to whoever took it.
func (d *Desk) carry(ctx context.Context, steps []func(*Change) error) (changed bool, err error) {
	for some := range slices.Chunk(steps, tickBatch) {
		did, err := d.batch(ctx, some)
		if errors.Is(err, ErrConflict) {
			did = false
			for _, one := range some {
				once, err := d.batch(ctx, []func(*Change) error{one})
				if err != nil && !errors.Is(err, ErrConflict) {
					return changed || did, err
				}
				did = did || once && err == nil
			}
		} else if err != nil {
			return changed, err
		}
		changed = changed || did
	}
	return changed, nil
}

func (d *Desk) batch(ctx context.Context, steps []func(*Change) error) (bool, error) {
	var c Change
	for _, step := range steps {
		if err := step(&c); err != nil {
			return false, err
		}
	}
	if len(c.Requests)+len(c.Grants)+len(c.Events) == 0 {
		return false, nil
	}
	return true, d.c.Store.Commit(ctx, c)
}

func (d *Desk) tickRequest(ctx context.Context, c *Change, around circle, r *Request, now time.Time) error {
	p := around.p
	if r.State != Pending {
		return nil
	}
	if !now.Before(r.Expires) {
		r.Version++
		r.close(Expired, now)
		c.event(p, Actor{}, now, Event{Kind: "request.expired", From: Pending, To: Expired}, r, nil)
		told := []string{r.Subject}
		if r.Step < len(r.Steps) {
			told = append(told, around.told(r)...)
		}
		c.tell(now, kindExpired, r, nil, told...)
		c.Requests = append(c.Requests, *r)
		return nil
	}
	_, why, err := d.stillFits(ctx, p, r, now)
	if err != nil {
		return err
	}
	if why == "" && around.stuck(r) {
		why = "nobody is left who could approve it"
		c.say(Notice{Kind: kindNobody, At: now, Dataset: r.Dataset, Reason: r.Subject + " asked by rule " + r.Rule}, owners(p, r.Dataset)...)
	}
	if why != "" {
		r.Version++
		d.supersede(c, p, r, why, now)
		return nil
	}
	skipped := false
	for r.Step < len(r.Steps)-1 && r.Steps[r.Step].SkipAfter > 0 && !now.Before(r.StepSince.Add(r.Steps[r.Step].SkipAfter)) {
		r.Decisions = append(append([]Decision{}, r.Decisions...), Decision{Step: r.Step, Verdict: verdictSkip, At: now})
		c.event(p, Actor{}, now, Event{Kind: "request.step_skipped", From: Pending, To: Pending}, r, nil)
		// The next step's clock starts where this one's ran out, so that a scheduler that slept does not lengthen the wait.
		r.StepSince = r.StepSince.Add(r.Steps[r.Step].SkipAfter)
		r.Step++
		skipped = true
	}
	late := !r.Reminded && !now.Before(r.half())
	switch {
	case skipped:
		c.tell(now, kindNew, r, nil, around.told(r)...)
	case late && r.Step < len(r.Steps):
		c.tell(now, kindReminder, r, nil, around.told(r)...)
	}
	if skipped || late {
		r.Version++
		r.Reminded = r.Reminded || late
		c.Requests = append(c.Requests, *r)
	}
	return nil
}

func (d *Desk) tickGrant(ctx context.Context, c *Change, p *policy.Policy, g *Grant, now time.Time) error {
	if !g.Live() {
		if !g.Overdue && !g.ReviewDue.IsZero() && !now.Before(g.ReviewDue) {
			c.overdue(p, g, now)
		}
		return nil
	}
	if !now.Before(g.End) {
		c.over(p, Actor{}, g, Ended, ByTime, "", now)
		return nil
	}
	enabled := p.Rule(g.Rule).Enabled
	switch {
	case !enabled && g.State == Active:
		c.park(p, Actor{}, g, ByRule, "the rule is suspended", now)
	case enabled && g.State == Suspended && g.Parked == ByRule:
		c.unpark(p, Actor{}, g, "", now)
	case g.State == Scheduled && !now.Before(g.Start):
		return d.starts(ctx, c, p, g, now)
	case g.State == Active && !g.disused().IsZero() && !now.Before(g.disused()):
		c.over(p, Actor{}, g, Revoked, ByDisuse, "", now)
	case g.State == Active && !g.Warned && !g.disused().IsZero() && !now.Before(g.disused().Add(-warnBefore)):
		g.Version++
		g.Warned = true
		c.tell(now, kindUnused, nil, g, g.Subject)
		c.Grants = append(c.Grants, *g)
	case g.State == Active && g.near(now):
		c.nears(g, now)
	case !g.Overdue && !g.ReviewDue.IsZero() && !now.Before(g.ReviewDue):
		c.overdue(p, g, now)
	}
	return nil
}

// lose ends all that somebody may no longer hold, in one go, and tells them once (ACC-59). It takes the grants out of the map: where
// somebody else was faster with one of them, it is called again, and looks anew which are left.
func (d *Desk) lose(ctx context.Context, c *Change, p *policy.Policy, from map[string][]Grant, subject string, now time.Time) error {
	all := from[subject]
	if delete(from, subject); all == nil {
		live, err := d.c.Store.Grants(ctx, Filter{Subject: subject, Open: true})
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(live, func(g Grant) bool { return !now.Before(g.End) || lost(p, &g) == "" })
	}
	if len(all) == 0 {
		return nil
	}
	n := Notice{Kind: kindRevoked, At: now, Grant: all[0].ID, Reason: lostWords[lost(p, &all[0])]}
	var ids []string
	for i := range all {
		g := &all[i]
		cause := lost(p, g)
		c.close(p, Actor{}, g, Revoked, cause, "", now)
		if ids = append(ids, g.ID); lostWords[cause] != n.Reason {
			n.Reason = "" // there is more than one
		}
	}
	if len(ids) > 1 {
		n.Kind, n.Grant, n.Grants = kindLost, "", strings.Join(ids, " ")
	}
	c.say(n, subject)
	return nil
}

// lostWords say to people why they lost something.
var lostWords = map[Cause]string{
	ByDeactivated: "the account is gone", ByRule: "the rule is gone, or is another", ByGroupLost: "the rule is no longer for this person or a group of theirs",
}

// lost says why a subject no longer may hold what they were granted, or "".
func lost(p *policy.Policy, g *Grant) Cause {
	rule := p.Rule(g.Rule)
	s, known := p.Subject(g.Subject)
	switch {
	case !known:
		return ByDeactivated
	case rule == nil || rule.Request == nil || rule.On != g.Dataset:
		return ByRule
	case !s.Is(rule.To):
		return ByGroupLost
	}
	return ""
}

// starts makes a scheduled grant active, if those who approved it are still there (ACC-22).
func (d *Desk) starts(ctx context.Context, c *Change, p *policy.Policy, g *Grant, now time.Time) error {
	r, err := d.request(ctx, g.Request)
	if err != nil {
		return err
	}
	for _, x := range r.Decisions {
		if x.Verdict == verdictApprove && (p.Users[x.By] == nil || p.Users[x.For] == nil) {
			c.over(p, Actor{}, g, Revoked, ByApprover, "", now)
			return nil
		}
	}
	g.Version++
	g.State = Active
	c.event(p, Actor{}, now, Event{Kind: "grant.started", From: Scheduled, To: Active}, nil, g)
	c.Grants = append(c.Grants, *g)
	return nil
}

func (c *Change) overdue(p *policy.Policy, g *Grant, now time.Time) {
	g.Version++
	g.Overdue = true
	c.event(p, Actor{}, now, Event{Kind: "breakglass.overdue", From: g.State, To: g.State}, nil, g)
	c.tell(now, kindOverdue, nil, g, c.owners(p, g.Dataset)...)
	c.Grants = append(c.Grants, *g)
}

// Built notes how far the servers are: ready says which of the grants that somebody holds are visible there, with why not for the
// others; gone says that nothing is left of those that are over. It is told by whoever looks after the wall, with the live grants
// that the servers were brought to: what changed since is another's, and left for the next time.
func (d *Desk) Built(ctx context.Context, live []Grant, ready func(g *Grant) (ok bool, why string), gone func(g *Grant) bool) error {
	now := d.now()
	closing, err := d.c.Store.Grants(ctx, Filter{Closing: true})
	if err != nil {
		return err
	}
	p := d.c.Policy()
	var steps []func(*Change) error
	for _, found := range append(slices.Clip(live), closing...) {
		steps = append(steps, func(c *Change) error {
			g := found
			c.Quiet = true
			return d.built(ctx, c, p, &g, ready, gone, now)
		})
	}
	_, err = d.carry(ctx, steps)
	return err
}

func (d *Desk) built(ctx context.Context, c *Change, p *policy.Policy, g *Grant, ready func(*Grant) (bool, string), gone func(*Grant) bool, now time.Time) error {
	switch {
	case g.Holds(now):
		ok, why := ready(g)
		if !ok && !g.Waiting.IsZero() && now.Sub(g.Waiting) >= failAfter {
			g.Why = why
			admins, err := d.c.Admins(ctx)
			if err != nil {
				return err
			}
			c.over(p, Actor{}, g, Failed, ByFailure, why, now)
			c.tell(now, kindFailed, nil, g, admins...)
			return nil
		}
		if ok == (g.Wall == WallReady) && why == g.Why && ok == g.Waiting.IsZero() {
			return nil
		}
		g.Version++
		was := g.Wall
		if ok {
			g.Waiting = time.Time{}
		} else if g.Waiting.IsZero() {
			g.Waiting = now
		}
		if g.Why = why; !ok {
			g.Wall = WallPending
		} else if g.Wall = WallReady; was != WallReady {
			c.event(p, Actor{}, now, Event{Kind: "grant.active", From: g.State, To: g.State}, nil, g)
			c.tell(now, kindActive, nil, g, append(c.owners(p, g.Dataset), g.Subject)...)
		}
		c.Grants = append(c.Grants, *g)
	case (!g.Live() || g.State == Suspended) && g.Wall == WallRemoving && gone(g):
		g.Version++
		g.Wall = WallGone
		c.event(p, Actor{}, now, Event{Kind: "wall.reverted", From: g.State, To: g.State}, nil, g)
		c.Grants = append(c.Grants, *g)
	}
	return nil
}

// Used notes when grants were last used. It is told every now and then, not at each statement.
func (d *Desk) Used(ctx context.Context, at map[string]map[string]time.Time) error {
	for subject, rules := range at {
		for rule, t := range rules {
			held, err := d.c.Store.Grants(ctx, Filter{Subject: subject, Rule: rule, Open: true})
			if err != nil {
				return err
			}
			for _, g := range held {
				if !t.After(g.LastUse) {
					continue
				}
				g.Version++
				g.LastUse, g.Warned = t, false
				if err := d.c.Store.Commit(ctx, Change{Grants: []Grant{g}, Quiet: true}); err != nil && !errors.Is(err, ErrConflict) {
					return err
				}
			}
		}
	}
	return nil
}
