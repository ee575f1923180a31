package access

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

const (
	askedMost = 100       // times within askedIn, of one person at one gateway
	askedIn   = time.Hour // also between two events that say that somebody asked more often than that
)

// turned is what is kept of somebody who was turned away because they asked too often. The first time is in the trail at once, and what follows
// within an hour is one event, with how often it was: whoever asks without end shall not fill the trail with it.
type turned struct {
	told time.Time
	more int // times since then
	last Event
}

// often refuses who has asked so often within an hour that it is not for what they need: each request is told to all who decide on it.
func (d *Desk) often(ctx context.Context, who Actor, rule string) error {
	now := d.now()
	again, often := d.tooOften(who.Subject.Name, now)
	if !often {
		return nil
	}
	no := refuse(CodeOften, "ask again after "+again.Format(time.RFC3339), "you have asked %d times within an hour, which is as often as one may", askedMost)
	p, c := d.c.Policy(), Change{}
	c.event(p, who, now, Event{Kind: "request.decision_refused", Reason: CodeOften, Subject: who.Subject.Name, Rule: known(p, rule)}, nil, nil)
	d.countTurned(c.Events[0])
	return errors.Join(no, d.tellTurned(ctx, now))
}

// known is a rule's name if there is one: what somebody types instead is no text for the trail.
func known(p *policy.Policy, rule string) string {
	if slices.ContainsFunc(p.Rules, func(r *policy.Rule) bool { return r.Name == rule }) {
		return rule
	}
	return ""
}

func (d *Desk) tooOften(name string, now time.Time) (again time.Time, often bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	lately := slices.DeleteFunc(d.asked[name], func(at time.Time) bool { return now.Sub(at) >= askedIn })
	if d.asked[name] = lately; len(lately) == 0 {
		delete(d.asked, name)
	}
	if len(lately) < askedMost {
		return again, false
	}
	return lately[0].Add(askedIn), true
}

func (d *Desk) countTurned(e Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.turned[e.Subject]
	if t == nil {
		t = &turned{}
		d.turned[e.Subject] = t
	}
	t.more++
	t.last = e
}

// tellTurned records how often people were turned away since it was last told of them, once an hour has passed. What cannot be kept is
// counted on.
func (d *Desk) tellTurned(ctx context.Context, now time.Time) error {
	d.mu.Lock()
	var due []Event
	for name, t := range d.turned {
		if now.Sub(t.told) < askedIn {
			continue
		}
		if t.more == 0 {
			delete(d.turned, name)
			continue
		}
		e := t.last
		e.Count = t.more
		due = append(due, e)
		t.told, t.more = now, 0
	}
	d.mu.Unlock()
	if len(due) == 0 {
		return nil
	}
	err := d.c.Store.Commit(ctx, Change{Events: due})
	if err != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, e := range due {
			if t := d.turned[e.Subject]; t != nil {
				t.told, t.more = time.Time{}, t.more+e.Count
			}
		}
	}
	return err
}

func (d *Desk) noted(name string) {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[name] = append(d.asked[name], now)
}
