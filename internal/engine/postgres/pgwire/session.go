package pgwire

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/gateway"
)

// longAgo wakes whoever waits for data.
var longAgo = time.Unix(1, 0)

const (
	// goneGrace is how long the statement of a client that vanished may go on (PRO-111).
	goneGrace = 2 * time.Second
	// lastWords is how long a client may take to read why its session ends.
	lastWords = 2 * time.Second
)

// session is a logged-in client and its connection to the store. Two goroutines own it: the client's reads what the client
// sends, asks the guard and writes to the store; the server's reads what the store sends and writes to the client. What
// they share is in pipeline.
type session struct {
	server *Server
	gw     *gateway.Session
	clock  gateway.Clock
	up     *leg
	client *leg
	target *upstream
	pid    uint32
	key    []byte // ours, for cancel requests
	// pinnedPath is the search_path that the server's session began with; the profile may have changed since.
	pinnedPath string

	pipe       pipeline
	ending     atomic.Pointer[gateway.Ending]
	draining   atomic.Bool
	terminated atomic.Bool // the client has said goodbye

	in  clientSide
	out serverSide

	seen observed // of an observed session, which has neither of them

	totals struct{ statements, refused, rows, bytes atomic.Int64 }
}

var _ gateway.Handler = (*session)(nil)

// newSession makes a session that can be cancelled and ended from here on.
func (s *Server) newSession(n *negotiation, start *startup, entered *gateway.Session, up *upstream) (*session, error) {
	stall := n.admitted.Limits().Stall
	sess := &session{
		server: s, gw: entered, clock: n.admitted.Clock(), target: up, pid: up.pid,
		client: newLeg(n.conn, n.below, &s.buffers, stall),
		up:     newLeg(up.conn, up.below, &s.buffers, stall),
	}
	sess.pipe.init(up.status)
	sess.pinnedPath = sess.profile().SearchPath
	sess.pipe.active = sess.clock.Now()
	if err := s.keys.add(sess, start.version, s.config.Random); err != nil {
		return nil, err
	}
	entered.Attach(sess)
	return sess, nil
}

// abandon undoes newSession for a login that failed after all.
func (s *session) abandon() {
	s.server.keys.remove(s)
	_ = s.up.conn.Close() // of no use any more
}

// profile is what the session may do at this moment.
func (s *session) profile() *Profile {
	p, ok := s.gw.Profile().Engine.(*Profile)
	if !ok {
		return &Profile{World: &pgsql.World{}} // an empty world admits nothing
	}
	return p
}

// logicalPath is the search_path that the client gets to see: the application's schemas.
func (s *session) logicalPath() string {
	w := s.profile().World
	if w == nil {
		return ""
	}
	quoted := make([]string, len(w.Schemas))
	for i, name := range w.Schemas {
		quoted[i] = quoteName(name)
	}
	return strings.Join(quoted, ", ")
}

// quoteName quotes an identifier where it needs it.
func quoteName(name string) string {
	plain := name != ""
	for i := range len(name) {
		c := name[i]
		plain = plain && (c >= 'a' && c <= 'z' || c == '_' || i > 0 && (c >= '0' && c <= '9' || c == '$'))
	}
	if plain {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// run relays until the session is over, and closes everything.
func (s *session) run(ctx context.Context) {
	reading := make(chan struct{})
	defer func() {
		// Also after a panic: nothing stays open, and the trail has the end.
		s.close()
		<-reading
		s.settle()
	}()
	stop := s.watchIdle()
	defer stop()
	s.wakeAgain() // the login has set deadlines of its own
	go func() {
		defer close(reading)
		defer s.catch()
		s.fromClient(ctx)
	}()
	s.fromServer()
}

// catch turns a panic of the client's goroutine into the end of this session (PRO-106).
func (s *session) catch() {
	if r := recover(); r != nil {
		s.server.config.Log.Error("a session panicked and was ended", "session", s.gw.ID(), "stack", gateway.PanicSite())
		s.End(gateway.Ending{Code: gateway.CodeInternal, Message: "internal error"})
	}
}

// close closes both connections and wakes whoever waits.
func (s *session) close() {
	s.server.keys.remove(s)
	_ = s.client.conn.Close() // twice does no harm, here and below
	_ = s.up.conn.Close()
	s.pipe.mu.Lock()
	s.pipe.over = true
	s.pipe.changed.Broadcast()
	s.pipe.mu.Unlock()
}

// settle writes the end of what was under way and of the session to the trail.
func (s *session) settle() {
	e := audit.Event{
		Rows: s.totals.rows.Load(), Bytes: s.totals.bytes.Load(),
	}
	if end := s.ending.Load(); end != nil {
		e.Reason, e.Message = string(end.Code), end.Message
	}
	now := s.clock.Now()
	for f := s.pipe.front(); f != nil; f = s.pipe.front() {
		if f.event != "" && f.answer == nil {
			c := completion(f, now)
			c.Reason = "session_ended"
			if s.gw.RecordSoon(c) != nil {
				break // the trail is broken; the end of the session says so itself
			}
		}
		s.pipe.pop()
	}
	s.gw.Close(e)
}

// End implements gateway.Handler.
func (s *session) End(e gateway.Ending) {
	if !s.ending.CompareAndSwap(nil, &e) {
		return
	}
	s.cancelRunning()
	// A client that does not read must not hold up the end; one that does gets the reason.
	_ = s.client.conn.SetWriteDeadline(time.Now().Add(lastWords)) // a closed connection is the aim
	_ = s.up.conn.SetReadDeadline(longAgo)
	s.pipe.mu.Lock()
	s.pipe.changed.Broadcast()
	s.pipe.mu.Unlock()
}

// EndBusy implements gateway.Handler.
func (s *session) EndBusy(e gateway.Ending) {
	// What an observed session runs was let in by no rule.
	if s.busy() && !s.gw.Profile().Observed {
		s.End(e)
	}
}

// Drain implements gateway.Handler.
func (s *session) Drain() {
	s.draining.Store(true)
	_ = s.client.conn.SetReadDeadline(longAgo) // wakes the client's goroutine, which looks
}

// wakeAgain makes up for a call of End or Drain whose deadline was set and overwritten.
func (s *session) wakeAgain() {
	if s.ended() {
		_ = s.up.conn.SetReadDeadline(longAgo) // a closed connection is the aim
	}
	if s.draining.Load() {
		_ = s.client.conn.SetReadDeadline(longAgo) // as above
	}
}

// ended says whether the session is to end.
func (s *session) ended() bool { return s.ending.Load() != nil }

// fail ends the session for a reason found by either goroutine.
func (s *session) fail(code gateway.Ending) error {
	s.End(code)
	return errEnded
}

var (
	errEnded   = errors.New("the session has ended")
	errIgnored = errors.New("the server ignores the message")
)

// violation ends a session whose client has lost the protocol.
func (s *session) violation(what string) error {
	return s.fail(gateway.Ending{Code: gateway.CodeProtocol, Message: what})
}

// alarm records something that must not happen, and ends the session.
func (s *session) alarm(e gateway.Ending) error {
	if _, err := s.gw.Record(context.Background(), audit.Event{Kind: audit.Alarm, Reason: string(e.Code), Message: e.Message}); err != nil {
		s.server.config.Log.Error("an alarm could not be recorded", "session", s.gw.ID(), "alarm", e.Message, "error", err)
	}
	return s.fail(e)
}

// completion is the event that ends what an entry began.
func completion(e *entry, now time.Time) audit.Event {
	out := audit.Event{
		Kind: audit.Completion, Ref: e.event, Command: e.command, Rows: e.rows, Bytes: e.bytes,
		DurationUS: now.Sub(e.started).Microseconds(), SQLState: e.state,
	}
	if e.limit != nil {
		out.Reason, out.Message = string(e.limit.Code), e.limit.Message()
	}
	return out
}

// watchIdle ends the session when nothing has happened for too long. The timer is set anew only when it fires.
func (s *session) watchIdle() (stop func()) {
	l := s.gw.Limits()
	if l.Idle <= 0 && l.IdleTx <= 0 {
		return func() {}
	}
	done := make(chan struct{})
	var check func()
	check = func() {
		s.pipe.mu.Lock()
		idle, status, since := s.pipe.empty(), s.pipe.status, s.pipe.active
		s.pipe.mu.Unlock()
		limit, e := l.Idle, gateway.Ending{Code: gateway.CodeIdle, Message: "the session was idle for too long"}
		if status != 'I' {
			limit, e = l.IdleTx, gateway.Ending{Code: gateway.CodeIdleTx, Message: "the session was idle in a transaction for too long"}
		}
		now := s.clock.Now()
		wait := shortest(l.Idle, l.IdleTx)
		if idle && limit > 0 {
			if now.Sub(since) >= limit {
				s.End(e)
				return
			}
			wait = min(wait, since.Add(limit).Sub(now))
		}
		select {
		case <-done:
		default:
			s.clock.AfterFunc(max(wait, time.Millisecond), check)
		}
	}
	cancel := s.clock.AfterFunc(shortest(l.Idle, l.IdleTx), check)
	return func() {
		close(done)
		cancel()
	}
}

func shortest(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

// isEnd says whether a read ended because the other side is done.
func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
