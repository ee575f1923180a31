package audit

import (
	"context"
	"fmt"
	"time"
)

// Three goroutines stand behind a trail, so that none can hold another up: the keeper writes what was queued and sets
// checkpoints, the syncer runs fsync, the saver tells state. They sleep while nothing is outstanding and end with Close.

// start begins them.
func (t *Trail) start() {
	t.workers.Go(t.keep)
	t.workers.Go(t.syncLoop)
	t.workers.Go(t.saveLoop)
	t.stir()
}

// stir wakes the keeper when it sleeps. On a busy trail it is one atomic load.
func (t *Trail) stir() {
	if !t.active.Load() && t.active.CompareAndSwap(false, true) {
		nudge(t.wake)
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// tick is how often the keeper looks: twice within whatever it has promised. What the spool has taken is as safe from the end
// of the process as what was written, so that then only the disk is waited for: each call of the kernel that the scheduler
// hears of wakes the runtime's monitor, which costs a busy gateway more than the write.
func (t *Trail) tick() time.Duration {
	if t.cfg.Sync <= 0 {
		return soonWithin / 2
	}
	t.mu.Lock()
	spooling := t.spool.usable()
	t.mu.Unlock()
	if spooling {
		return min(t.cfg.Sync, maxTick) / 2
	}
	return min(soonWithin, t.cfg.Sync) / 2
}

func (t *Trail) keep() {
	ticker := time.NewTicker(t.tick())
	ticker.Stop()
	defer ticker.Stop()
	r := rounds{trail: t, synced: t.cfg.Now(), signed: t.cfg.Now(), saved: t.cfg.Now()}
	for {
		select {
		case <-t.done:
			return
		case <-t.wake:
		}
		ticker.Reset(t.tick())
		for busy := true; busy; {
			select {
			case <-t.done:
				return
			case <-ticker.C:
			}
			if r.run(t.cfg.Now()) {
				continue
			}
			// Who records between the two looks finds active false and wakes the keeper; who did so before is seen now.
			t.active.Store(false)
			busy = r.run(t.cfg.Now()) && t.active.CompareAndSwap(false, true)
		}
		ticker.Stop()
	}
}

// rounds is what the keeper remembers from one look to the next.
type rounds struct {
	trail                 *Trail
	synced, signed, saved time.Time
	lastSigned            uint64
}

// run does what is due and says whether anything will be.
func (r *rounds) run(now time.Time) (outstanding bool) {
	t := r.trail
	t.mu.Lock()
	t.tend(r, now)
	written, broken, news := t.written, t.broken != nil, t.news
	t.news = nil
	t.mu.Unlock()
	for _, n := range news {
		t.cfg.Notify(n)
	}
	if t.durable.Load() < written.seq && now.Sub(r.synced) >= t.cfg.Sync-t.tick() {
		r.synced = now
		nudge(t.sync)
	}
	t.safeMu.Lock()
	safe, saved := t.safe, t.saved
	t.safeMu.Unlock()
	unsaved := t.cfg.State != nil && saved.seq < safe.seq
	since := now.Sub(r.saved)
	if unsaved && (since >= saveEvery || (safe.signed > saved.signed && since >= saveGap)) {
		r.saved = now
		nudge(t.save)
	}
	return broken || unsaved || written.seq > written.signed || t.durable.Load() < written.seq
}

// tend writes what is queued, tries a broken trail again and sets a checkpoint when it is time. The caller holds mu.
func (t *Trail) tend(r *rounds, now time.Time) {
	if t.closed {
		return
	}
	if t.broken != nil {
		if now.Sub(t.tried) >= healEvery {
			t.heal(now)
		}
		return
	}
	if t.queued.signed != r.lastSigned {
		r.lastSigned, r.signed = t.queued.signed, now
	}
	if t.queued.seq > t.queued.signed && now.Sub(r.signed) >= t.cfg.CheckpointAfter {
		t.append(&Event{Kind: Checkpoint}, &Seal{}, now)
	}
	_ = t.write() // the error stands in t.broken and in the news
}

// heal tries to write again after a failed write: what had been accepted, then a signed record of what happened. The caller
// holds mu.
func (t *Trail) heal(now time.Time) {
	if t.sticky {
		return
	}
	t.tried = now
	if err := t.file.Truncate(t.size); err != nil {
		return
	}
	since := t.failed.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
	t.append(&Event{
		Kind: Recovery, Reason: ReasonWriteFailed,
		Message: fmt.Sprintf("the trail could not be written since %s (%s); events refused meanwhile: %d", since, t.broken, t.refused),
	}, &Seal{Refused: t.refused}, now)
	if t.write() != nil {
		return
	}
	if err := t.file.Sync(); err != nil {
		t.fail(fmt.Errorf("fsync %s: %w", t.name, err), true)
		return
	}
	t.markDurable(t.written)
	t.broken = nil
	t.news = append(t.news, fmt.Errorf("the audit trail can be written again; events refused since %s: %d", since, t.refused))
}

func (t *Trail) syncLoop() {
	for {
		select {
		case <-t.done:
			return
		case <-t.sync:
		}
		t.mu.Lock()
		seq := t.written.seq
		t.mu.Unlock()
		_ = t.syncTo(seq) // the error stands in t.broken and in the news
	}
}

func (t *Trail) saveLoop() {
	failing := false
	for {
		select {
		case <-t.done:
			return
		case <-t.save:
		}
		err := t.saveHead()
		if err != nil && !failing {
			t.cfg.Notify(err)
		}
		failing = err != nil
	}
}

// saveHead tells state how far the trail is durable.
func (t *Trail) saveHead() error {
	t.safeMu.Lock()
	safe, saved := t.safe, t.saved
	t.safeMu.Unlock()
	if t.cfg.State == nil || safe.seq <= saved.seq {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stateTimeout)
	defer cancel()
	if err := t.cfg.State.SaveHead(ctx, safe.head(t.cfg.Instance)); err != nil {
		return fmt.Errorf("save the trail's head in state: %w", err)
	}
	t.safeMu.Lock()
	t.saved = safe
	t.safeMu.Unlock()
	return nil
}
