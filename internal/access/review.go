package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// Review is one round in which the owners of a dataset say what is still needed of what people hold there by grants (ACC-40).
//
// It says who is asked about what, and until when. The answers are the grants' own: one that was confirmed since the review began, or is
// over, needs none. So two owners who answer at the same time do not meet, and a grant that ends meanwhile is nobody's work.
type Review struct {
	Dataset string    `json:"dataset"`
	Number  int       `json:"number"` // from 1, one after the other
	Version int       `json:"version"`
	Open    bool      `json:"open"`
	Opened  time.Time `json:"opened"`
	Due     time.Time `json:"due"`
	Closed  time.Time `json:"closed,omitzero"`
	Grants  []string  `json:"grants"` // that it asks about
	Overdue bool      `json:"overdue,omitempty"`
	Told    bool      `json:"told,omitempty"` // the owners were reminded
}

// name is what the trail calls a review.
func (v *Review) name() string { return fmt.Sprintf("%s %d", v.Dataset, v.Number) }

// Unanswered picks the grants of a review that nobody has answered for.
func (v *Review) Unanswered(grants []Grant) []Grant {
	return slices.DeleteFunc(slices.Clone(grants), func(g Grant) bool {
		return !g.Live() || !g.Reviewed.Before(v.Opened) || !slices.Contains(v.Grants, g.ID)
	})
}

// reviewing lets time do its work on the reviews of every dataset. Each is a change of its own: what is wrong with one holds no other up.
func (d *Desk) reviewing(ctx context.Context, now time.Time) error {
	found, err := d.c.Store.Reviews(ctx)
	if err != nil {
		return err
	}
	p := d.c.Policy()
	last := map[string]*Review{}
	for i := range found {
		last[found[i].Dataset] = &found[i]
	}
	for name, set := range p.Datasets {
		if set.Review != nil && last[name] == nil {
			last[name] = nil // the first is due
		}
	}
	changed := false
	var failed error
	for name, v := range last {
		c, err := d.tickReview(ctx, p, name, v, now)
		if err == nil && len(c.Reviews) > 0 {
			err = d.c.Store.Commit(ctx, c)
			changed = changed || err == nil
		}
		if err != nil && !errors.Is(err, ErrConflict) { // another instance was faster: it is done
			failed = errors.Join(failed, err)
		}
	}
	if changed {
		d.c.Changed()
	}
	return failed
}

// tickReview works out what time does with the last review of a dataset; v is nil where there was none.
func (d *Desk) tickReview(ctx context.Context, p *policy.Policy, dataset string, v *Review, now time.Time) (c Change, err error) {
	var rule *policy.Review
	if set := p.Datasets[dataset]; set != nil {
		rule = set.Review
	}
	if v == nil || !v.Open {
		if rule == nil || v != nil && now.Before(rule.Every.From(v.Opened)) {
			return c, nil
		}
		return d.opens(ctx, p, dataset, rule, v, now)
	}
	grants, err := d.c.Store.Grants(ctx, Filter{IDs: v.Grants})
	if err != nil {
		return c, err
	}
	left := v.Unanswered(grants)
	next := *v
	next.Version++
	switch {
	case rule == nil:
		c.closes(p, &next, left, "the dataset is not reviewed any longer", now)
	case len(left) == 0:
		c.closes(p, &next, nil, "", now)
	case !now.Before(v.Due) && rule.Revoke:
		return c, d.drops(ctx, &c, p, &next, left, now)
	case !now.Before(rule.Every.From(v.Opened)):
		c.closes(p, &next, left, "the next one begins", now)
	case !now.Before(v.Due) && !v.Overdue:
		next.Overdue = true
		return c, d.late(ctx, &c, p, &next, left, "what nobody answered for is kept", now)
	case !v.Told && now.Before(v.Due) && !now.Before(v.Opened.Add(v.Due.Sub(v.Opened)/2)):
		next.Told = true
		err := d.asks(ctx, &c, p, kindReviewReminder, &next, left, "", now)
		c.Reviews = append(c.Reviews, next)
		return c, err
	}
	return c, nil
}

// opens begins a review. One that asks about nothing is over at once, so that the next is counted from here.
func (d *Desk) opens(ctx context.Context, p *policy.Policy, dataset string, rule *policy.Review, before *Review, now time.Time) (Change, error) {
	c := Change{}
	v := Review{Dataset: dataset, Number: 1, Version: 1, Open: true, Opened: now, Due: rule.Due.From(now).Truncate(time.Second)}
	if before != nil {
		v.Number = before.Number + 1
	}
	held, err := d.c.Store.Grants(ctx, Filter{Open: true})
	if err != nil {
		return c, err
	}
	held = slices.DeleteFunc(held, func(g Grant) bool { return g.Dataset != dataset })
	for i := range held {
		v.Grants = append(v.Grants, held[i].ID)
	}
	c.review(p, Actor{}, "review.opened", &v, fmt.Sprintf("%s until %s", amount(len(held)), v.Due.Format(time.RFC3339)), now)
	if len(held) == 0 {
		c.closes(p, &v, nil, "", now)
		return c, nil
	}
	c.Reviews = []Review{v}
	return c, d.asks(ctx, &c, p, kindReviewOpened, &v, held, "", now)
}

// closes ends a review.
func (c *Change) closes(p *policy.Policy, v *Review, left []Grant, why string, now time.Time) {
	v.Open, v.Closed = false, now
	reason := "everything is answered"
	if why != "" {
		reason = why + "; unanswered: " + amount(len(left))
	}
	c.review(p, Actor{}, "review.closed", v, reason, now)
	c.Reviews = append(c.Reviews, *v)
}

// drops ends what nobody answered for.
func (d *Desk) drops(ctx context.Context, c *Change, p *policy.Policy, v *Review, left []Grant, now time.Time) error {
	v.Overdue = true
	if err := d.asks(ctx, c, p, kindReviewOverdue, v, left, "what nobody answered for was ended", now); err != nil {
		return err
	}
	c.review(p, Actor{}, "review.overdue", v, amount(len(left))+" unanswered, and ended", now)
	for i := range left {
		g := &left[i]
		c.event(p, Actor{}, now, Event{Kind: "review.revoked", From: g.State, To: Revoked, Reason: "review " + v.name()}, nil, g)
		c.over(p, Actor{}, g, Revoked, ByReview, "", now)
	}
	c.closes(p, v, nil, "", now)
	return nil
}

// late says that a review is overdue, and that nothing follows from it by itself.
func (d *Desk) late(ctx context.Context, c *Change, p *policy.Policy, v *Review, left []Grant, follows string, now time.Time) error {
	c.review(p, Actor{}, "review.overdue", v, amount(len(left))+" unanswered; "+follows, now)
	c.Reviews = append(c.Reviews, *v)
	return d.asks(ctx, c, p, kindReviewOverdue, v, left, follows, now)
}

// asks tells the owners of a review. Where there are none, and when it is late, the admins are told as well.
func (d *Desk) asks(ctx context.Context, c *Change, p *policy.Policy, kind string, v *Review, left []Grant, follows string, now time.Time) error {
	told := c.owners(p, v.Dataset)
	if len(told) == 0 || kind == kindReviewOverdue {
		admins, err := d.c.Admins(ctx)
		if err != nil {
			return err
		}
		told = append(told, admins...)
	}
	reason := fmt.Sprintf("%s until %s", amount(len(left)), v.Due.Format(time.RFC3339))
	if follows != "" {
		reason += "; " + follows
	}
	c.say(Notice{Kind: kind, At: now, Until: v.Due, Dataset: v.Dataset, Reason: reason}, told...)
	return nil
}

// review adds an event about a review.
func (c *Change) review(p *policy.Policy, who Actor, kind string, v *Review, reason string, now time.Time) {
	c.event(p, who, now, Event{Kind: kind, Dataset: v.Dataset, Reason: fmt.Sprintf("review %s: %s", v.name(), reason)}, nil, nil)
}

// dropped notes that somebody ended a grant that a review asks about.
func (d *Desk) dropped(ctx context.Context, c *Change, p *policy.Policy, who Actor, g *Grant, from State, now time.Time) error {
	if who.Subject.Name == g.Subject {
		return nil // they gave it back
	}
	reviews, err := d.c.Store.Reviews(ctx)
	if err != nil {
		return err
	}
	for i := range reviews {
		if v := &reviews[i]; v.Open && v.Dataset == g.Dataset && slices.Contains(v.Grants, g.ID) {
			c.event(p, who, now, Event{Kind: "review.revoked", From: from, To: Revoked, Reason: "review " + v.name()}, nil, g)
		}
	}
	return nil
}

func amount(n int) string {
	if n == 1 {
		return "1 grant"
	}
	return fmt.Sprintf("%d grants", n)
}
