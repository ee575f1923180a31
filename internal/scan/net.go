package scan

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-sec/postern/internal/catalog"
)

// networkChecks are the checks of area NET.
func networkChecks() []Check {
	return []Check{
		{ID: "NET-001", Why: "A server that listens everywhere is reachable through every network the machine will ever join.", Eval: listensEverywhere},
		{ID: "NET-002", Why: "A port that nobody uses is only of use to an attacker.", Reads: []catalog.Fact{catalog.FactActivity}, Eval: tcpUnused},
		{ID: "NET-004", Why: "The file says one thing and the running server does another until it is restarted.", Eval: listenPending},
		{ID: "NET-005", Why: "Every account of the machine can open the socket; only pg_hba.conf stands behind it.", Eval: socketWorld},
		{ID: "NET-006", Why: "The mode lets a group in, and that group is the server account's own, which holds nobody on purpose.", Eval: socketGroup},
		{ID: "NET-008", Why: "An abstract socket has no file, so no permission guards it.", Eval: abstractSocket},
		wrongSetting("NET-013", "The server announces itself to the whole local network.", "bonjour", isOn, "off"),
		{ID: "NET-014", Why: "A client that vanished keeps its session, its locks and its rights for hours.", Eval: keepalive},
		wrongSetting("NET-015", "A query goes on for a client that is long gone.", "client_connection_check_interval",
			func(v string) bool { return number(v) == 0 }, "10s"),
		wrongSetting("NET-016", "Whoever connects and never proves who he is holds a connection that long.", "authentication_timeout",
			func(v string) bool { return number(v) > 60 }, "1min"),
		{ID: "NET-017", Why: "When the connections are used up, the administrator cannot get in either.", Reads: []catalog.Fact{catalog.FactRoles}, Eval: reservedSlots},
		{
			ID: "NET-019", Why: "Behind a pooler every client has the pooler's address, so rules by address say nothing about people.",
			Reads: []catalog.Fact{catalog.FactActivity}, Eval: poolerInFront,
		},
	}
}

func listensEverywhere(e *catalog.Evidence, _ *Env) Verdict {
	var wide []string
	for _, a := range items(value(e, "listen_addresses")) {
		if addr, err := netip.ParseAddr(a); a == "*" || err == nil && addr.IsUnspecified() {
			wide = append(wide, a)
		}
	}
	f := badSetting(e, "listen_addresses", "localhost")
	f.Fix += " -- or the addresses that clients use"
	return failWhen(len(wide) > 0, f)
}

func tcpUnused(e *catalog.Evidence, _ *Env) Verdict {
	if len(items(value(e, "listen_addresses"))) == 0 {
		return found(nil)
	}
	if e.Server.OverTCP {
		return found(nil) // this scan itself came over TCP
	}
	clients := 0
	for _, a := range e.Server.Activity {
		if a.Backend != "client backend" && a.Backend != "walsender" {
			continue
		}
		if !a.Local {
			return found(nil)
		}
		clients++
	}
	if clients == 0 {
		return notEvaluated("no other session is connected to judge by")
	}
	f := badSetting(e, "listen_addresses", "")
	f.Evidence += fmt.Sprintf("; all %d sessions of this moment use the Unix socket", clients)
	return found([]Finding{f})
}

func listenPending(e *catalog.Evidence, _ *Env) Verdict {
	v := e.Server.Setting("listen_addresses")
	return failWhen(v.Pending, Finding{
		Object: "setting listen_addresses", Evidence: "changed in the file, the running server still uses " + quoteLiteral(v.Value),
		Fix: "restart the server",
	})
}

// socketMode reads unix_socket_permissions, which the server shows in octal.
func socketMode(e *catalog.Evidence) uint64 {
	mode, err := strconv.ParseUint(value(e, "unix_socket_permissions"), 8, 32)
	if err != nil {
		return 0
	}
	return mode
}

// noSocket reports whether the server is known to have no Unix socket.
func noSocket(e *catalog.Evidence) bool {
	v := e.Server.Setting("unix_socket_directories")
	return v != nil && len(items(v.Value)) == 0
}

func socketWorld(e *catalog.Evidence, _ *Env) Verdict {
	if noSocket(e) {
		return notApplicable("the server has no Unix socket")
	}
	f := badSetting(e, "unix_socket_permissions", "0770")
	f.Fix += " -- with unix_socket_group set to the group that may connect"
	// Connecting needs the right to write.
	return failWhen(socketMode(e)&0o002 != 0, f)
}

func socketGroup(e *catalog.Evidence, _ *Env) Verdict {
	if noSocket(e) {
		return notApplicable("the server has no Unix socket")
	}
	relies := socketMode(e)&0o022 == 0o020
	f := Finding{
		Object: "setting unix_socket_group", Evidence: show(e, "unix_socket_group") + ", " + show(e, "unix_socket_permissions"),
		Fix: "ALTER SYSTEM SET unix_socket_group = 'GROUP'; -- the group that may connect; then restart the server",
	}
	return failWhen(relies && value(e, "unix_socket_group") == "", f)
}

func abstractSocket(e *catalog.Evidence, _ *Env) Verdict {
	var fs []Finding
	for _, d := range items(value(e, "unix_socket_directories")) {
		if strings.HasPrefix(d, "@") {
			fs = append(fs, Finding{
				Object: "socket " + d, Evidence: show(e, "unix_socket_directories"), Place: place(e, "unix_socket_directories"),
				Fix: alter(e, "unix_socket_directories", "/run/postgresql"),
			})
		}
	}
	return found(fs)
}

// longestIdle is how long a dead peer may go unnoticed: the kernel's default is two hours.
const longestIdle = 600

func keepalive(e *catalog.Evidence, _ *Env) Verdict {
	if !e.Server.OverTCP {
		return notEvaluated("keepalive values read 0 over a Unix socket; scan over TCP to see the real ones")
	}
	idle := number(value(e, "tcp_keepalives_idle"))
	return failWhen(idle == 0 || idle > longestIdle, badSetting(e, "tcp_keepalives_idle", "60"))
}

func reservedSlots(e *catalog.Evidence, _ *Env) Verdict {
	total := number(value(e, "max_connections"))
	reserved := number(value(e, "superuser_reserved_connections"))
	var fs []Finding
	if reserved == 0 {
		fs = append(fs, badSetting(e, "superuser_reserved_connections", "3"))
	}
	free := total - reserved - number(value(e, "reserved_connections"))
	for _, r := range e.Server.Roles {
		// A role without a limit of its own is ROL-021.
		if r.Login && !r.Superuser && r.ConnLimit >= 0 && int64(r.ConnLimit) >= free {
			fs = append(fs, Finding{
				Object:   "role " + r.Name,
				Evidence: fmt.Sprintf("may hold %d connections, and the server has %d for everybody", r.ConnLimit, free),
				Fix:      fmt.Sprintf("ALTER ROLE %s CONNECTION LIMIT %d;", quoteIdent(r.Name), max(free/2, 1)),
			})
		}
	}
	return found(fs)
}

// A pooler shows itself by many roles from one address.
const poolerRoles = 5

func poolerInFront(e *catalog.Evidence, _ *Env) Verdict {
	roles := map[string][]string{}
	clients := 0
	for _, a := range e.Server.Activity {
		if a.Backend != "client backend" || a.Address == "" {
			continue
		}
		clients++
		if !slices.Contains(roles[a.Address], a.User) {
			roles[a.Address] = append(roles[a.Address], a.User)
		}
	}
	if clients == 0 {
		return notEvaluated("no session over TCP is connected to judge by")
	}
	var fs []Finding
	for addr, names := range roles {
		if len(names) >= poolerRoles {
			fs = append(fs, Finding{
				Object: "address " + addr, Evidence: fmt.Sprintf("%d roles are connected from it at this moment", len(names)),
				Fix: "decide who may connect in the pooler or gateway, and let only its address in here",
			})
		}
	}
	return found(fs)
}
