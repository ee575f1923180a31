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
			if a := s.roomForStatement(len(e.more)); a != nil {
				return nil, a, nil
			}
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
			case st.indirect():
				return nil, notByExecute(f.Name, st), nil
			}
			touches = append(touches, st.touches...)
		case pgsql.Deallocate:
			if f.Name == "" {
				note(delta{op: dropStatements})
			} else {
				note(delta{op: dropStatement, name: f.Name})
			}
		case pgsql.DeclareCursor:
			if a := s.roomForPortal(len(e.more)); a != nil {
				return nil, a, nil
			}
			note(delta{op: setPortal, name: f.Name, portal: &portal{statement: owner.ofCursor(), hold: f.Hold}})
		case pgsql.UseCursor:
			if f.Name == "" {
				continue // ALL
			}
			po, a, err := s.livePortal(f.Name, e)
			if a != nil {
				a.message = "cursor" + strings.TrimPrefix(a.message, "portal")
			}
			switch {
			case a != nil || err != nil:
				return nil, a, err
			case po.indirect():
				return nil, notByFetch(f.Name, po.statement), nil
			}
			touches = append(touches, po.touches...)
			e.fetches = append(e.fetches, fetch{at: at, query: &po.query})
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
		case pgsql.MayCommit:
			note(delta{op: mayCommit})
		case pgsql.SetSavepoint:
			note(delta{op: setSavepoint, name: f.Name})
		case pgsql.ReleaseSavepoint:
			note(delta{op: releaseSavepoint, name: f.Name})
		case pgsql.RollbackTo:
			note(delta{op: rollbackTo, name: f.Name})
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

// clearName refuses a name of which that cannot be said: a server whose database has another encoding than UTF-8 cuts what it has converted,
// so that two names which are one here may be two there.
func clearName(name []byte) *answer {
	if len(name) <= maxNameSize || !slices.ContainsFunc(name, func(c byte) bool { return c >= 0x80 }) {
		return nil
	}
	return &answer{state: "42622", message: "the name of a prepared statement or portal is too long", hint: "use at most 63 bytes", reason: "name_too_long"}
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

// portal finds a portal or cursor by its name, as statement does.
func (s *session) portal(name string, own *entry) (*portal, error) {
	d, err := s.find(own, func(d *delta) bool { return d.aboutPortal(name) })
	if err != nil {
		return nil, err
	}
	if d != nil {
		return d.portal, nil
	}
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	return s.pipe.portals[name], nil
}

// uses finds what the names in an EXECUTE or a FETCH stand for.
func (s *session) uses(st *statement) (runs *statement, takes *portal, err error) {
	for i := range st.effects {
		switch f := &st.effects[i]; {
		case f.Kind == pgsql.Execute:
			runs, err = s.statement(f.Name, nil)
		case f.Kind == pgsql.UseCursor && f.Name != "":
			takes, err = s.portal(f.Name, nil)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return runs, takes, nil
}

// changed refuses the Execute of a portal whose EXECUTE or FETCH would now reach another statement or cursor than when it was bound. The
// server fixed the row type then and reads the rows of the new one by it: it hands out its own memory, or ends (seen on 15.18).
func (s *session) changed(po *portal) (*answer, error) {
	runs, takes, err := s.uses(po.statement)
	if err != nil || (runs == nil || runs == po.runs) && (takes == nil || takes == po.takes) {
		return nil, err // what is not there at all is refused for that
	}
	return &answer{
		state: "0A000", message: "what the portal's statement works on has been replaced since it was bound",
		rule: "The name of its prepared statement or cursor stands for another one now.", hint: "bind the statement again",
	}, nil
}

// livePortal finds a portal or cursor whose decision still stands; otherwise it returns the answer.
func (s *session) livePortal(name string, own *entry) (*portal, *answer, error) {
	po, err := s.portal(name, own)
	if err != nil {
		return nil, nil, err
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

// describable makes sure that a server can describe a statement that works on others by their names. Asked for a FETCH whose cursor
// has gone it ends with a segmentation fault (seen on 15.18), asked for names that lead back to themselves it never comes to an end, or
// to that of its stack; and with it every session of the store. So a cursor must be there, and what a name stands for must not lead on
// to another.
func (s *session) describable(st *statement) (*answer, error) {
	for i := range st.effects {
		f := &st.effects[i]
		var a *answer
		var err error
		switch {
		case f.Kind == pgsql.Execute:
			a, err = s.describableExecute(f.Name)
		case f.Kind == pgsql.UseCursor && f.Name != "":
			a, err = s.describableFetch(f.Name)
		}
		if a != nil || err != nil {
			return a, err
		}
	}
	return nil, nil
}

func (s *session) describableExecute(name string) (*answer, error) {
	st, err := s.statement(name, nil)
	if err != nil || st == nil || !st.indirect() {
		return nil, err // one that is missing the server minds itself
	}
	return notByExecute(name, st), nil
}

// describableFetch waits until nothing is unanswered that could end a cursor.
func (s *session) describableFetch(name string) (*answer, error) {
	if err := s.settled(func(e *entry) bool {
		return e.batch != s.in.batch || !e.each(func(d *delta) bool { return d.op != rollbackTo && d.op != mayCommit })
	}); err != nil {
		return nil, err
	}
	ended, err := s.find(nil, func(d *delta) bool { return d.op == endTransaction })
	if err != nil {
		return nil, err
	}
	po, a, err := s.livePortal(name, nil)
	switch {
	case a != nil || err != nil:
		return a, err
	case ended != nil:
		return &answer{state: "34000", message: "cursor " + quoted(name) + " does not exist"}, nil
	case po.indirect():
		return notByFetch(name, po.statement), nil
	}
	return nil, nil
}

// settled waits until nothing that counts is unanswered any more.
func (s *session) settled(counts func(*entry) bool) error {
	p := &s.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	for asked := false; ; {
		switch {
		case p.over || s.ended():
			return errEnded
		case p.failed(s.in.epoch):
			return errIgnored
		case !p.awaits(counts):
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

// roomForStatement refuses a prepared statement more than the session may have, besides as many as are about to be made.
func (s *session) roomForStatement(more int) *answer {
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	if len(s.pipe.statements)+more < s.server.limits.Prepared {
		return nil
	}
	return &answer{
		state: "53400", message: "too many prepared statements in this session", hint: "close those that are not needed", reason: "too_many_statements",
	}
}

// roomForPortal refuses a portal or cursor more than the session may have.
func (s *session) roomForPortal(more int) *answer {
	s.pipe.mu.Lock()
	defer s.pipe.mu.Unlock()
	if len(s.pipe.portals)+more < s.server.limits.Portals {
		return nil
	}
	return &answer{
		state: "53400", message: "too many open portals in this session", hint: "close those that are not needed", reason: "too_many_portals",
	}
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

// notByExecute refuses EXECUTE of a statement that itself works on names, such as another EXECUTE, that shows a plan, or that takes data.
// Only Parse can prepare such a one, and no driver then uses SQL to run it; but the names that it changes would be lost from sight, all
// of the plan would be shown, and one that executes itself ends the server with a stack overflow (seen on 15.18).
func notByExecute(name string, st *statement) *answer {
	return &answer{
		state: "0A000", message: "prepared statement " + quoted(name) + " cannot be run by EXECUTE",
		rule: st.why(), hint: "run it directly, or by Bind and Execute",
	}
}

// notByFetch refuses FETCH from a portal of a statement that works on names, or whose rows are not for the client as they are: only
// Bind can make such a one, and Execute runs it.
func notByFetch(name string, st *statement) *answer {
	return &answer{
		state: "0A000", message: "portal " + quoted(name) + " cannot be fetched from",
		rule: st.why(), hint: "run it by Execute",
	}
}

// quoted shows a name of the client's own, cut to a length that no message minds.
func quoted(name string) string { return `"` + cut([]byte(name)) + `"` }
