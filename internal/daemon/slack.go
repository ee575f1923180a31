package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/portal"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/slack"
)

// slackPath is where Slack's signed calls arrive, on the portal's address.
const slackPath = "/slack"

// openSlack makes the app in Slack, if the policy file has one. Its secrets are read now, so that a mistake shows at start; that Slack
// cannot be reached stops nothing.
func (d *daemon) openSlack(ctx context.Context) error {
	c := d.config.Slack
	if c == nil {
		return nil
	}
	texts, err := d.texts()
	if err != nil {
		return fmt.Errorf("%s: notices.mail: %w", d.config.Notices.Pos, err)
	}
	if _, err := slackTokens(ctx, c); err != nil {
		return fmt.Errorf("%s: slack: %w", c.Pos, err)
	}
	d.slack = slack.New(slack.Config{
		Tokens: func(ctx context.Context) (slack.Tokens, error) { return slackTokens(ctx, c) }, API: c.API, Domains: c.Domains,
		Copies: d.grants.st, Calls: d.grants.st, Desk: d.grants.desk, Access: d.grants.st, Policy: d.world.Current, Active: d.active,
		Texts: texts, Audit: d.trail, Log: d.log, Now: d.grants.desk.Now, Link: d.link(),
	})
	return nil
}

func slackTokens(ctx context.Context, c *config.Slack) (slack.Tokens, error) {
	var t slack.Tokens
	for _, x := range []struct {
		key  string
		from config.Source
		to   *secret.Text
	}{{"bot_token", c.Bot, &t.Bot}, {"app_token", c.App, &t.App}, {"signing_secret", c.Signing, &t.Signing}} {
		if x.from.IsZero() {
			continue
		}
		text, err := x.from.Read(ctx)
		if err != nil {
			return slack.Tokens{}, fmt.Errorf("%s: %w", x.key, err)
		}
		*x.to = text
	}
	return t, nil
}

// active says whether somebody's account here, if they have one, is not disabled.
func (d *daemon) active(ctx context.Context, name string) (bool, error) {
	a, err := d.grants.st.Account(ctx, name)
	if errors.Is(err, people.ErrNone) {
		return true, nil // they sign in with the password of the policy file, or at the identity provider
	}
	return err == nil && a.Disabled.IsZero(), err
}

// withSlack lets Slack call beside the portal, where there is a secret that its calls are signed with.
func (d *daemon) withSlack(pages *portal.Portal) http.Handler {
	if d.slack == nil || d.config.Slack.Signing.IsZero() {
		return pages
	}
	return pages.Beside(slackPath, d.slack)
}
