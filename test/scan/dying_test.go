package scan_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// end is what a relay does to its connections when its moment has come.
type end int

const (
	goOn    end = iota
	cutOne      // that connection breaks, as when one backend dies
	cutAll      // every connection breaks and nobody answers any more, as when the machine loses power
	stall       // nothing is passed on any more and nothing is closed, as when a network drops what it is given
	stopOne     // that connection is silent; others work
)

// relay stands between a scan and its server and ends what passes after a number of the server's messages.
type relay struct {
	listener net.Listener
	server   string
	how      end
	after    int
	at       func() // called at that moment, in place of an end of its own; may be nil

	mu    sync.Mutex
	seen  int
	done  bool
	dead  bool
	conns []net.Conn
	wg    sync.WaitGroup
}

// startRelay relays to a server's socket. With after 0 nothing ever happens.
func startRelay(t *testing.T, c *pgtest.Cluster, how end, after int, at func()) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{listener: l, server: filepath.Join(c.SocketDir, ".s.PGSQL."+strconv.Itoa(c.Port)), how: how, after: after, at: at}
	r.wg.Go(r.accept)
	t.Cleanup(r.close)
	return r
}

func (r *relay) dsn(db *pgtest.DB, as level) string {
	_, port, _ := net.SplitHostPort(r.listener.Addr().String())
	return db.DSN(string(as)) + " host=127.0.0.1 connect_timeout=5 port=" + port
}

func (r *relay) close() {
	_ = r.listener.Close()
	r.mu.Lock()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.mu.Lock()
		r.conns = append(r.conns, client)
		dead := r.dead
		r.mu.Unlock()
		switch {
		case dead && r.how == cutAll:
			_ = client.Close()
			continue
		case dead && r.how == stall:
			continue // open, and nobody there
		}
		server, err := net.Dial("unix", r.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, server)
		r.mu.Unlock()
		r.wg.Go(func() {
			_, _ = io.Copy(server, client) // either side may end
			_ = server.Close()
		})
		r.wg.Go(func() { r.answers(client, server) })
	}
}

// answers passes the server's messages on, one by one.
func (r *relay) answers(client, server net.Conn) {
	defer func() { _ = server.Close() }()
	head := make([]byte, 5)
	for {
		if _, err := io.ReadFull(server, head); err != nil {
			_ = client.Close()
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(server, body); err != nil {
			_ = client.Close()
			return
		}
		switch r.count() {
		case cutOne, cutAll:
			// A part of the message still comes, as it may when a machine dies.
			_, _ = client.Write(head[:3])
			_ = client.Close()
			return
		case stall, stopOne:
			_, _ = io.Copy(io.Discard, server) // until the scan gives up
			return
		}
		if _, err := client.Write(append(head[:5:5], body...)); err != nil {
			return
		}
	}
}

// count counts one message and says whether this is the moment, or is past it.
func (r *relay) count() end {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen++
	if r.dead {
		return r.how
	}
	if r.after == 0 || r.done || r.seen < r.after {
		return goOn
	}
	r.done = true
	if r.at != nil {
		r.at()
		return goOn
	}
	r.dead = r.how == cutAll || r.how == stall
	if r.how == cutAll {
		for _, c := range r.conns {
			_ = c.Close()
		}
	}
	return r.how
}

// scanOf scans through the relay with short limits. It ends in time whatever the relay does.
func scanOf(t *testing.T, dsn string) (*catalog.Evidence, error) {
	t.Helper()
	target, err := postgres.ScanDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	type outcome struct {
		e   *catalog.Evidence
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		e, err := target.Gather(context.Background(), postgres.Gather{Now: today, QuestionTimeout: time.Second, SampleData: true, TryPasswords: true})
		done <- outcome{e, err}
	}()
	select {
	case o := <-done:
		return o.e, o.err
	case <-time.After(90 * time.Second):
		t.Fatal("the scan hangs")
		return nil, errors.New("it hangs")
	}
}

// consenting judges with the consents that scanOf gathers with.
func consenting(t *testing.T) *scan.Env {
	env := newEnv(t)
	env.Consents[scan.SampleData], env.Consents[scan.TryPasswords] = true, true
	return env
}

// partial holds the report of a scan that was cut short to that of the whole one: what it says it says of the same server, and what it could
// not look at it does not call a pass.
func partial(t *testing.T, name string, e *catalog.Evidence, err error, whole *scan.Report) {
	t.Helper()
	if err != nil {
		if e != nil || strings.Contains(err.Error(), "goroutine") {
			t.Errorf("%s: %v", name, err)
		}
		return // it ended before the first answer: there is nothing to report, and the command exits 2
	}
	r, err := scan.Run(e, consenting(t), scan.Options{})
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if r.Exit() != 3 || e.Lost == "" {
		t.Errorf("%s: exit %d, lost %q", name, r.Exit(), e.Lost)
	}
	blind := 0
	for i := range r.Results {
		res, was := &r.Results[i], whole.Result(r.Results[i].Check.ID)
		switch {
		case res.State == scan.NotEvaluated && was.State != scan.NotEvaluated:
			blind++
			if !res.Broken || res.Reason == "" {
				t.Errorf("%s: %s says nothing of what happened: %s", name, res.Check.ID, describe(res))
			}
		case res.State != was.State:
			t.Errorf("%s: %s is %s, of the whole server %s", name, res.Check.ID, describe(res), describe(was))
		}
	}
	if blind == 0 {
		t.Errorf("%s: everything was evaluated", name)
	}
	for _, format := range scan.Formats {
		var out strings.Builder
		if format == "table" {
			err = r.WriteTable(&out, scan.Table{})
		} else {
			err = r.Write(&out, format)
		}
		if err != nil {
			t.Errorf("%s: %s: %v", name, format, err)
		}
		if format == "table" && (!strings.Contains(out.String(), "incomplete: ") || !strings.Contains(out.String(), "not seen: ")) {
			t.Errorf("%s: the report does not say what it lacks:\n%s", name, out.String())
		}
	}
}

// TestServerDiesDuringScan: a connection that breaks or goes silent after any message of the server's, and a server that is really killed, cost
// what was not seen yet. Nothing hangs, nothing that was not seen passes, and the exit code is 3.
func TestServerDiesDuringScan(t *testing.T) {
	t.Parallel()
	c := pgtest.Start(t, pgtest.DefaultMajor)
	db := c.NewDatabase(t)
	db.Exec(t, "CREATE TABLE t(id int, password text); INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 20) i; CREATE ROLE boss SUPERUSER LOGIN; GRANT SELECT ON t TO PUBLIC; ALTER ROLE boss PASSWORD 'boss'")
	watch := db.Connect(t, pgtest.SuperUser)
	calm := startRelay(t, c, goOn, 0, nil)
	e, err := scanOf(t, calm.dsn(db, superuser))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := scan.Run(e, consenting(t), scan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if e.Lost != "" || whole.Exit() != 1 {
		t.Fatalf("nothing happened: lost %q, exit %d", e.Lost, whole.Exit())
	}
	all := calm.seen
	for how, moments := range map[end]int{cutOne: 6, cutAll: 6, stall: 3, stopOne: 2} {
		for i := range moments {
			after := 16 + (all-16)*(2*i+1)/(2*moments) // the login takes about 16
			r := startRelay(t, c, how, after, nil)
			start := time.Now()
			e, err := scanOf(t, r.dsn(db, superuser))
			name := fmt.Sprintf("end %d after message %d of %d, in %v", how, after, all, time.Since(start).Round(time.Millisecond))
			if testing.Verbose() && e != nil {
				t.Logf("%s: %s", name, e.Lost)
			}
			partial(t, name, e, err, whole)
			r.close()
		}
	}
	t.Run("in the middle of the login", func(t *testing.T) {
		for _, how := range []end{cutAll, stall} {
			if e, err := scanOf(t, startRelay(t, c, how, 3, nil).dsn(db, superuser)); err == nil || e != nil {
				t.Errorf("end %d: no login, and no error", how)
			}
		}
	})
	t.Run("a backend is killed", func(t *testing.T) {
		r := startRelay(t, c, goOn, all/3, func() {
			var pid int
			if err := watch.QueryRow(context.Background(), "SELECT pid FROM pg_stat_activity WHERE application_name = 'postern-scan'").Scan(&pid); err != nil {
				t.Error(err)
				return
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		})
		e, err := scanOf(t, r.dsn(db, superuser))
		partial(t, "a backend killed", e, err, whole)
	})
	t.Run("the server is killed", func(t *testing.T) {
		c.Restart(t)
		db.Connect(t, pgtest.SuperUser) // the session that other scans saw
		r := startRelay(t, c, goOn, all/3, c.Crash)
		e, err := scanOf(t, r.dsn(db, superuser))
		partial(t, "the server killed", e, err, whole)
	})
}
