package cli

import (
	"testing"

	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
)

// TestReplayable: what the trail holds can be judged again where its literals' places are certain, and is refused where not.
func TestReplayable(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"SELECT name FROM customers WHERE id = ? LIMIT ?": "SELECT name FROM customers WHERE id = '?' LIMIT '?'",
		`SELECT "a?b" FROM t WHERE x IN (?, ?)`:           `SELECT "a?b" FROM t WHERE x IN ('?', '?')`,
		"SELECT data ? ? FROM t":                          "",
		"SELECT data ?| ? FROM t":                         "",
		"CREATE ROLE":                                     "",
		"INSERT INTO t VALUES (?, ?); COMMIT":             "INSERT INTO t VALUES ('?', '?'); COMMIT",
	} {
		got, err := pgsql.Replayable(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q %v", text, got, err)
		}
	}
}
