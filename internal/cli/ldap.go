package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/daemon"
)

func (a *app) ldap() *cobra.Command {
	return group("ldap", "look at the directory that says in which groups people are", a.ldapCheck())
}

func (a *app) ldapCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "ask the directory and say what would change",
		Long: `Asks the directory of the policy file as serve does, says whom it found and who is in which group,
and what that would change. Nothing is written. Exit code 1: the answer would not count, because too
many people would vanish at once. Exit code 2: the directory cannot be asked.`,
		Example: `  postern ldap check`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			p, err := daemon.CheckDirectory(cmd.Context(), c, time.Now)
			if err != nil {
				return directoryFailed(err)
			}
			a.showDirectory(p)
			if p.Refused != nil {
				a.ui.printf("this would not count: %s\n%s\n", p.Refused.Text, p.Refused.Hint)
				return silently(exitFindings)
			}
			return nil
		},
	}
}

func directoryFailed(err error) error {
	var no *daemon.DirectoryFailure
	switch {
	case errors.As(err, &no):
		return failed(no.Hint, fmt.Errorf("%s: %w", no.Reason, no))
	case errors.Is(err, daemon.ErrNoDirectory):
		return failed("add ldap: {url: …}", err)
	}
	return failed("", err)
}

func (a *app) showDirectory(p *daemon.DirectoryPreview) {
	var states []string
	for _, s := range slices.Sorted(maps.Keys(p.Counts)) {
		states = append(states, fmt.Sprintf("%d %s", p.Counts[s], s))
	}
	a.ui.printf("people: %s\n", strings.Join(states, ", "))
	for _, g := range slices.Sorted(maps.Keys(p.Groups)) {
		a.ui.printf("ldap:%s: %s\n", g, count(p.Groups[g], "member"))
	}
	if len(p.Changes) == 0 {
		a.ui.printf("nothing would change\n")
	}
	for _, line := range p.Changes {
		a.ui.printf("  %s\n", line)
	}
}
