// Package drivers_test visits a running Postern with the clients that people use: psql, pgx, psycopg 2 and 3,
// node-postgres and JDBC. Each shows the same tour: masked rows as text and binary, over verified TLS and SCRAM, through
// prepared statements, cursors and COPY, a refusal, and life after it.
package drivers_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { site.Main(m) }

// clientLimit is how long one client program may take; a JVM on a busy machine needs seconds.
const clientLimit = 5 * time.Minute

// tour is what every client has to see. A client shows the lines that its driver has words for.
var tour = map[string]string{
	"tls":      "yes",
	"text":     "1|C***@ex.test||10.00; 2|C***@ex.test||20.00; 6|C***@ex.test||60.00",
	"binary":   "1|C***@ex.test||10.00; 2|C***@ex.test||20.00; 6|C***@ex.test||60.00",
	"date":     "1980-01-01",
	"prepared": "2|C***@ex.test",
	"refused":  "42501",
	"after":    "3",
	"copy":     "1|; 2|; 6|",
	"pipeline": "6|C***@ex.test",
	"cursor":   "1; 2; 6",
}

func TestClients(t *testing.T) {
	s := site.NewShop(t, pgtest.Start(t, pgtest.DefaultMajor))
	s.Apply(t)
	s.Serve(t)
	t.Run("psql", func(t *testing.T) { testPsql(t, s) })
	t.Run("psql metadata", func(t *testing.T) { testPsqlMetadata(t, s) })
	t.Run("pgx", func(t *testing.T) { testPgx(t, s) })
	t.Run("psycopg 3", func(t *testing.T) {
		checkTour(t, client(t, s, "/usr/bin/python3", "clients/psycopg3.py"), nil)
	})
	t.Run("psycopg 2", func(t *testing.T) {
		checkTour(t, client(t, s, "/usr/bin/python3", "clients/psycopg2.py"), nil)
	})
	t.Run("node", func(t *testing.T) {
		// node-postgres has no reader for binary numeric: the program casts it.
		checkTour(t, client(t, s, "node", "clients/node.js"), map[string]string{
			"binary": "1|C***@ex.test||10; 2|C***@ex.test||20; 6|C***@ex.test||60",
		})
	})
	t.Run("JDBC", func(t *testing.T) {
		classes := t.TempDir()
		run(t, s, "javac", "-d", classes, "clients/Jdbc.java")
		checkTour(t, client(t, s, "java", "-cp", classes+":/usr/share/java/postgresql.jar", "Jdbc"), map[string]string{
			"schemas": "information_schema; pg_catalog; public",
			"tables": "public|events|PARTITIONED TABLE; public|customers|TABLE; public|orders|TABLE; public|patients|TABLE; " +
				"public|products|TABLE",
			"columns": "id|int4|10|0|NO; name|text|2147483647|0|NO; email|text|2147483647|0|YES; ssn|text|2147483647|0|YES; " +
				"phone|text|2147483647|0|YES; region|text|2147483647|0|YES; balance|numeric|12|2|YES; notes|text|2147483647|0|YES",
			"keys":    "id|1|customers_pkey",
			"foreign": "customers|id|customer_id",
		})
	})
}

// checkTour compares what a client printed, "name: value" a line, with the tour. More are lines of this client's own,
// or what it shows in its own way.
func checkTour(t *testing.T, out string, more map[string]string) {
	t.Helper()
	seen := 0
	for line := range strings.Lines(out) {
		name, got, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		want, known := more[name]
		if !known {
			want, known = tour[name]
		}
		switch {
		case !ok || !known:
			t.Errorf("unexpected line %q", line)
		case got != want:
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		seen++
	}
	// Every client shows at least the first lines: text, date, prepared, a refusal, and life after it.
	for _, name := range []string{"tls", "text", "date", "prepared", "refused", "after"} {
		if !strings.Contains("\n"+out, "\n"+name+": ") {
			t.Errorf("the client did not show %q", name)
		}
	}
	for name := range more {
		if !strings.Contains("\n"+out, "\n"+name+": ") {
			t.Errorf("the client did not show %q", name)
		}
	}
	if seen == 0 {
		t.Error("the client showed nothing")
	}
}

// client runs a client program as the analyst and returns what it printed.
func client(t *testing.T, s *site.Site, name string, args ...string) string {
	t.Helper()
	return run(t, s, name, args...)
}

func run(t *testing.T, s *site.Site, name string, args ...string) string {
	t.Helper()
	return runAs(t, environ(t, s), name, args...)
}

// environ lets a client connect as the analyst.
func environ(t *testing.T, s *site.Site) []string {
	t.Helper()
	return append(s.Environ("analyst", "shop"), "NODE_PATH="+nodeModules(t, ".", "pg"))
}

func runAs(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	out, stderr, err := tryAs(t, env, name, args...)
	if err != nil {
		t.Fatalf("%s: %v (run `build/prepare test` if it is not installed)\n%s%s", name, err, out, stderr)
	}
	return out
}

func try(t *testing.T, s *site.Site, name string, args ...string) (out, stderr string, err error) {
	t.Helper()
	return tryAs(t, environ(t, s), name, args...)
}

func tryAs(t *testing.T, env []string, name string, args ...string) (out, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), clientLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(slices.Clip(env), "NODE_NO_WARNINGS=1", "PSQLRC=/dev/null", "PAGER=cat", "LC_ALL=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1")
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// nodeModules is where test/drivers/fetch put the node package that a folder pins.
func nodeModules(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), `"`+name+`": "`)
	version, _, _ := strings.Cut(rest, `"`)
	dir := filepath.Join(pgtest.CacheDir(), "node-"+name+"-"+version, "node_modules")
	if _, err := os.Stat(dir); err != nil {
		t.Fatalf("%s %s is not installed in %s: run test/drivers/fetch", name, version, dir)
	}
	return dir
}

// testPsql: the same query by psql, a refusal with its reason, \gdesc (a Parse and Describe), and a pipeline of psql's.
func testPsql(t *testing.T, s *site.Site) {
	out, _, err := try(t, s, "psql", "-XAtq", "-v", "ON_ERROR_STOP=0", "-c", "SELECT id, email, ssn, balance FROM customers ORDER BY id",
		"-c", `SELECT dob FROM patients`, "-c", `\copy (SELECT id, ssn FROM customers) TO STDOUT WITH (FORMAT csv)`)
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	want := "1|C***@ex.test||10.00\n2|C***@ex.test||20.00\n6|C***@ex.test||60.00\n1980-01-01\n1,\n2,\n6,\n"
	if out != want {
		t.Errorf("psql printed\n%s\nwant\n%s", out, want)
	}
	out, stderr, err := try(t, s, "psql", "-XAtq", "-v", "VERBOSITY=verbose", "-c", "SELECT get_customer_ssn(3)", "-c", "SELECT count(*) FROM customers")
	if err != nil || !strings.Contains(stderr, "42501") || out != "3\n" {
		t.Errorf("a refusal and what follows: %v, %q, %q", err, stderr, out)
	}
	out, stderr, err = try(t, s, "psql", "-Xq", "-c", `\conninfo`)
	if err != nil || !strings.Contains(out, "TLSv1.3") {
		t.Errorf("\\conninfo: %v, %q, %q", err, out, stderr)
	}
}

// testPsqlMetadata compares psql's describe commands with golden files.
func testPsqlMetadata(t *testing.T, s *site.Site) {
	for name, command := range map[string]string{
		"d": `\d`, "dt": `\dt`, "d-customers": `\d customers`, "d-public-customers": `\d public.customers`, "dn": `\dn`, "df": `\df`,
		"d-orders": `\d orders`, "d-events": `\d events`, "d-products": `\d products`, "dp": `\dp`,
	} {
		out, stderr, err := try(t, s, "psql", "-X", "-c", command)
		if err != nil {
			t.Errorf("%s: %v\n%s", command, err, stderr)
			continue
		}
		golden(t, "psql-"+name, out+stderr)
	}
}

// golden compares a text with a file that a person has looked at.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// testPgx plays the tour in every mode that pgx has for sending a statement.
func testPgx(t *testing.T, s *site.Site) {
	ctx, cancel := context.WithTimeout(context.Background(), clientLimit)
	defer cancel()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec,
		pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			config, err := pgx.ParseConfig(s.DSN("analyst", "shop"))
			if err != nil {
				t.Fatal(err)
			}
			config.DefaultQueryExecMode = mode
			conn, err := pgx.ConnectConfig(ctx, config)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(ctx)
			pgxTour(ctx, t, conn)
		})
	}
}

func pgxTour(ctx context.Context, t *testing.T, conn *pgx.Conn) {
	t.Helper()
	type row struct {
		ID    int
		Email string
		SSN   *string
	}
	for range 3 { // the second time from the caches, of both
		rows, err := conn.Query(ctx, "SELECT id, email, ssn FROM customers WHERE id < $1 ORDER BY id", 100)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
		if err != nil {
			t.Fatal(err)
		}
		if s := fmt.Sprintf("%d %d %s %v", len(got), got[0].ID, got[0].Email, got[0].SSN == nil); s != "3 1 C***@ex.test true" {
			t.Errorf("got %s", s)
		}
	}
	var dob time.Time
	if err := conn.QueryRow(ctx, "SELECT dob FROM patients").Scan(&dob); err != nil || dob.Format(time.DateOnly) != "1980-01-01" {
		t.Errorf("dob: %v, %v", dob, err)
	}
	var said *pgconn.PgError
	if _, err := conn.Exec(ctx, "SELECT get_customer_ssn(3)"); !errors.As(err, &said) || said.Code != "42501" {
		t.Errorf("a refused call: %v, want 42501", err)
	}
	batch := &pgx.Batch{}
	batch.Queue("SELECT count(*) FROM customers")
	batch.Queue("SELECT count(*) FROM events WHERE id < $1", 100)
	results := conn.SendBatch(ctx, batch)
	for _, want := range []int{3, 1} {
		var n int
		if err := results.QueryRow().Scan(&n); err != nil || n != want {
			t.Errorf("in a batch: %d, %v, want %d", n, err, want)
		}
	}
	if err := results.Close(); err != nil {
		t.Error(err)
	}
	var out bytes.Buffer
	if _, err := conn.PgConn().CopyTo(ctx, &out, "COPY customers (id, ssn) TO STDOUT WITH (FORMAT csv)"); err != nil || out.String() != "1,\n2,\n6,\n" {
		t.Errorf("COPY: %q, %v", out.String(), err)
	}
}
