package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/classify"
	"github.com/postern-sec/postern/internal/discover"
)

// Standby is a server that streams from the one of a feed, by its name in the policy.
type Standby struct {
	Name  string
	Login Config
}

// standby is where samples are read rather than on its primary, for as long as it answers.
type standby struct {
	name string
	feed *Feed
	once sync.Once // looks whether it is what it is said to be
	down bool      // under the mutex of the feed that it belongs to
}

// Prefer lets samples be read on standbys, the first that answers. The catalog and the statistics stay those of the primary, because a
// standby does not count what changes; they read no table. say is told when a standby cannot be used and the next one, or the primary, is
// read instead, by one goroutine at a time. What was preferred before is forgotten; call it when no method is running.
func (f *Feed) Prefer(ctx context.Context, standbys []Standby, say func(text string)) {
	for _, s := range f.standbys {
		s.feed.Close(ctx)
	}
	f.standbys, f.sources = nil, nil
	for _, s := range standbys {
		f.standbys = append(f.standbys, &standby{name: s.Name, feed: NewFeed(s.Login, cap(f.slots))})
	}
	f.say = say
}

// Sources are where samples were read: names of standbys, and "" for the server itself.
func (f *Feed) Sources() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(slices.Values(f.sources))
}

func (f *Feed) readFrom(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.sources, name) {
		f.sources = append(f.sources, name)
	}
}

// Sample reads a bounded sample of some columns of one table, on a standby where there is one.
func (f *Feed) Sample(ctx context.Context, ask discover.Ask) ([]classify.Values, error) {
	for _, s := range f.standbys {
		if !f.usable(ctx, s) {
			continue
		}
		values, err := s.feed.sample(ctx, ask)
		var no *discover.NotExamined
		switch {
		case err == nil:
			f.readFrom(s.name)
			return values, nil
		case ctx.Err() != nil:
			return nil, err
		case !errors.As(err, &no) || lost(err):
			f.drop(s, err)
		case no.Why != discover.WhyError:
			return nil, err // the primary would refuse it as well, or is spared just that load
		}
		// Else it is about this table on this standby: it has not arrived yet, or what arrives got in the way of reading it.
	}
	values, err := f.sample(ctx, ask)
	if err == nil {
		f.readFrom("")
	}
	return values, err
}

// usable looks once whether a standby answers and streams from this feed's server: another server's rows would say nothing of it.
func (f *Feed) usable(ctx context.Context, s *standby) bool {
	s.once.Do(func() {
		ours, _, err := f.system(ctx)
		if err != nil {
			f.drop(s, err)
			return
		}
		theirs, recovering, err := s.feed.system(ctx)
		switch {
		case err != nil:
			f.drop(s, err)
		case ours != theirs:
			f.drop(s, errors.New("it is a copy of another server"))
		case !recovering:
			f.drop(s, errors.New("it is no standby any more"))
		}
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	return !s.down
}

// system is what a server and its standbys share, and whether this one is a standby.
func (f *Feed) system(ctx context.Context) (id string, recovering bool, err error) {
	err = f.with(ctx, func(tx pgx.Tx) error {
		return sampleRefusal(tx.QueryRow(ctx, sampleQuestion("system")).Scan(&id, &recovering))
	})
	return id, recovering, err
}

// drop reads a standby no more.
func (f *Feed) drop(s *standby, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !s.down && f.say != nil {
		f.say(fmt.Sprintf("samples are not read on the standby %s: %v", s.name, why))
	}
	s.down = true
}
