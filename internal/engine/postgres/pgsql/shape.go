package pgsql

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A statement that comes again with other constants need not be judged again where its constants cannot matter. Such a
// statement has a shape: its text with every plain constant taken out. The first text of a shape is judged like any other.
// When a second one comes it is judged too, and once more with marker constants in the free places; if both judgements
// agree in all but these constants, the judged text becomes a template, and later texts of the shape are answered by
// putting their constants into it.
//
// Why this is sound: what is sent is always the template, whose text was deparsed from a judged tree, with constants that
// are a whole token by themselves: up to nine digits, or a quoted string without a backslash, both read the same way
// wherever they stand. Even if the scan below were to read a text otherwise than PostgreSQL does, the server would be sent
// nothing but a judged statement with other constants. And a place is free only where no rule ever looks at the value: as an
// operand of an operator, in IN and BETWEEN, in VALUES, in SET of an UPDATE, as LIMIT and OFFSET (freePlaces). Everywhere
// else a constant is part of the shape, byte for byte.
//
// Texts with comments, backslashes, dollar quotes or prefixed strings have no shape here.

// constantToken is a plain constant in a text: a number of up to nine digits, or a simple quoted string.
type constantToken struct {
	from, to int
	text     bool // a string
}

// Bounds of the shapes that are kept.
const (
	maxConstants = 64
	maxVariants  = 4 // of one shape, told apart by constants that are not free
	shapeShare   = 4 // shapes may take a fourth of the cache
	digitsMost   = 9 // always an int4, and deparsed as it stands
	markerNumber = 913_570_000
	markerText   = "postern constant "
)

// shapes keeps templates. It is safe for concurrent use.
type shapes struct {
	mu    sync.RWMutex
	kept  map[shapeKey]*shapeEntry
	bytes int
	limit int
	spare sync.Pool // *shapeScan
}

type shapeKey struct {
	world      *World
	generation uint64
	mode       Mode
	shape      string
}

// shapeEntry is what is known of a shape. Entries are replaced, never changed.
type shapeEntry struct {
	seen     bool // one text was judged; a template is worth its while from the second on
	dead     bool // no template can be made
	variants []*template
}

// template is a judged statement with places for constants.
type template struct {
	bound    []string // constants that are part of the shape; "" where the place is free
	segments []string // one more than places
	places   []int    // which constant of the client's text goes behind each segment
	size     int
	decision *Decision
}

// shapeScan is the work space of one lookup.
type shapeScan struct {
	shape     []byte
	constants []constantToken
}

func newShapes(limit int) *shapes {
	s := &shapes{kept: map[shapeKey]*shapeEntry{}, limit: limit}
	s.spare.New = func() any { return &shapeScan{} }
	return s
}

// decide answers text from a template, or judges it and learns from it. nil: the text has no shape.
func (s *shapes) decide(g *Guard, w *World, text string, mode Mode) *Decision {
	if s == nil || len(text) > maxCachedText {
		return nil
	}
	scan, ok := s.spare.Get().(*shapeScan)
	if !ok {
		return nil
	}
	defer s.spare.Put(scan)
	if !scan.run(text) || len(scan.constants) == 0 {
		return nil
	}
	s.mu.RLock()
	e := s.kept[shapeKey{w, w.Generation, mode, string(scan.shape)}]
	s.mu.RUnlock()
	if e != nil {
		for _, t := range e.variants {
			if t.fits(text, scan.constants) {
				return t.fill(text, scan.constants)
			}
		}
		if e.dead || len(e.variants) >= maxVariants {
			return nil
		}
	}
	if e == nil || !e.seen {
		s.keep(shapeKey{w, w.Generation, mode, string(scan.shape)}, &shapeEntry{seen: true}, 0)
		return nil
	}
	d := g.decide(w, text, mode)
	d.Generation = w.Generation
	t := g.template(w, text, mode, scan.constants, d)
	next := &shapeEntry{seen: true, dead: t == nil, variants: e.variants}
	size := 0
	if t != nil {
		next.variants = append(slices.Clip(e.variants), t)
		size = t.size
	}
	s.keep(shapeKey{w, w.Generation, mode, string(scan.shape)}, next, size)
	return d
}

// keep remembers an entry. When there is no room all are forgotten: what is in use comes back at once.
func (s *shapes) keep(key shapeKey, e *shapeEntry, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[key] == nil {
		size += len(key.shape) + 256
	}
	if s.bytes+size > s.limit {
		clear(s.kept)
		s.bytes = 0
		size += len(key.shape) + 256
		if size > s.limit {
			return
		}
	}
	s.kept[key] = e
	s.bytes += size
}

// forget drops the templates of a world that is no longer in use.
func (s *shapes) forget(w *World) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.kept {
		if key.world == w {
			delete(s.kept, key)
		}
	}
	if len(s.kept) == 0 {
		s.bytes = 0
	}
}

// run takes a text apart. false: it has something in it that this scan leaves to the judgement.
func (c *shapeScan) run(text string) bool {
	c.shape, c.constants = c.shape[:0], c.constants[:0]
	afterText := false // only white space since a string: PostgreSQL may join the two
	for i := 0; i < len(text); {
		b := text[i]
		switch {
		case b == '\'':
			end := plainString(text, i)
			if end < 0 || afterText || i > 0 && (isIdentPart(text[i-1]) || text[i-1] == '&') {
				return false
			}
			if !c.constant(i, end, true) {
				return false
			}
			i, afterText = end, true
			continue
		case b == '"':
			end := i + 1
			for end < len(text) && text[end] != '"' {
				end++
			}
			if end == len(text) || i > 0 && text[i-1] == '&' {
				return false
			}
			c.shape = append(c.shape, text[i:end+1]...)
			i = end + 1
		case b >= '0' && b <= '9':
			end := i
			for end < len(text) && (isIdentPart(text[end]) || text[end] == '.' ||
				(text[end] == '-' || text[end] == '+') && (text[end-1] == 'e' || text[end-1] == 'E')) { // 1e-3 is one number
				end++
			}
			plain := end-i <= digitsMost && (b != '0' || end-i == 1) && (i == 0 || text[i-1] != '.' && text[i-1] != '$')
			for j := i; j < end; j++ {
				plain = plain && text[j] >= '0' && text[j] <= '9'
			}
			if !plain {
				c.shape = append(c.shape, text[i:end]...)
			} else if !c.constant(i, end, false) {
				return false
			}
			i = end
		case isIdentStart(b):
			end := i
			for end < len(text) && isIdentPart(text[end]) {
				end++
			}
			c.shape = append(c.shape, text[i:end]...)
			i = end
		case b == '\\' || b == 0 || b == '$' && (i+1 == len(text) || text[i+1] < '0' || text[i+1] > '9') || startsComment(text, i):
			return false
		default:
			c.shape = append(c.shape, b)
			i++
			afterText = afterText && isSpace(b)
			continue
		}
		afterText = false
	}
	return true
}

// plainString returns the end of the string that starts at i, or -1 when it is not one that reads the same everywhere.
func plainString(text string, i int) int {
	start := i
	for i++; i < len(text); i++ {
		switch b := text[i]; {
		case b == '\\' || b < ' ':
			return -1
		case b != '\'':
		case i+1 < len(text) && text[i+1] == '\'':
			i++
		default:
			if !utf8.ValidString(text[start : i+1]) {
				return -1
			}
			return i + 1
		}
	}
	return -1
}

// constant notes a constant and puts a mark in the shape that no text can hold.
func (c *shapeScan) constant(from, to int, text bool) bool {
	mark := byte(1)
	if text {
		mark = 2
	}
	c.shape = append(c.shape, 0, mark)
	c.constants = append(c.constants, constantToken{from, to, text})
	return len(c.constants) <= maxConstants
}

// fits says whether the constants that are part of the shape are the template's.
func (t *template) fits(text string, constants []constantToken) bool {
	for i, b := range t.bound {
		if b != "" && b != text[constants[i].from:constants[i].to] {
			return false
		}
	}
	return true
}

// fill answers a text of the shape.
func (t *template) fill(text string, constants []constantToken) *Decision {
	n := 0
	for _, s := range t.segments {
		n += len(s)
	}
	for _, p := range t.places {
		n += constants[p].to - constants[p].from
	}
	var b strings.Builder
	b.Grow(n)
	for i, p := range t.places {
		b.WriteString(t.segments[i])
		b.WriteString(text[constants[p].from:constants[p].to])
	}
	b.WriteString(t.segments[len(t.segments)-1])
	d := *t.decision
	d.Text = b.String()
	return &d
}

// template makes a template of a text that was judged as d, or returns nil.
func (g *Guard) template(w *World, text string, mode Mode, constants []constantToken, d *Decision) *template {
	if d.Refusal != nil || d.Verdict == Empty || len(d.Statements) != 1 || len(d.Statements[0].Effects) > 0 {
		return nil
	}
	free := freeConstants(g.reader, text, constants)
	if !slices.Contains(free, true) {
		return nil
	}
	marked, markers := withMarkers(text, constants, free)
	if marked == "" {
		return nil
	}
	m := g.decide(w, marked, mode)
	m.Generation = d.Generation
	if m.Refusal != nil || m.Verdict != d.Verdict || m.Redacted != d.Redacted || !reflect.DeepEqual(m.Statements, d.Statements) {
		return nil
	}
	t := &template{decision: d, bound: make([]string, len(constants)), size: 2 * (len(d.Text) + len(text) + len(d.Redacted))}
	for i, c := range constants {
		if !free[i] {
			t.bound[i] = text[c.from:c.to]
		}
	}
	if !t.split(m.Text, markers) || t.fill(text, constants).Text != d.Text {
		return nil
	}
	return t
}

// withMarkers puts constants that occur nowhere else into the free places. "" when one does occur.
func withMarkers(text string, constants []constantToken, free []bool) (string, map[string]int) {
	markers := map[string]int{}
	var b strings.Builder
	at := 0
	for i, c := range constants {
		if !free[i] {
			continue
		}
		marker := strconv.Itoa(markerNumber + i)
		if c.text {
			marker = "'" + markerText + strconv.Itoa(markerNumber+i) + "'"
		}
		if strings.Contains(text, marker) {
			return "", nil
		}
		markers[marker] = i
		b.WriteString(text[at:c.from])
		b.WriteString(marker)
		at = c.to
	}
	b.WriteString(text[at:])
	return b.String(), markers
}

// split cuts a judged text at its markers, each of which has to stand in it exactly once.
func (t *template) split(text string, markers map[string]int) bool {
	type place struct{ from, to, constant int }
	var places []place
	for marker, i := range markers {
		from := strings.Index(text, marker)
		if from < 0 || strings.Contains(text[from+1:], marker) {
			return false
		}
		places = append(places, place{from, from + len(marker), i})
	}
	slices.SortFunc(places, func(a, b place) int { return a.from - b.from })
	at := 0
	for _, p := range places {
		if p.from < at || !standsAlone(text, p.from, p.to) {
			return false
		}
		t.segments = append(t.segments, text[at:p.from])
		t.places = append(t.places, p.constant)
		at = p.to
	}
	t.segments = append(t.segments, text[at:])
	return true
}

// standsAlone says whether text[from:to] is a token by itself, whatever constant of its kind takes its place: nothing beside it
// could join it, as a second string or a prefix would.
func standsAlone(text string, from, to int) bool {
	glue := func(b byte) bool { return isIdentPart(b) || b == '\'' || b == '"' || b == '.' || b == '&' || b == '\\' }
	return (from == 0 || !glue(text[from-1])) && (to == len(text) || !glue(text[to]))
}

// freeConstants says which constants of a text stand in a place where no rule looks at their value.
func freeConstants(r reader, text string, constants []constantToken) []bool {
	free := make([]bool, len(constants))
	tree, err := r.parse(text)
	if err != nil || len(tree.Stmts) != 1 {
		return free
	}
	switch tree.Stmts[0].Stmt.GetNode().(type) {
	case *pg.Node_SelectStmt, *pg.Node_InsertStmt, *pg.Node_UpdateStmt, *pg.Node_DeleteStmt:
	default:
		return free
	}
	at := map[int]*pg.A_Const{}
	freePlaces(tree.Stmts[0].ProtoReflect(), at)
	for i, c := range constants {
		n := at[c.from]
		if n == nil {
			continue
		}
		token := text[c.from:c.to]
		if c.text {
			free[i] = n.GetSval() != nil && "'"+strings.ReplaceAll(n.GetSval().Sval, "'", "''")+"'" == token
		} else {
			free[i] = n.GetIval() != nil && strconv.Itoa(int(n.GetIval().Ival)) == token
		}
	}
	return free
}

// groupedFields are the parts of a grouped SELECT in which two expressions may have to be the same: there a rule could
// depend on whether two constants are equal, so none of them is free.
var groupedFields = map[protoreflect.Name]bool{
	"target_list": true, "group_clause": true, "having_clause": true, "sort_clause": true, "distinct_clause": true, "window_clause": true,
}

// freePlaces collects the constants in free places by their location.
func freePlaces(m protoreflect.Message, at map[int]*pg.A_Const) {
	note := func(nodes ...*pg.Node) {
		for _, n := range nodes {
			if c := n.GetAConst(); c != nil && !c.Isnull {
				at[int(c.Location)] = c
			}
		}
	}
	grouped := false
	switch x := m.Interface().(type) {
	case *pg.A_Expr:
		note(x.Lexpr, x.Rexpr)
		note(x.Rexpr.GetList().GetItems()...)
	case *pg.SelectStmt:
		grouped = len(x.GroupClause) > 0
		note(x.LimitCount, x.LimitOffset)
		for _, row := range x.ValuesLists {
			note(row.GetList().GetItems()...)
		}
	case *pg.UpdateStmt:
		for _, target := range x.TargetList {
			note(target.GetResTarget().GetVal())
		}
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() == nil || grouped && groupedFields[fd.Name()]:
		case fd.IsList():
			for i := range v.List().Len() {
				freePlaces(v.List().Get(i).Message(), at)
			}
		default:
			freePlaces(v.Message(), at)
		}
		return true
	})
}
