package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/postern-sec/postern/internal/portal"
	"github.com/postern-sec/postern/internal/secret"
)

// loginFile is where this person's login is kept.
func (a *app) loginFile() string {
	if path := a.env.Getenv("POSTERN_LOGIN"); path != "" {
		return path
	}
	folder := a.env.Getenv("XDG_CONFIG_HOME")
	if folder == "" {
		folder = filepath.Join(a.env.Getenv("HOME"), ".config")
	}
	return filepath.Join(folder, "postern", "login.json")
}

// client is a portal as this person. POSTERN_TOKEN and POSTERN_SERVER stand above the file, for programs.
func (a *app) client() (*portal.Client, portal.Login, error) {
	l, err := portal.LoadLogin(a.loginFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, l, failed("postern login", err)
	}
	if token := a.env.Getenv("POSTERN_TOKEN"); token != "" {
		l.Token = token
	}
	if server := a.env.Getenv("POSTERN_SERVER"); server != "" {
		l.Server = strings.TrimRight(server, "/")
	}
	if l.Server == "" || l.Token == "" {
		return nil, l, failed("postern login --server https://HOST:PORT", errors.New("you are not logged in"))
	}
	c, err := portal.NewClient(l)
	if err != nil {
		return nil, l, failed("", err)
	}
	return c, l, nil
}

// call makes one call as this person.
func (a *app) call(ctx context.Context, method, path string, body, out any) error {
	c, _, err := a.client()
	if err != nil {
		return err
	}
	return explainCall(c.Call(ctx, method, path, body, out))
}

// explainCall gives a refusal its exit code: 1 for "you may not", 2 for everything else.
func explainCall(err error) error {
	var no *portal.ErrRefused
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &no):
		return failed("", err)
	case no.Denied():
		return &exitError{code: exitFindings, err: no, hint: no.Problem.Hint}
	}
	return failed(no.Problem.Hint, no)
}

func (a *app) login() *cobra.Command {
	var server, user, ca, store, emergency string
	var factor, device bool
	cmd := &cobra.Command{
		Use:   "login",
		Short: "log in to the portal, for requests, approvals and connections",
		Long: `Keeps a token for 12 hours (2 for admins) in a file that only you can read ($POSTERN_LOGIN, or
postern/login.json in your configuration folder); postern logout ends it.

Where the portal has single sign-on and no --user is given, you say yes in a browser: in this
machine's ($BROWSER, or what the desktop opens), or with --device, over SSH and without a desktop in
any, by a code that is shown. With --user, asks for a password and, where there is one, a second
factor, or reads them as lines of standard input. The password is not kept.

Where the portal gives client certificates (identity.certificates), a key is made that stays on this
machine and a certificate for it is kept beside the token, as .crt, .key and, for Java, .pk8: postern
connect and run use it instead of a password. It ends with the login at the latest.

--emergency is for the hour in which nobody else gets in: where the policy file has an emergency
admin, signs in as that one for half an hour. Every admin is told.

Server, user and certificates are remembered. --factor proves the second factor again, which
break-glass and other weighty steps want to be fresh.`,
		Example: `  postern login --server https://postern.internal:8443 --user ana
  postern login
  postern login --server https://postern.internal:8443 --device
  postern login --factor`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if factor {
				return a.stepUp(cmd.Context())
			}
			l, err := portal.LoadLogin(a.loginFile())
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return failed("", err)
			}
			if emergency != "" {
				if l.Token != "" && l.User != portal.EmergencyName {
					return failed("POSTERN_LOGIN=emergency.json postern login --emergency SOCKET keeps both, and postern logout ends this one",
						errors.New("the login of "+l.User+" is kept in "+a.loginFile()+", and this one would replace it"))
				}
				server, user = "unix:"+emergency, portal.EmergencyName
			}
			for have, given := range map[*string]string{&l.Server: strings.TrimRight(server, "/"), &l.User: user} {
				if given != "" {
					*have = given
				}
			}
			if ca != "" {
				if l.CA, err = filepath.Abs(ca); err != nil {
					return failed("", err)
				}
			}
			if l.Server == "" {
				return &usageError{command: cmd.CommandPath(), err: errors.New("say where and who: --server https://HOST:PORT --user NAME")}
			}
			c, err := portal.NewClient(l)
			if err != nil {
				return failed("", err)
			}
			finish := func(answer *portal.LoginAnswer) error { return a.finishLogin(cmd.Context(), c, answer, store) }
			browser, err := a.byBrowser(cmd.Context(), c, l, user != "", device)
			if err != nil {
				return err
			}
			if browser {
				return a.loginAtBrowser(cmd.Context(), c, device, finish)
			}
			if l.User == "" {
				return &usageError{command: cmd.CommandPath(), err: errors.New("say who: --user NAME, as this portal has no single sign-on")}
			}
			password, err := a.askOnce(l.User)
			if err != nil {
				return err
			}
			answer, err := c.LogIn(cmd.Context(), l.User, password)
			if err != nil {
				return explainCall(err)
			}
			return finish(answer)
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "`address` of the portal, https://HOST:PORT")
	cmd.Flags().StringVar(&user, "user", "", "your `name`")
	cmd.Flags().StringVar(&ca, "ca", "", "`file` with the certificates to trust, instead of the system's")
	cmd.Flags().StringVar(&store, "store", "", "the only `store` that the client certificate is to open")
	cmd.Flags().StringVar(&emergency, "emergency", "", "be the emergency admin, through this `socket` of the portal's machine")
	cmd.Flags().BoolVar(&device, "device", false, "say yes in any browser, by a code that is shown")
	cmd.Flags().BoolVar(&factor, "factor", false, "only prove the second factor again")
	return cmd
}

// finishLogin does what a sign-in still wants, and keeps the login.
func (a *app) finishLogin(ctx context.Context, c *portal.Client, answer *portal.LoginAnswer, store string) (err error) {
	switch answer.Next {
	case "factor":
		code, err := a.askCode()
		if err != nil {
			return err
		}
		if answer, err = c.Prove(ctx, code); err != nil {
			return explainCall(err)
		}
	case "enrol":
		if answer, err = a.enrol(ctx, c); err != nil {
			return err
		}
	}
	if err := c.Login().Save(a.loginFile()); err != nil {
		return failed("", err)
	}
	a.ui.note("logged in as %s until %s", answer.User, answer.Expires.Local().Format("15:04"))
	if err := a.certify(ctx, c, store); err != nil {
		a.ui.note("there is no client certificate: %v", err)
	}
	return nil
}

// enrol sets up a second factor from the terminal.
func (a *app) enrol(ctx context.Context, c *portal.Client) (*portal.LoginAnswer, error) {
	var seed struct{ Secret, URI string }
	if err := c.Call(ctx, http.MethodPost, "login/enrol", nil, &seed); err != nil {
		return nil, explainCall(err)
	}
	a.ui.note("a second factor is needed: add this to an authenticator app, then type the code that it shows")
	a.ui.printf("key %s\n%s\n", seed.Secret, seed.URI)
	code, err := a.askCode()
	if err != nil {
		return nil, err
	}
	answer, err := c.Confirm(ctx, code)
	if err != nil {
		return nil, explainCall(err)
	}
	a.ui.note("recovery codes, each good once instead of the app's code; they are not shown again")
	for _, code := range answer.Recovery {
		a.ui.printf("recovery %s\n", code)
	}
	return answer, nil
}

func (a *app) stepUp(ctx context.Context) error {
	code, err := a.askCode()
	if err != nil {
		return err
	}
	var none struct{}
	return a.call(ctx, http.MethodPost, "factor", portal.CodeCall{Code: code}, &none)
}

// askCode asks for a one-time password or a recovery code.
func (a *app) askCode() (string, error) {
	code, err := a.askSecret("Code: ", "code")
	return code.Reveal(), err
}

// askSecret asks on the terminal without echo, or reads a line.
func (a *app) askSecret(prompt, what string) (secret.Text, error) {
	f, ok := a.env.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return a.readLine(what)
	}
	_, _ = fmt.Fprint(a.ui.err, prompt)
	b, err := term.ReadPassword(int(f.Fd()))
	_, _ = fmt.Fprintln(a.ui.err)
	if err != nil {
		return secret.Text{}, failed("", fmt.Errorf("read the %s: %w", what, err))
	}
	return secret.New(string(b)), nil
}

// askOnce asks for a password that exists already.
func (a *app) askOnce(user string) (secret.Text, error) {
	return a.askSecret("Password of "+printable(user)+": ", "password")
}

// connection is how to connect to one store: with the client certificate of this login if there is one and no password is wanted, or
// else with a temporary credential, which is made.
func (a *app) connection(ctx context.Context, store string, password bool) (*connection, error) {
	c, l, err := a.client()
	if err != nil {
		return nil, err
	}
	if !password {
		if out, err := a.byCertificate(ctx, c, l, store); out != nil || err != nil {
			return out, err
		}
	}
	if store == "" {
		var me portal.Me
		if err := c.Call(ctx, http.MethodGet, "me", nil, &me); err != nil {
			return nil, explainCall(err)
		}
		if store, err = oneStore(store, me.Stores); err != nil {
			return nil, err
		}
	}
	var made portal.IssueAnswer
	if err := c.Call(ctx, http.MethodPost, "credentials", portal.IssueCall{Kind: "temporary", Store: store}, &made); err != nil {
		return nil, explainCall(err)
	}
	out := &connection{made: made.ID, Store: store, User: made.User, Password: made.Secret, Expires: made.Expires, CA: l.CA, Mode: "require"}
	out.Host, out.Port = c.GatewayOf(made.Gateway)
	switch {
	case l.CA != "":
		out.Mode = "verify-full"
	case out.Host == "127.0.0.1" || out.Host == "::1" || out.Host == "localhost":
		out.Mode = "prefer"
	}
	return out, nil
}

// connection is everything that a client needs.
type connection struct {
	Host     string    `json:"host"`
	Port     string    `json:"port"`
	Store    string    `json:"dbname"`
	User     string    `json:"user"`
	Password string    `json:"password,omitempty"`
	Mode     string    `json:"sslmode"`
	CA       string    `json:"sslrootcert,omitempty"`
	Cert     string    `json:"sslcert,omitempty"` // instead of a password
	Key      string    `json:"sslkey,omitempty"`
	Expires  time.Time `json:"expires"`

	keyDER string
	made   string // the temporary credential's id, where one was made
}

// environ is the connection as libpq's variables.
func (c *connection) environ() []string {
	out := []string{"PGHOST=" + c.Host, "PGPORT=" + c.Port, "PGDATABASE=" + c.Store, "PGUSER=" + c.User, "PGSSLMODE=" + c.Mode}
	if c.Cert != "" {
		out = append(out, "PGSSLCERT="+c.Cert, "PGSSLKEY="+c.Key)
	} else {
		out = append(out, "PGPASSWORD="+c.Password)
	}
	if c.CA != "" {
		out = append(out, "PGSSLROOTCERT="+c.CA)
	}
	return out
}

func (a *app) run() *cobra.Command {
	var store string
	var password bool
	cmd := &cobra.Command{
		Use:   "run PROGRAM [ARG …]",
		Short: "run a client with a connection made for you",
		Long: `Runs a program with a connection in libpq's environment variables (PGHOST, PGUSER and so on), which
psql, pg_dump and most libraries read: with the client certificate of your login (PGSSLCERT) where
there is one, else, and with --password, with a temporary credential that is made for it (PGPASSWORD),
stands in no file and on no command line, and is taken back when the program has ended. What stands
behind the program is the program's, but for --store and --help. Exit code: the program's.`,
		Example: `  postern run psql --store shop
  postern run --store shop psql -c 'select count(*) from customers'`,
		Args:               cobra.ArbitraryArgs,
		DisableFlagParsing: true, // psql -c is no configuration file
		RunE: func(cmd *cobra.Command, args []string) error {
			ours, theirs := splitRun(args)
			cmd.InheritedFlags() // joins them to the command's own
			if err := cmd.Flags().Parse(ours); err != nil {
				return &usageError{command: cmd.CommandPath(), err: err}
			}
			if help, _ := cmd.Flags().GetBool("help"); help {
				return cmd.Help()
			}
			if len(theirs) == 0 {
				return &usageError{command: cmd.CommandPath(), err: errors.New("name the program to run")}
			}
			return a.runProgram(cmd.Context(), store, password, theirs)
		},
	}
	cmd.Flags().StringVar(&store, "store", "", "`name` of the store; not needed if you hold rules on one")
	passwordFlag(cmd, &password)
	return cmd
}

func passwordFlag(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVar(to, "password", false, "make a temporary credential, whether there is a client certificate or not")
}

// splitRun tells the flags of postern run from the program and its arguments: ours stand before the program, and --store and --help
// may stand behind it, up to a "--".
func splitRun(args []string) (ours, theirs []string) {
	for i := 0; i < len(args); i++ {
		s := args[i]
		named, _, whole := strings.Cut(s, "=")
		mine := strings.HasPrefix(s, "-") && (len(theirs) == 0 || named == "--store" || s == "--help")
		switch {
		case s == "--":
			return ours, append(theirs, args[i+1:]...)
		case !mine:
			theirs = append(theirs, s)
		case !whole && slices.Contains([]string{"--store", "--config", "-c", "--color"}, s) && i+1 < len(args):
			ours = append(ours, s, args[i+1])
			i++
		default:
			ours = append(ours, s)
		}
	}
	return ours, theirs
}

func (a *app) runProgram(ctx context.Context, store string, password bool, words []string) error {
	path, err := exec.LookPath(words[0])
	if err != nil {
		return failed("", fmt.Errorf("find %s: %w", words[0], err))
	}
	c, err := a.connection(ctx, store, password)
	if err != nil {
		return err
	}
	defer a.takeBack(ctx, c)
	p := exec.CommandContext(ctx, path, words[1:]...) //nolint:gosec // what the user asked to run
	p.Stdin, p.Stdout, p.Stderr = a.env.Stdin, a.env.Stdout, a.env.Stderr
	p.Env = append(os.Environ(), c.environ()...)
	err = p.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return silently(max(exit.ExitCode(), 1))
	}
	if err != nil {
		return failed("", fmt.Errorf("run %s: %w", words[0], err))
	}
	return nil
}

// takeBack ends the credential that was made for a program, however the program ended: each counts towards what a person may have.
// What the program came to stands, so that an error is a warning.
func (a *app) takeBack(ctx context.Context, c *connection) {
	if c.made == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var none struct{}
	err := a.call(ctx, http.MethodDelete, portal.Path("credentials", c.made), nil, &none)
	var no *portal.ErrRefused
	if errors.As(err, &no) && no.Problem.Code == "not_found" {
		return // it ended meanwhile, with a grant or by hand
	}
	if err != nil {
		a.ui.warn("the temporary credential %s lives on until %s: %v", c.made, c.Expires.Local().Format("15:04"), err)
	}
}

func (a *app) connect() *cobra.Command {
	var store, format string
	var password bool
	cmd := &cobra.Command{
		Use:   "connect",
		Short: "print connection settings for clients, with your certificate or a temporary credential",
		Long: `With the client certificate of your login, prints how clients use it. Without one, and with
--password, makes a credential that lives for 8 hours (identity.credentials), or until what you hold
ends, and prints how clients use that. The secret is shown this once. Of several live credentials each
works.`,
		Example: `  postern connect --store shop
  postern connect --store shop --format pgpass >> ~/.pgpass`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connection(cmd.Context(), store, password || format == "pgpass") // which holds passwords and nothing else
			if err != nil {
				return err
			}
			if format == "json" {
				return a.ui.json(c)
			}
			a.ui.printf("%s", c.text(format))
			a.ui.note("good until %s", c.Expires.Local().Format("2006-01-02 15:04"))
			return nil
		},
	}
	cmd.Flags().StringVar(&store, "store", "", "`name` of the store; not needed if you hold rules on one")
	passwordFlag(cmd, &password)
	formatFlag(cmd, &format, "all", "psql", "jdbc", "sqlalchemy", "dbeaver", "pgpass", "service", "json")
	return cmd
}

// text writes the connection for one client, or for all with headings.
func (c *connection) text(format string) string {
	var b strings.Builder
	for _, f := range c.forms() {
		switch format {
		case f.name:
			return f.text
		case "all":
			b.WriteString("# " + f.name + "\n" + f.text + "\n")
		}
	}
	return b.String()
}

// form is what one client wants to hear.
type form struct{ name, text string }

// forms are those of a password, or of a certificate.
func (c *connection) forms() []form {
	words := fmt.Sprintf("host=%s port=%s dbname=%s user=%s sslmode=%s", c.Host, c.Port, c.Store, c.User, c.Mode)
	query, service, dbeaver := "sslmode="+c.Mode, "", fmt.Sprintf("prop.sslmode=%s|", c.Mode)
	java, secret := query, ""
	if c.CA != "" {
		query, java = query+"&sslrootcert="+c.CA, java+"&sslrootcert="+c.CA
	}
	switch {
	case c.Cert != "":
		words += " sslcert=" + conninfo(c.Cert) + " sslkey=" + conninfo(c.Key)
		query += "&sslcert=" + c.Cert + "&sslkey=" + c.Key
		java += "&sslcert=" + c.Cert + "&sslkey=" + c.keyDER // its driver reads no PEM
		service = "sslcert=" + c.Cert + "\nsslkey=" + c.Key + "\n"
		dbeaver += fmt.Sprintf("prop.sslcert=%s|prop.sslkey=%s|", c.Cert, c.keyDER)
	default:
		secret = ":" + c.Password
		service = "password=" + c.Password + "\n"
		dbeaver = fmt.Sprintf("password=%s|", c.Password) + dbeaver
	}
	service = fmt.Sprintf("[%s]\nhost=%s\nport=%s\ndbname=%s\nuser=%s\n%ssslmode=%s\n", c.Store, c.Host, c.Port, c.Store, c.User, service, c.Mode)
	if c.CA != "" {
		service += "sslrootcert=" + c.CA + "\n"
	}
	out := []form{
		{"psql", fmt.Sprintf("psql \"%s\"\n", words)},
		{"jdbc", fmt.Sprintf("jdbc:postgresql://%s:%s/%s?user=%s&%s\n", c.Host, c.Port, c.Store, c.User, java)},
		{"sqlalchemy", fmt.Sprintf("postgresql+psycopg://%s%s@%s:%s/%s?%s\n", c.User, secret, c.Host, c.Port, c.Store, query)},
		{"dbeaver", fmt.Sprintf("driver=postgresql|host=%s|port=%s|database=%s|user=%s|%sname=%s|connect=true\n", c.Host, c.Port, c.Store, c.User, dbeaver, c.Store)},
	}
	if c.Cert == "" {
		escape := strings.NewReplacer(`\`, `\\`, ":", `\:`)
		out = append(out, form{"pgpass", fmt.Sprintf("%s:%s:%s:%s:%s\n", escape.Replace(c.Host), c.Port, escape.Replace(c.Store), escape.Replace(c.User), escape.Replace(c.Password))})
	}
	return append(out, form{"service", service})
}

// conninfo quotes a value of a connection string where it has to be.
func conninfo(value string) string {
	if !strings.ContainsAny(value, ` '\`) {
		return value
	}
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(value) + "'"
}
