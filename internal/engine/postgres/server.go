package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/secret"
)

// TLSMode is how the connection is protected. There is no mode that falls back to an open connection by itself.
type TLSMode string

// The modes, with the names of libpq.
const (
	TLSDisable    TLSMode = "disable"
	TLSRequire    TLSMode = "require" // encrypted, not authenticated
	TLSVerifyCA   TLSMode = "verify-ca"
	TLSVerifyFull TLSMode = "verify-full"
)

// Config says how to reach a server and as whom.
type Config struct {
	Host     string // name or address, or the directory of a Unix socket (starts with "/")
	Port     uint16 // 0: 5432
	Database string
	User     string
	Password secret.Text
	TLS      TLSMode // "": disable for a socket, else verify-full
	CAFile   string  // PEM; "": the system's roots
	CertFile string  // client certificate, PEM
	KeyFile  string

	ApplicationName  string        // "": postern
	ConnectTimeout   time.Duration // 0: 10 s
	StatementTimeout time.Duration // 0: 60 s
	LockTimeout      time.Duration // 0: 2 s (ENF-10)
	// Dial replaces the dialer, for a tunnel. It is given "tcp" or "unix" and the address.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Server is one connection to a store's server. It is not safe for concurrent use; Close ends it.
type Server struct {
	conn   *pgx.Conn
	cfg    Config
	notice *notices
}

// Request is what Plan, Apply, Suspend and Resume work from.
type Request = plan.Input

// Result is what Plan found.
type Result struct {
	Snapshot *catalog.Snapshot
	Wanted   *plan.Wanted
	Plan     *plan.Plan
}

// Consent is what the person who applies has agreed to.
type Consent struct {
	Digest   string   // of the plan that was shown; apply refuses when the plan has become another
	Accepted []string // change IDs accepted by name
}

// notices collects the server's warnings of the current statement: a REVOKE that does nothing is only a WARNING (ENF-16).
type notices struct {
	mu  sync.Mutex
	all []string
}

func (n *notices) add(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, text)
}

// take returns what has come since the last call.
func (n *notices) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.all
	n.all = nil
	return all
}

// Open connects and pins the session: search_path to the system's own schema, timeouts, and everything that changes how text is
// read. Environment variables and password files of libpq play no part.
func Open(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Port == 0 {
		cfg.Port = 5432
	}
	pc, err := cfg.connConfig()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, notice: &notices{}}
	pc.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.SeverityUnlocalized == "WARNING" {
			s.notice.add(n.Message)
		}
	}
	s.conn, err = pgx.ConnectConfig(ctx, pc)
	if err != nil {
		return nil, fmt.Errorf("connect to %s as %s: %w", cfg.Address(), cfg.User, connectError(err))
	}
	return s, nil
}

// Close ends the connection.
func (s *Server) Close(ctx context.Context) error { return s.conn.Close(ctx) }

// Conn is the connection itself, for the parts of this package that check masks and walls.
func (s *Server) Conn() *pgx.Conn { return s.conn }

// Address is where the server is, for messages: host:port/database.
func (c Config) Address() string {
	port := c.Port
	if port == 0 {
		port = 5432
	}
	if strings.HasPrefix(c.Host, "/") {
		return fmt.Sprintf("%s/.s.PGSQL.%d database %s", strings.TrimSuffix(c.Host, "/"), port, c.Database)
	}
	return net.JoinHostPort(c.Host, strconv.Itoa(int(port))) + " database " + c.Database
}

// connectError drops what pgx puts around the server's own words.
func connectError(err error) error {
	var pg *pgconn.PgError
	var certificate *tls.CertificateVerificationError
	var network *net.OpError
	switch {
	case errors.As(err, &pg):
		return pg
	case errors.As(err, &certificate):
		return certificate
	case errors.As(err, &network):
		return network
	}
	return err
}

// connConfig builds the configuration without the environment having a say.
func (c Config) connConfig() (*pgx.ConnConfig, error) {
	// Every setting that has an environment variable is named here, so that the variable is not read.
	pc, err := pgx.ParseConfig("host=localhost port=5432 user=postern dbname=postern password=x sslmode=disable passfile=/dev/null " +
		"servicefile=/dev/null target_session_attrs=any connect_timeout=10")
	if err != nil {
		return nil, fmt.Errorf("prepare the connection: %w", err)
	}
	tlsConfig, err := c.tlsConfig()
	if err != nil {
		return nil, err
	}
	pc.Host, pc.Port, pc.Database, pc.User, pc.Password = c.Host, c.Port, c.Database, c.User, c.Password.Reveal()
	pc.TLSConfig, pc.Fallbacks, pc.ValidateConnect = tlsConfig, nil, nil
	pc.ConnectTimeout = orDefault(c.ConnectTimeout, 10*time.Second)
	pc.DefaultQueryExecMode = pgx.QueryExecModeExec
	if c.Dial != nil {
		pc.DialFunc = c.Dial
		pc.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	}
	name := c.ApplicationName
	if name == "" {
		name = "postern"
	}
	pc.RuntimeParams = map[string]string{
		"application_name": name, "search_path": "pg_catalog, pg_temp", "client_encoding": "UTF8", "row_security": "on",
		"standard_conforming_strings": "on", "quote_all_identifiers": "off", "DateStyle": "ISO, MDY", "TimeZone": "UTC", "IntervalStyle": "postgres",
		"bytea_output": "hex", "extra_float_digits": "1", "client_min_messages": "warning", "default_transaction_read_only": "off",
		"statement_timeout":                   milliseconds(orDefault(c.StatementTimeout, time.Minute)),
		"lock_timeout":                        milliseconds(orDefault(c.LockTimeout, 2*time.Second)),
		"idle_in_transaction_session_timeout": "60000",
		// Catalog queries touch much and return little: compiling them costs ten times what running them does.
		"jit": "off",
	}
	return pc, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }

// tlsConfig is nil when the connection is not encrypted.
func (c Config) tlsConfig() (*tls.Config, error) {
	mode := c.TLS
	if strings.HasPrefix(c.Host, "/") {
		return nil, nil // PostgreSQL has no TLS on Unix sockets
	}
	if mode == "" {
		mode = TLSVerifyFull
	}
	if mode == TLSDisable {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.Host}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the certificate authority: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the certificate authority: %s holds no certificate", c.CAFile)
		}
	}
	switch mode {
	case TLSVerifyFull:
	case TLSVerifyCA:
		t.InsecureSkipVerify = true // #nosec G402 -- verifyChain checks everything but the name
		t.VerifyConnection = verifyChain(t.RootCAs)
	case TLSRequire:
		t.InsecureSkipVerify = true // #nosec G402 -- the mode that the operator asked for
	default:
		return nil, fmt.Errorf("unknown TLS mode %q: disable, require, verify-ca or verify-full", mode)
	}
	return t, nil
}

// verifyChain checks a certificate's chain without its name, as libpq's verify-ca does.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server sent no certificate")
		}
		opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, cert := range state.PeerCertificates[1:] {
			opts.Intermediates.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(opts)
		return err
	}
}
