package slack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	api "github.com/slack-go/slack"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/policy"
)

// stranger says why somebody in Slack is nobody here. It is for the trail: they are told no more than that they are not recognised.
type stranger string

// Error implements error.
func (s stranger) Error() string { return string(s) }

// person finds who a user in Slack is: a profile fetched now, of our own workspace, with a confirmed address of an allowed domain that
// is one active user's (ACC-44). Names are looked at by nobody: everybody chooses their own.
func (a *App) person(ctx context.Context, c *api.Client, team, id string) (policy.Subject, error) {
	var none policy.Subject
	ours, err := a.workspace(ctx, c)
	if err != nil {
		return none, err
	}
	if team != ours {
		return none, stranger("another workspace")
	}
	u, err := c.GetUserInfoContext(ctx, id)
	if err != nil {
		var refused api.SlackErrorResponse
		if errors.As(err, &refused) && gone[refused.Err] {
			return none, stranger("no such user")
		}
		return none, err
	}
	if u.ID != id {
		return none, stranger("another user's profile")
	}
	email, err := a.address(u, ours)
	if err != nil {
		return none, err
	}
	return a.owner(ctx, email)
}

// address is the confirmed address of somebody in our workspace.
func (a *App) address(u *api.User, team string) (string, error) {
	_, domain, _ := strings.Cut(strings.ToLower(u.Profile.Email), "@")
	switch {
	case u.TeamID != team || u.IsStranger:
		return "", stranger("another workspace")
	case u.Deleted || u.IsBot || u.IsAppUser || u.IsWorkflowBot:
		return "", stranger("not a person, or no longer")
	case u.IsRestricted || u.IsUltraRestricted || u.IsInvitedUser:
		return "", stranger("a guest")
	case !u.IsEmailConfirmed:
		return "", stranger("the address is not confirmed")
	case !slices.Contains(a.c.Domains, domain):
		return "", stranger("the address is of no allowed domain")
	}
	return strings.ToLower(u.Profile.Email), nil
}

// owner is the one active person with an address.
func (a *App) owner(ctx context.Context, email string) (policy.Subject, error) {
	var found []string
	p := a.c.Policy()
	for name, u := range p.Users {
		if u.Owner == "" && strings.EqualFold(u.Attributes["email"], email) {
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return policy.Subject{}, stranger("nobody has this address")
	case 1:
	default:
		return policy.Subject{}, stranger("several have this address")
	}
	active, err := a.c.Active(ctx, found[0])
	if err != nil {
		return policy.Subject{}, err
	}
	s, known := p.Subject(found[0])
	if !active || !known {
		return policy.Subject{}, stranger("the account is disabled")
	}
	return s, nil
}

// actor is somebody who does something in Slack. A click has no address, and no second factor.
func actor(s policy.Subject) access.Actor {
	return access.Actor{Subject: s, Channel: access.ChannelSlack}
}

// strange records that somebody was not recognised.
func (a *App) strange(ctx context.Context, in *incoming, why stranger) error {
	_, err := a.c.Audit.Record(ctx, audit.Event{
		Kind: audit.RequestRefused, Verdict: "refuse", Reason: "not_recognised", Message: string(why),
		Detail: map[string]string{"channel": access.ChannelSlack, "slack_user": in.User, "slack_team": in.Team, "request": in.request()},
	})
	if err != nil {
		return fmt.Errorf("record %s: %w", audit.RequestRefused, err)
	}
	return nil
}
