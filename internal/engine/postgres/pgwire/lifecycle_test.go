package pgwire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/policy"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func withGuard(g Guard) rigOption {
	return func(_ *rig, _ *gateway.Config, c *Config) { c.Guard = g }
}

// codeOf is the SQLSTATE of an error.
func codeOf(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return pe.Code
	}
	return fmt.Sprint(err)
}

// TestClients: psql over every way in, and pgx in every mode, see masked and filtered rows.
func TestClients(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	const want = "2|c***\n4|c***\n6|c***\n8|c***\n10|c***"
	for name, dsn := range map[string]string{
		"plain":   r.dsn(r.plain, "sslmode=prefer"),
		"tls":     r.dsn(r.addr, "sslmode=require"),
		"verify":  r.dsn(r.addr, "sslmode=verify-full sslrootcert="+r.ca),
		"plus":    r.dsn(r.addr, "sslmode=require channel_binding=require"),
		"unbound": r.dsn(r.addr, "sslmode=require channel_binding=disable"),
		"socket":  r.dsn(r.socket, ""),
		"options": r.dsn(r.plain, `sslmode=disable options='-c TimeZone=UTC --application-name=me'`),
	} {
		t.Run("psql "+name, func(t *testing.T) {
			t.Parallel()
			out, err := r.psql(t, dsn, "select id, email from customers order by id")
			if err != nil || out != want {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	for name, mode := range map[string]pgx.QueryExecMode{
		"prepared": pgx.QueryExecModeCacheStatement, "described": pgx.QueryExecModeCacheDescribe, "describe and exec": pgx.QueryExecModeDescribeExec,
		"exec": pgx.QueryExecModeExec, "simple": pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run("pgx "+name, func(t *testing.T) {
			t.Parallel()
			conn := r.connect(t, "")
			for range 3 {
				rows, err := conn.Query(t.Context(), "select id, email from customers where id > $1 order by id", mode, 4)
				if err != nil {
					t.Fatal(err)
				}
				got, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
					var id int
					var email string
					err := row.Scan(&id, &email)
					return fmt.Sprint(id, email), err
				})
				if err != nil || strings.Join(got, " ") != "6c*** 8c*** 10c***" {
					t.Errorf("%v %v", got, err)
				}
			}
		})
	}
	t.Run("pgx batch", func(t *testing.T) {
		conn := r.connect(t, "")
		b := &pgx.Batch{}
		for i := range 20 {
			b.Queue("select $1::int + $2::int", i, i)
		}
		b.Queue("select salary from payroll")
		b.Queue("select 1")
		res := conn.SendBatch(t.Context(), b)
		err := res.Close()
		if codeOf(err) != "42501" {
			t.Errorf("a batch with a refused statement: %v", err)
		}
		var n int
		if err := conn.QueryRow(t.Context(), "select 7").Scan(&n); err != nil || n != 7 {
			t.Errorf("after it: %d %v", n, err)
		}
	})
	t.Run("pgx copy in is refused", func(t *testing.T) {
		conn := r.connect(t, "")
		_, err := conn.CopyFrom(t.Context(), pgx.Identifier{"customers"}, []string{"id"}, pgx.CopyFromRows([][]any{{1}}))
		if codeOf(err) != "0A000" && codeOf(err) != "42501" {
			t.Error(err)
		}
		if err := conn.Ping(t.Context()); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}

// TestClientCertificate is PRO-29: a verified certificate whose name is the user's, and nobody else's.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	file, ca := writeServerCert(t) // of an authority whose common name is 127.0.0.1
	r := newRig(t, pgtest.Default(t), func(_ *rig, g *gateway.Config, _ *Config) { g.Listeners[0].TLS.ClientCA = ca })
	p := *r.Current()
	p.Network = []*policy.NetworkRule{{Any: true, Auth: policy.AuthCert, TLS: policy.TLSVerify}}
	p.Users = map[string]*policy.User{"ana": p.Users["ana"], "127.0.0.1": {Name: "127.0.0.1"}}
	p.Groups = map[string]*policy.Group{"analysts": {Name: "analysts", Members: []string{"ana", "127.0.0.1"}}}
	r.policy.Store(&p)
	host, port, _ := net.SplitHostPort(r.addr)
	with := fmt.Sprintf("host=%s port=%s dbname=shop sslmode=require sslcert=%s sslkey=%s user=", host, port, file, file)
	if out, err := r.psql(t, with+"127.0.0.1", "select 1"); err != nil || out != "1" {
		t.Errorf("%v %s", err, out)
	}
	if out, err := r.psql(t, with+"ana", "select 1"); err == nil {
		t.Errorf("a certificate of another lets ana in: %s", out)
	}
	if out, err := r.psql(t, r.dsn(r.addr, "sslmode=require"), "select 1"); err == nil || !strings.Contains(out, "certificate") {
		t.Errorf("without a certificate: %v %s", err, out)
	}
	e := r.trail.find(t, "the login", func(e audit.Event) bool { return e.Kind == audit.LoginAccepted })
	if e.Method != "certificate" {
		t.Errorf("%+v", e)
	}
}

// TestFirstReady is PRO-39 to 41: parameters of the server, its pid, and a key that is not its own.
func TestFirstReady(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Shared(t, 18))
	p := r.wire(t)
	direct := r.direct(t)
	for name, value := range direct.params {
		if name == "search_path" {
			value = "public"
		}
		if got, ok := p.params[name]; !ok || got != value {
			t.Errorf("%s = %q, the server says %q", name, got, value)
		}
	}
	p.send(t, &pgproto3.Query{String: "select pg_backend_pid() as p"})
	if got := strings.Join(p.until(t, 1), " "); !strings.Contains(got, fmt.Sprintf("DataRow %d ", p.pid)) {
		t.Errorf("pid %d, but %s", p.pid, got)
	}
	if s := r.onlySession(t); string(s.key) == string(s.target.key) || len(s.key) != 4 {
		t.Errorf("key %x, the server's is %x", s.key, s.target.key)
	}
}

// onlySession is the one live session.
func (r *rig) onlySession(t testing.TB) *session {
	t.Helper()
	var found *session
	eventually(t, "the session", func() bool {
		r.server.keys.mu.Lock()
		defer r.server.keys.mu.Unlock()
		n := 0
		for _, list := range r.server.keys.sessions {
			for _, s := range list {
				found = s
				n++
			}
		}
		return n == 1
	})
	return found
}

// TestPinMoved is PRO-67: a guard that lets a pin be moved is found out by the server's report.
func TestPinMoved(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t), withGuard(lenient{}))
	p := r.wire(t)
	p.send(t, &pgproto3.Query{String: "set standard_conforming_strings = off"})
	if got := strings.Join(p.listen(t, 3), "\n"); !strings.Contains(got, "FATAL 08P01 setting standard_conforming_strings") {
		t.Errorf("got %s", got)
	}
	r.trail.find(t, "the alarm", func(e audit.Event) bool { return e.Kind == audit.Alarm && e.Reason == string(gateway.CodeTripwire) })
}

// TestResetReturnsToPins is PRO-119 and ENF-49: RESET and DISCARD lead back to what the session began with, whatever the guard
// lets through before.
func TestResetReturnsToPins(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t), withGuard(lenient{}))
	p := r.wire(t)
	for _, reset := range []string{"reset all", "discard all", "reset search_path"} {
		for _, sql := range []string{"set search_path = public", reset, "show search_path"} {
			p.send(t, &pgproto3.Query{String: sql})
			if got := p.until(t, 1); sql == "show search_path" && got[1] != "DataRow wall" {
				t.Errorf("after %s: %v", reset, got)
			}
		}
	}
}

// TestTripwire is ENF-69 and PRO-72: a field of a protected base table ends the session before a row goes out.
func TestTripwire(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t), withGuard(lenient{}))
	r.db.Exec(t, "GRANT SELECT ON customers TO "+r.role)
	for name, messages := range map[string][]pgproto3.FrontendMessage{
		"simple": {&pgproto3.Query{String: "select 1 as a; select id, email from public.customers"}},
		"extended": {
			&pgproto3.Parse{Query: "select id, email from public.customers"}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'},
			&pgproto3.Execute{}, &pgproto3.Sync{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := r.wire(t)
			p.send(t, messages...)
			got := strings.Join(p.listen(t, 10), "\n")
			if !strings.Contains(got, "FATAL 08P01 the result was withheld") || strings.Contains(got, "example.test") || !strings.HasSuffix(got, "Closed") {
				t.Errorf("got %s", got)
			}
		})
	}
	r.trail.find(t, "the alarm", func(e audit.Event) bool { return e.Kind == audit.Alarm && e.Reason == string(gateway.CodeTripwire) })
}

// TestAuditFirst is PRO-112: with a broken trail nothing goes upstream.
func TestAuditFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	quiet, busy := r.wire(t), r.wire(t)
	busy.send(t, &pgproto3.Query{String: "begin; insert into notes values (1, 'one')"})
	busy.until(t, 1)
	r.trail.broken.Store(true)
	quiet.send(t, &pgproto3.Query{String: "insert into notes values (2, 'two')"})
	if got := strings.Join(quiet.until(t, 1), "\n"); !strings.HasPrefix(got, "ErrorResponse ERROR 58030") || !strings.HasSuffix(got, "ReadyForQuery I") {
		t.Errorf("quiet: %s", got)
	}
	quiet.send(t, &pgproto3.Parse{Query: "insert into notes values (3, 'three')"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})
	if got := strings.Join(quiet.until(t, 1), "\n"); !strings.HasPrefix(got, "ErrorResponse ERROR 58030") || !strings.HasSuffix(got, "ReadyForQuery I") {
		t.Errorf("quiet, extended: %s", got)
	}
	busy.send(t, &pgproto3.Query{String: "insert into notes values (4, 'four')"})
	if got := strings.Join(busy.listen(t, 2), "\n"); !strings.HasPrefix(got, "ErrorResponse FATAL 58030") || !strings.HasSuffix(got, "Closed") {
		t.Errorf("busy: %s", got)
	}
	eventually(t, "the transaction to be rolled back", func() bool {
		return r.db.Query(t, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%' AND usename = '"+r.role+"'") == "0"
	})
	if n := r.db.Query(t, "SELECT count(*) FROM notes"); n != "0" {
		t.Errorf("%s rows were written", n)
	}
}

// TestTrail is PRO-112: one event for each decision, one for each completion, joined by the id, with what was touched.
func TestTrail(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	p := r.wire(t)
	p.send(t, &pgproto3.Query{String: "select email from customers where email <> 'sekrit'"})
	p.until(t, 1)
	p.send(t, &pgproto3.Parse{Name: "s", Query: "select id from customers where id < $1"}, &pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{[]byte("5")}},
		&pgproto3.Execute{}, &pgproto3.Sync{})
	p.until(t, 1)
	p.send(t, &pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{[]byte("3")}}, &pgproto3.Execute{}, &pgproto3.Sync{})
	p.until(t, 1)
	p.send(t, &pgproto3.Query{String: "select 1/0"})
	p.until(t, 1)
	p.send(t, &pgproto3.Query{String: "select 'sekrit' from"})
	p.until(t, 1)
	p.send(t, &pgproto3.Terminate{})
	r.trail.find(t, "the end", func(e audit.Event) bool { return e.Kind == audit.SessionEnd })
	var lines []string
	for _, e := range r.trail.all() {
		line := string(e.Kind) + " " + e.Verdict + " " + e.Command
		switch e.Kind {
		case audit.Decision:
			if len(e.Touches) > 0 {
				line += fmt.Sprint(" ", e.Touches[0].Relation, e.Touches[0].Columns, e.Touches[0].Masked)
			}
			if e.Detail["at"] != "" {
				line += " at " + e.Detail["at"]
			}
			if e.Opaque != nil {
				line += fmt.Sprint(" opaque ", e.Opaque.Length, len(e.Opaque.HMAC))
			}
			if strings.Contains(e.Statement, "sekrit") {
				t.Errorf("a literal is in the trail: %s", e.Statement)
			}
		case audit.Completion:
			line += fmt.Sprintf(" rows=%d %s", e.Rows, e.SQLState)
			if e.Ref == "" || e.DurationUS < 0 {
				t.Errorf("%+v", e)
			}
		}
		if e.Subject != "ana" || e.Store != "shop" || e.Role != r.role || e.Session == "" || e.Policy != "d1" || e.Method != "scram-sha-256" {
			t.Errorf("%+v", e)
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	want := strings.Join([]string{
		"login.accepted",
		"statement.decision rewrite SELECT shop.public.customers[email] true",
		"statement.completion  SELECT rows=5",
		"statement.decision rewrite SELECT shop.public.customers[id] false",
		"statement.completion  SELECT rows=2",
		"statement.decision rewrite SELECT shop.public.customers[id] false at bind",
		"statement.completion  SELECT rows=1",
		"statement.decision allow SELECT",
		"statement.completion  SELECT rows=0 22012",
		"statement.decision refuse  opaque 20 64",
		"session.end",
	}, "\n")
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestCancel is PRO-41, 43, 45 and 47.
func TestCancel(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	t.Run("a client's own", func(t *testing.T) {
		r.block(t)
		conn := r.connect(t, "")
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			defer stop()
			r.untilBlocked(t, 1)
			_ = conn.PgConn().CancelRequest(context.Background())
		}()
		_, err := conn.Exec(t.Context(), blocked)
		<-ctx.Done()
		if codeOf(err) != "57014" {
			t.Errorf("%v", err)
		}
		var n int
		if err := conn.QueryRow(t.Context(), "select 1").Scan(&n); err != nil {
			t.Errorf("the next statement: %v", err)
		}
		r.trail.find(t, "the cancel", func(e audit.Event) bool { return e.Kind == audit.CancelRequest && e.Reason == "running" })
	})
	t.Run("a timeout that the client asked for", func(t *testing.T) {
		r.block(t)
		out, err := r.psql(t, r.dsn(r.addr, "sslmode=require options='-c statement_timeout=200'"), blocked)
		if err != nil || !strings.Contains(out, "57014") {
			t.Errorf("%v %s", err, out)
		}
	})
	t.Run("an idle session, a wrong key, a wrong length", func(t *testing.T) {
		p := r.wire(t)
		for _, key := range [][]byte{p.key, {1, 2, 3, 4}, {1}, make([]byte, 256), make([]byte, 300)} {
			conn := dialRaw(t, "tcp", r.addr) // in clear, on the listener with TLS (PRO-44)
			b, err := (&pgproto3.CancelRequest{ProcessID: p.pid, SecretKey: append([]byte(nil), key...)}).Encode(nil)
			if err != nil {
				continue
			}
			write(t, conn, b)
			if got := closed(t, conn); got != "" {
				t.Errorf("key of %d bytes: got %q", len(key), got)
			}
		}
		p.send(t, &pgproto3.Query{String: "select 1 as a"})
		if got := p.until(t, 1); got[1] != "DataRow 1" {
			t.Errorf("an idle session was hit: %v", got)
		}
		r.trail.find(t, "the idle cancel", func(e audit.Event) bool { return e.Kind == audit.CancelRequest && e.Reason == "idle" })
		r.trail.find(t, "the wrong key", func(e audit.Event) bool { return e.Kind == audit.CancelRequest && e.Reason == "unknown_key" })
	})
	t.Run("PRO-47 never the next statement", func(t *testing.T) {
		p := r.wire(t)
		for i := range 60 {
			p.send(t, &pgproto3.Query{String: "select count(*) from generate_series(1, 30000)"})
			if i%2 == 0 {
				time.Sleep(time.Millisecond)
			}
			conn := dialRaw(t, "tcp", r.plain)
			b, err := (&pgproto3.CancelRequest{ProcessID: p.pid, SecretKey: p.key}).Encode(nil)
			if err != nil {
				t.Fatal(err)
			}
			write(t, conn, b)
			closed(t, conn) // the gateway has taken it
			p.until(t, 1)
			p.send(t, &pgproto3.Query{String: "select 1 as next from generate_series(1, 1000)"})
			if got := p.until(t, 1); len(got) != 1003 {
				t.Fatalf("round %d: the next statement was hit: %v", i, got[len(got)-2])
			}
		}
	})
	t.Run("PRO-45 attempts are limited", func(t *testing.T) {
		var b cancelBrake
		b.seen = map[string]cancelCount{}
		n := 0
		now := time.Now()
		for range 1000 {
			if b.allow(gateway.Facts{}, now) {
				n++
			}
		}
		if n != cancelsPerWindow || !b.allow(gateway.Facts{}, now.Add(time.Minute)) {
			t.Errorf("%d attempts", n)
		}
	})
}

// blocked is a statement that waits while the test holds the lock of block.
const blocked = "select count(*) as n from gate"

// block locks public.gate until the result is called, or the test ends.
func (r *rig) block(t testing.TB) (release func()) {
	t.Helper()
	conn := r.db.Connect(t, pgtest.SuperUser)
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE public.gate"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.Exec(t.Context(), "COMMIT"); err != nil {
			t.Error(err)
		}
	}
}

// untilBlocked waits until n statements of the subject wait for the lock.
func (r *rig) untilBlocked(t testing.TB, n int) {
	t.Helper()
	eventually(t, fmt.Sprint(n, " statements to wait for the lock"), func() bool {
		return r.db.Query(t, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = '"+r.role+"'") == fmt.Sprint(n)
	})
}

// TestRevocation is PRO-107: a policy that no longer allows the session cancels what runs and says why.
func TestRevocation(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	idle, busy := r.wire(t), r.wire(t)
	r.block(t)
	busy.send(t, &pgproto3.Query{String: blocked})
	r.untilBlocked(t, 1)
	p := *r.Current()
	p.Rules = nil
	r.policy.Store(&p)
	if err := r.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*peer{idle, busy} {
		if got := strings.Join(c.listen(t, 2), "\n"); got != "ErrorResponse FATAL 28000 no rule lets ana reach store shop\nClosed" {
			t.Errorf("got %s", got)
		}
	}
	r.untilBlocked(t, 0)
	r.trail.find(t, "the reason", func(e audit.Event) bool { return e.Kind == audit.SessionEnd && e.Reason == string(policy.CodeNoRule) })
	r.trail.find(t, "the unfinished statement", func(e audit.Event) bool { return e.Kind == audit.Completion && e.Reason == "session_ended" })
}

// TestOutdatedWall is ENF-95: new sessions are refused and live ones closed, with the word what to do.
func TestOutdatedWall(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	p := r.wire(t)
	r.denied.Store(&gateway.Unavailable{Code: gateway.CodeProfileOutdated, Message: "the wall of store shop is out of date", Hint: "run postern apply"})
	if err := r.gw.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := p.listen(t, 1)[0]; got != "ErrorResponse FATAL 28000 the wall of store shop is out of date H=run postern apply" {
		t.Error(got)
	}
	if out, err := r.psql(t, r.dsn(r.plain, "sslmode=disable"), "select 1"); err == nil || !strings.Contains(out, "run postern apply") {
		t.Errorf("%v %s", err, out)
	}
}

// TestServerEnds is PRO-109: the server's last word is passed on with its code.
func TestServerEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	idle, busy := r.wire(t), r.wire(t)
	r.block(t)
	busy.send(t, &pgproto3.Query{String: blocked})
	r.untilBlocked(t, 1)
	r.db.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '"+r.role+"'")
	for _, c := range []*peer{idle, busy} {
		if got := strings.Join(c.listen(t, 2), "\n"); got != "ErrorResponse FATAL 57P01 terminating connection due to administrator command\nClosed" {
			t.Errorf("got %s", got)
		}
	}
}

// TestServerCrashes: a server that goes without a word is told in one of ours.
func TestServerCrashes(t *testing.T) {
	t.Parallel()
	c := pgtest.Start(t, pgtest.DefaultMajor)
	r := newRig(t, c)
	p := r.wire(t)
	c.Crash()
	got := strings.Join(p.listen(t, 2), "\n")
	if !strings.HasPrefix(got, "ErrorResponse FATAL") || !strings.HasSuffix(got, "Closed") {
		t.Errorf("got %s", got)
	}
	if out, err := r.psql(t, r.dsn(r.plain, "sslmode=disable"), "select 1"); err == nil || !strings.Contains(out, "the store cannot be reached") {
		t.Errorf("%v %s", err, out)
	}
}

// TestDrain is PRO-108: idle sessions end at once, transactions at their end, and nobody loses what they believe done.
func TestDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	idle, open := r.wire(t), r.wire(t)
	secure, err := pgx.Connect(t.Context(), r.dsn(r.addr, "sslmode=require")) // idle too; Drain waits for it
	if err != nil {
		t.Fatal(err)
	}
	defer secure.Close(context.Background())
	open.send(t, &pgproto3.Query{String: "begin; insert into notes values (1, 'one')"})
	open.until(t, 1)
	drained := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	go func() { drained <- r.gw.Drain(ctx) }()
	const bye = "ErrorResponse FATAL 57P01 terminating connection due to administrator command"
	if got := idle.listen(t, 1)[0]; got != bye {
		t.Errorf("idle: %s", got)
	}
	open.send(t, &pgproto3.Query{String: "commit"})
	if got := strings.Join(open.listen(t, 3), "\n"); got != "CommandComplete COMMIT\nReadyForQuery I\n"+bye {
		t.Errorf("in a transaction: %s", got)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if n := r.db.Query(t, "SELECT count(*) FROM notes"); n != "1" {
		t.Errorf("%s rows", n)
	}
}

// TestClientVanishes is PRO-111: what runs is cancelled, the transaction is rolled back.
func TestClientVanishes(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	p := r.wire(t)
	p.send(t, &pgproto3.Query{String: "begin; insert into notes values (1, 'one')"})
	p.until(t, 1)
	release := r.block(t)
	p.send(t, &pgproto3.Query{String: blocked})
	r.untilBlocked(t, 1)
	_ = p.conn.Close()
	r.untilBlocked(t, 0)
	r.trail.find(t, "the end", func(e audit.Event) bool { return e.Kind == audit.SessionEnd && e.Reason == string(gateway.CodeGone) })
	eventually(t, "the session to go", func() bool { return len(r.gw.Sessions()) == 0 })
	release()
	if n := r.db.Query(t, "SELECT count(*) FROM notes"); n != "0" {
		t.Errorf("%s rows", n)
	}
}

// TestIdle is PRO-102: sessions that do nothing, in a transaction and outside.
func TestIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t), func(_ *rig, g *gateway.Config, _ *Config) {
		g.Limits.Idle, g.Limits.IdleTx = 400*time.Millisecond, 200*time.Millisecond
	})
	idle, open := r.wire(t), r.wire(t)
	open.send(t, &pgproto3.Query{String: "begin"})
	open.until(t, 1)
	if got := open.listen(t, 1)[0]; !strings.HasPrefix(got, "ErrorResponse FATAL 25P03") {
		t.Error(got)
	}
	if got := idle.listen(t, 1)[0]; !strings.HasPrefix(got, "ErrorResponse FATAL 57P05") {
		t.Error(got)
	}
	busy := r.wire(t)
	release := r.block(t)
	busy.send(t, &pgproto3.Query{String: blocked})
	time.Sleep(time.Second) // longer than either limit
	release()
	if got := busy.until(t, 1); got[1] != "DataRow 0" {
		t.Errorf("a busy session is not idle: %v", got)
	}
}

// memory is what the heap holds now.
func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestHugeStatement is PRO-100: 100 MB are refused by their header, dropped as they come, and the session lives.
func TestHugeStatement(t *testing.T) {
	r := newRig(t, pgtest.Default(t))
	p := r.wire(t)
	before := memory()
	var peak uint64
	chunk := []byte(strings.Repeat("x", 1<<20))
	for _, kind := range []byte{'Q', 'P', 'B'} {
		_ = p.conn.SetDeadline(time.Now().Add(60 * time.Second))
		write(t, p.conn, appendHeader(nil, kind, 100<<20))
		// The answer does not wait for the rest.
		if got := p.receive(t); !isTooLong(got) {
			t.Fatalf("%c: %+v", kind, got)
		}
		for i := range 100 {
			write(t, p.conn, chunk)
			if i%25 == 0 {
				peak = max(peak, memory())
			}
		}
		if kind != 'Q' {
			p.send(t, &pgproto3.Sync{})
		}
		if got := strings.Join(p.until(t, 1), "\n"); got != "ReadyForQuery I" {
			t.Fatalf("%c: %s", kind, got)
		}
	}
	if peak > before+8<<20 {
		t.Errorf("%d MB were held", (peak-before)>>20)
	}
	p.send(t, &pgproto3.Query{String: "select 1 as a"})
	if got := p.until(t, 1); got[1] != "DataRow 1" {
		t.Errorf("after it: %v", got)
	}
	// A length alone costs nothing (PRO-100).
	before = memory()
	for range 50 {
		write(t, r.wire(t).conn, appendHeader(nil, 'Q', 15<<20))
	}
	if after := memory(); after > before+20<<20 {
		t.Errorf("50 announced statements hold %d MB", (after-before)>>20)
	}
}

func isTooLong(m pgproto3.BackendMessage) bool {
	e, ok := m.(*pgproto3.ErrorResponse)
	return ok && e.Severity == "ERROR" && e.Code == "54000"
}

// TestSlowClient is PRO-94: a result that nobody reads is not buffered, and does not keep the session from ending.
func TestSlowClient(t *testing.T) {
	r := newRig(t, pgtest.Default(t))
	p := r.wire(t)
	before := memory()
	p.send(t, &pgproto3.Query{String: "select g, repeat('x', 1000) as pad from generate_series(1, 200000) g"})
	eventually(t, "the server to wait for us", func() bool {
		return r.db.Query(t, "SELECT count(*) FROM pg_stat_activity WHERE usename = '"+r.role+"' AND wait_event = 'ClientWrite'") == "1"
	})
	if after := memory(); after > before+8<<20 {
		t.Errorf("%d MB are held", (after-before)>>20)
	}
	if n := r.gw.EndWhere(func(gateway.Info) bool { return true }, gateway.Ending{Code: gateway.CodeRevoked, Message: "out"}); n != 1 {
		t.Errorf("%d sessions", n)
	}
	eventually(t, "the session to end", func() bool { return len(r.gw.Sessions()) == 0 })
	eventually(t, "the statement to end", func() bool {
		return r.db.Query(t, "SELECT count(*) FROM pg_stat_activity WHERE usename = '"+r.role+"'") == "0"
	})
}

// TestPipeliningWithoutReading is PRO-94: a client may send much before it reads.
func TestPipeliningWithoutReading(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	p := r.wire(t)
	const n = 3000
	go func() {
		for range n {
			p.frontend.Send(&pgproto3.Parse{Query: "select repeat('x', 200) as a"})
			p.frontend.Send(&pgproto3.Bind{})
			p.frontend.Send(&pgproto3.Execute{})
			p.frontend.Send(&pgproto3.Sync{})
		}
		_ = p.frontend.Flush()
	}()
	if got := p.until(t, n); len(got) != 5*n {
		t.Errorf("%d answers", len(got))
	}
}

// counting counts what is written, whichever way: by Write, or to the descriptor itself.
type counting struct {
	net.Conn
	writes *atomic.Int64
}

func (c counting) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// SyscallConn implements syscall.Conn.
func (c counting) SyscallConn() (syscall.RawConn, error) {
	raw, err := c.Conn.(syscall.Conn).SyscallConn()
	return countingRaw{raw, c.writes}, err
}

type countingRaw struct {
	syscall.RawConn
	writes *atomic.Int64
}

func (c countingRaw) Write(f func(fd uintptr) bool) error {
	return c.RawConn.Write(func(fd uintptr) bool {
		c.writes.Add(1)
		return f(fd)
	})
}

// TestWrites: one write per read in each direction, 2.0 for a simple SELECT (performance document, section 2).
func TestWrites(t *testing.T) {
	t.Parallel()
	var toServer, toClient atomic.Int64
	r := newRig(t, pgtest.Default(t), func(r *rig, _ *gateway.Config, _ *Config) {
		r.upstream.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return counting{conn, &toServer}, err
		}
	})
	wrap := func(c net.Conn) net.Conn { return counting{c, &toClient} }
	r.conns.Store(&wrap)
	p := r.wire(t)
	for name, messages := range map[string][]pgproto3.FrontendMessage{
		"simple":   {&pgproto3.Query{String: "select id, email from customers where id = 2"}},
		"extended": {&pgproto3.Parse{Query: "select id from customers where id = 2"}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{}},
	} {
		t.Run(name, func(t *testing.T) {
			const n = 50
			up, down := toServer.Load(), toClient.Load()
			for range n {
				p.send(t, messages...)
				p.until(t, 1)
			}
			if a, b := toServer.Load()-up, toClient.Load()-down; a != n || b != n {
				t.Errorf("%.2f writes to the server and %.2f to the client for one round trip", float64(a)/n, float64(b)/n)
			}
		})
	}
}

// TestNoAllocationPerRow: rows are passed on by their headers alone.
func TestNoAllocationPerRow(t *testing.T) {
	r := newRig(t, pgtest.Default(t))
	p := r.wire(t)
	run := func(rows int) uint64 {
		var before, after runtime.MemStats
		p.send(t, &pgproto3.Query{String: fmt.Sprintf("copy (select g, 'some text' from generate_series(1, %d) g) to stdout", rows)})
		buf := make([]byte, 1<<16)
		runtime.ReadMemStats(&before)
		tail := ""
		for !strings.HasSuffix(tail, "Z\x00\x00\x00\x05I") {
			n, err := p.conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			tail = string(buf[max(0, n-6):n])
		}
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	run(1000)
	if few, many := run(1000), run(300_000); many > few+20_000 {
		t.Errorf("%d allocations for 300,000 rows, %d for 1000", many, few)
	}
}

// TestConcurrentSessions: many at once, each sees its own.
func TestConcurrentSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	errs := make(chan error, 20)
	for i := range cap(errs) {
		go func() {
			conn, err := pgx.Connect(context.Background(), r.dsn(r.addr, "sslmode=require"))
			if err != nil {
				errs <- err
				return
			}
			defer conn.Close(context.Background())
			for j := range 20 {
				var got int
				if err := conn.QueryRow(context.Background(), "select $1::int", i*100+j).Scan(&got); err != nil || got != i*100+j {
					errs <- fmt.Errorf("got %d: %w", got, err)
					return
				}
			}
			errs <- nil
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the sessions to go", func() bool { return len(r.gw.Sessions()) == 0 })
}

// TestPanic is PRO-106: a panic in either goroutine ends the session and nothing else.
func TestPanic(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t), withGuard(panicking{}))
	other := r.wire(t)
	p := r.wire(t)
	p.send(t, &pgproto3.Query{String: "boom"})
	if got := strings.Join(p.listen(t, 2), "\n"); got != "ErrorResponse FATAL XX000 internal error\nClosed" {
		t.Error(got)
	}
	other.send(t, &pgproto3.Query{String: "select 1 as a"})
	if got := other.until(t, 1); got[1] != "DataRow 1" {
		t.Errorf("another session: %v", got)
	}
	r.trail.find(t, "the end", func(e audit.Event) bool {
		return e.Kind == audit.SessionEnd && e.Reason == string(gateway.CodeInternal)
	})
}
