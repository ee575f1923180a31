package state_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/state"
)

// The test binary plays the writer that is killed when these are set.
const (
	childFolder = "POSTERN_STATE_TEST_WRITER"
	childSync   = "POSTERN_STATE_TEST_SYNC"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(childFolder); folder != "" {
		fmt.Println("child:", writeUntilKilled(folder, os.Getenv(childSync)))
		os.Exit(1)
	}
	pgtest.Main(m)
}

func auditKey() (*audit.Key, error) {
	text, err := audit.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		return nil, err
	}
	return audit.LoadKey(text)
}

func openTrail(ctx context.Context, folder, sync string) (*audit.Trail, *state.DB, error) {
	key, err := auditKey()
	if err != nil {
		return nil, nil, err
	}
	every, err := audit.ParseSync(sync)
	if err != nil {
		return nil, nil, err
	}
	db, err := state.Open(ctx, filepath.Join(folder, "postern.db"))
	if err != nil {
		return nil, nil, err
	}
	trail, err := audit.Open(audit.Config{
		Folder: filepath.Join(folder, "audit"), Key: key, Instance: "gw1", Sync: every, State: db,
		RotateSize: 200_000, CheckpointEvery: 100,
	})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return trail, db, nil
}

// writeUntilKilled records from several goroutines and prints each event's ID once it is acknowledged.
func writeUntilKilled(folder, sync string) error {
	trail, _, err := openTrail(context.Background(), folder, sync)
	if err != nil {
		return err
	}
	failed := make(chan error)
	for range 4 {
		go func() {
			for {
				id, err := trail.Record(context.Background(), audit.Event{Kind: audit.Decision, Subject: "ana", Statement: "SELECT $1"})
				if err == nil {
					_, err = os.Stdout.WriteString(id + "\n")
				}
				if err == nil {
					err = trail.RecordSoon(audit.Event{Kind: audit.Completion, Ref: id})
				}
				if err != nil {
					failed <- err
				}
			}
		}()
	}
	return <-failed
}

// TestKilledWriterLosesNothingAcknowledged kills a writer under load with SIGKILL, several times over the same folder.
func TestKilledWriterLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	for _, sync := range []string{"always", "100ms"} {
		t.Run(sync, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			acknowledged := map[string]bool{}
			for round := range 4 {
				killWriter(t, folder, sync, 200+100*round, acknowledged)
				checkAfterKill(t, folder, sync, acknowledged)
			}
		})
	}
}

// killWriter starts the writer, reads that many acknowledgements, kills it and reads what was still on its way.
func killWriter(t *testing.T, folder, sync string, after int, acknowledged map[string]bool) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), childFolder+"="+folder, childSync+"="+sync)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if strings.HasPrefix(lines.Text(), "child:") {
			t.Fatal(lines.Text())
		}
		acknowledged[lines.Text()] = true
		if n == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the writer ended by itself")
	}
}

func checkAfterKill(t *testing.T, folder, sync string, acknowledged map[string]bool) {
	t.Helper()
	trail, db, err := openTrail(t.Context(), folder, sync)
	if err != nil {
		t.Fatal(err)
	}
	if err := trail.Close(); err != nil {
		t.Fatal(err)
	}
	key, err := auditKey()
	if err != nil {
		t.Fatal(err)
	}
	r, err := audit.Verify(t.Context(), filepath.Join(folder, "audit"), audit.VerifyOptions{PublicKey: key.Public(), State: db})
	if err != nil || r.Status != audit.Intact {
		t.Fatalf("%v %+v", err, r)
	}
	if h, found, err := db.LoadHead(t.Context(), "gw1"); err != nil || !found || h != r.Head {
		t.Errorf("state knows %+v, the trail ends at %+v, %v", h, r.Head, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for id := range acknowledged {
		left[id] = true
	}
	for f, err := range audit.Search(t.Context(), filepath.Join(folder, "audit"), audit.Query{Kind: audit.Decision}) {
		if err != nil {
			t.Fatal(err)
		}
		delete(left, f.Record.ID)
	}
	if len(left) > 0 {
		t.Fatalf("%d of %d acknowledged events are lost", len(left), len(acknowledged))
	}
}

// TestReadersBesideAWriter: a verifier reads the head while the writer saves it.
func TestReadersBesideAWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postern.db")
	writer, reader := open(t, path), open(t, path)
	var wg sync.WaitGroup
	wg.Go(func() {
		for seq := uint64(1); seq <= 50; seq++ {
			if err := writer.SaveHead(t.Context(), head(seq)); err != nil {
				t.Error(err)
			}
		}
	})
	last := uint64(0)
	for range 50 {
		h, _, err := reader.LoadHead(t.Context(), "gw1")
		if err != nil || h.Seq < last {
			t.Fatalf("%+v after %d, %v", h, last, err)
		}
		last = h.Seq
	}
	wg.Wait()
}
