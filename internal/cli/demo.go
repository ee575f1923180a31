package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/daemon"
	"github.com/postern-sec/postern/internal/demo"
	"github.com/postern-sec/postern/internal/discover"
	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/engine/postgres/pgserve"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/secret"
)

func (a *app) demo() *cobra.Command {
	var (
		listen, portal string
		keep, check    bool
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "a private PostgreSQL with sample data, a policy, and the gateway in front",
		Long: `Starts a private PostgreSQL in a temporary folder, fills it with a sample shop, builds the wall
from a policy with three people, and serves: it prints what to type in another terminal, and
stays until Ctrl-C. Nothing outside the folder is touched.

--check plays the tour itself, with psql, prints it, and exits 1 if a step is not as it should
be. It needs the PostgreSQL server's binaries (Debian: postgresql-NN) and psql.`,
		Example: `  postern demo
  postern demo --check
  postern demo --listen 127.0.0.1:7000 --keep`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if check && !cmd.Flags().Changed("listen") {
				listen = "127.0.0.1:0" // nobody has to know it
			}
			for flag, address := range map[string]string{"--listen": listen, "--portal": portal} {
				if err := loopback(flag, address); err != nil {
					return &usageError{command: cmd.CommandPath(), err: err}
				}
			}
			err := demo.Run(cmd.Context(), demo.Options{
				Listen: listen, Portal: portal, Keep: keep, Check: check, Program: a.env.Program, Getenv: a.env.Getenv, Out: a.ui.out, Err: a.ui.err,
				Tools: demoTools{a}, Bold: func(s string) string { return a.ui.style(styleBold, s) },
			})
			switch {
			case errors.Is(err, demo.ErrTour):
				return &exitError{code: exitFindings, err: err}
			case errors.Is(err, context.Canceled) && cmd.Context().Err() != nil && !check:
				return nil // Ctrl-C is how a demo ends
			case err != nil:
				return failed("", err)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:6432", "`address` of the gateway, on this machine")
	cmd.Flags().StringVar(&portal, "portal", "127.0.0.1:0", "`address` of the portal, on this machine; port 0 is any that is free")
	cmd.Flags().BoolVar(&keep, "keep", false, "leave the folder behind")
	cmd.Flags().BoolVar(&check, "check", false, "play the tour, check every answer, and exit")
	return cmd
}

// loopback keeps the demo, whose passwords are on disk, on this machine.
func loopback(flag, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s %s: %w", flag, address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%s %s: the demo listens on this machine only: use 127.0.0.1:PORT", flag, address)
	}
	return nil
}

// demoTools does for the demo what the other commands do for everybody.
type demoTools struct{ a *app }

var _ demo.Tools = demoTools{}

// HashPassword implements demo.Tools.
func (demoTools) HashPassword(p secret.Text) (string, error) {
	return daemon.HashPassword(p, daemon.DefaultIterations, rand.Reader)
}

// AuditKey implements demo.Tools.
func (demoTools) AuditKey() (secret.Text, error) { return audit.GenerateKey(rand.Reader) }

// Exec implements demo.Tools.
func (demoTools) Exec(ctx context.Context, l demo.Login, script string) error {
	srv, err := postgres.Open(ctx, loginOf(l))
	if err != nil {
		return err
	}
	defer func() { _ = srv.Close(context.WithoutCancel(ctx)) }()
	return srv.Script(ctx, script)
}

func loginOf(l demo.Login) postgres.Config {
	return postgres.Config{Host: l.Socket, Port: uint16(l.Port), Database: l.Database, User: l.User, Password: l.Password} //nolint:gosec // the demo's own port
}

// InitSQL implements demo.Tools.
func (t demoTools) InitSQL(ctx context.Context, l, provisioner, grantor demo.Login) (string, error) {
	srv, err := postgres.Open(ctx, loginOf(l))
	if err != nil {
		return "", err
	}
	defer func() { _ = srv.Close(context.WithoutCancel(ctx)) }()
	snap, err := srv.Inspect(ctx, []string{"public"})
	if err != nil {
		return "", err
	}
	o := postgres.InitOptions{
		Database: l.Database, Major: snap.Major(), Provisioner: provisioner.User, Grantor: grantor.User, Owners: []string{"shop_owner"},
	}
	if o.ProvisionerVerifier, err = t.HashPassword(provisioner.Password); err != nil {
		return "", err
	}
	if o.GrantorVerifier, err = t.HashPassword(grantor.Password); err != nil {
		return "", err
	}
	return postgres.InitSQL(o), nil
}

// demoStore opens the only store of the demo's policy.
func demoStore(ctx context.Context, path string) (*storeSession, error) {
	c, err := config.Load(path, pgsql.Syntax{})
	if err != nil {
		return nil, err
	}
	s, err := pickStore(c, "")
	if err != nil {
		return nil, err
	}
	return openAs(ctx, c, s, s.Provisioner)
}

// Install implements demo.Tools.
func (demoTools) Install(ctx context.Context, path string) ([]string, error) {
	s, err := demoStore(ctx, path)
	if err != nil {
		return nil, err
	}
	defer s.close()
	r, err := s.plan(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, c := range r.Plan.Unaccepted(nil) {
		all = append(all, c.ID)
	}
	done, err := s.server.Apply(ctx, s.request, postgres.Consent{Digest: r.Plan.Digest, Accepted: all})
	if err != nil {
		return nil, err
	}
	var operator []string
	for _, step := range done.Plan.Operator {
		operator = append(operator, strings.Join(step.SQL, ";\n"))
	}
	return operator, nil
}

// Discover implements demo.Tools.
func (t demoTools) Discover(ctx context.Context, path, pattern string) ([]string, error) {
	c, err := config.Load(path, pgsql.Syntax{})
	if err != nil {
		return nil, err
	}
	s, err := pickStore(c, "")
	if err != nil {
		return nil, err
	}
	login, err := pgserve.Login(ctx, s, scannerOf(s))
	if err != nil {
		return nil, err
	}
	feed := postgres.NewFeed(login, 1)
	defer feed.Close(context.WithoutCancel(ctx))
	report, err := discover.Run(ctx, feed, discover.Options{Store: s.Name, Include: []string{pattern}})
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path) //nolint:gosec // the demo's own policy
	if err != nil {
		return nil, err
	}
	if text, err = report.Patch(text, c.Policy); err != nil {
		return nil, err
	}
	var lines []string
	for _, r := range report.Sensitive() {
		lines = append(lines, fmt.Sprintf("%s %s %.2f", r.Place(), r.Class, r.Confidence))
	}
	return lines, os.WriteFile(path, text, 0o600)
}

// Serve implements demo.Tools.
func (t demoTools) Serve(ctx context.Context, path string, log io.Writer, ready func([]net.Addr, net.Addr)) error {
	var portal net.Addr
	return t.a.runDaemon(ctx, path, slog.New(slog.NewTextHandler(log, nil)), nil, listening{
		portal: func(a net.Addr) { portal = a }, ready: func(all []net.Addr) { ready(all, portal) },
	})
}

// Postern implements demo.Tools.
func (t demoTools) Postern(ctx context.Context, login, stdin string, args ...string) (string, error) {
	var out bytes.Buffer
	env := t.a.env
	env.Args, env.Stdin, env.Stdout, env.Stderr = args, strings.NewReader(stdin), &out, &out
	env.Getenv = func(name string) string { return map[string]string{"POSTERN_LOGIN": login}[name] }
	if code := Main(ctx, env); code != exitOK {
		return out.String(), fmt.Errorf("postern %s: exit %d: %s", strings.Join(args, " "), code, strings.TrimSpace(out.String()))
	}
	return out.String(), nil
}

// Verify implements demo.Tools.
func (demoTools) Verify(ctx context.Context, path, folder string) (demo.Trail, error) {
	c, err := config.Load(path, pgsql.Syntax{})
	if err != nil {
		return demo.Trail{}, err
	}
	key, err := auditKey(ctx, c)
	if err != nil {
		return demo.Trail{}, err
	}
	opts := audit.VerifyOptions{PublicKey: key.Public()}
	if folder == "" {
		folder = c.Audit.Folder
	}
	r, err := audit.Verify(ctx, folder, opts)
	if err != nil {
		return demo.Trail{}, err
	}
	out := demo.Trail{Intact: r.Status == audit.Intact, Tampered: r.Status == audit.Tampered, Records: r.Records}
	for _, p := range r.Problems {
		out.Problems = append(out.Problems, p.String())
	}
	return out, nil
}

// IdentityPassword implements demo.Tools.
func (demoTools) IdentityPassword(ctx context.Context, path, user string) (string, secret.Text, error) {
	s, err := demoStore(ctx, path)
	if err != nil {
		return "", secret.Text{}, err
	}
	defer s.close()
	w, _, err := s.server.Compile(ctx, s.request)
	if err != nil {
		return "", secret.Text{}, err
	}
	id := w.Identity(user)
	if id == nil {
		return "", secret.Text{}, fmt.Errorf("%s has no role on the server", user)
	}
	return id.Role, postgres.IdentityPassword(s.request.RootKey, w.ServerID, id.Role, w.Generation), nil
}
