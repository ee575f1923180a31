package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// memoryHeads is a HeadStore as state is one.
type memoryHeads struct {
	mu    sync.Mutex
	heads map[string]Head
	saves int
	err   error
	block chan struct{}
}

func (m *memoryHeads) SaveHead(ctx context.Context, h Head) error {
	if m.block != nil {
		select {
		case <-m.block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	if m.heads == nil {
		m.heads = map[string]Head{}
	}
	m.saves++
	if h.Seq > m.heads[h.Instance].Seq {
		m.heads[h.Instance] = h
	}
	return nil
}

func (m *memoryHeads) LoadHead(_ context.Context, instance string) (Head, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h, ok := m.heads[instance]
	return h, ok, m.err
}

// clock is a hand-set clock that moves a little at each look.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(time.Microsecond)
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func config(t testing.TB, folder string) Config {
	return Config{Folder: folder, Key: testKey(t), Instance: "gw1", Sync: 100 * time.Millisecond, State: &memoryHeads{}}
}

func open(t testing.TB, cfg Config) *Trail {
	t.Helper()
	trail, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = trail.Close() })
	return trail
}

func record(t testing.TB, trail *Trail, e Event) string {
	t.Helper()
	id, err := trail.Record(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func event(i int) Event {
	return Event{
		Kind: Decision, Session: "s1", Subject: "ana", Store: "shop", Verdict: "allow",
		Statement: fmt.Sprintf("SELECT %d", i),
		Touches:   []Touch{{Relation: "shop.public.customers", Action: "read", Labels: []string{"contact.email"}}},
	}
}

func closeTrail(t testing.TB, trail *Trail) {
	t.Helper()
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, cfg Config) *Report {
	t.Helper()
	r, err := Verify(context.Background(), cfg.Folder, VerifyOptions{
		PublicKey: cfg.Key.Public(), State: cfg.State, Instance: cfg.Instance,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantIntact(t testing.TB, r *Report) {
	t.Helper()
	if r.Status != Intact {
		t.Fatalf("%s\nproblems: %v\nunproven: %v\nnotes: %v", r.Status, r.Problems, r.Unproven, r.Notes)
	}
}

// eventually waits for a condition with a deadline.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("not within 20 s: %s", what)
}

func TestTrailGoesOnAcrossFilesAndStarts(t *testing.T) {
	t.Parallel()
	cfg := config(t, filepath.Join(t.TempDir(), "audit"))
	cfg.RotateSize, cfg.CheckpointEvery = 4000, 5
	seen := map[string]bool{}
	for range 3 {
		trail := open(t, cfg)
		for i := range 20 {
			id := record(t, trail, event(i))
			if len(id) != idLength || seen[id] {
				t.Fatalf("id %q", id)
			}
			seen[id] = true
			if err := trail.RecordSoon(Event{Kind: Completion, Ref: id}); err != nil {
				t.Fatal(err)
			}
		}
		closeTrail(t, trail)
		if _, err := trail.Record(t.Context(), event(0)); !errors.Is(err, ErrClosed) {
			t.Fatalf("after Close: %v", err)
		}
		if err := trail.RecordSoon(event(0)); !errors.Is(err, ErrClosed) {
			t.Fatalf("after Close: %v", err)
		}
	}
	r := verify(t, cfg)
	wantIntact(t, r)
	if r.Files < 4 || r.Signed != r.Head.Seq || r.Records != r.Head.Seq || len(r.Notes) > 0 {
		t.Errorf("%+v", r)
	}
	events := 0
	for f, err := range Search(t.Context(), cfg.Folder, Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		events++
		if f.Record.Kind == Completion && !seen[f.Record.Ref] {
			t.Errorf("a completion without its decision: %+v", f.Record)
		}
	}
	if events != 120 {
		t.Errorf("%d events", events)
	}
	info, err := os.Stat(cfg.Folder)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v %v", info.Mode(), err)
	}
	names, err := listFiles(cfg.Folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(cfg.Folder, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

func TestRotationByAge(t *testing.T) {
	t.Parallel()
	clk := newClock()
	cfg := config(t, t.TempDir())
	cfg.Now, cfg.RotateAge = clk.now, time.Hour
	trail := open(t, cfg)
	for range 3 {
		record(t, trail, event(1))
		clk.move(61 * time.Minute)
	}
	closeTrail(t, trail)
	if r := verify(t, cfg); r.Status != Intact || r.Files != 3 {
		t.Fatalf("%+v", r)
	}
}

func TestRecordSoonIsWrittenWithoutAnotherRecord(t *testing.T) {
	t.Parallel()
	for _, sync := range []time.Duration{0, 20 * time.Millisecond} {
		cfg := config(t, t.TempDir())
		cfg.Sync = sync
		trail := open(t, cfg)
		if err := trail.RecordSoon(event(77)); err != nil {
			t.Fatal(err)
		}
		before := time.Now()
		eventually(t, "the queued event in the file", func() bool { return strings.Contains(readAll(t, cfg.Folder), "SELECT 77") })
		if took := time.Since(before); took > 2*time.Second { // 50 ms, but the machine may be busy
			t.Errorf("took %s", took)
		}
		eventually(t, "the head in state", func() bool {
			h, _, _ := cfg.State.LoadHead(t.Context(), "gw1")
			return h.Seq >= trail.Head().Seq
		})
		closeTrail(t, trail)
	}
}

func TestQueuedEventsStayInOrder(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	trail := open(t, cfg)
	big := strings.Repeat("x", 50<<10)
	for i := range 20 { // past maxPending
		if err := trail.RecordSoon(Event{Kind: Completion, Message: big, Detail: map[string]string{"n": fmt.Sprint(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	record(t, trail, Event{Kind: Decision, Detail: map[string]string{"n": "20"}})
	closeTrail(t, trail)
	n := 0
	for f, err := range Search(t.Context(), cfg.Folder, Query{}) {
		if err != nil || f.Record.Detail["n"] != fmt.Sprint(n) {
			t.Fatalf("at %d: %v, %v", n, f.Record.Detail, err)
		}
		n++
	}
	wantIntact(t, verify(t, cfg))
}

// busyHeads is a state that a trail goes on under while it is asked.
type busyHeads struct {
	HeadStore
	meanwhile func()
}

func (b busyHeads) LoadHead(ctx context.Context, instance string) (Head, bool, error) {
	b.meanwhile()
	return b.HeadStore.LoadHead(ctx, instance)
}

// A file that is begun while a verification looks, and of which state knows, is not missing.
func TestVerifyWhileAFileIsBegun(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	cfg.RotateSize = 20_000
	trail := open(t, cfg)
	record(t, trail, event(0))
	files := func() int {
		names, err := listFiles(cfg.Folder)
		if err != nil {
			t.Error(err)
		}
		return len(names)
	}
	before := files()
	state := busyHeads{cfg.State, func() {
		for i := 1; files() == before; i++ {
			record(t, trail, event(i))
		}
		if err := trail.Sync(); err != nil {
			t.Error(err)
		}
		eventually(t, "the head in state", func() bool {
			h, _, _ := cfg.State.LoadHead(t.Context(), "gw1")
			return h.Seq >= trail.Head().Seq
		})
	}}
	for _, instance := range []string{"", "gw1"} {
		before = files()
		r, err := Verify(t.Context(), cfg.Folder, VerifyOptions{PublicKey: cfg.Key.Public(), State: state, Instance: instance})
		if err != nil {
			t.Fatal(err)
		}
		wantIntact(t, r)
	}
	// The same file missing at the end is one that was cut off.
	closeTrail(t, trail)
	names, err := listFiles(cfg.Folder)
	if err == nil {
		err = os.Remove(filepath.Join(cfg.Folder, names[len(names)-1]))
	}
	if err != nil {
		t.Fatal(err)
	}
	if r := verify(t, cfg); r.Status != Tampered || len(r.Problems) != 1 || r.Problems[0].Kind != CutOff {
		t.Fatalf("%s: %v", r.Status, r.Problems)
	}
}

func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	for _, sync := range []time.Duration{0, 10 * time.Millisecond} {
		cfg := config(t, t.TempDir())
		cfg.Sync, cfg.RotateSize, cfg.CheckpointEvery = sync, 20_000, 17
		trail := open(t, cfg)
		var mu syncMap
		var wg waitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 40 {
					id, err := trail.Record(context.Background(), event(w*100+i))
					if err != nil {
						t.Error(err)
						return
					}
					if sync == 0 && trail.durable.Load() == 0 {
						t.Error("acknowledged before it was durable")
					}
					mu.add(id)
					if err := trail.RecordSoon(Event{Kind: Completion, Ref: id}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Go(func() {
			for range 5 {
				// A verifier beside the writers sees a sound trail at any moment.
				r, err := Verify(context.Background(), cfg.Folder, VerifyOptions{PublicKey: cfg.Key.Public(), State: cfg.State})
				if err != nil || r.Status != Intact {
					t.Errorf("while writing: %v, %+v", err, r)
				}
			}
		})
		wg.Wait()
		closeTrail(t, trail)
		r := verify(t, cfg)
		wantIntact(t, r)
		got := map[string]bool{}
		for f, err := range Search(t.Context(), cfg.Folder, Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			got[f.Record.ID] = true
		}
		if len(mu.ids) != 320 || len(got) != 640 {
			t.Fatalf("%d acknowledged, %d on file", len(mu.ids), len(got))
		}
		for _, id := range mu.ids {
			if !got[id] {
				t.Errorf("event %s was acknowledged and is not there", id)
			}
		}
	}
}

type (
	waitGroup = sync.WaitGroup
	syncMap   struct {
		mu  sync.Mutex
		ids []string
	}
)

func (m *syncMap) add(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids = append(m.ids, id)
}

func TestOneWriterPerFolder(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	trail := open(t, cfg)
	if second, err := Open(cfg); !errors.Is(err, ErrLocked) {
		if err == nil {
			_ = second.Close()
		}
		t.Fatalf("a second writer: %v", err)
	}
	if !hasWriter(cfg.Folder) {
		t.Error("the writer is not seen")
	}
	closeTrail(t, trail)
	if hasWriter(cfg.Folder) {
		t.Error("a writer is seen after Close")
	}
	closeTrail(t, open(t, cfg))
}

func TestOpenRefusesAnothersFolder(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	closeTrail(t, open(t, cfg))
	for name, change := range map[string]func(*Config){
		"instance": func(c *Config) { c.Instance = "gw2" },
		"key":      func(c *Config) { c.Key = otherKey(t) },
		"no key":   func(c *Config) { c.Key = nil },
		"name":     func(c *Config) { c.Instance = `a"b` },
		"folder":   func(c *Config) { c.Folder = "" },
		"a file":   func(c *Config) { c.Folder = filepath.Join(c.Folder, fileName(1)) },
		"state":    func(c *Config) { c.State = &memoryHeads{err: errors.New("no state")} },
	} {
		bad := cfg
		change(&bad)
		if trail, err := Open(bad); err == nil {
			_ = trail.Close()
			t.Errorf("%s: opened", name)
		}
	}
	closeTrail(t, open(t, cfg)) // none of them left it locked
}

func TestClock(t *testing.T) {
	t.Parallel()
	clk := newClock()
	cfg := config(t, t.TempDir())
	cfg.Now = clk.now
	trail := open(t, cfg)
	record(t, trail, event(1))
	clk.move(-5 * time.Second)
	record(t, trail, event(2)) // the time repeats
	clk.move(-5 * time.Hour)
	record(t, trail, event(3)) // the clock was set: the time is told as it is
	closeTrail(t, trail)
	var times []time.Time
	for f, err := range Search(t.Context(), cfg.Folder, Query{Kind: Decision}) {
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, f.Record.Time)
	}
	if !times[0].Equal(times[1]) || times[1].Sub(times[2]) < 4*time.Hour {
		t.Errorf("%v", times)
	}
	r := verify(t, cfg)
	wantIntact(t, r)
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "clock went back") {
		t.Errorf("notes %v", r.Notes)
	}
}

func TestSlowOrFailingStateNeverBlocksRecord(t *testing.T) {
	t.Parallel()
	heads := &memoryHeads{}
	cfg := config(t, t.TempDir())
	cfg.State = heads
	told := make(chan error, 10)
	cfg.Notify = func(err error) { told <- err }
	trail := open(t, cfg)
	heads.mu.Lock() // state hangs
	for i := range 100 {
		record(t, trail, event(i))
	}
	heads.err = errors.New("state is gone")
	heads.mu.Unlock()
	select {
	case err := <-told:
		if !strings.Contains(err.Error(), "state is gone") {
			t.Errorf("told %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("nobody was told")
	}
	record(t, trail, event(1))
	if err := trail.Close(); err == nil || !strings.Contains(err.Error(), "state is gone") {
		t.Errorf("Close: %v", err)
	}
}

func TestCheckpointByTime(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	cfg.CheckpointAfter = 30 * time.Millisecond
	trail := open(t, cfg)
	record(t, trail, event(1))
	eventually(t, "a checkpoint", func() bool { h := trail.Head(); return h.Checkpoint == h.Seq && h.Seq >= 3 })
	seq := trail.Head().Seq
	eventually(t, "the keeper asleep", func() bool { return !trail.active.Load() })
	if trail.Head().Seq != seq {
		t.Error("checkpoints without events")
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	trail := open(t, cfg)
	if _, err := trail.Record(t.Context(), Event{Kind: Decision, Statement: strings.Repeat("x", MaxRecord)}); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("%v", err)
	}
	record(t, trail, Event{Kind: Decision, Statement: strings.Repeat("y", MaxRecord-2000)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := trail.Record(ctx, event(1)); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	closeTrail(t, trail)
	wantIntact(t, verify(t, cfg))
}

// brokenRandom fails after a while.
type brokenRandom struct{ left int }

func (r *brokenRandom) Read(p []byte) (int, error) {
	if r.left--; r.left < 0 {
		return 0, errors.New("no randomness")
	}
	return len(p), nil
}

func TestNoRandomnessNoEvent(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	cfg.Random = &brokenRandom{left: 1}
	trail := open(t, cfg)
	var err error
	for i := 0; i < 200 && err == nil; i++ {
		_, err = trail.Record(t.Context(), event(i))
	}
	if !errors.Is(err, ErrBroken) {
		t.Fatalf("%v", err)
	}
	closeTrail(t, trail)
	wantIntact(t, verify(t, cfg))
}

func readAll(t testing.TB, folder string) string {
	t.Helper()
	names, err := listFiles(folder)
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

func TestParseSync(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"always": 0, "100ms": 100 * time.Millisecond, "1s": time.Second} {
		if d, err := ParseSync(text); err != nil || d != want {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	for _, bad := range []string{"", "never", "0", "-1s", "1us", "2h", "100"} {
		if d, err := ParseSync(bad); err == nil {
			t.Errorf("%q gave %v", bad, d)
		}
	}
}

func TestHeadFile(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	trail := open(t, cfg)
	record(t, trail, event(1))
	closeTrail(t, trail)
	h := verify(t, cfg).Head
	var file bytes.Buffer
	if err := WriteHead(&file, h); err != nil {
		t.Fatal(err)
	}
	got, err := ReadHead(&file)
	if err != nil || got != h {
		t.Errorf("%+v, %v", got, err)
	}
	// A copy of the trail itself is a head too: its last line counts.
	got, err = ReadHead(strings.NewReader(readAll(t, cfg.Folder)))
	if err != nil || got.Seq != h.Seq || got.Hash != h.Hash || got.Instance != h.Instance {
		t.Errorf("%+v, %v", got, err)
	}
	last := strings.TrimSpace(readAll(t, cfg.Folder))
	last = last[strings.LastIndexByte(last, '\n')+1:]
	for _, bad := range []string{
		"", "{}", "null", "[]", strings.Replace(last, `"seq":`, `"seq":1`, 1),
		`{"instance":"gw1","seq":0,"hash":"` + h.Hash + `","time":"2026-01-01T00:00:00Z"}`,
		`{"instance":"gw1","seq":4,"hash":"` + strings.ToUpper(h.Hash) + `","time":"2026-01-01T00:00:00Z"}`,
		`{"instance":"gw1","sequence":4,"hash":"` + h.Hash + `","time":"2026-01-01T00:00:00Z"}`,
	} {
		if h, err := ReadHead(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was read as %+v", bad, h)
		}
	}
}
