package pgwire

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/audit"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/policy"
)

// limitTo puts limits on the only rule.
func (r *rig) limitTo(l policy.Limits) {
	p := *r.profile.Load()
	p.Limits = map[string]policy.Limits{"analysts": l}
	r.profile.Store(&p)
	_ = r.gw.Reload() // no certificate has changed
}

// rowsOf drains a result and says how many rows came before its error.
func rowsOf(rows pgx.Rows, err error) (n int, _ error) {
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

// TestRowsPerQuery is PRO-77: the query that would return more ends with an error, in every protocol, and the session goes on.
func TestRowsPerQuery(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	r.db.Exec(t, "insert into notes select i, repeat('x', 100) from generate_series(1, 20000) i")
	r.limitTo(policy.Limits{RowsPerQuery: 100})
	met := func(t *testing.T, what string, n int, err error) {
		t.Helper()
		var pe *pgconn.PgError
		if !errors.As(err, &pe) || pe.Code != "54000" || !strings.Contains(pe.Message, "100 rows per query") ||
			pe.Severity != "FATAL" && !strings.Contains(pe.Detail, "rule analysts") {
			t.Errorf("%s: %d rows, %v", what, n, err)
		}
		if n > 100 {
			t.Errorf("%s: %d rows went out", what, n)
		}
	}
	for name, mode := range map[string]pgx.QueryExecMode{"simple": pgx.QueryExecModeSimpleProtocol, "extended": pgx.QueryExecModeExec, "prepared": pgx.QueryExecModeCacheStatement} {
		t.Run(name, func(t *testing.T) {
			conn := r.connect(t, "")
			for _, most := range []int{100, 101, 150, 20000} { // the server has finished, or is stopped
				rows, err := conn.Query(t.Context(), fmt.Sprintf("select id, body from notes where id <= %d", most), mode)
				n, err := rowsOf(rows, err)
				if most > 100 {
					met(t, fmt.Sprint(most), n, err)
				} else if n != 100 || err != nil {
					t.Errorf("as many as may be: %d %v", n, err)
				}
			}
			if n, err := rowsOf(conn.Query(t.Context(), "select generate_series(1, 500)", mode)); n != 500 || err != nil {
				t.Errorf("what touches no table: %d %v", n, err)
			}
		})
	}
	t.Run("in pieces", func(t *testing.T) {
		conn := r.connect(t, "")
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), "declare c cursor for select id from notes"); err != nil {
			t.Fatal(err)
		}
		if n, err := rowsOf(tx.Query(t.Context(), "fetch 60 from c")); n != 60 || err != nil {
			t.Fatal(n, err)
		}
		n, err := rowsOf(tx.Query(t.Context(), "fetch 60 from c"))
		met(t, "the second piece", n, err)
		if n > 40 {
			t.Errorf("%d rows of the second piece", n)
		}
	})
	t.Run("several cursors in one string", func(t *testing.T) {
		conn := r.connect(t, "")
		run := func(sql string) (int, error) {
			t.Helper()
			results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
			n := 0
			for _, r := range results {
				n += len(r.Rows)
			}
			return n, err
		}
		if _, err := run("begin; declare a cursor for select id from notes; declare b cursor for select id from notes"); err != nil {
			t.Fatal(err)
		}
		for range 2 { // no cursor has yielded too much: the string may return what both may
			if n, err := run("fetch 40 from a; fetch 30 from b; fetch 10 from a; select 1; fetch 20 from b"); n != 101 || err != nil {
				t.Fatal(n, err)
			}
		}
		// Each has yielded 100, whichever of them a string names last.
		n, err := run("declare c cursor for select id from notes; fetch 99 from a; fetch 1 from c")
		met(t, "rows of the first, under the name of the last", n, err)
		if n > 0 {
			t.Errorf("%d rows past the limit", n)
		}
	})
	t.Run("copy", func(t *testing.T) {
		conn := r.connect(t, "")
		var out strings.Builder
		_, err := conn.PgConn().CopyTo(t.Context(), &out, "copy notes to stdout")
		met(t, "copy", strings.Count(out.String(), "\n"), err)
		if err := conn.Ping(t.Context()); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
	t.Run("what was written is undone", func(t *testing.T) {
		conn := r.connect(t, "")
		n, err := rowsOf(conn.Query(t.Context(), "begin; update notes set body = 'changed' returning id", pgx.QueryExecModeSimpleProtocol))
		met(t, "update", n, err)
		if got := r.db.Query(t, "select count(*) from notes where body = 'changed'"); got != "0" {
			t.Errorf("%s rows are changed", got)
		}
	})
	t.Run("in a batch", func(t *testing.T) {
		for batch, severity := range map[string]string{
			"select id from notes where id <= 101": "ERROR", "select 1; select id from notes where id <= 101": "ERROR",
			"update notes set body = 'changed' where id = 1; select id from notes where id <= 101": "FATAL", "select id from notes where id <= 101; select 1": "FATAL",
		} {
			conn := r.connect(t, "")
			pipeline := conn.PgConn().StartPipeline(t.Context())
			for sql := range strings.SplitSeq(batch, "; ") {
				pipeline.SendQueryParams(sql, nil, nil, nil, nil)
			}
			if err := pipeline.Sync(); err != nil {
				t.Fatal(err)
			}
			var pe *pgconn.PgError
			for pe == nil {
				got, err := pipeline.GetResults()
				if rows, ok := got.(*pgconn.ResultReader); ok {
					err = rows.Read().Err
				}
				if err != nil && !errors.As(err, &pe) {
					t.Fatalf("%s: %v", batch, err)
				}
				if _, synced := got.(*pgconn.PipelineSync); synced {
					break
				}
			}
			if pe == nil || pe.Severity != severity {
				t.Errorf("%s: %v, want %s", batch, pe, severity)
			}
		}
	})
	e := r.trail.find(t, "a completion that names the limit", func(e audit.Event) bool { return e.Kind == audit.Completion && e.Reason == "rows_per_query" })
	if e.SQLState != "54000" || e.Rows != 100 || e.Message == "" {
		t.Errorf("%+v", e)
	}
}

// TestRates: the allowance of a subject is one over all of their sessions.
func TestRates(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	r.db.Exec(t, "insert into notes select i, 'x' from generate_series(1, 1000) i")
	one, two := r.connect(t, ""), r.connect(t, "")
	r.limitTo(policy.Limits{RowsPerHour: 150})
	if n, err := rowsOf(one.Query(t.Context(), "select id from notes where id <= 100")); n != 100 || err != nil {
		t.Fatal(n, err)
	}
	n, err := rowsOf(two.Query(t.Context(), "select id from notes"))
	var pe *pgconn.PgError
	if n != 50 || !errors.As(err, &pe) || pe.Code != "53400" || !strings.Contains(pe.Hint, " UTC.") {
		t.Errorf("the other session: %d %v", n, err)
	}
	if _, err := one.Exec(t.Context(), "select id from notes"); codeOf(err) != "53400" {
		t.Errorf("with nothing left: %v", err)
	}
	e := r.trail.find(t, "a refusal", func(e audit.Event) bool { return e.Reason == "rows_per_hour" && e.Verdict == "refuse" })
	if e.Statement == "" || e.Detail["remedy"] == "" {
		t.Errorf("%+v", e)
	}
	if _, err := one.Exec(t.Context(), "select 1"); err != nil {
		t.Errorf("what touches no table: %v", err)
	}

	r.limitTo(policy.Limits{QueriesPerMinute: 3})
	for i := range 4 {
		_, err := one.Exec(t.Context(), "select id from notes where id = $1", i)
		if want := map[bool]string{true: "53400", false: "<nil>"}[i == 3]; codeOf(err) != want {
			t.Errorf("query %d: %v", i, err)
		}
	}
	if _, err := two.Exec(t.Context(), "select id from notes"); codeOf(err) != "53400" {
		t.Errorf("the other session: %v", err)
	}
}

// TestLimitsOfCopies: rows that were put aside count when they are read, however they are.
func TestLimitsOfCopies(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	r.db.Exec(t, "insert into notes select i, 'x' from generate_series(1, 1000) i; grant temporary on database "+r.db.Name+" to "+r.role)
	w := *r.world
	w.Temp = true
	r.world = &w
	r.nextGeneration()
	r.limitTo(policy.Limits{RowsPerHour: 150, RowsPerQuery: 100})
	conn := r.connect(t, "")
	if _, err := conn.Exec(t.Context(), "create temp table aside as select id from notes"); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, x := range []struct {
		sql  string
		mode pgx.QueryExecMode
		most int
		code string
	}{
		{"select id from aside limit 60", pgx.QueryExecModeSimpleProtocol, 60, "<nil>"},
		{"select id from pg_temp.aside", pgx.QueryExecModeCacheStatement, 90, "53400"},
		{"table aside", pgx.QueryExecModeExec, 0, "53400"},
	} {
		n, err := rowsOf(conn.Query(t.Context(), x.sql, x.mode))
		if total += n; n != x.most || codeOf(err) != x.code {
			t.Errorf("%s: %d rows, %v", x.sql, n, err)
		}
	}
	var out strings.Builder
	if _, err := conn.PgConn().CopyTo(t.Context(), &out, "copy aside to stdout"); codeOf(err) != "53400" || out.Len() > 0 {
		t.Errorf("copy: %v after %d bytes", err, out.Len())
	}
	if total != 150 {
		t.Errorf("%d rows went out", total)
	}
}

// TestMinGroupOnTheServer: what the guard sends for groups means what it should: groups that are too small are not there, nothing
// is inflated by a join, and a condition of the client's cannot fail on them.
func TestMinGroupOnTheServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	r.db.Exec(t, `insert into customers select 100 + i, 'n', null, 'EU' from generate_series(1, 3) i;
		insert into notes select i, 'EU' from generate_series(1, 50) i`) // 8 customers of EU, 5 of them with an email
	r.world.Relations[pgsql.Name{Schema: "public", Name: "customers"}].MinGroup = 6
	r.nextGeneration()
	conn := r.connect(t, "")
	for sql, want := range map[string]string{
		"select count(*) from customers":                                                    "8",
		"select count(*) from customers where id < 9":                                       "", // 4 rows
		"select count(id) from customers where id = 2":                                      "", // one
		"select count(*) from customers where id = 3":                                       "", // none that is visible
		"select count(email) from customers":                                                "", // 5 of the 8 have one
		"select region, count(*) from customers group by region":                            "EU 8",
		"select id, count(*) from customers group by id":                                    "",
		"select count(*) from customers c join notes n on n.body = c.region where c.id = 2": "", // 50 rows of one customer
		"select count(*) from customers c join notes n on n.body = c.region":                "400",
		"select id from customers group by id having 1 / (id - 2) > 0":                      "", // fails on customer 2 without the guard
		"select x.n + 1 from (select count(*) n from customers) x":                          "9",
		"select count(*) from customers where id <> 2 union all select 5":                   "7 5",
	} {
		rows, err := conn.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(sql, err)
		}
		var got []string
		for rows.Next() {
			for _, v := range rows.RawValues() {
				got = append(got, string(v))
			}
		}
		if err := rows.Err(); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q %v, want %q", sql, got, err, want)
		}
	}
	for _, sql := range []string{"select * from customers", "select max(name) from customers", "copy customers to stdout"} {
		if _, err := conn.Exec(t.Context(), sql); codeOf(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestMinGroupJSONOnTheServer: on a server that has aggregates which are no function calls they are no way to single rows either.
func TestMinGroupJSONOnTheServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Shared(t, 18)) // 5 customers of EU
	r.world.Relations[pgsql.Name{Schema: "public", Name: "customers"}].MinGroup = 5
	r.nextGeneration()
	conn := r.connect(t, "")
	var got string
	sql := "select json_object('region': region, 'n': count(*) returning text) from customers group by region"
	if err := conn.QueryRow(t.Context(), sql).Scan(&got); err != nil || got != `{"region" : "EU", "n" : 5}` {
		t.Errorf("%s: %s %v", sql, got, err)
	}
	for _, sql := range []string{
		"select count(*), json_arrayagg(name) from customers",
		"select json_objectagg(id: name), count(*) from customers",
		"select count(*), json_arrayagg(name) filter (where id = 2) from customers",
	} {
		if _, err := conn.Exec(t.Context(), sql); codeOf(err) != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
}
