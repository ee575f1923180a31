package state_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/state"
)

// migrationsUpTo makes a file as the version of Postern left it that knew no more than the first n migrations.
func migrationsUpTo(t *testing.T, path string, files []string, n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	statements := []string{
		"CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))",
		"INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)",
	}
	for _, file := range files[:n] {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		number, _, _ := strings.Cut(filepath.Base(file), "_")
		version, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, up, fmt.Sprintf("INSERT INTO goose_db_version (version_id, is_applied) VALUES (%d, 1)", version))
	}
	statements = append(statements,
		"INSERT INTO installation (one, id, created) VALUES (1, '0123456789abcdef', '2026-01-02T03:04:05Z')",
		"INSERT INTO generation (name, value, updated) VALUES ('identity_passwords', 7, '2026-01-02T03:04:05Z')",
		"INSERT INTO trail_head (instance, count, head, time, checkpoint, updated) VALUES ('gw1', 9, '"+strings.Repeat("ab", 32)+"', '2026-03-04T05:06:07.000008Z', 8, '2026-01-02T03:04:05Z')",
	)
	if n >= 2 { // which began to keep grants; when they ended it had no column for
		statements = append(statements, `INSERT INTO access_grant (id, version, request, subject, rule, open, closing, due, doc)
VALUES ('old', 2, 'rold', 'ana', 'y', 0, 0, 0, '{"id":"old","version":2,"state":"ended","subject":"ana","rule":"y","dataset":"staff","request":"rold","closed":"2026-02-03T04:05:06Z"}'),
	('live', 1, 'rlive', 'bob', 'y', 1, 0, 0, '{"id":"live","version":1,"state":"active","subject":"bob","rule":"y","dataset":"staff","request":"rlive"}')`)
	}
	for _, s := range statements {
		if _, err := db.ExecContext(context.Background(), s); err != nil {
			t.Fatalf("%v in\n%s", err, s)
		}
	}
}

// A file of every earlier schema opens, keeps what it held, and takes what this version keeps.
func TestUpgradeFromEverySchema(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	slices.Sort(files)
	for n := 1; n < len(files); n++ {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("v%d.db", n))
		migrationsUpTo(t, path, files, n)
		db := open(t, path)
		if i, err := db.Installation(t.Context()); err != nil || i.ID != "0123456789abcdef" {
			t.Errorf("from %d: installation %+v, %v", n, i, err)
		}
		if g, err := db.Generation(t.Context(), state.IdentityPasswords); err != nil || g != 7 {
			t.Errorf("from %d: generation %d, %v", n, g, err)
		}
		if h, found, err := db.LoadHead(t.Context(), "gw1"); err != nil || !found || h != head(9) {
			t.Errorf("from %d: head %+v, %v, %v", n, h, found, err)
		}
		now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
		change := access.Change{
			Requests: []access.Request{{ID: "r", Version: 1, State: access.Approved, Subject: "ana", Rule: "x", Created: now, Expires: now}},
			Grants:   []access.Grant{{ID: "g", Version: 1, State: access.Active, Wall: access.WallPending, Subject: "ana", Rule: "x", Request: "r", Start: now, End: now.Add(time.Hour)}},
		}
		if err := db.Commit(t.Context(), change); err != nil {
			t.Errorf("from %d: %v", n, err)
		}
		if n >= 2 {
			before := &access.Place{Closed: now, ID: "x"}
			over, err := db.Grants(t.Context(), access.Filter{Over: true, Newest: 5, Before: before, Datasets: []string{"staff"}})
			if err != nil || len(over) != 1 || over[0].ID != "old" {
				t.Errorf("from %d: grants that ended before: %+v, %v", n, over, err)
			}
			live, err := db.Grants(t.Context(), access.Filter{Open: true, Datasets: []string{"staff"}})
			if err != nil || len(live) != 1 || live[0].ID != "live" {
				t.Errorf("from %d: grants on a dataset: %+v, %v", n, live, err)
			}
		}
		if got, err := db.Grants(t.Context(), access.Filter{Open: true, Subject: "ana"}); err != nil || len(got) != 1 || got[0].ID != "g" {
			t.Errorf("from %d: grants %+v, %v", n, got, err)
		}
	}
}

// What a gateway of an earlier version writes beside this one, without the columns that it does not know, is found after the next tidying.
func TestEarlierVersionBeside(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s.db")
	db := open(t, path)
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	if _, err := raw.ExecContext(t.Context(), `INSERT INTO access_grant (id, version, request, subject, rule, open, closing, due, doc)
VALUES ('g', 1, 'r', 'ana', 'x', 1, 0, 0, '{"id":"g","version":1,"state":"active","subject":"ana","rule":"x","dataset":"staff","request":"r"}')`); err != nil {
		t.Fatal(err)
	}
	if err := db.Tidy(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if got, err := db.Grants(t.Context(), access.Filter{Open: true, Datasets: []string{"staff"}}); err != nil || len(got) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}
