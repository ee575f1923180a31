package daemon

import (
	"context"
	"fmt"
	"os"

	"github.com/postern-sec/postern/internal/notify"
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
	if len(ways) == 0 {
		return func() {}, nil
	}
	courier := notify.New(notify.Config{
		Outbox: d.grants.st, Access: d.grants.st, Policy: d.world.Current, Transports: ways, Audit: d.trail, Log: d.log, Now: d.grants.desk.Now, Link: c.Link,
	})
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		courier.Run(ctx)
	}()
	return func() { cancel(); <-done }, nil
}

func (d *daemon) mail(ctx context.Context) (*notify.Mail, error) {
	c := d.config.Notices.Mail
	out := &notify.Mail{Server: c.Server, From: c.From, User: c.User, TLS: notify.TLS(c.TLS)}
	own := ""
	if c.Templates != "" {
		text, err := os.ReadFile(c.Templates)
		if err != nil {
			return nil, fmt.Errorf("read the templates: %w", err)
		}
		own = string(text)
	}
	var err error
	if out.Texts, err = notify.Texts(own); err != nil {
		return nil, err
	}
	if c.User != "" {
		if out.Password, err = c.Password.Read(ctx); err != nil {
			return nil, fmt.Errorf("password: %w", err)
		}
	}
	return out, nil
}
