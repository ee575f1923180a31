package policy

import (
	"testing"
	"time"
)

// Months and years are those of the calendar, in UTC, and end on a day that the month has; all that is written comes back as it was (ACC-13).
func TestSpans(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		t.Helper()
		out, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, tt := range []struct{ span, from, want string }{
		{"30m", "2026-03-04T12:00:00Z", "2026-03-04T12:30:00Z"},
		{"8h", "2026-03-28T20:00:00Z", "2026-03-29T04:00:00Z"}, // no hour is lost where clocks are put forward
		{"1d", "2026-02-28T12:00:00Z", "2026-03-01T12:00:00Z"},
		{"2w", "2026-12-25T12:00:00Z", "2027-01-08T12:00:00Z"},
		{"1mo", "2026-01-15T12:34:56Z", "2026-02-15T12:34:56Z"},
		{"1mo", "2026-01-31T12:00:00Z", "2026-02-28T12:00:00Z"},
		{"1mo", "2028-01-31T12:00:00Z", "2028-02-29T12:00:00Z"},
		{"6mo", "2026-08-31T12:00:00Z", "2027-02-28T12:00:00Z"},
		{"13mo", "2026-12-31T12:00:00Z", "2028-01-31T12:00:00Z"},
		{"1y", "2028-02-29T12:00:00Z", "2029-02-28T12:00:00Z"},
		{"4y", "2028-02-29T12:00:00Z", "2032-02-29T12:00:00Z"},
		{"1mo", "2026-01-31T23:30:00-05:00", "2026-03-01T04:30:00Z"}, // the first of February in UTC
		{"never", "2026-01-31T12:00:00Z", "9999-12-31T00:00:00Z"},
	} {
		s, err := ParseSpan(tt.span)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.From(at(tt.from)); !got.Equal(at(tt.want)) {
			t.Errorf("%s from %s is %s, want %s", tt.span, tt.from, got, tt.want)
		}
		if again, err := ParseSpan(s.String()); err != nil || again != s {
			t.Errorf("%s is written %s and read as %v, %v", tt.span, s, again, err)
		}
	}
	for _, bad := range []string{"", "0h", "-1h", "1", "h", "1.5h", "8 h", "1h30m", "forever", "Never", "1001y", "99999999999999999999m", "2000000m", "1H"} {
		if s, err := ParseSpan(bad); err == nil {
			t.Errorf("%q is read as %v", bad, s)
		}
	}
	short, long := Span{Time: 30 * 24 * time.Hour}, Span{Months: 1}
	for from, want := range map[string]bool{"2026-02-01T00:00:00Z": false, "2026-03-01T00:00:00Z": true} { // February has fewer than thirty days
		if got := short.Within(long, at(from)); got != want {
			t.Errorf("30d within 1mo from %s: %v", from, got)
		}
	}
	if (Span{Never: true}).Within(Span{Months: 12000}, at("2026-01-01T00:00:00Z")) || !long.Within(Span{Never: true}, at("2026-01-01T00:00:00Z")) {
		t.Error("never is longer than anything else")
	}
}
