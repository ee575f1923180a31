package scan_test

import (
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/scan"
)

func itoa(n int) string { return strconv.Itoa(n) }

// full is a declaration in which every list is there.
func full() *scan.Expect {
	return &scan.Expect{
		Commands: []string{}, ReadOnly: []string{"reader"}, Holders: []string{"reader"}, HumanRoles: []string{"ann", "bob"}, DumpRoles: []string{"dumper", "strong"},
		BackupRoles: []string{"saver"}, CertRoles: []string{"certified"}, TenantTables: []string{"public.people"}, GuardViews: []string{"public.safe"}, MaskingViews: []string{"public.safe"},
		GSS: true, Environment: "staging",
	}
}

func labels(e *catalog.Evidence) {
	e.Labels = map[string]string{}
	for _, d := range e.Databases {
		e.Labels[d.Database.Name+".public.people.email"] = "contact.email"
	}
}

// onlyDatabase is a declaration that fits goodData's server.
func declaredWell(env *scan.Env) {
	env.Expect = full()
	env.Expect.HumanRoles, env.Expect.DumpRoles, env.Expect.BackupRoles, env.Expect.GSS = []string{"bob"}, []string{"strong"}, []string{"dumper"}, true
}

func declaredWorlds() []world {
	return []world{
		{
			name: "declared, and otherwise", recorded: "bad", derived: "what the site declares is given, and settings are edited",
			edit: func(e *catalog.Evidence) {
				labels(e)
				setting(e, "recovery_end_command", "rm -rf /tmp/x")
				e.Server.Activity = append(e.Server.Activity, catalog.Activity{User: "saver", Address: "10.0.0.9", Backend: "client backend"})
			},
			env: func(env *scan.Env) { env.Expect = full() },
			expect: `
				fail HBA-023 role certified
				fail TLS-038 rule
				fail ROL-018 role ann
				spare ROL-018 role bob
				fail PRV-013 role reader
				fail PRV-016 role stranger
				spare PRV-016 role reader
				fail RLS-008 table bad.public.people
				fail RLS-011 view bad.public.safe
				fail RLS-012 role reader
				fail SEC-027 role dumper
				spare SEC-027 role strong
				fail SEC-031 setting recovery_end_command
				fail REP-006 role saver
				fail REP-013 role saver from 10.0.0.9
				fail RLS-017 table bad.public.people
				fail DAT-006 role reader
				fail DAT-007 column bad.public.people.email
				fail DAT-010 database bad
				fail REP-009 publication bad.everything
				na LOG-027`,
		},
		{
			name: "declared, and so", recorded: "good", derived: "what the site declares is given, and rules that the tests need are taken out",
			edit: func(e *catalog.Evidence) {
				labels(e)
				e.Server.HBA = []catalog.HBARule{{Type: "local", Databases: words("all"), Users: words("all"), Method: "peer", Line: 1}, {Type: "hostgssenc", Databases: words("all"), Users: words("all"), Address: "10.0.0.0", Netmask: "255.0.0.0", Method: "cert", Options: []string{"clientcert=verify-full"}, Line: 2}}
				for i := range e.Server.Roles {
					if e.Server.Roles[i].Name == "saver" {
						e.Server.Roles[i].Login = false
					}
					if e.Server.Roles[i].Name == "postgres" {
						e.Server.Roles[i].Login = false
					}
				}
				e.Server.Activity = nil
			},
			env:    declaredWell,
			expect: "pass HBA-023 ROL-018 PRV-013 PRV-016 RLS-008 RLS-011 RLS-012 SEC-027 SEC-031 REP-006 REP-013 RLS-017 DAT-006 DAT-007 REP-009 TLS-038",
		},
		{
			name: "a masked copy with object audit", recorded: "good", derived: "pgAudit and the anonymiser are edited in, which the test servers do not have",
			edit: func(e *catalog.Evidence) {
				labels(e)
				setting(e, "shared_preload_libraries", "pgaudit")
				addSetting(e, "pgaudit.role", "saver")
				e.Databases[0].Extensions = append(e.Databases[0].Extensions, catalog.Extension{Name: "anon"})
			},
			env:    declaredWell,
			expect: "pass LOG-027 DAT-010",
		},
		{
			name: "audit of no object", recorded: "bad", derived: "pgAudit is edited in",
			edit: func(e *catalog.Evidence) {
				labels(e)
				setting(e, "shared_preload_libraries", "pgaudit")
				addSetting(e, "pgaudit.role", "")
			},
			expect: "fail LOG-027 table bad.public.people\nblind HBA-023 TLS-038 ROL-018 PRV-013 PRV-016 RLS-008 RLS-011 RLS-012 SEC-027 SEC-031 REP-006 DAT-010 REP-007 REP-008 LOG-035 TLS-041",
		},
		{
			name: "no labels, no consent", recorded: "bad", derived: "what was sampled is taken out",
			edit:   func(e *catalog.Evidence) { e.Sampled, e.Databases[0].Samples, e.Server.Tried = false, nil, false },
			expect: "blind RLS-017 LOG-027 DAT-006 DAT-007 DAT-010 REP-009 DAT-001 DAT-002 DAT-003 DAT-004 DAT-005 EXT-011 ROL-015 SEC-006 LOG-031 LOG-032",
		},
		{
			name: "data as it should not be", recorded: "bad", derived: "consent is given", env: consent(scan.SampleData, scan.TryPasswords),
			expect: `
				fail DAT-001 column bad.public.accounts.password
				fail DAT-002 column bad.public.accounts.old_password
				fail DAT-003 column bad.public.accounts.card_no
				fail DAT-004 column bad.public.accounts.card_hash
				fail DAT-005 column bad.public.accounts.cvv
				fail DAT-005 column bad.public.accounts.stripe
				fail EXT-011 column bad.public.accounts.secret_enc
				fail ROL-015 role weak
				fail ROL-015 role common
				spare ROL-015 role strong`,
		},
		{
			name: "data as it should be", recorded: "good", derived: "consent is given, and the weak passwords of the recorded server are taken out", env: consent(scan.SampleData, scan.TryPasswords),
			edit: func(e *catalog.Evidence) {
				for i := range e.Server.Verifiers {
					e.Server.Verifiers[i].Weak = ""
				}
			},
			expect: "pass DAT-001 DAT-002 DAT-003 DAT-004 DAT-005 EXT-011 ROL-015",
		},
		{
			name: "keys in statements", recorded: "good", derived: "the statement of another session is edited in",
			edit: func(e *catalog.Evidence) {
				e.Server.Activity = []catalog.Activity{{PID: 5, User: "app", CallsCipher: true}}
				e.Databases[0].KeyStatements = 2
			},
			expect: "fail DAT-009 session 5\nfail DAT-009 pg_stat_statements",
		},
		{
			name: "a standby that is weaker", recorded: "good", derived: "the same evidence stands for the primary; the standby's rules are edited",
			edit: func(e *catalog.Evidence) {
				e.Server.HBA = append([]catalog.HBARule{
					{Type: "host", Databases: words("all"), Users: words("certified"), Address: "10.0.0.0", Netmask: "255.0.0.0", Method: "trust", Line: 1}, {Type: "host", Databases: words("all"), Users: words("ann"), Address: "10.9.0.0", Netmask: "255.255.0.0", Method: "scram-sha-256", Line: 2},
				}, e.Server.HBA...)
			},
			env:    primaryIs(&recordings),
			expect: "fail REP-007 role certified\nspare REP-007 role ann\nfail REP-008 role ann",
		},
		{
			name: "a standby that is alike", recorded: "good", derived: "the same evidence stands for the primary", env: primaryIs(&recordings), edit: func(*catalog.Evidence) {},
			expect: "pass REP-007 REP-008",
		},
	}
}

// addSetting puts a setting into recorded evidence at its place.
func addSetting(e *catalog.Evidence, name, value string) {
	all := e.Server.Settings
	i := 0
	for i < len(all) && strings.Compare(all[i].Name, name) < 0 {
		i++
	}
	e.Server.Settings = append(all[:i:i], append([]catalog.Setting{{Name: name, Value: value}}, all[i:]...)...)
}
