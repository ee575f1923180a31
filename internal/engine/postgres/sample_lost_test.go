package postgres

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/pgtest"
)

// TestALostConnectionIsTriedOnceMore has sessions end under the work, and counts how often it is done.
func TestALostConnectionIsTriedOnceMore(t *testing.T) {
	db := pgtest.Shared(t, pgtest.DefaultMajor).NewDatabase(t)
	f := feedOf(t, db, pgtest.SuperUser)
	const end = "SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())"
	for _, c := range []struct {
		name     string
		first    string // what the first time runs; the others run the last
		later    string
		calls    int
		sqlstate string
	}{
		{"lost once", end, "SELECT 1", 2, ""},
		{"lost each time", end, end, 2, "57P01"},
		{"another error", "SELECT 1/0", "SELECT 1", 1, "22012"},
		{"no error", "SELECT 1", "SELECT 1/0", 1, ""},
	} {
		calls := 0
		err := f.with(t.Context(), func(tx pgx.Tx) error {
			calls++
			sql := c.later
			if calls == 1 {
				sql = c.first
			}
			_, err := tx.Exec(t.Context(), sql)
			return sampleRefusal(err)
		})
		code := ""
		var no *discover.NotExamined
		if errors.As(err, &no) {
			code = no.Code
		}
		if calls != c.calls || code != c.sqlstate || (err != nil) != (c.sqlstate != "") {
			t.Errorf("%s: %d calls, want %d; %v, want code %q", c.name, calls, c.calls, err, c.sqlstate)
		}
	}
}

// TestALostConnectionCostsNoTable ends the session in the middle of a sample: the sample is whole, and no row is in it twice.
func TestALostConnectionCostsNoTable(t *testing.T) {
	db := pgtest.Shared(t, pgtest.DefaultMajor).NewDatabase(t)
	db.Exec(t, "CREATE VIEW slow AS SELECT (pg_sleep(0.001) IS NULL)::text || i AS v FROM generate_series(1, 1100) i")
	f := feedOf(t, db, pgtest.SuperUser)
	cat, err := f.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(cat.Tables, func(t discover.Table) bool { return t.Name == "slow" })
	ended := make(chan bool, 1)
	conn := db.Connect(t, pgtest.SuperUser)
	go func() {
		seen := map[time.Time]bool{}
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
			var pid int
			var start time.Time
			err := conn.QueryRow(t.Context(), "SELECT pid, query_start FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'FETCH%' AND state = 'active'").Scan(&pid, &start)
			if err != nil {
				continue // between two of them
			}
			if seen[start] = true; len(seen) == 2 { // the first has brought rows
				var done bool
				err := conn.QueryRow(t.Context(), "SELECT pg_terminate_backend($1)", pid).Scan(&done)
				ended <- err == nil && done
				return
			}
		}
		ended <- false
	}()
	vals, err := f.Sample(t.Context(), discover.Ask{Table: &cat.Tables[at], Columns: []int{0}, Rows: 2000, Bytes: 4096, Total: 24 << 20, Seed: 1})
	if !<-ended {
		t.Fatal("the session was not ended")
	}
	if err != nil || vals[0].Rows != 1100 || len(vals[0].Texts) != 1100 {
		t.Fatalf("%+v (%v)", vals, err)
	}
}
