package pghost

import (
	"fmt"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// The kinds of hits, by where they are. scan has a check for each.
const (
	hitProfile     = "profile"
	hitEnvironment = "environment"
	hitCommand     = "command line"
	hitService     = "service file"
	hitHistory     = "history"
	hitSSLMode     = "sslmode"
)

var (
	literalEcho  = regexp.MustCompile(`(?m)^\s*(?:echo|printf|cat\s*<<)\s+["']?[^\s$` + "`" + `"'%<]`)
	profileLine  = regexp.MustCompile(`^\s*(?:export\s+|set(?:env)?\s+)?PGPASSWORD[=\s]`)
	weakSSLMode  = regexp.MustCompile(`(?i)^\s*(?:export\s+)?(?:PGSSLMODE|sslmode)\s*=\s*["']?(disable|allow|prefer)\b`)
	servicePass  = regexp.MustCompile(`(?i)^\s*password\s*=\s*\S`)
	passwordWord = regexp.MustCompile(`(?i)\bPASSWORD\s+E?'[^']|\bPGPASSWORD=[^\s$]|\bpostgres(?:ql)?://[^\s:/@]+:[^\s@$]+@`)
)

// home is somebody's folder.
type home struct{ user, dir string }

// homes are the folders of people and of the server's account.
func (l *looker) homes() []home {
	text, _ := l.read("/etc/passwd") // noted by passwd
	var out []home
	for _, line := range strings.Split(string(text), "\n") {
		f := strings.Split(line, ":")
		if len(f) != 7 {
			continue
		}
		if uid, err := strconv.Atoi(f[2]); err == nil && (uid == 0 || uid == l.out.ServerUID || uid >= 1000 && uid < 60000) && f[5] != "/nonexistent" {
			out = append(out, home{f[0], f[5]})
		}
	}
	return out
}

// secrets looks where passwords are left: profiles, service and password files, environments and command lines.
func (l *looker) secrets() {
	profiles := append([]string{"/etc/environment", "/etc/profile", "/etc/bash.bashrc"}, l.list("/etc/profile.d")...)
	services := []string{"/etc/pg_service.conf", "/etc/postgresql-common/pg_service.conf", "/etc/sysconfig/pgsql/pg_service.conf"}
	for _, h := range l.homes() {
		for _, name := range []string{".profile", ".bashrc", ".bash_profile", ".zshrc", ".zprofile", ".pam_environment", ".config/environment.d/postgres.conf"} {
			profiles = append(profiles, path.Join(h.dir, name))
		}
		services = append(services, path.Join(h.dir, ".pg_service.conf"))
		if _, err := os.Lstat(l.at(path.Join(h.dir, ".pgpass"))); err == nil {
			l.file("pgpass", path.Join(h.dir, ".pgpass"))
		}
		if l.srv.ReadLogs {
			for _, name := range []string{".psql_history", ".bash_history", ".zsh_history", ".ash_history"} {
				l.lines(path.Join(h.dir, name), hitHistory, passwordWord)
			}
		}
	}
	for _, file := range profiles {
		l.lines(file, hitProfile, profileLine)
		l.lines(file, hitSSLMode, weakSSLMode)
	}
	for _, file := range services {
		l.lines(file, hitService, servicePass)
		l.lines(file, hitSSLMode, weakSSLMode)
	}
	l.environments()
}

// lines notes the lines of a file that fit, by number.
func (l *looker) lines(file, kind string, re *regexp.Regexp) {
	text, err := l.read(file)
	if err != nil {
		l.missing(file, err)
		return
	}
	found := 0
	for i, line := range strings.Split(string(text), "\n") {
		if re.MatchString(line) && !strings.HasPrefix(strings.TrimSpace(line), "#") && found < 20 {
			l.out.Hits = append(l.out.Hits, catalog.SecretHit{Object: file, Kind: kind, Line: i + 1})
			found++
		}
	}
}

// environments looks at other processes: the names of their variables and their command lines.
func (l *looker) environments() {
	unread := 0
	for _, dir := range l.list("/proc") {
		pid, err := strconv.Atoi(path.Base(dir))
		if err != nil {
			continue
		}
		what := fmt.Sprintf("process %d (%s)", pid, l.line(dir+"/comm"))
		env, err := l.read(dir + "/environ")
		if os.IsPermission(err) {
			unread++
		}
		for _, v := range strings.Split(string(env), "\x00") {
			if strings.HasPrefix(v, "PGPASSWORD=") && len(v) > len("PGPASSWORD=") {
				l.out.Hits = append(l.out.Hits, catalog.SecretHit{Object: what, Kind: hitEnvironment})
			}
		}
		command, _ := l.read(dir + "/cmdline") // gone in the meantime
		if len(catalog.FindSecrets(what, strings.ReplaceAll(string(command), "\x00", " "))) > 0 {
			l.out.Hits = append(l.out.Hits, catalog.SecretHit{Object: what, Kind: hitCommand})
		}
	}
	if unread > 0 {
		l.out.Missing["environments"] = fmt.Sprintf("%d processes of other accounts do not show their environment", unread)
	}
}
