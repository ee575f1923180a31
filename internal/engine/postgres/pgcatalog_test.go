package postgres

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/pgtest"
)

var updateCatalog = flag.Bool("update-catalog", false, "rewrite pgcatalog/columns_*.tsv from the servers")

// TestCatalogColumns compares the recorded columns of the catalog's relations with those of each server.
func TestCatalogColumns(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		conn := c.NewDatabase(t).Connect(t, pgtest.SuperUser)
		var b strings.Builder
		shown, empty := pgsql.CatalogRelations(c.Major)
		for _, n := range append(shown, empty...) {
			rows, err := conn.Query(t.Context(), `SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
				JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
				WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, n.Schema, n.Name)
			if err != nil {
				t.Fatal(err)
			}
			columns, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil || len(columns) == 0 {
				t.Fatalf("%s.%s has no columns: %v", n.Schema, n.Name, err)
			}
			fmt.Fprintf(&b, "%s.%s\t%s\n", n.Schema, n.Name, strings.Join(columns, ", "))
		}
		file := fmt.Sprintf("pgcatalog/columns_%d.tsv", c.Major)
		if *updateCatalog {
			if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if recorded, err := os.ReadFile(file); err != nil || string(recorded) != b.String() {
			t.Errorf("%s does not match the server (%v); run with -update-catalog and review", file, err)
		}
	})
}

// catalogApp is an application with admitted relations (customers, orders, events, sales.orders) and others.
const catalogApp = `
CREATE SCHEMA sales AUTHORIZATION cat_owner;
GRANT CREATE, USAGE ON SCHEMA public TO cat_owner;
SET ROLE cat_owner;
CREATE TYPE public.tier AS ENUM ('basic', 'gold');
CREATE TYPE public.hidden_kind AS ENUM ('CANARY-LABEL');
CREATE DOMAIN public.pin AS text CHECK (VALUE ~ '^[0-9]+$');
CREATE TABLE public.customers (id serial PRIMARY KEY, name text NOT NULL, email varchar(40) UNIQUE, tier public.tier, pin public.pin, dropped int,
  balance numeric(12,2) DEFAULT 0, up text GENERATED ALWAYS AS (upper(name)) STORED, CONSTRAINT canary_check CHECK (name <> 'CANARY-CHECK'));
ALTER TABLE public.customers DROP COLUMN dropped;
COMMENT ON TABLE public.customers IS 'people who buy';
COMMENT ON COLUMN public.customers.email IS 'where to write';
CREATE INDEX customers_name ON public.customers (lower(name));
CREATE TABLE public.payroll (id int PRIMARY KEY, kind public.hidden_kind, customer int REFERENCES public.customers);
COMMENT ON TABLE public.payroll IS 'CANARY-COMMENT';
CREATE TABLE public.orders (id int PRIMARY KEY, customer_id int REFERENCES public.customers (id) ON DELETE CASCADE, payroll_id int REFERENCES public.payroll (id));
CREATE TABLE sales.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz(3), tags text[]);
CREATE TABLE public.events (id int, region text) PARTITION BY LIST (region);
CREATE TABLE public.events_eu PARTITION OF public.events FOR VALUES IN ('EU');
CREATE TABLE public.products (id int PRIMARY KEY, sku text);
CREATE VIEW public.customer_report AS SELECT id, 'CANARY-VIEW'::text AS x FROM public.customers;
CREATE FUNCTION public.canary_function() RETURNS text LANGUAGE sql AS $$ SELECT 'CANARY-BODY'::text $$;
ALTER TABLE public.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY canary_policy ON public.customers USING (true);
INSERT INTO public.customers (name) SELECT 'n' || i FROM generate_series(1, 500) i;
ALTER TABLE public.customers ALTER email SET DEFAULT 'CANARY-DEFAULT';
CREATE INDEX condition_canary ON public.customers (id) WHERE email = 'CANARY-CONDITION';
CREATE INDEX expression_canary ON public.customers ((email = 'CANARY-EXPRESSION'));
RESET ROLE;
ANALYZE public.customers;`

// catalogWall is a profile as apply makes it, as far as the catalog needs one.
const catalogWall = `
SET ROLE cat_admin;
CREATE SCHEMA postern;
%s;
CREATE SCHEMA postern_shop_cat;
CREATE VIEW postern_shop_cat.customers AS SELECT id, name, NULL::varchar(40) AS email, tier, pin, balance, up FROM public.customers;
CREATE VIEW postern_shop_cat.orders AS SELECT id, customer_id, payroll_id FROM public.orders;
CREATE VIEW postern_shop_cat."sales.orders" AS SELECT id, at, tags FROM sales.orders;
CREATE VIEW postern_shop_cat.events AS SELECT id, region FROM public.events;
GRANT USAGE ON SCHEMA postern_shop_cat, public TO cat_prof;
GRANT SELECT ON ALL TABLES IN SCHEMA postern_shop_cat TO cat_prof;
GRANT UPDATE (name) ON postern_shop_cat.customers TO cat_prof;
GRANT SELECT ON public.products TO cat_prof;
INSERT INTO postern.relation VALUES
  ('cat_prof', 'public.customers'::regclass, 'postern_shop_cat.customers'::regclass, true),
  ('cat_prof', 'public.orders'::regclass, 'postern_shop_cat.orders'::regclass, true),
  ('cat_prof', 'sales.orders'::regclass, 'postern_shop_cat."sales.orders"'::regclass, false),
  ('cat_prof', 'public.events'::regclass, 'postern_shop_cat.events'::regclass, true),
  ('cat_prof', 'public.products'::regclass, 'public.products'::regclass, true);
RESET ROLE;`

// catalogFixture installs the catalog as the provisioner, and returns a connection of an identity role.
func catalogFixture(t *testing.T, c *pgtest.Cluster) (*pgtest.DB, *pgx.Conn) {
	t.Helper()
	c.Role(t, "cat_owner", "NOLOGIN")
	db := c.NewDatabase(t)
	db.Provisioner(t, "cat_admin", "cat_owner")
	c.Role(t, "cat_prof", "NOLOGIN")
	c.Role(t, "cat_ana")
	c.Exec(t, "GRANT cat_prof TO cat_ana")
	db.Exec(t, catalogApp)
	db.Exec(t, "REVOKE CREATE ON SCHEMA public FROM PUBLIC; REVOKE USAGE ON SCHEMA public FROM PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO cat_owner; GRANT USAGE ON SCHEMA public TO cat_prof; ALTER ROLE cat_ana SET search_path = postern_shop_cat")
	db.Exec(t, fmt.Sprintf(catalogWall, RelationTable))
	admin := db.Connect(t, "cat_admin")
	tx, err := admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range CatalogDDL(c.Major, "cat_admin") {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%v\n%s", err, sql)
		}
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db, db.Connect(t, "cat_ana")
}

// column runs a query of one text column.
func queryColumn(t *testing.T, conn *pgx.Conn, sql string, args ...any) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return out
}

// TestCatalogStandsIn: every relation on the list has a view of its columns in their order, every function is there under
// each signature of the real one, and all of it can be read by an identity role.
func TestCatalogStandsIn(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		_, conn := catalogFixture(t, c)
		shown, empty := pgsql.CatalogRelations(c.Major)
		for i, n := range append(shown, empty...) {
			target := CatalogTarget(catalog.Name(n))
			if got, verdict := pgsql.CatalogRelation(n.Schema, n.Name, c.Major); verdict != pgsql.CatalogRetarget || catalog.Name(got) != target {
				t.Errorf("%v goes to %v", n, got)
			}
			differ := queryColumn(t, conn, `WITH real AS (SELECT a.attnum, a.attname, CASE a.atttypid WHEN 'anyarray'::regtype THEN 'text[]' WHEN 'regproc'::regtype THEN 'oid' WHEN 'regtype'::regtype THEN 'oid' ELSE format_type(a.atttypid, a.atttypmod) END AS typ
					FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
					WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0),
				ours AS (SELECT a.attnum, a.attname, format_type(a.atttypid, a.atttypmod) AS typ FROM pg_attribute a
					JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
					WHERE n.nspname = $3 AND c.relname = $4 AND a.attnum > 0)
				SELECT coalesce(r.attname, '-') || '/' || coalesce(o.attname, '-') || ' ' || coalesce(r.typ, '-') || '/' || coalesce(o.typ, '-') FROM
				(SELECT row_number() OVER (ORDER BY attnum) AS n, attname, typ FROM real) r FULL JOIN (SELECT row_number() OVER (ORDER BY attnum) AS n, attname, typ FROM ours) o USING (n)
				WHERE (r.attname, r.typ) IS DISTINCT FROM (o.attname, o.typ)`, n.Schema, n.Name, target.Schema, target.Name)
			if len(differ) > 0 {
				t.Errorf("%v: %q", n, differ)
			}
			var rows int
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM (SELECT * FROM "+quoteName(target)+") x").Scan(&rows); err != nil {
				t.Errorf("read %v: %v", target, err)
			}
			if i >= len(shown) && rows != 0 {
				t.Errorf("%v has %d rows", target, rows)
			}
		}
		missing := queryColumn(t, conn, `SELECT relname FROM pg_class WHERE relnamespace = 'information_schema'::regnamespace AND relkind = 'v' AND relname !~ '^_'`)
		for _, name := range missing {
			if _, verdict := pgsql.CatalogRelation("information_schema", name, c.Major); verdict == pgsql.CatalogRefuse {
				t.Errorf("information_schema.%s is refused", name)
			}
		}
		for _, f := range pgsql.CatalogFunctions(c.Major) {
			lacking := queryColumn(t, conn, `SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ') ' || pg_get_function_result(p.oid) FROM pg_proc p
				WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = $1 AND NOT EXISTS (SELECT 1 FROM pg_proc q
				WHERE q.pronamespace = 'postern_catalog'::regnamespace AND q.proname = p.proname AND q.proargtypes = p.proargtypes AND q.prorettype = CASE p.proname WHEN 'pg_partition_ancestors' THEN 'oid'::regtype ELSE p.prorettype END AND q.proretset = p.proretset)`, f)
			if len(lacking) > 0 {
				t.Errorf("no stand-in for %q", lacking)
			}
		}
		for _, name := range []string{"pg_statistic", "pg_stats", "pg_authid", "pg_shadow", "pg_stat_activity", "pg_largeobject", "pg_locks", "pg_subscription", "", "pg_nothing", "pg_publication_namespace/15"} {
			if _, verdict := pgsql.CatalogRelation("pg_catalog", name, c.Major); verdict != pgsql.CatalogRefuse {
				t.Errorf("%s is not refused", name)
			}
		}
	})
}

// TestCatalogHides: nothing of what is not admitted shows in any view, and a failing predicate does not tell of it either.
func TestCatalogHides(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db, conn := catalogFixture(t, c)
		shown, _ := pgsql.CatalogRelations(c.Major)
		hidden := strings.Fields(db.Query(t, `SELECT string_agg(oid::text, ' ') FROM pg_class WHERE relname IN ('payroll', 'payroll_pkey', 'customer_report', 'events_eu')`))
		for _, n := range shown {
			for _, line := range queryColumn(t, conn, "SELECT coalesce((x.*)::text, '') FROM "+quoteName(CatalogTarget(catalog.Name(n)))+" x") {
				for _, secret := range []string{"CANARY", "payroll,", "payroll_pkey", "hidden_kind", "customer_report", "events_eu", "cat_prof", "postern_", "(postern", "canary"} {
					if strings.Contains(line, secret) {
						t.Errorf("%v shows %s: %s", n, secret, line)
					}
				}
			}
		}
		for _, oid := range hidden {
			for _, call := range []string{"pg_get_indexdef(%s)", "pg_table_size(%s)::text", "obj_description(%s, 'pg_class')", "pg_table_is_visible(%s)::text", "has_table_privilege(%s, 'SELECT')::text", "col_description(%s, 1)"} {
				if got := queryColumn(t, conn, "SELECT coalesce(postern_catalog."+fmt.Sprintf(call, oid)+", 'NULL')"); got[0] != "NULL" {
					t.Errorf("%s: %s", fmt.Sprintf(call, oid), got[0])
				}
			}
		}
		for typ, want := range map[string]string{
			"public.payroll": "???", "public.payroll[]": "???", "public.hidden_kind": "???", "public.customer_report": "???",
			"public.orders": "public.orders", "public.orders[]": "public.orders[]", "public.tier": "public.tier", "public.pin": "public.pin", "int": "integer",
		} {
			oid := db.Query(t, "SELECT '"+typ+"'::regtype::oid::text")
			if got := queryColumn(t, conn, "SELECT postern_catalog.format_type($1::text::oid, NULL)", oid); got[0] != want {
				t.Errorf("format_type of %s: %s, want %s", typ, got[0], want)
			}
		}
		if got := queryColumn(t, conn, "SELECT concat_ws(' ', postern_catalog.format_type(NULL, NULL), postern_catalog.format_type('numeric'::regtype, 786438))"); got[0] != "numeric(12,2)" {
			t.Errorf("format_type: %q", got)
		}
		for typ, want := range map[string]string{"public.payroll": "NULL", "_payroll": "NULL", "nowhere": "NULL", "public.tier": "true", "int": "true"} {
			if got := queryColumn(t, conn, "SELECT coalesce(postern_catalog.has_type_privilege($1::text, 'USAGE')::text, 'NULL')", typ); got[0] != want {
				t.Errorf("has_type_privilege of %s: %s, want %s", typ, got[0], want)
			}
		}
		for call, want := range map[string]string{
			"has_database_privilege('postgres', 'CONNECT')": "NULL", "has_database_privilege('nowhere', 'CONNECT')": "NULL",
			"has_database_privilege(current_database(), 'CONNECT')": "true", "has_database_privilege(current_user, current_database(), 'CREATE')": "false",
			"has_database_privilege((SELECT oid FROM pg_database WHERE datname = 'template1'), 'CONNECT')": "NULL",
			"has_database_privilege('cat_owner', current_database(), 'CONNECT')":                           "NULL",
			"has_database_privilege('nobody_at_all', current_database(), 'CONNECT')":                       "NULL",
			"has_tablespace_privilege('nowhere', 'CREATE')":                                                "NULL", "has_tablespace_privilege('pg_default', 'CREATE')": "false",
		} {
			if got := queryColumn(t, conn, "SELECT coalesce(postern_catalog."+call+"::text, 'NULL')"); got[0] != want {
				t.Errorf("%s: %s, want %s", call, got[0], want)
			}
		}
		if got := queryColumn(t, conn, "SELECT coalesce(postern_catalog.to_regclass('public.payroll')::text, 'NULL')"); got[0] != "NULL" {
			t.Errorf("to_regclass finds %s", got[0])
		}
		for _, sql := range []string{
			"SELECT count(*) FROM postern_catalog.pg_class WHERE 1 / (CASE WHEN relname = 'payroll' THEN 0 ELSE 1 END) = 1",
			"SELECT count(*) FROM postern_catalog.pg_attribute a JOIN postern_catalog.pg_class c ON c.oid = a.attrelid WHERE 1 / (CASE WHEN relname::text = 'payroll' THEN 0 ELSE 1 END) = 1",
			"SELECT count(*) FROM postern_catalog.pg_description WHERE 1 / (CASE WHEN description LIKE 'CANARY%' THEN 0 ELSE 1 END) = 1",
			"SELECT count(*) FROM postern_catalog.pg_enum WHERE 1 / (CASE WHEN enumlabel LIKE 'CANARY%' THEN 0 ELSE 1 END) = 1",
		} {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Errorf("%v: %s", err, sql)
			}
		}
		if got := queryColumn(t, conn, "SELECT DISTINCT reltuples::text FROM postern_catalog.pg_class"); len(got) != 1 || got[0] != "-1" {
			t.Errorf("reltuples %q", got)
		}
		other := db.Connect(t, "cat_admin") // without a profile: the system only
		if got := queryColumn(t, other, "SELECT relname::text FROM postern_catalog.pg_class c WHERE oid >= 16384"); len(got) != 0 {
			t.Errorf("a role without a profile sees %q", got)
		}
	})
}

// TestCatalogShows: what the profile admits, under the application's names.
func TestCatalogShows(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db, conn := catalogFixture(t, c)
		for _, tc := range []struct{ sql, want string }{
			{
				"SELECT string_agg(n.nspname || '.' || c.relname || ':' || c.relkind::text, ' ' ORDER BY n.nspname, c.relname) FROM postern_catalog.pg_class c JOIN postern_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid >= 16384 AND relkind IN ('r','p','v')",
				"public.customers:r public.events:p public.orders:r public.products:r sales.orders:r",
			},
			{"SELECT string_agg(relname, ' ' ORDER BY relname COLLATE \"C\") FROM postern_catalog.pg_class WHERE relkind = 'i' AND oid >= 16384", "customers_email_key customers_name customers_pkey orders_pkey orders_pkey products_pkey"},
			{"SELECT string_agg(attname, ' ' ORDER BY attnum) FROM postern_catalog.pg_attribute WHERE attrelid = postern_catalog.to_regclass('customers') AND attnum > 0 AND NOT attisdropped", "id name email tier pin balance up"},
			{"SELECT string_agg(conname, ' ' ORDER BY conname) FROM postern_catalog.pg_constraint WHERE conrelid >= 16384 AND contype <> 'n'", "customers_email_key customers_pkey orders_customer_id_fkey orders_pkey orders_pkey products_pkey"},
			{"SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM postern_catalog.pg_namespace", "information_schema pg_catalog public sales"},
			{"SELECT string_agg(datname, ' ') FROM postern_catalog.pg_database", db.Name},
			{"SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM postern_catalog.pg_roles WHERE oid >= 16384", "cat_ana cat_owner"},
			{"SELECT string_agg(typname, ' ' ORDER BY typname COLLATE \"C\") FROM postern_catalog.pg_type WHERE oid >= 16384 AND typrelid = 0", "_customers _events _orders _orders _pin _products _tier pin tier"},
			{"SELECT string_agg(enumlabel, ' ' ORDER BY enumsortorder) FROM postern_catalog.pg_enum", "basic gold"},
			{
				"SELECT string_agg(table_schema || '.' || table_name || ' ' || table_type || ' ' || is_insertable_into, ', ' ORDER BY table_schema, table_name) FROM postern_catalog.\"information_schema.tables\" WHERE table_schema IN ('public', 'sales')",
				"public.customers BASE TABLE NO, public.events BASE TABLE NO, public.orders BASE TABLE NO, public.products BASE TABLE NO, sales.orders BASE TABLE NO",
			},
			{
				"SELECT string_agg(column_name || ' ' || data_type || ' ' || is_nullable || ' ' || is_updatable, ', ' ORDER BY ordinal_position) FROM postern_catalog.\"information_schema.columns\" WHERE table_name = 'customers'",
				"id integer NO NO, name text NO YES, email character varying YES NO, tier USER-DEFINED YES NO, pin text YES NO, balance numeric YES NO, up text YES NO",
			},
			{"SELECT string_agg(constraint_name || ' ' || constraint_type, ', ' ORDER BY constraint_name) FROM postern_catalog.\"information_schema.table_constraints\" WHERE table_name = 'orders' AND table_schema = 'public'", "orders_customer_id_fkey FOREIGN KEY, orders_pkey PRIMARY KEY"},
			{"SELECT string_agg(constraint_name || ' ' || column_name || ' ' || ordinal_position || ' ' || coalesce(position_in_unique_constraint, 0), ', ' ORDER BY constraint_name) FROM postern_catalog.\"information_schema.key_column_usage\" WHERE table_name = 'orders' AND table_schema = 'public'", "orders_customer_id_fkey customer_id 1 1, orders_pkey id 1 0"},
			{"SELECT string_agg(constraint_name || ' ' || unique_constraint_name || ' ' || delete_rule, ', ') FROM postern_catalog.\"information_schema.referential_constraints\" WHERE constraint_schema = 'public'", "orders_customer_id_fkey customers_pkey CASCADE"},
			{"SELECT string_agg(table_name || ' ' || column_name, ', ') FROM postern_catalog.\"information_schema.constraint_column_usage\" WHERE constraint_name = 'orders_customer_id_fkey'", "customers id"},
			{"SELECT string_agg(schema_name, ' ' ORDER BY schema_name) FROM postern_catalog.\"information_schema.schemata\"", "information_schema pg_catalog public sales"},
			{"SELECT string_agg(tablename || ' ' || tableowner, ', ' ORDER BY schemaname, tablename) FROM postern_catalog.pg_tables WHERE schemaname IN ('public', 'sales')", "customers cat_owner, events cat_owner, orders cat_owner, products cat_owner, orders cat_owner"},
			{"SELECT indexdef FROM postern_catalog.pg_indexes WHERE indexname = 'customers_name'", "CREATE INDEX customers_name ON public.customers USING btree (lower(name))"},
			{"SELECT postern_catalog.obj_description(postern_catalog.to_regclass('public.customers'), 'pg_class')", "people who buy"},
			{"SELECT postern_catalog.col_description(postern_catalog.to_regclass('customers'), 3)", "where to write"},
			{"SELECT postern_catalog.pg_get_serial_sequence('customers', 'id')", "public.customers_id_seq"},
			{"SELECT postern_catalog.pg_get_serial_sequence('sales.orders', 'id')", "sales.orders_id_seq"},
			{"SELECT postern_catalog.pg_get_partkeydef(postern_catalog.to_regclass('events'))", "LIST (region)"},
			{"SELECT string_agg(postern_catalog.pg_get_constraintdef(oid), ', ' ORDER BY conname) FROM postern_catalog.pg_constraint WHERE conrelid = postern_catalog.to_regclass('orders') AND contype <> 'n'", "FOREIGN KEY (customer_id) REFERENCES customers(id) ON DELETE CASCADE, PRIMARY KEY (id)"},
			{"SELECT concat_ws(' ', postern_catalog.has_table_privilege('customers', 'SELECT'), postern_catalog.has_table_privilege('customers', 'DELETE'), postern_catalog.has_column_privilege('public.customers', 'name', 'UPDATE'), postern_catalog.has_column_privilege('customers', 3::smallint, 'UPDATE'), postern_catalog.has_any_column_privilege('customers', 'UPDATE'))", "t f t f t"},
			{"SELECT concat_ws(' ', postern_catalog.has_table_privilege(current_user, 'customers', 'SELECT'), postern_catalog.has_table_privilege('cat_owner', 'customers', 'SELECT'), postern_catalog.has_table_privilege('pg_class', 'SELECT'), postern_catalog.has_schema_privilege('sales', 'USAGE'), postern_catalog.has_schema_privilege('sales', 'CREATE'))", "t t t f"},
			{"SELECT string_agg(c.relname || ' ' || postern_catalog.pg_table_is_visible(c.oid), ', ' ORDER BY relnamespace::regnamespace::text, relname) FROM postern_catalog.pg_class c WHERE relname IN ('customers', 'orders', 'pg_class', 'customers_pkey')", "pg_class true, customers true, customers_pkey true, orders true, orders false"},
			{"SELECT postern_catalog.pg_get_userbyid(oid) FROM pg_roles WHERE rolname = 'cat_prof'", ""},
			{"SELECT column_default FROM postern_catalog.\"information_schema.columns\" WHERE table_name = 'customers' AND column_name = 'id'", "nextval('public.customers_id_seq'::regclass)"},
			{"SELECT string_agg(column_name || ' ' || coalesce(column_default, generation_expression), ', ' ORDER BY column_name) FROM postern_catalog.\"information_schema.columns\" WHERE table_name = 'customers' AND column_name <> 'id'", "balance 0, up upper(name)"},
		} {
			got := queryColumn(t, conn, tc.sql)
			if tc.want == "" && len(got) == 1 && strings.HasPrefix(got[0], "unknown (OID=") {
				continue
			}
			if len(got) != 1 || got[0] != tc.want {
				t.Errorf("%s\ngot  %q\nwant %q", tc.sql, got, tc.want)
			}
		}
	})
}

// TestCatalogColumnsSinceApply: what the application adds is not shown, nor named by an index, a key, a default or a comment, before the
// profile's view has it; the same columns are shown once it has them (ENF-24, ENF-92).
func TestCatalogColumnsSinceApply(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db, conn := catalogFixture(t, c)
		db.Exec(t, `SET ROLE cat_owner;
			ALTER TABLE public.customers ADD COLUMN secret_note public.hidden_kind DEFAULT 'CANARY-LABEL', ADD COLUMN secret_key int UNIQUE, ADD COLUMN secret_serial serial;
			CREATE INDEX secret_expression ON public.customers ((secret_key + 1));
			CREATE INDEX secret_partial ON public.customers (name) WHERE secret_key > 0;
			COMMENT ON COLUMN public.customers.secret_note IS 'CANARY-COMMENT';
			ALTER TABLE public.products ADD COLUMN secret_price int, ADD CONSTRAINT secret_fk FOREIGN KEY (secret_price) REFERENCES public.orders (id);
			RESET ROLE; REVOKE SELECT ON public.products FROM cat_prof; GRANT SELECT (id, sku) ON public.products TO cat_prof`)
		shown, _ := pgsql.CatalogRelations(c.Major)
		customers := db.Query(t, "SELECT 'public.customers'::regclass::oid")
		everything := func() string {
			var b strings.Builder
			for _, n := range shown {
				b.WriteString(strings.Join(queryColumn(t, conn, "SELECT coalesce((x.*)::text, '') FROM "+quoteName(CatalogTarget(catalog.Name(n)))+" x"), "\n"))
			}
			return b.String() + strings.Join(queryColumn(t, conn, `SELECT coalesce(postern_catalog.pg_get_serial_sequence('customers', 'secret_serial'), '-') || coalesce(postern_catalog.col_description(`+customers+`, 9), '-')`), "")
		}
		for _, found := range regexp.MustCompile(`secret_\w+|CANARY[-\w]+`).FindAllString(everything(), -1) {
			t.Errorf("%s is shown before the profile has it", found)
		}
		db.Exec(t, `SET ROLE cat_admin; CREATE OR REPLACE VIEW postern_shop_cat.customers AS SELECT id, name, NULL::varchar(40) AS email, tier, pin, balance, up, secret_note, secret_key, secret_serial FROM public.customers;
			RESET ROLE; GRANT SELECT ON public.products TO cat_prof`)
		after := everything()
		for _, want := range []string{"secret_note", "secret_key_key", "secret_expression", "secret_partial", "secret_price", "secret_fk", "customers_secret_serial_seq", "CANARY-COMMENT"} {
			if !strings.Contains(after, want) {
				t.Errorf("%s is not shown although the profile has it", want)
			}
		}
	})
}

// TestCatalogDomainDefaults: the default of a domain is a masked column's as much as its own would be, through arrays and domains over
// domains too. That of a domain which only columns have that are shown as they are is shown.
func TestCatalogDomainDefaults(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db, conn := catalogFixture(t, c)
		db.Exec(t, `SET ROLE cat_owner;
			CREATE DOMAIN public.inner_code AS text DEFAULT 'CANARY-INNER'; CREATE DOMAIN public.code AS public.inner_code DEFAULT 'CANARY-OUTER';
			CREATE DOMAIN public.word AS text DEFAULT 'CANARY-WORD'; CREATE DOMAIN public.open_code AS text DEFAULT 'shown';
			ALTER TABLE public.customers ADD COLUMN code public.code, ADD COLUMN words public.word[], ADD COLUMN open_code public.open_code;
			SET ROLE cat_admin; DROP VIEW postern_shop_cat.customers;
			CREATE VIEW postern_shop_cat.customers AS SELECT id, name, NULL::varchar(40) AS email, tier, pin, balance, up, NULL::public.code AS code, NULL::public.word[] AS words, open_code
				FROM public.customers;
			UPDATE postern.relation SET view = 'postern_shop_cat.customers'::regclass WHERE base = 'public.customers'::regclass;
			RESET ROLE; GRANT SELECT ON postern_shop_cat.customers TO cat_prof; GRANT UPDATE (name) ON postern_shop_cat.customers TO cat_prof`)
		for _, tc := range []struct{ sql, want string }{
			{
				"SELECT string_agg(typname || ' ' || coalesce(typdefault, '-'), ', ' ORDER BY typname COLLATE \"C\") FROM postern_catalog.pg_type WHERE typtype = 'd' AND oid >= 16384",
				"code -, inner_code -, open_code 'shown'::text, pin -, word -",
			},
			{"SELECT count(*)::text FROM postern_catalog.pg_type WHERE typtype = 'd' AND oid >= 16384 AND typdefaultbin IS NOT NULL", "1"},
			{"SELECT count(*)::text FROM postern_catalog.pg_type x WHERE (x.*)::text LIKE '%CANARY%'", "0"},
		} {
			if got := queryColumn(t, conn, tc.sql); len(got) != 1 || got[0] != tc.want {
				t.Errorf("%s\ngot  %q\nwant %q", tc.sql, got, tc.want)
			}
		}
	})
}

// retarget rewrites catalog names in a tool's query the way the guard does, for queries that qualify them.
func retarget(sql string, major int) string {
	name := regexp.MustCompile(`'?(pg_catalog|information_schema)\.(\w+)(\s*\()?`)
	return name.ReplaceAllStringFunc(sql, func(found string) string {
		m := name.FindStringSubmatch(found)
		if strings.HasPrefix(found, "'") {
			return found
		}
		if m[3] != "" {
			if target, ok := pgsql.CatalogFunction(m[2], major); ok {
				return quoteName(catalog.Name(target)) + m[3]
			}
			return found
		}
		if target, verdict := pgsql.CatalogRelation(m[1], m[2], major); verdict == pgsql.CatalogRetarget {
			return quoteName(catalog.Name(target))
		}
		return found
	})
}

// TestCatalogPsql runs the queries that psql sends, caught from psql itself, as an identity role through the stand-ins.
func TestCatalogPsql(t *testing.T) {
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		db, conn := catalogFixture(t, c)
		var out strings.Builder
		for _, command := range []string{`\dt`, `\d customers`, `\d public.orders`, `\d sales.orders`, `\d events`, `\d+ customers`, `\dt+`, `\di+`, `\dn`, `\df`, `\di`, `\dT`, `\du`, `\dv`, `\dp`} {
			psql := exec.CommandContext(t.Context(), "psql", "-X", "-E", "-d", db.DSN(pgtest.SuperUser), "-c", command)
			raw, err := psql.CombinedOutput()
			if err != nil {
				t.Fatalf("psql %s: %v\n%s", command, err, raw)
			}
			fmt.Fprintf(&out, "== %s\n", command)
			for _, part := range strings.Split(string(raw), "********* QUERY **********\n")[1:] {
				sql, _, _ := strings.Cut(part, "**************************")
				rows, err := conn.Query(t.Context(), retarget(sql, c.Major), pgx.QueryExecModeSimpleProtocol)
				if err != nil {
					t.Errorf("psql %s: %v\n%s", command, err, retarget(sql, c.Major))
					continue
				}
				for rows.Next() {
					var line []string
					for _, v := range rows.RawValues() {
						line = append(line, string(v))
					}
					fmt.Fprintln(&out, regexp.MustCompile(`\b\d{5}\b`).ReplaceAllString(strings.Join(line, "|"), "OID"))
				}
				if err := rows.Err(); err != nil {
					t.Errorf("psql %s: %v\n%s", command, err, retarget(sql, c.Major))
				}
			}
		}
		got := strings.ReplaceAll(out.String(), db.Name, "DATABASE")
		if strings.Contains(got, "CANARY") || strings.Contains(got, "payroll_pkey") || strings.Contains(got, "cat_prof") {
			t.Errorf("something hidden is shown:\n%s", got)
		}
		// psql's own version decides which columns it asks for; these lines are in every answer.
		for _, want := range []string{
			"public|customers|table|cat_owner", "public|events|partitioned table|cat_owner", "OID|public|customers", "OID|sales|orders",
			"name|text||t|", "email|character varying(40)||f|", "balance|numeric(12,2)|0|f|", "up|text|upper(name)|f|",
			"customers_pkey|t|t|f|t|CREATE UNIQUE INDEX customers_pkey ON public.customers USING btree (id)|PRIMARY KEY (id)|p|",
			"FOREIGN KEY (customer_id) REFERENCES customers(id) ON DELETE CASCADE", "LIST (region)", "where to write",
			"sales|cat_owner", "public|customers_name|index|cat_owner|customers", "tier|", "cat_ana|f|t|f|f|t|",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("psql does not show %q:\n%s", want, got)
			}
		}
	})
}

// TestCatalogJDBC runs the texts of pgjdbc's getTables, getColumns and getPrimaryKeys.
func TestCatalogJDBC(t *testing.T) {
	queries := []struct{ sql, want string }{
		{
			`SELECT n.nspname AS "TABLE_SCHEM", c.relname AS "TABLE_NAME", CASE n.nspname ~ '^pg_' OR n.nspname = 'information_schema' WHEN true THEN 'SYSTEM' WHEN false THEN CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' ELSE NULL END END AS "TABLE_TYPE", d.description AS "REMARKS" FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 and d.classoid = 'pg_class'::regclass) WHERE c.relnamespace = n.oid AND (false OR ( c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ) OR ( c.relkind = 'p' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ) OR ( c.relkind = 'v' AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' )) ORDER BY "TABLE_TYPE","TABLE_SCHEM","TABLE_NAME"`,
			"public|events|PARTITIONED TABLE| / public|customers|TABLE|people who buy / public|orders|TABLE| / public|products|TABLE| / sales|orders|TABLE|",
		},
		{
			`SELECT c.attname, c.attnotnull::text, c.attnum::text, c.adsrc, c.description FROM (SELECT n.nspname,c.relname,a.attname,a.atttypid,a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull,a.atttypmod,a.attlen,t.typtypmod,row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') as attidentity,nullif(a.attgenerated, '') as attgenerated,pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc,dsc.description,t.typbasetype,t.typtype  FROM pg_catalog.pg_namespace n  JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid)  JOIN pg_catalog.pg_attribute a ON (a.attrelid=c.oid)  JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid)  LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid=def.adrelid AND a.attnum = def.adnum)  LEFT JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)  LEFT JOIN pg_catalog.pg_class dc ON (dc.oid=dsc.classoid AND dc.relname='pg_class')  LEFT JOIN pg_catalog.pg_namespace dn ON (dc.relnamespace=dn.oid AND dn.nspname='pg_catalog')  WHERE c.relkind in ('r','p','v','f','m') and a.attnum > 0 AND NOT a.attisdropped  AND c.relname LIKE 'customers') c WHERE true  ORDER BY nspname,c.relname,attnum`,
			"id|true|1|nextval('public.customers_id_seq'::regclass)| / name|true|2|| / email|false|3||where to write / tier|false|4|| / pin|false|5|| / balance|false|6|0| / up|false|7|upper(name)|",
		},
		{
			`SELECT result."TABLE_SCHEM", result."TABLE_NAME", result."COLUMN_NAME", result."KEY_SEQ"::text, result."PK_NAME" FROM (SELECT NULL AS "TABLE_CAT", n.nspname AS "TABLE_SCHEM", ct.relname AS "TABLE_NAME", a.attname AS "COLUMN_NAME", (information_schema._pg_expandarray(i.indkey)).n AS "KEY_SEQ", ci.relname AS "PK_NAME", information_schema._pg_expandarray(i.indkey) AS "KEYS", a.attnum AS "A_ATTNUM" FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON ( a.attrelid = i.indrelid) JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid) WHERE true AND ct.relname = 'orders' AND i.indisprimary ) result where result."A_ATTNUM" = (result."KEYS").x ORDER BY result."TABLE_SCHEM", result."PK_NAME", result."KEY_SEQ"`,
			"public|orders|id|1|orders_pkey / sales|orders|id|1|orders_pkey",
		},
	}
	pgtest.EachMajor(t, func(t *testing.T, c *pgtest.Cluster) {
		_, conn := catalogFixture(t, c)
		for _, q := range queries {
			rows, err := conn.Query(t.Context(), retarget(q.sql, c.Major), pgx.QueryExecModeSimpleProtocol)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for rows.Next() {
				var line []string
				for _, v := range rows.RawValues() {
					line = append(line, string(v))
				}
				lines = append(lines, strings.Join(line, "|"))
			}
			if got := strings.Join(lines, " / "); rows.Err() != nil || got != q.want {
				t.Errorf("got  %s\nwant %s\n(%v)", got, q.want, rows.Err())
			}
		}
	})
}

// TestCatalogFiles: each file of the folder is read by something, and nothing is asked for that is not there.
func TestCatalogFiles(t *testing.T) {
	t.Parallel()
	for major := 13; major <= 19; major++ {
		columns := catalogColumns(major)
		shown, empty := pgsql.CatalogRelations(major)
		for i, n := range append(shown, empty...) {
			if len(columns[catalog.Name(n)]) == 0 {
				t.Errorf("%d: no columns are recorded for %v", major, n)
			}
			if text := catalogFile("views/" + n.Schema + "." + n.Name + ".sql"); (text != "") != (i < len(shown)) {
				t.Errorf("%d: %v: %q", major, n, text)
			}
		}
		if catalogFile("helpers.sql") == "" || catalogFile("functions.sql") == "" || CatalogDigest(major) == "" {
			t.Error("a file is missing")
		}
	}
	if CatalogDigest(15) == CatalogDigest(16) {
		t.Error("the digest does not tell majors apart")
	}
}
