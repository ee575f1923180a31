package discover

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-sec/postern/internal/classify"
)

// Watch classifies columns by values that pass by, such as results that people read. It keeps a bounded number of values of each
// column in memory until there are enough to count, then drops them; a column is counted once a day. It is safe for concurrent use.
type Watch struct {
	every int64 // one result in so many is looked at
	seen  atomic.Int64
	c     *classify.Classifier
	now   func() time.Time
	found func(Sighting)

	mu      sync.Mutex
	columns map[string]*passing
	bytes   int
	swept   time.Time // when room was last looked for
}

// Sighting is a column that holds sensitive data, as its values say.
type Sighting struct {
	Place      string // as given to See
	Class      classify.Class
	Confidence float64
	Tested     int
}

// passing is one column on its way.
type passing struct {
	texts map[string]struct{}
	since time.Time
	until time.Time // no more is wanted before
	seen  time.Time // when values came last
}

// Bounds of a Watch.
const (
	watchValues  = 100 // distinct ones are enough
	watchFew     = 20  // are enough after watchWait
	watchColumns = 5000
	watchMemory  = 16 << 20
	watchAgain   = 24 * time.Hour
	watchWait    = 10 * time.Minute
	watchIdle    = time.Hour   // a column with too few values is dropped when none came for so long
	watchSweep   = time.Minute // between looks for room, which cost a pass over all columns
)

// NewWatch looks at that share of the results. found is called from See, at most once a day for a column; it must not call back.
func NewWatch(share float64, customs []classify.Custom, now func() time.Time, found func(Sighting)) (*Watch, error) {
	c, err := classify.New(customs...)
	if err != nil {
		return nil, err
	}
	return &Watch{every: max(1, int64(1/share+0.5)), c: c, now: now, found: found, columns: map[string]*passing{}}, nil
}

// Take says whether the next result is looked at.
func (w *Watch) Take() bool { return w.seen.Add(1)%w.every == 0 }

// Wants says whether more values of a column are wanted.
func (w *Watch) Wants(place string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.columns[place]
	if p == nil {
		return len(w.columns) < watchColumns && w.bytes < watchMemory || w.room(w.now())
	}
	return !w.now().Before(p.until)
}

// See takes values of a column. When they are enough the column is judged here and now, which costs the caller a few milliseconds
// once a day.
func (w *Watch) See(place, name, typ string, texts []string) {
	enough := w.keep(place, texts)
	if enough == nil {
		return
	}
	f := w.c.One(&classify.Column{Name: name, Type: typ}, classify.Values{Texts: enough, Rows: len(enough), Distinct: float64(len(enough))})
	if f.Class != "" && f.Confidence >= 0.8 {
		w.found(Sighting{Place: place, Class: f.Class, Confidence: f.Confidence, Tested: f.Tested})
	}
}

// room drops the columns that are of no more use, and says whether there is room for another: those whose day is over, which would
// be counted anew anyway, and those that nobody has read for a while. A column that was counted today stays, so that it is not
// counted twice, and so does one that is being read.
func (w *Watch) room(now time.Time) bool {
	if now.Sub(w.swept) >= watchSweep {
		w.swept = now
		for place, p := range w.columns {
			counted := p.texts == nil && !p.until.IsZero()
			if counted && now.Before(p.until) || !counted && now.Sub(p.seen) < watchIdle {
				continue
			}
			for t := range p.texts {
				w.bytes -= len(t)
			}
			delete(w.columns, place)
		}
	}
	return len(w.columns) < watchColumns && w.bytes < watchMemory
}

// keep adds values and returns them all once they are enough; they are forgotten then.
func (w *Watch) keep(place string, texts []string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	p := w.columns[place]
	if p == nil {
		if (len(w.columns) >= watchColumns || w.bytes >= watchMemory) && !w.room(now) {
			return nil
		}
		p = &passing{since: now}
		w.columns[place] = p
	}
	p.seen = now
	if now.Before(p.until) {
		return nil
	}
	if p.texts == nil {
		p.texts, p.since = map[string]struct{}{}, now
	}
	for _, t := range texts {
		if _, have := p.texts[t]; !have && len(p.texts) < watchValues && w.bytes+len(t) <= watchMemory {
			p.texts[t] = struct{}{}
			w.bytes += len(t)
		}
	}
	if len(p.texts) < watchValues && (len(p.texts) < watchFew || now.Sub(p.since) < watchWait) {
		return nil
	}
	out := make([]string, 0, len(p.texts))
	for t := range p.texts {
		out = append(out, t)
		w.bytes -= len(t)
	}
	p.texts, p.until = nil, now.Add(watchAgain)
	return out
}
