package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/plan"
)

// shopApp is an application with roles of its own, rights of PUBLIC's, two schemas with equal table names, a sequence and routines.
const shopApp = `
ALTER SCHEMA public OWNER TO app_owner;
CREATE SCHEMA sales AUTHORIZATION app_owner;
GRANT USAGE ON SCHEMA sales TO PUBLIC;
SET ROLE app_owner;
CREATE TABLE public.customers (id serial PRIMARY KEY, name text NOT NULL, email text, region text NOT NULL, notes text);
CREATE TABLE public.orders (id int PRIMARY KEY, customer_id int REFERENCES public.customers, total numeric(10,2), memo text);
CREATE TABLE public.products (id int PRIMARY KEY, sku text);
CREATE TABLE public.secrets (id int PRIMARY KEY, word text);
CREATE TABLE sales.orders (id int PRIMARY KEY, region text, amount int);
INSERT INTO public.customers (name, email, region, notes) VALUES ('Ann', 'ann@x.test', 'EU', 'n1'), ('Bob', 'bob@y.test', 'US', 'n2'), ('Cyd', 'cyd@z.test', 'EU', 'n3');
INSERT INTO public.orders VALUES (1, 1, 10, 'm1'), (2, 2, 20, 'm2'), (3, 3, 30, 'm3');
INSERT INTO public.products VALUES (1, 'sku-1'), (2, 'sku-2');
INSERT INTO public.secrets VALUES (1, 'hush');
INSERT INTO sales.orders VALUES (1, 'EU', 100), (2, 'US', 200);
CREATE VIEW public.report AS SELECT id, email FROM public.customers;
CREATE FUNCTION public.email_of(int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT email FROM public.customers WHERE id = $1';
CREATE PROCEDURE public.noop() LANGUAGE sql AS 'SELECT 1';
GRANT SELECT, INSERT, UPDATE, DELETE ON public.customers, public.orders, sales.orders TO shop_app;
GRANT USAGE ON SEQUENCE public.customers_id_seq TO shop_app;
GRANT SELECT (id, name) ON public.customers TO shop_half;
GRANT SELECT ON public.products, public.report TO PUBLIC;
GRANT SELECT (id) ON public.secrets TO PUBLIC;
GRANT SELECT ON public.orders TO shop_group;
ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
RESET ROLE;
SELECT lo_from_bytea(4242, 'x');
ALTER LARGE OBJECT 4242 OWNER TO app_owner;
GRANT SELECT ON LARGE OBJECT 4242 TO PUBLIC;
`

const shopPolicy = `
users:
  ana: {scram: ` + testVerifier + `, attributes: {region: EU}}
  sam: {scram: ` + testVerifier + `}
labels:
  shop.public.customers.email: contact.email
masks:
  m: {contact.email: partial_email, shop.public.orders.memo: hidden, unlabelled: keep}
datasets:
  d: {include: [shop.public.customers, shop.public.orders, shop.public.products, shop.sales.orders]}
rules:
  eu:
    to: [ana]
    on: d
    level: read
    rows:
      shop.public.customers: "region = subject.region"
      shop.public.orders: "customer_id IN (SELECT id FROM customers WHERE region = subject.region)"
      shop.sales.orders: "region = subject.region"
    masks: m
  desk:
    to: [sam]
    on: d
    level: write
    rows: {shop.public.customers: "id > 1"}
    masks: m
    write: {shop.public.customers: {update: [notes], insert: [name, region], delete: true}}
`

// newShop is a shop with its roles, on a cluster of its own: role names are fixed.
func newShop(t *testing.T, c *pgtest.Cluster) *wallSite {
	t.Helper()
	c.Role(t, "shop_app", "NOSUPERUSER")
	c.Role(t, "shop_half", "NOSUPERUSER")
	c.Role(t, "shop_group", "NOLOGIN")
	c.Role(t, "shop_reader", "NOSUPERUSER IN ROLE shop_group")
	c.Role(t, "shop_stubborn", "NOSUPERUSER NOINHERIT")
	w := newWallSite(t, c, shopApp, "app_owner")
	w.policy(t, "public, sales", shopPolicy)
	return w
}

// tamper is something changed by hand, and how the next plan has to name it.
type tamper struct{ name, sql, named string }

// wallDrift changes things by hand, wants each named, and wants apply to put them right: apply itself fails when anything is left.
func wallDrift(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	r := w.apply(t)
	eu := r.Wanted.Identity("ana").Profile
	replace := strings.NewReplacer("{schema}", eu.Schema, "{prof}", eu.Role, "{mask}", eu.Masker)
	for _, together := range [][]tamper{
		{
			{"view", `CREATE OR REPLACE VIEW {schema}.customers AS SELECT * FROM public.customers`, "definition of view {schema}.customers was changed"},
			{"policy", `ALTER POLICY postern_shop_rule_eu_r ON public.customers USING (true)`, "policy postern_shop_rule_eu_r on public.customers was changed by hand"},
			{"way of others", `DROP POLICY postern_shop_foreign ON public.customers`, "policy postern_shop_foreign on public.customers was dropped"},
			{"grant on base", `GRANT SELECT ON public.secrets TO {prof}`, `{prof} was given SELECT on "public"."secrets" by hand`},
			{"column grant", `GRANT UPDATE (email) ON public.customers TO postern_shop_rule_eu`, `postern_shop_rule_eu was given UPDATE ("email") on "public"."customers" by hand`},
			{"search_path", `ALTER ROLE ana IN DATABASE {db} SET search_path = public`, "search_path of role ana was changed by hand"},
			{"nologin", `ALTER ROLE ana NOLOGIN`, "attributes of role ana were changed by hand"},
			{"rule membership gone", `REVOKE postern_shop_rule_eu FROM {mask}`, "{mask} is no longer a member of postern_shop_rule_eu"},
		},
		{
			{"view gone", `DROP VIEW {schema}.orders`, "view {schema}.orders is gone"},
			{"view owner", `ALTER VIEW {schema}.customers OWNER TO app_owner`, "owner of view {schema}.customers was changed by hand to app_owner"},
			{"policy roles", `ALTER POLICY postern_shop_rule_eu_r ON public.customers TO PUBLIC`, "policy postern_shop_rule_eu_r on public.customers was changed by hand"},
			{"grant to identity", `GRANT SELECT ON public.secrets TO ana`, `ana was given SELECT on "public"."secrets" by hand`},
			{"grant taken", `REVOKE SELECT (email) ON public.customers FROM postern_shop_rule_eu`, `postern_shop_rule_eu lacks SELECT ("email") on "public"."customers"`},
			{"setting", `ALTER ROLE ana SET work_mem = '1GB'`, "role ana was given the setting work_mem by hand"},
			{"masker login", `ALTER ROLE {mask} LOGIN`, "role {mask} was given attributes by hand"},
		},
		{
			{"view option", `ALTER VIEW {schema}.customers SET (security_barrier = true)`, "definition of view {schema}.customers was changed"},
			{"policy gone", `DROP POLICY postern_shop_rule_eu_r ON public.customers`, "policy postern_shop_rule_eu_r on public.customers was dropped"},
			{"row security", `ALTER TABLE public.customers DISABLE ROW LEVEL SECURITY`, "row security of public.customers was switched off"},
			{"membership gone", `REVOKE {prof} FROM ana`, "ana is no longer a member of {prof}"},
			{"attribute", `UPDATE postern.attribute SET value = 'US' WHERE role = 'ana' AND key = 'region'`, "attribute region of ana is another"},
		},
		{
			{"grant on view", `GRANT UPDATE ON {schema}.customers TO {prof}`, "{prof} was given UPDATE on view {schema}.customers by hand"},
			{"view to public", `GRANT SELECT ON {schema}.customers TO PUBLIC`, "PUBLIC was given SELECT on view {schema}.customers by hand"},
			{"masker may create", `GRANT CREATE ON SCHEMA {schema} TO {mask}`, "{mask} may create objects in schema {schema}"},
			{"schema to public", `GRANT USAGE ON SCHEMA {schema} TO PUBLIC`, "PUBLIC was given USAGE on schema {schema} by hand"},
		},
		{
			{"view grant taken", `REVOKE SELECT ON {schema}.customers FROM {prof}`, "{prof} lacks SELECT on view {schema}.customers"},
			{"admitted", `DELETE FROM postern.relation WHERE profile_role = '{prof}'`, "postern.relation of profile {schema} lacks rows"},
			{"catalog", `CREATE OR REPLACE FUNCTION postern_catalog.pg_table_is_visible(oid) RETURNS boolean LANGUAGE sql AS 'SELECT true'`, "schema postern_catalog was changed by hand"},
		},
	} {
		for _, x := range together {
			sql := strings.ReplaceAll(replace.Replace(x.sql), "{db}", w.db.Name)
			if c.Major >= 16 && strings.HasPrefix(x.sql, "REVOKE") && strings.Contains(x.name, "membership") {
				sql += " GRANTED BY postern_admin"
			}
			w.db.Exec(t, sql)
		}
		p := w.plan(t).Plan
		for _, x := range together {
			if !named(p, replace.Replace(x.named)) {
				t.Errorf("%s: not named %q in:\n%s", x.name, replace.Replace(x.named), text(p))
			}
		}
		if _, err := w.server.Apply(context.Background(), w.req, Consent{Digest: p.Digest, Accepted: changeIDs(p)}); err != nil {
			t.Fatalf("%v\n%s", err, text(p))
		}
	}
	w.want(t, "ana", "SELECT id, email FROM customers ORDER BY id", "1|a***@x.test\n3|c***@z.test")
}

func named(p *plan.Plan, what string) bool {
	return slices.ContainsFunc(p.Changes, func(c plan.Change) bool { return strings.Contains(c.Reason, what) })
}

// wallMembershipByHand plants memberships that would be the end of the wall. From 16 on only who granted can take back: then
// the operator is told.
func wallMembershipByHand(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	eu := w.apply(t).Wanted.Identity("ana").Profile
	w.operate(t)
	for _, m := range []struct{ role, member string }{{eu.Masker, "ana"}, {"app_owner", "ana"}, {"shop_group", eu.Role}, {eu.Role, "shop_app"}, {plan.PublicRole, "ana"}} {
		w.db.Exec(t, fmt.Sprintf("GRANT %s TO %s", m.role, m.member))
		p := w.plan(t).Plan
		want := fmt.Sprintf("%s was made a member of %s by hand", m.member, m.role)
		if !strings.Contains(strings.Join(warnings(p), "\n"), want) && !named(p, want) {
			t.Errorf("not named: %s in\n%s", want, text(p))
		}
		if c.Major >= 16 {
			w.operate(t)
		} else {
			w.apply(t)
		}
	}
}

func warnings(p *plan.Plan) []string {
	var out []string
	for _, w := range p.Warnings {
		out = append(out, w.Text)
	}
	return out
}

// wallForeignRoles compares every foreign role's effective rights and row counts before and after (ENF-88).
func wallForeignRoles(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	before := rights(t, w.db)
	w.apply(t)
	diffLines(t, "after apply", before, rights(t, w.db))
	w.operate(t)
	diffLines(t, "after the operator's steps", before, rights(t, w.db))
	w.db.ExecAs(t, "shop_app", "INSERT INTO customers (name, region) VALUES ('Eve', 'US'); UPDATE orders SET memo = 'x'; DELETE FROM customers WHERE name = 'Eve'")
	if got := w.db.QueryAs(t, "shop_app", "SELECT count(*) FROM customers"); got != "3" {
		t.Errorf("the application sees %s customers, not 3", got)
	}
}

// rights lists what foreign roles may do and how many rows they see.
func rights(t *testing.T, db *pgtest.DB) []string {
	t.Helper()
	out := strings.Split(db.Query(t, `
WITH r AS (SELECT oid, rolname FROM pg_roles WHERE rolname ~ '^shop_' OR rolname = 'app_owner'),
s AS (SELECT oid, nspname FROM pg_namespace WHERE nspname IN ('public', 'sales')),
c AS (SELECT c.oid, n.nspname || '.' || c.relname AS name FROM pg_class c JOIN s n ON n.oid = c.relnamespace WHERE relkind IN ('r', 'v', 'S'))
SELECT rolname || ' database ' || p FROM r, unnest('{CREATE,CONNECT,TEMPORARY}'::text[]) p WHERE has_database_privilege(r.oid, current_database(), p)
UNION ALL SELECT rolname || ' schema ' || nspname || ' ' || p FROM r, s, unnest('{CREATE,USAGE}'::text[]) p WHERE has_schema_privilege(r.oid, s.oid, p)
UNION ALL SELECT rolname || ' table ' || name || ' ' || p FROM r, c, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p WHERE has_table_privilege(r.oid, c.oid, p)
UNION ALL SELECT rolname || ' column ' || name || '.' || attname FROM r, c, pg_attribute a WHERE a.attrelid = c.oid AND attnum > 0 AND has_column_privilege(r.oid, c.oid, attnum, 'SELECT')
UNION ALL SELECT rolname || ' function ' || f.oid::regprocedure FROM r, pg_proc f JOIN s ON s.oid = f.pronamespace WHERE has_function_privilege(r.oid, f.oid, 'EXECUTE')
UNION ALL SELECT rolname || ' language ' || lanname FROM r, pg_language l WHERE lanpltrusted AND has_language_privilege(r.oid, l.oid, 'USAGE')
ORDER BY 1`), "\n")
	for _, role := range []string{"app_owner", "shop_app", "shop_half", "shop_group", "shop_reader", "shop_stubborn"} {
		for _, q := range []string{"SELECT count(id) FROM public.customers", "SELECT count(*) FROM public.orders", "SELECT count(*) FROM public.products", "SELECT count(*) FROM sales.orders", "SELECT count(id) FROM public.secrets", "SELECT count(*) FROM public.report", "SELECT length(lo_get(4242))"} {
			got, err := db.TryQuery("postgres", "SET ROLE "+role+"; "+q)
			if err != nil {
				got = err.Error()
			}
			out = append(out, role+" "+q+" "+got)
		}
	}
	return out
}

func diffLines(t *testing.T, when string, before, after []string) {
	t.Helper()
	for _, line := range before {
		if !slices.Contains(after, line) {
			t.Errorf("%s a role lost: %s", when, line)
		}
	}
	for _, line := range after {
		if !slices.Contains(before, line) {
			t.Errorf("%s a role gained: %s", when, line)
		}
	}
}

// wallShop is what the subjects of the shop see, in both schemas, and what they may write.
func wallShop(t *testing.T, c *pgtest.Cluster) {
	w := newShop(t, c)
	w.apply(t)
	w.want(t, "ana", "SELECT id, email FROM customers ORDER BY id", "1|a***@x.test\n3|c***@z.test")
	w.want(t, "ana", "SELECT * FROM orders ORDER BY id", "1|1|10.00|\n3|3|30.00|")
	w.want(t, "ana", `SELECT * FROM "sales.orders"`, "1|EU|100")
	w.want(t, "ana", "SELECT count(*) FROM products", "2")
	w.want(t, "ana", "SELECT count(*) FROM secrets", "error: permission denied for table secrets")
	w.want(t, "ana", "SELECT count(id) FROM public.report", "error: permission denied for view report")
	w.want(t, "ana", "SELECT public.email_of(1)", "error: permission denied for function email_of")
	w.want(t, "ana", "SELECT lo_get(4242)", "error: permission denied for large object")
	w.want(t, "ana", "UPDATE customers SET notes = 'x'", "error: permission denied")
	w.want(t, "sam", "SELECT id FROM customers ORDER BY id", "2\n3")
	w.want(t, "sam", "UPDATE customers SET notes = 'x' RETURNING id", "2\n3")
	w.want(t, "sam", "INSERT INTO customers (name, region) VALUES ('Dan', 'EU') RETURNING id, email", "4|")
	w.want(t, "sam", "INSERT INTO customers (name, region, notes) VALUES ('Dan', 'EU', 'n')", "error: permission denied")
	w.want(t, "sam", "DELETE FROM customers WHERE id = 1 RETURNING id", "")
	w.want(t, "sam", "DELETE FROM customers WHERE id = 4 RETURNING id", "4")
	w.want(t, "sam", "TRUNCATE public.customers", "error: permission denied")
}
