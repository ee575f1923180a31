package state_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/access"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/internal/state"
)

// Every table is in a backup: one that a migration adds and nobody lists would be lost without a word.
func TestBackupHoldsEveryTable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "postern.db")
	wrote, err := open(t, path).Backup(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	rows, err := raw.QueryContext(t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	n := 0
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "sqlite_") || name == "goose_db_version" {
			continue
		}
		n++
		if _, ok := wrote.Rows[name]; !ok {
			t.Errorf("table %s is not in a backup", name)
		}
	}
	if n < 10 || rows.Err() != nil {
		t.Errorf("%d tables, %v", n, rows.Err())
	}
}

// One of several leads; when it goes, another does. A name is held by one process only.
func TestOneLeads(t *testing.T) {
	t.Parallel()
	path := pgtest.Default(t).NewDatabase(t).URL(pgtest.SuperUser)
	first, err := state.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, path)
	for range 2 { // asking again changes nothing
		if leads, err := first.Lead(t.Context(), "gw1"); err != nil || !leads {
			t.Fatalf("the first: %v, %v", leads, err)
		}
		if leads, err := second.Lead(t.Context(), "gw2"); err != nil || leads {
			t.Fatalf("the second: %v, %v", leads, err)
		}
	}
	if err := open(t, path).Sit(t.Context(), "gw2"); !errors.Is(err, state.ErrInstance) || !strings.Contains(err.Error(), "--instance") {
		t.Errorf("a name that is taken: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the second leads", func() bool {
		leads, err := second.Lead(t.Context(), "gw2")
		return err == nil && leads
	})
	if err := open(t, path).Sit(t.Context(), "gw1"); err != nil {
		t.Errorf("a name that is free again: %v", err)
	}
	file := open(t, filepath.Join(t.TempDir(), "s.db"))
	if leads, err := file.Lead(t.Context(), "x"); err != nil || !leads {
		t.Errorf("a file: %v, %v", leads, err)
	}
}

// Whoever loses the server leads no more, and sits again once it is back.
func TestALostServer(t *testing.T) {
	t.Parallel()
	db := pgtest.Default(t).NewDatabase(t)
	st := open(t, db.URL(pgtest.SuperUser))
	if leads, err := st.Lead(t.Context(), "gw1"); err != nil || !leads {
		t.Fatal(leads, err)
	}
	heard := make(chan struct{}, 100)
	go st.Listen(t.Context(), state.Heard{Changed: func() { heard <- struct{}{} }, Cancel: func(string) {}})
	<-heard
	db.Cluster.Exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+db.Name+"' AND pid <> pg_backend_pid()")
	other := open(t, db.URL(pgtest.SuperUser))
	eventually(t, "another leads", func() bool {
		leads, err := other.Lead(t.Context(), "gw2")
		return err == nil && leads
	})
	eventually(t, "the first knows", func() bool {
		leads, err := st.Lead(t.Context(), "gw1")
		return err == nil && !leads
	})
	<-heard // the new connection says that something may have been missed
}

func TestNewsTravels(t *testing.T) {
	t.Parallel()
	path := pgtest.Default(t).NewDatabase(t).URL(pgtest.SuperUser)
	here, there := open(t, path), open(t, path)
	changed, cancels := make(chan struct{}, 10), make(chan string, 10)
	go here.Listen(t.Context(), state.Heard{Changed: func() { changed <- struct{}{} }, Cancel: func(text string) { cancels <- text }})
	<-changed // listening
	commit(t, there, access.Change{Requests: []access.Request{asked("a", "ana", "x")}})
	<-changed
	if err := there.Shout(t.Context(), "17 ab"); err != nil {
		t.Fatal(err)
	}
	if got := <-cancels; got != "17 ab" {
		t.Errorf("heard %q", got)
	}
	quiet := held("g", "ana", "y")
	commit(t, there, access.Change{Grants: []access.Grant{quiet}, Quiet: true})
	if err := there.Shout(t.Context(), "last"); err != nil {
		t.Fatal(err)
	}
	<-cancels
	if len(changed) != 0 {
		t.Error("a quiet change was told")
	}
}

// A user with a password, over TCP: it is told apart from a wrong one, and neither is in what an error says.
func TestPasswordOfTheServer(t *testing.T) {
	t.Parallel()
	c := pgtest.Default(t)
	db := c.NewDatabase(t)
	c.Role(t, "keeper")
	db.Exec(t, "GRANT ALL ON DATABASE \""+db.Name+"\" TO keeper; GRANT ALL ON SCHEMA public TO keeper")
	place := state.Place{Path: "postgres://keeper@127.0.0.1:" + strconv.Itoa(c.Port) + "/" + db.Name + "?sslmode=disable", Password: secret.New(pgtest.PasswordOf("keeper"))}
	st, err := state.OpenAt(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
	place.Password = secret.New("hunter2")
	if _, err := state.OpenAt(t.Context(), place); err == nil || strings.Contains(err.Error(), "hunter2") || errors.Is(err, state.ErrUnreachable) {
		t.Errorf("a wrong password: %v", err)
	}
}

// A network that goes dead without a word is found out.
func TestACutNetwork(t *testing.T) {
	t.Parallel()
	c := pgtest.Default(t)
	db := c.NewDatabase(t)
	c.Role(t, "cut")
	db.Exec(t, "GRANT ALL ON DATABASE \""+db.Name+"\" TO cut; GRANT ALL ON SCHEMA public TO cut")
	p := pgtest.NewPipe(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(c.Port)))
	st, err := state.OpenAt(t.Context(), state.Place{Path: "postgres://cut@" + p.Address + "/" + db.Name + "?sslmode=disable", Password: secret.New(pgtest.PasswordOf("cut"))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	if leads, err := st.Lead(t.Context(), "gw1"); err != nil || !leads {
		t.Fatal(leads, err)
	}
	p.Cut()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := st.Lead(ctx, "gw1"); err == nil {
		t.Error("it leads with nobody at the other end")
	}
	p.Mend()
	eventually(t, "it leads again", func() bool {
		leads, err := st.Lead(t.Context(), "gw1")
		return err == nil && leads
	})
}

func TestServerRefusals(t *testing.T) {
	t.Parallel()
	db := pgtest.Default(t).NewDatabase(t)
	st := open(t, db.URL(pgtest.SuperUser))
	if _, err := st.Backup(t.Context(), &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	db.Exec(t, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)")
	if _, err := state.Open(t.Context(), db.URL(pgtest.SuperUser)); !errors.Is(err, state.ErrNewer) {
		t.Errorf("a newer schema: %v", err)
	}
	if _, err := state.Open(t.Context(), "postgres://nobody@127.0.0.1:1/x?sslmode=disable"); !errors.Is(err, state.ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for range 600 {
		if f() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("never: " + what)
}
