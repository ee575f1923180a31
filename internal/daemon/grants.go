package daemon

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/state"
)

// outboxBatch is how many events go to the trail at a time.
const outboxBatch = 256

// grants keeps what is held by grants in force: in the policy that decides, on the servers, and in that order or the other,
// as access begins or ends. Its methods but Settled and Of belong to the goroutine that follows.
type grants struct {
	d       *daemon
	st      *state.DB
	desk    *access.Desk
	held    map[string][]policy.Held // what the policy in force says
	count   int64                    // of the state's changes, at the last look
	dirty   bool                     // a server was not reached, or a row not written
	leads   bool                     // of several gateways, this one lets time do its work
	leading atomic.Bool              // leads, for others to read
	swept   time.Time

	moved   atomic.Bool // people came, went, or are in other groups
	wake    chan struct{}
	uses    uses
	secrets atomic.Pointer[map[string][]identity.Credential]
	barred  atomic.Pointer[map[string]bool]
	issuers atomic.Pointer[identity.Issuers]

	mu     sync.Mutex
	round  uint64        // how often everything was brought to the servers
	turned chan struct{} // closed at the next round
}

var _ gateway.Secrets = (*grants)(nil)

func newGrants(d *daemon, st *state.DB) *grants {
	g := &grants{d: d, st: st, count: -1, wake: make(chan struct{}, 1), turned: make(chan struct{})}
	g.uses.at = map[string]map[string]time.Time{}
	g.secrets.Store(&map[string][]identity.Credential{})
	g.barred.Store(&map[string]bool{})
	g.desk = access.NewDesk(access.Config{
		Store: st, Policy: d.world.Current, Now: d.opts.Clock.Now, NewID: d.newID, Changed: g.changed, Redact: d.redact,
		Admins: func(ctx context.Context) ([]string, error) { return admins(ctx, st) },
	})
	return g
}

// newID makes the id of a request or a grant: short enough to type, too rare to guess.
func (d *daemon) newID() string {
	var raw [6]byte
	if _, err := io.ReadFull(d.opts.Random, raw[:]); err != nil {
		d.log.Error("no randomness", "error", err)
	}
	return hex.EncodeToString(raw[:])
}

// changed wakes the goroutine that follows.
func (g *grants) changed() {
	select {
	case g.wake <- struct{}{}:
	default: // one is waiting already
	}
}

// Settled waits until everything that was decided before the call has been brought to the servers, or tried.
func (g *grants) Settled(ctx context.Context) {
	g.mu.Lock()
	want := g.round + 2 // the one under way may have begun before
	g.mu.Unlock()
	for {
		g.changed()
		g.mu.Lock()
		round, turned := g.round, g.turned
		g.mu.Unlock()
		if round >= want {
			return
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return
		}
	}
}

// Of implements gateway.Secrets.
func (g *grants) Of(subject string) []identity.Credential { return (*g.secrets.Load())[subject] }

// Barred implements gateway.Secrets.
func (g *grants) Barred(subject string) bool { return (*g.barred.Load())[subject] }

// Issuers implements gateway.Secrets.
func (g *grants) Issuers() *identity.Issuers { return g.issuers.Load() }

// policy is the file's policy with what is held by grants.
func (g *grants) policy() *policy.Policy { return g.with(g.held) }

// with is the file's policy with some grants, and with the people of the identity provider.
func (g *grants) with(held map[string][]policy.Held) *policy.Policy {
	return g.d.world.with(g.d.config.Policy.WithGrants(held))
}

// start reads what is held and holds it against the policy, before anybody is let in.
func (g *grants) start(ctx context.Context) error {
	if err := g.lead(ctx); err != nil {
		return err
	}
	if g.leads {
		if err := g.desk.Recheck(ctx); err != nil {
			return fmt.Errorf("check the grants: %w", err)
		}
	}
	live, err := g.st.Grants(ctx, access.Filter{Open: true})
	if err != nil {
		return err
	}
	g.held = access.Held(live, g.desk.Now())
	g.swept = g.desk.Now()
	g.dirty = true // the servers may not know yet
	return g.readSecrets(ctx)
}

// turn lets time do its work and brings what changed to the servers. It is called every second, and when woken. The result says
// whether sessions have to be decided again.
func (g *grants) turn(ctx context.Context, s *stores) {
	err := g.once(ctx, s)
	if err != nil && ctx.Err() == nil {
		g.dirty = true
		g.d.log.Error("grants: it is tried again in a second", "error", err)
	}
	if ctx.Err() == nil {
		g.note(err)
	}
	g.mu.Lock()
	g.round++
	close(g.turned)
	g.turned = make(chan struct{})
	g.mu.Unlock()
}

// note takes up whether it is known who holds what. What is held ends on time without that: every grant says when. Whatever kept the
// last look from coming to its end, nobody new comes in: what was revoked meanwhile is not known here.
func (g *grants) note(err error) {
	switch news := g.d.standing.note(err); {
	case !news:
	case err != nil:
		g.leads = false
		g.leading.Store(false)
		g.d.log.Error("state cannot be used: open sessions go on until their grants end, new ones are refused", "error", err)
	default:
		g.d.log.Info("state can be used again")
	}
}

// lead finds out whether this gateway lets time do its work for all. Whoever begins to takes up what the one before left.
func (g *grants) lead(ctx context.Context) error {
	look, cancel := context.WithTimeout(ctx, stateLimit)
	defer cancel()
	leads, err := g.st.Lead(look, g.d.instance)
	if err != nil {
		g.leads = false
		g.leading.Store(false)
		if look.Err() != nil {
			err = fmt.Errorf("%w: no answer within %s: %w", state.ErrUnreachable, stateLimit, err)
		}
		return err
	}
	if leads && !g.leads {
		g.swept = time.Time{}
		g.dirty = true
	}
	g.leads = leads
	g.leading.Store(leads)
	return nil
}

func (g *grants) once(ctx context.Context, s *stores) error {
	now := g.desk.Now()
	if err := g.lead(ctx); err != nil {
		return err
	}
	if g.leads {
		if err := g.desk.Tick(ctx); err != nil {
			return err
		}
	}
	if now.Sub(g.swept) >= lookEvery {
		g.swept = now
		g.dirty = true // the reconciler: whatever a crash or a hand left is mended
		if err := g.sweep(ctx); err != nil {
			return err
		}
	}
	if err := g.follow(ctx); err != nil {
		return err
	}
	count, err := g.st.ChangeCount(ctx)
	if err != nil {
		return err
	}
	if count != g.count {
		if err := g.d.refreshPeople(ctx); err != nil {
			return err
		}
		if err := g.follow(ctx); err != nil {
			return err
		}
	}
	if count == g.count && !g.dirty {
		return nil
	}
	if err := g.deliver(ctx); err != nil {
		return err // nothing happens that the trail does not know
	}
	if err := g.readSecrets(ctx); err != nil {
		return err
	}
	g.dirty = false
	if err := g.bring(ctx, s); err != nil {
		return err
	}
	g.count = count
	return g.deliver(ctx)
}

// follow lets sessions and grants follow people who came, went, or are in other groups: all that somebody loses with a group ends in
// one go (ACC-59).
func (g *grants) follow(ctx context.Context) error {
	if !g.moved.Swap(false) {
		return nil
	}
	g.dirty = true
	g.d.decideAgain()
	if err := g.desk.Recheck(ctx); err != nil {
		g.moved.Store(true)
		return err
	}
	return nil
}

// sweep notes uses, holds everything against the policy, and forgets what nobody asks for again.
func (g *grants) sweep(ctx context.Context) error {
	if err := g.desk.Used(ctx, g.uses.take()); err != nil {
		return err
	}
	if err := g.st.UsedCredentials(ctx, g.uses.takeCredentials()); err != nil {
		return err
	}
	if !g.leads {
		return nil
	}
	if err := g.desk.Recheck(ctx); err != nil {
		return err
	}
	return g.st.Tidy(ctx, g.desk.Now())
}

// bring makes what is held true: the gateway first where access ends, the servers first where it begins (ACC-29).
func (g *grants) bring(ctx context.Context, s *stores) error {
	live, err := g.st.Grants(ctx, access.Filter{Open: true})
	if err != nil {
		return err
	}
	want := access.Held(live, g.desk.Now())
	if less := both(g.held, want); !maps.EqualFunc(less, g.held, equalHeld) {
		g.held = less
		g.d.world.set(g.policy(), nil)
		g.d.decideAgain()
	}
	idle, err := g.idle(ctx, want)
	if err != nil || idle {
		return err
	}
	var seen map[string]bool
	if g.leads {
		if seen, err = g.minted(ctx, g.desk.Now()); err != nil {
			return err
		}
	}
	next := g.with(want)
	pending, down, more := s.hand(ctx, next)
	if len(down) == 0 {
		g.held = without(want, live, pending, g.desk.Now())
	} else {
		g.dirty = true // who was granted something on a server that is away waits for it
	}
	s.inForce(g.policy())
	g.d.decideAgain()
	ready := func(x *access.Grant) (bool, string) {
		switch ok, why := g.ready(next, x, pending, down); {
		case g.leads || ok:
			return ok, why
		default: // what is not to be seen from here may be from where somebody leads
			return x.Wall == access.WallReady, x.Why
		}
	}
	if more { // the rest comes at once, but not before whoever else waits for this goroutine
		g.dirty = true
		g.changed()
	}
	// A grant that ended since, or whose credentials somebody else looks after, is left for the next time: once its wall is gone nobody
	// finds it. One that is paused has none to end.
	gone := func(x *access.Grant) bool { return len(down) == 0 && !more && (x.Live() || seen[x.ID]) }
	return g.desk.Built(ctx, live, ready, gone)
}

// without leaves out what waits for a profile: whoever is granted one rule more goes on with what they hold until it is built.
func without(want map[string][]policy.Held, live []access.Grant, pending map[string]map[string]string, now time.Time) map[string][]policy.Held {
	waits := map[string]bool{}
	for _, users := range pending {
		for user := range users {
			waits[user] = true
		}
	}
	if len(waits) == 0 {
		return want
	}
	ready := access.Held(slices.DeleteFunc(slices.Clone(live), func(x access.Grant) bool { return x.Wall != access.WallReady }), now)
	out := maps.Clone(want)
	for user := range waits {
		if out[user] = ready[user]; len(out[user]) == 0 {
			delete(out, user)
		}
	}
	return out
}

// idle says whether grants are no business of this site: no rule is held by one, and none is on its way out.
func (g *grants) idle(ctx context.Context, want map[string][]policy.Held) (bool, error) {
	if len(g.held)+len(want) > 0 || len(g.policy().Provided()) > 0 {
		return false, nil
	}
	for _, r := range g.d.config.Policy.Rules {
		if r.Request != nil {
			return false, nil
		}
	}
	closing, err := g.st.Grants(ctx, access.Filter{Closing: true})
	return len(closing) == 0, err
}

// ready says whether every server that a grant reaches has it.
func (g *grants) ready(p *policy.Policy, x *access.Grant, pending map[string]map[string]string, down map[string]bool) (bool, string) {
	rule := p.Rule(x.Rule)
	if rule == nil {
		return false, "the rule is gone"
	}
	subject, known := p.Subject(x.Subject)
	if !known {
		return false, "the user is gone"
	}
	for _, store := range p.StoresOf(rule) {
		if down[store] {
			return false, "store " + store + " cannot be reached"
		}
		if why := pending[store][x.Subject]; why != "" {
			if x.Wall == access.WallReady {
				return true, "" // something else of theirs waits
			}
			return false, "store " + store + ": " + why
		}
		var names []string
		for _, r := range p.RulesOf(subject, store) {
			names = append(names, r.Name)
		}
		if _, err := g.d.world.Profile(gateway.Holder{Subject: subject, Store: store, Rules: names}); err != nil {
			return false, err.Error()
		}
	}
	return true, ""
}

// both is what is held in both, until the earlier end.
func both(a, b map[string][]policy.Held) map[string][]policy.Held {
	out := map[string][]policy.Held{}
	for subject, list := range a {
		until := map[string]time.Time{}
		for _, h := range b[subject] {
			until[h.Rule] = h.Until
		}
		for _, h := range list {
			end, ok := until[h.Rule]
			if !ok {
				continue
			}
			if end.Before(h.Until) {
				h.Until = end
			}
			out[subject] = append(out[subject], h)
		}
	}
	return out
}

func equalHeld(a, b []policy.Held) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Rule != b[i].Rule || !a[i].Until.Equal(b[i].Until) {
			return false
		}
	}
	return true
}

// deliver writes what waits in the outbox to the trail. An event that is written and not yet taken out when the process dies is
// written again: its number tells. Of several gateways the leading one writes them.
func (g *grants) deliver(ctx context.Context) error {
	if !g.leads {
		return nil
	}
	for {
		events, err := g.st.Events(ctx, outboxBatch)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			if _, err := g.d.trail.Record(ctx, eventOf(e)); err != nil {
				return fmt.Errorf("record %s: %w", e.Kind, err)
			}
		}
		if err := g.st.Delivered(ctx, events); err != nil {
			return err
		}
	}
}

// eventOf makes a record of the trail of a transition.
func eventOf(e access.Event) audit.Event {
	out := audit.Event{
		Kind: audit.Kind(e.Kind), Subject: e.Actor, Policy: e.Policy, Address: e.Address, Reason: e.Reason, Statement: e.Statement,
		Detail: map[string]string{"number": fmt.Sprint(e.ID), "at": e.At.UTC().Format(time.RFC3339Nano)},
	}
	if e.Rule != "" {
		out.Rules = []string{e.Rule}
	}
	if e.Kind == string(audit.RequestRefused) {
		out.Verdict = "refuse"
	}
	if e.Count > 0 {
		out.Detail["times"] = fmt.Sprint(e.Count)
	}
	for key, value := range map[string]string{
		"for": e.Subject, "dataset": e.Dataset, "request": e.Request, "grant": e.Grant, "from": string(e.From), "to": string(e.To), "channel": e.Channel,
	} {
		if value != "" {
			out.Detail[key] = value
		}
	}
	return out
}

// readSecrets takes up what credentials there are and which accounts are disabled or were reset, and ends the sessions of those that are
// no longer, and of people those that began before.
func (g *grants) readSecrets(ctx context.Context) error {
	live, err := g.st.Credentials(ctx, "", g.desk.Now())
	if err != nil {
		return err
	}
	all, ids, personal := map[string][]identity.Credential{}, map[string]bool{}, map[string]bool{}
	for i := range live {
		if c, ok := live[i].Credential(); ok {
			all[live[i].Subject] = append(all[live[i].Subject], c)
			ids[c.ID], personal[c.ID] = true, c.Personal
		}
	}
	if err := g.readIssuers(ctx, live, ids); err != nil {
		return err
	}
	accounts, err := g.st.Accounts(ctx)
	if err != nil {
		return err
	}
	barred, reset := map[string]bool{}, map[string]time.Time{}
	for i := range accounts {
		reset[accounts[i].Name] = accounts[i].Reset
		if !accounts[i].Disabled.IsZero() {
			barred[accounts[i].Name] = true
		}
	}
	g.secrets.Store(&all)
	g.barred.Store(&barred)
	if g.d.gw != nil {
		g.d.gw.EndWhere(func(i gateway.Info) bool { return barred[i.User] }, gateway.Ending{Code: gateway.CodeRevoked, Message: "your account was disabled"})
		g.d.gw.EndWhere(func(i gateway.Info) bool { return i.Started.Before(reset[i.User]) },
			gateway.Ending{Code: gateway.CodeRevoked, Message: "your account was reset", Hint: "follow the new invitation, then postern login"})
		g.d.gw.EndWhere(func(i gateway.Info) bool {
			return i.Credential != "" && i.Credential != identity.PolicyCredential && !ids[i.Credential]
		}, gateway.Ending{Code: gateway.CodeRevoked, Message: "the credential that you logged in with has ended", Hint: "postern login"})
		p := g.policy()
		g.d.gw.EndWhere(func(i gateway.Info) bool { return personal[i.Credential] && !p.TakesTokens(i.Store) },
			gateway.Ending{Code: gateway.CodeRevoked, Message: "personal access tokens do not open this store", Hint: "postern run"})
	}
	return nil
}

// uses notes which datasets people used, for grants that end for want of use, and which credentials they came in with.
type uses struct {
	mu          sync.Mutex
	at          map[string]map[string]time.Time // subject -> rule -> last use
	credentials map[string]time.Time            // id -> last use
}

func (u *uses) noteCredential(id string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.credentials == nil {
		u.credentials = map[string]time.Time{}
	}
	u.credentials[id] = at
}

func (u *uses) takeCredentials() map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := u.credentials
	u.credentials = nil
	return out
}

func (u *uses) note(subject, rule string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at[subject] == nil {
		u.at[subject] = map[string]time.Time{}
	}
	u.at[subject][rule] = at
}

func (u *uses) take() map[string]map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := u.at
	u.at = map[string]map[string]time.Time{}
	return out
}

// usesRecorder is the trail, with an eye on which grants the statements that it records make use of (ACC-17).
type usesRecorder struct {
	audit.Recorder
	g *grants
}

// Record implements audit.Recorder.
func (r usesRecorder) Record(ctx context.Context, e audit.Event) (string, error) {
	if id := e.Detail["credential"]; e.Kind == audit.LoginAccepted && id != "" {
		r.g.uses.noteCredential(id, r.g.d.opts.Clock.Now())
	}
	if e.Kind == audit.Decision && e.Verdict != "refuse" && len(e.Touches) > 0 {
		r.g.noteUse(&e)
	}
	return r.Recorder.Record(ctx, e)
}

func (g *grants) noteUse(e *audit.Event) {
	p := g.d.world.Current()
	if !p.Granted(e.Subject) {
		return
	}
	for _, touch := range e.Touches {
		t, ok := policy.ParseTable(touch.Relation)
		if !ok {
			continue
		}
		set := p.DatasetOf(t)
		for _, name := range e.Rules {
			if r := p.Rule(name); set != nil && r != nil && r.Request != nil && r.On == set.Name {
				g.uses.note(e.Subject, name, g.d.opts.Clock.Now())
			}
		}
	}
}

// PolicyNow is the policy of a file with the grants of its state, for those who compare it with a server. Without a state file
// nothing is held by grants.
func PolicyNow(ctx context.Context, c *config.Config, now time.Time) (*policy.Policy, error) {
	st, err := openExisting(ctx, c)
	if err != nil {
		if isMissing(err) {
			return c.Policy, nil
		}
		return nil, err
	}
	defer func() { _ = st.Close() }()
	live, err := st.Grants(ctx, access.Filter{Open: true})
	if err != nil {
		return nil, err
	}
	people, err := known(ctx, c, st, now)
	if err != nil {
		return nil, err
	}
	return c.Policy.WithGrants(access.Held(live, now)).WithPeople(people), nil
}
