package pghost

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

var (
	backupTool  = regexp.MustCompile(`\b(pgbackrest|barman|wal-g|wal-e|pg_basebackup|pg_probackup|pghoard|pg_dumpall|pg_dump)\b`)
	repoSetting = regexp.MustCompile(`(?m)^\s*(repo\d*)-(path|cipher-type|host|type)\s*=\s*(\S+)`)
)

// backups looks for what speaks for a backup: a tool's configuration, its repository, a timer, the archiver's command.
func (l *looker) backups() {
	b := &catalog.BackupFacts{}
	seen := func(name string) {
		if !slices.Contains(b.Tools, name) {
			b.Tools = append(b.Tools, name)
		}
	}
	schedule := []string{"/etc/crontab"}
	for _, dir := range []string{"/etc/cron.d", "/etc/cron.daily", "/etc/cron.weekly", "/var/spool/cron/crontabs", "/var/spool/cron", "/etc/systemd/system"} {
		schedule = append(schedule, l.list(dir)...)
	}
	for _, file := range schedule {
		if info, err := os.Stat(l.at(file)); err != nil || !info.Mode().IsRegular() {
			continue
		}
		text, err := l.read(file)
		l.missing(file, err)
		for _, line := range strings.Split(string(text), "\n") {
			if m := backupTool.FindString(line); m != "" && !strings.HasPrefix(strings.TrimSpace(line), "#") {
				seen(m)
			}
		}
	}
	if m := backupTool.FindString(l.srv.Setting("archive_command")); m != "" {
		seen(m)
	}
	l.pgbackrest(b, seen)
	for _, file := range append([]string{"/etc/barman.conf"}, l.list("/etc/barman.d")...) {
		if _, err := os.Stat(l.at(file)); err == nil {
			seen("barman")
		}
	}
	l.out.Backups = b
}

// pgbackrest reads the tool's configuration and the newest information file of its repositories.
func (l *looker) pgbackrest(b *catalog.BackupFacts, seen func(string)) {
	for _, file := range append([]string{"/etc/pgbackrest.conf", "/etc/pgbackrest/pgbackrest.conf"}, l.list("/etc/pgbackrest/conf.d")...) {
		text, err := l.read(file)
		if err != nil {
			l.missing(file, err)
			continue
		}
		seen("pgbackrest")
		repos := map[string]*catalog.Repository{}
		var order []string
		for _, m := range repoSetting.FindAllStringSubmatch(string(text), -1) {
			r := repos[m[1]]
			if r == nil {
				r = &catalog.Repository{Config: file, Path: "/var/lib/pgbackrest"}
				repos[m[1]] = r
				order = append(order, m[1])
			}
			switch m[2] {
			case "path":
				r.Path = m[3]
			case "cipher-type":
				r.Cipher = m[3]
			default:
				r.Remote = m[2] == "host" || m[3] != "posix"
			}
		}
		for _, name := range order {
			r := repos[name]
			if info, err := os.Stat(l.at(r.Path)); err == nil && !r.Remote {
				r.Readable = info.Mode().Perm()&0o005 != 0
				l.newest(b, r.Path)
			}
			b.Repository = append(b.Repository, *r)
		}
	}
}

// newest is the time of the newest backup.info below a repository.
func (l *looker) newest(b *catalog.BackupFacts, repo string) {
	for _, stanza := range l.list(path.Join(repo, "backup")) {
		if info, err := os.Stat(l.at(path.Join(stanza, "backup.info"))); err == nil && info.ModTime().After(b.Last) {
			b.Last = info.ModTime().UTC()
		}
	}
}

var sshWord = regexp.MustCompile(`(?i)^\s*(AllowTcpForwarding|PermitOpen|GatewayPorts|Include|Match)[\s=]+(.*?)\s*$`)

// sshd reads what the SSH server lets people forward. The first value of a keyword counts; Match blocks are for some people and are left out.
func (l *looker) sshd() {
	s := &catalog.SSHServer{}
	if !l.sshFile("/etc/ssh/sshd_config", s, 0) {
		return
	}
	for _, d := range []struct {
		field *string
		value string
	}{{&s.Forwarding, "yes"}, {&s.Gateway, "no"}} {
		if *d.field == "" {
			*d.field = d.value // the server's own default
		}
	}
	l.out.Tunnel = s
}

func (l *looker) sshFile(file string, s *catalog.SSHServer, depth int) bool {
	text, err := l.read(file)
	if err != nil || depth > 8 {
		l.missing(file, err)
		return false
	}
	for _, line := range strings.Split(string(text), "\n") {
		m := sshWord.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		value := strings.Trim(m[2], `"`)
		set := func(field *string) {
			if *field == "" {
				*field = strings.ToLower(value)
			}
		}
		switch strings.ToLower(m[1]) {
		case "match":
			return true
		case "include":
			l.sshInclude(value, s, depth)
		case "allowtcpforwarding":
			set(&s.Forwarding)
		case "gatewayports":
			set(&s.Gateway)
		case "permitopen":
			if s.PermitOpen == nil {
				s.PermitOpen = strings.Fields(value)
			}
		}
	}
	return true
}

func (l *looker) sshInclude(patterns string, s *catalog.SSHServer, depth int) {
	for _, pattern := range strings.Fields(patterns) {
		if !path.IsAbs(pattern) {
			pattern = path.Join("/etc/ssh", pattern)
		}
		for _, name := range l.list(path.Dir(pattern)) {
			if ok, err := path.Match(pattern, name); err == nil && ok {
				l.sshFile(name, s, depth+1)
			}
		}
	}
}
