package scan_test

import (
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/scan"
)

func settingWorlds() []world {
	return []world{
		{
			name: "logging and limits as installed", as: superuser,
			expect: `
				na LOG-003 LOG-004 LOG-006 LOG-007 LOG-008 LOG-025
				pass LOG-005 LOG-009 LOG-010 LOG-011 LOG-012 LOG-015 LOG-016 LOG-019 LOG-020 LOG-021 LOG-022 LOG-028 LOG-029 LOG-030 LOG-037
				fail LOG-013 setting log_connections
				fail LOG-014 setting log_disconnections
				fail LOG-017 setting log_line_prefix
				fail LOG-018 setting log_statement
				fail LOG-023 setting log_replication_commands
				fail LOG-024 setting shared_preload_libraries
				fail LOG-036
				pass SEC-007 SEC-008 SEC-009 SEC-010 SEC-023 SEC-024 SEC-026
				fail SEC-022 setting data_checksums
				fail SEC-025 setting fsync
				fail SEC-028 setting statement_timeout
				fail SEC-029 setting temp_file_limit
				na REP-001 REP-002 REP-010 REP-012 TLS-033 TLS-034 TLS-024 TLS-025 TLS-027
				fail REP-004 setting archive_mode
				pass REP-011 TLS-001 TLS-002 TLS-003 TLS-008 TLS-019
				fail TLS-009 setting ssl_ecdh_curve
				pass PAT-001 PAT-002 PAT-007 PAT-011 PAT-012
				fail PAT-003 PostgreSQL 15
				fail PAT-004 CVE-2026-14666
				is RLS-016 medium CVE-2026-14666
				blind META-002 META-003 TLS-011 TLS-012 TLS-013 TLS-014 TLS-015 TLS-016 TLS-017 TLS-037 NET-003 NET-010
				fail META-001 this scan`,
		},
		{
			name: "settings by which a log betrays",
			system: []string{
				"log_connections = on", "log_disconnections = on", "log_line_prefix = '%m [%p] %q%u@%d,%a,%h '", "log_statement = 'all'",
				"log_replication_commands = on", "log_lock_waits = on", "log_checkpoints = on", "log_autovacuum_min_duration = 0", "log_min_messages = 'error'",
				"log_min_error_statement = 'panic'", "debug_print_plan = on", "debug_pretty_print = off", "log_error_verbosity = 'terse'", "log_hostname = on",
				"log_parameter_max_length_on_error = -1", "log_timezone = 'Europe/Berlin'", "client_min_messages = 'debug1'", "log_file_mode = '0644'",
				"zero_damaged_pages = on", "full_page_writes = off", "trace_sort = on", "work_mem = '2GB'", "ssl_min_protocol_version = 'TLSv1'",
				"ssl_max_protocol_version = 'TLSv1.2'", "ssl_prefer_server_ciphers = off",
				"ssl_passphrase_command = 'echo x'", "restore_command = 'AWS_SECRET_ACCESS_KEY=abcdef fetch %f %p'",
				"primary_conninfo = 'host=db1 user=rep password=hunter2 sslmode=require sslcompression=1'",
			},
			sql: `CREATE ROLE app LOGIN; ALTER ROLE app SET log_statement = 'none'; CREATE ROLE spy LOGIN; GRANT pg_read_all_stats TO spy;
				GRANT SET ON PARAMETER log_statement TO app; GRANT SET ON PARAMETER work_mem TO spy`,
			expect: `
				fail LOG-005 setting log_file_mode
				fail LOG-009 setting log_min_messages
				fail LOG-010 setting log_min_error_statement
				fail LOG-011 setting debug_print_plan
				fail LOG-012 setting debug_pretty_print
				pass LOG-013 LOG-014 LOG-017 LOG-023 LOG-036
				fail LOG-015 setting log_error_verbosity
				fail LOG-016 setting log_hostname
				fail LOG-018 role app, setting log_statement
				spare LOG-018 setting log_statement = all
				fail LOG-019 setting log_statement
				fail LOG-020 setting log_parameter_max_length
				fail LOG-021 setting log_parameter_max_length_on_error
				fail LOG-022 setting log_timezone
				fail LOG-028 role app, setting log_statement
				fail LOG-029 setting log_statement, role app
				spare LOG-029 work_mem
				fail LOG-030 setting client_min_messages
				fail LOG-037 role spy in pg_read_all_stats
				fail SEC-007 setting restore_command
				fail SEC-007 setting primary_conninfo
				fail SEC-008 setting log_statement
				fail SEC-024 setting zero_damaged_pages
				fail SEC-025 setting full_page_writes
				fail SEC-026 setting trace_sort
				fail SEC-029 setting work_mem
				fail TLS-002 setting ssl_min_protocol_version
				fail TLS-003 setting ssl_max_protocol_version
				fail TLS-008 setting ssl_prefer_server_ciphers
				fail TLS-024 setting ssl_passphrase_command_supports_reload
				is TLS-033 high setting primary_conninfo
				fail TLS-034 setting primary_conninfo
				fail REP-012 setting primary_conninfo`,
		},
		{
			name: "settings stricter than asked",
			system: []string{
				"log_min_messages = 'notice'", "log_min_error_statement = 'warning'", "log_statement = 'ddl'", "log_file_mode = '0640'", "statement_timeout = '1min'",
				"idle_session_timeout = '1h'", "idle_in_transaction_session_timeout = '1min'", "temp_file_limit = '10GB'", "log_error_verbosity = 'verbose'",
				"ssl_min_protocol_version = 'TLSv1.3'", "log_timezone = 'Etc/UTC'", "client_min_messages = 'error'",
				"primary_conninfo = 'host=db1 user=rep passfile=/etc/pass sslmode=verify-full'", "ssl_passphrase_command = '/bin/true'",
				"ssl_passphrase_command_supports_reload = on",
			},
			expect: `
				pass LOG-005 LOG-009 LOG-010 LOG-015 LOG-018 LOG-022 LOG-030 SEC-028 SEC-029 TLS-002 TLS-033 TLS-034 REP-012 SEC-007 TLS-024`,
		},
		{
			name: "a mistake in the file", derived: "a broken file would stop the shared server from reloading; the rows are edited in",
			edit: func(e *catalog.Evidence) {
				e.Server.FileSettings = append(e.Server.FileSettings, catalog.FileSetting{File: "/etc/postgresql.conf", Line: 3, Name: "work_memm", Error: "unrecognized configuration parameter"})
				e.Server.Checksums = append(e.Server.Checksums, catalog.ChecksumFailures{Database: "shop", Failures: 2})
				setting(e, "data_directory_mode", "0755")
				setting(e, "data_checksums", "on")
				setting(e, "fsync", "on")
				setting(e, "full_page_writes", "on")
				setting(e, "ssl", "off")
				setting(e, "listen_addresses", "10.0.0.1")
				setting(e, "archive_mode", "on")
				e.Server.Archiver = catalog.Archiver{Failed: 3, LastFailed: today, LastArchived: today.Add(-time.Hour)}
				e.Server.ServerVersion = "19beta3"
			},
			expect: "fail SEC-009 setting work_memm\nfail SEC-023 database shop\nfail SEC-010 data directory\npass SEC-022 SEC-025\nis TLS-001 critical setting ssl\nna TLS-002\nfail REP-004 archiver\nfail PAT-012 server",
		},
		{
			name: "log files, and syslog", derived: "the collector needs a start; its settings are edited",
			edit: func(e *catalog.Evidence) {
				setting(e, "logging_collector", "on")
				setting(e, "log_directory", "log")
				setting(e, "log_filename", "postgresql.log")
				setting(e, "log_rotation_age", "0")
				setting(e, "log_rotation_size", "0")
				setting(e, "log_destination", "stderr,syslog")
				setting(e, "syslog_split_messages", "off")
				setting(e, "data_directory_mode", "0750")
				setting(e, "ssl_cert_file", "/etc/ssl/certs/ssl-cert-snakeoil.pem")
				setting(e, "ssl_ecdh_curve", "X25519")
				add(e, "pgaudit.log", "read, write")
				add(e, "pgaudit.log_parameter", "on")
			},
			expect: `
				fail LOG-003 setting log_directory
				fail LOG-004 setting log_filename
				fail LOG-007 setting log_rotation_age
				fail LOG-008 setting syslog_split_messages
				fail LOG-025 setting pgaudit.log
				fail LOG-026 setting pgaudit.log_parameter
				fail TLS-019 setting ssl_cert_file
				pass SEC-010 TLS-009`,
		},
		{
			name: "log files in their own place", derived: "the collector needs a start; its settings are edited",
			edit: func(e *catalog.Evidence) {
				setting(e, "logging_collector", "on")
				setting(e, "log_directory", "/var/log/postgresql")
				setting(e, "log_destination", "syslog")
				setting(e, "archive_mode", "on")
			},
			expect: "pass LOG-003 LOG-004 LOG-006 LOG-007 LOG-008 REP-004",
		},
		{
			name: "a log name that returns", derived: "the collector needs a start; its settings are edited",
			edit: func(e *catalog.Evidence) {
				setting(e, "logging_collector", "on")
				setting(e, "log_filename", "postgresql-%a.log")
				setting(e, "log_truncate_on_rotation", "off")
			},
			expect: "fail LOG-006 setting log_truncate_on_rotation\npass LOG-004",
		},
		{
			name: "log_connections as a list lacks a stage", major: 18, system: []string{"log_connections = 'receipt,authentication'"}, expect: "fail LOG-013 setting log_connections",
		},
		{
			name: "log_connections as a list", major: 18, system: []string{"log_connections = 'authentication,authorization,receipt'"},
			expect: "pass LOG-013 TLS-007\npass TLS-009\nna ROL-030",
		},
		{
			name: "a weak suite of TLS 1.3, oauth", major: 18, derived: "OpenSSL of the test servers does not name it, and they have no validator; both are edited in",
			edit: func(e *catalog.Evidence) {
				setting(e, "ssl_tls13_ciphers", "TLS_AES_128_CCM_8_SHA256")
				e.Server.HBA = append([]catalog.HBARule{rule("hostssl", "app", "10.1.0.0/24", "oauth", "issuer=https://id")}, e.Server.HBA...)
			},
			expect: "fail TLS-007 setting ssl_tls13_ciphers\nfail HBA-032 oauth",
		},
		{
			name: "oauth pinned", major: 18, derived: "the test servers have no validator; it is edited in",
			edit: func(e *catalog.Evidence) {
				setting(e, "oauth_validator_libraries", "mine")
				e.Server.HBA = []catalog.HBARule{rule("hostssl", "app", "10.1.0.0/24", "oauth", "issuer=https://id", "scope=openid")}
			},
			expect: "pass HBA-032",
		},
		{
			name: "methods that the test servers are not built with", derived: "rules are edited in",
			edit: func(e *catalog.Evidence) {
				e.Server.HBA = []catalog.HBARule{
					rule("hostssl", "a", "10.0.1.0/24", "ldap", "ldapserver=x"), rule("hostssl", "b", "10.0.2.0/24", "radius", "radiusservers=x"),
					rule("host", "c", "10.0.3.0/24", "pam"), rule("hostssl", "d", "10.0.4.0/24", "gss", "include_realm=0"),
					rule("hostssl", "e", "10.0.5.0/24", "cert", "map=m"), rule("hostssl", "f", "10.0.6.0/24", "ldap", "ldapserver=x", "ldaptls=1"),
					{Line: 7, Error: "invalid connection type \"hots\""},
				}
				e.Server.Ident = []catalog.IdentRule{
					{Line: 1, Map: "m", System: "/^.*$", Role: catalog.HBAWord{Text: "postgres"}}, {Line: 2, Map: "m", System: "ann", Role: catalog.HBAWord{Text: "app"}},
				}
				e.Server.HBAFile = &catalog.FileTime{Path: "/etc/pg_hba.conf", Modified: e.Server.ConfigLoaded.Add(time.Minute)}
			},
			expect: `
				fail HBA-021 line pg_hba.conf:7
				blind HBA-001 HBA-006
				fail HBA-022 file /etc/pg_hba.conf
				fail HBA-025 ldapserver=x
				spare HBA-025 ldaptls=1
				fail HBA-026 radius
				fail HBA-027 pam
				fail HBA-028 gss
				pass HBA-029
				fail HBA-030 map m: /^.*$ to postgres
				spare HBA-030 ann
				fail HBA-031 map m: /^.*$
				fail TLS-025 setting ssl_ca_file
				fail TLS-027 setting ssl_crl_file`,
		},
		{
			name: "certificates checked", derived: "settings and rules are edited",
			edit: func(e *catalog.Evidence) {
				e.Server.HBA = []catalog.HBARule{
					rule("hostssl", "e", "10.0.5.0/24", "cert"), rule("hostssl", "a", "10.0.1.0/24", "ldap", "ldapscheme=ldaps"), rule("hostssl", "c", "10.0.3.0/24", "pam"),
					rule("hostssl", "d", "10.0.4.0/24", "gss", "include_realm=0", "krb_realm=EXAMPLE"),
				}
				setting(e, "ssl_ca_file", "root.crt")
				setting(e, "ssl_crl_dir", "crl")
				e.Server.HBAFile = &catalog.FileTime{Path: "/etc/pg_hba.conf", Modified: e.Server.ConfigLoaded.Add(-time.Minute)}
			},
			expect: "pass TLS-025 TLS-027 HBA-022 HBA-025 HBA-026 HBA-027 HBA-028",
		},
		{
			name: "nobody left behind a reject", derived: "rules are edited in",
			edit: func(e *catalog.Evidence) {
				all := []catalog.HBAWord{{Text: "all"}}
				e.Server.HBA = []catalog.HBARule{
					{Line: 1, Type: "local", Databases: all, Users: all, Method: "reject"}, {Line: 2, Type: "host", Databases: all, Users: all, Address: "all", Method: "reject"},
				}
			},
			expect: "pass HBA-018 HBA-020",
		},
		{
			name: "rules for TLS on a server without", derived: "ssl is edited off, and the server's notice into the row",
			edit: func(e *catalog.Evidence) {
				setting(e, "ssl", "off")
				setting(e, "listen_addresses", "localhost")
				r := rule("hostssl", "app", "10.0.0.0/24", "scram-sha-256")
				r.Error = "hostssl record cannot match because SSL is disabled"
				e.Server.HBA = append([]catalog.HBARule{r}, e.Server.HBA...)
			},
			expect: "fail HBA-012 hostssl\npass HBA-021\nis TLS-001 high setting ssl",
		},
		{
			name: "replication with an administrator's role, a slot left behind",
			sql:  "CREATE ROLE rep LOGIN REPLICATION CREATEDB", derived: "slots outlive the test and need WAL settings; slots and subscriptions are edited in",
			edit: func(e *catalog.Evidence) {
				weak, good := "host=db2 sslmode=require password=[hidden]", "host=db2 sslmode=verify-full"
				e.Server.Slots = []catalog.Slot{{Name: "s1"}}
				e.Server.Subscriptions = []catalog.Subscription{{Name: "sub", Owner: "postgres", Database: "shop", Conninfo: &weak}, {Name: "ok", Owner: "rep", Database: "shop", Conninfo: &good}}
			},
			expect: "fail REP-001 server\nfail REP-002 slot s1\nfail REP-002 setting max_slot_wal_keep_size\nfail REP-010 sub\nspare REP-010 ok\nfail TLS-035 sub\nspare TLS-035 .ok",
		},
		{
			name: "replication as it should be", sql: "CREATE ROLE rep LOGIN REPLICATION", derived: "slots and subscriptions are edited in",
			edit: func(e *catalog.Evidence) {
				good := "host=db2 sslmode=verify-full"
				e.Server.Slots = []catalog.Slot{{Name: "s1", Active: true}}
				setting(e, "max_slot_wal_keep_size", "10240")
				e.Server.Subscriptions = []catalog.Subscription{{Name: "ok", Owner: "rep", Database: "shop", Conninfo: &good}}
				e.Databases[0].ForeignServers = []catalog.ForeignServer{{Name: "near", Wrapper: "postgres_fdw", Options: []string{"sslmode=verify-full"}}}
			},
			expect: "pass REP-001 REP-002 REP-010 TLS-035 TLS-036",
		},
		{
			name: "past the end, and near it", major: 14, expect: "is PAT-001 critical PostgreSQL 14\nna PAT-002\nfail PAT-003\npass TLS-040",
		},
		{
			name: "near the end", derived: "the clock is moved to the year before the end",
			env:    func(env *scan.Env) { env.Now = time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC) },
			expect: "fail PAT-002 PostgreSQL 15\nfail PAT-011 advisory tables\npass PAT-001", edit: func(*catalog.Evidence) {},
		},
		{
			name: "15.9 is older than 15.20", derived: "the version is edited", edit: func(e *catalog.Evidence) { e.Server.VersionNum = 150009 },
			expect: "fail PAT-003 PostgreSQL 15\nfail PAT-004 CVE-2025-4207\nfail RLS-016 CVE-2025-8713\nspare RLS-016 CVE-2024-10976",
		},
		{
			name: "15.20 is the newest", derived: "the version is edited", edit: func(e *catalog.Evidence) { e.Server.VersionNum = 150020 }, expect: "pass PAT-003 PAT-004 RLS-016",
		},
		{
			name: "an old minor of 13", major: 13, derived: "the version is edited", edit: func(e *catalog.Evidence) { e.Server.VersionNum = 130004 }, expect: "fail TLS-040 CVE-2021-23214",
		},
		{
			name: "a newer branch that is not confirmed", major: 18, derived: "the version is edited", edit: func(e *catalog.Evidence) { e.Server.VersionNum = 180006 },
			expect: "pass PAT-003\nblind PAT-004 RLS-016",
		},
		{
			name: "a view left as before a fix", derived: "the fact is edited; changing a system view needs a switch that the shared server has not",
			edit: func(e *catalog.Evidence) { e.Databases[0].OldStatsExt = true }, expect: "fail PAT-007",
		},
		{
			name: "waivers and a baseline", derived: "they are given to the scan",
			env: func(env *scan.Env) {
				env.Waivers = []scan.Waiver{{ID: "NET-005", Object: "setting unix_socket_permissions", Reason: "x", Owner: "y", Expires: "2026-11-21"}}
				env.Baseline = baseline("NET-005", scan.Passed)
			},
			edit: func(*catalog.Evidence) {}, expect: "fail META-002 waiver for NET-005\nis META-003 medium NET-005",
		},
		{
			name: "a waiver that holds, and a baseline that says the same", derived: "they are given to the scan",
			env: func(env *scan.Env) {
				env.Waivers = []scan.Waiver{{ID: "NET-005", Object: "setting unix_socket_permissions", Reason: "x", Owner: "y", Expires: "2026-11-22"}}
				env.Baseline = baseline("NET-005", scan.Failed)
			},
			edit: func(*catalog.Evidence) {}, expect: "pass META-002 META-003\nfail NET-005",
		},
		{
			name: "an endpoint with a bad certificate", derived: "what the probe would bring is written by hand", edit: func(e *catalog.Evidence) { e.Outside = []*catalog.Outside{badEndpoint()} },
			env: func(env *scan.Env) { env.Consents[scan.ProbeUser] = true },
			expect: `
				fail TLS-011 endpoint db1:5432
				fail TLS-013
				fail TLS-014
				fail TLS-015
				fail TLS-016
				fail TLS-017
				fail TLS-037
				fail NET-003 endpoint db1:5432
				fail NET-010 endpoint db1:5432
				fail HBA-033 role postgres
				fail HBA-034 endpoint db1:5432
				fail HBA-001 endpoint`,
		},
		{
			name: "an endpoint with a good certificate", derived: "what the probe would bring is written by hand", edit: func(e *catalog.Evidence) { e.Outside = []*catalog.Outside{goodEndpoint(300)} },
			env:    func(env *scan.Env) { env.Consents[scan.ProbeUser] = true },
			expect: "pass TLS-011 TLS-012 TLS-013 TLS-014 TLS-015 TLS-016 TLS-017 TLS-037 NET-003 NET-010 HBA-033\nblind HBA-034",
		},
		{
			name: "a remote endpoint that wants TLS", derived: "what the probe would bring is written by hand",
			edit: func(e *catalog.Evidence) {
				o := goodEndpoint(10)
				o.Loopback, o.Endpoint = false, "db1:6432"
				e.Outside = []*catalog.Outside{o}
			},
			expect: "fail TLS-012 endpoint db1:6432\npass HBA-034 NET-010\nfail NET-003",
		},
		{
			name: "ident maps that are fine", as: granted, expect: "pass HBA-030 HBA-031 HBA-029", hba: []string{"local nodb all peer"},
		},
	}
}

func rule(kind, user, address, method string, options ...string) catalog.HBARule {
	r := catalog.HBARule{Line: 1, Type: kind, Databases: []catalog.HBAWord{{Text: "all"}}, Users: []catalog.HBAWord{{Text: user}}, Method: method, Options: options}
	r.Address, r.Netmask = address[:len(address)-len("/24")], "255.255.255.0"
	return r
}

// baseline is an earlier report in which one check had a state.
func baseline(id string, state scan.State) *scan.Report {
	r := scan.Result{Check: &scan.Check{ID: id}, State: state}
	if state == scan.Failed {
		r.Findings = []scan.Judged{{Finding: scan.Finding{Object: "setting unix_socket_permissions", Severity: scan.Medium}}}
	}
	return &scan.Report{Results: []scan.Result{r}}
}

func badEndpoint() *catalog.Outside {
	return &catalog.Outside{
		Endpoint: "db1:5432", Host: "db1", From: "192.0.2.1", Reachable: true, TLS: "S", ChainError: "signed by unknown authority", NameError: "is for db2",
		Chain: []catalog.Certificate{{Subject: "CN=db2", KeyKind: "RSA", KeyBits: 1024, Signature: "SHA1-RSA", NotBefore: today.AddDate(-3, 0, 0), NotAfter: today.AddDate(0, 0, -1)}},
		Offers: []catalog.Offer{
			{User: "x", Random: true, Method: "ok"}, {User: "postgres", Method: "cleartext"}, {User: "x", Random: true, TLS: true, Method: "scram"},
		},
	}
}

func goodEndpoint(days int) *catalog.Outside {
	return &catalog.Outside{
		Endpoint: "db1:5432", Host: "db1", From: "127.0.0.1", Loopback: true, Reachable: true, TLS: "S",
		Chain:  []catalog.Certificate{{Subject: "CN=db1", Names: []string{"db1"}, KeyKind: "ECDSA", KeyBits: 256, Signature: "ECDSA-SHA256", NotBefore: today.AddDate(0, 0, -30), NotAfter: today.AddDate(0, 0, days)}},
		Offers: []catalog.Offer{{User: "x", Random: true, Method: "error"}, {User: "app", TLS: true, Method: "scram-plus"}},
	}
}
