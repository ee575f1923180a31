package access

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// Revoke ends a grant now. Its holder, an owner of the dataset, whoever approved it and an admin may.
func (d *Desk) Revoke(ctx context.Context, who Actor, id, reason string) (*Grant, error) {
	return d.change(ctx, who, id, func(c *Change, p *policy.Policy, g *Grant, now time.Time) error {
		if g.State == Revoked {
			return nil
		}
		if !g.Live() {
			return refuse(CodeFinal, "", "grant %s is %s", id, g.State)
		}
		if err := checkNote(reason); err != nil {
			return err
		}
		from := g.State
		c.over(p, who, g, Revoked, ByPerson, reason, now)
		return d.dropped(ctx, c, p, who, g, from, now)
	}, mayRevoke)
}

// Suspend ends a grant's sessions until Resume, or until its end.
func (d *Desk) Suspend(ctx context.Context, who Actor, id, reason string) (*Grant, error) {
	return d.change(ctx, who, id, func(c *Change, p *policy.Policy, g *Grant, now time.Time) error {
		if g.State == Suspended {
			return nil
		}
		if err := suspends(g); err != nil {
			return err
		}
		if err := checkNote(reason); err != nil {
			return err
		}
		c.park(p, who, g, ByPerson, reason, now)
		return nil
	}, mayAnswer)
}

// Resume lets a suspended grant go on, if its end has not come. Nobody lifts what was put on themselves.
func (d *Desk) Resume(ctx context.Context, who Actor, id, reason string) (*Grant, error) {
	return d.change(ctx, who, id, func(c *Change, p *policy.Policy, g *Grant, now time.Time) error {
		if g.State == Active && !theirs(p, who, g) {
			return nil
		}
		if err := resumes(p, who, g, now); err != nil {
			return err
		}
		if err := checkNote(reason); err != nil {
			return err
		}
		c.unpark(p, who, g, reason, now)
		return nil
	}, mayAnswer)
}

// Confirm says in a review that a grant is still needed. Nobody reviews their own.
func (d *Desk) Confirm(ctx context.Context, who Actor, id, note string) (*Grant, error) {
	return d.change(ctx, who, id, func(c *Change, p *policy.Policy, g *Grant, now time.Time) error {
		if err := confirms(p, who, g); err != nil {
			return err
		}
		if err := checkNote(note); err != nil {
			return err
		}
		kind := "review.confirmed"
		if g.Breaking {
			kind = "breakglass.reviewed"
		}
		g.Version++
		g.Reviewed, g.Reviewer, g.ReviewNote, g.ReviewDue = now, who.Subject.Name, note, time.Time{}
		c.event(p, who, now, Event{Kind: kind, From: g.State, To: g.State, Reason: note}, nil, g)
		c.Grants = []Grant{*g}
		return nil
	}, mayAnswer)
}

// Acts is what somebody may do to a grant.
type Acts struct{ Revoke, Suspend, Resume, Confirm bool }

// ActsOn says what somebody who answers for a grant may do to it now: what Revoke, Suspend, Resume and Confirm go by, for whoever shows
// them to people. What its holder and who approved it may do besides is not in it.
func ActsOn(p *policy.Policy, who Actor, g *Grant, now time.Time) Acts {
	if !answers(p, who, g) {
		return Acts{}
	}
	return Acts{
		Revoke: g.Live(), Suspend: suspends(g) == nil, Resume: g.State == Suspended && resumes(p, who, g, now) == nil,
		Confirm: confirms(p, who, g) == nil,
	}
}

func suspends(g *Grant) error {
	if g.State != Active {
		return refuse(CodeFinal, "", "grant %s is %s", g.ID, g.State)
	}
	return nil
}

func resumes(p *policy.Policy, who Actor, g *Grant, now time.Time) error {
	switch {
	case theirs(p, who, g):
		return refuse(CodeSelf, "ask an owner of dataset "+g.Dataset, "nobody resumes what they hold themselves")
	case g.State != Suspended || !now.Before(g.End):
		return refuse(CodeFinal, "", "grant %s is %s", g.ID, g.State)
	case g.Parked == ByRule:
		return refuse(CodeNoRule, "", "rule %s is suspended in the policy file", g.Rule)
	}
	return nil
}

func confirms(p *policy.Policy, who Actor, g *Grant) error {
	switch {
	case theirs(p, who, g):
		return refuse(CodeSelf, "ask an owner of dataset "+g.Dataset, "nobody reviews what they hold themselves")
	case !g.Live() && !g.Breaking: // what was broken into is looked at afterwards too
		return refuse(CodeFinal, "", "grant %s is %s", g.ID, g.State)
	}
	return nil
}

// theirs says whether a grant is somebody's own: they hold it, or answer for the service account that does (ACC-19).
func theirs(p *policy.Policy, who Actor, g *Grant) bool {
	holder := p.Users[g.Subject]
	return who.Subject.Name == g.Subject || holder != nil && holder.Owner == who.Subject.Name
}

// change loads a grant, checks who may touch it, and carries out what act does with it.
func (d *Desk) change(ctx context.Context, who Actor, id string, act func(*Change, *policy.Policy, *Grant, time.Time) error, allows may) (*Grant, error) {
	var out Grant
	err := d.transition(ctx, func(ctx context.Context, now time.Time) (Change, error) {
		g, err := d.grant(ctx, id)
		if err != nil {
			return Change{}, err
		}
		p := d.c.Policy()
		allowed, err := allows(ctx, d, p, who, g)
		if err != nil {
			return Change{}, err
		}
		if !allowed {
			c := Change{}
			c.event(p, who, now, Event{Kind: "request.decision_refused", Reason: CodeNotYours, From: g.State, To: g.State}, nil, g)
			return c, refuse(CodeNotYours, "", "grant %s is neither yours nor on a dataset that you answer for", id)
		}
		c := Change{}
		if err := act(&c, p, g, now); err != nil {
			refused := Change{}
			if no := (*Refusal)(nil); errors.As(err, &no) && no.Code == CodeSelf { // as where it is not theirs to decide: somebody tried
				refused.event(p, who, now, Event{Kind: "request.decision_refused", Reason: CodeSelf, From: g.State, To: g.State}, nil, g)
			}
			return refused, err
		}
		out = *g
		return c, nil
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// may says who may do something to a grant.
type may func(ctx context.Context, d *Desk, p *policy.Policy, who Actor, g *Grant) (bool, error)

// mayAnswer is for who answers for a grant: an admin, and the owners of the dataset but for whoever holds it.
func mayAnswer(_ context.Context, _ *Desk, p *policy.Policy, who Actor, g *Grant) (bool, error) {
	return answers(p, who, g), nil
}

func answers(p *policy.Policy, who Actor, g *Grant) bool {
	set := p.Datasets[g.Dataset]
	return who.Admin || who.Subject.Name != g.Subject && set != nil && who.Subject.Is(set.Owners)
}

// mayRevoke is besides for the holder, and for who approved it: they may take their yes back, and decide on nothing more by it.
func mayRevoke(ctx context.Context, d *Desk, p *policy.Policy, who Actor, g *Grant) (bool, error) {
	if ok, err := mayAnswer(ctx, d, p, who, g); ok || err != nil || who.Subject.Name == g.Subject {
		return ok || who.Subject.Name == g.Subject, err
	}
	r, err := d.request(ctx, g.Request)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(r.Decisions, func(x Decision) bool { return x.By == who.Subject.Name && x.Verdict == verdictApprove }), nil
}

// over ends a grant for good.
func (c *Change) over(p *policy.Policy, who Actor, g *Grant, to State, cause Cause, reason string, now time.Time) {
	kind := c.close(p, who, g, to, cause, reason, now)
	c.tell(now, kind, nil, g, g.Subject)
	if cause == ByDisuse || to == Failed {
		c.tell(now, kind, nil, g, c.owners(p, g.Dataset)...)
	}
}

// close is over without telling anybody. It says what kind of event that was.
func (c *Change) close(p *policy.Policy, who Actor, g *Grant, to State, cause Cause, reason string, now time.Time) string {
	from := g.State
	g.Version++
	g.State, g.Cause, g.Reason, g.Closed = to, cause, reason, now
	// Also where a pause has taken the wall away: what was made under the grant was kept for its going on, and is to be ended now (ACC-32).
	g.Wall = WallRemoving
	kind := map[State]string{Ended: kindEnded, Revoked: kindRevoked, Failed: kindFailed}[to]
	why := string(cause)
	if reason != "" {
		why += ": " + reason
	}
	c.event(p, who, now, Event{Kind: kind, From: from, To: to, Reason: why}, nil, g)
	c.Grants = append(c.Grants, *g)
	return kind
}

func (c *Change) park(p *policy.Policy, who Actor, g *Grant, cause Cause, reason string, now time.Time) {
	g.Version++
	g.State, g.Parked, g.Reason, g.Wall = Suspended, cause, reason, WallRemoving
	c.event(p, who, now, Event{Kind: "grant.suspended", From: Active, To: Suspended, Reason: reason}, nil, g)
	c.say(Notice{Kind: kindSuspended, At: now, Grant: g.ID, Reason: reason}, g.Subject)
	c.Grants = append(c.Grants, *g)
}

func (c *Change) unpark(p *policy.Policy, who Actor, g *Grant, reason string, now time.Time) {
	g.Version++
	g.State, g.Parked, g.Reason, g.Wall, g.Waiting = Active, "", "", WallPending, time.Time{}
	c.event(p, who, now, Event{Kind: "grant.resumed", From: Suspended, To: Active, Reason: reason}, nil, g)
	c.say(Notice{Kind: kindResumed, At: now, Grant: g.ID, Reason: reason}, g.Subject)
	c.Grants = append(c.Grants, *g)
}

// Due is when time next has something to do with a grant; zero: never.
func (g *Grant) Due() time.Time {
	var due time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	switch g.State {
	case Scheduled:
		sooner(g.Start)
	case Active, Suspended:
		sooner(g.End)
		if end := g.disused(); !end.IsZero() && g.State == Active {
			if g.Warned {
				sooner(end)
			} else {
				sooner(end.Add(-warnBefore))
			}
		}
		if _, at := g.ahead(g.Told); g.State == Active {
			sooner(at)
		}
	}
	if !g.Overdue {
		sooner(g.ReviewDue)
	}
	return due
}

// disused is when a grant ends for want of use; zero: never. Counting starts at the grant, or at its last use (ACC-17).
func (g *Grant) disused() time.Time {
	if g.Unused == 0 {
		return time.Time{}
	}
	from := g.Start
	if g.LastUse.After(from) {
		from = g.LastUse
	}
	return from.AddDate(0, 0, g.Unused)
}

// Due is when time next has something to do with a request; zero: never.
func (r *Request) Due() time.Time {
	if r.State != Pending {
		return time.Time{}
	}
	due := r.Expires
	if r.Step < len(r.Steps) {
		if skip := r.Steps[r.Step].SkipAfter; skip > 0 && r.StepSince.Add(skip).Before(due) {
			due = r.StepSince.Add(skip)
		}
	}
	if half := r.half(); !r.Reminded && half.Before(due) {
		due = half
	}
	return due
}

// ReviewOrder puts first what a reviewer should look at first: emergencies, what was never used, what never ends (ACC-40).
func ReviewOrder(a, b Grant) int {
	weight := func(g Grant) int {
		switch {
		case !g.ReviewDue.IsZero():
			return 0
		case g.LastUse.IsZero():
			return 1
		case !g.End.Before(policy.Never()):
			return 2
		}
		return 3
	}
	return weight(a) - weight(b)
}
