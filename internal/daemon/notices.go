package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"text/template"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/notify"
	"github.com/postern-sec/postern/internal/policy"
)

// startNotices begins to tell people, by the ways that the policy file names. What it returns stops it.
func (d *daemon) startNotices(ctx context.Context) (stop func(), err error) {
	c := d.config.Notices
	var ways []notify.Transport
	if c.Webhook.URL != "" {
		key, err := c.Webhook.Secret.Read(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: notices.webhook.secret: %w", c.Pos, err)
		}
		ways = append(ways, &notify.Webhook{URL: c.Webhook.URL, Secret: key, Now: d.opts.Clock.Now})
	}
	if c.Mail.Server != "" {
		m, err := d.mail(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: notices.mail: %w", c.Pos, err)
		}
		ways = append(ways, m)
	}
	if d.slack != nil {
		ways = append(ways, d.slack)
	}
	if len(ways) == 0 {
		return func() {}, nil
	}
	courier := notify.New(notify.Config{
		Outbox: d.grants.st, Access: d.grants.st, Policy: d.world.Current, Transports: ways, Audit: d.trail, Log: d.log, Now: d.grants.desk.Now, Link: d.link(),
		Admins: func(ctx context.Context) ([]string, error) { return admins(ctx, d.grants.st) },
	})
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var all sync.WaitGroup
		if d.slack != nil {
			all.Go(func() { d.slack.Run(ctx) })
		}
		all.Go(func() { courier.Run(ctx) })
		all.Wait()
	}()
	return func() { cancel(); <-done }, nil
}

func (d *daemon) mail(ctx context.Context) (*notify.Mail, error) {
	c := d.config.Notices.Mail
	out := &notify.Mail{Server: c.Server, From: c.From, User: c.User, TLS: notify.TLS(c.TLS)}
	var err error
	if out.Texts, err = d.texts(); err != nil {
		return nil, err
	}
	if c.User != "" {
		if out.Password, err = c.Password.Read(ctx); err != nil {
			return nil, fmt.Errorf("password: %w", err)
		}
	}
	return out, nil
}

// texts are the templates of messages.
func (d *daemon) texts() (*template.Template, error) { return textsOf(d.config) }

func textsOf(c *config.Config) (*template.Template, error) {
	m := c.Notices.Mail
	if m.Templates == "" {
		return notify.Texts()
	}
	sources, err := notify.ReadSources(m.Templates)
	if err != nil {
		return nil, policy.Problems{{
			Pos: m.TemplatesPos, Kind: policy.KindValue, Message: fmt.Sprintf("templates: %v", err), Hint: "name a file with templates, or a folder of .tmpl files",
		}}
	}
	return notify.Texts(sources...)
}

// CheckTexts says what is wrong with the templates of messages that a policy file names. Nothing is sent.
func CheckTexts(c *config.Config) policy.Problems {
	_, err := textsOf(c)
	var problems policy.Problems
	if err != nil && !errors.As(err, &problems) {
		problems = policy.Problems{{Pos: c.Notices.Pos, Kind: policy.KindValue, Message: err.Error()}}
	}
	return problems
}

// link is where people find the portal.
func (d *daemon) link() string {
	if l := d.config.Notices.Link; l != "" {
		return l
	}
	return d.config.Portal.URL
}
