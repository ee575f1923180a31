package scan_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/scan"
)

func consent(all ...scan.Consent) func(*scan.Env) {
	return func(env *scan.Env) {
		for _, c := range all {
			env.Consents[c] = true
		}
	}
}

// openFiles makes every file of the host as open as it can be.
func openFiles(e *catalog.Evidence) {
	setting(e, "ssl_passphrase_command", "/srv/passphrase %p")
	setting(e, "ssl_crl_file", "/srv/root.crl")
	setting(e, "ssl_ca_file", "/srv/root.crt")
	replaceFile(e, "socket_directory", func(f *catalog.File) { f.Path, f.Mode, f.UID = "/tmp", 0o777, 4321 })
	replaceFile(e, "ssl_dh_params_file", func(f *catalog.File) { f.Notes["bits"] = "1024" })
	replaceFile(e, "ssl_key_file", func(f *catalog.File) { f.Mode, f.Notes["key"] = 0o644, "plain" })
	replaceFile(e, "ssl_passphrase_command", func(f *catalog.File) {
		f.Mode, f.Notes["secret"], f.Writers = 0o755, "literal", []string{"uid 4321"}
	})
	replaceFile(e, "ssl_ca_file", func(f *catalog.File) { f.Notes["certificates"] = "140" })
	replaceFile(e, "ssl_crl_file", func(f *catalog.File) { f.Notes["next_update"] = "2026-01-01T00:00:00Z" })
	replaceFile(e, "ssl_cert_file", func(f *catalog.File) { f.Modified = e.Server.ConfigLoaded.Add(time.Hour) })
	replaceFile(e, "krb_server_keyfile", func(f *catalog.File) { f.Mode = 0o644 })
	replaceFile(e, "dynamic_library_path", func(f *catalog.File) { f.Writers = []string{"everybody"} })
	replaceFile(e, "library_directory", func(f *catalog.File) { f.Writers = []string{"uid 4321"} })
	replaceFile(e, "config_file", func(f *catalog.File) { f.Mode = 0o644 })
	replaceFile(e, "hba_file", func(f *catalog.File) { f.UID = 4321 })
	replaceFile(e, "stray", func(f *catalog.File) { f.Path, f.Notes["why"] = "/data/run.sh", "not the server's" })
	uid := e.Host.ServerUID
	replaceFile(e, "server_program", func(f *catalog.File) { f.UID, f.Writers = uid, []string{"uid " + itoa(uid)} })
	replaceFile(e, "archive_command", func(f *catalog.File) { f.Path, f.Writers = "/home/joe/archive.sh", []string{"uid 1000", "everybody"} })
	replaceFile(e, "pgpass", func(f *catalog.File) { f.Path, f.Mode = "/home/joe/.pgpass", 0o640 })
}

// tidyFiles is the other way round.
func tidyFiles(e *catalog.Evidence) {
	openFiles(e)
	uid := e.Host.ServerUID
	replaceFile(e, "socket_directory", func(f *catalog.File) { f.Path, f.Mode, f.UID = "/run/postgresql", 0o2775, uid })
	replaceFile(e, "ssl_dh_params_file", func(f *catalog.File) { f.Notes["bits"] = "2048" })
	// A key of root that the server's group reads is fine.
	replaceFile(e, "ssl_key_file", func(f *catalog.File) { f.Mode, f.UID, f.Notes["key"] = 0o640, 0, "encrypted" })
	replaceFile(e, "ssl_passphrase_command", func(f *catalog.File) { f.Mode, f.Notes, f.Writers = 0o755, nil, []string{"uid " + itoa(uid)} })
	replaceFile(e, "ssl_ca_file", func(f *catalog.File) { f.Notes["certificates"] = "2" })
	replaceFile(e, "ssl_crl_file", func(f *catalog.File) { f.Notes["next_update"] = "2027-01-01T00:00:00Z" })
	for _, role := range []string{"ssl_cert_file", "ssl_key_file", "ssl_ca_file"} {
		replaceFile(e, role, func(f *catalog.File) { f.Modified = e.Server.ConfigLoaded.Add(-time.Hour) })
	}
	replaceFile(e, "krb_server_keyfile", func(f *catalog.File) { f.Mode = 0o600 })
	replaceFile(e, "dynamic_library_path", func(f *catalog.File) { f.Writers = nil })
	replaceFile(e, "library_directory", func(f *catalog.File) { f.Writers = nil })
	replaceFile(e, "extension_directory", func(f *catalog.File) { f.Writers = nil })
	replaceFile(e, "config_file", func(f *catalog.File) { f.Mode = 0o640 })
	replaceFile(e, "hba_file", func(f *catalog.File) { f.UID = uid })
	dropFiles(e, "stray")
	replaceFile(e, "server_program", func(f *catalog.File) { f.UID, f.Writers = 0, nil })
	replaceFile(e, "archive_command", func(f *catalog.File) { f.Writers = []string{"uid " + itoa(uid)} })
	replaceFile(e, "pgpass", func(f *catalog.File) { f.Mode = 0o600 })
}

// poorSystem makes the operating system as careless as it can be.
func poorSystem(e *catalog.Evidence) {
	setting(e, "listen_addresses", "*")
	setting(e, "log_destination", "stderr,csvlog")
	h := e.Host
	h.Firewall = &catalog.Firewall{Tool: "nftables", Allowed: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
	h.Published = []string{"0.0.0.0 port 5432"}
	h.Interfaces = append(h.Interfaces, netip.MustParsePrefix("10.1.0.5/24"), netip.MustParsePrefix("10.2.0.5/24"))
	e.Server.HBA = append(e.Server.HBA, catalog.HBARule{Type: "host", Databases: words("all"), Users: words("all"), Address: "samenet", Method: "scram-sha-256", File: "/data/pg_hba.conf", Line: 99})
	h.Tunnel = &catalog.SSHServer{Forwarding: "yes", Gateway: "clientspecified"}
	h.Process.Replaced, h.Process.UID, h.Process.Umask = true, 0, "0022"
	h.Account = &catalog.HostAccount{Shell: "/bin/bash", Password: "set", Sudo: []string{"/etc/sudoers.d/x:1 lets joe run anything as postgres"}, SudoSeen: true}
	h.Unit = &catalog.Unit{Name: "postgresql@15-main.service", Properties: map[string]string{"PrivateTmp": "no"}}
	h.Packages = &catalog.Packages{Manager: "dpkg"}
	h.Programs = []catalog.Program{{Name: "psql", Path: "/usr/bin/psql", Version: "15.18", Client: true}}
	h.Backups = &catalog.BackupFacts{Repository: []catalog.Repository{{Path: "/backup", Config: "/etc/pgbackrest.conf", Readable: true}}}
	h.Facts = map[catalog.HostFact]string{
		catalog.FactFIPS: "off", catalog.FactOpenSSL: "1.1.1n", catalog.FactStderr: "null", catalog.FactClock: "free", catalog.FactLogUsed: "91", catalog.FactLogVolume: "shared",
		catalog.FactLogOldest: "2026-10-01", catalog.FactClusterMade: "2020-01-01", catalog.FactShipper: "none", catalog.FactVolume: "plain", catalog.FactSwap: "plain",
		catalog.FactCoreLimit: "unlimited", catalog.FactCorePattern: "core", catalog.FactContainer: "none", catalog.FactOtherMajors: "13", catalog.FactUntrustedSource: "/etc/apt/sources.list",
	}
}

func goodSystem(e *catalog.Evidence) {
	poorSystem(e)
	setting(e, "log_destination", "stderr")
	h := e.Host
	ten := netip.MustParsePrefix("10.0.0.0/8")
	h.Firewall = &catalog.Firewall{Tool: "nftables", Allowed: []netip.Prefix{ten}, Limits: true}
	h.Published = nil
	h.Interfaces = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/8"), netip.MustParsePrefix("10.1.0.5/24"), netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("fd00::1/64")}
	e.Server.HBA = []catalog.HBARule{{Type: "host", Databases: words("all"), Users: words("all"), Address: "10.1.0.0", Netmask: "255.255.0.0", Method: "scram-sha-256", Line: 1}}
	h.Tunnel = &catalog.SSHServer{Forwarding: "local", PermitOpen: []string{"127.0.0.1:5432"}, Gateway: "no"}
	h.Process.Replaced, h.Process.UID, h.Process.Umask = false, h.ServerUID, "0027"
	h.Programs = []catalog.Program{{Name: "psql", Path: "/usr/bin/psql", Version: "15.20", Client: true}, {Name: "postgres", Path: h.Process.Exe, Version: "15.18"}}
	h.Account = &catalog.HostAccount{Shell: "/usr/sbin/nologin", Password: "locked", SudoSeen: true}
	h.Unit = &catalog.Unit{Name: "postgresql@15-main.service", Enabled: true, Properties: map[string]string{"PrivateTmp": "true", "NoNewPrivileges": "yes", "ProtectSystem": "strict"}}
	h.Packages = &catalog.Packages{Manager: "dpkg", Owner: "postgresql-15"}
	h.Backups = &catalog.BackupFacts{Tools: []string{"pgbackrest"}, Last: today.Add(-24 * time.Hour), Repository: []catalog.Repository{{Path: "/backup", Config: "/etc/pgbackrest.conf", Cipher: "aes-256-cbc"}}}
	for name, v := range map[catalog.HostFact]string{
		catalog.FactFIPS: "on", catalog.FactOpenSSL: "3.5.1", catalog.FactStderr: "journal", catalog.FactClock: "synchronised", catalog.FactLogUsed: "40", catalog.FactLogVolume: "own",
		catalog.FactLogOldest: "2025-10-01", catalog.FactShipper: "vector", catalog.FactVolume: "encrypted", catalog.FactSwap: "memory", catalog.FactCoreLimit: "0",
		catalog.FactOtherMajors: "none", catalog.FactUntrustedSource: "none",
	} {
		h.Facts[name] = v
	}
}

func words(text string) []catalog.HBAWord { return []catalog.HBAWord{{Text: text}} }

// leftovers puts secrets and logs on the host.
func leftovers(e *catalog.Evidence) {
	h := e.Host
	h.Missing = map[string]string{}
	h.Hits = []catalog.SecretHit{
		{Object: "/etc/environment", Kind: "profile", Line: 3},
		{Object: "process 77 (job)", Kind: "environment"},
		{Object: "process 78 (psql)", Kind: "command line"},
		{Object: "/home/joe/.pg_service.conf", Kind: "service file", Line: 4},
		{Object: "/home/joe/.psql_history", Kind: "history", Line: 12},
		{Object: "/home/joe/.pg_service.conf", Kind: "sslmode", Line: 5},
	}
	h.Logs = &catalog.LogFacts{
		Files: 3, From: today.AddDate(0, 0, -120), To: today.AddDate(0, 0, -1), Hits: []catalog.SecretHit{{Object: "/log/a.log", Kind: "password in a statement", Line: 5}},
		Cards: []catalog.SecretHit{{Object: "/log/a.log", Kind: "number that passes for a card's", Line: 9}}, Keys: []catalog.SecretHit{{Object: "/log/a.log", Kind: "key passed to pgcrypto", Line: 10}},
		Rules: map[string]time.Time{}, Roles: map[string]time.Time{},
	}
	for _, r := range e.Server.Roles {
		if r.Name != "gone" {
			h.Logs.Roles[r.Name] = today.AddDate(0, 0, -2)
		}
	}
	for _, r := range e.Server.HBA {
		if r.Address != "10.0.0.0" {
			h.Logs.Rules[e.Server.Value("hba_file")+":"+itoa(r.Line)] = today.AddDate(0, 0, -2)
		}
	}
}

func tidy(e *catalog.Evidence) {
	leftovers(e)
	h := e.Host
	h.Hits, h.Logs.Hits, h.Logs.Cards, h.Logs.Keys = nil, nil, nil, nil
	h.Logs.Roles["gone"] = today.AddDate(0, 0, -2)
	for _, r := range e.Server.HBA {
		h.Logs.Rules[e.Server.Value("hba_file")+":"+itoa(r.Line)] = today.AddDate(0, 0, -2)
	}
}

func hostWorlds() []world {
	return []world{
		{
			name: "host files open", recorded: "bad", derived: "modes, owners and contents of the recorded files are edited; the files themselves are shown by TestLook", edit: openFiles,
			expect: `
				fail NET-007 socket_directory /tmp
				fail NET-009 socket_directory /tmp
				fail TLS-010 ssl_dh_params_file
				fail TLS-021 ssl_key_file
				pass TLS-022
				fail TLS-023 ssl_passphrase_command
				fail TLS-026 ssl_ca_file
				fail TLS-028 ssl_crl_file
				fail TLS-029 ssl_cert_file
				fail TLS-043 krb_server_keyfile
				fail EXT-007 dynamic_library_path
				fail EXT-008 library_directory
				fail SEC-005 pgpass /home/joe
				fail SEC-011 config_file
				fail SEC-011 hba_file
				fail SEC-012 file /data/run.sh
				fail SEC-016 program
				fail SEC-030 archive_command /home/joe/archive.sh
				fail SEC-030 ssl_passphrase_command`,
		},
		{
			name: "host files closed", recorded: "bad", derived: "modes, owners and contents of the recorded files are edited", edit: tidyFiles,
			expect: "pass NET-007 NET-009 TLS-010 TLS-021 TLS-022 TLS-023 TLS-026 TLS-028 TLS-029 TLS-043 EXT-007 EXT-008 SEC-005 SEC-011 SEC-012 SEC-016 SEC-030",
		},
		{
			name: "a key in clear, a passphrase in the setting", recorded: "bad", derived: "a setting is edited",
			edit: func(e *catalog.Evidence) {
				replaceFile(e, "ssl_key_file", func(f *catalog.File) { f.Notes["key"] = "plain" })
			},
			expect: "fail TLS-022 ssl_key_file\nna TLS-023 TLS-043 EXT-007 SEC-030 TLS-026 TLS-028",
		},
		{
			name: "files that may not be read", recorded: "bad", derived: "the recorded host is edited to refuse",
			edit: func(e *catalog.Evidence) {
				dropFiles(e, "ssl_key_file")
				dropFiles(e, "library_directory")
				dropFiles(e, "extension_directory")
				dropFiles(e, "server_program")
				e.Host.Missing = map[string]string{"/tmp/refused.key": "permission denied", "walk": "permission denied"}
				setting(e, "ssl_key_file", "/tmp/refused.key")
			},
			expect: "blind TLS-021 SEC-012 SEC-016 EXT-008",
		},
		{
			name: "careless operating system", recorded: "bad", derived: "facts of the recorded host are edited", edit: poorSystem,
			env: func(env *scan.Env) { env.Expect = &scan.Expect{FIPS: true, LogDays: 365} },
			expect: `
				fail NET-011 port
				na NET-012
				fail NET-018 port
				fail NET-020 container proxy
				fail NET-021 sshd_config
				fail HBA-008 /data/pg_hba.conf:99
				fail TLS-041 host
				is TLS-042 medium OpenSSL 1.1.1n
				fail LOG-001 setting logging_collector
				fail LOG-002 setting logging_collector
				fail LOG-033 host
				fail LOG-034 log volume
				fail LOG-035 logs
				fail LOG-038 clock
				fail PAT-005 program
				fail PAT-006 program /usr/bin/psql
				fail PAT-008 program
				fail PAT-008 package source
				fail PAT-009 host
				fail PAT-010 unit
				fail SEC-013 server process
				fail SEC-014 account
				fail SEC-015 sudo rule
				fail SEC-017 unit
				fail SEC-018 server process
				fail SEC-019 data directory
				fail SEC-020 server process
				fail SEC-021 swap
				fail REP-003 server
				fail REP-005 repository /backup`,
		},
		{
			name: "careful operating system", recorded: "bad", derived: "facts of the recorded host are edited", edit: goodSystem,
			env: func(env *scan.Env) { env.Expect = &scan.Expect{FIPS: true, LogDays: 365} },
			expect: `pass NET-011 NET-012 NET-018 NET-020 NET-021 HBA-008 TLS-041 TLS-042 LOG-001 LOG-002 LOG-033 LOG-034 LOG-035 LOG-038 PAT-005 PAT-008 PAT-009 PAT-010
				pass SEC-013 SEC-014 SEC-015 SEC-017 SEC-018 SEC-019 SEC-020 SEC-021 REP-003 REP-005 PAT-006`,
		},
		{
			name: "operating system that does not show", recorded: "bad", derived: "facts are taken from the recorded host",
			edit: func(e *catalog.Evidence) {
				setting(e, "listen_addresses", "*")
				e.Host = &catalog.Host{Missing: map[string]string{"firewall": "its rules cannot be listed: operation not permitted"}}
			},
			env: func(env *scan.Env) { env.Expect = &scan.Expect{FIPS: true, LogDays: 365} },
			expect: `blind NET-011 NET-012 NET-018 NET-020 NET-021 HBA-008 TLS-041 TLS-042 LOG-001 LOG-002 LOG-033 LOG-034 LOG-035 LOG-038 PAT-005 PAT-008 PAT-009 PAT-010
				blind SEC-013 SEC-014 SEC-015 SEC-017 SEC-018 SEC-019 SEC-020 SEC-021 REP-003 REP-005`,
		},
		{
			name: "firewall and rules apart", recorded: "bad", derived: "the recorded host gets a packet filter and the server other rules",
			edit: func(e *catalog.Evidence) {
				goodSystem(e)
				e.Server.HBA = []catalog.HBARule{{Type: "host", Databases: words("all"), Users: words("all"), Address: "172.16.0.0", Netmask: "255.240.0.0", Method: "scram-sha-256", Line: 7}}
				e.Host.Process.Umask = "0022"
				e.Host.Unit.Properties["UMask"] = "0022"
			},
			expect: `
				fail NET-012 pg_hba.conf:7
				fail NET-012 packet filter, 10.0.0.0/8
				fail SEC-013 unit`,
		},
		{
			name: "secrets left on the host", recorded: "bad", derived: "what a look finds is edited in; the look itself is shown by TestLook", edit: leftovers, env: consent(scan.ReadLogs),
			expect: `
				fail SEC-001 profile /etc/environment:3
				fail SEC-002 environment process 77
				fail SEC-003 command line process 78
				fail SEC-004 service file
				fail SEC-006 history /home/joe/.psql_history:12
				fail TLS-044 sslmode
				fail LOG-031 log /log/a.log:5
				fail LOG-032 log /log/a.log:9
				fail DAT-009 log /log/a.log:10
				fail ROL-020 role gone
				spare ROL-020 role weak
				fail HBA-035 pg_hba.conf:1
				spare HBA-035 pg_hba.conf:4`,
		},
		{
			name: "no secrets left on the host", recorded: "bad", derived: "what a look finds is taken out", edit: tidy, env: consent(scan.ReadLogs),
			expect: "pass SEC-001 SEC-002 SEC-003 SEC-004 SEC-006 TLS-044 LOG-031 LOG-032 DAT-009 ROL-020 HBA-035",
		},
		{
			name: "logs of a week", recorded: "bad", derived: "the period of the recorded logs is edited",
			edit: func(e *catalog.Evidence) {
				tidy(e)
				e.Host.Logs.From = today.AddDate(0, 0, -7)
				e.Host.Logs.Truncated = true
				e.Host.Missing["environments"] = "3 processes of other accounts do not show their environment"
			},
			env:    consent(scan.ReadLogs),
			expect: "blind ROL-020 HBA-035 LOG-031 LOG-032 SEC-002",
		},
	}
}

// TestOpenSSLBranches: the branch is read from the ways that distributions write versions, and an unknown one is not passed.
func TestOpenSSLBranches(t *testing.T) {
	for version, want := range map[string]string{
		"1:1.0.2k-26.el7": "fail", "1.1.0l-1~deb9u6": "fail", "1.1.1w": "fail", "3.0.17-1~deb12u2": "fail", "3.4.3": "fail", "3.5.4-1~deb13u1": "pass", "3.6.0": "fail", "4.0.1": "pass",
		"4.9.0": "blind", "unknown": "blind",
	} {
		e := recordings.take(t, "bad")
		goodSystem(e)
		e.Host.Facts[catalog.FactOpenSSL] = version
		r, err := scan.Run(e, newEnv(t), scan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		line := want + " TLS-042"
		if want == "fail" {
			line += " OpenSSL " + version
		}
		if complaint := disagree(r, line); complaint != "" {
			t.Errorf("%s: %s", version, complaint)
		}
	}
}
