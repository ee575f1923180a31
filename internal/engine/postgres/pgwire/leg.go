package pgwire

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// smallRead is what a leg under TLS waits with: enough for most statements, and little for a session that is idle.
const smallRead = 512

// leg is one side of a session once the login is over. One goroutine reads and one writes.
type leg struct {
	conn net.Conn
	raw  syscall.RawConn // of conn itself; nil under TLS and for conns without a descriptor
	wire syscall.Conn    // the descriptor below, also under TLS; may be nil
	pool *sync.Pool

	// State of one wait, kept here so that waiting allocates nothing.
	got   *[]byte
	n     int
	rerr  error
	try   func(fd uintptr) bool
	first [smallRead]byte

	// State of one write, likewise.
	rest []byte
	werr error
	send func(fd uintptr) bool

	stall    time.Duration
	deadline time.Time // of writes, as last set
}

// newLeg makes a leg of conn; below is what carries conn, the same or the connection under TLS.
func newLeg(conn, below net.Conn, pool *sync.Pool, stall time.Duration) *leg {
	l := &leg{conn: conn, pool: pool, stall: stall}
	if sc, ok := below.(syscall.Conn); ok {
		l.wire = sc
		if conn == below && canTry {
			if raw, err := sc.SyscallConn(); err == nil {
				l.raw = raw
			}
		}
	}
	l.try, l.send = l.tryRead, l.trySend
	return l
}

// take waits for data and returns a pooled buffer that holds n bytes of it. No buffer is held while waiting. The caller puts
// the buffer back. rest is how much of a message that has begun is still to come.
func (l *leg) take(rest int64) (buf *[]byte, n int, err error) {
	if l.raw == nil {
		return l.takeSmall(rest)
	}
	l.got, l.n, l.rerr = nil, 0, nil
	err = l.raw.Read(l.try)
	buf, n = l.got, l.n
	l.got = nil
	switch {
	case err == nil && l.rerr != nil:
		err = l.rerr
	case err == nil && n == 0:
		err = io.EOF
	}
	if err != nil && buf != nil {
		l.pool.Put(buf)
		buf = nil
	}
	return buf, n, err
}

// tryRead is called by the runtime when there may be something to read.
func (l *leg) tryRead(fd uintptr) bool {
	if l.got == nil {
		l.got = l.pool.Get().(*[]byte)
	}
	for {
		n, errno := tryRead(fd, *l.got)
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			l.pool.Put(l.got)
			l.got = nil
			return false
		case 0:
			l.n = n
		default:
			l.rerr = errno
		}
		return true
	}
}

// takeSmall is take where the descriptor cannot be asked: it waits with little room, and reads on with a buffer only where
// more is certain to come.
func (l *leg) takeSmall(rest int64) (*[]byte, int, error) {
	n, err := l.conn.Read(l.first[:])
	if n == 0 {
		if err == nil {
			err = io.ErrNoProgress
		}
		return nil, 0, err
	}
	buf := l.pool.Get().(*[]byte)
	copy(*buf, l.first[:n])
	if err != nil || !l.moreAfter(n, rest) {
		return buf, n, nil // an error, if any, comes again
	}
	more, err := l.conn.Read((*buf)[n:])
	if more == 0 && err != nil && !errors.Is(err, io.EOF) && !isTimeout(err) {
		l.pool.Put(buf)
		return nil, 0, err
	}
	return buf, n + more, nil
}

// moreAfter says whether something must follow the n bytes in first: they end inside a message.
func (l *leg) moreAfter(n int, rest int64) bool {
	at := rest
	for at < int64(n) {
		if int64(n)-at < headerSize {
			return true
		}
		size := int64(binary.BigEndian.Uint32(l.first[at+1:])) + 1
		if size < headerSize {
			return false // broken; whoever looks at it says so
		}
		at += size
	}
	return at != int64(n)
}

// write sends b in one call. The deadline for a reader that does not take it is renewed now and then.
func (l *leg) write(b []byte, now time.Time) error {
	if len(b) == 0 {
		return nil
	}
	if l.stall > 0 && l.deadline.Sub(now) < l.stall/4*3 {
		l.deadline = now.Add(l.stall)
		if err := l.conn.SetWriteDeadline(l.deadline); err != nil {
			return err
		}
	}
	if l.raw == nil {
		_, err := l.conn.Write(b)
		return err
	}
	l.rest, l.werr = b, nil
	err := l.raw.Write(l.send)
	l.rest = nil
	if err == nil {
		err = l.werr
	}
	return err
}

// trySend is called by the runtime when there may be room.
func (l *leg) trySend(fd uintptr) bool {
	for len(l.rest) > 0 {
		n, errno := tryWrite(fd, l.rest)
		switch errno {
		case 0, syscall.EINTR:
			l.rest = l.rest[n:]
		case syscall.EAGAIN:
			return false
		default:
			l.werr = errno
			return true
		}
	}
	return true
}

// waiting says whether the other side has sent something that nobody has read. False is also the answer where that cannot
// be known.
func waiting(c syscall.Conn) bool {
	if c == nil {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var some bool
	if raw.Control(func(fd uintptr) { some = peek(fd) }) != nil {
		return false
	}
	return some
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}
