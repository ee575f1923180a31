// Package pghost looks at the machine that a PostgreSQL server runs on: modes and owners of its files, its process, its unit, the packet filter
// in front of its port, and with consent its recent logs. It opens nothing for writing and starts no shell; the two programs that it may start
// are the packet filter's own listings, by fixed path and fixed arguments, because the kernel shows those rules in no file. It keeps no secret:
// of a text that holds one it says where it stands and of what kind it is.
//
// Nothing is looked at before the data directory has proved, by its system identifier, that it is the one of the server that was asked. The
// package judges nothing; that is scan's work. It imports catalog, which holds what it fills, and checkdigit, which knows a card's number.
package pghost

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// Machine is where to look.
type Machine struct {
	Root string // "" is the whole machine; tests put a folder here
	Now  time.Time
	// Run starts a program by its path, without a shell, and returns what it printed; nil starts none.
	Run func(ctx context.Context, program string, args ...string) ([]byte, error)
	// Interfaces lists the machine's addresses with their networks.
	Interfaces func() ([]string, error)
}

// Server is what a login saw of the server that is looked for.
type Server struct {
	SystemID string
	Port     int
	Version  string // such as 15.18
	Setting  func(name string) string
	ReadLogs bool // consent to read logs and histories
}

// looker is one look.
type looker struct {
	Machine
	srv  Server
	data string // the data directory, as the server names it
	out  *catalog.Host
}

// limits of what is read. A log line is rarely longer than 64 KiB; a configuration file never is a megabyte.
const (
	mostText    = 1 << 20
	mostEntries = 20000
)

// Look returns what the machine says, or why it cannot be the server's or cannot be read.
func Look(ctx context.Context, m Machine, s Server) (*catalog.Host, error) {
	l := &looker{Machine: m, srv: s, out: &catalog.Host{Facts: map[catalog.HostFact]string{}, Missing: map[string]string{}}}
	if err := l.find(); err != nil {
		return nil, err
	}
	l.process()
	l.files()
	l.account()
	l.unit()
	l.system()
	l.volumes()
	l.programs()
	l.secrets()
	l.firewall(ctx)
	l.backups()
	l.sshd()
	if s.ReadLogs {
		l.logs()
	}
	l.finish()
	return l.out, nil
}

// finish brings lists into an order of our own.
func (l *looker) finish() {
	slices.SortFunc(l.out.Files, func(a, b catalog.File) int {
		return strings.Compare(a.Role+"\x00"+a.Path, b.Role+"\x00"+b.Path)
	})
	slices.SortStableFunc(l.out.Hits, func(a, b catalog.SecretHit) int { return strings.Compare(a.Object, b.Object) })
}

// at is a path of the machine.
func (l *looker) at(name string) string { return filepath.Join(l.Root, filepath.FromSlash(name)) }

// read returns a file's text, at most a megabyte of it.
func (l *looker) read(name string) ([]byte, error) {
	f, err := os.Open(l.at(name))
	if err != nil {
		return nil, plainError(err)
	}
	text, err := io.ReadAll(io.LimitReader(f, mostText))
	return text, errors.Join(err, f.Close())
}

// line returns the first line of a file, "" when there is none.
func (l *looker) line(name string) string {
	text, _ := l.read(name) // what cannot be read is not known
	first, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimSpace(first)
}

// missing notes why a part could not be read. A file that does not exist is not missing.
func (l *looker) missing(part string, err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.out.Missing[part] = plainError(err).Error()
	}
}

// plainError drops the path of the machine, which is not the server's when a test gives a root.
func plainError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// list names the entries of a folder, none when it cannot be read.
func (l *looker) list(dir string) []string {
	entries, _ := os.ReadDir(l.at(dir)) // what cannot be read has no entries for us
	var out []string
	for _, e := range entries {
		out = append(out, path.Join(dir, e.Name()))
	}
	return out
}

// find looks for the data directory and holds its system identifier against the server's.
func (l *looker) find() error {
	var dirs []string
	if d := l.srv.Setting("data_directory"); d != "" {
		dirs = append(dirs, d)
	}
	for _, p := range l.list("/proc") {
		if _, err := strconv.Atoi(path.Base(p)); err == nil && slices.Contains([]string{"postgres", "postmaster"}, l.line(p+"/comm")) {
			if dir, err := os.Readlink(l.at(p + "/cwd")); err == nil && !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	why := errors.New("no running server shows its data directory to this account")
	for _, d := range dirs {
		id, err := l.systemID(d)
		switch {
		case err != nil:
			why = fmt.Errorf("read %s: %w", path.Join(d, "global/pg_control"), err)
		case id != l.srv.SystemID || l.portOf(d) != strconv.Itoa(l.srv.Port):
			// A standby has its primary's identifier, and another port when both are on one machine.
			why = errors.New("the server of this machine is another one, by its system identifier and port")
		default:
			l.data = d
			return nil
		}
	}
	return why
}

// systemID reads the first eight bytes of pg_control, which are the identifier in the machine's byte order.
func (l *looker) systemID(dir string) (string, error) {
	f, err := os.Open(l.at(path.Join(dir, "global/pg_control")))
	if err != nil {
		return "", plainError(err)
	}
	head := make([]byte, 8)
	_, err = io.ReadFull(f, head)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return strconv.FormatUint(binary.NativeEndian.Uint64(head), 10), nil
}

// portOf is the port that a postmaster wrote down, in the fourth line of postmaster.pid.
func (l *looker) portOf(dir string) string {
	text, _ := l.read(path.Join(dir, "postmaster.pid")) // a server that does not run has no port
	lines := strings.Split(string(text), "\n")
	if len(lines) < 4 {
		return ""
	}
	return strings.TrimSpace(lines[3])
}
