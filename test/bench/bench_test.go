package bench

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/test/site"
)

var (
	seconds = flag.Int("seconds", 3, "length of one pgbench run")
	rounds  = flag.Int("rounds", 3, "runs of each cell; the median counts")
	write   = flag.String("write", "", "Markdown file whose generated part is replaced")
	only    = flag.String("only", "", "the protocols to run, as \"simple\" or \"simple,prepared\"; empty: all")
)

// asRelay makes a child the relay, so that its CPU time is its own.
const asRelay = "POSTERN_TEST_RUN_AS_RELAY"

func TestMain(m *testing.M) {
	if addresses := os.Getenv(asRelay); addresses != "" {
		from, to, _ := strings.Cut(addresses, " ")
		l, err := net.Listen("tcp", from)
		if err == nil {
			err = Relay(l, to)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	site.Main(m)
}

// peer is one way to the server. Peers of a group run the same statement on the same relations with the same rights:
// what masks and filters cost the server is in all of its figures, the direct one too.
type peer struct {
	group    string
	name     string
	port     int
	user     string
	password string
	pid      int // whose CPU time is counted, 0: nobody's
}

// key is the peer's name within all groups.
func (p peer) key() string { return p.group + ", " + p.name }

// groups are the columns of the table.
var groups = [...]string{"open", "masked and filtered"}

// cell is one line of the table.
type cell struct {
	mode    string
	clients int
}

func cells() []cell {
	var out []cell
	for _, mode := range []string{"simple", "extended", "prepared"} {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), mode) {
			continue
		}
		for _, clients := range []int{1, 8, 32} {
			out = append(out, cell{mode, clients})
		}
	}
	return out
}

// TestRelay: the yardstick relays. One that is broken would be easy to beat.
func TestRelay(t *testing.T) {
	c := pgtest.Default(t)
	c.Role(t, "ann")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- Relay(l, fmt.Sprintf("127.0.0.1:%d", c.Port)) }()
	out := psql(t, l.Addr().(*net.TCPAddr).Port, "ann", "postgres", "SELECT current_user, count(*) FROM generate_series(1, 10000)")
	if out != "ann|10000\n" {
		t.Errorf("through the relay: %q", out)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func psql(t testing.TB, port int, user, database, sql string) string {
	t.Helper()
	cmd := exec.Command("psql", "-XAtq", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-U", user, "-d", database, "-c", sql)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+pgtest.PasswordOf(user), "PGSSLMODE=prefer")
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, errors.String())
	}
	return string(out)
}

// BenchmarkGateway makes the table of docs/benchmarks.md.
func BenchmarkGateway(b *testing.B) {
	peers := startPeers(b)
	for range b.N {
		tps := map[cell]map[string]float64{}
		cpu := map[string]float64{}
		total := map[string]float64{}
		for _, c := range cells() {
			runs := map[string][]float64{}
			for range *rounds {
				for _, p := range peers {
					before := cpuSeconds(b, p.pid)
					n := pgbench(b, p, load{mode: c.mode, clients: c.clients, sslmode: "disable"})
					runs[p.key()] = append(runs[p.key()], n)
					cpu[p.key()] += cpuSeconds(b, p.pid) - before
					total[p.key()] += n * float64(*seconds)
				}
			}
			tps[c] = map[string]float64{}
			for name, list := range runs {
				tps[c][name] = median(list)
			}
			b.Logf("%s, %d clients: %s", c.mode, c.clients, line(peers, tps[c]))
		}
		table := markdown(tps, cpu, total)
		fmt.Println(table)
		if *write != "" && *only == "" {
			replaceGenerated(b, *write, generatedFrom, table)
		}
		for _, c := range cells() {
			for _, g := range groups {
				if gateway, relay := tps[c][g+", gateway"], tps[c][g+", relay"]; gateway <= relay {
					b.Errorf("%s, %d clients, %s: the gateway does %.0f a second, the plain relay %.0f", c.mode, c.clients, g, gateway, relay)
				}
			}
		}
	}
}

// startPeers starts the server, the relay and the gateway.
func startPeers(b *testing.B) []peer {
	b.Helper()
	c, s := startSite(b)
	s.Serve(b)
	port, pid := startRelay(b, c.Port)
	wall := postgres.IdentityPassword(secret.New(s.RootKey), s.DB.Query(b, "SELECT system_identifier FROM pg_control_system()"), "masked", 1).Reveal()
	return []peer{
		{groups[0], "direct", c.Port, "direct", pgtest.PasswordOf("direct"), 0},
		{groups[0], "relay", port, "direct", pgtest.PasswordOf("direct"), pid},
		{groups[0], "gateway", s.Port, "whole", pgtest.PasswordOf("whole"), s.Pid()},
		{groups[1], "direct", c.Port, "masked", wall, 0},
		{groups[1], "relay", port, "masked", wall, pid},
		{groups[1], "gateway", s.Port, "masked", pgtest.PasswordOf("masked"), s.Pid()},
	}
}

// startSite starts the server and installs Postern on it; the gateway does not run yet.
func startSite(b *testing.B) (*pgtest.Cluster, *site.Site) {
	b.Helper()
	c := pgtest.Start(b, pgtest.DefaultMajor, pgtest.Setting("shared_buffers", "256MB"), pgtest.Setting("max_connections", "200"))
	c.Role(b, "app_owner", "NOLOGIN")
	c.Role(b, "direct")
	db := c.NewDatabaseNamed(b, "bench")
	db.Exec(b, `GRANT CREATE, USAGE ON SCHEMA public TO app_owner; SET ROLE app_owner;
		CREATE TABLE pgbench_accounts(aid int PRIMARY KEY, bid int, abalance int, filler char(84));
		INSERT INTO pgbench_accounts SELECT a, 1, 0, '' FROM generate_series(1, 100000) a;
		GRANT SELECT ON pgbench_accounts TO direct; RESET ROLE`)
	db.Exec(b, "VACUUM ANALYZE")
	s := site.New(b, db, policyText(b, "off"))
	s.Apply(b)
	return c, s
}

// policyText is the policy with a share of results to look at.
func policyText(b *testing.B, classify string) string {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "postern.yaml"))
	if err != nil {
		b.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "{{classify}}", classify)
}

// startRelay runs the relay as a process of its own.
func startRelay(b *testing.B, server int) (port, pid int) {
	b.Helper()
	port, err := pgtest.FreePort()
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=127.0.0.1:%d 127.0.0.1:%d", asRelay, port, server))
	if err := cmd.Start(); err != nil {
		cancel()
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = conn.Close()
			return port, cmd.Process.Pid
		}
	}
	b.Fatal("the relay does not listen")
	return 0, 0
}

// tpsLine is pgbench's own figure.
var tpsLine = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \((?:without|including)`)

// load is what pgbench does.
type load struct {
	mode    string
	clients int
	sslmode string
	connect bool   // anew for each transaction
	script  string // of testdata; empty: select.sql
}

// pgbench runs a load against one peer and returns transactions a second.
func pgbench(b *testing.B, p peer, l load) float64 {
	b.Helper()
	threads := min(l.clients, runtime.NumCPU())
	if l.script == "" {
		l.script = "select.sql"
	}
	args := []string{
		"-n", "-f", filepath.Join("testdata", l.script), "-M", l.mode, "-c", strconv.Itoa(l.clients), "-j", strconv.Itoa(threads),
		"-T", strconv.Itoa(*seconds), "-h", "127.0.0.1", "-p", strconv.Itoa(p.port), "-U", p.user,
	}
	if l.connect {
		args = append(args, "-C")
	}
	cmd := exec.Command(pgbenchPath(b), append(args, "bench")...)
	cmd.Env = append(os.Environ(), "PGPASSWORD="+p.password, "PGSSLMODE="+l.sslmode, "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	m := tpsLine.FindSubmatch(out)
	if err != nil || m == nil {
		b.Fatalf("pgbench, %s: %v\n%s", p.key(), err, out)
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// pgbenchPath finds pgbench, which Debian keeps off the PATH.
func pgbenchPath(b *testing.B) string {
	b.Helper()
	if name, err := exec.LookPath("pgbench"); err == nil {
		return name
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench") // the pattern is well formed
	if len(found) == 0 {
		b.Fatal("pgbench is not installed: run `build/prepare bench`")
	}
	return found[len(found)-1]
}

// cpuSeconds is the processor time that a process has used.
func cpuSeconds(b *testing.B, pid int) float64 {
	b.Helper()
	if pid == 0 {
		return 0
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	// Fields after the name, which ends with the last parenthesis; 12 and 13 are utime and stime in ticks of 10 ms.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+2:]))
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	if err1 != nil || err2 != nil {
		b.Fatalf("/proc/%d/stat: %q", pid, text)
	}
	return (user + system) / 100
}

func median(list []float64) float64 {
	s := append([]float64{}, list...)
	sort.Float64s(s)
	return s[len(s)/2]
}

func line(peers []peer, tps map[string]float64) string {
	var out []string
	for _, p := range peers {
		out = append(out, fmt.Sprintf("%s %.0f", p.key(), tps[p.key()]))
	}
	return strings.Join(out, "; ")
}

// markdown writes the table: shares of the direct connection of the same group, which is there in figures so that a
// reader sees the machine.
func markdown(tps map[cell]map[string]float64, cpu, total map[string]float64) string {
	var out strings.Builder
	fmt.Fprint(&out, "| protocol, clients |")
	for _, g := range groups {
		fmt.Fprintf(&out, " %s: direct, a second | relay | gateway |", g)
	}
	fmt.Fprintf(&out, "\n|---|%s\n", strings.Repeat("--:|", 3*len(groups)))
	for _, c := range cells() {
		fmt.Fprintf(&out, "| %s, %d |", c.mode, c.clients)
		for _, g := range groups {
			direct := tps[c][g+", direct"]
			fmt.Fprintf(&out, " %.0f | %.2f | %.2f |", direct, tps[c][g+", relay"]/direct, tps[c][g+", gateway"]/direct)
		}
		fmt.Fprintln(&out)
	}
	fmt.Fprint(&out, "| CPU s per 100,000 |")
	for _, g := range groups {
		share := func(name string) float64 { return cpu[g+", "+name] / total[g+", "+name] * 100000 }
		fmt.Fprintf(&out, " | %.1f | %.1f |", share("relay"), share("gateway"))
	}
	fmt.Fprintf(&out, "\n\n%d runs of %d s each, medians; PostgreSQL %d, pgbench, gateway and server on the same machine with %d cores, loopback without TLS, audit sync 100ms.\n",
		*rounds, *seconds, pgtest.DefaultMajor, runtime.NumCPU())
	return out.String()
}

// The generated parts of docs/benchmarks.md stand between these lines.
const (
	generatedFrom = "<!-- generated by make bench -->\n"
	costsFrom     = "<!-- costs, generated by make bench -->\n"
	classifyFrom  = "<!-- classify_results, generated by make bench -->\n"
	portalFrom    = "<!-- generated by make bench-portal -->\n"
	generatedTo   = "<!-- end -->\n"
)

// replaceGenerated puts a table between the line from and the next end.
func replaceGenerated(b *testing.B, name, from, table string) {
	b.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), from)
	_, after, ok2 := strings.Cut(rest, generatedTo)
	if !ok1 || !ok2 {
		b.Fatalf("%s has no generated part", name)
	}
	if err := os.WriteFile(name, []byte(before+from+"\n"+table+"\n"+generatedTo+after), 0o600); err != nil {
		b.Fatal(err)
	}
}
