package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

const (
	// formatVersion is written into each file's header; a reader refuses a higher one.
	formatVersion = 1
	signPurpose   = "postern audit trail v1\n"
	// MaxRecord bounds one line of the trail, so that readers have a bound too. The gateway's own limit on statements is
	// far below it.
	MaxRecord = 8 << 20

	hashChars = 2 * sha256.Size
	sigChars  = 86
)

// hash is a record's chain hash, or a head: SHA-256 in lower-case hex.
type hash [hashChars]byte

// genesis is what the first record of a trail is chained to.
var genesis = hash([]byte("0000000000000000000000000000000000000000000000000000000000000000"))

func sum(canonical []byte) (h hash) {
	s := sha256.Sum256(canonical)
	hex.Encode(h[:], s[:])
	return h
}

func parseHash(text string) (h hash, err error) {
	if len(text) != hashChars || !isHex([]byte(text)) {
		return h, fmt.Errorf("expected %d characters of lower-case hex", hashChars)
	}
	copy(h[:], text)
	return h, nil
}

func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Record is an event as it stands in the trail, with its chain. Its line is the JSON of this struct with the fields in this
// order, without spaces. The canonical bytes are the line's bytes before `,"hash":`; Hash is their SHA-256. Sig, in records
// that have one, signs the bytes before `,"sig":`. Prev is the Hash of the record before, also across files.
type Record struct {
	Event
	Seal *Seal  `json:"seal,omitempty"` // in the trail's own records
	Prev string `json:"prev"`           // hash of the record before, 64 zeros for the first
	Sig  string `json:"sig,omitempty"`  // ed25519 signature of the trail's own records, base64
	Hash string `json:"hash"`           // SHA-256 of everything before it, lower-case hex
}

// Seal is what the trail says about itself in the records that it signs: the header of a file, a checkpoint, a recovery. A
// signature covers the record's seq, time, instance and prev, and so, through the chain, everything before it.
type Seal struct {
	Key      string `json:"key"`                // identifies the signing key
	Public   string `json:"public,omitempty"`   // header: the public key itself, for information
	Format   int    `json:"format,omitempty"`   // header
	File     string `json:"file,omitempty"`     // header: the name of the file that it opens
	Previous string `json:"previous,omitempty"` // header: the name of the file before
	Every    int    `json:"every,omitempty"`    // header: at most so many records stand between two signed ones
	Torn     []Torn `json:"torn,omitempty"`     // recovery: what a crash had left behind the last whole record
	From     uint64 `json:"from,omitempty"`     // recovery: first record that it speaks of
	To       uint64 `json:"to,omitempty"`       // recovery: last record that it speaks of
	Expected string `json:"expected,omitempty"` // recovery: the head that state knew for record To
	Refused  uint64 `json:"refused,omitempty"`  // recovery: events that were refused while the trail could not be written
}

// Torn names bytes that were moved out of a trail file.
type Torn struct {
	File   string `json:"file"`   // where they are now, beside the trail's files
	Bytes  int64  `json:"bytes"`  // how many
	SHA256 string `json:"sha256"` // of them
}

// appendRecord appends e's line, chained to prev and signed when seal is set, and returns the new head.
func appendRecord(b []byte, e *Event, seal *Seal, prev hash, key *Key) ([]byte, hash) {
	start := len(b)
	b = appendEvent(b, e, seal)
	b = append(b, `,"prev":"`...)
	b = append(b, prev[:]...)
	b = append(b, '"')
	if seal != nil {
		sig := key.sign(b[start:])
		b = append(b, `,"sig":"`...)
		b = append(b, sig...)
		b = append(b, '"')
	}
	h := sum(b[start:])
	b = append(b, `,"hash":"`...)
	b = append(b, h[:]...)
	b = append(b, "\"}\n"...)
	return b, h
}

// frame is the part of a line that the chain needs, found without decoding the rest. Its slices point into the line.
type frame struct {
	seq       uint64
	time      time.Time
	instance  []byte
	kind      Kind
	prev      hash
	hash      hash
	sig       []byte
	signed    []byte // what sig signs
	canonical []byte // what hash is of
}

// intact says whether the line hashes to what it says.
func (f *frame) intact() bool { return sum(f.canonical) == f.hash }

var errNotRecord = errors.New("not a record of the trail")

// parseFrame reads a line without its newline. It accepts exactly one spelling of the parts it reads, so that no byte of a
// line can change without the frame or the hash changing.
func parseFrame(line []byte) (f frame, err error) {
	var ok bool
	if f.canonical, ok = cutTail(line, `,"hash":"`, f.hash[:], `"}`); !ok || !isHex(f.hash[:]) {
		return f, errNotRecord
	}
	f.signed = f.canonical
	var sig [sigChars]byte
	if body, signed := cutTail(f.canonical, `,"sig":"`, sig[:], `"`); signed {
		f.signed, f.sig = body, sig[:]
	}
	head, ok := cutTail(f.signed, `,"prev":"`, f.prev[:], `"`)
	if !ok || !isHex(f.prev[:]) {
		return f, errNotRecord
	}
	return f, f.parseHead(head)
}

// cutTail takes open + len(into) bytes + end off the end of b.
func cutTail(b []byte, open string, into []byte, end string) (rest []byte, ok bool) {
	b, ok = bytes.CutSuffix(b, []byte(end))
	if !ok || len(b) < len(into) {
		return nil, false
	}
	n := len(b) - len(into)
	rest, ok = bytes.CutSuffix(b[:n], []byte(open))
	if ok {
		copy(into, b[n:])
	}
	return rest, ok
}

func (f *frame) parseHead(b []byte) error {
	b, ok := bytes.CutPrefix(b, []byte(`{"seq":`))
	digits, rest, found := bytes.Cut(b, []byte(`,"time":"`))
	if !ok || !found {
		return errNotRecord
	}
	seq, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil || (len(digits) > 0 && (digits[0] == '0' || digits[0] == '+')) {
		return errNotRecord
	}
	f.seq = seq
	at, rest, ok1 := bytes.Cut(rest, []byte(`","instance":"`))
	instance, rest, ok2 := bytes.Cut(rest, []byte(`","kind":"`))
	kind, _, ok3 := bytes.Cut(rest, []byte(`"`))
	if !ok1 || !ok2 || !ok3 {
		return errNotRecord
	}
	if f.time, err = time.Parse(time.RFC3339Nano, string(at)); err != nil {
		return errNotRecord
	}
	f.instance, f.kind = instance, Kind(kind)
	return nil
}

// ParseRecord decodes one line of the trail or of an export and checks that it hashes to what it says. Whether it is in its
// place, only Verify can tell.
func ParseRecord(line []byte) (Record, error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	f, err := parseFrame(line)
	if err != nil {
		return Record{}, err
	}
	if !f.intact() {
		return Record{}, fmt.Errorf("record %d does not match its hash", f.seq)
	}
	var r Record
	if err := json.Unmarshal(line, &r); err != nil {
		return Record{}, fmt.Errorf("decode record %d: %w", f.seq, err)
	}
	if r.Seq != f.seq || r.Kind != f.kind || r.Prev != string(f.prev[:]) || r.Hash != string(f.hash[:]) {
		return Record{}, fmt.Errorf("record %d says two things in one field", f.seq)
	}
	return r, nil
}
