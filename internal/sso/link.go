package sso

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

// Link ties somebody at the provider to a name here.
type Link struct {
	Key     string `json:"key"` // of issuer and subject
	Version int    `json:"version"`
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	Name    string `json:"name"`

	Groups     []string          `json:"groups"` // the provider's
	Attributes map[string]string `json:"attributes,omitempty"`
	Refresh    []byte            `json:"refresh,omitempty"` // the token, sealed under Key

	Confirmed time.Time `json:"confirmed"`        // when the provider last vouched for them
	Grouped   time.Time `json:"grouped"`          // when it last said in which groups they are
	Due       time.Time `json:"due"`              // when it is asked again
	Lease     time.Time `json:"lease,omitzero"`   // somebody is asking, until then
	Failing   time.Time `json:"failing,omitzero"` // it could not be asked, since then
	Unknown   time.Time `json:"unknown,omitzero"` // it does not say in which groups they are, since then
	Ended     time.Time `json:"ended,omitzero"`
}

// keyOf is the stable key of somebody at a provider (ACC-53).
func keyOf(issuer, subject string) string {
	sum := sha256.Sum256([]byte(issuer + "\x00" + subject))
	return hex.EncodeToString(sum[:])
}

// Person is who somebody is in the policy at a time. Groups that nobody confirmed within the limit do not count, and neither do
// people of a provider that is no longer the configured one.
func (l *Link) Person(issuer string, limit time.Duration, now time.Time) policy.Person {
	p := policy.Person{Name: l.Name, Attributes: l.Attributes, Ended: !l.Ended.IsZero() || l.Issuer != issuer}
	if !p.Ended && now.Before(l.Grouped.Add(limit)) {
		p.Groups = l.Groups
	}
	return p
}

// Known is everybody whom the provider knows or knew.
func Known(all []Link, issuer string, limit time.Duration, now time.Time) []policy.Person {
	out := make([]policy.Person, 0, len(all))
	for i := range all {
		out = append(out, all[i].Person(issuer, limit, now))
	}
	return out
}

// Refresh reads who is known and puts it in force, also what another instance found out.
func (r *RelyingParty) Refresh(ctx context.Context) error {
	all, err := r.c.Links.Links(ctx)
	if err != nil {
		return err
	}
	r.c.Publish(Known(all, r.c.Issuer, r.c.Limit, r.c.Now()))
	return nil
}

func (r *RelyingParty) sealRefresh(l *Link, token string) {
	l.Refresh = nil
	if token != "" {
		l.Refresh = r.kept.Seal(nil, nil, []byte(token), []byte(l.Key))
	}
}

func (r *RelyingParty) openRefresh(l *Link) (secret.Text, error) {
	plain, err := r.kept.Open(nil, nil, l.Refresh, []byte(l.Key))
	return secret.New(string(plain)), err
}

// changes says which groups somebody gained and lost.
func changes(before, after []string) (gained, lost []string) {
	for _, g := range after {
		if !slices.Contains(before, g) {
			gained = append(gained, g)
		}
	}
	for _, g := range before {
		if !slices.Contains(after, g) {
			lost = append(lost, g)
		}
	}
	return gained, lost
}
