package pgsql

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/pganalyze/pg_query_go/v6/parser"
)

// Mode is the protocol that a text came by.
type Mode uint8

// The modes. A text of the extended protocol holds one statement at most.
const (
	Simple Mode = iota
	Extended
)

// DefaultCacheBytes bounds a guard's cache when the caller names no bound.
const DefaultCacheBytes = 32 << 20

// maxCachedText is the longest text whose decision is kept: longer ones are data loads, and would push out the rest.
const maxCachedText = 64 << 10

// Guard decides statements, and remembers what it decided. It is safe for concurrent use.
type Guard struct {
	functions *functionTable
	nodes     *nodeTable
	reader    reader

	mu    sync.RWMutex
	kept  map[cacheKey]*cacheEntry
	ring  []*cacheEntry // in the order of arrival, the hand goes round
	hand  int
	bytes int
	limit int

	shapes *shapes // nil: none are kept

	// judging bounds how many texts are judged at once: the parser runs outside of Go's scheduler, and long texts take seconds
	// and tens of megabytes. Texts that are answered from memory do not wait.
	judging chan struct{}
}

// cacheKey is the exact text and everything else that the decision depends on (ENF-46). The world is compared by identity:
// two worlds never share a decision.
type cacheKey struct {
	world      *World
	generation uint64
	mode       Mode
	text       string
}

type cacheEntry struct {
	key      cacheKey
	decision *Decision
	cost     int
	used     atomic.Bool
}

// NewGuard returns a guard whose cache holds at most cacheBytes; 0 means DefaultCacheBytes, a negative number no cache.
func NewGuard(cacheBytes int) *Guard {
	if cacheBytes == 0 {
		cacheBytes = DefaultCacheBytes
	}
	g := &Guard{
		functions: builtinFunctions(), nodes: grammar(), reader: inProcess{}, kept: map[cacheKey]*cacheEntry{}, limit: max(cacheBytes, 0),
		judging: make(chan struct{}, max(2, runtime.GOMAXPROCS(0))),
	}
	if share := g.limit / shapeShare; share > 0 {
		g.limit -= share
		g.shapes = newShapes(share)
	}
	return g
}

// Isolate makes the guard parse in processes of their own. It must be called before the first decision.
func (g *Guard) Isolate(p *Isolated) *Guard {
	g.reader = p
	return g
}

// Decide says whether text may be sent to the server for a session of w, and what is sent in its place. It never returns
// nil, and refuses what it does not understand. Decisions are shared: callers must not change them.
func (g *Guard) Decide(w *World, text string, mode Mode) *Decision {
	key := cacheKey{world: w, generation: w.Generation, mode: mode, text: text}
	g.mu.RLock()
	e := g.kept[key]
	g.mu.RUnlock()
	if e != nil {
		if !e.used.Load() {
			e.used.Store(true)
		}
		return e.decision
	}
	// The constants of an inline world stand among the client's own, so its texts are not judged by their shape.
	if w.Inline == nil {
		if d := g.shapes.decide(g, w, text, mode); d != nil {
			return d
		}
	}
	d := g.decide(w, text, mode)
	d.Generation = w.Generation
	if d.Refusal == nil || d.Refusal.Reason != ReasonParser {
		g.keep(key, d) // what became of a process says nothing about the next time
	}
	return d
}

// Forget drops the decisions of a world that is no longer in use.
func (g *Guard) Forget(w *World) {
	g.shapes.forget(w)
	g.mu.Lock()
	defer g.mu.Unlock()
	ring := g.ring[:0]
	for _, e := range g.ring {
		if e.key.world == w {
			delete(g.kept, e.key)
			g.bytes -= e.cost
			continue
		}
		ring = append(ring, e)
	}
	clear(g.ring[len(ring):])
	g.ring, g.hand = ring, 0
}

func (g *Guard) keep(key cacheKey, d *Decision) {
	cost := 512 + len(key.text) + len(d.Text) + len(d.Redacted)
	if len(key.text) > maxCachedText || cost > g.limit {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.kept[key] != nil {
		return
	}
	key.text = strings.Clone(key.text) // the caller may use its buffer again
	e := &cacheEntry{key: key, decision: d, cost: cost}
	for g.bytes+cost > g.limit {
		g.evict()
	}
	g.kept[key] = e
	g.ring = append(g.ring, e)
	g.bytes += cost
}

// evict drops the first entry under the hand that was not used since the hand was there last.
func (g *Guard) evict() {
	for {
		if g.hand >= len(g.ring) {
			g.hand = 0
		}
		e := g.ring[g.hand]
		if e.used.Swap(false) {
			g.hand++
			continue
		}
		last := len(g.ring) - 1
		g.ring[g.hand] = g.ring[last]
		g.ring[last] = nil
		g.ring = g.ring[:last]
		delete(g.kept, e.key)
		g.bytes -= e.cost
		return
	}
}

// decide runs the pipeline of ENF-45. A panic on the way is a defect of the guard and refuses the text.
func (g *Guard) decide(w *World, text string, mode Mode) (d *Decision) {
	g.judging <- struct{}{}
	defer func() { <-g.judging }()
	defer func() {
		if recover() != nil {
			d = &Decision{Refusal: &Refusal{
				SQLState: stateInternal, Reason: ReasonInternal,
				Message: "the statement could not be judged", Detail: "This is a defect of the guard; nothing was sent to the server.",
			}}
		}
	}()
	if err := CheckLimits(text); err != nil {
		return &Decision{Refusal: limitRefusal(err)}
	}
	tree, err := g.reader.parse(text)
	if r := parserRefusal(err); r != nil {
		return &Decision{Refusal: r}
	}
	if err != nil {
		return &Decision{Refusal: newerGrammar(text, syntaxRefusal(err))}
	}
	if len(tree.GetStmts()) == 0 {
		return &Decision{Verdict: Empty}
	}
	if hasOddNumber(text) {
		plainNumbers(tree.ProtoReflect())
	}
	redacted := redact(g.reader, tree)
	if mode == Extended && len(tree.Stmts) > 1 {
		return &Decision{Redacted: redacted, Refusal: &Refusal{
			SQLState: stateSyntax, Reason: ReasonMultiple,
			Message: "cannot insert multiple commands into a prepared statement",
		}}
	}
	a := newAnalysis(g, w, text)
	statements := a.statements(tree)
	if a.refusal == nil {
		a.cover(tree)
	}
	a.inline(tree)
	if a.refusal != nil {
		a.refusal.Spoken = a.refusal.speaks(g.reader, text)
		return &Decision{Redacted: redacted, Refusal: a.refusal, Statements: statements}
	}
	out, refusal := canonical(g.reader, tree)
	if refusal != nil {
		return &Decision{Redacted: redacted, Refusal: refusal, Statements: statements}
	}
	verdict := Allow
	if a.rewrote {
		verdict = Rewrite
	}
	return &Decision{Verdict: verdict, Text: out, Statements: statements, Redacted: redacted}
}

// Redact writes statements as the trail does, for people to read: without their literals and comments. "": they cannot be read, or not be
// written so. whole says that nothing but the way of writing is lost: of many kinds of statements it names the kind and little more.
func (g *Guard) Redact(text string) (out string, whole bool) {
	g.judging <- struct{}{}
	defer func() { <-g.judging }()
	defer func() {
		if recover() != nil {
			out, whole = "", false
		}
	}()
	if CheckLimits(text) != nil {
		return "", false
	}
	tree, err := g.reader.parse(text)
	if err != nil {
		return "", false
	}
	if hasOddNumber(text) {
		plainNumbers(tree.ProtoReflect())
	}
	out = redact(g.reader, tree)
	all, err := g.reader.deparse(tree)
	// A comment is taken for one wherever its beginning stands.
	return out, err == nil && out != "" && out == all && !strings.Contains(text, "--") && !strings.Contains(text, "/*")
}

// canonical deparses the judged tree, and parses the result again: both must be the same tree (ENF-84), so that the server
// reads what was judged.
func canonical(r reader, tree *pg.ParseResult) (string, *Refusal) {
	refuse := func() (string, *Refusal) {
		return "", &Refusal{
			SQLState: stateUnsupported, Reason: ReasonRoundTrip,
			Message: "the statement cannot be written in a form that is certain to mean the same",
			Hint:    "Write it in another form; please report it as a defect.",
		}
	}
	out, err := faithful(r, tree)
	if down := parserRefusal(err); down != nil {
		return "", down
	}
	if err != nil {
		return refuse()
	}
	return out, nil
}

func limitRefusal(err error) *Refusal {
	var limit *LimitError
	if !errors.As(err, &limit) {
		return &Refusal{SQLState: "54000", Reason: ReasonLimit, Message: "the statement exceeds a limit"}
	}
	r := &Refusal{SQLState: limit.SQLState, Reason: ReasonLimit, Message: limit.Error(), Position: limit.Position}
	if limit.Max > 0 {
		r.Hint = "Split the statement into smaller ones."
	}
	return r
}

// syntaxRefusal passes on what the parser said of the client's own text: the token it stumbled over, and nothing else.
func syntaxRefusal(err error) *Refusal {
	r := &Refusal{SQLState: stateSyntax, Reason: ReasonSyntax, Message: "syntax error"}
	var p *parser.Error
	if errors.As(err, &p) {
		r.Message, r.Position = p.Message, p.Cursorpos
		if len(r.Message) > 400 {
			r.Message = fmt.Sprintf("syntax error at character %d", p.Cursorpos)
		}
		if p.Message == "memory exhausted" || p.Message == "exceeded maximum recursion depth" {
			r.SQLState, r.Reason = "54001", ReasonLimit
		}
	}
	return r
}
