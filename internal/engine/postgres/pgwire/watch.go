package pgwire

import (
	"encoding/binary"
	"unicode/utf8"
)

// Watcher is shown what some results hold, to notice sensitive data without a label. It is safe for concurrent use and keeps
// nothing longer than it needs to count.
type Watcher interface {
	// Take says whether the rows of the next result are looked at.
	Take() bool
	// Wants says whether anything is still to be learned about a column.
	Wants(c *WatchedColumn) bool
	// See takes values of a column; they are the watcher's to keep and drop.
	See(c *WatchedColumn, texts []string)
}

// WatchedColumn is a column of a profile that is shown as it is and has no label.
type WatchedColumn struct {
	Place string // store.schema.table.column
	Name  string
	Type  string
	Text  bool // its text and its binary form are the same
}

// Origin is where a field of a result comes from, by the numbers of the store.
type Origin struct {
	OID uint32
	Num int16
}

// Bounds of what one result can make the gateway keep for the watcher.
const (
	watchRows   = 200
	watchFields = 32
	watchBytes  = 256 // of a value
)

// watchedField is a field of a result that the watcher wants to see.
type watchedField struct {
	index  int
	column *WatchedColumn
	texts  []string
}

// watched lists the fields of a row description that the watcher knows and has not seen enough of. binary: the rows may come in
// binary, so only those columns whose forms are the same.
func (s *session) watched(body []byte, binaryRows bool) []watchedField {
	known := s.profile().Watched
	if s.server.config.Watcher == nil || len(known) == 0 {
		return nil
	}
	var out []watchedField
	rest := body[2:]
	for i := range int(binary.BigEndian.Uint16(body)) {
		_, after, ok := cString(rest)
		if !ok || len(after) < 18 {
			return nil
		}
		at := Origin{binary.BigEndian.Uint32(after), int16(binary.BigEndian.Uint16(after[4:]))} //nolint:gosec // as the protocol has it
		if c := known[at]; c != nil && (c.Text || !binaryRows) && len(out) < watchFields {
			out = append(out, watchedField{index: i, column: c})
		}
		rest = after[18:]
	}
	return out
}

// watchRow keeps copies of a row's values for the watcher. A row that has not arrived whole is passed over: nothing waits for it.
func (s *session) watchRow(e *entry, b []byte, declared int64) {
	if e.watching == watchUndecided {
		e.watching = watchNot
		fields := e.watched
		if e.kind == kExecute && e.shaped != nil {
			fields = e.shaped.watched
		}
		if len(fields) == 0 || !s.server.config.Watcher.Take() {
			return
		}
		s.out.watched = s.out.watched[:0]
		for _, f := range fields {
			if s.server.config.Watcher.Wants(f.column) {
				s.out.watched = append(s.out.watched, watchedField{index: f.index, column: f.column})
			}
		}
		if len(s.out.watched) > 0 {
			e.watching = watchRows
		}
	}
	if e.watching == watchNot || int64(len(b)) < declared+1 {
		return
	}
	if e.watching--; e.watching == watchUndecided {
		e.watching = watchNot
	}
	row := b[headerSize+2 : declared+1]
	next := 0
	for i := 0; next < len(s.out.watched) && len(row) >= 4; i++ {
		size := int(int32(binary.BigEndian.Uint32(row))) //nolint:gosec // as the protocol has it: -1 is NULL
		row = row[4:]
		if size > len(row) {
			return
		}
		f := &s.out.watched[next]
		if f.index == i {
			next++
			if v := row[:max(0, min(size, watchBytes))]; size > 0 && utf8.Valid(v) {
				f.texts = append(f.texts, string(v))
			}
		}
		row = row[max(0, size):]
	}
}

// How many more rows of an entry are looked at.
const (
	watchUndecided = 0
	watchNot       = -1
)

// handOver gives the watcher what was kept. The client has its answer by then.
func (s *session) handOver() {
	for i := range s.out.watched {
		f := &s.out.watched[i]
		if len(f.texts) > 0 {
			s.server.config.Watcher.See(f.column, f.texts)
			f.texts = nil
		}
	}
}
