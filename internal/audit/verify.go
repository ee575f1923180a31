package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ProblemKind says what was done to the trail.
type ProblemKind string

// The kinds of problem.
const (
	Edited       ProblemKind = "edited"        // a record is not what was written
	Removed      ProblemKind = "removed"       // records are missing between two others
	Inserted     ProblemKind = "inserted"      // a line stands where no record was written, or a record stands twice
	Reordered    ProblemKind = "reordered"     // a record stands behind a later one
	CutOff       ProblemKind = "cut_off"       // records are missing at the end of a file or of the trail
	MissingFile  ProblemKind = "missing_file"  // a whole file is missing
	Misnamed     ProblemKind = "misnamed"      // a file holds what belongs in another
	BadSignature ProblemKind = "bad_signature" // a signed record is not signed with the trail's key
	Unsigned     ProblemKind = "unsigned"      // more records without a signed one than Postern leaves
	WrongHead    ProblemKind = "wrong_head"    // a record differs from the head kept in state or elsewhere
	Recorded     ProblemKind = "recorded"      // Postern itself found the trail changed and recorded it
)

// Problem is one proof that the trail is not what was written.
type Problem struct {
	Kind    ProblemKind `json:"kind"`
	File    string      `json:"file,omitempty"`
	Line    int         `json:"line,omitempty"` // from 1; of the record, or of the one behind what is missing
	Seq     uint64      `json:"seq,omitempty"`  // of the record, or the first of several
	To      uint64      `json:"to,omitempty"`   // the last of several
	Message string      `json:"message"`
}

// String is the problem on one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(string(p.Kind) + ": ")
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Status is what a verification came to.
type Status string

// The possible outcomes.
const (
	Intact     Status = "intact"     // everything that could be asked for is proved
	Tampered   Status = "tampered"   // at least one problem
	Incomplete Status = "incomplete" // no problem, but Unproven says what is not proved
)

// Report is what Verify found.
type Report struct {
	Status   Status    `json:"status"`
	Files    int       `json:"files"`
	Records  uint64    `json:"records"`
	Instance string    `json:"instance,omitempty"`
	First    uint64    `json:"first,omitempty"` // number of the first record
	Head     Head      `json:"head"`            // the last record; worth keeping elsewhere when Status is not Tampered
	Signed   uint64    `json:"signed"`          // the last record with a valid signature: it proves all before it
	Problems []Problem `json:"problems,omitempty"`
	More     int       `json:"more_problems,omitempty"` // beyond the first maxProblems
	Unproven []string  `json:"unproven,omitempty"`      // what could not be proved, and what would
	Notes    []string  `json:"notes,omitempty"`         // worth knowing, nobody's fault: recoveries, clock steps
}

// ExitCode follows the contract of the command line: 0 intact, 1 tampered, 3 incomplete.
func (r *Report) ExitCode() int {
	switch r.Status {
	case Intact:
		return 0
	case Incomplete:
		return 3
	}
	return 1
}

const (
	maxProblems = 200
	maxNotes    = 50
)

// VerifyOptions says what to hold the trail against.
type VerifyOptions struct {
	PublicKey PublicKey // what `postern audit key` prints; without it signatures prove nothing
	Head      *Head     // kept elsewhere; its record may also be the last one before the first file, when older ones were archived
	State     HeadStore // nil: not asked
	Instance  string    // whose head to ask state for; "" takes it from the trail
}

// Verify reads a trail from beginning to end, with bounded memory, and says what is wrong with it and where. It may run
// while the trail is being written. An error means that it could not look.
func Verify(ctx context.Context, folder string, opts VerifyOptions) (*Report, error) {
	c := newChecker(opts)
	c.trail = true
	// State is asked before anything is read: what it knows is on file by then. Asked later, it could know a record of a file
	// that was begun after the files were listed.
	if err := c.askState(ctx, folder, opts); err != nil {
		return nil, err
	}
	spooled, err := readSpool(folder)
	if err != nil {
		return nil, err
	}
	names, err := listFiles(folder)
	if err != nil {
		return nil, err
	}
	c.live = hasWriter(folder)
	files, err := readHeaders(folder, names)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		c.present[f.name], c.present[f.says] = true, true
	}
	c.report.Files = len(files)
	for i, f := range files {
		if f.says != "" && f.says != f.name {
			c.problem(Problem{Kind: Misnamed, File: f.name, Message: "it holds what was written to " + f.says})
		}
		c.lastFile = i == len(files)-1
		take := func(l line) error {
			c.line(f.name, l)
			return ctx.Err()
		}
		if c.lastFile {
			err = eachLastLine(folder, f.name, 0, spooled, take)
		} else {
			err = eachLine(folder, f.name, take)
		}
		if err != nil {
			return nil, err
		}
	}
	return c.finish(), nil
}

// VerifyExport verifies an export of consecutive records: that each follows the one before, and which of them a signature
// proves. What lies before the first and behind the last it cannot know.
func VerifyExport(ctx context.Context, r io.Reader, name string, opts VerifyOptions) (*Report, error) {
	c := newChecker(opts)
	c.lastFile = true
	c.report.Files = 1
	lines := newLineReader(r)
	for {
		l, err := lines.next()
		if errors.Is(err, io.EOF) {
			return c.finish(), nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", name, err)
		}
		c.line(name, l)
	}
}

// fileHeader is what is known of a file before it is checked.
type fileHeader struct {
	name     string
	says     string // the name in its header; "" when that cannot be read
	first    uint64
	instance string
}

// readHeaders puts the files in the order of what is in them, so that two swapped files are named as that and not as
// thousands of reordered records.
func readHeaders(folder string, names []string) ([]fileHeader, error) {
	files := make([]fileHeader, 0, len(names))
	for _, name := range names {
		h := fileHeader{name: name}
		h.first, _ = firstSeq(name)
		err := eachLine(folder, name, func(l line) error {
			if r, err := ParseRecord(l.text); err == nil && r.Kind == Header && r.Seal != nil {
				h.instance = r.Instance
				if seq, ok := firstSeq(r.Seal.File); ok && seq == r.Seq {
					h.says, h.first = r.Seal.File, r.Seq
				}
			}
			return io.EOF
		})
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		files = append(files, h)
	}
	slices.SortStableFunc(files, func(a, b fileHeader) int {
		switch {
		case a.first < b.first:
			return -1
		case a.first > b.first:
			return 1
		}
		return strings.Compare(a.name, b.name)
	})
	return files, nil
}

// writtenBy reads the instance out of the first file; "" when there is none or it says none.
func writtenBy(folder string) (string, error) {
	names, err := listFiles(folder)
	if err != nil {
		return "", err
	}
	files, err := readHeaders(folder, names)
	if err != nil || len(files) == 0 {
		return "", err
	}
	return files[0].instance, nil
}

// mark is a record that was seen, or a line that is none.
type mark struct {
	file   string
	line   int
	seq    uint64 // of a line that is no record: what it claims, or 0
	prev   hash
	hash   hash
	time   time.Time
	proved bool // its own signature is valid
}

type gap struct {
	from, to uint64
	kind     ProblemKind
	at       mark
	file     string
	message  string
}

// anchor is a head to hold the trail against.
type anchor struct {
	head  Head
	where string
	met   bool
}

// checker walks over the lines of a trail. It remembers a few records and what is wrong, never the trail.
type checker struct {
	opts     VerifyOptions
	report   Report
	trail    bool // files with headers, from record 1 on; else an export
	live     bool
	lastFile bool
	present  map[string]bool
	anchors  []*anchor

	tip      mark  // the record with the highest number so far
	other    *mark // a second record with the tip's number
	doubted  *mark // the record before the tip, when the tip is not chained to it
	bad      []mark
	badMore  int
	gaps     []gap
	every    int
	unsigned uint64 // records since the last valid signature
	tail     string // an unfinished last line
}

func newChecker(opts VerifyOptions) *checker {
	c := &checker{opts: opts, present: map[string]bool{}}
	if opts.Head != nil {
		c.anchors = append(c.anchors, &anchor{head: *opts.Head, where: "the given head"})
	}
	return c
}

func (c *checker) askState(ctx context.Context, folder string, opts VerifyOptions) error {
	if opts.State == nil {
		return nil
	}
	instance, err := opts.Instance, error(nil)
	if instance == "" {
		instance, err = writtenBy(folder)
	}
	if err != nil || instance == "" {
		return err
	}
	h, found, err := opts.State.LoadHead(ctx, instance)
	if err != nil {
		return fmt.Errorf("load the trail's head from state: %w", err)
	}
	if found {
		c.anchors = append(c.anchors, &anchor{head: h, where: "state"})
	}
	return nil
}

func (c *checker) problem(p Problem) {
	if len(c.report.Problems) >= maxProblems {
		c.report.More++
		return
	}
	c.report.Problems = append(c.report.Problems, p)
}

func (c *checker) note(format string, args ...any) {
	if len(c.report.Notes) < maxNotes {
		c.report.Notes = append(c.report.Notes, fmt.Sprintf(format, args...))
	}
}

// line takes one line of a file.
func (c *checker) line(file string, l line) {
	m := mark{file: file, line: l.n}
	f, err := parseFrame(l.text)
	m.seq = claimedSeq(l.text)
	if err != nil || l.long || !l.whole || !f.intact() || !json.Valid(l.text) {
		if !l.whole && c.lastFile && c.beginsNext(l.text) {
			c.tail = fmt.Sprintf("%s:%d: record %d is not finished", file, l.n, c.tip.seq+1)
			return
		}
		if len(c.bad) < maxProblems {
			c.bad = append(c.bad, m)
		} else {
			c.badMore++
		}
		return
	}
	m.prev, m.hash, m.time = f.prev, f.hash, f.time
	c.record(&f, m, l)
}

// claimedSeq reads the number that a line claims, whatever the rest of it is; 0 when it claims none.
func claimedSeq(text []byte) uint64 {
	text, ok := bytes.CutPrefix(text, []byte(`{"seq":`))
	if !ok {
		return 0
	}
	digits, _, _ := bytes.Cut(text[:min(len(text), 21)], []byte(","))
	seq, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

// beginsNext says whether an unfinished line can be the beginning of the record after the tip, as a crash or a write in
// progress leaves it.
func (c *checker) beginsNext(text []byte) bool {
	want := fmt.Appendf(nil, `{"seq":%d,"time":"`, c.tip.seq+1)
	n := min(len(text), len(want))
	return bytes.Equal(text[:n], want[:n])
}

// record takes a line that hashes to what it says.
func (c *checker) record(f *frame, m mark, l line) {
	c.report.Records++
	var seal *Seal
	m.proved, seal = c.signature(f, m, l)
	first := c.report.First == 0
	if first {
		c.beginAt(f)
	}
	switch {
	case f.seq == c.tip.seq+1:
		c.follow(m, first)
	case f.seq > c.tip.seq+1:
		c.jump(m, f.kind, seal)
	default:
		c.goBack(m)
		return
	}
	if c.trail && l.n == 1 && f.kind != Header {
		c.problem(Problem{Kind: Removed, File: m.file, Line: 1, Seq: m.seq, Message: "the file does not begin with its header"})
	}
	c.count(m)
	c.meetAnchors(m)
	if back := c.tip.time.Sub(m.time); !first && back > 0 {
		c.note("%s:%d: the clock went back by %s at record %d", m.file, m.line, back.Round(time.Millisecond), m.seq)
	}
	c.tip, c.other = m, nil
	c.report.Instance = string(f.instance)
}

// beginAt sets what the first record must follow.
func (c *checker) beginAt(f *frame) {
	c.report.First = f.seq
	if !c.trail {
		c.tip = mark{seq: f.seq - 1, hash: f.prev}
		return
	}
	c.tip = mark{hash: genesis}
	if h := c.opts.Head; h != nil && h.Seq == f.seq-1 && h.Hash == string(f.prev[:]) {
		c.tip = mark{seq: h.Seq, hash: f.prev}
		c.anchors[0].met = true
	}
}

// follow takes the record whose number is next.
func (c *checker) follow(m mark, first bool) {
	c.settleBad(m.seq)
	linked := m.prev == c.tip.hash
	switch {
	case linked && c.other != nil:
		c.twice(*c.other)
	case c.other != nil && m.prev == c.other.hash:
		c.twice(c.tip)
		linked = true
	}
	if d := c.doubted; d != nil {
		// The link between d and the tip is broken. This record knows which tip was written.
		c.doubted = nil
		if linked || c.tip.proved {
			c.edited(*d)
		} else {
			c.edited(c.tip)
			return
		}
	}
	if linked {
		return
	}
	switch {
	case first || c.tip.line == 0:
		c.edited(m)
	case m.proved && !c.tip.proved:
		c.edited(c.tip)
	case c.tip.proved && !m.proved:
		c.edited(m)
	default:
		tip := c.tip
		c.doubted = &tip
	}
}

func (c *checker) edited(m mark) {
	c.problem(Problem{
		Kind: Edited, File: m.file, Line: m.line, Seq: m.seq,
		Message: fmt.Sprintf("record %d was changed: the chain does not go through it", m.seq),
	})
}

func (c *checker) twice(m mark) {
	c.problem(Problem{
		Kind: Inserted, File: m.file, Line: m.line, Seq: m.seq,
		Message: fmt.Sprintf("record %d stands twice, and the chain does not go through this one", m.seq),
	})
}

// settleDoubt is called where no next record can tell which side of a broken link was changed.
func (c *checker) settleDoubt() {
	if d := c.doubted; d != nil {
		c.problem(Problem{
			Kind: Edited, File: c.tip.file, Line: c.tip.line, Seq: d.seq, To: c.tip.seq,
			Message: fmt.Sprintf("record %d or record %d was changed: they are not chained", d.seq, c.tip.seq),
		})
		c.doubted = nil
	}
	if c.other != nil {
		c.twice(*c.other)
		c.other = nil
	}
}

// jump takes a record whose number is too high: what is between it and the tip is missing, or stands there changed.
func (c *checker) jump(m mark, kind Kind, seal *Seal) {
	c.settleDoubt()
	missing := c.settleBad(m.seq)
	for _, r := range missing {
		g := gap{from: r[0], to: r[1], kind: Removed, at: m, file: m.file}
		g.message = recordsText(g.from, g.to) + " missing before this line"
		if c.trail && kind == Header && seal != nil && seal.Previous != "" && r[1] == m.seq-1 {
			g.file, g.at = seal.Previous, mark{}
			if c.present[seal.Previous] {
				g.kind, g.message = CutOff, recordsText(g.from, g.to)+" missing at the end of the file"
			} else {
				g.kind, g.message = MissingFile, recordsText(g.from, g.to)+" missing with the file"
				if first, _ := firstSeq(seal.Previous); first > g.from {
					g.message += ", the first of them with files before it"
				}
			}
		}
		c.gaps = append(c.gaps, g)
	}
}

// settleBad says what the lines since the tip were that are no records, now that the record next follows, and returns the
// ranges of records before it that are missing altogether.
func (c *checker) settleBad(next uint64) (missing [][2]uint64) {
	from, to := c.tip.seq+1, next-1
	taken := map[uint64]bool{}
	free := from
	for _, b := range c.bad {
		seq := b.seq
		if seq < from || seq > to || taken[seq] {
			for free <= to && taken[free] {
				free++
			}
			seq = free
		}
		if seq > to {
			c.problem(Problem{
				Kind: Inserted, File: b.file, Line: b.line, Seq: c.tip.seq,
				Message: fmt.Sprintf("the line is no record of this trail: record %d is followed by record %d", c.tip.seq, next),
			})
			continue
		}
		taken[seq] = true
		c.problem(Problem{
			Kind: Edited, File: b.file, Line: b.line, Seq: seq,
			Message: fmt.Sprintf("record %d was changed: the line does not match its hash", seq),
		})
	}
	c.report.More += c.badMore
	c.bad, c.badMore = c.bad[:0], 0
	for seq := from; seq <= to; {
		if len(taken) == 0 {
			return append(missing, [2]uint64{seq, to})
		}
		if taken[seq] {
			delete(taken, seq)
			seq++
			continue
		}
		end := seq
		for end < to && !taken[end+1] && len(taken) > 0 {
			end++
		}
		missing = append(missing, [2]uint64{seq, end})
		seq = end + 1
	}
	return missing
}

// goBack takes a record whose number was passed already.
func (c *checker) goBack(m mark) {
	for i, g := range c.gaps {
		if m.seq < g.from || m.seq > g.to {
			continue
		}
		rest := slices.Clone(c.gaps[i+1:])
		c.gaps = c.gaps[:i]
		for _, part := range [][2]uint64{{g.from, m.seq - 1}, {m.seq + 1, g.to}} {
			if part[0] <= part[1] {
				g := g
				g.from, g.to = part[0], part[1]
				g.message = recordsText(g.from, g.to) + " missing"
				c.gaps = append(c.gaps, g)
			}
		}
		c.gaps = append(c.gaps, rest...)
		c.problem(Problem{
			Kind: Reordered, File: m.file, Line: m.line, Seq: m.seq,
			Message: fmt.Sprintf("record %d stands behind record %d", m.seq, c.tip.seq),
		})
		return
	}
	if m.seq == c.tip.seq && c.other == nil && m.hash != c.tip.hash {
		c.other = &m
		return
	}
	c.problem(Problem{
		Kind: Inserted, File: m.file, Line: m.line, Seq: m.seq,
		Message: fmt.Sprintf("record %d stands a second time, behind record %d", m.seq, c.tip.seq),
	})
}

func recordsText(from, to uint64) string {
	if from == to {
		return fmt.Sprintf("record %d is", from)
	}
	return fmt.Sprintf("records %d to %d are", from, to)
}
