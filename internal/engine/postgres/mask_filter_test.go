package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/pgtest"
)

const filterTables = `
CREATE TYPE public.tier AS ENUM ('basic', 'gold');
CREATE TABLE public.customers (id int, region varchar(3), tier public.tier, balance numeric(12,2), since timestamp(0), code char(4), tags text[], owner text, big bigint);
CREATE TABLE public.assignments (agent text, customer_id int, active boolean);
CREATE TABLE public.teams (name text, lead text);
INSERT INTO public.customers SELECT i, (ARRAY['EU','US','APA',NULL])[1 + i % 4], (ARRAY['basic','gold',NULL]::public.tier[])[1 + i % 3], i * 1.5,
  '2026-01-01'::timestamp + i * interval '1 day', (ARRAY['a','EU','bb'])[1 + i % 3], ARRAY['t' || i % 5], (ARRAY['ana','bob',NULL])[1 + i % 3], i FROM generate_series(1, 60) i;
INSERT INTO public.customers (id) VALUES (NULL);
INSERT INTO public.assignments SELECT (ARRAY['ana','bob'])[1 + i % 2], CASE WHEN i % 9 > 0 THEN i END, i % 3 = 0 FROM generate_series(1, 40) i;
INSERT INTO public.teams VALUES ('x', 'ana'), ('y', 'bob'), ('z', NULL);
CREATE SCHEMA postern;
CREATE TABLE postern.attribute (role name, key text, value text);
INSERT INTO postern.attribute VALUES ('postgres', 'name', 'ana'), ('postgres', 'region', 'EU'), ('postgres', 'long', 'EUX4'), ('postgres', 'tier', 'gold'), ('postgres', 'limit', '20.004'), ('postgres', 'since', '2026-01-20'), ('postgres', 'id', '7'), ('postgres', 'list', 'EU,US');
`

// TestFilterMeaning: what the compiler makes of a filter selects exactly the rows that the text says, for a subject with and
// one without the attribute, in a WHERE and under NOT of one; the expectation is written by another way (ExpectFilter).
func TestFilterMeaning(t *testing.T) {
	filters := []string{
		"region = subject.region", "subject.region = region", "region <> subject.region", "NOT region = subject.region", "region = subject.long",
		"region IN (subject.region)", "region IN ('US', subject.region)", "region NOT IN ('US', subject.region)", "region = ANY (string_to_array(subject.list, ','))",
		"region LIKE subject.region || '%'", "region NOT LIKE subject.region", "upper(region) = upper(subject.region)", "code = subject.region", "code <> subject.region",
		"tier = subject.tier", "tier <> subject.tier", "tier >= subject.tier", "balance < subject.limit", "balance > subject.limit", "subject.limit >= balance", "NOT balance > subject.limit",
		"since >= subject.since", "id = subject.id", "id = subject.id::int", "big = subject.id", "id + 1 > subject.id::int", "id BETWEEN 1 AND subject.id::int",
		"region = subject.region OR id < 5", "region = subject.region IS NOT TRUE", "coalesce(region = subject.region, true)", "CASE WHEN region = subject.region THEN false ELSE true END",
		"owner = subject.name", "NOT (owner = subject.name AND id > 5)", "subject.name = 'ana'", "subject.name <> 'ana'",
		"id IN (SELECT customer_id FROM assignments WHERE agent = subject.name)", "id NOT IN (SELECT customer_id FROM assignments WHERE agent = subject.name)",
		"id NOT IN (SELECT customer_id FROM assignments WHERE customer_id IS NOT NULL AND agent <> subject.name)",
		"id = ANY (SELECT customer_id FROM assignments WHERE active)", "id <> ALL (SELECT customer_id FROM assignments WHERE active AND customer_id IS NOT NULL)",
		"EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id = customers.id AND a.agent = subject.name)",
		"EXISTS (SELECT * FROM assignments a WHERE customers.id = a.customer_id AND a.active)",
		"NOT EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id = customers.id AND a.agent = subject.name)",
		"NOT EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id = customers.id)",
		"EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id = id AND a.agent = owner)", "EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id = id) OR region = 'US'",
		"EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id + 1 = id AND a.active)", "EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id = id AND a.customer_id < balance)",
		"EXISTS (SELECT count(*) FROM assignments a WHERE a.customer_id = id)", "EXISTS (SELECT max(customer_id) FROM assignments a WHERE a.customer_id = id GROUP BY a.agent HAVING count(*) > 5)",
		"EXISTS (SELECT 1 FROM assignments a JOIN teams t ON t.lead = a.agent WHERE a.customer_id = id AND t.name = 'x')",
		"EXISTS (SELECT 1 FROM assignments a LEFT JOIN teams t ON t.lead = a.agent AND t.name = region WHERE a.customer_id = id)",
		"EXISTS (SELECT 1 FROM assignments a WHERE a.customer_id = id LIMIT 1)", "EXISTS (SELECT 1 FROM assignments WHERE agent = subject.name)",
		"(SELECT count(*) FROM assignments a WHERE a.customer_id = id) = 0", "id > (SELECT avg(customer_id) FROM assignments)",
		"id IN (SELECT customer_id FROM assignments UNION SELECT 50)", "(id, owner) IN (SELECT customer_id, agent FROM assignments)",
		"tags && ARRAY(SELECT 't' || customer_id FROM assignments WHERE customer_id < 3)", "tags[1] = 't1'",
		"id IN (SELECT a.customer_id FROM (SELECT customer_id, agent FROM assignments WHERE active) a WHERE a.agent = subject.name)",
	}
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db := c.NewDatabase(t)
		db.Exec(t, filterTables)
		conn := db.Connect(t, pgtest.SuperUser)
		if _, err := conn.Exec(t.Context(), "SET search_path = pg_catalog"); err != nil {
			t.Fatal(err)
		}
		table, opts, expect := filterMeaningWorld(t, conn)
		attributes := map[string]string{}
		rows, err := conn.Query(t.Context(), "SELECT key, value FROM postern.attribute")
		if err != nil {
			t.Fatal(err)
		}
		var key, value string
		if _, err := pgx.ForEachRow(rows, []any{&key, &value}, func() error { attributes[key] = value; return nil }); err != nil {
			t.Fatal(err)
		}
		for _, present := range []bool{true, false} {
			if !present {
				db.Exec(t, "DELETE FROM postern.attribute")
				attributes = nil
			}
			some := 0
			for _, text := range filters {
				f, err := pgsql.CompileFilter(text, table, opts)
				if err != nil {
					t.Errorf("%s: %v", text, err)
					continue
				}
				expect.Attributes = attributes
				want, missing, err := pgsql.ExpectFilter(text, expect)
				if err != nil {
					t.Errorf("%s: %v", text, err)
					continue
				}
				if len(missing) > 0 {
					want = "false"
				}
				got := queryColumn(t, conn, fmt.Sprintf("SELECT coalesce(id::text, '-') FROM public.customers WHERE (%s)", f.SQL))
				wanted := queryColumn(t, conn, fmt.Sprintf("SELECT coalesce(id::text, '-') FROM public.customers WHERE (%s)", want))
				slices.Sort(got)
				slices.Sort(wanted)
				if !slices.Equal(got, wanted) {
					t.Errorf("%s\n  compiled %s\n  got  %v\n  want %v", text, f.SQL, got, wanted)
				}
				if len(got) > 0 && len(got) < 61 {
					some++
				}
			}
			if present && some < len(filters)*3/4 {
				t.Errorf("only %d of %d filters choose some rows and not others", some, len(filters))
			}
		}
	})
}

// filterMeaningWorld reads the tables' columns from the server.
func filterMeaningWorld(t *testing.T, conn *pgx.Conn) (pgsql.FilterTable, pgsql.FilterOptions, pgsql.Expectation) {
	t.Helper()
	opts := pgsql.FilterOptions{Schemas: []string{"public"}, Tables: map[pgsql.Name]pgsql.FilterTable{}, Types: map[pgsql.Name]bool{{Schema: "public", Name: "tier"}: true}}
	expect := pgsql.Expectation{Schemas: opts.Schemas, Tables: map[pgsql.Name]bool{}, Types: opts.Types, User: pgtest.SuperUser}
	for _, line := range queryColumn(t, conn, "SELECT c.relname || ' ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 ORDER BY c.oid, a.attnum") {
		part := strings.SplitN(line, " ", 3)
		n := pgsql.Name{Schema: "public", Name: part[0]}
		table := opts.Tables[n]
		table.Name = n
		table.Columns = append(table.Columns, pgsql.FilterColumn{Name: part[1], Type: part[2]})
		opts.Tables[n] = table
		expect.Tables[n] = true
	}
	return opts.Tables[pgsql.Name{Schema: "public", Name: "customers"}], opts, expect
}
