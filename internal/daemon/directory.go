package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/directory"
	"github.com/postern-sec/postern/internal/people"
	"github.com/postern-sec/postern/internal/policy"
)

const (
	directoryTick  = 5 * time.Second  // how often somebody new may be there to look for
	directoryFirst = 30 * time.Second // for a whole look, before grants are held against what is known
)

// met is who is known besides the policy file: what the identity provider says, what the directory says, and the accounts here, of which
// those that are disabled count.
type met struct {
	mu        sync.Mutex
	provider  []policy.Person
	directory directory.Known
	accounts  []people.Account
	ldap      *config.LDAP // nil: there is no directory
}

// publishProvider takes up what the identity provider says. Who is new is looked for in the directory too.
func (d *daemon) publishProvider(people []policy.Person) {
	d.met.mu.Lock()
	defer d.met.mu.Unlock()
	d.met.provider = people
	d.publish()
	if d.directory != nil {
		d.directory.Wake()
	}
}

// publishDirectory takes up what the directory says, unless something newer is known already.
func (d *daemon) publishDirectory(k directory.Known) {
	d.met.mu.Lock()
	defer d.met.mu.Unlock()
	if k.Version >= d.met.directory.Version {
		d.met.directory = k
	}
	d.publish()
}

// publish puts people in force at once, for the portal and the gateway, and has the rest follow: sessions, grants, servers.
func (d *daemon) publish() {
	all := d.met.provider
	if l := d.met.ldap; l != nil {
		all = d.met.directory.Join(all, l.URL, l.Limit, d.grants.desk.Now())
	}
	if d.world.setPeople(people.Join(all, d.met.accounts)) {
		d.grants.moved.Store(true)
		d.grants.changed()
	}
}

// readAccounts takes up which accounts are disabled.
func (d *daemon) readAccounts(ctx context.Context) error {
	accounts, err := d.grants.st.Accounts(ctx)
	if err != nil {
		return err
	}
	d.met.mu.Lock()
	defer d.met.mu.Unlock()
	d.met.accounts = accounts
	d.publish()
	return nil
}

// refreshPeople takes up what another instance, or an operator, found out.
func (d *daemon) refreshPeople(ctx context.Context) error {
	if err := d.readAccounts(ctx); err != nil {
		return err
	}
	if d.sso != nil {
		if err := d.sso.Refresh(ctx); err != nil {
			return err
		}
	}
	if d.directory == nil {
		return nil
	}
	return d.directory.Refresh(ctx)
}

// candidates are those whom the directory may have something to say about.
func (d *daemon) candidates() []directory.Candidate {
	d.met.mu.Lock()
	defer d.met.mu.Unlock()
	return directory.Candidates(d.world.Current(), d.met.provider)
}

// openDirectory puts in force what the directory said before, and asks it, if this is the gateway that does.
func (d *daemon) openDirectory(ctx context.Context, register directory.Register) error {
	l := d.config.LDAP
	if l == nil {
		return nil
	}
	settings, err := directorySettings(l)
	if err != nil {
		return err
	}
	if _, err := l.Password.Read(ctx); err != nil {
		return fmt.Errorf("%s: ldap.bind_password: %w", l.Password.Pos, err)
	}
	d.directory = directory.New(directory.Config{
		Settings: settings, Password: l.Password.Read, Store: d.grants.st, Register: register, Candidates: d.candidates, Audit: d.trail,
		Now: d.grants.desk.Now, Log: d.log, Publish: d.publishDirectory, Alarm: d.alarm,
	})
	d.met.mu.Lock()
	d.met.ldap = l
	d.met.mu.Unlock()
	if err := d.directory.Refresh(ctx); err != nil {
		return err
	}
	if err := d.grants.lead(ctx); err != nil || !d.grants.leads {
		return err
	}
	first, cancel := context.WithTimeout(ctx, directoryFirst)
	defer cancel()
	if err := d.directory.Look(first); err != nil && ctx.Err() == nil {
		d.log.Error("asking the directory", "error", err)
	}
	return nil
}

func directorySettings(l *config.LDAP) (directory.Settings, error) {
	roots, err := directory.Roots(l.CA)
	if err != nil {
		return directory.Settings{}, fmt.Errorf("%s: ldap.ca: %w", l.Pos, err)
	}
	return directory.Settings{
		Address: l.Address, Host: l.Host, Implicit: l.Implicit, Plain: l.Plain, Roots: roots, Source: l.URL, BindDN: l.BindDN,
		UserBase: l.UserBase, UserFilter: l.UserFilter, UserAttribute: l.UserAttribute, ByEmail: l.ByEmail, Active: l.Active,
		Groups: l.Groups, GroupBase: l.GroupBase, GroupFilter: l.GroupFilter, Members: l.Members, PageSize: l.PageSize,
		MaxEntries: l.MaxEntries, MaxLoss: l.MaxLoss, Interval: l.Interval, Limit: l.Limit,
	}, nil
}

// startDirectory follows the directory until ctx ends. What it returns waits for it.
func (d *daemon) startDirectory(ctx context.Context) (stop func()) {
	if d.directory == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.directory.Run(ctx, min(directoryTick, d.config.LDAP.Interval), d.grants.leading.Load)
	}()
	return func() {
		cancel()
		<-done
	}
}

// What a look at the directory would change, and why it would not count.
type (
	DirectoryPreview = directory.Preview
	DirectoryFailure = directory.Failure
)

// ErrNoDirectory says that the policy file names none.
var ErrNoDirectory = errors.New("the policy file has no ldap")

// CheckDirectory asks the directory of a policy file and changes nothing.
func CheckDirectory(ctx context.Context, c *config.Config, clock func() time.Time) (*DirectoryPreview, error) {
	if c.LDAP == nil {
		return nil, ErrNoDirectory
	}
	settings, err := directorySettings(c.LDAP)
	if err != nil {
		return nil, err
	}
	var provider []policy.Person
	var said directory.Known
	st, err := openExisting(ctx, c)
	switch {
	case isMissing(err): // before the first start nothing is known
	case err != nil:
		return nil, err
	default:
		defer func() { _ = st.Close() }()
		if provider, err = providerKnows(ctx, c, st, clock()); err != nil {
			return nil, err
		}
		if said, err = st.Directory(ctx); err != nil {
			return nil, err
		}
	}
	client := directory.New(directory.Config{
		Settings: settings, Password: c.LDAP.Password.Read, Now: clock, Log: slog.New(slog.DiscardHandler),
		Candidates: func() []directory.Candidate { return directory.Candidates(c.Policy, provider) },
	})
	return client.Check(ctx, &said)
}
