package postgres

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/pgtest"
)

// TestATableThatNobodyCountedIsNotReadWhole loads tables that are never analysed, so that the catalog knows of no page and no row.
func TestATableThatNobodyCountedIsNotReadWhole(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db := c.NewDatabase(t)
		const rows = 200000
		db.Exec(t, fmt.Sprintf(`CREATE TABLE loaded (id int, reach text) WITH (autovacuum_enabled = off);
			CREATE TABLE part (id int, reach text) PARTITION BY RANGE (id);
			CREATE TABLE part1 PARTITION OF part FOR VALUES FROM (0) TO (1000000) WITH (autovacuum_enabled = off);
			CREATE TABLE mother (id int, reach text); CREATE TABLE child () INHERITS (mother) WITH (autovacuum_enabled = off);
			CREATE TABLE little (id int, reach text) WITH (autovacuum_enabled = off); INSERT INTO little SELECT i, 'p' || i || '@haus.de' FROM generate_series(1, 1000) i;
			INSERT INTO loaded SELECT i, 'p' || i || '@haus.de' FROM generate_series(1, %d) i;
			INSERT INTO part SELECT i, 'p' || i || '@haus.de' FROM generate_series(1, %[1]d) i; INSERT INTO child SELECT i, 'p' || i || '@haus.de' FROM generate_series(1, %[1]d) i`, rows))
		f := feedOf(t, db, pgtest.SuperUser)
		cat, err := f.Catalog(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		db.Exec(t, "SELECT pg_stat_reset()")
		got := map[string]int{}
		for i := range cat.Tables {
			tab := &cat.Tables[i]
			if tab.Name == "part1" || tab.Name == "child" {
				continue // as part of what is above
			}
			vals, err := f.Sample(t.Context(), discover.Ask{Table: tab, Columns: []int{0, 1}, Rows: 2000, Bytes: 4096, Total: 24 << 20, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			got[tab.Name] = vals[1].Rows
		}
		for _, name := range []string{"loaded", "part", "mother"} {
			if got[name] != 2000 {
				t.Errorf("%s: %d rows kept", name, got[name])
			}
		}
		if got["little"] != 1000 {
			t.Errorf("a little table is not read whole: %d rows", got["little"])
		}
		f.Close(t.Context()) // the server counts what a session read at its end
		deadline := time.Now().Add(20 * time.Second)
		for _, name := range []string{"loaded", "part1", "child"} {
			read := 0
			for read == 0 && time.Now().Before(deadline) {
				read, _ = strconv.Atoi(db.Query(t, "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = '"+name+"'"))
			}
			if read == 0 || read > rows/4 {
				t.Errorf("%s: %d rows of %d were read", name, read, rows)
			}
		}
	})
}

// TestAViewIsNotReadToItsEnd has views over a table that counts the rows that are read of it.
func TestAViewIsNotReadToItsEnd(t *testing.T) {
	db := pgtest.Shared(t, pgtest.DefaultMajor).NewDatabase(t)
	db.Exec(t, `CREATE TABLE big (id int) WITH (autovacuum_enabled = off); INSERT INTO big SELECT generate_series(1, 60000);
		CREATE VIEW narrow AS SELECT 'p' || id || '@haus.de' AS reach FROM big;
		CREATE VIEW wide AS SELECT repeat('x', 4000) AS reach FROM big;
		CREATE VIEW slow AS SELECT (pg_sleep(0.002) IS NULL)::text || id AS reach FROM big;
		CREATE VIEW few AS SELECT 'p' || id || '@haus.de' AS reach FROM big WHERE id <= 90`)
	cat, err := feedOf(t, db, pgtest.SuperUser).Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		view       string
		kept, most int
	}{{"narrow", 100, 5000}, {"wide", 100, 1250}, {"slow", 100, 4000}, {"few", 90, 60000}} {
		cfg, err := ParseDSN(db.DSN(pgtest.SuperUser), func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		cfg.StatementTimeout = 4 * time.Second
		f := NewFeed(cfg, 1)
		at := slices.IndexFunc(cat.Tables, func(t discover.Table) bool { return t.Name == c.view })
		db.Exec(t, "SELECT pg_stat_reset()")
		vals, err := f.Sample(t.Context(), discover.Ask{Table: &cat.Tables[at], Columns: []int{0}, Rows: 100, Bytes: 4096, Total: 4000000, Seed: 1})
		f.Close(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if vals[0].Rows != c.kept {
			t.Errorf("%s: %d rows kept, want %d", c.view, vals[0].Rows, c.kept)
		}
		read := 0
		for deadline := time.Now().Add(20 * time.Second); read == 0 && time.Now().Before(deadline); {
			read, _ = strconv.Atoi(db.Query(t, "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'big'"))
		}
		if read == 0 || read > c.most {
			t.Errorf("%s: %d rows were read, want %d at most", c.view, read, c.most)
		}
	}
}
