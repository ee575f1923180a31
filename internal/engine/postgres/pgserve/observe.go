package pgserve

import (
	"context"
	"fmt"

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
	shadow map[string]*pgsql.World    // by user
	adds   map[string][]string        // the shadow rules of a user
}

// addOthers fills in what the observed log in as and what their statements are decided with. The wall is not asked: nothing of it is
// used for them, and it need not exist.
func (w *wall) addOthers(v *view, found *postgres.Result) error {
	v.others = others{logins: map[string]gateway.Profile{}, worlds: map[string]*pgwire.Profile{}, shadow: w.shadows.worlds, adds: w.shadows.adds}
	for user, password := range w.observed {
		v.logins[user] = gateway.Profile{Role: w.store.Upstream[user].User, Password: password, Observed: true}
	}
	if len(v.logins) == 0 {
		return nil
	}
	profiles := []*plan.Profile{{}}
	for _, i := range found.Wanted.Observed {
		profiles = append(profiles, i.Profile)
	}
	for _, p := range profiles {
		if v.worlds[p.Schema] != nil {
			continue
		}
		next := &pgwire.Profile{World: postgres.World(found.Wanted, p, found.Snapshot), Upstream: w.upstream}
		v.worlds[p.Schema] = w.keepObserved(p.Schema, next)
	}
	return nil
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
		schema = plan.ProfileName(v.store, h.Rules)
	}
	p := v.worlds[schema]
	if p == nil {
		schema, p = "", v.worlds[""]
	}
	id.Name, id.Generation, id.Engine = schema, p.World.Generation, p
	v.addShadow(&id, h.Subject)
	return &id, nil
}

// addShadow adds what the subject's shadow rules would make of their statements.
func (o *others) addShadow(p *gateway.Profile, s policy.Subject) {
	p.Shadow, p.ShadowRules = o.Shadow(s)
}

// Shadow implements daemon.View.
func (o *others) Shadow(s policy.Subject) (profile any, rules []string) {
	if w := o.shadow[s.Name]; w != nil {
		return w, o.adds[s.Name]
	}
	return nil, nil
}

// shadows is what the policy would be with its shadow rules in force, compiled against the same server.
type shadows struct {
	worlds map[string]*pgsql.World
	adds   map[string][]string
}

// shadowed compiles the policy with its shadow rules in force. Nothing is built for it.
func (w *wall) shadowed(ctx context.Context, srv *postgres.Server, request postgres.Request) error {
	next := shadows{worlds: map[string]*pgsql.World{}, adds: map[string][]string{}}
	with := request.Policy.WithShadows()
	if with == nil {
		w.shadows = next
		return nil
	}
	plain := request.Policy
	request.Policy = with
	wanted, snap, err := srv.Compile(ctx, request)
	if err != nil {
		return fmt.Errorf("shadow rules: %w", planError(err))
	}
	for _, s := range plain.Subjects() {
		adds := plain.Shadows(s, w.store.Name)
		id := wanted.Identity(s.Name)
		if len(adds) == 0 || id == nil || id.Profile == nil {
			continue
		}
		for _, r := range adds {
			next.adds[s.Name] = append(next.adds[s.Name], r.Name)
		}
		world := postgres.World(wanted, id.Profile, snap)
		world.Generation = w.numbers.Add(1)
		next.worlds[s.Name] = world
	}
	w.shadows = next
	return nil
}
