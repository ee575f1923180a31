package access_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// crowd is several gateways of one installation, on state that a server of its own keeps, each with a network to it that can be cut.
type crowd struct {
	t        *testing.T
	state    *pgtest.Cluster
	gateways []*place
	pipes    []*pgtest.Pipe
}

func newCrowd(t *testing.T, names ...string) *crowd {
	t.Helper()
	return newCrowdWith(t, strings.NewReplacer(), names...)
}

// newCrowdWith is newCrowd with something changed in the policy.
func newCrowdWith(t *testing.T, change *strings.Replacer, names ...string) *crowd {
	t.Helper()
	first := newPlace(t)
	c := &crowd{t: t, state: pgtest.Start(t, pgtest.DefaultMajor)}
	c.state.Role(t, "keeper")
	kept := c.state.NewDatabaseNamed(t, "state")
	kept.Exec(t, "GRANT ALL ON DATABASE state TO keeper; GRANT ALL ON SCHEMA public TO keeper")
	if err := os.WriteFile(filepath.Join(first.Dir, "secrets", "state"), []byte(pgtest.PasswordOf("keeper")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		pipe := pgtest.NewPipe(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(c.state.Port)))
		g := &place{t: t, db: first.db, slack: first.slack, portal: site.NewPortal(t), tokens: map[string]string{}}
		text := change.Replace(g.policy(g.portal.Port)) + "state: postgres://keeper@" + pipe.Address + "/state?sslmode=disable\nkeys: {state: {file: secrets/state}}\n"
		g.Site = first.Beside(t, name, text)
		for _, name := range []string{"state", "slack-bot", "slack-signing"} {
			if err := os.Chmod(filepath.Join(g.Dir, "secrets", name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		g.serve()
		c.gateways, c.pipes = append(c.gateways, g), append(c.pipes, pipe)
	}
	return c
}

// each waits until a question has the same answer at every gateway.
func (c *crowd) each(what, sql string, ok func(n int, err error) bool) {
	c.t.Helper()
	began := time.Now()
	for _, g := range c.gateways {
		eventually(c.t, what+" at "+g.Name, func() bool { return ok(g.query(g.DSN("ana", "shop"), sql)) })
	}
	c.t.Logf("%s at every gateway after %v", what, time.Since(began).Round(time.Millisecond))
}

func seen(n int, err error) bool { return err == nil && n == 10 }

func refused(_ int, err error) bool { return err != nil && strings.Contains(err.Error(), "42501") }

// cancelAt sends a CancelRequest for a session to a gateway, which need not be the session's.
func cancelAt(t *testing.T, port int, conn *pgx.Conn) {
	t.Helper()
	to, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = to.Close() }()
	key := conn.PgConn().SecretKey()
	request := binary.BigEndian.AppendUint32(nil, uint32(12+len(key)))
	request = binary.BigEndian.AppendUint32(request, 80877102)
	request = binary.BigEndian.AppendUint32(request, conn.PgConn().PID())
	if _, err := to.Write(append(request, key...)); err != nil {
		t.Fatal(err)
	}
}

// Three gateways on one state: what is decided at one holds at all, a cancel request finds its session, whoever leads may die, and
// state may be away.
func TestSeveralGateways(t *testing.T) {
	c := newCrowd(t, "gw1", "gw2", "gw3")
	one, two, three := c.gateways[0], c.gateways[1], c.gateways[2]

	taken := one.take("ana", "take-a", nil)
	c.each("a grant", "SELECT count(*) FROM a", seen)
	three.call("ana", http.MethodPost, "grants/"+taken.Grant.ID+"/revoke", struct{}{}, nil)
	c.each("its end", "SELECT count(*) FROM a", refused)

	t.Run("cancel", func(t *testing.T) {
		conn, err := pgx.Connect(t.Context(), one.DSN("ana", "shop"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		long := "SELECT count(*) FROM base a"
		for i := range 12 {
			long += fmt.Sprintf(", base b%d", i)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := conn.Exec(context.Background(), long)
			ended <- err
		}()
		eventually(t, "a cancel request at another gateway ends the statement", func() bool {
			cancelAt(t, two.Port, conn)
			select {
			case err := <-ended:
				if err == nil || !strings.Contains(err.Error(), "57014") {
					t.Fatalf("the statement ended with %v", err)
				}
				return true
			case <-time.After(200 * time.Millisecond):
				return false
			}
		})
	})

	// The first leads. It is killed while a grant runs that ends soon.
	end := time.Now().Add(8 * time.Second).UTC().Truncate(time.Second)
	two.take("ana", "take-b", map[string]any{"until": end})
	if err := syscall.Kill(one.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	c.gateways = c.gateways[1:]
	eventually(t, "another gateway leads, and has recorded the end", func() bool {
		var all []struct{ Rule, State, Wall string }
		two.call("ana", http.MethodGet, "grants?all=1", nil, &all)
		for _, g := range all {
			if g.Rule == "take-b" {
				return g.State == "ended" && g.Wall == "gone"
			}
		}
		return false
	})
	c.each("the end of a grant whose gateway died", "SELECT count(*) FROM b", refused)
	one.serve() // under its name again, which the server has let go

	// The server that keeps state is started anew under all of them.
	c.gateways = []*place{one, two, three}
	c.state.Restart(t)
	eventually(t, "a grant can be taken again", func() bool {
		return two.try("ana", http.MethodPost, "requests", map[string]string{"what": "take-a"}, nil) == http.StatusOK
	})
	c.each("a grant after the restart", "SELECT count(*) FROM a", seen)

	// The network between state and the third is cut: who is in stays, nobody new comes in, and the others do not care.
	inside, err := pgx.Connect(t.Context(), three.DSN("ana", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inside.Close(context.Background()) }()
	c.pipes[2].Cut()
	eventually(t, "a gateway without state lets nobody in", func() bool {
		_, err := three.query(three.DSN("ana", "shop"), "SELECT 1")
		return err != nil && strings.Contains(err.Error(), "57P03")
	})
	var n int
	if err := inside.QueryRow(t.Context(), "SELECT count(*) FROM a").Scan(&n); err != nil || n != 10 {
		t.Errorf("whoever is in: %d, %v", n, err)
	}
	if n, err := two.query(two.DSN("ana", "shop"), "SELECT count(*) FROM a"); !seen(n, err) {
		t.Errorf("at another gateway: %d, %v", n, err)
	}
	c.pipes[2].Mend()
	c.each("a grant after the cut", "SELECT count(*) FROM a", seen)

	for _, g := range c.gateways {
		g.Stop(t)
		if r := g.Run(t, "audit", "verify", "--instance", g.Name); r.Code != 0 {
			t.Errorf("the trail of %s: exit %d\n%s%s", g.Name, r.Code, r.Stdout, r.Stderr)
		}
	}
	if out := two.Must(t, "state", "show"); strings.Contains(out, pgtest.PasswordOf("keeper")) || strings.Count(out, "gw") != 3 {
		t.Errorf("state show:\n%s", out)
	}
}
