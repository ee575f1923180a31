package scan_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
)

// gate stands before a server and lets connections in only when enough of them are there together.
type gate struct {
	listener net.Listener
	server   string
	together int

	mu         sync.Mutex
	open, most int
	total      int
	opened     chan struct{}
}

func newGate(t *testing.T, c *pgtest.Cluster, together int) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: l, server: filepath.Join(c.SocketDir, ".s.PGSQL."+strconv.Itoa(c.Port)), together: together, opened: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { g.pass(t, client) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return g
}

// pass relays a connection. The first of all, which learns what databases there are, waits for nobody.
func (g *gate) pass(t *testing.T, client net.Conn) {
	defer client.Close()
	g.mu.Lock()
	g.open++
	g.total++
	g.most = max(g.most, g.open)
	first := g.total == 1
	if !first && g.open == g.together {
		select {
		case <-g.opened:
		default:
			close(g.opened)
		}
	}
	g.mu.Unlock()
	if !first {
		select {
		case <-g.opened:
		case <-time.After(30 * time.Second):
			t.Errorf("%d connections never came together", g.together)
			return
		}
	}
	server, err := net.Dial("unix", g.server)
	if err != nil {
		t.Error(err)
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.Copy(server, client) // either side may end
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
	// The scan waits for the server's end of a connection, so this one counts as gone before the end is passed on.
	g.mu.Lock()
	g.open--
	g.mu.Unlock()
	_ = client.Close()
	wg.Wait()
}

func gatherWith(t *testing.T, dsn string, g postgres.Gather) *catalog.Evidence {
	t.Helper()
	target, err := postgres.ScanDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	g.Now = today
	e, err := target.Gather(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// settled is evidence as text, without what changes between two looks at a server that nobody uses.
func settled(t *testing.T, e *catalog.Evidence) string {
	t.Helper()
	e.Server.Now, e.Server.Activity, e.Server.Address, e.Server.OverTCP = time.Time{}, nil, "", false
	text, err := json.MarshalIndent(e, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDatabasesAtOnce: databases are looked at several at once, never more than was said, over one connection each, and the evidence is the
// same as one after another.
func TestDatabasesAtOnce(t *testing.T) {
	t.Parallel()
	c := pgtest.Start(t, pgtest.DefaultMajor)
	first := c.NewDatabase(t)
	for i := range 9 {
		db := c.NewDatabaseNamed(t, fmt.Sprintf("several%d", i))
		db.Exec(t, fmt.Sprintf("CREATE SCHEMA s%d; CREATE TABLE s%d.t%d(a int); GRANT SELECT ON s%d.t%d TO PUBLIC", i, i, i, i, i))
	}
	c.Exec(t, "CREATE DATABASE closed ALLOW_CONNECTIONS false")
	one := settled(t, gatherWith(t, first.DSN(pgtest.SuperUser), postgres.Gather{Jobs: 1}))
	for range 3 {
		g := newGate(t, c, 4)
		_, port, _ := net.SplitHostPort(g.listener.Addr().String())
		var names []string
		e := gatherWith(t, first.DSN(pgtest.SuperUser)+" host=127.0.0.1 port="+port, postgres.Gather{Progress: func(name string) { names = append(names, name) }})
		entered := len(e.Databases)
		if four := settled(t, e); four != one {
			t.Errorf("four at once see\n%s\none after another\n%s", four, one)
		}
		if g.most != 4 || g.total != entered || len(names) != entered || names[0] != first.Name {
			t.Errorf("%d connections at most, %d in all, for %d databases, of which %v were announced", g.most, g.total, entered, names)
		}
	}
}

// TestFewConnections: a login that may have one connection at a time, or two, is looked at whole all the same.
func TestFewConnections(t *testing.T) {
	t.Parallel()
	c := pgtest.Start(t, pgtest.DefaultMajor)
	first := c.NewDatabase(t)
	for i := range 6 {
		c.NewDatabaseNamed(t, fmt.Sprintf("few%d", i))
	}
	c.Role(t, "sparse")
	for _, limit := range []int{1, 2} {
		c.Exec(t, fmt.Sprintf("ALTER ROLE sparse CONNECTION LIMIT %d", limit))
		e := gatherWith(t, first.DSN("sparse"), postgres.Gather{})
		for _, u := range e.Unseen {
			if u.Broken {
				t.Errorf("limit %d: %s of %q was not seen: %s", limit, u.Fact, u.Database, u.Why)
			}
		}
		var names []string
		for _, d := range e.Databases {
			names = append(names, d.Database.Name)
		}
		if !slices.Contains(names, "few5") || len(names) != 9 || !slices.IsSorted(names) { // with postgres and template1
			t.Errorf("limit %d: saw %v", limit, names)
		}
	}
	held := first.Connect(t, "sparse") // somebody else has the one that is left
	defer held.Close(t.Context())
	c.Exec(t, "ALTER ROLE sparse CONNECTION LIMIT 2")
	other := c.NewDatabaseNamed(t, "few9")
	c.Exec(t, "ALTER DATABASE few9 CONNECTION LIMIT 0")
	e := gatherWith(t, first.DSN("sparse"), postgres.Gather{})
	if i := slices.IndexFunc(e.Unseen, func(u catalog.Unseen) bool { return u.Database == other.Name && u.Broken }); i < 0 {
		t.Errorf("a database that lets nobody in is not noted: %+v", e.Unseen)
	}
	if len(e.Databases) != 9 {
		t.Errorf("saw %d databases", len(e.Databases))
	}
}

// TestWhichDatabases: a connection string without a database means that of the role's name, once, and a wanted database that is not there is
// said to be missing.
func TestWhichDatabases(t *testing.T) {
	c := pgtest.Start(t, pgtest.DefaultMajor)
	c.NewDatabaseNamed(t, "there")
	c.Exec(t, "CREATE DATABASE closed ALLOW_CONNECTIONS false")
	dsn := fmt.Sprintf("host=%s port=%d user=postgres", c.SocketDir, c.Port)
	t.Setenv("PGDATABASE", "")
	seen := func(e *catalog.Evidence) (names []string) {
		for _, d := range e.Databases {
			names = append(names, d.Database.Name)
		}
		return names
	}
	if got := seen(gatherWith(t, dsn, postgres.Gather{})); !slices.Equal(got, []string{"postgres", "template1", "there"}) {
		t.Errorf("saw %q", got)
	}
	e := gatherWith(t, dsn, postgres.Gather{Databases: []string{"there", "closed", "absent"}})
	if got := seen(e); !slices.Equal(got, []string{"postgres", "there"}) {
		t.Errorf("of those wanted saw %q", got)
	}
	for _, name := range []string{"closed", "absent", "there"} {
		missing := slices.ContainsFunc(e.Unseen, func(u catalog.Unseen) bool { return u.Database == name && u.Broken && u.Why != "" })
		if missing != (name != "there") {
			t.Errorf("%s: said to be missing: %v", name, missing)
		}
	}
}
