package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childFolder makes the test binary play the process whose disk is full.
const childFolder = "POSTERN_AUDIT_TEST_FULL_DISK"

func TestMain(m *testing.M) {
	var err error
	switch full, kill := os.Getenv(childFolder), os.Getenv(killedFolder); {
	case full != "":
		sync, folder, _ := strings.Cut(full, " ")
		var every time.Duration
		if every, err = ParseSync(sync); err == nil {
			err = fullDisk(folder, every)
		}
	case kill != "":
		n, folder, _ := strings.Cut(kill, " ")
		var count int
		if count, err = strconv.Atoi(n); err == nil {
			err = killed(folder, count)
		}
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Println("child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// TestFullDisk: with the spool and without.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, sync := range []string{"always", "20ms"} {
		t.Run(sync, func(t *testing.T) { tryFullDisk(t, sync) })
	}
}

// TestTornEnd cuts the last record at every byte, as a crash may, and opens the trail again.
func TestTornEnd(t *testing.T) {
	t.Parallel()
	base := config(t, t.TempDir())
	base.CheckpointEvery = 50
	trail := open(t, base)
	for i := range 3 {
		record(t, trail, event(i))
	}
	if err := trail.Sync(); err != nil {
		t.Fatal(err)
	}
	text := []byte(readAll(t, base.Folder)) // as it is while the trail is open: no checkpoint at the end
	closeTrail(t, trail)
	lastLine := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	for cut := lastLine + 1; cut < len(text); cut += 1 + (cut % 7) {
		cfg := base
		cfg.Folder, cfg.State = t.TempDir(), &memoryHeads{}
		path := filepath.Join(cfg.Folder, fileName(1))
		if err := os.WriteFile(path, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if r := verify(t, cfg); r.Status != Incomplete || !strings.Contains(fmt.Sprint(r.Unproven), "is not finished") {
			t.Fatalf("cut at %d, before opening: %s %v %v", cut, r.Status, r.Problems, r.Unproven)
		}
		trail, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if rec := trail.Recovered(); len(rec) != 1 || !strings.Contains(rec[0], "torn-") {
			t.Fatalf("recovered %q", rec)
		}
		record(t, trail, event(9))
		closeTrail(t, trail)
		r := verify(t, cfg)
		wantIntact(t, r)
		if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], fmt.Sprintf("%d byte", cut-lastLine)) {
			t.Fatalf("notes %v", r.Notes)
		}
		kept, err := filepath.Glob(path + tornInfix + "*")
		if err != nil || len(kept) != 1 {
			t.Fatalf("kept %v, %v", kept, err)
		}
		if b, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(b, text[lastLine:cut]) {
			t.Fatalf("the torn bytes were not kept: %q, %v", b, err)
		}
		closeTrail(t, open(t, cfg)) // and not once more
		if r := verify(t, cfg); len(r.Notes) != 1 {
			t.Fatalf("after another start: %v", r.Notes)
		}
	}
}

// TestCrashDuringRecovery repeats a recovery that died between its steps.
func TestCrashDuringRecovery(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	closeTrail(t, open(t, cfg))
	path := filepath.Join(cfg.Folder, fileName(1))
	h := verify(t, cfg).Head
	torn := fmt.Sprintf("%s%s%d", path, tornInfix, h.Seq+1)
	// The copy was made and the file was cut; the recovery record was begun; a rotation had not got its name.
	for name, text := range map[string]string{torn: `{"seq":`, path + newSuffix: "x", torn + newSuffix: "y"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	appendTo(t, path, `{"seq":3,"ti`)
	trail := open(t, cfg)
	closeTrail(t, trail)
	r := verify(t, cfg)
	wantIntact(t, r)
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], filepath.Base(torn)+", "+filepath.Base(torn)+"-2") {
		t.Errorf("notes %v", r.Notes)
	}
	left, err := filepath.Glob(filepath.Join(cfg.Folder, "*"+newSuffix))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestOpenAfterTampering(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		do   func(t *testing.T, fx *fixture, folder string)
		says string
		want ProblemKind
	}{
		{"the end cut off", func(t *testing.T, fx *fixture, folder string) {
			name := fx.names[len(fx.names)-1]
			b := bytes.Join(fx.lines[name][:1], nil)
			rewrite(t, filepath.Join(folder, name), append(b, '\n'))
		}, "are missing", CutOff},
		{"the last file missing", func(t *testing.T, fx *fixture, folder string) {
			remove(t, filepath.Join(folder, fx.names[len(fx.names)-1]))
		}, "missing", CutOff},
		{"all files missing", func(t *testing.T, fx *fixture, folder string) {
			for _, name := range fx.names {
				remove(t, filepath.Join(folder, name))
			}
		}, "records 1 to", Removed},
		{"a record of the last file edited", func(t *testing.T, fx *fixture, folder string) {
			c := fx.copy()
			name := fx.names[len(fx.names)-1]
			c.lines[name][1] = alter(c.lines[name][1])
			rewrite(t, filepath.Join(folder, name), append(bytes.Join(c.lines[name], []byte("\n")), '\n'))
		}, "line 2 is not a whole record", Edited},
		{"the last record rewritten", func(t *testing.T, fx *fixture, folder string) {
			c := fx.copy()
			name := fx.names[len(fx.names)-1]
			l := c.lines[name]
			l[len(l)-1] = rehash(alter(l[len(l)-1]))
			rewrite(t, filepath.Join(folder, name), append(bytes.Join(l, []byte("\n")), '\n'))
		}, "is not the one that state knows", Recorded},
		{"the last file overwritten", func(t *testing.T, fx *fixture, folder string) {
			rewrite(t, filepath.Join(folder, fx.names[len(fx.names)-1]), []byte("gone\n"))
		}, "holds no record", Recorded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fx := makeFixture(t)
			folder := fx.write(t)
			tt.do(t, fx, folder)
			cfg := Config{Folder: folder, Key: fx.key, Instance: "gw1", State: fx.heads}
			for range 2 { // the trail goes on, now and after the next start, and the evidence stays
				trail := open(t, cfg)
				record(t, trail, event(100))
				if trail.Head().Seq <= fx.head.Seq {
					t.Error("numbers are used again")
				}
				closeTrail(t, trail)
				r := verify(t, cfg)
				if r.Status != Tampered || !slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.Kind == tt.want }) {
					t.Fatalf("%s: %v", r.Status, r.Problems)
				}
				if !strings.Contains(readAll(t, folder), tt.says) {
					t.Errorf("the trail does not say %q", tt.says)
				}
			}
		})
	}
}

// TestRestoredFiles: what was missing when the trail was opened is put back, and the chain closes over it.
func TestRestoredFiles(t *testing.T) {
	t.Parallel()
	fx := makeFixture(t)
	folder := fx.write(t)
	name := fx.names[len(fx.names)-1]
	remove(t, filepath.Join(folder, name))
	cfg := Config{Folder: folder, Key: fx.key, Instance: "gw1", State: fx.heads}
	trail := open(t, cfg)
	if len(trail.Recovered()) != 1 {
		t.Errorf("recovered %v", trail.Recovered())
	}
	closeTrail(t, trail)
	rewrite(t, filepath.Join(folder, name), append(bytes.Join(fx.lines[name], []byte("\n")), '\n'))
	wantIntact(t, verify(t, cfg))
}

func rewrite(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// tryFullDisk runs fullDisk in a process of its own, because the limit on file sizes holds for a whole process.
func tryFullDisk(t *testing.T, sync string) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^$")
	cmd.Env = append(os.Environ(), childFolder+"="+sync+" "+folder)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	acknowledged := map[string]bool{}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		acknowledged[s.Text()] = true
	}
	for f, err := range Search(t.Context(), folder, Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		delete(acknowledged, f.Record.ID)
		delete(acknowledged, f.Record.Statement)
		if strings.HasPrefix(f.Record.Statement, "refused") {
			t.Errorf("a refused event is in the trail: %+v", f.Record)
		}
	}
	if len(acknowledged) > 0 {
		t.Errorf("acknowledged and lost: %v", acknowledged)
	}
	r, err := Verify(t.Context(), folder, VerifyOptions{PublicKey: testKey(t).Public()})
	if err != nil || len(r.Problems) > 0 || r.Signed != r.Head.Seq {
		t.Fatalf("%v %+v", err, r)
	}
	if all := fmt.Sprint(r.Notes); strings.Count(all, "could not be written since") != 2 || !strings.Contains(all, "refused meanwhile: 3") {
		t.Errorf("notes %v", r.Notes)
	}
}

// fullDisk writes into a file that may not grow past a limit, twice, and once across a Close. It prints what was
// acknowledged.
func fullDisk(folder string, every time.Duration) error {
	signal.Ignore(syscall.SIGXFSZ)
	text, err := GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		return err
	}
	key, err := LoadKey(text)
	if err != nil {
		return err
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		return err
	}
	limit := func(size uint64) error {
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: min(size, old.Max), Max: old.Max})
	}
	told := make(chan error, 100)
	cfg := Config{Folder: folder, Key: key, Instance: "gw1", Sync: every, Notify: func(err error) { told <- err }}
	trail, err := Open(cfg)
	if err != nil {
		return err
	}
	for _, size := range []uint64{20_000, 40_123} {
		if err := limit(size); err != nil {
			return err
		}
		if err := fillUp(trail, folder); err != nil {
			return err
		}
		if err := <-told; !errors.Is(err, ErrBroken) || !errors.Is(err, syscall.EFBIG) {
			return fmt.Errorf("told %w", err)
		}
		if err := limit(old.Max); err != nil {
			return err
		}
		if err := <-told; errors.Is(err, ErrBroken) || trail.Err() != nil {
			return fmt.Errorf("not healed: %w, %w", err, trail.Err())
		}
	}
	// The third time the disk stays full until the process ends.
	if err := limit(60_000); err != nil {
		return err
	}
	if err := fillUp(trail, folder); err != nil {
		return err
	}
	if err := trail.Close(); !errors.Is(err, ErrBroken) {
		return fmt.Errorf("close on a full disk: %w", err)
	}
	if err := limit(old.Max); err != nil {
		return err
	}
	trail, err = Open(cfg)
	if err != nil {
		return err
	}
	return trail.Close()
}

// fillUp records until the disk is full and checks that then nothing at all is accepted.
func fillUp(trail *Trail, folder string) error {
	var err error
	for i := 0; err == nil; i++ {
		if i > 10_000 {
			return errors.New("the limit does not hold")
		}
		var id string
		if id, err = trail.Record(context.Background(), Event{Kind: Decision, Statement: "SELECT " + strings.Repeat("1", i%50)}); err == nil {
			fmt.Println(id)
		}
	}
	if !errors.Is(err, ErrBroken) {
		return fmt.Errorf("full disk: %w", err)
	}
	if _, err := trail.Record(context.Background(), Event{Kind: Decision, Statement: "refused 1"}); !errors.Is(err, ErrBroken) {
		return fmt.Errorf("after the disk was full: %w", err)
	}
	if err := trail.RecordSoon(Event{Kind: Completion, Statement: "refused 2"}); !errors.Is(err, ErrBroken) {
		return fmt.Errorf("after the disk was full: %w", err)
	}
	names, err := listFiles(folder)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(folder, names[len(names)-1]))
	if err != nil || b[len(b)-1] != '\n' {
		return fmt.Errorf("a partly written record was left: %w", err)
	}
	return nil
}

// TestAcceptedCompletionsOutliveAFailure: what RecordSoon has accepted is written once the trail can be written again.
func TestAcceptedCompletionsOutliveAFailure(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	trail := open(t, cfg)
	trail.mu.Lock() // the keeper cannot write between the two
	file := trail.file
	readOnly, err := os.Open(filepath.Join(cfg.Folder, trail.name))
	if err != nil {
		t.Fatal(err)
	}
	e := event(1)
	if err := trail.queue(&e); err != nil {
		t.Fatal(err)
	}
	trail.accept()
	trail.file = readOnly
	lost := event(2)
	if err := trail.queue(&lost); err != nil {
		t.Fatal(err)
	}
	writeErr := trail.write()
	trail.file = file
	trail.sticky = false // cutting failed too, for the same reason
	trail.mu.Unlock()
	if !errors.Is(writeErr, ErrBroken) {
		t.Fatalf("%v", writeErr)
	}
	if err := readOnly.Close(); err != nil {
		t.Fatal(err)
	}
	trail.stir()
	eventually(t, "the trail healed", func() bool { return trail.Err() == nil })
	closeTrail(t, trail)
	all := readAll(t, cfg.Folder)
	if !strings.Contains(all, e.ID) || strings.Contains(all, lost.ID) {
		t.Error("the accepted event is lost, or the refused one is there")
	}
	wantIntact(t, verify(t, cfg))
}

// TestFailedFsyncBreaksTheTrail: after a failed fsync only a new start may trust the file.
func TestFailedFsyncBreaksTheTrail(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	cfg.Sync = 0
	trail := open(t, cfg)
	record(t, trail, event(1))
	r, w, err := os.Pipe() // a pipe takes bytes and refuses fsync
	if err != nil {
		t.Fatal(err)
	}
	trail.mu.Lock()
	file := trail.file
	trail.file = w
	trail.mu.Unlock()
	if _, err := trail.Record(t.Context(), event(2)); !errors.Is(err, ErrBroken) {
		t.Fatalf("%v", err)
	}
	trail.mu.Lock()
	trail.file = file
	trail.mu.Unlock()
	time.Sleep(2 * healEvery) // nothing to wait for: it must not heal
	if _, err := trail.Record(t.Context(), event(3)); !errors.Is(err, ErrBroken) {
		t.Fatalf("healed after a failed fsync: %v", err)
	}
	if err := trail.Close(); !errors.Is(err, ErrBroken) {
		t.Errorf("close: %v", err)
	}
	if err := errors.Join(r.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	trail = open(t, cfg)
	record(t, trail, event(4))
	closeTrail(t, trail)
	wantIntact(t, verify(t, cfg))
}
