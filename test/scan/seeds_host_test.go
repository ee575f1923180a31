package scan_test

import (
	"bytes"
	cryptorand "crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// machine is what seeds of the host and the network change: a server, its files, and a folder that everybody may enter.
type machine struct {
	t        *testing.T
	c        *pgtest.Cluster
	dir      string
	uid, gid int
}

func (m *machine) write(name string, text []byte, mode os.FileMode, uid, gid int) string {
	m.t.Helper()
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(m.dir, name)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		m.t.Fatal(err)
	}
	m.own(path, mode, uid, gid)
	return path
}

func (m *machine) own(path string, mode os.FileMode, uid, gid int) {
	m.t.Helper()
	if err := os.Chown(path, uid, gid); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) data(name string) string { return filepath.Join(m.c.DataDir, name) }

// stranger runs a program as an account that has nothing to do with the server, and reports whether it worked.
func (m *machine) stranger(args ...string) bool {
	cmd := exec.CommandContext(m.t.Context(), args[0], args[1:]...) // #nosec G204 -- a test's own words
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 54321, Gid: 54321}}
	return cmd.Run() == nil
}

// hostSeed is a fault of the server's host or network and its near miss. before happens before the server reads its configuration, after
// when it has done so.
type hostSeed struct {
	seed
	before, after func(m *machine, fault bool)
	holds         func(m *machine) bool // the oracle: somebody else really can, or the server really does
}

// either sets a setting to one of two values.
func either(name, fault, near string) func(*machine, bool) {
	return func(m *machine, is bool) {
		v := near
		if is {
			v = fault
		}
		m.c.Exec(m.t, "ALTER SYSTEM SET "+name+" = "+v)
	}
}

// oneOf is a when it is a fault, else b.
func oneOf[T any](fault bool, a, b T) T {
	if fault {
		return a
	}
	return b
}

func hostSeeds() []hostSeed {
	return []hostSeed{
		{
			seed: seed{name: "a key that others read", fires: []string{"TLS-021 key.pem"}},
			before: func(m *machine, _ bool) {
				a := m.authorities()
				m.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(a.keys[2048])}), 0o640, 0, m.gid)
				m.c.Exec(m.t, "ALTER SYSTEM SET ssl_key_file = '"+filepath.Join(m.dir, "key.pem")+"'")
			},
			after: func(m *machine, fault bool) {
				m.own(filepath.Join(m.dir, "key.pem"), oneOf[os.FileMode](fault, 0o644, 0o640), 0, m.gid)
			},
			holds: func(m *machine) bool { return m.stranger("cat", filepath.Join(m.dir, "key.pem")) },
		},
		{
			seed: seed{name: "authorities of everybody", fires: []string{"TLS-026 roots.pem"}},
			before: func(m *machine, fault bool) {
				root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: m.authorities().root.Raw})
				m.write("roots.pem", bytes.Repeat(root, oneOf(fault, 140, 2)), 0o644, 0, 0)
				m.c.Exec(m.t, "ALTER SYSTEM SET ssl_ca_file = '"+filepath.Join(m.dir, "roots.pem")+"'")
			},
		},
		{
			seed: seed{name: "a list that ended", fires: []string{"TLS-028 revoked.pem"}},
			before: func(m *machine, fault bool) {
				m.revocations(time.Now().Add(oneOf(fault, -time.Hour, day)))
			},
		},
		{
			seed: seed{name: "a certificate that was not read", fires: []string{"TLS-029 seed.crt"}},
			after: func(m *machine, fault bool) {
				at := time.Now().Add(oneOf(fault, time.Minute, -time.Hour))
				if err := os.Chtimes(m.data("seed.crt"), at, at); err != nil {
					m.t.Fatal(err)
				}
			},
		},
		{
			seed: seed{name: "configuration that others read", fires: []string{"SEC-011 postgresql.conf"}},
			after: func(m *machine, fault bool) {
				m.own(m.data("postgresql.conf"), oneOf[os.FileMode](fault, 0o644, 0o640), m.uid, m.gid)
			},
		},
		{
			seed: seed{name: "a data directory that others enter", fires: []string{"SEC-010 data"}},
			after: func(m *machine, fault bool) {
				m.own(m.c.DataDir, oneOf[os.FileMode](fault, 0o755, 0o750), m.uid, m.gid)
			},
			holds: func(m *machine) bool { return m.stranger("ls", m.c.DataDir) },
		},
		{
			seed: seed{name: "somebody else's file among the data", fires: []string{"SEC-012 run.sh"}},
			after: func(m *machine, fault bool) {
				m.write(oneOf(fault, m.data("run.sh"), m.data("backup_label.old")), []byte("x\n"), oneOf[os.FileMode](fault, 0o777, 0o600), m.uid, m.gid)
			},
		},
		{
			seed: seed{name: "a program that others write", from: 14, fires: []string{"SEC-030 restore.sh"}},
			before: func(m *machine, fault bool) {
				m.write("restore.sh", []byte("#!/bin/sh\n"), oneOf[os.FileMode](fault, 0o777, 0o755), 0, 0)
				m.c.Exec(m.t, "ALTER SYSTEM SET restore_command = '"+filepath.Join(m.dir, "restore.sh")+" %p'")
			},
			holds: func(m *machine) bool { return m.stranger("sh", "-c", `: >> "$0"`, filepath.Join(m.dir, "restore.sh")) },
		},
		{
			seed:   seed{name: "a password in a setting", fires: []string{"SEC-007 primary_conninfo"}},
			before: either("primary_conninfo", "'host=db1 sslmode=verify-full sslrootcert=/r password=hunter2hunter2'", "'host=db1 sslmode=verify-full sslrootcert=/r passfile=/p'"),
		},
		{
			seed:   seed{name: "a command at the end of recovery", fires: []string{"SEC-031 recovery_end_command"}},
			before: either("recovery_end_command", "'/bin/true'", "''"),
		},
		{seed: seed{name: "damaged pages", fires: []string{"SEC-024 zero_damaged_pages"}}, before: either("zero_damaged_pages", "on", "'no'")},
		{
			// Behind the reload, which such a file ends.
			seed: seed{name: "a mistake in the file", fires: []string{"SEC-009 nonsense"}},
			after: func(m *machine, fault bool) {
				f, err := os.OpenFile(m.data("postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					m.t.Fatal(err)
				}
				if _, err := f.WriteString(oneOf(fault, "nonsense = 1\n", "# nonsense = 1\n")); err != nil {
					m.t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					m.t.Fatal(err)
				}
			},
		},
		{
			seed: seed{name: "time to guess", fires: []string{"NET-016 authentication_timeout"}}, before: either("authentication_timeout", "'61s'", "'1min'"),
			holds: func(m *machine) bool {
				return m.c.Query(m.t, "SELECT setting::int > 60 FROM pg_settings WHERE name = 'authentication_timeout'") == "t"
			},
		},
		{
			seed: seed{name: "an address that waits for a start", fires: []string{"NET-004 listen_addresses"}}, before: either("listen_addresses", "'127.0.0.1,::1'", "'127.0.0.1'"),
			holds: func(m *machine) bool {
				return m.c.Query(m.t, "SELECT pending_restart FROM pg_settings WHERE name = 'listen_addresses'") == "t"
			},
		},
		{
			seed:   seed{name: "dead clients", from: 14, fires: []string{"NET-015 client_connection_check_interval"}},
			before: either("client_connection_check_interval", "0", "'10s'"),
		},
		{
			seed: seed{name: "a role that takes all slots", fires: []string{"NET-017 s_greedy"}},
			before: func(m *machine, fault bool) {
				m.c.Exec(m.t, "DROP ROLE IF EXISTS s_greedy; CREATE ROLE s_greedy LOGIN CONNECTION LIMIT "+oneOf(fault, "100", "5"))
			},
		},
	}
}

func (m *machine) authorities() *authorities {
	m.t.Helper()
	a, err := tlsAuthorities()
	if err != nil {
		m.t.Fatal(err)
	}
	return a
}

// revocations writes a list of the authority's that names nobody.
func (m *machine) revocations(until time.Time) {
	m.t.Helper()
	a := m.authorities()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-10 * day), NextUpdate: until}
	der, err := x509.CreateRevocationList(cryptorand.Reader, list, a.root, a.rootKey)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("revoked.pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o644, 0, 0)
	m.c.Exec(m.t, "ALTER SYSTEM SET ssl_crl_file = '"+filepath.Join(m.dir, "revoked.pem")+"'")
}

// hostSeeded are the checks that these seeds are judged by: those of the server's own files and of its network. What else runs on the
// machine would change the others from one moment to the next.
var hostSeeded = []string{"NET", "TLS", "SEC-007", "SEC-009", "SEC-010", "SEC-011", "SEC-012", "SEC-016", "SEC-024", "SEC-026", "SEC-029", "SEC-030", "SEC-031", "EXT-007", "EXT-008"}

// seedHost makes one machine with these faults, and near misses of the others, and judges it.
func seedHost(t *testing.T, c *pgtest.Cluster, rnd *rand.Rand, quiet *calm, faults ...string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "postern-seeds-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	info, err := os.Stat(c.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	m := &machine{t: t, c: c, dir: dir, uid: int(st.Uid), gid: int(st.Gid)}
	m.own(dir, 0o755, 0, 0)
	m.own(filepath.Dir(c.DataDir), 0o711, m.uid, m.gid) // so that the modes inside decide
	m.own(c.DataDir, 0o700, m.uid, m.gid)
	conf, err := os.ReadFile(m.data("postgresql.conf"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		m.write(m.data("postgresql.conf"), conf, 0o600, m.uid, m.gid)
		_ = os.Remove(m.data("run.sh")) // whichever was made
		_ = os.Remove(m.data("backup_label.old"))
		putBack(t, c)
	}()
	all := slices.DeleteFunc(hostSeeds(), func(s hostSeed) bool { return s.from > c.Major })
	rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var put []seed
	soundTLS().install(t, c)
	for i := range all {
		s := &all[i]
		fault := slices.Contains(faults, s.name)
		if fault {
			put = append(put, s.seed)
		}
		if s.before != nil {
			s.before(m, fault)
		}
	}
	before := c.Query(t, "SELECT pg_conf_load_time()")
	c.Exec(t, "SELECT pg_reload_conf()")
	awaitReload(t, c, before)
	for i := range all {
		if all[i].after != nil {
			all[i].after(m, slices.Contains(faults, all[i].name))
		}
	}
	db := &pgtest.DB{Cluster: c, Name: "postgres"}
	awaitAlone(t, db)
	target, err := postgres.ScanDSN(db.DSN(pgtest.SuperUser))
	if err != nil {
		t.Fatal(err)
	}
	e, err := target.Gather(t.Context(), postgres.Gather{Databases: []string{"postgres"}, Now: time.Now(), HostRoot: "/"})
	if err != nil {
		t.Fatal(err)
	}
	if e.Host == nil {
		t.Fatalf("the host was not looked at: %+v", e.Missing(catalog.FactHost, ""))
	}
	env := newEnv(t)
	env.Now, env.Expect = time.Now(), &scan.Expect{Commands: []string{}}
	r, err := scan.Run(e, env, scan.Options{Only: hostSeeded})
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		s := &all[i]
		fault := slices.Contains(faults, s.name)
		s.found(t, r, fault)
		if s.holds != nil && s.holds(m) != fault {
			t.Errorf("%s: fault %v, and the machine says otherwise", s.name, fault)
		}
	}
	quiet.compare(t, dir, r, put)
	if t.Failed() {
		t.Fatalf("the faults were: %s", strings.Join(faults, ", "))
	}
}

// hostServers is how many random machines a run makes; POSTERN_SEEDED_SERVERS asks for more.
const hostServers = 2

// TestSeededHost makes random machines with faults of files and of the network. An account that has nothing to do with the server tries
// what the fault would let it do. It takes root, as a scan that may read everything does.
func TestSeededHost(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not root: files cannot be given to other accounts, and no machine is made")
		return
	}
	total := hostServers
	if n, err := strconv.Atoi(os.Getenv("POSTERN_SEEDED_SERVERS")); err == nil {
		total = n / 5
	}
	majors := pgtest.Majors(t)
	seedOf := seedOfRun(t, "POSTERN_SEED")
	for k, major := range majors {
		if k >= total {
			break
		}
		t.Run(fmt.Sprintf("pg%d", major), func(t *testing.T) {
			c := pgtest.Start(t, major)
			rnd := rand.New(rand.NewPCG(seedOf, uint64(major))) //nolint:gosec // a test's choices
			var quiet calm
			seedHost(t, c, rnd, &quiet)
			for i := k; i < total; i += len(majors) {
				seedHost(t, c, rnd, &quiet, someHostSeeds(rnd, major)...)
			}
		})
	}
}

// someHostSeeds names one to eight seeds that a major has.
func someHostSeeds(rnd *rand.Rand, major int) []string {
	var names []string
	for _, s := range hostSeeds() {
		if s.from <= major {
			names = append(names, s.name)
		}
	}
	rnd.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return names[:1+rnd.IntN(8)]
}
