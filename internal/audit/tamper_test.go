package audit

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fixture is a closed trail of several files, in memory, with the head that state has of it.
type fixture struct {
	key   *Key
	heads *memoryHeads
	names []string
	lines map[string][][]byte // without newlines
	head  Head
}

// place is one record of a fixture.
type place struct {
	file string
	i    int // index of the line
	seq  uint64
}

func makeFixture(t testing.TB) *fixture {
	t.Helper()
	cfg := config(t, t.TempDir())
	at := newClock().at
	cfg.RotateSize, cfg.CheckpointEvery = 2300, 4
	cfg.State = &memoryHeads{}
	// Fuzzing makes the fixture in several processes: it must be the same in all.
	cfg.Now, cfg.Random = func() time.Time { return at }, rand.NewChaCha8([32]byte{1})
	cfg.Sync, cfg.CheckpointAfter = time.Hour, time.Hour
	trail := open(t, cfg)
	for i := range 12 {
		record(t, trail, event(i))
	}
	closeTrail(t, trail)
	fx := &fixture{key: cfg.Key, lines: map[string][][]byte{}}
	fx.heads, _ = cfg.State.(*memoryHeads)
	fx.head = fx.heads.heads["gw1"]
	var err error
	if fx.names, err = listFiles(cfg.Folder); err != nil {
		t.Fatal(err)
	}
	for _, name := range fx.names {
		b, err := os.ReadFile(filepath.Join(cfg.Folder, name))
		if err != nil {
			t.Fatal(err)
		}
		fx.lines[name] = bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
	}
	if len(fx.names) < 3 || len(fx.places()) < 20 {
		t.Fatalf("too small: %d files, %d records", len(fx.names), len(fx.places()))
	}
	return fx
}

func (fx *fixture) places() []place {
	var all []place
	for _, name := range fx.names {
		for i := range fx.lines[name] {
			all = append(all, place{name, i, uint64(len(all)) + 1})
		}
	}
	return all
}

func (fx *fixture) copy() *fixture {
	c := *fx
	c.lines = map[string][][]byte{}
	for name, lines := range fx.lines {
		c.lines[name] = slices.Clone(lines)
	}
	return &c
}

// at returns the line of a place.
func (fx *fixture) at(p place) []byte { return fx.lines[p.file][p.i] }

func (fx *fixture) set(p place, line []byte) { fx.lines[p.file][p.i] = line }

func (fx *fixture) remove(p place) {
	fx.lines[p.file] = slices.Delete(fx.lines[p.file], p.i, p.i+1)
}

func (fx *fixture) insert(p place, line []byte) {
	fx.lines[p.file] = slices.Insert(fx.lines[p.file], p.i, line)
}

// write puts the fixture into a folder; files without an entry in lines are missing.
func (fx *fixture) write(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	for name, lines := range fx.lines {
		var b []byte
		for _, l := range lines {
			b = append(append(b, l...), '\n')
		}
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func (fx *fixture) verify(t testing.TB, folder string) *Report {
	t.Helper()
	r, err := Verify(context.Background(), folder, VerifyOptions{PublicKey: fx.key.Public(), State: fx.heads, Instance: "gw1"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// names says whether a problem of one of the kinds names the record, and, when line is positive, its place.
func names(r *Report, seq uint64, file string, line int, kinds ...ProblemKind) bool {
	return slices.ContainsFunc(r.Problems, func(p Problem) bool {
		return slices.Contains(kinds, p.Kind) && p.Seq <= seq && seq <= max(p.Seq, p.To) &&
			(file == "" || p.File == file) && (line == 0 || p.Line == line)
	})
}

// rechain recomputes every prev and hash from a record on, through all later files, as somebody without the key can.
// Signatures stay as they are.
func (fx *fixture) rechain(from place) {
	prev := genesis
	for _, p := range fx.places() {
		line := fx.at(p)
		f, err := parseFrame(line)
		if err != nil {
			panic(err)
		}
		if p.seq > from.seq {
			line = bytes.Replace(line, append([]byte(`,"prev":"`), f.prev[:]...), append([]byte(`,"prev":"`), prev[:]...), 1)
		}
		if p.seq >= from.seq {
			line = rehash(line)
		}
		fx.set(p, line)
		f, _ = parseFrame(line)
		prev = f.hash
	}
}

// alter changes what a record says and nothing of its chain.
func alter(line []byte) []byte {
	if bytes.Contains(line, []byte(`"ana"`)) {
		return bytes.Replace(line, []byte(`"ana"`), []byte(`"bob"`), 1)
	}
	return bytes.Replace(line, []byte(`2026-05-06T07`), []byte(`2026-05-06T06`), 1)
}

func TestUntouchedTrailIsIntact(t *testing.T) {
	t.Parallel()
	fx := makeFixture(t)
	wantIntact(t, fx.verify(t, fx.write(t)))
}

// TestEveryRecordEveryTampering does each kind of tampering to each record of a trail of several files.
func TestEveryRecordEveryTampering(t *testing.T) {
	t.Parallel()
	fx := makeFixture(t)
	all := fx.places()
	last := all[len(all)-1]
	isLastOfFile := func(p place) bool { return p.i == len(fx.lines[p.file])-1 }
	type check func(r *Report, p place) bool
	tests := []struct {
		name string
		do   func(c *fixture, p place) bool // false: does not apply to this place
		want check
	}{
		{
			"edited", func(c *fixture, p place) bool { c.set(p, alter(c.at(p))); return true },
			func(r *Report, p place) bool { return names(r, p.seq, p.file, p.i+1, Edited) },
		},
		{
			"edited and hashed anew", func(c *fixture, p place) bool { c.set(p, rehash(alter(c.at(p)))); return true },
			func(r *Report, p place) bool {
				if p == last {
					return names(r, p.seq, p.file, p.i+1, BadSignature, WrongHead)
				}
				return names(r, p.seq, p.file, p.i+1, Edited, BadSignature)
			},
		},
		{"prev edited and hashed anew", func(c *fixture, p place) bool {
			line := c.at(p)
			at := bytes.LastIndex(line, []byte(`,"prev":"`)) + 9
			line = bytes.Clone(line)
			line[at] = "10"[line[at]&1]
			c.set(p, rehash(line))
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, "", 0, Edited, BadSignature) }},
		{"everything after it chained anew without the key", func(c *fixture, p place) bool {
			c.set(p, rehash(alter(c.at(p))))
			c.rechain(p)
			return true
		}, func(r *Report, _ place) bool {
			return slices.ContainsFunc(r.Problems, func(q Problem) bool { return q.Kind == BadSignature }) &&
				slices.ContainsFunc(r.Problems, func(q Problem) bool { return q.Kind == WrongHead && q.Seq == last.seq })
		}},
		{
			"removed", func(c *fixture, p place) bool { c.remove(p); return true },
			func(r *Report, p place) bool { return names(r, p.seq, "", 0, Removed, CutOff) },
		},
		{
			"duplicated", func(c *fixture, p place) bool { c.insert(p, c.at(p)); return true },
			func(r *Report, p place) bool { return names(r, p.seq, p.file, p.i+2, Inserted) },
		},
		{"duplicated at the end of the trail", func(c *fixture, p place) bool {
			c.lines[last.file] = append(c.lines[last.file], c.at(p))
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, last.file, last.i+2, Inserted) }},
		{"a forged record in front", func(c *fixture, p place) bool {
			// The best forgery: the right number, chained to the record before, with a right hash.
			f, _ := parseFrame(c.at(p))
			e := event(99)
			e.Seq, e.Time, e.Instance = f.seq, f.time, "gw1"
			line, _ := appendRecord(nil, &e, nil, f.prev, c.key)
			c.insert(p, bytes.TrimSuffix(line, []byte("\n")))
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, p.file, 0, Inserted) }},
		{
			"a line of nonsense in front", func(c *fixture, p place) bool { c.insert(p, []byte("nonsense")); return true },
			func(r *Report, p place) bool { return names(r, p.seq-1, p.file, p.i+1, Inserted) },
		},
		{
			"an empty line in front", func(c *fixture, p place) bool { c.insert(p, nil); return true },
			func(r *Report, p place) bool { return names(r, p.seq-1, p.file, p.i+1, Inserted) },
		},
		{"swapped with the next", func(c *fixture, p place) bool {
			if isLastOfFile(p) {
				return false
			}
			l := c.lines[p.file]
			l[p.i], l[p.i+1] = l[p.i+1], l[p.i]
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, p.file, p.i+2, Reordered) }},
		{"moved to the end of the trail", func(c *fixture, p place) bool {
			if p == last {
				return false
			}
			line := c.at(p)
			c.remove(p)
			c.lines[last.file] = append(c.lines[last.file], line)
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, last.file, 0, Reordered) }},
		{"replaced by another record", func(c *fixture, p place) bool {
			other := all[(int(p.seq)+3)%len(all)]
			c.set(p, c.at(other))
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, "", 0, Removed, CutOff, Edited) }},
		{"the file cut off from it on", func(c *fixture, p place) bool {
			c.lines[p.file] = c.lines[p.file][:p.i]
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, "", 0, CutOff) }},
		{"the trail cut off from it on", func(c *fixture, p place) bool {
			c.lines[p.file] = c.lines[p.file][:p.i]
			for _, name := range c.names {
				if name > p.file {
					delete(c.lines, name)
				}
			}
			return true
		}, func(r *Report, p place) bool {
			return slices.ContainsFunc(r.Problems, func(q Problem) bool {
				return q.Kind == CutOff && q.Seq == p.seq && max(q.Seq, q.To) == last.seq
			})
		}},
		{"its line ended in the middle", func(c *fixture, p place) bool {
			line := c.at(p)
			c.set(p, line[:len(line)/2])
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, p.file, p.i+1, Edited) }},
		{"split into two lines", func(c *fixture, p place) bool {
			line := c.at(p)
			c.set(p, line[:len(line)/2])
			c.insert(place{p.file, p.i + 1, 0}, line[len(line)/2:])
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, p.file, p.i+1, Edited) }},
		{
			"a carriage return", func(c *fixture, p place) bool { c.set(p, append(bytes.Clone(c.at(p)), '\r')); return true },
			func(r *Report, p place) bool { return names(r, p.seq, p.file, p.i+1, Edited) },
		},
		{
			"its file missing", func(c *fixture, p place) bool { delete(c.lines, p.file); return true },
			func(r *Report, p place) bool {
				if p.file == last.file {
					return names(r, p.seq, "", 0, CutOff)
				}
				return names(r, p.seq, p.file, 0, MissingFile)
			},
		},
		{
			"its file emptied", func(c *fixture, p place) bool { c.lines[p.file] = nil; return true },
			func(r *Report, p place) bool { return names(r, p.seq, "", 0, CutOff) },
		},
		{"a checkpoint forged with another key", func(c *fixture, p place) bool {
			f, _ := parseFrame(c.at(p))
			e := Event{Kind: Checkpoint, Seq: f.seq, Time: f.time, Instance: "gw1"}
			line, _ := appendRecord(nil, &e, &Seal{Key: otherKey(t).id}, f.prev, otherKey(t))
			c.set(p, bytes.TrimSuffix(line, []byte("\n")))
			c.rechain(p)
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, p.file, p.i+1, BadSignature) }},
		{"a checkpoint that lies about its key", func(c *fixture, p place) bool {
			f, _ := parseFrame(c.at(p))
			e := Event{Kind: Checkpoint, Seq: f.seq, Time: f.time, Instance: "gw1"}
			line, _ := appendRecord(nil, &e, &Seal{Key: c.key.id}, f.prev, otherKey(t))
			c.set(p, bytes.TrimSuffix(line, []byte("\n")))
			c.rechain(p)
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, p.file, p.i+1, BadSignature) }},
		{"a signed kind without a signature", func(c *fixture, p place) bool {
			f, _ := parseFrame(c.at(p))
			e := Event{Kind: Checkpoint, Seq: f.seq, Time: f.time, Instance: "gw1"}
			line, _ := appendRecord(nil, &e, nil, f.prev, c.key)
			c.set(p, bytes.TrimSuffix(line, []byte("\n")))
			c.rechain(p)
			return true
		}, func(r *Report, p place) bool { return names(r, p.seq, p.file, p.i+1, BadSignature) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range all {
				c := fx.copy()
				if !tt.do(c, p) {
					continue
				}
				r := fx.verify(t, c.write(t))
				if r.Status != Tampered || r.ExitCode() != 1 {
					t.Fatalf("record %d: %s; problems %v", p.seq, r.Status, r.Problems)
				}
				if !tt.want(r, p) {
					t.Errorf("record %d (%s:%d) is not named rightly:\n%v", p.seq, p.file, p.i+1, r.Problems)
				}
			}
		})
	}
}

func TestSwappedFiles(t *testing.T) {
	t.Parallel()
	fx := makeFixture(t)
	for i := range fx.names {
		for j := range i {
			c := fx.copy()
			a, b := fx.names[i], fx.names[j]
			c.lines[a], c.lines[b] = c.lines[b], c.lines[a]
			r := fx.verify(t, c.write(t))
			if len(r.Problems) != 2 || r.Problems[0].Kind != Misnamed || r.Problems[1].Kind != Misnamed ||
				r.Problems[0].File != b || r.Problems[1].File != a {
				t.Errorf("%s and %s: %v", a, b, r.Problems)
			}
		}
	}
}

func TestTrailingGarbage(t *testing.T) {
	t.Parallel()
	fx := makeFixture(t)
	for _, name := range fx.names {
		for garbage, line := range map[string]int{"nonsense": 1, "nonsense\n": 1, "\x00\x00\x00\x00": 1, "\n": 1, "{}\n{}\n": 2} {
			folder := fx.write(t)
			appendTo(t, filepath.Join(folder, name), garbage)
			r := fx.verify(t, folder)
			n := len(fx.lines[name])
			ok := len(r.Problems) == line && r.Problems[0].Kind == Inserted && r.Problems[0].File == name && r.Problems[0].Line == n+1
			if !ok {
				t.Errorf("%q behind %s: %v", garbage, name, r.Problems)
			}
		}
	}
}

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestWhatIsProvedWithWhat cuts the trail exactly behind a checkpoint, where nothing in the files can show it.
func TestWhatIsProvedWithWhat(t *testing.T) {
	t.Parallel()
	fx := makeFixture(t)
	all := fx.places()
	cut := -1 // a checkpoint in the last but one position that has one
	for i, p := range all[:len(all)-1] {
		if bytes.Contains(fx.at(p), []byte(`"kind":"trail.checkpoint"`)) && p.file == fx.names[len(fx.names)-1] {
			cut = i
		}
	}
	if cut < 0 {
		for i, p := range all[:len(all)-1] {
			if bytes.Contains(fx.at(p), []byte(`"kind":"trail.checkpoint"`)) {
				cut = i
			}
		}
	}
	p := all[cut]
	c := fx.copy()
	c.lines[p.file] = c.lines[p.file][:p.i+1]
	for _, name := range fx.names {
		if name > p.file {
			delete(c.lines, name)
		}
	}
	whole, shortened := fx.write(t), c.write(t)
	pub := fx.key.Public()
	early, _ := parseFrame(fx.at(all[2]))
	earlyHead := Head{Instance: "gw1", Seq: early.seq, Hash: string(early.hash[:])}
	wrong := fx.head
	wrong.Hash = strings.Repeat("ab", 32)
	tests := []struct {
		name   string
		folder string
		opts   VerifyOptions
		want   Status
		says   string
	}{
		{"whole, nothing to hold it against", whole, VerifyOptions{PublicKey: pub}, Incomplete, fmt.Sprintf("the tail after checkpoint %d is unproven", fx.head.Seq)},
		{"whole, no key", whole, VerifyOptions{State: fx.heads}, Incomplete, "no public key"},
		{"whole, state", whole, VerifyOptions{PublicKey: pub, State: fx.heads}, Intact, ""},
		{"whole, head", whole, VerifyOptions{PublicKey: pub, Head: &fx.head}, Intact, ""},
		{"whole, an early head", whole, VerifyOptions{PublicKey: pub, Head: &earlyHead}, Intact, "a cut behind that would not show"},
		{"whole, empty state", whole, VerifyOptions{PublicKey: pub, State: &memoryHeads{}}, Incomplete, "unproven"},
		{"whole, another head", whole, VerifyOptions{PublicKey: pub, Head: &wrong}, Tampered, "is not the one that the given head knows"},
		{"whole, another key", whole, VerifyOptions{PublicKey: otherKey(t).Public(), State: fx.heads}, Tampered, "is signed with key"},
		{"cut, nothing to hold it against", shortened, VerifyOptions{PublicKey: pub}, Incomplete, fmt.Sprintf("the tail after checkpoint %d is unproven", p.seq)},
		{"cut, state", shortened, VerifyOptions{PublicKey: pub, State: fx.heads}, Tampered, fmt.Sprintf("state knows record %d", fx.head.Seq)},
		{"cut, head", shortened, VerifyOptions{PublicKey: pub, Head: &fx.head}, Tampered, "missing at the end"},
		{"nothing left, state", t.TempDir(), VerifyOptions{PublicKey: pub, State: fx.heads, Instance: "gw1"}, Tampered, "records 1 to"},
		{"nothing left, nothing known", t.TempDir(), VerifyOptions{PublicKey: pub}, Incomplete, "no records"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, err := Verify(t.Context(), tt.folder, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			all := fmt.Sprint(r.Problems, r.Unproven, r.Notes)
			if r.Status != tt.want || !strings.Contains(all, tt.says) {
				t.Errorf("%s: %s", r.Status, all)
			}
			if want := map[Status]int{Intact: 0, Tampered: 1, Incomplete: 3}[tt.want]; r.ExitCode() != want {
				t.Errorf("exit code %d", r.ExitCode())
			}
		})
	}
	if _, err := Verify(t.Context(), filepath.Join(whole, "no such folder"), VerifyOptions{}); err == nil {
		t.Error("a folder that is not there was verified")
	}
}

// TestArchivedFiles proves what is left after old files were moved away, with the head of the last archived record.
func TestArchivedFiles(t *testing.T) {
	t.Parallel()
	fx := makeFixture(t)
	c := fx.copy()
	first := fx.lines[fx.names[0]]
	head, err := ReadHead(bytes.NewReader(first[len(first)-1]))
	if err != nil {
		t.Fatal(err)
	}
	delete(c.lines, fx.names[0])
	folder := c.write(t)
	r, err := Verify(t.Context(), folder, VerifyOptions{PublicKey: fx.key.Public(), State: fx.heads, Head: &head})
	if err != nil {
		t.Fatal(err)
	}
	wantIntact(t, r)
	if r = fx.verify(t, folder); !names(r, 1, fx.names[0], 0, MissingFile) {
		t.Errorf("without the head: %v", r.Problems)
	}
}

// TestRewriteWithoutCheckpoints drops all signatures behind the first header: the number of unsigned records gives it away
// even without state.
func TestRewriteWithoutCheckpoints(t *testing.T) {
	t.Parallel()
	fx := makeFixture(t)
	var lines [][]byte
	f, _ := parseFrame(fx.lines[fx.names[0]][0])
	lines = append(lines, fx.lines[fx.names[0]][0])
	prev := f.hash
	for i := range 30 {
		e := event(i)
		e.Seq, e.Time, e.Instance = uint64(i)+2, f.time, "gw1"
		var line []byte
		line, prev = appendRecord(nil, &e, nil, prev, fx.key)
		lines = append(lines, bytes.TrimSuffix(line, []byte("\n")))
	}
	c := &fixture{key: fx.key, lines: map[string][][]byte{fx.names[0]: lines}}
	r, err := Verify(t.Context(), c.write(t), VerifyOptions{PublicKey: fx.key.Public()})
	if err != nil || r.Status != Tampered || r.Problems[0].Kind != Unsigned || r.Problems[0].Seq != 6 {
		t.Errorf("%v %+v", err, r)
	}
}

func TestRandomEdits(t *testing.T) {
	t.Parallel()
	fx := makeFixture(t)
	whole := map[string][]byte{}
	folder := fx.write(t)
	for _, name := range fx.names {
		whole[name], _ = os.ReadFile(filepath.Join(folder, name))
	}
	rnd := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	for range 1500 {
		name := fx.names[rnd.IntN(len(fx.names))]
		b := bytes.Clone(whole[name])
		at := rnd.IntN(len(b))
		what := ""
		switch rnd.IntN(4) {
		case 0:
			b[at] ^= byte(1 + rnd.IntN(255))
			what = "changed"
		case 1:
			b = slices.Delete(b, at, at+1)
			what = "deleted"
		case 2:
			b = slices.Insert(b, at, byte(rnd.IntN(256)))
			what = "inserted"
		default:
			n := rnd.IntN(len(b) - at)
			b = slices.Delete(b, at, at+n+1)
			what = fmt.Sprintf("%d more deleted", n)
		}
		if bytes.Equal(b, whole[name]) { // a byte inserted beside an equal one still makes a longer file
			continue
		}
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r := fx.verify(t, folder)
		if r.Status != Tampered {
			t.Fatalf("%s: byte %d %s: %s", name, at, what, r.Status)
		}
		if err := os.WriteFile(path, whole[name], 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzVerify reads its input as a list of edits (four bytes each: where, what, with which byte) of a sound file.
func FuzzVerify(f *testing.F) {
	fx := makeFixture(f)
	name := fx.names[0]
	whole := append(bytes.Join(fx.lines[name], []byte("\n")), '\n')
	folder := f.TempDir()
	good := map[string]bool{}
	for i := range fx.lines[name] {
		good[string(bytes.Join(fx.lines[name][:i+1], []byte("\n")))+"\n"] = true
	}
	f.Add([]byte{})
	f.Add([]byte{0, 7, 0, 'x'})
	f.Add([]byte{2, 7, 1, '"', 3, 9, 2, 0})
	f.Add([]byte{5, 1, 3, 200})
	f.Fuzz(func(t *testing.T, edits []byte) {
		edited := edit(whole, edits)
		for _, text := range [][]byte{edited, rehashAll(edited)} {
			if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := Verify(context.Background(), folder, VerifyOptions{PublicKey: fx.key.Public()})
			if err != nil {
				t.Fatal(err)
			}
			// Whatever a signature is said to prove must be what was written.
			if r.Status != Tampered && r.Signed > 0 {
				lines := bytes.SplitAfter(text, []byte("\n"))
				if !good[string(bytes.Join(lines[:r.Signed], nil))] {
					t.Fatalf("record %d counts as proved in %q", r.Signed, text)
				}
			}
		}
	})
}

// edit changes, inserts, deletes or moves bytes of b.
func edit(b, edits []byte) []byte {
	b = bytes.Clone(b)
	for ; len(edits) >= 4 && len(b) > 0; edits = edits[4:] {
		at := (int(edits[0])<<8 | int(edits[1])) % len(b)
		switch edits[2] % 4 {
		case 0:
			b[at] = edits[3]
		case 1:
			b = slices.Insert(b, at, edits[3])
		case 2:
			b = slices.Delete(b, at, min(len(b), at+1+int(edits[3])))
		default: // a piece once more
			b = slices.Insert(b, at, bytes.Clone(b[at:min(len(b), at+8*int(edits[3]))])...)
		}
	}
	return b
}

// rehashAll gives each line a right hash.
func rehashAll(b []byte) []byte {
	lines := bytes.Split(b, []byte("\n"))
	for i := range lines {
		lines[i] = rehash(lines[i])
	}
	return bytes.Join(lines, []byte("\n"))
}
