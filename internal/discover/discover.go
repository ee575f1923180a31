package discover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/classify"
)

// From says which feeds a run may use.
type From string

// The values of --from.
const (
	FromAuto   From = "auto"   // catalog and statistics, then a sample of columns still undecided
	FromStats  From = "stats"  // no table is read
	FromSample From = "sample" // every column is sampled
)

// Options say what to look at and how.
type Options struct {
	Store      string // name of the store in the policy file; empty for a bare connection
	From       From   // empty: auto
	Include    []string
	Exclude    []string
	Jobs       int     // tables sampled at once; 0: 1
	Load       float64 // share of the time that each job keeps the server busy, 0 < Load <= 1; 0: 0.8
	Rows       int     // wanted rows of a table; 0: 2000
	Seed       int64   // 0: 1
	Views      bool    // read views, not only what they show of base tables
	Foreign    bool    // read foreign tables: the load falls on another server
	Readers    bool    // list who can read each classified column
	Countries  []string
	Customs    []classify.Custom
	Verdicts   []Verdict
	Last       *Report    // to say what is new
	Checkpoint Checkpoint // nil: a broken run starts anew
	Progress   func(Progress)
	Sleep      func(context.Context, time.Duration) // nil: a timer; tests replace it
	Now        func() time.Time                     // nil: time.Now
}

// Progress is told after every step.
type Progress struct {
	Stage       string // catalog, statistics, sample, judge
	Done, Total int    // tables
	Table       string // the last one
	Remaining   time.Duration
}

// What a run uses unless told otherwise.
const (
	DefaultRows = 2000 // of a table
	DefaultLoad = 0.8  // share of the time
)

// Limits of one sample (start values of classification.md §2.2).
const (
	valueBytes  = 4096
	totalBytes  = 24 << 20
	sparseShare = 0.9
	sparseRows  = 400
	statsBatch  = 40
)

func (o *Options) defaults() error {
	switch o.From {
	case "":
		o.From = FromAuto
	case FromAuto, FromStats, FromSample:
	default:
		return fmt.Errorf("from is auto, stats or sample, not %q", o.From)
	}
	o.Jobs = max(1, o.Jobs)
	if o.Load <= 0 || o.Load > 1 {
		o.Load = DefaultLoad
	}
	if o.Rows <= 0 {
		o.Rows = DefaultRows
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	for _, p := range slices.Concat(o.Include, o.Exclude) {
		if err := CheckPattern(p); err != nil {
			return err
		}
	}
	return nil
}

// run is one run on its way.
type run struct {
	opt   Options
	feed  Feed
	c     *classify.Classifier
	cat   *Catalog
	byOID map[uint32]*Table
	tabs  []*work
	gaps  []Gap
	idle  []string // patterns of include and exclude that match nothing
	pace  pace     // of what one goroutine asks: all but the samples
	mu    sync.Mutex
	start time.Time
	done  int
}

// work is one table with its profiles.
type work struct {
	t        *Table
	wanted   []bool // columns that include and exclude admit
	profiles []*classify.Profile
	why      map[int]Why // columns that were not examined
}

// Run looks at one database. When ctx ends early the report of what is done so far comes with the context's error.
func Run(ctx context.Context, feed Feed, opt Options) (*Report, error) {
	if err := opt.defaults(); err != nil {
		return nil, err
	}
	c, err := classify.New(opt.Customs...)
	if err != nil {
		return nil, err
	}
	r := &run{opt: opt, feed: feed, c: c, start: opt.Now()}
	r.pace.opt = &r.opt
	r.progress("catalog", 0, 0, "")
	if err := r.pace.ask(ctx, func() (err error) { r.cat, err = feed.Catalog(ctx); return err }); err != nil {
		return nil, err
	}
	r.choose()
	if opt.From != FromSample {
		if err := r.statistics(ctx); err != nil {
			return nil, err
		}
	}
	var interrupted error
	if opt.From != FromStats {
		interrupted = r.sample(ctx)
		if interrupted != nil && ctx.Err() == nil {
			return nil, interrupted
		}
	}
	r.progress("judge", len(r.tabs), len(r.tabs), "")
	rep := r.report(ctx)
	return rep, interrupted
}

// choose applies include and exclude, and notes the patterns that match no column at all: they may be misspelt.
func (r *run) choose() {
	for _, p := range slices.Concat(r.opt.Include, r.opt.Exclude) {
		if !slices.Contains(r.idle, p) && !slices.ContainsFunc(r.cat.Tables, func(t Table) bool {
			return slices.ContainsFunc(t.Columns, func(c Column) bool { return Matches(p, t.Schema, t.Name, c.Name) })
		}) {
			r.idle = append(r.idle, p)
		}
	}
	r.byOID = map[uint32]*Table{}
	for i := range r.cat.Tables {
		t := &r.cat.Tables[i]
		r.byOID[t.OID] = t
		w := &work{t: t, wanted: make([]bool, len(t.Columns)), profiles: make([]*classify.Profile, len(t.Columns)), why: map[int]Why{}}
		any := false
		for k := range t.Columns {
			w.wanted[k] = admitted(r.opt.Include, true, t, k) && !admitted(r.opt.Exclude, false, t, k)
			any = any || w.wanted[k]
		}
		if any {
			r.tabs = append(r.tabs, w)
		}
	}
}

func admitted(patterns []string, empty bool, t *Table, k int) bool {
	if len(patterns) == 0 {
		return empty
	}
	for _, p := range patterns {
		if Matches(p, t.Schema, t.Name, t.Columns[k].Name) {
			return true
		}
	}
	return false
}

// statistics measures what the planner knows.
func (r *run) statistics(ctx context.Context) error {
	for from := 0; from < len(r.tabs); from += statsBatch {
		batch := r.tabs[from:min(from+statsBatch, len(r.tabs))]
		byTable := map[*Table]*work{}
		var tables []*Table
		for _, w := range batch {
			byTable[w.t] = w
			tables = append(tables, w.t)
		}
		each := func(t *Table, k int, v classify.Values) {
			if w := byTable[t]; w != nil && w.wanted[k] {
				w.profiles[k] = r.c.Measure(&t.Columns[k].Column, v)
			}
		}
		err := r.stats(ctx, tables, each)
		var no *NotExamined
		if errors.As(err, &no) && ctx.Err() == nil { // one table of the batch is at fault, and the others are not
			err = r.oneByOne(ctx, batch, each)
		}
		if err != nil {
			return fmt.Errorf("read statistics: %w", err)
		}
		r.progress("statistics", from+len(batch), len(r.tabs), "")
	}
	return nil
}

func (r *run) stats(ctx context.Context, tables []*Table, each func(*Table, int, classify.Values)) error {
	return r.pace.ask(ctx, func() error { return r.feed.Stats(ctx, tables, each) })
}

// oneByOne asks for the statistics of each table alone. Where the server refuses, a run that may sample reads the table instead, and
// one that may not has a gap.
func (r *run) oneByOne(ctx context.Context, batch []*work, each func(*Table, int, classify.Values)) error {
	for _, w := range batch {
		err := r.stats(ctx, []*Table{w.t}, each)
		var no *NotExamined
		if err != nil && (ctx.Err() != nil || !errors.As(err, &no)) {
			return err
		}
		if err == nil {
			continue
		}
		var columns []int
		for k := range w.t.Columns {
			w.profiles[k] = nil
			if w.wanted[k] {
				columns = append(columns, k)
			}
		}
		if r.opt.From == FromStats {
			r.gap(w, columns, no)
		}
	}
	return nil
}

// sample reads what statistics left undecided, or everything.
func (r *run) sample(ctx context.Context) error {
	undecided := r.undecided()
	var todo []*work
	for _, w := range r.tabs {
		if len(undecided[w]) > 0 {
			todo = append(todo, w)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	jobs := make(chan *work)
	errs := make(chan error, r.opt.Jobs)
	var wg sync.WaitGroup
	for range r.opt.Jobs {
		wg.Go(func() {
			s := sampler{r, pace{opt: &r.opt}}
			for w := range jobs {
				if err := s.table(ctx, w, undecided[w], len(todo)); err != nil {
					select {
					case errs <- err:
					default:
					}
					cancel()
				}
			}
		})
	}
feed:
	for _, w := range todo {
		select {
		case jobs <- w:
		case <-ctx.Done():
			break feed
		}
	}
	close(jobs)
	wg.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return ctx.Err()
	}
}

// undecided lists the columns of each table that want a sample.
func (r *run) undecided() map[*work][]int {
	out := map[*work][]int{}
	var sure map[*work][]bool
	if r.opt.From == FromAuto {
		sure = r.sure()
	}
	for _, w := range r.tabs {
		if !r.readable(w) {
			continue
		}
		for k := range w.t.Columns {
			if !w.wanted[k] || !w.t.Columns[k].CanSelect || sure != nil && sure[w][k] {
				continue
			}
			out[w] = append(out[w], k)
		}
	}
	return out
}

// readable says whether a table is read at all: partitions are covered by their parent if that is read, views by their base tables.
func (r *run) readable(w *work) bool {
	t := w.t
	switch {
	case !t.Usage || t.RowSecurity:
		return false
	case t.Kind == 'v':
		return r.opt.Views && (!t.Away || r.opt.Foreign)
	case t.Kind == 'f':
		return r.opt.Foreign
	case t.Parent.Table != "":
		return !r.covered(t)
	}
	return !t.Mixed || r.opt.Foreign || len(t.Local) > 0
}

// covered says whether the columns of a partition are looked at as those of its parent: a parent that is left out, or that the
// login may not read, speaks for nobody.
func (r *run) covered(t *Table) bool {
	for _, w := range r.tabs {
		if w.t.Schema != t.Parent.Schema || w.t.Name != t.Parent.Table {
			continue
		}
		for k := range w.t.Columns {
			if !w.wanted[k] {
				return false
			}
		}
		return r.direct(w) || r.covered(w.t)
	}
	return false
}

// direct says whether the login may read what is wanted of a table by its own name.
func (r *run) direct(w *work) bool {
	for k := range w.t.Columns {
		if w.wanted[k] && !w.t.Columns[k].CanSelect {
			return false
		}
	}
	return w.t.Usage && !w.t.RowSecurity
}

// abroad says whether a relation's rows, or some of them, are on another server.
func (r *run) abroad(at classify.Target) bool {
	for i := range r.cat.Tables {
		if t := &r.cat.Tables[i]; t.Schema == at.Schema && t.Name == at.Table {
			return t.Kind == 'f' || t.Mixed || t.Away
		}
	}
	return false
}

// looked says whether a column is looked at in this run where it is.
func (r *run) looked(at classify.Target) bool {
	for _, w := range r.tabs {
		if w.t.Schema != at.Schema || w.t.Name != at.Table {
			continue
		}
		for k := range w.t.Columns {
			if w.t.Columns[k].Name == at.Column {
				return w.wanted[k]
			}
		}
	}
	return false
}

// sure judges the statistics alone and marks the columns that a sample would not change.
func (r *run) sure() map[*work][]bool {
	found := r.judge()
	out := map[*work][]bool{}
	for i, w := range r.tabs {
		marks := make([]bool, len(w.t.Columns))
		for k := range w.t.Columns {
			f := &found[i][k]
			p := w.profiles[k]
			switch {
			case w.t.Stale && !classify.Opaque(w.t.Columns[k].Type): // what was there once says nothing of what is there now
			case p == nil || p.Tested() == 0:
				marks[k] = classify.Opaque(w.t.Columns[k].Type) && w.t.Columns[k].Comment == ""
			case p.Wide():
			default:
				marks[k] = f.Class != "" && f.Confidence >= 0.9 || f.Class == "" && f.Doubt() < 0.1
			}
		}
		out[w] = marks
	}
	return out
}

// sampler is one of the jobs that sample at once.
type sampler struct {
	*run
	pace pace
}

// table reads one table and measures its columns; refusals become gaps.
func (s *sampler) table(ctx context.Context, w *work, columns []int, total int) error {
	if s.restore(w, columns) {
		s.finished(w, total)
		return nil
	}
	ask := Ask{Table: w.t, Columns: columns, Rows: s.opt.Rows, Bytes: valueBytes, Total: totalBytes, Seed: s.opt.Seed, Local: w.t.Mixed && !s.opt.Foreign}
	values, err := s.read(ctx, ask)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.refuse(w, columns, err, total)
	}
	for i, k := range columns {
		v := values[i]
		if v.Rows > 0 && v.NullShare > sparseShare && len(v.Texts) < 20 {
			second := ask
			second.Columns, second.Rows, second.Sparse = []int{k}, sparseRows, true
			more, err := s.read(ctx, second)
			if err != nil && ctx.Err() != nil {
				return ctx.Err() // half of a look is none: the run goes on with this table
			}
			if err == nil && len(more[0].Texts) >= len(v.Texts) {
				v.Texts, v.Distinct = more[0].Texts, more[0].Distinct
			}
		}
		s.measure(w, k, v)
	}
	s.save(w, columns)
	s.finished(w, total)
	return nil
}

func (s *sampler) read(ctx context.Context, ask Ask) (values []classify.Values, err error) {
	err = s.pace.ask(ctx, func() error { values, err = s.feed.Sample(ctx, ask); return err })
	return values, err
}

// measure keeps a sample's profile unless statistics saw more.
func (r *run) measure(w *work, k int, v classify.Values) {
	p := r.c.Measure(&w.t.Columns[k].Column, v)
	if old := w.profiles[k]; old != nil && p.Tested() == 0 && old.Tested() > 0 {
		return
	}
	w.profiles[k] = p
}

// refuse notes why a table could not be read. Only a server that is gone ends the run.
func (r *run) refuse(w *work, columns []int, err error, total int) error {
	var no *NotExamined
	if !errors.As(err, &no) {
		return fmt.Errorf("sample %s.%s: %w", w.t.Schema, w.t.Name, err)
	}
	r.gap(w, columns, no)
	r.finished(w, total)
	return nil
}

// gap notes a refusal of the server as one of a table's columns that nothing else has shown.
func (r *run) gap(w *work, columns []int, no *NotExamined) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gap := Gap{Schema: w.t.Schema, Table: w.t.Name, Why: no.Why, Code: no.Code}
	if w.t.Kind == 'm' && no.Code == "55000" { // it has not been populated
		gap.Grant = "REFRESH MATERIALIZED VIEW " + quote(w.t.Schema) + "." + quote(w.t.Name) + ";"
	}
	if no.Why == WhyPrivilege {
		gap.Grant = r.grantTable(w.t)
		if w.t.Mixed && !r.opt.Foreign { // its local tables were asked, where a right on the whole is none
			for _, l := range w.t.Local {
				gap.Grant += " " + r.grantTable(&Table{Schema: l.Schema, Name: l.Table})
			}
		}
	}
	r.gaps = append(r.gaps, gap)
	for _, k := range columns {
		if w.profiles[k] == nil || w.profiles[k].Tested() == 0 {
			w.why[k] = no.Why
		}
	}
}

func (r *run) finished(w *work, total int) {
	r.mu.Lock()
	r.done++
	done := r.done
	r.mu.Unlock()
	r.progress("sample", done, total, dotted(w.t.Schema, w.t.Name))
}

func (r *run) progress(stage string, done, total int, table string) {
	if r.opt.Progress == nil {
		return
	}
	p := Progress{Stage: stage, Done: done, Total: total, Table: table}
	if spent := r.opt.Now().Sub(r.start); done > 0 && total > done {
		p.Remaining = spent / time.Duration(done) * time.Duration(total-done)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opt.Progress(p)
}

// judge runs the classifier over everything measured so far.
func (r *run) judge() [][]classify.Finding {
	tables := make([]classify.Table, len(r.tabs))
	for i, w := range r.tabs {
		t := w.t
		tables[i] = classify.Table{Schema: t.Schema, Name: t.Name, Comment: t.Comment, Kind: t.Kind, Rows: t.Rows}
		for k := range t.Columns {
			col := t.Columns[k].Column
			col.Via = r.shows(t, &t.Columns[k])
			tables[i].Columns = append(tables[i].Columns, classify.MeasuredColumn{Column: col, Profile: w.profiles[k]})
		}
	}
	opt := classify.Options{Countries: r.opt.Countries, Confirmed: map[classify.NameType]classify.Class{}}
	for _, v := range r.opt.Verdicts {
		if _, _, inside := CutPath(v.Column); inside {
			continue
		}
		parts, err := SplitPlace(v.Column)
		if err == nil && v.Class != "" && v.Type != "" && !strings.ContainsAny(v.Column, "*?[") {
			opt.Confirmed[classify.NameType{Name: parts[len(parts)-1], Type: v.Type}] = v.Class
		}
	}
	return r.c.Judge(tables, opt)
}

// shows is the column whose data a column shows: that of its table for a partition, of the table below for a view.
func (r *run) shows(t *Table, c *Column) classify.Target {
	switch {
	case t.Parent.Table != "":
		return classify.Target{Schema: t.Parent.Schema, Table: t.Parent.Table, Column: c.Name}
	case t.Kind == 'v' || t.Kind == 'm':
		return r.base(t, c)
	}
	return classify.Target{}
}

// base finds the column that a view's column shows, through other views: the one that it stands for whatever it is called, else the one
// of the same name and type among those that the view reads.
func (r *run) base(t *Table, c *Column) classify.Target {
	if at, ok := t.Origins[c.Num]; ok {
		if b := r.byOID[at.OID]; b != nil {
			for k := range b.Columns {
				if b.Columns[k].Num != at.Num {
					continue
				}
				if b.Kind == 'v' || b.Kind == 'm' {
					if below := r.base(b, &b.Columns[k]); below.Table != "" {
						return below
					}
				}
				return classify.Target{Schema: b.Schema, Table: b.Name, Column: b.Columns[k].Name}
			}
		}
	}
	for _, at := range t.ViewColumns {
		if at.Column != c.Name {
			continue
		}
		for i := range r.cat.Tables {
			if b := &r.cat.Tables[i]; b.Schema == at.Schema && b.Name == at.Table {
				for k := range b.Columns {
					if b.Columns[k].Name == at.Column && b.Columns[k].Type == c.Type {
						return at
					}
				}
			}
		}
	}
	return classify.Target{}
}

// sortGaps puts gaps in the order of their tables.
func sortGaps(g []Gap) {
	sort.SliceStable(g, func(i, j int) bool {
		if g[i].Schema != g[j].Schema {
			return g[i].Schema < g[j].Schema
		}
		if g[i].Table != g[j].Table {
			return g[i].Table < g[j].Table
		}
		return g[i].Why < g[j].Why
	})
}
