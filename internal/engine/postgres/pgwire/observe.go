package pgwire

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/gateway"
)

// An observed session (PRO-118) is the server's own: what the client sends goes on byte for byte, and so does what the server
// answers. Statements are decided and recorded before they go on; a decision that cannot be recorded still ends the session,
// because what is observed and not written down was not observed.

// maxObserved bounds the prepared statements that an observed session remembers, so that a client that never closes them costs
// no more than that. What is forgotten is recorded as such when it is bound.
const maxObserved = 5000

// observe relays until the session is over, and closes everything.
func (s *session) observe(ctx context.Context) {
	reading := make(chan struct{})
	defer func() {
		s.close()
		<-reading
		s.settle()
	}()
	s.wakeAgain()
	go func() {
		defer close(reading)
		defer s.catch()
		err := s.observeClient(ctx)
		switch {
		case s.ended():
		case s.terminated.Load():
			_ = s.up.conn.SetReadDeadline(time.Now().Add(lastWords)) // the server closes first
		case err == nil || isEnd(err):
			s.End(gateway.Ending{Code: gateway.CodeGone, Message: "the client is gone"})
		case errors.Is(err, errEnded):
		default:
			_ = s.up.conn.SetReadDeadline(time.Now().Add(lastWords)) // what the server said before it went comes first
		}
	}()
	s.observeServer()
}

// observeServer passes on what the server sends. It follows the framing, so that a last word of ours never lands in a message.
func (s *session) observeServer() {
	buf := s.server.buffers.Get().(*[]byte)
	defer s.server.buffers.Put(buf)
	var at framing
	for {
		n, err := s.up.conn.Read(*buf)
		if n > 0 {
			s.totals.rows.Add(at.pass((*buf)[:n]))
			s.seen.ready.Store(at.ready)
			s.seen.status.Store(uint32(at.status))
			s.totals.bytes.Add(int64(n))
			if werr := s.client.write((*buf)[:n], s.clock.Now()); werr != nil {
				s.End(gateway.Ending{Code: gateway.CodeGone, Message: "the client does not take what is sent to it"})
				return
			}
			if s.draining.Load() {
				_ = s.client.conn.SetReadDeadline(longAgo) // the client's goroutine looks whether this is the moment
			}
		}
		if err == nil {
			continue
		}
		if e := s.ending.Load(); e != nil && e.Code != gateway.CodeGone && at.between() {
			_ = s.client.conn.SetWriteDeadline(time.Now().Add(lastWords)) // a closed connection is the aim
			_, _ = s.client.conn.Write(endingAnswer(*e).append(nil))      // it is closed next
		}
		return
	}
}

// framing follows the messages of a stream without keeping any.
type framing struct {
	head [headerSize]byte
	have int   // bytes of head
	rest int64 // bytes of the message's body still to come

	ready  int64 // ReadyForQuery messages so far
	status byte  // of the last
}

// between says whether the stream is between two messages.
func (f *framing) between() bool { return f.have == 0 && f.rest == 0 }

// pass follows b and returns how many rows begin in it.
func (f *framing) pass(b []byte) (rows int64) {
	for len(b) > 0 {
		if f.rest > 0 {
			n := min(f.rest, int64(len(b)))
			if f.head[0] == 'Z' {
				f.ready++
				f.status = b[0]
			}
			f.rest -= n
			b = b[n:]
			continue
		}
		n := copy(f.head[f.have:], b)
		f.have += n
		b = b[n:]
		if f.have < headerSize {
			return rows
		}
		if f.head[0] == 'D' {
			rows++
		}
		f.have, f.rest = 0, max(0, int64(binary.BigEndian.Uint32(f.head[1:]))-4)
	}
	return rows
}

// observer is what the client's goroutine of an observed session keeps.
type observer struct {
	s        *session
	in       *bufio.Reader
	out      *bufio.Writer
	prepared map[string]audit.Event // the decision on a prepared statement, by its name: of the protocol's and of SQL's
	cursors  map[string]audit.Event // the same on what cursors read
	waiting  bool                   // for the first byte of a message
	dirty    bool                   // something was sent since the last Sync
}

// observed is what the two goroutines of an observed session tell each other, to find the moment at which it may end (PRO-108).
type observed struct {
	asked, ready atomic.Int64 // what asks for a ReadyForQuery, and how many have come
	status       atomic.Uint32
}

// quiet says whether nothing is under way, as far as the client has asked.
func (o *observer) quiet() bool {
	seen := &o.s.seen
	return o.waiting && !o.dirty && o.in.Buffered() == 0 && seen.asked.Load() == seen.ready.Load() && byte(seen.status.Load()) == 'I'
}

// Read reads from the client. Being woken by Drain ends it only where the session can end.
func (o *observer) Read(b []byte) (int, error) {
	for {
		n, err := o.s.client.conn.Read(b)
		if n > 0 || !isTimeout(err) || o.s.ended() {
			return n, err
		}
		// First, so that whoever wakes us from here on is not unheard. A closed connection shows at the next read.
		_ = o.s.client.conn.SetReadDeadline(time.Time{})
		if o.s.draining.Load() && o.quiet() {
			return 0, err
		}
	}
}

// observeClient decides, records and passes on what the client sends.
func (s *session) observeClient(ctx context.Context) error {
	o := &observer{s: s, out: bufio.NewWriterSize(s.up.conn, bufferSize), prepared: map[string]audit.Event{}, cursors: map[string]audit.Event{}}
	o.in = bufio.NewReaderSize(o, bufferSize)
	s.seen.status.Store('I')
	for {
		if o.in.Buffered() == 0 {
			if err := o.out.Flush(); err != nil {
				return err
			}
		}
		o.waiting = true
		head, err := o.in.Peek(headerSize)
		o.waiting = false
		if err != nil {
			if isTimeout(err) && !s.ended() {
				s.End(gateway.Ending{Code: gateway.CodeShutdown, Message: "the gateway is shutting down"})
			}
			return err
		}
		if s.ended() {
			return errEnded
		}
		kind, declared := head[0], int64(binary.BigEndian.Uint32(head[1:]))
		if declared < 4 {
			return s.violation("invalid message length")
		}
		switch kind {
		case 'Q', 'F':
			s.seen.asked.Add(1)
		case 'S':
			s.seen.asked.Add(1)
			o.dirty = false
		default:
			o.dirty = true
		}
		if err := o.message(ctx, kind, declared); err != nil {
			return err
		}
		if kind == 'X' {
			s.terminated.Store(true)
			return o.out.Flush()
		}
	}
}

// message passes one message on, and records what it asks for first.
func (o *observer) message(ctx context.Context, kind byte, declared int64) error {
	limit := int64(o.s.server.limits.Statement)
	if kind == 'B' || kind == 'C' {
		limit = int64(o.s.server.limits.Bind)
	}
	if kind != 'Q' && kind != 'P' && kind != 'B' && kind != 'C' && kind != 'F' || declared > limit {
		if kind == 'Q' || kind == 'P' || kind == 'B' || kind == 'F' {
			if err := o.record(ctx, refusedEvent("too_long")); err != nil {
				return err
			}
		}
		_, err := io.CopyN(o.out, o.in, declared+1)
		return err
	}
	whole := make([]byte, declared+1)
	if _, err := io.ReadFull(o.in, whole); err != nil {
		return err
	}
	if err := o.judge(ctx, kind, whole[headerSize:]); err != nil {
		return err
	}
	_, err := o.out.Write(whole)
	return err
}

// judge records what a message would have come to.
func (o *observer) judge(ctx context.Context, kind byte, body []byte) error {
	first, rest, ok := cString(body)
	second, _, ok2 := cString(rest)
	switch kind {
	case 'Q':
		if !ok {
			return o.record(ctx, refusedEvent("malformed"))
		}
		return o.record(ctx, o.decide(first, pgsql.Simple))
	case 'P':
		if !ok || !ok2 {
			return o.record(ctx, refusedEvent("malformed"))
		}
		ev := o.decide(second, pgsql.Extended)
		keep(o.prepared, keptName(first), ev)
		return o.record(ctx, ev)
	case 'B':
		if !ok || !ok2 {
			return o.record(ctx, refusedEvent("malformed"))
		}
		ev, known := o.prepared[keptName(second)]
		if !known {
			ev = refusedEvent("unknown_name")
		}
		ev.Detail = map[string]string{"at": "bind"}
		return o.record(ctx, ev)
	case 'C':
		if len(first) > 0 && first[0] == 'S' {
			delete(o.prepared, keptName(first[1:]))
		}
	case 'F':
		return o.record(ctx, refusedEvent("function_call"))
	}
	return nil
}

// decide is the event of a text. A statement without anything in it is none.
func (o *observer) decide(text []byte, mode pgsql.Mode) audit.Event {
	s := o.s
	w := s.profile().World
	d := s.server.config.Guard.Decide(w, string(text), mode)
	var ev audit.Event
	switch d.Verdict {
	case pgsql.Refuse:
		ev = s.refusedDecision(d, text)
	case pgsql.Empty:
		return audit.Event{}
	default:
		ev = s.allowedDecision(d, commandOf(d.Statements))
		ev.Touches = touchesOf(w.Store, d.Statements)
	}
	o.follow(&ev, d)
	s.shadow(&ev, text, mode)
	return ev
}

// keep remembers a decision by a name. What there is no room for is recorded as unknown when it is used: never as what the name meant
// before.
func keep(in map[string]audit.Event, name string, ev audit.Event) {
	if _, known := in[name]; known || len(in) < maxObserved {
		in[name] = ev
	}
}

// follow keeps to what a text does with the names of statements and cursors. EXECUTE and FETCH touch what the named one touches, and would
// find no name where that would have been refused.
func (o *observer) follow(ev *audit.Event, d *pgsql.Decision) {
	through := func(was audit.Event, known bool) {
		switch {
		case !known || ev.Verdict == verdictRefuse:
		case was.Verdict == verdictRefuse:
			ev.Verdict, ev.Reason = verdictRefuse, "unknown_name"
		default:
			ev.Touches = append(slices.Clip(ev.Touches), was.Touches...)
		}
	}
	for _, st := range d.Statements {
		for _, f := range st.Effects {
			name := keptName([]byte(f.Name))
			switch f.Kind {
			case pgsql.Prepare:
				was := *ev
				if was.Detail = nil; f.Prepared != nil {
					was.Command, was.Touches = f.Prepared.Tag, appendTouches(nil, o.s.profile().World.Store, f.Prepared.Touches)
				}
				keep(o.prepared, name, was)
			case pgsql.Execute:
				was, known := o.prepared[name]
				through(was, known)
			case pgsql.Deallocate:
				forget(o.prepared, name)
			case pgsql.DeclareCursor:
				keep(o.cursors, name, *ev)
			case pgsql.UseCursor:
				was, known := o.cursors[name]
				through(was, known)
			case pgsql.CloseCursor:
				forget(o.cursors, name)
			case pgsql.DiscardAll:
				clear(o.prepared)
				clear(o.cursors)
			case pgsql.EndTransaction, pgsql.SetVariable:
			}
		}
	}
}

// forget drops a name, or all of them for "".
func forget(in map[string]audit.Event, name string) {
	if name == "" {
		clear(in)
		return
	}
	delete(in, name)
}

func (o *observer) record(ctx context.Context, ev audit.Event) error {
	if ev.Kind == "" {
		return nil
	}
	if ev.Verdict == verdictRefuse {
		o.s.totals.refused.Add(1)
	} else {
		o.s.totals.statements.Add(1)
	}
	if _, err := o.s.gw.Record(ctx, ev); err != nil {
		o.s.server.config.Log.Error("a decision could not be recorded, so the session ends", "session", o.s.gw.ID(), "error", err)
		return o.s.fail(gateway.Ending{
			Code: gateway.CodeAudit, Message: "the audit trail cannot be written, so nothing is run", Hint: "tell the operator of the gateway",
		})
	}
	return nil
}
