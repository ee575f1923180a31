package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/state"
)

// minted ends the temporary credentials that were made under grants that are over (ACC-32): those of people who hold nothing any more
// where the credential is for. Else one that leaked would be good again with the next grant. Grants that are over are found until their
// wall is gone, so that a crash in between leaves nothing. The result says which of them were looked at.
//
// When a credential was made says nothing here: it may have been between the end and its taking effect, or at a gateway whose clock is ahead.
func (g *grants) minted(ctx context.Context, now time.Time) (seen map[string]bool, err error) {
	over, err := g.st.Grants(ctx, access.Filter{Closing: true})
	if err != nil || len(over) == 0 {
		return nil, err
	}
	seen = map[string]bool{}
	ended := map[string]bool{}
	for i := range over {
		seen[over[i].ID] = true
		if !over[i].Live() {
			ended[over[i].Subject] = true
		}
	}
	// The credentials are read first: whatever one was made under is among the grants that are read after.
	made, err := g.st.Credentials(ctx, "", now)
	if err != nil {
		return nil, err
	}
	live, err := g.st.Grants(ctx, access.Filter{Open: true})
	if err != nil {
		return nil, err
	}
	for i := range live { // what is suspended may go on, and what began at a gateway whose clock is ahead has begun
		switch live[i].State {
		case access.Suspended:
			live[i].State = access.Active
		case access.Active:
			live[i].Start = time.Time{}
		}
	}
	p := g.policy().WithGrants(access.Held(live, now))
	for i := range made {
		c := &made[i]
		if c.Kind != identity.Temporary || !ended[c.Subject] || holdsSome(p, c) {
			continue
		}
		_, err := g.d.trail.Record(ctx, audit.Event{Kind: audit.CredentialRevoked, Reason: "grant", Detail: map[string]string{"for": c.Subject, "credential": c.ID}})
		if err != nil {
			return nil, err
		}
		if err := g.st.RevokeCredential(ctx, c.Subject, c.ID, now); err != nil && !errors.Is(err, state.ErrNoCredential) {
			return nil, err
		}
	}
	return seen, nil
}

// holdsSome says whether the owner of a credential holds a rule where it is for.
func holdsSome(p *policy.Policy, c *identity.Issued) bool {
	s, known := p.Subject(c.Subject)
	if !known {
		return true // whoever is gone is somebody else's work, and whoever is not known yet may hold something
	}
	for name := range p.Stores {
		if (c.Store == "" || c.Store == name) && len(p.RulesOf(s, name)) > 0 {
			return true
		}
	}
	return false
}
