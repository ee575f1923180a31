package people

import (
	"context"
	"errors"
)

// Security says by what somebody proves who they are, without any of it.
type Security struct {
	Password bool // there is one to sign in with here, and so one to change
	App      bool // an authenticator app is set up
	Recovery int  // codes that are left
}

// Security looks at somebody's account. Who has none may still have a password in the policy file.
func (r *Registry) Security(ctx context.Context, name string) (Security, error) {
	a, err := r.c.Accounts.Account(ctx, name)
	if errors.Is(err, ErrNone) {
		a, err = Account{Name: name}, nil
	}
	if err != nil {
		return Security{}, err
	}
	return Security{Password: r.local(&a), App: len(a.Seed) > 0, Recovery: len(a.Recovery)}, nil
}
