package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/daemon"
)

func (a *app) state() *cobra.Command {
	return group("state", "look after what postern remembers", a.stateShow(), a.stateBackup(), a.stateRestore())
}

// stateJSON is what state show prints as JSON.
type stateJSON struct {
	Place        string         `json:"place"`
	Shared       bool           `json:"shared"`
	Installation string         `json:"installation"`
	Created      string         `json:"created"`
	Schema       int64          `json:"schema"`
	Instances    []instanceJSON `json:"instances"`
}

type instanceJSON struct {
	Name   string `json:"name"`
	Events uint64 `json:"events"`
	Last   string `json:"last"`
}

func (a *app) stateShow() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "where state is, and which gateways use it",
		Long: `Prints where the policy file keeps state, which installation that is, and of each gateway that
wrote a trail how far it had come.`,
		Example: `  postern state show
  postern state show --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			st, err := daemon.OpenState(cmd.Context(), c)
			if err != nil {
				return failed("", err)
			}
			defer func() { _ = st.Close() }()
			info, err := st.Info(cmd.Context())
			if err != nil {
				return failed("", err)
			}
			out := stateJSON{Place: info.Place, Shared: info.Shared, Installation: info.ID, Created: stamp(info.Created), Schema: info.Schema, Instances: []instanceJSON{}}
			for _, h := range info.Instances {
				out.Instances = append(out.Instances, instanceJSON{h.Instance, h.Seq, stamp(h.Time)})
			}
			if format == "json" {
				return a.ui.json(out)
			}
			a.ui.printf("state in %s, schema %d\ninstallation %s, since %s\n", out.Place, out.Schema, out.Installation, out.Created)
			var rows [][]string
			for _, i := range out.Instances {
				rows = append(rows, []string{i.Name, fmt.Sprint(i.Events), i.Last})
			}
			if rows != nil {
				a.ui.table([]string{"instance", "events", "last"}, rows)
			}
			return nil
		},
	}
	formatFlag(cmd, &format, "text", "json")
	return cmd
}

func (a *app) stateBackup() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "write all of state to a file",
		Long: `Writes everything that postern remembers, as of one moment, to a new file with mode 0600: requests,
grants, people, what proves their secrets, and how far each trail had come. Nobody is kept from
working meanwhile. The policy file, the keys and the trail are not in it.

The file is the same whether state is a file or in PostgreSQL: with state restore it moves from
the one to the other.`,
		Example: `  postern state backup state-$(date +%F).backup`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			c, err := a.load()
			if err != nil {
				return err
			}
			st, err := daemon.OpenState(cmd.Context(), c)
			if err != nil {
				return failed("", err)
			}
			defer func() { _ = st.Close() }()
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return failed("name a file that does not exist yet", err)
			}
			wrote, err := st.Backup(cmd.Context(), f)
			if err == nil {
				err = f.Sync()
			}
			if err = errors.Join(err, f.Close()); err != nil {
				return failed("", errors.Join(err, os.Remove(args[0])))
			}
			a.ui.printf("%s: %s\n", args[0], countRows(wrote.Rows))
			return nil
		},
	}
}

func (a *app) stateRestore() *cobra.Command {
	var replace bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "put a backup in the place of state",
		Long: `Reads a file that state backup wrote into the state that the policy file names, a file or a
database. All of it is taken or nothing. A running serve takes it up within a second.

What was revoked after the backup was made is held again, until it ends by itself or the policy
no longer allows it: look at postern grants afterwards. Sign-ins and tokens are those of then.`,
		Example: `  postern state restore state-2026-05-06.backup
  postern state restore --replace state-2026-05-06.backup`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.load()
			if err != nil {
				return err
			}
			f, err := os.Open(args[0])
			if err != nil {
				return failed("", err)
			}
			defer func() { _ = f.Close() }()
			st, err := daemon.OpenState(cmd.Context(), c)
			if err != nil {
				return failed("", err)
			}
			defer func() { _ = st.Close() }()
			read, err := st.Restore(cmd.Context(), f, replace)
			switch {
			case daemon.StateNotEmpty(err):
				return failed("postern state backup keeps it, and --replace forgets it", err)
			case err != nil:
				return failed("", err)
			}
			a.ui.printf("%s of %s: %s\n", args[0], stamp(read.Made), countRows(read.Rows))
			return nil
		},
	}
	cmd.Flags().BoolVar(&replace, "replace", false, "forget what is there")
	return cmd
}

// countRows says what a backup holds, in the words of the command line.
func countRows(rows map[string]int) string {
	return fmt.Sprintf("%d requests, %d grants, %d people, %d credentials, %d trails",
		rows["access_request"], rows["access_grant"], rows["person"], rows["credential"], rows["trail_head"])
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
