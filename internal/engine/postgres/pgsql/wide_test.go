package pgsql

import (
	"fmt"
	"strings"
	"testing"
)

// TestWideChains: each CTE, or named join, shows the one before twice. Forty of them in 2 kB would name 2^43 columns.
func TestWideChains(t *testing.T) {
	for name, step := range map[string]string{
		"targets": "c%d AS (SELECT a.*, b.* FROM c%d a, c%d b)",
		"star":    "c%d AS (SELECT * FROM c%d a CROSS JOIN c%d b)",
		"joins":   "c%d AS (SELECT j.* FROM (c%d a CROSS JOIN c%d b) AS j)",
	} {
		t.Run(name, func(t *testing.T) {
			chain := func(levels int) *Decision {
				ctes := []string{"c0 AS (SELECT * FROM customers)"}
				for i := range levels {
					ctes = append(ctes, fmt.Sprintf(step, i+1, i, i))
				}
				return NewGuard(-1).Decide(shopWorld(), "WITH "+strings.Join(ctes, ", ")+" SELECT 1", Simple)
			}
			if d := chain(2); d.Verdict == Refuse {
				t.Errorf("a short chain is refused: %v", d.Refusal)
			}
			if d := chain(40); d.Verdict != Refuse || d.Refusal.SQLState != "54011" || d.Refusal.Reason != ReasonLimit {
				t.Errorf("a long chain: verdict %v, refusal %+v", d.Verdict, d.Refusal)
			}
		})
	}
	var joined strings.Builder
	for i := range 60 {
		fmt.Fprintf(&joined, " CROSS JOIN w w%d", i)
	}
	named := "WITH w AS (SELECT " + strings.Repeat("c.*, ", 100) + "1 FROM customers c) SELECT 1 FROM (w a" + joined.String() + ") AS j"
	if d := NewGuard(-1).Decide(shopWorld(), named, Simple); d.Verdict != Refuse || d.Refusal.SQLState != "54011" {
		t.Errorf("a named join of 50000 columns: verdict %v, refusal %+v", d.Verdict, d.Refusal)
	}
}
