package slack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	api "github.com/slack-go/slack"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/notify"
	"github.com/postern-sec/postern/internal/policy"
)

// Send implements notify.Transport: a direct message to the person, if the person and the dataset want that, or a post in the dataset's
// channel.
func (a *App) Send(ctx context.Context, m *notify.Message) error {
	if m = shownHere(a.c.Policy(), m); m == nil || !wanted(a.c.Policy(), m) {
		return notify.ErrNotThisWay
	}
	out := Copy{ID: fmt.Sprintf("%s.%d", m.ID, m.At.UnixMicro()), Kind: m.Kind, Request: m.Request, To: m.To, At: a.c.Now()}
	if has, err := a.c.Copies.HasCopy(ctx, out.ID); err != nil || has {
		return err // it was sent, and what came after was lost
	}
	var r *access.Request
	if m.Request != "" {
		var err error
		if r, err = a.request(ctx, m.Request); err != nil {
			return err
		}
		if r != nil {
			out.Version = r.Version
		}
	}
	text, blocks, err := a.message(m, r)
	if err != nil {
		return &notify.Permanent{Err: err}
	}
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	if out.Channel = m.Channel; m.Channel == "" {
		if out.Channel, err = a.conversation(ctx, c, m); err != nil {
			return delivery(err)
		}
	}
	if out.Channel, out.TS, err = c.PostMessageContext(ctx, out.Channel, looks(text, blocks)...); err != nil {
		return delivery(err)
	}
	return a.c.Copies.KeepCopy(ctx, out)
}

// shownHere leaves out of a message about several grants those on datasets that are nothing for Slack; nil: none is left.
func shownHere(p *policy.Policy, m *notify.Message) *notify.Message {
	if len(m.Grants) == 0 {
		return m
	}
	out := *m
	out.Grants = slices.DeleteFunc(slices.Clone(m.Grants), func(g notify.Lost) bool {
		set := p.Datasets[g.Dataset]
		return set == nil || set.Slack == policy.SlackOff
	})
	if len(out.Grants) == 0 {
		return nil
	}
	return &out
}

// wanted says whether a message is for Slack, as the policy of this moment has it: what was turned off meanwhile does not go there.
func wanted(p *policy.Policy, m *notify.Message) bool {
	set := p.Datasets[m.Dataset]
	if m.Dataset != "" && (set == nil || set.Slack == policy.SlackOff) {
		return false
	}
	if m.Channel != "" {
		return set != nil && set.Channel == m.Channel
	}
	u := p.Users[m.To]
	return u != nil && !u.NoSlack && m.Email != ""
}

// looks says how a message is shown: nothing in it is followed or unfolded.
func looks(text string, blocks []api.Block) []api.MsgOption {
	return []api.MsgOption{api.MsgOptionText(text, false), api.MsgOptionBlocks(blocks...), api.MsgOptionDisableLinkUnfurl(), api.MsgOptionDisableMediaUnfurl()}
}

// conversation opens the direct messages with the person who has an address, and with nobody who merely says that they have.
func (a *App) conversation(ctx context.Context, c *api.Client, m *notify.Message) (string, error) {
	ours, err := a.workspace(ctx, c)
	if err != nil {
		return "", err
	}
	u, err := c.GetUserByEmailContext(ctx, m.Email)
	if err != nil {
		return "", err
	}
	email, err := a.address(u, ours)
	if err != nil || !strings.EqualFold(email, m.Email) {
		return "", &notify.Permanent{Err: fmt.Errorf("%s is not told in Slack: %w", m.To, errors.Join(err))}
	}
	return open(ctx, c, u.ID)
}

func open(ctx context.Context, c *api.Client, user string) (string, error) {
	ch, _, _, err := c.OpenConversationContext(ctx, &api.OpenConversationParameters{Users: []string{user}})
	if err != nil {
		return "", err
	}
	return ch.ID, nil
}

func (a *App) request(ctx context.Context, id string) (*access.Request, error) {
	found, err := a.c.Access.Requests(ctx, access.Filter{IDs: []string{id}})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// edit brings every message up to what its request has come to, wherever that was decided (ACC-49). What a message shows is worked
// out anew, so that edits cannot overtake one another, and those that were missed are one.
func (a *App) edit(ctx context.Context) error {
	for {
		stale, err := a.c.Copies.StaleCopies(ctx, a.c.Now(), batch)
		if err != nil {
			return err
		}
		for _, m := range stale {
			if err := a.revise(ctx, m); err != nil {
				return err
			}
		}
		if len(stale) < batch {
			return nil
		}
	}
}

func (a *App) revise(ctx context.Context, m Copy) error {
	r, err := a.request(ctx, m.Request)
	if err != nil {
		return err
	}
	if r == nil {
		m.TS = ""
		return a.c.Copies.KeepCopy(ctx, m)
	}
	c, err := a.client(ctx)
	if err != nil {
		return err
	}
	shows := &notify.Message{
		Kind: m.Kind, To: m.To, Subject: r.Subject, Dataset: r.Dataset, Rule: r.Rule, Request: r.ID, State: string(r.State), Note: r.Note, Urgent: r.Breaking, At: m.At,
	}
	if m.To == "" {
		shows.Channel = m.Channel
	}
	text, blocks, err := a.message(shows, r)
	if err != nil {
		return err
	}
	_, _, _, err = c.UpdateMessageContext(ctx, m.Channel, m.TS, looks(text, blocks)...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var never *notify.Permanent
	var later *notify.Later
	switch err = delivery(err); {
	case err == nil:
		m.Version, m.Tries = r.Version, 0
		if err := a.edited(ctx, m); err != nil {
			return err
		}
	case errors.As(err, &never), m.Tries+1 >= editTries:
		a.c.Log.Warn("slack: a message is not edited any more", "kind", m.Kind, "request", m.Request, "to", m.To, "error", err)
		m.TS = ""
	default:
		wait := min(retryFirst<<min(m.Tries, 10), retryMost)
		if errors.As(err, &later) && later.After > 0 {
			wait = later.After
		}
		m.Tries++
		m.Due = a.c.Now().Add(wait)
	}
	return a.c.Copies.KeepCopy(context.WithoutCancel(ctx), m)
}

// edited puts into the trail that a message says something else now.
func (a *App) edited(ctx context.Context, m Copy) error {
	to := m.To
	if to == "" {
		to = "channel " + m.Channel
	}
	_, err := a.c.Audit.Record(ctx, audit.Event{
		Kind: audit.NoticeEdited, Detail: map[string]string{"notice": m.ID, "kind": m.Kind, "to": to, "transport": a.Name(), "request": m.Request},
	})
	return err
}

// tell writes a line to somebody in private.
func (a *App) tell(ctx context.Context, c *api.Client, user, line string) error {
	channel, err := open(ctx, c, user)
	if err != nil {
		return err
	}
	_, _, err = c.PostMessageContext(ctx, channel, looks(escape(line), []api.Block{plain(line)})...)
	return err
}

func stamp(t time.Time) string { return t.UTC().Format("2 January 2006 15:04 UTC") }
