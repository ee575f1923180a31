package postgres

import (
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/pgtest"
)

// TestStaleStatisticsAreNoAnswer has tables be filled anew after they were analysed: what was there once must not pass for what is
// there now.
func TestStaleStatisticsAreNoAnswer(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db := c.NewDatabase(t)
		db.Exec(t, `CREATE TABLE refilled (v text) WITH (autovacuum_enabled = off); INSERT INTO refilled SELECT (ARRAY['red', 'green', 'blue'])[1 + i % 3] FROM generate_series(1, 300) i;
			CREATE TABLE fresh (v text) WITH (autovacuum_enabled = off); INSERT INTO fresh SELECT (ARRAY['red', 'green', 'blue'])[1 + i % 3] FROM generate_series(1, 300) i;
			CREATE TABLE late (v text) WITH (autovacuum_enabled = off);
			CREATE TABLE part (k int, v text) PARTITION BY RANGE (k); CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (1000) WITH (autovacuum_enabled = off);
			INSERT INTO part SELECT i, (ARRAY['red', 'green', 'blue'])[1 + i % 3] FROM generate_series(1, 300) i`)
		analyse(t, db)
		if rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{From: discover.FromStats}); rep.ExitCode(false) != 0 {
			t.Errorf("fresh statistics have gaps: %+v", rep.NotExamined)
		}
		db.Exec(t, `DELETE FROM refilled; INSERT INTO refilled SELECT 'p' || i || '@haus.de' FROM generate_series(1, 300) i;
			UPDATE part SET v = 'p' || k || '@haus.de'; INSERT INTO late SELECT 'p' || i || '@haus.de' FROM generate_series(1, 300) i`)
		deadline := time.Now().Add(20 * time.Second)
		for db.Query(t, "SELECT count(*) FROM pg_stat_user_tables WHERE n_mod_since_analyze >= 300") != "3" {
			if time.Now().After(deadline) {
				t.Fatal("the server has not counted the changes")
			}
		}
		staleTables(t, db, "refilled", "late", "part", "part1")
		// Counters are lost in a crash: that a table was empty when it was analysed still shows.
		db.Exec(t, "SELECT pg_stat_reset()")
		staleTables(t, db, "late")
		conn := db.Connect(t, pgtest.SuperUser)
		if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE late IN ACCESS EXCLUSIVE MODE"); err != nil {
			t.Fatal(err)
		}
		if rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{From: discover.FromStats}); gapOf(rep, "late").Why != discover.WhyStale {
			t.Errorf("a table that somebody holds: %+v", rep.NotExamined)
		}
		if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		analyse(t, db) // the remedy
		rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{From: discover.FromStats})
		if got := classOf(t, rep, "public.refilled.v"); got != "contact.email" || rep.ExitCode(false) != 0 {
			t.Errorf("after ANALYZE: %q, gaps %+v", got, rep.NotExamined)
		}
	})
}

// staleTables holds the gaps of a run from statistics against the tables that are stale, and has the default sample them.
func staleTables(t *testing.T, db *pgtest.DB, names ...string) {
	t.Helper()
	rep := discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{From: discover.FromStats})
	for _, name := range names {
		if g := gapOf(rep, name); g.Why != discover.WhyStale || g.Grant != "ANALYZE public."+name+";" {
			t.Errorf("stats: %s is %+v", name, g)
		}
	}
	if rep.ExitCode(false) != 3 || gapOf(rep, "fresh").Why != "" {
		t.Errorf("stats: exit code %d, %+v", rep.ExitCode(false), rep.NotExamined)
	}
	rep = discovered(t, feedOf(t, db, pgtest.SuperUser), discover.Options{})
	for _, name := range names {
		if got := classOf(t, rep, "public."+name+".v"); got != "contact.email" {
			t.Errorf("auto: %s.v is %q", name, got)
		}
	}
	if rep.ExitCode(false) != 0 {
		t.Errorf("auto: exit code %d, %+v", rep.ExitCode(false), rep.NotExamined)
	}
}
