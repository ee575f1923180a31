package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The reasons of a trail.recovery event.
const (
	ReasonTorn        = "torn"         // a crash left part of a record; its bytes were moved aside
	ReasonWriteFailed = "write_failed" // events were refused while the trail could not be written
	ReasonMissing     = "missing"      // state knew a later record than the files hold
	ReasonMismatch    = "mismatch"     // state knew another record than the files hold
	ReasonDamaged     = "damaged"      // the last file was changed
)

// Open takes the folder, looks through its last file, closes what a crash has left open with a signed recovery record, and
// goes on behind the last record. What looks like tampering does not stop it: that is recorded too, signed, and told by
// Recovered, so that destroying the trail cannot also stop the evidence of it.
func Open(cfg Config) (*Trail, error) {
	cfg.setDefaults()
	switch {
	case cfg.Folder == "":
		return nil, errors.New("open audit trail: no folder given")
	case cfg.Key == nil:
		return nil, errors.New("open audit trail: no signing key given")
	case !plainName(cfg.Instance):
		return nil, fmt.Errorf("open audit trail: instance %q: use 1 to 64 letters, digits, '.', '_' or '-'", cfg.Instance)
	}
	if err := os.MkdirAll(cfg.Folder, 0o700); err != nil {
		return nil, fmt.Errorf("make audit folder: %w", err)
	}
	lock, err := lockFolder(cfg.Folder)
	if err != nil {
		return nil, err
	}
	t := &Trail{
		cfg: cfg, lock: lock, spool: &spool{}, ids: idSource{random: cfg.Random},
		wake: make(chan struct{}, 1), sync: make(chan struct{}, 1), save: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if err := t.resume(); err != nil {
		if t.file != nil {
			_ = t.file.Close()
		}
		return nil, errors.Join(fmt.Errorf("open audit trail in %s: %w", cfg.Folder, err), lock.Close())
	}
	if cfg.Sync > 0 {
		t.spool = openSpool(cfg.Folder)
	} else if err := removeSpool(cfg.Folder); err != nil {
		return nil, errors.Join(fmt.Errorf("open audit trail in %s: %w", cfg.Folder, err), t.file.Close(), lock.Close())
	}
	t.start()
	return t, nil
}

func plainName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

// resume finds the end of the trail and makes it writable.
func (t *Trail) resume() error {
	names, err := t.tidy()
	if err != nil {
		return err
	}
	known, found, err := t.loadHead()
	if err != nil {
		return err
	}
	var last *scanned
	if len(names) > 0 {
		if last, err = t.lastFile(names, known.Seq); err != nil {
			return err
		}
	}
	last, early, err := t.unspool(names, last, known.Seq)
	if err != nil {
		return err
	}
	now := t.cfg.Now()
	notes, fresh, err := t.diagnose(names, last, known, found)
	if err != nil {
		return err
	}
	notes = append(early, notes...)
	switch {
	case last == nil:
		err = t.begin("", now)
	case fresh:
		err = t.begin(last.name, now)
	default:
		err = t.carryOn(last)
	}
	if err != nil {
		return err
	}
	for _, n := range notes {
		t.append(&n.Event, n.Seal, now)
		t.recovered = append(t.recovered, n.Message)
	}
	if t.queued.seq > t.queued.signed {
		t.append(&Event{Kind: Checkpoint}, &Seal{}, now)
	}
	if err := t.write(); err != nil {
		return err
	}
	if err := t.file.Sync(); err != nil {
		return fmt.Errorf("fsync %s: %w", t.name, err)
	}
	t.markDurable(t.written)
	return t.saveHead()
}

// tidy removes what a crash left half made: such a file never got its name, so nothing in it was ever acknowledged.
func (t *Trail) tidy() ([]string, error) {
	left, err := filepath.Glob(filepath.Join(escapeGlob(t.cfg.Folder), filePrefix+"*"+newSuffix))
	if err != nil {
		return nil, fmt.Errorf("list audit folder: %w", err)
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("remove a half-made file: %w", err)
		}
	}
	return listFiles(t.cfg.Folder)
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

func (t *Trail) loadHead() (Head, bool, error) {
	if t.cfg.State == nil {
		return Head{}, false, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stateTimeout)
	defer cancel()
	h, found, err := t.cfg.State.LoadHead(ctx, t.cfg.Instance)
	if err != nil {
		return Head{}, false, fmt.Errorf("load the trail's head from state: %w", err)
	}
	if found {
		if _, err := parseHash(h.Hash); err != nil {
			return Head{}, false, fmt.Errorf("load the trail's head from state: hash: %w", err)
		}
	}
	return h, found, nil
}

// lastFile scans the last file and refuses one that somebody else wrote.
func (t *Trail) lastFile(names []string, want uint64) (*scanned, error) {
	last, err := scanFile(t.cfg.Folder, names[len(names)-1], want)
	if err != nil {
		return nil, err
	}
	if last.header.Seal == nil {
		return last, nil
	}
	if got := last.header.Instance; got != t.cfg.Instance {
		return nil, fmt.Errorf("it is the trail of instance %q, not of %q: give each instance a folder of its own", got, t.cfg.Instance)
	}
	if got := last.header.Seal.Key; got != t.cfg.Key.id {
		return nil, fmt.Errorf("it is signed with key %s, but keys.audit holds key %s: put the key back, or move the folder away", got, t.cfg.Key.id)
	}
	return last, nil
}

// diagnose compares the last file with itself and with state, sets the position to go on from, and says which recovery
// records that needs and whether they need a fresh file.
func (t *Trail) diagnose(names []string, last *scanned, known Head, found bool) (notes []Record, fresh bool, err error) {
	t.queued.hash = genesis
	if last != nil {
		t.queued = last.at
		if last.at.seq == 0 { // no record in it: go on behind whatever it was named for
			seq, _ := firstSeq(last.name)
			t.queued = position{seq: seq, hash: genesis}
		}
	}
	if last != nil && last.damage != "" {
		fresh = true
		notes = append(notes, recovery(ReasonDamaged, fmt.Sprintf("%s was changed or damaged: %s", last.name, last.damage), Seal{}))
	}
	h, _ := parseHash(known.Hash)
	switch {
	case !found:
	case known.Seq > t.queued.seq:
		fresh = true
		from := t.queued.seq + 1
		notes = append(notes, recovery(ReasonMissing, fmt.Sprintf("state knows record %d, but the files end at record %d: records %d to %d are missing",
			known.Seq, from-1, from, known.Seq), Seal{From: from, To: known.Seq, Expected: known.Hash}))
		t.queued = position{seq: known.Seq, hash: h, time: known.Time}
	default:
		got, ok, err := t.hashAt(names, last, known.Seq)
		if err != nil {
			return nil, false, err
		}
		if !ok || got != h {
			notes = append(notes, recovery(ReasonMismatch, fmt.Sprintf("record %d is not the one that state knows", known.Seq),
				Seal{From: known.Seq, To: known.Seq, Expected: known.Hash}))
		}
	}
	if last != nil && !fresh {
		torn, err := t.setAside(last)
		if err != nil {
			return nil, false, err
		}
		if len(torn) > 0 {
			notes = append(notes, tornNote(last, torn))
		}
	}
	t.written = t.queued
	t.accept()
	return notes, fresh, nil
}

func tornNote(last *scanned, torn []Torn) Record {
	return recovery(ReasonTorn, fmt.Sprintf("a crash left %s behind record %d of %s: kept in %s",
		tornBytes(torn), last.at.seq, last.name, tornNames(torn)), Seal{Torn: torn})
}

func recovery(reason, message string, seal Seal) Record {
	return Record{Event: Event{Kind: Recovery, Reason: reason, Message: message}, Seal: &seal}
}

// hashAt finds the hash of record seq, in the last file or the one that holds it.
func (t *Trail) hashAt(names []string, last *scanned, seq uint64) (h hash, found bool, err error) {
	if first, _ := firstSeq(last.name); seq >= first {
		return last.wanted, last.found, nil
	}
	for _, name := range slices.Backward(names) {
		if first, _ := firstSeq(name); first <= seq {
			s, err := scanFile(t.cfg.Folder, name, seq)
			if err != nil {
				return h, false, err
			}
			return s.wanted, s.found, nil
		}
	}
	return h, false, nil
}

// carryOn opens the last file for appending.
func (t *Trail) carryOn(last *scanned) (err error) {
	if t.file, err = openAppend(t.cfg.Folder, last.name); err != nil {
		return err
	}
	t.name, t.size, t.opened = last.name, last.size, last.header.Time
	return nil
}

// scanned is what one file holds.
type scanned struct {
	name   string
	header Record   // of its first line, when that is a header
	at     position // of its last whole record
	size   int64    // up to there
	tail   int64    // bytes after that
	damage string   // where its records do not fit together
	wanted hash     // of the record that was asked for
	found  bool
}

// scanFile reads a file up to where its records stop fitting together. A whole record behind that place means that the file
// was changed; anything else behind it is what a crash leaves.
func scanFile(folder, name string, want uint64) (*scanned, error) {
	s := &scanned{name: name}
	broken := ""
	err := eachLine(folder, name, func(l line) error {
		f, err := parseFrame(l.text)
		whole := err == nil && l.whole && !l.long && f.intact()
		first := s.at.seq == 0
		switch {
		case !whole && broken == "":
			broken = fmt.Sprintf("line %d is not a whole record", l.n)
		case whole && broken != "":
			s.damage = broken
		case whole && !first && (f.seq != s.at.seq+1 || f.prev != s.at.hash):
			s.damage = fmt.Sprintf("line %d does not follow the line before", l.n)
			broken = s.damage
		case whole && first && f.kind != Header:
			s.damage = "it does not begin with a header"
			broken = s.damage
		}
		if whole && (broken == "" || f.seq > s.at.seq) {
			s.take(&f, l, first)
			if f.seq == want {
				s.wanted, s.found = f.hash, true
			}
		}
		if broken != "" {
			s.tail += l.end - l.start
		}
		return nil
	})
	if err == nil && s.at.seq == 0 {
		s.damage = "it holds no record"
	}
	return s, err
}

func (s *scanned) take(f *frame, l line, first bool) {
	s.at.seq, s.at.hash, s.at.time = f.seq, f.hash, f.time
	if f.sig != nil {
		s.at.signed = f.seq
	}
	s.size = l.end
	if !first || f.kind != Header {
		return
	}
	var r Record
	if err := json.Unmarshal(l.text, &r); err != nil || r.Seal == nil {
		s.damage = "its header cannot be read"
		return
	}
	s.header = r
}

// setAside moves what stands behind the last whole record into a file of its own and cuts it off. A crash between the two
// leaves the copy, which the next Open finds by its name.
func (t *Trail) setAside(last *scanned) ([]Torn, error) {
	base := fmt.Sprintf("%s%s%d", last.name, tornInfix, last.at.seq+1)
	again, err := filepath.Glob(filepath.Join(escapeGlob(t.cfg.Folder), base+"-*"))
	if err != nil {
		return nil, fmt.Errorf("list audit folder: %w", err)
	}
	var kept []string
	if first := filepath.Join(t.cfg.Folder, base); exists(first) {
		kept = append([]string{first}, again...)
	}
	if last.tail > 0 {
		name := base
		if len(kept) > 0 {
			name = fmt.Sprintf("%s-%d", base, len(kept)+1)
		}
		if err := t.copyTail(last, name); err != nil {
			return nil, fmt.Errorf("keep the torn end of %s: %w", last.name, err)
		}
		if err := os.Truncate(filepath.Join(t.cfg.Folder, last.name), last.size); err != nil {
			return nil, fmt.Errorf("cut the torn end off %s: %w", last.name, err)
		}
		kept = append(kept, filepath.Join(t.cfg.Folder, name))
	}
	var torn []Torn
	for _, path := range kept {
		one, err := describe(path)
		if err != nil {
			return nil, err
		}
		torn = append(torn, one)
	}
	return torn, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (t *Trail) copyTail(last *scanned, name string) error {
	from, err := os.Open(filepath.Join(t.cfg.Folder, last.name))
	if err != nil {
		return err
	}
	defer from.Close()
	return writeNew(t.cfg.Folder, name, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(from, last.size, last.tail))
		return err
	})
}

func describe(path string) (Torn, error) {
	f, err := os.Open(path)
	if err != nil {
		return Torn{}, fmt.Errorf("read torn bytes: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err != nil {
		return Torn{}, fmt.Errorf("read torn bytes: %w", err)
	}
	return Torn{File: filepath.Base(path), Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil))}, nil
}

func tornBytes(torn []Torn) string {
	var n int64
	for _, one := range torn {
		n += one.Bytes
	}
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

func tornNames(torn []Torn) string {
	names := make([]string, len(torn))
	for i, one := range torn {
		names[i] = one.File
	}
	return strings.Join(names, ", ")
}
