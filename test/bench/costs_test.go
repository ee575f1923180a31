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
const idle = 150

// BenchmarkCosts makes the second table of docs/benchmarks.md: what logins, TLS and idle connections cost.
func BenchmarkCosts(b *testing.B) {
	peers := startPeers(b)[:3] // on the open table
	for range b.N {
		var rows [][]string
		for _, m := range []struct {
			name string
			load load
			tls  bool // the relay has none
		}{
			{"new connection + one SELECT, 4 clients", load{mode: "simple", clients: 4, connect: true, sslmode: "disable"}, false},
			{"the same over TLS", load{mode: "simple", clients: 4, connect: true, sslmode: "require"}, true},
			{"simple over TLS, 8 clients", load{mode: "simple", clients: 8, sslmode: "require"}, true},
		} {
			tps, cpu := map[string][]float64{}, map[string]float64{}
			for range *rounds {
				for _, p := range peers {
					if m.tls && p.name == "relay" {
						continue
					}
					before := cpuSeconds(b, p.pid)
					n := pgbench(b, p, m.load)
					tps[p.name] = append(tps[p.name], n)
					cpu[p.name] += (cpuSeconds(b, p.pid) - before) / (n * float64(*seconds)) / float64(*rounds)
				}
			}
			direct := median(tps["direct"])
			row := []string{m.name, fmt.Sprintf("%.0f a second", direct), "", fmt.Sprintf("%.2f", median(tps["gateway"])/direct), fmt.Sprintf("%.0f", cpu["gateway"]*1e6)}
			if !m.tls {
				row[2] = fmt.Sprintf("%.2f", median(tps["relay"])/direct)
			}
			rows = append(rows, row)
			b.Log(row)
		}
		for _, sslmode := range []string{"disable", "require"} {
			row := []string{"KiB per idle connection", "", "", fmt.Sprintf("%.0f", idleCost(b, peers[2], sslmode)), ""}
			if sslmode == "require" {
				row[0] += ", TLS"
			} else {
				row[2] = fmt.Sprintf("%.0f", idleCost(b, peers[1], sslmode))
			}
			rows = append(rows, row)
			b.Log(row)
		}
		var out strings.Builder
		fmt.Fprintf(&out, "| | direct | relay | gateway | gateway, CPU µs each |\n|---|--:|--:|--:|--:|\n")
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

// idleCost is how much more memory a process holds for each connection that is logged in and silent, in KiB.
func idleCost(b *testing.B, p peer, sslmode string) float64 {
	b.Helper()
	var open []*pgconn.PgConn
	defer func() {
		for _, c := range open {
			_ = c.Close(context.Background()) // measured, and of no use any more
		}
	}()
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
	return (residentKiB(b, p.pid) - before) / idle
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
