package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// statementLimit bounds every statement that the helpers send.
const statementLimit = 60 * time.Second

// DB is one database of a cluster.
type DB struct {
	*Cluster
	Name string
}

// PasswordOf is the password of the roles that Role and Provisioner make.
func PasswordOf(user string) string { return "pw-" + user }

// DSN is a connection string for the socket. It carries PasswordOf(user), which the superuser does not need.
func (c *Cluster) DSN(user, database string) string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s password=%s sslmode=disable",
		c.SocketDir, c.Port, quoteParam(user), quoteParam(database), quoteParam(PasswordOf(user)))
}

// TCP is a connection URL for 127.0.0.1, with TLS that verifies the server when tls is true.
func (c *Cluster) TCP(user, database string, tls bool) string {
	q := url.Values{"sslmode": {"disable"}}
	if tls {
		q = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {c.CA}}
	}
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, PasswordOf(user)),
		Host: "127.0.0.1:" + strconv.Itoa(c.Port), Path: "/" + database, RawQuery: q.Encode(),
	}
	return u.String()
}

// DSN is a connection string for this database, see Cluster.DSN.
func (db *DB) DSN(user string) string { return db.Cluster.DSN(user, db.Name) }

// URL is a connection URL for this database over the socket, without a password: the superuser needs none.
func (db *DB) URL(user string) string {
	q := url.Values{"host": {db.SocketDir}, "port": {strconv.Itoa(db.Port)}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", User: url.User(user), Path: "/" + db.Name, RawQuery: q.Encode()}).String()
}

// Exec runs statements as the superuser in database postgres, for what is cluster-wide.
func (c *Cluster) Exec(t testing.TB, sql string) {
	t.Helper()
	if err := c.try(SuperUser, "postgres", sql); err != nil {
		t.Fatalf("as superuser: %v\n%s", err, sql)
	}
}

// NewDatabase creates an empty database, dropped when the test ends.
func (c *Cluster) NewDatabase(t testing.TB) *DB {
	t.Helper()
	return c.create(t, "", "template0")
}

// NewDatabaseNamed is NewDatabase with a name of the test's choice.
func (c *Cluster) NewDatabaseNamed(t testing.TB, name string) *DB {
	t.Helper()
	return c.create(t, name, "template0")
}

// Clone creates a copy of a database that nobody is connected to, dropped when the test ends. With a name of ""
// it gets one of its own.
func (db *DB) Clone(t testing.TB, name string) *DB {
	t.Helper()
	return db.create(t, name, db.Name)
}

// Template returns the database that build filled, built when first asked for under this key and kept for the
// life of the cluster: clone it.
func (c *Cluster) Template(t testing.TB, key string, build func(db *DB)) *DB {
	t.Helper()
	c.mu.Lock()
	db := c.templates[key]
	c.mu.Unlock()
	if db != nil {
		return db
	}
	db = &DB{Cluster: c, Name: c.nextName("template")}
	c.Exec(t, "CREATE DATABASE "+quoteIdent(db.Name)+" TEMPLATE template0")
	build(db)
	c.mu.Lock()
	c.templates[key] = db
	c.mu.Unlock()
	return db
}

// create makes a database and its removal.
func (c *Cluster) create(t testing.TB, name, template string) *DB {
	t.Helper()
	if name == "" {
		name = c.nextName("db")
	}
	c.Exec(t, "CREATE DATABASE "+quoteIdent(name)+" TEMPLATE "+quoteIdent(template))
	t.Cleanup(func() {
		c.mu.Lock()
		running := c.process != nil
		c.mu.Unlock()
		if running {
			// A server that the test killed takes its databases along.
			_ = c.try(SuperUser, "postgres", "DROP DATABASE IF EXISTS "+quoteIdent(name)+" WITH (FORCE)")
		}
	})
	return &DB{Cluster: c, Name: name}
}

func (c *Cluster) nextName(kind string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.databases++
	return fmt.Sprintf("%s_%d", kind, c.databases)
}

// Role makes a role with the password PasswordOf(name), or gives an existing one these options, which are SQL
// ("CREATEROLE", "NOLOGIN IN ROLE app"). It can log in unless they say NOLOGIN. It stays for the life of the cluster.
func (c *Cluster) Role(t testing.TB, name string, options ...string) {
	t.Helper()
	verb := "ALTER"
	if c.Query(t, "SELECT 1 FROM pg_roles WHERE rolname = "+quoteLiteral(name)) == "" {
		verb = "CREATE"
	}
	option := strings.Join(options, " ")
	if !strings.Contains(option, "LOGIN") {
		option += " LOGIN"
	}
	c.Exec(t, fmt.Sprintf("%s ROLE %s PASSWORD %s %s", verb, quoteIdent(name), quoteLiteral(PasswordOf(name)), option))
}

// Provisioner makes the non-superuser that plan and apply log in as: CREATEROLE, owner of the database, member of
// the owners of the application's tables.
func (db *DB) Provisioner(t testing.TB, name string, owners ...string) {
	t.Helper()
	db.Role(t, name, "NOSUPERUSER CREATEROLE NOCREATEDB NOBYPASSRLS INHERIT")
	db.Cluster.Exec(t, "ALTER DATABASE "+quoteIdent(db.Name)+" OWNER TO "+quoteIdent(name))
	for _, owner := range owners {
		db.Cluster.Exec(t, "GRANT "+quoteIdent(owner)+" TO "+quoteIdent(name))
	}
}

// Query runs one statement as the superuser in database postgres and returns its rows, see DB.Query.
func (c *Cluster) Query(t testing.TB, sql string) string {
	t.Helper()
	db := DB{Cluster: c, Name: "postgres"}
	return db.Query(t, sql)
}

// Exec runs statements as the superuser.
func (db *DB) Exec(t testing.TB, sql string) {
	t.Helper()
	if err := db.Try(SuperUser, sql); err != nil {
		t.Fatalf("as superuser: %v\n%s", err, sql)
	}
}

// ExecAs runs statements as a role made by Role or Provisioner.
func (db *DB) ExecAs(t testing.TB, user, sql string) {
	t.Helper()
	if err := db.Try(user, sql); err != nil {
		t.Fatalf("as %s: %v\n%s", user, err, sql)
	}
}

// Try runs statements as a role and returns what the server said.
func (db *DB) Try(user, sql string) error { return db.try(user, db.Name, sql) }

func (c *Cluster) try(user, database, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), statementLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.DSN(user, database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// Query runs one statement as the superuser: columns joined by "|", one line a row, NULL as nothing.
func (db *DB) Query(t testing.TB, sql string) string {
	t.Helper()
	out, err := db.TryQuery(SuperUser, sql)
	if err != nil {
		t.Fatalf("as superuser: %v\n%s", err, sql)
	}
	return out
}

// QueryAs is Query as another role.
func (db *DB) QueryAs(t testing.TB, user, sql string) string {
	t.Helper()
	out, err := db.TryQuery(user, sql)
	if err != nil {
		t.Fatalf("as %s: %v\n%s", user, err, sql)
	}
	return out
}

// TryQuery is Query as a role, with the server's error returned.
func (db *DB) TryQuery(user, sql string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), statementLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, db.DSN(user))
	if err != nil {
		return "", err
	}
	defer conn.Close(ctx)
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	var lines []string
	for _, r := range results {
		for _, row := range r.Rows {
			var cells []string
			for _, cell := range row {
				cells = append(cells, string(cell))
			}
			lines = append(lines, strings.Join(cells, "|"))
		}
	}
	return strings.Join(lines, "\n"), nil
}

// Connect opens a connection as a role, closed when the test ends.
func (db *DB) Connect(t testing.TB, user string) *pgx.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), statementLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, db.DSN(user))
	if err != nil {
		t.Fatalf("connect as %s: %v", user, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), statementLimit)
		defer cancel()
		_ = conn.Close(ctx) // the server may be gone on purpose
	})
	return conn
}

func quoteIdent(name string) string { return pgx.Identifier{name}.Sanitize() }

func quoteLiteral(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// quoteParam quotes a value of a keyword=value connection string.
func quoteParam(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
