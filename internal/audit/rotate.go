package audit

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// rotateIfDue begins a new file when the current one is large or old enough. The caller holds mu.
func (t *Trail) rotateIfDue(now time.Time) error {
	if t.size+int64(len(t.pending)) < t.cfg.RotateSize && now.Sub(t.opened) < t.cfg.RotateAge {
		return nil
	}
	if t.written.seq == t.headerSeq() && len(t.pending) == 0 {
		return nil // nothing but the header is in it
	}
	t.append(&Event{Kind: Checkpoint}, &Seal{}, now)
	if err := t.write(); err != nil {
		return err
	}
	if err := t.file.Sync(); err != nil {
		t.fail(fmt.Errorf("fsync %s: %w", t.name, err), true)
		return t.broken
	}
	t.markDurable(t.written)
	old := t.file
	if err := t.begin(t.name, now); err != nil {
		t.fail(err, false)
		return t.broken
	}
	_ = old.Close() // it is durable; nothing is left to go wrong
	return nil
}

// headerSeq is the number of the record that opens the current file.
func (t *Trail) headerSeq() uint64 {
	seq, _ := firstSeq(t.name)
	return seq
}

// begin makes a new file whose header is chained to what was written last. Nothing may be pending. On error everything is
// as it was. The caller holds mu, or is Open.
func (t *Trail) begin(previous string, now time.Time) (err error) {
	before := t.queued
	name := fileName(before.seq + 1)
	t.append(&Event{Kind: Header}, &Seal{
		Format: formatVersion, File: name, Previous: previous,
		Every: t.cfg.CheckpointEvery, Public: t.cfg.Key.Public().String(),
	}, now)
	defer func() {
		t.pending = t.pending[:0]
		if err != nil {
			t.queued = before
		}
		t.accept()
	}()
	err = writeNew(t.cfg.Folder, name, func(w io.Writer) error {
		_, err := w.Write(t.pending)
		return err
	})
	if err != nil {
		return err
	}
	if t.file, err = openAppend(t.cfg.Folder, name); err != nil {
		// The header is on disk and durable: when the trail is opened again, it goes on from there.
		t.sticky = true
		return err
	}
	t.name, t.opened, t.size = name, now, int64(len(t.pending))
	t.written = t.queued
	t.markDurable(t.written)
	return nil
}

func openAppend(folder, name string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, name), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, fmt.Errorf("open audit file: %w", err)
	}
	return f, nil
}
