package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
)

// The spool is a small file beside the trail's that is mapped into memory. Where audit.sync lets records gather, Record puts
// them there instead of calling the kernel for each: the bytes belong to the kernel from the moment they are copied, so that a
// process that is killed loses none of them. The keeper writes them to the trail every few milliseconds, and then the spool
// begins anew from its first byte. What a killed process has left in it is written to the trail at the next start, and readers
// take it for the end of the trail until then.
//
// The spool needs no marks of its own: what is valid in it are whole records, each chained to the one before and the first to
// the trail's last. Where that ends, older bytes follow, or a record that nobody was told of.
const (
	spoolName = ".spool"
	// spoolSize is some 160 records. A larger one would spare few writes, and push what statements need out of the processor's cache.
	spoolSize = 128 << 10
)

// spool is used under the trail's lock.
type spool struct {
	file *os.File
	view []byte // nil: it cannot be used
	used int
}

// openSpool makes or takes over the spool of a folder. Where there can be none, because the system or the file system lacks what
// it takes, it returns one that takes nothing, and each record is written to the trail by itself.
func openSpool(folder string) *spool {
	f, err := os.OpenFile(filepath.Join(folder, spoolName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return &spool{}
	}
	s := &spool{file: f}
	// Real zeros and not a hole: the room is there, also when the disk is full later.
	if info, err := f.Stat(); err != nil || info.Size() != spoolSize {
		if _, err := f.WriteAt(make([]byte, spoolSize), 0); err != nil || f.Truncate(spoolSize) != nil {
			return s
		}
	}
	if s.view, err = mapFile(f, spoolSize); err != nil {
		s.view = nil
	}
	return s
}

// put copies b behind what is there. False: there is no room, or no spool, and nothing may be told of b.
func (s *spool) put(b []byte) (ok bool) {
	if len(b) > len(s.view)-s.used {
		return false
	}
	// Memory that is a file can fault, for instance when somebody has cut the file. That must not end the process.
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if recover() != nil {
			s.view, ok = nil, false
		}
	}()
	copy(s.view[s.used:], b)
	s.used += len(b)
	return true
}

// usable says whether there is a spool that takes records.
func (s *spool) usable() bool { return s.view != nil }

// reset is called when everything in the spool is in the trail.
func (s *spool) reset() { s.used = 0 }

// close gives the spool up, and removes it when nothing in it is of use any more.
func (s *spool) close(empty bool) error {
	if s.file == nil {
		return nil
	}
	unmap(s.view)
	s.view = nil
	err := s.file.Close()
	if empty {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	s.file = nil
	return err
}

// trailIn is what a search reads of a folder: what is in the spool, and then the names of the files, so that what leaves the one for the
// other meanwhile is met twice rather than not at all.
func trailIn(folder string) (spooled []byte, names []string, err error) {
	if spooled, err = readSpool(folder); err == nil {
		names, err = listFiles(folder)
	}
	return spooled, names, err
}

// readSpool returns what is in the spool of a folder; nil when there is none.
func readSpool(folder string) ([]byte, error) {
	f, err := os.Open(filepath.Join(folder, spoolName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the audit trail's spool: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, spoolSize))
	if err != nil {
		return nil, fmt.Errorf("read the audit trail's spool: %w", err)
	}
	return b, nil
}

// behind cuts off a spool's contents what belongs behind the record tip: from and including the record that follows it up to
// and including the last that is whole and chained. tip is set to that.
func behind(spooled []byte, tip *position) []byte {
	from, to := 0, 0
	for {
		n := bytes.IndexByte(spooled[to:], '\n')
		if n < 0 {
			break
		}
		f, err := parseFrame(spooled[to : to+n])
		if err != nil || !f.intact() {
			break
		}
		switch {
		case f.seq <= tip.seq && from == to:
			from = to + n + 1 // it is in the trail already
		case f.seq == tip.seq+1 && f.prev == tip.hash:
			tip.seq, tip.hash, tip.time = f.seq, f.hash, f.time
			if f.sig != nil {
				tip.signed = f.seq
			}
		default:
			return spooled[from:to]
		}
		to += n + 1
	}
	return spooled[from:to]
}

// eachTrailLine calls f with each line of a folder's files in turn, and then with those that are still in the spool, as lines of
// the last file. It need not begin before the record numbered from. spooled was read before the files were listed, so that nothing can
// fall between the two.
func eachTrailLine(folder string, names []string, from uint64, spooled []byte, f func(name string, last bool, l line) error) error {
	for i, name := range names {
		take := func(l line) error { return f(name, i == len(names)-1, l) }
		var err error
		if i == len(names)-1 {
			err = eachLastLine(folder, name, from, spooled, take)
		} else {
			err = eachLineFrom(folder, name, from, take)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eachLastLine is eachLineFrom for the file that the spool goes on.
func eachLastLine(folder, name string, from uint64, spooled []byte, f func(line) error) error {
	var tail []byte // the last whole line, or lines that may be it
	var at, cut line
	err := eachLineFrom(folder, name, from, func(l line) error {
		if !l.whole {
			cut = l
			cut.text = bytes.Clone(l.text)
			return nil
		}
		tail, at = append(tail[:0], l.text...), l
		return f(l)
	})
	if err != nil {
		return err
	}
	var rest []byte
	if frame, err := parseFrame(tail); err == nil {
		tip := position{seq: frame.seq, hash: frame.hash}
		rest = behind(spooled, &tip)
	}
	if cut.end > cut.start && !bytes.HasPrefix(rest, cut.text) {
		return f(cut) // it is not the beginning of what is in the spool
	}
	for len(rest) > 0 {
		n := bytes.IndexByte(rest, '\n')
		at.n, at.start, at.end, at.whole, at.long = at.n+1, at.end, at.end+int64(n)+1, true, false
		at.text = rest[:n]
		if err := f(at); err != nil {
			return err
		}
		rest = rest[n+1:]
	}
	return nil
}

// removeSpool removes a spool that is not wanted and whose contents are in the trail.
func removeSpool(folder string) error {
	if err := os.Remove(filepath.Join(folder, spoolName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the audit trail's spool: %w", err)
	}
	return nil
}

// unspool writes to the last file what a killed process has left in the spool, and returns that file's new scan and what is to
// be recorded of it.
func (t *Trail) unspool(names []string, last *scanned, want uint64) (*scanned, []Record, error) {
	spooled, err := readSpool(t.cfg.Folder)
	if err != nil || len(spooled) == 0 {
		return last, nil, err
	}
	if last == nil || last.damage != "" {
		notes, err := t.orphans(last, spooled)
		return last, notes, err
	}
	tip := last.at
	rest := behind(spooled, &tip)
	if len(rest) == 0 {
		notes, err := t.orphans(last, spooled)
		return last, notes, err
	}
	notes, err := t.clearTail(last, rest)
	if err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(filepath.Join(t.cfg.Folder, last.name), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("open audit file: %w", err)
	}
	_, err = f.Write(rest)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, nil, fmt.Errorf("write the spool to %s: %w", last.name, err)
	}
	last, err = t.lastFile(names, want)
	return last, notes, err
}

// clearTail cuts an unfinished record off the last file: the spool has all of it. Bytes that are not its beginning are kept.
func (t *Trail) clearTail(last *scanned, rest []byte) ([]Record, error) {
	if last.tail == 0 {
		return nil, nil
	}
	path := filepath.Join(t.cfg.Folder, last.name)
	text, err := os.ReadFile(path) // #nosec G304 -- a file of the trail
	if err != nil {
		return nil, fmt.Errorf("read audit file: %w", err)
	}
	if bytes.HasPrefix(rest, text[last.size:]) {
		if err := os.Truncate(path, last.size); err != nil {
			return nil, fmt.Errorf("cut an unfinished record off %s: %w", last.name, err)
		}
		return nil, nil
	}
	torn, err := t.setAside(last)
	if err != nil {
		return nil, err
	}
	return []Record{tornNote(last, torn)}, nil
}

// orphans keeps a spool whose records do not follow the trail's last: some of the trail is missing in between.
func (t *Trail) orphans(last *scanned, spooled []byte) ([]Record, error) {
	var at position
	if last != nil {
		at = last.at
	}
	n := bytes.IndexByte(spooled, '\n')
	f, err := parseFrame(spooled[:max(n, 0)])
	if err != nil || !f.intact() || f.seq <= at.seq {
		return nil, nil // it holds nothing new
	}
	name := fmt.Sprintf("%s%s%d-spool", fileName(at.seq+1), tornInfix, at.seq+1)
	path := filepath.Join(t.cfg.Folder, name)
	if !exists(path) {
		err := writeNew(t.cfg.Folder, name, func(w io.Writer) error {
			_, err := w.Write(spooled)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("keep the spool: %w", err)
		}
	}
	torn, err := describe(path)
	if err != nil {
		return nil, err
	}
	return []Record{recovery(ReasonTorn, fmt.Sprintf("the spool goes on with record %d, but the files end at record %d: kept in %s",
		f.seq, at.seq, name), Seal{Torn: []Torn{torn}})}, nil
}
