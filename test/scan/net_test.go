package scan_test

import (
	"github.com/postern-sec/postern/internal/catalog"
)

// setting changes one setting of recorded evidence.
func setting(e *catalog.Evidence, name, value string) {
	if v := e.Server.Setting(name); v != nil {
		v.Value = value
	}
}

func networkWorlds() []world {
	return []world{
		{
			name: "network as installed", overTCP: true, as: monitor,
			expect: `
				pass NET-001 NET-002 NET-004 NET-006 NET-008 NET-013 NET-016 NET-017
				fail NET-005 setting unix_socket_permissions
				fail NET-014 setting tcp_keepalives_idle
				fail NET-015 setting client_connection_check_interval
				blind NET-019`,
		},
		{
			name: "network wide open",
			system: []string{
				"listen_addresses = '127.0.0.1,::'", "authentication_timeout = '90s'", "client_connection_check_interval = '10s'",
			},
			sql: "CREATE ROLE greedy LOGIN CONNECTION LIMIT 100; CREATE ROLE modest LOGIN CONNECTION LIMIT 5",
			expect: `
				fail NET-004 setting listen_addresses
				pass NET-015
				fail NET-016 setting authentication_timeout
				fail NET-017 role greedy
				spare NET-017 role modest
				blind NET-014`,
		},
		{
			name: "stricter than asked", overTCP: true, as: monitor, system: []string{"authentication_timeout = '20s'", "tcp_keepalives_idle = 30"},
			expect: "pass NET-016 NET-014",
		},
		{
			name: "settings that need a start", derived: "the server's settings are edited",
			edit: func(e *catalog.Evidence) {
				setting(e, "listen_addresses", "127.0.0.1,::")
				setting(e, "unix_socket_permissions", "0720")
				setting(e, "superuser_reserved_connections", "0")
			},
			expect: `
				fail NET-001 setting listen_addresses
				pass NET-005
				fail NET-006 setting unix_socket_group
				fail NET-017 setting superuser_reserved_connections`,
		},
		{
			name: "sockets without files, many roles behind one address", major: 14,
			derived: "a server with an abstract socket and a pooler in front is not started; the settings and sessions are edited in",
			edit: func(e *catalog.Evidence) {
				setting(e, "unix_socket_directories", "/run/postgresql, @postern")
				setting(e, "bonjour", "on")
				e.Server.Activity = nil
				for _, u := range []string{"a", "b", "c", "d", "e"} {
					e.Server.Activity = append(e.Server.Activity, catalog.Activity{User: u, Address: "10.0.0.9", Backend: "client backend"})
				}
			},
			expect: `
				fail NET-008 socket @postern
				fail NET-013 setting bonjour
				fail NET-019 address 10.0.0.9`,
		},
		{
			name: "one client over TCP", derived: "a second session is edited in",
			edit: func(e *catalog.Evidence) {
				e.Server.Activity = []catalog.Activity{{User: "app", Address: "10.0.0.7", Backend: "client backend"}}
			},
			expect: "pass NET-002 NET-019",
		},
		{
			name: "only local clients", derived: "a second local session is edited in",
			edit: func(e *catalog.Evidence) {
				e.Server.Activity = []catalog.Activity{{User: "app", Local: true, Backend: "client backend"}}
			},
			expect: "fail NET-002 setting listen_addresses\nblind NET-019",
		},
	}
}
