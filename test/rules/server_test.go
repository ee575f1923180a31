package rules_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// serverRules are those of a server that is in use (section 14b).
var serverRules = []rule{
	{id: "ENF-88", tries: []try{
		{"wall reporting", "SELECT count(*), count(ssn) FROM app.customers", "4|4"},
		{"wall reporting", "SELECT 1 FROM app.payroll", "error 42501"},
		{"server", "SELECT count(*) FROM pg_policies WHERE schemaname = 'app' AND roles @> '{public}'", "0"},
		{"server", "SELECT count(*) FROM pg_policies WHERE schemaname = 'app' AND tablename = 'customers' AND roles @> '{reporting}' AND qual = 'true'", "1"},
	}},
	{id: "ENF-89", do: foreignPolicy},
	{id: "ENF-90", tries: all([]try{
		{"sam", "SELECT author FROM notes", "sam"},
		{"wall uma", "SELECT author FROM notes", "uma"},
		{"server", "SELECT qual ~ 'postern.attribute' FROM pg_policies WHERE tablename = 'notes' AND cmd = 'SELECT' AND policyname LIKE 'postern%' AND qual <> 'true'", "t"},
		{"wall sam", "EXPLAIN (COSTS OFF) SELECT * FROM notes", "~ InitPlan"},
	}, each("wall sam", "error 42501", "TABLE postern.attribute", "UPDATE postern.attribute SET value = 'uma'", "INSERT INTO postern.attribute VALUES ('sam', 'name', 'uma')"))},
	{id: "ENF-91", tries: []try{
		{"tess", "TABLE past", "error 42501"},       // it says that the rule is over,
		{"wall tess", "TABLE past", "tag SELECT 0"}, // where the end is data: the profile is the same until its rules change
		{"server", "TABLE app.past", "1"},
		{"server", "SELECT count(*) > 0 AND bool_and(qual ~ 'statement_timestamp' AND qual !~ 'now\\(') FROM pg_policies WHERE tablename = 'past' AND policyname LIKE 'postern%' AND qual <> 'true'", "t"},
		{"wall tess", "TABLE postern.holds", "error 42501"},
		// What a rule allows beside reading ends with it; what another one allows does not.
		{"tess", "SELECT app.in_region('EU')", "error 42501"},
		{"tess", "LISTEN old", "error 42501"},
		{"tess", "UNLISTEN old", "error 42501"},
		{"tess", "SELECT app.twice(21)", "42"},
		{"tess", "LISTEN news; UNLISTEN news", ""},
		// Whoever owned a table until a rule ended, and reads it masked by another, is not shown it whole.
		{"zoe", "TABLE lent", "error 42501"},
		{"zoe", "ALTER TABLE lent ADD COLUMN n int", "error 42501"},
	}, do: func(t *testing.T, w *world) {
		var said []string
		for _, x := range w.Plan(t).Warnings {
			if strings.Contains(x.Text, "ends at the gateway in time") {
				said = append(said, x.Text)
			}
		}
		if want := []string{"rule lent-owned ends at the gateway in time; on the server membership in app_owner stays until the rule is out of the file", "rule past ends at the gateway in time; on the server EXECUTE on its functions stays until the rule is out of the file"}; !slices.Equal(said, want) {
			t.Errorf("plan says %q, want %q", said, want)
		}
	}},
	{id: "ENF-92", tries: []try{
		{
			"ana", "SELECT string_agg(n.nspname || '.' || c.relname || ' ' || c.relkind::text, ', ' ORDER BY c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND c.relkind IN ('r', 'v', 'm', 'p', 'f')",
			"app.customers r, app.events p, app.orders r, app.products r",
		},
		{"ana", "SELECT string_agg(table_name, ',' ORDER BY table_name) FROM information_schema.tables WHERE table_schema = 'app'", "customers,events,orders,products"},
		{"ana", "SELECT count(*) FROM pg_namespace WHERE nspname ~ 'postern'", "0"},
		{"ana", "SELECT count(*) FROM pg_roles WHERE rolname ~ 'postern_shop'", "0"},
		{"ana", "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'customers'::regclass AND attnum > 0", "id,name,email,ssn,phone,region,balance,tier,pin,code,email_domain"},
		{"ana", "SELECT contype, count(*) FROM pg_constraint WHERE conrelid = 'customers'::regclass AND contype = 'p' GROUP BY 1", "p|1"},
		{"ana", "SELECT count(*) FROM pg_catalog.pg_policy", "0"},
	}},
	{id: "ENF-93", tries: []try{
		{"server", "SELECT has_any_column_privilege('ana', 'app.products', 'SELECT'), has_any_column_privilege('ana', 'app.orders', 'SELECT')", "t|f"},
		{"server", "SELECT count(*) FROM " + views + " WHERE v.relname = 'products'", "0"},
		{"ana", "SELECT sku FROM products ORDER BY id", "sku-1\nsku-2"},
		{"ana", "SELECT id, name, count(*) FROM customers GROUP BY id ORDER BY id", "1|Ann|1\n2|Bob|1"},
		{"sam", "INSERT INTO notes VALUES (1, 'sam', 'again', 2) ON CONFLICT ON CONSTRAINT notes_key DO UPDATE SET about = 2 RETURNING id", "1"},
		{"sam", "COPY notes FROM STDIN", "error 0A000 INSERT"},
	}},
	{id: "ENF-94", tries: []try{
		{"olga", "ALTER TABLE scratch ADD COLUMN n int", ""},
		{"olga", "ALTER TABLE scratch DROP COLUMN n", ""},
		{"olga", "SELECT * FROM scratch", "1|one"},
		{"ana", "SELECT * FROM scratch", "error 42501"},
		{"olga", "SELECT * FROM customers", "error 42501"},
		{"olga", "ALTER TABLE customers ADD COLUMN n int", "error 42501"},
		{"sam", "INSERT INTO customers (id, name) VALUES (9, 'x')", "error 42501"},
		{"sam", "DELETE FROM customers", "error 42501"},
		{"sam", "UPDATE customers SET ssn = 'x'", "error 42501"},
		{"sam", "UPDATE customers SET phone = '+2' WHERE id = 2", "tag UPDATE 1"},
		{"wall sam", "DELETE FROM customers", "error 42501"},
		{"sam", "UPDATE notes SET author = 'uma' WHERE id = 1", "error 42501"},
	}},
	{id: "ENF-95", do: digests},
	{id: "ENF-96", do: suspended},
	{id: "ENF-97", tries: []try{
		{"server", "SELECT count(*) FROM pg_authid WHERE rolname IN ('ana', 'sam', 'uma', 'tess') AND rolpassword LIKE 'SCRAM-SHA-256$%'", "4"},
		{"server", "SELECT count(*), bool_or(rolsuper OR rolbypassrls OR rolreplication) FROM pg_roles WHERE rolname IN ('postern_admin', 'postern_grantor')", "2|f"},
		{"server", "SELECT count(DISTINCT split_part(rolpassword, '$', 3)) FROM pg_authid WHERE rolname IN ('ana', 'sam', 'uma', 'tess')", "4"},
	}},
}

func (w *world) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", w.Port))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// login tries to come in and says with which SQLSTATE that was refused.
func (w *world) login(t *testing.T, as string) string {
	t.Helper()
	conn, err := pgconn.Connect(context.Background(), w.DSN(as, "shop"))
	if err == nil {
		_ = conn.Close(context.Background())
	}
	return code(err)
}

// until waits for a login to come out as it should.
func (w *world) until(t *testing.T, as, want string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		got := w.login(t, as)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s logs in with %q, want %q", as, got, want)
		}
	}
}

// foreignPolicy: a policy of the application's that opens the wall is seen by verify and by the gateway.
func foreignPolicy(t *testing.T, w *world) {
	w.ask(t, "server", "CREATE POLICY everybody ON app.customers USING (true)")
	w.until(t, "ana", "28000")
	if r := w.Run(t, "verify"); r.Code == 0 || !strings.Contains(r.Stdout+r.Stderr, "everybody") {
		t.Errorf("verify: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	w.ask(t, "server", "DROP POLICY everybody ON app.customers")
	w.until(t, "ana", "")
}

// digests: a wall whose marker is not what the policy compiles to is refused until apply has been.
func digests(t *testing.T, w *world) {
	schema := w.schema(t, "ana")
	comment := w.DB.Query(t, "SELECT quote_literal(obj_description('"+strings.Trim(schema, `"`)+"'::regnamespace, 'pg_namespace'))")
	w.ask(t, "server", "COMMENT ON SCHEMA "+schema+" IS 'something else'")
	w.until(t, "ana", "28000")
	w.until(t, "sam", "")
	w.ask(t, "server", "COMMENT ON SCHEMA "+schema+" IS "+comment)
	w.until(t, "ana", "")
}

// suspended: nobody gets in while a migration runs, and the wall is built again from what it left.
func suspended(t *testing.T, w *world) {
	w.Must(t, "suspend", "--store", "shop")
	w.until(t, "ana", "57P03")
	if got := w.ask(t, "server", "ALTER TABLE app.customers ALTER COLUMN phone TYPE varchar(40)"); got != "" {
		t.Errorf("the migration: %s", got)
	}
	w.Must(t, "resume", "--store", "shop")
	w.until(t, "ana", "")
	w.try(t, try{"ana", "SELECT phone, pg_typeof(phone) FROM customers WHERE id = 1", "+1|character varying"})
}
