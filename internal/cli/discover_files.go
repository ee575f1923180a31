package cli

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres"
)

// readReport reads what the last run left; a first run is compared with nothing.
func readReport(path string) (*discover.Report, error) {
	text, err := os.ReadFile(path) //nolint:gosec // below the policy's folder
	if errors.Is(err, fs.ErrNotExist) {
		return &discover.Report{}, nil
	}
	var r discover.Report
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return nil, failed("remove the file to begin anew", fmt.Errorf("read the last report %s: %w", path, err))
	}
	return &r, nil
}

// keepReport keeps what the next run is compared with, and the portal shows.
func keepReport(path string, r *discover.Report) error {
	last, err := readReport(path)
	if err != nil {
		return err
	}
	r = r.Measure(last)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	var b strings.Builder
	if err := r.WriteJSON(&b); err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	return nil
}

// progressAge is how long what a broken run has seen counts as seen.
const progressAge = 24 * time.Hour

// dsnProgress is the file of what a broken run over a DSN has seen, in the user's cache: a DSN has no folder of its own. It is named
// after who looks at which database. Somebody without a home begins anew each time.
func dsnProgress(getenv func(string) string, login *postgres.Config) string {
	cache := getenv("XDG_CACHE_HOME")
	if home := getenv("HOME"); !filepath.IsAbs(cache) && home != "" {
		if info, err := os.Stat(home); err == nil && info.IsDir() {
			cache = filepath.Join(home, ".cache")
		}
	}
	if !filepath.IsAbs(cache) {
		return ""
	}
	sum := sha256.Sum256([]byte(login.Address() + "\x1f" + login.Database + "\x1f" + login.User))
	return filepath.Join(cache, "postern", "discover-"+hex.EncodeToString(sum[:8])+".progress")
}

// progressFile is a discover.Checkpoint: one line for each table that is done, with counts and shapes and no value. A line that
// was cut off is left out. The file is made for the first table: a run that finds nothing to sample leaves none.
type progressFile struct {
	path string
	done map[string][]byte
	file *os.File // nil until there is something to keep
	err  error
}

type progressLine struct {
	Key      string `json:"key"`
	Profiles []byte `json:"profiles"`
}

func openProgress(path string, restart bool) (*progressFile, error) {
	p := &progressFile{path: path, done: map[string][]byte{}}
	if info, err := os.Stat(path); err == nil && (restart || time.Since(info.ModTime()) > progressAge) {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("begin anew: %w", err)
		}
	}
	f, err := os.Open(path) //nolint:gosec // below the policy's folder
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the progress: %w", err)
	}
	defer func() { _ = f.Close() }()
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if err != nil {
			break
		}
		var l progressLine
		if json.Unmarshal(line, &l) == nil && l.Key != "" {
			p.done[l.Key] = l.Profiles
		}
	}
	return p, nil
}

func (p *progressFile) tables() int { return len(p.done) }

// Load gives the profiles of a table that is done.
func (p *progressFile) Load(key string) ([]byte, bool) {
	raw, ok := p.done[key]
	return raw, ok
}

// Save adds a table. A disk that is full costs the resuming, not the run.
func (p *progressFile) Save(key string, profiles []byte) {
	if p.file == nil && p.err == nil {
		if p.err = os.MkdirAll(filepath.Dir(p.path), 0o700); p.err == nil {
			p.file, p.err = os.OpenFile(p.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600) //nolint:gosec // below the policy's folder
		}
	}
	if p.err != nil {
		return
	}
	line, err := json.Marshal(progressLine{key, profiles})
	if err == nil {
		_, err = p.file.Write(append(line, '\n'))
	}
	p.err = err
}

func (p *progressFile) close() {
	if p.file != nil {
		_ = p.file.Close() // what is lost is looked at again
	}
}
