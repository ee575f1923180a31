package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killedFolder makes the test binary play the process that is killed.
const killedFolder = "POSTERN_AUDIT_TEST_KILLED"

// killed records, tells of each record once it may, and then dies without a word.
func killed(folder string, n int) error {
	text, err := GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		return err
	}
	key, err := LoadKey(text)
	if err != nil {
		return err
	}
	trail, err := Open(Config{Folder: folder, Key: key, Instance: "gw1", Sync: time.Minute})
	if err != nil {
		return err
	}
	for i := range n {
		id, err := trail.Record(context.Background(), event(i))
		if err == nil {
			err = trail.RecordSoon(Event{Kind: Completion, Ref: id})
		}
		if err != nil {
			return err
		}
		fmt.Println(id)
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// TestKilledProcessLosesNothing: what Record or RecordSoon has accepted is there when the process is killed with SIGKILL: for
// readers at once, and in the trail's files after the next start.
func TestKilledProcessLosesNothing(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	spooled := 0
	for _, n := range []int{1, 2, 10, 100, 1500} { // the last do not fit into the spool at once
		cfg := config(t, t.TempDir())
		cmd := exec.CommandContext(t.Context(), exe, "-test.run=^$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", killedFolder, n, cfg.Folder))
		out, err := cmd.Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the child was to be killed: %v\n%s", err, out)
		}
		ids := strings.Fields(string(out))
		if len(ids) != n {
			t.Fatalf("%d of %d acknowledged", len(ids), n)
		}
		before := readAll(t, cfg.Folder)
		spooled += n - strings.Count(before, `"kind":"statement.completion"`)
		if r := verify(t, cfg); len(r.Problems) > 0 || r.Records < uint64(2*n) {
			t.Fatalf("before the restart: %d records, %v", r.Records, r.Problems)
		}
		wantAll(t, cfg, ids)
		trail := open(t, cfg)
		if got := trail.Recovered(); len(got) > 0 {
			t.Errorf("nothing was torn, and yet: %q", got)
		}
		for _, id := range ids {
			if strings.Count(readAll(t, cfg.Folder), id) != 2 {
				t.Fatalf("event %s and its completion are not in the files", id)
			}
		}
		closeTrail(t, trail)
		wantIntact(t, verify(t, cfg))
		wantAll(t, cfg, ids)
		if exists(filepath.Join(cfg.Folder, spoolName)) {
			t.Error("the spool is left after an orderly end")
		}
	}
	if spooled == 0 {
		t.Error("no record was in the spool when its process was killed")
	}
}

// wantAll wants each event and its completion to be found, once.
func wantAll(t *testing.T, cfg Config, ids []string) {
	t.Helper()
	var got, done []string
	for f, err := range Search(t.Context(), cfg.Folder, Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		switch f.Record.Kind {
		case Decision:
			got = append(got, f.Record.ID)
		case Completion:
			done = append(done, f.Record.Ref)
		}
	}
	if !slices.Equal(got, ids) || !slices.Equal(done, ids) {
		t.Fatalf("found %d decisions and %d completions of %d", len(got), len(done), len(ids))
	}
}

// crashed is what a killed process leaves: a file that ends with record n, and a spool with the k records behind it.
type crashed struct {
	cfg   Config
	path  string
	lines [][]byte // all, with their newlines
	kept  int      // those in the file
}

func crash(t *testing.T) *crashed {
	t.Helper()
	cfg := config(t, t.TempDir())
	trail := open(t, cfg)
	for i := range 6 {
		record(t, trail, event(i))
	}
	if err := trail.Sync(); err != nil {
		t.Fatal(err)
	}
	text := readAll(t, cfg.Folder)
	closeTrail(t, trail)
	c := &crashed{cfg: cfg, lines: bytes.SplitAfter([]byte(text), []byte("\n"))}
	c.lines = c.lines[:len(c.lines)-1]
	c.kept = len(c.lines) - 3
	c.cfg.Folder, c.cfg.State = t.TempDir(), &memoryHeads{}
	c.path = filepath.Join(c.cfg.Folder, fileName(1))
	c.write(t, c.path, bytes.Join(c.lines[:c.kept], nil))
	c.spool(t, bytes.Join(c.lines[c.kept:], nil))
	return c
}

func (c *crashed) write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// spool writes a spool that begins with b; the rest is what an earlier round has left, in which nothing may be found.
func (c *crashed) spool(t *testing.T, b []byte) {
	t.Helper()
	old := bytes.Repeat(c.lines[2], spoolSize/len(c.lines[2])+1)
	c.write(t, filepath.Join(c.cfg.Folder, spoolName), append(bytes.Clone(b), old[len(b):spoolSize]...))
}

// reopen opens the trail, records once more, and returns what Open said and the text of the files.
func (c *crashed) reopen(t *testing.T) (notes []string, text string) {
	t.Helper()
	trail := open(t, c.cfg)
	notes = trail.Recovered()
	record(t, trail, event(9))
	closeTrail(t, trail)
	return notes, readAll(t, c.cfg.Folder)
}

func TestSpoolAfterACrash(t *testing.T) {
	t.Parallel()
	all := func(c *crashed) []byte { return bytes.Join(c.lines, nil) }
	tests := map[string]struct {
		do      func(t *testing.T, c *crashed)
		records int    // that a verifier sees before the next start, beside those in the file
		says    string // what Open records; "": nothing
		lost    int    // of the three in the spool
	}{
		"as it was": {func(*testing.T, *crashed) {}, 3, "", 0},
		"all in the file too": {func(t *testing.T, c *crashed) {
			c.write(t, c.path, all(c))
		}, 3, "", 0},
		"one in the file, one half": {func(t *testing.T, c *crashed) {
			text := all(c)
			c.write(t, c.path, text[:len(text)-len(c.lines[len(c.lines)-1])-20])
		}, 3, "", 0},
		"something else behind the file's end": {func(t *testing.T, c *crashed) {
			appendTo(t, c.path, "\x00\x00\x00")
		}, 0, "a crash left 3 bytes", 0},
		"the last record half copied": {func(t *testing.T, c *crashed) {
			text := bytes.Join(c.lines[c.kept:], nil)
			c.spool(t, text[:len(text)-20])
		}, 2, "", 1},
		"a record changed": {func(t *testing.T, c *crashed) {
			c.spool(t, bytes.Replace(bytes.Join(c.lines[c.kept:], nil), []byte("SELECT"), []byte("DELETE"), 1))
		}, 0, "", 3},
		"a record taken out": {func(t *testing.T, c *crashed) {
			c.spool(t, append(bytes.Clone(c.lines[c.kept]), c.lines[c.kept+2]...))
		}, 1, "", 2},
		"the file cut before it": {func(t *testing.T, c *crashed) {
			c.write(t, c.path, bytes.Join(c.lines[:c.kept-1], nil))
		}, 0, "the spool goes on with record", 3},
		"no spool": {func(t *testing.T, c *crashed) {
			remove(t, filepath.Join(c.cfg.Folder, spoolName))
		}, 0, "", 3},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := crash(t)
			inFile := bytes.Count([]byte(readAll(t, c.cfg.Folder)), []byte("\n"))
			test.do(t, c)
			r := verify(t, c.cfg)
			if got := int(r.Records) - c.kept; got != test.records && name != "the file cut before it" {
				t.Errorf("a verifier sees %d records behind the first %d, want %d (%v)", got, inFile, test.records, r.Problems)
			}
			notes, text := c.reopen(t)
			if said := strings.Join(notes, "; "); (test.says == "") != (said == "") || !strings.Contains(said, test.says) {
				t.Errorf("recovered %q, want %q", said, test.says)
			}
			lost := 0
			for _, line := range c.lines[c.kept:] {
				if !strings.Contains(text, string(line)) {
					lost++
				}
			}
			if lost != test.lost {
				t.Errorf("%d records of the spool are lost, want %d", lost, test.lost)
			}
			wantIntact(t, verify(t, c.cfg))
			if test.says == "the spool goes on with record" {
				kept, err := filepath.Glob(c.path[:len(c.cfg.Folder)+1] + "*" + tornInfix + "*")
				if err != nil || len(kept) != 1 {
					t.Fatalf("kept %v, %v", kept, err)
				}
				if b, err := os.ReadFile(kept[0]); err != nil || !bytes.HasPrefix(b, c.lines[c.kept]) {
					t.Errorf("the spool was not kept: %v", err)
				}
			}
			closeTrail(t, open(t, c.cfg)) // and nothing of it twice
			wantIntact(t, verify(t, c.cfg))
		})
	}
}

// TestSpoolGone: a spool that somebody cuts off under the writer costs speed, and neither a record nor the process.
func TestSpoolGone(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	trail := open(t, cfg)
	if trail.spool.view == nil {
		t.Fatal("there is no spool to cut")
	}
	ids := []string{record(t, trail, event(1))}
	if err := os.Truncate(filepath.Join(cfg.Folder, spoolName), 0); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		ids = append(ids, record(t, trail, event(i)))
	}
	all := readAll(t, cfg.Folder)
	for _, id := range ids[1:] {
		if !strings.Contains(all, id) {
			t.Errorf("event %s is neither in the spool nor in the trail", id)
		}
	}
	closeTrail(t, trail)
	wantIntact(t, verify(t, cfg))
}

// TestReadersSeeTheSpool: what was recorded is found at once, not when the keeper gets to it.
func TestReadersSeeTheSpool(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	cfg.RotateSize = 8000
	trail := open(t, cfg)
	for i := range 200 {
		id := record(t, trail, event(i))
		found := 0
		for f, err := range Search(t.Context(), cfg.Folder, Query{ID: id}) {
			if err != nil {
				t.Fatal(err)
			}
			if f.Record.ID == id {
				found++
			}
		}
		if found != 1 {
			t.Fatalf("event %d was found %d times", i, found)
		}
	}
}
