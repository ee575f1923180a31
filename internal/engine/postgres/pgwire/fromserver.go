package pgwire

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
)

// serverSide is the state of the goroutine that reads from the store and writes to the client. Nobody else touches it.
type serverSide struct {
	pooled *[]byte
	buf    []byte
	pos, n int

	kept   int    // buf[kept:pos] goes to the client as it is
	out    []byte // what goes before that
	stream int64  // bytes of a row or of COPY data still to be passed on
	spill  bool   // these bytes are not for the client: a limit is reached

	finished []audit.Event  // completions, written to the trail after the client has its answer
	watched  []watchedField // of the result at hand, for the watcher
	fatal    bool           // the server has said its last word
	begun    time.Time      // of the current read
}

// verdicts on one message of the server.
type fate uint8

const (
	pass fate = iota
	drop
)

// fromServer reads until the store or the session ends. Whatever one read brought goes to the client in one write.
func (s *session) fromServer() {
	for {
		if err := s.receive(); err != nil {
			if isTimeout(err) && !s.ended() && !s.isOver() {
				_ = s.up.conn.SetReadDeadline(time.Time{}) // woken for nothing; a closed connection shows at the next read
				s.wakeAgain()
				continue
			}
			s.finish(err)
			return
		}
		s.out.begun = s.clock.Now()
		err := s.relay()
		if werr := s.deliver(); werr != nil && err == nil {
			s.End(gateway.Ending{Code: gateway.CodeGone, Message: "the client does not take what is sent to it"})
			return
		}
		if err != nil {
			s.finish(err)
			return
		}
		if !s.complete() {
			s.finish(errEnded)
			return
		}
	}
}

func (s *session) isOver() bool {
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	return s.pipe.over
}

// receive reads more of what the store sends; see fill.
func (s *session) receive() error {
	o := &s.out
	if o.pos == o.n {
		if o.pooled != nil {
			s.server.buffers.Put(o.pooled)
		}
		o.pooled, o.buf, o.pos, o.n, o.kept = nil, nil, 0, 0, 0
		buf, n, err := s.up.take(o.stream)
		if err != nil {
			return err
		}
		o.pooled, o.buf, o.n = buf, *buf, n
		return nil
	}
	if o.pos > 0 {
		o.n = copy(o.buf, o.buf[o.pos:o.n])
		o.pos, o.kept = 0, 0
	}
	if o.n == len(o.buf) {
		size := 2 * len(o.buf)
		if o.n >= headerSize {
			size = min(size, max(messageSize(o.buf), len(o.buf)+1))
		}
		bigger := make([]byte, size)
		copy(bigger, o.buf[:o.n])
		if o.pooled != nil {
			s.server.buffers.Put(o.pooled)
			o.pooled = nil
		}
		o.buf = bigger
	}
	n, err := s.up.conn.Read(o.buf[o.n:])
	o.n += n
	if n > 0 {
		return nil
	}
	return err
}

// relay looks at every message that has arrived. Of rows and COPY data it looks at the header and passes them on as they
// come; everything else is looked at whole.
func (s *session) relay() error {
	o, p := &s.out, &s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	answered := p.answered
scan:
	for o.pos < o.n {
		b := o.buf[o.pos:o.n]
		if o.stream > 0 {
			n := min(o.stream, int64(len(b)))
			o.pos += int(n)
			o.stream -= n
			if o.spill {
				o.kept = o.pos
			}
			continue
		}
		if len(b) < headerSize {
			break
		}
		declared := int64(binary.BigEndian.Uint32(b[1:headerSize]))
		if declared < 4 || declared > maxServerStream {
			return s.broken("sent a message whose length is out of bounds")
		}
		if b[0] == 'D' || b[0] == 'd' {
			e := p.front()
			if e == nil || e.kind != kQuery && e.kind != kExecute || e.answer != nil {
				return s.broken("sent data that nobody asked for")
			}
			if b[0] == 'D' {
				if declared < 6 {
					return s.broken("sent a row that cannot be read")
				}
				if len(b) < headerSize+2 {
					break scan
				}
				if !e.fits(int(binary.BigEndian.Uint16(b[headerSize:]))) {
					return s.alarmLocked(gateway.Ending{
						Code: gateway.CodeTripwire, Message: "the result was withheld: it has another shape than was described",
					})
				}
			}
			if e.plan != nil {
				whole := int(declared) + 1
				if declared > int64(s.server.limits.ServerText) {
					return s.broken("sent a message that is too long")
				}
				if len(b) < whole {
					break scan
				}
				s.replace(func(dst []byte) []byte { return appendPlan(dst, e, e.plan.Line(planLine(b[headerSize:whole]))) })
				o.kept += whole
				o.pos += whole
				continue
			}
			o.stream = declared + 1
			if o.spill = !s.counted(e); o.spill {
				s.replace(func(dst []byte) []byte { return dst })
				continue
			}
			if b[0] == 'D' && s.server.config.Watcher != nil {
				s.watchRow(e, b, declared)
			}
			e.rows++
			e.bytes += declared + 1
			continue
		}
		if declared > int64(s.server.limits.ServerText) {
			return s.broken("sent a message that is too long")
		}
		whole := int(declared) + 1
		if len(b) < whole {
			break
		}
		f, err := s.answerOf(b[0], b[headerSize:whole])
		if err != nil {
			return err
		}
		if f == drop {
			o.out = append(o.out, o.buf[o.kept:o.pos]...)
			o.kept = o.pos + whole
		}
		o.pos += whole
	}
	if p.answered != answered {
		p.changed.Broadcast()
	}
	return nil
}

// fits says whether a row has as many columns as were described (PRO-72). What an EXECUTE yields is its own affair, because
// the statement behind the name may have become another.
func (e *entry) fits(columns int) bool {
	switch {
	case e.kind == kQuery:
		return columns+1 == e.fields
	case e.shaped == nil || e.shaped.fields == 0 || len(e.shaped.effects) > 0:
		return true
	}
	return columns+1 == e.shaped.fields
}

// replace puts what append writes in place of the message at hand; the caller returns drop. What is kept before it goes
// first.
func (s *session) replace(write func(dst []byte) []byte) {
	o := &s.out
	o.out = append(o.out, o.buf[o.kept:o.pos]...)
	o.out = write(o.out)
	o.kept = o.pos
}

// deliver writes what relay has kept to the client, in one call.
func (s *session) deliver() error {
	o := &s.out
	rest := o.buf[o.kept:max(o.pos, o.kept)]
	var err error
	if len(o.out) == 0 {
		err = s.client.write(rest, o.begun)
	} else {
		o.out = append(o.out, rest...)
		err = s.client.write(o.out, o.begun)
		o.out = o.out[:0]
		if cap(o.out) > bufferSize {
			o.out = nil
		}
	}
	o.kept = o.pos
	return err
}

// complete writes the completions to the trail, behind the client's back: it has its answer. False: the trail is broken.
func (s *session) complete() bool {
	o := &s.out
	s.handOver()
	for i := range o.finished {
		if err := s.gw.RecordSoon(o.finished[i]); err != nil {
			s.server.config.Log.Error("a completion could not be recorded", "session", s.gw.ID(), "error", err)
			s.End(gateway.Ending{Code: gateway.CodeAudit, Message: "the audit trail cannot be written, so the session ends"})
			return false
		}
		o.finished[i] = audit.Event{}
	}
	o.finished = o.finished[:0]
	return true
}

// broken is a store that does not keep to the protocol. Nothing of it is passed on (PRO-65).
func (s *session) broken(what string) error {
	return s.alarmLocked(gateway.Ending{Code: gateway.CodeProtocol, Message: "the store " + what})
}

// alarmLocked is alarm for callers that hold the pipeline.
func (s *session) alarmLocked(e gateway.Ending) error {
	s.pipe.mu.Unlock()
	defer s.pipe.mu.Lock()
	return s.alarm(e)
}

// answerOf takes one whole message of the store: it finds the entry that it belongs to, and decides whether it goes on.
func (s *session) answerOf(kind byte, body []byte) (fate, error) {
	p := &s.pipe
	switch kind {
	case 'N':
		return s.notice(body), nil
	case 'S':
		return s.parameter(body)
	case 'A':
		return s.notification(body), nil
	case 'E':
		return s.serverError(body)
	case 'Z':
		return pass, s.ready(body)
	}
	p.dropCopyEnds()
	e := p.front()
	if e == nil || e.answer != nil || p.skipping {
		return drop, s.broken(fmt.Sprintf("sent message %q that nobody asked for", kind))
	}
	switch {
	case kind == '1' && e.kind == kParse, kind == '2' && e.kind == kBind, kind == '3' && e.kind == kClose:
		injected := e.injected
		p.confirm(e, 0, "")
		p.pop()
		if injected {
			return drop, nil
		}
		return pass, nil
	case kind == 't' && e.kind == kDescribe:
		return pass, nil
	case kind == 'n' && e.kind == kDescribe:
		e.shaped.fields = 1
		p.pop()
		return pass, nil
	case kind == 'T' && (e.kind == kDescribe || e.kind == kQuery):
		if len(body) < 2 {
			return drop, s.broken("sent a row description that cannot be read")
		}
		e.fields = int(binary.BigEndian.Uint16(body)) + 1
		if e.kind == kDescribe {
			e.shaped.fields, e.shaped.watched = e.fields, s.watched(body, true)
			p.pop()
		} else {
			e.watched, e.watching = s.watched(body, false), watchUndecided
		}
		return pass, s.tripwire(body)
	case e.kind == kQuery || e.kind == kExecute:
		return s.resultOf(kind, e, body)
	}
	return drop, s.broken(fmt.Sprintf("sent message %q out of turn", kind))
}

// resultOf takes what ends or frames a result.
func (s *session) resultOf(kind byte, e *entry, body []byte) (fate, error) {
	p := &s.pipe
	switch kind {
	case 'C', 's', 'I':
		if e.plan != nil {
			s.replace(func(dst []byte) []byte { return appendPlan(dst, e, e.plan.Flush()) })
		}
		if e.copying {
			p.endCopyIn()
		}
		tag, _, _ := cString(body)
		p.confirm(e, e.done, string(tag))
		if e.over != nil {
			return s.overrun(e)
		}
		if e.kind == kExecute && e.meter != nil && !e.reads {
			p.wrote = e.batch + 1
		}
		e.done++
		if e.kind == kExecute {
			s.finishEntry(e)
			p.pop()
		} else if len(e.fetches) > 0 {
			e.meter.CountFor(e.countsFor(e.done))
		}
		return pass, nil
	case 'H', 'c':
		if kind == 'c' && e.over != nil {
			return drop, nil // the data was cut short, and must not look whole
		}
		return pass, nil
	case 'G':
		if e.copies == 0 || e.copying {
			return drop, s.broken("asks for data that no statement brings")
		}
		e.copying = true
		p.beginCopyIn()
		return pass, nil
	}
	return drop, s.broken(fmt.Sprintf("sent message %q out of turn", kind))
}

// dropCopyEnds forgets ends of COPY data that were sent without being asked for.
func (p *pipeline) dropCopyEnds() {
	for !p.empty() && p.front().kind == kCopyEnd {
		p.pop()
	}
}

// finishEntry queues the completion of an entry.
func (s *session) finishEntry(e *entry) {
	e.meter.Close()
	s.totals.rows.Add(e.rows)
	s.totals.bytes.Add(e.bytes)
	if e.event != "" {
		s.out.finished = append(s.out.finished, completion(e, s.out.begun))
	}
}

// ready is ReadyForQuery. Its status is the server's and is never invented (PRO-57).
func (s *session) ready(body []byte) error {
	p := &s.pipe
	if len(body) != 1 {
		return s.broken("sent a ReadyForQuery that cannot be read")
	}
	committed := !p.skipping
	for {
		p.dropCopyEnds()
		e := p.front()
		if e == nil {
			return s.broken("is ready although nobody asked")
		}
		last := e.kind == kSync || e.kind == kQuery && !p.skipping
		switch {
		case last:
		case p.skipping:
			e.state = "" // the server has not run it
		default:
			return s.broken("is ready before it has answered")
		}
		if e.answer != nil && last && e.state == "" {
			return s.broken("ran what must fail")
		}
		if e.event != "" && e.answer == nil {
			if last {
				s.finishEntry(e)
			} else if e.kind == kExecute && e.event != p.failedEvent {
				skipped := completion(e, s.out.begun)
				skipped.Reason = "skipped"
				s.out.finished = append(s.out.finished, skipped)
			}
		}
		committed = committed && e.state == ""
		p.pop()
		if last {
			break
		}
	}
	p.dropCopyEnds() // of a COPY that had failed before: nothing comes for them
	p.skipping, p.copyIn = false, false
	p.status = body[0]
	p.active = s.out.begun
	if p.status == 'I' {
		p.dropTransaction(committed)
		if p.empty() && s.draining.Load() {
			_ = s.client.conn.SetReadDeadline(longAgo) // the client's goroutine looks whether this is the moment
		}
	}
	return nil
}

// serverError is ErrorResponse: it belongs to the front entry, and in the extended protocol everything up to the next Sync
// falls with it.
func (s *session) serverError(body []byte) (fate, error) {
	p := &s.pipe
	var r pgproto3.ErrorResponse
	if err := r.Decode(body); err != nil {
		return drop, s.broken("sent an error that cannot be read")
	}
	p.dropCopyEnds()
	e := p.front()
	w := s.profile().World
	if isFatal(&r) {
		s.out.fatal = true
	}
	if e != nil {
		e.state = r.Code
	}
	if e == nil || s.out.fatal {
		if e == nil && !s.out.fatal {
			return drop, s.broken("sent an error that belongs to nothing")
		}
		s.replace(func(dst []byte) []byte { return scrubbed(dst, &r, w.Masked, "") })
		return drop, nil
	}
	a, redacted := e.answer, e.redacted
	if a == nil && e.over != nil {
		a, e.state = e.over, e.over.state
	}
	if e.kind != kQuery && e.kind != kSync {
		s.oweSync(e)
		p.skipping = true
		p.failedEpoch, p.failedEvent = e.epoch+1, e.event
		if e.answer == nil {
			s.finishEntry(e)
		}
		p.pop()
	}
	p.copyIn, p.heldSync = false, false
	s.replace(func(dst []byte) []byte {
		if a != nil {
			return a.append(dst)
		}
		return scrubbed(dst, &r, w.Masked, redacted)
	})
	return drop, nil
}

func isFatal(r *pgproto3.ErrorResponse) bool {
	severity := r.SeverityUnlocalized
	if severity == "" {
		severity = r.Severity
	}
	return severity == "FATAL" || severity == "PANIC"
}

// notification passes what is sent on a channel that a rule opens now: a session still listens on the server when the rule that
// let it is over.
func (s *session) notification(body []byte) fate {
	var n pgproto3.NotificationResponse
	if err := n.Decode(body); err != nil || !s.profile().World.Channels[n.Channel] {
		return drop
	}
	return pass
}

// notice is NoticeResponse. Under masks or filters only warnings about the client's own transaction and session go on, in
// words of ours (ENF-61).
func (s *session) notice(body []byte) fate {
	w := s.profile().World
	var r pgproto3.NoticeResponse
	if err := r.Decode(body); err != nil {
		return drop
	}
	if f := s.pipe.front(); f != nil && f.injected {
		return drop
	}
	if !w.Masked {
		r.Position = 0
		s.replace(func(dst []byte) []byte {
			out, err := r.Encode(dst)
			if err != nil {
				return dst
			}
			return out
		})
		return drop
	}
	text := cannedNotice(r.Code)
	if text == "" {
		return drop
	}
	n := pgproto3.NoticeResponse{Severity: r.Severity, SeverityUnlocalized: r.SeverityUnlocalized, Code: r.Code, Message: text}
	s.replace(func(dst []byte) []byte {
		out, err := n.Encode(dst)
		if err != nil {
			return dst
		}
		return out
	})
	return drop
}

// parameter is ParameterStatus: a second alarm on the pins (PRO-67), and the only thing that is translated.
func (s *session) parameter(body []byte) (fate, error) {
	name, rest, ok := cString(body)
	value, _, ok2 := cString(rest)
	if !ok || !ok2 {
		return drop, s.broken("sent a parameter that cannot be read")
	}
	if string(name) == "search_path" {
		if string(value) != s.profile().SearchPath && string(value) != s.pinnedPath {
			return drop, s.pinMoved("search_path")
		}
		m := pgproto3.ParameterStatus{Name: "search_path", Value: s.logicalPath()}
		s.replace(func(dst []byte) []byte {
			out, err := m.Encode(dst)
			if err != nil {
				return dst
			}
			return out
		})
		return drop, nil
	}
	if want, pinned := pinnedStatus(string(name), s.gw.Profile().Role); pinned && string(value) != want {
		return drop, s.pinMoved(string(name))
	}
	return pass, nil
}

// pinMoved ends a session whose meaning has changed under our feet.
func (s *session) pinMoved(name string) error {
	return s.alarmLocked(gateway.Ending{Code: gateway.CodeTripwire, Message: "setting " + name + " has changed and must not"})
}

// tripwire looks at where the fields of a result come from. A base table that the profile only shows through a view means
// that the guard or the wall has failed; nothing of the result goes out (ENF-69, PRO-72).
func (s *session) tripwire(body []byte) error {
	profile := s.profile()
	protected := profile.Protected
	fields := int(binary.BigEndian.Uint16(body))
	rest := body[2:]
	const afterName = 18 // OID, attnum, type OID, length, modifier, format
	for range fields {
		_, after, ok := cString(rest)
		if !ok || len(after) < afterName {
			return s.broken("sent a row description that cannot be read")
		}
		at := Origin{binary.BigEndian.Uint32(after), int16(binary.BigEndian.Uint16(after[4:]))} //nolint:gosec // as the protocol has it
		if _, hit := protected[at.OID]; hit && !profile.shows(at) {
			return s.alarmLocked(gateway.Ending{
				Code: gateway.CodeTripwire, Message: "the result was withheld: a field of it comes from a protected table",
				Hint: "tell the operator of the gateway",
			})
		}
		rest = after[afterName:]
	}
	if len(rest) != 0 {
		return s.broken("sent a row description that cannot be read")
	}
	return nil
}

func (p *Profile) shows(at Origin) bool {
	_, ok := p.Shown[at]
	return ok
}

// finish says the last word to the client, if there is one to say and a place to say it, and lets run close everything.
func (s *session) finish(cause error) {
	s.complete()
	e := s.ending.Load()
	if e == nil {
		if s.out.fatal || s.terminated.Load() {
			return // the server's own word was the last, or the client's
		}
		s.server.config.Log.Info("the store ended a session", "session", s.gw.ID(), "error", cause)
		e = &gateway.Ending{Code: gateway.CodeUpstream, Message: "the store has closed the connection"}
		s.End(*e)
	}
	if e.Code == gateway.CodeGone || s.out.stream > 0 && !s.out.spill || s.out.fatal {
		return // nobody listens, or a message is half sent
	}
	_ = s.client.conn.SetWriteDeadline(time.Now().Add(lastWords)) // a closed connection is the aim
	_, _ = s.client.conn.Write(endingAnswer(*e).append(nil))      // it is closed next
}
