package pgwire

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
)

const (
	shortKey = 4  // protocol 3.0
	longKey  = 32 // 3.2, as PostgreSQL 18 sends
	// cancelTime is how long one cancel may take, from dialling to the server's closing the connection.
	cancelTime = 5 * time.Second
)

// keyring finds a session by what a CancelRequest brings: the server's pid and our key (PRO-41, 45).
type keyring struct {
	mu       sync.Mutex
	sessions map[uint32][]*session
}

// add gives a session its key: as long as its protocol version wants it, and unlike every other with the same pid.
func (k *keyring) add(s *session, version uint32, random io.Reader) error {
	size := shortKey
	if version >= version32 {
		size = longKey
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for range 16 {
		key := make([]byte, size)
		if _, err := io.ReadFull(random, key); err != nil {
			return err
		}
		if k.find(s.pid, key) == nil {
			s.key = key
			k.sessions[s.pid] = append(k.sessions[s.pid], s)
			return nil
		}
	}
	return errors.New("no cancel key is free")
}

// find compares every key of that pid in constant time. The caller holds mu.
func (k *keyring) find(pid uint32, key []byte) *session {
	var found *session
	for _, s := range k.sessions[pid] {
		if subtle.ConstantTimeCompare(s.key, key) == 1 {
			found = s
		}
	}
	return found
}

func (k *keyring) lookup(pid uint32, key []byte) *session {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.find(pid, key)
}

// where finds the session of a pid whose key fits.
func (k *keyring) where(pid uint32, fits func(key []byte) bool) *session {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.sessions[pid] {
		if fits(s.key) {
			return s
		}
	}
	return nil
}

func (k *keyring) remove(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	left := slices.DeleteFunc(k.sessions[s.pid], func(o *session) bool { return o == s })
	if len(left) == 0 {
		delete(k.sessions, s.pid)
		return
	}
	k.sessions[s.pid] = left
}

// cancel handles a CancelRequest: body is the pid and the key. It answers nothing, whatever it finds (PRO-43). One that fits no
// session here may be for another gateway behind the same address.
func (s *Server) cancel(ctx context.Context, a *gateway.Admitted, body []byte, secure bool) {
	if !secure && a.CancelNeedsTLS() && !a.Facts().Local {
		return
	}
	if len(body) < 4+shortKey || len(body) > 4+256 || !s.cancels.allow(a.Facts(), a.Clock().Now()) {
		return
	}
	pid, key := binary.BigEndian.Uint32(body), body[4:]
	target := s.keys.lookup(pid, key)
	e := audit.Event{Kind: audit.CancelRequest, Verdict: verdictRefuse, Reason: "unknown_key"}
	if target != nil {
		target.named(&e)
	} else if passed, err := a.PassOn(ctx, pid, key); err != nil {
		s.config.Log.Warn("a cancel request was not passed on", "error", err)
	} else if passed {
		e.Reason = "passed_on"
	}
	if _, err := a.Record(ctx, e); err != nil {
		s.config.Log.Error("a cancel request could not be recorded, so it is dropped", "error", err)
		return
	}
	if target != nil {
		target.cancelRunning()
	}
}

// CancelFor implements gateway.Canceller.
func (s *Server) CancelFor(ctx context.Context, pid uint32, fits func(key []byte) bool) {
	target := s.keys.where(pid, fits)
	if target == nil {
		return
	}
	e := audit.Event{Kind: audit.CancelRequest}
	target.named(&e)
	if _, err := target.gw.Record(ctx, e); err != nil {
		s.config.Log.Error("a cancel request could not be recorded, so it is dropped", "error", err)
		return
	}
	target.cancelRunning()
}

// named says in an event what a cancel request is for.
func (s *session) named(e *audit.Event) {
	e.Session, e.Subject, e.Verdict, e.Reason = s.gw.ID(), s.gw.Subject().Name, verdictAllow, "idle"
	if s.busy() {
		e.Reason = "running"
	}
}

// busy says whether something runs that a cancel could hit.
func (s *session) busy() bool {
	if s.gw.Profile().Observed {
		return true // nobody counts what is answered: the server knows
	}
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	return !s.pipe.empty()
}

// cancelRunning cancels what runs, if anything does, and holds back what comes next until the server has closed the cancel's
// own connection (PRO-47).
func (s *session) cancelRunning() {
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	s.cancelLocked()
}

// cancelLocked is cancelRunning for callers that hold the pipeline.
func (s *session) cancelLocked() {
	if s.pipe.empty() && !s.gw.Profile().Observed || s.pipe.cancelling != nil || s.pipe.over {
		return
	}
	done := make(chan struct{})
	s.pipe.cancelling = done
	go func() {
		ctx, stop := context.WithTimeout(context.Background(), cancelTime)
		defer stop()
		if err := sendCancel(ctx, s.target.target, s.target.pid, s.target.key); err != nil {
			s.server.config.Log.Warn("cancel at the store", "session", s.gw.ID(), "error", err)
		}
		s.pipe.mu.Lock()
		s.pipe.cancelling = nil
		s.pipe.mu.Unlock()
		close(done)
	}()
}

// sendCancel sends one CancelRequest the way the session itself went, and waits until the server has dealt with it.
func sendCancel(ctx context.Context, target *Upstream, pid uint32, key []byte) error {
	up, err := dial(ctx, target)
	if err != nil {
		return err
	}
	defer up.conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = up.conn.Close() }) // unblocks the read below
	defer stop()
	request, err := encode(nil, &pgproto3.CancelRequest{ProcessID: pid, SecretKey: key})
	if err != nil {
		return err
	}
	if _, err := up.conn.Write(request); err != nil {
		return err
	}
	var b [1]byte
	_, err = up.conn.Read(b[:])
	if isEnd(err) {
		return nil
	}
	var op *net.OpError
	if errors.As(err, &op) && !op.Timeout() && ctx.Err() == nil {
		return nil // a reset is the end as well
	}
	return err
}

// cancelBrake limits how often one address may try (PRO-45, 104).
type cancelBrake struct {
	mu   sync.Mutex
	seen map[string]cancelCount
}

type cancelCount struct {
	since time.Time
	n     int
}

const (
	cancelsPerWindow = 100
	cancelWindow     = 10 * time.Second
	maxCancelSources = 4096
)

func (c *cancelBrake) allow(f gateway.Facts, now time.Time) bool {
	source := "local"
	if f.Address.IsValid() {
		source = f.Address.String()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.seen[source]
	if now.Sub(e.since) > cancelWindow {
		if len(c.seen) >= maxCancelSources {
			clear(c.seen)
		}
		e = cancelCount{since: now}
	}
	e.n++
	c.seen[source] = e
	return e.n <= cancelsPerWindow
}
