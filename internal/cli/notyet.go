package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// notYet stands for a verb of the contract that this version does not have. It is shown in the help, so that scripts and people learn
// the final words, and exits 2.
func notYet(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short + " (not in this version)", DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return failed("see postern --help for what it has", fmt.Errorf("%s is not in this version of postern", cmd.CommandPath()))
		},
	}
}
