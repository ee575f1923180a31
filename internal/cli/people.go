package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/portal"
)

// clerk opens the register of people at the machine.
func (a *app) clerk(ctx context.Context, do func(*daemon.Clerk) error) error {
	c, err := a.load()
	if err != nil {
		return err
	}
	k, err := daemon.OpenClerk(ctx, c, time.Now, rand.Reader)
	if err != nil {
		return failed("", err)
	}
	err = do(k)
	return errors.Join(err, k.Close())
}

// shownInvitation is a one-time link as it is printed.
type shownInvitation struct {
	Name string    `json:"name"`
	Link string    `json:"link,omitempty"`
	Code string    `json:"code"`
	End  time.Time `json:"end"`
}

func (a *app) invited(k *daemon.Clerk, i *daemon.Invitation, err error, format string) error {
	if err != nil {
		return refused(err)
	}
	out := shownInvitation{i.Name, k.Link(i), i.Code.Reveal(), i.End}
	if format == "json" {
		return a.ui.json(out)
	}
	if out.Link != "" {
		a.ui.printf("%s\n", out.Link)
	} else {
		a.ui.printf("%s\n", out.Code)
	}
	a.ui.note("good once, until %s; hand it over on a way that only %s reads", ending(i.End), printable(i.Name))
	return nil
}

func (a *app) userCreate() *cobra.Command {
	var admin bool
	var role, format string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "make a local account and print its one-time link",
		Long: `Makes an account for a person of the policy file, or with a role for anybody, and prints a link with
which they choose a password, once, within three days. What they may see stays the policy's to
say; the role says what they may do at the portal. Whoever has a role or owns a dataset sets up a
second factor at the first sign-in. It works on the machine that holds the state, while serve runs
or not.`,
		Example: `  postern user create ana
  postern user create root --admin`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if admin && role != "" && role != "admin" {
				return &usageError{command: cmd.CommandPath(), err: errors.New("--admin is --role admin: one of the two")}
			}
			if admin {
				role = "admin"
			}
			return a.clerk(cmd.Context(), func(k *daemon.Clerk) error {
				i, err := k.Create(cmd.Context(), "", args[0], daemon.Role(role), daemon.AtMachine())
				return a.invited(k, i, err, format)
			})
		},
	}
	cmd.Flags().BoolVar(&admin, "admin", false, "may manage people and settings, and revoke any grant")
	cmd.Flags().StringVar(&role, "role", "", "`role` at the portal: admin, editor, reader or auditor")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) userInvite() *cobra.Command {
	var reset bool
	var format string
	cmd := &cobra.Command{
		Use:   "invite NAME",
		Short: "make a new one-time link for an account",
		Long: `Makes a link that replaces the one before, for somebody who has not followed it or has forgotten the
password. --reset also forgets the password and the second factor and ends at once every session, token,
temporary credential and certificate: for somebody who lost the phone and the recovery codes.`,
		Example: `  postern user invite ana --reset`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.clerk(cmd.Context(), func(k *daemon.Clerk) error {
				i, err := k.Invite(cmd.Context(), "", args[0], reset, daemon.AtMachine())
				return a.invited(k, i, err, format)
			})
		},
	}
	cmd.Flags().BoolVar(&reset, "reset", false, "forget password and second factor")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) userAccept() *cobra.Command {
	var server, ca string
	cmd := &cobra.Command{
		Use:   "accept",
		Short: "follow a one-time link from a terminal",
		Long: `Reads the link, or what stands behind its #, and a new password, as lines of standard input or from
the terminal, and logs in. A second factor is set up where one is needed.`,
		Example: `  postern user accept --server https://postern.internal:8443`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if server == "" {
				return &usageError{command: cmd.CommandPath(), err: errors.New("say where: --server https://HOST:PORT")}
			}
			l := portal.Login{Server: strings.TrimRight(server, "/")}
			if ca != "" {
				if l.CA, err = filepath.Abs(ca); err != nil {
					return failed("", err)
				}
			}
			c, err := portal.NewClient(l)
			if err != nil {
				return failed("", err)
			}
			answer, err := a.accept(cmd.Context(), c)
			if err != nil {
				return err
			}
			return a.finishLogin(cmd.Context(), c, answer, "")
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "`address` of the portal, https://HOST:PORT")
	cmd.Flags().StringVar(&ca, "ca", "", "`file` with the certificates to trust, instead of the system's")
	return cmd
}

func (a *app) userList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "list", Short: "list the local accounts", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.clerk(cmd.Context(), func(k *daemon.Clerk) error {
				all, err := k.List(cmd.Context())
				if err != nil {
					return failed("", err)
				}
				shown := []portal.ShownUser{}
				rows := [][]string{}
				for i := range all {
					u := portal.UserShown(&all[i])
					shown = append(shown, u)
					state := "active"
					switch {
					case !u.Disabled.IsZero():
						state = "disabled since " + ending(u.Disabled)
					case !u.Invited.IsZero():
						state = "invited until " + ending(u.Invited)
					}
					factor := "no"
					if u.Factor {
						factor = count(u.Recovery, "recovery code")
					}
					rows = append(rows, []string{u.Name, u.Role, factor, state})
				}
				if format == "json" {
					return a.ui.json(shown)
				}
				a.ui.table([]string{"name", "role", "second factor", "state"}, rows)
				return nil
			})
		},
	}
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) userSet() *cobra.Command {
	var role string
	var disable, enable bool
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "give an account another role, disable or enable it",
		Long: `Changes an account. Its sessions end. Somebody who is disabled is out at once and signs in no more:
their tokens, temporary credentials, certificates and grants end, sessions at the gateway too, and
nobody waits for their approval. Whoever is enabled again has what rules give them, and asks anew
for what they held by grants.`,
		Example: `  postern user set ana --disable
  postern user set ana --role auditor`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var to *daemon.Role
			var disabled *bool
			if cmd.Flags().Changed("role") {
				to = (*daemon.Role)(&role)
			}
			switch {
			case disable && enable:
				return &usageError{command: cmd.CommandPath(), err: errors.New("--disable and --enable are opposites")}
			case !disable && !enable && to == nil:
				return &usageError{command: cmd.CommandPath(), err: errors.New("say what: --role, --disable or --enable")}
			case disable || enable:
				disabled = &disable
			}
			return a.clerk(cmd.Context(), func(k *daemon.Clerk) error {
				return refused(k.Set(cmd.Context(), "", args[0], to, disabled, daemon.AtMachine()))
			})
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "`role` at the portal: admin, editor, reader, auditor, or \"\" for none")
	cmd.Flags().BoolVar(&disable, "disable", false, "let it sign in no more, and end all that is open of it")
	cmd.Flags().BoolVar(&enable, "enable", false, "let it sign in again")
	return cmd
}

func (a *app) userUnlink() *cobra.Command {
	return &cobra.Command{
		Use:   "unlink NAME",
		Short: "let go of who at the identity provider, and in the directory, a name is",
		Long: `A name belongs to whoever of the identity provider came with it first, and to the entry of the
directory that was found for it first, however addresses change there. When somebody was made anew,
this lets them have their name again: their sessions end, what they hold by groups does too, and
whoever comes next with the name has it.`,
		Example: `  postern user unlink ana`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.clerk(cmd.Context(), func(k *daemon.Clerk) error { return refused(k.Unlink(cmd.Context(), args[0])) })
		},
	}
}

// accept asks for what an invitation wants.
func (a *app) accept(ctx context.Context, c *portal.Client) (*portal.LoginAnswer, error) {
	code, err := a.askSecret("Link: ", "link")
	if err != nil {
		return nil, err
	}
	password, err := a.readPassword()
	if err != nil {
		return nil, err
	}
	answer, err := c.Accept(ctx, daemon.CodeOf(code), password)
	return answer, explainCall(err)
}

// refused gives a "no" of the register its hint.
func refused(err error) error {
	if err == nil {
		return nil
	}
	text, hint := daemon.Refused(err)
	return failed(hint, errors.New(text))
}
