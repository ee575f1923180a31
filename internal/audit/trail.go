package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of Config.
const (
	DefaultRotateSize      = 64 << 20
	DefaultRotateAge       = 24 * time.Hour
	DefaultCheckpointEvery = 1000
	DefaultCheckpointAfter = 5 * time.Second
)

const (
	maxPending   = 256 << 10              // queued bytes that are written without waiting for the next Record
	soonWithin   = 50 * time.Millisecond  // what RecordSoon promises
	maxTick      = 100 * time.Millisecond // how long a file may lag behind the spool
	saveEvery    = time.Second            // head to state while active
	saveGap      = 200 * time.Millisecond
	healEvery    = time.Second
	smallStep    = time.Minute // a clock that goes back by less repeats the last time instead
	stateTimeout = 10 * time.Second
)

// Errors of a Trail.
var (
	// ErrBroken is in every error that says that an event could not be written.
	ErrBroken = errors.New("the audit trail cannot be written")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the audit trail is closed")
	// ErrLocked says that another process writes to the folder.
	ErrLocked = errors.New("another process writes this audit trail")
	// ErrTooLarge refuses one event that would make a line of more than MaxRecord; the trail goes on.
	ErrTooLarge = errors.New("the event is too large for the audit trail")
)

// Config is what Open needs.
type Config struct {
	Folder   string // made with mode 0700 when missing
	Key      *Key
	Instance string        // who writes: letters, digits, '.', '_' and '-'; a folder holds the trail of one instance
	Sync     time.Duration // 0: fsync before Record returns; else at least that often. ParseSync reads audit.sync
	State    HeadStore     // where heads are kept; without it a cut-off tail cannot be proved

	RotateSize      int64         // 0: DefaultRotateSize
	RotateAge       time.Duration // 0: DefaultRotateAge
	CheckpointEvery int           // records; 0: DefaultCheckpointEvery
	CheckpointAfter time.Duration // 0: DefaultCheckpointAfter

	Now    func() time.Time // nil: time.Now
	Random io.Reader        // nil: crypto/rand
	// Notify hears what has no caller to return to: the trail broke, it recovered, a head could not be saved. It must not
	// block. nil: nobody hears.
	Notify func(error)
}

// ParseSync reads the value of audit.sync: "always" or a duration of at least a millisecond and at most a minute.
func ParseSync(text string) (time.Duration, error) {
	if text == "always" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Millisecond || d > time.Minute {
		return 0, fmt.Errorf("sync %q: expected always or a duration from 1ms to 1m", text)
	}
	return d, nil
}

// position is where the chain stands after a record.
type position struct {
	seq    uint64
	hash   hash
	time   time.Time
	signed uint64 // last signed record
}

func (p position) head(instance string) Head {
	return Head{Instance: instance, Seq: p.seq, Hash: string(p.hash[:]), Time: p.time, Checkpoint: p.signed}
}

// Trail writes events. It is safe for concurrent use; its methods hold no goroutine of their own up, and a lone writer is
// served in its own goroutine from beginning to end.
type Trail struct {
	cfg  Config
	lock *os.File

	mu      sync.Mutex // guards what follows
	file    *os.File
	name    string
	opened  time.Time // when the current file was begun
	size    int64     // of what is whole in file
	pending []byte    // encoded and chained, not yet written
	spool   *spool    // holds pending[:spool.used] for the kernel
	queued  position  // after pending
	kept    int       // the part of pending that is accepted: it was told of, or is in the spool
	keptAt  position  // after that part
	written position  // after what is in file
	ids     idSource
	broken  error     // set: nothing can be written
	sticky  bool      // broken until reopened
	failed  time.Time // when it broke
	tried   time.Time // when it was last tried again
	refused uint64    // events refused since failed
	news    []error   // for Notify
	closed  bool

	syncMu  sync.Mutex // held by who runs fsync; never taken with mu held
	durable atomic.Uint64
	safeMu  sync.Mutex
	safe    position // what durable counts, guarded by safeMu
	saved   position // what state has, guarded by safeMu

	active  atomic.Bool // the keeper is awake
	wake    chan struct{}
	sync    chan struct{}
	save    chan struct{}
	done    chan struct{}
	workers sync.WaitGroup

	recovered []string
}

var _ Recorder = (*Trail)(nil)

func (c *Config) setDefaults() {
	if c.RotateSize <= 0 {
		c.RotateSize = DefaultRotateSize
	}
	if c.RotateAge <= 0 {
		c.RotateAge = DefaultRotateAge
	}
	if c.CheckpointEvery <= 0 {
		c.CheckpointEvery = DefaultCheckpointEvery
	}
	if c.CheckpointAfter <= 0 {
		c.CheckpointAfter = DefaultCheckpointAfter
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	if c.Notify == nil {
		c.Notify = func(error) {}
	}
}

// Record implements Recorder.
func (t *Trail) Record(ctx context.Context, e Event) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("record event: %w", err)
	}
	t.mu.Lock()
	err := t.queue(&e)
	if err == nil {
		if err = t.handOver(); err != nil {
			t.refused++
		}
	}
	t.mu.Unlock()
	t.stir()
	if err != nil {
		return "", err
	}
	if t.cfg.Sync == 0 {
		if err := t.syncTo(e.Seq); err != nil {
			return "", err
		}
	}
	return e.ID, nil
}

// RecordSoon implements Recorder. An event that it accepted is never dropped: when the write fails, it stays queued, and is
// written before anything else once the trail can be written again.
func (t *Trail) RecordSoon(e Event) error {
	t.mu.Lock()
	err := t.queue(&e)
	if err == nil {
		t.accept()
		if !t.spooled() && len(t.pending) > maxPending {
			err = t.write()
		}
	}
	t.mu.Unlock()
	t.stir()
	return err
}

// handOver gives what is pending to the kernel: in the spool, where it is safe from the end of this process, or else in the
// trail itself. The caller holds mu.
func (t *Trail) handOver() error {
	if t.spooled() {
		t.accept()
		return nil
	}
	return t.write()
}

// spooled copies to the spool what is pending and not in it yet, and says whether all of it is there now.
func (t *Trail) spooled() bool { return t.spool.put(t.pending[t.spool.used:]) }

// queue encodes e behind what is pending. The caller holds mu and calls write or accept next.
func (t *Trail) queue(e *Event) error {
	switch {
	case t.closed:
		return ErrClosed
	case t.broken != nil:
		t.refused++
		return t.broken
	}
	now := t.cfg.Now()
	if err := t.rotateIfDue(now); err != nil {
		t.refused++
		return err
	}
	if e.ID == "" {
		id, err := t.ids.next(now)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBroken, err)
		}
		e.ID = id
	}
	before, length := t.queued, len(t.pending)
	t.append(e, nil, now)
	if len(t.pending)-length > MaxRecord {
		t.pending, t.queued = t.pending[:length], before
		return ErrTooLarge
	}
	if t.queued.seq-t.queued.signed >= uint64(t.cfg.CheckpointEvery) {
		t.append(&Event{Kind: Checkpoint}, &Seal{}, now)
	}
	return nil
}

// append chains one record to what is queued. A seal makes it a signed one.
func (t *Trail) append(e *Event, seal *Seal, now time.Time) {
	e.Seq = t.queued.seq + 1
	e.Instance = t.cfg.Instance
	e.Time = now.UTC().Truncate(time.Microsecond)
	if back := t.queued.time.Sub(e.Time); back > 0 && back < smallStep {
		e.Time = t.queued.time
	}
	if seal != nil {
		seal.Key = t.cfg.Key.id
	}
	t.pending, t.queued.hash = appendRecord(t.pending, e, seal, t.queued.hash, t.cfg.Key)
	t.queued.seq, t.queued.time = e.Seq, e.Time
	if seal != nil {
		t.queued.signed = e.Seq
	}
}

// accept makes what is pending stay until it is written.
func (t *Trail) accept() { t.kept, t.keptAt = len(t.pending), t.queued }

// write hands everything pending to the kernel in one call. After an error the file ends where it ended before, what was
// accepted stays pending, the rest is forgotten, and the trail is broken. The caller holds mu.
func (t *Trail) write() error {
	if len(t.pending) == 0 {
		return nil
	}
	n, err := t.file.Write(t.pending)
	if err == nil {
		t.size += int64(n)
		t.written = t.queued
		if cap(t.pending) > 4*maxPending {
			t.pending = nil
		}
		t.pending = t.pending[:0]
		t.spool.reset()
		t.accept()
		return nil
	}
	t.pending, t.queued = t.pending[:t.kept], t.keptAt
	t.fail(fmt.Errorf("write %s: %w", t.name, err), false)
	if cut := t.file.Truncate(t.size); cut != nil {
		t.fail(fmt.Errorf("cut a partly written record off %s: %w", t.name, cut), true)
	}
	return t.broken
}

// fail marks the trail as broken. The caller holds mu.
func (t *Trail) fail(cause error, sticky bool) {
	now := t.cfg.Now()
	if t.broken == nil {
		t.failed, t.refused = now, 0
		t.news = append(t.news, fmt.Errorf("%w: %w", ErrBroken, cause))
	}
	t.tried = now
	t.broken = fmt.Errorf("%w: %w", ErrBroken, cause)
	t.sticky = t.sticky || sticky
}

// syncTo returns once the record seq is durable. Whoever gets the lock first runs fsync for all that were written by then;
// those who waited meanwhile find their record covered.
func (t *Trail) syncTo(seq uint64) error {
	if t.durable.Load() >= seq {
		return nil
	}
	t.syncMu.Lock()
	defer t.syncMu.Unlock()
	if t.durable.Load() >= seq {
		return nil
	}
	t.mu.Lock()
	file, at, sticky, broken := t.file, t.written, t.sticky, t.broken
	t.mu.Unlock()
	if sticky {
		return broken
	}
	err := file.Sync()
	if errors.Is(err, os.ErrClosed) && t.durable.Load() >= seq {
		return nil // the file was rotated away or closed, after an fsync of its own
	}
	if err != nil {
		// What the kernel does with pages after a failed fsync is not defined: only reading the file again can tell.
		t.mu.Lock()
		defer t.mu.Unlock()
		t.fail(fmt.Errorf("fsync %s: %w", t.name, err), true)
		return t.broken
	}
	t.markDurable(at)
	return nil
}

func (t *Trail) markDurable(at position) {
	t.safeMu.Lock()
	defer t.safeMu.Unlock()
	if at.seq > t.safe.seq {
		t.safe = at
		t.durable.Store(at.seq)
	}
}

// Sync writes what is queued and returns once everything recorded so far is durable.
func (t *Trail) Sync() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return ErrClosed
	}
	err := t.broken
	if err == nil {
		err = t.write()
	}
	seq := t.written.seq
	t.mu.Unlock()
	if err != nil {
		return err
	}
	return t.syncTo(seq)
}

// Head returns where the trail's files stand: the last record that was written to them.
func (t *Trail) Head() Head {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.written.head(t.cfg.Instance)
}

// Recovered says in words what Open found wrong with the trail and recorded in it; empty is the rule.
func (t *Trail) Recovered() []string { return t.recovered }

// NewID makes an identifier like those of events, for a session.
func (t *Trail) NewID() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ids.next(t.cfg.Now())
}

// Err returns why nothing can be written at present, or nil.
func (t *Trail) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return ErrClosed
	}
	return t.broken
}

// Close writes what is queued and a last checkpoint, makes both durable, saves the head and unlocks the folder. It returns
// an error when any of that was not possible; the trail is closed all the same.
func (t *Trail) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	if t.broken != nil {
		t.heal(t.cfg.Now())
	}
	err := t.broken
	if err == nil {
		if t.queued.seq > t.queued.signed {
			t.append(&Event{Kind: Checkpoint}, &Seal{}, t.cfg.Now())
		}
		err = t.write()
	}
	seq := t.written.seq
	t.closed = true
	t.mu.Unlock()

	close(t.done)
	t.workers.Wait()
	if err == nil {
		err = t.syncTo(seq)
	}
	if err == nil {
		err = t.saveHead()
	}
	return errors.Join(err, t.file.Close(), t.spool.close(err == nil), t.lock.Close())
}
