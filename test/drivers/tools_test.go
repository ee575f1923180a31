package drivers_test

import (
	"os"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// TestTools lets mappers and the catalog queries of graphical tools look at a masked world, unchanged. What they see is in
// golden files; docs/guide/tools.md says what of it is refused, and why.
func TestTools(t *testing.T) {
	s := site.NewShop(t, pgtest.Start(t, pgtest.DefaultMajor))
	s.Apply(t)
	s.Serve(t)
	t.Run("SQLAlchemy", func(t *testing.T) {
		golden(t, "sqlalchemy", run(t, s, "/usr/bin/python3", "-W", "ignore", "clients/mappers/sqlalchemy_orm.py"))
	})
	t.Run("Django", func(t *testing.T) {
		golden(t, "django", run(t, s, "/usr/bin/python3", "-W", "ignore", "clients/mappers/django_orm.py"))
	})
	t.Run("JDBC metadata", func(t *testing.T) {
		classes := t.TempDir()
		run(t, s, "javac", "-d", classes, "clients/Metadata.java")
		golden(t, "jdbc-metadata", run(t, s, "java", "-cp", classes+":/usr/share/java/postgresql.jar", "Metadata"))
	})
	t.Run("catalog queries", func(t *testing.T) { testCatalogQueries(t, s) })
	t.Run("psql", func(t *testing.T) { testPsqlCommands(t, s) })
	t.Run("psql completion", func(t *testing.T) { testPsqlCompletion(t, s) })
	t.Run("pg_dump", func(t *testing.T) {
		// pg_dump asks for repeatable read, settings of its own and locks on every table: it says what is in its way.
		_, stderr, err := try(t, s, "pg_dump")
		if err == nil {
			t.Fatal("pg_dump ran to its end")
		}
		golden(t, "pg_dump", maskEvents(stderr))
	})
}

// testCatalogQueries sends what graphical tools ask of the catalog, written anew from what they show: each has to
// be answered, but for those that are marked as refused.
func testCatalogQueries(t *testing.T, s *site.Site) {
	t.Helper()
	text, err := os.ReadFile("testdata/tools.sql")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, part := range strings.Split(string(text), "-- == ")[1:] {
		name, sql, _ := strings.Cut(part, "\n")
		rows, stderr, err := try(t, s, "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql)
		if refused := strings.HasPrefix(name, "refused: "); refused != (err != nil) {
			t.Errorf("%s: %v %s", name, err, stderr)
		} else if refused {
			rows, _, _ = strings.Cut(stderr, "\n")
			rows += "\n"
		}
		out.WriteString("== " + name + "\n" + rows)
	}
	golden(t, "tools", out.String())
}

// testPsqlCommands plays psql's other describe commands. Each has to be answered or to say why not.
func testPsqlCommands(t *testing.T, s *site.Site) {
	t.Helper()
	var refused []string
	for _, command := range strings.Fields(`\d+ \dt+ \dt+_customers \d+_customers \di \di+ \ds \dv \dm \dE \dT \dT+ \dD \dC \dL \dO \du \dg \drds \dx \dy \det \des \dew \deu \dF \dFd \dFp \dFt
		\da \do_+ \db \dc \dA \dAc \dAf \dAo \dAp \ddp \l \l+ \sf_get_customer_ssn \sv_customers \dRp \dRs \dX \dn+ \df+ \dP \dl \dconfig \dconfig_work_mem \z \encoding \conninfo \timing`) {
		out, stderr, err := try(t, s, "psql", "-X", "-c", strings.ReplaceAll(command, "_", " "))
		if text := out + stderr; strings.Contains(text, "KANARI") || strings.Contains(text, "CANARY") {
			t.Errorf("%s shows a hidden value:\n%s", command, text)
		}
		if err != nil || strings.Contains(stderr, "ERROR") {
			first, _, _ := strings.Cut(stderr, "\n")
			if command == `\l+` { // newer minor releases of psql ask for a right before they ask for the size
				first = strings.Replace(first, "function pg_has_role", "function pg_database_size", 1)
			}
			refused = append(refused, command+": "+maskEvents(first))
		}
	}
	golden(t, "psql-refused", strings.Join(refused, "\n")+"\n")
}

// maskEvents takes the numbers of events out of a message.
func maskEvents(text string) string {
	for {
		at := strings.Index(text, "Event d")
		if at < 0 || len(text) < at+22 {
			return text
		}
		text = text[:at] + "Event …" + text[at+22:]
	}
}

// testPsqlCompletion types into psql on a terminal and takes its completions: no query of theirs is refused, in a transaction that one
// would abort.
func testPsqlCompletion(t *testing.T, s *site.Site) {
	t.Helper()
	golden(t, "psql-tab", run(t, s, "/usr/bin/python3", "clients/psql_tab.py", "testdata/psql-tab.txt"))
}
