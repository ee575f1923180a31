package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// idle is how many connections are held open to see what one costs.
const idle = 80

// BenchmarkCosts makes the second table of docs/benchmarks.md: what logins, TLS and idle connections cost.
func BenchmarkCosts(b *testing.B) {
	for range b.N {
		peers := startPeers(b)[:3] // on the open table
		// Memory first: what a load leaves to the collector would hide it.
		rows := idleCosts(b, peers[1], peers[2])
		for _, m := range []struct {
			name string
			load load
			tls  bool // the relay has none
		}{
			{"new connection + one SELECT, 4 clients", load{mode: "simple", clients: 4, connect: true, sslmode: "disable"}, false},
			{"the same over TLS", load{mode: "simple", clients: 4, connect: true, sslmode: "require"}, true},
			{"simple over TLS, 8 clients", load{mode: "simple", clients: 8, sslmode: "require"}, true},
		} {
			tps := map[string][]float64{}
			for range *rounds {
				for _, p := range peers {
					if !m.tls || p.name != "relay" {
						tps[p.name] = append(tps[p.name], pgbench(b, p, m.load))
					}
				}
			}
			direct, relay := median(tps["direct"]), ""
			if !m.tls {
				relay = fmt.Sprintf("%.2f", median(tps["relay"])/direct)
			}
			rows = append(rows, []string{m.name, fmt.Sprintf("%.0f a second", direct), relay, fmt.Sprintf("%.2f", median(tps["gateway"])/direct)})
		}
		var out strings.Builder
		fmt.Fprintf(&out, "| | direct | relay | gateway |\n|---|--:|--:|--:|\n")
		for _, row := range rows {
			fmt.Fprintf(&out, "| %s |\n", strings.Join(row, " | "))
		}
		fmt.Fprintf(&out, "\n%d runs of %d s each, medians, shares of direct; %d connections held; the gateway's own leg to the server is plain.\n", *rounds, *seconds, idle)
		fmt.Println(out.String())
		if *write != "" {
			replaceGenerated(b, *write, costsFrom, out.String())
		}
	}
}

// idleCosts is what a connection that is logged in and silent costs a relay and a gateway that have just been started.
func idleCosts(b *testing.B, relay, gateway peer) [][]string {
	b.Helper()
	byRelay, done := idleCost(b, relay, "disable")
	done()
	plain, done := idleCost(b, gateway, "disable")
	defer done() // held meanwhile: what they free would be used by the next
	secured, doneToo := idleCost(b, gateway, "require")
	defer doneToo()
	return [][]string{
		{"KiB per idle connection", "", fmt.Sprintf("%.0f", byRelay), fmt.Sprintf("%.0f", plain)},
		{"KiB per idle connection, TLS", "", "", fmt.Sprintf("%.0f", secured)},
	}
}

// idleCost is how much more memory a process holds for each connection, in KiB. The caller calls done.
func idleCost(b *testing.B, p peer, sslmode string) (kib float64, done func()) {
	b.Helper()
	var open []*pgconn.PgConn
	connect := func(n int) {
		for range n {
			c, err := pgconn.Connect(context.Background(), fmt.Sprintf("host=127.0.0.1 port=%d user=%s password=%s dbname=bench sslmode=%s",
				p.port, p.user, p.password, sslmode))
			if err != nil {
				b.Fatal(err)
			}
			open = append(open, c)
		}
	}
	connect(10) // what only the first ones cost
	before := residentKiB(b, p.pid)
	connect(idle)
	return (residentKiB(b, p.pid) - before) / idle, func() {
		for _, c := range open {
			_ = c.Close(context.Background()) // measured, and of no use any more
		}
	}
}

// residentKiB is the memory of a process that is its own: what it has mapped of files, as the spool and the program, is left out.
func residentKiB(b *testing.B, pid int) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("RssAnon:"))
	number, _, _ := strings.Cut(strings.TrimSpace(string(rest)), " ")
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		b.Fatalf("/proc/%d/status: no RssAnon", pid)
	}
	return n
}
