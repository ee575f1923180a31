package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/secret"
)

// errDSN never repeats the text: a DSN that cannot be read may have its password anywhere.
var errDSN = errors.New("the connection string cannot be read: expected postgres://USER@HOST:PORT/DATABASE or host=… port=… dbname=… user=…")

// ParseDSN reads a connection string as psql takes it, a URL or key=value pairs, and what psql would take from the environment
// and from ~/.pgpass. Unlike psql it never falls back to an open connection: without an sslmode that says otherwise, a server on
// another machine has to show a certificate that can be verified.
func ParseDSN(dsn string, getenv func(string) string) (Config, error) {
	set, err := dsnSettings(dsn)
	if err != nil {
		return Config{}, err
	}
	first := func(key, variable string) string {
		if v := set[key]; v != "" {
			return v
		}
		return getenv(variable)
	}
	mode := first("sslmode", "PGSSLMODE")
	if _, err := dsnMode(mode, "", ""); err != nil {
		return Config{}, err
	}
	pc, err := pgconn.ParseConfig(dsn)
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return Config{}, fmt.Errorf("the connection string names a file that cannot be read: %w", path)
	}
	if err != nil {
		return Config{}, errDSN
	}
	for _, f := range pc.Fallbacks {
		if f.Host != pc.Host || f.Port != pc.Port {
			return Config{}, errors.New("the connection string names several servers: name one")
		}
	}
	c := Config{Host: pc.Host, Port: pc.Port, Database: pc.Database, User: pc.User, Password: secret.New(pc.Password)}
	if c.Database == "" {
		c.Database = c.User
	}
	if strings.HasPrefix(c.Host, "/") {
		return c, nil // PostgreSQL has no TLS on Unix sockets
	}
	if c.CAFile, err = absolute(first("sslrootcert", "PGSSLROOTCERT")); err != nil {
		return Config{}, err
	}
	c.CertFile, c.KeyFile = first("sslcert", "PGSSLCERT"), first("sslkey", "PGSSLKEY")
	c.TLS, err = dsnMode(mode, c.Host, c.CAFile)
	return c, err
}

// dsnMode chooses how to protect the connection. prefer and allow mean no more than nothing at all does: both leave it to whoever
// sits in between.
func dsnMode(mode, host, ca string) (TLSMode, error) {
	switch mode {
	case "", "prefer", "allow":
		if ip := net.ParseIP(host); (host == "localhost" || ip != nil && ip.IsLoopback()) && ca == "" {
			return TLSDisable, nil
		}
		return TLSVerifyFull, nil
	case "require":
		if ca != "" {
			return TLSVerifyCA, nil // as libpq does
		}
		return TLSRequire, nil
	case "disable", "verify-ca", "verify-full":
		return TLSMode(mode), nil
	}
	return "", fmt.Errorf("sslmode %q: expected disable, require, verify-ca or verify-full", mode)
}

// absolute makes a path that means the same in a file in another folder. "system" is libpq's word for the system's own list.
func absolute(path string) (string, error) {
	if path == "" || path == "system" {
		return "", nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("sslrootcert: %w", err)
	}
	return abs, nil
}

// dsnSettings reads what pgconn takes from a connection string and does not give back.
func dsnSettings(dsn string) (map[string]string, error) {
	set := map[string]string{}
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		u, err := url.Parse(dsn)
		if err != nil {
			return nil, errDSN // a *url.Error repeats the URL
		}
		for key, values := range u.Query() {
			set[key] = values[len(values)-1]
		}
		return set, nil
	}
	for rest := strings.TrimSpace(dsn); rest != ""; {
		key, after, ok := strings.Cut(rest, "=")
		if !ok {
			return nil, errDSN
		}
		value, tail, ok := dsnValue(strings.TrimLeft(after, " \t\n"))
		if !ok {
			return nil, errDSN
		}
		set[strings.TrimSpace(key)] = value
		rest = strings.TrimLeft(tail, " \t\n")
	}
	return set, nil
}

// dsnValue reads one value: bare to the next space, or in single quotes; a backslash takes the next character as it is.
func dsnValue(s string) (value, rest string, ok bool) {
	quoted := strings.HasPrefix(s, "'")
	if quoted {
		s = s[1:]
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case quoted && c == '\'':
			return b.String(), s[i+1:], true
		case !quoted && strings.IndexByte(" \t\n", c) >= 0:
			return b.String(), s[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}
