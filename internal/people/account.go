package people

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/secret"
)

// names are what an account may be called: what the policy file takes, and nothing that means something in a path or a link.
var names = regexp.MustCompile(`^[\pL\pN_][\pL\pN_.@+-]{0,62}$`)

// Invitation is the secret of a one-time link, shown once.
type Invitation struct {
	Name string
	Code secret.Text
	End  time.Time
}

// Create makes an account and its invitation. by is who does it, "" for an operator at the machine. Without a role the name has to be
// a person of the policy file.
func (r *Registry) Create(ctx context.Context, by, name string, role Role, from From) (*Invitation, error) {
	u := r.c.Policy().Users[name]
	switch {
	case name == EmergencyName:
		return nil, &Refusal{CodeName, "nobody else is called " + EmergencyName, ""}
	case !names.MatchString(name):
		return nil, &Refusal{CodeName, "a name has up to 63 letters, digits and . _ @ + -", ""}
	case !slices.Contains([]Role{NoRole, Admin, Editor, Reader, Auditor}, role):
		return nil, &Refusal{CodeName, "there is no role " + string(role), "admin, editor, reader or auditor"}
	case u != nil && u.Owner != "":
		return nil, &Refusal{CodeName, name + " is a service account: nobody signs in as one", "postern token create"}
	case u == nil && role == NoRole:
		return nil, &Refusal{CodeName, "the policy file has no user " + name, "add users: {" + name + ": {}}, or give a role"}
	}
	inv, hash, err := r.invitation(name)
	if err != nil {
		return nil, err
	}
	if err := r.record(ctx, from, audit.AccountCreated, by, "allow", "", map[string]string{"for": name, "role": string(role)}); err != nil {
		return nil, err
	}
	err = r.c.Accounts.KeepAccount(ctx, Account{Name: name, Version: 1, Role: role, Created: r.c.Now(), Invite: hash, InviteEnd: inv.End})
	if errors.Is(err, ErrConflict) {
		return nil, &Refusal{CodeExists, "there is an account " + name + " already", "postern user invite " + name + " makes a new link"}
	}
	return inv, err
}

func (r *Registry) invitation(name string) (*Invitation, string, error) {
	token, hash, err := identity.NewToken(r.c.Random)
	if err != nil {
		return nil, "", err
	}
	return &Invitation{Name: name, Code: token, End: r.c.Now().Add(InviteEnd).Truncate(time.Second)}, hash, nil
}

// Invite makes a new link for an account, which replaces the one before. Whoever follows it chooses a new password, and with reset a
// new second factor: the way back in for somebody who lost both. The account's sessions end when the link is used.
func (r *Registry) Invite(ctx context.Context, by, name string, reset bool, from From) (*Invitation, error) {
	inv, hash, err := r.invitation(name)
	if err != nil {
		return nil, err
	}
	why := ""
	if reset {
		why = "reset"
	}
	if _, err := r.c.Accounts.Account(ctx, name); err != nil {
		return nil, noAccount(err, name)
	}
	if err := r.record(ctx, from, audit.AccountInvited, by, "allow", why, map[string]string{"for": name}); err != nil {
		return nil, err
	}
	_, err = r.change(ctx, name, func(a *Account, _ time.Time) error {
		a.Invite, a.InviteEnd = hash, inv.End
		if reset {
			a.Seed, a.Recovery, a.Passkeys, a.Password, a.Step, a.Wrong, a.Locked = nil, nil, nil, "", 0, 0, time.Time{}
		}
		return nil
	})
	if err == nil && reset {
		err = r.EndSessions(ctx, by, name, "", from)
	}
	return inv, noAccount(err, name)
}

func noAccount(err error, name string) error {
	if errors.Is(err, ErrNone) {
		return &Refusal{"not_found", "there is no account " + name, "postern user list"}
	}
	return err
}

// Accept follows a link: it sets the password and signs in as far as a password does. The link is used up.
func (r *Registry) Accept(ctx context.Context, code, password secret.Text, from From) (*Entry, error) {
	here := "\x00invitation from " + from.Addr.String() // guesses at links count against an address alone
	leave, locked, err := r.enter(ctx, here, from)
	if err != nil {
		return nil, err
	}
	defer leave()
	hash := identity.HashToken(code.Reveal())
	found, err := r.c.Accounts.Invited(ctx, hash)
	if err != nil && !errors.Is(err, ErrNone) {
		return nil, err
	}
	if err != nil || locked || !r.c.Now().Before(found.InviteEnd) || !r.welcome(&found) {
		_, err := r.c.Throttle.Failed(ctx, from.Addr, here, r.c.Now())
		return nil, errors.Join(errInvite, err, r.record(ctx, from, audit.AccountAccepted, found.Name, "refuse", "invitation", nil))
	}
	if err := acceptable(found.Name, password); err != nil {
		return nil, err
	}
	phc, err := hashPassword(password, r.c.Cost, r.c.Random)
	if err != nil {
		return nil, err
	}
	if err := r.record(ctx, from, audit.AccountAccepted, found.Name, "allow", "", nil); err != nil {
		return nil, err
	}
	a, err := r.change(ctx, found.Name, func(a *Account, _ time.Time) error {
		if a.Invite != hash {
			return errInvite // used or replaced since
		}
		a.Invite, a.InviteEnd, a.Password = "", time.Time{}, phc
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := r.c.Sessions.EndSessions(ctx, a.Name, nil); err != nil {
		return nil, err
	}
	return r.begin(ctx, &a, r.stageAfterPassword(&a), from, "", time.Time{})
}

// Set changes an account's role, or disables or enables it. Somebody who is disabled has no session from then on.
func (r *Registry) Set(ctx context.Context, by, name string, role *Role, disabled *bool, from From) error {
	if by == name && (disabled != nil && *disabled || role != nil) {
		return &Refusal{CodeNotAdmin, "nobody changes their own role or disables themselves", ""}
	}
	a, err := r.c.Accounts.Account(ctx, name)
	if err != nil {
		return noAccount(err, name)
	}
	if role != nil && !slices.Contains([]Role{NoRole, Admin, Editor, Reader, Auditor}, *role) {
		return &Refusal{CodeName, "there is no role " + string(*role), "admin, editor, reader or auditor"}
	}
	if role != nil && *role != a.Role {
		if err := r.record(ctx, from, audit.AccountRole, by, "allow", "", map[string]string{"for": name, "role": string(*role)}); err != nil {
			return err
		}
	}
	if disabled != nil && *disabled != !a.Disabled.IsZero() {
		kind := audit.AccountEnabled
		if *disabled {
			kind = audit.AccountDisabled
		}
		if err := r.record(ctx, from, kind, by, "allow", "", map[string]string{"for": name}); err != nil {
			return err
		}
	}
	_, err = r.change(ctx, name, func(a *Account, now time.Time) error {
		if role != nil {
			a.Role = *role
		}
		if disabled != nil {
			if a.Disabled = (time.Time{}); *disabled {
				a.Disabled = now
				a.Invite, a.InviteEnd = "", time.Time{}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.EndSessions(ctx, by, name, "", from) // a session's length and rights were the old role's
}

// List shows the accounts, sorted by name.
func (r *Registry) List(ctx context.Context) ([]Account, error) { return r.c.Accounts.Accounts(ctx) }
