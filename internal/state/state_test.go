package state_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/state"
)

func open(t *testing.T, path string) *state.DB {
	t.Helper()
	db, err := state.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func head(seq uint64) audit.Head {
	return audit.Head{
		Instance: "gw1", Seq: seq, Hash: strings.Repeat("ab", 32), Checkpoint: seq - 1,
		Time: time.Date(2026, 3, 4, 5, 6, 7, 8000, time.UTC),
	}
}

func TestHeadsSurviveReopeningAndNeverGoBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a folder?", "post#ern%20.db")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	db := open(t, "sqlite:"+path)
	if _, found, err := db.LoadHead(t.Context(), "gw1"); err != nil || found {
		t.Fatalf("fresh state: found %v, err %v", found, err)
	}
	for _, seq := range []uint64{7, 9, 8} {
		if err := db.SaveHead(t.Context(), head(seq)); err != nil {
			t.Fatal(err)
		}
	}
	id, err := db.Installation(t.Context())
	if err != nil || len(id.ID) != 16 || time.Since(id.Created) > time.Minute {
		t.Fatalf("installation %+v, err %v", id, err)
	}

	again := open(t, path)
	got, found, err := again.LoadHead(t.Context(), "gw1")
	if err != nil || !found || got != head(9) {
		t.Fatalf("got %+v, found %v, err %v", got, found, err)
	}
	if id2, err := again.Installation(t.Context()); err != nil || id2 != id {
		t.Fatalf("installation changed: %+v, %+v, %v", id, id2, err)
	}
	for _, name := range []string{path, path + "-wal"} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, err %v", name, info.Mode(), err)
		}
	}
}

func TestOpenNarrowsAWideFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postern.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, err %v", info.Mode(), err)
	}
}

func TestGenerationsAreUniqueAcrossWriters(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		first, second := open(t, path), open(t, path)
		if n, err := first.Generation(t.Context(), state.IdentityPasswords); err != nil || n != 1 {
			t.Fatalf("before the first advance: %d, %v", n, err)
		}
		var mu sync.Mutex
		seen := map[uint64]bool{}
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				db := first
				if i%2 == 0 {
					db = second
				}
				n, err := db.Advance(t.Context(), state.IdentityPasswords)
				mu.Lock()
				defer mu.Unlock()
				if err != nil || seen[n] {
					t.Errorf("generation %d again, or %v", n, err)
				}
				seen[n] = true
			})
		}
		wg.Wait()
		if n, err := second.Generation(t.Context(), state.IdentityPasswords); err != nil || n != 21 {
			t.Fatalf("after twenty: %d, %v", n, err)
		}
	})
}

func TestConcurrentFirstOpen(t *testing.T) {
	everywhere(t, func(t *testing.T, path string) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				db, err := state.Open(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(t *testing.T, path string)
		want    error
		says    string
	}{
		"garbage": {func(t *testing.T, path string) {
			write(t, path, []byte(strings.Repeat("no database at all. ", 500)))
		}, state.ErrCorrupt, "backup"},
		"a damaged page": {func(t *testing.T, path string) {
			fill(t, path)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 4096; i < len(b); i++ {
				b[i] = 0x5a
			}
			write(t, path, b)
		}, state.ErrCorrupt, "damaged"},
		"a newer schema": {func(t *testing.T, path string) {
			fill(t, path)
			execute(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
		}, state.ErrNewer, "999"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "postern.db")
			tt.prepare(t, path)
			db, err := state.Open(t.Context(), path)
			if err == nil {
				_ = db.Close()
			}
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), path) {
				t.Fatalf("got %v", err)
			}
		})
	}
	for _, path := range []string{"", "sqlite:", "mysql://u:secret@h/db", "postgres://u:secret@127.0.0.1:1/db", "postgres://u:secret@h:x/db", t.TempDir(), "/nonexistent/x.db"} {
		db, err := state.Open(t.Context(), path)
		if err == nil {
			_ = db.Close()
			t.Errorf("%q was opened", path)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	if _, err := state.OpenExisting(t.Context(), state.Place{Path: filepath.Join(t.TempDir(), "x.db")}); !errors.Is(err, state.ErrMissing) {
		t.Errorf("missing file: %v", err)
	}
}

func fill(t *testing.T, path string) {
	t.Helper()
	db, err := state.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.SaveHead(t.Context(), head(5)), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func execute(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
