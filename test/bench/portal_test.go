package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/pgtest"
)

// What the portal has to keep to while the gateway is under load.
const (
	mostWait  = 200 * time.Millisecond // of 95 in 100 pages
	leastLeft = 0.90                   // of the gateway's throughput
)

// People read a page before they open the next one.
const (
	leastThink = 4 * time.Second
	mostThink  = 12 * time.Second
)

// TestVisitors: what BenchmarkPortal lets people do is done right, whatever it takes: every kind of page by everybody who opens it.
func TestVisitors(t *testing.T) {
	t.Parallel()
	o := newOffice(t, pgtest.Default(t), "visited", size{
		areas: 4, tables: 2, columns: len(columnNames), analysts: 2, team: 1, owners: 4, past: 20, waiting: 2,
		roles: map[string]int{"admin": 1, "editor": 1, "reader": 1, "auditor": 1},
	})
	o.Serve(t)
	visitors := o.visitors(t)
	if len(visitors) != o.people() {
		t.Errorf("%d people browse instead of %d", len(visitors), o.people())
	}
	seen := map[string]bool{}
	for _, v := range visitors {
		for _, k := range kinds() {
			if k.weightFor(v.role) == 0 {
				continue
			}
			if _, err := v.look(t.Context(), k); err != nil {
				t.Error(err)
			}
			seen[k.name] = true
		}
	}
	for _, k := range kinds() {
		if !seen[k.name] {
			t.Errorf("nobody opens %q", k.name)
		}
	}
	// A page that is not there fails, or a broken portal would be quick.
	if err := visitors[0].page(t.Context(), "/datasets/none", "none", nil); err == nil {
		t.Error("a dataset that does not exist passes for a page")
	}
	if err := o.newVisitor(t, "stranger", "analyst").page(t.Context(), "/catalogue", "Catalogue", nil); err == nil {
		t.Error("somebody who is not signed in has the catalogue")
	}
}

// views collects how long pages took.
type views struct {
	mu   sync.Mutex
	took map[string][]time.Duration
	errs []error
}

func (w *views) add(name string, d time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.errs = append(w.errs, err)
		return
	}
	w.took[name] = append(w.took[name], d)
}

// browse lets people open pages until it is stopped. Each begins somewhere in their first pause.
func browse(all []*visitor, into *views) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	pages := kinds()
	for _, v := range all {
		wait.Go(func() {
			pause := time.Duration(v.random.Int64N(int64(mostThink)))
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(pause):
				}
				k := v.choose(pages)
				// A page that is under way when time is up still counts: the slow ones would be the first to be left out.
				d, err := v.look(context.WithoutCancel(ctx), k)
				into.add(k.name, d, err)
				pause = leastThink + time.Duration(v.random.Int64N(int64(mostThink-leastThink)))
			}
		})
	}
	return func() {
		cancel()
		wait.Wait()
	}
}

// BenchmarkPortal makes the table of docs/benchmarks.md about people who browse beside a gateway under load.
func BenchmarkPortal(b *testing.B) {
	for range b.N {
		o := newOffice(b, pgtest.Start(b, pgtest.DefaultMajor, pgtest.Setting("shared_buffers", "256MB"), pgtest.Setting("max_connections", "200")), "bench", size{
			areas: 20, tables: 2, columns: len(columnNames), analysts: 150, team: 15, owners: 20, past: 5000, waiting: 60,
			roles: map[string]int{"admin": 2, "editor": 10, "reader": 10, "auditor": 8},
		})
		for range 3 {
			if r := o.Run(b, "scan", "--store", "bench", "--keep"); r.Code == 2 {
				b.Fatalf("postern scan:\n%s", r.Stderr)
			}
		}
		o.Must(b, "discover", "--store", "bench", "--from", "stats")
		o.Serve(b)
		people := o.visitors(b)
		p := peer{"", "gateway", o.Port, "masked", pgtest.PasswordOf("masked"), o.Pid()}
		seen := &views{took: map[string][]time.Duration{}}
		alone, beside := map[string][]float64{}, map[string][]float64{}
		var aloneCPU, besideCPU spent
		for round := range *rounds {
			for _, mode := range []string{"simple", "prepared"} {
				l := load{mode: mode, clients: 8, sslmode: "disable"}
				for turn := range 2 {
					// Whichever comes second finds everything warm, so they take turns at that too.
					if turn == round%2 {
						aloneCPU.during(b, o.Pid(), func() { alone[mode] = append(alone[mode], pgbench(b, p, l)) })
						continue
					}
					besideCPU.during(b, o.Pid(), func() {
						stop := browse(people, seen)
						beside[mode] = append(beside[mode], pgbench(b, p, l))
						stop()
					})
				}
				b.Logf("%s: %.0f alone, %.0f beside %d people", mode, last(alone[mode]), last(beside[mode]), len(people))
			}
		}
		if len(seen.errs) > 0 {
			b.Fatalf("%d pages failed: %v", len(seen.errs), errors.Join(seen.errs[:min(5, len(seen.errs))]...))
		}
		table := portalTable(seen, o.costs(b, people), alone, beside, len(people)) + spentTable(aloneCPU, besideCPU)
		fmt.Println(table)
		if *write != "" && *only == "" {
			replaceGenerated(b, *write, portalFrom, table)
		}
		if p95 := share(seen.all(), 95); p95 > mostWait {
			b.Errorf("95 in 100 pages take up to %v, more than %v", p95, mostWait)
		}
		for mode := range alone {
			if left := ofPairs(beside[mode], alone[mode]); left < leastLeft {
				b.Errorf("%s: the gateway does %.2f of what it does alone", mode, left)
			}
		}
	}
}

// spent is where the processors' time went while something was measured. Browsers are this process, which does nothing else meanwhile: on a
// machine of their own they would cost the gateway nothing, so that what it loses to them is no loss to the portal.
type spent struct{ wall, browsers, postern float64 }

// during adds what a measurement took.
func (s *spent) during(b *testing.B, postern int, measure func()) {
	b.Helper()
	began, browsers, served := time.Now(), cpuSeconds(b, os.Getpid()), cpuSeconds(b, postern)
	measure()
	s.wall += time.Since(began).Seconds()
	s.browsers += cpuSeconds(b, os.Getpid()) - browsers
	s.postern += cpuSeconds(b, postern) - served
}

// spentTable says how much of the machine browsers and postern took, alone and beside each other.
func spentTable(alone, beside spent) string {
	var out strings.Builder
	fmt.Fprint(&out, "\n| processor time, % of the machine | gateway alone | beside the people |\n|---|--:|--:|\n")
	of := func(seconds, wall float64) float64 { return 100 * seconds / wall / float64(runtime.NumCPU()) }
	fmt.Fprintf(&out, "| browsers | %.1f | %.1f |\n", of(alone.browsers, alone.wall), of(beside.browsers, beside.wall))
	fmt.Fprintf(&out, "| postern: gateway and portal | %.1f | %.1f |\n", of(alone.postern, alone.wall), of(beside.postern, beside.wall))
	return out.String()
}

// ofPairs is the median of what each measurement is of the one made next to it: a machine's pace drifts more between rounds than within.
func ofPairs(these, those []float64) float64 {
	var out []float64
	for i := range these {
		out = append(out, these[i]/those[i])
	}
	return median(out)
}

// costs is the processor time that postern takes for a page of each kind while nobody else asks, which is the same on a machine that
// others use. What postern does by itself meanwhile falls into some of the rounds, so that the median counts.
func (o *office) costs(b *testing.B, people []*visitor) map[string]time.Duration {
	b.Helper()
	const series, often = 7, 10
	out := map[string]time.Duration{}
	for _, k := range kinds() {
		i := slices.IndexFunc(people, func(v *visitor) bool { return k.weightFor(v.role) > 0 })
		var took []float64
		for range series {
			before := cpuSeconds(b, o.Pid())
			for range often {
				if _, err := people[i].look(b.Context(), k); err != nil {
					b.Fatal(err)
				}
			}
			took = append(took, (cpuSeconds(b, o.Pid())-before)/often)
		}
		out[k.name] = time.Duration(median(took) * float64(time.Second))
	}
	return out
}

func last[T any](list []T) T { return list[len(list)-1] }

func (w *views) all() []time.Duration {
	var out []time.Duration
	for _, list := range w.took {
		out = append(out, list...)
	}
	return out
}

// share is how long the quickest n in 100 took at most.
func share(list []time.Duration, n int) time.Duration {
	s := slices.Sorted(slices.Values(list))
	if len(s) == 0 {
		return 0
	}
	return s[min(len(s)-1, (len(s)*n+99)/100-1)]
}

func portalTable(seen *views, costs map[string]time.Duration, alone, beside map[string][]float64, people int) string {
	var out strings.Builder
	ms := func(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d.Microseconds())/1000) }
	row := func(name string, list []time.Duration, cost string) {
		fmt.Fprintf(&out, "| %s | %d | %s | %s | %s | %s |\n", name, len(list), ms(share(list, 50)), ms(share(list, 95)), ms(share(list, 99)), cost)
	}
	fmt.Fprint(&out, "| page | opened | p50, ms | p95 | p99 | processor time, ms |\n|---|--:|--:|--:|--:|--:|\n")
	for _, k := range kinds() {
		row(k.name, seen.took[k.name], fmt.Sprintf("%.1f", costs[k.name].Seconds()*1000))
	}
	row("**all**", seen.all(), "")
	fmt.Fprint(&out, "\n| gateway | alone, a second | beside the people | share |\n|---|--:|--:|--:|\n")
	for _, mode := range []string{"simple", "prepared"} {
		fmt.Fprintf(&out, "| %s, 8 clients | %.0f | %.0f | %.2f |\n", mode, median(alone[mode]), median(beside[mode]), ofPairs(beside[mode], alone[mode]))
	}
	fmt.Fprintf(&out, "\n%d people, who pause %.0f to %.0f s between pages; %d runs of %d s of each line, medians, the share that of neighbours; browsers, pgbench, gateway, portal and server on the same machine with %d cores.\n",
		people, leastThink.Seconds(), mostThink.Seconds(), *rounds, *seconds, runtime.NumCPU())
	return out.String()
}
