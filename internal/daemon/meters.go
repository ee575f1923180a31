package daemon

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/state"
)

// shareEvery is how often gateways tell each other what is used of limits.
const shareEvery = time.Second

// startMeters shares what is used of limits through state, once before anybody comes in. While state is away each gateway counts on with
// what it knows.
func (d *daemon) startMeters(ctx context.Context) (stop func()) {
	run := rand.Text()
	share := func(ctx context.Context) error {
		// Limits that were agreed to hold on when the file has none any more.
		if !metered(d.world.current.Load().policy) && !d.gw.Metering() {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, stateLimit)
		defer cancel()
		return d.gw.ShareUse(func(mine []gateway.Use) (map[string]gateway.Use, error) {
			told := make([]state.Use, len(mine))
			for i, u := range mine {
				told[i] = state.Use(u)
			}
			found, err := d.grants.st.ShareUse(ctx, run, told, d.opts.Clock.Now())
			if err != nil {
				return nil, err
			}
			out := make(map[string]gateway.Use, len(found))
			for key, u := range found {
				out[key] = gateway.Use(u)
			}
			return out, nil
		})
	}
	away := false
	tell := func(err error) {
		if err != nil && !away && ctx.Err() == nil {
			d.log.Warn("what is used of limits is not shared with other gateways", "error", err)
		}
		away = err != nil
	}
	tell(share(ctx))
	loop, cancel := context.WithCancel(context.WithoutCancel(ctx)) // sessions that come to an end still count
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(shareEvery)
		defer tick.Stop()
		for {
			select {
			case <-loop.Done():
				tell(share(context.WithoutCancel(loop))) // the next run goes on with it
				return
			case <-tick.C:
				tell(share(loop))
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// metered says whether anything of a policy counts rows or statements over time.
func metered(p *policy.Policy) bool {
	for _, r := range p.Rules {
		if r.Limits.Metered() {
			return true
		}
	}
	for _, s := range p.Stores {
		if s.Limits.Metered() {
			return true
		}
	}
	return false
}
