package pgsql

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// workerVariable makes the test binary a worker.
const workerVariable = "POSTERN_TEST_PARSER_WORKER"

// TestParserWorkerProcess is no test: it is what a worker runs. A text that holds die_now kills it while it reads; hang_now stops it.
func TestParserWorkerProcess(t *testing.T) {
	if os.Getenv(workerVariable) == "" {
		return
	}
	if err := ParserWorker(deadly{os.Stdin}, os.Stdout); err != nil {
		os.Exit(2)
	}
	os.Exit(0)
}

// deadly is a reader that some texts are bad for.
type deadly struct{ r io.Reader }

func (d deadly) Read(b []byte) (int, error) {
	n, err := d.r.Read(b)
	self := syscall.Getpid()
	switch {
	case bytes.Contains(b[:n], []byte("die_now")):
		_ = syscall.Kill(self, syscall.SIGKILL)
	case bytes.Contains(b[:n], []byte("hang_now")):
		_ = syscall.Kill(self, syscall.SIGSTOP)
	default:
		return n, err
	}
	time.Sleep(time.Hour) // another thread may get the signal, and this one would answer before it stops
	return n, err
}

func isolated(t testing.TB, workers int, limit time.Duration) (p *Isolated, ended *atomic.Int64) {
	t.Helper()
	ended = &atomic.Int64{}
	p, err := NewIsolated(IsolatedConfig{
		Command: []string{os.Args[0], os.Args[0], "-test.run=^TestParserWorkerProcess$"}, Env: []string{workerVariable + "=1"},
		Workers: workers, Time: limit, Notify: func(error) { ended.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, ended
}

// TestIsolatedDecidesAlike: a guard that parses elsewhere answers what one that parses here does, errors and positions included.
func TestIsolatedDecidesAlike(t *testing.T) {
	t.Parallel()
	p, ended := isolated(t, 2, 0)
	here, there, w := NewGuard(-1), NewGuard(-1).Isolate(p), shopWorld()
	texts := goldenInputs(t)
	for i := 0; i < len(texts); i += 7 {
		if diff := cmp.Diff(here.Decide(w, texts[i], Simple), there.Decide(w, texts[i], Simple)); diff != "" {
			t.Errorf("%q (-here +there):\n%s", texts[i], diff)
		}
	}
	if n := ended.Load(); n != 0 {
		t.Errorf("%d workers ended", n)
	}
}

// TestWorkerDies is ENF-82: a crash while a statement is read is the refusal of that statement. The next one is decided, the one
// that crashed is tried again when it comes again, and nobody else notices.
func TestWorkerDies(t *testing.T) {
	t.Parallel()
	p, ended := isolated(t, 2, 0)
	g, w := NewGuard(0).Isolate(p), shopWorld()
	for round := range 3 { // with a delay before the restart from the second on
		d := g.Decide(w, "select name as die_now from customers", Simple)
		if d.Refusal == nil || d.Refusal.Reason != ReasonParser || d.Refusal.SQLState != "XX000" || d.Text != "" {
			t.Fatalf("round %d: %+v", round, d.Refusal)
		}
		if d := g.Decide(w, "select name from customers where id = "+strings.Repeat("1", round+1), Simple); d.Verdict != Rewrite {
			t.Errorf("round %d: the next statement: %+v", round, d.Refusal)
		}
	}
	if n := ended.Load(); n != 3 {
		t.Errorf("%d workers ended, want 3", n)
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			text, want := "select name from customers", Rewrite
			if i%8 == 0 {
				text, want = "select 'die_now'", Refuse
			}
			if d := g.Decide(w, text, Mode(i%2)); d.Verdict != want {
				t.Errorf("%s: %+v", text, d.Refusal)
			}
		})
	}
	wg.Wait()
}

// TestWorkerCrashes is ENF-82 with the parser's own crash: a text that the limits would refuse before (ENF-79) takes the worker down in
// the middle of the grammar, and nothing else.
func TestWorkerCrashes(t *testing.T) {
	t.Parallel()
	p, ended := isolated(t, 1, 0)
	bomb := "SELECT 1" + strings.Repeat("||'a'", 120000)
	if err := CheckLimits(bomb); err == nil {
		t.Fatal("the limits let it through")
	}
	if tree, err := p.parse(bomb); err == nil {
		t.Fatalf("it is parsed: %d statements", len(tree.Stmts))
	} else if down := (*parserDown)(nil); !errors.As(err, &down) {
		t.Fatalf("the parser answers %v, and should be gone: another text has to be found that crashes it", err)
	}
	if n := ended.Load(); n != 1 {
		t.Errorf("%d workers ended, want 1", n)
	}
	if d := NewGuard(0).Isolate(p).Decide(shopWorld(), "select name from customers", Simple); d.Verdict != Rewrite {
		t.Errorf("the next statement: %+v", d.Refusal)
	}
}

// TestWorkerHangs: a statement that takes too long is refused, and its worker replaced.
func TestWorkerHangs(t *testing.T) {
	t.Parallel()
	p, ended := isolated(t, 1, 4*time.Second)
	g, w := NewGuard(-1).Isolate(p), shopWorld()
	if d := g.Decide(w, "select 'hang_now'", Simple); d.Refusal == nil || d.Refusal.Reason != ReasonParser {
		t.Errorf("%+v", d.Refusal)
	}
	if n := ended.Load(); n != 1 {
		t.Errorf("%d workers ended", n)
	}
	for range 10 { // a loaded machine may be slower than the limit
		if d := g.Decide(w, "select name from customers", Simple); d.Verdict == Rewrite {
			return
		}
	}
	t.Error("no statement is decided any more")
}

// TestWorkersAreNeeded: without workers there is no guard, and after Close there is no decision.
func TestWorkersAreNeeded(t *testing.T) {
	t.Parallel()
	for name, command := range map[string][]string{"nothing": nil, "no program": {"/nowhere", "x"}, "another program": {"/bin/true", "true"}} {
		if p, err := NewIsolated(IsolatedConfig{Command: command, Workers: 1}); err == nil {
			p.Close()
			t.Errorf("%s: started", name)
		}
	}
	p, _ := isolated(t, 1, 2*time.Second)
	p.Close()
	if d := NewGuard(-1).Isolate(p).Decide(shopWorld(), "select 1", Simple); d.Verdict != Refuse {
		t.Error("a closed parser decides")
	}
}

// TestWorkerFrames: a worker takes no question that it does not know, and none that is cut off.
func TestWorkerFrames(t *testing.T) {
	t.Parallel()
	frame := func(kind byte, payload string) []byte {
		var b bytes.Buffer
		if err := writeFrame(&b, kind, []byte(payload)); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, in := range map[string][]byte{
		"unknown": frame('X', "select 1"), "cut": frame(askParse, "select 1")[:7], "long": {askParse, 0xff, 0xff, 0xff, 0xff},
	} {
		if _, _, err := readFrame(bytes.NewReader(slices.Clip(in))); name == "unknown" && err != nil || name != "unknown" && err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// BenchmarkJudge is what a statement costs that no cache answers, parsed in this process and in another.
func BenchmarkJudge(b *testing.B) {
	w := shopWorld()
	p, _ := isolated(b, 1, 0)
	for _, text := range []struct{ name, sql string }{
		{"point", "SELECT name FROM customers WHERE id = 1"},
		{"join", "SELECT c.region, count(*), sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id LEFT JOIN products p ON p.id = o.id WHERE o.total > 5 AND c.name LIKE 'a%' GROUP BY c.region ORDER BY 3 DESC LIMIT 10"},
	} {
		for name, g := range map[string]*Guard{"embedded": NewGuard(-1), "isolated": NewGuard(-1).Isolate(p)} {
			b.Run(text.name+"/"+name, func(b *testing.B) {
				for b.Loop() {
					if d := g.Decide(w, text.sql, Simple); d.Verdict != Rewrite {
						b.Fatal(d.Refusal)
					}
				}
			})
		}
	}
}
