package scan_test

import "github.com/postern-sec/postern/internal/catalog"

func hbaWorlds() []world {
	return []world{
		{
			name: "rules as initdb -A trust leaves them, opened to the world", as: granted,
			sql: "CREATE ROLE app LOGIN; CREATE ROLE rep LOGIN REPLICATION",
			hba: []string{
				"local all all trust", "host all all 127.0.0.1/32 trust", "host all all all trust", "host replication all 0.0.0.0/0 md5",
				"hostnossl all app 10.0.0.0/8 password", "host all all 0.0.0.0/0 reject",
			},
			expect: `
				is HBA-001 critical rule host all all all trust
				is HBA-001 high rule host all all 127.0.0.1/32 trust
				fail HBA-002 rule local all all trust
				pass HBA-003 HBA-011
				fail HBA-004 rule host replication all 0.0.0.0/0 md5
				pass HBA-005 HBA-007 HBA-009 HBA-012 HBA-021 HBA-024 HBA-029 HBA-030 HBA-031
				fail HBA-006 rule host all all all trust
				fail HBA-010 rule host all all all trust
				fail HBA-013 rule host all all all trust
				is HBA-014 high role postgres
				fail HBA-015 role rep
				spare HBA-015 role app
				fail HBA-016 rule host replication all
				fail HBA-017 rule host replication all
				fail HBA-018 rule hostnossl all app
				fail HBA-019 rule host all all 0.0.0.0/0 reject
				fail HBA-020 local connections
				blind HBA-022`,
		},
		{
			name: "every method that is worse than it looks", as: granted,
			sql: "CREATE ROLE boss SUPERUSER LOGIN; CREATE ROLE admins; GRANT admins TO boss; CREATE ROLE app LOGIN",
			hba: []string{
				"local nodb all peer map=nomap", `hostssl "My DB" all 10.0.0.0/8 password # old`, "hostnossl all app 192.0.2.0/24 scram-sha-256",
				"hostssl all app 198.51.100.0/24 ident", "hostssl all app db.example.com scram-sha-256", "hostssl all app .example.net reject",
				"hostssl all +admins 203.0.113.0/24 scram-sha-256", "hostssl all app 203.0.113.0/25 scram-sha-256 clientcert=verify-ca",
				"local all app reject", "host all all all reject",
			},
			expect: `
				pass HBA-001 HBA-004 HBA-006 HBA-010 HBA-013 HBA-016 HBA-017
				fail HBA-003 rule hostssl "My DB" all 10.0.0.0/8 password
				fail HBA-005 ident
				fail HBA-007 10.0.0.0/8
				fail HBA-009 db.example.com
				spare HBA-009 .example.net
				fail HBA-011 rule hostnossl all app 192.0.2.0/24
				is HBA-014 high role boss
				spare HBA-014 role app
				fail HBA-024 clientcert=verify-ca
				fail HBA-029 map=nomap`,
		},
		{
			name: "rules as they should be", as: granted, derived: "the door by which the test itself comes in, the first line, is taken out",
			edit: func(e *catalog.Evidence) { e.Server.HBA = e.Server.HBA[1:] },
			sql:  "CREATE ROLE app LOGIN; CREATE ROLE rep LOGIN REPLICATION",
			hba: []string{
				"local all postgres trust", "local all scan_grants scram-sha-256", "hostssl replication rep 192.0.2.7/32 scram-sha-256",
				"hostssl all postgres all reject", "hostssl all app 192.0.2.0/24 scram-sha-256 clientcert=verify-full", "local all all reject",
				"host all all all reject",
			},
			expect: `
				pass HBA-001 HBA-002 HBA-003 HBA-004 HBA-005 HBA-006 HBA-007 HBA-009 HBA-010 HBA-011 HBA-012 HBA-013 HBA-014 HBA-015 HBA-016
				pass HBA-017 HBA-019 HBA-021 HBA-024`,
		},
	}
}
