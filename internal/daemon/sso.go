package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/sso"
	"github.com/postern-sec/postern/internal/state"
)

const (
	callbackPath = "/sign-in/callback"
	recheckTick  = 15 * time.Second // how often somebody may be due
	recheckFirst = 30 * time.Second // for everybody, before grants are held against what is known
)

// openPeople makes what signs people in, where there is a portal, and asks the identity provider and the directory about those that
// they knew: a grant that hangs on a group must not end because nobody asked while serve was down.
func (d *daemon) openPeople(ctx context.Context, root secret.Text) error {
	register, err := registry(d.grants.st, d.world.Current, d.trail, root, d.config.Portal.URL, d.grants.desk.Now, d.opts.Random, emergency{d.config.Emergency.Password, d.alarm})
	if err != nil {
		return err
	}
	if d.config.Portal.Address != "" {
		d.signs = register
	}
	if err := d.readAccounts(ctx); err != nil {
		return err
	}
	if err := d.openProvider(ctx, root); err != nil {
		return err
	}
	return d.openDirectory(ctx, register)
}

func (d *daemon) openProvider(ctx context.Context, root secret.Text) error {
	o := d.config.Portal.OIDC
	if o == nil || d.signs == nil {
		return nil
	}
	settings, err := settingsOf(ctx, d.config)
	if err != nil {
		return err
	}
	client, err := sso.NewHTTPClient(o.CA)
	if err != nil {
		return fmt.Errorf("%s: portal.oidc: %w", o.Pos, err)
	}
	d.sso, err = sso.New(sso.Config{
		Settings: settings, HTTP: client, Links: d.grants.st, Logouts: d.grants.st, People: d.signs, Policy: d.world.Current, Audit: d.trail, Key: root,
		Now: d.grants.desk.Now, Random: d.opts.Random, Log: d.log, Publish: d.publishProvider, Alarm: d.alarm,
	})
	if err != nil {
		return err
	}
	if err := d.sso.Refresh(ctx); err != nil {
		return err
	}
	first, cancel := context.WithTimeout(ctx, recheckFirst)
	defer cancel()
	if err := d.sso.Recheck(first); err != nil && ctx.Err() == nil {
		d.log.Error("asking the identity provider", "error", err)
	}
	return nil
}

func settingsOf(ctx context.Context, c *config.Config) (sso.Settings, error) {
	o := c.Portal.OIDC
	out := sso.Settings{
		Issuer: o.Issuer, Client: o.Client, Redirect: c.Portal.URL + callbackPath, Scopes: o.Scopes, Prompt: o.Prompt, Name: o.Name, Create: o.Create, Groups: o.Groups,
		Attributes: o.Attributes, Algorithms: o.Algorithms, Recheck: o.Recheck, Limit: o.Limit,
	}
	if o.Secret.IsZero() {
		return out, nil
	}
	var err error
	if out.Secret, err = o.Secret.Read(ctx); err != nil {
		return out, fmt.Errorf("portal.oidc.client_secret: %w", err)
	}
	return out, nil
}

// admins lists who looks after this installation.
func admins(ctx context.Context, accounts people.Accounts) ([]string, error) {
	all, err := accounts.Accounts(ctx)
	var out []string
	for i := range all {
		if all[i].Role == people.Admin && all[i].Disabled.IsZero() {
			out = append(out, all[i].Name)
		}
	}
	return out, err
}

// alarm tells the admins.
func (d *daemon) alarm(ctx context.Context, kind audit.Kind, subject string) {
	all, err := admins(ctx, d.grants.st)
	var c access.Change
	for _, name := range all {
		c.Notices = append(c.Notices, access.Notice{Kind: string(kind), To: name, At: d.grants.desk.Now()})
	}
	if err == nil {
		err = d.grants.st.Commit(ctx, c)
	}
	if err != nil {
		d.log.Error("the admins were not told", "what", string(kind), "about", subject, "error", err)
	}
}

// startRecheck asks about whoever is due until ctx ends. What it returns waits for it.
func (d *daemon) startRecheck(ctx context.Context) (stop func()) {
	if d.sso == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(min(recheckTick, d.config.Portal.OIDC.Recheck))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := d.sso.Recheck(ctx); err != nil && ctx.Err() == nil {
					d.log.Error("asking the identity provider", "error", err)
				}
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// known is who is known to the identity provider and the directory, and who is disabled, for those who look at state beside serve.
func known(ctx context.Context, c *config.Config, st *state.DB, now time.Time) ([]policy.Person, error) {
	out, err := providerKnows(ctx, c, st, now)
	if err != nil {
		return nil, err
	}
	if c.LDAP != nil {
		k, err := st.Directory(ctx)
		if err != nil {
			return nil, err
		}
		out = k.Join(out, c.LDAP.URL, c.LDAP.Limit, now)
	}
	accounts, err := st.Accounts(ctx)
	return people.Join(out, accounts), err
}

func providerKnows(ctx context.Context, c *config.Config, st *state.DB, now time.Time) ([]policy.Person, error) {
	o := c.Portal.OIDC
	if o == nil {
		return nil, nil
	}
	all, err := st.Links(ctx)
	return sso.Known(all, o.Issuer, o.Limit, now), err
}
