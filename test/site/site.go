// Package site sets up Postern the way a person would, for tests that look at it from outside: a folder with a policy
// file, keys and a certificate, the provisioner and grantor on a real server, and the postern command itself as a
// process. It uses the product through its command line and knows nothing of its insides.
//
// The command is the test binary, which runs itself again as postern: so the test cache knows that a test depends on
// every line of the product, and nothing has to be built first. Main makes that possible:
//
//	func TestMain(m *testing.M) { site.Main(m) }
package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/cli"
	"github.com/postern-sec/postern/internal/pgtest"
)

// asPostern tells a child that it is the command and not a test.
const asPostern = "POSTERN_TEST_RUN_AS_COMMAND"

// parserWorker is how the command calls itself, without an environment, to parse statements.
const parserWorker = "parser-worker"

// How long a command and the start of a daemon may take.
const (
	commandLimit = 2 * time.Minute
	startLimit   = 60 * time.Second
)

// Main runs the tests of a package, or, in a child, the command. It does not return.
func Main(m *testing.M) {
	if os.Getenv(asPostern) != "" || len(os.Args) == 2 && os.Args[1] == parserWorker {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := cli.Main(ctx, cli.Env{
			Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Version: "test",
		})
		stop()
		os.Exit(code)
	}
	pgtest.Main(m)
}

// Site is one installation.
type Site struct {
	Dir     string // what `postern init` has written
	Config  string // path of postern.yaml
	Port    int    // of the gateway's listener on 127.0.0.1
	CA      string // PEM of what signed the gateway's certificate
	RootKey string // contents of keys.root
	DB      *pgtest.DB
	Name    string // of the instance, where several share state

	provisioner, grantor string // the accounts as `postern init` wrote them, for fill

	daemon *daemon
}

// daemon is a running `postern serve`.
type daemon struct {
	cmd  *exec.Cmd
	log  *buffer
	done chan struct{}
}

// buffer is a bytes.Buffer that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// account finds the accounts in the policy file that init writes.
var account = regexp.MustCompile(`(?m)^ *(provisioner|grantor): (\{.*\}\})$`)

// New makes an installation for a database in a folder of its own, see NewAt.
func New(t testing.TB, db *pgtest.DB, policy string) *Site {
	t.Helper()
	return NewAt(t, db, filepath.Join(t.TempDir(), "site"), policy)
}

// NewAt makes an installation for a database with `postern init` in a folder, which may exist, runs the SQL that it
// prints as superuser, and puts the policy in place of the example. The policy is a text with the placeholders of
// Site.fill in it.
func NewAt(t testing.TB, db *pgtest.DB, dir, policy string) *Site {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := &Site{Dir: dir, Config: filepath.Join(dir, "postern.yaml"), CA: filepath.Join(dir, "server.crt"), DB: db}
	r := s.run(t, "", "init", "--dir", dir, db.DSN(pgtest.SuperUser))
	if r.Code != 0 {
		t.Fatalf("postern init: exit %d\n%s", r.Code, r.Stderr)
	}
	db.Exec(t, r.Stdout)
	example, err1 := os.ReadFile(s.Config)
	key, err2 := os.ReadFile(filepath.Join(dir, "secrets", "root.key"))
	var err3 error
	s.Port, err3 = pgtest.FreePort()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	s.RootKey = strings.TrimSpace(string(key))
	for _, m := range account.FindAllStringSubmatch(string(example), -1) {
		if m[1] == "provisioner" {
			s.provisioner = m[2]
		} else {
			s.grantor = m[2]
		}
	}
	if s.provisioner == "" || s.grantor == "" {
		t.Fatalf("no accounts in the policy that postern init wrote:\n%s", example)
	}
	s.WritePolicy(t, policy)
	return s
}

// Beside makes another gateway of the same installation: its keys, in a folder of its own, under a name and at a port of its own.
func (s *Site) Beside(t testing.TB, name, policy string) *Site {
	t.Helper()
	dir := s.Dir + "-" + name
	if err := os.CopyFS(dir, os.DirFS(s.Dir)); err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(dir, "secrets", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys { // CopyFS keeps no modes
		if err := os.Chmod(key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port, err := pgtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	out := &Site{
		Dir: dir, Config: filepath.Join(dir, "postern.yaml"), Port: port, CA: s.CA, RootKey: s.RootKey, DB: s.DB, Name: name,
		provisioner: s.provisioner, grantor: s.grantor,
	}
	out.WritePolicy(t, policy)
	return out
}

// WritePolicy replaces the policy file.
func (s *Site) WritePolicy(t testing.TB, policy string) {
	t.Helper()
	if err := os.WriteFile(s.Config, []byte(s.fill(t, policy)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fill replaces {{server}} by the server's address, {{listen}} by the gateway's, {{provisioner}} and {{grantor}} by the
// accounts, and {{scram NAME}} by the verifier of pgtest.PasswordOf(NAME), which `postern user hash` makes, once for each name.
func (s *Site) fill(t testing.TB, policy string) string {
	t.Helper()
	policy = strings.NewReplacer(
		"{{server}}", fmt.Sprintf("127.0.0.1:%d", s.DB.Port), "{{server ca}}", s.DB.CA,
		"{{listen}}", fmt.Sprintf("127.0.0.1:%d", s.Port), "{{provisioner}}", s.provisioner, "{{grantor}}", s.grantor,
	).Replace(policy)
	for {
		from := strings.Index(policy, "{{scram ")
		if from < 0 {
			return policy
		}
		to := from + strings.Index(policy[from:], "}}")
		name := policy[from+len("{{scram ") : to]
		policy = strings.ReplaceAll(policy, policy[from:to+2], s.verifier(t, name))
	}
}

// verifier hashes the password of a test user with the product's own command.
func (s *Site) verifier(t testing.TB, name string) string {
	t.Helper()
	r := s.run(t, pgtest.PasswordOf(name)+"\n", "user", "hash")
	if r.Code != 0 {
		t.Fatalf("postern user hash: exit %d\n%s", r.Code, r.Stderr)
	}
	return strings.TrimSpace(r.Stdout)
}

// Command puts the command into a folder, as "postern", for scripts that type it, and returns the variable that their
// environment needs for it.
func Command(t testing.TB, folder string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(folder, "postern")); err != nil {
		t.Fatal(err)
	}
	return asPostern + "=1"
}

// Result is what a command did.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Run runs a command of postern in the site's folder and returns what it did.
func (s *Site) Run(t testing.TB, args ...string) Result {
	t.Helper()
	return s.run(t, "", append(args, "--config", s.Config)...)
}

// Must is Run for a command that has to exit 0.
func (s *Site) Must(t testing.TB, args ...string) string {
	t.Helper()
	r := s.Run(t, args...)
	if r.Code != 0 {
		t.Fatalf("postern %s: exit %d\n%s%s", strings.Join(args, " "), r.Code, r.Stdout, r.Stderr)
	}
	return r.Stdout
}

func (s *Site) run(t testing.TB, stdin string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := s.command(ctx, args...)
	var out, err bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &err
	var exit *exec.ExitError
	if e := cmd.Run(); e != nil && !errors.As(e, &exit) {
		t.Fatalf("postern %s: %v", strings.Join(args, " "), e)
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Stdout: out.String(), Stderr: err.String()}
}

// command is postern, in the site's folder, dying with the tests.
func (s *Site) command(ctx context.Context, args ...string) *exec.Cmd {
	// #nosec G204 -- the test binary itself
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir = s.Dir
	cmd.Env = append(os.Environ(), asPostern+"=1", "NO_COLOR=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Serve starts the daemon and waits until its listener answers. It is stopped when the test ends.
func (s *Site) Serve(t testing.TB) {
	t.Helper()
	args := []string{"serve", "--config", s.Config}
	if s.Name != "" {
		args = append(args, "--instance", s.Name)
	}
	cmd := s.command(context.Background(), args...)
	d := &daemon{cmd: cmd, log: &buffer{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = d.log, d.log
	started := make(chan error)
	go func() {
		// The death signal follows the thread that started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
		}
		close(d.done)
	}()
	if err := <-started; err != nil {
		t.Fatalf("postern serve: %v", err)
	}
	s.daemon = d
	t.Cleanup(func() {
		s.Stop(t)
		if t.Failed() {
			t.Logf("log of postern serve:\n%s", tail(d.log.String(), 6000))
		}
	})
	for deadline := time.Now().Add(startLimit); ; {
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port), time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-d.done:
			t.Fatalf("postern serve ended:\n%s", d.log)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("postern serve does not listen within %v:\n%s", startLimit, d.log)
		}
	}
}

// Pid is the process id of the running daemon.
func (s *Site) Pid() int { return s.daemon.cmd.Process.Pid }

// Log is what the daemon has printed.
func (s *Site) Log() string { return s.daemon.log.String() }

// Stop ends the daemon as an operator does, and waits for it.
func (s *Site) Stop(t testing.TB) {
	t.Helper()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		_ = s.daemon.cmd.Process.Signal(sig) // ended already: the wait returns at once
		select {
		case <-s.daemon.done:
			return
		case <-time.After(20 * time.Second):
			t.Errorf("postern serve does not end on signal %v", sig)
		}
	}
}

// Reload asks the daemon to read its policy again.
func (s *Site) Reload(t testing.TB) {
	t.Helper()
	if err := s.daemon.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// DSN is a connection string for the gateway: TLS that is verified, SCRAM, the store as the database.
func (s *Site) DSN(user, store string) string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s password=%s sslmode=verify-full sslrootcert=%s",
		s.Port, user, store, pgtest.PasswordOf(user), s.CA)
}

// Environ is the same as the PG* variables that clients read.
func (s *Site) Environ(user, store string) []string {
	return append(
		os.Environ(), "PGHOST=127.0.0.1", fmt.Sprintf("PGPORT=%d", s.Port), "PGUSER="+user, "PGDATABASE="+store,
		"PGPASSWORD="+pgtest.PasswordOf(user), "PGSSLMODE=verify-full", "PGSSLROOTCERT="+s.CA, "PGCONNECT_TIMEOUT=30",
	)
}

// tail is the end of a long text.
func tail(s string, n int) string {
	if len(s) > n {
		return "… " + s[len(s)-n:]
	}
	return s
}
