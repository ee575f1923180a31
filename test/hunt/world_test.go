package hunt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/engine/postgres"
	"github.com/postern-sec/postern/internal/pgtest"
	"github.com/postern-sec/postern/internal/secret"
	"github.com/postern-sec/postern/test/site"
	"github.com/postern-sec/postern/test/sqlgen"
)

func TestMain(m *testing.M) { site.Main(m) }

// subjects are the people of testdata/postern.yaml.
func subjects() []string { return []string{"ana", "sam", "uma"} }

// newSite builds a world on a cluster of its own and applies the policy.
func newSite(t testing.TB, major int, w World) *site.Site {
	t.Helper()
	c := pgtest.Start(t, major)
	c.Role(t, "app_owner", "NOLOGIN")
	db := c.NewDatabaseNamed(t, "shop")
	db.Exec(t, w.Fill(testdata(t, "schema.sql")))
	s := site.New(t, db, testdata(t, "postern.yaml"))
	s.Apply(t)
	return s
}

func testdata(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// gateway is the endpoint that people use.
func gateway(s *site.Site, w World) Endpoint {
	return Endpoint{Name: fmt.Sprintf("gateway on %d", s.DB.Major), World: w, Config: func(subject string) (*pgconn.Config, error) { return pgconn.ParseConfig(s.DSN(subject, "shop")) }}
}

// wall is a login straight to the server as a subject's identity role.
func wall(t testing.TB, s *site.Site, w World) Endpoint {
	t.Helper()
	serverID := s.DB.Query(t, "SELECT system_identifier FROM pg_control_system()")
	return Endpoint{Name: fmt.Sprintf("wall on %d", s.DB.Major), World: w, NoNotices: true, Config: func(subject string) (*pgconn.Config, error) {
		password := postgres.IdentityPassword(secret.New(s.RootKey), serverID, subject, 1)
		dsn := s.DB.DSN(subject)
		return pgconn.ParseConfig(strings.Replace(dsn, "'"+pgtest.PasswordOf(subject)+"'", "'"+password.Reveal()+"'", 1))
	}}
}

// people is the table that hides most.
func people() sqlgen.Table {
	cols := []sqlgen.Column{
		{Name: "id", Type: sqlgen.Int},
		{Name: "name", Type: sqlgen.Text},
		{Name: "email", Type: sqlgen.Text},
		{Name: "ssn", Type: sqlgen.Text},
		{Name: "phone", Type: sqlgen.Text, Cast: "%s::text"},
		{Name: "region", Type: sqlgen.Text},
		{Name: "balance", Type: sqlgen.Numeric},
		{Name: "score", Type: sqlgen.Float},
		{Name: "big", Type: sqlgen.Bigint},
		{Name: "hits", Type: sqlgen.Int},
		{Name: "born", Type: sqlgen.Date},
		{Name: "seen", Type: sqlgen.Instant},
		{Name: "tags", Type: sqlgen.Texts},
		{Name: "nums", Type: sqlgen.Ints},
		{Name: "doc", Type: sqlgen.JSONB},
		{Name: "raw", Type: sqlgen.Bytea},
		{Name: "addr", Type: sqlgen.Inet},
		{Name: "uid", Type: sqlgen.UUID},
		{Name: "level", Type: sqlgen.Text, Cast: "%s::text"},
		{Name: "pin", Type: sqlgen.Text, Cast: "%s::text"},
		{Name: "span", Type: sqlgen.Range},
		{Name: "code", Type: sqlgen.Text, Cast: "%s::text"},
		{Name: "home", Type: sqlgen.Text, Cast: "(%s).street"},
		{Name: "notes", Type: sqlgen.Text},
		{Name: "active", Type: sqlgen.Bool},
		{Name: "iban", Type: sqlgen.Text},
		{Name: "boss", Type: sqlgen.Int},
		{Name: "email_domain", Type: sqlgen.Text},
	}
	return sqlgen.Table{Name: "people", Columns: cols, Key: "id", Update: []string{"phone", "notes", "active"}}
}

// reading is the schema for who may write nothing.
func reading(s *sqlgen.Schema) *sqlgen.Schema {
	out := *s
	out.Tables = slices.Clone(s.Tables)
	for i := range out.Tables {
		out.Tables[i].Update, out.Tables[i].Insert, out.Tables[i].Delete = nil, nil, false
	}
	return &out
}

// schemas gives each subject its view of the world.
func schemas(all *sqlgen.Schema) func(string) *sqlgen.Schema {
	return func(subject string) *sqlgen.Schema {
		if subject == "ana" {
			return reading(all)
		}
		return all
	}
}

// sameKey gives the twin the pseudonyms of the first world.
func sameKey(t testing.TB, first, twin *site.Site) {
	t.Helper()
	for line := range strings.Lines(first.DB.Query(t, "SELECT format('UPDATE postern.key SET (ipad, opad) = (%L, %L)', ipad, opad) FROM postern.key")) {
		twin.DB.Exec(t, line)
	}
}

// schema describes the world to the generator.
func schema(major int) *sqlgen.Schema {
	qualified := people()
	qualified.Name = "public.people"
	orders := sqlgen.Table{
		Name: "orders", Key: "id", Update: []string{"qty"}, Delete: true,
		Columns: []sqlgen.Column{
			{Name: "id", Type: sqlgen.Int},
			{Name: "person_id", Type: sqlgen.Int},
			{Name: "total", Type: sqlgen.Numeric},
			{Name: "memo", Type: sqlgen.Text},
			{Name: "lines", Type: sqlgen.JSONB},
			{Name: "placed", Type: sqlgen.Timestamp},
			{Name: "qty", Type: sqlgen.Int},
		},
	}
	return &sqlgen.Schema{
		Major: major,
		Tables: []sqlgen.Table{
			people(), people(), qualified, orders, orders,
			{Name: "events", Columns: []sqlgen.Column{{Name: "id", Type: sqlgen.Int}, {Name: "region", Type: sqlgen.Text}, {Name: "payload", Type: sqlgen.Text}, {Name: "at", Type: sqlgen.Date}}},
			{
				Name: "sales.deals", Key: "id", Update: []string{"title", "closed"}, Delete: true,
				Insert:  map[string]string{"person_id": "2", "title": "'new deal'", "closed": "date '2024-04-02'"},
				Columns: []sqlgen.Column{{Name: "id", Type: sqlgen.Int}, {Name: "person_id", Type: sqlgen.Int}, {Name: "title", Type: sqlgen.Text}, {Name: "worth", Type: sqlgen.Bigint}, {Name: "closed", Type: sqlgen.Date}},
			},
			{Name: "products", Key: "id", Columns: []sqlgen.Column{{Name: "id", Type: sqlgen.Int}, {Name: "sku", Type: sqlgen.Text}, {Name: "price", Type: sqlgen.Numeric}, {Name: "attrs", Type: sqlgen.JSONB}}},
			{Name: "parent", Columns: []sqlgen.Column{{Name: "id", Type: sqlgen.Int}, {Name: "word", Type: sqlgen.Text}}},
		},
		Hidden: []string{
			"public.people", "people", "public.orders", "payroll", "public.payroll", "assignments", "public.assignments", "secret.vault", "events_us", "public.events_us", "events_eu", "child", "public.child",
			"people_report", "people_mv", "public.people_mv", "sales.deals", "postern.key", "postern.holds", "postern.attribute", "shop.public.people", "pg_authid", "pg_largeobject",
		},
		UserCalls: []string{
			"SELECT ssn_of(4)", "SELECT public.ssn_of(id) FROM people", "SELECT public.person_label(p) FROM people p", "SELECT p.person_label FROM people p", "SELECT * FROM vault_words()", "SELECT public.vault_words()", "CALL shout()", "CALL public.shout()",
			"SELECT (p).person_label FROM people p", "SELECT name FROM people WHERE public.ssn_of(id) LIKE '%4'",
		},
	}
}

// shadowed are tables that a profile's schema names by another name at the wall: without the gateway there is no
// public.people and no sales.deals.
func wallSchema(s *sqlgen.Schema) *sqlgen.Schema {
	out := *s
	out.Tables = nil
	for _, t := range s.Tables {
		if t.Name == "sales.deals" {
			t.Name = `"sales.deals"`
		}
		t.Name = strings.TrimPrefix(t.Name, "public.")
		out.Tables = append(out.Tables, t)
	}
	return &out
}

// functions reads the server's list of what can be called with the generator's types.
func functions(t testing.TB, db *pgtest.DB) []sqlgen.Function {
	t.Helper()
	known := map[string]sqlgen.Type{
		"text": sqlgen.Text, "integer": sqlgen.Int, "bigint": sqlgen.Bigint, "numeric": sqlgen.Numeric, "double precision": sqlgen.Float, "boolean": sqlgen.Bool, "date": sqlgen.Date, "timestamp without time zone": sqlgen.Timestamp,
		"timestamp with time zone": sqlgen.Instant, "interval": sqlgen.Interval, "uuid": sqlgen.UUID, "bytea": sqlgen.Bytea, "jsonb": sqlgen.JSONB, "json": sqlgen.JSON, "integer[]": sqlgen.Ints, "text[]": sqlgen.Texts, "inet": sqlgen.Inet,
		"int4range": sqlgen.Range, "anyelement": sqlgen.Text, "name": sqlgen.Text, "regclass": sqlgen.Text, "anyarray": sqlgen.Texts, "anynonarray": sqlgen.Text, "\"any\"": sqlgen.Text, "anyrange": sqlgen.Range, "anycompatible": sqlgen.Text,
		"anycompatiblearray": sqlgen.Texts, "character varying": sqlgen.Text,
	}
	// What waits, ends the connections of others, or prints the whole catalog would only slow the hunt down.
	rows := db.Query(t, `SELECT proname, array_to_string(ARRAY(SELECT format_type(x, NULL) FROM unnest(proargtypes) x), ';') FROM pg_proc
		WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind IN ('f', 'a', 'w') AND prorettype NOT IN ('trigger'::regtype, 'internal'::regtype)
		AND proname !~ '^(pg_sleep|pg_terminate|pg_cancel|pg_advisory|pg_try_advisory|pg_reload|pg_wal|pg_stat_reset|pg_log_backend|(database|schema)_to_xml)' ORDER BY oid`)
	var out []sqlgen.Function
	for line := range strings.Lines(rows) {
		name, list, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "|")
		f := sqlgen.Function{Name: name}
		ok := true
		for _, a := range strings.FieldsFunc(list, func(r rune) bool { return r == ';' }) {
			typ, is := known[a]
			ok = ok && is
			f.Args = append(f.Args, typ)
		}
		if ok {
			out = append(out, f)
		}
	}
	return out
}

// run hunts and fails the test for what it finds.
func run(t testing.TB, p Plan) *Report {
	t.Helper()
	r, err := Run(context.Background(), p)
	if err != nil {
		t.Errorf("%v", err)
	}
	return r
}
