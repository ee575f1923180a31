package daemon

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/policy"
)

// stores looks after the wall of every store. It belongs to the goroutine that follows.
type stores struct {
	d      *daemon
	all    []*storeWall
	handed map[string]view // by the last hand, not in force yet
}

// storeWall is one store's wall and when to look at it again.
type storeWall struct {
	name   string
	config *config.Store
	wall   Wall
	down   bool // the last look failed
	wait   time.Duration
	next   time.Time // of the next whole look
	ask    time.Time // not asked before then whether something changed
	good   time.Time // of the last look that succeeded
	strict bool      // what was found before is known not to hold any more
	seen   Report

	unhanded string // why the last hand failed, as it was logged
}

func (s *stores) close() {
	for _, w := range s.all {
		w.wall.Close()
	}
}

// refreshAll looks at every store at once and puts the policy and what was found in force in one step.
func (s *stores) refreshAll(ctx context.Context, p *policy.Policy) {
	for _, w := range s.all {
		w.strict = true // another policy may want another wall
	}
	s.refresh(ctx, p, s.all)
}

func (s *stores) refresh(ctx context.Context, p *policy.Policy, some []*storeWall) {
	views, holds := make([]view, len(some)), make([]bool, len(some))
	var looks sync.WaitGroup
	for i, w := range some {
		looks.Go(func() { views[i], holds[i] = s.look(ctx, p, w) })
	}
	looks.Wait()
	if ctx.Err() != nil {
		return // a look that was broken off says nothing
	}
	m := map[string]view{}
	for i, w := range some {
		if !holds[i] {
			m[w.name] = views[i]
		}
	}
	s.d.world.set(p, m)
}

// hand brings what grants decide to every store at once. It returns the users that wait on each, the stores that could not be
// reached, and whether some server has only a part yet; what was found there is put in force by inForce, in one step with the policy.
func (s *stores) hand(ctx context.Context, p *policy.Policy) (pending map[string]map[string]string, down map[string]bool, more bool) {
	views, reports, errs := make([]View, len(s.all)), make([]Report, len(s.all)), make([]error, len(s.all))
	var work sync.WaitGroup
	for i, w := range s.all {
		work.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, refreshLimit)
			defer cancel()
			views[i], reports[i], errs[i] = w.wall.Hand(ctx, p)
		})
	}
	work.Wait()
	pending, down, s.handed = map[string]map[string]string{}, map[string]bool{}, map[string]view{}
	for i, w := range s.all {
		if errs[i] != nil {
			down[w.name] = true
			if why := errs[i].Error(); ctx.Err() == nil && why != w.unhanded { // it is tried again every second
				s.d.log.Error("grants are not on the server", "store", w.name, "error", why)
				w.unhanded = why
			}
			continue
		}
		w.unhanded = ""
		s.handed[w.name], pending[w.name] = view{view: views[i]}, reports[i].Pending
		more = more || reports[i].More
		s.tell(ctx, w, reports[i])
	}
	return pending, down, more
}

// inForce puts a policy in force with what the last hand found.
func (s *stores) inForce(p *policy.Policy) {
	s.d.world.set(p, s.handed)
	s.handed = nil
}

// look refreshes one store. A store that cannot be seen is refused, with the reason, until it can. Where nothing says that its
// wall is another, what was found before holds for lookPatience: a server that is busy for a moment must not cost every
// session, and the wall itself stands whether anybody looks or not.
func (s *stores) look(ctx context.Context, p *policy.Policy, w *storeWall) (found view, holds bool) {
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	now := s.d.opts.Clock.Now()
	v, report, err := w.wall.Refresh(ctx, p)
	if err != nil {
		w.wait = min(max(2*w.wait, retryFirst), retryMost)
		w.next, w.down = now.Add(w.wait), true
		_, known := err.(*gateway.Unavailable) //nolint:errorlint // as in unavailable: a look that says so has succeeded
		holds = !w.strict && !known && now.Sub(w.good) < lookPatience
		if ctx.Err() == nil {
			what := "store cannot be used"
			if holds {
				what = "store cannot be looked at; what was found before holds for now"
			}
			s.d.log.Error(what, "store", w.name, "error", err, "retry_in", w.wait.String())
		}
		return view{why: unavailable(w.name, err)}, holds
	}
	if w.down {
		s.d.log.Info("store can be used again", "store", w.name)
	}
	w.wait, w.down, w.next, w.good, w.strict = 0, false, now.Add(lookEvery), now, false
	s.tell(ctx, w, report)
	return view{view: v}, false
}

// unavailable is what a client is told of a store that cannot be used. What is wrong stands in the log: it may name hosts.
func unavailable(store string, err error) *gateway.Unavailable {
	if u, ok := err.(*gateway.Unavailable); ok { //nolint:errorlint // a wrapped one carries more than a client may read
		return u
	}
	return &gateway.Unavailable{
		Code: gateway.CodeUpstream, Message: "store " + store + " cannot be used at the moment",
		Hint: "the gateway's log says why",
	}
}

// tell logs and records what a look did and found, once as long as it stays the same.
func (s *stores) tell(ctx context.Context, w *storeWall, r Report) {
	if len(r.Handed) > 0 {
		s.d.log.Info("grants brought to the server", "store", w.name, "changes", len(r.Handed))
		s.record(ctx, audit.Event{Kind: audit.ApplyDone, Store: w.name, Message: strings.Join(r.Handed, "; ")})
	}
	if len(r.Applied) > 0 {
		s.d.log.Info("wall applied", "store", w.name, "changes", len(r.Applied))
		s.record(ctx, audit.Event{Kind: audit.ApplyDone, Store: w.name, Policy: s.d.config.Policy.Digest, Message: strings.Join(r.Applied, "; ")})
	}
	old := w.seen
	w.seen = r
	if len(r.Waiting) > 0 && !slices.Equal(old.Waiting, r.Waiting) {
		s.d.log.Warn("changes of the wall wait: run postern plan and postern apply", "store", w.name, "changes", strings.Join(r.Waiting, "; "))
	}
	if len(r.Outdated) > 0 && !slices.Equal(old.Outdated, r.Outdated) {
		s.d.log.Warn("profiles are refused: their wall is not what the policy says; run postern apply", "store", w.name, "profiles", strings.Join(r.Outdated, ", "))
		s.record(ctx, audit.Event{Kind: audit.ProfileDenied, Store: w.name, Message: strings.Join(r.Outdated, ", ")})
	}
	if !slices.Equal(old.Warnings, r.Warnings) {
		for _, text := range r.Warnings {
			s.d.log.Warn(text, "store", w.name)
		}
	}
}

func (s *stores) record(ctx context.Context, e audit.Event) {
	if _, err := s.d.trail.Record(context.WithoutCancel(ctx), e); err != nil {
		s.d.log.Error("an event could not be recorded", "kind", string(e.Kind), "error", err)
	}
}

// poll asks every store, cheaply, whether its wall is still what it was, and looks again at those that changed or are due.
// It returns whether anything was looked at.
func (s *stores) poll(ctx context.Context, p *policy.Policy) bool {
	now := s.d.opts.Clock.Now()
	var due []*storeWall
	for _, w := range s.all {
		if !now.Before(w.next) || (!w.down && !now.Before(w.ask) && s.changed(ctx, w)) {
			due = append(due, w)
		}
	}
	if len(due) == 0 {
		return false
	}
	before := s.d.world.current.Load().views
	s.refresh(ctx, p, due)
	return !maps.Equal(before, s.d.world.current.Load().views)
}

func (s *stores) changed(ctx context.Context, w *storeWall) bool {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	began := s.d.opts.Clock.Now()
	changed, err := w.wall.Changed(ctx)
	// The question costs a large catalog more: it may take the server's time only in a small share.
	ended := s.d.opts.Clock.Now()
	w.ask = ended.Add(askShare * ended.Sub(began))
	w.strict = w.strict || changed
	// A store that does not answer is looked at again whole, which says what is wrong with it.
	return changed || err != nil
}
