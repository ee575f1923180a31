package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/scan"
)

// ownChecks reads a folder of a site's own checks, in the order of their names.
func ownChecks(dir string) ([]scan.Own, error) {
	if dir == "" {
		return nil, nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.y*ml"))
	if err != nil || len(files) == 0 {
		return nil, failed("a folder of .yaml files", fmt.Errorf("%s holds no checks", printable(dir)))
	}
	var out []scan.Own
	for _, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // named by the person
		if err != nil {
			return nil, failed("", err)
		}
		checks, err := scan.ReadOwn(file, text, pgsql.CheckQuestion)
		if err != nil {
			return nil, failed("docs/guide/scan.md says how a check is written", err)
		}
		for _, c := range checks {
			if slices.ContainsFunc(out, func(o scan.Own) bool { return o.ID == c.ID }) {
				return nil, failed("", fmt.Errorf("read %s: there are two checks %s", file, c.ID))
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// scanChecksTest runs the fixtures of a site's own checks. No server is asked.
func (a *app) scanChecksTest() *cobra.Command {
	return &cobra.Command{
		Use: "test DIR", Short: "run the fixtures of your own checks; no server is asked", Args: cobra.ExactArgs(1),
		Long: `Reads a folder of checks as --checks-dir does, and holds each against its fixtures: what its
question would answer, or a part of a snapshot, and whether it has to fail or to pass.

Exit codes: 0 all hold, 1 some do not, 2 a check cannot be read.`,
		RunE: func(_ *cobra.Command, args []string) error {
			own, err := ownChecks(args[0])
			if err != nil {
				return err
			}
			fixtures, wrong := 0, 0
			for i := range own {
				fixtures += len(own[i].Fixtures)
				for _, w := range scan.TestOwn(&own[i]) {
					wrong++
					a.ui.printf("%s\n", printable(strings.TrimSpace(w)))
				}
			}
			a.ui.printf("%s, %s, %d wrong\n", count(len(own), "check"), count(fixtures, "fixture"), wrong)
			if wrong > 0 {
				return silently(exitFindings)
			}
			return nil
		},
	}
}

// questions are what the site's own checks have to ask of a server.
func (f *scanFlags) questions() []catalog.OwnQuestion {
	var out []catalog.OwnQuestion
	for i := range f.own {
		if q := f.own[i].Question(); q != nil {
			out = append(out, *q)
		}
	}
	return out
}
