// Package cli is the command line of Postern: one file per command, the terminal rules in ui.go, the list of engines in
// engines.go. Verbs, flags and exit codes are a contract that others script against.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Env is what the process gives to the command line. Tests pass their own.
type Env struct {
	Args    []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Getenv  func(string) string
	Version string
	Program string // how it was called, for lines to type; "" is postern
}

// app is what every command shares.
type app struct {
	env    Env
	ui     *ui
	config string        // --config
	colour string        // --color
	lines  *bufio.Reader // of standard input, for those who read it line by line
}

// Main runs one command line and returns the exit code of design.md §8.
func Main(ctx context.Context, env Env) int {
	if len(env.Args) == 1 && env.Args[0] == workerVerb {
		return parserWorker(env)
	}
	if env.Program == "" {
		env.Program = "postern"
	}
	a := &app{env: env, ui: newUI(env, colourFlag(env.Args))}
	root := a.root()
	root.SetArgs(env.Args)
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	if errors.As(err, &usage) {
		return a.ui.report(failed("see "+usage.command+" --help", usage.err))
	}
	if err != nil && errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return a.ui.report(failed("", errors.New("interrupted")))
	}
	return a.ui.report(err)
}

// usageError is a wrong flag or argument.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }

// colourFlag finds --color before flags are parsed, so that even a parse error is printed as wished.
func colourFlag(args []string) string {
	for i, s := range args {
		if v, ok := strings.CutPrefix(s, "--color="); ok {
			return v
		}
		if s == "--color" && i+1 < len(args) {
			return args[i+1]
		}
		if s == "--" {
			break
		}
	}
	return ""
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "postern",
		Short: "PostgreSQL security in one binary: check, fix, guard, find, let in",
		Long: `Postern guards PostgreSQL. It compiles one policy file into grants, views and row level
security on the server, puts a gateway in front that explains what it refuses, and keeps a
trail of who saw what that cannot be changed unnoticed.`,
		Example: `  postern demo                      see it work on sample data
  postern init postgres://db1/shop  start a policy for your own server
  postern plan; postern apply       see and build the wall
  postern serve                     guard connections`,
		Version:       a.env.Version,
		SilenceErrors: true, SuggestionsMinimumDistance: 2,
		SilenceUsage: true,
		Args:         cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{command: cmd.CommandPath(), err: err}
	})
	root.PersistentFlags().StringVarP(&a.config, "config", "c", "", "policy `file` or folder (default postern.yaml, or $POSTERN_CONFIG)")
	a.colour = "auto"
	root.PersistentFlags().Var(&choice{value: &a.colour, allowed: []string{"auto", "always", "never"}, kind: "when"}, "color", "colour output: auto, always or never")
	root.SetVersionTemplate("postern {{.Version}}\n")
	root.AddCommand(a.commands()...)
	wrapArgs(root)
	return root
}

// wrapArgs turns every argument-count error into a usage error.
func wrapArgs(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return &usageError{command: c.CommandPath(), err: err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		wrapArgs(sub)
	}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	err := fmt.Errorf("there is no command %q", printable(name))
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return failed("did you mean "+cmd.CommandPath()+" "+near[0]+"?", err)
	}
	return failed("see "+cmd.CommandPath()+" --help", err)
}

// group makes a command that only holds others and refuses a word it does not know.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs, SuggestionsMinimumDistance: 2,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{command: cmd.CommandPath(), err: errors.New("say what to do: " + cmd.CommandPath() + " COMMAND")}
			}
			return unknownCommand(cmd, args[0])
		},
	}
	g.AddCommand(subs...)
	return g
}
