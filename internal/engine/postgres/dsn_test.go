package postgres

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
)

func TestParseDSN(t *testing.T) {
	for _, v := range []string{"PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSSLMODE", "PGSSLROOTCERT", "PGSERVICE", "PGPASSFILE"} {
		t.Setenv(v, "")
	}
	t.Setenv("HOME", t.TempDir())
	folder := t.TempDir()
	if err := pgtest.WriteCertificates(folder); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(folder, "ca.pem")
	cases := []struct {
		name, dsn string
		want      Config
		password  string
	}{
		{"url", "postgres://ana:s3cret@db1.internal:6000/shop", Config{Host: "db1.internal", Port: 6000, Database: "shop", User: "ana", TLS: TLSVerifyFull}, "s3cret"},
		{"url escapes", "postgresql://a%40b:p%2Fw@127.0.0.1/shop", Config{Host: "127.0.0.1", Port: 5432, Database: "shop", User: "a@b", TLS: TLSDisable}, "p/w"},
		{"pairs", `host=db1 port=6000 dbname=shop user=ana password='it\'s a'`, Config{Host: "db1", Port: 6000, Database: "shop", User: "ana", TLS: TLSVerifyFull}, "it's a"},
		{"no database", "host=localhost user=ana", Config{Host: "localhost", Port: 5432, Database: "ana", User: "ana", TLS: TLSDisable}, ""},
		{"socket", "host=/run/postgresql user=ana dbname=shop sslmode=require", Config{Host: "/run/postgresql", Port: 5432, Database: "shop", User: "ana"}, ""},
		{"prefer is nothing", "host=db1 user=ana dbname=shop sslmode=prefer", Config{Host: "db1", Port: 5432, Database: "shop", User: "ana", TLS: TLSVerifyFull}, ""},
		{"require", "postgres://ana@db1/shop?sslmode=require", Config{Host: "db1", Port: 5432, Database: "shop", User: "ana", TLS: TLSRequire}, ""},
		{"require with ca", "postgres://ana@db1/shop?sslmode=require&sslrootcert=" + ca, Config{Host: "db1", Port: 5432, Database: "shop", User: "ana", TLS: TLSVerifyCA, CAFile: ca}, ""},
		{"ca on this machine", "host=localhost user=ana dbname=shop sslrootcert=" + ca, Config{Host: "localhost", Port: 5432, Database: "shop", User: "ana", TLS: TLSVerifyFull, CAFile: ca}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseDSN(c.dsn, os.Getenv)
			if err != nil {
				t.Fatal(err)
			}
			if p := got.Password.Reveal(); p != c.password {
				t.Errorf("password %q, want %q", p, c.password)
			}
			got.Password = c.want.Password
			if got.Address() != c.want.Address() || got.User != c.want.User || got.TLS != c.want.TLS || got.CAFile != c.want.CAFile {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// What the environment and ~/.pgpass say counts, as for psql.
func TestParseDSNEnvironment(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("PGPASSFILE", "")
	t.Setenv("PGPASSWORD", "from-env")
	t.Setenv("PGSSLMODE", "require")
	c, err := ParseDSN("host=db1 user=ana dbname=shop", os.Getenv)
	if err != nil || c.Password.Reveal() != "from-env" || c.TLS != TLSRequire {
		t.Errorf("password %v, TLS %q, %v", c.Password.Reveal() == "from-env", c.TLS, err)
	}
	t.Setenv("PGPASSWORD", "")
	file := filepath.Join(home, "pass")
	t.Setenv("PGPASSFILE", file)
	if err := os.WriteFile(file, []byte("db1:5432:shop:ana:from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = ParseDSN("host=db1 user=ana dbname=shop", os.Getenv); err != nil || c.Password.Reveal() != "from-file" {
		t.Errorf("password from the file: %v, %v", c.Password.Reveal() == "from-file", err)
	}
}

// A mistake is named, and no part of the text is repeated: the password may be anywhere in it.
func TestParseDSNRefuses(t *testing.T) {
	for dsn, want := range map[string]string{
		"shop": "cannot be read", "postgres://ana:hunter2%zz@db1/shop": "cannot be read",
		"postgres://ana:hun/ter2@db1:x/shop": "cannot be read", "host=db1 password='hunter2": "cannot be read",
		"host=db1 port=hunter2":                "cannot be read",
		"host=a,b dbname=shop user=ana":        "several servers",
		"host=a user=b sslmode=maybe":          "sslmode",
		"host=a user=b sslrootcert=/no/such/f": "no such file",
	} {
		_, err := ParseDSN(dsn, func(string) string { return "" })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", dsn, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "ter2") {
			t.Errorf("a password is repeated: %v", err)
		}
	}
}
