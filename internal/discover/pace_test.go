package discover

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/classify"
)

// clocked is a shelf whose server takes its time, by a clock that only moves when it works or somebody rests.
type clocked struct {
	*shelf
	now    time.Time
	busy   time.Duration
	sample func(n int) time.Duration // of the nth sample
	stats  time.Duration
	n      int
}

func (s *clocked) work(d time.Duration) { s.now, s.busy = s.now.Add(d), s.busy+d }

func (s *clocked) Stats(ctx context.Context, tables []*Table, each func(*Table, int, classify.Values)) error {
	s.work(s.stats)
	return s.shelf.Stats(ctx, tables, each)
}

func (s *clocked) Sample(ctx context.Context, ask Ask) ([]classify.Values, error) {
	s.n++
	s.work(s.sample(s.n))
	return s.shelf.Sample(ctx, ask)
}

// The server is busy for the share of the time that was asked for, whether questions are short or long, and in every stage.
func TestLoadHolds(t *testing.T) {
	t.Parallel()
	tables := func() *shelf {
		s := &shelf{values: map[string][]string{}}
		for i := range 400 {
			tab := table(uint32(i+1), fmt.Sprintf("t%03d", i), "mail text")
			s.cat.Tables = append(s.cat.Tables, tab)
			s.values["public."+tab.Name+".mail"] = mails(20)
		}
		return s
	}
	for name, c := range map[string]struct {
		from   From
		load   float64
		sample time.Duration
		stats  time.Duration
	}{
		"short samples":   {FromSample, 0.5, 3 * time.Millisecond, 0},
		"long samples":    {FromSample, 0.1, 12 * time.Second, 0},
		"statistics":      {FromStats, 0.25, 0, 40 * time.Millisecond},
		"the usual share": {FromSample, 0, 30 * time.Millisecond, 0},
	} {
		s := &clocked{shelf: tables(), now: time.Unix(0, 0), stats: c.stats, sample: func(int) time.Duration { return c.sample }}
		_, err := Run(t.Context(), s, Options{
			From: c.from, Load: c.load, Now: func() time.Time { return s.now }, Sleep: func(_ context.Context, d time.Duration) { s.now = s.now.Add(d) },
		})
		if err != nil {
			t.Fatal(err)
		}
		want := c.load
		if want == 0 {
			want = DefaultLoad
		}
		// What is owed when the last question was answered is for nobody.
		last := max(c.sample, c.stats) + restWorth
		whole := s.now.Sub(time.Unix(0, 0)) + time.Duration(float64(last)*(1/want-1))
		if share := float64(s.busy) / float64(whole); share > want*1.01 || share < want*0.8 {
			t.Errorf("%s: busy for %s of %s, a share of %.3f where %.3f was asked for", name, s.busy, whole, share, want)
		}
	}
}

// Whoever rests wakes up when the run is broken off.
func TestRestEndsWithTheRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := &clocked{shelf: someShelf(), now: time.Unix(0, 0), sample: func(int) time.Duration { return 90 * time.Hour }}
	rep, err := Run(ctx, s, Options{From: FromSample, Load: 0.1, Now: func() time.Time { return s.now }, Sleep: func(ctx context.Context, d time.Duration) {
		cancel()
		sleep(ctx, d)
	}})
	if err == nil || rep == nil || s.n != 1 {
		t.Errorf("after %d samples: %v", s.n, err)
	}
}
