package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/config"
	"github.com/postern-sec/postern/internal/engine/postgres/pgsql"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/plan"
	"github.com/postern-sec/postern/internal/secret"
)

// wallSite is a database with an application in it and a policy for it. Everything is done as the provisioner.
type wallSite struct {
	db     *pgtest.DB
	server *Server
	req    Request
}

var testKey = secret.New("0123456789abcdef0123456789abcdef")

func wrongKey() secret.Text { return secret.New("another key, of another installation") }

// newWallSite makes the database, runs setup as superuser and logs in as the provisioner, who is a member of the owners.
func newWallSite(t *testing.T, c *pgtest.Cluster, setup string, owners ...string) *wallSite {
	t.Helper()
	for _, o := range owners {
		c.Role(t, o, "NOLOGIN")
	}
	c.Role(t, "postern_grantor", "CREATEROLE")
	db := c.NewDatabase(t)
	db.Provisioner(t, "postern_admin", owners...)
	db.Exec(t, setup)
	return &wallSite{db: db, server: openServer(t, db), req: Request{Store: "shop", RootKey: testKey, Grantor: "postern_grantor"}}
}

func openServer(t *testing.T, db *pgtest.DB) *Server {
	t.Helper()
	s, err := Open(context.Background(), Config{
		Host: db.Cluster.SocketDir, Port: uint16(db.Cluster.Port), Database: db.Name, User: "postern_admin", Password: secret.New(pgtest.PasswordOf("postern_admin")),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// policyHead is what every policy file of these tests begins with.
const policyHead = `version: 1
state: sqlite:postern.db
keys: {root: {file: root.key}, audit: {file: audit.key}}
stores:
  shop:
    engine: postgres
    address: /tmp
    database: %s
    schemas: [%s]
    provisioner: {user: postern_admin, password: {file: p}}
    grantor: {user: postern_grantor, password: {file: g}}
gateway: {listeners: [{engine: postgres, address: "127.0.0.1:6432"}]}
audit: {folder: audit/}
`

// policy loads a policy file for the site's database.
func (w *wallSite) policy(t *testing.T, schemas, body string) {
	t.Helper()
	head := strings.ReplaceAll(policyHead, "  shop:", "  "+w.req.Store+":")
	path := filepath.Join(t.TempDir(), "postern.yaml")
	if err := os.WriteFile(path, []byte(fmt.Sprintf(head, w.db.Name, schemas)+body), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, pgsql.Syntax{})
	if err != nil {
		t.Fatal(err)
	}
	w.req.Policy = cfg.Policy
}

func (w *wallSite) plan(t *testing.T) *Result {
	t.Helper()
	r, err := w.server.Plan(context.Background(), w.req)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// apply plans and applies, with consent to everything. Apply itself looks again, before and after it commits, and fails when
// anything is left to do.
func (w *wallSite) apply(t *testing.T) *Result {
	t.Helper()
	r := w.plan(t)
	done, err := w.server.Apply(context.Background(), w.req, Consent{Digest: r.Plan.Digest, Accepted: changeIDs(r.Plan)})
	if err != nil {
		t.Fatalf("apply: %v\n%s", err, text(r.Plan))
	}
	return done
}

// operate runs the operator steps of a plan as superuser, and expects them to be gone from the next one.
func (w *wallSite) operate(t *testing.T) {
	t.Helper()
	for _, step := range w.plan(t).Plan.Operator {
		w.db.Exec(t, strings.Join(step.SQL, ";\n"))
	}
	if left := w.plan(t).Plan; len(left.Operator) > 0 || !left.Empty() {
		t.Fatalf("after the operator's steps there is still something to do:\n%s", text(left))
	}
}

func changeIDs(p *plan.Plan) []string {
	var ids []string
	for _, c := range p.Changes {
		ids = append(ids, c.ID)
	}
	return ids
}

func text(p *plan.Plan) string {
	var b strings.Builder
	for _, c := range p.Changes {
		fmt.Fprintf(&b, "%s: %s [%s]\n", c.ID, c.Title, c.Reason)
		for _, s := range c.SQL {
			fmt.Fprintf(&b, "    %.200s\n", firstLine(s))
		}
	}
	for _, o := range p.Operator {
		fmt.Fprintf(&b, "operator %s: %s: %s\n", o.ID, o.Title, strings.Join(o.SQL, "; "))
	}
	return b.String()
}

// as runs a statement as a subject, straight on the server with the identity's own password.
func (w *wallSite) as(t *testing.T, role, sql string) (string, error) {
	t.Helper()
	serverID := w.db.Query(t, "SELECT system_identifier FROM pg_control_system()")
	ctx := context.Background()
	s, err := Open(ctx, Config{
		Host: w.db.Cluster.SocketDir, Port: uint16(w.db.Cluster.Port), Database: w.db.Name, User: role,
		Password: IdentityPassword(testKey, serverID, role, 1),
	})
	if err != nil {
		return "", err
	}
	defer func() { _ = s.Close(ctx) }()
	// Open pins the search path; a subject's own is what its role was given.
	path := w.db.Query(t, `SELECT substr(c, 13) FROM pg_db_role_setting s, unnest(s.setconfig) c
		WHERE s.setrole = '`+role+`'::regrole AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) AND c LIKE 'search_path=%'`)
	if _, err := s.conn.Exec(ctx, "SET search_path = "+path); err != nil {
		return "", err
	}
	rows, err := s.conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		return "", err
	}
	var lines []string
	for _, res := range rows {
		for _, row := range res.Rows {
			var cells []string
			for _, cell := range row {
				cells = append(cells, string(cell))
			}
			lines = append(lines, strings.Join(cells, "|"))
		}
	}
	return strings.Join(lines, "\n"), nil
}

func (w *wallSite) want(t *testing.T, role, sql, want string) {
	t.Helper()
	got, err := w.as(t, role, sql)
	if err != nil {
		got = "error: " + err.Error()
	}
	if got != want && !(strings.HasPrefix(want, "error") && strings.Contains(got, strings.TrimPrefix(want, "error: ")) && err != nil) {
		t.Errorf("%s: %s\n got: %s\nwant: %s", role, sql, got, want)
	}
}

const smallShop = `
GRANT CREATE, USAGE ON SCHEMA public TO app_owner;
SET ROLE app_owner;
CREATE TABLE public.customers (id int PRIMARY KEY, name text NOT NULL, email text, region text, balance numeric(12,2));
CREATE TABLE public.products (id int PRIMARY KEY, sku text);
INSERT INTO public.customers VALUES (1, 'Ann', 'ann@x.test', 'EU', 10), (2, 'Bob', 'bob@y.test', 'US', 20);
INSERT INTO public.products VALUES (1, 'sku-1');
RESET ROLE;
`

const smallPolicy = `
users:
  ana: {scram: "SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", attributes: {region: EU}}
masks:
  m: {shop.public.customers.email: partial_email, shop.public.customers.balance: hidden, unlabelled: keep}
datasets:
  d: {include: [shop.public.customers, shop.public.products]}
rules:
  eu:
    to: [ana]
    on: d
    level: read
    rows: {shop.public.customers: "region = subject.region"}
    masks: m
`

func wallOneRule(t *testing.T, c *pgtest.Cluster) {
	w := newWallSite(t, c, smallShop, "app_owner")
	w.policy(t, "public", smallPolicy)
	w.apply(t)
	if again := w.plan(t); !again.Plan.Empty() {
		t.Fatalf("the second plan is not empty:\n%s", text(again.Plan))
	}
	w.want(t, "ana", "SELECT * FROM customers", "1|Ann|a***@x.test|EU|")
	w.want(t, "ana", "SELECT sku FROM products", "sku-1")
	w.want(t, "ana", "SELECT * FROM public.customers", "error: permission denied for table customers")
	w.operate(t)
	w.want(t, "ana", "CREATE TEMP TABLE x(i int)", "error: permission denied to create temporary tables")
}

func passwordOf(user string) secret.Text { return secret.New(pgtest.PasswordOf(user)) }

func nameOf(schema, name string) pgsql.Name { return pgsql.Name{Schema: schema, Name: name} }

// wallTests are run for each major on one cluster of its own: role names are fixed, so no two of them run at the same time there.
func wallTests() []wallTest {
	return []wallTest{
		{"OneRule", wallOneRule},
		{"WorkedExample", wallWorkedExample},
		{"Drift", wallDrift},
		{"MembershipByHand", wallMembershipByHand},
		{"ForeignRoles", wallForeignRoles},
		{"Shop", wallShop},
		{"Removal", wallRemoval},
		{"Ends", wallEnds},
		{"GrantTouchesNoBase", wallGrantTouchesNoBase},
		{"Suspend", wallSuspend},
		{"Adoption", wallAdoption},
		{"Own", wallOwn},
		{"BaselineRead", wallBaselineRead},
		{"Pseudonym", wallPseudonym},
		{"Required", wallRequired},
		{"InitSQL", wallInitSQL},
		{"TwoStores", wallTwoStores},
		{"Places", wallPlaces},
	}
}

type wallTest struct {
	name string
	run  func(t *testing.T, c *pgtest.Cluster)
}

// TestWall holds the wall on every major, as the provisioner that is no superuser (ENF-97).
func TestWall(t *testing.T) {
	t.Parallel()
	for _, major := range pgtest.Majors(t) {
		t.Run(fmt.Sprintf("pg%d", major), func(t *testing.T) {
			t.Parallel()
			c := pgtest.Start(t, major)
			for _, x := range wallTests() {
				t.Run(x.name, func(t *testing.T) {
					t.Cleanup(func() { dropRoles(t, c) })
					x.run(t, c)
				})
			}
		})
	}
}

// dropRoles removes every role that a test has left: the database is gone by then, so they own nothing.
func dropRoles(t *testing.T, c *pgtest.Cluster) {
	t.Helper()
	for range 5 { // who granted something can only go after who got it
		left := c.Query(t, "SELECT string_agg(quote_ident(rolname), ',') FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'")
		if left == "" {
			return
		}
		c.Exec(t, "DO $$ DECLARE r text; BEGIN FOREACH r IN ARRAY string_to_array('"+strings.ReplaceAll(left, "'", "''")+"', ',') LOOP "+
			"BEGIN EXECUTE 'DROP OWNED BY ' || r || ' CASCADE'; EXECUTE 'DROP ROLE ' || r; EXCEPTION WHEN dependent_objects_still_exist THEN NULL; END; END LOOP; END $$")
	}
	t.Errorf("roles cannot be dropped: %s", c.Query(t, "SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolname !~ '^pg_'"))
}
