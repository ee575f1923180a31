package pgwire

// While a server reads COPY data it drops a Sync; once the COPY has failed it answers one. Which of the two became of a Sync that was sent
// meanwhile nothing tells, and to guess wrong is to take each later answer for that of another statement: its rows would be counted and
// shown as that one's may be. So no Sync goes to the server before it is known whether the server reads data (PRO-78, 79).

var syncMessage = []byte{'S', 0, 0, 0, 4}

// turn waits until it is known whether a COPY FROM STDIN that was sent reads data, unless the end of the data has been sent too: from
// there on a Sync means the same however the COPY ends. It says whether data is read, and whether the server ignores what comes.
func (s *session) turn() (copying, failed bool, err error) {
	p := &s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	for flushed := false; s.in.copies && !p.copyIn && !p.failed(s.in.epoch) && !p.over && !s.ended(); {
		switch {
		case !p.expectsCopyIn():
			s.in.copies = false
		case !flushed:
			flushed = true
			p.mu.Unlock()
			err = s.flush()
			p.mu.Lock()
			if err != nil {
				return false, false, err
			}
		default:
			p.changed.Wait()
		}
	}
	if p.over || s.ended() {
		return false, false, errEnded
	}
	if p.owedSync {
		p.owedSync = false
		p.mu.Unlock()
		err = s.passSync(syncMessage)
		p.mu.Lock()
	}
	return p.copyIn, p.failed(s.in.epoch), err
}

// holdSync keeps a Sync from a server that reads data, for which it would mean nothing. If the COPY fails before more data has come, the
// server may not have read as far, and it is owed; with the data that follows it the server has read over it (see beginCopyData).
func (s *session) holdSync() {
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	if s.pipe.copyIn {
		s.pipe.heldSync = true
		return
	}
	s.pipe.owedSync = s.pipe.failed(s.in.epoch) // it has failed since; after a Query the server is ready by itself
}

// oweSync has a held Sync sent, because the COPY of e has failed and the server waits for one: so does the client, which has sent it. The
// client's goroutine does it, between two messages; it may have to be woken. The pipeline is locked.
func (s *session) oweSync(e *entry) {
	if p := &s.pipe; p.heldSync && e.copying {
		p.heldSync, p.owedSync = false, true
		_ = s.client.conn.SetReadDeadline(longAgo) // a closed connection shows at the next read
	}
}

// settleSync passes on the Sync that is owed. No message of the client's is half sent then: data takes the debt away.
func (s *session) settleSync() error {
	s.pipe.mu.Lock()
	owed := s.pipe.owedSync
	s.pipe.mu.Unlock()
	if !owed {
		return nil
	}
	_, _, err := s.turn()
	return err
}
