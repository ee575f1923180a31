// Package demo is `postern demo`: a private PostgreSQL with a sample shop, a policy with three people, and the gateway in
// front of it, in one temporary folder. The tour plays what a person would try, with real psql, and checks every answer.
//
// It knows neither the engine nor the daemon: Tools, which the command line hands in, does what Postern does for everybody.
package demo

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/postern-sec/postern/internal/demo/workspace"
	"github.com/postern-sec/postern/internal/secret"
)

//go:embed shop.sql
var shopSQL string

//go:embed postern.yaml.tmpl
var policyTemplate string

// Login is a way to the private server.
type Login struct {
	Socket   string // folder
	Port     int
	Database string
	User     string
	Password secret.Text
}

// Trail is what a look at an audit trail came to.
type Trail struct {
	Intact   bool // everything is proved
	Tampered bool
	Records  uint64
	Problems []string
}

// Tools is what the demo asks of the rest of Postern.
type Tools interface {
	// HashPassword makes a SCRAM verifier.
	HashPassword(password secret.Text) (string, error)
	// AuditKey makes the contents of an audit key file.
	AuditKey() (secret.Text, error)
	// Exec runs a script on the server.
	Exec(ctx context.Context, l Login, script string) error
	// InitSQL is what `postern init` prints for a superuser: it makes the provisioner and the grantor.
	InitSQL(ctx context.Context, l Login, provisioner, grantor Login) (string, error)
	// Install applies the policy for the first time, as the provisioner, and returns the steps left to a superuser.
	Install(ctx context.Context, policy string) (operator []string, err error)
	// Discover looks for sensitive data in what matches a pattern, writes the policy with labels for it, and returns what it found, a
	// line a column.
	Discover(ctx context.Context, policy, pattern string) ([]string, error)
	// Serve runs the gateway until ctx ends.
	Serve(ctx context.Context, policy string, log io.Writer, ready func(gateway []net.Addr, portal net.Addr)) error
	// Postern runs a command line of Postern with a login file, and returns what it printed.
	Postern(ctx context.Context, login, stdin string, args ...string) (string, error)
	// Verify looks at an audit trail: the policy's own, or a copy of it in another folder.
	Verify(ctx context.Context, policy, folder string) (Trail, error)
	// IdentityPassword is what only Postern knows: the password of a user's role on the server.
	IdentityPassword(ctx context.Context, policy, user string) (role string, password secret.Text, err error)
}

// Options says how to run.
type Options struct {
	Listen  string // address of the gateway
	Portal  string // address of the portal
	Keep    bool   // leave the folder behind
	Check   bool   // play the tour and stop
	Program string // how a person calls postern, for the lines to type
	Getenv  func(string) string
	Out     io.Writer // what a person reads
	Err     io.Writer // progress
	Tools   Tools
	Bold    func(string) string // how a heading looks; identity where there is no colour
}

// people of the demo, in the order of the tour.
var people = []struct{ name, who string }{
	{"ana", "an analyst: European customers, contact data masked"},
	{"sam", "a support agent: assigned customers only; may correct phone and notes"},
	{"dora", "the data office: everything, as it is"},
}

// site is a running demo.
type site struct {
	Options
	folder   string
	cluster  *cluster
	policy   string // path of postern.yaml
	services string // path of pg_service.conf
	address  net.Addr
	portal   net.Addr
	slack    *workspace.Workspace // with Check
	before   []string             // what the application's roles saw before Postern came

	passwords map[string]secret.Text // of the people
}

// Run sets everything up, serves until ctx ends or the tour is over, and cleans up. ErrTour says that a step of the tour
// was not as it should be.
func Run(ctx context.Context, o Options) (err error) {
	bin, err := findServer(o.Getenv)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "postern-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	s := &site{Options: o, folder: folder}
	defer func() { err = errors.Join(err, s.clean()) }()
	if err := s.setUp(ctx, bin); err != nil {
		return err
	}
	return s.serve(ctx)
}

func (s *site) clean() error {
	s.cluster.stop()
	if s.slack != nil {
		s.slack.Close()
	}
	if s.Keep {
		_, _ = fmt.Fprintf(s.Err, "postern: kept %s\n", s.folder)
		return nil
	}
	if err := os.RemoveAll(s.folder); err != nil {
		return fmt.Errorf("remove the demo's folder: %w", err)
	}
	return nil
}

func (s *site) setUp(ctx context.Context, bin string) (err error) {
	// The server runs as another user when we are root, and has to pass through.
	if err := os.Chmod(s.folder, 0o711); err != nil { //nolint:gosec // nothing in it can be listed; secrets have modes of their own
		return fmt.Errorf("open the demo's folder to the server: %w", err)
	}
	s.progress("starting a private PostgreSQL from %s", bin)
	if s.cluster, err = startCluster(ctx, bin, s.folder); err != nil {
		return err
	}
	s.progress("making the sample shop")
	if err := s.Tools.Exec(ctx, s.superuser("postgres"), "CREATE DATABASE shop"); err != nil {
		return fmt.Errorf("make the sample database: %w", err)
	}
	if err := s.Tools.Exec(ctx, s.superuser("shop"), shopSQL); err != nil {
		return fmt.Errorf("fill the sample database: %w", err)
	}
	if s.before, err = s.foreignView(ctx); err != nil {
		return err
	}
	s.progress("building the wall from the policy")
	if err := s.writePolicy(ctx); err != nil {
		return err
	}
	operator, err := s.Tools.Install(ctx, s.policy)
	if err != nil {
		return fmt.Errorf("apply the policy: %w", err)
	}
	for _, step := range operator {
		if err := s.Tools.Exec(ctx, s.superuser("shop"), step); err != nil {
			return fmt.Errorf("a superuser's step: %w", err)
		}
	}
	return nil
}

func (s *site) progress(format string, args ...any) {
	_, _ = fmt.Fprintf(s.Err, "postern: "+format+"\n", args...)
}

func (s *site) superuser(database string) Login {
	return Login{Socket: s.cluster.socket, Port: s.cluster.port, Database: database, User: "postgres", Password: s.cluster.password}
}

// writePolicy makes keys, certificates, passwords and the policy file, and Postern's two logins on the server.
func (s *site) writePolicy(ctx context.Context) error {
	for _, d := range []string{"secrets", "tls"} {
		if err := os.Mkdir(filepath.Join(s.folder, d), 0o700); err != nil {
			return fmt.Errorf("make a folder: %w", err)
		}
	}
	auditKey, err := s.Tools.AuditKey()
	if err != nil {
		return err
	}
	admin := Login{Socket: s.cluster.socket, Port: s.cluster.port, Database: "shop", User: "postern_admin", Password: secret.New(rand.Text())}
	grantor := admin
	grantor.User, grantor.Password = "postern_grantor", secret.New(rand.Text())
	for name, text := range map[string]secret.Text{
		"root.key": secret.New(rand.Text() + rand.Text()), "audit.key": auditKey, "provisioner": admin.Password, "grantor": grantor.Password,
	} {
		if err := os.WriteFile(filepath.Join(s.folder, "secrets", name), []byte(text.Reveal()), 0o600); err != nil {
			return fmt.Errorf("write a secret: %w", err)
		}
	}
	if err := writeCertificates(filepath.Join(s.folder, "tls"), time.Now()); err != nil {
		return err
	}
	init, err := s.Tools.InitSQL(ctx, s.superuser("shop"), admin, grantor)
	if err != nil {
		return err
	}
	if err := s.Tools.Exec(ctx, s.superuser("shop"), init); err != nil {
		return fmt.Errorf("make the provisioner: %w", err)
	}
	return s.writePeople()
}

// writePeople draws everybody's password and writes the policy and the connection services.
func (s *site) writePeople() error {
	fields := map[string]string{"Socket": s.cluster.socket, "Listen": s.Listen, "Portal": s.Portal, "Slack": ""}
	if s.Check {
		if err := s.openSlack(); err != nil {
			return err
		}
		fields["Slack"] = s.slack.API()
	}
	passwords := map[string]secret.Text{}
	for _, p := range people {
		passwords[p.name] = secret.New(rand.Text())
		verifier, err := s.Tools.HashPassword(passwords[p.name])
		if err != nil {
			return err
		}
		fields[strings.ToUpper(p.name[:1])+p.name[1:]] = verifier
	}
	var text bytes.Buffer
	if err := template.Must(template.New("").Option("missingkey=error").Parse(policyTemplate)).Execute(&text, fields); err != nil {
		return fmt.Errorf("write the policy: %w", err)
	}
	s.policy = filepath.Join(s.folder, "postern.yaml")
	if err := os.WriteFile(s.policy, text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write the policy: %w", err)
	}
	s.passwords = passwords
	return nil
}

// writeServices writes a connection service file, so that nobody has to type or see a password. It is written once the
// gateway listens, because only then the port is known.
func (s *site) writeServices() error {
	_, port, err := net.SplitHostPort(s.address.String())
	if err != nil {
		return fmt.Errorf("the gateway's address: %w", err)
	}
	var b strings.Builder
	for _, p := range people {
		_, _ = fmt.Fprintf(&b, "# %s\n[%s]\nhost=127.0.0.1\nport=%s\ndbname=shop\nuser=%s\npassword=%s\nsslmode=verify-full\nsslrootcert=%s\n\n",
			p.who, p.name, port, p.name, s.passwords[p.name].Reveal(), filepath.Join(s.folder, "tls", "ca.crt"))
	}
	_, _ = fmt.Fprintf(&b, "# around the gateway, straight to the server, as its superuser\n[owner]\nhost=%s\nport=%d\ndbname=shop\nuser=postgres\npassword=%s\n",
		s.cluster.socket, s.cluster.port, s.cluster.password.Reveal())
	s.services = filepath.Join(s.folder, "pg_service.conf")
	if err := os.WriteFile(s.services, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("write the connection services: %w", err)
	}
	return nil
}

// serve runs the gateway, and beside it the tour or nothing.
func (s *site) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log, err := os.OpenFile(filepath.Join(s.folder, "postern.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer func() { _ = log.Close() }()
	type listening struct {
		gateway []net.Addr
		portal  net.Addr
	}
	ready := make(chan listening, 1)
	served := make(chan error, 1)
	go func() {
		served <- s.Tools.Serve(ctx, s.policy, log, func(a []net.Addr, p net.Addr) { ready <- listening{a, p} })
	}()
	select {
	case err := <-served:
		return err
	case at := <-ready:
		s.address, s.portal = at.gateway[0], at.portal
	}
	tour := s.writeServices()
	switch {
	case tour != nil:
		cancel()
	case s.Check:
		tour = s.tour(ctx)
		cancel()
	default:
		if tour = s.greet(ctx); tour != nil {
			cancel()
		}
	}
	err = <-served
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(tour, err)
}

// greet leaves a request waiting on the portal, and says what to type.
func (s *site) greet(ctx context.Context) error {
	ana, err := s.browse(ctx, "ana")
	if err == nil {
		err = ana.send(ctx, "/ask/payroll-review", url.Values{"for": {"1h"}, "note": {"Quarterly report: salaries by team"}})
	}
	if err != nil {
		return fmt.Errorf("leave a request on the portal: %w", err)
	}
	s.welcome()
	return nil
}

func (s *site) welcome() {
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(s.Out, format+"\n", args...) }
	p("")
	p("%s", s.Bold("A shop with 12,000 customers, guarded by Postern."))
	p("The gateway listens on %s. In another terminal:", s.address)
	p("")
	p("  export PGSERVICEFILE=%s", s.services)
	for _, who := range people {
		p("  psql service=%-7s %s", who.name, "# "+who.who)
	}
	p("  psql service=owner   # around the gateway, straight to the server")
	p("")
	p("Try there:")
	p("  SELECT name, email, phone, birth_date FROM customers ORDER BY id LIMIT 5;")
	p("  SELECT * FROM payroll;")
	p("  \\d customers")
	p("")
	p("The portal is at https://%s (trust %s). Ana asked for the payroll; dora decides there, at /inbox:", s.portal, filepath.Join(s.folder, "tls", "ca.crt"))
	for _, who := range people {
		p("  user %-5s password %s", who.name, s.passwords[who.name].Reveal())
	}
	p("Or from a terminal:")
	p("  export POSTERN_LOGIN=%s   # dora's in another terminal: dora.json", filepath.Join(s.folder, "ana.json"))
	p("  %s login --server https://%s --ca %s --user ana", s.Program, s.portal, filepath.Join(s.folder, "tls", "ca.crt"))
	p("  %s grants; %[1]s approve   # as dora", s.Program)
	p("")
	p("The policy is %s:", s.policy)
	p("edit it, and open sessions follow. Who did what:")
	p("  %s audit search --config %s --subject ana", s.Program, s.policy)
	p("  %s audit verify --config %s", s.Program, s.policy)
	p("")
	if s.Keep {
		p("Ctrl-C stops everything and leaves the folder.")
		return
	}
	p("Ctrl-C stops everything and removes the folder.")
}
