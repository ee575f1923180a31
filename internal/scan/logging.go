package scan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// loggingChecks are the checks of area LOG.
func loggingChecks() []Check {
	overrides := []catalog.Fact{catalog.FactOverrides}
	roles := []catalog.Fact{catalog.FactRoles, catalog.FactMemberships}
	return []Check{
		{ID: "LOG-003", Why: "Logs beside the data go when the data goes, and fill its disk.", Eval: logInside},
		{ID: "LOG-004", Why: "One name for all days is one file that somebody truncates.", Eval: logStatic},
		wrongSetting("LOG-005", "Others on the machine read what is logged.", "log_file_mode", fileModeWide, "0600"),
		{ID: "LOG-006", Why: "A name that returns is appended to for ever, or overwritten too early.", Eval: truncateRotation},
		{ID: "LOG-007", Why: "A file that never ends cannot be shipped, kept or removed.", Eval: noRotation},
		{ID: "LOG-008", Why: "Lines that are cut or merged by syslog are lost for whoever reads them.", Eval: syslogSettings},
		wrongSetting("LOG-009", "Warnings are not written.", "log_min_messages", above("warning"), "warning"),
		wrongSetting("LOG-010", "An error is written without the statement that caused it.", "log_min_error_statement", above("error"), "error"),
		{ID: "LOG-011", Why: "Whole statement trees, values included, fill the log.", Eval: debugPrint},
		wrongSetting("LOG-012", "Dumps that are printed are hard to read.", "debug_pretty_print", isOff, "on"),
		{ID: "LOG-013", Why: "Who came, from where and as whom is not written down.", Eval: logConnections},
		wrongSetting("LOG-014", "When a session ended is not written down.", "log_disconnections", isOff, "on"),
		wrongSetting("LOG-015", "Detail and hint of an error are not written.", "log_error_verbosity", oneOf("terse"), "default"),
		wrongSetting("LOG-016", "Every connection waits for the name service.", "log_hostname", isOn, "off"),
		{ID: "LOG-017", Why: "A line that does not say who, where and when is no evidence.", Eval: linePrefix},
		{ID: "LOG-018", Why: "Changes of roles, rights and tables leave no line.", Reads: overrides, Eval: noDDL},
		{ID: "LOG-019", Why: "Statements are written with the values that people typed, passwords and card numbers among them.", Reads: overrides, Eval: logsEverything},
		{ID: "LOG-020", Why: "Bound values go into the log whole.", Reads: overrides, Eval: parameterLength},
		wrongSetting("LOG-021", "Bound values go into the log with each error.", "log_parameter_max_length_on_error", func(v string) bool { return number(v) != 0 }, "0"),
		wrongSetting("LOG-022", "Clocks that jump twice a year make two events of one line.", "log_timezone", func(v string) bool {
			return !slices.Contains([]string{"utc", "etc/utc", "gmt", "etc/gmt", "zulu", "etc/zulu", "etc/uct", "uct", "universal", "etc/universal"}, strings.ToLower(v))
		}, "UTC"),
		wrongSetting("LOG-023", "Who copied the whole server is not written down.", "log_replication_commands", isOff, "on"),
		{ID: "LOG-024", Why: "The server's own log says what was typed, not what was touched.", Eval: noAudit},
		{ID: "LOG-025", Why: "Changes of roles and tables are not audited.", Eval: auditClasses},
		{ID: "LOG-026", Why: "The audit trail holds values, or shows itself to the client, or leaves out which table was touched.", Eval: auditFlags},
		{ID: "LOG-028", Why: "For this role or database the audit is another.", Reads: overrides, Eval: auditOverrides},
		{ID: "LOG-029", Why: "Whoever may set it switches his own trail off.", Reads: append(roles, catalog.FactParameters), Eval: auditGranted},
		wrongSettingReading("LOG-030", "The client sees the server's inner workings.", "client_min_messages", oneOf("debug", "debug1", "debug2", "debug3", "debug4", "debug5", "log"), "notice", overrides),
		{ID: "LOG-036", Why: "Locks, checkpoints and vacuum tell what happened when nobody was watching.", Eval: forensics},
		{ID: "LOG-037", Why: "The texts of other people's statements hold their data.", Reads: roles, Eval: readsStatements},
	}
}

// levels are the message levels of the server's log, low to high. LOG stands between ERROR and FATAL there.
var levels = []string{"debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning", "error", "log", "fatal", "panic"}

// above reports levels that leave out what the given one would write; a lower level writes more and is fine.
func above(level string) func(string) bool {
	return func(v string) bool {
		v = strings.ToLower(v)
		return slices.Index(levels, v) > slices.Index(levels, level)
	}
}

// writesFiles reports whether the collector writes files.
func writesFiles(e *catalog.Evidence) bool { return on(e.Server.Value("logging_collector")) }

const noFiles = "the server writes no log files of its own"

func logInside(e *catalog.Evidence, _ *Env) Verdict {
	if !writesFiles(e) {
		return notApplicable(noFiles)
	}
	dir, data := value(e, "log_directory"), value(e, "data_directory")
	inside := !strings.HasPrefix(dir, "/") || strings.HasPrefix(dir+"/", strings.TrimSuffix(data, "/")+"/")
	return failWhen(inside, badSetting(e, "log_directory", "/var/log/postgresql"))
}

func logStatic(e *catalog.Evidence, _ *Env) Verdict {
	if !writesFiles(e) {
		return notApplicable(noFiles)
	}
	return failWhen(!strings.Contains(value(e, "log_filename"), "%"), badSetting(e, "log_filename", "postgresql-%Y-%m-%d_%H%M%S.log"))
}

// fileModeWide reports a mode beyond reading by a log group: log_file_mode shows in octal.
func fileModeWide(v string) bool {
	var mode uint32
	_, err := fmt.Sscanf(v, "%o", &mode)
	return err == nil && mode&^0o640 != 0
}

// returns reports whether a file name pattern comes back: it has no year.
func returns(pattern string) bool {
	return strings.Contains(pattern, "%") && !strings.Contains(pattern, "%Y") && !strings.Contains(pattern, "%y") && !strings.Contains(pattern, "%s")
}

func truncateRotation(e *catalog.Evidence, _ *Env) Verdict {
	if !writesFiles(e) {
		return notApplicable(noFiles)
	}
	cyclic, truncate := returns(value(e, "log_filename")), on(value(e, "log_truncate_on_rotation"))
	f := badSetting(e, "log_truncate_on_rotation", "on")
	f.Evidence += ", " + show(e, "log_filename")
	return failWhen(cyclic && !truncate, f)
}

func noRotation(e *catalog.Evidence, _ *Env) Verdict {
	if v := e.Server.Setting("logging_collector"); v != nil && !on(v.Value) {
		return notApplicable(noFiles)
	}
	age, size := number(value(e, "log_rotation_age")), number(value(e, "log_rotation_size"))
	f := badSetting(e, "log_rotation_age", "1d")
	f.Evidence += ", " + show(e, "log_rotation_size")
	return failWhen(age == 0 && size == 0, f)
}

func syslogSettings(e *catalog.Evidence, _ *Env) Verdict {
	if !slices.Contains(items(value(e, "log_destination")), "syslog") {
		return notApplicable("the server does not log to syslog")
	}
	var fs []Finding
	for _, name := range []string{"syslog_sequence_numbers", "syslog_split_messages"} {
		if !on(value(e, name)) {
			fs = append(fs, badSetting(e, name, "on"))
		}
	}
	if value(e, "syslog_ident") == "" {
		fs = append(fs, badSetting(e, "syslog_ident", "postgres"))
	}
	if !strings.HasPrefix(strings.ToLower(value(e, "syslog_facility")), "local") {
		fs = append(fs, badSetting(e, "syslog_facility", "LOCAL0"))
	}
	return found(fs)
}

func debugPrint(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, name := range []string{"debug_print_parse", "debug_print_rewritten", "debug_print_plan"} {
		if on(value(e, name)) {
			fs = append(fs, badSetting(e, name, "off"))
		}
		fs = append(fs, badOverrides(e, name, isOn)...)
	}
	return found(fs)
}

func logConnections(e *catalog.Evidence, _ *Env) Verdict {
	v := strings.ToLower(value(e, "log_connections"))
	if e.Server.Major() < 18 {
		return failWhen(!on(v), badSetting(e, "log_connections", "on"))
	}
	// From 18 a list; the old spellings of on stand for all three stages. The catalogue asks for all three, or for all.
	got := items(v)
	if on(v) || slices.Contains(got, "all") {
		return found(nil)
	}
	var lacks []string
	for _, stage := range []string{"authentication", "authorization"} {
		if !slices.Contains(got, stage) {
			lacks = append(lacks, stage)
		}
	}
	f := badSetting(e, "log_connections", "receipt, authentication, authorization")
	f.Evidence += "; lacks " + strings.Join(lacks, ", ")
	return failWhen(len(lacks) > 0, f)
}

func linePrefix(e *catalog.Evidence, _ *Env) Verdict {
	text := slices.ContainsFunc(items(value(e, "log_destination")), func(d string) bool { return d == "stderr" || d == "syslog" })
	if !text {
		return notApplicable("csvlog and jsonlog have all of it")
	}
	prefix := value(e, "log_line_prefix")
	var lacks []string
	for _, need := range []struct {
		name  string
		codes []string
	}{
		{"time", []string{"%m", "%n", "%t"}},
		{"process or session", []string{"%p", "%c"}},
		{"user", []string{"%u"}},
		{"database", []string{"%d"}},
		{"application", []string{"%a"}},
		{"client", []string{"%h", "%r", "%L"}},
	} {
		if !slices.ContainsFunc(need.codes, func(c string) bool { return hasCode(prefix, c) }) {
			lacks = append(lacks, need.name)
		}
	}
	f := badSetting(e, "log_line_prefix", "%m [%p] %q%u@%d,%a,%h ")
	f.Evidence += "; lacks " + strings.Join(lacks, ", ")
	return failWhen(len(lacks) > 0, f)
}

// hasCode finds a code that may have a width, such as %-10u. A doubled percent sign is text.
func hasCode(prefix, code string) bool {
	for i := 0; i < len(prefix)-1; i++ {
		if prefix[i] != '%' {
			continue
		}
		j := i + 1
		for j < len(prefix) && (prefix[j] == '-' || prefix[j] >= '0' && prefix[j] <= '9') {
			j++
		}
		if j < len(prefix) && prefix[j] == code[1] {
			return true
		}
		i = j
	}
	return false
}

// auditsDDL reports whether pgAudit is loaded and records DDL.
func auditsDDL(e *catalog.Evidence) bool {
	if !preloaded(e, "pgaudit") {
		return false
	}
	classes := auditClassSet(e.Server.Value("pgaudit.log"))
	return classes["ddl"]
}

// auditClassSet reads pgaudit.log: classes, all, and a minus that takes one out.
func auditClassSet(v string) map[string]bool {
	set := map[string]bool{}
	all := []string{"read", "write", "function", "role", "ddl", "misc", "misc_set"}
	for _, c := range items(strings.ToLower(v)) {
		switch {
		case c == "all":
			for _, a := range all {
				set[a] = true
			}
		case strings.HasPrefix(c, "-"):
			delete(set, c[1:])
		default:
			set[c] = true
		}
	}
	return set
}

func noDDL(e *catalog.Evidence, _ *Env) Verdict {
	none := func(v string) bool { return strings.ToLower(v) == "none" }
	if auditsDDL(e) {
		return found(nil)
	}
	var fs []Finding
	if none(value(e, "log_statement")) {
		fs = append(fs, badSetting(e, "log_statement", "ddl"))
	}
	return found(append(fs, badOverrides(e, "log_statement", none)...))
}

// loggingValues lists the settings by which statements are written with their values.
func loggingValues(e *catalog.Evidence) []Finding {
	var fs []Finding
	add := func(name, to string, bad func(string) bool) {
		if v := e.Server.Setting(name); v != nil && bad(v.Value) {
			fs = append(fs, badSetting(e, name, to))
		}
		fs = append(fs, badOverrides(e, name, bad)...)
	}
	add("log_statement", "ddl", oneOf("all", "mod"))
	add("log_min_duration_statement", "-1", func(v string) bool { return duration(v) >= 0 })
	add("log_transaction_sample_rate", "0", func(v string) bool { return v != "0" && v != "0.0" })
	if rate := e.Server.Value("log_statement_sample_rate"); rate != "0" {
		add("log_min_duration_sample", "-1", func(v string) bool { return duration(v) >= 0 })
	}
	return fs
}

// duration reads a time of a setting or an override; only whether it is negative matters.
func duration(v string) int64 {
	if strings.HasPrefix(strings.TrimSpace(v), "-") {
		return -1
	}
	return 0
}

func logsEverything(e *catalog.Evidence, _ *Env) Verdict { return found(loggingValues(e)) }

func parameterLength(e *catalog.Evidence, _ *Env) Verdict {
	if len(loggingValues(e)) == 0 {
		return found(nil) // the setting matters only when statements are logged
	}
	unlimited := func(v string) bool { return duration(v) < 0 }
	var fs []Finding
	if unlimited(value(e, "log_parameter_max_length")) {
		fs = append(fs, badSetting(e, "log_parameter_max_length", "0"))
	}
	return found(append(fs, badOverrides(e, "log_parameter_max_length", unlimited)...))
}

func noAudit(e *catalog.Evidence, _ *Env) Verdict {
	return failWhen(!preloaded(e, "pgaudit"), Finding{
		Object: "setting shared_preload_libraries", Evidence: show(e, "shared_preload_libraries") + "; pgaudit is not among them", Fix: addLibrary(e, "pgaudit"),
	})
}

func auditClasses(e *catalog.Evidence, _ *Env) Verdict {
	set := auditClassSet(value(e, "pgaudit.log"))
	return failWhen(!set["role"] || !set["ddl"], badSetting(e, "pgaudit.log", "role, ddl, write"))
}

func auditFlags(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for name, want := range map[string]bool{"pgaudit.log_client": false, "pgaudit.log_parameter": false, "pgaudit.log_relation": true, "pgaudit.log_catalog": true} {
		if seen(e, name) && on(value(e, name)) != want {
			fs = append(fs, badSetting(e, name, map[bool]string{true: "on", false: "off"}[want]))
		}
	}
	return found(fs)
}

func auditOverrides(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, o := range e.Server.Overrides {
		ours := strings.HasPrefix(o.Name, "pgaudit.") || slices.Contains([]string{
			"log_statement", "log_min_messages", "log_min_error_statement",
			"log_duration", "log_min_duration_statement", "log_error_verbosity",
		}, o.Name)
		server := e.Server.Setting(o.Name)
		if ours && (server == nil || !strings.EqualFold(server.Value, o.Value)) {
			fs = append(fs, Finding{Object: bearer(o) + ", setting " + o.Name, Evidence: o.Name + " = " + quoteLiteral(o.Value), Fix: reset(o)})
		}
	}
	return found(fs)
}

func auditGranted(e *catalog.Evidence, _ *Env) Verdict {
	return found(parameterHolders(e, func(p string) bool { return strings.HasPrefix(p, "pgaudit.") || strings.HasPrefix(p, "log_") }, "SET"))
}

func forensics(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, name := range []string{"log_lock_waits", "log_checkpoints"} {
		if !on(value(e, name)) {
			fs = append(fs, badSetting(e, name, "on"))
		}
	}
	if duration(value(e, "log_autovacuum_min_duration")) < 0 {
		fs = append(fs, badSetting(e, "log_autovacuum_min_duration", "0"))
	}
	return found(fs)
}

func readsStatements(e *catalog.Evidence, env *Env) Verdict {
	if !on(value(e, "track_activities")) {
		return found(nil)
	}
	v := members("pg_read_all_stats")(e, env)
	// The scanner's own role is given this on purpose.
	v.findings = slices.DeleteFunc(v.findings, func(f Finding) bool { return f.Object == "role "+e.Server.Access.User+" in pg_read_all_stats" })
	return found(v.findings)
}
