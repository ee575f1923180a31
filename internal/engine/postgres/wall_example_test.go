package postgres

import (
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
)

// exampleApp is the application of the worked example.
const exampleApp = `
CREATE SCHEMA app AUTHORIZATION app_owner;
SET ROLE app_owner;
CREATE TYPE app.tier AS ENUM ('basic', 'gold');
CREATE DOMAIN app.pin4 AS text NOT NULL CHECK (VALUE ~ '^[0-9]{4}$');
CREATE TABLE app.customers (
  id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, ssn text, phone text,
  region text, balance numeric(12,2), tier app.tier, pin app.pin4, code varchar(3),
  email_domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED);
CREATE TABLE app.assignments (rep name, customer_id int, PRIMARY KEY (rep, customer_id));
CREATE TABLE app.events (id int, region text, payload text) PARTITION BY LIST (region);
CREATE TABLE app.events_eu PARTITION OF app.events FOR VALUES IN ('EU');
CREATE TABLE app.events_us PARTITION OF app.events FOR VALUES IN ('US');
CREATE FUNCTION app.ssn_of(int) RETURNS text LANGUAGE sql STABLE SECURITY DEFINER
  AS 'SELECT ssn FROM app.customers WHERE id = $1';
INSERT INTO app.customers VALUES
 (1,'Ann','ann@x.test','111-1','+1','EU',10,'gold','1111','abc'), (2,'Bob','bob@y.test','222-2','+2','EU',20,'basic','2222','def'),
 (3,'Cyd','cyd@z.test','333-3','+3','US',30,'gold','3333','ghi'), (4,'Dan','dan@w.test','444-4','+4','US',40,'basic','4444','jkl');
INSERT INTO app.assignments VALUES ('sam',2),('sam',3),('uma',2),('uma',3),('zed',4);
INSERT INTO app.events VALUES (1,'EU','visible'), (2,'US','hidden');
RESET ROLE;
`

const testVerifier = `"SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="`

const examplePolicy = `
users:
  ana: {scram: ` + testVerifier + `}
  sam: {scram: ` + testVerifier + `}
  uma: {scram: ` + testVerifier + `}
masks:
  a:
    shop.app.customers.email: partial(1, 0)
    shop.app.customers.ssn: hidden
    shop.app.customers.tier: hidden
    shop.app.customers.pin: constant("0000")
    shop.app.customers.code: expression("left(value, 1)")
    unlabelled: keep
  b:
    shop.app.customers.ssn: keep_last(1)
    shop.app.customers.balance: hidden
    unlabelled: keep
datasets:
  d: {include: [shop.app.customers, shop.app.events]}
rules:
  a:
    to: [ana, uma]
    on: d
    level: read
    rows: {shop.app.customers: "region = 'EU'", shop.app.events: "region = 'EU'"}
    masks: a
  b:
    to: [sam, uma]
    on: d
    level: write
    rows: {shop.app.customers: "id IN (SELECT customer_id FROM app.assignments WHERE rep = current_user)", shop.app.events: "false"}
    masks: b
    write: {shop.app.customers: {update: [phone]}}
`

// wallWorkedExample is the table of what the example does (ENF-33 to 37), on every major, as the subjects' own logins.
func wallWorkedExample(t *testing.T, c *pgtest.Cluster) {
	w := newWallSite(t, c, exampleApp, "app_owner")
	w.policy(t, "app", examplePolicy)
	w.apply(t)
	w.operate(t)
	const q = "SELECT id, email, ssn, balance, tier, pin, code, email_domain FROM customers ORDER BY id"
	w.want(t, "ana", q, "1|a***||10.00||0000|a|\n2|b***||20.00||0000|d|")
	w.want(t, "sam", q, "2|bob@y.test|***2||basic|2222|def|y.test\n3|cyd@z.test|***3||gold|3333|ghi|z.test")
	w.want(t, "uma", q, "1|a***||10.00||0000|a|\n2|bob@y.test|***2|20.00|basic|2222|def|y.test\n3|cyd@z.test|***3||gold|3333|ghi|z.test")
	w.want(t, "ana", "TABLE events", "1|EU|visible")
	for _, sql := range []string{
		"TABLE app.events_us", "TABLE app.events", "TABLE app.customers", "TABLE app.assignments", "SELECT app.ssn_of(1)",
		"CREATE TEMP TABLE x (i int)", "DO $$ BEGIN END $$", "TABLE postern.attribute", "TABLE postern.key", "TABLE postern.holds",
		"CREATE TABLE x (i int)", "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
	} {
		w.want(t, "ana", sql, "error: permission denied")
	}
	for _, p := range w.plan(t).Wanted.Profiles {
		w.want(t, "ana", "SET ROLE "+p.Masker, "error: permission denied to set role")
	}
	w.want(t, "uma", "UPDATE customers SET phone = 'x' WHERE id = 2 RETURNING id", "2")
	w.want(t, "uma", "UPDATE customers SET phone = 'x' WHERE id = 1 RETURNING id", "")
	w.want(t, "uma", "UPDATE customers SET phone = 'x' WHERE id = 4 RETURNING id", "")
	w.want(t, "uma", "UPDATE customers SET email = 'x' WHERE id = 2", `error: cannot update column "email" of view`)
	w.want(t, "uma", "UPDATE customers SET name = 'x' WHERE id = 2", "error: permission denied")
	w.want(t, "uma", "DELETE FROM customers", "error: permission denied")
	w.want(t, "uma", "SELECT id FROM customers ORDER BY id FOR UPDATE", "2\n3")
	w.want(t, "uma", "SELECT id FROM customers WHERE 1/(id-4) > 5", "")
	w.want(t, "uma", "SELECT id FROM customers WHERE email = 'ann@x.test'", "")
	w.want(t, "sam", "UPDATE customers SET phone = ssn WHERE id = 2 RETURNING phone", "***2")
	w.want(t, "ana", "SELECT 'gold'::app.tier", "gold")
	w.want(t, "ana", "SET row_security = off; SELECT count(*) FROM customers", "error: query would be affected by row-level security policy")
}
