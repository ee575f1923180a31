package pgtest_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// TestMajors proves that each server is what it says, that roles need their passwords, and that TLS verifies.
func TestMajors(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db := c.NewDatabase(t)
		if got := db.Query(t, "SELECT current_setting('server_version_num')::int / 10000"); got != fmt.Sprint(c.Major) {
			t.Fatalf("the server says %s, want %d", got, c.Major)
		}
		c.Role(t, "ann")
		if got := db.QueryAs(t, "ann", "SELECT current_user, 1"); got != "ann|1" {
			t.Errorf("as ann: %q", got)
		}
		wrong := strings.Replace(db.DSN("ann"), pgtest.PasswordOf("ann"), "wrong", 1)
		if _, err := pgx.Connect(context.Background(), wrong); err == nil || !strings.Contains(err.Error(), "28P01") {
			t.Errorf("a wrong password: %v, want 28P01", err)
		}
		conn, err := pgx.Connect(context.Background(), c.TCP("ann", db.Name, true))
		if err != nil {
			t.Fatalf("over TLS: %v", err)
		}
		defer conn.Close(context.Background())
		var tls bool
		if err := conn.QueryRow(context.Background(), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&tls); err != nil || !tls {
			t.Errorf("ssl = %v, %v", tls, err)
		}
	})
}

func TestTemplateAndProvisioner(t *testing.T) {
	c := pgtest.Default(t)
	c.Role(t, "owner_a", "NOLOGIN")
	template := c.Template(t, "one table", func(db *pgtest.DB) {
		db.Exec(t, "CREATE TABLE public.t(a int); INSERT INTO t VALUES (1); ALTER TABLE t OWNER TO owner_a")
	})
	db := template.Clone(t, "")
	db.Provisioner(t, "prov", "owner_a")
	db.ExecAs(t, "prov", "SET ROLE owner_a; ALTER TABLE t ENABLE ROW LEVEL SECURITY; RESET ROLE; CREATE ROLE made_by_prov; DROP ROLE made_by_prov")
	if got := db.QueryAs(t, "prov", "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"); got != "f|f" {
		t.Errorf("the provisioner is superuser or bypasses RLS: %s", got)
	}
	if other := template.Clone(t, ""); other.Query(t, "SELECT relrowsecurity FROM pg_class WHERE relname = 't'") != "f" {
		t.Error("a clone sees what was changed in another")
	}
}

func TestOwnCluster(t *testing.T) {
	c := pgtest.Start(t, pgtest.DefaultMajor, pgtest.Setting("log_statement", "all"), pgtest.HBA("local all guest trust"))
	c.Exec(t, "CREATE ROLE guest LOGIN")
	db := c.NewDatabase(t)
	if got := db.QueryAs(t, "guest", "SELECT 'fox'"); got != "fox" {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(c.Log(), "SELECT 'fox'") {
		t.Error("the statement is not in the server's log")
	}
	c.SetHBA(t, "local all guest reject")
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := db.Try("guest", "SELECT 1")
		if err != nil && strings.Contains(err.Error(), "pg_hba.conf rejects") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("guest is still admitted: %v", err)
		}
	}
	c.Restart(t)
	if got := db.Query(t, "SELECT 1"); got != "1" {
		t.Errorf("after the restart: %q", got)
	}
}

// TestServerDiesWithTheTests kills a test binary that has a server running, and waits for the server to go.
func TestServerDiesWithTheTests(t *testing.T) {
	if out := os.Getenv("PGTEST_CHILD"); out != "" {
		c := pgtest.Start(t, pgtest.DefaultMajor)
		pid := c.Query(t, "SELECT pg_backend_pid()") // proves that it runs
		if err := os.WriteFile(out, []byte(c.DataDir+"\n"+pid), 0o600); err != nil {
			t.Fatal(err)
		}
		select {}
	}
	note := t.TempDir() + "/child"
	child := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTheTests$")
	child.Env = append(os.Environ(), "PGTEST_CHILD="+note)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	data := eventually(t, "the child's server to start", func() string {
		text, _ := os.ReadFile(note)
		dir, _, _ := strings.Cut(string(text), "\n")
		return dir
	})
	defer os.RemoveAll(filepath.Dir(data))
	if err := child.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed
	eventually(t, "the server to end", func() string {
		if _, err := os.Stat(data + "/postmaster.pid"); os.IsNotExist(err) {
			return "gone"
		}
		return ""
	})
}

// eventually waits until f returns something.
func eventually(t *testing.T, what string, f func() string) string {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if s := f(); s != "" {
			return s
		}
	}
	t.Fatalf("waited in vain for %s", what)
	return ""
}
