package people

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
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
// new second factor: the way back in for somebody who lost both. The account's sessions end when the link is used; with reset they
// end at once, as all else does that whoever found what was lost could have made of it.
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
	change := r.change
	if reset {
		change = r.ending(by, why, from)
	}
	_, err = change(ctx, name, func(a *Account, now time.Time) error {
		a.Invite, a.InviteEnd = hash, inv.End
		if reset {
			a.Seed, a.Recovery, a.Passkeys, a.Password, a.Step, a.Wrong, a.Locked = nil, nil, nil, "", 0, 0, time.Time{}
			a.Reset = now
		}
		return nil
	})
	return inv, noAccount(err, name)
}

// ending changes an account as change does, and ends everything that is open of it: sessions, tokens, temporary credentials and
// certificates, each of which is recorded before.
func (r *Registry) ending(by, why string, from From) func(context.Context, string, func(*Account, time.Time) error) (Account, error) {
	return func(ctx context.Context, name string, think func(a *Account, now time.Time) error) (Account, error) {
		now := r.c.Now()
		sessions, err := r.c.Sessions.SessionsOf(ctx, name)
		if err != nil {
			return Account{}, err
		}
		held, err := r.c.Accounts.Credentials(ctx, name, now)
		if err != nil {
			return Account{}, err
		}
		for i := range held {
			detail := map[string]string{"for": name, "credential": held[i].ID}
			if err := r.record(ctx, from, audit.CredentialRevoked, by, "", why, detail); err != nil {
				return Account{}, err
			}
		}
		for i := range sessions {
			if err := r.record(ctx, from, audit.PortalSessionEnd, by, "", why, map[string]string{"session": sessions[i].ID, "for": name}); err != nil {
				return Account{}, err
			}
		}
		return r.changeBy(ctx, name, func(ctx context.Context, a Account) error { return r.c.Accounts.EndAccount(ctx, a, now) }, think)
	}
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

// Set changes an account's role, or disables or enables it. Somebody who is disabled has no session, token or credential from then on,
// and is no subject: their grants end, and nobody waits for their decision.
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
	change, out := r.change, disabled != nil && *disabled
	if out {
		change = r.ending(by, "disabled", from)
	}
	_, err = change(ctx, name, func(a *Account, now time.Time) error {
		if role != nil {
			a.Role = *role
		}
		switch {
		case out:
			if a.Disabled.IsZero() {
				a.Disabled = now
			}
			a.Invite, a.InviteEnd = "", time.Time{}
		case disabled != nil && !a.Disabled.IsZero():
			a.Disabled, a.Enabled = time.Time{}, now
		}
		return nil
	})
	if err != nil || out {
		return err
	}
	return r.EndSessions(ctx, by, name, "", from) // a session's length and rights were the old role's
}

// Join adds to those who are known from outside what accounts here say: whoever is disabled is treated like somebody who has ended
// there, so that they hold nothing and nobody waits for them. Who was disabled once and is no more stays on the list, because what
// they hold on servers has to come back.
func Join(known []policy.Person, accounts []Account) []policy.Person {
	out := slices.Clone(known)
	for i := range accounts {
		a := &accounts[i]
		if a.Disabled.IsZero() && a.Enabled.IsZero() {
			continue
		}
		at := slices.IndexFunc(out, func(p policy.Person) bool { return p.Name == a.Name })
		if at < 0 {
			at = len(out)
			out = append(out, policy.Person{Name: a.Name, OfFile: true})
		}
		if !a.Disabled.IsZero() {
			out[at].Ended, out[at].Barred = true, true
		}
	}
	return out
}

// List shows the accounts, sorted by name.
func (r *Registry) List(ctx context.Context) ([]Account, error) { return r.c.Accounts.Accounts(ctx) }
