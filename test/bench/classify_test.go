package bench

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
)

// BenchmarkClassify makes the table of docs/benchmarks.md about audit.classify_results: the same load through a gateway that looks at no
// result, at one in a hundred and at every one. Of the columns one soon has values enough; another holds the same value everywhere, so
// that it never has, and goes on being looked at, which is the dearest case.
func BenchmarkClassify(b *testing.B) {
	shares := []string{"off", "1%", "100%"}
	loads := []struct {
		name string
		load load
	}{
		{"one row, simple, 8 clients", load{mode: "simple", clients: 8, sslmode: "disable"}},
		{"one row, prepared, 8 clients", load{mode: "prepared", clients: 8, sslmode: "disable"}},
		{"200 rows, simple, 8 clients", load{mode: "simple", clients: 8, sslmode: "disable", script: "rows.sql"}},
		{"200 rows, prepared, 8 clients", load{mode: "prepared", clients: 8, sslmode: "disable", script: "rows.sql"}},
	}
	for range b.N {
		_, s := startSite(b)
		tps, cpu := map[string][]float64{}, map[string][]float64{}
		for range *rounds {
			for _, share := range shares {
				s.WritePolicy(b, policyText(b, share))
				s.Serve(b)
				p := peer{"classify", share, s.Port, "whole", pgtest.PasswordOf("whole"), s.Pid()}
				for _, l := range loads {
					before := cpuSeconds(b, p.pid)
					n := pgbench(b, p, l.load)
					tps[l.name+share] = append(tps[l.name+share], n)
					cpu[l.name+share] = append(cpu[l.name+share], (cpuSeconds(b, p.pid)-before)/(n*float64(*seconds))*100000)
				}
				s.Stop(b)
			}
		}
		var out strings.Builder
		fmt.Fprint(&out, "| | off, a second | 1% | 100% | gateway's CPU s per 100,000: off | 1% | 100% |\n|---|--:|--:|--:|--:|--:|--:|\n")
		for _, l := range loads {
			off := median(tps[l.name+"off"])
			fmt.Fprintf(&out, "| %s | %.0f | %.2f | %.2f | %.1f | %.1f | %.1f |\n", l.name, off, median(tps[l.name+"1%"])/off, median(tps[l.name+"100%"])/off,
				median(cpu[l.name+"off"]), median(cpu[l.name+"1%"]), median(cpu[l.name+"100%"]))
		}
		fmt.Fprintf(&out, "\n%d runs of %d s each, medians, shares of off; gateway, pgbench and server on the same machine with %d cores.\n", *rounds, *seconds, runtime.NumCPU())
		fmt.Println(out.String())
		if *write != "" {
			replaceGenerated(b, *write, classifyFrom, out.String())
		}
	}
}
