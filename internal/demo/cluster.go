package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/postern-sec/postern/internal/secret"
)

// cluster is a private PostgreSQL server in a folder of its own, reachable over a Unix socket only.
type cluster struct {
	bin    string // folder of initdb and postgres
	folder string
	socket string // folder of the socket
	port   int
	cmd    *exec.Cmd
	done   chan struct{}
	cred   *syscall.Credential // who runs the server; nil for ourselves

	password secret.Text // of the superuser postgres
}

// errNoServer says that no PostgreSQL server binaries were found.
var errNoServer = errors.New("no PostgreSQL server found: neither initdb nor postgres is in PATH or in /usr/lib/postgresql")

// findServer returns the folder that holds initdb and postgres: $POSTERN_PG_BIN, PATH, then Debian's folders, newest first.
func findServer(getenv func(string) string) (string, error) {
	var folders []string
	if d := getenv("POSTERN_PG_BIN"); d != "" {
		folders = append(folders, d)
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		folders = append(folders, filepath.Dir(p))
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	sort.Slice(found, func(i, j int) bool { return majorOf(found[i]) > majorOf(found[j]) })
	for _, d := range append(folders, found...) {
		if isExecutable(filepath.Join(d, "initdb")) && isExecutable(filepath.Join(d, "postgres")) {
			return d, nil
		}
	}
	return "", errNoServer
}

func majorOf(bin string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	return n
}

func isExecutable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && !st.IsDir() && st.Mode()&0o111 != 0
}

// serverUser says who may run the server: PostgreSQL refuses root, so root hands it to postgres or nobody.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("running as root, and PostgreSQL refuses root: no user postgres or nobody to run it as")
}

// startCluster makes and starts a server below folder.
func startCluster(ctx context.Context, bin, folder string) (*cluster, error) {
	cred, err := serverUser()
	if err != nil {
		return nil, err
	}
	c := &cluster{
		bin: bin, folder: filepath.Join(folder, "pg"), socket: filepath.Join(folder, "socket"), port: 5432,
		cred: cred, password: secret.New(rand.Text()),
	}
	for _, d := range []string{c.folder, c.socket} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, fmt.Errorf("make a folder for the server: %w", err)
		}
		if cred != nil {
			if err := os.Chown(d, int(cred.Uid), int(cred.Gid)); err != nil {
				return nil, fmt.Errorf("hand a folder to the server's user: %w", err)
			}
		}
	}
	data := filepath.Join(c.folder, "data")
	return c, c.initAndStart(ctx, data)
}

// hba asks everyone for a password, the superuser too: other people of this machine can reach the socket.
const hba = `# TYPE  DATABASE  USER  METHOD
local   all       all   scram-sha-256
`

func (c *cluster) initAndStart(ctx context.Context, data string) error {
	password := filepath.Join(c.folder, "password")
	if err := os.WriteFile(password, []byte(c.password.Reveal()+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the superuser's password: %w", err)
	}
	if c.cred != nil {
		if err := os.Chown(password, int(c.cred.Uid), int(c.cred.Gid)); err != nil {
			return fmt.Errorf("hand the superuser's password to the server's user: %w", err)
		}
	}
	initdb := c.command(ctx, "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--no-locale", "-A", "scram-sha-256", "--pwfile="+password, "--no-sync")
	out, err := initdb.CombinedOutput()
	if rerr := os.Remove(password); err == nil && rerr != nil {
		return fmt.Errorf("remove the superuser's password: %w", rerr)
	}
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(string(out)))
	}
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		return fmt.Errorf("write pg_hba.conf: %w", err)
	}
	log, err := os.Create(filepath.Join(c.folder, "server.log"))
	if err != nil {
		return fmt.Errorf("open the server's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	// Not bound to ctx: the server is stopped by stop(), politely, after the gateway has let go of it.
	c.cmd = c.command(context.Background(), "postgres", "-D", data, "-k", c.socket, "-p", strconv.Itoa(c.port),
		"-c", "listen_addresses=", "-c", "fsync=off", "-c", "unix_socket_permissions=0777", "-c", "password_encryption=scram-sha-256",
		"-c", "shared_buffers=64MB", "-c", "log_min_messages=warning")
	c.cmd.Stdout, c.cmd.Stderr = log, log
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	c.done = make(chan struct{})
	go func() { _ = c.cmd.Wait(); close(c.done) }()
	return c.waitReady(ctx)
}

func (c *cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...) //nolint:gosec // the binaries of the server that the person named or installed
	cmd.Dir = c.folder
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "PGTZ=UTC"}
	cmd.SysProcAttr = childAttributes(c.cred)
	return cmd
}

// waitReady waits until the server lets people in. It listens a while before it does, so a connection proves nothing;
// postmaster.pid says it, in its eighth line, which is what pg_ctl looks at.
func (c *cluster) waitReady(ctx context.Context) error {
	path := filepath.Join(c.folder, "data", "postmaster.pid")
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if text, err := os.ReadFile(path); err == nil {
			if lines := strings.Split(string(text), "\n"); len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready" {
				return nil
			}
		}
		select {
		case <-c.done:
			return fmt.Errorf("postgres ended while starting: %s", c.logTail())
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return fmt.Errorf("postgres did not answer within 30 s: %s", c.logTail())
		case <-tick.C:
		}
	}
}

func (c *cluster) logTail() string {
	b, err := os.ReadFile(filepath.Join(c.folder, "server.log"))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}

// stop ends the server: a fast shutdown, and a hard one if that takes longer than ten seconds.
func (c *cluster) stop() {
	if c == nil || c.cmd == nil || c.cmd.Process == nil {
		return
	}
	_ = c.cmd.Process.Signal(syscall.SIGINT)
	select {
	case <-c.done:
	case <-time.After(10 * time.Second):
		_ = c.cmd.Process.Signal(syscall.SIGQUIT)
		<-c.done
	}
}

// childAttributes puts the server in a process group of its own, so that Ctrl-C on the terminal reaches only us and the
// gateway can drain first, and ties its life to ours where the system can.
func childAttributes(cred *syscall.Credential) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Credential: cred}
	if runtime.GOOS == "linux" {
		setDeathSignal(attr)
	}
	return attr
}
