package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
)

// Query says which events to find. Empty fields do not restrict; those of one query must all hold.
type Query struct {
	Subject  string
	Store    string
	Kind     Kind   // "request.*" means all that begin so
	Kinds    []Kind // one of them
	Verdict  string
	Reason   string
	Relation string // touched or refused: store.schema.table, or its end: "customers", "public.customers"
	Label    string // touched; "contact.*" means all that begin so
	Session  string
	ID       string // the event with this ID and those that refer to it
	Address  string // as it stands, or without the port
	Text     string // somewhere in the line, whatever the case; as JSON writes it

	Since, Until time.Time // from Since on, before Until
	From, To     uint64    // record numbers, both included

	Signed bool // the trail's own records too (headers, checkpoints, recoveries); a Kind that names them does as well
	Limit  int  // at most so many; 0: no limit
	Last   bool // the last Limit ones instead of the first, oldest first all the same
}

// Found is one event with the line it stands on, without the newline. Line is valid until the next one, unless Query.Last.
type Found struct {
	Record Record
	File   string
	Line   []byte
}

// LineError says that one line of a file could not be read; a search goes on behind it.
type LineError struct {
	File   string
	Line   int   // 0: the search did not begin at the file's beginning
	Offset int64 // of the line's first byte
	Err    error
}

func (e *LineError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: at byte %d: %v", e.File, e.Offset, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

// Unwrap returns what was wrong with the line.
func (e *LineError) Unwrap() error { return e.Err }

// Search yields the events of a trail that match, oldest first, reading line by line. A line that is no record yields a
// *LineError and the search goes on; any other error ends it, and that ctx ended is an *UnfinishedError. It checks each line's own hash,
// but not the chain: that is Verify's work. An unfinished last line is passed over.
func Search(ctx context.Context, folder string, q Query) iter.Seq2[Found, error] {
	all := func(yield func(Found, error) bool) { search(ctx, folder, q, yield) }
	if !q.Last || q.Limit <= 0 {
		return all
	}
	return func(yield func(Found, error) bool) { lastOf(all, q.Limit, yield) }
}

// errStop ends a walk over files when the caller wants no more.
var errStop = errors.New("stop")

func search(ctx context.Context, folder string, q Query, yield func(Found, error) bool) {
	spooled, names, err := trailIn(folder)
	if err != nil {
		yield(Found{}, err)
		return
	}
	m := newMatcher(q)
	left := q.Limit
	var far reached
	err = eachTrailLine(folder, m.files(names), q.From, spooled, func(name string, last bool, l line) error {
		if err := far.ended(ctx); err != nil {
			return err
		}
		if !l.whole && last {
			return nil
		}
		f, err := parseFrame(l.text)
		if err == nil && f.seq >= q.From {
			far = reached{f.seq, f.time}
		}
		rec, ok, err := m.match(&f, l.text, err)
		switch {
		case err != nil && !yield(Found{}, &LineError{File: name, Line: l.n, Offset: l.start, Err: err}):
			return errStop
		case err != nil || !ok:
			return nil
		}
		if !yield(Found{Record: rec, File: name, Line: l.text}, nil) {
			return errStop
		}
		if left--; left == 0 && !q.Last {
			return errStop
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		yield(Found{}, err)
	}
}

// lastOf keeps the last n of what seq yields.
func lastOf(seq iter.Seq2[Found, error], n int, yield func(Found, error) bool) {
	ring := make([]Found, 0, min(n, 1024))
	at := 0
	for f, err := range seq {
		if err != nil {
			if !yield(Found{}, err) {
				return
			}
			continue
		}
		f.Line = slices.Clone(f.Line)
		if len(ring) < n {
			ring = append(ring, f)
			continue
		}
		ring[at] = f
		at = (at + 1) % n
	}
	for i := range ring {
		if !yield(ring[(at+i)%len(ring)], nil) {
			return
		}
	}
}

// matcher is a Query made ready: what can be told from the line's bytes is told before the line is decoded.
type matcher struct {
	q    Query
	must [][]byte // each stands in a line that matches, byte for byte
	text []byte
}

func newMatcher(q Query) *matcher {
	m := &matcher{q: q, text: bytes.ToLower([]byte(q.Text))}
	need := func(name, value string) {
		if value != "" {
			m.must = append(m.must, appendString([]byte(name), value))
		}
	}
	need(`"subject":`, q.Subject)
	need(`"store":`, q.Store)
	if family, ok := strings.CutSuffix(string(q.Kind), "*"); ok {
		m.must = append(m.must, []byte(`"kind":"`+family)) // kinds have nothing to escape
	} else {
		need(`"kind":`, family)
	}
	need(`"verdict":`, q.Verdict)
	need(`"reason":`, q.Reason)
	need(`"session":`, q.Session)
	need(``, q.ID)
	return m
}

// files leaves out the files that lie before or behind the numbers asked for. Whether the last one is the trail's own last
// does not matter for those behind.
func (m *matcher) files(names []string) []string {
	q := &m.q
	for len(names) > 1 && q.From > 0 {
		if next, _ := firstSeq(names[1]); next > q.From {
			break
		}
		names = names[1:]
	}
	for len(names) > 0 && q.To > 0 {
		if first, _ := firstSeq(names[len(names)-1]); first <= q.To {
			break
		}
		names = names[:len(names)-1]
	}
	return names
}

// match takes a line and what parseFrame said of it.
func (m *matcher) match(f *frame, text []byte, err error) (Record, bool, error) {
	if err != nil {
		return Record{}, false, err
	}
	q := &m.q
	switch {
	case q.From > 0 && f.seq < q.From, q.To > 0 && f.seq > q.To:
		return Record{}, false, nil
	case !q.Since.IsZero() && f.time.Before(q.Since), !q.Until.IsZero() && !f.time.Before(q.Until):
		return Record{}, false, nil
	case f.sig != nil && !q.Signed && !q.ofKind(f.kind), len(q.Kinds) > 0 && !slices.Contains(q.Kinds, f.kind):
		return Record{}, false, nil
	}
	for _, s := range m.must {
		if !bytes.Contains(text, s) {
			return Record{}, false, nil
		}
	}
	if len(m.text) > 0 && !bytes.Contains(bytes.ToLower(text), m.text) {
		return Record{}, false, nil
	}
	r, err := ParseRecord(text)
	if err != nil {
		return Record{}, false, err
	}
	return r, m.matchRecord(&r), nil
}

func (m *matcher) matchRecord(r *Record) bool {
	q := &m.q
	for _, pair := range [][2]string{
		{q.Subject, r.Subject},
		{q.Store, r.Store},
		{q.Verdict, r.Verdict},
		{q.Reason, r.Reason},
		{q.Session, r.Session},
	} {
		if pair[0] != "" && pair[0] != pair[1] {
			return false
		}
	}
	if q.ID != "" && q.ID != r.ID && q.ID != r.Ref || q.Kind != "" && !q.ofKind(r.Kind) {
		return false
	}
	if q.Address != "" && q.Address != r.Address && !strings.HasPrefix(r.Address, q.Address+":") && !strings.HasPrefix(r.Address, "["+q.Address+"]:") {
		return false
	}
	return matchTouches(q, r.Touches) || q.Label == "" && refusedFor(q.Relation, r)
}

// ofKind says whether k is the kind asked for, or one of the family.
func (q *Query) ofKind(k Kind) bool {
	if family, ok := strings.CutSuffix(string(q.Kind), "*"); ok {
		return strings.HasPrefix(string(k), family)
	}
	return k == q.Kind
}

// refusedFor says whether a statement was refused for a relation, which it then did not touch: what it was refused for is named as SQL
// writes it, without the store.
func refusedFor(relation string, r *Record) bool {
	object := r.Detail["object"]
	if r.Verdict != "refuse" || object == "" || !strings.HasPrefix(r.Reason, "relation_") && r.Reason != "action_not_admitted" && r.Reason != "catalog_not_allowed" {
		return false
	}
	full := r.Store + "." + strings.ReplaceAll(object, `"`, "")
	return full == relation || strings.HasSuffix(full, "."+relation)
}

// matchTouches wants one touch that has both the relation and the label.
func matchTouches(q *Query, touches []Touch) bool {
	if q.Relation == "" && q.Label == "" {
		return true
	}
	return slices.ContainsFunc(touches, func(t Touch) bool {
		if q.Relation != "" && t.Relation != q.Relation && !strings.HasSuffix(t.Relation, "."+q.Relation) {
			return false
		}
		return q.Label == "" || slices.ContainsFunc(t.Labels, func(l string) bool {
			if family, ok := strings.CutSuffix(q.Label, "*"); ok {
				return strings.HasPrefix(l, family)
			}
			return l == q.Label
		})
	})
}

// Export writes the lines that match to w, byte for byte as they stand in the trail, and returns how many. VerifyExport can
// check an export that restricts nothing but From and To and has Signed set: its records are consecutive.
func Export(ctx context.Context, w io.Writer, folder string, q Query) (int, error) {
	n := 0
	for f, err := range Search(ctx, folder, q) {
		if err != nil {
			return n, fmt.Errorf("export: %w", err)
		}
		if _, err := w.Write(append(f.Line[:len(f.Line):len(f.Line)], '\n')); err != nil {
			return n, fmt.Errorf("export: %w", err)
		}
		n++
	}
	return n, nil
}
