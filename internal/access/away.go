package access

import (
	"context"
	"errors"
	"slices"
	"time"
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
	c := Change{Recalled: []string{id}}
	c.event(d.c.Policy(), who, now, Event{Kind: "approver.recalled", Subject: out.From, Reason: out.To}, nil, nil)
	c.say(Notice{Kind: kindRecalled, At: now, Reason: out.To + " for " + out.From}, out.To, out.From)
	if err := d.c.Store.Commit(ctx, c); errors.Is(err, ErrConflict) {
		return nil, errGone(id) // it has just ended
	} else if err != nil {
		return nil, err
	}
	d.c.Changed()
	return &out, nil
}

func errGone(id string) *Refusal {
	return refuse(CodeNotYours, "postern approve --delegations lists yours", "there is no delegation %q of yours", id)
}
