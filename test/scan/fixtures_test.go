package scan_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/scan"
)

// TestEveryCheckHasFixtures refuses a check that no world makes fail, or that no world lets pass.
func TestEveryCheckHasFixtures(t *testing.T) {
	fails, passes := map[string]bool{}, map[string]bool{}
	for _, w := range worlds() {
		if (w.edit != nil || w.env != nil) != (w.derived != "") {
			t.Errorf("world %q: an edit and the word about it go together", w.name)
		}
		for _, line := range lines(w.expect) {
			words := strings.Fields(line)
			switch words[0] {
			case "fail", "is":
				fails[words[1]] = true
			case "pass":
				for _, id := range words[1:] {
					passes[id] = true
				}
			}
		}
	}
	checks, err := scan.Checks()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		if !fails[c.ID] {
			t.Errorf("%s: no world makes it fail", c.ID)
		}
		if !passes[c.ID] && !neverPasses[c.ID] {
			t.Errorf("%s: no world lets it pass", c.ID)
		}
		if c.Why == "" {
			t.Errorf("%s: says not why it matters", c.ID)
		}
	}
}

// neverPasses are checks that no test server lets pass, and why.
var neverPasses = map[string]bool{
	"META-001": true, // a scan with every capability needs the host's files
}

// TestEveryCheckIsBlindWithout shows each check evidence in which what it needs is missing: gathered by a login that may not see it, or
// without a login at all.
func TestEveryCheckIsBlindWithout(t *testing.T) {
	c := pgtest.Default(t)
	t.Cleanup(func() { putBack(t, c) })
	db := c.NewDatabase(t)
	prepareLevels(t, db)
	nothing := &catalog.Evidence{}
	login, watcher := gather(t, db, plain, false), gather(t, db, monitor, false)
	checks, err := scan.Checks()
	if err != nil {
		t.Fatal(err)
	}
	env := newEnv(t)
	for _, ch := range checks {
		need := ch.Need.String()
		e := nothing
		switch {
		case need == "N":
			continue // nothing of the target is needed
		case strings.Contains(need, "S") && !strings.Contains(need, "L/S") && !strings.Contains(need, "F/S"):
			e = watcher
		case strings.Contains(need, "G") && !strings.Contains(need, "P"):
			e = watcher
		case need == "M":
			e = login
		}
		r, err := scan.Run(e, env, scan.Options{Only: []string{ch.ID}})
		if err != nil {
			t.Fatal(err)
		}
		res := r.Results[0]
		if e == login && res.State != scan.NotEvaluated && len(ch.Settings) > 0 && len(ch.Reads) == 0 && allVisible(e, ch.Settings) {
			continue
		}
		versionBound := res.State == scan.NotApplicable && (ch.MinMajor > 15 || ch.MaxMajor > 0 && ch.MaxMajor < 15)
		if res.State != scan.NotEvaluated && !versionBound {
			t.Errorf("%s (%s): is %s without what it needs", ch.ID, need, describe(&res))
		}
		if res.State == scan.NotEvaluated && res.Reason == "" {
			t.Errorf("%s: does not say why it was not evaluated", ch.ID)
		}
	}
}

func allVisible(e *catalog.Evidence, names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return e.Server.Setting(n) == nil })
}
