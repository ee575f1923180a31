package rules_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/test/site"
)

// application is the worked example's, as it is found, and what some rules need beside it. What no subject may see has "hidden" in it.
const application = `
CREATE SCHEMA app AUTHORIZATION app_owner;
SET ROLE app_owner;
CREATE TYPE app.tier AS ENUM ('basic', 'gold');
CREATE DOMAIN app.pin4 AS text NOT NULL CHECK (VALUE ~ '^[0-9]{4}$');
CREATE TABLE app.customers (
  id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, ssn text, phone text,
  region text, balance numeric(12,2), tier app.tier, pin app.pin4, code varchar(3),
  email_domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED);
CREATE INDEX customers_ssn ON app.customers (ssn);
CREATE TABLE app.assignments (rep name, customer_id int, PRIMARY KEY (rep, customer_id));
CREATE TABLE app.events (id int, region text, payload text) PARTITION BY LIST (region);
CREATE TABLE app.events_eu PARTITION OF app.events FOR VALUES IN ('EU');
CREATE TABLE app.events_us PARTITION OF app.events FOR VALUES IN ('US');
CREATE TABLE app.notes (id int CONSTRAINT notes_key PRIMARY KEY, author text NOT NULL, body text CHECK (length(body) < 40), about int);
CREATE TABLE app.orders (id int PRIMARY KEY, buyer text, amount numeric(12,2));
CREATE TABLE app.products (id int PRIMARY KEY, sku text);
CREATE TABLE app.payroll (id int PRIMARY KEY, salary int);
CREATE TABLE app.scratch (id int PRIMARY KEY, word text);
CREATE TABLE app.past (id int PRIMARY KEY);
CREATE TABLE app.lent (id int PRIMARY KEY, word text);
CREATE SEQUENCE app.numbers;
CREATE FUNCTION app.ssn_of(int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS 'SELECT ssn FROM app.customers WHERE id = $1';
CREATE FUNCTION app.label(app.customers) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1.name || $1.ssn';
CREATE FUNCTION app.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE FUNCTION app.in_region(text) RETURNS bool LANGUAGE plpgsql STABLE AS 'BEGIN RETURN $1 = ''EU''; END';
CREATE PROCEDURE app.nothing() LANGUAGE sql AS 'SELECT 1';
CREATE VIEW app.report AS SELECT id, ssn FROM app.customers;
CREATE MATERIALIZED VIEW app.stored AS SELECT id, ssn FROM app.customers;
CREATE FUNCTION app.tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN RAISE NOTICE 'hidden in a notice'; RAISE WARNING 'hidden in a warning'; RETURN NEW; END $$;
CREATE TRIGGER tell BEFORE INSERT ON app.notes FOR EACH ROW EXECUTE FUNCTION app.tell();
CREATE FUNCTION app.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER stamp BEFORE INSERT ON app.notes FOR EACH ROW EXECUTE FUNCTION app.stamp();
INSERT INTO app.customers VALUES
 (1,'Ann','ann@x.test','111-1','+1','EU',10,'gold','1111','abc'), (2,'Bob','bob@y.test','222-2','+2','EU',20,'basic','2222','def'),
 (3,'Cyd','cyd@z.test','333-3','hidden phone 3','US',30,'gold','3333','ghi'), (4,'Dan','dan@w.test','444-4','hidden phone 4','US',40,'basic','4444','jkl');
INSERT INTO app.assignments VALUES ('sam',2),('sam',3),('uma',2),('uma',3),('zed',4);
INSERT INTO app.events VALUES (1,'EU','visible'), (2,'US','hidden');
INSERT INTO app.notes VALUES (1,'sam','mine',2), (2,'uma','hidden note',3);
INSERT INTO app.orders VALUES (1,'ann@x.test',5), (2,'ann@x.test',6), (3,'bob@y.test',7), (4,NULL,8);
INSERT INTO app.products VALUES (1,'sku-1'), (2,'sku-2');
INSERT INTO app.payroll VALUES (1, 7770001);
INSERT INTO app.scratch VALUES (1,'one');
INSERT INTO app.past VALUES (1);
INSERT INTO app.lent VALUES (1,'hidden word');
ANALYZE;
RESET ROLE;
SELECT lo_from_bytea(424242, 'hidden'); GRANT SELECT ON LARGE OBJECT 424242 TO PUBLIC;
CREATE FUNCTION public.upper(varchar) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'shadowed'::text $$;
GRANT USAGE ON SCHEMA app TO reporting; GRANT SELECT ON app.customers TO reporting;
`

// policy is the worked example's: rule a for ana, rule b for sam, both for uma. Tess has a and what can be allowed beside it, olga owns.
const policy = `version: 1
state: sqlite:postern.db
keys: {root: {file: secrets/root.key}, audit: {file: secrets/audit.key}}
stores:
  shop:
    engine: postgres
    address: "{{server}}"
    database: shop
    schemas: [app]
    tls: {mode: verify-full, ca: "{{server ca}}"}
    provisioner: {{provisioner}}
    grantor: {{grantor}}
gateway:
  listeners:
    - {engine: postgres, address: "{{listen}}", tls: {cert: server.crt, key: secrets/server.key}}
  network:
    - {from: [all], auth: scram, tls: require}
users:
  ana: {scram: "{{scram ana}}", role: ana}
  sam: {scram: "{{scram sam}}", role: sam}
  uma: {scram: "{{scram uma}}", role: uma}
  tess: {scram: "{{scram tess}}", role: tess}
  olga: {scram: "{{scram olga}}", role: olga}
  zoe: {scram: "{{scram zoe}}", role: zoe}
masks:
  a:
    shop.app.customers.email: partial(1, 0)
    shop.app.customers.ssn: hidden
    shop.app.customers.tier: hidden
    shop.app.customers.pin: constant("0000")
    shop.app.customers.code: expression("left(value, 1)")
    shop.app.orders.buyer: pseudonym
    unlabelled: keep
  b:
    shop.app.customers.ssn: keep_last(1)
    shop.app.customers.balance: hidden
    shop.app.orders.buyer: hidden
    unlabelled: keep
  lent:
    shop.app.lent.word: hidden
    unlabelled: keep
datasets:
  d: {include: [shop.app.customers, shop.app.events, shop.app.orders, shop.app.products]}
  notes: {include: [shop.app.notes]}
  past: {include: [shop.app.past]}
  scratch: {include: [shop.app.scratch]}
  lent: {include: [shop.app.lent]}
rules:
  a:
    to: [ana, uma, tess]
    on: d
    level: read
    rows: {shop.app.customers: "region = 'EU'", shop.app.events: "region = 'EU'"}
    masks: a
  b:
    to: [sam, uma]
    on: d
    level: write
    rows: {shop.app.customers: "id IN (SELECT customer_id FROM app.assignments WHERE rep = subject.name)", shop.app.events: "false"}
    masks: b
    write: {shop.app.customers: {update: [phone]}}
  notes:
    to: [sam, uma]
    on: notes
    level: write
    rows: {shop.app.notes: "author = subject.name"}
    write: {shop.app.notes: {insert: true, update: [body, about], delete: true}}
    allow: {create_in: [shop.workbench]}
  past: {to: [tess], on: past, until: 2020-01-01, allow: {channels: [old], functions: [shop.app.in_region]}}
  more:
    to: [tess]
    on: d
    level: read
    rows: {shop.app.customers: "false", shop.app.events: "false"}
    masks: a
    allow: {explain: plain, temporary: true, channels: [news], functions: [shop.app.twice, shop.app.nothing], create_in: [shop.workbench]}
  scratch: {to: [olga], on: scratch, level: own}
  lent-owned: {to: [zoe], on: lent, level: own, until: 2020-01-01}
  lent: {to: [zoe], on: lent, level: read, masks: lent}
baseline: {outside_datasets: block}
audit: {folder: audit/, sync: 100ms}
`

// newWalled brings the policy to a server and starts the gateway.
func newWalled(t *testing.T) *world {
	t.Helper()
	c := pgtest.Start(t, pgtest.DefaultMajor)
	c.Role(t, "app_owner", "NOLOGIN")
	c.Role(t, "reporting", "NOLOGIN")
	db := c.NewDatabaseNamed(t, "shop")
	db.Exec(t, application)
	s := site.New(t, db, policy)
	s.Apply(t)
	s.Serve(t)
	return &world{Site: s, sessions: map[string]*pgconn.PgConn{}}
}

// newInline is the same on a server on which nothing may be created, for those who read.
func newInline(t *testing.T) *world {
	t.Helper()
	t.Setenv("READER_PASSWORD", pgtest.PasswordOf("postern_reader"))
	c := pgtest.Start(t, pgtest.DefaultMajor)
	c.Role(t, "app_owner", "NOLOGIN")
	c.Role(t, "reporting", "NOLOGIN")
	c.Role(t, "postern_reader", "LOGIN")
	db := c.NewDatabaseNamed(t, "shop")
	db.Exec(t, application)
	text := policy
	for old, changed := range map[string]string{
		"    provisioner: {{provisioner}}\n    grantor: {{grantor}}\n": "    tier: inline\n    reader: {user: postern_reader, password: {env: READER_PASSWORD}}\n",
		"shop.app.orders.buyer: pseudonym":                             "shop.app.orders.buyer: hidden",
		", role: ana":                                                  "", ", role: sam": "", ", role: uma": "", ", role: tess": "", ", role: olga": "", ", role: zoe": "",
		"    level: write\n    rows: {shop.app.customers":                                    "    level: read\n    rows: {shop.app.customers",
		"    level: write\n    rows: {shop.app.notes":                                        "    level: read\n    rows: {shop.app.notes",
		"    write: {shop.app.customers: {update: [phone]}}\n":                               "",
		"    write: {shop.app.notes: {insert: true, update: [body, about], delete: true}}\n": "",
		"    allow: {explain: plain, temporary: true, channels: [news], functions: [shop.app.twice, shop.app.nothing], create_in: [shop.workbench]}\n": "", "    allow: {create_in: [shop.workbench]}\n": "",
		", allow: {channels: [old], functions: [shop.app.in_region]}}":         "}",
		"  lent-owned: {to: [zoe], on: lent, level: own, until: 2020-01-01}\n": "",
		"  scratch: {to: [olga], on: scratch, level: own}\n":                   "",
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("the policy has no %q", old)
		}
		text = strings.Replace(text, old, changed, 1)
	}
	s := site.New(t, db, text)
	for _, step := range s.Plan(t).Operator {
		db.Exec(t, strings.Join(step.SQL, ";\n"))
	}
	s.Serve(t)
	return &world{Site: s, sessions: map[string]*pgconn.PgConn{}}
}
