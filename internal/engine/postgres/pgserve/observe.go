package pgserve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/engine/postgres/pgwire"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/policy"
)

// others are the answers that nothing on the server stands behind: what an observed subject's statements are decided with, and
// what the shadow rules would make of a profile.
type others struct {
	logins map[string]gateway.Profile // of the observed, by user
	worlds map[string]*pgwire.Profile // that observed subjects would work under, by schema; "" for nobody's rules
	shadow map[string]*pgwire.Shadow  // by user
}

// addOthers fills in what the observed log in as and what their statements are decided with. The wall is not asked: nothing of it is
// used for them, and it need not exist. Nobody is observed on the inline tier, which has one login for everybody.
func (w *wall) addOthers(v *view, found *postgres.Result) {
	v.others = others{logins: map[string]gateway.Profile{}, worlds: map[string]*pgwire.Profile{}, shadow: w.shadows}
	for user, password := range w.observed {
		v.logins[user] = gateway.Profile{Role: w.store.Upstream[user].User, Password: password, Observed: true}
	}
	if len(v.logins) == 0 {
		return
	}
	profiles := []*plan.Profile{{}}
	for _, i := range found.Wanted.Observed {
		profiles = append(profiles, i.Profile)
	}
	for _, p := range profiles {
		if v.worlds[p.Schema] == nil {
			v.worlds[p.Schema] = w.keepObserved(p.Schema, &pgwire.Profile{World: postgres.World(found.Wanted, p, found.Snapshot), Upstream: w.upstream})
		}
	}
}

// keepObserved is keep for what the observed are decided with.
func (w *wall) keepObserved(schema string, next *pgwire.Profile) *pgwire.Profile {
	var old *pgwire.Profile
	if w.seen != nil {
		old = w.seen.worlds[schema]
	}
	return w.keepOr(old, next)
}

// observe answers for a subject whose statements are not enforced. Whoever has no login of their own on the server is refused: they
// are never let in some other way.
func (v *view) observe(h gateway.Holder) (*gateway.Profile, error) {
	id, known := v.logins[h.Subject.Name]
	if !known {
		return nil, &gateway.Unavailable{
			Code: gateway.CodeProfilePending, Message: fmt.Sprintf("store %s is in observe mode and has no login for you", v.store),
			Hint: "an operator has to add one under upstream",
		}
	}
	schema := ""
	if len(h.Rules) > 0 {
		schema = plan.ProfileName(v.store, slices.Clone(h.Rules))
	}
	p := v.worlds[schema]
	if p == nil {
		schema, p = "", v.worlds[""]
	}
	p = v.lapses.profile(p, h.Ended)
	id.Name, id.Generation, id.Engine = schema, p.World.Generation, p
	v.addShadow(&id, h.Subject)
	return &id, nil
}

// addShadow adds what the subject's shadow rules would make of their statements.
func (o *others) addShadow(p *gateway.Profile, s policy.Subject) { p.Shadow = o.Shadow(s) }

// Shadow implements daemon.View.
func (o *others) Shadow(s policy.Subject) any {
	if of := o.shadow[s.Name]; of != nil {
		return of
	}
	return nil
}

// ShadowAt is what the Shadow of a View decides with at a time, and the shadow rules in force in it; nil: none is.
func ShadowAt(of any, at time.Time) (*pgsql.World, []string) {
	s, _ := of.(*pgwire.Shadow)
	return s.At(at)
}

// shadowed compiles the policy with its shadow rules in force. Nothing is built for it, and a mistake in a shadow rule is in nobody's way:
// it is a warning, and no shadow is recorded until it is mended.
func (w *wall) shadowed(ctx context.Context, srv *postgres.Server, request postgres.Request) (warnings []string, err error) {
	w.shadows = nil
	with := request.Policy.WithShadows()
	if with == nil {
		return nil, nil
	}
	var problems policy.Problems
	switch w.shadows, err = w.shadowsOf(ctx, srv, request, with); {
	case errors.As(err, &problems):
		return []string{"the shadow rules are not tried: " + planError(err).Error()}, nil
	case err != nil:
		return nil, fmt.Errorf("shadow rules: %w", err)
	}
	return nil, nil
}

// shadowsOf makes the shadow of each subject who would hold a shadow rule; with is the policy with these in force.
func (w *wall) shadowsOf(ctx context.Context, srv *postgres.Server, request postgres.Request, with *policy.Policy) (map[string]*pgwire.Shadow, error) {
	plain := request.Policy
	request.Policy = with
	wanted, snap, err := srv.Compile(ctx, request)
	if err != nil {
		return nil, err
	}
	postgres.HoldLimits(wanted, snap)
	out := map[string]*pgwire.Shadow{}
	for _, s := range plain.Subjects() {
		adds := plain.Shadows(s, w.store.Name)
		id := wanted.Identity(s.Name)
		if len(adds) == 0 || id == nil || id.Profile == nil {
			continue
		}
		world, err := postgres.SubjectWorld(wanted, id, snap)
		if err != nil {
			return nil, err
		}
		world.Generation = w.numbers.Add(1)
		names := make([]string, 0, len(adds))
		for _, r := range adds {
			names = append(names, r.Name)
		}
		ends := map[string]time.Time{}
		for _, r := range with.RulesOf(s, w.store.Name) {
			if until := with.Until(s, r); !until.IsZero() {
				ends[r.Name] = until
			}
		}
		out[s.Name] = pgwire.NewShadow(world, names, ends, func() uint64 { return w.numbers.Add(1) })
	}
	return out, nil
}
