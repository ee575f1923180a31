package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/policy"
	"github.com/postern-sec/postern/internal/portal"
)

// ProposeRule implements portal.Insight. The file on disk is what the change is for; what it comes to is loaded before it is shown, and
// has to differ in that rule alone.
func (in *insight) ProposeRule(_ context.Context, change portal.RuleChange) (*portal.Proposal, error) {
	c, err := in.load()
	if err != nil {
		return nil, portal.Refuse("The policy file on disk cannot be read as it is now, so that nothing can be proposed for it.", "postern policy check says what is wrong.")
	}
	edit, err := ruleEdit(change)
	if err != nil {
		return nil, err
	}
	files, at, err := filesWith(c, change.Rule)
	if err != nil {
		return nil, err
	}
	before := files[at].Text
	after, err := config.EditRule(before, edit)
	if err != nil {
		return nil, portal.Refuse("The policy file cannot be changed for that: "+err.Error()+".", "Change it by hand.")
	}
	files[at].Text = after
	next, err := config.Parse(c.Folder, files, pgsql.Syntax{})
	var problems config.Problems
	if errors.As(err, &problems) {
		return nil, portal.Refuse("The policy file would not be one: "+problems[0].String()+".", problems[0].Hint)
	}
	if err != nil {
		return nil, err
	}
	gone, come := policy.CompareOutlines(c.Policy.Outline(), next.Policy.Outline())
	facts := make([]string, 0, len(gone)+len(come))
	for _, l := range slices.Concat(gone, come) {
		if !strings.HasPrefix(l, "rule "+change.Rule+": ") {
			return nil, portal.Refuse("The change would touch more than the rule: "+l+".", "Change it by hand.")
		}
	}
	for _, l := range gone {
		facts = append(facts, "- "+l)
	}
	for _, l := range come {
		facts = append(facts, "+ "+l)
	}
	name := filepath.Base(files[at].Name)
	diff, err := bareDiff(name, string(before), string(after))
	if err != nil {
		return nil, portal.Refuse("The change cannot be shown: "+err.Error()+".", "")
	}
	return &portal.Proposal{File: name, Diff: diff, Facts: facts, Widens: len(edit.Add) > 0 || edit.Enabled != nil && *edit.Enabled}, nil
}

func ruleEdit(change portal.RuleChange) (config.RuleEdit, error) {
	out := config.RuleEdit{Rule: change.Rule, Add: change.Add, Remove: change.Remove}
	switch change.State {
	case "":
	case "on", "off":
		on := change.State == "on"
		out.Enabled = &on
	default:
		return out, portal.Refuse(fmt.Sprintf("A rule is on or off, and not %q.", change.State), "")
	}
	return out, nil
}

// filesWith reads the files of the policy, and says which of them has a rule.
func filesWith(c *config.Config, rule string) (files []config.File, at int, err error) {
	at = -1
	for i, name := range c.Files {
		text, err := os.ReadFile(name) //nolint:gosec // the policy
		if err != nil {
			return nil, 0, fmt.Errorf("read the policy: %w", err)
		}
		files = append(files, config.File{Name: name, Text: text})
		if config.HasRule(text, rule) {
			at = i
		}
	}
	if at < 0 {
		return nil, 0, portal.Refuse(fmt.Sprintf("There is no rule %q written out in the policy file.", rule), "")
	}
	return files, at, nil
}
