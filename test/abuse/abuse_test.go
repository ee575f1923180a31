// Package abuse_test does to a running gateway what must not hurt it: garbage on the port, statements made to break parsers,
// stores that hang up, certificates that have ended, a kill under load. The gateway is a process of its own, with real
// sockets on both sides; after every attempt it has to be the same process, within its memory, and answer.
package abuse_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

func TestMain(m *testing.M) { site.Main(m) }

// patience is how long an answer may take. It is far more than it does take: two cores may be busy with other tests.
const patience = 30 * time.Second

// TestGateway builds one wall for all attempts; each starts a gateway of its own.
func TestGateway(t *testing.T) {
	s := site.NewShop(t, pgtest.Start(t, pgtest.DefaultMajor))
	s.ApplyConsenting(t)
	t.Run("statements", func(t *testing.T) { tryStatements(t, s) })
	t.Run("garbage", func(t *testing.T) { tryGarbage(t, s) })
	t.Run("certificates", func(t *testing.T) { tryCertificates(t, s) })
	t.Run("store", func(t *testing.T) { tryStore(t, s) })
	t.Run("wall", func(t *testing.T) { tryWall(t, s) })
	t.Run("kill", func(t *testing.T) { tryKill(t, s) })
}

func connect(t testing.TB, s *site.Site) *pgx.Conn {
	t.Helper()
	conn, err := tryConnect(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func tryConnect(s *site.Site) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return pgx.Connect(ctx, s.DSN("analyst", "shop"))
}

// answers makes sure that the gateway is well: a new session sees its three customers.
func answers(t testing.TB, s *site.Site) {
	t.Helper()
	conn := connect(t, s)
	defer func() { _ = conn.Close(context.Background()) }()
	var n int
	if err := conn.QueryRow(context.Background(), "SELECT count(*) FROM customers").Scan(&n); err != nil || n != 3 {
		t.Fatalf("the gateway does not answer as it should: %d rows, %v", n, err)
	}
}

// peak is the most memory that a process has had, in MB.
func peak(t testing.TB, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no VmHWM in\n%s", text)
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb / 1024
}

// code is the SQLSTATE of an error, or its text.
func code(err error) string {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &pg):
		return pg.Code
	}
	return err.Error()
}

// eventually waits for something.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// quiet fails when the log has what an operator has to act on, or anything of the statements.
func quiet(t testing.TB, s *site.Site) {
	t.Helper()
	for _, bad := range []string{"panic", "level=ERROR", "CANARY", pgtest.PasswordOf("analyst")} {
		if strings.Contains(s.Log(), bad) {
			t.Errorf("the log has %q:\n%.2000s", bad, s.Log())
		}
	}
}
