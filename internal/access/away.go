package access

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// Away lists who stands in for somebody, and for whom they stand in, with the one that ends first at the beginning.
func (d *Desk) Away(ctx context.Context, who Actor) ([]Delegation, error) {
	all, err := d.c.Store.Delegations(ctx, d.now())
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(x Delegation) bool { return !x.concerns(who.Subject.Name) })
	slices.SortStableFunc(all, func(a, b Delegation) int { return a.End.Compare(b.End) })
	return all, nil
}

func (x *Delegation) concerns(name string) bool { return x.From == name || x.To == name }

// Recall ends a delegation before its time: whoever was away is back, or whoever stands in will not any more. It only takes away, so that
// nothing has to be proved for it.
func (d *Desk) Recall(ctx context.Context, who Actor, id string) (*Delegation, error) {
	mine, err := d.Away(ctx, who)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(mine, func(x Delegation) bool { return x.ID == id })
	if at < 0 {
		return nil, errGone(id)
	}
	out := mine[at]
	now := d.now()
	out.End = now.Truncate(time.Second)
	var c Change
	c.recall(d.c.Policy(), who, now, &out)
	if err := d.c.Store.Commit(ctx, c); errors.Is(err, ErrConflict) {
		return nil, errGone(id) // it has just ended
	} else if err != nil {
		return nil, err
	}
	d.c.Changed()
	return &out, nil
}

// recall ends a delegation and tells both.
func (c *Change) recall(p *policy.Policy, who Actor, now time.Time, x *Delegation) {
	c.Recalled = append(c.Recalled, x.ID)
	c.event(p, who, now, Event{Kind: "approver.recalled", Subject: x.From, Reason: x.To}, nil, nil)
	c.say(Notice{Kind: kindRecalled, At: now, Reason: x.To + " for " + x.From}, x.To, x.From)
}

// Lapse ends those of some delegations that an account may not leave behind: what it made when it is reset, because whoever found what was
// lost may have, and also what was made for it when it is disabled.
func Lapse(all []Delegation, name string, disabled bool, now time.Time) (c Change) {
	for i := range all {
		if x := &all[i]; x.From == name || disabled && x.To == name {
			c.recall(&policy.Policy{}, Actor{}, now, x)
		}
	}
	return c
}

func errGone(id string) *Refusal {
	return refuse(CodeNotYours, "postern approve --delegations lists yours", "there is no delegation %q of yours", id)
}
