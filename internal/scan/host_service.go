package scan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
)

func restartPending(e *catalog.Evidence, _ *Env) Verdict {
	p := e.Host.Process
	if p == nil || p.Exe == "" {
		return notSeen(e, "the server's program", "program")
	}
	if p.Replaced {
		return found([]Finding{{Object: "program " + p.Exe, Evidence: "was replaced on disk since the server started; it runs " + running(e), Fix: "restart the server"}})
	}
	for _, x := range e.Host.Programs {
		if x.Path != p.Exe {
			continue
		}
		major, minor, err := splitVersion(x.Version)
		if err != nil {
			return notEvaluated("the program on disk says version " + x.Version)
		}
		return failWhen(major > e.Server.Major() || major == e.Server.Major() && minor > e.Server.Minor(), Finding{
			Object: "program " + p.Exe, Evidence: "is " + x.Version + ", the running server is " + running(e), Fix: "restart the server",
		})
	}
	return notEvaluated("the version of " + p.Exe + " does not show")
}

func clientCVEs(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	seen, unknown := 0, 0
	for _, x := range e.Host.Programs {
		if !x.Client {
			continue
		}
		major, minor, err := splitVersion(x.Version)
		if err != nil {
			continue
		}
		seen++
		open, dunno := env.Advisories.Open(major, minor, "client")
		open = slices.DeleteFunc(open, func(c CVE) bool { return !c.touches(x.Name) })
		if m := env.Advisories.Major(major); m == nil || dunno > 0 || !m.EOL.IsZero() && !env.Now.Before(m.EOL) {
			unknown++
		}
		if len(open) > 0 {
			fs = append(fs, Finding{
				Object: "program " + x.Path, Evidence: x.Version + " has " + cveList(open), Severity: severityOf(open), Moved: "by the worst score", Fix: "update the client packages",
			})
		}
	}
	switch {
	case len(fs) > 0:
		return found(fs)
	case seen == 0:
		return notApplicable("no client program was found on the host")
	case unknown > 0:
		return notEvaluated("unknown for the branch of some of the programs")
	}
	return found(nil)
}

// touches reports whether a vulnerability of the clients is in a program. libpq is in all of them.
func (c *CVE) touches(program string) bool {
	names := false
	for _, p := range []string{"psql", "pg_dump", "pg_restore", "pg_basebackup", "pg_dumpall", "pg_rewind", "pg_createsubscriber", "ecpg"} {
		if strings.Contains(c.Component, p) {
			if names = true; p == program {
				return true
			}
		}
	}
	return !names || strings.Contains(c.Component, "libpq")
}

func packageOrigin(e *catalog.Evidence, _ *Env) Verdict {
	p := e.Host.Packages
	if p == nil || e.Host.Process == nil || e.Host.Process.Exe == "" {
		return notSeen(e, "the package database", "packages")
	}
	var fs []Finding
	if p.Owner == "" {
		fs = append(fs, Finding{Object: "program " + e.Host.Process.Exe, Evidence: "belongs to no package of " + p.Manager, Fix: "install PostgreSQL from the distribution or from PGDG"})
	}
	if file := e.Host.Facts[catalog.FactUntrustedSource]; file != "" && file != "none" {
		fs = append(fs, Finding{Object: "package source " + file, Evidence: "is believed without a signature", Place: file, Fix: "name the source's key with signed-by"})
	}
	return found(fs)
}

func otherMajors(e *catalog.Evidence, _ *Env) Verdict {
	return byFact(catalog.FactOtherMajors, "programs", func(v string) Finding {
		if v == "none" {
			return Finding{}
		}
		return Finding{Object: "host", Evidence: "has server programs of " + v + " besides those of " + strconv.Itoa(e.Server.Major()), Fix: "remove the packages of majors that no server uses"}
	})(e, nil)
}

func serviceState(e *catalog.Evidence, _ *Env) Verdict {
	if e.Host.Process == nil {
		return notSeen(e, "the server's process", "process")
	}
	if e.Host.Unit == nil {
		kind, known := fact(e, catalog.FactContainer)
		switch {
		case e.Host.Missing["unit"] != "" || !known:
			return notSeen(e, "the server's unit", "unit")
		case kind != "none":
			return notApplicable("it runs in a container, whose orchestrator starts it")
		}
		return found([]Finding{{Object: "server", Evidence: "runs outside the service manager", Fix: "run it as a systemd unit"}})
	}
	return failWhen(!e.Host.Unit.Enabled, Finding{Object: "unit " + e.Host.Unit.Name, Evidence: "is not enabled", Fix: "systemctl enable " + e.Host.Unit.Name})
}

func wideUmask(e *catalog.Evidence, _ *Env) Verdict {
	v, object := "", ""
	if u := e.Host.Unit; u != nil && u.Properties["UMask"] != "" {
		v, object = u.Properties["UMask"], "unit "+u.Name
	} else if p := e.Host.Process; p != nil && p.Umask != "" {
		v, object = p.Umask, "server process"
	}
	mask, err := strconv.ParseUint(v, 8, 32)
	if err != nil {
		return notSeen(e, "the server's umask", "process")
	}
	// 0027 is what the server itself sets for a data directory that its group may read.
	return failWhen(mask&0o077 != 0o077 && mask&0o077 != 0o027, Finding{Object: object, Evidence: "umask " + v, Fix: "UMask=0077 in the unit"})
}

// noShells let nobody in.
var noShells = []string{"/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/true", ""}

func accountLogsIn(e *catalog.Evidence, _ *Env) Verdict {
	a := e.Host.Account
	if a == nil {
		return notSeen(e, "the server's account", "account")
	}
	object := "account " + e.Host.ServerUser
	var fs []Finding
	switch a.Password {
	case "set":
		fs = append(fs, Finding{Object: object, Evidence: "has a password", Fix: "passwd -l " + e.Host.ServerUser})
	case "none":
		fs = append(fs, Finding{Object: object, Evidence: "has an empty password", Severity: Critical, Moved: "anybody may be it", Fix: "passwd -l " + e.Host.ServerUser})
	}
	if !slices.Contains(noShells, a.Shell) {
		f := Finding{Object: object, Evidence: "has the shell " + a.Shell, Fix: "usermod -s /usr/sbin/nologin " + e.Host.ServerUser}
		if a.Password == "locked" {
			f.Severity, f.Moved = stepDown, "its password is locked"
		}
		fs = append(fs, f)
	}
	if a.Password == "" && len(fs) == 0 {
		return notSeen(e, "whether the account has a password", "/etc/shadow")
	}
	return found(fs)
}

func wideSudo(e *catalog.Evidence, _ *Env) Verdict {
	a := e.Host.Account
	if a == nil || !a.SudoSeen {
		return notSeen(e, "the rules of sudo", "/etc/sudoers")
	}
	var fs []Finding
	for _, s := range a.Sudo {
		where, _, _ := strings.Cut(s, " ")
		fs = append(fs, Finding{Object: "sudo rule " + where, Evidence: s, Place: where, Fix: "name the commands that are needed, and the people"})
	}
	return found(fs)
}

// hardened says which properties of a unit are wanted, and which values of them are good.
var hardened = []struct {
	name string
	good []string
}{{"NoNewPrivileges", []string{"yes", "true", "on", "1"}}, {"ProtectSystem", []string{"yes", "true", "on", "1", "full", "strict"}}, {"PrivateTmp", []string{"yes", "true", "on", "1", "disconnected"}}}

func unitHardening(e *catalog.Evidence, _ *Env) Verdict {
	u := e.Host.Unit
	if u == nil {
		if e.Host.Process == nil || e.Host.Missing["unit"] != "" {
			return notSeen(e, "the server's unit", "unit")
		}
		return notApplicable("the server is no unit of systemd")
	}
	var lacks []string
	for _, h := range hardened {
		if !slices.Contains(h.good, strings.ToLower(u.Properties[h.name])) {
			lacks = append(lacks, h.name)
		}
	}
	return failWhen(len(lacks) > 0, Finding{Object: "unit " + u.Name, Evidence: "lacks " + strings.Join(lacks, ", "), Fix: "systemctl edit " + u.Name + ": [Service] NoNewPrivileges=yes ProtectSystem=full PrivateTmp=yes"})
}

// oldBackup is when a backup no longer counts as one.
const oldBackup = 8 * 24 * time.Hour

func noBackup(e *catalog.Evidence, env *Env) Verdict {
	b := e.Host.Backups
	if b == nil {
		return notSeen(e, "whether there are backups", "backups")
	}
	fix := "set up pgBackRest or Barman, and try a restore"
	switch {
	case !b.Last.IsZero() && env.Now.Sub(b.Last) <= oldBackup:
		return found(nil)
	case !b.Last.IsZero():
		return found([]Finding{{Object: "backup", Evidence: "the newest is of " + b.Last.Format(time.DateOnly), Fix: "look why it stopped"}})
	case len(b.Tools) > 0:
		return notEvaluated(strings.Join(b.Tools, ", ") + " is set up, and its newest backup does not show from here")
	case e.Server != nil && e.Server.Archiver.Archived > 0 && on(e.Server.Value("archive_mode")):
		return notEvaluated("the server archives its log, and the backups it belongs to do not show from here")
	}
	return found([]Finding{{Object: "server", Evidence: "no backup tool is configured or scheduled on this host, and nothing is archived", Fix: fix}})
}

func repositoryOpen(e *catalog.Evidence, _ *Env) Verdict {
	b := e.Host.Backups
	if b == nil {
		return notSeen(e, "where backups are kept", "backups")
	}
	if len(b.Repository) == 0 {
		return notApplicable("no backup repository is configured on this host")
	}
	var fs []Finding
	for _, r := range b.Repository {
		object := "repository " + r.Path
		if r.Cipher == "" || r.Cipher == "none" {
			fs = append(fs, Finding{Object: object, Evidence: "is not encrypted (" + r.Config + ")", Place: r.Config, Fix: "set repo1-cipher-type=aes-256-cbc for a new repository"})
		}
		if r.Readable {
			fs = append(fs, Finding{Object: object, Evidence: "is open to every account", Place: r.Path, Fix: "chmod 0750 " + r.Path})
		}
	}
	return found(fs)
}

// hostSecretChecks are the checks of what is left lying on the host.
func hostSecretChecks() []Check {
	return []Check{
		{ID: "TLS-044", Why: "Clients of this host talk to whoever answers.", Eval: hits("sslmode", "", "sslmode=verify-full, and sslrootcert")},
		{ID: "SEC-001", Why: "Every program that this person starts is told the password.", Eval: hits("profile", "", "use a password file with mode 0600, or a certificate, and change the password")},
		{ID: "SEC-002", Why: "Whoever may look at the process reads the password.", Eval: hits("environment", "environments", "use a password file or a service file, and change the password")},
		{ID: "SEC-003", Why: "Every account of the machine can list command lines.", Eval: hits("command line", "", "use a service file or a certificate, and change the password")},
		{ID: "SEC-004", Why: "A service file is meant to be read by many.", Eval: hits("service file", "", "move the password to a password file with mode 0600, and change it")},
		{ID: "SEC-005", Why: "libpq ignores such a file, and others read it.", Eval: passFiles},
		{ID: "SEC-006", Why: "What was typed once is kept for years.", Consent: ReadLogs, Eval: hits("history", "", `use \password, set HISTCONTROL=ignorespace, remove the line, and change the password`)},
		{ID: "HBA-035", Why: "A rule that nobody uses lets in only whom nobody expects.", Reads: []catalog.Fact{catalog.FactHBA}, Consent: ReadLogs, Eval: unusedRules},
		{ID: "ROL-020", Why: "Nobody misses a login that nobody uses, until somebody else does.", Reads: []catalog.Fact{catalog.FactRoles}, Consent: ReadLogs, Eval: unusedRoles},
		{ID: "LOG-031", Why: "The log is read by more people than the password was meant for.", Consent: ReadLogs, Eval: logHits(func(f *catalog.LogFacts) []catalog.SecretHit { return f.Hits }, `change what was written, use \password, and log less`)},
		{ID: "LOG-032", Why: "The log is data of the same kind as the tables, and is guarded less.", Consent: ReadLogs, Eval: logHits(func(f *catalog.LogFacts) []catalog.SecretHit { return f.Cards }, "log fewer values (log_parameter_max_length), and remove what was written")},
	}
}

// where is the place of a hit.
func where(h *catalog.SecretHit) string {
	if h.Line == 0 {
		return h.Object
	}
	return fmt.Sprintf("%s:%d", h.Object, h.Line)
}

// hits makes a check of what was found lying around. partial names the part whose absence keeps the check from passing.
func hits(kind, partial, fix string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		for i := range e.Host.Hits {
			if h := &e.Host.Hits[i]; h.Kind == kind {
				fs = append(fs, Finding{Object: kind + " " + where(h), Evidence: map[bool]string{true: "a weak sslmode", false: "a password"}[kind == "sslmode"], Place: where(h), Fix: fix})
			}
		}
		if why := e.Host.Missing[partial]; partial != "" && why != "" && len(fs) == 0 {
			return notEvaluated(why)
		}
		return found(fs)
	}
}

func passFiles(e *catalog.Evidence, env *Env) Verdict {
	return eachFile("nobody has a password file", []string{"pgpass"}, func(_ *catalog.Host, f *catalog.File) (what, fix string) {
		if f.Mode&0o077 != 0 {
			return mode(f), "chmod 0600 " + f.Path + " -- and change the passwords in it"
		}
		return "", ""
	})(e, env)
}

const noLogFiles = "no log file was read"

func logHits(which func(*catalog.LogFacts) []catalog.SecretHit, fix string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		f := e.Host.Logs
		if f == nil || f.Files == 0 {
			return notSeen(e, noLogFiles, "logs")
		}
		var fs []Finding
		all := which(f)
		for i := range all {
			fs = append(fs, Finding{Object: "log " + where(&all[i]), Evidence: all[i].Kind, Place: where(&all[i]), Fix: fix})
		}
		if len(fs) == 0 && f.Truncated {
			return notEvaluated("nothing was found, and more logs are there than were read")
		}
		return found(fs)
	}
}

// unusedAfter is how long a rule or a role may go unused.
const unusedAfter = 90 * 24 * time.Hour

// watched says whether the logs cover enough time to call something unused.
func watched(e *catalog.Evidence, env *Env) (f *catalog.LogFacts, why string) {
	f = e.Host.Logs
	switch {
	case f == nil || f.Files == 0:
		return nil, orText(e.Host.Missing["logs"], noLogFiles)
	case f.From.IsZero():
		return nil, "the logs hold no line about a login"
	case f.To.Sub(f.From) < unusedAfter-24*time.Hour:
		return nil, fmt.Sprintf("the logs cover %d days; it takes %d to call something unused", int(f.To.Sub(f.From).Hours()/24), int(unusedAfter.Hours()/24))
	case env.Now.Sub(f.To) > 7*24*time.Hour:
		return nil, "the newest login in the logs is of " + f.To.Format(time.DateOnly)
	}
	return f, ""
}

func orText(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}

func unusedRules(e *catalog.Evidence, env *Env) Verdict {
	f, why := watched(e, env)
	if f == nil {
		return notEvaluated(why)
	}
	if len(f.Rules) == 0 {
		return notEvaluated("no line of the logs names a rule")
	}
	var fs []Finding
	for i := range e.Server.HBA {
		r := &e.Server.HBA[i]
		// The server names no rule for trust, which authenticates nobody.
		if !accepts(r) || r.Broken() || r.Method == "trust" {
			continue
		}
		if last := f.Rules[fmt.Sprintf("%s:%d", orText(r.File, e.Server.Value("hba_file")), r.Line)]; env.Now.Sub(last) > unusedAfter {
			fs = append(fs, Finding{Object: rulePlace(r), Evidence: fmt.Sprintf("let nobody in from %s to %s, as far as the logs say", f.From.Format(time.DateOnly), f.To.Format(time.DateOnly)), Place: rulePlace(r), Fix: "remove the rule"})
		}
	}
	return found(fs)
}

func unusedRoles(e *catalog.Evidence, env *Env) Verdict {
	f, why := watched(e, env)
	if f == nil {
		return notEvaluated(why)
	}
	var fs []Finding
	for _, r := range e.Server.Roles {
		if !r.Login || catalog.Predefined(r.Name) {
			continue
		}
		if last := f.Roles[r.Name]; env.Now.Sub(last) > unusedAfter {
			fs = append(fs, Finding{Object: "role " + r.Name, Evidence: fmt.Sprintf("did not log in from %s to %s, as far as the logs say", f.From.Format(time.DateOnly), f.To.Format(time.DateOnly)), Fix: "ALTER ROLE " + quoteIdent(r.Name) + " NOLOGIN;"})
		}
	}
	return found(fs)
}
