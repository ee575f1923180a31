package cli

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/secret"
)

func (a *app) user() *cobra.Command {
	return group("user", "manage the people who sign in", a.userHash(), a.userCreate(), a.userInvite(), a.userAccept(), a.userList(), a.userSet(), a.userUnlink())
}

func (a *app) userHash() *cobra.Command {
	var iterations int
	var emergency bool
	cmd := &cobra.Command{
		Use:   "hash",
		Short: "read a password and print its SCRAM verifier for the policy file",
		Long: `Reads a password, twice on a terminal or as one line of standard input, and prints the
SCRAM-SHA-256 verifier that goes into users: NAME: {scram: "…"}, or with --emergency the hash that
goes into identity.emergency_admin. The password is not kept.`,
		Example: `  postern user hash
  pass show postern/ana | postern user hash`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			password, err := a.readPassword()
			if err != nil {
				return err
			}
			if emergency {
				hash, err := daemon.HashEmergency(password, rand.Reader)
				if err != nil {
					return refused(err)
				}
				a.ui.printf("%s\n", hash)
				return nil
			}
			verifier, err := daemon.HashPassword(password, iterations, rand.Reader)
			if err != nil {
				return failed("", err)
			}
			a.ui.printf("%s\n", verifier)
			return nil
		},
	}
	cmd.Flags().BoolVar(&emergency, "emergency", false, "for the emergency admin: argon2id, at least 12 characters")
	cmd.Flags().IntVar(&iterations, "iterations", daemon.DefaultIterations, "PBKDF2 `rounds`; the same for everyone, else they tell users apart")
	return cmd
}

// maxPassword is more than any client sends in a password message (protocol limit 65,535 bytes).
const maxPassword = 1024

// readPassword asks twice on the terminal, or reads one line when stdin is not one.
func (a *app) readPassword() (secret.Text, error) {
	if f, ok := a.env.Stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return a.askPassword(f)
	}
	return a.readLine("password")
}

// readLine reads one line of standard input; the next call reads the next.
func (a *app) readLine(what string) (secret.Text, error) {
	if a.lines == nil {
		a.lines = bufio.NewReader(io.LimitReader(a.env.Stdin, 4*maxPassword))
	}
	line, err := a.lines.ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return secret.Text{}, failed("", fmt.Errorf("read the %s: %w", what, err))
	case line == "":
		return secret.Text{}, failed("type it on a terminal, or send one line to standard input", fmt.Errorf("no %s given", what))
	case len(line) > maxPassword:
		return secret.Text{}, failed("", fmt.Errorf("the %s is longer than %d bytes", what, maxPassword))
	}
	return secret.New(line), nil
}

func (a *app) askPassword(f *os.File) (secret.Text, error) {
	ask := func(prompt string) (secret.Text, error) {
		_, _ = fmt.Fprint(a.ui.err, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		_, _ = fmt.Fprintln(a.ui.err)
		if err != nil {
			return secret.Text{}, failed("", fmt.Errorf("read the password: %w", err))
		}
		return secret.New(string(b)), nil
	}
	first, err := ask("Password: ")
	if err != nil {
		return secret.Text{}, err
	}
	if first.IsEmpty() {
		return secret.Text{}, failed("", errors.New("no password given"))
	}
	second, err := ask("Again: ")
	if err != nil {
		return secret.Text{}, err
	}
	if !first.Equal(second) {
		return secret.Text{}, failed("", errors.New("the two passwords differ"))
	}
	return first, nil
}
