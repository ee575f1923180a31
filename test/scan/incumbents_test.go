package scan_test

import (
	"encoding/json"
	"testing"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// TestKnownWrongVerdicts plays the wrong verdicts that other tools were seen to give. Each is a fixture, and what must be said of it. The
// evidence is a real server's, edited to be the fixture.
func TestKnownWrongVerdicts(t *testing.T) {
	c := pgtest.Default(t)
	t.Cleanup(func() { putBack(t, c) })
	db := c.NewDatabase(t)
	prepareLevels(t, db)
	db.Exec(t, "CREATE ROLE app LOGIN; CREATE ROLE boss SUPERUSER LOGIN; CREATE ROLE admins; GRANT admins TO boss; CREATE ROLE walker LOGIN BYPASSRLS")
	full, watcher, login := record(t, db, superuser), record(t, db, monitor), record(t, db, plain)
	rules := func(rs ...catalog.HBARule) func(*catalog.Evidence) {
		for i := range rs {
			rs[i].Line = i + 1
		}
		return func(e *catalog.Evidence) { e.Server.HBA = rs }
	}
	hba := func(kind, db, user, address, mask, method string) catalog.HBARule {
		return catalog.HBARule{Type: kind, Databases: []catalog.HBAWord{{Text: db}}, Users: []catalog.HBAWord{{Text: user}}, Address: address, Netmask: mask, Method: method}
	}
	for _, k := range []struct {
		name, expect string
		from         []byte
		edit         func(*catalog.Evidence)
	}{
		{"1 trust on every line, no pgAudit, is no success", "fail HBA-001\nfail HBA-013\nfail HBA-014\nfail LOG-024", full, rules(hba("local", "all", "all", "", "", "trust"), hba("host", "all", "all", "0.0.0.0", "0.0.0.0", "trust"))},
		{"3 15.9 is not up to date when 15.20 is the newest", "fail PAT-003\nfail PAT-004", full, func(e *catalog.Evidence) { e.Server.VersionNum = 150009 }},
		{"4 majors with a zero in them are numbers", "blind PAT-003", full, func(e *catalog.Evidence) { e.Server.VersionNum = 200001 }},
		{"5 a scan without privilege does not succeed by default", "blind HBA-001 ROL-013 LOG-024 SEC-009 TLS-002", login, nil},
		{"6 pg_monitor is enough for most", "pass ROL-006 LOG-009\nfail LOG-024", watcher, nil},
		{"7 BYPASSRLS is looked for among roles", "fail ROL-008 role walker", full, nil},
		{"8 a superuser is reachable through all", "fail HBA-014 role boss", full, rules(hba("hostssl", "all", "all", "192.0.2.0", "255.255.255.0", "scram-sha-256"))},
		{"8 a superuser is reachable through +group", "fail HBA-014 role boss\nspare HBA-014 role app", full, rules(hba("hostssl", "all", "+admins", "192.0.2.0", "255.255.255.0", "scram-sha-256"))},
		{"9 all is any source", "fail HBA-006 host all all all trust", full, rules(hba("host", "all", "all", "all", "", "trust"))},
		{"9 :: listens everywhere", "fail NET-001", full, func(e *catalog.Evidence) { setting(e, "listen_addresses", "::") }},
		{"10 reject is no finding", "pass HBA-001 HBA-006 HBA-010 HBA-013 HBA-014", full, rules(hba("host", "all", "all", "0.0.0.0", "0.0.0.0", "reject"))},
		{"11 a quoted name does not hide a rule", `fail HBA-003 hostssl "My DB" all 10.0.0.0/8 password`, full, rules(hba("hostssl", "My DB", "all", "10.0.0.0", "255.0.0.0", "password"))},
		{"12 a host name does not end the run", "fail HBA-009 db.example.com", full, rules(hba("hostssl", "all", "app", "db.example.com", "", "scram-sha-256"))},
		{"14 peer on the local socket is fine", "pass HBA-002", full, rules(hba("local", "all", "all", "", "", "peer"))},
		{
			"15 trust over loopback is one step lower", "is HBA-001 high host all app 127.0.0.1/32 trust\nis HBA-001 critical host all app 192.0.2.1/32 trust", full,
			rules(hba("host", "all", "app", "127.0.0.1", "255.255.255.255", "trust"), hba("host", "all", "app", "192.0.2.1", "255.255.255.255", "trust")),
		},
		{"18 a standby is only read", "na REP-004", full, func(e *catalog.Evidence) { e.Server.InRecovery = true }},
		{"20 a primary by itself has no replication fault", "na TLS-033 TLS-034 REP-012 REP-001 REP-002", full, nil},
		{"21 verify-full is accepted", "pass TLS-033", full, func(e *catalog.Evidence) { setting(e, "primary_conninfo", "host=a sslmode=verify-full") }},
		{"21 verify-ca is not critical", "is TLS-033 medium", full, func(e *catalog.Evidence) { setting(e, "primary_conninfo", "host=a sslmode=verify-ca") }},
		{"22 compression is not asked for", "pass TLS-034", full, func(e *catalog.Evidence) { setting(e, "primary_conninfo", "host=a sslmode=verify-full") }},
		{"23 available is not installed", "pass EXT-003 REP-011", full, nil},
		{"25 0750 is fine for the data directory", "pass SEC-010", full, func(e *catalog.Evidence) { setting(e, "data_directory_mode", "0750") }},
		{"28 USAGE on public is no finding", "pass PRV-001 PRV-002", full, nil},
		{"29 stricter than asked passes", "pass LOG-009", full, func(e *catalog.Evidence) { setting(e, "log_min_messages", "notice") }},
		{"30 log_connections is a list from 18", "fail LOG-013", full, func(e *catalog.Evidence) {
			e.Server.VersionNum = 180004
			setting(e, "log_connections", "receipt,authentication")
		}},
	} {
		t.Run(k.name, func(t *testing.T) {
			var e catalog.Evidence
			if err := json.Unmarshal(k.from, &e); err != nil {
				t.Fatal(err)
			}
			if k.edit != nil {
				k.edit(&e)
			}
			(&world{expect: k.expect}).check(t, &e)
		})
	}
	t.Run("27 leaving a check out changes no other", func(t *testing.T) {
		var e catalog.Evidence
		if err := json.Unmarshal(full, &e); err != nil {
			t.Fatal(err)
		}
		all, err1 := scan.Run(&e, newEnv(t), scan.Options{})
		less, err2 := scan.Run(&e, newEnv(t), scan.Options{Skip: []string{"ROL-001"}})
		if err1 != nil || err2 != nil || len(less.Results) != len(all.Results)-1 {
			t.Fatal(err1, err2, len(less.Results), len(all.Results))
		}
		for i := range less.Results {
			a, b := all.Result(less.Results[i].Check.ID), &less.Results[i]
			if a.State != b.State || len(a.Findings) != len(b.Findings) {
				t.Errorf("%s changed", b.Check.ID)
			}
		}
	})
}

// record gathers evidence and keeps it as JSON, which also shows that a saved snapshot judges like the server.
func record(t *testing.T, db *pgtest.DB, as level) []byte {
	t.Helper()
	text, err := json.Marshal(gather(t, db, as, false))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
