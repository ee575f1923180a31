package portal

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/policy"
)

// usedDays is over how many days it is counted how datasets are used, today among them.
const usedDays = 14

// mostUsers is how many of those who used a dataset are named, the busiest first.
const mostUsers = 8

// Usage is how a dataset was used of late, by what was decided at the gateway, as the trail here has it.
type Usage struct {
	Days       []UsedDay `json:"days"` // the earliest first, each of them, used or not
	People     int       `json:"people"`
	Busiest    []User    `json:"busiest,omitempty"` // some of them, whoever had most statements first
	Statements int       `json:"statements"`        // that were let through
	Refused    int       `json:"refused"`           // that were about it and were not
	LastUse    time.Time `json:"last_use,omitzero"` // the last statement that was let through; none: not in that time
	// From is where counting begins as far as the trail was looked through yet: what is earlier is still to be counted. Not set: all of
	// these days are.
	From time.Time `json:"counted_from,omitzero"`
}

// UsedDay is one day of it, in UTC.
type UsedDay struct {
	Day        string `json:"day"` // YYYY-MM-DD
	Statements int    `json:"statements"`
	Refused    int    `json:"refused"`
}

// User is somebody who used it.
type User struct {
	Name       string `json:"name"`
	Statements int    `json:"statements"`
}

// usages counts the use of all datasets, a stretch of the trail at a time: whoever asks adds what was written since the last look and what
// lies before the earliest, for as long as a look may take. Between first and last nothing is left out. One looks at a time, and only for
// a share of the time; whoever comes meanwhile is told what was counted so far.
type usages struct {
	looking     sync.Mutex
	next        time.Time // not before then; looking guards it
	mu          sync.Mutex
	first, last uint64    // records between which everything was counted; 0: nothing was
	from        time.Time // of the first
	whole       bool      // there is nothing to count before it
	on          map[string]map[string]*usedDay

	policy *policy.Policy    // that held is of
	held   map[string]string // relations -> the datasets that hold them
}

// usedShare is how much longer than a look nobody looks again.
const usedShare = 9

// usedDay is the use of one dataset on one day.
type usedDay struct {
	refused int
	last    time.Time
	by      map[string]int // statements that were let through
}

// of is how a dataset was used, after another look.
func (u *usages) of(ctx context.Context, folder string, look time.Duration, pol *policy.Policy, dataset string, now time.Time) (Usage, error) {
	now = now.UTC()
	since := now.Truncate(24*time.Hour).AddDate(0, 0, 1-usedDays)
	if err := u.lookOn(ctx, folder, look, pol, since); err != nil {
		return Usage{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	out := Usage{}
	by := map[string]int{}
	for day := since; !day.After(now); day = day.AddDate(0, 0, 1) {
		one := UsedDay{Day: day.Format(time.DateOnly)}
		if used := u.on[dataset][one.Day]; used != nil {
			one.Refused = used.refused
			for who, n := range used.by {
				one.Statements += n
				by[who] += n
			}
			if used.last.After(out.LastUse) {
				out.LastUse = used.last
			}
		}
		out.Statements, out.Refused = out.Statements+one.Statements, out.Refused+one.Refused
		out.Days = append(out.Days, one)
	}
	out.People = len(by)
	for _, name := range sortedNames(by) {
		out.Busiest = append(out.Busiest, User{name, by[name]})
	}
	slices.SortStableFunc(out.Busiest, func(a, b User) int { return b.Statements - a.Statements })
	out.Busiest = out.Busiest[:min(len(out.Busiest), mostUsers)]
	if !u.whole {
		if out.From = u.from; out.From.IsZero() {
			out.From = now
		}
	}
	return out, nil
}

// lookOn goes on counting, unless somebody does or did just now.
func (u *usages) lookOn(ctx context.Context, folder string, look time.Duration, pol *policy.Policy, since time.Time) error {
	if !u.looking.TryLock() {
		return nil
	}
	defer u.looking.Unlock()
	began := time.Now()
	if began.Before(u.next) {
		return nil
	}
	err := u.look(ctx, folder, look, pol, since)
	u.next = time.Now().Add(usedShare * time.Since(began))
	return err
}

// look goes on counting, first what is new and then what is old, within the time that there is for both.
func (u *usages) look(ctx context.Context, folder string, limit time.Duration, pol *policy.Policy, since time.Time) error {
	look, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	q := audit.Query{Kind: audit.Decision, Since: since}
	u.mu.Lock()
	u.forget(since)
	first, last, whole := u.first, u.last, u.whole
	u.mu.Unlock()
	if last > 0 {
		newer := q
		newer.From = last + 1
		for f, err := range audit.Search(look, folder, newer) {
			if done, err := u.take(ctx, &f, err, pol, true); done || err != nil {
				return err // what is older waits for a look that has the time
			}
		}
	}
	if first > 0 && whole || first == 1 {
		return nil
	}
	if first > 0 {
		q.To = first - 1
	}
	for f, err := range audit.Latest(look, folder, q) {
		if done, err := u.take(ctx, &f, err, pol, false); done || err != nil {
			return err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.whole = true
	return nil
}

// take counts what a look found, or notes how far it came; done: its time is up.
func (u *usages) take(ctx context.Context, f *audit.Found, err error, pol *policy.Policy, newer bool) (done bool, _ error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	var line *audit.LineError
	var cut *audit.UnfinishedError
	switch {
	case errors.As(err, &line):
		return false, nil // Verify tells what became of it
	case errors.As(err, &cut) && ctx.Err() == nil:
		u.reach(cut.Seq, cut.Time, newer)
		return true, nil
	case err != nil:
		return true, err
	}
	u.reach(f.Record.Seq, f.Record.Time, newer)
	u.count(&f.Record.Event, pol)
	return false, nil
}

// reach moves an end of what was counted.
func (u *usages) reach(seq uint64, at time.Time, newer bool) {
	if u.first == 0 {
		u.last = seq
	}
	if newer {
		u.last = max(u.last, seq)
		return
	}
	u.first, u.from = seq, at
}

// forget drops the days before a time.
func (u *usages) forget(since time.Time) {
	day := since.Format(time.DateOnly)
	for _, days := range u.on {
		for one := range days {
			if one < day {
				delete(days, one)
			}
		}
	}
}

// count adds a decision to the datasets that it is about, by what they hold now.
func (u *usages) count(e *audit.Event, pol *policy.Policy) {
	var on []string
	for _, t := range e.Touches {
		if name := u.datasetOf(t.Relation, pol); name != "" && !slices.Contains(on, name) {
			on = append(on, name)
		}
	}
	if name := e.Detail["dataset"]; name != "" && !slices.Contains(on, name) {
		on = append(on, name)
	}
	for _, name := range on {
		used := u.day(name, e.Time.UTC().Format(time.DateOnly))
		switch {
		case e.Verdict == "refuse" && !e.NotEnforced:
			used.refused++
		default:
			used.by[e.Subject]++
			if e.Time.After(used.last) {
				used.last = e.Time
			}
		}
	}
}

// datasetOf is the dataset that holds a relation now; "": none.
func (u *usages) datasetOf(relation string, pol *policy.Policy) string {
	if u.policy != pol {
		u.policy, u.held = pol, map[string]string{}
	}
	name, known := u.held[relation]
	if known {
		return name
	}
	if table, ok := policy.ParseTable(relation); ok {
		if d := pol.DatasetOf(table); d != nil {
			name = d.Name
		}
	}
	u.held[relation] = name
	return name
}

// dayWords writes a day of the use as the pages write days.
func dayWords(day string) string {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return at.Format("2 Jan 2006")
}

func (u *usages) day(dataset, day string) *usedDay {
	if u.on == nil {
		u.on = map[string]map[string]*usedDay{}
	}
	if u.on[dataset] == nil {
		u.on[dataset] = map[string]*usedDay{}
	}
	if u.on[dataset][day] == nil {
		u.on[dataset][day] = &usedDay{by: map[string]int{}}
	}
	return u.on[dataset][day]
}

// usedBar is a day in the picture of a dataset's use.
type usedBar struct {
	X, Y, Height, Refused int // Refused stands on top of Height
	Title                 string
}

// The picture: so many units wide for a day, and so high for the busiest.
const (
	usedWidth  = 40
	usedHeight = 72
)

// usedBars draws the days.
func usedBars(days []UsedDay) []usedBar {
	most := 1
	for _, d := range days {
		most = max(most, d.Statements+d.Refused)
	}
	var out []usedBar
	for i, d := range days {
		all := usedHeight * (d.Statements + d.Refused) / most
		if d.Statements+d.Refused > 0 {
			all = max(all, 2)
		}
		b := usedBar{X: i * usedWidth, Height: all, Y: usedHeight - all, Title: dayWords(d.Day) + ": " + plural(d.Statements, "statement") + ", " + plural(d.Refused, "refusal")}
		if d.Refused > 0 {
			b.Refused = max(2, usedHeight*d.Refused/most)
		}
		out = append(out, b)
	}
	return out
}
