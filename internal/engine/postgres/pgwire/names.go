package pgwire

import (
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
)

// effects notes what statement number i of a decision does to the session's names, in e, and checks the names that it
// uses. It returns what an EXECUTE in it touches, and an answer if a name cannot be used.
func (s *session) effects(w *pgsql.World, d *pgsql.Decision, i int, e *entry) ([]audit.Touch, *answer, error) {
	st := &d.Statements[i]
	touches := s.touches(w, st)
	if len(st.Effects) == 0 {
		return touches, nil, nil
	}
	owner := &statement{
		generation: w.Generation, verdict: verdictOf(d.Verdict), redacted: d.Redacted, command: st.Tag, touches: touches,
	}
	more, a, err := s.effectsOf(owner, st.Effects, i, e)
	return append(touches, more...), a, err
}

// touches is what a statement touches, as the trail says it. Clients ask the same again and again with other constants, for which
// the guard gives the same statement, so the last one is kept.
func (s *session) touches(w *pgsql.World, st *pgsql.Statement) []audit.Touch {
	last := &s.in.touched
	if last.by != st || last.world != w {
		last.by, last.world, last.touches = st, w, slices.Clip(appendTouches(nil, w.Store, st.Touches))
	}
	return last.touches
}

// effectsOf is effects for the effects of one statement, owner.
func (s *session) effectsOf(owner *statement, effects []pgsql.Effect, at int, e *entry) (touches []audit.Touch, a *answer, err error) {
	note := func(d delta) {
		d.at = at
		e.more = append(e.more, d)
	}
	for i := range effects {
		f := &effects[i]
		switch f.Kind {
		case pgsql.Prepare:
			note(delta{op: setStatement, name: f.Name, st: s.preparedBy(owner, f)})
		case pgsql.Execute:
			st, err := s.statement(f.Name, e)
			switch {
			case err != nil:
				return nil, nil, err
			case st == nil:
				return nil, unknownStatement(f.Name), nil
			case st.generation != s.profile().World.Generation:
				return nil, staleStatement(f.Name), nil
			case len(st.effects) > 0:
				return nil, notByExecute(f.Name), nil
			}
			touches = append(touches, st.touches...)
		case pgsql.Deallocate:
			if f.Name == "" {
				note(delta{op: dropStatements})
			} else {
				note(delta{op: dropStatement, name: f.Name})
			}
		case pgsql.DeclareCursor:
			note(delta{op: setPortal, name: f.Name, portal: &portal{statement: owner, hold: f.Hold}})
		case pgsql.UseCursor:
			if f.Name == "" {
				continue // ALL
			}
			po, a, err := s.livePortal(f.Name, e)
			if a != nil {
				a.message = "cursor" + strings.TrimPrefix(a.message, "portal")
			}
			if a != nil || err != nil {
				return nil, a, err
			}
			touches = append(touches, po.touches...)
			e.query = &po.query
		case pgsql.CloseCursor:
			if f.Name == "" {
				note(delta{op: dropPortals})
			} else {
				note(delta{op: dropPortal, name: f.Name})
			}
		case pgsql.DiscardAll:
			note(delta{op: dropEverything})
		case pgsql.EndTransaction:
			note(delta{op: endTransaction})
		case pgsql.SetVariable:
		}
	}
	return touches, nil, nil
}

// preparedBy is the statement that an SQL PREPARE makes.
func (s *session) preparedBy(owner *statement, f *pgsql.Effect) *statement {
	st := &statement{
		generation: owner.generation, verdict: owner.verdict, redacted: owner.redacted, command: owner.command, touches: owner.touches,
	}
	if f.Prepared != nil {
		st.command = f.Prepared.Tag
		st.touches = appendTouches(nil, s.profile().World.Store, f.Prepared.Touches)
		st.effects = f.Prepared.Effects
	}
	return st
}

// keptName is what the server keeps of the name of a statement or portal: 63 bytes. Two names that begin with the same 63 are one to
// it, and would be two to a session that took them whole: what is decided for the one would then run under the other.
func keptName(name []byte) string {
	return string(name[:min(len(name), maxNameSize)])
}

// statement finds a prepared statement by its name, as the server will see it when it gets to the message at hand. own is
// the entry being made, whose changes come first. nil means that there is none.
func (s *session) statement(name string, own *entry) (*statement, error) {
	d, err := s.find(own, func(d *delta) bool { return d.aboutStatement(name) })
	if err != nil {
		return nil, err
	}
	if d != nil {
		return d.st, nil // nil for a change that drops it
	}
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	return s.pipe.statements[name], nil
}

// livePortal finds a portal or cursor whose decision still stands; otherwise it returns the answer.
func (s *session) livePortal(name string, own *entry) (*portal, *answer, error) {
	d, err := s.find(own, func(d *delta) bool { return d.aboutPortal(name) })
	if err != nil {
		return nil, nil, err
	}
	var po *portal
	if d != nil {
		po = d.portal
	} else {
		s.pipe.mu.Lock()
		po = s.pipe.portals[name]
		s.pipe.mu.Unlock()
	}
	switch {
	case po == nil:
		return nil, &answer{state: "34000", message: "portal " + quoted(name) + " does not exist"}, nil
	case po.generation != s.profile().World.Generation:
		return nil, &answer{
			state: "34000", message: "portal " + quoted(name) + " was opened under an earlier policy",
			rule: "The policy has changed since.", hint: "run the statement again",
		}, nil
	}
	return po, nil, nil
}

// describable makes sure that the cursors of a statement such as FETCH are there: a server that is asked to describe one
// whose cursor has gone ends with a segmentation fault (seen on 15.18), and with it every session of the store. It waits
// until nothing is unanswered that could end a cursor.
func (s *session) describable(st *statement) (*answer, error) {
	for i := range st.effects {
		f := &st.effects[i]
		if f.Kind != pgsql.UseCursor || f.Name == "" {
			continue
		}
		if err := s.settled(); err != nil {
			return nil, err
		}
		d, err := s.find(nil, func(d *delta) bool { return d.op == endTransaction })
		if err != nil {
			return nil, err
		}
		if _, a, err := s.livePortal(f.Name, nil); a != nil || err != nil {
			return a, err
		}
		if d != nil {
			return &answer{state: "34000", message: "cursor " + quoted(f.Name) + " does not exist"}, nil
		}
	}
	return nil, nil
}

// settled waits until every batch but the one at hand has been answered.
func (s *session) settled() error {
	p := &s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	for asked := false; ; {
		switch {
		case p.over || s.ended():
			return errEnded
		case p.failed(s.in.epoch):
			return errIgnored
		case p.empty() || p.front().batch == s.in.batch:
			return nil
		case !asked:
			asked = true
			s.in.out = append(s.in.out, flushMessage...)
			p.mu.Unlock()
			err := s.flush()
			p.mu.Lock()
			if err != nil {
				return err
			}
		default:
			p.changed.Wait()
		}
	}
}

// find looks for the newest change about a name. Where it belongs to an earlier batch whose answer has not come, it sends
// what has gathered and waits for that answer: guessing would let the trail name another statement than the one that runs.
func (s *session) find(own *entry, about func(*delta) bool) (*delta, error) {
	var found *delta
	look := func(d *delta) bool {
		if about(d) {
			found = d
			return false
		}
		return true
	}
	if own != nil && !own.each(look) {
		return found, nil
	}
	p := &s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	for asked := false; ; {
		if p.over || s.ended() {
			return nil, errEnded
		}
		if p.failed(s.in.epoch) {
			return nil, errIgnored // the answer waited for comes after a Sync that has not been sent
		}
		d, wait := p.lookup(s.in.batch, about)
		if !wait {
			if d == nil {
				return nil, nil
			}
			c := *d // the queue moves
			return &c, nil
		}
		if !asked {
			// The server has to have the message, and keeps short answers until it is asked for them.
			asked = true
			s.in.out = append(s.in.out, flushMessage...)
			p.mu.Unlock()
			err := s.flush()
			p.mu.Lock()
			if err != nil {
				return nil, err
			}
			continue
		}
		p.changed.Wait()
	}
}

// full says whether the session has as many prepared statements as it may.
func (s *session) full() bool {
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	return len(s.pipe.statements) >= s.server.limits.Prepared
}

func (s *session) tooManyPortals() bool {
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	return len(s.pipe.portals) >= s.server.limits.Portals
}

func unknownStatement(name string) *answer {
	if name == "" {
		return &answer{state: "26000", message: "unnamed prepared statement does not exist"}
	}
	return &answer{state: "26000", message: "prepared statement " + quoted(name) + " does not exist"}
}

func staleStatement(name string) *answer {
	stale := name
	if name == "" {
		name = "the unnamed statement"
	} else {
		name = "prepared statement " + quoted(name)
	}
	return &answer{
		state: "26000", message: name + " was prepared under an earlier policy",
		rule: "The policy has changed since.", hint: "prepare it again", stale: stale, isStale: true,
	}
}

// notByExecute refuses EXECUTE of a statement that itself works on names, such as another EXECUTE. Only Parse can prepare such
// a one, and no driver then uses SQL to run it; but the names that it changes would be lost from sight, and one that
// executes itself ends the server with a stack overflow (seen on 15.18).
func notByExecute(name string) *answer {
	return &answer{
		state: "0A000", message: "prepared statement " + quoted(name) + " cannot be run by EXECUTE",
		rule: "It works on prepared statements, cursors or transactions itself.", hint: "run it directly, or by Bind and Execute",
	}
}

// quoted shows a name of the client's own, cut to a length that no message minds.
func quoted(name string) string { return `"` + cut([]byte(name)) + `"` }
