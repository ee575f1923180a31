package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// How long a server may take to start and to stop before the test fails. A loaded machine needs seconds.
const (
	startLimit = 60 * time.Second
	stopLimit  = 20 * time.Second
)

// Cluster is one running server.
type Cluster struct {
	Major     int    // 13 … 18
	Port      int    // on 127.0.0.1 and in the socket's name
	SocketDir string // holds .s.PGSQL.<Port>
	DataDir   string // PGDATA, owned by the server's user
	CA        string // PEM file of the authority that signed the server's certificate

	bin     string
	dir     string
	account *syscall.Credential // nil: the tests' own user
	process *process
	enter   func() error // moves the thread that starts the server into its network; nil for ours

	mu        sync.Mutex
	databases int
	templates map[string]*DB
}

// process is a started postmaster; done is closed when it has ended.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// dirPrefix starts the name of every cluster's folder; the test binary's pid follows.
const dirPrefix = "postern-pgtest-"

// start makes the folder, runs initdb and starts the server.
func start(major int, s settings) (*Cluster, error) {
	bin, err := binDir(major)
	if err != nil {
		return nil, err
	}
	account, err := serverAccount()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return nil, fmt.Errorf("make the cluster's folder: %w", err)
	}
	c := &Cluster{
		Major: major, SocketDir: dir, DataDir: filepath.Join(dir, "data"), CA: filepath.Join(dir, "ca.pem"),
		bin: bin, dir: dir, account: account, templates: map[string]*DB{}, enter: s.enter,
	}
	if err := c.prepare(s); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err = c.boot(FreePort); err != nil {
		c.Stop()
		return nil, fmt.Errorf("start PostgreSQL %d: %w\n%s", major, err, c.Log())
	}
	return c, nil
}

// prepare runs initdb and writes the configuration.
func (c *Cluster) prepare(s settings) error {
	if c.account != nil {
		if err := os.Chown(c.dir, int(c.account.Uid), int(c.account.Gid)); err != nil {
			return fmt.Errorf("hand the cluster's folder to the server's user: %w", err)
		}
	}
	// #nosec G204 -- the program is the pinned server
	initdb := exec.CommandContext(context.Background(), filepath.Join(c.bin, "initdb"), "-D", c.DataDir, "-U", SuperUser,
		"-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	c.dress(initdb)
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb of PostgreSQL %d: %w\n%s", c.Major, err, out)
	}
	if err := c.writeCertificates(); err != nil {
		return err
	}
	conf := []string{
		"fsync = off", "synchronous_commit = off", "full_page_writes = off", "autovacuum = off",
		"max_connections = 100", "shared_buffers = 32MB", "max_wal_size = 256MB",
		"listen_addresses = '127.0.0.1'", fmt.Sprintf("unix_socket_directories = '%s'", c.SocketDir),
		"password_encryption = 'scram-sha-256'", "timezone = 'UTC'", "log_timezone = 'UTC'",
		"ssl = on", "ssl_cert_file = '../server.crt'", "ssl_key_file = '../server.key'",
	}
	conf = append(conf, s.conf...)
	hba := append(append([]string{}, s.hba...), baseHBA...)
	return errors.Join(
		appendFile(filepath.Join(c.DataDir, "postgresql.conf"), conf),
		os.WriteFile(filepath.Join(c.DataDir, "pg_hba.conf"), []byte(strings.Join(hba, "\n")+"\n"), 0o600),
	)
}

// baseHBA are the lines every cluster has.
var baseHBA = []string{
	"local all " + SuperUser + " trust",
	"local all all scram-sha-256",
	"host all all 127.0.0.1/32 scram-sha-256",
}

// boot starts the postmaster on a free port and waits until it answers. A port that the kernel names may be taken
// before the server binds it, on one of its addresses or on all.
func (c *Cluster) boot(freePort func() (int, error)) error {
	for try := 0; ; try++ {
		port, err := freePort()
		if err != nil {
			return err
		}
		c.Port = port
		if err = c.launch(); err == nil || try == bootTries || !errors.Is(err, errNotBound) {
			return err
		}
		c.halt()
	}
}

// bootTries is how many more ports are tried when the first one is taken.
const bootTries = 5

// errNotBound says that the server does not listen on every address it was told to.
var errNotBound = errors.New("could not bind every address")

// launch starts the postmaster on the cluster's port.
func (c *Cluster) launch() error {
	log, err := os.OpenFile(c.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	before := len(c.Log())
	// #nosec G204 -- the program is the pinned server
	cmd := exec.CommandContext(context.Background(), filepath.Join(c.bin, "postgres"), "-D", c.DataDir, "-p", strconv.Itoa(c.Port))
	c.dress(cmd)
	cmd.Stdout, cmd.Stderr = log, log
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal is sent when the *thread* that started the server ends, so that thread is kept.
		runtime.LockOSThread()
		err := c.moveThread()
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended stands in the server's log
		}
		if c.enter == nil {
			runtime.UnlockOSThread()
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return err
	}
	c.process = p
	err = c.waitReady()
	// A postmaster is content with one address of several and says so in its log alone, before it is ready.
	if strings.Contains(c.Log()[before:], "could not bind") {
		return errors.Join(errNotBound, err)
	}
	return err
}

// moveThread brings the locked thread that it is called on into the server's network. A thread that was moved stays locked, so that it ends
// with its goroutine and nothing else ever runs on it.
func (c *Cluster) moveThread() error {
	if c.enter == nil {
		return nil
	}
	return c.enter()
}

// dress sets what every child of ours has: its user, its environment, and its death with ours.
func (c *Cluster) dress(cmd *exec.Cmd) {
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + c.dir}
	// SIGQUIT is PostgreSQL's immediate shutdown: the postmaster takes its children with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.account, Pdeathsig: syscall.SIGQUIT, Setpgid: true}
}

// waitReady waits until the superuser can log in.
func (c *Cluster) waitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, c.DSN(SuperUser, "postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-c.process.done:
			return fmt.Errorf("the server ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("no answer within %v: %w", startLimit, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the server and removes its folder. It may be called more than once.
func (c *Cluster) Stop() {
	c.halt()
	_ = os.RemoveAll(c.dir)
}

// halt ends the server and keeps its folder.
func (c *Cluster) halt() {
	if c.process == nil {
		return
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		_ = c.process.cmd.Process.Signal(sig) // gone already: the wait below returns at once
		select {
		case <-c.process.done:
			c.process = nil
			return
		case <-time.After(stopLimit):
		}
	}
}

// Restart stops the server and starts it again on the same port.
func (c *Cluster) Restart(t testing.TB) {
	t.Helper()
	// While it is down the port may serve as somebody's end of a connection for a while.
	deadline := time.Now().Add(startLimit)
	c.halt()
	err := c.launch()
	for ; errors.Is(err, errNotBound) && time.Now().Before(deadline); err = c.launch() {
		c.halt()
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Fatalf("restart PostgreSQL %d: %v\n%s", c.Major, err, c.Log())
	}
}

// Crash kills the server at once, as a power failure would, without removing anything; Restart brings it back.
func (c *Cluster) Crash() {
	if c.process == nil {
		return
	}
	_ = c.process.cmd.Process.Signal(syscall.SIGQUIT)
	<-c.process.done
	c.process = nil
}

// Log returns the server's log so far.
func (c *Cluster) Log() string {
	text, _ := os.ReadFile(c.logFile()) // no log yet is an empty log
	return string(bytes.ToValidUTF8(text, []byte("?")))
}

func (c *Cluster) logFile() string { return filepath.Join(c.dir, "server.log") }

// Set changes a setting by ALTER SYSTEM and reloads.
func (c *Cluster) Set(t testing.TB, name, value string) {
	t.Helper()
	c.Exec(t, "ALTER SYSTEM SET "+name+" = "+quoteLiteral(value))
	c.Exec(t, "SELECT pg_reload_conf()")
}

// SetHBA replaces pg_hba.conf by lines, followed by those every cluster has, and reloads.
func (c *Cluster) SetHBA(t testing.TB, lines ...string) {
	t.Helper()
	text := strings.Join(append(append([]string{}, lines...), baseHBA...), "\n") + "\n"
	if err := os.WriteFile(filepath.Join(c.DataDir, "pg_hba.conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Exec(t, "SELECT pg_reload_conf()")
}

// serverAccount is whom the server runs as: nil when we are not root, else postgres or nobody.
func serverAccount() (*syscall.Credential, error) {
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
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

// FreePort asks the kernel for a port on 127.0.0.1 that nobody listens on. Somebody may take it before you do.
func FreePort() (int, error) {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// sweep removes folders that test binaries left behind which were killed before they could.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*")) // the pattern is well formed
	for _, dir := range dirs {
		word, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		pid, err := strconv.Atoi(word)
		if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir)
		}
	}
}

// appendFile adds lines to a file that exists.
func appendFile(name string, lines []string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + strings.Join(lines, "\n") + "\n")
	return errors.Join(err, f.Close())
}
