package directory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/audit"
)

// few may go at once however small a group is: somebody always leaves.
const few = 3

// Wake has the next Tick look at once if there is somebody new.
func (c *Client) Wake() {
	select {
	case c.wake <- struct{}{}:
	default: // one is waiting already
	}
}

// Run looks whenever it is time, while leads says yes, until ctx ends. Whoever does not lead follows what the one who does finds. Beside
// it the time that groups hold is watched: a directory that takes long to answer must not hold that up.
func (c *Client) Run(ctx context.Context, every time.Duration, leads func() bool) {
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() {
		c.ticks(ctx, every, nil, func() error { return c.Refresh(ctx) })
	})
	c.ticks(ctx, every, c.wake, func() error {
		if !leads() || !c.due() {
			return nil
		}
		return c.Look(ctx)
	})
}

func (c *Client) ticks(ctx context.Context, every time.Duration, wake <-chan struct{}, do func() error) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-wake:
		}
		if err := do(); err != nil && ctx.Err() == nil {
			c.c.Log.Error("following the directory", "error", err)
		}
	}
}

// due says whether it is time to look: by the clock, or because of somebody whom nobody looked for yet.
func (c *Client) due() bool {
	now, k := c.c.Now(), c.known.Load()
	if !now.Before(c.next) {
		return true
	}
	if now.Sub(c.last) < haste || k == nil || k.Source != c.c.Source || !k.Failing.IsZero() {
		return false
	}
	return slices.ContainsFunc(c.c.Candidates(), func(x Candidate) bool { _, known := k.People[x.Name]; return !known })
}

// Refresh reads what is known and puts it in force, also what another instance found out. It may be called by any goroutine.
func (c *Client) Refresh(ctx context.Context) error {
	k, err := c.c.Store.Directory(ctx)
	if err != nil {
		return err
	}
	c.known.Store(&k)
	c.c.Publish(k)
	return nil
}

// Look asks the directory about everybody and puts in force what it says. The error is of our own state; what is wrong with the
// directory is in the log and on the trail.
func (c *Client) Look(ctx context.Context) error {
	err := c.look(ctx)
	c.last = c.c.Now()
	if errors.Is(err, ErrConflict) {
		err = nil // another instance was faster: what it found is newer
	}
	return errors.Join(err, c.Refresh(context.WithoutCancel(ctx)))
}

func (c *Client) look(ctx context.Context) error {
	k, err := c.c.Store.Directory(ctx)
	if err != nil {
		return err
	}
	c.next = c.c.Now().Add(c.c.Interval)
	next, err := c.ask(ctx, &k, c.c.MaxLoss)
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil // whoever stops has not been refused anything
	}
	ctx = context.WithoutCancel(ctx) // that time ran out is written down too
	var no *Failure
	if errors.As(err, &no) {
		c.next = c.c.Now().Add(min(c.c.Interval, again))
		return c.failed(ctx, &k, no)
	}
	if err != nil {
		return err
	}
	return c.answered(ctx, &k, next)
}

// ask finds out what would be known, and changes nothing.
func (c *Client) ask(ctx context.Context, k *Known, maxLoss float64) (*Known, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	s, done, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	before := k
	if k.Source != c.c.Source {
		before = &Known{} // what another directory said says nothing of this one
	}
	candidates := c.c.Candidates()
	next := &Known{Version: k.Version, Source: c.c.Source, Confirmed: c.c.Now(), People: map[string]Entry{}}
	var keys []string
	for _, x := range candidates {
		if key := c.c.sought(x); key != "" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	found, err := s.people(keys)
	if err != nil {
		return nil, err
	}
	theirs := map[string]*person{} // by folded DN
	owners := map[string]int{}
	for _, x := range candidates {
		e, p := recognise(before.People[x.Name], found[c.c.sought(x)])
		if next.People[x.Name] = e; p != nil {
			theirs[p.key] = p
			owners[p.key]++
		}
	}
	members, err := s.members(keys, theirs)
	if err != nil {
		return nil, err
	}
	for name, e := range next.People {
		if e.State == Present {
			next.People[name] = assign(e, owners, members)
		}
	}
	return next, tooMany(before, next, maxLoss)
}

// recognise finds somebody's entry among those that could be theirs. Once found, they are known by the entry's own id: an address or a
// name that was given to somebody else takes nothing along.
func recognise(before Entry, could []*person) (Entry, *person) {
	was := before.ID != "" || before.State == Present || before.State.Ended()
	if before.ID != "" {
		at := slices.IndexFunc(could, func(p *person) bool { return p.id == before.ID })
		switch {
		case at >= 0:
			could = could[at : at+1]
		case len(could) > 0:
			return Entry{State: Other, DN: before.DN, ID: before.ID}, nil
		}
	}
	switch {
	case len(could) == 0 && was:
		return Entry{State: Gone, DN: before.DN, ID: before.ID}, nil
	case len(could) == 0:
		return Entry{State: Absent}, nil
	case len(could) > 1 || could[0].key == "":
		return Entry{State: Unclear, ID: before.ID}, nil
	case could[0].disabled:
		return Entry{State: Disabled, DN: could[0].dn, ID: could[0].id}, could[0]
	}
	return Entry{State: Present, DN: could[0].dn, ID: could[0].id}, could[0]
}

// assign gives somebody the groups of their entry, unless it is somebody else's as well.
func assign(e Entry, owners map[string]int, members map[string]map[string]bool) Entry {
	key := folded(e.DN)
	if owners[key] > 1 {
		return Entry{State: Unclear, ID: e.ID}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if members[name][key] {
			e.Groups = append(e.Groups, name)
		}
	}
	return e
}

// tooMany refuses an answer by which more people would vanish, from the directory or from a group, than the file takes for possible:
// it looks like a mistyped filter, or a server that lost its data.
func tooMany(before, after *Known, most float64) error {
	had, lost := map[string]int{}, map[string]int{}
	for name, e := range before.People {
		now, still := after.People[name]
		if !still || e.State != Present {
			continue // no longer of the file, or gone already
		}
		had[""]++
		if now.State != Present {
			lost[""]++
		}
		for _, g := range e.Groups {
			if had[g]++; !slices.Contains(now.Groups, g) {
				lost[g]++
			}
		}
	}
	for _, g := range slices.Sorted(maps.Keys(lost)) {
		if lost[g] <= few || float64(lost[g]) <= most*float64(had[g]) {
			continue
		}
		where := "the directory"
		if g != "" {
			where = "group " + g
		}
		return &Failure{
			failLoss, fmt.Sprintf("%d of %d people would vanish from %s at once", lost[g], had[g], where),
			"look at ldap.user_filter, ldap.active and the DNs; 'postern ldap check' shows who would go. If it is meant, raise ldap.max_loss for a while and start serve again", nil,
		}
	}
	return nil
}

// failed notes that the directory's answer does not count, which is nobody's loss at once. Groups that it has not confirmed for too
// long end.
func (c *Client) failed(ctx context.Context, k *Known, why *Failure) error {
	now, quiet, before := c.c.Now(), true, *k
	if k.Source != c.c.Source {
		*k = Known{Version: k.Version, Source: c.c.Source, Expired: now, People: ended(k.People)} // nothing is known of this one
		quiet = false
		if err := c.tell(ctx, &before, k, "another directory is named in the file"); err != nil {
			return err
		}
	}
	if k.Failing.IsZero() || k.Reason != why.Reason {
		if k.Failing.IsZero() {
			k.Failing = now
		}
		k.Reason = why.Reason
		c.c.Log.Error("the directory's answer does not count", "reason", why.Reason, "error", why, "remedy", why.Hint)
		if err := c.record(ctx, audit.DirectoryFailed, "", why.Reason, why.Text, map[string]string{"remedy": why.Hint}); err != nil {
			return err
		}
		c.c.Alarm(ctx, audit.DirectoryFailed, "")
	}
	if k.Expired.IsZero() && !k.holds(c.c.Limit, now) {
		k.Expired = now
		quiet = false
		if err := c.tell(ctx, &before, k, "the directory has not answered for "+c.c.Limit.String()); err != nil {
			return err
		}
	}
	return c.keep(ctx, k, quiet)
}

// ended is who is out. That holds until a directory says otherwise.
func ended(all map[string]Entry) map[string]Entry {
	out := map[string]Entry{}
	for name, e := range all {
		if e.State.Ended() {
			out[name] = Entry{State: e.State}
		}
	}
	return out
}

// answered takes up what the directory says.
func (c *Client) answered(ctx context.Context, before, next *Known) error {
	was := before
	if before.Source != next.Source {
		was = &Known{}
	}
	if !before.Failing.IsZero() {
		c.c.Log.Info("the directory's answers count again", "since", before.Failing)
		if err := c.record(ctx, audit.DirectoryBack, "", "", "", map[string]string{"failing_since": before.Failing.UTC().Format(time.RFC3339)}); err != nil {
			return err
		}
	}
	if err := c.tell(ctx, was, next, ""); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(next.People)) {
		if e := next.People[name]; e.State != was.People[name].State {
			if err := c.stands(ctx, name, e.State, was.People[name].State); err != nil {
				return err
			}
		}
	}
	return c.keep(ctx, next, same(before, next))
}

// stands records that somebody stands differently in the directory, and ends what they have open if that is out. It is written down
// last, so that a crash on the way only means that it is done again.
func (c *Client) stands(ctx context.Context, name string, now, before State) error {
	switch {
	case now == Unclear:
		c.c.Log.Warn("nobody can tell which entry of the directory is somebody's", "user", name)
		return c.record(ctx, audit.GroupsUnknown, name, "ldap "+string(now), "", nil)
	case !now.Ended() && before.Ended():
		return c.record(ctx, audit.SubjectBack, name, "ldap "+string(now), "", nil)
	case !now.Ended():
		return nil
	}
	if err := c.record(ctx, audit.SubjectEnded, name, "ldap "+string(now), "", nil); err != nil {
		return err
	}
	if err := c.c.Store.EndCredentials(ctx, name, c.c.Now()); err != nil { // what opens data goes first
		return err
	}
	return c.c.Register.EndEverything(ctx, name, "deactivated")
}

// tell records whose groups are others than before.
func (c *Client) tell(ctx context.Context, before, after *Known, why string) error {
	all := map[string]bool{}
	for _, k := range []*Known{before, after} {
		for name := range k.People {
			all[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		had, has := before.groupsOf(name), after.groupsOf(name)
		gained, lost := without(has, had), without(had, has)
		if len(gained)+len(lost) == 0 {
			continue
		}
		detail := map[string]string{"gained": strings.Join(gained, " "), "lost": strings.Join(lost, " ")}
		if err := c.record(ctx, audit.GroupsChanged, name, "", why, detail); err != nil {
			return err
		}
	}
	return nil
}

func without(some, others []string) []string {
	return slices.DeleteFunc(slices.Clone(some), func(g string) bool { return slices.Contains(others, g) })
}

// same says whether nothing is different but when it was said.
func same(a, b *Known) bool {
	return a.Source == b.Source && a.Expired.Equal(b.Expired) && a.Failing.Equal(b.Failing) &&
		maps.EqualFunc(a.People, b.People, func(x, y Entry) bool { return x.State == y.State && slices.Equal(x.Groups, y.Groups) })
}

func (c *Client) keep(ctx context.Context, k *Known, quiet bool) error {
	k.Version++
	return c.c.Store.KeepDirectory(ctx, *k, quiet)
}

// record writes an event before its effect.
func (c *Client) record(ctx context.Context, kind audit.Kind, subject, reason, message string, detail map[string]string) error {
	if detail == nil {
		detail = map[string]string{}
	}
	detail["source"] = c.c.Source
	_, err := c.c.Audit.Record(context.WithoutCancel(ctx), audit.Event{Kind: kind, Subject: subject, Reason: reason, Message: message, Detail: detail})
	if err != nil {
		return fmt.Errorf("record %s: %w", kind, err)
	}
	return nil
}

// Preview is what a look would change, for an operator who wants to know before.
type Preview struct {
	Counts  map[State]int
	Groups  map[string]int // members of each group among those who were looked for
	Changes []string
	Refused *Failure // it would not count; Changes say what it would have done
}

// Check asks the directory and changes nothing. k is what is known.
func (c *Client) Check(ctx context.Context, k *Known) (*Preview, error) {
	next, err := c.ask(ctx, k, 1)
	if err != nil {
		return nil, err
	}
	if k.Source != next.Source {
		k = &Known{}
	}
	out := &Preview{Counts: map[State]int{}, Groups: map[string]int{}}
	for g := range c.c.Groups {
		out.Groups[g] = 0
	}
	if err := tooMany(k, next, c.c.MaxLoss); err != nil {
		_ = errors.As(err, &out.Refused)
	}
	for _, name := range slices.Sorted(maps.Keys(next.People)) {
		e, was := next.People[name], k.People[name]
		out.Counts[e.State]++
		for _, g := range e.Groups {
			out.Groups[g]++
		}
		had := k.groupsOf(name)
		line := []string{}
		if e.State != was.State && (was.State != "" || e.State != Absent) {
			line = append(line, string(e.State))
		}
		for _, g := range without(e.Groups, had) {
			line = append(line, "+"+g)
		}
		for _, g := range without(had, e.Groups) {
			line = append(line, "-"+g)
		}
		if len(line) > 0 {
			out.Changes = append(out.Changes, strconv.Quote(name)+": "+strings.Join(line, " "))
		}
	}
	return out, nil
}
