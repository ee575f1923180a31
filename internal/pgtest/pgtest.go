// Package pgtest gives tests real PostgreSQL servers, 13 to 18, on Unix sockets and 127.0.0.1.
//
// A test package says once that it uses servers, and then asks for them:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestInspect(t *testing.T) {
//		pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
//			db := c.NewDatabase(t)
//			db.Exec(t, "CREATE TABLE customers(id int)")
//			conn := db.Connect(t, "postgres")
//			…
//		})
//	}
//
// Cluster(t, 15) and EachMajor share one cluster per major and test binary, started when first asked for and
// stopped by Main. Start(t, 15, options…) makes one that belongs to the test alone: roles are cluster-wide, so a
// test that creates fixed role names and runs beside others, or changes settings, takes its own (0.7 s).
//
// Every role logs in with a password (SCRAM), on the socket and over TCP: PasswordOf(user) for the roles made by
// Role and Provisioner, and DSN fills it in. Only the superuser "postgres" is trusted, and only on the socket.
// TLS is on; Cluster.CA is the certificate authority's file.
//
// Servers run as an unprivileged user when the tests run as root, with fsync off, and die with the test
// binary, also when it panics or is killed. The binaries come from test/pg/fetch; a missing one fails the test
// with that remedy and never skips it. POSTERN_TEST_MAJORS=15,18 narrows EachMajor for work on one machine.
//
// The package is for tests only. It may use pgx, which production code reaches through engine/postgres alone,
// because it must be able to look at a server without the code under test.
package pgtest

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// DefaultMajor is the server for tests that need one server and not every one.
const DefaultMajor = 15

// SuperUser is the name of the bootstrap superuser of every cluster.
const SuperUser = "postgres"

// shared holds the clusters of this test binary. They outlive the test that started them, which is why this
// state belongs to the package and not to a test; Main ends it.
var shared = struct {
	sync.Mutex
	main     bool
	clusters map[int]*Cluster
}{clusters: map[int]*Cluster{}}

// Main runs the tests of a package and stops the shared clusters after them. Call it from TestMain; it does not
// return.
func Main(m *testing.M) {
	os.Exit(Run(m))
}

// Run is Main without the exit, for a TestMain that has something of its own to clean up.
func Run(m *testing.M) int {
	shared.Lock()
	shared.main = true
	shared.Unlock()
	sweep()
	defer func() {
		shared.Lock()
		defer shared.Unlock()
		for major, c := range shared.clusters {
			c.Stop()
			delete(shared.clusters, major)
		}
	}()
	return m.Run()
}

// Majors lists the majors that tests run against: 13 to 18, or those named by POSTERN_TEST_MAJORS.
func Majors(t testing.TB) []int {
	t.Helper()
	pins, err := readPins()
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, p := range pins {
		all = append(all, p.major)
	}
	only := os.Getenv("POSTERN_TEST_MAJORS")
	if only == "" {
		return all
	}
	var some []int
	for _, word := range strings.Split(only, ",") {
		major, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil {
			t.Fatalf("POSTERN_TEST_MAJORS=%q: %v", only, err)
		}
		some = append(some, major)
	}
	return some
}

// EachMajor runs f as a subtest "pg15" on the shared cluster of every major, one after the other.
func EachMajor(t *testing.T, f func(t *testing.T, c *Cluster)) {
	t.Helper()
	for _, major := range Majors(t) {
		t.Run(fmt.Sprintf("pg%d", major), func(t *testing.T) { f(t, Shared(t, major)) })
	}
}

// Shared returns the cluster of a major that all tests of the binary share.
func Shared(t testing.TB, major int) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.main {
		t.Fatal("pgtest: no TestMain calls pgtest.Main, so nothing would stop the server")
	}
	if c := shared.clusters[major]; c != nil {
		return c
	}
	c, err := start(major, settings{})
	if err != nil {
		t.Fatal(err)
	}
	shared.clusters[major] = c
	return c
}

// Default returns the shared cluster of DefaultMajor.
func Default(t testing.TB) *Cluster {
	t.Helper()
	return Shared(t, DefaultMajor)
}

// Start starts a cluster for one test, stopped when the test ends.
func Start(t testing.TB, major int, options ...Option) *Cluster {
	t.Helper()
	var s settings
	for _, o := range options {
		o(&s)
	}
	c, err := start(major, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if log := c.Log(); t.Failed() && testing.Verbose() {
			t.Logf("end of the server's log:\n%s", log[max(0, len(log)-loggedTail):])
		}
		c.Stop()
	})
	return c
}

// loggedTail is how much of a server's log a failed test shows.
const loggedTail = 4000

// settings is what a cluster can be asked for.
type settings struct {
	conf  []string
	hba   []string
	enter func() error
}

// Option changes a cluster that Start makes.
type Option func(*settings)

// Setting adds a line to postgresql.conf.
func Setting(name, value string) Option {
	return func(s *settings) {
		s.conf = append(s.conf, fmt.Sprintf("%s = '%s'", name, strings.ReplaceAll(value, "'", "''")))
	}
}

// HBA puts lines in front of the pg_hba.conf lines that every cluster has.
func HBA(lines ...string) Option {
	return func(s *settings) { s.hba = append(s.hba, lines...) }
}

// Network makes the server live in a network of the test's own: enter is called on the thread that starts it, which then ends with it. The
// Unix socket works from anywhere.
func Network(enter func() error) Option {
	return func(s *settings) { s.enter = enter }
}
