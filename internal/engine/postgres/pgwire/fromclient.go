package pgwire

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/gateway"
)

// clientSide is the state of the goroutine that reads from the client. Nobody else touches it.
type clientSide struct {
	pooled *[]byte // buf, when it came from the pool
	buf    []byte
	pos, n int // buf[pos:n] has not been looked at

	discard int64 // bytes of a message that was refused by its length, still to be dropped
	stream  int64 // bytes of COPY data still to be passed on

	out    []byte // for the store
	skip   bool   // we refused something: everything up to Sync is dropped (PRO-55)
	dirty  bool   // something was sent since the last Sync
	copies bool   // a COPY FROM STDIN may still ask for data
	batch  uint64
	epoch  uint64

	query   entry // the Query at hand, until it is in the queue
	touched struct {
		by      *pgsql.Statement
		world   *pgsql.World
		touches []audit.Touch
	}
}

// fromClient reads until the client or the session ends. Whatever one read brought goes upstream in one write.
func (s *session) fromClient(ctx context.Context) {
	for {
		if err := s.fill(); err != nil {
			if errors.Is(err, errEnded) {
				return
			}
			if isTimeout(err) && !s.ended() {
				if s.drained() {
					return
				}
			} else {
				s.vanished()
				return
			}
		}
		done, err := s.process(ctx) // what was begun and is not whole stays; a woken reader has nothing new
		if err == nil && !done {
			err = s.settleSync()
		}
		if err == nil {
			err = s.flush()
		}
		if err != nil {
			if !errors.Is(err, errEnded) {
				s.upstreamGone(err)
			}
			return
		}
		if done {
			return
		}
		s.giveBack()
	}
}

// fill reads more of what the client sends. With nothing left over it waits without holding a buffer.
func (s *session) fill() error {
	in := &s.in
	if in.pos == in.n {
		s.giveBack()
		buf, n, err := s.client.take(in.discard + in.stream)
		if err != nil {
			return err
		}
		in.pooled, in.buf, in.pos, in.n = buf, *buf, 0, n
		return nil
	}
	if in.pos > 0 {
		in.n = copy(in.buf, in.buf[in.pos:in.n])
		in.pos = 0
	}
	if in.n == len(in.buf) {
		s.grow()
	}
	n, err := s.client.conn.Read(in.buf[in.n:])
	in.n += n
	if n > 0 {
		return nil
	}
	return err
}

// grow makes room for the rest of a message whose declared length has been checked. The room doubles as bytes arrive, so
// that a length alone costs nothing.
func (s *session) grow() {
	in := &s.in
	size := 2 * len(in.buf)
	if in.n >= headerSize {
		size = min(size, max(messageSize(in.buf), len(in.buf)+1))
	}
	bigger := make([]byte, size)
	copy(bigger, in.buf[:in.n])
	if in.pooled != nil {
		s.server.buffers.Put(in.pooled)
		in.pooled = nil
	}
	in.buf = bigger
}

// giveBack returns an empty buffer.
func (s *session) giveBack() {
	in := &s.in
	if in.pos < in.n {
		return
	}
	if in.pooled != nil {
		s.server.buffers.Put(in.pooled)
	}
	in.pooled, in.buf, in.pos, in.n = nil, nil, 0, 0
}

// messageSize is the whole size of the message that b begins with.
func messageSize(b []byte) int { return 1 + int(binary.BigEndian.Uint32(b[1:headerSize])) }

// process takes every complete message that has arrived. done means that the client has said goodbye.
func (s *session) process(ctx context.Context) (done bool, err error) {
	in := &s.in
	for in.pos < in.n {
		b := in.buf[in.pos:in.n]
		switch {
		case in.discard > 0:
			n := min(in.discard, int64(len(b)))
			in.pos += int(n)
			in.discard -= n
			continue
		case in.stream > 0:
			n := min(in.stream, int64(len(b)))
			in.out = append(in.out, b[:n]...)
			in.pos += int(n)
			in.stream -= n
			continue
		case len(b) < headerSize:
			return false, nil
		}
		if s.ended() {
			return false, errEnded
		}
		whole, err := s.admitSize(ctx, b)
		if err != nil {
			return false, err
		}
		if whole == 0 {
			continue // discarding or streaming has begun
		}
		if len(b) < whole {
			return false, nil
		}
		in.pos += whole
		done, err = s.message(ctx, b[0], b[:whole])
		if done || err != nil {
			return done, err
		}
	}
	return false, nil
}

// admitSize checks the declared length of the message that b begins with, before a buffer for it exists (PRO-100, 101). It
// returns the whole size, or 0 when the message is not gathered: COPY data is passed on as it comes, and what is too large
// is refused at once, whether the rest of it ever comes or not, and dropped as it comes.
func (s *session) admitSize(ctx context.Context, b []byte) (int, error) {
	in := &s.in
	declared := binary.BigEndian.Uint32(b[1:headerSize])
	if declared < 4 || declared > maxServerStream {
		return 0, s.violation("invalid message length")
	}
	limit := maxSmall
	var refuse func() error
	switch b[0] {
	case 'Q':
		limit, refuse = s.server.limits.Statement, func() error { return s.tooLong(ctx, 'Q', declared) }
	case 'P':
		limit, refuse = s.server.limits.Statement, func() error { return s.tooLong(ctx, 'P', declared) }
	case 'B':
		limit, refuse = s.server.limits.Bind, func() error { return s.tooLong(ctx, 'B', declared) }
	case 'F':
		limit, refuse = maxSmall, func() error { return s.functionCall(ctx) }
	case 'd':
		s.beginCopyData(int64(declared) + 1)
		return 0, nil
	case 'D', 'E', 'C', 'S', 'H', 'X', 'c', 'f':
	default:
		return 0, s.violation("invalid frontend message type")
	}
	if int64(declared) > int64(limit) {
		if refuse == nil {
			return 0, s.violation("invalid message length")
		}
		in.discard = int64(declared) + 1
		return 0, refuse()
	}
	return int(declared) + 1, nil
}

// beginCopyData passes COPY data on while the server reads it, and drops it otherwise, as the server would. A Sync before it was read over.
func (s *session) beginCopyData(size int64) {
	s.pipe.mu.Lock()
	copying := s.pipe.copyIn || s.pipe.expectsCopyIn()
	s.pipe.heldSync = s.pipe.heldSync && !copying
	s.pipe.mu.Unlock()
	if copying {
		s.in.stream = size
		return
	}
	s.in.discard = size
}

// message handles one message that has arrived whole.
func (s *session) message(ctx context.Context, kind byte, whole []byte) (done bool, err error) {
	body := whole[headerSize:]
	switch kind {
	case 'X':
		s.in.out = append(s.in.out, whole...)
		s.terminated.Store(true)
		return true, s.flush()
	case 'S':
		return false, s.sync(whole)
	case 'H':
		if !s.in.skip {
			s.in.out = append(s.in.out, whole...)
		}
		return false, nil
	case 'c', 'f':
		return false, s.copyEnd(whole)
	}
	copying, failed, err := s.turn()
	if err != nil {
		return false, err
	}
	if copying {
		return false, s.violation("unexpected message type during COPY from stdin")
	}
	if s.in.skip || failed {
		return false, nil // the server ignores it too, so it is neither decided nor sent
	}
	if err = s.request(ctx, kind, whole, body); errors.Is(err, errIgnored) {
		return false, nil
	}
	return false, err
}

// request decides on a message that asks the server for something.
func (s *session) request(ctx context.Context, kind byte, whole, body []byte) error {
	switch kind {
	case 'Q':
		return s.query(ctx, body)
	case 'P':
		return s.parse(ctx, body)
	case 'B':
		return s.bind(ctx, whole)
	case 'D':
		return s.describe(ctx, whole)
	case 'E':
		return s.execute(ctx, whole)
	case 'C':
		return s.closeName(ctx, whole)
	case 'F':
		return s.functionCall(ctx)
	}
	return s.violation("invalid frontend message type")
}

// sync passes a Sync on. It ends what an error began.
func (s *session) sync(whole []byte) error {
	copying, _, err := s.turn()
	if err != nil {
		return err
	}
	if copying {
		s.holdSync()
		return nil
	}
	return s.passSync(whole)
}

func (s *session) passSync(whole []byte) error {
	in := &s.in
	// A crowded queue is flushed while it waits: the message must not be among what goes out then, or its answer would come first.
	err := s.push(&entry{kind: kSync})
	in.out = append(in.out, whole...)
	in.skip = false
	in.batch++
	in.epoch++
	return err
}

// copyEnd passes CopyDone and CopyFail on while the server reads COPY data.
func (s *session) copyEnd(whole []byte) error {
	s.pipe.mu.Lock()
	copying := s.pipe.copyIn || s.pipe.expectsCopyIn()
	s.pipe.copyIn, s.pipe.heldSync = false, false
	s.pipe.mu.Unlock()
	if !copying {
		return nil // the server would drop it (PRO-65)
	}
	err := s.push(&entry{kind: kCopyEnd})
	s.in.out = append(s.in.out, whole...)
	return err
}

// push puts an entry at the end of the queue, before its message is sent. It waits while too much is unanswered.
func (s *session) push(e *entry) error {
	e.batch, e.epoch = s.in.batch, s.in.epoch
	switch e.kind {
	case kQuery, kSync:
		s.in.dirty = false // they end the implicit transaction themselves
	case kCopyEnd:
	default:
		s.in.dirty = true
	}
	s.in.copies = s.in.copies || e.copies > 0
	p := &s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	crowded := func() bool {
		return p.length() >= s.server.limits.Pending && !p.over && !s.ended() && !p.failed(s.in.epoch)
	}
	for crowded() {
		// The server cannot answer what it has not got, and keeps short answers until it is asked for them.
		s.in.out = append(s.in.out, flushMessage...)
		p.mu.Unlock()
		err := s.flush()
		p.mu.Lock()
		if err != nil {
			return err
		}
		if crowded() {
			p.changed.Wait()
		}
	}
	if p.over || s.ended() {
		return errEnded
	}
	p.push(e)
	return nil
}

// flush sends what has gathered for the store, in one write. A cancel on its way to the server is waited for, so that it
// cannot hit the statement that goes out now (PRO-47).
func (s *session) flush() error {
	in := &s.in
	if len(in.out) == 0 {
		return nil
	}
	s.pipe.mu.Lock()
	cancelling := s.pipe.cancelling
	s.pipe.mu.Unlock()
	if cancelling != nil {
		<-cancelling
	}
	if s.ended() {
		return errEnded
	}
	err := s.up.write(in.out, s.clock.Now())
	if cap(in.out) > bufferSize/2 {
		in.out = nil
	} else {
		in.out = in.out[:0]
	}
	return err
}

// vanished handles a client that is gone without a goodbye: what runs is cancelled after a short grace (PRO-111).
func (s *session) vanished() {
	deadline := time.Now().Add(goneGrace)
	wake := time.AfterFunc(goneGrace, func() {
		s.pipe.mu.Lock()
		s.pipe.changed.Broadcast()
		s.pipe.mu.Unlock()
	})
	defer wake.Stop()
	s.pipe.mu.Lock()
	for !s.pipe.empty() && !s.pipe.over && !s.ended() && time.Now().Before(deadline) {
		s.pipe.changed.Wait()
	}
	s.pipe.mu.Unlock()
	s.End(gateway.Ending{Code: gateway.CodeGone, Message: "the client is gone"})
}

// upstreamGone handles a store that does not take what is sent to it. What it said before it went is still on its way and
// comes first, so this only makes sure that the session ends.
func (s *session) upstreamGone(err error) {
	s.server.config.Log.Info("write to the store", "session", s.gw.ID(), "error", err)
	_ = s.up.conn.SetReadDeadline(time.Now().Add(lastWords)) // the other goroutine reads to the end, and ends the session
	s.pipe.mu.Lock()
	s.pipe.over = true
	s.pipe.changed.Broadcast()
	s.pipe.mu.Unlock()
}

// drained is asked when the client's goroutine was woken: is this a moment at which the session can end without anybody
// losing anything (PRO-108)? If so it ends.
func (s *session) drained() bool {
	// First, so that whoever wakes us from here on is not unheard. A closed connection shows at the next read.
	_ = s.client.conn.SetReadDeadline(time.Time{})
	if s.draining.Load() {
		s.pipe.mu.Lock()
		quiet := s.pipe.empty() && s.pipe.status == 'I'
		s.pipe.mu.Unlock()
		if quiet && !s.in.dirty && s.in.pos == s.in.n && s.in.discard == 0 && s.in.stream == 0 && !waiting(s.client.wire) {
			s.End(gateway.Ending{Code: gateway.CodeShutdown, Message: "the gateway is shutting down"})
			return true
		}
	}
	return false
}
