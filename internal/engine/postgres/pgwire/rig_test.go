package pgwire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/gateway"
	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/secret"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const anaPassword = "a long walk along the sea"

// opaque is what a trail's key makes of statements.
func opaque(t testing.TB) func(string) *audit.Opaque {
	t.Helper()
	text, err := audit.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := audit.LoadKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key.Opaque
}

// trail keeps events in memory. It can be made to fail, which the real one does when its disk is full.
type trail struct {
	mu     sync.Mutex
	n      int
	events []audit.Event
	broken atomic.Bool
}

func (r *trail) Record(_ context.Context, e audit.Event) (string, error) {
	if r.broken.Load() {
		return "", errors.New("no space left on device")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	e.ID = "ev" + strconv.Itoa(r.n)
	r.events = append(r.events, e)
	return e.ID, nil
}

func (r *trail) RecordSoon(e audit.Event) error {
	_, err := r.Record(context.Background(), e)
	return err
}

// find waits until an event satisfies match.
func (r *trail) find(t testing.TB, what string, match func(audit.Event) bool) audit.Event {
	t.Helper()
	var found audit.Event
	eventually(t, "an event: "+what, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range r.events {
			if match(e) {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// from counts the events of the client at an address.
func (r *trail) from(a net.Addr) int {
	n := 0
	for _, e := range r.all() {
		if e.Address == a.String() {
			n++
		}
	}
	return n
}

func (r *trail) all() []audit.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]audit.Event(nil), r.events...)
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// rig is a gateway in front of a real server, with a wall that one test owns.
type rig struct {
	db       *pgtest.DB
	gw       *gateway.Gateway
	server   *Server
	trail    *trail
	addr     string // of the TLS listener
	plain    string // of the one without a certificate
	socket   string // directory of the Unix socket
	ca       string
	cert     string
	role     string
	world    *pgsql.World
	upstream Upstream
	noTrip   map[uint32]struct{}

	policy  atomic.Pointer[policy.Policy]
	profile atomic.Pointer[gateway.Profile]
	denied  atomic.Pointer[gateway.Unavailable]
	conns   atomic.Pointer[func(net.Conn) net.Conn] // wraps a client's connection as the engine sees it
}

func (r *rig) Current() *policy.Policy { return r.policy.Load() }

func (r *rig) Profile(gateway.Holder) (*gateway.Profile, error) {
	if u := r.denied.Load(); u != nil {
		return nil, u
	}
	return r.profile.Load(), nil
}

// Serve lets a test wrap connections.
func (r *rig) Serve(ctx context.Context, conn net.Conn, a *gateway.Admitted) {
	if wrap := r.conns.Load(); wrap != nil {
		conn = (*wrap)(conn)
	}
	r.server.Serve(ctx, conn, a)
}

type rigOption func(*rig, *gateway.Config, *Config)

var roleNumber atomic.Int64

// newRig builds a wall by hand: public.customers is seen through a masking view, public.notes is open, public.payroll is
// hidden. The subject is ana.
func newRig(t testing.TB, c *pgtest.Cluster, options ...rigOption) *rig {
	t.Helper()
	r := &rig{trail: &trail{}, db: c.NewDatabase(t), role: fmt.Sprintf("ana_%d", roleNumber.Add(1))}
	r.buildWall(t)
	verifier, err := identity.HashPassword(secret.New(anaPassword), 4096, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := testPolicy(verifier)
	r.policy.Store(p)
	r.upstream = Upstream{Network: "unix", Address: filepath.Join(c.SocketDir, ".s.PGSQL."+strconv.Itoa(c.Port)), Database: r.db.Name, TLS: TLSDisable}
	r.cert, r.ca = writeServerCert(t)
	dir, err := os.MkdirTemp("", "pw") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r.socket = dir
	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	wire := Config{Guard: pgsql.NewGuard(0), Random: rand.Reader, Log: log, Opaque: opaque(t)}
	gc := gateway.Config{
		Listeners: []gateway.Listener{
			{Engine: "postgres", Address: "127.0.0.1:0", TLS: gateway.ListenerTLS{Cert: r.cert, Key: r.cert}},
			{Engine: "postgres", Address: "127.0.0.1:0"},
			{Engine: "postgres", Socket: filepath.Join(dir, ".s.PGSQL.5432")},
		},
		Engines: map[string]gateway.Engine{"postgres": r}, Policies: r, Profiles: r, Audit: r.trail,
		Clock: gateway.SystemClock{}, Random: rand.Reader, Log: log, Installation: make([]byte, 32),
	}
	for _, o := range options {
		o(r, &gc, &wire)
	}
	if r.server, err = NewServer(wire); err != nil {
		t.Fatal(err)
	}
	r.install(r.world)
	if r.gw, err = gateway.New(gc); err != nil {
		t.Fatal(err)
	}
	r.start(t)
	return r
}

func (r *rig) start(t testing.TB) {
	t.Helper()
	if err := r.gw.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	addrs := r.gw.Addrs()
	r.addr, r.plain = addrs[0].String(), addrs[1].String()
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- r.gw.Serve(ctx) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = r.gw.Drain(ctx) // ends what is left
		stop()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// install puts a world in force, as a policy change would.
func (r *rig) install(w *pgsql.World) {
	up := r.upstream
	r.profile.Store(&gateway.Profile{
		Name: w.Profile, Generation: w.Generation, Role: r.role, Password: secret.New(pgtest.PasswordOf(r.role)),
		Engine: &Profile{World: w, SearchPath: w.Profile, Protected: r.noTrip, Upstream: &up},
	})
}

// nextGeneration is the same world after a change of policy.
func (r *rig) nextGeneration() {
	w := *r.world
	w.Generation++
	r.world = &w
	r.install(&w)
}

func (r *rig) buildWall(t testing.TB) {
	t.Helper()
	r.db.Role(t, r.role)
	r.db.Exec(t, strings.ReplaceAll(`
		CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text, region text);
		INSERT INTO customers SELECT i, 'name ' || i, 'c' || i || '@example.test', CASE WHEN i % 2 = 0 THEN 'EU' ELSE 'US' END FROM generate_series(1, 10) i;
		CREATE TABLE notes (id int PRIMARY KEY, body text);
		CREATE TABLE gate (id int);
		CREATE TABLE payroll (id int, salary int);
		CREATE SCHEMA wall;
		CREATE VIEW wall.customers AS SELECT id, name, (left(email, 1) || '***')::text AS email, region FROM public.customers WHERE region = 'EU';
		REVOKE ALL ON SCHEMA public FROM PUBLIC;
		GRANT USAGE ON SCHEMA wall, public TO ROLE;
		GRANT SELECT ON wall.customers, gate TO ROLE;
		GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO ROLE;`, "ROLE", r.role))
	r.noTrip = map[uint32]struct{}{}
	for _, oid := range strings.Fields(r.db.Query(t, "SELECT 'public.customers'::regclass::oid UNION ALL SELECT 'public.payroll'::regclass::oid")) {
		n, err := strconv.ParseUint(oid, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		r.noTrip[uint32(n)] = struct{}{}
	}
	customers := &pgsql.Relation{
		Name: pgsql.Name{Schema: "public", Name: "customers"}, Target: pgsql.Name{Schema: "wall", Name: "customers"}, Kind: 'r', Rule: "analysts",
		Dataset: "customers", Select: true, Primary: []string{"id"}, Unique: map[string][]string{"customers_pkey": {"id"}},
		Columns: []pgsql.Column{
			{Name: "id", Type: "integer"},
			{Name: "name", Type: "text"},
			{Name: "email", Type: "text", Label: "contact.email", Mask: "partial_email"},
			{Name: "region", Type: "text"},
		},
	}
	notes := &pgsql.Relation{
		Name: pgsql.Name{Schema: "public", Name: "notes"}, Target: pgsql.Name{Schema: "public", Name: "notes"}, Kind: 'r', Open: true, Rule: "analysts",
		Dataset: "customers", Select: true, Insert: true, Update: true, Delete: true, Primary: []string{"id"}, Unique: map[string][]string{"notes_pkey": {"id"}},
		Columns: []pgsql.Column{{Name: "id", Type: "integer", Insert: true, Update: true}, {Name: "body", Type: "text", Insert: true, Update: true}},
	}
	gate := &pgsql.Relation{
		Name: pgsql.Name{Schema: "public", Name: "gate"}, Target: pgsql.Name{Schema: "public", Name: "gate"}, Kind: 'r', Open: true, Rule: "analysts",
		Dataset: "customers", Select: true, Columns: []pgsql.Column{{Name: "id", Type: "integer"}},
	}
	r.world = &pgsql.World{
		Store: "shop", Database: r.db.Name, Profile: "wall", Generation: 1, Major: r.db.Major, Schemas: []string{"public"}, Masked: true,
		Relations: map[pgsql.Name]*pgsql.Relation{customers.Name: customers, notes.Name: notes, gate.Name: gate},
		Known:     map[pgsql.Name]pgsql.Hidden{{Schema: "public", Name: "payroll"}: {Kind: 'r', Dataset: "hr"}},
		Types:     map[pgsql.Name]pgsql.Name{}, Extension: map[string]string{}, Routines: map[string]bool{}, Operators: map[string]bool{},
		Timeouts: map[string]int64{},
	}
}

func testPolicy(verifier string) *policy.Policy {
	return &policy.Policy{
		Stores:   map[string]*policy.Store{"shop": {Name: "shop", Engine: "postgres", Database: "shop", Schemas: []string{"public"}}},
		Groups:   map[string]*policy.Group{"analysts": {Name: "analysts", Members: []string{"ana"}}},
		Users:    map[string]*policy.User{"ana": {Name: "ana", SCRAM: verifier}, "bob": {Name: "bob", SCRAM: verifier}},
		Datasets: map[string]*policy.Dataset{"customers": {Name: "customers", Include: []policy.TablePattern{{Store: "shop"}}}},
		Rules:    []*policy.Rule{{Name: "analysts", To: []string{"group:analysts"}, On: "customers", Level: policy.Read, Enabled: true}},
		Network:  []*policy.NetworkRule{{Any: true, Local: true, Auth: policy.AuthSCRAM}},
		Digest:   "d1",
	}
}

// dsn is a connection string for psql and pgx.
func (r *rig) dsn(addr, more string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		host, port = addr, "5432"
	}
	return fmt.Sprintf("host=%s port=%s user=ana dbname=shop password='%s' %s", host, port, anaPassword, more)
}

// psql runs a script and returns what it printed.
func (r *rig) psql(t testing.TB, dsn, script string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "psql", append([]string{"-X", "-A", "-t", "-q", "-v", "VERBOSITY=verbose", dsn}, args...)...)
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), "PGCONNECT_TIMEOUT=20")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (r *rig) connect(t testing.TB, more string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), r.dsn(r.plain, "sslmode=disable "+more))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// writeServerCert makes a self-signed ECDSA certificate for 127.0.0.1; key and certificate are in one file.
func writeServerCert(t testing.TB) (pemFile, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pemFile = filepath.Join(t.TempDir(), "server.pem")
	writeCert(t, pemFile, key, &key.PublicKey, key)
	return pemFile, pemFile
}

func writeCert(t testing.TB, file string, signer any, public any, private any) {
	t.Helper()
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "127.0.0.1"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// testWriter sends the log to the test.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	if testing.Verbose() {
		fmt.Fprintf(os.Stderr, "%s: %s", w.t.Name(), b)
	}
	return len(b), nil
}
