package pgserve

import (
	"slices"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgwire"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/plan"
)

// inlinePath is the only schema in which names are found on the inline tier: no function or operator of the application's can be
// meant by one (ENF-42). What is sent is qualified.
const inlinePath = "pg_catalog"

// inlined is a subject of a store on the inline tier: their queries hold their identity, so each has a profile of their own.
type inlined struct {
	schema  string
	profile *pgwire.Profile
}

// inlineView answers for a store on which nothing of Postern is. A table that cannot be shown is an error of the whole store: to leave
// it out would be another policy.
func (w *wall) inlineView(found *postgres.Result) (*view, error) {
	v := &view{store: w.store.Name, lapses: w.lapses, inline: map[string]inlined{}}
	for _, id := range found.Wanted.Identities {
		world, err := postgres.InlineWorld(found.Wanted, id, found.Snapshot)
		if err != nil {
			return nil, err
		}
		next := &pgwire.Profile{World: world, SearchPath: inlinePath, ReadOnly: true, Upstream: w.upstream}
		next.Protected, next.Shown = inlineOrigins(w.store.Schemas, id.Profile, found.Snapshot)
		var old *pgwire.Profile
		if w.seen != nil {
			old = w.seen.inline[id.User].profile
		}
		v.inline[id.User] = inlined{schema: id.Profile.Schema, profile: w.keepOr(old, next)}
	}
	v.login = gateway.Profile{Limits: found.Wanted.Limits, Role: w.store.Reader.User, Password: w.login.Password}
	w.addOthers(v, found)
	w.seen = v
	return v, nil
}

// inlineOrigins lists the tables that no field of a result may come from, and of these the columns that are shown as they are.
func inlineOrigins(schemas []string, p *plan.Profile, snap *catalog.Snapshot) (protected map[uint32]struct{}, shown map[pgwire.Origin]struct{}) {
	protected, shown = map[uint32]struct{}{}, map[pgwire.Origin]struct{}{}
	for i := range snap.Relations {
		if rel := &snap.Relations[i]; slices.Contains(schemas, rel.Name.Schema) {
			protected[uint32(rel.OID)] = struct{}{}
		}
	}
	for _, t := range p.Tables {
		if t.Open {
			delete(protected, uint32(t.BaseOID))
			continue
		}
		for i, c := range t.Columns {
			if c.Raw {
				shown[pgwire.Origin{OID: uint32(t.BaseOID), Num: int16(t.Source.Columns[i].Num)}] = struct{}{} //nolint:gosec // columns end at 1600
			}
		}
	}
	return protected, shown
}

// inlineProfile answers for a subject of the inline tier.
func (v *view) inlineProfile(h gateway.Holder) (*gateway.Profile, error) {
	in, known := v.inline[h.Subject.Name]
	if !known || in.schema != plan.ProfileName(v.store, slices.Clone(h.Rules)) {
		return nil, &gateway.Unavailable{
			Code: gateway.CodeProfilePending, Message: "store " + v.store + " has nothing built for your rules yet", Hint: "try again in a moment",
		}
	}
	id := v.login
	p := v.lapses.profile(in.profile, h.Ended)
	id.Name, id.Generation, id.Engine = in.schema, p.World.Generation, p
	v.addShadow(&id, h.Subject)
	return &id, nil
}
