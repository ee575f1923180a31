package pgwire

import (
	"context"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/gateway"
)

// limitAnswer is what a client is told of a limit that is reached (PRO-77): program_limit_exceeded where another statement would
// do, configuration_limit_exceeded where time has to pass.
func limitAnswer(x *gateway.Exceeded) *answer {
	return &answer{state: stateOf(x.Code), message: x.Message(), rule: x.Detail(), hint: x.Hint()}
}

// rulesOf lists the rules that admit what is touched. Nobody remembers where the rows of a table that somebody made come from: they
// count for every rule that limits its holder, or whoever put a table aside would read it past any limit.
func (s *session) rulesOf(touches []audit.Touch) []string {
	var out []string
	for i := range touches {
		out = append(out, touches[i].Rules...)
		if s.profile().World.Made(touches[i].Relation) {
			out = append(out, s.gw.LimitedBy()...)
		}
	}
	return out
}

// onlyReads says whether nothing of what is touched is written.
func onlyReads(touches []audit.Touch) bool {
	for i := range touches {
		if touches[i].Action != "select" {
			return false
		}
	}
	return true
}

// fetch says that the rows of statement number at belong to the query of a cursor.
type fetch struct {
	at    int
	query *gateway.Query
}

// countsFor is the query that the rows of a statement belong to. A Query can fetch from several cursors, and each has its own rows: counted
// under one of them, those of the others would pass any limit.
func (e *entry) countsFor(at int) *gateway.Query {
	for i := range e.fetches {
		if e.fetches[i].at == at {
			return e.fetches[i].query
		}
	}
	return e.query
}

// meter asks for the statements behind an entry, and gives the entry what counts its rows. It returns the answer, and completes ev,
// when a limit is reached already.
func (s *session) meter(e *entry, statements int64, touches []audit.Touch, ev *audit.Event) *answer {
	if !s.gw.Limited() {
		return nil
	}
	if e.query == nil {
		e.query = &gateway.Query{}
	}
	m, x := s.gw.Start(s.rulesOf(touches), statements, e.countsFor(0))
	if x != nil {
		a := limitAnswer(x)
		ev.Verdict, ev.Reason, ev.SQLState, ev.Message = verdictRefuse, string(x.Code), a.state, a.message
		ev.Detail = map[string]string{"rule": a.rule, "remedy": a.hint}
		return a
	}
	e.meter, e.reads = m, onlyReads(touches)
	return nil
}

// run counts the Execute of a portal. One that goes on with a portal is the same query.
func (s *session) meterExecute(ctx context.Context, e *entry, po *portal, touches []audit.Touch) (refused bool, err error) {
	var statements int64
	if !po.started {
		statements = 1
	}
	if e.query == nil {
		e.query = &po.query
	}
	ev := decisionEvent(po.statement)
	if a := s.meter(e, statements, touches, &ev); a != nil {
		return true, s.refuse(ctx, 'E', nil, a, ev)
	}
	po.started = true
	return false, nil
}

// counted counts a row that is about to be passed on, and says whether it may be. Once it may not, no row of the entry goes out any more:
// the server is told to stop, and its word at the end becomes our error.
func (s *session) counted(e *entry) bool {
	if e.over != nil {
		return false
	}
	if e.meter == nil {
		return true
	}
	x := e.meter.Row()
	if x == nil {
		return true
	}
	e.over, e.limit = limitAnswer(x), x
	if p := &s.pipe; p.length() == 1 || p.length() == 2 && p.queue[p.head+1].kind == kSync {
		s.cancelLocked() // nothing else is under way that the cancel could hit
	}
	return false
}

// overrun is the end of a statement that has yielded more rows than it may, and that the server had finished before it could be
// stopped. Where nothing has been written and nothing can follow, the client gets an error in the place of the completion. Otherwise
// the session ends, so that what is not committed is undone and nobody is told of success, nor that a batch has failed of which the
// server commits the rest: it does not skip to the Sync, as it would after an error of its own.
func (s *session) overrun(e *entry) (fate, error) {
	p := &s.pipe
	alone := e.kind == kQuery && e.single || e.kind == kExecute && p.length() > 1 && p.queue[p.head+1].kind == kSync && p.wrote != e.batch+1
	if !alone || !e.reads {
		x := e.limit
		p.mu.Unlock()
		defer p.mu.Lock()
		return drop, s.fail(gateway.Ending{Code: x.Code, Message: x.Message(), Hint: x.Hint()})
	}
	a := e.over
	e.state = a.state
	if e.kind == kExecute {
		s.finishEntry(e)
		p.pop()
	} else {
		e.done++
	}
	s.replace(a.append)
	return drop, nil
}
