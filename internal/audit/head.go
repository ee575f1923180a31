package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Head is how far a trail had come: the number of its last record and that record's hash. Whoever holds a head can tell
// later whether anything up to it was changed or cut off.
type Head struct {
	Instance string    `json:"instance"`
	Seq      uint64    `json:"seq"`  // of the last record; records are numbered from 1, so it is their count too
	Hash     string    `json:"hash"` // of the last record
	Time     time.Time `json:"time"` // of the last record

	// Checkpoint is the last signed record at that moment.
	Checkpoint uint64 `json:"checkpoint,omitempty"`
}

// HeadStore keeps heads apart from the trail's files; state implements it.
//
// The trail saves its head after each checkpoint and at least once a second while it is written to, without Record waiting
// for it, and always a head that is already durable. So somebody who can write the trail's files, but neither state nor a
// head kept elsewhere, can cut off records of at most the last second without being found out, and only while Postern is
// down or just after it was killed; at Close the head is saved before Close returns.
type HeadStore interface {
	// SaveHead keeps h as the head of h.Instance. A head never goes back: a smaller Seq than the kept one is ignored.
	SaveHead(ctx context.Context, h Head) error
	// LoadHead returns the kept head; found is false when there is none.
	LoadHead(ctx context.Context, instance string) (h Head, found bool, err error)
}

// maxHeadFile bounds what ReadHead takes: it must hold a line of the trail.
const maxHeadFile = MaxRecord + 1024

// WriteHead writes h as one line of JSON, for keeping somewhere that the trail's host cannot write to.
func WriteHead(w io.Writer, h Head) error {
	line, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode head: %w", err)
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write head: %w", err)
	}
	return nil
}

// ReadHead reads what WriteHead wrote. A line of the trail itself serves as well, so the last line of the newest file,
// copied elsewhere, is a head. Of several lines the last counts.
func ReadHead(r io.Reader) (Head, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxHeadFile+1))
	if err != nil {
		return Head{}, fmt.Errorf("read head: %w", err)
	}
	if len(text) > maxHeadFile {
		return Head{}, fmt.Errorf("read head: more than %d bytes", maxHeadFile)
	}
	text = bytes.TrimSpace(text)
	line := text[bytes.LastIndexByte(text, '\n')+1:]
	if rec, err := ParseRecord(line); err == nil {
		return Head{Instance: rec.Instance, Seq: rec.Seq, Hash: rec.Hash, Time: rec.Time}, nil
	}
	var h Head
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return Head{}, fmt.Errorf("read head: %w", err)
	}
	if _, err := parseHash(h.Hash); err != nil || h.Seq == 0 {
		return Head{}, fmt.Errorf("read head: no record number and hash in it")
	}
	return h, nil
}
