package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-sec/postern/internal/policy"
)

// Codes of the limits that a statement can meet, as the trail and an engine spell them.
const (
	CodeRowsPerQuery     policy.Code = "rows_per_query"
	CodeRowsPerHour      policy.Code = "rows_per_hour"
	CodeQueriesPerMinute policy.Code = "queries_per_minute"
)

// rowBatch is how many rows of an hour's allowance a statement takes at a time. What it does not use it gives back.
const rowBatch = 64

// window is one allowance of one subject: how much of it is used since it began. Windows follow each other without overlap,
// each beginning with the first use after the one before.
type window struct {
	key   string // as other gateways know it
	began time.Time
	used  int64
	told  int64 // of used, what the other gateways have been told
}

// windowKey is whose allowance of what: rule is "" for the store's own.
type windowKey struct {
	code                 policy.Code
	subject, store, rule string
}

// digest is the key for other gateways: it tells nobody who it is about.
func (k windowKey) digest() string {
	sum := sha256.Sum256([]byte(string(k.code) + "\x00" + k.subject + "\x00" + k.store + "\x00" + k.rule))
	return hex.EncodeToString(sum[:])
}

func (k windowKey) length() time.Duration {
	if k.code == CodeRowsPerHour {
		return time.Hour
	}
	return time.Minute
}

// maxWindows bounds the memory; windows that have ended are dropped when it is reached.
const maxWindows = 100_000

// Use is how much of an allowance is used up, and until when that counts.
type Use struct {
	Key   string // of the allowance, a digest
	Used  int64
	Until time.Time
}

// meters count what every subject has used, over all sessions, and know what was used elsewhere.
type meters struct {
	mu        sync.Mutex
	m         map[windowKey]*window
	elsewhere map[string]Use // at other gateways, and here before the last start
}

// take uses up to want of an allowance of limit. It returns how much it got, when the window that it came from ends, and when all
// of the allowance is there again.
func (c *meters) take(key windowKey, want, limit int64, now time.Time) (got int64, end, reset time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.m[key]
	if w == nil {
		if c.m == nil {
			c.m = map[windowKey]*window{}
		}
		if len(c.m) >= maxWindows {
			c.sweep(now)
		}
		w = &window{key: key.digest(), began: now}
		c.m[key] = w
	}
	if !now.Before(w.began.Add(key.length())) {
		*w = window{key: w.key, began: now}
	}
	end = w.began.Add(key.length())
	reset = end
	free := limit - w.used
	if other := c.elsewhere[w.key]; now.Before(other.Until) {
		free -= other.Used
		if other.Until.After(reset) {
			reset = other.Until
		}
	}
	got = min(want, max(free, 0))
	w.used += got
	return got, end, reset
}

// share tells what is used here, as far as it was not told before, and takes up what is used elsewhere. Nothing waits for it: what
// several gateways give away between two exchanges they do not know of each other.
func (c *meters) share(now time.Time, exchange func(mine []Use) (elsewhere map[string]Use, err error)) error {
	c.mu.Lock()
	var mine []Use
	var told []*window
	for k, w := range c.m {
		if end := w.began.Add(k.length()); w.used != w.told && now.Before(end) {
			mine, told = append(mine, Use{w.key, w.used, end}), append(told, w)
		}
	}
	c.mu.Unlock()
	elsewhere, err := exchange(mine)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, w := range told {
		w.told = mine[i].Used
	}
	c.elsewhere = elsewhere
	return nil
}

// giveBack returns what was taken and not used, if the window that it came from still runs.
func (c *meters) giveBack(key windowKey, n int64, end time.Time) {
	if n <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.m[key]; w != nil && w.began.Add(key.length()).Equal(end) {
		w.used = max(w.used-n, 0)
	}
}

func (c *meters) sweep(now time.Time) {
	for k, w := range c.m {
		if !now.Before(w.began.Add(k.length())) {
			delete(c.m, k)
		}
	}
}

// Exceeded is a limit that somebody has met.
type Exceeded struct {
	Code  policy.Code
	Max   int64
	Rule  string    // "": the store's own limit
	Reset time.Time // when the allowance begins anew; zero: with the next query
}

// Message says what was met, for the client.
func (e *Exceeded) Message() string {
	what := map[policy.Code]string{
		CodeRowsPerQuery: "rows per query", CodeRowsPerHour: "rows per hour", CodeQueriesPerMinute: "queries per minute",
	}[e.Code]
	return fmt.Sprintf("the limit of %d %s is reached", e.Max, what)
}

// Detail says whose limit it is.
func (e *Exceeded) Detail() string {
	if e.Rule == "" {
		return fmt.Sprintf("It is the store's limit (%s).", e.Code)
	}
	return fmt.Sprintf("It is a limit of rule %s (%s).", e.Rule, e.Code)
}

// Hint says what to do, and when.
func (e *Exceeded) Hint() string {
	if e.Reset.IsZero() {
		return "Ask for fewer rows, or for an aggregate."
	}
	return "Try again after " + e.Reset.UTC().Format("2006-01-02 15:04:05") + " UTC."
}

// ShareUse exchanges with other gateways how much is used of the allowances by the hour and the minute. The exchange is given what has
// changed here, and answers with what is used elsewhere, by key.
func (g *Gateway) ShareUse(exchange func(mine []Use) (elsewhere map[string]Use, err error)) error {
	return g.meters.share(g.config.Clock.Now(), exchange)
}

// Metering says whether an allowance by the hour or the minute is in use.
func (g *Gateway) Metering() bool {
	g.meters.mu.Lock()
	defer g.meters.mu.Unlock()
	return len(g.meters.m) > 0
}

// Query counts the rows that one query has returned, however many messages it takes. Its zero value is ready, and it is safe
// for concurrent use.
type Query struct{ rows atomic.Int64 }

// Meter counts the rows of a statement. Row and Close are for one goroutine.
type Meter struct {
	s       *Session
	query   *Query
	perRow  int64 // most rows of the query; 0: no limit
	rowRule string
	hours   []allowance
	left    int64 // rows that may pass without asking again; they are taken from every hour's allowance
}

// allowance is one limit by the hour.
type allowance struct {
	key   windowKey
	limit int64
	end   time.Time // of the window that was taken from last
}

// Limited says whether anything limits what the session may read.
func (s *Session) Limited() bool { return len(s.state.Load().profile.Limits) > 0 }

// LimitedBy names the rules that limit what the session may read.
func (s *Session) LimitedBy() []string {
	var out []string
	for rule := range s.state.Load().profile.Limits {
		if rule != "" {
			out = append(out, rule)
		}
	}
	return out
}

// Start asks whether statements that touch what some rules admit may run now, counts them, and returns what counts their
// rows: nil when nothing limits them. Rules that touch nothing are not asked about: pass every rule that admits a relation of the
// statements. The query is what the rows belong to; it may have been started before.
func (s *Session) Start(rules []string, statements int64, query *Query) (*Meter, *Exceeded) {
	st := s.state.Load()
	limits := st.profile.Limits
	if len(limits) == 0 || len(rules) == 0 {
		return nil, nil
	}
	m := &Meter{s: s, query: query}
	now := s.g.config.Clock.Now()
	for _, rule := range append([]string{""}, slices.Compact(slices.Sorted(slices.Values(rules)))...) {
		l := limits[rule]
		key := windowKey{subject: st.subject.Name, store: s.claim.Store, rule: rule}
		if l.QueriesPerMinute > 0 {
			key.code = CodeQueriesPerMinute
			if got, end, reset := s.g.meters.take(key, statements, l.QueriesPerMinute, now); got < statements {
				s.g.meters.giveBack(key, got, end)
				return nil, &Exceeded{Code: key.code, Max: l.QueriesPerMinute, Rule: rule, Reset: reset}
			}
		}
		if l.RowsPerQuery > 0 && (m.perRow == 0 || l.RowsPerQuery < m.perRow) {
			m.perRow, m.rowRule = l.RowsPerQuery, rule
		}
		if l.RowsPerHour > 0 {
			key.code = CodeRowsPerHour
			m.hours = append(m.hours, allowance{key: key, limit: l.RowsPerHour})
		}
	}
	if m.perRow == 0 && len(m.hours) == 0 {
		return nil, nil
	}
	// Nothing is left of the hour: say so before the server works.
	if e := m.more(); e != nil && e.Code == CodeRowsPerHour {
		return nil, e
	}
	return m, nil
}

// Row counts a row that is about to be passed on. It must not be when the result is not nil.
func (m *Meter) Row() *Exceeded {
	if m.left == 0 {
		if e := m.more(); e != nil {
			return e
		}
	}
	m.left--
	m.query.rows.Add(1)
	return nil
}

// CountFor makes the rows that follow count for another query: a statement of the same message has ended. What was taken ahead for the
// rows of the one before is given back first.
func (m *Meter) CountFor(query *Query) {
	if m == nil || m.query == query {
		return
	}
	m.Close()
	m.query = query
}

// more takes the next rows of every allowance, or says which has none.
func (m *Meter) more() *Exceeded {
	n := int64(rowBatch)
	if m.perRow > 0 {
		if n = min(n, m.perRow-m.query.rows.Load()); n <= 0 {
			return &Exceeded{Code: CodeRowsPerQuery, Max: m.perRow, Rule: m.rowRule}
		}
	}
	now := m.s.g.config.Clock.Now()
	for i := range m.hours {
		a := &m.hours[i]
		got, end, reset := m.s.g.meters.take(a.key, n, a.limit, now)
		a.end = end
		if got < n {
			// The allowances before this one gave more than can be used.
			for j := range i {
				m.s.g.meters.giveBack(m.hours[j].key, n-got, m.hours[j].end)
			}
			n = got
		}
		if n == 0 {
			return &Exceeded{Code: CodeRowsPerHour, Max: a.limit, Rule: a.key.rule, Reset: reset}
		}
	}
	m.left = n
	return nil
}

// Close gives back what was not used.
func (m *Meter) Close() {
	if m == nil {
		return
	}
	for _, a := range m.hours {
		m.s.g.meters.giveBack(a.key, m.left, a.end)
	}
	m.left = 0
}
