package scan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// secretChecks are the checks of area SEC.
func secretChecks() []Check {
	overrides := []catalog.Fact{catalog.FactOverrides}
	return []Check{
		{ID: "SEC-007", Why: "Settings are shown to every monitoring role and copied into every backup.", Eval: settingSecrets},
		{ID: "SEC-008", Why: "What the managed file says is not what the server does.", Reads: []catalog.Fact{catalog.FactFileSettings}, Eval: autoConf},
		{ID: "SEC-009", Why: "The server runs with another configuration than the files describe.", Reads: []catalog.Fact{catalog.FactFileSettings}, Eval: configErrors},
		{ID: "SEC-010", Why: "Others on the machine read the data files.", Eval: dataDirectoryMode},
		wrongSetting("SEC-022", "Damaged pages are read as if they were whole.", "data_checksums", isOff, "on"),
		{ID: "SEC-023", Why: "The disk gave back something else than what was written.", Reads: []catalog.Fact{catalog.FactChecksums}, Eval: checksumFailures},
		{ID: "SEC-024", Why: "These switches exist to rescue data from a broken server; left on they hide damage or let catalogs be edited.", Reads: overrides, Eval: flagsOn(
			"zero_damaged_pages", "ignore_system_indexes", "ignore_checksum_failure", "allow_system_table_mods")},
		{ID: "SEC-025", Why: "A crash loses data that was reported as saved.", Eval: flagsOff("fsync", "full_page_writes")},
		{ID: "SEC-026", Why: "These are for developers of the server; some delay logins, some write code to disk.", Eval: developerSettings},
		{ID: "SEC-028", Why: "A forgotten session keeps its locks, its rights and its place.", Reads: overrides, Eval: noTimeouts},
		{ID: "SEC-029", Why: "One query can fill the disk that everything else needs.", Eval: noLimits},
	}
}

func settingSecrets(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, name := range []string{"archive_command", "restore_command", "archive_cleanup_command", "recovery_end_command", "primary_conninfo"} {
		if v := e.Server.Setting(name); v != nil && strings.Contains(v.Value, catalog.Hidden) {
			fs = append(fs, Finding{
				Object: "setting " + name, Evidence: "holds a credential", Place: place(e, name), Fix: "move it into a password file or a credentials file that only the server's account reads, and change it",
			})
		}
	}
	return found(fs)
}

func autoConf(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, f := range e.Server.FileSettings {
		if strings.HasSuffix(f.File, "postgresql.auto.conf") && f.Applied {
			fs = append(fs, Finding{
				Object: "setting " + f.Name, Evidence: "is set by ALTER SYSTEM", Place: fmt.Sprintf("%s:%d", f.File, f.Line), Fix: "ALTER SYSTEM RESET " + f.Name + "; SELECT pg_reload_conf();",
			})
		}
	}
	return found(fs)
}

// overridden is what pg_file_settings says of a line that a later one replaces, which is no fault.
func configErrors(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, f := range e.Server.FileSettings {
		if f.Error == "" {
			continue
		}
		if f.Error == "setting could not be applied" && pending(e, f.Name) {
			continue // it waits for a restart, which is a state and no mistake
		}
		fs = append(fs, Finding{Object: "setting " + f.Name, Evidence: f.Error, Place: fmt.Sprintf("%s:%d", f.File, f.Line), Fix: "correct the line, then SELECT pg_reload_conf();"})
	}
	return found(fs)
}

func pending(e *catalog.Evidence, name string) bool {
	v := e.Server.Setting(name)
	return v != nil && v.Pending
}

// dataDirectoryMode looks at the directory itself where it may. The setting tells the mode that the server found when it started, and it does
// not start with one that is too wide: alone it shows no later change.
func dataDirectoryMode(e *catalog.Evidence, _ *Env) Verdict {
	if e.Host != nil {
		if files := e.Host.FilesOf("data_directory"); len(files) > 0 {
			switch f := files[0]; {
			case f.Mode&0o7777&^0o2750 != 0:
				return found([]Finding{{Object: "data directory", Evidence: mode(&f), Place: f.Path, Fix: "chmod 0700 " + f.Path}})
			case f.UID != e.Host.ServerUID:
				return found([]Finding{{
					Object: "data directory", Evidence: fmt.Sprintf("belongs to account %d, the server runs as %d", f.UID, e.Host.ServerUID), Place: f.Path,
					Fix: fmt.Sprintf("chown %d %s", e.Host.ServerUID, f.Path),
				}})
			}
			return found(nil)
		}
	}
	v := e.Server.Setting("data_directory_mode")
	if v == nil {
		return notEvaluated("setting data_directory_mode was not seen")
	}
	var bits uint32
	if _, err := fmt.Sscanf(v.Value, "%o", &bits); err != nil {
		return notEvaluated("data_directory_mode reads " + v.Value)
	}
	return failWhen(bits&^0o750 != 0, Finding{Object: "data directory", Evidence: fmt.Sprintf("mode %04o", bits), Fix: "chmod 0700 on the data directory"})
}

func checksumFailures(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, c := range e.Server.Checksums {
		if c.Failures > 0 {
			name := c.Database
			if name == "" {
				name = "shared objects"
			}
			fs = append(fs, Finding{Object: "database " + name, Evidence: fmt.Sprintf("%d pages failed their checksum", c.Failures), Fix: "check the disk, then restore the damaged tables from a backup"})
		}
	}
	return found(fs)
}

func flagsOn(names ...string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		for _, name := range names {
			if on(e.Server.Value(name)) {
				fs = append(fs, badSetting(e, name, "off"))
			}
			fs = append(fs, badOverrides(e, name, isOn)...)
		}
		return found(fs)
	}
}

func flagsOff(names ...string) func(*catalog.Evidence, *Env) Verdict {
	return func(e *catalog.Evidence, _ *Env) Verdict {
		var fs []Finding
		for _, name := range names {
			if !on(value(e, name)) {
				fs = append(fs, badSetting(e, name, "on"))
			}
		}
		return found(fs)
	}
}

func developerSettings(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, name := range []string{"post_auth_delay", "pre_auth_delay"} {
		if seen(e, name) && number(value(e, name)) != 0 {
			fs = append(fs, badSetting(e, name, "0"))
		}
	}
	for _, name := range []string{"jit_debugging_support", "jit_profiling_support", "trace_notify", "trace_sort"} {
		if on(value(e, name)) {
			fs = append(fs, badSetting(e, name, "off"))
		}
	}
	return found(fs)
}

func noTimeouts(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, name := range []string{"idle_session_timeout", "idle_in_transaction_session_timeout", "statement_timeout", "transaction_timeout"} {
		if v := e.Server.Setting(name); v != nil && v.Value == "0" {
			fs = append(fs, badSetting(e, name, map[string]string{
				"idle_session_timeout": "1h", "idle_in_transaction_session_timeout": "5min", "statement_timeout": "1h", "transaction_timeout": "2h",
			}[name]))
		}
	}
	return found(fs)
}

func noLimits(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	if number(value(e, "temp_file_limit")) < 0 {
		fs = append(fs, badSetting(e, "temp_file_limit", "20GB"))
	}
	// work_mem counts in kB; each session may use it several times over.
	const much = 64 << 20 // 64 GB in kB
	if total := number(value(e, "work_mem")) * number(value(e, "max_connections")); total > much {
		f := badSetting(e, "work_mem", "16MB")
		f.Evidence += fmt.Sprintf("; times %s connections is %d GB", value(e, "max_connections"), total>>20)
		fs = append(fs, f)
	}
	return found(fs)
}

// replicationChecks are the checks of area REP.
func replicationChecks() []Check {
	roles := []catalog.Fact{catalog.FactRoles, catalog.FactMemberships}
	return []Check{
		{ID: "REP-001", Why: "Replication with an administrator's role puts that role's secret on every standby.", Reads: append(roles, catalog.FactOwned, catalog.FactSlots), Eval: noReplicationRole},
		{ID: "REP-002", Why: "A slot that nobody reads keeps the write-ahead log until the disk is full.", Reads: []catalog.Fact{catalog.FactSlots}, Eval: abandonedSlots},
		{ID: "REP-004", Why: "Without archiving a backup is as old as the last copy.", Reads: []catalog.Fact{catalog.FactArchiver}, Eval: archiving},
		{ID: "REP-010", Why: "What arrives is applied with rights over everything, triggers included.", Reads: append(roles, catalog.FactSubscriptions), Eval: subscriptionOwner},
		{ID: "REP-011", Why: "Whoever gets in can carry data out from here, or reach the next server.", Reads: append(roles, catalog.FactExtensions, catalog.FactLanguages), Eval: outbound},
		{ID: "REP-012", Why: "The password of the replication role stands in the configuration and in every copy of it.", Eval: conninfoPassword},
	}
}

func noReplicationRole(e *catalog.Evidence, _ *Env) Verdict {
	replicates := len(e.Server.Slots) > 0 || slices.ContainsFunc(e.Server.Activity, func(a catalog.Activity) bool { return a.Backend == "walsender" })
	if !replicates {
		return notApplicable("nothing replicates from this server")
	}
	for _, r := range ordinary(e) {
		if o := owns(e, r.Name); r.Replication && !r.CreateRole && !r.CreateDB && o.Owns == 0 && o.Granted == 0 {
			return found(nil)
		}
	}
	return found([]Finding{{Object: "server", Evidence: "something replicates, and no role is for replication alone", Fix: "CREATE ROLE replicator LOGIN REPLICATION PASSWORD …;"}})
}

func abandonedSlots(e *catalog.Evidence, _ *Env) Verdict {
	if len(e.Server.Slots) == 0 {
		return notApplicable("there is no replication slot")
	}
	var fs []Finding
	for _, s := range e.Server.Slots {
		if !s.Active {
			fs = append(fs, Finding{
				Object: "slot " + s.Name, Evidence: fmt.Sprintf("nobody reads it at this moment; it keeps %d MB", s.RetainedBytes>>20),
				Fix: "SELECT pg_drop_replication_slot(" + quoteLiteral(s.Name) + "); -- when its reader is gone for good",
			})
		}
	}
	if number(value(e, "max_slot_wal_keep_size")) < 0 {
		fs = append(fs, badSetting(e, "max_slot_wal_keep_size", "50GB"))
	}
	return found(fs)
}

func archiving(e *catalog.Evidence, _ *Env) Verdict {
	mode := strings.ToLower(value(e, "archive_mode"))
	if e.Server.InRecovery && mode != "always" {
		return notApplicable("a standby does not archive")
	}
	if mode == "off" {
		return found([]Finding{badSetting(e, "archive_mode", "on")})
	}
	a := e.Server.Archiver
	return failWhen(a.Failed > 0 && a.LastFailed.After(a.LastArchived), Finding{
		Object: "archiver", Evidence: fmt.Sprintf("failed last on %s, after it worked last", a.LastFailed.UTC().Format("2006-01-02 15:04:05")), Fix: "look at archive_command and the server's log",
	})
}

func subscriptionOwner(e *catalog.Evidence, _ *Env) Verdict {
	if len(e.Server.Subscriptions) == 0 {
		return notApplicable("there is no subscription")
	}
	var fs []Finding
	for _, s := range e.Server.Subscriptions {
		switch {
		case superuserName(e, s.Owner):
			fs = append(fs, Finding{Object: "subscription " + s.Database + "." + s.Name, Evidence: "is owned by superuser " + s.Owner, Fix: "ALTER SUBSCRIPTION " + quoteIdent(s.Name) + " OWNER TO …;"})
		case e.Server.Major() >= 16 && s.RunAsOwner:
			fs = append(fs, Finding{Object: "subscription " + s.Database + "." + s.Name, Evidence: "run_as_owner is on", Fix: "ALTER SUBSCRIPTION " + quoteIdent(s.Name) + " SET (run_as_owner = false);"})
		}
	}
	return found(fs)
}

// reachesOut are extensions that connect to something.
var reachesOut = []string{"dblink", "postgres_fdw", "file_fdw", "http", "pg_net", "plpython3u", "plpythonu", "plperlu", "pltclu", "plsh", "mysql_fdw", "oracle_fdw", "tds_fdw", "aws_s3", "aws_lambda"}

func outbound(e *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	for _, d := range e.Databases {
		for _, x := range d.Extensions {
			if slices.Contains(reachesOut, x.Name) {
				fs = append(fs, Finding{Object: inDB(d, "extension", x.Name), Evidence: "reaches out of the database", Fix: onDB(d, "DROP EXTENSION "+quoteIdent(x.Name)+";") + " -- or stop it at the firewall"})
			}
		}
	}
	return found(append(fs, members("pg_execute_server_program")(e, env).findings...))
}

func conninfoPassword(e *catalog.Evidence, _ *Env) Verdict {
	v := value(e, "primary_conninfo")
	if v == "" {
		return notApplicable("the server has no primary_conninfo")
	}
	return failWhen(strings.Contains(v, catalog.Hidden), Finding{
		Object: "setting primary_conninfo", Evidence: "holds a password", Place: place(e, "primary_conninfo"), Fix: "use passfile= or a certificate, and change the password",
	})
}

// dataChecks are the checks of area DAT.
func dataChecks() []Check {
	return []Check{
		{ID: "DAT-008", Why: "Whoever steals the data has the key with it.", Reads: []catalog.Fact{catalog.FactFunctions, catalog.FactRoutines, catalog.FactOverrides, catalog.FactColumns}, Eval: keyBesideData},
	}
}

// keySetting and keyColumn are names that hold keys.
var (
	keySetting = regexp.MustCompile(`(?i)\.(?:.*_)?(?:encryption_?key|enc_?key|secret_?key|master_?key|crypt_?key|aes_?key|pgp_?key|passphrase)$`)
	keyColumn  = regexp.MustCompile(`(?i)^(?:encryption_?key|enc_?key|secret_?key|master_?key|crypt_?key|aes_?key|pgp_?key|private_?key|passphrase)$`)
)

func keyBesideData(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, o := range e.Server.Overrides {
		if keySetting.MatchString(o.Name) {
			fs = append(fs, Finding{Object: bearer(o) + ", setting " + o.Name, Evidence: "a key is kept as a setting", Fix: "keep keys outside the database; " + reset(o)})
		}
	}
	for _, d := range e.Databases {
		for i := range d.Routines {
			if f := d.Function(d.Routines[i].OID); f != nil && d.Routines[i].Body.Keys {
				fs = append(fs, Finding{Object: inDB(d, "function", f.Signature()), Evidence: "passes a literal key to pgcrypto", Fix: "take the key out, keep it outside the database, and encrypt anew"})
			}
		}
		for i := range d.Relations {
			r := &d.Relations[i]
			for _, c := range r.Columns {
				if r.Extension == "" && (r.Kind == 'r' || r.Kind == 'p') && keyColumn.MatchString(c.Name) {
					fs = append(fs, Finding{Object: inDB(d, "column", r.Name.String()+"."+c.Name), Evidence: "is named like a key", Fix: "keep keys outside the database"})
				}
			}
		}
	}
	return found(fs)
}

// metaChecks are the checks of area META.
func metaChecks() []Check {
	return []Check{
		{ID: "META-001", Why: "What could not be looked at may be at fault all the same.", Eval: reducedScan},
		{ID: "META-002", Why: "What was accepted for a time is no longer accepted.", Given: func(env *Env) bool { return env.Waivers != nil }, Eval: waiversExpired},
		{ID: "META-003", Why: "Something that was put right is wrong again.", Given: func(env *Env) bool { return env.Baseline != nil }, Eval: func(*catalog.Evidence, *Env) Verdict { return found(nil) }},
	}
}

func reducedScan(e *catalog.Evidence, _ *Env) Verdict {
	var lacks []string
	for _, l := range []byte("PLMGSF") {
		if !has(e, l) {
			lacks = append(lacks, capability[l].name)
		}
	}
	return failWhen(len(lacks) > 0, Finding{Object: "this scan", Evidence: "ran without " + strings.Join(lacks, ", "), Fix: "see the list of what was not evaluated, and what would unlock it"})
}

func waiversExpired(_ *catalog.Evidence, env *Env) Verdict {
	var fs []Finding
	for i := range env.Waivers {
		if w := &env.Waivers[i]; w.expired(env.Now) {
			fs = append(fs, Finding{Object: "waiver for " + w.ID + " " + w.Object, Evidence: "expired on " + w.Expires + ", owner " + w.Owner, Fix: "put the finding right, or have the waiver renewed"})
		}
	}
	return found(fs)
}
