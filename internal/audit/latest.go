package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"time"
)

// UnfinishedError says that a search was ended by its context before it had looked at everything, and how far it came.
type UnfinishedError struct {
	Seq  uint64    // of the oldest record that was looked at; 0: none
	Time time.Time // of that record
	Err  error
}

func (e *UnfinishedError) Error() string {
	return fmt.Sprintf("the search ended at record %d: %v", e.Seq, e.Err)
}

// Unwrap returns why the context ended.
func (e *UnfinishedError) Unwrap() error { return e.Err }

// Latest yields the events of a trail that match, newest first, reading from the end and no further than it has to: what a page shows
// of a trail does not cost more the longer the trail is. Query.Limit bounds it, and so does ctx, whose end yields an *UnfinishedError;
// at least one record is looked at first, so that whoever goes on from there gets on. A line that is no record yields a *LineError, as in
// Search; those behind the oldest event are not met.
//
// It takes the trail to be in the order of its clock, give or take a day: it begins at what was written a day after Until, and ends at
// what was written a day before Since. Where a clock was set back further, Verify says so, and Search looks through everything.
func Latest(ctx context.Context, folder string, q Query) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) { latest(ctx, folder, q, yield) }
}

// clockSlack is how far a trail may be out of the order of its clock before Latest misses something.
const clockSlack = 24 * time.Hour

// behind says whether whatever is asked for was written before a record, and ahead whether it was written after it.
func (q *Query) behind(f *frame) bool {
	return q.To > 0 && f.seq > q.To || !q.Until.IsZero() && f.time.After(q.Until.Add(clockSlack))
}

func (q *Query) ahead(f *frame) bool {
	return q.From > 0 && f.seq < q.From || !q.Since.IsZero() && f.time.Before(q.Since.Add(-clockSlack))
}

// reached is how far a search has come.
type reached struct {
	seq  uint64
	time time.Time
}

// ended is why a search has to stop here, if it has: not before it has got on.
func (r *reached) ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil && r.seq > 0 {
		return &UnfinishedError{r.seq, r.time, err}
	}
	return nil
}

func latest(ctx context.Context, folder string, q Query, yield func(Found, error) bool) {
	spooled, names, err := trailIn(folder)
	if err != nil {
		yield(Found{}, err)
		return
	}
	m := newMatcher(q)
	left := q.Limit
	var far reached
	end := ""
	if len(names) > 0 {
		end = names[len(names)-1] // the trail's own last: its last line may be unfinished
	}
	for _, name := range slices.Backward(q.notBehind(folder, m.files(names))) {
		err := eachLineBack(folder, name, &q, name == end, spooled, func(l line) error {
			if err := far.ended(ctx); err != nil {
				return err
			}
			f, err := parseFrame(l.text)
			switch {
			case err == nil && q.ahead(&f):
				return errStop
			case err == nil && !q.behind(&f):
				far = reached{f.seq, f.time}
			}
			rec, ok, err := m.match(&f, l.text, err)
			switch {
			case err != nil && !yield(Found{}, &LineError{File: name, Offset: l.start, Err: err}):
				return errStop
			case err != nil || !ok:
				return nil
			case !yield(Found{Record: rec, File: name, Line: l.text}, nil):
				return errStop
			}
			if left--; left == 0 {
				return errStop
			}
			return nil
		})
		if errors.Is(err, errStop) {
			return
		}
		if err != nil {
			yield(Found{}, err)
			return
		}
	}
}

// notBehind leaves out the files that begin behind what is asked for.
func (q *Query) notBehind(folder string, names []string) []string {
	if q.Until.IsZero() {
		return names
	}
	n := sort.Search(len(names), func(i int) bool {
		behind := false
		err := eachLine(folder, names[i], func(l line) error {
			f, err := parseFrame(l.text)
			behind = err == nil && q.behind(&f)
			return errStop
		})
		return behind && errors.Is(err, errStop)
	})
	return names[:n]
}

// eachLineBack calls f with each line of a file, the last one first, but for those that lie behind what is asked for. Behind the trail's
// last file are the lines that are still in the spool, and its own last line may be unfinished, which is passed over.
func eachLineBack(folder, name string, q *Query, end bool, spooled []byte, f func(line) error) error {
	file, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return fmt.Errorf("open audit file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("open audit file: %w", err)
	}
	size := info.Size()
	if end {
		if err := lastOfSpool(file, size, spooled, f); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	_, from, err := seek(file, size, q.behind)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	lines := backReader{file: file, from: from, start: from}
	for {
		l, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if end && !l.whole {
			continue
		}
		if err := f(l); err != nil {
			return err
		}
	}
}

// lastOfSpool calls f with the lines of the spool that follow the last one of a file, the last one first.
func lastOfSpool(file io.ReaderAt, size int64, spooled []byte, f func(line) error) error {
	if len(spooled) == 0 {
		return nil
	}
	lines := backReader{file: file, from: size, start: size}
	tail, err := lines.next()
	if err == nil && !tail.whole {
		tail, err = lines.next()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	frame, err := parseFrame(tail.text)
	if err != nil {
		return nil // nothing can be said to follow it, which Verify finds
	}
	rest := bytes.Split(behind(spooled, &position{seq: frame.seq, hash: frame.hash}), []byte("\n"))
	for _, text := range slices.Backward(rest) {
		if len(text) == 0 {
			continue // behind the last newline
		}
		if err := f(line{text: text, whole: true}); err != nil {
			return err
		}
	}
	return nil
}

// seek looks, in a few steps, for the place in a file from which on every record is behind something. No line in front of from is, and
// from to on every line is; what lies between the two, a block and a line at most, whoever asks has to look at.
func seek(file io.ReaderAt, size int64, behind func(*frame) bool) (from, to int64, err error) {
	to = size
	for low, high := int64(0), size; high-low > backBlock; {
		middle := low + (high-low)/2
		// One byte earlier, so that a line that begins in the middle is not taken for the rest of another.
		lines := newLineReader(io.NewSectionReader(file, middle-1, size-middle+1))
		_, err := lines.next()
		found := false
		for err == nil && !found {
			var l line
			if l, err = lines.next(); err != nil || middle-1+l.start >= high {
				break
			}
			f, bad := parseFrame(l.text)
			if bad != nil {
				continue
			}
			found = true
			if at := middle - 1 + l.start; behind(&f) {
				to, high = at, middle
			} else {
				from, low = at, at+1
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, err
		}
		if !found {
			high = middle // no record begins there
		}
	}
	return from, to, nil
}

// backBlock is how much is read at once.
const backBlock = 256 << 10

// backReader reads lines from the end of a file, with bounded memory.
type backReader struct {
	file  io.ReaderAt
	from  int64  // offset of buf's first byte
	buf   []byte // what was read and not yet handed out
	start int64  // offset of the last line that was handed out
	begun bool
	long  bool // the line at the end of buf has lost its end: it is longer than any record
}

// next returns io.EOF after the first line. A line's text is valid until the next call.
func (b *backReader) next() (line, error) {
	if b.begun && b.from == 0 && len(b.buf) == 0 {
		return line{}, io.EOF
	}
	out := line{end: b.start}
	// The newline that ends the line, if there is one: only the file's last line can be without.
	if !b.begun {
		b.begun = true
		if err := b.more(); err != nil {
			return line{}, err
		}
		out.whole = bytes.HasSuffix(b.buf, []byte("\n"))
	} else {
		out.whole = true
	}
	if out.whole && !b.long {
		b.buf = b.buf[:len(b.buf)-1]
	}
	for {
		if n := bytes.LastIndexByte(b.buf, '\n'); n >= 0 {
			out.text, b.buf = b.buf[n+1:], b.buf[:n+1]
			break
		}
		if b.from == 0 {
			out.text, b.buf = b.buf, nil
			break
		}
		if len(b.buf) > MaxRecord {
			b.buf, b.long = b.buf[:0], true
		}
		if err := b.more(); err != nil {
			return line{}, err
		}
	}
	out.long, b.long = b.long, false
	out.start = b.from + int64(len(b.buf))
	b.start = out.start
	return out, nil
}

// more reads the block in front of buf.
func (b *backReader) more() error {
	if b.from == 0 {
		return io.EOF
	}
	n := min(b.from, backBlock)
	next := make([]byte, int(n)+len(b.buf))
	if _, err := b.file.ReadAt(next[:n], b.from-n); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	copy(next[n:], b.buf)
	b.from, b.buf = b.from-n, next
	return nil
}
