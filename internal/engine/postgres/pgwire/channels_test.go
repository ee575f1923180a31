package pgwire

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/pgtest"
)

// TestChannels goes through the guide's table of channels around a mask: what it calls closed tells nothing of hidden rows
// and values, and what it calls inherent is really there.
func TestChannels(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../../../docs/guide/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	said := func(t *testing.T, row, state string) {
		t.Helper()
		for line := range strings.Lines(string(guide)) {
			if strings.HasPrefix(line, "| "+row) {
				if !strings.Contains(line, "| "+state+" |") {
					t.Errorf("the guide says otherwise: %s", line)
				}
				return
			}
		}
		t.Errorf("the guide has no row %q", row)
	}
	r := newRig(t, pgtest.Default(t))
	r.db.Exec(t, `create function tell() returns trigger language plpgsql as $$ begin raise notice 'CANARY %', new.body; raise warning 'CANARY %', new.body; return new; end $$;
		create trigger tell before insert on notes for each row execute function tell()`)
	var mu sync.Mutex
	var heard []string
	config, err := pgx.ParseConfig(r.dsn(r.plain, "sslmode=disable"))
	if err != nil {
		t.Fatal(err)
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, n.Message+n.Detail)
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) }) // the test is over
	exec := func(sql string) (string, error) {
		tag, err := conn.Exec(t.Context(), sql)
		return tag.String(), err
	}
	refused := func(t *testing.T, row string, statements ...string) {
		t.Helper()
		said(t, row, "closed")
		for _, sql := range statements {
			if _, err := exec(sql); codeOf(err) != "42501" {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}

	t.Run("row counts", func(t *testing.T) {
		said(t, "row counts of answers", "closed")
		if tag, err := exec("select id from customers"); tag != "SELECT 5" || err != nil { // of 10
			t.Error(tag, err)
		}
	})
	t.Run("errors", func(t *testing.T) {
		said(t, "texts of errors", "closed")
		_, err := exec("select name::int from customers")
		if err == nil || strings.Contains(err.Error(), "name ") || codeOf(err) != "22P02" {
			t.Error(err)
		}
	})
	t.Run("the code of an error tells of admitted rows, and of no others", func(t *testing.T) {
		said(t, "SQLSTATE of errors", "inherent")
		if _, err := exec("select 1 / (id - 4) from customers"); codeOf(err) != "22012" { // visible
			t.Error(err)
		}
		if _, err := exec("insert into notes values (1, 'a'), (1, 'b')"); codeOf(err) != "23505" {
			t.Error(err)
		}
		said(t, "unique and primary keys", "inherent")
	})
	t.Run("notices", func(t *testing.T) {
		said(t, "notices and warnings", "closed")
		if _, err := exec("insert into notes values (77, 'loud')"); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if text := strings.Join(heard, "\n"); strings.Contains(text, "CANARY") {
			t.Error(text)
		}
	})
	t.Run("statistics", func(t *testing.T) {
		refused(t, "statistics", "select * from pg_stats", "select * from pg_statistic", "select * from pg_stat_user_tables",
			"select pg_stat_get_live_tuples(1)", "select pg_relation_size('customers')", "select * from pg_stat_activity")
	})
	t.Run("EXPLAIN", func(t *testing.T) {
		said(t, "EXPLAIN", "closed")
		for _, sql := range []string{"explain analyze select * from customers", "explain (verbose) select * from customers where id = 1"} {
			if _, err := exec(sql); err == nil {
				t.Errorf("%s runs", sql)
			}
		}
	})
	t.Run("catalog", func(t *testing.T) {
		said(t, "catalog columns", "closed")
		for _, name := range []string{"pg_class", "pg_proc", "pg_views", "pg_attribute"} {
			target, _ := pgsql.CatalogRelation("pg_catalog", name, r.db.Major)
			if target.Schema != "postern_catalog" { // whose columns the engine's catalog tests compare
				t.Errorf("%s is read from %s", name, target)
			}
		}
	})
}
