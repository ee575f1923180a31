package pgtest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// pin is one server named in test/pg/package.json.
type pin struct {
	major   int
	version string
}

// readPins reads the pinned servers, lowest major first. The file is read on each call, and so is part of what
// the test cache looks at.
func readPins() ([]pin, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, "test", "pg", "package.json"))
	if err != nil {
		return nil, fmt.Errorf("read the pinned servers: %w", err)
	}
	var file struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read the pinned servers: %w", err)
	}
	var pins []pin
	for name, source := range file.Dependencies {
		major, err := strconv.Atoi(strings.TrimPrefix(name, "pg"))
		if err != nil {
			return nil, fmt.Errorf("test/pg/package.json: %q is not pg and a major", name)
		}
		pins = append(pins, pin{major: major, version: source[strings.LastIndex(source, "@")+1:]})
	}
	sort.Slice(pins, func(i, j int) bool { return pins[i].major < pins[j].major })
	return pins, nil
}

// Root is the folder of the module, the parent of internal/ and test/.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = up
	}
}

// binDir is the folder with initdb and postgres of a major.
func binDir(major int) (string, error) {
	pins, err := readPins()
	if err != nil {
		return "", err
	}
	for _, p := range pins {
		if p.major != major {
			continue
		}
		dir := filepath.Join(CacheDir(), p.version, "bin")
		if _, err := os.Stat(filepath.Join(dir, "postgres")); err != nil {
			return "", fmt.Errorf("PostgreSQL %d is not installed in %s: run test/pg/fetch", major, CacheDir())
		}
		return dir, nil
	}
	return "", fmt.Errorf("PostgreSQL %d is not pinned in test/pg/package.json", major)
}

// CacheDir is where test/pg/fetch puts the servers; the rule stands in that script.
func CacheDir() string {
	if dir := os.Getenv("POSTERN_PG_CACHE"); dir != "" {
		return dir
	}
	if os.Geteuid() == 0 {
		return "/var/cache/postern-pg"
	}
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		base = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	return filepath.Join(base, "postern-pg")
}
