package pgsql

import (
	"strings"
	"testing"
)

func TestPlainNumber(t *testing.T) {
	for from, want := range map[string]string{
		"0xFFFFFFFFFF": "1099511627775", "-0XffffffffFF": "-1099511627775", "0o7777777777777": "549755813887",
		"0b1111111111111111111111111111111111111111": "1099511627775", "1_000_000_000_000": "1000000000000", "0x_FF_FFFF_FFFF": "1099511627775",
		"1_0.5_0e1_0": "10.50e10", ".5e3": ".5e3", "0.25": "0.25", "0123456789012": "0123456789012", "12345678901234567890": "12345678901234567890",
	} {
		if got := plainNumber(from); got != want {
			t.Errorf("plainNumber(%q) = %q, want %q", from, got, want)
		}
	}
}

// TestENF85_Numbers: no server is sent a number that some release reads as a number and a name.
func TestENF85_Numbers(t *testing.T) {
	g, w := NewGuard(0), shopWorld()
	w.Major = 13
	for _, sql := range []string{
		"SELECT 0xFFFFFFFFFF", "SELECT 1_000_000_000_000", "SELECT -0b1111111111111111111111111111111111111111", "SELECT 1_0.5_0", "SELECT 0x1F, 1_000, 0o7",
		"SELECT 1 WHERE 1 < 0xFFFFFFFFFF LIMIT 5_000_000_000",
	} {
		for range 3 { // the shape's template answers the third
			d := g.Decide(w, sql, Simple)
			if d.Refusal != nil || strings.ContainsAny(strings.TrimPrefix(d.Text, "SELECT"), "_xb") {
				t.Errorf("%s is sent as %q: %v", sql, d.Text, d.Refusal)
			}
		}
	}
}

// TestENF52_Extract: EXTRACT is date_part to a server of 13, and nothing else is that has its name.
func TestENF52_Extract(t *testing.T) {
	g, w := NewGuard(0), shopWorld()
	w.Major = 13
	if d := g.Decide(w, "SELECT EXTRACT(YEAR FROM now())", Simple); d.Refusal != nil || !strings.HasPrefix(strings.ToLower(d.Text), "select extract (") {
		t.Errorf("EXTRACT is sent to 13 as %q: %v", d.Text, d.Refusal)
	}
	for _, sql := range []string{"SELECT extract('year', now())", "SELECT pg_catalog.extract('year', now())"} {
		if d := g.Decide(w, sql, Simple); d.Refusal == nil {
			t.Errorf("%s is sent to 13 as %q", sql, d.Text)
		}
	}
}
