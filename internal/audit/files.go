package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	filePrefix = "trail-"
	fileSuffix = ".jsonl"
	fileDigits = 20
	newSuffix  = ".new"
	tornInfix  = ".torn-"
)

// fileName is the name of the file whose first record is seq.
func fileName(seq uint64) string {
	return fmt.Sprintf("%s%0*d%s", filePrefix, fileDigits, seq, fileSuffix)
}

// firstSeq reads the number out of a file name.
func firstSeq(name string) (uint64, bool) {
	digits, ok := strings.CutPrefix(name, filePrefix)
	digits, ok2 := strings.CutSuffix(digits, fileSuffix)
	if !ok || !ok2 || len(digits) != fileDigits {
		return 0, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	return seq, err == nil && seq > 0
}

// listFiles returns the names of the trail's files, in the order of their numbers.
func listFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("read audit folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, ok := firstSeq(e.Name()); ok {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// line is one line of a trail file.
type line struct {
	text  []byte // without the newline; valid until the next call
	n     int    // from 1; 0: not known
	start int64  // offset of its first byte
	end   int64  // offset behind its newline
	whole bool   // it ends in a newline
	long  bool   // it is longer than any record; text is its beginning
}

// lineReader reads lines with bounded memory.
type lineReader struct {
	r   *bufio.Reader
	buf []byte
	n   int
	off int64
}

func newLineReader(r io.Reader) *lineReader { return &lineReader{r: bufio.NewReaderSize(r, 256<<10)} }

// next returns io.EOF after the last line.
func (l *lineReader) next() (line, error) {
	out := line{n: l.n + 1, start: l.off}
	l.buf = l.buf[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		l.off += int64(len(part))
		if room := MaxRecord + 1 - len(l.buf); len(part) > room {
			out.long = true
			l.buf = append(l.buf, part[:max(room, 0)]...)
		} else if len(l.buf) > 0 || err != nil {
			l.buf = append(l.buf, part...)
		} else {
			out.text = part // the common case: the line lies in the reader's buffer
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return line{}, fmt.Errorf("read line %d: %w", out.n, err)
		case err != nil && l.off == out.start:
			return line{}, io.EOF
		}
		if out.text == nil {
			out.text = l.buf
		}
		out.whole = err == nil
		if out.whole && !out.long {
			out.text = out.text[:len(out.text)-1]
		}
		l.n, out.end = out.n, l.off
		return out, nil
	}
}

// eachLine calls f with each line of a trail file.
func eachLine(folder, name string, f func(line) error) error { return eachLineFrom(folder, name, 0, f) }

// eachLineFrom is eachLine for whoever wants no record before one with a number. Where it does not begin with the file's first line, it
// does not know the numbers of lines.
func eachLineFrom(folder, name string, number uint64, f func(line) error) error {
	file, err := os.Open(filepath.Join(folder, name))
	if err != nil {
		return fmt.Errorf("open audit file: %w", err)
	}
	defer file.Close()
	start := int64(0)
	if number > 0 {
		info, err := file.Stat()
		if err == nil {
			start, _, err = seek(file, info.Size(), func(f *frame) bool { return f.seq >= number })
		}
		if err == nil {
			_, err = file.Seek(start, io.SeekStart)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	lines := newLineReader(file)
	lines.off = start
	for {
		l, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if start > 0 {
			l.n = 0
		}
		if err := f(l); err != nil {
			return err
		}
	}
}

// syncFolder makes the names in a folder durable.
func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return fmt.Errorf("open audit folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeNew makes a file with contents that are durable before its name is. It never replaces one.
func writeNew(folder, name string, write func(io.Writer) error) error {
	path := filepath.Join(folder, name)
	if exists(path) {
		return fmt.Errorf("create %s: it exists already", name)
	}
	f, err := os.OpenFile(path+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path+newSuffix, path)
	}
	if err == nil {
		return syncFolder(folder)
	}
	_ = os.Remove(path + newSuffix)
	return fmt.Errorf("create %s: %w", name, err)
}
