package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/scan"
)

// fixAnswer is the JSON form of --fix: one plan for each database, in which its changes have to run, and what is left to a person.
type fixAnswer struct {
	Plans  []*plan.Plan `json:"plans"`
	Manual []manualStep `json:"manual"`
}

// manualStep is a finding that scan does not repair.
type manualStep struct {
	ID     string `json:"id"`
	Object string `json:"object"`
	Fix    string `json:"fix,omitempty"`
	Why    string `json:"why"`
}

// fixes are the repairs of a report as changes of plans, the server's own first, then one plan for each database.
func fixes(r *scan.Report, store string) *fixAnswer {
	out := &fixAnswer{Plans: []*plan.Plan{}, Manual: []manualStep{}}
	repairs, manual := scan.Repairs(r)
	slices.SortStableFunc(repairs, func(a, b scan.Repair) int { return strings.Compare(a.Database, b.Database) })
	for i := range repairs {
		x := &repairs[i]
		if n := len(out.Plans); n == 0 || out.Plans[n-1].Database != x.Database {
			out.Plans = append(out.Plans, &plan.Plan{Store: store, Database: x.Database, Operator: []plan.OperatorStep{}, Warnings: []plan.Warning{}})
		}
		p := out.Plans[len(out.Plans)-1]
		ids := slices.Compact(slices.Sorted(slices.Values(x.IDs)))
		c := plan.Change{
			ID: "scan:" + ids[0] + ":" + x.Object, Title: fmt.Sprintf("%s %s", strings.Join(ids, ", "), x.Object), SQL: x.SQL, Reverse: x.Reverse, Reason: x.Reason, Risk: x.Risk,
		}
		for _, e := range x.Edits {
			c.Edits = append(c.Edits, plan.FileEdit{File: e.File, Line: e.Line, Old: e.Old, New: e.New})
		}
		p.Changes = append(p.Changes, c)
	}
	for _, p := range out.Plans {
		p.Seal()
	}
	for _, m := range manual {
		out.Manual = append(out.Manual, manualStep(m))
	}
	return out
}

// printFixes writes a script for psql. Everything but the statements is a comment, and names cannot leave it.
func (a *app) printFixes(r *scan.Report, f *scanFlags) error {
	out := fixes(r, f.store)
	if f.format == "json" {
		return a.ui.json(out)
	}
	changes := 0
	for _, p := range out.Plans {
		changes += len(p.Changes)
	}
	a.ui.printf("-- postern scan --fix: %s; nothing has been run\n-- read it, then give it to psql; reverse and risk stand with each change\n", count(changes, "change"))
	for _, p := range out.Plans {
		switch {
		case p.Database == "":
		case printable(p.Database) != p.Database:
			a.ui.printf("\n-- in database %s, whose name psql cannot be given in a script:\n", printable(p.Database))
		default:
			a.ui.printf("\n\\connect \"%s\"\n", strings.ReplaceAll(p.Database, `"`, `""`))
		}
		for i := range p.Changes {
			a.printFix(&p.Changes[i])
		}
	}
	if len(out.Manual) == 0 {
		return nil
	}
	a.ui.printf("\n-- left to a person:\n")
	for _, m := range out.Manual {
		text := fmt.Sprintf("%s %s: %s", m.ID, m.Object, m.Why)
		if m.Fix != "" {
			text += ": " + m.Fix
		}
		a.ui.printf("--   %s\n", printable(text))
	}
	return nil
}

func (a *app) printFix(c *plan.Change) {
	a.ui.printf("\n-- %s\n--   why: %s\n", printable(c.Title), printable(c.Reason))
	if c.Risk != "" {
		a.ui.printf("--   risk: %s\n", printable(c.Risk))
	}
	for _, e := range c.Edits {
		if e.Line == 0 {
			a.ui.printf("--   edit %s, at the end:\n--     + %s\n", printable(e.File), printable(e.New))
			continue
		}
		a.ui.printf("--   edit %s, line %d:\n--     - %s\n--     + %s\n", printable(e.File), e.Line, printable(e.Old), printable(e.New))
	}
	for _, sql := range c.Reverse {
		a.ui.printf("--   reverse: %s\n", printable(sql))
	}
	for _, sql := range c.SQL {
		a.ui.printf("%s\n", scan.SafeSQL(sql))
	}
}
