package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Standby starts a server that streams from c, from a base backup of it as it is now. The pinned builds bring no pg_basebackup, so
// the backup is made the way its documentation calls the low-level one.
func (c *Cluster) Standby(t testing.TB) *Cluster {
	t.Helper()
	if err := appendFile(filepath.Join(c.DataDir, "pg_hba.conf"), []string{"local replication " + SuperUser + " trust"}); err != nil {
		t.Fatal(err)
	}
	c.Exec(t, "SELECT pg_reload_conf()")
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	s := &Cluster{
		Major: c.Major, SocketDir: dir, DataDir: filepath.Join(dir, "data"), CA: filepath.Join(dir, "ca.pem"),
		bin: c.bin, dir: dir, account: c.account, templates: map[string]*DB{},
	}
	t.Cleanup(s.Stop)
	label, err := c.backUp(t, s)
	if err != nil {
		t.Fatalf("back the server up: %v", err)
	}
	conf := []string{fmt.Sprintf("unix_socket_directories = '%s'", dir), fmt.Sprintf("primary_conninfo = 'host=%s port=%d user=%s'", c.SocketDir, c.Port, SuperUser)}
	err = errors.Join(
		os.WriteFile(filepath.Join(s.DataDir, "backup_label"), []byte(label), 0o600),
		os.WriteFile(filepath.Join(s.DataDir, "standby.signal"), nil, 0o600),
		appendFile(filepath.Join(s.DataDir, "postgresql.conf"), conf),
		s.own(),
	)
	if err == nil {
		err = s.boot(FreePort)
	}
	if err != nil {
		t.Fatalf("start the standby: %v\n%s", err, s.Log())
	}
	for end := time.Now().Add(startLimit); c.Query(t, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "0"; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the standby does not stream\n%s", s.Log())
		}
	}
	return s
}

// backUp copies the files of a running server and returns the label that the copy has to carry.
func (c *Cluster) backUp(t testing.TB, s *Cluster) (string, error) {
	t.Helper()
	begin, end := "SELECT pg_backup_start('standby', true)", "SELECT labelfile FROM pg_backup_stop(false)"
	if c.Major < 15 {
		begin, end = "SELECT pg_start_backup('standby', true, false)", "SELECT labelfile FROM pg_stop_backup(false, false)"
	}
	ctx := context.Background()
	conn := (&DB{Cluster: c, Name: "postgres"}).Connect(t, SuperUser) // one session from start to stop
	if _, err := conn.Exec(ctx, begin); err != nil {
		return "", err
	}
	if err := copyTree(c.dir, s.dir); err != nil {
		return "", err
	}
	var label string
	err := conn.QueryRow(ctx, end).Scan(&label)
	return label, err
}

// copyTree copies a cluster's folder but for what a backup leaves out: the socket, the pid, the log, and the WAL, which is streamed.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the server removed it meanwhile; the WAL has it
		}
		if err != nil {
			return err
		}
		path, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, path)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case !d.Type().IsRegular(), d.Name() == "postmaster.pid", d.Name() == "server.log", strings.HasPrefix(path, "data/pg_wal/"), strings.HasPrefix(path, "data/pg_replslot/"):
			return nil
		}
		err = copyFile(name, target)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// own hands a folder to the server's account.
func (c *Cluster) own() error {
	if c.account == nil {
		return nil
	}
	return filepath.WalkDir(c.dir, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, int(c.account.Uid), int(c.account.Gid))
	})
}
