package pghost

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// process reads what the kernel says of the postmaster.
func (l *looker) process() {
	if info, err := os.Stat(l.at(l.data)); err == nil {
		l.out.ServerUID, l.out.ServerGID = owner(info)
		l.out.ServerUser = l.userName(l.out.ServerUID)
	}
	pid, err := strconv.Atoi(l.line(path.Join(l.data, "postmaster.pid")))
	if err != nil {
		l.out.Missing["process"] = "postmaster.pid names no process"
		return
	}
	dir := fmt.Sprintf("/proc/%d", pid)
	status, err := l.read(dir + "/status")
	if err != nil {
		l.out.Missing["process"] = err.Error()
		return
	}
	p := &catalog.Process{PID: pid, Umask: statusField(status, "Umask"), Capabilities: statusField(status, "CapEff"), UID: -1}
	if f := strings.Fields(statusField(status, "Uid")); len(f) > 1 {
		if p.UID, err = strconv.Atoi(f[1]); err != nil {
			p.UID = -1
		}
	}
	exe, err := os.Readlink(l.at(dir + "/exe"))
	if err != nil {
		l.missing("program", err)
	}
	p.Exe, p.Replaced = strings.CutSuffix(exe, " (deleted)")
	l.out.Process = p
	limits, err := l.read(dir + "/limits")
	l.missing("limits", err)
	if m := coreLimit.FindSubmatch(limits); m != nil {
		l.out.Facts[catalog.FactCoreLimit] = string(m[1])
	}
	l.stderr(dir)
	l.container(dir)
}

var coreLimit = regexp.MustCompile(`(?m)^Max core file size\s+(\S+)`)

// statusField is a field of /proc/PID/status.
func statusField(status []byte, name string) string {
	for _, line := range strings.Split(string(status), "\n") {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// stderr says where the server's error output goes.
func (l *looker) stderr(dir string) {
	to, err := os.Readlink(l.at(dir + "/fd/2"))
	if err != nil {
		l.missing("stderr", err)
		return
	}
	kind := "file"
	switch {
	case to == "/dev/null":
		kind = "null"
	case strings.HasPrefix(to, "socket:"):
		kind = "journal"
	case strings.HasPrefix(to, "pipe:"):
		kind = "pipe"
	case strings.HasPrefix(to, "/dev/"):
		kind = "terminal"
	}
	l.out.Facts[catalog.FactStderr] = kind
}

var orchestrators = regexp.MustCompile(`docker|kubepods|containerd|libpod|lxc|crio`)

// container says in what kind of container the server runs.
func (l *looker) container(dir string) {
	kind := "none"
	if groups, err := l.read(dir + "/cgroup"); err == nil {
		if m := orchestrators.FindString(string(groups)); m != "" {
			kind = m
		}
	}
	for file, name := range map[string]string{"/.dockerenv": "docker", "/run/.containerenv": "podman"} {
		if _, err := os.Stat(l.at(file)); err == nil && kind == "none" {
			kind = name
		}
	}
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" && l.Root == "" {
		kind = "kubepods"
	}
	l.out.Facts[catalog.FactContainer] = kind
}

// account reads the passwd, shadow and sudo entries of the server's account.
func (l *looker) account() {
	line := l.passwd(func(f []string) bool { return f[2] == strconv.Itoa(l.out.ServerUID) })
	if line == nil {
		l.out.Missing["account"] = "the server's account is not in /etc/passwd"
		return
	}
	a := &catalog.HostAccount{Shell: line[6]}
	shadow, err := l.read("/etc/shadow")
	l.missing("/etc/shadow", err)
	for _, s := range strings.Split(string(shadow), "\n") {
		if f := strings.Split(s, ":"); len(f) > 1 && f[0] == line[0] {
			a.Password = verifierState(f[1])
		}
	}
	a.Sudo, a.SudoSeen = l.sudo(line[0])
	l.out.Account = a
}

// verifierState says what a shadow entry allows, and nothing of the verifier.
func verifierState(v string) string {
	switch {
	case v == "":
		return "none"
	case strings.HasPrefix(v, "!") || strings.HasPrefix(v, "*"):
		return "locked"
	}
	return "set"
}

// passwd returns the first entry that fits.
func (l *looker) passwd(fits func([]string) bool) []string {
	text, err := l.read("/etc/passwd")
	l.missing("/etc/passwd", err)
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Split(line, ":"); len(f) == 7 && fits(f) {
			return f
		}
	}
	return nil
}

func (l *looker) userName(uid int) string {
	if f := l.passwd(func(f []string) bool { return f[2] == strconv.Itoa(uid) }); f != nil {
		return f[0]
	}
	return ""
}

// administrators are the groups whose members may become root anyway.
var administrators = regexp.MustCompile(`^(root|%sudo|%wheel|%admin|%root|#0|%#0)$`)

var sudoRule = regexp.MustCompile(`^(\S+)\s+\S+\s*=\s*(?:\(([^)]*)\))?\s*(.*)$`)

// sudo finds the rules by which the account may do more, or others may do anything as it.
func (l *looker) sudo(user string) (found []string, seen bool) {
	for _, file := range append([]string{"/etc/sudoers"}, l.list("/etc/sudoers.d")...) {
		text, err := l.read(file)
		if err != nil {
			l.missing(file, err)
			if errors.Is(err, fs.ErrPermission) {
				return nil, false
			}
			continue
		}
		for i, line := range strings.Split(strings.ReplaceAll(string(text), "\\\n", " "), "\n") {
			m := sudoRule.FindStringSubmatch(strings.TrimSpace(line))
			if m == nil || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "Defaults") || strings.Contains(m[1], "_Alias") {
				continue
			}
			as, _, _ := strings.Cut(m[2], ":")
			all := strings.HasSuffix(strings.TrimSpace(m[3]), "ALL")
			switch {
			case m[1] == user || m[1] == "%"+user:
				found = append(found, fmt.Sprintf("%s:%d lets %s use sudo", file, i+1, m[1]))
			case all && !administrators.MatchString(m[1]) && (as == user || as == "ALL"):
				found = append(found, fmt.Sprintf("%s:%d lets %s run anything as %s", file, i+1, m[1], user))
			}
		}
	}
	return found, true
}

var serviceName = regexp.MustCompile(`(?m)/([^/\n]+\.service)(?:/|$)`)

// unit reads the unit that the server runs under, with its drop-ins.
func (l *looker) unit() {
	if l.out.Process == nil {
		return
	}
	groups, err := l.read(fmt.Sprintf("/proc/%d/cgroup", l.out.Process.PID))
	if err != nil {
		l.missing("unit", err)
		return
	}
	m := serviceName.FindSubmatch(groups)
	if m == nil {
		return
	}
	u := &catalog.Unit{Name: string(m[1]), Properties: map[string]string{}}
	template := u.Name
	if at := strings.IndexByte(template, '@'); at > 0 {
		template = template[:at+1] + ".service"
	}
	dirs := []string{"/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system", "/run/systemd/system"}
	for _, dir := range dirs {
		for _, name := range []string{template, u.Name} {
			l.unitFile(u, path.Join(dir, name))
		}
	}
	for _, dir := range dirs {
		for _, name := range []string{template, u.Name} {
			for _, file := range l.list(path.Join(dir, name+".d")) {
				l.unitFile(u, file)
			}
		}
	}
	for _, dir := range l.list("/etc/systemd/system") {
		if !strings.HasSuffix(dir, ".wants") && !strings.HasSuffix(dir, ".requires") {
			continue
		}
		for _, file := range l.list(dir) {
			// Debian enables postgresql.service, which starts the instances.
			u.Enabled = u.Enabled || path.Base(file) == u.Name || strings.HasPrefix(u.Name, "postgresql@") && path.Base(file) == "postgresql.service"
		}
	}
	l.out.Unit = u
}

// unitFile reads the service section of one file; a later line replaces an earlier one.
func (l *looker) unitFile(u *catalog.Unit, file string) {
	text, err := l.read(file)
	if err != nil {
		l.missing(file, err)
		return
	}
	section := ""
	for _, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		name, value, ok := strings.Cut(line, "=")
		if section == "[Service]" && ok && hardening.MatchString(name) {
			u.Properties[name] = value
		}
	}
}

// hardening are the properties that are kept; environments may hold secrets and are not.
var hardening = regexp.MustCompile(`^(NoNewPrivileges|ProtectSystem|PrivateTmp|ProtectHome|ProtectKernel\w+|PrivateDevices|RestrictAddressFamilies|UMask|LimitCORE|User|Type)$`)
