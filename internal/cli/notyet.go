package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// later lists the verbs of the contract that this version does not have. They are shown in the help, so that scripts and
// people learn the final words, and exit 2.
var later = [...]struct{ use, short string }{
	{"certs", "make and inspect certificates"},
}

func notYet(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short + " (not in this version)", DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return failed("see postern --help for what it has", fmt.Errorf("%s is not in this version of postern", cmd.CommandPath()))
		},
	}
}
