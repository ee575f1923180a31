package pgwire

import (
	"slices"
	"sync"
	"time"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/gateway"
)

// kind is what a message that went upstream was, and so which answers belong to it.
type kind uint8

const (
	kQuery    kind = iota + 1 // … ReadyForQuery
	kParse                    // ParseComplete
	kBind                     // BindComplete
	kDescribe                 // ParameterDescription?, RowDescription | NoData
	kExecute                  // … CommandComplete | PortalSuspended | EmptyQueryResponse
	kClose                    // CloseComplete
	kSync                     // ReadyForQuery
	kCopyEnd                  // nothing: CopyDone or CopyFail of the client
)

// statement is a prepared statement as the guard allowed it.
type statement struct {
	generation uint64
	verdict    string
	redacted   string
	command    string
	touches    []audit.Touch
	shadow     *audit.Shadow
	effects    []pgsql.Effect
	empty      bool
	copyIn     bool
	subplans   bool         // the statement behind explain has some of its own
	explain    *pgsql.World // it yields a plan, of which only the shape may be shown
	// fields is the number of result columns that the server last described, plus one; 0: not described. It is guarded by
	// the pipeline.
	fields int
	// watched lists the result columns that the watcher wants to see.
	watched []watchedField
	// event is the decision's, until the first Bind of the same pipeline has used it. Only the client's goroutine looks.
	event string
	epoch uint64
}

// indirect says whether a statement works on names, or yields what is no plain result. Only the client's own Execute of it may run
// it: what an EXECUTE or a FETCH reaches through a name has its rows passed on as they are.
func (st *statement) indirect() bool {
	return st.explain != nil || st.copyIn || slices.ContainsFunc(st.effects, func(f pgsql.Effect) bool { return f.Kind != pgsql.SetVariable })
}

// ofCursor is what a cursor that a DECLARE has made stands for. To Execute or fetch from it is not to declare it once more.
func (st *statement) ofCursor() *statement {
	return &statement{
		generation: st.generation, verdict: st.verdict, redacted: st.redacted, command: st.command, touches: st.touches, shadow: st.shadow,
	}
}

// why says what makes a statement indirect.
func (st *statement) why() string {
	switch {
	case st.explain != nil:
		return "It shows a plan, of which only the shape may be seen."
	case st.copyIn:
		return "It takes data from the client."
	}
	return "It works on prepared statements, cursors or transactions itself."
}

// portal is a bound statement or a cursor.
type portal struct {
	*statement
	bound   string     // the decision's event
	runs    *statement // what its EXECUTE ran when it was bound, nil for none
	takes   *portal    // likewise of its FETCH
	hold    bool
	kept    bool          // its transaction has been committed: it is WITH HOLD. Guarded by the pipeline
	born    uint64        // counts named portals. Guarded by the pipeline
	query   gateway.Query // its rows, however often it is fetched from
	started bool          // the client's goroutine has sent an Execute of it
}

// op is one change of what names a session knows.
type op uint8

const (
	setStatement op = iota + 1
	dropStatement
	dropStatements
	setPortal
	dropPortal
	dropPortals
	dropEverything // DISCARD ALL
	endTransaction // portals without HOLD go
	mayCommit      // likewise, if no transaction block is open
	setSavepoint
	releaseSavepoint
	rollbackTo // portals opened since go
)

// delta is a change that takes effect when the server has said yes to its message; at is the statement in a Query.
type delta struct {
	op     op
	at     int
	name   string
	st     *statement
	portal *portal
}

// aboutStatement says whether a delta decides what a statement's name means.
func (d *delta) aboutStatement(name string) bool {
	switch d.op {
	case setStatement, dropStatement:
		return d.name == name
	case dropStatements, dropEverything:
		return name != "" // DEALLOCATE ALL and DISCARD ALL leave the unnamed statement alone
	}
	return false
}

func (d *delta) aboutPortal(name string) bool {
	switch d.op {
	case setPortal, dropPortal:
		return d.name == name
	case dropPortals, dropEverything:
		return true
	case endTransaction, mayCommit, rollbackTo:
		return false // a lookup goes on to what was there; the server knows better, and says so
	}
	return false
}

// entry is a message that went upstream and whose answers are awaited (PRO-54).
type entry struct {
	kind     kind
	injected bool              // its answers are not for the client
	copies   int               // COPYs of it whose data the server has still to ask for, or to read to the end
	copying  bool              // it has asked, for the first of them
	plan     *pgsql.PlanFilter // set: the rows are a plan, of which this says what may be shown
	answer   *answer           // it was refused: this takes the place of the server's error
	event    string            // the decision, which a completion refers to
	command  string
	redacted string // names that may stand in error texts
	started  time.Time
	batch    uint64 // messages of one batch all fail once one has failed
	epoch    uint64 // counts Syncs

	rows, bytes int64
	query       *gateway.Query    // what its rows belong to, but for fetches
	fetches     []fetch           // its statements whose rows belong to a cursor
	meter       *gateway.Meter    // nil: nothing limits its rows
	over        *answer           // a limit is reached: takes the place of whatever the server ends it with
	limit       *gateway.Exceeded // which
	single      bool              // a Query of one statement
	reads       bool              // nothing is written by it
	state       string            // SQLSTATE
	done        int               // CommandCompletes of a Query so far
	fields      int               // columns of the result at hand, plus one
	watched     []watchedField
	watching    int // rows that the watcher may still see; see watchUndecided
	shaped      *statement
	delta       delta // zero op: none
	more        []delta
}

func (e *entry) each(f func(*delta) bool) bool {
	for i := len(e.more) - 1; i >= 0; i-- {
		if !f(&e.more[i]) {
			return false
		}
	}
	return e.delta.op == 0 || f(&e.delta)
}

// pipeline is what both directions of a session share: the queue of expected answers and the names that the server knows.
// Names follow the server's word: a change counts once its message has been answered (PRO-62, 63). Inside one batch the
// client's goroutine looks ahead and takes its own unanswered changes for made, because the server ignores the rest of a
// batch after an error; across batches it waits.
type pipeline struct {
	mu      sync.Mutex
	changed sync.Cond // an entry was answered, or the session is over

	queue  []entry
	head   int
	status byte // of the last ReadyForQuery
	over   bool

	skipping    bool   // the server ignores everything up to the next Sync
	wrote       uint64 // the batch in which a limited session has last written by Execute, plus one
	failedEpoch uint64 // the epoch in which that began, plus one
	failedEvent string // the decision of what failed
	copyIn      bool   // the server reads COPY data
	heldSync    bool   // a Sync came meanwhile, behind the data so far, and was not passed on
	owedSync    bool   // the COPY has failed since, so it ends what that began
	answered    uint64 // entries answered so far

	statements map[string]*statement
	portals    map[string]*portal
	born       uint64 // named portals so far
	savepoints []savepoint

	cancelling chan struct{} // a cancel is on its way to the server
	active     time.Time     // last ReadyForQuery or message
}

func (p *pipeline) init(status byte) {
	p.changed.L = &p.mu
	p.status = status
	p.statements, p.portals = map[string]*statement{}, map[string]*portal{}
}

// failed says whether the server ignores what is sent in an epoch, because something in it has failed.
func (p *pipeline) failed(epoch uint64) bool { return p.failedEpoch == epoch+1 }

func (p *pipeline) empty() bool { return p.head == len(p.queue) }

// awaits says whether an entry that counts is unanswered.
func (p *pipeline) awaits(counts func(*entry) bool) bool {
	for i := p.head; i < len(p.queue); i++ {
		if counts(&p.queue[i]) {
			return true
		}
	}
	return false
}

func (p *pipeline) length() int { return len(p.queue) - p.head }

// front is the entry whose answers come next, or nil.
func (p *pipeline) front() *entry {
	if p.empty() {
		return nil
	}
	return &p.queue[p.head]
}

func (p *pipeline) push(e *entry) {
	if p.head > 512 && p.head > len(p.queue)/2 {
		n := copy(p.queue, p.queue[p.head:])
		clear(p.queue[n:])
		p.queue, p.head = p.queue[:n], 0
	}
	p.queue = append(p.queue, *e)
}

// pop forgets the front entry, whose changes have been confirmed or dropped.
func (p *pipeline) pop() {
	p.queue[p.head] = entry{}
	p.head++
	p.answered++
	if p.head == len(p.queue) {
		p.queue, p.head = p.queue[:0], 0
		if cap(p.queue) > 256 {
			p.queue = nil
		}
	}
}

// confirm makes the changes of an entry; of a Query, those of its statement number at. tag is the server's for that statement.
func (p *pipeline) confirm(e *entry, at int, tag string) {
	if e.delta.op != 0 && e.delta.at == at {
		p.apply(&e.delta, tag)
	}
	for i := range e.more {
		if e.more[i].at == at {
			p.apply(&e.more[i], tag)
		}
	}
}

func (p *pipeline) apply(d *delta, tag string) {
	switch d.op {
	case setStatement:
		p.statements[d.name] = d.st
	case dropStatement:
		delete(p.statements, d.name)
	case dropStatements:
		p.dropNamed()
	case setPortal:
		p.open(d.name, d.portal)
	case dropPortal:
		delete(p.portals, d.name)
	case dropPortals:
		clear(p.portals)
	case dropEverything:
		p.dropNamed()
		clear(p.portals)
	case endTransaction:
		p.dropTransaction(tag == "COMMIT") // in a transaction that has failed, COMMIT is answered with ROLLBACK
	case mayCommit:
		if p.status == 'I' { // in a block the server lets no procedure commit
			p.dropTransaction(true)
		}
	case setSavepoint:
		p.setSavepoint(d.name)
	case releaseSavepoint:
		p.release(d.name)
	case rollbackTo:
		p.rollbackTo(d.name)
	}
}

// dropNamed forgets every prepared statement but the unnamed one.
func (p *pipeline) dropNamed() {
	unnamed := p.statements[""]
	clear(p.statements)
	if unnamed != nil {
		p.statements[""] = unnamed
	}
}

// expectsCopyIn says whether a COPY FROM STDIN is on its way whose data may follow at once: one whose end has not been sent.
func (p *pipeline) expectsCopyIn() bool {
	ends := 0
	for i := len(p.queue) - 1; i >= p.head; i-- {
		switch e := &p.queue[i]; {
		case e.kind == kCopyEnd:
			ends++
		case e.copies > 0:
			return e.copies > ends
		}
	}
	return false
}

// beginCopyIn is CopyInResponse. The end of the data may be on its way already; nothing else is (see turn).
func (p *pipeline) beginCopyIn() {
	p.copyIn = p.length() == 1
	p.changed.Broadcast()
}

// endCopyIn is the completion of a COPY FROM STDIN of the front entry, which the first end of data behind it has ended. Another COPY of
// the same Query has an end of its own.
func (p *pipeline) endCopyIn() {
	e := p.front()
	e.copying = false
	e.copies--
	for i := p.head + 1; i < len(p.queue); i++ {
		if p.queue[i].kind == kCopyEnd {
			p.queue = slices.Delete(p.queue, i, i+1)
			return
		}
	}
}

// lookup finds the newest unanswered change about a name. With wait it is one of an earlier batch, whose fate is not known.
func (p *pipeline) lookup(batch uint64, about func(*delta) bool) (found *delta, wait bool) {
	for i := len(p.queue) - 1; i >= p.head; i-- {
		e := &p.queue[i]
		if !e.each(func(d *delta) bool {
			if about(d) {
				found = d
				return false
			}
			return true
		}) {
			return found, e.batch != batch
		}
	}
	return nil, false
}
