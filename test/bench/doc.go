// Package bench measures what the gateway costs: pgbench's select-only load against a server directly, through a plain
// relay that decodes every message (the yardstick to beat), and through Postern on open tables and on masked and filtered
// ones. All of them run in turn within one run, so that what else the machine does hits them alike; only the ratios mean
// something. `make bench` runs it and writes docs/benchmarks.md.
//
// `make bench-portal` measures the portal beside a gateway under load, with people who browse as a browser would.
package bench
