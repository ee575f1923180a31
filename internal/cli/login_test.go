package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/portal"
)

// What stands behind the program is the program's: psql's -c is no configuration file of ours.
func TestRunLeavesTheProgramItsFlags(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][2]string{
		"psql -c select":                   {"", "psql -c select"},
		"psql --store shop":                {"--store shop", "psql"},
		"psql --store=shop -c x":           {"--store=shop", "psql -c x"},
		"--store shop psql -h -c x":        {"--store shop", "psql -h -c x"},
		"-c my.yaml --color never psql":    {"-c my.yaml --color never", "psql"},
		"--config=my.yaml psql --config x": {"--config=my.yaml", "psql --config x"},
		"--store shop -- psql -c x":        {"--store shop", "psql -c x"},
		"pg_dump -- --store shop":          {"", "pg_dump --store shop"},
		"--help":                           {"--help", ""},
		"psql --help":                      {"--help", "psql"},
		"psql -- --help":                   {"", "psql --help"},
		"psql --store":                     {"--store", "psql"},
	} {
		ours, theirs := splitRun(strings.Fields(line))
		if !slices.Equal(ours, strings.Fields(want[0])) || !slices.Equal(theirs, strings.Fields(want[1])) {
			t.Errorf("%s: %q and %q", line, ours, theirs)
		}
	}
	if r := run(t, nil, "", "run", "--no-such", "psql"); r.code != exitFailed || !strings.Contains(r.errors, "--no-such") {
		t.Errorf("an unknown flag: %d, %s", r.code, r.errors)
	}
	if r := run(t, nil, "", "run"); r.code != exitFailed || !strings.Contains(r.errors, "name the program") {
		t.Errorf("no program: %d, %s", r.code, r.errors)
	}
}

// What somebody types as an id stays one part of a path.
func TestPathsHoldWhatIsTyped(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"5f2c": "requests/5f2c/approve", "x/../../grants/1/revoke?": "requests/x%2F..%2F..%2Fgrants%2F1%2Frevoke%3F/approve", "a b#c": "requests/a%20b%23c/approve",
	} {
		if got := portal.Path("requests", id, "approve"); got != want {
			t.Errorf("%q: %s", id, got)
		}
	}
}
