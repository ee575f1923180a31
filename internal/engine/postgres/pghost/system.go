package pghost

import (
	"fmt"
	"net/netip"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// system reads what the kernel and the process table say of the machine as a whole.
func (l *looker) system() {
	if v := l.line("/proc/sys/crypto/fips_enabled"); v != "" {
		l.out.Facts[catalog.FactFIPS] = map[bool]string{true: "on", false: "off"}[v == "1"]
	} else if l.line("/proc/sys/kernel/ostype") == "Linux" {
		l.out.Facts[catalog.FactFIPS] = "off" // a kernel without the switch cannot be in that mode
	}
	if v := l.line("/proc/sys/kernel/core_pattern"); v != "" {
		l.out.Facts[catalog.FactCorePattern] = v
	}
	l.swap()
	running := l.running()
	l.shippers(running)
	l.clock(running)
	l.interfaces()
}

func (l *looker) interfaces() {
	if l.Interfaces == nil {
		return
	}
	addrs, err := l.Interfaces()
	l.missing("interfaces", err)
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a); err == nil {
			l.out.Interfaces = append(l.out.Interfaces, p)
		}
	}
}

// running lists the names of running programs, and finds what a container proxy publishes.
func (l *looker) running() []string {
	var names []string
	for _, dir := range l.list("/proc") {
		if _, err := strconv.Atoi(path.Base(dir)); err != nil {
			continue
		}
		name := l.line(dir + "/comm")
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
		if strings.HasPrefix(name, "docker-proxy") || name == "rootlessport" {
			l.published(dir)
		}
	}
	return names
}

// published reads a docker-proxy's command line.
func (l *looker) published(dir string) {
	text, _ := l.read(dir + "/cmdline") // gone in the meantime
	args := strings.Split(string(text), "\x00")
	get := func(name string) string {
		if i := slices.Index(args, name); i >= 0 && i+1 < len(args) {
			return args[i+1]
		}
		return ""
	}
	ip, err := netip.ParseAddr(get("-host-ip"))
	if err == nil && ip.IsUnspecified() && get("-container-port") == strconv.Itoa(l.srv.Port) {
		l.out.Published = append(l.out.Published, ip.String()+" port "+get("-host-port"))
	}
}

// forwarding is what carries lines off the host in rsyslog's and syslog-ng's files.
var forwarding = regexp.MustCompile(`(?m)^[^#\n]*(?:\s@@?[\w\[(]|omfwd|omrelp|omkafka|omelasticsearch|(?:network|tcp|udp)\("?[\w.]+)`)

// carriers are programs whose work is to carry logs away.
var carriers = []string{"vector", "fluent-bit", "fluentd", "td-agent", "filebeat", "promtail", "alloy", "otelcol", "otelcol-contrib", "splunkd", "systemd-journal-upload", "systemd-journal-u", "nxlog", "datadog-agent"}

func (l *looker) shippers(running []string) {
	if len(running) == 0 {
		return
	}
	for _, name := range carriers {
		if slices.Contains(running, name) {
			l.out.Facts[catalog.FactShipper] = name
			return
		}
	}
	for daemon, files := range map[string][]string{
		"rsyslogd": append(l.list("/etc/rsyslog.d"), "/etc/rsyslog.conf"), "syslog-ng": append(l.list("/etc/syslog-ng/conf.d"), "/etc/syslog-ng/syslog-ng.conf"),
	} {
		for _, f := range files {
			if text, err := l.read(f); slices.Contains(running, daemon) && err == nil && forwarding.Match(text) {
				l.out.Facts[catalog.FactShipper] = daemon
				return
			}
		}
	}
	l.out.Facts[catalog.FactShipper] = "none"
}

// unsynchronised is STA_UNSYNC of adjtimex(2).
const unsynchronised = 0x40

// clock asks the kernel whether something keeps its clock. Asking changes nothing: no mode is set.
func (l *looker) clock(running []string) {
	if l.Root == "" {
		var t syscall.Timex
		if _, err := syscall.Adjtimex(&t); err == nil {
			l.out.Facts[catalog.FactClock] = map[bool]string{true: "free", false: "synchronised"}[t.Status&unsynchronised != 0]
			return
		}
	}
	for _, name := range []string{"chronyd", "ntpd", "systemd-timesyncd", "systemd-timesyn", "openntpd"} {
		if slices.Contains(running, name) {
			l.out.Facts[catalog.FactClock] = "synchronised"
		}
	}
}

// swap says what kind of device memory is swapped to: the worst of them.
func (l *looker) swap() {
	text, err := l.read("/proc/swaps")
	if err != nil {
		l.missing("swap", err)
		return
	}
	worst := "none"
	rank := []string{"none", "memory", "encrypted", "plain"}
	for _, line := range strings.Split(string(text), "\n")[1:] {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kind := "plain"
		switch {
		case strings.HasPrefix(path.Base(f[0]), "zram"):
			kind = "memory"
		case f[1] == "file":
			kind = l.volumeOf(f[0])
		case l.encrypted(path.Base(f[0])):
			kind = "encrypted"
		}
		if slices.Index(rank, kind) < 0 {
			l.out.Missing["swap"] = "the device under " + f[0] + " does not show"
			return
		}
		if slices.Index(rank, kind) > slices.Index(rank, worst) {
			worst = kind
		}
	}
	l.out.Facts[catalog.FactSwap] = worst
}

// encrypted reports whether a block device, or one below it, is an encrypted mapping.
func (l *looker) encrypted(device string) bool {
	if link, err := os.Readlink(l.at("/dev/mapper/" + device)); err == nil {
		device = path.Base(link)
	}
	dir := "/sys/class/block/" + device
	if strings.HasPrefix(l.line(dir+"/dm/uuid"), "CRYPT-") {
		return true
	}
	for _, below := range l.list(dir + "/slaves") {
		if l.encrypted(path.Base(below)) {
			return true
		}
	}
	return false
}

// mount is a line of /proc/self/mountinfo.
type mount struct{ point, kind, source string }

// mountOf is the mount that a path lies on.
func (l *looker) mountOf(name string) (best mount) {
	text, err := l.read("/proc/self/mountinfo")
	l.missing("mounts", err)
	for _, line := range strings.Split(string(text), "\n") {
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 2 {
			continue
		}
		point := strings.ReplaceAll(f[4], `\040`, " ")
		if name == point || strings.HasPrefix(name, strings.TrimSuffix(point, "/")+"/") {
			if len(point) >= len(best.point) {
				best = mount{point: point, kind: g[0], source: g[1]}
			}
		}
	}
	return best
}

// volumeOf says whether a path lies on an encrypted device; "" when the device does not show, as in a container.
func (l *looker) volumeOf(name string) string {
	m := l.mountOf(name)
	switch {
	case m.kind == "tmpfs":
		return "memory"
	case m.kind == "fuse.gocryptfs" || m.kind == "ecryptfs":
		return "encrypted"
	case !strings.HasPrefix(m.source, "/dev/"):
		return ""
	}
	device := path.Base(m.source)
	if _, err := os.Stat(l.at("/sys/class/block/" + device)); err != nil {
		if _, err := os.Readlink(l.at("/dev/mapper/" + device)); err != nil {
			return ""
		}
	}
	if l.encrypted(device) {
		return "encrypted"
	}
	return "plain"
}

// volumes looks at the file systems under the data and the log.
func (l *looker) volumes() {
	m := l.mountOf(l.data)
	if m.kind != "" {
		l.out.Facts[catalog.FactFileSystem] = m.kind
	}
	if v := l.volumeOf(l.data); v != "" {
		l.out.Facts[catalog.FactVolume] = v
	} else {
		l.out.Missing["volume"] = fmt.Sprintf("%s lies on %s, whose device does not show here", l.data, orUnknown(m.kind))
	}
	dir := l.logDirectory()
	if dir == "" {
		return
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(l.at(dir), &st); err != nil || st.Blocks == 0 {
		l.out.Missing["log volume"] = "its file system does not answer"
		return
	}
	l.out.Facts[catalog.FactLogUsed] = strconv.FormatUint((st.Blocks-st.Bavail)*100/st.Blocks, 10)
	same := l.mountOf(dir).point == m.point
	l.out.Facts[catalog.FactLogVolume] = map[bool]string{true: "shared", false: "own"}[same]
	oldest := time.Time{}
	for _, name := range l.logFiles() {
		if info, err := os.Stat(l.at(name)); err == nil && (oldest.IsZero() || info.ModTime().Before(oldest)) {
			oldest = info.ModTime()
		}
	}
	if !oldest.IsZero() {
		l.out.Facts[catalog.FactLogOldest] = oldest.UTC().Format(time.DateOnly)
	}
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown file system"
	}
	return s
}

// logDirectory is where the server's log files are: its own folder, or the file that its start script sends standard error to and those
// that were rotated away from it.
func (l *looker) logDirectory() string { dir, _ := l.logPlace(); return dir }

func (l *looker) logPlace() (dir, stem string) {
	if v := l.srv.Setting("logging_collector"); v == "on" {
		return l.inData(l.srv.Setting("log_directory")), ""
	}
	if l.out.Process == nil || l.out.Facts[catalog.FactStderr] != "file" {
		return "", ""
	}
	to, err := os.Readlink(l.at(fmt.Sprintf("/proc/%d/fd/2", l.out.Process.PID)))
	if err != nil {
		return "", ""
	}
	return path.Dir(to), path.Base(to)
}

// logFiles lists the log files, those that were compressed left out.
func (l *looker) logFiles() []string {
	dir, stem := l.logPlace()
	var out []string
	for _, name := range l.list(dir) {
		if info, err := os.Stat(l.at(name)); err == nil && info.Mode().IsRegular() && strings.HasPrefix(path.Base(name), stem) {
			out = append(out, name)
		}
	}
	return out
}
