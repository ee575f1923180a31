package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
)

// Finder looks for sensitive data in one store. Its methods may be called by one goroutine at a time.
type Finder interface {
	// Tables changes whenever a table appears or goes. It is cheap.
	Tables(ctx context.Context) (string, error)
	// Find looks at the store: anew at everything, or only at what the last call did not see. last is the report of the run
	// before, nil for none.
	Find(ctx context.Context, c *config.Config, last []byte, anew bool) (Found, error)
	// Close ends its connections.
	Close()
}

// Found is what a run says. It holds names and counts, and no value.
type Found struct {
	Report      []byte // for the next run to compare with
	New         []FoundColumn
	Columns     int
	Classified  int
	NotExamined int
	Notes       []string // for whoever runs serve
}

// FoundColumn is a column with sensitive data that the policy has no label for and the run before did not report.
type FoundColumn struct{ Column, Class, Was string }

// How finding is paced.
const (
	tablesEvery = 10 * time.Second // whether a table appeared
	findRetry   = 10 * time.Minute
	mostNew     = 1000 // events of one run; the rest is counted
)

// finding runs the schedule of discover. It belongs to the goroutine that follows; one look at a time runs beside it.
type finding struct {
	d      *daemon
	stores []*findStore
	busy   bool
	done   chan findDone
	work   sync.WaitGroup
}

type findStore struct {
	name   string
	finder Finder
	next   time.Time // of the whole look
	tables time.Time // of the next question for new tables
	seen   string
	known  bool // what stands in seen
}

type findDone struct {
	store  *findStore
	found  *Found // nil: nothing had to be looked at
	tables string
	anew   bool
	err    error
}

// newFinding makes a finder for each store that has a login for it.
func newFinding(ctx context.Context, d *daemon) (*finding, error) {
	f := &finding{d: d, done: make(chan findDone, 1)}
	for _, name := range sortedKeys(d.config.Stores) {
		store := d.config.Stores[name]
		finder, err := d.opts.Engines[store.Engine].Finder(ctx, store)
		if err != nil {
			f.close()
			return nil, fmt.Errorf("store %s: %w", name, err)
		}
		if finder != nil {
			f.stores = append(f.stores, &findStore{name: name, finder: finder})
		}
	}
	return f, nil
}

// close waits for the look under way, whose context has ended.
func (f *finding) close() {
	f.work.Wait()
	for _, s := range f.stores {
		s.finder.Close()
	}
}

// poll starts the next look that is due.
func (f *finding) poll(ctx context.Context) {
	c := f.d.config
	if f.busy || c.Discover.Every == 0 {
		return
	}
	now := f.d.opts.Clock.Now()
	for _, s := range f.stores {
		whole := !now.Before(s.next)
		if !whole && (!c.Discover.NewTables || now.Before(s.tables)) {
			continue
		}
		f.busy = true
		f.work.Go(func() {
			r := f.look(ctx, c, s, whole)
			select {
			case f.done <- r:
			case <-ctx.Done():
			}
		})
		return
	}
}

func (f *finding) look(ctx context.Context, c *config.Config, s *findStore, whole bool) findDone {
	r := findDone{store: s, anew: whole}
	if r.tables, r.err = s.finder.Tables(ctx); r.err != nil {
		return r
	}
	if !whole && s.known && r.tables == s.seen {
		return r
	}
	path := ReportFile(c, s.name)
	last, err := os.ReadFile(path) //nolint:gosec // below the folder of the state
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.err = fmt.Errorf("read the last report: %w", err)
		return r
	}
	found, err := s.finder.Find(ctx, c, last, whole)
	if err != nil {
		r.err = err
		return r
	}
	r.found, r.err = &found, keepReport(path, found.Report)
	return r
}

// ReportFile is where serve keeps what it found last: beside the state, where it may write.
func ReportFile(c *config.Config, store string) string {
	return filepath.Join(c.State.Folder, "discovered", store+".serve.json")
}

func keepReport(path string, report []byte) error {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = os.WriteFile(path+".new", report, 0o600)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	return nil
}

// tell takes up what a look found: the log, the trail, and when to look again.
func (f *finding) tell(ctx context.Context, r findDone) {
	f.busy = false
	now := f.d.opts.Clock.Now()
	every := f.d.config.Discover.Every
	if r.err != nil {
		if ctx.Err() == nil {
			f.d.log.Error("looking for sensitive data failed", "store", r.store.name, "error", r.err)
		}
		r.store.tables = now.Add(findRetry)
		if r.anew {
			r.store.next = now.Add(min(findRetry, max(every, time.Second)))
		}
		if r.found == nil {
			return
		}
	}
	r.store.seen, r.store.known = r.tables, true
	r.store.tables = now.Add(tablesEvery)
	if r.anew {
		r.store.next = now.Add(every)
	}
	if r.found != nil {
		f.record(ctx, r.store.name, r.found)
	}
}

func (f *finding) record(ctx context.Context, store string, found *Found) {
	put := func(e audit.Event) {
		if _, err := f.d.trail.Record(context.WithoutCancel(ctx), e); err != nil {
			f.d.log.Error("an event could not be recorded", "kind", string(e.Kind), "error", err)
		}
	}
	for _, n := range found.New[:min(mostNew, len(found.New))] {
		detail := map[string]string{"column": n.Column, "class": n.Class}
		if n.Was != "" {
			detail["was"] = n.Was
		}
		put(audit.Event{Kind: audit.DiscoverNew, Store: store, Message: n.Column + " holds " + n.Class + " and has no label", Detail: detail})
	}
	put(audit.Event{Kind: audit.DiscoverRun, Store: store, Detail: map[string]string{
		"columns": strconv.Itoa(found.Columns), "classified": strconv.Itoa(found.Classified), "new": strconv.Itoa(len(found.New)), "not_examined": strconv.Itoa(found.NotExamined),
	}})
	for _, n := range found.Notes {
		f.d.log.Warn("looking for sensitive data", "store", store, "note", n)
	}
	level := f.d.log.Info
	if len(found.New) > 0 {
		level = f.d.log.Warn
	}
	level("looked for sensitive data", "store", store, "columns", found.Columns, "classified", found.Classified, "new", len(found.New), "not_examined", found.NotExamined)
}

// sighted records what results showed.
func (d *daemon) sighted(s Sighting) {
	e := audit.Event{
		Kind: audit.ResultFound, Store: s.Store, Message: s.Column + " holds " + s.Class + " and has no label",
		Detail: map[string]string{"column": s.Column, "class": s.Class, "values_tested": strconv.Itoa(s.Tested)},
	}
	if _, err := d.trail.Record(context.Background(), e); err != nil {
		d.log.Error("an event could not be recorded", "kind", string(e.Kind), "error", err)
	}
	d.log.Warn("results hold sensitive data without a label", "store", s.Store, "column", s.Column, "class", s.Class)
}
