package access

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// Approve says yes to a request. When it was the last approval that was needed, the grant exists with it.
func (d *Desk) Approve(ctx context.Context, who Actor, id, note string) (*Outcome, error) {
	return d.decide(ctx, who, id, verdictApprove, note)
}

// Deny says no to a request, which ends it.
func (d *Desk) Deny(ctx context.Context, who Actor, id, note string) (*Outcome, error) {
	return d.decide(ctx, who, id, verdictDeny, note)
}

func (d *Desk) decide(ctx context.Context, who Actor, id, verdict, note string) (*Outcome, error) {
	var out Outcome
	err := d.transition(ctx, func(ctx context.Context, now time.Time) (Change, error) {
		r, err := d.request(ctx, id)
		if err != nil {
			return Change{}, err
		}
		if again(r, who.Subject.Name, verdict) {
			o, err := d.outcome(ctx, id)
			if err == nil {
				out = *o
			}
			return Change{}, err
		}
		p := d.c.Policy()
		around, err := d.circle(ctx, now)
		if err != nil {
			return Change{}, err
		}
		stands, refusal := mayDecide(around, r, who, verdict, note, now)
		if refusal != nil {
			c := Change{}
			c.event(p, who, now, Event{Kind: "request.decision_refused", Reason: refusal.Code, From: r.State, To: r.State}, r, nil)
			return c, refusal
		}
		r.Version++
		behind, _ := p.Subject(stands)
		r.Decisions = append(slices.Clone(r.Decisions), Decision{
			By: who.Subject.Name, For: stands, Groups: behind.Groups, Step: r.Step, Verdict: verdict, Note: note, Channel: who.Channel, At: now,
		})
		c := Change{}
		if verdict == verdictDeny {
			c = d.denied(p, who, r, now)
			out = Outcome{Request: *r}
			return c, nil
		}
		g, err := d.approved(ctx, &c, around, who, r, now)
		out = Outcome{Request: *r, Grant: g}
		return c, err
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// again says whether a person repeats what they have said: a double click finds the first outcome (ACC-27).
func again(r *Request, name, verdict string) bool {
	return slices.ContainsFunc(r.Decisions, func(d Decision) bool { return d.By == name && d.Verdict == verdict })
}

// mayDecide is the whole check, made when somebody acts and not when they were told (ACC-21). It returns in whose name they decide.
func mayDecide(around circle, r *Request, who Actor, verdict, note string, now time.Time) (string, *Refusal) {
	p := around.p
	if r.State != Pending || !now.Before(r.Expires) {
		return "", refuse(CodeFinal, "", "request %s is %s", r.ID, r.state(now))
	}
	if requester := p.Users[r.Subject]; who.Subject.Name == r.Subject || requester != nil && requester.Owner == who.Subject.Name {
		return "", refuse(CodeSelf, "", "nobody decides on a request of their own")
	}
	stands := around.eligible(r, who.Subject.Name)
	if stands == "" {
		return "", refuse(CodeNotApprover, "", "you are not among those who decide on request %s", r.ID)
	}
	if who.Channel == ChannelSlack && !inSlack(p, r, verdict) {
		return "", refuse(CodeChannel, "open the portal", "this request cannot be decided this way in Slack")
	}
	if r.decided(who.Subject.Name) || r.decided(stands) {
		return "", refuse(CodeTwice, "", "request %s has your decision", r.ID)
	}
	if rule := p.Rule(r.Rule); rule != nil && rule.Request != nil {
		switch q := rule.Request; {
		case q.Note.Answers() && blank(note):
			return "", refuse(CodeNote, "add --note", "rule %s wants a note from who decides", r.Rule)
		case q.Factor.Answers() && verdict == verdictApprove && !who.proved(now):
			return "", refuse(CodeFactor, HintFactor, "rule %s wants a fresh second factor of who approves", r.Rule)
		}
	}
	if err := checkNote(note); err != nil {
		return "", err.(*Refusal) //nolint:errorlint // checkNote returns nothing else
	}
	return stands, nil
}

// inSlack says whether a verdict may be given in Slack: the dataset has to let it, and nobody approves there what is not shown there whole.
func inSlack(p *policy.Policy, r *Request, verdict string) bool {
	set := p.Datasets[r.Dataset]
	if set == nil {
		return false
	}
	if verdict == verdictDeny {
		return set.Slack.Denies()
	}
	_, whole := r.Outside(set.Statement, true)
	return set.Slack.Approves() && whole
}

func (r *Request) state(now time.Time) State {
	if r.State == Pending && !now.Before(r.Expires) {
		return Expired
	}
	return r.State
}

func (d *Desk) denied(p *policy.Policy, who Actor, r *Request, now time.Time) Change {
	c := Change{}
	r.close(Denied, now)
	c.event(p, who, now, Event{Kind: "request.denied", From: Pending, To: Denied}, r, nil)
	c.tell(now, kindDenied, r, nil, append(owners(p, r.Dataset), r.Subject)...)
	c.Requests = []Request{*r}
	return c
}

// approved takes an approval: the step may need more people, or the request more steps, or nothing more.
func (d *Desk) approved(ctx context.Context, c *Change, around circle, who Actor, r *Request, now time.Time) (*Grant, error) {
	p := around.p
	c.event(p, who, now, Event{Kind: "request.approved", From: Pending, To: Pending}, r, nil)
	if at := around.open(r); at != r.Step {
		r.Step, r.StepSince = at, now
		r.Reminded = r.Reminded || !now.Before(r.half()) // whoever is told of it now needs no second word
	}
	if r.Step < len(r.Steps) {
		c.tell(now, kindNew, r, nil, around.told(r)...)
		c.Requests = []Request{*r}
		return nil, nil
	}
	return d.conclude(ctx, c, p, who, r, now)
}

// conclude makes the grant of a request whose every step is done. What no longer fits the policy is superseded instead.
func (d *Desk) conclude(ctx context.Context, c *Change, p *policy.Policy, who Actor, r *Request, now time.Time) (*Grant, error) {
	old, why, err := d.stillFits(ctx, p, r, now)
	if err != nil {
		return nil, err
	}
	if why != "" {
		d.supersede(c, p, r, why, now)
		return nil, nil
	}
	g := d.grants(p, c, who, r, old, now)
	c.tell(now, kindApproved, r, g, r.Subject)
	c.Requests, c.Grants = []Request{*r}, []Grant{*g}
	return g, nil
}

// stillFits checks a request against the policy of this moment, and finds the grant that it extends.
func (d *Desk) stillFits(ctx context.Context, p *policy.Policy, r *Request, now time.Time) (old *Grant, why string, err error) {
	rule := p.Rule(r.Rule)
	s, known := p.Subject(r.Subject)
	switch {
	case rule == nil || rule.Request == nil || !rule.Enabled || rule.On != r.Dataset:
		return nil, "the rule has changed", nil
	case !slices.EqualFunc(r.Steps, rule.Request.Approvers, sameStep):
		// Decisions say which step they were for: they cannot be counted towards other steps (ACC-21).
		return nil, "who approves it has changed", nil
	case !known || !s.Is(rule.To):
		return nil, "the requester can no longer ask for it", nil
	case d.long(rule, r, now) != nil:
		return nil, "it is longer than the rule allows, or over already", nil
	case r.Extends == "":
		return nil, "", nil
	}
	if old, err = d.grant(ctx, r.Extends); err != nil {
		return nil, "", err
	}
	if old.State != Active || !now.Before(old.End) {
		return nil, "the grant that it extends is over", nil
	}
	if r.end(old.End).After(rule.Request.Max.From(now)) {
		return nil, "it is longer than the rule allows", nil
	}
	return old, "", nil
}

// sameStep says whether a step asks the same of the same names. Who is in a group may change: that is looked at when somebody acts.
func sameStep(a, b policy.Step) bool {
	return slices.Equal(a.Names, b.Names) && a.Each == b.Each && a.Min == b.Min && a.SkipAfter == b.SkipAfter
}

func (d *Desk) supersede(c *Change, p *policy.Policy, r *Request, why string, now time.Time) {
	r.close(Superseded, now)
	c.event(p, Actor{}, now, Event{Kind: "request.superseded", From: Pending, To: Superseded, Reason: why}, r, nil)
	c.tell(now, kindSuperseded, r, nil, r.Subject)
	c.Requests = append(c.Requests, *r)
}

// Withdraw takes a request back.
func (d *Desk) Withdraw(ctx context.Context, who Actor, id string) (*Outcome, error) {
	var out Outcome
	err := d.transition(ctx, func(ctx context.Context, now time.Time) (Change, error) {
		r, err := d.request(ctx, id)
		if err != nil {
			return Change{}, err
		}
		if r.Subject != who.Subject.Name {
			return Change{}, refuse(CodeNotYours, "", "request %s is not yours", id)
		}
		if out.Request = *r; r.State == Withdrawn {
			return Change{}, nil
		}
		if r.State != Pending {
			return Change{}, refuse(CodeFinal, "", "request %s is %s", id, r.State)
		}
		c := Change{}
		r.Version++
		r.close(Withdrawn, now)
		c.event(d.c.Policy(), who, now, Event{Kind: "request.withdrawn", From: Pending, To: Withdrawn}, r, nil)
		c.Requests = []Request{*r}
		out.Request = *r
		return c, nil
	})
	if err != nil {
		return nil, err
	}
	return &out, nil
}

// Delegate lets somebody else decide in this person's place until a time, which replaces the one that was said for the same two before.
// Whoever asked for something still does not decide on it.
func (d *Desk) Delegate(ctx context.Context, who Actor, to string, until time.Time) (*Delegation, error) {
	p := d.c.Policy()
	now := d.now()
	u := p.Users[to]
	switch {
	case u == nil || u.Owner != "" || to == who.Subject.Name:
		return nil, refuse(CodeNotApprover, "name another person, as they sign in", "%q cannot stand in for you", to).at("to")
	case !until.After(now):
		return nil, refuse(CodeTime, "choose an end after now and until "+now.Add(LongestAway).Format(time.RFC3339), "say until when somebody stands in for you").at("until")
	case until.After(now.Add(LongestAway)):
		return nil, refuse(CodeTime, "choose an end after now and until "+now.Add(LongestAway).Format(time.RFC3339), "somebody stands in for at most 60 days").at("until")
	}
	if rule := factored(p, who.Subject); rule != "" && !who.proved(now) {
		// A yes by a deputy is this person's yes: what they would have to prove to say it themselves they prove to hand it on.
		c := Change{}
		c.event(p, who, now, Event{Kind: "request.decision_refused", Reason: CodeFactor, Subject: who.Subject.Name, Rule: rule}, nil, nil)
		no := refuse(CodeFactor, HintFactor, "you decide by rule %s, which wants a fresh second factor of who approves, and of who lets somebody stand in", rule)
		return nil, errors.Join(no, d.c.Store.Commit(ctx, c))
	}
	out := Delegation{ID: d.c.NewID(), From: who.Subject.Name, To: to, End: until.UTC().Truncate(time.Second)}
	mine, err := d.Away(ctx, who)
	if err != nil {
		return nil, err
	}
	c := Change{Delegations: []Delegation{out}}
	for _, old := range mine {
		if old.From == out.From && old.To == out.To {
			c.Recalled = append(c.Recalled, old.ID)
		}
	}
	c.event(p, who, now, Event{Kind: "approver.delegated", Subject: who.Subject.Name, Reason: to + " until " + out.End.Format(time.RFC3339)}, nil, nil)
	// Who is away is told too: somebody else may have done it with what they left open.
	c.say(Notice{Kind: kindDelegated, At: now, Reason: to + " for " + out.From + " until " + out.End.Format(time.RFC3339)}, to, out.From)
	if err := d.c.Store.Commit(ctx, c); err != nil {
		return nil, err
	}
	d.c.Changed()
	return &out, nil
}

// factored finds a rule on which somebody decides, at whatever step, and that wants a fresh second factor of who approves; "" for none.
func factored(p *policy.Policy, s policy.Subject) string {
	manages := false
	for _, u := range p.Users {
		manages = manages || u.Attributes[policy.ApproverManager] == s.Name
	}
	for _, rule := range p.Rules {
		if rule.Request == nil || !rule.Request.Factor.Answers() {
			continue
		}
		for _, step := range rule.Request.Approvers {
			set := p.Datasets[rule.On]
			switch {
			case s.Is(step.Names),
				slices.Contains(step.Names, policy.ApproverOwners) && set != nil && s.Is(set.Owners),
				slices.Contains(step.Names, policy.ApproverManager) && manages:
				return rule.Name
			}
		}
	}
	return ""
}

// Inbox picks the open requests that somebody could decide on at this moment.
func (d *Desk) Inbox(ctx context.Context, who Actor, open []Request) ([]Request, error) {
	around, err := d.circle(ctx, d.now())
	if err != nil {
		return nil, err
	}
	var out []Request
	for i := range open {
		r := &open[i]
		if r.State == Pending && around.now.Before(r.Expires) && around.eligible(r, who.Subject.Name) != "" && !r.decided(who.Subject.Name) {
			out = append(out, *r)
		}
	}
	return out, nil
}
