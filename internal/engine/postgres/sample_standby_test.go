package postgres

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/pgtest"
)

// Samples are read on the standby, all of them and nothing on the primary, and on the primary again when the standby cannot be read or is none.
func TestSamplesAreReadOnTheStandby(t *testing.T) {
	c := pgtest.Start(t, pgtest.DefaultMajor)
	db := c.NewDatabase(t)
	db.Exec(t, `CREATE TABLE a (mail text, city text); INSERT INTO a SELECT 'p' || i || '@haus.de', 'Hamburg' FROM generate_series(1, 300) i;
		CREATE TABLE b (phone text); INSERT INTO b SELECT '+49 40 ' || 1000000 + i * 317 FROM generate_series(1, 300) i`)
	copied := c.Standby(t)
	elsewhere := pgtest.Start(t, pgtest.DefaultMajor)
	elsewhere.Exec(t, "CREATE DATABASE "+db.Name)
	at := func(c *pgtest.Cluster) Config {
		cfg, err := ParseDSN(c.DSN(pgtest.SuperUser, db.Name), func(string) string { return "" })
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	run := func(of *pgtest.Cluster) (*discover.Report, []string, []string) {
		t.Helper()
		var said []string
		f := NewFeed(at(c), 2)
		defer f.Close(context.Background())
		f.Prefer(t.Context(), []Standby{{Name: "copy", Login: at(of)}}, func(text string) { said = append(said, text) })
		rep := discovered(t, f, discover.Options{From: discover.FromSample, Jobs: 2})
		for place, want := range map[string]string{"public.a.mail": "contact.email", "public.b.phone": "contact.phone"} {
			if got := classOf(t, rep, place); got != want {
				t.Errorf("%s is %q", place, got)
			}
		}
		return rep, f.Sources(), said
	}
	before := settled(t, db)
	if _, from, said := run(copied); !slices.Equal(from, []string{"copy"}) || len(said) != 0 {
		t.Errorf("samples were read on %q, said %q", from, said)
	}
	if after := settled(t, db); after != before {
		t.Errorf("the primary's tables were read: %s scans, then %s", before, after)
	}

	// What has not arrived yet is read where it is.
	copied.Exec(t, "SELECT pg_wal_replay_pause()")
	db.Exec(t, "CREATE TABLE late (mail text); INSERT INTO late SELECT 'l' || i || '@haus.de' FROM generate_series(1, 300) i")
	rep, from, said := run(copied)
	if got := classOf(t, rep, "public.late.mail"); got != "contact.email" || !slices.Equal(from, []string{"", "copy"}) || len(said) != 0 {
		t.Errorf("late.mail is %q, read on %q, said %q", got, from, said)
	}

	for name, of := range map[string]*pgtest.Cluster{"it is a copy of another server": elsewhere, "it is no standby any more": c} {
		if _, from, said := run(of); !slices.Equal(from, []string{""}) || len(said) != 1 || !strings.Contains(said[0], name) {
			t.Errorf("%s: read on %q, said %q", name, from, said)
		}
	}
	copied.Stop()
	if _, from, said := run(copied); !slices.Equal(from, []string{""}) || len(said) != 1 || !strings.Contains(said[0], "samples are not read on the standby copy: connect to") {
		t.Errorf("with the standby down samples were read on %q, said %q", from, said)
	}
	if settled(t, db) == before {
		t.Error("nothing counts the reads of the primary")
	}
}

// settled is the number of scans of the primary's tables once every other session has told what it did.
func settled(t *testing.T, db *pgtest.DB) string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); db.Query(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'") != "0"; {
		if time.Now().After(end) {
			t.Fatal("a session does not end")
		}
	}
	return db.Query(t, "SELECT sum(seq_scan) FROM pg_stat_user_tables")
}
