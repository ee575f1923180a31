package access

import (
	"context"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// Extension is what may still be asked for on top of a grant.
type Extension struct {
	Grant string    `json:"grant"`
	End   time.Time `json:"end"`   // of the grant as it stands
	Until time.Time `json:"until"` // the latest end that there is to ask for
}

// Extendable is from when on a grant can be extended (ACC-16).
func (g *Grant) Extendable() time.Time { return g.End.Add(-g.End.Sub(g.Start) / extendFrom) }

// Extension says what somebody could ask for now on top of a grant. A refusal is the one that Request would give for the same, and by the
// same rules; what Request looks at besides is what is written into the form.
func (d *Desk) Extension(ctx context.Context, who Actor, g *Grant) (*Extension, error) {
	p, now := d.c.Policy(), d.now()
	rule, err := askable(p, who, g.Rule)
	if err != nil {
		return nil, err
	}
	r := Request{Subject: who.Subject.Name, Rule: rule.Name, Dataset: rule.On, For: rule.Request.Default, Extends: g.ID}
	if err := d.long(rule, &r, now); err != nil {
		return nil, err
	}
	old, err := d.inTheWay(ctx, &r, now)
	if err != nil {
		return nil, err
	}
	if err := extends(rule, &r, Ask{}, old, now); err != nil {
		return nil, err
	}
	return &Extension{Grant: old.ID, End: old.End, Until: farthest(rule, now)}, nil
}

// farthest is how far ahead what is held by a rule may lie.
func farthest(rule *policy.Rule, now time.Time) time.Time {
	return rule.Request.Max.From(now).Truncate(time.Second)
}

// askable finds a rule that is somebody's to ask for. Any other is as good as none: its name tells nothing.
func askable(p *policy.Policy, who Actor, name string) (*policy.Rule, error) {
	rule := p.Rule(name)
	if rule == nil || rule.Request == nil || !rule.Enabled || !who.Subject.Is(rule.To) {
		return nil, refuse(CodeNoRule, HintNoRule, "there is no rule %q that you can ask for", name)
	}
	if set := p.Datasets[rule.On]; who.Channel == ChannelSlack && (set == nil || set.Slack == policy.SlackOff) {
		return nil, refuse(CodeChannel, "open the portal", "dataset %s is not asked for in Slack", rule.On)
	}
	return rule, nil
}
