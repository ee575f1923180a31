package pgwire

import (
	"errors"
	"maps"
	"strconv"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
)

// TestENF55_ParameterTypes: a client may declare a parameter as what a statement could cast to, and as nothing else. By the OID of any
// other type the server would read a value as the row of a hidden table, whose columns the errors tell, or look a role's name up in it.
func TestENF55_ParameterTypes(t *testing.T) {
	t.Parallel()
	r := newRig(t, pgtest.Default(t))
	r.db.Exec(t, "CREATE TYPE public.tier AS ENUM ('basic', 'gold'); CREATE DOMAIN public.pin AS text CHECK (VALUE ~ '^[0-9]+$')")
	oid := func(sql string) uint32 {
		n, err := strconv.ParseUint(r.db.Query(t, sql), 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		return uint32(n)
	}
	tier, tiers := oid("SELECT 'public.tier'::regtype::oid"), oid("SELECT 'public.tier[]'::regtype::oid")
	w := *r.world
	w.TypeOIDs = maps.Clone(w.TypeOIDs)
	if w.TypeOIDs == nil {
		w.TypeOIDs = map[uint32]struct{}{}
	}
	w.TypeOIDs[tier], w.TypeOIDs[tiers] = struct{}{}, struct{}{}
	r.install(&w)
	conn := r.connect(t, "").PgConn()

	for _, c := range []struct {
		what  string
		oid   uint32
		value string
	}{
		{"the row of a hidden table", oid("SELECT reltype FROM pg_class WHERE oid = 'public.payroll'::regclass"), "(1,2)"},
		{"an array of such rows", oid("SELECT typarray FROM pg_type WHERE oid = (SELECT reltype FROM pg_class WHERE oid = 'public.payroll'::regclass)"), "{}"},
		{"the table behind a view", oid("SELECT reltype FROM pg_class WHERE oid = 'public.customers'::regclass"), "(1,a,b,c)"},
		{"a domain that no column has", oid("SELECT 'public.pin'::regtype::oid"), "1"},
		{"access privileges, which name roles", 1033, "postgres=r/postgres"},
		{"an array of them", 1034, "{postgres=r/postgres}"},
		{"the row of pg_type, which names functions", 71, "(1)"},
		{"a table by its name", 2205, "payroll"},
		{"tables by their names", 2210, "{payroll}"},
		{"a role by its name", 4096, "postgres"},
		{"a text search configuration by its name", 3734, "public.x"},
		{"no type", 4_000_000_000, "x"},
	} {
		var pgErr *pgconn.PgError
		result := conn.ExecParams(t.Context(), "SELECT $1", [][]byte{[]byte(c.value)}, []uint32{c.oid}, nil, nil).Read()
		if !errors.As(result.Err, &pgErr) || pgErr.Code != "42501" || pgErr.Hint == "" {
			t.Errorf("a parameter declared as %s (%d): %v", c.what, c.oid, result.Err)
		}
	}
	for _, c := range []struct {
		what       string
		oid        uint32
		value, sql string
	}{
		{"what the server settles", 0, "7", "SELECT $1::int"},
		{"unknown", 705, "7", "SELECT $1::int"},
		{"int4", 23, "7", "SELECT $1"},
		{"text[]", 1009, "{a,b}", "SELECT $1"},
		{"jsonb", 3802, "{}", "SELECT $1"},
		{"int4range", 3904, "[1,3)", "SELECT $1"},
		{"an admitted column's enum", tier, "gold", "SELECT $1"},
		{"an array of it", tiers, "{gold}", "SELECT $1"},
	} {
		result := conn.ExecParams(t.Context(), c.sql, [][]byte{[]byte(c.value)}, []uint32{c.oid}, nil, nil).Read()
		if result.Err != nil || len(result.Rows) != 1 || string(result.Rows[0][0]) != c.value {
			t.Errorf("a parameter declared as %s: %q %v", c.what, result.Rows, result.Err)
		}
	}
}
