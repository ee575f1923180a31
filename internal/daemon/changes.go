package daemon

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/portal"
)

const (
	// mostChanges is how many events about the policy are remembered. A page shows some of them.
	mostChanges = 200
	// While the trail is looked through for those of before this start, it is left alone for most of the time: it may be long, and the
	// gateway has other work.
	changesLook  = 50 * time.Millisecond
	changesPause = 200 * time.Millisecond
)

// changes are the latest events about the policy. They are rare among those of a trail: a page that looked for them there would read all
// of it each time.
type changes struct {
	mu    sync.Mutex
	list  []audit.Event // the oldest first
	whole bool          // those of before this start are in it, as many as are remembered
}

// note takes up an event that was recorded just now, if it is about the policy.
func (c *changes) note(e audit.Event, at time.Time) {
	if !portal.OfPolicy(&e) {
		return
	}
	e.Time = at.UTC()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, e)
	c.list = slices.Clone(c.list[max(0, len(c.list)-mostChanges):])
}

// now is what is remembered.
func (c *changes) now() portal.Changes {
	c.mu.Lock()
	defer c.mu.Unlock()
	return portal.Changes{Events: slices.Clone(c.list), Whole: c.whole || len(c.list) == mostChanges}
}

// before puts older events in front, the newest of them first.
func (c *changes) before(old []audit.Event, whole bool) {
	slices.Reverse(old)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(old, c.list...)
	c.list, c.whole = c.list[max(0, len(c.list)-mostChanges):], whole
}

// remember looks through the trail for what was before this start: up to the record of a number. Where another gateway's trail lies is not
// known here: what this one did is what is shown.
func (c *changes) remember(ctx context.Context, folder string, last uint64) error {
	q := audit.Query{Kinds: portal.PolicyKinds(), To: last}
	for n := 0; q.To > 0 && n < mostChanges; {
		some, cut, err := lookForChanges(ctx, folder, q)
		if err != nil {
			return err
		}
		n += len(some)
		if cut == 0 {
			c.before(some, true)
			return nil
		}
		c.before(some, false)
		q.To = cut - 1
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(changesPause):
		}
	}
	c.before(nil, true)
	return nil
}

// lookForChanges looks for a while, and says how far it came; 0: to the end.
func lookForChanges(ctx context.Context, folder string, q audit.Query) (found []audit.Event, cut uint64, err error) {
	look, cancel := context.WithTimeout(ctx, changesLook)
	defer cancel()
	for f, err := range audit.Latest(look, folder, q) {
		var line *audit.LineError
		var unfinished *audit.UnfinishedError
		switch {
		case errors.As(err, &line): // Verify tells what became of it
		case errors.As(err, &unfinished) && ctx.Err() == nil:
			return found, unfinished.Seq, nil
		case err != nil:
			return nil, 0, err
		case portal.OfPolicy(&f.Record.Event):
			if found = append(found, f.Record.Event); len(found) == mostChanges {
				return found, 0, nil
			}
		}
	}
	return found, 0, nil
}

// recording is the trail, with an eye on what is recorded about the policy.
type recording struct {
	*audit.Trail
	now     func() time.Time
	changes *changes
}

// Record implements audit.Recorder.
func (r recording) Record(ctx context.Context, e audit.Event) (string, error) {
	id, err := r.Trail.Record(ctx, e)
	if err == nil {
		r.changes.note(e, r.now())
	}
	return id, err
}

// openTrail opens the trail, and remembers from then on what it is told about the policy.
func (d *daemon) openTrail(c audit.Config) error {
	t, err := audit.Open(c)
	if err != nil {
		return err
	}
	d.trail = recording{t, d.opts.Clock.Now, &d.changes}
	d.before = t.Head().Seq
	return nil
}

// startChanges begins to look for what was before. What it returns stops it.
func (d *daemon) startChanges(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := d.changes.remember(ctx, d.config.Audit.Folder, d.before); err != nil && ctx.Err() == nil {
			d.log.Error("the trail was not looked through for earlier changes of the policy", "error", err)
		}
	}()
	return func() { cancel(); <-done }
}
