package classify

import (
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	model "github.com/postern-sec/postern/internal/classify"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestScoresOverServer holds the aims with the real feeds, and prints what they cost.
func TestScoresOverServer(t *testing.T) {
	tables, err := Load(seed)
	if err != nil {
		t.Fatal(err)
	}
	db := pgtest.Default(t).NewDatabase(t)
	for _, sql := range SQL(tables) {
		db.Exec(t, sql)
	}
	cfg, err := postgres.ParseDSN(db.DSN(pgtest.SuperUser), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []struct {
		from   discover.From
		p, r   float64
		binary float64
	}{{discover.FromStats, 0.93, 0.82, 0.9}, {discover.FromAuto, 0.93, 0.85, 0.93}, {discover.FromSample, 0.93, 0.85, 0.93}} {
		t.Run(string(run.from), func(t *testing.T) {
			feed := postgres.NewFeed(cfg, 1)
			defer feed.Close(t.Context())
			start, cpu := time.Now(), processor(t)
			rep, err := discover.Run(t.Context(), feed, discover.Options{From: run.from, Load: 1})
			if err != nil {
				t.Fatal(err)
			}
			spent, cpu := time.Since(start), processor(t)-cpu
			s := evaluate(tables, found(t, tables, rep))
			var mem runtime.MemStats
			runtime.ReadMemStats(&mem)
			t.Logf("%s: %d columns, %d rows in %s (%s of this process), %d MB from the system\n%s", run.from, len(rep.Columns), rep.Summary.Rows, spent.Round(time.Millisecond), cpu.Round(time.Millisecond), mem.Sys>>20, s)
			if os.Getenv("DEVSET_WRONG") != "" {
				for _, w := range s.wrong {
					t.Log(w)
				}
			}
			if s.class.precision() < run.p || s.class.recall() < run.r || s.binary.f1() < run.binary {
				t.Errorf("%s misses its aims", run.from)
			}
		})
	}
}

// processor is the processor time that this process has used: beside other work the clock says little.
func processor(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// found sorts a report's records by the set's tables.
func found(t *testing.T, tables []Table, rep *discover.Report) [][]model.Finding {
	t.Helper()
	at := map[string]model.Finding{}
	for i := range rep.Columns {
		at[rep.Columns[i].Place()] = rep.Columns[i].Finding
	}
	out := make([][]model.Finding, len(tables))
	for i, tab := range tables {
		for _, c := range tab.Columns {
			f, ok := at[tab.Schema+"."+tab.Name+"."+c.Name]
			if !ok {
				t.Fatalf("no record of %s.%s.%s", tab.Schema, tab.Name, c.Name)
			}
			out[i] = append(out[i], f)
		}
	}
	return out
}
