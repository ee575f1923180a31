package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestLatestIsSearchBackwards: whatever is asked for, the newest events come as a search finds them, the other way round.
func TestLatestIsSearchBackwards(t *testing.T) {
	t.Parallel()
	cfg, _ := searchTrail(t)
	for name, q := range map[string]Query{
		"everything": {}, "with the trail's own": {Signed: true}, "some": {Limit: 3}, "of one": {Subject: "bob", Kind: Decision},
		"few": {Verdict: "refuse", Limit: 2}, "before": {To: 12}, "between": {From: 5, To: 20, Signed: true}, "nobody": {Subject: "an"},
	} {
		want := events(t, Search(t.Context(), cfg.Folder, Query{
			Subject: q.Subject, Kind: q.Kind, Verdict: q.Verdict, From: q.From, To: q.To, Signed: q.Signed,
		}))
		slices.Reverse(want)
		if q.Limit > 0 {
			want = want[:q.Limit]
		}
		if got := events(t, Latest(t.Context(), cfg.Folder, q)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func events(t *testing.T, found func(yield func(Found, error) bool)) []string {
	t.Helper()
	var out []string
	for f, err := range found {
		if err != nil {
			t.Fatal(err)
		}
		if rec, err := ParseRecord(f.Line); err != nil || rec.Seq != f.Record.Seq {
			t.Errorf("line and record differ: %v", err)
		}
		out = append(out, fmt.Sprintf("%d %s %s", f.Record.Seq, f.Record.ID, f.File))
	}
	return out
}

// TestLatestOfALiveTrail: what is still in the spool is the newest.
func TestLatestOfALiveTrail(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	cfg.Sync = 100 * time.Millisecond
	trail := open(t, cfg)
	defer closeTrail(t, trail)
	for i := range 20 {
		record(t, trail, Event{Kind: Decision, ID: fmt.Sprintf("d%d", i), Subject: "ana"})
		var got []string
		for f, err := range Latest(t.Context(), cfg.Folder, Query{Limit: 2}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, f.Record.ID)
		}
		if want := fmt.Sprintf("d%d", i); len(got) == 0 || got[0] != want {
			t.Fatalf("%v does not begin with %s, which was recorded", got, want)
		}
	}
}

// TestLatestAndBadLines: a line that is no record is told of and passed over, an unfinished one at the very end is not.
func TestLatestAndBadLines(t *testing.T) {
	t.Parallel()
	cfg, _ := searchTrail(t)
	names, err := listFiles(cfg.Folder)
	if err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(cfg.Folder, names[0])
	b, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	rewrite(t, first, bytes.Replace(b, []byte(`"d1"`), []byte(`"dX"`), 1))
	appendTo(t, filepath.Join(cfg.Folder, names[len(names)-1]), `{"seq":99,"ti`)
	look := func(q Query) (bad []LineError, good int) {
		for _, err := range Latest(t.Context(), cfg.Folder, q) {
			var e *LineError
			switch {
			case errors.As(err, &e):
				bad = append(bad, *e)
			case err != nil:
				t.Fatal(err)
			default:
				good++
			}
		}
		return bad, good
	}
	bad, good := look(Query{Kind: Decision})
	at := int64(bytes.LastIndexByte(b[:bytes.Index(b, []byte(`"d1"`))], '\n') + 1)
	if len(bad) != 1 || bad[0].File != names[0] || bad[0].Offset != at || good != 9 {
		t.Errorf("%v, %d good; want the line at %d of %s", bad, good, at, names[0])
	}
	if bad, good := look(Query{Kind: Decision, Limit: 2}); len(bad) != 0 || good != 2 {
		t.Errorf("the newest two: %v, %d", bad, good)
	}
	for _, err := range Latest(t.Context(), filepath.Join(cfg.Folder, "nothing"), Query{}) {
		if err == nil {
			t.Error("a folder that is not there was searched")
		}
	}
}

// TestLatestUnfinished: what a search came to when its time was up is said, and from there it can go on.
func TestLatestUnfinished(t *testing.T) {
	t.Parallel()
	cfg, _ := searchTrail(t)
	all := events(t, Latest(t.Context(), cfg.Folder, Query{}))
	ctx, cancel := context.WithCancel(t.Context())
	var got []string
	var cut *UnfinishedError
	for f, err := range Latest(ctx, cfg.Folder, Query{}) {
		if err != nil {
			if !errors.As(err, &cut) || !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			continue
		}
		if got = append(got, fmt.Sprintf("%d %s %s", f.Record.Seq, f.Record.ID, f.File)); len(got) == 4 {
			cancel()
		}
	}
	cancel()
	if cut == nil || cut.Seq == 0 || cut.Time.IsZero() {
		t.Fatalf("%+v", cut)
	}
	rest := events(t, Latest(t.Context(), cfg.Folder, Query{To: cut.Seq - 1}))
	if got = append(got, rest...); !slices.Equal(got, all) {
		t.Errorf("in two steps %v, at once %v", got, all)
	}
}

// TestLatestGetsOn: however short the time is, each step looks at something, so that step by step all of it is found.
func TestLatestGetsOn(t *testing.T) {
	t.Parallel()
	cfg, _ := searchTrail(t)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	var got []string
	for q, steps := (Query{Subject: "ana", Kind: Decision}), 0; ; steps++ {
		var cut *UnfinishedError
		for f, err := range Latest(over, cfg.Folder, q) {
			if err != nil && !errors.As(err, &cut) {
				t.Fatal(err)
			}
			if err == nil {
				got = append(got, f.Record.ID)
			}
		}
		if cut == nil {
			break
		}
		if q.To = cut.Seq - 1; q.To == 0 || steps > 100 {
			break
		}
	}
	if want := []string{"d8", "d6", "d4", "d2", "d0"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// longFile writes a trail of one file that is longer than several blocks, a record a minute.
func longFile(t *testing.T) (Config, *clock, int) {
	t.Helper()
	clk := newClock()
	cfg := config(t, t.TempDir())
	cfg.Now, cfg.CheckpointEvery, cfg.RotateAge = clk.now, 500, 1000*24*time.Hour
	trail := open(t, cfg)
	const n = 8000
	for i := range n {
		clk.move(time.Minute)
		record(t, trail, Event{Kind: Decision, ID: fmt.Sprintf("d%d", i), Subject: "ana", Statement: strings.Repeat("x", i%97)})
	}
	closeTrail(t, trail)
	names, err := listFiles(cfg.Folder)
	if err != nil || len(names) != 1 {
		t.Fatalf("%v, %v", names, err)
	}
	return cfg, clk, n
}

// TestSeek: a place in a long file is found to a block, and what is asked for from there is what a search of the whole finds.
func TestSeek(t *testing.T) {
	t.Parallel()
	cfg, _, n := longFile(t)
	names, err := listFiles(cfg.Folder)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(cfg.Folder, names[0]))
	if err != nil || len(text) < 6*backBlock {
		t.Fatalf("%d bytes, %v", len(text), err)
	}
	for _, number := range []uint64{1, 2, 700, 701, 4000, uint64(n), uint64(n) * 2} {
		from, to, err := seek(bytes.NewReader(text), int64(len(text)), func(f *frame) bool { return f.seq >= number })
		if err != nil {
			t.Fatal(err)
		}
		at := int64(bytes.Index(text, fmt.Appendf(nil, `{"seq":%d,`, number)))
		if at < 0 {
			at = int64(len(text))
		}
		if from > at || to < at || to-from > backBlock+4096 {
			t.Errorf("record %d at %d: from %d to %d", number, at, from, to)
		}
	}
	for _, number := range []uint64{1, 700, 4000, 8010} {
		for _, signed := range []bool{true, false} {
			want := events(t, Search(t.Context(), cfg.Folder, Query{Signed: signed}))
			below := slices.DeleteFunc(slices.Clone(want), func(s string) bool { return seqOf(t, s) > number })
			slices.Reverse(below)
			below = below[:min(3, len(below))]
			above := slices.DeleteFunc(want, func(s string) bool { return seqOf(t, s) < number })
			above = above[:min(3, len(above))]
			if got := events(t, Latest(t.Context(), cfg.Folder, Query{To: number, Limit: 3, Signed: signed})); !slices.Equal(got, below) {
				t.Errorf("down from %d: %v, want %v", number, got, below)
			}
			if got := events(t, Search(t.Context(), cfg.Folder, Query{From: number, Limit: 3, Signed: signed})); !slices.Equal(got, above) {
				t.Errorf("up from %d: %v, want %v", number, got, above)
			}
		}
	}
}

func seqOf(t *testing.T, text string) uint64 {
	t.Helper()
	var seq uint64
	if _, err := fmt.Sscan(text, &seq); err != nil {
		t.Fatal(err)
	}
	return seq
}

// TestLatestByClock: between two days is found what a search finds, without looking at what lies far on either side.
func TestLatestByClock(t *testing.T) {
	t.Parallel()
	cfg, clk, _ := longFile(t) // of more than five days
	begin := newClock().at
	for _, hours := range [][2]int{{0, 200}, {30, 40}, {50, 51}, {0, 10}, {120, 0}} {
		q := Query{Since: begin.Add(time.Duration(hours[0]) * time.Hour)}
		if hours[1] > 0 {
			q.Until = begin.Add(time.Duration(hours[1]) * time.Hour)
		}
		want := events(t, Search(t.Context(), cfg.Folder, q))
		slices.Reverse(want)
		got := events(t, Latest(t.Context(), cfg.Folder, q))
		if !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("hours %v: %d events, want %d", hours, len(got), len(want))
		}
	}
	// What is over looks at nothing that was written a day before: the last record of the search is one of the last day.
	over, cancel := context.WithCancel(t.Context())
	cancel()
	var cut *UnfinishedError
	for _, err := range Latest(over, cfg.Folder, Query{Until: begin.Add(10 * time.Hour), Subject: "nobody"}) {
		if !errors.As(err, &cut) {
			t.Fatal(err)
		}
	}
	if cut == nil || cut.Time.After(begin.Add(10*time.Hour+clockSlack)) {
		t.Errorf("%+v was looked at", cut)
	}
	for _, err := range Latest(t.Context(), cfg.Folder, Query{Since: clk.now().Add(48 * time.Hour)}) {
		t.Errorf("something is later than everything: %v", err)
	}
}

// TestKinds: one of several kinds is found, whichever way one looks.
func TestKinds(t *testing.T) {
	t.Parallel()
	cfg, _ := searchTrail(t)
	q := Query{Kinds: []Kind{Completion, LoginAccepted}}
	up, down := events(t, Search(t.Context(), cfg.Folder, q)), events(t, Latest(t.Context(), cfg.Folder, q))
	slices.Reverse(down)
	if len(up) != 10 || !slices.Equal(up, down) || !strings.Contains(up[0], " c0 ") {
		t.Errorf("%v and %v", up, down)
	}
}

// TestBackReader: lines of every length, over the ends of blocks, the other way round; one that is too long is cut and not kept.
func TestBackReader(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(7, 7))
	for _, ended := range []bool{true, false} {
		var want []string
		for range 300 {
			want = append(want, strings.Repeat("x", random.IntN(9000)))
		}
		want[3], want[4], want[5] = "", strings.Repeat("y", backBlock-1), strings.Repeat("z", backBlock)
		want[100] = strings.Repeat("l", MaxRecord+backBlock*2)
		text := strings.Join(want, "\n")
		if ended {
			text += "\n"
		}
		lines := backReader{file: strings.NewReader(text), from: int64(len(text)), start: int64(len(text))}
		at := int64(len(text))
		for i := len(want) - 1; i >= 0; i-- {
			l, err := lines.next()
			if err != nil {
				t.Fatal(err)
			}
			whole := ended || i < len(want)-1
			switch {
			case l.whole != whole || l.end != at || l.long != (i == 100):
				t.Fatalf("line %d: %+v", i, line{whole: l.whole, end: l.end, long: l.long, start: l.start})
			case !l.long && string(l.text) != want[i]:
				t.Fatalf("line %d has %d bytes instead of %d", i, len(l.text), len(want[i]))
			case len(l.text) > MaxRecord+backBlock:
				t.Fatalf("line %d is kept: %d bytes", i, len(l.text))
			}
			if at = l.start; !strings.HasPrefix(text[at:], want[i]) {
				t.Fatalf("line %d does not begin at %d", i, at)
			}
		}
		if _, err := lines.next(); err == nil {
			t.Error("there is a line in front of the first")
		}
	}
}
