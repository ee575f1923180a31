package cli

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/daemon"
)

func (a *app) certs() *cobra.Command {
	return group("certs", "look after the client certificates that postern login gets", a.certsList(), a.certsRevoke(), a.certsRotate())
}

// registrar opens what keeps certificates at the machine.
func (a *app) registrar(ctx context.Context, do func(*daemon.Registrar) error) (err error) {
	c, err := a.load()
	if err != nil {
		return err
	}
	r, err := daemon.OpenRegistrar(ctx, c, time.Now, rand.Reader)
	if err != nil {
		return failed("", err)
	}
	defer func() {
		if cerr := r.Close(); cerr != nil && err == nil {
			err = failed("", cerr)
		}
	}()
	return do(r)
}

func (a *app) certsList() *cobra.Command {
	var format, user string
	cmd := &cobra.Command{
		Use: "list", Short: "list the live client certificates", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.registrar(cmd.Context(), func(r *daemon.Registrar) error {
				live, err := r.Certificates(cmd.Context(), user)
				if err != nil {
					return failed("", err)
				}
				if format == "json" {
					return a.ui.json(live)
				}
				rows := [][]string{}
				for _, c := range live {
					rows = append(rows, []string{c.ID, c.Subject, c.Store, ending(c.Created), ending(c.Expires)})
				}
				a.ui.table([]string{"id", "user", "store", "made", "until"}, rows)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "only this `name`'s")
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) certsRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID", Short: "end a client certificate, and the sessions that use it", Args: cobra.ExactArgs(1),
		Example: `  postern certs revoke 4b1d0c5e7f2a49d8a3c6e1f09b7d5a21`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.registrar(cmd.Context(), func(r *daemon.Registrar) error {
				if err := r.Revoke(cmd.Context(), args[0]); err != nil {
					return failed("postern certs list", err)
				}
				return nil
			})
		},
	}
}

func (a *app) certsRotate() *cobra.Command {
	var distrust bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "make a new authority for client certificates",
		Long: `Client certificates are signed by an authority of this installation, whose key is kept in state, sealed
under keys.root. It lives for a year, and the next takes its place a month before it ends, by itself.
This makes the next one now. What the ones before it signed stays good until it ends, unless
--distrust is given: then every client certificate that there is ends at once, and so do the
sessions that came in with one.`,
		Example: `  postern certs rotate
  postern certs rotate --distrust`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.registrar(cmd.Context(), func(r *daemon.Registrar) error {
				if err := r.Rotate(cmd.Context(), distrust); err != nil {
					return failed("", err)
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&distrust, "distrust", false, "end all certificates that there are")
	return cmd
}
