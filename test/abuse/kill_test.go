package abuse_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-sec/postern/test/site"
)

// asked is a statement that a client has got its rows for. Column names stand in the trail as they were written; values do not.
var asked = regexp.MustCompile(`\bq\d+_\d+\b`)

// load keeps clients busy until they lose their connection, and returns the statements that were answered.
func load(t *testing.T, s *site.Site, round, clients int, enough chan<- struct{}) []string {
	t.Helper()
	var (
		mu   sync.Mutex
		done []string
		wg   sync.WaitGroup
	)
	for c := range clients {
		conn := connect(t, s)
		wg.Go(func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("q%d_%d", round*clients+c, n)
				var id int
				if err := conn.QueryRow(context.Background(), "SELECT id AS "+name+" FROM customers WHERE id = 1").Scan(&id); err != nil {
					return // the gateway is gone
				}
				mu.Lock()
				done = append(done, name)
				if len(done) == 400 {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return done
}

// The gateway is killed under load, twice: once syncing each record, once every 100 ms. Whatever a client had an answer for is on
// the trail after the restart, and the trail verifies, from its first record to its last.
func tryKill(t *testing.T, s *site.Site) {
	const clients = 4
	var answered []string
	for round, sync := range []string{"always", "100ms"} {
		s.WritePolicy(t, strings.Replace(site.Testdata(t, "postern.yaml"), "sync: 100ms", "sync: "+sync, 1))
		s.Serve(t)
		pid, enough := s.Pid(), make(chan struct{})
		go func() {
			select {
			case <-enough:
			case <-time.After(patience):
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}()
		done := load(t, s, round, clients, enough)
		if len(done) < 400 {
			t.Fatalf("round %d: only %d statements", round, len(done))
		}
		eventually(t, "the process is gone", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
		answered = append(answered, done...)
		t.Logf("sync %s: killed after %d statements", sync, len(done))
	}
	s.Serve(t)
	answers(t, s)
	s.Stop(t)
	if out := s.Must(t, "audit", "verify"); !strings.Contains(out, "intact") {
		t.Errorf("after the restart: %s", out)
	}
	decided, completed := events(t, s)
	lost, unfinished := 0, 0
	for _, name := range answered {
		if !decided[name] {
			lost++
		}
		if !completed[name] {
			unfinished++
		}
	}
	// A decision is on the trail before anything is sent. The completion is on its way there while the client reads the answer:
	// the kill may cost the last one of each client.
	if lost > 0 || unfinished > 2*clients {
		t.Errorf("of %d statements that were answered, %d have no decision and %d no completion on the trail", len(answered), lost, unfinished)
	}
}

// events reads the trail as files, without the product: which statements have a decision, and which a completion.
func events(t *testing.T, s *site.Site) (decided, completed map[string]bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(s.Dir, "audit", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no trail: %v", err)
	}
	decided, completed = map[string]bool{}, map[string]bool{}
	byID := map[string]string{}
	for _, name := range files {
		f, err := os.Open(name) // #nosec G304 -- the test's own folder
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var e struct{ Kind, ID, Ref, Statement string }
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				continue // a torn line, which the recovery record answers for
			}
			switch e.Kind {
			case "statement.decision":
				if q := asked.FindString(e.Statement); q != "" {
					decided[q] = true
					byID[e.ID] = q
				}
			case "statement.completion":
				completed[byID[e.Ref]] = true
			}
		}
		if err := errors.Join(lines.Err(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return decided, completed
}
