package scan

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

// hostSystemChecks are the checks of the operating system of the server's host.
func hostSystemChecks() []Check {
	hba := []catalog.Fact{catalog.FactHBA}
	return []Check{
		{ID: "NET-011", Why: "pg_hba.conf is then the only thing between the server and everybody who can route to it.", Eval: noFirewall},
		{ID: "NET-012", Why: "One of the two is wrong, and nobody knows which.", Reads: hba, Eval: firewallAgainstRules},
		{ID: "NET-018", Why: "Whoever opens connections faster than they end keeps everybody else out, without a password.", Eval: noLimitInFront},
		{ID: "NET-020", Why: "The container's proxy opens the port on every address, past the host's own rules.", Eval: publishedEverywhere},
		{ID: "NET-021", Why: "Whoever may open a tunnel to the server may open one to everything that the host can reach.", Eval: wideTunnel},
		{ID: "HBA-008", Why: "The rule grows with every network that the machine joins.", Reads: hba, Eval: samenetOnMany},
		{ID: "TLS-041", Why: "The site is bound to validated cryptography.", Given: func(env *Env) bool { return env.Expect != nil }, Eval: noFIPS},
		{ID: "TLS-042", Why: "Holes of the library are holes of every connection.", Eval: oldOpenSSL},
		{ID: "LOG-001", Why: "What the server says goes nowhere.", Eval: noLog},
		{ID: "LOG-002", Why: "Files are asked for and nothing writes them.", Eval: collectorOff},
		{ID: "LOG-033", Why: "Whoever takes the host takes the evidence with it.", Eval: notShipped},
		{ID: "LOG-034", Why: "A full disk stops the log, or the server, or both.", Eval: logVolume},
		{ID: "LOG-035", Why: "What happened before the oldest line nobody can tell.", Given: func(env *Env) bool { return env.Expect != nil }, Eval: shortRetention},
		{ID: "LOG-038", Why: "Lines of different machines cannot be put in order.", Eval: clockFree},
		{ID: "PAT-005", Why: "The corrected program lies on the disk, and the old one runs.", Eval: restartPending},
		{ID: "PAT-006", Why: "The tools that dump and restore run with an administrator's rights.", Eval: clientCVEs},
		{ID: "PAT-008", Why: "Nobody corrects what nobody packaged, and an unsigned source can send anything.", Eval: packageOrigin},
		{ID: "PAT-009", Why: "Programs that nobody uses are not updated either.", Eval: otherMajors},
		{ID: "PAT-010", Why: "After a restart of the machine the server stays away, or comes back without its limits.", Eval: serviceState},
		{ID: "SEC-013", Why: "What the server writes is readable by others from the start.", Eval: wideUmask},
		{ID: "SEC-014", Why: "The account that owns all data is one that somebody can log in as.", Eval: accountLogsIn},
		{ID: "SEC-015", Why: "Whoever may act as the server's account has all data.", Eval: wideSudo},
		{ID: "SEC-017", Why: "A hole in the server is then a hole in the machine.", Eval: unitHardening},
		{ID: "SEC-018", Why: "A hole in the server is then root on the machine.", Eval: runsAsRoot},
		{ID: "SEC-019", Why: "A lost disk or a copied volume is all data in clear.", Eval: volumePlain},
		{ID: "SEC-020", Why: "A dump of the server's memory holds passwords, keys and rows.", Eval: coreDumps},
		{ID: "SEC-021", Why: "Memory with keys and rows is written to the disk as it is.", Eval: swapPlain},
		{ID: "REP-003", Why: "What is lost stays lost.", Eval: noBackup},
		{ID: "REP-005", Why: "The backup is the data, with none of its guards.", Eval: repositoryOpen},
	}
}

// fact is a single fact of the host; known is false when it was not seen.
func fact(e *catalog.Evidence, name catalog.HostFact) (string, bool) {
	if e.Host == nil {
		return "", false
	}
	v, known := e.Host.Facts[name]
	return v, known
}

// notSeen is the verdict when a part of the host was not seen.
func notSeen(e *catalog.Evidence, what, part string) Verdict {
	if e.Host != nil && e.Host.Missing[part] != "" {
		return notEvaluated(what + ": " + e.Host.Missing[part])
	}
	return notEvaluated(what + " was not seen")
}

// byFact makes a check of one fact: bad says what is wrong with its value, "" for nothing.
func byFact(name catalog.HostFact, part string, bad func(v string) Finding) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		v, known := fact(e, name)
		if !known {
			return notSeen(e, part, part)
		}
		f := bad(v)
		return failWhen(f.Object != "", f)
	}
}

// notListening reports whether no other machine can reach the server over TCP.
func notListening(e *catalog.Evidence) bool {
	v := e.Server.Setting("listen_addresses")
	return v != nil && loopbackOnly(v.Value)
}

const loopbackAlone = "the server listens on loopback or not at all"

func noFirewall(e *catalog.Evidence, _ *Env) Verdict {
	if notListening(e) {
		return notApplicable(loopbackAlone)
	}
	f := e.Host.Firewall
	if f == nil {
		return notSeen(e, "the packet filter", "firewall")
	}
	port := e.Server.Value("port")
	fix := "nft add rule inet filter input tcp dport " + port + " ip saddr != { CLIENTS } drop"
	switch {
	case f.Tool == "none":
		return found([]Finding{{Object: "port " + port, Evidence: "the host has no packet filter", Fix: fix}})
	case f.Open():
		evidence := f.Tool + " lets every address through to it"
		if len(f.Unclear) > 0 {
			evidence += fmt.Sprintf("; %d rules could not be judged and count as letting through", len(f.Unclear))
		}
		return found([]Finding{{Object: "port " + port, Evidence: evidence, Fix: fix}})
	}
	return found(nil)
}

func firewallAgainstRules(e *catalog.Evidence, _ *Env) Verdict {
	if notListening(e) {
		return notApplicable(loopbackAlone)
	}
	f := e.Host.Firewall
	switch {
	case f == nil:
		return notSeen(e, "the packet filter", "firewall")
	case f.Tool == "none" || f.Open():
		return notApplicable("the packet filter does not choose, which is NET-011")
	}
	var rules []netip.Prefix
	var fs []Finding
	for i := range e.Server.HBA {
		r := &e.Server.HBA[i]
		if !accepts(r) || r.Broken() || r.Type == "local" {
			continue
		}
		var of []netip.Prefix
		switch kind, p := r.AddressKind(); kind {
		case catalog.AddressRange:
			of = []netip.Prefix{p}
		case catalog.AddressAll:
			of = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
		default:
			return notEvaluated("which addresses " + rulePlace(r) + " means cannot be told from here")
		}
		rules = append(rules, of...)
		if !slices.ContainsFunc(of, func(p netip.Prefix) bool { return p.Addr().IsLoopback() || overlapsAny(p, f.Allowed) }) {
			fs = append(fs, Finding{Object: rulePlace(r), Evidence: "lets in " + of[0].String() + ", which the packet filter keeps out", Place: rulePlace(r), Fix: "remove the rule, or open the filter"})
		}
	}
	for _, p := range f.Allowed {
		if !overlapsAny(p, rules) {
			fs = append(fs, Finding{Object: "packet filter, " + p.String(), Evidence: "is let through, and no rule of pg_hba.conf lets it in", Fix: "close the filter for it"})
		}
	}
	return found(fs)
}

func overlapsAny(p netip.Prefix, all []netip.Prefix) bool {
	return slices.ContainsFunc(all, p.Overlaps)
}

func noLimitInFront(e *catalog.Evidence, _ *Env) Verdict {
	if notListening(e) {
		return notApplicable(loopbackAlone)
	}
	f := e.Host.Firewall
	if f == nil {
		return notSeen(e, "the packet filter", "firewall")
	}
	return failWhen(!f.Limits && f.Open(), Finding{Object: "port " + e.Server.Value("port"), Evidence: "anybody may open connections, as many and as fast as he likes", Fix: "put a gateway or pooler in front, or limit new connections by source: nft … ct count over 20 drop"})
}

func publishedEverywhere(e *catalog.Evidence, _ *Env) Verdict {
	if len(e.Host.Published) > 0 {
		var fs []Finding
		for _, p := range e.Host.Published {
			fs = append(fs, Finding{Object: "container proxy " + p, Evidence: "leads to the server's port from every address", Fix: "publish it as 127.0.0.1:PORT:PORT"})
		}
		return found(fs)
	}
	kind, known := fact(e, catalog.FactContainer)
	switch {
	case !known:
		return notSeen(e, "whether this is a container", "process")
	case kind != "none":
		return notEvaluated("from inside a container nobody sees what is published")
	}
	return found(nil)
}

func wideTunnel(e *catalog.Evidence, _ *Env) Verdict {
	t := e.Host.Tunnel
	if t == nil {
		if e.Host.Missing["/etc/ssh/sshd_config"] != "" || e.Host.Process == nil {
			return notSeen(e, "the SSH server's configuration", "/etc/ssh/sshd_config")
		}
		return notApplicable("the host has no SSH server")
	}
	var fs []Finding
	object := "sshd_config"
	forwards := t.Forwarding == "yes" || t.Forwarding == "all" || t.Forwarding == "local"
	if narrow := len(t.PermitOpen) > 0 && !slices.Contains(t.PermitOpen, "any"); forwards && !narrow {
		fs = append(fs, Finding{Object: object, Evidence: "AllowTcpForwarding " + t.Forwarding + " without PermitOpen", Place: "/etc/ssh/sshd_config", Fix: "PermitOpen 127.0.0.1:" + e.Server.Value("port")})
	}
	if t.Gateway != "no" {
		fs = append(fs, Finding{Object: object, Evidence: "GatewayPorts " + t.Gateway + ": tunnels may be opened to other machines too", Place: "/etc/ssh/sshd_config", Fix: "GatewayPorts no"})
	}
	return found(fs)
}

func samenetOnMany(e *catalog.Evidence, _ *Env) Verdict {
	nets := map[netip.Prefix]bool{}
	for _, p := range e.Host.Interfaces {
		if a := p.Addr(); !a.IsLoopback() && !a.IsLinkLocalUnicast() {
			nets[p.Masked()] = true
		}
	}
	if len(e.Host.Interfaces) == 0 {
		return notSeen(e, "the machine's addresses", "interfaces")
	}
	families := map[bool]int{}
	for p := range nets {
		families[p.Addr().Is4()]++
	}
	var fs []Finding
	for i := range e.Server.HBA {
		r := &e.Server.HBA[i]
		if kind, _ := r.AddressKind(); !accepts(r) || kind != catalog.AddressSameNet && kind != catalog.AddressSameHost {
			continue
		}
		if families[true] > 1 || families[false] > 1 {
			fs = append(fs, Finding{Object: rulePlace(r), Evidence: fmt.Sprintf("%s means %d networks on this machine", r.Address, len(nets)), Place: rulePlace(r), Fix: "write the network that is meant"})
		}
	}
	return found(fs)
}

func noFIPS(e *catalog.Evidence, env *Env) Verdict {
	if !env.Expect.FIPS {
		return notApplicable("the site does not demand it")
	}
	return byFact(catalog.FactFIPS, "the kernel's FIPS switch", func(v string) Finding {
		if v == "on" {
			return Finding{}
		}
		return Finding{Object: "host", Evidence: "the kernel is not in FIPS mode", Fix: "turn FIPS mode on as the distribution describes, then restart the machine"}
	})(e, env)
}

// openSSLEnds is the last day of each branch of OpenSSL by the project's release strategy, read in its editions of September 2016,
// November 2023 and June 2025 and in the announcement of 4.0. Before 3.0 a branch has three numbers.
var openSSLEnds = map[string]string{
	"0.9.8": "2015-12-31", "1.0.0": "2015-12-31", "1.0.1": "2016-12-31", "1.0.2": "2019-12-31", "1.1.0": "2019-09-11", "1.1.1": "2023-09-11",
	"3.0": "2026-09-07", "3.1": "2025-03-14", "3.2": "2025-11-23", "3.3": "2026-04-09", "3.4": "2026-10-22", "3.5": "2030-04-08", "3.6": "2026-11-01",
	"4.0": "2027-05-14",
}

// openSSLBranch is the branch of a version such as 1.1.1n, 3.0.17-1~deb12u2 or 1:1.0.2k.
var openSSLBranch = regexp.MustCompile(`^(?:\d+:)?(0\.\d+\.\d+|1\.\d+\.\d+|\d+\.\d+)`)

func oldOpenSSL(e *catalog.Evidence, env *Env) Verdict {
	v, known := fact(e, catalog.FactOpenSSL)
	if !known {
		return notSeen(e, "the TLS library's package", "packages")
	}
	m := openSSLBranch.FindStringSubmatch(v)
	if m == nil {
		return notEvaluated("its version reads " + v)
	}
	day, ok := openSSLEnds[m[1]]
	if !ok {
		return notEvaluated("this version does not know OpenSSL " + m[1])
	}
	end, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return notEvaluated("the table reads " + day)
	}
	f := Finding{Object: "OpenSSL " + v, Evidence: "its branch had its last release on " + day, Fix: "update the operating system's OpenSSL, then restart the server"}
	if strings.Contains(v, "-") {
		f.Severity, f.Moved = stepDown, "a distribution's package, which may be corrected longer than the branch"
	}
	return failWhen(!env.Now.Before(end), f)
}

// captured reports whether the server's error output ends up somewhere.
func captured(e *catalog.Evidence) (where string, known bool) {
	return fact(e, catalog.FactStderr)
}

func noLog(e *catalog.Evidence, _ *Env) Verdict {
	to := items(value(e, "log_destination"))
	if len(to) == 0 {
		return found([]Finding{badSetting(e, "log_destination", "stderr")})
	}
	if writesFiles(e) || slices.ContainsFunc(to, func(d string) bool { return d == "syslog" || d == "eventlog" }) {
		return found(nil)
	}
	where, known := captured(e)
	if !known {
		return notSeen(e, "where the server's error output goes", "stderr")
	}
	f := badSetting(e, "logging_collector", "on")
	f.Evidence += "; the error output goes to " + map[string]string{"null": "/dev/null", "terminal": "a terminal"}[where]
	return failWhen(where == "null" || where == "terminal", f)
}

func collectorOff(e *catalog.Evidence, _ *Env) Verdict {
	if writesFiles(e) {
		return found(nil)
	}
	f := badSetting(e, "logging_collector", "on")
	for _, d := range items(value(e, "log_destination")) {
		if d == "csvlog" || d == "jsonlog" {
			f.Evidence += ", while " + show(e, "log_destination")
			return found([]Finding{f})
		}
	}
	where, known := captured(e)
	if !known {
		return notSeen(e, "where the server's error output goes", "stderr")
	}
	return failWhen(where == "null" || where == "terminal", f)
}

func notShipped(e *catalog.Evidence, _ *Env) Verdict {
	return byFact(catalog.FactShipper, "what carries logs off the host", func(v string) Finding {
		if v != "none" {
			return Finding{}
		}
		return Finding{Object: "host", Evidence: "no program that carries logs away runs, and no forwarding is configured", Fix: "forward the log: rsyslog, vector, fluent-bit or systemd-journal-upload"}
	})(e, nil)
}

// fullVolume is when a disk wants attention.
const fullVolume = 75

func logVolume(e *catalog.Evidence, _ *Env) Verdict {
	used, known := fact(e, catalog.FactLogUsed)
	if !known {
		return notSeen(e, "the log's file system", "log volume")
	}
	var fs []Finding
	if n, err := strconv.Atoi(used); err == nil && n > fullVolume {
		fs = append(fs, Finding{Object: "log volume", Evidence: used + " % full", Fix: "remove or ship old logs, or make the volume larger"})
	}
	if v, _ := fact(e, catalog.FactLogVolume); v == "shared" {
		fs = append(fs, Finding{Object: "log volume", Evidence: "is the data directory's too", Fix: "give the log a volume of its own"})
	}
	return found(fs)
}

func shortRetention(e *catalog.Evidence, env *Env) Verdict {
	days := env.Expect.LogDays
	if days == 0 {
		return notApplicable("the site declares no retention")
	}
	oldest, known := fact(e, catalog.FactLogOldest)
	if !known {
		return notSeen(e, "the log's files", "log volume")
	}
	first, err := time.Parse(time.DateOnly, oldest)
	if err != nil {
		return notEvaluated("the oldest log is of " + oldest)
	}
	have := int(env.Now.Sub(first).Hours() / 24)
	if have >= days {
		return found(nil)
	}
	made, known := fact(e, catalog.FactClusterMade)
	if born, err := time.Parse(time.DateOnly, made); known && err == nil && int(env.Now.Sub(born).Hours()/24) < days {
		return notEvaluated("the server is younger than the retention, so its logs cannot tell")
	}
	return found([]Finding{{Object: "logs", Evidence: fmt.Sprintf("the oldest is of %s, %d days ago; %d days are asked for", oldest, have, days), Fix: "keep logs longer, here or where they are shipped to"}})
}

func clockFree(e *catalog.Evidence, _ *Env) Verdict {
	return byFact(catalog.FactClock, "the clock's state", func(v string) Finding {
		if v == "synchronised" {
			return Finding{}
		}
		return Finding{Object: "clock", Evidence: "nothing keeps it", Fix: "run chrony or systemd-timesyncd"}
	})(e, nil)
}

func runsAsRoot(e *catalog.Evidence, _ *Env) Verdict {
	p := e.Host.Process
	if p == nil || p.UID < 0 {
		return notSeen(e, "the server's process", "process")
	}
	kind := e.Host.Facts[catalog.FactContainer]
	full := strings.TrimLeft(p.Capabilities, "0")
	switch {
	case p.UID == 0:
		return found([]Finding{{Object: "server process", Evidence: "runs as root", Fix: "run it as an account of its own"}})
	case kind != "" && kind != "none" && len(full) >= 9:
		return found([]Finding{{Object: "server process", Evidence: "runs in a container with all of the machine's capabilities", Fix: "run the container without --privileged"}})
	}
	return found(nil)
}

func volumePlain(e *catalog.Evidence, _ *Env) Verdict {
	return byFact(catalog.FactVolume, "volume", func(v string) Finding {
		if v != "plain" {
			return Finding{}
		}
		return Finding{Object: "data directory", Evidence: "lies on a device that is not encrypted, as far as this machine sees; a cloud's own encryption does not show", Fix: "move it to an encrypted volume (LUKS), or have the provider's encryption waived here"}
	})(e, nil)
}

func coreDumps(e *catalog.Evidence, _ *Env) Verdict {
	return byFact(catalog.FactCoreLimit, "limits", func(v string) Finding {
		pattern := e.Host.Facts[catalog.FactCorePattern]
		// A program that takes dumps is started for a limit of 0 too; it is told the limit and keeps nothing.
		if v == "0" || strings.HasPrefix(pattern, "|/bin/false") {
			return Finding{}
		}
		return Finding{Object: "server process", Evidence: "may write core dumps (limit " + v + "), which go to " + pattern, Fix: "LimitCORE=0 in the unit, then restart the server"}
	})(e, nil)
}

func swapPlain(e *catalog.Evidence, _ *Env) Verdict {
	return byFact(catalog.FactSwap, "swap", func(v string) Finding {
		if v != "plain" {
			return Finding{}
		}
		return Finding{Object: "swap", Evidence: "is not encrypted", Fix: "encrypt it with a random key, or turn it off"}
	})(e, nil)
}
