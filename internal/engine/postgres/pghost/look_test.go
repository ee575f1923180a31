package pghost

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// machine is a made-up machine: a folder with real files and real modes, in which process 42 is the server.
type machine struct {
	t    *testing.T
	root string
}

const pid = "/proc/42"

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir()}
	control := binary.NativeEndian.AppendUint64(nil, 7)
	uid := os.Geteuid()
	m.file("/data/global/pg_control", string(control), 0o600)
	m.file("/data/PG_VERSION", "15\n", 0o600)
	m.file("/data/postmaster.pid", "42\n/data\n0\n5432\n/run\n", 0o600)
	m.file(pid+"/comm", "postgres\n", 0o444)
	m.file(pid+"/status", fmt.Sprintf("Name:\tpostgres\nUmask:\t0077\nUid:\t%d\t%d\t0\t0\nCapEff:\t0000000000000000\n", uid, uid), 0o444)
	m.file(pid+"/limits", "Limit  Soft  Hard\nMax core file size        unlimited            unlimited            bytes\n", 0o444)
	m.file(pid+"/cgroup", "0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", 0o444)
	m.link("/data", pid+"/cwd")
	m.link("/opt/pg/bin/postgres (deleted)", pid+"/exe")
	m.link("pipe:[1]", pid+"/fd/2")
	m.file("/etc/passwd", fmt.Sprintf("postgres:x:%d:0::/home/pg:/bin/bash\njoe:x:1000:1000::/home/joe:/bin/sh\n", uid), 0o644)
	return m
}

func (m *machine) file(name, text string, mode fs.FileMode) {
	m.t.Helper()
	path := filepath.Join(m.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) link(to, name string) {
	m.t.Helper()
	path := filepath.Join(m.root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(to, path)); err != nil {
		m.t.Fatal(err)
	}
}

// look looks at the machine as the server of system identifier 7 on port 5432.
func (m *machine) look(settings map[string]string, change func(*Machine, *Server)) (*catalog.Host, error) {
	mm := Machine{Root: m.root, Now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
	s := Server{SystemID: "7", Port: 5432, Version: "15.18", Setting: func(n string) string { return settings[n] }}
	if change != nil {
		change(&mm, &s)
	}
	return Look(context.Background(), mm, s)
}

func (m *machine) mustLook(settings map[string]string, change func(*Machine, *Server)) *catalog.Host {
	m.t.Helper()
	h, err := m.look(settings, change)
	if err != nil {
		m.t.Fatal(err)
	}
	return h
}

// TestLookProvesTheServer: the identifier and the port must be the server's.
func TestLookProvesTheServer(t *testing.T) {
	m := newMachine(t)
	if _, err := m.look(nil, nil); err != nil {
		t.Errorf("the server's own machine: %v", err)
	}
	for name, change := range map[string]func(*Machine, *Server){
		"another identifier":  func(_ *Machine, s *Server) { s.SystemID = "8" },
		"a standby beside it": func(_ *Machine, s *Server) { s.Port = 5433 },
	} {
		if h, err := m.look(nil, change); err == nil {
			t.Errorf("%s: taken for the server: %+v", name, h)
		}
	}
}

func TestLookAtFiles(t *testing.T) {
	m := newMachine(t)
	m.file("/data/server.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n", 0o640)
	m.file("/keys/open.key", "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n", 0o644)
	m.file("/data/run.sh", "x", 0o777)
	m.link("/etc/passwd", "/data/pg_hba_old.conf")
	m.link("/elsewhere", "/data/pg_wal")
	m.file("/home/joe/archive.sh", "#!/bin/sh\necho hunter2\n", 0o755)
	if err := os.Chmod(filepath.Join(m.root, "home/joe"), 0o777); err != nil {
		t.Fatal(err)
	}
	m.file("/run/sock/.keep", "", 0o600)
	if err := os.Chmod(filepath.Join(m.root, "run/sock"), 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	h := m.mustLook(map[string]string{
		"ssl_key_file": "server.key", "archive_command": `'/home/joe/archive.sh' %p`, "unix_socket_directories": "/run/sock, @abstract", "restore_command": "cp /a/%f %p",
	}, nil)
	key := h.FilesOf("ssl_key_file")
	if len(key) != 1 || key[0].Mode != 0o640 || key[0].Notes["key"] != "encrypted" || key[0].Path != "/data/server.key" {
		t.Errorf("key: %+v", key)
	}
	if dir := h.FilesOf("socket_directory"); len(dir) != 1 || dir[0].Mode != 0o1777 {
		t.Errorf("socket directory: %+v", dir)
	}
	script := h.FilesOf("archive_command")
	if len(script) != 1 || !slices.Contains(script[0].Writers, "everybody") || script[0].Notes["secret"] != "literal" {
		t.Errorf("a script in a folder that everybody writes: %+v", script)
	}
	if len(h.FilesOf("restore_command")) != 0 {
		t.Error("a command without a path names no file")
	}
	var stray []string
	for _, f := range h.FilesOf("stray") {
		stray = append(stray, f.Path+": "+f.Notes["why"])
	}
	if want := []string{"/data/pg_hba_old.conf: symbolic link", "/data/run.sh: writable by everybody"}; !slices.Equal(stray, want) {
		t.Errorf("stray files %q, want %q", stray, want)
	}
	plain := m.mustLook(map[string]string{"ssl_key_file": "/keys/open.key"}, nil).FilesOf("ssl_key_file")
	if plain[0].Notes["key"] != "plain" || plain[0].Mode != 0o644 {
		t.Errorf("a key in clear: %+v", plain)
	}
}

func TestLookAtTheSystem(t *testing.T) {
	m := newMachine(t)
	m.file("/etc/shadow", "postgres:!:1::::::\n", 0o600)
	m.file("/etc/sudoers", "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n#joe ALL=(ALL) ALL\n", 0o600)
	m.file("/etc/sudoers.d/db", "joe ALL = (postgres) NOPASSWD: ALL\nann ALL=(postgres) /usr/bin/psql\n", 0o600)
	m.file("/usr/lib/systemd/system/postgresql@.service", "[Unit]\nPrivateTmp=no\n[Service]\nPrivateTmp=true\nEnvironment=PGPASSWORD=x\n", 0o644)
	m.file("/etc/systemd/system/postgresql@15-main.service.d/10.conf", "[Service]\nNoNewPrivileges=yes\nPrivateTmp=false\n", 0o644)
	m.link("/x", "/etc/systemd/system/multi-user.target.wants/postgresql.service")
	m.file("/proc/swaps", "Filename Type Size Used Priority\n/dev/dm-1 partition 1 0 -2\n", 0o444)
	m.file("/sys/class/block/dm-1/dm/uuid", "CRYPT-LUKS2-abc\n", 0o444)
	m.file("/proc/self/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 253:0 / /data rw - xfs /dev/mapper/data rw\n", 0o444)
	m.link("../dm-1", "/dev/mapper/data")
	m.file("/proc/sys/kernel/core_pattern", "core\n", 0o444)
	m.file("/proc/43/comm", "docker-proxy\n", 0o444)
	m.file("/proc/43/cmdline", "docker-proxy\x00-proto\x00tcp\x00-host-ip\x000.0.0.0\x00-host-port\x005432\x00-container-port\x005432\x00", 0o444)
	m.file("/var/lib/dpkg/status", "Package: postgresql-15\nStatus: install ok installed\nVersion: 15.18-0\n\nPackage: libssl3\nStatus: install ok installed\nVersion: 3.0.1-1\n\nPackage: postgresql-13\nStatus: deinstall ok config-files\nVersion: 13.1\n", 0o644)
	m.file("/etc/apt/sources.list", "deb [trusted=yes] http://packages.example stable main\n", 0o644)
	m.file("/usr/lib/postgresql/13/bin/postgres", "\x7fELF..postgres (PostgreSQL) 13.4\n\x00", 0o755)
	m.file("/usr/lib/postgresql/15/bin/psql", "\x7fELF..psql (PostgreSQL) 15.20 (Debian)\x00", 0o755)
	h := m.mustLook(nil, nil)
	if p := h.Process; p == nil || !p.Replaced || p.Exe != "/opt/pg/bin/postgres" || p.Umask != "0077" {
		t.Errorf("process %+v", p)
	}
	if u := h.Unit; u == nil || !u.Enabled || u.Properties["PrivateTmp"] != "false" || u.Properties["NoNewPrivileges"] != "yes" || len(u.Properties) != 2 {
		t.Errorf("unit %+v: a drop-in comes after the unit, and nothing but hardening is kept", u)
	}
	if a := h.Account; a.Password != "locked" || a.Shell != "/bin/bash" || len(a.Sudo) != 1 || !strings.Contains(a.Sudo[0], "joe") {
		t.Errorf("account %+v", a)
	}
	want := map[catalog.HostFact]string{
		catalog.FactStderr: "pipe", catalog.FactSwap: "encrypted", catalog.FactVolume: "encrypted", catalog.FactFileSystem: "xfs", catalog.FactCoreLimit: "unlimited", catalog.FactContainer: "none",
		catalog.FactOpenSSL: "3.0.1-1", catalog.FactUntrustedSource: "/etc/apt/sources.list", catalog.FactOtherMajors: "13", catalog.FactShipper: "none",
	}
	for name, v := range want {
		if h.Facts[name] != v {
			t.Errorf("%s is %q, want %q", name, h.Facts[name], v)
		}
	}
	if !slices.Equal(h.Published, []string{"0.0.0.0 port 5432"}) {
		t.Errorf("published %q", h.Published)
	}
	versions := map[string]string{}
	for _, p := range h.Programs {
		versions[p.Path] = p.Version
	}
	if versions["/usr/lib/postgresql/15/bin/psql"] != "15.20" || versions["/usr/lib/postgresql/13/bin/postgres"] != "13.4" {
		t.Errorf("programs %v", versions)
	}
	if h.Firewall != nil || h.Missing["firewall"] == "" {
		t.Error("a filter that nobody listed was judged")
	}
}

// TestLookFindsSecrets finds what was left lying around, and keeps none of it.
func TestLookFindsSecrets(t *testing.T) {
	m := newMachine(t)
	m.file("/etc/environment", "PATH=/bin\nPGPASSWORD=hunter2\n# PGPASSWORD=old\n", 0o644)
	m.file("/home/joe/.pg_service.conf", "[db]\nhost=db1\npassword=hunter2\nsslmode=prefer\n", 0o644)
	m.file("/home/joe/.pgpass", "*:*:*:*:hunter2\n", 0o644)
	m.file("/home/joe/.psql_history", "select 1;\nALTER ROLE joe PASSWORD 'hunter2';\n\\password joe\n", 0o600)
	m.file("/proc/44/comm", "job\n", 0o444)
	m.file("/proc/44/environ", "A=1\x00PGPASSWORD=hunter2\x00", 0o400)
	m.file("/proc/44/cmdline", "psql\x00postgres://joe:hunter2@db1/x\x00", 0o444)
	m.file("/proc/45/cmdline", "psql\x00postgres://joe@db1/x\x00", 0o444)
	m.file("/proc/45/environ", "PGPASSWORD=\x00", 0o400)
	log := "2026-08-01 10:00:00 UTC [1] LOG:  connection authorized: user=joe database=x\n" +
		"2026-08-02 10:00:00 UTC [1] LOG:  connection authenticated: identity=\"joe\" method=scram-sha-256 (/data/pg_hba.conf:4)\n" +
		"2026-11-20 10:00:00 UTC [1] LOG:  statement: CREATE ROLE a PASSWORD 'hunter2'\n2026-11-20 LOG: paid by 4111 1111 1111 1111\n" +
		"2026-11-21 10:00:00 UTC [1] LOG:  connection authorized: user=joe database=x\n" +
		strings.Repeat("x", 200<<10) + "\nSELECT pgp_sym_encrypt(a, 'hunter2')\n"
	m.file("/data/log/a.log", log, 0o600)
	settings := map[string]string{"logging_collector": "on", "log_directory": "log"}
	if h := m.mustLook(settings, nil); h.Logs != nil || slices.ContainsFunc(h.Hits, func(s catalog.SecretHit) bool { return s.Kind == hitHistory }) {
		t.Error("logs or histories were read without consent")
	}
	h := m.mustLook(settings, func(_ *Machine, s *Server) { s.ReadLogs = true })
	var got []string
	for _, s := range h.Hits {
		got = append(got, fmt.Sprintf("%s %s:%d", s.Kind, s.Object, s.Line))
	}
	want := []string{
		"profile /etc/environment:2", "service file /home/joe/.pg_service.conf:3", "sslmode /home/joe/.pg_service.conf:4", "history /home/joe/.psql_history:2",
		"environment process 44 (job):0", "command line process 44 (job):0",
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("not found: %s", w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("found %q", got)
	}
	f := h.Logs
	if f.Files != 1 || len(f.Hits) != 1 || f.Hits[0].Line != 3 || len(f.Cards) != 1 || f.Cards[0].Line != 4 || len(f.Keys) != 1 || f.Keys[0].Line != 7 {
		t.Errorf("logs %+v", f)
	}
	if f.To.Sub(f.From) < 100*24*time.Hour || f.Roles["joe"].Month() != 11 || f.Rules["/data/pg_hba.conf:4"].IsZero() {
		t.Errorf("logins %+v", f)
	}
	if p := h.FilesOf("pgpass"); len(p) != 1 || p[0].Mode != 0o644 {
		t.Errorf("password file %+v", p)
	}
	if strings.Contains(fmt.Sprintf("%+v", h), "hunter2") || strings.Contains(fmt.Sprintf("%+v", *h.Logs), "hunter2") {
		t.Error("a secret was kept")
	}
}

func TestLookAtBackupsAndTunnel(t *testing.T) {
	m := newMachine(t)
	h := m.mustLook(nil, nil)
	if len(h.Backups.Tools) != 0 || h.Tunnel != nil {
		t.Errorf("%+v, %+v where nothing is", h.Backups, h.Tunnel)
	}
	m.file("/etc/pgbackrest.conf", "[global]\nrepo1-path=/backup\nrepo1-cipher-type=none\n[main]\npg1-path=/data\n", 0o640)
	m.file("/backup/backup/main/backup.info", "x", 0o640)
	m.file("/etc/cron.d/dump", "# pg_basebackup\n0 3 * * * postgres pg_dump shop > /dump\n", 0o644)
	m.file("/etc/ssh/sshd_config", "Include sshd_config.d/*.conf\nAllowTcpForwarding yes\nMatch User x\n  GatewayPorts yes\n", 0o644)
	m.file("/etc/ssh/sshd_config.d/a.conf", "AllowTcpForwarding local\nPermitOpen 127.0.0.1:5432\n", 0o644)
	h = m.mustLook(nil, nil)
	if b := h.Backups; !slices.Equal(b.Tools, []string{"pg_dump", "pgbackrest"}) || b.Last.IsZero() || len(b.Repository) != 1 || b.Repository[0].Cipher != "none" || !b.Repository[0].Readable {
		t.Errorf("backups %+v", b)
	}
	if s := h.Tunnel; s == nil || s.Forwarding != "local" || !slices.Equal(s.PermitOpen, []string{"127.0.0.1:5432"}) || s.Gateway != "no" {
		t.Errorf("tunnel %+v: the first value counts, and a Match block is for some", s)
	}
}
